# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services without IP (GOOSE, sampled values, PROFINET DCP, PTP over Ethernet): which points do not see them, said and not hidden.

Every list here judges IP packets; frames of another ethertype pass it whatever it says (facts/devices.md section 6.3), and no router
forwards them. So such a service is never cut by a list and never limited by one.
"""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.index import FAMILIES, SiteIndex
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import addresses_of, addresses_of_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import EnforcementPoint, Rule, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.outline import rules_of

_WHY = {
    "dacl": "a DACL holds IP entries only",
    "port_acl": "an IP access list on a port passes other frames",
    "sgacl": "a cell judges IP packets only",
    "router_acl": "frames are not routed",
    "firewall": "frames are not routed",
}


def frames_of(site: Site, services: Iterable[str]) -> list[tuple[str, int]]:
    """Return the named services' ethertypes, each with its service, in the order of the names."""
    return [
        (name, ethertype) for name in services if name in site.services for ethertype in site.services[name].ethertypes
    ]


def framed_services(site: Site) -> frozenset[str]:
    """Return the names of the services that are, in part or whole, below IP."""
    return frozenset(name for name, service in site.services.items() if service.ethertypes)


def only_frames(site: Site, services: Iterable[str]) -> bool:
    """Return whether all that the services say is below IP: then no list has anything to do with them."""
    known = [site.services.get(name) for name in services]
    return bool(known) and all(service is not None and service.ethertypes and not service.matches for service in known)


def share_subnet(site: Site, client: str, server: str) -> bool:
    """Return whether some subnet of the zones holds addresses of both ends: else no frame of one reaches the other.

    An end without known addresses may be anywhere.
    """
    apart = False
    for family in FAMILIES:
        ends = [addresses_of_name(site, name, family) for name in (client, server)]
        if any(end is not None and not end for end in ends):
            continue
        apart = True
        for zone in site.zones.values():
            for prefix in zone.subnets:
                subnet = addresses_of([prefix], family)
                if subnet and all(end is None or end.overlaps(subnet) for end in ends):
                    return True
    return not apart


def text_of(frames: Iterable[tuple[str, int]]) -> str:
    """Return services with their ethertypes, for people."""
    return ", ".join(f"{name} (ethertype 0x{ethertype:04X})" for name, ethertype in frames)


def layer_two_findings(index: SiteIndex) -> list[Finding]:
    """Return for each rule with such a service the points that do not see it, and a warning where its ends share no subnet."""
    site = index.site
    found: list[Finding] = []
    framed = framed_services(site)
    for rule in rules_of(site, lambda o: any(not framed.isdisjoint(each) for each in o.services)) if framed else ():
        frames = [] if framed.isdisjoint(rule.services) else frames_of(site, rule.services)
        if not frames:
            continue
        points = _points(site, rule)
        if points:
            shown = "; ".join(f"{point.id}: {_WHY.get(point.kind, 'it judges IP packets')}" for point in points)
            text = f"rule {rule.id}: {text_of(frames)} passes {shown}. No list limits it to this rule"
            found.append(codes.LAYER_TWO.at(text, rule.location))
        frames = [(name, value) for name, value in frames if not site.services[name].matches]
        if frames and rule.to in site.segments and not share_subnet(site, rule.client, rule.to):
            text = (
                f"rule {rule.id}: {text_of(frames)} does not leave a subnet, and {rule.client} and {rule.to} share none"
            )
            found.append(codes.LAYER_TWO_APART.at(text, rule.location))
    return found


def _points(site: Site, rule: Rule) -> list[EnforcementPoint]:
    """Return the points that filter one of the ends, by name."""
    names = {
        name
        for end in (rule.client, rule.to)
        if end in site.assignments and site.assignments[end].stage != "observe"
        for name in site.assignments[end].points
    }
    return [site.points[name] for name in sorted(names) if name in site.points]
