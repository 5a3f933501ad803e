# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollback where the controller that applied is gone. No target."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
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
