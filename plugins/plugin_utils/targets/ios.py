# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cisco IOS-XE switches as a target: extended IPv4 and IPv6 access lists on ports and routed interfaces.

A list in force is never edited. Its next version is built beside it under another name, read back and proved to mean what it
should, then each attachment line is overwritten in one step, a new connection confirms, and only then the old version goes
(facts/devices.md sections 0.6 and 5). ``ios_work.py`` does so, ``ios_change.py`` says which lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_now
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import (
    Operation,
    OperationResult,
    Snapshot,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import PRUNE, objects_sha256
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_change import Change, plan_change
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import IosState, Place, ours
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_diff import (
    ATTACHMENTS,
    LISTS,
    ios_operations,
    live_objects,
    place_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_guards import (
    cut_findings,
    management_path,
    neighbour_findings,
    room_findings,
    way_findings,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_lines import Lines
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_session import IosSession
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_undo import undo_change
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_ways_back import judged, settled
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_work import Arming, Work
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.list_steps import not_held
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.management import ManagementPath
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ways_back import (
    not_outdone,
    of_others,
    refusal,
)

MANAGEMENT = "management"


class IosTarget:
    """One switch over SSH. One session at a time, and a second one only to confirm. Not for use from several threads at once."""

    platform = "ios"

    def __init__(self, spec: TargetSpec, open_session: Callable[[TargetSpec], IosSession] = IosSession) -> None:
        self.name, self.spec = spec.name, spec
        self._lines = Lines(spec, open_session)
        self._work = Work(spec, self._lines)
        self._path: ManagementPath | None = None
        self._prepared: tuple[Change, Arming] | None = None
        self._told: tuple[Finding, ...] = ()
        self._unsaved = False

    # -- reading and planning

    def snapshot(self, desired: Sequence[DesiredObject]) -> Snapshot:
        """Return our lists, their attachments, and what stands on the desired interfaces; see the protocol.

        Where something is to change, also how the controller reaches the switch: a plan that cuts it off is refused.
        """
        state = self._lines.state()
        others = of_others(judged(self._lines.session(), state.ways_back), self.name) if state.ways_back else []
        objects = live_objects(state, desired, [way.name for way in others])
        raw = {name: "\n".join(lines) for name, lines in state.lists.items() if ours(name)}
        live = Snapshot(self.name, self.platform, objects, objects_sha256(objects), raw, iso_now())
        try:
            steps = ios_operations(self.name, desired, live, adopt=self.spec.adopt)
        except FindingError:
            return live  # diff says why
        if _places(steps, live):
            self._path = management_path(self._lines.session(), state)
            raw[MANAGEMENT] = self._path.as_text()
        return live

    def diff(self, desired: Sequence[DesiredObject], live: Snapshot) -> tuple[Operation, ...]:
        """Return the ordered steps from live to desired; see the protocol. Refuses what cuts off management (SW4263)."""
        steps = ios_operations(self.name, desired, live, adopt=self.spec.adopt)
        if MANAGEMENT in live.raw:
            path = ManagementPath.of_text(live.raw[MANAGEMENT])
            contents = _contents(steps, live)
            found: list[Finding] = []
            for place, name in _places(steps, live):
                if (content := contents.get((name, place[2]))) is not None:
                    found += cut_findings(self.name, content, [place], path)
                    found += neighbour_findings(self.name, content, place, path.routed)
            if errors_of(found):
                raise FindingError(*errors_of(found))
        return steps

    # -- the whole change of a device (targets/fleet_device.py)

    def prepare_change(self, steps: Sequence[Operation]) -> tuple[tuple[str, ...], tuple[Finding, ...]]:
        """Return the lines that ``carry_out`` will type, after every guard; nothing is written. FindingError where it is refused."""
        state, _told = settled(self._lines.session(), self._lines.known(), self._lines.state, undo=False)
        change = plan_change(self.name, steps, state)
        arm = self._guarded(change, state)
        self._prepared = (change, arm)
        self._told = tuple(arm.findings)
        shown = change.commands(arm.lines, enter=arm.enter, claim=self._work.claiming(change))
        return shown, tuple(arm.findings)

    def carry_out(self, steps: Sequence[Operation]) -> Sequence[OperationResult]:
        """Carry out all steps as one change and save; see ``DeviceTarget``."""
        state = self._lines.known()
        if self._prepared is None:
            self.prepare_change(steps)
            self._told = ()  # nobody was told yet
        prepared, self._prepared = self._prepared, None
        if prepared is None:
            raise RuntimeError("prepare_change leaves what it prepared")
        change, arm = prepared
        before = self._lines.count
        said = tuple(each for each in self._work.run(change, state, arm, anew=True) if each not in self._told)
        if not change.empty:
            self._unsaved = True
            try:
                self._save()
            except FindingError as error:  # the new lists are in force all the same: what was done is told
                said = (*said, *error.findings)
        sent = self._lines.count - before
        return [_result(step, change, *((0, ()) if number else (sent, said))) for number, step in enumerate(steps)]

    def in_force(self) -> str:
        """Return what the switch is known to hold, in words."""
        return self._work.held

    def finish(self) -> bool:
        """Save what an interrupted run left unsaved, and return whether there was anything.

        Where everything of ours is in the startup configuration already, what others have not saved is theirs to save.
        """
        session = self._lines.session()
        startup = session.startup()
        state = session.state()
        if startup is not None and startup.own() == state.own():
            return False
        if others := of_others(judged(session, state.ways_back), self.name):  # unproved, and not ours to save
            raise FindingError(*refusal(self.name, others))
        self._unsaved = True
        self._save()
        return True

    # -- the protocol's writing side

    def execute(self, operation: Operation) -> OperationResult:
        """Carry out one step; see the protocol.

        Whatever fails, the list that was in force stays in force, or the finding says otherwise. ``confirm`` saves. Our claim stays from
        the first step until ``confirm`` or ``close``, so that no other run comes between two steps.
        """
        before = self._lines.count
        state, _told = settled(self._lines.session(), self._lines.state(), self._lines.state, undo=False)
        change = plan_change(self.name, [operation], state)
        arm = self._guarded(change, state)
        # A port by which nobody manages the switch needs no login of its own; confirm() comes from a new connection anyway.
        anew = operation.kind not in ATTACHMENTS or bool(arm.lines)
        said = self._work.run(change, state, arm, anew=anew, last=False)
        self._unsaved = self._unsaved or not change.empty
        return _result(operation, change, self._lines.count - before, said)

    def undo(self, operation: Operation, result: Mapping[str, Any]) -> OperationResult:
        """Bring back the lines, names and attachments from before a step; see the protocol. Saves when it changed anything."""
        before = self._lines.count

        def undone() -> tuple[Change, list[Finding]]:
            state, told = settled(self._lines.session(), self._lines.state(), self._lines.state, undo=True)
            change = undo_change(self.name, operation, result, state)
            if not change.empty:
                arm = self._guarded(change, state, undo=True)
                said = self._work.run(change, state, arm, anew=True)
                told += [each for each in said if each.code == codes.NO_CLAIM.number]
            return change, told

        try:
            change, told = not_outdone(undone)
        finally:
            self._work.release()
        if not change.empty:
            self._lines.session().save()
        return OperationResult(operation.id, not change.empty, self._lines.count - before, tuple(told))

    def confirm(self, desired: Sequence[DesiredObject]) -> tuple[Finding, ...]:
        """Read from a connection that is newer than the change, and save where everything is held; see the protocol."""
        self._lines.renew(self._work.needs_renewal)
        self._work.needs_renewal = False
        self._work.release()  # nothing more is typed, and it shall not be saved
        live = self.snapshot(desired)
        steps = [
            step
            for step in ios_operations(self.name, desired, live, adopt=self.spec.adopt)
            if not step.details.get(PRUNE)
        ]
        if steps:
            return not_held(self.name, steps)
        if self._unsaved:
            try:
                self._save()
            except FindingError as error:
                return error.findings
        return ()

    def close(self) -> None:
        """Close the session, our claim taken away before; never raises."""
        self._work.release()
        self._lines.close()

    def _save(self) -> None:
        self._lines.session().save()
        self._unsaved = False
        self._work.held += " and saved" if self._work.held and not self._work.held.endswith("saved") else ""

    def _guarded(self, change: Change, state: IosState, *, undo: bool = False) -> Arming:
        """Return how the way back is armed, after management, neighbours and room have been looked at; FindingError where one says no.

        ``undo``: what stood there before comes back whatever it does to neighbour discovery.
        """
        if not change.swaps:
            return self._work.arming(change, state, needed=False)
        if self._path is None:
            self._path = management_path(self._lines.session(), state)
        contents = {build.name: build.content for build in change.builds}
        found: list[Finding] = []
        for swap in change.swaps:
            if swap.new and swap.new not in change.bare:
                content = contents.get(swap.new) or state.text(swap.new)
                found += cut_findings(self.name, content, [swap.place], self._path)
                found += [] if undo else neighbour_findings(self.name, content, swap.place, state.routed)
        found += way_findings(self.name, self._path)
        found += room_findings(self.name, self._lines.session(), change, state)
        if errors_of(found):
            raise FindingError(*errors_of(found))
        arm = self._work.arming(change, state, needed=self._path.may_cut(change.places))
        return arm.saying(found)


def _result(operation: Operation, change: Change, lines: int, findings: tuple[Finding, ...] = ()) -> OperationResult:
    changed, undo = operation.id in change.changed, dict(change.undo.get(operation.id, {}))
    return OperationResult(operation.id, changed, lines, findings, undo)


def _contents(steps: Sequence[Operation], live: Snapshot) -> dict[tuple[str, int], str]:
    """Return the texts of lists as they are after the steps, by name and family."""
    found = {
        (name, LISTS[kind]): str(body["content"])
        for key, body in live.objects.items()
        for kind, _slash, name in (key.partition("/"),)
        if kind in LISTS
    }
    after = [(step, step.after) for step in steps if step.kind in LISTS]
    return found | {(step.name, LISTS[step.kind]): str(body["content"]) for step, body in after if body}


def _places(steps: Sequence[Operation], live: Snapshot) -> list[tuple[Place, str]]:
    """Return (place, list) for every place whose packets another list judges after the steps."""
    found: list[tuple[Place, str]] = []
    for step in steps:
        if step.kind in ATTACHMENTS and step.after and not step.details.get(PRUNE):
            found.append((place_of(step.kind, step.after), str(step.after["access_list"])))
        elif step.kind in LISTS and step.after:
            internal = live.objects.get(f"{step.kind}/{step.name}", {}).get("internal", {})
            found += [((str(a), str(b), int(c)), step.name) for a, b, c in internal.get("attached", ())]
    return found
