"""The journal's chain, the lock, and the commit that a plan is bound to."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import lock as lock_module
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.commit import (
    commit_of,
    content_hash,
    required_commit,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import (
    START,
    Journal,
    end_findings,
    head_of,
    read_entries,
    verify_journal,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.lock import StateLock


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "journal.jsonl"
    writer = Journal(path)
    for number in range(5):
        writer.append("event", plan_id="p", value=number)
    return path


def test_a_chain_holds(journal: Path) -> None:
    entries = read_entries(journal)
    assert [entry["number"] for entry in entries] == [1, 2, 3, 4, 5]
    assert entries[0]["previous"] == START
    assert all(second["previous"] == first["sha256"] for first, second in zip(entries, entries[1:]))
    assert verify_journal(journal) == []
    assert head_of(journal) == (5, entries[-1]["sha256"])
    Journal(journal).append("more", plan_id="p")
    assert head_of(journal)[0] == 6
    assert journal.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("line", range(5))
@pytest.mark.parametrize("how", ["alter", "remove", "swap", "garble"])
def test_every_tampered_line_is_seen(journal: Path, line: int, how: str) -> None:
    lines = journal.read_text().splitlines()
    if how == "alter":
        lines[line] = lines[line].replace('"value":', '"value":1')
    elif how == "remove":
        del lines[line]
    elif how == "swap":
        other = (line + 1) % 5
        lines[line], lines[other] = lines[other], lines[line]
    else:
        lines[line] = lines[line][:-2]
    journal.write_text("\n".join(lines) + "\n")
    assert {finding.code for finding in verify_journal(journal)} & {"SW4030", "SW4032"}


def test_an_altered_entry_with_a_fresh_hash_breaks_the_next_or_the_head(journal: Path) -> None:
    from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import entry_sha256

    lines = journal.read_text().splitlines()
    entry = json.loads(lines[4])
    entry["value"] = 99
    entry["sha256"] = entry_sha256(entry)
    lines[4] = json.dumps(entry)
    journal.write_text("\n".join(lines) + "\n")
    assert [finding.code for finding in verify_journal(journal)] == ["SW4032"]


def test_a_torn_entry_is_kept_aside_and_the_chain_goes_on(journal: Path) -> None:
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"number":6,"eve')
    assert [finding.code for finding in verify_journal(journal)] == ["SW4031"]
    Journal(journal).append("next", plan_id="p")
    assert verify_journal(journal) == []
    assert read_entries(journal)[-1]["event"] == "next"
    torn = list(journal.parent.glob("journal.jsonl.torn-*"))
    assert [path.read_bytes() for path in torn] == [b'{"number":6,"eve']


def test_nothing_is_appended_to_a_broken_chain(journal: Path) -> None:
    journal.write_text(journal.read_text().replace('"value":2', '"value":3'))
    with pytest.raises(FindingError) as error:
        Journal(journal).append("next")
    assert error.value.findings[0].code == "SW4030"
    assert error.value.findings[0].line == 3


def test_an_unwritable_journal_is_a_finding(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(FindingError) as error:
        Journal(blocked / "journal.jsonl").append("x")
    assert error.value.findings[0].code == "SW4034"


@pytest.mark.parametrize("call", ["write", "fdatasync"])
def test_an_entry_that_the_disk_does_not_take_leaves_the_chain_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append("first")
    write, room = os.write, [20]

    def full(descriptor: int, data: bytes = b"") -> int:
        if data and room:
            return write(descriptor, data[: room.pop()])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(FindingError) as error:
            journal.append("second")
    assert error.value.findings[0].code == "SW4034"
    journal.append("third")  # somebody has made room meanwhile
    assert [entry["event"] for entry in read_entries(journal.path)] == ["first", "third"]
    assert verify_journal(journal.path) == []


@pytest.mark.parametrize("left", [b"", b"\0" * 128])
def test_a_head_file_that_power_failure_left_empty_says_nothing(tmp_path: Path, left: bytes) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append("first")
    (tmp_path / "journal.jsonl.head").write_bytes(left)
    entries = read_entries(journal.path)
    assert end_findings(journal.path, entries) == verify_journal(journal.path) == []
    Journal(tmp_path / "journal.jsonl").append("second")
    assert verify_journal(journal.path) == []
    (tmp_path / "journal.jsonl.head").write_bytes(b"{")
    assert [found.code for found in end_findings(journal.path, entries)] == ["SW4030"]


HOLD = """
import sys, time
sys.path[:0] = {path!r}
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.lock import StateLock
with StateLock({lock!r}, "apply"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_is_exclusive_and_that_of_a_killed_run_is_taken_over(tmp_path: Path) -> None:
    lock = tmp_path / "state" / "lock"
    code = HOLD.format(path=sys.path, lock=str(lock))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(FindingError) as error, StateLock(lock, "apply"):
            pass
        assert error.value.findings[0].code == "SW4040"
        assert f"process {holder.pid}" in str(error.value)
        holder.kill()
        holder.wait()
    with StateLock(lock, "apply") as taken:
        assert [finding.code for finding in taken.findings] == ["SW4041"]
    with StateLock(lock, "apply") as clean:
        assert clean.findings == ()


def test_a_lock_that_cannot_be_written_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "lock", tmp_path / "folder"):
        with pytest.raises(FindingError) as error, StateLock(path, "apply"):
            pass
        assert [finding.code for finding in error.value.findings] == ["SW4034"]


def test_a_lock_left_by_another_host_is_not_taken_over(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.write_text(json.dumps({"user": "u", "host": "elsewhere", "pid": 1, "since": "s", "purpose": "apply"}))
    with pytest.raises(FindingError) as error, StateLock(lock, "apply"):
        pass
    assert "elsewhere" in str(error.value)
    with StateLock(lock, "apply", take_over=True) as taken:
        assert taken.findings


def git(folder: Path, *words: str) -> None:
    base = ["git", "-c", "user.name=t", "-c", "user.email=t@example.net", "-c", "commit.gpgsign=false"]
    subprocess.run([*base, *words], cwd=folder, check=True, capture_output=True)


def test_the_commit_of_a_policy_directory(tmp_path: Path) -> None:
    policy = tmp_path / "repo" / "policies"
    policy.mkdir(parents=True)
    (policy / "site.yml").write_text("name: a\n")
    assert commit_of(policy) == ("", False)
    assert commit_of(tmp_path / "absent") == ("", False)
    with pytest.raises(FindingError) as error:
        required_commit(policy)
    assert error.value.findings[0].code == "SW4001"
    git(policy.parent, "init", "-q")
    assert commit_of(policy) == ("", False)
    git(policy.parent, "add", ".")
    git(policy.parent, "commit", "-qm", "first")
    commit, dirty = commit_of(policy)
    assert len(commit) == 40
    assert not dirty
    assert required_commit(policy) == commit
    (policy.parent / "README").write_text("not a policy\n")
    assert required_commit(policy) == commit
    for change in (
        lambda: (policy / "new.yml").write_text("x: 1\n"),
        lambda: (policy / "site.yml").write_text("name: b\n"),
    ):
        change()
        assert commit_of(policy) == (commit, True)
        with pytest.raises(FindingError) as error:
            required_commit(policy)
        assert error.value.findings[0].code == "SW4002"
    assert required_commit(policy, allow_dirty=True) == f"dirty:{content_hash(policy)}"


def test_hooks_and_monitors_of_a_checkout_are_not_started(tmp_path: Path) -> None:
    policy = tmp_path / "policies"
    policy.mkdir()
    (policy / "site.yml").write_text("name: a\n")
    git(policy, "init", "-q")
    git(policy, "add", ".")
    git(policy, "commit", "-qm", "first")
    proof = tmp_path / "started"
    script = tmp_path / "monitor"
    script.write_text(f"#!/bin/sh\ntouch {proof}\n")
    script.chmod(0o755)
    git(policy, "config", "core.fsmonitor", str(script))
    assert commit_of(policy)[1] is False
    assert not proof.exists()


@pytest.mark.parametrize("ends", ["named", "given back", "silent"])
def test_a_holder_that_has_not_said_its_name_yet_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    """Between locking the file and writing who it is, and while it is given back, the holder is not known."""
    path = tmp_path / "lock"
    holder = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(holder, fcntl.LOCK_EX)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3 and ends == "named":
            os.write(holder, b'{"user": "ann", "host": "h", "pid": 7, "since": "now", "purpose": "apply"}')
        elif len(slept) == 3 and ends == "given back":
            fcntl.flock(holder, fcntl.LOCK_UN)

    monkeypatch.setattr(lock_module.time, "sleep", sleep)
    try:
        if ends == "given back":
            with StateLock(path, "apply") as taken:
                assert taken.findings == ()
        else:
            with pytest.raises(FindingError) as error, StateLock(path, "apply"):
                pass
            assert ("ann on h, process 7" if ends == "named" else "an unknown run") in str(error.value)
        assert len(slept) == (20 if ends == "silent" else 3)
    finally:
        os.close(holder)
