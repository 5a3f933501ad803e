# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A list as numpy rows, to find sample packets and overlaps quickly (facts/policy.md section 5 b2).

Every field is cut where some box begins or ends; a *cell* is one of the pieces, in which all values behave alike, so a packet is one
cell number per field. (A mask with very many holes is not cut out: there the lowest value of a cell stands for it, and a row
with such a mask matches a cell if it holds that value.)
For each cell a bit set says which rows hold it; the rows that match a packet are the intersection.
What samples show is certain (a packet that an entry decides proves it alive); what they do not show proves nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet, Pair
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.masks import WIDTH, MaskedSet, next_match
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import (
    FIELDS,
    Box,
    FirstMatchList,
    Packet,
    possible_boxes,
)

np = guarded("numpy")

_CHUNK_BYTES = 8 << 20
_POSSIBLE = possible_boxes()
_PATTERNS = tuple(int.from_bytes(bytes((37 * n + 11 * k * k + 5) % 256 for k in range(16)), "big") for n in range(6))


class Rows:
    """The boxes of a list, clipped to possible packets, in the order of the entries.

    ``entry``: the entry of each row; ``begin``: the first row of each entry, then the number of rows;
    ``low``, ``high``: first and last cell of each row, by field (columns: rows); ``single``: rows
    whose every field is one interval, so that ``low`` and ``high`` say all about them.
    """

    def __init__(self, source: FirstMatchList) -> None:
        found: list[tuple[int, Box]] = []
        for index, entry in enumerate(source.entries):
            for box in entry.boxes:
                parts = (box.intersect(possible) for possible in _POSSIBLE if box.protocol.overlaps(possible.protocol))
                found += [(index, part) for part in parts if not part.is_empty]
        self.boxes = [box for _index, box in found]
        self.entry = np.array([index for index, _box in found], dtype=np.int64)
        self.begin = np.searchsorted(self.entry, np.arange(len(source.entries) + 1)).tolist()
        self.count = len(found)
        self.words = (self.count + 63) // 64
        sets = [box.sets() for box in self.boxes]
        self.starts: list[list[int]] = []
        self.low = np.zeros((len(FIELDS), self.count), dtype=np.int32)
        self.high = np.zeros((len(FIELDS), self.count), dtype=np.int32)
        self.single = np.ones(self.count, dtype=bool)
        self._bits: list[Any] = []
        for field in range(len(FIELDS)):
            self._add_field(field, [row[field] for row in sets])

    def _add_field(self, field: int, sets: list[IntervalSet]) -> None:
        chosen = {values.key: values for values in sets}
        distinct = {key: place for place, key in enumerate(chosen)}
        cuts = [_cuts_of(values) for values in chosen.values()]
        starts = sorted({0, *(edge for each in cuts for low, high in each for edge in (low, high + 1))})
        cell = {value: place for place, value in enumerate(starts)}
        shape: list[tuple[list[int], list[int]]] = [
            _runs_of(values, starts)
            if values.masked
            else ([cell[low] for low, _high in each], [cell[high + 1] for _low, high in each])
            for values, each in zip(chosen.values(), cuts, strict=True)
        ]
        plain = [not values.masked for values in chosen.values()]
        bits = np.zeros((len(starts), self.words), dtype=np.uint64)
        kinds = np.array([distinct[values.key] for values in sets], dtype=np.int64)
        self.low[field] = np.array([begin[0] for begin, _end in shape], dtype=np.int32)[kinds]
        self.high[field] = np.array([end[-1] - 1 for _begin, end in shape], dtype=np.int32)[kinds]
        single = [len(begin) == 1 and is_plain for (begin, _end), is_plain in zip(shape, plain, strict=True)]
        self.single &= np.array(single, dtype=bool)[kinds]
        cells: list[int] = []
        rows: list[int] = []
        for row, kind in enumerate(kinds.tolist()):
            begin, end = shape[kind]
            cells += begin
            cells += end
            rows += [row] * (len(begin) + len(end))
        place = np.array(rows, dtype=np.int64)
        mark = np.left_shift(np.uint64(1), (place & 63).astype(np.uint64))
        np.bitwise_xor.at(bits, (np.array(cells, dtype=np.int64), place >> 6), mark)
        np.bitwise_xor.accumulate(bits, axis=0, out=bits)
        self.starts.append(starts)
        self._bits.append(bits if len(starts) > 2 or not bits[0].all() else None)

    def rows_of(self, entries: Iterable[int]) -> Any:
        """Return a boolean mask of the rows of some entries."""
        chosen = np.zeros(self.count, dtype=bool)
        for index in entries:
            chosen[self.begin[index] : self.begin[index + 1]] = True
        return chosen

    def matching(self, points: Any) -> Any:
        """Return the bit set of the rows that match each point (points: cells, one column per point)."""
        result = None
        for field, bits in enumerate(self._bits):
            if bits is not None:
                part = bits[points[field]]
                result = part if result is None else np.bitwise_and(result, part, out=result)
        if result is None:
            result = np.full((points.shape[1], self.words), ~np.uint64(0))
        return result

    def first(self, points: Any, mask: Any = None) -> Any:
        """Return the first row that matches each point, ``count`` for none; ``mask``: bit set of the rows that count."""
        total = points.shape[1]
        result = np.full(total, self.count, dtype=np.int64)
        step = max(1, _CHUNK_BYTES // (8 * max(1, self.words)))
        for start in range(0, total, step):
            match = self.matching(points[:, start : start + step])
            if mask is not None:
                match &= mask
            result[start : start + step] = first_bits(match, self.count)
        return result

    def random_points(self, generator: Any, rows: Any, each: int) -> Any:
        """Return points in the hulls of rows, ``each`` of them for every row: corners and cells anywhere, mixed."""
        rows = np.repeat(rows, each)
        low, high = self.low[:, rows], self.high[:, rows]
        draw = generator.random(low.shape)
        inside = low + (generator.random(low.shape) * (high - low + 1)).astype(np.int32)
        return np.where(draw < 0.35, low, np.where(draw < 0.7, high, np.minimum(inside, high)))

    def overlapping(self, row: int, mask: Any) -> Any:
        """Return the rows among those of a boolean mask whose hulls overlap that of a row: all that can share a packet."""
        low, high = self.low[:, row], self.high[:, row]
        found = np.flatnonzero(mask)
        for field in (3, 4, 5, 0, 1, 2, 6, 7, 8):  # what most often differs comes first
            found = found[(self.low[field, found] <= high[field]) & (self.high[field, found] >= low[field])]
        return found

    def covering(self, row: int, among: Any) -> Any:
        """Return the rows that hold every packet of a row."""
        low, high = self.low[:, row : row + 1], self.high[:, row : row + 1]
        held = ((self.low[:, among] <= low) & (self.high[:, among] >= high)).all(axis=0)
        return [int(other) for other in among[held] if self.single[other] or self.boxes[other].covers(self.boxes[row])]

    def packet(self, point: Any) -> Packet:
        """Return a packet of a point: the lowest value of each cell."""
        return Packet(*(self.starts[field][int(cell)] for field, cell in enumerate(point)))

    def point(self, packet: Packet) -> list[int]:
        """Return the cells of a packet."""
        values = packet.values()
        return [bisect_left(self.starts[field], value + 1) - 1 for field, value in enumerate(values)]


def _cuts_of(values: IntervalSet) -> Sequence[Pair]:
    """Return the ranges whose ends become cells: all, or of a mask with very many holes a few single values."""
    if not isinstance(values, MaskedSet):
        return values.pairs
    loose = ((1 << WIDTH) - 1) ^ values.care
    found = [*values.hull]
    for pattern in _PATTERNS:
        at = next_match(values.value | (pattern & loose), values.value, values.care)
        if at is not None and at in values:
            found.append(at)
    return [(at, at) for at in found]


def _runs_of(values: IntervalSet, starts: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return the cells at which runs of cells begin and end whose lowest value is in the set."""
    begin: list[int] = []
    end: list[int] = []
    inside = False
    for place, start in enumerate(starts):
        if values.contains(start) != inside:
            (end if inside else begin).append(place)
            inside = not inside
    return begin, [*end, len(starts)] if inside else end


def first_bits(match: Any, none: int) -> Any:
    """Return the place of the lowest bit set in each row of a bit matrix, ``none`` where there is none."""
    if not match.shape[1]:
        return np.full(match.shape[0], none, dtype=np.int64)
    filled = match != 0
    word = filled.argmax(axis=1)
    value = match[np.arange(len(match)), word]
    lowest = value & (~value + np.uint64(1))
    place = word * 64 + np.frexp(lowest.astype(np.float64))[1] - 1
    return np.where(value != 0, place, none)


def bit_mask(chosen: Any, words: int) -> Any:
    """Return a boolean array as the bit set that ``Rows.first`` takes."""
    padded = np.zeros(words * 64, dtype=bool)
    padded[: len(chosen)] = chosen
    return np.packbits(padded, bitorder="little").view("<u8").astype(np.uint64)
