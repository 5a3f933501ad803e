# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A way back that the switch itself takes: a job of its scheduler that puts our own attachments back, and nothing else.

A checkpoint would undo other people's work as well. Armed before a list comes into force where management arrives, removed after
a new connection has proved the change. The scheduler counts minutes; a job of a remotely authenticated user needs
``scheduler aaa-authentication`` on the switch (NX-OS system management configuration guide, scheduler).
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_config import (
    CLAIM,
    CLAIM_KEEPS,
    UNKNOWN_SECONDS,
    WAY_BACK,
    WAY_BACK_KEEPS,
    NxosState,
    Place,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_session import NxosSession
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ways_back import WayBack as Standing
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ways_back import (
    left_behind,
    of_others,
    own_name,
    refusal,
    to_take_away,
    told_over,
    wait_until_gone,
)

MINUTE_SECONDS = 60.0
POLL_SECONDS = 2.0
GRACE_SECONDS = 20.0
SCHEDULES = "show scheduler schedule"
_SCHEDULE = re.compile(r"(?m)^Schedule Name\s*:\s*(\S+)\s*$")
_RUN = re.compile(r"(?m)^Last Execution Time\s*:\s*(.*?)\s*$")


@dataclass(frozen=True)
class WayBack:
    """An armed way back: the job's name, and until when (monotonic seconds) it has done its work."""

    name: str
    deadline: float


def back_lines(places: Sequence[Place], groups: Mapping[Place, str], fresh: str) -> list[str]:
    """Return the lines that attach at each place what stands there now."""
    lines: list[str] = []
    for interface, direction, command in places:
        old = groups.get((interface, direction, command), "")
        lines.append(f"interface {interface}")
        lines.append(f"{command} {old} {direction}" if old else f"no {command} {fresh} {direction}")
    return lines


def standing(session: NxosSession, state: NxosState) -> list[Standing]:
    """Return the ways back and claims that stand in the scheduler, but for claims of this process itself.

    The switch is asked of their time where one may be somebody else's. A schedule stays after its job has run; ``Yet to be executed``
    says that it has not. Half-typed ways back count as whole, half-typed claims have no time (``await_typing``).
    """
    waits, own = dict(state.waits), own_claims()
    made = [
        _claim(name, waits.get(name, 0))
        if name.startswith(CLAIM)
        else Standing(name, "", max(0, waits.get(name, 0)) or UNKNOWN_SECONDS)
        for name in sorted({name for _k, name in state.way_back} - own)
    ]
    if all(left_behind(way, session.spec.name) for way in made):
        return made
    try:
        shown = _SCHEDULE.split(session.show(SCHEDULES))
    except FindingError as error:
        if any(finding.code == codes.SESSION_LOST.number for finding in error.findings):
            raise
        return made
    runs = {name: _RUN.search(text) for name, text in zip(shown[1::2], shown[2::2], strict=True)}
    over = {name for name, run in runs.items() if run and re.match(r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ", run[1])}
    return [told_over(way) if way.name in over else way for way in made]


def _claim(name: str, seconds: int) -> Standing:
    """Return a claim. Its time may be over although its job never runs: that of an account which the scheduler cannot log in."""
    return Standing(name, "", max(0, seconds), over=seconds < 0)


def own_claims() -> set[str]:
    """Return the names that a claim of this process can have."""
    return {own_name(CLAIM), own_name(CLAIM_KEEPS)}


def own_names() -> set[str]:
    """Return the names that a way back or claim of this process can have."""
    return {own_name(WAY_BACK), own_name(WAY_BACK_KEEPS), *own_claims()}


def in_the_way(session: NxosSession, state: NxosState, own: Collection[str]) -> list[Standing]:
    """Return the ways back and claims of others for which a run has to stop.

    Where our own claim stands, the claims of others are not in its way: they came later, see ours and step back.
    """
    others = of_others(standing(session, state), session.spec.name, own)
    return [way for way in others if not (way.claim and state.claimed)]


def held(session: NxosSession, state: NxosState) -> dict[str, dict[str, Any]]:
    """Return what a snapshot says of the ways back that another run may still call off, by name."""
    others = of_others(standing(session, state), session.spec.name)
    return {way.name: {"owned": True, "held": way.described()} for way in others}


def wait_for_others(session: NxosSession, read: Callable[[], NxosState]) -> list[Finding]:
    """Wait until no other run has a way back armed, for an undo: see ``wait_until_gone``. One whose time is over is removed."""
    state = read()
    others = of_others(standing(session, state), session.spec.name)
    if not others:
        return []
    told = wait_until_gone(session.spec.name, others, lambda: standing(session, read()))
    state = read()  # the one that called its own off may have armed the next since
    going = to_take_away(session.spec.name, standing(session, state), others if told else ())
    _remove(session, state, lambda name: name in going)
    return told


def arm(session: NxosSession, state: NxosState, lines: Sequence[str], seconds: int) -> WayBack:
    """Arm it and see it armed, and no other; FindingError SW4424 or SW4476 with nothing left behind where that fails."""
    minutes = math.ceil(seconds / 60) + 1  # the minute that has begun does not count
    name = own_name(WAY_BACK_KEEPS if state.scheduler and not state.opened else WAY_BACK)
    typed = [] if state.scheduler else ["feature scheduler"]
    typed += [f"scheduler job name {name}", "configure terminal", *lines, "end-job"]
    typed += [
        f"scheduler schedule name {name}",
        f"job name {name}",
        f"time start +{minutes // 60:02d}:{minutes % 60:02d}",
    ]
    try:
        session.configure(typed)
        now = session.state()
        if {("job", name), ("schedule", name)} - set(now.way_back):
            raise FindingError(
                codes.NXOS_NO_WAY_BACK.at(f"{session.spec.name}: the job is not there after it was typed")
            )
        # Of two runs that meet here at least one steps back: each looks after it has armed its own.
        others = in_the_way(session, now, own=[name])
    except FindingError as error:
        if any(finding.code == codes.SESSION_LOST.number for finding in error.findings):
            raise
        disarm(session, session.state(), opened=not state.scheduler)
        raise FindingError(*error.findings, codes.NXOS_NO_WAY_BACK.at(session.spec.name)) from None
    if others:
        disarm(session, now, opened=not state.scheduler)
        raise FindingError(*refusal(session.spec.name, others))
    return WayBack(name, time.monotonic() + minutes * MINUTE_SECONDS + GRACE_SECONDS)


def disarm(session: NxosSession, state: NxosState, *, opened: bool = False) -> bool:
    """Remove our own way back, and those of dead runs; return whether there was something. ``opened``: we turned the feature on.

    FindingError SW4476 where there is nothing of our own, no claim either, and one that another run may still call off.
    """
    own = own_names()
    mine = {name for _kind, name in state.way_back} & own
    ways = standing(session, state) if {name for _kind, name in state.way_back} - own else []
    others = of_others(ways, session.spec.name)
    if others and not mine and not state.held:
        raise FindingError(*refusal(session.spec.name, others))
    kept = {way.name for way in others}
    return _remove(session, state, lambda name: name in mine or name not in kept, opened=opened)


def _remove(session: NxosSession, state: NxosState, chosen: Callable[[str], bool], *, opened: bool = False) -> bool:
    going = [(kind, name) for kind, name in sorted(state.way_back, reverse=True) if chosen(name)]
    lines = [f"no scheduler {kind} name {name}" for kind, name in going]
    # What somebody else has armed needs the feature, and so does our claim, which turns it off at its end.
    unused = not state.held and not state.scheduled and len(going) == len(state.way_back)
    if state.scheduler and unused and (opened or state.opened):
        lines.append("no feature scheduler")
    if lines:
        session.configure(lines)
    return bool(lines)


def wait_for(back: WayBack, open_session: Callable[[], NxosSession]) -> NxosSession | None:
    """Return a session that could be opened before the way back's time is over, else None."""
    while True:
        try:
            return open_session()
        except FindingError:
            if time.monotonic() > back.deadline:
                return None
            time.sleep(POLL_SECONDS)
