"""Equality of random lists against a binary decision diagram library, built bit by bit from the same entries."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.compare import compare
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace, permitted
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import (
    IPV4_ADDRESSES,
    IPV4_PROTOCOLS,
    Box,
    Entry,
    FirstMatchList,
)
from tests.bench.bdd import BddLists
from tests.bench.lists import random_entries, rewritten

oxidd = pytest.importorskip("oxidd", reason="oxidd is the other engine of this test")


@pytest.mark.parametrize("seed", range(4))
def test_rewritten_lists_are_equal_for_both_engines(seed: int) -> None:
    choice = random.Random(seed)
    first = random_entries(choice, 150)
    second = rewritten(choice, first)
    lists = [FirstMatchList(tuple(entries)) for entries in (first, second)]
    other = BddLists()
    assert other.permitted(lists[0]) == other.permitted(lists[1])
    assert compare(*lists).equal


@pytest.mark.parametrize("seed", range(10))
def test_mutations_are_judged_alike(seed: int) -> None:
    choice = random.Random(50 + seed)
    first = random_entries(choice, 40)
    second = list(first)
    for _ in range(choice.randint(1, 3)):
        place = choice.randrange(len(second))
        second[place] = choice.choice([mutated, swapped, dropped])(choice, second, place)
    second = [entry for entry in second if entry.boxes]
    lists = [FirstMatchList(tuple(entries)) for entries in (first, second)]
    other = BddLists()
    expected = other.permitted(lists[0]) == other.permitted(lists[1])
    assert compare(*lists).equal == expected


@pytest.mark.parametrize("seed", range(3))
def test_numbers_of_packets_agree(seed: int) -> None:
    """The packets of IPv4 TCP without later fragments, counted by both engines."""
    choice = random.Random(80 + seed)
    source = FirstMatchList(tuple(random_entries(choice, 60)))
    space = PacketSpace()
    tcp = space.from_box(Box(protocol=IntervalSet.of(6), fragment=IntervalSet.of(0)))
    ours = (permitted(space, source) & tcp).count()
    other = BddLists()
    theirs = other.count(other.permitted(source) & other.box(Box(
        protocol=IntervalSet.of(6), detail=IntervalSet.of((0, 63)), fragment=IntervalSet.of(0),
        source=IPV4_ADDRESSES, destination=IPV4_ADDRESSES,
    )))  # fmt: skip
    assert ours == theirs


def mutated(choice: random.Random, entries: list[Entry], place: int) -> Entry:
    box = entries[place].boxes[0]
    low = box.source.pairs[0][0]
    return Entry(entries[place].permit, (box.replace(source=IntervalSet.of(low)),))


def swapped(choice: random.Random, entries: list[Entry], place: int) -> Entry:
    return Entry(not entries[place].permit, entries[place].boxes)


def dropped(choice: random.Random, entries: list[Entry], place: int) -> Any:
    return Entry(True, ())


def test_the_other_engine_is_not_ours() -> None:
    other = BddLists()
    everything = FirstMatchList((Entry(True, (Box(protocol=IPV4_PROTOCOLS),)),))
    assert type(other.permitted(everything)).__module__.startswith("oxidd")
