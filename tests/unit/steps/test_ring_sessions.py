# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices whose sessions are no longer authorized take their ring back; an authentication under way does not."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.health import HEALTHY, REGRESSED, judge
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rings import Part
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.ring_sessions import (
    AGAIN_SECONDS,
    EVENT,
    kept_sessions,
    lost_sessions,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.rollout import decide
from tests.unit.change.rollouts import BEGAN, rollout
from tests.unit.steps.test_rollout import CHANGED, ONE, flows, progress, site

__all__ = ["site"]


def test_only_what_is_unauthorized_twice_is_lost() -> None:
    readings = iter([{"a": False, "b": False, "c": True}, {"a": False, "b": True}])
    waited: list[float] = []
    assert lost_sessions({"a", "b", "c", "d"}, lambda: next(readings), waited.append) == ("a",)
    assert waited == [AGAIN_SECONDS]
    assert lost_sessions({"a"}, lambda: {"a": True}, waited.append) == () and waited == [AGAIN_SECONDS]
    assert lost_sessions((), lambda: {}[0], waited.append) == ()  # nobody is asked where nothing was kept


def test_what_was_authorized_before_the_change_counts() -> None:
    def entry(event: str, **more: Any) -> dict[str, Any]:
        return {"event": event, **more}

    entries = [entry(EVENT, ring="one", authorized=["a", "b"]), entry("plan_started", ring="one")]
    assert kept_sessions(entries, Part("one", ())) == {"a", "b"} and kept_sessions(entries, Part("two", ())) == set()
    # Going on after a crash reads sessions that may be lost already: the first reading counts.
    entries += [entry(EVENT, ring="one", authorized=["b"]), entry("plan_started", ring="one")]
    assert kept_sessions(entries, Part("one", ())) == {"a", "b"}
    entries += [entry("undo_done"), entry(EVENT, ring="one", authorized=["b"])]
    assert kept_sessions(entries, Part("one", ())) == {"b"}


def test_a_lost_session_takes_the_ring_back_though_all_talk(tmp_path: Path, site: Site) -> None:
    flows(tmp_path, {}, last=CHANGED + timedelta(hours=2))
    device = site.members["infusion_pumps"][0]
    now = CHANGED + timedelta(minutes=61)
    made = decide(progress(), site, tmp_path / "data", now, lost=lambda part: (device.device,))
    assert made.undo == ONE and [finding.code for finding in made.findings] == ["SW4132"]
    assert f"session of {device.name}" in made.findings[0].message
    made = decide(progress(), site, tmp_path / "data", now, lost=lambda part: ("02:00:00:00:00:99",))  # of another ring
    assert made.undo is None
    # Also where nothing is recorded at all.
    made = decide(progress(), site, tmp_path / "empty", now, lost=lambda part: (device.device,))
    assert made.undo == ONE


def session_readings(dice: random.Random, devices: list[str], failed: str) -> list[dict[str, bool]]:
    """Two readings AGAIN_SECONDS apart of sessions that authenticate again every one to eight hours, for half a second to twenty."""
    found: list[dict[str, bool]] = [{}, {}]
    for device in devices:
        period, length = dice.uniform(3600, 8 * 3600), min(20.0, dice.expovariate(1 / 2.0) + 0.5)
        at = dice.uniform(0, period)
        for number in (0, 1):
            running = (at + number * AGAIN_SECONDS) % period < length
            found[number][device] = device != failed and not running
    return found


def test_simulated_authentication_failures_and_harmless_ones(full: bool) -> None:
    count = 1000 if full else 50
    caught = false = 0
    for seed in range(count):
        dice = random.Random(9_000_000 + seed)
        made = rollout(7_000_000 + seed, "nothing", 4 * 3600.0)
        for planted in (True, False):
            failed = dice.choice(made.devices) if planted else ""
            readings = iter(session_readings(dice, made.devices, failed))
            lost = lost_sessions(set(made.devices), lambda readings=readings: next(readings), lambda seconds: None)  # type: ignore[misc]
            state = judge(made.talks, made.devices, BEGAN, unauthorized=[(device, device) for device in lost]).state
            caught += planted and state == REGRESSED
            false += not planted and state == REGRESSED
            assert planted or state != HEALTHY or not lost
    print(f"authentication failures: {caught} of {count} caught, {false} of {count} harmless ones taken back")
    assert caught >= 0.99 * count and false <= 0.02 * count
