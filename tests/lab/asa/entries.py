# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One entry of an extended list: a strict parser, the text that the device prints, and whether a packet matches.

It shares no code with the collection and works on one packet with integers, so that a fault of the product's reader or compiler is
not repeated here. Words and their numbers are Cisco's (ASA general operations guide, "Addresses, Protocols, and Ports").
"""

from __future__ import annotations

import ipaddress
import zlib
from dataclasses import dataclass, field, replace
from typing import Any

TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
PROTOCOLS = {
    "ah": 51, "eigrp": 88, "esp": 50, "gre": 47, "icmp": ICMP, "icmp6": ICMP6, "igmp": 2, "ipinip": 4, "ospf": 89,
    "pim": 103, "sctp": 132, "tcp": TCP, "udp": UDP,
}  # fmt: skip
_NUMBERS = {number: word for word, number in PROTOCOLS.items()}
_BOTH = {
    "discard": 9,
    "domain": 53,
    "echo": 7,
    "nfs": 2049,
    "sip": 5060,
    "sunrpc": 111,
    "tacacs": 49,
    "talk": 517,
    "www": 80,
}
PORTS = {
    TCP: _BOTH | {
        "bgp": 179, "citrix-ica": 1494, "ftp": 21, "ftp-data": 20, "h323": 1720, "https": 443, "imap4": 143, "ldap": 389,
        "ldaps": 636, "lpd": 515, "netbios-ssn": 139, "pop3": 110, "pptp": 1723, "rsh": 514, "rtsp": 554, "smtp": 25,
        "sqlnet": 1521, "ssh": 22, "telnet": 23,
    },
    UDP: _BOTH | {
        "bootpc": 68, "bootps": 67, "dnsix": 195, "isakmp": 500, "netbios-dgm": 138, "netbios-ns": 137, "ntp": 123,
        "radius": 1645, "radius-acct": 1646, "rip": 520, "snmp": 161, "snmptrap": 162, "syslog": 514, "tftp": 69,
    },
}  # fmt: skip
ICMP_TYPES = {
    "echo-reply": 0, "unreachable": 3, "source-quench": 4, "redirect": 5, "echo": 8, "time-exceeded": 11,
    "parameter-problem": 12, "timestamp-request": 13, "timestamp-reply": 14, "traceroute": 30,
}  # fmt: skip
ICMP6_TYPES = {
    "unreachable": 1, "packet-too-big": 2, "time-exceeded": 3, "parameter-problem": 4, "echo": 128, "echo-reply": 129,
    "membership-query": 130, "membership-report": 131, "router-solicitation": 133, "router-advertisement": 134,
    "neighbor-solicitation": 135, "neighbor-advertisement": 136,
}  # fmt: skip
OPERATORS = ("eq", "neq", "gt", "lt", "range")
LEVELS = (
    "alerts", "critical", "debugging", "emergencies", "errors", "informational", "notifications", "warnings", "default", "disable",
)  # fmt: skip

Ports = tuple[str, int, int]
Packet = dict[str, Any]


class Wrong(Exception):
    """The parser gave up at a word (its index); ``text`` holds a message that takes the place of the caret."""

    def __init__(self, at: int, text: str = "") -> None:
        super().__init__(at, text)
        self.at, self.text = at, text


@dataclass(frozen=True)
class Place:
    """Source or destination. kind: any, any4, any6, net (low, high, version), object, object-group, interface."""

    kind: str
    name: str = ""
    low: int = 0
    high: int = 0
    version: int = 0
    written: str = ""

    def text(self) -> str:
        if self.kind in ("object", "object-group", "interface"):
            return f"{self.kind} {self.name}"
        return self.written or self.kind

    def has(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        if self.kind == "any":
            return True
        if self.kind in ("any4", "any6"):
            return address.version == int(self.kind[3])
        return address.version == self.version and self.low <= int(address) <= self.high


ANY = Place("any")


@dataclass(frozen=True)
class Entry:
    """One entry. protocol: a number, 0 for ip, or a group's or object's name in ``service``."""

    permit: bool
    protocol: int = 0
    service: str = ""  # "object X" or "object-group X" in place of the protocol
    source: Place = ANY
    destination: Place = ANY
    source_ports: Ports | None = None
    destination_ports: Ports | None = None
    port_group: str = ""  # destination ports by "object-group X"
    icmp: tuple[int, int | None] | None = None
    log: str = ""
    time_range: str = ""
    inactive: bool = False
    hits: int = field(default=0, compare=False)

    def words(self, *, shown: bool = False) -> str:
        """Return the entry's text from permit or deny on, as the configuration or (shown) the hit list prints it."""
        parts = ["permit" if self.permit else "deny", self.service or _protocol_text(self.protocol)]
        parts += [self.source.text(), _ports_text(self.source_ports, self.protocol)]
        parts += [self.destination.text(), _ports_text(self.destination_ports, self.protocol), self.port_group]
        if self.icmp is not None:
            names = ICMP_TYPES if self.protocol == ICMP else ICMP6_TYPES
            word = next((name for name, number in names.items() if number == self.icmp[0]), str(self.icmp[0]))
            parts.append(word if self.icmp[1] is None else f"{self.icmp[0]} {self.icmp[1]}")
        log = self.log
        if shown and log == "log":
            log = "log informational interval 300"
        parts += [log, f"time-range {self.time_range}" if self.time_range else "", "inactive" if self.inactive else ""]
        return " ".join(part for part in parts if part)

    def hash(self) -> str:
        """Return the rule's hash: of its words, so that it is the same wherever the rule stands."""
        return f"0x{zlib.crc32(replace(self, hits=0).words().encode()):08x}"

    def matches(self, packet: Packet) -> bool:
        """Return whether a packet matches an entry whose objects are resolved (see ``objects.expanded``)."""
        if self.inactive:
            return False
        source, destination = ipaddress.ip_address(packet["source"]), ipaddress.ip_address(packet["destination"])
        if not self.source.has(source) or not self.destination.has(destination):
            return False
        protocol = number_of(packet["protocol"], source.version)
        if self.protocol and self.protocol != protocol:
            return False
        if self.icmp is not None:
            if packet["icmp_type"] != self.icmp[0]:
                return False
            if self.icmp[1] is not None and packet.get("icmp_code") != self.icmp[1]:
                return False
        pairs = ((self.source_ports, "source_port"), (self.destination_ports, "destination_port"))
        return all(ports is None or _in(ports, int(packet[key])) for ports, key in pairs)


def number_of(protocol: Any, version: int = 4) -> int:
    """Return a protocol's number."""
    if isinstance(protocol, int):
        return protocol
    return ICMP6 if protocol == "icmp" and version == 6 else PROTOCOLS[str(protocol)]


def _in(ports: Ports, value: int) -> bool:
    operator, first, second = ports
    if operator == "eq":
        return value == first
    if operator == "neq":
        return value != first
    if operator == "gt":
        return value > first
    if operator == "lt":
        return value < first
    return first <= value <= second


def _protocol_text(number: int) -> str:
    return "ip" if number == 0 else _NUMBERS.get(number, str(number))


def port_word(value: int, protocol: int) -> str:
    """Return a port as the device prints it."""
    return next((word for word, number in PORTS.get(protocol, {}).items() if number == value), str(value))


def _ports_text(ports: Ports | None, protocol: int) -> str:
    if ports is None:
        return ""
    operator, first, second = ports
    words = [operator, port_word(first, protocol)]
    return " ".join([*words, port_word(second, protocol)] if operator == "range" else words)


def port_number(word: str, protocol: int, at: int) -> int:
    """Return the number of a port word; raises Wrong."""
    known = PORTS.get(protocol, {})
    if word.lower() in known:
        return known[word.lower()]
    if word.isdigit() and 0 <= int(word) <= 65535:
        return int(word)
    raise Wrong(at)


def take_ports(words: list[str], at: int, protocol: int) -> tuple[Ports | None, int]:
    """Return port conditions that begin here, if any, and the next index."""
    if at >= len(words) or words[at] not in OPERATORS or protocol not in (TCP, UDP, 132):
        return None, at
    operator = words[at]
    if at + 1 >= len(words):
        raise Wrong(-1)
    first = port_number(words[at + 1], protocol, at + 1)
    if operator != "range":
        return (operator, first, first), at + 2
    if at + 2 >= len(words):
        raise Wrong(-1)
    second = port_number(words[at + 2], protocol, at + 2)
    if second < first:
        raise Wrong(at + 2, f"ERROR: start port {first} is greater than end port {second}")
    return (operator, first, second), at + 3


def take_place(words: list[str], at: int, names: dict[str, str] | None = None) -> tuple[Place, int]:
    """Return the address part that begins here and the next index; raises Wrong (index -1: incomplete)."""
    if at >= len(words):
        raise Wrong(-1)
    word = words[at]
    if word in ("any", "any4", "any6"):
        return Place(word), at + 1
    if word in ("object", "object-group", "interface", "host"):
        if at + 1 >= len(words):
            raise Wrong(-1)
        if word != "host":
            return Place(word, words[at + 1]), at + 2
        try:
            host = ipaddress.ip_address(words[at + 1])
        except ValueError:
            raise Wrong(at + 1) from None
        return Place("net", low=int(host), high=int(host), version=host.version, written=f"host {host}"), at + 2
    if ":" in word:
        try:
            network = ipaddress.IPv6Network(word)
        except ValueError:
            raise Wrong(at) from None
        low, high = int(network.network_address), int(network.broadcast_address)
        return Place("net", low=low, high=high, version=6, written=str(network)), at + 1
    return _masked(words, at)


def _masked(words: list[str], at: int) -> tuple[Place, int]:
    try:
        address = ipaddress.IPv4Address(words[at])
    except ValueError:
        raise Wrong(at) from None
    if at + 1 >= len(words):
        raise Wrong(-1)
    try:
        mask = int(ipaddress.IPv4Address(words[at + 1]))
    except ValueError:
        raise Wrong(at + 1) from None
    inverse = mask ^ 0xFFFFFFFF
    if inverse & (inverse + 1):
        raise Wrong(at + 1)
    if int(address) & inverse:
        raise Wrong(at, f"ERROR: IP address,mask <{address},{words[at + 1]}> doesn't pair")
    written = f"host {address}" if inverse == 0 else f"{address} {words[at + 1]}"
    low = int(address)
    return Place("net", low=low, high=low | inverse, version=4, written=written if mask else "any4"), at + 2


def parse_entry(words: list[str]) -> Entry:
    """Return the entry of the words from permit or deny on; raises Wrong with the index of the word that does not fit."""
    if not words:
        raise Wrong(-1)
    if words[0] not in ("permit", "deny"):
        raise Wrong(0)
    if len(words) < 2:
        raise Wrong(-1)
    at, protocol, service = 2, 0, ""
    word = words[1]
    if word in ("object", "object-group"):
        if len(words) < 3:
            raise Wrong(-1)
        service, at = f"{word} {words[2]}", 3
    elif word != "ip":
        if word in PROTOCOLS:
            protocol = PROTOCOLS[word]
        elif word.isdigit() and 0 < int(word) <= 255:
            protocol = int(word)
        else:
            raise Wrong(1)
    source, at = take_place(words, at)
    source_ports, at = take_ports(words, at, protocol)
    destination, at = take_place(words, at)
    destination_ports, at = take_ports(words, at, protocol)
    group = ""
    if destination_ports is None and at + 1 < len(words) and words[at] == "object-group":
        group, at = f"object-group {words[at + 1]}", at + 2
    icmp, at = _take_icmp(words, at, protocol)
    log, time_range, inactive, at = _take_tail(words, at)
    if at < len(words):
        raise Wrong(at)
    return Entry(
        words[0] == "permit", protocol, service, source, destination, source_ports, destination_ports, group, icmp,
        log, time_range, inactive,
    )  # fmt: skip


def _take_icmp(words: list[str], at: int, protocol: int) -> tuple[tuple[int, int | None] | None, int]:
    if at >= len(words) or protocol not in (ICMP, ICMP6):
        return None, at
    names = ICMP_TYPES if protocol == ICMP else ICMP6_TYPES
    if words[at] in names:
        kind = names[words[at]]
    elif words[at].isdigit() and int(words[at]) <= 255:
        kind = int(words[at])
    else:
        return None, at
    if at + 1 < len(words) and words[at + 1].isdigit() and int(words[at + 1]) <= 255:
        return (kind, int(words[at + 1])), at + 2
    return (kind, None), at + 1


def _take_tail(words: list[str], at: int) -> tuple[str, str, bool, int]:
    log, time_range, inactive = "", "", False
    if at < len(words) and words[at] == "log":
        at += 1
        level = interval = ""
        if at < len(words) and words[at] in LEVELS:
            level, at = words[at], at + 1
        if at + 1 < len(words) and words[at] == "interval":
            if not words[at + 1].isdigit() or not 1 <= int(words[at + 1]) <= 600:
                raise Wrong(at + 1)
            interval, at = words[at + 1], at + 2
        log = " ".join(part for part in ("log", level, f"interval {interval}" if interval else "") if part)
    if at + 1 < len(words) and words[at] == "time-range":
        time_range, at = words[at + 1], at + 2
    if at < len(words) and words[at] == "inactive":
        inactive, at = True, at + 1
    return log, time_range, inactive, at
