# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roll back: bring back what a plan changed, from the journal. Never blocked by windows, approval or stale plans."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import (
    Finding,
    FindingError,
    errors_of,
    sorted_findings,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import (
    Journal,
    end_findings,
    known_entries,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.lock import StateLock
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation, Target
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.outcome import Outcome
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import PUSH
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.preflight import find_nodes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pulled import pulled_in
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rehearsal import differences, rehearse
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rings import rings_after
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import (
    last_plan,
    rollback_plan,
    rollback_to_commit,
    steps_to_undo,
    whole_id,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.undo_chain import (
    Executed,
    WayBack,
    lists_given_back,
    way_to_commit,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.results import result
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import codes as step_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import paths_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.fleet import connected
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.moved_sessions import sessions_back
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.pulled import shouted
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.reauthentication import (
    After,
    after_sentence,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.reports import write_report
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.rollback_proof import Proved, proved

Only = Callable[[Operation], bool]
Entries = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Asked:
    """What a rollback is about: a plan (or some of its steps), or the way to a commit."""

    plan_id: str
    steps: tuple[Executed, ...]
    only: Only | None = None
    way: WayBack | None = None
    note: Mapping[str, str] | None = None
    given_back: tuple[Operation, ...] = ()  # lists that an earlier rollback took back: sessions may carry them still

    @property
    def operations(self) -> list[Operation]:
        """Return what is to be undone, the last step first."""
        return [step.operation for step in self.steps if step.operation.action != PUSH and not step.does_nothing]


def run_rollback(values: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was undone; the journal says what each target held before. In check mode: what would result."""
    paths = paths_of(values, way_back=True)
    check_mode = bool(values["check_mode"])
    journal = Journal(paths.journal, way_back=True)
    after, proof = After(), Proved()
    faults: list[Finding] = []
    said: dict[str, Any] = {}
    with StateLock(paths.state / "lock", "rollback", take_over=True, only_reads=check_mode) as lock:
        entries = known_entries(journal.path)
        asked = _asked(values, entries, paths)
        with connected(values, variables, None, faults) as targets:
            find_nodes(targets)
            if check_mode:
                outcome, said, proof = _rehearsed(asked, values, paths, targets, entries)
            else:
                outcome = _carried_out(asked, targets, journal)
                undone = [step.operation for step in outcome.completed if step.changed]
                undone += asked.given_back
                after = sessions_back(values, variables, paths, targets, undone, journal, outcome.plan_id)
    postures = _postures_moved(entries, asked)
    rings = _rings(entries if check_mode else known_entries(journal.path), asked, check_mode)
    content = outcome.as_dict()
    content["undone"] = content.pop("completed")
    findings = [*outcome.findings, *proof.findings, *_postures_left(entries, asked)]
    made = result(
        "rollback",
        [
            *shouted(paths, None),
            *findings,
            *lock.findings,
            *journal.by_copy,
            *after.findings,
            *(replace(each, severity="warning") for each in faults),
        ],
        asked.way.commit if asked.way else "",
        check_mode=check_mode,
        rings=rings,
        postures=postures,
        **said,
        **content,
        **after.as_dict(),
    )
    made["summary"] = _summary(made, asked, check_mode)
    if made.get("enforced"):
        made["summary"] += after_sentence(made)
    if not check_mode:
        write_report(paths.output / "rollback.json", made)
    answer: dict[str, Any] = {
        "changed": bool(outcome.remaining) if check_mode else outcome.changed or after.changed,
        "plan_id": outcome.plan_id,
        "undone": made["undone"],
        "remaining": made["remaining"],
        "rings": rings,
        "postures": postures,
        "summary": made["summary"],
        "warnings_found": made["warnings"],
        **said,
        **after.as_dict(),
    }
    if values.get("diff_mode"):
        answer["diff"] = differences(asked.operations)
    if errors := errors_of([*findings, *after.findings]):
        first = sorted_findings(errors)[0]
        answer |= {"failed": True, "msg": f"{first} [{first.hint}]", "errors": made["errors"]}
    return answer


def _asked(values: Mapping[str, Any], entries: Entries, paths: Paths) -> Asked:
    """Return what the arguments name; FindingError where the journal knows nothing of it."""
    plan_id, ring, device, commit = (str(values.get(key) or "") for key in ("plan_id", "ring", "device", "commit"))
    note = {key: text for key, text in (("ring", ring), ("device", device)) if text}
    if commit:
        if plan_id or ring:
            raise FindingError(step_codes.BAD_ARGUMENT.at("commit: goes with neither plan_id nor ring"))
        # A record that lost its end could hide what was done since.
        if cut := end_findings(paths.journal, entries):
            raise FindingError(*cut)
        way = way_to_commit(entries, commit, [device] if device else None)
        given = lists_given_back(entries, "", (lambda each: each.target == device) if device else None)
        return Asked(way.plans[0] if way.plans else "", way.steps, None, way, note, () if way.steps else tuple(given))
    chosen: list[Only] = []
    if device:
        chosen.append(lambda operation: operation.target == device)
        plan_id = plan_id or last_plan(entries, chosen[0])
        _known_device(entries, plan_id, device)
    if ring:
        chosen.append(_of_ring(entries, plan_id, ring))
    only: Only | None = (lambda operation: all(each(operation) for each in chosen)) if chosen else None
    try:
        whole, steps, _owed = steps_to_undo(entries, plan_id, only)
    except FindingError:
        # All of it is back on its targets; whether sessions have taken it is looked at again.
        given = lists_given_back(entries, whole_id(entries, plan_id), only) if plan_id else []
        if not given or values["check_mode"]:
            raise
        return Asked(whole_id(entries, plan_id), (), only, None, note, tuple(given))
    given = [] if steps or values["check_mode"] else lists_given_back(entries, whole, only)
    return Asked(whole, tuple(steps), only, None, note, tuple(given))


def _known_device(entries: Entries, plan_id: str, device: str) -> None:
    """FindingError SW4168 where nothing of a plan (empty id: of any) was carried out on a device."""
    wanted = whole_id(entries, plan_id) if plan_id else ""
    found = {
        str(entry["target"])
        for entry in entries
        if entry["event"] == "operation_started" and (not wanted or entry.get("plan_id") == wanted)
    }
    if device not in found:
        of_plan = f"plan {wanted[:12]}" if wanted else "any plan"
        text = f"{device[:64]!a}: of {of_plan} steps were carried out on {', '.join(sorted(found)[:10]) or 'nothing'}"
        raise FindingError(codes.NO_DEVICE.at(text))


def _of_ring(entries: Entries, plan_id: str, ring: str) -> Only:
    """Return whether a step was carried out with a ring of the plan (empty id: the last one), as the journal says."""
    chosen = plan_id or last_plan(entries)
    begun = [
        entry
        for entry in entries
        if entry["event"] == "plan_started"
        and chosen
        and str(entry["plan_id"]).startswith(chosen)
        and entry.get("ring")
    ]
    if not any(entry["ring"] == ring for entry in begun):
        known = ", ".join(dict.fromkeys(str(entry["ring"]) for entry in begun)) or "none"
        raise FindingError(codes.NO_RING.at(f"{ring!r} was not carried out; carried out were: {known}"))
    steps = {str(number) for entry in begun if entry["ring"] == ring for number in entry["steps"]}
    # A list whose sessions the ring took over goes back with it, wherever it was written.
    steps |= {str(number) for entry in begun if entry["ring"] == ring for _target, number in entry.get("shares") or ()}
    return lambda operation: operation.id in steps


def _rehearsed(
    asked: Asked, values: Mapping[str, Any], paths: Paths, targets: Mapping[str, Target], entries: Entries
) -> tuple[Outcome, dict[str, Any], Proved]:
    """Return what would be undone, with what stands against it, what would result, and what is proved of it and of the way there."""
    rehearsal = rehearse(asked.steps, targets)
    proof = proved(asked.operations, rehearsal, asked.way, values, paths, targets, pulled_in(entries))
    told = asked.way.findings if asked.way else ()
    outcome = Outcome(asked.plan_id, (), tuple(asked.operations), (*told, *rehearsal.findings))
    said = {
        "reachable": rehearsal.reachable,
        "objects": [item.as_dict() for item in rehearsal.objects],
        "proof": proof.as_dict(),
    }
    return outcome, said, proof


def _carried_out(asked: Asked, targets: Mapping[str, Target], journal: Journal) -> Outcome:
    if asked.way is not None:
        return rollback_to_commit(asked.way, targets, journal, purpose="rollback", note=asked.note)
    if asked.given_back:
        try:
            return rollback_plan(asked.plan_id, targets, journal, only=asked.only, purpose="rollback")
        except FindingError as error:
            if any(finding.code != codes.NOT_IN_JOURNAL.number for finding in error.findings):
                raise  # it took away the locks of a run that was killed, at most
        return Outcome(asked.plan_id, (), (), ())
    return rollback_plan(
        asked.plan_id, targets, journal, only=asked.only, purpose="rollback", note=asked.note if asked.only else None
    )


def _rings(entries: Entries, asked: Asked, would: bool) -> list[dict[str, Any]]:
    """Return the rings of the plans concerned, with the state that they are in, or would be in, after the rollback."""
    plans = asked.way.plans if asked.way else (asked.plan_id,)
    taken = {(step.operation.target, number) for step in asked.steps for _plan, number in _covered(asked, step)}
    return [row for plan in plans for row in rings_after(entries, plan, taken if would else set())]


def _covered(asked: Asked, step: Executed) -> tuple[tuple[str, str], ...]:
    return step.covers or ((asked.plan_id, step.operation.id),)


def _postures_left(entries: Entries, asked: Asked) -> list[Finding]:
    """Return a finding for each posture that stays pulled by the journal, although steps of the plan that pulled it are taken back."""
    if asked.way is not None or asked.only is None:
        return []
    begun = [e for e in entries if e["event"] == "plan_started" and e["plan_id"] == asked.plan_id]
    held = {str(name) for entry in begun for name in entry.get("postures") or ()} & set(pulled_in(entries))
    return [codes.POSTURE_STAYS.at(name) for name in sorted(held)]


def _postures_moved(entries: Entries, asked: Asked) -> dict[str, list[str]]:
    """Return the postures that the rollback releases or pulls again: it takes back what its plan pulled or released."""
    plans = asked.way.whole if asked.way else [] if asked.only else [asked.plan_id]
    before = set(pulled_in(entries))
    after = set(pulled_in([*entries, *({"event": "rollback_started", "plan_id": plan} for plan in plans)]))
    return {"released": sorted(before - after), "pulled": sorted(after - before)}


def _summary(made: Mapping[str, Any], asked: Asked, check_mode: bool) -> str:
    what = f"plan {asked.plan_id[:12]}" if asked.way is None else f"back to commit {asked.way.commit[:12]}"
    some = "".join(f", {key} {text}" for key, text in (asked.note or {}).items())
    some += "".join(f"; {how} posture {name}" for how in ("released", "pulled") for name in made["postures"][how])
    if not check_mode:
        text = f"{what}{some}: {len(made['undone'])} operations were undone"
        return text + (f", {len(made['remaining'])} could not be" if made["remaining"] else "")
    text = f"{what}{some}: {len(made['remaining'])} operations would be undone"
    text += "; the state before is reached" if made["reachable"] else "; not all of it is reached"
    return text + (f"; {made['proof']['sentence']}" if made["proof"].get("sentence") else "")
