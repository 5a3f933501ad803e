# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the points of a site cannot see, said once for the whole site (facts/devices.md section 6.1, compiler rules 1 and 4)."""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.access import GROUPS
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.index import FAMILIES, SiteIndex
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.layer_two import layer_two_findings
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import (
    ICMP_PROTOCOLS,
    TCP,
    addresses_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.cells import (
    matrices_of,
    own_stages,
    stage_of_cell,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.outline import (
    holders_of,
    outline_of,
    outlines_of,
)

ACCESS = ("dacl", "port_acl")
STATELESS = (*ACCESS, "sgacl", "router_acl")
SHOWN = 5


def blind_findings(index: SiteIndex) -> list[Finding]:
    """Return what no list can do: packets to a device at its own port, answers to groups, ways that are not known."""
    return [
        *_inbound(index.site),
        *_group_answers(index),
        *_open_answers(index),
        *_unknown_paths(index),
        *layer_two_findings(index),
    ]


def _inbound(site: Site) -> list[Finding]:
    """Return the enforced segments that have lists on their ports only."""
    found = []
    for name, assignment in sorted(site.assignments.items()):
        kinds = {site.points[p].kind for p in assignment.points if p in site.points}
        if assignment.stage == "enforce" and kinds and kinds <= set(ACCESS):
            text = f"segment {name}: packets to its devices are not filtered, only their answers are"
            found.append(codes.INBOUND_NOT_SEEN.at(text, assignment.location))
    return found


def _group_answers(index: SiteIndex) -> list[Finding]:
    """Return the rules to multicast or broadcast addresses: nobody is named who would answer."""
    found = []
    single = _broadcasts(index.site)
    groups = {
        name
        for name in index.clients_to.keys() - index.site.segments.keys()
        for family in FAMILIES
        if (addresses := index.addresses(name, family)) is not None
        and (addresses.overlaps(GROUPS[family]) or single & set(addresses.pairs))
    }
    for rule in index.rules_leading(groups):
        assignment = index.site.assignments.get(rule.client)
        if assignment is not None and assignment.stage != "observe":
            text = f"rule {rule.id}: {rule.to} has multicast or broadcast addresses; whoever answers has no reply line for it"
            found.append(codes.GROUP_ANSWERS.at(text, rule.location))
    return found


def _open_answers(index: SiteIndex) -> list[Finding]:
    """Return, for each stateless point that is used, how many rules have answers that any packet can look like (section 6.2)."""
    site = index.site
    stateless = {p for p, point in site.points.items() if point.kind in STATELESS}
    found: dict[str, list[str]] = {}
    at = {
        name: stateless.intersection(a.points) if a.stage == "enforce" else set()
        for name, a in site.assignments.items()
    }
    closed: dict[tuple[str, ...], bool] = {}  # services whose answers are told apart: TCP and ICMP alone
    for services in {item for outline in outlines_of(site) for item in outline.services}:
        closed[services] = all(
            match.protocol in (TCP, *ICMP_PROTOCOLS.values()) for f in FAMILIES for match in index.matches(services, f)
        )
    open_ones = {services for services, is_closed in closed.items() if not is_closed}
    serving_at: dict[str, set[str]] = {}
    own_cells = own_stages(site)
    for client, holder in holders_of(site):
        outline = outline_of(holder)
        if open_ones.isdisjoint(outline.services):
            continue
        asking = at.get(client, set())
        rules: dict[str, list[tuple[int, str]]] = {}
        for to, end in outline.ends.items():
            if open_ones.isdisjoint(end.services):
                continue
            serving = serving_at.get(to)
            if serving is None:
                servers = {to} if to in site.segments else {s for f in FAMILIES for s in index.touched(to, f)}
                serving = serving_at[to] = {point for server in servers for point in at.get(server, ())}
            # A port sees what its server sends; a cell needs both ends; a gateway has answers to its clients, and of its servers.
            with_answers = {p for p in serving if site.points[p].kind != "sgacl" or p in asking}
            with_answers |= {p for p in asking if site.points[p].kind == "router_acl"}
            if own_cells:
                with_answers = {p for p in with_answers if site.points[p].kind != "sgacl"}
                servers = {to} if to in site.segments else {s for f in FAMILIES for s in index.touched(to, f)}
                answering = [
                    (server, client) for server in servers if stage_of_cell(site, (server, client)) == "enforce"
                ]
                with_answers.update(point for pair in answering for point in matrices_of(site, pair))
            own = [(number, name) for number, name, services in end.rules() if services in open_ones]
            for point in with_answers:
                rules.setdefault(point, []).extend(own)
        for point, each in rules.items():
            found.setdefault(point, []).extend(name for _number, name in sorted(each))
    return [
        codes.ANSWERS_OPEN.at(
            f"{point}: {len(rules)} rules have answers of this kind, such as {', '.join(rules[:SHOWN])}",
            site.points[point].location,
        )
        for point, rules in sorted(found.items())
    ]


def _broadcasts(site: Site) -> set[tuple[int, int]]:
    """Return the limited broadcast and the last address of each IPv4 subnet of the zones, as ranges of one."""
    last = [pairs[-1] for z in site.zones.values() for p in z.subnets if (pairs := addresses_of([p], 4).pairs)]
    return {(high, high) for low, high in last if high - low > 1} | {(0xFFFFFFFF, 0xFFFFFFFF)}


def _unknown_paths(index: SiteIndex) -> list[Finding]:
    """Return matrices that do not say how tags travel, and ends that are in no zone and that no point or path tells of."""
    site = index.site
    used = {name for a in site.assignments.values() if a.stage != "observe" for name in a.points}
    found = [
        codes.UNKNOWN_PATH.at(f"point {name} does not say how tags travel (tags: inline, sxp or none)", point.location)
        for name, point in sorted(site.points.items())
        if point.kind == "sgacl" and name in used and "tags" not in point.options
    ]
    if site.paths.get("outside") or any(p.kind == "firewall" for p in site.points.values()):
        return found
    zones = {f: addresses_of((p for z in site.zones.values() for p in z.subnets), f) for f in FAMILIES}
    routed = {route["server"] for route in site.paths.get("routes", ())}
    places: dict[str, list[str]] = {}
    for name in (index.clients_to.keys() & site.networks.keys()) - site.segments.keys() - routed:
        own = ((index.addresses(name, family), family) for family in FAMILIES)
        if any(a and a.subtract(zones[f]).subtract(GROUPS[f]).subtract(IntervalSet.of(0xFFFFFFFF)) for a, f in own):
            places[name] = [rule.id for rule in index.rules_leading([name])]
    for name, rules in sorted(places.items()):
        text = (
            f"network set {name} is in no zone, and nothing says how it is reached (rules {', '.join(rules[:SHOWN])})"
        )
        found.append(codes.UNKNOWN_PATH.at(text, site.networks[name].location))
    return found
