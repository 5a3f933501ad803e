# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ready pipelines from push to network, the forge being a bare repository whose hook is the gate: a merge that breaks a workflow is
refused, a signed one is planned, nothing is applied outside the window, and the schedule takes ring after ring within it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.conftest import LabTargets
from tests.integration.test_change_control import TEAMS
from tests.integration.test_story import window
from tests.lab.places import CHECKOUT
from tests.lab.playbooks import Site, ansible_environment, assign_sessions
from tests.unit.change.signers import Signers, mail

PIPELINES = CHECKOUT / "extensions" / "pipelines"
GATE = """#!/bin/sh
# The forge's required check: what would become main passes the gate, or is not taken.
set -e
while read -r old new ref; do
  [ "$ref" = refs/heads/main ] || continue
  work=$(mktemp -d); mkdir "$work/site" "$work/runner"
  git archive "$new" | tar -x -C "$work/site"
  (unset $(git rev-parse --local-env-vars); cd "$work/runner"; export GITHUB_WORKSPACE="$work/site" BASE=; {command})
done
"""


def github_steps(file: str, job: str) -> list[str]:
    """The shell commands of one job."""
    made = yaml.safe_load((PIPELINES / file).read_text(encoding="utf-8"))
    return [step["run"] for step in made["jobs"][job]["steps"] if "run" in step]


def gitlab_steps(file: str, *jobs: str) -> list[str]:
    made = yaml.safe_load((PIPELINES / file).read_text(encoding="utf-8"))
    return [line for job in jobs for line in made[job]["script"]]


COMMANDS = {
    "github": (github_steps("github-change.yml", "plan"), github_steps("github-change.yml", "apply")),
    "gitlab": (
        gitlab_steps("gitlab-change.yml", "policy-plan"),
        gitlab_steps("gitlab-change.yml", "policy-begin", "policy-go-on"),
    ),
}


@dataclass
class Runner:
    """A runner of one's own: each job in a clone of its own, with inventory and settings that lie beside it."""

    site: Site
    forge: Path
    directory: Path
    settings: Path
    clock: timedelta = field(default_factory=timedelta)
    number: int = 0

    def job(self, commands: list[str]) -> tuple[list[int], str, list[dict[str, Any]]]:
        """Run the commands of a job, each whatever became of the one before; return exit codes, what was said, and each apply.json."""
        self.number += 1
        workspace, temp = self.directory / f"{self.number}" / "work", self.directory / f"{self.number}" / "temp"
        temp.mkdir(parents=True)
        subprocess.run(["git", "clone", "-q", str(self.forge), str(workspace)], check=True)
        environment = ansible_environment(
            self.site.places,
            {
                "PYTHONPATH": str(CHECKOUT / "tests" / "lab" / "clock"),
                "SEGWRIGHT_LAB_CLOCK": str(self.clock.total_seconds()),
                "SEGWRIGHT_INVENTORY": str(CHECKOUT / "inventory" / "lab" / "hosts.yml"),
                "SEGWRIGHT_SETTINGS": str(self.settings),
                "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "collections"),
                "GITHUB_WORKSPACE": str(workspace),
                "RUNNER_TEMP": str(temp),
                "GITHUB_STEP_SUMMARY": str(temp / "summary.md"),
                "CI_PROJECT_DIR": str(workspace),
            },
        )
        codes, said, results = [], [], []
        for command in commands:
            done = subprocess.run(
                ["sh", "-ec", command],
                cwd=temp,
                env=environment,
                capture_output=True,
                text=True,
                timeout=400,
                check=False,
            )
            codes.append(done.returncode)
            said.append(done.stdout + done.stderr)
            for path in (temp / "out" / "apply.json", workspace / ".microseg" / "out" / "apply.json"):
                if path.exists():
                    results.append(json.loads(path.read_text(encoding="utf-8")))
        return codes, "\n".join(said), results


def push(signers: Signers, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    words = ["git", "push", "-q", "origin", "main"]
    return subprocess.run(words, cwd=signers.checkout, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.full
@pytest.mark.parametrize("forge", ["github", "gitlab"])
def test_from_push_to_network(forge: str, targets: LabTargets, at: Callable[[str], Site], tmp_path: Path) -> None:
    if not shutil.which("ssh-keygen"):
        pytest.skip("ssh-keygen is needed (Debian package openssh-client)")
    site = at("learnt")
    folder = tmp_path / "keys"
    folder.mkdir()
    signers = Signers(folder)
    signers.allowed.touch()
    for person in ("anna", "ben", "otto"):
        signers.key(person)
    bare = tmp_path / "forge.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(bare)], check=True)
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "state.git")], check=True)
    subprocess.run(["git", "clone", "-q", str(bare), str(signers.checkout)], check=True, capture_output=True)
    shutil.copytree(site.policy, signers.policies, ignore=shutil.ignore_patterns(".git"))
    hook = bare / "hooks" / "pre-receive"
    gate = github_steps("github.yml", "gate")[1].replace(' -e "microseg_validate_base=$BASE"', "")
    assert "segwright.microseg.validate" in gate
    hook.write_text(GATE.replace("{command}", gate), encoding="utf-8")
    hook.chmod(0o755)
    settings = tmp_path / "settings.yml"
    content = {
        "microseg_data_dir": str(site.data),
        "microseg_state": f"git+file://{tmp_path / 'state.git'}",
        "microseg_allowed_signers": str(signers.allowed),
        "microseg_ring_blind": True,  # the captures of the lab end before
    }
    settings.write_text(json.dumps(content), encoding="utf-8")
    local = {
        **os.environ, "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "collections"), "ANSIBLE_INVENTORY": "localhost,",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "ANSIBLE_LOCALHOST_WARNING": "False",
        "ANSIBLE_HOME": str(tmp_path / "home"),
    }  # fmt: skip
    runner = Runner(site, bare, tmp_path / "jobs", settings)
    plan, schedule = COMMANDS[forge]
    teams = "".join(f"  {team}: [{mail('anna')}, {mail('ben')}]\n" for team in TEAMS)
    rings = (signers.policies / "enforcement.yml").read_text(encoding="utf-8")
    signers.git("checkout", "-q", "-b", "main")
    signers.commit({}, "otto", "Learnt segments and rules")
    assert push(signers, local).returncode == 0

    # A branch that takes away what a workflow needs; the merge is not taken.
    signers.branch("work")
    modalities = (signers.policies / "imaging" / "imaging_modalities.yml").read_text(encoding="utf-8")
    needed = next(rule["id"] for rule in yaml.safe_load(modalities)["allow"] if rule["to"] == "pacs")
    broken = modalities.replace(f"id: {needed}", f"id: {needed}-other")
    more = {
        "approvers.yml": f"teams:\n{teams}site: network-security\n",
        "calendar.yml": window(datetime.now(UTC) + timedelta(hours=2)),
        "enforcement.yml": re.sub(r"hold_minutes: \d+", "hold_minutes: 60", rings),
    }
    signers.commit({"imaging/imaging_modalities.yml": broken, **more}, "otto", "Who and when")
    signers.merge("work", "anna", "anna")
    refused = push(signers, local)
    assert refused.returncode != 0 and needed in refused.stderr, refused.stderr[-3000:]

    # Corrected, merged and signed anew: taken, planned by the pipeline, and not approved by everybody yet.
    signers.git("reset", "-q", "--hard", "origin/main")
    signers.git("checkout", "-q", "work")
    signers.commit({"imaging/imaging_modalities.yml": modalities}, "otto", "The rule was needed")
    signers.merge("work", "anna")
    assert push(signers, local).returncode == 0
    counter = targets.writes()
    codes, said, _results = runner.job(plan)
    assert set(codes) == {0}, said[-4000:]
    runner.clock = timedelta(hours=2, minutes=10)
    codes, said, results = runner.job(schedule)
    assert set(codes) == {0} and "SW4070" in " ".join(said.split()), said[-4000:]
    # Everybody's approvals in git, which need no new plan of other content: but a new commit, so a new plan.
    for person in ("anna", "ben"):
        signers.approve(person)
    assert push(signers, local).returncode == 0
    runner.clock = timedelta()
    assert set(runner.job(plan)[0]) == {0}
    codes, said, results = runner.job(schedule)
    assert set(codes) == {0} and "SW4090" in " ".join(said.split()), said[-4000:]  # before the window
    assert set(counter.counts().values()) == {0}

    # The window opens. The schedule takes ring after ring, each once the one before was watched.
    done: list[str] = []
    runner.clock = timedelta(hours=2, minutes=10)
    for _run in range(8):
        codes, said, results = runner.job(schedule)
        assert set(codes) == {0}, said[-5000:]
        done += [item["ring"] for item in results if item.get("ring") and item["ring"] not in done]
        if "every ring is done" in " ".join(said.split()):
            break
        runner.clock += timedelta(minutes=70)
    assert done[:2] == ["building", "radiology"] and len(done) >= 3, done
    assert set(counter.counts().values()) != {0}
    assign_sessions(targets.places, signers.policies)
    verify = shlex.join(["ansible-playbook", "segwright.microseg.verify"])
    more_words = '-i "$SEGWRIGHT_INVENTORY" -e "@$SEGWRIGHT_SETTINGS" -e "microseg_policy_dir=$CI_PROJECT_DIR/policies"'
    codes, said, _results = runner.job([f"{verify} {more_words}"])
    assert set(codes) == {0}, said[-4000:]
