# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What could be opened between segments: every pair of segments and every service, each judged for one pair of members."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import USUAL_CLIENT_PORT
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.points import enforces
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.verdict import Conversation, Evaluator

ECHO = {1: 8 * 256, 58: 128 * 256}


@dataclass(frozen=True)
class Opening:
    """A service as one conversation: the lowest port of one of its protocols."""

    service: str
    protocol: int
    port: int
    client_port: int

    def between(self, family: int, client: int, server: int) -> Conversation:
        """Return the conversation between two addresses."""
        return Conversation(family, client, server, self.protocol, self.port, self.client_port)


def openings(site: Site, family: int) -> list[Opening]:
    """Return one opening for each protocol of each service that exists in the family; protocols without ports have port 0."""
    found = []
    for name, service in sorted(site.services.items()):
        for match in service.matches:
            if match.protocol in ECHO:
                if match.protocol == (1 if family == 4 else 58):
                    kind = ECHO[match.protocol] if match.icmp_type is None else match.icmp_type * 256 + (match.icmp_code or 0)
                    found.append(Opening(name, match.protocol, kind, 0))
                continue
            port = match.ports[0][0] if match.ports else 0
            pinned = match.client_ports[0][0] if match.client_ports else (port if service.symmetric and port else USUAL_CLIENT_PORT)
            found.append(Opening(name, match.protocol, port, pinned))
    return found


def samples(site: Site) -> Mapping[str, tuple[int, int]]:
    """Return family and first address of each segment that has one."""
    found = {}
    for name, members in sorted(site.members.items()):
        addresses = [ipaddress.ip_address(text) for member in members for text in member.addresses]
        if addresses:
            found[name] = (addresses[0].version, int(addresses[0]))
    return found


def works(evaluator: Evaluator, conversations: list[Conversation]) -> list[bool]:
    """Return, for conversations between the same two addresses, whether opener and reply pass every list that sees them."""
    answers = [True] * len(conversations)
    if not conversations:
        return answers
    first = conversations[0]
    forward: list[Packet] = [item.forward() for item in conversations]
    replies = [(number, packet) for number, item in enumerate(conversations) if (packet := item.reply()) is not None]
    for number in evaluator.seen_by(first.family, first.client, first.server):
        if enforces(evaluator.lists[number]):
            passed = evaluator.lookup(number).decide(forward)
            answers = [was and now for was, now in zip(answers, passed, strict=True)]
    for number in evaluator.seen_by(first.family, first.server, first.client, stateful=False):
        if enforces(evaluator.lists[number]):
            for (place, _packet), now in zip(replies, evaluator.lookup(number).decide([p for _n, p in replies]), strict=True):
                answers[place] = answers[place] and now
    return answers


def possibilities(site: Site) -> Iterator[tuple[str, str, list[Opening], list[Conversation]]]:
    """Yield each pair of different segments with the openings of its family and the conversations that they mean."""
    by_family = {family: openings(site, family) for family in (4, 6)}
    ends = samples(site)
    for client_segment, (family, client) in ends.items():
        for server_segment, (other, server) in ends.items():
            if client_segment != server_segment and family == other and client != server:
                found = by_family[family]
                yield client_segment, server_segment, found, [item.between(family, client, server) for item in found]
