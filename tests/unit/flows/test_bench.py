# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of the flow bench beside those of its peers: a target in records a second is one in parts of a peer's rate too."""

from __future__ import annotations

import pytest

from tests.bench import flows


def _figures(speed: float, ours: float) -> dict[str, float]:
    """Return what a machine of a speed (1.0: that of the targets) measures where an import does ``ours`` records a second at 1.0."""
    made = {
        f"{peer}_{'packets' if peer == 'softflowd' else 'records'}_per_cpu_second": rate * speed
        for peer, rate in flows.THERE.items()
    }
    return made | dict.fromkeys(flows.BESIDE, ours * speed)


@pytest.mark.parametrize("speed", [0.25, 1.0, 3.0])
@pytest.mark.parametrize(("ours", "met"), [(900_000, False), (2_100_000, True)])
def test_the_speed_of_the_machine_does_not_decide_what_is_measured_beside_peers(
    speed: float, ours: float, met: bool
) -> None:
    made = _figures(speed, ours)
    made |= flows.beside(made)
    rows = {each["figure"]: each["met"] for each in flows.targets(made)}
    ratios = {name: rows[name] for name in rows if "_of_" in name}
    assert ratios == {
        "nfcapd_import_of_nfdump_csv": met,
        "nfcapd_import_of_nfdump_json": met,
        "nfcapd_import_of_nfdump_aggregation": met,
        "pcap_of_softflowd": met,
        "pcap_to_rollup_of_softflowd": met,
    }
    assert all(made[f"machine_by_{peer}"] == speed for peer in flows.THERE)


def test_a_peer_that_is_not_there_is_left_out() -> None:
    made = dict.fromkeys(flows.BESIDE, 5e6)
    assert flows.beside(made) == {}
    assert {each["figure"] for each in flows.targets(made)} == set(flows.BESIDE)


def test_calls_are_made_in_turn_and_the_cheapest_counts() -> None:
    called: list[str] = []
    least = flows.in_turn({"one": lambda: called.append("one"), "other": lambda: called.append("other")}, 2)
    assert called == ["one", "other", "one", "other"]
    assert set(least) == {"one", "other"}
