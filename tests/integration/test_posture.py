# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An emergency: one command isolates, past a closed window and without approval, everybody is told, and one command takes it back."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.integration.conftest import LabTargets
from tests.lab.playbooks import CHECKOUT, Site

WHY = {"microseg_reason": "The cameras scan the clinical network", "microseg_person": "nina@hospital.example"}
CLOSED = """\
windows:
  - id: never-now
    zones: [building, clinical, data_center, imaging, vendor]
    days: [mon]
    start: "03:00"
    end: "03:01"
freezes:
  - id: all-year
    zones: [all]
    from: "2020-01-01"
    until: "2090-01-01"
    reason: Nothing is changed
    owner: network-security
"""


def test_pulled_and_released_in_one_command_each(targets: LabTargets, at: Callable[[str], Site]) -> None:
    site = at("verified")
    before = targets.ruleset()
    (site.policy / "postures.yml").write_text((CHECKOUT / "policies/postures.yml").read_text("utf-8"), encoding="utf-8")
    site.commit("Postures, prepared")

    run = site.run("posture")
    assert run.code == 0, run.tail()
    listed = site.result("posture")
    assert [item["posture"] for item in listed["prepared"]] == ["isolate_cameras", "open_hvac"] and not listed["pulled"]
    cost = {row["posture"]: row for row in listed["costs"]}
    assert cost["isolate_cameras"]["recorded"] > 0 and cost["isolate_cameras"]["cut"] > 0
    assert all("cameras" in (row["client"], row["server"]) for row in cost["isolate_cameras"]["worst"])
    assert cost["open_hvac"]["cut"] == 0

    run = site.run("posture", microseg_posture_state="pulled", microseg_posture_names=["isolate_cameras"])
    assert run.code != 0 and "SW4141" in run.output  # nobody said why
    assert targets.ruleset() == before

    # Documents that were not applied do not come along, whatever else is prepared in them.
    segment = site.policy / "building" / "cameras.yml"
    allowed = segment.read_text(encoding="utf-8")
    assert "allow:" in allowed
    segment.write_text(allowed.partition("allow:")[0], encoding="utf-8")
    site.commit("Something else is changed")
    pull = {"microseg_posture_state": "pulled", "microseg_posture_names": ["isolate_cameras"], **WHY}
    run = site.run("posture", **pull)
    assert run.code != 0 and "SW4142" in run.output and targets.ruleset() == before
    segment.write_text(allowed, encoding="utf-8")
    (site.policy / "calendar.yml").write_text(CLOSED, encoding="utf-8")  # no window is open, and everything is frozen
    site.commit("Back to what is in force")

    run = site.run("posture", "--check", "--diff", **pull)
    assert run.code == 0 and targets.ruleset() == before, run.tail()
    run = site.run("posture", **pull)
    assert run.code == 0, run.tail()
    assert targets.ruleset() != before
    pulled = site.result("posture")["pulled"]
    assert [(item["posture"], item["person"]) for item in pulled] == [("isolate_cameras", "nina@hospital.example")]
    journal = [json.loads(line) for line in (site.state / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    started = [entry for entry in journal if entry["event"] == "plan_started"][-1]
    assert started["emergency"]["reason"] == WHY["microseg_reason"] and started["emergency"]["postures"] == [
        "isolate_cameras"
    ]

    for name, document in (("verify", "verify.md"), ("plan", "plan.md"), ("plan", "plan.html")):  # everybody is told
        run = site.run(name)
        assert run.code == 0, run.tail()
        head = (site.output / document).read_text(encoding="utf-8").replace("\\_", "_").partition("<h2")[0]
        assert "POSTURE PULLED: isolate_cameras" in head.partition("\n## ")[0]

    run = site.run(
        "posture", microseg_posture_state="released", microseg_posture_names=["isolate_cameras"],
        microseg_reason="Firmware was replaced", microseg_person="nina@hospital.example",
    )  # fmt: skip
    assert run.code == 0, run.tail()
    assert targets.ruleset() == before and site.result("posture")["pulled"] == []
    run = site.run("verify")
    assert run.code == 0, run.tail()


RULE = """\
  - id: {name}-to-infrastructure-https
    to: infrastructure
    services: [https]
    reason: Fetches firmware
    origin: manual
"""


@pytest.mark.full
def test_pulled_in_the_middle_of_a_rollout_no_ring_goes_back(targets: LabTargets, at: Callable[[str], Site]) -> None:
    """What was applied last is older than what a ring has put in force: releasing gives back the ring's list, not that one."""
    site = at("planned")
    (site.policy / "postures.yml").write_text((CHECKOUT / "policies/postures.yml").read_text("utf-8"), encoding="utf-8")
    first = site.commit("Postures, prepared")
    for name in ("plan", "apply"):
        run = site.run(name)
        assert run.code == 0, run.tail()
    for path in ("building/cameras.yml", "clinical/patient_monitors.yml"):
        document = site.policy / path
        name = document.stem.replace("_", "-")
        text = document.read_text(encoding="utf-8")
        document.write_text(text.replace("allow:\n", "allow:\n" + RULE.format(name=name)), encoding="utf-8")
    second = site.commit("Firmware is fetched")
    old = targets.ise_objects()
    run = site.run("plan")
    assert run.code == 0, run.tail()
    run = site.run("apply", microseg_ring="building")
    assert run.code == 0, run.tail()
    ring = targets.ise_objects()
    moved = {name for name in ring if ring[name] != old.get(name)}
    assert moved == {"downloadableacl/SW_cameras"}

    def lists() -> dict[str, str]:
        found = targets.ise_objects()
        return {name: found[f"downloadableacl/{name}"]["dacl"] for name in ("SW_cameras", "SW_patient_monitors")}

    before = lists()
    assert "eq 443" in before["SW_cameras"]
    pull = {"microseg_posture_names": ["isolate_cameras"], **WHY}
    for commit in (second, first):  # the branch as it is, or the commit that was applied last
        site.git("checkout", "-q", commit)
        run = site.run("posture", microseg_posture_state="pulled", **pull)
        assert run.code == 0, run.tail()
        made = site.result("posture")
        assert "SW4177" in json.dumps(made) and made["policy_commit"] == first
        pulled = lists()
        assert pulled["SW_cameras"] != before["SW_cameras"]
        assert pulled["SW_patient_monitors"] == before["SW_patient_monitors"]
        run = site.run("posture", microseg_posture_state="released", **pull)
        assert run.code == 0, run.tail()
        assert lists() == before
    # The rollout goes on as if nothing had been, and ends as planned.
    site.git("checkout", "-q", second)
    for name in ("radiology", "bedside"):
        if name in [each["id"] for each in site.result("plan")["effect"]["rings"]["order"]]:
            run = site.run("apply", microseg_ring=name)
            assert run.code == 0, run.tail()
    for name in [each["id"] for each in site.result("plan")["effect"]["rings"]["order"]]:
        if name == "rest":
            run = site.run("apply", microseg_ring=name)
            assert run.code == 0, run.tail()
    run = site.run("plan")
    assert run.code == 0 and site.result("plan")["targets"] is not None, run.tail()
    assert not any(part["operations"] for part in site.result("plan")["targets"])
