# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site prepared for compiling: addresses and services resolved once, rules found by the segment that they lead to."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import ListCache
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import (
    Match,
    addresses_of,
    addresses_of_name,
    dhcp_servers,
    matches_of,
    member_addresses,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Rule, Site

FAMILIES = (4, 6)
# Bands of evidence (schemas/segment.schema.json), least first; a rule without evidence comes after all others.
DAYS = ("1 to 2", "3 to 6", "7 to 13", "14 to 29", "30 or more")
DEVICES = ("one", "some", "most", "all")


def use_of(rule: Rule) -> tuple[int, int]:
    """Return how much a rule was seen to be used: bands of days and of devices, most used first when sorted; kept with the rule."""
    found: tuple[int, int] | None = rule.__dict__.get("_use")
    if found is None:
        days, devices = rule.evidence.get("days", ""), rule.evidence.get("devices", "")
        found = rule.__dict__["_use"] = (
            -(DAYS.index(days) + 1 if days in DAYS else 0),
            -(DEVICES.index(devices) + 1 if devices in DEVICES else 0),
        )
    return found


class SiteIndex:
    """Questions that every list asks. ``site`` is in force as it is: ``effective_site`` made it for a situation."""

    def __init__(self, site: Site, cache: ListCache | None = None) -> None:
        self.site = site
        self.cache = cache
        self._members: dict[tuple[str, int], IntervalSet] = {}
        self._names: dict[tuple[str, int], IntervalSet | None] = {}
        self._clients: dict[tuple[str, tuple[str, ...], int], IntervalSet] = {}
        self._allowed: dict[str, tuple[Rule, ...]] = {}
        self._matches: dict[tuple[tuple[str, ...], int], tuple[Match, ...]] = {}

    def members(self, segment: str, family: int) -> IntervalSet:
        """Return the addresses of a segment's devices."""
        found = self._members.get((segment, family))
        if found is None:
            found = self._members[segment, family] = member_addresses(self.site, segment, family)
        return found

    def addresses(self, name: str, family: int) -> IntervalSet | None:
        """Return the addresses of an end; None for any."""
        key = name, family
        if key not in self._names:
            self._names[key] = addresses_of_name(self.site, name, family)
        return self._names[key]

    def clients(self, rule: Rule, family: int) -> IntervalSet:
        """Return the addresses of the devices for which a rule holds."""
        if rule.client not in self.site.segments and rule.client in self.site.networks:
            return self.addresses(rule.client, family) or IntervalSet()
        if not rule.devices:
            return self.members(rule.client, family)
        key = rule.client, rule.devices, family
        found = self._clients.get(key)
        if found is None:
            chosen = [m for m in self.site.members.get(rule.client, ()) if m.device in rule.devices]
            found = self._clients[key] = addresses_of((a for m in chosen for a in m.addresses), family)
        return found

    def matches(self, services: tuple[str, ...], family: int) -> tuple[Match, ...]:
        """Return the protocols and ports of services that exist in a family."""
        key = services, family
        found = self._matches.get(key)
        if found is None:
            found = self._matches[key] = tuple(match for _name, match in matches_of(self.site, services, family))
        return found

    @cached_property
    def dhcp(self) -> IntervalSet:
        """The IPv4 addresses of the lease servers."""
        return dhcp_servers(self.site)

    @cached_property
    def dhcp_six(self) -> IntervalSet:
        """The IPv6 addresses of the lease servers."""
        return dhcp_servers(self.site, 6)

    def leases(self, family: int) -> IntervalSet:
        """Return the addresses of the lease servers in a family."""
        return self.dhcp if family == 4 else self.dhcp_six

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule, by client segment and file order."""
        return self.site.rules()

    def allowed(self, segment: str) -> tuple[Rule, ...]:
        """Return the rules of a segment or network set, the most used first: before their end lists only permit, in any order."""
        found = self._allowed.get(segment)
        if found is None:
            own = self.site.segments.get(segment) or self.site.networks[segment]
            found = self._allowed[segment] = tuple(sorted(own.allow, key=use_of))
        return found

    @cached_property
    def clients_by_name(self) -> tuple[str, ...]:
        """Every segment, and then every network set with rules of its own, sorted."""
        return (*sorted(self.site.segments), *sorted(n for n, item in self.site.networks.items() if item.allow))

    def place_of(self, rule: Rule) -> int:
        """Return the place of a rule among all rules."""
        return self._place[id(rule)]

    @cached_property
    def _place(self) -> dict[int, int]:
        return {id(rule): number for number, rule in enumerate(self.rules)}

    def leads_to(self, rule: Rule, segment: str, family: int) -> bool:
        """Return whether the rule's server side takes in devices of the segment: by name, or by addresses of a network set."""
        if rule.to in self.site.segments:
            return rule.to == segment
        return segment in self.touched(rule.to, family)

    def rules_to(self, segment: str, family: int) -> Sequence[Rule]:
        """Return the rules whose server side takes in devices of the segment, the most used first, then in the order of the files."""
        return self._rules_to[family].get(segment, [])

    def touched(self, name: str, family: int) -> tuple[str, ...]:
        """Return the segments that have devices among the addresses of a zone, network set or any; sorted."""
        found = self._touched.get((name, family))
        if found is None:
            found = self._touched[name, family] = tuple(self._segments_in(self.addresses(name, family), family))
        return found

    @cached_property
    def _touched(self) -> dict[tuple[str, int], tuple[str, ...]]:
        return {}

    @cached_property
    def _places(self) -> dict[int, tuple[list[int], list[tuple[int, int, str]]]]:
        """Every device address range by family, sorted: where it begins, and (first, last, segment)."""
        made = {}
        for family in FAMILIES:
            ranges = sorted(
                (low, high, segment)
                for segment in self.site.members
                for low, high in self.members(segment, family).pairs
            )
            made[family] = [low for low, _high, _segment in ranges], ranges
        return made

    def segments_among(self, addresses: IntervalSet, family: int) -> list[str]:
        """Return the segments that have devices among the addresses, sorted."""
        return self._segments_in(addresses, family)

    def _segments_in(self, addresses: IntervalSet | None, family: int) -> list[str]:
        starts, ranges = self._places[family]
        if addresses is None:
            return sorted({segment for _low, _high, segment in ranges})
        found = set()
        for low, high in addresses.pairs:
            for first, last, segment in self._around(starts, ranges, low, high, family):
                if first <= high and last >= low:
                    found.add(segment)
        return sorted(found)

    def _around(
        self, starts: list[int], ranges: list[tuple[int, int, str]], low: int, high: int, family: int
    ) -> Iterator[tuple[int, int, str]]:
        """Yield ranges that may overlap: those that begin inside, and those before that are long enough to reach in."""
        first = bisect_right(starts, low - self._longest[family])
        yield from ranges[first : bisect_right(starts, high)]

    @cached_property
    def _longest(self) -> dict[int, int]:
        return {
            family: max((high - low + 1 for low, high, _segment in ranges), default=1)
            for family, (_starts, ranges) in self._places.items()
        }

    @cached_property
    def _rules_to(self) -> dict[int, dict[str, list[Rule]]]:
        made: dict[int, dict[str, list[Rule]]] = {family: defaultdict(list) for family in FAMILIES}
        four, six, segments = made[4], made[6], self.site.segments
        for rule in sorted(self.rules, key=use_of):
            if rule.to in segments:
                four[rule.to].append(rule)
                six[rule.to].append(rule)
                continue
            for family in FAMILIES:
                for segment in self.touched(rule.to, family):
                    made[family][segment].append(rule)
        return made
