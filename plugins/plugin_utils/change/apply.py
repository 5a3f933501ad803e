# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry out a plan: only while commit, policy and live state are those it was made from, step by step, each one journalled."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from itertools import groupby
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import canonical_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.commit import DIRTY
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.interrupted import (
    finished,
    half_made,
    save_left,
    unconfirmed_in,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal, known_entries
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.lock import TargetLocks
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import body_difference, means
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import (
    Operation,
    ReportedError,
    Snapshot,
    Target,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.outcome import Outcome, Progress, Step
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import (
    HAND_BACK,
    PUSH,
    deployments_in,
    pending_in,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import (
    PRUNE,
    Plan,
    TargetPlan,
    desired_sha256,
    public_objects,
    snapshot_all,
    target_operations,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pulled import pulled_in
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rings import Part
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject, DesiredTarget

# What a target arms for its own way back while a list is swapped. A run that was killed leaves it armed: that is no change by others, and
# the next run calls it off first, or it would put an old list back. Each platform has a kind of its own.
GUARDS = frozenset(("revert", "nxos_way_back", "asa_way_back"))


def binding_findings(
    plan: Plan, desired: Sequence[DesiredTarget], policy_commit: str, allow_dirty: bool, members_sha256: str = ""
) -> list[Finding]:
    """Return why a plan may not be applied to this commit, compiled policy and membership; nothing where it may."""
    findings = []
    if plan.policy_commit.startswith(DIRTY) and not allow_dirty:
        findings.append(codes.DIRTY_PLAN.at(f"the plan is bound to {plan.policy_commit[:18]}"))
    if plan.policy_commit != policy_commit:
        findings.append(codes.COMMIT_MOVED.at(f"planned from {plan.policy_commit[:18]}, now at {policy_commit[:18]}"))
    if plan.policy_sha256 != desired_sha256(desired):
        findings.append(codes.POLICY_MOVED.at("the policy compiles to other objects than were planned"))
    if members_sha256 and plan.members_sha256 and members_sha256 != plan.members_sha256:
        findings.append(codes.POLICY_MOVED.at("the membership of the segments is not the one that was planned"))
    return findings


def staleness(part: TargetPlan, desired: Sequence[DesiredObject], now: Snapshot) -> list[Finding]:
    """Return a finding for each object that is neither as planned nor already as the policy says, with the difference in meaning."""
    if part.live_sha256 == now.sha256:
        return []
    live = public_objects(now)
    wanted = {f"{item.kind}/{item.name}": item.body for item in desired}
    # A target may bring the policy about in other objects than it names (an SGACL that stands in for another one).
    stepped = {f"{step.kind}/{step.name}": step.after for step in part.operations if step.after is not None}
    findings = []
    for key in sorted(set(part.live) | set(live)):
        kind = key.split("/", maxsplit=1)[0]
        if kind in GUARDS:
            continue
        planned, present, policy = part.live.get(key), live.get(key), wanted.get(key)
        moved = body_difference(kind, planned, present)
        if moved.equal or means(kind, present, policy) or (key in stepped and means(kind, present, stepped[key])):
            continue
        findings.append(codes.LIVE_MOVED.at(f"{part.name}: {kind} {key.split('/', maxsplit=1)[1]} {moved.text}"))
    return findings


def apply_plan(
    plan: Plan,
    targets: Mapping[str, Target],
    desired: Sequence[DesiredTarget],
    journal: Journal,
    *,
    policy_commit: str,
    members_sha256: str = "",
    allow_dirty: bool = False,
    check_mode: bool = False,
    progress: Progress | None = None,
    workers: int = 8,
    approvals: Sequence[Mapping[str, str]] = (),
    closed: Callable[[], list[Finding]] | None = None,
    purpose: str = "",
    ring: Part | None = None,
    ready: Callable[[], list[Finding]] | None = None,
    emergency: Mapping[str, Any] | None = None,
    confirms_emergency: bool = False,
    brings_commit: bool = False,
    rings_left: bool = False,
    finish: Callable[[], Sequence[Finding]] | None = None,
    beside: Beside | None = None,
) -> Outcome:
    """Carry out what is left of a plan, or of one ring of it, and return what was done.

    Raises FindingError, having written nothing, where the plan is not for this commit, policy or live state (SW4010 to
    SW4016). With ``ring`` live state that moved on a target to which the ring does not write makes the plan void for that target only
    (SW4182, a warning). A step that fails ends the run: the outcome then holds what was done, what remains and how to go back. Steps
    that an interrupted run has done already are left out, so applying twice writes nothing the second time. In check mode
    every check runs, nothing is written, and ``remaining`` holds the steps that would be carried out.
    With ``ring`` only its steps are carried out; the others of the plan stay in ``remaining``, and the plan is not done.
    ``approvals`` are written into the journal. ``closed`` is asked before each phase and stops the run with the findings
    it returns: between two phases every mix of old and new is a safe one (design rule 10).
    The caller holds the lock (change/lock.py) and keeps ``targets`` open. With ``purpose`` the locks that targets keep in
    themselves are held as well while steps are carried out, be they for others of the targets, and what is to be written to is read again
    under them: another controller may have worked between reading and locking.
    ``ready`` is asked once, where there is something to write, whether that will be taken; FindingError where not.
    ``emergency`` (change/emergency.py) is written into the journal, also where no step is left.
    ``confirms_emergency``: the plan was approved with the postures that it holds, so an emergency's postures stand approved from now on.
    ``brings_commit``: the commit is another one than was applied last, and stands in the journal also where no list changes: who may
    approve from now on, or what is prepared for an emergency, may be all that it is about.
    ``rings_left``: other rings are to come although no step of theirs is left. ``finish`` is called once all steps are done and the
    locks are free again; the ring is done only where it finds and raises no error, so that one whose controller dies meanwhile goes on.
    ``beside`` is asked where the plan is void for a target that the ring does not write to: the proofs of the plan are of what stood there.
    It takes the live state, the ring's steps and these targets; an error of it holds the ring, and nothing is written.
    """
    findings = binding_findings(plan, desired, policy_commit, allow_dirty, members_sha256)
    needed = [part for part in plan.targets if part.operations]
    findings += [
        codes.NO_CONNECTION.at(f"{part.name} ({part.platform})") for part in needed if part.name not in targets
    ]
    if findings:
        raise FindingError(*findings)
    parts = [part for part in plan.targets if part.name in targets]
    chosen = {part.name: targets[part.name] for part in parts}
    snapshots = snapshot_all(chosen, desired, workers)
    entries = known_entries(journal.path)  # the caller's lock keeps others from adding to it
    writes_to = None if ring is None else frozenset(target for target, _step in ring.back)
    steps, void = _remaining_steps(plan, parts, chosen, desired, snapshots, entries, writes_to)
    live = {name: snapshot.sha256 for name, snapshot in snapshots.items()}
    steps, later = _of_ring(steps, ring)
    told_beside = _beside(beside, snapshots, steps, void)
    # A plan that changes no list may still pull or release a posture: that is remembered for the plans after it.
    told = set(pulled_in(entries)) == set(plan.effect.get("postures") or ())
    told = told and not (emergency or confirms_emergency or brings_commit)
    # What an interrupted run wrote is read back and saved by this one, though no step may be left of it.
    unconfirmed = sorted((unconfirmed_in(entries) & chosen.keys()) - void.keys())
    # A run that was killed when all was done has left its locks.
    said = [*void.values(), *told_beside, *([] if check_mode or steps else TargetLocks(chosen, purpose).sweep())]
    if check_mode or (not steps and ring is None and told and not unconfirmed):
        return Outcome(plan.plan_id, (), tuple(steps) if check_mode else (), tuple(said), live=live)
    if ready is not None and steps:
        said = [*void.values(), *told_beside, *ready()]
    # Also of targets to which nothing is written: switches have no lock of their own, and two runs that type the same list at the same
    # moment could remove it under each other.
    locks = TargetLocks(chosen if steps else {}, purpose)
    with locks:
        if locks.locks:
            written = {name: chosen[name] for name in {step.target for step in steps}}
            now = {**snapshots, **snapshot_all(written, desired, workers)}
            again, void = _remaining_steps(plan, parts, chosen, desired, now, entries, writes_to)
            steps, later = _of_ring(again, ring)
            if any(now[name].sha256 != snapshots[name].sha256 for name in void):
                _beside(beside, now, steps, void)

        def shut() -> list[Finding]:
            return locks.lost() or (closed() if closed is not None else [])

        run = _Run(plan, chosen, desired, journal, steps, progress, workers, approvals, shut)
        run.ring, run.later, run.lost = (ring.id if ring else ""), later, locks.lost
        run.rings_left, run.deferred, run.unconfirmed = rings_left, finish is not None, unconfirmed
        run.brings = brings_commit or bool(plan.operations())
        run.more = {"emergency": dict(emergency)} if emergency else {}
        run.more |= {"shares": [list(key) for key in ring.shared]} if ring and ring.shared else {}
        run.more |= {"confirms_emergency": True} if confirms_emergency else {}
        outcome = run.carry_out()
    if finish is not None:
        more, broken = finished(finish, plan.plan_id) if outcome.ok else ((), ())
        outcome = run.ended(outcome, (*more, *broken))
        outcome = replace(outcome, findings=(*outcome.findings, *broken))
    return replace(outcome, findings=(*said, *outcome.findings, *locks.findings()))


# (live state, steps, targets that somebody changed) -> what is not safe.
Beside = Callable[[Mapping[str, Snapshot], Sequence[Operation], Collection[str]], list[Finding]]


def _beside(
    asked: Beside | None, live: Mapping[str, Snapshot], steps: Sequence[Operation], void: Mapping[str, Finding]
) -> list[Finding]:
    """Return what there is to say of steps beside foreign state; FindingError where they are not safe there."""
    found = asked(live, steps, void.keys()) if asked is not None and void and steps else []
    if errors := errors_of(found):
        raise FindingError(*errors, *void.values())
    return found


def _of_ring(steps: Sequence[Operation], ring: Part | None) -> tuple[list[Operation], list[Operation]]:
    """Return the steps of a ring and the others, each in order; all of them where there is no ring."""
    if ring is None:
        return list(steps), []
    wanted = set(ring.steps)
    return (
        [step for step in steps if (step.target, step.id) in wanted or step.kind in GUARDS],
        [step for step in steps if (step.target, step.id) not in wanted and step.kind not in GUARDS],
    )


def _remaining_steps(
    plan: Plan,
    parts: Sequence[TargetPlan],
    targets: Mapping[str, Target],
    desired: Sequence[DesiredTarget],
    snapshots: Mapping[str, Snapshot],
    entries: Sequence[Mapping[str, Any]],
    writes_to: frozenset[str] | None = None,
) -> tuple[list[Operation], dict[str, Finding]]:
    """Return the plan's steps that live state still needs, in order, and what is void; FindingError where live state moved.

    Where it moved on a target that is not among ``writes_to``, the plan is void for that target: it is named, and what it does not hold
    of its steps counts as left.
    """
    findings: list[Finding] = []
    altered: list[Finding] = []
    void: dict[str, Finding] = {}
    disarming: list[Operation] = []
    open_ids: set[tuple[str, str]] = set()
    pending, begun = pending_in(entries), deployments_in(entries)
    for part in parts:
        objects = next((item.objects for item in desired if item.host == part.name), ())
        live = half_made(snapshots[part.name], part.operations, entries, plan.plan_id)
        moved = staleness(part, objects, live)
        planned = {step.id for step in part.operations}
        needed = () if moved else target_operations(targets[part.name], desired, live, plan.prune)
        altered += _altered(part, needed, snapshots[part.name])
        pushes = {step.id for step in part.operations if step.action == PUSH}
        if pushes and any(step.action == PUSH and step.id not in planned for step in needed):
            # What is left may be pushed in another phase than the whole would have been: then by the pushes of the plan.
            needed = tuple(step for step in needed if step.action != PUSH)
            open_ids |= {(part.name, number) for number in pushes}
        moved += [
            codes.LIVE_MOVED.at(f"{part.name}: needs a step that is not in the plan: {step.summary or step.name}")
            for step in needed
            if step.id not in planned and step.kind not in GUARDS
        ]
        if moved and writes_to is not None and part.name not in writes_to:
            void[part.name] = codes.TARGET_VOID.at("; ".join(finding.message for finding in moved[:3]))
            objects_now = public_objects(live)
            open_ids |= {(part.name, step.id) for step in part.operations if not _in_force(step, objects_now)}
            continue
        findings += moved
        if moved:
            continue
        disarming += [step for step in needed if step.id not in planned and step.kind in GUARDS]
        open_ids |= {(part.name, step.id) for step in needed}
        # What such a step left is known to the target only: it reads, and does again what reading does not show.
        open_ids |= {(part.name, step.id) for step in part.operations if (part.name, step.id) in begun}
        if part.name in pending:
            open_ids |= {(part.name, step.id) for step in part.operations if step.action == PUSH}
    if findings or altered:
        raise FindingError(*altered, *findings)
    return [*disarming, *(step for name, step in plan.steps() if (name, step.id) in open_ids)], void


# What of a step's details decides what is done. The others are for its readers, and may tell of what others own: that may change
# while the live state of the policy's own objects does not.
DECIDING = (PRUNE, HAND_BACK, "adopt", "finish")


def _altered(part: TargetPlan, needed: Sequence[Operation], now: Snapshot) -> list[Finding]:
    """Return a finding for each step that does not do what the policy asks of the target, though it bears the number of one that does.

    The hash of a plan says that it is whole, not who made it: where a commit was approved, and not this very plan, anybody who may
    write its file can give another content a hash of its own. So what is carried out is what is computed here as well.
    """
    planned = {step.id: step for step in part.operations}
    # What a step finds, and so its order, may differ where a run was interrupted.
    same_state = part.live_sha256 == now.sha256
    found = []
    for step in needed:
        other = planned.get(step.id)
        if other is None or other == step or step.action == PUSH:
            continue
        if _deed(step, same_state) != _deed(other, same_state):
            text = f"{part.name}: {other.action} {other.kind} {other.name} is not what the policy asks for"
            found.append(codes.PLAN_ALTERED.at(text))
    return found


def _deed(step: Operation, whole: bool) -> str:
    """Return what a step does, as the text of a plan's file; with ``whole`` also what it finds, when it is its turn and how."""
    names = ("target", "kind", "name", "action", "after", *(("before", "effect", "phase") if whole else ()))
    content = {name: getattr(step, name) for name in names}
    if whole:
        content["details"] = {name: step.details.get(name) for name in DECIDING}
    return canonical_json(content)


def _in_force(step: Operation, live: Mapping[str, Any]) -> bool:
    """Return whether what a step brings stands on its target; a push leaves nothing there to be seen."""
    return step.action == PUSH or means(step.kind, live.get(f"{step.kind}/{step.name}"), step.after)


# Fewer steps than this in a row are not worth the threads.
SIDE_BY_SIDE = 8
BATCH_WORKERS = 8


class _Run:
    """One execution: phase by phase; within a phase targets side by side, each target's steps one after the other."""

    def __init__(
        self,
        plan: Plan,
        targets: Mapping[str, Target],
        desired: Sequence[DesiredTarget],
        journal: Journal,
        steps: Sequence[Operation],
        progress: Progress | None,
        workers: int,
        approvals: Sequence[Mapping[str, str]],
        closed: Callable[[], list[Finding]] | None,
    ) -> None:
        self.approvals, self.closed = [dict(item) for item in approvals], closed
        self.plan, self.targets, self.desired, self.journal = plan, targets, desired, journal
        self.steps, self.progress, self.workers = list(steps), progress, workers
        self.numbers = {(step.target, step.id): number for number, step in enumerate(self.steps, 1)}
        self.ring, self.later = "", list[Operation]()
        self.rings_left = self.deferred = False
        self.unconfirmed: Sequence[str] = ()
        self.lost: Callable[[], list[Finding]] = list
        self.more: dict[str, Any] = {}  # of plan_started
        self.brings = True
        self.done: list[Step] = []
        self.findings: list[Finding] = []
        self.reports: dict[str, Mapping[str, Any]] = {}
        self.stop = threading.Event()
        self.guard = threading.Lock()

    def carry_out(self) -> Outcome:
        # Where a commit is not in force by this plan: the way back to it does not lead there.
        left_out = sorted({item.host for item in self.desired if item.objects} - {t.name for t in self.plan.targets})
        # A plan without a step that brings no commit uses up no approval: it only says what is pulled.
        self._note(
            "plan_started",
            policy_commit=self.plan.policy_commit if self.brings else "",
            steps=[step.id for step in self.steps],
            approvals=self.approvals if self.brings else [],
            postures=list(self.plan.effect.get("postures") or ()),
            **({"ring": self.ring} if self.ring else {}),
            **({"left_out": left_out} if left_out else {}),
            **self._release(),
            **self.more,
        )
        for phase in sorted({step.phase for step in self.steps}):
            if self.closed is not None and (shut := self.closed()):
                self.findings.extend(shut)
                self.stop.set()
                break
            self._run_phase([step for step in self.steps if step.phase == phase])
            if self.stop.is_set():
                break
        if not self.stop.is_set():
            self._confirm()
        completed = {(step.operation.target, step.operation.id) for step in self.done}
        remaining = [step for step in self.steps if (step.target, step.id) not in completed]
        if errors_of(self.findings):
            self.findings.append(_stopped(self.done, remaining, self.plan.plan_id))
        outcome = Outcome(
            self.plan.plan_id,
            tuple(self.done),
            (*remaining, *self.later),
            tuple(self.findings),
            failed_reports=self.reports,
        )
        return outcome if self.deferred else self.ended(outcome)

    def ended(self, outcome: Outcome, more: Sequence[Finding] = ()) -> Outcome:
        """Write how the run ended and return its outcome. ``more``: what was found since; an error among it fails the run."""
        failed = not outcome.ok or bool(errors_of(more))
        # A ring without others after it completes the plan.
        name = "plan_failed" if failed else "ring_done" if self.later or self.rings_left else "plan_done"
        self._note(name, findings=[finding.as_dict() for finding in (*outcome.findings, *more)])
        return replace(outcome, journal=(self.journal.number, self.journal.last_sha256))

    def _release(self) -> dict[str, Any]:
        """Return what plan_started says of postures that the plan releases; an emergency says so itself."""
        names, said = list(self.plan.effect.get("releases") or ()), dict(self.plan.effect.get("release") or {})
        return {"release": {**said, "postures": names}} if names and "emergency" not in self.more else {}

    def _run_phase(self, steps: Sequence[Operation]) -> None:
        groups: dict[str, list[Operation]] = {}
        for step in steps:
            groups.setdefault(step.target, []).append(step)
        with ThreadPoolExecutor(max_workers=max(1, min(self.workers, len(groups)))) as pool:
            for future in [pool.submit(self._run_target, group) for group in groups.values()]:
                future.result()

    def _run_target(self, steps: Sequence[Operation]) -> None:
        """Carry out one target's steps in order; many in a row that the target calls independent run side by side."""
        together = getattr(self.targets[next(iter(steps)).target], "together", None)
        for key, group in groupby(steps, lambda step: together(step) if together else ""):
            batch = list(group)
            if not key or len(batch) < SIDE_BY_SIDE:
                for step in batch:
                    self._run_step(step)
                continue
            if self.stop.is_set():
                return
            try:
                self.targets[batch[0].target].prepare(batch)  # type: ignore[attr-defined]
            except Exception as error:
                self._fail(batch[0], error)
                return
            with ThreadPoolExecutor(max_workers=BATCH_WORKERS) as pool:
                for future in [pool.submit(self._run_step, step) for step in batch]:
                    future.result()
            # Also where the run stops here: what was written is known to be as it should, or told.
            for step, wrong in self.targets[batch[0].target].settle(batch).items():  # type: ignore[attr-defined]
                self._fail(step, wrong)

    def _run_step(self, step: Operation) -> None:
        if not self.stop.is_set() and (lost := self.lost()):
            with self.guard:
                self.findings.extend(item for item in lost if item not in self.findings)
            self.stop.set()
        if not self.stop.is_set():
            self._say(step, "started")
            try:
                self._note("operation_started", target=step.target, operation=asdict(step))
                result = self.targets[step.target].execute(step)
                self._note(
                    "operation_done",
                    target=step.target,
                    operation_id=step.id,
                    changed=result.changed,
                    writes=result.writes,
                    undo=dict(result.undo),
                    **({"report": dict(result.report)} if result.report else {}),
                )
            except Exception as error:
                self._fail(step, error)
                return
            with self.guard:
                self.done.append(Step(step, result.changed, result.writes, result.findings, result.report))
                self.findings.extend(result.findings)
            self._say(step, "done" if result.changed else "skipped")
            if errors_of(result.findings):
                self.stop.set()
                return

    def _fail(self, step: Operation, error: Exception) -> None:
        self.stop.set()
        found = list(error.findings) if isinstance(error, FindingError) else [unexpected(step, error)]
        report = error.report if isinstance(error, ReportedError) else {}
        with self.guard:
            self.findings.extend(found)
            if report:
                self.reports[step.target] = report
        self._note(
            "operation_failed",
            target=step.target,
            operation_id=step.id,
            findings=[finding.as_dict() for finding in found],
            **({"report": report} if report else {}),
        )
        self._say(step, "failed")

    def _confirm(self) -> None:
        """Read every target that this run changed, or one that was interrupted, back from a new connection, side by side."""
        # What a later ring will write is not there yet.
        awaited = {(step.target, step.kind, step.name) for step in self.later}
        objects = {
            item.host: tuple(each for each in item.objects if (item.host, each.kind, each.name) not in awaited)
            for item in self.desired
        }
        names = sorted({*(step.operation.target for step in self.done), *self.unconfirmed})

        def confirm(name: str) -> tuple[Finding, ...]:
            try:
                found = self.targets[name].confirm(objects.get(name, ()))
                if name in self.unconfirmed and not errors_of(found):
                    save_left(self.targets[name])
                return found
            except FindingError as error:
                return error.findings
            except Exception as error:
                return (codes.TARGET_FAILED.at(f"{name}: confirming: unexpected {type(error).__name__}"),)

        with ThreadPoolExecutor(max_workers=max(1, min(self.workers, len(names)))) as pool:
            for name, found in zip(names, pool.map(confirm, names), strict=True):
                self.findings.extend(found)
                if errors_of(found):
                    self.findings.append(codes.NOT_CONFIRMED.at(name))
                self._note("target_confirmed", target=name, findings=[finding.as_dict() for finding in found])

    def _note(self, event: str, **content: Any) -> None:
        with self.guard:
            self.journal.append(event, plan_id=self.plan.plan_id, **content)

    def _say(self, step: Operation, state: str) -> None:
        if self.progress is not None:
            number = self.numbers[step.target, step.id]
            with self.guard:
                self.progress(number, len(self.steps), step.target, step, state)


def unexpected(step: Operation, error: Exception) -> Finding:
    """Return a finding for a fault that no target foresaw, without the arguments of the error, which could hold a credential."""
    return codes.TARGET_FAILED.at(
        f"{step.target}: {step.action} {step.kind} {step.name}: unexpected {type(error).__name__}"
    )


def _stopped(done: Sequence[Step], remaining: Sequence[Operation], plan_id: str) -> Finding:
    names = ", ".join(
        f"{step.operation.target}: {step.operation.action} {step.operation.kind} {step.operation.name}" for step in done
    )
    text = f"{len(done)} steps were carried out ({names or 'none'}), {len(remaining)} were not"
    hint = f"to go on, plan and apply again; to go back, run rollback of plan {plan_id[:12]}"
    return codes.STOPPED.at(text, hint=hint)
