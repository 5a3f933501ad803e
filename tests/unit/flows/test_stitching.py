# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stitching against plain Python over the same made-up records, and what brings equal keys together against dictionaries."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import grouping, held, thinning
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.address import V4_HI, V4_LO
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.records import record_table
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import RECORDS, arrow_schema
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.stitching import Silences, stitch
from tests.unit.flows.oriented import part_rows, whole_rows

DAY_US = 86_400_000_000
SILENCES = Silences(packets_tcp=20, packets_other=5, exporter_active=8, exporter_inactive=1)


def made_records(seed: int, count: int = 400, handshakes: float = 0.3) -> list[dict[str, Any]]:
    """Return records of few 5-tuples around a midnight, many at the same moment, of packets and of two exporters."""
    dice = random.Random(seed)
    wide = dice.random() < 0.5
    hosts = [(V4_HI, V4_LO + 0x0A000000 + n) for n in range(3)]
    if wide:
        hosts += [(-(1 << 62) + 5, 7), (-(1 << 62) + 5, -8), (V4_HI, V4_LO + 0x0A000001 + (1 << 40))]
    rows = []
    for number in range(count):
        source, target = dice.sample(hosts, 2)
        ports = [dice.choice((502, 40000)) for _end in range(2)]
        protocol = dice.choice((6, 6, 17))
        exporter = dice.choice(("tap", "192.0.2.1"))
        opens = int(protocol == 6 and dice.random() < handshakes)
        syn = bool(opens and dice.random() < 0.6)
        start = DAY_US - 60_000_000 + dice.randrange(240) * 500_000
        rows.append({
            "start_us": start, "end_us": start + dice.randrange(3) * 900_000, "source_hi": source[0], "source_lo": source[1],
            "target_hi": target[0], "target_lo": target[1], "protocol": protocol, "source_port": ports[0], "target_port": ports[1],
            "packets": dice.randrange(4), "bytes": dice.randrange(999), "flags": dice.randrange(64) if protocol == 6 else 0,
            "pure_syn": syn, "syn_ack": bool(opens and not syn), "said": dice.randrange(3), "broadcast": dice.random() < 0.1,
            "opens": opens, "place": number if dice.random() < 0.9 else 7, "step_us": dice.choice((1, 1000)),
            "sampling": dice.choice((1, 100)), "exporter": exporter, "origin": int(exporter != "tap"), "event": 0,
            "source": dice.choice(("0" * 16, "f" * 16)),
        })  # fmt: skip
    return rows


def silence_of(row: dict[str, Any]) -> int:
    if row["origin"] == 1:
        return SILENCES.exporter * 1_000_000
    return (SILENCES.packets_tcp if row["protocol"] == 6 else SILENCES.packets_other) * 1_000_000


def by_hand(rows: list[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
    """Return what the module's docstring says, record by record: each conversation with its parts."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        source, target = (tuple(row[f"{end}_{part}"] for part in ("hi", "lo", "port")) for end in ("source", "target"))
        row = {**row, "forward": source <= target}
        groups.setdefault((row["exporter"], row["protocol"], *min(source, target), *max(source, target)), []).append(
            row
        )
    made: Counter[tuple[Any, ...]] = Counter()
    for key, group in groups.items():
        group.sort(
            key=lambda r: (
                r["start_us"], r["place"], r["end_us"], not r["forward"], r["packets"], r["bytes"], r["said"], r["source"],
            )
        )  # fmt: skip
        found: list[list[dict[str, Any]]] = []
        latest, asked = 0, ""
        for row in group:
            end = "a" if row["forward"] else "b"
            if not found or row["start_us"] - latest > silence_of(row):
                found.append([])
                asked = ""
            elif row["opens"] and not (row["syn_ack"] and asked and asked != end):
                found.append([])
            if row["opens"]:
                asked = end if row["pure_syn"] else ""
            found[-1].append(row)
            latest = max(latest, row["end_us"])
        for conversation in found:
            days: dict[int, list[dict[str, Any]]] = {}
            for row in conversation:
                days.setdefault(row["start_us"] // DAY_US, []).append(row)
            parts = tuple(
                (day, *summed(own), max(r["sampling"] for r in own), min((r["start_us"], r["source"]) for r in own)[1])
                for day, own in sorted(days.items())
            )
            made[(key, *summed(conversation), *spoken(conversation), parts)] += 1
    return made


def summed(rows: list[dict[str, Any]]) -> tuple[Any, ...]:
    sides = [[r for r in rows if r["forward"] is side] for side in (True, False)]
    sums = tuple(sum(r[name] for r in side) for side in sides for name in ("packets", "bytes"))
    return (min(r["start_us"] for r in rows), max(r["end_us"] for r in rows), max(r["step_us"] for r in rows), *sums)


def spoken(rows: list[dict[str, Any]]) -> tuple[Any, ...]:
    made: list[Any] = []
    for forward in (True, False):
        side = [r for r in rows if r["forward"] is forward]
        first = min(((r["start_us"], r["place"]) for r in side), default=(None, None))
        flags = 0
        for r in side:
            flags |= r["flags"]
        made += [*first, flags, *(any(r[name] for r in side) for name in ("pure_syn", "syn_ack", "broadcast"))]
        made += [any(r["said"] == said for r in side) for said in (1, 2)]
    return tuple(made)


def by_stitching(records: held.HeldRecords) -> Counter[tuple[Any, ...]]:
    """Return the conversations in the same form."""
    made: Counter[tuple[Any, ...]] = Counter()
    numbers = ("start_us", "end_us", "step_us", "a_packets", "a_bytes", "b_packets", "b_bytes")
    for found in stitch(records, SILENCES):
        parts: dict[int, list[dict[str, Any]]] = {}
        for part in part_rows(found):
            parts.setdefault(part["number"], []).append(part)
        for number, row in enumerate(whole_rows(found)):
            key = tuple(
                row[name] for name in ("exporter", "protocol", "a_hi", "a_lo", "a_port", "b_hi", "b_lo", "b_port")
            )
            told: list[Any] = []
            for end in "ab":
                told += [row[f"{end}_{name}"] for name in ("start", "place", "flags", "pure", "syn_ack", "broadcasts")]
                told += [row[f"{end}_{name}"] for name in ("opened", "answers")]
            own = sorted(parts[number], key=lambda part: part["day_number"])
            days = tuple((p["day_number"], *(p[name] for name in numbers), p["sampling"], p["source"]) for p in own)
            made[(key, *(row[name] for name in numbers), *told, days)] += 1
    return made


@pytest.mark.parametrize("seed", range(8))
def test_conversations_are_those_that_reading_record_by_record_gives(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "ROWS_AT_ONCE", 100)
    monkeypatch.setattr(held, "PIECE", 150)
    rows = made_records(seed)
    records = held.HeldRecords(None if seed % 2 else tmp_path, limit=10_000)
    for start in range(0, len(rows), 60):
        records.add(pa.Table.from_pylist(rows[start : start + 60], schema=arrow_schema(RECORDS)))
    records.span()
    assert records.shelf.stored == (seed % 2 == 0)
    found = by_stitching(records)
    expected = by_hand(rows)
    assert found == expected
    assert sum(expected.values()) > 40


@pytest.mark.parametrize("seed", range(8))
def test_the_busiest_5_tuples_are_thinned_out_and_their_conversations_stay(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "ROWS_AT_ONCE", 300)
    monkeypatch.setattr(held, "PIECE", 150)
    monkeypatch.setattr(held, "MOST", 30)
    monkeypatch.setattr(thinning, "BUSY", seed % 3 * 10)
    rows = made_records(seed, 900, handshakes=0.02)
    dice = random.Random(seed)
    for row in rows:
        if dice.random() < 0.9:
            row.update({"said": 0, "source": "0" * 16, "source_port": 502, "target_port": 502})
    given: list[int] = []

    def counted(*arguments: Any) -> Any:
        made = thinned(*arguments)
        given.append(made["count"])
        return made

    thinned = thinning.thinned
    monkeypatch.setattr(thinning, "thinned", counted)
    records = held.HeldRecords(None if seed % 2 else tmp_path, limit=10_000)
    for start in range(0, len(rows), 150):
        records.add(pa.Table.from_pylist(rows[start : start + 150], schema=arrow_schema(RECORDS)))
    assert by_stitching(records) == by_hand(rows)
    assert len(rows) * 0.3 < sum(given) < len(rows) * 0.95


def test_one_5_tuple_takes_no_more_room_than_its_conversations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "ROWS_AT_ONCE", 1000)
    monkeypatch.setattr(held, "MOST", 2000)
    monkeypatch.setattr(thinning, "BUSY", 1000)
    count = 20_000
    numbers = np.arange(count)
    start = DAY_US + numbers * 100_000
    columns = {
        "start_us": start, "end_us": start + 1000, "source_hi": V4_HI, "target_hi": V4_HI, "protocol": 47,
        "packets": 3, "bytes": 9, "source_port": 0, "target_port": 0,
        "source_lo": V4_LO + 1 + numbers % 2, "target_lo": V4_LO + 2 - numbers % 2, "exporter": "tap", "source": "0" * 16,
    }  # fmt: skip
    table = record_table(count, columns)
    records = held.HeldRecords()
    for first in range(0, count, 1000):
        records.add(table.slice(first, 1000))
    (piece,) = (each for each in records.pieces(5_000_000) if each["count"])
    # Two directions in each of twenty batches.
    assert piece["count"] == 40
    assert piece["packets"].sum() == 3 * count
    whole = held.HeldRecords()
    whole.add(table)
    assert sum(each["count"] for each in whole.pieces()) == count


def test_pieces_hold_whole_tuples_and_every_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "PIECE", 50)
    rows = made_records(3, 900)
    tables = [pa.Table.from_pylist(rows[start : start + 300], schema=arrow_schema(RECORDS)) for start in (0, 300, 600)]
    places: dict[tuple[Any, ...], set[int]] = {}
    packets = 0
    records = held.HeldRecords()
    for table in tables:
        records.add(table)
    for number, piece in enumerate(records.pieces()):
        whole = {name: np.broadcast_to(piece[name], piece["count"]).tolist() for name in RECORDS if name != "event"}
        packets += sum(whole["packets"])
        for row in range(piece["count"]):
            ends = [tuple(whole[f"{end}_{part}"][row] for part in ("hi", "lo", "port")) for end in ("source", "target")]
            places.setdefault((whole["protocol"][row], *sorted(ends)), set()).add(number)
    assert packets == sum(row["packets"] for row in rows)
    assert all(len(numbers) == 1 for numbers in places.values())
    assert len({number for numbers in places.values() for number in numbers}) > 5


def test_keys_that_share_a_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "hashed", lambda keys: (keys[0] % np.uint64(3)) << np.uint64(32))
    dice = np.random.default_rng(5)
    keys = [dice.integers(0, 12, 5000, dtype=np.uint64) for _key in range(2)]
    order, starts = grouping.groups(keys)
    assert sorted(order.tolist()) == list(range(5000))
    seen = set()
    for begin, end in zip(starts, [*starts[1:], len(order)], strict=True):
        group = order[begin:end]
        values = {(int(keys[0][row]), int(keys[1][row])) for row in group}
        assert len(values) == 1 and not values & seen
        assert (np.diff(group) > 0).all()
        seen |= values
    assert len(seen) == 144


def test_ends_keep_the_order_of_their_columns() -> None:
    dice = np.random.default_rng(6)
    for ports in ((0, 65_536), (-5, 70_000)):
        columns = [
            (
                dice.choice([V4_HI, -7, 1 << 62], 300),
                dice.integers(-(1 << 63), (1 << 63) - 1, 300),
                dice.integers(*ports, 300),
            )
            for _end in range(2)
        ]
        ends = grouping.ends_of(columns[0], columns[1])
        for codes, given in zip((ends.source, ends.target), columns, strict=True):
            assert all((made == column).all() for made, column in zip(ends.columns(codes), given, strict=True))
        whole = sorted(zip(*(np.concatenate(each).tolist() for each in zip(*columns, strict=True)), strict=True))
        codes = np.sort(np.concatenate((ends.source, ends.target)))
        assert [tuple(int(part[0]) for part in ends.columns(codes[at : at + 1])) for at in range(600)] == whole
