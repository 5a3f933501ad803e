# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of addresses by a mask with holes that fall into more intervals than can be listed (facts/policy.md section 6).

A ``MaskedSet`` holds the values of some ranges that equal a value in the bits of a mask. It stands wherever an ``IntervalSet`` of
addresses does; ``wildcard_set`` returns a plain one whenever at most 4,096 intervals say the same. The diagram of a space that
meets one tests the address in pieces of bits (``layout``). Everything is exact; what would need more than one such set (a union,
or a difference that cuts one out of a range) is refused with SW1104, and so is listing the intervals.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet, Pair

LISTED = 4096  # intervals up to which a set is plain
WIDTH = 128
_TOP = (1 << WIDTH) - 1


def next_match(at: int, value: int, care: int) -> int | None:
    """Return the smallest number from ``at`` on that equals ``value`` in the bits of ``care``; None above 128 bits."""
    wrong = (at ^ value) & care
    if not wrong:
        return at
    high = wrong.bit_length() - 1
    if not value >> high & 1:  # too large there: the lowest loose bit above that is 0 has to rise
        free = ~care & ~at & _TOP & ~((2 << high) - 1)
        if not free:
            return None
        high = (free & -free).bit_length() - 1
        return at >> (high + 1) << (high + 1) | 1 << high | value & ((1 << high) - 1)
    return at >> (high + 1) << (high + 1) | value & ((2 << high) - 1)


def last_match(at: int, value: int, care: int) -> int | None:
    """Return the largest number up to ``at`` that equals ``value`` in the bits of ``care``; None where there is none."""
    found = next_match(_TOP ^ at, (_TOP ^ value) & care, care)
    return None if found is None else _TOP ^ found


def matches_up_to(at: int, value: int, care: int) -> int:
    """Return how many numbers from 0 to ``at`` equal ``value`` in the bits of ``care``."""
    last = last_match(at, value, care) if at >= 0 else None
    if last is None:
        return 0
    rank, place, loose = 0, 0, ~care & _TOP
    while loose:
        bit = loose & -loose
        rank |= (1 << place) if last & bit else 0
        place += 1
        loose ^= bit
    return rank + 1


def wildcard_set(value: int, mask: int) -> IntervalSet:
    """Return the addresses that equal ``value`` in the bits that are 0 in the wildcard mask, whatever their number."""
    base = value & ~mask
    return masked([(base, base | mask)], value, _TOP ^ mask)


def masked(pairs: Iterable[Pair], value: int, care: int) -> IntervalSet:
    """Return the values of sorted, disjoint ranges that equal ``value`` in the bits of ``care``: plain where few intervals say it."""
    value &= care
    kept: list[Pair] = []
    for low, high in pairs:
        first, last = next_match(low, value, care), last_match(high, value, care)
        if first is None or last is None or first > last:
            continue
        if kept and next_match(kept[-1][1] + 1, value, care) == first:
            kept[-1] = (kept[-1][0], last)
        else:
            kept.append((first, last))
    tail = (care & -care).bit_length() - 1 if care else WIDTH  # loose bits at the end: runs of 2^tail
    runs = [_runs(low, high, value, care, tail) for low, high in kept]
    if sum(runs) > LISTED and max(runs) > 1:
        return MaskedSet(tuple(kept), value, care)
    found: list[Pair] = []
    for low, high in kept:
        at: int | None = low
        while at is not None and at <= high:
            end = min(high, at | ((1 << tail) - 1))
            found.append((at, end))
            at = next_match(end + 1, value, care)
    return IntervalSet.of(*found)


def _runs(low: int, high: int, value: int, care: int, tail: int) -> int:
    """Return how many runs of values a range has, at most two more than there are."""
    loose = ~care & ((1 << (low ^ high).bit_length()) - 1)
    if (loose >> tail).bit_count() < LISTED.bit_length():
        return 1 << (loose >> tail).bit_count()
    return ((matches_up_to(high, value, care) - matches_up_to(low - 1, value, care)) >> tail) + 2


class MaskedSet(IntervalSet):
    """The values of the ranges ``within`` that equal ``value`` in the bits of ``care``; made by ``wildcard_set`` and ``masked``.

    Each range begins and ends with a value of the set.
    """

    masked = True
    within: tuple[Pair, ...]
    value: int
    care: int

    def __init__(self, within: tuple[Pair, ...], value: int, care: int) -> None:
        for name, given in (("within", within), ("value", value), ("care", care)):
            object.__setattr__(self, name, given)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Refused with SW1104: too many intervals to list."""
        raise FindingError(codes.TOO_MANY_INTERVALS.at(f"{self!r} falls into more than {LISTED} intervals"))

    @property
    def hull(self) -> Pair:
        """The lowest and the highest value."""
        return self.within[0][0], self.within[-1][1]

    @property
    def key(self) -> Any:
        """What two sets of one meaning share, if they lie in one range or are written alike."""
        low, high = self.hull
        if len(self.within) == 1:  # bits that are the same all over the range are told by its ends
            return self.within, self.care & ((1 << (low ^ high).bit_length()) - 1)
        return self.within, self.value, self.care

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MaskedSet) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"MaskedSet(value {self.value:#x}, mask {_TOP ^ self.care:#x}, within {self.within})"

    def intersect(self, other: IntervalSet) -> IntervalSet:
        """Return the values in both sets."""
        if not isinstance(other, MaskedSet):
            pairs = IntervalSet(self.within).intersect(other).pairs
            return self if pairs == self.within else masked(pairs, self.value, self.care)
        if (self.value ^ other.value) & self.care & other.care:
            return IntervalSet()
        pairs = IntervalSet(self.within).intersect(IntervalSet(other.within)).pairs
        return masked(pairs, self.value | other.value, self.care | other.care)

    def union(self, other: IntervalSet) -> IntervalSet:
        """Return the values in either set, where one set can hold them."""
        if other.covers(self):
            return other
        if self.covers(other):
            return self
        if isinstance(other, MaskedSet) and (self.value, self.care) == (other.value, other.care):
            return masked(IntervalSet.of(*self.within, *other.within).pairs, self.value, self.care)
        raise FindingError(codes.TOO_MANY_INTERVALS.at(f"{self!r} with further addresses is no single set"))

    def subtract(self, other: IntervalSet) -> IntervalSet:
        """Return the values of this set that are not in the other."""
        if not isinstance(other, MaskedSet):
            return masked(IntervalSet(self.within).subtract(other).pairs, self.value, self.care)
        if other.covers(self):
            return IntervalSet()
        if not self.overlaps(other):
            return self
        raise FindingError(codes.TOO_MANY_INTERVALS.at(f"addresses without {other!r} are no single set"))

    def contains(self, value: int) -> bool:
        """Return whether the value is in the set."""
        return (value ^ self.value) & self.care == 0 and IntervalSet(self.within).contains(value)

    __contains__ = contains

    def covers(self, other: IntervalSet) -> bool:
        """Return whether the other set is a subset of this one."""
        if not isinstance(other, MaskedSet):
            inside = all(
                not (low ^ self.value) & self.care and not self.care & ((1 << (low ^ high).bit_length()) - 1)
                for low, high in other.pairs
            )
            return inside and IntervalSet(self.within).covers(other)
        if other.subtract(IntervalSet(self.within)):
            return False
        wrong = (
            self.care & ~other.care
        )  # bits that this set fixes and the other does not: are they fixed by its ranges?
        if (self.value ^ other.value) & self.care & other.care:
            return False
        while wrong:
            bit = wrong & -wrong
            if masked(other.within, other.value | (bit & ~self.value), other.care | bit):
                return False
            wrong ^= bit
        return True

    def overlaps(self, other: IntervalSet) -> bool:
        """Return whether the two sets share a value."""
        return bool(self.intersect(other))

    @property
    def is_empty(self) -> bool:
        """Always False: an empty set is a plain one."""
        return False

    def __bool__(self) -> bool:
        return True

    @property
    def size(self) -> int:
        """How many values the set has."""
        return sum(
            matches_up_to(high, self.value, self.care) - matches_up_to(low - 1, self.value, self.care)
            for low, high in self.within
        )

    def wildcard(self) -> Pair | None:
        """Return (value, wildcard mask) when the set is every value that differs from one value only in the mask's bits."""
        low, high = self.hull
        loose = ~self.care & ((1 << (low ^ high).bit_length()) - 1)
        return (low, loose) if len(self.within) == 1 and high == low | loose and not low & loose else None
