# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan does to postures that are pulled: pulls, releases, or forgets. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import Plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pulled import pulled_in
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site


def pulls(plan: Plan, entries: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the postures that a plan would pull which are not pulled now; sorted."""
    return tuple(sorted({str(name) for name in plan.effect.get("postures") or ()} - set(pulled_in(entries))))


def lapses(plan: Plan, entries: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Return an error for each posture that is pulled and that a plan would end unsaid: it was pulled after the plan was made."""
    said = {str(name) for key in ("postures", "releases") for name in plan.effect.get(key) or ()}
    return [
        codes.POSTURE_LAPSES.at(f"plan {plan.plan_id[:12]}: {name}") for name in pulled_in(entries) if name not in said
    ]


def segments_of(site: Site, postures: Iterable[str]) -> list[str]:
    """Return the segments that postures are about; for a device those that it is a member of."""
    found: set[str] = set()
    for posture in (site.postures[name] for name in postures if name in site.postures):
        found |= {posture.segment} & set(site.segments)
        found |= {
            name
            for name, members in site.members.items()
            if posture.device and any(posture.device in (member.device, member.name) for member in members)
        } & set(site.segments)
    return sorted(found)
