"""Impact by meaning: exact against a model packet by packet; refactorings mean nothing."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import NetworkSet, Service, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import columns_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.meaning import _Difference, change_of_meaning
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.rollout import State
from tests.unit.proof.small_sites import World, as_packet, random_packet, random_world
from tests.unit.proof.test_recorded import seen
from tests.unit.proof.test_rollout import changed, state_of

POINTS = {"dacl": ("dacl", {}), "fw1": ("firewall", {"zones": ["north", "south", "east"]})}


def world(rules: list, networks: dict | None = None, **more) -> World:
    members = {"pumps": [("10.0.1.1", "", ""), ("10.0.1.2", "", "")], "servers": [("10.0.2.2", "", "")]}
    stages = {name: ("enforce", sorted(POINTS)) for name in members}
    return World(members, rules, networks or {}, stages, POINTS, **more)


def state(site: Site) -> State:
    return State(site, compile_site(site).lists)


@pytest.mark.one_python
def test_lost_and_gained_are_exactly_what_the_model_says(full: bool) -> None:
    lost = gained = 0
    for seed in range(600 if full else 12):
        choose = random.Random(seed)
        before = random_world(seed)
        after = changed(before, choose)
        found = _Difference(state_of(before), state_of(after))
        for _ in range(120):
            packet = random_packet(before, choose, opener=True)
            if packet["protocol"] == 1 and packet["icmp_type"] in (0, 3, 11, 14):
                continue  # answers and errors open nothing
            works = before.works(packet), after.works(packet)
            made = as_packet(packet)
            assert (made in found.lost, made in found.gained) == (works == (True, False), works == (False, True)), (
                seed,
                packet,
            )
            lost += works == (True, False)
            gained += works == (False, True)
    assert lost > 20 and gained > 20, (lost, gained)


def test_a_new_rule_is_told_in_names_with_how_often_it_was_seen() -> None:
    before, after = world([]), world([("r", "pumps", "servers", ["web"])])
    history = columns_of(
        [seen("10.0.1.1", "10.0.2.2"), seen("10.0.1.2", "10.0.2.2"), seen("10.0.1.1", "10.0.2.2", port=22)]
    )
    made = change_of_meaning(state(before.site()), state(after.site()), history)
    assert [(row.change, row.client, row.server, row.service) for row in made.rows] == [
        ("gained", "pumps", "servers", "web")
    ]
    row = made.rows[0]
    assert (row.conversations, made.seen_gained, made.seen_lost) == (2, 2, 0)
    assert set(row.points) == {"dacl", "fw1"} and "10.0.2.2" in row.witness
    back = change_of_meaning(state(after.site()), state(before.site()), history)
    assert [(row.change, row.conversations) for row in back.rows] == [("lost", 2)]
    assert "1 kinds of conversations lost" in back.sentence()


def test_answers_without_a_handshake_are_counted_apart() -> None:
    made = change_of_meaning(state(world([]).site()), state(world([("r", "pumps", "servers", ["bacnet"])]).site()))
    assert [(row.client, row.server) for row in made.rows] == [("pumps", "servers")]


def refactored(site: Site, choose: random.Random) -> Site:
    """The same meaning otherwise written: rules reordered and renamed, split by service, services and networks renamed and cut up."""
    services = {f"{name}-x": replace(item, name=f"{name}-x") for name, item in site.services.items()}
    networks = {}
    for name, item in site.networks.items():
        pieces = list(item.prefixes)
        choose.shuffle(pieces)
        networks[f"{name}-x"] = NetworkSet(f"{name}-x", (*pieces, pieces[0]))
    segments = {}
    for name, segment in site.segments.items():
        rules = []
        for rule in segment.allow:
            for number, service in enumerate(rule.services):
                to = f"{rule.to}-x" if rule.to in site.networks else rule.to
                rules.append(
                    replace(rule, id=f"{rule.id}-{number}-new", to=to, services=(f"{service}-x",), reason="moved")
                )
        choose.shuffle(rules)
        segments[name] = replace(segment, allow=tuple(rules), description="rewritten")
    made: dict[str, Service] = dict(sorted(services.items()))
    return replace(site, services=made, networks=dict(sorted(networks.items())), segments=segments)


def test_refactorings_have_no_meaning_and_an_edit_has_one(full: bool) -> None:
    told = 0
    for seed in range(400 if full else 12):
        choose = random.Random(seed)
        source = random_world(seed)
        source.dhcp = ""
        site = source.site()
        made = change_of_meaning(state(site), state(refactored(site, choose)))
        assert made.is_empty and made.sentence() == "no change in meaning", (seed, made.rows)
        told += made.text_only
    assert told > 3
