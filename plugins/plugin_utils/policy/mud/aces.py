# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One access control entry of a MUD file to a value, or to the reason why it cannot be said.

The keys of RFC 8519 section 4 with the augmentations of RFC 8520 sections 6 and 8. A key that is not known here makes the entry
one that is not imported: to leave a condition out would permit more than the maker declared.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code, Finding, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.model import (
    DEVICE,
    ICMP,
    ICMPV6,
    PEER,
    TCP,
    UDP,
    MudEntry,
    Peer,
)

ETHERTYPES = {4: 0x0800, 6: 0x86DD}
FORWARDING = {"accept": True, "drop": False, "reject": False}
PORTS = (0, 65535)
HOST_NAME = re.compile(
    r"\A(?=.{1,253}\Z)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_-]{1,63}\.?\Z"
)
MUD_URI = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9+.:/_?=&%~#@-]{0,299}\Z")
MAC = re.compile(r"\A[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}\Z")
FLAGS = {"local-networks": "local_networks", "my-controller": "my_controller", "same-manufacturer": "same_manufacturer"}
NAMED = {"controller": "controller", "manufacturer": "manufacturer", "model": "model"}
# IPv6 extension headers are no upper-layer protocol: no list can match the message behind them by this number.
EXTENSION_HEADERS = (0, 43, 44, 51, 60, 135)


class _CannotSay(Exception):
    """The entry has a meaning that no rule has."""

    def __init__(self, code: Code, text: str) -> None:
        self.code, self.text = code, text
        super().__init__(text)


def shown(value: object) -> str:
    """Return a value of a stranger's file for a message: short, quoted, ASCII."""
    return ascii(value)[:80]


def entry_of(
    value: Mapping[str, Any], kind: str, outgoing: bool, place: Location
) -> tuple[MudEntry | None, list[Finding]]:
    """Return the entry and remarks on it; None with the reason where it cannot be said.

    ``kind`` is the type of its list (``ipv4-acl-type`` ...), ``outgoing`` whether the list is for packets from the device.
    """
    reading = _Ace(value, kind, outgoing, place)
    try:
        return reading.entry(), reading.findings
    except _CannotSay as error:
        return None, [error.code.at(f"entry {shown(value.get('name', ''))}: {error.text}", place)]


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _CannotSay(codes.BAD_VALUE, f"{what} is no mapping")
    return value


class _Ace:
    def __init__(self, value: Mapping[str, Any], kind: str, outgoing: bool, place: Location) -> None:
        self.value, self.kind, self.outgoing, self.place = value, kind, outgoing, place
        self.findings: list[Finding] = []
        self.peers: set[Peer] = set()
        self.family = 6 if kind.startswith("ipv6") else 4 if kind.startswith("ipv4") else 0
        self.protocol: int | None = None
        self.device_ports: IntervalSet | None = None
        self.peer_ports: IntervalSet | None = None
        self.icmp: tuple[int, int | None] | None = None
        self.opener = ""
        self.mac = ""

    def entry(self) -> MudEntry:
        matches = _mapping(self.value.get("matches", {}), "matches")
        readers: dict[str, Callable[[Mapping[str, Any]], None]] = {
            "ietf-mud:mud": self._mud, "mud": self._mud, "ipv4": self._ipv4, "ipv6": self._ipv6, "tcp": self._tcp,
            "udp": self._udp, "icmp": self._icmp, "eth": self._ethernet, "ethernet": self._ethernet, "l2": self._ethernet,
        }  # fmt: skip
        # The addresses' family first: what the Ethernet header may demand besides depends on it.
        order = sorted(matches, key=lambda key: (key in ("eth", "ethernet", "l2"), key))
        for key in order:
            if key not in readers:
                raise _CannotSay(codes.NOT_EXPRESSED, f"the match {shown(key)} has no place in a rule")
            readers[key](_mapping(matches[key], key))
        if not self.family:
            raise _CannotSay(codes.NOT_EXPRESSED, "it does not say whether it is for IPv4 or IPv6")
        self._check_mac()
        return MudEntry(
            name=self._name(),
            outgoing=self.outgoing,
            permit=self._forwarding(),
            family=self.family,
            peers=tuple(sorted(self.peers)),
            protocol=self.protocol,
            device_ports=self.device_ports,
            peer_ports=self.peer_ports,
            icmp=self.icmp,
            opener=self.opener,
            location=self.place,
        )

    def _name(self) -> str:
        name = self.value.get("name")
        if not isinstance(name, str) or not 1 <= len(name) <= 64 or not name.isprintable():
            raise _CannotSay(codes.BAD_VALUE, "an entry needs a name of 1 to 64 printable characters")
        return name

    def _forwarding(self) -> bool:
        actions = _mapping(self.value.get("actions", {}), "actions")
        word = str(actions.get("forwarding", "")).rpartition(":")[2]
        if word not in FORWARDING:
            raise _CannotSay(codes.BAD_VALUE, f"forwarding is {shown(actions.get('forwarding'))}, not accept or drop")
        return FORWARDING[word]

    def _mud(self, value: Mapping[str, Any]) -> None:
        for key, item in value.items():
            key = key.rpartition(":")[2]
            if key in FLAGS:
                self.peers.add(Peer(FLAGS[key]))
            elif key in NAMED:
                if not isinstance(item, str) or not MUD_URI.match(item):
                    raise _CannotSay(codes.BAD_VALUE, f"{key} {shown(item)} is no URI")
                self.peers.add(Peer(NAMED[key], item.lower() if key == "manufacturer" else item))
            elif key == "direction-initiated":
                self._direction(item)
            else:
                raise _CannotSay(codes.NOT_EXPRESSED, f"the match {shown(key)} has no place in a rule")

    def _direction(self, item: Any) -> None:
        opener = {"from-device": DEVICE, "to-device": PEER}.get(str(item))
        if opener is None:
            raise _CannotSay(codes.BAD_VALUE, f"direction-initiated is {shown(item)}")
        self.opener = opener

    def _ipv4(self, value: Mapping[str, Any]) -> None:
        self._network(value, 4)

    def _ipv6(self, value: Mapping[str, Any]) -> None:
        self._network(value, 6)

    def _network(self, value: Mapping[str, Any], family: int) -> None:
        if self.family not in (0, family):
            raise _CannotSay(codes.BAD_VALUE, f"a list of type {shown(self.kind)} matches IPv{family}")
        self.family = family
        peer_side, own_side = ("destination", "source") if self.outgoing else ("source", "destination")
        peer_name, own_name = ("dst-dnsname", "src-dnsname") if self.outgoing else ("src-dnsname", "dst-dnsname")
        for key, item in value.items():
            word = key.rpartition(":")[2]
            if word == "protocol":
                self._number(item)
            elif word == f"{peer_side}-ipv{family}-network":
                self._prefix(item, family)
            elif word == peer_name:
                if not isinstance(item, str) or not HOST_NAME.match(item):
                    raise _CannotSay(codes.BAD_VALUE, f"{word} {shown(item)} is no host name")
                self.peers.add(Peer("dns", item.rstrip(".").lower()))
            elif word in (f"{own_side}-ipv{family}-network", own_name):
                raise _CannotSay(codes.NOT_EXPRESSED, f"{word} speaks of the device's own address")
            else:
                raise _CannotSay(codes.NOT_EXPRESSED, f"the match {shown(word)} has no place in a rule")

    def _number(self, item: Any) -> None:
        if isinstance(item, bool) or not isinstance(item, int) or not 0 <= item <= 255:
            raise _CannotSay(codes.BAD_VALUE, f"protocol {shown(item)} is no number from 0 to 255")
        if self.family == 6 and item in EXTENSION_HEADERS:
            raise _CannotSay(
                codes.NOT_EXPRESSED, f"protocol {item} is an IPv6 extension header, behind which the message stands"
            )
        if self.protocol not in (None, item):
            raise _CannotSay(codes.BAD_VALUE, f"it demands protocols {self.protocol} and {item} at once")
        self.protocol = item

    def _prefix(self, item: Any, family: int) -> None:
        try:
            network = ipaddress.ip_network(str(item), strict=False)
            if network.version != family or "%" in str(item):
                raise ValueError("another family or a scope")
        except ValueError as error:
            raise _CannotSay(codes.BAD_VALUE, f"{shown(item)} is no IPv{family} prefix") from error
        self.peers.add(Peer("address", str(network)))

    def _tcp(self, value: Mapping[str, Any]) -> None:
        self._number(TCP)
        self._ports(value)

    def _udp(self, value: Mapping[str, Any]) -> None:
        self._number(UDP)
        self._ports(value)

    def _ports(self, value: Mapping[str, Any]) -> None:
        for key, item in value.items():
            word = key.rpartition(":")[2]
            if word == "direction-initiated" and self.protocol == TCP:
                self._direction(item)
            elif word in ("source-port", "destination-port"):
                ports = _port_set(item, word)
                if (word == "destination-port") == self.outgoing:
                    self.peer_ports = ports
                else:
                    self.device_ports = ports
            else:
                raise _CannotSay(codes.NOT_EXPRESSED, f"the match {shown(word)} has no place in a rule")

    def _icmp(self, value: Mapping[str, Any]) -> None:
        self._number(ICMPV6 if self.family == 6 or self.protocol == ICMPV6 else ICMP)
        numbers = {key: value.get(key) for key in ("type", "code")}
        extra = set(value) - set(numbers)
        if extra:
            raise _CannotSay(codes.NOT_EXPRESSED, f"the match {shown(sorted(extra)[0])} has no place in a rule")
        for key, item in numbers.items():
            if item is not None and (isinstance(item, bool) or not isinstance(item, int) or not 0 <= item <= 255):
                raise _CannotSay(codes.BAD_VALUE, f"ICMP {key} {shown(item)} is no number from 0 to 255")
        if numbers["type"] is None and numbers["code"] is not None:
            raise _CannotSay(codes.NOT_EXPRESSED, "an ICMP code without a type has no place in a rule")
        if numbers["type"] is not None:
            self.icmp = (numbers["type"], numbers["code"])

    def _ethernet(self, value: Mapping[str, Any]) -> None:
        for key, item in value.items():
            word = key.rpartition(":")[2]
            if word == "ethertype":
                number = _ethertype(item)
                if number != ETHERTYPES.get(self.family):
                    raise _CannotSay(codes.LAYER_2, f"ethertype {shown(item)} is not IP")
            elif word == "destination-mac-address" and self.outgoing and isinstance(item, str) and MAC.match(item):
                self.mac = item.lower()
            else:
                raise _CannotSay(codes.NOT_EXPRESSED, f"the match {shown(word)} has no place in a rule")

    def _check_mac(self) -> None:
        """A MAC address may be left out where the IP destination implies it (RFC 1112 section 6.4, RFC 2464 section 7)."""
        if not self.mac:
            return
        if any(peer.kind == "address" and self.mac in _macs(peer.value) for peer in self.peers):
            text = f"entry {shown(self.value.get('name', ''))}: {self.mac} follows from the destination"
            self.findings.append(codes.WIDER.at(text, self.place))
            return
        raise _CannotSay(codes.NOT_EXPRESSED, f"the destination MAC address {self.mac} has no place in a rule")


def _macs(prefix: str) -> tuple[str, ...]:
    """Return the MAC address to which packets for one multicast or broadcast address go; none for anything else."""
    network = ipaddress.ip_network(prefix)
    if network.num_addresses != 1:
        return ()
    address = network.network_address
    if network.version == 4 and int(address) == 0xFFFFFFFF:
        return ("ff:ff:ff:ff:ff:ff",)
    if not address.is_multicast:
        # A directed broadcast cannot be told from a host without the mask of its subnet.
        return ("ff:ff:ff:ff:ff:ff",) if network.version == 4 and int(address) & 255 == 255 else ()
    low = int(address) & (0x7FFFFF if network.version == 4 else 0xFFFFFFFF)
    base = 0x01005E000000 if network.version == 4 else 0x333300000000
    digits = f"{base | low:012x}"
    return (":".join(digits[i : i + 2] for i in range(0, 12, 2)),)


def _ethertype(item: Any) -> int:
    try:
        return int(str(item), 0)
    except ValueError as error:
        raise _CannotSay(codes.BAD_VALUE, f"ethertype {shown(item)} is no number") from error


def _port_set(item: Any, what: str) -> IntervalSet | None:
    """Return the ports of RFC 8519's port-range-or-operator, None for every port."""
    value = _mapping(item, what)

    def number(key: str) -> int:
        found = value.get(key)
        if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found <= 65535:
            raise _CannotSay(codes.BAD_VALUE, f"{what}: {key} {shown(found)} is no port")
        return found

    if set(value) == {"lower-port", "upper-port"} or set(value) == {"lower-port"}:
        low, high = number("lower-port"), number("upper-port") if "upper-port" in value else number("lower-port")
        if low > high:
            raise _CannotSay(codes.BAD_VALUE, f"{what}: {low}-{high} is reversed")
        pairs = [(low, high)]
    elif set(value) <= {"operator", "port"} and "port" in value:
        port, operator = number("port"), str(value.get("operator", "eq")).rpartition(":")[2]
        ranges = {
            "eq": [(port, port)], "lte": [(0, port)], "gte": [(port, 65535)],
            "neq": [pair for pair in ((0, port - 1), (port + 1, 65535)) if pair[0] <= pair[1]],
        }  # fmt: skip
        if operator not in ranges:
            raise _CannotSay(codes.BAD_VALUE, f"{what}: operator {shown(operator)} is not known")
        pairs = ranges[operator]
    else:
        raise _CannotSay(codes.BAD_VALUE, f"{what} is neither a range nor an operator with a port")
    made = IntervalSet.of(*pairs)
    return None if made.pairs == (PORTS,) else made
