# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rare and periodic traffic: kept as expected, with a question to its owner and a day on which it is forgotten, rather than lost."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import (
    DAY_US,
    EPOCH,
    CandidateKey,
    Evidence,
)

EXPECTED_DAYS = 400
FIRMWARE_BYTES = 1_000_000
# Of a month, the last days and the first ones: jobs of the month's end run then.
LAST_DAYS, FIRST_DAYS = 3, 2
QUESTIONS = {
    "month-end": "Is this a job of the month's end? If it may go on, approve it in decisions.yml; else refuse it.",
    "fail-over": "Is this the standby of a server that is used every day? If a fail-over needs it, approve it.",
    "firmware": "Was this a software update? If it may come again, approve it with an end (until).",
    "vendor": "Do these devices call their maker, a service or another site there? If it may go on, approve it; else refuse it.",
    "life-safety": "Do these devices pass on an alarm or the like there? If lives may depend on it, approve it; else refuse it.",
    "seldom": "Do these devices need this now and then, each by itself? Approve it, and name its service; or refuse it.",
    "weekly": "Does this run once a week? If it may go on, approve it.",
    "held": "Do these devices belong where they behave as if they did? Correct their profile, or write them into classification.yml.",
    "rare": "Who needs this, and how often? Approve it with an end (until), or refuse it.",
}


@dataclass(frozen=True)
class Expected:
    """Rare traffic that has what a rule needs but days. ``expires`` is the day from which on it is forgotten, YYYY-MM-DD."""

    client: str
    to: str
    protocol: int
    port: int
    service: str
    kind: str
    owner: str
    question: str
    first_seen: str
    last_seen: str
    days: int
    devices: int
    flows: int
    bytes: int
    expires: str

    @property
    def key(self) -> tuple[str, str, int, int]:
        """Return what makes two the same."""
        return self.client, self.to, self.protocol, self.port

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for files and results."""
        return dict(vars(self))


def rhythm(days: Sequence[date], covered: int) -> str:
    """Return in one word when something is seen: daily, working days, weekly, monthly, month-end, once or irregular."""
    if len(days) >= 0.8 * covered and len(days) > 1:
        return "daily"
    if at_month_end(days):
        return "month-end"
    if len(days) == 1:
        return "once"
    gaps = [(later - earlier).days for earlier, later in zip(days, days[1:], strict=False)]
    if all(gap % 7 == 0 for gap in gaps):
        return "weekly"
    if min(gaps) >= 25 and max(gaps) <= 35:
        return "monthly"
    weekdays = {day.weekday() for day in days}
    if not weekdays & {5, 6} and median(gaps) == 1:
        return "working days"
    return "irregular"


def at_month_end(days: Iterable[date]) -> bool:
    """Return whether all days are among a month's last three or first two."""
    return all(day.day <= FIRST_DAYS or day.day > monthrange(day.year, day.month)[1] - LAST_DAYS for day in days)


def kind_of(evidence: Evidence, covered: int, segment_devices: int, regular: Iterable[CandidateKey]) -> str:
    """Return what kind of rare traffic it is; ``regular`` are the candidates that are seen often."""
    key = evidence.key
    for other in regular:
        if (other.client, other.protocol, other.server_port) == (key.client, key.protocol, key.server_port):
            return "fail-over"
    large = evidence.bytes >= FIRMWARE_BYTES * max(1, evidence.flows)
    if large and evidence.client_devices * 4 >= segment_devices:
        return "firmware"
    found = rhythm(evidence.days, covered)
    return found if found in QUESTIONS else "rare"


def expected_of(evidence: Evidence, kind: str, service: str, owner: str, keep_days: int = EXPECTED_DAYS) -> Expected:
    """Return the item of a candidate."""
    first, last = evidence.days[0], evidence.days[-1]
    key = evidence.key
    return Expected(
        key.client, key.to, key.protocol, key.server_port, service, kind, owner, QUESTIONS[kind], first.isoformat(), last.isoformat(),
        len(evidence.days), evidence.client_devices, evidence.flows, evidence.bytes, (last + timedelta(days=keep_days)).isoformat(),
    )  # fmt: skip


def remembered(item: Expected) -> Evidence:
    """Return evidence of rare traffic that the present recordings do not hold any more, for a rule that a person has approved since."""
    ends = sorted({date.fromisoformat(item.first_seen), date.fromisoformat(item.last_seen)})
    first, last = ((day - EPOCH).days * DAY_US for day in (ends[0], ends[-1]))
    key = CandidateKey(item.client, item.to, item.protocol, item.port)
    return Evidence(
        key, tuple(ends), item.devices, 1, item.devices, item.flows, item.flows, item.bytes, first_us=first, last_us=last, best_method=1,
        confidence=1.0, remembered=True,
    )  # fmt: skip


def kept(
    earlier: Iterable[Mapping[str, Any]],
    now: Iterable[Expected],
    done: frozenset[tuple[str, str, int, int]],
    today: str,
) -> tuple[Expected, ...]:
    """Return what is expected: what is now, and what was earlier and has neither come due nor been dealt with (``done``)."""
    found = {each.key: each for each in now}
    for value in earlier:
        item = Expected(**value)
        if item.key not in found and item.key not in done and item.expires >= today:
            found[item.key] = item
    return tuple(found[key] for key in sorted(found))
