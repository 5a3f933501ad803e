# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends of conversations (address, port, protocol) as one integer each, and finding rows by such integers.

An IPv4 end is its own number; for others a number is given out when they are first met, so that an end has the same key in every batch of
an import. Where rows are found by a hash, the keys themselves are compared afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.address import V4_HI, V4_LO
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.grouping import groups, hashed

np = guarded("numpy")

PORT_BITS, PROTOCOL_BITS = 16, 8
# Numbers of addresses: IPv4 below this; then those given out; then ends whose port or protocol has too many bits.
FIRST_OTHER, FIRST_ODD, ABSENT = 1 << 32, 1 << 39, (1 << 40) - 1
# How often a hash is taken anew for keys that fall on one slot, before they are compared one by one.
DEEPEST = 12
# Small tables are made wide (256 KiB): where no two keys share a slot, none is looked for twice.
LEAST_BITS = 16


class EndKeys:
    """Gives out the keys."""

    def __init__(self) -> None:
        self._addresses: dict[tuple[int, int], int] = {}
        self._odd: dict[tuple[int, ...], int] = {}

    def addresses(self, hi: Any, lo: Any, give: bool = True) -> Any:
        """Return the numbers (uint64, 40 bits) of addresses in columns; unless ``give``, those not met before get one that no other has."""
        made = (lo - V4_LO).view(np.uint64)
        other = (hi != V4_HI) | (made >> np.uint64(32) != 0)
        if other.any():
            places = np.flatnonzero(other)
            made[places] = self._given((hi[places], lo[places]), self._addresses, FIRST_OTHER, give)
        return made

    def ends(self, numbers: Any, columns: Sequence[Any], give: bool = True) -> Any:
        """Return the keys (uint64) of ends, from the numbers of their addresses and the columns hi, lo, port, protocol."""
        port, protocol = columns[2:]
        made = (numbers << np.uint64(PORT_BITS)) | port.astype(np.uint64)
        made = (made << np.uint64(PROTOCOL_BITS)) | protocol.astype(np.uint64)
        odd = (port >> PORT_BITS != 0) | (protocol >> PROTOCOL_BITS != 0)
        if odd.any():
            places = np.flatnonzero(odd)
            given = self._given([each[places] for each in columns], self._odd, FIRST_ODD, give)
            made[places] = given << np.uint64(PORT_BITS + PROTOCOL_BITS)
        return made

    @staticmethod
    def _given(columns: Sequence[Any], known: dict[Any, int], first: int, give: bool) -> Any:
        order, starts = groups([each.astype(np.int64).view(np.uint64) for each in columns])
        rows = order[starts]
        asked = zip(*(column[rows].tolist() for column in columns), strict=True)
        if give:
            own = [known.setdefault(each, first + len(known)) for each in asked]
        else:
            own = [known.get(each, ABSENT) for each in asked]
        made = np.empty(len(order), dtype=np.uint64)
        made[order] = np.repeat(np.array(own, dtype=np.uint64), np.diff(starts, append=len(order)))
        return made


class Lookup:
    """Distinct rows of keys (arrays of uint64 of equal length), found by their values."""

    def __init__(self, keys: Sequence[Any], level: int = 0) -> None:
        self.keys, self.level = list(keys), level
        count = len(self.keys[0])
        self.rest: Lookup | None = None
        self.rest_rows: Any = None
        self.listed: dict[tuple[int, ...], int] | None = None
        if level > DEEPEST:
            self.listed = {each: row for row, each in enumerate(zip(*(key.tolist() for key in keys), strict=True))}
            return
        self.shift = np.uint64(64 - max(LEAST_BITS, min(30, (8 * count).bit_length())))
        marks = self._marks(self.keys)
        self.slots = np.full(1 << (64 - int(self.shift)), -1, dtype=np.int32)
        self.slots[marks] = np.arange(count, dtype=np.int32)
        left = np.flatnonzero(self.slots[marks] != np.arange(count))
        if len(left):
            self.rest_rows = left
            self.rest = Lookup([key[left] for key in self.keys], level + 1)

    def find(self, keys: Sequence[Any]) -> Any:
        """Return the row of each of the keys (int64), -1 where there is none."""
        if self.listed is not None:
            listed = self.listed
            asked = zip(*(key.tolist() for key in keys), strict=True)
            return np.array([listed.get(each, -1) for each in asked], dtype=np.int64)
        made = self.slots.take(self._marks(keys)).astype(np.int64)
        if not len(self.keys[0]):
            return made
        met = made >= 0
        same = met.copy()
        for own, asked in zip(self.keys, keys, strict=True):
            same &= own.take(made) == asked
        made[~same] = -1
        if self.rest is not None:
            again = np.flatnonzero(met & ~same)
            found = self.rest.find([key[again] for key in keys])
            made[again] = np.where(found >= 0, self.rest_rows[found], -1)
        return made

    def _marks(self, keys: Sequence[Any]) -> Any:
        # Another constant at each level: other keys share a slot.
        return (hashed([key + np.uint64(self.level) for key in keys]) >> self.shift).astype(np.int64)
