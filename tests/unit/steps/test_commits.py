"""The gate against a commit: read from git's objects alone, told by meaning, in the comment and in the result."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import date
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.commits import (
    commit_named,
    directory_at,
    last_commit_of,
    state_at,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.validate import run_validate

TODAY = date(2026, 11, 23)


def git(folder: Path, *words: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", str(folder), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(root: Path, tmp_path: Path) -> Path:
    """A checkout with the shipped policy below it, and programs of its own that must never run."""
    top = tmp_path / "checkout"
    shutil.copytree(root / "policies", top / "site" / "policies")
    git(tmp_path, "init", "-q", "-b", "trunk", str(top))
    git(top, "add", "-A")
    git(top, "commit", "-qm", "first")
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\ncat\n")
    trap.chmod(0o755)
    for name in ("post-checkout", "reference-transaction"):
        shutil.copy(trap, top / ".git" / "hooks" / name)
    for key in ("core.fsmonitor", "core.pager", "filter.x.smudge", "filter.x.clean", "diff.x.textconv"):
        git(top, "config", key, str(trap))
    (top / ".gitattributes").write_text("*.yml filter=x diff=x\n")
    (tmp_path / "ran").unlink(missing_ok=True)
    return top / "site" / "policies"


def validated(policies: Path, tmp_path: Path, base: str) -> dict:
    values = {
        "policy_dir": policies,
        "data_dir": tmp_path / "data",
        "output_dir": tmp_path / "out",
        "today": "2026-11-23",
        "base": base,
    }
    run_validate(values)
    return json.loads((tmp_path / "out" / "validate.json").read_text())


@pytest.mark.one_python
def test_a_refactoring_has_no_meaning_and_a_rule_has_one(checkout: Path, tmp_path: Path) -> None:
    result = validated(checkout, tmp_path, "HEAD")
    assert result["ok"] and result["impact"]["empty"] and result["rollout"]["steps"] == []
    file = checkout / "clinical" / "infusion_pumps.yml"
    text = file.read_text()
    file.write_text("# A remark\n\n" + text.replace("reason:", "reason:  "))
    result = validated(checkout, tmp_path, "trunk")
    assert result["impact"]["sentence"] == "no change in meaning"
    rules = checkout / "vendor" / "vendor_support.yml"
    text = rules.read_text()
    rules.write_text(text.replace("services: [vendor-support]", "services: [vendor-support, https]"))
    assert rules.read_text() != text, "the shipped policy has changed; take another rule of it"
    result = validated(checkout, tmp_path, "HEAD~0")
    changed = {(row["change"], row["client"], row["server"]) for row in result["impact"]["rows"]}
    assert changed == {("gained", "vendor_support", "imaging_modalities")}
    report = (tmp_path / "out" / "validate.md").read_text()
    assert "```mermaid" in report and "vendor_support" in report


def test_files_come_from_the_objects_and_nothing_is_run(checkout: Path, tmp_path: Path) -> None:
    commit = commit_named(checkout, "trunk")
    (checkout / "site.yml").write_text("changed: true\n")
    (checkout / "link.yml").symlink_to("/etc/hostname")
    git(checkout, "-c", "core.fsmonitor=false", "add", "link.yml")
    with directory_at(checkout, commit) as folder:
        names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        assert "clinical/infusion_pumps.yml" in names and "link.yml" not in names
        assert "st-elsewhere" in (folder / "site.yml").read_text()
    assert not folder.exists()
    (tmp_path / "ran").unlink(missing_ok=True)  # git add of this test itself asked the filter
    found, state = state_at(checkout, commit[:12], TODAY)
    assert found == commit and state.lists
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["", "--output=x", "nothere", "a..b", "x y", "HEAD:site.yml", "-p"])
def test_what_names_no_commit_is_refused(checkout: Path, name: str) -> None:
    with pytest.raises(FindingError) as caught:
        commit_named(checkout, name)
    assert caught.value.findings[0].code == "SW4610"


def test_an_unsound_base_is_a_finding_and_not_an_end(checkout: Path, tmp_path: Path) -> None:
    site = checkout / "site.yml"
    good = site.read_text()
    site.write_text("name: [\n")
    top = checkout.parents[1]
    git(top, "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "commit", "-qam", "broken")
    site.write_text(good)
    result = validated(checkout, tmp_path, "HEAD")
    assert "SW4612" in {item["code"] for item in result["warnings"]} and "impact" not in result


def test_the_last_commit_of_a_line(checkout: Path, tmp_path: Path) -> None:
    commit = commit_named(checkout, "HEAD")
    assert last_commit_of(checkout, Location("site.yml", 3)) == commit
    file = checkout / "site.yml"
    file.write_text("# new\n" + file.read_text())
    assert last_commit_of(checkout, Location("site.yml", 1)) == ""
    assert last_commit_of(checkout, Location("site.yml", 1), commit) == commit
    assert last_commit_of(checkout, Location("site.yml", 4)) == commit
    for place in (
        Location("../x", 1),
        Location("/etc/passwd", 1),
        Location("site.yml", 10_000),
        Location("none.yml", 1),
        Location(),
    ):
        assert last_commit_of(checkout, place) == ""
    assert not (tmp_path / "ran").exists()


def test_files_that_are_no_text_are_written_as_they_were(checkout: Path) -> None:
    picture = bytes(range(256)) * 3
    (checkout / "floor plan \xe4.png").write_bytes(picture)
    git(checkout, "add", "-A")
    git(checkout, "commit", "-qm", "picture")
    commit = commit_named(checkout, "HEAD")
    with directory_at(checkout, commit) as folder:
        assert (folder / "floor plan \xe4.png").read_bytes() == picture
