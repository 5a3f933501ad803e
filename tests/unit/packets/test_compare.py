"""Comparison: exact differences, the local way for long lists, and mutations that are never missed."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets import compare as module
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.compare import compare
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace, permitted
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import (
    ESTABLISHED,
    FIELDS,
    Box,
    Entry,
    FirstMatchList,
)
from tests.bench.lists import random_entries, rewritten
from tests.unit.packets.small import PACKETS, passes, random_list, verdicts_of


@pytest.mark.one_python
@pytest.mark.parametrize("seed", range(12))
def test_difference_by_brute_force(seed: int) -> None:
    choice = random.Random(seed)
    first, second = random_list(choice, 5), random_list(choice, 5)
    found = compare(first, second)
    for packet, before, after in zip(PACKETS, verdicts_of(first), verdicts_of(second), strict=True):
        assert (packet in found.only_in_first) == (before and not after)
        assert (packet in found.only_in_second) == (after and not before)
    assert found.newly_permitted == found.only_in_second
    assert found.newly_denied == found.only_in_first


@pytest.mark.parametrize("seed", range(6))
def test_local_and_whole_way_agree(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    choice = random.Random(seed)
    entries = random_entries(choice, 120)
    changed = list(entries)
    for _ in range(4):
        place = choice.randrange(len(changed) - 1)
        changed[place] = choice.choice([
            replace(changed[place], permit=not changed[place].permit), random_entries(choice, 2)[0], changed[place - 1],
        ])  # fmt: skip
    lists = FirstMatchList(tuple(entries)), FirstMatchList(tuple(changed))
    space = PacketSpace()
    local = compare(*lists, space)
    monkeypatch.setattr(module, "LOCAL_FROM", 10**9)
    whole = compare(*lists, space)
    assert (local.only_in_first, local.only_in_second) == (whole.only_in_first, whole.only_in_second)
    assert local.only_in_first == permitted(space, lists[0]) - permitted(space, lists[1])


def test_defaults_count() -> None:
    assert not compare(FirstMatchList(()), FirstMatchList((), True)).equal
    assert compare(FirstMatchList((Entry(True, (Box(),)),)), FirstMatchList((), True)).equal


@pytest.mark.parametrize("seed", range(3))
def test_rewriting_keeps_the_meaning(seed: int) -> None:
    choice = random.Random(seed)
    entries = random_entries(choice, 300)
    assert compare(FirstMatchList(tuple(entries)), FirstMatchList(tuple(rewritten(choice, entries)))).equal


def test_every_mutation_of_one_field_is_caught() -> None:
    """A live entry that loses or gains one value in one field, or its action, makes another list: found every time."""
    base = Box(
        protocol=IntervalSet.of(6), detail=ESTABLISHED, fragment=IntervalSet.of(0),
        source=IntervalSet.from_prefix("10.1.0.0/24"), destination=IntervalSet.from_prefix("10.2.0.0/28"),
        destination_port=IntervalSet.of((440, 450)), source_port=IntervalSet.of((1024, 65535)),
        destination_group=IntervalSet.of(7), source_group=IntervalSet.of((9, 12)),
    )  # fmt: skip
    other = Entry(True, (Box(protocol=IntervalSet.of(17), destination=IntervalSet.from_prefix("10.9.0.0/16")),))
    for permit in (True, False):
        first = FirstMatchList((Entry(permit, (base,)), other), not permit)
        for field in FIELDS:
            values: IntervalSet = getattr(base, field)
            low, high = values.pairs[0][0], values.pairs[-1][1]
            variants = [values.subtract(IntervalSet.of(low)), values.subtract(IntervalSet.of(high))]
            variants.append(values.union(IntervalSet.of(262 if field == "protocol" else low - 1 if low else high + 1)))
            for changed in variants:
                if field == "fragment":
                    continue
                second = FirstMatchList((Entry(permit, (base.replace(**{field: changed}),)), other), not permit)
                assert not compare(first, second).equal, (field, changed)
        assert not compare(first, FirstMatchList((Entry(not permit, (base,)), other), not permit)).equal


def test_witness_of_a_difference_is_decided_differently() -> None:
    choice = random.Random(9)
    entries = random_entries(choice, 200)
    second = [entry for place, entry in enumerate(entries) if place != 7]
    lists = FirstMatchList(tuple(entries)), FirstMatchList(tuple(second))
    found = compare(*lists)
    for side, permits in ((found.only_in_first, (True, False)), (found.only_in_second, (False, True))):
        witness = side.witness()
        if witness is not None:
            assert tuple(passes(item, witness) for item in lists) == permits
    assert not found.equal
