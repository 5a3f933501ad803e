# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The work on the lists of a Nexus switch: build and prove a version, put it in force and confirm, or put back what was there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import difference
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes, nxos_way_back
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.list_versions import (
    former_name,
    half_typed,
    stood_before,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_claim import Claim
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_config import (
    NxosState,
    Place,
    family_of,
    list_header,
    list_text,
    ours,
    typed_lines,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_guard import (
    capacity_findings,
    management_findings,
    place_findings,
    update_findings,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_link import Link
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ways_back import tell_of_others

_RULE = re.compile(r"(?m)^\s*(?:\d{1,10} )?((?:permit|deny) .*?)\s*$")


class Work:
    """What is done on one switch. ``told``: what there is to say of the step under way."""

    def __init__(self, link: Link, claim: Claim) -> None:
        self._link, self._claim = link, claim
        self.told: list[Finding] = []

    def ask(self, content: str, places: Sequence[Place], state: NxosState) -> None:
        """Raise FindingError before anything is written where the list may not, or cannot, come into force."""
        session = self._link.session()
        found = place_findings(state, places, self._link.name)
        if places:
            found += update_findings(state, self._link.name)
            found += capacity_findings(session, content, places)
            found += management_findings(content, places, self._link.name, self._link.managed_by(state))
        if errors_of(found):
            raise FindingError(*found)
        self.told += found

    def build(self, fresh: str, content: str, state: NxosState, *, in_force: str) -> None:
        """Build a version that is attached nowhere, read it back and prove it; remove it again where anything goes wrong."""
        lines = [f"no {list_header(fresh, state.families[fresh])}"] if fresh in state.lists else []
        try:
            self._link.session().change([*lines, list_header(fresh, family_of(content)), *typed_lines(content)])
            now = self._link.state()
            if gone := self._claim.gone(now):
                raise FindingError(*gone)
            proof = difference("nxos", shown_text(now, fresh), content)
            if not proof.equal:
                raise FindingError(codes.NOT_PROVED.at(f"{self._link.name}: list {fresh}: {proof.text}"))
        except FindingError as error:
            raise FindingError(*error.findings, *self._clean_up([fresh], in_force, error.findings)) from None

    def _clean_up(self, names: Sequence[str], in_force: str, why: Sequence[Finding] = ()) -> list[Finding]:
        """Remove unattached versions after a failure and return what is there now, as findings.

        Where the failure (``why``) is a sign of another run, and no claim of ours holds it off, that one may be about to attach a version
        of the same name: it stays.
        """
        try:
            state = self._link.state()
            present = self._loose(names, state)
            if present and (state.claimed or not tell_of_others(why)):
                self._link.session().configure([f"no {list_header(name, state.families[name])}" for name in present])
                present = [name for name in present if name in self._link.state().lists]
        except FindingError as error:
            text = f"{self._link.name}: {', '.join(names)} may be left, attached nowhere ({error.findings[0].code})"
            return [codes.LEFT_BEHIND.at(text)]
        if present:
            return [codes.LEFT_BEHIND.at(f"{self._link.name}: {', '.join(present)}, attached nowhere")]
        text = f"{self._link.name}: nothing of the new version is left"
        text += f"; {in_force} is still in force" if in_force else ""
        return [codes.LEFT_BEHIND.at(text).with_severity("info")]

    def swap(self, fresh: str, content: str, places: Sequence[Place], state: NxosState, anew: bool = True) -> None:
        """Change all attachments in one commit and confirm from a new connection; put the old ones back where that fails.

        Where management arrives a way back is armed before, and removed when the new connection has been made.
        """
        typed: list[str] = []
        for interface, direction, command in places:
            typed += [f"interface {interface}", f"{command} {fresh} {direction}"]
        back: nxos_way_back.WayBack | None = None
        committed = False
        try:
            session = self._link.session()
            path = self._link.managed_by(state)
            if path.may_cut(places):
                lines = nxos_way_back.back_lines(places, state.groups, fresh)
                back = nxos_way_back.arm(session, state, lines, self._link.spec.revert_seconds)
            session.change(typed)
            committed = True
            self._confirm_places(fresh, content, places, anew or back is not None)
        except FindingError as error:
            told = self._swap_back(fresh, places, state, back, error.findings, committed=committed)
            raise FindingError(*error.findings, *told) from None
        if back is not None:
            nxos_way_back.disarm(self._link.session(), self._link.state())

    def _confirm_places(self, fresh: str, content: str, places: Sequence[Place], anew: bool) -> None:
        """See every place hold the version, where ``anew`` from a new login, whose session is the one that goes on."""
        if anew:
            try:
                session = self._link.opened()
            except FindingError as error:
                text = f"{self._link.name}: no new connection with {fresh} in force"
                raise FindingError(*error.findings, codes.NOT_CONFIRMED.at(text)) from None
            # The first session stays until the second one has answered.
            found = session.state()
            self._link.replace(session)
        else:
            found = self._link.session().state()
        wrong = [f"{place[0]} {place[1]}" for place in places if found.groups.get(place) != fresh]
        if wrong or not same_meaning(found, fresh, content):
            text = f"{self._link.name}: {fresh} is not in force on {', '.join(wrong) or 'the device'}"
            raise FindingError(codes.NOT_CONFIRMED.at(text))

    def _swap_back(
        self, fresh: str, places: Sequence[Place], state: NxosState, back: nxos_way_back.WayBack | None,
        why: Sequence[Finding], *, committed: bool,
    ) -> list[Finding]:  # fmt: skip
        """Put back what was attached before and remove the new version; return what is in force now, as findings."""
        told: list[Finding] = []
        try:
            now = self._link.state()
        except FindingError as error:
            session = None
            if back is not None:
                session = nxos_way_back.wait_for(back, self._link.opened)
            if session is None:
                shown = ", ".join(f"{place[0]} {place[1]}" for place in places)
                text = f"{self._link.name}: {shown} may hold the version before or {fresh}, each of them whole"
                return [codes.SESSION_LOST.at(f"{text} ({error.findings[0].code})")]
            self._link.replace(session)
            committed = True  # or may be
            try:
                now = self._link.state()
            except FindingError as again:
                return list(again.findings)
        # Only what holds our new version goes back: a list that somebody else put there meanwhile is theirs.
        mine = [place for place in places if now.groups.get(place) == fresh != state.groups.get(place)]
        try:
            if mine:
                self._link.session().change(nxos_way_back.back_lines(mine, state.groups, fresh))
                now = self._link.state()
            elif (
                committed
                and back is not None
                and all(now.groups.get(place) == state.groups.get(place) for place in places)
            ):
                told.append(codes.NXOS_WENT_BACK.at(self._link.name))
        except FindingError as error:
            armed = "; the way back is armed" if back is not None else ""
            shown = ", ".join(f"{place[0]} {place[1]}" for place in mine)
            text = f"{self._link.name}: {shown} may hold the version before or {fresh}, each of them whole{armed}"
            return [*error.findings, codes.SESSION_LOST.at(text)]
        try:
            nxos_way_back.disarm(self._link.session(), now)
        except FindingError as error:
            told += error.findings
        differing = [place for place in places if now.groups.get(place) != state.groups.get(place)]
        if differing:
            return told + [
                codes.NOT_CONFIRMED.at(
                    f"{self._link.name}: {place[0]} {place[1]} holds {now.groups.get(place, 'nothing')}"
                )
                for place in differing
            ]
        if fresh in state.lists:
            return told
        return told + self._clean_up(
            [fresh], ", ".join(sorted({state.groups.get(place, "") for place in places} - {""})), why
        )

    def _loose(self, names: Sequence[str], state: NxosState) -> list[str]:
        """Return those of these lists that exist, are ours and are used nowhere."""
        used = {*state.groups.values(), *state.elsewhere}
        return [name for name in names if name in state.lists and name not in used and ours(name)]

    def remove(self, names: Sequence[str]) -> None:
        """Remove lists that are in force nowhere any more, and those that were adopted; what cannot be removed is told."""
        if not names:
            return
        state = self._link.state()
        attached = set(state.groups.values())
        chosen = [name for name in names if name in state.lists and name not in attached]
        if chosen:
            self._link.session().configure([f"no {list_header(name, state.families[name])}" for name in chosen])


def shown_text(state: NxosState, live: str, name: str = "") -> str:
    """Return a live list in the form of a desired one; a list that is not there has no line and so is never understood."""
    return list_text(name or live, state.lists.get(live, ()), state.families.get(live, 4))


def before_step(step: Operation, versions: Sequence[str], state: NxosState) -> list[str]:
    """Return those versions of a step's list that are as the plan found it."""

    def means(live: str, content: str) -> bool:
        return shown_text(state, live, step.name) == content or same_meaning(state, live, content)

    return stood_before(step, versions, means)


def found_out(step: Operation, versions: Sequence[str], state: NxosState) -> dict[str, str]:
    """Return what stood before a step whose run did not tell: what of it is there still, else what the plan read of it."""
    if there := before_step(step, versions, state):
        return {live: shown_text(state, live) for live in there}
    name = former_name(step.name, versions[0] if versions else "", {*state.groups.values(), *state.elsewhere})
    return {name: str((step.before or {})["content"])}


def left_half_typed(live: str, texts: Iterable[str], state: NxosState) -> bool:
    """Return whether a version of ours, in force nowhere, is what a run that ended in the middle of typing left of one of the texts.

    Only a switch without Session Manager has such.
    """
    if state.attached(live) or not ours(live):
        return False
    family = state.families[live]

    def alike(_entries: Sequence[str], wanted: Sequence[str]) -> bool:
        return same_meaning(state, live, list_text("live", tuple(wanted), family))

    entries = _RULE.findall(shown_text(state, live))
    return any(half_typed(entries, _RULE.findall(text), alike) for text in texts if family_of(text) == family)


def same_meaning(state: NxosState, live: str, content: str) -> bool:
    """Return whether a live list means what a text says; an empty list permits everything and equals nothing."""
    lines = state.lists.get(live, ())
    if not lines or state.families[live] != family_of(content):
        return False
    try:
        return difference("nxos", shown_text(state, live), content).equal
    except (FindingError, ValueError):
        return lines == typed_lines(content)
