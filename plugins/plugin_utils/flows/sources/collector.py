# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotated flow files of a collector host, pulled over SSH with ansible-pylibssh: host keys checked, resumable, only complete files.

A file is complete when a marker stands beside it (``NAME.done``), when a later one of its series exists (the same name but for the last
number or time in it, that one greater, and not changed before it), or when it has not changed for ``settle`` seconds by the host's own
clock. It is fetched in blocks into ``NAME.part``, goes on where an
earlier run ended, and is taken only when its SHA-256 is the host's. The host needs find, tail, head, sha256sum and date; nothing is
written there.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import read_document, write_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded, require
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import codes

pylibssh_session = guarded("pylibsshext.session")
pylibssh_errors = guarded("pylibsshext.errors")

BLOCK = 16 << 20
SETTLE_SECONDS = 120
MOST_FILES = 100_000
TIMEOUT_SECONDS = 30
MARKER = ".done"
HOST = re.compile(r"\A[A-Za-z0-9](?:[A-Za-z0-9.:_-]{0,253})\Z")
USER = re.compile(r"\A[A-Za-z_][A-Za-z0-9_.@-]{0,63}\Z")
FOLDER = re.compile(r"\A/[^\0\n\r]{0,1000}\Z")
PATTERN = re.compile(r"\A[A-Za-z0-9_.,:@+=*?\[\]!-]{1,200}\Z")
FILE = re.compile(r"\A[A-Za-z0-9_.,:@+=-]{1,200}\Z")
# The number or time that rotation counts by. Digits beside a letter or a dot more to the left belong to the name: r1-flows.202611250000.
ROTATED = re.compile(r"(?<![A-Za-z0-9])[0-9][0-9:T_-]*(?![A-Za-z0-9])")
KEYS = ("host", "port", "user", "path", "pattern", "private_key_file", "known_hosts_file", "settle", "name")


@dataclass(frozen=True)
class Collector:
    """Where rotated files lie: host, folder, pattern of names, and how to log in. ``settle`` in seconds."""

    host: str
    user: str
    path: str
    pattern: str = "*"
    port: int = 22
    private_key_file: str = ""
    known_hosts_file: str = ""
    settle: int = SETTLE_SECONDS
    name: str = ""

    @property
    def folder(self) -> str:
        """Return the name of its folder in the store."""
        text = self.name or f"{self.host}-{self.port}-{self.path}"
        return (
            f"{re.sub(r'[^A-Za-z0-9.-]+', '-', text).strip('-.')[:80]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        )


@dataclass(frozen=True)
class RemoteFile:
    """A file of a collector: name, size in bytes, seconds since it changed, and when that was (seconds since 1970)."""

    name: str
    size: int
    age: float
    changed: float = 0


def collector_of(values: Mapping[str, Any]) -> Collector:
    """Return the collector of a mapping as users write it; raises FindingError SW1481."""

    def wrong(text: str) -> FindingError:
        return FindingError(codes.COLLECTOR_INVALID.at(f"collector {str(values.get('host'))[:60]!r}: {text}"))

    unknown = sorted(set(values) - set(KEYS))
    if unknown:
        raise wrong(f"unknown key {str(unknown[0])[:40]!r}")
    given = {name: value for name, value in values.items() if value is not None}
    for name, rule in (("host", HOST), ("user", USER), ("path", FOLDER), ("pattern", PATTERN)):
        value = given.get(name, "*" if name == "pattern" else None)
        if not isinstance(value, str) or not rule.match(value):
            raise wrong(f"{name} is {str(value)[:60]!r}")
    for name, low, high in (("port", 1, 65535), ("settle", 0, 86_400)):
        value = given.get(name, 22 if name == "port" else SETTLE_SECONDS)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise wrong(f"{name} is {str(value)[:60]!r}")
    return Collector(**given)


def complete(files: Sequence[RemoteFile], settle: float) -> list[RemoteFile]:
    """Return the files that nobody writes to any more, by the rule of this module, ordered by name."""
    names = {each.name for each in files}
    followed = _followed(files)
    made = []
    for each in files:
        if each.name.endswith(MARKER) or each.name.startswith(".") or ".current" in each.name:
            continue
        if f"{each.name}{MARKER}" in names or each.name in followed or each.age >= settle:
            made.append(each)
    return sorted(made, key=lambda each: each.name)


def _followed(files: Sequence[RemoteFile]) -> set[str]:
    """Return the names after which another of their series was begun."""
    series: dict[tuple[str, str], dict[tuple[int, ...], list[RemoteFile]]] = {}
    for each in files:
        found = list(ROTATED.finditer(each.name))
        if found:
            start, end = found[-1].span()
            number = tuple(int(digits) for digits in re.findall("[0-9]+", each.name[start:end]))
            group = series.setdefault((each.name[:start], each.name[end:]), {})
            group.setdefault(number, []).append(each)
    made: set[str] = set()
    for group in series.values():
        youngest = float("inf")
        for number in sorted(group, reverse=True):
            made.update(each.name for each in group[number] if youngest <= each.age)
            youngest = min(youngest, *(each.age for each in group[number]))
    return made


class _CommandFailed(FindingError):
    """The host ran a command, and it failed: the login itself stands."""

    def __init__(self, where: str, text: str) -> None:
        self.text = text or "the command failed"
        super().__init__(codes.COLLECTOR_UNREACHABLE.at(f"{where}: {self.text}"))


class Pull:
    """One login at a collector. ``findings`` has what went wrong with single files."""

    def __init__(self, collector: Collector, folder: Path) -> None:
        require(pylibssh_session, pylibssh_errors)
        self.collector, self.folder = collector, folder / collector.folder
        self.findings: list[Finding] = []
        self._session: Any = None
        self._where = f"{collector.user}@{collector.host} port {collector.port}"

    def __enter__(self) -> Pull:
        self._session = pylibssh_session.Session()
        # It warns of every file of known hosts that does not exist.
        logging.getLogger("ansible-pylibssh").setLevel(logging.CRITICAL + 1)
        each = self.collector
        arguments: dict[str, Any] = {
            "host": each.host,
            "port": each.port,
            "user": each.user,
            "timeout": TIMEOUT_SECONDS,
            "host_key_checking": True,
            "look_for_keys": not each.private_key_file,
        }
        try:
            if each.private_key_file:
                arguments["private_key"] = Path(each.private_key_file).expanduser().read_bytes()
            if each.known_hosts_file:
                arguments["knownhosts"] = str(Path(each.known_hosts_file).expanduser())
            self._session.connect(**arguments)
        except (pylibssh_errors.LibsshException, OSError) as error:
            self.__exit__()
            text = " ".join(str(error).split())[:160]
            raise FindingError(codes.COLLECTOR_UNREACHABLE.at(f"{self._where}: {text}")) from None
        return self

    def __exit__(self, *_exception: object) -> None:
        with contextlib.suppress(Exception):
            self._session.close()
        self._session = None

    def listing(self) -> list[RemoteFile]:
        """Return the files of the folder that the pattern names and that a marker may belong to."""
        path, pattern = shlex.quote(self.collector.path), shlex.quote(self.collector.pattern)
        marker = shlex.quote(self.collector.pattern + MARKER)
        found = f"find . -maxdepth 1 -type f \\( -name {pattern} -o -name {marker} \\) -printf '%s %T@ %f\\n'"
        command = f"cd -- {path} && test -r . && date +%s && {found} | head -n {MOST_FILES}"
        lines = self._run(command).decode("utf-8", "replace").splitlines()
        if len(lines) > MOST_FILES:
            text = f"more than {MOST_FILES} files; those beyond are not seen until some are removed there"
            self.findings.append(codes.COLLECTOR_FILE.at(f"{self._where}: {text}"))
        try:
            return self._files(int(lines[0]), lines[1:])
        except (ValueError, IndexError):
            text = "what find and date say there is not understood"
            raise FindingError(codes.COLLECTOR_UNREACHABLE.at(f"{self._where}: {text}")) from None

    def _files(self, now: int, lines: Sequence[str]) -> list[RemoteFile]:
        made = []
        for line in lines:
            size, _space, rest = line.partition(" ")
            changed, _space, name = rest.partition(" ")
            if not FILE.match(name):
                self.findings.append(
                    codes.COLLECTOR_FILE.at(f"{self._where}: a name that is not fit for a file here: {name[:60]!r}")
                )
                continue
            made.append(RemoteFile(name, int(size), now - float(changed), float(changed)))
        return made

    def fetch(self, file: RemoteFile) -> Path | None:
        """Return the local copy of a file, fetched or gone on with; None with a finding where it is not what the host has.

        Raises FindingError SW1482 where the connection is lost.
        """
        try:
            return self._fetched(file)
        except _CommandFailed as error:
            # Removed there since it was listed, or not readable: the others are fetched all the same.
            self.findings.append(codes.COLLECTOR_FILE.at(f"{self._where}: {file.name}: {error.text}"))
            return None

    def _fetched(self, file: RemoteFile) -> Path | None:
        self.folder.mkdir(parents=True, exist_ok=True)
        final, part = self.folder / file.name, self.folder / f".{file.name}.part"
        if final.exists():
            # Fetched by an earlier run that did not come to its import.
            os.replace(final, part)
        remote = shlex.quote(f"{self.collector.path.rstrip('/')}/{file.name}")
        for _attempt in range(2):
            digest, have = hashlib.sha256(), 0
            with open(part, "ab+") as stream:
                stream.seek(0)
                while block := stream.read(BLOCK):
                    digest.update(block)
                    have += len(block)
                while have < file.size:
                    block = self._run(f"tail -c +{have + 1} -- {remote} | head -c {min(BLOCK, file.size - have)}")
                    if not block:
                        break
                    stream.write(block)
                    stream.flush()
                    digest.update(block)
                    have += len(block)
                os.fsync(stream.fileno())
            said = self._run(f"sha256sum -- {remote}").split(b" ", 1)[0].lstrip(b"\\").decode("ascii", "replace")
            if have == file.size and digest.hexdigest() == said:
                # A log without years is read by its file's time, and another file of this name and size is told by it.
                os.utime(part, (file.changed, file.changed))
                os.replace(part, final)
                return final
            # What an earlier run left is not the beginning of this file, or it has changed meanwhile: once more from its beginning.
            part.unlink(missing_ok=True)
        self.findings.append(codes.COLLECTOR_FILE.at(f"{self._where}: {file.name} changes while it is read"))
        return None

    def _run(self, command: str) -> bytes:
        channel = None
        try:
            channel = self._session.new_channel()
            done = channel.exec_command(command)
            if done.returncode:
                text = " ".join(bytes(done.stderr or b"").decode("utf-8", "replace").split())[:160]
                raise _CommandFailed(self._where, text)
            return bytes(done.stdout or b"")
        except (pylibssh_errors.LibsshException, OSError) as error:
            text = " ".join(str(error).split())[:160]
            raise FindingError(codes.COLLECTOR_UNREACHABLE.at(f"{self._where}: {text}")) from None
        finally:
            if channel is not None:
                with contextlib.suppress(Exception):
                    channel.close()


def waiting(collector: Collector, spool: Path) -> tuple[list[RemoteFile], list[Finding]]:
    """Return (complete files that were not fetched before, findings); fetches none and writes nothing."""
    known = _known(spool, collector)
    with Pull(collector, spool) as session:
        files = complete(session.listing(), collector.settle)
        return [each for each in files if not _is_known(each, known)], session.findings


def pull(collector: Collector, spool: Path) -> tuple[list[Path], list[Finding]]:
    """Return (local copies of complete files that were not fetched before, findings). ``settled`` marks them once they are imported.

    Where the connection is lost, what was fetched until then is returned with the finding.
    """
    known = _known(spool, collector)
    with Pull(collector, spool) as session:
        made = []
        listed = session.listing()
        present = {each.name for each in listed}
        if len(listed) < MOST_FILES and not present.issuperset(known[0]):
            # What is removed there need not be remembered: a year of rotated files would be.
            sizes, changed = ({name: value for name, value in each.items() if name in present} for each in known)
            known = sizes, changed
            _remember(collector, spool, *known)
        for file in complete(listed, collector.settle):
            if _is_known(file, known):
                continue
            try:
                path = session.fetch(file)
            except FindingError as error:
                session.findings.extend(error.findings)
                break
            if path is not None:
                made.append(path)
        return made, session.findings


def settled(collector: Collector, spool: Path, paths: Sequence[Path]) -> None:
    """Remember that files are in the store, and remove the copies."""
    known, changed = _known(spool, collector)
    for path in paths:
        facts = path.stat()
        known[path.name], changed[path.name] = facts.st_size, int(facts.st_mtime)
    _remember(collector, spool, known, changed)
    for path in paths:
        path.unlink(missing_ok=True)


def _remember(collector: Collector, spool: Path, sizes: Mapping[str, int], changed: Mapping[str, int]) -> None:
    document = {
        "kind": "flow-collector",
        "schema_version": "1.0",
        "host": collector.host,
        "path": collector.path,
        "files": dict(sizes),
        "changed": dict(changed),
    }
    write_json(spool / f"{collector.folder}.json", document)


def _known(spool: Path, collector: Collector) -> tuple[dict[str, int], dict[str, int]]:
    """Return sizes and times (seconds since 1970) of the files that were imported, by name."""
    path = spool / f"{collector.folder}.json"
    document = read_document(path, "flow-collector", 1) if path.exists() else {"files": {}}
    return dict(document["files"]), dict(document.get("changed", {}))


def _is_known(file: RemoteFile, known: tuple[dict[str, int], dict[str, int]]) -> bool:
    sizes, changed = known
    return sizes.get(file.name) == file.size and changed.get(file.name, int(file.changed)) == int(file.changed)
