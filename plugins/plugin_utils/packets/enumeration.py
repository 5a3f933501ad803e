# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A packet set as few disjoint boxes.

Impossible packets (a UDP datagram with TCP flags) may be in a box or not, so they are used to join boxes: without that "all of
IPv4" would be told as one box per kind of protocol.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets import nodes as nd
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import (
    FIELD_MAXIMUM,
    IntervalSet,
    prefixes,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.layout import Layout, Level
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.masks import MaskedSet, masked, wildcard_set
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Box

RAW_BOXES = 2000  # so many boxes of a diagram are looked at, at least, before they are joined and cut
_EITHER = -4  # an impossible packet: counts as inside or outside, whatever joins more
_RANGES = 64  # of upper bits of an address that are told one by one, rather than by masks


class _Joined:
    """Builds, for a set, a diagram that agrees with it on possible packets and has fewer branches."""

    def __init__(self, nodes: nd.Nodes) -> None:
        self.nodes = nodes
        self._marked: dict[tuple[int, int], int] = {}
        self._agreed: dict[tuple[int, int], int | None] = {}
        self._joined: dict[int, int] = {}

    def marked(self, root: int, possible: int) -> int:
        """Return the set with _EITHER outside the possible packets."""
        if possible == nd.NOTHING:
            return _EITHER
        if possible == nd.MEMBER:
            return root
        key = (root, possible)
        found = self._marked.get(key)
        if found is None:
            found = self.nodes._apply(root, possible, self._marked, self.marked)
        return found

    def agreed(self, a: int, b: int) -> int | None:
        """Return a diagram that agrees with both wherever they care, None if they contradict each other."""
        if a == b or b == _EITHER:
            return a
        if a == _EITHER:
            return b
        if a < 0 and b < 0:
            return None
        key = (a, b) if a < b else (b, a)
        if key not in self._agreed:
            self._agreed[key] = self._agree(*key)
        return self._agreed[key]

    def _agree(self, a: int, b: int) -> int | None:
        nodes = self.nodes
        level = min(nodes.level[node] for node in (a, b) if node >= 0)
        ends = sorted({
            bound for node in (a, b) if node >= 0 and nodes.level[node] == level for bound in nodes.bounds[node]
        })  # fmt: skip
        children: list[int] = []
        for end in ends:
            child = self.agreed(self._child(a, level, end), self._child(b, level, end))
            if child is None:
                return None
            children.append(child)
        return nodes.node(level, ends, children)

    def _child(self, node: int, level: int, value: int) -> int:
        if node < 0 or self.nodes.level[node] != level:
            return node
        return next(child for _low, high, child in self.nodes.ranges(node) if value <= high)

    def joined(self, node: int) -> int:
        """Return the diagram with as many children of each node made equal as a greedy pass finds."""
        if node < 0:
            return node
        found = self._joined.get(node)
        if found is not None:
            return found
        children = list(self.nodes.children[node])
        if self.nodes.level[node] == 0:
            # Protocols without members stay apart, else "tcp to port 443" would list every protocol that has no ports.
            children = [child if nd.MEMBER in self.nodes.reachable(child) else nd.NOTHING for child in children]
        groups: list[int] = []
        member: dict[int, int] = {}
        for child in dict.fromkeys(children):
            for index, group in enumerate(groups):
                common = self.agreed(group, child)
                if common is not None:
                    groups[index] = common
                    member[child] = index
                    break
            else:
                member[child] = len(groups)
                groups.append(child)
        groups = [self.joined(group) for group in groups]
        result = self.nodes.node(self.nodes.level[node], self.nodes.bounds[node], [groups[member[c]] for c in children])
        self._joined[node] = result
        return result


def boxes_of(nodes: nd.Nodes, root: int, possible: int, limit: int | None = None) -> list[Box]:
    """Return disjoint boxes that hold exactly the set ``root`` on the possible packets, in a fixed order, at most ``limit``."""
    if root == nd.NOTHING or limit == 0:
        return []
    raw = _raw_boxes(nodes, root, possible, None if limit is None else max(RAW_BOXES, 8 * limit))
    return united(raw)[:limit]


def united(boxes: list[Box]) -> list[Box]:
    """Return boxes with the same union, joined while two differ in one field only; disjoint ones stay disjoint."""
    rows = [box.sets() for box in boxes]
    left = 0
    while len(rows) != left:
        left = len(rows)
        for field in range(len(FIELD_MAXIMUM)):
            groups: dict[tuple[IntervalSet, ...], list[IntervalSet]] = {}
            for row in rows:
                groups.setdefault(row[:field] + row[field + 1 :], []).append(row[field])
            rows = [(*rest[:field], values, *rest[field:]) for rest, found in groups.items() for values in _few(found)]
    return [Box(*row) for row in rows]


def _few(sets: list[IntervalSet]) -> list[IntervalSet]:
    """Return sets with the same union: one, but for sets with masks."""
    if len(sets) == 1:
        return sets
    plain = [pair for values in sets if not values.masked for pair in values.pairs]
    result = [IntervalSet.of(*plain)] if plain else []
    by_mask: dict[tuple[int, int], list[MaskedSet]] = {}
    for values in sets:
        if isinstance(values, MaskedSet):
            by_mask.setdefault((values.value, values.care), []).append(values)
    for (value, care), found in by_mask.items():
        result.append(masked(IntervalSet.of(*(pair for values in found for pair in values.within)).pairs, value, care))
    return result


def _whole_addresses(levels: Sequence[Level], digits: Sequence[IntervalSet]) -> list[IntervalSet]:
    """Return sets whose union is every combination of the pieces of an address, few where ranges or one mask can say it."""
    tests = [values.wildcard() for values in digits]
    if all(tests):  # one mask says it all
        base = sum(value << level.shift for level, (value, _loose) in zip(levels, filter(None, tests), strict=True))
        return [
            wildcard_set(base, sum(test[1] << level.shift for level, test in zip(levels, tests, strict=True) if test))
        ]
    upper = list(digits[0].pairs)
    place = 1
    while place < len(digits):
        width = levels[place].maximum.bit_length()
        pairs = digits[place].pairs
        if pairs == ((0, levels[place].maximum),):
            upper = [(low << width, high << width | levels[place].maximum) for low, high in upper]
        elif sum(high - low + 1 for low, high in upper) * len(pairs) <= _RANGES:
            upper = [
                (digit << width | low, digit << width | high)
                for first, last in upper
                for digit in range(first, last + 1)
                for low, high in pairs
            ]
        else:
            break
        place += 1
    rest = levels[place:]
    shift = sum(level.maximum.bit_length() for level in rest)
    within = IntervalSet.of(*((low << shift, high << shift | ((1 << shift) - 1)) for low, high in upper)).pairs
    blocks = []
    for at, level in enumerate(rest, place):
        bits, test = level.maximum.bit_length(), tests[at]
        known = (
            [(test[0], level.maximum ^ test[1])]
            if test
            else [(low, ((1 << length) - 1) << (bits - length)) for low, length in prefixes(digits[at].pairs, bits)]
        )
        blocks.append([(value << level.shift, care << level.shift) for value, care in known])
    return _few([
        masked(within, sum(value for value, _care in part), sum(care for _value, care in part))
        for part in product(*blocks)
    ])  # fmt: skip


def _boxes_of_pieces(layout: Layout, chosen: Sequence[IntervalSet]) -> list[Box]:
    fields = [
        _whole_addresses([layout.levels[level] for level in levels], [chosen[level] for level in levels])
        for levels in layout.of_field
    ]
    return [Box(*sets) for sets in product(*fields)]


def _raw_boxes(nodes: nd.Nodes, root: int, possible: int, limit: int | None) -> list[Box]:
    """Return the boxes as the diagram has them, at most ``limit``."""
    joiner = _Joined(nodes)
    top = joiner.joined(joiner.marked(root, possible))
    result: list[Box] = []
    layout = nodes.layout
    whole = [IntervalSet(((0, level.maximum),)) for level in layout.levels]
    chosen = list(whole)

    def walk(node: int, level: int) -> bool:
        """Append the boxes below the node; False when the limit is reached."""
        if node in (nd.NOTHING, _EITHER):
            return True
        if node < 0:
            if layout.is_plain:
                result.append(Box(*(chosen[levels[0]] for levels in layout.of_field)))
            else:
                result.extend(_boxes_of_pieces(layout, chosen))
            return limit is None or len(result) < limit
        here = nodes.level[node]
        groups: dict[int, list[tuple[int, int]]] = {}
        for low, high, child in nodes.ranges(node):
            groups.setdefault(child, []).append((low, high))
        for child, pairs in groups.items():
            chosen[here] = IntervalSet(tuple(pairs))
            if not walk(child, here + 1):
                chosen[here] = whole[here]
                return False
        chosen[here] = whole[here]
        return True

    walk(top, 0)
    return result
