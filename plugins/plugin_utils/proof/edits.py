# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For recorded traffic that would be cut and looks legitimate: the smallest edit of the rules that admits it, and what else it admits.

Smallest means least permission: a service that is exactly the port seen before a wider one, one segment before a network. An edit
is a proposal for its owner; that a guardrail forbids it or a conduit is missing is said beside it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import addresses_of_name, matches_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Rule, Service, ServiceMatch, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ranges import end_ranges, overlap, ranges_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.conversations import (
    conversation_boxes,
    rule_boxes,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.replay import (
    PROTOCOL_NAMES,
    CutConversation,
    CutGroup,
)

EDIT_LIMIT = 50
ADD_SERVICE, ADD_RULE = "add the service to the rule", "add a rule"


@dataclass(frozen=True)
class Edit:
    """One edit: what to do, the rule as it would be, and the permission that comes with it beyond what was seen.

    ``pairs`` and ``seen_pairs`` count pairs of devices that the edit permits and at least how many of them spoke; ``ports`` how many ports
    the service has. ``new_service`` is set where no service of the site is that port alone.
    """

    client: str
    server: str
    action: str
    rule: Rule
    service: str
    new_service: Service | None
    pairs: int
    seen_pairs: int
    ports: int
    conversations: int
    flows: int
    owner: str
    forbidden_by: tuple[str, ...] = ()
    conduit_missing: bool = False
    to_network: bool = False

    @property
    def admits(self) -> str:
        """What else the edit admits, as text."""
        parts = []
        if self.pairs > self.seen_pairs:
            what = "a device and an address" if self.to_network else "devices"
            parts.append(f"{self.pairs - self.seen_pairs} more pairs of {what} that were not seen to speak it")
        if self.ports > 1:
            parts.append(f"{self.ports} ports where one was seen")
        text = " and ".join(parts) or "nothing else"
        if self.forbidden_by:
            text += f"; guardrail {', '.join(self.forbidden_by)} forbids it"
        return text + ("; a conduit between the zones is missing" if self.conduit_missing else "")

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for results and reports."""
        made: dict[str, Any] = {
            "client": self.client,
            "server": self.server,
            "action": self.action,
            "rule": self.rule.id,
            "service": self.service,
            "services": list(self.rule.services),
            "admits": self.admits,
            "conversations": self.conversations,
            "flows": self.flows,
            "owner": self.owner,
            "forbidden_by": list(self.forbidden_by),
            "conduit_missing": self.conduit_missing,
        }
        if self.new_service is not None:
            match = self.new_service.matches[0]
            ports = [f"{low}" if low == high else f"{low}-{high}" for low, high in match.ports]
            made["new_service"] = {"name": self.new_service.name, "protocol": match.protocol, "ports": ports}
        return made


def smallest_edits(site: Site, groups: Sequence[CutGroup], cuts: Sequence[CutConversation] = ()) -> list[Edit]:
    """Return an edit for each kind of cut conversation without doubt whose two ends are segments, the gravest first, at most EDIT_LIMIT.

    ``cuts`` are single conversations: where a segment's device opened to an address that is no device's, and a network set of the site
    holds it, the smallest such set is the end of a rule. Where none holds it nothing is proposed: nobody has said what is there.
    """
    made: list[Edit] = []
    known: set[tuple[str, str, int, int]] = set()
    space = PacketSpace()
    for group in (*groups, *_to_networks(site, cuts)):
        key = (group.client_segment, group.server_segment, group.protocol, group.port)
        if group.doubt or not group.client_segment or not group.server_segment or group.rules or key in known:
            continue
        known.add(key)
        made.append(_edit(site, space, group))
        if len(made) >= EDIT_LIMIT:
            break
    return made


def _to_networks(site: Site, cuts: Sequence[CutConversation]) -> list[CutGroup]:
    """Return cut conversations from segments to addresses of network sets, alike ones together, in the order of the cuts."""
    sets = {
        name: {f: addresses_of_name(site, name, f) or IntervalSet() for f in (4, 6)} for name in sorted(site.networks)
    }
    alike: dict[tuple[str, str, int, int], list[CutConversation]] = defaultdict(list)
    for item in cuts:
        seen = item.conversation
        if not item.client_segment or item.server_segment or seen.suspect or seen.weak:
            continue
        holding = [
            (held[seen.family].size, name) for name, held in sets.items() if held[seen.family].contains(seen.server)
        ]
        if holding:
            alike[item.client_segment, min(holding)[1], seen.protocol, seen.server_port].append(item)
    return [
        CutGroup(
            client, network, protocol, port, items[0].point, items[0].line, "", items[0].owner, items[0].criticality, (), len(items),
            len({i.conversation.client for i in items}), len({i.conversation.server for i in items}),
            sum(i.conversation.flows for i in items), max(i.conversation.last_us for i in items),
        )
        for (client, network, protocol, port), items in alike.items()
    ]  # fmt: skip


def applied(site: Site, edit: Edit) -> Site:
    """Return the site with an edit made, so that it can be proved as any other."""
    segment = site.segments[edit.client]
    if edit.action == ADD_SERVICE:
        allow = tuple(edit.rule if rule.id == edit.rule.id else rule for rule in segment.allow)
    else:
        allow = (*segment.allow, edit.rule)
    services = site.services if edit.new_service is None else {**site.services, edit.service: edit.new_service}
    return replace(site, services=services, segments={**site.segments, edit.client: replace(segment, allow=allow)})


def _edit(site: Site, space: PacketSpace, group: CutGroup) -> Edit:
    service, made, ports = _service(site, group.protocol, group.port)
    segment = site.segments[group.client_segment]
    near = next((r for r in segment.allow if r.to == group.server_segment and not r.conditions and not r.devices), None)
    if near is not None:
        action, rule = ADD_SERVICE, replace(near, services=(*near.services, service))
    else:
        stem = f"{group.client_segment}-to-{group.server_segment}-{service}"
        taken = {item.id for item in site.rules()}
        name = next(n for n in (stem, *(f"{stem}-{number}" for number in range(2, 10_000))) if n not in taken)
        action = ADD_RULE
        rule = Rule(name, segment.name, group.server_segment, (service,), "recorded traffic", "learned", segment.owner)
    clients, servers = len(site.members.get(segment.name, ())), _size(site, group.server_segment)
    edited = replace(site, services={**site.services, service: made}) if made else site
    openers = space.from_boxes(rule_boxes(edited, replace(rule, services=(service,))).forward)
    forbidden = []
    for item in site.guardrails:
        if item.must == "never":
            never = conversation_boxes(site, item.client, item.server, item.services).forward
            if openers.overlaps(space.from_boxes(never)):
                forbidden.append(item.id)
    conduits = {(item.client, item.server) for item in site.conduits}
    linked = all(
        zone == segment.zone or (segment.zone, zone) in conduits for zone in _zones(site, group.server_segment)
    )
    seen = max(group.clients, group.servers)
    return Edit(
        group.client_segment, group.server_segment, action, rule, service, made, clients * servers, min(seen, clients * servers), ports,
        group.conversations, group.flows, group.owner, tuple(forbidden), not linked and bool(site.conduits),
        group.server_segment in site.networks,
    )  # fmt: skip


def _size(site: Site, name: str) -> int:
    """Return how many devices a segment has, or how many addresses a network set."""
    if name in site.segments:
        return len(site.members.get(name, ()))
    return sum((addresses_of_name(site, name, family) or IntervalSet()).size for family in (4, 6))


def _zones(site: Site, name: str) -> list[str]:
    """Return the zone of a segment, or the zones in which a network set has addresses."""
    if name in site.segments:
        return [site.segments[name].zone]
    own = end_ranges(site, name)
    return [zone for zone, item in site.zones.items() if overlap(own, ranges_of(item.subnets))]


def _service(site: Site, protocol: int, port: int) -> tuple[str, Service | None, int]:
    """Return the site's narrowest service that is this port and nothing else, or a new one; and how many ports it has."""
    best: tuple[int, str] | None = None
    for name in sorted(site.services):
        matches = [match for family in (4, 6) for _name, match in matches_of(site, (name,), family)]
        if not matches or any(match.protocol != protocol for match in matches):
            continue
        wanted = [match.detail if protocol in (1, 58) else match.server_ports for match in matches]
        sizes = [values.size if values is not None else 1 << 16 for values in wanted]
        if all(values is None or values.contains(port) for values in wanted) and all(
            m.client_ports is None for m in matches
        ):
            best = min(best or (1 << 20, ""), (max(sizes), name))
    if best is not None and best[0] == 1:
        return best[1], None, 1
    if protocol in (1, 58):
        if best is not None:
            return best[1], None, best[0]
        match = ServiceMatch(protocol, icmp_type=port >> 8, icmp_code=port & 255)
        return f"{PROTOCOL_NAMES[protocol]}-{port >> 8}-{port & 255}", Service("", (match,)), 1
    text = PROTOCOL_NAMES.get(protocol, f"protocol-{protocol}")
    name = f"{text}-{port}" if port else text
    ports = ((port, port),) if port and IntervalSet.of(6, 17).contains(protocol) else ()
    return name, Service(name, (ServiceMatch(protocol, ports),)), 1
