# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rules of the policy stand for a conversation, whatever the enforcement points make of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import (
    Match,
    addresses_of_name,
    matches_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.conversations import addresses_of_devices
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.verdict import Conversation, Evaluator

Line = tuple[
    str, IntervalSet | None, IntervalSet | None, Match
]  # rule, client addresses (None: all of the segment), server, match


class Intent:
    """The rules of a site, found by client segment."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._lines: dict[tuple[str, int], list[Line]] = defaultdict(list)
        self._edges: dict[int, set[int]] = {4: set(), 6: set()}
        self._client_ports: set[int] = set()
        self.narrow: set[str] = set()  # segments with rules for some of their devices only
        # Rules of network sets: whoever has an address of theirs and is no device of a segment.
        self._outside: dict[int, list[tuple[IntervalSet, Line]]] = {4: [], 6: []}
        self._client_edges: dict[int, set[int]] = {4: set(), 6: set()}
        site: Site = evaluator.site
        for rule in site.rules():
            if rule.devices:
                self.narrow.add(rule.client)
            for family in (4, 6):
                server = addresses_of_name(site, rule.to, family)
                client = addresses_of_devices(site, rule.client, rule.devices, family) if rule.devices else None
                for low, high in server.pairs if server is not None else ():
                    self._edges[family] |= {low, high + 1}
                for _name, match in matches_of(site, rule.services, family):
                    for low, high in match.client_ports.pairs if match.client_ports is not None else ():
                        self._client_ports |= {low, high + 1}
                    if rule.client in site.segments:
                        self._lines[rule.client, family].append((rule.id, client, server, match))
                        continue
                    addresses = addresses_of_name(site, rule.client, family) or IntervalSet()
                    self._outside[family].append((addresses, (rule.id, None, server, match)))
                    for low, high in addresses.pairs:
                        self._client_edges[family] |= {low, high + 1}

    def bounds(self, family: int) -> list[int]:
        """Return the addresses, rising, at which the server sides of rules begin and end: between two of them all servers are alike."""
        return sorted(self._edges[family])

    def client_bounds(self, family: int) -> list[int]:
        """Return the addresses, rising, at which network sets with rules begin and end; clients of no segment are alike between two."""
        return sorted(self._client_edges[family])

    def client_port_bounds(self) -> list[int]:
        """Return the client ports at which services that pin them begin and end."""
        return sorted(self._client_ports)

    def lines_of(self, segment: str, family: int) -> Sequence[Line]:
        """Return the lines of a segment's rules in a family, in the order of the policy; those of one rule stand together."""
        return self._lines.get((segment, family), ())

    def lines_outside(self, family: int) -> Sequence[tuple[IntervalSet, Line]]:
        """Return the lines of network sets with rules in a family, each with the addresses of its clients."""
        return self._outside[family]

    def rules_for(self, conversation: Conversation) -> list[str]:
        """Return the ids of the rules that permit the opener, in the order of the policy, each once."""
        packet = conversation.forward()
        found: dict[str, None] = {}
        for segment in sorted(self._evaluator.segments_of(conversation.family, conversation.client)):
            for rule, client, server, match in self._lines.get((segment, conversation.family), ()):
                if client is not None and not client.contains(conversation.client):
                    continue
                if (server is None or server.contains(conversation.server)) and fits(match, packet):
                    found[rule] = None
        for addresses, (rule, _client, server, match) in self._outside[conversation.family]:
            inside = addresses.contains(conversation.client) and (
                server is None or server.contains(conversation.server)
            )
            if inside and fits(match, packet):
                found[rule] = None
        return list(found)


def fits(match: Match, packet: Packet) -> bool:
    """Return whether a whole opener has the protocol, ports and ICMP message of a service."""
    return packet.ip_protocol == match.protocol and all(
        values is None or values.contains(value)
        for values, value in (
            (match.server_ports, packet.destination_port),
            (match.client_ports, packet.source_port),
            (match.detail, packet.detail),
        )
    )
