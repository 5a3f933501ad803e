"""The arrays' short way to a day's rollup against the query of the common dialect, on random days full of what makes them differ:
views of two and three exporters, 5-tuples used again, the same start in several inputs, both directions, IPv6, rows over midnight."""

from __future__ import annotations

import random
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import day_rows, rollup, store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.address import V4_HI, V4_LO
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.footers import read_footer
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.daily import of_day
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.engine import DuckEngine
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.rows import ORDER, order_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import CONNECTIONS, ROLLUP, arrow_schema

DAY = date(2026, 10, 2)
DAY_US = 86_400_000_000
FIRST = store.day_number(DAY) * DAY_US
MINUTE = 60_000_000


def day_of_rows(rng: random.Random, rows: int, exporters: int, sources: int, six: bool, classes: int) -> list[Any]:
    """Return random connections about the day: few addresses and ports, so that views meet."""
    hosts = [(V4_HI, V4_LO + each) for each in range(4)]
    if six:
        hosts += [(V4_HI + 7, V4_LO + each) for each in range(2)] + [(-5, V4_LO), (V4_HI, V4_LO + (1 << 40))]
    made = []
    for _row in range(rows):
        (client_hi, client_lo), (server_hi, server_lo) = rng.choice(hosts), rng.choice(hosts)
        start = FIRST + rng.choice((rng.randrange(-DAY_US, DAY_US), rng.randrange(20) * 3 * MINUTE))
        packets_out, packets_in = rng.randrange(4), rng.randrange(4)
        made.append({
            "start_us": start, "end_us": start + rng.choice((0, 1, 5 * MINUTE, rng.randrange(2 * DAY_US))),
            "client_hi": client_hi, "client_lo": client_lo, "server_hi": server_hi, "server_lo": server_lo,
            "protocol": rng.choice((6, 17)), "client_port": rng.choice((500, 40_000)), "server_port": rng.choice((500, 502)),
            "packets_out": packets_out, "bytes_out": packets_out * 60, "packets_in": packets_in, "bytes_in": packets_in * 90,
            "answered": packets_in > 0, "method": (method := rng.choice((0, 1, 6, 9))), "confidence": 1 - method / 20,
            "class": rng.choice(("unicast", "peer", "multicast", "broadcast")[:classes]),
            "exporter": f"e{rng.randrange(exporters)}", "sampling": rng.choice((1, 1, 100)), "source": f"{rng.randrange(sources):016x}",
        })  # fmt: skip
    return made


def written(folder: Path, rows: list[Any], sources: int) -> list[Any]:
    """Write a file for each source; returns the footers of those that have rows."""
    footers = []
    for number in range(sources):
        own = [row for row in rows if row["source"] == f"{number:016x}"]
        if own:
            path = folder / f"{number:016x}.parquet"
            own.sort(key=lambda row: row["start_us"])
            store.write_table(pa.Table.from_pylist(own, schema=arrow_schema(CONNECTIONS)), path, "connections")
            footers.append(read_footer(path))
    return footers


@pytest.mark.one_python
@pytest.mark.parametrize("exporters", [1, 2, 3])
@pytest.mark.parametrize("sources", [1, 2, 4])
def test_arrays_and_the_query_give_the_same_rollup(
    tmp_path: Path, exporters: int, sources: int, full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(12 if full else 1):
        rng = random.Random(f"{exporters} {sources} {seed}")
        six, classes = ((False, 1), (True, 1), (False, 4), (True, 4))[(seed + exporters + sources) % 4]
        folder = tmp_path / str(seed)
        rows = day_of_rows(rng, rng.choice((60, 300)), exporters, sources, six, classes)
        footers = written(folder, rows, sources)
        made = {}
        for name, most in (("arrays", day_rows.MOST_ROWS), ("query", -1)):
            monkeypatch.setattr(day_rows, "MOST_ROWS", most)
            with store.connect() as connection:
                assert rollup.build_day(lambda: connection, footers, DAY, folder / name / "rollup.parquet")
            made[name] = [(folder / name / f"{kind}.parquet").read_bytes() for kind in ("rollup", "observers")]
        assert made["arrays"] == made["query"]
        with DuckEngine() as engine:
            engine.files("connections", [each.path for each in footers], CONNECTIONS)
            asked = of_day(store.day_number(DAY))
            expected = engine.rows(asked.text(), asked.columns)
        got = pq.read_table(folder / "arrays" / "rollup.parquet", columns=[name for name in ROLLUP if name != "day"])
        assert got.to_pylist() == expected.to_pylist()


def test_arrays_are_used_where_a_day_can_be_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the comparison above would be of the query with itself."""
    rng = random.Random(3)
    footers = written(tmp_path, day_of_rows(rng, 300, 3, 3, True, 4), 3)
    monkeypatch.setattr(rollup, "_by_query", None)
    with store.connect() as connection:
        assert rollup.build_day(lambda: connection, footers, DAY, tmp_path / "rollup" / "rollup.parquet") > 50


def test_a_day_of_one_conversation_over_and_over_and_rows_of_one_moment(tmp_path: Path) -> None:
    """Nothing tells such rows apart: a number of no bits is sorted as well."""
    (row,) = day_of_rows(random.Random(1), 1, 1, 1, False, 1)
    count = 5_000
    row |= {"end_us": FIRST + DAY_US - 1, "packets_out": 2, "packets_in": 1, "answered": True}
    footers = written(tmp_path, [{**row, "start_us": FIRST + number} for number in range(count)], 1)
    with store.connect() as connection:
        assert rollup.build_day(lambda: connection, footers, DAY, tmp_path / "rollup" / "rollup.parquet") == 1
    (made,) = pq.read_table(tmp_path / "rollup" / "rollup.parquet").to_pylist()
    assert (made["flows"], made["answered_flows"], made["packets"]) == (count, count, 3 * count)
    columns = {name: np.zeros(count, dtype=np.int64) for name in ORDER}
    columns |= {"start_us": np.full(count, FIRST), "client_port": np.arange(count)[::-1].copy()}
    assert order_of(columns, count).tolist() == list(range(count))[::-1]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("packets_out", (1 << 32) + 1),
        ("packets_out", (1 << 39) - 1),  # two of them still fit beside the count of answers
        ("packets_out", (1 << 39) + 1),  # two of them do not
        ("packets_in", (1 << 53) + 1),
        ("bytes_out", (1 << 53) + 1),
        ("bytes_in", (1 << 60) + 1),
        ("bytes_out", (1 << 62) - 1),
    ],
)
def test_large_numbers_are_summed_to_the_last_digit(tmp_path: Path, column: str, value: int) -> None:
    rows = day_of_rows(random.Random(7), 40, 1, 1, False, 1)
    for row in rows:
        row |= {"sampling": 1, "start_us": max(row["start_us"], FIRST), "end_us": FIRST + DAY_US}
    for row in rows[:2] if value < 1 << 61 else rows[:1]:
        row |= {column: value, "client_port": 500, "server_port": 502, "client_lo": V4_LO, "server_lo": V4_LO + 1}
    with store.connect() as connection:
        assert rollup.build_day(
            lambda: connection, written(tmp_path, rows, 1), DAY, tmp_path / "rollup" / "rollup.parquet"
        )
    made = pq.read_table(tmp_path / "rollup" / "rollup.parquet").to_pylist()
    for name in ("packets", "bytes"):
        assert sum(row[name] for row in made) == sum(row[f"{name}_{way}"] for row in rows for way in ("out", "in"))
    assert sum(row["answered_flows"] for row in made) == sum(row["answered"] for row in rows)


@pytest.mark.parametrize("what", ["null", "huge"])
def test_what_arrays_cannot_add_up_is_left_to_the_query(tmp_path: Path, what: str) -> None:
    rows = day_of_rows(random.Random(5), 50, 1, 1, False, 1)
    rows[0] |= {"confidence": None} if what == "null" else {"bytes_out": 1 << 60, "sampling": 100}
    footers = written(tmp_path, rows, 1)
    assert day_rows.read(footers, FIRST, FIRST + DAY_US, day_rows.Held()) is None
