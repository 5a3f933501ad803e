"""Guardrails against brute force over every packet class of small sites, and the traps of their meaning one by one."""

from __future__ import annotations

import ipaddress
import itertools
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.guardrails import (
    GuardrailResult,
    prove_guardrails,
)
from tests.unit.proof.small_sites import SERVICES, SUBNETS, World, as_dict, inside, opens, random_world

# One port of every class that the services' edges make.
CLASSES = [1, 53, 60, 67, 68, 70, 80, 90, 102, 110, 123, 200, 443, 500, 2000, 5005, 6000, 8000, 20000, 47808, 65535]
OUTCOMES = {"never": ("proved", "violated", "not enforced"), "always": ("proved", "violated")}


def end_addresses(world: World, end: str) -> list[str]:
    if end in world.members:
        return [a for a, _s, _p in world.members[end]]
    prefixes = [SUBNETS[end[5:]]] if end.startswith("zone:") else world.networks[end]
    return sorted({str(a) for prefix in prefixes for a in list(ipaddress.ip_network(prefix))[:16]})


def openers(world: World, client: str, server: str, services: list[str]) -> Iterator[dict[str, Any]]:
    """Every opener of the services between the ends, one for each class."""
    for source, destination in itertools.product(end_addresses(world, client), end_addresses(world, server)):
        base = {"source": source, "destination": destination}
        for protocol in (6, 17):
            for client_port, port in itertools.product(CLASSES, CLASSES):
                packet = {**base, "protocol": protocol, "source_port": client_port, "destination_port": port}
                if protocol == 6:
                    packet["tcp_flags"] = {"syn"}
                if services == ["any"] or any(opens(s, packet) for s in services):
                    yield packet
        for kind, code in itertools.product((0, 3, 5, 8, 11, 13, 14), (0, 1)):
            packet = {**base, "protocol": 1, "icmp_type": kind, "icmp_code": code}
            if kind not in (0, 3, 11, 14) if services == ["any"] else any(opens(s, packet) for s in services):
                yield packet
        packet = {**base, "protocol": 47}
        if services == ["any"] or "gre" in services:
            yield packet


def usual(services: list[str], packet: dict[str, Any]) -> bool:
    """Whether the client's port is one that a must-always speaks of: pinned by the service, else 1024 and above."""
    if packet["protocol"] not in (6, 17) or packet["source_port"] >= 1024:
        return True
    for service in services:
        symmetric, matches = SERVICES[service]
        for protocol, ports, client_ports, _kind in matches:
            if (
                protocol == packet["protocol"]
                and (client_ports or symmetric)
                and inside(packet["destination_port"], ports)
            ):
                return True
    return False


def brute_always(world: World, client: str, server: str, services: list[str]) -> str:
    found = [p for p in openers(world, client, server, services) if usual(services, p)]
    if not found:
        return "empty"
    return "proved" if all(world.works(p, cautious=True) for p in found) else "violated"


def brute_never(world: World, client: str, server: str, services: list[str]) -> str:
    found = list(openers(world, client, server, services))
    if not found:
        return "empty"
    reaching = [p for p in found if not world.blocked(p)]
    if services == ["any"]:
        reaching = [
            p for p in reaching if (p["protocol"], p.get("source_port"), p.get("destination_port")) != (17, 68, 67)
        ]
    if not reaching:
        return "proved"
    if any(world.permits(p["source"], p["destination"], p) for p in reaching):
        return "violated"
    raised = replace(world, stages={name: ("enforce", points) for name, (_stage, points) in world.stages.items()})
    later = [p for p in reaching if not raised.blocked(p)]
    unassigned = {name for name in world.members if name not in world.stages}
    open_ends = [
        p for p in later if not {world.segment_of(p["source"]), world.segment_of(p["destination"])} & unassigned
    ]
    return "violated" if open_ends else "not enforced"


def in_world(world: World, result: GuardrailResult, statement: tuple[str, str, str, list[str]]) -> dict[str, Any]:
    """The witness, after checking that the guardrail is about it."""
    assert result.packet is not None
    packet = as_dict(result.packet)
    must, client, server, services = statement
    ends = [packet["source"], packet["destination"]]
    forward = ends[0] in end_addresses(world, client) and ends[1] in end_addresses(world, server)
    assert forward or must == "always"
    if forward and packet.get("tcp_flags", {"syn"}) == {"syn"}:
        assert services == ["any"] or any(opens(s, packet) for s in services)
    return packet


def check(
    world: World, statements: list[tuple[str, str, str, list[str]]], tally: dict[tuple[str, str], int], seed: object
) -> None:
    world = replace(world, guardrails=statements)
    site = world.site()
    results, findings = prove_guardrails(site, compile_site(site).lists)
    for statement, result in zip(statements, results):
        brute = brute_always if statement[0] == "always" else brute_never
        want = brute(world, *statement[1:])
        assert result.outcome == want, (seed, statement, result, world)
        tally[statement[0], want] = tally.get((statement[0], want), 0) + 1
        if want in ("violated", "not enforced"):
            packet = in_world(world, result, statement)
            if statement[0] == "never":
                assert not world.blocked(packet), (seed, statement, packet)
            else:
                assert world.stops(packet, True, True) or world.stops(packet, False, True), (seed, statement, packet)
    endings = [result for result in results if result.must == "always" and result.note]
    assert len(findings) == sum(result.outcome != "proved" for result in results) + len(endings)
    for statement, result in zip(statements, results):
        if statement[0] == "always" and result.outcome == "proved":
            raised = replace(
                world, stages={name: ("enforce", points) for name, (_stage, points) in world.stages.items()}
            )
            assert bool(result.note) == (brute_always(raised, *statement[1:]) == "violated"), (seed, statement, result)


@pytest.mark.one_python
def test_outcomes_and_witnesses_agree_with_brute_force(full: bool) -> None:
    tally: dict[tuple[str, str], int] = {}
    for seed in range(300 if full else 7):
        choose = random.Random(seed)
        world = random_world(seed)
        ends = [*world.members, "half"]
        statements = []
        for must in ("always", "never", "never"):
            services = choose.choice([["web"], ["names"], ["ping"], ["peers"], ["bacnet"], ["ranges", "gre"], ["any"]])
            if must == "always" and services == ["any"]:
                services = ["web"]
            statements.append((must, choose.choice(list(world.members)), choose.choice(ends), services))
        if world.rules:  # a statement about a rule that exists, so that both answers are common
            _id, client, to, services = choose.choice(world.rules)
            if to != "any":
                statements += [("always", client, to, services[:1]), ("never", client, to, services[:1])]
        check(world, statements, tally, seed)
    for must, outcomes in OUTCOMES.items():
        for outcome in outcomes:
            assert tally.get((must, outcome), 0) >= 3, tally


# --- hand-made traps. Two segments on two subnets, or on one.


def two(stage: str = "enforce", points: tuple[str, ...] = ("fw1",), same_subnet: bool = False, **more: Any) -> World:
    """Clients ``a`` and servers ``b``, both at the points given."""
    second = "10.0.1.2" if same_subnet else "10.0.2.2"
    values: dict[str, Any] = {
        "members": {
            "a": [("10.0.1.1", "acc1", "GigabitEthernet1/0/1")],
            "b": [(second, "acc1", "GigabitEthernet1/0/2")],
        },
        "rules": [],
        "networks": {},
        "stages": {"a": (stage, list(points)), "b": (stage, list(points))},
        "points": {
            "fw1": ("firewall", {}),
            "dacl": ("dacl", {}),
            "acc1": ("port_acl", {}),
            "matrix": ("sgacl", {"tags": "inline"}),
        },
    }
    return World(**(values | more))


def prove(
    world: World, must: str, services: list[str], client: str = "a", server: str = "b"
) -> tuple[GuardrailResult, list[Any]]:
    world = replace(world, guardrails=[(must, client, server, services)])
    site = world.site()
    results, findings = prove_guardrails(site, compile_site(site).lists)
    return results[0], findings


def test_dropping_a_rule_breaks_an_always() -> None:
    rules = [("r", "a", "b", ["web"])]
    for points in (("fw1",), ("dacl",), ("acc1",), ("matrix",)):
        assert prove(two(points=points, rules=rules), "always", ["web"])[0].outcome == "proved", points
        result, findings = prove(two(points=points), "always", ["web"])
        assert (result.outcome, result.point) == ("violated", points[0])
        assert findings[0].code == "SW3110"


@pytest.mark.parametrize("point", ["fw1", "dacl", "acc1", "matrix"])
def test_an_always_that_ends_with_the_stage_is_said_before(point: str) -> None:
    result, findings = prove(two(stage="monitor", points=(point,)), "always", ["web"])
    assert (result.outcome, findings[0].code, findings[0].severity) == ("proved", "SW3114", "warning")
    assert point in result.note
    kept = two(stage="monitor", points=(point,), rules=[("r", "a", "b", ["web"])])
    assert prove(kept, "always", ["web"])[1] == []


def test_widening_a_port_breaks_a_never() -> None:
    narrow = two(rules=[("r", "a", "b", ["pinned"])])
    wide = two(rules=[("r", "a", "b", ["all-tcp"])])
    assert prove(narrow, "never", ["web"])[0].outcome == "proved"
    result, findings = prove(wide, "never", ["web"])
    assert result.outcome == "violated"
    assert findings[0].code == "SW3111"
    assert "rule r permits" in findings[0].message
    assert "10.0.2.2:443" in result.witness


def test_a_never_holds_by_the_block_of_the_reply_for_tcp_only() -> None:
    """Only the server has a list on its port: the opener arrives, the SYN-ACK does not come back; a datagram has done its work."""
    world = two(stages={"b": ("enforce", ["dacl"]), "a": ("observe", ["dacl"])}, same_subnet=True)
    assert prove(world, "never", ["web"])[0].outcome == "proved"
    assert prove(replace(world, stages={"b": ("enforce", ["dacl"])}), "never", ["bacnet"])[0].outcome == "not enforced"
    sealed = replace(world, stages={"b": ("enforce", ["dacl"]), "a": ("enforce", ["dacl"])})
    assert prove(sealed, "never", ["bacnet"])[0].outcome == "proved"


def test_a_one_way_datagram_through_a_reply_line_is_found() -> None:
    """b answers a from udp/53, so b's list lets any datagram from port 53 to a (facts/devices.md section 6.2)."""
    world = two(points=("dacl",), rules=[("r", "a", "b", ["names"])])
    result, findings = prove(world, "never", ["any"], "b", "a")
    assert result.outcome == "violated"
    assert "10.0.2.2:53 > 10.0.1.1:" in result.witness
    assert "udp" in result.witness
    assert "no enforcing list stops" in findings[0].message
    # A stateful point on the way closes the hole.
    assert (
        prove(two(points=("dacl", "fw1"), rules=[("r", "a", "b", ["names"])]), "never", ["any"], "b", "a")[0].outcome
        == "proved"
    )


def test_traffic_inside_a_subnet_is_never_proved_by_a_firewall() -> None:
    result, findings = prove(two(same_subnet=True), "never", ["web"])
    assert result.outcome == "violated"
    assert "no point sees it" in findings[0].message
    assert "one side of fw1" in findings[0].message
    assert prove(two(), "never", ["web"])[0].outcome == "proved"
    assert prove(two(same_subnet=True, points=("fw1", "acc1")), "never", ["web"])[0].outcome == "proved"


@pytest.mark.parametrize("stage", ["observe", "monitor"])
@pytest.mark.parametrize("point", ["fw1", "dacl", "acc1", "matrix"])
def test_a_stage_before_enforce_is_not_proof(stage: str, point: str) -> None:
    result, findings = prove(two(stage=stage, points=(point,)), "never", ["web"])
    assert result.outcome == "not enforced"
    assert findings[0].severity == "warning"
    # And a rule that permits it is an error before anything is enforced.
    permitted = two(stage=stage, points=(point,), rules=[("r", "a", "b", ["web"])])
    assert prove(permitted, "never", ["web"])[0].outcome == "violated"


def test_a_segment_without_a_point_is_not_enforced() -> None:
    result, findings = prove(two(stages={}), "never", ["web"])
    assert result.outcome == "not enforced"
    assert "segments without a point (a, b)" in findings[0].message


def test_any_on_access_lists_is_proved_apart_from_dhcp() -> None:
    result, _findings = prove(two(points=("dacl",)), "never", ["any"])
    assert result.outcome == "proved"
    assert "udp 68 to 67" in result.note
    assert prove(two(points=("fw1",)), "never", ["any"])[0].note == ""


def test_overlapping_ends_and_rules_to_networks() -> None:
    """The rule's network holds the guarded server by one of two overlapping prefixes."""
    networks = {"wide": ["10.0.2.0/28", "10.0.2.0/30"], "guarded": ["10.0.2.2/31", "10.0.2.3/32"]}
    world = two(rules=[("r", "a", "wide", ["web"])], networks=networks)
    result, _findings = prove(world, "never", ["web"], server="guarded")
    assert result.outcome == "violated"
    apart = replace(world, networks={**networks, "wide": ["10.0.2.8/29"]})
    # b is enforced; 10.0.2.3 is nobody's, but a is enforced too, so its own default stops the rest.
    assert prove(apart, "never", ["web"], server="guarded")[0].outcome == "proved"


def test_a_port_list_proves_nothing_about_devices_elsewhere() -> None:
    """One device of the segment is on another switch, which has no list."""
    world = two(points=("acc1",), same_subnet=True)
    assert prove(world, "never", ["web"])[0].outcome == "proved"
    world.members["a"].append(("10.0.1.5", "acc2", "GigabitEthernet1/0/1"))
    world.stages = {"a": ("enforce", ["acc1"])}
    result, _findings = prove(world, "never", ["web"])
    assert result.outcome != "proved"
    assert "10.0.1.5" in result.witness


def test_a_dacl_has_a_list_for_each_family_and_a_matrix_has_not() -> None:
    for point, outcome in (("dacl", "proved"), ("matrix", "violated")):
        world = two(points=(point,), same_subnet=True, networks={"six": ["2001:db8::/64"]})
        site = world.site()
        members = {
            name: tuple(replace(m, addresses=(*m.addresses, f"2001:db8::{n}")) for m in found)
            for n, (name, found) in enumerate(site.members.items(), 1)
        }
        guarded = replace(world, guardrails=[("never", "a", "b", ["web"])]).site()
        guarded = replace(guarded, members=members)
        compiled = compile_site(guarded)
        result, _findings = prove_guardrails(guarded, compiled.lists)
        assert result[0].outcome == outcome
        if outcome == "violated":
            assert "2001:db8::" in result[0].witness
            assert "SW3011" in {f.code for f in compiled.findings}


def test_a_firewall_says_nothing_about_multicast_and_broadcast() -> None:
    networks = {"groups": ["239.1.1.0/24"], "everybody": ["255.255.255.255/32"]}
    for server in networks:
        assert prove(two(networks=networks), "never", ["bacnet"], server=server)[0].outcome == "violated"
        assert (
            prove(two(networks=networks, points=("dacl",)), "never", ["bacnet"], server=server)[0].outcome == "proved"
        )
    # Routed multicast would meet the list, so a must-always fails there; the local broadcast would not.
    assert prove(two(networks=networks), "always", ["bacnet"], server="groups")[0].outcome == "violated"
    assert prove(two(networks=networks), "always", ["bacnet"], server="everybody")[0].outcome == "proved"


def test_an_empty_guardrail_is_said() -> None:
    world = two(members={"a": [("10.0.1.1", "", "")], "b": []}, stages={})
    result, findings = prove(world, "never", ["web"])
    assert result.outcome == "empty"
    assert findings[0].code == "SW3113"


def test_an_always_covers_the_reply_of_a_ping() -> None:
    world = two(points=("dacl",), rules=[("r", "a", "b", ["ping"])])
    assert prove(world, "always", ["ping"])[0].outcome == "proved"
    site = replace(world, guardrails=[("always", "a", "b", ["ping"])]).site()
    lists = [
        replace(item, aces=tuple(ace for ace in item.aces if ace.detail != IntervalSet.of((0, 255))))
        for item in compile_site(site).lists
    ]
    results, _findings = prove_guardrails(site, lists)
    assert results[0].outcome == "violated"
