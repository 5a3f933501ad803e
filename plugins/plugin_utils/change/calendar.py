# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a change of some zones may be made: windows and freezes in site time, daylight saving included.

Where the clock jumps, a window is never longer and a freeze never shorter than any reading of the written times: a window
that begins in a repeated hour begins at its second pass, a time that does not exist counts as the later moment for a
beginning and as the earlier one for an end; for freezes it is the other way round.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.change_documents import (
    Calendar,
    ChangeWindow,
    Freeze,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import DAYS, Site

HORIZON_DAYS = 400
Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Opening:
    """Whether a change may be made now. ``until`` is when it must be done, ``opens`` when the next window opens, both in site time.

    ``until`` None: no end. ``opens`` None: open now, or no window within HORIZON_DAYS.
    """

    is_open: bool
    reason: str = ""
    until: datetime | None = None
    opens: datetime | None = None


def opening(site: Site, zones: Iterable[str], now: datetime) -> Opening:
    """Return whether all the zones may be changed at a moment (with a time zone). Without a calendar they always may."""
    if now.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    wanted = sorted(set(zones))
    if site.calendar is None or not wanted:
        return Opening(True)
    clock = zoneinfo.ZoneInfo(site.time_zone)
    spans = [_zone_spans(site.calendar, zone, clock, now) for zone in wanted]
    common = spans[0]
    for more in spans[1:]:
        common = _both(common, more)
    for start, end in common:
        if start <= now < end:
            return Opening(True, "", end.astimezone(clock))
        if start > now:
            return Opening(False, _why(site.calendar, wanted, spans, clock, now), None, start.astimezone(clock))
    return Opening(False, _why(site.calendar, wanted, spans, clock, now))


def calendar_findings(site: Site, zones: Iterable[str], now: datetime) -> list[Finding]:
    """Return a finding (SW4090) where a change of the zones may not be made now, with the next time it may."""
    found = opening(site, zones, now)
    if found.is_open:
        return []
    following = f"next from {_shown(found.opens)}" if found.opens else f"no window within {HORIZON_DAYS} days"
    place = site.calendar.location if site.calendar else None
    return [codes.OUTSIDE_WINDOW.at(f"{found.reason}; {following}", place)]


def _shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M %Z")


def _why(calendar: Calendar, zones: list[str], spans: list[list[Span]], clock: zoneinfo.ZoneInfo, now: datetime) -> str:
    for freeze in calendar.freezes:
        start, end = _freeze_span(freeze, clock)
        if start <= now < end:
            frozen = [zone for zone in zones if freeze.is_for(zone)]
            if frozen:
                return (
                    f"freeze {freeze.id} of {', '.join(frozen)} until {_shown(end.astimezone(clock))}: {freeze.reason}"
                )
    closed = [zone for zone, found in zip(zones, spans, strict=True) if not any(a <= now < b for a, b in found)]
    return f"no change window is open for {', '.join(closed)} at {_shown(now.astimezone(clock))}"


def _zone_spans(calendar: Calendar, zone: str, clock: zoneinfo.ZoneInfo, now: datetime) -> list[Span]:
    """Return the times from yesterday to the horizon in which a zone may be changed, in UTC, disjoint and in order."""
    first = now.astimezone(clock).date() - timedelta(days=2)
    spans = [
        span
        for window in calendar.windows
        if window.is_for(zone)
        for number in range(HORIZON_DAYS + 3)
        for span in _window_span(window, first + timedelta(days=number), clock)
    ]
    open_spans = _joined(spans)
    for freeze in calendar.freezes:
        if freeze.is_for(zone):
            open_spans = _without(open_spans, _freeze_span(freeze, clock))
    return open_spans


def _window_span(window: ChangeWindow, day: date, clock: zoneinfo.ZoneInfo) -> list[Span]:
    text = day.isoformat()
    if DAYS[day.weekday()] not in window.window.days:
        return []
    if (window.first and text < window.first) or (window.last and text > window.last):
        return []
    begins, ends = window.window.start, window.window.end
    last = day if ends > begins else day + timedelta(days=1)
    start, end = max(_readings(day, begins, clock)), min(_readings(last, ends, clock))
    return [(start, end)] if start < end else []


def _freeze_span(freeze: Freeze, clock: zoneinfo.ZoneInfo) -> Span:
    begins, _blank, start = freeze.start.partition(" ")
    ends, _blank, end = freeze.end.partition(" ")
    return (
        min(_readings(date.fromisoformat(begins), start or "00:00", clock)),
        max(_readings(date.fromisoformat(ends), end or "24:00", clock)),
    )


def _readings(day: date, time: str, clock: zoneinfo.ZoneInfo) -> tuple[datetime, datetime]:
    """Return both readings of a local time as UTC: they differ where the clock repeats or leaves out the hour (PEP 495)."""
    # One day from the ends of what dates can say, a freeze until further notice for example, no zone leads beyond them.
    day = min(max(day, date.min + timedelta(days=2)), date.max - timedelta(days=2))
    if time == "24:00":
        day, time = day + timedelta(days=1), "00:00"
    local = datetime(day.year, day.month, day.day, int(time[:2]), int(time[3:]), tzinfo=clock)
    return local.astimezone(UTC), local.replace(fold=1).astimezone(UTC)


def _joined(spans: Iterable[Span]) -> list[Span]:
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def _without(spans: Iterable[Span], hole: Span) -> list[Span]:
    found = []
    for start, end in spans:
        pieces = ((start, min(end, hole[0])), (max(start, hole[1]), end))
        found += [piece for piece in pieces if piece[0] < piece[1]]
    return found


def _both(first: list[Span], second: list[Span]) -> list[Span]:
    found = []
    left = right = 0
    while left < len(first) and right < len(second):
        start, end = max(first[left][0], second[right][0]), min(first[left][1], second[right][1])
        if start < end:
            found.append((start, end))
        if first[left][1] < second[right][1]:
            left += 1
        else:
            right += 1
    return found
