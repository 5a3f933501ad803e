# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One line of an access list, one list, and what a line means as packets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import (
    ALL,
    ESTABLISHED,
    ICMP,
    ICMPV6,
    IPV4_ADDRESSES,
    IPV4_PROTOCOLS,
    IPV6,
    IPV6_PROTOCOLS,
    PORTS,
    Box,
    Entry,
    FirstMatchList,
)

_LATER = IntervalSet.single(1)
_WHOLE = IntervalSet.single(0)
_ZERO = IntervalSet.single(0)


@dataclass(frozen=True)
class Ace:
    """One access control entry. None in a field means any.

    ``family``: 4, 6, or 0 for a list without addresses that counts for both. ``detail``: TCP flag numbers 0 to 63 or ICMP
    type * 256 + code, as in ``packets.model``. ``conditions``: canonical texts of what the line demands besides and no field holds
    ("time-range WORK", "dscp ef"), sorted and without doubles; all must hold. ``source_group``, ``destination_group``: security
    group tags 0 to 65535. ``inactive``: the device keeps
    the line but it is not in force and matches nothing. ``line`` is the line in the text read (from 1; 0: generated), ``label`` the rule
    that a generated line comes from.

    With conditions the packets of the fields are an upper bound (``destination object-group X`` of a group without definition: any).
    ``object_groups``: (``source``, ``destination`` or ``service``, name) for each part that was written as an object group.
    ``matches``, ``estimate_matches``: the counters that the device printed.
    """

    permit: bool
    protocol: int | None = None
    family: int = 4
    source: IntervalSet | None = None
    destination: IntervalSet | None = None
    source_ports: IntervalSet | None = None
    destination_ports: IntervalSet | None = None
    detail: IntervalSet | None = None
    fragments: bool = False
    log: bool = False
    remarks: tuple[str, ...] = ()
    sequence: int | None = None
    line: int = 0
    raw: str = ""
    label: str = ""
    source_group: IntervalSet | None = None
    destination_group: IntervalSet | None = None
    conditions: tuple[str, ...] = ()
    object_groups: tuple[tuple[str, str], ...] = ()
    matches: int | None = None
    estimate_matches: int | None = None
    inactive: bool = False

    @property
    def established(self) -> bool:
        """Whether the entry is for TCP segments with ACK or RST only."""
        return self.protocol == 6 and self.detail == ESTABLISHED

    @property
    def layer4(self) -> bool:
        """Whether the entry looks at ports, flags or ICMP messages."""
        return not (self.source_ports is None and self.destination_ports is None and self.detail is None)

    def meaning(self) -> tuple[Any, ...]:
        """Return what decides packets, without remarks, numbers and text: equal for equal lines."""
        return (
            self.permit, self.protocol, self.family, self.source, self.destination, self.source_ports,
            self.destination_ports, self.detail, self.fragments, self.source_group, self.destination_group, self.conditions,
            self.inactive,
        )  # fmt: skip

    @property
    def plain(self) -> bool:
        """Whether the entry is in force and has neither conditions nor groups, which few syntaxes can say."""
        return (
            not self.inactive and not self.conditions and self.source_group is None and self.destination_group is None
        )

    def to_boxes(self, fragments_like_ios: bool = True) -> tuple[Box, ...]:
        """Return the packets that the line matches.

        With the rule of IOS (facts/devices.md section 6.2) a permit line with layer-4 criteria also matches every non-initial
        fragment between its addresses, and such a deny line matches none. Without it a layer-4 line matches no such fragment.
        """
        if self.inactive:
            return ()
        boxes: list[Box] = []
        for family in (4, 6) if self.family == 0 else (self.family,):
            base = self._base(family)
            if base is None:
                continue
            if self.fragments:
                boxes.append(base.replace(fragment=_LATER))
            elif not self.layer4:
                boxes.append(base)
            else:
                detail = self.detail
                boxes.append(base.replace(
                    fragment=_WHOLE,
                    detail=ALL["detail"] if detail is None else detail,
                    source_port=PORTS if self.source_ports is None else self.source_ports,
                    destination_port=PORTS if self.destination_ports is None else self.destination_ports,
                ))  # fmt: skip
                if fragments_like_ios and self.permit:
                    boxes.append(base.replace(fragment=_LATER))
        return tuple(box for box in boxes if not box.is_empty)

    def _base(self, family: int) -> Box | None:
        """Return the layer-3 box of one family; None where the line says nothing about that family."""
        offset = IPV6 if family == 6 else 0
        number = self.protocol
        if self.family == 0 and family == 6 and number == ICMP:
            if self.detail is not None:
                return None  # a type in a list for both families is an ICMPv4 type; ICMPv6 has other numbers
            number = ICMPV6
        protocols = IPV6_PROTOCOLS if offset else IPV4_PROTOCOLS
        box = Box(protocol=protocols if number is None else IntervalSet.single(offset + number))
        addresses = ALL["source"] if offset else IPV4_ADDRESSES
        return box.replace(
            source=addresses if self.source is None else self.source.intersect(addresses),
            destination=addresses if self.destination is None else self.destination.intersect(addresses),
            source_group=ALL["source_group"] if self.source_group is None else self.source_group,
            destination_group=ALL["destination_group"] if self.destination_group is None else self.destination_group,
        )


@dataclass(frozen=True)
class Opaque:
    """A line that was not understood: where, what, why. A list with one is never replaced automatically."""

    line: int
    text: str
    reason: str


@dataclass(frozen=True)
class ParsedAcl:
    """One access list as read. ``kind``: extended, standard, ipv6, dacl, sgacl, nftables, or a foreign kind that is all opaque.

    ``default_permit`` is the implicit end; ``empty_permits`` says that a list without entries permits everything (IOS,
    facts/devices.md section 0 item 6); ``implicit`` are entries that the platform adds before the implicit end (IPv6 neighbour
    discovery); ``attributes`` hold what only one platform knows.
    """

    name: str
    kind: str
    aces: tuple[Ace, ...]
    opaque: tuple[Opaque, ...] = ()
    trailing_remarks: tuple[str, ...] = ()
    default_permit: bool = False
    empty_permits: bool = False
    fragments_like_ios: bool = True
    implicit: tuple[Ace, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict, hash=False)

    def first_match(self) -> FirstMatchList:
        """Return the list as packets decide it; FindingError SW1203 with one finding for each line not understood."""
        if self.opaque:
            raise FindingError(*(
                codes.OPAQUE.at(f"list {self.name or 'without a name'}, line {item.line}: {item.text!r}: {item.reason}")
                for item in self.opaque
            ))  # fmt: skip
        return first_match_list(
            self.aces, name=self.name, default_permit=self.empty_permits if not self.aces else self.default_permit,
            implicit=self.implicit if self.aces else (), fragments_like_ios=self.fragments_like_ios,
        )  # fmt: skip

    def place(self, file: str) -> Location:
        """Return where the list begins in the text."""
        return Location(file, self.aces[0].line if self.aces else 0)


def first_match_list(
    aces: tuple[Ace, ...] | list[Ace],
    name: str = "",
    default_permit: bool = False,
    implicit: tuple[Ace, ...] = (),
    fragments_like_ios: bool = True,
) -> FirstMatchList:
    """Return the first-match list of entries; each is labelled with its rule, else its text, and numbered by sequence or place."""
    entries = [
        Entry(
            ace.permit,
            ace.to_boxes(fragments_like_ios),
            ace.label or ace.raw or "entry",
            ace.sequence or place,
            " and ".join(ace.conditions),
        )
        for place, ace in enumerate(aces, 1)
    ]
    entries += [Entry(ace.permit, ace.to_boxes(fragments_like_ios), ace.label or "implicit", 0) for ace in implicit]
    return FirstMatchList(tuple(entries), default_permit, name, len(implicit))
