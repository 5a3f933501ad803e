# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a list costs, and named ceilings to hold it against (facts/devices.md section 4, facts/ise.md sections 3 and 4).

The figures are planning values from vendor documents and real outputs; the true limit is what the device has free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.registry import render_lines
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet, prefixes

WARN_SHARE = 0.8
# ``range_cost``: operator registers of one ``range``.
BUDGETS: dict[str, dict[str, int]] = {
    "ise_dacl": {"entries": 64, "bytes": 3500},
    "sgacl": {"entries": 512, "bytes": 6000},
    "catalyst_2960x_inline": {"bytes": 4000},
    "catalyst_9300": {"hardware_entries": 5120},
    "catalyst_4500": {"operators": 16},
    "ie3x00": {"tcp_operators": 8, "udp_operators": 8, "range_cost": 2},
    "wlc_9800_40": {"entries": 128},
    "wlc_9800_80": {"entries": 256},
    "small_business_350": {"entries": 256},
}


@dataclass(frozen=True)
class Cost:
    """``entries``: lines; ``bytes``: of the text; ``hardware_entries``: after ranges fall into aligned blocks, IPv6 counted twice;
    ``tcp_operators``, ``udp_operators``: distinct registers for gt, lt, neq and range (``eq`` needs none)."""

    entries: int
    bytes: int
    hardware_entries: int
    tcp_operators: int
    udp_operators: int

    def as_dict(self) -> dict[str, int]:
        """Return the figures by name."""
        return asdict(self)


def cost_of(platform: str, aces: Sequence[Ace], range_cost: int = 1) -> Cost:
    """Return what the entries cost when rendered for the platform, without an added end."""
    options: dict[str, Any] = {} if platform == "nftables" else {"end": ""}
    lines = render_lines(platform, aces, **options)
    registers: dict[int, dict[tuple[str, str], int]] = {6: {}, 17: {}}
    hardware = 0
    for ace in aces:
        sides = {"source": ace.source_ports, "destination": ace.destination_ports}
        blocks = 1
        for side, ports in sides.items():
            blocks *= 1 if ports is None else sum(1 for _block in prefixes(ports.pairs, 16))
            for text, cost in _operators(ports, range_cost):
                if ace.protocol in registers:
                    registers[ace.protocol][side, text] = cost
        width = 128 if ace.family == 6 else 32
        for addresses in (ace.source, ace.destination):
            blocks *= 1 if addresses is None else sum(1 for _block in prefixes(addresses.pairs, width))
        if ace.detail is not None and ace.protocol != 6:
            blocks *= sum(1 for _block in prefixes(ace.detail.pairs, 16))
        hardware += blocks * (2 if ace.family == 6 else 1)
    size = sum(len(line.encode()) + 1 for line, _ace in lines)
    totals = {protocol: sum(found.values()) for protocol, found in registers.items()}
    return Cost(len(lines), max(0, size - 1), hardware, totals[6], totals[17])


def _operators(ports: IntervalSet | None, range_cost: int) -> list[tuple[str, int]]:
    if ports is None:
        return []
    missing = IntervalSet.of((0, 65535)).subtract(ports)
    if missing.size == 1 and len(ports.pairs) == 2:
        return [(f"neq {missing.pairs[0][0]}", 1)]
    found = []
    for low, high in ports.pairs:
        if low != high:
            one_sided = low == 0 or high == 65535
            found.append((f"{low}-{high}", 1 if one_sided else range_cost))
    return found


def check_budget(platform: str, aces: Sequence[Ace], name: str) -> tuple[Cost, list[Finding]]:
    """Return the cost and a finding for each figure above 80 percent of the named budget (error severity above the budget).

    Raises FindingError SW1212 for a name that is not known.
    """
    limits = BUDGETS.get(name)
    if limits is None:
        raise FindingError(codes.UNKNOWN_BUDGET.at(f"budget {name!r} is not one of {', '.join(BUDGETS)}"))
    cost = cost_of(platform, aces, limits.get("range_cost", 1))
    figures = {**cost.as_dict(), "operators": cost.tcp_operators + cost.udp_operators}
    findings = []
    for key, limit in limits.items():
        used = figures.get(key)
        if used is not None and used > WARN_SHARE * limit:
            finding = codes.OVER_BUDGET.at(f"{used} {key.replace('_', ' ')} of {limit} in the budget {name}")
            findings.append(finding.with_severity("error") if used > limit else finding)
    return cost, findings
