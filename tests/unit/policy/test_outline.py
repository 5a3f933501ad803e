# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules keep their places where some of them do not hold, and what did not change is not made again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import ListCache
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_lists
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.effective import Situation, effective_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Posture, Rule, Segment
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.outline import (
    outline_of,
    places_of,
    rule_at,
    rules_by_end,
    with_some_rules,
)
from tests.unit.proof.large_site import large_site

RULES = tuple(
    Rule(f"r{n}", "a", ("b", "c")[n % 2], ("web",), "x", "manual", location=Location("a.yml", 10 + n)) for n in range(6)
)
SEGMENT = Segment("a", "zone", 100, "owner", "high", allow=RULES)


def test_rules_keep_their_places() -> None:
    assert list(places_of(SEGMENT)) == [0, 1, 2, 3, 4, 5]
    some = with_some_rules(SEGMENT, lambda rule: None if rule.id in ("r1", "r4") else rule)
    assert [rule.id for rule in some.allow] == ["r0", "r2", "r3", "r5"]
    fewer = with_some_rules(some, lambda rule: None if rule.id == "r0" else replace(rule, reason="other"))
    assert list(places_of(fewer)) == [2, 3, 5]
    assert [rule.reason for rule in fewer.allow] == ["other"] * 3
    assert outline_of(fewer).ids == ("r2", "r3", "r5")
    told = {to: [(place, name) for place, name, _s in end.rules()] for to, end in outline_of(fewer).ends.items()}
    assert told == {"b": [(2, "r2")], "c": [(3, "r3"), (5, "r5")]}
    held = {to: [(place, rule.id) for place, rule in found] for to, found in rules_by_end(fewer).items()}
    assert held == told
    assert [rule_at(fewer, place).id for place in (2, 3, 5)] == ["r2", "r3", "r5"]
    for place in (-1, 0, 4, 6):
        with pytest.raises(ValueError, match=f"a has no rule at {place}"):
            rule_at(fewer, place)
    # What leads to an end that lost no rule is told in the same words.
    assert outline_of(some).ends["b"] != outline_of(SEGMENT).ends["b"]
    one = with_some_rules(SEGMENT, lambda rule: None if rule.id == "r0" else rule)
    assert outline_of(one).ends["c"] == outline_of(SEGMENT).ends["c"]


def test_a_segment_that_does_not_change_is_itself() -> None:
    assert with_some_rules(SEGMENT, lambda rule: rule) is SEGMENT
    nothing = with_some_rules(SEGMENT, lambda rule: None)
    assert (nothing.allow, list(places_of(nothing)), outline_of(nothing).ends) == ((), [], {})


def test_a_posture_makes_only_those_lists_again_that_change(tmp_path: Path) -> None:
    """Isolating one segment takes rules from many others, whose other rules stay: their servers' lists are the same ones."""
    site = large_site(60, devices=4, matrix=10)
    site = replace(site, postures={"apart": Posture("apart", "isolate", "o", "x", segment="segment_010")})
    cache = ListCache(tmp_path / "cache.json")
    usual = {(item.point, item.name): item for item in compile_lists(effective_site(site), cache)}
    pulled = effective_site(site, Situation(postures=("apart",)))
    lists = compile_lists(pulled, cache)
    changed = [item for item in lists if item.aces != usual[item.point, item.name].aces]
    again = [item for item in lists if item is not usual[item.point, item.name]]
    assert [item.name for item in again] == [item.name for item in changed]
    assert 3 < len(changed) < len(lists) / 4
    assert [item.aces for item in compile_lists(pulled, None)] == [item.aces for item in lists]
