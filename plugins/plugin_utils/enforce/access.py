# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists on access ports (DACL and port ACL): stateless, packets from the endpoint only."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import (
    ListCache,
    findings_of,
    head_of,
    lazy_list,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.index import SiteIndex
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.keys import keys_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.lines import (
    ListBuilder,
    add_access_bootstrap,
    closing_ace,
    forward_ace,
    reply_aces,
    rule_label,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.literals import literal
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.management import add_management
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Origin, PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.naming import owned_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    Assignment,
    EnforcementPoint,
    Rule,
    Site,
)

GROUPS = {4: IntervalSet.of((0xE0000000, 0xEFFFFFFF)), 6: IntervalSet.of((0xFF << 120, (1 << 128) - 1))}


def access_lists(
    index: SiteIndex, point: EnforcementPoint, assignment: Assignment
) -> tuple[list[PointList], list[Finding]]:
    """Return the lists for one segment at an access point, and what cannot be expressed: IPv4, and IPv6 where it has such addresses.

    The source of every line is ``any``: the switch puts the endpoint's address in its place for a DACL
    (facts/ise.md section 3), and a port carries only its own endpoint for a port ACL. A rule for some devices only names them in a
    port ACL; a DACL is the same for all devices of the segment and permits it to all of them, which a finding says.
    """
    lists: list[PointList] = []
    findings: list[Finding] = []
    interfaces: tuple[str, ...] = ()
    if point.kind == "port_acl":
        interfaces, findings = _interfaces(index.site, point, assignment)
    for family in (4, 6):
        if family == 4 or index.members(assignment.segment, 6):
            listing, found = _access_list(index, point, assignment, family, interfaces)
            lists.append(listing)
            findings += found
    return lists, findings


def kept_access_lists(
    index: SiteIndex, point: EnforcementPoint, assignment: Assignment
) -> tuple[list[PointList], list[Finding]]:
    """Return the same as ``access_lists``, the lines left out where the cache knows them."""
    if index.cache is None:
        return access_lists(index, point, assignment)
    key = keys_of(index).access(point, assignment, _ports_of(index.site, point, assignment))
    known: tuple[list[PointList], list[Finding]] | None = index.cache.made.get(key)
    if known is None:
        known = index.cache.made[key] = _kept_lists(index, index.cache, key, point, assignment)
    return known


def _kept_lists(
    index: SiteIndex, cache: ListCache, key: str, point: EnforcementPoint, assignment: Assignment
) -> tuple[list[PointList], list[Finding]]:
    found = cache.get(key)
    if found is not None:
        made: list[PointList] = []

        def again(number: int) -> PointList:
            return access_lists(index, point, assignment)[0][number]

        for number, entry in enumerate(found["lists"]):
            head = {**entry["head"], "interfaces": tuple(entry["head"]["interfaces"])}
            made.append(lazy_list(head, entry, partial(again, number), f"{key}.{number}"))
        return made, findings_of(found)
    lists, findings = access_lists(index, point, assignment)
    entries: list[dict[str, Any]] = [{"head": head_of(listing)} for listing in lists]
    cache.put(key, {"lists": entries, "findings": [finding.as_dict() for finding in findings]})
    for number, (listing, entry) in enumerate(zip(lists, entries, strict=True)):
        listing.__dict__.update(_entry=entry, _key=f"{key}.{number}")
    return lists, findings


def list_name(segment: str, family: int) -> str:
    """Return the name of a segment's list of one family."""
    return owned_name(segment) if family == 4 else owned_name(segment, "v6")


def _access_list(
    index: SiteIndex, point: EnforcementPoint, assignment: Assignment, family: int, interfaces: tuple[str, ...]
) -> tuple[PointList, list[Finding]]:
    segment = assignment.segment
    own = index.members(segment, family)
    builder = ListBuilder()
    findings: list[Finding] = []
    rules = index.allowed(segment)
    groups = any(_to_groups(index, rule, family) for rule in rules)
    add_access_bootstrap(builder, point.location, own.overlaps(index.leases(family)), family, groups)
    add_management(builder, index, family, own)
    for rule in rules:
        findings += _forward(index, point, rule, family, builder)
    for rule in index.rules_to(segment, family):
        named = rule.devices or rule.client not in index.site.segments
        clients = index.clients(rule, family) if named else literal(index, rule.client, family)
        if not clients:
            if index.clients(rule, 10 - family) and index.members(segment, 10 - family):
                continue  # the rule is one of the other family
            findings.append(
                codes.EMPTY_END.at(f"rule {rule.id}: {rule.client} has no IPv{family} address", rule.location)
            )
            continue
        findings += _answers(index, point, rule, (segment, family), clients, builder)
    permit_rest = assignment.stage != "enforce"
    builder.add(closing_ace(family, permit_rest), Origin("default", location=assignment.location))
    listing = PointList(
        point=point.id,
        kind=point.kind,
        platform=point.platform,
        host=point.host,
        name=list_name(segment, family),
        stage=assignment.stage,
        aces=tuple(builder.aces),
        default_permit=permit_rest,
        stateful=False,
        segment=segment,
        interfaces=interfaces,
        origins=builder.origins,
        family=family,
    )
    return listing, findings


def _answers(
    index: SiteIndex,
    point: EnforcementPoint,
    rule: Rule,
    place: tuple[str, int],
    clients: IntervalSet,
    builder: ListBuilder,
) -> list[Finding]:
    """Add the answers of the segment's devices (``place``: segment and family) to a rule.

    Where only some devices are among the rule's addresses a port ACL names them; a DACL is the same for all, which a finding says.
    """
    segment, family = place
    source: IntervalSet | None = None
    findings: list[Finding] = []
    if rule.to not in index.site.segments:
        own, target = index.members(segment, family), index.addresses(rule.to, family)
        if target is not None and not target.covers(own):
            if point.kind == "port_acl":
                source = target.intersect(own)
            else:
                text = f"rule {rule.id}: the list at {point.id} passes answers of all devices of {segment}, not only of those in {rule.to}"
                findings.append(codes.ANSWERS_WIDER.at(text, rule.location))
    label, origin = rule_label("reply", rule.id), Origin("reply", rule.id, rule.location)
    for match in index.matches(rule.services, family):
        for ace in reply_aces(family, match, source, clients, label):
            builder.add(ace, origin)
    return findings


def _forward(index: SiteIndex, point: EnforcementPoint, rule: Rule, family: int, builder: ListBuilder) -> list[Finding]:
    """Add the lines of a rule of the segment's own devices."""
    named = rule.to in index.site.segments
    destination = literal(index, rule.to, family) if named else index.addresses(rule.to, family)
    if destination is not None and not destination:
        if index.addresses(rule.to, 10 - family) and index.members(rule.client, 10 - family):
            return []  # the rule is one of the other family
        return [codes.EMPTY_END.at(f"rule {rule.id}: {rule.to} has no IPv{family} address", rule.location)]
    source = None
    findings = []
    if rule.devices:
        only = index.clients(rule, family)
        if not only:
            return []
        if point.kind == "port_acl":
            source = only
        else:
            text = f"rule {rule.id}: the list at {point.id} permits it to all devices of {rule.client}, not only to those it names"
            findings.append(codes.WIDER_DEVICES.at(text, rule.location))
    label, origin = rule_label("rule", rule.id), Origin("rule", rule.id, rule.location)
    for match in index.matches(rule.services, family):
        builder.add(forward_ace(family, match, source, destination, label), origin)
    return findings


def _to_groups(index: SiteIndex, rule: Rule, family: int) -> bool:
    """Return whether a rule names multicast addresses; ``any`` does not mean them alone."""
    addresses = index.addresses(rule.to, family)
    return addresses is not None and addresses.overlaps(GROUPS[family])


def _interfaces(site: Site, point: EnforcementPoint, assignment: Assignment) -> tuple[tuple[str, ...], list[Finding]]:
    """Return the ports of the segment's members on the point's switch, sorted as a person would."""
    named = point.options.get("interfaces")
    if named:
        return tuple(named), []
    ports = _ports_of(site, point, assignment)
    if ports:
        return ports, []
    text = f"no port of {assignment.segment} is known on {point.host}"
    return (), [codes.NO_INTERFACES.at(text, assignment.location)]


def _ports_of(site: Site, point: EnforcementPoint, assignment: Assignment) -> tuple[str, ...]:
    members = site.members.get(assignment.segment, ())
    ports = {m.interface for m in members if m.switch == point.host and m.interface}
    return tuple(sorted(ports, key=_port_key))


def _port_key(name: str) -> tuple[object, ...]:
    head = name.rstrip("0123456789/.:")
    tail = name[len(head) :].replace(".", "/").replace(":", "/")
    return head, tuple(int(part) for part in tail.split("/") if part)


def shared_ports(site: Site, point: EnforcementPoint, lists: Sequence[PointList]) -> list[Finding]:
    """Return an error for each port that two lists want, or that also carries a device of another segment.

    A port ACL is for a port, not for a device: whatever else speaks there is judged by the wrong list.
    """
    findings = []
    wanted: dict[str, str] = {}
    for listing in lists:
        for interface in listing.interfaces if listing.family == 4 else ():
            first = wanted.setdefault(interface, listing.segment)
            if first != listing.segment:
                text = f"{point.host} {interface}: the lists of {first} and of {listing.segment} are both for this port"
                findings.append(codes.PORT_SHARED.at(text, point.location))
    for segment, members in sorted(site.members.items()):
        for member in members:
            owner = wanted.get(member.interface, segment) if member.switch == point.host else segment
            if owner != segment:
                text = f"{point.host} {member.interface}: {member.name or member.device} of {segment} is behind the list of {owner}"
                findings.append(codes.PORT_SHARED.at(text, point.location))
    return findings
