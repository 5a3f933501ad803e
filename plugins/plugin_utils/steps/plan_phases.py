# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a plan's steps are carried out, ring by ring, and in which phase each list is in force as planned. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import Plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rings import Part
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList

RING = 100  # more than there are phases


def phases_of(
    plan: Plan, lists: Sequence[PointList], rings: Sequence[Part] = (), *, first: bool = False
) -> dict[tuple[str, str], int]:
    """Return the phase in which each list is in force as planned: the last one with a step on what carries it.

    With ``rings``, phases are counted on from ring to ring. ``first``: the phase in which a list begins to be in force somewhere: ports
    and sessions of one list may belong to several rings.
    """
    place: dict[tuple[str, str], int] = {}
    # A list that sessions take over ring by ring is old somewhere until the last of them has.
    held = {key: number * RING for number, part in enumerate(rings) for key in part.shared} if not first else {}
    place |= held
    steps = [
        (step, place[step.target, step.id] + step.phase if (step.target, step.id) in place else moment)
        for step, moment in moments_of(plan, rings)
    ]
    return phases_of_steps(steps, lists, first=first)


def moments_of(plan: Plan, rings: Sequence[Part] = ()) -> list[tuple[Operation, int]]:
    """Return each step with the moment at which it is carried out: its phase, counted on from ring to ring."""
    place = {key: number * RING for number, part in enumerate(rings) for key in part.steps}
    return [(step, place.get((step.target, step.id), 0) + step.phase) for step in plan.operations()]


def phases_of_steps(
    steps: Sequence[tuple[Operation, int]], lists: Sequence[PointList], *, first: bool = False
) -> dict[tuple[str, str], int]:
    """Return the phase in which each list is in force as the steps, each with its phase, leave it; or begins to be (``first``)."""
    choose = min if first else max
    by_name: dict[tuple[str, str], int] = {}  # a large plan has tens of thousands of steps, and as many lists
    for step, phase in steps:
        for name in (step.name, str((step.after or step.before or {}).get("access_list", ""))):
            by_name[step.target, name] = choose(by_name.get((step.target, name), phase), phase)
    found: dict[tuple[str, str], int] = {}
    for listing in lists:
        for name in {listing.name, listing.cell} if listing.kind == "sgacl" else {listing.name}:
            if (phase_of := by_name.get((listing.host, name))) is not None:
                key = (listing.point, listing.name)
                found[key] = choose(found.get(key, phase_of), phase_of)
    return found
