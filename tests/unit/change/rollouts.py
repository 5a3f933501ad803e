# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated rollouts: devices that talk as devices do, telemetry that loses and delays, and regressions of known kind.

Everything is made from raw flows with numpy and summed here; nothing of the product is used but the rows that it judges.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.health import Talk

DAY, HISTORY = 86_400.0, 14
BEGAN = HISTORY * DAY + 10 * 3600.0  # ten in the morning of the last day
HARMLESS = ("nothing", "lossy", "late", "sampled", "reboots", "exporter dies", "stray denies", "flapping server",
            "ended before", "ended before, sampled", "telemetry pauses")  # fmt: skip
PLANTED = ("cut at ingress", "cut at egress", "silent death", "denied", "cut, sampled", "cut, late")
# Cuts of what may come as rarely as once an hour, or in working hours of five days a week, or is known for some days only: told late, and
# never to be taken for ended before.
SLOW = (
    "cut, any rhythm",
    "cut on a Monday",
    "cut, short history",
    "cut, any, sampled",
    "cut, telemetry pauses",
    "cut, off before",
)


@dataclass(frozen=True)
class Rollout:
    """One simulated rollout: rows to judge at a moment after the change, its devices, and how long it was watched, in seconds."""

    talks: list[Talk]
    devices: list[str]
    watched: float


def arrivals(dice: np.random.Generator, kind: str, period: float, until: float) -> np.ndarray:
    """Starts of flows up to a moment: a clock with jitter, random arrivals, or random ones in working hours (of Monday to Friday)."""
    if kind == "clock":
        times = np.arange(dice.uniform(0, period), until, period)
        return np.sort(times + dice.normal(0, period * 0.05, len(times)), kind="stable")
    times = np.cumsum(dice.exponential(period, int(until / period * 1.2) + 50))
    times = times[times < until]
    if kind == "week":
        times = times[times // DAY % 7 < 5]
    return times[(times % DAY > 7 * 3600) & (times % DAY < 19 * 3600)] if kind in ("day", "week") else times


def _days(starts: np.ndarray) -> int:
    """The number of days in sorted moments."""
    return int(np.count_nonzero(np.diff(starts // DAY))) + 1 if len(starts) else 0


def _overlap(gap: tuple[float, float], begin: float, end: float) -> float:
    return max(0.0, min(gap[1], end) - max(gap[0], begin))


def rollout(seed: int, what: str, soak: float = 4 * 3600.0) -> Rollout:
    """Make one rollout of a class; ``soak`` seconds after the change it is judged."""
    dice = np.random.default_rng([seed, *what.encode()])
    now = BEGAN + soak
    count = int(dice.integers(4, 25))
    sampled = "sampled" in what
    delay = float(dice.uniform(300, 1500)) if what in ("late", "cut, late") else 60.0
    loss = 0.03 if what == "lossy" else 0.002
    victim = int(dice.integers(0, count))
    slow = what in SLOW
    monday = ["week"] if what in ("cut on a Monday", "cut, short history") else []
    known = BEGAN - float(dice.uniform(2, 14)) * DAY if what == "cut, short history" else 0.0
    # A device that is off while somebody works on it, and is cut off when it comes back.
    off_since = BEGAN - float(dice.uniform(0.1, 20)) * 3600 if what == "cut, off before" else BEGAN
    gap = (0.0, 0.0)
    if "telemetry pauses" in what:  # everything that one exporter of all devices would have shown then is missing
        begin = BEGAN + float(dice.uniform(-48, 3)) * 3600
        gap = (begin, begin + float(dice.uniform(1, 24)) * 3600)
    talks: list[Talk] = []
    for device in range(count):
        hit = device == victim and (what in PLANTED or slow)
        off = np.zeros((0, 2))
        if what == "reboots":
            starts = dice.uniform(0, now, int(dice.integers(1, 10)))
            off = np.stack([starts, starts + dice.uniform(60, 600, len(starts))], axis=1)
        for number in range(int(dice.integers(1, 5)) if not (hit and slow) else 1):
            # The victim has at least one conversation that comes often enough to be missed within the soak.
            often = hit and number == 0 and not slow
            kind = "clock" if often else str(dice.choice(["clock", "random", "day", *monday]))
            period = float(dice.choice([30, 60, 300, 600])) if often else float(dice.choice([30, 300, 900, 3600]))
            starts = arrivals(dice, kind, period, now)
            for begin, end in off:
                starts = starts[(starts < begin) | (starts > end)]
            if what.startswith("ended before") and device == victim:  # nobody misses it
                starts = starts[starts < BEGAN - float(dice.uniform(0.25, 10)) * DAY]
            if hit and slow:
                starts = starts[(starts >= known) & (starts < off_since)]
            answered = dice.random(len(starts)) >= loss
            denied = int(dice.integers(0, 3)) if what == "stray denies" else 0
            since = starts >= BEGAN
            if what == "flapping server":
                outage = dice.uniform(0, now - 300)
                answered &= ~((starts > outage) & (starts < outage + 120))
            if hit:
                if slow or what in ("cut at ingress", "cut, sampled", "cut, late", "denied", "silent death"):
                    denied = int(since.sum()) if what == "denied" else 0
                    starts, answered = starts[~since], answered[~since]
                elif what == "cut at egress":
                    answered = answered & ~since
            keep = np.ones(len(starts), bool)
            if sampled:
                keep = dice.random(len(starts)) < 0.2  # long flows of a sampling exporter: one in five is seen at all
            until = now - delay
            if what == "exporter dies" and device % 2:
                until = BEGAN + float(dice.uniform(0, soak / 2))
            if gap[0] < until <= gap[1]:
                until = gap[0]
            keep &= (starts <= until) & ((starts < gap[0]) | (starts > gap[1]))
            starts, answered = starts[keep], answered[keep]
            old = starts < BEGAN
            before, after = starts[old], answered[~old]
            pauses = np.diff(before)
            last = float(starts[-1]) if len(starts) else 0.0
            first = float(starts[0]) if len(starts) else BEGAN
            talks.append(
                Talk(
                    f"d{device} to s{number}", f"d{device}", len(before), int(answered[old].sum()),
                    _days(before), float(pauses.max()) if len(pauses) else 0.0,
                    BEGAN - first if known else BEGAN, len(after), int((~after).sum()), int((~after[-5:]).sum()),
                    last, until, denied, gap_before=_overlap(gap, last, BEGAN), gap_since=_overlap(gap, max(last, BEGAN), until),
                )
            )  # fmt: skip
    return Rollout(talks, [f"d{number}" for number in range(count)], soak)


def first_alarm(seed: int, what: str, judge: object, step: float = 300.0, soak: float = 4 * 3600.0) -> float:
    """Seconds after the change at which a judgement every ``step`` seconds first tells a regression; infinite for never."""
    moments = np.arange(step, soak + 1, step)
    low, high = 0, len(moments)
    while low < high:  # what is cut stays cut, so a later judgement tells no less
        middle = (low + high) // 2
        if judge(rollout(seed, what, float(moments[middle]))):  # type: ignore[operator]
            high = middle
        else:
            low = middle + 1
    return float(moments[low]) if low < len(moments) else float("inf")
