# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs of tags without a cell: the ANY-ANY cell of the matrix decides them (facts/ise.md, matrix), as ISE holds it.

A device that moves to another tag may meet one that has not moved where neither the old nor the new policy has a cell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation, Snapshot, Target
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.moved_sessions import MOVING_KINDS
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.naming import group_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.changes import Key
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.live import cell_in_force
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise import IseTarget

KIND, NAME = "egress_matrix_cell", "ANY-ANY"
RETIRED = "tag "  # begins the name of a tag that the policy does not have (steps/ring_moves.py)
Lists = list[PointList]


def with_default_cell(
    snapshots: Mapping[str, Snapshot], targets: Mapping[str, Target], steps: Iterable[Operation]
) -> dict[str, Snapshot]:
    """Return the snapshots with the ANY-ANY cell, and the SGACLs that it names, of each ISE on which steps move devices.

    It is read for the proof alone: nobody writes it, and no plan is bound to it. Where it cannot be read it is left out.
    """
    made = dict(snapshots)
    for name in {step.target for step in steps if step.kind in MOVING_KINDS} & snapshots.keys():
        target = targets.get(name)
        if not isinstance(target, IseTarget):
            continue
        try:
            found = dict(target.read_objects([(KIND, NAME)]).objects)
            lists = [("sgacl", str(each)) for body in found.values() for each in body.get("sgacls") or ()]
            found |= target.read_objects(lists).objects if lists else {}
        except FindingError:
            continue
        made[name] = replace(snapshots[name], objects={**found, **snapshots[name].objects})
    return made


def tags_that_move(before: Site, after: Site) -> set[str]:
    """Return the segments whose devices, by tag, are not the same before and after."""
    names = before.members.keys() | after.members.keys()
    return {name for name in names if _devices(before, name) != _devices(after, name)}


def _devices(site: Site, name: str) -> set[str]:
    return {member.device for member in site.members.get(name, ())}


def default_cells(
    site: Site,
    old: Sequence[PointList],
    new: Sequence[PointList],
    snapshots: Mapping[str, Snapshot],
    moving: set[str],
    times: Mapping[Key, tuple[int, int]],
) -> tuple[Lists, Lists, dict[Key, tuple[int, int]]]:
    """Return what the ANY-ANY cell is for pairs without a cell before and after, as a list for each, and when those change.

    Pairs of tags of the matrix only, with a tag at an end that devices leave or come to (``moving``). A pair that others gave a cell is
    left out: nothing is known of it. Nothing where ANY-ANY permits everything, is not enforced or was not read.
    """
    made: tuple[Lists, Lists] = ([], [])
    when: dict[Key, tuple[int, int]] = {}
    cells = [[item for item in lists if item.kind == "sgacl"] for lists in (old, new)]
    for template in {item.host: item for lists in cells for item in lists}.values():
        host = template.host
        closing = _closing(template, snapshots[host].objects) if host in snapshots else []
        if not closing:
            continue
        foreign = set(snapshots[host].raw.get("cells", "").split("\n"))
        pairs: tuple[dict[tuple[str, str], list[PointList]], ...] = ({}, {})
        for number, lists in enumerate(cells):
            for item in lists:
                if item.host == host:
                    pairs[number].setdefault((item.segment, item.peer), []).append(item)
        tags = {tag for part in pairs for pair in part for tag in pair}
        tags |= {tag for tag in moving if tag.startswith(RETIRED)}
        for pair in ((one, two) for one in sorted(tags) for two in sorted(tags) if moving & {one, two}):
            known = [item for part in pairs for item in part.get(pair, ())]
            if not known and f"{_group(site, pair[0])}-{_group(site, pair[1])}" in foreign:
                continue
            # Where a cell comes or goes, the ANY-ANY cell is its version before or after: never is there neither.
            names = {item.family: item.name for item in known}
            plain = [
                replace(
                    item,
                    name=names.get(item.family, f"{NAME} {' '.join(pair)} {item.family}"),
                    segment=pair[0],
                    peer=pair[1],
                )
                for item in closing
            ]
            for number in (0, 1):
                if pair not in pairs[number]:
                    made[number].extend(plain)
            moments = [times[item.point, item.name] for item in known if (item.point, item.name) in times]
            if moments:
                span = min(begin for begin, _end in moments), max(end for _begin, end in moments)
                when |= {(item.point, item.name): span for item in plain if item.family not in names}
    return (*made, when)


def _closing(template: PointList, objects: Mapping[str, Any]) -> list[PointList]:
    """Return the ANY-ANY cell's lists as far as they stop anything."""
    here = {key: body for key, body in objects.items() if key == f"{KIND}/{NAME}" or key.startswith("sgacl/")}
    found = []
    for family in (4, 6):
        held = cell_in_force(replace(template, cell=NAME, family=family), here)
        if held is not None and held.stage == "enforce" and not all(ace.permit for ace in held.aces):
            found.append(held)
    return found


def _group(site: Site, tag: str) -> str:
    """Return the name of a tag's group in ISE."""
    return tag.removeprefix(RETIRED) if tag.startswith(RETIRED) else group_name(site, tag)
