"""Arrays that wait in memory or in a file, rows by part, and ends as integers: compared with plain lists and dictionaries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import (
    day_rows,
    handed,
    held,
    ingest,
    keys,
    orientation,
    rollup,
    rows,
    store,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.address import V4_HI, V4_LO
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.reorientation import rebuild
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.shelf import Parted, Shelf
from tests.unit.flows.test_continuation import count, exported


@pytest.mark.parametrize("limit", [0, 2_000, 1 << 30])
def test_rows_come_back_by_part_from_memory_and_from_a_file(tmp_path: Path, limit: int) -> None:
    dice = np.random.default_rng(limit % 7)
    parted = Parted(300, Shelf(tmp_path, limit))
    expected: list[tuple[int, int, bool, int]] = []
    for number in range(9):
        size = int(dice.integers(1, 80))
        part, values = dice.integers(0, 300, size), dice.integers(-(1 << 40), 1 << 40, size)
        told = dice.integers(0, 2, size).astype(bool)
        parted.add({"values": values, "told": told, "one": np.array([number // 3])}, part, size)
        rest = zip(part.tolist(), values.tolist(), told.tolist(), strict=True)
        expected += [(*row, number // 3) for row in rest]
    assert parted.chunks.stored == (limit < 1 << 30)
    assert not list(tmp_path.iterdir()), "the file has no name"
    assert parted.sizes.tolist() == [sum(row[0] == part for row in expected) for part in range(300)]
    for first, last in ((0, 300), (0, 1), (17, 90), (299, 300)):
        found = parted.rows(first, last)
        mine = [row[1:] for row in expected if first <= row[0] < last]
        if found is None:
            assert not mine
            continue
        whole = [np.broadcast_to(found[name], found["count"]).tolist() for name in ("values", "told", "one")]
        assert sorted(zip(*whole, strict=True)) == sorted(mine)


@pytest.mark.parametrize("limit", [0, 1 << 30])
def test_columns_of_every_width_come_back_also_in_pieces_and_without_rows_left_out(tmp_path: Path, limit: int) -> None:
    dice = np.random.default_rng(11)
    kinds = ("i8", "i4", "i2", "i1", "?", "f4", "u8", "i8", "i8", "i2", "u4", "i1")
    parted = Parted(64, Shelf(tmp_path, limit))
    rows: list[list[tuple[int, ...]]] = []
    for _chunk in range(5):
        size = int(dice.integers(2, 70))
        part = dice.integers(0, 64, size)
        columns = {f"{at}-{kind}": dice.integers(0, 2, size).astype(kind) for at, kind in enumerate(kinds)}
        columns["number"] = np.arange(size) + 1_000 * len(rows)
        cut = int(dice.integers(1, size))
        given = {name: [values[:cut], values[cut:]] if "i" in name else values for name, values in columns.items()}
        parted.add({**given, "one": [np.array([7])]}, part, size)
        rows.append(list(zip(part.tolist(), *(values.tolist() for values in columns.values()), strict=True)))
    held, bounds = parted.columns(3)
    out = np.asarray(held["number"]) % 3 == 0
    assert int(bounds[-1]) == len(out) and parted.leave_out(3, out) == int(out.sum())
    rows[3] = [row for row in rows[3] if row[-1] % 3]
    expected = [row for chunk in rows for row in chunk]
    assert parted.sizes.tolist() == [sum(row[0] == part for row in expected) for part in range(64)]
    for first, last in ((0, 64), (5, 6), (9, 40)):
        found = parted.rows(first, last)
        mine = sorted((row[1:] for row in expected if first <= row[0] < last), key=lambda row: row[-1])
        assert found is not None and found["count"] == len(mine) and found["one"].tolist() == [7]
        names = [*(f"{at}-{kind}" for at, kind in enumerate(kinds)), "number"]
        assert [found[name].dtype for name in names] == [np.dtype(kind) for kind in (*kinds, "i8")]
        whole = zip(*(np.broadcast_to(found[name], len(mine)).tolist() for name in names), strict=True)
        assert sorted(whole, key=lambda row: row[-1]) == mine


@pytest.mark.parametrize("clash", [False, True])
def test_rows_are_found_by_their_keys_also_where_all_share_a_hash(monkeypatch: pytest.MonkeyPatch, clash: bool) -> None:
    if clash:
        monkeypatch.setattr(keys, "hashed", lambda given: given[0] * np.uint64(0))
    dice = np.random.default_rng(3)
    known = sorted({(int(a), int(b)) for a, b in dice.integers(0, 60, (40 if clash else 900, 2))})
    lookup = keys.Lookup([np.array(column, dtype=np.uint64) for column in zip(*known, strict=True)])
    asked = [tuple(each) for each in dice.integers(0, 70, (500, 2)).tolist()]
    found = lookup.find([np.array(column, dtype=np.uint64) for column in zip(*asked, strict=True)])
    places = {each: place for place, each in enumerate(known)}
    assert found.tolist() == [places.get(each, -1) for each in asked]
    assert keys.Lookup([np.empty(0, dtype=np.uint64)]).find([np.arange(3, dtype=np.uint64)]).tolist() == [-1, -1, -1]


def test_an_end_has_one_key_in_every_batch_and_no_other_end_has_it() -> None:
    dice = np.random.default_rng(4)
    given = keys.EndKeys()
    known: dict[tuple[int, ...], int] = {}
    for batch in range(6):
        size = 400
        hi = dice.choice([V4_HI, V4_HI, -7, 1 << 62], size)
        lo = np.where(dice.random(size) < 0.7, V4_LO + dice.integers(0, 40, size), dice.integers(-5, 5, size))
        port = dice.choice([0, 1, 443, 65_535] + ([70_000, -3] if batch % 2 else []), size).astype(np.int32)
        protocol = dice.choice([1, 6, 17, 255] + ([300, -1] if batch > 3 else []), size).astype(np.int16)
        columns = [hi, lo, port, protocol]
        made = given.ends(given.addresses(hi, lo), columns)
        for end, key in zip(zip(*(each.tolist() for each in columns), strict=True), made.tolist(), strict=True):
            assert known.setdefault(end, key) == key
    assert len(set(known.values())) == len(known)
    strange = [np.array([5]), np.array([5]), np.array([9], dtype=np.int32), np.array([6], dtype=np.int16)]
    assert given.ends(given.addresses(*strange[:2], False), strange, False)[0] not in known.values()


@pytest.mark.one_python
def test_what_waits_in_a_file_and_in_small_pieces_gives_the_same_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also which input a conversation is counted for, where an earlier one has its beginning."""
    records = sorted(exported(7), key=lambda each: each["end_us"])
    told = []
    for name in ("memory", "file"):
        if name == "file":
            for module in (held, rows):
                monkeypatch.setattr(module, "OCTETS_IN_MEMORY", 5_000)
                monkeypatch.setattr(module, "ROWS_AT_ONCE", 50)
            monkeypatch.setattr(held, "PIECE", 60)
            monkeypatch.setattr(handed, "OCTETS", 9_000)
            monkeypatch.setattr(orientation, "ASKED_AT_ONCE", 20)
        data_dir = tmp_path / name
        for number, part in enumerate((records[: len(records) // 2], records[len(records) // 2 :]), 1):
            count(data_dir, part, number)
        files = store.connection_files(data_dir)
        shown = [(day, path.name, store.parquet.read_table(path).to_pydict()) for day in files for path in files[day]]
        told.append(
            (shown, rebuild(data_dir), store.connections(data_dir).to_pydict(), store.rollup(data_dir).to_pydict())
        )
    assert told[0] == told[1]
    assert len({name for _day, name, _rows in told[0][0]}) > 1


def test_a_first_import_opens_no_database_but_for_the_rollup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[bool] = []
    monkeypatch.setattr(
        ingest.store, "write_tables", lambda tables, path, kind: used.append(True) or sum(t.num_rows for t in tables)
    )
    monkeypatch.setattr(ingest, "refresh_locked", lambda data_dir, handed: [])
    monkeypatch.setattr(ingest.store, "connect", lambda *given: pytest.fail("a database was opened"))
    count(tmp_path, exported(8), 1)
    assert used


def test_rows_handed_over_give_the_rollup_that_reading_them_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    groups = day_rows.row_groups
    monkeypatch.setattr(day_rows, "row_groups", lambda path, *span: opened.append(path) or groups(path, *span))
    records = exported(7)
    for number, part in enumerate((records[::2], records[1::2]), 1):
        count(tmp_path, part, number)
        assert bool(opened) == (number == 2), "a first import opens no connection file"
    days = store.stored_days(tmp_path)
    files = [path for kind in ("rollup", "observers") for path in store.rollup_files(tmp_path, kind=kind)]
    before = [path.read_bytes() for path in files]
    assert len(files) >= 4
    for path in files:
        path.unlink()
    opened.clear()
    rollup.refresh(tmp_path, days)
    assert opened
    assert [path.read_bytes() for path in files] == before


def test_a_store_of_an_earlier_version_says_which_columns_it_lacks(tmp_path: Path) -> None:
    count(tmp_path, exported(9), 1)
    (path,) = [each for files in store.connection_files(tmp_path).values() for each in files][:1]
    whole = store.parquet.read_table(path)
    for lacking, asked in ((["signs", "lag_us"], rebuild), (["sampling"], store.connections)):
        metadata = {b"kind": b"connections", b"schema_version": b"1.0"}
        store.parquet.write_table(whole.drop_columns(lacking).replace_schema_metadata(metadata), path)
        with pytest.raises(FindingError) as caught:
            asked(tmp_path)
        assert caught.value.findings[0].code == "SW1424"
        assert ", ".join(lacking) in str(caught.value.findings[0])
