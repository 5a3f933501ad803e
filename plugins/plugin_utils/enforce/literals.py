# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Address literals of the membership lock in lists: fewer where that is allowed, and what each of them costs.

Addresses become the fewest prefixes that hold exactly them. With ``budgets.extra_traffic`` a list on a port may name one wider prefix where
it adds few addresses and none of them belongs to another device; every one that does so says what it admits.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.index import FAMILIES, SiteIndex
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet, prefixes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.outline import outline_of

SHOWN = 3
WIDTH = {4: 32, 6: 128}


def literal(index: SiteIndex, segment: str, family: int) -> IntervalSet:
    """Return the addresses that a list on a port names for a segment: its devices', or one prefix around them within the budget."""
    own = index.members(segment, family)
    most = index.site.budgets.get("extra_traffic", {}).get("addresses", 0)
    if not most or len(list(prefixes(own.pairs, WIDTH[family]))) < 2:
        return own
    low, high = own.pairs[0][0], own.pairs[-1][1]
    free = (low ^ high).bit_length()
    first = low >> free << free
    whole = IntervalSet.of((first, first + (1 << free) - 1))
    extra = whole.subtract(own)
    if extra.size > most or any(extra.overlaps(index.members(n, family)) for n in index.segments_among(extra, family)):
        return own
    return whole


def extra_traffic(index: SiteIndex) -> list[Finding]:
    """Return a finding for each segment that lists on ports name by a wider prefix, with the addresses that it adds."""
    if not index.site.budgets.get("extra_traffic", {}).get("addresses", 0):
        return []
    found = []
    for segment in sorted(index.site.segments):
        for family in FAMILIES:
            extra = literal(index, segment, family).subtract(index.members(segment, family))
            if extra:
                kind = ipaddress.IPv6Address if family == 6 else ipaddress.IPv4Address
                shown = ", ".join(str(kind(a)) if a == b else f"{kind(a)} to {kind(b)}" for a, b in extra.pairs)
                text = f"lists on ports name one prefix for {segment}, which adds {extra.size} addresses of no device: {shown}"
                found.append(codes.EXTRA_TRAFFIC.at(text, index.site.segments[segment].location))
    return found


def host_line_cost(index: SiteIndex) -> list[Finding]:
    """Return, for each DACL point, which segments its lists name by single addresses, and how many devices a change would concern.

    Each save of a DACL gives it a new name on every switch (facts/devices.md section 1.4).
    """
    site = index.site
    counted = (
        (name, sum(1 for _start, length in prefixes(literal(index, name, 4).pairs, 32) if length == 32))
        for name in site.segments
    )
    single = {name: count for name, count in counted if count}
    if not single:
        return []
    named: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for segment, assignment in site.assignments.items():
        if assignment.stage == "observe" or segment not in site.segments:
            continue
        ends = {*outline_of(site.segments[segment]).ends, *index.clients_of(segment, 4)} & single.keys()
        for point in assignment.points:
            if point in site.points and site.points[point].kind == "dacl":
                for end in ends:
                    named[point][end].add(segment)
    found = []
    for point, ends_of in sorted(named.items()):
        devices = {end: sum(len(site.members.get(s, ())) for s in segments) for end, segments in ends_of.items()}
        worst = sorted(devices, key=lambda end: (-devices[end], end))[:SHOWN]
        shown = "; ".join(
            f"{end}: {single[end]} addresses in {len(ends_of[end])} lists, {devices[end]} devices" for end in worst
        )
        text = f"lists at {point} name devices of {len(ends_of)} segments one by one ({shown})"
        found.append(codes.HOST_LINES.at(text, site.points[point].location))
    return found
