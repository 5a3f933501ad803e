# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time on one ISE, whatever controller it comes from: a lock that stands in ISE itself.

Controllers need not share a folder. ISE refuses a second object of the same name, so creating a downloadable ACL of a
reserved name is the one atomic step that every version has; deleting it gives the lock back. Its description says who
holds it and until when. No profile names it, so no switch ever loads it; whoever did would get a list that permits.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import utc_now
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.lock import owner
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_client import IseClient, Lost, NotFound

KIND = "downloadable_acl"
NAME = "SEGWRIGHT_LOCK"
# Not "segwright:": what carries that mark is compared with the policy, and removed where the policy does not name it.
MARK = "segwright-lock"
LIFETIME = timedelta(minutes=15)
RENEWAL = 30.0
# Seconds after which a rollback takes over a lock that was not renewed before its eyes: two renewals and some more.
SILENCE, LOOK_AGAIN = 75.0, 5.0
ATTEMPTS = 3
_HELD: set[str] = set()  # runs of this process that hold a lock now
_FORM = re.compile(rf"{MARK} run=(\w+) holder=(\S+)@(\S+) place=(\w+) pid=(\d+) since=(\S+) until=(\S+) for (.*)")


class IseLock:
    """The lock of one ISE as a context manager; SW4040 with the other's identity where another run holds it.

    A lock outlives a killed run. It is taken over, and ``findings`` says so, when its time is over (15 minutes after it
    was last renewed; a run renews it every half minute), or when it names a process of this very host and container that is gone.
    ``lost`` says that the lock could not be renewed in time: whoever holds it must stop.

    ``way_back`` (a rollback is never blocked for long, design rule 11): a lock that nobody renews for 75 seconds is taken
    over whatever its time, and an object of that name that is none of ours is no obstacle but a warning.
    """

    def __init__(
        self,
        target: str,
        client: IseClient,
        purpose: str,
        *,
        way_back: bool = False,
        now: Callable[[], datetime] = utc_now,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.target, self.client, self.now = target, client, now
        self.way_back, self._clock, self._sleep = way_back, clock, sleep
        self.purpose = re.sub(r"[^\w .-]", "", purpose)[:60]
        self.run = secrets.token_hex(6)
        self.findings: tuple[Finding, ...] = ()
        self._taken_from_us = False
        self._renewed: float | None = None  # by the clock, when the lock was written last; None where it is not held
        self._since = ""
        self._ended = threading.Event()
        self._renewer: threading.Thread | None = None

    @property
    def lost(self) -> bool:
        """Return whether another run may hold the lock by now: it was taken, or its time is over without a renewal."""
        over = self._renewed is not None and self._clock() - self._renewed >= LIFETIME.total_seconds()
        return self._taken_from_us or over

    def __enter__(self) -> IseLock:
        self._since = _stamp(self.now())
        begun = self._clock()
        for _attempt in range(ATTEMPTS):
            holder = self._holder()
            if holder is not None and _part(holder[1], 1) == self.run:
                break  # an earlier attempt, whose answer was lost, did arrive
            if holder is not None and self.way_back and _FORM.fullmatch(holder[1]) is None:
                self.findings = (codes.LOCKED.at(f"{self.target}: {_shown(holder[1])}").with_severity("warning"),)
                return self
            if holder is not None:
                self._take_over(*holder)
            begun = self._clock()
            if self._create():
                break
        else:
            raise FindingError(self._not_taken())
        _HELD.add(self.run)
        self._renewed = begun
        self._renewer = threading.Thread(target=self._renew, name=f"lock-{self.target}", daemon=True)
        self._renewer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the lock back; where that fails it runs out by itself, and ``findings`` says so."""
        self._ended.set()
        _HELD.discard(self.run)
        if self._renewer is not None:
            self._renewer.join(timeout=60)
        for last in (False, True):
            try:
                holder = self._holder()
                if holder is not None and _part(holder[1], 1) == self.run:
                    self.client.delete(KIND, holder[0])
                return
            except NotFound:
                return
            except (FindingError, Lost) as failure:
                if last:
                    found = codes.LOCK_KEPT.at(f"{self.target}: {failure}")
                    self.findings = (*self.findings, found)

    def sweep(self) -> None:
        """Remove the lock of a killed run where there is nothing to do any more, so that nothing stale is left; never raises."""
        with contextlib.suppress(FindingError, Lost, NotFound):
            holder = self._holder()
            if holder is not None and self._is_gone(holder[1]):
                self._take_over(*holder)

    # -- taking

    def _holder(self) -> tuple[str, str] | None:
        """Return id and description of the lock's object, None where nobody holds it."""
        for item in self.client.list_items(KIND, f"name.EQ.{NAME}"):
            if item["name"] == NAME:
                return item["id"], item["description"]
        return None

    def _create(self) -> bool:
        """Return whether the lock is ours now. False: another was faster."""
        body = {"name": NAME, "description": self._text(), "dacl": "permit ip any any", "daclType": "IPV4"}
        try:
            self.client.create(KIND, body)
        except Lost:
            return False  # it may or may not be there: the next attempt begins with reading
        except FindingError:
            # Refused because another run was faster, or for a reason of its own.
            if self._holder() is None:
                raise
            return False
        return True

    def _take_over(self, identifier: str, description: str) -> None:
        """Remove a lock whose holder is gone; FindingError SW4040 where it may still run."""
        if not self._is_gone(description) and not (self.way_back and self._is_silent(identifier, description)):
            raise FindingError(codes.LOCKED.at(f"{self.target}: {_shown(description)}", hint=_hint(description)))
        with contextlib.suppress(NotFound):
            self.client.delete(KIND, identifier)
        self.findings = (codes.STALE_LOCK.at(f"{self.target}: {_shown(description)}"),)

    def _is_gone(self, description: str) -> bool:
        form = _FORM.fullmatch(description)
        if form is None:
            return False  # somebody else's object, or text that a person changed: never removed
        run, _user, _host, place, pid, _since, until, _purpose = form.groups()
        if place == _place() and (run not in _HELD if int(pid) == os.getpid() else not _runs(int(pid))):
            return True
        # A process of that number may be another one by now: the time counts as well.
        try:
            return datetime.fromisoformat(until) < self.now()
        except (ValueError, TypeError):
            return False

    def _is_silent(self, identifier: str, description: str) -> bool:
        """Wait until a lock is renewed, which says that its holder lives, or has not been for long enough."""
        waited = 0.0
        while waited < SILENCE:
            self._sleep(LOOK_AGAIN)
            waited += LOOK_AGAIN
            if self._holder() != (identifier, description):
                return False
        return True

    def _not_taken(self) -> Finding:
        holder = self._holder()
        if holder is None or _part(holder[1], 1) == self.run:
            return codes.TARGET_FAILED.at(f"{self.target}: taking the lock was not answered {ATTEMPTS} times")
        return codes.LOCKED.at(f"{self.target}: {_shown(holder[1])}", hint=_hint(holder[1]))

    # -- keeping

    def _renew(self) -> None:
        while not self._ended.wait(RENEWAL):
            begun = self._clock()
            try:
                holder = self._holder()
                if holder is None or _part(holder[1], 1) != self.run:
                    self._taken_from_us = True
                    return
                body = {"name": NAME, "description": self._text(), "dacl": "permit ip any any", "daclType": "IPV4"}
                self.client.update(KIND, holder[0], body)
                self._renewed = begun
            except (Lost, NotFound, FindingError):
                continue  # tried again; ``lost`` says where that did not help in time

    def _text(self) -> str:
        who = owner()
        user = re.sub(r"[^\w.-]", "_", str(who["user"])) or "unknown"
        until = _stamp(self.now() + LIFETIME)
        return (
            f"{MARK} run={self.run} holder={user}@{who['host']} place={_place()} pid={who['pid']} "
            f"since={self._since} until={until} for {self.purpose}"
        )


def _part(description: str, group: int) -> str:
    form = _FORM.fullmatch(description)
    return form.group(group) if form else ""


def _shown(description: str) -> str:
    form = _FORM.fullmatch(description)
    if form is None:
        return f"held by the object {NAME}, which no run of Segwright wrote"
    _run, user, host, _where, pid, since, until, purpose = form.groups()
    return f"held by {user} on {host}, process {pid}, since {since}, at the latest until {until} ({purpose})"


def _hint(description: str) -> str:
    if _FORM.fullmatch(description) is None:
        return f"see who made the downloadable ACL {NAME}, and remove it in ISE"
    return f"wait until it has ended; where it surely does not run any more, remove the downloadable ACL {NAME} in ISE"


def _place() -> str:
    """Return where a process number means something: this host since it started, and this container on it."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
    with contextlib.suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:12]


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _stamp(moment: datetime) -> str:
    return moment.replace(microsecond=0).isoformat()
