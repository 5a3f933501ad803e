# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of conversations: forward and reply packets of clients, servers and services."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import Match, ends_of, matches_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Box
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import ANY, Site

WHOLE = IntervalSet.of((0, 0))
SYN_ONLY = IntervalSet.of((2, 2))
SYN_ACK = IntervalSet.of((18, 18))
TCP, ICMP, ICMP6 = 6, 1, 58
UNPRIVILEGED = IntervalSet.of((1024, 65535))


@dataclass(frozen=True)
class ConversationBoxes:
    """Forward boxes (client to server) and, at the same position, the mirrored reply box or None."""

    forward: tuple[Box, ...]
    replies: tuple[Box | None, ...]

    @property
    def reply(self) -> tuple[Box, ...]:
        """Return the reply boxes that exist."""
        return tuple(box for box in self.replies if box is not None)



def conversation_boxes(site: Site, client: str, server: str, services: Iterable[str], client_ports: IntervalSet | None = None) -> ConversationBoxes:
    """Return openers and their first replies for the named ends and services; ``any`` as a service is all protocols.

    TCP openers carry SYN alone and replies SYN and ACK. ``client_ports`` is used where a service does not pin the
    client's port. ICMP has no reply box of its own kind and is judged forward only.
    """
    forward: list[Box] = []
    replies: list[Box | None] = []
    names = list(services)
    for ends in ends_of(site, client, server):
        offset = 0 if ends.family == 4 else 256
        if ANY in names:
            protocols = IntervalSet.of((offset, offset + 255))
            forward.append(_ends_box(Box(protocol=protocols, fragment=WHOLE), ends.client, ends.server))
            replies.append(None)
            continue
        for _name, match in matches_of(site, names, ends.family):
            out, back = _match_boxes(match, offset, client_ports)
            forward.append(_ends_box(out, ends.client, ends.server))
            replies.append(None if back is None else _ends_box(back, ends.server, ends.client))
    return ConversationBoxes(tuple(forward), tuple(replies))


def _ends_box(box: Box, source: IntervalSet | None, destination: IntervalSet | None) -> Box:
    if source is not None:
        box = box.replace(source=source)
    if destination is not None:
        box = box.replace(destination=destination)
    return box


def _match_boxes(match: Match, offset: int, client_ports: IntervalSet | None) -> tuple[Box, Box | None]:
    protocol = IntervalSet.of((match.protocol + offset, match.protocol + offset))
    box = Box(protocol=protocol, fragment=WHOLE)
    if match.protocol in (ICMP, ICMP6):
        return (box if match.detail is None else box.replace(detail=match.detail)), None
    out = back = box
    if match.server_ports is not None:
        out, back = out.replace(destination_port=match.server_ports), back.replace(source_port=match.server_ports)
    pinned = match.client_ports if match.client_ports is not None else client_ports
    if pinned is not None:
        out, back = out.replace(source_port=pinned), back.replace(destination_port=pinned)
    if match.protocol == TCP:
        out, back = out.replace(detail=SYN_ONLY), back.replace(detail=SYN_ACK)
    return out, back
