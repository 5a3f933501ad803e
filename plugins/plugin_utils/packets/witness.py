# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The choice of one understandable packet out of a set."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets import nodes as nd
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import FIELD_MAXIMUM
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.layout import Level

# Tried in this order before the smallest value is taken. An opening SYN shows more than an ACK, a client port more than 0.
_COMMON_PORTS = (443, 80, 22, 53, 502, 104, 2575, 11112, 47808, 161, 123, 3389, 445, 8443, 8080, 1024, 49152)
_ORDINARY: dict[str, tuple[int, ...]] = {
    "protocol": (6, 17, 1, 256 + 6, 256 + 17, 256 + 58),
    "detail": (2, 16, 18, 2048, 32768, 0),
    "fragment": (0,),
    "destination": (0x0A000001, 0x20010DB8 << 96 | 1),
    "source": (0x0A000002, 0x20010DB8 << 96 | 2),
    "destination_port": _COMMON_PORTS,
    "source_port": (49152, 50000, 32768, 1024, *_COMMON_PORTS),
}
_FIELDS = tuple(FIELD_MAXIMUM)
_ADDRESSES = (3, 4)


def is_member(terminal: int) -> bool:
    """Return whether a terminal of a set says that the packet is in it."""
    return terminal == nd.MEMBER


def ordinary_values(
    nodes: nd.Nodes, root: int, wanted: Callable[[int], bool] = is_member, region: int = nd.MEMBER
) -> list[int]:
    """Return field values of one packet that leads from the root to a wanted terminal; the root must lead to one.

    ``region``: a set in which to stay; the root must lead to a wanted terminal inside it.
    """
    known: dict[tuple[int, int], bool] = {}

    def leads(node: int, inside: int) -> bool:
        """Return whether some packet leads from the node to a wanted terminal; every pair is looked at once."""
        if node < 0:
            return wanted(node)
        found = known.get((node, inside))
        if found is None:
            level = nodes.level[node] if inside < 0 else min(nodes.level[node], nodes.level[inside])
            found = known[node, inside] = any(
                leads(child, inner) for _low, _high, child, inner in nodes.branches(node, inside, level)
            )
        return found

    values = [0] * len(_FIELDS)
    node, inside = root, region
    for number, level in enumerate(nodes.layout.levels):
        ranges = [branch for branch in nodes.branches(node, inside, number) if leads(branch[2], branch[3])]
        digit = _pick(level, [(low, high) for low, high, _child, _inner in ranges], values)
        values[level.field] = values[level.field] << level.maximum.bit_length() | digit
        node, inside = next(branch[2:] for branch in ranges if branch[0] <= digit <= branch[1])
    return values


def _pick(level: Level, ranges: Sequence[tuple[int, int]], values: Sequence[int]) -> int:
    """Return what a level should be; ``values`` are those of the levels before, of a field that is cut its upper bits."""
    name = _FIELDS[level.field]
    wanted = _ORDINARY.get(name, (0,))
    if name == "detail" and values[0] % 256 in (1, 58):
        wanted = (2048, 32768, *wanted)
    for value in wanted:
        digit = value >> level.shift & level.maximum
        if value >> level.shift == values[level.field] << level.maximum.bit_length() | digit:
            if any(low <= digit <= high for low, high in ranges):
                return digit
    low, high = ranges[0]
    # A network address looks odd in a witness: take the first host where the range is a wide aligned block.
    if level.field in _ADDRESSES and level.shift == 0 and high - low >= 3 and low & 3 == 0:
        return low + 1
    return low
