# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cisco IOS-XE switches as a target: extended IPv4 access lists on ports.

A list in force is never edited. Its next version is built beside it under another name, read back and proved to mean what it
should, then each attachment line is overwritten in one step, a new connection confirms, and only then the old version goes
(facts/devices.md sections 0.6 and 5).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_now
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes as change_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import body_difference, difference
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import (
    Operation,
    OperationResult,
    Snapshot,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import PRUNE, objects_sha256
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import (
    IosState,
    base_name,
    ours,
    typed_lines,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_diff import (
    ATTACHMENT,
    LIST,
    ios_operations,
    list_text,
    live_objects,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_management import (
    exposed_interfaces,
    management_findings,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_session import IosSession
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec

Places = list[tuple[str, str]]


class IosTarget:
    """One switch over SSH. One session at a time, and a second one only to confirm. Not for use from several threads at once."""

    platform = "ios"

    def __init__(self, spec: TargetSpec, open_session: Callable[[TargetSpec], IosSession] = IosSession) -> None:
        self.name, self.spec = spec.name, spec
        self._open = open_session
        self._session: IosSession | None = None
        self._unsaved = False

    # -- reading and planning

    def snapshot(self, desired: Sequence[DesiredObject]) -> Snapshot:
        """Return our lists, their attachments, and what stands on the desired interfaces; see the protocol."""
        state = self._state()
        objects = live_objects(state, desired)
        raw = {name: "\n".join(lines) for name, lines in state.lists.items() if ours(name)}
        return Snapshot(self.name, self.platform, objects, objects_sha256(objects), raw, iso_now())

    def diff(self, desired: Sequence[DesiredObject], live: Snapshot) -> tuple[Operation, ...]:
        """Return the ordered steps from live to desired; see the protocol."""
        return ios_operations(self.name, desired, live, adopt=self.spec.adopt)

    # -- the protocol's writing side

    def execute(self, operation: Operation) -> OperationResult:
        """Carry out one step; see the protocol.

        Whatever fails, the list that was in force stays in force, or the finding says otherwise.
        """
        session = self._connected()
        before = session.lines
        if operation.kind == ATTACHMENT:
            changed, undo = self._attach(operation)
        elif operation.action == "delete":
            changed, undo = self._remove_list(operation)
        else:
            changed, undo = self._replace_list(operation)
        self._unsaved = self._unsaved or changed
        return OperationResult(operation.id, changed, self._connected().lines - before if changed else 0, (), undo)

    def undo(self, operation: Operation, result: Mapping[str, Any]) -> OperationResult:
        """Bring back the lines, names and attachments from before a step; see the protocol. Saves when it changed anything."""
        start = self._connected().lines
        changed = (
            self._undo_attachment(operation) if operation.kind == ATTACHMENT else self._undo_list(operation, result)
        )
        if changed:
            self._connected().save()
        return OperationResult(operation.id, changed, self._connected().lines - start)

    def confirm(self, desired: Sequence[DesiredObject]) -> tuple[Finding, ...]:
        """Read from a new connection, and save the configuration where everything is held; see the protocol."""
        session = self._open(self.spec)
        self._replace_session(session)
        steps = [step for step in self.diff(desired, self.snapshot(desired)) if not step.details.get(PRUNE)]
        if steps:
            return tuple(
                codes.NOT_HELD.at(f"{self.name}: {step.kind} {step.name}: {step.details.get('difference')}")
                for step in steps
            )
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

    def _connected(self) -> IosSession:
        if self._session is None:
            self._session = self._open(self.spec)
        return self._session

    def _replace_session(self, session: IosSession) -> None:
        session.lines += self._session.lines if self._session is not None else 0
        self.close()
        self._session = session

    def _state(self) -> IosState:
        """Return the configuration, from a new session where the old one has ended meanwhile."""
        if self._session is not None:
            try:
                return self._session.state()
            except FindingError as error:
                if all(finding.code != codes.SESSION_LOST.number for finding in error.findings):
                    raise
                self._replace_session(self._open(self.spec))
        return self._connected().state()

    # -- lists

    def _replace_list(self, operation: Operation) -> tuple[bool, dict[str, Any]]:
        """Build, prove, swap, confirm, remove the old version; return whether anything was written and what undo needs."""
        name, content = operation.name, str((operation.after or {})["content"])
        state = self._state()
        self._check_before(operation, state)
        versions = state.versions(name)
        old = versions[0] if versions else ""
        if old and len(versions) == 1 and _same(state.lists[old], content):
            return False, {}
        places = sorted({place for version in versions for place in state.attached(version)})
        undo = {
            "lists": {version: list(state.lists[version]) for version in versions},
            "places": [[*place, state.groups[place]] for place in places],
        }
        fresh = next((version for version in versions if ours(version) and _same(state.lists[version], content)), "")
        if not fresh:
            fresh = state.free_name(name)
            self._build(fresh, content, stale=fresh in state.lists, in_force=old if places else "")
        undo["fresh"] = fresh
        if places:
            self._guard_management(content, places, fresh, state)
            self._swap(fresh, places, state)
        self._remove_versions([version for version in versions if version != fresh])
        return True, undo

    def _build(self, fresh: str, content: str, *, stale: bool, in_force: str) -> None:
        """Type a version that is attached nowhere, read it back and prove it; remove it again where anything goes wrong."""
        lines = [f"no ip access-list extended {fresh}"] if stale else []
        try:
            self._connected().configure([*lines, f"ip access-list extended {fresh}", *typed_lines(content)])
            read = self._state().lists.get(fresh, ())
            proof = difference("ios", list_text(fresh, read), content)
            if not proof.equal:
                raise FindingError(codes.NOT_PROVED.at(f"{self.name}: list {fresh}: {proof.text}"))
        except FindingError as error:
            raise FindingError(*error.findings, *self._clean_up([fresh], in_force)) from None

    def _clean_up(self, names: Sequence[str], in_force: str) -> list[Finding]:
        """Remove unattached versions after a failure and return what is there now, as findings."""
        try:
            state = self._state()
            attached = set(state.groups.values())
            present = [name for name in names if name in state.lists and name not in attached]
            if present:
                self._connected().configure([f"no ip access-list extended {name}" for name in present])
            left = [name for name in present if name in self._state().lists]
        except FindingError as error:
            left, unread = (
                list(names),
                [
                    codes.LEFT_BEHIND.at(
                        f"{self.name}: {', '.join(names)} may be left, attached nowhere ({error.findings[0].code})"
                    )
                ],
            )
            return unread
        if left:
            return [codes.LEFT_BEHIND.at(f"{self.name}: {', '.join(left)}, attached nowhere")]
        text = f"{self.name}: nothing of the new version is left" + (
            f"; {in_force} is still in force" if in_force else ""
        )
        return [codes.LEFT_BEHIND.at(text).with_severity("info")]

    def _guard_management(self, content: str, places: Places, fresh: str, state: IosState) -> None:
        exposed = exposed_interfaces(self._connected(), state)
        found = management_findings(content, places, self._connected(), exposed)
        if found:
            raise FindingError(
                *found,
                *self._clean_up([fresh], ", ".join(sorted({state.groups.get(place, "") for place in places} - {""}))),
            )

    def _swap(self, fresh: str, places: Places, state: IosState, anew: bool = True) -> None:
        """Overwrite the attachment lines one by one and confirm from a new connection; put the old ones back where that fails."""
        typed: list[str] = []
        for interface, direction in places:
            typed += [f"interface {interface}", f"ip access-group {fresh} {direction}"]
        try:
            self._connected().configure(typed)
            self._confirm_places(fresh, places, anew)
        except FindingError as error:
            raise FindingError(*error.findings, *self._swap_back(fresh, places, state)) from None

    def _confirm_places(self, fresh: str, places: Places, anew: bool) -> None:
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
        wrong = [
            f"{interface} {direction}"
            for interface, direction in places
            if found.groups.get((interface, direction)) != fresh
        ]
        if wrong or fresh not in found.lists:
            text = f"{self.name}: {fresh} is not in force on {', '.join(wrong) or 'the device'}"
            raise FindingError(codes.NOT_CONFIRMED.at(text))

    def _swap_back(self, fresh: str, places: Places, state: IosState) -> list[Finding]:
        """Put back what was attached before and remove the new version; return what is in force now, as findings."""
        typed: list[str] = []
        for interface, direction in places:
            old = state.groups.get((interface, direction), "")
            line = f"ip access-group {old} {direction}" if old else f"no ip access-group {fresh} {direction}"
            typed += [f"interface {interface}", line]
        try:
            self._state()
            self._connected().configure(typed)
            now = self._state()
        except FindingError as error:
            shown = ", ".join(f"{interface} {direction}" for interface, direction in places)
            text = f"{self.name}: {shown} may hold the version before or {fresh}, each of them whole ({error.findings[0].code})"
            return [codes.SESSION_LOST.at(text)]
        differing = [place for place in places if now.groups.get(place) != state.groups.get(place)]
        if differing:
            return [
                codes.NOT_CONFIRMED.at(f"{self.name}: {place[0]} {place[1]} holds {now.groups.get(place, 'nothing')}")
                for place in differing
            ]
        if fresh in state.lists:
            return []
        return self._clean_up([fresh], ", ".join(sorted({state.groups.get(place, "") for place in places} - {""})))

    def _remove_versions(self, names: Sequence[str]) -> None:
        if not names:
            return
        state = self._state()
        attached = set(state.groups.values())
        chosen = [name for name in names if name in state.lists and name not in attached]
        if chosen:
            self._connected().configure([f"no ip access-list extended {name}" for name in chosen])

    def _remove_list(self, operation: Operation) -> tuple[bool, dict[str, Any]]:
        state = self._state()
        versions = [version for version in state.versions(operation.name) if ours(version)]
        if not versions:
            return False, {}
        self._check_before(operation, state)
        attached = [place for version in versions for place in state.attached(version)]
        if attached:
            places = ", ".join(f"{interface} {direction}" for interface, direction in attached)
            raise FindingError(codes.IN_USE.at(f"{self.name}: list {operation.name} is attached to {places}"))
        self._connected().configure([f"no ip access-list extended {version}" for version in versions])
        return True, {"lists": {version: list(state.lists[version]) for version in versions}, "places": [], "fresh": ""}

    def _check_before(self, operation: Operation, state: IosState) -> None:
        """Raise FindingError where the list is neither as planned nor already as it shall be."""
        versions = state.versions(operation.name)
        live = {"content": list_text(operation.name, state.lists[versions[0]])} if versions else None
        moved = body_difference(LIST, operation.before, live)
        if moved.equal:
            return
        # An interrupted run may have left the new version beside the old one, or both attached.
        contents = [state.lists[version] for version in versions]
        known = [str(body["content"]) for body in (operation.before, operation.after) if body is not None]
        if contents and all(any(_same(lines, content) for content in known) for lines in contents):
            return
        unattached = all(not state.attached(version) for version in versions)
        if operation.before is None and unattached and all(ours(version) for version in versions):
            return
        raise FindingError(codes.CHANGED_MEANWHILE.at(f"{self.name}: list {operation.name}: {moved.text}"))

    def _undo_list(self, operation: Operation, result: Mapping[str, Any]) -> bool:
        """Bring back the versions from before with their numbers and remarks, attached where they were; remove the one that came."""
        state = self._state()
        versions = state.versions(operation.name)
        before = {str(name): tuple(lines) for name, lines in (result.get("lists") or {}).items()}
        if not before and operation.before is not None:
            before = {operation.name + "__a": typed_lines(str(operation.before["content"]))}
        if {version: state.lists[version] for version in versions} == before:
            return False
        allowed = [str(body["content"]) for body in (operation.before, operation.after) if body is not None]
        strange = [
            version for version in versions if not any(_same(state.lists[version], content) for content in allowed)
        ]
        if strange:
            raise FindingError(
                change_codes.UNDO_REFUSED.at(f"{self.name}: list {', '.join(strange)} was changed by someone")
            )
        places = sorted({place for version in versions for place in state.attached(version)})
        main = next(iter(before), "")
        if not main:
            if places:
                raise FindingError(
                    codes.IN_USE.at(
                        f"{self.name}: list {operation.name} is attached to {', '.join(place[0] for place in places)}"
                    )
                )
            self._remove_versions(versions)
            return True
        for version, lines in before.items():
            if state.lists.get(version) != lines:
                if state.attached(version):
                    raise FindingError(
                        change_codes.UNDO_REFUSED.at(f"{self.name}: list {version} is in force with other lines")
                    )
                self._build(version, "\n".join(lines), stale=version in state.lists, in_force=", ".join(versions))
        if places:
            recorded = {(str(item[0]), str(item[1])): str(item[2]) for item in result.get("places") or ()}
            self._guard_management(list_text(main, before[main]), places, main, state)
            for version in before:
                self._swap(version, [place for place in places if recorded.get(place, main) == version], state)
        self._remove_versions([version for version in versions if version not in before])
        return True

    # -- attachments

    def _attach(self, operation: Operation) -> tuple[bool, dict[str, Any]]:
        body = operation.after or operation.before or {}
        place = (str(body["interface"]), str(body["direction"]))
        state = self._state()
        live = state.groups.get(place, "")
        if operation.after is None:
            return self._detach(operation, place, live)
        wanted = str(operation.after["access_list"])
        if live and base_name(live) == wanted and ours(live):
            return False, {}
        planned = str((operation.before or {}).get("live", ""))
        if live != planned:
            raise FindingError(
                codes.CHANGED_MEANWHILE.at(
                    f"{self.name}: {place[0]} {place[1]} holds {live or 'nothing'} instead of {planned or 'nothing'}"
                )
            )
        if place[0] not in state.interfaces:
            raise FindingError(codes.MISSING_REFERENCE.at(f"{self.name}: there is no interface {place[0]}"))
        versions = [version for version in state.versions(wanted) if state.lists[version]]
        if not versions:
            raise FindingError(
                codes.MISSING_REFERENCE.at(
                    f"{self.name}: list {wanted} does not exist or is empty; attached, it would permit everything"
                )
            )
        exposed = exposed_interfaces(self._connected(), state)
        found = management_findings(list_text(wanted, state.lists[versions[0]]), [place], self._connected(), exposed)
        if found:
            raise FindingError(*found)
        # A port by which nobody manages the switch needs no login of its own; confirm() comes from a new connection anyway.
        self._swap(versions[0], [place], state, anew=place[0] in exposed)
        return True, {"live": live}

    def _detach(self, operation: Operation, place: tuple[str, str], live: str) -> tuple[bool, dict[str, Any]]:
        if not live:
            return False, {}
        if live != str((operation.before or {}).get("live", live)) or not ours(live):
            raise FindingError(codes.CHANGED_MEANWHILE.at(f"{self.name}: {place[0]} {place[1]} holds {live}"))
        self._connected().configure([f"interface {place[0]}", f"no ip access-group {live} {place[1]}"])
        return True, {"live": live}

    def _undo_attachment(self, operation: Operation) -> bool:
        body = operation.after or operation.before or {}
        place = (str(body["interface"]), str(body["direction"]))
        state = self._state()
        live = state.groups.get(place, "")
        before = str((operation.before or {}).get("live", ""))
        if before and before not in state.lists and ours(before):
            # A rename by a later, already undone or skipped step: any version of the same list means the same.
            before = next(iter(state.versions(base_name(before))), before)
        if live == before:
            return False
        after = str((operation.after or {}).get("access_list", ""))
        if live and base_name(live) != after:
            raise FindingError(change_codes.UNDO_REFUSED.at(f"{self.name}: {place[0]} {place[1]} holds {live}"))
        if before and before not in state.lists:
            raise FindingError(codes.MISSING_REFERENCE.at(f"{self.name}: list {before} does not exist"))
        if before:
            self._swap(before, [place], state)
        else:
            self._connected().configure([f"interface {place[0]}", f"no ip access-group {live} {place[1]}"])
        return True


def _same(lines: Sequence[str], content: str) -> bool:
    """Return whether lines read from the device mean what a text says; an empty list permits everything and equals nothing."""
    if not lines:
        return False
    try:
        return difference("ios", list_text("live", lines), content).equal
    except (FindingError, ValueError):
        return tuple(lines) == typed_lines(content)
