# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps that the Cisco NX-OS and ASA readers share: port operators, ICMP messages, prefixes, wildcards, counters of words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_values import NotUnderstood, parse_ipv6
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.names import Message
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.masks import wildcard_set
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import PORTS

OPERATORS = ("eq", "neq", "gt", "lt", "range")
_NUMBER = re.compile(r"[0-9]{1,5}\Z")
_LENGTH = re.compile(r"[0-9]{1,3}\Z")


class Tokens:
    """The words of a line, taken from left to right; names keep their case, everything else is compared in lower case."""

    __slots__ = ("_low", "_words", "at")

    def __init__(self, words: Sequence[str], at: int = 0, low: list[str] | None = None) -> None:
        self._words = words
        self._low = [*map(str.lower, words), "", ""] if low is None else low  # "" stands for the end
        self.at = at

    def peek(self) -> str:
        """Return the next word in lower case, "" at the end."""
        return self._low[self.at]

    def after(self) -> str:
        """Return the word after the next in lower case, "" beyond the end."""
        return self._low[self.at + 1]

    def copy(self) -> Tokens:
        """Return another reader at the same place, to look ahead with."""
        return Tokens(self._words, self.at, self._low)

    def take(self) -> str:
        """Return the next word in lower case; NotUnderstood at the end."""
        word = self._low[self.at]
        if not word:
            raise NotUnderstood("the line ends too early")
        self.at += 1
        return word

    def take_name(self) -> str:
        """Return the next word as written; NotUnderstood at the end."""
        self.take()
        return self._words[self.at - 1]

    def take_if(self, *wanted: str) -> str:
        """Return and consume the next word in lower case when it is one of those wanted, else ""."""
        word = self._low[self.at]
        if not word or word not in wanted:
            return ""
        self.at += 1
        return word


def printable(text: str) -> str:
    """Return a line whose characters a device can have printed; NotUnderstood for others, which may hide what a line says."""
    if not (text.isascii() and text.isprintable()):
        raise NotUnderstood("it has characters that are not printable ASCII")
    return text


def port_number(word: str, table: Mapping[str, int]) -> int:
    """Return the port that a word of the platform, or a number, names; NotUnderstood otherwise."""
    if word in table:
        return table[word]
    if _NUMBER.match(word) and int(word) <= 65535:
        return int(word)
    raise NotUnderstood(f"port {word!r} is not understood")


def port_set(line: Tokens, operator: str, table: Mapping[str, int]) -> IntervalSet:
    """Return the ports of an operator with its one operand, two for ``range``; NotUnderstood where it matches nothing."""
    first = port_number(line.take(), table)
    if operator == "range":
        last = port_number(line.take(), table)
        if first > last:
            raise NotUnderstood(f"range {first} {last} is reversed")
        return IntervalSet(((first, last),))
    if operator == "eq":
        return IntervalSet(((first, first),))
    if operator == "neq":
        return PORTS.subtract(IntervalSet.single(first))
    if operator == "gt":
        if first == 65535:
            raise NotUnderstood("gt 65535 matches nothing")
        return IntervalSet.of((first + 1, 65535))
    if first == 0:
        raise NotUnderstood("lt 0 matches nothing")
    return IntervalSet.of((0, first - 1))


def message_set(kind: int, code: int | None) -> IntervalSet:
    """Return the ICMP details (type * 256 + code) of a type, or of one code of it."""
    low, high = (kind << 8, kind << 8 | 255) if code is None else (kind << 8 | code, kind << 8 | code)
    return IntervalSet(((low, high),))


def take_message(line: Tokens, table: Mapping[str, Message], coded: bool = False) -> IntervalSet | None:
    """Return the ICMP messages named next, as a word or as type and code; None when none is. ``coded``: a code may follow a word."""
    word = line.peek()
    if word in table:
        line.take()
        kind, code = table[word]
        if coded and code is None and _byte(line.peek()):
            code = int(line.take())
        return message_set(kind, code)
    if not _byte(word):
        return None
    kind = int(line.take())
    return message_set(kind, int(line.take()) if _byte(line.peek()) else None)


def _byte(word: str) -> bool:
    return bool(_LENGTH.match(word)) and int(word) <= 255


def ipv6_prefix(word: str) -> IntervalSet:
    """Return the addresses of ``X:X::X/length``, host bits ignored as devices do; NotUnderstood otherwise."""
    address, slash, length = word.partition("/")
    if not slash or not _LENGTH.match(length) or int(length) > 128:
        raise NotUnderstood(f"{word!r} is not an IPv6 prefix")
    return masked(parse_ipv6(address), int(length), 128)


def masked(value: int, length: int, width: int) -> IntervalSet:
    """Return the addresses of a prefix; bits of the value beyond the length do not count."""
    span = (1 << (width - length)) - 1
    return IntervalSet(((value & ~span, value | span),))


def ipv6_wildcard(address: str, mask: str) -> IntervalSet:
    """Return the addresses of an IPv6 address with a wildcard mask, whatever its holes."""
    return wildcard_set(parse_ipv6(address), parse_ipv6(mask))
