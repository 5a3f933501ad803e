# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of a list: forward, reply, bootstrap and closing entries (facts/devices.md section 6)."""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Origin
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import Match
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet

UDP = 17
DHCP_CLIENT = IntervalSet.of((68, 68))
DHCP_SERVER = IntervalSet.of((67, 67))
ICMP_UNREACHABLE = IntervalSet.of((3 * 256, 3 * 256 + 255))
ICMP_TIME_EXCEEDED = IntervalSet.of((11 * 256, 11 * 256 + 255))


@dataclass
class ListBuilder:
    """Collects the ACEs of one list with the origin of each; equal lines are written once, the first origin stays."""

    aces: list[Ace] = field(default_factory=list)
    origins: dict[str, Origin] = field(default_factory=dict)
    _seen: set[tuple[object, ...]] = field(default_factory=set)

    def add(self, ace: Ace, origin: Origin) -> None:
        """Append an ACE under its label; a line that stands already is left out."""
        key = (
            ace.permit,
            ace.family,
            ace.protocol,
            ace.source,
            ace.destination,
            ace.source_ports,
            ace.destination_ports,
            ace.detail,
        )
        if key in self._seen:
            return
        self._seen.add(key)
        self.aces.append(ace)
        self.origins.setdefault(ace.label, origin)


def rule_label(role: str, rule: str) -> str:
    """Return the label of a rule's lines: the rule id, and for replies the id with ``~reply``."""
    return rule if role == "rule" else f"{rule}~{role}"


def forward_ace(
    family: int, match: Match, source: IntervalSet | None, destination: IntervalSet | None, label: str
) -> Ace:
    """Return the line for packets from ``source`` to ``destination``."""
    return Ace(
        permit=True,
        protocol=match.protocol,
        family=family,
        source=source,
        destination=destination,
        source_ports=match.client_ports,
        destination_ports=match.server_ports,
        detail=match.detail,
        label=label,
    )


def reply_aces(
    family: int, match: Match, source: IntervalSet | None, destination: IntervalSet | None, label: str
) -> list[Ace]:
    """Return the line for packets from server to client: peer, source port and, for TCP, ``established``; none where nothing answers."""
    answer = match.reply()
    return [] if answer is None else [forward_ace(family, answer, source, destination, label)]


def closing_ace(
    family: int,
    permit: bool,
    label: str = "default",
    source: IntervalSet | None = None,
    destination: IntervalSet | None = None,
) -> Ace:
    """Return ``permit|deny ip`` for any packet, or for the given ends."""
    return Ace(
        permit=permit,
        protocol=None,
        family=family,
        source=source,
        destination=destination,
        source_ports=None,
        destination_ports=None,
        detail=None,
        label=label,
    )


def add_access_bootstrap(builder: ListBuilder, location: Location, serves_dhcp: bool = False) -> None:
    """Add what every access port must pass: DHCP of a client without an address, and ICMP errors (section 6.3).

    ``serves_dhcp`` adds the answers of a lease server: to clients, and to relays, which listen on the server's port (RFC 2131
    section 4.1).
    """
    dhcp = [("bootstrap-dhcp", Match(UDP, DHCP_SERVER, DHCP_CLIENT, None))]
    if serves_dhcp:
        dhcp += [
            ("bootstrap-dhcp-server", Match(UDP, ports, DHCP_SERVER, None)) for ports in (DHCP_CLIENT, DHCP_SERVER)
        ]
    for label, match in dhcp:
        builder.add(forward_ace(4, match, None, None, label), Origin("bootstrap", location=location))
    add_icmp_errors(builder, location)


def add_icmp_errors(builder: ListBuilder, location: Location) -> None:
    """Add the ICMP errors without which path MTU discovery and quick refusals fail (section 6.2)."""
    for label, detail in (("icmp-unreachable", ICMP_UNREACHABLE), ("icmp-time-exceeded", ICMP_TIME_EXCEEDED)):
        match = Match(1, None, None, detail)
        builder.add(forward_ace(4, match, None, None, label), Origin("icmp", location=location))
