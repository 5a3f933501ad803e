# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One device brought to what it shall hold, or back: read, steps, journal, change, confirm. Knows no platform.

A target may offer more than the protocol asks: to tell every line before it is typed (``LinesKnown``), and to make the whole change
of a device one piece of work in one session (``DeviceTarget``). Each device has a journal of its own, so that devices never wait
for each other.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from ansible_collections.segwright.microseg.plugins.plugin_utils.base import codes as base_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import HOST_NAME, safe_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import unexpected
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.lock import StateLock
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import (
    Operation,
    OperationResult,
    Target,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.outcome import step_view
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import PRUNE
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.fleet import (
    CHANGED,
    FAILED,
    UNCHANGED,
    DeviceResult,
    Job,
    failed_status,
)


@runtime_checkable
class LinesKnown(Protocol):
    """A target that tells every line of a change before it is typed, for check mode and for the result.

    ``prepare_change`` reads what is missing, checks every guard (management, room, lock) and returns the lines that carrying out the
    steps will type, in order, and findings that stop nobody; it writes nothing and raises FindingError where the change is refused.
    What it told is not told again when the steps are carried out.
    """

    def prepare_change(self, steps: Sequence[Operation]) -> tuple[tuple[str, ...], tuple[Finding, ...]]:
        """Return the lines to type and what there is to say of them."""


@runtime_checkable
class Finishes(Protocol):
    """A target that can end what an interrupted run began."""

    def finish(self) -> bool:
        """Save what a run that was interrupted changed and did not save; return whether there was anything of ours to save."""


@runtime_checkable
class DeviceTarget(LinesKnown, Finishes, Protocol):
    """What a target may offer beside the protocol, so that a device is changed in one piece.

    ``carry_out`` types just the lines of ``prepare_change``, proves and confirms, and returns one result a step; where it raises, the
    device holds its old lists or the findings say otherwise. ``carry_out`` saves the configuration after the confirmation. ``in_force``
    says in words what the device is known to hold.
    """

    def carry_out(self, steps: Sequence[Operation]) -> Sequence[OperationResult]:
        """Carry out all steps as one change."""

    def in_force(self) -> str:
        """Return what the device holds, in words."""


@dataclass(frozen=True)
class Keeping:
    """Where journals lie (``<state>/devices/<host>.jsonl``), the name of the run in them, and whether to write at all."""

    state: Path
    run: str
    check: bool = False
    diff: bool = True
    prune: bool = False

    def journal(self, host: str) -> Path:
        """Return the journal of a host; ValueError for a name that cannot be one."""
        return self.state / "devices" / f"{safe_name(host, HOST_NAME)}.jsonl"


@dataclass
class _Known:
    """What is known so far, for the result of a change that does not come to its end."""

    steps: Sequence[Operation] = ()
    commands: tuple[str, ...] = ()
    findings: list[Finding] = field(default_factory=list)
    done: list[Operation] = field(default_factory=list)
    sent: int = 0
    begun: bool = False


def change_device(job: Job, keeping: Keeping) -> DeviceResult:
    """Bring one device to what its job says and return what became of it; never raises."""
    start, known = time.monotonic(), _Known()
    target: Target | None = None
    try:
        target = job.open()
        status = _change(job, target, keeping, known)
    except FindingError as error:
        known.findings += error.findings
        status = failed_status(known.findings, begun=known.begun or bool(known.steps))
    except Exception as error:  # one device's surprise must not cost the others
        known.findings.append(base_codes.INTERNAL.at(f"{job.host}: unexpected {type(error).__name__}"))
        status = FAILED
    held = _in_words(target, known, status)
    if target is not None:
        target.close()
    return _result(job, keeping, known, status, held, time.monotonic() - start)


def _change(job: Job, target: Target, keeping: Keeping, known: _Known) -> str:
    live = target.snapshot(job.desired)
    known.begun = True
    steps = [step for step in target.diff(job.desired, live) if keeping.prune or not step.details.get(PRUNE)]
    known.steps = steps
    if not steps:
        if not keeping.check and unfinished(keeping.journal(job.host)):
            _finish(job, target, keeping, known)
        return UNCHANGED
    if isinstance(target, LinesKnown):
        known.commands, said = target.prepare_change(steps)
        known.findings += said
    if keeping.check:
        return CHANGED
    path = keeping.journal(job.host)
    with ExitStack() as stack:
        lock = stack.enter_context(StateLock(path.with_suffix(".lock"), f"device policy {keeping.run}"))
        known.findings += lock.findings
        journal = Journal(path)
        journal.append(
            "plan_started",
            plan_id=keeping.run,
            policy_commit="",
            steps=[s.id for s in steps],
            approvals=[],
            postures=[],
        )
        _carry_out(target, steps, journal, keeping, known)
        if not errors_of(known.findings):
            found = target.confirm(job.desired)
            known.findings += found
            journal.append(
                "target_confirmed", plan_id=keeping.run, target=job.host, findings=[each.as_dict() for each in found]
            )
        bad = bool(errors_of(known.findings))
        journal.append(
            "plan_failed" if bad else "plan_done",
            plan_id=keeping.run,
            findings=[each.as_dict() for each in known.findings],
        )
    if bad:
        return FAILED
    return CHANGED if known.done else UNCHANGED


def unfinished(path: Path) -> bool:
    """Return whether the last run in a device's journal has no good end: it was killed, could not write or save, or failed."""
    try:
        with open(path, "rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - 65536))
            last = stream.read().rstrip().rpartition(b"\n")[2]
    except OSError:
        return False
    ends = (b"plan_done", b"rollback_done")
    return bool(last) and not any(b'"event":"' + end + b'"' in last for end in ends)


def _finish(job: Job, target: Target, keeping: Keeping, known: _Known) -> None:
    """Save what an interrupted run changed, and end it in the journal."""
    path = keeping.journal(job.host)
    with StateLock(path.with_suffix(".lock"), f"device policy {keeping.run}"):
        saved = isinstance(target, Finishes) and target.finish()
        found = [codes.FINISHED.at(job.host)] if saved else []
        Journal(path).append("plan_done", plan_id=keeping.run, findings=[each.as_dict() for each in found])
        known.findings += found


def _carry_out(target: Target, steps: Sequence[Operation], journal: Journal, keeping: Keeping, known: _Known) -> None:
    """Carry out the steps, as one where the target can, and note begin and end of each in the journal."""
    whole = [list(steps)] if isinstance(target, DeviceTarget) else [[step] for step in steps]
    for part in whole:
        journal.append_all(
            "operation_started",
            [{"plan_id": keeping.run, "target": step.target, "operation": asdict(step)} for step in part],
        )
        try:
            results = target.carry_out(part) if isinstance(target, DeviceTarget) else [target.execute(part[0])]
        except Exception as error:
            found = list(error.findings) if isinstance(error, FindingError) else [unexpected(part[0], error)]
            failed = {"plan_id": keeping.run, "findings": [each.as_dict() for each in found]}
            journal.append_all(
                "operation_failed", [{**failed, "target": step.target, "operation_id": step.id} for step in part]
            )
            known.findings += found
            return
        journal.append_all(
            "operation_done",
            [
                {
                    "plan_id": keeping.run,
                    "target": step.target,
                    "operation_id": step.id,
                    "changed": result.changed,
                    "writes": result.writes,
                    "undo": dict(result.undo),
                }
                for step, result in zip(part, results, strict=True)
            ],
        )
        for step, result in zip(part, results, strict=True):
            known.findings += result.findings
            known.sent += result.writes
            if result.changed:
                known.done.append(step)
        if errors_of(known.findings):
            return


def undo_device(job: Job, keeping: Keeping) -> DeviceResult:
    """Take back on one device what a run did there (empty name: the last one), by its journal; never raises."""
    start, known = time.monotonic(), _Known()
    target: Target | None = None
    run = keeping.run
    try:
        target = job.open()
        path = keeping.journal(job.host)
        with StateLock(path.with_suffix(".lock"), "undo", take_over=True):
            outcome = rollback_plan(keeping.run, {job.host: target}, Journal(path), check_mode=keeping.check)
        run = outcome.plan_id
        known.steps = [*(step.operation for step in outcome.completed), *outcome.remaining]
        known.done = [step.operation for step in outcome.completed if step.changed]
        known.findings += outcome.findings
        known.sent = outcome.writes
        left = bool(known.steps) if keeping.check else bool(known.done)
        status = (
            failed_status(outcome.findings, begun=bool(known.done))
            if not outcome.ok
            else CHANGED
            if left
            else UNCHANGED
        )
    except FindingError as error:
        known.findings += error.findings
        status = failed_status(known.findings, begun=False)
    except Exception as error:
        known.findings.append(base_codes.INTERNAL.at(f"{job.host}: unexpected {type(error).__name__}"))
        status = FAILED
    held = _in_words(target, known, status)
    if target is not None:
        target.close()
    return _result(job, replace(keeping, run=run), known, status, held, time.monotonic() - start)


def _in_words(target: Target | None, known: _Known, status: str) -> str:
    if not known.steps and status == FAILED:
        return "nothing was sent to it; what was in force before is in force"
    if isinstance(target, DeviceTarget):
        return target.in_force()
    return {CHANGED: "what is wanted", UNCHANGED: "what is wanted"}.get(status, "see the findings")


def _result(job: Job, keeping: Keeping, known: _Known, status: str, held: str, seconds: float) -> DeviceResult:
    diff = "\n".join(step.diff for step in known.steps if step.diff) if keeping.diff else ""
    return DeviceResult(
        job.host, job.platform, status, job.site, keeping.check, known.commands, known.sent, diff,
        tuple(step_view(step) for step in known.steps), tuple(step_view(step) for step in known.done),
        tuple(known.findings), held, keeping.run, seconds,
    )  # fmt: skip
