# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists as packet sets: what each list sees and what it lets pass.

A stateless list on an access port sees packets from its endpoints; a matrix cell sees packets from the members of its source
to those of its destination; a firewall sees openers between different subnets.
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import addresses_of, member_addresses
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSet, PacketSpace, permitted
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Box, Entry, FirstMatchList
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import EnforcementPoint, Site

WHOLE_PACKETS = IntervalSet.of((0, 0))
FAMILY_PROTOCOLS = {4: IntervalSet.of((0, 255)), 6: IntervalSet.of((256, 511))}


def first_match(listing: PointList) -> FirstMatchList:
    """Return the list as entries numbered by the position of their ACE.

    Stateless lists follow the fragment rule of IOS (facts/devices.md section 6.2); a stateful point judges whole packets.
    """
    entries = tuple(
        Entry(ace.permit, ace.to_boxes(fragments_like_ios=not listing.stateful), ace.label, number)
        for number, ace in enumerate(listing.aces)
    )
    return FirstMatchList(entries, listing.default_permit, listing.name)


def enforces(listing: PointList) -> bool:
    """Return whether the list really stops packets: cells in MONITOR forward what their list denies."""
    return listing.stage == "enforce"


def point_subnets(site: Site, point: EnforcementPoint) -> tuple[str, ...]:
    """Return the prefixes between which a firewall stands: its ``subnets``, or those of its ``zones``, or of all zones."""
    if point.options.get("subnets"):
        return tuple(point.options["subnets"])
    zones = point.options.get("zones") or sorted(site.zones)
    return tuple(prefix for zone in zones for prefix in site.zones[zone].subnets)


def own_addresses(site: Site, point: EnforcementPoint, family: int) -> IntervalSet:
    """Return the firewall's own addresses (option ``addresses``): what it sends or receives itself is not forwarded."""
    return addresses_of(point.options.get("addresses", ()), family)


@dataclass(frozen=True)
class ListSets:
    """A list as sets of one space: the packets it sees and the packets it lets pass."""

    listing: PointList
    sees: PacketSet
    passes: PacketSet


def list_sets(space: PacketSpace, site: Site, listing: PointList) -> ListSets:
    """Return what a list sees and passes, as packet sets."""
    sees = space.from_boxes(_visible_boxes(site, listing))
    passes = permitted(space, first_match(listing)) if enforces(listing) else space.everything
    return ListSets(listing, sees, passes)


def _visible_boxes(site: Site, listing: PointList) -> list[Box]:
    if listing.kind == "firewall":
        return _between_subnets(site, site.points[listing.point])
    boxes = []
    for family, protocols in FAMILY_PROTOCOLS.items():
        source = member_addresses(site, listing.segment, family)
        if not source:
            continue
        box = Box(protocol=protocols, source=source)
        if listing.kind == "sgacl":
            destination = member_addresses(site, listing.peer, family)
            if not destination:
                continue
            box = box.replace(destination=destination)
        boxes.append(box)
    return boxes


def _between_subnets(site: Site, point: EnforcementPoint) -> list[Box]:
    """Return whole packets whose source lies in one of the prefixes and whose destination does not lie in the same.

    A packet from elsewhere to one of the prefixes crosses the firewall too.
    """
    boxes = []
    prefixes = point_subnets(site, point)
    for family, protocols in FAMILY_PROTOCOLS.items():
        own = own_addresses(site, point, family)
        top = IntervalSet.of((0, 2 ** (32 if family == 4 else 128) - 1)).subtract(own)
        rest = top
        for prefix in prefixes:
            inside = addresses_of([prefix], family).subtract(own)
            if not inside:
                continue
            rest = rest.subtract(inside)
            boxes.append(Box(protocol=protocols, fragment=WHOLE_PACKETS, source=inside, destination=top.subtract(inside)))
        for prefix in prefixes:
            inside = addresses_of([prefix], family).subtract(own)
            if inside:
                boxes.append(Box(protocol=protocols, fragment=WHOLE_PACKETS, source=rest, destination=inside))
    return boxes
