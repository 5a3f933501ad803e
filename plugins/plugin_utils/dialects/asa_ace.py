# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One entry of a Cisco ASA access list as ``Ace``s (grammar: facts/devices.md section 1.7 and the command
reference of ASA, ``access-list extended``).

An entry with object groups is several ``Ace``s of one line, as the device expands it; their order does not matter, since their action is
one. Strict: a word that is not known, or stands where it may not, raises ``NotUnderstood``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import asa_names
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.asa_objects import (
    Objects,
    Part,
    Service,
    literal,
    protocol_numbers,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_match import (
    OPERATORS,
    Tokens,
    port_set,
    take_message,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_values import NotUnderstood
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import ICMP, ICMPV6

LINE_LIMIT = 100_000
# One tuple for each protocol, so that the common case is told by identity.
_ONE = {protocol: (Service(protocol),) for protocol in (None, *range(256))}
_PORTED = {id(_ONE[protocol]): frozenset((protocol,)) for protocol in asa_names.PORT_NAMES}
_IPV4 = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}\Z")
_STARTS = (
    "any",
    "any4",
    "any6",
    "host",
    "object",
    "interface",
    "range",
    "fqdn",
    "security-group",
    "object-group-security",
    "ifc",
)
_ANY = {family: (Part(family),) for family in (0, 4, 6)}
_AFTER_SOURCE = frozenset((*OPERATORS, "object-group"))
_BEFORE = frozenset(("ifc", "user", "user-group", "object-group-user", "security-group", "object-group-security"))
_FQDN = re.compile(r"[A-Za-z0-9_.-]{1,255}\Z")


@dataclass(slots=True)
class _Side:
    """One side of an entry: addresses, ports, and what stands before the addresses."""

    parts: tuple[Part, ...] = ()
    ports: IntervalSet | None = None
    group: IntervalSet | None = None
    conditions: tuple[str, ...] = ()


def parse_extended(words: Sequence[str], objects: Objects, advanced: bool = False, **more: Any) -> list[Ace]:
    """Return the entries that the words from ``permit`` or ``deny`` on make. Raises NotUnderstood.

    ``advanced`` reads the form of FTD: ``trust`` passes, ``permit`` hands the packet to inspection, whose verdict is a condition.
    ``more``: line, remarks and what else each entry is to have.
    """
    line = Tokens(words)
    action = line.take()
    if action not in (("permit", "deny", "trust") if advanced else ("permit", "deny")):
        raise NotUnderstood(f"{action!r} is not permit or deny")
    services = _services(line, objects)
    source, destination = _Side(), _Side()
    if line.peek() in _BEFORE:
        _before(line, source, objects, "source")
    source.parts = _address(line, objects)
    if line.peek() in _AFTER_SOURCE:
        _source_ports(line, services, source, objects)
    if line.peek() in _BEFORE:
        _before(line, destination, objects, "destination")
    destination.parts = _address(line, objects)
    tail = _NO_TAIL
    if line.peek():
        services = _destination(line, services, destination, objects)
        if line.peek():
            tail = _Tail()
            tail.read(line, advanced)
    conditions = [*source.conditions, *destination.conditions, *tail.conditions]
    if advanced and action == "permit":
        conditions.append("inspection")
    return _expand(action != "deny", services, source, destination, tail, conditions, objects, more)


def parse_standard(words: Sequence[str], objects: Objects, **more: Any) -> list[Ace]:
    """Return the entry of a standard list, which looks at the destination only (ASA command reference, ``access-list standard``)."""
    line = Tokens(words)
    action = line.take()
    if action not in ("permit", "deny"):
        raise NotUnderstood(f"{action!r} is not permit or deny")
    if line.take_if("any", "any4"):
        part = Part(4)
    else:
        part = objects.address(line)
    if line.peek() or part.family == 6:
        raise NotUnderstood("not an entry of a standard list")
    conditions = (f"destination {part.condition}",) if part.condition else ()
    return [Ace(action == "permit", family=4, destination=part.values, conditions=conditions, **more)]


def _services(line: Tokens, objects: Objects) -> tuple[Service, ...]:
    word = line.take()
    if word in ("object", "object-group"):
        return objects.services(line.take_name(), word == "object-group")
    return _plain(word)


@lru_cache(maxsize=512)
def _plain(word: str) -> tuple[Service, ...]:
    numbers = protocol_numbers(word)
    return _ONE[numbers[0]] if len(numbers) == 1 else tuple(Service(protocol) for protocol in numbers)


def _before(line: Tokens, side: _Side, objects: Objects, name: str) -> None:
    """Read what may stand before the addresses: interface (FTD), user, security group."""
    if line.take_if("ifc"):
        side.conditions += (f"{name} ifc {line.take_name()}",)
    if name == "source" and line.peek() in ("user", "user-group", "object-group-user"):
        word = line.take()
        side.conditions += (f"{name} {word} {line.take_name()}",)
    word = line.take_if("security-group", "object-group-security")
    if not word:
        return
    if word == "object-group-security":
        group = line.take_name()
        side.group = objects.tags(group)
        if side.group is None:
            side.conditions += (f"{name} object-group-security {group}",)
    elif line.take_if("tag"):
        tag = line.take()
        if not re.match(r"[0-9]{1,5}\Z", tag) or int(tag) > 65535:
            raise NotUnderstood(f"tag {tag!r} is not understood")
        side.group = IntervalSet.single(int(tag))
    elif line.take_if("name"):
        side.conditions += (f"{name} security-group name {line.take_name()}",)
    else:
        raise NotUnderstood("security-group needs a name or a tag")


def _address(line: Tokens, objects: Objects) -> tuple[Part, ...]:
    word = line.peek()
    if word == "any":
        line.take()
        return _ANY[objects.any_family]
    if word in ("any4", "any6"):
        line.take()
        return _ANY[int(word[3])]
    if word in ("object", "object-group"):
        line.take()
        return objects.network(line.take_name(), word == "object-group")
    if word == "interface":
        line.take()
        return (Part(0, None, f"interface {line.take_name()}"),)
    if word == "fqdn":
        line.take()
        name = line.take()
        if not _FQDN.match(name):
            raise NotUnderstood(f"{name!r} is not a name")
        line.take_if("(unresolved)", "(resolved)")
        return (Part(0, None, f"fqdn {name}"),)
    if not word:
        raise NotUnderstood("the line ends too early")
    digits = line.after() if word == "host" else word
    if "." in digits and digits[0].isdigit() and ":" not in digits and not objects.names:
        found = literal(word, line.after())
        line.at += 2
        if line.peek()[:1] != "(":
            return found
        part = found[0]
    else:
        part = objects.address(line)
    shown = re.match(r"\(([a-z0-9_.-]{1,255})\)\Z", line.peek()) if line.peek()[:1] == "(" else None
    if shown and part.values is not None and not part.condition:
        line.take()  # what a name resolved to when the device printed the list
        return (Part(part.family, part.values, f"fqdn {shown[1]}"),)
    return (part,)


def _port_protocols(services: Sequence[Service]) -> frozenset[int] | None:
    """Return the protocols whose ports an operator may test; None where a service already has ports or a protocol has none."""
    known = _PORTED.get(id(services))
    if known is not None:
        return known
    numbers = {service.protocol for service in services}
    plain = all(service.source_ports is service.destination_ports is service.detail is None for service in services)
    if not plain or any(service.condition for service in services) or not numbers <= set(asa_names.PORT_NAMES):
        return None
    return frozenset(number for number in numbers if number is not None)


def _take_ports(line: Tokens, services: Sequence[Service]) -> IntervalSet | None:
    if line.peek() == "range" and (_IPV4.match(line.after()) or ":" in line.after()):
        return None  # the range of addresses of a network object, as the device shows it
    operator = line.take_if(*OPERATORS)
    if not operator:
        return None
    protocols = _port_protocols(services)
    if protocols is None:
        raise NotUnderstood(f"a port stands after a protocol without ports, or after a service ({operator})")
    return port_set(line, operator, asa_names.port_names(protocols))


def _group_ports(name: str, services: Sequence[Service], side: _Side, objects: Objects, which: str) -> None:
    protocols = _port_protocols(services)
    if protocols is None:
        raise NotUnderstood(f"object group {name!r} stands where no ports may stand")
    found = objects.ports(name)
    if found is not None and not protocols <= set(found[0]):
        raise NotUnderstood(f"object group {name!r} is for another protocol")
    if found is None:
        side.conditions += (f"{which} ports object-group {name}",)
    else:
        side.ports = found[1]


def _source_ports(line: Tokens, services: Sequence[Service], side: _Side, objects: Objects) -> None:
    """Read the source ports. A group here may be of ports or the destination: its kind decides, else what follows it."""
    if line.peek() != "object-group":
        side.ports = _take_ports(line, services)
        return
    look = line.copy()
    look.take()
    name = look.take_name()
    kind = objects.kind(name, True)
    after = look.peek()
    if kind in ("network", "user") or _port_protocols(services) is None:
        return
    if kind == "service":
        is_ports = True
    elif kind:
        raise NotUnderstood(f"object group {name!r} is of the kind {kind}")
    elif after == "object-group":
        look.take()
        second = objects.kind(look.take_name(), True)
        if second not in ("network", "service"):
            raise NotUnderstood(f"object group {name!r} may be ports or addresses: the text does not define it")
        is_ports = second == "network"
    else:
        is_ports = after in _STARTS or bool(_IPV4.match(after)) or ":" in after
    if is_ports:
        line.take()
        _group_ports(line.take_name(), services, side, objects, "source")


def _destination(line: Tokens, services: tuple[Service, ...], side: _Side, objects: Objects) -> tuple[Service, ...]:
    """Read the destination ports or the ICMP messages; return the services with the messages."""
    icmp = [service for service in services if service.protocol in (ICMP, ICMPV6) and not service.condition]
    if len(icmp) == len(services) == 1 and icmp[0].detail is None:
        ipv6 = icmp[0].protocol == ICMPV6
        if line.take_if("object-group"):
            name = line.take_name()
            detail = objects.messages(name, ipv6)
            if detail is None:
                side.conditions += (f"messages object-group {name}",)
        else:
            detail = take_message(line, asa_names.ICMPV6_MESSAGES if ipv6 else asa_names.ICMP_MESSAGES, coded=True)
        return (Service(icmp[0].protocol, detail=detail),)
    if line.take_if("object-group"):
        _group_ports(line.take_name(), services, side, objects, "destination")
    else:
        side.ports = _take_ports(line, services)
    return services


class _Tail:
    """What follows the addresses and ports."""

    def __init__(self) -> None:
        self.log = self.inactive = False
        self.conditions: list[str] = []

    def read(self, line: Tokens, advanced: bool) -> None:
        """Read to the end of the line."""
        seen: set[str] = set()
        while line.peek():
            word = line.take()
            if word in seen:
                raise NotUnderstood(f"{word!r} stands twice")
            seen.add(word)
            if word == "log":
                level = line.peek()
                if level in asa_names.LOG_LEVELS or re.match(r"[0-7]\Z", level):
                    line.take()
                self.log = level not in ("disable", "default")
                if line.take_if("interval"):
                    self._number(line, 600)
            elif word == "inactive":
                self.inactive = True
            elif word == "time-range":
                self.conditions.append(f"time-range {line.take_name()}")
            elif advanced and word == "rule-id":
                self._number(line, 0xFFFFFFFF)
            elif advanced and word == "event-log":
                if line.take() not in ("both", "flow-start", "flow-end"):
                    raise NotUnderstood("event-log is not understood")
            else:
                raise NotUnderstood(f"{word!r} is not understood")

    @staticmethod
    def _number(line: Tokens, most: int) -> None:
        word = line.take()
        if not re.match(r"[0-9]{1,10}\Z", word) or int(word) > most:
            raise NotUnderstood(f"{word!r} is not understood")


_NO_TAIL = _Tail()


def _expand(
    permit: bool,
    services: Sequence[Service],
    source: _Side,
    destination: _Side,
    tail: _Tail,
    conditions: list[str],
    objects: Objects,
    more: dict[str, Any],
) -> list[Ace]:
    if len(services) == len(source.parts) == len(destination.parts) == 1 and not conditions:
        service, first, second = services[0], source.parts[0], destination.parts[0]
        family = first.family or second.family
        same = not first.family or not second.family or first.family == second.family
        if (
            same
            and service.protocol not in (ICMP, ICMPV6)
            and not (first.condition or second.condition or service.condition)
        ):
            return [Ace(
                permit, service.protocol, family, first.values, second.values,
                source.ports if service.source_ports is None else service.source_ports,
                destination.ports if service.destination_ports is None else service.destination_ports,
                service.detail, log=tail.log, source_group=source.group, destination_group=destination.group,
                inactive=tail.inactive, **more,
            )]  # fmt: skip
    result: list[Ace] = []
    objects.expanded += len(services) * len(source.parts) * len(destination.parts) - 1
    if objects.expanded > LINE_LIMIT:
        raise NotUnderstood(f"the entries of this text fall into more than {LINE_LIMIT} parts beyond one a line")
    for service, first, second in product(services, source.parts, destination.parts):
        if first.family and second.family and first.family != second.family:
            continue
        family = first.family or second.family
        if service.protocol in (ICMP, ICMPV6):
            needed = 4 if service.protocol == ICMP else 6
            if family and family != needed:
                continue
            family = needed
        texts = set(conditions)
        for word, text in (
            ("source", first.condition),
            ("destination", second.condition),
            ("service", service.condition),
        ):
            if text:
                texts.add(f"{word} {text}")
        result.append(Ace(
            permit=permit, protocol=service.protocol, family=family, source=first.values, destination=second.values,
            source_ports=source.ports if service.source_ports is None else service.source_ports,
            destination_ports=destination.ports if service.destination_ports is None else service.destination_ports,
            detail=service.detail, log=tail.log, source_group=source.group, destination_group=destination.group,
            conditions=tuple(sorted(texts)) if texts else (), inactive=tail.inactive, **more,
        ))  # fmt: skip
    if not result:
        raise NotUnderstood("source and destination are of different address families")
    return result
