# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Object groups of IOS and IOS-XE, as a configuration or ``show object-group`` defines them (facts/devices.md section 1.1).

Network groups hold hosts, **subnet** masks, ranges and other groups; service groups hold protocols, ports and ICMP messages.
A group that is not certain (not defined, defined twice, empty, in a cycle, with a member that is not understood) is never
guessed: the entry that uses it gets a condition and matches at most what it would match with every address or service.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import names
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_options import message
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_values import (
    NotUnderstood,
    host,
    is_port,
    parse_ipv4,
    parse_ipv6,
    prefix,
    read_ports,
    subnet,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import TCP, UDP

DEPTH = 64
MOST_ENTRIES = 100_000  # that groups of services may add to one text; what comes after keeps the group as a condition
_HEADER = re.compile(
    r"(?:object-group (?P<kind>(?:v6-)?(?:network|service)) (?P<name>\S+)"
    r"|(?P<shown>(?:V6-)?(?:Network|Service)) object group (?P<named>\S+))\Z"
)
_ANY_HEADER = re.compile(r"object-group\s|[\w -]*object group\s")
_END = re.compile(r"!|exit\Z|end\Z|(?:ip|ipv6|mac) access-list\s|access-list\s|[\w.-]+[#>]|[A-Z][\w -]* access list\s")
_REMOVED = re.compile(r"(?:[\w.:/@-]+\(config[\w-]*\)#\s*)?no object-group\s+\S+\s+(?P<name>\S+)\Z", re.IGNORECASE)
_NETWORK_WORDS = frozenset(("host", "any", "range", "group-object", "description"))
_SERVICE_WORDS = frozenset(("group-object", "description", "tcp-udp"))


@dataclass(frozen=True)
class Service:
    """One service of a group: a protocol (None: every one) with its ports or ICMP messages."""

    protocol: int | None
    source_ports: IntervalSet | None = None
    destination_ports: IntervalSet | None = None
    detail: IntervalSet | None = None


@dataclass
class _Group:
    kind: str
    line: int
    indent: int
    rows: list[str] = field(default_factory=list)
    deep: bool = False  # its members stand deeper than its header
    broken: str = ""


class Groups:
    """The object groups that a text defines, resolved on demand."""

    def __init__(self, groups: Mapping[str, _Group] | None = None) -> None:
        self._groups = dict(groups or {})
        self._networks: dict[tuple[str, int], tuple[IntervalSet | None, tuple[str, ...]]] = {}
        self._services: dict[tuple[str, int], tuple[tuple[Service, ...], tuple[str, ...]]] = {}
        self._resolved: dict[tuple[str, str], IntervalSet | list[Service] | NotUnderstood] = {}
        self._entries = 0

    def has_service(self, name: str) -> bool:
        """Return whether the text defines a service group of that name (some outputs print it without ``object-group``)."""
        return bool(self._groups) and name in self._groups and self._groups[name].kind.endswith("service")

    def addresses(self, name: str, family: int) -> tuple[IntervalSet | None, tuple[str, ...]]:
        """Return the addresses of a network group (None: all) and no condition, or None and the condition that names it."""
        key = (name, family)
        if key not in self._networks:
            try:
                found = self._network(name, "v6-network" if family == 6 else "network", ())
                whole = found.size == 1 << (128 if family == 6 else 32)
                self._networks[key] = (None if whole else found, ())
            except NotUnderstood:
                self._networks[key] = (None, (f"object-group {name}",))
        return self._networks[key]

    def services(self, name: str, family: int) -> tuple[tuple[Service, ...], tuple[str, ...]]:
        """Return the services of a group and no condition, or none and the condition that names it."""
        key = (name, family)
        if key not in self._services:
            try:
                found = self._service(name, "v6-service" if family == 6 else "service", family, ())
                self._services[key] = (tuple(dict.fromkeys(found)), ())
            except NotUnderstood:
                self._services[key] = ((), (f"service object-group {name}",))
        self._entries += len(self._services[key][0])
        if self._entries > MOST_ENTRIES:
            return (), (f"service object-group {name}",)
        return self._services[key]

    def reason(self, name: str) -> str:
        """Return why a group cannot be used, "" when the text defines it for certain."""
        group = self._groups.get(name)
        if group is None:
            return f"object group {name} is not defined in this text"
        try:
            family = 6 if group.kind.startswith("v6") else 4
            if group.kind.endswith("service"):
                self._service(name, group.kind, family, ())
            else:
                self._network(name, group.kind, ())
        except NotUnderstood as reason:
            return str(reason)
        return ""

    def _rows(self, name: str, kind: str, path: tuple[str, ...]) -> list[str]:
        group = self._groups.get(name)
        if group is None:
            raise NotUnderstood(f"object group {name} is not defined in this text")
        if group.broken or group.kind != kind:
            raise NotUnderstood(f"object group {name}: {group.broken or f'it is of kind {group.kind}'}")
        if name in path or len(path) > DEPTH:
            raise NotUnderstood(f"object group {name} holds itself: {' > '.join((*path, name))}")
        rows = [row for row in group.rows if not row.lower().startswith("description")]
        if not rows:
            raise NotUnderstood(f"object group {name} is empty: what it matches differs between releases")
        return rows

    def _network(self, name: str, kind: str, path: tuple[str, ...]) -> IntervalSet:
        found = self._once(name, kind, lambda: self._read_network(name, kind, path))
        return found if isinstance(found, IntervalSet) else IntervalSet()

    def _service(self, name: str, kind: str, family: int, path: tuple[str, ...]) -> list[Service]:
        found = self._once(name, kind, lambda: self._read_service(name, kind, family, path))
        return found if isinstance(found, list) else []

    def _once(
        self, name: str, kind: str, work: Callable[[], IntervalSet | list[Service]]
    ) -> IntervalSet | list[Service]:
        """Return what a group holds, worked out once: groups that name each other many times would take for ever."""
        key = (name, kind)
        if key not in self._resolved:
            try:
                self._resolved[key] = work()
            except NotUnderstood as reason:
                self._resolved[key] = reason
        found = self._resolved[key]
        if isinstance(found, NotUnderstood):
            raise NotUnderstood(str(found))
        return found

    def _read_network(self, name: str, kind: str, path: tuple[str, ...]) -> IntervalSet:
        pairs: list[tuple[int, int]] = []
        top = (1 << (128 if kind.startswith("v6") else 32)) - 1
        for row in self._rows(name, kind, path):
            words = row.split()
            if words[0].lower() == "group-object" and len(words) == 2:
                found: IntervalSet | None = self._network(words[1], kind, (*path, name))
            else:
                found = _member(tuple(word.lower() for word in words), kind)
            pairs += ((0, top),) if found is None else found.pairs
        return IntervalSet.of(*pairs)

    def _read_service(self, name: str, kind: str, family: int, path: tuple[str, ...]) -> list[Service]:
        result: list[Service] = []
        for row in self._rows(name, kind, path):
            words = row.split()
            if words[0].lower() == "group-object" and len(words) == 2:
                result += self._service(words[1], kind, family, (*path, name))
            else:
                result += _services(tuple(word.lower() for word in words), family)
        return list(dict.fromkeys(result))


@lru_cache(maxsize=4096)
def _member(words: tuple[str, ...], kind: str) -> IntervalSet | None:
    """Return the addresses of one member of a network group, None for all."""
    ipv6 = kind.startswith("v6")
    if words == ("any",):
        return None
    if len(words) == 2 and words[0] == "host":
        return host(words[1], 6 if ipv6 else 4)
    if len(words) == 3 and words[0] == "range":
        low, high = (parse_ipv6(word) if ipv6 else parse_ipv4(word) for word in words[1:])
        if low > high:
            raise NotUnderstood(f"range {words[1]} {words[2]} is reversed")
        return IntervalSet(((low, high),))
    if ipv6 and len(words) == 1:
        return prefix(words[0])
    if not ipv6 and len(words) == 2:
        return subnet(*words)
    if not ipv6 and len(words) == 1 and "/" in words[0]:
        address, _slash, length = words[0].partition("/")
        return subnet(address, "/" + length)
    raise NotUnderstood(f"member {' '.join(words)!r} is not understood")


def _services(words: tuple[str, ...], family: int) -> list[Service]:
    """Return the services of one member: ``tcp source gt 1023 eq 443``, ``tcp-udp 53``, ``icmp echo``, ``ospf``, ``99``."""
    low = [*words, "", "", "", ""]
    if low[0] == "tcp-udp":
        return [_transport(protocol, low) for protocol in (TCP, UDP)]
    table = names.PROTOCOLS_IPV6 if family == 6 else names.PROTOCOLS
    if low[0] in table:
        protocol = table[low[0]]
    elif re.match(r"[0-9]{1,3}\Z", low[0]) and int(low[0]) < 256:
        protocol = int(low[0])
    else:
        raise NotUnderstood(f"service {' '.join(words)!r} is not understood")
    if protocol in (TCP, UDP):
        return [_transport(protocol, low)]
    detail, at = message(low, 1, protocol, family)
    if low[at]:
        raise NotUnderstood(f"service {' '.join(words)!r} is not understood")
    return [Service(protocol, detail=detail)]


def _transport(protocol: int | None, low: Sequence[str]) -> Service:
    """Return the service of ``PROTO [source PORTS] [PORTS]``; ``eq`` may be left out."""
    at = 1
    sides: list[IntervalSet | None] = []
    for side in ("source", ""):
        if side and low[at] != side:
            sides.append(None)
            continue
        at += bool(side)
        line = list(low)
        if is_port(line[at], protocol or TCP):
            line.insert(at, "eq")
        ports, _conditions, end = read_ports(line, line, at, protocol)
        if line[at] in ("eq", "neq") and end > at + 2:
            raise NotUnderstood("several ports in one service")
        end -= len(line) - len(low)
        if side and ports is None:
            raise NotUnderstood("source without ports")
        sides.append(ports)
        at = end
    if low[at]:
        raise NotUnderstood(f"{low[at]!r} in a service is not understood")
    return Service(protocol, sides[0], sides[1])


def read_groups(lines: Iterable[str]) -> Groups:
    """Return the groups that the lines of a text define.

    Where members stand deeper than their header, the group ends with the first line that does not. In text without
    indentation only a line that is certain to begin something else ends it; any other line makes the group uncertain.
    """
    found: dict[str, _Group] = {}
    current: _Group | None = None
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text:
            continue
        indent = len(line) - len(line.lstrip())
        removed = _REMOVED.match(text)
        header = _HEADER.match(" ".join(text.split()))
        if removed:
            current = found.get(removed["name"])
            if current is not None:
                current.broken = current.broken or f"line {number} removes it"
            current = None
        elif header:
            kind = (header["kind"] or header["shown"]).lower()
            name = header["name"] or header["named"]
            current = _Group(kind, number, indent)
            if name in found:
                found[name].broken = "it is defined twice in this text"
            else:
                found[name] = current
        elif current is None:
            continue
        elif _ANY_HEADER.match(text) or _END.match(text):
            current = None
        elif indent > current.indent:
            current.rows.append(text)
            current.deep = True
        elif current.deep:
            current = None
        elif _is_member(text, current.kind):
            current.rows.append(text)
        else:
            current.broken = current.broken or f"line {number} ({text[:40]!r}) may belong to it"
            current = None
    return Groups(found)


def _is_member(text: str, kind: str) -> bool:
    words = text.lower().split()
    if kind.endswith("network"):
        return words[0] in _NETWORK_WORDS or words[0][0].isdigit() or ":" in words[0]
    table = names.PROTOCOLS_IPV6 if kind.startswith("v6") else names.PROTOCOLS
    return words[0] in _SERVICE_WORDS or words[0] in table or words[0].isdigit()
