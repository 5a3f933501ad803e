# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health gate on simulated rollouts: regressions are caught, harmless noise is left alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.health import (
    HEALTHY,
    REGRESSED,
    UNSEEN,
    Limits,
    Talk,
    binomial_tail,
    judge,
    longest_silence,
)
from tests.unit.change.counted_rollouts import CUT, UNCOUNTED, counted_rollout
from tests.unit.change.counted_rollouts import HARMLESS as COUNTED_HARMLESS
from tests.unit.change.rollouts import BEGAN, HARMLESS, PLANTED, rollout

# Seeds below 2,000,000 were looked at while the limits were chosen; these never.
FIRST_SEED = 7_000_000
# A sampling exporter shows one flow in five: what comes every ten minutes is missed after hours, so the ring is watched for a day.
SOAK = {"sampled": 24 * 3600.0, "cut, sampled": 24 * 3600.0}


def states(what: str, count: int, soak: float, limits: Limits = Limits()) -> Counter[str]:  # noqa: B008
    found: Counter[str] = Counter()
    for seed in range(count):
        made = rollout(FIRST_SEED + seed, what, soak)
        found[judge(made.talks, made.devices, BEGAN, limits).state] += 1
    print(f"{what}, watched for {soak / 3600:.0f} h: {dict(found)}")
    return found


@pytest.mark.parametrize("what", PLANTED)
def test_regressions_are_caught(what: str, full: bool) -> None:
    count = 1000 if full else 30
    found = states(what, count, SOAK.get(what, 4 * 3600.0))
    assert found[REGRESSED] >= 0.99 * count


@pytest.mark.parametrize("what", HARMLESS)
def test_harmless_noise_is_left_alone(what: str, full: bool) -> None:
    count = 1000 if full else 30
    found = states(what, count, SOAK.get(what, 4 * 3600.0))
    assert found[REGRESSED] <= 0.02 * count
    assert found[HEALTHY] > 0  # some rollout goes on


def counted_states(what: str, count: int, soak: float, *, counted: bool = True) -> Counter[str]:
    """What counters of lists say as well; ``counted`` false: the same rollouts without them."""
    found: Counter[str] = Counter()
    for seed in range(count):
        made = counted_rollout(FIRST_SEED + seed, what, soak)
        found[judge(made.with_counts() if counted else made.talks, made.devices, BEGAN).state] += 1
    print(f"{what}, {'with' if counted else 'without'} counters, watched for {soak / 3600:.1f} h: {dict(found)}")
    return found


@pytest.mark.parametrize("what", [*CUT, *UNCOUNTED])
def test_what_a_list_cuts_is_caught(what: str, full: bool) -> None:
    count = 1000 if full else 8
    found = counted_states(what, count, SOAK.get(what, 4 * 3600.0))
    assert found[REGRESSED] >= 0.99 * count
    if what in CUT and full:  # within the hour, when what was recorded says less
        assert counted_states(what, count, 3600.0)[REGRESSED] >= 0.99 * count
        counted_states(what, count, 3600.0, counted=False)


@pytest.mark.parametrize("what", COUNTED_HARMLESS)
def test_what_lists_count_besides_is_left_alone(what: str, full: bool) -> None:
    count = 1000 if full else 8
    for soak in (900.0, SOAK.get(what, 4 * 3600.0)) if full else (3600.0,):
        assert counted_states(what, count, soak)[REGRESSED] <= 0.02 * count


@pytest.mark.full
@pytest.mark.parametrize("what", PLANTED)
def test_no_regression_is_called_healthy_after_half_an_hour(what: str) -> None:
    """Too early to be sure: the rollout waits rather than goes on."""
    found = states(what, 1000, 1800.0)
    assert found[HEALTHY] <= 0.01 * 1000


@pytest.mark.full
@pytest.mark.parametrize("alarm", [0.1, 0.01, 0.001, 0.0001])
def test_sensitivity_to_the_chance_of_an_alarm(alarm: float) -> None:
    limits = Limits(alarm=alarm)
    caught = sum(states(what, 200, 3600.0, limits)[REGRESSED] for what in ("cut at ingress", "cut at egress"))
    false = sum(states(what, 200, 3600.0, limits)[REGRESSED] for what in ("nothing", "reboots"))
    print(f"alarm {alarm}: {caught} of 400 caught within the hour, {false} of 400 false")
    assert false <= 8


def test_nothing_is_said_where_nothing_shows() -> None:
    quiet = Talk("a", "a", 3, 3, 1, 50.0, 50_000.0, 0, 0, 0, 10.0, 20_000.0)
    assert judge([], ["a"], 100.0).state == UNSEEN
    assert judge([quiet], ["a"], 100.0).state == UNSEEN
    regular = replace(quiet, seen=1000, answered=1000, days=14)
    # Telemetry that ends before the change shows nothing; that which goes on shows the silence.
    assert judge([replace(regular, watched_until=90.0)], ["a"], 100.0).state == UNSEEN
    assert judge([replace(regular, watched_until=250.0)], ["a"], 100.0).awaited == ("a",)
    assert judge([replace(regular, watched_until=250.0)], ["a"], 100.0).state == UNSEEN
    assert judge([replace(regular, watched_until=250.0, flows=1, last=240.0)], ["a"], 100.0).state == HEALTHY
    found = judge([regular], ["a"], 100.0)
    assert (found.state, [sign.kind for sign in found.signs]) == (REGRESSED, ["silent"])
    assert found.signs[0].text == "silent for 332 minutes, at most 1 before"


def test_each_sign_says_what_was_expected() -> None:
    talk = Talk("p to s", "p", 500, 498, 14, 120.0, 60_000.0, 20, 18, 5, 5000.0, 5010.0)
    assert (
        judge([talk], ["p"], 100.0).signs[0].text
        == "18 of 20 opens got no answer since, 498 of 500 were answered before"
    )
    assert judge([replace(talk, recent_unanswered=0)], ["p"], 100.0).state == HEALTHY  # it works again
    assert judge([replace(talk, unanswered=0, recent_unanswered=0, denied=2)], ["p"], 100.0).state == HEALTHY
    found = judge([replace(talk, unanswered=0, recent_unanswered=0, denied=3)], ["p"], 100.0)
    assert found.signs[0].text == "3 packets refused since, seen on 14 days before"


def test_more_devices_do_not_mean_more_alarms() -> None:
    assert longest_silence(1000, 60.0, 1e-3) < longest_silence(1000, 60.0, 1e-6) < longest_silence(20, 60.0, 1e-6)
    assert longest_silence(1000, 60.0, 1e-3, 300.0) == 300.0


def test_binomial_tail_against_the_sum_of_all_outcomes() -> None:
    from math import comb

    for count in (1, 5, 30):
        for chance in (0.01, 0.3, 0.9):
            for least in range(count + 1):
                exact = sum(comb(count, k) * chance**k * (1 - chance) ** (count - k) for k in range(least, count + 1))
                assert binomial_tail(least, count, chance) == pytest.approx(exact, rel=1e-9)
    assert binomial_tail(1, 10, 0.0) == 0.0 and binomial_tail(3, 10, 1.0) == 1.0
