# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings: every error, warning and remark that a user meets, with a stable code.

A finding says what is wrong, where, and what to do about it. Codes are kept by the room that raises them, in its
``codes.py``, so that each code has exactly one place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

SEVERITIES = ("error", "warning", "info")
CODE_PATTERN = re.compile(r"\ASW[0-9]{4}\Z")


@dataclass(frozen=True)
class Location:
    """A place in an input: file name as the user gave it and a line from 1, or 0 where no line is known."""

    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        if not self.file:
            return ""
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True)
class Code:
    """A kind of finding: its stable number, usual severity, one-line title and remedy."""

    number: str
    severity: str
    title: str
    remedy: str

    def __post_init__(self) -> None:
        if not CODE_PATTERN.match(self.number):
            raise ValueError(f"finding code {self.number!r} is not SW and four digits")
        if self.severity not in SEVERITIES:
            raise ValueError(f"unknown severity {self.severity!r}")

    def at(self, message: str, location: Location | None = None, hint: str = "") -> Finding:
        """Return a finding of this kind with a message, where it is and a hint (default: the remedy)."""
        place = location or Location()
        return Finding(self.number, self.severity, message, place.file, place.line, hint or self.remedy)


@dataclass(frozen=True)
class Finding:
    """One thing a user should know. ``file`` is empty and ``line`` 0 where no place applies."""

    code: str
    severity: str
    message: str
    file: str = ""
    line: int = 0
    hint: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the finding in the shape of docs/formats/findings.md."""
        return asdict(self)

    def __str__(self) -> str:
        place = str(Location(self.file, self.line))
        return f"{self.code} {self.severity}: {place + ': ' if place else ''}{self.message}"

    def with_severity(self, severity: str) -> Finding:
        """Return the same finding with another severity."""
        if severity not in SEVERITIES:
            raise ValueError(f"unknown severity {severity!r}")
        return replace(self, severity=severity)


class FindingError(Exception):
    """Raised where work cannot go on; carries at least one finding."""

    def __init__(self, *findings: Finding) -> None:
        if not findings:
            raise ValueError("a FindingError needs a finding")
        self.findings: tuple[Finding, ...] = findings
        super().__init__("; ".join(str(finding) for finding in findings))


def errors_of(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings of severity error, in order."""
    return [finding for finding in findings if finding.severity == "error"]


def sorted_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings without duplicates: errors first, then by file, line, code and message."""
    unique = set(findings)
    return sorted(unique, key=lambda f: (SEVERITIES.index(f.severity), f.file, f.line, f.code, f.message))
