# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which devices and ports a step reaches, and which ring each of them goes with. Pure.

A ring may name devices, ports and places. Then a step is not asked for its segments alone but for each device and port that it reaches:
one on an interface reaches what is attached there, a static assignment one device, a list in ISE every device of its segments.
Whoever is reached goes with the first ring that names it; a step goes with the last ring of all it reaches, so that no device is changed
before its turn. What is written for all and taken over session by session (a downloadable list) may go with the first instead, where
that ring says so: then each ring re-authenticates its own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.lines import LONG_NAMES
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Member, Ring, Site

SHARED_KIND = "downloadable_acl"
_BY_DEVICE = frozenset(("endpoint", "ip_sgt_mapping", "authorization_rule"))  # not for all devices of a segment alike
_TYPED = re.compile(r"([a-z-]+)(\d.*)")
_TYPES = {short.lower(): long.lower() for short, long in LONG_NAMES.items()}
Port = tuple[str, str]  # switch and interface, both in lower case


@dataclass(frozen=True)
class Unit:
    """What a step reaches: a device of a segment where it is attached, or a port alone (no device), or a segment without devices."""

    segment: str
    device: str = ""
    name: str = ""
    switch: str = ""
    interface: str = ""
    site: str = ""
    access_point_group: str = ""

    @property
    def port(self) -> Port:
        """Return where it is."""
        return port_of(self.switch, self.interface)

    @property
    def shown(self) -> str:
        """Return what people call it."""
        return (
            self.name or self.device or " ".join(part for part in (self.switch, self.interface) if part) or self.segment
        )


def port_of(switch: str, interface: str) -> Port:
    """Return a port in a form that can be compared: interfaces are written in any case, with their type whole or shortened (Gi1/0/1)."""
    text = interface.replace(" ", "").lower()
    found = _TYPED.match(text)
    return switch.lower(), _TYPES.get(found[1], found[1]) + found[2] if found else text


class Limit:
    """What a ring names below its targets, places resolved to switches and ports."""

    def __init__(self, ring: Ring, site: Site) -> None:
        self.limited = ring.limited
        self.segments, self.targets = frozenset(ring.segments), frozenset(ring.targets)
        self.devices = frozenset(name.lower() for name in ring.devices)
        self.ports = {port_of(*port) for port in ring.ports}
        self.switches: set[str] = set()
        self.sites: set[str] = set()
        self.groups: set[str] = set()
        waiting, seen = list(ring.places), set[str]()
        while waiting:
            place = site.places.get(waiting.pop())
            if place is None or place.id in seen:
                continue
            seen.add(place.id)
            self.switches |= {switch.lower() for switch in place.switches}
            self.ports |= {port_of(*port) for port in place.ports}
            self.sites |= {site.lower() for site in place.sites}
            self.groups |= {group.lower() for group in place.access_point_groups}
            waiting += place.places

    def names(self, unit: Unit) -> bool:
        """Return whether a device or port goes with the ring, whatever is written to."""
        if self.segments and unit.segment not in self.segments:
            return False
        if not self.limited:
            return True
        named = {unit.device.lower(), unit.name.lower()} - {""}
        if self.devices & named or unit.port in self.ports:
            return True
        return bool(
            {unit.switch.lower()} & self.switches
            or {unit.site.lower()} & self.sites
            or {unit.access_point_group.lower()} & self.groups
        )


def unit_of(segment: str, member: Member) -> Unit:
    """Return a device of a segment as what a step may reach."""
    where = member.switch, member.interface, member.site, member.access_point_group
    return Unit(segment, member.device, member.name, *where)


class Reach:
    """Places steps of one plan by what they reach. ``rest`` is the number after the last ring: what no ring names."""

    def __init__(
        self, site: Site, steps: Iterable[tuple[str, Operation]], lists_at: Mapping[tuple[str, str], tuple[str, ...]]
    ) -> None:
        self.site = site
        self.limits = [Limit(ring, site) for ring in site.rings]
        self.rest = len(self.limits)
        steps = tuple(steps)
        # A port that a step gives another list, or none, has the present one until then: what changes that list reaches it.
        had = [
            ((target, str(step.before["access_list"])), str(step.before["interface"]))
            for target, step in steps
            if step.before and step.before.get("interface") and step.before.get("access_list")
        ]
        ports = {key: dict.fromkeys(interfaces) for key, interfaces in lists_at.items()}
        for key, interface in had:
            if port_of("", interface) not in {port_of("", name) for name in ports.setdefault(key, {})}:
                ports[key][interface] = None
        self.lists_at = {key: tuple(found) for key, found in ports.items()}
        # A device that the plan still has to assign is not reached by the rule of its group before that.
        self.unassigned = {step.name.lower() for _target, step in steps if step.kind == "endpoint" and step.after}
        self._places: dict[tuple[str, Unit], int] = {}
        self._of_segment: dict[str, tuple[Unit, ...]] = {}
        self._still: dict[str, list[Unit]] = {}  # segment -> devices that the plan moves to another one
        self._counts: dict[tuple[str, str], Counter[int]] = {}

    def still_in(self, segment: str, device: str) -> None:
        """Note that a device is in a segment until the plan moves it: what changes there reaches it as well. Called before all else."""
        unit = self._by_device.get(device.lower())
        if segment in self.site.segments and unit is not None and unit.segment != segment:
            here = self._still.setdefault(segment, [])
            here += [unit] if unit not in here else []  # several ISE move the same device

    @property
    def limited(self) -> bool:
        """Return whether any ring names devices, ports or places."""
        return any(limit.limited for limit in self.limits)

    def place(self, target: str, unit: Unit) -> int:
        """Return the number of the first ring that names a unit, for what is written to a target."""
        key = (target, unit)
        if key not in self._places:
            here = (n for n, item in enumerate(self.limits) if not item.targets or target in item.targets)
            self._places[key] = next((n for n in here if self.limits[n].names(unit)), self.rest)
        return self._places[key]

    def counts(self, target: str, step: Operation, segments: frozenset[str]) -> Counter[int]:
        """Return how many units a step reaches by the number of their ring; nothing where it is all, or not known."""
        body = step.after or step.before or {}
        if step.kind not in _BY_DEVICE and not body.get("interface") and not self.lists_at.get((target, step.name)):
            return self.of_whole(target, segments)
        return Counter(self.place(target, unit) for unit in self.units(target, step, segments))

    def of_whole(self, target: str, segments: Iterable[str]) -> Counter[int]:
        """Return the same for whole segments: on a large site thousands of cells reach the same devices."""
        found: Counter[int] = Counter()
        for segment in segments:
            key = (target, segment)
            if key not in self._counts:
                self._counts[key] = Counter(self.place(target, unit) for unit in self.of_segment(segment))
            found.update(self._counts[key])
        return found

    def units(self, target: str, step: Operation, segments: frozenset[str]) -> tuple[Unit, ...]:
        """Return what a step reaches; nothing where it is all, or not known."""
        return tuple(dict.fromkeys(self._units(target, step, segments)))

    def _units(self, target: str, step: Operation, segments: frozenset[str]) -> Iterator[Unit]:
        body = step.after or step.before or {}
        if body.get("interface"):
            yield from self._at_port(target, str(body["interface"]), segments)
            return
        if interfaces := self.lists_at.get((target, step.name)):
            for interface in interfaces:
                yield from self._at_port(target, interface, segments)
            return
        if step.kind == "endpoint":
            found = self._by_device.get(step.name.lower())
            yield from (found,) if found else (Unit(segment, step.name.lower()) for segment in sorted(segments) or [""])
            return
        if step.kind == "ip_sgt_mapping":
            found = self._by_address.get(str(body.get("host", "")))
            if found is not None:
                yield found
                return
        for segment in sorted(segments):
            here = self.of_segment(segment)
            if step.kind == "authorization_rule":
                here = tuple(
                    unit for unit in here if unit.segment != segment or unit.device.lower() not in self.unassigned
                )
                if not here and self.site.members.get(segment):
                    continue  # it holds for nobody yet
            yield from here

    def of_segment(self, segment: str) -> tuple[Unit, ...]:
        """Return the devices of a segment; the segment alone where it has none."""
        if segment not in self._of_segment:
            members = self.site.members.get(segment, ())
            found = (*(unit_of(segment, member) for member in members), *self._still.get(segment, ()))
            self._of_segment[segment] = found or (Unit(segment),)
        return self._of_segment[segment]

    def _at_port(self, target: str, interface: str, segments: frozenset[str]) -> Iterator[Unit]:
        here = self._by_port.get(port_of(target, interface), ())
        yield from here
        attached = {unit.segment for unit in here}
        for segment in sorted(segments - attached) or ([""] if not here else []):
            yield Unit(segment, switch=target, interface=interface)

    @cached_property
    def _by_port(self) -> dict[Port, list[Unit]]:
        found: dict[Port, list[Unit]] = {}
        for segment, members in self.site.members.items():
            for member in members:
                if member.switch and member.interface:
                    found.setdefault(port_of(member.switch, member.interface), []).append(unit_of(segment, member))
        return found

    @cached_property
    def _by_device(self) -> dict[str, Unit]:
        return {m.device.lower(): unit_of(segment, m) for segment, found in self.site.members.items() for m in found}

    @cached_property
    def _by_address(self) -> dict[str, Unit]:
        return {
            address: unit_of(segment, member)
            for segment, found in self.site.members.items()
            for member in found
            for address in member.addresses
        }
