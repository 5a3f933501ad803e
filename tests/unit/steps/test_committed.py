"""What a commit holds is read out of git's objects at once: the same as is read from a copy of it, file by file and name by name."""

from __future__ import annotations

import os
import random
import shutil
from datetime import date
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.git import (
    COPY_LIMIT_BYTES,
    blobs_named,
    committed_copy,
    committed_files,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.merged import _Reader
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.signatures import SignedCommit
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import load_checked
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.loader import LoadResult, load_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.sources import Committed
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.committed import (
    approvers_at,
    documents_of,
    site_at,
    uncommitted,
)
from tests.unit.base.test_git import git

if not shutil.which("git"):
    pytest.skip("git is needed", allow_module_level=True)

BASE = Path(__file__).resolve().parents[2] / "cases" / "policy" / "base"
TODAY = date(2026, 11, 23)
PREFIX = "site/poli cies"


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main", str(tmp_path))
    found = tmp_path / PREFIX
    shutil.copytree(BASE, found)
    (found / "expected.json").unlink()
    commit(found)
    return found


def commit(policies: Path) -> str:
    git(policies, "add", "--all", "--force", ":/")
    git(policies, "commit", "-q", "--allow-empty", "-m", "more")
    return git(policies, "rev-parse", "HEAD")


def both(policies: Path, where: str) -> tuple[LoadResult, LoadResult]:
    with committed_copy(policies, where, codes.GIT_FAILED) as copy:
        from_disk = load_site(copy)
    words = ["--full-tree", f"{where}:{PREFIX}"]
    files = committed_files(policies, where, words, codes.GIT_FAILED, COPY_LIMIT_BYTES)
    return from_disk, load_site(Committed(where, files))


def test_a_sound_commit(policies: Path) -> None:
    first = git(policies, "rev-parse", "HEAD")
    on_disk, held = both(policies, first)
    assert on_disk == held and held.site is not None
    assert site_at(policies, first, TODAY) == load_checked(policies, TODAY).site
    (policies / "site.yml").write_text("nothing: good\n")
    assert site_at(policies, first, TODAY) is not None
    assert site_at(policies, commit(policies), TODAY) is None
    assert site_at(policies, "0" * 40, TODAY) is None


def test_whatever_a_commit_holds(policies: Path) -> None:
    (policies / "networks.yml").unlink()
    (policies / "networks.yml").symlink_to("/etc/hostname")
    (policies / "linked").symlink_to("clinical")
    (policies / ".hidden.yml").write_text("a: b\n")
    (policies / "evidence" / "deep" / "deeper").mkdir(parents=True)
    (policies / "evidence" / "deep" / "deeper" / "x.yml").write_text("a: b\n")
    (policies / "clinical" / "deep").mkdir(parents=True)
    (policies / "clinical" / "deep" / "x.yml").write_text("a: b\n")
    (policies / "clinical" / "odd name\n.yml").write_text("a: b\n")
    Path(os.fsdecode(os.fsencode(str(policies / "clinical")) + b"/\xff.yml")).write_text("a: b\n")
    (policies / "clinical" / "bytes.yml").write_bytes(b"segment: \xff\r\nzone: a\rb\n")
    (policies / "guardrails.yml").write_bytes((policies / "guardrails.yml").read_bytes().replace(b"\n", b"\r\n"))
    (policies / "unknown.yml").write_text("a: b\n")
    (policies / "clinical.yml").write_text("")
    on_disk, held = both(policies, commit(policies))
    assert on_disk.findings == held.findings and on_disk.site == held.site
    assert len(held.findings) > 6


def test_documents_before_and_after(policies: Path) -> None:
    first = git(policies, "rev-parse", "HEAD")
    (policies / "site.yml").write_text("name: [\n")
    (policies / "networks.yml").unlink()
    (policies / "clinical" / "new\nline.yml").write_text("a: 1\n")
    (policies / "link.yml").symlink_to("clinical")
    second = commit(policies)
    changed = ("site.yml", "networks.yml", "clinical/new\nline.yml", "link.yml", "clinical", "never.yml")
    found = documents_of(policies, changed, first, second)
    assert found["site.yml"][0]["time_zone"] and found["site.yml"][1] == "name: [\n"
    assert found["networks.yml"][0] is not None and found["networks.yml"][1] is None
    assert found["clinical/new\nline.yml"] == (None, {"a": 1})
    assert found["link.yml"] == (None, "clinical")  # the content of a link is where it leads
    assert found["clinical"] == found["never.yml"] == (None, None)
    assert documents_of(policies, changed, "", second)["networks.yml"] == (None, None)
    names = [f"{first}:{PREFIX}/site.yml", f"{first}:x", f"{first}:a\nb", f"{first}:{PREFIX}"]
    blobs = blobs_named(policies, names, codes.GIT_FAILED)
    assert blobs == [(BASE / "site.yml").read_bytes(), None, None, None]


def test_approvers_of_a_commit(policies: Path) -> None:
    assert approvers_at(policies, git(policies, "rev-parse", "HEAD")) is None
    (policies / "approvers.yml").symlink_to("site.yml")
    assert approvers_at(policies, commit(policies)) is None


def test_what_is_not_as_committed(policies: Path, tmp_path: Path) -> None:
    head = commit(policies)
    assert uncommitted(policies, head) == []
    (policies / ".gitignore").write_text("*\n")
    (policies / "notes.txt").write_text("nobody reads this\n")
    assert uncommitted(policies, head) == []
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "x.yml").write_text("a: b\n")
    (policies / "other").symlink_to(elsewhere)
    assert "other/x.yml" in uncommitted(policies, head)[0].message
    (policies / "other").unlink()
    zone = next(path for path in policies.iterdir() if path.is_dir() and any(path.glob("*.yml")))
    one = next(zone.glob("*.yml"))
    text = one.read_text()
    for change in (lambda: one.write_text(text + "# more\n"), one.unlink, lambda: one.symlink_to(elsewhere / "x.yml")):
        change()
        assert one.name in uncommitted(policies, head)[0].message


@pytest.mark.parametrize("prefix", [PREFIX, ""])
def test_differences_at_once_are_those_one_by_one(tmp_path: Path, prefix: str) -> None:
    """Files with names as git's own answers, a directory that is gone for a while, links and folders in the place of files."""
    git(tmp_path, "init", "-q", "-b", "main", str(tmp_path))
    policies = tmp_path / prefix
    draw = random.Random(3)
    commits = []
    tree = ""
    for step in range(14):
        policies.mkdir(parents=True, exist_ok=True)
        if step == 6 and prefix:
            shutil.rmtree(policies)
        else:
            names = [f"f{draw.randrange(4)}.yml", f"z/{draw.randrange(3)}\n.yml", f"={'0' * 32}", f"{tree} {tree}\nx"]
            for name in draw.sample(names, 2):
                place = policies / name
                place.parent.mkdir(exist_ok=True)
                place.write_text(f"{draw.random()}\n")
        if step == 9:
            (policies / "f0.yml").unlink(missing_ok=True)
            (policies / "f0.yml").symlink_to("z")
        (tmp_path / "beside").write_text(f"{step // 3}\n")
        git(tmp_path, "add", "--all")
        git(tmp_path, "commit", "-q", "--allow-empty", "-m", "more")
        commits.append(git(tmp_path, "rev-parse", "HEAD"))
        tree = git(tmp_path, "rev-parse", f"HEAD:{prefix}") if policies.exists() else tree
    policies.mkdir(parents=True, exist_ok=True)
    chain = [
        SignedCommit(after, "", (before,), "", "", "", "", "")
        for before, after in zip(commits, commits[1:], strict=False)
    ]
    chain.append(SignedCommit(commits[3], "", (commits[-1],), "", "", "", "", ""))
    at_once, one_by_one = _Reader(policies), _Reader(policies)
    at_once.read_contents([*commits, "0" * 40])
    at_once.read_changes(chain)
    for item in chain:
        pair = (item.parents[0], item.commit)
        assert at_once.content(item.commit) == one_by_one.content(item.commit)
        assert at_once.changed_paths(*pair) == one_by_one.changed_paths(*pair)
    assert len(at_once._changed) >= len(chain) - 2
    assert at_once.content("0" * 40) == ""
