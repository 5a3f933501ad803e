# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which piece of which field each level of a diagram tests.

Usually a level is a field. The order differs from that of ``FIELDS`` in one point: tags stand before the ports, which makes
lists that go by tags faster (400 entries twice, 1,000 entries more than five times). Where a mask with holes falls into too
many intervals, an address is tested in pieces of bits that begin where the mask changes, the highest first: within
each piece the mask leaves all values, or one (or, of very ragged masks, a few).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import FIELD_MAXIMUM, IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.masks import WIDTH, MaskedSet, masked
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Box

DESTINATION, SOURCE = 3, 4  # places in FIELDS
ORDER = (0, 1, 2, DESTINATION, SOURCE, 7, 8, 5, 6)
_MAXIMA = tuple(FIELD_MAXIMUM.values())
LONG = 2000  # boxes from which on sources are cut
_QUICK_BITS = 4
_MOST_CUTS = 8  # of one address where masks change; with more, bytes are cut
Cuts = tuple[tuple[int, ...], tuple[int, ...]]


class Level(NamedTuple):
    """What a level tests: the field (place in ``FIELDS``), shifted right and cut to ``maximum``."""

    field: int
    shift: int
    maximum: int


class Layout:
    """The levels of a diagram; ``cuts``: the lowest bits of the upper pieces of destination and source."""

    def __init__(self, cuts: Cuts = ((), ())) -> None:
        self.cuts = cuts
        levels: list[Level] = []
        for field in ORDER:
            top = _MAXIMA[field].bit_length()
            pieces = cuts[field - DESTINATION] if field in (DESTINATION, SOURCE) else ()
            for shift in (*sorted(pieces, reverse=True), 0):
                levels.append(Level(field, shift, (1 << (top - shift)) - 1))
                top = shift
        self.levels = tuple(levels)
        self.of_field = [[n for n, level in enumerate(levels) if level.field == field] for field in range(len(ORDER))]

    @cached_property
    def is_plain(self) -> bool:
        """Whether every level is a field."""
        return self.cuts == ((), ())

    def digits(self, values: Sequence[int]) -> list[int]:
        """Return what each level tests of field values in the order of ``FIELDS``."""
        return [values[field] >> shift & maximum for field, shift, maximum in self.levels]

    def refined(self, boxes: Iterable[Box]) -> Layout:
        """Return a layout that also has the cuts that the addresses of boxes need; itself where it has."""
        masks: tuple[set[int], set[int]] = (set(), set())
        for box in boxes:
            if box.destination.masked or box.source.masked:
                for values, found in zip((box.destination, box.source), masks, strict=True):
                    if isinstance(values, MaskedSet):
                        found.add(values.care)
        if not any(masks):
            return self
        cuts = tuple(_cuts(found, own) for found, own in zip(masks, self.cuts, strict=True))
        return self if cuts == self.cuts else Layout((cuts[0], cuts[1]))

    def quick(self, boxes: Sequence[Box]) -> Layout:
        """Return a layout that makes many boxes fast: with source addresses in small pieces; itself for few, or where it has cuts.

        The source stands below the destination, so in long lists very many nodes differ in a few sources only: cut into
        pieces they share the rest (facts of 10,000 entries: half the time, half the memory).
        """
        if len(boxes) < LONG or self.cuts[1]:
            return self
        starts = {box.source.hull[0] for box in boxes if box.source}
        cuts: list[int] = []
        while len(starts) >= 1 << _QUICK_BITS:
            starts = {start >> _QUICK_BITS for start in starts if start < 1 << 32}
            if len(starts) >= 1 << _QUICK_BITS:
                cuts.append((len(cuts) + 1) * _QUICK_BITS)
        return Layout((self.cuts[0], tuple(cuts))) if cuts else self

    def piece(self, values: MaskedSet, level: int) -> IntervalSet:
        """Return what the mask of a set leaves of a level; SW1104 where it is no piece of the layout."""
        _field, shift, maximum = self.levels[level]
        upper = ((1 << WIDTH) - 1) ^ maximum
        return masked([(0, maximum)], values.value >> shift & maximum, values.care >> shift & maximum | upper)


PLAIN = Layout()


def layout_of(boxes: Iterable[Box]) -> Layout:
    """Return the coarsest layout that can hold the boxes."""
    return PLAIN.refined(boxes)


def _cuts(cares: set[int], own: tuple[int, ...]) -> tuple[int, ...]:
    """Return where to cut an address for masks, besides where it is cut already."""
    wanted: set[int] = set()
    for care in cares:
        edges = (care ^ care << 1) & ((1 << WIDTH) - 1)
        wanted |= {bit for bit in range(1, WIDTH) if edges >> bit & 1}
    if len(wanted | {*own}) > _MOST_CUTS:
        highest = max(wanted | {*own})
        wanted = {*range(8, highest + 8, 8)} - {WIDTH}
    return tuple(sorted({*own, *wanted}))
