# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure change control: appending to the journal with fsync, verifying a long one, and what approval and window checks add."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import canonical_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import (
    START,
    Journal,
    entry_sha256,
    verify_journal,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import JOURNAL_SCHEMA, Operation
from tests.bench import at_most

FULL_ENTRIES, QUICK_ENTRIES = 1_000_000, 50_000
APPENDS = 300
LIST = "ip access-list extended SEGWRIGHT-cameras\n" + "".join(
    f" {10 + number * 10} permit tcp 10.1.0.0 0.0.255.255 host 10.2.0.{number} eq 443\n" for number in range(20)
)


def step(number: int) -> dict[str, Any]:
    """Return a step as it stands in the journal: a list of 20 entries."""
    body = {"content": LIST}
    return asdict(Operation(f"{number:016x}", f"sw{number % 1000}", "access_list", "cameras", "update", body, body))


def write_long_journal(path: Path, entries: int) -> None:
    """Write a journal of a given length as apply would, but without a flush for each entry."""
    previous = START
    with path.open("w", encoding="utf-8") as stream:
        for number in range(1, entries + 1):
            content: dict[str, Any] = {"plan_id": "a" * 64, "target": f"sw{number % 1000}"}
            if number % 2:
                content |= {"event": "operation_started", "operation": step(number)}
            else:
                content |= {"event": "operation_done", "operation_id": f"{number:016x}", "changed": True, "writes": 22}
                content |= {"undo": {"list": "cameras-1"}}
            entry = {
                "schema_version": JOURNAL_SCHEMA,
                "number": number,
                "time": "2026-11-26T02:00:00Z",
                **content,
                "previous": previous,
            }
            entry["sha256"] = previous = entry_sha256(entry)
            stream.write(canonical_json(entry) + "\n")


def run(full: bool) -> dict[str, Any]:
    """Return the measurements."""
    entries = FULL_ENTRIES if full else QUICK_ENTRIES
    with tempfile.TemporaryDirectory(prefix="segwright-bench-") as folder:
        journal = Journal(Path(folder) / "journal.jsonl")
        journal.append("plan_started", plan_id="a" * 64, policy_commit="c" * 40, steps=[], approvals=[])
        times, bare = [], []
        with open(Path(folder) / "bare", "ab", buffering=0) as raw:  # what this disk needs for the same bytes
            for _number in range(APPENDS):
                began = time.perf_counter()
                raw.write(b"x" * 3000)
                os.fdatasync(raw.fileno())
                bare.append((time.perf_counter() - began) * 1000)
        for number in range(APPENDS):
            began = time.perf_counter()
            journal.append("operation_started", plan_id="a" * 64, target="sw1", operation=step(number))
            times.append((time.perf_counter() - began) * 1000)
        assert verify_journal(journal.path) == []

        path = Path(folder) / "long.jsonl"
        write_long_journal(path, entries)
        began_cpu = time.process_time()
        assert verify_journal(path) == []
        verify = time.process_time() - began_cpu
        size = path.stat().st_size
        with path.open("r+b") as stream:  # one byte of an entry in the middle
            stream.seek(size // 2)
            stream.write(b"~")
        (finding,) = verify_journal(path)
        assert finding.code == "SW4030"
    median = round(statistics.median(times), 2)
    return {
        "append_ms": {"median": median, "worst": round(max(times), 2), "appends": APPENDS},
        "bare_fdatasync_ms": round(statistics.median(bare), 2),
        "verify": {"entries": entries, "bytes": size, "cpu_s": round(verify, 2)},
        "targets": [
            at_most("journal append with fsync, median ms", median, 5.0),
            at_most("verification of a journal, CPU s for 1,000,000 entries", round(verify * 1e6 / entries, 2), 20.0),
        ],
    }
