# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Expectations: policy unit tests written by people, evaluated one conversation at a time."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import (
    ListCache,
    key_of,
    key_of_texts,
    list_key,
    pieces_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Expectation, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import USUAL_CLIENT_PORT
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.points import enforces
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.verdict import (
    TCP,
    Conversation,
    Evaluator,
    Verdict,
)

EXPECTED = {"permit": "permitted", "deny": "denied"}


@dataclass(frozen=True)
class ExpectationResult:
    """Outcome of one expectation over every pair of its ends' addresses."""

    id: str
    expect: str
    met: bool
    checked: int
    detail: str = ""


def addresses_of_end(site: Site, end: str) -> list[tuple[int, int]]:
    """Return (family, address) of an address, a device id or name of the membership, or a segment's members."""
    try:
        address = ipaddress.ip_address(end)
        return [(address.version, int(address))]
    except ValueError:
        pass
    members = list(site.members.get(end, ()))
    if not members:
        members = [m for group in site.members.values() for m in group if end.lower() in (m.device, m.name.lower())]
    found = [ipaddress.ip_address(text) for member in members for text in member.addresses]
    return [(address.version, int(address)) for address in found]


def check_expectations(
    site: Site, lists: Sequence[PointList], cache: ListCache | None = None, ground: str = ""
) -> tuple[list[ExpectationResult], list[Finding]]:
    """Return one result per expectation, and an error for each that is not met.

    ``cache``: that with which the lists were made; what was met by lists of just this content is not asked again. ``ground``: what tells
    apart the membership and all documents but those of segments, for a site in force as it was loaded. Which lists see a conversation
    depends on nothing else, so that with it they are not looked for again either.
    """
    if not site.expectations:
        return [], []
    known = _Known(cache, ground, lists) if cache is not None and ground else None
    results: list[ExpectationResult] = []
    findings: list[Finding] = []
    evaluator: Evaluator | None = None
    for expectation in site.expectations:
        met = known.met(expectation) if known is not None else None
        if met is not None:
            results.append(met)
            continue
        evaluator = evaluator or Evaluator(site, lists)
        result, finding = _check(site, evaluator, expectation, cache, known)
        results.append(result)
        if finding is not None:
            findings.append(finding)
    return results, findings


class _Known:
    """Expectations that were met: by which lists, and that these are as they were."""

    def __init__(self, cache: ListCache, ground: str, lists: Sequence[PointList]) -> None:
        self._cache, self._ground, self._lists = cache, ground, lists

    @cached_property
    def _by_name(self) -> dict[tuple[str, str], PointList]:
        return {(item.point, item.name): item for item in self._lists}

    def met(self, item: Expectation) -> ExpectationResult | None:
        """Return the result of an expectation that was met by just these lists, else None."""
        place = self._place(item)
        found = self._cache.known_sum(place)
        if not found:
            return None
        pairs, names, senders = json.loads(found)
        lists = [self._by_name.get((point, name)) for point, name in names]
        keys = [_content(each, senders) if each is not None else "" for each in lists]
        if not all(keys) or not self._cache.holds(key_of("expectation met", place, found, keys)):
            return None
        return ExpectationResult(item.id, item.expect, True, pairs)

    def keep(self, item: Expectation, pairs: int, lists: Iterable[PointList], senders: Iterable[str]) -> None:
        """Keep that an expectation is met by some lists, which are all that see its conversations; of a firewall the parts of senders."""
        place, every, some = self._place(item), list(lists), sorted(senders)
        keys = [_content(each, some) for each in every]
        found = json.dumps([pairs, [[each.point, each.name] for each in every], some])
        if all(keys):
            self._cache.keep_sum(place, found)
            self._cache.keep(key_of("expectation met", place, found, keys))

    @cached_property
    def _which(self) -> str:
        """The key of which lists there are: each may see a conversation."""
        return key_of_texts(*(f"{each.point}|{each.name}|{each.stage}" for each in self._lists))

    def _place(self, item: Expectation) -> str:
        return key_of("expectation", self._ground, self._which, item)


def _content(listing: PointList, senders: Iterable[str]) -> str:
    """Return the key of what a list holds for packets of some segments' devices, "" where it has none."""
    pieces = pieces_of(listing)
    if pieces is not None:
        made = key_of(pieces.frame_key, [(name, pieces.key(name)) for name in pieces.concerned(senders)])
    else:
        made = list_key(listing)
    return f"{made}{enforces(listing)}" if made else ""


def _check(
    site: Site, evaluator: Evaluator, item: Expectation, cache: ListCache | None, known: _Known | None = None
) -> tuple[ExpectationResult, Finding | None]:
    """A permit wants opener and reply to pass; a deny wants the opener, or for TCP its reply, to be stopped."""
    clients, servers = addresses_of_end(site, item.client), addresses_of_end(site, item.server)
    pairs = [(c, s) for c in clients for s in servers if c[0] == s[0] and c != s]
    if not pairs:
        missing = item.client if not clients else item.server
        lack = (
            "has no address" if not clients or not servers else f"and {item.client} have no two addresses of one family"
        )
        text = f"expectation {item.id}: {missing} {lack}"
        return ExpectationResult(item.id, item.expect, False, 0, text), codes.EXPECTATION_UNKNOWN.at(
            text, item.location
        )
    port = item.client_port if item.client_port is not None else USUAL_CLIENT_PORT
    conversations = [
        Conversation(family, client, server, item.protocol, item.port, port)
        for (family, client), (_family, server) in pairs
    ]
    asked = [evaluator.asked(conversation) for conversation in conversations]
    fact = _fact(evaluator, item, conversations, asked) if cache is not None else ""

    def met() -> tuple[ExpectationResult, None]:
        if known is not None:
            numbers = sorted({number for seen in asked for number, _way, _packet in seen})
            senders = {
                name
                for one in conversations
                for end in (one.client, one.server)
                for name in evaluator.segments_of(one.family, end)
            }
            known.keep(item, len(pairs), [evaluator.lists[number] for number in numbers], senders)
        return ExpectationResult(item.id, item.expect, True, len(pairs)), None

    if fact and cache is not None and cache.holds(fact):
        return met()
    for checked, (conversation, seen) in enumerate(zip(conversations, asked, strict=True), 1):
        stops = [way for number, way, packet in seen if not evaluator.passes(number, packet)]
        # What counts as permitted and as blocked: ``Verdict``.
        if not stops if item.expect == "permit" else bool(stops) and (item.protocol == TCP or 0 in stops):
            continue
        verdict = evaluator.verdict(conversation)
        why = f": {item.reason}" if item.reason else ""
        text = (
            f"expectation {item.id}: {conversation.forward().describe()} {_says(verdict)}."
            f" {item.client} to {item.server} is expected to be {EXPECTED[item.expect]}{why}"
        )
        return ExpectationResult(item.id, item.expect, False, checked, text), codes.EXPECTATION_FAILED.at(
            text, item.location
        )
    if fact and cache is not None:
        cache.keep(fact)
    return met()


def _fact(
    evaluator: Evaluator,
    item: Expectation,
    conversations: Sequence[Conversation],
    asked: Sequence[Sequence[tuple[int, int, Packet]]],
) -> str:
    """Return the key of all that decides whether an expectation is met; "" where a list has no key.

    That is what is expected, each conversation, the lists that see it, and what they hold.
    """
    keys: dict[int, str] = {}
    for number in {number for seen in asked for number, _way, _packet in seen}:
        senders = {
            name
            for one, each in zip(conversations, asked, strict=True)
            for _number, _way, packet in (item for item in each if item[0] == number)
            for name in evaluator.segments_of(one.family, packet.source)
        }
        keys[number] = _content(evaluator.lists[number], senders)
        if not keys[number]:
            return ""
    seen = [[(keys[number], way) for number, way, _packet in each] for each in asked]
    ends = [(one.family, one.client, one.server) for one in conversations]
    ports = {
        (one.protocol, one.server_port, one.client_port) for one in conversations
    }  # of one expectation, all the same
    return key_of("expectation", item.expect, sorted(ports), ends, seen)


def _says(verdict: Verdict) -> str:
    deciding = verdict.deciding()
    if deciding is None:
        return "is permitted; no point sees it"
    by = f"by {deciding.label} of {deciding.list_name} at {deciding.point}"
    if verdict.permitted:
        return f"is permitted {by}"
    return f"is denied {by}" if verdict.blocked else f"arrives, and only its reply is stopped, {by}"
