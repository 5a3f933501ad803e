# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an IOS switch says of ways back that stand armed on it: applets of ours, and the archive's revert timer of anybody."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import IosState
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_management import asked
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_session import IosSession
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ways_back import (
    GRACE,
    WayBack,
    await_typing,
    left_behind,
    of_others,
    refusal,
    told_over,
    wait_until_gone,
)

REGISTERED = "show event manager policy registered"
ARCHIVE_TIMER = "show archive config rollback timer"
# No., class, type, event type, trap, time registered, name (Cisco IOS EEM command reference).
_POLICY = re.compile(r"(?m)^\d+\s+applet\s+\S+\s+timer countdown\s.*?(\w{3} +\d{1,2} \d\d:\d\d:\d\d \d{4})\s+(\S+)\s*$")
_CLOCK = re.compile(r"(?m)^[*.]?(\d\d:\d\d:\d\d)\.\d+ \S+ \w{3} (\w{3}) +(\d{1,2}) (\d{4})\s*$")


def judged(session: IosSession, ways: Sequence[WayBack]) -> tuple[WayBack, ...]:
    """Return ways back with what the switch says of their time; it is asked only for those that may be somebody else's.

    An applet takes itself away when it strikes. One that stands there although its seconds are over, by the switch's own clock, will
    not strike any more. Where the switch does not tell, it counts as one that may.
    """
    name = session.spec.name
    if all(left_behind(way, name) for way in ways):
        return tuple(ways)
    now = _CLOCK.search(asked(session, "show clock"))
    begun = {applet: moment for moment, applet in _POLICY.findall(asked(session, REGISTERED))}
    if now is None:
        return tuple(ways)
    here = _moment(f"{now[2]} {now[3]} {now[1]} {now[4]}")
    return tuple(
        told_over(way)
        if way.name in begun and (here - _moment(begun[way.name])).total_seconds() > way.seconds + GRACE
        else way
        for way in ways
    )


def settled(
    session: IosSession, state: IosState, read: Callable[[], IosState], *, undo: bool
) -> tuple[IosState, list[Finding]]:
    """Return the state to work from, in which every way back is one that nobody calls off any more, and what there is to say.

    FindingError SW4476 where another run may still call one off, SW4478 where somebody's revert timer of the archive counts.
    An undo waits for the first until it is gone, and is only told of the second: the way back is never blocked.
    """
    name, told = session.spec.name, list[Finding]()
    if await_typing(name, state.ways_back):
        state = read()
    others = of_others(judged(session, state.ways_back), name)
    if others and not undo:
        raise FindingError(*refusal(name, others))
    if others:
        seen = [state]

        def look() -> tuple[WayBack, ...]:
            seen.append(read())
            return judged(session, seen[-1].ways_back)

        told += wait_until_gone(name, others, look)
        state = seen[-1]
    timer = re.search(r"(?m)^Timer value:\s*(\d+) min", asked(session, ARCHIVE_TIMER)) if state.archive else None
    if timer:
        who = re.search(r"(?m)^User:\s*(\S+)", asked(session, ARCHIVE_TIMER))
        found = codes.ARCHIVE_COUNTS.at(f"{name}: {timer[1]} minutes, by {who[1] if who else 'an unknown user'}")
        if not undo:
            raise FindingError(found)
        told.append(found.with_severity("warning"))
    return state, told


def _moment(text: str) -> datetime:
    """Return a moment of the switch's own clock; only differences of two mean anything."""
    return datetime.strptime(" ".join(text.split()), "%b %d %H:%M:%S %Y")
