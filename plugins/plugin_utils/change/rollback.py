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
from dataclasses import asdict, replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import unexpected
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.interrupted import (
    interrupted_plan,
    save_left,
    undos_in,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal, known_entries
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.lock import TargetLocks
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import (
    Operation,
    OperationResult,
    Target,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.outcome import Outcome, Progress, Step
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import (
    COA_TYPES,
    LISTS,
    PUSH,
    changed_lists,
    coa_types,
    needs_push,
    pending_in,
    push_operation,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import operation_from
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rehearsal import rehearse
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.undo_chain import (
    Executed,
    WayBack,
    executed_steps,
)


def last_plan(entries: Sequence[Mapping[str, Any]], only: Callable[[Operation], bool] | None = None) -> str:
    """Return the id of the plan that was last applied and is not wholly undone and pushed; empty where there is none.

    With ``only`` the last one with a step left that it chooses. A plan whose run or rollback was interrupted comes first.
    """
    if begun := interrupted_plan(entries, only):
        return begun
    seen: list[str] = []
    for entry in entries:
        if entry["event"] == "plan_started" and entry["plan_id"] not in seen[-1:]:
            seen.append(str(entry["plan_id"]))
    for plan_id in reversed(seen):
        steps = [step for step in executed_steps(entries, plan_id) if only is None or only(step.operation)]
        if any(step.operation.action != PUSH for step in steps) or _owed(entries, plan_id, steps, only):
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


def _owed(
    entries: Sequence[Mapping[str, Any]],
    plan_id: str,
    steps: Iterable[Executed],
    only: Callable[[Operation], bool] | None,
) -> frozenset[str]:
    """Return the targets of a plan whose devices were not told yet of what an earlier rollback brought back.

    ``steps``: those of the plan that are left; a rollback that ended before its push has left none.
    """
    concerned = {step.operation.target for step in steps}
    for entry in entries:
        if entry["event"] == "undo_started" and entry.get("plan_id") == plan_id:
            operation = operation_from(entry["operation"])
            concerned |= {operation.target} if only is None or only(operation) else set()
    return pending_in(entries, ("undo_started",)) & concerned


def steps_to_undo(
    entries: Sequence[Mapping[str, Any]], plan_id: str, only: Callable[[Operation], bool] | None = None
) -> tuple[str, list[Executed], frozenset[str]]:
    """Return the whole id of a plan (empty id: the last one), its steps that are to be undone, the last one first, and targets that are
    owed a push by an earlier rollback. FindingError SW4033 where there is nothing to undo, but for a run that was interrupted with
    nothing done, or a rollback with all undone: it is ended."""
    chosen = whole_id(entries, plan_id) if plan_id else last_plan(entries)
    steps = list(reversed(executed_steps(entries, chosen))) if chosen else []
    steps = [step for step in steps if only is None or only(step.operation)]
    owed = _owed(
        entries, chosen, steps, only
    )  # of what is chosen only: the way back of one device pushes nothing elsewhere
    if interrupted_plan(entries, only) == chosen != "":
        return chosen, steps, owed
    if not owed and all(step.operation.action == PUSH for step in steps):
        raise FindingError(
            codes.NOT_IN_JOURNAL.at(f"no executed step of plan {chosen[:12] or '(none)'} is left to undo")
        )
    return chosen, steps, owed


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
    note: Mapping[str, Any] | None = None,
) -> Outcome:
    """Undo an applied plan (empty id: the last one), or those of its steps that ``only`` chooses, and return what was done.

    Raises FindingError SW4033 where the journal has nothing to undo. A step that cannot be undone is a finding; the steps
    of other targets, and of the same target where it only refused one object, are still undone. Phases are undone in
    reverse, targets side by side within a phase, each target's steps in reverse. With ``purpose`` the locks that targets
    keep in themselves are held meanwhile: SW4040 where another run works on one of them. ``note`` goes into the journal.
    """
    entries = known_entries(journal.path)
    try:
        chosen, steps, owed = steps_to_undo(entries, plan_id, only)
    except FindingError:
        if not check_mode:
            TargetLocks(targets, purpose, required=False).sweep()  # of a rollback that was killed when all was undone
        raise
    if check_mode:
        return Outcome(chosen, (), tuple(step.operation for step in steps if step.operation.action != PUSH), ())
    concerned = ({step.operation.target for step in steps} | owed) & set(targets)
    swept = [] if concerned else TargetLocks(targets, purpose, required=False).sweep()
    locks = TargetLocks({name: targets[name] for name in concerned}, purpose, required=False)
    with locks:
        run = _Rollback(chosen, targets, journal, steps, progress, workers)
        run.partial, run.owed, run.note = only is not None, owed & set(targets), dict(note or {})
        run.interrupted = undos_in(entries)
        outcome = run.carry_out()
    return replace(outcome, findings=(*swept, *outcome.findings, *locks.findings()))


def rollback_to_commit(
    way: WayBack,
    targets: Mapping[str, Target],
    journal: Journal,
    *,
    progress: Progress | None = None,
    workers: int = 8,
    purpose: str = "",
    note: Mapping[str, Any] | None = None,
) -> Outcome:
    """Bring back the state of a commit that was in force, each object in one undo, and return what was done.

    Unlike ``rollback_plan`` it is all or nothing at the start: FindingError SW4164 or SW4010, having written nothing, where live state
    shows that an object would not come back. What fails later is a finding, and running it again goes on.
    """
    if not way.plans:
        return Outcome("", (), (), way.findings)
    concerned = {step.operation.target for step in way.steps} & set(targets)
    locks = TargetLocks({name: targets[name] for name in concerned}, purpose, required=False)
    with locks:
        if faults := rehearse(way.steps, targets).findings:
            raise FindingError(*faults)
        run = _Rollback(way.plans[0], targets, journal, way.steps, progress, workers)
        run.plans = tuple((plan, plan not in way.whole) for plan in way.plans)
        run.note = {"to_commit": way.commit, **(note or {})}
        run.interrupted = undos_in(known_entries(journal.path))
        outcome = run.carry_out()
    return replace(outcome, findings=(*way.findings, *outcome.findings, *locks.findings()))


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
        self.plans: tuple[tuple[str, bool], ...] = ()  # (plan, partial) where several are undone
        self.note: dict[str, Any] = {}  # of rollback_started
        self.owed: frozenset[str] = frozenset()
        self.interrupted: frozenset[tuple[str, str]] = frozenset()  # (target, step) of undos that an earlier run began
        self.done: list[Step] = []
        self.findings: list[Finding] = []
        self.unreachable: set[str] = set()
        self.guard = threading.Lock()

    def carry_out(self) -> Outcome:
        plans = self.plans or ((self.plan_id, self.partial),)
        for plan, some in plans:
            ids = [number for step in self.steps for owner, number in self._covered(step) if owner == plan]
            partial = {"partial": True} if some else {}
            self.journal.append("rollback_started", plan_id=plan, steps=ids, **partial, **self.note)
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
        left = {
            owner
            for step in self.steps
            if (step.operation.target, step.operation.id) not in completed
            for owner, _number in self._covered(step)
        }
        for plan, _some in plans:
            event = "rollback_failed" if plan in left else "rollback_done"
            self.journal.append(event, plan_id=plan, findings=[finding.as_dict() for finding in self.findings])
        last = (self.journal.number, self.journal.last_sha256)
        return Outcome(self.plan_id, tuple(self.done), tuple(remaining), tuple(self.findings), last)

    def _covered(self, step: Executed) -> tuple[tuple[str, str], ...]:
        """Return (plan, id) of the steps that an undo takes back, the last one first."""
        return step.covers or ((self.plan_id, step.operation.id),)

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
            if step.does_nothing:
                result = OperationResult(operation.id, False)
            else:
                self._note("undo_started", step, operation=asdict(operation))
                result = target.undo(operation, step.undo)
                if not result.changed and (operation.target, operation.id) in self.interrupted:
                    save_left(target)
            done: dict[str, Any] = {"changed": result.changed, "writes": result.writes}
            for plan, covered in self._covered(step):
                self._note("undo_done", step, plan, operation_id=covered, **done)
                done = {"changed": False, "writes": 0}  # all of them with the one undo
        except Exception as error:
            found = list(error.findings) if isinstance(error, FindingError) else [unexpected(operation, error)]
            with self.guard:
                self.findings.extend(found)
                if not any(finding.code == codes.UNDO_REFUSED.number for finding in found):
                    self.unreachable.add(operation.target)
                    self.findings.append(codes.UNDO_FAILED.at(what))
            findings = [item.as_dict() for item in found]
            self._note("undo_failed", step, operation_id=operation.id, findings=findings)
            self._say(number, operation, "failed")
            return
        with self.guard:
            self.findings.extend(result.findings)
            self.done.append(Step(operation, result.changed, result.writes, result.findings))
        self._say(number, operation, "undone")

    def _note(self, event: str, step: Executed, plan: str = "", **content: Any) -> None:
        with self.guard:
            plan = plan or self._covered(step)[0][0]
            self.journal.append(event, plan_id=plan, target=step.operation.target, **content)

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
            lists = None if name in self.owed else changed_lists(undone)
            known = planned.details.get(LISTS) if planned is not None else ()
            enough = enough and (known is None or (lists is not None and set(lists) <= set(known)))
            operation = planned if planned is not None and enough else push_operation(name, coa=coa, lists=lists)
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
