# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same lists on binary decision diagrams of oxidd: the other engine for tests and measurements. IPv4 only."""

from __future__ import annotations

from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import prefixes
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.masks import MaskedSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Box, FirstMatchList

# Bits of each field; destination and source hold IPv4 addresses.
BITS = {
    "protocol": 9,
    "detail": 16,
    "fragment": 1,
    "destination": 32,
    "source": 32,
    "destination_port": 16,
    "source_port": 16,
}
NODES = 1 << 24  # at most; memory is taken as they come
TESTED = tuple(BITS)  # the lists compared see no tags


class BddLists:
    """One manager. Sets of packets are functions over 122 variables, most significant bit of each field first."""

    def __init__(self) -> None:
        from oxidd import bdd

        self.manager = bdd.BDDManager(NODES, 1 << 22, 1)
        self.manager.add_vars(sum(BITS.values()))
        self.variables: dict[str, list[tuple[Any, Any]]] = {}
        at = 0
        for name in TESTED:
            wanted = range(at, at + BITS[name])
            self.variables[name] = [(self.manager.var(i), self.manager.not_var(i)) for i in wanted]
            at += BITS[name]
        self.false, self.true = self.manager.false(), self.manager.true()

    def box(self, box: Box) -> Any:
        """Return the packets of a box."""
        result = self.true
        for name, values in reversed(list(zip(TESTED, box.sets(), strict=False))):
            width = BITS[name]
            if isinstance(values, MaskedSet):
                result = self._masked(name, values) & result
            ranges = values.within if isinstance(values, MaskedSet) else values.pairs
            top = (1 << width) - 1
            pairs = [(low, min(high, top)) for low, high in ranges if low <= top]
            if pairs == [(0, top)]:
                continue
            here = self.false
            for low, length in prefixes(pairs, width):
                block = self.true
                for place in range(length - 1, -1, -1):
                    positive, negative = self.variables[name][place]
                    block = (positive if low >> (width - 1 - place) & 1 else negative) & block
                here = here | block
            result = here & result
        return result

    def _masked(self, name: str, values: MaskedSet) -> Any:
        """Return the addresses of a mask, bit by bit; the ranges in which they lie are for the caller."""
        width = BITS[name]
        found = self.true
        for place in range(width - 1, -1, -1):
            bit = 1 << (width - 1 - place)
            if values.care & bit:
                found = self.variables[name][place][0 if values.value & bit else 1] & found
        return found

    def permitted(self, source: FirstMatchList) -> Any:
        """Return what a list permits, by a balanced tree of (permitted, decided) pairs."""
        parts: list[tuple[Any, Any]] = []
        for entry in source.entries:
            decided = self.false
            for box in entry.boxes:
                decided = decided | self.box(box)
            parts.append((decided if entry.permit else self.false, decided))
        parts.append((self.true if source.default_permit else self.false, self.true))
        while len(parts) > 1:
            joined = []
            for i in range(0, len(parts) - 1, 2):
                (passed, decided), (below, more) = parts[i], parts[i + 1]
                joined.append((passed | (~decided & below), decided | more))
            if len(parts) % 2:
                joined.append(parts[-1])
            parts = joined
        return parts[0][0]

    def count(self, function: Any) -> int:
        """Return how many packets a function holds."""
        return int(function.sat_count(sum(BITS.values())))
