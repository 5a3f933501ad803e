# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Back to a commit: which state that is, when the journal leads there, and each object in one undo."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import apply_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.evidence import summary_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import (
    Journal,
    read_entries,
    verify_journal,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import build_plan, snapshot_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pulled import pulled_in
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rehearsal import rehearse
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import (
    last_plan,
    rollback_plan,
    rollback_to_commit,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.undo_chain import (
    executed_steps,
    moments,
    way_to_commit,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.permission import applied_commit
from tests.unit.change.fake import FakeTarget
from tests.unit.change.test_change import codes_of, want

A, B, C = "a" * 40, "b" * 40, "c" * 40


class Network:
    """Targets in memory, and policies that were applied to them one after the other."""

    def __init__(self, folder: Path, *names: str, **effects: str) -> None:
        self.targets: dict[str, FakeTarget] = {name: FakeTarget(name, **effects) for name in names}
        self.journal = Journal(folder / "state" / "journal.jsonl")

    @property
    def objects(self) -> dict[str, dict[str, Any]]:
        return {name: dict(target.objects) for name, target in self.targets.items()}

    @property
    def entries(self) -> list[dict[str, Any]]:
        return read_entries(self.journal.path)

    def apply(
        self, commit: str, reached: tuple[str, ...] = (), postures: tuple[str, ...] = (), **hosts: dict[str, int]
    ) -> str:
        targets: dict[str, Any] = {
            name: target for name, target in self.targets.items() if not reached or name in reached
        }
        desired = [want(host, **values) for host, values in hosts.items()]
        effect = {"postures": list(postures)} if postures else {}
        plan = build_plan(
            targets, desired, snapshot_all(targets, desired), policy_commit=commit, effect=effect, prune=True
        )
        outcome = apply_plan(plan, targets, desired, self.journal, policy_commit=commit, brings_commit=True)
        assert outcome.ok, outcome.findings
        return plan.plan_id

    def back(self, commit: str, *devices: str) -> Any:
        way = way_to_commit(self.entries, commit, devices or None)
        return rollback_to_commit(way, dict(self.targets), self.journal)

    def refused(self, commit: str, *devices: str) -> set[str]:
        before, count = self.objects, len(self.entries)
        with pytest.raises(FindingError) as error:
            self.back(commit, *devices)
        assert (self.objects, len(self.entries)) == (before, count)
        return codes_of(error)


def test_each_object_in_one_undo_whatever_was_in_force_between(tmp_path: Path) -> None:
    network = Network(tmp_path, "sw1", "sw2")
    network.apply(A, sw1={"x": 1, "y": 1}, sw2={"z": 1})
    then = network.objects
    network.apply(B, sw1={"x": 2, "new": 2}, sw2={"z": 2})
    network.apply(C, sw1={"x": 3, "new": 3, "y": 3}, sw2={"z": 1})
    for target in network.targets.values():
        target.log.clear()
    outcome = network.back(A[:7])
    assert outcome.ok and network.objects == then
    undone = [entry for target in network.targets.values() for entry in target.log if entry[0] == "undo"]
    assert sorted(undone) == [("undo", "new"), ("undo", "x"), ("undo", "y")]  # z is as it was: nobody is asked
    entries = network.entries
    assert [item.commit for item in moments(entries)] == [A] and applied_commit(entries) == A
    assert not verify_journal(network.journal.path)
    runs = summary_of(entries)
    assert [(run["what"], run["outcome"]) for run in runs][3:] == [("rollback", "done"), ("rollback", "done")]
    assert {run.get("to_commit") for run in runs[3:]} == {A}
    # Once more there is nothing to do; and what was undone can be applied again.
    assert network.back(A).changed is False and len(network.entries) == len(entries)
    assert network.refused(B) == {"SW4160"}
    network.apply(B, sw1={"x": 2, "new": 2}, sw2={"z": 2})
    assert network.back(A).ok and network.objects == then


def test_the_state_of_a_commit_is_that_of_the_last_time_it_was_in_force(tmp_path: Path) -> None:
    network = Network(tmp_path, "sw1")
    network.apply(A, sw1={"x": 1})
    network.apply(B, sw1={"x": 2})
    network.targets["sw1"].objects["attachment/x"]["value"] = 77  # by hand
    network.apply(B, sw1={"x": 2})
    network.apply(C, sw1={"x": 3})
    assert network.refused("abc123") == {"SW4160"} and network.refused("d" * 40) == {"SW4160"}
    assert network.back(B).ok and network.objects["sw1"]["attachment/x"] == {"value": 2}
    way = way_to_commit(network.entries, A)
    assert [finding.code for finding in way.findings] == ["SW4163"]  # what was done by hand is not brought back
    assert network.back(A).ok and network.objects["sw1"]["attachment/x"] == {"value": 1}


def test_a_foreign_change_between_or_since_refuses_and_nothing_is_written(tmp_path: Path) -> None:
    network = Network(tmp_path, "sw1", "sw2")
    network.apply(A, sw1={"x": 1}, sw2={"z": 1})
    network.apply(B, sw1={"x": 2}, sw2={"z": 2})
    network.targets["sw1"].objects["attachment/x"]["value"] = 77
    network.apply(C, sw1={"x": 3}, sw2={"z": 3})
    assert network.refused(A) == {"SW4161"}
    assert network.back(B, "sw2").ok and network.objects["sw2"]["attachment/z"] == {"value": 2}
    network.targets["sw2"].objects["attachment/z"]["value"] = 99
    assert network.refused(A, "sw2") == {"SW4164"}
    assert "99" in str(rehearse(way_to_commit(network.entries, A, ["sw2"]).steps, dict(network.targets)).findings[0])


def test_one_device_to_a_commit_leaves_the_rest_and_the_commit_in_force(tmp_path: Path) -> None:
    network = Network(tmp_path, "sw1", "sw2")
    network.apply(A, sw1={"x": 1}, sw2={"z": 1})
    network.apply(B, sw1={"x": 2}, sw2={"z": 2})
    assert network.back(A, "sw1").ok
    assert network.objects == {"sw1": {"attachment/x": {"value": 1}}, "sw2": {"attachment/z": {"value": 2}}}
    assert applied_commit(network.entries) == B and last_plan(network.entries)
    # Its step of B was taken back: by the journal alone B is not reached there any more.
    network.apply(C, sw1={"x": 3}, sw2={"z": 3})
    assert network.refused(B, "sw1") == {"SW4161"} and network.refused(B) == {"SW4161"}
    assert network.back(B, "sw2").ok and network.objects["sw2"]["attachment/z"] == {"value": 2}


def test_a_target_that_a_plan_left_out_is_not_at_its_commit(tmp_path: Path) -> None:
    network = Network(tmp_path, "sw1", "sw2")
    network.apply(A, sw1={"x": 1}, sw2={"z": 1})
    network.apply(B, ("sw1",), sw1={"x": 2}, sw2={"z": 2})
    network.apply(C, sw1={"x": 3}, sw2={"z": 3})
    assert network.refused(B) == {"SW4161"}
    assert network.back(A).ok
    assert network.objects == {"sw1": {"attachment/x": {"value": 1}}, "sw2": {"attachment/z": {"value": 1}}}


def test_postures_stay_and_ask_for_a_person(tmp_path: Path) -> None:
    network = Network(tmp_path, "sw1")
    network.apply(A, sw1={"x": 1})
    network.apply(B, sw1={"x": 2})
    network.apply(B, postures=("isolate",), sw1={"x": 50})
    assert network.refused(A) == {"SW4162"}  # A was never in force with the isolation
    network.apply(A, postures=("isolate",), sw1={"x": 51})
    network.apply(B, postures=("isolate",), sw1={"x": 52})
    assert network.back(A).ok and network.objects["sw1"]["attachment/x"] == {"value": 51}
    assert pulled_in(network.entries) == ("isolate",)
    network.apply(A, sw1={"x": 1})  # released
    network.apply(C, sw1={"x": 3})
    for target in network.targets.values():
        target.log.clear()
    assert network.back(A).ok and network.objects["sw1"]["attachment/x"] == {"value": 1}
    assert [entry for entry in network.targets["sw1"].log if entry[0] == "undo"] == [("undo", "x")]


def test_an_interrupted_way_back_goes_on(tmp_path: Path) -> None:
    network = Network(tmp_path, "sw1", "sw2")
    network.apply(A, sw1={"x": 1, "y": 1}, sw2={"z": 1})
    then = network.objects
    network.apply(B, sw1={"x": 2, "y": 2}, sw2={"z": 2})
    network.apply(C, sw1={"x": 3, "y": 3}, sw2={"z": 3})
    sw2 = network.targets["sw2"]
    honest = sw2.undo
    sw2.undo = lambda *words: (_ for _ in ()).throw(OSError("gone"))  # type: ignore[method-assign, assignment]
    outcome = network.back(A)
    assert not outcome.ok and network.objects["sw1"] == then["sw1"] and network.objects["sw2"] != then["sw2"]
    sw2.undo = honest  # type: ignore[method-assign]
    assert network.back(A).ok and network.objects == then


def test_random_histories_come_back_to_any_commit_that_is_reached(tmp_path: Path, full: bool) -> None:
    dice = random.Random(20261126)
    came = 0
    for number in range(400 if full else 12):
        network = Network(tmp_path / str(number), "sw1", "sw2")
        states: dict[int, dict[str, dict[str, Any]]] = {}  # by the entry with which a plan ended
        for step in range(dice.randrange(3, 9)):
            known = [item.commit for item in moments(network.entries)] if states else []
            commit = f"{step:x}" * 40 if dice.random() < 0.8 or not known else dice.choice(known)
            wanted = {
                host: {name: dice.randrange(3) for name in ("p", "q", "r") if dice.random() < 0.8}
                for host in network.targets
            }
            plan = network.apply(commit, **wanted)
            states[moments(network.entries)[-1].number] = network.objects
            if dice.random() < 0.15 and any(item.plan_id == plan for item in executed_steps(network.entries, plan)):
                rollback_plan(plan, dict(network.targets), network.journal)
        for _time in range(2):
            last = {item.commit: item.number for item in moments(network.entries)}
            commit = dice.choice(list(last)) if last else ""
            if not commit:
                continue
            assert network.back(commit).ok, (number, commit[:3])
            assert network.objects == states[last[commit]], (number, commit[:3])
            came += 1
    assert came > (400 if full else 8)
