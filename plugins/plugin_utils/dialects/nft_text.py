# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our table from its own text or from ``nft -s list table``."""

from __future__ import annotations

import re
from functools import lru_cache

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_ace import NotUnderstood
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import ParsedAcl
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.nft_json import TableDraft, flag_value
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.nft_rule import (
    LATER_CHAIN,
    TO_LATER,
    RuleDraft,
    masked_values,
    single_value,
    value_range,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet

_TOKEN = re.compile(r'"[^"]*"|[{}(),|&]|==|!=|[^\s{}(),|&"]+')
_TABLE = re.compile(r"table (\w+) (\w+) \{\Z")
_BEFORE = re.compile(r"(?P<word>table|delete table|destroy table|add table) inet (?P<name>\w+)\Z")
_CHAIN = re.compile(r"chain (\w+) \{\Z")
_HOOK = re.compile(r"type filter hook forward priority (?:filter|0); policy (accept|drop);\Z")
_ESTABLISHED = re.compile(r"ct state (?:established,related|\{ established, related \}|0x2,0x4) accept\Z")
_INVALID = re.compile(r"ct state (?:invalid|0x1) drop\Z")
MOST_SETS = 4096
_SETS: dict[tuple[str, ...], IntervalSet] = {}
_FIELDS = {
    "ip": ("saddr", "daddr", "protocol"), "ip6": ("saddr", "daddr", "nexthdr"), "meta": ("nfproto", "l4proto"),
    "icmp": ("type", "code"), "icmpv6": ("type", "code"), "tcp": ("sport", "dport", "flags"), "udp": ("sport", "dport"),
    "dccp": ("sport", "dport"), "sctp": ("sport", "dport"), "udplite": ("sport", "dport"),
}  # fmt: skip


def read(rows: list[str]) -> list[ParsedAcl]:
    """Return the list of every table in the lines; NotUnderstood when there is no table."""
    tables: list[TableDraft] = []
    depth = 0
    later = False
    for number, row in enumerate(rows, 1):
        text = re.sub(r" # handle \d+\Z", "", row.strip())
        if not text or text.startswith("#"):
            continue
        if depth == 0:
            match = _TABLE.match(text)
            if match:
                tables.append(TableDraft(match[2], match[1]))
                depth = 1
            elif not (gone := _BEFORE.match(text)):
                raise NotUnderstood(f"line {number}: {text[:80]!r}")
            elif gone["word"] in ("delete table", "destroy table"):
                for table in tables:  # the printer's "delete table" stands before the table, to replace it
                    if table.name == gone["name"]:
                        table.refuse(number, text, "the table is removed later in the same text")
        elif text == "}":
            depth -= 1
        elif depth == 1:
            chain = _CHAIN.match(text)
            later = chain is not None and chain[1] == LATER_CHAIN and not tables[-1].later_declared
            if later:
                tables[-1].later_declared = True
            elif chain and not tables[-1].chain:
                tables[-1].chain = chain[1]
            else:
                tables[-1].refuse(number, text, "not the one chain that this collection writes")
            depth += text.endswith("{")
        else:
            _row(tables[-1], number, text, later)
            depth += text.endswith("{")
    if depth:
        raise NotUnderstood("the text ends inside a table")
    if not tables:
        raise NotUnderstood("no table")
    return [table.done() for table in tables]


def _row(table: TableDraft, number: int, text: str, later: bool) -> None:
    try:
        if later:
            table.add(_Rule(text).draft().ace(number, text, False), LATER_CHAIN)
            return
        hook = _HOOK.match(text)
        if hook and not table.policy:
            table.policy = hook[1]
        elif text in TO_LATER:
            table.goto(TO_LATER.index(text))
        elif _ESTABLISHED.match(text) and not table.aces and table.stateful:
            table.established = True
        elif not _INVALID.match(text) or table.aces or not table.stateful:
            table.add(_Rule(text).draft().ace(number, text, table.stateful), table.chain)
    except NotUnderstood as reason:
        table.refuse(number, text, str(reason))
    if not table.policy:
        table.refuse(number, text, "a rule before the chain's type and policy")


@lru_cache(maxsize=16384)
def _single(subject: str, word: str) -> tuple[int, int]:
    return single_value(subject, word)


class _Rule:
    """Reads the words of one rule."""

    def __init__(self, text: str) -> None:
        if _TOKEN.sub("", text).strip():
            raise NotUnderstood("characters that are not part of a rule")
        self._words: list[str] = [*_TOKEN.findall(text), ""]  # "" is the end; nobody takes it
        self._at = 0

    def _peek(self) -> str:
        return self._words[self._at]

    def _take(self, wanted: str = "") -> str:
        word = self._peek()
        if not word or (wanted and word != wanted):
            raise NotUnderstood(f"{wanted or 'a word'} was expected, not {word!r}")
        self._at += 1
        return word

    def draft(self) -> RuleDraft:
        """Return what the rule says."""
        draft = RuleDraft()
        while self._peek():
            word = self._take()
            if draft.permit is not None:
                if word != "comment":
                    raise NotUnderstood("a word after the verdict")
                draft.label = self._take().strip('"')
            elif word == "counter":
                if self._peek() == "packets":
                    for wanted in ("packets", "", "bytes", ""):
                        self._take(wanted)
            elif word == "log":
                draft.log = True
                if self._peek() == "prefix":
                    self._take()
                    self._take()
            elif word in ("accept", "drop"):
                draft.verdict(word == "accept")
            elif word in _FIELDS and self._peek() in _FIELDS[word]:
                subject = f"{word} {self._take()}"
                draft.match(subject, self._flags() if subject == "tcp flags" else self._values(subject))
            else:
                raise NotUnderstood(f"{word!r} is not understood")
        return draft

    def _values(self, subject: str) -> IntervalSet:
        if self._peek() == "&" and subject.endswith("addr"):
            self._take()
            mask = self._take()
            self._take("==")
            return masked_values(subject, mask, self._take())
        if self._peek() != "{":
            return IntervalSet.of(self._value(subject, self._take()))
        # The same words stand in every rule of a segment, and say the same each time.
        begin = self._at
        end = self._words.index("}", begin) + 1 if "}" in self._words[begin:] else len(self._words) - 1
        key = subject, *self._words[begin:end]
        known = _SETS.get(key)
        if known is not None:
            self._at = end
            return known
        self._take("{")
        pairs = [self._value(subject, self._take())]
        while self._peek() == ",":
            self._take()
            pairs.append(self._value(subject, self._take()))
        self._take("}")
        if len(_SETS) >= MOST_SETS:
            _SETS.clear()
        found = _SETS[key] = IntervalSet.of(*pairs)
        return found

    @staticmethod
    def _value(subject: str, word: str) -> tuple[int, int]:
        low, dash, high = word.partition("-")
        if dash and (subject.endswith(("addr", "port")) or (low.isdigit() and high.isdigit())):
            return value_range(subject, low, high)
        return _single(subject, word)

    def _flags(self) -> IntervalSet:
        """Read ``& (fin | ... | urg) == VALUE``, ``== { VALUE, ... }`` or ``syn,ack / fin,syn,rst,psh,ack,urg``."""
        if self._peek() != "&":
            value = self._flag_list()
            self._take("/")
            if self._flag_list() != 63:
                raise NotUnderstood("a mask that is not the six TCP flags")
            return IntervalSet.of(value)
        self._take("&")
        if self._flag_sum(True) != 63:
            raise NotUnderstood("a mask that is not the six TCP flags")
        self._take("==")
        if self._peek() != "{":
            return IntervalSet.of(self._flag_sum(False))
        self._take("{")
        values = [self._flag_sum(False)]
        while self._peek() == ",":
            self._take()
            values.append(self._flag_sum(False))
        self._take("}")
        return IntervalSet.of(*values)

    def _flag_list(self) -> int:
        result = self._flag()
        while self._peek() == ",":
            self._take()
            result |= self._flag()
        return result

    def _flag_sum(self, brackets: bool) -> int:
        if brackets:
            self._take("(")
        result = self._flag()
        while self._peek() == "|":
            self._take()
            result |= self._flag()
        if brackets:
            self._take(")")
        if result > 63:
            raise NotUnderstood("flags beyond the six")
        return result

    def _flag(self) -> int:
        word = self._take()
        return int(word, 0) if re.match(r"(?:0x[0-9a-f]{1,4}|0|[1-9]\d{0,3})\Z", word, re.ASCII) else flag_value(word)
