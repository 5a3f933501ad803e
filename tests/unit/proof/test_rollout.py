"""Mixes of old and new lists: what the closed form says against every mix, one by one, of a model that knows no lists."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.dacl import parse
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.rollout import (
    Rollout,
    State,
    order_of_rollout,
)
from tests.unit.proof.small_sites import World, as_dict, opens, random_packet, random_world, reply_to

Key = tuple[str, str]


def state_of(world: World) -> State:
    site = world.site()
    return State(site, compile_site(site).lists)


def keys_of(state: State) -> dict[Key, tuple[str, str, str]]:
    return {(item.point, item.name): (item.kind, item.segment, item.peer) for item in state.lists}


def stops(what: tuple[str, str, str], name: str, rules: World, members: World, packet: dict, opener: bool) -> bool:
    """Whether one list, in the version of one world, stops a packet where the membership is another's; read from the fact sheet."""
    kind, segment, peer = what
    source, target = members.segment_of(packet["source"]), members.segment_of(packet["destination"])
    if name not in rules.stages.get(segment or source, ("", []))[1] and kind != "firewall":
        return False
    if kind == "firewall":
        written = any(name in points and stage != "observe" for stage, points in rules.stages.values())
        crosses = opener and rules.crosses(packet["source"], packet["destination"])
        return written and crosses and not rules.firewall(name, packet)
    if kind == "sgacl":
        enforced = rules.stages[segment][0] == rules.stages[peer][0] == "enforce"
        return enforced and (source, target) == (segment, peer) and not rules.cell(source, target, packet)
    if source != segment or rules.stages[segment][0] != "enforce":
        return False
    place = next((s, p) for a, s, p in members.members[source] if a == packet["source"])
    here = kind == "dacl" or (place[0] == "acc1" and place[1])
    return bool(here) and not rules.access(segment, packet, kind == "port_acl")


class Mixes:
    """Two worlds with the same membership, and every choice of a version for each list."""

    def __init__(self, before: World, after: World, rollout: Rollout, old: State, new: State) -> None:
        self.before, self.after, self.rollout = before, after, rollout
        self.kinds = {**keys_of(old), **keys_of(new)}
        self.steps = [step.lists for step in rollout.steps]

    def passes(self, packet: dict, new: set[Key], silent_works: bool) -> bool:
        answer = reply_to(packet)
        for key, what in self.kinds.items():
            world = self.after if key in new else self.before
            if stops(what, key[0], world, self.after, packet, True):
                return False
            counts = answer and not (silent_works and packet["protocol"] != 6)
            if counts and answer and stops(what, key[0], world, self.after, answer, False):
                return False
        return True

    def reachable(self, limit: int = 64) -> list[set[Key]]:
        found = []
        done: set[Key] = set()
        for lists in self.steps:
            choices = list(itertools.product((False, True), repeat=min(len(lists), 12)))
            choices = choices if len(choices) <= limit else random.Random(1).sample(choices, limit)
            for choice in choices:
                choice = (*choice, *(False,) * (len(lists) - len(choice)))
                found.append(done | {key for key, taken in zip(lists, choice, strict=True) if taken})
            done |= set(lists)
        return found


def changed(world: World, choose: random.Random) -> World:
    """The same members and points with other rules and stages."""
    rules = [rule for rule in world.rules if choose.random() < 0.7]
    names = sorted(world.members)
    for number in range(choose.randint(0, 2)):
        rules.append((f"n{number}", choose.choice(names), choose.choice(names), ["web"]))
    stages = {}
    for name, (stage, points) in world.stages.items():
        others = [p for p in ("dacl", "fw1", "matrix") if p not in points]
        chosen = [choose.choice(others)] if others and choose.random() < 0.4 else points
        stages[name] = (choose.choice([stage, "enforce", "enforce", "observe"]), chosen)
    return replace(world, rules=rules, stages=stages)


def guarded(world: World, choose: random.Random) -> None:
    names = sorted(world.members)
    world.guardrails = [("never", *choose.sample(names, 2), ["web", "names"]) for _ in range(5)]


@pytest.mark.one_python
def test_mixes_agree_with_the_model_one_by_one(full: bool) -> None:
    # Seeds whose number is odd prove all lists side by side, which leaks where the order that is looked for would not.
    counted = {"kept": 0, "closed": 0, "leaks": 0, "ordered": 0}
    for seed in range(600 if full else 14):
        choose = random.Random(seed)
        before = random_world(seed)
        guarded(before, choose)
        after = changed(before, choose)
        old, new = state_of(before), state_of(after)
        rollout, findings = order_of_rollout(old, new)
        if seed % 2:  # all lists side by side instead of the order that was found
            phases = {key: 0 for step in rollout.steps for key in step.lists}
            rollout, findings = order_of_rollout(old, new, phases)
        mixes = Mixes(before, after, rollout, old, new)
        assert {key for step in rollout.steps for key in step.lists} <= set(mixes.kinds)
        everything = {key for step in mixes.steps for key in step}
        reachable = mixes.reachable()
        for _ in range(40):
            packet = random_packet(before, choose, opener=True)
            works = mixes.passes(packet, set(), False), mixes.passes(packet, everything, False)
            if all(works):
                assert all(mixes.passes(packet, mix, False) for mix in reachable), (seed, packet)
                counted["kept"] += 1
        leaking = {problem.finding.message.split()[1]: problem for problem in rollout.problems}
        for number, (_must, client, server, services) in enumerate(after.guardrails):
            for _ in range(8):
                packet = forbidden(before, choose, client, server, services)
                if packet is None or f"g{number}" in leaking:
                    continue
                ends = mixes.passes(packet, set(), True), mixes.passes(packet, everything, True)
                if not any(ends):
                    assert not any(mixes.passes(packet, mix, True) for mix in reachable), (seed, packet)
                    counted["closed"] += 1
        for problem in rollout.problems:
            assert problem.finding.code == "SW3152" and problem.packet is not None
            packet = as_dict(problem.packet)
            assert not mixes.passes(packet, set(), True) and not mixes.passes(packet, everything, True)
            assert any(mixes.passes(packet, mix, True) for mix in reachable), (seed, packet)
            counted["leaks"] += 1
        counted["ordered"] += len(rollout.steps) > 1
        assert rollout.safe is not bool(findings)
    assert counted["kept"] > 20 and counted["closed"] > 20 and counted["ordered"] > 3 and counted["leaks"] > 1, counted


def forbidden(world: World, choose: random.Random, client: str, server: str, services: list[str]) -> dict | None:
    """A packet that the guardrail forbids, or None where one end has nobody."""
    if not world.members[client] or not world.members[server]:
        return None
    for _ in range(200):
        packet = random_packet(world, choose, opener=True)
        packet["source"] = choose.choice(world.members[client])[0]
        packet["destination"] = choose.choice(world.members[server])[0]
        if packet["source"] != packet["destination"] and any(opens(service, packet) for service in services):
            return packet
    return None


def two(rules: list, points: dict | None = None, stages: dict | None = None, **more) -> World:
    members = {"a": [("10.0.1.1", "", "")], "b": [("10.0.2.2", "", "")]}
    points = points or {"dacl": ("dacl", {}), "fw1": ("firewall", {"zones": ["north", "south", "east"]})}
    stages = stages or {name: ("enforce", sorted(points)) for name in members}
    return World(members, rules, {"old": ["10.0.3.3/32"], "new": ["10.0.3.4/32"]}, stages, points, **more)


def test_a_must_never_that_moves_from_one_list_to_another_gets_an_order() -> None:
    """Only the DACL stops it before, only the firewall after: together they would leave a mix in which nothing does."""
    never = [("never", "a", "b", ["web"])]
    before = two([], stages={"a": ("enforce", ["dacl"])}, guardrails=never)
    after = two([], stages={"b": ("enforce", ["fw1"])}, guardrails=never)
    rollout, findings = order_of_rollout(state_of(before), state_of(after))
    assert (rollout.safe, findings) == (True, [])
    assert [step.lists[0][0] for step in rollout.steps] == ["fw1", "dacl"]
    phases = {key: 0 for step in rollout.steps for key in step.lists}
    planned, findings = order_of_rollout(state_of(before), state_of(after), phases)
    assert not planned.safe
    assert [item.code for item in findings] == ["SW3152"]
    assert "10.0.1.1" in findings[0].message and "g0" in findings[0].message


def test_a_workflow_that_moves_to_another_address_is_not_interrupted_or_it_is_said() -> None:
    """The firewall and the DACL each pass the old address before and the new one after; in every order one is ahead of the other."""
    before = two([("r", "a", "old", ["web"])], workflows=[["r"]])
    after = two([("r", "a", "new", ["web"])], workflows=[["r"]])
    rollout, findings = order_of_rollout(state_of(before), state_of(after))
    assert not rollout.safe
    assert [item.code for item in findings] == ["SW3153"]
    assert "workflow w0" in findings[0].message
    both = two([("r", "a", "old", ["web"]), ("s", "a", "new", ["web"])], workflows=[["r"]])
    for first, second in ((before, both), (both, two([("s", "a", "new", ["web"])], workflows=[]))):
        rollout, findings = order_of_rollout(state_of(first), state_of(second))
        assert (rollout.safe, findings) == (True, [])


def test_a_device_that_changes_its_segment_may_be_cut_in_a_mix() -> None:
    """It keeps its rule under the new segment, but its old list is behind it while the membership is new, or the reverse."""
    points = {"dacl": ("dacl", {})}
    members = {"a": [("10.0.1.1", "", "")], "b": [("10.0.2.2", "", "")], "c": [("10.0.1.5", "", "")]}
    stages = {name: ("enforce", ["dacl"]) for name in members}
    networks = {"server": ["10.0.2.2/32"]}
    rules = [("r", "a", "server", ["web"]), ("s", "c", "server", ["names"])]
    before = World(members, rules, networks, stages, points, workflows=[["s"]])
    moved = {**members, "a": members["a"] + members["c"], "c": []}
    after = World(moved, [*rules, ("t", "a", "server", ["names"])], networks, stages, points, workflows=[["t"]])
    old, new = state_of(before), state_of(after)
    rollout, findings = order_of_rollout(old, new)
    assert rollout.kept == 2  # nothing that r or s had under their own segment is cut
    assert findings == []
    # A rule that stands in both commits, with a device that joins its segment while its own list still denies it.
    first = World(members, [("r", "a", "server", ["web"]), ("u", "c", "server", ["web"])], networks, stages, points)
    joined = World(
        moved, [("r", "a", "server", ["web"])], networks, {"a": ("enforce", ["dacl"])}, points, workflows=[["r"]]
    )
    rollout, findings = order_of_rollout(state_of(first), state_of(joined))
    assert findings == []
    other = World(members, [("r", "a", "server", ["web"])], networks, {"a": ("enforce", ["dacl"])}, points)
    stricter = World(
        moved, [("r", "a", "server", ["web"])], networks, {"a": ("enforce", ["dacl"]), "c": ("enforce", ["dacl"])}, points,
        workflows=[["r"]],
    )  # fmt: skip
    rollout, findings = order_of_rollout(state_of(other), state_of(stricter))
    assert [item.code for item in findings] == ["SW3151"]
    assert "10.0.1.5" in findings[0].message


def test_tags_that_end_while_a_list_is_still_to_come_are_a_mix() -> None:
    """Only the cell stops it before; after the commit tags do not travel any more and a DACL does: the tags may go first."""
    never = [("never", "a", "b", ["web"])]
    tagged = {"m": ("sgacl", {"tags": "inline"}), "dacl": ("dacl", {})}
    untagged = {**tagged, "m": ("sgacl", {"tags": "none"})}
    only_cell = {name: ("enforce", ["m"]) for name in "ab"}
    both = {"a": ("enforce", ["m", "dacl"]), "b": ("enforce", ["m"])}
    before = two([], tagged, only_cell, guardrails=never)
    rollout, findings = order_of_rollout(state_of(before), state_of(two([], untagged, both, guardrails=never)))
    assert [item.code for item in findings] == ["SW3152"]
    assert "tags and paths may be as before or as after" in findings[0].message
    assert not rollout.safe
    rollout, findings = order_of_rollout(state_of(before), state_of(two([], tagged, both, guardrails=never)))
    assert (rollout.safe, findings) == (True, [])


def test_a_device_that_moves_to_a_port_without_its_list_is_a_mix() -> None:
    """The port ACL of the old switch stops it before, a DACL after; in between the device may be elsewhere and the DACL not there."""
    never = [("never", "a", "b", ["web"])]
    points = {"acc1": ("port_acl", {}), "dacl": ("dacl", {})}
    here, there = [("10.0.1.1", "acc1", "Gi1")], [("10.0.1.1", "acc9", "Gi1")]
    old_stages, new_stages = {"a": ("enforce", ["acc1"])}, {"a": ("enforce", ["acc1", "dacl"])}

    def world(place: list, stages: dict) -> World:
        members = {"a": place, "b": [("10.0.2.2", "", "")]}
        return World(members, [], {}, stages, points, guardrails=never)

    rollout, findings = order_of_rollout(state_of(world(here, old_stages)), state_of(world(there, new_stages)))
    assert {item.code for item in findings} == {"SW3152"}  # in each step
    assert not rollout.safe
    rollout, findings = order_of_rollout(state_of(world(here, old_stages)), state_of(world(here, new_stages)))
    assert (rollout.safe, findings) == (True, [])


def test_nothing_changes_nothing_to_order() -> None:
    site: Site = two([("r", "a", "b", ["web"])]).site()
    lists = compile_site(site).lists
    rollout, findings = order_of_rollout(State(site, lists), State(site, lists))
    assert (rollout.steps, rollout.safe, rollout.mixes, findings) == ((), True, 1, [])


def test_a_list_that_is_new_on_some_ports_only_is_old_on_the_others() -> None:
    """A must-never that a DACL stops before and the firewall after: with a ring in between, a session may have either version."""
    never = [("never", "a", "b", ["web"])]
    old = state_of(two([], stages={"a": ("enforce", ["dacl"])}, guardrails=never))
    new = state_of(two([], stages={"b": ("enforce", ["fw1"])}, guardrails=never))
    dacl, firewall = (
        next(key for key in keys_of(state) if key[0] == name) for state, name in ((old, "dacl"), (new, "fw1"))
    )
    phases = {firewall: 0, dacl: 100}
    rollout, findings = order_of_rollout(old, new, phases)
    assert (rollout.safe, findings) == (True, [])
    # The firewall holds before the first session loses its list, and not before.
    rollout, findings = order_of_rollout(old, new, phases, {dacl: 1})
    assert (rollout.safe, findings) == (True, [])
    rollout, findings = order_of_rollout(old, new, phases, {dacl: 0})
    assert not rollout.safe
    assert [item.code for item in findings] == ["SW3152"] and "step 1 of 2" in findings[0].message


def test_two_ports_of_one_list_may_have_different_versions() -> None:
    """What the old version stops on the way there and the new one on the way back passes where one port has each."""
    never = [("never", "a", "a", ["web"])]
    members = {"a": [("10.0.1.1", "acc1", "Gi1"), ("10.0.1.2", "acc1", "Gi2")], "b": [("10.0.2.2", "", "")]}
    points = {"acc1": ("port_acl", {})}
    stages = {"a": ("enforce", ["acc1"])}
    world = World(members, [], {}, stages, points, guardrails=never)
    state = state_of(world)
    (listing,) = [item for item in state.lists if item.kind == "port_acl"]
    there = parse("permit tcp any eq 443 any established\ndeny ip any any")[0]
    back = parse("permit tcp any any eq 443\ndeny ip any any")[0]
    old, new = (State(state.site, (replace(listing, aces=tuple(found.aces)),)) for found in (there, back))
    rollout, findings = order_of_rollout(old, new)
    assert [item.code for item in findings] == ["SW3152"]
    assert "10.0.1." in findings[0].message and not rollout.safe
    # One version in both places stops it, whichever that is.
    for same in (old, new):
        assert order_of_rollout(same, same)[1] == []
