# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cisco ISE as a target: its objects of every kind (ise_kinds.py), read, compared, written and brought back."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes as change_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import body_difference
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import (
    Operation,
    OperationResult,
    Snapshot,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import HAND_BACK, PUSH
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import objects_sha256
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_access import (
    TEXTS,
    ObjectAccess,
    difference,
    seen,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_client import IseClient
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_diff import (
    ise_operations,
    removal_operations,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_kinds import ALL_KINDS, MORE_KINDS
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_lock import IseLock
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_objects import KINDS, canonical_content
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_preflight import may_write, preflight
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_push import push_matrix
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_read import IseReader

READ_BACKS = 8  # side by side; the client keeps to its rate
RELAXED_DACL = "permit ip any any"
# ISE's own approval workflow, and several matrices where the version has no interface for them.
_MATRIX_MODES = frozenset((codes.ISE_WORKFLOW.number, codes.ISE_MATRICES.number))
_TRUSTSEC = frozenset(("sgt", "sgacl", "egress_matrix_cell", "matrix_cell"))


class IseTarget:
    """One ISE deployment, addressed at its primary administration node.

    Objects are ours where their description begins with ``segwright:``, or their name with ``SW_`` where the kind has no
    description; others are changed only with ``adopt``: all, or those named as ``kind/name``. ``cascade`` names the users
    that an SGT may take with it when it is deleted. ``delete`` names, as ``kind/name``, what may be deleted although it was there
    before us; else it is given back. ``assignment_pause``: seconds before each endpoint assignment, which can make ISE
    authenticate the endpoint again.
    """

    platform = "ise"

    def __init__(
        self,
        name: str,
        client: IseClient,
        *,
        adopt: bool | Collection[str] = False,
        cascade: Collection[str] = (),
        delete: Collection[str] = (),
        push_seconds: float = 60.0,
        assignment_pause: float = 1.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name, self.client = name, client
        self.adopt = adopt if isinstance(adopt, bool) else frozenset(adopt)
        self.cascade, self.assignment_pause = frozenset(cascade), assignment_pause
        self.delete = frozenset(delete)
        self.push_seconds, self._sleep = push_seconds, sleep
        self._closed: tuple[Finding, ...] = ()
        self._unread: dict[str, str] = {}  # step -> id of what it created, until its batch is read back
        self._reader = IseReader(name, client)
        self._access = ObjectAccess(name, client, self._reader, sleep)

    def run_lock(self, purpose: str, way_back: bool = False) -> IseLock:
        """Return the lock that keeps other controllers off this ISE while a plan is carried out or taken back; see change/lock.py."""
        return IseLock(self.name, self.client, purpose, way_back=way_back, sleep=self._sleep)

    # -- reading

    def preflight(self, *, writing: bool) -> tuple[Finding, ...]:
        """Return what is wrong or worth knowing before anything is read or written; see ise_preflight.py.

        A mode that keeps the matrix from being written is only a warning here: ``diff`` refuses the steps that it concerns, and a plan
        for downloadable ACLs has none.
        """
        found = preflight(self.client, self.name, writing=writing).findings
        self._closed = tuple(finding for finding in found if finding.code in _MATRIX_MODES)
        return tuple(replace(each, severity="warning") if each in self._closed else each for each in found)

    def may_write(self) -> tuple[Finding, ...]:
        """Return why an apply would be refused for node or role; one request, which deletes what cannot exist."""
        return tuple(replace(each, message=f"{self.name}: {each.message}") for each in may_write(self.client))

    def snapshot(self, desired: Sequence[DesiredObject]) -> Snapshot:
        """Return the desired objects that exist and everything that carries our mark; see the protocol."""
        core = self._reader.read(desired, KINDS, with_owned=True)
        objects, notes = self._access.more.read(desired, MORE_KINDS)
        found = dict(core.objects) | objects
        notes |= self._access.usage(desired, found)
        return replace(core, objects=found, sha256=objects_sha256(found), raw={**core.raw, **notes})

    def snapshot_of(self, wanted: Sequence[tuple[str, str]]) -> Snapshot:
        """Return the named objects and everything that carries our mark, with who uses the SGTs among them."""
        items = [DesiredObject(kind, name, {}) for kind, name in wanted]
        live = self.snapshot(items)
        going = [name for kind, name in wanted if kind == "sgt" and f"sgt/{name}" in live.objects]
        return replace(live, raw={**live.raw, **self._access.sgt_usage(going)})

    def read_objects(self, wanted: Sequence[tuple[str, str]]) -> Snapshot:
        """Return the named objects only, as (kind, name)."""
        items = [DesiredObject(kind, name, {}) for kind, name in wanted]
        return self._read(items, {kind for kind, _name in wanted}, with_owned=False)

    def gathered(self, kinds: Sequence[str]) -> Snapshot:
        """Return all objects of the kinds, ours and others, built-in ones included; of endpoints those assigned to groups of ours."""
        return self._read((), kinds, with_owned=True, everything=True)

    def _read(self, items: Sequence[DesiredObject], kinds: Collection[str], **how: bool) -> Snapshot:
        ordered = [kind for kind in ALL_KINDS if kind in kinds]
        core = self._reader.read(items, [kind for kind in ordered if kind not in MORE_KINDS], **how)
        objects, notes = self._access.more.read(items, [kind for kind in ordered if kind in MORE_KINDS], **how)
        found = dict(core.objects) | objects
        return replace(core, objects=found, sha256=objects_sha256(found), raw={**core.raw, **notes})

    # -- planning

    def diff(self, desired: Sequence[DesiredObject], live: Snapshot) -> tuple[Operation, ...]:
        """Return the ordered steps from live to desired; see the protocol."""
        steps = ise_operations(
            self.name,
            desired,
            live,
            adopt=self.adopt,
            cascade=self.cascade,
            delete=self.delete,
            pause=self.assignment_pause,
            old_push=self._pushes_the_old_way,
        )
        if self._closed and any(step.kind in _TRUSTSEC and not step.details.get("prune") for step in steps):
            raise FindingError(*self._closed)
        return steps

    @property
    def _pushes_the_old_way(self) -> bool:
        """Return whether this ISE is older than the interface that pushes with a report."""
        return not self.client.version.pushes_with_report

    def removals(self, keys: Sequence[str], live: Snapshot) -> tuple[Operation, ...]:
        """Return the steps that remove the objects named as ``kind/name``; see ``removal_operations``."""
        return removal_operations(
            self.name, keys, live, cascade=self.cascade, delete=self.delete, old_push=self._pushes_the_old_way
        )

    # -- writing

    def together(self, operation: Operation) -> str:
        """Return a text that is equal for steps that may run side by side, empty for those that go one by one."""
        return (
            f"{operation.kind} {operation.action}" if operation.action == "create" and operation.kind in KINDS else ""
        )

    def prepare(self, operations: Sequence[Operation]) -> None:
        """Look up what many steps would look up one by one: which of the objects to create are there by now.

        Each of these steps, and no other, is read back by ``settle``.
        """
        self._reader.look_for(operations[0].kind, [operation.name for operation in operations])
        self._unread = {operation.id: "" for operation in operations}

    def settle(self, operations: Sequence[Operation]) -> dict[Operation, Exception]:
        """Read back what prepared steps created, side by side, before anything else is written; return what is wrong with which.

        Nothing refers to an object before its whole batch is read back: SGTs, lists and profiles are created apart, in this order.
        """
        made = [(operation, self._unread[operation.id]) for operation in operations if self._unread.get(operation.id)]
        self._unread = {}

        def wrong(item: tuple[Operation, str]) -> Exception | None:
            operation, identifier = item
            try:
                self._read_back(operation.kind, operation.name, operation.after, identifier)
            except Exception as error:
                return error
            return None

        with ThreadPoolExecutor(max_workers=READ_BACKS) as pool:
            found = dict(zip((operation for operation, _id in made), pool.map(wrong, made), strict=True))
        return {operation: error for operation, error in found.items() if error is not None}

    def execute(self, operation: Operation) -> OperationResult:
        """Carry out one step; see the protocol. Steps of which ``together`` says so may run side by side."""
        if operation.action == PUSH:
            return push_matrix(self.client, self.name, operation, self.push_seconds, self._sleep)
        before, kind, name = self.client.own_writes, operation.kind, operation.name
        absent = operation.before is None and self._reader.known_absent(kind, name)
        wire = None if absent else self._access.find(kind, name, operation.before or operation.after)
        live = self._access.canonical(kind, name, wire)
        if operation.details.get(HAND_BACK):
            return self._give_back(operation, wire, live)
        if difference(kind, live, operation.after).equal and not operation.details.get("adopt"):
            if kind == "ip_sgt_mapping" and wire is not None:
                self._access.more.deploy(wire)  # an interrupted run may have saved it only
            return OperationResult(operation.id, False, self.client.own_writes - before)
        if not difference(kind, live, operation.before).equal:
            raise FindingError(self._meanwhile(operation, live))
        if kind == "endpoint":
            self._sleep(self.assignment_pause)
        identifier = ""
        if operation.action == "delete":
            self._access.delete(kind, name, wire or {}, self.cascade)
        elif wire is None:
            identifier = self._access.create(kind, name, operation.after or {})
        else:
            self._access.update(kind, name, wire, operation.after or {})
            identifier = str(wire.get("id", ""))
        if wire is None and identifier and operation.id in self._unread:
            self._unread[operation.id] = identifier
        else:
            self._read_back(kind, name, operation.after, identifier, deploy=True)
        findings = [codes.SESSIONS_KEEP_OLD.at(f"{self.name}: {name}")] if kind == "downloadable_acl" and wire else []
        return OperationResult(operation.id, True, self.client.own_writes - before, tuple(findings), {"wire": wire})

    def undo(self, operation: Operation, result: Mapping[str, Any]) -> OperationResult:
        """Bring back what stood before a step, text for text where its whole run was journalled; see the protocol."""
        if operation.action == PUSH:
            return OperationResult(operation.id, False)
        writes = self.client.writes
        kind, name = operation.kind, operation.name
        wire = self._access.find(kind, name, operation.after or operation.before)
        live = self._access.canonical(kind, name, wire)
        old = result.get("wire") if isinstance(result.get("wire"), dict) else None
        marked = not operation.details.get(HAND_BACK) or (live is not None and bool(live.get("owned")))
        if (
            marked
            and difference(kind, live, operation.before).equal
            and (not old or wire is None or not _text_differs(old, wire))
        ):
            return OperationResult(operation.id, False)
        relaxed = _relaxed(kind, operation)
        known = [operation.after, operation.before, *([relaxed] if relaxed is not None else [])]
        if not any(difference(kind, live, body).equal for body in known):
            moved = body_difference(kind, operation.after, seen(live, operation.after))
            raise FindingError(change_codes.UNDO_REFUSED.at(f"{self.name}: {kind} {name}: {moved.text}"))
        if kind == "endpoint" and old and wire is not None:
            self._access.more.restore_endpoint(wire, old, operation.before)
        elif operation.before is None:
            self._undo_creation(operation, wire or {})
        elif wire is None:
            self._access.create(kind, name, operation.before, old)
        else:
            self._access.update(kind, name, wire, operation.before, old)
        self._read_back(kind, name, operation.before, deploy=True)
        return OperationResult(operation.id, True, self.client.writes - writes)

    def confirm(self, desired: Sequence[DesiredObject]) -> tuple[Finding, ...]:
        """Read everything anew and return a finding for each object that is not held; see the protocol."""
        steps = [
            step
            for step in self.diff(desired, self.snapshot(desired))
            if step.action != PUSH and not step.details.get("prune")
        ]
        return tuple(
            codes.NOT_HELD.at(f"{self.name}: {step.kind} {step.name}: {step.details.get('difference') or step.action}")
            for step in steps
        )

    def close(self) -> None:
        """Release connections; never raises."""
        self.client.close()

    # -- pieces

    def _give_back(
        self, operation: Operation, wire: Mapping[str, Any] | None, live: Mapping[str, Any] | None
    ) -> OperationResult:
        """Take our mark from an object and prove that it is gone; nothing else is sent, and one that lost it or is gone is done."""
        kind, name, writes = operation.kind, operation.name, self.client.own_writes
        if wire is None or live is None or not live.get("owned"):
            return OperationResult(operation.id, False)
        if not difference(kind, live, operation.before).equal:
            raise FindingError(self._meanwhile(operation, live))
        self._access.describe(kind, name, wire, str((operation.after or {})["description"]))
        now = self._access.canonical(kind, name, self._access.find(kind, name, operation.after))
        moved = difference(kind, now, operation.before)
        if now is None or now.get("owned") or not moved.equal:
            raise FindingError(
                codes.READ_BACK.at(f"{self.name}: {kind} {name}: {moved.text or 'our mark is still there'}")
            )
        return OperationResult(operation.id, True, self.client.own_writes - writes, (), {"wire": wire})

    def _undo_creation(self, operation: Operation, wire: Mapping[str, Any]) -> None:
        """Delete what a step created. One object that others use by now must not keep the rest from being undone.

        A list that stays because a profile hands it out must not go on denying: it is relaxed to permit everything, which
        sessions take at their next authentication. The way back is never blocked (a wrong deny can hurt someone).
        """
        kind, name = operation.kind, operation.name
        try:
            self._access.delete(kind, name, wire)
        except FindingError as error:
            if all(finding.code != codes.IN_USE.number for finding in error.findings):
                raise
            reason = error.findings[0].message
            relaxed = _relaxed(kind, operation)
            if relaxed is not None:
                self._access.update(kind, name, wire, relaxed)
                self._read_back(kind, name, relaxed)
                reason = f"it was relaxed to {RELAXED_DACL!r} for sessions to come; {reason}"
            hint = "take it out of what uses it (the site's authorization rules), then run rollback again"
            text = f"{self.name}: {kind} {name} is in use and stays: {reason}"
            raise FindingError(change_codes.UNDO_REFUSED.at(text, hint=hint)) from None

    def _read_back(
        self, kind: str, name: str, expected: Mapping[str, Any] | None, identifier: str = "", *, deploy: bool = False
    ) -> None:
        """Prove that ISE holds what was written, and send a mapping to its devices."""
        direct = identifier and expected is not None and kind not in MORE_KINDS
        wire = self._reader.get(kind, identifier) if direct else self._access.find(kind, name, expected)
        moved = body_difference(kind, expected, seen(self._access.canonical(kind, name, wire), expected))
        if not moved.equal:
            raise FindingError(codes.READ_BACK.at(f"{self.name}: {kind} {name}: {moved.text}"))
        if deploy and kind == "ip_sgt_mapping" and wire is not None:
            self._access.more.deploy(wire)

    def _meanwhile(self, operation: Operation, live: Mapping[str, Any] | None) -> Finding:
        moved = body_difference(operation.kind, operation.before, seen(live, operation.before))
        return codes.CHANGED_MEANWHILE.at(f"{self.name}: {operation.kind} {operation.name}: {moved.text}")


def _relaxed(kind: str, operation: Operation) -> dict[str, Any] | None:
    """Return the body of a list that a step created, made to permit everything; None for other steps and kinds."""
    if kind != "downloadable_acl" or operation.before is not None or not operation.after:
        return None
    return {**operation.after, "content": RELAXED_DACL}


def _text_differs(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Return whether texts differ although they mean the same: an undo brings back the text as well."""
    return any(
        key in old and canonical_content(str(old[key])) != canonical_content(str(new.get(key, ""))) for key in TEXTS
    )
