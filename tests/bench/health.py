# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure how well a regression is told: simulated rollouts, what is caught and how soon, what is rolled back or held for nothing.

By what was recorded alone (tests/unit/change/rollouts.py), and with counters of lists (counted_rollouts.py). 1,000 rollouts of each class
with full, 60 of them for the time until the first alarm, on seeds that no threshold was chosen by.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.health import (
    HEALTHY,
    REGRESSED,
    Health,
    Limits,
    judge,
    well_known,
)
from tests.bench import at_least, at_most
from tests.unit.change.counted_rollouts import CUT, HARMLESS, UNCOUNTED, counted_rollout
from tests.unit.change.rollouts import BEGAN, DAY, PLANTED, SLOW, rollout
from tests.unit.change.rollouts import HARMLESS as RECORDED_HARMLESS

FIRST_SEED = 9_000_000
HOUR = 3600.0
STEP = 60.0  # seconds between two judgements, where the first alarm is looked for
THRESHOLDS = (1, 3, 10, 30, 100)
# Alternatives to what a conversation that had ended before is told by: chance, and seconds that it was quiet at least.
ENDED_BY = {
    "as it is": Limits(),
    "chance 0.1": Limits(retired=0.1),
    "chance 0.00001": Limits(retired=0.00001),
    "an hour at least": Limits(gone=HOUR),
    "6 hours at least": Limits(gone=6 * HOUR),
    "3 days at least": Limits(gone=3 * DAY),
}
SAMPLED_SOAK = 24 * HOUR


def soak_of(what: str) -> float:
    """Return for how many seconds a class is watched: a sampling exporter shows one flow in five, so for a day."""
    return SAMPLED_SOAK if "sampled" in what else 4 * HOUR


def recorded(seed: int, what: str, soak: float, limits: Limits = Limits()) -> Health:  # noqa: B008
    """Return the judgement of one rollout by what was recorded."""
    made = rollout(FIRST_SEED + seed, what, soak)
    return judge(made.talks, made.devices, BEGAN, limits)


def recorded_planted_row(what: str, count: int, timed: int) -> dict[str, Any]:
    """Return how many regressions of a class are caught by what was recorded, and how soon."""
    soak = soak_of(what)
    late = [recorded(seed, what, soak).state for seed in range(count)]
    soon = [recorded(seed, what, HOUR / 2).state for seed in range(count)]

    def tells(moment: float, seed: int) -> bool:
        return recorded(seed, what, moment).state == REGRESSED

    return {
        "rollouts": count,
        "watched_h": soak / HOUR,
        "caught": late.count(REGRESSED),
        "called_healthy": late.count(HEALTHY),
        "caught_in_30_min": soon.count(REGRESSED),
        "called_healthy_in_30_min": soon.count(HEALTHY),
        "minutes": _minutes([_first(tells, seed, soak) for seed in range(timed)]),
    }


def recorded_harmless_row(what: str, count: int) -> dict[str, Any]:
    """Return how many harmless rollouts of a class are taken back, go on, and wait."""
    judged = [recorded(seed, what, soak_of(what)) for seed in range(count)]
    states = [each.state for each in judged]
    return {
        "rollouts": count,
        "watched_h": soak_of(what) / HOUR,
        "taken_back": states.count(REGRESSED),
        "gone_on": states.count(HEALTHY),
        "waiting": count - states.count(REGRESSED) - states.count(HEALTHY),
        "with_retired": sum(bool(each.retired) for each in judged),
    }


def slow_row(what: str, count: int) -> dict[str, Any]:
    """Return what becomes of cuts of what comes rarely or was quiet when the change came, watched for 4 hours, a day, 4 days."""
    found: dict[str, Any] = {"rollouts": count}
    for name, soak in (("4 h", 4 * HOUR), ("1 d", DAY), ("4 d", 4 * DAY)):
        caught = retired = missed = 0
        for seed in range(count):
            made = rollout(FIRST_SEED + seed, what, soak)
            judged = judge(made.talks, made.devices, BEGAN)
            caught += judged.state == REGRESSED
            retired += bool(judged.retired)
            missed += judged.state == HEALTHY and any(well_known(each) and not each.flows for each in made.talks)
        found[name] = {"caught": caught, "taken_for_ended_before": retired, "called_healthy_though_known": missed}
    return found


def ended_sensitivity(count: int) -> dict[str, Any]:
    """Return how many rollouts with something that had ended before go on, and how many cuts are taken for such, by the thresholds."""
    found: dict[str, Any] = {}
    first = 600_000
    for name, limits in ENDED_BY.items():
        ended = [recorded(first + seed, "ended before", 4 * HOUR, limits).state for seed in range(count)]
        wrong = sum(
            bool(recorded(first + seed, what, 4 * HOUR, limits).retired) for what in SLOW for seed in range(count)
        )
        found[name] = {
            "gone_on": ended.count(HEALTHY),
            "of": count,
            "cuts_taken_for_ended": wrong,
            "of_cuts": count * len(SLOW),
        }
    return found


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
    return _first(lambda moment, n: state(n, what, moment, counted=counted) == REGRESSED, seed, soak)


def _first(tells: Callable[[float, int], bool], seed: int, soak: float) -> float:
    moments = np.arange(STEP, soak + 1, STEP)
    low, high = 0, len(moments)
    while low < high:  # what is cut stays cut, so a later judgement tells no less
        middle = (low + high) // 2
        if tells(float(moments[middle]), seed):
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
    by_record = {what: recorded_planted_row(what, count, timed) for what in PLANTED}
    left_alone = {what: recorded_harmless_row(what, count) for what in RECORDED_HARMLESS}
    slow = {what: slow_row(what, count // 2) for what in SLOW}
    planted = {what: planted_row(what, count, timed) for what in (*CUT, *UNCOUNTED)}
    harmless = {what: harmless_row(what, count) for what in HARMLESS}
    caught = [item["caught"] for item in by_record.values()] + [item["caught_in_4_h"] for item in planted.values()]
    false = [item[key] for item in harmless.values() for key in item if key.startswith("taken_back")]
    false += [item["taken_back"] for item in left_alone.values()]
    wrong = [
        each["taken_for_ended_before"] for item in slow.values() for each in item.values() if isinstance(each, dict)
    ]
    return {
        "planted_recorded": by_record,
        "harmless_recorded": left_alone,
        "slow": slow,
        "planted": planted,
        "harmless": harmless,
        "packets_of_the_entry": sensitivity(count // 5),
        "ended_before_by": ended_sensitivity(count // 5),
        "cpu_s": round(time.process_time() - began, 1),
        "targets": [
            at_least("regressions caught in the worst class, %", round(min(caught) / count * 100, 1), 99.0),
            at_most("harmless rollouts taken back in the worst class, %", round(max(false) / count * 100, 1), 2.0),
            at_most(
                "cuts taken for ended before in the worst class, %", round(max(wrong) / (count // 2) * 100, 1), 1.0
            ),
        ],
    }
