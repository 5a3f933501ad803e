"""Packet sets and lists against a walk over every packet of a small world."""

from __future__ import annotations

import random

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import (
    PacketSpace,
    decisions,
    permitted,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import (
    FIELDS,
    Box,
    FirstMatchList,
    Packet,
    possible_boxes,
)
from tests.unit.packets.small import (
    PACKETS,
    bits_in,
    first_match,
    first_matches,
    in_box,
    numbers,
    passes,
    possible,
    random_box,
    random_list,
    verdicts_of,
)

SEEDS = range(12)


def test_possible_boxes_are_disjoint_and_right() -> None:
    boxes = possible_boxes()
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])
    choice = random.Random(1)
    for _ in range(4000):
        protocol, detail = (
            choice.choice([6, 17, 1, 58, 132, 47, 262, 273, 314, 257]),
            choice.choice([0, 2, 63, 64, 2048]),
        )
        ports = choice.choice([0, 80]), choice.choice([0, 5])
        packet = Packet(
            protocol, detail, choice.randint(0, 1), choice.choice([1, 1 << 40]), choice.choice([2, 1 << 33]), *ports
        )
        assert any(in_box(packet, box) for box in boxes) == possible(packet), packet


@pytest.mark.one_python
@pytest.mark.parametrize("seed", SEEDS)
def test_lists_decide_as_a_walk_does(seed: int) -> None:
    choice = random.Random(seed)
    source = random_list(choice, choice.randint(0, 9))
    space = PacketSpace()
    passed = permitted(space, source)
    decided = decisions(space, source)
    indices = first_matches(source)
    for packet, index, passing in zip(PACKETS, indices, verdicts_of(source), strict=True):
        assert (packet in passed) == passing
        assert decided.entry_of(packet) == index
        assert decided.permits(packet) == passing
    assert decided.reached == set(indices)


def test_the_walk_for_all_packets_is_the_walk_for_one() -> None:
    source = random_list(random.Random(9), 7)
    assert first_matches(source)[::5] == [first_match(source, packet) for packet in PACKETS[::5]]
    assert verdicts_of(source)[::5] == [passes(source, packet) for packet in PACKETS[::5]]
    boxes = source.entries[0].boxes
    assert numbers(bits_in(boxes)) == [n for n, each in enumerate(PACKETS) if any(in_box(each, box) for box in boxes)]


@pytest.mark.parametrize("seed", SEEDS)
def test_set_algebra(seed: int) -> None:
    choice = random.Random(100 + seed)
    space = PacketSpace()
    boxes = [[random_box(choice) for _ in range(choice.randint(1, 3))] for _ in range(2)]
    a, b = (space.from_boxes(group) for group in boxes)
    x, y = ({PACKETS[n] for n in numbers(bits_in(group))} for group in boxes)
    for made, wanted in ((a | b, x | y), (a & b, x & y), (a - b, x - y), (a ^ b, x ^ y), (~a, set(PACKETS) - x)):
        assert {p for p in PACKETS if p in made} == wanted
    assert a.is_subset_of(b) == (x <= y)
    assert a.overlaps(b) == bool(x & y)
    assert (a == b) == (x == y)
    assert (a | b) == (b | a)
    assert ~(a | b) == (~a & ~b)
    assert space.union([a, b]) == a | b


@pytest.mark.parametrize("seed", SEEDS)
def test_boxes_give_the_set_back(seed: int) -> None:
    choice = random.Random(200 + seed)
    space = PacketSpace()
    found = permitted(space, random_list(choice, choice.randint(1, 6)))
    boxes = found.boxes()
    assert space.from_boxes(boxes) == found
    sets = [space.from_box(box) for box in boxes]
    assert sum(item.count() for item in sets) == found.count()  # disjoint
    part = found.boxes(3)
    assert part == boxes[:3]


def test_boxes_that_differ_in_one_field_are_joined() -> None:
    space = PacketSpace()
    web, mail, names = (
        Box(protocol=IntervalSet.of(6), fragment=IntervalSet.of(0), destination_port=IntervalSet.of(port))
        for port in (80, 25, 53)
    )
    near, far = IntervalSet.from_prefix("10.1.0.0/16"), IntervalSet.from_prefix("10.9.0.0/16")
    wanted = [
        web.replace(destination=near.union(far), source=near), mail.replace(destination=near, source=far),
        names.replace(destination=far, source=IntervalSet.of(7)),
    ]  # fmt: skip
    found = space.from_boxes(wanted).boxes()
    assert len(found) == 3  # the web is told once, though the diagram has it below each of the two networks
    assert space.from_boxes(found) == space.from_boxes(wanted)


def test_all_of_ipv4_is_one_box() -> None:
    space = PacketSpace()
    everything = space.from_box(
        Box(protocol=IntervalSet.of((0, 255)), destination=IntervalSet.from_prefix("10.0.0.0/8"))
    )
    assert len(everything.boxes()) == 1
    web = space.from_box(Box(protocol=IntervalSet.of(6), destination_port=IntervalSet.of(443)))
    assert [box.protocol for box in web.boxes()] == [IntervalSet.of(6)]


@pytest.mark.parametrize("seed", SEEDS)
def test_witness_is_a_member_and_always_the_same(seed: int) -> None:
    sources = []
    for _ in range(2):
        choice = random.Random(300 + seed)
        space = PacketSpace()
        found = permitted(space, random_list(choice, 6))
        witness = found.witness()
        assert (witness is None) == (not found)
        if witness is not None:
            assert possible(witness)
            assert witness in found
        sources.append(witness)
    assert sources[0] == sources[1]


def test_witness_prefers_ordinary_values() -> None:
    space = PacketSpace()
    witness = space.everything.witness()
    assert witness is not None
    assert witness.describe() == "tcp 10.0.0.2:49152 > 10.0.0.1:443 syn"
    assert space.empty.witness() is None


def test_counts() -> None:
    space = PacketSpace()
    one = Box(
        protocol=IntervalSet.of(17), source=IntervalSet.of((1, 4)), destination=IntervalSet.of(9),
        destination_port=IntervalSet.of((10, 19)), source_port=IntervalSet.of(7), fragment=IntervalSet.of(0),
    )  # fmt: skip
    assert space.from_box(one).count() == 40
    assert space.from_box(one.replace(protocol=IntervalSet.of(47))).count() == 0  # GRE has no ports
    assert space.everything.count() - space.from_box(one).count() == (~space.from_box(one)).count()


@pytest.mark.parametrize("seed", SEEDS)
def test_projection_by_brute_force(seed: int) -> None:
    choice = random.Random(400 + seed)
    space = PacketSpace()
    boxes = [random_box(choice, 0.3) for _ in range(2)]
    found = space.from_boxes(boxes)
    kept = choice.sample(FIELDS, choice.randint(1, 3))
    places = [FIELDS.index(name) for name in kept]
    inside = {PACKETS[n] for n in numbers(bits_in(boxes))}
    keys = {tuple(p.values()[i] for i in places) for p in inside}
    projected = found.project(kept)
    for packet in PACKETS:
        assert (packet in projected) == (tuple(packet.values()[i] for i in places) in keys)


def test_values_of_a_field() -> None:
    space = PacketSpace()
    found = space.from_box(
        Box(protocol=IntervalSet.of(6), destination=IntervalSet.of((5, 9)), destination_port=IntervalSet.of(80, 443))
    )
    assert found.values("destination_port") == IntervalSet.of(80, 443)
    assert found.values("destination") == IntervalSet.of((5, 9))
    assert found.values("protocol") == IntervalSet.of(6)
    assert space.empty.values("protocol").is_empty


def test_spaces_do_not_mix() -> None:
    first, second = PacketSpace(), PacketSpace()
    with pytest.raises(ValueError, match="two spaces"):
        first.everything & second.everything


def test_impossible_packets_are_in_no_set() -> None:
    space = PacketSpace()
    ghost = Packet(17, 5, 0, 1, 1, 80, 80)
    assert ghost not in space.everything
    with pytest.raises(ValueError, match="no such packet"):
        decisions(space, FirstMatchList(())).entry_of(ghost)
