# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who goes when in a fleet, how failures are counted, and what the line of progress says. No device, no connection."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code, Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.fleet import (
    CHANGED,
    FAILED,
    NOT_BEGUN,
    UNCHANGED,
    UNREACHABLE,
    Counts,
    DeviceResult,
    Job,
    Pace,
    failed_status,
    run_fleet,
    summary,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.fleet_device import unfinished


def jobs(number: int, sites: int = 1) -> list[Job]:
    def never() -> None:
        raise AssertionError("nothing is opened here")

    return [Job(f"sw{n}", "ios", (), never, f"site{n % sites}") for n in range(number)]  # type: ignore[arg-type]


class Watch:
    """Work that notes how many are at it, in all and by site, and waits until ``most`` are or nobody else may come."""

    def __init__(self, status: Callable[[Job], str] = lambda _job: CHANGED) -> None:
        self.status, self.lock = status, threading.Lock()
        self.now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.order: list[str] = []

    def __call__(self, job: Job) -> DeviceResult:
        with self.lock:
            self.order.append(job.host)
            for key in ("all", job.site):
                self.now[key] += 1
                self.most[key] = max(self.most[key], self.now[key])
        threading.Event().wait(0.002)
        with self.lock:
            for key in ("all", job.site):
                self.now[key] -= 1
        return DeviceResult(job.host, job.platform, self.status(job), job.site)


def test_workers_and_devices_of_a_site_are_bounded_and_results_in_order() -> None:
    work = Watch()
    results = run_fleet(jobs(40, sites=4), work, Pace(workers=6, per_site=2))
    assert [each.host for each in results] == [f"sw{n}" for n in range(40)]
    assert {each.status for each in results} == {CHANGED}
    assert 1 < work.most["all"] <= 6
    assert all(work.most[f"site{n}"] <= 2 for n in range(4))


def test_a_site_that_is_full_does_not_hold_up_the_others() -> None:
    hold = threading.Event()

    def work(job: Job) -> DeviceResult:
        if job.site == "site0":
            assert hold.wait(20)  # ends only when the other site is done
        elif job.host == "sw7":
            hold.set()
        return DeviceResult(job.host, job.platform, UNCHANGED, job.site)

    results = run_fleet(jobs(8, sites=2), work, Pace(workers=2, per_site=1))
    assert [each.status for each in results] == [UNCHANGED] * 8


@pytest.mark.parametrize("bad", [FAILED, UNREACHABLE])
def test_no_device_is_begun_after_too_many_failed(bad: str) -> None:
    work = Watch(lambda job: bad if job.host in ("sw1", "sw3") else CHANGED)
    told: list[str] = []
    results = run_fleet(jobs(9), work, Pace(workers=1, most_failures=2), done=lambda each: told.append(each.host))
    assert work.order == ["sw0", "sw1", "sw2", "sw3"]
    assert [each.status for each in results[4:]] == [NOT_BEGUN] * 5
    assert results[8].findings[0].code == "SW4400"
    assert sorted(told) == sorted(each.host for each in results)  # each is told once, those not begun as well


def test_an_interrupt_begins_no_further_device_and_lets_those_at_work_end() -> None:
    stop = threading.Event()

    def work(job: Job) -> DeviceResult:
        stop.set()
        return DeviceResult(job.host, job.platform, CHANGED)

    results = run_fleet(jobs(5), work, Pace(workers=1), stop=stop)
    assert [each.status for each in results] == [CHANGED] + [NOT_BEGUN] * 4
    assert "interrupted" in results[1].findings[0].message
    assert summary(results)["not_begun_hosts"] == ["sw1", "sw2", "sw3", "sw4"]
    assert run_fleet([], work, Pace()) == []


def test_starts_keep_their_distance() -> None:
    now = [100.0]
    begun: list[float] = []

    def clock() -> float:
        now[0] += 0.05  # each look at the clock is a moment later
        return now[0]

    def work(job: Job) -> DeviceResult:
        begun.append(now[0])
        return DeviceResult(job.host, job.platform, CHANGED)

    run_fleet(jobs(4), work, Pace(workers=4, interval=0.4), clock=clock)
    assert len(begun) == 4
    assert all(later - earlier >= 0.39 for earlier, later in zip(begun, begun[1:], strict=False))


def test_the_line_of_progress() -> None:
    counts = Counts(100, clock=lambda: 0.0)
    assert counts.line(5.0, 3) == "devices: 0 of 100 (none ended), 3 at work, time left unknown"
    for status in (CHANGED, CHANGED, CHANGED, NOT_BEGUN, FAILED):
        counts.add(DeviceResult("x", "ios", status))
    assert counts.bad == 1
    assert counts.line(10.0, 2) == "devices: 5 of 100 (3 changed, 1 failed, 1 not begun), 2 at work, 190 s left"


def error(code: Code) -> Finding:
    return code.at("sw1")


def test_unreachable_is_only_who_never_answered() -> None:
    assert failed_status([error(codes.UNREACHABLE)], begun=False) == UNREACHABLE
    assert failed_status([error(codes.LOGIN_REFUSED)], begun=False) == UNREACHABLE
    assert (
        failed_status([error(codes.UNREACHABLE)], begun=True) == FAILED
    )  # lost in the middle: something may stand there
    assert failed_status([error(codes.UNREACHABLE), error(codes.CLI_ERROR)], begun=False) == FAILED
    assert failed_status([], begun=False) == FAILED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", False),
        ('{"event":"plan_started"}\n{"event":"plan_done"}\n', False),
        ('{"event":"rollback_done"}\n', False),
        ('{"event":"plan_done"}\n{"event":"plan_started"}\n', True),
        ('{"event":"plan_started"}\n{"event":"plan_failed","note":"plan_done"}\n', True),
        ('{"event":"plan_done"}\n{"event":"opera', True),  # torn by a kill
    ],
)
def test_a_journal_without_a_good_end_is_unfinished(tmp_path: Path, text: str, expected: bool) -> None:
    path = tmp_path / "sw1.jsonl"
    assert not unfinished(path)
    path.write_text(text, encoding="utf-8")
    assert unfinished(path) is expected
