# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparing a large matrix looks at each cell once: counted by what is asked of the wanted objects, not by a clock."""

from __future__ import annotations

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base import progress
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import ise_diff
from tests.bench.ise import site


class Counted(tuple[DesiredObject, ...]):
    """Wanted objects that count how often somebody walks through all of them."""

    walks = 0

    def __iter__(self):  # type: ignore[no-untyped-def]
        Counted.walks += 1
        return super().__iter__()


def walks_through(cells: int) -> int:
    real = ise_diff.with_stand_ins
    _seed, objects = site(2, 4, cells)
    live = {f"{item.kind}/{item.name}": {**item.body, "owned": True, "internal": {"id": "x"}} for item in objects}
    Counted.walks = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ise_diff, "with_stand_ins", lambda *given: (Counted(real(*given)[0]), real(*given)[1]))
        assert ise_diff.ise_operations("ise1", objects, Snapshot("ise1", "ise", live, "", {}, "")) == ()
    return Counted.walks


def test_the_work_of_a_comparison_does_not_grow_with_the_square_of_the_cells() -> None:
    assert walks_through(400) == walks_through(100) < 20


def test_a_comparison_that_lasts_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0.0)
    token = progress.SHOW.set(said.append)
    try:
        walks_through(25)
    finally:
        progress.SHOW.reset(token)
    assert len(said) >= 25
    assert "ise1: comparing" in said[0]
