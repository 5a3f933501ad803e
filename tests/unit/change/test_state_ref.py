# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A state in a git ref: controllers whose disks end find it again, and two of them never both go on. Git itself is the oracle."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import state_ref
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import (
    Journal,
    read_entries,
    verify_journal,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.lock import StateLock
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.state_ref import DEFAULT_REF, PIECE, StateRef
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.rollback import run_rollback


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(state_ref, "FRESH_SECONDS", 0.0)
    path = tmp_path / "remote.git"
    subprocess.run(["git", "init", "-q", "--bare", str(path)], check=True)
    return path


def pod(remote: Path, folder: Path) -> StateRef:
    """A controller with an empty disk."""
    made = StateRef.of(f"git+file://{remote}", folder)
    assert made is not None and made.ref == DEFAULT_REF
    made.fetch()
    return made


def shown(remote: Path, name: str) -> str:
    words = ["git", "-C", str(remote), "show", f"{DEFAULT_REF}:{name}"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def test_another_pod_finds_plan_journal_and_approvals(remote: Path, tmp_path: Path) -> None:
    first = pod(remote, tmp_path / "one")
    (first.mirror / "plan.json").write_text("{}")
    (first.mirror / "plans").mkdir()
    (first.mirror / "plans" / "a.json").write_text("{}")
    (first.mirror / "approvals").mkdir()
    (first.mirror / "approvals" / "b.json.sig").write_text("signature")
    (first.mirror / "lock").write_text("mine")
    journal = Journal(first.mirror / "journal.jsonl")
    for number in range(3):
        journal.append("event", plan_id="p", value=number)
        # Before append returns it is there for everybody.
        assert len(shown(remote, "journal/00000000.jsonl").splitlines()) == number + 1
    second = pod(remote, tmp_path / "two")
    assert read_entries(second.mirror / "journal.jsonl") == read_entries(journal.path)
    assert verify_journal(second.mirror / "journal.jsonl") == []
    names = {path.relative_to(second.mirror).as_posix() for path in second.mirror.rglob("*") if path.is_file()}
    kept = {name for name in names if not name.startswith(".")}
    assert kept == {"plan.json", "plans/a.json", "approvals/b.json.sig", "journal.jsonl", "journal.jsonl.head"}
    Journal(second.mirror / "journal.jsonl").append("event", plan_id="p", value=3)
    first.fetch()
    assert [entry["value"] for entry in read_entries(journal.path)] == [0, 1, 2, 3]


def test_the_slower_of_two_controllers_stops_before_it_writes(remote: Path, tmp_path: Path) -> None:
    one, two = pod(remote, tmp_path / "one"), pod(remote, tmp_path / "two")
    Journal(one.mirror / "journal.jsonl").append("plan_started", plan_id="one")
    with pytest.raises(FindingError) as stopped:
        Journal(two.mirror / "journal.jsonl").append("plan_started", plan_id="two")
    assert [finding.code for finding in stopped.value.findings] == ["SW4046"]
    assert len(shown(remote, "journal/00000000.jsonl").splitlines()) == 1
    two.fetch()
    assert [entry["plan_id"] for entry in read_entries(two.mirror / "journal.jsonl")] == ["one"]
    assert len(list(two.mirror.glob("journal.jsonl.diverged-*"))) == 1  # what it could not push is not lost
    Journal(two.mirror / "journal.jsonl").append("plan_started", plan_id="two")
    assert verify_journal(two.mirror / "journal.jsonl") == []


def test_a_long_journal_is_kept_in_pieces_that_are_pushed_once(
    remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_ref, "PIECE", 3)
    one = pod(remote, tmp_path / "one")
    journal = Journal(one.mirror / "journal.jsonl")
    for number in range(11):
        journal.append("event", plan_id="p", value=number)
    listed = subprocess.run(
        ["git", "-C", str(remote), "ls-tree", "-r", "--name-only", DEFAULT_REF, "journal/"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert listed.stdout.split() == [f"journal/{number:08}.jsonl" for number in range(4)]
    assert "".join(shown(remote, name) for name in listed.stdout.split()) == journal.path.read_text()
    assert PIECE > 3
    two = pod(remote, tmp_path / "two")
    assert verify_journal(two.mirror / "journal.jsonl") == [] and len(read_entries(two.mirror / "journal.jsonl")) == 11


def test_a_remote_that_is_gone_stops_before_anything_is_written(remote: Path, tmp_path: Path) -> None:
    one = pod(remote, tmp_path / "one")
    remote.rename(remote.with_name("elsewhere.git"))
    with pytest.raises(FindingError) as stopped:
        Journal(one.mirror / "journal.jsonl").append("plan_started", plan_id="one")
    assert [finding.code for finding in stopped.value.findings] == ["SW4045"]
    with pytest.raises(FindingError) as unread:
        one.fetch()
    assert [finding.code for finding in unread.value.findings] == ["SW4045"]


def test_the_way_back_goes_by_the_own_copy_where_the_remote_is_cut_off(
    remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = pod(remote, tmp_path / "one"), pod(remote, tmp_path / "other")
    path = one.mirror / "journal.jsonl"
    Journal(path).append("plan_started", plan_id="one")
    gone = remote.rename(remote.with_name("elsewhere.git"))
    journal = Journal(path, way_back=True)
    journal.append("rollback_started", plan_id="one")
    asked = len(list(gone.rglob("*")))
    journal.append("rollback_done", plan_id="one")
    assert [finding.code for finding in one.by_copy] == ["SW4190"]
    state = f"git+file://{remote}"
    assert Paths.of("p", str(tmp_path / "one"), state_dir=state).journal == path  # by this run it is not asked again
    gone.rename(remote)
    assert len(list(remote.rglob("*"))) == asked
    monkeypatch.setattr(state_ref, "_BY_COPY", {})  # the next run
    one.fetch()
    Journal(path).append("plan_started", plan_id="two")
    other.fetch()
    events = [entry["event"] for entry in read_entries(other.mirror / "journal.jsonl")]
    assert events == ["plan_started", "rollback_started", "rollback_done", "plan_started"]


def test_a_way_back_finds_its_copy_from_the_beginning_and_needs_one(
    remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_ref, "_BY_COPY", {})
    state = f"git+file://{remote}"
    Journal(pod(remote, tmp_path / "one").mirror / "journal.jsonl").append("plan_started", plan_id="one")
    remote.rename(remote.with_name("elsewhere.git"))
    values = {"policy_dir": "p", "state_dir": state, "diff_mode": False, "check_mode": False}
    for folder, code in (("empty", "SW4045"), ("one", "SW4033")):  # the second one got as far as the journal
        with pytest.raises(FindingError) as error:
            run_rollback({**values, "data_dir": str(tmp_path / folder), "plan_id": "other"}, {})
        assert [finding.code for finding in error.value.findings] == [code]
    with pytest.raises(FindingError) as error:
        Paths.of("p", str(tmp_path / "two"), state_dir=state)
    assert [finding.code for finding in error.value.findings] == ["SW4045"]


@pytest.mark.parametrize(
    "text",
    [
        "git+/srv/state.git",
        "git+ext::sh -c id",
        "git+https://token@host/x.git",
        "git+https://u:p@host/x.git",
        "git+ssh://git:secret@host/x.git",
        "git+file:///x.git#main",
        "git+file:///x.git#refs/../heads/main",
        "git+file:///x.git#refs/heads/-x",
    ],
)
def test_what_is_no_ref_or_holds_a_secret_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(FindingError) as refused:
        StateRef.of(text, tmp_path)
    assert {finding.code for finding in refused.value.findings} == {"SW4044"}
    assert "secret" not in str(refused.value).replace("no secret", "")
    assert StateRef.of("/var/lib/segwright/state", tmp_path) is None


def test_an_approval_that_comes_meanwhile_stops_no_run_and_a_journal_does(remote: Path, tmp_path: Path) -> None:
    one, two = pod(remote, tmp_path / "one"), pod(remote, tmp_path / "two")
    run = Journal(one.mirror / "journal.jsonl")
    run.append("plan_started", plan_id="p")
    two.fetch()
    (two.mirror / "approvals").mkdir()
    (two.mirror / "approvals" / "a.json").write_text("yes")
    (two.mirror / "plan.json").write_text("{}")
    two.push("approval")
    run.append("operation_started", plan_id="p")  # not half way
    run.append("operation_done", plan_id="p")
    assert len(shown(remote, "journal/00000000.jsonl").splitlines()) == 3
    assert shown(remote, "approvals/a.json") == "yes" and shown(remote, "plan.json") == "{}"
    assert (one.mirror / "approvals" / "a.json").read_text() == "yes"
    two.fetch()
    assert read_entries(two.mirror / "journal.jsonl") == read_entries(run.path)
    (two.mirror / "approvals" / "a.json").unlink()
    Journal(two.mirror / "journal.jsonl").append("plan_started", plan_id="q")
    with pytest.raises(FindingError, match="SW4046"):
        run.append("operation_started", plan_id="p")


def test_what_a_run_has_not_pushed_yet_is_not_overwritten_by_another_on_the_same_disk(
    remote: Path, tmp_path: Path
) -> None:
    one, two = pod(remote, tmp_path / "one"), pod(remote, tmp_path / "two")
    path = one.mirror / "journal.jsonl"
    Journal(path).append("plan_started", plan_id="p")
    two.fetch()
    Journal(two.mirror / "journal.jsonl").append("plan_done", plan_id="p")
    before = path.read_bytes()
    with StateLock(one.mirror / "lock", "apply"):
        one.fetch()
        assert path.read_bytes() == before
    one.fetch()
    assert len(read_entries(path)) == 2


@pytest.mark.parametrize("name", [".git-objects/config", "lock", ".state-base", "approvals/.x", "journal/x", "x"])
def test_a_ref_brings_nothing_but_files_of_a_state(remote: Path, tmp_path: Path, name: str) -> None:
    """Settings of the mirror's own git would be a command of whoever may push."""
    first = pod(remote, tmp_path / "one")
    Journal(first.mirror / "journal.jsonl").append("event", plan_id="p")
    kept = {path: path.read_bytes() for path in first.mirror.glob("**/config")} | {first.mirror / "lock": b""}

    def git(*words: str, given: str = "") -> str:
        who = ("-c", "user.name=m", "-c", "user.email=m@hospital.example")
        command = ["git", "-C", str(remote), *who, *words]
        return subprocess.run(command, input=given, capture_output=True, text=True, check=True).stdout.strip()

    blob = git("hash-object", "-w", "--stdin", given="[core]\n\tsshCommand = touch /tmp/owned\n")
    folder, _slash, inside = name.rpartition("/")
    row = f"100644 blob {blob}\t{inside}\n"
    if folder:
        old = git("ls-tree", f"{DEFAULT_REF}:{folder}") + "\n" if folder == "journal" else ""
        row = f"040000 tree {git('mktree', given=old + row)}\t{folder}\n"
    rows = [line for line in git("ls-tree", DEFAULT_REF).splitlines() if line.partition("\t")[2] != folder]
    tree = git("mktree", given="\n".join(rows) + "\n" + row)
    git("update-ref", DEFAULT_REF, git("commit-tree", "-m", "more", tree))
    with pytest.raises(FindingError, match="SW4045"):
        first.fetch()
    assert all(path.read_bytes() == content if content else not path.exists() for path, content in kept.items())
