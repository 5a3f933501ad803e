# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure how well counters of lists tell a regression: simulated rollouts, what is caught and how soon, what is rolled back for nothing.

1,000 rollouts of each class with full, 60 of them for the time until the first alarm, on seeds that no threshold was chosen by
(tests/unit/change/counted_rollouts.py).
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.health import HEALTHY, REGRESSED, Limits, judge
from tests.bench import at_least, at_most
from tests.unit.change.counted_rollouts import CUT, HARMLESS, UNCOUNTED, counted_rollout
from tests.unit.change.rollouts import BEGAN

FIRST_SEED = 9_000_000
HOUR = 3600.0
STEP = 60.0  # seconds between two judgements, where the first alarm is looked for
THRESHOLDS = (1, 3, 10, 30, 100)


def state(seed: int, what: str, soak: float, *, counted: bool = True) -> str:
    """Return how one rollout is judged, with what counters say or without."""
    made = counted_rollout(FIRST_SEED + seed, what, soak)
    return judge(made.with_counts() if counted else made.talks, made.devices, BEGAN).state


def both_states(seed: int, what: str, soak: float) -> tuple[str, str]:
    """Return how one rollout is judged with counters, and without."""
    made = counted_rollout(FIRST_SEED + seed, what, soak)
    talks = (made.with_counts(), made.talks)
    first, second = (judge(each, made.devices, BEGAN).state for each in talks)
    return first, second


def first_alarm(seed: int, what: str, *, counted: bool, soak: float = 4 * HOUR) -> float:
    """Return the minutes after which a cut is told by a judgement every minute; infinite where it is not within the soak."""
    moments = np.arange(STEP, soak + 1, STEP)
    low, high = 0, len(moments)
    while low < high:  # what is cut stays cut, so a later judgement tells no less
        middle = (low + high) // 2
        if state(seed, what, float(moments[middle]), counted=counted) == REGRESSED:
            high = middle
        else:
            low = middle + 1
    return float(moments[low]) / 60 if low < len(moments) else float("inf")


def _minutes(found: list[float]) -> dict[str, float]:
    found = sorted(found)
    return {
        "median": round(statistics.median(found), 1),
        "of_95_percent": round(found[int(len(found) * 0.95)], 1),
        "never": sum(each == float("inf") for each in found),
    }


def planted_row(what: str, count: int, timed: int) -> dict[str, Any]:
    """Return how many of a class of cuts are caught, and how soon."""
    states = [state(seed, what, 4 * HOUR) for seed in range(count)]
    both = [both_states(seed, what, HOUR) for seed in range(count)]
    soon, bare = [first for first, _second in both], [second for _first, second in both]
    return {
        "rollouts": count,
        "caught_in_4_h": states.count(REGRESSED),
        "caught_in_1_h": soon.count(REGRESSED),
        "without_counters_in_1_h": bare.count(REGRESSED),
        "called_healthy": states.count(HEALTHY) + soon.count(HEALTHY),
        "minutes": _minutes([first_alarm(seed, what, counted=True) for seed in range(timed)]),
        "minutes_without_counters": _minutes([first_alarm(seed, what, counted=False) for seed in range(timed)]),
    }


def harmless_row(what: str, count: int) -> dict[str, Any]:
    """Return how many of a class of harmless rollouts are taken back, soon and late."""
    soon = [state(seed, what, HOUR / 4) for seed in range(count)]
    late = [state(seed, what, 4 * HOUR) for seed in range(count)]
    return {
        "rollouts": count,
        "taken_back_after_15_min": soon.count(REGRESSED),
        "taken_back_after_4_h": late.count(REGRESSED),
        "gone_on_after_4_h": late.count(HEALTHY),
    }


def sensitivity(count: int) -> dict[str, Any]:
    """Return what is caught and taken back within the hour, by the packets that an entry has to count; ``count`` rollouts a class."""
    found = {packets: [0, 0] for packets in THRESHOLDS}
    for place, classes in enumerate((CUT, HARMLESS)):
        for what in classes:
            for seed in range(count):
                made = counted_rollout(FIRST_SEED + 500_000 + seed, what, HOUR)
                talks = made.with_counts()
                for packets in THRESHOLDS:
                    judged = judge(talks, made.devices, BEGAN, Limits(refused=packets)).state
                    found[packets][place] += judged == REGRESSED
    of, harmless = len(CUT) * count, len(HARMLESS) * count
    return {
        str(packets): {"caught": caught, "of": of, "taken_back": false, "of_harmless": harmless}
        for packets, (caught, false) in found.items()
    }


def run(full: bool) -> dict[str, Any]:
    """Return the measurements."""
    count, timed = (1000, 60) if full else (40, 6)
    began = time.process_time()
    planted = {what: planted_row(what, count, timed) for what in (*CUT, *UNCOUNTED)}
    harmless = {what: harmless_row(what, count) for what in HARMLESS}
    worst_caught = min(item["caught_in_4_h"] for item in planted.values()) / count * 100
    false = [item[key] for item in harmless.values() for key in item if key.startswith("taken_back")]
    return {
        "planted": planted,
        "harmless": harmless,
        "packets_of_the_entry": sensitivity(count // 5),
        "cpu_s": round(time.process_time() - began, 1),
        "targets": [
            at_least("regressions caught in the worst class, %", round(worst_caught, 1), 99.0),
            at_most("harmless rollouts taken back in the worst class, %", round(max(false) / count * 100, 1), 2.0),
        ],
    }
