# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The records of an import while they wait to be stitched: in memory up to a limit, beyond it in a scratch file.

They are given out in pieces small enough for the processor's caches. All records of one 5-tuple are in one piece, which halves what
stitching costs against doing it over all records at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import grouping, thinning
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.records import ONE_VALUE
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import RECORDS, arrow_schema
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.shelf import Parted, Shelf

np = guarded("numpy")
pa = guarded("pyarrow")

OCTETS_IN_MEMORY = 256_000_000
ROWS_AT_ONCE = 1 << 17
PIECE = 1 << 16
# Rows of a piece from which on its busiest 5-tuples are thinned out.
MOST = 1 << 21
# A power of 2.
PARTS = 1024
TEXTS = ("exporter", "source")
# What nobody asks of a record once its denials are taken out.
# What is summed stands first, so that it stands side by side.
FIRST = ("start_us", "end_us", "packets", "bytes")
COLUMNS = (*FIRST, *(name for name in RECORDS if name not in (*FIRST, "event")))


class HeldRecords:
    """Records by parts of 5-tuples.

    More than ``limit`` octets go to a file in ``folder``; without one all stay in memory.
    """

    def __init__(self, folder: Path | None = None, limit: int = 0) -> None:
        self.shelf = Shelf(folder, limit or OCTETS_IN_MEMORY)
        self.parted = Parted(PARTS, self.shelf)
        self.codes: dict[str, dict[str, int]] = {name: {} for name in TEXTS}
        self.count = 0
        self._first = self._last = 0
        self._tables: list[Any] = []
        self._waiting = 0

    def add(self, table: Any) -> None:
        """Add a table with the columns of ``schema.RECORDS``."""
        if table.num_rows:
            self._tables.append(table)
            self._waiting += table.num_rows
            self.count += table.num_rows
            if self._waiting >= ROWS_AT_ONCE:
                self._put_away()

    def drop(self, source: str) -> None:
        """Remove the records of an input."""
        self._put_away()
        code = self.codes["source"].get(source)
        if code is None:
            return
        for number in range(len(self.shelf)):
            columns, bounds = self.parted.columns(number)
            out = np.broadcast_to(columns["source"], int(bounds[-1])) == code
            if out.any():
                self.count -= self.parted.leave_out(number, out)

    def span(self) -> tuple[int, int]:
        """Return the first start and the last end of the records, of those that were dropped too (microseconds)."""
        self._put_away()
        return self._first, self._last

    def exporters(self) -> set[str]:
        """Return the names of exporters, of inputs that were dropped too."""
        self._put_away()
        return set(self.codes["exporter"])

    def window(self, first: int, last: int) -> Any:
        """Return the records that touch a time (microseconds, both ends included) as an Arrow table of ``schema.RECORDS``, in no order."""
        self._put_away()
        names = {name: pa.array(list(known), type=pa.string()) for name, known in self.codes.items()}
        made = [arrow_schema(RECORDS).empty_table()]
        for number in range(len(self.shelf)):
            chunk, bounds = self.parted.columns(number)
            count = int(bounds[-1])
            start, end = (np.broadcast_to(chunk[name], count) for name in ("start_us", "end_us"))
            rows = np.flatnonzero((start <= last) & (end >= first))
            columns = {name: np.broadcast_to(chunk[name], count)[rows] for name in COLUMNS}
            arrays = [
                names[name].take(pa.array(columns[name]))
                if name in TEXTS
                else pa.array(columns.get(name, np.zeros(len(rows), dtype=np.int8)))
                for name in RECORDS
            ]
            made.append(pa.Table.from_arrays(arrays, names=list(RECORDS)).cast(made[0].schema))
        return pa.concat_tables(made)

    def names(self) -> dict[str, list[str]]:
        """Return the texts of the columns that have texts, in their order."""
        self._put_away()
        return {name: sorted(known) for name, known in self.codes.items()}

    def pieces(self, silence_us: int = 0) -> Iterator[dict[str, Any]]:
        """Yield the records' columns in pieces of about ``PIECE`` rows that hold whole 5-tuples, and forget them at the end.

        Records of a 5-tuple that has very many are put together where no silence of ``silence_us`` is between them (``thinning.py``).
        Columns are arrays; one value stands for a column that has no other. Texts are codes; ``names`` has what they stand for, in order.
        """
        names = self.names()
        ranks = {name: _ranks(self.codes[name], names[name]) for name in TEXTS}
        for first, last in bounds_of(self.parted.sizes, PIECE):
            many = silence_us > 0 and int(self.parted.sizes[first:last].sum()) > MOST
            columns = thinning.thinned(self.parted, first, last, silence_us) if many else self.parted.rows(first, last)
            if columns is not None:
                columns.update({name: ranks[name][columns[name]] for name in TEXTS})
                columns["names"] = names
                yield columns
        self.shelf.clear()

    def _put_away(self) -> None:
        if not self._waiting:
            return
        tables, count = self._tables, self._waiting
        self._tables, self._waiting = [], 0
        columns = {name: _column(name, tables, self.codes) for name in COLUMNS}
        first, last = min(each.min() for each in columns["start_us"]), max(each.max() for each in columns["end_us"])
        before = self.count > count
        self._first = min(int(first), self._first) if before else int(first)
        self._last = max(int(last), self._last) if before else int(last)
        part = np.empty(count, dtype=np.uint64)
        used = 0
        for number, table in enumerate(tables):
            own = {name: columns[name][min(number, len(columns[name]) - 1)] for name in thinning.MARKED}
            part[used : used + table.num_rows] = thinning.marks(own, table.num_rows)
            used += table.num_rows
        part &= np.uint64(PARTS - 1)
        self.parted.add(columns, part, count)


def bounds_of(sizes: Any, least: int) -> Iterator[tuple[int, int]]:
    """Yield stretches (first, behind the last) of parts that hold ``least`` rows together, or the rest of them."""
    ends = np.cumsum(sizes)
    first = 0
    while first < len(sizes):
        reached = int(np.searchsorted(ends, (ends[first - 1] if first else 0) + least))
        last = min(len(sizes), reached + 1)
        yield first, last
        first = last


def _column(name: str, tables: Sequence[Any], codes: dict[str, dict[str, int]]) -> list[Any]:
    """Return a column of each of several tables, or one value where they have no other."""
    made = []
    for table in tables:
        column = table.column(name)
        if name in TEXTS:
            made.append(_coded(column, codes[name]))
        elif table.schema.field(name).metadata == ONE_VALUE:
            made.append(column.chunk(0).slice(0, 1).to_numpy(zero_copy_only=False))
        else:
            made.append(_values(column))
    if all(len(each) == 1 and each[0] == made[0][0] for each in made):
        return made[:1]
    return [
        each if len(each) == table.num_rows else grouping.spread(each, table.num_rows)
        for each, table in zip(made, tables, strict=True)
    ]


def _values(column: Any) -> Any:
    values = column.to_numpy()
    # Most columns that have several values have two at their ends or in their middle.
    if len(values) > 1 and values[0] == values[-1] == values[len(values) // 2] and (values == values[0]).all():
        return values[:1]
    return values


def _coded(column: Any, known: dict[str, int]) -> Any:
    encoded = column.combine_chunks()
    encoded = encoded.chunk(0) if isinstance(encoded, pa.ChunkedArray) else encoded
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode()
    own = [known.setdefault(each, len(known)) for each in encoded.dictionary.to_pylist()]
    if len(own) == 1 and not encoded.null_count:
        return np.array(own, dtype=np.int32)
    values = np.array(own, dtype=np.int32)[encoded.indices.to_numpy()]
    return values[:1] if len(values) > 1 and (values == values[0]).all() else values


def _ranks(known: dict[str, int], names: list[str]) -> Any:
    ranks = np.zeros(max(1, len(known)), dtype=np.int32)
    for rank, name in enumerate(names):
        ranks[known[name]] = rank
    return ranks
