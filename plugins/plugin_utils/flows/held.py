# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The records of an import while they wait to be stitched: in memory up to a limit, beyond it in a DuckDB table that spills.

They are given out in pieces small enough for the processor's caches. All records of one 5-tuple are in one piece, which halves what
stitching costs against doing it over all records at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.grouping import FACTORS
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import RECORDS, arrow_schema

np = guarded("numpy")
pa = guarded("pyarrow")

# About 250 octets a record with what stitching needs beside them.
ROWS_IN_MEMORY = 4_000_000
ROWS_AT_ONCE = 1 << 19
PIECE = 1 << 16
# Into how many parts stored records fall.
PARTS = 256
TEXTS = ("exporter", "source")
ENDS = tuple((f"{end}_hi", f"{end}_lo", f"{end}_port") for end in ("source", "target"))
SQL_TYPES = {
    "int64": "BIGINT",
    "int32": "INTEGER",
    "int16": "SMALLINT",
    "int8": "TINYINT",
    "bool": "BOOLEAN",
    "float": "FLOAT",
    "string": "VARCHAR",
    "date32": "DATE",
}


def create_records(connection: Any) -> None:
    """Create the empty table ``records`` in a DuckDB connection."""
    columns = ", ".join(f'"{name}" {SQL_TYPES[kind]}' for name, kind in RECORDS.items())
    connection.execute(f"CREATE TABLE records ({columns})")


class HeldRecords:
    """Records in the order in which they came. ``relation`` names them ``records`` for questions in SQL."""

    def __init__(self, connection: Any, limit: int = 0) -> None:
        self.connection, self.limit = connection, limit or ROWS_IN_MEMORY
        self.tables: list[Any] = []
        self.stored = False
        self.count = 0

    def add(self, table: Any) -> None:
        """Add a table with the columns of ``schema.RECORDS``."""
        self.tables.append(table)
        self.count += table.num_rows
        waiting = self.count if not self.stored else sum(each.num_rows for each in self.tables)
        if waiting > (ROWS_AT_ONCE if self.stored else self.limit):
            self._store()

    def drop(self, source: str) -> None:
        """Remove the records of an input."""
        kept = [each for each in self.tables if not each.num_rows or each.column("source")[0].as_py() != source]
        self.tables = kept
        if self.stored:
            self.connection.execute("DELETE FROM records WHERE source = ?", [source])
            stored = self.connection.execute("SELECT count(*) FROM records").fetchall()[0][0]
        self.count = sum(each.num_rows for each in kept) + (stored if self.stored else 0)

    def relation(self) -> None:
        """Make all records the relation ``records`` of the connection."""
        if self.stored:
            self._store()
        else:
            self.connection.register("records", self._whole())

    def pieces(self) -> Iterator[dict[str, Any]]:
        """Yield the records as columns by name, piece by piece, and forget them."""
        if not self.stored:
            tables, self.tables = self.tables, []
            yield from pieces(tables)
            return
        self._store()
        parts = min(PARTS, self.count // (self.limit // 4) + 1)
        for number in range(parts):
            first, last = number * PARTS // parts, (number + 1) * PARTS // parts - 1
            rows = f"SELECT * EXCLUDE (part) FROM records WHERE part BETWEEN {first} AND {last}"
            yield from pieces([self.connection.sql(rows).to_arrow_table()])
        self.connection.execute("DROP TABLE records")

    def _whole(self) -> Any:
        return pa.concat_tables([arrow_schema(RECORDS).empty_table(), *self.tables])

    def _store(self) -> None:
        """Move what is in memory to the table; many small insertions take four times as long as one."""
        if not self.stored:
            create_records(self.connection)
            self.connection.execute("ALTER TABLE records ADD COLUMN part UTINYINT")
            self.stored = True
        while self.tables:
            some, rows = [], 0
            while self.tables and rows < ROWS_AT_ONCE:
                some.append(self.tables.pop(0))
                rows += some[-1].num_rows
            self._insert(pa.concat_tables(some))

    def _insert(self, whole: Any) -> None:
        marks = _marks({name: whole.column(name).to_numpy() for end in ENDS for name in end}, whole.num_rows)
        part = (marks % np.uint64(PARTS)).astype(np.uint8)
        order = np.argsort(part, kind="stable")
        # In the order of parts, so that reading some of them need not read all.
        self.connection.register("batch", whole.append_column("part", pa.array(part)).take(pa.array(order)))
        self.connection.execute("INSERT INTO records SELECT * FROM batch")
        self.connection.unregister("batch")


def pieces(tables: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Yield the columns of tables in pieces of about ``PIECE`` rows that hold whole 5-tuples.

    Columns are arrays; one value stands for a column that has no other. Texts are codes; ``names`` has what they stand for, in order.
    """
    count = sum(each.num_rows for each in tables)
    if not count:
        return
    parts = max(1, min(256, count // PIECE))
    codes: dict[str, dict[str, int]] = {name: {} for name in TEXTS}
    split: list[list[dict[str, Any]]] = [[] for _part in range(parts)]
    for table in tables:
        for place, columns in enumerate(_split(table, parts, codes)):
            if columns:
                split[place].append(columns)
    names = {name: sorted(known) for name, known in codes.items()}
    ranks = {name: _ranks(codes[name], names[name]) for name in TEXTS}
    for place, batches in enumerate(split):
        if batches:
            split[place] = []
            yield {**_joined(batches, ranks), "names": names}


def _split(table: Any, parts: int, codes: dict[str, dict[str, int]]) -> Iterator[dict[str, Any]]:
    """Yield the columns of a table for each part, empty where it has none."""
    columns = {name: _column(name, table.column(name), codes) for name in RECORDS if name != "event"}
    count = table.num_rows
    if parts == 1:
        yield {**columns, "count": count} if count else {}
        return
    # Other bits than those that stored records were parted by.
    part = (_marks(columns, count) >> np.uint64(8)) % np.uint64(parts)
    order = np.argsort(part.astype(np.uint8 if parts <= 256 else np.uint16), kind="stable")
    sizes = np.bincount(part.astype(np.int64), minlength=parts)
    ends = np.cumsum(sizes)
    sorted_columns = {name: values[order] if len(values) > 1 else values for name, values in columns.items()}
    for end, size in zip(ends.tolist(), sizes.tolist(), strict=True):
        yield (
            {
                **{
                    name: values[end - size : end] if len(values) > 1 else values
                    for name, values in sorted_columns.items()
                },
                "count": size,
            }
            if size
            else {}
        )


def _marks(columns: dict[str, Any], count: int) -> Any:
    """Return a hash of each record that its other direction has too."""
    made = np.zeros(count, dtype=np.uint64)
    for hi, lo, port in ENDS:
        mixed = (columns[lo].view(np.uint64) ^ columns[hi].view(np.uint64) * np.uint64(FACTORS[2])) * np.uint64(
            FACTORS[0]
        )
        mixed = (mixed ^ columns[port].astype(np.uint64)) * np.uint64(FACTORS[1])
        made += mixed ^ (mixed >> np.uint64(31))
    return (made * np.uint64(FACTORS[0])) >> np.uint64(40)


def _column(name: str, column: Any, codes: dict[str, dict[str, int]]) -> Any:
    if name not in TEXTS:
        values = column.to_numpy()
    else:
        known = codes[name]
        one = _one_text(column)
        if one is not None:
            return np.array([known.setdefault(one, len(known))], dtype=np.int32)
        encoded = column.combine_chunks().dictionary_encode()
        encoded = encoded.chunk(0) if isinstance(encoded, pa.ChunkedArray) else encoded
        own = [known.setdefault(each, len(known)) for each in encoded.dictionary.to_pylist()]
        values = np.array(own, dtype=np.int32)[encoded.indices.to_numpy()]
    return values[:1] if len(values) > 1 and (values == values[0]).all() else values


def _one_text(column: Any) -> str | None:
    """Return the text of a column that has no other, or None; octets are compared, which costs a tenth of telling texts apart."""
    first: str | None = None
    for chunk in column.chunks:
        if not len(chunk):
            continue
        if not pa.types.is_string(chunk.type) or chunk.null_count:
            return None
        text = chunk[0].as_py()
        first = text if first is None else first
        octets = text.encode()
        _valid, offsets, data = chunk.buffers()
        places = np.frombuffer(offsets, dtype=np.int32, count=len(chunk) + 1, offset=4 * chunk.offset)
        if text != first or (np.diff(places) != len(octets)).any():
            return None
        if octets and bytes(memoryview(data)[places[0] : places[-1]]) != octets * len(chunk):
            return None
    return first


def _ranks(known: dict[str, int], names: list[str]) -> Any:
    ranks = np.zeros(max(1, len(known)), dtype=np.int32)
    for rank, name in enumerate(names):
        ranks[known[name]] = rank
    return ranks


def _joined(batches: list[dict[str, Any]], ranks: dict[str, Any]) -> dict[str, Any]:
    """Return the batches' columns as one; a column of one and the same value everywhere stays one value."""
    count = sum(each["count"] for each in batches)
    made: dict[str, Any] = {"count": count}
    for name in batches[0]:
        if name == "count":
            continue
        values = [each[name] for each in batches]
        if all(len(each) == 1 for each in values) and all(each[0] == values[0][0] for each in values):
            joined = values[0]
        else:
            joined = np.concatenate(
                [np.broadcast_to(each, batch["count"]) for each, batch in zip(values, batches, strict=True)]
            )
        made[name] = ranks[name][joined] if name in ranks else joined
    return made
