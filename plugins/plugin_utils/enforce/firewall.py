# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stateful firewall between subnets: one entry for the opener's first packet, replies by connection tracking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    Ends,
    Match,
    dhcp_servers,
    ends_of,
    matches_of,
    member_addresses,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.sides import Sides, sides_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    Assignment,
    EnforcementPoint,
    Rule,
    Site,
)

FAMILIES = (4, 6)
SHOWN = 5


def firewall_list(
    site: Site, point: EnforcementPoint, assignments: Sequence[Assignment]
) -> tuple[PointList, list[Finding]]:
    """Return the forwarding list of a firewall.

    Order: permits of the point's management flows, DHCP, every rule that concerns an assigned segment and whose packets cross the
    point; then for segments at stage ``enforce`` a deny of everything else from them and to them; then a permit for the other
    assigned segments; then the point's default (``permit`` unless its option ``default`` is ``deny`` and a segment is enforced).
    """
    enforced = [a for a in assignments if a.stage == "enforce"]
    default_permit = point.options.get("default", "permit") != "deny" or not enforced
    builder = ListBuilder()
    _add_management(site, point, builder)
    _add_dhcp(site, point, builder)
    findings = _add_rules(site, point, _Concern.of(site, point, assignments, default_permit), builder)
    others = [a for a in assignments if a.stage != "enforce"]
    if not default_permit:
        others += _observed(site, point)
    for permit, group in ((False, enforced), (True, others)):
        for assignment in group:
            _add_segment_default(site, assignment, permit, builder)
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


def _observed(site: Site, point: EnforcementPoint) -> list[Assignment]:
    """Return the observed segments of a point: a default of deny must not cut them before their time."""
    return [a for _name, a in sorted(site.assignments.items()) if point.id in a.points and a.stage == "observe"]


def _add_management(site: Site, point: EnforcementPoint, builder: ListBuilder) -> None:
    for number, flow in enumerate(point.options.get("management", ())):
        label = f"management-{number + 1}"
        for ends in ends_of(site, flow["client"], flow["server"]):
            for _service, match in matches_of(site, flow["services"], ends.family):
                ace = forward_ace(ends.family, match, ends.client, ends.server, label)
                builder.add(ace, Origin("management", location=point.location))


def _add_dhcp(site: Site, point: EnforcementPoint, builder: ListBuilder) -> None:
    """Pass unicast renewals, and what a relay behind the firewall forwards (it may speak from either port; RFC 2131 section 4.1)."""
    servers = dhcp_servers(site)
    if servers:
        match = Match(UDP, DHCP_SERVER, DHCP_SERVER.union(DHCP_CLIENT), None)
        ace = forward_ace(4, match, None, servers, "bootstrap-dhcp")
        builder.add(ace, Origin("bootstrap", location=point.location))


@dataclass(frozen=True)
class _Concern:
    """Which rules belong into a firewall's list."""

    sides: dict[int, Sides]
    segments: frozenset[str]
    addresses: dict[int, IntervalSet]
    everything: bool

    @classmethod
    def of(
        cls, site: Site, point: EnforcementPoint, assignments: Sequence[Assignment], default_permit: bool
    ) -> _Concern:
        names = frozenset(a.segment for a in assignments)
        addresses = {
            family: IntervalSet.of(*(pair for name in names for pair in member_addresses(site, name, family).pairs))
            for family in FAMILIES
        }
        return cls({f: sides_of(site, point, f) for f in FAMILIES}, names, addresses, not default_permit)

    def assigned(self, rule: Rule, ends: Ends) -> bool:
        """Return whether a line for the rule can change what happens: without an assigned end the default passes it anyway."""
        if self.everything or rule.client in self.segments or rule.to in self.segments:
            return True
        assigned = self.addresses[ends.family]
        return bool(assigned) and (ends.server is None or ends.server.overlaps(assigned))

    def crosses(self, ends: Ends) -> bool:
        return self.sides[ends.family].separates(ends.client, ends.server)


def _add_rules(site: Site, point: EnforcementPoint, concern: _Concern, builder: ListBuilder) -> list[Finding]:
    findings: list[Finding] = []
    inside: list[str] = []
    for rule in site.rules():
        all_ends = list(ends_of(site, rule.client, rule.to))
        if not all_ends:
            findings.append(
                codes.EMPTY_END.at(f"rule {rule.id}: {rule.client} or {rule.to} has no address", rule.location)
            )
        wanted = [ends for ends in all_ends if concern.assigned(rule, ends)]
        crossing = [ends for ends in wanted if concern.crosses(ends)]
        if wanted and not crossing:
            inside.append(rule.id)
        for ends in crossing:
            for _service, match in matches_of(site, rule.services, ends.family):
                ace = forward_ace(ends.family, match, ends.client, ends.server, rule_label("rule", rule.id))
                builder.add(ace, Origin("rule", rule.id, rule.location))
    if inside:
        more = f" and {len(inside) - SHOWN} more" if len(inside) > SHOWN else ""
        text = (
            f"{point.id} does not see {len(inside)} rules whose ends share a subnet: {', '.join(inside[:SHOWN])}{more}"
        )
        findings.append(codes.SAME_SUBNET.at(text, point.location))
    return findings


def _add_segment_default(site: Site, assignment: Assignment, permit: bool, builder: ListBuilder) -> None:
    for family in FAMILIES:
        own = member_addresses(site, assignment.segment, family)
        if not own:
            continue
        origin = Origin("default", location=assignment.location)
        builder.add(closing_ace(family, permit, f"default-from-{assignment.segment}", source=own), origin)
        builder.add(closing_ace(family, permit, f"default-to-{assignment.segment}", destination=own), origin)
