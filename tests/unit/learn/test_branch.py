# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A proposal as a branch of small commits and as patches; the user's tree, index and HEAD stay as they are."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from tests.unit.learn.worlds import World, address

BRANCH = "segwright/propose"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    world = World(tmp_path_factory.mktemp("base"))
    world.usual(range(7))
    world.write()
    return world.folder


@pytest.fixture
def world(base: Path, tmp_path: Path) -> World:
    shutil.copytree(base, tmp_path, dirs_exist_ok=True)
    made = World(tmp_path)
    made.usual(range(7))
    made.git("init", "-q", "-b", "main")
    made.git("config", "user.name", "A. Huber")
    made.git("config", "user.email", "a.huber@example.org")
    made.git("add", "-A")
    made.git("commit", "-q", "-m", "Site")
    return made


def subjects(world: World) -> list[str]:
    return world.git("log", "--reverse", "--format=%s", f"main..{BRANCH}").splitlines()


def test_one_commit_for_each_segment_and_nothing_else_moves(world: World) -> None:
    before = (
        world.files(),
        world.git("status", "--porcelain"),
        world.git("rev-parse", "HEAD"),
        (world.policy / ".git" / "index").read_bytes(),
    )
    made = world.propose(git="branch")
    after = (
        world.files(),
        world.git("status", "--porcelain"),
        world.git("rev-parse", "HEAD"),
        (world.policy / ".git" / "index").read_bytes(),
    )
    assert after == before
    names = ["archive", "cameras", "gateways", "monitors", "names", "pumps"]
    assert [line.split(":")[0] for line in subjects(world)] == [
        *(f"Propose {name}" for name in names),
        "Membership and what waits for people",
    ]
    assert made["git"]["commits"] == 7 and made["git"]["changed"] and made["answer"]["changed"]
    for commit, name in zip(world.git("rev-list", "--reverse", f"main..{BRANCH}").split(), names, strict=False):
        paths = world.git("diff-tree", "--no-commit-id", "--name-only", "-r", commit).split()
        assert {Path(path).stem for path in paths} == {name}
    body = world.git("log", "-1", "--format=%B", f"{BRANCH}~1")
    assert "+ pumps-to-gateways-mqtt [novel] score" in body and "Segwright-Proposal: 2 " in body
    assert "## Commits" in (world.data / "out" / "pull-request.md").read_text(encoding="utf-8")
    # What the branch holds is what writing the files gives.
    world.propose()
    assert world.git("add", "-A") == "" and world.git("write-tree") == world.git("rev-parse", f"{BRANCH}^{{tree}}")


@pytest.mark.one_python
def test_nothing_new_moves_nothing_and_a_new_base_takes_it_along(world: World) -> None:
    world.propose(git="branch")
    first = world.git("rev-parse", BRANCH)
    assert not world.propose(git="branch")["git"]["changed"] and world.git("rev-parse", BRANCH) == first
    (world.policy / "README.md").write_text("ward\n", encoding="utf-8")
    world.git("add", "-A")
    world.git("commit", "-q", "-m", "Read me")
    made = world.propose(git="branch")
    assert made["git"]["changed"] and world.git("merge-base", BRANCH, "main") == world.git("rev-parse", "main")
    world.git("merge", "-q", "--ff-only", BRANCH)
    made = world.propose(git="branch")
    assert made["git"]["commits"] == 0 and not made["answer"]["changed"]


def refused(world: World, **more: str) -> str:
    before = world.git("for-each-ref")
    with pytest.raises(FindingError) as raised:
        world.propose(git="branch", **more)
    assert world.git("for-each-ref") == before
    return raised.value.findings[0].code


@pytest.mark.one_python
def test_what_stands_in_the_way_is_named(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    site = world.policy / "site.yml"
    text = site.read_text(encoding="utf-8")
    site.write_text(text + "# open\n", encoding="utf-8")
    assert refused(world) == "SW3232"
    site.write_text(text, encoding="utf-8")
    assert refused(world, branch="main") == "SW3234"
    assert refused(world, branch="a..b") == "SW3234"
    assert refused(world, branch="--force") == "SW3234"
    world.git("checkout", "-q", "--detach")
    assert refused(world) == "SW3231"
    world.git("checkout", "-q", "main")
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nobody"))
    world.git("config", "--unset", "user.email")
    world.git("config", "--unset", "user.name")
    assert refused(world) == "SW3233"
    shutil.rmtree(world.policy / ".git")
    with pytest.raises(FindingError, match="SW3230"):
        world.propose(git="branch")


def test_commits_of_people_on_the_branch_are_not_run_over(world: World) -> None:
    world.propose(git="branch")
    world.git("checkout", "-q", BRANCH)
    (world.policy / "NOTES.txt").write_text("mine\n", encoding="utf-8")
    world.git("add", "-A")
    world.git("commit", "-q", "-m", "Mine")
    world.git("checkout", "-q", "main")
    assert refused(world) == "SW3234"


def test_a_commit_that_a_person_amended_is_not_run_over(world: World) -> None:
    world.propose(git="branch")
    world.git("checkout", "-q", BRANCH)
    (world.policy / "NOTES.txt").write_text("mine\n", encoding="utf-8")
    world.git("add", "-A")
    world.git("commit", "-q", "--amend", "--no-edit")
    world.git("checkout", "-q", "main")
    assert refused(world) == "SW3234"


@pytest.mark.one_python
def test_a_branch_that_another_worktree_has_checked_out_stays(world: World, tmp_path: Path) -> None:
    world.propose(git="branch")
    world.git("worktree", "add", "-q", str(tmp_path / "beside"), BRANCH)
    (world.policy / "README.md").write_text("ward\n", encoding="utf-8")
    world.git("add", "-A")
    world.git("commit", "-q", "-m", "Read me")
    assert refused(world) == "SW3234"


def test_check_mode_makes_no_branch(world: World) -> None:
    world.propose(git="branch", check_mode=True)
    assert BRANCH not in world.git("for-each-ref")


@pytest.mark.one_python
def test_patches_apply_one_by_one(world: World) -> None:
    before = world.files()
    world.propose(git="patches")
    assert world.files() == before
    patches = sorted((world.data / "out" / "proposal").glob("*.patch"))
    assert [path.name for path in patches][:2] == ["0001-archive.patch", "0002-cameras.patch"]
    for path in patches:
        subprocess.run(["git", "apply", "--index", str(path)], cwd=world.policy, check=True)
    applied = world.files()
    world.propose()
    assert world.files() == applied
    for day in range(7, 9):
        for number in range(6):
            world.flow(day, address("monitors", number), address("archive", 0), "dicom", 9)
    world.git("commit", "-q", "-a", "-m", "Merged")
    world.write(documents=False).propose(git="patches")
    patches = sorted((world.data / "out" / "proposal").glob("*.patch"))
    for path in patches:
        subprocess.run(["git", "apply", "--index", str(path)], cwd=world.policy, check=True)
