# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packets that answer a set of openers, for points without state (facts/devices.md section 6, facts/policy.md 6 item 14)."""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import (
    ESTABLISHED,
    ICMP,
    ICMPV6,
    IPV6,
    TCP,
    Box,
)

_WHOLE, _LATER = IntervalSet.single(0), IntervalSet.single(1)
_TCP = IntervalSet.of(TCP, IPV6 + TCP)
# request type -> reply type: echo, timestamp, information and mask request; ICMPv6 echo
_ANSWERS = {ICMP: {8: 0, 13: 14, 15: 16, 17: 18}, IPV6 + ICMPV6: {128: 129}}


def mirror_boxes(box: Box) -> list[Box]:
    """Return the boxes of the packets that answer those of a box.

    Ends and ports are swapped. TCP answers are established (ACK or RST set), whatever flags the opener had; ICMP requests are
    answered by their reply type with the same code; other ICMP messages have no answer. Later fragments, which show neither
    ports nor flags, are answered by later fragments.
    """
    swapped = box.replace(
        source=box.destination,
        destination=box.source,
        source_port=box.destination_port,
        destination_port=box.source_port,
        source_group=box.destination_group,
        destination_group=box.source_group,
    )
    result = []
    if box.fragment.contains(1):
        result.append(swapped.replace(fragment=_LATER))
    if box.fragment.contains(0):
        whole = swapped.replace(fragment=_WHOLE)
        result.append(whole.replace(protocol=box.protocol.intersect(_TCP), detail=ESTABLISHED))
        for protocol, answers in _ANSWERS.items():
            pairs = []
            for request, reply in answers.items():
                asked = box.detail.intersect(IntervalSet.of((request << 8, request << 8 | 255)))
                pairs += [((reply << 8) + low % 256, (reply << 8) + high % 256) for low, high in asked.pairs]
            here = box.protocol.intersect(IntervalSet.single(protocol))
            result.append(whole.replace(protocol=here, detail=IntervalSet.of(*pairs)))
        result.append(whole.replace(protocol=box.protocol.subtract(_TCP).subtract(IntervalSet.of(*_ANSWERS))))
    return [item for item in result if not item.is_empty]


def replies(openers: PacketSet) -> PacketSet:
    """Return the packets that answer the openers: what the list in the other direction must pass."""
    return openers.space.from_boxes(mirrored for box in openers.boxes() for mirrored in mirror_boxes(box))


def missing_replies(openers: PacketSet, passed_back: PacketSet) -> PacketSet:
    """Return the answers that the other direction does not pass: each is a conversation that would fail."""
    return replies(openers) - passed_back
