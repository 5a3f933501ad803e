# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses that no set of a list tells apart, as one number: a list of members by address is then as small as one of segments.

Two addresses are of one class where each of the sets given holds both or neither, so a set is exactly a union of classes and the first
match of a packet is that of its class. Classes are numbered by their lowest address.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet

np = guarded("numpy")

_HALF = (1 << 64) - 1


class AddressClasses:
    """The classes of all addresses (integers from 0) under some sets of intervals; sets with masks are none (ValueError)."""

    def __init__(self, sets: Iterable[IntervalSet]) -> None:
        distinct = {values.key: values for values in sets}
        begins: dict[int, list[int]] = {}
        ends: dict[int, list[int]] = {}
        for number, values in enumerate(distinct.values()):
            if values.masked:
                raise ValueError("a set with a mask has no intervals to make classes of")
            for low, high in values.pairs:
                begins.setdefault(low, []).append(number)
                ends.setdefault(high + 1, []).append(number)
        starts = sorted(start for start in {0, *begins, *ends} if start >> 128 == 0)
        numbers: dict[tuple[int, ...], int] = {}
        of_start: list[int] = []
        active: set[int] = set()
        for start in starts:
            active.difference_update(ends.get(start, ()))
            active.update(begins.get(start, ()))
            of_start.append(numbers.setdefault(tuple(sorted(active)), len(numbers)))
        held: list[list[int]] = [[] for _values in distinct]
        for alike, number in numbers.items():
            for place in alike:
                held[place].append(number)
        self.count = len(numbers)
        self._held = {key: IntervalSet.of(*found) for key, found in zip(distinct, held, strict=True)}
        self._classes = np.array(of_start, dtype=np.int64)
        last = [*(start - 1 for start in starts[1:]), (1 << 128) - 1]  # of each stretch of addresses of one class
        self._high = np.array([bound >> 64 & _HALF for bound in last], dtype=np.uint64)
        self._low = np.array([bound & _HALF for bound in last], dtype=np.uint64)
        self._four = self._low[: bisect_left(last, 1 << 32)]

    def of(self, values: IntervalSet) -> IntervalSet:
        """Return the classes that a set is made of; KeyError for one that the classes were not made for."""
        return self._held[values.key]

    def column(self, high: Any, low: Any) -> Any:
        """Return the class of each address as int64; addresses in unsigned halves of 64 bits (IPv4: high 0, low below 2^32)."""
        found = np.searchsorted(self._four, low)  # addresses of up to 32 bits are nearly all, and found in one go
        wide = np.flatnonzero((high > 0) | (low > np.uint64(0xFFFFFFFF)))
        if len(wide):
            found[wide] = ranks_in_halves(self._high, self._low, high[wide], low[wide])
        return self._classes[found]


def ranks_in_halves(bounds_high: Any, bounds_low: Any, high: Any, low: Any) -> Any:
    """Return the rank of the first bound that is not below each value, all rows at once; bounds and values in unsigned halves."""
    first = np.searchsorted(bounds_high, high, side="left")
    last = np.searchsorted(bounds_high, high, side="right")
    while True:
        open_rows = first < last
        if not open_rows.any():
            return first
        middle = (first + last) >> 1
        below = open_rows & (bounds_low[np.minimum(middle, len(bounds_low) - 1)] < low)
        first = np.where(below, middle + 1, first)
        last = np.where(open_rows & ~below, middle, last)
