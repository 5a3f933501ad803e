# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists as packet sets: what each list sees and what it lets pass.

A stateless list on an access port sees packets of its family from its endpoints; a matrix cell sees IPv4 packets from the members of
its source to those of its destination; a list at a gateway sees packets of its family that leave a subnet or are routed to it; a
firewall sees openers between different subnets. What a list does not see it neither stops nor proves anything about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import addresses_of, member_addresses
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.sides import (
    TOP,
    gateway_addresses,
    groups_of,
    sides_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import (
    PacketSet,
    PacketSpace,
    verdicts,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Box, Entry, FirstMatchList
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import EnforcementPoint, Member, Site

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
    """Return whether the list does what its text says: a cell in MONITOR forwards what its list denies, every other list is literal."""
    return listing.kind != "sgacl" or listing.stage == "enforce"


def filtered_members(site: Site, listing: PointList, surely: bool) -> list[Member]:
    """Return the members of the list's segment whose packets pass through it.

    A DACL and a cell follow the device. A port ACL filters the devices that the membership places at its switch and ports; where
    it names no switch or port for a device, that device is not surely filtered but may be.
    """
    members = list(site.members.get(listing.segment, ()))
    if listing.kind != "port_acl":
        return members
    switches = {listing.host} if surely else {listing.host, ""}
    ports = set(listing.interfaces) if surely else {*listing.interfaces, ""}
    return [member for member in members if member.switch in switches and member.interface in ports]


@dataclass(frozen=True)
class ListSets:
    """A list as sets of one space: the packets it surely sees, those it may see, those it surely lets pass, and may let pass.

    The last two differ only where an entry has a condition that is not modelled.
    """

    listing: PointList
    sees: PacketSet
    may_see: PacketSet
    passes: PacketSet
    may_pass: PacketSet


def list_sets(space: PacketSpace, site: Site, listing: PointList) -> ListSets:
    """Return what a list sees and passes, as packet sets."""
    sees = space.from_boxes(visible(site, listing, surely=True))
    may_see = space.from_boxes(visible(site, listing, surely=False))
    if not enforces(listing):
        return ListSets(listing, sees, may_see, space.everything, space.everything)
    found = verdicts(space, first_match(listing))
    return ListSets(listing, sees, may_see, found.permitted, found.maybe_permitted)


def may_see(space: PacketSpace, site: Site, listing: PointList) -> PacketSet:
    """Return the packets that a list may see."""
    return space.from_boxes(visible(site, listing, surely=False))


def every_list_sets(space: PacketSpace, site: Site, lists: Sequence[PointList]) -> list[ListSets]:
    """Return the sets of every list."""
    return [list_sets(space, site, listing) for listing in lists]


def visible(site: Site, listing: PointList, surely: bool) -> list[Box]:
    """Return the packets that a list ``surely`` sees, or else all that it may see, as boxes."""
    if listing.kind == "firewall":
        return _between_sides(site, site.points[listing.point], surely)
    if listing.kind == "router_acl":
        return _routed(site, listing, surely)
    family = listing.family
    members = filtered_members(site, listing, surely)
    source = addresses_of((text for member in members for text in member.addresses), family)
    if not source:
        return []
    box = Box(protocol=FAMILY_PROTOCOLS[family], source=source)
    if listing.kind == "sgacl":
        destination = member_addresses(site, listing.peer, family)
        return [box.replace(destination=destination)] if destination else []
    return [box]


def _routed(site: Site, listing: PointList, surely: bool) -> list[Box]:
    """Return packets between a subnet and everything else, in the list's direction.

    What the gateway sends itself passes no list of its own; group addresses are delivered on the sender's subnet too, so they are
    not ``surely`` routed.
    """
    subnet, own = gateway_addresses(site, listing)
    rest = TOP[listing.family].subtract(subnet)
    box = Box(protocol=FAMILY_PROTOCOLS[listing.family])
    if listing.direction == "in":
        if surely:
            rest = rest.subtract(groups_of(listing.family))
        return [box.replace(source=subnet, destination=rest)]
    return [box.replace(source=rest.subtract(own), destination=subnet)]


def _between_sides(site: Site, point: EnforcementPoint, surely: bool) -> list[Box]:
    """Return whole packets whose ends lie on two sides of the firewall.

    Multicast is delivered on the sender's side too, so it is not ``surely`` seen.
    """
    boxes = []
    for family, protocols in FAMILY_PROTOCOLS.items():
        sides = sides_of(site, point, family)
        top = TOP[family].subtract(sides.own).subtract(sides.local)
        if surely:
            top = top.subtract(sides.groups)
        box = Box(protocol=protocols, fragment=WHOLE_PACKETS)
        boxes += [box.replace(source=subnet, destination=top.subtract(subnet)) for subnet in sides.subnets if subnet]
        boxes.append(box.replace(source=sides.outside, destination=top.subtract(sides.outside)))
    return [box for box in boxes if not box.is_empty]
