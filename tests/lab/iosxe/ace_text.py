# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One access-list entry as the emulated switch keeps it, and how the switch prints it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import NamedTuple

from tests.lab.ace_names import ICMP4, ICMP6, TCP_PORTS, UDP_PORTS

EXTENDED, STANDARD, IPV6, ROLE_BASED, ROLE_BASED6 = "extended", "standard", "ipv6", "role-based", "ipv6-role-based"

PROTOCOL_WORDS = {
    1: "icmp", 2: "igmp", 4: "ipinip", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 51: "ahp", 88: "eigrp", 89: "ospf",
    94: "nos", 103: "pim", 108: "pcp", 132: "sctp",
}  # fmt: skip
PROTOCOL_WORDS6 = {6: "tcp", 17: "udp", 50: "esp", 51: "ahp", 58: "icmp", 108: "pcp", 132: "sctp"}

# Where two names share a number, the one that the switch prints.
_PREFERRED = {"cmd"}


def _by_number(names: dict[str, int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for name, number in names.items():
        if number not in found or name in _PREFERRED:
            found[number] = name
    return found


TCP_NAMES, UDP_NAMES = _by_number(TCP_PORTS), _by_number(UDP_PORTS)
ICMP4_NAMES = {value: name for name, value in ICMP4.items()}
ICMP6_NAMES = {value: name for name, value in ICMP6.items()}


class Net(NamedTuple):
    """Addresses: value, and the wildcard mask (IPv4) or the prefix length (IPv6)."""

    value: int
    extent: int


class Group(NamedTuple):
    """An object group by name."""

    name: str


Address = Net | Group | None  # None: any
Ports = tuple[str, tuple[int, ...]] | None  # (operator, ports)


@dataclass(frozen=True)
class Ace:
    """One entry. protocol None means ip (or ipv6); words are the options in the order in which they print."""

    kind: str
    permit: bool
    protocol: int | None = None
    service: str | None = None
    source: Address = None
    source_ports: Ports = None
    destination: Address = None
    destination_ports: Ports = None
    icmp: tuple[int, int | None] | None = None
    words: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The entry as the running configuration shows it, without a number."""
        six = self.kind in (IPV6, ROLE_BASED6)
        parts = ["permit" if self.permit else "deny"]
        if self.kind != STANDARD:
            parts.append(self._protocol(six))
        if self.kind in (ROLE_BASED, ROLE_BASED6):
            for word, ports in (("src", self.source_ports), ("dst", self.destination_ports)):
                if ports is not None:
                    parts += [word, self._ports(ports)]
        elif self.kind == STANDARD:
            parts.append(self._standard())
        else:
            sides = ((self.source, self.source_ports), (self.destination, self.destination_ports))
            for address, ports in sides:
                parts.append(_address(address, six))
                if ports is not None:
                    parts.append(self._ports(ports))
        if self.icmp is not None:
            parts.append(_icmp(self.icmp, ICMP6_NAMES if six else ICMP4_NAMES))
        return " ".join((*parts, *self.words))

    @property
    def show_text(self) -> str:
        """The entry as show access-lists prints it (differs for standard lists only)."""
        if self.kind == STANDARD and isinstance(self.source, Net) and self.source.extent != 0:
            value, wildcard = _quad(self.source.value), _quad(self.source.extent)
            action = "permit" if self.permit else "deny"
            return " ".join((f"{action} {value}, wildcard bits {wildcard}", *self.words))
        return self.text

    @property
    def cost(self) -> int:
        """TCAM entries that the entry takes: port lists multiply, IPv6 counts double (facts/devices.md section 4)."""
        count = 1
        for ports in (self.source_ports, self.destination_ports):
            if ports is not None and ports[0] in ("eq", "neq"):
                count *= len(ports[1])
        return count * (2 if self.kind in (IPV6, ROLE_BASED6) else 1)

    def _protocol(self, six: bool) -> str:
        if self.service is not None:
            return f"object-group {self.service}"
        if self.protocol is None:
            return "ipv6" if six else "ip"
        return (PROTOCOL_WORDS6 if six else PROTOCOL_WORDS).get(self.protocol, str(self.protocol))

    def _ports(self, ports: tuple[str, tuple[int, ...]]) -> str:
        names = {6: TCP_NAMES, 17: UDP_NAMES}.get(self.protocol or 0, {})
        return " ".join((ports[0], *(names.get(port, str(port)) for port in ports[1])))

    def _standard(self) -> str:
        if not isinstance(self.source, Net):
            return "any"
        value, wildcard = self.source
        return _quad(value) if wildcard == 0 else f"{_quad(value)} {_quad(wildcard)}"


def _quad(value: int) -> str:
    return str(ipaddress.IPv4Address(value))


def _address(address: Address, six: bool) -> str:
    if address is None:
        return "any"
    if isinstance(address, Group):
        return f"object-group {address.name}"
    value, extent = address
    if six:
        text = str(ipaddress.IPv6Address(value)).upper()
        return f"host {text}" if extent == 128 else f"{text}/{extent}"
    return f"host {_quad(value)}" if extent == 0 else f"{_quad(value)} {_quad(extent)}"


def _icmp(value: tuple[int, int | None], names: dict[tuple[int, int | None], str]) -> str:
    if value in names:
        return names[value]
    return str(value[0]) if value[1] is None else f"{value[0]} {value[1]}"
