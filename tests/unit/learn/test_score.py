# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scores and hard stops at their limits, computed by hand from facts/flows.md section 7."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.bands import evidence_bands
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import CandidateKey, Evidence
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.score import (
    WEIGHTS,
    Context,
    bounded,
    few_of,
    hard_stop,
    most_of,
    score,
)

FIRST = date(2026, 11, 2)
DICOM = CandidateKey("pumps", "servers", 6, 104)


def evidence(days: int, key: CandidateKey = DICOM, clients: int = 1, **more: Any) -> Evidence:
    values: dict[str, Any] = {
        "client_devices": clients, "pairs": clients, "flows": days * clients, "answered": days * clients, "best_method": 1,
        "confidence": 1.0, "first_us": 1, "last_us": 2,
    }  # fmt: skip
    return Evidence(key, tuple(FIRST + timedelta(days=day) for day in range(days)), **{**values, **more})


GOOD = Context(segment_devices=2, covered_days=14, known_service=True, conduit=True)


def test_full_evidence_scores_by_the_published_weights() -> None:
    made = score(evidence(14, clients=2), GOOD)
    assert dict(made.points) == {
        "days": 25, "weeks": 10, "devices": 20, "answered": 10, "direction": 10, "known service": 10, "regular": 5, "support": 0,
    }  # fmt: skip
    assert made.total == 90 and not made.stop
    assert score(evidence(14, clients=2), replace(GOOD, support="peers: 3 devices")).total == 100


def test_the_page_has_the_weights(root: Path) -> None:
    text = (root / "docs" / "propose.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| ([a-z ]+) \| ([0-9]+) \|", text, re.MULTILINE))
    assert {name: int(value) for name, value in told.items() if name in WEIGHTS} == WEIGHTS
    assert sum(WEIGHTS.values()) == 100


def test_one_device_of_many_is_capped_at_sixty() -> None:
    assert score(evidence(14), Context(20, 14, True, True)).total == 60


def test_a_way_into_a_device_from_one_alone_is_capped_in_small_segments_too() -> None:
    smb = evidence(14, CandidateKey("pumps", "servers", 6, 445))
    assert score(smb, GOOD).total == 60
    assert score(evidence(14), GOOD).total > 60
    assert score(smb, replace(GOOD, segment_devices=1)).total > 60


def test_the_ceiling_of_the_telemetry_bounds_the_direction() -> None:
    assert dict(score(evidence(14, clients=2), replace(GOOD, ceiling=0.7)).points)["direction"] == 7


@pytest.mark.parametrize(
    ("seen", "context", "kind", "reason"),
    [
        (evidence(3, best_method=9), GOOD, "direction", "guess"),
        (evidence(5, answered=0), GOOD, "unanswered", "answered"),
        (evidence(5), Context(2, 14, True, False), "conduit", "conduit"),
        (evidence(2), GOOD, "few-days", "2 of at least 3 days"),
        (
            evidence(5, server_devices=1),
            replace(GOOD, server_segment_devices=10, served_elsewhere=9),
            "rogue-server",
            "1 of 10",
        ),
        (evidence(5), replace(GOOD, segment_devices=40, like="cameras"), "misplaced", "most of cameras"),
    ],
)
def test_hard_stops_name_their_reason(seen: Evidence, context: Context, kind: str, reason: str) -> None:
    stop = hard_stop(seen, context)
    assert stop is not None and stop.kind == kind and reason in stop.text


def test_no_answer_is_no_stop_where_telemetry_cannot_see_one() -> None:
    assert hard_stop(evidence(5, answered=0), replace(GOOD, silence=False)) is None
    assert hard_stop(evidence(5, CandidateKey("pumps", "servers", 17, 514), answered=0), GOOD) is None


def test_bands_do_not_move_within_a_band() -> None:
    week, more = evidence(7), evidence(12)
    assert (
        evidence_bands(week, 1) == evidence_bands(more, 1) == {"devices": "all", "days": "7 to 13", "direction": "high"}
    )
    assert evidence_bands(evidence(14), 1)["days"] == "14 to 29"
    assert evidence_bands(week, 1, "sampled")["telemetry"] == "sampled"


def test_once_in_every_week_by_all_devices_is_regular() -> None:
    weekly = replace(evidence(4, clients=2), days=tuple(FIRST + timedelta(days=7 * week) for week in range(4)))
    month = replace(GOOD, covered_days=30)
    assert dict(score(weekly, month).points)["regular"] == 5
    assert dict(score(replace(weekly, client_devices=1), month).points)["regular"] == 0
    assert dict(score(replace(weekly, days=weekly.days[:3]), month).points)["regular"] == 0
    assert dict(score(evidence(4, clients=2), month).points)["regular"] == 0


def test_a_whole_segment_within_few_days_is_strong_evidence_outside_only() -> None:
    outside = replace(GOOD, segment_devices=30, covered_days=30)
    made = score(evidence(2, clients=28), outside)
    assert not made.stop and made.total >= 70 and dict(made.points)["whole segment"] == 10
    for seen, context in (
        (evidence(2, clients=26), outside),
        (evidence(1, clients=30), outside),
        (evidence(2, clients=30, threat=True), outside),
        (evidence(2, clients=30), replace(outside, server_segment_devices=3)),
        (evidence(2, clients=9), replace(outside, segment_devices=9)),
    ):
        assert score(seen, context).kind == "few-days"


def test_few_devices_are_two_or_fifteen_percent_and_at_most_a_third() -> None:
    assert [size for size in range(41) if few_of(2, size)] == list(range(6, 41))
    assert few_of(1, 4) and not few_of(1, 3)
    assert few_of(3, 20) and not few_of(3, 19)
    assert most_of(2, 4) and not most_of(1, 3) and not most_of(0, 0)


ALARM = CandidateKey("fire_servers", "voice_servers", 6, 4101)
CALLED = Context(
    segment_devices=2, covered_days=30, known_service=True, conduit=True, server_segment_devices=2, quiet_days=3, own_service=True,
    vital=True,
)  # fmt: skip


def test_what_a_whole_segment_that_lives_depend_on_calls_seldom_may_have_a_rule_that_ends() -> None:
    called = evidence(2, ALARM, clients=2, server_devices=2, pairs=4)
    assert bounded(called, CALLED) == "life-safety"
    assert score(called, CALLED).kind == "" and score(called, CALLED).total >= 60
    for seen, context in (
        (called, replace(CALLED, vital=False)),
        (called, replace(CALLED, own_service=False)),  # others serve the port: the server may be a rogue one
        (called, replace(CALLED, known_service=False)),
        (called, replace(CALLED, quiet_days=2)),
        (called, replace(CALLED, like="lifts")),
        (called, replace(CALLED, conduit=False)),
        (called, replace(CALLED, segment_devices=3)),
        (called, replace(CALLED, segment_devices=1)),
        (called, replace(CALLED, server_segment_devices=3)),
        (replace(called, pairs=3), CALLED),  # from one to the next, as a worm goes
        (replace(called, days=called.days[:1]), CALLED),
        (replace(called, answered=0), CALLED),
        (replace(called, threat=True), CALLED),
        (replace(called, best_method=9), CALLED),
        (replace(called, key=CandidateKey("fire_servers", "voice_servers", 6, 3389)), CALLED),
    ):
        assert bounded(seen, context) == "" and score(seen, context).kind != ""
    panels = replace(CALLED, segment_devices=6, server_segment_devices=6, own_service=False, standby=True, peers=True)
    among = evidence(2, ALARM, clients=3, server_devices=3)
    assert bounded(among, panels) == "life-safety"
    for context in (replace(panels, standby=False), replace(panels, peers=False), replace(panels, segment_devices=7)):
        assert bounded(among, context) == ""
    assert bounded(replace(among, client_devices=2), replace(panels, segment_devices=4)) == ""


def test_a_whole_segment_that_alone_uses_a_service_of_a_named_set_fails_over_to_it() -> None:
    sync = evidence(1, CandidateKey("mes", "dr_site", 6, 5432), clients=2)
    outside = Context(2, 30, known_service=True, conduit=True, quiet_days=3, reviewed_end=True, sole_service=True)
    assert bounded(sync, outside) == "fail-over"
    for seen, context in (
        (sync, replace(outside, sole_service=False)),
        (sync, replace(outside, segment_devices=5)),
        (sync, replace(outside, quiet_days=2)),
        (sync, replace(outside, reviewed_end=False)),
        (replace(sync, client_devices=1), outside),
    ):
        assert bounded(seen, context) == ""


def test_what_several_devices_do_seldom_each_by_itself_may_have_a_rule_that_ends() -> None:
    def spread(days: int, clients: int, over: int = 20, **more: Any) -> Evidence:
        made = evidence(
            days, CandidateKey("plcs", "engineering", 6, 7402), clients=clients, flows=clients, answered=clients
        )
        steps = [round(over * number / (days - 1)) for number in range(days)]
        return replace(made, days=tuple(FIRST + timedelta(days=step) for step in steps), **more)

    alone = Context(
        40, 30, known_service=False, conduit=True, server_segment_devices=6, own_service=True, sole_service=True
    )
    shared = replace(alone, sole_service=False, known_service=True)
    assert (
        bounded(spread(4, 4), alone) == bounded(spread(10, 10, answered=0), replace(alone, silence=False)) == "seldom"
    )
    assert bounded(spread(4, 20), shared) == "seldom"
    for seen, context in (
        (spread(3, 4), alone),
        (spread(4, 3), alone),
        (spread(4, 4, over=13), alone),
        (spread(4, 4, answered=1), alone),
        (spread(9, 10, answered=0), replace(alone, silence=False)),
        (spread(4, 4), replace(alone, sole_service=False)),
        (spread(4, 4), replace(alone, own_service=False)),
        (spread(4, 19), shared),
        (spread(4, 20), replace(shared, known_service=False)),
        (spread(4, 4), replace(alone, like="drives")),
        (spread(4, 4), replace(alone, conduit=False)),
        (spread(4, 4, key=CandidateKey("plcs", "engineering", 6, 22)), alone),
    ):
        assert bounded(seen, context) == ""


def test_answers_from_a_port_that_their_client_opens_are_no_evidence_of_the_other_way_round() -> None:
    """A gateway drew 2404, a named service, as its own port: what answers it is no client of the gateway."""
    seen = evidence(3, CandidateKey("bay_controllers", "gateways", 6, 2404), clients=3, one_client_port=10102)
    turned = replace(GOOD, segment_devices=16, turned=True)
    made = score(seen, turned)
    assert made.kind == "direction" and "10102" in made.stop and bounded(seen, turned) == ""
    assert score(seen, replace(turned, turned=False)).kind == ""
