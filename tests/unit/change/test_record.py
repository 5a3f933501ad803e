"""The journal's chain, the lock, and the commit that a plan is bound to."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import journal as journal_module
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
    entry_sha256,
    head_of,
    iter_entries,
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
    lines = journal.read_text().splitlines()
    entry = json.loads(lines[4])
    entry["value"] = 99
    entry["sha256"] = entry_sha256(entry)
    lines[4] = json.dumps(entry)
    journal.write_text("\n".join(lines) + "\n")
    assert [finding.code for finding in verify_journal(journal)] == ["SW4032"]


def entry_of(number: int, previous: str) -> dict[str, object]:
    """Return an entry as apply writes them, with texts of several lines, nesting, and letters that are not ASCII."""
    body = {
        "content": "ip access-list extended x\n 10 permit ip any any\n",
        "open": [],
        "more": {},
        "rows": [[1, -2.5, *range(1, 9)], [True]],
    }
    operation = {"id": f"{number:016x}", "before": None, "after": body, "order": [{"a": [0]}, "b"]}
    content = {
        "number": number,
        "previous": previous,
        "event": "operation_started",
        "note": "Pümpe ✓",
        "operation": operation,
    }
    return {**content, "schema_version": "1.0", "time": "2026-11-26T02:00:00Z", "target": f"sw{number}"}


def sealed(body: bytes, place: int) -> bytes:
    """Return a line with the hash that fits it, put where a key may begin."""
    digest = hashlib.sha256(body).hexdigest()
    return body[:place] + f',"sha256":"{digest}"'.encode() + body[place:]


def verdict_of_the_parser(path: Path) -> tuple[str, tuple[int, str]]:
    """Return the first finding's text, and number and hash of the last entry, as every entry parsed says."""
    last = (0, START)
    try:
        for entry in iter_entries(path):
            last = (entry["number"], entry["sha256"])
    except FindingError as error:
        return str(error.findings[0]), (0, "")
    return "", last


def test_entries_that_are_not_parsed_are_judged_as_the_parser_does(tmp_path: Path, full: bool) -> None:
    """Each line is damaged and given the hash that fits it again, so that nothing but its form and its keys can tell."""
    draw, path = random.Random(41), tmp_path / "journal.jsonl"
    pieces = [bytes([code]) for code in b'"\\{}[]:,n 0123456789-.eEtu\x00\x09\x1f\x7f\xc3\xa9\xff']
    pieces += [
        b'"number":1,',
        b'"number":2,',
        b'"number":1.0,',
        b'"previous":"x",',
        b'"sha256":"x",',
        b'"num\\u0062er":2,',
        b"NaN",
    ]
    pieces += [
        b"\\n",
        b'\\"',
        b"\\\\",
        b"\\\\n",
        b'"a":',
        b"[" * 6,
        b"1" * 20,
        b"1e5",
        b"-0",
        b"01",
        b'"\\ud800"',
        b"null",
        b",,",
    ]
    whole = entry_of(1, START)
    lines = [
        json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=flag).encode() for flag in (True, False)
    ]
    plain, seen = journal_module._plain(), {"taken": 0, "accepted": 0, "refused": 0}
    for round_ in range(60_000 if full else 900):
        body = draw.choice(lines)
        for _change in range(draw.choice((0, 1, 1, 1, 2))):
            at = draw.randrange(len(body))
            if draw.random() < 0.5:  # where a value or key begins or ends, most of the time it stays JSON
                at = draw.choice([place + 1 for place, code in enumerate(body) if code in b',:{["'])
            body = (
                body[:at] + (b"" if draw.random() < 0.3 else draw.choice(pieces)) + body[at + draw.choice((0, 0, 1)) :]
            )
        places = [place for place in range(1, len(body)) if body[place : place + 2] == b',"' or body[place:] == b"}"]
        ordered = body.rfind(b',"target"')
        line = sealed(body, ordered if round_ % 3 and ordered > 0 else draw.choice(places or [len(body)])) + b"\n"
        taken = journal_module._hash_of_plain(plain, line, 1, START)
        path.write_bytes(line)
        text, last = verdict_of_the_parser(path)
        seen["taken"] += bool(taken)
        seen["refused" if text else "accepted"] += 1
        if taken:
            assert (text, last) == ("", (1, taken)), line
        if round_ % 10 == 0:
            found = verify_journal(path)
            assert [str(item) for item in found if item.code == "SW4030"] == [text] * bool(text)
    assert min(seen.values()) > round_ / 20, seen


def test_a_long_journal_is_read_without_its_parser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this module writes is what it knows without parsing; what somebody writes otherwise is parsed and counts the same."""
    path = tmp_path / "journal.jsonl"
    writer = Journal(path)
    for number in range(1, 9):
        own = {"number", "previous", "schema_version", "time", "event"}
        writer.append("event", **{key: value for key, value in entry_of(number, "").items() if key not in own})
    expected = verdict_of_the_parser(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    monkeypatch.setattr(journal_module, "_entry", lambda *_given: pytest.fail("parsed"))
    assert verify_journal(path) == [] and ("", head_of(path)) == expected
    monkeypatch.undo()
    for at in (0, 3, 7):  # the same entries with blanks, or with other keys' order
        entry = json.loads(lines[at])
        lines[at] = json.dumps(entry) if at else json.dumps(dict(reversed(entry.items())), separators=(",", ":"))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert verify_journal(path) == [] and ("", head_of(path)) == expected
    first = json.loads(lines[0])
    assert first["sha256"] == entry_sha256(first)


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
