# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply: carry out an approved plan, and nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import utc_now
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import (
    Finding,
    FindingError,
    Location,
    errors_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.git import checked_out
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import apply_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.calendar import opening
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.commit import DIRTY, commit_of, required_commit
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.duration import expected, overrun_findings
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.interrupted import taken_back
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal, known_entries
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.lock import StateLock
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import (
    PLAN_ID,
    Plan,
    moved_parts,
    only_steps,
    read_plan,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.preflight import preflight_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rings import (
    Part,
    parts_of_plan,
    ring_findings,
    rollout_under_way,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.standing import (
    Standing,
    moves_devices,
    needs_followers,
    order_findings,
    standing_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.apply_result import (
    answer_of,
    answer_waiting,
    answer_without,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import moment_of, paths_of, today_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.beside_foreign import beside_foreign
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.bound import (
    address_findings,
    member_findings,
    newest_commit,
    reassigned,
    tool_findings,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.connections import addresses_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.enforced import reader_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.fleet import connected
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.moved_sessions import joined, run_moved
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.permission import (
    DEFAULT_BRANCH,
    closing_guard,
    permission,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.plan import (
    kept_plan,
    members_sha256,
    planned,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.pulled import shouted
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.reauthentication import (
    After,
    pace_of,
    sessions_after,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.ring_back import undo_ring
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.ring_counts import keep_counts
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.ring_sessions import keep_sessions
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.ring_turn import (
    CONTINUE,
    NEXT,
    ring_to_undo,
    turn_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.rollout import Decision
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.site import SoundSite, sound_site


def run_apply(values: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was carried out. In check mode nothing is written anywhere, and the difference is what the plan holds.

    A schedule (``wait``, or the ring ``continue``) comes outside windows and before approvals too: that is no failure of its run.
    """
    going_on = values.get("ring") == CONTINUE
    try:
        paths_of(values)
    except FindingError:
        # The change may have cut this controller off from its state; a ring whose devices are cut off goes back all the same.
        if values.get("ring") in (NEXT, CONTINUE) and not values["check_mode"]:
            paths = paths_of(values, way_back=True)
            if (back := ring_to_undo(values, paths)) is not None:
                return undo_ring(values, variables, paths, back)
        raise
    try:
        return _continued(values, variables) if going_on else _carried_out(values, variables)
    except FindingError as error:
        waits_for = NOT_NOW | NOT_YET if values.get("wait") else NOT_NOW if going_on else frozenset()
        if not {finding.code for finding in error.findings} <= waits_for:
            raise
        return answer_waiting(values, paths_of(values), error.findings)


# No window is open, or none that is long enough; an approval is missing.
NOT_NOW = frozenset((codes.OUTSIDE_WINDOW.number, codes.RING_TOO_LONG.number))
NOT_YET = frozenset((codes.NOT_APPROVED.number,))


def _carried_out(values: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    paths = paths_of(values)
    allow_dirty, check_mode = bool(values.get("allow_dirty")), bool(values["check_mode"])
    try:
        plan, renewed = approved_plan(values, variables, paths)
        commit = required_commit(paths.policy, allow_dirty)
        postures = [str(name) for name in plan.effect.get("postures") or ()]
        sound = sound_site(paths, today_of(values), moment_of(values), cached=False, postures=postures)
    except FindingError:
        # Nothing goes forward; a ring whose devices are cut off goes back all the same.
        if values.get("ring") == NEXT and not check_mode and (back := ring_to_undo(values, paths)) is not None:
            return undo_ring(values, variables, paths, back)
        raise
    ring, state = None, Decision()
    if values.get("wait") and not values.get("ring") and taken_back(known_entries(paths.journal), plan.plan_id):
        raise FindingError(codes.PLAN_UNDONE.at(f"plan {plan.plan_id[:12]}"))
    if values.get("ring"):
        state = turn_of(values, paths, plan, sound, variables)
        ring = state.part
        if state.undo is not None and not check_mode:
            return undo_ring(values, variables, paths, state, plan)
        # A plan without a step has no ring; the one before it is judged all the same, and what it pulls is remembered.
        if ring is None and (plan.operations() or errors_of(state.findings)):
            return answer_without(values, paths, plan, state, commit)
    part = plan if ring is None else only_steps(plan, ring.steps)
    # Sessions that take over a list that an earlier ring wrote are a change of the same zones.
    asked = part if ring is None else only_steps(plan, sorted(ring.back))
    _bound(values, variables, paths, plan, asked, ring, sound)
    allowed = permission(paths, asked, sound.site, sound.compiled.lists, values, today_of(values))
    limits = [*tool_findings(plan), *(ring_findings([ring]) if ring is not None else [])]
    if ring is not None and ring.sessions and not values.get("reauthenticate"):
        raise FindingError(codes.RING_NEEDS_SESSIONS.at(f"ring {ring.id}: {_sessions_of(ring)}"))
    if ring is not None and values["ring"] == NEXT:  # one that a person names begins all the same
        if late := _too_long(values, paths, ring, sound.site, allowed.zones):
            raise FindingError(*late)
    journal = Journal(paths.journal)
    after = After()
    with StateLock(paths.state / "lock", f"apply {plan.plan_id[:12]}") as lock:
        standing = _standing(plan, ring, sound, paths)
        if found := order_findings(plan, standing, bool(values.get("reauthenticate"))):
            raise FindingError(*found)
        moved_ones = standing.moved if values.get("reauthenticate") else ()
        with connected(values, variables, [part.name for part in plan.targets]) as targets:
            said = preflight_all(targets, writing=False)
            if ring is not None and not check_mode:
                keep_sessions(journal, plan.plan_id, sound.site, ring, values, variables)

            by_ring = ring is not None and bool(ring.sessions or moved_ones)

            def sessions() -> After:
                reader = reader_of(values, variables, sound.in_force, sound.compiled, targets, paths)
                closed, moved = closing_guard(sound.site, allowed.zones), None
                if moved_ones:  # before changed lists: a device of both authenticates once
                    needed = needs_followers(plan)
                    moved = run_moved(reader, standing, journal, values, plan.plan_id, needed=needed, closed=closed)
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
                beside=partial(beside_foreign, sound),
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
    return answer_of(values, paths, plan, outcome, findings, commit, allowed, ring, after)


def _standing(plan: Plan, ring: Part | None, sound: SoundSite, paths: Paths) -> Standing:
    """Return where a run stands among the rings of a plan that moves devices."""
    if not moves_devices(plan):
        return Standing(ring)
    return standing_of(plan, parts_of_plan(plan, sound.site, sound.compiled.lists), ring, known_entries(paths.journal))


def _bound(
    values: Mapping[str, Any],
    variables: Mapping[str, Any],
    paths: Paths,
    plan: Plan,
    part: Plan,
    ring: Part | None,
    sound: SoundSite,
) -> None:
    """FindingError where what is carried out now (``part``) is for another inventory, or for members of segments that are no longer so."""
    hostvars = variables.get("hostvars") or {}
    found = address_findings(
        part, addresses_of(hostvars, [item.name for item in plan.targets if item.name in hostvars])
    )
    if ring is not None:  # a rollout of weeks, whose documents are those of its own commit
        branch = str(values.get("protected_branch") or DEFAULT_BRANCH)
        newest = newest_commit(paths.policy, plan.policy_commit, branch, str(values.get("checked_out") or ""))
        if newest:
            moved = reassigned(paths.policy, plan.policy_commit, newest)
            found += member_findings(part, ring.id, sound.site, sound.compiled.lists, moved, newest)
    if found:
        raise FindingError(*found)


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
        return _carried_out(given, variables)
    with contextlib.ExitStack() as stack:
        try:
            policy = stack.enter_context(checked_out(paths.policy, commit, codes.GIT_FAILED))
        except FindingError:
            # A commit that is gone, or a checkout that takes no worktree, stops what goes forward; never the way back.
            if not values["check_mode"] and (back := ring_to_undo(values, paths)) is not None:
                return undo_ring(values, variables, paths, back)
            raise
        return _carried_out({**given, "policy_dir": str(policy), "checked_out": present}, variables)


def _too_long(values: Mapping[str, Any], paths: Paths, ring: Part, site: Site, zones: Sequence[str]) -> list[Finding]:
    """Return why a ring does not begin now: it would run past the end of its window."""
    now = utc_now()
    until = opening(site, zones, now).until
    if until is None:
        return []
    entries = known_entries(paths.journal)
    macs = {mac for _target, _name, found in (*ring.sessions, *ring.moved) for mac in found}
    sessions = len(macs) if values.get("reauthenticate") else 0
    return overrun_findings(ring.id, expected(entries, len(ring.steps), sessions, pace_of(values)), now, until)


def _sessions_of(ring: Part) -> str:
    return "; ".join(f"list {name} on {target}, {len(macs)} devices" for target, name, macs in ring.sessions)


def _touches_sessions(plan: Plan, values: Mapping[str, Any]) -> bool:
    """Return whether sessions may carry an old list after this plan, or are to be re-authenticated."""
    return bool(values.get("reauthenticate")) or any(
        step.kind == "downloadable_acl" and step.action == "update" for step in plan.operations()
    )


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
