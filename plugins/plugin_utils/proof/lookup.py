# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first entry of a list that matches a packet, by an indexed walk.

The entries whose source is narrow are found by the packet's source, the others by its destination; those few are then read in
order, field by field. No set algebra: so it can also check the proofs that use it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import (
    ALL,
    FIELDS,
    IPV4_ADDRESSES,
    Box,
    Entry,
    FirstMatchList,
    Packet,
)

_FIRST_FIELDS = (0, 5, 6, 1, 2, 3, 4, 7, 8)  # what most often differs comes first


def _is_wide(values: IntervalSet) -> bool:
    return values.covers(IPV4_ADDRESSES)


class _Places:
    """Numbers by address: which of the ranges given hold it. Items with one set are one in the index: most lists repeat few sets."""

    def __init__(self, items: Iterable[tuple[IntervalSet, int]]) -> None:
        begins: dict[int, list[int]] = {}
        ends: dict[int, list[int]] = {}
        known: dict[Any, int] = {}
        self._numbers: list[list[int]] = []
        for values, number in items:
            place = known.setdefault(values.key, len(known))
            if place < len(self._numbers):
                self._numbers[place].append(number)
                continue
            self._numbers.append([number])
            for low, high in (values.hull,) if values.masked else values.pairs:
                begins.setdefault(low, []).append(place)
                ends.setdefault(high + 1, []).append(place)
        self._starts = sorted({*begins, *ends})
        self._held: list[tuple[int, ...]] = []
        active: set[int] = set()
        for start in self._starts:
            active.difference_update(ends.get(start, ()))
            active.update(begins.get(start, ()))
            self._held.append(tuple(active))

    def at(self, address: int) -> list[int]:
        """Return the numbers whose ranges hold the address, in any order."""
        place = bisect_right(self._starts, address) - 1
        return [number for held in self._held[place] for number in self._numbers[held]] if place >= 0 else []


@dataclass(frozen=True)
class _Test:
    """One box of one entry: the fields that it limits, as (position in the packet, pairs); ``masks``: as (position, set)."""

    entry: int
    limits: tuple[tuple[int, tuple[tuple[int, int], ...]], ...]
    masks: tuple[tuple[int, IntervalSet], ...] = ()

    def matches(self, values: Sequence[int]) -> bool:
        for place, held in self.masks:
            if values[place] not in held:
                return False
        for place, pairs in self.limits:
            value = values[place]
            if len(pairs) == 1:
                if not pairs[0][0] <= value <= pairs[0][1]:
                    return False
            elif not _holds(pairs, value):
                return False
        return True

    def holds(self, source: int, destination: int) -> bool:
        """Return whether the addresses are within the limits."""
        return all(
            _holds(pairs, destination if place == 3 else source) for place, pairs in self.limits if place in (3, 4)
        ) and all((destination if place == 3 else source) in held for place, held in self.masks)

    def rest(self, values: Sequence[int]) -> bool:
        """Return whether everything but the addresses is within the limits."""
        return all(_holds(pairs, values[place]) for place, pairs in self.limits if place not in (3, 4))


def _holds(pairs: tuple[tuple[int, int], ...], value: int) -> bool:
    place = bisect_right(pairs, (value, 1 << 129)) - 1
    return place >= 0 and value <= pairs[place][1]


def _test(number: int, box: Box) -> _Test:
    sets = box.sets()
    tested = [place for place in _FIRST_FIELDS if sets[place] != ALL[FIELDS[place]]]
    return _Test(
        number,
        tuple((place, sets[place].pairs) for place in tested if not sets[place].masked),
        tuple((place, sets[place]) for place in tested if sets[place].masked),
    )


class Lookup:
    """The entries of one list, found by address. ValueError for a list with conditions: a walk cannot tell whether they hold."""

    def __init__(self, source: FirstMatchList) -> None:
        if source.is_conditional:
            raise ValueError(f"list {source.name or 'without a name'} depends on conditions that are not modelled")
        self.entries: tuple[Entry, ...] = source.entries
        self.default_permit = source.default_permit
        self._tests: list[_Test] = []
        by_source: list[tuple[IntervalSet, int]] = []
        by_destination: list[tuple[IntervalSet, int]] = []
        always: list[int] = []
        for number, entry in enumerate(source.entries):
            for box in entry.boxes:
                place = len(self._tests)
                self._tests.append(_test(number, box))
                if not _is_wide(box.source):
                    by_source.append((box.source, place))
                elif not _is_wide(box.destination):
                    by_destination.append((box.destination, place))
                else:
                    always.append(place)
        self._by_source = _Places(by_source)
        self._by_destination = _Places(by_destination)
        self._always = tuple(always)

    def candidates(self, source: int, destination: int) -> list[int]:
        """Return the numbers of the tests that may match packets between two addresses, in the list's order."""
        return sorted([*self._by_source.at(source), *self._by_destination.at(destination), *self._always])

    def deciding(self, packet: Packet) -> Entry | None:
        """Return the first entry that matches the packet, or None where the list's default decides."""
        values = packet.values()
        for place in self.candidates(packet.source, packet.destination):
            test = self._tests[place]
            if test.matches(values):
                return self.entries[test.entry]
        return None

    def place_matches(self, place: int, source: int, destination: int) -> bool:
        """Return whether the addresses of a test hold, whatever its other fields say."""
        return self._tests[place].holds(source, destination)

    def rest_matches(self, place: int, values: Sequence[int]) -> bool:
        """Return whether everything but the addresses of a test holds for the values of a packet."""
        return self._tests[place].rest(values)

    def permits(self, place: int) -> bool:
        """Return whether a test belongs to a permitting entry."""
        return self.entries[self._tests[place].entry].permit


class Masks:
    """The packets of a fixed set (bit n: packet n, addresses left out) that a list permits between any two addresses."""

    def __init__(self, lookup: Lookup, packets: Sequence[Packet]) -> None:
        self._lookup = lookup
        self._values = [packet.values() for packet in packets]
        self._all = (1 << len(packets)) - 1
        self._masks: dict[int, int] = {}

    def _mask(self, place: int) -> int:
        found = self._masks.get(place)
        if found is None:
            found = 0
            for number, values in enumerate(self._values):
                found |= self._lookup.rest_matches(place, values) << number
            self._masks[place] = found
        return found

    def permitted(self, source: int, destination: int) -> int:
        """Return the bits of the packets that pass from one address to the other."""
        lookup, left, result = self._lookup, self._all, 0
        for place in lookup.candidates(source, destination):
            hit = self._mask(place) & left
            if hit and lookup.place_matches(place, source, destination):
                if lookup.permits(place):
                    result |= hit
                left &= ~hit
                if not left:
                    return result
        return result | left if lookup.default_permit else result
