# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists on access ports (DACL and port ACL): stateless, packets from the endpoint only."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.lines import (
    ListBuilder,
    add_access_bootstrap,
    closing_ace,
    forward_ace,
    reply_aces,
    rule_label,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Origin, PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.naming import owned_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import (
    addresses_of_name,
    dhcp_servers,
    matches_of,
    member_addresses,
    rules_from,
    rules_to,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Assignment, EnforcementPoint, Site

FAMILY = 4


def access_list(site: Site, point: EnforcementPoint, assignment: Assignment) -> tuple[PointList, list[Finding]]:
    """Return the list for one segment at an access point, and what cannot be expressed.

    The source of every line is ``any``: the switch puts the endpoint's address in its place for a DACL
    (facts/ise.md section 3), and a port carries only its own endpoint for a port ACL.
    """
    segment = assignment.segment
    builder = ListBuilder()
    findings = _ipv6_findings(site, point, assignment)
    serves_dhcp = member_addresses(site, segment, FAMILY).overlaps(dhcp_servers(site))
    add_access_bootstrap(builder, point.location, serves_dhcp)
    for rule in rules_from(site, segment):
        destination = addresses_of_name(site, rule.to, FAMILY)
        if destination is not None and not destination:
            findings.append(codes.EMPTY_END.at(f"rule {rule.id}: {rule.to} has no IPv4 address", rule.location))
            continue
        for _service, match in matches_of(site, rule.services, FAMILY):
            label = rule_label("rule", rule.id)
            builder.add(forward_ace(FAMILY, match, None, destination, label), Origin("rule", rule.id, rule.location))
    for rule in rules_to(site, segment, FAMILY):
        clients = member_addresses(site, rule.client, FAMILY)
        if not clients:
            findings.append(codes.EMPTY_END.at(f"rule {rule.id}: {rule.client} has no IPv4 address", rule.location))
            continue
        for _service, match in matches_of(site, rule.services, FAMILY):
            label = rule_label("reply", rule.id)
            for ace in reply_aces(FAMILY, match, None, clients, label):
                builder.add(ace, Origin("reply", rule.id, rule.location))
    permit_rest = assignment.stage != "enforce"
    builder.add(closing_ace(FAMILY, permit_rest), Origin("default", location=assignment.location))
    interfaces: tuple[str, ...] = ()
    if point.kind == "port_acl":
        interfaces, more = _interfaces(site, point, assignment)
        findings.extend(more)
    listing = PointList(
        point=point.id,
        kind=point.kind,
        platform=point.platform,
        host=point.host,
        name=owned_name(segment),
        stage=assignment.stage,
        aces=tuple(builder.aces),
        default_permit=permit_rest,
        stateful=False,
        segment=segment,
        interfaces=interfaces,
        origins=builder.origins,
    )
    return listing, findings


def _ipv6_findings(site: Site, point: EnforcementPoint, assignment: Assignment) -> list[Finding]:
    if not member_addresses(site, assignment.segment, 6):
        return []
    text = f"segment {assignment.segment} has IPv6 addresses, and the list at {point.id} filters IPv4 only"
    return [codes.IPV6_NOT_FILTERED.at(text, assignment.location)]


def _interfaces(site: Site, point: EnforcementPoint, assignment: Assignment) -> tuple[tuple[str, ...], list[Finding]]:
    """Return the ports of the segment's members on the point's switch, sorted as a person would."""
    named = point.options.get("interfaces")
    if named:
        return tuple(named), []
    ports = {m.interface for m in site.members.get(assignment.segment, ()) if m.switch == point.host and m.interface}
    if ports:
        return tuple(sorted(ports, key=_port_key)), []
    text = f"no port of {assignment.segment} is known on {point.host}"
    return (), [codes.NO_INTERFACES.at(text, assignment.location)]


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
        for interface in listing.interfaces:
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
