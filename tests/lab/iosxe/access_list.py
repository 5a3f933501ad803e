# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access lists as the running configuration holds them: numbered entries, remarks bound to numbers, counters."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.lab.iosxe.ace_text import EXTENDED, IPV6, ROLE_BASED, ROLE_BASED6, STANDARD, Ace
from tests.lab.iosxe.grammar import CliError

FIRST, STEP, LAST = 10, 10, 2147483647
MAX_REMARK = 100

HEADERS = {
    STANDARD: "ip access-list standard",
    EXTENDED: "ip access-list extended",
    ROLE_BASED: "ip access-list role-based",
    IPV6: "ipv6 access-list",
    ROLE_BASED6: "ipv6 access-list role-based",
}
TITLES = {
    STANDARD: "Standard IP access list",
    EXTENDED: "Extended IP access list",
    ROLE_BASED: "Role-based IP access list",
    IPV6: "IPv6 access list",
    ROLE_BASED6: "IPv6 Role-based access list",
}


@dataclass
class Entry:
    """A number, what it says, how many packets it decided."""

    sequence: int
    ace: Ace
    matches: int = 0


@dataclass
class AccessList:
    """One list. entries are in the order of their numbers; remarks: number -> texts in the order typed."""

    kind: str
    name: str
    entries: list[Entry] = field(default_factory=list)
    remarks: dict[int, list[str]] = field(default_factory=dict)
    limit: int | None = None
    _lines: tuple[str, ...] | None = None
    _cost: int | None = None

    @property
    def lines(self) -> tuple[str, ...]:
        """The entries' texts without numbers, for the evaluator."""
        if self._lines is None:
            self._lines = tuple(entry.ace.text for entry in self.entries)
        return self._lines

    @property
    def cost(self) -> int:
        """TCAM entries that the list takes once."""
        if self._cost is None:
            self._cost = sum(entry.ace.cost for entry in self.entries)
        return self._cost

    def _touch(self) -> None:
        self._lines = self._cost = None

    def next_sequence(self) -> int:
        """Return the number that an entry without one gets."""
        return self.entries[-1].sequence + STEP if self.entries else FIRST

    def add(self, sequence: int | None, ace: Ace) -> bool:
        """Add one entry; False when the list already says it. Raises CliError on a number in use by another entry."""
        if any(entry.ace == ace for entry in self.entries):
            return False
        number = self.next_sequence() if sequence is None else sequence
        if number > LAST:
            raise CliError("% Exceeded maximum sequence number.")
        if any(entry.sequence == number for entry in self.entries):
            raise CliError("% Duplicate sequence number")
        if self.limit is not None and len(self.entries) >= self.limit:
            raise CliError("% Failed to add ace to access-list: maximum number of entries reached")
        at = next((i for i, entry in enumerate(self.entries) if entry.sequence > number), len(self.entries))
        self.entries.insert(at, Entry(number, ace))
        self._touch()
        return True

    def remove(self, sequence: int) -> bool:
        """Remove the entry with this number and its remarks; False when there is nothing under that number."""
        before = len(self.entries)
        self.entries = [entry for entry in self.entries if entry.sequence != sequence]
        gone = self.remarks.pop(sequence, None)
        self._touch()
        return len(self.entries) != before or gone is not None

    def remove_ace(self, ace: Ace) -> bool:
        """Remove the entry that says this; False when none does."""
        for entry in self.entries:
            if entry.ace == ace:
                return self.remove(entry.sequence)
        return False

    def add_remark(self, sequence: int | None, text: str) -> bool:
        """Bind a remark to a number (by default the next entry's). Raises CliError when it is already there."""
        number = self.next_sequence() if sequence is None else sequence
        texts = self.remarks.setdefault(number, [])
        if text[:MAX_REMARK] in texts:
            raise CliError("% Duplicate remark statement")
        texts.append(text[:MAX_REMARK])
        return True

    def remove_remark(self, sequence: int | None, text: str | None) -> bool:
        """Remove one remark, or all of a number; False when there is none."""
        for number in sorted(self.remarks):
            if sequence is not None and number != sequence:
                continue
            texts = self.remarks[number]
            if text is None:
                del self.remarks[number]
                return True
            if text in texts:
                texts.remove(text)
                if not texts:
                    del self.remarks[number]
                return True
        return False

    def resequence(self, start: int, step: int) -> bool:
        """Renumber; remarks go with their entries. Raises CliError when the last number would be too large."""
        numbers = sorted({entry.sequence for entry in self.entries} | set(self.remarks))
        if numbers and start + step * (len(numbers) - 1) > LAST:
            raise CliError("% Exceeded maximum sequence number.")
        new = {number: start + step * rank for rank, number in enumerate(numbers)}
        changed = any(old != now for old, now in new.items())
        for entry in self.entries:
            entry.sequence = new[entry.sequence]
        self.remarks = {new[number]: texts for number, texts in self.remarks.items()}
        return changed

    def config_lines(self) -> list[str]:
        """Return the list as the running configuration prints it."""
        found = [f"{HEADERS[self.kind]} {self.name}"]
        numbered = {entry.sequence: entry.ace.text for entry in self.entries}
        word = "sequence " if self.kind in (IPV6, ROLE_BASED6) else ""
        for number in sorted({*numbered, *self.remarks}):
            found += [f" {word}{number} remark {text}" for text in self.remarks.get(number, ())]
            if number in numbered:
                found.append(f" {word}{number} {numbered[number]}")
        return found

    def show_lines(self, suffix: str = "") -> list[str]:
        """Return the list as show access-lists prints it: no remarks, counters when not zero."""
        return show_list(self.kind, self.name, [(e.sequence, e.ace, e.matches) for e in self.entries], suffix)


def show_list(kind: str, name: str, entries: list[tuple[int, Ace, int]], suffix: str = "") -> list[str]:
    """Return title and entries of one list as show access-lists prints them."""
    found = [f"{TITLES[kind]} {name}{suffix}"]
    for number, ace, matches in entries:
        count = f" ({matches} match{'es' if matches != 1 else ''})" if matches else ""
        if kind in (IPV6, ROLE_BASED6):
            found.append(f"    {ace.show_text}{count} sequence {number}")
        else:
            found.append(f"    {number} {ace.show_text}{count}")
    return found
