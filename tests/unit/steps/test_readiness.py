# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Readiness as plan and promotion ask for it: only the ports of the segment's devices, by the kinds of its points."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.segwright.microseg.plugins.plugin_utils.change import promotion
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import switch_facts
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.port_security import network_access
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.running import blocks
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.readiness import (
    readiness_findings,
    segment_readiness,
)
from tests.unit.change.test_after_writing import NOW, SETTINGS
from tests.unit.devices.test_readiness import AT, GLOBAL
from tests.unit.enforce.test_lists import world

PORT = "interface {}\n device-tracking attach-policy TRACK\n authentication port-control auto\n mab\n"
READY = GLOBAL + "".join(PORT.format(f"GigabitEthernet1/0/{n}") for n in (1, 2, 10))


def known(tmp_path: Path, text: str) -> Paths:
    section = switch_facts.Section(network_access(blocks(text + "end\n")), AT)
    switch_facts.write(tmp_path, switch_facts.SwitchFacts("acc1", "ios", {"configuration": section}))
    return Paths.of(str(tmp_path), str(tmp_path))


def test_a_ready_switch_says_nothing_against(tmp_path: Path) -> None:
    site = world("dacl", []).site()
    answers = segment_readiness(known(tmp_path, READY), site, "ab")
    assert set(answers) == {"a", "b"}
    assert not answers["a"].against and not answers["a"].unknown and answers["a"].switches == ("acc1",)


def test_only_the_ports_of_a_segment_count(tmp_path: Path) -> None:
    lost = READY.replace(
        "interface GigabitEthernet1/0/10\n device-tracking attach-policy TRACK\n", "interface GigabitEthernet1/0/10\n"
    )
    answers = segment_readiness(known(tmp_path, lost), world("dacl", []).site(), "ab")
    assert answers["a"].against == ()
    assert [each.code for each in answers["b"].against] == ["SW1376"]


def test_points_decide_what_is_asked(tmp_path: Path) -> None:
    bare = "\n".join(line for line in READY.splitlines() if not line.startswith("cts ")) + "\n"
    paths = known(tmp_path, bare)
    assert segment_readiness(paths, world("dacl", []).site(), "a")["a"].against == ()
    assert {each.code for each in segment_readiness(paths, world("matrix", []).site(), "a")["a"].against} == {"SW1381"}
    # Port ACLs and firewalls need none of it.
    assert segment_readiness(paths, world("acc1", []).site(), "a") == {}


def test_switches_without_facts_are_named(tmp_path: Path) -> None:
    site = world("dacl", []).site()
    paths = Paths.of(str(tmp_path), str(tmp_path))
    assert segment_readiness(paths, site, "a")["a"].unknown == ("acc1",)
    assert [(each.code, each.severity) for each in readiness_findings(paths, site, "ab")] == [("SW1373", "info")]


def test_a_promotion_is_refused_where_a_switch_is_not_ready() -> None:
    def answer(view: promotion.SwitchesView) -> promotion.Check:
        evidence = promotion.Evidence(switches=view)
        checks = promotion.gate("a", "monitor", "enforce", ("dacl",), evidence, SETTINGS, NOW).checks
        return next(each for each in checks if each.check == "switches are ready")

    refused = answer(promotion.SwitchesView(("acc1",), ("SW1377 warning: acc1: no CoA",)))
    assert not refused.ok and "SW1377" in refused.text
    unknown = answer(promotion.SwitchesView(("acc1",), (), ("acc1",)))
    assert unknown.ok and unknown.reach == promotion.NOT_COVERED
    assert answer(promotion.SwitchesView(("acc1",))).reach == promotion.SEEN
    view = promotion.SwitchesView(("acc1",), ("x",))
    assert promotion.gate("a", "observe", "monitor", ("dacl",), promotion.Evidence(switches=view), SETTINGS, NOW).ok
