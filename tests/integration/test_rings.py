# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan carried out ring by ring on the lab's targets, and one ring taken back."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable

import pytest

from tests.integration.conftest import LabTargets, failure_of
from tests.integration.test_drift_and_rollback import configured
from tests.lab.playbooks import Site, assign_sessions

At = Callable[[str], Site]
RINGS = """\
rings:
  - id: one-port
    ports:
      acc2: [GigabitEthernet1/0/1]
    hold_minutes: 60
  - id: building
    segments: [building_management, cameras, hvac_controllers, video_recorders]
    hold_minutes: 60
"""


def test_ring_by_ring_to_a_verified_network_and_one_ring_back(targets: LabTargets, at: At) -> None:
    site = at("planned")
    documents = site.policy / "enforcement.yml"
    head, _rings, tail = re.split(r"^(?=rings:|budgets:)", documents.read_text(encoding="utf-8"), flags=re.MULTILINE)
    documents.write_text(head + RINGS + tail, encoding="utf-8")
    site.commit("One port first")
    run = site.run("plan")
    assert run.code == 0, run.tail()
    rings = site.result("plan")["effect"]["rings"]
    order = [ring["id"] for ring in rings["order"]]
    assert order == ["one-port", "building", "rest"] and rings["safe"] is True
    before = configured(targets.running()), targets.ise_objects(), targets.ruleset()
    counter = targets.writes()
    run = site.run("apply", "--check", microseg_ring="next")
    assert run.code == 0 and set(counter.counts().values()) == {0}
    run = site.run("apply", microseg_ring="next")
    assert run.code == 0, run.tail()
    made = site.result("apply")
    assert made["ring"] == "one-port" and made["changed"] and made["remaining"]
    steps = {ring["id"]: ring["steps"] for ring in rings["order"]}
    assert (
        len(made["completed"]) == steps["one-port"]
        and len(made["remaining"]) == sum(steps.values()) - steps["one-port"]
    )
    # The list is built on its switch and stands on this one port; the other port of its segment is as before.
    groups = re.findall(
        r"^interface (\S+)\n(?: .*\n)*? ip access-group (\S+) in", targets.running()["acc2"], re.MULTILINE
    )
    assert groups == [("GigabitEthernet1/0/1", "SW_hvac_controllers__a")]
    assert configured(targets.running())["acc1"] == before[0]["acc1"] and targets.ruleset() == before[2]
    # Watched for an hour: nothing is done now, and the run says until when.
    # A schedule goes on with this rollout although the branch has moved on; the checkout stays as it is.
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=site.policy, capture_output=True, text=True, check=True)
    workflows = site.policy / "workflows.yml"
    workflows.write_text(workflows.read_text(encoding="utf-8") + "# reviewed\n", encoding="utf-8")
    site.commit("The branch moves on")
    counter = targets.writes()
    run = site.run("apply", microseg_ring="continue")
    assert run.code == 0 and "ring one-port is watched until" in failure_of(run), run.tail()
    subprocess.run(["git", "reset", "-q", "--hard", head.stdout.strip()], cwd=site.policy, check=True)
    assert set(counter.counts().values()) == {0} and site.result("apply")["warnings"] is not None
    # One ring back, and the plan goes on no more.
    run = site.run("rollback", microseg_rollback_ring="one-port")
    assert run.code == 0, run.tail()
    assert (configured(targets.running()), targets.ise_objects(), targets.ruleset()) == before
    run = site.run("apply", microseg_ring="next")
    assert run.code == 2 and "SW4130" in failure_of(run)
    run = site.run("rollback", microseg_rollback_ring="building")
    assert run.code == 2 and "SW4134" in failure_of(run)
    # Each ring by its name, on purpose.
    for name in order:
        run = site.run("apply", microseg_ring=name)
        assert run.code == 0, run.tail()
    assign_sessions(targets.places, site.policy)
    run = site.run("verify")
    assert run.code == 0, run.tail()
    assert site.run("journal_verify").code == 0
    run = site.run("apply", microseg_ring="ward-7")
    assert run.code == 2 and "SW4134" in failure_of(run)


@pytest.mark.full
def test_what_happens_meanwhile_stops_what_it_touches_and_nothing_else(targets: LabTargets, at: At) -> None:
    """Weeks of a rollout: a list is changed by hand, the branch moves on, a camera turns out to be a recorder, an address is another."""
    site = at("planned")
    documents = site.policy / "enforcement.yml"
    head, _rings, tail = re.split(r"^(?=rings:|budgets:)", documents.read_text(encoding="utf-8"), flags=re.MULTILINE)
    documents.write_text(head + RINGS.replace("60", "0") + tail, encoding="utf-8")
    planned = site.commit("One port first")
    site.variables["microseg_protected_branch"] = site.git("branch", "--show-current").strip()
    run = site.run("plan")
    assert run.code == 0, run.tail()
    made = json.loads((site.state / "plan.json").read_text(encoding="utf-8"))
    assert set(made["tools"]) == {"ansible-core", "segwright.microseg"} and all(
        part["address"] for part in made["targets"]
    )

    # Somebody makes a list in ISE that the plan is to make, and the first ring writes nothing there: the plan is void for ISE alone.
    steps = next(part["operations"] for part in made["targets"] if part["name"] == "ise1")
    name = next(step["name"] for step in steps if step["kind"] == "downloadable_acl")
    targets.ise("POST", "/objects/downloadableacl", {"name": name, "dacl": "permit ip any any", "daclType": "IPV4"})
    run = site.run("apply", microseg_ring="one-port")
    assert run.code == 0, run.tail()
    (void,) = [item for item in site.result("apply")["warnings"] if item["code"] == "SW4182"]
    assert void["message"].startswith("ise1: ") and name in void["message"]
    counter = targets.writes()
    run = site.run("apply", microseg_ring="rest")
    assert run.code == 2 and "SW4015" in failure_of(run), run.tail()
    assert set(counter.counts().values()) == {0}
    targets.ise("DELETE", f"/objects/downloadableacl/{name}")

    # The branch goes on, and has a camera in another segment. The rollout is at its own commit.
    lock = site.policy / "members.lock.json"
    content = json.loads(lock.read_text(encoding="utf-8"))
    camera = content["segments"]["cameras"]["devices"].pop()
    content["segments"]["video_recorders"]["devices"].append(camera)
    lock.write_text(json.dumps(content), encoding="utf-8")
    site.commit("One of them records")
    site.git("checkout", "-q", "--detach", planned)
    counter = targets.writes()
    run = site.run("apply", microseg_ring="building")
    said = failure_of(run)
    assert run.code == 2 and "SW4183" in said and f"{camera['name']} from cameras to video_recorders" in said, (
        run.tail()
    )
    assert set(counter.counts().values()) == {0}

    # Another inventory: the same names elsewhere.
    site.git("branch", "-q", "-f", site.variables["microseg_protected_branch"], planned)
    run = site.run("apply", "-e", "ansible_port=4443", microseg_ring="building")
    assert run.code == 2 and "SW4181" in failure_of(run), run.tail()
    assert set(counter.counts().values()) == {0}
    for ring in ("building", "rest"):
        run = site.run("apply", microseg_ring=ring)
        assert run.code == 0, run.tail()
    assign_sessions(targets.places, site.policy)
    run = site.run("verify")
    assert run.code == 0, run.tail()
