# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists as packet sets: what each list sees and what it lets pass.

A stateless list on an access port sees packets of its family from its endpoints; a matrix cell sees IPv4 packets from the members of
its source to those of its destination; a list at a gateway sees packets of its family that leave a subnet or are routed to it; a
firewall sees openers between different subnets. What a list does not see it neither stops nor proves anything about.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import addresses_of, member_addresses
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.sides import (
    TOP,
    Way,
    gateway_addresses,
    groups_of,
    sides_of,
    ways_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import (
    PacketSet,
    PacketSpace,
    verdicts,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Box, Entry, FirstMatchList
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    EnforcementPoint,
    Member,
    Site,
    kept_of_members,
)

WHOLE_PACKETS = IntervalSet.of((0, 0))
Pair = tuple[IntervalSet, IntervalSet]
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


_ICMP = IntervalSet.of(1, 256 + 58)


def judges_icmp_answers(listing: PointList) -> bool:
    """Return whether a firewall judges answers to ICMP line by line: an ASA does not track ICMP unless it inspects it."""
    return listing.stateful and listing.platform == "asa"


def judged_answers(listing: PointList, answers: Iterable[Box]) -> list[Box]:
    """Return the answers that a list judges line by line: all for a stateless one, those of ICMP for an ASA; of other firewalls none."""
    if not listing.stateful:
        return list(answers)
    return [box for box in answers if box.protocol.overlaps(_ICMP)] if judges_icmp_answers(listing) else []


def filtered_members(site: Site, listing: PointList, surely: bool) -> list[Member]:
    """Return the members of the list's segment whose packets pass through it.

    A DACL and a cell follow the device. A port ACL filters the devices that the membership places at its switch and ports; where
    it names no switch or port for a device, that device is not surely filtered but may be.
    """
    members = list(site.members.get(listing.segment, ()))
    if listing.kind == "dacl":
        return [member for member in members if not surely or enforced_at(site, site.points.get(listing.point), member)]
    if listing.kind != "port_acl":
        return members
    switches = {listing.host} if surely else {listing.host, ""}
    ports = set(listing.interfaces) if surely else {*listing.interfaces, ""}
    found = [member for member in members if member.switch in switches and member.interface in ports]
    if surely and site.paths.get("wireless"):
        found = [m for m in found if all(_attached(site, m, text) == listing.host for text in m.addresses)]
    return found


def enforced_at(site: Site, point: EnforcementPoint | None, member: Member) -> bool:
    """Return whether what ISE holds is surely enforced where a device is attached.

    ``switches`` and ``tags`` of the point say so, and ``paths.wireless``. Where nothing is said of tags they may not reach the receiver's
    switch: SW3013 says so, and a cell then proves nothing.
    """
    if point is None:
        return True
    if point.kind == "sgacl" and point.options.get("tags", "none") == "none":
        return False
    switches = point.options.get("switches")
    return not switches or all(_attached(site, member, address) in switches for address in member.addresses)


def cell_targets(site: Site, listing: PointList, surely: bool) -> IntervalSet:
    """Return the addresses to which a cell filters packets: it is enforced where the receiver is attached."""
    point = site.points.get(listing.point)
    if not surely or point is None:
        return member_addresses(site, listing.peer, listing.family)
    kept: dict[tuple[str, str, int], IntervalSet] = site.__dict__.setdefault("_cell_targets", {})
    key = listing.point, listing.peer, listing.family
    found = kept.get(key)
    if found is None:  # the same for every cell of a column
        members = [member for member in site.members.get(listing.peer, ()) if enforced_at(site, point, member)]
        found = kept[key] = addresses_of((text for member in members for text in member.addresses), listing.family)
    return found


def _attached(site: Site, member: Member, address: str) -> str:
    """Return the switch of a device, or the wireless controller that stands in its place for an address."""
    networks: Sequence[Mapping[str, Any]] = site.paths.get("wireless", ())
    for network in networks:
        place = addresses_of([address], 6 if ":" in address else 4)
        if place and addresses_of(network["subnets"], 6 if ":" in address else 4).covers(place):
            return str(network["controller"])
    return member.switch


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
    return ListSets(listing, sees, may_see, *passed_sets(space, listing))


def passed_sets(space: PacketSpace, listing: PointList) -> tuple[PacketSet, PacketSet]:
    """Return what a list surely passes, and what it may; read once in a space, whoever its devices are and however often it is asked."""

    def made() -> tuple[PacketSet, PacketSet]:
        found = verdicts(space, first_match(listing))
        return found.permitted, found.maybe_permitted

    return space.once(("passed", listing.stateful, listing.default_permit, listing.aces), made)


def may_see(space: PacketSpace, site: Site, listing: PointList) -> PacketSet:
    """Return the packets that a list may see."""
    return space.from_boxes(visible(site, listing, surely=False))


def every_list_sets(space: PacketSpace, site: Site, lists: Sequence[PointList]) -> list[ListSets]:
    """Return the sets of every list."""
    return [list_sets(space, site, listing) for listing in lists]


LINK_LOCAL = addresses_of(["fe80::/10"], 6)


def visible(site: Site, listing: PointList, surely: bool, receivers: Site | None = None) -> list[Box]:
    """Return the packets that a list ``surely`` sees, or else all that it may see, as boxes.

    ``receivers``: the membership of those that a cell filters packets to, where it is not that of the senders.
    """
    if listing.kind == "firewall":
        return _between_sides(site, site.points[listing.point], surely)
    if listing.kind == "router_acl":
        return _routed(site, listing, surely)
    family = listing.family
    if listing.kind == "sgacl":
        members, source = [], member_addresses(site, listing.segment, family)
    else:
        members = filtered_members(site, listing, surely)
        source = addresses_of((text for member in members for text in member.addresses), family)
    if not source:
        return []
    box = Box(protocol=FAMILY_PROTOCOLS[family], source=source)
    if listing.kind == "sgacl":
        destination = cell_targets(receivers or site, listing, surely)
        if (
            family == 6 and surely
        ):  # IPv6 link-local addresses pass the switch whatever a cell says (facts/devices.md section 1.5)
            box = box.replace(source=source.subtract(LINK_LOCAL))
            destination = destination.subtract(LINK_LOCAL)
            if box.is_empty:
                return []
        return [box.replace(destination=destination)] if destination else []
    if not surely:
        return [box]
    boxes = []
    for behind, near in _neighbours(site, members, family):
        here = source.intersect(near)
        source = source.subtract(near)
        boxes.append(box.replace(source=here, destination=TOP[family].subtract(behind)))
    return [found for found in (*boxes, box.replace(source=source)) if not found.is_empty]


def port_of(site: Site, member: Member) -> tuple[str, str] | None:
    """Return switch and port of a device, None where they are not known or wireless."""
    if not member.switch or not member.interface:
        return None
    wireless = any(_attached(site, member, text) != member.switch for text in member.addresses)
    return None if wireless else (member.switch, member.interface)


def shared_ports(site: Site) -> dict[tuple[str, str], list[Member]]:
    """Return the ports with several devices; found once for a membership, since every list on ports asks."""
    kept = kept_of_members(site)
    found: dict[tuple[str, str], list[Member]] | None = kept.get("shared ports")
    if found is None:
        ports: dict[tuple[str, str], list[Member]] = defaultdict(list)
        for each in (member for members in site.members.values() for member in members):
            if each.switch and each.interface:
                ports[each.switch, each.interface].append(each)
        found = kept["shared ports"] = {place: here for place, here in ports.items() if len(here) > 1}
    return found


def _neighbours(site: Site, members: Sequence[Member], family: int) -> list[Pair]:
    """Return, for each port with several devices, the addresses of all of them and of those among the members.

    What they say to each other passes the small switch between them and no list.
    """
    ports = shared_ports(site)
    found = []
    for place in dict.fromkeys((m.switch, m.interface) for m in members) if ports else ():
        if behind := [m for m in ports.get(place, ()) if port_of(site, m)]:
            whole, near = (
                addresses_of((text for m in part for text in m.addresses), family)
                for part in (behind, [m for m in members if m in behind])
            )
            found.append((whole, near))
    return found


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
        pairs = [(subnet, rest)]
    else:
        pairs = [(rest.subtract(own), subnet)]
    if surely:
        elsewhere = _elsewhere(ways_of(site, site.points[listing.point], listing.family), TOP[listing.family])
        pairs = _without(pairs, [*elsewhere, *((two, one) for one, two in elsewhere)])
    return [box.replace(source=one, destination=two) for one, two in pairs]


def _elsewhere(ways: Sequence[Way], top: IntervalSet) -> list[Pair]:
    """Return the openers that are said not to cross a point."""
    found: list[Pair] = []
    said: list[Pair] = []
    for way in ways:
        whole = (top if way.client is None else way.client, top if way.server is None else way.server)
        if not way.crosses:
            found += _without([whole], said)
        said.append(whole)
    return found


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
        own = [(subnet, top.subtract(subnet)) for subnet in sides.subnets if subnet]
        own.append((sides.outside, top.subtract(sides.outside)))
        if sides.inside is not None:
            within, beyond = top.intersect(sides.inside), top.subtract(sides.inside)
            own += [(within, beyond), (beyond, within)]
        boxes += [box.replace(source=one, destination=two) for one, two in _by_ways(own, sides.ways, top, surely)]
    return [box for box in boxes if not box.is_empty]


def _by_ways(pairs: list[Pair], ways: Sequence[Way], top: IntervalSet, surely: bool) -> list[Pair]:
    """Return what a firewall sees by its sides (``pairs`` of sources and destinations), and by what is said of ways.

    The first way that fits counts. What is said not to cross is not ``surely`` seen; it may be.
    """
    found: list[Pair] = []
    said: list[Pair] = []
    for way in ways:
        whole = (
            top if way.client is None else top.intersect(way.client),
            top if way.server is None else top.intersect(way.server),
        )
        if way.crosses:
            found += _without([whole], said)
        said.append(whole)
    return [*(_without(pairs, said) if surely else pairs), *found]


def _without(pairs: list[Pair], away: Iterable[Pair]) -> list[Pair]:
    """Return pairs of sources and destinations without others."""
    for source, destination in away:
        left: list[Pair] = []
        for one, two in pairs:
            here = one.intersect(source)
            left += [(one.subtract(source), two), (here, two.subtract(destination))] if here else [(one, two)]
        pairs = [(one, two) for one, two in left if one and two]
    return pairs
