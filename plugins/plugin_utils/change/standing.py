# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a ring stands among those of its plan, by the journal: how far those before it are, and which devices it has to see follow. Pure.

One judgement for both who may begin (``order_findings``) and whose sessions belong to a run (``Standing.moved``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.moved_sessions import (
    MOVING_KINDS,
    Moved,
    carried_on,
    open_in,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import Plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rings import (
    DONE,
    SOAKING,
    Part,
    Progress,
    progress_of,
)


@dataclass(frozen=True)
class Standing:
    """What a run of a plan (``ring`` None), or of one ring, finds.

    ``moved``: whose sessions it has to move, its own and those of earlier rings that may still be as before; ``before``: the earlier
    rings; ``later``: steps of other rings that are not carried out yet; ``still``: by ring, the devices that may be as before.
    """

    ring: Part | None = None
    moved: tuple[Moved, ...] = ()
    before: tuple[Progress, ...] = ()
    later: tuple[Operation, ...] = ()
    still: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def moves_devices(plan: Plan) -> bool:
    """Return whether where a ring stands matters to a plan: devices go to other lists or tags by it."""
    return bool(plan.effect.get("moves")) or any(step.kind in MOVING_KINDS for step in plan.operations())


def needs_followers(plan: Plan) -> bool:
    """Return whether a plan is proved only where the devices of each ring have followed before the next begins."""
    return bool(plan.effect.get("moves", {}).get("follow"))


def standing_of(plan: Plan, parts: Sequence[Part], ring: Part | None, entries: Sequence[Mapping[str, Any]]) -> Standing:
    """Return where a ring (of ``parts``, all rings of the plan) stands; without one, the whole plan, which has all moves."""
    if ring is None:
        return Standing(moved=tuple(row for part in parts for row in part.moved))
    states = progress_of(parts, entries, plan.plan_id)
    before = states[: next((n for n, item in enumerate(states) if item.part.id == ring.id), 0)]
    open_ones = [item.part for item in states if item.state not in (SOAKING, DONE) and item.part.id != ring.id]
    waiting = {key for part in open_ones for key in part.steps}
    later = tuple(step for target, step in plan.steps() if (target, step.id) in waiting)
    still = open_in(entries, plan.plan_id)
    carried = carried_on([(item.part.id, item.part.moved) for item in before], still)
    return Standing(ring, (*ring.moved, *carried), before, later, still)


def order_findings(plan: Plan, standing: Standing, reauthenticate: bool) -> list[Finding]:
    """Return a finding (SW4174) where a plan whose moving devices are safe in the order of its rings alone is to be carried out otherwise.

    Where they are safe only when the devices of each ring have followed before the next begins, re-authentication belongs to it.
    """
    ring, follow = standing.ring, needs_followers(plan)
    if plan.effect.get("moves", {}).get("at_once", True) and not (follow and ring is not None):
        return []
    if ring is None:
        return [codes.RING_ORDER.at("it would be carried out at once")]
    if follow and ring.moved and not reauthenticate:
        count = len({mac for _target, _segment, macs in ring.moved for mac in macs})
        text = (
            f"ring {ring.id} moves {count} devices, and nothing would make sure that they follow before the next ring"
        )
        return [codes.RING_ORDER.at(text)]
    if open_ones := [item.part.id for item in standing.before if item.state not in (SOAKING, DONE)]:
        return [codes.RING_ORDER.at(f"ring {ring.id} comes after {', '.join(open_ones)}")]
    still = {item.part.id: standing.still.get(item.part.id, {}) for item in standing.before}
    if follow and (waiting := [f"{name} ({', '.join(macs)})" for name, macs in still.items() if macs]):
        text = f"devices of {', '.join(waiting)} have not followed; ring {ring.id} comes after them"
        return [codes.RING_ORDER.at(text)]
    return []
