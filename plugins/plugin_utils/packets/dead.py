# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which entries decide no packet: samples prove most alive, one covering entry proves most dead, a diagram settles the rest.

Exact for all packets (facts/policy.md section 6 item 10). Lists with conditions, and short ones, are settled by the diagram alone.
"""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import Decisions, PacketSpace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Box, FirstMatchList
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.sampling import Rows

np = guarded("numpy")

SAMPLED_FROM = 200  # entries; below, the diagram of the whole list is as fast
_ROUNDS = (2, 8, 32)  # points per row that is not known to be alive yet
_SEED = 1  # the answer does not depend on it, only the time


def dead_indices(source: FirstMatchList, rows: Rows | None = None, space: PacketSpace | None = None) -> list[int]:
    """Return the indices of the entries that no packet reaches, rising; with conditions: that none can reach."""
    if source.is_conditional or len(source.entries) < SAMPLED_FROM:
        decided = Decisions(space or PacketSpace(), source)
        return [index for index in range(len(source.entries)) if index not in decided.reached]
    rows = rows or Rows(source)
    alive = np.zeros(len(source.entries), dtype=bool)
    open_rows = np.arange(rows.count)
    generator = np.random.default_rng(_SEED)
    for each in _ROUNDS:
        found = rows.first(rows.random_points(generator, open_rows, each))
        alive[rows.entry[found[found < rows.count]]] = True
        open_rows = open_rows[~alive[rows.entry[open_rows]]]
    return sorted(_settled(source, rows, alive, open_rows, space or PacketSpace()))


def _settled(source: FirstMatchList, rows: Rows, alive: object, open_rows: object, space: PacketSpace) -> list[int]:
    """Return which of the entries that no sample reached are dead."""
    by_entry: dict[int, list[int]] = {index: [] for index in np.flatnonzero(~alive).tolist()}  # type: ignore[operator]
    for row in open_rows.tolist():  # type: ignore[attr-defined]
        by_entry[int(rows.entry[row])].append(row)
    dead: list[int] = []
    useful = np.ones(rows.count, dtype=bool)  # rows of dead entries cover nothing that others do not
    for index, own in sorted(by_entry.items()):
        if all(_is_covered(rows, row, index, useful, space) for row in own):
            dead.append(index)
            useful[own] = False
    return dead


def _is_covered(rows: Rows, row: int, index: int, useful: object, space: PacketSpace) -> bool:
    """Return whether earlier entries hold every packet of a row."""
    before = int(np.searchsorted(rows.entry, index))
    among = rows.overlapping(row, useful[:before])  # type: ignore[index]
    if rows.covering(row, among):
        return True
    return not leftover(space, rows.boxes[row], [rows.boxes[other] for other in among.tolist()])


def leftover(space: PacketSpace, box: Box, others: list[Box]) -> bool:
    """Return whether a box has packets that are in none of the others."""
    region = space.from_box(box)
    clipped = dict.fromkeys(other.intersect(box) for other in others)
    return bool(region - space.from_boxes(other for other in clipped if not other.is_empty))
