# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lists see, in sets, in the walk and in columns, is what the documents say of ways (``enforce/paths.py``).

Nothing is proved by a list that the conversation does not cross, and a list that it crosses has its lines.
"""

from __future__ import annotations

import ipaddress
import random
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.paths import YES, Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import EnforcementPoint, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.bulk import BulkEvaluator
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.endtoend import prove_rules
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.guardrails import prove_guardrails
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import SeenConversation, columns_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.points import visible
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.verdict import Conversation, Evaluator
from tests.unit.proof.small_sites import World

MEMBERS = {
    "a": [("10.0.1.2", "sw1", "Gi1"), ("10.0.1.3", "sw1", "Gi1")],
    "b": [("10.0.2.2", "sw2", "Gi2"), ("10.0.1.4", "sw1", "Gi1")],
    "c": [("10.0.3.2", "sw2", "Gi3"), ("10.0.3.9", "", "")],
}
KINDS: dict[str, list[dict[str, Any]]] = {
    "firewall": [{}, {"zones": ["north", "south"]}],
    "dacl": [{}, {"switches": ["sw1"]}, {"switches": ["sw2", "wlc"]}],
    "sgacl": [{"tags": "inline"}, {"tags": "none"}, {"tags": "sxp", "switches": ["sw2"]}],
    "router_acl": [{"gateways": [{"interface": "Vlan1", "subnets": ["10.0.1.0/28"]}]}],
}
ENDS = ["a", "b", "c", "net", "any", "zone:south"]
ADDRESSES = ["192.0.2.9", "10.0.2.5", *(address for found in MEMBERS.values() for address, _switch, _port in found)]


def world(points: dict[str, tuple[str, dict[str, Any]]], paths: dict[str, Any], **more: Any) -> Site:
    stages = {name: ("enforce", sorted(points)) for name in MEMBERS}
    usual = {name: found for name, found in points.items() if found[0] != "router_acl"}
    made = World(MEMBERS, more.pop("rules", []), {"net": ["192.0.2.0/24"]}, stages, usual, **more).site()
    routers = {
        name: EnforcementPoint(name, kind, "ios", "gw1", options)
        for name, (kind, options) in points.items()
        if kind == "router_acl"
    }
    return replace(made, points={**made.points, **routers}, paths=paths)


@pytest.mark.parametrize(
    ("kind", "options", "paths"),
    [
        ("dacl", {"switches": ["sw9"]}, {}),
        ("sgacl", {"tags": "none"}, {}),
        ("sgacl", {}, {}),  # it is not known whether tags travel
        ("sgacl", {"tags": "inline", "switches": ["sw9"]}, {}),
        ("firewall", {}, {"routes": [{"client": "a", "server": "b", "points": []}]}),
        ("dacl", {}, {}),  # 10.0.1.2 and 10.0.1.4 share a port
    ],
)
def test_nothing_is_proved_by_a_list_that_is_not_on_the_way(
    kind: str, options: dict[str, Any], paths: dict[str, Any]
) -> None:
    site = world({"p": (kind, options)}, paths, guardrails=[("never", "a", "b", ["web"])])
    results, findings = prove_guardrails(site, compile_site(site).lists)
    assert results[0].outcome == "violated"
    assert [finding.code for finding in findings] == ["SW3111"]


@pytest.mark.parametrize(
    "paths", [{"outside": ["fw"]}, {"routes": [{"client": "c", "server": "net", "points": ["fw"]}]}]
)
def test_a_firewall_that_the_ways_name_has_the_lines(paths: dict[str, Any]) -> None:
    """Its sides alone would say that both ends are elsewhere, and its last lines deny what the segment sends."""
    site = world({"fw": ("firewall", {"zones": ["north", "south"]})}, paths, rules=[("r1", "c", "net", ["web"])])
    lists = compile_site(site).lists
    assert "r1" in {ace.label for ace in lists[0].aces}
    assert Evaluator(site, lists).verdict(_web("10.0.3.2", "192.0.2.9")).permitted
    without = replace(lists[0], aces=tuple(ace for ace in lists[0].aces if ace.label != "r1"))
    assert not prove_rules(site, [without]).proved
    assert not Evaluator(site, [without]).verdict(_web("10.0.3.2", "192.0.2.9")).permitted


@pytest.mark.one_python
def test_sets_walk_and_columns_see_what_the_ways_say(full: bool) -> None:
    rng = random.Random(5)
    checked = 0
    for _ in range(200 if full else 40):
        points = {f"p_{kind}": (kind, rng.choice(options)) for kind, options in KINDS.items() if rng.random() < 0.7}
        if not points:
            continue
        site = world(points, _paths(rng, sorted(points)), rules=_rules(rng))
        lists = compile_site(site).lists
        evaluator, paths, space = Evaluator(site, lists), Paths(site), PacketSpace()
        sets = [space.from_boxes(visible(site, item, surely=True)) for item in lists]
        conversations = []
        for client in ADDRESSES:
            for server in ADDRESSES:
                if client == server:
                    continue
                one = _web(client, server)
                conversations.append(one)
                crossings = paths.of(client, server).points
                for way, packet in (("forward", one.forward()), ("reply", one.reply())):
                    assert packet is not None
                    wanted = {c.point_id for c in crossings if c.direction == way and c.sees == YES}
                    ends = packet.source, packet.destination
                    seen = {lists[n].point for n in evaluator.seen_by(4, *ends, stateful=way == "forward")}
                    assert seen == wanted, (site.paths, points, client, server, way)
                    counted = {item.point for item, found in zip(lists, sets, strict=True) if packet in found}
                    stateful = {item.point for item in lists if item.stateful}
                    counted -= stateful if way == "reply" else set()
                    assert counted <= wanted, (site.paths, points, client, server, way)
                    if not site.paths.get("routes"):
                        assert counted == wanted
                    checked += 1
        found = BulkEvaluator(site, lists).verdicts(columns_of([_seen(item) for item in conversations]))
        verdicts = [evaluator.verdict(item) for item in conversations]
        assert found.permitted.tolist() == [item.permitted for item in verdicts]
        assert found.covered.tolist() == [item.covered for item in verdicts]
        assert not set(prove_rules(site, lists).cuts)
    assert checked > 1000


def _web(client: str, server: str) -> Conversation:
    return Conversation(4, int(ipaddress.ip_address(client)), int(ipaddress.ip_address(server)), 6, 443, 49152)


def _seen(item: Conversation) -> SeenConversation:
    ends = item.family, item.client, item.server, item.protocol, item.server_port, item.client_port
    return SeenConversation(*ends, 3, 3, 2, 1, 2)


def _rules(rng: random.Random) -> list[tuple[str, str, str, list[str]]]:
    return [(f"r{n}", rng.choice("abc"), rng.choice(["a", "b", "c", "net", "any"]), ["web"]) for n in range(3)]


def _paths(rng: random.Random, points: list[str]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    able = [name for name in points if name in ("p_firewall", "p_router_acl")]
    if rng.random() < 0.5:
        made["outside"] = [name for name in able if name == "p_firewall"]
    if rng.random() < 0.6:
        made["routes"] = [
            {"client": rng.choice(ENDS), "server": rng.choice(ENDS), "points": [p for p in able if rng.random() < 0.5]}
            for _ in range(rng.randrange(1, 4))
        ]
    if rng.random() < 0.3:
        made["wireless"] = [{"ssid": "w", "controller": "wlc", "subnets": ["10.0.3.8/29"]}]
    return made


def test_a_must_never_of_any_service_can_hold_for_ipv6() -> None:
    """What every port passes in IPv6 is left out and said, as DHCP is; anything else of the kind is not."""
    site = world({"p": ("dacl", {})}, {}, guardrails=[("never", "c", "a", ["any"])])
    members = {
        name: tuple(replace(m, addresses=(*m.addresses, f"2001:db8:{n}::{k}")) for k, m in enumerate(found, 2))
        for n, (name, found) in enumerate(sorted(site.members.items()), 1)
    }
    site = replace(site, members=members)
    lists = compile_site(site).lists
    (result,), findings = prove_guardrails(site, lists)
    assert result.outcome == "proved" and "DHCP requests" in result.note and "neighbour discovery" in result.note
    assert not findings
    for number, item in enumerate(lists):
        if item.family == 6 and item.segment == "c":
            wider = replace(item.aces[-1], permit=True, protocol=58, detail=IntervalSet.single(128 << 8))
            changed = [*lists[:number], replace(item, aces=(wider, *item.aces)), *lists[number + 1 :]]
            assert prove_guardrails(site, changed)[0][0].outcome == "violated"
