# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retention: connections are kept for so many days, their rollup for good.

A day's connections go only when its rollup is complete and nothing of them reaches into a day that is kept. The day is noted in
``inputs.json`` first, so that its rollup is never made again from what is left; then the files go. Killed in between, the next run ends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import codes, store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.footers import read_footer
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.rollup import refresh_locked

DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Expiry:
    """What goes: days, and how many files and bytes of connections that is."""

    days: tuple[date, ...]
    files: tuple[Path, ...]
    bytes: int


def due(data_dir: str | Path, keep_days: int) -> Expiry:
    """Return what is past ``keep_days`` days before the newest day with connections; writes nothing.

    The store's newest day counts, not the clock, so that old captures can be worked with. 0 keeps all; raises FindingError SW1495 for less.
    """
    if keep_days < 0:
        raise FindingError(codes.RETENTION_INVALID.at(f"{keep_days} days"))
    files = store.connection_files(data_dir)
    if not keep_days or not files:
        return Expiry((), (), 0)
    first_kept = max(files) - timedelta(days=keep_days - 1)
    boundary = store.day_number(first_kept) * DAY_US
    days, gone = [], []
    for day, group in files.items():
        if day >= first_kept:
            continue
        days.append(day)
        for path in group:
            ends = read_footer(path).ranges.get("end_us")
            # A session that runs into a kept day is still needed if that day is made anew.
            if ends is not None and ends[1] < boundary:
                gone.append(path)
    return Expiry(tuple(days), tuple(gone), sum(path.stat().st_size for path in gone))


def expire(data_dir: str | Path, keep_days: int) -> Expiry:
    """Remove the connections that are due and return what went. Takes the write lock."""
    if keep_days < 0:
        raise FindingError(codes.RETENTION_INVALID.at(f"{keep_days} days"))
    if not keep_days:
        return Expiry((), (), 0)
    with store.writing(data_dir):
        refresh_locked(data_dir)
        plan = due(data_dir, keep_days)
        complete = [day for day in plan.days if (store.day_folder(data_dir, "rollup", day) / "rollup.parquet").exists()]
        files = tuple(path for path in plan.files if path.parent.name[4:] in {day.isoformat() for day in complete})
        if not files:
            return Expiry((), (), 0)
        octets = sum(path.stat().st_size for path in files)
        document = store.read_inputs(data_dir)
        document["expired_days"] = sorted({*document.get("expired_days", []), *(day.isoformat() for day in complete)})
        store.write_inputs(data_dir, document)
        for path in files:
            path.unlink(missing_ok=True)
        for day in complete:
            folder = store.day_folder(data_dir, "connections", day)
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
    return Expiry(tuple(complete), files, octets)
