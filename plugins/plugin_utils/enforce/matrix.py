# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TrustSec egress matrix: one stateless, address-free list per cell, with its reply lines in the reverse cell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import lazy_list, only_closes
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.index import SiteIndex
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.keys import keys_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.lines import (
    ListBuilder,
    add_icmp_errors,
    closing_ace,
    forward_ace,
    reply_aces,
    rule_label,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.management import Flow, management_flows
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Origin, PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.naming import cell_name, group_name, owned_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import Match
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.cells import weaker
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    STAGES,
    Assignment,
    EnforcementPoint,
    Rule,
)

SHOWN = 5
# Unicast neighbour solicitations and advertisements: without them devices of one subnet lose each other (RFC 4861 section 7.3).
NEIGHBOURS = Match(58, None, None, IntervalSet.of((135 * 256, 135 * 256 + 255), (136 * 256, 136 * 256 + 255)))
# Entries for policies and cells of a UADP 2.0 switch, each ASIC (facts/devices.md section 4.1).
POLICIES_PER_ASIC = 256
CELLS_PER_ASIC = 8192


def matrix_lists(
    index: SiteIndex,
    point: EnforcementPoint,
    assignments: Sequence[Assignment],
    own: Mapping[tuple[str, str], str] | None = None,
) -> tuple[list[PointList], list[Finding]]:
    """Return one list per ordered pair of the assigned segments, its own cell included.

    A cell takes the weaker stage of its two segments where ``own`` does not say another; none is written for one that is only observed.
    Its lines are the same at every stage. It always ends in an explicit line, because a packet that
    matches nothing may be permitted (facts/ise.md section 4). Default deny is built per segment in this way and never
    by the ANY-ANY cell. The number of cells is the square of the number of segments.
    """
    by_name = {assignment.segment: assignment for assignment in assignments}
    stages = own or {}
    lists, findings = _family_lists(index, point, by_name, sorted(by_name), 4, stages)
    if point.options.get("ipv6"):
        six = [name for name in sorted(by_name) if index.members(name, 6)]
        more, found = _family_lists(index, point, by_name, six, 6, stages)
        lists += more
        findings = list(dict.fromkeys([*findings, *found]))
    for name, assignment in sorted(by_name.items()) if not point.options.get("ipv6") else ():
        if index.members(name, 6):
            text = f"segment {name} has IPv6 addresses, and the cells of {point.id} filter IPv4 only"
            findings.append(codes.IPV6_NOT_FILTERED.at(text, assignment.location))
    return lists, findings + _size_findings(point, lists)


def _family_lists(
    index: SiteIndex,
    point: EnforcementPoint,
    by_name: Mapping[str, Assignment],
    names: Sequence[str],
    family: int,
    own: Mapping[tuple[str, str], str],
) -> tuple[list[PointList], list[Finding]]:
    """Return the list of each ordered pair of the named segments in a family.

    IPv6 has lists of its own in the same cells, since the IP version of an SGACL must never change (facts/ise.md section 4).
    """
    rules, findings = _rules_by_cell(index, point, names, family)
    managed = _management_cells(index, names, family)
    lists: list[PointList] = []
    weakest = {(a, b): weaker(a, b) for a in STAGES for b in STAGES}
    groups = {name: group_name(index.site, name) for name in names}
    # Most cells of a large matrix hold nothing but their end.
    some = {*rules, *managed}
    some |= {pair[::-1] for pair in some}
    closed = _Closed(index, point, family) if index.cache is not None else None
    for source in names:
        first, group = by_name[source].stage, groups[source]
        for destination in names:
            pair = source, destination
            stage = (own.get(pair) if own else None) or weakest[first, by_name[destination].stage]
            if stage == "observe":
                continue
            cell = f"{group}-{groups[destination]}"
            made = closed.known(pair, stage, cell) if closed is not None and pair not in some else None
            lists.append(made or _kept_cell(index, point, pair, rules, managed, stage, family, cell))
    return lists, findings


class _Closed:
    """The cells of a point without a rule and without a management conversation that the cache knows: what ``_kept_cell`` says of them."""

    def __init__(self, index: SiteIndex, point: EnforcementPoint, family: int) -> None:
        self._index, self._point, self._family = index, point, family
        self._cache = index.cache
        keys = keys_of(index)
        self._here: dict[tuple[str, str], tuple[EnforcementPoint, str, str, PointList]]
        self._here = keys.closed_cells.setdefault((point.id, family), {})
        self._key = keys.closed_cell(point, family)

    def known(self, pair: tuple[str, str], stage: str, name: str) -> PointList | None:
        """Return the list of a cell, None where it is made for the first time."""
        found = self._here.get(pair)
        if found is not None and found[0] is self._point and found[1] == stage and found[2] == name:
            return found[3]
        key = self._key(pair, stage)
        entry = self._cache.get(key) if self._cache is not None else None
        if entry is None or self._cache is None:
            return None
        made: PointList | None = self._cache.made.get((key, name))
        if made is None:
            head = _head(name, self._point, pair, stage, self._family)
            make = partial(_cell, self._index, self._point, pair, {}, {}, stage, self._family)
            made = self._cache.made[key, name] = lazy_list(head, entry, make, key)
        self._here[pair] = self._point, stage, name, made
        return made


def _rules_by_cell(
    index: SiteIndex, point: EnforcementPoint, names: Sequence[str], family: int
) -> tuple[dict[tuple[str, str], list[Rule]], list[Finding]]:
    """Return the rules of each (client, server) pair.

    A rule to a network set belongs to every segment that has devices in it. A cell has no addresses, so it permits the rule for
    all devices of that segment; cutting the rule's own devices would be worse, and a finding says so. A rule for some devices belongs to
    the cells of the families in which these have addresses.
    """
    site = index.site
    found: dict[tuple[str, str], list[Rule]] = defaultdict(list)
    findings: list[Finding] = []
    known = set(names)
    untagged: list[str] = []
    for client in names:
        for rule in index.allowed(client):
            if rule.devices and not index.clients(rule, family):
                continue  # none of its devices speaks this family: the cell would permit it to others alone
            wider = []
            target = index.addresses(rule.to, family)
            servers = [rule.to] if rule.to in site.segments else index.touched(rule.to, family)
            if not all(server in known for server in servers) or (
                rule.to not in site.segments and _beyond(index, rule, family)
            ):
                untagged.append(rule.id)
            for server in servers:
                if server not in known:
                    continue
                found[client, server].append(rule)
                if (
                    rule.to not in site.segments
                    and target is not None
                    and not target.covers(index.members(server, family))
                ):
                    wider.append(server)
            if wider:
                shown = ", ".join(wider[:SHOWN]) + (f" and {len(wider) - SHOWN} more" if len(wider) > SHOWN else "")
                text = f"rule {rule.id}: cells at {point.id} permit it to devices of {shown} that are not in {rule.to}"
                findings.append(codes.CELL_WIDER.at(text, rule.location))
            if rule.devices:
                text = f"rule {rule.id}: cells at {point.id} permit it to all devices of {client}, not only to those it names"
                findings.append(codes.WIDER_DEVICES.at(text, rule.location))
    if family == 4:
        outside = (item for item in site.networks.values() if item.allow)
        untagged += [rule.id for item in outside for rule in item.allow if rule.to in known]
    if untagged:
        more = f" and {len(untagged) - SHOWN} more" if len(untagged) > SHOWN else ""
        text = f"{point.id} does not judge {len(untagged)} rules, in part or whole, whose ends are not both in cells: "
        findings.append(codes.UNTAGGED.at(text + ", ".join(untagged[:SHOWN]) + more, point.location))
    return found, findings


def _size_findings(point: EnforcementPoint, lists: Sequence[PointList]) -> list[Finding]:
    """Return a warning where a switch that serves all the groups could not hold the matrix; cells that only deny share one policy."""
    closed = sum(1 for listing in lists if only_closes(listing))  # never an IPv6 list, which passes neighbour discovery
    policies = len(lists) - closed + min(closed, 1)
    findings = []
    for used, limit, what in ((policies, POLICIES_PER_ASIC, "policies"), (len(lists), CELLS_PER_ASIC, "cells")):
        if used > limit:
            text = f"the matrix at {point.id} has {used} {what}; a switch that serves all its groups holds {limit} on one ASIC"
            findings.append(codes.MATRIX_TOO_LARGE.at(text, point.location))
    return findings


def _beyond(index: SiteIndex, rule: Rule, family: int) -> bool:
    """Return whether a network set holds more addresses than those of devices: what is there has no tag that the lock knows."""
    target = index.addresses(rule.to, family)
    if target is None:
        return True
    inside = [index.members(name, family) for name in index.touched(rule.to, family)]
    return bool(target.subtract(IntervalSet.of(*(pair for part in inside for pair in part.pairs))))


def _management_cells(index: SiteIndex, names: Sequence[str], family: int) -> dict[tuple[str, str], list[Flow]]:
    """Return the management conversations of each (client, server) pair of segments."""
    found: dict[tuple[str, str], list[Flow]] = defaultdict(list)
    for flow in management_flows(index, family):
        ends = [
            [n for n in names if side is None or side.overlaps(index.members(n, family))]
            for side in (flow.client, flow.server)
        ]
        for client in ends[0]:
            for server in ends[1]:
                found[client, server].append(flow)
    return found


def _kept_cell(
    index: SiteIndex,
    point: EnforcementPoint,
    pair: tuple[str, str],
    rules: dict[tuple[str, str], list[Rule]],
    managed: dict[tuple[str, str], list[Flow]],
    stage: str,
    family: int,
    name: str,
) -> PointList:
    """Return a cell's list, its lines left out where the cache knows it. ``name``: what ISE calls the cell, which its key does not know."""
    if index.cache is None:
        return _cell(index, point, pair, rules, managed, stage, family)
    back = pair[::-1]
    parts = rules.get(pair, ()), rules.get(back, ())
    flows = managed.get(pair, ()), managed.get(back, ())
    keys = keys_of(index)
    # Of sites with the same addresses and services a cell is known by its rules, where no management conversation belongs to it.
    place, inputs = (point.id, pair, family), (point, parts, stage, name)
    known = keys.cells.get(place)
    if known is not None and known[0] == inputs and not any(flows):
        found: PointList = known[1]
        return found
    key = keys.cell(point, pair if family == 4 else (*pair, "ipv6"), parts, stage, flows)
    made: PointList | None = index.cache.made.get((key, name))
    if made is None:
        entry = index.cache.get(key)
        if entry is not None:
            head = _head(name, point, pair, stage, family)
            made = lazy_list(head, entry, lambda: _cell(index, point, pair, rules, managed, stage, family), key)
        else:
            made = _cell(index, point, pair, rules, managed, stage, family)
            made.__dict__.update(_entry=index.cache.put(key, {"closed": len(made.aces) == 1}), _key=key)
        index.cache.made[key, name] = made
    if not any(flows):
        keys.cells[place] = inputs, made
    return made


def _head(cell: str, point: EnforcementPoint, pair: tuple[str, str], stage: str, family: int) -> dict[str, Any]:
    return {
        "point": point.id,
        "kind": "sgacl",
        "platform": point.platform,
        "host": point.host,
        "name": owned_name(*pair) if family == 4 else owned_name(*pair, "v6"),
        "stage": stage,
        "default_permit": False,
        "stateful": False,
        "segment": pair[0],
        "peer": pair[1],
        "interfaces": (),
        "family": family,
        "direction": "in",
        "cell": cell,
    }


def _cell(
    index: SiteIndex,
    point: EnforcementPoint,
    pair: tuple[str, str],
    rules: dict[tuple[str, str], list[Rule]],
    managed: dict[tuple[str, str], list[Flow]],
    stage: str,
    family: int,
) -> PointList:
    source, destination = pair
    builder = ListBuilder()
    if family == 6:
        builder.add(forward_ace(6, NEIGHBOURS, None, None, "icmp-neighbours"), Origin("icmp", location=point.location))
    for flow in managed.get((source, destination), ()):
        for match in flow.matches:
            origin = Origin("management", location=flow.point.location)
            builder.add(forward_ace(family, match, None, None, f"{flow.label}-{flow.point.id}"), origin)
    for flow in managed.get((destination, source), ()):
        for match in flow.matches:
            for ace in reply_aces(family, match, None, None, f"{flow.label}-{flow.point.id}"):
                builder.add(ace, Origin("management", location=flow.point.location))
    for rule in rules.get((source, destination), ()):
        for match in index.matches(rule.services, family):
            ace = forward_ace(family, match, None, None, rule_label("rule", rule.id))
            builder.add(ace, Origin("rule", rule.id, rule.location))
    for rule in rules.get((destination, source), ()):
        for match in index.matches(rule.services, family):
            for ace in reply_aces(family, match, None, None, rule_label("reply", rule.id)):
                builder.add(ace, Origin("reply", rule.id, rule.location))
    if family == 6 or builder.aces or (source, destination) in rules or (destination, source) in rules:
        add_icmp_errors(builder, point.location, family)
    # A MONITOR cell forwards whatever its list says; the list itself is the one that will be enforced.
    builder.add(closing_ace(family, permit=False), Origin("default", location=point.location))
    head = _head(cell_name(index.site, *pair), point, pair, stage, family)
    return PointList(aces=tuple(builder.aces), origins=builder.origins, **head)
