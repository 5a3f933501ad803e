# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All lists of a site against the hardware of each switch that enforcement.yml names (facts/devices.md section 4).

A port or router ACL is programmed once, whatever number of ports has it. A DACL is programmed for each session. A matrix is programmed for
the groups that a switch serves, cells with the same content once. While a list is replaced, old and new stand side by side; the new
one is taken for the size of the old.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.budget import registers
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.platform_limits import (
    PlatformLimits,
    platform_limits,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.budget import size_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site, SwitchHardware

NEAR = 0.8
TCP, UDP = 6, 17


@dataclass(frozen=True)
class Need:
    """What one switch needs: hardware entries in all, of the list or session group that grows most while it is replaced, operator
    registers by kind, and distinct policies and cells of matrices.
    """

    entries: int
    ipv6_entries: int
    largest: int
    operators: Mapping[str, int]
    policies: int
    cells: int


def hardware_findings(
    site: Site, lists: Sequence[PointList], measured: Mapping[str, Collection[str]] | None = None
) -> list[Finding]:
    """Return an error for each switch that cannot hold its lists; a warning where less than a fifth is left, or no room to replace one.

    Of switches that say themselves what they have (``measured``: kinds by switch) only the other kinds are judged here.
    """
    found: list[Finding] = []
    for host, switch in sorted(site.switches.items()):
        found += _switch_findings(site, switch, need_of(site, switch, lists), (measured or {}).get(host, ()))
    return found


def need_of(site: Site, switch: SwitchHardware, lists: Iterable[PointList]) -> Need:
    """Return what the lists of a site take on one switch."""
    limits = platform_limits(switch.hardware)
    factor = limits.value("ipv6_factor", 2)
    sessions: dict[str, int] = defaultdict(int)
    for segment, members in site.members.items():
        sessions[segment] = sum(1 for member in members if member.switch == switch.host)
    here: list[tuple[PointList, int]] = []
    policies: dict[object, PointList] = {}
    cells = 0
    for listing in lists:
        if listing.kind in ("port_acl", "router_acl") and listing.host == switch.host:
            here.append((listing, 1))
        elif listing.kind == "dacl" and sessions[listing.segment] and _takes(site, listing, switch):
            here.append((listing, switch.sessions or sessions[listing.segment]))
        elif listing.kind == "sgacl" and sessions[listing.peer] and _takes(site, listing, switch):
            cells += 1
            policies.setdefault(tuple(ace.meaning() for ace in listing.aces), listing)
    here += [(listing, 1) for listing in policies.values()]
    costs = [(listing, _entries(listing, factor) * copies) for listing, copies in here]
    return Need(
        sum(cost for _listing, cost in costs),
        sum(cost for listing, cost in costs if listing.family == 6),
        max((cost for _listing, cost in costs), default=0),
        _operators(limits, [listing for listing, _copies in here]),
        len(policies),
        cells,
    )


def _takes(site: Site, listing: PointList, switch: SwitchHardware) -> bool:
    """Return whether a switch enforces what ISE holds for a point."""
    named = site.points[listing.point].options.get("switches")
    return not named or switch.host in named


def _entries(listing: PointList, factor: int) -> int:
    return size_of(listing)["expanded_aces"] * (factor if listing.family == 6 else 1)


def _operators(limits: PlatformLimits, lists: Sequence[PointList]) -> dict[str, int]:
    """Return the registers that all lists take together, for the kinds that the hardware shares between lists."""
    kinds = {"tcp_operators": TCP, "udp_operators": UDP}
    if not set(kinds) & set(limits.limits):
        return {}
    cost = limits.value("range_cost", 1)
    distinct: dict[tuple[int, str, str], int] = {}
    for listing in lists:
        for ace in listing.aces:
            for (_family, protocol, side, text), taken in registers(ace, cost).items():
                distinct[protocol, side, text] = taken
    return {
        kind: sum(taken for (number, _side, _text), taken in distinct.items() if number == protocol)
        for kind, protocol in kinds.items()
        if kind in limits.limits
    }


def _switch_findings(site: Site, switch: SwitchHardware, need: Need, measured: Collection[str]) -> list[Finding]:
    limits = platform_limits(switch.hardware)
    used = switch.in_use or limits.value("idle_entries")
    apart = "ipv6_hardware_entries" in limits.limits
    asked = [
        ("hardware_entries", used + need.entries - (need.ipv6_entries if apart else 0), need.largest),
        ("ipv6_hardware_entries", need.ipv6_entries, 0),
        ("sgacl_policies", need.policies, 0),
        ("sgacl_cells", need.cells, 0),
        *((kind, count, 0) for kind, count in sorted(need.operators.items())),
    ]
    asked = [each for each in asked if each[0] not in measured]
    found = []
    for kind, count, swap in asked:
        limit = limits.limits.get(kind)
        if limit is None or not count:
            continue
        text = f"switch {switch.host} ({limits.title}) needs {count} of {limit.value} {kind.replace('_', ' ')}"
        text += f" with {used} in use" if kind == "hardware_entries" else ""
        if count > limit.value:
            found.append(codes.HARDWARE_FULL.at(f"{text}; the limit is {limit.confidence}", switch.location))
        elif count + swap > limit.value:
            found.append(
                codes.HARDWARE_NEAR.at(f"{text}, and {swap} more while its largest list is replaced", switch.location)
            )
        elif count > NEAR * limit.value:
            found.append(codes.HARDWARE_NEAR.at(text, switch.location))
    return found
