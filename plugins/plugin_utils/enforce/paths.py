# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which enforcement points a conversation crosses, in order and in both directions.

A point to which no segment is assigned holds no list and is left out. The way follows from what is written: the ports of the lock,
the assignments, the subnets of firewalls and gateways, and the keys
``paths``, ``tags`` and ``switches`` of enforcement.yml. What they do not say is ``unknown`` with its reason, never a guess.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import (
    addresses_of,
    addresses_of_name,
    holders_of_addresses,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.sides import Sides, sides_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import EnforcementPoint, Member, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ranges import span_of

FORWARD, REPLY = "forward", "reply"
YES, NO, UNKNOWN = "yes", "no", "unknown"
TRANSPORTS = {"inline": "the tag travels in the frame", "sxp": "the address is bound to its tag by SXP"}


@dataclass(frozen=True)
class Crossing:
    """One point on the way of the packets of one direction.

    ``direction``: ``forward`` for what the client sends, ``reply`` for what the server sends. ``sees``: ``yes``, ``no`` or ``unknown``,
    with its reason in ``why``. ``interface`` and ``way`` (``in``, ``out``) tell the lists of a gateway apart.
    """

    point_id: str
    direction: str
    sees: str
    why: str
    interface: str = ""
    way: str = ""


@dataclass(frozen=True)
class Path:
    """The points of both directions. ``known`` is False where some part of the way is not known; ``why`` says which."""

    points: tuple[Crossing, ...]
    known: bool
    why: str = ""

    def seen(self, direction: str) -> tuple[str, ...]:
        """Return the points that surely see the packets of a direction, in their order, each once."""
        return tuple(dict.fromkeys(c.point_id for c in self.points if c.direction == direction and c.sees == YES))


@dataclass(frozen=True)
class _End:
    """One end of a conversation: its address and, for a device of the lock, segment, switch and port."""

    family: int
    address: int
    text: str
    segment: str = ""
    switch: str = ""
    interface: str = ""
    wireless: str = ""


class Paths:
    """The ways of one site. Built once; each question costs a few look-ups for each point."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._devices = holders_of_addresses(site).first
        self._zones = {f: addresses_of((p for z in site.zones.values() for p in z.subnets), f) for f in (4, 6)}
        self._wireless = [
            (n, {f: addresses_of(n["subnets"], f) for f in (4, 6)}) for n in site.paths.get("wireless", ())
        ]
        self._ends: dict[str, _End] = {}
        self._ends_of: dict[int, tuple[Member, _End]] = {}  # by identity of the device
        self._sides_at: dict[tuple[int, int], tuple[int | None, ...]] = {}
        self._in_zone: dict[str, bool] = {}
        self._unplaced_known: dict[tuple[str, bool, tuple[int | None, ...]], tuple[str, ...]] = {}
        self._points_known: dict[tuple[str, str, str], bool] = {}
        self._sides: dict[tuple[str, int], Sides] = {}
        self._gateways: dict[str, list[tuple[Mapping[str, Any], dict[int, IntervalSet]]]] = {}
        self._used = {name for assignment in site.assignments.values() for name in assignment.points}
        self._by_kind: dict[str, list[EnforcementPoint]] = defaultdict(list)
        for name in sorted(site.points):
            point = site.points[name]
            self._by_kind[point.kind].append(point)
            self._gateways[name] = [
                (g, {f: addresses_of(g["subnets"], f) for f in (4, 6)}) for g in point.options.get("gateways", ())
            ]

    def of(self, client: Member | str, server: Member | str) -> Path:
        """Return the way from a client to a server: devices of the lock, or addresses as text. ValueError for two families."""
        one, two = self._end(client), self._end(server)
        if one.family != two.family:
            raise ValueError("client and server are of different address families")
        unknown = [why for end in (one, two) for why in self._unplaced(end, two if end is one else one)]
        found: list[Crossing] = []
        for direction, source, target in ((FORWARD, one, two), (REPLY, two, one)):
            if direction == REPLY and _is_group(one.family, two.address):
                break
            found += self._access(direction, source, target)
            found += self._routed(direction, source, target, one, two)
            found += self._cells(direction, source, target)
        unknown += [f"{c.point_id}: {c.why}" for c in found if c.sees == UNKNOWN]
        return Path(tuple(found), not unknown, "; ".join(dict.fromkeys(unknown)))

    def certain(self, what: Member | str) -> bool:
        """Return whether nothing about this end can make a way unknown: a way between two such ends is known without a look at it.

        It lies in a zone, and of the points of its segment none needs a switch, port or kind of tags that the documents do not say.
        """
        end = self._end(what)
        if not self._zones[end.family].contains(end.address) and not _is_group(end.family, end.address):
            return False
        return self._has_known_points(end)

    def why_unknown(self, client: Member | str, server: Member | str) -> str:
        """Return why the way between two ends of one family is not known, "" where it is: what ``of`` says, without the crossings."""
        one, two = self._end(client), self._end(server)
        if not self._has_known_points(one) or not self._has_known_points(two):
            return self.of(client, server).why
        first, second = self._unplaced(one, two), self._unplaced(two, one)
        return "; ".join(dict.fromkeys([*first, *second])) if first or second else ""

    def _has_known_points(self, end: _End) -> bool:
        """Return whether no point of an end's segment needs a switch, port or kind of tags that the documents do not say."""
        key = end.text, end.switch, end.interface
        found = self._points_known.get(key)
        if found is None:
            found = self._points_known[key] = self._points_say_all(end)
        return found

    def _points_say_all(self, end: _End) -> bool:
        for name in self._points_of(end.segment):
            point = self._site.points.get(name)
            if point is None:
                continue
            if point.kind in ("dacl", "sgacl") and _at_switch(point, end)[0] == UNKNOWN:
                return False
            if point.kind == "port_acl" and _at_port(point, end)[0] == UNKNOWN:
                return False
            if point.kind == "sgacl" and not point.options.get("tags"):
                return False
        return True

    def _end(self, what: Member | str) -> _End:
        if isinstance(what, str):
            return self._made_end(what)
        known = self._ends_of.get(id(what))
        if known is not None and known[0] is what:
            return known[1]
        made = self._made_end(what)
        self._ends_of[id(what)] = what, made
        return made

    def _made_end(self, what: Member | str) -> _End:
        text = what if isinstance(what, str) else next(iter(what.addresses), "")
        if not text:
            raise ValueError("a device without an address has no way")
        known = self._ends.get(text) if isinstance(what, str) or self._is_holder(text, what) else None
        if known is not None:
            return known
        address = ipaddress.ip_address(text) if isinstance(what, str) else None
        key = (address.version, int(address)) if address else span_of(text)[:2]
        segment, member = self._devices.get(key, ("", None))
        if not isinstance(what, str):
            member = what
        wireless = next((n for n, subnets in self._wireless if subnets[key[0]].contains(key[1])), None)
        switch = wireless["controller"] if wireless else member.switch if member else ""
        port = "" if wireless or not member else member.interface
        made = _End(*key, text, segment, switch, port, wireless["ssid"] if wireless else "")
        if isinstance(what, str) or self._is_holder(text, what):
            self._ends[text] = made
        return made

    def _is_holder(self, text: str, member: Member) -> bool:
        """Return whether a device is the one that the lock has at an address."""
        return self._devices.get(span_of(text)[:2], ("", None))[1] is member

    def _unplaced(self, end: _End, other: _End) -> tuple[str, ...]:
        """Return why it is not known where an end is: in no zone, and no point says how it is reached."""
        place = self._in_zone.get(end.text)
        if place is None:
            inside = self._zones[end.family].contains(end.address) or _is_group(end.family, end.address)
            place = self._in_zone[end.text] = inside
        if place:
            return ()
        if self._site.paths.get("routes"):
            return tuple(self._lost(end, other))
        # Without routes the other end counts by the side of each firewall on which it is.
        place_of_other = other.family, other.address
        sides = self._sides_at.get(place_of_other)
        if sides is None:
            sides = tuple(self._sides_of(p, other.family).side_of(other.address) for p in self._by_kind["firewall"])
            self._sides_at[place_of_other] = sides
        key = end.text, _is_group(other.family, other.address), sides
        found = self._unplaced_known.get(key)
        if found is None:
            found = self._unplaced_known[key] = tuple(self._lost(end, other))
        return found

    def _lost(self, end: _End, other: _End) -> Iterator[str]:
        if (
            self._site.paths.get("outside")
            or self._route(end, other) is not None
            or self._route(other, end) is not None
        ):
            return
        if not any(
            self._sides_of(p, end.family).crosses(end.address, other.address) for p in self._by_kind["firewall"]
        ):
            yield f"{end.text} is in no zone, and no point or path says how it is reached"

    def _access(self, direction: str, source: _End, target: _End) -> Iterator[Crossing]:
        """Yield the lists on the sender's port: they see what the device itself sends."""
        assignment = self._site.assignments.get(source.segment)
        if assignment is None:
            return
        together = bool(source.switch and source.interface) and (source.switch, source.interface) == (
            target.switch,
            target.interface,
        )
        for name in assignment.points:
            point = self._site.points.get(name)
            if point is None or point.kind not in ("port_acl", "dacl"):
                continue
            if together:
                yield Crossing(name, direction, NO, "both ends are behind one port")
            elif point.kind == "dacl":
                yield Crossing(name, direction, *_at_switch(point, source))
            else:
                yield Crossing(name, direction, *_at_port(point, source))

    def _routed(self, direction: str, source: _End, target: _End, client: _End, server: _End) -> Iterator[Crossing]:
        """Yield gateways and firewalls: in of the sender's subnet, firewalls (openers only), out to the receiver's subnet."""
        route = self._route(client, server)
        listed = None if route is None else list(route["points"])
        yield from self._gateway(direction, source, target, "in", listed)
        if direction == FORWARD:
            firewalls = [p for p in self._by_kind["firewall"] if p.id in self._used]
            if listed is not None:
                firewalls = [self._site.points[n] for n in listed if n in self._site.points]
                firewalls = [p for p in firewalls if p.kind == "firewall"]
            for point in firewalls:
                yield from self._firewall(point, source, target, listed is not None)
        yield from self._gateway(direction, source, target, "out", listed)

    def _firewall(self, point: EnforcementPoint, source: _End, target: _End, listed: bool) -> Iterator[Crossing]:
        if listed:
            yield Crossing(point.id, FORWARD, YES, "paths.routes names it")
            return
        sides = self._sides_of(point, source.family)
        if sides.crosses(source.address, target.address):
            yield Crossing(point.id, FORWARD, YES, "the ends lie on two of its sides")
        elif point.id in self._site.paths.get("outside", ()) and self._leaves(source, target):
            yield Crossing(point.id, FORWARD, YES, "paths.outside names it")
        elif _is_group(source.family, target.address):
            yield Crossing(point.id, FORWARD, NO, "a group address is delivered on the sender's own subnet")

    def _leaves(self, source: _End, target: _End) -> bool:
        zones = self._zones[source.family]
        return zones.contains(source.address) != zones.contains(target.address)

    def _gateway(
        self, direction: str, source: _End, target: _End, way: str, listed: list[str] | None
    ) -> Iterator[Crossing]:
        end = source if way == "in" else target
        for point in self._by_kind["router_acl"]:
            if point.id not in self._used:
                continue
            if listed is not None and point.id not in listed:
                continue
            for gateway, subnets in self._gateways[point.id]:
                here = subnets[end.family]
                if way not in gateway.get("directions", ("in", "out")) or not here.contains(end.address):
                    continue
                other = target if way == "in" else source
                if here.contains(other.address) and source.address != target.address:
                    yield Crossing(
                        point.id, direction, NO, "both ends share the subnet: their packets are not routed",
                        gateway["interface"], way,
                    )  # fmt: skip
                else:
                    why = f"packets {'from' if way == 'in' else 'to'} the subnet are routed by {gateway['interface']}"
                    yield Crossing(point.id, direction, YES, why, gateway["interface"], way)

    def _cells(self, direction: str, source: _End, target: _End) -> Iterator[Crossing]:
        """Yield the matrix cells: enforced at the switch of the receiver, by the tags of both."""
        for point in self._by_kind["sgacl"]:
            if any(point.id not in self._points_of(end.segment) for end in (source, target)):
                continue
            tags = point.options.get("tags", "")
            if source.family == 6 and not point.options.get("ipv6"):
                yield Crossing(point.id, direction, NO, "its cells judge IPv4 only")
            elif tags == "none":
                yield Crossing(point.id, direction, NO, "the sender's tag does not reach the receiver's switch")
            elif not tags:
                yield Crossing(point.id, direction, UNKNOWN, "the point does not say how tags travel")
            else:
                sees, why = _at_switch(point, target)
                yield Crossing(point.id, direction, sees, TRANSPORTS[tags] if sees == YES else why)

    def _points_of(self, segment: str) -> tuple[str, ...]:
        assignment = self._site.assignments.get(segment)
        return assignment.points if assignment else ()

    def _route(self, client: _End, server: _End) -> Mapping[str, Any] | None:
        for route in self._site.paths.get("routes", ()):
            if self._is_in(route["client"], client) and self._is_in(route["server"], server):
                found: Mapping[str, Any] = route
                return found
        return None

    def _is_in(self, name: str, end: _End) -> bool:
        addresses = addresses_of_name(self._site, name, end.family)
        return addresses is None or addresses.contains(end.address)

    def _sides_of(self, point: EnforcementPoint, family: int) -> Sides:
        found = self._sides.get((point.id, family))
        if found is None:
            found = self._sides[point.id, family] = sides_of(self._site, point, family)
        return found


def path_of(site: Site, client: Member | str, server: Member | str) -> Path:
    """Return the way between two ends; who asks more than once builds ``Paths`` once."""
    return Paths(site).of(client, server)


def _at_switch(point: EnforcementPoint, end: _End) -> tuple[str, str]:
    """Return whether what ISE holds is enforced where an end is attached."""
    switches = point.options.get("switches")
    if not switches:
        return YES, "every switch and controller takes its lists"
    if not end.switch:
        return UNKNOWN, f"it is not known where {end.text} is attached"
    if end.switch not in switches:
        return NO, f"{end.switch} does not take its lists"
    return (
        YES,
        f"{end.text} is in wireless network {end.wireless}" if end.wireless else f"{end.text} is at {end.switch}",
    )


def _at_port(point: EnforcementPoint, end: _End) -> tuple[str, str]:
    """Return whether the list of a port ACL stands at the port of an end."""
    if end.wireless:
        return NO, f"{end.text} is in wireless network {end.wireless}"
    if end.switch and end.switch != point.host:
        return NO, f"{end.text} is at {end.switch}"
    if not end.switch or not end.interface:
        return UNKNOWN, f"the port of {end.text} is not known"
    if point.options.get("interfaces") and end.interface not in point.options["interfaces"]:
        return NO, f"{end.interface} is not one of its ports"
    return YES, f"{end.text} is at {end.interface}"


def _is_group(family: int, address: int) -> bool:
    return address >> 120 == 0xFF if family == 6 else address >> 28 == 0xE or address == 0xFFFFFFFF
