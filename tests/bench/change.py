# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure change control: the journal, what approval, window and hash checks add to an apply, and how long ring state takes to load.

Approval is measured on a repository with 42 signed commits since the last apply, of a site with 2,000 segments; ring state on the
journal of a rollout over 10,000 devices (targets) in six rings, all but the last carried out.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import canonical_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import (
    START,
    Journal,
    entry_sha256,
    known_entries,
    verify_journal,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import JOURNAL_SCHEMA, Operation
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import (
    Plan,
    TargetPlan,
    read_plan,
    with_effect,
    write_plan,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rings import Part, next_turn, progress_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import load_checked
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.permission import permission
from tests.bench import at_most
from tests.unit.change.signers import APPROVERS, Signers, mail

ROOT = Path(__file__).resolve().parents[2]
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


def permission_cost(folder: Path, segments: int, commits: int) -> dict[str, Any]:
    """Return wall and CPU seconds of the checks of one apply: signatures of each commit, owners, approvals, windows, the plan's hash."""
    signers = Signers(folder)
    for person in ("anna", "nina", "otto"):
        signers.key(person)
    signers.allowed.touch()
    shutil.copytree(ROOT / "tests" / "cases" / "policy" / "base", signers.policies)
    (signers.policies / "expected.json").unlink()
    signers.git("init", "-q", "-b", "main")
    zone = "servers"
    extra: dict[str, str | None] = {
        f"{zone}/bench_{number}.yml": f"segment: bench_{number}\nzone: {zone}\nowner: server-operations\ncriticality: low\n"
        f"members: {{fact: hostname, equals: bench-{number}}}\n"
        for number in range(segments)
    }
    calendar = (
        'windows:\n  - {id: w, zones: [all], days: [mon, tue, wed, thu, fri, sat, sun], start: "00:00", end: "24:00"}\n'
    )
    first = signers.commit({"approvers.yml": APPROVERS, "calendar.yml": calendar, **extra}, "otto", "start")
    paths = Paths.of(str(signers.policies), str(folder / "data"))
    journal = Journal(paths.journal)
    journal.append("plan_started", plan_id="f" * 64, policy_commit=first, steps=[], approvals=[])
    journal.append("plan_done", plan_id="f" * 64, findings=[])
    text = (signers.policies / "services.yml").read_text(encoding="utf-8")
    for number in range(commits):
        signers.commit({"services.yml": f"{text}# {number}\n"}, "otto", f"change {number}")
    signers.approve("nina")
    signers.approve("anna")
    today = date(2026, 11, 23)
    site = load_checked(signers.policies, today).site
    assert site is not None
    lists = compile_site(site).lists
    plan = Plan(
        "a" * 64, signers.git("rev-parse", "HEAD"), "", "", "", False, (TargetPlan("fw1", "nftables", "", {}, ()),)
    )
    plan_file = folder / "plan.json"
    write_plan(plan_file, with_effect(plan, {}))
    values = {"allowed_signers": str(signers.allowed), "protected_branch": "main"}
    before, began = os.times(), time.perf_counter()
    read_plan(plan_file)
    allowed = permission(paths, plan, site, lists, values, today)
    wall, after = time.perf_counter() - began, os.times()
    assert {item.approver for item in allowed.approvals} == {mail("anna"), mail("nina")}
    cpu = sum(after[:4]) - sum(before[:4])
    return {
        "segments": len(site.segments),
        "signed_commits": commits + 1,
        "wall_s": round(wall, 2),
        "cpu_s": round(cpu, 2),
    }


def ring_state_cost(folder: Path, devices: int) -> dict[str, Any]:
    """Return the seconds until it is known which ring comes next, from a journal on disk."""
    path = folder / "rings.jsonl"
    order = ("lab", "one_device", "one_port", "one_closet", "one_site", "rest")
    shares = (1, 1, 24, 480, devices // 4, 0)
    parts, start = [], 0
    for name, share in zip(order, shares, strict=True):
        end = start + share if share else devices
        parts.append(Part(name, tuple((f"sw{number}", f"{number:016x}") for number in range(start, end)), 60))
        start = end
    moment = datetime(2026, 11, 20, tzinfo=UTC)
    previous, number = START, 0
    with path.open("w", encoding="utf-8") as stream:

        def add(event: str, **content: Any) -> None:
            nonlocal previous, number
            number += 1
            entry = {
                "schema_version": JOURNAL_SCHEMA,
                "number": number,
                "time": (moment + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "event": event,
                "plan_id": "a" * 64,
                **content,
                "previous": previous,
            }
            entry["sha256"] = previous = entry_sha256(entry)
            stream.write(canonical_json(entry) + "\n")

        for part in parts[:-1]:
            add("plan_started", policy_commit="c" * 40, steps=[key for _target, key in part.steps], ring=part.id)
            for target, key in part.steps:
                add(
                    "operation_started",
                    target=target,
                    operation={"id": key, "kind": "access_list", "name": "cameras", "action": "update"},
                )
                add(
                    "operation_done",
                    target=target,
                    operation_id=key,
                    changed=True,
                    writes=22,
                    undo={"list": "cameras-1"},
                )
            add("ring_done", findings=[])
    began = time.process_time()
    progress = progress_of(parts, known_entries(path), "a" * 64)
    turn = next_turn(progress, moment + timedelta(days=2))
    cpu = time.process_time() - began
    assert turn.part is not None and turn.part.id == "rest"
    return {"devices": devices, "journal_entries": number, "cpu_s": round(cpu, 2)}


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
        signed = Path(folder) / "signed"
        signed.mkdir()
        asked = permission_cost(signed, 2_000 if full else 200, 40 if full else 10)
        rings = ring_state_cost(Path(folder), 10_000)
    median = round(statistics.median(times), 2)
    return {
        "append_ms": {"median": median, "worst": round(max(times), 2), "appends": APPENDS},
        "bare_fdatasync_ms": round(statistics.median(bare), 2),
        "verify": {"entries": entries, "bytes": size, "cpu_s": round(verify, 2)},
        "permission": asked,
        "ring_state": rings,
        "targets": [
            at_most("approval, window and hash checks, CPU s", asked["cpu_s"], 2.0),
            at_most("ring state of 10,000 devices, CPU s", rings["cpu_s"], 1.0),
            at_most("journal append with fsync, median ms", median, 5.0),
            at_most("verification of a journal, CPU s for 1,000,000 entries", round(verify * 1e6 / entries, 2), 20.0),
        ],
    }
