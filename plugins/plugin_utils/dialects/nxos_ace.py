# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One entry of a Cisco NX-OS access list as an ``Ace`` (grammar: facts/devices.md section 1.6, Nexus 7000 Security Command Reference).

Strict: a word that is not known, or stands where it may not, raises ``NotUnderstood``. What is understood but has no field
becomes a condition in one canonical wording.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import names, nxos_names
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_match import (
    OPERATORS,
    Tokens,
    ipv6_prefix,
    ipv6_wildcard,
    masked,
    port_set,
    take_message,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_values import (
    MEMO,
    NotUnderstood,
    parse_ipv4,
    parse_ipv6,
    wildcard,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import ESTABLISHED, ICMP, ICMPV6, TCP

_NUMBER = re.compile(r"[0-9]{1,8}\Z")
IGMP = 2
_FLAG_SETS = {
    word: IntervalSet.of(*(value for value in range(64) if value & bit)) for word, bit in names.TCP_FLAGS.items()
}


@dataclass(frozen=True)
class Groups:
    """Object groups that the text defines: name to its set, None where a member is not understood or the group is empty."""

    ipv4: Mapping[str, IntervalSet | None] = field(default_factory=dict)
    ipv6: Mapping[str, IntervalSet | None] = field(default_factory=dict)
    ports: Mapping[str, IntervalSet | None] = field(default_factory=dict)


def parse_ace(words: list[str], family: int, groups: Groups, **more: Any) -> Ace:
    """Return the entry that the words from ``permit`` or ``deny`` on make; family 4 or 6. Raises NotUnderstood.

    A group that the text does not define leaves its side open and adds a condition (``source addrgroup NAME``). ``more``: line,
    sequence, remarks and what else the entry is to have.
    """
    line = Tokens(words)
    action = line.take()
    if action not in ("permit", "deny"):
        raise NotUnderstood(f"{action!r} is not permit or deny")
    protocol = _protocol(line, family)
    conditions: list[str] = []
    source = _address(line, family, groups, "source", conditions)
    source_ports = _ports(line, protocol, groups, "source", conditions)
    destination = _address(line, family, groups, "destination", conditions)
    destination_ports = _ports(line, protocol, groups, "destination", conditions)
    detail: IntervalSet | None = None
    if protocol == (ICMPV6 if family == 6 else ICMP):
        detail = take_message(line, names.ICMPV6_MESSAGES if family == 6 else names.ICMP_MESSAGES)
    elif protocol == IGMP and (line.peek() in nxos_names.IGMP_WORDS or _NUMBER.match(line.peek())):
        conditions.append(f"igmp {line.take()}")
    if not line.peek() and not conditions:
        return Ace(
            permit=action == "permit", protocol=protocol, family=family, source=source, destination=destination,
            source_ports=source_ports, destination_ports=destination_ports, detail=detail, **more,
        )  # fmt: skip
    options = _Options(line, protocol)
    options.read()
    detail = options.detail if options.detail is not None else detail
    if options.fragments and not (source_ports is destination_ports is detail is None and not options.layer4):
        raise NotUnderstood("fragments with ports, flags or messages: later fragments have none")
    return Ace(
        permit=action == "permit", protocol=protocol, family=family, source=source, destination=destination,
        source_ports=source_ports, destination_ports=destination_ports, detail=detail, fragments=options.fragments,
        log=options.log, conditions=tuple(sorted({*conditions, *options.conditions})), **more,
    )  # fmt: skip


class _Options:
    """What follows the addresses, in any order, each at most once."""

    def __init__(self, line: Tokens, protocol: int | None) -> None:
        self._line, self._protocol = line, protocol
        self.detail: IntervalSet | None = None
        self.fragments = self.log = self.layer4 = False
        self.conditions: list[str] = []

    def read(self) -> None:
        """Read to the end of the line."""
        seen: set[str] = set()
        flags: list[str] = []
        while self._line.peek():
            word = self._line.take()
            if word in seen:
                raise NotUnderstood(f"{word!r} stands twice")
            seen.add(word)
            if word == "fragments":
                self.fragments = True
            elif word == "log":
                self.log = True
            elif word in names.TCP_FLAGS and self._protocol == TCP:
                flags.append(word)
            elif word == "established" and self._protocol == TCP:
                self.detail = ESTABLISHED
            else:
                self.conditions.append(self._condition(word))
        self._flags(flags)

    def _flags(self, flags: list[str]) -> None:
        """One flag word asks for that bit; how several, or a mask, or ``established`` beside them combine is not documented."""
        masked_flags = [item for item in self.conditions if item.startswith("tcp-flags-mask")]
        if not flags and not masked_flags:
            return
        if len(flags) == 1 and not masked_flags and self.detail is None:
            self.detail = _FLAG_SETS[flags[0]]
            return
        if not flags:
            raise NotUnderstood("tcp-flags-mask without a flag")
        self.layer4 = True
        self.conditions = [item for item in self.conditions if item not in masked_flags]
        self.conditions.append(" ".join([*sorted(flags, key=list(names.TCP_FLAGS).index), *masked_flags]))

    def _condition(self, word: str) -> str:
        if word == "dscp":
            return f"dscp {self._number(63, nxos_names.DSCP)}"
        if word == "precedence":
            return f"precedence {self._number(7, nxos_names.PRECEDENCE)}"
        if word == "ttl":
            return f"ttl {self._number(255)}"
        if word == "flow-label":
            return f"flow-label {self._number(1048575)}"
        if word == "vlan":
            return f"vlan {self._number(4095)}"
        if word == "time-range":
            return f"time-range {self._line.take_name()}"
        if word == "packet-length":
            operator = self._line.take()
            if operator not in OPERATORS:
                raise NotUnderstood(f"packet-length {operator!r} is not understood")
            count = 2 if operator == "range" else 1
            return " ".join(["packet-length", operator, *(self._number(65535) for _value in range(count))])
        if self._protocol == TCP and word in ("http-method", "tcp-option-length", "tcp-flags-mask"):
            self.layer4 = True
            if word == "http-method":
                method = self._line.take()
                if method not in nxos_names.HTTP_METHODS and not re.match(r"[1-7]\Z", method):
                    raise NotUnderstood(f"http-method {method!r} is not understood")
                return f"http-method {method}"
            return f"{word} {self._number(63)}"
        if word == "nve" and self._line.take() == "vni":
            return f"nve vni {self._number(16777215)}"
        raise NotUnderstood(f"{word!r} is not understood")

    def _number(self, most: int, table: Mapping[str, int] | None = None) -> str:
        word = self._line.take()
        if table and word in table:
            return str(table[word])
        if not _NUMBER.match(word) or int(word) > most:
            raise NotUnderstood(f"{word!r} is not understood")
        return str(int(word))


def _protocol(line: Tokens, family: int) -> int | None:
    word = line.take()
    if word == ("ipv6" if family == 6 else "ip"):
        return None
    table = nxos_names.PROTOCOLS_IPV6 if family == 6 else nxos_names.PROTOCOLS
    if word in table:
        return table[word]
    if re.match(r"[0-9]{1,3}\Z", word) and int(word) <= 255:
        return int(word)
    raise NotUnderstood(f"protocol {word!r} is not understood")


def _address(line: Tokens, family: int, groups: Groups, side: str, conditions: list[str]) -> IntervalSet | None:
    word = line.take()
    if word == "any":
        return None
    if word == "addrgroup":
        name = line.take_name()
        found = (groups.ipv6 if family == 6 else groups.ipv4).get(name)
        if found is None:
            conditions.append(f"{side} addrgroup {name}")
        return found
    second = line.take() if word == "host" or "/" not in word else ""
    return _literal(word, second, family)


@lru_cache(maxsize=MEMO)
def _literal(word: str, second: str, family: int) -> IntervalSet | None:
    """Return the addresses of an address as written, None for all."""
    return whole(address_set(word, Tokens([second]), family), family)


def address_set(word: str, line: Tokens, family: int) -> IntervalSet:
    """Return the addresses that ``host A``, ``A/length`` or ``A WILDCARD`` names, the first word already taken."""
    if word == "host":
        return IntervalSet.single(parse_ipv6(line.take()) if family == 6 else parse_ipv4(line.take()))
    if family == 6:
        return ipv6_prefix(word) if "/" in word else ipv6_wildcard(word, line.take())
    address, slash, length = word.partition("/")
    if slash:
        if not re.match(r"[0-9]{1,2}\Z", length) or int(length) > 32:
            raise NotUnderstood(f"{word!r} is not an IPv4 prefix")
        return masked(parse_ipv4(address), int(length), 32)
    return wildcard(word, line.take()) or IntervalSet.of((0, 0xFFFFFFFF))


def whole(found: IntervalSet, family: int) -> IntervalSet | None:
    """Return None for all addresses of the family, else the set."""
    return None if found.size == 1 << (128 if family == 6 else 32) else found


def _ports(line: Tokens, protocol: int | None, groups: Groups, side: str, conditions: list[str]) -> IntervalSet | None:
    operator = line.take_if(*OPERATORS, "portgroup")
    if not operator:
        return None
    if protocol not in nxos_names.PORT_NAMES:
        raise NotUnderstood(f"a port stands after a protocol without ports ({operator})")
    if operator != "portgroup":
        return port_set(line, operator, nxos_names.PORT_NAMES[protocol])
    name = line.take_name()
    found = groups.ports.get(name)
    if found is None:
        conditions.append(f"{side} portgroup {name}")
    return found
