# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which entries decide no packet: samples prove most alive, one covering entry proves most dead, a diagram settles the rest.

Exact for all packets (facts/policy.md section 6 item 10). Short lists are settled by the diagram alone.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import Decisions, PacketSpace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Box, FirstMatchList
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.sampling import Rows, bit_mask

np = guarded("numpy")

SAMPLED_FROM = 200  # entries; below, the diagram of the whole list is as fast
_ROUNDS = (2, 8, 32)  # points per row that is not known to be alive yet
_WIDEST = 256  # rows
_COVERS = 4096  # rows that are tried as covers of others
_FEW = 24  # boxes; among more of them, those below the widest are left out
_MOST_CONDITIONS = 24  # of a list whose entries are sampled once for each condition
_SEED = 1  # the answer does not depend on it, only the time


def dead_indices(source: FirstMatchList, rows: Rows | None = None, space: PacketSpace | None = None) -> list[int]:
    """Return the indices of the entries that no packet reaches, rising; with conditions: that none can reach, however they turn out.

    Only entries that always match, or under its own condition, make an entry dead: every other condition may fail to hold.
    """
    texts = list(dict.fromkeys(entry.condition for entry in source.entries))
    if len(source.entries) < SAMPLED_FROM or len(texts) > _MOST_CONDITIONS:
        decided = Decisions(space or PacketSpace(), source)
        return [index for index in range(len(source.entries)) if index not in decided.reached]
    rows = rows or Rows(source)
    number = {text: place for place, text in enumerate(texts)}
    condition = np.array([number[entry.condition] for entry in source.entries])
    dead: list[int] = []
    for text in texts:
        counts = np.isin(condition, [number[text], number.get("", -1)])
        dead += _dead_among(rows, counts, condition == number[text], space or PacketSpace())
    return sorted(dead)


def _dead_among(rows: Rows, counts: Any, asked: Any, space: PacketSpace) -> list[int]:
    """Return which of the entries asked for are dead in the list of those that count."""
    alive = ~asked
    useful = counts[rows.entry]
    mask = None if useful.all() else bit_mask(useful, rows.words)
    useful &= ~_below_wide(rows, useful)  # rows that are covered cover nothing that their covers do not
    open_rows = np.flatnonzero(useful & asked[rows.entry])
    generator = np.random.default_rng(_SEED)
    for turn, each in enumerate(_ROUNDS):
        if turn == 1:  # the first points prove most alive; most of the others lie below one single row
            covered = _below_one(rows, open_rows, np.flatnonzero(useful))
            useful[covered] = False
            open_rows = np.setdiff1d(open_rows, covered, assume_unique=True)
        found = rows.first(rows.random_points(generator, open_rows, each), mask)
        alive[rows.entry[found[found < rows.count]]] = True
        open_rows = open_rows[~alive[rows.entry[open_rows]]]
    return _settled(rows, alive, open_rows, useful, space)


def _below_wide(rows: Rows, counts: Any) -> Any:
    """Return which rows one of the widest earlier rows that count covers: most dead entries of long lists, found all at once."""
    chosen = np.flatnonzero(counts)
    widest = np.sort(chosen[np.argsort(-_spread(rows)[chosen], kind="stable")[:_WIDEST]])
    covered = np.zeros(rows.count, dtype=bool)
    for row in widest[rows.single[widest]].tolist():
        if not covered[row]:
            held = (rows.low[:, row + 1 :] >= rows.low[:, row : row + 1]).all(axis=0)
            held &= (rows.high[:, row + 1 :] <= rows.high[:, row : row + 1]).all(axis=0)
            covered[row + 1 :] |= held
    return covered


def _below_one(rows: Rows, open_rows: Any, covers: Any) -> Any:
    """Return which of the open rows one of the widest covers of an earlier entry holds whole."""
    left = open_rows
    low, high, begin = rows.low[:, left], rows.high[:, left], np.array(rows.begin)[rows.entry[left]]
    covered = np.zeros(rows.count, dtype=bool)
    for cover in covers[np.argsort(-_spread(rows)[covers], kind="stable")[:_COVERS]].tolist():
        inside = (low[3] >= rows.low[3, cover]) & (high[3] <= rows.high[3, cover]) & (begin > cover)
        inside &= (low[4] >= rows.low[4, cover]) & (high[4] <= rows.high[4, cover])
        found = np.flatnonzero(inside)
        if len(found):
            held = (low[:, found] >= rows.low[:, [cover]]).all(axis=0) & (high[:, found] <= rows.high[:, [cover]]).all(
                axis=0
            )
            found = found[held]
        if not rows.single[cover]:
            found = np.array(
                [at for at in found.tolist() if rows.boxes[cover].covers(rows.boxes[left[at]])], dtype=np.int64
            )
        if len(found):
            covered[left[found]] = True
            kept = np.ones(len(left), dtype=bool)
            kept[found] = False
            left, low, high, begin = left[kept], low[:, kept], high[:, kept], begin[kept]
    return np.flatnonzero(covered)


def _spread(rows: Rows) -> Any:
    """Return how much of the addresses each row takes."""
    return sum((rows.high[field] - rows.low[field]) / max(1, len(rows.starts[field])) for field in (3, 4))


def _settled(rows: Rows, alive: Any, open_rows: Any, useful: Any, space: PacketSpace) -> list[int]:
    """Return which of the entries that no sample reached are dead."""
    by_entry: dict[int, list[int]] = {index: [] for index in np.flatnonzero(~alive).tolist()}
    for row in open_rows.tolist():
        by_entry[int(rows.entry[row])].append(row)
    dead: list[int] = []
    for index, own in sorted(by_entry.items()):
        if all(_is_covered(rows, row, index, useful, space) for row in own):
            dead.append(index)
            useful[own] = False
    return dead


def _is_covered(rows: Rows, row: int, index: int, useful: Any, space: PacketSpace) -> bool:
    """Return whether earlier entries hold every packet of a row."""
    among = rows.overlapping(row, useful[: rows.begin[index]])
    if rows.covering(row, among):
        return True
    return not leftover(space, rows.boxes[row], [rows.boxes[other] for other in _largest(rows, row, among).tolist()])


def _largest(rows: Rows, row: int, among: Any) -> Any:
    """Return rows without those that within a row lie below one of the widest of them."""
    if len(among) <= _FEW:
        return among
    low = np.maximum(rows.low[:, among], rows.low[:, [row]])
    high = np.minimum(rows.high[:, among], rows.high[:, [row]])
    size = np.log2(high - low + 1.0).sum(axis=0)
    kept = np.ones(len(among), dtype=bool)
    for place in np.argsort(-size, kind="stable")[: 2 * _FEW].tolist():
        if kept[place] and rows.single[among[place]]:
            below = (low >= low[:, [place]]).all(axis=0) & (high <= high[:, [place]]).all(axis=0)
            below[place] = False
            kept &= ~below
    return among[kept]


def leftover(space: PacketSpace, box: Box, others: list[Box]) -> bool:
    """Return whether a box has packets that are in none of the others."""
    region = space.from_box(box)
    clipped = dict.fromkeys(other.intersect(box) for other in others)
    return bool(region - space.from_boxes(other for other in clipped if not other.is_empty))
