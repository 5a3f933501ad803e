# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollback where the controller that applied is gone. No target."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import push_operation
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.fleet import connected
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.rollback import run_rollback


def test_the_lock_file_of_a_pod_that_died_does_not_block_the_way_back(tmp_path: Path) -> None:
    lock = tmp_path / "state" / "lock"
    values = {"policy_dir": str(tmp_path), "data_dir": str(tmp_path), "diff_mode": False, "check_mode": True}
    lock.parent.mkdir()
    lock.write_text(json.dumps({"user": "u", "host": "pod-4711", "pid": 1, "since": "s", "purpose": "apply"}))
    with pytest.raises(FindingError) as error:
        run_rollback(values, {})
    assert [finding.code for finding in error.value.findings] == ["SW4033"]  # it got as far as the journal
    assert json.loads(lock.read_text())["host"] == "pod-4711"  # a rehearsal takes nothing from a run that may be alive
    with pytest.raises(FindingError):
        run_rollback({**values, "check_mode": False}, {})
    assert lock.read_text() == ""


def test_a_host_that_cannot_be_connected_keeps_no_other_from_its_way_back(tmp_path: Path) -> None:
    """A wrong variable of one host is told and that host left out; apply and plan go on refusing."""
    good = {"microseg_platform": "ise", "ansible_host": "192.0.2.1", "ansible_user": "u", "ansible_password": "p"}
    hosts = {
        "ise1": good,
        "no_platform": {"ansible_host": "192.0.2.2"},
        "no_port": {**good, "ansible_port": "ninety"},
        "no_url": {**good, "microseg_ise_url": "http://192.0.2.3"},
    }
    values = {"targets": list(hosts)}
    faults: list[Finding] = []
    with connected(values, {"hostvars": hosts}, None, faults) as targets:
        assert sorted(targets) == ["ise1"]
    assert len(faults) == 3
    with pytest.raises((FindingError, ValueError)), connected(values, {"hostvars": hosts}, None):
        pass


def test_a_damaged_journal_is_gone_back_by_as_far_as_it_is_whole(tmp_path: Path) -> None:
    """The commands of docs/change/rollback.md: the lines before the one that SW4030 names, in a folder of their own."""
    state, whole = tmp_path / "state", tmp_path / "whole"
    journal = Journal(state / "journal.jsonl")
    for plan in ("a" * 64, "b" * 64):
        step = {**asdict(push_operation("sw1")), "id": plan[:8], "action": "create", "kind": "access_list", "name": "x"}
        journal.append("plan_started", plan_id=plan, steps=[step["id"]])
        journal.append("operation_started", plan_id=plan, target="sw1", operation=step)
        journal.append("operation_done", plan_id=plan, target="sw1", operation_id=step["id"], changed=True, undo={})
        journal.append("plan_done", plan_id=plan)
    lines = journal.path.read_text().splitlines(keepends=True)
    lines[5] = lines[5].replace("sw1", "sw2")
    journal.path.write_text("".join(lines))
    values = {"policy_dir": str(tmp_path), "data_dir": str(tmp_path), "diff_mode": False, "check_mode": True}
    with pytest.raises(FindingError) as error:
        run_rollback(values, {})
    (finding,) = error.value.findings
    assert (finding.code, finding.line) == ("SW4030", 6)
    whole.mkdir()
    head = subprocess.run(
        ["head", "-n", str(finding.line - 1), str(journal.path)], capture_output=True, check=True, text=True
    )
    (whole / "journal.jsonl").write_text(head.stdout)
    answer = run_rollback({**values, "state_dir": str(whole), "plan_id": "a" * 12}, {})
    assert [row["name"] for row in answer["remaining"]] == ["x"]
    assert {item["code"] for item in answer["errors"]} == {"SW4010"}  # no inventory here
