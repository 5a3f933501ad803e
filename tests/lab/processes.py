# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Child processes that cannot outlive the lab, and the few Linux calls the standard library of Python 3.11 lacks.

Every process the lab starts asks the kernel to be killed when its parent dies (``PR_SET_PDEATHSIG``), so that even a
``kill -9`` of the supervisor leaves nothing behind. A network namespace has no name under ``/run/netns``: it lives
only as long as the processes and descriptors in it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Any, TypeVar

CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1

T = TypeVar("T")

# Bound at import: a child between fork and exec must not load libraries or take import locks.
_LIBC: Any = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class LabError(Exception):
    """A part of the lab could not be started or used; the text is for people."""


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def unshare_network() -> None:
    """Move the calling thread into a new, empty network namespace. Raises OSError where that is not permitted."""
    _check(_LIBC.unshare(CLONE_NEWNET), "unshare(CLONE_NEWNET)")


def enter_network(descriptor: int) -> None:
    """Move the calling thread into the network namespace behind an open ``/proc/PID/ns/net`` descriptor."""
    _check(_LIBC.setns(descriptor, CLONE_NEWNET), "setns")


def die_with_parent(parent: int) -> None:
    """Ask for SIGKILL at the parent's death; for use between fork and exec, ``parent`` being the pid before the fork."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(127)


def starting_a_child(frame: FrameType | None) -> bool:
    """Whether a signal struck while a child is being started (``frame``: what its handler gets) or an object is being destroyed.

    Python runs hooks of its own around a fork and swallows, with a traceback, what a signal handler raises in one of them, as it does
    in a destructor. A handler that would raise sends itself the signal again a little later instead.
    """
    while frame is not None:
        if frame.f_code is spawn.__code__ or frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


def start_time(pid: int) -> int | None:
    """Start time of a process in clock ticks since boot (proc(5), stat field 22), or None when there is none.

    A pid together with its start time names one process for good; a pid alone may have been given to another.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


@dataclass(frozen=True)
class ProcessMark:
    """A process by pid and start time, as kept in the lab's state file."""

    name: str
    pid: int
    started: int

    def alive(self) -> bool:
        return start_time(self.pid) == self.started

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "pid": self.pid, "started": self.started}


def mark(name: str, pid: int) -> ProcessMark:
    """The mark of a running process; raises LabError when it has already ended."""
    started = start_time(pid)
    if started is None:
        raise LabError(f"{name} (pid {pid}) has ended")
    return ProcessMark(name, pid, started)


def spawn(
    arguments: Sequence[str],
    *,
    namespace: int | None = None,
    new_namespace: bool = False,
    log: IO[bytes] | None = None,
    stdin: int = subprocess.DEVNULL,
    stdout: int | IO[bytes] | None = None,
    stderr: int | None = None,
    environment: dict[str, str] | None = None,
    directory: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a child that dies with this process.

    ``namespace`` is an open descriptor of the network namespace to start in; ``new_namespace`` makes a fresh one.
    Call from a thread that lives as long as the child should: the kernel ties the death signal to that thread.
    """
    parent = os.getpid()

    def prepare() -> None:
        die_with_parent(parent)
        if new_namespace:
            unshare_network()
        elif namespace is not None:
            enter_network(namespace)

    return subprocess.Popen(
        list(arguments),
        stdin=stdin,
        stdout=stdout if stdout is not None else (log if log is not None else subprocess.DEVNULL),
        stderr=stderr if stderr is not None else (log if log is not None else subprocess.DEVNULL),
        preexec_fn=prepare,
        start_new_session=True,
        env=environment,
        cwd=directory,
    )


def stop_marks(
    marks: Sequence[ProcessMark], patience: float = 3.0, deaf: frozenset[str] = frozenset()
) -> list[ProcessMark]:
    """End exactly these processes (TERM, then KILL); returns those that were alive.

    ``deaf``: names of those that do not listen to TERM. A mark whose pid now belongs to another process is left alone.
    """
    alive = [each for each in marks if each.alive()]
    for each in alive:
        _signal(each, signal.SIGKILL if each.name in deaf else signal.SIGTERM)
    deadline = time.monotonic() + patience
    while any(each.alive() for each in alive) and time.monotonic() < deadline:
        time.sleep(0.02)
    for each in alive:
        if each.alive():
            _signal(each, signal.SIGKILL)
    while any(each.alive() for each in alive) and time.monotonic() < deadline + patience:
        time.sleep(0.02)
    return alive


def _signal(each: ProcessMark, number: signal.Signals) -> None:
    try:
        os.kill(each.pid, number)
    except ProcessLookupError:
        pass


@dataclass
class NamespaceThread:
    """One thread that stays inside a network namespace and runs calls there for others.

    A socket belongs to the namespace it was created in, so a socket made here may be used from any thread.
    """

    descriptor: int
    _queue: Any = field(init=False)
    _thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        import queue

        self._queue = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="lab-namespace", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        enter_network(self.descriptor)
        while True:
            job = self._queue.get()
            if job is None:
                return
            job()

    def run(self, call: Callable[[], T]) -> T:
        """Run ``call`` inside the namespace and return what it returns or raise what it raises."""
        done = threading.Event()
        box: dict[str, Any] = {}

        def job() -> None:
            try:
                box["value"] = call()
            except BaseException as error:
                box["error"] = error
            done.set()

        self._queue.put(job)
        done.wait()
        if "error" in box:
            raise box["error"]
        result: T = box["value"]
        return result

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join(timeout=2)


def in_namespace(descriptor: int, call: Callable[[], T]) -> T:
    """Run one call in a short-lived thread inside the namespace; threads it starts stay in there."""
    helper = NamespaceThread(descriptor)
    try:
        return helper.run(call)
    finally:
        helper.close()
