# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controllers that do one thing at a time, in an order that the test chooses: each way in which two may meet can be had, and had again.

Each has sessions of its own and counts as another host. What one does between two lines belongs to the line before.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import ways_back

PATIENCE = 60.0
Choose = Callable[[list[str], list[str]], str]  # who of those that wait goes on, given the turns so far

_ME = threading.local()
PLACES = {"one": "aaaaaa", "two": "bbbbbb"}


@dataclass
class InStep:
    """Turns among controllers by name. ``running`` is False where each does as it likes; ``pauses``: turns that a pause leaves others."""

    choose: Choose = field(default=lambda waiting, _order: waiting[0])
    pauses: Callable[[], int] = field(default=lambda: 4)
    order: list[str] = field(default_factory=list)
    running: bool = False
    _alive: set[str] = field(default_factory=set)
    _waiting: set[str] = field(default_factory=set)
    _turn: str = ""
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def line(self, who: str) -> None:
        """Wait for one's turn; called before each line that a controller sends."""
        _ME.who = who
        if not self.running:
            return
        with self._changed:
            if self._turn == who:
                self._turn = ""
            self._waiting.add(who)
            self._next()
            if not self._changed.wait_for(lambda: self._turn == who, PATIENCE):
                raise AssertionError(f"{who} waits for {self._alive - self._waiting}")
            self._waiting.discard(who)

    def _end(self, who: str) -> None:
        with self._changed:
            self._alive.discard(who)
            if self._turn == who:
                self._turn = ""
            self._next()

    def _next(self) -> None:
        if self._alive and not self._turn and self._waiting == self._alive:
            self._turn = self.choose(sorted(self._waiting), self.order)
            self.order.append(self._turn)
            self._changed.notify_all()

    def pause(self, _seconds: float) -> None:
        """What a run does that waits: leave some turns to the other."""
        for _turn in range(self.pauses() if self.running else 0):
            self.line(_ME.who)

    def run(self, works: dict[str, Callable[[], Any]], choose: Choose) -> dict[str, Any]:
        """Let every work go on in turns until all have ended; returns by name what each returned or raised."""
        results: dict[str, Any] = {}
        self.choose, self.order, self.running, self._alive = choose, [], True, set(works)

        def ended(who: str, work: Callable[[], Any]) -> None:
            try:
                results[who] = work()
            except BaseException as error:
                results[who] = error
            finally:
                self._end(who)

        threads = [threading.Thread(target=ended, args=item, name=item[0]) for item in works.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.running = False
        return results


def where() -> str:
    """Return the place that the controller of this thread is at."""
    return PLACES[getattr(_ME, "who", "one")]


@pytest.fixture
def in_step(monkeypatch: pytest.MonkeyPatch) -> InStep:
    made = InStep()
    monkeypatch.setattr(ways_back, "place", where)
    monkeypatch.setattr(ways_back, "pause", made.pause)
    return made


def alternately(waiting: list[str], order: list[str]) -> str:
    """The one whose turn was not the last."""
    return next((each for each in waiting if each not in order[-1:]), waiting[0])


def after(lines: int) -> Choose:
    """The first goes on for some lines, then the second to its end."""

    def chosen(waiting: list[str], order: list[str]) -> str:
        return "one" if "one" in waiting and (len(order) < lines or "two" not in waiting) else "two"

    return chosen


def by_dice(dice: random.Random) -> Choose:
    """Whoever the dice choose, for some lines at a time."""
    left, chosen = 0, ""

    def thrown(waiting: list[str], _order: list[str]) -> str:
        nonlocal left, chosen
        if left <= 0 or chosen not in waiting:
            left, chosen = dice.choice((1, 1, 2, 4, 9)), dice.choice(waiting)
        left -= 1
        return chosen

    return thrown
