# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TrustSec egress matrix: one stateless, address-free list per cell, with its reply lines in the reverse cell."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.lines import (
    ListBuilder,
    closing_ace,
    forward_ace,
    reply_ace,
    rule_label,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Origin, PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.naming import owned_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import matches_of, rules_from
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import STAGES, Assignment, EnforcementPoint, Site

FAMILY = 4


def matrix_lists(site: Site, point: EnforcementPoint, assignments: Sequence[Assignment]) -> tuple[list[PointList], list[Finding]]:
    """Return one list per ordered pair of the assigned segments, its own cell included.

    A cell takes the weaker stage of its two segments, and always ends in an explicit line, because a packet that
    matches nothing may be permitted (facts/ise.md section 4). Default deny is built per segment in this way and never
    by the ANY-ANY cell.
    """
    lists: list[PointList] = []
    findings: list[Finding] = []
    by_name = {assignment.segment: assignment for assignment in assignments}
    for source in sorted(by_name):
        for destination in sorted(by_name):
            stage = min(by_name[source].stage, by_name[destination].stage, key=STAGES.index)
            lists.append(_cell(site, point, source, destination, stage))
    for assignment in assignments:
        for rule in rules_from(site, assignment.segment):
            if rule.to not in site.segments and rule.to != "any":
                text = f"rule {rule.id}: {rule.to} is a network, and a cell has no addresses"
                findings.append(codes.NOT_EXPRESSIBLE.at(text, rule.location))
    return lists, findings


def _cell(site: Site, point: EnforcementPoint, source: str, destination: str, stage: str) -> PointList:
    builder = ListBuilder()
    for rule in rules_from(site, source):
        if rule.to == destination:
            for _service, match in matches_of(site, rule.services, FAMILY):
                label = rule_label("rule", rule.id)
                builder.add(forward_ace(FAMILY, match, None, None, label), Origin("rule", rule.id, rule.location))
    for rule in rules_from(site, destination):
        if rule.to == source:
            for _service, match in matches_of(site, rule.services, FAMILY):
                label = rule_label("reply", rule.id)
                builder.add(reply_ace(FAMILY, match, None, None, label), Origin("reply", rule.id, rule.location))
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
