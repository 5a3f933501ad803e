# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects and object groups: what they hold, their text, and what an entry that names them stands for."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import product

from tests.lab.asa.entries import (
    ICMP,
    ICMP6_TYPES,
    ICMP_TYPES,
    PROTOCOLS,
    TCP,
    UDP,
    Entry,
    Place,
    Ports,
    Wrong,
    take_place,
    take_ports,
)

GROUP_KINDS = ("network", "service", "protocol", "icmp-type")
Service = tuple[int, Ports | None, Ports | None, tuple[int, int | None] | None]


@dataclass
class Object:
    """An object network or service: its one line of value, as typed, and a description."""

    kind: str
    name: str
    value: str = ""
    description: str = ""

    def text(self) -> str:
        lines = [f"object {self.kind} {self.name}", f" {self.value}" if self.value else ""]
        lines.append(f" description {self.description}" if self.description else "")
        return "\n".join(line for line in lines if line)


@dataclass
class Group:
    """An object group; protocol: what stands behind a service group's name (tcp, udp, tcp-udp)."""

    kind: str
    name: str
    protocol: str = ""
    members: list[str] = field(default_factory=list)
    description: str = ""

    def text(self) -> str:
        head = f"object-group {self.kind} {self.name}" + (f" {self.protocol}" if self.protocol else "")
        first = [f" description {self.description}"] if self.description else []
        return "\n".join([head, *first, *(f" {member}" for member in self.members)])


@dataclass
class Objects:
    """All objects and groups of a configuration."""

    objects: dict[str, Object] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)

    # -- members -----------------------------------------------------------------------------------------------------

    def places(self, place: Place, seen: tuple[str, ...] = ()) -> list[Place]:
        """Return the addresses that a place stands for; raises KeyError for a name that does not exist."""
        if place.kind == "object":
            return [_object_place(self.objects[place.name].value)]
        if place.kind != "object-group":
            return [place]
        found: list[Place] = []
        for member in self.groups[place.name].members:
            words = member.split()
            if words[0] == "group-object":
                if words[1] in seen:
                    raise KeyError(words[1])
                found += self.places(Place("object-group", words[1]), (*seen, place.name))
            elif words[1] == "object":
                found += self.places(Place("object", words[2]))
            else:
                found.append(take_place(words, 1)[0])
        return found

    def services(self, name: str) -> list[Service]:
        """Return what "object X" or "object-group X" in place of a protocol stands for."""
        word, _, which = name.partition(" ")
        if word == "object":
            return [_service(self.objects[which].value.split()[1:])]
        group = self.groups[which]
        found: list[Service] = []
        for member in group.members:
            words = member.split()
            if words[0] == "group-object":
                found += self.services(f"object-group {words[1]}")
            elif words[0] == "protocol-object":
                found.append((_number(words[1], 1), None, None, None))
            elif words[0] == "service-object" and words[1] == "object":
                found += self.services(f"object {words[2]}")
            elif words[0] == "service-object":
                found.append(_service(words[1:]))
            else:
                raise KeyError(which)
        return found

    def port_members(self, name: str, protocol: int) -> list[Ports]:
        """Return the ports of a service group with a protocol behind its name."""
        found: list[Ports] = []
        for member in self.groups[name].members:
            words = member.split()
            if words[0] == "group-object":
                found += self.port_members(words[1], protocol)
            else:
                ports, _at = take_ports(words, 1, protocol)
                assert ports is not None
                found.append(ports)
        return found

    def icmp_members(self, name: str) -> list[tuple[int, int | None]]:
        found: list[tuple[int, int | None]] = []
        for member in self.groups[name].members:
            words = member.split()
            if words[0] == "group-object":
                found += self.icmp_members(words[1])
            else:
                found.append((int(words[1]) if words[1].isdigit() else ICMP_TYPES[words[1]], None))
        return found

    def expanded(self, entry: Entry) -> Iterator[Entry]:
        """Yield the plain entries that an entry stands for, in the device's order; raises KeyError for missing names."""
        services: list[Service] = [(entry.protocol, entry.source_ports, entry.destination_ports, entry.icmp)]
        if entry.service:
            services = self.services(entry.service)
        if entry.port_group:
            name = entry.port_group.split()[1]
            if entry.protocol == ICMP:
                services = [(ICMP, None, None, icmp) for icmp in self.icmp_members(name)]
            else:
                members = self.port_members(name, entry.protocol)
                services = [(entry.protocol, entry.source_ports, ports, None) for ports in members]
        sources, destinations = self.places(entry.source), self.places(entry.destination)
        for service, source, destination in product(services, sources, destinations):
            protocol, source_ports, destination_ports, icmp = service
            yield replace(
                entry, protocol=protocol, service="", source=source, destination=destination, source_ports=source_ports,
                destination_ports=destination_ports, port_group="", icmp=icmp,
            )  # fmt: skip

    def uses(self, entry: Entry) -> set[str]:
        """Return the names of objects and groups that an entry names, as "object X" or "object-group X"."""
        found = {entry.service, entry.port_group} - {""}
        found |= {each.text() for each in (entry.source, entry.destination) if each.kind in ("object", "object-group")}
        return found


def _object_place(value: str) -> Place:
    words = value.split()
    if not words:
        raise KeyError("empty object")
    if words[0] == "host":
        return take_place(words, 0)[0]
    if words[0] == "subnet":
        return take_place(words, 1)[0]
    if words[0] == "range":
        low, high = ipaddress.ip_address(words[1]), ipaddress.ip_address(words[2])
        written = f"range {low} {high}"
        return Place("net", low=int(low), high=int(high), version=low.version, written=written)
    raise KeyError(value)


def _number(word: str, at: int) -> int:
    if word == "ip":
        return 0
    if word in PROTOCOLS:
        return PROTOCOLS[word]
    if word.isdigit() and 0 < int(word) <= 255:
        return int(word)
    raise Wrong(at)


def _service(words: list[str]) -> Service:
    """Return the service of "tcp source eq 1 destination eq 2", "icmp echo", "tcp eq 5" and the like."""
    protocol = _number(words[0], 0)
    at, source, destination, icmp = 1, None, None, None
    if at < len(words) and words[at] == "source":
        source, at = take_ports(words, at + 1, protocol)
    if at < len(words) and words[at] == "destination":
        at += 1
    destination, at = take_ports(words, at, protocol)
    if at < len(words) and protocol in (ICMP, 58):
        names = ICMP_TYPES if protocol == ICMP else ICMP6_TYPES
        icmp, at = (names.get(words[at], int(words[at]) if words[at].isdigit() else -1), None), at + 1
    if at < len(words):
        raise Wrong(at)
    return protocol, source, destination, icmp


def check_member(kind: str, protocol: str, words: list[str], known: Objects) -> None:
    """Raise Wrong where a line cannot be a member of a group of this kind."""
    if words[0] == "group-object":
        if len(words) != 2:
            raise Wrong(-1 if len(words) < 2 else 2)
        if words[1] not in known.groups:
            raise Wrong(1, f"ERROR: object group ({words[1]}) does not exist")
        return
    checks: dict[str, tuple[str, Callable[[], object]]] = {
        "network": ("network-object", lambda: _network_member(words, known)),
        "protocol": ("protocol-object", lambda: _number(words[1], 1)),
        "icmp-type": ("icmp-object", lambda: words[1].isdigit() or ICMP_TYPES[words[1]]),
        "service": (
            "port-object" if protocol else "service-object",
            lambda: (
                take_ports(words, 1, UDP if protocol == "udp" else TCP)[0]
                if protocol
                else _service_member(words, known)
            ),
        ),
    }
    word, check = checks[kind]
    if words[0] != word:
        raise Wrong(0)
    if len(words) < 2:
        raise Wrong(-1)
    try:
        if check() is None:
            raise Wrong(1)
    except KeyError:
        raise Wrong(1) from None


def _network_member(words: list[str], known: Objects) -> bool:
    if words[1] == "object":
        if len(words) < 3 or words[2] not in known.objects:
            raise Wrong(2, "ERROR: specified object does not exist")
        return True
    _place, at = take_place(words, 1)
    if at < len(words):
        raise Wrong(at)
    return True


def _service_member(words: list[str], known: Objects) -> bool:
    if words[1] == "object":
        if len(words) < 3 or words[2] not in known.objects:
            raise Wrong(2, "ERROR: specified object does not exist")
        return True
    _service(words[1:])
    return True
