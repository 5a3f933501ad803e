"""The fast search for dead and removable entries against the slow one by set algebra, and every certificate checked anew."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets import anomalies as module
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets import dead
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.anomalies import (
    CONTRADICTING,
    DEAD,
    REMOVABLE,
    UNION_SHADOWED,
    Anomaly,
    find_anomalies,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.compare import compare
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.dead import dead_indices
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import Decisions, PacketSpace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Entry, FirstMatchList
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.removable import RemovableSearch
from tests.bench.lists import firewall_entries, random_entries, wildcard_entries
from tests.unit.packets.slow_removable import removable_entries
from tests.unit.packets.small import first_match, in_box, passes, random_list

pytest.importorskip("numpy")
MAKERS = [random_entries, firewall_entries, wildcard_entries]


@pytest.fixture(autouse=True)
def no_short_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let short lists go the way of long ones too."""
    monkeypatch.setattr(dead, "SAMPLED_FROM", 0)


def slow(source: FirstMatchList) -> tuple[list[int], list[int]]:
    """Return the dead and the removable entries by the diagram of the whole list and by set algebra."""
    space = PacketSpace()
    reached = Decisions(space, source).reached
    gone = [index for index in range(len(source.entries)) if index not in reached]
    return gone, sorted(item.index for item in removable_entries(source, gone, space))


@pytest.mark.parametrize("seed", range(12))
def test_small_worlds(seed: int) -> None:
    source = random_list(random.Random(500 + seed), 14, whole=0.75)
    gone, needless = slow(source)
    assert dead_indices(source) == gone
    assert sorted(item.index for item in RemovableSearch(source, gone).find()) == needless


@pytest.mark.one_python
@pytest.mark.parametrize("make", MAKERS)
def test_lists_of_a_real_kind(make: Callable[[random.Random, int], list[Entry]], full: bool) -> None:
    for seed in range(6 if full else 1):
        length = 1500 if full and make is not wildcard_entries else 120 if make is wildcard_entries else 350
        source = FirstMatchList(tuple(make(random.Random(seed), length)))
        gone, needless = slow(source)
        assert dead_indices(source) == gone
        assert sorted(item.index for item in RemovableSearch(source, gone).find()) == needless


@pytest.mark.one_python
@pytest.mark.parametrize("make", MAKERS[:2])
@pytest.mark.parametrize("share", [0.0, 9.0])
def test_certificates_hold(
    make: Callable[[random.Random, int], list[Entry]], share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``share`` chooses between certificates from small diagrams and from that of the whole list."""
    monkeypatch.setattr(module, "LOCAL_SHARE", share)
    source = FirstMatchList(tuple(make(random.Random(3), 250)))
    found = find_anomalies(source)
    assert {item.kind for item in found} >= {DEAD, CONTRADICTING, REMOVABLE}
    gone = {item.index for item in found}
    for item in found:
        check_certificate(source, item, gone)
    kept = replace(source, entries=tuple(entry for i, entry in enumerate(source.entries) if i not in gone))
    assert compare(source, kept).equal


def check_certificate(source: FirstMatchList, item: Anomaly, gone: set[int]) -> None:
    """Check one anomaly by means that its search does not use: walks from the top, and set algebra of the covering entries."""
    space = PacketSpace()
    own = space.from_boxes(item.entry.boxes)
    others = space.from_boxes(box for i in item.covering if i < len(source.entries) for box in source.entries[i].boxes)
    assert item.witness is not None
    assert any(in_box(item.witness, box) for box in item.entry.boxes)
    decider = first_match(source, item.witness)
    if item.kind == REMOVABLE:
        assert decider == item.index
        assert all(other > item.index and other not in gone for other in item.covering)
        without = replace(
            source, entries=tuple(entry for i, entry in enumerate(source.entries) if i not in gone | {item.index})
        )
        assert passes(without, item.witness) == item.entry.permit
        return
    assert all(other < item.index for other in item.covering)
    assert decider in item.covering or item.kind == DEAD
    if item.kind in (DEAD, UNION_SHADOWED):
        assert own.is_subset_of(others)
        assert (len(item.covering) == 1) == (item.kind == DEAD)
    else:
        assert all(source.entries[other].permit != item.entry.permit for other in item.covering)
        assert passes(source, item.witness) != item.entry.permit
        before = (box for entry in source.entries[: item.index] for box in entry.boxes)
        assert own.is_subset_of(space.from_boxes(before))


def test_sets_of_several_intervals_and_impossible_packets() -> None:
    """What only ghost packets tell apart is no difference: a UDP entry limited by flag bits covers all of UDP."""
    source = random_list(random.Random(77), 40, whole=0.4)
    gone, needless = slow(source)
    assert dead_indices(source, space=PacketSpace()) == gone
    assert sorted(item.index for item in RemovableSearch(source, gone).find()) == needless
