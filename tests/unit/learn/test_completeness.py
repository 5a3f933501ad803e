# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Estimators against sums by hand and against draws whose truth is known; verdicts against what a site may not yet know."""

from __future__ import annotations

from datetime import date, timedelta
from math import comb

import numpy as np
import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.learn import completeness as room
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.completeness import Incidence, completeness
from tests.truth.calibration import calibration
from tests.truth.sites import EVALUATION, TUNING

FIRST = date(2026, 6, 8)
# Neither tuned on nor reported from.
OTHER_SEEDS = (31, 32)


def days_of(count: int) -> list[date]:
    return [FIRST + timedelta(days=number) for number in range(count)]


def drawn(rates: np.ndarray, days: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (species, day) of independent draws."""
    return np.nonzero(np.random.default_rng(seed).random((len(rates), days)) < rates[:, None])


def incidence(species: np.ndarray, day: np.ndarray, **more: object) -> Incidence:
    values: dict[str, object] = {"permission": species % 5, "client": species % 7, "known_devices": 7} | more
    return Incidence("pumps", day, species, **values)  # type: ignore[arg-type]


def test_chao2_and_coverage_by_hand() -> None:
    # Ten species on 1, 1, 1, 2, 2, 5, 5, 5, 5, 5 of 10 days.
    of_days = np.array([1, 1, 1, 2, 2, 5, 5, 5, 5, 5])
    assert room.frequency_counts(of_days, 3).tolist() == [3, 2, 0]
    assert room.chao2(of_days, 10) == pytest.approx(10 + 0.9 * 3 * 2 / (2 * 3))
    assert room.coverage_deficit(of_days, 10) == pytest.approx(3 / 32 * 27 / (27 + 4))
    assert room.coverage_deficit(np.array([4, 4]), 10) == 0
    # Without singletons nothing new is extrapolated.
    assert room.extrapolated(np.array([4, 4, 2]), 10, 30) == 0


def test_ice_by_hand() -> None:
    of_days = np.array([1, 1, 2, 3, 12, 14])
    # Infrequent: 1, 1, 2, 3 -> coverage 1 - 2/7; spread (4/(5/7)) * (20/19) * (2 + 6)/49 - 1 < 0.
    assert room.ice(of_days, 20) == pytest.approx(2 + 4 / (5 / 7))
    assert room.ice(np.array([15, 15]), 20) == 2


def test_the_deficit_is_the_share_of_new_incidences_on_average() -> None:
    rates = np.concatenate([np.full(40, 0.9), np.full(60, 0.03), np.full(100, 0.008)])
    said, truth = [], []
    for seed in range(200):
        species, day = drawn(rates, 60, seed)
        past = day < 30
        known, of_days = np.unique(species[past], return_counts=True)
        said.append(room.coverage_deficit(of_days, 30))
        truth.append(float((~np.isin(species[~past], known)).mean()))
    assert np.mean(said) == pytest.approx(np.mean(truth), rel=0.1)


def test_extrapolation_is_a_lower_bound_near_the_truth() -> None:
    rates = np.concatenate([np.full(40, 0.9), np.full(100, 0.03)])
    expected = float(((1 - rates) ** 30 * (1 - (1 - rates) ** 30)).sum())
    said = [
        room.extrapolated(np.unique(drawn(rates, 30, seed)[0], return_counts=True)[1], 30, 30) for seed in range(100)
    ]
    assert 0.85 * expected < np.mean(said) < 1.1 * expected


def test_prediction_of_counts_against_the_exact_distribution() -> None:
    # Of whole shapes the negative binomial has binomial coefficients.
    for shape, mean in ((1, 0.5), (3, 2.0), (8, 20.0)):
        stays = shape / (shape + mean)
        chances = [comb(count + shape - 1, count) * stays**shape * (1 - stays) ** count for count in range(400)]
        for share in (0.025, 0.5, 0.975):
            exact = next(count for count in range(400) if sum(chances[: count + 1]) >= share)
            assert room.counts_bound(shape, mean, share) == exact
    assert room.counts_bound(0, 1, 0.9) == room.counts_bound(1, 0, 0.9) == 0


def test_the_order_of_rows_and_the_numbers_of_species_do_not_matter() -> None:
    species, day = drawn(np.full(60, 0.2), 30, 1)
    order = np.random.default_rng(2).permutation(len(day))
    first = completeness([incidence(species, day)], days_of(30))["pumps"]
    other = incidence(species[order] * 35 + 1, day[order], permission=species[order] % 5, client=species[order] % 7)
    assert completeness([other], days_of(30))["pumps"] == first


@pytest.mark.one_python
def test_calibrated_on_sites_that_nothing_was_tuned_on() -> None:
    assert not {*OTHER_SEEDS} & {*TUNING, *EVALUATION}
    made = calibration(OTHER_SEEDS, cut_offs=(14, 30))
    assert made["all"]["cases"] > 100
    assert made["all"]["seen_inside"] >= 0.9
    assert made["day 30"]["seen_half_width"] <= 0.05
    assert made["all"]["uses_inside"] >= 0.9 and made["day 30"]["uses_half_width"] <= 0.05
    assert made["all"]["uses_error"] < made["all"]["uses_error_naive"]
    assert made["all"]["released_below_threshold"] == 0 < made["all"]["released"]
    assert made["all"]["seen_error"] < made["all"]["seen_error_naive"]
    assert made["all"]["released_lacking_life_safety"] == 0


def steady_rows(days: int) -> tuple[np.ndarray, np.ndarray]:
    species, day = np.meshgrid(np.arange(80), np.arange(days), indexing="ij")
    return species.ravel(), day.ravel()


def steady(days: int = 35, **more: object) -> room.Completeness:
    species, day = steady_rows(days)
    values: dict[str, object] = {"client": species, "known_devices": 80} | more
    return completeness([incidence(species, day, **values)], days_of(days))["pumps"]


def test_a_steady_segment_may_be_enforced_and_is_never_called_certain() -> None:
    made = steady()
    assert made.enough and not made.wait_for
    assert made.seen is not None and made.seen.value > 0.99 and 0.95 < made.seen.low < made.seen.high == 1


def test_what_turns_up_anywhere_is_new_to_who_polls_everything() -> None:
    """One poller, 100 devices of which ten came one by one: so will others, though nothing of it was seen on one day alone."""
    species, day = steady_rows(45)
    devices, at = np.meshgrid(np.arange(100), np.arange(45), indexing="ij")
    begins = np.where(devices < 90, 0, 5 + 3 * (devices - 90))
    kept = at >= begins
    polled, on = devices[kept], at[kept]
    values = {"permission": polled * 0, "client": polled * 0, "known_devices": 1}

    def of_poller(server: np.ndarray | None) -> room.Completeness:
        beside = Incidence("many", day, species, species % 5, species, 80)
        return completeness([incidence(polled, on, **values, server=server), beside], days_of(45))["pumps"]

    blind, told = of_poller(None), of_poller(polled)
    assert blind.seen is not None and told.seen is not None
    # About eight more in the next thirty days, each for half of them.
    come = 8 * 0.5 / 104
    assert blind.seen.value > 0.995 and told.seen.low < 1 - come and abs(told.seen.value - (1 - come)) < 0.015
    # Addresses of networks are no devices, and who opens as few as it has is no poller.
    assert of_poller(polled * 0 - 1) == blind
    own = completeness([incidence(species, day, client=species, server=species)], days_of(45))["pumps"]
    assert own == completeness([incidence(species, day, client=species)], days_of(45))["pumps"]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"days": 20, "criticality": "high"}, "10 more days of recordings (of 30)"),
        ({"days": 25, "criticality": "process_critical"}, "5 more days of recordings (of 30)"),
        ({"days": 6}, "a week of the segment's traffic"),
        ({"days": 10, "criticality": "low"}, "a second Thursday"),
        ({"days": 21}, "the end of a month"),
        ({"known_devices": 100}, "20 of 100 devices, which have said nothing"),
    ],
)
def test_what_to_wait_for(values: dict[str, object], reason: str) -> None:
    made = steady(**values)  # type: ignore[arg-type]
    assert not made.enough
    assert reason in made.wait_for


@pytest.mark.parametrize(("first", "more"), [(0, 20), (25, 20), (2, 20)])
def test_days_on_which_nobody_watched_the_segment_do_not_count(first: int, more: int) -> None:
    """An exporter that was down, or devices that came late: the site's days are not the segment's."""
    species, day = steady_rows(10)
    rows = incidence(species, day + first, client=species, known_devices=80, criticality="life_support")
    made = completeness([rows], days_of(35))["pumps"]
    assert not made.enough
    wanted = 30 - room.watched_days(rows.day, 35)
    assert any(text.startswith(f"{wanted} more days with traffic of the segment (of 30)") for text in made.wait_for)
    assert wanted == more - (2 if first == 2 else 0)


def test_weekends_are_no_gap() -> None:
    assert room.watched_days(np.array([0, 1, 4, 5, 6, 7, 8, 13, 14]), 15) == 15
    assert room.watched_days(np.array([0, 1, 4, 5, 6, 7, 8, 14]), 15) == 10


def test_a_permission_that_was_hardly_seen_holds_a_segment_that_keeps_people_alive() -> None:
    species, day = (np.append(each, last) for each, last in zip(steady_rows(35), (99, 20), strict=True))
    client, permission = np.where(species == 99, 1, species), np.where(species == 99, 99, species % 5)
    for criticality, held in (("life_support", True), ("process_critical", True), ("low", False)):
        rows = incidence(species, day, permission=permission, client=client, criticality=criticality)
        made = completeness([rows], days_of(35))["pumps"]
        assert made.seldom_permissions == 1
        assert made.enough is not held


def test_new_uses_that_go_on_coming_hold_a_segment_and_new_servers_of_known_uses_do_not() -> None:
    species, day = drawn(np.concatenate([np.full(10, 0.95), np.full(400, 0.01)]), 35, 4)
    # Each conversation is a use of its own.
    made = completeness([incidence(species, day, permission=species)], days_of(35))["pumps"]
    assert not made.enough and "fewer new uses" in made.wait_for[0]
    assert made.uses is not None and made.uses.low < 0.8 and made.uses == completeness_of_conversations(species, day)
    # The same conversations, with many servers for five uses that each of seven devices has on many days: a rule permits them all.
    made = completeness([incidence(species, day)], days_of(35))["pumps"]
    assert made.enough and made.seen is not None and made.seen.low < 0.8
    assert made.uses is not None and made.uses.low >= 0.95 and made.as_dict()["uses"] == made.uses.as_dict()


def completeness_of_conversations(species: np.ndarray, day: np.ndarray) -> room.Interval:
    """Return the estimate of conversations, without what devices add that turn up later."""
    known, first, of_days = np.unique(species, return_index=True, return_counts=True)
    assert len(known) > 100
    return room._seen(incidence(species, day, permission=species), of_days, first, 35, room.HORIZON, ())


def test_numbers_far_apart_are_told_apart_as_those_close_together_are(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(5)
    for spread in (1, 1 << 40):
        numbers = random.integers(-40, 60, 500) * spread
        for most in (room.MOST_PLACES, 0):
            monkeypatch.setattr(room, "MOST_PLACES", most)
            found, first, counts = np.unique(numbers, return_index=True, return_counts=True)
            assert room._distinct(numbers).tolist() == found.tolist()
            assert [each.tolist() for each in room._with_first(numbers)] == [
                each.tolist() for each in (found, first, counts)
            ]
        day = random.integers(0, 30, 500)
        names, begins, days = room._days_and_first(numbers, day)
        seen = {number: set(day[numbers == number].tolist()) for number in names.tolist()}
        assert names.tolist() == found.tolist() and days.tolist() == [len(seen[each]) for each in names.tolist()]
        assert begins.tolist() == [min(seen[each]) for each in names.tolist()]


def test_uses_are_counted_once_a_day_whomever_they_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    # Client 1 opens permission 7 at two servers on day 0 and at one on day 2; client 2 opens permission 9 on day 2.
    each = incidence(
        np.array([10, 11, 10, 12]),
        np.array([0, 0, 2, 2]),
        permission=np.array([7, 7, 7, 9]),
        client=np.array([1, 1, 1, 2]),
    )
    own = room.uses_of(each)
    rows = zip(own.client, own.permission, own.day, strict=True)
    assert sorted((int(a), int(b), int(c)) for a, b, c in rows) == [(1, 7, 0), (1, 7, 2), (2, 9, 2)]
    assert len(set(own.conversation.tolist())) == 2
    # Where there are too many to mark them one by one, or one row of each conversation is known, it is the same.
    monkeypatch.setattr(room, "MOST_PLACES", 0)
    for other in (room.uses_of(each), room.uses_of(each, np.array([0, 1, 3]))):
        assert all((getattr(own, name) == getattr(other, name)).all() for name in ("day", "permission", "client"))
    nothing = np.array([], dtype=np.int64)
    assert len(room.uses_of(incidence(nothing, nothing)).day) == 0


@pytest.mark.parametrize(("permissions", "enough"), [(1, False), (2, True), (3, True)])
def test_thirty_days_of_nothing_new_say_as_much_as_the_rule_of_three(permissions: int, enough: bool) -> None:
    """At most three events of a day's size in as many days again: 3/30 of one rule's traffic, 3/60 of that of two."""
    use, day = (each.ravel() for each in np.meshgrid(np.arange(permissions * 7), np.arange(30), indexing="ij"))
    made = completeness([incidence(use, day, permission=use % permissions, client=use // permissions)], days_of(30))
    uses = made["pumps"].uses
    assert uses is not None and round(uses.low, 4) == round(1 - 3 / 30 / permissions, 4)
    assert made["pumps"].enough is enough


def test_a_segment_without_traffic_has_no_estimate() -> None:
    nothing = np.array([], dtype=np.int64)
    made = completeness([incidence(nothing, nothing)], days_of(35))["pumps"]
    assert made.seen is None and not made.enough
    assert "any traffic of the segment" in made.wait_for
    assert made.as_dict()["seen"] is None
