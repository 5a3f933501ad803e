"""The ready pipelines: valid, and their commands do what they say, with the exit codes that are documented."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from tests.unit.steps.test_commits import git

FOLDER = Path("extensions") / "pipelines"


def commands(root: Path) -> dict[str, str]:
    """The command of each pipeline that runs the gate."""
    github: dict[str, Any] = yaml.safe_load((root / FOLDER / "github.yml").read_text())
    gitlab: dict[str, Any] = yaml.safe_load((root / FOLDER / "gitlab.yml").read_text())
    hook: dict[str, Any] = yaml.safe_load((root / FOLDER / "pre-commit-config.yml").read_text())
    steps = github["jobs"]["gate"]["steps"]
    return {
        "github": next(step["run"] for step in steps if step.get("name") == "Gate"),
        "gitlab": gitlab["policy-gate"]["script"][0],
        "pre-commit": hook["repos"][0]["hooks"][0]["entry"],
    }


def test_no_name_of_a_pull_request_reaches_a_shell(root: Path) -> None:
    """Texts that a stranger chooses go through the environment or are hashes; the comment needs no more than it says."""
    text = (root / FOLDER / "github.yml").read_text()
    runs = [line for line in text.splitlines() if re.match(r"\s+(run:|ansible|python|gh )", line)]
    assert runs and not any("${{" in line for line in runs)
    assert "pull_request_target" not in text and "persist-credentials: false" in text
    made = yaml.safe_load(text)
    assert made["permissions"] == {"contents": "read", "pull-requests": "write"}
    assert made["on"] == {"pull_request": {"paths": ["policies/**"]}}


def test_commands_use_variables_that_the_role_knows(root: Path) -> None:
    defaults = (root / "roles" / "validate" / "defaults" / "main.yml").read_text()
    made = yaml.safe_load((root / FOLDER / "github.yml").read_text())["jobs"]["gate"]["steps"]
    gate = next(step for step in made if step.get("name") == "Gate")
    assert gate["working-directory"] == "${{ runner.temp }}"
    for command in commands(root).values():
        for name in re.findall(r"-e \"?([a-z_]+)=", command):
            assert name in defaults, (name, command)


@pytest.mark.one_python
@pytest.mark.parametrize(("name", "code"), [("pre-commit", 0), ("github", 2), ("gitlab", 2)])
def test_the_commands_pass_and_refuse_with_the_documented_codes(
    root: Path, tmp_path: Path, name: str, code: int
) -> None:
    shutil.copytree(root / "policies", tmp_path / "policies")
    git(tmp_path, "init", "-q", "-b", "main", ".")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    if code:
        file = tmp_path / "policies" / "clinical" / "infusion_pumps.yml"
        file.write_text(
            file.read_text().replace("infusion_pumps-to-pump_servers-mqtt", "infusion_pumps-to-pump_servers-other")
        )
    head = git(tmp_path, "rev-parse", "HEAD")
    outside = tmp_path if name == "pre-commit" else tmp_path / "runner"
    outside.mkdir(exist_ok=True)
    if name != "pre-commit":  # what a request could bring
        (tmp_path / "ansible.cfg").write_text("[defaults]\ncallback_plugins = ./code\ncallbacks_enabled = evil\n")
        (tmp_path / "code").mkdir()
        (tmp_path / "code" / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    environment = {
        **os.environ, "ANSIBLE_COLLECTIONS_PATH": str(root / "collections"), "BASE": head, "CI_MERGE_REQUEST_DIFF_BASE_SHA": head,
        "CI_PROJECT_DIR": str(tmp_path), "GITHUB_WORKSPACE": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "ANSIBLE_LOCALHOST_WARNING": "False",
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_INVENTORY": "localhost,", "ANSIBLE_LOCAL_TEMP": str(tmp_path / "tmp"),
    }  # fmt: skip
    done = subprocess.run(
        ["sh", "-ec", commands(root)[name]],
        cwd=outside if name == "github" else tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == code, done.stdout[-3000:] + done.stderr[-2000:]
    assert not (tmp_path / "ran").exists()
    report = ((outside if name == "github" else tmp_path) / ".microseg" / "out" / "validate.md").read_text()
    if code:
        named = " ".join(done.stdout.split())
        assert "infusion-documentation" in named and "infusion_pumps-to-pump_servers-mqtt" in named, named
        assert "**failed**" in report and "infusion-documentation" in report
    else:
        assert "no change in meaning" in report


def test_a_cache_out_of_git_is_not_believed(tmp_path: Path) -> None:
    paths = Paths.of("policies", str(tmp_path / "data"))
    folder = tmp_path / "data" / "cache" / "policy"
    assert paths.policy_cache == folder
    folder.mkdir(parents=True)
    git(tmp_path, "init", "-q", "-b", "main", ".")
    (folder / "one.json").write_text("{}")
    assert paths.policy_cache == folder and paths.list_cache == folder.parent / "lists.json"
    git(tmp_path, "add", "-A")
    assert paths.policy_cache is None and paths.list_cache is None
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "data")
    assert Paths.of("policies", str(link)).policy_cache is None
