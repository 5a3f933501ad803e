# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses that a diagram tests in pieces of bits: how ranges and masks become nodes, and how a diagram gets more cuts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet, Pair
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.layout import Layout

NOTHING = -1  # the terminal outside of everything

if TYPE_CHECKING:
    from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.nodes import Nodes


def in_pieces(
    nodes: Nodes, levels: Sequence[int], pairs: Sequence[Pair], child: int, allowed: Sequence[Sequence[Pair]] = ()
) -> int:
    """Return the test of a field that is cut into levels: the ranges, and of each level only what is ``allowed``."""
    if len(pairs) == 1 and not allowed:
        found = _one_range(nodes, levels, *pairs[0], child)
        if found is not None:
            return found
    if len(levels) == 1:
        inside = IntervalSet(tuple(pairs))
        return nodes.test(
            levels[0], inside.intersect(IntervalSet(tuple(allowed[0]))).pairs if allowed else inside.pairs, child
        )
    width = sum(nodes.layout.levels[level].maximum.bit_length() for level in levels[1:])
    rest = (1 << width) - 1
    parts: dict[int, list[Pair]] = {}  # digit: ranges of the lower levels
    whole: list[Pair] = []
    for low, high in pairs:
        first, last = low >> width, high >> width
        if first == last and (low & rest, high & rest) != (0, rest):
            parts.setdefault(first, []).append((low & rest, high & rest))
            continue
        if low & rest:
            parts.setdefault(first, []).append((low & rest, rest))
            first += 1
        if high & rest != rest:
            parts.setdefault(last, []).append((0, high & rest))
            last -= 1
        if first <= last:
            whole.append((first, last))
    below = allowed[1:]
    pieces: list[tuple[Pair, int]] = []
    if whole:
        full = in_pieces(nodes, levels[1:], [(0, rest)], child, below)
        pieces += [(pair, full) for pair in whole]
    for digit, inner in parts.items():
        pieces.append(((digit, digit), in_pieces(nodes, levels[1:], inner, child, below)))
    if allowed:
        left = IntervalSet(tuple(allowed[0]))
        pieces = [(p, end) for pair, end in pieces for p in left.intersect(IntervalSet((pair,))).pairs]
    return by_ranges(nodes, levels[0], pieces)


def _one_range(nodes: Nodes, levels: Sequence[int], low: int, high: int, child: int) -> int | None:
    """Return the test of a range of which at most one level is not a single value or all of them, such as a prefix; else None."""
    for level in reversed(levels):
        _field, _shift, maximum = nodes.layout.levels[level]
        width = maximum.bit_length()
        if low >> width == high >> width or level == levels[0]:
            child = nodes.one_range(
                level, low & maximum, min(high, maximum) if level == levels[0] else high & maximum, child
            )
        elif low & maximum or high & maximum != maximum:
            return None
        low, high = low >> width, high >> width
    return child


def by_ranges(nodes: Nodes, level: int, pieces: Iterable[tuple[Pair, int]]) -> int:
    """Return the node that leads from disjoint ranges to children, from everywhere else to NOTHING."""
    maximum = nodes.layout.levels[level].maximum
    bounds: list[int] = []
    children: list[int] = []
    at = 0
    for (low, high), child in sorted(pieces):
        if low > at:
            bounds.append(low - 1)
            children.append(NOTHING)
        bounds.append(high)
        children.append(child)
        at = high + 1
    if at <= maximum:
        bounds.append(maximum)
        children.append(NOTHING)
    return nodes.node(level, bounds, children)


def refined(nodes: Nodes, layout: Layout) -> tuple[Nodes, Callable[[int], int]]:
    """Return a new table with more cuts in the same order, and what gives the same diagram there; terminals stay as they are."""
    new = type(nodes)(layout)
    new.chains, new.chain_numbers = nodes.chains, nodes.chain_numbers
    memory: dict[int, int] = {}

    def moved(node: int) -> int:
        if node < 0:
            return node
        found = memory.get(node)
        if found is None:
            field, shift, maximum = nodes.layout.levels[nodes.level[node]]
            bits = range(shift, shift + maximum.bit_length())
            levels = [each for each in layout.of_field[field] if layout.levels[each].shift in bits]
            groups: dict[int, list[Pair]] = {}
            for low, high, child in nodes.ranges(node):
                groups.setdefault(child, []).append((low, high))
            parts = [in_pieces(new, levels, pairs, moved(child)) for child, pairs in groups.items()]
            found = memory[node] = new.balanced(parts)
        return found

    return new, moved
