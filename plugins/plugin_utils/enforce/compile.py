# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compile a site: what each enforcement point must hold, and the objects of each target."""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, sorted_findings
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.access import access_list, shared_ports
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.budget import budget_findings
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.desired import desired_targets
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.firewall import firewall_list
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.matrix import matrix_lists
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Compiled, PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Assignment, EnforcementPoint, Site


def compile_site(site: Site) -> Compiled:
    """Return the lists and desired objects of every enforcement point of a valid site.

    Segments at stage ``observe`` get no list. The result depends on the site alone: the same documents and membership
    give the same text, byte for byte.
    """
    lists: list[PointList] = []
    findings: list[Finding] = []
    for point_id in sorted(site.points):
        made, found = point_lists(site, site.points[point_id])
        lists.extend(made)
        findings.extend(found)
    findings.extend(budget_findings(site, lists))
    targets, found = desired_targets(site, lists)
    findings.extend(found)
    return Compiled(tuple(lists), targets, tuple(sorted_findings(findings)))


def assignments_of(site: Site, point: EnforcementPoint) -> list[Assignment]:
    """Return the assignments that name the point and write something, by segment name."""
    return [a for _name, a in sorted(site.assignments.items()) if point.id in a.points and a.stage != "observe"]


def point_lists(site: Site, point: EnforcementPoint) -> tuple[list[PointList], list[Finding]]:
    """Return the lists of one enforcement point; none where no segment is assigned to it."""
    assignments = assignments_of(site, point)
    if not assignments:
        return [], []
    if point.kind == "firewall":
        listing, findings = firewall_list(site, point, assignments)
        return [listing], findings
    if point.kind == "sgacl":
        return matrix_lists(site, point, assignments)
    if point.kind in ("dacl", "port_acl"):
        made = [access_list(site, point, assignment) for assignment in assignments]
        lists = [listing for listing, _found in made]
        return lists, [f for _listing, found in made for f in found] + shared_ports(site, point, lists)
    return [], [codes.UNSUPPORTED_POINT.at(f"point {point.id}: kind {point.kind!r}", point.location)]
