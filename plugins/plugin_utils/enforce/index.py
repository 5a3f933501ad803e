# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site prepared for compiling: addresses and services resolved once, rules found by the segment that they lead to."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from operator import itemgetter

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
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import NetworkSet, Rule, Segment, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.outline import (
    End,
    outline_of,
    rules_by_end,
    use_of,
)

FAMILIES = (4, 6)


class Places:
    """Names by the ranges of addresses that they hold."""

    def __init__(self, ranges: Iterable[tuple[int, int, str]]) -> None:
        self._ranges = sorted(ranges)
        self._starts = [low for low, _high, _name in self._ranges]
        self._longest = max((high - low + 1 for low, high, _name in self._ranges), default=1)

    def among(self, addresses: IntervalSet | None) -> set[str]:
        """Return the names that hold some of the addresses; None for any address."""
        if addresses is None:
            return {name for _low, _high, name in self._ranges}
        found = set()
        for low, high in addresses.pairs:
            # Those that begin inside, and those before that are long enough to reach in.
            first = bisect_right(self._starts, low - self._longest)
            for start, end, name in self._ranges[first : bisect_right(self._starts, high)]:
                if start <= high and end >= low:
                    found.add(name)
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
        self._rules_to: dict[tuple[str, int], list[Rule]] = {}
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
            found = self._allowed[segment] = tuple(sorted(self.holder(segment).allow, key=use_of))
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
        found = self._rules_to.get((segment, family))
        if found is None:
            names = self.names_to(segment, family)
            found = self._rules_to[segment, family] = sorted(self.rules_leading(names), key=use_of)
        return found

    def names_to(self, segment: str, family: int) -> tuple[str, ...]:
        """Return the names by which rules lead to devices of the segment: its own, and those of sets with their addresses; sorted."""
        names = [segment] if segment in self.clients_to and segment in self.site.segments else []
        return (*names, *self._sets_touching[family].get(segment, ()))

    def clients_of(self, segment: str, family: int) -> set[str]:
        """Return the clients of the rules whose server side takes in devices of the segment."""
        return {client for name in self.names_to(segment, family) for client in self.clients_to[name]}

    def rules_leading(self, names: Iterable[str]) -> list[Rule]:
        """Return the rules that lead to some names, in the order of the files."""
        by_client: dict[str, list[tuple[int, Rule]]] = {}
        for name in names:
            for client in self.clients_to.get(name, ()):
                by_client.setdefault(client, []).extend(rules_by_end(self.holder(client))[name])
        return [
            rule
            for client in sorted(by_client, key=self._order.__getitem__)
            for _place, rule in sorted(by_client[client], key=itemgetter(0))
        ]

    @cached_property
    def _order(self) -> dict[str, int]:
        return {client: number for number, client in enumerate(self.clients_by_name)}

    def holder(self, client: str) -> Segment | NetworkSet:
        """Return the segment or network set that holds the rules of a client."""
        return self.site.segments.get(client) or self.site.networks[client]

    @cached_property
    def clients_to(self) -> Mapping[str, Sequence[str]]:
        """The clients with rules to each name, in the order of the files."""
        found: dict[str, list[str]] = defaultdict(list)
        for client in self.clients_by_name:
            for to in outline_of(self.holder(client)).ends:
                found[to].append(client)
        return dict(found)

    def parts_to(self, name: str) -> list[tuple[str, End]]:
        """Return the clients with rules to a name, in the order of the files, each with what its outline says of those rules."""
        return [(client, outline_of(self.holder(client)).ends[name]) for client in self.clients_to.get(name, ())]

    @cached_property
    def _sets_touching(self) -> dict[int, dict[str, list[str]]]:
        """The names that rules lead to and that are no segment, by family and by the segments with devices among their addresses."""
        made: dict[int, dict[str, list[str]]] = {family: defaultdict(list) for family in FAMILIES}
        for name in sorted(self.clients_to.keys() - self.site.segments.keys()):
            for family in FAMILIES:
                for segment in self.touched(name, family):
                    made[family][segment].append(name)
        return made

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
    def _places(self) -> dict[int, Places]:
        """The segments by the addresses of their devices, by family."""
        return {
            family: Places((*pair, name) for name in self.site.members for pair in self.members(name, family).pairs)
            for family in FAMILIES
        }

    def segments_among(self, addresses: IntervalSet, family: int) -> list[str]:
        """Return the segments that have devices among the addresses, sorted."""
        return self._segments_in(addresses, family)

    def _segments_in(self, addresses: IntervalSet | None, family: int) -> list[str]:
        return sorted(self._places[family].among(addresses))


def kept_index(site: Site) -> SiteIndex:
    """Return the index with which a site in force was compiled, else one of its own."""
    found: SiteIndex | None = site.__dict__.get("_index")
    return found if found is not None and found.site is site else SiteIndex(site)
