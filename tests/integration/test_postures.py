# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A posture is pulled, kept and released by plans: through the playbooks, against the lab."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.integration.conftest import LabTargets
from tests.lab.playbooks import Site

POSTURES = """\
postures:
  isolate_cameras:
    kind: isolate
    segment: cameras
    owner: security-operations
    reason: The cameras' model is under attack. They reach nothing until somebody has looked at them
"""


def operations(site: Site) -> list[str]:
    return [
        f"{part['name']} {each['kind']} {each['name']}"
        for part in site.result("plan")["targets"]
        for each in part["operations"]
    ]


@pytest.mark.full
def test_pulled_kept_by_other_plans_and_released(targets: LabTargets, at: Callable[[str], Site]) -> None:
    site = at("verified")
    before = targets.ruleset()
    (site.policy / "postures.yml").write_text(POSTURES, encoding="utf-8")
    site.commit("A posture, prepared")

    run = site.run("plan")  # that it is written changes nothing
    assert run.code == 0, run.tail()
    assert operations(site) == []

    run = site.run("plan", microseg_postures=["isolate_cameras"])
    assert run.code == 0, run.tail()
    planned = site.result("plan")
    assert planned["effect"]["postures"] == ["isolate_cameras"]
    assert any(name.startswith("fw1 ") for name in operations(site)) and any(
        "ise1 " in name for name in operations(site)
    )
    assert "isolate_cameras" in (site.output / "plan.md").read_text(encoding="utf-8")
    run = site.run("apply")
    assert run.code == 0, run.tail()
    assert targets.ruleset() != before
    started = [json.loads(line) for line in (site.state / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [e["postures"] for e in started if e["event"] == "plan_started"][-1] == ["isolate_cameras"]

    run = site.run("verify")  # what is pulled is what has to be there
    assert run.code == 0, run.tail()
    assert site.result("verify")["postures"] == ["isolate_cameras"]
    run = site.run("plan")  # nobody ends an isolation by planning something else
    assert run.code == 0, run.tail()
    assert operations(site) == [] and site.result("plan")["effect"]["postures"] == ["isolate_cameras"]

    run = site.run("plan", microseg_postures=[])
    assert run.code != 0 and "SW4169" in run.output  # nobody says why
    why = {"microseg_reason": "The cameras have new firmware", "microseg_person": "nina@hospital.example"}
    run = site.run("plan", microseg_postures=[], **why)
    assert run.code == 0, run.tail()
    assert "nina@hospital.example" in (site.output / "plan.md").read_text(encoding="utf-8")
    assert operations(site) and "postures" not in site.result("plan")["effect"]
    run = site.run("apply")
    assert run.code == 0, run.tail()
    assert targets.ruleset() == before
    run = site.run("verify")
    assert run.code == 0, run.tail()
    assert site.result("verify")["postures"] == []
