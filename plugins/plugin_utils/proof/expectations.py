# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Expectations: policy unit tests written by people, evaluated one conversation at a time."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import (
    ListCache,
    key_of,
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
    site: Site, lists: Sequence[PointList], cache: ListCache | None = None
) -> tuple[list[ExpectationResult], list[Finding]]:
    """Return one result per expectation, and an error for each that is not met.

    ``cache``: that with which the lists were made; what was met by lists of just this content is not asked again.
    """
    if not site.expectations:
        return [], []
    evaluator = Evaluator(site, lists)
    results: list[ExpectationResult] = []
    findings: list[Finding] = []
    for expectation in site.expectations:
        result, finding = _check(site, evaluator, expectation, cache)
        results.append(result)
        if finding is not None:
            findings.append(finding)
    return results, findings


def _check(
    site: Site, evaluator: Evaluator, item: Expectation, cache: ListCache | None
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
    if fact and cache is not None and cache.holds(fact):
        return ExpectationResult(item.id, item.expect, True, len(pairs)), None
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
    return ExpectationResult(item.id, item.expect, True, len(pairs)), None


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
        listing = evaluator.lists[number]
        pieces = pieces_of(listing)
        if pieces is not None:
            senders = {
                name
                for one, each in zip(conversations, asked, strict=True)
                for _number, _way, packet in (item for item in each if item[0] == number)
                for name in evaluator.segments_of(one.family, packet.source)
            }
            own = [(name, pieces.key(name)) for name in pieces.concerned(senders)]
            keys[number] = key_of(pieces.frame_key, own)
        elif list_key(listing):
            keys[number] = list_key(listing)
        else:
            return ""
        keys[number] += str(enforces(listing))
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
