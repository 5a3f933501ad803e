"""Dead, cancelled and removable entries against brute force and against lists with known answers."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.anomalies import (
    CONTRADICTING,
    DEAD,
    REMOVABLE,
    UNION_SHADOWED,
    find_anomalies,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.compare import compare
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.dead import dead_indices
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace, decisions
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import (
    ESTABLISHED,
    Box,
    Entry,
    FirstMatchList,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.removable import RemovableSearch
from tests.unit.packets.small import bits_in, first_matches, in_box, numbers, passes, random_list, verdicts_of


@pytest.mark.one_python
@pytest.mark.parametrize("seed", range(15))
def test_dead_and_removable_by_brute_force(seed: int) -> None:
    choice = random.Random(seed)
    source = random_list(choice, 9, whole=0.7)
    indices, permits = first_matches(source), verdicts_of(source)
    reached = set(indices)
    found = find_anomalies(source)
    dead = {item.index for item in found if item.kind != REMOVABLE}
    assert dead == set(range(len(source.entries))) - reached
    for item in found:
        owned = bits_in(item.entry.boxes)
        if item.kind == REMOVABLE:
            assert item.witness is not None
            assert decisions(PacketSpace(), source).entry_of(item.witness) == item.index
        elif owned:
            opposite = {indices[n] for n in numbers(owned) if permits[n] != item.entry.permit}
            assert (item.kind == CONTRADICTING) == bool(opposite)
            if opposite:
                assert opposite <= set(item.covering)
            assert item.witness is not None
            assert any(in_box(item.witness, box) for box in item.entry.boxes)
            alone = any(not owned & ~bits_in(source.entries[other].boxes) for other in range(item.index))
            if item.kind == UNION_SHADOWED:
                assert not alone
                assert len(item.covering) > 1
    kept = FirstMatchList(
        tuple(e for i, e in enumerate(source.entries) if i not in {item.index for item in found}), source.default_permit
    )
    assert compare(source, kept).equal  # all of them may go together
    again = find_anomalies(kept)
    assert not [item for item in again if item.kind != REMOVABLE]


def host(number: int, **more: IntervalSet) -> Box:
    return Box(protocol=IntervalSet.of((0, 255)), destination=IntervalSet.of(number), **more)


def test_kinds_and_findings() -> None:
    source = FirstMatchList((
        Entry(True, (host(1).replace(source=IntervalSet.of((0, 99))),), "left", 10),
        Entry(True, (host(1).replace(source=IntervalSet.of((100, (1 << 32) - 1))),), "right", 20),
        Entry(True, (host(1),), "both", 30),
        Entry(True, (host(1).replace(source=IntervalSet.of(5)),), "inside left", 40),
        Entry(False, (host(1),), "too late", 50),
        Entry(False, (host(2),), "as the end", 60),
        Entry(False, (Box(),), "end", 70),
    ))  # fmt: skip
    found = {item.index: item for item in find_anomalies(source)}
    assert {index: item.kind for index, item in found.items()} == {
        2: UNION_SHADOWED,
        3: DEAD,
        4: CONTRADICTING,
        5: REMOVABLE,
    }
    assert found[2].covering == (0, 1)
    assert found[3].covering == (0,)
    assert found[4].covering == (0, 1)
    assert found[5].covering == (6,)
    texts = {index: item.finding(source) for index, item in found.items()}
    assert [texts[index].code for index in (2, 3, 4, 5)] == ["SW1111", "SW1110", "SW1112", "SW1113"]
    assert "entry 30 (both) is covered by entry 10 (left), entry 20 (right) together" in texts[2].message


def test_the_closing_deny_is_no_fault() -> None:
    source = FirstMatchList((Entry(True, (host(1),)), Entry(False, (Box(),))))
    assert find_anomalies(source) == []


def csv_entries(path: Path) -> list[Entry]:
    result = []
    with path.open(encoding="utf-8") as stream:
        for number, row in enumerate(csv.DictReader(stream), 1):
            sets = {
                name: IntervalSet.of((int(row[f"{short}_lo"]), int(row[f"{short}_hi"])))
                for name, short in (("protocol", "proto"), ("source", "src"), ("destination", "dst"))
            }
            ports = {
                "source_port": IntervalSet.of((int(row["sport_lo"]), int(row["sport_hi"]))),
                "destination_port": IntervalSet.of((int(row["dport_lo"]), int(row["dport_hi"]))),
            }
            established = (row["est_lo"], row["est_hi"])
            detail = {
                ("0", "1"): {},
                ("1", "1"): {"detail": ESTABLISHED},
                ("0", "0"): {"detail": IntervalSet.of((0, 63)).subtract(ESTABLISHED)},
            }
            result.append(
                Entry(
                    row["permit"] == "1", (Box(**sets, **ports, **detail[established]),), f"rule {number - 1}", number
                )
            )
    return result


CASES = ["fw-150-s21", "fw-400-s22", "fw-800-s23", "fw-1000-s24", "iot-800-s13", "unionheavy-200-s32", "unionheavy-400-s34",
         "unionheavy-500-s33"]  # fmt: skip
LARGE = ("fw-800-s23", "fw-1000-s24", "iot-800-s13")


@pytest.mark.one_python
@pytest.mark.corpora
@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[pytest.mark.full] if case in LARGE else []) for case in CASES]
)
def test_lists_with_known_answers(corpora: Path, case: str, full: bool) -> None:
    """Dead rules, rules that could each go alone, an equivalent list and a mutant, made by others' engines."""
    folder = corpora / "policy-corpora" / "synthetic-oracle" / case
    if not folder.is_dir():
        pytest.skip(f"no corpus {case}")
    known = json.loads((folder / "oracle.json").read_text(encoding="utf-8"))
    first, equivalent, mutant = (
        FirstMatchList(tuple(csv_entries(folder / f"{name}.csv"))) for name in ("rules", "equivalent", "mutant")
    )
    decided = decisions(PacketSpace(), first)
    dead = sorted(set(range(len(first.entries))) - decided.reached)
    assert dead == sorted(known["dead_rules_zero_based"]) == dead_indices(first)
    if full or len(first.entries) <= 560:  # where the oracle asked two engines
        assert RemovableSearch(first, ()).alone() == sorted(known["individually_removable_rules_zero_based"])
    assert compare(first, equivalent).equal
    found = compare(first, mutant)
    assert not found.equal
    for side, permits in ((found.only_in_first, True), (found.only_in_second, False)):
        witness = side.witness()
        assert witness is None or (passes(first, witness), passes(mutant, witness)) == (permits, not permits)


def test_entries_that_a_platform_adds_are_neither_faults_nor_removed() -> None:
    """A written deny of everything stands before them: without it the last entry would permit."""
    everything = Box(protocol=IntervalSet.of((0, 511)))
    web = Box(protocol=IntervalSet.of(6), destination_port=IntervalSet.of(443))
    added = Entry(True, (Box(protocol=IntervalSet.of(17)),), "added")
    written = (Entry(True, (web,), "web"), Entry(False, (everything,), "all"))
    assert find_anomalies(FirstMatchList((*written, added), fixed=1)) == []
    plain = FirstMatchList((*written, added))
    assert [(item.kind, item.index) for item in find_anomalies(plain)] == [(REMOVABLE, 1), (CONTRADICTING, 2)]
    deny = Entry(False, (Box(protocol=IntervalSet.of(17), destination_port=IntervalSet.of(53)),), "dns")
    covered = FirstMatchList((Entry(True, (web,), "web"), deny, added), fixed=1)
    assert find_anomalies(covered) == []
    tcp = Entry(False, (Box(protocol=IntervalSet.of(6)),), "tcp")
    needless = FirstMatchList(
        (tcp, Entry(True, (Box(protocol=IntervalSet.of(17), destination_port=IntervalSet.of(53)),)), added), fixed=1
    )
    (found,) = find_anomalies(needless)[:1]
    assert (found.kind, found.index, found.covering) == (REMOVABLE, 0, (3,))
