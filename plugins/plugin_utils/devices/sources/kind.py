# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module of a source declares, and what it hands back.

One file is one source: a ``KIND`` of type Kind. ``registry.py`` has those that are shipped and loads a user's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import read_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Observation

SIZE_LIMIT = 512 << 20
SHOWN = 3


def json_value(text: str) -> Any:
    """Return the value of JSON text, of which its size was bounded before; raises ValueError, also for NaN and endless nesting."""

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no number")

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


@dataclass(frozen=True)
class Asked:
    """One entry of microseg_device_sources.

    ``name`` is who says what is read (``source`` of the observations begins with it); ``path`` is empty for sources without a file;
    ``at`` is when the source said it, microseconds since 1970 UTC: the file's time where nothing else is given. ``options`` are the keys
    that the kind documents; ``secrets`` are texts that no finding may show.
    """

    name: str
    path: Path | None
    at: int
    options: Mapping[str, Any] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()

    def text(self, encoding: str = "utf-8") -> str:
        """Return the file's text; FindingError where it cannot be read."""
        if self.path is None:
            raise FindingError(codes.SOURCE_INVALID.at(f"{self.name}: it needs a path"))
        if encoding == "utf-8":
            return read_text(self.path, SIZE_LIMIT)
        try:
            return self.path.read_bytes().decode(encoding)
        except (OSError, UnicodeDecodeError, LookupError) as error:
            raise FindingError(codes.SOURCE_FAILED.at(f"{self.name}: {error}", Location(str(self.path)))) from error

    def json(self) -> Any:
        """Return the value of the file's JSON; FindingError where it is none."""
        try:
            return json_value(self.text())
        except ValueError as error:
            text = f"{self.name}: no JSON: {str(error)[:160]}"
            raise FindingError(codes.SOURCE_FAILED.at(text, Location(str(self.path)))) from error

    def option(self, name: str, default: Any = "") -> Any:
        """Return an option of the entry."""
        found = self.options.get(name)
        return default if found is None else found


@dataclass(frozen=True)
class Reading:
    """What a source says: observations, what it could not make sense of, and numbers for people."""

    observations: tuple[Observation, ...]
    findings: tuple[Finding, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """A kind of source. ``read`` takes an Asked and returns a Reading; it may raise FindingError.

    ``summary`` is one line for the documentation, ``options`` the keys it knows beside kind, name and path, with what they mean;
    ``needs_path`` says whether it reads a file. Any other key of an entry is refused, so that a misspelt one is not silently ignored.
    """

    name: str
    summary: str
    read: Callable[[Asked], Reading]
    options: Mapping[str, str] = field(default_factory=dict)
    needs_path: bool = True


class Rejects:
    """Entries that were not understood, told in one finding with their number and the first of them."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self.count = 0
        self._shown: list[str] = []
        self._line = 0

    def add(self, line: int, why: str) -> None:
        """Note an entry and why it was left out; lines count from 1."""
        self.count += 1
        self._line = self._line or line
        if len(self._shown) < SHOWN:
            self._shown.append(f"line {line}: {why}" if line else why)

    def findings(self) -> list[Finding]:
        """Return the finding, none where everything was understood."""
        if not self.count:
            return []
        text = f"{self._asked.name}: {self.count} entries left out; {'; '.join(self._shown)}"
        return [codes.SOURCE_ENTRY.at(text[:800], Location(str(self._asked.path or ""), self._line))]


def reading(observations: Iterable[Observation], rejects: Rejects, **counts: int) -> Reading:
    """Return the reading of what was understood and what was not."""
    made = tuple(observations)
    return Reading(made, tuple(rejects.findings()), {"observations": len(made), "rejected": rejects.count, **counts})
