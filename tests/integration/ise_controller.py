# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller in a process of its own, as the tests of faults and locks need many: the SDK is imported once, then every
line of standard input is carried out by a fork. Prints the number of the process that does it.

A line is JSON: url, username, password, ca, desired [[kind, name, body], ...], journal, state, out, prune, timeout,
pause (seconds before each write, to widen races). The result goes to ``out``.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import ciscoisesdk  # noqa: F401 - the adapter imports it when it is first used, which would be in every fork

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import apply_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.lock import StateLock
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import pushes_pending
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import build_plan, snapshot_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject, DesiredTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise import IseTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_client import IseClient
from tests.integration.forks import serve

COMMIT = "c" * 40


def carry_out(order: dict[str, Any]) -> dict[str, Any]:
    """Plan and apply once; returns ok, codes, texts, and how many steps were done."""
    objects = tuple(DesiredObject(kind, name, body) for kind, name, body in order["desired"])
    desired = [DesiredTarget("ise1", "ise", objects)]
    findings: list[Any] = []
    done = 0
    try:
        client = IseClient(
            order["url"], order["username"], order["password"], ca_file=order["ca"], timeout=order["timeout"], rate=1000,
            sleep=lambda seconds: time.sleep(min(seconds, 0.02)),
        )  # fmt: skip
        targets = {"ise1": IseTarget("ise1", client, push_seconds=5.0, sleep=lambda s: time.sleep(min(s, 0.05)))}
        journal = Journal(Path(order["journal"]))
        with StateLock(Path(order["state"]) / "lock", "apply") as lock:
            plan = build_plan(
                targets, desired, snapshot_all(targets, desired), policy_commit=COMMIT, prune=order["prune"],
                pending=pushes_pending(journal.path),
            )  # fmt: skip
            if order.get("wait_for"):
                Path(order["wait_for"] + f".{os.getpid()}").touch()
                while not Path(order["wait_for"]).exists():
                    time.sleep(0.005)
            outcome = apply_plan(plan, targets, desired, journal, policy_commit=COMMIT, purpose="apply of a test")
        findings, done = [*outcome.findings, *lock.findings], len(outcome.completed)
    except FindingError as error:
        findings = list(error.findings)
    return {
        "ok": not any(finding.severity == "error" for finding in findings),
        "codes": sorted({finding.code for finding in findings}),
        "texts": [finding.message for finding in findings],
        "done": done,
    }


if __name__ == "__main__":
    serve(carry_out, lambda text: {"ok": False, "codes": ["crash"], "texts": [text], "done": 0})
