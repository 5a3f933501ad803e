# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that an action did not foresee: those of the disk say what to do, others ask to be reported."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.action import run_action
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.reports import write_report


def outcome(engine: Any) -> tuple[str, str]:
    task = SimpleNamespace(check_mode=False, diff=False)
    action = SimpleNamespace(_task=task, validate_argument_spec=lambda argument_spec: (None, {}))
    answer = run_action(action, {}, engine)
    assert answer["failed"]
    return answer["errors"][0]["code"], answer["msg"]


def test_a_fault_of_the_disk_is_no_internal_one(tmp_path: Path) -> None:
    def full(_values: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    code, text = outcome(full)
    assert code == "SW0010" and "No space left on device" in text and "make room" in text
    code, text = outcome(lambda _values: (tmp_path / "absent").read_text())
    assert code == "SW0010" and str(tmp_path / "absent") in text
    assert outcome(lambda _values: {}["key"])[0] == "SW0099"


def test_a_report_that_cannot_be_written_does_not_hide_what_was_done(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where a folder should be")
    made = {"summary": "3 operations were undone"}
    write_report(tmp_path / "out" / "rollback.json", made)
    assert made["summary"].startswith("3 operations were undone; rollback.json could not be written (")
    write_report(tmp_path / "rollback.json", made, "# text")
    assert (tmp_path / "rollback.md").read_text() == "# text"
