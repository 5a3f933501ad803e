# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packet entries of both directions to conversations that may begin.

A MUD file filters packets: what the device may send, and what may be sent to it (RFC 8520 section 3.8). A rule says who may open
what. A conversation works where both directions pass with the ports swapped, so the port pairs that both declare are found for each
peer, and for each of them who opens:

- ``direction-initiated`` decides for TCP (RFC 8520 section 8.3);
- else the end with fixed ports is the server; where both ends are fixed, either may open.

A filter of packets without state also lets a peer begin from the server's own port. That is what a reply line of a stateless list
lets through as well, so no rule of its own is made of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code, Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.aces import shown
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.model import (
    DEVICE,
    ICMP,
    ICMPV6,
    PEER,
    TCP,
    MudEntry,
    MudFile,
    Peer,
    Permission,
)

# RFC 792, RFC 950, RFC 4443: requests and their answers.
ANSWERS = {ICMP: {8: 0, 13: 14, 15: 16, 17: 18}, ICMPV6: {128: 129}}
ALL_PORTS = IntervalSet.of((0, 65535))
Key = tuple[tuple[Peer, ...], int, int | None]


@dataclass
class _Found:
    permissions: list[Permission] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def say(self, code: Code, entry: MudEntry, text: str) -> None:
        self.findings.append(code.at(f"entry {shown(entry.name)}: {text}", entry.location))


def permissions_of(mud: MudFile) -> tuple[list[Permission], list[Finding]]:
    """Return the conversations that a MUD file lets begin, in file order without doubles, and what could not be said."""
    found = _Found()
    groups: dict[Key, tuple[list[MudEntry], list[MudEntry]]] = defaultdict(lambda: ([], []))
    for entry in _accepted(mud.entries, found):
        groups[entry.peers, entry.family, entry.protocol][0 if entry.outgoing else 1].append(entry)
    for (_peers, _family, protocol), (outgoing, incoming) in groups.items():
        if protocol in ANSWERS:
            _pair_icmp(protocol, outgoing, incoming, found)
        else:
            _pair_ports(outgoing, incoming, found)
    order = {entry.name: number for number, entry in reversed(list(enumerate(mud.entries)))}
    ordered = sorted(found.permissions, key=lambda item: (order.get(item.entry, 0), item.opener))
    return _without_covered(ordered), found.findings


def _accepted(entries: Sequence[MudEntry], found: _Found) -> Iterable[MudEntry]:
    """Yield the accepting entries that no earlier denying one of the same direction cuts (first match decides)."""
    denied: list[MudEntry] = []
    for entry in entries:
        if not entry.permit:
            denied.append(entry)
            continue
        cutter = next((other for other in denied if _may_overlap(other, entry)), None)
        if cutter is None:
            yield entry
        else:
            found.say(codes.DENIAL_CUTS, entry, f"entry {shown(cutter.name)} before it denies part of it")


def _may_overlap(first: MudEntry, second: MudEntry) -> bool:
    """Return whether some packet could match both; peers are taken to overlap unless they are disjoint prefixes."""

    def ports(one: IntervalSet | None, other: IntervalSet | None) -> bool:
        return one is None or other is None or one.overlaps(other)

    if first.outgoing != second.outgoing or first.family != second.family:
        return False
    if None not in (first.protocol, second.protocol) and first.protocol != second.protocol:
        return False
    if first.icmp and second.icmp and first.icmp[0] != second.icmp[0]:
        return False
    for one in first.peers:
        for other in second.peers:
            if one.kind == other.kind == "address":
                if not IntervalSet.from_prefix(one.value).overlaps(IntervalSet.from_prefix(other.value)):
                    return False
    return ports(first.device_ports, second.device_ports) and ports(first.peer_ports, second.peer_ports)


def _both(one: IntervalSet | None, other: IntervalSet | None) -> IntervalSet | None:
    if one is None or other is None:
        return other if one is None else one
    return one.intersect(other)


def _pair_ports(outgoing: Sequence[MudEntry], incoming: Sequence[MudEntry], found: _Found) -> None:
    answered: set[int] = set()
    for entry in outgoing:
        covered: list[tuple[IntervalSet | None, IntervalSet | None]] = []
        for number, back in enumerate(incoming):
            device, peer = _both(entry.device_ports, back.device_ports), _both(entry.peer_ports, back.peer_ports)
            if (device is not None and not device) or (peer is not None and not peer):
                continue
            if entry.opener and back.opener and entry.opener != back.opener:
                continue
            answered.add(number)
            covered.append((device, peer))
            opener = entry.opener or back.opener
            found.permissions += _openers(replace(entry, device_ports=device, peer_ports=peer, opener=opener), found)
        if not covered:
            _one_direction(entry, found)
        elif (entry.device_ports, entry.peer_ports) not in covered and not _is_covered(entry, covered):
            found.say(codes.PARTLY_ANSWERED, entry, "the other direction declares fewer ports")
    for number, back in enumerate(incoming):
        if number not in answered:
            _one_direction(back, found)


def _is_covered(entry: MudEntry, parts: Sequence[tuple[IntervalSet | None, IntervalSet | None]]) -> bool:
    """Return whether rectangles of ports together cover those of an entry, along one of the two sides."""
    own = entry.device_ports or ALL_PORTS, entry.peer_ports or ALL_PORTS
    for side in (0, 1):
        left = own[side]
        for part in parts:
            if (part[1 - side] or ALL_PORTS).covers(own[1 - side]):
                left = left.subtract(part[side] or ALL_PORTS)
        if left.is_empty:
            return True
    return False


def _openers(entry: MudEntry, found: _Found) -> list[Permission]:
    """Return the permissions of one pair of port sets, by who opens."""
    device, peer = entry.device_ports, entry.peer_ports
    by_device = _permission(entry, DEVICE, peer, device)
    by_peer = _permission(entry, PEER, device, peer)
    if entry.opener:
        return [by_device if entry.opener == DEVICE else by_peer]
    if (device is None) == (peer is None):
        return [by_device, by_peer]
    if entry.protocol == TCP:
        found.say(codes.EITHER_OPENS, entry, f"taken as opened by the {'device' if device is None else 'peer'}")
    return [by_device] if device is None else [by_peer]


def _permission(
    entry: MudEntry, opener: str, server: IntervalSet | None, client: IntervalSet | None, answered: bool = True
) -> Permission:
    return Permission(
        peers=entry.peers,
        family=entry.family,
        opener=opener,
        protocol=entry.protocol,
        server_ports=server,
        client_ports=client,
        icmp=entry.icmp,
        answered=answered,
        entry=entry.name,
        location=entry.location,
    )


def _one_direction(entry: MudEntry, found: _Found) -> None:
    """Take an entry whose other direction is not declared: as a request without an answer, or, TCP, as a whole conversation."""
    own, other = entry.device_ports, entry.peer_ports
    sender = DEVICE if entry.outgoing else PEER
    if entry.protocol == TCP:
        sent_to, sent_from = (other, own) if entry.outgoing else (own, other)
        opener = entry.opener or (sender if sent_to is not None or sent_from is None else _other(sender))
        server, client = (other, own) if opener == DEVICE else (own, other)
        found.say(codes.TCP_ONE_DIRECTION, entry, f"taken as a connection that the {opener} opens")
        found.permissions.append(_permission(entry, opener, server, client))
        return
    server, client = (other, own) if entry.outgoing else (own, other)
    if server is None and client is not None:
        found.say(codes.ANSWER_ONLY, entry, f"packets from {_ports(client)} to any port, and nothing the other way")
        return
    found.say(codes.ONE_DIRECTION, entry, f"only the {sender} sends")
    found.permissions.append(_permission(entry, sender, server, client, answered=False))


def _other(end: str) -> str:
    return PEER if end == DEVICE else DEVICE


def _ports(ports: IntervalSet) -> str:
    return "port " + ", ".join(f"{low}" if low == high else f"{low}-{high}" for low, high in ports.pairs)


def _pair_icmp(protocol: int, outgoing: Sequence[MudEntry], incoming: Sequence[MudEntry], found: _Found) -> None:
    """Pair ICMP requests with their answers; a message without a type stands for every message."""
    answers, used = ANSWERS[protocol], set[int]()
    sides = ((DEVICE, outgoing, incoming), (PEER, incoming, outgoing))
    for opener, requests, replies in sides:
        for request in requests:
            if request.icmp is not None and request.icmp[0] not in answers:
                continue
            wanted = None if request.icmp is None else answers[request.icmp[0]]
            matching = [
                reply for reply in replies if reply.icmp is None or wanted is None or reply.icmp[0] == wanted
            ]  # fmt: skip
            if matching and not (wanted is None and all(reply.icmp is not None for reply in matching)):
                used |= {id(request), *(id(reply) for reply in matching)}
                found.permissions.append(_permission(request, opener, None, None))
    for opener, entries in ((DEVICE, outgoing), (PEER, incoming)):
        for entry in entries:
            if id(entry) in used:
                continue
            if entry.icmp is not None and entry.icmp[0] in answers.values():
                found.say(codes.ANSWER_ONLY, entry, f"ICMP type {entry.icmp[0]} answers a request that is not declared")
                continue
            found.say(codes.ONE_DIRECTION, entry, f"only the {opener} sends")
            found.permissions.append(_permission(entry, opener, None, None, answered=False))


def _without_covered(permissions: Sequence[Permission]) -> list[Permission]:
    """Return the permissions without those that another one of the same peers holds as well."""
    kept: list[Permission] = []
    groups: dict[tuple[object, ...], list[Permission]] = defaultdict(list)
    for item in permissions:
        key = (item.peers, item.family, item.opener, item.protocol, item.icmp, item.answered)
        if any(_covers(other, item) for other in groups[key]):
            continue
        for other in [other for other in groups[key] if _covers(item, other)]:
            groups[key].remove(other)
            kept.remove(other)
        groups[key].append(item)
        kept.append(item)
    return kept


def _covers(one: Permission, other: Permission) -> bool:
    def side(mine: IntervalSet | None, yours: IntervalSet | None) -> bool:
        return mine is None or (yours is not None and mine.covers(yours))

    return side(one.server_ports, other.server_ports) and side(one.client_ports, other.client_ports)
