# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access lists found in the text of a Cisco ASA or FTD device: configuration or show output (facts/devices.md sections 1.7 and 2.4).

Prompts, echoed commands, hit counts, hashes, padding and CR LF are expected. A line of a list that is not understood becomes an
``Opaque`` of that list, never nothing. In show output the lines below a rule with the same number are what the rule stands for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby, pairwise

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.asa_ace import parse_extended, parse_standard
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.asa_objects import Block, Objects
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.asa_plain import plain_ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_match import printable
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_text import checked_lines
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_values import NotUnderstood
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace, Opaque, ParsedAcl
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.terminal import (
    WIDTH,
    Prompts,
    cut_name,
    left_out,
)

_HEADER = re.compile(
    r"access-list (?P<name>\S+?); (?P<elements>\d+) elements?(?:; name hash: 0x[0-9a-f]+)?(?: \(dynamic\))?\Z"
)
_SETTING = re.compile(r"access-list (?:cached ACL log flows|alert-interval \d+\Z|deny-flow-max \d+\Z)")
_HASH = re.compile(r"0x[0-9a-f]{1,8}\Z")
_COUNT = re.compile(r"\(hitcnt=(\d{1,20})\)\Z")
_BLOCK = re.compile(
    r"(?P<word>object|object-group) (?P<kind>[a-z-]+) (?P<name>\S+)(?: (?P<protocol>tcp|udp|tcp-udp))?\Z", re.IGNORECASE
)
_MEMBER = re.compile(
    r"(?:host|subnet|range|fqdn|service|network-object|group-object|service-object|port-object|protocol-object|icmp-object|"
    r"security-group|user|user-group) "
)
_MEMBER_REMOVED = re.compile(
    r"no (?:(?:network|group|service|port|protocol|icmp)-object|security-group|host|subnet|range|fqdn) ", re.IGNORECASE
)
_IGNORED = re.compile(r"(?:description|nat|dns|app-id|domain)\b")
_ALIAS = re.compile(r"name (?P<address>\S+) (?P<name>\S+)(?: description .*)?\Z")
_GONE = re.compile(r"(?:no|clear configure) (?P<what>access-list|object-group|object|name)\b ?(?P<rest>.*)\Z")
_ATTACHED = re.compile(r"access-group (?P<name>\S+) (?P<where>(?:in|out) interface \S+|global)(?: .*)?\Z")
_RELEASE = re.compile(r"(?:ASA|PIX) Version (\d+)\.")
# First words of the rest of an entry: such a line after a list is a wrapped one, whose entry was read too short.
_CONTINUATION = re.compile(
    r"(?:any[46]?|host|object|object-group|eq|neq|gt|lt|range|log|interval|inactive|\d[\d./:]*|informational|alerts|0x[0-9a-f]+)(?:\s|\Z)|\(hitcnt="
)
_MAYBE = re.compile(r"(?:time-range|interface) ")
_LINE = re.compile(r"line\s+([0-9]{1,7})(?:\s+|\Z)")
_PROTOCOLS = {"tcp": (6,), "udp": (17,), "tcp-udp": (6, 17)}
_KINDS = ("extended", "standard", "webtype", "ethertype", "advanced", "remark")


@dataclass(slots=True)
class _Row:
    """One line of a list: its place in the text, its position in the list, its kind, its body, and what the device added."""

    line: int
    position: int | None
    kind: str
    text: str
    shown: bool = False
    waiting: bool = False  # marked "(inactive)" by the device
    matches: int | None = None


@dataclass
class _Draft:
    """A list while its lines are collected."""

    name: str
    line: int
    elements: int | None = None
    rows: list[_Row] = field(default_factory=list)
    opaque: list[Opaque] = field(default_factory=list)
    attached: list[str] = field(default_factory=list)
    _counted: int = 0
    _double: int = 0

    def done(self, objects: Objects) -> ParsedAcl:
        """Return the list with its objects resolved."""
        aces: list[Ace] = []
        remarks: list[str] = []
        for row, inside in self._rules():
            if row.kind == "remark":
                remarks.append(row.text)
                continue
            try:
                if row.shown:
                    aces += self._entries(row, inside, objects, tuple(remarks))
                else:
                    aces += _configured(row, objects, tuple(remarks) if remarks else ())
            except NotUnderstood as problem:
                self.opaque.append(Opaque(row.line, row.text, str(problem)))
            remarks.clear()
        self._positions()
        if self.elements is not None or any(row.shown for row in self.rows):
            reason = "a line of show output without its count and hash: it may be cut off or wrapped"
            self.opaque += [
                Opaque(row.line, row.text, reason) for row in self.rows if row.kind != "remark" and not row.shown
            ]
        if self.elements is not None and not self._counted <= self.elements <= self._counted + self._double:
            reason = f"the text holds {self._counted} of the {self.elements} elements that the device counted"
            self.opaque.append(Opaque(self.line, self.name, reason))
        elif not self.rows and not self.opaque:
            self.opaque.append(Opaque(self.line, self.name, "a list without entries"))
        kinds = {row.kind for row in self.rows} - {"remark"}
        if len(kinds) > 1:
            self.opaque.append(
                Opaque(self.line, self.name, f"lines of several kinds in one list: {', '.join(sorted(kinds))}")
            )
        kind = kinds.pop() if kinds else "extended"
        return ParsedAcl(
            name=self.name,
            kind={"extended": "asa", "standard": "asa_standard", "advanced": "asa_advanced"}.get(
                kind, f"foreign: {kind}"
            ),
            aces=tuple(aces),
            opaque=tuple(sorted(self.opaque, key=lambda item: item.line)),
            trailing_remarks=tuple(remarks),
            fragments_like_ios=False,
            attributes={"attached": tuple(self.attached)} if self.attached else {},
        )

    def _rules(self) -> Iterator[tuple[_Row, list[_Row]]]:
        """Yield each rule with the lines that the device shows below it."""
        if not any(row.shown for row in self.rows):
            for row in self.rows:
                yield row, []
            return
        for _key, group in groupby(
            enumerate(self.rows), key=lambda item: item[1].position if item[1].shown else (item[0],)
        ):
            rows = [row for _index, row in group]
            yield rows[0], rows[1:]

    def _positions(self) -> None:
        """Positions in show output are without gaps; positions of commands that insert must at least rise."""
        numbers = [row.position for row in self.rows if row.position is not None]
        if not numbers:
            return
        again = [
            row
            for before, row in pairwise(self.rows)
            if row.position is not None and row.position == before.position and not (row.shown and before.shown)
        ]
        if again:
            reason = "a line number stands twice: the device puts the second line before the first"
            self.opaque.append(Opaque(again[0].line, again[0].text, reason))
        if any(row.position is None for row in self.rows) or sorted(numbers) != numbers:
            self.opaque.append(
                Opaque(self.rows[0].line, self.rows[0].text, "line numbers fall, or some lines have none")
            )
        elif sorted(set(numbers)) != list(range(1, numbers[-1] + 1)):
            self.opaque.append(
                Opaque(self.rows[0].line, self.rows[0].text, "line numbers have gaps: lines are missing")
            )

    def _entries(self, row: _Row, inside: list[_Row], objects: Objects, remarks: tuple[str, ...]) -> Iterator[Ace]:
        for item in inside or [row]:
            yield from _aces(item, objects, remarks)
            if not item.shown:
                continue
            both = " any any" in item.text and " icmp" not in item.text
            self._counted += 1
            self._double += 1 if both else 0


def _configured(row: _Row, objects: Objects, remarks: tuple[str, ...]) -> list[Ace]:
    """Return the entries of a line of a configuration: nearly all are plain, and no name stands in for an address."""
    if row.kind == "extended" and row.position is None and not objects.names:
        words = printable(row.text).split()
        plain = plain_ace([word.lower() for word in words], objects.any_family, row.line, " ".join(words), remarks)
        if plain is not None:
            return [plain]
    return _aces(row, objects, remarks)


def _aces(row: _Row, objects: Objects, remarks: tuple[str, ...]) -> list[Ace]:
    words = printable(row.text).split()
    more = {
        "line": row.line,
        "raw": " ".join(words),
        "sequence": row.position,
        "matches": row.matches,
        "remarks": remarks,
    }
    if row.kind in ("webtype", "ethertype"):
        raise NotUnderstood("a kind of list that is not modelled")
    if row.kind == "standard":
        return parse_standard(words, objects, **more)
    found = parse_extended(words, objects, row.kind == "advanced", **more)
    if row.waiting and not any(ace.inactive or ace.conditions for ace in found):
        raise NotUnderstood("the device shows the line as inactive, and nothing in it says why")
    return found


def read_lists(text: str) -> list[ParsedAcl]:
    """Return every access list in the text, in the order of their first lines. Raises FindingError SW1207 above 16 MB."""
    reader = _Reader()
    for number, line in enumerate(checked_lines(text), 1):
        reader.line(number, line)
    return reader.lists()


class _Reader:
    """Follows the lines of the text."""

    def __init__(self) -> None:
        self.drafts: dict[str, _Draft] = {}
        self.objects = Objects()
        self._block: Block | None = None
        self._last: _Draft | None = None
        self._length = 0
        self._prompts = Prompts()
        self._attached: dict[str, list[str]] = {}
        self._doubtful: set[str] = set()  # names of addresses that are not certain

    def lists(self) -> list[ParsedAcl]:
        """Return the lists, each with the places where the text attaches it."""
        for name in self._doubtful:  # of two addresses, or removed: a line may have been read with the other one
            self.objects.names.pop(name, None)
        for name, draft in self.drafts.items():
            draft.attached = self._attached.get(name, [])
        return [draft.done(self.objects) for draft in self.drafts.values()]

    def line(self, number: int, line: str) -> None:
        """Read the next line."""
        text = line.strip()
        last, length = self._last, self._length
        self._last, self._length = None, len(line.rstrip())
        if not text or text.startswith("!"):
            return
        if text.startswith("access-list "):
            self._block = None
            self._list(number, text)
            return
        if self._inside(line, text):
            return
        self._block = None
        if last is not None and (
            (_CONTINUATION.match(text) and not _BLOCK.match(text))
            or (length >= WIDTH and _MAYBE.match(text))
            or cut_name(length, text)
        ):
            last.opaque.append(Opaque(number, text, "it may be the rest of the line before"))
            return
        hole = left_out(number, text) if last is not None else None
        if hole and last is not None:
            last.opaque.append(hole)
            return
        self._prompts.line(number, text, self.drafts.values())
        self._other(number, text)

    def _inside(self, line: str, text: str) -> bool:
        """Read a member of the block that is open; return whether the line was one."""
        block = self._block
        if block is None or _BLOCK.match(text):
            return False
        if _IGNORED.match(text):
            return True
        if _MEMBER.match(text) and (line[0].isspace() or not text.startswith(("user ", "service "))):
            block.lines.append(text)
            return True
        if line[0].isspace() or _MEMBER_REMOVED.match(text):
            block.broken = True
            return True
        return False

    def _other(self, number: int, text: str) -> None:
        opened = _BLOCK.match(text)
        if opened:
            group = opened["word"].lower() == "object-group"
            table = self.objects.groups if group else self.objects.objects
            protocols = _PROTOCOLS.get(opened["protocol"] or "", ())
            found = table.setdefault(opened["name"], Block(opened["kind"].lower(), opened["name"], group, protocols))
            if found.kind != opened["kind"].lower() or found.protocols != protocols:
                found.broken = True
            self._block = found
            return
        alias = _ALIAS.match(text)
        if alias:
            known = self.objects.names.setdefault(alias["name"], alias["address"])
            if known != alias["address"]:
                self._doubtful.add(alias["name"])
            return
        gone = _GONE.match(text)
        if gone:
            self._gone(number, text, gone["what"], gone["rest"].split())
            return
        attached = _ATTACHED.match(text)
        if attached:
            self._attached.setdefault(attached["name"], []).append(attached["where"])
            return
        release = _RELEASE.match(text)
        if release:
            self.objects.any_family = 4 if int(release[1]) < 9 else 0

    def _gone(self, number: int, text: str, what: str, words: list[str]) -> None:
        if what == "access-list":
            for name in words[:1] or list(self.drafts):
                draft = self.drafts.get(name)
                if draft is not None and draft.rows:
                    draft.opaque.append(
                        Opaque(number, text, "the list, or a line of it, is removed later in the same text")
                    )
            return
        for table in (self.objects.objects, self.objects.groups):
            for name in words or list(table):
                if name in table:
                    table[name].broken = True
        if what == "name":
            self._doubtful |= {
                name for name, address in self.objects.names.items() if not words or {name, address} & set(words)
            }

    def _draft(self, name: str, number: int) -> _Draft:
        draft = self.drafts.get(name)
        if draft is None:
            draft = self.drafts[name] = _Draft(name, number)
        return draft

    def _list(self, number: int, text: str) -> None:
        header = _HEADER.match(text) if ";" in text else None
        if header:
            draft = self._draft(header["name"], number)
            if draft.elements is not None or draft.rows:
                draft.opaque.append(Opaque(number, text, "the list stands twice in the text"))
            draft.elements = int(header["elements"])
            return
        if _SETTING.match(text):
            return
        _word, name, rest = (*text.split(None, 2), "")[:3]
        draft = self._draft(name.rstrip(";"), number)
        self._last = draft
        position = None
        inserted = _LINE.match(rest) if rest.startswith("line") else None
        if inserted:
            position, rest = int(inserted[1]), rest[inserted.end() :]
        kind, body = (*rest.split(None, 1), "", "")[:2]
        if kind in ("permit", "deny"):
            kind, body = "extended", rest
        if kind not in _KINDS or not body or name.endswith(";"):
            draft.opaque.append(Opaque(number, text, f"{kind!r} is not understood"))
            return
        if kind == "remark" or position is None:
            draft.rows.append(_Row(number, position, kind, body))
            return
        words = body.split()
        shown, waiting, matches = _without_counters(words)
        text = " ".join(shown)
        draft.rows.append(_Row(number, position, kind, text, len(shown) < len(words), waiting, matches))


def _without_counters(words: list[str]) -> tuple[list[str], bool, int | None]:
    """Return the words before ``(hitcnt=7) (inactive) 0x1b9a5a1c``, whether the line is marked inactive, and its count."""
    end = len(words)
    if _HASH.match(words[end - 1]):
        end -= 1
    waiting = end > 0 and words[end - 1] == "(inactive)"
    if waiting:
        end -= 1
    count = _COUNT.match(words[end - 1]) if end else None
    if count:
        end -= 1
    return words[:end], waiting, int(count[1]) if count else None
