# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of a policy to addresses and services to packet fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet, Pair
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import ESTABLISHED
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import ANY, Member, Site, kept_of_members
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ranges import span_of

Place = tuple[int, int]  # family and address
TCP = 6
ICMP_PROTOCOLS = {4: 1, 6: 58}
# Answers of the requests that have one: echo, timestamp, information, address mask (RFC 792, RFC 950), ICMPv6 echo (RFC 4443).
ICMP_ANSWERS = {1: {8: 0, 13: 14, 15: 16, 17: 18}, 58: {128: 129}}
USUAL_ANSWERS = {1: (0, 14), 58: (129,)}


@dataclass(frozen=True)
class Ends:
    """Client and server addresses of one family; None stands for any address."""

    family: int
    client: IntervalSet | None
    server: IntervalSet | None


@dataclass(frozen=True)
class Match:
    """One protocol with its fields, seen from the client. None stands for any value."""

    protocol: int
    server_ports: IntervalSet | None
    client_ports: IntervalSet | None
    detail: IntervalSet | None

    def reply(self) -> Match | None:
        """Return what answers this, or None where nothing does (facts/devices.md sections 6.1 and 6.2).

        TCP: the ports swapped and ACK or RST set, never a blanket permit. ICMP: the answers of the requests; errors are no
        answers and have lines of their own. Other protocols: the same with ports swapped.
        """
        if self.protocol in ICMP_ANSWERS:
            detail = _answers(self.protocol, self.detail)
            return Match(self.protocol, None, None, detail) if detail else None
        return Match(self.protocol, self.client_ports, self.server_ports, ESTABLISHED if self.protocol == TCP else None)


def _answers(protocol: int, detail: IntervalSet | None) -> IntervalSet:
    """Return the ICMP types (with any code) that answer the requests in ``detail``; the two usual ones where any message is meant."""
    kinds: Iterable[int] = USUAL_ANSWERS[protocol]
    if detail is not None:
        kinds = [answer for request, answer in ICMP_ANSWERS[protocol].items() if detail.contains(request * 256)]
    return IntervalSet.of(*((kind * 256, kind * 256 + 255) for kind in kinds))


def addresses_of(prefixes: Iterable[str], family: int) -> IntervalSet:
    """Return the addresses of prefixes and single addresses that belong to one family (4 or 6)."""
    return _address_set(tuple(prefixes), family)


@lru_cache(maxsize=16384)
def _address_set(prefixes: tuple[str, ...], family: int) -> IntervalSet:
    ranges = [span_of(text) for text in prefixes]
    return IntervalSet.of(*((low, high) for version, low, high in ranges if version == family))


def member_addresses(site: Site, segment: str, family: int) -> IntervalSet:
    """Return the addresses that the membership lock gives a segment's devices, one family; kept with the site, since all ask."""
    kept = kept_of_members(site)
    found: IntervalSet | None = kept.get((segment, family))
    if found is None:
        own: dict[int, list[Pair]] = {4: [], 6: []}
        for member in site.members.get(segment, ()):
            for version, low, high in map(span_of, member.addresses):
                own[version].append((low, high))
        for each, pairs in own.items():
            kept[segment, each] = IntervalSet.of(*pairs)
        found = kept[segment, family]
    return found


@dataclass(frozen=True)
class Holders:
    """Who the lock has at each address: ``first`` the first segment and device, ``several`` all segments of those that are in several."""

    first: Mapping[Place, tuple[str, Member]]
    several: Mapping[Place, frozenset[str]]

    def at(self, place: Place) -> frozenset[str]:
        """Return the segments with a device at an address."""
        found = self.several.get(place)
        if found is None:
            first = self.first.get(place)
            found = frozenset() if first is None else frozenset((first[0],))
        return found


def holders_of_addresses(site: Site) -> Holders:
    """Return who the lock has at each address; kept with the membership."""
    kept = kept_of_members(site)
    known: Holders | None = kept.get("holders")
    if known is not None:
        return known
    first: dict[Place, tuple[str, Member]] = {}
    several: dict[Place, frozenset[str]] = {}
    for segment, members in site.members.items():
        for member in members:
            for text in member.addresses:
                place = span_of(text)[:2]
                holder = first.setdefault(place, (segment, member))[0]
                if holder != segment:
                    several[place] = several.get(place, frozenset((holder,))) | {segment}
    found = kept["holders"] = Holders(first, several)
    return found


def addresses_of_name(site: Site, name: str, family: int) -> IntervalSet | None:
    """Return the addresses of a segment, ``zone:NAME``, network set or ``any`` (None); KeyError for unknown names."""
    if name == ANY:
        return None
    if name in site.segments:
        return member_addresses(site, name, family)
    if name.startswith("zone:"):
        return addresses_of(site.zones[name.removeprefix("zone:")].subnets, family)
    return addresses_of(site.networks[name].prefixes, family)


def ends_of(site: Site, client: str, server: str) -> Iterator[Ends]:
    """Yield the pairs of client and server addresses, by family, where both sides have some."""
    for family in (4, 6):
        client_set = addresses_of_name(site, client, family)
        server_set = addresses_of_name(site, server, family)
        if (client_set is None or client_set) and (server_set is None or server_set):
            yield Ends(family, client_set, server_set)


def matches_of(site: Site, services: Iterable[str], family: int) -> Iterator[tuple[str, Match]]:
    """Yield service name and match for each protocol of the named services that exists in the family."""
    for name in services:
        service = site.services[name]
        for match in service.matches:
            if match.protocol in ICMP_PROTOCOLS.values():
                if match.protocol == ICMP_PROTOCOLS[family]:
                    yield name, Match(match.protocol, None, None, _icmp_detail(match.icmp_type, match.icmp_code))
                continue
            ports = IntervalSet.of(*match.ports) if match.ports else None
            client_ports = IntervalSet.of(*match.client_ports) if match.client_ports else None
            if service.symmetric and client_ports is None:
                client_ports = ports
            yield name, Match(match.protocol, ports, client_ports, None)


def _icmp_detail(icmp_type: int | None, icmp_code: int | None) -> IntervalSet | None:
    if icmp_type is None:
        return None
    if icmp_code is None:
        return IntervalSet.of((icmp_type * 256, icmp_type * 256 + 255))
    return IntervalSet.of((icmp_type * 256 + icmp_code, icmp_type * 256 + icmp_code))


def dhcp_servers(site: Site, family: int = 4) -> IntervalSet:
    """Return the addresses of the site's lease servers (``defaults.bootstrap.dhcp_servers``), empty where none is named."""
    name = site.defaults.get("bootstrap", {}).get("dhcp_servers", "")
    return (addresses_of_name(site, name, family) if name else None) or IntervalSet()
