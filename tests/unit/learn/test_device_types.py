# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real set-ups of device types: what others of the type covers is counted rightly, and as much as was found."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.corpora.device_types import (
    LOCAL,
    OUTSIDE,
    PROFILES,
    Seen,
    against_profile,
    captures,
    declared,
    leave_one_out,
    opened,
)

KINDS = ("TP-LinkPlugHS100", "WeMoSwitch2", "EdimaxCam1")


def outside(address: str, name: str, port: int) -> Seen:
    return Seen(OUTSIDE, address, name, 6, port)


def test_misses_have_their_class() -> None:
    first = {
        outside("192.0.2.1", "cloud.example", 443),
        outside("192.0.2.9", "", 8883),
        Seen(LOCAL, "10.0.0.2", "", 6, 80),
    }
    second = {
        outside("192.0.2.2", "cloud.example", 443),
        outside("192.0.2.8", "", 8883),
        Seen(LOCAL, "10.0.0.3", "", 6, 80),
    }
    second |= {outside("192.0.2.5", "update.example", 443), Seen(LOCAL, "10.0.0.4", "", 6, 99)}
    made = leave_one_out("plug", [first, second])
    # Of the first: another address of the name, of no name, and of a telephone; of the second beside them a name and a port of its own.
    assert made.missed == Counter({"cloud address": 4, "user": 3, "set-up only": 1})
    assert (made.conversations, made.by_address, made.by_name) == (8, 0, 4)
    alike = leave_one_out("plug", [first, first])
    assert alike.by_address == alike.by_name == alike.conversations == 6 and not alike.missed


@pytest.mark.corpora
def test_real_types_are_covered_by_name_at_least_as_much_as_by_address(corpora: Path, full: bool) -> None:
    found = captures(corpora)
    results = {
        kind: leave_one_out(kind, [opened(path) for path in found[kind]])
        for kind in (found if full else KINDS)
        if len(found[kind]) > 1
    }
    for each in results.values():
        assert 0 <= each.by_address <= each.by_name <= each.conversations > 0
        assert each.missed is not None and sum(each.missed.values()) == each.conversations - each.by_address
    # As found: the switch does the same in each set-up; the plug's cloud moves.
    assert results["WeMoSwitch2"].by_address == results["WeMoSwitch2"].conversations
    assert results["TP-LinkPlugHS100"].by_name > results["TP-LinkPlugHS100"].by_address


@pytest.mark.corpora
def test_what_a_plug_does_is_declared_by_its_profile(corpora: Path) -> None:
    name, same = PROFILES["TP-LinkPlugHS110"]
    profile = declared(corpora / "policy-corpora" / "mud-unsw-via-nist" / name)
    assert same and ("devs.tplinkcloud.com", 6, 50443) in profile
    seen = set().union(*(opened(path) for path in captures(corpora)["TP-LinkPlugHS110"]))
    count, with_end, by_service = against_profile(seen, profile)
    assert count == with_end == by_service == 5
