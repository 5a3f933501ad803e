# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a ring will take, by what earlier runs took for their steps, so that one begins only where its window is long enough. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import moment_of_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.reauth import Pace

# The slowest of so many runs counts: devices that answer slowly are slow again.
RUNS = 5
_ENDS = frozenset(("ring_done", "plan_done"))


def seconds_per_step(entries: Iterable[Mapping[str, Any]]) -> float:
    """Return the seconds that a step took, reading back included, in the slowest of the last RUNS runs that ended well; 0.0 without one.

    Re-authentication of sessions is left out: ``expected`` counts it by its pace.
    """
    rates: list[float] = []
    began: datetime | None = None
    last, steps = 0.0, 0
    for entry in entries:
        event = entry["event"]
        if event == "plan_started":
            began, last, steps = moment_of_text(str(entry["time"])), 0.0, 0
        elif began is not None and event in ("operation_done", "target_confirmed"):
            last = max(last, (moment_of_text(str(entry["time"])) - began).total_seconds())
            steps += event == "operation_done"
        elif began is not None and event in _ENDS:
            rates += [last / steps] if steps else []
            began = None
    return max(rates[-RUNS:], default=0.0)


def expected(entries: Iterable[Mapping[str, Any]], steps: int, sessions: int, pace: Pace) -> timedelta:
    """Return how long a ring with so many steps and sessions to re-authenticate will take."""
    batches = math.ceil(sessions / max(1, pace.batch))
    waits = max(0, batches - 1) * pace.pause + (pace.settle if batches else 0.0)
    return timedelta(seconds=steps * seconds_per_step(entries) + waits)


def overrun_findings(ring: str, takes: timedelta, now: datetime, until: datetime | None) -> list[Finding]:
    """Return a finding (SW4184) where a ring that begins now is not done before its window closes (``until``, None: never)."""
    if until is None or now + takes <= until:
        return []
    left = int((until - now).total_seconds() // 60)
    minutes = math.ceil(takes.total_seconds() / 60)
    text = f"ring {ring} takes about {minutes} minutes by what earlier runs took, and {left} are left until {until:%Y-%m-%d %H:%M %Z}"
    return [codes.RING_TOO_LONG.at(text)]
