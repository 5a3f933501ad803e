# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The envelope of a syslog line: when and who (RFC 3164, RFC 5424, ISO 8601 as rsyslog writes it, and Cisco's own time stamps)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MONTHS = {name: 1 + i // 3 for i in range(0, 36, 3) for name in ["janfebmaraprmayjunjulaugsepoctnovdec"[i : i + 3]]}
HOST = r"(?P<host>[A-Za-z0-9_.:\-\[\]]{1,253})"
ISO = re.compile(
    r"(?P<iso>[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)"
)
OLD = re.compile(
    r"(?<![A-Za-z])(?P<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,2}(?P<day>[0-9]{1,2})(?: (?P<year>[0-9]{4}))?"
    r" (?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})(?:\.(?P<part>[0-9]{1,6}))?(?: (?P<utc>UTC|GMT|utc|gmt)(?= |:|$))?"
    r"(?: (?P<after>[0-9]{4})(?= |:|$))?"
)
PRIORITY = re.compile(r"\A<[0-9]{1,3}>(?:[0-9]{1,2} )?")
AFTER = re.compile(r"\A ?" + HOST + r"(?= |$)")
NO_HOST = re.compile(r"\A(?:[0-9]{1,12}:?|UTC:?|[A-Z]{2,5}:?|:|%.*|-|kernel:.*)\Z")
LOOKED_AT = 160
PAST = timedelta(days=1)


@dataclass(frozen=True)
class Clock:
    """How times without a year or zone are read: the newest moment that the file can hold, and what its clock is ahead of UTC."""

    newest: datetime
    offset: timedelta = timedelta(0)


@dataclass(frozen=True)
class Stamp:
    """When (microseconds since 1970 UTC) and who (host or empty) a line says that it is from."""

    time_us: int
    host: str


def stamp_of(line: str, clock: Clock) -> Stamp | None:
    """Return the first time and host of a line, or None where it has no time."""
    head = line[: LOOKED_AT * 2]
    begin = PRIORITY.match(head)
    start = begin.end() if begin else 0
    iso, old = ISO.search(head, start, start + LOOKED_AT), OLD.search(head, start, start + LOOKED_AT)
    found = iso if iso and (not old or iso.start() <= old.start()) else old
    if found is None:
        return None
    moment = _iso(found["iso"], clock) if found is iso else _old(found, clock)
    if moment is None:
        return None
    return Stamp((moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1), _host(head, start, found))


def _host(head: str, start: int, found: re.Match[str]) -> str:
    after = AFTER.match(head[found.end() :].lstrip("*: ") if head[found.end() : found.end() + 1] == " " else "")
    if after and not NO_HOST.match(after["host"]) and not after["host"].startswith("%"):
        return after["host"].rstrip(":")
    before = head[start : found.start()].strip(" *:.").split(" ")
    # Counters of messages stand before a name and behind it.
    named = [each.rstrip(":") for each in before if not re.fullmatch(r"[0-9]{0,12}:?", each)]
    return named[0] if named and re.fullmatch(HOST, named[0]) else ""


def _iso(text: str, clock: Clock) -> datetime | None:
    plain = text.replace(",", ".").replace(" ", "T").replace("Z", "+00:00")
    plain = re.sub(r"(\.[0-9]{6})[0-9]+", r"\1", plain)
    plain = re.sub(r"([+-][0-9]{2})([0-9]{2})\Z", r"\1:\2", plain)
    try:
        made = datetime.fromisoformat(plain)
        return made.astimezone(UTC) if made.tzinfo else made.replace(tzinfo=UTC) - clock.offset
    except (ValueError, OverflowError):
        # The ends of the calendar have no room for an offset.
        return None


def _old(found: re.Match[str], clock: Clock) -> datetime | None:
    year = found["year"] or found["after"]
    part = int((found["part"] or "0").ljust(6, "0"))
    values = (
        MONTHS[found["month"].lower()],
        int(found["day"]),
        int(found["hour"]),
        int(found["minute"]),
        int(found["second"]),
        part,
    )
    offset = timedelta(0) if found["utc"] else clock.offset
    try:
        if year:
            return datetime(int(year), *values, tzinfo=UTC) - offset
        # Without a year: the latest that is not in the file's future.
        for candidate in range(clock.newest.year + 1, clock.newest.year - 9, -1):
            if values[:2] == (2, 29) and not _leap(candidate):
                continue
            made = datetime(candidate, *values, tzinfo=UTC) - offset
            if made <= clock.newest + PAST:
                return made
    except (ValueError, OverflowError):
        return None
    return None


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
