# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TrustSec egress matrix: one stateless, address-free list per cell, with its reply lines in the reverse cell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.lines import (
    ListBuilder,
    add_icmp_errors,
    closing_ace,
    forward_ace,
    reply_aces,
    rule_label,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Origin, PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.naming import owned_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import (
    addresses_of_name,
    leads_to,
    matches_of,
    member_addresses,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    STAGES,
    Assignment,
    EnforcementPoint,
    Rule,
    Site,
)

FAMILY = 4
SHOWN = 5
# Entries for policies and cells of a UADP 2.0 switch, each ASIC (facts/devices.md section 4.1).
POLICIES_PER_ASIC = 256
CELLS_PER_ASIC = 8192


def matrix_lists(
    site: Site, point: EnforcementPoint, assignments: Sequence[Assignment]
) -> tuple[list[PointList], list[Finding]]:
    """Return one list per ordered pair of the assigned segments, its own cell included.

    A cell takes the weaker stage of its two segments, and always ends in an explicit line, because a packet that
    matches nothing may be permitted (facts/ise.md section 4). Default deny is built per segment in this way and never
    by the ANY-ANY cell. The number of cells is the square of the number of segments.
    """
    by_name = {assignment.segment: assignment for assignment in assignments}
    rules, findings = _rules_by_cell(site, point, sorted(by_name))
    for name, assignment in sorted(by_name.items()):
        if member_addresses(site, name, 6):
            text = f"segment {name} has IPv6 addresses, and the cells of {point.id} filter IPv4 only"
            findings.append(codes.IPV6_NOT_FILTERED.at(text, assignment.location))
    lists: list[PointList] = []
    for source in sorted(by_name):
        for destination in sorted(by_name):
            stage = min(by_name[source].stage, by_name[destination].stage, key=STAGES.index)
            lists.append(_cell(site, point, (source, destination), rules, stage))
    return lists, findings + _size_findings(point, lists)


def _rules_by_cell(
    site: Site, point: EnforcementPoint, names: Sequence[str]
) -> tuple[dict[tuple[str, str], list[Rule]], list[Finding]]:
    """Return the rules of each (client, server) pair.

    A rule to a network set belongs to every segment that has devices in it. A cell has no addresses, so it permits the rule for
    all devices of that segment; cutting the rule's own devices would be worse, and a finding says so.
    """
    found: dict[tuple[str, str], list[Rule]] = defaultdict(list)
    findings: list[Finding] = []
    for client in names:
        for rule in site.segments[client].allow:
            wider = []
            for server in [rule.to] if rule.to in site.segments else names:
                if server not in names or not leads_to(site, rule, server, FAMILY):
                    continue
                found[client, server].append(rule)
                target = None if rule.to in site.segments else addresses_of_name(site, rule.to, FAMILY)
                if target is not None and not target.covers(member_addresses(site, server, FAMILY)):
                    wider.append(server)
            if wider:
                shown = ", ".join(wider[:SHOWN]) + (f" and {len(wider) - SHOWN} more" if len(wider) > SHOWN else "")
                text = f"rule {rule.id}: cells at {point.id} permit it to devices of {shown} that are not in {rule.to}"
                findings.append(codes.CELL_WIDER.at(text, rule.location))
    return found, findings


def _size_findings(point: EnforcementPoint, lists: Sequence[PointList]) -> list[Finding]:
    """Return a warning where a switch that serves all the groups could not hold the matrix; cells that only deny share one policy."""
    closed = sum(1 for listing in lists if len(listing.aces) == 1)
    policies = len(lists) - closed + min(closed, 1)
    findings = []
    for used, limit, what in ((policies, POLICIES_PER_ASIC, "policies"), (len(lists), CELLS_PER_ASIC, "cells")):
        if used > limit:
            text = f"the matrix at {point.id} has {used} {what}; a switch that serves all its groups holds {limit} on one ASIC"
            findings.append(codes.MATRIX_TOO_LARGE.at(text, point.location))
    return findings


def _cell(
    site: Site, point: EnforcementPoint, pair: tuple[str, str], rules: dict[tuple[str, str], list[Rule]], stage: str
) -> PointList:
    source, destination = pair
    builder = ListBuilder()
    for rule in rules.get((source, destination), ()):
        for _service, match in matches_of(site, rule.services, FAMILY):
            ace = forward_ace(FAMILY, match, None, None, rule_label("rule", rule.id))
            builder.add(ace, Origin("rule", rule.id, rule.location))
    for rule in rules.get((destination, source), ()):
        for _service, match in matches_of(site, rule.services, FAMILY):
            for ace in reply_aces(FAMILY, match, None, None, rule_label("reply", rule.id)):
                builder.add(ace, Origin("reply", rule.id, rule.location))
    if (source, destination) in rules or (destination, source) in rules:
        add_icmp_errors(builder, point.location)
    # A MONITOR cell forwards whatever its list says; the list itself is the one that will be enforced.
    builder.add(closing_ace(FAMILY, permit=False), Origin("default", location=point.location))
    return PointList(
        point=point.id,
        kind="sgacl",
        platform=point.platform,
        host=point.host,
        name=owned_name(source, destination),
        stage=stage,
        aces=tuple(builder.aces),
        default_permit=False,
        stateful=False,
        segment=source,
        peer=destination,
        origins=builder.origins,
    )
