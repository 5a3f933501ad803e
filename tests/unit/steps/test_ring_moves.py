"""A plan that moves devices to other segments: what is proved while some have moved, by live state, steps and rings as they are made."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code, Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.codes import MOVE_CUTS_WORKFLOW, MOVE_OPENS
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation, Snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import Plan, TargetPlan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rings import parts_of_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    Assignment,
    EnforcementPoint,
    Guardrail,
    Member,
    Ring,
    Rule,
    Segment,
    Service,
    ServiceMatch,
    Site,
    Workflow,
    Zone,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.codes import (
    MIX_CUTS,
    MIX_CUTS_WORKFLOW,
    MIX_INTERRUPTS,
    MIX_OPENS,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.points import filtered_members, visible
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import plan as steps_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.plan import meaning_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.ring_default import default_cells
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.ring_moves import moving_devices
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_diff import ise_operations

PUMP = Member("02:00:00:00:00:01", ("10.0.1.1",), "pump1", "acc1", "Gi1")
SECOND_PUMP = Member("02:00:00:00:00:02", ("10.0.1.2",), "pump2", "acc1", "Gi2")
SERVER = Member("02:00:00:00:00:03", ("10.0.1.3",), "emr", "acc1", "Gi3")
OTHER = Member("02:00:00:00:00:04", ("10.0.1.4",), "cam1", "acc1", "Gi4")
BOUND = {"authorization": {"endpoints": "assigned"}, "tags": "inline"}


@dataclass
class Policy:
    """A small policy: who is where, what is permitted, and where it is enforced."""

    members: dict[str, tuple[Member, ...]]
    rules: list[tuple[str, str, str]]  # id, client, server
    kinds: tuple[str, ...] = ("sgacl",)
    workflow: tuple[str, ...] = ("use",)
    guardrails: tuple[Guardrail, ...] = ()
    rings: tuple[Ring, ...] = ()
    observed: tuple[str, ...] = field(default=())

    def site(self) -> Site:
        segments = {
            name: Segment(
                name, "z", 100 + sorted(OLD).index(name), "o", "high", {},
                tuple(Rule(i, c, t, ("web",), "b", "manual") for i, c, t in self.rules if c == name),
            )
            for name in sorted(self.members)
        }  # fmt: skip
        return Site(
            "s", "UTC", {"z": Zone("z", ("10.0.1.0/24",), 2, "o")}, (), {"web": Service("web", (ServiceMatch(6, ((443, 443),)),))},
            {}, segments, self.guardrails, (), (Workflow("w", "w", "ward", "high", self.workflow),),
            {kind: EnforcementPoint(kind, kind, "ise", "ise1", BOUND) for kind in self.kinds},
            {n: Assignment(n, "enforce", self.kinds) for n in self.members if n not in self.observed}, self.members, rings=self.rings,
        )  # fmt: skip


def planned(before: Policy, after: Policy, **default: str) -> tuple[dict, list[Finding], Plan]:
    """What a plan from one policy in force to another says; ``default``: what the ANY-ANY cell has in fields of its own."""
    old, site = compile_site(before.site()), after.site()
    new = compile_site(site)
    objects = {
        f"{item.kind}/{item.name}": {**item.body, "owned": True} for target in old.targets for item in target.objects
    }
    live = Snapshot("ise1", "ise", objects, raw={"policy_set/Default": "1"})
    shipped = {"source": "ANY", "destination": "ANY", "status": "ENABLED", "sgacls": [], "default_rule": "PERMIT_IP"}
    seen = replace(live, objects={**objects, "egress_matrix_cell/ANY-ANY": {**shipped, **default}})
    (target,) = new.targets
    steps = ise_operations("ise1", target.objects, live)
    plan = Plan("p", "c", "", "", "", False, (TargetPlan("ise1", "ise", "", objects, steps),))
    effect, findings = meaning_of(site, new, {"ise1": seen}, plan)
    return effect, [finding for finding in findings if finding.code.startswith(("SW417", "SW4166"))], plan


def world(**segments: tuple[Member, ...]) -> dict[str, tuple[Member, ...]]:
    return {name: segments.get(name, ()) for name in ("cams", "emr_new", "emr_old", "pumps_new", "pumps_old")}


OLD = world(pumps_old=(PUMP, SECOND_PUMP), emr_old=(SERVER,), cams=(OTHER,))
NEW = world(pumps_new=(PUMP, SECOND_PUMP), emr_new=(SERVER,), cams=(OTHER,))
PERMITS = [
    ("was", "pumps_old", "emr_old"),
    ("use", "pumps_new", "emr_new"),
    ("more", "cams", "emr_new"),
    ("least", "cams", "pumps_new"),
]


def test_both_ends_that_move_are_cut_by_the_cell_between_an_old_and_a_new_tag() -> None:
    rings = (Ring("ward", devices=("pump1", "emr")),)
    effect, findings, plan = planned(Policy(OLD, PERMITS), Policy(NEW, PERMITS, rings=rings))
    assert {step.kind for step in plan.operations()} == {"endpoint"}
    assert not effect["moves"]["safe"] and effect["moves"]["devices"] == 3
    assert {finding.code for finding in findings} == {"SW4170"}
    text = "\n".join(finding.message for finding in findings)
    assert "ring ward: workflow w (ward): rule use works before and after" in text
    assert "pump1 is in pumps_new, emr is in emr_old" in text and "pump1 is in pumps_old, emr is in emr_new" in text
    assert all("permit it from" in finding.hint for finding in findings)
    assert "safe_order" not in effect["moves"]  # neither may go first


def test_a_policy_in_between_that_permits_both_ways_is_safe() -> None:
    between = [*PERMITS, ("cross", "pumps_new", "emr_old"), ("back", "pumps_old", "emr_new")]
    _effect, findings, _plan = planned(Policy(OLD, PERMITS), Policy(OLD, between))
    assert findings == []  # the permission comes first
    effect, findings, _plan = planned(Policy(OLD, between), Policy(NEW, between))
    assert findings == [] and effect["moves"]["safe"] and effect["moves"]["kept_rules"] >= 1
    _effect, findings, _plan = planned(Policy(NEW, between), Policy(NEW, PERMITS))
    assert findings == []  # and goes last


def test_moves_and_permissions_in_one_plan_are_safe_where_the_permissions_come_first() -> None:
    between = [*PERMITS, ("cross", "pumps_new", "emr_old"), ("back", "pumps_old", "emr_new")]
    effect, findings, plan = planned(Policy(OLD, PERMITS), Policy(NEW, between))
    widened = {step.phase for step in plan.operations() if step.kind in ("egress_matrix_cell", "sgacl")}
    moved = {step.phase for step in plan.operations() if step.kind == "endpoint"}
    assert max(widened) < min(moved)
    # On the way back the permissions may be gone while a session stays where it moved.
    assert [finding.code for finding in findings] == ["SW4166"] and effect["moves"]["safe"]
    assert effect["moves"]["back"] == {"safe": False} and "in a commit before" in findings[0].hint
    # What is taken back in the same plan may be gone while a device is where it was.
    effect, findings, _plan = planned(Policy(OLD, between), Policy(NEW, PERMITS))
    assert not effect["moves"]["safe"] and {finding.code for finding in findings} == {"SW4170"}
    assert any("new list" in finding.message and "later" in finding.hint for finding in findings)


def test_lists_by_address_do_not_mind_where_the_peer_is() -> None:
    effect, findings, plan = planned(Policy(OLD, PERMITS, ("dacl",)), Policy(NEW, PERMITS, ("dacl",)))
    assert any(step.kind == "endpoint" for step in plan.operations())
    assert effect["moves"]["devices"] == 3
    # The old lists lose the addresses that leave, while a device may still have such a list.
    assert {finding.code for finding in findings} <= {"SW4170"}


def test_a_segment_that_the_policy_lost_counts_as_long_as_ise_has_it() -> None:
    before = Policy(OLD, PERMITS)
    left = {name: found for name, found in NEW.items() if not name.endswith("_old")}
    after = Policy(left, [rule for rule in PERMITS if rule[0] != "was"])
    effect, findings, _plan = planned(before, after)
    assert not effect["moves"]["safe"] and {finding.code for finding in findings} == {"SW4170"}
    assert any(
        "SW_pumps_new-SW_emr_old" in f.message or "SW_pumps_old-SW_emr_new" in f.message for f in findings
    ) or any("emr_old" in f.message for f in findings)


def test_one_device_that_moves_alone_keeps_what_both_segments_may() -> None:
    rules = [("was", "pumps_old", "emr_old"), ("use", "pumps_new", "emr_old"), ("least", "cams", "pumps_new")]
    moved = world(pumps_new=(PUMP,), pumps_old=(SECOND_PUMP,), emr_old=(SERVER,), cams=(OTHER,))
    effect, findings, _plan = planned(Policy(OLD, rules), Policy(moved, rules))
    assert findings == [] and effect["moves"]["safe"] and effect["moves"]["devices"] == 1


def test_a_must_never_that_two_cells_keep_is_open_where_there_is_no_cell() -> None:
    """Nobody wrote a cell between the old and the new tags of these two: nothing stops what neither policy permits."""
    never = (Guardrail("apart", "never", "cams", "pumps_new", ("web",), "because"),)
    rules = [("use", "pumps_new", "emr_new"), ("was", "pumps_old", "emr_old")]
    before = Policy(world(pumps_old=(PUMP,), emr_old=(OTHER, SERVER), cams=()), rules, observed=("cams", "pumps_new"))
    after = Policy(
        world(pumps_new=(PUMP,), cams=(OTHER,), emr_old=(SERVER,)),
        rules,
        guardrails=never,
        observed=("emr_old", "pumps_old"),
    )
    effect, findings, _plan = planned(before, after)
    assert not effect["moves"]["safe"]
    assert [finding.code for finding in findings if finding.code == "SW4173"] == ["SW4173"]
    # Where pairs without a cell are denied, something does.
    effect, findings, _plan = planned(before, after, default_rule="DENY_IP")
    assert effect["moves"]["safe"] and findings == []
    for open_ones in ({"status": "MONITOR"}, {"status": "DISABLED"}):
        assert not planned(before, after, default_rule="DENY_IP", **open_ones)[0]["moves"]["safe"]


@pytest.mark.parametrize("default", ["PERMIT_IP", "DENY_IP"])
def test_what_no_cell_decides_the_any_any_cell_does(default: str) -> None:
    """The pump is in its new segment and the camera in its old one: neither policy has a cell for that."""
    rules = [("was", "pumps_old", "emr_old"), ("use", "pumps_new", "cams")]
    before = Policy(world(pumps_old=(PUMP,), emr_old=(OTHER, SERVER)), rules, observed=("cams", "pumps_new"))
    after = Policy(world(pumps_new=(PUMP,), cams=(OTHER,), emr_old=(SERVER,)), rules, observed=("emr_old", "pumps_old"))
    effect, findings, _plan = planned(before, after, default_rule=default)
    cut = "\n".join(finding.message for finding in findings)
    assert effect["moves"]["safe"] is (default == "PERMIT_IP"), cut
    assert {finding.code for finding in findings} == (set() if default == "PERMIT_IP" else {"SW4170"})
    assert ("list ANY-ANY pumps_new emr_old 4" in cut) is (default == "DENY_IP")


def test_every_pair_of_tags_has_one_who_decides_it() -> None:
    """By pairs: a cell of the policy, the ANY-ANY cell, or nobody knows since others gave it a cell."""
    choose, site = random.Random(8), Policy(OLD, PERMITS).site()
    shape = PointList("m", "sgacl", "ise", "ise1", "", "enforce", (), False, False)
    tags = ["cams", "emr_new", "pumps_old", "tag gone"]
    closed = {"status": "ENABLED", "sgacls": [], "default_rule": "DENY_IP"}
    for _round in range(40):
        pairs = [(one, two) for one in tags for two in tags]
        held = [choose.sample(pairs, choose.randint(1, 9)) for _state in (0, 1)]
        lists = [[replace(shape, name=f"{a}>{b}", segment=a, peer=b) for a, b in found] for found in held]
        others = choose.sample(pairs, 4)
        raw = {"cells": "\n".join("-".join({"tag gone": "gone"}.get(t, f"SW_{t}") for t in pair) for pair in others)}
        live = Snapshot("ise1", "ise", {"egress_matrix_cell/ANY-ANY": closed}, raw=raw)
        moving = set(choose.sample(tags, 2))
        times = {("m", item.name): (3, 5) for item in (*lists[0], *lists[1])}
        found = default_cells(site, *lists, {"ise1": live}, moving, times)
        known = {tag for part in held for pair in part for tag in pair} | (moving & {"tag gone"})
        for number in (0, 1):
            decided = {(item.segment, item.peer, item.family) for item in found[number]}
            wanted = {
                pair
                for pair in pairs
                if set(pair) <= known
                and set(pair) & moving
                and pair not in held[number]
                and (pair in held[1 - number] or pair not in others)
            }
            assert decided == {(*pair, family) for pair in wanted for family in (4, 6)}
            for item in found[number]:
                assert [ace.permit for ace in item.aces] == [False]
                # Where a cell comes or goes, the ANY-ANY cell goes or comes: as its other version, or at its time.
                pair = (item.segment, item.peer)
                changes = pair in held[1 - number]
                assert found[2].get(("m", item.name)) == ((3, 5) if changes and item.family == 6 else None)
                assert (item.name == f"{pair[0]}>{pair[1]}") is (changes and item.family == 4)


ONE_WAY = [*PERMITS, ("cross", "pumps_new", "emr_old")]  # pumps may go first; nobody may go second
FIRST, SECOND = Ring("first", devices=("pump1", "pump2")), Ring("second", devices=("emr",))


@pytest.mark.parametrize(
    ("rings", "safe"),
    [
        ((FIRST, SECOND), True),
        ((replace(FIRST, devices=("pump1",)), replace(FIRST, id="more", devices=("pump2",)), SECOND), True),
        ((SECOND, FIRST), False),
        ((Ring("both", devices=("pump1", "pump2", "emr")),), False),
        ((replace(FIRST, devices=("pump1",)), SECOND), False),  # the second pump goes last
    ],
)
def test_the_order_of_rings_is_safe_where_each_waits_for_its_devices(rings: tuple[Ring, ...], safe: bool) -> None:
    effect, findings, plan = planned(Policy(OLD, ONE_WAY), Policy(NEW, ONE_WAY, rings=rings))
    assert {finding.code for finding in findings} == ({"SW4174", "SW4166"} if safe else {"SW4170"})
    assert effect["moves"]["safe"] is safe and effect["moves"]["at_once"] is False
    assert ("follow" in effect["moves"]) is safe
    said = [finding.hint for finding in findings if "safe with rings in this order" in finding.hint]
    assert bool(said) is not safe and ("safe_order" in effect["moves"]) is not safe
    for hint in said:
        assert "pump1, pump2 (pumps_old to pumps_new); then emr (emr_old to emr_new)" in hint
    if safe:
        assert {finding.severity for finding in findings} == {"warning"}
        order = next(finding.message for finding in findings if finding.code == "SW4174")
        assert "microseg_reauthenticate=true" in order
        # A server that stays where it is while its pumps go back: not where they go back ring by ring.
        back = [finding for finding in findings if finding.code == "SW4166"]
        assert effect["moves"]["back"] == {"safe": False, "by_ring": True}
        assert all("workflow w (ward): rule use works before and after" in finding.message for finding in back)
        assert any("pump1 is in pumps_old, emr is in emr_new" in finding.message for finding in back), back
        assert all("microseg_rollback_ring" in finding.hint for finding in back)
    parts = parts_of_plan(plan, Policy(NEW, ONE_WAY, rings=rings).site(), ())
    moved = [mac for part in parts for _target, _segment, macs in part.moved for mac in macs]
    assert sorted(moved) == [PUMP.device, SECOND_PUMP.device, SERVER.device]


def test_what_is_only_warned_about_needs_no_rings() -> None:
    """A plan that is told as a warning can be carried out at once, where the site has rings and where it has none."""
    for rings in ((), (Ring("ward", devices=("pump1", "emr")),)):
        effect, findings, _plan = planned(Policy(OLD, PERMITS), Policy(NEW, PERMITS, workflow=(), rings=rings))
        assert {finding.code for finding in findings} == {"SW4172"} and not effect["moves"]["safe"]
        assert effect["moves"]["at_once"] is True


@pytest.mark.parametrize("code", [MIX_CUTS_WORKFLOW, MIX_OPENS, MIX_INTERRUPTS, MOVE_CUTS_WORKFLOW, MOVE_OPENS])
def test_a_plan_whose_own_proof_has_an_error_is_refused(
    code: Code, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [code.at("because"), MIX_CUTS.at("only a warning")]
    monkeypatch.setattr(steps_plan, "planned", lambda *_args: (Plan("p", "c", "", "", "", False, ()), None, said))
    values = {"policy_dir": str(tmp_path), "state_dir": str(tmp_path / "s"), "output_dir": str(tmp_path / "o")}
    with pytest.raises(FindingError) as refused:
        steps_plan.run_plan(values, {})
    assert [finding.code for finding in refused.value.findings] == [code.number]
    assert not list(tmp_path.rglob("plan*"))


@pytest.mark.parametrize("live", ["GigabitEthernet1/0/1", "Gi1/0/1"])
def test_lists_that_the_policy_lost_are_known_on_a_port_in_both_families(live: str) -> None:
    """However the membership writes the port: they filter the device there until it moves, each its own family."""
    member = replace(PUMP, interface="Gi1/0/1")
    policy = Policy(world(pumps_new=(member,), emr_new=(SERVER,)), PERMITS)
    texts, steps = {}, []
    for number, prefix in enumerate(("", "ipv6_")):
        body = {"interface": live, "direction": "in", "access_list": f"SW_gone{prefix}"}
        after = {**body, "access_list": f"SW_pumps_new{prefix}"}
        steps.append(
            (Operation(str(number), "acc1", f"{prefix}attachment", f"{live}-in", "update", body, after, phase=2), 2)
        )
        texts[f"{prefix}attachment/{live}-in"] = body
        texts[f"{prefix}access_list/SW_gone{prefix}"] = {"content": f"permit {prefix[:-1] or 'ip'} any any"}
    lists = [
        PointList("acc1-ports", "port_acl", "ios", "acc1", "SW_pumps_new", "enforce", (), False, False, "pumps_new")
    ]
    found = moving_devices(policy.site(), lists, {"acc1": Snapshot("acc1", "ios", texts)}, steps)
    assert {(item.name, item.family) for item in found.retired} == {("SW_gone", 4), ("SW_goneipv6_", 6)}
    assert len({item.segment for item in found.retired}) == 1
    for item in found.retired:
        assert member.interface in item.interfaces and [ace.permit for ace in item.aces] == [True]
        assert filtered_members(found.before["port_acl"], item, surely=True) == [member]


def test_lists_that_ise_hands_out_and_the_policy_lost_are_known_in_both_families() -> None:
    pump = replace(PUMP, addresses=("10.0.1.1", "2001:db8::1"))
    before = Policy(world(pumps_old=(pump,), emr_old=(SERVER,)), PERMITS, ("dacl",))
    after = Policy(world(pumps_new=(pump,), emr_old=(SERVER,)), PERMITS, ("dacl",))
    objects = {f"{item.kind}/{item.name}": dict(item.body) for item in compile_site(before.site()).targets[0].objects}
    objects["authorization_profile/SW_pumps_old"] |= {"dacl_name": "four", "ipv6_dacl_name": "six"}
    objects |= {
        "downloadable_acl/four": {"content": "permit ip any any"},
        "downloadable_acl/six": {"content": "deny ipv6 any any"},
    }
    step = Operation(
        "1", "ise1", "endpoint", pump.device, "update", {"group": "SW_pumps_old"}, {"group": "SW_pumps_new"}, phase=2
    )
    site = after.site()
    found = moving_devices(site, compile_site(site).lists, {"ise1": Snapshot("ise1", "ise", objects)}, [(step, 2)])
    assert {(item.name, item.family, item.aces[0].permit) for item in found.retired} == {
        ("four", 4, True), ("six", 6, False),
    }  # fmt: skip
    for item in found.retired:
        assert visible(found.before["dacl"], item, surely=True), item.name


def test_a_plan_that_moves_nobody_says_nothing() -> None:
    effect, findings, _plan = planned(Policy(OLD, PERMITS), Policy(OLD, [*PERMITS, ("new", "cams", "emr_old")]))
    assert "moves" not in effect and findings == []


@pytest.mark.parametrize("kind", ["sgacl", "dacl"])
def test_a_first_assignment_cuts_nothing(kind: str) -> None:
    before = Policy(NEW, PERMITS, (kind,), observed=tuple(NEW))
    effect, findings, plan = planned(before, Policy(NEW, PERMITS, (kind,)))
    assert any(step.kind == "endpoint" for step in plan.operations())
    assert findings == [] and effect["moves"]["safe"], findings
    assert parts_of_plan(plan, replace(Policy(NEW, PERMITS).site()), ())
