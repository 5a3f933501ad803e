# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an emergency has to say, how long it stands, who confirms it, and that nobody overlooks it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.emergency import (
    pulled_state,
    said,
    shouts,
    unconfirmed,
)

START = datetime(2026, 11, 26, 2, 10, tzinfo=UTC)
WORDS = {"reason": "The cameras scan the network", "person": "nina@hospital.example"}


def entry(minutes: int, event: str, plan: str = "p", **more: Any) -> dict[str, Any]:
    moment = START + timedelta(minutes=minutes)
    return {"time": moment.strftime("%Y-%m-%dT%H:%M:%SZ"), "event": event, "plan_id": plan, **more}


def pull(minutes: int, *names: str, plan: str = "p", until: int = 240, **more: Any) -> dict[str, Any]:
    stands = said({**WORDS, "minutes": until}).as_dict(START + timedelta(minutes=minutes))
    return entry(
        minutes, "plan_started", plan, postures=list(names), emergency={**stands, "postures": list(names)}, **more
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"reason": ""},
        {"reason": "because"},
        {"reason": "two lines\nof a reason"},
        {"reason": "x" * 401},
        {"person": ""},
        {"person": "nina\x1b[2J"},
        {"ticket": "a\nb"},
        {"minutes": 1441},
        {"minutes": -5},
    ],
)
def test_what_is_not_said_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(FindingError) as refused:
        said({**WORDS, **wrong})
    assert {finding.code for finding in refused.value.findings} == {"SW4141"}


def test_who_why_and_since_when_and_until_when() -> None:
    (item,) = pulled_state([pull(0, "isolate_cameras")])
    assert (item.name, item.since) == ("isolate_cameras", START)
    assert {"reason": item.reason, "person": item.person} == WORDS
    assert item.until == START + timedelta(minutes=240)
    # A relaxation that is said to be needed again is as old as before, and asks later.
    entries = [pull(0, "open_hvac"), pull(60, "open_hvac", plan="q")]
    (again,) = pulled_state(entries)
    assert again.since == START and again.asked == START + timedelta(minutes=60)
    assert again.until == START + timedelta(minutes=300)


def test_other_plans_keep_it_and_only_an_approved_one_confirms_it() -> None:
    entries = [pull(0, "isolate_cameras")]
    entries.append(entry(30, "plan_started", "other", postures=["isolate_cameras"], steps=["x"], approvals=[]))
    (kept,) = pulled_state(entries)
    assert kept.until is not None and unconfirmed([kept], ["isolate_cameras"]) == (kept,)
    assert unconfirmed([kept], []) == ()
    entries.append(entry(40, "plan_started", "approved", postures=["isolate_cameras"], confirms_emergency=True))
    (confirmed,) = pulled_state(entries)
    assert confirmed.until is None and confirmed.since == START and confirmed.person == WORDS["person"]
    entries.append(entry(50, "plan_started", "released", postures=[]))
    assert pulled_state(entries) == ()


def test_a_rollback_of_its_plan_takes_it_back_and_of_its_release_brings_it_back() -> None:
    entries = [pull(0, "isolate_cameras"), entry(5, "rollback_started", "p", steps=[])]
    assert pulled_state(entries) == ()
    entries = [
        pull(0, "isolate_cameras"),
        entry(5, "plan_started", "r", postures=[]),
        entry(9, "rollback_started", "r"),
    ]
    assert [item.name for item in pulled_state(entries)] == ["isolate_cameras"]


def test_every_report_says_it_and_a_relaxation_asks() -> None:
    pulled = pulled_state([pull(0, "isolate_cameras", "open_hvac")])
    after = {"isolate_cameras": 0, "open_hvac": 60}

    def codes(minutes: int) -> list[str]:
        return [finding.code for finding in shouts(pulled, after, START + timedelta(minutes=minutes))]

    assert codes(1) == ["SW4143", "SW4143"]
    assert codes(60) == ["SW4143", "SW4143", "SW4144"]
    assert codes(240) == ["SW4143", "SW4145", "SW4143", "SW4144", "SW4145"]
    text = shouts(pulled, after, START)[0].message
    assert "isolate_cameras" in text and "nina@hospital.example" in text and "scan the network" in text
