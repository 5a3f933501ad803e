# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cells of IP version IPv6: a list of their own, in the cell beside the IPv4 one, and the lab's evaluator agrees packet by packet."""

from __future__ import annotations

import ipaddress
import random
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import sgacl
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.desired import rendered
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Compiled
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.paths import path_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Guardrail, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.endtoend import prove_rules
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.equivalence import prove_rendering
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.guardrails import prove_guardrails
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.verdict import Conversation, Evaluator
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.live import lists_in_force
from tests.lab.evaluate import evaluate_matrix
from tests.unit.proof.small_sites import World

RULES = [("r", "a", "b", ["web"]), ("n", "c", "a", ["names", "gre"]), ("g", "a", "set", ["all-tcp"])]


def site(ipv6: bool = True, stage: str = "enforce") -> Site:
    world = World(
        {"a": [("10.0.1.2", "", "")], "b": [("10.0.2.2", "", "")], "c": [("10.0.3.2", "", "")]},
        list(RULES),
        {"set": ["10.0.3.0/28", "2001:db8:3::/64"]},
        dict.fromkeys("abc", (stage, ["matrix"])),
        {"matrix": ("sgacl", {"tags": "inline", **({"ipv6": True} if ipv6 else {})})},
    )
    made = world.site()
    members = {
        name: tuple(replace(m, addresses=(*m.addresses, f"2001:db8:{n}::2")) for m in found)
        for n, (name, found) in enumerate(made.members.items(), 1)
    }
    zones = {
        name: replace(zone, subnets=(*zone.subnets, f"2001:db8:{n}::/64"))
        for n, (name, zone) in enumerate(made.zones.items(), 1)
    }
    return replace(made, members=members, zones=zones)


def compiled(source: Site) -> Compiled:
    made = compile_site(source)
    results, findings = prove_rendering(made.lists)
    assert findings == [] and all(item.equal for item in results)
    return made


def objects(made: Compiled) -> dict[str, Any]:
    return {f"{o.kind}/{o.name}": dict(o.body) for t in made.targets for o in t.objects}


def test_a_pair_with_ipv6_addresses_has_a_list_of_its_own_in_the_same_cell() -> None:
    made, plain = compiled(site()), compiled(site(ipv6=False))
    four = [item for item in made.lists if item.family == 4]
    assert [rendered(item) for item in four] == [rendered(item) for item in plain.lists]
    assert {item.name for item in made.lists if item.family == 6} == {f"{item.name}__v6" for item in four}
    held = objects(made)
    assert held["sgacl/SW_a__b__v6"]["ip_version"] == "IPV6" and held["sgacl/SW_a__b"]["ip_version"] == "IPV4"
    assert held["sgacl/SW_a__b__v6"]["content"].splitlines() == [
        "permit icmp nd-ns", "permit icmp nd-na", "permit tcp dst eq 443", "permit icmp unreachable", "permit icmp packet-too-big",
        "permit icmp time-exceeded", "permit icmp 4", "deny ip",
    ]  # fmt: skip
    assert held["egress_matrix_cell/SW_a-SW_b"]["sgacls"] == ["SW_a__b", "SW_a__b__v6"]
    assert held["egress_matrix_cell/SW_a-SW_b"]["default_rule"] == "NONE"
    closed = held["egress_matrix_cell/SW_b-SW_b"]  # IPv4 has nothing to permit there, IPv6 has its neighbours
    assert (closed["sgacls"], closed["default_rule"]) == (["SW_b__b__v6"], "DENY_IP")
    assert "SW3011" not in {f.code for f in made.findings} and "SW3011" in {f.code for f in plain.findings}
    assert [f for f in made.findings if f.severity == "error"] == []


def test_segments_without_ipv6_addresses_have_none_and_the_way_says_what_is_filtered() -> None:
    source = site()
    members = {**source.members, "b": tuple(replace(m, addresses=m.addresses[:1]) for m in source.members["b"])}
    names = {item.name for item in compiled(replace(source, members=members)).lists if item.family == 6}
    assert names == {"SW_a__a__v6", "SW_a__c__v6", "SW_c__a__v6", "SW_c__c__v6"}
    for ipv6, sees in ((True, "yes"), (False, "no")):
        path = path_of(site(ipv6), "2001:db8:1::2", "2001:db8:2::2")
        assert {item.sees for item in path.points} == {sees}


def test_every_rule_passes_and_a_must_never_holds_in_both_families() -> None:
    never = Guardrail("no", "never", "b", "a", ("web",), "because")
    for ipv6, outcome in ((True, "proved"), (False, "violated")):
        source = replace(site(ipv6), guardrails=(never,))
        made = compiled(source)
        found = prove_rules(source, made.lists)
        assert found.cuts == () and set(found.proved) == {"r", "n", "g"}
        results, _findings = prove_guardrails(source, made.lists)
        assert [item.outcome for item in results] == [outcome]
        if not ipv6:
            assert "2001:db8:" in results[0].witness


@pytest.mark.parametrize("stage", ["enforce", "monitor"])
def test_the_labs_matrix_judges_as_the_evaluator_does(stage: str) -> None:
    source = site(stage=stage)
    made = compiled(source)
    held = objects(made)
    number = {f"SW_{name}": segment.sgt for name, segment in source.segments.items()}
    cells = [
        {
            "source": number[body["source"]], "destination": number[body["destination"]], "status": body["status"],
            "default_rule": body["default_rule"],
            "sgacls": [
                {"name": n, "ip_version": held[f"sgacl/{n}"]["ip_version"], "lines": held[f"sgacl/{n}"]["content"].splitlines()}
                for n in body["sgacls"]
            ],
        }
        for key, body in held.items() if key.startswith("egress_matrix_cell/")
    ]  # fmt: skip
    matrix = {"cells": cells, "default": None, "monitor_all": False}
    evaluator = Evaluator(source, made.lists)
    chance = random.Random(6)
    permitted = 0
    for _time in range(400):
        one, two = chance.sample("abc", 2)
        family = chance.choice((4, 6))
        ends = [next(t for t in source.members[n][0].addresses if (":" in t) == (family == 6)) for n in (one, two)]
        protocol = chance.choice((6, 17, 47))
        port = 0 if protocol == 47 else chance.choice((53, 443, 80))
        client, server = (int(ipaddress.ip_address(text)) for text in ends)
        asked = Conversation(family, client, server, protocol, port, 49152 if port else 0)
        opener = {"source": ends[0], "destination": ends[1], "protocol": protocol}
        answer = {"source": ends[1], "destination": ends[0], "protocol": protocol}
        if port:
            opener |= {"source_port": 49152, "destination_port": port}
            answer |= {"source_port": port, "destination_port": 49152}
        if protocol == 6:
            opener["tcp_flags"], answer["tcp_flags"] = ["syn"], ["syn", "ack"]
        tags = source.segments[one].sgt, source.segments[two].sgt
        assert tags[0] is not None and tags[1] is not None
        passes = (
            evaluate_matrix(matrix, tags[0], tags[1], opener).permit
            and evaluate_matrix(matrix, tags[1], tags[0], answer).permit
        )
        assert evaluator.verdict(asked).permitted is passes, (asked, opener)
        permitted += passes
    assert permitted == 400 if stage == "monitor" else 20 < permitted < 380


def test_what_a_target_holds_is_read_by_family() -> None:
    made = compiled(site())
    live = Snapshot("ise1", "", objects(made))
    found = {(item.name, item.family): item for item in lists_in_force(made.lists, {"ise1": live})}
    for listing in made.lists:
        read = found[listing.name, listing.family].aces
        assert rendered(listing) in (sgacl.render("live", read[:-1]), sgacl.render("live", read))
    only_four = {key: body for key, body in objects(made).items() if "__v6" not in key}
    for body in only_four.values():
        if "sgacls" in body:
            body["sgacls"] = [name for name in body["sgacls"] if "__v6" not in name]
    found = {
        (item.name, item.family): item for item in lists_in_force(made.lists, {"ise1": Snapshot("ise1", "", only_four)})
    }
    assert ("SW_a__b__v6", 6) not in found and ("SW_a__b", 4) in found


def test_a_rule_for_devices_without_ipv6_is_in_no_ipv6_cell() -> None:
    """The cell has no addresses: it would permit the rule to the segment's other devices, and to nobody whom it is for."""
    made = site()
    first = made.members["a"][0]
    without = replace(first, device="02:00:00:00:99:01", addresses=("10.0.1.9",))
    rule = replace(made.segments["a"].allow[0], devices=(without.device,))
    alone = replace(
        made,
        members={**made.members, "a": (first, without)},
        segments={**made.segments, "a": replace(made.segments["a"], allow=(rule,))},
    )
    texts = {item.family: rendered(item) for item in compiled(alone).lists if (item.segment, item.peer) == ("a", "b")}
    assert "permit tcp dst eq" in texts[4] and "permit tcp dst eq" not in texts[6]
    both = replace(
        alone, segments={**made.segments, "a": replace(made.segments["a"], allow=(replace(rule, devices=()),))}
    )
    assert any("permit tcp dst eq" in rendered(item) for item in compiled(both).lists if item.family == 6)
