# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compile a site: what each enforcement point must hold, and the objects of each target."""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, sorted_findings
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.access import kept_access_lists, shared_ports
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.blind import blind_findings
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.budget import budget_findings
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import ListCache
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.desired import desired_targets
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.firewall import kept_firewall_list
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.gateway import gateway_lists
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.hardware import hardware_findings
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.index import SiteIndex
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.literals import extra_traffic, host_line_cost
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.matrix import matrix_lists
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.measured import (
    Measured,
    capacity_findings,
    capacity_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Compiled, PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.cells import own_stages
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.effective import effective_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    NORMAL,
    Assignment,
    EnforcementPoint,
    Site,
    Situation,
)


def compile_site(
    site: Site,
    situation: Situation = NORMAL,
    cache: ListCache | None = None,
    measured: Mapping[str, Measured] | None = None,
) -> Compiled:
    """Return the lists and desired objects of every enforcement point of a valid site, in a situation (default: normal operation).

    Segments at stage ``observe`` get no list. The result depends on site and situation alone: the same documents and membership
    give the same text, byte for byte. A posture may move devices and change stages: who asks about the lists asks with
    ``policy.effective.effective_site(site, situation)``.

    With a ``cache`` lists whose inputs it knows are made when someone looks at their lines, and ``prove_rendering`` does not prove them
    again; who gave it saves it after the proof. ``measured`` has what switches say of their own hardware, by name: those are held against
    that, the others against the platform limits of enforcement.yml. It changes findings and ``capacity``, never a list.
    """
    index, lists, findings = _lists_of(effective_site(site, situation), cache)
    findings.extend(blind_findings(index))
    findings.extend(extra_traffic(index))
    findings.extend(host_line_cost(index))
    findings.extend(budget_findings(index.site, lists))
    by_switch = measured or {}
    rows = [row for _host, each in sorted(by_switch.items()) for row in capacity_of(index.site, each, lists)]
    findings.extend(capacity_findings(index.site, rows))
    findings.extend(hardware_findings(index.site, lists, {host: each.kinds() for host, each in by_switch.items()}))
    targets, found = desired_targets(index.site, lists)
    findings.extend(found)
    return Compiled(tuple(lists), targets, tuple(sorted_findings(findings)), tuple(rows))


def compile_lists(site: Site, cache: ListCache | None = None) -> tuple[PointList, ...]:
    """Return the lists of ``compile_site`` for a site that is in force as it is, without findings and objects: for proofs."""
    return tuple(_lists_of(effective_site(site), cache)[1])


def _lists_of(site: Site, cache: ListCache | None) -> tuple[SiteIndex, list[PointList], list[Finding]]:
    index = SiteIndex(site, cache)
    site.__dict__["_index"] = index  # for the keys of proofs about the same site
    lists: list[PointList] = []
    findings: list[Finding] = []
    for point_id in sorted(site.points):
        made, found = point_lists(index, site.points[point_id])
        lists.extend(made)
        findings.extend(found)
    return index, lists, findings


def assignments_of(site: Site, point: EnforcementPoint) -> list[Assignment]:
    """Return the assignments that name the point and write something, by segment name."""
    return [a for _name, a in sorted(site.assignments.items()) if point.id in a.points and a.stage != "observe"]


def point_lists(index: SiteIndex, point: EnforcementPoint) -> tuple[list[PointList], list[Finding]]:
    """Return the lists of one enforcement point; none where no segment is assigned to it."""
    assignments = assignments_of(index.site, point)
    if not assignments:
        return [], []
    if point.kind == "firewall":
        listing, findings = kept_firewall_list(index, point, assignments)
        return [listing], findings
    if point.kind == "sgacl":
        return matrix_lists(index, point, assignments, own_stages(index.site))
    if point.kind == "router_acl":
        return gateway_lists(index, point, assignments)
    if point.kind in ("dacl", "port_acl"):
        made = [kept_access_lists(index, point, assignment) for assignment in assignments]
        lists = [listing for found, _findings in made for listing in found]
        return lists, [f for _lists, found in made for f in found] + shared_ports(index.site, point, lists)
    return [], [codes.UNSUPPORTED_POINT.at(f"point {point.id}: kind {point.kind!r}", point.location)]
