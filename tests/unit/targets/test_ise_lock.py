# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock that stands in ISE: who waits for whom, and what a holder learns that lost it. No connection."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import ise_lock
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_client import Lost, NotFound
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_lock import NAME, IseLock

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Ise:
    """One object of the lock's name, or none."""

    def __init__(self, description: str = "") -> None:
        self.held: tuple[str, str] | None = ("1", description) if description else None
        self.dead = False
        self.one_at_a_time = threading.Lock()

    def list_items(self, kind: str, name_filter: str = "") -> list[dict[str, Any]]:
        self._alive()
        return [{"id": self.held[0], "name": NAME, "description": self.held[1]}] if self.held else []

    def create(self, kind: str, body: Mapping[str, Any]) -> str:
        self._alive()
        assert self.held is None
        self.held = ("2", str(body["description"]))
        return "2"

    def update(self, kind: str, identifier: str, body: Mapping[str, Any]) -> None:
        self._alive()
        with self.one_at_a_time:
            if self.held is None or self.held[0] != identifier:
                raise NotFound
            self.held = (identifier, str(body["description"]))

    def delete(self, kind: str, identifier: str) -> None:
        self.held = None

    def _alive(self) -> None:
        if self.dead:
            raise Lost("no answer")


def text(place: str = "abcdefabcdef", pid: int = 4711, until: datetime = NOW + timedelta(minutes=15)) -> str:
    return (
        f"segwright-lock run=0123456789ab holder=ann@elsewhere place={place} pid={pid} since=x "
        f"until={until.isoformat()} for apply"
    )


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.each: Callable[[], None] = lambda: None

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.each()


def lock(ise: Ise, clock: Clock, way_back: bool = False) -> IseLock:
    made: Any = ise
    return IseLock(
        "ise1", made, "x", way_back=way_back, now=lambda: NOW, clock=lambda: clock.now, sleep=clock.sleep
    )  # fmt: skip


def test_a_dead_controllers_lock_stops_an_apply_and_not_the_way_back() -> None:
    ise, clock = Ise(text()), Clock()
    with pytest.raises(FindingError) as refused:
        lock(ise, clock).__enter__()
    assert refused.value.findings[0].code == "SW4040" and clock.now == 0
    with lock(ise, clock, way_back=True) as taken:
        assert [finding.code for finding in taken.findings] == ["SW4041"] and clock.now <= 90
    assert ise.held is None


def test_a_holder_that_renews_is_left_alone_by_the_way_back_too() -> None:
    ise, clock = Ise(text()), Clock()

    def renewed() -> None:
        if clock.now >= 30:
            ise.held = ("1", text(until=NOW + timedelta(minutes=16)))

    clock.each = renewed
    with pytest.raises(FindingError) as refused:
        lock(ise, clock, way_back=True).__enter__()
    assert refused.value.findings[0].code == "SW4040" and clock.now <= 40


def test_an_object_of_somebody_else_does_not_block_the_way_back() -> None:
    ise = Ise("mine")
    with lock(ise, Clock(), way_back=True) as passed:
        assert [(finding.code, finding.severity) for finding in passed.findings] == [("SW4040", "warning")]
    assert ise.held == ("1", "mine")


def test_the_number_of_a_process_does_not_keep_a_lock_beyond_its_time() -> None:
    parent = os.getppid()
    here = ise_lock._place()
    with pytest.raises(FindingError):
        lock(Ise(text(here, parent)), Clock()).__enter__()
    with lock(Ise(text(here, parent, NOW - timedelta(seconds=1))), Clock()) as taken:
        assert [finding.code for finding in taken.findings] == ["SW4041"]


@pytest.mark.parametrize("how", ["silence", "taken"])
def test_a_holder_learns_that_it_lost_the_lock(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ise_lock, "RENEWAL", 0.001)
    ise, clock = Ise(), Clock()
    with lock(ise, clock) as held:
        assert not held.lost
        if how == "silence":
            ise.dead = True
            clock.now += ise_lock.LIFETIME.total_seconds()
        else:
            with ise.one_at_a_time:
                ise.held = ("3", text())
            assert held._renewer is not None
            held._renewer.join(timeout=20)
        assert held.lost
        ise.dead = False
    assert how == "silence" or ise.held == ("3", text())


def test_a_run_with_nothing_to_do_sweeps_what_a_killed_one_left_and_nothing_else() -> None:
    over = Ise(text(until=NOW - timedelta(seconds=1)))
    made = lock(over, Clock())
    made.sweep()
    assert over.held is None
    assert [found.code for found in made.findings] == ["SW4041"]
    for kept in (Ise(text()), Ise("a list of the desktop team"), Ise()):
        made, before = lock(kept, Clock()), kept.held
        made.sweep()
        assert kept.held == before
        assert made.findings == ()
    silent = Ise(text(until=NOW - timedelta(seconds=1)))
    silent.dead = True
    lock(silent, Clock()).sweep()
    assert silent.held is not None
