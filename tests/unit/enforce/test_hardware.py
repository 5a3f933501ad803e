"""Lists against the hardware of a switch, counted by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.budget import size_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.hardware import need_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site, SwitchHardware
from tests.unit.enforce.test_lists import world
from tests.unit.enforce.test_platforms import GATEWAYS
from tests.unit.enforce.test_platforms import site as site_of

WEB = [("r", "a", "b", ["web"])]
RANGES = [("r", "a", "b", ["ranges"])]


def need(site: Site, hardware: str = "catalyst_9300", **options: Any) -> Any:
    switch = SwitchHardware("acc1", hardware, **options)
    return need_of(site, switch, compile_site(site).lists)


def test_a_dacl_is_counted_for_each_session() -> None:
    site = world("dacl", WEB).site()
    # a: bootstrap 3, rule 1, end 1, for two devices; b: bootstrap 3, two clients, end 1, for one
    assert need(site).entries == 5 * 2 + 6
    assert need(site, sessions=10).entries == 5 * 10 + 6 * 10
    elsewhere = replace(
        site, members={n: tuple(replace(m, switch="acc2") for m in ms) for n, ms in site.members.items()}
    )
    assert need(elsewhere).entries == 0


def test_a_port_acl_is_counted_once() -> None:
    assert need(world("acc1", WEB).site()).entries == 5 + 6


def test_cells_with_one_content_are_programmed_once() -> None:
    found = need(world("matrix", []).site())
    assert (found.cells, found.policies, found.entries) == (4, 1, 1)
    found = need(world("matrix", WEB).site())
    assert (found.cells, found.policies) == (4, 3)  # forward, back, closed


def test_ipv6_takes_twice() -> None:
    four, six = (need(site_of("router_acl", "ios", six=six, gateways=GATEWAYS)) for six in (False, True))
    assert six.ipv6_entries == 0  # the gateways have no IPv6 subnet
    assert six.entries == four.entries
    both = need(site_of("dacl", "ise", six=True))
    lists = compile_site(site_of("dacl", "ise", six=True)).lists
    sixth = {item.segment: size_of(item)["expanded_aces"] for item in lists if item.family == 6}
    assert both.ipv6_entries == 2 * (2 * sixth["a"] + sixth["b"])


def test_registers_are_shared_by_the_whole_switch() -> None:
    found = need(world("acc1", RANGES).site(), "ie3x00")
    # tcp 80, 8000-8010 as destination and source; udp 5000-5010 likewise; a range takes two
    assert found.operators == {"tcp_operators": 4, "udp_operators": 4}
    assert need(world("acc1", RANGES).site()).operators == {}


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({}, ""),
        ({"sessions": 400}, "SW3021"),
        ({"in_use": 5110}, "SW3020"),
        ({"in_use": 4200}, "SW3021"),
        ({"in_use": 5095}, "SW3021"),
    ],
)
def test_what_does_not_fit_is_said(options: dict[str, int], code: str) -> None:
    site = replace(world("dacl", WEB).site(), switches={"acc1": SwitchHardware("acc1", "catalyst_9300", **options)})
    found = {f.code: f.message for f in compile_site(site).findings if f.code in ("SW3020", "SW3021")}
    assert set(found) == ({code} if code else set())


def test_a_long_dacl_takes_several_answers() -> None:
    rules = [(f"r{n}", "a", "b", ["web", "names", "pinned"]) for n in range(1)]
    source = world("dacl", rules)
    source.members["a"] = [(f"10.0.1.{n}", "acc1", f"GigabitEthernet1/0/{n}") for n in range(1, 14)]
    source.members["b"] = [(f"10.0.2.{n}", "acc1", f"GigabitEthernet2/0/{n}") for n in range(1, 14, 2)]
    compiled = compile_site(source.site())
    sizes = {item.segment: size_of(item) for item in compiled.lists}
    assert sizes["a"]["radius_packets"] == 1
    long = max(sizes.values(), key=lambda size: size["bytes"])
    assert (long["radius_packets"] > 1) is ("SW3022" in {f.code for f in compiled.findings})
