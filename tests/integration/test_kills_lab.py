# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 at random moments of a rollout in rings over real HTTPS and SSH: ISE, two switches and a packet filter of the lab.

Going on ends in the approved state, going back in the state before; every object that moved was announced in the journal before it was
touched; the journal holds.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import (
    known_entries,
    read_entries,
    verify_journal,
)
from tests.integration.conftest import LabTargets, Loop
from tests.integration.test_drift_and_rollback import configured, widen_two_services
from tests.lab.places import CHECKOUT, Places
from tests.lab.playbooks import Site

LOCK = "downloadableacl/SEGWRIGHT_LOCK"
ENDED = ("ring_done", "plan_done", "plan_failed", "rollback_done", "rollback_failed")
VERSION = re.compile(r"__[ab]\b")
PATIENCE = 240.0


def host_variables(places: Places) -> dict[str, Any]:
    """The lab's inventory as Ansible would give it: every host with the variables of its groups."""
    text = (CHECKOUT / "inventory" / "lab" / "hosts.yml").read_text(encoding="utf-8")
    text = text.replace("{{ lab_id }}", str(places.lab_id)).replace("{{ lab_dir }}", str(places.directory))
    group = yaml.safe_load(text)["all"]["children"]["microseg_targets"]
    switches = group["children"]["access_switches"]
    found = {name: dict(host) for name, host in group["hosts"].items()}
    found |= {name: {**switches["vars"], **host} for name, host in switches["hosts"].items()}
    return {"hostvars": found, "ansible_play_hosts": sorted(found)}


class Controllers:
    """Runs of plan, apply and rollback, each in a process of its own."""

    def __init__(self, variables: dict[str, Any]) -> None:
        self.variables, self.number = variables, 0
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.rollout_controller"], cwd=CHECKOUT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": f"{CHECKOUT / 'collections'}:{CHECKOUT}"},
        )  # fmt: skip

    def start(self, site: Site, step: str, **values: Any) -> tuple[int, Path]:
        """Returns the number of the process and where its result will be."""
        self.number += 1
        out = site.directory / f"result-{self.number}.json"
        values = {"policy_dir": str(site.policy), "data_dir": str(site.data), "state_dir": str(site.state), **values}
        order = {"step": step, "values": values, "variables": self.variables, "out": str(out)}
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline()), out

    def run(self, site: Site, step: str, **values: Any) -> dict[str, Any]:
        process, out = self.start(site, step, **values)
        until = time.monotonic() + PATIENCE
        while not out.exists():
            assert time.monotonic() < until and alive(process), f"{step} {values} ended without a result"
            time.sleep(0.01)
        found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        return found

    def killed(self, site: Site, step: str, dice: random.Random, **values: Any) -> bool:
        """Kill a run some entries of the journal, and a moment, after it began; returns whether it was in the middle."""
        journal = site.state / "journal.jsonl"
        size = journal.stat().st_size if journal.exists() else 0
        process, out = self.start(site, step, **values)
        until, moment = size + dice.randrange(1, 30_000), dice.uniform(0, 0.4)
        last = time.monotonic() + PATIENCE
        while alive(process) and (not journal.exists() or journal.stat().st_size < until):
            assert time.monotonic() < last
            time.sleep(0.002)
        time.sleep(moment)
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
        while alive(process):
            time.sleep(0.005)
        if out.exists():
            result = json.loads(out.read_text(encoding="utf-8"))
            assert not result.get("failed"), result
            return False
        entries = known_entries(journal)
        return bool(entries) and journal.stat().st_size > size and entries[-1]["event"] not in ENDED


def alive(process: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, 0)
        return True
    return False


def held(targets: LabTargets) -> tuple[str, dict[str, str], dict[str, Any]]:
    return targets.ruleset(), configured(targets.running()), targets.ise_objects()


def meant(state: tuple[str, dict[str, str], dict[str, Any]]) -> tuple[Any, ...]:
    """The same whichever of its two names a list on a switch bears."""
    return state[0], {name: VERSION.sub("", text) for name, text in state[1].items()}, state[2]


def announced(site: Site, before: tuple[Any, ...], now: tuple[Any, ...]) -> None:
    """What is not as before was announced in the journal before it was touched, object by object in ISE, else target by target."""
    journal = site.state / "journal.jsonl"
    begun = [entry for entry in read_entries(journal) if entry["event"] == "operation_started"]
    hosts = {entry["target"] for entry in begun}
    assert "fw1" in hosts or now[0] == before[0]
    assert {name for name in now[1] if now[1][name] != before[1][name]} <= hosts
    moved = {name for name in {*before[2], *now[2]} if before[2].get(name) != now[2].get(name)} - {LOCK}
    names = {entry["operation"]["name"] for entry in begun if entry["target"] == "ise1"}
    assert {name.partition("/")[2] for name in moved} <= names


@pytest.fixture(scope="module")
def controllers(targets: LabTargets) -> Iterator[Controllers]:
    made = Controllers(host_variables(targets.places))
    yield made
    made.process.kill()
    made.process.wait()


def check_kills(
    begin: Callable[[Path], Site],
    order: Sequence[str],
    targets: LabTargets,
    controllers: Controllers,
    before: tuple[str, dict[str, str], dict[str, Any]],
    approved: tuple[Any, ...],
    directory: Path,
    seed: int,
) -> None:
    """Ten kills of rollouts, each begun anew, that go on or back in the end. ``approved``: what stands there then, by ``meant``."""
    dice = random.Random(20261126 + seed)
    met: Counter[str] = Counter()
    attempt = 0
    while met["kills"] < 10:
        attempt += 1
        assert attempt < 30, "hardly any kill met a running rollout"
        site = begin(directory / str(attempt))
        journal = site.state / "journal.jsonl"
        back = False
        for ring in order:
            while dice.random() < 0.75 and not back:
                if controllers.killed(site, "apply", dice, ring=ring):
                    met["kills"] += 1
                    announced(site, before, held(targets))
                    back = dice.random() < 0.2
            if back:
                break
            result = controllers.run(site, "apply", ring=ring)
            assert not result.get("failed"), (seed, attempt, ring, result)
        if back:
            while dice.random() < 0.3 and read_entries(journal)[-1]["event"] != "rollback_done":
                met["kills"] += controllers.killed(site, "rollback", dice)
            # No plan is named: the one that was under way is meant, also where nothing of it is left to undo.
            if read_entries(journal)[-1]["event"] != "rollback_done":
                result = controllers.run(site, "rollback")
                assert not result.get("failed"), (seed, attempt, result)
            assert held(targets) == before, (seed, attempt)
            met["rolled back"] += 1
        else:
            now = meant(held(targets))
            moved = [name for name in {*now[2], *approved[2]} if now[2].get(name) != approved[2].get(name)]
            assert moved == [], (seed, attempt)
            assert now == approved, (seed, attempt)
            plan = controllers.run(site, "plan")
            assert plan["operations"] == 0, (seed, attempt, plan["summary"], str(plan)[:3000])
            met["resumed"] += 1
        assert [each for each in verify_journal(journal) if each.severity == "error"] == []
        shutil.rmtree(directory / str(attempt))
    print(f"seed {seed}: {dict(met)}")


@pytest.mark.full
@pytest.mark.parametrize("seed", range(10))
def test_killed_at_any_moment_of_a_rollout_over_the_wire(
    loop: Loop, targets: LabTargets, controllers: Controllers, tmp_path: Path, seed: int
) -> None:
    loop.at("applied", tmp_path / "approved")
    approved = meant(held(targets))
    targets.restore(loop.moments["planned"])
    order = [ring["id"] for ring in loop.results["plan"]["effect"]["rings"]["order"]]
    check_kills(
        lambda path: loop.at("planned", path), order, targets, controllers, held(targets), approved, tmp_path, seed
    )


@pytest.mark.full
@pytest.mark.parametrize("seed", range(20, 25))
def test_killed_at_any_moment_of_a_change_of_what_is_in_force(
    loop: Loop, targets: LabTargets, controllers: Controllers, tmp_path: Path, seed: int
) -> None:
    """Lists that ports, sessions and cells have already get their next version; the plan before it stays as it is."""
    changed = loop.at("applied", tmp_path / "changed")
    before = held(targets)
    widen_two_services(changed)
    assert controllers.run(changed, "plan")["operations"] > 0
    order = [ring["id"] for ring in changed.result("plan")["effect"]["rings"]["order"]]

    def begin(path: Path) -> Site:
        targets.restore(loop.moments["applied"])
        shutil.copytree(changed.directory, path / "work")
        return Site(changed.places, path / "work", path / "logs")

    assert not controllers.run(begin(tmp_path / "approved"), "apply").get("failed")
    approved = meant(held(targets))
    assert approved != meant(before)
    check_kills(begin, order, targets, controllers, before, approved, tmp_path, seed)
