# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sides of a firewall: the subnets between which it stands, and so which packets it sees.

Each subnet is a side, and everything else together is one more. A packet crosses the firewall when its ends lie on two sides;
inside one side neighbours reach each other over their switch alone. Where subnets overlap, the most specific one counts.
What ``paths.routes`` and ``paths.outside`` of enforcement.yml say about a firewall wins over its subnets, as in ``paths.py``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import (
    addresses_of,
    addresses_of_name,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import EnforcementPoint, Site

OUTSIDE = -1
TOP = {4: IntervalSet.of((0, 2**32 - 1)), 6: IntervalSet.of((0, 2**128 - 1))}
# Never forwarded: this network, loopback, link-local, limited broadcast (RFC 1122, RFC 3927, RFC 4291 section 2.5.6).
_LOCAL = {
    4: ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/24", "255.255.255.255/32"),
    6: ("::/127", "fe80::/10", "ff01::/16", "ff02::/16"),
}
# Delivered on the sender's own subnet whatever a firewall says.
_GROUPS = {4: ("224.0.0.0/4",), 6: ("ff00::/8",)}


def point_subnets(site: Site, point: EnforcementPoint) -> tuple[str, ...]:
    """Return the prefixes between which a firewall stands: its ``subnets``, or those of its ``zones``, or of all zones."""
    if point.options.get("subnets"):
        return tuple(point.options["subnets"])
    zones = point.options.get("zones") or sorted(site.zones)
    return tuple(prefix for zone in zones for prefix in site.zones[zone].subnets)


def own_addresses(point: EnforcementPoint, family: int) -> IntervalSet:
    """Return the firewall's own addresses (option ``addresses``): what it sends or receives itself is not forwarded."""
    return addresses_of(point.options.get("addresses", ()), family)


def groups_of(family: int) -> IntervalSet:
    """Return the multicast addresses of a family, and the limited broadcast."""
    broadcast = IntervalSet.of(0xFFFFFFFF) if family == 4 else IntervalSet()
    return addresses_of(_GROUPS[family], family).union(broadcast)


def gateway_addresses(site: Site, listing: PointList) -> tuple[IntervalSet, IntervalSet]:
    """Return the subnets behind the interface of a router ACL's list, and the router's own addresses, in the list's family."""
    point = site.points[listing.point]
    for gateway in point.options.get("gateways", ()):
        if gateway["interface"] in listing.interfaces:
            return addresses_of(gateway["subnets"], listing.family), own_addresses(point, listing.family)
    return IntervalSet(), IntervalSet()


@dataclass(frozen=True)
class Way:
    """What ``paths.routes`` says of a point for openers between two ends (None: any address): whether they cross it."""

    client: IntervalSet | None
    server: IntervalSet | None
    crosses: bool

    def fits(self, client: int, server: int) -> bool:
        """Return whether the way is that of an opener between two addresses."""
        return (self.client is None or self.client.contains(client)) and (
            self.server is None or self.server.contains(server)
        )

    def overlaps(self, client: IntervalSet | None, server: IntervalSet | None) -> bool:
        """Return whether the way is that of some opener between two ends."""
        return all(
            one is None or other is None or one.overlaps(other)
            for one, other in ((self.client, client), (self.server, server))
        )


def ways_of(site: Site, point: EnforcementPoint, family: int) -> tuple[Way, ...]:
    """Return what ``paths.routes`` says about a point in one family, in its order: the first that fits counts."""
    found = []
    for route in site.paths.get("routes", ()):
        client, server = (addresses_of_name(site, route[end], family) for end in ("client", "server"))
        if (client is None or client) and (server is None or server):
            found.append(Way(client, server, point.id in route["points"]))
    return tuple(found)


def inside_of(site: Site, point: EnforcementPoint, family: int) -> IntervalSet | None:
    """Return the addresses of all zones where ``paths.outside`` names the point, else None."""
    if point.id not in site.paths.get("outside", ()):
        return None
    return addresses_of((prefix for zone in site.zones.values() for prefix in zone.subnets), family)


@dataclass(frozen=True)
class Sides:
    """The sides of one firewall in one family. ``subnets`` are disjoint; ``own`` and ``local`` addresses are on no side.

    ``ways``: what is said of openers by name. ``inside``: whoever leaves these addresses, or comes into them, crosses the firewall.
    """

    subnets: tuple[IntervalSet, ...]
    outside: IntervalSet
    own: IntervalSet
    local: IntervalSet
    groups: IntervalSet
    _starts: tuple[int, ...]
    _ends: tuple[tuple[int, int], ...]
    ways: tuple[Way, ...] = ()
    inside: IntervalSet | None = None

    def side_of(self, address: int) -> int | None:
        """Return the number of the subnet that holds the address, OUTSIDE (-1), or None for an address that is on no side."""
        if self.own.contains(address) or self.local.contains(address):
            return None
        place = bisect_right(self._starts, address) - 1
        if place >= 0 and address <= self._ends[place][0]:
            return self._ends[place][1]
        return OUTSIDE

    def crosses(self, source: int, destination: int, groups_too: bool = False) -> bool:
        """Return whether a packet is forwarded by this firewall.

        Multicast is delivered on the sender's subnet too, and counts as crossing only with ``groups_too``.
        """
        if not groups_too and self.groups.contains(destination):
            return False
        first, second = self.side_of(source), self.side_of(destination)
        if first is None or second is None:
            return False
        for way in self.ways:
            if way.fits(source, destination):
                return way.crosses
        return first != second or (
            self.inside is not None and self.inside.contains(source) != self.inside.contains(destination)
        )

    def of(self, addresses: IntervalSet | None) -> set[int]:
        """Return the sides that hold some of the addresses (None: any address)."""
        if addresses is None:
            return {OUTSIDE, *range(len(self.subnets))}
        found: set[int] = set()
        for low, high in addresses.subtract(self.own).subtract(self.local).pairs:
            found |= set(self._touched(low, high))
        return found

    def _touched(self, low: int, high: int) -> Iterator[int]:
        place = max(bisect_right(self._starts, low) - 1, 0)
        at = low
        while place < len(self._starts) and self._starts[place] <= high:
            end, number = self._ends[place]
            if end >= at:
                if self._starts[place] > at:
                    yield OUTSIDE
                yield number
                at = end + 1
            place += 1
        if at <= high:
            yield OUTSIDE

    def separates(self, client: IntervalSet | None, server: IntervalSet | None) -> bool:
        """Return whether some packet from the one to the other addresses crosses the firewall."""
        first, second = self.of(client), self.of(server)
        return bool(first and second) and (not (len(first) == 1 and first == second) or self.named(client, server))

    def named(self, client: IntervalSet | None, server: IntervalSet | None) -> bool:
        """Return whether a way, or what lies outside all zones, leads some opener across the firewall, whatever its sides are."""
        if any(way.crosses and way.overlaps(client, server) for way in self.ways):
            return True
        if self.inside is None:
            return False
        within = [side is None or side.overlaps(self.inside) for side in (client, server)]
        beyond = [side is None or bool(side.subtract(self.inside)) for side in (client, server)]
        return (within[0] and beyond[1]) or (beyond[0] and within[1])


def sides_of(site: Site, point: EnforcementPoint, family: int) -> Sides:
    """Return the sides of a firewall in one family (4 or 6)."""
    local = addresses_of(_LOCAL[family], family)
    own = own_addresses(point, family)
    unsided = own.union(local)
    prefixes = {addresses_of([text], family).pairs for text in point_subnets(site, point)} - {()}
    taken = IntervalSet()
    subnets = []
    for pairs in sorted(prefixes, key=lambda p: (p[0][1] - p[0][0], p)):
        whole = IntervalSet(pairs)
        subnet = whole.subtract(taken) if taken.overlaps(whole) else whole
        taken = taken.union(whole)
        if subnet:
            subnets.append(subnet)
    pieces = sorted((low, high, number) for number, subnet in enumerate(subnets) for low, high in subnet.pairs)
    return Sides(
        tuple(subnet.subtract(unsided) for subnet in subnets),
        TOP[family].subtract(taken).subtract(unsided),
        own,
        local,
        addresses_of(_GROUPS[family], family),
        tuple(low for low, _high, _number in pieces),
        tuple((high, number) for _low, high, number in pieces),
        ways_of(site, point, family),
        inside_of(site, point, family),
    )
