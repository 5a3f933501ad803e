# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of openers, the first packet of each conversation: their answers, and which of them one list stops.

An answer belongs to exactly one opener (ends swapped; TCP: SYN to SYN and ACK; ICMP: request to reply), so what a list does to
answers can be told as what it does to their openers. That makes the lists of a path independent of each other: a conversation
works where no list stops it, and a mix of old and new lists is judged list by list.
"""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import ICMP_ANSWERS
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.sides import TOP, groups_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Box
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.conversations import SYN_ACK, SYN_ONLY, WHOLE
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.points import ListSets, judges_icmp_answers

_TCP = IntervalSet.of(6, 256 + 6)
_ICMP = {number: IntervalSet.single(number if number == 1 else 256 + number) for number in ICMP_ANSWERS}
_WITH_TYPES = IntervalSet.of(1, 256 + 58)
_PINGS = tuple(
    Box(protocol=_ICMP[number], fragment=WHOLE, destination=TOP[family].subtract(groups_of(family)))
    for number, family in ((1, 4), (58, 6))
)
_REQUESTS = {number: {answer: request for request, answer in pairs.items()} for number, pairs in ICMP_ANSWERS.items()}


def answers_of(openers: PacketSet) -> PacketSet:
    """Return the first answers to a set of openers; ICMP messages without an answer have none."""
    return _swapped(openers, SYN_ONLY, SYN_ACK, ICMP_ANSWERS)


def openers_of(answers: PacketSet) -> PacketSet:
    """Return the openers to which a set of first answers belongs."""
    return _swapped(answers, SYN_ACK, SYN_ONLY, _REQUESTS)


def tcp_only(packets: PacketSet) -> PacketSet:
    """Return the TCP packets of a set."""
    return packets & packets.space.from_box(Box(protocol=_TCP, fragment=WHOLE))


def icmp_only(openers: PacketSet) -> PacketSet:
    """Return the ICMP messages of a set that a single host may answer."""
    return openers & openers.space.from_boxes(_PINGS)


def answered_boxes(boxes: Iterable[Box]) -> Iterable[Box]:
    """Yield the first answers to ICMP openers in boxes, as boxes: what an ASA judges beside openers."""
    for box in boxes:
        if box.protocol.overlaps(_WITH_TYPES):
            own = box.replace(protocol=box.protocol.intersect(_WITH_TYPES))
            yield from _swapped_boxes(own, SYN_ONLY, SYN_ACK, ICMP_ANSWERS)


def stopped(openers: PacketSet, item: ListSets, *, surely: bool, silent_works: bool = False) -> PacketSet:
    """Return the openers that one list stops: themselves, or their answers on the way back.

    ``surely``: what it certainly sees and certainly stops; otherwise all that it may. ``silent_works``: a UDP datagram or ICMP message
    has done its work when it arrives, so that only for TCP a stopped answer counts. Stateful points pass answers with their opener, but
    for those of ICMP at an ASA, which cross it where their opener did.
    """
    sees, passes = (item.sees, item.may_pass) if surely else (item.may_see, item.passes)
    found = (openers & sees) - passes
    if item.listing.stateful:
        if silent_works or not judges_icmp_answers(item.listing):
            return found
        pings = icmp_only(openers & sees) - found
        back = answers_of(pings) - passes
        return found | (openers_of(back) & pings) if back else found
    asked = tcp_only(openers) if silent_works else openers
    back = (answers_of(asked - found) & sees) - passes
    return found | (openers_of(back) & openers) if back else found


def stopped_ways(openers: PacketSet, item: ListSets) -> tuple[PacketSet, PacketSet]:
    """Return the openers that one list surely stops, and those whose answers it surely stops, each for itself (``silent_works``)."""
    there = (openers & item.sees) - item.may_pass
    if item.listing.stateful:
        return there, openers.space.empty
    back = (answers_of(tcp_only(openers)) & item.sees) - item.may_pass
    return there, openers_of(back) & openers if back else openers.space.empty


def _swapped(
    packets: PacketSet, from_flags: IntervalSet, to_flags: IntervalSet, kinds: dict[int, dict[int, int]]
) -> PacketSet:
    def made() -> PacketSet:
        boxes = packets.boxes()
        return packets.space.from_boxes(
            box for each in boxes for box in _swapped_boxes(each, from_flags, to_flags, kinds)
        )

    return packets.space.once(("swapped", kinds is ICMP_ANSWERS, packets.key), made)


def _swapped_boxes(
    box: Box, from_flags: IntervalSet, to_flags: IntervalSet, kinds: dict[int, dict[int, int]]
) -> Iterable[Box]:
    turned = box.replace(
        source=box.destination, destination=box.source, source_port=box.destination_port,
        destination_port=box.source_port, source_group=box.destination_group, destination_group=box.source_group,
    )  # fmt: skip
    tcp = box.protocol.intersect(_TCP)
    # A box may hold several protocols, with details that only one of them has: ICMP types are no TCP flags.
    if tcp and box.detail.overlaps(from_flags):
        yield turned.replace(protocol=tcp, detail=to_flags)
    for number, pairs in kinds.items():
        here = box.protocol.intersect(_ICMP[number])
        if here:
            for kind, other in pairs.items():
                codes = box.detail.intersect(IntervalSet.of((kind << 8, kind << 8 | 255)))
                moved = IntervalSet.of(
                    *((other << 8 | low & 255, other << 8 | high & 255) for low, high in codes.pairs)
                )
                yield turned.replace(protocol=here, detail=moved)
    rest = box.protocol.subtract(_TCP).subtract(_WITH_TYPES)
    if rest:
        yield turned.replace(protocol=rest)
