# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting another list in force on an ASA: armed, in one line for each place, confirmed from a new login, or put back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import only_list
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_config import (
    WAY_BACK,
    AsaState,
    Place,
    attach_line,
    place_name,
    way_back,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_conns import (
    no_longer_permitted,
    read_connections,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_session import AsaSession
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_trace import chosen_traces, trace_findings
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ways_back import (
    at_work,
    of_others,
    own_name,
    refusal,
)

SHOWN = 3
MOST_CLEARED = 1000
LEAST_SECONDS = 10


class Holder(Protocol):
    """What a swap needs of its target."""

    name: str
    spec: TargetSpec

    def connected(self) -> AsaSession:
        """Return the session in use."""

    def fresh_session(self) -> AsaSession:
        """Return a second session from a new login."""

    def replace_session(self, session: AsaSession) -> None:
        """Go on with another session."""

    def state(self) -> AsaState:
        """Return the configuration, freshly read."""

    def clean_up(self, names: Sequence[str], in_force: str, why: Sequence[Finding] = ()) -> list[Finding]:
        """Remove unattached versions after a failure."""


class Swap:
    """One change of ``access-group`` lines, from the state that was read before it."""

    def __init__(self, target: Holder, state: AsaState) -> None:
        self._target, self._state = target, state

    @staticmethod
    def armed(state: AsaState) -> bool:
        """Return whether the way back of this run stands in the configuration."""
        return own_name(WAY_BACK) in state.applets

    def disarm(self) -> AsaState:
        """Remove the way back of this run and return the configuration after it."""
        self._target.connected().configure([f"no event manager applet {own_name(WAY_BACK)}"])
        return self._target.state()

    def swap(self, fresh: str, places: Sequence[Place], content: str, *, narrows: bool) -> list[Finding]:
        """Put a version in force at the places; return warnings. FindingError with the old lists back in force, or with what is.

        ``narrows``: connections that the list no longer permits are looked for, and cleared where it is sure that they are its own.
        """
        with at_work(self._target.name):
            return self._swapped(fresh, places, content, narrows)

    def _swapped(self, fresh: str, places: Sequence[Place], content: str, narrows: bool) -> list[Finding]:
        findings: list[Finding] = []
        target = self._target
        in_force = ", ".join(sorted({self._state.groups.get(place, "") for place in places} - {""}))
        try:
            findings += self._arm(fresh, list(places))
            armed_at = time.monotonic()
            target.connected().configure([attach_line(fresh, place) for place in places])
            findings += self._confirm(fresh, places, content)
            if not any(finding.code == codes.ASA_NOT_ARMED.number for finding in findings):
                now = self.disarm()
                wrong = [place_name(place) for place in places if now.groups.get(place) != fresh]
                if wrong:
                    waited = int(time.monotonic() - armed_at)
                    text = (
                        f"{target.name}: {', '.join(wrong)} after {waited} s; {in_force or 'no list'} is in force there"
                    )
                    raise FindingError(codes.REVERTED.at(text))
        except FindingError as error:
            raise FindingError(*error.findings, *self._back(fresh, places, in_force, error.findings)) from None
        return findings + (self._connections(content, places) if narrows else [])

    def _arm(self, fresh: str, places: list[Place]) -> list[Finding]:
        """Arm the way back; a warning where this ASA (or a context of it) has no event manager."""
        target = self._target
        lines = way_back(self._state, fresh, places, max(LEAST_SECONDS, target.spec.revert_seconds))
        try:
            target.connected().configure(lines)
        except FindingError as error:
            if any(finding.code != codes.CLI_ERROR.number for finding in error.findings):
                raise
            if self.armed(target.state()):
                self.disarm()
            return [codes.ASA_NOT_ARMED.at(f"{target.name}: {error.findings[0].message}")]
        now, own = target.state(), own_name(WAY_BACK)
        mine = next((way for way in now.ways_back if way.name == own), None)
        if mine is None or not mine.seconds or mine.lines < len(lines) - 1:
            raise FindingError(codes.NOT_ARMED.at(f"{target.name}: {own} is not there as it was typed"))
        # Of two runs that meet here at least one steps back: each looks after it has armed its own.
        if others := of_others(now.ways_back, target.name, own):
            raise FindingError(*refusal(target.name, others))
        return []

    def _confirm(self, fresh: str, places: Sequence[Place], content: str) -> list[Finding]:
        """See every place hold the version and packet-tracer agree, from a new login, whose session is the one that goes on."""
        target = self._target
        try:
            session = target.fresh_session()
        except FindingError as error:
            text = f"{target.name}: no new connection with {fresh} in force"
            raise FindingError(*error.findings, codes.NOT_CONFIRMED.at(text)) from None
        try:
            found = session.state()  # the first session stays until the second one has answered
        except FindingError:
            session.close()
            raise
        target.replace_session(session)
        wrong = [place_name(place) for place in places if found.groups.get(place) != fresh]
        if wrong or fresh not in found.lists:
            text = f"{target.name}: {fresh} is not in force at {', '.join(wrong) or 'any place'}"
            raise FindingError(codes.NOT_CONFIRMED.at(text))
        findings: list[Finding] = []
        for trace in chosen_traces(content, found, places):
            findings += trace_findings(target.name, trace, fresh, session.show(trace.command()))
        wrong_traces = [finding for finding in findings if finding.severity == "error"]
        if wrong_traces:
            raise FindingError(*wrong_traces)
        return findings

    def _back(self, fresh: str, places: Sequence[Place], in_force: str, why: Sequence[Finding]) -> list[Finding]:
        """Put back what was attached before and remove the new version; return what is in force now, as findings."""
        target = self._target
        typed = []
        try:
            now = target.state()
            for place in places:
                old, live = self._state.groups.get(place, ""), now.groups.get(place, "")
                if live == fresh and old != fresh:
                    typed.append(attach_line(old, place) if old else f"no {attach_line(fresh, place)}")
            if typed:
                target.connected().configure(typed)
            after = target.state()
            if self.armed(after):
                after = self.disarm()
        except FindingError as error:
            shown = ", ".join(place_name(place) for place in places)
            text = (
                f"{target.name}: {shown} may hold the version before or {fresh}, each of them whole"
                f" ({error.findings[0].code}); an armed way back puts back {in_force or 'no list'}"
            )
            return [codes.SESSION_LOST.at(text)]
        differing = [place for place in places if after.groups.get(place) != self._state.groups.get(place)]
        if differing:
            return [
                codes.NOT_CONFIRMED.at(f"{target.name}: {place_name(place)} holds {after.groups.get(place, 'nothing')}")
                for place in differing
            ]
        return [] if fresh in self._state.lists else target.clean_up([fresh], in_force, why)

    def _connections(self, content: str, places: Sequence[Place]) -> list[Finding]:
        """Look for connections that go on although the list denies them; clear those that are surely its own."""
        target = self._target
        try:
            table, unread = read_connections(target.connected().show("show conn"))
            denied = no_longer_permitted(table, only_list("asa", content).first_match(), self._state, places)
            for connection in denied[:MOST_CLEARED]:
                target.connected().clear(connection.clear())
        except (FindingError, ValueError) as error:
            return [codes.ASA_CONNECTIONS_GO_ON.at(f"{target.name}: the table could not be read or cleared ({error})")]
        findings = []
        if denied:
            shown = "; ".join(each.describe() for each in denied[:SHOWN])
            text = f"{target.name}: {min(len(denied), MOST_CLEARED)} cleared, among them {shown}"
            findings.append(codes.ASA_CONNECTIONS_CLEARED.at(text))
        judged = not any(place[0] for place in places)
        left = len(denied) - MOST_CLEARED
        if unread or left > 0 or (table and not judged):
            text = f"{unread} not understood, {max(left, 0)} above the limit" if judged else f"{len(table)} not judged"
            findings.append(codes.ASA_CONNECTIONS_GO_ON.at(f"{target.name}: {text}"))
        return findings
