# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Switches that lag behind a confirmed push, and switches that differ."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.carriers import (
    Carrier,
    SwitchView,
    Wanted,
    carrier_findings,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.held_cells import ApprovedCell, held_cells
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.enforced import (
    EnforcedState,
    Patience,
    Reader,
    patience_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_enforced import Enforced, SwitchCell

NOTHING: Any = None


@dataclass
class Lagging(Reader):
    """Shows a differing cell for the first ``late`` looks."""

    late: int = 0
    looks: int = 0

    def read(self, macs: Collection[str] | None = None, switches: Collection[str] | None = None) -> EnforcedState:
        self.looks += 1
        other = codes.CELL_ABSENT.at("cell c is held nowhere")
        differs = (codes.CELL_DIFFERS.at("acc1: cell a-b: would pass no longer"),) if self.looks <= self.late else ()
        return EnforcedState(findings=(other, *differs), now=float(self.looks))


@pytest.mark.parametrize(
    ("late", "times", "looks", "found"),
    [
        (0, 3, 1, ["SW4107"]),
        (2, 3, 3, ["SW4107", "SW4228"]),
        (9, 3, 4, ["SW4107", "SW4106", "SW4228"]),
        (9, 0, 1, ["SW4107", "SW4106"]),
    ],
)
def test_a_difference_is_looked_at_again_and_never_hidden(late: int, times: int, looks: int, found: list[str]) -> None:
    slept: list[float] = []
    reader = Lagging(NOTHING, NOTHING, {}, (), sleep=slept.append, patience=Patience(times, 0.5), late=late)
    state = reader.read_patiently()
    assert [finding.code for finding in state.findings] == found
    assert (reader.looks, slept, state.now) == (looks, [0.5] * (looks - 1), float(looks))
    said = [finding for finding in state.findings if finding.code == "SW4228"]
    if said:
        assert said[0].severity == "info" and "acc1: cell a-b: would pass no longer" in said[0].message
        assert ("all agree now" in said[0].message) is (late < times)


APPROVED_CELL = ApprovedCell("ise1", "a-b", (1, 2), "permit tcp dst eq 443\ndeny ip", False)
DACL = Wanted("ise1", "SW_pumps", 4, "permit ip any any", "pumps")
REFUSED = codes.SWITCH_UNREAD.at("acc1: show cts role-based permissions: refused")


def look(cell: str | None, session: tuple[str, str] = ("approved", "switch"), unread: str = "") -> EnforcedState:
    """What is seen: the text of acc1's cell (None: no cell), what one session carries; ``unread``: "switch" or "cells" that were not."""
    held = () if cell is None else (SwitchCell(1, 2, cell, False, False),)
    notes = (REFUSED,) if unread == "cells" else ()
    seen = () if unread == "switch" else (Enforced(SwitchView("acc1", {}), held, findings=notes),)
    rows, findings = held_cells({(1, 2): APPROVED_CELL}, {item.view.switch: item.cells for item in seen})
    switch = "acc1" if session[1] == "switch" else ""
    carriers = (Carrier(DACL, "02:00:00:00:00:01", session[0], switch=switch, shown_by=session[1]),)
    lost = [codes.SWITCH_UNREAD.at("acc1: no connection")] if unread == "switch" else list(notes)
    return EnforcedState(carriers, tuple(rows), seen, (*lost, *findings, *carrier_findings(carriers, 0.0)))


@dataclass
class Looks(Reader):
    """Shows one state after the other, the last one for ever."""

    looks: list[EnforcedState] = field(default_factory=list)

    def read(self, macs: Collection[str] | None = None, switches: Collection[str] | None = None) -> EnforcedState:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]


WRONG, RIGHT = look("deny ip"), look(APPROVED_CELL.text)
OTHER_LIST = look(APPROVED_CELL.text, ("differs", "switch"))


@pytest.mark.parametrize(
    ("looks", "left"),
    [
        ([WRONG, RIGHT], []),
        ([WRONG, look(None)], []),  # the switch holds the cell no longer
        ([WRONG, look(None, unread="switch")], ["SW4106"]),
        ([WRONG, look(None, unread="cells")], ["SW4106"]),
        ([WRONG, look(None, unread="switch"), RIGHT], []),
        ([WRONG, look(None, unread="switch"), WRONG, look(None, unread="cells")], ["SW4106"]),
        ([OTHER_LIST, RIGHT], []),
        ([OTHER_LIST, look(None, ("current", "ise"), "switch")], ["SW4094"]),
        ([OTHER_LIST, look(None, ("absent", ""), "switch")], ["SW4094"]),
        ([OTHER_LIST, look(APPROVED_CELL.text, ("unread", "switch"))], ["SW4094"]),
        ([OTHER_LIST, look(APPROVED_CELL.text, ("absent", ""))], []),
    ],
)
def test_a_difference_that_is_not_looked_at_again_stays(looks: list[EnforcedState], left: list[str]) -> None:
    """A switch that answers no more is a warning: what it showed before it fell silent must not become one."""
    reader = Looks(NOTHING, NOTHING, {}, (), sleep=lambda _seconds: None, patience=Patience(3, 0.0), looks=[*looks])
    state = reader.read_patiently()
    assert [f.code for f in state.findings if f.severity == "error"] == left
    assert [row["equal"] for row in state.cells].count(False) == left.count("SW4106")
    assert [item.state for item in state.carriers].count("differs") == left.count("SW4094")
    said = next(f.message for f in state.findings if f.code == "SW4228")
    assert ("all agree now" in said) is (not left)
    assert ("1 still differ" in said) is bool(left)


@pytest.mark.parametrize(
    "values", [{"reread": -1}, {"reread": 21}, {"reread_pause": -0.5}, {"reread_pause": float("nan")}]
)
def test_patience_outside_its_range_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(FindingError, match="SW4601") as refused:
        patience_of(values)
    assert next(iter(values)) in str(refused.value)


def test_patience_at_the_ends_of_its_range() -> None:
    assert patience_of({"reread": 0, "reread_pause": 60}) == Patience(0, 60.0)
    assert patience_of({}) == Patience()
