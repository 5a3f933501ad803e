# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollback rehearsed: what each object would hold, and whether it would come back, by live state alone. Writes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import body_difference
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation, Snapshot, Target
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.outcome import step_view
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import PUSH
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.phases import CLEAN
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.undo_chain import Executed, means
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject

BACK, ALREADY, REFUSED, UNREAD = "would be brought back", "is back already", "would be refused", "cannot be read"
NOT_SHOWN = frozenset({"owned", "internal", "live"})


@dataclass(frozen=True)
class Rehearsed:
    """One object: what its undo would do, and why not where it would be refused."""

    step: Executed
    outcome: str
    finding: Finding | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for a result."""
        why = {"why": str(self.finding)} if self.finding else {}
        return {**step_view(self.step.operation), "outcome": self.outcome, **why}


@dataclass(frozen=True)
class Rehearsal:
    """What a rollback would do. ``live``: what was read, by target; ``result``: what would stand there then, where it comes back."""

    objects: tuple[Rehearsed, ...]
    live: Mapping[str, Snapshot] = field(default_factory=dict, hash=False)
    result: Mapping[str, Snapshot] = field(default_factory=dict, hash=False)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return why objects would not come back; nothing where all would."""
        return tuple(dict.fromkeys(item.finding for item in self.objects if item.finding is not None))

    @property
    def reachable(self) -> bool:
        """Return whether every object would come back."""
        return not self.findings


def rehearse(steps: Sequence[Executed], targets: Mapping[str, Target], workers: int = 8) -> Rehearsal:
    """Return what the undo of these steps (the last one first) would do. Targets are read, side by side, and not written.

    An object comes back where it holds what the step left, or stands already as before it. What a target itself may refuse beyond that
    (somebody else's use of an object that is to go) it says where it has ``undo_obstacles``.
    """
    steps = [step for step in steps if step.operation.action != PUSH]
    names = sorted({step.operation.target for step in steps})
    live, unread = _read(names, steps, targets, workers)
    objects: dict[str, dict[str, Any]] = {name: dict(snapshot.objects) for name, snapshot in live.items()}
    made = []
    for step in steps:
        operation = step.operation
        key = f"{operation.kind}/{operation.name}"
        if operation.target not in live:
            made.append(Rehearsed(step, UNREAD, unread[operation.target]))
            continue
        present = objects[operation.target].get(key)
        outcome, finding = _outcome(step, present)
        made.append(Rehearsed(step, outcome, finding))
        if outcome == BACK:
            objects[operation.target] = _with(objects[operation.target], key, present, operation.before)
    made = [_obstacles(item, made, targets) for item in made]
    result = {name: replace(snapshot, objects=objects[name]) for name, snapshot in live.items()}
    return Rehearsal(tuple(made), live, result)


def _outcome(step: Executed, present: Mapping[str, Any] | None) -> tuple[str, Finding | None]:
    operation = step.operation
    if means(operation.kind, present, operation.before):
        return ALREADY, None
    if means(operation.kind, present, operation.after):
        return BACK, None
    if not step.whole and operation.before is None and _in_force_nowhere(present):
        return BACK, None  # as far as its run had typed it
    moved = body_difference(operation.kind, operation.after, _seen(present, operation.after))
    text = f"{operation.target}: {operation.kind} {operation.name}: {moved.text}"
    return REFUSED, codes.NOT_BACK.at(text)


def _in_force_nowhere(present: Mapping[str, Any] | None) -> bool:
    """Return whether an object is a list that is attached nowhere."""
    internal = (present or {}).get("internal") or {}
    return "attached" in internal and not internal["attached"]


def _seen(present: Mapping[str, Any] | None, body: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if present is None or body is None:
        return present
    return {name: present.get(name) for name in body}


def _with(
    objects: Mapping[str, Any], key: str, present: Mapping[str, Any] | None, body: Mapping[str, Any] | None
) -> dict[str, Any]:
    found = {name: value for name, value in objects.items() if name != key}
    if body is not None:
        found[key] = {**(present or {}), **body}
    return found


def _obstacles(item: Rehearsed, every: Sequence[Rehearsed], targets: Mapping[str, Target]) -> Rehearsed:
    """Ask the target what else stands against an undo that live state allows."""
    operation = item.step.operation
    ask = getattr(targets.get(operation.target), "undo_obstacles", None)
    if item.outcome != BACK or ask is None:
        return item
    others = [each.step.operation for each in every if each.step.operation.target == operation.target]
    try:
        found: Sequence[Finding] = ask(operation, item.step.undo, others)
    except FindingError as error:
        found = error.findings
    if not found:
        return item
    first = found[0]
    return Rehearsed(item.step, REFUSED, codes.NOT_BACK.at(first.message, hint=first.hint))


def _read(
    names: Sequence[str], steps: Sequence[Executed], targets: Mapping[str, Target], workers: int
) -> tuple[dict[str, Snapshot], dict[str, Finding]]:
    live: dict[str, Snapshot] = {}
    unread: dict[str, Finding] = {}
    wanted: dict[str, dict[tuple[str, str], DesiredObject]] = {name: {} for name in names}
    for step in steps:
        operation = step.operation
        body = operation.after if operation.after is not None else operation.before
        wanted[operation.target][operation.kind, operation.name] = DesiredObject(
            operation.kind, operation.name, dict(body or {})
        )
    with ThreadPoolExecutor(max_workers=max(1, min(workers, len(names) or 1))) as pool:
        futures = {}
        for name in names:
            if name not in targets:
                unread[name] = codes.NO_CONNECTION.at(name)
                continue
            asked = list(wanted[name].values())
            futures[name] = pool.submit(copy_context().run, targets[name].snapshot, asked)
        for name, future in futures.items():
            try:
                live[name] = future.result()
            except FindingError as error:
                unread[name] = error.findings[0]
            except Exception as error:  # the target says nothing, whatever the reason
                unread[name] = codes.TARGET_FAILED.at(f"{name}: unexpected {type(error).__name__}")
    return live, unread


def differences(operations: Sequence[Operation]) -> list[dict[str, str]]:
    """Return what undoing steps changes as Ansible shows differences: what each left, and what stood there before."""
    return [
        {
            "before_header": f"{step.target}: {step.kind} {step.name} (now)",
            "after_header": f"{step.target}: {step.kind} {step.name} (after the rollback)",
            "before": _text(step.after),
            "after": _text(step.before),
        }
        for step in operations
        if step.action != PUSH
    ]


def _text(body: Mapping[str, Any] | None) -> str:
    if body is None:
        return ""
    values = {name: value for name, value in sorted(body.items()) if name not in {*NOT_SHOWN, "content"}}
    lines = [f"{name}: {value if isinstance(value, str) else json.dumps(value)}" for name, value in values.items()]
    return "\n".join([*lines, str(body.get("content", ""))]).strip() + "\n"


def order_back(operation: Operation) -> int:
    """Return the place of an undo among others: phases are taken back in reverse."""
    return CLEAN - operation.phase
