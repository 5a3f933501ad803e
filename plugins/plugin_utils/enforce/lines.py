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
IGMP, ICMPV6 = 2, 58
DHCPV6_CLIENT, DHCPV6_SERVER = IntervalSet.of((546, 546)), IntervalSet.of((547, 547))
IPV6_ERRORS = (1, 2, 3, 4)  # unreachable, packet too big, time exceeded, parameter problem
# Solicitation and advertisement of neighbours, router solicitation; MLD reports and done (RFC 4861, RFC 2710, RFC 3810).
IPV6_NEEDS = (
    ("bootstrap-neighbours", (133, 135, 136)), ("bootstrap-listeners", (131, 132, 143)), ("icmp-errors", IPV6_ERRORS),
)  # fmt: skip
ICMP_UNREACHABLE = IntervalSet.of((3 * 256, 3 * 256 + 255))
ICMP_TIME_EXCEEDED = IntervalSet.of((11 * 256, 11 * 256 + 255))


@dataclass
class ListBuilder:
    """Collects the ACEs of one list with the origin of each; equal lines are written once, the first origin stays."""

    aces: list[Ace] = field(default_factory=list)
    origins: dict[str, Origin] = field(default_factory=dict)
    _seen: set[tuple[object, ...]] = field(default_factory=set)
    _head: frozenset[tuple[object, ...]] = frozenset()

    def end_of_head(self) -> None:
        """From here on lines are compared with those so far and with those of their own part only (``begin_part``)."""
        self._head = frozenset(self._seen)

    def begin_part(self) -> None:
        """Begin a part that is made alike whatever stands in other parts."""
        self._seen = set(self._head)

    def part(self) -> ListBuilder:
        """Return a builder for one part alone, which knows the head."""
        return ListBuilder(_seen=set(self._head), _head=self._head)

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


def add_access_bootstrap(
    builder: ListBuilder, location: Location, serves_dhcp: bool = False, family: int = 4, groups: bool = False
) -> None:
    """Add what every access port must pass: DHCP of a client without an address, and ICMP errors (section 6.3).

    IPv6: neighbour discovery (its sources are ``::`` while an address is tried, RFC 4862), listener reports (RFC 3810) and DHCPv6.
    ``serves_dhcp`` adds the answers of a lease server: to clients, and to relays, which listen on the server's port (RFC 2131
    section 4.1). ``groups`` adds IGMP, without which a switch stops group traffic to the port.
    """
    if family == 6:
        _add_ipv6_bootstrap(builder, location, serves_dhcp)
        return
    dhcp = [("bootstrap-dhcp", Match(UDP, DHCP_SERVER, DHCP_CLIENT, None))]
    if serves_dhcp:
        dhcp += [
            ("bootstrap-dhcp-server", Match(UDP, ports, DHCP_SERVER, None)) for ports in (DHCP_CLIENT, DHCP_SERVER)
        ]
    for label, match in dhcp:
        builder.add(forward_ace(4, match, None, None, label), Origin("bootstrap", location=location))
    if groups:
        builder.add(
            forward_ace(4, Match(IGMP, None, None, None), None, None, "bootstrap-igmp"),
            Origin("bootstrap", location=location),
        )
    add_icmp_errors(builder, location)


def _add_ipv6_bootstrap(builder: ListBuilder, location: Location, serves_dhcp: bool) -> None:
    for label, kinds in IPV6_NEEDS:
        detail = IntervalSet.of(*((kind * 256, kind * 256 + 255) for kind in kinds))
        origin = Origin("icmp" if label.startswith("icmp") else "bootstrap", location=location)
        builder.add(forward_ace(6, Match(ICMPV6, None, None, detail), None, None, label), origin)
    match = Match(UDP, DHCPV6_SERVER, DHCPV6_CLIENT, None)
    origin = Origin("bootstrap", location=location)
    builder.add(forward_ace(6, match, None, None, "bootstrap-dhcp"), origin)
    for ports in (DHCPV6_CLIENT, DHCPV6_SERVER) if serves_dhcp else ():
        answer = Match(UDP, ports, DHCPV6_SERVER, None)
        builder.add(forward_ace(6, answer, None, None, "bootstrap-dhcp-server"), origin)


def add_icmp_errors(builder: ListBuilder, location: Location, family: int = 4) -> None:
    """Add the ICMP errors without which path MTU discovery and quick refusals fail (section 6.2); IPv6: RFC 4890 section 4.3.1."""
    if family == 6:
        detail = IntervalSet.of(*((kind * 256, kind * 256 + 255) for kind in IPV6_ERRORS))
        ace = forward_ace(6, Match(ICMPV6, None, None, detail), None, None, "icmp-errors")
        builder.add(ace, Origin("icmp", location=location))
        return
    for label, detail in (("icmp-unreachable", ICMP_UNREACHABLE), ("icmp-time-exceeded", ICMP_TIME_EXCEEDED)):
        match = Match(1, None, None, detail)
        builder.add(forward_ace(4, match, None, None, label), Origin("icmp", location=location))
