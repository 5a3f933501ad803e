# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches of arrays put away until they are asked for: in memory up to a limit, beyond it in a scratch file that is mapped.

Octets are written and read as they stand, without a format: nobody but the process that wrote the file reads it, and the file has no
name while it is in use.
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import grouping

np = guarded("numpy")

Batch = dict[str, Any]


class Shelf:
    """Batches (arrays by name) by number. ``limit`` octets stay in memory; without a ``folder`` all do."""

    def __init__(self, folder: Path | None = None, limit: int = 0) -> None:
        self.folder, self.limit = folder, limit
        self.octets = 0
        self._held: list[Batch | dict[str, tuple[Any, int, int]]] = []
        self._stored: set[int] = set()
        self._file: Any = None
        self._map: mmap.mmap | None = None
        self._end = 0

    def __len__(self) -> int:
        return len(self._held)

    @property
    def stored(self) -> bool:
        """Return whether a batch is in the file."""
        return bool(self._stored)

    def append(self, batch: Mapping[str, Any]) -> None:
        """Put a batch away."""
        self._held.append({})
        self.put(len(self._held) - 1, batch)

    def put(self, number: int, batch: Mapping[str, Any]) -> None:
        """Put a batch in the place of another."""
        self._stored.discard(number)
        octets = sum(each.nbytes for each in batch.values())
        if self.folder is None or self.octets + octets <= self.limit:
            self.octets += octets
            self._held[number] = dict(batch)
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115 - it is open as long as the shelf is
        self._stored.add(number)
        self._held[number] = {name: self._write(values) for name, values in batch.items()}

    def __getitem__(self, number: int) -> Batch:
        """Return a batch; what was stored is read only as far as it is used."""
        held = self._held[number]
        if number not in self._stored:
            return held
        if self._map is None or len(self._map) < self._end:
            self._file.flush()
            self._map = mmap.mmap(self._file.fileno(), self._end, access=mmap.ACCESS_READ)
        return {
            name: np.frombuffer(self._map, dtype=kind, count=count, offset=offset) if count else np.empty(0, dtype=kind)
            for name, (kind, count, offset) in held.items()
        }

    def __iter__(self) -> Iterator[Batch]:
        return (self[number] for number in range(len(self)))

    def take(self, number: int) -> Batch:
        """Return a batch and forget it."""
        made = self[number]
        if number not in self._stored:
            self.octets -= sum(each.nbytes for each in made.values())
        self._stored.discard(number)
        self._held[number] = {}
        return made

    def clear(self) -> None:
        """Forget all batches, and give back the room of those that were stored as soon as nobody looks at them any more."""
        self._held.clear()
        self._stored.clear()
        self.octets = self._end = 0
        self._file = self._map = None

    def _write(self, values: Any) -> tuple[Any, int, int]:
        whole = np.ascontiguousarray(values)
        # Numbers are aligned in the map.
        offset = -(-self._end // 8) * 8
        self._file.seek(offset)
        self._file.write(memoryview(whole).cast("B") if whole.size else b"")
        # A file ends where its last octet stands; a map must not be empty.
        self._end = offset + max(1, whole.nbytes)
        self._file.truncate(self._end)
        return whole.dtype, whole.size, offset


class Parted:
    """Rows that fall into numbered parts, as chunks whose rows are sorted by part, so that a part is a stretch of each chunk.

    Columns stand side by side while they are sorted and until they are asked for: a row of up to ``ROW_OCTETS`` is fetched at once, four
    numbers at less than half the cost of four columns (131,072 rows: 6 nanoseconds each for 14).
    """

    def __init__(self, parts: int, shelf: Shelf) -> None:
        self.parts, self.chunks = parts, shelf
        self.sizes = np.zeros(parts, dtype=np.int64)
        # By chunk: where each column stands that has a value for each row.
        self._fields: list[dict[str, _Field]] = []
        # Columns that have one value in all chunks, once that has been asked.
        self._once: dict[str, Any] | None = None

    def add(self, columns: Mapping[str, Any], part: Any, count: int) -> None:
        """Add rows: arrays of ``count``, lists of arrays that have as many together, or arrays of one value that stands for all.

        ``part`` has the part of each row; of one part arrays are kept as they are.
        """
        self._once = None
        if self.parts == 1:
            self.sizes += count
            self.chunks.append({**columns, "": np.array([0, count])})
            self._fields.append({})
            return
        order, ordered = grouping.sorted_values(part, self.parts.bit_length())
        bounds = np.searchsorted(ordered, np.arange(self.parts + 1, dtype=ordered.dtype))
        self.sizes += np.diff(bounds)
        parts = {name: values if isinstance(values, list) else [values] for name, values in columns.items()}
        once = {name: values[0] for name, values in parts.items() if len(values) == len(values[0]) == 1}
        fields, rows = _side_by_side({name: values for name, values in parts.items() if name not in once}, count)
        ordered_rows = {name: _take(values, octets, order) for name, (values, octets) in rows.items()}
        self.chunks.append({**once, **ordered_rows, "": bounds})
        # One and the same for all chunks that have their columns alike.
        self._fields.append(next((each for each in reversed(self._fields) if each == fields), fields))

    def columns(self, number: int) -> tuple[dict[str, Any], Any]:
        """Return (columns of a chunk, which may be views of rows, the bounds of its parts in them)."""
        chunk, fields = self.chunks[number], self._fields[number]
        bounds = chunk[""]
        return _columns(chunk, fields, 0, int(bounds[-1])), bounds

    def leave_out(self, number: int, out: Any) -> int:
        """Forget the rows of a chunk that are in a mask; returns how many."""
        columns, bounds = self.columns(number)
        gone = np.concatenate(([0], np.cumsum(out)))[bounds]
        kept = {name: values[~out] if len(values) > 1 else values for name, values in columns.items()}
        self.chunks.put(number, {**kept, "": bounds - gone})
        self._fields[number] = {}
        self._once = None
        self.sizes -= np.diff(gone)
        return int(gone[-1])

    def stretches(self, first: int, last: int) -> Iterator[tuple[dict[str, Any], int]]:
        """Yield (columns, number of rows) of the parts from ``first`` up to, not including, ``last``, chunk by chunk."""
        for chunk, fields, begin, end in self._met(first, last):
            yield _columns(chunk, fields, begin, end), end - begin

    def rows(self, first: int, last: int) -> Rows | None:
        """Return the columns of the parts from ``first`` up to, not including, ``last``, and ``count``; None where they have no row.

        A column with one and the same value everywhere stays one value.
        """
        met = list(self._met(first, last))
        if not met:
            return None
        sizes = [end - begin for _chunk, _fields, begin, end in met]
        once = self._with_one_value()
        made = Rows({**once, "count": sum(sizes)})
        if all(each[1] is met[0][1] for each in met[1:]):
            # All chunks have them side by side in one way: so they stay until one is asked for.
            made.fields = met[0][1]
            made.packed = {
                field.rows: [field.stretch(chunk, *ends) for chunk, _own, *ends in met]
                for field in {field.rows: field for field in made.fields.values()}.values()
            }
        for name in (*met[0][0], *met[0][1]):
            if name and not name.startswith(".") and name not in once and name not in made.fields:
                made[name] = _joined([_column(name, *each) for each in met], sizes)
        return made

    def _with_one_value(self) -> dict[str, Any]:
        if self._once is None:
            chunks = list(self.chunks)
            self._once = {
                name: values
                for name, values in chunks[0].items()
                if name and not name.startswith(".") and all(_same(values, each.get(name)) for each in chunks)
            }
        return self._once

    def _met(self, first: int, last: int) -> Iterator[tuple[Batch, dict[str, _Field], int, int]]:
        """Yield of each chunk that has rows of parts: itself, its fields, and where these rows begin and end."""
        for chunk, fields in zip(self.chunks, self._fields, strict=True):
            bounds = chunk[""]
            begin, end = int(bounds[first]), int(bounds[last])
            if end > begin:
                yield chunk, fields, begin, end


class Rows(dict[str, Any]):
    """Columns by name: arrays of ``count`` values, or of one that stands for all. Those of ``fields`` stand side by side in ``packed``, by
    name of rows as arrays one after another, until they are asked for."""

    fields: Mapping[str, _Field] = {}
    packed: Mapping[str, list[Any]] = {}

    def __missing__(self, name: str) -> Any:
        field = self.fields[name]
        parts = self.packed[field.rows]
        made = self[name] = np.empty(sum(each.nbytes for each in parts) // field.octets, dtype=field.kind)
        used = 0
        for each in parts:
            count = each.nbytes // field.octets
            made[used : used + count] = field.of(each)
            used += count
        return made

    def side_by_side(self, name: str) -> bool:
        """Return whether a column stands beside others, and nobody has asked for it yet."""
        return name in self.fields and name not in self

    def picked(self, rows: str, places: Any) -> Any:
        """Return what stands side by side at places."""
        parts = self.packed[rows]
        if len(parts) > 1:
            parts[:] = [np.concatenate(parts)]
        return _take(parts[0], next(each.octets for each in self.fields.values() if each.rows == rows), places)


# Octets of rows that columns stand side by side in: NumPy fetches so many at once, or a half or a quarter of them.
ROW_OCTETS = 32


@dataclass(frozen=True)
class _Field:
    """Where a column stands: the name of rows of so many ``octets``, its type, and its place in each row."""

    rows: str
    octets: int
    kind: Any
    place: int

    def of(self, rows: Any, begin: int = 0, end: int = -1) -> Any:
        """Return the column's values in rows, as a view."""
        count = (end if end >= 0 else rows.nbytes // self.octets) - begin
        if not count:
            return np.empty(0, dtype=self.kind)
        return np.ndarray((count,), self.kind, rows, begin * self.octets + self.place, strides=(self.octets,))

    def stretch(self, chunk: Batch, begin: int, end: int) -> Any:
        """Return rows of a chunk as they stand, as a view."""
        width = self.octets // 8
        return chunk[self.rows][begin * width : end * width]


def _columns(chunk: Batch, fields: Mapping[str, _Field], begin: int, end: int) -> dict[str, Any]:
    names = [name for name in chunk if name and not name.startswith(".")]
    return {name: _column(name, chunk, fields, begin, end) for name in (*names, *fields)}


def _column(name: str, chunk: Batch, fields: Mapping[str, _Field], begin: int, end: int) -> Any:
    field = fields.get(name)
    if field is not None:
        return field.of(chunk[field.rows], begin, end)
    values = chunk[name]
    return values[begin:end] if len(values) > 1 else values


def _side_by_side(columns: Mapping[str, list[Any]], count: int) -> tuple[dict[str, _Field], dict[str, tuple[Any, int]]]:
    """Return (where each column stands, by name rows of the columns side by side and their octets) of lists of arrays one after another."""
    groups: list[tuple[int, list[str]]] = []
    # The widest first, so that each stands at a multiple of its width.
    for name in sorted(columns, key=lambda name: -columns[name][0].itemsize):
        octets = columns[name][0].itemsize
        if not groups or groups[-1][0] + octets > ROW_OCTETS:
            groups.append((0, []))
        groups[-1] = (groups[-1][0] + octets, [*groups[-1][1], name])
    fields, rows = {}, {}
    for number, (used, names) in enumerate(groups):
        octets = next(width for width in (8, 16, ROW_OCTETS) if width >= used)
        values, own, place = np.empty(count * (octets // 8), dtype=np.uint64), f".{number}", 0
        rows[own] = values, octets
        for name in names:
            kind = np.result_type(*{each.dtype for each in columns[name]})
            fields[name] = _Field(own, octets, kind, place)
            np.concatenate(columns[name], out=fields[name].of(values))
            place += kind.itemsize
    return fields, rows


def _take(rows: Any, octets: int, order: Any) -> Any:
    return rows.view(f"V{octets}").take(order).view(np.uint64)


def _same(values: Any, others: Any) -> bool:
    return others is not None and len(values) == len(others) == 1 and bool(values[0] == others[0])


def _joined(parts: list[Any], sizes: list[int]) -> Any:
    """Return columns' values one after another; one value where they have no other."""
    values = parts[0]
    if len(values) == 1 and all(len(each) == 1 and each[0] == values[0] for each in parts[1:]):
        return values
    if len(parts) == 1:
        return np.ascontiguousarray(values)
    kinds = {each.dtype for each in parts}
    made, used = np.empty(sum(sizes), dtype=kinds.pop() if len(kinds) == 1 else np.result_type(*parts)), 0
    for each, count in zip(parts, sizes, strict=True):
        # One value stands for all rows of its chunk.
        made[used : used + count] = each
        used += count
    return made
