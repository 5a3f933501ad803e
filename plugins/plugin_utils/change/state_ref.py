# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan, journal and approvals in a git ref that is pushed, for controllers whose disk ends with them.

A directory mirrors the ref. Reading a state fetches the ref first; each journal entry is pushed before work goes on, and only on
top of what was fetched (``--force-with-lease``), so a second controller that writes meanwhile is noticed before the next write to a target.

The journal is kept in pieces of PIECE entries, so that an entry costs the same however long the journal is.
"""

from __future__ import annotations

import base64
import fcntl
import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import sha256_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.git import run_git
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes

PREFIX, DEFAULT_REF = "git+", "refs/segwright/state"
REF = re.compile(r"refs/(?:[A-Za-z0-9_][A-Za-z0-9._-]*/)+[A-Za-z0-9_][A-Za-z0-9._-]*")
SCHEMES = ("file", "https", "ssh")
MARK, BASE = ".state-ref", ".state-base"
JOURNAL, PIECE = "journal.jsonl", 200
KEPT = ("plan.json", "journal.jsonl.head", "plans/*.json", "approvals/*", "journal.jsonl.torn-*")
# What a ref may bring onto this disk, and nothing besides: not the settings of the mirror's own git, not its lock.
STORED = re.compile(
    r"plan\.json|journal\.jsonl\.head|journal\.jsonl\.torn-[0-9a-f]+|journal/[0-9]{8}\.jsonl|(?:plans|approvals)/(?!\.)[^/\x00-\x1f]+"
)
TOKEN, KEY = "SEGWRIGHT_STATE_TOKEN", "SEGWRIGHT_STATE_KEY"
FRESH_SECONDS = 2.0
PUSHES = 4
_FETCHED: dict[tuple[int, str, str], float] = {}
# Refs that this run asks no more: a way back goes on by what was fetched before.
_BY_COPY: dict[tuple[int, Path], Finding] = {}
WHO = {"user.name": "Segwright", "user.email": "segwright@localhost"}


@dataclass(frozen=True)
class StateRef:
    """A ref of a repository and the directory that mirrors it (absolute)."""

    url: str
    ref: str
    mirror: Path

    @classmethod
    def of(cls, text: str, below: Path) -> StateRef | None:
        """Return what a value of ``microseg_state`` names, None for a plain directory. FindingError SW4044.

        ``git+URL#REF``: https, ssh or file; the ref ``refs/segwright/state`` where none is given. Secrets never stand in the URL.
        """
        if not text.startswith(PREFIX):
            return None
        url, _hash, ref = text[len(PREFIX) :].partition("#")
        ref = ref or DEFAULT_REF
        parts = urlsplit(url)
        faults = []
        if parts.scheme not in SCHEMES:
            faults.append(f"one of {', '.join(SCHEMES)} is needed")
        if parts.password is not None or (parts.scheme == "https" and parts.username):
            faults.append(f"no name and no secret belongs into the address; the environment has {TOKEN} and {KEY}")
        if any(character < " " for character in url) or not REF.fullmatch(ref) or ".." in ref:
            faults.append("a ref is written refs/...")
        if faults:
            raise FindingError(*(codes.BAD_STATE_REF.at(fault) for fault in faults))
        return cls(url, ref, (below / "state-refs" / sha256_of(f"{url}#{ref}".encode())[:16]).absolute())

    @property
    def _repository(self) -> Path:
        return self.mirror / ".git-objects"

    @property
    def by_copy(self) -> tuple[Finding, ...]:
        """Return the finding (SW4190) that this run goes by its own copy, where it does."""
        found = _BY_COPY.get((os.getpid(), self.mirror))
        return (found,) if found else ()

    def go_by_copy(self, error: FindingError) -> None:
        """Leave a ref alone that cannot be reached, for the rest of this run: the way back must not need what the change may have cut off.

        ``error`` is raised where it is another fault, or where nothing was ever fetched here.
        """
        faults = {finding.code for finding in error.findings} - {codes.STATE_REF.number}
        if faults or not (self.mirror / MARK).exists() or not (self.mirror / JOURNAL).exists():
            raise error
        _BY_COPY.setdefault((os.getpid(), self.mirror), codes.STATE_BY_COPY.at(error.findings[0].message))

    def fetch(self) -> None:
        """Bring the mirror to what the ref holds, once in a run. FindingError SW4045 where it cannot be read."""
        if self.by_copy:
            return
        key = (os.getpid(), self.url, self.ref)
        if time.monotonic() - _FETCHED.get(key, -FRESH_SECONDS) < FRESH_SECONDS:
            return
        self.mirror.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self._repository.exists():
            self._git("init", "-q", "--bare", str(self._repository), at=self.mirror)
        listed = self._git("ls-remote", self.url, self.ref).split()
        base = listed[0] if listed else ""
        if base:
            self._git("fetch", "-q", "--no-tags", self.url, f"+{self.ref}:{self.ref}")
        if base != self._read_base() or not (self.mirror / MARK).exists():
            with self._unused() as unused:  # a run that works here has what it needs, and what it has not pushed yet
                if unused:
                    self._write_out(base)
        (self.mirror / MARK).write_text(f"{self.url}#{self.ref}\n", encoding="utf-8")
        _FETCHED[key] = time.monotonic()

    def push(self, message: str) -> None:
        """Make what the mirror holds the next state of the ref. FindingError SW4046 where another controller was faster, SW4045 else.

        A plan or an approval that others pushed meanwhile is taken in: it must not stop a run half way. A journal never is.
        """
        if self.by_copy:
            return
        for tries_left in reversed(range(PUSHES)):
            base = self._read_base()
            made, done = self._pushed(message, base)
            if done.returncode == 0:
                break
            moved = "stale info" in done.stderr or "fetch first" in done.stderr or "rejected" in done.stderr
            if not moved or not tries_left or not self._taken_in(base):
                found = codes.STATE_MOVED if moved else codes.STATE_REF
                raise FindingError(found.at(f"{self.ref}: {_last_line(done.stderr)}"))
        self._git("update-ref", self.ref, made)
        (self.mirror / BASE).write_text(made, encoding="ascii")

    def _pushed(self, message: str, base: str) -> tuple[str, subprocess.CompletedProcess[str]]:
        tree = self._tree()
        parent = ["-p", base] if base else []
        made = self._git("commit-tree", *parent, "-m", message, tree).strip()
        lease = f"--force-with-lease={self.ref}:{base}"
        done = run_git(
            self._repository,
            ["push", "-q", lease, self.url, f"{made}:{self.ref}"],
            codes.STATE_REF,
            self._settings(),
            self._secrets(),
        )
        return made, done

    def _taken_in(self, base: str) -> bool:
        """Bring the mirror onto what the ref holds now, where the journal there is the one that this run goes on from."""
        listed = self._git("ls-remote", self.url, self.ref).split()
        if not base or not listed or listed[0] == base:
            return False
        self._git("fetch", "-q", "--no-tags", self.url, f"+{self.ref}:{self.ref}")
        ours, theirs = self._stored(base), self._stored(listed[0])
        if any(ours.get(name) != theirs.get(name) for name in {*ours, *theirs} if name.startswith("journal")):
            return False
        for name in sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name)):
            path = self.mirror / name
            if (self._blob(path.read_bytes()) if path.exists() else None) != ours.get(name):
                continue  # this run wrote it as well
            if name in theirs:
                self._write_file(name, self._content(theirs[name]))
            else:
                path.unlink(missing_ok=True)
        (self.mirror / BASE).write_text(listed[0], encoding="ascii")
        return True

    def _stored(self, commit: str) -> dict[str, str]:
        """Return the objects of a commit by name. FindingError SW4045 where it holds what is no file of a state."""
        found = {}
        for line in filter(None, self._git("ls-tree", "-r", "-z", commit).split("\0")):
            head, _tab, name = line.partition("\t")
            if not STORED.fullmatch(name) or head.split()[0] != "100644":
                raise FindingError(codes.STATE_REF.at(f"{self.ref}: holds {name[:60]!a}, which is no file of a state"))
            found[name] = head.split()[2]
        return found

    def _content(self, name: str) -> bytes:
        return self._git("cat-file", "blob", name).encode("utf-8", "surrogateescape")

    def _write_file(self, name: str, content: bytes) -> None:
        target = self.mirror / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(0o600)

    @contextmanager
    def _unused(self) -> Iterator[bool]:
        """Tell whether no run holds the lock of the mirror (change/lock.py), and keep it so meanwhile."""
        try:
            descriptor = os.open(self.mirror / "lock", os.O_RDWR)
        except FileNotFoundError:  # nobody ever worked here
            yield True
            return
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)

    def _write_out(self, base: str) -> None:
        """Write the files of a commit into the mirror; what it does not hold is removed."""
        wanted: dict[str, bytes] = {}
        journal: dict[str, bytes] = {}
        if base:
            for name, blob in self._stored(base).items():
                (journal if name.startswith("journal/") else wanted)[name] = self._content(blob)
        if journal:
            wanted[JOURNAL] = b"".join(journal[name] for name in sorted(journal))
        self._set_aside(wanted.get(JOURNAL, b""))
        before = self._read_base()
        gone = self._git("ls-tree", "-r", "--name-only", "-z", before).split("\0") if before else []
        for name in gone:  # what was never pushed, an approval that waits for its signature, say, stays
            if name and name not in wanted:
                (self.mirror / name).unlink(missing_ok=True)
        for name, content in wanted.items():
            self._write_file(name, content)
        (self.mirror / BASE).write_text(base, encoding="ascii")

    def _set_aside(self, journal: bytes) -> None:
        """Keep what an interrupted run wrote into its own copy of the journal and could not push, beside the ref's."""
        path = self.mirror / JOURNAL
        own = path.read_bytes() if path.exists() else b""
        if own and not journal.startswith(own):
            (self.mirror / f"{JOURNAL}.diverged-{sha256_of(own)[:8]}").write_bytes(own)

    def _tree(self) -> str:
        """Return the tree of the mirror's files; the journal in pieces, of which those that were pushed whole are taken as they are."""
        rows: list[str] = []
        folders: dict[str, list[str]] = {"plans": [], "approvals": []}
        for file in sorted(path for pattern in KEPT for path in self.mirror.glob(pattern) if path.is_file()):
            name = file.relative_to(self.mirror)
            row = f"100644 blob {self._blob(file.read_bytes())}\t{name.name}"
            folders.get(name.parts[0] if len(name.parts) > 1 else "", rows).append(row)
        folders["journal"] = self._journal_rows()
        for folder, inside in folders.items():
            if inside:
                rows.append(f"040000 tree {self._git('mktree', given=chr(10).join(inside))}\t{folder}")
        return self._git("mktree", given="\n".join(rows))

    def _journal_rows(self) -> list[str]:
        path = self.mirror / JOURNAL
        if not path.exists():
            return []
        known = {}
        if base := self._read_base():
            listed = self._git("ls-tree", base, "journal/")
            known = {line.partition("\t")[2]: line.split()[2] for line in listed.splitlines()}
        lines = path.read_bytes().splitlines(keepends=True)
        rows = []
        for start in range(0, len(lines), PIECE):
            name = f"{start // PIECE:08}.jsonl"
            whole = start + 2 * PIECE <= len(
                lines
            )  # a piece with another one behind it that is full, too, was pushed before
            blob = known.get(f"journal/{name}") if whole else None
            rows.append(f"100644 blob {blob or self._blob(b''.join(lines[start : start + PIECE]))}\t{name}")
        return rows

    def _blob(self, content: bytes) -> str:
        done = run_git(self._repository, ["hash-object", "-w", "--stdin"], codes.STATE_REF, given=content)
        if done.returncode != 0:
            raise FindingError(codes.STATE_REF.at(f"{self.ref}: {_last_line(done.stderr)}"))
        return done.stdout.strip()

    def _read_base(self) -> str:
        path = self.mirror / BASE
        return path.read_text(encoding="ascii").strip() if path.exists() else ""

    def _git(self, *words: str, at: Path | None = None, given: str = "") -> str:
        done = run_git(
            at or self._repository,
            words,
            codes.STATE_REF,
            self._settings(),
            self._secrets(),
            given=given.encode("utf-8"),
        )
        if done.returncode != 0:
            raise FindingError(codes.STATE_REF.at(f"{self.ref}: {_last_line(done.stderr)}"))
        return done.stdout if "-z" in words or words[0] == "cat-file" else done.stdout.strip()

    def _settings(self) -> dict[str, str]:
        settings = {
            **WHO,
            "commit.gpgSign": "false",
            "protocol.allow": "never",
            **{f"protocol.{name}.allow": "always" for name in SCHEMES},
        }
        if key := os.environ.get(KEY):
            settings["core.sshCommand"] = (
                f"ssh -i {shlex.quote(key)} -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes"
            )
        return settings

    def _secrets(self) -> Mapping[str, str]:
        token = os.environ.get(TOKEN)
        if not token or not self.url.startswith("https:"):
            return {}
        header = base64.b64encode(f"segwright:{token}".encode()).decode("ascii")
        return {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {header}",
        }


def state_ref_of(directory: Path) -> StateRef | None:
    """Return the ref that a state directory mirrors, None for a directory of its own."""
    mark = directory / MARK
    if not mark.is_file():
        return None
    url, _hash, ref = mark.read_text(encoding="utf-8", errors="replace").strip().partition("#")
    return StateRef(url, ref, directory)


def keep_state(directory: Path, message: str) -> None:
    """Push a state directory that mirrors a ref; nothing for one of its own."""
    found = state_ref_of(directory)
    if found is not None:
        found.push(message)


def _last_line(text: str) -> str:
    """Return what git said last, without anything that could be a secret of an address."""
    lines = [line for line in text.strip().splitlines() if line] or ["no answer"]
    return re.sub(r"//[^/@\s]*@", "//", lines[-1])[:200]
