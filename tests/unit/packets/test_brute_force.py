"""Thousands of random small lists in tiny worlds against brute force: every packet, every way the conditions can turn out."""

from __future__ import annotations

import random

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets import dead
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.anomalies import (
    CONTRADICTING,
    DEAD,
    REMOVABLE,
    find_anomalies,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.classify import Classifier
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.compare import compare
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import (
    Decisions,
    PacketSet,
    PacketSpace,
    verdicts,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import FIELDS, FirstMatchList
from tests.unit.packets.tiny import ALL_BITS, WAYS, WORLD, deciders, masks_of, passed, tiny_list

np = pytest.importorskip("numpy")
QUICK, FULL = 120, 7000  # of each of three kinds


def bits_of(packets: PacketSet) -> int:
    """Return the packets of the world that are in a set."""
    return sum(1 << number for number, packet in enumerate(WORLD) if packet in packets)


def cases(full: bool, kind: int) -> range:
    return range(kind * 100_000, kind * 100_000 + (FULL if full else QUICK))


def columns_of_world() -> dict[str, object]:
    """Return the world as columns with addresses in halves, as the flow store has them."""
    rows = [packet.values() for packet in WORLD]
    found = {name: np.array([row[i] for row in rows]) for i, name in enumerate(FIELDS) if i not in (3, 4)}
    for place, name in ((3, "destination"), (4, "source")):
        whole = [row[place] if row[0] > 255 else 0xFFFF << 32 | row[place] for row in rows]
        found[f"{name}_hi"] = np.array([(value >> 64) - (1 << 63) for value in whole], dtype=np.int64)
        found[f"{name}_lo"] = np.array([(value & (1 << 64) - 1) - (1 << 63) for value in whole], dtype=np.int64)
    return found


COLUMNS = columns_of_world()


@pytest.mark.one_python
def test_verdicts_and_differences(full: bool) -> None:
    for seed in cases(full, 0):
        choice = random.Random(seed)
        conditions = seed % 2 == 1
        first = tiny_list(choice, choice.randint(1, 6), conditions)
        entries = [entry for entry in first.entries if choice.random() > 0.15]
        second = (
            tiny_list(choice, 2, conditions) if seed % 5 == 0 else FirstMatchList(tuple(entries), first.default_permit)
        )
        space = PacketSpace()
        found = compare(first, second, space)
        masks = masks_of(first), masks_of(second)
        ways = [
            tuple(passed(item, mask, way) for way in WAYS) for item, mask in zip((first, second), masks, strict=True)
        ]
        certain = [(conjunction(each), ALL_BITS & ~disjunction(each)) for each in ways]
        assert bits_of(found.only_in_first) == certain[0][0] & certain[1][1], seed
        assert bits_of(found.only_in_second) == certain[0][1] & certain[1][0], seed
        unlike = disjunction(a ^ b for a, b in zip(*ways, strict=True))
        plain = [permits | denies for permits, denies in certain]
        assert bits_of(found.not_modelled) == unlike & ~(plain[0] & plain[1]), seed
        judged = verdicts(space, first)
        assert bits_of(judged.permitted) == certain[0][0], seed
        assert bits_of(judged.uncertain) == ALL_BITS & ~plain[0], seed
        assert space.from_boxes(judged.permitted.boxes()) == judged.permitted, seed


def conjunction(parts: object) -> int:
    result = ALL_BITS
    for part in parts:  # type: ignore[attr-defined]
        result &= part
    return result


def disjunction(parts: object) -> int:
    result = 0
    for part in parts:  # type: ignore[attr-defined]
        result |= part
    return result


@pytest.mark.one_python
def test_anomalies_and_their_certificates(full: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead, "SAMPLED_FROM", 0)
    for seed in cases(full, 1):
        choice = random.Random(seed)
        source = tiny_list(choice, choice.randint(2, 9), seed % 3 == 0)
        masks = masks_of(source)
        owned = [deciders(source, masks, way) for way in WAYS]
        found = {item.index: item for item in find_anomalies(source)}
        gone = {index for index, item in found.items() if item.kind != REMOVABLE}
        assert gone == {i for i in range(len(source.entries)) if not any(way[i] for way in owned)}, seed
        removed = set(gone)
        needless = {index for index in found if index not in gone}
        for index in range(len(source.entries) - 1, -1, -1):  # greedy from the bottom, as promised
            if index in gone:
                continue
            without, with_it = frozenset(removed | {index}), frozenset(removed)
            same = all(passed(source, masks, way, without) == passed(source, masks, way, with_it) for way in WAYS)
            last = source.entries[-1]
            written_out = (
                index == len(source.entries) - 1 and not last.condition and last.permit == source.default_permit
            )
            assert (index in needless) == (same and not written_out), (seed, index)
            if same and not written_out:
                removed.add(index)
        actions = [*(entry.permit for entry in source.entries), source.default_permit]
        for item in found.values():
            cover = disjunction(masks[other] for other in item.covering if other < len(masks))
            if item.kind == REMOVABLE:
                assert any(owned[way][item.index] for way in range(len(WAYS)))
                assert item.covering, seed
                if not source.is_conditional:  # who takes over decides likewise, and takes every packet of the entry
                    takers = [actions[other] for other in item.covering]
                    assert set(takers) == {item.entry.permit}, (seed, item.index)
                    assert len(masks) in item.covering or not owned[0][item.index] & ~cover, (seed, item.index)
            elif masks[item.index]:
                assert item.witness is not None
                if item.kind == CONTRADICTING:
                    assert all(source.entries[other].permit != item.entry.permit for other in item.covering), seed
                else:
                    assert not masks[item.index] & ~cover, seed
                    assert (item.kind == DEAD) == (len(item.covering) == 1), seed


@pytest.mark.one_python
def test_deciding_entries_one_by_one_and_in_columns(full: bool) -> None:
    for seed in cases(full, 2):
        choice = random.Random(seed)
        source = tiny_list(choice, choice.randint(1, 7), seed % 4 == 0)
        masks = masks_of(source)
        space = PacketSpace()
        decided = Decisions(space, source)
        owned = [deciders(source, masks, way) for way in WAYS]
        wanted = [
            frozenset(i for way in owned for i, bits in enumerate(way) if bits >> n & 1) for n in range(len(WORLD))
        ]
        classifier = Classifier(source, space)
        columns = classifier.classify(COLUMNS)
        actions = [*(entry.permit for entry in source.entries), source.default_permit]
        for number, packet in enumerate(WORLD):
            here = {actions[index] for index in wanted[number]}
            assert set(classifier.deciding(int(columns.entries[number]))) == wanted[number], (seed, packet)
            assert bool(columns.permits[number]) == (here == {True}), (seed, packet)
            assert bool(columns.uncertain[number]) == (len(here) == 2), (seed, packet)
            if number % 16 == seed % 16:
                assert set(decided.entries_of(packet)) == wanted[number], (seed, packet)
