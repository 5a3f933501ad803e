"""Rings of devices, ports and places: each device and port goes with exactly one ring, and nothing reaches it before."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import apply_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import (
    Journal,
    read_entries,
    verify_journal,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import Plan, TargetPlan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.ring_places import port_of
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
    ring_findings,
    rings_after,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.naming import owned_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Member, Place, Ring, Segment, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.rollout import watched_devices
from tests.unit.change.fake import FakeTarget
from tests.unit.change.test_change import COMMIT, plan_for, want

LATER = datetime(2100, 1, 1, tzinfo=UTC)
SEGMENTS = ("cameras", "pumps", "monitors")
SWITCHES = ("acc1", "acc2", "acc3")


def site_of(members: dict[str, tuple[Member, ...]], rings: tuple[Ring, ...], places: dict[str, Place]) -> Site:
    segments = {name: Segment(name, "zone", None, "owner", "low") for name in members}
    return Site(
        "site", "UTC", {}, (), {}, {}, segments, (), (), (), {}, {}, members, rings=rings, places=places
    )  # fmt: skip


def step(target: str, kind: str, name: str, effect: str, before: Any, after: Any) -> Operation:
    return Operation(f"{target}-{kind}-{name}", target, kind, name, "update", before, after, effect=effect)


def plan_of(steps: list[Operation]) -> Plan:
    targets = sorted({each.target for each in steps})
    return Plan("p" * 64, "c", "", "", "", False, tuple(
        TargetPlan(name, "fake", "", {}, tuple(each for each in steps if each.target == name)) for name in targets
    ))  # fmt: skip


def steps_for(site: Site) -> tuple[list[Operation], list[PointList]]:
    """Everything that a first rollout and a change of it do: lists and ports on switches; lists, rules, assignments, a cell in ISE."""
    steps, lists = [], []
    for name in sorted(site.members):
        group = owned_name(name)
        lists.append(PointList("dacl", "dacl", "ise", "ise1", group, "enforce", (), False, False, name))
        steps.append(step("ise1", "downloadable_acl", group, "both", {"content": "a"}, {"content": "b"}))
        steps.append(step("ise1", "authorization_rule", f"{group}@Default", "narrows", None, {"security_group": group}))
        for member in site.members[name]:
            steps.append(step("ise1", "endpoint", member.device.upper(), "both", None, {"group": group}))
        for switch in SWITCHES:
            ports = tuple(sorted({m.interface for m in site.members[name] if m.switch == switch}))
            if not ports:
                continue
            lists.append(PointList(f"{switch}-ports", "port_acl", "ios", switch, group, "enforce", (), False, False, name,
                                   interfaces=ports))  # fmt: skip
            steps.append(step(switch, "access_list", group, "none", None, {"content": "x"}))
            steps.append(step(switch, "access_list", f"{group}_changed", "both", {"content": "x"}, {"content": "y"}))
            lists.append(replace(lists[-1], name=f"{group}_changed"))
            for port in ports:
                body = {"interface": port, "direction": "in", "access_list": group}
                steps.append(step(switch, "attachment", f"{port}-in", "narrows", None, body))
    first, second = (owned_name(name) for name in sorted(site.members)[:2])
    cell = {"source": first, "destination": second, "sgacls": []}
    steps.append(step("ise1", "egress_matrix_cell", f"{first}-{second}", "both", None, cell))
    unique = {(each.target, each.id): each for each in steps}  # two segments on one port
    return list(unique.values()), lists


def random_site(chance: random.Random) -> Site:
    members: dict[str, tuple[Member, ...]] = {}
    number = 0
    for name in SEGMENTS:
        found = []
        for _ in range(chance.randint(1, 6)):
            number += 1
            at = chance.random() < 0.85
            port = f"GigabitEthernet1/0/{chance.randint(1, 9)}" if at else ""
            found.append(Member(f"02:00:00:00:00:{number:02x}", (f"10.0.0.{number}",), f"d{number}",
                                chance.choice(SWITCHES) if at else "", port))  # fmt: skip
        members[name] = tuple(found)
    everyone = [member for found in members.values() for member in found]
    places = {
        "closet-1": Place("closet-1", ("acc1",)),
        "closet-2": Place("closet-2", (), (("acc2", "GigabitEthernet1/0/1"), ("acc2", "GigabitEthernet1/0/2"))),
        "site": Place("site", ("acc3",), (), ("closet-1", "closet-2")),
    }
    rings = []
    for number in range(chance.randint(1, 5)):
        kind = chance.choice(("device", "port", "place", "segment", "target", "both"))
        made = Ring(
            f"r{number}", hold_minutes=number, shared_lists=kind not in ("segment", "target") and chance.random() < 0.4
        )
        if kind == "device":
            chosen = chance.choice(everyone)
            made = replace(made, devices=(chance.choice((chosen.device, chosen.name)),))
        elif kind == "port":
            ports = [(m.switch, m.interface.lower()) for m in everyone if m.switch]
            made = replace(made, ports=tuple(chance.sample(ports, min(2, len(ports))) or [("acc1", "x")]))
        elif kind in ("place", "both"):
            made = replace(made, places=(chance.choice(sorted(places)),))
        if kind in ("segment", "both"):
            made = replace(made, segments=(chance.choice(SEGMENTS),))
        elif kind == "target":
            made = replace(made, targets=(chance.choice((*SWITCHES, "ise1")),))
        rings.append(made)
    if not any(ring.limited for ring in rings):
        rings.append(Ring("last", places=("site",)))
    return site_of(members, tuple(rings), places)


def turn_of(site: Site, target: str, segment: str, switch: str, port: str, names: set[str]) -> int:
    """The number of the ring that a device or port goes with, written anew from the documentation."""
    inside = {"closet-1": (["acc1"], []), "closet-2": ([], [("acc2", "1"), ("acc2", "2")])}
    inside["site"] = (["acc3", "acc1"], inside["closet-2"][1])
    for number, ring in enumerate(site.rings):
        if ring.targets and target not in ring.targets:
            continue
        if ring.segments and segment not in ring.segments:
            continue
        if ring.devices or ring.ports or ring.places:
            fits = bool(names & set(ring.devices))
            fits = fits or any(switch == s and port.lower() == p.lower() for s, p in ring.ports)
            for place in ring.places:
                switches, ports = inside[place]
                fits = fits or switch in switches or (switch, port.rpartition("/")[2]) in ports
            if not fits:
                continue
        return number
    return len(site.rings)


def reached(site: Site, each: Operation, lists: list[PointList]) -> list[tuple[str, str, str, frozenset[str]]]:
    """Whom a step of the test's plan changes something for: (segment, switch, port, names)."""
    everyone = [
        (name, m.switch, m.interface, frozenset({m.device, m.name})) for name, ms in site.members.items() for m in ms
    ]
    body = each.after or {}
    if each.kind == "attachment":
        return [item for item in everyone if (item[1], item[2]) == (each.target, body["interface"])]
    if each.kind == "endpoint":
        return [item for item in everyone if each.name.lower() in item[3]]
    if each.kind == "access_list":
        ports = next(item.interfaces for item in lists if (item.host, item.name) == (each.target, each.name))
        return [item for item in everyone if item[1] == each.target and item[2] in ports]
    by_name = {owned_name(name): name for name in site.members}
    if each.kind == "egress_matrix_cell":
        ends = {by_name[body["source"]], by_name[body["destination"]]}
        return [item for item in everyone if item[0] in ends]
    return [item for item in everyone if item[0] == by_name[each.name.partition("@")[0]]]


def check(site: Site, seen: dict[str, int]) -> None:
    steps, lists = steps_for(site)
    plan = plan_of(steps)
    parts = parts_of_plan(plan, site, lists)
    names = [*(ring.id for ring in site.rings), REST]
    number = {part.id: names.index(part.id) for part in parts}
    assert [number[part.id] for part in parts] == sorted(number.values())
    ring_of = {key: part for part in parts for key in part.steps}
    assert sum(len(part.steps) for part in parts) == len(ring_of) == len(steps)  # each step in exactly one ring
    order = [(target, each.id) for target, each in plan.steps()]
    for part in parts:
        assert list(part.steps) == [key for key in order if key in set(part.steps)]
    for each in steps:
        part = ring_of[each.target, each.id]
        turns = [turn_of(site, each.target, *item[:3], set(item[3])) for item in reached(site, each, lists)]
        here = number[part.id]
        if each.kind == "authorization_rule":
            continue  # see below
        if each.effect == "none":
            assert here == min(turns)
            continue
        early = [turn for turn in turns if turn > here]
        if not early:
            assert here == max(turns)  # and no later than it has to be
            seen["exact"] += 1
            if each.kind != "attachment" and each.kind != "endpoint":
                # Where an earlier ring names some of those it reaches, it is said.
                behind = [turn for turn in turns if turn < here and site.rings[turn].limited]
                texts = [text for text in part.waited if text.startswith(f"{each.kind} {each.name} on {each.target} ")]
                assert bool(behind) == bool(texts) and (not behind or f"; {len(behind)} of " in texts[0])
                seen["waits"] += bool(behind)
            continue
        # Only a list that sessions take over may be written before everybody's turn: where its ring asks for that, and it is said.
        assert each.kind == "downloadable_acl" and site.rings[here].shared_lists
        assert any(f"{len(early)} devices of later rings" in text and each.name in text for text in part.beyond)
        macs = {next(n for n in item[3] if ":" in n): turn_of(site, "ise1", *item[:3], set(item[3]))
                for item in reached(site, each, lists)}  # fmt: skip
        taken: set[str] = set()
        for later in parts:
            mine = next((found for _t, name, found in later.sessions if name == each.name), None)
            if mine is None:
                continue
            assert set(mine) == {mac for mac, turn in macs.items() if turn <= number[later.id]}
            assert (later is part) != (("ise1", each.id) in later.shared)
            taken |= set(mine)
        assert taken == set(macs)
        seen["shared"] += 1
    codes = {finding.code for finding in ring_findings(parts)}
    assert ("SW4154" in codes, "SW4155" in codes) == (any(p.waited for p in parts), any(p.beyond for p in parts))
    # Every device is assigned before its ring has passed, and the rule of its group holds for nobody until then.
    for name, members in site.members.items():
        rule = number[ring_of["ise1", f"ise1-authorization_rule-{owned_name(name)}@Default"].id]
        turns = [number[ring_of["ise1", f"ise1-endpoint-{m.device.upper()}"].id] for m in members]
        assert rule == min(turns)


def test_random_rings_reach_nobody_before_their_turn(full: bool) -> None:
    seen = {"exact": 0, "waits": 0, "shared": 0}
    for seed in range(3000 if full else 150):
        check(random_site(random.Random(seed)), seen)
    assert min(seen.values()) > 20, seen


def small_site(*rings: Ring) -> Site:
    cameras = tuple(
        Member(f"02:00:00:00:00:0{n}", (f"10.0.0.{n}",), f"cam{n}", "acc1", f"GigabitEthernet1/0/{n}")
        for n in (1, 2, 3)
    )
    return site_of({"cameras": cameras}, rings, {"closet": Place("closet", (), (("acc1", "GigabitEthernet1/0/2"),))})


def test_one_device_one_port_one_closet_and_the_rest() -> None:
    site = small_site(
        Ring("device", devices=("cam1",)),
        Ring("port", ports=(("acc1", "GigabitEthernet1/0/2"),)),
        Ring("site", ("cameras",)),
    )
    name = owned_name("cameras")
    lists = [PointList("acc1-ports", "port_acl", "ios", "acc1", name, "enforce", (), False, False, "cameras",
                       interfaces=tuple(f"GigabitEthernet1/0/{n}" for n in (1, 2, 3)))]  # fmt: skip
    steps = [step("acc1", "access_list", name, "none", None, {"content": "x"})]
    for n in (1, 2, 3):
        body = {"interface": f"GigabitEthernet1/0/{n}", "direction": "in", "access_list": name}
        steps.append(step("acc1", "attachment", f"port{n}", "narrows", None, body))
    parts = parts_of_plan(plan_of(steps), site, lists)
    found = {part.id: [key[1].rpartition("-")[2] for key in part.steps] for part in parts}
    assert found == {"device": [name, "port1"], "port": ["port2"], "site": ["port3"]}
    assert ring_findings(parts) == []
    assert watched_devices(site, Part("device", ())) == [("02:00:00:00:00:01", "10.0.0.1")]
    assert [device[-1] for device, _address in watched_devices(site, Part("port", ()))] == ["2"]
    assert [device[-1] for device, _address in watched_devices(site, Part("site", ()))] == ["1", "2", "3"]


def test_wireless_clients_go_with_the_site_or_group_of_their_access_point() -> None:
    clients = tuple(
        Member(f"02:00:00:00:00:0{n}", (f"10.0.0.{n}",), f"pump{n}", "wlc1", "", site, group)
        for n, site, group in ((1, "ICU-4", "medical"), (2, "ward-1", "medical"), (3, "ward-1", "office"), (4, "", ""))
    )
    places = {
        "icu": Place("icu", sites=("icu-4",)),
        "medical": Place("medical", access_point_groups=("Medical",)),
        "all": Place("all", ("wlc1",)),
        "both": Place("both", (), (), ("icu", "medical")),
    }
    rings = tuple(Ring(name, places=(name,)) for name in ("icu", "medical", "all"))
    site = site_of({"pumps": clients}, rings, places)
    group = owned_name("pumps")
    steps = [step("ise1", "endpoint", c.device.upper(), "narrows", None, {"group": group}) for c in clients]
    parts = parts_of_plan(plan_of(steps), site, [])
    assert [(part.id, len(part.steps)) for part in parts] == [("icu", 1), ("medical", 1), ("all", 2)]
    assert [device[-1] for device, _address in watched_devices(site, Part("medical", ()))] == ["1", "2"]
    inner = replace(site, rings=(Ring("both", places=("both",)),))
    assert [(part.id, len(part.steps)) for part in parts_of_plan(plan_of(steps), inner, [])] == [("both", 2), (REST, 2)]


def test_a_list_for_all_waits_or_is_taken_over_session_by_session() -> None:
    name = owned_name("cameras")
    steps = [step("ise1", "downloadable_acl", name, "narrows", {"content": "a"}, {"content": "b"})]
    lists = [PointList("dacl", "dacl", "ise", "ise1", name, "enforce", (), False, False, "cameras")]
    site = small_site(Ring("device", devices=("02:00:00:00:00:01",)), Ring("closet", places=("closet",)))
    parts = parts_of_plan(plan_of(steps), site, lists)
    assert [(part.id, part.steps, part.sessions) for part in parts] == [(REST, (("ise1", steps[0].id),), ())]
    assert [finding.code for finding in ring_findings(parts)] == ["SW4154"]
    assert "one for 3 devices and ports; 2 of device, closet wait for it" in parts[0].waited[0]
    site = replace(site, rings=(replace(site.rings[0], shared_lists=True), site.rings[1]))
    parts = parts_of_plan(plan_of(steps), site, lists)
    key = ("ise1", steps[0].id)
    assert [(part.id, part.steps, part.shared) for part in parts] == [
        ("device", (key,), ()), ("closet", (), (key,)), (REST, (), (key,)),
    ]  # fmt: skip
    assert [[mac[-1] for mac in part.sessions[0][2]] for part in parts] == [["1"], ["1", "2"], ["1", "2", "3"]]
    assert [finding.code for finding in ring_findings(parts)] == ["SW4155"]
    assert "2 devices of later rings (cam2, cam3)" in parts[0].beyond[0]


def test_a_list_waits_for_the_ports_that_still_have_it() -> None:
    """A port that gets another list later carries the old one until then: what changes there changes it for that port as well."""
    site = small_site(Ring("first", devices=("cam1",)), Ring("last", devices=("cam2", "cam3")))
    lists = [PointList("acc1-ports", "port_acl", "ios", "acc1", name, "enforce", (), False, False, "cameras",
                       interfaces=(f"GigabitEthernet1/0/{n}",)) for n, name in ((1, "SW_one"), (2, "SW_two"))]  # fmt: skip
    place = {"interface": "GigabitEthernet1/0/2", "direction": "in"}
    port = step(
        "acc1", "attachment", "port2", "narrows", {**place, "access_list": "SW_one"}, {**place, "access_list": "SW_two"}
    )
    changed = step("acc1", "access_list", "SW_one", "both", {"content": "a"}, {"content": "b"})
    parts = parts_of_plan(plan_of([changed, port]), site, lists)
    assert [(part.id, [key[1] for key in part.steps]) for part in parts] == [("last", [changed.id, port.id])]
    assert "SW_one on acc1 is one for 2 devices and ports; 1 of first wait for it" in parts[0].waited[0]
    # A list that is to go is not gone while a port of a later ring has it.
    place = {"interface": "GigabitEthernet1/0/2", "direction": "in", "access_list": "SW_old"}
    gone = step("acc1", "access_list", "SW_old", "both", {"content": "a"}, None)
    off = step("acc1", "attachment", "port2", "widens", place, None)
    site = replace(site, rings=(Ring("switch", targets=("acc1",), segments=("pumps",)), Ring("all", places=("closet",)),
                                *site.rings))  # fmt: skip
    (part,) = parts_of_plan(plan_of([off, gone]), site, lists)
    assert part.id == "all" and len(part.steps) == 2


def test_a_list_waits_for_the_devices_that_are_still_in_its_segment() -> None:
    """A device that moves to another segment with a later ring has the list and rule of the old one until then."""
    site = small_site(Ring("first", ("cameras",)), Ring("last", devices=("pump9",)))
    pump = Member("02:00:00:00:00:09", ("10.0.0.9",), "pump9", "acc2", "GigabitEthernet1/0/9")
    site = site_of({**site.members, "pumps": (pump,)}, site.rings, dict(site.places))
    old, new = owned_name("cameras"), owned_name("pumps")
    lists = [PointList("dacl", "dacl", "ise", "ise1", name, "enforce", (), False, False, segment)
             for name, segment in ((old, "cameras"), (new, "pumps"))]  # fmt: skip
    changed = step("ise1", "downloadable_acl", old, "narrows", {"content": "a"}, {"content": "b"})
    rule = step(
        "ise1", "authorization_rule", f"{old}@Default", "both", {"security_group": old, "x": 1}, {"security_group": old}
    )
    moves = step("ise1", "endpoint", pump.device.upper(), "narrows", {"group": old}, {"group": new})
    for first in (changed, rule):
        parts = parts_of_plan(plan_of([first, moves]), site, lists)
        assert [(part.id, len(part.steps)) for part in parts] == [("last", 2)], first.kind
    parts = parts_of_plan(plan_of([changed]), site, lists)
    assert [part.id for part in parts] == ["first"]  # it moved before


def test_rings_of_sessions_go_on_after_a_crash_and_go_back_together(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    a = FakeTarget("a", {"attachment/x": {"value": 1}})
    targets, desired = {"a": a}, [want("a", x=2)]
    plan = plan_for(targets, desired)
    ((target, each),) = plan.steps()
    key = (target, each.id)
    parts = (
        Part("device", (key,), 10, (), (("a", "x", ("m1",)),)),
        Part("closet", (), 10, (key,), (("a", "x", ("m1", "m2")),)),
        Part(REST, (), 0, (key,), (("a", "x", ("m1", "m2", "m3")),)),
    )
    asked: list[str] = []

    def states() -> list[str]:
        return [item.state for item in progress_of(parts, read_entries(journal.path), plan.plan_id)]

    def run(part: Part, found: Any = ()) -> Any:
        def sessions() -> Any:
            asked.append(part.id)
            if found == "crash":
                raise KeyboardInterrupt
            return found

        left = any(item.state not in (SOAKING, DONE) for item in progress_of(
            parts, read_entries(journal.path) if journal.path.exists() else [], plan.plan_id
        ) if item.part != part)  # fmt: skip
        return apply_plan(
            plan, targets, desired, journal, policy_commit=COMMIT, ring=part, rings_left=left, finish=sessions
        )

    with pytest.raises(KeyboardInterrupt):
        run(parts[0], "crash")
    assert states() == [RUNNING, WAITING, WAITING] and a.objects == {"attachment/x": {"value": 2}}
    assert run(parts[0]).ok and states() == [SOAKING, WAITING, WAITING]
    # A device that does not come back fails its ring; the next run tries it again.
    outcome = run(parts[1], (codes.REAUTH_STOPPED.at("m2"),))
    assert outcome.completed == () and states() == [SOAKING, FAILED, WAITING]
    assert next_turn(progress_of(parts, read_entries(journal.path), plan.plan_id), LATER).part == parts[1]
    assert run(parts[1]).ok and states() == [SOAKING, SOAKING, WAITING]
    # Another plan made meanwhile knows by the journal what that ring would take back.
    other = earlier_ring(read_entries(journal.path), "q" * 64, site_of({}, (Ring("closet", hold_minutes=10),), {}))
    assert other is not None and other[2].part == Part("closet", (), 10, (key,)) and other[2].state == SOAKING
    assert run(parts[2]).ok and states() == [SOAKING, SOAKING, DONE]
    events = [entry["event"] for entry in read_entries(journal.path)]
    assert [event for event in events if event.endswith("_done")].count("plan_done") == 1 and events[-1] == "plan_done"
    assert asked == ["device", "device", "closet", "closet", REST] and a.writes == 1
    rows = rings_after(read_entries(journal.path), plan.plan_id)
    assert [(row["ring"], row["state"]) for row in rows] == [("device", DONE), ("closet", DONE), (REST, DONE)]
    rows = rings_after(read_entries(journal.path), plan.plan_id, {key})
    assert {row["state"] for row in rows} == {UNDONE}
    # The list goes back with whichever of its rings does: all of them are rolled back then.
    back = rollback_plan(plan.plan_id, targets, journal, only=lambda step: (step.target, step.id) in parts[2].back)
    assert back.ok and a.objects == {"attachment/x": {"value": 1}}
    assert states() == [UNDONE, UNDONE, UNDONE]
    assert verify_journal(journal.path) == []


def test_a_port_is_the_same_however_its_interface_is_written() -> None:
    same = ("GigabitEthernet1/0/1", "gigabitethernet1/0/1", "Gi1/0/1", "gi 1/0/1", "Gigabitethernet 1/0/1")
    assert {port_of("ACC1", name) for name in same} == {("acc1", "gigabitethernet1/0/1")}
    assert port_of("n9k", "Eth1/1") == port_of("N9K", "ethernet1/1") and port_of("n9k", "po7")[1] == "port-channel7"
    assert len({port_of("a", name) for name in ("Te1/0/1", "Gi1/0/1", "Tw1/0/1", "Twe1/0/1", "Gi1/0/11")}) == 5
    assert port_of("fw", "eth0.7") == ("fw", "ethernet0.7") and port_of("fw", "") == ("fw", "")
