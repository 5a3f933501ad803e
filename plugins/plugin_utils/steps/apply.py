# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply: carry out an approved plan, and nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import utc_now
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import write_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import (
    Finding,
    FindingError,
    Location,
    errors_of,
    sorted_findings,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.git import checked_out
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import apply_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.commit import DIRTY, commit_of, required_commit
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal, known_entries
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.lock import StateLock
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.moved_sessions import open_in
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.outcome import Outcome
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import (
    PLAN_ID,
    Plan,
    moved_parts,
    only_steps,
    read_plan,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.preflight import find_nodes, preflight_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rings import (
    DONE,
    SOAKING,
    UNDONE,
    Part,
    Progress,
    earlier_ring,
    parts_of_plan,
    progress_of,
    ring_findings,
    rollout_under_way,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import load_checked
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.results import result
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import moment_of, paths_of, today_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.enforced import (
    After,
    after_sentence,
    reader_of,
    sessions_after,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.fleet import connected
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.moved_sessions import (
    RunMoves,
    joined,
    moves_of_run,
    run_moved,
    sessions_back,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.permission import (
    Permission,
    closing_guard,
    permission,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.plan import (
    kept_plan,
    members_sha256,
    plan_diff,
    planned,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.pulled import shouted
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.ring_counts import keep_counts, ring_counters
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.ring_sessions import (
    authorized_sessions,
    keep_sessions,
    kept_sessions,
    lost_sessions,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.rollout import Decision, decide
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.site import SoundSite, sound_site

NEXT, CONTINUE = "next", "continue"


def run_apply(values: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was carried out. In check mode nothing is written anywhere, and the difference is what the plan holds."""
    if values.get("ring") == CONTINUE:
        return _continued(values, variables)
    paths = paths_of(values)
    allow_dirty, check_mode = bool(values.get("allow_dirty")), bool(values["check_mode"])
    try:
        plan, renewed = approved_plan(values, variables, paths)
        commit = required_commit(paths.policy, allow_dirty)
        postures = [str(name) for name in plan.effect.get("postures") or ()]
        sound = sound_site(paths, today_of(values), moment_of(values), cached=False, postures=postures)
    except FindingError:
        # Nothing goes forward; a ring whose devices are cut off goes back all the same.
        if values.get("ring") == NEXT and not check_mode and (back := _ring_to_undo(values, paths)) is not None:
            return _undo_ring(values, variables, paths, back)
        raise
    ring, state = None, Decision()
    if values.get("ring"):
        state = _turn(values, paths, plan, sound, variables)
        ring = state.part
        if state.undo is not None and not check_mode:
            return _undo_ring(values, variables, paths, state, plan)
        # A plan without a step has no ring; the one before it is judged all the same, and what it pulls is remembered.
        if ring is None and (plan.operations() or errors_of(state.findings)):
            return _answer_without(values, paths, plan, state, commit)
    _in_proved_order(plan, ring, sound, paths, values)
    part = plan if ring is None else only_steps(plan, ring.steps)
    # Sessions that take over a list that an earlier ring wrote are a change of the same zones.
    asked = part if ring is None else only_steps(plan, sorted(ring.back))
    allowed = permission(paths, asked, sound.site, sound.compiled.lists, values, today_of(values))
    limits = ring_findings([ring]) if ring is not None else []
    if ring is not None and ring.sessions and not values.get("reauthenticate"):
        raise FindingError(codes.RING_NEEDS_SESSIONS.at(f"ring {ring.id}: {_sessions_of(ring)}"))
    journal = Journal(paths.journal)
    after = After()
    with StateLock(paths.state / "lock", f"apply {plan.plan_id[:12]}") as lock:
        with connected(values, variables, [part.name for part in plan.targets]) as targets:
            said = preflight_all(targets, writing=False)
            if ring is not None and not check_mode:
                keep_sessions(journal, plan.plan_id, sound.site, ring, values, variables)

            run = moves_of_run(plan, ring, sound, paths.journal) if values.get("reauthenticate") else RunMoves()
            by_ring = ring is not None and bool(ring.sessions or run.moved)

            def sessions() -> After:
                reader = reader_of(values, variables, sound.in_force, sound.compiled, targets, paths)
                closed, moved = closing_guard(sound.site, allowed.zones), None
                if run.moved:  # before changed lists: a device of both authenticates once
                    moved = run_moved(reader, run, journal, values, plan.plan_id, ring.id if ring else "", closed)
                    if not moved.ok:
                        return joined(moved, None)
                if ring is not None:  # what later rings change is not in force yet
                    reader.only(
                        {(step.target, step.name) for step in part.operations()},
                        {(target, name): frozenset(macs) for target, name, macs in ring.sessions},
                    )
                return joined(moved, sessions_after(reader, journal, values, plan.plan_id, closed))

            def end_of_ring() -> Sequence[Finding]:
                nonlocal after
                if by_ring:
                    after = sessions()
                if ring is not None:
                    written = known_entries(paths.journal)
                    keep_counts(journal, plan.plan_id, ring, written, sound.compiled.lists, values, variables)
                return after.findings

            outcome = apply_plan(
                plan,
                targets,
                sound.compiled.targets,
                journal,
                policy_commit=commit,
                members_sha256=members_sha256(paths),
                allow_dirty=allow_dirty,
                check_mode=check_mode,
                approvals=[approval.as_dict() for approval in allowed.approvals],
                closed=closing_guard(sound.site, allowed.zones),
                purpose=f"apply {plan.plan_id[:12]}",
                ring=ring,
                ready=lambda: preflight_all(targets, writing=True),
                confirms_emergency=allowed.confirms,
                brings_commit=allowed.brings_commit and ring is None,
                rings_left=state.rings_left,
                finish=end_of_ring if ring is not None else None,
            )
            said = [finding for finding in said if finding not in outcome.findings]
            if outcome.ok and not check_mode and not by_ring and _touches_sessions(part, values):
                after = sessions()
    told = shouted(paths, sound.site)
    findings = [
        *told,
        *sound.findings,
        *said,
        *renewed,
        *allowed.findings,
        *state.findings,
        *limits,
        *lock.findings,
        *after.findings,
    ]
    return _answer(values, paths, plan, outcome, findings, commit, allowed, ring, after)


def _in_proved_order(plan: Plan, ring: Part | None, sound: SoundSite, paths: Paths, values: Mapping[str, Any]) -> None:
    """FindingError SW4174 where a plan whose moving devices are safe in the order of its rings alone is to be carried out otherwise.

    Where they are safe only when the devices of each ring have followed before the next begins (``follow``), re-authentication belongs
    to it.
    """
    moves = plan.effect.get("moves", {})
    follow = bool(moves.get("follow"))
    if moves.get("at_once", True) and not (follow and ring is not None):
        return
    if ring is None:
        raise FindingError(codes.RING_ORDER.at("it would be carried out at once"))
    if follow and ring.moved and not values.get("reauthenticate"):
        count = len({mac for _target, _segment, macs in ring.moved for mac in macs})
        text = (
            f"ring {ring.id} moves {count} devices, and nothing would make sure that they follow before the next ring"
        )
        raise FindingError(codes.RING_ORDER.at(text))
    entries = known_entries(paths.journal)
    states = progress_of(parts_of_plan(plan, sound.site, sound.compiled.lists), entries, plan.plan_id)
    before = states[: next((n for n, item in enumerate(states) if item.part.id == ring.id), 0)]
    if open_ones := [item.part.id for item in before if item.state not in (SOAKING, DONE)]:
        raise FindingError(codes.RING_ORDER.at(f"ring {ring.id} comes after {', '.join(open_ones)}"))
    still = open_in(entries, plan.plan_id)
    if follow and (
        waiting := [f"{item.part.id} ({', '.join(still[item.part.id])})" for item in before if still.get(item.part.id)]
    ):
        raise FindingError(
            codes.RING_ORDER.at(f"devices of {', '.join(waiting)} have not followed; ring {ring.id} comes after them")
        )


def _continued(values: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Go on with the rollout that was begun last, from the documents of its own commit; nothing where none was begun.

    A branch that has moved on, or a plan that was made since, changes nothing about a rollout of several weeks.
    """
    paths = paths_of(values)
    plan_id, commit = rollout_under_way(known_entries(paths.journal))
    if not plan_id:
        empty: list[dict[str, Any]] = []
        summary = "no rollout is under way: the last change was not carried out ring by ring"
        return {
            "changed": False,
            "plan_id": "",
            "completed": empty,
            "remaining": empty,
            "writes": 0,
            "summary": summary,
        }
    given = {**values, "ring": NEXT, "plan_id": plan_id, "plan": None}
    present, dirty = commit_of(paths.policy)
    if commit.startswith(DIRTY) or (present == commit and not dirty):
        return run_apply(given, variables)
    with contextlib.ExitStack() as stack:
        try:
            policy = stack.enter_context(checked_out(paths.policy, commit, codes.GIT_FAILED))
        except FindingError:
            # A commit that is gone, or a checkout that takes no worktree, stops what goes forward; never the way back.
            if not values["check_mode"] and (back := _ring_to_undo(values, paths)) is not None:
                return _undo_ring(values, variables, paths, back)
            raise
        return run_apply({**given, "policy_dir": str(policy)}, variables)


def _sessions_of(ring: Part) -> str:
    return "; ".join(f"list {name} on {target}, {len(macs)} devices" for target, name, macs in ring.sessions)


def _touches_sessions(plan: Plan, values: Mapping[str, Any]) -> bool:
    """Return whether sessions may carry an old list after this plan, or are to be re-authenticated."""
    return bool(values.get("reauthenticate")) or any(
        step.kind == "downloadable_acl" and step.action == "update" for step in plan.operations()
    )


def _turn(
    values: Mapping[str, Any], paths: Paths, plan: Plan, sound: SoundSite, variables: Mapping[str, Any] | None = None
) -> Decision:
    """Return which ring's turn it is: ``next`` asks health and soak, a ring's own name goes past both."""
    parts = parts_of_plan(plan, sound.site, sound.compiled.lists)
    wanted = str(values["ring"])
    if wanted != NEXT:
        chosen = next((part for part in parts if part.id == wanted), None)
        if chosen is None:
            raise FindingError(codes.NO_RING.at(f"{wanted!r}; it has {', '.join(part.id for part in parts) or 'none'}"))
        states = progress_of(parts, known_entries(paths.journal), plan.plan_id)
        return Decision(chosen, rings_left=_rings_left(states, chosen))
    entries = known_entries(paths.journal)
    progress = progress_of(parts, entries, plan.plan_id)
    other, commit, earlier = earlier_ring(entries, plan.plan_id, sound.site) or ("", "", None)
    if earlier is not None and earlier.state == UNDONE and commit != plan.policy_commit:
        earlier = None  # rolled back, and the policy was corrected since
    decision = decide(
        progress,
        sound.site,
        paths.data,
        utc_now(),
        blind=bool(values.get("ring_blind")),
        engine=str(values.get("engine") or ""),
        earlier=earlier,
        lost=lambda part: lost_sessions(
            kept_sessions(entries, part), lambda: authorized_sessions(values, variables or {})
        ),
        counters=lambda part: ring_counters(entries, part, sound.site, sound.compiled.lists, values, variables or {}),
    )
    decision = replace(decision, rings_left=_rings_left(progress, decision.part))
    of_earlier = earlier is not None and decision.undo is earlier.part
    return replace(decision, undo_plan=other) if of_earlier else decision


def _rings_left(progress: Sequence[Progress], chosen: Part | None) -> bool:
    """Return whether another ring is to come that has sessions and no step of its own left."""
    return any(
        item.part.sessions and item.state not in (SOAKING, DONE)
        for item in progress
        if chosen is None or item.part.id != chosen.id
    )


def _ring_to_undo(values: Mapping[str, Any], paths: Paths) -> Decision | None:
    """Return what takes back the ring that was changed last, by journal and documents alone; None where nothing asks for it.

    The way back asks neither for a plan that still holds nor for documents that are committed, in time or proved.
    """
    try:
        site = load_checked(paths.policy, today_of(values)).site
        entries = known_entries(paths.journal)
    except (FindingError, OSError):
        return None
    found = earlier_ring(entries, "", site) if site is not None else None
    if site is None or found is None:
        return None
    engine = str(values.get("engine") or "")
    state = decide((), site, paths.data, utc_now(), engine=engine, earlier=found[2])
    return replace(state, undo_plan=found[0]) if state.undo is not None else None


def _undo_ring(
    values: Mapping[str, Any],
    variables: Mapping[str, Any],
    paths: Paths,
    state: Decision,
    plan: Plan | None = None,
) -> dict[str, Any]:
    """Take back a ring whose devices do not do as before. The way back asks for no window and no approval."""
    steps = set(state.undo.back) if state.undo else set()
    plan_id = state.undo_plan or (plan.plan_id if plan else "")
    with StateLock(paths.state / "lock", f"undo of a ring of {plan_id[:12]}", take_over=True) as lock:
        # The ring's own steps on a host that cannot be connected are told by the rollback itself.
        with connected(values, variables, sorted({target for target, _step in steps}), []) as targets:
            find_nodes(targets)
            try:
                outcome = rollback_plan(
                    plan_id,
                    targets,
                    Journal(paths.journal),
                    only=lambda operation: (operation.target, operation.id) in steps,
                    purpose=f"undo of a ring of {plan_id[:12]}",
                )
            except FindingError as error:
                if any(finding.code != codes.NOT_IN_JOURNAL.number for finding in error.findings):
                    raise
                # Taken back already, or of pushes only: that its devices do not do as before is said first.
                outcome = Outcome(plan_id, (), (), tuple(each.with_severity("warning") for each in error.findings))
            undone_now = [step.operation for step in outcome.completed if step.changed]
            after = sessions_back(values, variables, paths, targets, undone_now, Journal(paths.journal), plan_id)
    content = outcome.as_dict()
    undone = content["completed"]
    findings = [*state.findings, *outcome.findings, *lock.findings, *after.findings]
    made = result(
        "apply", findings, plan.policy_commit if plan else "", check_mode=False, undone=undone, **_rollout_view(state), **content,
        **after.as_dict(),
    )  # fmt: skip
    made["completed"] = []
    made["summary"] = (
        f"{len(undone)} operations of ring {state.undo.id if state.undo else ''} were undone; the rollout stops"
    )
    write_json(paths.output / "apply.json", made)
    first = state.findings[0]
    return {
        "failed": True,
        "changed": outcome.changed,
        "msg": f"{first} [{first.hint}]",
        "errors": made["errors"],
        "undone": undone,
        "plan_id": plan_id,
        "summary": made["summary"],
    }


def _answer_without(
    values: Mapping[str, Any], paths: Paths, plan: Plan, state: Decision, commit: str
) -> dict[str, Any]:
    """Say why no ring is carried out now: it is watched, nothing shows how it does, or all are done."""
    empty = Outcome(plan.plan_id, (), (), ())
    made = result(
        "apply", state.findings, commit, check_mode=bool(values["check_mode"]), approvals=[], **_rollout_view(state),
        **empty.as_dict(),
    )  # fmt: skip
    said = "; ".join(finding.message for finding in state.findings) or "every ring is done"
    made["summary"] = f"plan {plan.plan_id[:12]}: nothing to do now; {said}"
    if not values["check_mode"]:
        write_json(paths.output / "apply.json", made)
    answer = {
        "changed": state.undo is not None,
        "plan_id": plan.plan_id,
        "completed": [],
        "remaining": [],
        "writes": 0,
        "summary": made["summary"],
    }
    if not made["ok"]:
        first = state.findings[0]
        answer |= {"failed": True, "msg": f"{first} [{first.hint}]", "errors": made["errors"]}
    return answer


def _rollout_view(state: Decision) -> dict[str, Any]:
    return {"health": state.health.as_dict()} if state.health is not None else {}


def approved_plan(values: Mapping[str, Any], variables: Mapping[str, Any], paths: Paths) -> tuple[Plan, list[Finding]]:
    """Return the plan to carry out, and what to say of it.

    Its file, or, where that is not at hand (plan and apply run in separate places) and ``plan_id`` says which one was
    approved, the plan made anew. FindingError SW4120 or SW4121 where either is not the plan with that id.
    """
    wanted = str(values.get("plan_id") or "")
    given = Path(values["plan"]).expanduser() if values.get("plan") else None
    if not wanted:
        return read_plan(given or paths.plan), []
    if not PLAN_ID.fullmatch(wanted):
        raise FindingError(codes.OTHER_PLAN.at("plan_id is not a whole plan id of 64 hex digits"))
    for path in [given] if given else [kept_plan(paths, wanted), paths.plan]:
        if path.exists() and (plan := read_plan(path)).plan_id == wanted:
            return plan, []
    if given:
        raise FindingError(codes.OTHER_PLAN.at(f"approved is {wanted[:12]}", Location(str(given))))
    plan, _site, _warnings = planned(values, variables)
    if plan.plan_id != wanted:
        parts = values.get("plan_parts")
        moved = moved_parts(parts, plan) if isinstance(parts, Mapping) else []
        said = f"; moved since: {', '.join(moved)}" if moved else ""
        raise FindingError(codes.PLAN_MOVED.at(f"approved is {wanted[:12]}, now it is {plan.plan_id[:12]}{said}"))
    return plan, [codes.PLAN_MADE_ANEW.at(f"plan {wanted[:12]}")]


def _answer(
    values: Mapping[str, Any],
    paths: Paths,
    plan: Plan,
    outcome: Outcome,
    more: list[Finding],
    commit: str,
    allowed: Permission,
    ring: Part | None,
    after: After,
) -> dict[str, Any]:
    made = result(
        "apply",
        [*outcome.findings, *more],
        commit,
        check_mode=bool(values["check_mode"]),
        approvals=[approval.as_dict() for approval in allowed.approvals],
        **({"ring": ring.id} if ring else {}),
        **outcome.as_dict(),
        **after.as_dict(),
    )
    made["summary"] = _summary(made)
    if not values["check_mode"]:
        write_json(paths.output / "apply.json", made)
    answer: dict[str, Any] = {
        "changed": bool(outcome.remaining) if values["check_mode"] else outcome.changed or after.changed,
        "plan_id": plan.plan_id,
        "completed": made["completed"],
        "remaining": made["remaining"],
        "writes": outcome.writes,
        "pushed": made["pushed"],
        **after.as_dict(),
        "summary": made["summary"],
    }
    if values["diff_mode"]:
        answer["diff"] = plan_diff(plan)
    if errors := errors_of([*outcome.findings, *after.findings]):
        first = sorted_findings(errors)[0]
        back = (
            f"; {len(outcome.completed)} operations were carried out, the rollback playbook undoes them"
            if outcome.completed
            else ""
        )
        answer |= {"failed": True, "msg": f"{first} [{first.hint}]{back}", "errors": made["errors"]}
    return answer


def _summary(made: Mapping[str, Any]) -> str:
    if made["check_mode"]:
        return f"plan {made['plan_id'][:12]}: {len(made['remaining'])} operations would be carried out, nothing was written"
    text = f"plan {made['plan_id'][:12]}: {len(made['completed'])} operations were carried out with {made['writes']} writes"
    if made["pushed"]:
        confirmed = sum(1 for device in made["pushed"] if device["outcome"] == "confirmed")
        text += f"; {confirmed} of {len(made['pushed'])} devices confirmed the push"
    if made.get("enforced"):
        text += after_sentence(made)
    if made["remaining"]:
        text += f"; {len(made['remaining'])} not carried out"
    return text if made["ok"] else text + f"; stopped: {made['errors'][0]['code']} {made['errors'][0]['message']}"
