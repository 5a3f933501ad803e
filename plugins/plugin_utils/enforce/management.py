# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Management conversations: every list that could cut one has a line for it, before the rules (design.md section 5 item 5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.index import SiteIndex
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.lines import (
    ListBuilder,
    forward_ace,
    reply_aces,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Origin
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import Match
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import EnforcementPoint


@dataclass(frozen=True)
class Flow:
    """One management conversation of a point, one family. None stands for any address."""

    label: str
    point: EnforcementPoint
    client: IntervalSet | None
    server: IntervalSet | None
    matches: tuple[Match, ...]


def management_flows(index: SiteIndex, family: int) -> Iterator[Flow]:
    """Yield the management conversations of all points that have both ends in the family."""
    for name in sorted(index.site.points):
        point = index.site.points[name]
        for number, flow in enumerate(point.options.get("management", ())):
            client, server = (index.addresses(flow[end], family) for end in ("client", "server"))
            if (client is None or client) and (server is None or server):
                label = f"management-{number + 1}"
                yield Flow(label, point, client, server, index.matches(tuple(flow["services"]), family))


def add_management(
    builder: ListBuilder,
    index: SiteIndex,
    family: int,
    own: IntervalSet,
    inbound: bool = False,
    addressed: bool = False,
) -> None:
    """Add what a stateless list must pass so that no management conversation of its devices (``own``) is cut.

    The list sees what the devices send, or with ``inbound`` what is sent to them. ``addressed``: the list names the devices' addresses.
    """
    mine = own if addressed else None
    for flow in management_flows(index, family):
        origin = Origin("management", location=flow.point.location)
        label = f"{flow.label}-{flow.point.id}"
        opens = flow.client is None or flow.client.overlaps(own)
        serves = flow.server is None or flow.server.overlaps(own)
        clients, servers = _part(flow.client, mine), _part(flow.server, mine)
        for match in flow.matches:
            if serves and inbound:
                builder.add(forward_ace(family, match, flow.client, servers, label), origin)
            elif opens and not inbound:
                builder.add(forward_ace(family, match, clients, flow.server, label), origin)
            if opens and inbound:
                replies = reply_aces(family, match, flow.server, clients, label)
            elif serves and not inbound:
                replies = reply_aces(family, match, servers, flow.client, label)
            else:
                replies = []
            for ace in replies:
                builder.add(ace, origin)


def _part(addresses: IntervalSet | None, mine: IntervalSet | None) -> IntervalSet | None:
    """Return the addresses of an end that are the list's own devices; None where the list names none."""
    if mine is None:
        return None
    return mine if addresses is None else addresses.intersect(mine)
