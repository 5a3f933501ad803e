# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A MUD file, the traffic that was seen and the policy, three ways: declared, seen, allowed.

Declared and allowed are exact sets of openers, so their difference holds for all packets. Seen is what the store recorded: it says
nothing about what did not happen in that time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.checks import difference_dicts
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import (
    addresses_of,
    addresses_of_name,
    matches_of,
    member_addresses,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSet, PacketSpace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import (
    ALL,
    IPV6,
    SYN,
    TCP,
    Box,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.effective import effective_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import NORMAL, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.binding import BoundRules
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.model import (
    DEVICE,
    ICMP,
    ICMPV6,
    Permission,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import OTHER_DEVICE, SeenConversation
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.verdict import Conversation

WHOLE = IntervalSet.single(0)
ICMP_OF = {4: ICMP, 6: ICMPV6}
FAMILY_PROTOCOLS = {4: IntervalSet.of((0, 255)), 6: IntervalSet.of((256, 511))}


@dataclass(frozen=True)
class SeenRow:
    """A recorded conversation of the segment's devices, and whether the maker declares it and the policy allows it."""

    conversation: SeenConversation
    by_device: bool
    declared: bool
    allowed: bool

    @property
    def counts(self) -> bool:
        """Whether it says something about the device.

        Asking for an address does not, nor does being scanned by others, nor what another device did that had the address then.
        """
        item = self.conversation
        return not item.bootstrap and item.suspect != OTHER_DEVICE and (self.by_device or not item.suspect)


@dataclass
class Conformance:
    """The three ways. ``declared`` has one value for each permission of the file whose peers are known."""

    declared: list[dict[str, Any]] = field(default_factory=list)
    seen: list[SeenRow] = field(default_factory=list)
    rules: list[dict[str, Any]] = field(default_factory=list)
    declared_not_allowed: list[dict[str, Any]] = field(default_factory=list)
    allowed_not_declared: list[dict[str, Any]] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Return conversations by what is true of them."""
        found = {"declared and allowed": 0, "declared, denied": 0, "not declared, allowed": 0, "neither": 0}
        names = {(True, True): 0, (True, False): 1, (False, True): 2, (False, False): 3}
        for row in self.seen:
            if not row.counts:
                continue
            found[list(found)[names[row.declared, row.allowed]]] += 1
        return found


def conformance(site: Site, segment: str, bound: BoundRules, history: Iterable[SeenConversation]) -> Conformance:
    """Return how declared, seen and allowed traffic of a segment relate."""
    made = Conformance()
    space = PacketSpace()
    current = effective_site(site, NORMAL)
    own = {family: member_addresses(current, segment, family) for family in (4, 6)}
    declared_sets = [
        (
            item.permission,
            item.names,
            space.from_boxes(_declared_boxes(current, own, bound, item.permission, item.names)),
        )
        for item in bound.permissions
    ]
    allowed_sets = [(rule, space.from_boxes(boxes)) for rule, boxes in _allowed_boxes(current, segment, own)]
    declared, allowed = space.union(s for _p, _n, s in declared_sets), space.union(s for _r, s in allowed_sets)
    rows = list(_seen_rows(own, history, declared, allowed))
    made.seen = rows
    for permission, names, packets in declared_sets:
        made.declared.append(
            {
                **_words(permission, names),
                "allowed": _share(packets, allowed),
                "seen": sum(row.conversation.flows for row in rows if _packet(row.conversation) in packets),
            }
        )
    for rule, packets in allowed_sets:
        made.rules.append({"rule": rule, "declared": _share(packets, declared)})
    made.declared_not_allowed = difference_dicts(declared - allowed)
    made.allowed_not_declared = difference_dicts(allowed - declared)
    return made


def _share(packets: PacketSet, of: PacketSet) -> str:
    if not packets:
        return "no addresses"
    if packets.is_subset_of(of):
        return "yes"
    return "partly" if packets.overlaps(of) else "no"


def _words(permission: Permission, names: Sequence[str]) -> dict[str, Any]:
    return {
        "entry": permission.entry,
        "peers": [str(peer) for peer in permission.peers] or ["any"],
        "names": list(names),
        "opener": permission.opener,
        "protocol": permission.protocol,
        "ports": [list(pair) for pair in permission.server_ports.pairs] if permission.server_ports else [],
        "file": permission.location.file,
        "line": permission.location.line,
    }


def _declared_boxes(
    site: Site,
    own: Mapping[int, IntervalSet],
    bound: BoundRules,
    permission: Permission,
    names: Sequence[str],
) -> list[Box]:
    family, boxes = permission.family, []
    protocols = [permission.protocol]
    for name in names:
        if name in bound.networks:
            value = bound.networks[name]
            hosts = [text for host in value.get("names", ()) for text in host["addresses"]]
            peers: IntervalSet | None = addresses_of([*value.get("prefixes", ()), *hosts], family)
        else:
            peers = addresses_of_name(site, name, family)
        everything = ALL["source"] if family == 6 else IntervalSet.of((0, (1 << 32) - 1))
        other = everything if peers is None else peers
        client, server = (own[family], other) if permission.opener == DEVICE else (other, own[family])
        for protocol in protocols:
            boxes.append(
                _box(
                    family, protocol, client, server, permission.server_ports, permission.client_ports,
                    _icmp(permission.icmp),
                )
            )  # fmt: skip
    return boxes


def _icmp(message: tuple[int, int | None] | None) -> IntervalSet | None:
    if message is None:
        return None
    kind, code = message
    return IntervalSet.of((kind * 256, kind * 256 + 255)) if code is None else IntervalSet.single(kind * 256 + code)


def _box(
    family: int,
    protocol: int | None,
    client: IntervalSet,
    server: IntervalSet,
    server_ports: IntervalSet | None,
    client_ports: IntervalSet | None,
    detail: IntervalSet | None,
) -> Box:
    """Return the openers: whole packets, TCP with SYN alone."""
    offset = IPV6 if family == 6 else 0
    box = Box(
        protocol=FAMILY_PROTOCOLS[family] if protocol is None else IntervalSet.single(offset + protocol),
        fragment=WHOLE,
        source=client,
        destination=server,
    )
    if protocol == TCP:
        detail = IntervalSet.single(SYN)
    if detail is not None:
        box = box.replace(detail=detail)
    if server_ports is not None:
        box = box.replace(destination_port=server_ports)
    return box if client_ports is None else box.replace(source_port=client_ports)


def _allowed_boxes(site: Site, segment: str, own: Mapping[int, IntervalSet]) -> list[tuple[str, list[Box]]]:
    """Return the openers that each rule from or to the segment's devices allows."""
    found = []
    for rule in site.rules():
        boxes = []
        for family in (4, 6):
            client = member_addresses(site, rule.client, family)
            server = addresses_of_name(site, rule.to, family)
            everything = ALL["source"] if family == 6 else IntervalSet.of((0, (1 << 32) - 1))
            target = everything if server is None else server
            if rule.client != segment:
                target = target.intersect(own[family])
            if not client or not target:
                continue
            for _name, match in matches_of(site, rule.services, family):
                boxes.append(
                    _box(family, match.protocol, client, target, match.server_ports, match.client_ports, match.detail)
                )
        if boxes:
            found.append((rule.id, boxes))
    return found


def _packet(item: SeenConversation) -> Any:
    conversation = Conversation(
        item.family, item.client, item.server, item.protocol, item.server_port, item.client_port
    )
    return conversation.forward()


def _seen_rows(
    own: Mapping[int, IntervalSet], history: Iterable[SeenConversation], declared: PacketSet, allowed: PacketSet
) -> Iterable[SeenRow]:
    for item in history:
        by_device = own[item.family].contains(item.client)
        if not by_device and not own[item.family].contains(item.server):
            continue
        packet = _packet(item)
        yield SeenRow(item, by_device, packet in declared, packet in allowed)
