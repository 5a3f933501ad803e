# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stateful firewall between subnets: one entry for the opener's first packet, replies by connection tracking."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import (
    Pieces,
    findings_of,
    head_of,
    key_of,
    lazy_list,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.index import FAMILIES, SiteIndex
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.keys import keys_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.lines import (
    DHCP_CLIENT,
    DHCP_SERVER,
    DHCPV6_CLIENT,
    DHCPV6_SERVER,
    UDP,
    ListBuilder,
    add_icmp_errors,
    closing_ace,
    forward_ace,
    reply_aces,
    rule_label,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.management import management_flows
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Origin, PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.naming import owned_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import ICMP_PROTOCOLS, Ends, Match
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.sides import Sides, point_subnets, sides_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    Assignment,
    EnforcementPoint,
    Rule,
    Site,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.outline import Services, outline_of

SHOWN = 5


def firewall_list(
    index: SiteIndex, point: EnforcementPoint, assignments: Sequence[Assignment]
) -> tuple[PointList, list[Finding]]:
    """Return the forwarding list of a firewall.

    Order: permits of all management flows that cross it, DHCP, every rule that concerns an assigned segment and whose packets cross the
    point; then for segments at stage ``enforce`` a deny of everything else from them and to them; then a permit for the other
    assigned segments; then the point's default (``permit`` unless its option ``default`` is ``deny`` and a segment is enforced).
    An ASA does not track ICMP unless it inspects it, so its list has the answers and errors as well.
    """
    frame = _Frame.of(index, point, assignments)
    builder = frame.head()
    findings: list[Finding] = []
    inside: list[str] = []
    for segment in index.clients_by_name:
        builder.begin_part()
        found, unseen = _add_rules(index, point, frame.concern, segment, builder)
        findings += found
        inside += unseen
    builder.begin_part()
    frame.add_tail(builder)
    return frame.listing(builder), [*findings, *_inside_finding(point, inside)]


def kept_firewall_list(
    index: SiteIndex, point: EnforcementPoint, assignments: Sequence[Assignment]
) -> tuple[PointList, list[Finding]]:
    """Return the same as ``firewall_list``, its lines left out, made of the parts (one for each client segment) that the cache knows.

    The parts that it does not know are made now, as lists of their own with the same end, and proved by ``prove_rendering``.
    """
    if index.cache is None:
        return firewall_list(index, point, assignments)
    frame = _Frame.of(index, point, assignments)
    base = frame.head()
    findings: list[Finding] = []
    inside: list[str] = []
    parts: list[Part] = []
    pieces: dict[str, tuple[str, Callable[[], tuple[Ace, ...]]]] = {}
    only_end = base.part()
    frame.close(only_end)
    closing = len(only_end.aces)
    for segment in index.clients_by_name:
        if not outline_of(index.holder(segment)).ends:
            continue
        key = keys_of(index).firewall(point, frame.key(segment), segment)
        entry = index.cache.get(key)
        make = partial(_part, frame, base, segment)
        if entry is None:
            builder = base.part()
            found, unseen = _add_rules(index, point, frame.concern, segment, builder)
            known = {"findings": [f.as_dict() for f in found], "inside": unseen}
            entry = index.cache.put(key, known)
            frame.close(builder)
            make = partial(_same, frame.listing(builder))
        findings += findings_of(entry)
        inside += entry["inside"]
        parts.append((entry, make))
        pieces[segment] = (key, partial(_lines, make, closing))
    key = keys_of(index).frame(point, frame.inputs())
    known_frame = index.cache.get(key)
    if known_frame is None:
        known_frame = index.cache.put(key, {})
    # Situations with the same assignments have one frame; where a default stands in the files is no part of its key.
    framed = index.cache.made.setdefault(
        ("frame", key, frame.assignments, frame.others), cache(partial(_framed, frame, base))
    )
    whole = lazy_list(head_of(frame.listing(only_end)), {}, lambda: firewall_list(index, point, assignments)[0])
    whole.__dict__["_parts"] = [(known_frame, framed), *parts]
    answers, shared = _answers(index, pieces) if point.platform == "asa" else ({}, set())
    shared |= {name for name in pieces if name not in index.site.segments}
    whole.__dict__["_pieces"] = Pieces(framed, key, len(base.aces), pieces, tuple(sorted(shared)), answers)
    whole.__dict__["_end"] = frame.listing(only_end)
    return whole, [*findings, *_inside_finding(point, inside)]


def _answers(index: SiteIndex, clients: Iterable[str]) -> tuple[dict[str, tuple[str, ...]], set[str]]:
    """Return the segments from whose devices the answers of each client's ICMP are, and the clients whose answers may be from elsewhere."""
    pings: dict[Services, bool] = {}
    found: dict[str, tuple[str, ...]] = {}
    elsewhere: set[str] = set()
    for client in clients:
        outline = outline_of(index.holder(client))
        for services in outline.services - pings.keys():
            matches = (match for family in FAMILIES for match in index.matches(services, family))
            pings[services] = any(match.protocol in ICMP_PROTOCOLS.values() for match in matches)
        if not any(pings[services] for services in outline.services):
            continue
        servers = [to for to, end in outline.ends.items() if any(pings[services] for services in end.services)]
        found[client] = tuple(name for name in servers if name in index.site.segments)
        if len(found[client]) < len(servers):
            elsewhere.add(client)
    return found, elsewhere


Part = tuple[dict[str, Any], Callable[[], PointList]]


def _lines(make: Callable[[], PointList], closing: int) -> tuple[Ace, ...]:
    """Return the lines of a part without the end that it has as a list of its own."""
    return make().aces[:-closing]


def _same(listing: PointList) -> PointList:
    return listing


def _framed(frame: _Frame, base: ListBuilder) -> PointList:
    """Return what stands before and after the rules as a list of its own."""
    builder = base.part()
    builder.aces = list(base.aces)
    frame.add_tail(builder)
    return frame.listing(builder)


def _part(frame: _Frame, base: ListBuilder, segment: str) -> PointList:
    """Return the part of one client segment as a list of its own."""
    builder = base.part()
    _add_rules(frame.index, frame.point, frame.concern, segment, builder)
    frame.close(builder)
    return frame.listing(builder)


@dataclass(frozen=True)
class _Frame:
    """What stands before and after the rules of a firewall's list."""

    index: SiteIndex
    point: EnforcementPoint
    assignments: tuple[Assignment, ...]
    concern: _Concern
    default_permit: bool

    @classmethod
    def of(cls, index: SiteIndex, point: EnforcementPoint, assignments: Sequence[Assignment]) -> _Frame:
        enforced = any(a.stage == "enforce" for a in assignments)
        default_permit = point.options.get("default", "permit") != "deny" or not enforced
        concern = _Concern.of(index, point, assignments, default_permit)
        return cls(index, point, tuple(assignments), concern, default_permit)

    def key(self, segment: str) -> str:
        """Return the key of what the lines of a client segment depend on beside its rules."""
        always = self.concern.everything or segment in self.concern.segments
        return self._key_of_counting if always else self._key_of_servers

    @cached_property
    def _stands(self) -> tuple[object, ...]:
        ways = [
            ([(w.client, w.server, w.crosses) for w in sides.ways], sides.inside)
            for sides in self.concern.sides.values()
        ]
        return self.default_permit, point_subnets(self.index.site, self.point), ways

    @cached_property
    def _key_of_counting(self) -> str:
        """The key for segments whose rules always count."""
        return key_of(True, "", self._stands)

    @cached_property
    def _key_of_servers(self) -> str:
        """The key for segments whose servers decide."""
        assigned = sorted(self.concern.segments), [v.pairs for v in self.concern.addresses.values()]
        return key_of(False, assigned, self._stands)

    def inputs(self) -> tuple[object, ...]:
        """Return all that makes the lines before and after the rules, beside the point and what every list depends on."""
        names = keys_of(self.index)
        own = [(a.segment, a.stage, names.name(a.segment)) for a in (*self.assignments, *self.others)]
        return self._key_of_counting, own

    @cached_property
    def others(self) -> tuple[Assignment, ...]:
        """The observed segments of the point, where a default of deny must not cut them."""
        return () if self.default_permit else tuple(_observed(self.index.site, self.point))

    def head(self) -> ListBuilder:
        builder = ListBuilder()
        _add_management(self.index, self.point, self.concern, builder)
        _add_dhcp(self.index, self.point, builder)
        if self.point.platform == "asa":
            for family in FAMILIES:
                add_icmp_errors(builder, self.point.location, family)
        builder.end_of_head()
        return builder

    def add_tail(self, builder: ListBuilder) -> None:
        enforced = [a for a in self.assignments if a.stage == "enforce"]
        others = [*(a for a in self.assignments if a.stage != "enforce"), *self.others]
        for permit, group in ((False, enforced), (True, others)):
            for assignment in group:
                _add_segment_default(self.index, assignment, permit, builder)
        self.close(builder)

    def close(self, builder: ListBuilder) -> None:
        for family in (0,) if self.point.platform == "asa" else FAMILIES:
            builder.add(closing_ace(family, self.default_permit), Origin("default", location=self.point.location))

    def listing(self, builder: ListBuilder) -> PointList:
        point = self.point
        return PointList(
            point=point.id,
            kind="firewall",
            platform=point.platform,
            host=point.host,
            name=owned_name("forward") if point.platform == "asa" else str(point.options.get("table", "segwright")),
            stage="enforce" if any(a.stage == "enforce" for a in self.assignments) else "monitor",
            aces=tuple(builder.aces),
            default_permit=self.default_permit,
            stateful=True,
            origins=builder.origins,
            family=0,
        )


def _observed(site: Site, point: EnforcementPoint) -> list[Assignment]:
    """Return the observed segments of a point: a default of deny must not cut them before their time."""
    return [a for _name, a in sorted(site.assignments.items()) if point.id in a.points and a.stage == "observe"]


def _add_management(index: SiteIndex, point: EnforcementPoint, concern: _Concern, builder: ListBuilder) -> None:
    """Add the point's own management flows, and those of other points that cross it."""
    for family in FAMILIES:
        for flow in management_flows(index, family):
            own = flow.point.id == point.id
            if not own and not concern.sides[family].separates(flow.client, flow.server):
                continue
            label = flow.label if own else f"{flow.label}-{flow.point.id}"
            for match in flow.matches:
                ace = forward_ace(family, match, flow.client, flow.server, label)
                builder.add(ace, Origin("management", location=flow.point.location))


def _add_dhcp(index: SiteIndex, point: EnforcementPoint, builder: ListBuilder) -> None:
    """Pass unicast renewals, and what a relay behind the firewall forwards (it may speak from either port; RFC 2131 section 4.1)."""
    if index.dhcp:
        match = Match(UDP, DHCP_SERVER, DHCP_SERVER.union(DHCP_CLIENT), None)
        ace = forward_ace(4, match, None, index.dhcp, "bootstrap-dhcp")
        builder.add(ace, Origin("bootstrap", location=point.location))
    if index.dhcp_six:
        match = Match(UDP, DHCPV6_SERVER, DHCPV6_SERVER.union(DHCPV6_CLIENT), None)
        ace = forward_ace(6, match, None, index.dhcp_six, "bootstrap-dhcp")
        builder.add(ace, Origin("bootstrap", location=point.location))


@dataclass(frozen=True)
class _Concern:
    """Which rules belong into a firewall's list."""

    index: SiteIndex
    sides: dict[int, Sides]
    segments: frozenset[str]
    everything: bool
    known: dict[tuple[int, str], frozenset[int]]

    @classmethod
    def of(
        cls, index: SiteIndex, point: EnforcementPoint, assignments: Sequence[Assignment], default_permit: bool
    ) -> _Concern:
        names = frozenset(a.segment for a in assignments)
        sides = {f: sides_of(index.site, point, f) for f in FAMILIES}
        return cls(index, sides, names, not default_permit, {})

    @cached_property
    def addresses(self) -> Mapping[int, IntervalSet]:
        """The addresses of the assigned segments, by family."""
        members = self.index.members
        return {
            family: IntervalSet.of(*(pair for name in self.segments for pair in members(name, family).pairs))
            for family in FAMILIES
        }

    def assigned(self, rule: Rule, ends: Ends) -> bool:
        """Return whether a line for the rule can change what happens: without an assigned end the default passes it anyway."""
        if self.everything or rule.client in self.segments or rule.to in self.segments:
            return True
        assigned = self.addresses[ends.family]
        return bool(assigned) and (ends.server is None or ends.server.overlaps(assigned))

    def crosses(self, rule: Rule, ends: Ends) -> bool:
        """Return whether some packet of the rule crosses the firewall."""
        first = (
            frozenset(self.sides[ends.family].of(ends.client)) if rule.devices else self._of(ends.family, rule.client)
        )
        second = self._of(ends.family, rule.to)
        if not first or not second:
            return False
        return not (len(first) == 1 and first == second) or self.sides[ends.family].named(ends.client, ends.server)

    def _of(self, family: int, name: str) -> frozenset[int]:
        found = self.known.get((family, name))
        if found is None:
            addresses = self.index.addresses(name, family)
            found = self.known[family, name] = frozenset(self.sides[family].of(addresses))
        return found


def _ends(index: SiteIndex, rule: Rule) -> Iterator[Ends]:
    """Yield client and server addresses of a rule, by family, where both sides have some."""
    for family in FAMILIES:
        client, server = index.clients(rule, family), index.addresses(rule.to, family)
        if client and (server is None or server):
            yield Ends(family, client, server)


def _add_rules(
    index: SiteIndex, point: EnforcementPoint, concern: _Concern, segment: str, builder: ListBuilder
) -> tuple[list[Finding], list[str]]:
    """Add the rules of one client segment; return findings, and the rules that stay inside one subnet."""
    findings: list[Finding] = []
    inside: list[str] = []
    for rule in index.allowed(segment):
        all_ends = list(_ends(index, rule))
        if not all_ends:
            findings.append(
                codes.EMPTY_END.at(f"rule {rule.id}: {rule.client} or {rule.to} has no address", rule.location)
            )
        wanted = [ends for ends in all_ends if concern.assigned(rule, ends)]
        crossing = [ends for ends in wanted if concern.crosses(rule, ends)]
        if wanted and not crossing:
            inside.append(rule.id)
        for ends in crossing:
            _add_rule(index, point, rule, ends, builder)
    return findings, inside


def _inside_finding(point: EnforcementPoint, inside: Sequence[str]) -> list[Finding]:
    if not inside:
        return []
    more = f" and {len(inside) - SHOWN} more" if len(inside) > SHOWN else ""
    text = f"{point.id} does not see {len(inside)} rules whose ends share a subnet: {', '.join(inside[:SHOWN])}{more}"
    return [codes.SAME_SUBNET.at(text, point.location)]


def _add_rule(index: SiteIndex, point: EnforcementPoint, rule: Rule, ends: Ends, builder: ListBuilder) -> None:
    for match in index.matches(rule.services, ends.family):
        ace = forward_ace(ends.family, match, ends.client, ends.server, rule_label("rule", rule.id))
        builder.add(ace, Origin("rule", rule.id, rule.location))
        if point.platform == "asa" and match.protocol in ICMP_PROTOCOLS.values():
            for answer in reply_aces(ends.family, match, ends.server, ends.client, rule_label("reply", rule.id)):
                builder.add(answer, Origin("reply", rule.id, rule.location))


def _add_segment_default(index: SiteIndex, assignment: Assignment, permit: bool, builder: ListBuilder) -> None:
    for family in FAMILIES:
        own = index.members(assignment.segment, family)
        if not own:
            continue
        origin = Origin("default", location=assignment.location)
        builder.add(closing_ace(family, permit, f"default-from-{assignment.segment}", source=own), origin)
        builder.add(closing_ace(family, permit, f"default-to-{assignment.segment}", destination=own), origin)
