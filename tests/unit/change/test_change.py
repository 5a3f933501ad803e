"""Plan, apply, verify and rollback on targets in memory."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import apply as apply_module
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import apply_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import (
    Journal,
    read_entries,
    verify_journal,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import (
    Operation,
    OperationResult,
    Snapshot,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import (
    HAND_BACK,
    LISTS,
    PUSH,
    push_operation,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import (
    Plan,
    build_plan,
    left_out,
    moved_parts,
    plan_parts,
    read_plan,
    snapshot_all,
    with_effect,
    write_plan,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rings import Part
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import last_plan, rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.verify import verify_targets
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject, DesiredTarget
from tests.unit.change.fake import FakeTarget

COMMIT = "c" * 40


def want(host: str, **objects: int) -> DesiredTarget:
    """Return a target that must hold attachments with these values."""
    return DesiredTarget(
        host, "fake", tuple(DesiredObject("attachment", name, {"value": value}) for name, value in objects.items())
    )


def plan_for(targets: dict[str, Any], desired: list[DesiredTarget], **more: Any) -> Plan:
    return build_plan(targets, desired, snapshot_all(targets, desired), policy_commit=COMMIT, **more)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "state" / "journal.jsonl")


def codes_of(error: pytest.ExceptionInfo[FindingError]) -> set[str]:
    return {finding.code for finding in error.value.findings}


def test_plan_apply_verify_and_back(tmp_path: Path, journal: Journal) -> None:
    a = FakeTarget("a", {"attachment/x": {"value": 1}}, x="widens", y="none")
    b = FakeTarget("b", {}, z="narrows")
    targets, desired = {"a": a, "b": b}, [want("a", x=2, y=3), want("b", z=4)]
    before = {"a": dict(a.objects), "b": dict(b.objects)}
    plan = plan_for(targets, desired, effect={"sentence": "nothing"}, created="2026-01-01T00:00:00Z")
    write_plan(tmp_path / "plan.json", plan)
    again = read_plan(tmp_path / "plan.json")
    assert again == plan
    assert (tmp_path / "plan.json").stat().st_mode & 0o077 == 0
    assert [step.name for step in plan.operations()] == ["y", "x", "z"]  # prepare, widen, narrow
    assert len(verify_targets(targets, desired).drift) == 3
    seen: list[tuple[int, int, str, str]] = []
    outcome = apply_plan(
        again,
        targets,
        desired,
        journal,
        policy_commit=COMMIT,
        progress=lambda n, m, t, op, s: seen.append((n, m, op.name, s)),
    )
    assert outcome.ok
    assert outcome.writes == 3
    assert [step.operation.name for step in outcome.completed] == ["y", "x", "z"]
    assert (3, 3, "z", "done") in seen
    assert a.objects == {"attachment/x": {"value": 2}, "attachment/y": {"value": 3}}
    assert verify_targets(targets, desired).ok
    writes = a.writes + b.writes
    second = apply_plan(again, targets, desired, journal, policy_commit=COMMIT)
    assert second.ok
    assert second.writes == 0
    assert not second.completed
    assert a.writes + b.writes == writes
    assert verify_journal(journal.path) == []
    back = rollback_plan("", targets, journal)
    assert back.ok
    assert [step.operation.name for step in back.completed] == ["z", "x", "y"]
    assert {"a": a.objects, "b": b.objects} == before
    with pytest.raises(FindingError) as error:
        rollback_plan(plan.plan_id, targets, journal)
    assert codes_of(error) == {"SW4033"}
    assert (
        apply_plan(again, targets, desired, journal, policy_commit=COMMIT).writes == 3
    )  # after a rollback it may be applied again


def test_equal_changes_have_equal_ids_and_an_edited_plan_is_refused(tmp_path: Path) -> None:
    targets, desired = {"a": FakeTarget("a")}, [want("a", x=1)]
    first, second = plan_for(targets, desired, created="2026-01-01T00:00:00Z"), plan_for(targets, desired)
    assert first.plan_id == second.plan_id
    assert plan_for(targets, [want("a", x=2)]).plan_id != first.plan_id
    path = tmp_path / "plan.json"
    write_plan(path, first)
    content = json.loads(path.read_text())
    content["targets"][0]["operations"][0]["after"]["value"] = 9
    path.write_text(json.dumps(content))
    with pytest.raises(FindingError) as error:
        read_plan(path)
    assert codes_of(error) == {"SW4012"}
    content["schema_version"] = "2.0"
    path.write_text(json.dumps(content))
    with pytest.raises(FindingError) as error:
        read_plan(path)
    assert codes_of(error) == {"SW0007"}
    path.write_text(json.dumps({"kind": "plan", "schema_version": "1.0"}))
    with pytest.raises(FindingError) as error:
        read_plan(path)
    assert codes_of(error) == {"SW4012"}


GARBLED = ("phase", "x"), ("phase", float("inf")), ("details", "x"), ("details", 1), ("name", "\ud800")


@pytest.mark.parametrize(("name", "value"), [*GARBLED, ("live", {"a": None}), ("live", "x")])
def test_a_garbled_plan_is_refused(tmp_path: Path, name: str, value: Any) -> None:
    path = tmp_path / "plan.json"
    write_plan(path, plan_for({"a": FakeTarget("a")}, [want("a", x=1)]))
    content = json.loads(path.read_text())
    part = content["targets"][0]
    (part if name == "live" else part["operations"][0])[name] = value
    path.write_text(json.dumps(content))
    with pytest.raises(FindingError) as error:
        read_plan(path)
    assert codes_of(error) == {"SW4012"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"policy_commit": "d" * 40}, "SW4013"),
        ({"desired": [want("a", x=3)]}, "SW4014"),
        ({"members_sha256": "other"}, "SW4014"),
        ({"targets": {}}, "SW4010"),
    ],
)
def test_a_plan_for_something_else_is_refused(journal: Journal, changes: dict[str, Any], code: str) -> None:
    target = FakeTarget("a")
    desired = [want("a", x=1)]
    plan = plan_for({"a": target}, desired, members_sha256="members")
    given: dict[str, Any] = {"targets": {"a": target}, "desired": desired, "policy_commit": COMMIT, **changes}
    with pytest.raises(FindingError) as error:
        apply_plan(plan, given.pop("targets"), given.pop("desired"), journal, **given)
    assert codes_of(error) == {code}
    assert target.writes == 0
    assert not journal.path.exists()


def test_a_plan_is_bound_to_its_tools_and_to_where_targets_are(tmp_path: Path) -> None:
    targets, desired = {"a": FakeTarget("a")}, [want("a", x=1)]
    made = {"tools": {"ansible-core": "2.20.0"}, "addresses": {"a": "192.0.2.1:22"}}
    plan = plan_for(targets, desired, **made)
    others = [
        plan_for(targets, desired),
        plan_for(targets, desired, **{**made, "tools": {"ansible-core": "2.21.0"}}),
        plan_for(targets, desired, **{**made, "addresses": {"a": "192.0.2.2:22"}}),
    ]
    assert len({each.plan_id for each in (plan, *others)}) == 4
    write_plan(tmp_path / "plan.json", plan)
    assert read_plan(tmp_path / "plan.json") == plan
    assert moved_parts(plan_parts(plan), others[1]) == ["the versions of the collection or ansible-core"]
    assert moved_parts(plan_parts(plan), others[2]) == ["target a"]
    content = json.loads((tmp_path / "plan.json").read_text())
    content["targets"][0]["address"] = "192.0.2.2:22"
    (tmp_path / "plan.json").write_text(json.dumps(content))
    with pytest.raises(FindingError) as error:
        read_plan(tmp_path / "plan.json")
    assert codes_of(error) == {"SW4012"}
    # A plan of before is read as it was.
    write_plan(tmp_path / "plan.json", others[0])
    content = json.loads((tmp_path / "plan.json").read_text())
    assert "tools" not in content and "address" not in content["targets"][0]
    (tmp_path / "plan.json").write_text(json.dumps({**content, "schema_version": "1.0"}))
    assert read_plan(tmp_path / "plan.json") == others[0]


def test_a_plan_of_uncommitted_documents_needs_permission(journal: Journal) -> None:
    target, desired = FakeTarget("a"), [want("a", x=1)]
    targets = {"a": target}
    dirty = "dirty:" + "e" * 64
    plan = build_plan(targets, desired, snapshot_all(targets, desired), policy_commit=dirty)
    with pytest.raises(FindingError) as error:
        apply_plan(plan, targets, desired, journal, policy_commit=dirty)
    assert codes_of(error) == {"SW4004"}
    assert apply_plan(plan, targets, desired, journal, policy_commit=dirty, allow_dirty=True).writes == 1


FORGED = [{"after": {"value": 666}}, {"kind": "sgt"}, {"phase": 9}, {"effect": "none"}, {"details": {"finish": True}}]


@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_step_in_a_plan_with_a_hash_of_its_own(
    tmp_path: Path, journal: Journal, forged: dict[str, Any]
) -> None:
    """An approval of a commit says nothing of the plan's file, so its steps are compared with what the commit asks for."""
    target, desired = FakeTarget("a", {"attachment/x": {"value": 1}}), [want("a", x=2)]
    plan = plan_for({"a": target}, desired)
    (part,) = plan.targets
    step = replace(part.operations[0], **forged)
    write_plan(
        tmp_path / "plan.json", with_effect(replace(plan, targets=(replace(part, operations=(step,)),)), plan.effect)
    )
    with pytest.raises(FindingError) as error:
        apply_plan(read_plan(tmp_path / "plan.json"), {"a": target}, desired, journal, policy_commit=COMMIT)
    assert codes_of(error) == {"SW4012"} and target.writes == 0 and not journal.path.exists()


def test_what_a_step_tells_of_things_that_others_own_may_change_after_the_plan(journal: Journal) -> None:
    class Telling(FakeTarget):
        caught = 1

        def diff(self, desired: Sequence[DesiredObject], live: Snapshot) -> tuple[Operation, ...]:
            told = {"also_catches": self.caught, "blocked": "somebody's cell" if self.caught > 1 else ""}
            return tuple(replace(step, details={**step.details, **told}) for step in super().diff(desired, live))

    target, desired = Telling("a", {"attachment/x": {"value": 1}}), [want("a", x=2)]
    plan = plan_for({"a": target}, desired)
    target.caught = 2
    assert apply_plan(plan, {"a": target}, desired, journal, policy_commit=COMMIT).ok and target.writes == 1


def test_every_detail_that_a_target_goes_by_is_compared() -> None:
    """But those of a push, which is no step of the policy, and what leaves steps out of a check."""
    names = {"FINISH": "finish", "HAND_BACK": HAND_BACK, "PRUNE": "prune", "LISTS": LISTS}
    read = re.compile(r"operation\.details(?:\.get\(|\[)([A-Za-z_\"]+)")
    room = Path(apply_module.__file__).parents[1] / "targets"
    words = {word for path in room.glob("*.py") for word in read.findall(path.read_text(encoding="utf-8"))}
    used = {names.get(word) or word.strip('"') for word in words}
    assert {"adopt", "finish", "hand_back"} <= used <= {*apply_module.DECIDING, LISTS, "coa"}


def test_moved_live_state_is_refused_and_named(journal: Journal) -> None:
    target, desired = (
        FakeTarget("a", {"attachment/x": {"value": 1}, "attachment/other": {"value": 5}}),
        [want("a", x=2, other=5)],
    )
    plan = plan_for({"a": target}, desired)
    target.objects["attachment/x"]["value"] = 7
    with pytest.raises(FindingError) as error:
        apply_plan(plan, {"a": target}, desired, journal, policy_commit=COMMIT)
    assert codes_of(error) == {"SW4015"}
    assert "a: attachment x value: 1 -> 7" in str(error.value)
    target.objects["attachment/x"]["value"] = 1
    target.objects["attachment/other"]["value"] = 6  # an object that the plan does not touch has moved as well
    with pytest.raises(FindingError) as error:
        apply_plan(plan, {"a": target}, desired, journal, policy_commit=COMMIT)
    assert "attachment other" in str(error.value)
    assert target.writes == 0


def test_a_failure_stops_names_what_was_done_and_the_rest_can_be_resumed(journal: Journal) -> None:
    target = FakeTarget("a", {}, x="widens", y="both", z="narrows")
    targets, desired = {"a": target}, [want("a", x=1, y=2, z=3)]
    plan = plan_for(targets, desired)
    target.fail_on = {"y"}
    outcome = apply_plan(plan, targets, desired, journal, policy_commit=COMMIT)
    assert not outcome.ok
    assert [step.operation.name for step in outcome.completed] == ["x"]
    assert [step.name for step in outcome.remaining] == ["y", "z"]
    assert {"SW9999", "SW4017"} == {finding.code for finding in outcome.findings}
    stopped = next(finding for finding in outcome.findings if finding.code == "SW4017")
    assert "a: create attachment x" in stopped.message
    assert plan.plan_id[:12] in stopped.hint
    assert ("confirm", "a") not in target.log
    target.fail_on = set()
    resumed = apply_plan(plan, targets, desired, journal, policy_commit=COMMIT)
    assert [step.operation.name for step in resumed.completed] == ["y", "z"]
    assert verify_targets(targets, desired).ok
    assert rollback_plan(plan.plan_id[:12], targets, journal).ok
    assert target.objects == {}


class _Pushing(FakeTarget):
    """Cells, and a push after them that devices may not confirm."""

    unpushed = 0

    def diff(self, desired: Any, live: Any) -> Any:
        steps = [replace(step, kind="egress_matrix_cell") for step in super().diff(desired, live)]
        return (*steps, push_operation(self.name, steps[0].phase, coa=("POLICY",))) if steps else ()

    def execute(self, operation: Any) -> Any:
        self.unpushed += operation.action != PUSH
        if operation.action != PUSH or operation.name in self.fail_on:
            return super().execute(operation)
        self.log.append(("push", ",".join(operation.details["coa"])))
        self.unpushed = 0
        return OperationResult(operation.id, True, 1)

    def undo(self, operation: Any, result: Any) -> Any:
        self.unpushed += 1
        return super().undo(operation, result)


def test_a_rollback_whose_push_failed_is_run_again_and_the_one_after_it_takes_the_plan_before(journal: Journal) -> None:
    target = _Pushing("a", {})
    for value in (1, 2):
        desired = [DesiredTarget("a", "fake", (DesiredObject("egress_matrix_cell", "x", {"value": value}),))]
        plan = plan_for({"a": target}, desired)
        assert apply_plan(plan, {"a": target}, desired, journal, policy_commit=COMMIT).ok
    target.fail_on = {"trustsec"}
    assert not rollback_plan("", {"a": target}, journal).ok
    assert not rollback_plan("", {"a": target}, journal).ok
    assert target.objects["egress_matrix_cell/x"]["value"] == 1 and target.unpushed == 1
    target.fail_on = set()
    again = rollback_plan("", {"a": target}, journal)
    assert again.ok and again.plan_id == plan.plan_id and target.unpushed == 0
    assert target.log[-1] == ("push", "SGACL,POLICY")  # what the first one brought back is not known any more
    first = rollback_plan("", {"a": target}, journal)
    assert first.ok and first.plan_id != plan.plan_id and target.objects == {} and target.unpushed == 0
    with pytest.raises(FindingError) as error:
        rollback_plan("", {"a": target}, journal)
    assert codes_of(error) == {"SW4033"}


def test_back_on_one_device_pays_no_other_targets_push(journal: Journal) -> None:
    """What an earlier rollback owes a controller is paid by one that is about the controller, not by one of a switch alone."""
    ise, switch = _Pushing("ise", {}), FakeTarget("acc1", {})
    targets: dict[str, Any] = {"ise": ise, "acc1": switch}
    cell = DesiredTarget("ise", "fake", (DesiredObject("egress_matrix_cell", "x", {"value": 1}),))
    desired = [want("acc1", y=1), cell]
    plan = plan_for(targets, desired)
    assert apply_plan(plan, targets, desired, journal, policy_commit=COMMIT).ok
    ise.fail_on = {"trustsec"}
    assert not rollback_plan(plan.plan_id, targets, journal, only=lambda operation: operation.target == "ise").ok
    ise.fail_on = set()
    before = list(ise.log)
    assert rollback_plan(plan.plan_id, targets, journal, only=lambda operation: operation.target == "acc1").ok
    assert switch.objects == {} and ise.log == before and ise.unpushed
    with pytest.raises(FindingError) as error:  # nothing is left to undo there
        rollback_plan(plan.plan_id, targets, journal, only=lambda operation: operation.target == "acc1")
    assert codes_of(error) == {"SW4033"} and ise.log == before
    assert rollback_plan(plan.plan_id, targets, journal).ok and not ise.unpushed


class _HeldOnce:
    """The lock of a target that is lost with the first step."""

    target = "a"
    findings: tuple[Any, ...] = ()

    def __init__(self, owner: FakeTarget) -> None:
        self.owner = owner

    @property
    def lost(self) -> bool:
        return self.owner.writes > 0

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_error: object) -> None:
        pass


def test_a_lost_lock_stops_before_the_next_step(journal: Journal) -> None:
    target: Any = FakeTarget("a", {}, x="both", y="both", z="both")
    target.run_lock = lambda purpose, way_back: _HeldOnce(target)
    targets, desired = {"a": target}, [want("a", x=1, y=2, z=3)]
    outcome = apply_plan(plan_for(targets, desired), targets, desired, journal, policy_commit=COMMIT, purpose="apply")
    assert [step.operation.name for step in outcome.completed] == ["x"] and target.writes == 1
    assert {finding.code for finding in outcome.findings} == {"SW4042", "SW4017"}
    assert rollback_plan("", targets, journal, purpose="rollback").ok and target.objects == {}


def test_the_lock_of_one_target_is_held_for_writes_to_the_others(journal: Journal) -> None:
    """Switches have none of their own; what is read again under it is what is written to."""
    held: list[str] = []

    class Lock(_HeldOnce):
        def __enter__(self) -> None:
            held.append("taken")
            switch.objects["attachment/y"] = {"value": 7}  # another controller was faster

        def __exit__(self, *_error: object) -> None:
            held.append("given back")

        def sweep(self) -> None:
            """Find nothing that a killed run left."""

    ise, switch = FakeTarget("ise1", {"attachment/x": {"value": 1}}), FakeTarget("sw1", {"attachment/y": {"value": 2}})
    ise.run_lock = lambda purpose, way_back: Lock(ise)  # type: ignore[attr-defined]
    targets, desired = {"ise1": ise, "sw1": switch}, [want("ise1", x=1), want("sw1", y=3)]
    plan = plan_for(targets, desired)
    assert {step.target for step in plan.operations()} == {"sw1"}
    with pytest.raises(FindingError) as error:
        apply_plan(plan, targets, desired, journal, policy_commit=COMMIT, purpose="apply")
    assert codes_of(error) == {"SW4015"} and switch.writes == 0 and held == ["taken", "given back"]
    switch.objects["attachment/y"] = {"value": 3}
    assert apply_plan(plan, targets, desired, journal, policy_commit=COMMIT, purpose="apply").ok
    assert held == ["taken", "given back"]  # nothing to write, nothing to lock


def test_an_unexpected_fault_is_a_finding_without_its_text(journal: Journal) -> None:
    target, desired = FakeTarget("a"), [want("a", x=1)]
    plan = plan_for({"a": target}, desired)

    def execute(_operation: Any) -> Any:
        raise RuntimeError("password hunter2")

    target.execute = execute  # type: ignore[method-assign]
    outcome = apply_plan(plan, {"a": target}, desired, journal, policy_commit=COMMIT)
    assert not outcome.ok
    assert "RuntimeError" in str(outcome.findings)
    assert "hunter2" not in str(outcome.findings)
    assert "hunter2" not in journal.path.read_text()


def test_a_killed_run_is_resumed_or_undone(journal: Journal) -> None:
    target = FakeTarget("a", {}, x="widens", y="both")
    targets, desired = {"a": target}, [want("a", x=1, y=2)]
    plan = plan_for(targets, desired)
    target.crash_on = {"y"}
    with pytest.raises(KeyboardInterrupt):
        apply_plan(plan, targets, desired, journal, policy_commit=COMMIT)
    assert read_entries(journal.path)[-1]["event"] == "operation_started"
    target.crash_on = set()
    fresh = Journal(journal.path)
    back = rollback_plan("", targets, fresh)  # y was begun and left nothing: nothing to do there
    assert back.ok
    assert [(step.operation.name, step.changed) for step in back.completed] == [("y", False), ("x", True)]
    assert target.objects == {}


def test_rollback_leaves_what_others_changed_and_goes_on(journal: Journal) -> None:
    a, b = FakeTarget("a"), FakeTarget("b")
    targets, desired = {"a": a, "b": b}, [want("a", x=1, y=2), want("b", z=3)]
    plan = plan_for(targets, desired)
    assert apply_plan(plan, targets, desired, journal, policy_commit=COMMIT).ok
    a.objects["attachment/y"]["value"] = 99
    b.unreadable = True
    outcome = rollback_plan(plan.plan_id, targets, journal)
    assert not outcome.ok
    assert {"SW4060", "SW4061"} <= {finding.code for finding in outcome.findings}
    assert a.objects == {"attachment/y": {"value": 99}}
    assert {step.name for step in outcome.remaining} == {"y", "z"}
    b.unreadable = False
    a.objects["attachment/y"]["value"] = 2
    assert rollback_plan("", targets, journal).ok
    assert (a.objects, b.objects) == ({}, {})
    assert last_plan(read_entries(journal.path)) == ""


def test_check_mode_writes_nothing(journal: Journal) -> None:
    target, desired = FakeTarget("a"), [want("a", x=1)]
    plan = plan_for({"a": target}, desired)
    outcome = apply_plan(plan, {"a": target}, desired, journal, policy_commit=COMMIT, check_mode=True)
    assert [step.name for step in outcome.remaining] == ["x"]
    assert target.writes == 0
    assert not journal.path.exists()
    apply_plan(plan, {"a": target}, desired, journal, policy_commit=COMMIT)
    entries = len(read_entries(journal.path))
    checked = rollback_plan("", {"a": target}, journal, check_mode=True)
    assert [step.name for step in checked.remaining] == ["x"]
    assert len(read_entries(journal.path)) == entries


def test_leftovers_are_removed_only_with_prune(journal: Journal) -> None:
    target, desired = FakeTarget("a", {"attachment/old": {"value": 1}}), [want("a", x=1)]
    targets = {"a": target}
    assert [step.action for step in plan_for(targets, desired).operations()] == ["create"]
    plan = plan_for(targets, desired, prune=True)
    assert [step.action for step in plan.operations()] == ["create", "delete"]
    found = verify_targets(targets, [want("a", old=1)])
    assert found.ok
    assert {finding.code for finding in verify_targets(targets, []).findings} == {"SW4051"}
    assert apply_plan(plan, targets, desired, journal, policy_commit=COMMIT).ok
    assert target.objects == {"attachment/x": {"value": 1}}


def test_an_unconfirmed_target_fails_the_run(journal: Journal) -> None:
    target, desired = FakeTarget("a"), [want("a", x=1)]
    target.unconfirmed = True
    outcome = apply_plan(plan_for({"a": target}, desired), {"a": target}, desired, journal, policy_commit=COMMIT)
    assert not outcome.ok
    assert "SW4018" in {finding.code for finding in outcome.findings}


def test_unreadable_targets_are_all_named_and_verify_tells_the_others(journal: Journal) -> None:
    targets = {name: FakeTarget(name) for name in "abc"}
    targets["a"].unreadable = targets["c"].unreadable = True
    desired = [want(name, x=1) for name in "abc"]
    with pytest.raises(FindingError) as error:
        snapshot_all(targets, desired)
    assert len(error.value.findings) == 2
    found = verify_targets(targets, desired)
    assert not found.ok
    assert [item["target"] for item in found.drift] == ["b"]
    assert [finding.message[:1] for finding in left_out({"a": targets["a"]}, desired)] == ["b", "c"]


def test_content_never_takes_the_place_of_an_entrys_own_keys(journal: Journal) -> None:
    journal.append("noted", batch=1)
    for key in ("number", "previous", "time", "sha256", "schema_version"):
        with pytest.raises(ValueError, match=key):
            journal.append("noted", **{key: 7})
    journal.append("noted", batch=2)
    assert verify_journal(journal.path) == [] and len(read_entries(journal.path)) == 2


def test_a_way_back_that_a_killed_run_left_armed_is_called_off_by_the_next(journal: Journal) -> None:
    """A switch arms its own way back while a list is swapped; a run that is killed then is resumed, not refused as a foreign change."""

    class Armed(FakeTarget):
        def diff(self, desired: Any, live: Any) -> Any:
            steps = super().diff([item for item in desired if item.kind != "revert"], live)
            # As IOS says it: no matter of pruning.
            return tuple(replace(step, details={}) if step.kind == "revert" else step for step in steps)

    a, b = Armed("a", {"attachment/x": {"value": 1}}), Armed("b")
    targets, desired = {"a": a, "b": b}, [want("a", x=2), want("b", z=4)]
    plan = plan_for(dict(targets), desired)
    keys = {step.target: (step.target, step.id) for step in plan.operations()}
    a.objects |= {"attachment/x": {"value": 2}, "revert/SW_revert": {"applet": "SW_revert"}}
    ring = Part("first", (keys["a"],))
    outcome = apply_plan(plan, dict(targets), desired, journal, policy_commit=COMMIT, ring=ring)
    assert outcome.ok and a.objects == {"attachment/x": {"value": 2}} and b.objects == {}
    assert [step.operation.kind for step in outcome.completed] == ["revert"]
    b.objects["attachment/other"] = {"value": 1}
    with pytest.raises(FindingError) as error:  # anything else that is new is still somebody's
        apply_plan(plan, dict(targets), desired, journal, policy_commit=COMMIT)
    assert codes_of(error) == {"SW4015"}
