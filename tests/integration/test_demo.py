# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A demonstration that is stopped at any moment leaves no process, no namespace and no obstacle for the next one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lab.fixtures import _free
from tests.lab.net.namespaces import Namespaces
from tests.lab.places import CHECKOUT, Places
from tests.lab.playbooks import descendants
from tests.lab.processes import LabError
from tests.lab.state import read_state

LAB_ID = 96


@pytest.fixture
def places(tmp_path: Path) -> Places:
    found = Places.of(LAB_ID, tmp_path / "lab")
    if not all(_free(each) for each in (found.control, found.ise, found.firewall, found.switch_control)):
        pytest.skip(f"lab instance {LAB_ID} is in use")
    return found


def start(places: Places) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "SEGWRIGHT_LAB_ID": str(places.lab_id),
        "SEGWRIGHT_LAB_DIR": str(places.directory.parent),
    }
    command = [sys.executable, "-u", "-m", "tests.lab", "demo"]
    return subprocess.Popen(
        command, cwd=CHECKOUT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


@pytest.mark.parametrize(
    ("number", "line", "seconds"),
    [
        (signal.SIGINT, "", 1.5),
        pytest.param(signal.SIGTERM, "policy repository", 4.0, marks=pytest.mark.full),
        pytest.param(signal.SIGHUP, "collect ", 1.0, marks=pytest.mark.full),
    ],
    ids=["while the lab starts", "during a playbook", "between facts and proposals"],
)
def test_a_signal_ends_everything_with_exit_code_130(
    places: Places, number: signal.Signals, line: str, seconds: float
) -> None:
    demo = start(places)
    assert demo.stdout is not None
    seen = ""
    while line and line not in seen:
        text = demo.stdout.readline()
        assert text, f"ended before {line!r}: {seen}"
        seen += text
    time.sleep(seconds)
    family = descendants(demo.pid)
    state = read_state(places)
    demo.send_signal(number)
    rest, _ = demo.communicate(timeout=60)
    assert demo.returncode == 130, seen + rest
    assert "Traceback" not in rest
    # What was just being started dies by the kernel's hand when its parent has gone.
    deadline = time.monotonic() + 3
    while any(each.alive() for each in family) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [each for each in family if each.alive()] == []
    assert not places.state.exists()
    assert all(_free(each) for each in (places.control, places.ise, places.firewall, places.switch_control))
    if state is not None and state["namespaces"]:
        with pytest.raises(LabError):
            Namespaces.attach(state)
    # Nothing is in the way of the next one.
    again = start(places)
    assert again.stdout is not None
    assert again.stdout.readline().split()[0] == "lab"
    again.terminate()
    again.communicate(timeout=60)
    assert again.returncode == 130
