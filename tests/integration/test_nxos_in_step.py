# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two controllers that share nothing but a Nexus switch, each with a plan of the same state, in step over real SSH.

Dice say which of the two types its next line or reads next, so a seed is an order that can be had again. After each line of either the
switch is looked at from its own side.
"""

from __future__ import annotations

import random
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import apply_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import build_plan, snapshot_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import nxos_session, ways_back
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos import NxosTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_session import NxosSession
from tests.integration.lists import COMMIT, OTHER_PLACE, apply, codes_of, other_controller
from tests.integration.test_targets_nxos import LET_IN, Switch, list_object, made_switch, of, packet, place, spec_for

BASE, PATIENCE = 7443, 120.0
WHO = threading.local()
PLACES = {"one": "aaaaaa", "two": "bbbbbb"}
# What a run may be refused with before it types anything but its claim; then what would be the hole that the claim closes.
REFUSALS = {"SW4476", "SW4222", "SW4015", "SW4481"}
NEVER = {"SW4260", "SW4264", "SW4268", "SW4480"}
OURS = re.compile(r"SW_claim|SW_way_back")
BARE = "feature scheduler\nscheduler job name THEIRS\nshow clock\nend-job\n"


def wanted(port: int, guarded: bool) -> list[Any]:
    lines = (*LET_IN, f"permit tcp any 10.0.0.1/32 eq {port}", "deny ip any any")
    places = [place("Ethernet1/1", "SW_hvac"), place("Ethernet1/2", "SW_hvac")]
    return of(
        list_object("SW_hvac", *lines), *places, *([place("Vlan10", "SW_hvac", "ip access-group")] if guarded else [])
    )


class Named(NxosTarget):
    """A target of one of the two, whichever thread it works in."""

    def __init__(self, switch: Switch, who: str) -> None:
        super().__init__(spec_for(switch))
        self.who = who

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name.startswith("_") or not callable(found):
            return found

        def called(*given: Any, **named: Any) -> Any:
            WHO.name = self.who
            return found(*given, **named)

        return called


class Turns:
    """Lets one of several threads go on at a time, by the dice, and looks at the switch between."""

    def __init__(self, switch: Switch, dice: random.Random, names: tuple[str, ...]) -> None:
        self.switch, self.dice, self.alive, self.waiting = switch, dice, set(names), set[str]()
        self.turn, self.condition, self.count, self.wrong = "", threading.Condition(), 0, list[str]()

    def wait(self) -> None:
        me = WHO.name
        with self.condition:
            self.waiting.add(me)
            self._choose()
            if not self.condition.wait_for(lambda: self.turn == me, PATIENCE):
                raise TimeoutError(f"{me}: no turn of {self.alive}")
            self.turn = ""
            self.waiting.discard(me)
            self.count += 1

    def end(self, me: str) -> None:
        with self.condition:
            self.alive.discard(me)
            self._choose()

    def _choose(self) -> None:
        if self.alive and self.waiting == self.alive and not self.turn:
            text = self.switch.running()
            missing = set(re.findall(r"(?:access-group|traffic-filter) (SW_\S+) in", text)) - set(
                re.findall(r"(?m)^ip access-list (SW_\S+)\n  \d", text)
            )
            self.wrong += [f"after {self.count}: {missing} attached and not there"] if missing else []
            self.turn = self.dice.choice(sorted(self.waiting))
            self.condition.notify_all()


@contextmanager
def in_step(monkeypatch: pytest.MonkeyPatch, turns: Turns) -> Iterator[None]:
    """Each line and each reading of either controller is a turn, and each has a place of its own."""
    with monkeypatch.context() as patch:
        plain_type, plain_show, plain_command = NxosSession._type, NxosSession.show, NxosSession._command

        def typed(self: NxosSession, lines: Any) -> None:
            for line in lines:
                turns.wait()
                plain_type(self, [line])

        def show(self: NxosSession, *given: Any) -> str:
            turns.wait()
            return plain_show(self, *given)

        def command(self: NxosSession, *given: Any) -> str:
            turns.wait()
            return plain_command(self, *given)

        patch.setattr(NxosSession, "_type", typed)
        patch.setattr(NxosSession, "show", show)
        patch.setattr(NxosSession, "_command", command)
        patch.setattr(ways_back, "place", lambda: PLACES[WHO.name])
        patch.setattr(
            ways_back, "pause", lambda _seconds: [turns.wait() for _turn in range(12)]
        )  # what is typed in that time
        yield


def run(switch: Switch, directory: Path, seed: str, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any]) -> str:
    """Two runs in the order of one seed; returns what came of it."""
    dice, turns_of = random.Random(seed), ("one", "two")
    guarded, same = dice.random() < 0.5, dice.random() < 0.3
    ports = {"one": 8443, "two": 8443 if same else 9443}
    settled = NxosTarget(spec_for(switch))
    assert apply(settled, wanted(BASE, guarded), Journal(directory / "base.jsonl"))[1].ok
    settled.close()
    base, results, ended = switch.running(), dict[str, Any](), dict[str, str]()
    turns = Turns(switch, dice, turns_of)
    targets = {name: Named(switch, name) for name in turns_of}
    desired = {name: wanted(port, guarded) for name, port in ports.items()}
    plans = {
        name: build_plan(
            {"n9k1": each}, desired[name], snapshot_all({"n9k1": each}, desired[name]), policy_commit=COMMIT
        )
        for name, each in targets.items()
    }
    switch.probe(*(packet(port) for port in (BASE, 8443, 9443, 23, 22)))

    def work(name: str) -> None:
        try:
            journal = Journal(directory / f"{name}.jsonl")
            results[name] = apply_plan(
                plans[name], {"n9k1": targets[name]}, desired[name], journal, policy_commit=COMMIT
            )
        except FindingError as error:
            results[name] = error
        except BaseException as error:
            ended[name] = repr(error)
            raise
        finally:
            targets[name].close()
            turns.end(name)

    with in_step(monkeypatch, turns):
        threads = [threading.Thread(target=partial(work, name), name=name) for name in turns_of]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    about = (
        seed,
        guarded,
        ports,
        turns.count,
        more,
        {name: sorted(codes_of(each.findings)) for name, each in results.items()},
    )
    assert not ended and len(results) == 2, (about, ended)
    text = switch.running()
    good = [name for name in turns_of if getattr(results[name], "ok", False)]
    if not same:
        assert len(good) < 2, about
    # Never a name attached whose list is not there, and every packet met one of the whole lists at every moment.
    assert not turns.wrong, (about, turns.wrong)
    assert switch.verdicts() <= {"PDDDP", "DPDDP", "DDPDP"}, (about, switch.verdicts())
    # Nothing of ours is left, and one list is in force everywhere.
    assert not OURS.search(text) and ("feature scheduler" in text) == bool(more.get("initial_config")), (about, text)
    assert len(switch.attached()) == 1 and switch.lists() == switch.attached() and not switch.device.config_sessions, (
        about,
        text,
    )
    assert not OURS.search(switch.device.startup), about
    held = next(port for port in (BASE, 8443, 9443) if f"eq {port}" in text)
    assert held in ({ports[good[0]]} if good else {BASE, *ports.values()}), about
    for result in results.values():
        bad = {finding.code for finding in result.findings if finding.severity == "error"}
        assert not bad & NEVER and (getattr(result, "ok", False) or bad & REFUSALS), (
            about,
            [each.message for each in result.findings],
        )
    if not good and held == BASE:
        assert text == base, about
    return (
        "both of the same plan"
        if len(good) == 2
        else "one"
        if good
        else f"none, {'old' if held == BASE else 'new'} list"
    )


@pytest.fixture(
    params=[{}, {"session_manager": False}, {"theirs": True}], ids=["bare", "plain lines", "scheduler of theirs"]
)
def box(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Switch, dict[str, Any]]]:
    from tests.integration.test_targets_nxos import CONFIG

    monkeypatch.setattr(nxos_session, "LINE_SECONDS", 30.0)
    more = {"initial_config": CONFIG + BARE} if request.param.get("theirs") else dict(request.param)
    for switch in made_switch(tmp_path, minute_seconds=300.0, **more):
        yield switch, more


@pytest.mark.parametrize("box", [{}], indirect=True, ids=["bare"])
def test_two_in_step(box: tuple[Switch, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    print(run(box[0], tmp_path, "2", monkeypatch, box[1]))
    assert not OURS.search(box[0].running())


@pytest.mark.full
def test_two_in_many_steps(box: tuple[Switch, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    switch, more = box
    start, seen = switch.running(), Counter[str]()
    for number in range(25):
        directory = tmp_path / str(number)
        directory.mkdir()
        seen[run(switch, directory, f"{sorted(more)} {number}", monkeypatch, more)] += 1
        switch.fleet.call(partial(switch.device.replace_config, start))
    print(dict(seen))
    assert seen["one"] and sum(seen.values()) == 25


class Dead(BaseException):
    """The end of a run that leaves it no time."""


@pytest.mark.parametrize("box", [{}], indirect=True, ids=["bare"])
def test_the_claim_of_a_killed_run_blocks_no_longer_than_its_time(
    box: tuple[Switch, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch, before = box[0], box[0].running()
    killed, other = NxosTarget(spec_for(switch)), NxosTarget(spec_for(switch))

    def dies(*_given: Any) -> None:
        raise Dead

    with other_controller(), monkeypatch.context() as patch:
        patch.setattr(NxosSession, "change", dies)
        with pytest.raises(Dead):
            apply(killed, wanted(8443, False), Journal(tmp_path / "killed.jsonl"))
    (claim,) = re.findall(r"scheduler job name (SW_claim\S+)", switch.running())
    assert OTHER_PLACE in claim and switch.lists() == set() and "SW_claim" not in switch.device.startup
    with pytest.raises(FindingError) as error:
        apply(other, wanted(9443, False), Journal(tmp_path / "other.jsonl"))
    assert codes_of(error.value.findings) == {"SW4476"} and "claimed by process" in str(error.value)
    switch.fleet.call(lambda: switch.device._run_jobs((claim,)))  # its time is over
    plan, outcome = apply(other, wanted(9443, False), Journal(tmp_path / "other.jsonl"))
    assert outcome.ok, outcome.findings
    assert switch.attached() == switch.lists() == {"SW_hvac__a"} and "9443" in switch.running()
    for text in (switch.running(), switch.device.startup):
        assert "scheduler" not in text
    assert rollback_plan(plan.plan_id, {"n9k1": other}, Journal(tmp_path / "other.jsonl")).ok
    assert switch.running() == before
    killed.close()
    other.close()
