# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SW21xx: site, zones and conduits."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.codes import UNSAFE_NAME
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import ACL_NAME, IDENTIFIER, name_finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.effective import permissions
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import ANY, Rule, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.outline import holders_of, outline_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ranges import overlap, ranges_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ruling import Context, rule

RESERVED_ZONES = (ANY, "evidence", "expectations", "rules", "zone")


@rule(UNSAFE_NAME)
def names_of_the_site(site: Site, _context: Context) -> Iterator[Finding]:
    """Names of the site, its zones, conduits, services and network sets are legal on every platform."""
    named = [(site.name, ACL_NAME, "site", site.location)]
    named += [(name, IDENTIFIER, "zone", zone.location) for name, zone in site.zones.items()]
    named += [(name, IDENTIFIER, "network set", item.location) for name, item in site.networks.items()]
    named += [(name, ACL_NAME, "service", item.location) for name, item in site.services.items()]
    named += [(item.id, ACL_NAME, "conduit", item.location) for item in site.conduits]
    for name, pattern, what, place in named:
        finding = name_finding(name, pattern, what, place)
        if finding:
            yield finding


@rule(codes.AMBIGUOUS_NAME)
def zones_with_reserved_names(site: Site, _context: Context) -> Iterator[Finding]:
    """A zone is not called like a directory that has another meaning."""
    for name, zone in site.zones.items():
        if name in RESERVED_ZONES:
            yield codes.AMBIGUOUS_NAME.at(f"zone {name}: the name is reserved", zone.location)


@rule(codes.ZONE_OVERLAP)
def zones_share_no_address(site: Site, _context: Context) -> Iterator[Finding]:
    """No two zones share an address, so that every address has one security level."""
    spans = sorted((*span, name) for name, zone in site.zones.items() for span in ranges_of(zone.subnets))
    reported = set()
    for position, (family, _low, high, name) in enumerate(spans):
        for other_family, other_low, _other_high, other in spans[position + 1 :]:
            if other_family != family or other_low > high:
                break
            pair = tuple(sorted((name, other)))
            if other != name and pair not in reported:
                reported.add(pair)
                yield codes.ZONE_OVERLAP.at(
                    f"zones {pair[0]} and {pair[1]} share addresses", site.zones[pair[1]].location
                )


@rule(codes.UNKNOWN_ZONE)
def zones_are_defined(site: Site, _context: Context) -> Iterator[Finding]:
    """Every zone that a conduit or a segment names is defined in site.yml."""
    for conduit in site.conduits:
        for end in (conduit.client, conduit.server):
            if end not in site.zones:
                yield codes.UNKNOWN_ZONE.at(f"conduit {conduit.id}: zone {end} is not defined", conduit.location)
    for segment in site.segments.values():
        if segment.zone not in site.zones:
            yield codes.UNKNOWN_ZONE.at(f"segment {segment.name}: zone {segment.zone} is not defined", segment.location)


@rule(codes.DUPLICATE_CONDUIT)
def conduits_stand_once(site: Site, _context: Context) -> Iterator[Finding]:
    """A conduit's id and its pair of zones stand once."""
    ids: set[str] = set()
    pairs: set[tuple[str, str]] = set()
    for conduit in site.conduits:
        if conduit.id in ids:
            yield codes.DUPLICATE_CONDUIT.at(f"conduit {conduit.id} stands twice", conduit.location)
        elif (conduit.client, conduit.server) in pairs:
            text = f"conduit {conduit.id}: {conduit.client} to {conduit.server} has a conduit already"
            yield codes.DUPLICATE_CONDUIT.at(text, conduit.location)
        if conduit.client == conduit.server:
            text = f"conduit {conduit.id} joins zone {conduit.client} with itself; inside a zone none is needed"
            yield codes.DUPLICATE_CONDUIT.at(text, conduit.location)
        ids.add(conduit.id)
        pairs.add((conduit.client, conduit.server))


@rule(codes.UNKNOWN_INFRASTRUCTURE)
def defaults_are_defined(site: Site, _context: Context) -> Iterator[Finding]:
    """The defaults of site.yml name network sets and segments that exist."""
    servers = site.defaults.get("bootstrap", {}).get("dhcp_servers", "")
    if servers and servers not in site.networks:
        text = f"defaults.bootstrap.dhcp_servers: network set {servers} is not defined"
        yield codes.UNKNOWN_INFRASTRUCTURE.at(text, site.defaults_location)
    for key, name in sorted(site.defaults.get("infrastructure", {}).items()):
        if name not in site.segments and name not in site.networks:
            text = f"defaults.infrastructure.{key}: {name} is no segment and no network set"
            yield codes.UNKNOWN_INFRASTRUCTURE.at(text, site.defaults_location)
    scanners = site.learning.get("declared_scanners", "")
    if scanners and scanners not in site.networks:
        text = f"learning.declared_scanners: network set {scanners} is not defined"
        yield codes.UNKNOWN_INFRASTRUCTURE.at(text, site.location)


class _Crossings:
    """Which zones rules cross; the zones of a network set are looked for once."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.spans = [(name, ranges_of(zone.subnets)) for name, zone in site.zones.items()]
        self.known: dict[str, list[str]] = {}

    def of(self, item: Rule) -> list[tuple[str, str]]:
        """Return the pairs of different zones, client's and server's, that a rule crosses."""
        return self.between(item.client, item.to)

    def between(self, asking: str, to: str) -> list[tuple[str, str]]:
        """Return the pairs of different zones that whatever leads from a client to a name crosses."""
        site = self.site
        client = site.segments[asking].zone if asking in site.segments else ""
        if asking in site.networks:
            if to not in site.segments:
                return []  # SW2410 refuses it
            server = site.segments[to].zone
            return [(zone, server) for zone in self._network(asking) if zone != server]
        if to in site.segments:
            server = site.segments[to].zone
            return [(client, server)] if server != client else []
        return [(client, server) for server in self._network(to) if server != client]

    def _network(self, name: str) -> list[str]:
        if name not in self.known:
            network = self.site.networks.get(name)
            target = ranges_of(network.prefixes) if network else []
            self.known[name] = [zone for zone, spans in self.spans if overlap(target, spans)]
        return self.known[name]


@rule(codes.NO_CONDUIT, alone=True)
def rules_follow_conduits(site: Site, _context: Context) -> Iterator[Finding]:
    """A rule between two zones needs a conduit in the direction of the opener (IEC 62443-3-2)."""
    conduits = {(conduit.client, conduit.server) for conduit in site.conduits}
    crossings = _Crossings(site)
    for item in permissions(site):
        for client, server in crossings.of(item):
            if (client, server) not in conduits:
                text = f"rule {item.id}: no conduit from zone {client} to zone {server}"
                yield codes.NO_CONDUIT.at(text, item.location)


@rule(codes.UNUSED_CONDUIT)
def conduits_are_used(site: Site, _context: Context) -> Iterator[Finding]:
    """A conduit that no rule uses is a path that nobody asked for."""
    crossings = _Crossings(site)
    asking: dict[str, str] = {}  # zone to one segment of it: whoever is in a zone crosses the same borders
    ends: dict[str, set[str]] = {}
    for client, holder in holders_of(site):
        first = asking.setdefault(site.segments[client].zone, client) if client in site.segments else client
        ends.setdefault(first, set()).update(outline_of(holder).ends)
    for item in site.exceptions:
        ends.setdefault(item.client, set()).add(item.to)
    used: set[tuple[str, str]] = set()
    zones = {name: segment.zone for name, segment in site.segments.items()}
    for client, names in ends.items():
        if client in zones:  # to segments it is a matter of names alone, and they are most
            used.update([(zones[client], zones[to]) for to in names if to in zones and zones[to] != zones[client]])
            names = names - zones.keys()
        used.update(pair for to in names for pair in crossings.between(client, to))
    for conduit in site.conduits:
        if (conduit.client, conduit.server) not in used:
            yield codes.UNUSED_CONDUIT.at(f"conduit {conduit.id} is used by no rule", conduit.location)


@rule(codes.CONDUIT_LEVEL)
def conduits_are_as_strong_as_their_server_zone(site: Site, _context: Context) -> Iterator[Finding]:
    """A conduit that states a security level target states at least that of the zone into which it leads (IEC 62443-3-2)."""
    for conduit in site.conduits:
        zone = site.zones.get(conduit.server)
        if zone and 0 < conduit.security_level_target < zone.security_level:
            text = (
                f"conduit {conduit.id} has SL-T {conduit.security_level_target}, "
                f"zone {zone.name} has {zone.security_level}"
            )
            yield codes.CONDUIT_LEVEL.at(text, conduit.location)
