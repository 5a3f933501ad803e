# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which live entries change nothing, from the bottom up, so that all of them may be removed together (facts/policy.md section 6 item 11).

An entry is needed when it decides some packet that what is kept below would decide otherwise. Sample packets, taken where it meets
entries of the other action, show that for nearly all needed ones; an entry below which only its own action comes needs no
further proof; the rest is settled by small diagrams of the entries that meet it. Exact for all packets.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets import nodes as nd
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.layout import layout_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import FirstMatchList, Packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.sampling import Rows, bit_mask, first_bits
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.witness import ordinary_values

np = guarded("numpy")

_RANDOM_POINTS = 8
_MEETINGS = 96  # entries of the other action of which the meeting with an entry is sampled
_FRESH_NODES = 200_000  # a table of this size is left behind
_TAKEN = nd.REFUSED


@dataclass(frozen=True)
class Removable:
    """An entry that changes nothing: ``covering`` decide its packets instead (``len(entries)``: the default), ``witness`` is one."""

    index: int
    covering: tuple[int, ...]
    witness: Packet | None


class RemovableSearch:
    """The search in one list without conditions."""

    def __init__(self, source: FirstMatchList, skip: Iterable[int], rows: Rows | None = None) -> None:
        self.source = source
        self.rows = rows or Rows(source)
        gone = np.zeros(len(source.entries) + 1, dtype=bool)
        gone[list(skip)] = True
        self._gone = gone
        self.kept = ~gone[self.rows.entry]
        self.permit = np.array([entry.permit for entry in source.entries] or [False], dtype=bool)[self.rows.entry]
        self._begin = self.rows.begin
        self._mask = bit_mask(self.kept, self.rows.words)
        self._generator = np.random.default_rng(1)
        self._layout = layout_of(self.rows.boxes).quick(self.rows.boxes)
        self._nodes = nd.Nodes(self._layout)

    def find(self) -> list[Removable]:
        """Return the removable entries, the lowest first. The last entry is none where it only repeats the default."""
        found = []
        last = len(self.source.entries) - 1
        for index in range(last, -1, -1):
            if self._gone[index] or not self._changes_nothing(index):
                continue
            item = self._certified(index)
            if index == last and item.covering == (last + 1,):
                continue  # the default written out: good practice, not a fault
            self._remove(index)
            found.append(item)
        return found

    def alone(self) -> list[int]:
        """Return the entries of which each could go alone; together they often cannot, since two may stand in for each other."""
        return [
            index for index in range(len(self.source.entries)) if not self._gone[index] and self._changes_nothing(index)
        ]

    def _remove(self, index: int) -> None:
        self._gone[index] = True
        begin, end = self._begin[index], self._begin[index + 1]
        self.kept[begin:end] = False
        for row in range(begin, end):
            self._mask[row >> 6] &= ~(np.uint64(1) << np.uint64(row & 63))

    def _changes_nothing(self, index: int) -> bool:
        permit = self.source.entries[index].permit
        end = self._begin[index + 1]
        below = self.kept.copy()
        below[:end] = False
        open_rows = []
        for row in range(self._begin[index], end):
            met = self.rows.overlapping(row, below)
            opposite = met[self.permit[met] != permit]
            if self._is_refuted(index, row, permit, opposite):
                return False
            if len(opposite) or self.source.default_permit != permit:
                same = met[self.permit[met] == permit]
                covers = self.rows.covering(row, same)
                if not covers or (len(opposite) and opposite[0] < covers[0]):
                    open_rows.append((row, met))
        return all(self._settled(row, permit, met) for row, met in open_rows)

    def _is_refuted(self, index: int, row: int, permit: bool, opposite: Any) -> bool:
        """Return whether a sample shows a packet that the entry decides and the rest would decide otherwise."""
        rows = self.rows
        groups = []
        if self.source.default_permit != permit:
            groups.append(rows.random_points(self._generator, np.array([row]), _RANDOM_POINTS))
        if len(opposite):
            chosen = opposite[:_MEETINGS]
            low = np.maximum(rows.low[:, [row]], rows.low[:, chosen])
            high = np.minimum(rows.high[:, [row]], rows.high[:, chosen])
            mixed = np.where(self._generator.random(low.shape) < 0.5, low, high)
            groups.append(np.concatenate([low, high, mixed], axis=1))
        return any(self._shows_need(index, permit, points) for points in groups)

    def _shows_need(self, index: int, permit: bool, points: Any) -> bool:
        rows = self.rows
        match = rows.matching(points) & self._mask
        begin, end = self._begin[index], self._begin[index + 1]
        first = first_bits(match, rows.count)
        match = match[(first >= begin) & (first < end)]
        if not len(match):
            return False
        for row in range(begin, end):
            match[:, row >> 6] &= ~(np.uint64(1) << np.uint64(row & 63))
        following = first_bits(match, rows.count)
        verdicts = np.append(self.permit, self.source.default_permit)[following]
        return bool((verdicts != permit).any())

    def _settled(self, row: int, permit: bool, met: Any) -> bool:
        """Return, by a diagram, whether the packets of a row that reach it would all be decided the same below."""
        nodes = self._fresh_nodes()
        found = set(nodes.reachable(self._without_entry(nodes, row, met)))
        ends = {nd.FIRST_ENTRY - end for end in found if end <= nd.FIRST_ENTRY}
        return all(self._action(index) == permit for index in ends)

    def _action(self, index: int) -> bool:
        entries = self.source.entries
        return entries[index].permit if index < len(entries) else self.source.default_permit

    def _without_entry(self, nodes: nd.Nodes, row: int, met: Any) -> int:
        """Return which kept entry below decides the packets of a row that no earlier entry matches; those others are _TAKEN."""
        rows, box = self.rows, self.rows.boxes[row]
        before = rows.overlapping(row, self.kept[: self._begin[rows.entry[row]]])
        taken = dict.fromkeys(rows.boxes[other].intersect(box) for other in before.tolist())
        parts = [nodes.balanced([nodes.from_box(other, _TAKEN) for other in taken])]
        for other in met.tolist():
            theirs = rows.boxes[other]
            parts.append(nodes.from_box(theirs.intersect(box), nd.FIRST_ENTRY - int(rows.entry[other])))
            if theirs.covers(box):
                break
        parts.append(nodes.from_box(box, nd.FIRST_ENTRY - len(self.source.entries)))
        return nodes.balanced(parts)

    def _certified(self, index: int) -> Removable:
        """Return the entry with those that decide its packets once it is gone, and one of these packets."""
        nodes = self._fresh_nodes()
        end = self._begin[index + 1]
        below = self.kept.copy()
        below[:end] = False
        covering: set[int] = set()
        witness = None
        for row in range(self._begin[index], end):
            root = self._without_entry(nodes, row, self.rows.overlapping(row, below))
            takers = {nd.FIRST_ENTRY - each for each in nodes.reachable(root) if each <= nd.FIRST_ENTRY}
            if takers and witness is None:
                witness = Packet(*ordinary_values(nodes, root, lambda terminal: terminal <= nd.FIRST_ENTRY))
            covering |= takers
        return Removable(index, tuple(sorted(covering)), witness)

    def _fresh_nodes(self) -> nd.Nodes:
        if len(self._nodes.level) > _FRESH_NODES:
            self._nodes = nd.Nodes(self._layout)
        return self._nodes
