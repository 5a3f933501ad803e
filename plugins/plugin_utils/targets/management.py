# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""By which conversations a switch is managed, and whether a list lets them pass. Pure; alike for IOS and NX-OS.

A conversation whose addresses are not known, or are of two families, is never taken to pass: it is said (facts/devices.md section 5.3).
A server that the device knows by a name only passes where packets from every address do.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code, Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.once import once
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import first_match
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import (
    PacketSet,
    PacketSpace,
    permitted,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import (
    ACK,
    IPV4_ADDRESSES,
    IPV6_ADDRESSES,
    SYN,
    Box,
    Packet,
    make_packet,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_services import Services

TCP, UDP = 6, 17
SSH, CLIENT_PORT, NTP = 22, 50000, 123
DHCP_SERVER, DHCP_CLIENT = 67, 68
CONTROLLER = "the controller"
WORDS = {
    "radius": "RADIUS", "radius-tls": "RADIUS over TLS", "tacacs": "TACACS+", "coa": "change of authorization",
    "coa-tls": "change of authorization over TLS", "ntp": "NTP", "relay": "DHCP relay",
}  # fmt: skip
# What a switch cannot be managed without; the others are told and do not stop a change.
LIFELINES = frozenset({CONTROLLER, *(words for kind, words in WORDS.items() if kind != "ntp")})

Place = tuple[Any, ...]  # interface, direction, and on some platforms family or command


@dataclass(frozen=True)
class Conversation:
    """One conversation of a switch with what manages it or what it needs.

    ``far`` and ``near``: the addresses of the other end and of the switch (empty where not known), with their ports (0 to 65535);
    ``far_opens``: the other end sends the first packet; ``interfaces``: those by which its packets may arrive; ``known``: the switch's
    tables tell them, down to the port; ``leaves``: also what the switch sends is judged, by lists in the direction out; ``name``: how
    the switch calls the other end, where it names no address. Without an address as well, its packets may come in anywhere.
    """

    what: str
    protocol: int
    far: str
    far_port: int
    near: str
    near_port: int
    far_opens: bool
    interfaces: tuple[str, ...] = ()
    known: bool = True
    leaves: bool = False
    name: str = ""

    @property
    def unresolved(self) -> bool:
        """Return whether the switch calls the other end by a name and tells no address of it."""
        return bool(self.name) and not self.far

    @property
    def family(self) -> int:
        """Return 4 or 6; 0 where an address is not known or the two are of different families."""
        found = {version(self.far), version(self.near)}
        return found.pop() if len(found) == 1 else 0

    def packet(self, direction: str) -> Packet:
        """Return the packet that a list in this direction sees first; ValueError where the addresses are not known."""
        if direction == "out":
            flags = SYN | ACK if self.far_opens else SYN
            return make_packet(self.protocol, self.near, self.far, self.far_port, self.near_port, flags=flags)
        flags = SYN if self.far_opens else SYN | ACK
        return make_packet(self.protocol, self.far, self.near, self.near_port, self.far_port, flags=flags)

    def seen_at(self, place: Place, family: int) -> bool:
        """Return whether a list of a family at a place would judge it: lists see their own family only."""
        if (place[0] not in self.interfaces and not self.unresolved) or (place[1] == "out" and not self.leaves):
            return False
        if self.family:
            return self.family == family
        return family in ({version(self.far), version(self.near)} - {0} or {4, 6})


def controller(client: str, device: str, interfaces: tuple[str, ...], known: bool, port: int = SSH) -> Conversation:
    """Return the session of whoever runs this: SSH from ``client`` to ``device``, on the port that the device listens on."""
    return Conversation(CONTROLLER, TCP, client, CLIENT_PORT, device, port, True, interfaces, known, True)


def server(kind: str, address: str, port: int, near: str, interfaces: tuple[str, ...], known: bool) -> Conversation:
    """Return a conversation with a server: ``kind`` is one of WORDS. RADIUS over DTLS is radius with its port (RFC 7360)."""
    what = WORDS[kind]
    if kind in ("tacacs", "radius-tls"):  # RFC 6614 for the latter
        return Conversation(what, TCP, address, port, near, CLIENT_PORT, False, interfaces, known)
    if kind in ("coa", "coa-tls"):
        protocol = UDP if kind == "coa" else TCP
        return Conversation(what, protocol, address, CLIENT_PORT, near, port, True, interfaces, known)
    own = {"ntp": NTP, "relay": DHCP_SERVER}.get(kind, CLIENT_PORT)
    return Conversation(what, UDP, address, port, near, own, False, interfaces, known)


def named_server(kind: str, name: str, port: int, nears: Sequence[str], six: bool) -> list[Conversation]:
    """Return the conversations with a server whose name the device did not resolve: one for each address that it is asked from.

    ``nears``: those, none where it may be any of the device's own; ``six``: it has IPv6 addresses.
    """
    own = [near for near in nears if near] or ["0.0.0.0", *(["::"] if six else [])]  # noqa: S104
    return [replace(server(kind, "", port, near, (), False), name=name) for near in dict.fromkeys(own)]


def local_services(services: Services, ways: tuple[str, ...], known: bool, device: str) -> list[Conversation]:
    """Return the conversations with NTP servers and with DHCP servers behind a relay, looked for in connected subnets alone.

    ``ways``: the interfaces by which they come where no subnet tells, ``known`` whether those are; ``device``: the switch's address.
    """
    made = []
    for kind, near, address in (
        *(("relay", services.address(interface), address) for interface, address in services.helpers),
        *(("ntp", "", address) for address in services.ntp),
    ):
        subnet = services.connected(address)
        by = (subnet,) if subnet else ways
        near = near or next((own for name in by if (own := services.address(name))), device)
        if version(near) == 4:  # without an IPv4 address of its own it asks no such server
            made.append(server(kind, address, DHCP_SERVER if kind == "relay" else NTP, near, by, bool(subnet) or known))
    return made


def relaying(services: Services) -> tuple[str, ...]:
    """Return the interfaces that relay DHCP."""
    return tuple(sorted({interface for interface, _address in services.helpers}))


def version(address: str) -> int:
    """Return 4 or 6, and 0 for what is no address."""
    try:
        return ipaddress.ip_address(address).version
    except ValueError:
        return 0


def cut(
    platform: str, where: str, content: str, place: Place, family: int, conversations: Sequence[Conversation]
) -> list[Finding]:
    """Return what a list at a place would cut, or might: each conversation with the packet that is dropped. ``where``: in words.

    Errors (SW4263, and SW4460 where an address is not known) for what a switch cannot be managed without; a warning (SW4462) else.
    """
    found: dict[Finding, None] = {}
    for each in conversations:
        if not each.seen_at(place, family):
            continue
        if each.unresolved:
            if not passes_from_anywhere(platform, content, each):
                text = f"{where}: {each.what} {each.name[:80]}: answers from its address would be dropped, or might be"
                found[codes.SERVER_NAME.at(text)] = None
            continue
        if not each.family:
            text = (
                f"{where}: {each.what}: from {each.far or 'an unknown address'} to {each.near or 'an unknown address'}"
            )
            found[codes.MANAGEMENT_UNKNOWN.at(text)] = None
            continue
        packet = each.packet(str(place[1]))
        if packet not in passing(platform, content):
            code: Code = codes.MANAGEMENT_CUT if each.what in LIFELINES else codes.SERVICE_CUT
            found[code.at(f"{where}: {each.what}: {packet.describe()} would be dropped, or might be")] = None
    return list(found)


def judged(
    platform: str,
    where: str,
    content: str,
    place: Place,
    family: int,
    conversations: Sequence[Conversation],
    relays: Collection[str],
    trusted: Collection[str],
) -> list[Finding]:
    """Return what a list at a place would cut of the conversations and, inbound, of DHCP: see ``cut``.

    ``relays``: interfaces that relay DHCP; ``trusted``: ports where its answers come in.
    """
    found = cut(platform, where, content, place, family, conversations)
    if family == 4 and place[1] == "in":
        if place[0] in relays and cuts_dhcp_clients(platform, content):
            found.append(codes.DHCP_CUT.at(f"{where}: clients would not reach the relay"))
        if place[0] in trusted and cuts_dhcp_servers(platform, content):
            found.append(codes.DHCP_CUT.at(f"{where}: no answer of a server would come in"))
    return found


@dataclass(frozen=True)
class ManagementPath:
    """How a device is managed: the controller's session first, then what else it talks to, each by its own interfaces.

    ``relays``: interfaces that relay DHCP; ``trusted``: ports where its answers come in; ``routed``: interfaces with an address.
    """

    conversations: tuple[Conversation, ...]
    relays: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
    routed: tuple[str, ...] = ()

    @property
    def client(self) -> str:
        """Return the controller's address, empty where it is not known."""
        return self.conversations[0].far

    @property
    def exposed(self) -> frozenset[str]:
        """Return the interfaces by which the controller may come."""
        return frozenset(self.conversations[0].interfaces)

    @property
    def known(self) -> bool:
        """Return whether the device's tables tell the controller's way down to the port."""
        return self.conversations[0].known

    def may_cut(self, places: Iterable[Place]) -> bool:
        """Return whether a list on one of the places could be on management's way: certain, or not known not to be."""
        lifelines = [each for each in self.conversations if each.what in LIFELINES]
        by = {name for each in lifelines for name in each.interfaces}
        return not self.known or any(each.unresolved for each in lifelines) or any(place[0] in by for place in places)

    def judged(self, platform: str, where: str, content: str, place: Place, family: int) -> list[Finding]:
        """Return what a list at a place would cut, or might; see ``judged`` below."""
        return judged(platform, where, content, place, family, self.conversations, self.relays, self.trusted)

    def unknown_ways(self, name: str, kinds: Collection[str] = LIFELINES) -> list[Finding]:
        """Return a warning that names the servers of these kinds whose way in the device does not tell."""
        return unknown_ways(name, self.conversations[1:], kinds)

    def as_text(self) -> str:
        """Return it for a snapshot."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def of_text(cls, text: str) -> ManagementPath:
        """Return what ``as_text`` wrote."""
        values = json.loads(text)
        made = [Conversation(**{**each, "interfaces": tuple(each["interfaces"])}) for each in values["conversations"]]
        return cls(tuple(made), *(tuple(values.get(key, ())) for key in ("relays", "trusted", "routed")))


def unknown_ways(name: str, conversations: Sequence[Conversation], kinds: Collection[str]) -> list[Finding]:
    """Return a warning that names the servers of these kinds whose way in the switch does not tell."""
    unknown = sorted(
        {f"{each.what} {each.far or each.name}" for each in conversations if not each.known and each.what in kinds}
    )
    return [codes.MANAGEMENT_WAY.at(f"{name}: {', '.join(unknown)[:200]}")] if unknown else []


def cuts_dhcp_clients(platform: str, content: str) -> bool:
    """Return whether a list drops the first packet of a client without an address: an inbound one before a relay sees these packets."""
    packet = make_packet(UDP, "0.0.0.0", "255.255.255.255", DHCP_SERVER, DHCP_CLIENT)  # noqa: S104
    return packet not in passing(platform, content)


@once(128)
def cuts_dhcp_servers(platform: str, content: str) -> bool:
    """Return whether no answer of any DHCP server would pass: for ports where they come in (trusted by DHCP snooping)."""
    ports = {
        "destination_port": IntervalSet.of((DHCP_SERVER, DHCP_CLIENT)),
        "source_port": IntervalSet.single(DHCP_SERVER),
    }
    # A space of its own: that of ``passing`` is read by many threads at once, and making a set in it writes into its tables.
    space = PacketSpace()
    allowed = permitted(space, first_match(platform, content))
    answers = Box(protocol=IntervalSet.single(UDP), fragment=IntervalSet.single(0), **ports)
    return not allowed.overlaps(space.from_box(answers))


@once(256)
def passes_from_anywhere(platform: str, content: str, each: Conversation) -> bool:
    """Return whether the first packet of the other end surely passes, whatever its address is. The unspecified address: any of ours."""
    six = version(each.near) == 6
    addresses = IPV6_ADDRESSES if six else IPV4_ADDRESSES
    packet = replace(each, far="::" if six else "0.0.0.0").packet("in")  # noqa: S104
    own = addresses if ipaddress.ip_address(each.near).is_unspecified else IntervalSet.single(packet.destination)
    single = IntervalSet.single
    wanted = Box(
        protocol=single(packet.protocol), detail=single(packet.detail), fragment=single(0), destination=own, source=addresses,
        destination_port=single(packet.destination_port), source_port=single(packet.source_port),
    )  # fmt: skip
    space = PacketSpace()  # of its own: see cuts_dhcp_servers
    allowed = permitted(space, first_match(platform, content))
    return space.from_box(wanted).is_subset_of(allowed)


@once(128)
def passing(platform: str, content: str) -> PacketSet:
    """Return the packets that a list surely lets pass. Shared by threads: to be asked with ``in``, and nothing else made in its space."""
    return permitted(PacketSpace(), first_match(platform, content))


__all__ = [
    "Conversation",
    "ManagementPath",
    "controller",
    "cut",
    "cuts_dhcp_clients",
    "cuts_dhcp_servers",
    "judged",
    "local_services",
    "named_server",
    "passes_from_anywhere",
    "passing",
    "relaying",
    "server",
    "unknown_ways",
    "version",
]
