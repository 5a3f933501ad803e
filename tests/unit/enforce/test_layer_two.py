# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services without IP: no list changes for them, every point that does not see them is named, no must-never rests on a list."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.desired import rendered
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.layer_two import only_frames, share_subnet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Rule, Service, ServiceMatch, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.guardrails import prove_guardrails
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.hygiene import untidy
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.situations import prove_situations
from tests.unit.proof.small_sites import World

MEMBERS = {
    "a": [("10.0.1.2", "acc1", "GigabitEthernet1/0/1")],
    "b": [("10.0.1.3", "acc1", "GigabitEthernet1/0/2")],
    "c": [("10.0.2.2", "acc1", "GigabitEthernet1/0/3")],
}
POINTS = {
    "dacl": ("dacl", {}),
    "fw1": ("firewall", {}),
    "matrix": ("sgacl", {"tags": "inline"}),
    "acc1": ("port_acl", {}),
}
FRAMES = {
    "goose": Service("goose", (), ethertypes=(0x88B8,)),
    "time": Service("time", (ServiceMatch(17, ((319, 320),)),), ethertypes=(0x88F7,)),
}


def site(
    *rules: tuple[str, str, str, list[str]],
    stage: str = "enforce",
    guardrails: list[tuple[str, str, str, list[str]]] | None = None,
    workflows: list[list[str]] | None = None,
) -> Site:
    stages = {name: (stage, sorted(POINTS)) for name in MEMBERS}
    world = World(MEMBERS, list(rules), {}, stages, POINTS, guardrails=guardrails or [], workflows=workflows or [])
    made = world.site()
    return replace(made, services={**made.services, **FRAMES})


def test_a_rule_below_ip_changes_no_list_and_names_every_point() -> None:
    bare, with_frames = site(("r", "a", "b", ["web"])), site(("r", "a", "b", ["web"]), ("g", "a", "b", ["goose"]))
    one, two = compile_site(bare), compile_site(with_frames)
    assert [rendered(item) for item in one.lists] == [rendered(item) for item in two.lists]
    found = [f for f in two.findings if f.code in ("SW3026", "SW3027")]
    assert [(f.code, f.severity) for f in found] == [("SW3026", "info")]
    for words in (
        "rule g: goose (ethertype 0x88B8)",
        "acc1: ",
        "dacl: a DACL",
        "fw1: frames are not routed",
        "matrix: a cell",
    ):
        assert words in found[0].message
    assert "MACsec" in found[0].hint and "VLAN" in found[0].hint
    assert {f.code for f in one.findings} & {"SW3026", "SW3027"} == set()


def test_observed_segments_have_no_point_to_name() -> None:
    assert "SW3026" not in {f.code for f in compile_site(site(("g", "a", "b", ["goose"]), stage="observe")).findings}


@pytest.mark.parametrize(
    ("to", "service", "codes"),
    [("b", "goose", {"SW3026"}), ("c", "goose", {"SW3026", "SW3027"}), ("c", "time", {"SW3026"}), ("c", "web", set())],
)
def test_frames_do_not_leave_a_subnet(to: str, service: str, codes: set[str]) -> None:
    made = site(("g", "a", to, [service]))
    assert {f.code for f in compile_site(made).findings} & {"SW3026", "SW3027"} == codes
    assert share_subnet(made, "a", to) is (to == "b")
    assert (
        share_subnet(made, "a", "any")
        and share_subnet(made, "a", "zone:north")
        and not share_subnet(made, "a", "zone:south")
    )
    assert only_frames(made, [service]) is (service == "goose")
    assert not only_frames(made, ["goose", "web"]) and not only_frames(made, [])


def test_a_workflow_may_rest_on_it_and_it_is_not_called_dead() -> None:
    made = site(("r", "a", "b", ["web"]), ("g", "a", "b", ["goose"]), workflows=[["g", "r"]])
    results, present, findings = prove_situations(made, compile_site(made).lists)
    assert findings == [] and set(present.proved) == {"r", "g"} and present.empty == ()
    assert results[0].workflow_rules_proved == 2
    assert [item.rule for item in untidy(made, date(2026, 11, 23))] == []


@pytest.mark.parametrize(
    ("must", "client", "server", "services", "outcome", "code"),
    [
        ("never", "a", "b", ["goose"], "violated", "SW3111"),
        ("never", "a", "c", ["goose"], "proved", ""),
        ("never", "a", "any", ["goose"], "violated", "SW3111"),
        ("never", "a", "c", ["time"], "proved", ""),  # its UDP part is stopped, its frames do not leave the subnet
        ("never", "a", "b", ["time"], "violated", "SW3111"),
        ("always", "a", "b", ["goose"], "proved", ""),
        ("always", "a", "c", ["time"], "violated", "SW3110"),
    ],
)
def test_guardrails_below_ip(must: str, client: str, server: str, services: list[str], outcome: str, code: str) -> None:
    made = site(("r", "a", "b", ["web"]), guardrails=[(must, client, server, services)])
    results, findings = prove_guardrails(made, compile_site(made).lists)
    assert [item.outcome for item in results] == [outcome]
    assert [item.code for item in findings] == ([code] if code else [])
    if outcome == "violated" and "goose" in services:
        assert "no enforcement point sees goose (ethertype 0x88B8)" in findings[0].message
        assert "MACsec" in findings[0].hint
    if outcome == "proved":
        assert "0x88" in results[0].note


def test_one_rule_for_both_is_compiled_for_its_ip_part() -> None:
    made = site(("t", "a", "c", ["time"]))
    labels = {ace.label for item in compile_site(made).lists for ace in item.aces}
    assert "t" in labels
    assert Rule("t", "a", "c", ("time",), "because", "manual").services == ("time",)
