# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What single lines of a list decide by themselves, by interval arithmetic: quick and certain where it says something.

Lists permit line by line before they deny, so a box of packets that one such line holds passes, and a list none of whose permits
touches some packets stops all of them. Where that does not decide, the packet sets do (``points``). ``reduced`` leaves out the lines of a
firewall that cannot concern some clients: they are made part by part, one for each client segment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import pieces_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import (
    IPV4_PROTOCOLS,
    IPV6,
    IPV6_PROTOCOLS,
    Box,
)

SCANNED = 2_000  # lines that are looked at for a box whose own line does not hold it
_WHOLE = ((0, 0),)
_FAMILIES = {4: (0, IPV4_PROTOCOLS), 6: (IPV6, IPV6_PROTOCOLS)}


def line_covers(ace: Ace, box: Box) -> bool:
    """Return whether a line surely matches every packet of a box of whole packets of one family; False where it may not."""
    if not ace.plain or ace.fragments or ace.family not in _FAMILIES or box.fragment.pairs != _WHOLE:
        return False
    offset, every = _FAMILIES[ace.family]
    if ace.protocol is None:
        if not every.covers(box.protocol):
            return False
    elif box.protocol.pairs != ((offset + ace.protocol, offset + ace.protocol),):
        return False
    for mine, theirs in (
        (ace.source_ports, box.source_port),
        (ace.destination_ports, box.destination_port),
        (ace.detail, box.detail),
        (ace.destination, box.destination),
        (ace.source, box.source),
    ):
        if mine is not None and mine is not theirs and mine.pairs != theirs.pairs and not mine.covers(theirs):
            return False
    return True


def line_may_touch(ace: Ace, boxes: Sequence[Box]) -> bool:
    """Return whether a line may match a packet of some box of whole packets; True where that is not sure."""
    if ace.inactive:
        return False
    if ace.family not in _FAMILIES:
        return True
    offset, every = _FAMILIES[ace.family]
    for box in boxes:
        if ace.protocol is None:
            if not every.overlaps(box.protocol):
                continue
        elif not box.protocol.contains(offset + ace.protocol):
            continue
        pairs = (
            (ace.destination_ports, box.destination_port),
            (ace.source_ports, box.source_port),
            (ace.destination, box.destination),
            (ace.source, box.source),
            (ace.detail, box.detail),
        )
        if all(mine is None or mine.overlaps(theirs) for mine, theirs in pairs):
            return True
    return False


@dataclass(frozen=True)
class FirstPermits:
    """The permits of a list before its first denial, by their labels."""

    lines: tuple[Ace, ...]
    by_label: dict[str, list[Ace]]

    @classmethod
    def of(cls, listing: PointList) -> FirstPermits:
        """Return what a list permits before it denies anything."""
        lines: list[Ace] = []
        by_label: dict[str, list[Ace]] = defaultdict(list)
        for ace in listing.aces:
            if not ace.permit and not ace.inactive:
                break
            lines.append(ace)
            by_label[ace.label].append(ace)
        return cls(tuple(lines), by_label)

    def pass_surely(self, box: Box, label: str = "") -> bool:
        """Return whether one line passes the whole box; the label says which line to look at first."""
        for ace in self.by_label.get(label, ()):
            if line_covers(ace, box):
                return True
        return len(self.lines) <= SCANNED and any(line_covers(ace, box) for ace in self.lines)


def permits_nothing_of(listing: PointList, boxes: Sequence[Box]) -> bool:
    """Return whether a list surely stops every packet of some boxes of whole packets: no permit of it may match one."""
    return not listing.default_permit and not any(ace.permit and line_may_touch(ace, boxes) for ace in listing.aces)


def touching(listing: PointList, boxes: Sequence[Box]) -> PointList:
    """Return a list with only the lines that may match a packet of some boxes of whole packets: it decides these alike."""
    return replace(listing, aces=tuple(ace for ace in listing.aces if line_may_touch(ace, boxes)))


def reduced(listing: PointList, segments: Iterable[str]) -> PointList:
    """Return a firewall's list without the parts of other client segments, for packets from devices of these alone.

    The same list where it is not known by its parts.
    """
    pieces = pieces_of(listing)
    return listing if pieces is None else pieces.around(segments)
