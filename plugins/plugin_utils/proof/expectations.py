# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Expectations: policy unit tests written by people, evaluated one conversation at a time."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Expectation, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import USUAL_CLIENT_PORT
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.verdict import Conversation, Evaluator, Verdict

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


def check_expectations(site: Site, lists: Sequence[PointList]) -> tuple[list[ExpectationResult], list[Finding]]:
    """Return one result per expectation, and an error for each that is not met."""
    evaluator = Evaluator(site, lists)
    results: list[ExpectationResult] = []
    findings: list[Finding] = []
    for expectation in site.expectations:
        result, finding = _check(site, evaluator, expectation)
        results.append(result)
        if finding is not None:
            findings.append(finding)
    return results, findings


def _check(site: Site, evaluator: Evaluator, item: Expectation) -> tuple[ExpectationResult, Finding | None]:
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
    for checked, ((family, client), (_family, server)) in enumerate(pairs, 1):
        conversation = Conversation(family, client, server, item.protocol, item.port, port)
        verdict = evaluator.verdict(conversation)
        if verdict.permitted if item.expect == "permit" else verdict.blocked:
            continue
        why = f": {item.reason}" if item.reason else ""
        text = (
            f"expectation {item.id}: {conversation.forward().describe()} {_says(verdict)}."
            f" {item.client} to {item.server} is expected to be {EXPECTED[item.expect]}{why}"
        )
        return ExpectationResult(item.id, item.expect, False, checked, text), codes.EXPECTATION_FAILED.at(
            text, item.location
        )
    return ExpectationResult(item.id, item.expect, True, len(pairs)), None


def _says(verdict: Verdict) -> str:
    deciding = verdict.deciding()
    if deciding is None:
        return "is permitted; no point sees it"
    by = f"by {deciding.label} of {deciding.list_name} at {deciding.point}"
    if verdict.permitted:
        return f"is permitted {by}"
    return f"is denied {by}" if verdict.blocked else f"arrives, and only its reply is stopped, {by}"
