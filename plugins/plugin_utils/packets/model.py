# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets, boxes of packets and first-match lists.

Fields, in the order of the diagram's levels:

- ``protocol``: 256 * is_ipv6 + IP protocol number, so that one set holds both families;
- ``detail``: TCP: the low six flag bits (FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32); ICMP and ICMPv6: type * 256 + code;
  every other protocol: 0;
- ``fragment``: 1 for a non-initial fragment, else 0;
- ``destination``, ``source``: the address as an integer;
- ``destination_port``, ``source_port``: 0 for protocols without ports;
- ``destination_group``, ``source_group``: security group tags; 0 is the unknown tag. A list at a point that sees no tags restricts
  neither, and then no diagram tests them.

A non-initial fragment carries no layer-4 header: its detail and ports are 0.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import FIELD_MAXIMUM, IntervalSet

FIELDS: tuple[str, ...] = tuple(FIELD_MAXIMUM)
IPV6 = 256
ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
PORT_PROTOCOLS = (TCP, UDP, 33, 132, 136)  # DCCP, SCTP, UDP-Lite have the same two port fields
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
FLAG_NAMES = {FIN: "fin", SYN: "syn", RST: "rst", PSH: "psh", ACK: "ack", URG: "urg"}

ALL: dict[str, IntervalSet] = {name: IntervalSet.everything(name) for name in FIELDS}
IPV4_PROTOCOLS = IntervalSet.of((0, 255))
IPV6_PROTOCOLS = IntervalSet.of((256, 511))
IPV4_ADDRESSES = IntervalSet.of((0, (1 << 32) - 1))
IPV6_ADDRESSES = IntervalSet.of((0, (1 << 128) - 1))
PORTS = IntervalSet.of((0, 65535))
# TCP segments that IOS calls established: ACK or RST is set (facts/devices.md section 1.1).
ESTABLISHED = IntervalSet.of(*(flags for flags in range(64) if flags & (ACK | RST)))


@dataclass(frozen=True)
class Box:
    """All packets whose every field lies in the given set; a field not given is unrestricted."""

    protocol: IntervalSet = ALL["protocol"]
    detail: IntervalSet = ALL["detail"]
    fragment: IntervalSet = ALL["fragment"]
    destination: IntervalSet = ALL["destination"]
    source: IntervalSet = ALL["source"]
    destination_port: IntervalSet = ALL["destination_port"]
    source_port: IntervalSet = ALL["source_port"]
    destination_group: IntervalSet = ALL["destination_group"]
    source_group: IntervalSet = ALL["source_group"]

    def replace(self, **changes: IntervalSet) -> Box:
        """Return a box with some fields replaced."""
        return replace(self, **changes)

    def sets(self) -> tuple[IntervalSet, ...]:
        """Return the sets of the fields, in the order of ``FIELDS``."""
        return (
            self.protocol, self.detail, self.fragment, self.destination, self.source, self.destination_port, self.source_port,
            self.destination_group, self.source_group,
        )  # fmt: skip

    def intersect(self, other: Box) -> Box:
        """Return the packets in both boxes."""
        return Box(*(mine.intersect(yours) for mine, yours in zip(self.sets(), other.sets(), strict=True)))

    def overlaps(self, other: Box) -> bool:
        """Return whether the boxes share field values (and so a packet, if the box is one of possible packets)."""
        return (  # what most often differs first
            self.destination_port.overlaps(other.destination_port)
            and self.destination.overlaps(other.destination)
            and self.source.overlaps(other.source)
            and self.protocol.overlaps(other.protocol)
            and self.source_port.overlaps(other.source_port)
            and self.detail.overlaps(other.detail)
            and self.fragment.overlaps(other.fragment)
            and self.destination_group.overlaps(other.destination_group)
            and self.source_group.overlaps(other.source_group)
        )

    def covers(self, other: Box) -> bool:
        """Return whether every packet of the other box is in this one."""
        return all(mine.covers(yours) for mine, yours in zip(self.sets(), other.sets(), strict=True))

    @property
    def is_empty(self) -> bool:
        """Whether some field has no value, so that no packet is in the box."""
        return any(values.is_empty for values in self.sets())


@dataclass(frozen=True)
class Packet:
    """One packet as a filter sees it."""

    protocol: int
    detail: int
    fragment: int
    destination: int
    source: int
    destination_port: int
    source_port: int
    destination_group: int = 0
    source_group: int = 0

    @property
    def is_ipv6(self) -> bool:
        """Whether the packet is IPv6."""
        return self.protocol >= IPV6

    @property
    def ip_protocol(self) -> int:
        """The IP protocol number, 0 to 255."""
        return self.protocol % IPV6

    def values(self) -> tuple[int, ...]:
        """Return the field values in the order of ``FIELDS``."""
        return (
            self.protocol, self.detail, self.fragment, self.destination, self.source, self.destination_port, self.source_port,
            self.destination_group, self.source_group,
        )  # fmt: skip

    def mirror(self) -> Packet:
        """Return the answer to this packet: ends swapped; TCP: ACK set and, for an opening SYN, SYN kept; echo: echo reply."""
        detail = self.detail
        if self.fragment == 0 and self.ip_protocol == TCP:
            detail = SYN | ACK if detail & SYN and not detail & ACK else ACK
        elif self.fragment == 0:
            detail = _ECHO_REPLIES.get((self.protocol, detail >> 8), detail >> 8) << 8 | detail & 255
        return replace(
            self, detail=detail, destination=self.source, source=self.destination,
            destination_port=self.source_port, source_port=self.destination_port,
            destination_group=self.source_group, source_group=self.destination_group,
        )  # fmt: skip

    def describe(self) -> str:
        """Return the packet as one line of readable text."""
        from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.text import packet_text

        return packet_text(self)


_ECHO_REPLIES = {(ICMP, 8): 0, (ICMP, 0): 8, (IPV6 + ICMPV6, 128): 129, (IPV6 + ICMPV6, 129): 128}


@dataclass(frozen=True)
class Entry:
    """One entry of a list: an action for the union of some boxes. ``label`` says where it comes from.

    ``condition`` is the canonical text of what the entry demands besides and no field holds ("time-range WORK"); the boxes are
    then the most it can match. The same text is taken for the same condition wherever it stands, so texts must name
    what they depend on; different texts are taken to be independent.
    """

    permit: bool
    boxes: tuple[Box, ...]
    label: str = ""
    number: int = 0
    condition: str = ""


@dataclass(frozen=True)
class FirstMatchList:
    """Entries of which the first that matches decides; ``default_permit`` decides where none does.

    The last ``fixed`` entries are what a platform adds by itself: like the default they decide packets, but nobody can remove them.
    """

    entries: tuple[Entry, ...]
    default_permit: bool = False
    name: str = ""
    fixed: int = 0

    @property
    def written(self) -> int:
        """How many entries, from the first, somebody wrote and can remove."""
        return max(0, len(self.entries) - self.fixed)

    @property
    def is_conditional(self) -> bool:
        """Whether some entry has a condition, so that some packets may have no certain verdict."""
        return any(entry.condition for entry in self.entries)


def make_packet(
    protocol: int,
    source: str,
    destination: str,
    destination_port: int = 0,
    source_port: int = 0,
    *,
    flags: int = SYN,
    icmp: tuple[int, int] = (8, 0),
    fragment: bool = False,
    destination_group: int = 0,
    source_group: int = 0,
) -> Packet:
    """Return a packet from an IP protocol number (0 to 255) and written addresses; family from the addresses.

    ``flags`` counts for TCP only (default: an opening SYN), ``icmp`` (type, code) for ICMP and ICMPv6 only. Raises ValueError
    for addresses that do not parse or are of two families, and for numbers out of range.
    """
    server, client = ipaddress.ip_address(destination), ipaddress.ip_address(source)
    if server.version != client.version:
        raise ValueError("source and destination are of different address families")
    if not 0 <= protocol <= 255 or not 0 <= destination_port <= 65535 or not 0 <= source_port <= 65535:
        raise ValueError("protocol or port out of range")
    if not 0 <= destination_group <= 65535 or not 0 <= source_group <= 65535:
        raise ValueError("group out of range")
    detail = 0
    if protocol == TCP:
        detail = flags & 63
    elif protocol == (ICMPV6 if server.version == 6 else ICMP):
        detail = icmp[0] << 8 | icmp[1]
    if fragment:
        detail = 0
    ported = protocol in PORT_PROTOCOLS and not fragment
    return Packet(
        protocol + (IPV6 if server.version == 6 else 0), detail, int(fragment), int(server), int(client),
        destination_port if ported else 0, source_port if ported else 0, destination_group, source_group,
    )  # fmt: skip


def possible_boxes() -> tuple[Box, ...]:
    """Return disjoint boxes that hold exactly the packets that can exist (see the module's text)."""
    zero, whole, later = IntervalSet.single(0), IntervalSet.single(0), IntervalSet.single(1)
    result: list[Box] = []
    for base, addresses, icmp in ((0, IPV4_ADDRESSES, ICMP), (IPV6, IPV6_ADDRESSES, ICMPV6)):
        ports = IntervalSet.of(*(base + number for number in PORT_PROTOCOLS if number != TCP))
        every = IntervalSet.of((base, base + 255))
        tcp, messages = IntervalSet.single(base + TCP), IntervalSet.single(base + icmp)
        rest = every.subtract(tcp).subtract(messages).subtract(ports)
        here = Box(destination=addresses, source=addresses)
        flags = IntervalSet.of((0, 63))
        bare = here.replace(detail=zero, destination_port=zero, source_port=zero)
        result.append(here.replace(protocol=tcp, detail=flags, fragment=whole))
        result.append(here.replace(protocol=ports, detail=zero, fragment=whole))
        result.append(here.replace(protocol=messages, fragment=whole, destination_port=zero, source_port=zero))
        result.append(bare.replace(protocol=rest, fragment=whole))
        result.append(bare.replace(protocol=every, fragment=later))
    return tuple(result)
