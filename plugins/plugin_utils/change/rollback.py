# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back: undo what the journal says a plan did, in reverse, object by object.

Exempt from the checks that bind a plan to commit and live state (design rule 11), but never blind: a target undoes a
step only where the object still holds what the step left.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import unexpected
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal, known_entries
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.lock import TargetLocks
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation, Target
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.outcome import Outcome, Progress, Step
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import (
    COA_TYPES,
    PUSH,
    coa_types,
    needs_push,
    pending_in,
    push_operation,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import operation_from


@dataclass(frozen=True)
class Executed:
    """A step of the journal: done, or begun without an end (``whole`` is false: what it left is found out by reading)."""

    operation: Operation
    whole: bool
    undo: Mapping[str, Any] = field(default_factory=dict, hash=False)


def executed_steps(entries: Iterable[Mapping[str, Any]], plan_id: str) -> list[Executed]:
    """Return the steps of a plan that stand in the journal and are not undone, in order of execution.

    ``plan_id`` may be the beginning of an id. A step that ran again after it was undone counts from its last run.
    """
    found: dict[tuple[str, str], Executed] = {}
    for entry in entries:
        if not str(entry.get("plan_id", "")).startswith(plan_id):
            continue
        event = entry["event"]
        if event == "operation_started":
            operation = operation_from(entry["operation"])
            key = (operation.target, operation.id)
            if key not in found:
                found[key] = Executed(operation, False)
        elif event == "operation_done":
            key = (str(entry["target"]), str(entry["operation_id"]))
            before = found.pop(key)
            # A step that ran twice (interrupted, then resumed) keeps what its first whole run returned for the undo.
            undo = before.undo if before.whole and not entry["changed"] else entry["undo"]
            found[key] = Executed(before.operation, True, undo)
        elif event == "undo_done":
            found.pop((str(entry["target"]), str(entry["operation_id"])), None)
    return list(found.values())


def last_plan(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return the id of the plan that was last applied and is not wholly undone and pushed; empty where there is none."""
    seen: list[str] = []
    for entry in entries:
        if entry["event"] == "plan_started" and entry["plan_id"] not in seen[-1:]:
            seen.append(str(entry["plan_id"]))
    for plan_id in reversed(seen):
        steps = executed_steps(entries, plan_id)
        if any(step.operation.action != PUSH for step in steps) or _owed(entries, steps):
            return plan_id
    return ""


def whole_id(entries: Iterable[Mapping[str, Any]], plan_id: str) -> str:
    """Return the id of the begun plan whose id begins so; the text itself where there is none. SW4033 where there are several.

    What a rollback writes into the journal names the plan by its whole id, by which others look for it.
    """
    begun = (str(entry["plan_id"]) for entry in entries if entry["event"] == "plan_started")
    found = sorted({name for name in begun if name.startswith(plan_id)})
    if len(found) > 1:
        raise FindingError(codes.NOT_IN_JOURNAL.at(f"{plan_id[:64]!a} is the beginning of {len(found)} plans"))
    return found[0] if found else plan_id


def _owed(entries: Iterable[Mapping[str, Any]], steps: Iterable[Executed]) -> frozenset[str]:
    """Return the targets of a plan whose devices were not told yet of what an earlier rollback brought back."""
    return pending_in(entries, ("undo_started",)) & {step.operation.target for step in steps}


def rollback_plan(
    plan_id: str,
    targets: Mapping[str, Target],
    journal: Journal,
    *,
    check_mode: bool = False,
    progress: Progress | None = None,
    workers: int = 8,
    purpose: str = "",
    only: Callable[[Operation], bool] | None = None,
) -> Outcome:
    """Undo an applied plan (empty id: the last one), or those of its steps that ``only`` chooses, and return what was done.

    Raises FindingError SW4033 where the journal has nothing to undo. A step that cannot be undone is a finding; the steps
    of other targets, and of the same target where it only refused one object, are still undone. Phases are undone in
    reverse, targets side by side within a phase, each target's steps in reverse. With ``purpose`` the locks that targets
    keep in themselves are held meanwhile: SW4040 where another run works on one of them.
    """
    entries = known_entries(journal.path)
    chosen = whole_id(entries, plan_id) if plan_id else last_plan(entries)
    steps = list(reversed(executed_steps(entries, chosen))) if chosen else []
    owed = _owed(entries, steps)
    steps = [step for step in steps if only is None or only(step.operation)]
    real = [step for step in steps if step.operation.action != PUSH]
    if not real and not owed:
        raise FindingError(
            codes.NOT_IN_JOURNAL.at(f"no executed step of plan {chosen[:12] or '(none)'} is left to undo")
        )
    if check_mode:
        return Outcome(chosen, (), tuple(step.operation for step in real), ())
    concerned = ({step.operation.target for step in steps} | owed) & set(targets)
    locks = TargetLocks({name: targets[name] for name in concerned}, purpose, required=False)
    with locks:
        run = _Rollback(chosen, targets, journal, steps, progress, workers)
        run.partial, run.owed = only is not None, owed & set(targets)
        outcome = run.carry_out()
    return replace(outcome, findings=(*outcome.findings, *locks.findings()))


class _Rollback:
    def __init__(
        self,
        plan_id: str,
        targets: Mapping[str, Target],
        journal: Journal,
        steps: Sequence[Executed],
        progress: Progress | None,
        workers: int,
    ) -> None:
        self.plan_id, self.targets, self.journal, self.progress = plan_id, targets, journal, progress
        self.pushes = {step.operation.target: step.operation for step in steps if step.operation.action == PUSH}
        self.steps = [step for step in steps if step.operation.action != PUSH]
        self.workers = workers
        self.partial = False
        self.owed: frozenset[str] = frozenset()
        self.done: list[Step] = []
        self.findings: list[Finding] = []
        self.unreachable: set[str] = set()
        self.guard = threading.Lock()

    def carry_out(self) -> Outcome:
        partial = {"partial": True} if self.partial else {}
        ids = [step.operation.id for step in self.steps]
        self.journal.append("rollback_started", plan_id=self.plan_id, steps=ids, **partial)
        for phase in sorted({step.operation.phase for step in self.steps}, reverse=True):
            groups: dict[str, list[tuple[int, Executed]]] = {}
            for number, step in enumerate(self.steps, 1):
                if step.operation.phase == phase:
                    groups.setdefault(step.operation.target, []).append((number, step))
            with ThreadPoolExecutor(max_workers=max(1, min(self.workers, len(groups)))) as pool:
                for future in [pool.submit(self._undo_all, group) for group in groups.values()]:
                    future.result()
        self._push()
        completed = {(step.operation.target, step.operation.id) for step in self.done}
        remaining = [
            step.operation for step in self.steps if (step.operation.target, step.operation.id) not in completed
        ]
        event = "rollback_failed" if remaining else "rollback_done"
        self.journal.append(event, plan_id=self.plan_id, findings=[finding.as_dict() for finding in self.findings])
        last = (self.journal.number, self.journal.last_sha256)
        return Outcome(self.plan_id, tuple(self.done), tuple(remaining), tuple(self.findings), last)

    def _undo_all(self, steps: Iterable[tuple[int, Executed]]) -> None:
        for number, step in steps:
            self._undo(number, step)

    def _undo(self, number: int, step: Executed) -> None:
        operation = step.operation
        what = f"{operation.target}: {operation.action} {operation.kind} {operation.name}"
        target = self.targets.get(operation.target)
        if target is None or operation.target in self.unreachable:
            code = codes.NO_CONNECTION if target is None else codes.UNDO_SKIPPED
            with self.guard:
                self.findings.append(code.at(what))
            return
        try:
            self._note("undo_started", operation, operation=asdict(operation))
            result = target.undo(operation, step.undo)
            self._note("undo_done", operation, operation_id=operation.id, changed=result.changed, writes=result.writes)
        except Exception as error:
            found = list(error.findings) if isinstance(error, FindingError) else [unexpected(operation, error)]
            with self.guard:
                self.findings.extend(found)
                if not any(finding.code == codes.UNDO_REFUSED.number for finding in found):
                    self.unreachable.add(operation.target)
                    self.findings.append(codes.UNDO_FAILED.at(what))
            findings = [item.as_dict() for item in found]
            self._note("undo_failed", operation, operation_id=operation.id, findings=findings)
            self._say(number, operation, "failed")
            return
        with self.guard:
            self.findings.extend(result.findings)
            self.done.append(Step(operation, result.changed, result.writes, result.findings))
        self._say(number, operation, "undone")

    def _note(self, event: str, step: Operation, **content: Any) -> None:
        with self.guard:
            self.journal.append(event, plan_id=self.plan_id, target=step.target, **content)

    def _push(self) -> None:
        """Push once more on each target whose pushed objects were brought back, now or by a rollback whose push failed."""
        changed = {step.operation.target for step in self.done if step.changed and needs_push(step.operation)}
        for name in sorted(changed | self.owed):
            undone = [step.operation for step in self.done if step.changed and step.operation.target == name]
            coa = coa_types(undone)
            planned = self.pushes.get(name)
            if name in self.owed:  # what the earlier rollback brought back is not known here
                also = (planned.details.get("coa") or ()) if planned is not None else ()
                coa = tuple(dict.fromkeys((*COA_TYPES, *coa, *also)))
            enough = planned is not None and set(coa) <= set(planned.details.get("coa") or COA_TYPES)
            operation = planned if planned is not None and enough else push_operation(name, coa=coa)
            try:
                self.journal.append("operation_started", plan_id="", target=name, operation=asdict(operation))
                result = self.targets[name].execute(operation)
                self.journal.append(
                    "operation_done",
                    plan_id="",
                    target=name,
                    operation_id=operation.id,
                    changed=True,
                    writes=result.writes,
                    undo={},
                )
                self.findings.extend(result.findings)
            except Exception as error:
                found = error.findings if isinstance(error, FindingError) else (unexpected(operation, error),)
                self.findings.extend(found)

    def _say(self, number: int, operation: Operation, state: str) -> None:
        if self.progress is not None:
            with self.guard:
                self.progress(number, len(self.steps), operation.target, operation, state)
