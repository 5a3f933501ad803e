# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access lists found in the text of a Cisco NX-OS device: show output or configuration (facts/devices.md sections 1.6 and 2.4).

Prompts, echoed commands, counters, comments, CR LF and missing indentation are expected. A line inside a list that is not
understood becomes an ``Opaque`` of that list, never nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_match import (
    Tokens,
    port_set,
    printable,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_text import checked_lines
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_values import NotUnderstood
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace, Opaque, ParsedAcl
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.nxos_ace import Groups, address_set, parse_ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.terminal import (
    REMOVAL,
    LongRemark,
    Prompts,
    cut_name,
    left_out,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet

_CONFIG = re.compile(r"(?P<kind>ip|ipv6|mac|arp|cts role-based) access-list (?P<name>\S+)\Z")
_FOREIGN = re.compile(
    r"(?:ip|ipv6|mac|arp) access-list \S+ \S|access-list \S+ |[A-Za-z-]+ (?:IP|MAC|IPv6) access list \S"
)
_SHOWN = re.compile(r"(?P<kind>IP|IPv6|MAC|ARP) access list (?P<name>\S+)\Z", re.IGNORECASE)
_GROUP = re.compile(
    r"(?:object-group (?P<kind>ip address|ipv6 address|ip port)|(?P<shown>ipv4 address|ipv6 address|protocol port) object-group)"
    r" (?P<name>\S+)\Z",
    re.IGNORECASE,
)
_ACE = re.compile(r"(?:(?P<sequence>\d{1,10})\s+)?(?P<body>(?:permit|deny|remark)\b.*)\Z", re.IGNORECASE)
_MEMBER = re.compile(
    r"(?:\d{1,10}\s+)?(?P<body>(?:host|eq|gt|lt|neq|range)\s.*|[0-9a-f]*[.:][0-9a-f.:]*\S*(?:\s\S+)?)\Z", re.IGNORECASE
)
_MEMBER_REMOVED = re.compile(r"no (?:\d|host\s|eq\s|gt\s|lt\s|neq\s|range\s|[0-9a-f]*:)", re.IGNORECASE)
_COUNTER = re.compile(r"\s*\[match=(\d+)\]\s*\Z")
_STATE = re.compile(r"(?<=\stime-range\s)(\S+) \((?:in)?active\)")
_REMOVED = re.compile(r"no (?:ip|ipv6) access-list (\S+)\Z")
_GROUP_REMOVED = re.compile(
    r"(?:[\w.:/@-]+\(config[\w-]*\)#\s*)?no object-group\s+(?:ip address|ipv6 address|ip port)\s+(?P<name>\S+)\Z",
    re.IGNORECASE,
)
_NOISE = re.compile(
    r"[\w.:/@()-]+[#>]\s*(?:\S.*)?\Z|(?:show|sh|more|terminal|configure|end|exit)(?:\s|\Z)|--More--|resequence "
)
# First words of the rest of an entry: such a line outside a list is a wrapped one, whose entry was read too short.
_CONTINUATION = re.compile(
    r"(?:any|host|addrgroup|portgroup|eq|neq|gt|lt|range|established|fragments|log|dscp|precedence|ttl|time-range|packet-length|"
    r"ack|fin|psh|rst|syn|urg|\d[\d./:]*)(?:\s|\Z)|\[match="
)
_FAMILY = {"ip": 4, "ipv6": 6}
KINDS = {4: "nxos", 6: "nxos_ipv6"}
# Rules that NX-OS adds in front of the implicit deny of an IPv6 list (Nexus 9000 NX-OS Security Configuration Guide, IP ACLs,
# implicit rules): neighbour and router discovery.
IMPLICIT_IPV6 = tuple(
    Ace(True, 58, 6, detail=IntervalSet.of((kind << 8, kind << 8 | 255)), label=f"implicit permit {word}")
    for word, kind in (("nd-na", 136), ("nd-ns", 135), ("router-advertisement", 134), ("router-solicitation", 133))
)


@dataclass
class _Draft:
    """A list while its lines are collected; entries are read when every group of the text is known."""

    name: str
    family: int  # 0: a kind that is not modelled
    indent: int = 0
    number: int = 0
    kind: str = ""
    lines: list[tuple[int, int | None, str]] = field(default_factory=list)  # line number, sequence, text from permit on
    options: list[tuple[int, str]] = field(default_factory=list)
    opaque: list[Opaque] = field(default_factory=list)

    def done(self, groups: Groups) -> ParsedAcl:
        """Return the list, its entries in the order of their sequence numbers as the device keeps them."""
        numbered: list[tuple[int, int, str]] = []
        seen: set[int] = set()
        last = 0
        for number, given, body in self.lines:
            sequence = given if given is not None else last + 10
            last = max(last, sequence)
            if sequence in seen:
                self.opaque.append(Opaque(number, body, f"the sequence number {sequence} stands twice in this list"))
                continue
            seen.add(sequence)
            numbered.append((sequence, number, body))
        numbered.sort(key=lambda item: item[0])
        aces = self._options(())
        remarks: list[str] = []
        for sequence, number, body in numbered:
            if body[:6].lower() == "remark":
                remarks.append(body[6:].strip())
                continue
            try:
                aces.append(self._ace(sequence, number, body, groups, remarks))
            except NotUnderstood as problem:
                self.opaque.append(Opaque(number, body, str(problem)))
            remarks.clear()
        if not self.lines and not self.opaque:
            reason = "an empty list: whether it permits or denies differs between releases and points"
            self.opaque.append(Opaque(self.number, self.name, reason))
        attributes = {
            name: True
            for name, text in (("statistics", "statistics per-entry"), ("ignore_routable", "ignore routable"))
            if any(option == text for _number, option in self.options)
        }
        return ParsedAcl(
            name=self.name,
            kind=KINDS.get(self.family, f"foreign: {self.kind}"),
            aces=tuple(aces),
            opaque=tuple(sorted(self.opaque, key=lambda item: item.line)),
            trailing_remarks=tuple(remarks),
            implicit=IMPLICIT_IPV6 if self.family == 6 else (),
            attributes=attributes,
        )

    def _options(self, aces: tuple[Ace, ...]) -> list[Ace]:
        """Return the entry that stands for ``fragments permit-all`` or ``deny-all``; the last of several counts.

        The command references contradict each other on which later fragments the option decides (Nexus 7000 Security Command
        Reference, ``fragments``: those without an explicit match; its keyword table and example: all but those that an entry with the
        keyword ``fragments`` denies). So it is a condition in front of the list: no verdict on any later fragment is claimed.
        """
        found = [item for item in self.options if item[1].startswith("fragments ")]
        if not found:
            return list(aces)
        number, text = found[-1]
        return [
            Ace(
                text.endswith("permit-all"),
                family=self.family,
                fragments=True,
                conditions=(text,),
                line=number,
                raw=text,
            )
        ]

    def _ace(self, sequence: int, number: int, body: str, groups: Groups, remarks: list[str]) -> Ace:
        if not self.family:
            raise NotUnderstood("a kind of list that is not modelled")
        counter = _COUNTER.search(body) if body.endswith("]") else None
        text = body[: counter.start()] if counter else body
        if text.endswith("active)"):
            text = _STATE.sub(r"\1", text)
        words = printable(text).split()
        return parse_ace(
            words, self.family, groups, remarks=tuple(remarks), line=number, raw=" ".join(words), sequence=sequence,
            matches=int(counter[1]) if counter else None,
        )  # fmt: skip


@dataclass
class _GroupDraft:
    """An object group while its members are read; None once one of them is not understood."""

    kind: str
    name: str
    indent: int
    members: list[IntervalSet] = field(default_factory=list)
    broken: bool = False

    def add(self, body: str) -> None:
        """Add the set of one member."""
        line = Tokens(body.split())
        try:
            if self.kind == "ports":
                more = port_set(line, line.take(), {})
            else:
                more = address_set(line.take(), line, 6 if self.kind == "ipv6" else 4)
            if line.peek():
                raise NotUnderstood("words are left over")
        except NotUnderstood:
            self.broken = True
            return
        self.members.append(more)

    def whole(self) -> IntervalSet | None:
        """Return the union of the members; None where there is none, one is not understood, or no single set can say it."""
        if self.broken or not self.members:
            return None
        found = IntervalSet.of(*(pair for each in self.members if not each.masked for pair in each.pairs))
        try:
            for each in self.members:
                found = found.union(each) if each.masked else found
        except FindingError:  # a mask with very many holes beside other addresses
            return None
        return found


def read_lists(text: str, family: int = 4) -> list[ParsedAcl]:
    """Return every access list in the text, in order; lists of kinds that are not modelled have only opaque lines.

    Text without any header is read as one list without a name, of the family. Raises FindingError SW1207 above 16 MB.
    """
    reader = _Reader(family)
    for number, line in enumerate(checked_lines(text), 1):
        reader.line(number, line)
    groups = reader.groups()
    return [draft.done(groups) for draft in reader.drafts]


class _Reader:
    """Follows the blocks of the text."""

    def __init__(self, family: int) -> None:
        self.drafts: list[_Draft] = []
        self._family = family
        self._named: dict[str, dict[str, _Draft]] = {}  # the first list of a name and kind
        self._current: _Draft | None = None
        self._prompts = Prompts()
        self._remarks = LongRemark()
        self._length = 0  # of the entry that is the line before
        self._before: tuple[int, str] | None = None  # the last unknown line outside of a list
        self._group: _GroupDraft | None = None
        self._groups: list[_GroupDraft] = []

    def groups(self) -> Groups:
        """Return the groups of the text; one that stands twice, is empty or has a bad member is None."""
        result: dict[str, dict[str, IntervalSet | None]] = {"ipv4": {}, "ipv6": {}, "ports": {}}
        for group in self._groups:
            known = result[group.kind]
            known[group.name] = None if group.name in known else group.whole()
        return Groups(**result)

    def line(self, number: int, line: str) -> None:
        """Read the next line."""
        text = line.strip()
        if not text or text.startswith("!"):
            return
        entry = _ACE.match(text)
        if entry and self._group is None:  # first, since nearly every line of a long text is one
            self._entry(number, line, text, entry)
            return
        indent = len(line) - len(line.lstrip())
        if self._header(number, text, indent):
            return
        self._prompts.line(number, text, self.drafts)
        if self._member(text, indent):
            return
        if entry:
            self._entry(number, line, text, entry)
            return
        self._remarks.other()
        if self._current is not None:
            self._inside(number, text, indent, self._current)
            self._length = 0
        elif not _NOISE.match(text):
            self._before = (number, text)

    def _member(self, text: str, indent: int) -> bool:
        """Read a member of the group that is open; return whether the line was one. Any other line closes the group."""
        if self._group is None:
            return False
        member = _MEMBER.match(text)
        if member:
            self._group.add(member["body"])
        elif _MEMBER_REMOVED.match(text):
            self._group.broken = True
        elif indent > self._group.indent and not _NOISE.match(text):
            self._group.broken = self._group.broken or not text.startswith("description ")
        else:
            self._group = None
            return False
        return True

    def _entry(self, number: int, line: str, text: str, entry: re.Match[str]) -> None:
        self._length = len(line.rstrip())
        rest = self._remarks.entry(line, entry["body"][:6].lower() == "remark")
        if rest and self._current is not None:
            self._current.opaque.append(Opaque(number, text, "it may be the rest of the remark before"))
        if self._current is None:
            if self.drafts:
                self.drafts[-1].opaque.append(Opaque(number, text, "an entry outside of its list"))
                return
            self._current = _Draft("", self._family, -1, number, "ip")
            self.drafts.append(self._current)
            if self._before:
                reason = "an unknown line before the first entry: it may be a header that says what list this is"
                self._current.opaque.append(Opaque(*self._before, reason))
        self._current.lines.append((number, int(entry["sequence"]) if entry["sequence"] else None, entry["body"]))

    def _inside(self, number: int, text: str, indent: int, draft: _Draft) -> None:
        plain = re.sub(r"\A\d{1,10}\s+", "", text)
        if plain in ("statistics per-entry", "ignore routable", "fragments deny-all", "fragments permit-all"):
            draft.options.append((number, plain))
        elif _NOISE.match(text):
            self._current = None
        elif hole := left_out(number, text):
            draft.opaque.append(hole)
        elif (
            indent > draft.indent
            or text[0].isdigit()
            or _CONTINUATION.match(text)
            or REMOVAL.match(text)
            or cut_name(self._length, text)
        ):
            draft.opaque.append(Opaque(number, text, "a line inside the list that is not an entry"))
        else:
            self._current = None

    def _header(self, number: int, text: str, indent: int) -> bool:
        if "  " in text:
            text = " ".join(text.split())
        match = _CONFIG.match(text) or _SHOWN.match(text)
        if match:
            kind = match["kind"].lower()
            family = _FAMILY.get(kind, 0)
            known = self._named.setdefault(match["name"], {})
            if kind in known:
                known[kind].opaque.append(Opaque(number, text, "the list stands twice in the text"))
            self._current = _Draft(match["name"], family, indent, number, kind)
            known.setdefault(kind, self._current)
            self.drafts.append(self._current)
            self._group = None
            return True
        if _FOREIGN.match(text):
            self._current = _Draft(text.rsplit(maxsplit=1)[-1], 0, indent, number, " ".join(text.split()[:-1]))
            self._current.opaque.append(Opaque(number, text, "a header of another platform"))
            self.drafts.append(self._current)
            self._group = None
            return True
        group = _GROUP.match(text)
        if group:
            word = (group["kind"] or group["shown"]).lower()
            kind = "ports" if "port" in word else "ipv6" if word.startswith("ipv6") else "ipv4"
            self._group = _GroupDraft(kind, group["name"], indent)
            self._groups.append(self._group)
            self._current = None
            return True
        gone = _GROUP_REMOVED.match(text)
        if gone:
            for group_draft in self._groups:
                group_draft.broken = group_draft.broken or group_draft.name == gone["name"]
            self._group = self._current = None
            return True
        removed = _REMOVED.match(text)
        if removed:
            for draft in self._named.pop(removed[1], {}).values():
                draft.opaque.append(Opaque(number, text, "the list is removed later in the same text"))
            self._current = None
            return True
        return False
