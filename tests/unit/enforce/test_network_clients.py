# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network sets that open connections to segments: what each point of the server holds, both directions, and in postures."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import ListCache
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.desired import rendered
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.paths import path_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.effective import effective_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    AccessException,
    EnforcementPoint,
    Posture,
    Rule,
    Site,
    Situation,
    Workflow,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.endtoend import prove_rules
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.equivalence import prove_rendering
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.intent import Intent
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.situations import prove_situations
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.verdict import Conversation, Evaluator
from tests.lab.evaluate import evaluate_acl
from tests.unit.proof.small_sites import World

SCANNER, STRANGER, SERVER = "192.0.2.5", "192.0.2.99", "10.0.1.2"
RULE = Rule("scan", "scanner", "a", ("web",), "Looks for weak points", "manual", owner="it")
GATEWAYS = [{"interface": "Vlan10", "subnets": ["10.0.1.0/28"]}, {"interface": "Vlan20", "subnets": ["10.0.2.0/28"]}]


def site(kind: str, **options: Any) -> Site:
    world = World(
        {"a": [(SERVER, "acc1", "GigabitEthernet1/0/1"), ("10.0.1.3", "acc1", "GigabitEthernet1/0/3")],
         "b": [("10.0.2.2", "acc1", "GigabitEthernet1/0/2")]},
        [("r", "a", "b", ["web"])],
        {"scanner": ["192.0.2.0/28"], "idle": ["192.0.2.96/28"]},
        dict.fromkeys("ab", ("enforce", ["p"])),
        {"p": ("firewall" if kind == "router_acl" else kind, options)},
    )  # fmt: skip
    made = world.site()
    if kind == "router_acl":
        made = replace(made, points={"p": EnforcementPoint("p", kind, "ios", "core", {"gateways": GATEWAYS})})
    networks = {**made.networks, "scanner": replace(made.networks["scanner"], allow=(RULE,))}
    return replace(made, networks=networks)


def asked(client: str, port: int = 443) -> Conversation:
    return Conversation(4, int(ipaddress.ip_address(client)), int(ipaddress.ip_address(SERVER)), 6, port, 49152)


@pytest.mark.parametrize("kind", ["firewall", "router_acl", "dacl", "port_acl"])
def test_each_point_of_the_server_passes_the_rule_and_nothing_else(kind: str) -> None:
    made = site(kind)
    compiled = compile_site(made)
    results, findings = prove_rendering(compiled.lists)
    assert findings == [] and all(item.equal for item in results)
    assert [f for f in compiled.findings if f.severity == "error"] == []
    found = prove_rules(made, compiled.lists)
    assert found.cuts == () and set(found.proved) == {"r", "scan"}
    verdict = Evaluator(made, compiled.lists).verdict
    assert verdict(asked(SCANNER)).permitted and verdict(asked(SCANNER)).covered
    for other in (asked(SCANNER, 80), asked(STRANGER)):  # a list on a port stops the answer, the others the opener
        assert not verdict(other).permitted
    without = compile_site(
        replace(made, networks=site(kind).networks | {"scanner": replace(made.networks["scanner"], allow=())})
    )
    assert not Evaluator(made, without.lists).verdict(asked(SCANNER)).permitted
    cut = prove_rules(made, without.lists)
    assert {item.rule for item in cut.cuts} == {"scan"}


def test_a_dacl_answers_the_scanner_alone() -> None:
    lists = {item.segment: rendered(item).splitlines() for item in compile_site(site("dacl")).lists}
    line = "permit tcp any eq 443 192.0.2.0 0.0.0.15 established"
    assert line in lists["a"] and line not in lists["b"]
    packet = {"source": SERVER, "destination": SCANNER, "protocol": 6, "source_port": 443, "destination_port": 49152}
    for destination, flags, passes in (
        (SCANNER, {"syn", "ack"}, True),
        (SCANNER, {"syn"}, False),
        (STRANGER, {"syn", "ack"}, False),
    ):
        one = {**packet, "destination": destination, "tcp_flags": flags}
        assert evaluate_acl(lists["a"], one, endpoint=SERVER, kind="dacl").permit is passes


def test_a_matrix_says_that_it_does_not_judge_it() -> None:
    made = site("sgacl", tags="inline")
    compiled = compile_site(made)
    said = [f.message for f in compiled.findings if f.code == "SW3016"]
    assert len(said) == 1 and "scan" in said[0]
    assert [rendered(item) for item in compiled.lists] == [
        rendered(item) for item in compile_site(replace(made, networks={})).lists
    ]


def test_the_way_is_that_of_the_address() -> None:
    made = replace(site("firewall"), paths={"outside": ["p"]})
    path = path_of(made, SCANNER, SERVER)
    assert path.known and path.seen("forward") == ("p",)


def test_a_cached_firewall_list_is_the_same(tmp_path: Any) -> None:
    made = site("firewall")
    plain = [rendered(item) for item in compile_site(made).lists]
    for _time in range(2):
        cache = ListCache(tmp_path / "lists.json")
        lists = compile_site(made, cache=cache).lists
        assert prove_rendering(lists)[1] == []
        cache.save()
        assert [rendered(item) for item in lists] == plain


@pytest.mark.parametrize("device", [False, True])
@pytest.mark.parametrize("kept", [False, True])
def test_an_isolation_takes_it_away_or_keeps_it(device: bool, kept: bool) -> None:
    made = site("dacl")
    what = {"device": made.members["a"][0].device} if device else {"segment": "a"}
    posture = Posture("away", "isolate", "it", "r", keeps=("scan",) if kept else (), **what)
    made = replace(made, postures={"away": posture}, workflows=(Workflow("w", "w", "it", "high", ("scan",)),))
    pulled = effective_site(made, Situation(postures=("away",)))
    ids = {rule.id: rule.to for rule in pulled.rules() if rule.client == "scanner"}
    assert ids == (
        {"scan": "a", "scan-away-to": "away"} if kept and device else {"scan": "a"} if kept or device else {}
    )
    assert Evaluator(pulled, compile_site(pulled).lists).verdict(asked(SCANNER)).permitted is kept
    _results, _present, findings = prove_situations(made, compile_site(made).lists)
    assert {f.code for f in findings} == (set() if kept else {"SW3143"})


def test_recorded_traffic_is_that_of_its_rule() -> None:
    made = site("firewall")
    intent = Intent(Evaluator(made, compile_site(made).lists))
    assert intent.rules_for(asked(SCANNER)) == ["scan"]
    assert intent.rules_for(asked(STRANGER)) == [] == intent.rules_for(asked(SCANNER, 80))
    first = int(ipaddress.ip_address("192.0.2.0"))
    assert intent.client_bounds(4) == [first, first + 16] and intent.client_bounds(6) == []


@pytest.mark.parametrize(("day", "holds"), [(19, False), (20, True), (21, True), (22, False)])
def test_an_exception_may_be_for_a_network_set(day: int, holds: bool) -> None:
    """A manufacturer's cloud for two days; the set has no rule of its own."""
    item = AccessException(
        "cloud", "vendor_access", "maker", "idle", "a", ("web",), "2026-11-20", "2026-11-21", "T", "it", "r",
        devices=("a0",),
    )  # fmt: skip
    made = replace(site("firewall"), exceptions=(item,), as_of=date(2026, 11, day))
    pulled = effective_site(made)
    assert [rule.id for rule in pulled.rules() if rule.client == "idle"] == (["cloud"] if holds else [])
    compiled = compile_site(made)
    assert prove_rendering(compiled.lists)[1] == [] and prove_rules(pulled, compiled.lists).cuts == ()
    verdict = Evaluator(pulled, compiled.lists).verdict
    assert verdict(asked(STRANGER)).permitted is holds
    other = replace(asked(STRANGER), server=int(ipaddress.ip_address("10.0.1.3")))
    assert not verdict(other).permitted  # only the device that the exception names


@pytest.mark.parametrize("device", [False, True])
def test_an_isolation_reaches_an_exception_for_one_device(device: bool) -> None:
    """What the exception leads to is a set of addresses by then; the isolated ones leave it."""
    item = AccessException(
        "cloud", "vendor_access", "maker", "idle", "a", ("web",), "2026-11-20", "2026-11-21", "T", "it", "r",
        devices=("a0", "a1"),
    )  # fmt: skip
    made = site("firewall")
    what = {"device": made.members["a"][0].device} if device else {"segment": "a"}
    posture = Posture("away", "isolate", "it", "r", **what)
    made = replace(made, exceptions=(item,), as_of=date(2026, 11, 20), postures={"away": posture})
    other = replace(asked(STRANGER), server=int(ipaddress.ip_address("10.0.1.3")))
    for names, first, second in (((), True, True), (("away",), False, device)):
        pulled = effective_site(made, Situation(postures=names))
        verdict = Evaluator(pulled, compile_site(pulled).lists).verdict
        assert verdict(asked(STRANGER)).permitted is first and verdict(other).permitted is second
