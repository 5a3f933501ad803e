# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What could be opened between segments: every pair of segments and every service, each judged for one pair of members."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import ICMP_ANSWERS
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import USUAL_CLIENT_PORT
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.lookup import Masks
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
                    kind = (
                        ECHO[match.protocol]
                        if match.icmp_type is None
                        else match.icmp_type * 256 + (match.icmp_code or 0)
                    )
                    found.append(Opening(name, match.protocol, kind, 0))
                continue
            port = match.ports[0][0] if match.ports else 0
            pinned = (
                match.client_ports[0][0]
                if match.client_ports
                else (port if service.symmetric and port else USUAL_CLIENT_PORT)
            )
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


class Possible:
    """What the lists of one state let segments open, all services of a family at once."""

    def __init__(self, evaluator: Evaluator, family: int, found: Sequence[Opening]) -> None:
        self._evaluator = evaluator
        self._family = family
        made = [item.between(family, 0, 1) for item in found]
        self._forward = [item.forward() for item in made]
        answers = [item.reply() for item in made]
        self._replies = [packet or self._forward[number] for number, packet in enumerate(answers)]
        self._silent = sum(1 << number for number, packet in enumerate(answers) if packet is None)
        self._pings = sum(1 << number for number, item in enumerate(made) if item.protocol in ICMP_ANSWERS)
        self._all = (1 << len(made)) - 1
        self._masks: dict[tuple[int, bool], Masks] = {}

    def _permitted(self, number: int, reply: bool, source: int, destination: int) -> int:
        masks = self._masks.get((number, reply))
        if masks is None:
            masks = Masks(self._evaluator.lookup(number), self._replies if reply else self._forward)
            self._masks[number, reply] = masks
        return masks.permitted(source, destination)

    def between(self, client: int, server: int) -> int:
        """Return the openings that work (bit n: opening n): opener and reply pass every enforcing list that sees them."""
        evaluator, works = self._evaluator, self._all
        for number in evaluator.seen_by(self._family, client, server):
            if enforces(evaluator.lists[number]):
                works &= self._permitted(number, False, client, server)
        if works & ~self._silent:
            for number in evaluator.judging_icmp(self._family, client, server):
                works &= ~self._pings | self._silent | self._permitted(number, True, server, client)
            for number in evaluator.seen_by(self._family, server, client, stateful=False):
                if enforces(evaluator.lists[number]):
                    works &= self._silent | self._permitted(number, True, server, client)
        return works


@dataclass(frozen=True)
class Change:
    """What changes between two segments: the openings that stop, and those that begin, to be possible."""

    client_segment: str
    server_segment: str
    cut: tuple[Opening, ...]
    opened: tuple[Opening, ...]


def changes(site: Site, old: Evaluator, new: Evaluator) -> Iterator[Change]:
    """Yield the pairs of different segments between which some opening changes, each judged for one pair of members."""
    ends = samples(site)
    for family in (4, 6):
        found = openings(site, family)
        before, after = Possible(old, family, found), Possible(new, family, found)
        own = {name: address for name, (version, address) in ends.items() if version == family}
        for client_segment, client in own.items():
            for server_segment, server in own.items():
                if client == server:
                    continue
                was, will = before.between(client, server), after.between(client, server)
                if was != will:
                    cut, opened = _chosen(found, was & ~will), _chosen(found, will & ~was)
                    yield Change(client_segment, server_segment, cut, opened)


def _chosen(found: Sequence[Opening], bits: int) -> tuple[Opening, ...]:
    return tuple(item for number, item in enumerate(found) if bits >> number & 1) if bits else ()
