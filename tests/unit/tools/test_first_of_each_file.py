# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option by which a second Python runs some tests of every file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TESTS = """
import pytest

@pytest.mark.one_python
def test_a(): pass

@pytest.mark.skip
def test_b(): pass

@pytest.mark.parametrize("number", range(3))
def test_c(number): pass

def test_d(): pass
"""


def test_the_first_that_are_chosen_and_run_of_every_file(root: Path, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text((root / "tests" / "conftest.py").read_text(encoding="utf-8"))
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    one_python: x\n")
    for name in ("one", "two"):
        (tmp_path / f"test_{name}.py").write_text(TESTS)
    words = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider", "-m", "not one_python"]
    told = subprocess.run(
        [*words, "--first-of-each-file", "2", "."], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    wanted = ["test_b", "test_c[0]", "test_c[1]"]
    assert [line for line in told if "::" in line] == [f"test_{n}.py::{t}" for n in ("one", "two") for t in wanted]
