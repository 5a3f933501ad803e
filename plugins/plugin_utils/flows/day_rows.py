# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A day's connections as arrays, read once: what the short way to the rollup (views.py, day_sums.py) works on.

Row groups are read one at a time into arrays made beforehand: Arrow's own memory for a whole day costs more to touch than reading the
columns does (3.3 million rows: 0.55 CPU seconds for 0.23).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import grouping
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.footers import Footer, constants
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.handed import Handed
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import CLASSES, CONNECTIONS

np = guarded("numpy")
pa = guarded("pyarrow")
parquet = guarded("pyarrow.parquet")

TEXTS = ("class", "exporter", "source")
# Where the footers say that a column has one value, it is not read.
MAY_BE_CONSTANT = ("client_hi", "server_hi", "sampling", *TEXTS)
# Rows of a day that may have to be held at once (about 150 octets each with what is worked out); SQL does larger days.
MOST_ROWS = 5_000_000
KINDS = {"bool": "bool", "float": "float32"}
LARGEST_SUM = float(1 << 62)
LONG_PACKETS = 3
# Rows worked on at a time: what is made of them on the way stays in the caches, and in memory that is there already.
PART = 1 << 17
PORT_BITS, CLASS_BITS = 32, 8
HALF_PORT, HALF_PROTOCOL = 1 << 31, 1 << 15


class Held:
    """Arrays by name that are used again for the next day: memory that is new costs more than what is done in it."""

    def __init__(self) -> None:
        self._arrays: dict[str, Any] = {}

    def array(self, name: str, length: int, kind: Any) -> Any:
        """Return an array of a length; what the one of that name held before is lost."""
        held = self._arrays.get(name)
        if held is None or len(held) < length or held.dtype != kind:
            held = self._arrays[name] = np.empty(length, dtype=kind)
        return held[:length]


@dataclass
class DayRows:
    """Rows of files that lie in a day (microseconds from ``first`` to ``last``). Texts are codes, places in ``names`` of the column.

    ``columns`` has an array for each of ``CONNECTIONS``; one of a constant column takes no room and cannot be written. Beside them:
    ``packets`` and ``bytes`` of both directions, the latter times the sampling rate, and ``service`` as ``services`` makes it.
    ``observed`` has, by exporter, rows, longer TCP ones, and of them those seen from one side.
    """

    first: int
    last: int
    memory: Held
    columns: dict[str, Any]
    names: dict[str, list[str]] = field(default_factory=dict)
    observed: Any = None

    def __len__(self) -> int:
        return len(self.columns["start_us"])

    def parts(self) -> Iterator[slice]:
        """Return the rows in parts."""
        return (slice(begin, min(begin + PART, len(self))) for begin in range(0, len(self), PART))

    def hashes(self) -> Any:
        """Return a hash of each row's 5-tuple, alike for both directions."""
        made = self.memory.array("hash", len(self), np.uint64)
        for part in self.parts():
            made[part] = _hashes(self.columns, part)
        return made

    def constant(self, name: str) -> bool:
        """Return whether a column has one value."""
        return not self.columns[name].flags.writeable

    def rank_of(self, name: str) -> Any:
        """Return, by code, the place of a text in the order of the texts."""
        names = self.names[name]
        made = np.empty(len(names), dtype=np.int64)
        made[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
        return made

    def table(self, rows: Any) -> Any:
        """Return some rows as an Arrow table of connections."""
        made = {}
        for name in CONNECTIONS:
            values = self.columns[name][rows]
            made[name] = (
                pa.array(self.names[name], type=pa.string()).take(pa.array(values)) if name in TEXTS else values
            )
        return pa.table(made)


def read(
    footers: Sequence[Footer], first: int, last: int, memory: Held, handed: Handed | None = None
) -> DayRows | None:
    """Return the rows of a day, or None where arrays cannot hold them: too many, without a value, or too large to be added up.

    They last until ``memory`` is used again. Files whose rows are ``handed`` over are not opened.
    """
    handed = handed or Handed()
    groups = [
        (
            each,
            handed_tables(handed[each.path], first, last)
            if each.path in handed
            else row_groups(each.path, first, last),
        )
        for each in footers
    ]
    most = sum(rows for _footer, found in groups for _number, rows, _inside in found)
    if most > MOST_ROWS:
        return None
    fixed = constants(footers, MAY_BE_CONSTANT)
    # Both ends have the same upper half where one is constant (views turn rows round), or both are read.
    if fixed.get("client_hi", 0) != fixed.get("server_hi", 1):
        fixed = {name: value for name, value in fixed.items() if not name.endswith("_hi")}
    known: dict[str, dict[str, int]] = {name: {} for name in TEXTS}
    wanted = [name for name in CONNECTIONS if name not in fixed]
    texts = [name for name in TEXTS if name in wanted]
    ready: dict[str, Any] = {}
    if len(groups) == 1 and all(inside for _part, _count, inside in groups[0][1]):
        # No other day has rows of this file.
        whole = handed.whole.pop(footers[0].path, {})
        ready = {
            name: values
            for name, values in whole.items()
            if name in wanted and name not in TEXTS and len(values) == most
        }
    columns = ready | {
        name: memory.array(name, most, np.int32 if name in TEXTS else KINDS.get(CONNECTIONS[name], CONNECTIONS[name]))
        for name in wanted
        if name not in ready
    }
    used = 0
    for footer, parts in groups:
        # What is constant in this file, though not in all.
        own = {
            name: value
            for name, value in constants([footer], MAY_BE_CONSTANT).items()
            if name in columns and name not in ready
        }
        names = [name for name in wanted if name not in own and name not in ready]
        for table, inside in _tables(footer.path, names, texts, parts):
            if any(column.null_count for column in table.columns):
                return None
            begun = used
            used += _copied(table, columns, known, used, None if inside else (first, last))
            for name, value in own.items():
                columns[name][begun:used] = known[name].setdefault(value, len(known[name])) if name in TEXTS else value
    columns = {name: values[:used] for name, values in columns.items()}
    for name, value in fixed.items():
        held = known[name].setdefault(value, 0) if name in TEXTS else value
        kind = np.int32 if name in TEXTS else CONNECTIONS[name]
        columns[name] = np.broadcast_to(np.array(held, dtype=kind), used)
    rows = DayRows(first, last, memory, columns, {name: list(texts) for name, texts in known.items()})
    fits = used == 0 or _worked_out(rows, _bounded(footers, used))
    return rows if fits and set(rows.names["class"]) <= set(CLASSES) else None


def _tables(
    path: Path, names: Sequence[str], texts: Sequence[str], parts: Sequence[tuple[Any, int, bool]]
) -> Iterator[tuple[Any, bool]]:
    """Yield (some columns, whether surely all rows lie in the day) of parts of a file: numbers of row groups, or tables."""
    if parts and not isinstance(parts[0][0], int):
        yield from ((table.select(names), inside) for table, count, inside in parts if count)
        return
    with parquet.ParquetFile(path, read_dictionary=texts) as opened:
        for number, count, inside in parts:
            if count:
                yield opened.read_row_group(number, columns=list(names), use_threads=False), inside


def _copied(
    table: Any, columns: dict[str, Any], known: dict[str, dict[str, int]], used: int, span: tuple[int, int] | None
) -> int:
    """Copy the rows of a table that touch a time (all without one) behind those used; returns how many."""
    whole, count, inside = True, table.num_rows, None
    if span is not None:
        start, end = (table.column(name).to_numpy() for name in ("start_us", "end_us"))
        inside = (start < span[1]) & (end >= span[0])
        count = int(inside.sum())
        whole = count == len(inside)
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name in TEXTS:
            values = _codes(column, known[name])
        elif pa.types.is_dictionary(column.type):
            # One value, which stands for all rows.
            columns[name][used : used + count] = column.chunk(0).dictionary[0].as_py()
            continue
        else:
            values = column.to_numpy()
        columns[name][used : used + count] = values if whole else values[inside]
    return count


def _codes(column: Any, known: dict[str, int]) -> Any:
    parts = []
    for chunk in column.chunks:
        texts, places = chunk.dictionary.to_pylist(), chunk.indices.to_numpy()
        codes = np.zeros(len(texts), dtype=np.int32)
        # A dictionary may have more than its rows say.
        for place in np.flatnonzero(np.bincount(places, minlength=len(texts))).tolist():
            codes[place] = known.setdefault(texts[place], len(known))
        parts.append(codes[places])
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _bounded(footers: Sequence[Footer], count: int) -> bool:
    """Return whether the footers say that no sum over so many rows can leave 64 bits."""

    def largest(name: str) -> float:
        ranges = [each.ranges.get(name, (-math.inf, math.inf)) for each in footers]
        return max(abs(float(value)) for pair in ranges for value in pair)

    packets, octets = (largest(f"{name}_out") + largest(f"{name}_in") for name in ("packets", "bytes"))
    return max(packets, octets * max(1.0, largest("sampling"))) * count < LARGEST_SUM


def _worked_out(rows: DayRows, bounded: bool) -> bool:
    """Add the columns that are made of others; returns whether no sum over the rows can leave 64 bits, whatever rows are taken, which is
    sure already where they are ``bounded``."""
    columns = rows.columns
    for name in ("packets", "bytes", "service"):
        columns[name] = rows.memory.array(name, len(rows), np.int64)
    exporters = len(rows.names["exporter"])
    rows.observed = np.zeros((3, exporters), dtype=np.int64)
    totals = {"packets": 0.0, "bytes": 0.0}
    for part in rows.parts():
        out, back = columns["packets_out"][part], columns["packets_in"][part]
        packets = np.add(out, back, out=columns["packets"][part])
        octets = columns["bytes_out"][part] + columns["bytes_in"][part]
        sampling = columns["sampling"][part]
        np.multiply(octets, sampling, out=columns["bytes"][part])
        if not bounded:
            totals["packets"] += sum(float(np.abs(way).sum(dtype=np.float64)) for way in (out, back))
            ways = (columns[name][part].astype(np.float64) for name in ("bytes_out", "bytes_in"))
            totals["bytes"] += sum(float(np.abs(way * np.maximum(1, sampling)).sum()) for way in ways)
        columns["service"][part] = services(rows, part)
        longer = (columns["protocol"][part] == 6) & (packets > LONG_PACKETS)
        exporter = columns["exporter"][part]
        for place, mask in enumerate((slice(None), longer, longer & ((out == 0) | (back == 0)))):
            rows.observed[place] += np.bincount(exporter[mask], minlength=exporters)
    return max(totals.values()) < LARGEST_SUM


def services(rows: DayRows, at: Any) -> Any:
    """Return protocol, port and class of rows as one integer, in the order of the three."""
    columns = rows.columns
    values = (columns["protocol"][at].astype(np.int64) + HALF_PROTOCOL) << (PORT_BITS + CLASS_BITS)
    values |= (columns["server_port"][at].astype(np.int64) + HALF_PORT) << CLASS_BITS
    ranks = [sorted(CLASSES).index(name) for name in rows.names["class"]]
    values |= np.array(ranks, dtype=np.int64)[columns["class"][at]]
    return values


def service_columns(values: Any) -> dict[str, Any]:
    """Return what ``services`` put together; classes as places in the order of their names."""
    return {
        "protocol": (values >> (PORT_BITS + CLASS_BITS)) - HALF_PROTOCOL,
        "server_port": ((values >> CLASS_BITS) & ((1 << PORT_BITS) - 1)) - HALF_PORT,
        "class": values & ((1 << CLASS_BITS) - 1),
    }


def _hashes(columns: dict[str, Any], part: slice) -> Any:
    port, other = (columns[name][part].astype(np.uint64) for name in ("client_port", "server_port"))
    ends = columns["client_lo"][part].view(np.uint64) ^ columns["server_lo"][part].view(np.uint64)
    ports = (port + other) * np.uint64(1 << 20) + port * other + columns["protocol"][part].astype(np.uint64)
    return grouping.hashed((ends, ports))


def handed_tables(tables: Sequence[Any], first: int, last: int) -> list[tuple[Any, int, bool]]:
    """Return (table, rows, whether surely all of them) of those tables that have rows between two moments."""
    made = []
    for table in tables:
        start, end = (table.column(name).to_numpy() for name in ("start_us", "end_us"))
        begins, ends = (int(start.min()), int(start.max())), (int(end.min()), int(end.max()))
        if begins[0] < last and ends[1] >= first:
            made.append((table, table.num_rows, begins[1] < last and ends[0] >= first))
    return made


def row_groups(path: Any, first: int, last: int) -> list[tuple[int, int, bool]]:
    """Return (number, rows, whether surely all of them) of the row groups of a file that may have rows between two moments."""
    metadata = parquet.read_metadata(path)
    made = []
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        facts = {
            group.column(place).path_in_schema: group.column(place).statistics for place in range(group.num_columns)
        }
        start, end = (
            (each.min, each.max) if each is not None and each.has_min_max else (None, None)
            for each in (facts.get("start_us"), facts.get("end_us"))
        )
        if (start[0] is not None and start[0] >= last) or (end[1] is not None and end[1] < first):
            continue
        inside = start[1] is not None and start[1] < last and end[0] is not None and end[0] >= first
        made.append((number, group.num_rows, inside))
    return made
