# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets that switches counted for cells of the matrix, over time: what a cell in MONITOR would have denied. Pure but for two functions.

Counters are per cell and switch, and start again at a reload or a ``clear``; so only differences between two readings count, and a
value that became smaller is a new beginning (docs/formats/cell-counters.md). Readings are kept below ``<data>/counters``, one
file a day, and only ever appended to.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base import codes as base_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import canonical_json, read_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, Location

KIND, SCHEMA = "cell_counters", "1.0"
_GENERATION = re.compile(r"-\d{1,6}(?=: )")


@dataclass(frozen=True)
class CellCount:
    """One cell on one switch at one moment: packets since its counters began, and matches by entry as (``LIST: text``, packets)."""

    switch: str
    source: int
    destination: int
    denied: int
    permitted: int
    monitored: int
    monitor: bool
    entries: tuple[tuple[str, int], ...] = ()

    @property
    def pair(self) -> tuple[int, int]:
        """Return the tags of the cell."""
        return self.source, self.destination

    @property
    def texts(self) -> tuple[str, ...]:
        """Return the entries without matches and without the generation of their list: what the cell says."""
        return tuple(_GENERATION.sub("", text, count=1) for text, _matches in self.entries)


@dataclass(frozen=True)
class Reading:
    """A count with its moment, UTC."""

    at: datetime
    count: CellCount


@dataclass(frozen=True)
class Delta:
    """What one cell counted on one switch between two readings.

    ``would_deny``: packets on entries that deny; ``unaccounted``: monitored packets that no entry counted, which may be either.
    """

    switch: str
    begin: datetime
    end: datetime
    would_deny: int
    unaccounted: int
    monitored: int
    permitted: int
    denied: int
    by_entry: tuple[tuple[str, int], ...] = ()
    reset: bool = False


@dataclass(frozen=True)
class CellHistory:
    """What is known of a cell in MONITOR: since when it counts as clean, and why not before.

    ``clean_since`` is None without two readings. ``hits`` are the intervals with packets that would have been denied, newest first;
    ``longest_gap`` the longest time without a reading since ``clean_since``.
    """

    pair: tuple[int, int]
    switches: tuple[str, ...]
    readings: int
    clean_since: datetime | None
    last: datetime | None
    hits: tuple[Delta, ...] = ()
    longest_gap: timedelta = timedelta(0)
    resets: int = 0
    packets: int = 0
    unaccounted: int = 0
    switch_gaps: Mapping[str, float] = field(default_factory=dict, hash=False)


def append_readings(directory: Path, counts: Iterable[CellCount], at: datetime) -> int:
    """Append counts to the file of their day and return how many; ``directory`` is ``<data>/counters``."""
    lines = [
        canonical_json(
            {
                "kind": KIND,
                "schema_version": SCHEMA,
                "at": iso(at),
                "switch": item.switch,
                "source": item.source,
                "destination": item.destination,
                "denied": item.denied,
                "permitted": item.permitted,
                "monitored": item.monitored,
                "monitor": item.monitor,
                "entries": [[text, matches] for text, matches in item.entries],
            }
        )
        for item in counts
    ]
    if lines:
        directory.mkdir(parents=True, exist_ok=True)
        with (directory / f"day={at.date().isoformat()}.jsonl").open("a", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines))
    return len(lines)


def read_readings(directory: Path, since: date) -> list[Reading]:
    """Return the readings from a day on, oldest first. FindingError for a file of a newer major version; a torn last line is left out."""
    found: list[Reading] = []
    for path in sorted(directory.glob("day=*.jsonl")) if directory.is_dir() else []:
        if path.stem[4:] < since.isoformat():
            continue
        lines = read_text(path).splitlines()
        for number, line in enumerate(lines, 1):
            try:
                entry = json.loads(line)
                if str(entry["schema_version"]).split(".", maxsplit=1)[0] != SCHEMA.split(".", maxsplit=1)[0]:
                    raise FindingError(
                        base_codes.FORMAT_KIND.at(f"schema {entry['schema_version']}", Location(str(path), number))
                    )
                found.append(_reading(entry))
            except (ValueError, KeyError, TypeError):
                if number == len(lines):
                    continue
                raise FindingError(base_codes.FORMAT_KIND.at("not a reading", Location(str(path), number))) from None
    return sorted(found, key=lambda item: item.at)


def _reading(entry: Mapping[str, Any]) -> Reading:
    entries = tuple((str(text), int(matches)) for text, matches in entry["entries"])
    source, destination, denied, permitted, monitored = (
        int(entry[key]) for key in ("source", "destination", "denied", "permitted", "monitored")
    )
    count = CellCount(
        str(entry["switch"]), source, destination, denied, permitted, monitored, bool(entry["monitor"]), entries
    )
    return Reading(datetime.fromisoformat(str(entry["at"]).replace("Z", "+00:00")), count)


def delta(before: Reading, after: Reading, column_denies: bool = False) -> Delta:
    """Return what was counted between two readings of one cell on one switch.

    ``column_denies``: the platform's Monitor columns count only what would have been denied (a site says so); otherwise they count every
    packet of a monitored cell, and the entries tell which.
    """
    old, new = before.count, after.count
    reset = any(
        later < earlier
        for later, earlier in ((new.denied, old.denied), (new.permitted, old.permitted), (new.monitored, old.monitored))
    )
    base = CellCount(old.switch, old.source, old.destination, 0, 0, 0, old.monitor) if reset else old
    known = dict(zip(base.texts, (matches for _text, matches in base.entries), strict=True))
    by_entry = []
    for text, (_shown, matches) in zip(new.texts, new.entries, strict=True):
        grown = matches - known.get(text, 0)
        by_entry.append((text, matches if grown < 0 else grown))
    monitored = new.monitored - base.monitored
    denying = sum(count for text, count in by_entry if _denies(text))
    if column_denies or not new.entries:
        # Without an entry of its own the cell is a built-in Deny IP or Permit IP; a promoted cell of ours denies then.
        would, unaccounted = monitored, 0
    else:
        would, unaccounted = denying, max(0, monitored - sum(count for _text, count in by_entry))
    return Delta(
        new.switch, before.at, after.at, would, unaccounted, monitored, new.permitted - base.permitted,
        new.denied - base.denied, tuple((text, count) for text, count in by_entry if count), reset,
    )  # fmt: skip


def _denies(text: str) -> bool:
    return text.partition(": ")[2].startswith("deny")


def cell_history(readings: Sequence[Reading], pair: tuple[int, int], column_denies: bool = False) -> CellHistory:
    """Return what is known of one cell from readings, oldest first.

    A cell is clean since the end of the last interval with packets that would have been denied or that no entry accounts for; since its
    first reading in MONITOR with the lists that it has now, where there is no such interval. Of several switches the last counts.
    """
    by_switch: dict[str, list[Reading]] = {}
    for item in readings:
        if item.count.pair == pair:
            by_switch.setdefault(item.count.switch, []).append(item)
    hits: list[Delta] = []
    clean: list[datetime] = []
    gaps: dict[str, float] = {}
    resets = packets = unaccounted = 0
    for switch, found in sorted(by_switch.items()):
        usable = _same_lists(found)
        deltas = [delta(first, second, column_denies) for first, second in zip(usable, usable[1:], strict=False)]
        bad = [item for item in deltas if item.would_deny or item.unaccounted or item.denied]
        since = bad[-1].end if bad else usable[0].at
        if deltas:
            clean.append(since)
        gaps[switch] = max(
            ((item.end - item.begin).total_seconds() for item in deltas if item.end > since), default=0.0
        )
        hits += bad
        resets += sum(item.reset for item in deltas)
        packets += sum(item.monitored for item in deltas)
        unaccounted += sum(item.unaccounted for item in deltas)
    whole = len(clean) == len(by_switch) and clean
    return CellHistory(
        pair,
        tuple(sorted(by_switch)),
        sum(map(len, by_switch.values())),
        max(clean) if whole else None,
        min((found[-1].at for found in by_switch.values()), default=None),
        tuple(sorted(hits, key=lambda item: item.end, reverse=True)),
        timedelta(seconds=max(gaps.values(), default=0.0)),
        resets,
        packets,
        unaccounted,
        gaps,
    )


def _same_lists(readings: Sequence[Reading]) -> list[Reading]:
    """Return the readings since the cell is in MONITOR with the lists that it has now."""
    now = readings[-1].count
    kept: list[Reading] = []
    for item in reversed(readings):
        if item.count.texts != now.texts or not item.count.monitor:
            break
        kept.append(item)
    return list(reversed(kept)) or [readings[-1]]
