# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure how well counters of lists tell a regression: simulated rollouts, what is caught and how soon, what is rolled back for nothing.

1,000 rollouts of each class with full, on seeds that no threshold was chosen by (tests/unit/change/counted_rollouts.py).
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


def state(seed: int, what: str, soak: float, *, counted: bool = True, limits: Limits = Limits()) -> str:  # noqa: B008
    """Return how one rollout is judged, with what counters say or without."""
    made = counted_rollout(FIRST_SEED + seed, what, soak)
    return judge(made.with_counts() if counted else made.talks, made.devices, BEGAN, limits).state


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


def run(full: bool) -> dict[str, Any]:
    """Return the measurements."""
    count, timed = (1000, 200) if full else (60, 10)
    began = time.process_time()
    planted: dict[str, Any] = {}
    for what in (*CUT, *UNCOUNTED):
        states = [state(seed, what, 4 * HOUR) for seed in range(count)]
        soon = [state(seed, what, HOUR) for seed in range(count)]
        bare = [state(seed, what, HOUR, counted=False) for seed in range(count)]
        planted[what] = {
            "rollouts": count,
            "caught_in_4_h": states.count(REGRESSED),
            "caught_in_1_h": soon.count(REGRESSED),
            "without_counters_in_1_h": bare.count(REGRESSED),
            "called_healthy": states.count(HEALTHY) + soon.count(HEALTHY),
            "minutes": _minutes([first_alarm(seed, what, counted=True) for seed in range(timed)]),
            "minutes_without_counters": _minutes([first_alarm(seed, what, counted=False) for seed in range(timed)]),
        }
    harmless: dict[str, Any] = {}
    for what in HARMLESS:
        found = {soak: [state(seed, what, soak) for seed in range(count)] for soak in (HOUR / 4, HOUR, 4 * HOUR)}
        harmless[what] = {
            "rollouts": count,
            **{f"taken_back_after_{soak / 60:.0f}_min": states.count(REGRESSED) for soak, states in found.items()},
            "gone_on_after_240_min": found[4 * HOUR].count(HEALTHY),
        }
    sensitivity: dict[str, Any] = {}
    for packets in THRESHOLDS:
        limits, share = Limits(refused=packets), count // 5
        caught = [state(seed, what, HOUR, limits=limits) for what in CUT for seed in range(share)]
        false = [state(seed, what, HOUR, limits=limits) for what in HARMLESS for seed in range(share)]
        sensitivity[str(packets)] = {
            "caught": caught.count(REGRESSED), "of": len(caught), "taken_back": false.count(REGRESSED), "of_harmless": len(false),
        }  # fmt: skip
    worst_caught = min(item["caught_in_4_h"] for item in planted.values()) / count * 100
    worst_false = (
        max(max(n for key, n in item.items() if key.startswith("taken")) for item in harmless.values()) / count * 100
    )
    return {
        "planted": planted,
        "harmless": harmless,
        "packets_of_the_entry": sensitivity,
        "cpu_s": round(time.process_time() - began, 1),
        "targets": [
            at_least("regressions caught in the worst class, %", round(worst_caught, 1), 99.0),
            at_most("harmless rollouts taken back in the worst class, %", round(worst_false, 1), 2.0),
        ],
    }
