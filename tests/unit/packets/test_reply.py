"""Answers of conversations: packet by packet, and the table of facts about stateless points."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import (
    ESTABLISHED,
    Box,
    Entry,
    FirstMatchList,
    Packet,
    make_packet,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.reply import (
    check_replies,
    missing_replies,
    replies,
)
from tests.unit.packets.small import PACKETS, passes, random_box, random_list

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


ANSWER_TYPES = {8: 0, 13: 14, 15: 16, 17: 18}


def answer_by_words(opener: Packet) -> list[Packet]:
    """Return answers to an opener, some per TCP conversation; [] for what opens nothing. By the words, not by the boxes."""
    swapped = replace(
        opener, source=opener.destination, destination=opener.source, source_port=opener.destination_port,
        destination_port=opener.source_port,
    )  # fmt: skip
    if opener.fragment:
        return []
    if opener.ip_protocol == 6:
        return [replace(swapped, detail=flags) for flags in (16, 18, 4)] if opener.detail == 2 else []
    if opener.protocol == 1:
        kind = ANSWER_TYPES.get(opener.detail >> 8)
        return [] if kind is None else [replace(swapped, detail=kind << 8 | opener.detail & 255)]
    if opener.protocol == 256 + 58:
        return [replace(swapped, detail=129 << 8 | opener.detail & 255)] if opener.detail >> 8 == 128 else []
    return [swapped]


@pytest.mark.one_python
@pytest.mark.parametrize("seed", range(8))
def test_reply_check_by_brute_force(seed: int) -> None:
    choice = random.Random(seed)
    forward, back = random_list(choice, 5, whole=0.75), random_list(choice, 5, whole=0.75)
    back = replace(back, default_permit=seed % 2 == 0)
    found = check_replies(forward, back)
    openers = PACKETS + [
        replace(packet, detail=detail)
        for packet in PACKETS
        if packet.fragment == 0
        for detail in (
            {6: (2,), 1: (2048, 3330)}.get(packet.ip_protocol, (128 << 8,) if packet.protocol == 314 else ())
        )
        if not (packet.ip_protocol == 1 and packet.is_ipv6)
    ]
    missing = set()
    for opener in openers:
        for answer in answer_by_words(opener):
            lacks = passes(forward, opener) and not passes(back, answer)
            assert (answer in found.gap) == lacks, (opener, answer)
            if lacks:
                missing.add(answer)
    assert not found.uncertain
    assert found.complete == (not found.gap)
    assert bool(missing) <= bool(found.gap)
    if found.gap:
        assert found.opener is not None
        assert found.answer is not None
        assert passes(forward, found.opener)
        assert not passes(back, found.answer)


def test_reply_check_of_a_web_server() -> None:
    web = Box(
        protocol=TCP, destination=IntervalSet.of(1), destination_port=IntervalSet.of(443), fragment=IntervalSet.of(0)
    )
    back = Box(protocol=TCP, detail=ESTABLISHED, source=IntervalSet.of(1), source_port=IntervalSet.of(443))
    forward = FirstMatchList((Entry(True, (web,)),))
    assert check_replies(forward, FirstMatchList((Entry(True, (back,)),))).complete
    narrow = FirstMatchList((Entry(True, (back.replace(destination_port=IntervalSet.of((1024, 65535))),)),))
    found = check_replies(forward, narrow)
    assert found.answer is not None
    assert found.answer.destination_port < 1024
    finding = found.finding("list IN", "list OUT")
    assert finding is not None
    assert finding.code == "SW1120"
    usual = Box(source_port=IntervalSet.of((1024, 65535)))
    assert check_replies(forward, narrow, [usual]).complete
    timed = FirstMatchList((Entry(True, (back,), condition="time-range WORK"),))
    open_ = check_replies(forward, timed)
    assert not open_.gap
    assert open_.uncertain
    assert not open_.complete
    assert "may drop" in str(open_.finding())
    assert check_replies(FirstMatchList((Entry(False, (web,)),)), FirstMatchList(())).finding() is None
