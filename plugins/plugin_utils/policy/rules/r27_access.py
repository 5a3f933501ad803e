# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SW27xx: exceptions, conditions, postures and templates.

What an exception shares with a rule (ends, services, conduits, width, ids) is judged with the rules, SW21xx and SW23xx.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.codes import UNSAFE_NAME
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import IDENTIFIER, name_finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.build import is_date
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.effective import (
    find_device,
    kept_rules,
    named_members,
    permissions,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    ANY,
    NEVER_DROPPED,
    AccessException,
    Posture,
    Rule,
    Site,
    Suspension,
    Workflow,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.outline import outlines_of, rules_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ranges import (
    Range,
    end_ranges,
    member_ranges,
    overlap,
    ranges_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.rules.r23_rules import SOON
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ruling import Context, rule

MAXIMUM_DAYS = 180


def _days(what: str, place: Location, *texts: str) -> tuple[list[date], list[Finding]]:
    """Return the days of texts, or a finding for each that is none."""
    bad = [codes.BAD_DATE.at(f"{what}: {text!a} is no day", place) for text in texts if not is_date(text)]
    return ([] if bad else [date.fromisoformat(text) for text in texts]), bad


@rule(
    codes.EXCEPTION_EXPIRED,
    codes.EXCEPTION_ENDS_SOON,
    codes.EXCEPTION_NOT_BEGUN,
    codes.EXCEPTION_TIME,
    codes.EXCEPTION_TOO_LONG,
    codes.BAD_DATE,
)
def exceptions_are_for_a_limited_time(site: Site, context: Context) -> Iterator[Finding]:
    """An exception that has expired is in no list any more; it stops nobody else's change, and is to be removed."""
    longest = site.defaults.get("exceptions", {}).get("maximum_days", MAXIMUM_DAYS)
    for item in site.exceptions:
        days, bad = _days(f"exception {item.id}", item.location, item.valid_from, item.expires)
        yield from bad
        if days:
            yield from _span(item, days[0], days[1], context.today, longest)


def _span(item: AccessException, first: date, last: date, today: date, longest: int) -> Iterator[Finding]:
    if last < first:
        yield codes.EXCEPTION_TIME.at(f"exception {item.id} ends before {item.valid_from}", item.location)
        return
    if (last - first).days + 1 > longest:
        text = f"exception {item.id} holds for {(last - first).days + 1} days, {longest} are allowed"
        yield codes.EXCEPTION_TOO_LONG.at(text, item.location)
    if last < today:
        yield codes.EXCEPTION_EXPIRED.at(f"exception {item.id} expired on {item.expires}", item.location)
    elif first > today:
        yield codes.EXCEPTION_NOT_BEGUN.at(f"exception {item.id} holds from {item.valid_from}", item.location)
    elif last - today <= SOON:
        text = f"exception {item.id} expires on {item.expires}; {item.owner} answers for it"
        yield codes.EXCEPTION_ENDS_SOON.at(text, item.location)


@rule(codes.UNKNOWN_CLIENT, codes.UNKNOWN_DEVICE, codes.ALONE_IN_SEGMENT)
def exceptions_name_segments_and_devices(site: Site, context: Context) -> Iterator[Finding]:
    """An exception's client is a segment or network set, and its devices are in the client's or the server's segment.

    Within one segment they are both ends, so that one alone would be permitted to itself and to nobody.
    The devices of one that has expired may be gone: it stops nobody else's change.
    """
    for item in site.exceptions:
        if item.client not in site.segments and item.client not in site.networks:
            text = f"exception {item.id}: segment or network set {item.client} is not defined"
            yield codes.UNKNOWN_CLIENT.at(text, item.location)
            continue
        if item.expires < context.today.isoformat():
            continue
        known = {
            name.lower()
            for segment in (item.client, item.to)
            for member in site.members.get(segment, ())
            for name in (member.device, member.name)
        }
        for name in item.devices:
            if name.lower() not in known:
                text = f"exception {item.id}: {name} is no device of {item.client} or {item.to}"
                yield codes.UNKNOWN_DEVICE.at(text, item.location)
        if item.client == item.to and len(named_members(site, item.client, item.devices)) == 1:
            text = f"exception {item.id} is between devices of {item.client} and names {item.devices[0]} alone, so it permits nothing"
            yield codes.ALONE_IN_SEGMENT.at(text, item.location)


@rule(codes.BAD_WINDOW, codes.UNKNOWN_POSTURE, alone=True)
def conditions_can_hold(site: Site, _context: Context) -> Iterator[Finding]:
    """A window begins and ends at different times, and a condition names a posture that exists."""
    for item in permissions(site):
        if item.conditions is None:
            continue
        for window in item.conditions.windows:
            if window.start == window.end or window.start == "24:00":
                text = f"{_what(item)}: a window from {window.start} to {window.end} says nothing"
                yield codes.BAD_WINDOW.at(text, item.location)
        posture = item.conditions.posture
        if posture and posture not in site.postures:
            yield codes.UNKNOWN_POSTURE.at(f"{_what(item)}: posture {posture} is not defined", item.location)


def _what(item: Rule) -> str:
    return f"{'exception' if item.origin == 'exception' else 'rule'} {item.id}"


@rule(codes.CRITICAL_CONDITION, codes.WORKFLOW_CONDITION)
def workflows_rest_on_rules_that_hold(site: Site, _context: Context) -> Iterator[Finding]:
    """A workflow of criticality life_support or process_critical needs rules without window, posture and expiry."""
    needed = {name for workflow in site.workflows for name in workflow.rules}
    by_id = {item.id: item for item in rules_of(site, lambda outline: not needed.isdisjoint(outline.ids))}
    for workflow in site.workflows:
        code = codes.CRITICAL_CONDITION if workflow.criticality in NEVER_DROPPED else codes.WORKFLOW_CONDITION
        for name in workflow.rules:
            found = by_id.get(name)
            if found is None:
                continue
            reasons = ["ends on " + found.expires] if found.expires else []
            if found.conditions and found.conditions.windows:
                reasons.append("has a time window")
            if found.conditions and found.conditions.posture:
                reasons.append(f"needs posture {found.conditions.posture}")
            if reasons:
                text = f"workflow {workflow.id} ({workflow.criticality}): rule {name} {' and '.join(reasons)}"
                yield code.at(text, found.location)


@rule(UNSAFE_NAME)
def names_of_postures(site: Site, _context: Context) -> Iterator[Finding]:
    """A posture's name is legal as a segment's, since an isolated device gets a segment of that name."""
    for name, item in site.postures.items():
        finding = name_finding(name, IDENTIFIER, "posture", item.location)
        if finding:
            yield finding


@rule(codes.AMBIGUOUS_NAME, codes.SGT_SHARED)
def postures_have_names_of_their_own(site: Site, _context: Context) -> Iterator[Finding]:
    """A posture is not called like a segment, network set or zone, and its tag is no segment's."""
    tags = {segment.sgt: name for name, segment in site.segments.items() if segment.sgt is not None}
    for name, item in site.postures.items():
        if name == ANY or name in site.segments or name in site.networks or name in site.zones:
            yield codes.AMBIGUOUS_NAME.at(f"posture {name}: the name has another meaning", item.location)
        if item.sgt in tags:
            yield codes.SGT_SHARED.at(
                f"posture {name} and segment {tags[item.sgt]} share SGT {item.sgt}", item.location
            )


@rule(codes.POSTURE_END, codes.POSTURE_KEEPS, codes.SUSPENDS_UNKNOWN)
def postures_name_what_exists(site: Site, _context: Context) -> Iterator[Finding]:
    """A posture's segment or device, and the rules and workflows that it keeps or suspends, exist."""
    workflows = {item.id for item in site.workflows}
    rules = {item.id for item in site.exceptions}
    rules |= {name for outline in outlines_of(site) for name in outline.ids} if site.postures else set()
    for name, item in site.postures.items():
        if item.segment and item.segment not in site.segments:
            yield codes.POSTURE_END.at(f"posture {name}: segment {item.segment} is not defined", item.location)
        if item.device and find_device(site, item.device) is None:
            yield codes.POSTURE_END.at(f"posture {name}: no segment has device {item.device}", item.location)
        for kept in item.keeps:
            if kept not in rules and kept not in workflows:
                text = f"posture {name}: {kept} is no rule and no workflow"
                yield codes.POSTURE_KEEPS.at(text, item.location)
        for suspension in item.suspends:
            if suspension.workflow not in workflows:
                text = f"posture {name}: workflow {suspension.workflow} is not defined"
                yield codes.SUSPENDS_UNKNOWN.at(text, suspension.location)


@rule(codes.POSTURE_CUTS)
def isolations_say_what_they_cut(site: Site, _context: Context) -> Iterator[Finding]:
    """Every workflow that an isolation touches is kept, or suspended with its owner's consent."""
    needed = {name for workflow in site.workflows for name in workflow.rules} if site.postures else set()
    by_id = {item.id: item for item in rules_of(site, lambda outline: not needed.isdisjoint(outline.ids))}
    for name, item in site.postures.items():
        end = _isolated(site, item)
        if item.kind != "isolate" or end is None:
            continue
        kept = kept_rules(site, item)
        suspended = {suspension.workflow for suspension in item.suspends}
        for workflow in site.workflows:
            if workflow.id in suspended:
                continue
            cut = [r for r in workflow.rules if r not in kept and r in by_id and _touches(site, by_id[r], *end)]
            if cut:
                text = f"posture {name} cuts workflow {workflow.id} of {workflow.owner}: rules {', '.join(cut)}"
                yield codes.POSTURE_CUTS.at(text, item.location)


def _isolated(site: Site, posture: Posture) -> tuple[str, list[Range]] | None:
    """Return the segment and the addresses that an isolation is about; None where they are not known."""
    if posture.device:
        found = find_device(site, posture.device)
        return (found[0], ranges_of(found[1].addresses)) if found else None
    return (posture.segment, member_ranges(site, posture.segment)) if posture.segment in site.segments else None


def _touches(site: Site, item: Rule, segment: str, addresses: list[Range]) -> bool:
    if segment in (item.client, item.to):
        return True
    return item.to == ANY or (item.to in site.networks and overlap(end_ranges(site, item.to), addresses))


@rule(codes.NO_CONSENT, codes.CONSENT_EXPIRED, codes.CONSENT_ENDS_SOON, codes.CONSENT_TIME, codes.BAD_DATE)
def suspensions_have_consent(site: Site, context: Context) -> Iterator[Finding]:
    """A workflow is suspended only with the consent of the owner that workflows.yml names, for a limited time."""
    workflows = {item.id: item for item in site.workflows}
    for name, posture in site.postures.items():
        for item in posture.suspends:
            workflow = workflows.get(item.workflow)
            if workflow is not None:
                yield from _consent(f"posture {name}, workflow {item.workflow}", item, workflow, context.today)


def _consent(what: str, item: Suspension, workflow: Workflow, today: date) -> Iterator[Finding]:
    if item.consent_owner.casefold() != workflow.owner.casefold():
        text = f"{what}: {item.consent_owner} agreed, its owner is {workflow.owner}"
        yield codes.NO_CONSENT.at(text, item.location)
    days, bad = _days(what, item.location, item.consent_date, item.expires)
    yield from bad
    if not days:
        return
    given, last = days
    if last < given:
        yield codes.CONSENT_TIME.at(f"{what}: the consent ends before {item.consent_date}", item.location)
    elif last < today:
        yield codes.CONSENT_EXPIRED.at(f"{what}: the consent expired on {item.expires}", item.location)
    elif last - today <= SOON:
        yield codes.CONSENT_ENDS_SOON.at(f"{what}: the consent expires on {item.expires}", item.location)


@rule(codes.NOT_ISOLATABLE)
def isolations_have_a_point(site: Site, _context: Context) -> Iterator[Finding]:
    """What an isolation is about is enforced somewhere, so that pulling it changes a list."""
    for name, item in site.postures.items():
        end = _isolated(site, item)
        if item.kind != "isolate" or end is None:
            continue
        assignment = site.assignments.get(end[0])
        if assignment is None or not assignment.points:
            text = f"posture {name}: segment {end[0]} has no enforcement point"
            yield codes.NOT_ISOLATABLE.at(text, item.location)


@rule(codes.RELAXES_NOTHING)
def relaxations_open_something(site: Site, _context: Context) -> Iterator[Finding]:
    """A relaxation has rules that wait for it, or lets an enforced segment or cell forward everything."""
    conditions = [item.conditions for item in rules_of(site, lambda outline: outline.conditional)]
    waiting = {found.posture for found in (*conditions, *(item.conditions for item in site.exceptions)) if found}
    for name, item in site.postures.items():
        assignment = site.assignments.get(item.segment)
        enforced = assignment is not None and assignment.stage == "enforce"
        enforced |= any(item.segment in cell.pair and cell.stage == "enforce" for cell in site.cells)
        if item.kind == "relax" and name not in waiting and not (item.opens == "all" and enforced):
            yield codes.RELAXES_NOTHING.at(f"posture {name} opens nothing", item.location)


@rule(codes.UNUSED_TEMPLATE)
def templates_are_used(site: Site, _context: Context) -> Iterator[Finding]:
    """A template that no segment uses can go."""
    for name, item in site.templates.items():
        if name not in site.used_templates:
            yield codes.UNUSED_TEMPLATE.at(f"template {name} is used nowhere", item.location)
