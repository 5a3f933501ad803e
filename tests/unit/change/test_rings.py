# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout ring by ring: what goes when, that it waits, goes on after a crash, and stops where a ring was rolled back."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import journal as journal_module
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import apply_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.duration import (
    expected,
    overrun_findings,
    seconds_per_step,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import (
    Journal,
    read_entries,
    verify_journal,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import push_operation
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import Plan, TargetPlan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pulled import pulled_in
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.reauth import Pace
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rings import (
    DONE,
    FAILED,
    REST,
    RUNNING,
    SOAKING,
    UNDONE,
    WAITING,
    Part,
    earlier_ring,
    next_turn,
    parts_of_plan,
    progress_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import last_plan, rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.naming import owned_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.loader import load_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Ring, Site
from tests.unit.change.fake import FakeTarget
from tests.unit.change.test_change import COMMIT, plan_for, want

LATER = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def site(root: Path) -> Site:
    found = load_site(root / "policies").site
    assert found is not None
    return found


def step(name: str, kind: str = "downloadable_acl", effect: str = "both", **more: Any) -> Operation:
    after = more.pop("after", {"content": "permit ip any any"})
    return Operation(f"{kind}-{name}", "ise1", kind, name, "update", None, after, effect=effect, **more)


def plan_of(*steps: Operation, target: str = "ise1") -> Plan:
    return Plan("p" * 64, COMMIT, "", "", "", False, (TargetPlan(target, "fake", "", {}, steps),))


def test_a_step_goes_with_the_last_ring_it_touches_and_what_is_not_in_force_with_the_first(site: Site) -> None:
    rings = (Ring("one", ("cameras",)), Ring("two", ("infusion_pumps", "pump_servers"), hold_minutes=5))
    site = replace(site, rings=rings)
    camera, pump, monitor = (owned_name(name) for name in ("cameras", "infusion_pumps", "patient_monitors"))
    cell = {"source": camera, "destination": pump, "sgacls": []}
    plan = plan_of(
        step(camera),
        step(pump),
        step(monitor),
        step(f"{camera}-{pump}", "egress_matrix_cell", after=cell),
        step(f"{pump}-{monitor}", "egress_matrix_cell", after={"source": pump, "destination": monitor}),
        step("segwright", "ruleset"),
        step(camera, "sgt", "none", after={"value": 7}),
    )
    found = {part.id: {key[1] for key in part.steps} for part in parts_of_plan(plan, site, ())}
    assert found == {
        "one": {f"downloadable_acl-{camera}", f"sgt-{camera}"},
        "two": {f"downloadable_acl-{pump}", f"egress_matrix_cell-{camera}-{pump}"},
        REST: {f"downloadable_acl-{monitor}", f"egress_matrix_cell-{pump}-{monitor}", "ruleset-segwright"},
    }
    assert [part.hold_minutes for part in parts_of_plan(plan, site, ())] == [0, 5, 0]


def test_rings_of_targets_and_a_push_in_each_ring_that_needs_one(site: Site) -> None:
    camera, pump = owned_name("cameras"), owned_name("infusion_pumps")
    site = replace(site, rings=(Ring("lab", (), ("ise1",)), Ring("more", ("cameras",))))
    steps = (step(camera, "sgacl"), step(pump), push_operation("ise1"))
    assert [part.id for part in parts_of_plan(plan_of(*steps), site, ())] == ["lab"]
    assert [part.id for part in parts_of_plan(plan_of(*steps, target="ise2"), site, ())] == ["more", REST]
    site = replace(site, rings=(Ring("one", ("cameras",)), Ring("two", ("infusion_pumps",))))
    steps = (step(camera, "sgt"), step(pump, "sgt"), push_operation("ise1"))
    parts = parts_of_plan(plan_of(*steps), site, ())
    assert [[key[1].partition("-")[0] for key in part.steps] for part in parts] == [["sgt", "push"]] * 2


def test_every_step_of_the_shipped_site_has_a_ring_and_order_is_kept(site: Site) -> None:
    compiled = compile_site(site)
    steps = [
        Operation(
            f"{item.kind}-{item.name}", target.host, item.kind, item.name, "create", None, item.body, effect="narrows"
        )
        for target in compiled.targets
        for item in target.objects
    ]
    hosts = sorted({each.target for each in steps})
    parts = tuple(TargetPlan(host, "fake", "", {}, tuple(s for s in steps if s.target == host)) for host in hosts)
    plan = Plan("p" * 64, COMMIT, "", "", "", False, parts)
    found = parts_of_plan(plan, site, compiled.lists)
    assert sorted(key for part in found for key in part.steps) == sorted((s.target, s.id) for s in steps)
    order = [(target, each.id) for target, each in plan.steps()]
    for part in found:
        assert list(part.steps) == [key for key in order if key in set(part.steps)]
    # A list of one segment never goes before the ring of that segment.
    place = {name: number for number, ring in enumerate(site.rings) for name in ring.segments}
    ring_of = {key: part.id for part in found for key in part.steps}
    names = [*(ring.id for ring in site.rings), REST]
    checked = 0
    for listing in compiled.lists:
        for kind in ("downloadable_acl", "access_list"):
            key = (listing.host, f"{kind}-{listing.name}")
            if key in ring_of and listing.segment:
                assert names.index(ring_of[key]) >= place.get(listing.segment, len(site.rings))
                checked += 1
    assert checked > 3


def parts_for(plan: Plan, *names: str, hold: int = 0) -> Any:
    """Rings by the names of objects, in this order."""
    steps = {each.name: (target, each.id) for target, each in plan.steps()}
    return tuple(Part(name, (steps[name],), hold) for name in names)


def test_rings_one_after_the_other_with_a_crash_between(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    a, b = FakeTarget("a", {"attachment/x": {"value": 1}}), FakeTarget("b", {})
    targets, desired = {"a": a, "b": b}, [want("a", x=2, y=3), want("b", z=4)]
    plan = plan_for(targets, desired)
    parts = parts_for(plan, "x", "y", "z", hold=10)

    def states() -> list[str]:
        return [item.state for item in progress_of(parts, read_entries(journal.path), plan.plan_id)]

    def run(part: Any) -> Any:
        return apply_plan(plan, targets, desired, journal, policy_commit=COMMIT, ring=part)

    outcome = run(parts[0])
    assert outcome.ok and [each.operation.name for each in outcome.completed] == ["x"]
    assert sorted(each.name for each in outcome.remaining) == ["y", "z"]
    assert states() == [SOAKING, WAITING, WAITING]
    progress = progress_of(parts, read_entries(journal.path), plan.plan_id)
    turn = next_turn(progress, progress[0].until - timedelta(seconds=30))
    assert (
        turn.part is None and [f.code for f in turn.findings] == ["SW4131"] and "1 minutes" in turn.findings[0].message
    )
    assert next_turn(progress, progress[0].until).part == parts[1]
    a.crash_on = {"y"}
    with pytest.raises(KeyboardInterrupt):
        run(parts[1])
    assert states() == [SOAKING, RUNNING, WAITING]
    assert next_turn(progress_of(parts, read_entries(journal.path), plan.plan_id), LATER).part == parts[1]
    a.crash_on, a.fail_on = set(), {"y"}
    assert not run(parts[1]).ok
    assert states() == [SOAKING, FAILED, WAITING]
    a.fail_on = set()
    assert run(parts[1]).ok and run(parts[2]).ok
    assert states() == [SOAKING, SOAKING, SOAKING]
    events = [entry["event"] for entry in read_entries(journal.path)]
    assert events.count("ring_done") == 2 and events[-1] == "plan_done"
    assert next_turn(progress_of(parts, read_entries(journal.path), plan.plan_id), LATER).part is None
    assert (a.objects, b.objects) == (
        {"attachment/x": {"value": 2}, "attachment/y": {"value": 3}},
        {"attachment/z": {"value": 4}},
    )
    assert verify_journal(journal.path) == []


def test_a_ring_that_was_rolled_back_ends_the_rollout(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    a = FakeTarget("a", {})
    desired = [want("a", x=2, y=3)]
    plan = plan_for({"a": a}, desired)
    parts = parts_for(plan, "x", "y")
    for part in parts:
        assert apply_plan(plan, {"a": a}, desired, journal, policy_commit=COMMIT, ring=part).ok
    assert [item.state for item in progress_of(parts, read_entries(journal.path), plan.plan_id)] == [DONE, DONE]
    wanted = set(parts[1].steps)
    undone = rollback_plan(
        plan.plan_id, {"a": a}, journal, only=lambda operation: (operation.target, operation.id) in wanted
    )
    assert undone.ok and a.objects == {"attachment/x": {"value": 2}}
    # What the rest of the plan pulled stays pulled: an isolation does not end because one ring went back.
    entries = [
        {**entry, "postures": ["isolate"]} if entry["event"] == "plan_started" else entry
        for entry in read_entries(journal.path)
    ]
    assert pulled_in(entries) == ("isolate",)
    progress = progress_of(parts, read_entries(journal.path), plan.plan_id)
    assert [item.state for item in progress] == [DONE, UNDONE]
    assert [finding.code for finding in next_turn(progress, LATER).findings] == ["SW4130"]
    # Applied anew on purpose, it counts as done again.
    assert apply_plan(plan, {"a": a}, desired, journal, policy_commit=COMMIT, ring=parts[1]).ok
    assert [item.state for item in progress_of(parts, read_entries(journal.path), plan.plan_id)] == [DONE, DONE]


def test_a_plan_applied_as_a_whole_counts_for_all_its_rings(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    a = FakeTarget("a", {})
    desired = [want("a", x=2, y=3)]
    plan = plan_for({"a": a}, desired)
    assert apply_plan(plan, {"a": a}, desired, journal, policy_commit=COMMIT).ok
    states = [item.state for item in progress_of(parts_for(plan, "x", "y"), read_entries(journal.path), plan.plan_id)]
    assert states == [DONE, DONE]


@pytest.mark.one_python
def test_random_rollouts_end_in_the_approved_state_or_where_they_began(tmp_path: Path) -> None:
    """Crashes, failures and resumption at random places; the journal always tells the whole state."""
    for seed in range(40):
        dice = random.Random(seed)
        journal = Journal(tmp_path / f"{seed}.jsonl")
        names = [f"o{number}" for number in range(dice.randint(2, 8))]
        hosts = ["a", "b", "c"][: dice.randint(1, 3)]
        held = {host: dice.sample(names, dice.randint(0, len(names))) for host in hosts}
        targets = {h: FakeTarget(h, {f"attachment/{n}": {"value": 0} for n in held[h]}) for h in hosts}
        before = {host: dict(target.objects) for host, target in targets.items()}
        desired = [want(host, **dict.fromkeys(names, 1)) for host in hosts]
        plan = plan_for(targets, desired)
        keys = [(target, each.id) for target, each in plan.steps()]
        cut = sorted(dice.sample(range(len(keys) + 1), 2))
        pieces = (keys[: cut[0]], keys[cut[0] : cut[1]], keys[cut[1] :])
        parts = tuple(Part(f"r{n}", tuple(piece)) for n, piece in enumerate(pieces) if piece)
        back = dice.random() < 0.4
        for _turn in range(60):
            for target in targets.values():
                target.crash_on = {dice.choice(names)} if dice.random() < 0.3 else set()
                target.fail_on = {dice.choice(names)} if dice.random() < 0.3 else set()
            entries = read_entries(journal.path) if journal.path.exists() else []
            turn = next_turn(progress_of(parts, entries, plan.plan_id), LATER)
            if turn.part is None:
                break
            try:
                apply_plan(plan, targets, desired, journal, policy_commit=COMMIT, ring=turn.part)
            except KeyboardInterrupt:
                journal = Journal(journal.path)  # the controller died; another one goes on
            if back and dice.random() < 0.3:
                rollback_plan(plan.plan_id, targets, journal)
                assert {host: target.objects for host, target in targets.items()} == before
                break
        else:
            raise AssertionError("the rollout does not end")
        if not back or turn.part is None:
            assert (
                all(value == {"value": 1} for target in targets.values() for value in target.objects.values()) or back
            )
        assert verify_journal(journal.path) == []


def test_a_rollback_by_the_beginning_of_an_id_is_seen_by_the_rollout(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    a = FakeTarget("a", {})
    desired = [want("a", x=2, y=3)]
    plan = plan_for({"a": a}, desired)
    parts = parts_for(plan, "x", "y")
    assert apply_plan(plan, {"a": a}, desired, journal, policy_commit=COMMIT, ring=parts[0]).ok
    assert rollback_plan(plan.plan_id[:12], {"a": a}, journal).ok and a.objects == {}
    entries = read_entries(journal.path)
    assert [item.state for item in progress_of(parts, entries, plan.plan_id)] == [UNDONE, WAITING]
    assert {entry["plan_id"] for entry in entries} == {plan.plan_id} and last_plan(entries) == ""


def entry_of(minute: int, event: str, plan: str = "p", **more: Any) -> dict[str, Any]:
    return {"time": f"2026-01-01T{10 + minute // 60}:{minute % 60:02}:00Z", "event": event, "plan_id": plan, **more}


def ran(minute: int, end: str, *steps: str, plan: str = "p", **more: Any) -> list[dict[str, Any]]:
    found = [entry_of(minute, "plan_started", plan, policy_commit=COMMIT, **more)]
    for name in steps:
        found += [
            entry_of(minute, "operation_started", plan, target="a", operation={"id": name}),
            entry_of(minute, "operation_done", plan, target="a", operation_id=name),
        ]
    return [*found, entry_of(minute, end, plan)] if end else found


def test_what_is_applied_anew_as_a_whole_is_watched_from_then_on() -> None:
    """Else the refusals of the first attempt would take back the second one."""
    one, two = Part("one", (("a", "x"),), 60), Part("two", (("a", "y"),), 60)
    first = [*ran(0, "ring_done", "x", ring="one"), entry_of(30, "undo_done", target="a", operation_id="x")]
    found = progress_of((one, two), [*first, *ran(120, "plan_done", "x", "y")], "p")
    assert [(item.state, item.began, item.ended) for item in found] == [(SOAKING, TWO_HOURS, TWO_HOURS)] * 2
    # What a ring did before keeps its time, and what a ring left half done is completed.
    begun = [*ran(0, "ring_done", "x", ring="one"), *ran(30, "plan_failed", ring="two")]
    found = progress_of((one, two), [*begun, *ran(120, "plan_done", "y")], "p")
    assert [(item.state, item.ended and item.ended.hour) for item in found] == [(SOAKING, 10), (SOAKING, 12)]
    assert found[1].began is not None and found[1].began.minute == 30


TWO_HOURS = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_a_plan_made_anew_knows_the_ring_that_the_one_before_it_changed(site: Site) -> None:
    site = replace(site, rings=(Ring("one", ("cameras",), hold_minutes=60),))
    entries = ran(0, "ring_done", "x", "y", ring="one")
    assert earlier_ring(entries, "p", site) is None
    plan, commit, item = earlier_ring(entries, "q", site) or ("", "", None)
    assert (plan, commit) == ("p", COMMIT) and item is not None
    assert (item.state, item.part) == (SOAKING, Part("one", (("a", "x"), ("a", "y")), 60))
    back = [*entries, entry_of(5, "undo_done", target="a", operation_id="x")]
    assert (earlier_ring(back, "q", site) or ("", "", item))[2].state == UNDONE
    assert earlier_ring([*entries, *ran(9, "ring_done", "z", plan="q", ring="one")], "q", site) is None
    assert earlier_ring(ran(0, "plan_done", "x"), "q", site) is None


def test_what_binds_the_devices_of_a_segment_goes_with_its_ring(site: Site) -> None:
    """In the rest they would be enforced all at once, and watched by nobody."""
    site = replace(site, rings=(Ring("one", ("cameras",)), Ring("two", ("infusion_pumps",))))
    camera, pump = owned_name("cameras"), owned_name("infusion_pumps")
    moved = replace(step("00:11:22:33:44:66", "endpoint", after={"group": camera}), before={"group": pump})
    plan = plan_of(
        step(camera, "endpoint_group", "none", after={"parent": ""}),
        step("00:11:22:33:44:55", "endpoint", after={"group": camera}),
        moved,
        step(f"{camera}@Default", "authorization_rule", after={"profiles": [camera], "security_group": ""}),
        step(owned_name("10_0_0_1"), "ip_sgt_mapping", after={"host": "10.0.0.1", "sgt": pump}),
        step(owned_name("quarantine"), "anc_policy", "none", after={"actions": ["QUARANTINE"]}),
    )
    found = {part.id: [key[1].partition("-")[0] for key in part.steps] for part in parts_of_plan(plan, site, ())}
    assert found == {
        "one": ["endpoint_group", "endpoint", "authorization_rule"],
        "two": ["endpoint", "ip_sgt_mapping"],
        REST: ["anc_policy"],
    }


def test_what_is_left_for_a_later_ring_is_pushed_though_its_phase_has_no_push(tmp_path: Path) -> None:
    """A tag that waits for its ring is prepared, in phase 0; the plan pushes once, after the lists."""

    class Pushing(FakeTarget):
        def diff(self, desired: Any, live: Any) -> tuple[Operation, ...]:
            steps = super().diff(desired, live)
            return (*steps, push_operation(self.name, max(each.phase for each in steps))) if steps else ()

    a = Pushing("a", {}, x="none", y="narrows")
    desired, journal = [want("a", x=2, y=3)], Journal(tmp_path / "journal.jsonl")
    plan = plan_for({"a": a}, desired)
    push = ("a", plan.operations()[-1].id)
    number = {each.name: ("a", each.id) for each in plan.operations()}
    for name in ("y", "x"):
        part = Part(name, (number[name], push))
        assert apply_plan(plan, {"a": a}, desired, journal, policy_commit=COMMIT, ring=part).ok
    assert [name for what, name in a.log if what == "execute"] == ["y", "trustsec", "x", "trustsec"]


def test_a_foreign_change_voids_the_plan_for_its_target_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    a, b = FakeTarget("a", {"attachment/x": {"value": 1}}), FakeTarget("b", {"attachment/z": {"value": 3}})
    targets, desired = {"a": a, "b": b}, [want("a", x=2), want("b", z=4, other=5)]
    b.objects["attachment/other"] = {"value": 5}
    plan = plan_for(targets, desired)
    first, second = parts_for(plan, "x", "z")

    def run(part: Any) -> Any:
        return apply_plan(plan, targets, desired, journal, policy_commit=COMMIT, ring=part)

    b.objects["attachment/z"]["value"] = 9
    outcome = run(first)
    assert outcome.ok and [finding.code for finding in outcome.findings] == ["SW4182"]
    assert "b: attachment z value: 3 -> 9" in outcome.findings[0].message
    assert [step.name for step in outcome.remaining] == ["z"] and a.objects["attachment/x"] == {"value": 2}
    with pytest.raises(FindingError, match="SW4015"):
        run(second)
    assert b.writes == 0
    b.objects["attachment/z"]["value"] = 3
    assert run(second).ok
    # What was carried out and is changed afterwards is void as well: the plan is not done by a ring after it.
    again = plan_for(targets, [want("a", x=7), want("b", z=8, other=5)])
    desired = [want("a", x=7), want("b", z=8, other=5)]
    first, second = parts_for(again, "z", "x")
    plan = again
    assert run(first).ok
    b.objects["attachment/other"]["value"] = 6
    assert run(second).ok
    assert read_entries(journal.path)[-1]["event"] == "plan_done"  # its own step stands; drift is for verify to tell
    a.objects["attachment/x"]["value"] = 2
    b.objects["attachment/z"]["value"] = 3
    assert run(second).ok
    assert read_entries(journal.path)[-1]["event"] == "ring_done"


def test_a_ring_does_not_begin_that_its_window_is_too_short_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    clock = [datetime(2026, 11, 20, 22, 0, tzinfo=UTC)]
    monkeypatch.setattr(journal_module, "iso_now", lambda: f"{clock[0]:%Y-%m-%dT%H:%M:%SZ}")

    def note(event: str, seconds: int = 0, **content: Any) -> None:
        clock[0] += timedelta(seconds=seconds)
        journal.append(event, plan_id="a" * 64, **content)

    assert seconds_per_step([]) == 0.0
    note("plan_started", ring="one", steps=["1", "2"])
    note("operation_done", 20, target="a", operation_id="1", changed=True, writes=1, undo={})
    note("operation_done", 10, target="a", operation_id="2", changed=True, writes=1, undo={})
    note("target_confirmed", 30, target="a", findings=[])
    note("reauth_batch_done", 3600, batch=1, devices=[])
    note("ring_done", findings=[])
    note("plan_started", ring="two", steps=["3"])
    note("operation_done", 5, target="a", operation_id="3", changed=True, writes=1, undo={})
    note("plan_failed", findings=[])
    entries = read_entries(journal.path)
    assert seconds_per_step(entries) == 30.0
    assert expected(entries, 10, 0, Pace()) == timedelta(minutes=5)
    takes = expected(entries, 10, 11, Pace(5, 30.0, 60.0))
    assert takes == timedelta(seconds=300 + 2 * 30 + 60)
    now = clock[0]
    assert overrun_findings("two", takes, now, None) == []
    assert overrun_findings("two", takes, now, now + takes) == []
    found = overrun_findings("two", takes, now, now + timedelta(minutes=5))
    assert [item.code for item in found] == ["SW4184"] and "about 7 minutes" in found[0].message


def test_a_ring_of_thousands_is_gone_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps that go back with a ring are a set that is made each time it is asked for."""
    made: list[str] = []
    monkeypatch.setattr(Part, "back", property(lambda part: made.append(part.id) or frozenset(part.steps)))
    steps = [("a", str(number)) for number in range(50)]
    entries: list[dict[str, Any]] = [
        {"event": "plan_started", "plan_id": "p", "time": "2026-11-20T10:00:00Z", "ring": "one"}
    ]
    for target, key in steps:
        begun = {"event": "operation_started", "plan_id": "p", "time": "2026-11-20T10:00:01Z", "target": target}
        entries += [{**begun, "operation": {"id": key}}, {**begun, "event": "undo_done", "operation_id": key}]
    progress_of((Part("one", tuple(steps)),), entries, "p")
    assert len(made) <= 3


def test_a_ring_beside_a_foreign_change_is_judged_by_what_was_read_and_held_where_it_is_not_safe(
    tmp_path: Path,
) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    a, b = FakeTarget("a", {"attachment/x": {"value": 1}}), FakeTarget("b", {"attachment/z": {"value": 3}})
    targets, desired = {"a": a, "b": b}, [want("a", x=2), want("b", z=4)]
    plan = plan_for(targets, desired)
    first, _second = parts_for(plan, "x", "z")
    asked: list[tuple[Any, ...]] = []
    answer = [codes.UNSAFE_BESIDE.at("a mix of both")]

    def beside(live: Any, steps: Any, void: Any) -> list[Any]:
        asked.append((live["b"].objects["attachment/z"]["value"], [step.name for step in steps], sorted(void)))
        return answer

    def run(**more: Any) -> Any:
        return apply_plan(plan, targets, desired, journal, policy_commit=COMMIT, ring=first, beside=beside, **more)

    assert run(check_mode=True).ok and asked == []  # nobody changed anything: the plan's own proofs are of this state
    b.objects["attachment/z"]["value"] = 9
    for more in ({"check_mode": True}, {}):
        with pytest.raises(FindingError) as caught:
            run(**more)
        assert [finding.code for finding in caught.value.findings] == ["SW4189", "SW4182"]
    assert asked == [(9, ["x"], ["b"])] * 2 and a.writes == b.writes == 0
    assert not journal.path.exists() or read_entries(journal.path) == []
    # What only cannot be told is told, and holds nothing.
    answer[0] = answer[0].with_severity("warning")
    outcome = run()
    assert outcome.ok and [finding.code for finding in outcome.findings] == ["SW4182", "SW4189"] and a.writes == 1
    assert run().ok and len(asked) == 3  # no step is left
