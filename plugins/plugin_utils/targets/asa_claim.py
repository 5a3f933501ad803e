# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a run may type at an ASA: its claim there, the claims and ways back of others, and what dead runs left (``ways_back.py``)."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_config import AsaState, claim_lines
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_session import AsaSession
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_ways_back import judged
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_claim import Claim
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ways_back import (
    Outdone,
    await_typing,
    claim_seconds,
    of_others,
    refusal,
    to_take_away,
    wait_until_gone,
)


class Claimed(Protocol):
    """What a claim needs of its target."""

    name: str
    spec: TargetSpec

    def connected(self) -> AsaSession:
        """Return the session in use."""

    def read(self) -> AsaState:
        """Return the configuration with all that stands there, freshly read."""

    def state(self) -> AsaState:
        """Return the configuration without our own claim, freshly read."""


class AsaClaim:
    """Our claim on one ASA. It stands from the first step until it is released, so that no other run comes between two steps."""

    def __init__(self, target: Claimed) -> None:
        self._target, self._claim = target, Claim()

    @property
    def lost(self) -> str:
        """Return the name of our claim where the last reading did not show it; "" where it stood, or could never be made."""
        return "" if self._claim.stands else self._claim.name

    @property
    def stands(self) -> bool:
        """Return whether the last reading showed it, whole."""
        return self._claim.stands

    def without(self, state: AsaState) -> AsaState:
        """Note whether it stands in a configuration, and return that without it."""
        ways = self._claim.seen(state.ways_back)
        return state if ways == state.ways_back else replace(state, ways_back=ways)

    def settle(self, *, undo: bool = False, to_hold: bool = False) -> tuple[AsaState, list[Finding]]:
        """Take away what runs that died left armed: their ways back have fired, or would fire into what is done now.

        FindingError SW4476 where another run may still call one off; an undo waits until it is gone. ``to_hold``: claims are left to
        ``hold``: one that is half typed may be whole the moment after, and its run find itself alone.
        """
        target, told = self._target, list[Finding]()
        state = target.state()
        if await_typing(target.name, state.ways_back):
            state = target.state()
        if others := of_others(judged(target.connected(), state.ways_back), target.name):
            if not undo:
                raise FindingError(*refusal(target.name, others))
            told = wait_until_gone(target.name, others, lambda: judged(target.connected(), target.state().ways_back))
            state = target.state()
            # The one that called its own off may have armed the next since.
            to_take_away(target.name, judged(target.connected(), state.ways_back), others if told else ())
        claims = {way.name for way in state.ways_back if way.claim} if to_hold else set()
        names = [name for name in state.applets if name not in claims]
        return self._take_away(names) if names else state, told

    def _take_away(self, names: Sequence[str]) -> AsaState:
        """Take applets away and return the configuration after it; one that has gone by itself meanwhile is no failure."""
        refused = None
        for name in names:
            try:
                self._target.connected().configure([f"no event manager applet {name}"])
            except FindingError as error:
                if not _refused(error):
                    raise
                refused = error
        state = self._target.state()
        if refused is not None and set(names) & set(state.applets):
            raise refused
        return state

    def hold(self, operation: Operation) -> list[Finding]:
        """Hold our claim before anything else is typed, and see no other's; a warning where this ASA has no event manager.

        Outdone where another run is at work: nothing but the claim was typed then, and it is gone again.
        """
        target, claim, told = self._target, self._claim, list[Finding]()
        bodies = [str((body or {}).get("content", "")) for body in (operation.before, operation.after)]
        seconds = claim_seconds(max(text.count("\n") for text in bodies), target.spec.revert_seconds)
        if claim.lasts(seconds):
            return told
        older, lines = claim.stands and claim.name, claim_lines(seconds)
        claim.begun(tuple(lines), seconds)
        try:
            target.connected().configure([*([f"no event manager applet {older}"] if older else []), *lines])
        except FindingError as error:
            if not _refused(error):
                raise
            told = [codes.NO_CLAIM.at(f"{target.name}: {error.findings[0].message}")]
        state, mine = target.read(), claim.name
        ways = claim.seen(state.ways_back)
        if mine not in state.applets:
            claim.gone()
        others = of_others(judged(target.connected(), ways), target.name)
        if others or told or not claim.stands:
            self.release(target.connected())
        if others:
            raise Outdone(*refusal(target.name, others))
        if not (told or claim.stands):  # another run took it for a leftover while it was typed
            raise Outdone(codes.CLAIM_GONE.at(f"{target.name}: {mine}"))
        # Whoever completes a claim from here on sees ours, which stands already, and steps back.
        if left := [way.name for way in ways if way.claim]:
            self._take_away(left)
        return told

    def release(self, session: AsaSession | None) -> None:
        """Take our claim away where it stands, over a session that is there; else it is left to its time. Never raises FindingError."""
        if self._claim.name and session is not None:
            with contextlib.suppress(FindingError):
                session.configure([f"no event manager applet {self._claim.name}"])
        self._claim.gone()


def _refused(error: FindingError) -> bool:
    """Return whether a line was refused, and nothing worse happened."""
    return all(finding.code == codes.CLI_ERROR.number for finding in error.findings)
