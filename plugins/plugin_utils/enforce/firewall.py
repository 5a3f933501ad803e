# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stateful firewall between subnets: one entry for the opener's first packet, replies by connection tracking."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.lines import (
    DHCP_CLIENT,
    DHCP_SERVER,
    UDP,
    ListBuilder,
    closing_ace,
    forward_ace,
    rule_label,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Origin, PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import (
    Match,
    addresses_of_name,
    ends_of,
    matches_of,
    member_addresses,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Assignment, EnforcementPoint, Rule, Site

FAMILIES = (4, 6)


def firewall_list(site: Site, point: EnforcementPoint, assignments: Sequence[Assignment]) -> tuple[PointList, list[Finding]]:
    """Return the forwarding list of a firewall.

    Order: permits of the point's management flows, DHCP renewals, every rule; then for segments at stage ``enforce`` a
    deny of everything else from them and to them; then a permit for the other assigned segments; then the
    point's default (``permit`` unless its option ``default`` is ``deny``).
    """
    builder = ListBuilder()
    findings: list[Finding] = []
    _add_management(site, point, builder)
    _add_dhcp(site, point, builder)
    for rule in site.rules():
        findings.extend(_add_rule(site, rule, builder))
    enforced = [a for a in assignments if a.stage == "enforce"]
    others = [a for a in assignments if a.stage != "enforce"]
    for permit, group in ((False, enforced), (True, others)):
        for assignment in group:
            _add_segment_default(site, assignment, permit, builder)
    default_permit = point.options.get("default", "permit") != "deny"
    for family in FAMILIES:
        builder.add(closing_ace(family, default_permit), Origin("default", location=point.location))
    listing = PointList(
        point=point.id,
        kind="firewall",
        platform=point.platform,
        host=point.host,
        name=str(point.options.get("table", "segwright")),
        stage="enforce" if enforced else "monitor",
        aces=tuple(builder.aces),
        default_permit=default_permit,
        stateful=True,
        origins=builder.origins,
    )
    return listing, findings


def _add_management(site: Site, point: EnforcementPoint, builder: ListBuilder) -> None:
    for number, flow in enumerate(point.options.get("management", ())):
        label = f"management-{number + 1}"
        for ends in ends_of(site, flow["client"], flow["server"]):
            for _service, match in matches_of(site, flow["services"], ends.family):
                ace = forward_ace(ends.family, match, ends.client, ends.server, label)
                builder.add(ace, Origin("management", location=point.location))


def _add_dhcp(site: Site, point: EnforcementPoint, builder: ListBuilder) -> None:
    """Unicast renewals pass the firewall; discovery is relayed by it and is not forwarded traffic."""
    servers = site.defaults.get("bootstrap", {}).get("dhcp_servers", "")
    if not servers:
        return
    destination = addresses_of_name(site, servers, 4)
    if destination:
        match = Match(UDP, DHCP_SERVER, DHCP_CLIENT, None)
        ace = forward_ace(4, match, None, destination, "bootstrap-dhcp")
        builder.add(ace, Origin("bootstrap", location=point.location))


def _add_rule(site: Site, rule: Rule, builder: ListBuilder) -> list[Finding]:
    label = rule_label("rule", rule.id)
    found = False
    for ends in ends_of(site, rule.client, rule.to):
        found = True
        for _service, match in matches_of(site, rule.services, ends.family):
            ace = forward_ace(ends.family, match, ends.client, ends.server, label)
            builder.add(ace, Origin("rule", rule.id, rule.location))
    if found:
        return []
    return [codes.EMPTY_END.at(f"rule {rule.id}: {rule.client} or {rule.to} has no address", rule.location)]


def _add_segment_default(site: Site, assignment: Assignment, permit: bool, builder: ListBuilder) -> None:
    for family in FAMILIES:
        own = member_addresses(site, assignment.segment, family)
        if not own:
            continue
        origin = Origin("default", location=assignment.location)
        builder.add(closing_ace(family, permit, f"default-from-{assignment.segment}", source=own), origin)
        builder.add(closing_ace(family, permit, f"default-to-{assignment.segment}", destination=own), origin)
