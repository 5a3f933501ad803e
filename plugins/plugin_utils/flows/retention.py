# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retention: connections, denials and DNS answers are kept for so many days, the rollup for good.

A day's connections go only when its rollup is complete and nothing of them reaches into a day that is kept. The day is noted in
``inputs.json`` first, so that its rollup is never made again from what is left; then the files go. Killed in between, the next run ends it.
A DNS answer stays as long as it may still hold on a day that is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import codes, kept, noise_days, store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.footers import read_footer
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.rollup import refresh_locked

DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Expiry:
    """What goes: days, files of connections, how many bytes all is, and the files of denials and DNS answers (``beside``)."""

    days: tuple[date, ...]
    files: tuple[Path, ...]
    bytes: int
    beside: tuple[Path, ...] = ()


def due(data_dir: str | Path, keep_days: int) -> Expiry:
    """Return what is past ``keep_days`` days before the newest day with connections; writes nothing.

    The store's newest day counts, not the clock, so that old captures can be worked with; but days that have not come yet do not where
    others have, since an exporter's clock that is wrong must not make all else old. 0 keeps all; raises FindingError SW1495 for less.
    """
    if keep_days < 0:
        raise FindingError(codes.RETENTION_INVALID.at(f"{keep_days} days"))
    files = store.connection_files(data_dir)
    kept_days = {kind: _days(data_dir, kind) for kind in kept.KINDS}
    # A log whose clock is wrong must not make the connections old.
    listed = list(files) or [day for group in kept_days.values() for day in group]
    newest = store.newest(listed)
    if not keep_days or newest is None:
        return Expiry((), (), 0)
    first_kept = newest - timedelta(days=keep_days - 1)
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
    beside = []
    for kind, days_of_kind in kept_days.items():
        # A day's answers hold until its end and as much longer as any may.
        reach = timedelta(days=-(-kept.NAMES_REACH_US // DAY_US)) if kind == "names" else timedelta(0)
        beside += [path for day, paths in days_of_kind.items() if day + reach < first_kept for path in paths]
    octets = sum(path.stat().st_size for path in (*gone, *beside))
    return Expiry(tuple(days), tuple(gone), octets, tuple(beside))


def _days(data_dir: str | Path, kind: str) -> dict[date, list[Path]]:
    made: dict[date, list[Path]] = {}
    for path in kept.files(data_dir, kind):
        made.setdefault(store.day_of(path.parent), []).append(path)
    return made


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
        octets = sum(path.stat().st_size for path in (*files, *plan.beside))
        for path in plan.beside:
            path.unlink(missing_ok=True)
            if not any(path.parent.iterdir()):
                path.parent.rmdir()
        if not files:
            return Expiry((), (), octets, plan.beside)
        noise_days.forget_stale(data_dir, complete)
        document = store.read_inputs(data_dir)
        document["expired_days"] = sorted({*document.get("expired_days", []), *(day.isoformat() for day in complete)})
        store.write_inputs(data_dir, document)
        for path in files:
            path.unlink(missing_ok=True)
        for day in complete:
            folder = store.day_folder(data_dir, "connections", day)
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
    return Expiry(tuple(complete), files, octets, plan.beside)
