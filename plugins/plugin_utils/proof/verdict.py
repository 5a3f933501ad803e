# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every enforcement point on its way says about one conversation, and by which rule.

A walk over the compiled lines, plain enough to check the set-based proofs with.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import Pieces, pieces_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Origin, PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import (
    ICMP_ANSWERS,
    holders_of_addresses,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.sides import (
    Sides,
    Way,
    gateway_addresses,
    sides_of,
    ways_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ranges import span_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.lookup import Lookup
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.points import (
    LINK_LOCAL,
    cell_targets,
    enforces,
    filtered_members,
    first_match,
    judges_icmp_answers,
    port_of,
    shared_ports,
)

TCP, UDP = 6, 17
PORT_PROTOCOLS = (TCP, UDP, 33, 132, 136)
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
        detail = SYN if self.protocol == TCP else (self.server_port if self.protocol in ICMP_ANSWERS else 0)
        return self._packet(self.client, self.server, self.client_port, self.server_port, detail)

    def reply(self) -> Packet | None:
        """Return the first packet back, or None where nothing answers: ICMP that is no request, and multicast."""
        detail = SYN_ACK if self.protocol == TCP else 0
        if self.protocol in ICMP_ANSWERS:
            answer = ICMP_ANSWERS[self.protocol].get(self.server_port >> 8)
            if answer is None:
                return None
            detail = answer << 8
        if is_group(self.family, self.server):
            return None
        return self._packet(self.server, self.client, self.server_port, self.client_port, detail)

    def _packet(self, source: int, destination: int, source_port: int, destination_port: int, detail: int) -> Packet:
        has_ports = self.protocol in PORT_PROTOCOLS
        return Packet(
            protocol=self.protocol + (256 if self.family == 6 else 0),
            detail=detail,
            fragment=0,
            destination=destination,
            source=source,
            destination_port=destination_port if has_ports else 0,
            source_port=source_port if has_ports else 0,
        )


def routes(direction: str, subnet: IntervalSet, own: IntervalSet, source: int, destination: int) -> bool:
    """Return whether a packet passes an interface's list: it leaves the subnet, or it is routed to it from elsewhere."""
    inside, outside = (source, destination) if direction == "in" else (destination, source)
    return (
        subnet.contains(inside) and not subnet.contains(outside) and not (direction == "out" and own.contains(source))
    )


def is_group(family: int, address: int) -> bool:
    """Return whether an address is multicast or the limited broadcast."""
    if family == 6:
        return address >> 120 == 0xFF
    return address >> 28 == 0xE or address == 0xFFFFFFFF


@dataclass(frozen=True)
class PointVerdict:
    """What one list says about one packet of a conversation. ``entry``: the place of the deciding line from 1, 0 for the list's end."""

    point: str
    list_name: str
    kind: str
    direction: str
    permit: bool
    enforced: bool
    label: str
    origin: Origin
    entry: int = 0

    @property
    def stops(self) -> bool:
        """Whether the packet ends here."""
        return self.enforced and not self.permit

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
    """All points' answers. ``permitted``: the conversation works, opener and reply pass every enforcing point that sees them.

    ``blocked``: nothing gets through that matters. The two are not opposites: a UDP datagram or an ICMP message whose answer alone
    is stopped is neither permitted nor blocked, because it has done its work when it arrives.
    """

    permitted: bool
    points: tuple[PointVerdict, ...]
    blocked: bool = False

    @property
    def covered(self) -> bool:
        """Return whether any point sees the conversation at all."""
        return bool(self.points)

    def deciding(self) -> PointVerdict | None:
        """Return the first answer that stops the conversation, else the first that names a rule, else the first."""
        for item in self.points:
            if item.stops:
                return item
        for item in self.points:
            if item.origin.rule:
                return item
        return self.points[0] if self.points else None


class Evaluator:
    """Answers for single conversations over all lists of a compiled site."""

    def __init__(self, site: Site, lists: Sequence[PointList]) -> None:
        self.site = site
        self.lists = lists
        self._lookups: dict[int, Lookup] = {}
        self._parts: dict[tuple[int, tuple[str, ...]], Lookup] = {}
        self._firewalls: list[int] = []
        self._asas: list[int] = []
        self._sides: dict[tuple[str, int], Sides] = {}
        self._holders = holders_of_addresses(site)
        self._from: dict[tuple[int, int], tuple[int, ...]] = {}  # family, address to the access lists that filter it
        self._on_ports: dict[str, list[int]] = defaultdict(list)  # segment to its lists on ports
        self._filtered: dict[int, frozenset[int]] = {}  # list to the addresses whose packets pass it
        self._routed: list[tuple[int, PointList, IntervalSet, IntervalSet]] = []
        self._cells: dict[tuple[int, str, str], list[int]] = defaultdict(list)
        self._ways: dict[int, tuple[Way, ...]] = {}  # what is said of the ways of a gateway's list
        self._ports: dict[tuple[int, int], tuple[str, str]] = {}
        shared = shared_ports(site)
        # Only what may share a port is asked for it: other devices at it, or other addresses of the device.
        together = [
            member
            for members in site.members.values()
            for member in members
            if len(member.addresses) > 1 or (shared and (member.switch, member.interface) in shared)
        ]
        for member in together:
            if port := port_of(site, member):
                self._ports.update((span_of(text)[:2], port) for text in member.addresses)
        self._unseen: dict[tuple[str, str, int], IntervalSet] = {}  # the same for every cell of a column
        self._beyond: dict[int, IntervalSet] = {}  # cell to the receivers where it is not surely enforced
        for number, listing in enumerate(lists):
            self._place(number, listing)

    def _place(self, number: int, listing: PointList) -> None:
        if listing.kind == "firewall":
            self._firewalls.append(number)
            if judges_icmp_answers(listing):
                self._asas.append(number)
        elif listing.kind == "sgacl":
            self._cells[listing.family, listing.segment, listing.peer].append(number)
            column = listing.point, listing.peer, listing.family
            unseen = self._unseen.get(column)
            if unseen is None:
                whole, surely = (cell_targets(self.site, listing, sure) for sure in (False, True))
                unseen = self._unseen[column] = whole.subtract(surely)
            if unseen:
                self._beyond[number] = unseen
        elif listing.kind == "router_acl":
            self._routed.append((number, listing, *gateway_addresses(self.site, listing)))
            self._ways[number] = ways_of(self.site, self.site.points[listing.point], listing.family)
        else:
            self._on_ports[listing.segment].append(number)

    def _port_lists(self, family: int, address: int) -> tuple[int, ...]:
        """Return the lists on ports that filter what an address sends, rising."""
        found = self._from.get((family, address))
        if found is None:
            near = {n for name in self.segments_of(family, address) for n in self._on_ports.get(name, ())}
            chosen = (n for n in sorted(near) if self.lists[n].family == family)
            found = self._from[family, address] = tuple(n for n in chosen if address in self._addresses_of(n))
        return found

    def _addresses_of(self, number: int) -> frozenset[int]:
        """Return the addresses of a list's family whose packets surely pass it."""
        found = self._filtered.get(number)
        if found is None:
            listing = self.lists[number]
            members = filtered_members(self.site, listing, surely=True)
            spans = (span_of(text) for member in members for text in member.addresses)
            found = self._filtered[number] = frozenset(low for family, low, _high in spans if family == listing.family)
        return found

    def segments_of(self, family: int, address: int) -> Set[str]:
        """Return the segments that hold a device with the address."""
        return self._holders.at((family, address))

    def held(self) -> Mapping[tuple[int, int], Set[str]]:
        """Return the segments of each address (family and number) that a device has."""
        return {place: self._holders.at(place) for place in self._holders.first}

    def passes(self, number: int, packet: Packet) -> bool:
        """Return whether a list lets a packet pass; of a firewall's list only the parts that concern its sender are made."""
        listing = self.lists[number]
        if not enforces(listing):
            return True
        pieces = pieces_of(listing)
        lookup = self.lookup(number) if pieces is None else self._around(number, pieces, packet)
        entry = lookup.deciding(packet)
        return entry.permit if entry else lookup.default_permit

    def _around(self, number: int, pieces: Pieces, packet: Packet) -> Lookup:
        names = pieces.concerned(self.segments_of(6 if packet.protocol > 255 else 4, packet.source))
        found = self._parts.get((number, names))
        if found is None:
            found = self._parts[number, names] = Lookup(first_match(pieces.around(names)))
        return found

    def lookup(self, number: int) -> Lookup:
        """Return the entries of a list of ``lists``, found by address."""
        found = self._lookups.get(number)
        if found is None:
            found = self._lookups[number] = Lookup(first_match(self.lists[number]))
        return found

    def seen_by(self, family: int, source: int, destination: int, stateful: bool = True) -> Iterator[int]:
        """Yield the numbers of the lists that see packets between two addresses, in their order within each kind.

        With ``stateful`` False firewalls are left out: a reply passes them with its connection (but: ``judging_icmp``).
        """
        if stateful:
            yield from self._crossed(self._firewalls, family, source, destination)
        if (family, source) not in self._ports or self._ports[family, source] != self._ports.get((family, destination)):
            yield from self._port_lists(family, source)
        ends = (source, destination) if stateful else (destination, source)
        for number, listing, subnet, own in self._routed:
            if listing.family == family and routes(listing.direction, subnet, own, source, destination):
                if next((way.crosses for way in self._ways.get(number, ()) if way.fits(*ends)), True):
                    yield number
        if family == 6 and (LINK_LOCAL.contains(source) or LINK_LOCAL.contains(destination)):
            return
        for client in self.segments_of(family, source) if self._cells else ():
            for server in self.segments_of(family, destination):
                for number in self._cells.get((family, client, server), ()):
                    if number not in self._beyond or not self._beyond[number].contains(destination):
                        yield number

    def judging_icmp(self, family: int, client: int, server: int) -> Iterator[int]:
        """Yield the numbers of the firewalls' lists that judge an answer to ICMP as well, where its opener crossed them."""
        return self._crossed(self._asas, family, client, server)

    def _crossed(self, firewalls: Sequence[int], family: int, source: int, destination: int) -> Iterator[int]:
        for number in firewalls:
            if self._sides_of(self.lists[number].point, family).crosses(source, destination):
                yield number

    def _sides_of(self, point: str, family: int) -> Sides:
        found = self._sides.get((point, family))
        if found is None:
            found = self._sides[point, family] = sides_of(self.site, self.site.points[point], family)
        return found

    def asked(self, conversation: Conversation) -> list[tuple[int, int, Packet]]:
        """Return which lists see the opener (0) and its first reply (1), in the order of the lists, with the packet."""
        family, forward, reply = conversation.family, conversation.forward(), conversation.reply()
        found = [(number, 0, forward) for number in self.seen_by(family, forward.source, forward.destination)]
        if reply is not None:
            found += [(number, 1, reply) for number in self.seen_by(family, reply.source, reply.destination, False)]
            if conversation.protocol in ICMP_ANSWERS:
                found += [(n, 1, reply) for n in self.judging_icmp(family, forward.source, forward.destination)]
        return sorted(found, key=lambda item: item[:2])

    def verdict(self, conversation: Conversation) -> Verdict:
        """Return what every list on the way says about the opener and its first reply, in the order of the lists."""
        found = self.asked(conversation)
        answers = tuple(self._answer(number, packet, "reply" if way else "forward") for number, way, packet in found)
        stops = [answer for answer in answers if answer.stops]
        blocked = bool(stops) and (conversation.protocol == TCP or any(item.direction == "forward" for item in stops))
        return Verdict(not stops, answers, blocked)

    def _answer(self, number: int, packet: Packet, direction: str) -> PointVerdict:
        listing, lookup = self.lists[number], self.lookup(number)
        entry = lookup.deciding(packet)
        permit, label = (entry.permit, entry.label) if entry else (lookup.default_permit, "implicit end")
        origins: Mapping[str, Origin] = listing.origins
        origin = origins.get(label, Origin("default"))
        place = entry.number + 1 if entry else 0
        return PointVerdict(
            listing.point, listing.name, listing.kind, direction, permit, enforces(listing), label, origin, place
        )
