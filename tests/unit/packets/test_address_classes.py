"""Classes of addresses against membership counted one address at a time."""

from __future__ import annotations

import random

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.address_classes import AddressClasses
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.masks import wildcard_set

np = pytest.importorskip("numpy")

TOP = (1 << 128) - 1
# Stretches around the places where halves and families meet; every set is made of their ends and neighbours.
EDGES = [0, 7, 8, (1 << 32) - 1, 1 << 32, (1 << 64) - 1, 1 << 64, (1 << 64) + (1 << 63), (1 << 127) + 5, TOP]
ENDS = sorted({value + near for value in EDGES for near in (-1, 0, 1) if 0 <= value + near <= TOP})
WORLD = sorted({value + near for value in ENDS for near in (-1, 0, 1) if 0 <= value + near <= TOP})


def columns(values: list[int]) -> tuple[object, object]:
    """Return unsigned halves."""
    return (
        np.array([value >> 64 for value in values], dtype=np.uint64),
        np.array([value & (1 << 64) - 1 for value in values], dtype=np.uint64),
    )


def random_sets(choice: random.Random) -> list[IntervalSet]:
    """Return sets of which some are empty, everything, or there twice."""
    made = [IntervalSet(), IntervalSet.of((0, TOP))] if choice.random() < 0.5 else []
    for _ in range(choice.randint(0, 6)):
        ends = sorted(choice.sample(ENDS, 2 * choice.randint(1, 3)))
        made.append(IntervalSet.of(*zip(ends[::2], ends[1::2], strict=True)))
    return made + made[:1]


def test_addresses_are_of_one_class_where_every_set_holds_both_or_neither() -> None:
    for seed in range(60):
        choice = random.Random(seed)
        sets = random_sets(choice)
        classes = AddressClasses(sets)
        found = classes.column(*columns(WORLD)).tolist()
        told: dict[tuple[bool, ...], set[int]] = {}
        for value, number in zip(WORLD, found, strict=True):
            signs = tuple(any(low <= value <= high for low, high in each.pairs) for each in sets)
            told.setdefault(signs, set()).add(number)
            for each, sign in zip(sets, signs, strict=True):
                assert (number in classes.of(each)) is sign, (seed, value, each)
        assert all(len(numbers) == 1 for numbers in told.values()), seed
        assert len(told) == len(set(found)) == classes.count, seed
        first = [found.index(number) for number in range(classes.count)]
        assert first == sorted(first), seed  # numbered by their lowest address


def test_members_of_a_segment_are_one_class_however_many_they_are() -> None:
    members = IntervalSet.of(*range(1000, 3000, 2))
    classes = AddressClasses([members, IntervalSet.of((2000, 2010))])
    assert classes.count == 4
    assert classes.of(members).pairs == ((1, 2),)  # alone, and within the other set


def test_no_rows_and_no_sets() -> None:
    assert AddressClasses([]).column(*columns([5, TOP])).tolist() == [0, 0]
    assert AddressClasses([IntervalSet.single(5)]).column(*columns([])).tolist() == []


def test_sets_that_have_no_classes_are_told() -> None:
    with pytest.raises(ValueError, match="mask"):
        AddressClasses([wildcard_set(0x0A000001, 0xAAAAAAAA)])
    with pytest.raises(KeyError):
        AddressClasses([IntervalSet.single(5)]).of(IntervalSet.single(6))
