# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal: append-only JSON lines, each with the hash of the one before, flushed to disk before work goes on.

docs/formats/journal.md. What stands in the journal was at least begun; a step that begins without an end was interrupted.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base import codes as base_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_now
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import (
    canonical_json,
    read_text,
    sha256_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import JOURNAL_SCHEMA
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.state_ref import state_ref_of

START = "0" * 64
HEAD_BYTES = 128
READ_BYTES = 1024 * 1024


def entry_sha256(entry: Mapping[str, Any]) -> str:
    """Return the hash of an entry: over everything but ``sha256`` itself, the hash of the entry before included."""
    return sha256_of({key: value for key, value in entry.items() if key != "sha256"})


OWN_KEYS = frozenset(("schema_version", "number", "time", "event", "previous", "sha256"))


class Journal:
    """Appends to one file. Only one process may do so at a time: hold the lock (change/lock.py).

    In a state that is a git ref (change/state_ref.py) each entry is pushed before ``append`` returns; with ``way_back`` a ref that cannot
    be reached stops nothing.
    Beside the file lies ``<name>.head`` with number and hash of the last entry, so that a removed tail is seen.
    """

    def __init__(self, path: str | Path, way_back: bool = False) -> None:
        self.path = Path(path)
        self.way_back = way_back
        self._previous, self._number = START, 0
        self._opened = False
        self.ref = state_ref_of(self.path.parent)

    def append(self, event: str, **content: Any) -> dict[str, Any]:
        """Write one entry and flush it to disk; return it. FindingError SW4034 where it cannot be written.

        The caller keeps credentials out of ``content``. ValueError where it names what every entry has of its own.
        """
        return self.append_all(event, [content])[0]

    def append_all(self, event: str, contents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Write an entry for each content, with one flush to disk for all; as ``append`` otherwise."""
        if taken := OWN_KEYS & {key for content in contents for key in content}:
            raise ValueError(f"the journal's own keys cannot be content: {', '.join(sorted(taken))}")
        if not contents:
            return []
        try:
            self._open()
            entries: list[dict[str, Any]] = []
            previous, number = self._previous, self._number
            for content in contents:
                number += 1
                entry: dict[str, Any] = {
                    "schema_version": JOURNAL_SCHEMA,
                    "number": number,
                    "time": iso_now(),
                    "event": event,
                    **content,
                    "previous": previous,
                }
                previous = entry["sha256"] = entry_sha256(entry)
                entries.append(entry)
            self._write("".join(canonical_json(entry) + "\n" for entry in entries))
            self._previous, self._number = previous, number
            self._write_head()
            if self.ref is not None:
                try:
                    self.ref.push(f"{event} {str(contents[-1].get('plan_id', ''))[:12]}")
                except FindingError as error:
                    if not self.way_back:
                        raise
                    self.ref.go_by_copy(error)
        except OSError as error:
            raise FindingError(
                codes.JOURNAL_UNWRITABLE.at(f"{error.strerror or error}", Location(str(self.path)))
            ) from error
        return entries

    @property
    def number(self) -> int:
        """Return the number of the last entry, 0 where there is none yet."""
        self._open()
        return self._number

    @property
    def last_sha256(self) -> str:
        """Return the hash of the last entry."""
        self._open()
        return self._previous

    def _head(self) -> Path:
        return self.path.with_name(self.path.name + ".head")

    @property
    def by_copy(self) -> tuple[Finding, ...]:
        """Return the finding that a way back goes by this controller's copy of the state, where it does."""
        return self.ref.by_copy if self.ref is not None else ()

    def _write(self, line: str) -> None:
        is_new = not self.path.exists()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            whole = os.fstat(descriptor).st_size
            data = line.encode("utf-8")
            try:
                while data:
                    data = data[os.write(descriptor, data) :]
                os.fdatasync(descriptor)  # content and length; other times of the file do not matter
            except OSError:
                # What was written of it is no entry: another one behind it would break the chain for good.
                self._opened = False
                os.ftruncate(descriptor, whole)
                raise
        finally:
            os.close(descriptor)
        if is_new:
            _flush_directory(self.path.parent)

    def _write_head(self) -> None:
        """Note the last entry, in place and with one write: it only has to be no newer than the journal, which is on disk already."""
        text = json.dumps({"number": self._number, "sha256": self._previous}).ljust(HEAD_BYTES - 1) + "\n"
        descriptor = os.open(self._head(), os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(descriptor, text.encode("ascii"), 0)
            os.ftruncate(descriptor, HEAD_BYTES)
        finally:
            os.close(descriptor)

    def _open(self) -> None:
        if self._opened:
            return
        self._previous, self._number = START, 0
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            self._set_torn_tail_aside()
            self._number, self._previous = head_of(self.path)
        self._opened = True

    def _set_torn_tail_aside(self) -> None:
        """Move what an interrupted write left behind the last whole line into a file of its own."""
        data = self.path.read_bytes()
        end = data.rfind(b"\n") + 1
        if end == len(data):
            return
        torn = data[end:]
        self.path.with_name(f"{self.path.name}.torn-{sha256_of(torn)[:8]}").write_bytes(torn)
        with open(self.path, "r+b") as stream:
            stream.truncate(end)
            stream.flush()
            os.fsync(stream.fileno())


def _flush_directory(directory: Path) -> None:
    """Bring the name of a new file to disk: flushing the file alone need not do so (fsync(2))."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_entries(path: str | Path) -> list[dict[str, Any]]:
    """Return the entries of a journal, an incomplete last line left out; FindingError SW4030 at the first broken one."""
    return list(iter_entries(path))


def known_entries(path: str | Path) -> list[dict[str, Any]]:
    """Return the entries of a journal as ``read_entries`` does, none where nothing was written yet."""
    return read_entries(path) if Path(path).exists() else []


def iter_entries(path: str | Path) -> Iterator[dict[str, Any]]:
    """Yield the entries of a journal one by one, as ``read_entries`` returns them, in the memory of one entry."""
    previous = START
    for number, line in _lines(path):
        entry = _entry(path, number, line, previous)
        previous = entry["sha256"]
        yield entry


def _entry(path: str | Path, number: int, line: bytes, previous: str) -> dict[str, Any]:
    """Return the entry of a line; FindingError SW4030 where it is none, does not follow the one before, or was altered."""
    location = Location(str(path), number)
    try:
        text = line[:-1].decode("utf-8")
    except UnicodeDecodeError as error:
        raise FindingError(codes.JOURNAL_BROKEN.at("an entry is not UTF-8", Location(str(path)))) from error
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FindingError(codes.JOURNAL_BROKEN.at(f"entry {number} is not JSON", location)) from error
    if not isinstance(entry, dict) or entry.get("number") != number or entry.get("previous") != previous:
        raise FindingError(codes.JOURNAL_BROKEN.at(f"entry {number} does not follow the one before it", location))
    digest = entry.get("sha256")
    if not isinstance(digest, str) or not (_is_hash_of_text(digest, text) or digest == entry_sha256(entry)):
        raise FindingError(codes.JOURNAL_BROKEN.at(f"entry {number} was altered", location))
    return entry


def _is_hash_of_text(digest: str, line: str) -> bool:
    """Return whether the line without its hash has that hash: entries are written in canonical form, so this is the rule, and fast."""
    own = f',"sha256":"{digest}"'
    return line.count(own) == 1 and sha256_of(line.replace(own, "")) == digest


def _chain(path: str | Path) -> Iterator[tuple[int, str]]:
    """Yield number and hash of each entry, judged as ``iter_entries`` does; FindingError SW4030 at the first broken one.

    What ``_hash_of_plain`` cannot judge is parsed, so that every refusal is the parser's.
    """
    previous, plain = START, _plain()
    for number, line in _lines(path):
        previous = _hash_of_plain(plain, line, number, previous) or _entry(path, number, line, previous)["sha256"]
        yield number, previous


_CONTROL_OR_ESCAPE = bytes((*range(32), ord("\\")))
_DEPTH = 4  # containers in an entry's values; what lies deeper is parsed


@lru_cache(maxsize=1)
def _plain() -> re.Pattern[bytes]:
    """Return what an entry is whose own keys stand in order and once, without blanks and with little nesting.

    All that it matches is JSON (RFC 8259) where a text holds no control character and no escape but that of a line break: a caller
    looks for these. Groups: number, previous, sha256.
    """
    text = rb'"[^"]*+"'
    number = rb"-?(?:0|[1-9][0-9]{0,17}+)(?:\.[0-9]{1,30}+)?+(?![0-9.eE])"
    value = rb"(?:%b|%b|true|false|null)" % (text, number)
    for _level in range(_DEPTH):
        pairs = rb'\{(?:%b:%b(?:,(?=")|(?=\})))*+\}' % (text, value)
        items = rb"\[(?:%b(?:,(?!\])|(?=\])))*+\]" % value
        value = rb"(?:%b|%b|%b|%b|true|false|null)" % (text, pairs, items, number)
    other = rb'(?!"(?:number|previous|sha256)")%b:%b' % (text, value)
    digest = rb'"([0-9a-f]{64})"'
    keys = (rb'"number":([1-9][0-9]{0,17})', rb'"previous":' + digest, rb'"sha256":' + digest)
    return re.compile(rb"\{%b(?:,%b)*+\}\n\Z" % (b",".join(rb"(?:%b,)*+%b" % (other, key) for key in keys), other))


def _hash_of_plain(plain: re.Pattern[bytes], line: bytes, number: int, previous: str) -> str:
    """Return the hash of an entry as this module writes them, where it has that hash and follows the one before; else "" (not judged).

    Quicker than parsing it: an entry holds whole lists as text, and nothing of them is needed to follow the chain.
    """
    # Each pair of a backslash and an n holds one backslash: where the sums are equal nothing else is among them but the line's own end.
    special = len(line) - len(line.translate(None, _CONTROL_OR_ESCAPE))
    if special != 1 and special != line.count(b"\\n") + 1:
        return ""
    found = plain.match(line)
    if found is None:
        return ""
    count, before, digest = found.groups()
    if int(count) != number or before.decode() != previous:
        return ""
    at, end = found.start(3) - len(b',"sha256":"'), found.end(3) + 1
    present = hashlib.sha256(line[:at] + line[end:-1]).hexdigest()
    own = line[at:end]
    if present != digest.decode() or line.count(own) != 1 or not (line.isascii() or _is_utf8(line)):
        return ""
    return present


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _lines(path: str | Path) -> Iterator[tuple[int, bytes]]:
    """Yield (number from 1, line with its end) of every line that is whole; FindingError where the file cannot be read."""
    try:
        with open(path, "rb", buffering=READ_BYTES) as stream:
            for number, line in enumerate(stream, 1):
                if line.endswith(b"\n"):
                    yield number, line
    except OSError as error:
        place = Location(str(path))
        raise FindingError(base_codes.FILE_UNREADABLE.at(error.strerror or "cannot be read", place)) from error


def _ends_whole(path: str | Path) -> bool:
    """Return whether a journal is empty or ends with a whole line."""
    with open(path, "rb") as stream:
        if stream.seek(0, os.SEEK_END) == 0:
            return True
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) == b"\n"


def verify_journal(path: str | Path, number: int = 0, sha256: str = "") -> list[Finding]:
    """Return what is wrong with a journal: nothing where every entry is whole, in order, unaltered and the last one present.

    ``number`` and ``sha256``: an entry that was noted elsewhere and has to be there, unchanged.

    The chain proves order and content up to the last entry; who can rewrite the whole folder can rewrite the chain, so
    copies of the head hash belong elsewhere (each plan result prints it).
    """
    if not Path(path).exists():
        return []
    findings: list[Finding] = []
    place = Location(str(path))
    expected = {number: sha256} if number else {}
    try:
        last, digest = _noted_end(Path(path))
    except FindingError as error:
        return list(error.findings)
    count, found = 0, {}
    try:
        for count, present in _chain(path):
            if count in expected or count == last:
                found[count] = present
    except FindingError as error:
        return list(error.findings)
    for wanted, digest_wanted in expected.items():
        if wanted not in found:
            findings.append(codes.JOURNAL_TRUNCATED.at(f"entry {wanted} is missing", place))
        elif digest_wanted and found[wanted] != digest_wanted:
            findings.append(codes.JOURNAL_TRUNCATED.at(f"entry {wanted} is not the one that was noted", place))
    if not _ends_whole(path):
        findings.append(codes.JOURNAL_TORN.at("an entry was being written when the run ended", place))
    if last and found.get(last) != digest:
        findings.append(
            codes.JOURNAL_TRUNCATED.at(f"the head file names entry {last}, the journal ends at {count}", place)
        )
    return findings


def _noted_end(path: Path) -> tuple[int, str]:
    """Return number and hash of the last entry as the head file beside a journal has them, (0, "") without one. FindingError SW4030."""
    head = path.with_name(path.name + ".head")
    if not head.exists():
        return 0, ""
    try:
        text = read_text(head)
        if not text.strip("\0 \n"):  # it is not flushed to disk: so it is where power failed soon after it was made
            return 0, ""
        noted = json.loads(text)
        return int(noted["number"]), str(noted["sha256"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise FindingError(codes.JOURNAL_BROKEN.at("the head file cannot be read", Location(str(head)))) from error


def end_findings(path: str | Path, entries: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Return a finding where a journal, whose entries were read, has lost its end, or is gone while its head file is there.

    The head file may be one entry behind: it is written after the journal.
    """
    try:
        last, digest = _noted_end(Path(path))
    except FindingError as error:
        return list(error.findings)
    if not last or (len(entries) >= last and entries[last - 1].get("sha256") == digest):
        return []
    text = f"the head file names entry {last}, the journal ends at {len(entries)}"
    return [codes.JOURNAL_TRUNCATED.at(text, Location(str(path)))]


def head_of(path: str | Path) -> tuple[int, str]:
    """Return number and hash of the last entry, (0, 64 zeros) where there is none."""
    if not Path(path).exists():
        return 0, START
    number, digest = 0, START
    for number, digest in _chain(path):  # noqa: B007
        pass
    return number, digest
