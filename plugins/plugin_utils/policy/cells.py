# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stage of egress matrix cells: that of their segments, or their own. Pure.

A cell takes the weaker stage of its two segments. ``cells`` of enforcement.yml holds one back, or lets it go ahead of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import STAGES, CellStage, Site

Pair = tuple[str, str]


def weaker(one: str, other: str) -> str:
    """Return the stage of the two that does less."""
    return min(one, other, key=STAGES.index)


def own_stages(site: Site) -> Mapping[Pair, str]:
    """Return the stages of the cells that have one of their own, by source and destination."""
    return {cell.pair: cell.stage for cell in site.cells}


def matrices_of(site: Site, pair: Pair) -> list[str]:
    """Return the matrices, in their order, that both segments of a cell are assigned to, whatever their stages."""
    points = [site.assignments[name].points if name in site.assignments else () for name in pair]
    return [name for name, point in site.points.items() if point.kind == "sgacl" and all(name in own for own in points)]


def stage_of_segments(site: Site, pair: Pair) -> str:
    """Return the stage that a cell has by its segments; ``observe`` where no matrix has them both."""
    if not matrices_of(site, pair):
        return "observe"
    return weaker(*(site.assignments[name].stage for name in pair))


def stage_of_cell(site: Site, pair: Pair) -> str:
    """Return the stage of a cell: its own, else that of its segments. Nothing is written for a segment that is observed."""
    usual = stage_of_segments(site, pair)
    return usual if usual == "observe" else own_stages(site).get(pair, usual)


def with_segments_at(site: Site, stages: Mapping[str, str]) -> Site:
    """Return the site with other stages of some segments."""
    changed = {name: replace(site.assignments[name], stage=stage) for name, stage in stages.items()}
    return replace(site, assignments={**site.assignments, **changed})


def with_cells_at(site: Site, stages: Mapping[Pair, str]) -> Site:
    """Return the site with stages of some cells that are their own."""
    kept = (cell for cell in site.cells if cell.pair not in stages)
    return replace(site, cells=(*kept, *(CellStage(*pair, stage) for pair, stage in stages.items())))


def relaxed(site: Site, segment: str) -> tuple[CellStage, ...]:
    """Return the cells' own stages while everything is opened to and from a segment: none of its cells stops anything."""
    return tuple(
        replace(cell, stage="monitor") if segment in cell.pair and cell.stage == "enforce" else cell
        for cell in site.cells
    )


def isolated(site: Site, segment: str) -> tuple[CellStage, ...]:
    """Return the cells' own stages while a segment is isolated: none of its cells is held back."""
    return tuple(cell for cell in site.cells if segment not in cell.pair or cell.stage == "enforce")


def with_isolated_device(site: Site, old: str, new: str) -> tuple[CellStage, ...]:
    """Return the cells' own stages while a device of a segment is in one of its own: what was enforced for it ahead still is."""
    copies = (
        replace(cell, source=source, destination=destination)
        for cell in site.cells
        if old in cell.pair and cell.stage == "enforce"
        for source in ((old, new) if cell.source == old else (cell.source,))
        for destination in ((old, new) if cell.destination == old else (cell.destination,))
        if new in (source, destination)
    )
    return (*site.cells, *copies)


def raised(site: Site, segments: Collection[str], cells: bool = False) -> Site | None:
    """Return the site with some segments at stage enforce, with ``cells`` those held back too. None where that is so already."""
    names = {name for name in segments if name in site.assignments and site.assignments[name].stage != "enforce"}
    held = cells and any(cell.stage != "enforce" for cell in site.cells)
    if not names and not held:
        return None
    assignments = {n: replace(a, stage="enforce") if n in names else a for n, a in site.assignments.items()}
    kept = tuple(cell for cell in site.cells if not cells or cell.stage == "enforce")
    return replace(site, assignments=assignments, cells=kept)
