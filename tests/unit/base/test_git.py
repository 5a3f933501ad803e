"""Reading a checkout: what is read is what was committed, and nothing that the checkout names is run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.git import committed_copy, prefix_of, run_git

FAULT = Code("SW9999", "error", "test", "none")


def git(folder: Path, *words: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false", *words]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    policy = root / "policies"
    (policy / "clinical").mkdir(parents=True)
    git(tmp_path, "init", "-q", str(root))
    (policy / "site.yml").write_text("name: one\n")
    (policy / "clinical" / "pumps.yml").write_bytes("segment: pümps\n".encode() + bytes([0xFF, 0x00, 0x0A]))
    (policy / "empty.yml").write_text("")
    (policy / "link.yml").symlink_to("/etc/passwd")
    # Attributes that would hide a file from git archive, and change another on checkout.
    (root / ".gitattributes").write_text("policies/site.yml export-ignore\n*.yml filter=evil\n")
    (root / "README").write_text("not policy\n")
    git(root, "add", "--all")
    git(root, "commit", "-q", "-m", "one")
    return root


def test_a_commit_is_copied_byte_for_byte(checkout: Path) -> None:
    first = git(checkout, "rev-parse", "HEAD")
    (checkout / "policies" / "site.yml").write_text("name: two\n")
    git(checkout, "commit", "-q", "-a", "-m", "two")
    with committed_copy(checkout / "policies", first, FAULT) as copy:
        assert (copy / "site.yml").read_text() == "name: one\n"
        assert (copy / "clinical" / "pumps.yml").read_bytes() == "segment: pümps\n".encode() + bytes([0xFF, 0x00, 0x0A])
        assert (copy / "empty.yml").read_bytes() == b""
        assert (copy / "link.yml").is_symlink() and not (copy / "link.yml").exists()
        assert sorted(path.name for path in copy.iterdir()) == ["clinical", "empty.yml", "link.yml", "site.yml"]
    assert not copy.exists()
    with committed_copy(checkout, first, FAULT) as copy:
        assert (copy / "README").exists() and (copy / "policies" / "site.yml").exists()


def test_what_is_not_there_is_a_finding(checkout: Path) -> None:
    with pytest.raises(FindingError, match="SW9999"), committed_copy(checkout / "policies", "0" * 40, FAULT):
        pass


def test_the_prefix_is_relative_to_the_checkout(checkout: Path) -> None:
    assert prefix_of(checkout / "policies") == "policies"
    assert prefix_of(checkout) == ""


def test_no_program_of_the_checkouts_configuration_runs(checkout: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {mark}\nexit 0\n")
    trap.chmod(0o755)
    for key in (
        "core.fsmonitor",
        "gpg.program",
        "gpg.ssh.program",
        "core.pager",
        "filter.evil.smudge",
        "filter.evil.clean",
    ):
        git(checkout, "config", key, str(trap))
    git(checkout, "config", "log.showSignature", "true")
    os.utime(checkout / "policies" / "site.yml")
    for words in (["log", "-1", "--format=%H %G?"], ["rev-parse", "HEAD"], ["diff-tree", "-r", "HEAD"]):
        assert run_git(checkout / "policies", words, FAULT).returncode == 0
    with committed_copy(checkout / "policies", git(checkout, "rev-parse", "HEAD"), FAULT):
        pass
    assert not mark.exists()
