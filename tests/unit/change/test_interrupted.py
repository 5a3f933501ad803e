# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run leaves that is ended between two entries of the journal, and what the next one makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import apply_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.interrupted import (
    interrupted_plan,
    taken_back,
    unconfirmed_in,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import (
    Journal,
    known_entries,
    read_entries,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import (
    Operation,
    OperationResult,
    Snapshot,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.outcome import Outcome
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import PUSH, push_operation
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import Plan, build_plan, snapshot_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rings import FAILED, Part, progress_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import last_plan, rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject, DesiredTarget
from tests.unit.change.fake import FakeTarget

COMMIT = "c" * 40


class Switch(FakeTarget):
    """A target that keeps what it holds only where it is saved, as a switch does; ``confirm`` saves, and so does ``undo``."""

    def __init__(self, name: str) -> None:
        super().__init__(name, {"access_list/a": {"value": 1}})
        self.saved = dict(self.objects)
        self.dies = ""  # what the run does not come to any more

    def confirm(self, desired: Any) -> tuple[Finding, ...]:
        if self.dies == "confirm":
            raise KeyboardInterrupt
        return super().confirm(desired)

    def undo(self, operation: Operation, result: Any) -> OperationResult:
        made = super().undo(operation, result)
        if self.dies == "save":
            raise KeyboardInterrupt
        self.saved = dict(self.objects) if made.changed else self.saved
        return made

    def finish(self) -> bool:
        left = self.saved != self.objects
        self.saved = dict(self.objects)
        return left


@pytest.fixture
def switch() -> Switch:
    return Switch("sw1")


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.jsonl")


def wanted(value: int = 2) -> list[DesiredTarget]:
    return [DesiredTarget("sw1", "fake", (DesiredObject("access_list", "a", {"value": value}),))]


def planned(switch: Switch, value: int = 2) -> Plan:
    chosen = {"sw1": switch}
    return build_plan(chosen, wanted(value), snapshot_all(chosen, wanted(value)), policy_commit=COMMIT)


def applied(plan: Plan, switch: Switch, journal: Journal, value: int = 2) -> Outcome:
    return apply_plan(plan, {"sw1": switch}, wanted(value), Journal(journal.path), policy_commit=COMMIT)


def killed(plan: Plan, switch: Switch, journal: Journal, at: str) -> None:
    switch.dies = at
    with pytest.raises(KeyboardInterrupt):
        applied(plan, switch, journal)
    switch.dies = ""


def test_what_a_killed_run_wrote_and_did_not_save_is_saved_by_the_next(switch: Switch, journal: Journal) -> None:
    plan = planned(switch)
    killed(plan, switch, journal, "confirm")
    assert switch.objects["access_list/a"] == {"value": 2} and switch.saved == {"access_list/a": {"value": 1}}
    assert unconfirmed_in(known_entries(journal.path)) == {"sw1"}
    outcome = applied(plan, switch, journal)  # no step is left
    assert outcome.ok and outcome.writes == 0 and switch.saved == switch.objects
    events = [entry["event"] for entry in read_entries(journal.path)]
    assert events[-3:] == ["plan_started", "target_confirmed", "plan_done"]
    assert unconfirmed_in(known_entries(journal.path)) == frozenset()
    applied(plan, switch, journal)
    assert [entry["event"] for entry in read_entries(journal.path)] == events


def test_the_next_plan_saves_it_as_well(switch: Switch, journal: Journal) -> None:
    killed(planned(switch), switch, journal, "confirm")
    again = planned(switch)
    assert again.operations() == []
    assert applied(again, switch, journal).ok and switch.saved == switch.objects


def test_a_target_that_is_not_as_it_should_be_is_asked_again(switch: Switch, journal: Journal) -> None:
    plan = planned(switch)
    switch.unconfirmed = True
    assert not applied(plan, switch, journal).ok
    assert not applied(plan, switch, journal).ok
    switch.unconfirmed = False
    assert applied(plan, switch, journal).ok
    assert unconfirmed_in(known_entries(journal.path)) == frozenset()


def test_a_rollback_ends_what_was_unconfirmed_and_saves_what_the_one_before_it_brought_back(
    switch: Switch, journal: Journal
) -> None:
    plan = planned(switch)
    assert applied(plan, switch, journal).ok
    switch.finish()
    assert switch.saved == {"access_list/a": {"value": 2}}
    switch.dies = "save"
    with pytest.raises(KeyboardInterrupt):
        rollback_plan(plan.plan_id, {"sw1": switch}, Journal(journal.path))
    switch.dies = ""
    assert switch.objects["access_list/a"] == {"value": 1} and switch.saved != switch.objects
    outcome = rollback_plan(plan.plan_id, {"sw1": switch}, Journal(journal.path))
    assert outcome.ok and switch.saved == switch.objects
    assert unconfirmed_in(known_entries(journal.path)) == frozenset()
    with pytest.raises(FindingError) as error:
        rollback_plan(plan.plan_id, {"sw1": switch}, Journal(journal.path))
    assert [finding.code for finding in error.value.findings] == ["SW4033"]


def test_steps_without_a_plan_wait_for_no_plan_to_read_them_back(switch: Switch, journal: Journal) -> None:
    """``ise_policy`` journals its steps, and reads back by itself."""
    operation = {"id": "1", "kind": "sgacl", "name": "x", "action": "create"}
    journal.append("operation_started", plan_id="b" * 64, target="sw1", operation=operation)
    assert unconfirmed_in(known_entries(journal.path)) == frozenset()


@pytest.mark.parametrize("error", [FindingError(codes.LOCKED.at("sw1")), RuntimeError("a secret")])
def test_a_ring_whose_end_fails_has_ended_in_the_journal(switch: Switch, journal: Journal, error: Exception) -> None:
    plan = planned(switch)
    part = Part("one", tuple((name, step.id) for name, step in plan.steps()))

    def end_of_ring() -> Sequence[Finding]:
        raise error

    chosen = {"sw1": switch}
    outcome = apply_plan(
        plan, chosen, wanted(), journal, policy_commit=COMMIT, ring=part, finish=end_of_ring, rings_left=True
    )
    assert not outcome.ok and "secret" not in str(outcome.findings)
    last = read_entries(journal.path)[-1]
    assert last["event"] == "plan_failed" and [item["code"] for item in last["findings"]] == [outcome.findings[-1].code]
    assert [item.state for item in progress_of((part,), known_entries(journal.path), plan.plan_id)] == [FAILED]


class Typing(FakeTarget):
    """A target on which a list is typed line by line; the run may die between two lines."""

    def __init__(self) -> None:
        super().__init__("sw1")
        self.dies = False

    def execute(self, operation: Operation) -> OperationResult:
        if self.dies:
            self.objects[f"{operation.kind}/{operation.name}"] = {"value": "half"}
            raise KeyboardInterrupt
        return super().execute(operation)


def test_a_list_that_was_half_typed_is_made_whole(journal: Journal) -> None:
    switch = Typing()
    plan = build_plan({"sw1": switch}, wanted(), snapshot_all({"sw1": switch}, wanted()), policy_commit=COMMIT)

    def apply() -> Outcome:
        return apply_plan(plan, {"sw1": switch}, wanted(), Journal(journal.path), policy_commit=COMMIT)

    # Somebody else's list of that name is no half of ours.
    switch.objects["access_list/a"] = {"value": "half"}
    with pytest.raises(FindingError, match="SW4015"):
        apply()
    switch.objects.clear()
    switch.dies = True
    with pytest.raises(KeyboardInterrupt):
        apply()
    assert switch.objects == {"access_list/a": {"value": "half"}}
    switch.dies = False
    # Nor is one that somebody has put in force meanwhile.
    switch.objects["access_list/a"]["internal"] = {"attached": [["Gi1", "in"]]}
    attached = dict(switch.objects["access_list/a"])
    switch.snapshot = lambda desired: Snapshot("sw1", "fake", {"access_list/a": attached}, "x")  # type: ignore[method-assign]
    with pytest.raises(FindingError, match="SW4015"):
        apply()
    del switch.snapshot  # type: ignore[method-assign]
    made = apply()
    assert made.ok and [step.operation.action for step in made.completed] == ["create"]
    assert switch.objects["access_list/a"] == {"value": 2}
    switch.objects["access_list/a"] = {"value": "half"}  # whole by the journal: whoever did this came later
    with pytest.raises(FindingError, match="SW4015"):
        apply()


# -- a rollback that names no plan


def test_a_rollback_after_a_kill_is_about_the_plan_that_was_under_way(switch: Switch, journal: Journal) -> None:
    """Never about the one before it, which nobody asked to be taken back."""
    first = planned(switch)
    assert applied(first, switch, journal).ok
    second = planned(switch, 3)
    (step,) = second.operations()
    chosen = {"sw1": switch}

    def back() -> Outcome:
        return rollback_plan("", chosen, Journal(journal.path))

    # A run that died before its first step.
    journal.append(
        "plan_started", plan_id=second.plan_id, policy_commit=COMMIT, steps=[step.id], approvals=[], postures=[]
    )
    assert rollback_plan("", chosen, Journal(journal.path), check_mode=True).remaining == ()
    outcome = back()
    assert outcome.ok and outcome.plan_id == second.plan_id and switch.objects["access_list/a"] == {"value": 2}
    # A rollback that died when all was undone, before it could say so.
    assert applied(second, switch, Journal(journal.path), 3).ok
    switch.dies = "save"
    with pytest.raises(KeyboardInterrupt):
        back()
    switch.dies = ""
    done = {"plan_id": second.plan_id, "target": "sw1", "operation_id": step.id, "changed": True, "writes": 1}
    Journal(journal.path).append("undo_done", **done)
    assert interrupted_plan(known_entries(journal.path)) == second.plan_id
    assert interrupted_plan(known_entries(journal.path), lambda each: each.target == "sw1") == second.plan_id
    assert interrupted_plan(known_entries(journal.path), lambda each: each.target == "sw2") == ""
    outcome = back()
    assert outcome.ok and outcome.plan_id == second.plan_id and switch.objects["access_list/a"] == {"value": 2}
    # It has ended: now it is the plan before.
    assert last_plan(known_entries(journal.path)) == first.plan_id
    assert back().plan_id == first.plan_id and switch.objects["access_list/a"] == {"value": 1}
    assert interrupted_plan(known_entries(journal.path)) == ""


class Cells(FakeTarget):
    """Cells that devices know of by a push. A run dies when it has written a cell, or when it is about to push."""

    told = 0

    def diff(self, desired: Any, live: Any) -> Any:
        steps = super().diff(desired, live)
        return (*steps, push_operation(self.name, steps[0].phase, coa=("POLICY",))) if steps else ()

    def execute(self, operation: Operation) -> OperationResult:
        if operation.action != PUSH:
            super().execute(operation)
        if self.crash_on:
            raise KeyboardInterrupt
        self.told += operation.action == PUSH
        return OperationResult(operation.id, True, 1)


def test_what_a_rollback_did_not_come_to_push_is_pushed_by_the_next(journal: Journal) -> None:
    """Also where the run before it was killed before its own push."""
    target = Cells("ise")
    desired = [DesiredTarget("ise", "fake", (DesiredObject("egress_matrix_cell", "x", {"value": 1}),))]
    plan = build_plan({"ise": target}, desired, snapshot_all({"ise": target}, desired), policy_commit=COMMIT)
    target.crash_on = {"anything"}
    with pytest.raises(KeyboardInterrupt):
        apply_plan(plan, {"ise": target}, desired, journal, policy_commit=COMMIT)
    with pytest.raises(KeyboardInterrupt):
        rollback_plan("", {"ise": target}, Journal(journal.path))
    assert target.objects == {} and target.told == 0
    target.crash_on = set()
    assert rollback_plan("", {"ise": target}, Journal(journal.path)).ok
    assert target.told == 1
    with pytest.raises(FindingError, match="SW4033"):
        rollback_plan("", {"ise": target}, Journal(journal.path))


def test_what_was_rolled_back_last_is_known_as_such() -> None:
    def entries(*events: str) -> list[dict[str, str]]:
        return [{"event": event, "plan_id": "a"} for event in events]

    assert not taken_back([], "a")
    assert not taken_back(entries("plan_started", "plan_done"), "a")
    assert taken_back(entries("plan_started", "plan_done", "rollback_started", "rollback_done"), "a")
    assert taken_back(entries("plan_started", "rollback_started", "rollback_failed"), "a")
    assert not taken_back(entries("plan_started", "rollback_started", "rollback_done", "plan_started"), "a")
    assert not taken_back([*entries("plan_started"), {"event": "rollback_started", "plan_id": "b"}], "a")
