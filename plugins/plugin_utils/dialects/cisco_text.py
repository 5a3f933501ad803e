# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access lists found in the text of a Cisco IOS device: show output or configuration (facts/devices.md section 2.4).

Prompts, echoed commands, counters, padding, CR LF and missing indentation are expected. A line inside a list that is not
understood becomes an ``Opaque`` of that list, never nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_ace import (
    Bound,
    NotUnderstood,
    parse_aces,
    parse_standard,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_groups import Groups, read_groups
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import (
    Ace,
    Opaque,
    ParsedAcl,
    first_match_list,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.terminal import (
    REMOVAL,
    WIDTH,
    LongRemark,
    Prompts,
    left_out,
    without_pager,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.compare import compare
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet

SIZE_LIMIT = 16 * 1024 * 1024
LINE_LIMIT = 400_000

_SHOW_HEADER = re.compile(
    r"(?P<kind>[A-Za-z][A-Za-z0-9 -]*?) (?:access list|access-list) (?P<name>\S+)(?P<marks>(?: \([a-zA-Z -]+\))*)\Z"
)
_CONFIG_HEADER = re.compile(r"(?P<kind>ip|ipv6|mac|arp) access-list (?P<rest>\S.*)\Z")
_NUMBERED = re.compile(r"access-list (?P<name>\S+) (?P<rest>\S.*)\Z")
_ACE = re.compile(
    r"(?:([0-9]{1,10})\s+|sequence\s+([0-9]{1,10})\s+)?((permit|deny|remark|evaluate|dynamic)\b.*)\Z", re.IGNORECASE
)
_ACTIONS = frozenset(("permit", "deny"))
_COUNTER = re.compile(r"\s*\(([0-9]+) (estimate )?match(?:es)?\)")
_ACTION = re.compile(r"\b(?:permit|deny)\b", re.IGNORECASE)
# First words of the rest of an entry, see ``_Draft.is_rest``.
_CONTINUATION = re.compile(
    r"(?:any|host|addrgroup|eq|neq|gt|lt|range|established|fragments|log|log-input|dscp|precedence|tos|ttl|match-a(?:ll|ny)|sequence|"
    r"[0-9a-f]*[0-9:.][0-9a-f:./]*|[-+].*)(?:\s|\Z)|\([0-9]+ (?:estimate )?match|\((?:in)?active\)",
    re.IGNORECASE,
)
_COMMAND = re.compile(r"(?:object-group|time-range)\s", re.IGNORECASE)  # begins a line of a configuration too
FOREIGN = "a kind of list that is not modelled"
_LOG_TAG = re.compile(r"(?<=\blog) \((?:tag|hash) = [^()\s]+\)")
_AFTER = re.compile(r"\ssequence\s+(\d{1,10})\s*\Z")
_NOISE = re.compile(
    r"[\w.:/@()-]+[#>]\s*(?:\S.*)?\Z|Load for five secs|Time source is|Building configuration|Current configuration|Last configuration|"
    r"NVRAM config|(?:show|sh|more|terminal|configure|end|exit)(?:\s|\Z)|--More--",
)
_SHOWN_KINDS = {
    "Extended IP": "extended",
    "Standard IP": "standard",
    "IPv6": "ipv6",
    "Role-based IP": "sgacl",
    "IPv6 Role-based": "sgacl_ipv6",
}
_FAMILY = {"extended": 4, "standard": 4, "ipv6": 6, "sgacl": 4, "sgacl_ipv6": 6}
# Entries that IOS adds in front of the implicit deny of an IPv6 list (facts/devices.md section 1.2).
IMPLICIT_IPV6 = tuple(
    Ace(True, 58, 6, detail=IntervalSet.of((kind << 8, kind << 8 | 255)), label=f"implicit permit {word}")
    for word, kind in (("nd-na", 136), ("nd-ns", 135))
)


@dataclass
class _Draft:
    """A list while its lines are read."""

    name: str
    kind: str
    groups: Groups
    indent: int = 0
    marks: str = ""
    line: int = 0
    flat: bool | None = None  # its entries stand no deeper than its header; None before the first one
    aces: list[Ace] = field(default_factory=list)
    opaque: list[Opaque] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.family = _FAMILY.get(self.kind)
        self.addresses = not self.kind.startswith("sgacl")

    def add(self, number: int, text: str, match: re.Match[str] | None = None) -> None:
        """Read one line that begins like an entry."""
        match = match or _ACE.match(text)
        if match is None or self.family is None:
            reason = FOREIGN if match else "not an entry"
            self.opaque.append(Opaque(number, text, reason))
            return
        before, ahead, body, action = match.groups()
        if action == "remark" or (action not in _ACTIONS and action.lower() == "remark"):
            self.remarks.append(body[6:].strip())
            return
        remarks: tuple[str, ...] = ()
        if self.remarks:
            remarks = tuple(self.remarks)
            self.remarks.clear()
        try:
            self._ace(number, body, before or ahead, remarks)
        except NotUnderstood as reason:
            self.opaque.append(Opaque(number, text, str(reason)))

    def _ace(self, number: int, body: str, sequence: str | None, remarks: tuple[str, ...]) -> None:
        matches = estimate = None
        if ")" in body:
            body = " ".join(body.split())  # a run of blanks would make the patterns below slow
            body, matches, estimate = _without_counters(_LOG_TAG.sub("", body))
        if self.family == 6:
            after = _AFTER.search(body)
            if after:
                if sequence is not None:
                    raise NotUnderstood("two sequence numbers")
                sequence, body = after[1], body[: after.start()]
        words = body.split()
        bound = Bound(remarks, int(sequence) if sequence else None, number, " ".join(words), matches, estimate)
        if self.kind == "standard":
            self.aces.append(parse_standard(words, bound))
        else:
            self.aces += parse_aces(words, self.family or 4, self.addresses, self.groups, bound)

    def is_rest(self, entry: str, text: str) -> bool:
        """Return whether a line may be the rest of the entry before it, which a terminal wrapped: it begins like one, or completes it."""
        if _COMMAND.match(text) and len(entry) < WIDTH:
            return False
        return bool(_CONTINUATION.match(text)) or any(self._understands(f"{entry}{gap}{text}") for gap in (" ", ""))

    def _understands(self, text: str) -> bool:
        trial = _Draft(self.name, self.kind, self.groups)
        trial.add(0, text)
        return bool(trial.aces) and not trial.opaque

    def done(self) -> ParsedAcl:
        """Return the list; sequence numbers that fall or repeat make it opaque (the device would sort it)."""
        opaque = list(self.opaque)
        if self.family is None and not opaque:
            opaque.append(Opaque(self.line, self.name, FOREIGN))  # never an empty list, which would permit everything
        if self._disordered() and not (self.kind == "standard" and self._order_is_idle()):
            opaque.append(Opaque(self.aces[0].line, self.aces[0].raw, "sequence numbers fall or repeat in this list"))
        sgacl = self.kind.startswith("sgacl")
        return ParsedAcl(
            name=self.name,
            kind=self.kind,
            aces=tuple(self.aces),
            opaque=tuple(sorted(opaque, key=lambda item: item.line)),
            trailing_remarks=tuple(self.remarks),
            default_permit=sgacl,
            empty_permits=True,
            implicit=IMPLICIT_IPV6 if self.kind == "ipv6" else (),
            attributes={"marks": self.marks} if self.marks else {},
        )

    def _order_is_idle(self) -> bool:
        """Return whether the entries mean the same in the order of their numbers: show output has hosts of standard lists in another."""
        numbers = [ace.sequence for ace in self.aces]
        if None in numbers or len(set(numbers)) != len(numbers):
            return False
        kept = sorted(self.aces, key=lambda ace: ace.sequence or 0)
        return compare(first_match_list(self.aces), first_match_list(kept)).equal

    def _disordered(self) -> bool:
        """Return whether the device would keep the entries in another order: one without a number gets the last one plus ten."""
        if all(ace.sequence is None for ace in self.aces):
            return False
        last, line = 0, 0
        for ace in self.aces:
            if ace.line == line:
                continue
            number = last + 10 if ace.sequence is None else ace.sequence
            if number <= last:
                return True
            last, line = number, ace.line
        return False


def _without_counters(body: str) -> tuple[str, int | None, int | None]:
    """Return a line without its counters, and the two that devices print: matches and estimate matches."""
    matches = estimate = None
    for found in _COUNTER.finditer(body):
        if found[2]:
            estimate = int(found[1])
        else:
            matches = int(found[1])
    return _COUNTER.sub("", body), matches, estimate


def read_lists(text: str, bare: str = "extended") -> list[ParsedAcl]:
    """Return every access list in the text, in order; lists of kinds that are not modelled have only opaque lines.

    Text without any header is read as one list without a name, of kind ``bare`` (``extended`` or ``ipv6``). Raises FindingError
    SW1207 above 16 MB.
    """
    lines = checked_lines(text)
    reader = _Reader(read_groups(lines) if "object" in text and "group" in text else Groups(), bare)
    for number, line in enumerate(lines, 1):
        reader.line(number, line)
    return [draft.done() for draft in reader.drafts]


def checked_lines(text: str) -> list[str]:
    """Return the lines of a text with tabs as blanks and without CR; FindingError SW1207 when it is too large."""
    if len(text) > SIZE_LIMIT:
        raise FindingError(codes.TOO_LARGE.at(f"the text is larger than {SIZE_LIMIT} characters"))
    text = without_pager(text.removeprefix("\ufeff"))
    lines = text.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4).split("\n")
    if len(lines) > LINE_LIMIT:
        raise FindingError(codes.TOO_LARGE.at(f"the text has more than {LINE_LIMIT} lines"))
    return lines


class _Reader:
    """Follows the blocks of the text."""

    def __init__(self, groups: Groups, bare: str) -> None:
        self._groups = groups
        self._bare = bare
        self.drafts: list[_Draft] = []
        self._current: _Draft | None = None
        self._strange: list[tuple[int, str]] = []  # unknown lines since the last list ended
        self._last: tuple[_Draft | None, str] | None = None  # the entry that is the line before, and its list
        self._prompts = Prompts()
        self._remarks = LongRemark()
        self._numbered: dict[str, _Draft] = {}
        self._configured: dict[tuple[str, str], _Draft] = {}

    def line(self, number: int, line: str) -> None:
        """Read the next line."""
        text = line.strip()
        match = _ACE.match(text)
        if match is not None:
            remark = (match[4] or "").lower() == "remark"
            if self._remarks.entry(line, remark) and self._current is not None:
                self._current.opaque.append(Opaque(number, text, "it may be the rest of the remark before"))
            if self._current is not None:
                if self._current.flat is None:
                    self._current.flat = len(line) - len(line.lstrip()) <= self._current.indent
                self._current.add(number, text, match)
            else:
                self._entry(number, text)
            self._last = None if remark else (self._current, text)
            return
        self._remarks.other()
        last, self._last = self._last, None
        if not text:
            return
        if text[0] == "!":
            self._current = None
            return
        indent = len(line) - len(line.lstrip())
        if self._header(number, text, indent):
            return
        if _NOISE.match(text):
            self._current = None
            self._prompts.line(number, text, self.drafts)
        elif last and last[0] and last[0].is_rest(last[1], text):
            last[0].opaque.append(Opaque(number, text, "it may be the rest of the line before"))
        elif self.drafts and (hole := left_out(number, text)):
            self.drafts[-1].opaque.append(hole)
        elif self._current is not None and (
            indent > self._current.indent
            or re.match(r"\d+\s", text)
            or REMOVAL.match(text)
            or (self._current.flat and _ACTION.search(text))
        ):
            self._current.opaque.append(Opaque(number, text, "a line inside the list that is not an entry"))
        else:
            self._current = None
            self._strange.append((number, text))

    def _open(self, number: int, name: str, kind: str, indent: int = 0, marks: str = "") -> _Draft:
        draft = _Draft(name, kind, self._groups, indent, marks, number)
        self.drafts.append(draft)
        self._current = draft
        self._strange = []
        return draft

    def _header(self, number: int, text: str, indent: int) -> bool:
        if "  " in text:
            text = " ".join(text.split())
        shown = _SHOW_HEADER.match(text)
        if shown and shown["kind"] not in ("ip", "ipv6", "mac", "arp", "no ip", "no ipv6") and not _NOISE.match(text):
            kind = _SHOWN_KINDS.get(shown["kind"])
            self._open(number, shown["name"], kind or f"foreign: {shown['kind']}", indent, shown["marks"].strip())
            return True
        config = _CONFIG_HEADER.match(text)
        if config:
            self._config(number, config["kind"], config["rest"].split(), indent)
            return True
        numbered = _NUMBERED.match(text)
        if numbered:
            self._numbered_line(number, text, numbered["name"], numbered["rest"])
            return True
        removed = re.match(
            r"(?:no|default) (?:ip(?:v6)? )?access-list (?:(?:extended|standard|role-based) )?(\S+)", text
        )
        if removed:
            for key in [key for key in self._configured if key[1] == removed[1]]:
                draft = self._configured.pop(key)
                draft.opaque.append(Opaque(number, text, "the list is removed later in the same text"))
            self._numbered.pop(removed[1], None)
            self._current = None
            return True
        return False

    def _config(self, number: int, family: str, words: list[str], indent: int) -> None:
        kinds = {("ip", "extended"): "extended", ("ip", "standard"): "standard", ("ip", "role-based"): "sgacl",
                 ("ipv6", "role-based"): "sgacl_ipv6"}  # fmt: skip
        if words[0] in ("resequence", "logging", "log-update", "persistent", "helper", "match-local-traffic"):
            self._current = None
            return
        if family == "ipv6" and len(words) == 1:
            kind, name = "ipv6", words[0]
        elif len(words) == 2:
            kind, name = kinds.get((family, words[0]), f"foreign: {family} {words[0]}"), words[1]
        else:
            kind, name = f"foreign: {family}", " ".join(words)
        self._open(number, name, kind, indent)
        self._keep(number, f"{family} access-list {' '.join(words)}")

    def _keep(self, number: int, text: str) -> None:
        """Remember the list just opened by a configuration; one that stands there already makes both uncertain."""
        draft = self.drafts[-1]
        known = self._configured.setdefault((draft.kind, draft.name), draft)
        if known is not draft:
            for item in (known, draft):
                item.opaque.append(Opaque(number, text, "the list stands twice in the text"))

    def _numbered_line(self, number: int, text: str, name: str, rest: str) -> None:
        value = int(name) if re.match(r"\d{1,4}\Z", name) else 0
        standard = 1 <= value <= 99 or 1300 <= value <= 1999
        extended = 100 <= value <= 199 or 2000 <= value <= 2699
        draft = self._numbered.get(name)
        if draft is None:
            kind = "standard" if standard else "extended" if extended else "foreign: access-list"
            draft = self._numbered[name] = self._open(number, name, kind)
            self._keep(number, text)
        self._current = None
        draft.add(number, rest)
        self._last = None if rest.lower().startswith("remark") else (draft, rest)

    def _entry(self, number: int, text: str) -> None:
        if self._current is None:
            if not self.drafts:
                strange = self._strange
                self._open(number, "", self._bare, -1)
                if strange:
                    reason = "an unknown line before the first entry: it may be a header that says what list this is"
                    self.drafts[-1].opaque += [Opaque(at, line, reason) for at, line in strange[-1:]]
            elif self._strange:
                last = self.drafts[-1]
                last.opaque += [Opaque(at, line, "an unknown line between entries") for at, line in self._strange]
                last.opaque.append(Opaque(number, text, "an entry after an unknown line: its list is not certain"))
                self._strange = []
                return
            else:
                self.drafts[-1].opaque.append(Opaque(number, text, "an entry outside of its list"))
                return
        if self._current is None:  # an entry is accepted only after the header of its list
            raise ValueError(f"line {number} is outside of a list")
        self._current.add(number, text)
