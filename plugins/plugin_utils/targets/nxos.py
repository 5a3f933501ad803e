# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cisco NX-OS switches as targets: IPv4 and IPv6 access lists on ports and routed interfaces.

A list in force is never edited. Its next version is built beside it in a configuration session, read back and proved; all its
attachments change in one commit, which the switch verifies against its hardware; a new connection confirms; only then the old
version goes. Where management arrives, a job in the switch's scheduler puts the attachments back unless it is removed
(facts/devices.md sections 1.6 and 5).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_now
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import body_difference
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import (
    Operation,
    OperationResult,
    Snapshot,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import PRUNE, objects_sha256
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes, nxos_way_back, ways_back
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import same_list
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.list_steps import not_held
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.list_versions import places_before
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.management import ManagementPath
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_claim import LOOKS, Claim, seconds_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_config import (
    NxosState,
    Place,
    base_name,
    list_header,
    ours,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_diff import (
    ATTACHMENT,
    LIST,
    WAY_BACK_JOB,
    in_force,
    judged_places,
    live_objects,
    nxos_operations,
    place_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_guard import (
    management_findings,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_link import Link
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_paper import PaperSession
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_session import NxosSession
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_undo import Undo
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_work import (
    Work,
    before_step,
    same_meaning,
    shown_text,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ways_back import (
    CLAIM,
    LOOK_AGAIN,
    not_outdone,
    of_others,
    refusal,
    working,
)

MANAGEMENT = "management"
# What carries a step out; it tells whether it has typed anything, and what undo needs.
Doing = Callable[[], tuple[bool, dict[str, Any]]]


class NxosTarget:
    """One switch over SSH. One session at a time, and a second one only to confirm. Not for use from several threads at once."""

    platform = "nxos"

    def __init__(self, spec: TargetSpec, open_session: Callable[[TargetSpec], NxosSession] = NxosSession) -> None:
        self.name, self.spec = spec.name, spec
        self._link = Link(spec, open_session)
        self._claim = Claim(self._link)
        self._work = Work(self._link, self._claim)
        self._undo = Undo(self._link, self._work, self._claim)
        self._unsaved = False
        self._said: tuple[Finding, ...] = ()

    # -- reading and planning

    def snapshot(self, desired: Sequence[DesiredObject]) -> Snapshot:
        """Return our lists, their attachments, and what stands on the desired places; see the protocol."""
        state = self._link.state()
        objects = live_objects(state, desired)
        held = nxos_way_back.held(self._link.session(), state) if state.way_back else {}
        objects |= {f"{WAY_BACK_JOB}/{name}": body for name, body in held.items()}
        if self._link.session().left_behind():
            objects[f"{WAY_BACK_JOB}/session"] = {"owned": True}
        raw = {name: "\n".join(lines) for name, lines in state.lists.items() if ours(name)}
        live = Snapshot(self.name, self.platform, objects, objects_sha256(objects), raw, iso_now())
        try:
            steps = nxos_operations(self.name, desired, live, adopt=self.spec.adopt)
        except FindingError:
            return live  # diff says why
        if judged_places(steps, live):
            raw[MANAGEMENT] = self._link.managed_by(state).as_text()
        return live

    def diff(self, desired: Sequence[DesiredObject], live: Snapshot) -> tuple[Operation, ...]:
        """Return the ordered steps from live to desired; see the protocol. Refuses what cuts off management (SW4263)."""
        steps = nxos_operations(self.name, desired, live, adopt=self.spec.adopt)
        if MANAGEMENT in live.raw:
            path = ManagementPath.of_text(live.raw[MANAGEMENT])
            found = [
                finding
                for content, places in judged_places(steps, live)
                for finding in management_findings(content, places, self.name, path)
            ]
            if errors_of(found):
                raise FindingError(*errors_of(found))
        return steps

    def prepare_change(self, steps: Sequence[Operation]) -> tuple[tuple[str, ...], tuple[Finding, ...]]:
        """Return the lines that carrying out the steps types, and what there is to say of them; see ``LinesKnown``.

        The steps are carried out by the same code over a copy of the configuration, so every guard has its say; nothing is written.
        """
        paper = PaperSession(self._link.session(), self._link.state())
        rehearsal = NxosTarget(self.spec, lambda _spec: paper)
        found = [finding for step in steps for finding in rehearsal.execute(step).findings]
        rehearsal._claim.release()
        if rehearsal._unsaved:
            paper.save()
        self._said = tuple(found)
        return tuple(paper.typed), self._said

    # -- the protocol's writing side

    @working
    def execute(self, operation: Operation) -> OperationResult:
        """Carry out one step; see the protocol. Whatever fails, what was in force stays so, or the finding says otherwise.

        Our claim stays from the first step that types anything until ``confirm`` or ``close``: no other run comes between two steps.
        """
        try:
            return self._executed(operation)
        except Exception:
            self._claim.release()
            raise

    def _executed(self, operation: Operation) -> OperationResult:
        before, self._work.told = self._link.session().lines, []
        state, seconds = self._link.state_to_write(), seconds_of(operation, self.spec)
        if operation.kind == WAY_BACK_JOB:
            if state.way_back or self._link.session().left_behind():
                state, told = self._claim.hold(state, seconds)
                nxos_way_back.disarm(self._link.session(), state)
                self._link.session().drop_left_behind()
                self._work.told += told
            return OperationResult(operation.id, True, 0, self._new())
        work = self._foreseen(operation, state)
        if work is not None and not self._claim.lasts(state, seconds):
            # What was read before the claim may be what another run has just changed.
            state, self._work.told = self._claim.hold(state, seconds)
            work = self._foreseen(operation, state)
        changed, undo = work() if work is not None else (False, {})
        self._unsaved = self._unsaved or changed
        lines = self._link.session().lines - before if changed else 0
        return OperationResult(operation.id, changed, lines, self._new(), undo)

    def _new(self) -> tuple[Finding, ...]:
        """Return what there is to say of a step and was not said in advance."""
        return tuple(each for each in self._work.told if each not in self._said)

    def _foreseen(self, operation: Operation, state: NxosState) -> Doing | None:
        """Return what carries a step out, None where there is nothing to do; FindingError where it may not. Types nothing."""
        if operation.kind == ATTACHMENT:
            return self._attach(operation, state)
        if operation.action == "delete":
            return self._remove_list(operation, state)
        return self._replace_list(operation, state)

    @working
    def undo(self, operation: Operation, result: Mapping[str, Any]) -> OperationResult:
        """Bring back the lines, names and attachments from before a step; see the protocol. Saves when it changed anything."""
        start = self._link.session().lines
        if operation.kind == WAY_BACK_JOB:  # never armed again
            return OperationResult(operation.id, False)

        def undone() -> bool:
            self._work.told = nxos_way_back.wait_for_others(self._link.session(), self._link.state)
            if operation.kind == ATTACHMENT:
                return self._undo.undo_attachment(operation, result)
            return self._undo.undo_list(operation, result)

        try:
            changed = not_outdone(undone)
        finally:
            self._claim.release()
        if changed:
            self._link.session().save()
        return OperationResult(operation.id, changed, self._link.session().lines - start, tuple(self._work.told))

    def confirm(self, desired: Sequence[DesiredObject]) -> tuple[Finding, ...]:
        """Read from a new connection, and save the configuration where everything is held; see the protocol."""
        session = self._link.opened()
        self._link.replace(session)
        self._claim.release()  # nothing more is typed, and it shall not be saved
        steps = [step for step in self.diff(desired, self._quiet(desired)) if not step.details.get(PRUNE)]
        if steps:
            return not_held(self.name, steps)
        if self._unsaved:
            try:
                session.save()
            except FindingError as error:
                return error.findings
            self._unsaved = False
        return ()

    def _quiet(self, desired: Sequence[DesiredObject]) -> Snapshot:
        """Return what is there when runs that have claimed the switch after us have stepped back; their claims are not to be saved."""
        live = self.snapshot(desired)
        for _look in range(LOOKS):
            if not any(CLAIM in key and body.get("held") for key, body in live.objects.items()):
                break
            ways_back.pause(LOOK_AGAIN)
            live = self.snapshot(desired)
        return live

    def finish(self) -> bool:
        """Save what an interrupted run left unsaved, and return whether there was anything.

        Where everything of ours is in the startup configuration already, what others have not saved is theirs to save.
        """
        session = self._link.session()
        startup = session.startup()
        state = self._link.state()
        if startup is not None and startup.own() == state.own():
            return False
        if others := of_others(nxos_way_back.standing(session, state), self.name):  # unproved, and not ours to save
            raise FindingError(*refusal(self.name, others))
        nxos_way_back.disarm(session, state)  # what dead runs left, claims too, is not to be saved
        session.save()
        self._unsaved = False
        return True

    def close(self) -> None:
        """Close the session, our claim taken away before; never raises."""
        self._claim.release()
        self._link.close()

    # -- lists

    def _replace_list(self, operation: Operation, state: NxosState) -> Doing | None:
        """Return what builds, proves, swaps, confirms, removes the old version, and tells what undo needs."""
        name, content = operation.name, str((operation.after or {})["content"])
        self._check_before(operation, state)
        versions = state.versions(name)
        old = versions[0] if versions else ""
        if old and len(versions) == 1 and same_meaning(state, old, content):
            return None
        if other := sorted(set(versions) & state.elsewhere):
            text = f"{self.name}: {', '.join(other)} is used by something else than an interface"
            raise FindingError(codes.IN_USE.at(text))
        places = sorted({place for version in versions for place in state.attached(version)})
        was = before_step(operation, versions, state)
        undo = {
            "lists": {version: [state.families[version], *state.lists[version]] for version in was},
            "places": places_before(places, state.groups, was),
        }
        self._work.ask(content, places, state)
        known = next((version for version in versions if ours(version) and same_meaning(state, version, content)), "")
        fresh = undo["fresh"] = known or state.free_name(name)

        def work() -> tuple[bool, dict[str, Any]]:
            if not known:
                self._work.build(fresh, content, state, in_force=old if places else "")
            if any(state.groups[place] != fresh for place in places):
                self._work.swap(fresh, content, places, state)
            self._work.remove([version for version in versions if version != fresh])
            return True, undo

        return work

    def _remove_list(self, operation: Operation, state: NxosState) -> Doing | None:
        versions = [version for version in state.versions(operation.name) if ours(version)]
        if not versions:
            return None
        self._check_before(operation, state)
        attached = [place for version in versions for place in state.attached(version)]
        other = sorted(set(versions) & state.elsewhere)
        if attached or other:
            places = ", ".join(
                [*(f"{place[0]} {place[1]}" for place in attached), *(["something else"] if other else [])]
            )
            raise FindingError(codes.IN_USE.at(f"{self.name}: list {operation.name} is attached to {places}"))
        was = before_step(operation, versions, state)
        undo = {version: [state.families[version], *state.lists[version]] for version in was}

        def work() -> tuple[bool, dict[str, Any]]:
            lines = [f"no {list_header(version, state.families[version])}" for version in versions]
            self._link.session().configure(lines)
            return True, {"lists": undo, "places": [], "fresh": ""}

        return work

    def _check_before(self, operation: Operation, state: NxosState) -> None:
        """Raise FindingError where the list is neither as planned nor already as it shall be."""
        versions = state.versions(operation.name)
        live = {"content": shown_text(state, versions[0], operation.name)} if versions else None
        moved = body_difference(LIST, operation.before, live)
        if moved.equal:
            return
        # An interrupted run may have left the new version beside the old one, or both attached.
        known = [str(body["content"]) for body in (operation.before, operation.after) if body is not None]
        if versions and all(any(same_meaning(state, version, content) for content in known) for version in versions):
            return
        unattached = all(not state.attached(version) for version in versions)
        if operation.before is None and unattached and all(ours(version) for version in versions):
            return
        raise FindingError(codes.CHANGED_MEANWHILE.at(f"{self.name}: list {operation.name}: {moved.text}"))

    # -- attachments

    def _attach(self, operation: Operation, state: NxosState) -> Doing | None:
        place = place_of(operation.after or operation.before or {})
        live = state.groups.get(place, "")
        if operation.after is None:
            return self._detach(operation, place, live)
        wanted = str(operation.after["access_list"])
        if live and base_name(live) == wanted and ours(live) and in_force(state, live):
            return None
        planned = str((operation.before or {}).get("live", ""))
        if not same_list(live, planned):
            text = f"{self.name}: {place[0]} {place[1]} holds {live or 'nothing'} instead of {planned or 'nothing'}"
            raise FindingError(codes.CHANGED_MEANWHILE.at(text))
        versions = [version for version in state.versions(wanted) if state.lists[version]]
        if not versions:
            text = f"{self.name}: list {wanted} does not exist or is empty; attached, it would permit everything"
            raise FindingError(codes.MISSING_REFERENCE.at(text))
        content = shown_text(state, versions[0])
        self._work.ask(content, [place], state)

        def work() -> tuple[bool, dict[str, Any]]:
            # A port by which nobody manages the switch needs no login of its own; confirm() comes from a new connection anyway.
            self._work.swap(versions[0], content, [place], state, anew=False)
            return True, {"live": live, "missing": bool(live) and not state.lists.get(live)}

        return work

    def _detach(self, operation: Operation, place: Place, live: str) -> Doing | None:
        if not live:
            return None
        if not same_list(live, str((operation.before or {}).get("live", live))) or not ours(live):
            raise FindingError(codes.CHANGED_MEANWHILE.at(f"{self.name}: {place[0]} {place[1]} holds {live}"))

        def work() -> tuple[bool, dict[str, Any]]:
            self._link.session().change([f"interface {place[0]}", f"no {place[2]} {live} {place[1]}"])
            return True, {"live": live}

        return work
