# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pages and tables show of a site, as plain values."""

from __future__ import annotations

from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.cells import stage_of_segments
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site


def site_view(site: Site) -> dict[str, Any]:
    """Return segments (with number of devices, stage and points), rules, and cells with a stage of their own, in a fixed order."""
    segments = []
    for name, segment in sorted(site.segments.items(), key=lambda item: (item[1].zone, item[0])):
        assignment = site.assignments.get(name)
        segments.append(
            {
                "name": name,
                "zone": segment.zone,
                "sgt": segment.sgt,
                "owner": segment.owner,
                "criticality": segment.criticality,
                "devices": len(site.members.get(name, ())),
                "stage": assignment.stage if assignment else "observe",
                "points": list(assignment.points) if assignment else [],
            }
        )
    rules = [
        {
            "id": r.id,
            "client": r.client,
            "to": r.to,
            "services": list(r.services),
            "origin": r.origin,
            "reason": r.reason,
        }
        for r in site.rules()
    ]
    cells = [
        {
            "source": cell.source,
            "destination": cell.destination,
            "stage": cell.stage,
            "segments": stage_of_segments(site, cell.pair),
            "reason": cell.reason,
        }
        for cell in sorted(site.cells, key=lambda cell: cell.pair)
    ]
    return {"site": site.name, "segments": segments, "rules": rules, **({"cells": cells} if cells else {})}
