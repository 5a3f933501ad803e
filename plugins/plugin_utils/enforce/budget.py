# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Size of lists against declared budgets (facts/ise.md section 3, facts/devices.md section 4)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.budget import (
    hardware_blocks,
    radius_packets,
    registers,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.platform_limits import platform_limits
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import entry_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.desired import rendered
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site

# The limits of dialects/limits that a list of each kind is held against, where the policy says nothing else.
CLASSES: Mapping[str, str] = {
    "dacl": "ise_dacl",
    "sgacl": "sgacl",
    "port_acl": "port_acl",
    "router_acl": "port_acl",
    "firewall": "nftables",
}
NEAR = 0.8
# An entry as its platform reads it: a Cisco line with or without its number, or an nftables rule.
_ENTRY = re.compile(
    r"\s*(?:sequence )?(?:\d+ )?(?:permit|deny) |.* counter (?:accept|drop)\b|access-list \S+ extended (?:permit|deny) "
)


def size_of(listing: PointList) -> dict[str, int]:
    """Return what a list needs on its platform.

    ``aces``: lines as the platform receives them, each with one address and one port term a side; ``bytes``: the text;
    ``l4_operators``: distinct ``range``, ``gt``, ``lt`` and ``neq`` with their operands, counted for each protocol and side
    (facts/devices.md section 4.2), none for a firewall; ``radius_packets`` (DACL): at least so many
    answers carry it; ``expanded_aces``: entries if every operator had to be expanded into
    aligned blocks of ports.
    """
    entry = entry_of(listing)
    if entry is None:
        return _measured(listing)
    if "size" not in entry:
        entry["size"] = _sum_of_parts(listing) or _measured(listing)
    found: dict[str, int] = entry["size"]
    return found


def _sum_of_parts(listing: PointList) -> dict[str, int]:
    """Return the size of a list that is known by its parts, each of which ends like the list itself."""
    parts = listing.__dict__.get("_parts")
    if not parts:
        return {}
    end = _measured(listing.__dict__["_end"])
    total: dict[str, int] = {}
    for number, (entry, make) in enumerate(parts):
        if "size" not in entry:
            size = _measured(make())
            entry["size"] = size if number == 0 else {unit: value - end[unit] for unit, value in size.items()}
        for unit, value in entry["size"].items():
            total[unit] = total.get(unit, 0) + value
    return total


def _measured(listing: PointList) -> dict[str, int]:
    text = rendered(listing)
    aces = sum(1 for line in text.splitlines() if _ENTRY.match(line))
    size = {"aces": aces, "bytes": len(text.encode("utf-8")), "l4_operators": 0, "expanded_aces": aces}
    if listing.kind == "dacl":
        size["radius_packets"] = radius_packets(text.splitlines())
    if listing.kind != "firewall":
        size["l4_operators"] = len({term for ace in listing.aces for term in registers(ace)})
        size["expanded_aces"] = sum(hardware_blocks(ace, ipv6_factor=1) for ace in listing.aces)
    return size


def default_budget(kind: str) -> dict[str, int]:
    """Return the most entries (``aces``) and bytes of a list of a kind, from the platform limits."""
    limits = platform_limits(CLASSES[kind])
    return {"aces": limits.value("entries"), "bytes": limits.value("bytes")}


def budget_findings(site: Site, lists: Sequence[PointList]) -> list[Finding]:
    """Return an error for each list above its budget and a warning for each above 80 percent of it."""
    findings: list[Finding] = []
    limits_of: dict[str, list[tuple[str, Any]]] = {}
    for listing in lists:
        limits = limits_of.get(listing.kind)
        if limits is None:
            made = {**default_budget(listing.kind), **site.budgets.get(listing.kind, {})}
            limits = limits_of[listing.kind] = sorted(made.items())
        point = site.points[listing.point]
        sizes = size_of(listing)
        for unit, limit in limits:
            used = sizes[unit]
            if used <= limit * NEAR:
                continue
            text = f"list {listing.name} at {listing.point} needs {used} {unit} of {limit}"
            if unit == "aces" and sizes["expanded_aces"] > used:
                text += f", and {sizes['expanded_aces']} where a switch must expand its port operators"
            if used > limit:
                findings.append(codes.OVER_BUDGET.at(text, point.location))
            else:
                findings.append(codes.NEAR_BUDGET.at(text, point.location))
        if sizes.get("radius_packets", 0) > 1:
            text = f"list {listing.name} at {listing.point} takes at least {sizes['radius_packets']} RADIUS answers"
            findings.append(codes.RADIUS_PACKETS.at(text, point.location))
    return findings
