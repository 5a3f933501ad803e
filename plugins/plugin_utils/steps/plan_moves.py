# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan says of the devices that it moves: in the order of its rings, at once, with devices that follow, and on the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes as change_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import Plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rings import Part, parts_of_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.move_findings import (
    REFUSED,
    back_findings,
    refused,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.plan_phases import RING, moments_of, phases_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.ring_moves import (
    BACK,
    BY_RING,
    FORWARD,
    Proved,
    proof_of_moves,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.ring_orders import (
    as_rings,
    candidate_order,
    order_text,
)


def moves_of(
    site: Site, lists: Sequence[PointList], snapshots: Mapping[str, Snapshot], plan: Plan, parts: Sequence[Part]
) -> tuple[dict[str, Any], list[Finding]]:
    """Return what was proved of the devices that a plan moves to other lists or tags, ring by ring; nothing where it moves none.

    Where the order of the rings is safe only if the devices of each have authenticated again before the next begins, ``follow`` says so,
    and the plan holds with that: apply keeps to it.
    """
    space = PacketSpace()  # every order and way is proved of the same lists
    proved = _moves_of(site, lists, snapshots, plan, parts, space)
    made, findings = proved.made, proved.findings
    if not made:
        return made, findings
    found = findings
    if parts[1:]:
        found = _moves_of(site, lists, snapshots, plan, (), space).findings
    # What is told as a warning in the order of the rings is no reason to refuse it without them.
    at_once = not refused(found)
    if refused(findings) and parts[1:]:
        sure = _moves_of(site, lists, snapshots, plan, parts, space, follow=True)
        if not refused(sure.findings):
            proved, made = sure, {**sure.made, "follow": True}
            findings = [*sure.findings, change_codes.RING_ORDER.at(FOLLOW).with_severity("warning")]
    if refused(findings) and (text := _safe_order(site, lists, snapshots, plan, proved, space)):
        made = {**made, "safe_order": text}
        findings = [
            replace(item, hint=f"{item.hint}; or {text}") if item.code in REFUSED else item for item in findings
        ]
    if not refused(findings):
        back, more = _way_back(site, lists, snapshots, plan, parts, proved, space, follow=bool(made.get("follow")))
        made, findings = {**made, "back": back}, [*findings, *more]
    return {**made, "at_once": at_once}, findings


def _way_back(
    site: Site,
    lists: Sequence[PointList],
    snapshots: Mapping[str, Snapshot],
    plan: Plan,
    parts: Sequence[Part],
    proved: Proved,
    space: PacketSpace,
    *,
    follow: bool,
) -> tuple[dict[str, Any], list[Finding]]:
    """Return whether all holds on the way back too, from wherever the rollout is, and a warning for what does not: going back is free."""
    back = _moves_of(site, lists, snapshots, plan, parts, space, follow=follow, way=BACK)
    names = {m.device: m.name for found in site.members.values() for m in found if m.name}
    findings = back_findings(back.problems, proved.problems, names, by_ring=False)
    made: dict[str, Any] = {"safe": not findings}
    if findings and parts[1:]:
        ringed = _moves_of(site, lists, snapshots, plan, parts, space, follow=True, way=BY_RING)
        made["by_ring"] = not back_findings(ringed.problems, proved.problems, names, by_ring=False)
        findings = back_findings(back.problems, proved.problems, names, by_ring=made["by_ring"])
    return made, findings


def _safe_order(
    site: Site,
    lists: Sequence[PointList],
    snapshots: Mapping[str, Snapshot],
    plan: Plan,
    proved: Proved,
    space: PacketSpace,
) -> str:
    """Return which order of rings the same plan would be safe in, proved in it; empty where none was found."""
    order = candidate_order(proved.moves, proved.problems)
    if not order:
        return ""
    other = replace(site, rings=(*as_rings(order), *site.rings))
    parts = parts_of_plan(plan, other, lists)
    if refused(_moves_of(other, lists, snapshots, plan, parts, space, follow=True).findings):
        return ""
    return order_text(order, {m.device: m.name for found in site.members.values() for m in found if m.name})


FOLLOW = (
    "and only where the devices that a ring moves have authenticated again before the next ring begins: run each ring with"
    " microseg_reauthenticate=true; it is done when their sessions carry the new list and tag"
)


def _moves_of(
    site: Site,
    lists: Sequence[PointList],
    snapshots: Mapping[str, Snapshot],
    plan: Plan,
    parts: Sequence[Part],
    space: PacketSpace,
    *,
    follow: bool = False,
    way: str = FORWARD,
) -> Proved:
    """Return what was proved in the order of rings; ``follow``: devices have followed by the end of the ring that moves them."""
    first, last = phases_of(plan, lists, parts, first=True), phases_of(plan, lists, parts)
    times = {key: (first[key], moment) for key, moment in last.items()}
    rings = [part.id for part in parts] if site.rings else []
    moments = moments_of(plan, parts)
    confirmed = {moment: (moment // RING + 1) * RING - 1 for _step, moment in moments} if follow else {}
    return proof_of_moves(
        site, lists, snapshots, moments, times, rings, length=RING, confirmed=confirmed, way=way, space=space
    )
