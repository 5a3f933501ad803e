# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects and object groups of a Cisco ASA configuration (facts/devices.md section 1.7): what a name stands for.

A group is resolved through its groups. What cannot be resolved (a name that the text does not define, an FQDN, a member that
is not understood, a circle) stays open as a condition in one canonical wording, so that only the packets it may match are not modelled.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import asa_names
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_match import (
    OPERATORS,
    Tokens,
    ipv6_prefix,
    port_set,
    take_message,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_values import (
    MEMO,
    NotUnderstood,
    parse_ipv4,
    parse_ipv6,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import ICMP, ICMPV6

_DEPTH = 16


@dataclass(frozen=True)
class Part:
    """Addresses of one family (0: both) on one side of an entry, None for all; ``condition`` names what is open about them."""

    family: int
    values: IntervalSet | None = None
    condition: str = ""


@dataclass(frozen=True)
class Service:
    """A protocol (None: every one) with its ports or messages; ``condition`` names what is open about it."""

    protocol: int | None = None
    source_ports: IntervalSet | None = None
    destination_ports: IntervalSet | None = None
    detail: IntervalSet | None = None
    condition: str = ""


@dataclass
class Block:
    """One definition: its kind (``network``, ``service``, ``protocol``, ``icmp-type``, ``security`` or another), and its lines."""

    kind: str
    name: str
    group: bool
    protocols: tuple[int, ...] = ()
    lines: list[str] = field(default_factory=list)
    broken: bool = False


@dataclass
class Objects:
    """Every definition of a text. ``any_family`` is 4 for releases before 9.0, where ``any`` was IPv4 only, else 0."""

    objects: dict[str, Block] = field(default_factory=dict)
    groups: dict[str, Block] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    any_family: int = 0
    _members: dict[tuple[str, bool], list[Part]] = field(default_factory=dict)
    _inner: dict[tuple[str, bool], list[Service]] = field(default_factory=dict)
    _sets: dict[tuple[str, str], IntervalSet | None] = field(default_factory=dict)
    expanded: int = 0  # parts of entries beyond the first, over the whole text
    _networks: dict[tuple[str, bool], tuple[Part, ...]] = field(default_factory=dict)
    _services: dict[tuple[str, bool], tuple[Service, ...]] = field(default_factory=dict)

    def kind(self, name: str, group: bool) -> str:
        """Return the kind of an object or group, "" where the text does not define it."""
        block = (self.groups if group else self.objects).get(name)
        return block.kind if block else ""

    def network(self, name: str, group: bool) -> tuple[Part, ...]:
        """Return the addresses of a network object or group: one part a family, and one for each open member."""
        key = (name, group)
        if key not in self._networks:
            self._networks[key] = tuple(self._network(name, group, ()))
        return self._networks[key]

    def _network(self, name: str, group: bool, above: tuple[str, ...]) -> list[Part]:
        """Return the members of a group, its groups resolved; each group is resolved once, however many hold it."""
        key = (name, group)
        if key not in self._members:
            self._members[key] = list(_merged(self._network_once(name, group, above)))
        return self._members[key]

    def _network_once(self, name: str, group: bool, above: tuple[str, ...]) -> list[Part]:
        block = (self.groups if group else self.objects).get(name)
        open_part = [Part(0, None, _label(name, group))]
        if block is None or block.kind != "network" or block.broken or not block.lines:
            return open_part
        if name in above or len(above) >= _DEPTH:
            raise NotUnderstood(f"object group {name!r} holds itself, or groups are nested too deep")
        if not group and len(block.lines) > 1:
            return open_part
        result: list[Part] = []
        for line in block.lines:
            words = Tokens(line.split())
            try:
                result += self._network_member(words, block, (*above, name))
                if words.peek():
                    return open_part
            except NotUnderstood as problem:
                if "holds itself" in str(problem):
                    raise
                return open_part
        return result

    def _network_member(self, words: Tokens, block: Block, above: tuple[str, ...]) -> list[Part]:
        word = words.take()
        if block.group and word == "group-object":
            return self._network(words.take_name(), True, above)
        if block.group and word == "network-object" and words.take_if("object"):
            return self._network(words.take_name(), False, above)
        if block.group and word == "network-object":
            return [self.address(words)]
        if not block.group and word == "fqdn":
            version = words.take_if("v4", "v6")
            return [Part({"v4": 4, "v6": 6}.get(version, 0), None, f"fqdn {words.take()}")]
        if not block.group and word in ("host", "range", "subnet"):
            words.at -= 0 if word == "subnet" else 1
            return [self.address(words)]
        raise NotUnderstood(f"{word!r} is not understood")

    def address(self, words: Tokens) -> Part:
        """Return what ``host A``, ``A MASK``, ``range A B`` or ``X:X::X/length`` names; a name is looked up."""
        word = words.take_name()
        low = word.lower()
        if low == "host":
            return self._host(words.take_name())
        if low == "range":
            first, last = (self._value(words.take_name()) for _end in range(2))
            if first[0] != last[0] or first[1] > last[1]:
                raise NotUnderstood("a range with ends that do not fit")
            return Part(first[0], IntervalSet.of((first[1], last[1])))
        if "/" in word:
            return Part(6, ipv6_prefix(word))
        return self._masked(word, words.take())

    def _masked(self, word: str, mask: str) -> Part:
        known = self.names.get(word, word)
        if known is word and not (word[0].isdigit() and "." in word):
            parse_ipv4(mask)
            return Part(4, None, f"{word} {mask}")
        return literal(known, mask)[0]

    def _host(self, word: str) -> Part:
        if word not in self.names and word[0].isdigit() and "." in word:
            return literal("host", word)[0]
        try:
            family, value = self._value(word)
        except NotUnderstood:
            if re.match(r"[0-9.:]+\Z", word):
                raise
            return Part(0, None, f"host {word}")
        return Part(family, IntervalSet.single(value))

    def _value(self, word: str) -> tuple[int, int]:
        word = self.names.get(word, word)
        return (6, parse_ipv6(word)) if ":" in word else (4, parse_ipv4(word))

    def services(self, name: str, group: bool) -> tuple[Service, ...]:
        """Return the services of a service object, service group or protocol group; an open one has a condition."""
        key = (name, group)
        if key not in self._services:
            self._services[key] = tuple(self._service(name, group, ()))
        return self._services[key]

    def _service(self, name: str, group: bool, above: tuple[str, ...]) -> list[Service]:
        """Return the services of a group, its groups resolved; each group is resolved once, however many hold it."""
        key = (name, group)
        if key not in self._inner:
            self._inner[key] = list(dict.fromkeys(self._service_once(name, group, above)))
        return self._inner[key]

    def _service_once(self, name: str, group: bool, above: tuple[str, ...]) -> list[Service]:
        block = (self.groups if group else self.objects).get(name)
        open_service = [Service(condition=_label(name, group))]
        if block is None or block.broken or not block.lines or block.kind not in ("service", "protocol"):
            return open_service
        if block.protocols or (not group and len(block.lines) > 1):
            return open_service  # a group of ports is no service
        if name in above or len(above) >= _DEPTH:
            raise NotUnderstood(f"object group {name!r} holds itself, or groups are nested too deep")
        result: list[Service] = []
        for line in block.lines:
            words = Tokens(line.split())
            try:
                result += self._service_member(words, block, (*above, name))
                if words.peek():
                    return open_service
            except NotUnderstood as problem:
                if "holds itself" in str(problem):
                    raise
                return open_service
        return result

    def _service_member(self, words: Tokens, block: Block, above: tuple[str, ...]) -> list[Service]:
        word = words.take()
        if block.group and word == "group-object":
            return self._service(words.take_name(), True, above)
        if block.kind == "protocol" and word == "protocol-object":
            return [Service(protocol) for protocol in protocol_numbers(words.take())]
        if block.kind == "service" and block.group and word == "service-object" and words.take_if("object"):
            return self._service(words.take_name(), False, above)
        if block.kind == "service" and word == ("service-object" if block.group else "service"):
            return service_words(words)
        raise NotUnderstood(f"{word!r} is not understood")

    def ports(self, name: str) -> tuple[tuple[int, ...], IntervalSet] | None:
        """Return (protocols, ports) of a group of ports, None where it is not resolved."""
        block = self.groups.get(name)
        found = self._set(name, "ports", 0)
        return (block.protocols, found) if block is not None and found is not None else None

    def messages(self, name: str, ipv6: bool) -> IntervalSet | None:
        """Return the messages of an ICMP type group, None where it is not resolved."""
        return self._set(name, "icmp6" if ipv6 else "icmp", 0)

    def tags(self, name: str) -> IntervalSet | None:
        """Return the security group tags of a security group, None where it is not resolved (a member by name)."""
        return self._set(name, "tags", 0)

    def _set(self, name: str, what: str, depth: int) -> IntervalSet | None:
        """Return the union of the members of a group; each group is resolved once, and a circle is not resolved."""
        key = (name, what)
        if key not in self._sets:
            self._sets[key] = None  # what a member of it that leads back here finds
            self._sets[key] = self._set_once(name, what, depth)
        return self._sets[key]

    def _set_once(self, name: str, what: str, depth: int) -> IntervalSet | None:
        block = self.groups.get(name)
        kind = {"ports": "service", "tags": "security"}.get(what, "icmp-type")
        if (
            block is None
            or block.kind != kind
            or block.broken
            or depth >= _DEPTH
            or (what == "ports" and not block.protocols)
        ):
            return None
        pairs: list[tuple[int, int]] = []
        for line in block.lines:
            words = Tokens(line.split())
            try:
                found = self._set_member(words, block, what, depth)
            except NotUnderstood:
                return None
            if found is None or words.peek():
                return None
            pairs += found.pairs
        return IntervalSet.of(*pairs) if pairs else None

    def _set_member(self, words: Tokens, block: Block, what: str, depth: int) -> IntervalSet | None:
        word = words.take()
        if word == "group-object":
            name = words.take_name()
            inner = self.groups.get(name)
            if what == "ports" and inner is not None and not set(block.protocols) <= set(inner.protocols):
                return None
            return self._set(name, what, depth + 1)
        if what == "ports" and word == "port-object" and words.peek() in ("eq", "range"):
            return port_set(words, words.take(), asa_names.port_names(frozenset(block.protocols)))
        if what == "tags" and word == "security-group" and words.take_if("tag"):
            tag = words.take()
            return IntervalSet.single(int(tag)) if re.match(r"[0-9]{1,5}\Z", tag) and int(tag) <= 65535 else None
        if what in ("icmp", "icmp6") and word == "icmp-object":
            return take_message(words, asa_names.ICMPV6_MESSAGES if what == "icmp6" else asa_names.ICMP_MESSAGES)
        return None


@lru_cache(maxsize=MEMO)
def literal(first: str, second: str) -> tuple[Part]:
    """Return the addresses of ``host A`` or ``A MASK`` in digits; NotUnderstood otherwise."""
    if first == "host":
        value = parse_ipv4(second)
        return (Part(4, IntervalSet(((value, value),))),)
    value, loose = parse_ipv4(first), parse_ipv4(second) ^ 0xFFFFFFFF
    if loose & (loose + 1) or (loose == 0xFFFFFFFF and value):
        raise NotUnderstood(
            f"{first} {second}: not an address and its subnet mask; a wildcard mask is of another platform"
        )
    return (Part(4, None if loose == 0xFFFFFFFF else IntervalSet(((value & ~loose, value | loose),))),)


def _label(name: str, group: bool) -> str:
    return f"{'object-group' if group else 'object'} {name}"


def _merged(parts: list[Part]) -> tuple[Part, ...]:
    """Return the parts with the known addresses of each family in one."""
    result: list[Part] = []
    for family in (4, 6):
        known = [part.values for part in parts if part.family == family and not part.condition]
        if any(values is None for values in known):
            result.append(Part(family))
        elif known:
            result.append(Part(family, IntervalSet.of(*(pair for values in known if values for pair in values.pairs))))
    return (*result, *dict.fromkeys(part for part in parts if part.condition))


def protocol_numbers(word: str) -> tuple[int | None, ...]:
    """Return the protocols that a word names, None for every one; NotUnderstood otherwise."""
    if word == "ip":
        return (None,)
    if word == "tcp-udp":
        return (6, 17)
    if word in asa_names.PROTOCOLS:
        return (asa_names.PROTOCOLS[word],)
    if re.match(r"[0-9]{1,3}\Z", word) and int(word) <= 255:
        return (int(word),)
    raise NotUnderstood(f"protocol {word!r} is not understood")


def service_words(words: Tokens) -> list[Service]:
    """Return what ``tcp source eq 1 destination eq 2``, ``icmp echo`` or ``ospf`` names, for objects and group members."""
    protocols = protocol_numbers(words.take())
    numbers = frozenset(number for number in protocols if number is not None)
    if numbers & {ICMP, ICMPV6}:
        table = asa_names.ICMPV6_MESSAGES if ICMPV6 in numbers else asa_names.ICMP_MESSAGES
        return [Service(protocols[0], detail=take_message(words, table, coded=True))]
    sides: list[IntervalSet | None] = [None, None]
    if numbers and numbers <= set(asa_names.PORT_NAMES):
        names = asa_names.port_names(numbers)
        if words.take_if("source"):
            sides[0] = port_set(words, _operator(words), names)
        if words.take_if("destination") or words.peek() in OPERATORS:
            sides[1] = port_set(words, _operator(words), names)
    return [Service(protocol, sides[0], sides[1]) for protocol in protocols]


def _operator(words: Tokens) -> str:
    word = words.take()
    if word not in OPERATORS:
        raise NotUnderstood(f"{word!r} is not an operator")
    return word
