"""End to end: every rule passes every list on its way, in every stage, window and posture; who takes a rule away is named."""

from __future__ import annotations

import ipaddress
import random
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import ListCache
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import holders_of_addresses
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.effective import effective_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    Conditions,
    Posture,
    Ring,
    Site,
    Situation,
    Suspension,
    Window,
    Workflow,
    kept_of_members,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.endtoend import Proved, prove_rules
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.guardrails import prove_guardrails
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.situations import prove_situations
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.ways import known_ways
from tests.unit.proof.small_sites import World, as_dict, opens, random_packet, random_world
from tests.unit.proof.test_guardrails import two

POINTS = {"dacl": ("dacl", {}), "fw1": ("firewall", {"zones": ["north", "south", "east"]})}
MEMBERS = {
    "a": [("10.0.1.1", "acc1", "GigabitEthernet1/0/1")],
    "b": [("10.0.2.2", "", "")],
    "c": [("10.0.3.3", "", "")],
}
TODAY = date(2026, 11, 26)


def site_of(rules: list, stage: str = "enforce", points: dict | None = None, **more) -> Site:
    points = points or POINTS
    stages = {name: (stage, sorted(points)) for name in MEMBERS}
    return World(MEMBERS, rules, {"all": ["10.0.2.0/24", "10.0.3.0/24"]}, stages, points, **more).site()


def proved(site: Site) -> tuple[list, list]:
    results, _present, findings = prove_situations(site, compile_site(site).lists, TODAY)
    return results, findings


def test_rules_of_random_sites_pass_as_the_model_says(full: bool) -> None:
    """A rule is proved exactly if the model lets all its conversations work; with a line less a list is named, with a packet."""
    cut = agreed = 0
    for seed in range(400 if full else 20):
        world = random_world(seed)
        site = world.site()
        lists = list(compile_site(site).lists)
        choose = random.Random(seed)
        assert prove_rules(site, lists).cuts == (), seed
        victims = [n for n, item in enumerate(lists) if any(ace.label.startswith("r") for ace in item.aces)]
        if not victims:
            continue
        place = choose.choice(victims)
        victim = lists[place]
        line = choose.choice([ace for ace in victim.aces if ace.label.startswith("r")])
        lists[place] = replace(victim, aces=tuple(ace for ace in victim.aces if ace is not line))
        found = prove_rules(site, lists)
        assert all((item.point, item.list_name) == (victim.point, victim.name) for item in found.cuts), seed
        for item in found.cuts:
            packet = as_dict(item.packet)
            forward = item.direction == "forward"
            client, server = (
                packet["source" if forward else "destination"],
                packet["destination" if forward else "source"],
            )
            rule = next(rule for rule in world.rules if rule[0] == item.rule)
            assert world.segment_of(client) == rule[1] and world.covers(rule[2], server), seed
            cut += 1
        for _ in range(20):
            packet = random_packet(world, choose, opener=True)
            for name, client, to, services in world.rules:
                mine = world.segment_of(packet["source"]) == client and world.covers(to, packet["destination"])
                if name in found.proved and mine and any(opens(s, packet) for s in services):
                    agreed += world.works(packet, cautious=False)
    assert cut > 5 and agreed > 5


def test_removing_any_rule_that_a_workflow_needs_fails_by_name() -> None:
    rules = [("r", "a", "b", ["web"]), ("s", "b", "c", ["names"]), ("t", "a", "all", ["ping"])]
    for missing in ("r", "s", "t"):
        site = site_of([rule for rule in rules if rule[0] != missing], workflows=[["r", "s", "t"]])
        _results, findings = proved(site)
        assert [(item.code, item.severity) for item in findings] == [("SW3132", "error")]
        assert f"rule {missing} does not exist" in findings[0].message and "workflow w0 (owner)" in findings[0].message
        critical = replace(site, workflows=(replace(site.workflows[0], criticality="life_support"),))
        assert [item.code for item in proved(critical)[1]] == ["SW3141"]


def test_stages_to_come_are_proved_ring_by_ring() -> None:
    site = site_of([("r", "a", "b", ["web"])], stage="monitor", workflows=[["r"]])
    site = replace(site, rings=(Ring("first", ("a",)), Ring("second", ("b", "c"))))
    results, findings = proved(site)
    names = [item.name for item in results]
    assert names == ["now", "stage enforce through ring first", "stage enforce through ring second"]
    assert findings == []
    assert all(item.workflow_rules_proved == item.workflow_rules == 1 for item in results)
    rings = replace(site, rings=(Ring("first", ("a",)),))
    assert [item.name for item in proved(rings)[0]][-1] == "stage enforce everywhere"


def test_a_window_opens_and_closes_and_both_are_proved() -> None:
    site = site_of([("r", "a", "b", ["web"]), ("s", "b", "c", ["names"])], workflows=[["r", "s"]])
    window = Conditions((Window(("mon",), "08:00", "09:00"),))
    rules = tuple(replace(rule, conditions=window) for rule in site.segments["a"].allow)
    site = replace(site, segments={**site.segments, "a": replace(site.segments["a"], allow=rules)})
    results, findings = proved(site)
    assert [(item.name, item.rules, item.workflow_rules) for item in results] == [
        ("now", 2, 2),
        ("all windows closed", 1, 1),
    ]
    assert findings == []


def isolating(**more) -> Posture:
    return Posture("isolate-b", "isolate", "security", "worm", segment="b", **more)


@pytest.mark.parametrize(
    ("posture", "code", "why"),
    [
        (isolating(), "SW3143", "is stopped"),
        (isolating(keeps=("r",)), "", ""),
        (isolating(keeps=("w0",)), "", ""),
        (isolating(suspends=(Suspension("w0", "owner", "2026-11-01", "2026-12-31"),)), "", ""),
        (isolating(suspends=(Suspension("w0", "owner", "2026-11-01", "2026-11-25"),)), "SW3143", "consent ended on 2026-11-25"),
        (isolating(suspends=(Suspension("w0", "someone", "2026-11-01", "2026-12-31"),)), "SW3143", "not its owner's"),
    ],
)  # fmt: skip
def test_an_isolation_keeps_a_workflow_or_names_it_with_its_owners_consent(
    posture: Posture, code: str, why: str
) -> None:
    site = replace(site_of([("r", "a", "b", ["web"])], workflows=[["r"]]), postures={posture.id: posture})
    results, findings = proved(site)
    assert [item.name for item in results] == ["now", "posture isolate-b"]
    assert [item.code for item in findings] == ([code] if code else [])
    assert all(why in item.message and "workflow w0" in item.message for item in findings)
    critical = replace(site, workflows=(Workflow("w0", "w0", "owner", "process_critical", ("r",)),))
    assert [item.code for item in proved(critical)[1]] == (["SW3141"] if code else [])


@pytest.mark.parametrize("point", sorted(POINTS))
def test_what_a_posture_needs_is_known_by_the_rules_that_it_needs(point: str, tmp_path: Path) -> None:
    """The posture's lists are the same each time; what is asked of them is not, and what was proved of one rule is nothing for another."""
    rules = [("r", "a", "b", ["web"]), ("s", "a", "b", ["names"])]
    device = Posture("isolate_one", "isolate", "security", "worm", device="02:00:00:00:01:00", keeps=("r",))
    for posture in (isolating(keeps=("r",)), device):
        path = tmp_path / f"{posture.id}.json"
        outcome = []
        for needs in (["r"], ["r", "s"], ["r"], ["s"]):
            site = site_of(rules, points={point: POINTS[point]}, workflows=[needs])
            site = replace(site, postures={posture.id: posture})
            cache = ListCache(path)
            known = prove_situations(site, compile_site(site, cache=cache).lists, TODAY, cache)
            cache.save()
            fresh = prove_situations(site, compile_site(site).lists, TODAY)
            assert known == fresh
            outcome.append([item.code for item in fresh[2]])
        assert outcome == [[], ["SW3143"], [], ["SW3143"]]


def test_a_device_taken_out_of_its_segment_is_seen_although_the_rule_still_stands() -> None:
    members = {**MEMBERS, "b": [("10.0.2.2", "", ""), ("10.0.2.3", "", "")]}
    stages = {name: ("enforce", sorted(POINTS)) for name in members}
    site = World(members, [("r", "a", "b", ["web"])], {}, stages, POINTS, workflows=[["r"]]).site()
    device = site.members["b"][1].device
    posture = Posture("isolate_one", "isolate", "security", "worm", device=device)
    results, findings = proved(replace(site, postures={posture.id: posture}))
    assert [item.code for item in findings] == ["SW3143"]
    assert "10.0.2.3" in findings[0].message
    kept = replace(posture, keeps=("r",))
    results, findings = proved(replace(site, postures={posture.id: kept}))
    assert findings == [] and results[-1].workflow_rules_proved == 1


def test_a_list_that_is_the_same_is_not_proved_again() -> None:
    site = site_of([("r", "a", "b", ["web"])])
    lists = compile_site(site).lists
    known = Proved()
    first = prove_rules(site, lists, known=known)
    assert prove_rules(site, lists, known=known) == first
    broken = tuple(replace(item, aces=item.aces[-1:]) for item in lists)
    assert prove_rules(site, broken, known=known).cuts != ()


@pytest.mark.parametrize("cached", [False, True])
def test_an_address_in_two_segments_is_asked_about_at_the_lists_of_both(cached: bool) -> None:
    """The list of c, which has no rule, stops what the device at the shared address may open as one of a."""
    members = {**MEMBERS, "c": [("10.0.1.1", "", "")]}
    stages = {name: ("enforce", ["dacl"]) for name in members}
    world = World(members, [("r", "a", "b", ["web"])], {}, stages, {"dacl": ("dacl", {})})
    cache = ListCache() if cached else None
    site = world.site()
    found = prove_rules(site, compile_site(site, cache=cache).lists, cache=cache)
    assert {cut.list_name for cut in found.cuts} == {"SW_c"}
    assert holders_of_addresses(site).at((4, int(ipaddress.ip_address("10.0.1.1")))) == {"a", "c"}
    assert holders_of_addresses(site).at((4, 1)) == frozenset()


def test_what_is_known_of_a_membership_is_taken_over_only_with_it() -> None:
    site = site_of([("r", "a", "b", ["web"])])
    apart = Posture("apart", "isolate", "security", "worm", segment="b")
    alone = Posture("alone", "isolate", "security", "worm", device=site.members["b"][0].device)
    site = replace(site, postures={"apart": apart, "alone": alone})
    kept_of_members(site)["holders"] = holders_of_addresses(site)
    same = effective_site(site, Situation(postures=("apart",)))
    assert same.members is site.members and kept_of_members(same) is kept_of_members(site)
    moved = effective_site(site, Situation(postures=("alone",)))
    assert kept_of_members(moved) is not kept_of_members(site)
    place = 4, int(ipaddress.ip_address(site.members["b"][0].addresses[0]))
    assert (holders_of_addresses(site).at(place), holders_of_addresses(moved).at(place)) == ({"b"}, {"alone"})


def test_a_rule_without_services_has_no_opener() -> None:
    """Whether or not every service of the site exists in every family."""
    for names in (["web"], ["web", "ping"]):
        site = site_of([("r", "a", "b", ["web"]), ("n", "a", "b", [])])
        site = replace(site, services={name: site.services[name] for name in names})
        assert prove_rules(site, compile_site(site).lists).empty == ("n",)


def test_an_unknown_way_is_a_finding_with_its_reason() -> None:
    site = site_of(
        [("r", "a", "b", ["web"])], points={"acc1": ("port_acl", {}), "fw1": POINTS["fw1"]}, workflows=[["r"]]
    )
    result, findings = known_ways(site)
    assert result.known == 0
    assert [item.code for item in findings] == ["SW3144"]
    assert "the port of 10.0.2.2 is not known" in findings[0].message and "workflows w0" in findings[0].message
    result, findings = known_ways(site_of([("r", "a", "b", ["web"])]))
    assert (result.known, result.unknown, findings) == (1, {}, [])


@pytest.mark.parametrize("cached", [False, True])
def test_an_asa_passes_answers_to_icmp_by_a_line_or_they_are_cut(cached: bool) -> None:
    """It tracks TCP and UDP, so that these need no answer line; nftables tracks ICMP as well."""
    rules = [("r", "a", "b", ["ping", "names"]), ("s", "b", "a", ["web"])]
    world = two(rules=rules, guardrails=[("always", "a", "b", ["ping"])])
    for platform in ("nftables", "asa"):
        made = world.site()
        made = effective_site(
            replace(made, points={**made.points, "fw1": replace(made.points["fw1"], platform=platform)})
        )
        cache = ListCache() if cached else None
        lists = compile_site(made, cache=cache).lists
        assert prove_rules(made, lists, cache=cache).proved == ("r", "s")
        assert prove_guardrails(made, lists, cache)[0][0].outcome == "proved"
        answers = [ace for item in lists for ace in item.aces if ace.label == "r~reply"]
        assert bool(answers) is (platform == "asa")
        if not answers:
            continue
        less = [replace(item, aces=tuple(a for a in item.aces if a.label != "r~reply")) for item in lists]
        found = prove_rules(made, less)
        assert [(cut.rule, cut.direction, cut.packet.protocol) for cut in found.cuts] == [("r", "reply", 1)]
        assert prove_guardrails(made, less)[0][0].outcome == "violated"


def test_a_gateway_is_asked_about_the_rules_with_an_end_behind_it(tmp_path: Path) -> None:
    """Openers in, openers out, and the answers of each; the cut is found with what a cache knows of the list as without."""
    interfaces = [{"interface": "Vlan1", "subnets": ["10.0.1.0/28"]}]
    rules = [("r", "a", "b", ["web"]), ("s", "b", "a", ["names"]), ("t", "b", "b", ["web"])]
    made = two(rules=rules).site()
    core = replace(made.points["fw1"], kind="router_acl", platform="ios", options={"gateways": interfaces})
    made = effective_site(replace(made, points={"fw1": core}))
    path = tmp_path / "lists.json"
    for _run in range(2):
        cache = ListCache(path)
        lists = compile_site(made, cache=cache).lists
        assert {(item.direction, item.family) for item in lists} == {("in", 4), ("out", 4)}
        assert prove_rules(made, lists, cache=cache).proved == prove_rules(made, compile_site(made).lists).proved
        cache.save()
    for label, rule, direction, way in (
        ("r", "r", "forward", "in"), ("s~reply", "s", "reply", "in"), ("s", "s", "forward", "out"), ("r~reply", "r", "reply", "out"),
    ):  # fmt: skip
        less = [
            replace(item, aces=tuple(a for a in item.aces if a.label != label)) if item.direction == way else item
            for item in compile_site(made).lists
        ]
        assert {(cut.rule, cut.direction) for cut in prove_rules(made, less).cuts} == {(rule, direction)}, label
