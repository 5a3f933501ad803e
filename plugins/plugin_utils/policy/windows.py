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
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.effective import holds, in_force
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    DAYS,
    AccessException,
    Rule,
    Site,
    Situation,
    Window,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.outline import rules_of

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
    items: list[Rule | AccessException] = [*rules_of(site, lambda outline: outline.conditional), *site.exceptions]
    return {item.id: item.conditions.windows for item in items if item.conditions and item.conditions.windows}


@dataclass(frozen=True)
class ComingChange:
    """When what is compiled changes although nobody changes a document: the first minute of it, in the site's time zone, and why."""

    at: datetime
    begins: tuple[str, ...]
    ends: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for results and reports; the moment as RFC 3339."""
        return {
            "at": self.at.isoformat(),
            "begins": list(self.begins),
            "ends": list(self.ends),
            "sentence": self.sentence(),
        }

    def sentence(self) -> str:
        """Return the change in words."""
        parts = [
            f"{', '.join(names)} {verb}"
            for names, verb in ((self.begins, "begin to hold"), (self.ends, "end"))
            if names
        ]
        return f"at {self.at.isoformat(timespec='minutes')} the lists change by themselves: {' and '.join(parts)}"


def coming_change(
    site: Site, moment: datetime, postures: Iterable[str] = (), horizon_days: int = 8
) -> ComingChange | None:
    """Return the first moment after the given one at which other rules and exceptions hold: by expiry, first day or time window.

    Windows are looked at for ``horizon_days``, days of rules and exceptions without limit. None where nothing changes: no scheduled plan
    is needed.
    """
    pulled = tuple(postures)
    own = rules_of(site, lambda outline: outline.conditional or outline.expiring)
    every: list[Rule | AccessException] = [*own, *site.exceptions]
    items = [item for item in every if item.expires or (item.conditions is not None and item.conditions.windows)]
    if not items:
        return None
    zone = zoneinfo.ZoneInfo(site.time_zone)
    start = moment.astimezone(zone).replace(second=0, microsecond=0)

    def held(when: datetime) -> frozenset[str]:
        situation = situation_at(site, when, pulled)
        return frozenset(
            item.id for item in items if in_force(item, situation.day) and holds(item.conditions, item.id, situation)
        )

    now = held(start)
    for local in _edges(items, start, zone, horizon_days):
        then = held(local)
        if then != now:
            return ComingChange(local, tuple(sorted(then - now)), tuple(sorted(now - then)))
    return None


def next_change(site: Site, moment: datetime, horizon_days: int = 8) -> datetime | None:
    """Return the moment of ``coming_change``."""
    found = coming_change(site, moment, horizon_days=horizon_days)
    return found.at if found else None


def _edges(
    items: Iterable[Rule | AccessException], start: datetime, zone: zoneinfo.ZoneInfo, horizon_days: int
) -> list[datetime]:
    """Return the minutes after the start at which a window may open or close, or a first or last day be passed; in their order."""
    minutes: set[int] = set()
    days: set[date] = set()
    for item in items:
        for window in item.conditions.windows if item.conditions else ():
            minutes |= {minutes_of(text) % DAY_MINUTES for text in (window.start, window.end)}
        try:
            days |= {date.fromisoformat(item.expires) + timedelta(days=1)} if item.expires else set()
            days |= {date.fromisoformat(item.valid_from)} if isinstance(item, AccessException) else set()
        except (ValueError, OverflowError):
            continue  # no day of the calendar: a numbered rule says so
    made = {datetime(day.year, day.month, day.day, tzinfo=zone) for day in days}
    for number in range(horizon_days + 1 if minutes else 0):
        day = (start + timedelta(days=number)).date()
        made |= {datetime(day.year, day.month, day.day, m // 60, m % 60, tzinfo=zone) for m in minutes}
    return sorted(local for local in made if local > start)
