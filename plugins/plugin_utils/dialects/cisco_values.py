# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses and ports of Cisco IOS lines as sets. Each value is read once: real lists repeat the same few thousand."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence
from functools import lru_cache

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import names
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.masks import wildcard_set
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import PORTS, TCP, UDP

SCTP = 132
MEMO = 65_536
MOST_PORTS = 10  # after one eq or neq (facts/devices.md section 1.1)
_OPERATORS = frozenset(("eq", "neq", "gt", "lt", "range", "portgroup"))
_NUMBER = re.compile(r"[0-9]{1,5}\Z")
Ports = IntervalSet | None


class NotUnderstood(ValueError):
    """A line that cannot be read for certain; the text says why."""


def parse_ipv4(word: str) -> int:
    """Return a dotted address as an integer; NotUnderstood for anything else, leading zeros included."""
    try:
        return int.from_bytes(socket.inet_pton(socket.AF_INET, word), "big")
    except (OSError, ValueError, UnicodeError) as error:
        raise NotUnderstood(f"{word!r} is not an IPv4 address") from error


def parse_ipv6(word: str) -> int:
    """Return an IPv6 address as an integer; NotUnderstood for anything else."""
    try:
        if "%" in word or ":" not in word:
            raise ValueError(word)
        return int(ipaddress.IPv6Address(word))
    except ValueError as error:
        raise NotUnderstood(f"{word!r} is not an IPv6 address") from error


@lru_cache(maxsize=MEMO)
def host(word: str, family: int) -> IntervalSet:
    """Return the set of one address; NotUnderstood for what is none."""
    value = parse_ipv6(word) if family == 6 else parse_ipv4(word)
    return IntervalSet(((value, value),))


@lru_cache(maxsize=MEMO)
def prefix(word: str) -> IntervalSet | None:
    """Return the addresses of an IPv6 prefix, None for all."""
    address, slash, length = word.partition("/")
    if not slash or not re.match(r"[0-9]{1,3}\Z", length) or int(length) > 128:
        raise NotUnderstood(f"{word!r} is not an IPv6 prefix")
    value = parse_ipv6(address)
    span = (1 << (128 - int(length))) - 1
    return None if int(length) == 0 else IntervalSet(((value & ~span, value | span),))


@lru_cache(maxsize=MEMO)
def wildcard(address: str, mask: str) -> IntervalSet | None:
    """Return the addresses of an address and wildcard mask, whatever its holes; None for all."""
    value, loose = parse_ipv4(address), parse_ipv4(mask)
    if loose == 0xFFFFFFFF:
        return None
    if loose & (loose + 1) == 0:
        return IntervalSet(((value & ~loose, value | loose),))
    return wildcard_set(value, loose)


def subnet(address: str, mask: str) -> IntervalSet | None:
    """Return the addresses of an address and subnet mask or ``/length``, as object groups write them; None for all."""
    value = parse_ipv4(address)
    if mask.startswith("/"):
        if not re.match(r"/[0-9]{1,2}\Z", mask) or int(mask[1:]) > 32:
            raise NotUnderstood(f"{mask!r} is not a prefix length")
        loose = (1 << (32 - int(mask[1:]))) - 1
    else:
        loose = parse_ipv4(mask) ^ 0xFFFFFFFF
        if loose & (loose + 1):
            raise NotUnderstood(f"{mask!r} is not a subnet mask")
    if loose == 0xFFFFFFFF:
        raise NotUnderstood(f"{address} {mask}: a mask of no bits is written 'any'")
    return IntervalSet(((value & ~loose, value | loose),))


def read_ports(
    low: list[str], words: Sequence[str], at: int, protocol: int | None
) -> tuple[Ports, tuple[str, ...], int]:
    """Return the ports that stand at a place of a line, a condition, and the place after them.

    The condition is a port group, which says nothing else about the ports, or ``neq`` with several ports: the ports returned are then
    those that it matches for certain. Cisco documents the list (named ACL support for noncontiguous ports), not its meaning.
    """
    operator = low[at]
    if operator not in _OPERATORS:
        return None, (), at
    if protocol != TCP and protocol != UDP and protocol != SCTP:
        raise NotUnderstood(f"a port stands after a protocol without ports ({operator})")
    if operator == "eq" or operator == "neq":
        end = at + 2
        while is_port(low[end], protocol):
            end += 1
        if end == at + 2:
            return port_set(operator, low[at + 1], "", protocol), (), end
        if end - at - 1 > MOST_PORTS:
            raise NotUnderstood(f"more than {MOST_PORTS} ports after one operator")
        numbers = sorted({port(word, protocol) for word in low[at + 1 : end]})
        ports = IntervalSet.of(*numbers)
        if operator == "eq":
            return ports, (), end
        return PORTS.subtract(ports), (f"neq {' '.join(map(str, numbers))}",) if len(numbers) > 1 else (), end
    if operator == "range":
        return port_set(operator, low[at + 1], low[at + 2], protocol), (), at + 3
    if operator == "portgroup":
        if at + 1 >= len(words):
            raise NotUnderstood("the line ends too early")
        return None, (f"portgroup {words[at + 1]}",), at + 2
    return port_set(operator, low[at + 1], "", protocol), (), at + 2


@lru_cache(maxsize=MEMO)
def port_set(operator: str, first: str, second: str, protocol: int) -> IntervalSet:
    """Return the ports of one operator; NotUnderstood for one that matches nothing, or is reversed."""
    value = port(first, protocol)
    if operator == "eq":
        return IntervalSet(((value, value),))
    if operator == "neq":
        return PORTS.subtract(IntervalSet(((value, value),)))
    if operator == "range":
        high = port(second, protocol)
        if value > high:
            raise NotUnderstood(f"range {value} {high} is reversed")
        return IntervalSet(((value, high),))
    if operator == "gt":
        if value == 65535:
            raise NotUnderstood("gt 65535 matches nothing")
        return IntervalSet(((value + 1, 65535),))
    if value == 0:
        raise NotUnderstood("lt 0 matches nothing")
    return IntervalSet(((0, value - 1),))


def is_port(word: str, protocol: int) -> bool:
    """Return whether a word could be a port of the protocol."""
    return bool(_NUMBER.match(word)) or word in names.PORT_NAMES.get(protocol, {})


def port(word: str, protocol: int) -> int:
    """Return a port by name or number; NotUnderstood for what is neither on this protocol."""
    table = names.PORT_NAMES.get(protocol, {})
    if word in table:
        return table[word]
    if _NUMBER.match(word) and int(word) <= 65535:
        return int(word)
    raise NotUnderstood(f"port {word!r} is not understood" if word else "the line ends too early")
