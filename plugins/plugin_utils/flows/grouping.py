# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows with equal keys brought together, and the two ends of records as one integer each: what stitching counts with.

Rows are sorted by 32 bits of a hash, each with its place in the lower bits of one integer: NumPy sorts such integers with the processor's
vector instructions, twice as fast as it finds an order by counting (65,536 rows: 29 and 59 nanoseconds each), and what was sorted need not
be fetched in its new order. Keys are compared afterwards, so a hash that two keys share changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.address import V4_HI, V4_LO

np = guarded("numpy")

# Odd constants of splitmix64 (Steele, Lea and Flood, OOPSLA 2014).
FACTORS = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
PORT_BITS = 16
LARGEST_PORT = (1 << PORT_BITS) - 1
Threes = tuple[Any, Any, Any]


def spread(values: Any, count: int) -> Any:
    """Return an array of one value as one of ``count``, which takes no room and cannot be written; as NumPy's ``broadcast_to`` in a tenth
    of its time."""
    made = np.ndarray((count,), values.dtype, values, strides=(0,))
    made.flags.writeable = False
    return made


def narrow(values: Any) -> Any:
    """Return one value for what ``spread`` made of it."""
    return values[:1] if values.strides == (0,) else values


def hashed(keys: Sequence[Any]) -> Any:
    """Return a 64-bit hash of rows whose key columns are arrays of uint64; its upper half is the better one."""
    made = keys[0] * np.uint64(FACTORS[0])
    for number, key in enumerate(keys[1:], start=1):
        made ^= made >> np.uint64(32)
        made += key
        made *= np.uint64(FACTORS[number % len(FACTORS)])
    made ^= made >> np.uint64(29)
    made *= np.uint64(FACTORS[1])
    return made


def sorted_order(values: Any, bits: int) -> Any:
    """Return the stable order of an array of non-negative integers below 2 to the power of ``bits``."""
    return sorted_values(values, bits)[0]


def sorted_values(values: Any, bits: int) -> tuple[Any, Any]:
    """Return (the stable order of an array of unsigned integers below 2 to the power of ``bits``, the values in it)."""
    places = max(1, (len(values) - 1).bit_length())
    if bits + places <= 64:
        kind = np.uint32 if bits + places <= 32 else np.uint64
        both = values.astype(kind)
        both <<= kind(places)
        both |= np.arange(len(values), dtype=kind)
        both.sort()
        marks = both >> kind(places)
        both &= kind((1 << places) - 1)
        return both.view(np.int64) if kind is np.uint64 else both.astype(np.int64), marks
    order = _by_digits(values, bits)
    return order, values.take(order)


def _by_digits(values: Any, bits: int) -> Any:
    order = None
    for shift in range(0, bits, 16):
        digit = values if order is None else values.take(order)
        step = np.argsort((digit >> digit.dtype.type(shift)).astype(np.uint16), kind="stable")
        order = step if order is None else order.take(step)
    return order


def groups(keys: Sequence[Any]) -> tuple[Any, Any]:
    """Return (order of rows, positions in it at which a group begins): rows with the same keys (uint64) stand together.

    Within a group rows keep their order. The order of groups is that of a hash.
    """
    order, marks = sorted_values(hashed(keys) >> np.uint64(32), 32)
    fresh = np.ones(len(order), dtype=bool)
    fresh[1:] = marks[1:] != marks[:-1]
    differs = _differs(keys, order)
    clash = differs & ~fresh
    if clash.any():
        # Keys that share a hash: their rows are sorted by the keys themselves.
        bucket = np.cumsum(fresh) - 1
        mixed = np.zeros(int(bucket[-1]) + 1, dtype=bool)
        mixed[bucket[clash]] = True
        places = np.flatnonzero(mixed[bucket])
        rows = order[places]
        order[places] = rows[np.lexsort((*(key[rows] for key in keys), bucket[places]))]
        differs = _differs(keys, order)
    return order, np.flatnonzero(differs)


def _differs(keys: Sequence[Any], order: Any) -> Any:
    made = np.zeros(len(order), dtype=bool)
    made[:1] = True
    for key in keys:
        held = key.take(order)
        made[1:] |= held[1:] != held[:-1]
    return made


class Stretches:
    """Stretches of rows that stand one after another in an order (``rows``), and what is counted over each. Every stretch has a row.

    Most hold one row or two, the directions of a conversation. What is counted of those is picked from columns as they stand, which need
    not be brought into the order; the others are left to NumPy's ``reduceat``. So values come in threes (``of``): those of first rows, of
    second ones (the first where there is no other), and of all rows of longer stretches.
    """

    def __init__(self, bounds: Any, rows: Any) -> None:
        self.bounds, self.rows = bounds, rows
        self.sizes = np.diff(bounds, append=len(rows))
        pair = self.sizes == 2
        self.first, self._second = rows.take(bounds), rows.take(bounds + pair)
        # What is left of the second ones in sums; None where all are.
        self._pairs = None if pair.all() else np.negative(pair.astype(np.int64))
        self._long = np.flatnonzero(self.sizes > 2)
        if len(self._long):
            places, self._begins = stretched(bounds[self._long], self.sizes[self._long])
            self._rest = rows.take(places)
        else:
            self._rest = rows[:0]

    def of(self, values: Any) -> Threes:
        """Return a column's values."""
        return self.each(values.take)

    def each(self, taken: Callable[[Any], Any]) -> Threes:
        """Return what is taken at the three kinds of rows."""
        return taken(self.first), taken(self._second), taken(self._rest)

    def spread(self, values: Any) -> Threes:
        """Return what is so for each stretch, for its rows."""
        return values, values, np.repeat(values[self._long], self.sizes[self._long])

    def least(self, values: Threes) -> Any:
        """Return the least value of each stretch."""
        return self._of(np.minimum, values)

    def greatest(self, values: Threes) -> Any:
        """Return the greatest value of each stretch."""
        return self._of(np.maximum, values)

    def bits(self, values: Threes) -> Any:
        """Return the bits set in any value of each stretch."""
        return self._of(np.bitwise_or, values)

    def sums(self, values: Threes) -> Any:
        """Return the sum of each stretch (values are int64)."""
        made = values[1] if self._pairs is None else values[1] & self._pairs
        return self._with_long(np.add, values[2], made + values[0])

    def _of(self, function: Any, values: Threes) -> Any:
        return self._with_long(function, values[2], function(values[0], values[1]))

    def _with_long(self, function: Any, values: Any, made: Any) -> Any:
        if len(self._long):
            made[self._long] = function.reduceat(values, self._begins)
        return made


def stretched(starts: Any, sizes: Any) -> tuple[Any, Any]:
    """Return (the places of stretches' rows one after another, where each stretch begins there)."""
    bounds = np.cumsum(sizes) - sizes
    places = np.repeat(starts - bounds, sizes)
    places += np.arange(len(places))
    return places, bounds


@dataclass(frozen=True)
class Ends:
    """Ends of records (address and port) as integers of 48 bits, whose order is that of (hi, lo, port).

    ``source`` and ``target`` are arrays of uint64; the other arrays give back the columns of an address by its code, and are None where
    all addresses are IPv4, whose code is the address. ``pairs`` stands for ends whose ports are no ports.
    """

    source: Any
    target: Any
    hi: Any = None
    lo: Any = None
    pairs: Any = None

    def columns(self, ends: Any) -> tuple[Any, Any, Any]:
        """Return (hi, lo, port) of ends."""
        if self.pairs is not None:
            values = self.pairs[ends.astype(np.int64)]
            code, port = values >> 32, ((values & 0xFFFFFFFF) - (1 << 31)).astype(np.int32)
        else:
            code, port = (
                (ends >> np.uint64(PORT_BITS)).astype(np.int64),
                (ends & np.uint64(LARGEST_PORT)).astype(np.int32),
            )
        if self.hi is None:
            return np.broadcast_to(np.int64(V4_HI), len(ends)), code + V4_LO, port
        return self.hi[code], self.lo[code], port


def ends_of(source: tuple[Any, Any, Any], target: tuple[Any, Any, Any]) -> Ends:
    """Return the ends of records from arrays (hi, lo, port) of both."""
    both = (source, target)
    hi = lo = None
    real_ports = all(_below(end[2], PORT_BITS) for end in both)
    codes = [end[1] - V4_LO for end in both] if real_ports else []
    if (
        not codes
        or not all((narrow(end[0]) == V4_HI).all() for end in both)
        or not all(_below(each, 32) for each in codes)
    ):
        hi, lo, codes = _ranked(source, target)
    if real_ports:
        made = [code.view(np.uint64) for code in codes]
        for code, end in zip(made, both, strict=True):
            code <<= np.uint64(PORT_BITS)
            code |= end[2].astype(np.uint64)
        return Ends(made[0], made[1], hi, lo)
    wide = [(code << 32) | (end[2].astype(np.int64) + (1 << 31)) for code, end in zip(codes, both, strict=True)]
    pairs, numbers = np.unique(np.concatenate(wide), return_inverse=True)
    numbers = numbers.astype(np.uint64)
    return Ends(numbers[: len(source[0])], numbers[len(source[0]) :], hi, lo, pairs)


def _below(values: Any, bits: int) -> bool:
    """Return whether all numbers are from 0 to below 2 to the power of ``bits``: as unsigned ones those below zero are too large too."""
    return not len(values) or int(values.view(f"u{values.itemsize}").max()) >> bits == 0


def _ranked(source: tuple[Any, Any, Any], target: tuple[Any, Any, Any]) -> tuple[Any, Any, list[Any]]:
    """Return (hi and lo of the distinct addresses in their order, codes of both ends: places in them)."""
    hi, lo = (np.concatenate((source[place], target[place])) for place in (0, 1))
    order, starts = groups((hi.view(np.uint64), lo.view(np.uint64)))
    first = order[starts]
    rank = np.empty(len(first), dtype=np.int64)
    ordered = np.lexsort((lo[first], hi[first]))
    rank[ordered] = np.arange(len(first))
    codes = np.empty(len(hi), dtype=np.int64)
    codes[order] = np.repeat(rank, np.diff(starts, append=len(order)))
    count = len(source[0])
    return hi[first][ordered], lo[first][ordered], [codes[:count], codes[count:]]
