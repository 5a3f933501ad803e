"""Columns against the walk: the verdicts of many conversations at once are those of one at a time."""

from __future__ import annotations

import ipaddress
import random
from dataclasses import replace

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import EnforcementPoint, Member, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.bulk import BulkEvaluator
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.edges import Edges
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import SeenConversation, columns_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.intent import Intent
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.verdict import Evaluator
from tests.unit.proof.small_sites import random_packet, random_world

GATEWAYS = [
    {"interface": "Vlan10", "subnets": ["10.0.1.0/28"], "addresses": ["10.0.1.14"]},
    {"interface": "Vlan20", "subnets": ["10.0.2.0/28", "2001:db8::/112"], "directions": ["in"]},
]


def with_more(site: Site, choose: random.Random) -> Site:
    """The site with IPv6 addresses on some devices, and sometimes one address that two segments share."""
    members = {}
    for number, (name, found) in enumerate(site.members.items()):
        members[name] = tuple(
            replace(m, addresses=(*m.addresses, f"2001:db8::{number}:{place}")) for place, m in enumerate(found)
        )
    names = [name for name, found in members.items() if found]
    if choose.random() < 0.3 and len(names) > 1:
        one, two = choose.sample(names, 2)
        members[one] = (*members[one], Member("02:00:00:00:ff:01", members[two][0].addresses[:1]))
    point = EnforcementPoint("gw1", "router_acl", "ios", "core1", {"gateways": GATEWAYS})
    assignments = {
        name: replace(a, points=(*a.points, "gw1")) if choose.random() < 0.5 else a
        for name, a in site.assignments.items()
    }
    return replace(site, members=members, points={**site.points, "gw1": point}, assignments=assignments)


def conversations(site: Site, world, choose: random.Random, count: int) -> list[SeenConversation]:
    six = [a for found in site.members.values() for m in found for a in m.addresses if ":" in a]
    made = []
    for number in range(count):
        packet = random_packet(world, choose, opener=True)
        ends = [packet["source"], packet["destination"]]
        if number % 5 == 0 and len(six) > 1:
            ends = choose.sample(six, 2)
        if number % 17 == 0 and ":" not in ends[1]:
            ends[1] = choose.choice(["224.0.0.5", "239.1.1.1", "255.255.255.255", "169.254.3.3"])
        client, server = (ipaddress.ip_address(end) for end in ends)
        protocol = packet["protocol"]
        port = packet.get("destination_port", 0)
        if protocol == 1:
            port = packet["icmp_type"] * 256 + packet["icmp_code"]
            protocol = 1 if client.version == 4 else 58
        own = packet.get("source_port", 0) or 49152
        made.append(SeenConversation(client.version, int(client), int(server), protocol, port, own, 3, 3, 2, 1, 2))
    return made


@pytest.mark.one_python
def test_columns_say_what_the_walk_says(full: bool) -> None:
    stopped = shared = several = 0
    for seed in range(500 if full else 15):
        choose = random.Random(seed)
        world = random_world(seed)
        site = with_more(world.site(), choose)
        lists = compile_site(site).lists
        history = conversations(site, world, choose, 120)
        columns = columns_of(history)
        bulk = BulkEvaluator(site, lists)
        found = bulk.verdicts(columns)
        walk = Evaluator(site, lists)
        edges, intent = Edges.of(bulk, columns), Intent(walk)
        told = [edges.rules[code] for code in edges.code]
        assert told == [tuple(intent.rules_for(columns.conversation(row))) for row in range(len(columns))]
        several += sum(len(rules) > 1 for rules in told)
        shared += bool(bulk._shared.any())
        for row, item in enumerate(history):
            assert columns.seen(row) == item
            verdict = walk.verdict(columns.conversation(row))
            assert (found.permitted[row], found.covered[row]) == (verdict.permitted, verdict.covered), (seed, item)
            if not verdict.permitted:
                deciding = verdict.deciding()
                assert deciding is not None
                listing = lists[found.stopped_by[row]]
                assert (listing.point, listing.name, bulk.line(columns, row)) == (
                    deciding.point,
                    deciding.list_name,
                    deciding.label,
                )
                assert ("forward", "reply")[found.way[row]] == deciding.direction
                stopped += 1
    assert stopped > 100 and shared and several
