# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists on access ports (DACL and port ACL): stateless, packets from the endpoint only."""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.lines import (
    ListBuilder,
    add_access_bootstrap,
    closing_ace,
    forward_ace,
    reply_ace,
    rule_label,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Origin, PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.naming import owned_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import (
    addresses_of_name,
    ends_of,
    matches_of,
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
    findings: list[Finding] = []
    add_access_bootstrap(builder, point.location)
    for rule in rules_from(site, segment):
        destination = addresses_of_name(site, rule.to, FAMILY)
        if destination is not None and not destination:
            findings.append(codes.EMPTY_END.at(f"rule {rule.id}: {rule.to} has no IPv4 address", rule.location))
            continue
        for _service, match in matches_of(site, rule.services, FAMILY):
            label = rule_label("rule", rule.id)
            builder.add(forward_ace(FAMILY, match, None, destination, label), Origin("rule", rule.id, rule.location))
    for rule in rules_to(site, segment, FAMILY):
        for ends in ends_of(site, rule.client, rule.to):
            if ends.family != FAMILY:
                continue
            for _service, match in matches_of(site, rule.services, FAMILY):
                label = rule_label("reply", rule.id)
                builder.add(reply_ace(FAMILY, match, None, ends.client, label), Origin("reply", rule.id, rule.location))
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
    head = name.rstrip("0123456789/.")
    return head, tuple(int(part) for part in name[len(head) :].replace(".", "/").split("/") if part)
