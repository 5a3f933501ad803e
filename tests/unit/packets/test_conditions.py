"""Entries whose match depends on what no field holds: against every packet and every way the conditions can turn out."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets import compare as module
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.anomalies import REMOVABLE, find_anomalies
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.compare import compare
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import (
    Decisions,
    PacketSpace,
    permitted,
    verdicts,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import (
    Box,
    Entry,
    FirstMatchList,
    make_packet,
)
from tests.unit.packets.small import PACKETS, bits_in, first_matches, random_list, verdicts_of

CONDITIONS = ("dscp ef", "time-range NIGHT", "time-range WORK")
WAYS = [dict(zip(CONDITIONS, values, strict=True)) for values in itertools.product((False, True), repeat=3)]
SAMPLE = range(0, len(PACKETS), 7)


def conditional_list(choice: random.Random, length: int) -> FirstMatchList:
    """Return a random list of which about half of the entries have a condition."""
    source = random_list(choice, length, whole=0.75)
    entries = [
        replace(entry, condition=choice.choice(CONDITIONS)) if choice.random() < 0.5 else entry
        for entry in source.entries
    ]
    return replace(source, entries=tuple(entries))


def deciding(source: FirstMatchList) -> list[tuple[int, ...]]:
    """Walk the list from the top for each packet, knowing what the conditions are: an entry for each way."""
    return list(zip(*(first_matches(source, way) for way in WAYS), strict=True))


def actions(source: FirstMatchList) -> list[tuple[bool, ...]]:
    """Return each packet's verdict for each way the conditions can turn out."""
    return list(zip(*(verdicts_of(source, way) for way in WAYS), strict=True))


@pytest.mark.one_python
@pytest.mark.parametrize("seed", range(10))
def test_verdicts_by_brute_force(seed: int) -> None:
    source = conditional_list(random.Random(seed), 7)
    space = PacketSpace()
    found = verdicts(space, source)
    decided = Decisions(space, source)
    indices, passing = deciding(source), actions(source)
    for number in SAMPLE:
        packet, ways = PACKETS[number], set(passing[number])
        assert (packet in found.permitted) == (ways == {True})
        assert (packet in found.uncertain) == (len(ways) == 2)
        assert set(decided.entries_of(packet)) == set(indices[number])
        assert decided.permits(packet) == (ways.pop() if len(ways) == 1 else None)
    assert permitted(space, source) == found.permitted


@pytest.mark.parametrize("seed", range(12))
def test_comparison_by_brute_force(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    choice = random.Random(seed)
    first = conditional_list(choice, 6)
    kept = [entry for entry in first.entries if choice.random() > 0.2]
    second = replace(first, entries=tuple(choice.sample(kept, len(kept)) if seed % 2 else kept))
    if seed % 3 == 0:  # the way of long lists
        monkeypatch.setattr(module, "LOCAL_FROM", 0)
        monkeypatch.setattr(module, "LOCAL_SHARE", 9)
    found = compare(first, second)
    same = True
    one, two = actions(first), actions(second)
    for number in SAMPLE:
        packet, before, after = PACKETS[number], one[number], two[number]
        same = same and before == after
        assert (packet in found.only_in_first) == (set(before) == {True} and set(after) == {False})
        assert (packet in found.only_in_second) == (set(before) == {False} and set(after) == {True})
        assert (packet in found.not_modelled) == (before != after and len({*before}) + len({*after}) > 2)
    if found.equal:
        assert same
    assert compare(first, first).equal


@pytest.mark.one_python
@pytest.mark.parametrize("seed", range(10))
def test_anomalies_by_brute_force(seed: int) -> None:
    source = conditional_list(random.Random(100 + seed), 8)
    reached = {index for ways in deciding(source) for index in ways}
    found = find_anomalies(source)
    dead = {item.index for item in found if item.kind != REMOVABLE}
    assert dead == set(range(len(source.entries))) - reached
    for item in found:
        if item.kind == REMOVABLE:
            continue
        for other in item.covering:  # a certificate holds whatever conditions say
            assert source.entries[other].condition in ("", item.entry.condition)
            assert other < item.index
        if bits_in(item.entry.boxes):
            assert item.witness is not None
    gone = {item.index for item in found}
    kept = replace(source, entries=tuple(entry for i, entry in enumerate(source.entries) if i not in gone))
    assert actions(source) == actions(kept)
    assert compare(source, kept).equal


def entry(permit: bool, condition: str = "", **sets: IntervalSet) -> Entry:
    return Entry(permit, (Box(**sets),), condition=condition)


def test_what_cannot_be_known_is_told_apart() -> None:
    web = {"protocol": IntervalSet.of(6), "destination_port": IntervalSet.of(443), "fragment": IntervalSet.of(0)}
    timed = FirstMatchList((entry(True, "time-range WORK", **web),))
    always = FirstMatchList((entry(True, **web),))
    never = FirstMatchList(())
    space = PacketSpace()
    assert compare(timed, timed, space).equal
    for other in (always, never):
        found = compare(timed, other, space)
        assert not found.equal
        assert not found.only_in_first
        assert not found.only_in_second
        assert found.not_modelled == space.from_box(Box(**web))
    both = FirstMatchList((entry(True, "time-range WORK", **web), entry(True, **web)))
    assert compare(both, always, space).equal  # the condition does not matter there
    other_name = FirstMatchList((entry(True, "time-range NIGHT", **web),))
    assert not compare(timed, other_name, space).equal
    packet = make_packet(6, "10.0.0.1", "10.0.0.2", 443)
    assert packet not in permitted(space, timed)
    assert packet in verdicts(space, timed).maybe_permitted
    assert Decisions(space, timed).permits(packet) is None
    with pytest.raises(ValueError, match="conditions decide"):
        Decisions(space, timed).entry_of(packet)


def test_equal_meaning_is_one_diagram() -> None:
    one, two = entry(True, "dscp ef"), entry(True, "time-range WORK")
    deny = entry(False, "time-range WORK")
    assert compare(FirstMatchList((one, two)), FirstMatchList((two, one))).equal
    assert not compare(FirstMatchList((one, deny), True), FirstMatchList((deny, one), True)).equal
    assert compare(FirstMatchList((one, deny)), FirstMatchList((one,))).equal  # a deny before the default deny
    assert compare(
        FirstMatchList((two, deny), True), FirstMatchList((two,), True)
    ).equal  # decided by the first already


def test_a_condition_kills_only_its_like() -> None:
    source = FirstMatchList((
        entry(True, "time-range WORK"),
        entry(True, "time-range WORK", protocol=IntervalSet.of(6)),
        entry(True, protocol=IntervalSet.of(17)),
        entry(False, "dscp ef", protocol=IntervalSet.of(17)),
    ))  # fmt: skip
    found = {item.index: (item.kind, item.covering) for item in find_anomalies(source)}
    assert found == {1: ("dead", (0,)), 3: ("contradicting", (2,))}


def test_groups_are_fields_like_others() -> None:
    space = PacketSpace()
    pair = {"source_group": IntervalSet.of(10), "destination_group": IntervalSet.of((20, 29))}
    source = FirstMatchList((entry(True, **pair), entry(False)))
    passed = permitted(space, source)
    assert make_packet(6, "10.0.0.1", "10.0.0.2", 443, source_group=10, destination_group=25) in passed
    assert make_packet(6, "10.0.0.1", "10.0.0.2", 443, source_group=10, destination_group=30) not in passed
    assert make_packet(6, "10.0.0.1", "10.0.0.2", 443) not in passed
    assert passed.values("destination_group") == IntervalSet.of((20, 29))
    witness = passed.witness()
    assert witness is not None
    assert witness.describe().endswith("groups 10 > 20")
    assert witness.mirror().source_group == 20
    assert passed.boxes() == [Box(**pair)]
    untagged = space.from_box(Box(protocol=IntervalSet.of(17), source=IntervalSet.of((1, 4))))
    assert all(
        space.nodes.field[space.nodes.level[node]] < 7 for node in space.nodes.reachable(untagged.root) if node >= 0
    )


def test_an_entry_without_packets_may_be_the_only_one_without_a_condition() -> None:
    bare = Entry(True, (), "nothing")
    web = Entry(True, (Box(protocol=IntervalSet.of(6)),), "web", condition="dscp ef")
    found = find_anomalies(FirstMatchList((web, web, bare)))
    assert [(item.index, item.witness is None) for item in found] == [(1, False), (2, True)]
