# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time: a file that is locked as long as the run lives and says who holds it."""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import json
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_now
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes

_NAMELESS_TRIES, _NAMELESS_PAUSE = 20, 0.05


def owner() -> dict[str, Any]:
    """Return who this run is: user, host, process and time."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return {"user": user, "host": socket.gethostname(), "pid": os.getpid(), "since": iso_now()}


class StateLock:
    """The lock of a state directory, as a context manager; SW4040 where another run holds it.

    The kernel releases the lock when the run ends, however it ends. The file's text outlives a killed run: where it names
    this host the lock is taken over and ``findings`` says so; where it names another host (a shared folder on which
    kernel locks may not reach across) it is refused unless ``take_over``, since nobody can tell from here whether it still runs.
    Rollback takes over: a pod that died left a name that never comes back, and the way back is not blocked (design rule 11).
    With ``only_reads`` the name of a run on another host stays there: it may be alive, and a rehearsal must not open the way for a third.
    """

    def __init__(self, path: str | Path, purpose: str, take_over: bool = False, only_reads: bool = False) -> None:
        self.path = Path(path)
        self.purpose = purpose
        self.take_over = take_over
        self.only_reads = only_reads
        self._leaves_name = False
        self.findings: tuple[Finding, ...] = ()
        self._descriptor: int | None = None

    def __enter__(self) -> StateLock:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                self._take(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
        except OSError as error:
            text = error.strerror or "cannot be written"
            raise FindingError(codes.JOURNAL_UNWRITABLE.at(f"its lock: {text}", Location(str(self.path)))) from error
        self._descriptor = descriptor
        return self

    def _take(self, descriptor: int) -> None:
        location = Location(str(self.path))
        for left in range(_NAMELESS_TRIES, -1, -1):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                holder = _read(descriptor)
                # A holder without a name has just taken the lock, or is giving it back.
                if "pid" in holder or not left:
                    end = "wait until it has ended, or end that process: what it began is taken back as well"
                    found = codes.LOCKED.at(f"held by {_text(holder)}", location, end if self.take_over else "")
                    raise FindingError(found) from error
            time.sleep(_NAMELESS_PAUSE)
        before = _read(descriptor)
        if before:
            if before.get("host") != socket.gethostname() and not self.take_over:
                hint = "make sure that run has ended, then remove the file"
                raise FindingError(codes.LOCKED.at(f"left by {_text(before)}", location, hint))
            self.findings = (codes.STALE_LOCK.at(f"left by {_text(before)}", location),)
            self._leaves_name = self.only_reads and before.get("host") != socket.gethostname()
        if self._leaves_name:
            return
        _write(descriptor, {**owner(), "purpose": self.purpose})

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            if not self._leaves_name:
                _write(self._descriptor, None)
            os.close(self._descriptor)
            self._descriptor = None


class TargetLocks:
    """The locks that targets keep in themselves (``run_lock(purpose, way_back)``, today ISE): controllers that share no folder.

    A context manager over all targets that have one, in the order of their names, so that two runs cannot each hold
    what the other waits for. FindingError SW4040 where another run holds one; what was taken until then is given back.
    ``required`` false (the way back): a target that cannot be asked for its lock is left to say so by itself, and a lock
    whose holder gives no sign of life is taken over.
    """

    def __init__(self, targets: Mapping[str, Any], purpose: str, required: bool = True) -> None:
        self.required = required
        chosen = [targets[name] for name in sorted(targets) if hasattr(targets[name], "run_lock")]
        self.locks = [target.run_lock(purpose, not required) for target in chosen] if purpose else []
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> TargetLocks:
        with contextlib.ExitStack() as stack:
            for lock in self.locks:
                try:
                    stack.enter_context(lock)
                except FindingError as error:
                    if self.required or any(found.code == codes.LOCKED.number for found in error.findings):
                        raise
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def sweep(self) -> list[Finding]:
        """Remove what killed runs left, without taking a lock, and say so: for a run that finds nothing to do."""
        for lock in self.locks:
            lock.sweep()
        return self.findings()

    def findings(self) -> list[Finding]:
        """Return what there is to say: locks that were taken over or could not be given back."""
        return [finding for lock in self.locks for finding in lock.findings]

    def lost(self) -> list[Finding]:
        """Return an error for each lock that was lost while it was held: the run must stop."""
        return [codes.LOCK_LOST.at(lock.target) for lock in self.locks if lock.lost]


def _read(descriptor: int) -> dict[str, Any]:
    os.lseek(descriptor, 0, os.SEEK_SET)
    try:
        value = json.loads(os.read(descriptor, 65536) or b"{}")
    except (ValueError, RecursionError):
        return {"host": socket.gethostname(), "purpose": "unreadable"}
    return value if isinstance(value, dict) else {}


def _write(descriptor: int, value: dict[str, Any] | None) -> None:
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    if value is not None:
        os.write(descriptor, (json.dumps(value, sort_keys=True) + "\n").encode())
        os.fsync(descriptor)


def _text(holder: dict[str, Any]) -> str:
    if not holder:
        return "an unknown run"
    user, host, pid, since = (str(holder.get(key, "?")) for key in ("user", "host", "pid", "since"))
    return f"{user} on {host}, process {pid}, since {since} ({holder.get('purpose', '')})"
