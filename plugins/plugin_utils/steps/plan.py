# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan: live state against the committed policy, as exact steps, as text and as effect. Writes to no target."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import sha256_of_file, write_atomic
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes as change_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.commit import required_commit
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.emergency import release_said
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import (
    Operation,
    Snapshot,
    Target,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import pushes_pending
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import (
    Plan,
    build_plan,
    left_out,
    plan_parts,
    snapshot_all,
    target_operations,
    with_effect,
    write_plan,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.preflight import preflight_all, refusals
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pulled import pulled_postures
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rings import (
    Part,
    parts_of_plan,
    ring_findings,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.state_ref import keep_state
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Compiled, PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.noise import limits_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.effective import effective_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import NORMAL, Site, Situation
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.windows import coming_change
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.codes import (
    MIX_CUTS_WORKFLOW,
    MIX_INTERRUPTS,
    MIX_OPENS,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.equivalence import prove_rendering
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.impact import impact
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.meaning import change_of_meaning
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.rollout import State, order_of_rollout
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.html import plan_html
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.markdown import plan_markdown
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.view import site_view
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import moment_of, paths_of, today_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.capacity import figures_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.fleet import connected, hosts_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.history import recorded_history
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.live import lists_in_force
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.pulled import postures_of, shouted
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.readiness import readiness_findings
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.ring_default import with_default_cell
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.ring_moves import REFUSED, Proved, proof_of_moves
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.ring_orders import (
    as_rings,
    candidate_order,
    order_text,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.site import (
    present_situation,
    proved_with_postures,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.validate import run_gate

LOCK = "members.lock.json"
KEPT_PLANS = 50
RING = 100  # more than there are phases
# For what a plan's own proof finds it is refused: a mix of lists, or of devices, that cuts a workflow or opens a must-never.
UNSAFE = REFUSED | {code.number for code in (MIX_CUTS_WORKFLOW, MIX_OPENS, MIX_INTERRUPTS)}


def run_plan(values: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plan's identity and effect after writing plan.json to the state directory and its reports."""
    paths = paths_of(values)
    plan, site, warnings = planned(values, variables)
    if refused := [finding for finding in warnings if finding.code in UNSAFE]:
        raise FindingError(*refused)
    shouts = shouted(paths, site)
    _write(paths, plan, site, shouts)
    return _answer(values, plan, [*shouts, *warnings], paths)


def planned(
    values: Mapping[str, Any], variables: Mapping[str, Any], merged: Callable[[Compiled], Compiled] | None = None
) -> tuple[Plan, Site, list[Finding]]:
    """Return the plan from live state, the site it is for, and what is worth a warning; writes nothing at all.

    The same documents, membership, live state and recorded traffic give the same plan id. ``merged`` puts in what other documents have
    in force (a posture that is pulled in the middle of a rollout). Raises FindingError where the policy does not pass or a target cannot
    be read.
    """
    paths = paths_of(values)
    commit = required_commit(paths.policy, bool(values.get("allow_dirty")))
    gate = run_gate(paths, today_of(values), with_replay=False)
    if gate.site is None or gate.compiled is None or errors_of(gate.findings):
        raise FindingError(*errors_of(gate.findings))
    moment = moment_of(values)
    situation = present_situation(gate.site, moment, postures_of(values, paths))
    compiled = gate.compiled if situation == NORMAL else _compiled_for(gate.site, situation, paths)
    proved = proved_with_postures(gate.site, situation, compiled)
    compiled = merged(compiled) if merged is not None else compiled
    with connected(values, variables, hosts_of(compiled.targets)) as targets:
        said = preflight_all(targets, writing=False)
        snapshots = snapshot_all(targets, compiled.targets)
        draft = build_plan(
            targets,
            compiled.targets,
            snapshots,
            policy_commit=commit,
            members_sha256=members_sha256(paths),
            prune=bool(values.get("prune")),
            pending=pushes_pending(paths.journal),
        )
        said += refusals(targets, {step.target for step in draft.operations()})
        site = effective_site(gate.site, situation)
        effect = effect_of(site, compiled, snapshots, paths, values.get("engine") or "")
        more, found = meaning_of(site, compiled, with_default_cell(snapshots, targets, draft.operations()), draft)
        after = sessions_to_follow(draft, compiled.lists, site)
        timed = in_time(gate.site, situation, moment)
        if ended := sorted({*pulled_postures(paths.journal)} - {*situation.postures}):
            timed |= {"releases": ended, "release": release_said(values, ended)}
        plan = with_effect(draft, {**effect, **more, **timed, **({"after_writing": after} if after else {})})
        enforced = [name for name, item in site.assignments.items() if item.stage == "enforce"]
        warnings = [*gate.findings, *proved, *said, *left_out(targets, compiled.targets), *found, *_costs(after)]
        warnings += readiness_findings(paths, site, enforced)
        if values.get("postures") is None and not paths.journal.exists() and draft.operations():
            warnings += perhaps_pulled(gate.site, situation, targets, snapshots)
    return plan, gate.site, warnings


def _compiled_for(site: Site, situation: Situation, paths: Paths | None = None) -> Compiled:
    """Return what the site compiles to while some windows are closed, its rendering proved; FindingError where it is not sound."""
    compiled = compile_site(site, situation, measured=figures_of(paths, site).measured if paths else None)
    _proofs, found = prove_rendering(compiled.lists)
    if errors := errors_of([*compiled.findings, *found]):
        raise FindingError(*errors)
    return compiled


def perhaps_pulled(
    site: Site, situation: Situation, targets: Mapping[str, Target], snapshots: Mapping[str, Snapshot]
) -> list[Finding]:
    """Return a warning for each posture that is pulled as far as live state shows, where nothing remembers it and the plan would end it.

    A state directory that was lost, or is another one, must not release a posture unnoticed.
    """
    if not any(item.get("owned") for snapshot in snapshots.values() for item in snapshot.objects.values()):
        return []
    found = []
    for name, posture in site.postures.items():
        desired = compile_site(site, replace(situation, postures=(name,))).targets
        if not any(target_operations(targets[host], desired, live, False) for host, live in snapshots.items()):
            found.append(change_codes.PERHAPS_PULLED.at(f"posture {name}", posture.location))
    return found


def in_time(site: Site, situation: Situation, moment: datetime) -> dict[str, Any]:
    """Return which postures a plan is for, and when its lists change next although nobody changes a document (nothing where never)."""
    coming = coming_change(site, moment, situation.postures)
    made: dict[str, Any] = {"postures": list(situation.postures)} if situation.postures else {}
    return made | ({"next_change": coming.as_dict()} if coming else {})


def members_sha256(paths: Paths) -> str:
    """Return the hash of the committed membership, empty where there is none."""
    lock = paths.policy / LOCK
    return sha256_of_file(lock) if lock.exists() else ""


def effect_of(
    site: Site, compiled: Compiled, snapshots: Mapping[str, Snapshot], paths: Paths, engine: str = ""
) -> dict[str, Any]:
    """Return what the change does to recorded and to never-seen conversations, at the targets that were read."""
    read = [listing for listing in compiled.lists if listing.host in snapshots]
    made = impact(
        site,
        lists_in_force(read, snapshots),
        read,
        recorded_history(paths.data, engine=engine, limits=limits_of(site.learning)),
    )
    return {**made.as_dict(), "sentence": made.sentence()}


def meaning_of(
    site: Site, compiled: Compiled, snapshots: Mapping[str, Snapshot], plan: Plan
) -> tuple[dict[str, Any], list[Finding]]:
    """Return what the change means for all packets, and whether every mix of old and new lists within each phase of the plan is safe."""
    read = tuple(listing for listing in compiled.lists if listing.host in snapshots)
    before, after = State(site, tuple(lists_in_force(read, snapshots))), State(site, read)
    meaning = change_of_meaning(before, after)
    rollout, findings = order_of_rollout(before, after, phases_of(plan, read))
    made = {"meaning": meaning.as_dict(), "rollout": rollout.as_dict()}
    parts = parts_of_plan(plan, site, compiled.lists)
    moves, cut = moves_of(site, read, snapshots, plan, parts)
    findings += cut
    made |= {"moves": moves} if moves else {}
    if site.rings and parts:
        ringed, more = rollout, list[Finding]()
        if parts[1:]:
            first = phases_of(plan, read, parts, first=True)
            ringed, more = order_of_rollout(before, after, phases_of(plan, read, parts), first)
        findings += [finding for finding in more if finding not in findings]
        findings += ring_findings(parts)
        rings = [_ring_view(part) for part in parts]
        made["rings"] = {"order": rings, "safe": ringed.safe, "mixes": ringed.mixes}
    return made, findings


def moves_of(
    site: Site, lists: Sequence[PointList], snapshots: Mapping[str, Snapshot], plan: Plan, parts: Sequence[Part]
) -> tuple[dict[str, Any], list[Finding]]:
    """Return what was proved of the devices that a plan moves to other lists or tags, ring by ring; nothing where it moves none.

    Where the order of the rings is safe only if the devices of each have authenticated again before the next begins, ``follow`` says so,
    and the plan holds with that: apply keeps to it.
    """
    proved = _moves_of(site, lists, snapshots, plan, parts)
    made, findings = proved.made, proved.findings
    if not made:
        return made, findings
    found = findings
    if parts[1:]:
        found = _moves_of(site, lists, snapshots, plan, ()).findings
    # What is told as a warning in the order of the rings is no reason to refuse it without them.
    at_once = not _refused(found)
    if _refused(findings) and parts[1:]:
        sure = _moves_of(site, lists, snapshots, plan, parts, follow=True)
        if not _refused(sure.findings):
            made = {**sure.made, "follow": True}
            findings = [*sure.findings, change_codes.RING_ORDER.at(FOLLOW).with_severity("warning")]
    if _refused(findings) and (text := _safe_order(site, lists, snapshots, plan, proved)):
        made = {**made, "safe_order": text}
        findings = [
            replace(item, hint=f"{item.hint}; or {text}") if item.code in REFUSED else item for item in findings
        ]
    return {**made, "at_once": at_once}, findings


def _safe_order(
    site: Site, lists: Sequence[PointList], snapshots: Mapping[str, Snapshot], plan: Plan, proved: Proved
) -> str:
    """Return which order of rings the same plan would be safe in, proved in it; empty where none was found."""
    order = candidate_order(proved.moves, proved.problems)
    if not order:
        return ""
    other = replace(site, rings=(*as_rings(order), *site.rings))
    parts = parts_of_plan(plan, other, lists)
    if _refused(_moves_of(other, lists, snapshots, plan, parts, follow=True).findings):
        return ""
    return order_text(order, {m.device: m.name for found in site.members.values() for m in found if m.name})


FOLLOW = (
    "and only where the devices that a ring moves have authenticated again before the next ring begins: run each ring with"
    " microseg_reauthenticate=true; it is done when their sessions carry the new list and tag"
)


def _refused(findings: Iterable[Finding]) -> bool:
    return any(finding.code in REFUSED for finding in findings)


def _moves_of(
    site: Site,
    lists: Sequence[PointList],
    snapshots: Mapping[str, Snapshot],
    plan: Plan,
    parts: Sequence[Part],
    *,
    follow: bool = False,
) -> Proved:
    """Return what was proved in the order of rings; ``follow``: devices have followed by the end of the ring that moves them."""
    first, last = phases_of(plan, lists, parts, first=True), phases_of(plan, lists, parts)
    times = {key: (first[key], moment) for key, moment in last.items()}
    rings = [part.id for part in parts] if site.rings else []
    moments = moments_of(plan, parts)
    confirmed = {moment: (moment // RING + 1) * RING - 1 for _step, moment in moments} if follow else {}
    return proof_of_moves(site, lists, snapshots, moments, times, rings, length=RING, confirmed=confirmed)


def _ring_view(part: Part) -> dict[str, Any]:
    """Return a ring of a plan as plain values; what it cannot be limited to is named where there is such a thing."""
    made: dict[str, Any] = {"id": part.id, "steps": len(part.steps), "hold_minutes": part.hold_minutes}
    if part.sessions:
        made["sessions"] = [
            {"target": target, "list": name, "devices": len(macs)} for target, name, macs in part.sessions
        ]
    return (
        made
        | ({"waited": list(part.waited)} if part.waited else {})
        | ({"beyond": list(part.beyond)} if part.beyond else {})
    )


def sessions_to_follow(plan: Plan, lists: Sequence[PointList], site: Site) -> list[dict[str, Any]]:
    """Return each downloadable ACL that the plan changes, with the devices whose sessions keep the old one for the time being."""
    changed = {
        (step.target, step.name)
        for step in plan.operations()
        if step.kind == "downloadable_acl" and step.action == "update"
    }
    return [
        {
            "target": listing.host,
            "list": listing.name,
            "segment": listing.segment,
            "criticality": site.segments[listing.segment].criticality,
            "devices": len(site.members.get(listing.segment, ())),
        }
        for listing in lists
        if listing.kind == "dacl" and (listing.host, listing.name) in changed
    ]


def _costs(after: Sequence[Mapping[str, Any]]) -> list[Finding]:
    return [
        change_codes.REAUTH_COST.at(f"{row['target']}: {row['list']}: {row['devices']} devices of {row['segment']}")
        for row in after
    ]


def phases_of(
    plan: Plan, lists: Sequence[PointList], rings: Sequence[Part] = (), *, first: bool = False
) -> dict[tuple[str, str], int]:
    """Return the phase in which each list is in force as planned: the last one with a step on what carries it.

    With ``rings``, phases are counted on from ring to ring. ``first``: the phase in which a list begins to be in force somewhere: ports
    and sessions of one list may belong to several rings.
    """
    place: dict[tuple[str, str], int] = {}
    # A list that sessions take over ring by ring is old somewhere until the last of them has.
    held = {key: number * RING for number, part in enumerate(rings) for key in part.shared} if not first else {}
    place |= held
    steps = [
        (step, place[step.target, step.id] + step.phase if (step.target, step.id) in place else moment)
        for step, moment in moments_of(plan, rings)
    ]
    return phases_of_steps(steps, lists, first=first)


def moments_of(plan: Plan, rings: Sequence[Part] = ()) -> list[tuple[Operation, int]]:
    """Return each step with the moment at which it is carried out: its phase, counted on from ring to ring."""
    place = {key: number * RING for number, part in enumerate(rings) for key in part.steps}
    return [(step, place.get((step.target, step.id), 0) + step.phase) for step in plan.operations()]


def phases_of_steps(
    steps: Sequence[tuple[Operation, int]], lists: Sequence[PointList], *, first: bool = False
) -> dict[tuple[str, str], int]:
    """Return the phase in which each list is in force as the steps, each with its phase, leave it; or begins to be (``first``)."""
    choose = min if first else max
    by_name: dict[tuple[str, str], int] = {}  # a large plan has tens of thousands of steps, and as many lists
    for step, phase in steps:
        for name in (step.name, str((step.after or step.before or {}).get("access_list", ""))):
            by_name[step.target, name] = choose(by_name.get((step.target, name), phase), phase)
    found: dict[tuple[str, str], int] = {}
    for listing in lists:
        for name in {listing.name, listing.cell} if listing.kind == "sgacl" else {listing.name}:
            if (phase_of := by_name.get((listing.host, name))) is not None:
                key = (listing.point, listing.name)
                found[key] = choose(found.get(key, phase_of), phase_of)
    return found


def kept_plan(paths: Paths, plan_id: str) -> Path:
    """Return where the state directory keeps the plan with an id (64 hex digits), beside the newest one in ``plan.json``."""
    return paths.state / "plans" / f"{plan_id}.json"


def _write(paths: Paths, plan: Plan, site: Site, shouts: Sequence[Finding]) -> None:
    write_plan(paths.plan, plan)
    # A plan made while another one waits for approval must not take its place.
    write_plan(kept_plan(paths, plan.plan_id), plan)
    kept = sorted((paths.state / "plans").glob("*.json"), key=lambda path: (path.stat().st_mtime_ns, path.name))
    for path in kept[:-KEPT_PLANS]:
        path.unlink(missing_ok=True)
    keep_state(paths.state, f"plan {plan.plan_id[:12]}")
    write_plan(paths.output / "plan.json", plan)
    content = plan.as_dict()
    write_atomic(paths.output / "plan.md", plan_markdown(content, shouts), 0o600)
    write_atomic(paths.output / "plan.html", plan_html(content, site_view(site), shouts), 0o600)


def _answer(values: Mapping[str, Any], plan: Plan, warnings: list[Finding], paths: Paths) -> dict[str, Any]:
    operations = plan.operations()
    answer: dict[str, Any] = {
        "changed": False,
        "plan_id": plan.plan_id,
        "policy_commit": plan.policy_commit,
        "plan_parts": plan_parts(plan),
        "operations": len(operations),
        "effect": dict(plan.effect),
        "postures": list(plan.effect.get("postures") or ()),
        "next_change": str((plan.effect.get("next_change") or {}).get("at", "")),
        "plan": str(paths.plan),
        "report": str(paths.output / "plan.html"),
        "warnings_found": [finding.as_dict() for finding in warnings],
        "summary": f"plan {plan.plan_id[:12]}: {len(operations)} operations on {sum(1 for t in plan.targets if t.operations)} targets; "
        + str(plan.effect.get("sentence", "")),
    }
    if values["diff_mode"]:
        answer["diff"] = plan_diff(plan)
    return answer


def plan_diff(plan: Plan) -> list[dict[str, str]]:
    """Return the plan's steps as Ansible shows differences."""
    steps = [(step, step.summary or f"{step.action} {step.kind} {step.name}") for step in plan.operations()]
    return [{"prepared": f"{step.target}: {what}\n{step.diff}\n"} for step, what in steps]
