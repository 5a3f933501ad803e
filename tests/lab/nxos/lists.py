# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access lists of the emulated NX-OS: numbered entries and remarks in one sequence, list options, counters."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tests.lab.iosxe.grammar import INCOMPLETE, INVALID, CliError, SyntaxFault, tokens
from tests.lab.nxos.entry import Entry, read_entry

FIRST, STEP, LAST = 10, 10, 4294967295
MAX_REMARK = 100
OPTIONS = ("statistics per-entry", "fragments permit-all", "fragments deny-all", "ignore routable")


@dataclass
class Line:
    """One numbered line. entry is None for a remark."""

    sequence: int
    text: str
    entry: Entry | None = None
    matches: int = 0

    def copy(self) -> Line:
        return Line(self.sequence, self.text, self.entry, self.matches)


@dataclass
class AccessList:
    """One list; family 4 or 6. lines are in the order of their numbers."""

    name: str
    family: int
    lines: list[Line] = field(default_factory=list)
    options: set[str] = field(default_factory=set)

    def copy(self) -> AccessList:
        return AccessList(self.name, self.family, [line.copy() for line in self.lines], set(self.options))

    @property
    def entries(self) -> list[Line]:
        return [line for line in self.lines if line.entry is not None]

    def cost(self, direction: str) -> int:
        """TCAM entries that the list takes once, its implicit end among them."""
        found = [line.entry.cost(direction) for line in self.lines if line.entry is not None]
        return sum(found) + (2 if self.family == 6 else 1) if found else 0

    def signature(self) -> tuple[tuple[str, ...], frozenset[str]]:
        """What the hardware is programmed from."""
        return tuple(line.entry.text for line in self.lines if line.entry is not None), frozenset(self.options)

    def apply(self, text: str) -> bool:
        """Carry out one line of the list's mode; True when it changed the list. Raises SyntaxFault, CliError."""
        words = tokens(text)
        word = words[0][0].lower()
        negated = word == "no"
        start = 1 if negated else 0
        if len(words) <= start:
            raise SyntaxFault(INCOMPLETE, len(text))
        rest = text[words[start][1] :].strip()
        for option in OPTIONS:
            if rest.lower() == option:
                return self._option(option, negated)
        sequence: int | None = None
        if words[start][0].isdigit():
            sequence = int(words[start][0])
            if not 1 <= sequence <= LAST:
                raise SyntaxFault(INVALID, words[start][1])
            start += 1
            if negated and len(words) == start:
                return self._remove(lambda line: line.sequence == sequence)
            if len(words) <= start:
                raise SyntaxFault(INCOMPLETE, len(text))
        offset = words[start][1]
        word = words[start][0].lower()
        if word == "remark":
            said = text[offset:].strip()[6:].strip()
            if not said:
                raise SyntaxFault(INCOMPLETE, len(text))
            if len(said) > MAX_REMARK:
                raise CliError(f"% String exceeded max length of ({MAX_REMARK}) at '^' marker.")
            made = Line(0, f"remark {said}")
        elif word in ("permit", "deny"):
            try:
                entry = read_entry(" ".join(text[offset:].split()), self.family)
            except SyntaxFault as fault:
                raise SyntaxFault(fault.kind, offset + fault.position) from None
            made = Line(0, entry.text, entry)
        else:
            raise SyntaxFault(INVALID, offset)
        if negated:
            return self._remove(lambda line: line.text == made.text and sequence in (None, line.sequence))
        return self._add(sequence, made)

    def _option(self, option: str, negated: bool) -> bool:
        if negated == (option not in self.options):
            return False
        if negated:
            self.options.discard(option)
        else:
            if option.startswith("fragments"):
                self.options -= {each for each in self.options if each.startswith("fragments")}
            self.options.add(option)
        return True

    def _add(self, sequence: int | None, made: Line) -> bool:
        if made.entry is not None and sequence is None and any(line.text == made.text for line in self.lines):
            return False
        number = sequence if sequence is not None else (self.lines[-1].sequence + STEP if self.lines else FIRST)
        if number > LAST:
            raise CliError("ERROR: The maximum sequence number has been reached")
        there = next((line for line in self.lines if line.sequence == number), None)
        if there is not None:
            if there.text == made.text:
                return False
            raise CliError(f"ERROR: The specified sequence number {number} already exists")
        made.sequence = number
        at = next((index for index, line in enumerate(self.lines) if line.sequence > number), len(self.lines))
        self.lines.insert(at, made)
        return True

    def _remove(self, chosen: object) -> bool:
        before = len(self.lines)
        self.lines = [line for line in self.lines if not chosen(line)]  # type: ignore[operator]
        return len(self.lines) != before

    def resequence(self, start: int, step: int) -> bool:
        """Renumber; True when a number changed."""
        changed = False
        for rank, line in enumerate(self.lines):
            number = start + rank * step
            changed |= number != line.sequence
            line.sequence = number
        return changed

    def config_lines(self) -> list[str]:
        """Return the list as the running configuration prints it."""
        head = f"{'ipv6' if self.family == 6 else 'ip'} access-list {self.name}"
        options = [f"  {option}" for option in OPTIONS if option in self.options]
        return [head, *options, *(f"  {line.sequence} {line.text} " for line in self.lines)]

    def show_lines(self) -> list[str]:
        """Return the list as show access-lists prints it: with counters where statistics are kept."""
        title = f"{'IPv6' if self.family == 6 else 'IP'} access list {self.name}"
        found = [title, *(f"        {option} " for option in OPTIONS if option in self.options)]
        counted = "statistics per-entry" in self.options
        for line in self.lines:
            count = f"[match={line.matches}] " if counted and line.entry is not None else ""
            found.append(f"        {line.sequence} {line.text} {count}")
        return found


def list_name(word: str, position: int) -> str:
    """Return a legal list name; raises SyntaxFault or CliError."""
    if len(word) > 64:
        raise CliError("% String exceeded max length of (64) at '^' marker.")
    if not re.fullmatch(r"[A-Za-z][^\s\"'?|]*", word):
        raise SyntaxFault(INVALID, position)
    return word
