# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Size of lists against declared budgets (facts/ise.md section 3, facts/devices.md section 4)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.desired import rendered
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet, prefixes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site

# Entries and bytes by kind: the practical ceilings of facts/devices.md section 1.4 and facts/ise.md sections 3 and 4.
DEFAULT_BUDGETS: Mapping[str, Mapping[str, int]] = {
    "dacl": {"aces": 64, "bytes": 3500},
    "sgacl": {"aces": 512, "bytes": 6000},
    "port_acl": {"aces": 256, "bytes": 65536},
    "firewall": {"aces": 100000, "bytes": 16777216},
}
NEAR = 0.8
ICMP = 1
# An entry as its platform reads it: a Cisco line with or without its number, or an nftables rule.
_ENTRY = re.compile(r"\s*(?:\d+ )?(?:permit|deny) |.* counter (?:accept|drop)\b")


def size_of(listing: PointList) -> dict[str, int]:
    """Return what a list needs on its platform.

    ``aces``: lines as the platform receives them, each with one address and one port term a side; ``bytes``: the text;
    ``l4_operators``: distinct ``range``, ``gt``, ``lt`` and ``neq`` with their operands, counted for each protocol and side
    (facts/devices.md section 4.2), none for a firewall; ``expanded_aces``: entries if every operator had to be expanded into
    aligned blocks of ports.
    """
    text = rendered(listing)
    aces = sum(1 for line in text.splitlines() if _ENTRY.match(line))
    size = {"aces": aces, "bytes": len(text.encode("utf-8")), "l4_operators": 0, "expanded_aces": aces}
    if listing.kind != "firewall":
        size["l4_operators"] = len({term for ace in listing.aces for term in _operators(ace)})
        size["expanded_aces"] = sum(_expanded(ace) for ace in listing.aces)
    return size


def _pieces(values: IntervalSet | None) -> list[tuple[int, int]]:
    """Return the port ranges that the renderer writes with one term each; ``neq`` stands for the two around one port."""
    if values is None or values.pairs == ((0, 65535),):
        return []
    return list(values.pairs)


def _operators(ace: Ace) -> set[tuple[object, ...]]:
    """Return the operators of an entry with protocol, side and operands; single ports (``eq``) need none."""
    found: set[tuple[object, ...]] = set()
    for side, values in (("source", ace.source_ports), ("destination", ace.destination_ports)):
        pieces = _pieces(values)
        if len(pieces) == 2 and pieces[0][0] == 0 and pieces[1] == (pieces[0][1] + 2, 65535):
            found.add((ace.protocol, side, "neq", pieces[0][1] + 1))
            continue
        found |= {(ace.protocol, side, low, high) for low, high in pieces if low != high}
    return found


def _expanded(ace: Ace) -> int:
    """Return the entries that one ACE needs without operators: addresses x ports x ports x messages."""
    count = 1
    for addresses in (ace.source, ace.destination):
        if addresses is not None:
            count *= sum(1 for _block in prefixes(addresses.pairs, 32))
    for ports in (ace.source_ports, ace.destination_ports):
        count *= sum(1 for _block in prefixes(_pieces(ports), 16)) or 1
    if ace.protocol == ICMP and ace.detail is not None:
        count *= sum(_messages(low, high) for low, high in ace.detail.pairs)
    return count


def _messages(low: int, high: int) -> int:
    """Return how many lines name the ICMP messages of a range: one for a whole type, else one for each code."""
    kinds = range(low >> 8, (high >> 8) + 1)
    return sum(
        1 if low <= k * 256 and k * 256 + 255 <= high else min(high, k * 256 + 255) - max(low, k * 256) + 1
        for k in kinds
    )


def budget_findings(site: Site, lists: Sequence[PointList]) -> list[Finding]:
    """Return an error for each list above its budget and a warning for each above 80 percent of it."""
    findings: list[Finding] = []
    for listing in lists:
        limits: Mapping[str, Any] = {**DEFAULT_BUDGETS[listing.kind], **site.budgets.get(listing.kind, {})}
        point = site.points[listing.point]
        sizes = size_of(listing)
        for unit, limit in sorted(limits.items()):
            used = sizes[unit]
            text = f"list {listing.name} at {listing.point} needs {used} {unit} of {limit}"
            if unit == "aces" and sizes["expanded_aces"] > used:
                text += f", and {sizes['expanded_aces']} where a switch must expand its port operators"
            if used > limit:
                findings.append(codes.OVER_BUDGET.at(text, point.location))
            elif used > limit * NEAR:
                findings.append(codes.NEAR_BUDGET.at(text, point.location))
    return findings
