# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rules of the policy stand for a conversation, whatever the enforcement points make of it."""

from __future__ import annotations

from collections import defaultdict

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import (
    Match,
    addresses_of_name,
    matches_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.verdict import Conversation, Evaluator

Line = tuple[str, IntervalSet | None, Match]


class Intent:
    """The rules of a site, found by client segment."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._lines: dict[tuple[str, int], list[Line]] = defaultdict(list)
        site: Site = evaluator.site
        for rule in site.rules():
            for family in (4, 6):
                server = addresses_of_name(site, rule.to, family)
                for _name, match in matches_of(site, rule.services, family):
                    self._lines[rule.client, family].append((rule.id, server, match))

    def rules_for(self, conversation: Conversation) -> list[str]:
        """Return the ids of the rules that permit the opener, in the order of the policy, each once."""
        packet = conversation.forward()
        found: dict[str, None] = {}
        for segment in sorted(self._evaluator.segments_of(conversation.family, conversation.client)):
            for rule, server, match in self._lines.get((segment, conversation.family), ()):
                if (server is None or server.contains(conversation.server)) and fits(match, packet):
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
