"""A target in memory: objects are plain bodies, faults can be set, every call is counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code, Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import body_difference
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import (
    Operation,
    OperationResult,
    Snapshot,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.phases import CLEAN, phase_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import PRUNE, objects_sha256, operation_id
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject

BROKEN = Code("SW9999", "error", "the fake target was told to fail", "")


class FakeTarget:
    """Holds ``objects``: "kind/name" -> body. ``fail_on``: names whose execute fails; ``effects``: effect by object name."""

    platform = "fake"

    def __init__(self, name: str, objects: Mapping[str, Mapping[str, Any]] | None = None, **effects: str) -> None:
        self.name = name
        self.objects = {key: dict(value) for key, value in (objects or {}).items()}
        self.effects = effects
        self.fail_on: set[str] = set()
        self.crash_on: set[str] = set()
        self.unreadable = False
        self.unconfirmed = False
        self.writes = 0
        self.log: list[tuple[str, str]] = []

    def snapshot(self, desired: Sequence[DesiredObject]) -> Snapshot:
        if self.unreadable:
            raise FindingError(BROKEN.at(f"{self.name} is not readable"))
        found = {
            key: {**value, "owned": True, "internal": {"id": str(self.writes)}} for key, value in self.objects.items()
        }
        return Snapshot(self.name, self.platform, found, objects_sha256(found))

    def diff(self, desired: Sequence[DesiredObject], live: Snapshot) -> tuple[Operation, ...]:
        steps = []
        for item in desired:
            before = live.objects.get(f"{item.kind}/{item.name}")
            if (
                before is not None
                and body_difference(item.kind, {k: before.get(k) for k in item.body}, item.body).equal
            ):
                continue
            action = "create" if before is None else "update"
            effect = self.effects.get(item.name, "both")
            old = None if before is None else {k: before.get(k) for k in item.body}
            number = operation_id(self.name, item.kind, item.name, action, item.body)
            steps.append(
                Operation(
                    number, self.name, item.kind, item.name, action, old, dict(item.body), f"{action} {item.name}",
                    effect=effect, phase=phase_of(effect),
                )
            )  # fmt: skip
        wanted = {f"{item.kind}/{item.name}" for item in desired}
        for key in sorted(set(live.objects) - wanted):
            kind, name = key.split("/")
            body = {k: v for k, v in live.objects[key].items() if k not in ("owned", "internal")}
            number = operation_id(self.name, kind, name, "delete", None)
            steps.append(
                Operation(number, self.name, kind, name, "delete", body, None, phase=CLEAN, details={PRUNE: True})
            )
        return tuple(steps)

    def execute(self, operation: Operation) -> OperationResult:
        self.log.append(("execute", operation.name))
        if operation.name in self.crash_on:
            raise KeyboardInterrupt
        if operation.name in self.fail_on:
            raise FindingError(BROKEN.at(f"{self.name}: {operation.name}"))
        key = f"{operation.kind}/{operation.name}"
        undo = {"old": self.objects.get(key)}
        if operation.after is None:
            self.objects.pop(key, None)
        else:
            self.objects[key] = dict(operation.after)
        self.writes += 1
        return OperationResult(operation.id, True, 1, (), undo)

    def confirm(self, desired: Sequence[DesiredObject]) -> tuple[Finding, ...]:
        self.log.append(("confirm", self.name))
        return (BROKEN.at("not confirmed"),) if self.unconfirmed else ()

    def undo(self, operation: Operation, result: Mapping[str, Any]) -> OperationResult:
        self.log.append(("undo", operation.name))
        if self.unreadable:
            raise FindingError(BROKEN.at(f"{self.name} is not reachable"))
        key = f"{operation.kind}/{operation.name}"
        live = self.objects.get(key)
        if live == operation.before:
            return OperationResult(operation.id, False)
        if live != operation.after:
            raise FindingError(codes.UNDO_REFUSED.at(key))
        if operation.before is None:
            self.objects.pop(key)
        else:
            self.objects[key] = dict(operation.before)
        self.writes += 1
        return OperationResult(operation.id, True, 1)

    def close(self) -> None:
        """Nothing to close."""
