# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A packet set as few disjoint boxes.

Impossible packets (a UDP datagram with TCP flags) may be in a box or not, so they are used to join boxes: without that "all of
IPv4" would be told as one box per kind of protocol.
"""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets import nodes as nd
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import FIELD_MAXIMUM, IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Box

RAW_BOXES = 2000  # so many boxes of a diagram are looked at, at least, before they are joined and cut
_EITHER = -4  # an impossible packet: counts as inside or outside, whatever joins more
_MAXIMA = tuple(FIELD_MAXIMUM.values())


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
            rows = [
                (*rest[:field], IntervalSet.of(*(pair for values in found for pair in values.pairs)), *rest[field:])
                for rest, found in groups.items()
            ]
    return [Box(*row) for row in rows]


def _raw_boxes(nodes: nd.Nodes, root: int, possible: int, limit: int | None) -> list[Box]:
    """Return the boxes as the diagram has them, at most ``limit``."""
    joiner = _Joined(nodes)
    top = joiner.joined(joiner.marked(root, possible))
    result: list[Box] = []
    whole = [IntervalSet(((0, maximum),)) for maximum in _MAXIMA]
    chosen = list(whole)

    def walk(node: int, level: int) -> bool:
        """Append the boxes below the node; False when the limit is reached."""
        if node in (nd.NOTHING, _EITHER):
            return True
        if node < 0:
            result.append(Box(*chosen))
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
