# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applying twice writes nothing, drift is named object by object, and a rollback brings back what was there before."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.integration.conftest import LabTargets, Loop, failure_of
from tests.lab.playbooks import Site, withdraw_sessions

At = Callable[[str], Site]


def test_a_second_apply_writes_nothing_anywhere(loop: Loop, targets: LabTargets, at: At) -> None:
    site = at("applied")
    before = targets.ruleset(), targets.running(), targets.ise("GET", "/state")
    counter = targets.writes()
    run = site.run("apply")
    assert run.code == 0, run.tail()
    assert set(counter.counts()) >= {"ise1", "acc1", "acc2", "fw1"}
    assert set(counter.counts().values()) == {0}
    made = site.result("apply")
    assert (made["ok"], made["changed"], made["writes"], made["completed"]) == (True, False, 0, [])
    assert (targets.ruleset(), targets.running(), targets.ise("GET", "/state")) == before


@pytest.mark.full
def test_planning_again_finds_nothing_to_do(targets: LabTargets, at: At) -> None:
    site = at("applied")
    counter = targets.writes()
    run = site.run("plan")
    assert run.code == 0, run.tail()
    assert [each for part in site.result("plan")["targets"] for each in part["operations"]] == []
    assert set(counter.counts().values()) == {0}


def change_three_by_hand(targets: LabTargets) -> dict[str, str]:
    """Change one ACE on acc2, one cell in ISE and one nft rule on fw1; returns target -> object."""
    name = port_list_name(targets)
    targets.switches.call(
        "apply", device="acc2", lines=[f"ip access-list extended {name}", "5 permit tcp any any eq 23"]
    )
    cell = next(
        each
        for each in targets.ise("GET", "/objects/egressmatrixcell")
        if str(each.get("description", "")).startswith("segwright:") and each["matrixCellStatus"] == "ENABLED"
    )
    targets.ise("PATCH", f"/objects/egressmatrixcell/{cell['id']}", {"matrixCellStatus": "MONITOR"})
    table = widen_a_rule(targets)
    # A list lives under one of two names, so that a new one can be built beside the one in force.
    return {"acc2": name.partition("__")[0], "ise1": cell["name"], "fw1": table}


def configured(running: dict[str, str]) -> dict[str, str]:
    """The configurations without the head in which a switch tells who changed it last, and when."""
    return {name: text[text.index("\nversion ") :] for name, text in running.items()}


def port_list_name(targets: LabTargets) -> str:
    """The list that acc2 has on the first controller's port."""
    text = targets.running()["acc2"]
    section = text.partition("\ninterface GigabitEthernet1/0/1\n")[2].partition("\n!")[0]
    return next(line.split()[2] for line in section.splitlines() if "access-group" in line)


def widen_a_rule(targets: LabTargets) -> str:
    """Let one nft rule of the product's table pass port 23 instead of its own; returns the table."""
    listed = json.loads(targets.nft("-j", "list", "ruleset"))["nftables"]
    rule = next(
        each["rule"]
        for each in listed
        if "segwright" in each.get("rule", {}).get("table", "") and "mqtt" in each["rule"].get("comment", "")
    )
    text = next(line for line in targets.nft("-s", "list", "ruleset").splitlines() if f'"{rule["comment"]}"' in line)
    assert "tcp dport 1883" in text
    place = [rule["family"], rule["table"], rule["chain"], "handle", str(rule["handle"])]
    targets.nft("replace", "rule", *place, text.strip().replace("dport 1883", "dport 23"))
    return str(rule["table"])


def test_verify_names_exactly_the_three_objects_changed_by_hand(targets: LabTargets, at: At) -> None:
    site = at("verified")
    changed = change_three_by_hand(targets)
    run = site.run("verify")
    assert run.code != 0
    made = site.result("verify")
    assert made["ok"] is False
    found = {(each["target"], each["kind"], each["name"]): each["difference"] for each in made["drift"]}
    assert set(found) == {
        ("acc2", "access_list", changed["acc2"]),
        ("ise1", "egress_matrix_cell", changed["ise1"]),
        ("fw1", "ruleset", changed["fw1"]),
    }
    assert "23" in found["acc2", "access_list", changed["acc2"]]
    assert "MONITOR" in found["ise1", "egress_matrix_cell", changed["ise1"]]
    assert "23" in found["fw1", "ruleset", changed["fw1"]]
    equal = {each["name"]: each["equal"] for each in made["targets"]}
    assert [equal[name] for name in ("acc2", "ise1", "fw1")] == [False, False, False]


def test_a_plan_and_an_apply_correct_the_drift(targets: LabTargets, at: At) -> None:
    site = at("verified")
    before = targets.ise_objects(), targets.running()
    change_three_by_hand(targets)
    for name in ("plan", "apply", "verify"):
        run = site.run(name)
        assert run.code == 0, run.tail()
    after = targets.ise_objects(), targets.running()
    assert after[0] == before[0]
    assert configured(after[1])["acc1"] == configured(before[1])["acc1"]
    assert {part["name"] for part in site.result("plan")["targets"] if part["operations"]} == {"acc2", "ise1", "fw1"}


def test_rollback_brings_back_the_state_before(loop: Loop, targets: LabTargets, at: At) -> None:
    at_before = loop.moments["planned"]
    targets.restore(at_before)
    before = targets.ruleset(), targets.running(), targets.ise_objects()
    site = at("applied")
    assert targets.ruleset() != before[0]
    assert configured(targets.running()) != configured(before[1])
    assert targets.ise_objects() != before[2]
    counter = targets.writes()
    run = site.run("rollback", "--check")
    assert run.code == 0, run.tail()
    assert set(counter.counts().values()) == {0}
    run = site.run("rollback")
    assert run.code == 0, run.tail()
    made = site.result("rollback")
    assert (made["ok"], made["remaining"]) == (True, [])
    assert targets.ruleset() == before[0]
    assert configured(targets.running()) == configured(before[1])
    assert targets.ise_objects() == before[2]
    # What was undone can be applied again.
    for name in ("plan", "apply", "verify"):
        run = site.run(name)
        assert run.code == 0, run.tail()


@pytest.mark.full
def test_rollback_goes_on_where_the_site_uses_an_object_and_ends_when_it_does_not(
    loop: Loop, targets: LabTargets, at: At
) -> None:
    targets.restore(loop.moments["planned"])
    before = targets.ruleset(), targets.ise_objects()
    site = at("verified")
    run = site.run("rollback")
    assert run.code != 0
    made = site.result("rollback")
    used = {"SW_cameras", "SW_infusion_pumps", "SW_patient_monitors"}
    assert {each["name"] for each in made["remaining"]} == used
    assert {each["kind"] for each in made["remaining"]} == {"authorization_profile", "downloadable_acl"}
    assert {each["code"] for each in made["errors"]} == {"SW4060"}
    assert targets.ruleset() == before[0]
    # What must stay for the time being no longer denies anything.
    objects = targets.ise_objects()
    assert {objects[f"downloadableacl/{name}"]["dacl"].strip() for name in used} == {"permit ip any any"}
    withdraw_sessions(targets.places)
    run = site.run("rollback")
    assert run.code == 0, run.tail()
    assert site.result("rollback")["remaining"] == []
    assert targets.ise_objects() == before[1]


@pytest.mark.full
def test_one_device_back_then_the_whole_network_to_the_earlier_commit(targets: LabTargets, at: At) -> None:
    site = at("applied")
    commit = site.git("rev-parse", "HEAD").strip()
    before = targets.ruleset(), configured(targets.running()), targets.ise_objects()
    widen_two_services(site)
    for name in ("plan", "apply"):
        run = site.run(name)
        assert run.code == 0, run.tail()
    changed = {part["name"] for part in site.result("plan")["targets"] if part["operations"]}
    assert changed == {"acc2", "ise1", "fw1"}
    after = targets.ruleset(), configured(targets.running()), targets.ise_objects()

    run = site.run("rollback", microseg_rollback_device="acc2")  # one switch; the rest stays
    assert run.code == 0, run.tail()
    made = site.result("rollback")
    assert {each["target"] for each in made["undone"]} == {"acc2"}
    assert (targets.ruleset(), targets.ise_objects()) == (after[0], after[2])
    assert configured(targets.running()) == before[1]

    counter = targets.writes()
    run = site.run("rollback", "--check", "--diff", microseg_rollback_commit=commit[:10])
    assert run.code == 0, run.tail()
    assert set(counter.counts().values()) == {0}
    said = failure_of(run)
    assert "the state before is reached" in said and "recorded conversations" in said
    assert "1123" in run.output and "(after the rollback)" in run.output and "SW4166" not in said
    run = site.run("rollback", microseg_rollback_commit=commit[:10])
    assert run.code == 0, run.tail()
    assert (targets.ruleset(), configured(targets.running()), targets.ise_objects()) == before
    journal = [json.loads(line) for line in (site.state / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    begun = [entry for entry in journal if entry["event"] == "rollback_started"]
    assert (begun[0]["device"], begun[0]["partial"], begun[-1]["to_commit"]) == ("acc2", True, commit)
    assert "partial" not in begun[-1]


def widen_two_services(site: Site) -> str:
    """Commit a change that touches a DACL, a cell, a port list and the firewall."""
    path = site.policy / "services.yml"
    text = path.read_text(encoding="utf-8")
    assert text.count("ports: [123]") == 1
    assert text.count("ports: [11112]") == 1
    path.write_text(
        text.replace("ports: [123]", "ports: [123, 1123]").replace("ports: [11112]", "ports: [104, 11112]"),
        encoding="utf-8",
    )
    return site.commit("Second ports for time and images")
