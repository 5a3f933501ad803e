# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many devices in one process: who goes when, and what is known of each afterwards. Knows no platform.

One process with threads instead of one task a device: 1,000 devices cost Ansible about 50 ms of CPU each and task, a thread
almost nothing (facts/ansible.md section 4).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base import progress
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Target
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes

UNCHANGED, CHANGED, FAILED, UNREACHABLE, NOT_BEGUN, BEGUN = (
    "unchanged", "changed", "failed", "unreachable", "not_begun", "begun",
)  # fmt: skip
MOST_WORKERS = 256
TICK_SECONDS = 0.5


@dataclass(frozen=True)
class Job:
    """What one device shall hold and how to reach it. ``open`` makes the target; nothing is connected before it is used."""

    host: str
    platform: str
    desired: tuple[DesiredObject, ...]
    open: Callable[[], Target]
    site: str = ""


@dataclass(frozen=True)
class Pace:
    """How many devices at a time, in all and at one site (0: no limit of its own), and the least seconds between two starts.

    Login servers, terminal lines and links of a site set the limits (facts/devices.md section 5.4).
    """

    workers: int = 50
    per_site: int = 0
    interval: float = 0.0
    site_interval: float = 0.0
    most_failures: int = 0


@dataclass(frozen=True)
class DeviceResult:
    """What became of one device.

    ``commands``: the lines that were, or in check mode would be, typed, in order; ``sent``: how many were; ``in_force`` says in
    words what the device holds now; ``seconds``: wall time from the first packet on.
    """

    host: str
    platform: str
    status: str
    site: str = ""
    check: bool = False
    commands: tuple[str, ...] = ()
    sent: int = 0
    diff: str = ""
    operations: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    completed: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    findings: tuple[Finding, ...] = ()
    in_force: str = ""
    run: str = ""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Return whether the device holds what it shall, or would."""
        return self.status in (UNCHANGED, CHANGED)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for a file."""
        return {
            "host": self.host, "platform": self.platform, "status": self.status, "site": self.site, "check": self.check,
            "commands": list(self.commands), "sent": self.sent, "diff": self.diff,
            "operations": [dict(each) for each in self.operations],
            "completed": [dict(each) for each in self.completed],
            "findings": [each.as_dict() for each in self.findings], "in_force": self.in_force, "run": self.run,
            "seconds": round(self.seconds, 3),
        }  # fmt: skip


Work = Callable[[Job], DeviceResult]


def run_fleet(
    jobs: Sequence[Job],
    work: Work,
    pace: Pace,
    *,
    stop: threading.Event | None = None,
    done: Callable[[DeviceResult], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> list[DeviceResult]:
    """Return one result for each job, in the order of the jobs.

    ``work`` runs in a thread and never raises. No device is begun after ``stop`` is set or too many have failed; those at work
    come to their end. ``done`` is called in this thread, once a device, with the devices that were not begun as well.
    """
    return _Fleet(jobs, work, pace, stop or threading.Event(), done, clock).run()


class _Fleet:
    def __init__(
        self,
        jobs: Sequence[Job],
        work: Work,
        pace: Pace,
        stop: threading.Event,
        done: Callable[[DeviceResult], None] | None,
        clock: Callable[[], float],
    ) -> None:
        self.jobs, self.work, self.pace, self.stop, self.done, self.clock = jobs, work, pace, stop, done, clock
        self.waiting = deque(jobs)
        self.at_work: dict[Future[DeviceResult], Job] = {}
        self.results: dict[str, DeviceResult] = {}
        self.last = -1e9
        self.site_last: dict[str, float] = {}
        self.site_count: dict[str, int] = {}
        self.counts = Counts(len(jobs), clock)

    def run(self) -> list[DeviceResult]:
        with ThreadPoolExecutor(max_workers=max(1, min(self.pace.workers, len(self.jobs) or 1))) as pool:
            while self.waiting or self.at_work:
                if self._stopping():
                    self._drop_waiting()
                pause = self._begin(pool)
                self._collect(pause)
                self.counts.say(len(self.at_work))
        return [self.results[job.host] for job in self.jobs]

    def _stopping(self) -> bool:
        most = self.pace.most_failures
        return self.stop.is_set() or bool(most and self.counts.bad >= most)

    def _drop_waiting(self) -> None:
        why = "the run was interrupted" if self.stop.is_set() else "too many devices failed before"
        while self.waiting:
            job = self.waiting.popleft()
            found = codes.NOT_BEGUN.at(f"{job.host}: {why}")
            self._note(
                DeviceResult(
                    job.host,
                    job.platform,
                    NOT_BEGUN,
                    job.site,
                    findings=(found,),
                    in_force="nothing was sent to it; what was in force before is in force",
                )
            )

    def _begin(self, pool: ThreadPoolExecutor) -> float:
        """Begin every device that may go now; return the seconds until the next one may."""
        pause, passed = TICK_SECONDS, deque[Job]()
        while self.waiting and len(self.at_work) < self.pace.workers:
            now = self.clock()
            if now - self.last < self.pace.interval:
                pause = min(pause, self.pace.interval - (now - self.last))
                break
            job = self.waiting.popleft()
            free = self._site_free(job.site, now)
            if free > 0:
                passed.append(job)
                pause = min(pause, free)
                continue
            self.last = self.site_last[job.site] = now
            self.site_count[job.site] = self.site_count.get(job.site, 0) + 1
            self.at_work[pool.submit(self.work, job)] = job
        self.waiting.extendleft(reversed(passed))
        return pause

    def _site_free(self, site: str, now: float) -> float:
        """Return the seconds until a site may have one more, 0 for at once."""
        if self.pace.per_site and self.site_count.get(site, 0) >= self.pace.per_site:
            return TICK_SECONDS
        return max(0.0, self.site_last.get(site, -1e9) + self.pace.site_interval - now)

    def _collect(self, pause: float) -> None:
        if not self.at_work:
            if self.waiting:
                self.stop.wait(pause)
            return
        for future in wait(self.at_work, timeout=pause, return_when=FIRST_COMPLETED).done:
            job = self.at_work.pop(future)
            self.site_count[job.site] -= 1
            self._note(future.result())

    def _note(self, result: DeviceResult) -> None:
        self.results[result.host] = result
        self.counts.add(result)
        if self.done is not None:
            self.done(result)


class Counts:
    """How many devices came to which end, and the line that says so now and then, with the time that remains."""

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.total, self._clock = total, clock
        self.by_status: dict[str, int] = {}
        self._began = self._said = clock()

    def add(self, result: DeviceResult) -> None:
        """Count one device."""
        self.by_status[result.status] = self.by_status.get(result.status, 0) + 1

    @property
    def ended(self) -> int:
        """Return how many devices came to an end."""
        return sum(self.by_status.values())

    @property
    def bad(self) -> int:
        """Return how many failed or could not be reached."""
        return self.by_status.get(FAILED, 0) + self.by_status.get(UNREACHABLE, 0)

    def say(self, at_work: int) -> None:
        """Show the line, at most every five seconds and never for work that ends before that."""
        now, show = self._clock(), progress.SHOW.get()
        if show is not None and now - self._said >= progress.EVERY_SECONDS:
            self._said = now
            show(self.line(now, at_work))

    def line(self, now: float, at_work: int) -> str:
        """Return the line for a moment of the clock."""
        rate = self.ended / max(now - self._began, 1e-9)
        left = f"{(self.total - self.ended) / rate:,.0f} s left" if rate else "time left unknown"
        counts = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in sorted(self.by_status.items()))
        return f"devices: {self.ended:,} of {self.total:,} ({counts or 'none ended'}), {at_work:,} at work, {left}"


def summary(results: Sequence[DeviceResult]) -> dict[str, Any]:
    """Return counts by status and the names of those that did not end well."""
    counts = dict.fromkeys((CHANGED, UNCHANGED, FAILED, UNREACHABLE, NOT_BEGUN), 0)
    for result in results:
        counts[result.status] = counts.get(result.status, 0) + 1
    return {
        "counts": counts,
        **{f"{name}_hosts": sorted(each.host for each in results if each.status == name) for name in counts if name != UNCHANGED},
    }  # fmt: skip


def settled(result: DeviceResult, run: str, seconds: float) -> DeviceResult:
    """Return a result with the run's name and the wall time."""
    return replace(result, run=run, seconds=seconds)


def failed_status(findings: Sequence[Finding], *, begun: bool) -> str:
    """Return ``unreachable`` where nobody got as far as the first command, else ``failed``; Ansible treats them apart."""
    errors = errors_of(list(findings))
    unreached = {code.number for code in (codes.UNREACHABLE, codes.LOGIN_REFUSED, codes.NO_ANSWER, codes.HOST_KEY)}
    return UNREACHABLE if not begun and errors and all(each.code in unreached for each in errors) else FAILED
