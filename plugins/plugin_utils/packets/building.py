# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a list becomes a diagram quickly: neighbours with one outcome are united first, boxes below a wider entry are left out.

A union does not depend on the order within it, so runs of entries with one outcome are the same nodes for an intent and for its
rendering into many lines; what is composed from the runs is then known already.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets import nodes as nd
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import (
    IPV4_ADDRESSES,
    Box,
    Entry,
    FirstMatchList,
)

_Rest = tuple[IntervalSet, ...]


def action_diagram(nodes: nd.Nodes, source: FirstMatchList) -> int:
    """Return the diagram of what a list does: MEMBER, REFUSED, or a chain where a condition decides."""
    parts = []
    for (permit, condition), run in groupby(live_boxes(source.entries), lambda part: part[0]):
        terminal = end_of(nodes, condition, nd.MEMBER if permit else nd.REFUSED)
        parts.append(nodes.balanced([nodes.from_box(box, terminal) for _key, boxes in run for box in boxes]))
    parts.append(nd.MEMBER if source.default_permit else nd.REFUSED)
    return nodes.balanced(parts)


def entry_diagram(nodes: nd.Nodes, source: FirstMatchList) -> int:
    """Return the diagram of which entry decides: FIRST_ENTRY - index, or a chain where a condition decides."""
    parts = []
    for index, ((_permit, condition), boxes) in enumerate(live_boxes(source.entries)):
        terminal = end_of(nodes, condition, nd.FIRST_ENTRY - index)
        parts.append(nodes.balanced([nodes.from_box(box, terminal) for box in boxes]))
    parts.append(nd.FIRST_ENTRY - len(source.entries))
    return nodes.balanced(parts)


def end_of(nodes: nd.Nodes, condition: str, outcome: int) -> int:
    """Return the terminal of an entry: its outcome, or an open chain that waits for what follows."""
    return nodes.chain([(condition, outcome)]) if condition else outcome


def live_boxes(entries: Sequence[Entry]) -> Iterator[tuple[tuple[bool, str], Sequence[Box]]]:
    """Yield (action, condition) and boxes of each entry, without boxes that one earlier entry between any addresses covers."""
    wide: list[tuple[bool, _Rest]] = []
    known: dict[
        tuple[Any, ...], tuple[int, int]
    ] = {}  # rest of a box: how many wide ones were looked at, how far they reach

    def reach_over(rest: _Rest) -> int:
        """Return 2 where a wide box covers the rest for all addresses, 1 where for IPv4 only, else 0."""
        key = tuple([values.pairs for values in rest])
        looked, reach = known.get(key, (0, 0))
        if looked < len(wide) and reach < 2:
            for everywhere, other in wide[looked:]:
                if reach < 1 + everywhere and all(a is b or a.covers(b) for a, b in zip(other, rest, strict=True)):
                    reach = 1 + everywhere
            known[key] = len(wide), reach
        return reach

    for entry in entries:
        kept = []
        wider = []
        for box in entry.boxes:
            rest = _rest(box)
            reach = reach_over(rest) if wide else 0
            inside = box.source.covers(IPV4_ADDRESSES) and box.destination.covers(IPV4_ADDRESSES)
            if reach == 2 or (reach == 1 and _within_ipv4(box)):
                continue
            kept.append(box)
            if inside and not entry.condition:
                top = box.source.key == box.destination.key == (_TOP,)
                wider.append((top, rest))
        wide += wider
        yield (entry.permit, entry.condition), kept


_TOP = (0, (1 << 128) - 1)


def _within_ipv4(box: Box) -> bool:
    return all(not values or values.hull[1] >> 32 == 0 for values in (box.source, box.destination))


def _rest(box: Box) -> _Rest:
    return (
        box.protocol, box.detail, box.fragment, box.destination_port, box.source_port, box.destination_group, box.source_group,
    )  # fmt: skip
