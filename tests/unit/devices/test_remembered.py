# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remembered answers are those of the query itself, also where values look alike."""

from __future__ import annotations

import random
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.query import (
    Fitting,
    Remembered,
    query_holds,
)

LEAVES: tuple[dict[str, Any], ...] = (
    {"equals": "1"}, {"equals": 1}, {"equals": True}, {"in": ["x", 1]}, {"matches": "x*"}, {"at_least": 1}, {"contains": "1"},
)  # fmt: skip


def query(rng: random.Random, depth: int = 0) -> dict[str, Any]:
    choice = rng.random()
    if depth < 3 and choice < 0.4:
        return {"all" if choice < 0.2 else "any": [query(rng, depth + 1) for _part in range(2)]}
    if depth < 3 and choice < 0.5:
        return {"not": query(rng, depth + 1)}
    return {"fact": rng.choice("abc"), **rng.choice(LEAVES)}


def test_what_is_remembered_is_what_is_true() -> None:
    rng = random.Random(3)
    holds = Remembered()
    queries = [query(rng) for _number in range(100)]
    values = ("1", 1, True, "x", "xy", 2, False)
    for _round in range(4_000):
        facts = {name: [rng.choice(values) for _value in range(rng.randrange(3))] for name in "abc"}
        asked = rng.choice(queries)
        assert holds(asked, facts) == query_holds(asked, facts)


def test_queries_looked_up_together_are_those_that_hold_one_by_one() -> None:
    rng = random.Random(4)
    values = ("1", 1, True, "x", "xy", 2, False)
    for _round in range(40):
        queries: list[dict[str, Any]] = [query(rng) for _number in range(rng.randrange(12))] + [{}]
        fits = Fitting(queries)
        for _device in range(100):
            facts = {name: [rng.choice(values) for _value in range(rng.randrange(3))] for name in "abc"}
            assert fits(facts) == tuple(n for n, each in enumerate(queries) if each and query_holds(each, facts))
