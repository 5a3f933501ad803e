# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the switches counts for a promotion. No connection."""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.carriers import SwitchView
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.promotion import Cell
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import promote
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.enforced import EnforcedState
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_enforced import Enforced

SITE = Site("clinic", "UTC", {}, (), {}, {}, {}, (), (), (), {}, {}, {})
CELL = Cell("imaging", "archive", (130, 220))
ROW = {"cell": "SW_imaging-SW_archive", "switch": "acc1", "equal": True, "difference": ""}


def test_a_switch_that_did_not_answer_is_not_one_without_the_cell() -> None:
    asked = (Enforced(SwitchView("acc1", {})),)
    assert promote._held([CELL], EnforcedState((), (ROW,), asked), SITE) == {CELL.pair: ""}
    silent = EnforcedState((), (ROW,), asked, (codes.SWITCH_UNREAD.at("acc2: no answer"),))
    assert "acc2" in promote._held([CELL], silent, SITE)[CELL.pair]
    # A switch that answered and does not know a command holds nothing by it.
    plain = EnforcedState((), (ROW,), asked, (codes.SWITCH_UNREAD.at("acc1: show cts: Invalid input"),))
    assert promote._held([CELL], plain, SITE) == {CELL.pair: ""}
