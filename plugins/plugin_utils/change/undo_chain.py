# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What takes a network back to an earlier commit: by the journal, which steps were carried out since, joined object by object. Pure.

Several plans are not undone one after the other: that would pass through every policy between, an isolation that was long released among
them. All that was done to one object since is one undo, from what the last step left to what stood there before the first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes, meaning
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.commit import DIRTY
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import PLACES, body_difference
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import HAND_BACK, PUSH
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.phases import phase_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import operation_from
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pulled import pulled_in

SHORTEST_COMMIT = 7
SHOWN = 5
# Names of a target's own for what a body says elsewhere, and places among others: they may differ although both mean the same.
OWN_NAMES = frozenset({"live"}) | PLACES


@dataclass(frozen=True)
class Executed:
    """A step of the journal: done, or begun without an end (``whole`` is false: what it left is found out by reading).

    ``number``: the entry with which it ended, or began. ``covers``: (plan, step) of every step that one undo takes back, the last one
    first; empty where it is this step alone.
    """

    operation: Operation
    whole: bool
    undo: Mapping[str, Any] = field(default_factory=dict, hash=False)
    plan_id: str = ""
    number: int = 0
    covers: tuple[tuple[str, str], ...] = ()

    @property
    def does_nothing(self) -> bool:
        """Return whether the object stands as it is to stand: created and deleted since, or changed and changed back."""
        return bool(self.covers) and means(self.operation.kind, self.operation.after, self.operation.before)


@dataclass(frozen=True)
class Moment:
    """A plan that was carried out to its end: from then on its commit was in force, but on ``left_out``, which it did not reach."""

    number: int
    commit: str
    plan_id: str
    postures: tuple[str, ...] = ()
    left_out: frozenset[str] = frozenset()


@dataclass(frozen=True)
class WayBack:
    """The way to a commit: the undo of each object, newest change first, and what is to be told of it."""

    commit: str
    steps: tuple[Executed, ...]
    findings: tuple[Finding, ...] = ()
    plans: tuple[str, ...] = ()  # newest first
    whole: frozenset[str] = frozenset()  # those of the plans of which nothing is left then


def executed_steps(entries: Iterable[Mapping[str, Any]], plan_id: str) -> list[Executed]:
    """Return the steps of a plan that stand in the journal and are not undone, in order of execution.

    ``plan_id`` may be the beginning of an id; empty: of everything. A step that ran again after it was undone counts from its last run.
    """
    found: dict[tuple[str, str, str], Executed] = {}
    for entry in entries:
        plan = str(entry.get("plan_id", ""))
        if not plan.startswith(plan_id):
            continue
        event, number = entry["event"], int(entry.get("number", 0))
        if event == "operation_started":
            operation = operation_from(entry["operation"])
            key = (plan, operation.target, operation.id)
            if key not in found:
                found[key] = Executed(operation, False, plan_id=plan, number=number)
        elif event == "operation_done":
            key = (plan, str(entry["target"]), str(entry["operation_id"]))
            before = found.pop(key)
            # A step that ran twice (interrupted, then resumed) keeps what its first whole run returned for the undo.
            undo = before.undo if before.whole and not entry["changed"] else entry["undo"]
            found[key] = Executed(before.operation, True, undo, plan, number)
        elif event == "undo_done":
            found.pop((plan, str(entry["target"]), str(entry["operation_id"])), None)
    return list(found.values())


def lists_given_back(
    entries: Iterable[Mapping[str, Any]], plan_id: str = "", only: Callable[[Operation], bool] | None = None
) -> list[Operation]:
    """Return the changes of downloadable lists of a plan (empty: of any) that an undo took back and nothing has changed since.

    Sessions may carry such a list still, as it was before the undo.
    """
    steps: dict[tuple[str, str, str], Operation] = {}
    found: dict[tuple[str, str], tuple[str, Operation]] = {}
    for entry in entries:
        plan, event = str(entry.get("plan_id", "")), entry["event"]
        if event == "operation_started":
            operation = operation_from(entry["operation"])
            steps[plan, operation.target, operation.id] = operation
            found.pop((operation.target, operation.name), None)
        elif event == "undo_done":
            step = steps.get((plan, str(entry["target"]), str(entry["operation_id"])))
            if step is not None and step.kind == "downloadable_acl" and step.before:
                found[step.target, step.name] = (plan, step)
    return [step for plan, step in found.values() if plan_id in ("", plan) and (only is None or only(step))]


def moments(entries: Iterable[Mapping[str, Any]]) -> list[Moment]:
    """Return the plans that were carried out to their end and not rolled back as a whole since, in order.

    A plan without a step names no commit: the one before it stays in force. What was applied from uncommitted documents is none.
    """
    started: dict[str, Mapping[str, Any]] = {}
    found: list[Moment] = []
    for entry in entries:
        plan = str(entry.get("plan_id", ""))
        if entry["event"] == "plan_started":
            started[plan] = entry
        elif entry["event"] == "rollback_started" and not entry.get("partial"):
            found = [item for item in found if item.plan_id != plan]
        elif entry["event"] == "plan_done" and plan in started:
            begun = started[plan]
            commit = str(begun.get("policy_commit", "")) or (found[-1].commit if found else "")
            found.append(
                Moment(
                    int(entry.get("number", 0)),
                    commit,
                    plan,
                    tuple(sorted(str(name) for name in begun.get("postures") or ())),
                    frozenset(str(name) for name in begun.get("left_out") or ()),
                )
            )
    return found


def commit_in_force(entries: Sequence[Mapping[str, Any]], wanted: str) -> str:
    """Return the whole hash of a commit that was in force by the journal. ``wanted``: its hash or the beginning of it, 7 digits or more.

    FindingError SW4160 where there is none such, or more than one.
    """
    known = list(dict.fromkeys(item.commit for item in reversed(moments(entries))))
    known = [commit for commit in known if commit and not commit.startswith(DIRTY)]
    found = [commit for commit in known if len(wanted) >= SHORTEST_COMMIT and commit.startswith(wanted.lower())]
    if len(found) != 1:
        shown = ", ".join(commit[:12] for commit in known[:SHOWN]) or "none"
        what = "is the beginning of several" if found else "was not in force"
        raise FindingError(codes.NOT_IN_FORCE.at(f"{wanted[:64]!a} {what}; in force were: {shown}"))
    return found[0]


def way_to_commit(entries: Sequence[Mapping[str, Any]], wanted: str, only: Collection[str] | None = None) -> WayBack:
    """Return the way back to the state that a commit had when it was in force last, with the postures that are pulled now.

    ``only`` names the targets that are brought back, all where None. FindingError: SW4160 where the commit was never in force, SW4161
    where the journal does not reach that state or a foreign change lies between, SW4162 where other postures were pulled then.
    """
    commit, pulled = commit_in_force(entries, wanted), pulled_in(entries)
    of_commit = [item for item in moments(entries) if item.commit == commit]
    same = [item for item in of_commit if item.postures == pulled]
    if not same:
        then = sorted({", ".join(item.postures) or "none" for item in of_commit})
        text = f"{commit[:12]}: pulled now: {', '.join(pulled) or 'none'}; while it was in force: {' or '.join(then)}"
        raise FindingError(codes.OTHER_POSTURES.at(text))
    begun = {str(entry["plan_id"]) for entry in entries if entry["event"] == "plan_started"}
    steps = [item for item in executed_steps(entries, "") if item.operation.action != PUSH]
    targets = sorted({item.operation.target for item in steps} if only is None else set(only))
    faults: list[Finding] = []
    told: list[Finding] = []
    made: list[Executed] = []
    for target in targets:
        reached = [item.number for item in same if target not in item.left_out]
        since = [item for item in steps if item.operation.target == target]
        if not reached:
            faults.append(codes.NOT_REACHED.at(f"{target}: no plan of commit {commit[:12]} was carried out there"))
            continue
        faults += _taken_back_since(entries, target, reached[-1], commit)
        since = [item for item in since if item.number > reached[-1] and item.plan_id in begun]
        for chain in _by_object(since).values():
            joined, broken, noted = _joined(chain)
            faults += broken
            told += noted
            made.append(joined)
    if faults:
        raise FindingError(*faults)
    made.sort(key=lambda item: -item.number)
    covered = {(plan, item.operation.target, step) for item in made for plan, step in item.covers}
    held = {(item.plan_id, item.operation.target, item.operation.id) for item in steps} - covered
    left = {plan for plan, _target, _step in held}
    touched = {plan for plan, _target, _step in covered}
    begun_at = {str(entry["plan_id"]): int(entry["number"]) for entry in entries if entry["event"] == "plan_started"}
    if only is None:  # what was begun since and changed no list brought a commit all the same
        voided = {item.plan_id for item in moments(entries)} - left
        touched |= {plan for plan in voided if begun_at[plan] > same[-1].number}
    plans = sorted(touched, key=lambda plan: -begun_at[plan])
    return WayBack(commit, tuple(made), tuple(told), tuple(plans), frozenset(touched - left if only is None else ()))


def _taken_back_since(entries: Iterable[Mapping[str, Any]], target: str, moment: int, commit: str) -> Iterable[Finding]:
    """Yield a finding for each step of a target that stood at a moment and was undone since: the journal has no way forward."""
    done: dict[tuple[str, str], int] = {}
    for entry in entries:
        if entry.get("target") != target or entry["event"] not in ("operation_done", "undo_done"):
            continue
        key, number = (str(entry.get("plan_id", "")), str(entry["operation_id"])), int(entry.get("number", 0))
        if entry["event"] == "operation_done":
            done[key] = number
        elif number > moment and done.pop(key, moment + 1) <= moment:
            text = f"{target}: a step of plan {key[0][:12]} that commit {commit[:12]} rested on was taken back since"
            yield codes.NOT_REACHED.at(text)
            return


def _by_object(steps: Iterable[Executed]) -> dict[tuple[str, str], list[Executed]]:
    found: dict[tuple[str, str], list[Executed]] = {}
    for item in steps:
        found.setdefault((item.operation.kind, item.operation.name), []).append(item)
    return found


def _joined(chain: Sequence[Executed]) -> tuple[Executed, list[Finding], list[Finding]]:
    """Return one undo for all steps on an object (oldest first), what stands between them, and what is to be told."""
    faults: list[Finding] = []
    told: list[Finding] = []
    for first, second in zip(chain, chain[1:], strict=False):
        one, two = first.operation, second.operation
        if means(one.kind, two.before, one.after) or (not first.whole and means(one.kind, two.before, one.before)):
            continue
        moved = body_difference(one.kind, one.after, two.before)
        about = f"{one.target}: {one.kind} {one.name} between plans {first.plan_id[:12]} and {second.plan_id[:12]}"
        if means(one.kind, two.after, one.after):
            told.append(codes.FOREIGN_CORRECTED.at(f"{about}: {moved.text}"))
        else:
            faults.append(codes.NOT_REACHED.at(f"{about} was changed by somebody: {moved.text}"))
    first, last = chain[0], chain[-1]
    before, after = first.operation.before, last.operation.after
    covers = tuple((item.plan_id, item.operation.id) for item in reversed(chain))
    action = "create" if before is None else "delete" if after is None else "update"
    operation = replace(
        last.operation,
        before=before,
        after=after,
        action=action,
        phase=_phase(chain),
        details={**first.operation.details, **last.operation.details, **_of_all(chain)},
    )
    return Executed(operation, last.whole, first.undo, last.plan_id, last.number, covers), faults, told


def _of_all(chain: Sequence[Executed]) -> dict[str, Any]:
    """Return what is true of joined steps only where it is true of each: a change of content among them has to reach devices."""
    given_back = all(item.operation.details.get(HAND_BACK) for item in chain)
    return {} if given_back else {HAND_BACK: False}


def _phase(chain: Sequence[Executed]) -> int:
    """Return the phase in whose place the joined undo goes: what did not stand there goes last, what is missing comes back first."""
    first, last = chain[0].operation, chain[-1].operation
    if first.before is None:
        return first.phase
    if last.after is None or len(chain) == 1:
        return last.phase
    phases = {item.operation.phase for item in chain}
    return phases.pop() if len(phases) == 1 else phase_of(body_difference(first.kind, first.before, last.after).effect)


def means(kind: str, present: Mapping[str, Any] | None, wanted: Mapping[str, Any] | None) -> bool:
    """Return whether an object means what a body says, whatever names a target gives it: see ``meaning.means``."""
    return meaning.means(kind, present, wanted, OWN_NAMES)
