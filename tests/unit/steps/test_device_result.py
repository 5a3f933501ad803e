# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which result a host is given after a fleet's task, and what is said of an interrupted one; no device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.device_fleet import (
    SHOWN,
    Spool,
    _interrupted,
    run_device_result,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.fleet import (
    CHANGED,
    FAILED,
    NOT_BEGUN,
    DeviceResult,
    summary,
)


def result(tmp_path: Path, run: str) -> dict[str, Any]:
    values = {"data_dir": str(tmp_path), "run": run, "diff_mode": False, "check_mode": False}
    return run_device_result(values, {"inventory_hostname": "sw1"})


def test_a_host_gets_the_result_of_the_named_run_and_no_other(tmp_path: Path) -> None:
    Spool(tmp_path / "out" / "devices", "task-2").write(
        DeviceResult("sw1", "ios", CHANGED, run="run-1", in_force="the new lists")
    )
    for known in ("task-2", "run-1"):  # the task's own name, and the run that it took back on this host
        assert result(tmp_path, known)["changed"] is True
    other = result(tmp_path, "task-1")
    assert other["failed"] is True
    assert "is of run task-2, not task-1" in other["msg"]
    assert result(tmp_path, "")["failed"] is True


def test_an_interrupt_of_a_thousand_says_what_each_holds_in_a_file_and_the_worst_here(tmp_path: Path) -> None:
    ended = [DeviceResult(f"sw{n}", "ios", CHANGED, in_force="the new lists") for n in range(400)]
    ended.append(DeviceResult("swx", "ios", FAILED, in_force="what it held before"))
    left = [DeviceResult(f"no{n}", "ios", NOT_BEGUN, in_force="what was in force before") for n in range(599)]
    made = _interrupted(summary([*ended, *left]), [*ended, *left], tmp_path / "all.json")
    assert made["failed"] is True
    assert len(made["devices"]) == 1000
    assert made["devices"]["swx"] == {"status": FAILED, "in_force": "what it held before"}
    assert "401 devices were brought to an end (swx: failed, what it held before; " in made["msg"]
    assert f"and {401 - SHOWN} more" in made["msg"] and f"and {599 - SHOWN} more" in made["msg"]
    assert str(tmp_path / "all.json") in made["msg"] and len(made["msg"]) < 3000
