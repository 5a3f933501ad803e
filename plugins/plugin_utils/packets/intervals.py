# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of non-negative integers as sorted, disjoint, non-touching inclusive intervals."""

from __future__ import annotations

import ipaddress
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets import codes

Pair = tuple[int, int]


def _canonical(pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    result: list[Pair] = []
    start = end = -2  # none yet: no valid pair touches it
    for low, high in sorted(pairs):
        if low < 0 or low > high:
            raise ValueError(f"interval {low}-{high} is empty or negative")
        if low > end + 1:
            if end >= 0:
                result.append((start, end))
            start, end = low, high
        elif high > end:
            end = high
    if end >= 0:
        result.append((start, end))
    return tuple(result)


@dataclass(frozen=True)
class IntervalSet:
    """A set of integers. Build it with ``of``, ``single`` or ``from_prefix``; ``pairs`` is canonical, so ``==`` is set equality."""

    pairs: tuple[Pair, ...] = ()
    masked: ClassVar[bool] = False  # True for the sets of ``masks``, which only look like this one

    @property
    def hull(self) -> Pair:
        """The lowest and the highest value; IndexError for the empty set."""
        return self.pairs[0][0], self.pairs[-1][1]

    @property
    def key(self) -> Any:
        """What is equal for equal sets, and quicker to hash than the set."""
        return self.pairs

    @classmethod
    def of(cls, *pairs: Pair | int) -> IntervalSet:
        """Return the union of inclusive (low, high) pairs and single values; ValueError for a negative or reversed one."""
        return cls(_canonical((pair, pair) if isinstance(pair, int) else (pair[0], pair[1]) for pair in pairs))

    @classmethod
    def single(cls, value: int) -> IntervalSet:
        """Return the set of one value."""
        return cls.of((value, value))

    @classmethod
    def everything(cls, field: str) -> IntervalSet:
        """Return all values of a packet field (names as in ``model.FIELDS``)."""
        return cls(((0, FIELD_MAXIMUM[field]),))

    @classmethod
    def from_prefix(cls, prefix: str) -> IntervalSet:
        """Return the addresses of a prefix or single address as integers; ValueError where host bits are set."""
        network = ipaddress.ip_network(prefix, strict=True)
        return cls(((int(network.network_address), int(network.broadcast_address)),))

    def union(self, other: IntervalSet) -> IntervalSet:
        """Return the values in either set."""
        if other.masked:
            return other.union(self)
        return IntervalSet(_canonical(self.pairs + other.pairs))

    def intersect(self, other: IntervalSet) -> IntervalSet:
        """Return the values in both sets."""
        if other.masked:
            return other.intersect(self)
        first, second = self.pairs, other.pairs
        if not first or not second:
            return IntervalSet()
        if len(second) == 1 and second[0][0] <= first[0][0] and first[-1][1] <= second[0][1]:
            return self
        if len(first) == 1 and first[0][0] <= second[0][0] and second[-1][1] <= first[0][1]:
            return other
        result: list[Pair] = []
        i = j = 0
        while i < len(first) and j < len(second):
            low = max(first[i][0], second[j][0])
            high = min(first[i][1], second[j][1])
            if low <= high:
                result.append((low, high))
            if first[i][1] < second[j][1]:
                i += 1
            else:
                j += 1
        return IntervalSet(tuple(result))

    def subtract(self, other: IntervalSet) -> IntervalSet:
        """Return the values of this set that are not in the other."""
        if other.masked:
            if not self.overlaps(other):
                return self
            if other.covers(self):
                return IntervalSet()
            raise FindingError(codes.TOO_MANY_INTERVALS.at(f"addresses without {other!r} are no single set"))
        result: list[Pair] = []
        index = 0
        cuts = other.pairs
        for low, high in self.pairs:
            while index < len(cuts) and cuts[index][1] < low:
                index += 1
            at = index
            while at < len(cuts) and cuts[at][0] <= high:
                if cuts[at][0] > low:
                    result.append((low, cuts[at][0] - 1))
                low = cuts[at][1] + 1
                at += 1
            if low <= high:
                result.append((low, high))
        return IntervalSet(tuple(result))

    def contains(self, value: int) -> bool:
        """Return whether the value is in the set."""
        index = bisect_left(self.pairs, value, key=lambda pair: pair[1])
        return index < len(self.pairs) and self.pairs[index][0] <= value

    __contains__ = contains

    def covers(self, other: IntervalSet) -> bool:
        """Return whether the other set is a subset of this one."""
        if other.masked:
            return other.subtract(self).is_empty
        mine, end, index = self.pairs, len(self.pairs), 0
        for low, high in other.pairs:
            while index < end and mine[index][1] < low:
                index += 1
            if index == end or mine[index][0] > low:
                return False
            at = index
            while mine[at][1] < high:
                if at + 1 == end or mine[at + 1][0] > mine[at][1] + 1:
                    return False
                at += 1
        return True

    def overlaps(self, other: IntervalSet) -> bool:
        """Return whether the two sets share a value."""
        if other.masked:
            return other.overlaps(self)
        first, second = self.pairs, other.pairs
        i = j = 0
        while i < len(first) and j < len(second):
            if first[i][1] < second[j][0]:
                i += 1
            elif second[j][1] < first[i][0]:
                j += 1
            else:
                return True
        return False

    @property
    def is_empty(self) -> bool:
        """Whether no value is in the set."""
        return not self.pairs

    def __bool__(self) -> bool:
        return bool(self.pairs)

    @property
    def size(self) -> int:
        """How many values the set has."""
        return sum(high - low + 1 for low, high in self.pairs)

    def to_ranges(self) -> list[Pair]:
        """Return the inclusive (low, high) pairs in rising order."""
        return list(self.pairs)

    def to_prefixes(self, width: int) -> list[str]:
        """Return the fewest CIDR prefixes of the width (32 or 128) that hold exactly these addresses, in rising order."""
        return [f"{_address_text(low, width)}/{length}" for low, length in prefixes(self.pairs, width)]

    def wildcard(self) -> Pair | None:
        """Return (value, wildcard mask) when the set is every value that differs from one value only in the mask's bits."""
        if not self.pairs:
            return None
        base = self.pairs[0][0]
        mask = 0
        for low, high in self.pairs:
            mask |= (low ^ base) | (high ^ base) | ((1 << (low ^ high).bit_length()) - 1)
        return (base & ~mask, mask) if self.size == 1 << mask.bit_count() else None


def from_wildcard(value: int, mask: int, limit: int = 4096) -> IntervalSet | None:
    """Return the values that equal ``value`` in the bits that are 0 in the wildcard mask; None above ``limit`` intervals.

    ``masks.wildcard_set`` knows no limit.
    A discontiguous mask with k loose groups above the lowest run of ones makes 2^bits intervals (facts/policy.md section 6).
    """
    tail = 0
    while mask >> tail & 1:
        tail += 1
    loose = [bit for bit in range(tail, mask.bit_length()) if mask >> bit & 1]
    if len(loose) >= 63 or 1 << len(loose) > limit:
        return None
    starts = [value & ~mask]
    for bit in loose:
        starts += [start | 1 << bit for start in starts]
    span = (1 << tail) - 1
    return IntervalSet(_canonical((start, start + span) for start in starts))


def prefixes(pairs: Iterable[Pair], width: int) -> Iterator[Pair]:
    """Yield (first value, prefix length) of the aligned blocks that make up the intervals."""
    for low, high in pairs:
        while low <= high:
            size = min((low & -low).bit_length() - 1 if low else width, (high - low + 1).bit_length() - 1)
            yield low, width - size
            low += 1 << size


def _address_text(value: int, width: int) -> str:
    return str(ipaddress.IPv4Address(value) if width == 32 else ipaddress.IPv6Address(value))


# Highest value of each packet field; the order is the order of the levels of a diagram (facts/policy.md section 5 b1).
FIELD_MAXIMUM: dict[str, int] = {
    "protocol": 511,
    "detail": 65535,
    "fragment": 1,
    "destination": (1 << 128) - 1,
    "source": (1 << 128) - 1,
    "destination_port": 65535,
    "source_port": 65535,
    "destination_group": 65535,
    "source_group": 65535,
}
