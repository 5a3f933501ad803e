# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One entry of a Cisco IOS, DACL or SGACL text as an ``Ace`` (grammar: facts/devices.md section 1.1, facts/ise.md 3 and 4).

Strict: a word that is not known, or stands where it may not, raises ``NotUnderstood``. Nothing is skipped or guessed.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import names
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet, from_wildcard
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import (
    ESTABLISHED,
    ICMP,
    ICMPV6,
    IPV4_ADDRESSES,
    PORTS,
    TCP,
    UDP,
)

SCTP = 132
_PORT_OPERATORS = ("eq", "neq", "gt", "lt", "range")
_NOT_MODELLED = (
    "dscp", "precedence", "tos", "ttl", "option", "time-range", "reflect", "timeout", "dynamic", "routing", "auth", "flow-label",
    "hbh", "mobility", "mobility-type", "dest-option", "dest-option-type", "routing-type", "undetermined-transport",
)  # fmt: skip
_NUMBER = re.compile(r"[0-9]{1,5}\Z")
_IPV4 = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}\Z")


class NotUnderstood(ValueError):
    """A line that cannot be read for certain; the text says why."""


class Words:
    """The words of a line, taken from left to right."""

    def __init__(self, words: list[str]) -> None:
        self._words = words
        self._at = 0

    def peek(self) -> str:
        """Return the next word in lower case, "" at the end."""
        return self._words[self._at].lower() if self._at < len(self._words) else ""

    def take(self) -> str:
        """Return the next word in lower case; NotUnderstood at the end."""
        word = self.peek()
        if not word:
            raise NotUnderstood("the line ends too early")
        self._at += 1
        return word

    def take_if(self, *wanted: str) -> str:
        """Return and consume the next word when it is one of those wanted, else ""."""
        if self.peek() in wanted:
            return self.take()
        return ""


def parse_ace(words: list[str], family: int, *, addresses: bool = True) -> Ace:
    """Return the entry that the words from ``permit`` or ``deny`` on make.

    ``family`` is 4, 6 or 0 (SGACL for both). ``addresses`` False reads the SGACL form (``src eq``, ``dst eq``). Raises
    NotUnderstood. The result has no line, sequence or remarks yet.
    """
    line = Words(words)
    action = line.take()
    if action not in ("permit", "deny"):
        raise NotUnderstood(f"{action!r} is not permit or deny")
    protocol = _protocol(line, family)
    source = destination = source_ports = destination_ports = None
    if addresses:
        source = _address(line, family)
        source_ports = _ports(line, protocol)
        destination = _address(line, family)
        destination_ports = _ports(line, protocol)
    else:
        for _round in range(2):
            side = line.take_if("src", "dst")
            if side == "src" and source_ports is None:
                source_ports = _required_ports(line, protocol, family)
            elif side == "dst" and destination_ports is None:
                destination_ports = _required_ports(line, protocol, family)
            elif side:
                raise NotUnderstood(f"{side!r} stands twice")
    detail = _message(line, protocol, family)
    fragments = log = False
    while line.peek():
        word = line.take()
        if word == "fragments" and not fragments:
            fragments = True
        elif word in ("log", "log-input") and not log:
            log = True
        elif word == "established" and protocol == TCP and detail is None:
            detail = ESTABLISHED
        elif word in names.TCP_FLAGS and protocol == TCP and detail is None and line.peek() not in names.TCP_FLAGS:
            bit = names.TCP_FLAGS[word]
            detail = _flags(lambda flags, bit=bit: bool(flags & bit))  # type: ignore[misc]
        elif word in ("match-all", "match-any") and protocol == TCP and detail is None:
            detail = _flag_match(line, word == "match-all")
        elif word in _NOT_MODELLED:
            raise NotUnderstood(f"{word!r} is not modelled")
        elif protocol == TCP and (word in names.TCP_FLAGS or word == "established"):
            raise NotUnderstood("several flag words: whether all or any must be set differs between releases")
        else:
            raise NotUnderstood(f"{word!r} is not understood")
    if fragments and (source_ports is not None or destination_ports is not None or detail is not None):
        raise NotUnderstood("fragments with ports, flags or messages: later fragments have none")
    return Ace(
        permit=action == "permit", protocol=protocol, family=family, source=source, destination=destination,
        source_ports=source_ports, destination_ports=destination_ports, detail=detail, fragments=fragments, log=log,
    )  # fmt: skip


def _protocol(line: Words, family: int) -> int | None:
    word = line.take()
    if word == ("ipv6" if family == 6 else "ip") or (family == 0 and word == "ipv6"):
        if word == "ipv6" and family == 0:
            raise NotUnderstood("'ipv6' in a list for both families")
        return None
    table = names.PROTOCOLS_IPV6 if family == 6 else names.PROTOCOLS
    if word in table:
        return table[word]
    if _NUMBER.match(word) and int(word) <= 255:
        return int(word)
    if word in ("object-group", "object", "addrgroup"):
        raise NotUnderstood("object groups are not resolved")
    raise NotUnderstood(f"protocol {word!r} is not understood")


def parse_ipv4(word: str) -> int:
    """Return a dotted address as an integer; NotUnderstood for anything else, leading zeros included."""
    if not _IPV4.match(word):
        raise NotUnderstood(f"{word!r} is not an IPv4 address")
    try:
        return int(ipaddress.IPv4Address(word))
    except ValueError as error:
        raise NotUnderstood(f"{word!r} is not an IPv4 address") from error


def parse_ipv6(word: str) -> int:
    """Return an IPv6 address as an integer; NotUnderstood for anything else."""
    try:
        if "%" in word or ":" not in word:
            raise ValueError(word)
        return int(ipaddress.IPv6Address(word))
    except ValueError as error:
        raise NotUnderstood(f"{word!r} is not an IPv6 address") from error


def parse_wildcard(address: str, mask: str) -> IntervalSet | None:
    """Return the addresses of an address and wildcard mask, None for all; NotUnderstood above 4,096 pieces."""
    value, loose = parse_ipv4(address), parse_ipv4(mask)
    if loose == 0xFFFFFFFF:
        return None
    found = from_wildcard(value, loose)
    if found is None:
        raise NotUnderstood(f"wildcard mask {mask} falls into more than 4,096 pieces")
    return found


def _address(line: Words, family: int) -> IntervalSet | None:
    word = line.take()
    if word == "any":
        return None
    if word in ("object-group", "object", "addrgroup", "fqdn-group"):
        raise NotUnderstood("object groups are not resolved")
    if word == "host":
        address = line.take()
        if address == "dynamic":
            raise NotUnderstood("names are not resolved")
        return IntervalSet.single(parse_ipv6(address) if family == 6 else parse_ipv4(address))
    if family == 6:
        address, slash, length = word.partition("/")
        if not slash or not re.match(r"[0-9]{1,3}\Z", length) or int(length) > 128:
            raise NotUnderstood(f"{word!r} is not an IPv6 prefix")
        value = parse_ipv6(address)
        span = (1 << (128 - int(length))) - 1
        return None if int(length) == 0 else IntervalSet.of((value & ~span, value | span))
    return parse_wildcard(word, line.take())


def _ports(line: Words, protocol: int | None) -> IntervalSet | None:
    operator = line.take_if(*_PORT_OPERATORS)
    if not operator:
        return None
    if protocol not in (TCP, UDP, SCTP):
        raise NotUnderstood(f"a port stands after a protocol without ports ({operator})")
    if operator == "range":
        low, high = _port(line, protocol), _port(line, protocol)
        if low > high:
            raise NotUnderstood(f"range {low} {high} is reversed")
        return IntervalSet.of((low, high))
    port = _port(line, protocol)
    if operator in ("eq", "neq"):
        listed = [port]
        while _is_port(line.peek(), protocol):
            listed.append(_port(line, protocol))
        if len(listed) > 10:
            raise NotUnderstood("more than 10 ports after one operator")
        ports = IntervalSet.of(*listed)
        if operator == "eq":
            return ports
        if len(listed) > 1:
            raise NotUnderstood("neq with several ports: releases read it differently")
        return PORTS.subtract(ports)
    if operator == "gt":
        if port == 65535:
            raise NotUnderstood("gt 65535 matches nothing")
        return IntervalSet.of((port + 1, 65535))
    if port == 0:
        raise NotUnderstood("lt 0 matches nothing")
    return IntervalSet.of((0, port - 1))


def _required_ports(line: Words, protocol: int | None, family: int) -> IntervalSet:
    found = _ports(line, protocol)
    if found is None:
        raise NotUnderstood(f"an operator was expected, not {line.peek()!r}")
    return found


def _is_port(word: str, protocol: int) -> bool:
    return bool(_NUMBER.match(word)) or word in names.PORT_NAMES.get(protocol, {})


def _port(line: Words, protocol: int) -> int:
    word = line.take()
    if word in names.PORT_NAMES.get(protocol, {}):
        return names.PORT_NAMES[protocol][word]
    if _NUMBER.match(word) and int(word) <= 65535:
        return int(word)
    raise NotUnderstood(f"port {word!r} is not understood")


def _message(line: Words, protocol: int | None, family: int) -> IntervalSet | None:
    """Return the ICMP messages named next, None when none is."""
    if protocol != (ICMPV6 if family == 6 else ICMP):
        return None
    table = names.ICMPV6_MESSAGES if family == 6 else names.ICMP_MESSAGES
    word = line.peek()
    kind: int
    code: int | None
    if word in table:
        line.take()
        kind, code = table[word]
    elif _NUMBER.match(word) and int(word) <= 255:
        kind, code = int(line.take()), None
        if _NUMBER.match(line.peek()) and int(line.peek()) <= 255:
            code = int(line.take())
    else:
        return None
    return IntervalSet.of((kind << 8, kind << 8 | 255)) if code is None else IntervalSet.single(kind << 8 | code)


def _flags(wanted: Callable[[int], bool]) -> IntervalSet:
    return IntervalSet.of(*(flags for flags in range(64) if wanted(flags)))


def _flag_match(line: Words, every: bool) -> IntervalSet:
    """Return the flag sets of ``match-all +ack -fin`` or ``match-any ...``."""
    tests: list[tuple[int, bool]] = []
    while line.peek()[:1] in ("+", "-") and line.peek()[1:] in names.TCP_FLAGS:
        word = line.take()
        tests.append((names.TCP_FLAGS[word[1:]], word[0] == "+"))
    if not tests or len({bit for bit, _value in tests}) != len(tests):
        raise NotUnderstood("match-all and match-any need each flag at most once")
    check = all if every else any
    return _flags(lambda flags: check(bool(flags & bit) == value for bit, value in tests))


def parse_standard(words: list[str]) -> Ace:
    """Return an entry of a standard list, which looks at the source only; NotUnderstood otherwise."""
    log = len(words) > 1 and words[-1].lower() == "log"
    words = [word.rstrip(",") for word in (words[:-1] if log else words)]
    action = words[0].lower()
    rest = [word.lower() for word in words[1:]]
    if action not in ("permit", "deny"):
        raise NotUnderstood(f"{action!r} is not permit or deny")
    source: IntervalSet | None
    if rest == ["any"]:
        source = None
    elif len(rest) == 1 or (len(rest) == 2 and rest[0] == "host"):
        source = IntervalSet.single(parse_ipv4(rest[-1]))
    elif len(rest) == 2:
        source = parse_wildcard(rest[0], rest[1])
    elif len(rest) == 4 and rest[1:3] == ["wildcard", "bits"]:
        source = parse_wildcard(rest[0], rest[3])
    else:
        raise NotUnderstood("not an entry of a standard list")
    if source is not None and not source.subtract(IPV4_ADDRESSES).is_empty:
        raise NotUnderstood("not an IPv4 address")
    return Ace(permit=action == "permit", source=source, log=log)
