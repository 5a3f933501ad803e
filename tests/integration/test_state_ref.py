# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every job in a pod of its own, with nothing left of the one before but a git ref: plan, apply, the way back, the record."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable

import pytest

from tests.integration.conftest import LabTargets
from tests.integration.test_drift_and_rollback import configured
from tests.lab.playbooks import Run, Site

REF = "refs/segwright/state"


@pytest.mark.full
def test_pods_that_share_nothing_but_a_ref(targets: LabTargets, at: Callable[[str], Site]) -> None:
    site = at("planned")
    remote = site.directory / "state.git"
    subprocess.run(["git", "init", "-q", "--bare", str(remote)], check=True)
    state = f"git+file://{remote}#{REF}"

    def in_a_pod(name: str, **variables: str) -> Run:
        shutil.rmtree(site.state, ignore_errors=True)
        shutil.rmtree(site.data / "state-refs", ignore_errors=True)
        run = site.run(name, microseg_state=state, **variables)
        assert run.code == 0, run.tail()
        return run

    def recorded() -> list[dict[str, object]]:
        words = ["git", "-C", str(remote), "show", f"{REF}:journal/00000000.jsonl"]
        text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        return [json.loads(line) for line in text.splitlines()]

    before = configured(targets.running()), targets.ise_objects(), targets.ruleset()
    in_a_pod("plan")
    in_a_pod("apply", microseg_ring="building")
    assert (configured(targets.running()), targets.ise_objects(), targets.ruleset()) != before
    entries = recorded()
    assert next(e for e in entries if e["event"] == "plan_started")["ring"] == "building"
    log = subprocess.run(
        ["git", "-C", str(remote), "rev-list", "--count", REF], capture_output=True, text=True, check=True
    )
    assert int(log.stdout) == len(entries) + 1  # the plan, and one commit for each entry, before work went on
    in_a_pod("rollback")
    assert (configured(targets.running()), targets.ise_objects(), targets.ruleset()) == before
    assert "in order and unaltered" in in_a_pod("journal_verify").output
    assert recorded()[-1]["event"] == "rollback_done"
