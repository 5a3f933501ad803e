# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packets that answer a set of openers, for points without state (facts/devices.md section 6, facts/policy.md 6 item 14)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import (
    PacketSet,
    PacketSpace,
    verdicts,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import (
    ESTABLISHED,
    ICMP,
    ICMPV6,
    IPV6,
    SYN,
    TCP,
    Box,
    FirstMatchList,
    Packet,
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


def answers_to(box: Box) -> list[Box]:
    """Return the answers to the openers in a box: whole packets, TCP with SYN alone, ICMP requests, any packet of other protocols.

    Each answer belongs to one opener, so a list of openers mirrored entry by entry decides answers as it decides their openers.
    """
    whole = box.replace(fragment=box.fragment.intersect(_WHOLE))
    tcp = box.protocol.intersect(_TCP)
    parts = [whole.replace(protocol=box.protocol.subtract(_TCP))]
    if box.detail.contains(SYN):
        parts.append(whole.replace(protocol=tcp, detail=IntervalSet.single(SYN)))
    return [answer for part in parts if not part.is_empty for answer in mirror_boxes(part)]


def mirrored_list(source: FirstMatchList) -> FirstMatchList:
    """Return the list that decides each answer as ``source`` decides its opener; it says nothing about other packets."""
    entries = tuple(
        replace(entry, boxes=tuple(answer for box in entry.boxes for answer in answers_to(box)))
        for entry in source.entries
    )
    return replace(source, entries=entries)


def opener_of(answer: Packet) -> Packet:
    """Return the opener of an answer: ends swapped, TCP with SYN alone, ICMP as the request."""
    detail = answer.detail
    if answer.protocol in (TCP, IPV6 + TCP):
        detail = SYN
    for request, reply in _ANSWERS.get(answer.protocol, {}).items():
        if answer.detail >> 8 == reply:
            detail = request << 8 | answer.detail & 255
    return replace(
        answer, detail=detail, destination=answer.source, source=answer.destination, destination_port=answer.source_port,
        source_port=answer.destination_port, destination_group=answer.source_group, source_group=answer.destination_group,
    )  # fmt: skip


@dataclass(frozen=True)
class ReplyCheck:
    """Whether the answers of accepted conversations pass the list of the other direction.

    ``gap``: answers that surely do not pass though their opener surely does; ``uncertain``: answers where a condition decides whether
    that is so. ``opener`` and ``answer`` show one conversation of the gap, or else of what is uncertain.
    """

    gap: PacketSet
    uncertain: PacketSet
    opener: Packet | None = None
    answer: Packet | None = None

    @property
    def complete(self) -> bool:
        """Whether every accepted conversation surely gets its answers."""
        return not self.gap and not self.uncertain

    def finding(self, forward: str = "the list", back: str = "the list of the other direction") -> Finding | None:
        """Return the gap as a finding with its witness; None where there is none."""
        if self.opener is None or self.answer is None:
            return None
        verb = "drops" if self.gap else "may drop"
        return codes.REPLY_GAP.at(
            f"{forward} accepts {self.opener.describe()}, but {back} {verb} the answer {self.answer.describe()}"
        )


def check_replies(
    forward: FirstMatchList,
    back: FirstMatchList,
    conversations: Iterable[Box] = (Box(),),
    space: PacketSpace | None = None,
) -> ReplyCheck:
    """Return which answers of the conversations that ``forward`` accepts the stateless list ``back`` does not pass.

    Only conversations whose opener is in one of the boxes count, for example those from client ports 1024 and above. Exact for all of
    them: an answer is any TCP segment with ACK or RST, the ICMP reply, or any packet of another protocol, ends swapped.
    """
    space = space or PacketSpace()
    asked = space.from_boxes(answer for box in conversations for answer in answers_to(box))
    wanted, passed = verdicts(space, mirrored_list(forward)), verdicts(space, back)
    gap = (wanted.permitted & asked) - passed.maybe_permitted
    uncertain = (wanted.maybe_permitted & asked) - passed.permitted - gap
    answer = gap.witness() or uncertain.witness()
    return ReplyCheck(gap, uncertain, opener_of(answer) if answer else None, answer)
