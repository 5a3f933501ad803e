# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which live entries change nothing, from the bottom up, so that all of them may be removed together (facts/policy.md section 6 item 11).

Where conditions stand, an entry changes nothing if that is so whatever they say: samples are taken under some of the ways they can
turn out, what is left is settled by diagrams with chains.

An entry is needed when it decides some packet that what is kept below would decide otherwise. Sample packets, taken where it meets
entries of the other action, show that for nearly all needed ones; an entry below which only its own action comes needs no
further proof; the rest is settled by small diagrams of the entries that meet it. Exact for all packets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets import nodes as nd
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.building import end_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.layout import layout_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import FirstMatchList, Packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.sampling import Rows, bit_mask, first_bits
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.witness import ordinary_values

np = guarded("numpy")

_RANDOM_POINTS = 8
_MEETINGS = 96  # entries of the other action of which the meeting with an entry is sampled
_WAYS = 4  # in which conditions turn out by chance, besides all and none
_FRESH_NODES = 200_000  # a table of this size is left behind
_TAKEN = nd.REFUSED


@dataclass(frozen=True)
class Removable:
    """An entry that changes nothing: ``covering`` decide its packets instead (``len(entries)``: the default), ``witness`` is one."""

    index: int
    covering: tuple[int, ...]
    witness: Packet | None


class RemovableSearch:
    """The search in one list; ``skip``: indices taken as removed already (the dead ones)."""

    def __init__(self, source: FirstMatchList, skip: Iterable[int], rows: Rows | None = None) -> None:
        self.source = source
        self.rows = rows or Rows(source)
        gone = np.zeros(len(source.entries) + 1, dtype=bool)
        gone[[index for index in skip if index < source.written]] = True
        self._gone = gone
        self.kept = ~gone[self.rows.entry]
        self.permit = np.array([entry.permit for entry in source.entries] or [False], dtype=bool)[self.rows.entry]
        self._begin = self.rows.begin
        self._mask = bit_mask(self.kept, self.rows.words)
        self._generator = np.random.default_rng(1)
        texts = {text: place for place, text in enumerate(dict.fromkeys(entry.condition for entry in source.entries))}
        self._condition = np.array([texts[entry.condition] for entry in source.entries] or [0])[self.rows.entry]
        self._conditions = max(1, len(texts))
        self._always = texts.get("", -1)
        self._ways: dict[int, list[Any]] = {}
        self._layout = layout_of(self.rows.boxes).quick(self.rows.boxes)
        self._nodes = nd.Nodes(self._layout)

    def find(self) -> list[Removable]:
        """Return the removable entries, the lowest first. The last entry is none where it only repeats the default."""
        found = []
        last = self.source.written - 1
        for index in range(last, -1, -1):
            if self._gone[index] or not self._changes_nothing(index):
                continue
            item = self._certified(index)
            written_out = index == last and not self.source.entries[last].condition
            if written_out and min(item.covering, default=last) > last:
                continue  # what holds anyhow written out: good practice, not a fault
            self._remove(index)
            found.append(item)
        return found

    def alone(self) -> list[int]:
        """Return the entries of which each could go alone; together they often cannot, since two may stand in for each other."""
        return [index for index in range(self.source.written) if not self._gone[index] and self._changes_nothing(index)]

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
                same = met[(self.permit[met] == permit) & self._surely(met, row)]
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
        kept = rows.matching(points) & self._mask
        begin, end = self._begin[index], self._begin[index + 1]
        for way in self._ways_of(begin) if begin < end else ():
            match = kept if way is None else kept & way
            first = first_bits(match, rows.count)
            match = match[(first >= begin) & (first < end)]
            if not len(match):
                continue
            for row in range(begin, end):
                match[:, row >> 6] &= ~(np.uint64(1) << np.uint64(row & 63))
            following = first_bits(match, rows.count)
            verdicts = np.append(self.permit, self.source.default_permit)[following]
            if (verdicts != permit).any():
                return True
        return False

    def _ways_of(self, row: int) -> list[Any]:
        """Return bit sets of the rows that count in some of the ways in which conditions can turn out, that of a row holding."""
        own = int(self._condition[row])
        ways = self._ways.get(own)
        if ways is None:
            total = self._conditions
            held = [np.zeros(total, dtype=bool), np.ones(total, dtype=bool)]
            held += [self._generator.random(total) < 0.5 for _way in range(_WAYS)]
            for each in held:
                each[own] = True
                if self._always >= 0:
                    each[self._always] = True
            ways = [bit_mask(each[self._condition], self.rows.words) for each in held] if total > 1 else [None]
            self._ways[own] = ways
        return ways

    def _surely(self, others: Any, row: int) -> Any:
        """Return which of the rows match whenever the condition of a row holds."""
        return (self._condition[others] == self._always) | (self._condition[others] == self._condition[row])

    def _settled(self, row: int, permit: bool, met: Any) -> bool:
        """Return, by a diagram, whether the packets of a row that reach it would all be decided the same below."""
        nodes = self._fresh_nodes()
        before = self._before(row)
        if self._depends(row, before, met):
            actions = [
                self._ordered(nodes, row, rows, self._verdict_end) for rows in ([*before, row, *met], [*before, *met])
            ]
            return actions[0] == actions[1]
        found = set(nodes.reachable(self._without_entry(nodes, row, met)))
        ends = {nd.FIRST_ENTRY - end for end in found if end <= nd.FIRST_ENTRY}
        return all(self._action(index) == permit for index in ends)

    def _action(self, index: int) -> bool:
        entries = self.source.entries
        return entries[index].permit if index < len(entries) else self.source.default_permit

    def _without_entry(self, nodes: nd.Nodes, row: int, met: Any) -> int:
        """Return which kept entry below decides the packets of a row that no earlier entry matches; those others are _TAKEN."""
        rows, box = self.rows, self.rows.boxes[row]
        taken = dict.fromkeys(rows.boxes[other].intersect(box) for other in self._before(row))
        parts = [nodes.balanced([nodes.from_box(other, _TAKEN) for other in taken])]
        for other in met.tolist():
            theirs = rows.boxes[other]
            parts.append(nodes.from_box(theirs.intersect(box), nd.FIRST_ENTRY - int(rows.entry[other])))
            if theirs.covers(box):
                break
        parts.append(nodes.from_box(box, nd.FIRST_ENTRY - len(self.source.entries)))
        return nodes.balanced(parts)

    def _before(self, row: int) -> list[int]:
        """Return the kept rows of earlier entries that meet a row."""
        found: list[int] = self.rows.overlapping(row, self.kept[: self._begin[self.rows.entry[row]]]).tolist()
        return found

    def _depends(self, row: int, before: Any, met: Any) -> bool:
        """Return whether conditions are about."""
        return any((self._condition[list(some)] != self._always).any() for some in ([row], before, met) if len(some))

    def _ordered(self, nodes: nd.Nodes, row: int, rows: Iterable[int], end: Callable[[nd.Nodes, int], int]) -> int:
        """Return what rows, in order, and then the default do with the packets of a row; ``end`` gives the terminal of an entry."""
        box = self.rows.boxes[row]
        parts = []
        for other in rows:
            theirs = self.rows.boxes[other]
            index = int(self.rows.entry[other])
            parts.append(
                nodes.from_box(
                    theirs.intersect(box), end_of(nodes, self.source.entries[index].condition, end(nodes, index))
                )
            )
        parts.append(nodes.from_box(box, end(nodes, len(self.source.entries))))
        return nodes.balanced(parts)

    def _verdict_end(self, _nodes: nd.Nodes, index: int) -> int:
        return nd.MEMBER if self._action(index) else nd.REFUSED

    def _takers(self, nodes: nd.Nodes, row: int, met: Any) -> tuple[set[int], Packet | None]:
        """Return the entries that may decide packets of a row instead, and one of these packets, where conditions are about."""
        index = int(self.rows.entry[row])
        before = self._before(row)

        def end(_nodes: nd.Nodes, entry: int) -> int:
            return nd.FIRST_ENTRY - entry

        whole = self._ordered(nodes, row, [*before, row, *met], end)
        own = nodes.members(nd.MEMBER, whole, lambda found: nd.FIRST_ENTRY - index in nodes.outcomes(found))
        if own == nd.NOTHING:
            return set(), None
        rest = self._ordered(nodes, row, [*before, *met], end)
        ends = {outcome for found in nodes.ends_within(rest, own) for outcome in nodes.outcomes(found)}
        takers = {nd.FIRST_ENTRY - outcome for outcome in ends if outcome <= nd.FIRST_ENTRY}
        return {taker for taker in takers if taker > index}, Packet(*ordinary_values(nodes, own))

    def _certified(self, index: int) -> Removable:
        """Return the entry with those that decide its packets once it is gone, and one of these packets."""
        nodes = self._fresh_nodes()
        end = self._begin[index + 1]
        below = self.kept.copy()
        below[:end] = False
        covering: set[int] = set()
        witness = None
        for row in range(self._begin[index], end):
            met = self.rows.overlapping(row, below)
            if self._depends(row, self._before(row), met):
                takers, shown = self._takers(nodes, row, met.tolist())
                covering |= takers
                witness = witness or shown
                continue
            root = self._without_entry(nodes, row, met)
            takers = {nd.FIRST_ENTRY - each for each in nodes.reachable(root) if each <= nd.FIRST_ENTRY}
            if takers and witness is None:
                witness = Packet(*ordinary_values(nodes, root, lambda terminal: terminal <= nd.FIRST_ENTRY))
            covering |= takers
        return Removable(index, tuple(sorted(covering)), witness)

    def _fresh_nodes(self) -> nd.Nodes:
        if len(self._nodes.level) > _FRESH_NODES:
            self._nodes = nd.Nodes(self._layout)
        return self._nodes
