# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A claim on a Nexus switch as its configuration shows it, and what is removed beside it. Between two real runs: test_nxos_in_step.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import nxos_claim, nxos_way_back
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_config import (
    CLAIM,
    CLAIM_KEEPS,
    UNKNOWN_SECONDS,
    NxosState,
    read_config,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_paper import applied
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ways_back import own_name

OWN, THEIRS = own_name(CLAIM), "SW_claim_c0ffee000abc1234"
BARE: list[str] = ["version 9.3(8)", "feature scheduler"]


def config(*lines: str) -> NxosState:
    return read_config("\n".join((*BARE, *lines)))


def claim(name: str, seconds: int = 240) -> list[str]:
    """The lines of a claim as a running configuration has them."""
    return [
        line if line.startswith(("scheduler", "end-job")) else f"  {line}"
        for line in nxos_claim.claim_lines(name, seconds)
    ]


def session(shown: str = "") -> Any:
    typed: list[str] = []
    return SimpleNamespace(
        configure=typed.extend, typed=typed, show=lambda _text: shown, spec=SimpleNamespace(name="n9k1")
    )


def test_a_claim_is_read_back_and_its_name_fits() -> None:
    assert max(len(own_name(CLAIM)), len(own_name(CLAIM_KEEPS))) <= 31  # names of jobs and schedules
    state = config(*claim(THEIRS))
    (way,) = nxos_way_back.standing(session(), state)
    assert (way.name, way.seconds, way.claim, way.over) == (THEIRS, 300, True, False)
    assert state.own() == config().own()  # nothing that had to be saved
    mine = config(*claim(OWN)).beside(OWN)
    assert mine.claimed and mine.way_back == () and nxos_way_back.standing(session(), config(*claim(OWN))) == []
    for half in (claim(OWN)[:3], claim(OWN)[:-1]):
        assert not config(*half).beside(OWN).claimed


def test_a_claim_whose_time_the_switch_says_is_over_is_in_nobodys_way() -> None:
    state = config(*claim(THEIRS))
    for last, blocks in (("Yet to be executed", True), ("Fri Nov 27 12:00:00 2026", False)):
        shown = f"Schedule Name       : {THEIRS}\nLast Execution Time : {last}\n"
        assert bool(nxos_way_back.in_the_way(session(shown), state, ())) is blocks


def test_a_half_typed_claim_has_no_time_and_a_time_of_day_is_one() -> None:
    (half,) = nxos_way_back.standing(session(), config(*claim(THEIRS)[:3]))
    assert half.seconds == 0
    whole = [*claim(THEIRS)[:-1], "  time start 2026:11:27:12:20"]
    assert nxos_way_back.standing(session(), config(*whole))[0].seconds == UNKNOWN_SECONDS
    # With the switch's clock above it, it needs no job that has run.
    for clock, seconds, over in (("12:18:31", 120, False), ("12:20:40", 1, False), ("12:21:02", 0, True)):
        (way,) = nxos_way_back.standing(session(), config(f"!Time: Fri Nov 27 {clock} 2026", *whole))
        assert (way.seconds, way.over) == (seconds, over)


def test_beside_our_claim_nothing_of_others_goes_nor_the_scheduler() -> None:
    dead = ["scheduler job name SW_way_back", "end-job", "scheduler schedule name SW_way_back"]
    typed = session("Schedule Name       : SW_way_back\nLast Execution Time : Fri Nov 27 12:00:00 2026\n")
    state = config(*claim(OWN), *claim(THEIRS), *dead).beside(OWN)
    assert nxos_way_back.in_the_way(typed, state, ()) == []  # theirs came after ours, and steps back
    nxos_way_back.disarm(typed, state)
    assert typed.typed == ["no scheduler schedule name SW_way_back", "no scheduler job name SW_way_back"]
    with pytest.raises(FindingError):  # without ours it is theirs that counts
        nxos_way_back.disarm(session(), config(*claim(THEIRS)))


def test_the_scheduler_stays_on_where_somebody_else_uses_it() -> None:
    assert config(*claim(OWN)).opened
    assert not config(*claim(OWN), "scheduler job name THEIRS", "  show clock", "end-job").opened
    assert not config(*claim(own_name(CLAIM_KEEPS))).opened


def test_on_paper_the_claim_goes_with_the_scheduler() -> None:
    made = applied(read_config("version 9.3(8)\n"), ["feature scheduler", *nxos_claim.claim_lines(OWN, 240)])
    assert made.beside(OWN).claimed and made.opened
    assert applied(made, ["no feature scheduler"]).beside(OWN).held == ()
