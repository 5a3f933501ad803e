# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists against what a switch says of its own TCAM, counted by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.switch_facts import Section, SwitchFacts
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.measured import (
    Capacity,
    capacity_of,
    measured_of,
    member_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site, SwitchHardware
from tests.unit.enforce.test_lists import world
from tests.unit.enforce.test_platforms import site as site_of

WEB = [("r", "a", "b", ["web"])]
AT = "2026-11-25T08:00:00Z"
# The world's DACLs: a has 5 lines and two sessions, b has 6 lines and one.
DACLS = 5 * 2 + 6


def region(used: int, limit: int = 5120, **more: Any) -> dict[str, Any]:
    values = {"member": 1, "asic": 0, "slice": -1, "kind": "security", "direction": "both", "family": "any"}
    return {**values, "limit": limit, "used": used, **more}


def facts(*regions: dict[str, Any], **sections: Any) -> SwitchFacts:
    made = {"tcam": Section({"regions": list(regions)}, AT)}
    made |= {name: Section(value, AT) for name, value in sections.items()}
    return SwitchFacts("acc1", "ios", made)


def rows(site: Site, known: SwitchFacts) -> list[Capacity]:
    measured = measured_of(known)
    assert measured is not None
    return capacity_of(site, measured, compile_site(site).lists)


def codes(site: Site, known: SwitchFacts) -> list[tuple[str, str]]:
    measured = measured_of(known)
    assert measured is not None
    found = compile_site(site, measured={"acc1": measured}).findings
    return [(f.code, f.message) for f in found if f.code in ("SW3020", "SW3021")]


def test_what_others_use_stays_beside_the_lists() -> None:
    (row,) = rows(world("dacl", WEB).site(), facts(region(129)))
    assert (row.used, row.others, row.needed, row.swap) == (129, 129, DACLS, 10)
    assert row.peak == 129 + DACLS + 10
    assert row.read_at == AT


def test_our_lists_of_today_are_taken_off_once() -> None:
    sessions = [
        {"interface": "GigabitEthernet1/0/1", "access_lists": ["xACSACLx-IP-SW_a-598d0d01"]},
        {"interface": "GigabitEthernet1/0/2", "access_lists": ["xACSACLx-IP-SW_a-598d0d02"]},
        {"interface": "GigabitEthernet1/0/10", "access_lists": ["xACSACLx-IP-OTHER-598d0d02"]},
    ]
    lists = [
        {"name": "xACSACLx-IP-SW_a-598d0d01", "kind": "extended", "entries": 4},
        {"name": "xACSACLx-IP-SW_a-598d0d02", "kind": "extended", "entries": 7},
        {"name": "xACSACLx-IP-OTHER-598d0d02", "kind": "extended", "entries": 50},
    ]
    known = facts(region(200), sessions={"sessions": sessions}, access_lists={"lists": lists})
    (row,) = rows(world("dacl", WEB).site(), known)
    # One session carries four lines, one seven; another's list stays.
    assert (row.others, row.needed) == (200 - 11, DACLS)


def test_a_port_acl_counts_only_where_it_is_attached() -> None:
    site = world("acc1", WEB).site()
    lists = [{"name": f"SW_a__{v}", "kind": "extended", "entries": n} for v, n in (("a", 5), ("b", 900))]
    attached = [{"interface": "GigabitEthernet1/0/1", "access_list": "SW_a__a", "direction": "in", "family": 4}]
    known = facts(region(500), access_lists={"lists": lists}, configuration={"attachments": attached})
    (row,) = rows(site, known)
    assert (row.others, row.needed, row.swap) == (495, 5 + 6, 6)
    # Without the configuration nobody knows what is attached: all that is in use is taken for others'.
    assert rows(site, facts(region(500), access_lists={"lists": lists}))[0].others == 500


def test_directions_and_families_have_regions_of_their_own() -> None:
    site = site_of("dacl", "ise", six=True)
    known = facts(
        region(12, 7168, direction="in", family="4"),
        region(76, 5120, direction="in", family="other"),
        region(14, 7168, direction="out", family="4"),
    )
    found = {(row.direction, row.family): row.needed for row in rows(site, known)}
    both = {row.family: row.needed for row in rows(site, facts(region(0)))}
    assert set(found) == {("in", "4"), ("in", "other")}
    assert found["in", "4"] + found["in", "other"] == both["any"]


def test_sessions_count_on_the_member_that_has_their_port() -> None:
    source = world("dacl", WEB)
    source.members["b"] = [("10.0.2.2", "acc1", "GigabitEthernet2/0/10")]
    found = {row.place: row.needed for row in rows(source.site(), facts(region(0), region(0, member=2)))}
    assert found == {"member 1 ASIC 0": 10, "member 2 ASIC 0": 6}


def test_the_fullest_region_decides() -> None:
    source = world("dacl", WEB).site()
    found = rows(source, facts(region(100), region(4000, asic=1), region(200, asic=2)))
    assert [row.place for row in found] == ["member 1 ASIC 1", "member 1 ASIC 2", "member 1 ASIC 0"]


def test_policies_and_cells_of_a_matrix() -> None:
    resources = {
        "regions": [
            region(5, 3, kind="sgacl_policies", direction="out"),
            region(2, 8192, kind="sgacl_cells", direction="out"),
        ]
    }
    site = world("matrix", WEB).site()
    found = {row.kind: (row.needed, row.limit) for row in rows(site, facts(region(0), sgacl_resources=resources))}
    assert found["sgacl_policies"] == (3, 3) and found["sgacl_cells"] == (4, 8192)


@pytest.mark.parametrize(
    ("used", "code"),
    [
        (129, ""),
        (5120 - DACLS - 10, "SW3021"),
        (5120 - DACLS - 9, "SW3021"),
        (5120 - DACLS + 1, "SW3020"),
        (4100, "SW3021"),
    ],
)
def test_what_does_not_fit_is_said_with_the_time_of_the_figures(used: int, code: str) -> None:
    found = codes(world("dacl", WEB).site(), facts(region(used)))
    assert [each[0] for each in found] == ([code] if code else [])
    assert all(AT in message and "acc1 member 1 ASIC 0" in message for _code, message in found)


def test_figures_take_the_place_of_the_platform_class() -> None:
    # By its class the switch is full; it says itself that it is not. And the reverse.
    full = replace(world("dacl", WEB).site(), switches={"acc1": SwitchHardware("acc1", "catalyst_9300", in_use=5119)})
    assert codes(full, facts(region(129))) == []
    empty = replace(full, switches={"acc1": SwitchHardware("acc1", "catalyst_9300", in_use=1)})
    assert [code for code, _text in codes(empty, facts(region(5119)))] == ["SW3020"]


def test_what_the_switch_does_not_show_is_still_held_against_its_class() -> None:
    site = replace(
        world("acc1", [("r", "a", "b", ["ranges"])]).site(), switches={"acc1": SwitchHardware("acc1", "ie3x00")}
    )
    limits = compile_site(site)
    measured = measured_of(facts(region(0)))
    assert measured is not None
    both = compile_site(site, measured={"acc1": measured})
    operators = [f for f in limits.findings if "operators" in f.message]
    assert operators == [f for f in both.findings if "operators" in f.message]
    assert both.lists == limits.lists


def test_facts_without_security_entries_say_nothing() -> None:
    assert measured_of(SwitchFacts("acc1", "ios")) is None
    assert measured_of(facts(region(3, kind="sgacl_cells"))) is None


def test_member_of_an_interface() -> None:
    assert [member_of(name) for name in ("GigabitEthernet3/0/1", "Gi2/1/4", "Vlan10", "TenGigabitEthernet1/1/1")] == [
        3,
        2,
        1,
        1,
    ]
