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
    """Rows that fall into numbered parts, as chunks whose rows are sorted by part, so that a part is a stretch of each chunk."""

    def __init__(self, parts: int, shelf: Shelf) -> None:
        self.parts, self.chunks = parts, shelf
        self.sizes = np.zeros(parts, dtype=np.int64)

    def add(self, columns: Mapping[str, Any], part: Any, count: int) -> None:
        """Add rows: arrays of ``count``, or of one value that stands for all; ``part`` has the part of each row."""
        if self.parts == 1:
            self.sizes += count
            self.chunks.append({**columns, "": np.array([0, count])})
            return
        order, ordered = grouping.sorted_values(part, self.parts.bit_length())
        bounds = np.searchsorted(ordered, np.arange(self.parts + 1, dtype=ordered.dtype))
        self.sizes += np.diff(bounds)
        sorted_columns = {name: values.take(order) if len(values) > 1 else values for name, values in columns.items()}
        self.chunks.append({**sorted_columns, "": bounds})

    def stretches(self, first: int, last: int) -> Iterator[tuple[dict[str, Any], int]]:
        """Yield (columns, number of rows) of the parts from ``first`` up to, not including, ``last``, chunk by chunk."""
        for chunk in self.chunks:
            bounds = chunk[""]
            begin, end = int(bounds[first]), int(bounds[last])
            if end > begin:
                yield (
                    {name: values[begin:end] if len(values) > 1 else values for name, values in chunk.items() if name},
                    end - begin,
                )

    def rows(self, first: int, last: int) -> dict[str, Any] | None:
        """Return the columns of the parts from ``first`` up to, not including, ``last``, and ``count``; None where they have no row.

        A column with one and the same value everywhere stays one value.
        """
        met = []
        for chunk in self.chunks:
            bounds = chunk[""]
            begin, end = int(bounds[first]), int(bounds[last])
            if end > begin:
                met.append((chunk, begin, end))
        if not met:
            return None
        made: dict[str, Any] = {"count": sum(end - begin for _chunk, begin, end in met)}
        for name in met[0][0]:
            if name:
                made[name] = _joined([(chunk[name], begin, end) for chunk, begin, end in met])
        return made


def _joined(stretches: list[tuple[Any, int, int]]) -> Any:
    values, begin, end = stretches[0]
    if len(values) == 1 and all(len(each) == 1 and each[0] == values[0] for each, _begin, _end in stretches[1:]):
        return values
    if len(stretches) == 1:
        return values[begin:end]
    return np.concatenate(
        [each[begin:end] if len(each) > 1 else grouping.spread(each, end - begin) for each, begin, end in stretches]
    )
