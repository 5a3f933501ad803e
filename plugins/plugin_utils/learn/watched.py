# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which days of a calendar recordings cover, and on which of them a segment was watched."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from datetime import date
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded

np = guarded("numpy")

# A silence of the whole segment longer than a long weekend was no watching: its exporter was down, or it was not there.
LONGEST_SILENCE = 4


def unseen_calendar(days: Sequence[date]) -> list[str]:
    """Return what of a calendar the covered days lack: days of the week that did not come twice, the turn of a month."""
    names = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    counts = [0] * 7
    for day in days:
        counts[day.weekday()] += 1
    few = [names[number] for number, count in enumerate(counts) if count < 2]
    lacking = [f"a second {name}" if counts[names.index(name)] else f"a {name}" for name in few]
    ends = {(day.year, day.month) for day in days if day.day == calendar.monthrange(day.year, day.month)[1]}
    if not ends:
        lacking.append("the end of a month")
    return lacking


def watched_days(day: Any, count: int) -> int:
    """Return on how many of ``count`` days a segment was watched: all but its silences of more than LONGEST_SILENCE days on end.

    ``day`` are the days (from 0) on which anything of it was seen. The days before the first and after the last count as silence too.
    """
    spoken = np.concatenate([[-1], np.unique(day), [count]])
    silences = np.diff(spoken) - 1
    return count - int(silences[silences > LONGEST_SILENCE].sum())
