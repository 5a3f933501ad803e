# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cisco ASA firewalls as a target: extended access lists, for all interfaces (``global``) or for one.

A list in force is never edited. Its next version is typed in a configuration session and committed as a whole under another name, read
back and proved to mean what it should. Then an applet that would put the old list back is armed, the ``access-group`` line is
overwritten in one step, a new connection reads back and asks ``packet-tracer``, the applet is removed, and only then the old version goes
(facts/devices.md sections 1.7 and 5).
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
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_claim import AsaClaim
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_config import (
    AsaState,
    Place,
    asa_text,
    attach_line,
    place_name,
    typed_lines,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_diff import (
    ATTACHMENT,
    FINISH,
    LIST,
    as_planned,
    asa_operations,
    before_step,
    entries_of,
    found_out,
    left_half_typed,
    live_objects,
    place_of,
    same_meaning,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_guards import (
    capacity_findings,
    state_findings,
    unit_findings,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_paper import PaperAsaSession, foreseen
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_session import AsaSession
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_swap import Swap
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_ways_back import judged
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import base_name, ours
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.list_steps import not_held
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.list_versions import places_before
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ways_back import (
    not_outdone,
    of_others,
    tell_of_others,
)


class AsaTarget:
    """One firewall over SSH. One session at a time, and a second one only to confirm. Not for use from several threads at once."""

    platform = "asa"

    def __init__(self, spec: TargetSpec, open_session: Callable[[TargetSpec], AsaSession] = AsaSession) -> None:
        self.name, self.spec = spec.name, spec
        self._open = open_session
        self._session: AsaSession | None = None
        self._unsaved = False
        self._said: tuple[Finding, ...] = ()
        self._claim = AsaClaim(self)

    # -- reading and planning

    def snapshot(self, desired: Sequence[DesiredObject]) -> Snapshot:
        """Return our lists, their attachments, and what stands at the desired places; see the protocol."""
        state = self.state()
        others = of_others(judged(self.connected(), state.ways_back), self.name)
        names = [way.name for way in others]
        objects = live_objects(state, desired, saved=self.connected().saved(state), others=names)
        raw = {name: "\n".join(lines) for name, lines in state.lists.items() if ours(name)}
        return Snapshot(self.name, self.platform, objects, objects_sha256(objects), raw, iso_now())

    def diff(self, desired: Sequence[DesiredObject], live: Snapshot) -> tuple[Operation, ...]:
        """Return the ordered steps from live to desired; see the protocol."""
        return asa_operations(self.name, desired, live, adopt=self.spec.adopt)

    def prepare_change(self, steps: Sequence[Operation]) -> tuple[tuple[str, ...], tuple[Finding, ...]]:
        """Return the lines that carrying out the steps types, and what there is to say of them; see ``LinesKnown``. Nothing is written."""
        paper = PaperAsaSession(self.connected(), self.state())
        rehearsal = AsaTarget(self.spec, lambda _spec: paper)
        self._said = foreseen([finding for step in steps for finding in rehearsal.execute(step).findings])
        rehearsal._claim.release(paper)
        if rehearsal._unsaved:
            paper.save()
        return tuple(paper.typed), self._said

    # -- the protocol's writing side

    def execute(self, operation: Operation) -> OperationResult:
        """Carry out one step; see the protocol.

        Whatever fails, the list that was in force stays in force, or the finding says otherwise. Our claim stays from the first step until
        ``confirm`` or ``close``, so that no other run comes between two steps.
        """
        try:
            return self._executed(operation)
        except Exception:
            self._claim.release(self._session)
            raise

    def _executed(self, operation: Operation) -> OperationResult:
        self._claim.settle(to_hold=True)
        before = self.connected().lines
        held = self._claim.hold(operation)
        if operation.kind == ATTACHMENT:
            changed, undo, findings = self._attach(operation)
        elif operation.action == "delete":
            changed, undo, findings = *self._remove_list(operation), ()
        else:
            changed, undo, findings = self._replace_list(operation)
            if operation.details.get(FINISH):
                changed, undo = True, {}
        self._unsaved = self._unsaved or changed
        told = tuple(each for each in (*held, *findings) if each not in self._said)
        return OperationResult(operation.id, changed, self.connected().lines - before if changed else 0, told, undo)

    def undo(self, operation: Operation, result: Mapping[str, Any]) -> OperationResult:
        """Bring back the lines, names and attachments from before a step; see the protocol. Saves when it changed anything."""
        start = self.connected().lines

        def undone() -> tuple[bool, list[Finding]]:
            told = self._claim.settle(undo=True, to_hold=True)[1]
            if operation.details.get(FINISH):
                return False, told  # what was tidied up stays so
            told += self._claim.hold(operation)
            if operation.kind == ATTACHMENT:
                return self._undo_attachment(operation), told
            return self._undo_list(operation, result), told

        try:
            changed, told = not_outdone(undone)
        finally:
            self._claim.release(self._session)
        if changed:
            self.connected().save()
        return OperationResult(operation.id, changed, self.connected().lines - start, tuple(told))

    def confirm(self, desired: Sequence[DesiredObject]) -> tuple[Finding, ...]:
        """Read from a new connection, and save the configuration where everything is held; see the protocol."""
        self.replace_session(self._opened())
        try:
            state = self._claim.settle()[0]
            steps = [step for step in self.diff(desired, self.snapshot(desired)) if not step.details.get(PRUNE)]
        finally:
            self._claim.release(self._session)  # nothing more is typed, and it shall not be saved
        steps = [step for step in steps if not step.details.get(FINISH)]  # such as: not saved, which comes next
        if steps:
            return not_held(self.name, steps)
        if self._unsaved:
            try:
                self.connected().save()
            except FindingError as error:
                return error.findings
            self._unsaved = False
        places = [place_of(item.body) for item in desired if item.kind == ATTACHMENT]
        return tuple(state_findings(self.name, state, places))

    def finish(self) -> bool:
        """Save what an interrupted run left unsaved, and return whether there was anything of ours."""
        if self.connected().saved(self.state()):
            return False
        self._claim.settle()  # what others have there is unproved, and not ours to save; a claim that a dead run left is not saved either
        self.connected().save()
        self._unsaved = False
        return True

    def close(self) -> None:
        """Close the session, our claim taken away before; never raises."""
        self._claim.release(self._session)
        self._end_session()

    def _end_session(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    # -- sessions

    def _opened(self) -> AsaSession:
        """Return a new session to a unit that takes changes; FindingError for a standby unit and a context that is not named."""
        session = self._open(self.spec)
        try:
            found = unit_findings(session)
        except FindingError:
            session.close()
            raise
        if found:
            session.close()
            raise FindingError(*found)
        return session

    def connected(self) -> AsaSession:
        """Return the session in use, opened where there is none."""
        if self._session is None:
            self._session = self._opened()
        return self._session

    def fresh_session(self) -> AsaSession:
        """Return a second session, from a new login."""
        return self._opened()

    def replace_session(self, session: AsaSession) -> None:
        """Go on with another session and close the one in use."""
        session.lines += self._session.lines if self._session is not None else 0
        self._end_session()
        self._session = session

    def state(self) -> AsaState:
        """Return the configuration without our own claim, from a new session where the old one has ended meanwhile."""
        return self._claim.without(self.read())

    def read(self) -> AsaState:
        """Return the configuration with all that stands there."""
        if self._session is not None:
            try:
                return self._session.state()
            except FindingError as error:
                if all(finding.code != codes.SESSION_LOST.number for finding in error.findings):
                    raise
                self.replace_session(self._opened())
        return self.connected().state()

    # -- lists

    def _replace_list(self, operation: Operation) -> tuple[bool, dict[str, Any], tuple[Finding, ...]]:
        """Build, prove, swap, confirm, remove the old version; return whether anything was written, what undo needs, and findings."""
        name, content = operation.name, str((operation.after or {})["content"])
        state = self.state()
        self._check_before(operation, state)
        versions = state.versions(name)
        if len(versions) == 1 and same_meaning(state, versions[0], content):
            return False, {}, ()
        self._refuse_elsewhere(versions, state)
        places = sorted({place for version in versions for place in state.attached(version)})
        was = before_step(operation, versions, state)
        undo = {
            "lists": {version: list(state.lists[version]) for version in was},
            "places": places_before(places, state.groups, was),
        }
        fresh = next((each for each in versions if ours(each) and same_meaning(state, each, content)), "")
        findings: list[Finding] = []
        if not fresh:
            fresh = state.free_name(name)
            findings += self._build(fresh, typed_lines(content), content, state, in_force=versions[0] if places else "")
        undo["fresh"] = fresh
        if any(state.groups[place] != fresh for place in places):
            findings += Swap(self, state).swap(fresh, places, content, narrows=operation.effect != "widens")
        self._remove([version for version in versions if version != fresh])
        return True, undo, tuple(findings)

    def _build(
        self, fresh: str, lines: Sequence[str], content: str, state: AsaState, *, in_force: str
    ) -> list[Finding]:
        """Make a version that is attached nowhere, read it back and prove it; remove it again where anything goes wrong.

        In a configuration session the whole list appears at its commit; where the ASA has none, line by line, which nothing uses yet.
        """
        found = capacity_findings(self.connected(), len(lines))
        typed = [f"access-list {fresh} {line}" for line in lines]
        try:
            if fresh in state.lists:
                self.connected().configure([f"clear configure access-list {fresh}"])
            if not self.connected().edit(typed):
                self.connected().configure(typed)
            now = self.state()
            if self._claim.lost:
                raise FindingError(codes.CLAIM_GONE.at(f"{self.name}: {self._claim.lost}"))
            proof = difference("asa", asa_text(fresh, now.lists.get(fresh, ()), now), content)
            if not proof.equal or fresh not in now.lists:
                raise FindingError(codes.NOT_PROVED.at(f"{self.name}: list {fresh}: {proof.text or 'is not there'}"))
        except FindingError as error:
            raise FindingError(*error.findings, *self.clean_up([fresh], in_force, error.findings)) from None
        return found

    def clean_up(self, names: Sequence[str], in_force: str, why: Sequence[Finding] = ()) -> list[Finding]:
        """Remove unattached versions after a failure and return what is there now, as findings.

        Where the failure (``why``) is a sign of another run, and no claim of ours holds it off, that one may be about to attach a version
        of the same name: it stays.
        """
        try:
            state = self.state()
            self.connected().forget_edit()
            attached = {*state.groups.values(), *state.elsewhere}
            present = [name for name in names if name in state.lists and name not in attached]
            if present and (self._claim.stands or not tell_of_others(why)):
                self.connected().configure([f"clear configure access-list {name}" for name in present])
            left = [name for name in present if name in self.state().lists]
        except FindingError as error:
            text = f"{self.name}: {', '.join(names)} may be left, attached nowhere ({error.findings[0].code})"
            return [codes.LEFT_BEHIND.at(text)]
        if left:
            return [codes.LEFT_BEHIND.at(f"{self.name}: {', '.join(left)}, attached nowhere")]
        text = f"{self.name}: nothing of the new version is left" + (
            f"; {in_force} is still in force" if in_force else ""
        )
        return [codes.LEFT_BEHIND.at(text).with_severity("info")]

    def _remove(self, names: Sequence[str]) -> None:
        """Remove versions that nothing uses: on an ASA a list takes its access-group line with it (facts/devices.md section 1.7)."""
        state = self.state()
        attached = {*state.groups.values(), *state.elsewhere}
        chosen = [name for name in names if name in state.lists and name not in attached]
        if chosen:
            self.connected().configure([f"clear configure access-list {name}" for name in chosen])

    def _refuse_elsewhere(self, versions: Sequence[str], state: AsaState) -> None:
        """Raise FindingError where one of the lists also serves something that we do not write: it would go, or change, with it."""
        if other := sorted(set(versions) & state.elsewhere):
            raise FindingError(
                codes.IN_USE.at(f"{self.name}: {', '.join(other)} is used by something else than an interface")
            )

    def _remove_list(self, operation: Operation) -> tuple[bool, dict[str, Any]]:
        state = self.state()
        versions = [version for version in state.versions(operation.name) if ours(version)]
        if not versions:
            return False, {}
        self._check_before(operation, state)
        self._refuse_elsewhere(versions, state)
        attached = [place_name(place) for version in versions for place in state.attached(version)]
        if attached:
            text = f"{self.name}: list {operation.name} is attached to {', '.join(attached)}"
            raise FindingError(codes.IN_USE.at(text))
        self._remove(versions)
        was = before_step(operation, versions, state)
        return True, {"lists": {version: list(state.lists[version]) for version in was}, "places": [], "fresh": ""}

    def _check_before(self, operation: Operation, state: AsaState) -> None:
        """Raise FindingError where the list is neither as planned nor already as it shall be."""
        versions = state.versions(operation.name)
        live = {"content": asa_text(operation.name, state.lists[versions[0]], state)} if versions else None
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

    def _undo_list(self, operation: Operation, result: Mapping[str, Any]) -> bool:
        """Bring back the versions from before with their remarks, attached where they were; remove the one that came."""
        state = self.state()
        versions = state.versions(operation.name)
        before = {str(name): tuple(lines) for name, lines in (result.get("lists") or {}).items()}
        if not before and operation.before is not None:
            before = found_out(operation, versions, state)
        if {version: state.lists[version] for version in versions} == before:
            return False
        allowed = [str(body["content"]) for body in (operation.before, operation.after) if body is not None]
        strange = [each for each in versions if not any(same_meaning(state, each, content) for content in allowed)]
        typed = [*map(entries_of, allowed), *before.values()]
        strange = [each for each in strange if not left_half_typed(each, typed, state)]
        if strange:
            text = f"{self.name}: list {', '.join(strange)} was changed by someone"
            raise FindingError(change_codes.UNDO_REFUSED.at(text))
        places = sorted({place for version in versions for place in state.attached(version)})
        main = next(iter(before), "")
        if not main and places:
            text = f"{self.name}: list {operation.name} is attached to {', '.join(map(place_name, places))}"
            raise FindingError(codes.IN_USE.at(text))
        for version, lines in before.items():
            if state.lists.get(version) != lines:
                if state.attached(version):
                    text = f"{self.name}: list {version} is in force with other lines"
                    raise FindingError(change_codes.UNDO_REFUSED.at(text))
                content = asa_text(version, lines, state)
                self._build(version, lines, content, self.state(), in_force=", ".join(versions))
        if places:
            recorded = {(str(item[0]), str(item[1])): str(item[2]) for item in result.get("places") or ()}
            for version, lines in before.items():
                chosen = [place for place in places if recorded.get(place, main) == version]
                if chosen and any(state.groups[place] != version for place in chosen):
                    Swap(self, self.state()).swap(version, chosen, asa_text(version, lines, state), narrows=False)
        self._remove([version for version in versions if version not in before])
        return True

    # -- attachments

    def _attach(self, operation: Operation) -> tuple[bool, dict[str, Any], tuple[Finding, ...]]:
        place = place_of(operation.after or operation.before or {})
        state = self.state()
        live = state.groups.get(place, "")
        if operation.after is None:
            return (*self._detach(operation, place, live), ())
        wanted = str(operation.after["access_list"])
        if live and base_name(live) == wanted and ours(live):
            return False, {}, ()
        planned = str((operation.before or {}).get("live", ""))
        shown = place_name(place)
        if not as_planned(live, planned):
            text = f"{self.name}: {shown} holds {live or 'nothing'} instead of {planned or 'nothing'}"
            raise FindingError(codes.CHANGED_MEANWHILE.at(text))
        if place[0] and place[0] not in state.named:
            raise FindingError(codes.MISSING_REFERENCE.at(f"{self.name}: there is no interface named {place[0]}"))
        versions = [version for version in state.versions(wanted) if ours(version)]
        if not versions:
            raise FindingError(codes.MISSING_REFERENCE.at(f"{self.name}: list {wanted} does not exist"))
        content = asa_text(versions[0], state.lists[versions[0]], state)
        findings = Swap(self, state).swap(versions[0], [place], content, narrows=True)
        return True, {"live": live}, tuple(findings)

    def _detach(self, operation: Operation, place: Place, live: str) -> tuple[bool, dict[str, Any]]:
        if not live:
            return False, {}
        if not as_planned(live, str((operation.before or {}).get("live", live))) or not ours(live):
            raise FindingError(codes.CHANGED_MEANWHILE.at(f"{self.name}: {place_name(place)} holds {live}"))
        self.connected().configure([f"no {attach_line(live, place)}"])
        return True, {"live": live}

    def _undo_attachment(self, operation: Operation) -> bool:
        place = place_of(operation.after or operation.before or {})
        state = self.state()
        live = state.groups.get(place, "")
        before = str((operation.before or {}).get("live", ""))
        if before and before not in state.lists and ours(before):
            # A rename by a later, already undone or skipped step: any version of the same list means the same.
            before = next(iter(state.versions(base_name(before))), before)
        if live == before:
            return False
        after = str((operation.after or {}).get("access_list", ""))
        if base_name(live) != after:  # what somebody detached since is theirs, as what they attached
            raise FindingError(
                change_codes.UNDO_REFUSED.at(f"{self.name}: {place_name(place)} holds {live or 'nothing'}")
            )
        if before and before not in state.lists:
            raise FindingError(codes.MISSING_REFERENCE.at(f"{self.name}: list {before} does not exist"))
        if before:
            Swap(self, state).swap(before, [place], asa_text(before, state.lists[before], state), narrows=False)
        else:
            self.connected().configure([f"no {attach_line(live, place)}"])
        return True
