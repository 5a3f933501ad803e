# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands and examples of the README are real: playbooks resolve, targets exist, YAML examples run as they stand."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(set(re.findall(r"(?m)^    (ansible-playbook .+?)(?: +#.*)?$", README)))
MAKE = sorted(set(re.findall(r"(?m)(?:^    |`)make ([a-z-]+)", README)))
PLAYS = re.findall(r"(?s)```yaml\n(.*?)```", README)


def run(words: list[str], folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    program = Path(sys.executable).parent / words[0]
    return subprocess.run(
        [str(program), *words[1:], *more],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_readme_has_commands_and_examples() -> None:
    assert len(COMMANDS) >= 5 and len(PLAYS) >= 1 and {"demo", "test", "venv"} <= set(MAKE)


@pytest.mark.parametrize("command", COMMANDS)
def test_playbook_commands_resolve(command: str) -> None:
    made = run(shlex.split(command), ROOT, "--syntax-check")
    assert made.returncode == 0, made.stdout + made.stderr


@pytest.mark.parametrize("target", MAKE)
def test_make_targets_exist(target: str) -> None:
    made = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert made.returncode == 0, made.stderr


@pytest.mark.parametrize("number", range(len(PLAYS)))
def test_yaml_examples_run_as_they_stand(number: int, tmp_path: Path) -> None:
    plays = yaml.safe_load(PLAYS[number])
    playbook = tmp_path / "example.yml"
    playbook.write_text(PLAYS[number], encoding="utf-8")
    made = run(["ansible-playbook", str(playbook)], ROOT, "-e", f"microseg_data_dir={tmp_path}")
    assert made.returncode == 0, made.stdout + made.stderr
    assert "failed=0" in made.stdout and plays
