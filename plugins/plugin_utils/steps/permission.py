# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""May this plan be applied now: merged, approved by those who have to, within a change window, by a clock that is right.

Only ``apply`` asks. The way back never does (design rule 11).
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import moment_of_text, utc_now
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import (
    Finding,
    FindingError,
    Location,
    errors_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.approval import (
    Approval,
    ApprovalPolicy,
    ChangeStep,
    Judgement,
    judge_approvals,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.approval_files import read_approvals
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.calendar import calendar_findings
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.commit import DIRTY
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.emergency import (
    Pulled,
    pulled_state,
    unconfirmed,
    unsaid_releases,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import end_findings, known_entries
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.merged import (
    merged_changes,
    parent_of,
    protected_findings,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import PUSH, PUSHED_KINDS
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import Plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pulled import pulled_in
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rings import Segments
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.signatures import TrustedKeys
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.change_documents import Approvers
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.change_risk import CLASSES, risk_classes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import CRITICALITIES, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.owners import LOCK, Owners
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.committed import (
    approvers_at,
    documents_of,
    moved_segments,
    site_at,
    uncommitted,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.posture_plan import lapses, pulls, segments_of


@dataclass(frozen=True)
class Permission:
    """What apply may go on with: the approvals that counted, for the journal, the zones it touches, and remarks."""

    approvals: tuple[Approval, ...]
    zones: tuple[str, ...]
    findings: tuple[Finding, ...]
    confirms: bool = False  # what was pulled in an emergency and is held by the plan
    brings_commit: bool = False  # another one than was applied last


def permission(
    paths: Paths, plan: Plan, site: Site, lists: Sequence[PointList], values: Mapping[str, Any], today: date
) -> Permission:
    """Return what stands behind a plan. Raises FindingError with every reason why it may not be applied now."""
    entries = known_entries(paths.journal)
    now = utc_now()
    zones = zones_of_plan(plan, site, lists)
    findings = [*end_findings(paths.journal, entries), *clock_findings(entries, now)]
    findings += calendar_findings(site, zones, now)
    keys = TrustedKeys(str(values.get("allowed_signers") or ""), str(values.get("gpg_keys") or ""))
    approvals, found = _approvals(paths, plan, site, keys, values, entries, today, pulls=pulls(plan, entries))
    findings += [*lapses(plan, entries), *unsaid_releases(plan.effect, pulled_in(entries)), *found]
    if errors_of(findings):
        raise FindingError(*_with_reasons(findings))
    held = unconfirmed(pulled_state(entries), plan.effect.get("postures") or ())
    nobody = any(finding.code == codes.NO_APPROVAL_POLICY.number for finding in found)
    confirms = bool(held) and (nobody or any(item.plan_id == plan.plan_id for item in approvals))
    head = plan.policy_commit
    brings = not head.startswith(DIRTY) and bool(head) and head != applied_commit(entries)
    return Permission(approvals, zones, tuple(findings), confirms, brings)


def approved_by(paths: Paths, plan: Plan, site: Site, values: Mapping[str, Any], today: date) -> tuple[Approval, ...]:
    """Return the approvals of the documents that a plan is made from, whatever the hour; FindingError with every one that is missing."""
    keys = TrustedKeys(str(values.get("allowed_signers") or ""), str(values.get("gpg_keys") or ""))
    approvals, found = _approvals(paths, plan, site, keys, values, known_entries(paths.journal), today)
    if errors_of(found):
        raise FindingError(*_with_reasons(found))
    return approvals


# Why an approval that somebody gave does not count.
_VOID = frozenset(
    code.number for code in (codes.OWN_APPROVAL, codes.STALE_APPROVAL, codes.BAD_SIGNATURE, codes.BAD_APPROVAL)
)


def _with_reasons(findings: Sequence[Finding]) -> list[Finding]:
    """Return the errors; the first missing approval says which approvals there are that do not count, and why."""
    errors = errors_of(findings)
    reasons = [f"{item.code} {item.message}" for item in findings if item.severity == "warning" and item.code in _VOID]
    place = next((at for at, item in enumerate(errors) if item.code == codes.NOT_APPROVED.number), None)
    if reasons and place is not None:
        more = f"; and {len(reasons) - 5} more" if len(reasons) > 5 else ""
        text = f"{errors[place].message}; what does not count: {'; '.join(reasons[:5])}{more}"
        errors[place] = replace(errors[place], message=text)
    return errors


def closing_guard(site: Site, zones: Sequence[str]) -> Callable[[], list[Finding]]:
    """Return the question that apply asks before each phase: why it may not go on, nothing where the window is still open."""

    def closed() -> list[Finding]:
        found = calendar_findings(site, zones, utc_now())
        return [codes.WINDOW_CLOSED.at(finding.message) for finding in found]

    return closed


def clock_findings(entries: Sequence[Mapping[str, Any]], now: datetime) -> list[Finding]:
    """Return a finding where the clock stands before the journal's last entry: windows and expiry would be judged wrongly."""
    if not entries:
        return []
    last = moment_of_text(str(entries[-1]["time"]))
    if (last - now).total_seconds() <= CLOCK_TOLERANCE_SECONDS:
        return []
    return [
        codes.CLOCK_BACK.at(f"it is {now:%Y-%m-%d %H:%M:%S} UTC here, the journal ends at {last:%Y-%m-%d %H:%M:%S} UTC")
    ]


CLOCK_TOLERANCE_SECONDS = 120


def zones_of_plan(plan: Plan, site: Site, lists: Sequence[PointList]) -> tuple[str, ...]:
    """Return the zones whose lists a plan changes.

    A step that names no segment counts for every zone with lists on its target; for every zone of the site where there is
    none. A firewall's list is for all segments that it enforces. A push counts for what is pushed.
    """
    found: set[str] = set()
    segments = Segments(site, lists)
    for part in plan.targets:
        here = [listing for listing in lists if listing.host == part.name]
        pushed = any(step.kind in PUSHED_KINDS for step in part.operations)
        for step in part.operations:
            if step.action == PUSH and pushed:
                continue
            if touched_segments := segments.of(part.name, step):
                found |= {site.segments[name].zone for name in touched_segments if name in site.segments}
                continue
            names = {step.name, str((step.after or step.before or {}).get("access_list", ""))}
            touched = [listing for listing in here if listing.name in names]
            found |= _zones_of_lists(site, touched or here) or set(site.zones)
    return tuple(sorted(found))


def _zones_of_lists(site: Site, lists: Iterable[PointList]) -> set[str]:
    segments: set[str] = set()
    for listing in lists:
        named = {listing.segment, listing.peer} - {""}
        segments |= named or {name for name, item in site.assignments.items() if listing.point in item.points}
    return {site.segments[name].zone for name in segments if name in site.segments}


def applied_commit(entries: Sequence[Mapping[str, Any]], head: str = "") -> str:
    """Return the commit of the last plan that was carried out to its end and not rolled back since, empty where there is none.

    ``head`` is the commit of the plan that is asked about: where it was applied before with an approval of that one plan,
    this says nothing about another plan of the same commit (of other targets, say), and the commit before it counts.
    """
    started: dict[str, Mapping[str, Any]] = {}
    found: list[tuple[str, str]] = []
    for entry in entries:
        plan = str(entry.get("plan_id", ""))
        if entry["event"] == "plan_started":
            started[plan] = entry
        elif entry["event"] == "rollback_started" and not entry.get("partial"):
            found = [item for item in found if item[0] != plan]
        elif entry["event"] == "plan_done" and plan in started:
            begun = started[plan]
            commit = str(begun["policy_commit"])
            for_one_plan = commit == head and any(item.get("plan_id") for item in begun.get("approvals") or ())
            if commit and not commit.startswith(DIRTY) and not for_one_plan:
                found.append((plan, commit))
    return found[-1][1] if found else ""


def spent_approvals(entries: Sequence[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """Return (approver, content) of the approvals with which something was carried out.

    The record of a review stays in its directory: without this it would approve once more what was taken back since.
    """
    started: dict[str, Sequence[Mapping[str, Any]]] = {}
    found: set[tuple[str, str]] = set()
    for entry in entries:
        if entry["event"] == "plan_started":
            started[str(entry["plan_id"])] = entry.get("approvals") or ()
        elif entry["event"] == "plan_done":
            used = started.get(str(entry["plan_id"]), ())
            found |= {(str(item.get("approver")), str(item["content"])) for item in used if item.get("content")}
    return found


def _approvals(
    paths: Paths,
    plan: Plan,
    site: Site,
    keys: TrustedKeys,
    values: Mapping[str, Any],
    entries: Sequence[Mapping[str, Any]],
    today: date,
    pulls: Sequence[str] = (),
) -> tuple[tuple[Approval, ...], list[Finding]]:
    base = applied_commit(entries, plan.policy_commit)
    before = site_at(paths.policy, base, today) if base else None
    # Nobody names their own approvers: where the commit before has approvers.yml, that one counts, also where the rest
    # of that commit can no longer be read.
    earlier_rules = before.approvers if before is not None else approvers_at(paths.policy, base) if base else None
    rules = earlier_rules or site.approvers
    if rules is None:
        return (), [codes.NO_APPROVAL_POLICY.at("approvers.yml is not there; whoever runs apply answers for it alone")]
    place = Location(str(paths.policy))
    if plan.policy_commit.startswith(DIRTY):
        return (), [codes.NOT_APPROVED.at("uncommitted documents cannot have been approved", place)]
    policy = ApprovalPolicy(rules.teams, rules.least, rules.forges, rules.exporters, rules.risk)
    head = plan.policy_commit
    findings = protected_findings(paths.policy, head, str(values.get("protected_branch") or DEFAULT_BRANCH))
    findings += [*uncommitted(paths.policy, head), *_other_day(values, site, today)]

    sides = [Owners(side) for side in (before, site) if side is not None]

    def owned(changed: tuple[str, ...], earlier: str, later: str) -> tuple[frozenset[str], str]:
        moved = moved_segments(paths.policy, earlier, later) if LOCK in changed else ()
        names, criticality = _owned(sides, changed, moved)
        return names or frozenset((rules.site,)), criticality  # what nobody owns is the site's, never nobody's

    def risks(changed: tuple[str, ...], earlier: str, later: str) -> frozenset[str]:
        return risk_classes(documents_of(paths.policy, changed, earlier, later)) if rules.risk else frozenset()

    start = base or parent_of(paths.policy, head)
    merged = merged_changes(paths.policy, start, head, keys, policy, owned, risks)
    steps = merged.steps
    if not base:
        authors = frozenset(person for step in steps for person in step.authors)
        teams, criticality = _owned([Owners(site)], _all_paths(site), tuple(site.segments))
        whole = ("the whole policy",)
        content = frozenset((merged.content,))
        written_with = frozenset(key for step in steps for key in step.keys)
        steps = (ChangeStep(head, authors, content, teams, criticality, whole, frozenset(CLASSES), written_with),)
        findings.append(codes.FIRST_APPROVAL.at("nothing was applied before", place))
    folder = Path(str(values.get("approvals_dir") or paths.state / "approvals")).expanduser()
    files, found = read_approvals(folder, keys, policy)
    spent = spent_approvals(entries)
    found += [
        codes.STALE_APPROVAL.at(f"{item.approver} approved this content for an earlier apply", Location(item.source))
        for item in files
        if (item.approver, item.content) in spent and steps
    ]
    files = [item for item in files if (item.approver, item.content) not in spent]
    judged = judge_approvals(policy, steps, [*merged.approvals, *files], plan.plan_id, merged.content)
    held = unconfirmed(pulled_state(entries), plan.effect.get("postures") or ())
    confirmed, more = _emergency_approvals(policy, plan, site, rules, held, files)
    if pulls:
        asked = _posture_approvals(policy, plan, site, rules, pulls, files, frozenset())
        confirmed, more = (*confirmed, *asked.approvals), [*more, *asked.findings]
    approvals = tuple(dict.fromkeys((*judged.approvals, *confirmed)))
    return approvals, [*findings, *merged.findings, *found, *judged.findings, *more]


def _emergency_approvals(
    policy: ApprovalPolicy,
    plan: Plan,
    site: Site,
    rules: Approvers,
    held: Sequence[Pulled],
    files: Sequence[Approval],
) -> tuple[tuple[Approval, ...], list[Finding]]:
    """Return the approvals of this very plan that confirm the emergencies it holds, and why it may not go forward without them.

    Owners of what a posture is about approve it, and none who pulled it. Before an emergency's time is over nothing is asked.
    """
    if not held:
        return (), []
    people = frozenset(item.person for item in held)
    judged = _posture_approvals(policy, plan, site, rules, [item.name for item in held], files, people)
    if not errors_of(judged.findings):
        return judged.approvals, []
    over = [item for item in held if item.until is not None and utc_now() >= item.until]
    found = [codes.EMERGENCY_UNAPPROVED.at(f"{item.name}, pulled by {item.person or 'somebody'}") for item in over]
    return (), [*found, *judged.findings] if found else []


def _posture_approvals(
    policy: ApprovalPolicy,
    plan: Plan,
    site: Site,
    rules: Approvers,
    names: Sequence[str],
    files: Sequence[Approval],
    authors: frozenset[str],
) -> Judgement:
    """Judge the approvals of this very plan by the owners of what postures are about; no review of documents tells of it."""
    paths = [f"{site.segments[name].zone}/{name}.yml" for name in segments_of(site, names)]
    teams, criticality = _owned([Owners(site)], paths, ())
    about = tuple(f"posture {name}" for name in names)
    step = ChangeStep(plan.policy_commit, authors, frozenset(), teams or frozenset((rules.site,)), criticality, about)
    return judge_approvals(policy, [step], [item for item in files if item.plan_id], plan.plan_id, "")


DEFAULT_BRANCH = "origin/main"


def _other_day(values: Mapping[str, Any], site: Site, today: date) -> list[Finding]:
    """Return a finding where expiry is judged as of a day before the present one: what was approved has ended meanwhile, perhaps."""
    present = utc_now().astimezone(zoneinfo.ZoneInfo(site.time_zone)).date()
    if not values.get("today") or today >= present:
        return []
    return [codes.CLOCK_BACK.at(f"today: {today} is given, and it is {present}", hint="leave today out")]


def _owned(sides: Iterable[Owners], changed: Sequence[str], moved: Iterable[str]) -> tuple[frozenset[str], str]:
    teams: set[str] = set()
    worst = len(CRITICALITIES) - 1
    moved = tuple(moved)
    for side in sides:
        for path in changed:
            names, criticality = side.of(path, moved)
            teams |= names
            worst = min(worst, CRITICALITIES.index(criticality))
    return frozenset(teams), CRITICALITIES[worst]


def _all_paths(site: Site) -> tuple[str, ...]:
    return ("site.yml", *(f"{segment.zone}/{name}.yml" for name, segment in site.segments.items()))
