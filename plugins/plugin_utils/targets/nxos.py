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
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes as change_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import body_difference, difference
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import (
    Operation,
    OperationResult,
    Snapshot,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import PRUNE, objects_sha256
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes, nxos_way_back
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import same_list
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.list_steps import not_held
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.management import ManagementPath
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_config import (
    NxosState,
    Place,
    base_name,
    family_of,
    list_header,
    list_text,
    ours,
    typed_lines,
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
    capacity_findings,
    management_findings,
    management_path,
    place_findings,
    update_findings,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_session import NxosSession
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec

MANAGEMENT = "management"


class NxosTarget:
    """One switch over SSH. One session at a time, and a second one only to confirm. Not for use from several threads at once."""

    platform = "nxos"

    def __init__(self, spec: TargetSpec, open_session: Callable[[TargetSpec], NxosSession] = NxosSession) -> None:
        self.name, self.spec = spec.name, spec
        self._open = open_session
        self._session: NxosSession | None = None
        self._unsaved = False
        self._told: list[Finding] = []
        self._path: tuple[Any, ManagementPath] | None = None

    # -- reading and planning

    def snapshot(self, desired: Sequence[DesiredObject]) -> Snapshot:
        """Return our lists, their attachments, and what stands on the desired places; see the protocol."""
        state = self._state()
        objects = live_objects(state, desired)
        if self._connected().left_behind():
            objects[f"{WAY_BACK_JOB}/session"] = {"owned": True}
        raw = {name: "\n".join(lines) for name, lines in state.lists.items() if ours(name)}
        live = Snapshot(self.name, self.platform, objects, objects_sha256(objects), raw, iso_now())
        try:
            steps = nxos_operations(self.name, desired, live, adopt=self.spec.adopt)
        except FindingError:
            return live  # diff says why
        if judged_places(steps, live):
            raw[MANAGEMENT] = self._managed_by(state).as_text()
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

    # -- the protocol's writing side

    def execute(self, operation: Operation) -> OperationResult:
        """Carry out one step; see the protocol. Whatever fails, what was in force stays so, or the finding says otherwise."""
        before, self._told = self._connected().lines, []
        if operation.kind == WAY_BACK_JOB:
            nxos_way_back.disarm(self._connected(), self._state())
            self._connected().drop_left_behind()
            return OperationResult(operation.id, True)
        if operation.kind == ATTACHMENT:
            changed, undo = self._attach(operation)
        elif operation.action == "delete":
            changed, undo = self._remove_list(operation)
        else:
            changed, undo = self._replace_list(operation)
        self._unsaved = self._unsaved or changed
        lines = self._connected().lines - before if changed else 0
        return OperationResult(operation.id, changed, lines, tuple(self._told), undo)

    def undo(self, operation: Operation, result: Mapping[str, Any]) -> OperationResult:
        """Bring back the lines, names and attachments from before a step; see the protocol. Saves when it changed anything."""
        start, self._told = self._connected().lines, []
        if operation.kind == WAY_BACK_JOB:  # never armed again
            return OperationResult(operation.id, False)
        changed = (
            self._undo_attachment(operation, result)
            if operation.kind == ATTACHMENT
            else self._undo_list(operation, result)
        )
        if changed:
            self._connected().save()
        return OperationResult(operation.id, changed, self._connected().lines - start, tuple(self._told))

    def confirm(self, desired: Sequence[DesiredObject]) -> tuple[Finding, ...]:
        """Read from a new connection, and save the configuration where everything is held; see the protocol."""
        session = self._open(self.spec)
        self._replace_session(session)
        steps = [step for step in self.diff(desired, self.snapshot(desired)) if not step.details.get(PRUNE)]
        if steps:
            return not_held(self.name, steps)
        if self._unsaved:
            try:
                session.save()
            except FindingError as error:
                return error.findings
            self._unsaved = False
        return ()

    def close(self) -> None:
        """Close the session; never raises."""
        if self._session is not None:
            self._session.close()
            self._session = None

    # -- sessions

    def _connected(self) -> NxosSession:
        if self._session is None:
            self._session = self._open(self.spec)
        return self._session

    def _managed_by(self, state: NxosState) -> ManagementPath:
        """Return how the switch is managed, asked once for what its configuration says of it."""
        said = (state.servers, state.services, state.routed, state.interfaces)
        if self._path is None or self._path[0] != said:
            self._path = said, management_path(self._connected(), state)
        return self._path[1]

    def _replace_session(self, session: NxosSession) -> None:
        session.lines += self._session.lines if self._session is not None else 0
        self.close()
        self._session = session

    def _state(self) -> NxosState:
        """Return the configuration, from a new session where the old one has ended meanwhile."""
        if self._session is not None:
            try:
                return self._session.state()
            except FindingError as error:
                if all(finding.code != codes.SESSION_LOST.number for finding in error.findings):
                    raise
                self._replace_session(self._open(self.spec))
        return self._connected().state()

    def _state_to_write(self) -> NxosState:
        """Return the configuration; a way back that an interrupted run left armed is removed first."""
        state = self._state()
        return self._state() if nxos_way_back.disarm(self._connected(), state) else state

    # -- lists

    def _replace_list(self, operation: Operation) -> tuple[bool, dict[str, Any]]:
        """Build, prove, swap, confirm, remove the old version; return whether anything was written and what undo needs."""
        name, content = operation.name, str((operation.after or {})["content"])
        state = self._state_to_write()
        self._check_before(operation, state)
        versions = state.versions(name)
        old = versions[0] if versions else ""
        if old and len(versions) == 1 and _same(state, old, content):
            return False, {}
        if other := sorted(set(versions) & state.elsewhere):
            text = f"{self.name}: {', '.join(other)} is used by something else than an interface"
            raise FindingError(codes.IN_USE.at(text))
        places = sorted({place for version in versions for place in state.attached(version)})
        undo = {
            "lists": {version: [state.families[version], *state.lists[version]] for version in versions},
            "places": [[*place, state.groups[place]] for place in places],
        }
        self._ask(content, places, state)
        fresh = next((version for version in versions if ours(version) and _same(state, version, content)), "")
        if not fresh:
            fresh = state.free_name(name)
            self._build(fresh, content, state, in_force=old if places else "")
        undo["fresh"] = fresh
        if any(state.groups[place] != fresh for place in places):
            self._swap(fresh, content, places, state)
        self._remove_versions([version for version in versions if version != fresh])
        return True, undo

    def _ask(self, content: str, places: Sequence[Place], state: NxosState) -> None:
        """Raise FindingError before anything is written where the list may not, or cannot, come into force."""
        session = self._connected()
        found = place_findings(state, places, self.name)
        if places:
            found += update_findings(state, self.name)
            found += capacity_findings(session, content, places)
            found += management_findings(content, places, self.name, self._managed_by(state))
        if errors_of(found):
            raise FindingError(*found)
        self._told += found

    def _build(self, fresh: str, content: str, state: NxosState, *, in_force: str) -> None:
        """Build a version that is attached nowhere, read it back and prove it; remove it again where anything goes wrong."""
        lines = [f"no {list_header(fresh, state.families[fresh])}"] if fresh in state.lists else []
        try:
            self._connected().change([*lines, list_header(fresh, family_of(content)), *typed_lines(content)])
            now = self._state()
            proof = difference("nxos", _text(now, fresh), content)
            if not proof.equal:
                raise FindingError(codes.NOT_PROVED.at(f"{self.name}: list {fresh}: {proof.text}"))
        except FindingError as error:
            raise FindingError(*error.findings, *self._clean_up([fresh], in_force)) from None

    def _clean_up(self, names: Sequence[str], in_force: str) -> list[Finding]:
        """Remove unattached versions after a failure and return what is there now, as findings."""
        try:
            state = self._state()
            present = self._loose(names, state)
            if present:
                self._connected().configure([f"no {list_header(name, state.families[name])}" for name in present])
                present = [name for name in present if name in self._state().lists]
        except FindingError as error:
            text = f"{self.name}: {', '.join(names)} may be left, attached nowhere ({error.findings[0].code})"
            return [codes.LEFT_BEHIND.at(text)]
        if present:
            return [codes.LEFT_BEHIND.at(f"{self.name}: {', '.join(present)}, attached nowhere")]
        text = f"{self.name}: nothing of the new version is left"
        text += f"; {in_force} is still in force" if in_force else ""
        return [codes.LEFT_BEHIND.at(text).with_severity("info")]

    def _swap(self, fresh: str, content: str, places: Sequence[Place], state: NxosState, anew: bool = True) -> None:
        """Change all attachments in one commit and confirm from a new connection; put the old ones back where that fails.

        Where management arrives a way back is armed before, and removed when the new connection has been made.
        """
        typed: list[str] = []
        for interface, direction, command in places:
            typed += [f"interface {interface}", f"{command} {fresh} {direction}"]
        back: nxos_way_back.WayBack | None = None
        committed = False
        try:
            session = self._connected()
            path = self._managed_by(state)
            if path.may_cut(places):
                lines = nxos_way_back.back_lines(places, state.groups, fresh)
                back = nxos_way_back.arm(session, state, lines, self.spec.revert_seconds)
            session.change(typed)
            committed = True
            self._confirm_places(fresh, content, places, anew or back is not None)
        except FindingError as error:
            told = self._swap_back(fresh, places, state, back, committed=committed)
            raise FindingError(*error.findings, *told) from None
        if back is not None:
            nxos_way_back.disarm(self._connected(), self._state())

    def _confirm_places(self, fresh: str, content: str, places: Sequence[Place], anew: bool) -> None:
        """See every place hold the version, where ``anew`` from a new login, whose session is the one that goes on."""
        if anew:
            try:
                session = self._open(self.spec)
            except FindingError as error:
                text = f"{self.name}: no new connection with {fresh} in force"
                raise FindingError(*error.findings, codes.NOT_CONFIRMED.at(text)) from None
            # The first session stays until the second one has answered.
            found = session.state()
            self._replace_session(session)
        else:
            found = self._connected().state()
        wrong = [f"{place[0]} {place[1]}" for place in places if found.groups.get(place) != fresh]
        if wrong or not _same(found, fresh, content):
            text = f"{self.name}: {fresh} is not in force on {', '.join(wrong) or 'the device'}"
            raise FindingError(codes.NOT_CONFIRMED.at(text))

    def _swap_back(
        self, fresh: str, places: Sequence[Place], state: NxosState, back: nxos_way_back.WayBack | None, *, committed: bool,
    ) -> list[Finding]:  # fmt: skip
        """Put back what was attached before and remove the new version; return what is in force now, as findings."""
        told: list[Finding] = []
        try:
            now = self._state()
        except FindingError as error:
            session = None
            if back is not None:
                session = nxos_way_back.wait_for(back, lambda: self._open(self.spec))
            if session is None:
                shown = ", ".join(f"{place[0]} {place[1]}" for place in places)
                text = f"{self.name}: {shown} may hold the version before or {fresh}, each of them whole"
                return [codes.SESSION_LOST.at(f"{text} ({error.findings[0].code})")]
            self._replace_session(session)
            committed = True  # or may be
            try:
                now = self._state()
            except FindingError as again:
                return list(again.findings)
        # Only what holds our new version goes back: a list that somebody else put there meanwhile is theirs.
        mine = [place for place in places if now.groups.get(place) == fresh != state.groups.get(place)]
        try:
            if mine:
                self._connected().change(nxos_way_back.back_lines(mine, state.groups, fresh))
                now = self._state()
            elif (
                committed
                and back is not None
                and all(now.groups.get(place) == state.groups.get(place) for place in places)
            ):
                told.append(codes.NXOS_WENT_BACK.at(self.name))
        except FindingError as error:
            armed = "; the way back is armed" if back is not None else ""
            shown = ", ".join(f"{place[0]} {place[1]}" for place in mine)
            text = f"{self.name}: {shown} may hold the version before or {fresh}, each of them whole{armed}"
            return [*error.findings, codes.SESSION_LOST.at(text)]
        try:
            nxos_way_back.disarm(self._connected(), now)
        except FindingError as error:
            told += error.findings
        differing = [place for place in places if now.groups.get(place) != state.groups.get(place)]
        if differing:
            return told + [
                codes.NOT_CONFIRMED.at(f"{self.name}: {place[0]} {place[1]} holds {now.groups.get(place, 'nothing')}")
                for place in differing
            ]
        if fresh in state.lists:
            return told
        return told + self._clean_up(
            [fresh], ", ".join(sorted({state.groups.get(place, "") for place in places} - {""}))
        )

    def _loose(self, names: Sequence[str], state: NxosState) -> list[str]:
        """Return those of these lists that exist, are ours and are attached nowhere."""
        attached = set(state.groups.values())
        return [name for name in names if name in state.lists and name not in attached and ours(name)]

    def _remove_versions(self, names: Sequence[str]) -> None:
        """Remove lists that are in force nowhere any more, and those that were adopted; what cannot be removed is told."""
        if not names:
            return
        state = self._state()
        attached = set(state.groups.values())
        chosen = [name for name in names if name in state.lists and name not in attached]
        if chosen:
            self._connected().configure([f"no {list_header(name, state.families[name])}" for name in chosen])

    def _remove_list(self, operation: Operation) -> tuple[bool, dict[str, Any]]:
        state = self._state_to_write()
        versions = [version for version in state.versions(operation.name) if ours(version)]
        if not versions:
            return False, {}
        self._check_before(operation, state)
        attached = [place for version in versions for place in state.attached(version)]
        other = sorted(set(versions) & state.elsewhere)
        if attached or other:
            places = ", ".join(
                [*(f"{place[0]} {place[1]}" for place in attached), *(["something else"] if other else [])]
            )
            raise FindingError(codes.IN_USE.at(f"{self.name}: list {operation.name} is attached to {places}"))
        undo = {version: [state.families[version], *state.lists[version]] for version in versions}
        self._connected().configure([f"no {list_header(version, state.families[version])}" for version in versions])
        return True, {"lists": undo, "places": [], "fresh": ""}

    def _check_before(self, operation: Operation, state: NxosState) -> None:
        """Raise FindingError where the list is neither as planned nor already as it shall be."""
        versions = state.versions(operation.name)
        live = {"content": _text(state, versions[0], operation.name)} if versions else None
        moved = body_difference(LIST, operation.before, live)
        if moved.equal:
            return
        # An interrupted run may have left the new version beside the old one, or both attached.
        known = [str(body["content"]) for body in (operation.before, operation.after) if body is not None]
        if versions and all(any(_same(state, version, content) for content in known) for version in versions):
            return
        unattached = all(not state.attached(version) for version in versions)
        if operation.before is None and unattached and all(ours(version) for version in versions):
            return
        raise FindingError(codes.CHANGED_MEANWHILE.at(f"{self.name}: list {operation.name}: {moved.text}"))

    def _undo_list(self, operation: Operation, result: Mapping[str, Any]) -> bool:
        """Bring back the versions from before with their numbers and remarks, attached where they were; remove the one that came."""
        state = self._state_to_write()
        versions = state.versions(operation.name)
        before = {
            str(name): list_text(str(name), tuple(lines[1:]), int(lines[0]))
            for name, lines in (result.get("lists") or {}).items()
        }
        if not before and operation.before is not None:
            before = {operation.name + "__a": str(operation.before["content"])}
        if {version: _text(state, version) for version in versions} == before:
            return False
        allowed = [str(body["content"]) for body in (operation.before, operation.after) if body is not None]
        strange = [version for version in versions if not any(_same(state, version, content) for content in allowed)]
        if strange:
            raise FindingError(
                change_codes.UNDO_REFUSED.at(f"{self.name}: list {', '.join(strange)} was changed by someone")
            )
        places = sorted({place for version in versions for place in state.attached(version)})
        main = next(iter(before), "")
        if not main:
            if places:
                shown = ", ".join(place[0] for place in places)
                raise FindingError(codes.IN_USE.at(f"{self.name}: list {operation.name} is attached to {shown}"))
            self._remove_versions(versions)
            return True
        for version, text in before.items():
            if version in state.lists and _text(state, version) == text:
                continue
            if state.attached(version):
                raise FindingError(
                    change_codes.UNDO_REFUSED.at(f"{self.name}: list {version} is in force with other lines")
                )
            self._build(version, text, state, in_force=", ".join(versions))
        recorded = {tuple(map(str, item[:3])): str(item[3]) for item in result.get("places") or ()}
        for version, text in before.items():
            mine = [
                place for place in places if recorded.get(place, main) == version and state.groups[place] != version
            ]
            if mine:
                self._ask(text, mine, state)
                self._swap(version, text, mine, state)
        self._remove_versions([version for version in versions if version not in before])
        return True

    # -- attachments

    def _attach(self, operation: Operation) -> tuple[bool, dict[str, Any]]:
        place = place_of(operation.after or operation.before or {})
        state = self._state_to_write()
        live = state.groups.get(place, "")
        if operation.after is None:
            return self._detach(operation, place, live)
        wanted = str(operation.after["access_list"])
        if live and base_name(live) == wanted and ours(live) and in_force(state, live):
            return False, {}
        planned = str((operation.before or {}).get("live", ""))
        if not same_list(live, planned):
            text = f"{self.name}: {place[0]} {place[1]} holds {live or 'nothing'} instead of {planned or 'nothing'}"
            raise FindingError(codes.CHANGED_MEANWHILE.at(text))
        versions = [version for version in state.versions(wanted) if state.lists[version]]
        if not versions:
            text = f"{self.name}: list {wanted} does not exist or is empty; attached, it would permit everything"
            raise FindingError(codes.MISSING_REFERENCE.at(text))
        content = _text(state, versions[0])
        self._ask(content, [place], state)
        # A port by which nobody manages the switch needs no login of its own; confirm() comes from a new connection anyway.
        self._swap(versions[0], content, [place], state, anew=False)
        return True, {"live": live, "missing": bool(live) and not state.lists.get(live)}

    def _detach(self, operation: Operation, place: Place, live: str) -> tuple[bool, dict[str, Any]]:
        if not live:
            return False, {}
        if not same_list(live, str((operation.before or {}).get("live", live))) or not ours(live):
            raise FindingError(codes.CHANGED_MEANWHILE.at(f"{self.name}: {place[0]} {place[1]} holds {live}"))
        self._connected().change([f"interface {place[0]}", f"no {place[2]} {live} {place[1]}"])
        return True, {"live": live}

    def _undo_attachment(self, operation: Operation, result: Mapping[str, Any]) -> bool:
        place = place_of(operation.after or operation.before or {})
        state = self._state_to_write()
        live = state.groups.get(place, "")
        before = str((operation.before or {}).get("live", ""))
        if before and before not in state.lists and ours(before) and not result.get("missing"):
            # A rename by a later, already undone or skipped step: any version of the same list means the same.
            before = next(iter(state.versions(base_name(before))), before)
        if live == before:
            return False
        after = str((operation.after or {}).get("access_list", ""))
        if base_name(live) != after:  # what somebody detached since is theirs, as what they attached
            raise FindingError(change_codes.UNDO_REFUSED.at(f"{self.name}: {place[0]} {place[1]} holds {live}"))
        if result.get("missing"):  # it stood so before: a name without a list
            self._connected().change([f"interface {place[0]}", f"{place[2]} {before} {place[1]}"])
            return True
        if before and before not in state.lists:
            raise FindingError(codes.MISSING_REFERENCE.at(f"{self.name}: list {before} does not exist"))
        if before:
            self._swap(before, _text(state, before), [place], state)
        else:
            self._connected().change([f"interface {place[0]}", f"no {place[2]} {live} {place[1]}"])
        return True


def _text(state: NxosState, live: str, name: str = "") -> str:
    """Return a live list in the form of a desired one; a list that is not there has no line and so is never understood."""
    return list_text(name or live, state.lists.get(live, ()), state.families.get(live, 4))


def _same(state: NxosState, live: str, content: str) -> bool:
    """Return whether a live list means what a text says; an empty list permits everything and equals nothing."""
    lines = state.lists.get(live, ())
    if not lines or state.families[live] != family_of(content):
        return False
    try:
        return difference("nxos", _text(state, live), content).equal
    except (FindingError, ValueError):
        return lines == typed_lines(content)
