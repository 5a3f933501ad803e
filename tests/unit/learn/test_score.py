# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scores and hard stops at their limits, computed by hand from facts/flows.md section 7."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.bands import evidence_bands
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import (
    BoundRow,
    CandidateKey,
    Evidence,
    gather,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.score import Context, hard_stop, score

FIRST = date(2026, 11, 2)


def row(
    day: int = 0, device: str = "a", port: int = 104, method: int = 1, answered: int = 1, **more: object
) -> BoundRow:
    values: dict[str, object] = {
        "day": FIRST + timedelta(days=day), "client_device": device, "client_address": "10.0.0.1",
        "server_device": "s", "server_address": "10.0.1.1",
        "protocol": 6, "server_port": port, "kind": "unicast", "flows": 1,
        "answered": answered, "method": method, "confidence": 1.0, "first_us": 1, "last_us": 2,
    }  # fmt: skip
    values.update(more)
    return BoundRow(**values)  # type: ignore[arg-type]


def evidence(*rows: BoundRow) -> Evidence:
    made = Evidence(CandidateKey("pumps", "servers", 6, 104))
    for item in rows:
        made.add(item)
    return made


GOOD = Context(segment_devices=2, covered_days=14, known_service=True, conduit=True)


def test_full_evidence_scores_ninety_by_the_published_weights() -> None:
    seen = evidence(*(row(day, device) for day in range(14) for device in "ab"))
    assert dict(score(seen, GOOD).points) == {
        "days": 25, "weeks": 10, "devices": 20, "answered": 10, "direction": 10, "known service": 10, "regular": 5,
    }  # fmt: skip
    assert score(seen, GOOD).total == 90 and not score(seen, GOOD).stop


def test_one_device_of_many_is_capped_at_sixty() -> None:
    seen = evidence(*(row(day, "a") for day in range(14)))
    assert score(seen, Context(20, 14, True, True)).total == 60


@pytest.mark.parametrize(
    ("seen", "context", "reason"),
    [
        (evidence(row(method=9), row(1, method=9), row(2, method=9)), GOOD, "guess"),
        (evidence(*(row(day, answered=0) for day in range(5))), GOOD, "answered"),
        (evidence(*(row(day) for day in range(5))), Context(2, 14, True, False), "conduit"),
        (evidence(row(), row(1)), GOOD, "2 of at least 3 days"),
    ],
)
def test_hard_stops_name_their_reason(seen: Evidence, context: Context, reason: str) -> None:
    assert reason in hard_stop(seen, context)


def test_udp_without_answer_is_no_hard_stop() -> None:
    made = Evidence(CandidateKey("pumps", "servers", 17, 514))
    for day in range(5):
        made.add(row(day, answered=0, protocol=17, port=514))
    assert hard_stop(made, GOOD) == ""


def test_gather_keeps_scans_unknown_devices_and_bootstrap_out() -> None:
    rows = [
        row(), row(noise="scan", port=22), row(client_device=""), row(server_device="", server_address="192.0.2.9"),
        row(protocol=17, port=67),
        row(protocol=1, port=3 * 256 + 1), row(kind="broadcast"),
        row(server_device="", server_address="192.0.2.1", port=443), row(device="x"),
    ]  # fmt: skip
    made = gather(rows, {"a": "pumps", "s": "servers"}, {"192.0.2.1": "vendor_cloud"})
    assert set(made.candidates) == {
        CandidateKey("pumps", "servers", 6, 104),
        CandidateKey("pumps", "vendor_cloud", 6, 443),
    }
    assert made.bootstrap == 2
    assert sorted(item.reason for item in made.excluded) == [
        "broadcast traffic is not addressed to a device",
        "part of a scan",
        "the client fits no segment",
        "the client's address belongs to no known device",
        "the server's address belongs to no known device",
    ]


def test_bands_do_not_move_within_a_band() -> None:
    week = evidence(*(row(day) for day in range(7)))
    more = evidence(*(row(day) for day in range(12)))
    assert (
        evidence_bands(week, 1) == evidence_bands(more, 1) == {"devices": "all", "days": "7 to 13", "direction": "high"}
    )
    assert evidence_bands(evidence(*(row(day) for day in range(14))), 1)["days"] == "14 to 29"
