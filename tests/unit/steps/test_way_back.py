# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollback where the controller that applied is gone. No target."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.rollback import run_rollback


def test_the_lock_file_of_a_pod_that_died_does_not_block_the_way_back(tmp_path: Path) -> None:
    lock = tmp_path / "state" / "lock"
    values = {"policy_dir": str(tmp_path), "data_dir": str(tmp_path), "diff_mode": False, "check_mode": True}
    lock.parent.mkdir()
    lock.write_text(json.dumps({"user": "u", "host": "pod-4711", "pid": 1, "since": "s", "purpose": "apply"}))
    with pytest.raises(FindingError) as error:
        run_rollback(values, {})
    assert [finding.code for finding in error.value.findings] == ["SW4033"]  # it got as far as the journal
