"""Distinct conversations by arrays: against plain Python over the same rows, and against DuckDB's answer."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.address import V4_HI, V4_LO
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.footers import read_footer
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations import counting
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.gate import FlowGate
from tests.bench import flow_data
from tests.unit.flows import operations

SHAPE = flow_data.Shape(
    records=6_000, days=3, devices=100, groups=5, edges=500, outside=20, rules_per_group=8, monthly=5
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    flow_data.write_store(flow_data.Site(SHAPE), tmp_path)
    return tmp_path


def rows_of(seed: int, count: int, packets: int) -> list[dict[str, int]]:
    """Return rows with few keys, the outermost ones among them, in no order of time."""
    rng = random.Random(seed)
    ends = [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
    return [
        {
            "start_us": (start := rng.randrange(-5, 1000)), "end_us": start + rng.randrange(99),
            "client_lo": V4_LO + rng.choice(ends), "server_lo": V4_LO + rng.choice(ends), "protocol": rng.choice((0, 6, 255)),
            "server_port": rng.choice((0, 1, 65_535)), "packets_out": rng.randrange(packets), "packets_in": rng.randrange(packets),
            "bytes_out": rng.randrange(1 << 40), "bytes_in": rng.randrange(1 << 40),
        }
        for _row in range(count)
    ]  # fmt: skip


def plainly(rows: list[dict[str, int]]) -> list[tuple[int, ...]]:
    """Return the answer by looking at each row."""
    held: dict[tuple[int, ...], list[int]] = {}
    for row in rows:
        key = (V4_HI, row["client_lo"], V4_HI, row["server_lo"], row["protocol"], row["server_port"])
        own = held.setdefault(key, [row["start_us"], row["end_us"], 0, 0, 0])
        own[0], own[1] = min(own[0], row["start_us"]), max(own[1], row["end_us"])
        own[2] += 1
        own[3] += row["packets_out"] + row["packets_in"]
        own[4] += row["bytes_out"] + row["bytes_in"]
    return [(*key, *held[key]) for key in sorted(held)]


def counted(rows: list[dict[str, int]], sizes: Iterator[int]) -> list[tuple[int, ...]]:
    kinds = {"protocol": np.int16, "server_port": np.int32}
    groups, begin = counting.Groups(), 0
    while begin < len(rows):
        part = rows[begin : begin + next(sizes)]
        begin += len(part)
        groups.add(
            {name: np.array([row[name] for row in part], dtype=kinds.get(name, np.int64)) for name in counting.NEEDED}
        )
    columns = groups.columns()
    return list(zip(*(column.tolist() for column in columns.values()), strict=True))


@pytest.mark.parametrize("packets", [9, 1 << 33, 1 << 40])
@pytest.mark.parametrize("in_order", [False, True])
def test_the_sums_are_what_looking_at_each_row_gives(packets: int, in_order: bool) -> None:
    rows = rows_of(packets, 700, packets)
    if in_order:
        rows.sort(key=lambda row: row["start_us"])
    rng = random.Random(packets)
    assert counted(rows, iter(lambda: rng.randrange(1, 60), 0)) == plainly(rows)


def test_more_groups_than_slots_and_hashes_that_all_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_of(1, 4_000, 9)
    for number, row in enumerate(rows):
        row["server_lo"] = V4_LO + number // 2
    assert counted(rows, iter(lambda: 4_000, 0)) == plainly(rows)
    monkeypatch.setattr(counting.Groups, "_slot", lambda _self, pair, _service: pair & 1)
    assert counted(rows[:300], iter(lambda: 50, 0)) == plainly(rows[:300])


def test_counted_rows_are_taken_apart_before_they_run_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "COUNT_SHIFT", 9)
    monkeypatch.setattr(counting, "MOST_COUNTED", 40)
    rows = rows_of(2, 500, 20)
    assert counted(rows, iter(lambda: 13, 0)) == plainly(rows)


def test_both_ways_agree_in_every_window(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = store.day_number(flow_data.FIRST_DAY) * flow_data.DAY_US
    day = flow_data.DAY_US
    windows: list[tuple[Any, Any]] = [
        (None, None),
        (first + day // 2, None),
        (None, first + day + 7),
        (first + day, first + day),
    ]
    asked = []
    whole = counting.distinct
    monkeypatch.setattr(counting, "distinct", lambda *given: asked.append(given) or whole(*given))
    for since, until in windows:
        with FlowGate(folder, since, until) as gate:
            short = gate.distinct()
        with FlowGate(folder, since, until) as gate:
            gate._counted = lambda: None  # type: ignore[method-assign]
            assert gate.distinct().equals(short), (since, until)
        with FlowGate(folder, since, until) as gate, monkeypatch.context() as few:
            few.setattr(counting, "MOST_GROUPS", 10)
            assert gate.distinct().equals(short), (since, until)
    # The window without a moment has no files, which is not for this way.
    assert len(asked) >= 2 * (len(windows) - 1) and short.num_rows == 0


def test_what_does_not_fit_is_left_to_the_query(folder: Path) -> None:
    path = next(each for group in store.connection_files(folder).values() for each in group)
    assert counting.fits([read_footer(path)])
    rows = store.parquet.read_table(path)
    for name, value in (
        ("client_hi", 0), ("server_lo", V4_LO + (1 << 32)), ("protocol", -1), ("server_port", 65_536), ("packets_in", -1),
        ("bytes_out", 1 << 61), ("bytes_in", None),
    ):  # fmt: skip
        column = rows.column(name).to_pylist()
        column[5] = value
        other = rows.set_column(rows.column_names.index(name), name, pa.array(column, rows.schema.field(name).type))
        store.write_table(other, path, "connections")
        assert not counting.fits([read_footer(path)]), name


def test_a_damaged_page_is_named(folder: Path) -> None:
    path = next(each for group in store.connection_files(folder).values() for each in group)
    held = bytearray(path.read_bytes())
    held[4 : len(held) // 2] = bytes(len(held) // 2 - 4)
    path.write_bytes(held)
    with FlowGate(folder) as gate, pytest.raises(FindingError, match="SW1422"):
        gate.distinct()


def test_addresses_of_both_kinds_have_one_answer(tmp_path: Path) -> None:
    operations.made(tmp_path, SHAPE)
    path = next(each for group in store.connection_files(tmp_path).values() for each in group)
    with FlowGate(tmp_path) as gate:
        before = gate.distinct()
    rows = store.parquet.read_table(path)
    column = rows.column("client_hi").to_pylist()
    column[0] = 0x20010DB8 << 32
    store.write_table(
        rows.set_column(rows.column_names.index("client_hi"), "client_hi", pa.array(column)), path, "connections"
    )
    with FlowGate(tmp_path) as gate:
        after = gate.distinct()
    assert after.schema == before.schema and sum(after.column("views").to_pylist()) == sum(
        before.column("views").to_pylist()
    )
    assert len([each for each in after.column("client_hi").to_pylist() if each != V4_HI]) == 1
