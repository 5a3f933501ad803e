# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controllers that do one thing at a time, in an order that the test chooses: each way in which two may meet can be had, and had again.

Each has sessions of its own and counts as another host. What one does between two lines belongs to the line before.
"""

from __future__ import annotations

import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import apply_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.codes import UNDO_REFUSED
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import Plan, build_plan, snapshot_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import ways_back
from tests.integration.lists import COMMIT, apply, codes_of

Choose = Callable[[list[str], list[str]], str]  # who of those that wait goes on, given the turns so far

_ME = threading.local()
PLACES = {"one": "aaaaaa", "two": "bbbbbb"}


@dataclass
class InStep:
    """Turns among controllers by name. ``running`` is False where each does as it likes; ``pauses``: turns that a pause leaves others."""

    choose: Choose = field(default=lambda waiting, _order: waiting[0])
    pauses: Callable[[], int] = field(default=lambda: 4)
    patience: float = 60.0
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
            if not self._changed.wait_for(lambda: self._turn == who, self.patience):
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
            _ME.who = who
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


class Killed(BaseException):
    """The end of a run that leaves it no time."""


class Pair:
    """Two controllers on one firewall, ``fw1``, each with sessions and a journal of its own; ``wanted``: what opens a port."""

    base, ports = 443, {"one": 8443, "two": 9443}

    def __init__(
        self,
        step: InStep,
        directory: Path,
        wanted: Callable[[int], list[Any]],
        target_of: Callable[[str], Any],
    ) -> None:
        self.step, self.directory, self.wanted, self.round = step, directory, wanted, 0
        self.lines: dict[str, list[str]] = {name: [] for name in self.ports}
        self.dies: dict[str, str] = {}
        self.runs: dict[str, tuple[Plan, Journal]] = {}
        self.targets = {name: target_of(name) for name in self.ports}

    def begin_anew(self) -> None:
        """Bring the firewall back to the first policy."""
        raise NotImplementedError

    def held(self) -> int:
        """Return the port that is open; what is in force is whole, and nothing else of ours is there."""
        raise NotImplementedError

    def ended(self, who: str) -> None:
        """Called when a controller's run has ended."""

    def sent(self, who: str, text: str) -> None:
        """Note what a controller has sent, and end it where that is asked for."""
        self.lines[who].append(text)
        if who in self.dies and re.search(self.dies[who], text):
            raise Killed

    def works(self, ports: dict[str, int]) -> dict[str, Callable[[], list[Finding]]]:
        """Both plan now, from one state, and apply when it is their turn; each returns its errors."""
        self.runs, made = {}, {}
        for name, port in ports.items():
            chosen, desired = {"fw1": self.targets[name]}, self.wanted(port)
            plan = build_plan(chosen, desired, snapshot_all(chosen, desired), policy_commit=COMMIT)
            self.runs[name] = plan, Journal(self.directory / f"{self.round}-{name}.jsonl")
            self.lines[name].clear()
            made[name] = partial(self._work, name, chosen, desired)
        return made

    def _work(self, name: str, chosen: dict[str, Any], desired: list[Any]) -> list[Finding]:
        plan, journal = self.runs[name]
        try:
            findings = apply_plan(plan, chosen, desired, journal, policy_commit=COMMIT).findings
        except FindingError as error:
            findings = error.findings
        self.ended(name)
        return errors_of(findings)

    def one_goes_back(self, refusals: Collection[str]) -> Counter[str]:
        """Let one go back on what it applied while the other applies, time and again; returns how often it came too late."""
        dice, seen = random.Random("back"), Counter[str]()
        for number in range(16):
            self.begin_anew()
            chosen, journal = {"fw1": self.targets["one"]}, Journal(self.directory / f"back-{number}.jsonl")
            plan, outcome = apply(self.targets["one"], self.wanted(self.ports["one"]), journal)
            assert outcome.ok
            works: dict[str, Callable[[], Any]] = dict(self.works({"two": self.ports["two"]}))
            works["one"] = partial(rollback_plan, plan.plan_id, chosen, journal)
            results = self.step.run(works, by_dice(dice) if number else alternately)
            one, two = codes_of(errors_of(results["one"].findings)), codes_of(results["two"])
            about = (number, self.step.order, results)
            assert (one == set() and two & set(refusals)) or (UNDO_REFUSED.number in one and not two), about
            assert self.held() == (self.ports["two"] if one else self.base), about
            seen["came too late" if one else "back"] += 1
        print(f"back while another comes: {dict(seen)}")
        return seen
