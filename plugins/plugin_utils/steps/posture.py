# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Posture: pull or release a prepared emergency state in one command, and say what each one would cost."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import utc_now
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
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.approval import Approval
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.commit import required_commit
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.emergency import said
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import (
    Journal,
    end_findings,
    known_entries,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.lock import StateLock
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.merged import is_ancestor
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.outcome import Outcome
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import Plan, only_steps
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.preflight import preflight_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pulled import pulled_in
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rings import Part
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.situations import NORMAL
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.postures import postures_markdown
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.results import result
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import codes as step_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import (
    commit_name,
    moment_of,
    paths_of,
    today_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.committed import site_at, uncommitted
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.enforced import reader_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.fleet import connected
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.newer import Newer, newer_than, put_in_force
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.permission import (
    applied_commit,
    approved_by,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.plan import members_sha256, plan_diff, planned
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.posture_cost import costs
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.posture_mixes import (
    MIXES,
    mixes_of_part,
    refusing,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.pulled import pulled_now, shouted
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.reauthentication import (
    After,
    after_sentence,
    sessions_after,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.reports import write_report
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.site import SoundSite, sound_site

LISTED, PULLED, RELEASED = "listed", "pulled", "released"
RING = "posture"  # no ring of a rollout: what a posture left alone is for the next plan


def run_posture(values: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was pulled or released, or what is pulled and what each posture would cost.

    Pulling and releasing pass windows, freezes and approval; they need a reason and a person, and go with the documents that were
    applied last. In check mode nothing is written and the difference is what would be.
    """
    if str(values.get("state") or LISTED) == LISTED:
        return _listed(values, paths_of(values))
    paths = paths_of(values, way_back=True)
    base = _to_go_from(paths, bool(values.get("allow_dirty")))
    if not base:
        return _carried_out(values, variables, paths)
    with checked_out(paths.policy, base, codes.GIT_FAILED) as policy:
        return _carried_out({**values, "policy_dir": str(policy)}, variables, replace(paths, policy=policy))


def _to_go_from(paths: Paths, allow_dirty: bool) -> str:
    """Return the commit to take documents from where the checkout is at the commit of a rollout that is under way; else empty."""
    entries = known_entries(paths.journal)
    head, base = required_commit(paths.policy, allow_dirty), applied_commit(entries)
    return base if base and base != head and head in put_in_force(entries).values() else ""


def _carried_out(values: dict[str, Any], variables: Mapping[str, Any], paths: Paths) -> dict[str, Any]:
    wanted, changed = _wanted(values, paths)
    emergency = said(values)
    commit = required_commit(paths.policy, bool(values.get("allow_dirty")))
    sound = _sound(values, paths, wanted)
    entries = known_entries(paths.journal)
    cut = end_findings(paths.journal, entries)
    if cut and values["state"] == PULLED:
        raise FindingError(*cut)
    before = _sound(values, paths, pulled_in(entries))
    base = _only_what_is_in_force(paths, before, commit, today_of(values), wanted)

    def newer_with(postures: Sequence[str]) -> Newer:
        return newer_than(commit, entries, paths, today_of(values), moment_of(values), postures)

    newer, held = newer_with(wanted), newer_with(pulled_in(entries))
    sound = replace(sound, compiled=newer.merged(sound.compiled))
    before = replace(before, compiled=held.merged(before.compiled))
    plan, _site, warned = planned({**values, "postures": wanted}, variables, newer.merged)
    approvals: tuple[Approval, ...] = ()
    if base != commit:  # somebody prepared something since: that was reviewed as any change
        approvals = approved_by(paths, plan, before.site, values, today_of(values))
    mine, left = split_steps(plan, before.compiled.targets, sound.compiled.targets, newer.unread)
    ring = Part(RING, tuple((step.target, step.id) for step in mine)) if left else None
    part = only_steps(plan, ring.steps) if ring else plan
    # What the plan proves is of all its steps; where drift is left alone, other mixes arise, and another state at the end.
    unsafe = mixes_of_part(part, before, sound) if left else [item for item in warned if item.severity == "error"]
    if values["state"] == PULLED and (cuts := refusing(unsafe)):
        raise FindingError(*cuts)
    journal, after = Journal(paths.journal, way_back=True), After()
    name = ", ".join(changed)
    with StateLock(
        paths.state / "lock", f"posture {name}"[:60], take_over=True, only_reads=bool(values["check_mode"])
    ) as lock:
        with connected(values, variables, [item.name for item in plan.targets]) as targets:
            outcome = apply_plan(
                plan,
                targets,
                sound.compiled.targets,
                journal,
                policy_commit=commit,
                members_sha256=members_sha256(paths),
                allow_dirty=bool(values.get("allow_dirty")),
                check_mode=bool(values["check_mode"]),
                approvals=[approval.as_dict() for approval in approvals],
                purpose=f"posture {name}"[:60],
                ring=ring,
                ready=lambda: preflight_all(targets, writing=True),
                emergency={**emergency.as_dict(utc_now()), "state": values["state"], "postures": list(changed)},
            )
            if outcome.ok and not values["check_mode"]:
                reader = reader_of(values, variables, sound.in_force, sound.compiled, targets, paths)
                reader.only({(step.target, step.name) for step in part.operations()})
                after = sessions_after(reader, journal, values, plan.plan_id, None)
    findings = [*outcome.findings, *lock.findings, *journal.by_copy, *after.findings]
    findings += newer.findings({(step.target, step.kind, step.name) for step in mine})
    # A release is a way back: a record that lost its end is said and does not stop it.
    findings += [finding.with_severity("warning") for finding in cut]
    whole = [finding for finding in warned if not (left and finding.code in MIXES)]
    findings += [finding for finding in whole if finding.severity == "warning" and finding not in findings]
    findings += [finding.with_severity("warning") for finding in unsafe]
    findings += [codes.DRIFT_LEFT.at(f"{step.target}: {step.summary or step.name}") for step in left]
    return _answer(values, paths, part, outcome, [*shouted(paths, sound.site), *findings], changed, after, sound.site)


def _sound(values: Mapping[str, Any], paths: Paths, postures: Sequence[str]) -> SoundSite:
    return sound_site(paths, today_of(values), moment_of(values), cached=False, postures=postures)


def _wanted(values: Mapping[str, Any], paths: Paths) -> tuple[list[str], list[str]]:
    """Return the postures that shall be pulled afterwards, and those that this run is about; FindingError where none is named."""
    names = list(dict.fromkeys(str(name).strip() for name in values.get("postures") or ()))
    if not names:
        raise FindingError(step_codes.BAD_ARGUMENT.at("postures: name what to pull or release"))
    pulled = list(pulled_in(known_entries(paths.journal)))
    if values["state"] == PULLED:
        return sorted({*pulled, *names}), names
    unknown = [name for name in names if name not in pulled]
    if unknown:
        text = f"postures: {unknown[0][:40]!a} is not pulled"
        raise FindingError(step_codes.BAD_ARGUMENT.at(text, hint=f"pulled are: {', '.join(pulled) or 'none'}"))
    return [name for name in pulled if name not in names], names


def _only_what_is_in_force(paths: Paths, sound: SoundSite, commit: str, today: date, wanted: Sequence[str]) -> str:
    """Return the commit that was applied last; FindingError SW4142 where the documents mean other lists than it does.

    An emergency brings nothing into force but a posture. Postures that were prepared since change no list until they are pulled. Those of
    an older commit are refused where they mean something else by now: what was corrected in a posture is not put aside by a checkout.
    """
    base = applied_commit(known_entries(paths.journal))
    place = Location(str(paths.policy))
    if not base:
        if sound.site.approvers is not None:
            raise FindingError(codes.EMERGENCY_OTHER.at(f"nothing was applied before commit {commit[:12]}", place))
        return commit
    if not uncommitted(paths.policy, base):
        return commit
    site = site_at(paths.policy, base, today)
    then = {item.host: item for item in compile_site(site, NORMAL).targets} if site else {}
    now = {item.host: item for item in compile_site(sound.site, NORMAL).targets}
    other = sorted(
        host
        for host in {*then, *now}
        if _bodies([then[host]] if host in then else []) != _bodies([now[host]] if host in now else [])
    )
    if other:
        text = f"applied last was {base[:12]}; commit {commit[:12]} means other lists on {', '.join(other[:5])}"
        raise FindingError(codes.EMERGENCY_OTHER.at(text, place))
    if site is not None and is_ancestor(paths.policy, commit, base):
        names = [name for name in wanted if name in site.postures and name in sound.site.postures]
        pulled = replace(NORMAL, postures=tuple(sorted(names)))
        if _bodies(compile_site(site, pulled).targets) != _bodies(compile_site(sound.site, pulled).targets):
            text = f"{', '.join(names)}: commit {commit[:12]} is older than {base[:12]}, which was applied last and has it otherwise"
            raise FindingError(codes.EMERGENCY_OTHER.at(text, place))
    return base


def split_steps(
    plan: Plan,
    before: Sequence[DesiredTarget],
    after: Sequence[DesiredTarget],
    newer: Collection[tuple[str, str, str]] = (),
) -> tuple[list[Operation], list[Operation]]:
    """Return the steps that a posture needs, and updates of objects that it does not touch: drift, which somebody may have made on
    purpose in the same emergency. What is missing is created again, since steps of the posture may rest on it.

    ``newer``: objects that other documents have in force; of these what the posture does not touch is left alone in any case.
    """
    old, new = _bodies(before), _bodies(after)
    same = {key for key, _body in old.items() & new.items()}
    alone = {key for key in newer if old.get(key) == new.get(key)}

    def needed(step: Operation) -> bool:
        key = (step.target, step.kind, step.name)
        return key not in alone and (step.action != "update" or key not in same)

    steps = plan.operations()
    mine = [step for step in steps if needed(step)]
    # What puts a list of the posture in force belongs to it: a cell, a port or a profile that names another list, or is switched off,
    # would leave the posture written and without effect.
    lists = {(host, name) for host, _kind, name in {key for key, _body in old.items() ^ new.items()}}
    lists |= {(step.target, step.name) for step in mine}
    left = [
        step for step in steps if step not in mine and not any((step.target, name) in lists for name in _named(step))
    ]
    return [step for step in steps if step not in left], left


def _named(step: Operation) -> set[str]:
    """Return every name in what a step leaves, the names of lists that a carrier puts in force among them."""
    values = [
        each
        for value in (step.after or {}).values()
        for each in (value if isinstance(value, list | tuple) else [value])
    ]
    return {value for value in values if isinstance(value, str)}


def _bodies(targets: Sequence[DesiredTarget]) -> dict[tuple[str, str, str], str]:
    return {
        (target.host, item.kind, item.name): repr(sorted(item.body.items(), key=repr))
        for target in targets
        for item in target.objects
    }


def _listed(values: Mapping[str, Any], paths: Paths) -> dict[str, Any]:
    """Return what is pulled and, where asked for, what each posture would cut of recorded traffic. Reads no target."""
    sound = _sound(values, paths, ())
    pulled = pulled_now(paths)
    rows = costs(paths, sound.site, values) if values.get("cost", True) else []
    findings = shouted(paths, sound.site)
    prepared = [
        {
            "posture": name,
            "kind": posture.kind,
            "about": posture.segment or posture.device,
            "owner": posture.owner,
            "reason": posture.reason,
            "pulled": any(item.name == name for item in pulled),
        }
        for name, posture in sorted(sound.site.postures.items())
    ]
    made = result(
        "posture", findings, commit_name(paths.policy), state=LISTED, prepared=prepared,
        pulled=[item.as_dict() for item in pulled], costs=[row.as_dict() for row in rows],
    )  # fmt: skip
    names = ", ".join(item.name for item in pulled)
    made["summary"] = f"{len(prepared)} postures are prepared; pulled: {names or 'none'}"
    _write(paths, made, values)
    asks = [
        finding for finding in findings if finding.code in (codes.RELAXATION_ASKS.number, codes.EMERGENCY_OVER.number)
    ]
    answer: dict[str, Any] = {
        "changed": False,
        "prepared": prepared,
        "pulled": made["pulled"],
        "costs": made["costs"],
        "summary": made["summary"],
    }
    if asks and values.get("fail_when_asked", True):
        answer |= {"failed": True, "msg": f"{asks[0]} [{asks[0].hint}]", "errors": [item.as_dict() for item in asks]}
    return answer


def _answer(
    values: Mapping[str, Any],
    paths: Paths,
    plan: Plan,
    outcome: Outcome,
    findings: Sequence[Finding],
    changed: Sequence[str],
    after: After,
    site: Site,
) -> dict[str, Any]:
    pulled = [item.as_dict() for item in pulled_now(paths)]
    made = result(
        "posture", findings, plan.policy_commit, state=str(values["state"]), postures=list(changed), pulled=pulled,
        check_mode=bool(values["check_mode"]), prepared=[], costs=[], **outcome.as_dict(), **after.as_dict(),
    )  # fmt: skip
    steps = outcome.remaining if values["check_mode"] else outcome.completed
    done = "would be " if values["check_mode"] else ""
    made["summary"] = f"{', '.join(changed)} {done}{values['state']} with {len(steps)} steps, plan {plan.plan_id[:12]}"
    if made.get("enforced"):
        made["summary"] += after_sentence(made)
    _write(paths, made, values)
    answer: dict[str, Any] = {
        "changed": bool(outcome.remaining) if values["check_mode"] else outcome.changed or after.changed,
        "plan_id": plan.plan_id,
        "pulled": pulled,
        "completed": made["completed"],
        "remaining": made["remaining"],
        "writes": outcome.writes,
        **after.as_dict(),
        "summary": made["summary"],
    }
    if values["diff_mode"]:
        answer["diff"] = plan_diff(plan)
    if errors := errors_of(findings):
        first = sorted_findings(errors)[0]
        answer |= {"failed": True, "msg": f"{first} [{first.hint}]", "errors": made["errors"]}
    return answer


def _write(paths: Paths, made: dict[str, Any], values: Mapping[str, Any]) -> None:
    if not values["check_mode"]:
        write_report(paths.output / "posture.json", made, postures_markdown(made))
