# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-runner as AWX runs a job: a project checkout, its playbooks by path, AWX's collection path, job artifacts."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import LabTargets
from tests.lab.places import CHECKOUT
from tests.lab.playbooks import Site, ansible_environment, program

At = Callable[[str], Site]


def awx_run(targets: LabTargets, site: Site, private: Path, playbook: str, *cmdline: str) -> tuple[int, dict[str, Any]]:
    """Run a playbook file of the project; returns the exit code and the artifacts (set_stats) of the job.

    The collection path is the one AWX builds: project-sync directory, the project's own setting, the default locations.
    """
    (private / "env").mkdir(parents=True)
    (private / "inventory").mkdir()
    (private / "project").symlink_to(CHECKOUT)
    inventory = (CHECKOUT / "inventory" / "lab" / "hosts.yml").read_text(encoding="utf-8")
    (private / "inventory" / "hosts.yml").write_text(inventory, encoding="utf-8")
    (private / "env" / "extravars").write_text(
        json.dumps(
            {
                "microseg_policy_dir": str(site.policy),
                "microseg_data_dir": str(site.data),
                "microseg_state": str(site.state),
            }
        ),
        encoding="utf-8",
    )
    path = f"{private}/requirements_collections:./collections:~/.ansible/collections:/usr/share/ansible/collections"
    environment = ansible_environment(targets.places, {"ANSIBLE_COLLECTIONS_PATH": path})
    del environment["ANSIBLE_CONFIG"]  # found in the working directory, as in a job
    command = [str(program("ansible-runner")), "run", str(private), "-p", playbook, "-i", "job", "--quiet"]
    if cmdline:
        command += ["--cmdline", " ".join(cmdline)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    artifacts = private / "artifacts" / "job"
    assert (artifacts / "rc").exists(), done.stdout + done.stderr
    stats: dict[str, Any] = {}
    for event in (artifacts / "job_events").glob("*.json"):
        content = json.loads(event.read_text(encoding="utf-8"))
        if content["event"] == "playbook_on_stats":
            stats = content["event_data"].get("artifact_data", {})
    output = (artifacts / "stdout").read_text(encoding="utf-8")
    assert "[DEPRECATION WARNING]" not in output
    code = int((artifacts / "rc").read_text(encoding="utf-8"))
    assert code == 0 or cmdline, output[-3000:]
    return code, stats


def test_validate_and_plan_run_unmodified(targets: LabTargets, at: At, tmp_path: Path) -> None:
    pytest.importorskip("ansible_runner", reason="the Python package ansible-runner is not installed")
    site = at("learnt")
    (site.output / "validate.json").unlink()
    code, _ = awx_run(targets, site, tmp_path / "validate", "playbooks/validate.yml")
    assert code == 0
    assert site.result("validate")["ok"] is True
    counter = targets.writes()
    code, artifacts = awx_run(targets, site, tmp_path / "plan", "playbooks/plan.yml")
    assert code == 0
    plan = site.result("plan")
    # What following workflow nodes get: small values, never the plan itself.
    assert artifacts["microseg_plan_id"] == plan["plan_id"]
    assert artifacts["microseg_policy_commit"] == site.git("rev-parse", "HEAD").strip()
    assert artifacts["microseg_operations"] == sum(len(part["operations"]) for part in plan["targets"])
    assert set(counter.counts().values()) == {0}
