# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A signal that strikes while a child is being started: Python runs hooks around a fork, and loses what a handler raises in one of them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.lab.places import CHECKOUT

PROGRAM = """
import os, signal, subprocess, sys, time
from tests.lab.demo import _end_on_first_signal
from tests.lab.processes import spawn

_end_on_first_signal()
os.register_at_fork(**{sys.argv[1]: lambda: os.kill(os.getpid(), signal.SIGINT)})
try:
    child = spawn([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    time.sleep(20)
    print("the signal was lost")
except KeyboardInterrupt:
    print("stopped, child", child.pid)
    child.kill()
"""


@pytest.mark.parametrize("moment", ["before", "after_in_parent"])
def test_a_signal_in_a_hook_of_a_fork_ends_the_program_after_it(moment: str) -> None:
    command = [sys.executable, "-c", PROGRAM, moment]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and done.stdout.startswith("stopped, child "), done.stdout + done.stderr
    assert done.stderr == ""
