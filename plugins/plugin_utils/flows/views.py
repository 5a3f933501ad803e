# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A day's connections, each conversation once, for days that several exporters saw: the short way of ``operations/daily.py``.

A first pass over the rows of all exporters but the one with most rows marks the hashes of their 5-tuples. A second pass gives out what no
mark meets as it stands, and keeps the rest, which is compared: nearly always two views, one of each exporter, which arrays settle; the
few others are left to the query.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import grouping
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.footers import Footer
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.daily import CLASS_CODES, COUNTED
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.queries import SLACK_US
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import CONNECTIONS, OBSERVERS, ROLLUP

np = guarded("numpy")
pa = guarded("pyarrow")
parquet = guarded("pyarrow.parquet")

TEXTS = ("class", "exporter", "source")
MARKED = ("client_lo", "server_lo", "client_port", "server_port", "protocol", "exporter")
# Rows of a day that may have to be held at once (about 150 octets each); the query does larger days.
MOST_ROWS = 5_000_000
LONG_PACKETS = 3
SWAPPED = (("client_hi", "server_hi"), ("client_lo", "server_lo"), ("client_port", "server_port"))


class DayViews:
    """The rows of files that lie in a day (microseconds from ``first`` to ``last``). ``settle`` answers for what arrays do not settle: it
    takes an Arrow table of connections and returns those columns of ``COUNTED`` in which each conversation is once, and pairs of views."""

    def __init__(
        self,
        footers: Sequence[Footer],
        first: int,
        last: int,
        settle: Callable[[Any], tuple[Any, list[tuple[Any, ...]]]],
    ) -> None:
        self.first, self.last, self.settle = first, last, settle
        self.groups = {each.path: _groups(each.path, first, last) for each in footers}
        self.exporters: list[str] = []
        self.main = ""
        self.flows: Counter[str] = Counter()
        self.long: Counter[str] = Counter()
        self.one_sided: Counter[str] = Counter()
        self.pairs: Counter[str] = Counter()
        self.later: Counter[str] = Counter()
        self.marks = np.zeros(1, dtype=bool)
        # Of each table of the first pass, for the second.
        self.hashes: list[Any] = []

    @property
    def most(self) -> int:
        """Return how many rows there are at most."""
        return sum(rows for groups in self.groups.values() for _group, rows in groups)

    def reader(self) -> Any:
        """Return the conversations as a stream of record batches with the columns ``COUNTED``."""
        self._mark()
        return pa.RecordBatchReader.from_batches(stream_schema(), self._batches())

    def observers(self, day: Any) -> Any:
        """Return the table of observers once the stream has ended."""
        rows = [
            {
                "day": day,
                "exporter": name,
                "flows": self.flows[name],
                "long_flows": self.long[name],
                "one_sided_flows": self.one_sided[name],
                "pairs": self.pairs[name],
                "later_us": self.later[name],
            }
            for name in sorted(self.flows)
        ]
        return pa.Table.from_pylist(rows).select(list(OBSERVERS))

    def _tables(self, columns: Sequence[str]) -> Iterator[Any]:
        """Yield the day's rows, row group by row group."""
        wanted = list(dict.fromkeys((*columns, "start_us", "end_us")))
        texts = [name for name in TEXTS if name in columns]
        for path, groups in self.groups.items():
            with parquet.ParquetFile(path, read_dictionary=texts) as opened:
                for group, _rows in groups:
                    table = opened.read_row_group(group, columns=wanted, use_threads=False)
                    start, end = (table.column(name).to_numpy() for name in ("start_us", "end_us"))
                    inside = (start < self.last) & (end >= self.first)
                    yield table if inside.all() else table.filter(pa.array(inside))

    def _mark(self) -> None:
        """Find the exporter with most rows, and mark the 5-tuples of the others."""
        counts: Counter[str] = Counter()
        hashes: dict[str, list[Any]] = {}
        for table in self._tables(MARKED):
            codes, names = _codes(table.column("exporter"))
            marks = _hashes(table)
            self.hashes.append(marks)
            for code, name in enumerate(names):
                own = codes == code
                number = int(own.sum())
                if number:
                    counts[name] += number
                    hashes.setdefault(name, []).append(marks if number == len(marks) else marks[own])
        self.exporters = sorted(counts)
        if not counts:
            return
        self.main = min(counts, key=lambda name: (-counts[name], name))
        others = [each for name in self.exporters if name != self.main for each in hashes[name]]
        bits = max(10, min(27, (16 * sum(len(each) for each in others)).bit_length()))
        self.shift = np.uint64(64 - bits)
        self.marks = np.zeros(1 << bits, dtype=bool)
        for each in others:
            self.marks[(each >> self.shift).astype(np.int64)] = True

    def _batches(self) -> Iterator[Any]:
        doubtful = []
        for number, table in enumerate(self._tables(list(CONNECTIONS))):
            if not table.num_rows:
                continue
            self._observe(table)
            doubt = self.marks[(self.hashes[number] >> self.shift).astype(np.int64)]
            counted = _plain(table)
            if doubt.any():
                doubtful.append(table.filter(pa.array(doubt)))
                counted = counted.filter(pa.array(~doubt))
            yield from _batches(counted)
        self.hashes = []
        if doubtful:
            yield from self._compared(pa.concat_tables(doubtful).unify_dictionaries().combine_chunks())

    def _observe(self, table: Any) -> None:
        codes, names = _codes(table.column("exporter"))
        out, back = (table.column(name).to_numpy() for name in ("packets_out", "packets_in"))
        longer = (table.column("protocol").to_numpy() == 6) & (out + back > LONG_PACKETS)
        sided = longer & ((out == 0) | (back == 0))
        for counter, weights in ((self.flows, None), (self.long, longer), (self.one_sided, sided)):
            found = np.bincount(codes if weights is None else codes[weights], minlength=len(names))
            for name, number in zip(names, found.tolist(), strict=True):
                counter[name] += number

    def _compared(self, table: Any) -> Iterator[Any]:
        """Yield the conversations of rows that may be views of the same ones."""
        columns = {name: table.column(name).to_numpy() for name in CONNECTIONS if name not in TEXTS}
        exporter, names = _codes(table.column("exporter"))
        ends = grouping.ends_of(
            *(tuple(columns[f"{end}_{part}"] for part in ("hi", "lo", "port")) for end in ("client", "server"))
        )
        forward = ends.source <= ends.target
        low, high = np.minimum(ends.source, ends.target), np.maximum(ends.source, ends.target)
        protocol = columns["protocol"].astype(np.uint64) & np.uint64(0xFFFF)
        order, starts = grouping.groups((low, (high << np.uint64(16)) | protocol))
        sizes = np.diff(starts, append=len(order))
        one = order[starts]
        two = starts[sizes == 2]
        first, second = order[two], order[two + 1]
        apart = exporter[first] == exporter[second]
        others = np.concatenate((np.repeat(sizes > 2, sizes).nonzero()[0], two[apart], two[apart] + 1))
        first, second = first[~apart], second[~apart]
        met = (columns["start_us"][first] <= columns["end_us"][second] + SLACK_US) & (
            columns["start_us"][second] <= columns["end_us"][first] + SLACK_US
        )
        alone = np.concatenate((one[sizes == 1], first[~met], second[~met]))
        first, second = first[met], second[met]
        self._count_pairs(exporter, names, columns["start_us"], first, second)
        yield from _batches(_plain(table.take(pa.array(alone))))
        yield from _batches(_of_two(table, columns, forward, exporter, first, second))
        if len(others):
            rows, pairs = self.settle(table.take(pa.array(np.sort(order[others]))))
            for name, count, later in pairs:
                self.pairs[name] += count
                self.later[name] += later
            yield from _batches(rows)

    def _count_pairs(self, exporter: Any, names: list[str], start: Any, first: Any, second: Any) -> None:
        for one, other in ((first, second), (second, first)):
            found = np.bincount(exporter[one], minlength=len(names))
            for code in np.flatnonzero(found).tolist():
                own = exporter[one] == code
                self.pairs[names[code]] += int(found[code])
                self.later[names[code]] += int((start[one[own]] - start[other[own]]).sum())


def _groups(path: Any, first: int, last: int) -> list[tuple[int, int]]:
    """Return (number, rows) of the row groups of a file that may have rows between two moments."""
    metadata = parquet.read_metadata(path)
    made = []
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        facts = {
            group.column(place).path_in_schema: group.column(place).statistics for place in range(group.num_columns)
        }
        start, end = facts.get("start_us"), facts.get("end_us")
        if start is not None and start.has_min_max and start.min >= last:
            continue
        if end is not None and end.has_min_max and end.max < first:
            continue
        made.append((number, group.num_rows))
    return made


def _of_two(table: Any, columns: dict[str, Any], forward: Any, exporter: Any, first: Any, second: Any) -> Any:
    """Return one row for two views of a conversation by different exporters: the larger one, and what the other knows better."""
    total = columns["packets_out"] + columns["packets_in"]
    wins = (total[first] > total[second]) | ((total[first] == total[second]) & (exporter[first] > exporter[second]))
    held, other = np.where(wins, first, second), np.where(wins, second, first)
    rows = _plain(table.take(pa.array(held)))
    surer = columns["method"][other] < columns["method"][held]
    turned = surer & (forward[other] != forward[held])
    made = {name: rows.column(name).to_numpy() for name in COUNTED if name != "class"}
    made["answered"] = made["answered"] | columns["answered"][other]
    for client, server in SWAPPED:
        made[client], made[server] = (
            np.where(turned, made[server], made[client]),
            np.where(turned, made[client], made[server]),
        )
    for name in ("method", "confidence"):
        made[name] = np.where(surer, columns[name][other], made[name])
    codes, names = _codes(table.column("class"))
    known = pa.array(np.where(surer, codes[other], codes[held]).astype(np.int32))
    made["class"] = pa.DictionaryArray.from_arrays(known, pa.array(names, type=pa.string()))
    return pa.table({name: made[name] for name in COUNTED})


def _plain(table: Any) -> Any:
    """Return connections as they are counted."""
    out, back, octets_out, octets_in, sampling = (
        table.column(name).to_numpy() for name in ("packets_out", "packets_in", "bytes_out", "bytes_in", "sampling")
    )
    made = {"packets": pa.array(out + back), "bytes": pa.array((octets_out + octets_in) * sampling.astype(np.int64))}
    return pa.table({name: made[name] if name in made else table.column(name) for name in COUNTED})


def _batches(table: Any) -> Iterator[Any]:
    if table.num_rows:
        codes, names = _codes(table.column("class"))
        known = np.array([CLASS_CODES.index(name) for name in names], dtype=np.int32)
        text = pa.DictionaryArray.from_arrays(pa.array(known[codes]), pa.array(CLASS_CODES))
        place = table.schema.get_field_index("class")
        yield from table.set_column(place, "class", text).cast(stream_schema()).to_batches()


def stream_schema() -> Any:
    """Return the schema of the stream."""
    kinds = {"bool": pa.bool_(), "float": pa.float32(), "string": pa.dictionary(pa.int32(), pa.string())}
    given = {**ROLLUP, **CONNECTIONS}
    return pa.schema([(name, kinds.get(given[name]) or getattr(pa, given[name])()) for name in COUNTED])


def _codes(column: Any) -> tuple[Any, list[str]]:
    """Return (codes, texts in order) of a column of texts."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    column = column.unify_dictionaries().combine_chunks()
    column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    known = column.dictionary.to_pylist()
    names = sorted(set(known))
    ranks = np.array([names.index(each) for each in known], dtype=np.int64)
    return ranks[column.indices.to_numpy()], names


def _hashes(table: Any) -> Any:
    """Return a hash of each row's 5-tuple that is the same for both directions."""
    client, server, client_port, server_port, protocol = (
        table.column(name).to_numpy() for name in ("client_lo", "server_lo", "client_port", "server_port", "protocol")
    )
    port, other = client_port.astype(np.uint64), server_port.astype(np.uint64)
    ends = client.view(np.uint64) ^ server.view(np.uint64)
    return grouping.hashed((ends, (port + other) * np.uint64(1 << 20) + port * other + protocol.astype(np.uint64)))
