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
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import apply_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import build_plan, snapshot_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import nxos_session
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos import NxosTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_session import NxosSession
from tests.integration.in_step import Choose, InStep, Killed, in_step  # noqa: F401
from tests.integration.lists import COMMIT, OTHER_PLACE, apply, codes_of, other_controller
from tests.integration.test_targets_nxos import LET_IN, Switch, list_object, made_switch, of, packet, place, spec_for

BASE = 7443
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


def target_of(switch: Switch, step: InStep, who: str) -> NxosTarget:
    """Return a controller's target: each of its lines and readings is a turn."""

    class Session(NxosSession):
        def _type(self, lines: Any) -> None:
            for line in lines:
                step.line(who)
                super()._type([line])

        def show(self, *given: Any) -> str:
            step.line(who)
            return super().show(*given)

        def _command(self, *given: Any) -> str:
            step.line(who)
            return super()._command(*given)

    return NxosTarget(spec_for(switch), Session)


def looking(switch: Switch, dice: random.Random, wrong: list[str]) -> Choose:
    """Let the dice say who goes on, and look at the switch between: a name that is attached has its list."""

    def chosen(waiting: list[str], order: list[str]) -> str:
        text = switch.running()
        missing = set(re.findall(r"(?:access-group|traffic-filter) (SW_\S+) in", text)) - set(
            re.findall(r"(?m)^ip access-list (SW_\S+)\n  \d", text)
        )
        wrong.extend([f"after {len(order)}: {missing} attached and not there"] if missing else [])
        return dice.choice(waiting)

    return chosen


def run(switch: Switch, directory: Path, seed: str, step: InStep, more: dict[str, Any]) -> str:
    """Two runs in the order of one seed; returns what came of it."""
    dice = random.Random(seed)
    guarded, same = dice.random() < 0.5, dice.random() < 0.3
    ports = {"one": 8443, "two": 8443 if same else 9443}
    settled = NxosTarget(spec_for(switch))
    assert apply(settled, wanted(BASE, guarded), Journal(directory / "base.jsonl"))[1].ok
    settled.close()
    base, wrong = switch.running(), list[str]()
    targets = {name: target_of(switch, step, name) for name in ports}
    desired = {name: wanted(port, guarded) for name, port in ports.items()}
    plans = {
        name: build_plan(
            {"n9k1": each}, desired[name], snapshot_all({"n9k1": each}, desired[name]), policy_commit=COMMIT
        )
        for name, each in targets.items()
    }
    switch.probe(*(packet(port) for port in (BASE, 8443, 9443, 23, 22)))

    def work(name: str) -> Any:
        journal = Journal(directory / f"{name}.jsonl")
        try:
            return apply_plan(plans[name], {"n9k1": targets[name]}, desired[name], journal, policy_commit=COMMIT)
        finally:
            targets[name].close()

    step.patience, step.pauses = 120.0, lambda: 12  # what is typed in the time of a pause
    results = step.run({name: partial(work, name) for name in ports}, looking(switch, dice, wrong))
    ended = {
        name: repr(each)
        for name, each in results.items()
        if isinstance(each, BaseException) and not isinstance(each, FindingError)
    }
    about: Any = (seed, guarded, ports, len(step.order), more, ended)
    assert not ended, about
    about = (*about, {name: sorted(codes_of(each.findings)) for name, each in results.items()})
    text = switch.running()
    good = [name for name in ports if getattr(results[name], "ok", False)]
    if not same:
        assert len(good) < 2, about
    # Never a name attached whose list is not there, and every packet met one of the whole lists at every moment.
    assert not wrong, (about, wrong)
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
def test_two_in_step(box: tuple[Switch, dict[str, Any]], tmp_path: Path, in_step: InStep) -> None:  # noqa: F811
    print(run(box[0], tmp_path, "2", in_step, box[1]))
    assert not OURS.search(box[0].running())


@pytest.mark.full
def test_two_in_many_steps(box: tuple[Switch, dict[str, Any]], tmp_path: Path, in_step: InStep) -> None:  # noqa: F811
    switch, more = box
    start, seen = switch.running(), Counter[str]()
    for number in range(25):
        directory = tmp_path / str(number)
        directory.mkdir()
        seen[run(switch, directory, f"{sorted(more)} {number}", in_step, more)] += 1
        switch.fleet.call(partial(switch.device.replace_config, start))
    print(dict(seen))
    assert seen["one"] and sum(seen.values()) == 25


@pytest.mark.parametrize("box", [{}], indirect=True, ids=["bare"])
def test_the_claim_of_a_killed_run_blocks_no_longer_than_its_time(
    box: tuple[Switch, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch, before = box[0], box[0].running()
    killed, other = NxosTarget(spec_for(switch)), NxosTarget(spec_for(switch))

    def dies(*_given: Any) -> None:
        raise Killed

    with other_controller(), monkeypatch.context() as patch:
        patch.setattr(NxosSession, "change", dies)
        with pytest.raises(Killed):
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
