# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions on paper: lines of ours change the copy of a configuration as the device would, and no other line is followed."""

from __future__ import annotations

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import asa_paper, nxos_paper
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_config import GLOBAL, read_asa_config
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_config import read_config

NEXUS = """version 9.3(8)
ip access-list SW_hvac__a
  10 permit tcp any any eq 443
interface Ethernet1/1
  ip port access-group SW_hvac__a in
"""
PLACE = ("Ethernet1/1", "in", "ip port access-group")


def test_lines_of_a_swap_on_a_nexus_switch() -> None:
    before = read_config(NEXUS)
    built = nxos_paper.applied(before, ["ipv6 access-list SW_six__a", "10 permit tcp any any", "statistics per-entry"])
    assert (
        built.lists["SW_six__a"] == ("10 permit tcp any any", "statistics per-entry")
        and built.families["SW_six__a"] == 6
    )
    armed = nxos_paper.applied(
        built,
        [
            "feature scheduler", "scheduler job name SW_way_back", "configure terminal", "interface Ethernet1/1",
            "ip port access-group SW_hvac__a in", "end-job", "scheduler schedule name SW_way_back", "job name SW_way_back",
            "time start +00:03",
        ],
    )  # fmt: skip
    assert armed.scheduler and armed.way_back == (("job", "SW_way_back"), ("schedule", "SW_way_back"))
    assert armed.groups == before.groups and armed.lists == built.lists
    swapped = nxos_paper.applied(armed, ["interface Ethernet1/1", "ip port access-group SW_hvac__b in"])
    assert swapped.groups == {PLACE: "SW_hvac__b"}
    gone = nxos_paper.applied(
        swapped,
        [
            "no scheduler schedule name SW_way_back", "no scheduler job name SW_way_back", "no feature scheduler",
            "interface Ethernet1/1", "no ip port access-group SW_hvac__b in", "no ip access-list SW_hvac__a",
        ],
    )  # fmt: skip
    assert (gone.way_back, gone.scheduler, gone.groups) == ((), False, {}) and set(gone.lists) == {"SW_six__a"}
    assert before == read_config(NEXUS)


def test_lines_of_a_swap_on_an_asa() -> None:
    text = "access-list SW_a__a extended permit ip any any\naccess-group SW_a__a global\n: end\n"
    before = read_asa_config(text)
    lines = [
        "access-list SW_a__b remark rule 1", "access-list SW_a__b extended deny ip any any", "event manager applet SW_way_back_1",
        "description puts the list before back", 'action 1 cli command "access-group SW_a__a global"', "output none",
        "event timer countdown time 60", "access-group SW_a__b global", "access-group SW_a__b in interface inside",
    ]  # fmt: skip
    after = asa_paper.applied(before, lines)
    assert after.lists["SW_a__b"] == ("remark rule 1", "extended deny ip any any")
    assert after.groups == {GLOBAL: "SW_a__b", ("inside", "in"): "SW_a__b"}
    assert [(way.name, way.seconds, way.lines) for way in after.ways_back] == [("SW_way_back_1", 60, 4)]
    cleared = asa_paper.applied(
        after,
        [
            "no event manager applet SW_way_back_1",
            "no access-group SW_a__b global",
            "clear configure access-list SW_a__b",
        ],
    )
    assert (cleared.groups, cleared.ways_back, set(cleared.lists)) == ({}, (), {"SW_a__a"})


@pytest.mark.parametrize("line", ["hostname other", "no shutdown", "write erase"])
def test_a_line_that_is_none_of_ours_is_not_followed(line: str) -> None:
    for applied, state in ((nxos_paper.applied, read_config(NEXUS)), (asa_paper.applied, read_asa_config(": end\n"))):
        with pytest.raises(FindingError) as error:
            applied(state, [line])  # type: ignore[operator]
        assert {each.code for each in error.value.findings} == {"SW4470"}
