# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""show cts role-based counters, and the entries of a list with their matches (facts/devices.md section 1.5)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Parsed
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.lines import Remarks, lines_of

DEFAULT = -1
_TITLE = re.compile(r"\ARole-based IPv[46] counters\Z", re.IGNORECASE)
_HEAD = re.compile(r"\AFrom\s+To\s+", re.IGNORECASE)
_LIST_HEAD = re.compile(
    r"\A(?:(?:Extended|Role-based|Standard) IP(?:v[46])? access list|IPv6 (?:Role-based )?access list) \S+(?: \([\w-]+\))*:?\Z",
    re.IGNORECASE,
)
_ENTRY = re.compile(
    r"\A(?:(\d{1,10}) )?((?:permit|deny) \S.*?)((?: \(\d+ (?:estimate )?match(?:es)?\))*)(?: sequence \d{1,10})?\Z"
)
_MATCHES = re.compile(r"\((\d+) match(?:es)?\)")


@dataclass(frozen=True)
class CellCounters:
    """Packets of one cell since the counters began, in software and hardware together; both tags are -1 for the default."""

    source: int
    destination: int
    denied: int
    permitted: int
    monitored: int


@dataclass(frozen=True)
class CountedEntry:
    """One entry of a list: text without number, and packets that matched it."""

    text: str
    matches: int


def counters(text: str) -> Parsed[CellCounters]:
    """Return the rows of ``show cts role-based counters``. Columns are taken by their titles; a row of another width is a finding."""
    remarks = Remarks("show cts role-based counters")
    columns: list[str] = []
    entries: list[CellCounters] = []
    for line in lines_of(text, remarks.command):
        content = line.stripped
        if _TITLE.match(content):
            continue
        if _HEAD.match(content):
            columns = [word.lower() for word in content.split()[2:]]
            continue
        words = content.split()
        known = columns and len(words) == len(columns) + 2 and all(word.isdigit() for word in words[2:])
        tags = [_tag(word) for word in words[:2]]
        if not known or None in tags:
            remarks.unknown(line)
            continue
        values = dict(zip(columns, map(int, words[2:]), strict=True))
        denied, permitted, monitored = (
            sum(value for name, value in values.items() if end in name) for end in ("denied", "permit", "monitor")
        )
        entries.append(CellCounters(tags[0] or 0, tags[1] or 0, denied, permitted, monitored))
    if not columns and not remarks.findings:
        remarks.note(codes.OUTPUT_CUT, "no head of columns")
    return Parsed(tuple(entries), tuple(remarks.findings))


def _tag(word: str) -> int | None:
    if word == "*":
        return DEFAULT
    if word.lower() == "unknown":
        return 0
    return int(word) if word.isdigit() and len(word) < 6 else None


def list_entries(text: str) -> Parsed[CountedEntry]:
    """Return the entries of one list as ``show ip access-lists NAME`` or ``show ipv6 access-list NAME`` prints it."""
    remarks = Remarks("show ip access-lists")
    entries = []
    for line in lines_of(text, remarks.command):
        content = " ".join(line.stripped.split())
        if _LIST_HEAD.match(content):
            continue
        found = _ENTRY.match(content)
        if not found:
            remarks.unknown(line)
            continue
        entries.append(CountedEntry(found[2].strip(), sum(int(count) for count in _MATCHES.findall(found[3]))))
    return Parsed(tuple(entries), tuple(remarks.findings))
