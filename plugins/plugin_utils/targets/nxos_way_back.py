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
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_config import (
    WAY_BACK,
    WAY_BACK_KEEPS,
    NxosState,
    Place,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_session import NxosSession

MINUTE_SECONDS = 60.0
POLL_SECONDS = 2.0
GRACE_SECONDS = 20.0


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


def arm(session: NxosSession, state: NxosState, lines: Sequence[str], seconds: int) -> WayBack:
    """Arm it and see it armed; FindingError SW4424 with nothing left behind where that fails."""
    minutes = math.ceil(seconds / 60) + 1  # the minute that has begun does not count
    name = WAY_BACK_KEEPS if state.scheduler else WAY_BACK
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
    except FindingError as error:
        if any(finding.code == codes.SESSION_LOST.number for finding in error.findings):
            raise
        disarm(session, session.state(), opened=not state.scheduler)
        raise FindingError(*error.findings, codes.NXOS_NO_WAY_BACK.at(session.spec.name)) from None
    return WayBack(name, time.monotonic() + minutes * MINUTE_SECONDS + GRACE_SECONDS)


def disarm(session: NxosSession, state: NxosState, *, opened: bool = False) -> bool:
    """Remove what of ours stands in the scheduler; return whether there was something. ``opened``: we turned the feature on."""
    lines = [f"no scheduler {kind} name {name}" for kind, name in sorted(state.way_back, reverse=True)]
    if state.scheduler and (opened or any(name == WAY_BACK for _kind, name in state.way_back)):
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
