# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Size of lists against declared budgets (facts/ise.md section 3, facts/devices.md section 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.desired import rendered
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site

# Entries and bytes by kind: the practical ceilings of facts/devices.md section 1.4 and facts/ise.md sections 3 and 4.
DEFAULT_BUDGETS: Mapping[str, Mapping[str, int]] = {
    "dacl": {"aces": 64, "bytes": 3500},
    "sgacl": {"aces": 512, "bytes": 6000},
    "port_acl": {"aces": 256, "bytes": 65536},
    "firewall": {"aces": 100000, "bytes": 16777216},
}
NEAR = 0.8


def size_of(listing: PointList) -> dict[str, int]:
    """Return the number of entries and bytes of a list as its platform receives it."""
    text = rendered(listing)
    entries = sum(1 for line in text.splitlines() if " permit " in f" {line} " or " deny " in f" {line} ")
    if listing.kind == "firewall":
        entries = len(listing.aces)
    return {"aces": entries, "bytes": len(text.encode("utf-8"))}


def budget_findings(site: Site, lists: Sequence[PointList]) -> list[Finding]:
    """Return an error for each list above its budget and a warning for each above 80 percent of it."""
    findings: list[Finding] = []
    for listing in lists:
        limits: Mapping[str, Any] = {**DEFAULT_BUDGETS[listing.kind], **site.budgets.get(listing.kind, {})}
        point = site.points[listing.point]
        for unit, used in size_of(listing).items():
            limit = limits.get(unit)
            if limit is None:
                continue
            text = f"list {listing.name} at {listing.point} needs {used} {unit} of {limit}"
            if used > limit:
                findings.append(codes.OVER_BUDGET.at(text, point.location))
            elif used > limit * NEAR:
                findings.append(codes.NEAR_BUDGET.at(text, point.location))
    return findings
