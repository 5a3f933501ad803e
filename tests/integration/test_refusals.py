# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan that no longer fits is refused; a target that fails in the middle leaves old lists in force and a way on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.conftest import LabTargets
from tests.integration.test_drift_and_rollback import change_three_by_hand, widen_two_services
from tests.lab.check import check
from tests.lab.playbooks import Run, Site

At = Callable[[str], Site]


def codes_in(run: Run) -> set[str]:
    """Finding codes that the failed task shows."""
    import re

    return set(re.findall(r"\bSW\d{4}\b", run.output))


@pytest.fixture
def changed(at: At) -> Site:
    """The applied and assigned lab, with a planned change of the policy that touches all three kinds of target."""
    site = at("verified")
    widen_two_services(site)
    run = site.run("plan")
    assert run.code == 0, run.tail()
    assert {part["name"] for part in site.result("plan")["targets"] if part["operations"]} == {"acc2", "ise1", "fw1"}
    return site


@pytest.mark.full
def test_a_plan_of_another_commit_is_refused(targets: LabTargets, changed: Site) -> None:
    changed.commit("Something else")
    counter = targets.writes()
    run = changed.run("apply")
    assert run.code != 0
    assert "SW4013" in codes_in(run)
    assert set(counter.counts().values()) == {0}


def test_uncommitted_documents_are_refused(targets: LabTargets, changed: Site) -> None:
    path = changed.policy / "services.yml"
    path.write_text(path.read_text(encoding="utf-8") + "# a word more\n", encoding="utf-8")
    counter = targets.writes()
    for name in ("plan", "apply"):
        run = changed.run(name)
        assert run.code != 0
        assert "SW4002" in codes_in(run)
    assert set(counter.counts().values()) == {0}


@pytest.mark.full  # the quick run has it among the ways to cheat
def test_an_altered_plan_is_refused(targets: LabTargets, changed: Site) -> None:
    path = changed.state / "plan.json"
    text = path.read_text(encoding="utf-8")
    assert "1123" in text
    path.write_text(text.replace("1123", "1124"), encoding="utf-8")
    counter = targets.writes()
    run = changed.run("apply")
    assert run.code != 0
    assert "SW4012" in codes_in(run)
    assert set(counter.counts().values()) == {0}


def test_changed_live_state_is_refused_with_targets_and_differences(targets: LabTargets, changed: Site) -> None:
    objects = change_three_by_hand(targets)
    counter = targets.writes()
    run = changed.run("apply")
    assert run.code != 0
    assert "SW4015" in codes_in(run)
    text = " ".join(run.output.split())
    for target, name in objects.items():
        assert target in text
        assert name in text
    assert "MONITOR" in text
    assert set(counter.counts().values()) == {0}


@pytest.mark.full
def test_a_switch_that_refuses_a_line(targets: LabTargets, changed: Site) -> None:
    before = targets.running()["acc2"]
    targets.switches.call(
        "fault", device="acc2", fault={"kind": "error_on", "regex": r"permit udp .*1123", "times": None}
    )
    made = fails(changed)
    assert unapplied(made) >= {"acc2"}
    assert attached(targets.running()["acc2"]) == attached(before)
    targets.switches.call("clear_faults", device="acc2")
    goes_on(targets, changed)


@pytest.mark.full
def test_a_switch_that_drops_the_connection(targets: LabTargets, changed: Site) -> None:
    before = targets.running()["acc2"]
    targets.switches.call("fault", device="acc2", fault={"kind": "drop_after_lines", "lines": 3, "times": None})
    made = fails(changed)
    assert unapplied(made) >= {"acc2"}
    assert attached(targets.running()["acc2"]) == attached(before)
    targets.switches.call("clear_faults", device="acc2")
    goes_on(targets, changed)


def test_an_ise_that_answers_500_in_the_middle(targets: LabTargets, changed: Site) -> None:
    plan = changed.result("plan")
    steps = [each for part in plan["targets"] if part["name"] == "ise1" for each in part["operations"]]
    assert len(steps) > 2
    fault = {"match": {"method": "PUT", "path": "^/ers/config/"}, "nth": 2, "times": 0, "fault": "status:500"}
    targets.ise("POST", "/faults", fault)
    before = targets.ise_objects()
    made = fails(changed)
    done = [each for each in made["completed"] if each["target"] == "ise1"]
    assert len(done) == 1
    assert unapplied(made) >= {"ise1"}
    # Everything but the one object that was completed is as it was.
    after = targets.ise_objects()
    assert len([name for name in before if before[name] != after[name]]) == 1
    targets.ise("DELETE", "/faults")
    goes_on(targets, changed)


def fails(site: Site) -> dict[str, Any]:
    """Apply, which must fail with a finding and list what was done; returns its result."""
    run = site.run("apply")
    assert run.code != 0, run.tail()
    made = site.result("apply")
    assert made["ok"] is False
    assert made["errors"]
    assert all(each["code"].startswith("SW") and each["message"] and each["hint"] for each in made["errors"])
    assert "SW4017" in {each["code"] for each in made["errors"]}
    assert made["remaining"]
    planned = {each["id"] for part in site.result("plan")["targets"] for each in part["operations"]}
    assert {each["id"] for each in [*made["completed"], *made["remaining"]]} == planned
    assert "Traceback" not in run.output
    return made


def unapplied(made: dict[str, Any]) -> set[str]:
    return {each["target"] for each in made["remaining"]}


def attached(running: str) -> dict[str, list[str]]:
    """The list on each port with its entries, from a running configuration: what is in force."""
    from tests.lab.check import port_list

    ports = [f"GigabitEthernet1/0/{number}" for number in (1, 2)]
    return {port: port_list(running, port) for port in ports}


def goes_on(targets: LabTargets, site: Site) -> None:
    """Planning and applying again finishes the change; then the network equals the commit."""
    for name in ("plan", "apply", "verify"):
        run = site.run(name)
        assert run.code == 0, f"{name}: {run.tail()}"
    report = check(targets.places, site.policy)
    wrong = [each.text() for each in report.wrong if " on " not in each.point]
    assert wrong == []
