# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run's claim on a Nexus switch: a job of the scheduler that does nothing, and the time at which it does that (``ways_back.py``).

Whether a job of the scheduler may remove itself no document says, so this one stays when its time is over. The switch then says that its
schedule has run, and it is in nobody's way: the next run of anybody removes it. A configuration session is no claim: whoever enters
one of a name that is there goes on with its lines, and one that a dead run left waits until the switch reloads.

Where a run has turned the scheduler on, its claim goes by the very line that turns it off. So another run that claims at this moment sees
the claim of the first, or misses its own: never does it see itself alone and lose its claim after that.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes, ways_back
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_config import (
    CLAIM,
    CLAIM_KEEPS,
    NxosState,
    keeps,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_link import Link
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_session import NxosSession
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_way_back import (
    disarm,
    own_claims,
    own_names,
    standing,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ways_back import (
    LOOK_AGAIN,
    Outdone,
    await_typing,
    claim_seconds,
    of_others,
    own_name,
    refusal,
)

LOOKS = 4  # how often a run looks whether others that it has met are gone


def claim_lines(name: str, seconds: int) -> list[str]:
    """Return the lines of a claim that stands for some seconds: the scheduler counts minutes, and the one that has begun does not count."""
    minutes = math.ceil(seconds / 60) + 1
    return [
        f"scheduler job name {name}",
        "show clock",
        "end-job",
        f"scheduler schedule name {name}",
        f"job name {name}",
        f"time start +{minutes // 60:02d}:{minutes % 60:02d}",
    ]


def seconds_of(operation: Operation, spec: TargetSpec) -> int:
    """Return for how long a switch is claimed to carry out a step."""
    bodies = [str((body or {}).get("content", "")) for body in (operation.before, operation.after)]
    return claim_seconds(max(text.count("\n") for text in bodies), spec.revert_seconds)


class Claim:
    """Our claim on one switch, from the first change until ``release``."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._name = ""
        self._until = 0.0
        self._opened = self._refused = False

    def lasts(self, state: NxosState, seconds: int) -> bool:
        """Return whether it stands for at least half of so many seconds, or this switch takes none."""
        self._notes(state)
        return self._refused or (bool(self._name) and state.claimed and time.monotonic() + seconds / 2 < self._until)

    def gone(self, state: NxosState) -> list[Finding]:
        """Return an error where the claim that we hold does not stand any more."""
        self._notes(state)
        return [codes.CLAIM_GONE.at(f"{self._link.name}: {self._name}")] if self._name and not state.claimed else []

    def hold(self, state: NxosState, seconds: int) -> tuple[NxosState, list[Finding]]:
        """Claim the switch, see it claimed and no other run at work, then remove what dead runs left.

        Returns what is there now, and a warning where this switch takes no claim. Outdone where another run is at work: nothing but
        the claim was typed then, and it is gone again. ``state``: what was read before.
        """
        if self.lasts(state, seconds):
            return state, []
        try:
            return self._held(state, seconds)
        except FindingError:
            self.release()
            raise

    def _held(self, state: NxosState, seconds: int) -> tuple[NxosState, list[Finding]]:
        self._until, self._opened = time.monotonic() + seconds, False
        refused = self._typed(state, seconds)
        now = self._alone()
        if refused is not None:
            # Another run may have turned the scheduler off between two lines of ours. A switch that takes no claim says the same again.
            again = self._typed(now, seconds)
            now = self._alone()
            if again is not None and again.findings != refused.findings:
                raise Outdone(*again.findings)
            refused = again
        told = list[Finding]()
        if refused is not None:
            self.release()
            self._refused, now = True, self._link.state()
            told = [codes.NO_CLAIM.at(f"{self._link.name}: {refused.findings[0].message}")]
        elif missing := self.gone(now):
            raise Outdone(*missing)
        return (self._link.state() if self._cleared(now) else now), told

    def _alone(self) -> NxosState:
        """Return what is there; Outdone where another run is at work. What is half-typed is looked at a second time."""
        now = self._link.state()
        if await_typing(self._link.name, standing(self._link.session(), now)):
            now = self._link.state()
        if others := of_others(standing(self._link.session(), now), self._link.name, own_names()):
            raise Outdone(*refusal(self._link.name, others))
        return now

    def _cleared(self, state: NxosState) -> bool:
        """Remove what dead runs left, and return whether there was something; its run may remove it at this very moment."""
        try:
            return disarm(self._link.session(), state)
        except FindingError as error:
            if any(finding.code != codes.CLI_ERROR.number for finding in error.findings):
                raise
            return disarm(self._link.session(), self._link.state()) or True

    def _typed(self, state: NxosState, seconds: int) -> FindingError | None:
        """Type the claim, an older one of ours removed first; return why the switch does not take it."""
        self._opened = self._opened or not state.scheduler or state.opened
        self._name = own_name(CLAIM if self._opened else CLAIM_KEEPS)
        older = [*state.held, *(each for each in state.way_back if each[1] in own_claims())]
        self._link.claiming(self._name)
        lines = [
            *_removal(older),
            *([] if state.scheduler else ["feature scheduler"]),
            *claim_lines(self._name, seconds),
        ]
        try:
            self._link.session().configure(lines)
        except FindingError as error:
            if any(finding.code != codes.CLI_ERROR.number for finding in error.findings):
                raise
            return error
        return None

    def _notes(self, state: NxosState) -> None:
        """Note that the scheduler was turned on by one of our runs, though this one came when it was on."""
        self._opened = self._opened or (bool(self._name) and state.opened)

    def release(self) -> None:
        """Take our claim away where it stands, over a session that is there; else it is left to its time. Never raises FindingError."""
        session, name = self._link.answering(), self._name
        if name and session is not None:
            with contextlib.suppress(FindingError):
                state = self._last(session, name)
                alone = self._opened and state.scheduler and not state.way_back and not state.scheduled
                if lines := ["no feature scheduler"] if alone else _removal(state.held):
                    session.configure(lines)
        self._name = ""
        self._link.claiming("")

    def _last(self, session: NxosSession, name: str) -> NxosState:
        """Return what stands there when it is for us to end.

        Where several runs have met that turned the scheduler on, one of them stays until the others are gone, and turns it off.
        """
        state = session.state()
        for _look in range(LOOKS):
            self._notes(state)
            others = {each for _kind, each in state.way_back if each.startswith(CLAIM)}
            if not self._opened or not others or any(each < name for each in others if not keeps(each)):
                break
            ways_back.pause(LOOK_AGAIN)
            state = session.state()
        return state


def _removal(parts: Sequence[tuple[str, str]]) -> list[str]:
    """Return the lines that remove jobs and schedules, schedules first."""
    return [f"no scheduler {kind} name {name}" for kind, name in sorted(set(parts), reverse=True)]
