# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the switches counts for a promotion. No connection."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.carriers import SwitchView
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.promotion import Cell, Promotion
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    Assignment,
    CellStage,
    EnforcementPoint,
    Site,
)
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


ORDER = ("observe", "monitor", "enforce")
PAIRS = list(product("ab", repeat=2))


def staged(stages: dict[str, str], cells: dict[tuple[str, str], str]) -> Site:
    assignments = {name: Assignment(name, stage, ("matrix",)) for name, stage in stages.items()}
    assignments["c"] = Assignment("c", "monitor", ("ports",))
    points = {
        "matrix": EnforcementPoint("matrix", "sgacl", "ise", "ise1"),
        "ports": EnforcementPoint("ports", "dacl", "ise", "ise1"),
    }
    return replace(
        SITE,
        points=points,
        assignments=assignments,
        cells=tuple(CellStage(*pair, stage) for pair, stage in cells.items()),
    )


def by_hand(stages: dict[str, str], cells: dict[tuple[str, str], str], pair: tuple[str, str]) -> str:
    lowest = min((stages[name] for name in pair), key=ORDER.index)
    return "observe" if lowest == "observe" else cells.get(pair, lowest)


@pytest.mark.parametrize("stages", list(product(ORDER, repeat=2)), ids="-".join)
def test_after_a_promotion_each_cell_is_where_it_was_sent_and_nothing_is_ahead_by_oversight(
    stages: tuple[str, str],
) -> None:
    """Every change of one segment or one cell, for each state of its cell before: entries are left only where they say something."""
    for own, pair in product((None, *ORDER), PAIRS):
        cells = {pair: own} if own else {}
        before = dict(zip("ab", stages, strict=True))
        site = staged(before, cells)
        for after in ORDER:
            sent = Promotion("", by_hand(before, cells, pair), after, (), cell=pair)
            changed, entries = promote._changes(site, [sent])
            then = {p: s for p, s in {**cells, **entries}.items() if s}
            assert changed == {} and (by_hand(before, then, pair) == after or "observe" in stages)
            assert all(stage != min((before[n] for n in p), key=ORDER.index) for p, stage in then.items())
            changed, entries = promote._changes(site, [Promotion("a", before["a"], after, ())])
            then = {p: s for p, s in {**cells, **entries}.items() if s}
            assert changed == {"a": after}
            if ORDER.index(after) < ORDER.index(before["a"]):
                assert not any("a" in p and ORDER.index(stage) > ORDER.index(after) for p, stage in then.items())
            else:
                assert then == cells


def test_where_nothing_is_named_the_cells_that_are_held_are_judged_too() -> None:
    site = staged({"a": "enforce", "b": "enforce"}, {("a", "b"): "monitor", ("b", "b"): "enforce"})
    assert promote._wanted(site, {}) == ({"c": "enforce"}, {("a", "b"): "enforce"})
    assert promote._wanted(site, {"segments": ["c"]}) == ({"c": "enforce"}, {})
    ends = {"source": "b", "destination": "a"}
    assert promote._wanted(site, {"cells": [ends], "stage": "monitor"}) == ({}, {("b", "a"): "monitor"})
    for values, code in (
        ({"cells": [{**ends, "source": "c"}]}, "SW4186"),
        ({"cells": [{**ends, "source": "x"}]}, "SW4186"),
        ({"stage": "monitor"}, "SW"),
    ):
        with pytest.raises(FindingError) as raised:
            promote._wanted(site, values)
        assert raised.value.findings[0].code.startswith(code)
