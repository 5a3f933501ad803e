"""Change windows against a reading of the wall clock, minute by minute, that shares nothing with the code."""

from __future__ import annotations

import random
import zoneinfo
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.calendar import calendar_findings, opening
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.change_documents import (
    Calendar,
    ChangeWindow,
    Freeze,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import DAYS, Site, Window

VIENNA = zoneinfo.ZoneInfo("Europe/Vienna")


def site_with(calendar: Calendar | None, zone: str = "Europe/Vienna") -> Site:
    empty = Site("s", zone, {}, (), {}, {}, {}, (), (), (), {}, {}, {})
    return replace(empty, calendar=calendar)


def window(name: str, zones: str, days: str, start: str, end: str, first: str = "", last: str = "") -> ChangeWindow:
    return ChangeWindow(name, tuple(zones.split()), Window(tuple(days.split()), start, end), first, last)


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=VIENNA)


def test_without_a_calendar_every_moment_is_open() -> None:
    assert opening(site_with(None), ["clinical"], datetime.now(UTC)).is_open


def test_a_moment_without_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        opening(site_with(None), ["clinical"], datetime(2026, 1, 1))


def test_a_zone_without_window_is_closed_for_ever() -> None:
    calendar = Calendar((window("w", "building", "mon tue wed thu fri sat sun", "00:00", "24:00"),))
    found = opening(site_with(calendar), ["clinical"], wall("2026-11-26T10:00"))
    assert not found.is_open and found.opens is None
    assert "clinical" in found.reason


def test_all_zones_have_to_be_open_and_the_first_to_close_counts() -> None:
    calendar = Calendar(
        (window("a", "clinical", "thu", "22:00", "04:00"), window("b", "building", "thu", "20:00", "23:30"))
    )
    found = opening(site_with(calendar), ["clinical", "building"], wall("2026-11-26T22:10"))
    assert found.is_open and found.until == wall("2026-11-26T23:30")
    early = opening(site_with(calendar), ["clinical", "building"], wall("2026-11-26T21:00"))
    assert not early.is_open and early.opens == wall("2026-11-26T22:00")
    assert "clinical" in early.reason and "building" not in early.reason


def test_windows_that_meet_are_one() -> None:
    calendar = Calendar((window("a", "all", "thu", "22:00", "24:00"), window("b", "all", "fri", "00:00", "02:00")))
    assert opening(site_with(calendar), ["x"], wall("2026-11-26T23:00")).until == wall("2026-11-27T02:00")


def test_a_freeze_wins_and_says_why() -> None:
    calendar = Calendar(
        (window("a", "all", "mon tue wed thu fri sat sun", "00:00", "24:00"),),
        (Freeze("flu", ("clinical",), "2026-11-20", "2026-11-30", "ward full", "clinical-engineering"),),
    )
    site = site_with(calendar)
    (finding,) = calendar_findings(site, ["clinical", "building"], wall("2026-11-30T23:59"))
    assert finding.code == "SW4090"
    assert "flu" in finding.message and "ward full" in finding.message and "2026-12-01 00:00" in finding.message
    assert calendar_findings(site, ["building"], wall("2026-11-25T12:00")) == []
    assert calendar_findings(site, ["clinical"], wall("2026-12-01T00:00")) == []


def test_a_freeze_until_further_notice() -> None:
    always = window("a", "all", "mon tue wed thu fri sat sun", "00:00", "24:00")
    for first, last in (("2026-11-20", "9999-12-31"), ("0001-01-01", "9999-12-31 24:00")):
        calendar = Calendar((always,), (Freeze("audit", ("all",), first, last, "audit", "network-security"),))
        for zone in ("Europe/Vienna", "Pacific/Kiritimati", "Pacific/Niue"):
            (finding,) = calendar_findings(site_with(calendar, zone), ["clinical"], wall("2026-11-30T12:00"))
            assert finding.code == "SW4090" and "audit" in finding.message


def test_first_and_last_day_bound_the_beginning() -> None:
    calendar = Calendar((window("a", "all", "thu", "22:00", "02:00", "2026-11-26", "2026-11-26"),))
    assert opening(site_with(calendar), ["x"], wall("2026-11-27T01:59")).is_open
    late = opening(site_with(calendar), ["x"], wall("2026-11-27T02:00"))
    assert not late.is_open and late.opens is None


@pytest.mark.parametrize(
    ("start", "end", "moment", "is_open"),
    [
        # 2026-03-29: 02:00 to 03:00 does not exist. A window that begins at 02:30 begins at 03:30, one that ends then ends at 01:30.
        ("02:30", "05:00", "2026-03-29T01:15:00+00:00", False),
        ("02:30", "05:00", "2026-03-29T01:30:00+00:00", True),
        ("00:30", "02:30", "2026-03-29T00:29:00+00:00", True),
        ("00:30", "02:30", "2026-03-29T00:30:00+00:00", False),
        # 2026-10-25: 02:00 to 03:00 happens twice. It begins with the second and ends with the first.
        ("02:30", "05:00", "2026-10-25T00:45:00+00:00", False),
        ("02:30", "05:00", "2026-10-25T01:30:00+00:00", True),
        ("01:00", "02:30", "2026-10-25T00:29:00+00:00", True),
        ("01:00", "02:30", "2026-10-25T00:45:00+00:00", False),
        ("01:00", "02:30", "2026-10-25T01:15:00+00:00", False),
    ],
)
def test_where_the_clock_jumps_a_window_is_the_shorter_reading(
    start: str, end: str, moment: str, is_open: bool
) -> None:
    calendar = Calendar((window("a", "all", "sun", start, end),))
    assert opening(site_with(calendar), ["x"], datetime.fromisoformat(moment)).is_open is is_open


def naive_is_open(calendar: Calendar, zone: str, local: datetime) -> bool:
    """Read the wall clock as a person would; only for moments away from jumps of the clock."""
    text, day = local.strftime("%H:%M"), local.date()
    held = False
    for item in calendar.windows:
        if zone not in item.zones and "all" not in item.zones:
            continue
        for begins in (day, day - timedelta(days=1)):
            if DAYS[begins.weekday()] not in item.window.days:
                continue
            if (item.first and str(begins) < item.first) or (item.last and str(begins) > item.last):
                continue
            over_midnight = item.window.end <= item.window.start
            if begins == day:
                held |= text >= item.window.start and (over_midnight or text < item.window.end)
            else:
                held |= over_midnight and text < item.window.end
    stamp = local.strftime("%Y-%m-%d %H:%M")
    for freeze in calendar.freezes:
        if zone in freeze.zones or "all" in freeze.zones:
            end = freeze.end if " " in freeze.end else freeze.end + " 24:00"
            held &= not (freeze.start if " " in freeze.start else freeze.start + " 00:00") <= stamp < end
    return held


@pytest.mark.one_python
def test_random_calendars_agree_with_the_wall_clock(full: bool) -> None:
    chance = random.Random(20261126)
    seen = {True: 0, False: 0}
    for _case in range(400 if full else 40):
        windows = tuple(
            window(
                f"w{number}",
                chance.choice(["a", "b", "a b", "all"]),
                " ".join(chance.sample(DAYS, chance.randint(1, 7))),
                f"{chance.randint(0, 23):02}:{chance.choice((0, 15, 30)):02}",
                f"{chance.randint(0, 23):02}:{chance.choice((0, 15, 45)):02}",
                chance.choice(["", "2026-06-03"]),
                chance.choice(["", "2026-06-20"]),
            )
            for number in range(chance.randint(1, 4))
        )
        freezes = tuple(
            Freeze(f"f{number}", (chance.choice(["a", "b", "all"]),), *span, "r", "o")
            for number, span in enumerate(
                chance.sample(
                    [("2026-06-05", "2026-06-06"), ("2026-06-09 08:00", "2026-06-11 09:30")], chance.randint(0, 2)
                )
            )
        )
        calendar = Calendar(windows, freezes)
        zones = chance.choice([["a"], ["b"], ["a", "b"]])
        for _moment in range(6):
            local = wall("2026-06-01T00:00") + timedelta(minutes=chance.randrange(25 * 24 * 60))
            expected = all(naive_is_open(calendar, zone, local) for zone in zones)
            found = opening(site_with(calendar), zones, local)
            assert found.is_open is expected, (calendar, zones, local)
            seen[expected] += 1
            edge = found.until if found.is_open else found.opens
            if edge is not None and edge < wall("2026-10-01T00:00"):
                before = all(naive_is_open(calendar, z, edge - timedelta(minutes=1)) for z in zones)
                after = all(naive_is_open(calendar, z, edge) for z in zones)
                assert (before, after) == ((True, False) if found.is_open else (False, True))
    assert min(seen.values()) > 30
