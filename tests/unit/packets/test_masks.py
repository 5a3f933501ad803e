"""Masks with more holes than can be listed: exact like every other set. Brute force in worlds of ten address bits, oxidd at full size."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets import dead, masks
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.anomalies import REMOVABLE, find_anomalies
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.classify import Classifier
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.compare import compare
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import (
    Decisions,
    PacketSet,
    PacketSpace,
    permitted,
    verdicts,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.masks import (
    MaskedSet,
    last_match,
    matches_up_to,
    next_match,
    wildcard_set,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import (
    IPV4_ADDRESSES,
    IPV4_PROTOCOLS,
    Box,
    Entry,
    FirstMatchList,
    Packet,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.text import box_dicts, box_text
from tests.bench.lists import random_entries

np = pytest.importorskip("numpy")
BITS, TAIL = 6, 4  # of destination and source in the world
WORLD = [(destination, source) for destination in range(1 << BITS) for source in range(1 << TAIL)]
ALL = (1 << len(WORLD)) - 1
GRE = IntervalSet.of(47)
Test = Callable[[int], bool]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every set of two intervals be one that cannot be listed."""
    monkeypatch.setattr(masks, "LISTED", 1)


def drawn(choice: random.Random, bits: int) -> tuple[IntervalSet, Test]:
    """Return a set of addresses and, written without it, which values it has."""
    top = (1 << bits) - 1
    value, mask = choice.randrange(top + 1), choice.randrange(top + 1)
    kind = choice.random()
    if kind < 0.15:
        return IntervalSet.of((0, top)), lambda _each: True
    if kind < 0.4:
        high = choice.randint(value, top)
        return IntervalSet.of((value, high)), lambda each: value <= each <= high
    made = wildcard_set(value, mask)
    if kind < 0.85:
        return made, lambda each: (each ^ value) & ~mask == 0
    low, high = sorted((choice.randrange(top + 1), choice.randrange(top + 1)))
    return (
        made.intersect(IntervalSet.of((low, high))),
        lambda each: (each ^ value) & ~mask == 0 and low <= each <= high,
    )


def small_list(choice: random.Random, length: int, conditions: bool = False) -> tuple[FirstMatchList, list[int]]:
    """Return a list and the packets of the world that each entry matches (bit n: packet n)."""
    entries, matched = [], []
    for place in range(length):
        (first, in_first), (second, in_second) = drawn(choice, BITS), drawn(choice, TAIL)
        box = Box(protocol=GRE, destination=first, source=second)
        condition = "dscp ef" if conditions and choice.random() < 0.3 else ""
        entries.append(Entry(choice.random() < 0.5, (box,), f"e{place}", place + 1, condition))
        matched.append(sum(1 << n for n, (d, s) in enumerate(WORLD) if in_first(d) and in_second(s)))
    return FirstMatchList(tuple(entries), choice.random() < 0.5), matched


def packet(number: int) -> Packet:
    destination, source = WORLD[number]
    return Packet(47, 0, 0, destination, source, 0, 0)


PACKETS = [packet(number) for number in range(len(WORLD))]


def bits_of(packets: PacketSet) -> int:
    return sum(1 << number for number, each in enumerate(PACKETS) if each in packets)


def deciders(
    source: FirstMatchList, matched: list[int], held: bool = False, without: frozenset[int] = frozenset()
) -> list[int]:
    left, result = ALL, []
    for index, (entry, mask) in enumerate(zip(source.entries, matched, strict=True)):
        counts = index not in without and (held or not entry.condition)
        result.append(mask & left if counts else 0)
        left &= ~result[-1]
    return [*result, left]


def passed(
    source: FirstMatchList, matched: list[int], held: bool = False, without: frozenset[int] = frozenset()
) -> int:
    found = deciders(source, matched, held, without)
    actions = [*(entry.permit for entry in source.entries), source.default_permit]
    return sum(bits for bits, permit in zip(found, actions, strict=True) if permit)


def test_neighbours_and_ranks_of_a_mask() -> None:
    choice = random.Random(1)
    for _ in range(300):
        care = choice.randrange(256) | ((1 << 128) - 256)
        value = choice.randrange(256) & care
        held = [each for each in range(256) if (each ^ value) & care == 0]
        for at in (choice.randrange(256), 0, 255):
            assert next_match(at, value, care) == next((each for each in held if each >= at), None)
            assert last_match(at, value, care) == next((each for each in reversed(held) if each <= at), None)
            assert matches_up_to(at, value, care) == sum(each <= at for each in held)


def test_sets_against_brute_force(few: None) -> None:
    choice = random.Random(2)
    kept = 0
    for _ in range(400):
        (first, in_first), (second, in_second) = drawn(choice, BITS), drawn(choice, BITS)
        one = {each for each in range(1 << BITS) if in_first(each)}
        two = {each for each in range(1 << BITS) if in_second(each)}
        kept += first.masked
        assert (first.size, first.is_empty, bool(first)) == (len(one), not one, bool(one))
        assert {each for each in range(80) if each in first} == one
        assert first.covers(second) == (two <= one)
        assert first.overlaps(second) == bool(one & two)
        both = first.intersect(second)
        assert {each for each in range(80) if each in both} == one & two
        for made, wanted in (
            (lambda a=first, b=second: a.union(b), one | two),
            (lambda a=first, b=second: a.subtract(b), one - two),
        ):
            with suppress(FindingError):  # no single set
                assert {each for each in range(80) if each in made()} == wanted
        if one:
            assert first.hull == (min(one), max(one))
        whole = first.wildcard()
        if whole:
            assert one == {each for each in range(1 << BITS) if (each ^ whole[0]) & ~whole[1] == 0}
    assert kept > 100


@pytest.mark.one_python
@pytest.mark.parametrize("kind", range(2))
def test_lists_against_brute_force(few: None, full: bool, monkeypatch: pytest.MonkeyPatch, kind: int) -> None:
    """Verdicts, differences, boxes, deciding entries, dead and removable entries; by diagrams and (kind 1) by samples."""
    if kind:
        monkeypatch.setattr(dead, "SAMPLED_FROM", 0)
    masked = 0
    for seed in range(kind * 100_000, kind * 100_000 + (3000 if full else 15)):
        choice = random.Random(seed)
        source, matched = small_list(choice, choice.randint(2, 7))
        masked += any(box.destination.masked for entry in source.entries for box in entry.boxes)
        space = PacketSpace()
        early = space.from_box(Box(destination=IntervalSet.of((3, 17))))  # made before the space knows of any mask
        wanted = passed(source, matched)
        found = permitted(space, source)
        assert bits_of(found) == wanted, seed
        assert bits_of(early) == sum(1 << n for n, (d, _s) in enumerate(WORLD) if 3 <= d <= 17)
        assert space.from_boxes(found.boxes()) == found
        inside = found & space.from_box(WORLD_BOX)
        assert inside.count() == wanted.bit_count()
        witness = inside.witness()
        assert witness is None if not wanted else witness in PACKETS and wanted >> PACKETS.index(witness) & 1
        other, matched_there = small_list(choice, choice.randint(2, 7))
        difference = compare(source, other, space)
        there = passed(other, matched_there)
        assert bits_of(difference.only_in_first) == wanted & ~there
        assert bits_of(difference.only_in_second) == there & ~wanted
        decided = deciders(source, matched)
        classes = Classifier(source).classify(COLUMNS)
        for index, bits in enumerate(decided):
            assert sum(1 << n for n in np.flatnonzero(classes.entries == index).tolist()) == bits
        halves = Classifier(source).classify(HALVES)
        assert (halves.entries == classes.entries).all()
        gone: set[int] = set()
        anomalies = find_anomalies(source)
        for item in anomalies:
            if item.kind != REMOVABLE:
                gone.add(item.index)
        assert gone == {index for index in range(len(source.entries)) if not decided[index]}, seed
        for item in sorted((each for each in anomalies if each.kind == REMOVABLE), key=lambda each: -each.index):
            gone.add(item.index)
            assert passed(source, matched, without=frozenset(gone)) == wanted
            assert item.witness is not None
            assert decided[item.index] >> PACKETS.index(item.witness) & 1
        for index in set(range(len(source.entries) - 1)) - gone:  # nothing more can go: what is left is needed
            assert passed(source, matched, without=frozenset({*gone, index})) != wanted, (seed, index)
    assert masked > 10


def test_conditions_and_masks_together(few: None, full: bool) -> None:
    for seed in range(1000 if full else 15):
        choice = random.Random(seed)
        source, matched = small_list(choice, 5, conditions=True)
        found = verdicts(PacketSpace(), source)
        with_, without = passed(source, matched, held=True), passed(source, matched)
        assert bits_of(found.permitted) == with_ & without
        assert bits_of(found.uncertain) == with_ ^ without
        changed = replace(source, entries=source.entries[1:])
        assert compare(source, changed).equal == all(
            passed(source, matched, held) == passed(changed, matched[1:], held) for held in (True, False)
        )


WORLD_BOX = Box(
    protocol=GRE, fragment=IntervalSet.of(0), destination=IntervalSet.of((0, (1 << BITS) - 1)),
    source=IntervalSet.of((0, (1 << TAIL) - 1)),
)  # fmt: skip
COLUMNS = {
    "protocol": np.full(len(WORLD), 47),
    "destination": np.array([destination for destination, _source in WORLD]),
    "source": np.array([source for _destination, source in WORLD]),
}
HALVES = {"protocol": np.full(len(WORLD), 47)}
for _name in ("source", "destination"):
    HALVES[f"{_name}_hi"] = np.full(len(WORLD), -(1 << 63), dtype=np.int64)
    HALVES[f"{_name}_lo"] = (COLUMNS[_name] | 0xFFFF << 32).astype(np.int64) + np.int64(-(1 << 63))


def wild(choice: random.Random) -> IntervalSet:
    """Return an address with a mask of at least 13 loose bits above its lowest run."""
    loose = sum(1 << bit for bit in choice.sample(range(1, 28), choice.randint(13, 20)))
    if choice.random() < 0.5:
        loose = choice.choice((0x00FFFF00, 0x00FFFF01, 0x01FFFF00))
    return wildcard_set((10 << 24) + choice.randrange(1 << 24), loose)


def test_lists_of_real_size_against_binary_decision_diagrams(full: bool) -> None:
    pytest.importorskip("oxidd", reason="oxidd is the other engine of this test")
    from tests.bench.bdd import BddLists

    for seed in range(12 if full else 3):
        choice = random.Random(seed)
        entries = random_entries(choice, 80)
        for place in choice.sample(range(79), 12):
            side = choice.choice(("source", "destination"))
            entries[place] = replace(entries[place], boxes=(entries[place].boxes[0].replace(**{side: wild(choice)}),))
        assert any(entry.boxes[0].source.masked or entry.boxes[0].destination.masked for entry in entries)
        first = FirstMatchList(tuple(entries))
        changed = list(entries)
        place = choice.randrange(79)
        changed[place] = replace(changed[place], permit=not changed[place].permit)
        second = FirstMatchList(tuple(changed))
        other, space = BddLists(), PacketSpace()
        one, two = other.permitted(first), other.permitted(second)
        found = compare(first, second, space)
        assert found.equal == (one == two)
        tcp = Box(protocol=IntervalSet.of(6), detail=IntervalSet.of((0, 63)), fragment=IntervalSet.of(0),
                  source=IPV4_ADDRESSES, destination=IPV4_ADDRESSES)  # fmt: skip
        for ours, theirs in ((permitted(space, first), one), (found.only_in_first, one & ~two)):
            assert (ours & space.from_box(tcp)).count() == other.count(theirs & other.box(tcp))


def test_a_mask_over_two_bytes() -> None:
    """10.x.y.5 for all x and y is 65,536 pieces: equal to itself however it is written, and told as one box."""
    odd = wildcard_set(0x0A000005, 0x00FFFF00)
    assert odd.masked
    assert odd == wildcard_set(0x0A7F1205, 0x00FFFF00)
    assert (odd.hull, odd.size, odd.wildcard()) == ((0x0A000005, 0x0AFFFF05), 1 << 16, (0x0A000005, 0x00FFFF00))
    space = PacketSpace()
    box = Box(protocol=IPV4_PROTOCOLS, source=odd)
    only = compare(FirstMatchList((Entry(True, (box,)),)), FirstMatchList(()), space).only_in_first
    (found,) = only.boxes()
    assert (found.protocol, found.source) == (IPV4_PROTOCOLS, odd)
    assert box_text(found) == box_text(box)
    assert "10.0.0.5 0.255.255.0" in box_text(box)
    assert box_dicts(box)[0]["source"] == ["10.0.0.5 0.255.255.0"]
    rest = only - space.from_box(Box(source=IntervalSet.from_prefix("10.3.4.0/24")))
    assert (only.count() - rest.count()) * (1 << 16) == only.count()
    (told,) = rest.boxes()
    assert "10.3.3.5" in box_text(told)
    assert "10.3.5.5" in box_text(told)
    witness = rest.witness()
    assert witness is not None
    assert (witness.source ^ 0x0A000005) & 0xFF0000FF == 0
    assert Decisions(space, FirstMatchList((Entry(True, (box,)),))).entry_of(witness) == 0


def test_masks_of_ipv6_and_many_different_masks() -> None:
    choice = random.Random(5)
    far = wildcard_set(0x20010DB8 << 96, 0xFFFF << 64 | 0xFFFF << 16)
    assert isinstance(far, MaskedSet)
    boxes = [Box(protocol=IntervalSet.of(256 + 17), destination=far)]
    boxes += [Box(protocol=IntervalSet.of(17), source=wild(choice)) for _ in range(10)]
    space = PacketSpace()
    for box in boxes:
        found = space.from_box(box)
        assert found
        assert space.from_boxes(found.boxes()) == found
        witness = found.witness()
        assert witness is not None
        assert witness.destination in box.destination
        assert witness.source in box.source


def test_what_is_not_one_set_is_a_finding() -> None:
    odd, other = wildcard_set(5, 0x00FFFF00), wildcard_set(6, 0x00FFFF00)
    for work in (lambda: odd.union(other), lambda: IntervalSet.of((0, 1 << 24)).subtract(odd), lambda: odd.pairs):
        with pytest.raises(FindingError) as caught:
            work()
        assert caught.value.findings[0].code == "SW1104"
