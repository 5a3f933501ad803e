# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ring's turn it is, and which one is to go back, by the journal, what was recorded since, and what switches show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import utc_now
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import known_entries
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import Plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rings import (
    DONE,
    SOAKING,
    UNDONE,
    Part,
    Progress,
    earlier_ring,
    parts_of_plan,
    progress_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import load_checked
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import today_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.ring_counts import ring_counters
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.ring_sessions import (
    authorized_sessions,
    kept_sessions,
    lost_sessions,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.rollout import Decision, decide
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.site import SoundSite

NEXT, CONTINUE = "next", "continue"


def turn_of(
    values: Mapping[str, Any], paths: Paths, plan: Plan, sound: SoundSite, variables: Mapping[str, Any] | None = None
) -> Decision:
    """Return which ring's turn it is: ``next`` asks health and soak, a ring's own name goes past both."""
    parts = parts_of_plan(plan, sound.site, sound.compiled.lists)
    wanted = str(values["ring"])
    if wanted != NEXT:
        chosen = next((part for part in parts if part.id == wanted), None)
        if chosen is None:
            raise FindingError(codes.NO_RING.at(f"{wanted!r}; it has {', '.join(part.id for part in parts) or 'none'}"))
        states = progress_of(parts, known_entries(paths.journal), plan.plan_id)
        return Decision(chosen, rings_left=_rings_left(states, chosen))
    entries = known_entries(paths.journal)
    progress = progress_of(parts, entries, plan.plan_id)
    other, commit, earlier = earlier_ring(entries, plan.plan_id, sound.site) or ("", "", None)
    if earlier is not None and earlier.state == UNDONE and commit != plan.policy_commit:
        earlier = None  # rolled back, and the policy was corrected since
    decision = decide(
        progress,
        sound.site,
        paths.data,
        utc_now(),
        blind=bool(values.get("ring_blind")),
        engine=str(values.get("engine") or ""),
        earlier=earlier,
        lost=lambda part: lost_sessions(
            kept_sessions(entries, part), lambda: authorized_sessions(values, variables or {})
        ),
        counters=lambda part: ring_counters(entries, part, sound.site, sound.compiled.lists, values, variables or {}),
    )
    decision = replace(decision, rings_left=_rings_left(progress, decision.part))
    of_earlier = earlier is not None and decision.undo is earlier.part
    return replace(decision, undo_plan=other) if of_earlier else decision


def _rings_left(progress: Sequence[Progress], chosen: Part | None) -> bool:
    """Return whether another ring is to come that has sessions and no step of its own left."""
    return any(
        item.part.sessions and item.state not in (SOAKING, DONE)
        for item in progress
        if chosen is None or item.part.id != chosen.id
    )


def ring_to_undo(values: Mapping[str, Any], paths: Paths) -> Decision | None:
    """Return what takes back the ring that was changed last, by journal and documents alone; None where nothing asks for it.

    The way back asks neither for a plan that still holds nor for documents that are committed, in time or proved.
    """
    try:
        site = load_checked(paths.policy, today_of(values)).site
        entries = known_entries(paths.journal)
    except (FindingError, OSError):
        return None
    found = earlier_ring(entries, "", site) if site is not None else None
    if site is None or found is None:
        return None
    engine = str(values.get("engine") or "")
    state = decide((), site, paths.data, utc_now(), engine=engine, earlier=found[2])
    return replace(state, undo_plan=found[0]) if state.undo is not None else None
