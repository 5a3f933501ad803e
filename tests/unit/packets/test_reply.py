"""Answers of conversations: packet by packet, and the table of facts about stateless points."""

from __future__ import annotations

import random

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import ESTABLISHED, Box, make_packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.reply import missing_replies, replies
from tests.unit.packets.small import PACKETS, random_box

TCP = IntervalSet.of(6)


@pytest.mark.parametrize("seed", range(10))
def test_the_mirror_of_every_opener_is_an_answer(seed: int) -> None:
    choice = random.Random(seed)
    space = PacketSpace()
    openers = space.from_boxes(random_box(choice) for _ in range(2))
    answers = replies(openers)
    for packet in PACKETS:
        answered = packet.ip_protocol not in (1, 58) or packet.fragment or packet.detail >> 8 in (8, 128)
        if packet in openers and answered and packet.protocol not in (257, 58):
            request = (
                packet.protocol not in (1, 314)
                or packet.fragment
                or packet.detail >> 8 == (8 if packet.protocol == 1 else 128)
            )
            if request:
                assert packet.mirror() in answers, packet.describe()


def test_tcp_answers_are_established_only() -> None:
    space = PacketSpace()
    openers = space.from_packet(make_packet(6, "10.0.0.1", "10.0.0.2", 443, 50000))
    answers = replies(openers)
    back = Box(
        protocol=TCP, detail=ESTABLISHED, fragment=IntervalSet.of(0), source=IntervalSet.of(0x0A000002),
        destination=IntervalSet.of(0x0A000001), source_port=IntervalSet.of(443), destination_port=IntervalSet.of(50000),
        source_group=IntervalSet.of(0), destination_group=IntervalSet.of(0),
    )  # fmt: skip
    assert answers == space.from_box(back)
    assert make_packet(6, "10.0.0.2", "10.0.0.1", 50000, 443) not in answers  # a new SYN is no answer


def test_ping() -> None:
    space = PacketSpace()
    answers = replies(space.from_packet(make_packet(1, "10.0.0.1", "10.0.0.2", icmp=(8, 0))))
    assert answers == space.from_packet(make_packet(1, "10.0.0.2", "10.0.0.1", icmp=(0, 0)))
    assert not replies(space.from_packet(make_packet(1, "10.0.0.1", "10.0.0.2", icmp=(3, 4))))
    six = replies(space.from_packet(make_packet(58, "2001:db8::1", "2001:db8::2", icmp=(128, 0))))
    assert make_packet(58, "2001:db8::2", "2001:db8::1", icmp=(129, 0)) in six


def test_missing_replies_name_the_broken_conversation() -> None:
    """facts/devices.md section 6, rows 4 and 5: the server's list needs ``permit tcp any eq 443 host A established``."""
    space = PacketSpace()
    openers = space.from_box(
        Box(protocol=TCP, destination=IntervalSet.of(2), source=IntervalSet.of(1), destination_port=IntervalSet.of(443))
    )
    line = Box(protocol=TCP, detail=ESTABLISHED, destination=IntervalSet.of(1), source_port=IntervalSet.of(443))
    assert not missing_replies(openers & space.from_box(Box(fragment=IntervalSet.of(0))), space.from_box(line))
    assert missing_replies(openers, space.empty).witness() is not None
    later = openers & space.from_box(Box(fragment=IntervalSet.of(1)))
    assert replies(later).is_subset_of(space.from_box(Box(fragment=IntervalSet.of(1))))
