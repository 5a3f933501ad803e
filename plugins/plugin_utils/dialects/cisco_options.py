# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands behind the addresses and ports of a Cisco IOS line: messages, flags, logging, and conditions that are not modelled."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import names
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_values import NotUnderstood
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import ESTABLISHED, ICMP, ICMPV6, TCP

IGMP = 2
_STATES = ("(active)", "(inactive)")
_BYTE = re.compile(r"[0-9]{1,3}\Z")
_NUMBER = re.compile(r"[0-9]{1,7}\Z")
_NAME = re.compile(
    r"[!-'*->@-~]{1,128}\Z"
)  # printable, without the parentheses of a state and the "?" that asks for help
# Word -> names of its values, greatest number; IPv4 and IPv6.
_VALUES: dict[str, tuple[dict[str, int], int]] = {
    "dscp": (names.DSCPS, 63),
    "precedence": (names.PRECEDENCES, 7),
    "tos": (names.SERVICES, 15),
    "option": (names.OPTIONS, 255),
}
_IPV4_ONLY = ("precedence", "tos", "option", "ttl")
# IPv6 words without and with a value (facts/devices.md section 1.2).
_HEADERS = ("routing", "hbh", "mobility", "dest-option", "auth", "undetermined-transport")
_HEADER_VALUES = {"routing-type": 255, "mobility-type": 255, "dest-option-type": 255, "flow-label": 1048575}
_MOBILITY = ("bind-acknowledgement", "bind-error", "bind-refresh", "bind-update", "cot", "coti", "hot", "hoti")
# What devices print after "log".
LAST = "time-range "


@dataclass(frozen=True)
class Options:
    """What the end of a line says; ``conditions``: texts as in ``Ace``."""

    detail: IntervalSet | None = None
    fragments: bool = False
    log: bool = False
    conditions: tuple[str, ...] = ()


def read_options(
    low: list[str], words: Sequence[str], at: int, protocol: int | None, family: int, detail: IntervalSet | None
) -> Options:
    """Return what the words from a place to the end say; NotUnderstood for a word that is not known or stands twice.

    ``detail`` are the ICMP messages read before. Several flag words (``established psh``) are a condition over every packet that
    has one of them: releases differ in whether all must be set.
    """
    fragments = log = False
    flags: list[str] = []
    conditions: dict[str, str] = {}
    while low[at]:
        word = low[at]
        at += 1
        key = word
        text = ""
        if word == "log" or word == "log-input":
            if log:
                raise NotUnderstood(f"{word!r} stands twice")
            log = True
            continue
        if protocol == TCP and (word == "established" or word in names.TCP_FLAGS):
            if (detail is not None and not flags) or word in flags:
                raise NotUnderstood(f"{word!r} after other flags")
            flags.append(word)
            detail = flag_words(tuple(flags))
            continue
        if word == "fragments":
            if fragments:
                raise NotUnderstood("'fragments' stands twice")
            fragments = True
            continue
        if protocol == TCP and word in ("match-all", "match-any"):
            if detail is not None:
                raise NotUnderstood(f"{word!r} after other flags")
            detail, at = _flag_match(low, at, word == "match-all")
            continue
        if word in _VALUES and not (family == 6 and word in _IPV4_ONLY):
            text, at = f"{word} {_value(word, low[at])}", at + 1
        elif word == "ttl" and family != 6:
            text, at = _ttl(low, at)
        elif word == "time-range":
            text, at = _time_range(low, words, at)
        elif word in _HEADERS and family == 6:
            text = word
        elif word in _HEADER_VALUES and family == 6:
            text, at = f"{word} {_header_value(word, low[at])}", at + 1
        elif protocol == IGMP and (word in names.IGMP_MESSAGES or (_BYTE.match(word) and int(word) <= 15)):
            key, text = "igmp", f"igmp {word}"
        elif word in names.NOT_STATIC:
            raise NotUnderstood(names.NOT_STATIC[word])
        else:
            raise NotUnderstood(f"{word!r} is not understood")
        if key in conditions:
            raise NotUnderstood(f"{key!r} stands twice")
        conditions[key] = text
    if not conditions and len(flags) < 2:
        return Options(detail, fragments, log)
    texts = list(conditions.values())
    if len(flags) > 1:
        texts.append(" ".join(flag for flag in ("established", *names.TCP_FLAGS) if flag in flags))
    return Options(detail, fragments, log, tuple(sorted(texts)))


def _value(word: str, value: str) -> str:
    """Return a value as devices print it: its name where it has one."""
    table, most = _VALUES[word]
    if value in table:
        return value
    if not _BYTE.match(value) or int(value) > most:
        raise NotUnderstood(f"{word} {value!r} is not understood")
    return next((name for name, number in table.items() if number == int(value)), str(int(value)))


def _header_value(word: str, value: str) -> str:
    if word == "mobility-type" and value in _MOBILITY:
        return value
    if not _NUMBER.match(value) or int(value) > _HEADER_VALUES[word]:
        raise NotUnderstood(f"{word} {value!r} is not understood")
    return str(int(value))


def _ttl(low: list[str], at: int) -> tuple[str, int]:
    count = 2 if low[at] == "range" else 1
    numbers = low[at + 1 : at + 1 + count]
    if low[at] not in ("eq", "neq", "lt", "gt", "range") or not all(_BYTE.match(n) and int(n) < 256 for n in numbers):
        raise NotUnderstood(f"ttl {low[at]!r} is not understood")
    return " ".join(("ttl", low[at], *numbers)), at + 1 + count


def _time_range(low: list[str], words: Sequence[str], at: int) -> tuple[str, int]:
    if at >= len(words) or not _NAME.match(words[at]):
        raise NotUnderstood("time-range needs a name")
    text = f"time-range {words[at]}"
    return text, at + (2 if low[at + 1] in _STATES else 1)


def message(low: list[str], at: int, protocol: int | None, family: int) -> tuple[IntervalSet | None, int]:
    """Return the ICMP messages named at a place and the place after them, None when none is."""
    if protocol != (ICMPV6 if family == 6 else ICMP):
        return None, at
    table = names.ICMPV6_MESSAGES if family == 6 else names.ICMP_MESSAGES
    word = low[at]
    kind: int
    code: int | None
    if word in table:
        (kind, code), at = table[word], at + 1
    elif _BYTE.match(word) and int(word) <= 255:
        kind, code, at = int(word), None, at + 1
        if _BYTE.match(low[at]) and int(low[at]) <= 255:
            code, at = int(low[at]), at + 1
    else:
        return None, at
    return messages(kind, code), at


@lru_cache(maxsize=4096)
def messages(kind: int, code: int | None) -> IntervalSet:
    """Return the ICMP messages of a type, or of a type and code."""
    return IntervalSet(((kind << 8, kind << 8 | 255) if code is None else (kind << 8 | code, kind << 8 | code),))


def _flags(wanted: Callable[[int], bool]) -> IntervalSet:
    return IntervalSet.of(*(flags for flags in range(64) if wanted(flags)))


@lru_cache(maxsize=1024)
def flag_words(words: tuple[str, ...]) -> IntervalSet:
    """Return the flag sets in which at least one of the words holds (``established``: ACK or RST)."""
    found = IntervalSet()
    for word in words:
        bit = names.TCP_FLAGS.get(word)
        found = found.union(ESTABLISHED if bit is None else _flags(lambda flags, bit=bit: bool(flags & bit)))  # type: ignore[misc]
    return found


def _flag_match(low: list[str], at: int, every: bool) -> tuple[IntervalSet, int]:
    """Return the flag sets of ``match-all +ack -fin`` or ``match-any ...``."""
    tests: list[tuple[int, bool]] = []
    while low[at][:1] in ("+", "-") and low[at][1:] in names.TCP_FLAGS:
        tests.append((names.TCP_FLAGS[low[at][1:]], low[at][0] == "+"))
        at += 1
    if not tests or len({bit for bit, _value in tests}) != len(tests):
        raise NotUnderstood("match-all and match-any need each flag at most once")
    check = all if every else any
    return _flags(lambda flags: check(bool(flags & bit) == value for bit, value in tests)), at
