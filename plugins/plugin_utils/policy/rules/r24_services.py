# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SW24xx: services and network sets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.build import is_date
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.effective import permissions, rule_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    ANY,
    Rule,
    Service,
    ServiceMatch,
    Site,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.outline import (
    holders_of,
    outline_of,
    outlines_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ranges import (
    PORT_PROTOCOLS,
    member_ranges,
    overlap,
    ranges_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ruling import Context, rule

ICMP_PROTOCOLS = (1, 58)
NO_SERVICE = {
    0x0800: "is IPv4: give a protocol",
    0x86DD: "is IPv6: give a protocol",
    0x8100: "is the tag of a VLAN",
    0x88A8: "is the tag of a VLAN",
}
MAXIMUM_AGE_DAYS = 30


@rule(codes.PORT_RANGE)
def ports_are_in_range(site: Site, _context: Context) -> Iterator[Finding]:
    """Ports lie from 1 to 65535, and a range begins with its lower port."""
    for service in site.services.values():
        for match in service.matches:
            for low, high in (*match.ports, *match.client_ports):
                if low < 1 or high > 65535 or low > high:
                    shown = str(low) if low == high else f"{low}-{high}"
                    yield codes.PORT_RANGE.at(
                        f"service {service.name}: {shown} is no port or range of ports", service.location
                    )


@rule(codes.SERVICE_FIELDS)
def fields_fit_the_protocol(site: Site, _context: Context) -> Iterator[Finding]:
    """Ports belong to TCP and UDP, types and codes to ICMP; a symmetric service has ports."""
    for service in site.services.values():
        for match in service.matches:
            for problem in _problems(service, match):
                yield codes.SERVICE_FIELDS.at(f"service {service.name}: {problem}", service.location)


def _problems(service: Service, match: ServiceMatch) -> Iterator[str]:
    if match.protocol not in PORT_PROTOCOLS and (match.ports or match.client_ports):
        yield f"protocol {match.protocol} has no ports"
    if match.protocol not in ICMP_PROTOCOLS and match.icmp_type is not None:
        yield f"protocol {match.protocol} has no ICMP type"
    if service.symmetric and not match.ports:
        yield "a symmetric service needs ports"
    if service.symmetric and match.client_ports:
        yield "a symmetric service takes its client ports from its ports"


@rule(codes.BAD_ETHERTYPE)
def ethertypes_are_below_ip(site: Site, _context: Context) -> Iterator[Finding]:
    """An ethertype of a service is one (from 0x0600, IEEE 802.3), and neither IP nor the tag of a VLAN."""
    for service in site.services.values():
        for value in service.ethertypes:
            what = NO_SERVICE.get(value, "is the length of a frame" if value < 0x0600 else "")
            if what:
                text = f"service {service.name}: 0x{value:04X} {what}"
                yield codes.BAD_ETHERTYPE.at(text, service.location)
        if service.symmetric and service.ethertypes and not service.matches:
            text = f"service {service.name}: a symmetric service needs ports"
            yield codes.SERVICE_FIELDS.at(text, service.location)


@rule(codes.FRAMES_TO_ADDRESSES, alone=True)
def frames_lead_to_segments(site: Site, _context: Context) -> Iterator[Finding]:
    """A rule for what is below IP alone leads to a segment: network sets are addresses, and frames have none."""
    for item in permissions(site):
        for name in item.services:
            service = site.services.get(name)
            if service is None or not service.ethertypes or service.matches:
                continue
            if item.to == ANY or item.to in site.networks:
                text = f"rule {item.id}: {name} has no addresses, and {item.to} is nothing else"
                yield codes.FRAMES_TO_ADDRESSES.at(text, item.location)


@rule(codes.EMPTY_NETWORK)
def sets_hold_something(site: Site, _context: Context) -> Iterator[Finding]:
    """A network set has prefixes and a service has a match."""
    for network in site.networks.values():
        if not network.prefixes:
            yield codes.EMPTY_NETWORK.at(f"network set {network.name} holds nothing", network.location)
    for service in site.services.values():
        if not service.matches and not service.ethertypes:
            yield codes.EMPTY_NETWORK.at(f"service {service.name} matches nothing", service.location)


@rule(codes.NETWORK_OF_DEVICES, codes.NETWORK_TO_NETWORK)
def networks_open_to_segments(site: Site, _context: Context) -> Iterator[Finding]:
    """Rules of a network set are for addresses of no device that the lock knows, and lead to segments."""
    opening: dict[str, list[Rule]] = {}
    opens = (rule for network in site.networks.values() for rule in network.allow)
    for item in (*opens, *(rule_of(site, item) for item in site.exceptions)):
        if item.client in site.networks and item.client not in site.segments:
            opening.setdefault(item.client, []).append(item)
    members = {name: member_ranges(site, name) for name in site.segments} if opening else {}
    for name, rules in opening.items():
        network = site.networks[name]
        own = ranges_of(network.prefixes)
        inside = [segment for segment, held in members.items() if overlap(own, held)]
        if inside:
            text = f"network set {name} has rules and holds devices of {', '.join(inside[:3])}"
            yield codes.NETWORK_OF_DEVICES.at(text, network.location)
        for item in rules:
            if item.to == ANY or item.to in site.networks:
                text = f"rule {item.id}: it leads from network set {name} to {item.to}"
                yield codes.NETWORK_TO_NETWORK.at(text, item.location)


@rule(codes.STALE_NAME, codes.BAD_DATE)
def resolved_names_are_fresh(site: Site, context: Context) -> Iterator[Finding]:
    """The addresses of a host name were looked up lately (defaults.names.maximum_age_days), and not on a day to come."""
    longest = site.defaults.get("names", {}).get("maximum_age_days", MAXIMUM_AGE_DAYS)
    for network in site.networks.values():
        for item in network.names:
            if not is_date(item.resolved):
                continue
            age = (context.today - date.fromisoformat(item.resolved)).days
            if age < 0:
                text = f"network set {network.name}: {item.name} was resolved on {item.resolved}, which is to come"
                yield codes.BAD_DATE.at(text, item.location)
            elif age > longest:
                text = f"network set {network.name}: {item.name} was resolved {age} days ago"
                yield codes.STALE_NAME.at(text, item.location)


@rule(codes.UNUSED_SERVICE)
def services_are_used(site: Site, _context: Context) -> Iterator[Finding]:
    """A service that nothing names can go."""
    used = {name for outline in outlines_of(site) for services in outline.services for name in services}
    used |= {name for item in site.exceptions for name in item.services}
    used |= {name for item in site.guardrails for name in item.services}
    used |= {name for flow in _management(site) for name in flow.get("services", ())}
    for service in site.services.values():
        if service.name not in used:
            yield codes.UNUSED_SERVICE.at(f"service {service.name} is used nowhere", service.location)


@rule(codes.UNUSED_NETWORK)
def networks_are_used(site: Site, _context: Context) -> Iterator[Finding]:
    """A network set that nothing names can go."""
    used = {end for item in (*site.guardrails,) for end in (item.client, item.server)}
    used |= {end for item in site.exceptions for end in (item.client, item.to)}
    for client, holder in holders_of(site):
        if ends := outline_of(holder).ends:
            used.add(client)
            used.update(ends.keys())
    used |= {flow.get(end, "") for flow in _management(site) for end in ("client", "server")}
    used |= {site.defaults.get("bootstrap", {}).get("dhcp_servers", ""), site.learning.get("declared_scanners", "")}
    used |= set(site.defaults.get("infrastructure", {}).values())
    for network in site.networks.values():
        if network.name not in used:
            yield codes.UNUSED_NETWORK.at(f"network set {network.name} is used nowhere", network.location)


def _management(site: Site) -> list[dict[str, Any]]:
    return [flow for point in site.points.values() for flow in point.options.get("management", ())]
