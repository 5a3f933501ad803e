# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan: live state against the committed policy, as exact steps, as text and as effect. Writes to no target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_lists, compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Compiled, PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.noise import limits_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.cells import with_cells_at
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
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.rollout import (
    RolloutProof,
    State,
    order_of_rollout,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.html import plan_html
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.markdown import plan_markdown
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.view import site_view
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import moment_of, paths_of, today_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.bound import tools
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.capacity import figures_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.connections import addresses_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.fleet import connected, hosts_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.history import recorded_history
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.live import lists_in_force
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.move_findings import REFUSED
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.plan_moves import moves_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.plan_phases import phases_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.pulled import postures_of, shouted
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.readiness import readiness_findings
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.ring_default import with_default_cell
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.site import (
    present_situation,
    proved_with_postures,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.validate import run_gate

LOCK = "members.lock.json"
KEPT_PLANS = 50
# For what a plan's own proof finds it is refused: a mix of lists, or of devices, that cuts a workflow or opens a must-never.
UNSAFE = REFUSED | {code.number for code in (MIX_CUTS_WORKFLOW, MIX_OPENS, MIX_INTERRUPTS)}


def run_plan(values: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plan's identity and effect after writing plan.json to the state directory and its reports."""
    paths = paths_of(values)
    plan, site, warnings = planned(values, variables)
    if unsafe := [finding for finding in warnings if finding.code in UNSAFE]:
        raise FindingError(*unsafe)
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
            addresses=addresses_of(variables.get("hostvars") or {}, targets),
            tools=tools(),
        )
        said += refusals(targets, {step.target for step in draft.operations()})
        site = effective_site(gate.site, situation)
        leaving = cells_that_leave(site, draft, snapshots)
        effect = effect_of(site, compiled, snapshots, paths, values.get("engine") or "", leaving)
        shown = with_default_cell(snapshots, targets, draft.operations())
        more, found = meaning_of(site, compiled, shown, draft, leaving)
        after = sessions_to_follow(draft, compiled.lists, site)
        timed = in_time(gate.site, situation, moment)
        if ended := sorted({*pulled_postures(paths.journal)} - {*situation.postures}):
            timed |= {"releases": ended, "release": release_said(values, ended)}
        plan = with_effect(draft, {**effect, **more, **timed, **({"after_writing": after} if after else {})})
        ahead = {name for cell in site.cells if cell.stage == "enforce" for name in cell.pair}
        enforced = [name for name, item in site.assignments.items() if item.stage == "enforce" or name in ahead]
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


def cells_that_leave(site: Site, plan: Plan, snapshots: Mapping[str, Snapshot]) -> list[PointList]:
    """Return what targets hold of cells that are only observed now, and that the plan deletes: no list is compiled for them."""
    deleted = {
        (target, step.name) for target, step in plan.steps() if step.kind == "egress_matrix_cell" and step.after is None
    }
    absent = {cell.pair: "monitor" for cell in site.cells if cell.stage == "observe"} if deleted else {}
    if not absent:
        return []
    lists = compile_lists(with_cells_at(site, absent))
    return lists_in_force([item for item in lists if (item.host, item.cell) in deleted], snapshots)


def effect_of(
    site: Site,
    compiled: Compiled,
    snapshots: Mapping[str, Snapshot],
    paths: Paths,
    engine: str = "",
    leaving: Sequence[PointList] = (),
) -> dict[str, Any]:
    """Return what the change does to recorded and to never-seen conversations, at the targets that were read.

    ``leaving``: what is in force there and is not compiled any more (``cells_that_leave``).
    """
    read = [listing for listing in compiled.lists if listing.host in snapshots]
    made = impact(
        site,
        [*lists_in_force(read, snapshots), *leaving],
        read,
        recorded_history(paths.data, engine=engine, limits=limits_of(site.learning)),
    )
    return {**made.as_dict(), "sentence": made.sentence()}


def meaning_of(
    site: Site,
    compiled: Compiled,
    snapshots: Mapping[str, Snapshot],
    plan: Plan,
    leaving: Sequence[PointList] = (),
) -> tuple[dict[str, Any], list[Finding]]:
    """Return what the change means for all packets, and whether every mix of old and new lists within each phase of the plan is safe."""
    read = tuple(listing for listing in compiled.lists if listing.host in snapshots)
    before, after = State(site, tuple(lists_in_force(read, snapshots))), State(site, read)
    held = State(site, (*before.lists, *leaving)) if leaving else before
    meaning = change_of_meaning(held, after)
    proof = RolloutProof(before, after)
    rollout, findings = order_of_rollout(before, after, phases_of(plan, read), proof=proof)
    made = {"meaning": meaning.as_dict(), "rollout": rollout.as_dict()}
    parts = parts_of_plan(plan, site, compiled.lists)
    moves, cut = moves_of(site, read, snapshots, plan, parts)
    findings += cut
    made |= {"moves": moves} if moves else {}
    if site.rings and parts:
        ringed, more = rollout, list[Finding]()
        if parts[1:]:
            first = phases_of(plan, read, parts, first=True)
            ringed, more = order_of_rollout(before, after, phases_of(plan, read, parts), first, proof)
        findings += [finding for finding in more if finding not in findings]
        findings += ring_findings(parts)
        rings = [_ring_view(part) for part in parts]
        made["rings"] = {"order": rings, "safe": ringed.safe, "mixes": ringed.mixes}
    return made, findings


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
