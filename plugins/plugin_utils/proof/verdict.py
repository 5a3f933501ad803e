# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every enforcement point on its way says about one conversation, and by which rule.

A linear walk over the compiled lines: slow and plain, so that it can also check the fast set-based proofs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Origin, PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import addresses_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Box, Packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.points import (
    enforces,
    first_match,
    own_addresses,
    point_subnets,
)

TCP, UDP = 6, 17
SYN, SYN_ACK = 2, 18


@dataclass(frozen=True)
class Conversation:
    """A client that opens to a server. Addresses are integers of one family (4 or 6); ports 0 where there are none.

    For ICMP ``server_port`` is type * 256 + code.
    """

    family: int
    client: int
    server: int
    protocol: int
    server_port: int = 0
    client_port: int = 49152

    def forward(self) -> Packet:
        """Return the opener's first packet."""
        return self._packet(self.client, self.server, self.client_port, self.server_port, SYN)

    def reply(self) -> Packet | None:
        """Return the first packet back, or None for protocols without ports."""
        if self.protocol not in (TCP, UDP):
            return None
        return self._packet(self.server, self.client, self.server_port, self.client_port, SYN_ACK)

    def _packet(self, source: int, destination: int, source_port: int, destination_port: int, flags: int) -> Packet:
        has_ports = self.protocol in (TCP, UDP)
        is_icmp = self.protocol in (1, 58)
        detail = flags if self.protocol == TCP else (self.server_port if is_icmp else 0)
        return Packet(
            protocol=self.protocol + (256 if self.family == 6 else 0),
            detail=detail,
            fragment=0,
            destination=destination,
            source=source,
            destination_port=destination_port if has_ports else 0,
            source_port=source_port if has_ports else 0,
        )


@dataclass(frozen=True)
class PointVerdict:
    """What one list says about one packet of a conversation."""

    point: str
    list_name: str
    kind: str
    direction: str
    permit: bool
    enforced: bool
    label: str
    origin: Origin

    def as_dict(self) -> dict[str, object]:
        """Return plain values for results and reports."""
        return {
            "point": self.point,
            "list": self.list_name,
            "kind": self.kind,
            "direction": self.direction,
            "permit": self.permit,
            "enforced": self.enforced,
            "line": self.label,
            "role": self.origin.role,
            "rule": self.origin.rule,
            "file": self.origin.location.file,
            "file_line": self.origin.location.line,
        }


@dataclass(frozen=True)
class Verdict:
    """All points' answers. ``permitted`` is false where an enforcing point stops the opener or its reply."""

    permitted: bool
    points: tuple[PointVerdict, ...]

    @property
    def covered(self) -> bool:
        """Return whether any point sees the conversation at all."""
        return bool(self.points)

    def deciding(self) -> PointVerdict | None:
        """Return the first answer that stops the conversation, else the first that names a rule, else the first."""
        for item in self.points:
            if item.enforced and not item.permit:
                return item
        for item in self.points:
            if item.origin.rule:
                return item
        return self.points[0] if self.points else None


def box_contains(box: Box, packet: Packet) -> bool:
    """Return whether the packet lies in the box, field by field."""
    return all(
        getattr(box, name).contains(getattr(packet, name))
        for name in ("protocol", "detail", "fragment", "destination", "source", "destination_port", "source_port")
    )


@dataclass
class Evaluator:
    """Answers for single conversations over all lists of a compiled site."""

    site: Site
    lists: Sequence[PointList]
    _segments: dict[tuple[int, int], set[str]] = field(default_factory=dict)
    _entries: dict[int, list[tuple[bool, tuple[Box, ...], str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for segment, members in self.site.members.items():
            for member in members:
                for family in (4, 6):
                    for low, _high in addresses_of(member.addresses, family).to_ranges():
                        self._segments.setdefault((family, low), set()).add(segment)

    def segments_of(self, family: int, address: int) -> set[str]:
        """Return the segments that hold a device with the address."""
        return self._segments.get((family, address), set())

    def verdict(self, conversation: Conversation) -> Verdict:
        """Return what every list on the way says about the opener and its first reply."""
        answers: list[PointVerdict] = []
        forward, reply = conversation.forward(), conversation.reply()
        for number, listing in enumerate(self.lists):
            if self._sees(listing, conversation.family, forward):
                answers.append(self._answer(number, listing, "forward", forward))
            if reply is not None and not listing.stateful and self._sees(listing, conversation.family, reply):
                answers.append(self._answer(number, listing, "reply", reply))
        stopped = any(answer.enforced and not answer.permit for answer in answers)
        return Verdict(not stopped, tuple(answers))

    def _sees(self, listing: PointList, family: int, packet: Packet) -> bool:
        if listing.kind == "firewall":
            return self._crosses(listing, family, packet)
        if listing.segment not in self.segments_of(family, packet.source):
            return False
        return listing.kind != "sgacl" or listing.peer in self.segments_of(family, packet.destination)

    def _crosses(self, listing: PointList, family: int, packet: Packet) -> bool:
        point = self.site.points[listing.point]
        own = own_addresses(self.site, point, family)
        if own.contains(packet.source) or own.contains(packet.destination):
            return False
        subnets = [addresses_of([p], family) for p in point_subnets(self.site, point)]
        source = next((i for i, s in enumerate(subnets) if s.contains(packet.source)), None)
        destination = next((i for i, s in enumerate(subnets) if s.contains(packet.destination)), None)
        return source != destination

    def _answer(self, number: int, listing: PointList, direction: str, packet: Packet) -> PointVerdict:
        entries = self._entries.get(number)
        if entries is None:
            entries = [(e.permit, e.boxes, e.label) for e in first_match(listing).entries]
            self._entries[number] = entries
        permit, label = listing.default_permit, "implicit end"
        for entry_permit, boxes, entry_label in entries:
            if any(box_contains(box, packet) for box in boxes):
                permit, label = entry_permit, entry_label
                break
        origins: Mapping[str, Origin] = listing.origins
        origin = origins.get(label, Origin("default"))
        return PointVerdict(listing.point, listing.name, listing.kind, direction, permit, enforces(listing), label, origin)
