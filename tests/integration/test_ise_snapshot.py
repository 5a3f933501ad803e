# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A snapshot file of ISE gives the plan that ISE itself gives, and many creates run side by side, over real HTTPS."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import apply_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal, verify_journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import Plan, build_plan, snapshot_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.preflight import preflight_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject, DesiredTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.objects import run_ise_info
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise import IseTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_client import IseClient
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_snapshot import (
    OfflineIse,
    age_seconds,
    read_snapshot,
)
from tests.lab.ise.client import ControlClient
from tests.lab.ise.server import IseServer

HOST = "127.10.186.10"
COMMIT = "c" * 40
MARK = "segwright:x"
SEED: dict[str, Any] = {
    "sgts": [{"name": "SW_a", "value": 1000, "description": MARK}, {"name": "Corp", "value": 900}],
    "dacls": [{"name": "SW_old", "lines": ["deny ip any any"], "description": MARK}],
    "cells": [{"source": "SW_a", "destination": "SW_a", "status": "MONITOR", "default_rule": "DENY_IP", "description": MARK}],
}  # fmt: skip


def dacl(name: str) -> DesiredObject:
    body = {"dacl_type": "IPV4", "content": "permit ip any any", "description": MARK}
    return DesiredObject("downloadable_acl", name, body)


DESIRED = [
    DesiredTarget(
        "ise1", "ise",
        (
            dacl("SW_old"), dacl("SW_new"), DesiredObject("sgt", "SW_a", {"value": 1000, "description": MARK}),
            DesiredObject("sgt", "SW_b", {"value": 1001, "description": MARK}),
        ),
    )
]  # fmt: skip


@pytest.fixture
def ise(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IseServer]:
    with IseServer(HOST, 9060, tmp_path_factory.mktemp("ise"), SEED) as server:
        yield server


def client_of(ise: IseServer) -> IseClient:
    return IseClient(ise.base_url, ise.username, ise.password, ca_file=ise.ca_file, version="3.5")


def variables(ise: IseServer) -> dict[str, Any]:
    host = {
        "microseg_platform": "ise", "ansible_host": HOST, "ansible_port": 9060, "ansible_user": ise.username,
        "ansible_password": ise.password, "microseg_ca_file": ise.ca_file, "microseg_ise_version": "3.5",
    }  # fmt: skip
    return {"hostvars": {"ise1": host}, "inventory_hostname": "ise1"}


def planned(target: Any) -> Plan:
    targets = {"ise1": target}
    return build_plan(targets, DESIRED, snapshot_all(targets, DESIRED), policy_commit=COMMIT)


def test_a_plan_from_the_file_is_the_plan_from_ise(ise: IseServer, tmp_path: Path) -> None:
    file = tmp_path / "ise1.json"
    answer = run_ise_info({"snapshot_file": str(file), "check_mode": False, "names": ["SW_*"]}, variables(ise))
    assert answer["ready"]
    assert answer["ise"]["version"] == "3.5"
    assert {item["name"] for item in answer["objects"]["sgt"]} == {"SW_a"}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text = file.read_text("utf-8")
    assert ise.password not in text
    assert json.loads(text)["schema_version"] == "1.0"
    live = planned(IseTarget("ise1", client_of(ise)))
    control = ControlClient(ise.control_url)
    control.reset_counters()
    offline = planned(OfflineIse("ise1", file))
    assert offline.plan_id == live.plan_id
    # The new group is pushed although the cell that nobody wants any more stays.
    assert [(step.action, step.name) for step in offline.operations()] == [
        ("create", "SW_b"), ("create", "SW_new"), ("push", "trustsec"), ("update", "SW_old"),
    ]  # fmt: skip
    assert control.counters()["total"] == 0


def test_a_file_is_never_written_through_and_says_its_age(ise: IseServer, tmp_path: Path) -> None:
    file = tmp_path / "ise1.json"
    run_ise_info({"snapshot_file": str(file), "check_mode": False}, variables(ise))
    offline = OfflineIse("ise1", file)
    [said] = preflight_all({"ise1": offline}, writing=False)
    assert (said.code, said.severity) == ("SW4315", "info")
    assert "hours ago" in said.message
    later = datetime.now(UTC) + timedelta(hours=2)
    assert 7100 < age_seconds(read_snapshot(file), later) < 7300
    with pytest.raises(FindingError) as error:
        preflight_all({"ise1": offline}, writing=True)
    assert error.value.findings[0].code == "SW4314"
    with pytest.raises(FindingError):
        offline.execute(planned(offline).operations()[0])
    with pytest.raises(FindingError):
        OfflineIse("ise2", file)


@pytest.mark.parametrize("damage", ["objects", "taken_at", "sha256", "kind", "schema_version", "cut"])
def test_a_damaged_or_edited_file_is_refused(ise: IseServer, tmp_path: Path, damage: str) -> None:
    file = tmp_path / "ise1.json"
    run_ise_info({"snapshot_file": str(file), "check_mode": False, "kinds": ["sgt"]}, variables(ise))
    content = json.loads(file.read_text("utf-8"))
    if damage == "objects":
        content["objects"]["sgt/SW_a"]["value"] = 7
    else:
        content[damage] = "99.0"
    file.write_text(json.dumps(content)[: -40 if damage == "cut" else None], "utf-8")
    with pytest.raises(FindingError):
        read_snapshot(file)


def test_check_mode_writes_no_file_and_preflight_only_reads_no_objects(ise: IseServer, tmp_path: Path) -> None:
    file = tmp_path / "ise1.json"
    run_ise_info({"snapshot_file": str(file), "check_mode": True}, variables(ise))
    assert not os.path.exists(file)
    ControlClient(ise.control_url).settings(approval_workflow=True)
    answer = run_ise_info({"preflight_only": True, "check_mode": False}, variables(ise))
    assert not answer["ready"]
    assert [finding["code"] for finding in answer["findings"]] == ["SW4307"]
    with pytest.raises(FindingError):
        run_ise_info({"check_mode": False}, variables(ise))


def test_many_creates_run_side_by_side_and_are_undone(ise: IseServer, tmp_path: Path) -> None:
    control, target = ControlClient(ise.control_url), IseTarget("ise1", client_of(ise))
    control.settings(latency=0.02)
    desired = [DesiredTarget("ise1", "ise", tuple(dacl(f"SW_{number}") for number in range(24)))]
    targets = {"ise1": target}
    plan = build_plan(targets, desired, snapshot_all(targets, desired), policy_commit=COMMIT)
    journal = Journal(tmp_path / "journal.jsonl")
    before, sent = control.state()["objects"]["downloadableacl"], control.counters()["total"]
    control.reset_counters()
    outcome = apply_plan(plan, targets, desired, journal, policy_commit=COMMIT)
    assert outcome.ok, outcome.findings
    assert outcome.writes == 24
    counts = control.counters()
    assert counts["max_in_flight"] > 2
    # A list before, one POST and one GET for each; the rest reads the state before and after.
    assert counts["requests"]["POST ers/downloadableacl"] == 24
    assert counts["total"] <= 24 * 2 + 1 + 2 * (sent + 24)
    assert verify_journal(journal.path) == []
    assert rollback_plan(plan.plan_id, targets, journal).ok
    assert control.state()["objects"]["downloadableacl"] == before


def test_one_that_fails_among_many_leaves_a_true_journal(ise: IseServer, tmp_path: Path) -> None:
    control, target = ControlClient(ise.control_url), IseTarget("ise1", client_of(ise))
    desired = [DesiredTarget("ise1", "ise", tuple(dacl(f"SW_{number}") for number in range(24)))]
    targets = {"ise1": target}
    plan = build_plan(targets, desired, snapshot_all(targets, desired), policy_commit=COMMIT)
    journal = Journal(tmp_path / "journal.jsonl")
    control.schedule({"match": "POST ^/ers/config/downloadableacl", "nth": 10, "fault": "status:500"})
    outcome = apply_plan(plan, targets, desired, journal, policy_commit=COMMIT)
    assert not outcome.ok
    made = {item["name"] for item in control.state()["objects"]["downloadableacl"].values()} & {
        f"SW_{n}" for n in range(24)
    }
    assert {step.operation.name for step in outcome.completed} == made
    assert len(made) + len(outcome.remaining) == 24
    again = apply_plan(plan, targets, desired, journal, policy_commit=COMMIT)
    assert again.ok, again.findings
    assert again.writes == 24 - len(made)
    assert verify_journal(journal.path) == []


def test_a_batch_that_cannot_be_looked_up_fails_before_it_writes(ise: IseServer, tmp_path: Path) -> None:
    control, target = ControlClient(ise.control_url), IseTarget("ise1", client_of(ise))
    desired = [DesiredTarget("ise1", "ise", tuple(dacl(f"SW_{number}") for number in range(24)))]
    targets = {"ise1": target}
    plan = build_plan(targets, desired, snapshot_all(targets, desired), policy_commit=COMMIT)
    journal = Journal(tmp_path / "journal.jsonl")
    control.schedule({"match": "GET ^/ers/config/downloadableacl$", "nth": 2, "fault": "status:403"})
    outcome = apply_plan(plan, targets, desired, journal, policy_commit=COMMIT)
    assert not outcome.ok
    assert (len(outcome.completed), len(outcome.remaining)) == (0, 24)
    assert apply_plan(plan, targets, desired, journal, policy_commit=COMMIT).writes == 24
    assert verify_journal(journal.path) == []
