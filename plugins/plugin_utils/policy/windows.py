# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time windows: which are open at a moment, in the site's time zone.

A window is never put into a device's list (no ``time-range``): the lists change by a scheduled plan and apply, and the gate
proves the open state and the closed one.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterable
from datetime import datetime, timedelta

from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    DAYS,
    AccessException,
    Rule,
    Site,
    Situation,
    Window,
)

END_OF_DAY = "24:00"
DAY_MINUTES = 24 * 60


def minutes_of(text: str) -> int:
    """Return the minutes since midnight of HH:MM, 0 to 1440 (24:00); ValueError for anything else."""
    hours, colon, minutes = text.partition(":")
    if not (colon and len(hours) == len(minutes) == 2 and (hours + minutes).isascii() and (hours + minutes).isdigit()):
        raise ValueError(f"{text!r} is not HH:MM")
    found = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or found > DAY_MINUTES:
        raise ValueError(f"{text!r} is no time of a day")
    return found


def window_is_open(window: Window, local: datetime) -> bool:
    """Return whether a window is open at a local time, by the wall clock of that day."""
    start, end = minutes_of(window.start), minutes_of(window.end)
    now = local.hour * 60 + local.minute
    today, yesterday = DAYS[local.weekday()], DAYS[local.weekday() - 1]
    if start < end:
        return today in window.days and start <= now < end
    return (today in window.days and now >= start) or (yesterday in window.days and now < end)


def situation_at(site: Site, moment: datetime, postures: Iterable[str] = ()) -> Situation:
    """Return the situation at a moment (with a time zone): the site's day, the open windows, the pulled postures.

    Raises ValueError for a moment without time zone or a site whose time zone is not known here.
    """
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    try:
        local = moment.astimezone(zoneinfo.ZoneInfo(site.time_zone))
    except zoneinfo.ZoneInfoNotFoundError as error:
        raise ValueError(f"time zone {site.time_zone} is not known") from error
    opened = frozenset(
        name for name, windows in windowed(site).items() if any(window_is_open(window, local) for window in windows)
    )
    return Situation(local.date(), opened, tuple(postures))


def windowed(site: Site) -> dict[str, tuple[Window, ...]]:
    """Return the windows of the rules and exceptions that have some, by id."""
    items: list[Rule | AccessException] = [*site.rules(), *site.exceptions]
    return {item.id: item.conditions.windows for item in items if item.conditions and item.conditions.windows}


def next_change(site: Site, moment: datetime, horizon_days: int = 8) -> datetime | None:
    """Return the first minute after the moment at which a window opens or closes, in the site's time zone.

    None where none does within ``horizon_days``: no scheduled plan is needed until then.
    """
    items = windowed(site)
    if not items:
        return None
    zone = zoneinfo.ZoneInfo(site.time_zone)
    now = situation_at(site, moment).open_windows
    start = moment.astimezone(zone).replace(second=0, microsecond=0)
    edges = {
        minutes_of(text) % DAY_MINUTES
        for windows in items.values()
        for window in windows
        for text in (window.start, window.end)
    }
    for days in range(horizon_days + 1):
        day = (start + timedelta(days=days)).date()
        for edge in sorted(edges):
            local = datetime(day.year, day.month, day.day, edge // 60, edge % 60, tzinfo=zone)
            if local > start and situation_at(site, local).open_windows != now:
                return local
    return None
