# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes of an interval decision diagram, shared in a unique table: equal meaning is equal number.

A node tests one field: ``bounds`` are the inclusive upper ends of consecutive value ranges (the last is the field's maximum),
``children`` what each range leads to. Neighbours with the same child are merged, a node with one child is that child.
Terminals are negative numbers, inner nodes count from 0.

A terminal may be a *chain*: pairs (condition, outcome) tried in order, then a tail. An entry whose match depends on a condition that
no field holds is an open chain (tail NOTHING), which ``first`` continues with what follows it. Chains are canonical for independent
conditions: of a repeated condition the first counts, neighbours with the same outcome are sorted, conditions at the end whose
outcome is the tail's are dropped. So lists that agree whatever the conditions say have the same diagram.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets import placing
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import Pair
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.layout import ORDER, PLAIN, Layout
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.masks import MaskedSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Box

NOTHING = placing.NOTHING  # not in the set; in a list: no entry decided
MEMBER = -2  # in the set; in a list: permitted
REFUSED = -3  # in a list: denied
FIRST_ENTRY = -10  # terminal of entry i is FIRST_ENTRY - i
FIRST_CHAIN = -(1 << 40)  # chain k is FIRST_CHAIN - k
DIFFERENT = 1 << 62  # no node and no terminal
DEPTH = 1 << 10  # below every level

Chain = tuple[tuple[tuple[str, int], ...], int]


class Nodes:
    """The unique table of one job, with the memory of every operation. Not for use by several threads at once."""

    def __init__(self, layout: Layout = PLAIN) -> None:
        self.layout = layout
        self.field = tuple(level.field for level in layout.levels)
        self.level: list[int] = []
        self.bounds: list[tuple[int, ...]] = []
        self.children: list[tuple[int, ...]] = []
        self._unique: dict[tuple[int, tuple[int, ...], tuple[int, ...]], int] = {}
        self._first: dict[tuple[int, int], int] = {}
        self._both: dict[tuple[int, int], int] = {}
        self._without: dict[tuple[int, int], int] = {}
        self._differing: dict[tuple[int, int], int] = {}
        self.chains: list[Chain] = []
        self.chain_numbers: dict[Chain, int] = {}

    def copy(self) -> Nodes:
        """Return a table with the same nodes under the same numbers, and no memory of operations."""
        made = Nodes(self.layout)
        made.level, made.bounds, made.children = self.level.copy(), self.bounds.copy(), self.children.copy()
        made._unique = self._unique.copy()
        made.chains, made.chain_numbers = self.chains.copy(), self.chain_numbers.copy()
        return made

    def node(self, level: int, bounds: Iterable[int], children: Iterable[int]) -> int:
        """Return the node for the ranges, merged and shared."""
        merged_bounds: list[int] = []
        merged: list[int] = []
        last = DIFFERENT
        for bound, child in zip(bounds, children, strict=True):
            if child == last:
                merged_bounds[-1] = bound
            else:
                merged_bounds.append(bound)
                merged.append(child)
                last = child
        return merged[0] if len(merged) == 1 else self._shared(level, merged_bounds, merged)

    def _shared(self, level: int, bounds: list[int], children: list[int]) -> int:
        """Return the one node of these ranges, whose neighbours differ."""
        key = (level, tuple(bounds), tuple(children))
        found = self._unique.get(key)
        if found is None:
            found = len(self.level)
            self._unique[key] = found
            self.level.append(level)
            self.bounds.append(key[1])
            self.children.append(key[2])
        return found

    def from_box(self, box: Box, terminal: int = MEMBER) -> int:
        """Return the diagram that leads to ``terminal`` inside the box and to NOTHING outside.

        FindingError SW1104 for an address set with a mask that the layout cannot hold.
        """
        child = terminal
        sets = box.sets()
        for field in reversed(ORDER):
            levels = self.layout.of_field[field]
            values = sets[field]
            if len(levels) == 1:
                child = self.test(levels[0], values.pairs, child)
            elif isinstance(values, MaskedSet):
                pieces = [self.layout.piece(values, level).pairs for level in levels]
                child = placing.in_pieces(self, levels, values.within, child, pieces)
            else:
                child = placing.in_pieces(self, levels, values.pairs, child)
            if child == NOTHING:
                return NOTHING
        return child

    def one_range(self, level: int, low: int, high: int, child: int) -> int:
        """Return the node that leads from one range of a level to the child, from elsewhere to NOTHING."""
        maximum = self.layout.levels[level].maximum
        if child == NOTHING or low > maximum:
            return NOTHING
        if high >= maximum:
            return self._shared(level, [low - 1, maximum], [NOTHING, child]) if low else child
        if low:
            return self._shared(level, [low - 1, high, maximum], [NOTHING, child, NOTHING])
        return self._shared(level, [high, maximum], [child, NOTHING])

    def test(self, level: int, pairs: Sequence[Pair], child: int) -> int:
        """Return the node that leads from sorted, disjoint ranges of a level to the child, from elsewhere to NOTHING."""
        maximum = self.layout.levels[level].maximum
        if len(pairs) == 1:
            return self.one_range(level, *pairs[0], child)
        bounds: list[int] = []
        children: list[int] = []
        at = 0
        for low, high in pairs:
            if low > maximum:
                break
            if low > at:
                bounds.append(low - 1)
                children.append(NOTHING)
            bounds.append(min(high, maximum))
            children.append(child)
            at = high + 1
        if at <= maximum:
            bounds.append(maximum)
            children.append(NOTHING)
        return self.node(level, bounds, children)

    def first(self, a: int, b: int) -> int:
        """Return what ``a`` decides, and where it decides nothing, what ``b`` does (union, for sets)."""
        if a < 0:
            if a == NOTHING:
                return b
            if a > FIRST_CHAIN or b == NOTHING or a == b or self.chain_of(a)[1] != NOTHING:
                return a
            if b < 0:
                return self._continued(a, b)
        elif b == NOTHING or a == b:
            return a
        found = self._first.get((a, b))
        if found is None:
            level_a = self.level[a] if a >= 0 else DEPTH
            level_b = self.level[b] if b >= 0 else DEPTH
            if level_a < level_b:
                found = self.node(level_a, self.bounds[a], [self.first(child, b) for child in self.children[a]])
            elif level_b < level_a:
                found = self.node(level_b, self.bounds[b], [self.first(a, child) for child in self.children[b]])
            else:
                found = self._first_together(a, b)
            self._first[a, b] = found
        return found

    def _first_together(self, a: int, b: int) -> int:
        """Return ``first`` of two nodes of one level: nearly all time of a build is spent here, so the easy cases stand inline."""
        bounds_a, children_a = self.bounds[a], self.children[a]
        bounds_b, children_b = self.bounds[b], self.children[b]
        memory = self._first
        bounds: list[int] = []
        children: list[int] = []
        i = j = 0
        end_a, end_b, x, y = bounds_a[0], bounds_b[0], children_a[0], children_b[0]
        last = DIFFERENT
        top = bounds_a[-1]
        while True:
            if x == y or y == NOTHING or FIRST_CHAIN < x < NOTHING:
                child = x
            elif x == NOTHING:
                child = y
            else:
                known = memory.get((x, y))
                child = self.first(x, y) if known is None else known
            end = end_a if end_a < end_b else end_b
            if child == last:
                bounds[-1] = end
            else:
                bounds.append(end)
                children.append(child)
                last = child
            if end == top:
                break
            if end == end_a:
                i += 1
                end_a, x = bounds_a[i], children_a[i]
            if end == end_b:
                j += 1
                end_b, y = bounds_b[j], children_b[j]
        return last if len(children) == 1 else self._shared(self.level[a], bounds, children)

    def chain(self, pairs: Iterable[tuple[str, int]], tail: int = NOTHING) -> int:
        """Return the terminal of (condition, outcome) pairs and what holds where no condition does; outcomes are no chains."""
        seen: dict[str, int] = {}
        for condition, outcome in pairs:
            seen.setdefault(condition, outcome)
        kept = list(seen.items())
        while kept and kept[-1][1] == tail:
            kept.pop()
        if not kept:
            return tail
        ordered = [pair for _outcome, run in groupby(kept, lambda pair: pair[1]) for pair in sorted(run)]
        key = (tuple(ordered), tail)
        found = self.chain_numbers.get(key)
        if found is None:
            found = self.chain_numbers[key] = FIRST_CHAIN - len(self.chains)
            self.chains.append(key)
        return found

    def chain_of(self, terminal: int) -> Chain:
        """Return the pairs and the tail of a terminal; one that is no chain has no pairs."""
        return self.chains[FIRST_CHAIN - terminal] if terminal <= FIRST_CHAIN else ((), terminal)

    def outcomes(self, terminal: int) -> tuple[int, ...]:
        """Return every outcome that a terminal may have, in the order of its chain."""
        pairs, tail = self.chain_of(terminal)
        return tuple(dict.fromkeys((*(outcome for _condition, outcome in pairs), tail)))

    def _continued(self, a: int, b: int) -> int:
        pairs, tail = self.chain_of(b)
        return self.chain((*self.chain_of(a)[0], *pairs), tail)

    def differing(self, a: int, b: int) -> int:
        """Return the set in which two diagrams have different terminals."""
        if a == b:
            return NOTHING
        if a < 0 and b < 0:
            return MEMBER
        return self._apply(a, b, self._differing, self.differing)

    def both(self, a: int, b: int) -> int:
        """Return ``b`` where ``a`` is a member, NOTHING elsewhere (intersection, for sets). ``a`` is a set."""
        if a == NOTHING or b == NOTHING:
            return NOTHING
        if a == MEMBER:
            return b
        if a == b:
            return a
        return self._apply(a, b, self._both, self.both)

    def without(self, a: int, b: int) -> int:
        """Return ``a`` where ``b`` decides nothing, NOTHING elsewhere (difference, for sets)."""
        if a in (NOTHING, b):
            return NOTHING
        if b < 0:
            return a if b == NOTHING else NOTHING
        return self._apply(a, b, self._without, self.without)

    def _apply(self, a: int, b: int, memory: dict[tuple[int, int], int], operation: Callable[[int, int], int]) -> int:
        """Walk two diagrams together, of which at least one is an inner node."""
        key = (a, b)
        found = memory.get(key)
        if found is not None:
            return found
        level_a = self.level[a] if a >= 0 else DEPTH
        level_b = self.level[b] if b >= 0 else DEPTH
        if level_a < level_b:
            level, bounds = level_a, self.bounds[a]
            children = [operation(child, b) for child in self.children[a]]
        elif level_b < level_a:
            level, bounds = level_b, self.bounds[b]
            children = [operation(a, child) for child in self.children[b]]
        else:
            level = level_a
            bounds, children = self._together(a, b, operation)
        result = self.node(level, bounds, children)
        memory[key] = result
        return result

    def _together(self, a: int, b: int, operation: Callable[[int, int], int]) -> tuple[tuple[int, ...], list[int]]:
        bounds_a, children_a = self.bounds[a], self.children[a]
        bounds_b, children_b = self.bounds[b], self.children[b]
        bounds: list[int] = []
        children: list[int] = []
        i = j = 0
        last = len(bounds_a)
        while i < last:
            children.append(operation(children_a[i], children_b[j]))
            end_a, end_b = bounds_a[i], bounds_b[j]
            if end_a < end_b:
                bounds.append(end_a)
                i += 1
            elif end_b < end_a:
                bounds.append(end_b)
                j += 1
            else:
                bounds.append(end_a)
                i += 1
                j += 1
        return tuple(bounds), children

    def members(self, region: int, root: int, wanted: Callable[[int], bool]) -> int:
        """Return the set of what in a region, a set, leads to wanted terminals."""
        memory: dict[tuple[int, int], int] = {}

        def walk(inside: int, node: int) -> int:
            if inside == NOTHING:
                return NOTHING
            if node < 0:
                return inside if wanted(node) else NOTHING
            if inside < 0:
                found = memory.get((inside, node))
                if found is None:
                    children = [walk(inside, child) for child in self.children[node]]
                    found = memory[inside, node] = self.node(self.level[node], self.bounds[node], children)
                return found
            return self._apply(inside, node, memory, walk)

        return walk(region, root)

    def reachable(self, root: int) -> Iterator[int]:
        """Yield every node and terminal below the root once, the root included."""
        seen = {root}
        stack = [root]
        while stack:
            node = stack.pop()
            yield node
            if node >= 0:
                for child in self.children[node]:
                    if child not in seen:
                        seen.add(child)
                        stack.append(child)

    def ranges(self, node: int) -> Iterator[tuple[int, int, int]]:
        """Yield (low, high, child) of an inner node."""
        low = 0
        for bound, child in zip(self.bounds[node], self.children[node], strict=True):
            yield low, bound, child
            low = bound + 1

    def branches(self, node: int, region: int, level: int) -> Iterator[tuple[int, int, int, int]]:
        """Yield (low, high, child, child of the region) of a level for values inside a set; neither tests a level above."""
        tests = node >= 0 and self.level[node] == level
        if region < 0 or self.level[region] != level:
            ranges = self.ranges(node) if tests else [(0, self.layout.levels[level].maximum, node)]
            for low, high, child in ranges:
                yield low, high, child, region
            return
        for low, high, inner in self.ranges(region):
            if inner == NOTHING:
                continue
            if not tests:
                yield low, high, node, inner
                continue
            bounds, children = self.bounds[node], self.children[node]
            place = bisect_left(bounds, low)
            while low <= high:
                yield low, min(high, bounds[place]), children[place], inner
                low = bounds[place] + 1
                place += 1

    def ends_within(self, root: int, region: int) -> set[int]:
        """Return the terminals that packets of a set lead to; much cheaper than the diagram of the intersection."""
        seen = {(root, region)}
        stack = [(root, region)]
        while stack:
            node, inside = stack.pop()
            if node < 0:
                continue
            bounds, children = self.bounds[node], self.children[node]
            new: set[tuple[int, int]] = set()
            if inside < 0 or self.level[inside] > self.level[node]:
                new = {(child, inside) for child in children}
            else:
                tests = self.level[inside] == self.level[node]
                for low, high, inner in self.ranges(inside):
                    if inner != NOTHING and tests:
                        first = bisect_left(bounds, low)
                        new.update([(child, inner) for child in children[first : bisect_left(bounds, high, first) + 1]])
                    elif inner != NOTHING:
                        new.add((node, inner))
            new -= seen
            seen |= new
            stack += new
        return {node for node, _inside in seen if node < 0}

    def balanced(self, parts: list[int]) -> int:
        """Return ``first`` over the parts in order, as a balanced tree (3 to 7 times faster, facts/policy.md section 5 b1)."""
        if not parts:
            return NOTHING
        while len(parts) > 1:
            pairs = [self.first(parts[i], parts[i + 1]) for i in range(0, len(parts) - 1, 2)]
            if len(parts) % 2:
                pairs.append(parts[-1])
            parts = pairs
        return parts[0]
