# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller of switches in a process of its own: each line of standard input is carried out by a fork.

A line is JSON: ``specs`` of the switches, ``desired`` by switch [[kind, name, body], ...], ``state`` (a directory), ``place`` (which
host it pretends to be), ``rings`` (switches one after another, all at once without), ``wait_for`` (a file that lets it apply what it has
planned, ``delay`` seconds after), ``back`` (undo the plan of that state directory). The result goes to ``out``.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import asyncssh  # noqa: F401 - else imported in every fork
import netmiko  # noqa: F401

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import apply_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal, known_entries
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.lock import StateLock
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import Plan, build_plan, snapshot_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rings import Part
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject, DesiredTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import ios_session, ios_work, ways_back
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios import IosTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec
from tests.integration.forks import serve

COMMIT = "c" * 40


def carry_out(order: dict[str, Any]) -> dict[str, Any]:
    """Plan and apply, or go back; returns ok, codes, texts, and the steps that were done by switch."""
    ios_session.LINE_SECONDS, ios_work.KNOCK_SECONDS = 3.0, 0.3  # the emulator answers at once or never
    place = str(order["place"])
    ways_back.place = lambda: place  # type: ignore[assignment]
    desired = [
        DesiredTarget(host, "ios", tuple(DesiredObject(kind, name, body) for kind, name, body in objects))
        for host, objects in order["desired"].items()
    ]
    targets: dict[str, Any] = {spec["name"]: IosTarget(TargetSpec.of(spec)) for spec in order["specs"]}
    journal = Journal(Path(order["state"]) / "journal.jsonl")
    findings: list[Any] = []
    done: dict[str, int] = {}
    try:
        with StateLock(Path(order["state"]) / "lock", "apply"):
            if order.get("back"):
                plans = [entry["plan_id"] for entry in known_entries(journal.path) if entry["event"] == "plan_started"]
                findings = list(rollback_plan(plans[-1], targets, journal).findings) if plans else []
            else:
                plan = build_plan(targets, desired, snapshot_all(targets, desired), policy_commit=COMMIT)
                if order.get("wait_for"):
                    Path(order["wait_for"] + f".{os.getpid()}").touch()
                    while not Path(order["wait_for"]).exists():
                        time.sleep(0.002)
                    time.sleep(order.get("delay", 0.0))
                findings = _applied(order, plan, targets, desired, journal, done)
    except FindingError as error:
        findings = list(error.findings)
    finally:
        for target in targets.values():
            target.close()
    return {
        "ok": not any(finding.severity == "error" for finding in findings),
        "codes": sorted({finding.code for finding in findings if finding.severity == "error"}),
        "texts": [f"{finding.code} {finding.message}" for finding in findings],
        "done": done,
    }


def _applied(
    order: dict[str, Any],
    plan: Plan,
    targets: dict[str, Any],
    desired: list[DesiredTarget],
    journal: Journal,
    done: dict[str, int],
) -> list[Any]:
    for host in order.get("rings") or [""]:
        steps = tuple((name, step.id) for name, step in plan.steps() if name == host)
        ring = Part(host, steps) if host else None
        more = {"ring": ring, "rings_left": host != (order.get("rings") or [""])[-1]} if ring else {}
        outcome = apply_plan(plan, targets, desired, journal, policy_commit=COMMIT, purpose="apply of a test", **more)
        for step in outcome.completed:
            done[step.operation.target] = done.get(step.operation.target, 0) + step.changed
        if not outcome.ok:
            return list(outcome.findings)
        time.sleep(order.get("watch", 0.0) if ring else 0.0)
    return []


if __name__ == "__main__":
    serve(carry_out, lambda text: {"ok": False, "codes": ["crash"], "texts": [text], "done": {}})
