# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The switch itself: clock, members of a stack, uptime."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Parsed
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.lines import CONTROL, Remarks, lines_of

_CLOCK = re.compile(
    r"(?m)^\s*(?P<mark>[*.]?)(?P<time>\d{2}:\d{2}:\d{2})\.\d{3} (?P<zone>\S{1,8}) \w{3} (?P<date>\w{3} \d{1,2} \d{4})\s*$"
)
_MEMBER = re.compile(r"\A(?P<active>\*?) *(?P<number>\d{1,2}) +\d+ +(?P<model>\S+) +(?P<version>\S+) +\S+(?: +\S+)?\Z")
_MEMBERS_HEAD = re.compile(r"\ASwitch +Ports +Model +SW Version")
_UPTIME = re.compile(r"(\d+) (year|week|day|hour|minute|second)s?")
_SECONDS = {"year": 31_536_000, "week": 604_800, "day": 86_400, "hour": 3_600, "minute": 60, "second": 1}


@dataclass(frozen=True)
class Clock:
    """A switch's clock. ``time``: RFC 3339 in UTC where the zone is UTC or GMT, else empty; ``mark``: ``*`` not set, ``.`` set but lost
    its source, empty for synchronised (Cisco IOS command reference, ``show clock``)."""

    shown: str
    zone: str
    time: str
    mark: str


@dataclass(frozen=True)
class Member:
    """One switch of a stack, by its number from 1."""

    number: int
    model: str
    version: str
    active: bool


def clock(text: str) -> Parsed[Clock]:
    """Return what ``show clock`` says; none and a finding where it says nothing of the kind."""
    remarks = Remarks("show clock")
    # The common furniture of output is a clock itself, so only refusals are looked for there.
    lines_of(text, remarks.command)
    found = _CLOCK.search(CONTROL.sub("", text.replace("\r", "")))
    if found is None:
        remarks.note(codes.OUTPUT_EMPTY, "no time in the output")
        return Parsed((), tuple(remarks.findings))
    moment = ""
    try:
        parsed = datetime.strptime(f"{found['date']} {found['time']}", "%b %d %Y %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        remarks.note(codes.VALUE_INVALID, f"{found[0].strip()[:60]!r} is no time")
        return Parsed((), tuple(remarks.findings))
    if found["zone"] in ("UTC", "GMT", "Z"):
        moment = parsed.strftime("%Y-%m-%dT%H:%M:%SZ")
    return Parsed((Clock(found[0].strip(), found["zone"], moment, found["mark"]),))


def members(text: str) -> tuple[Member, ...]:
    """Return the members of a stack as ``show version`` lists them, in order; empty where it lists none (a chassis, an old image)."""
    found: list[Member] = []
    inside = False
    for line in lines_of(text, "show version"):
        if _MEMBERS_HEAD.match(line.stripped):
            inside = True
        elif inside:
            row = _MEMBER.match(line.stripped)
            if row is None:
                break
            found.append(Member(int(row["number"]), row["model"], row["version"], bool(row["active"])))
    return tuple(found)


def uptime_seconds(text: str) -> int | None:
    """Return ``3 weeks, 2 days, 1 hour`` as seconds, None where nothing of it is read."""
    parts = _UPTIME.findall(text)
    return sum(int(count) * _SECONDS[unit] for count, unit in parts) if parts else None
