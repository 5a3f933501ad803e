# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists at routed interfaces (router ACL of an SVI), in and out: stateless, for packets that leave a subnet or are routed to it.

Traffic inside the subnet is never seen (facts/devices.md section 6.1), and what the router sends itself passes no list of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import head_of, lazy_list
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.index import FAMILIES, SiteIndex
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.keys import keys_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.lines import (
    DHCP_CLIENT,
    DHCP_SERVER,
    DHCPV6_CLIENT,
    DHCPV6_SERVER,
    UDP,
    ListBuilder,
    add_access_bootstrap,
    add_icmp_errors,
    closing_ace,
    forward_ace,
    reply_aces,
    rule_label,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.management import add_management
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Origin, PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.naming import owned_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import Match, addresses_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    Assignment,
    EnforcementPoint,
    Rule,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.outline import use_of

SHOWN = 5
DIRECTIONS = ("in", "out")


def gateway_lists(
    index: SiteIndex, point: EnforcementPoint, assignments: Sequence[Assignment]
) -> tuple[list[PointList], list[Finding]]:
    """Return the lists of every routed interface of a point that has assigned devices behind it, and what it does not see."""
    lists: list[PointList] = []
    findings: list[Finding] = []
    reached: dict[int, IntervalSet] = {4: IntervalSet(), 6: IntervalSet()}
    inside: dict[str, None] = {}
    for gateway in point.options.get("gateways", ()):
        for family in FAMILIES:
            subnet = addresses_of(gateway["subnets"], family)
            reached[family] = reached[family].union(subnet)
            here = [a for a in assignments if index.members(a.segment, family).overlaps(subnet)]
            if not here:
                continue
            interface = _Interface(index, point, gateway, family, subnet, tuple(here))
            inside |= dict.fromkeys(interface.inside())
            lists += [interface.kept_list(direction) for direction in gateway.get("directions", DIRECTIONS)]
    for assignment in assignments:
        missed = sum(index.members(assignment.segment, f).subtract(reached[f]).size for f in FAMILIES)
        if missed:
            text = f"segment {assignment.segment}: {missed} addresses are behind no interface of {point.id}"
            findings.append(codes.MEMBERS_ELSEWHERE.at(text, assignment.location))
    if inside:
        names = list(inside)
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        text = f"{point.id} does not see {len(names)} rules inside one subnet: {', '.join(names[:SHOWN])}{more}"
        findings.append(codes.SAME_SUBNET.at(text, point.location))
    return lists, findings


def interface_list_name(interface: str, direction: str, family: int) -> str:
    """Return the name of the list of an interface; interfaces that differ in punctuation only get different names."""
    clean = re.sub(r"[^A-Za-z0-9]", "_", interface)
    parts = [clean, direction] + (["v6"] if family == 6 else [])
    if clean != interface:
        parts.append(owned_name(interface.replace("/", "_s_").replace(".", "_d_").replace(":", "_c_"), "x")[-8:])
    return owned_name(*parts)


@dataclass(frozen=True)
class _Interface:
    """One family at a routed interface, with the assignments of the segments that have devices behind it."""

    index: SiteIndex
    point: EnforcementPoint
    gateway: Mapping[str, Any]
    family: int
    subnet: IntervalSet
    here: tuple[Assignment, ...]

    def _key(self, what: str) -> str:
        return keys_of(self.index).gateway(self.point, self.gateway, what, self.family, self.here)

    def _made(self, direction: str) -> PointList:
        return _gateway_list(self.index, self.point, self.gateway, direction, self.family, self.subnet, self.here)

    def kept_list(self, direction: str) -> PointList:
        """Return the list of a direction, its lines left out where the cache knows it."""
        cache = self.index.cache
        if cache is None:
            return self._made(direction)
        key = self._key(direction)
        known: PointList | None = cache.made.get(key)
        if known is None:
            entry = cache.get(key)
            if entry is None:
                known = self._made(direction)
                known.__dict__.update(_entry=cache.put(key, {"head": head_of(known)}), _key=key)
            else:
                head = {**entry["head"], "interfaces": tuple(entry["head"]["interfaces"])}
                known = lazy_list(head, entry, partial(self._made, direction), key)
            cache.made[key] = known
        return known

    def inside(self) -> list[str]:
        """Return the ids of the rules that the interface does not see, kept as the lists are."""
        cache = self.index.cache
        if cache is None:
            return _inside(self.index, self.family, self.subnet, self.here)
        key = self._key("inside")
        entry = cache.get(key)
        if entry is None:
            entry = cache.put(key, {"inside": _inside(self.index, self.family, self.subnet, self.here)})
        found: list[str] = entry["inside"]
        return found


def _inside(index: SiteIndex, family: int, subnet: IntervalSet, here: Sequence[Assignment]) -> list[str]:
    """Return the rules of assigned segments that have both ends in the subnet, in part or whole."""
    found = []
    for assignment in here:
        for rule in index.site.segments[assignment.segment].allow:
            server = index.addresses(rule.to, family)
            if server is not None and index.clients(rule, family).overlaps(subnet) and server.overlaps(subnet):
                found.append(rule.id)
    return found


def _gateway_list(
    index: SiteIndex,
    point: EnforcementPoint,
    gateway: Mapping[str, Any],
    direction: str,
    family: int,
    subnet: IntervalSet,
    here: Sequence[Assignment],
) -> PointList:
    """Return one list. Order: bootstrap, management, rules and answers, then deny for enforced devices, permit for all others."""
    inbound = direction == "out"
    own = {a.segment: index.members(a.segment, family).intersect(subnet) for a in here}
    everyone = IntervalSet.of(*(pair for addresses in own.values() for pair in addresses.pairs))
    builder = ListBuilder()
    _add_bootstrap(builder, index, point, family, inbound, everyone)
    add_management(builder, index, family, everyone, inbound, addressed=True)
    for rule in _concerned(index, family, own):
        _add_rule(builder, index, rule, family, everyone, inbound)
    for stages, permit in ((("enforce",), False), (("monitor",), True)):
        for assignment in here:
            if assignment.stage in stages:
                ends = {"destination" if inbound else "source": own[assignment.segment]}
                way = "to" if inbound else "from"
                ace = closing_ace(family, permit, f"default-{way}-{assignment.segment}", **ends)
                builder.add(ace, Origin("default", location=assignment.location))
    builder.add(closing_ace(family, True), Origin("default", location=point.location))
    return PointList(
        point=point.id,
        kind="router_acl",
        platform=point.platform,
        host=point.host,
        name=interface_list_name(gateway["interface"], direction, family),
        stage="enforce" if any(a.stage == "enforce" for a in here) else "monitor",
        aces=tuple(builder.aces),
        default_permit=True,
        stateful=False,
        interfaces=(gateway["interface"],),
        origins=builder.origins,
        family=family,
        direction=direction,
    )


def _add_bootstrap(
    builder: ListBuilder, index: SiteIndex, point: EnforcementPoint, family: int, inbound: bool, own: IntervalSet
) -> None:
    """In: what a device sends to its router. Out: leases from a server elsewhere, and errors; the router's own packets pass no list."""
    if not inbound:
        serves = own.overlaps(index.leases(family))
        add_access_bootstrap(builder, point.location, serves, family, groups=True)
        return
    if family == 4:
        origin = Origin("bootstrap", location=point.location)
        builder.add(forward_ace(4, Match(UDP, DHCP_CLIENT, DHCP_SERVER, None), None, None, "bootstrap-lease"), origin)
        if own.overlaps(index.dhcp):
            match = Match(UDP, DHCP_SERVER, DHCP_SERVER.union(DHCP_CLIENT), None)
            builder.add(forward_ace(4, match, None, own.intersect(index.dhcp), "bootstrap-dhcp"), origin)
    elif own.overlaps(index.dhcp_six):
        # What relays forward (RFC 8415 section 7.2), and renewals that are sent to the server itself.
        origin = Origin("bootstrap", location=point.location)
        match = Match(UDP, DHCPV6_SERVER, DHCPV6_SERVER.union(DHCPV6_CLIENT), None)
        builder.add(forward_ace(6, match, None, own.intersect(index.dhcp_six), "bootstrap-dhcp"), origin)
    add_icmp_errors(builder, point.location, family)


def _concerned(index: SiteIndex, family: int, own: Mapping[str, IntervalSet]) -> list[Rule]:
    """Return the rules with an end among the list's devices, the most used first, then by client segment and file order."""
    found = {id(rule): rule for name in own for rule in index.site.segments[name].allow}
    found |= {id(rule): rule for name in own for rule in index.rules_to(name, family)}
    return sorted(found.values(), key=lambda rule: (use_of(rule), index.place_of(rule)))


def _add_rule(builder: ListBuilder, index: SiteIndex, rule: Rule, family: int, own: IntervalSet, inbound: bool) -> None:
    client, server = index.clients(rule, family), index.addresses(rule.to, family)
    if not client or (server is not None and not server):
        return
    my_clients = client.intersect(own)
    my_servers = own if server is None else server.intersect(own)
    forward, reply = rule_label("rule", rule.id), rule_label("reply", rule.id)
    for match in index.matches(rule.services, family):
        if inbound and my_servers:
            builder.add(forward_ace(family, match, client, my_servers, forward), Origin("rule", rule.id, rule.location))
        elif not inbound and my_clients:
            builder.add(forward_ace(family, match, my_clients, server, forward), Origin("rule", rule.id, rule.location))
        answers = []
        if inbound and my_clients:
            answers = reply_aces(family, match, server, my_clients, reply)
        elif not inbound and my_servers:
            answers = reply_aces(family, match, my_servers, client, reply)
        for ace in answers:
            builder.add(ace, Origin("reply", rule.id, rule.location))
