# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of conversations: forward and reply packets of clients, servers and services."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import (
    ICMP_PROTOCOLS,
    Ends,
    Match,
    addresses_of,
    ends_of,
    matches_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.sides import TOP
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSet, PacketSpace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Box
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import ANY, Rule, Site

WHOLE = IntervalSet.of((0, 0))
SYN_ONLY = IntervalSet.of((2, 2))
SYN_ACK = IntervalSet.of((18, 18))
TCP, UDP = 6, 17
TCP_PACKETS = IntervalSet.of((TCP, TCP), (256 + TCP, 256 + TCP))
UNPRIVILEGED = IntervalSet.of((1024, 65535))
# ICMP messages that open nothing: answers, unreachable and time exceeded (ICMPv6: with packet too big), which every list must pass.
_NO_OPENERS = {4: (0, 3, 11, 14, 16, 18), 6: (1, 2, 3, 129)}
_MESSAGES = IntervalSet.of((0, 65535))
# Who can be a client where any address is meant: no host sends from the networks 0 and 127, multicast or class E (RFC 1122).
_NO_CLIENTS = {
    4: IntervalSet.of((0, 2**24 - 1), (127 << 24, (128 << 24) - 1), (224 << 24, 2**32 - 1)),
    6: IntervalSet.of((0xFF << 120, 2**128 - 1), (0, 1)),
}
_CLIENTS = {family: TOP[family].subtract(excluded) for family, excluded in _NO_CLIENTS.items()}


@dataclass(frozen=True)
class ConversationBoxes:
    """Forward boxes (client to server) and, at the same position, the mirrored reply box or None."""

    forward: tuple[Box, ...]
    replies: tuple[Box | None, ...]

    @property
    def reply(self) -> tuple[Box, ...]:
        """Return the reply boxes that exist."""
        return tuple(box for box in self.replies if box is not None)


def rule_boxes(site: Site, rule: Rule, client_ports: IntervalSet | None = None) -> ConversationBoxes:
    """Return openers and replies of a rule, of the devices for which it holds; see ``conversation_boxes``."""
    return conversation_boxes(site, rule.client, rule.to, rule.services, client_ports, rule.devices)


def openers(site: Site, rule: Rule) -> tuple[Box, ...]:
    """Return the forward boxes of a rule alone, from any client port; see ``conversation_boxes``."""
    made = _boxes(site, rule.client, rule.to, tuple(rule.services), None, rule.devices)
    return tuple(_ends_box(out, client, server) for client, server, out, _back in made)


def conversation_boxes(
    site: Site,
    client: str,
    server: str,
    services: Iterable[str],
    client_ports: IntervalSet | None = None,
    devices: Collection[str] = (),
) -> ConversationBoxes:
    """Return openers and their first replies for the named ends and services.

    TCP openers carry SYN alone and replies SYN and ACK. ``client_ports`` is used where a service does not pin the client's port.
    ``any`` as a service is everything that can open a conversation: each TCP SYN, each packet of another protocol, but no ICMP
    answers and errors. ICMP errors and messages without an answer have no reply. ``any`` as a client is every unicast address.
    ``devices`` are ids of the client segment's devices that alone count, () for all of them.
    """
    forward: list[Box] = []
    replies: list[Box | None] = []
    for client_set, server_set, out, back in _boxes(site, client, server, tuple(services), client_ports, devices):
        forward.append(_ends_box(out, client_set, server_set))
        replies.append(None if back is None else _ends_box(back, server_set, client_set))
    return ConversationBoxes(tuple(forward), tuple(replies))


def _boxes(
    site: Site,
    client: str,
    server: str,
    services: tuple[str, ...],
    client_ports: IntervalSet | None,
    devices: Collection[str],
) -> Iterator[tuple[IntervalSet, IntervalSet | None, Box, Box | None]]:
    """Yield the addresses of both ends, and boxes of opener and reply that leave these open."""
    kept: dict[tuple[str, str], tuple[Ends, ...]] = site.__dict__.setdefault("_ends_of", {})
    both = kept.get((client, server))
    if both is None:
        both = kept[client, server] = tuple(ends_of(site, client, server))
    for ends in both:
        if devices:
            ends = replace(ends, client=addresses_of_devices(site, client, devices, ends.family))
            if not ends.client:
                continue
        client_set = _CLIENTS[ends.family] if ends.client is None else ends.client
        found: Iterable[tuple[Box, Box | None]]
        if ANY in services:
            found = _any_boxes(ends.family, client_ports)
        else:
            found = _service_boxes(site, services, ends.family, client_ports)
        for out, back in found:
            yield client_set, ends.server, out, back


def _service_boxes(
    site: Site, services: tuple[str, ...], family: int, client_ports: IntervalSet | None
) -> tuple[tuple[Box, Box | None], ...]:
    """Return the boxes of services in a family; kept with the site, since its rules name the same ones again and again."""
    kept: dict[Any, tuple[tuple[Box, Box | None], ...]] = site.__dict__.setdefault("_service_boxes", {})
    key = (services, family, None if client_ports is None else client_ports.key)
    found = kept.get(key)
    if found is None:
        offset = 0 if family == 4 else 256
        matches = [match for _name, match in matches_of(site, services, family)]
        found = kept[key] = tuple(_match_boxes(match, offset, client_ports) for match in matches)
    return found


def addresses_of_devices(site: Site, segment: str, devices: Collection[str], family: int) -> IntervalSet:
    """Return the addresses, of one family, of some of a segment's devices."""
    members = site.members.get(segment, ())
    return addresses_of((text for member in members if member.device in devices for text in member.addresses), family)


def _any_boxes(family: int, client_ports: IntervalSet | None) -> list[tuple[Box, Box | None]]:
    offset = 0 if family == 4 else 256
    icmp = ICMP_PROTOCOLS[family]
    closed = IntervalSet.of(*((kind * 256, kind * 256 + 255) for kind in _NO_OPENERS[family]))
    found = [_match_boxes(Match(number, None, None, None), offset, client_ports) for number in (TCP, UDP)]
    found.append(_match_boxes(Match(icmp, None, None, _MESSAGES.subtract(closed)), offset, None))
    rest = IntervalSet.of((offset, offset + 255)).subtract(IntervalSet.of(offset + TCP, offset + UDP, offset + icmp))
    other = Box(protocol=rest, fragment=WHOLE)
    return [*found, (other, other)]


def _ends_box(box: Box, source: IntervalSet | None, destination: IntervalSet | None) -> Box:
    return Box(
        box.protocol, box.detail, box.fragment, box.destination if destination is None else destination,
        box.source if source is None else source, box.destination_port, box.source_port,
    )  # fmt: skip


@lru_cache(maxsize=8192)
def _match_boxes(match: Match, offset: int, client_ports: IntervalSet | None) -> tuple[Box, Box | None]:
    box = Box(protocol=IntervalSet.single(match.protocol + offset), fragment=WHOLE)
    if match.protocol in ICMP_PROTOCOLS.values():
        answer = match.reply()
        out = box if match.detail is None else box.replace(detail=match.detail)
        return out, box.replace(detail=answer.detail) if answer is not None and answer.detail is not None else None
    out = back = box
    if match.server_ports is not None:
        out, back = out.replace(destination_port=match.server_ports), back.replace(source_port=match.server_ports)
    pinned = match.client_ports if match.client_ports is not None else client_ports
    if pinned is not None and match.protocol in (TCP, UDP):
        out, back = out.replace(source_port=pinned), back.replace(destination_port=pinned)
    if match.protocol == TCP:
        out, back = out.replace(detail=SYN_ONLY), back.replace(detail=SYN_ACK)
    return out, back


def tcp_mirrored(space: PacketSpace, packets: PacketSet, flags: IntervalSet) -> PacketSet:
    """Return the TCP packets of a set with ends swapped and the given flags: openers to their first replies, and back."""
    whole = Box(protocol=TCP_PACKETS, fragment=WHOLE)
    boxes = (packets & space.from_box(whole)).boxes()
    return space.from_boxes(
        Box(
            protocol=box.protocol.intersect(TCP_PACKETS),
            detail=flags,
            fragment=WHOLE,
            destination=box.source,
            source=box.destination,
            destination_port=box.source_port,
            source_port=box.destination_port,
        )
        for box in boxes
    )
