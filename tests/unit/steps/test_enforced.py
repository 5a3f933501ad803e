# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Switches that lag behind a confirmed push, and switches that differ."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.enforced import EnforcedState, Patience, Reader

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
