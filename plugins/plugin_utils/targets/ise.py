# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cisco ISE as a target: SGTs, SGACLs, downloadable ACLs, authorization profiles and egress matrix cells."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes as change_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import body_difference
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import (
    Operation,
    OperationResult,
    Snapshot,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import PUSH
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_client import IseClient, Lost, NotFound
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_diff import ise_operations
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_objects import (
    FIXED_SGTS,
    KINDS,
    canonical_content,
    merged_wire,
    wire_fields,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_push import push_matrix
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_read import IseReader

RELEASE_SECONDS = 20.0
LOST_SECONDS = 3.0
RELAXED_DACL = "permit ip any any"


class IseTarget:
    """One ISE deployment, addressed at its primary administration node.

    Objects are ours where their description begins with ``segwright:``; others are changed only with ``adopt``. Not for use
    from several threads at once.
    """

    platform = "ise"

    def __init__(
        self,
        name: str,
        client: IseClient,
        *,
        adopt: bool = False,
        push_seconds: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name, self.client, self.adopt = name, client, adopt
        self.push_seconds, self._sleep = push_seconds, sleep
        self._reader = IseReader(name, client)

    # -- reading

    def snapshot(self, desired: Sequence[DesiredObject]) -> Snapshot:
        """Return the desired objects that exist and everything that carries our mark; see the protocol."""
        return self._reader.read(desired, KINDS, with_owned=True)

    def read_objects(self, wanted: Sequence[tuple[str, str]]) -> Snapshot:
        """Return the named objects only, as (kind, name)."""
        items = [DesiredObject(kind, name, {}) for kind, name in wanted]
        return self._reader.read(items, sorted({kind for kind, _name in wanted}, key=KINDS.index), with_owned=False)

    def gathered(self, kinds: Sequence[str]) -> Snapshot:
        """Return all objects of the kinds, ours and others, built-in ones included."""
        return self._reader.read((), kinds, with_owned=True, everything=True)

    # -- planning

    def diff(self, desired: Sequence[DesiredObject], live: Snapshot) -> tuple[Operation, ...]:
        """Return the ordered steps from live to desired; see the protocol."""
        return ise_operations(self.name, desired, live, adopt=self.adopt)

    # -- writing

    def execute(self, operation: Operation) -> OperationResult:
        """Carry out one step; see the protocol."""
        if operation.action == PUSH:
            return push_matrix(self.client, self.name, operation, self.push_seconds, self._sleep)
        before = self.client.writes
        wire = self._reader.find(operation.kind, operation.name)
        live = self._reader.canonical(operation.kind, wire)
        if _equal(operation.kind, live, operation.after) and not operation.details.get("adopt"):
            return OperationResult(operation.id, False)
        if not _equal(operation.kind, live, operation.before):
            raise FindingError(self._meanwhile(operation, live))
        undo: dict[str, Any] = {"wire": wire}
        if operation.action == "delete":
            self._delete(operation.kind, operation.name, str((wire or {})["id"]))
        elif wire is None:
            self._create(operation.kind, operation.name, operation.after or {})
        else:
            fields = self._fields(operation.kind, operation.name, operation.after or {})
            self.client.update(operation.kind, str(wire["id"]), merged_wire(wire, fields))
        self._read_back(operation.kind, operation.name, operation.after)
        findings = (
            [codes.SESSIONS_KEEP_OLD.at(f"{self.name}: {operation.name}")]
            if operation.kind == "downloadable_acl" and wire
            else []
        )
        return OperationResult(operation.id, True, self.client.writes - before, tuple(findings), undo)

    def undo(self, operation: Operation, result: Mapping[str, Any]) -> OperationResult:
        """Bring back what stood before a step, text for text where its whole run was journalled; see the protocol."""
        if operation.action == PUSH:
            return OperationResult(operation.id, False)
        writes = self.client.writes
        kind, name = operation.kind, operation.name
        wire = self._reader.find(kind, name)
        live = self._reader.canonical(kind, wire)
        old = result.get("wire") if isinstance(result.get("wire"), dict) else None
        if _equal(kind, live, operation.before) and (not old or wire is None or not _text_differs(old, wire)):
            return OperationResult(operation.id, False)
        relaxed = _relaxed(kind, operation)
        known = [operation.after, operation.before, *([relaxed] if relaxed is not None else [])]
        if not any(_equal(kind, live, body) for body in known):
            moved = body_difference(kind, operation.after, live)
            raise FindingError(change_codes.UNDO_REFUSED.at(f"{self.name}: {kind} {name}: {moved.text}"))
        if operation.before is None:
            self._undo_creation(operation, wire or {})
        elif wire is None:
            self._create(kind, name, operation.before, old)
        else:
            fields = self._fields(kind, name, operation.before)
            if old:
                fields = {**fields, **{key: old[key] for key in ("dacl", "aclcontent", "description") if key in old}}
            self.client.update(kind, str(wire["id"]), merged_wire(wire, fields))
        self._read_back(kind, name, operation.before)
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

    def _fields(self, kind: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        if kind != "egress_matrix_cell":
            return wire_fields(kind, name, body, {}, {})
        ends = {str(body[end]) for end in ("source", "destination")} - set(FIXED_SGTS.values())
        sgts = self._reader.named("sgt", fresh=not ends <= set(self._reader.named("sgt").values()))
        sgacls = self._reader.named("sgacl", fresh=not set(body["sgacls"]) <= set(self._reader.named("sgacl").values()))
        return wire_fields(
            kind, name, body, {value: key for key, value in sgts.items()}, {value: key for key, value in sgacls.items()}
        )

    def _create(self, kind: str, name: str, body: Mapping[str, Any], old: Mapping[str, Any] | None = None) -> None:
        """Create an object once. A lost answer is settled by reading: nothing is sent a second time."""
        fields = self._fields(kind, name, body)
        self._reader.names.pop(kind, None)
        if old:
            kept = {
                key: value
                for key, value in old.items()
                if key not in ("id", "link", "generationId", "isReadOnly", "readOnly")
            }
            fields = {**kept, **{key: value for key, value in fields.items() if key not in ("dacl", "aclcontent")}}
        try:
            self.client.create(kind, fields)
        except Lost as error:
            for wait in (0.0, 0.5, LOST_SECONDS):
                self._sleep(wait)
                if self._reader.find(kind, name) is not None:
                    return
            text = f"{self.name}: creating {kind} {name} got no answer ({error}), and it does not exist now"
            raise FindingError(codes.NO_ANSWER.at(text, hint="it was not sent again; plan and apply again")) from None

    def _delete(self, kind: str, name: str, identifier: str) -> None:
        """Delete an object that nothing uses.

        References that ISE has just dropped may count for some seconds (facts/ise.md section 1.4).
        """
        if kind == "sgt":
            users = [
                item["name"]
                for end in ("Src", "Dst")
                for item in self.client.list_items("egress_matrix_cell", f"sgt{end}Name.EQ.{name}")
            ]
            if users:
                raise FindingError(
                    codes.IN_USE.at(
                        f"{self.name}: deleting SGT {name} would delete its cells {', '.join(sorted(set(users))[:10])}"
                    )
                )
        self._reader.names.pop(kind, None)
        waited = 0.0
        while True:
            try:
                self.client.delete(kind, identifier)
                return
            except NotFound:
                return
            except FindingError as error:
                if kind not in ("sgacl", "downloadable_acl") or waited >= RELEASE_SECONDS:
                    raise FindingError(*error.findings, codes.IN_USE.at(f"{self.name}: {kind} {name}")) from None
            self._sleep(2.0)
            waited += 2.0

    def _undo_creation(self, operation: Operation, wire: Mapping[str, Any]) -> None:
        """Delete what a step created. One object that others use by now must not keep the rest from being undone.

        A list that stays because a profile hands it out must not go on denying: it is relaxed to permit everything, which
        sessions take at their next authentication. The way back is never blocked (a wrong deny can hurt someone).
        """
        kind, name = operation.kind, operation.name
        try:
            self._delete(kind, name, str(wire["id"]))
        except FindingError as error:
            if all(finding.code != codes.IN_USE.number for finding in error.findings):
                raise
            reason = error.findings[0].message
            relaxed = _relaxed(kind, operation)
            if relaxed is not None:
                self.client.update(kind, str(wire["id"]), merged_wire(wire, self._fields(kind, name, relaxed)))
                self._read_back(kind, name, relaxed)
                reason = f"it was relaxed to {RELAXED_DACL!r} for sessions to come; {reason}"
            hint = "take it out of what uses it (the site's authorization rules), then run rollback again"
            text = f"{self.name}: {kind} {name} is in use and stays: {reason}"
            raise FindingError(change_codes.UNDO_REFUSED.at(text, hint=hint)) from None

    def _read_back(self, kind: str, name: str, expected: Mapping[str, Any] | None) -> None:
        live = self._reader.canonical(kind, self._reader.find(kind, name))
        difference = body_difference(kind, expected, _like(live, expected))
        if not difference.equal:
            raise FindingError(codes.READ_BACK.at(f"{self.name}: {kind} {name}: {difference.text}"))

    def _meanwhile(self, operation: Operation, live: Mapping[str, Any] | None) -> Finding:
        difference = body_difference(operation.kind, operation.before, live)
        return codes.CHANGED_MEANWHILE.at(f"{self.name}: {operation.kind} {operation.name}: {difference.text}")


def _like(live: Mapping[str, Any] | None, wanted: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return of a live body what the wanted one speaks of."""
    if live is None or wanted is None:
        return live
    return {key: live.get(key) for key in wanted}


def _relaxed(kind: str, operation: Operation) -> dict[str, Any] | None:
    """Return the body of a list that a step created, made to permit everything; None for other steps and kinds."""
    if kind != "downloadable_acl" or operation.before is not None or not operation.after:
        return None
    return {**operation.after, "content": RELAXED_DACL}


def _equal(kind: str, live: Mapping[str, Any] | None, wanted: Mapping[str, Any] | None) -> bool:
    return body_difference(kind, _like(live, wanted), wanted).equal


def _text_differs(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Return whether texts differ although they mean the same: an undo brings back the text as well."""
    keys: Iterable[str] = ("dacl", "aclcontent", "description")
    return any(
        key in old and canonical_content(str(old[key])) != canonical_content(str(new.get(key, ""))) for key in keys
    )
