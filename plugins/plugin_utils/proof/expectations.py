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
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.verdict import Conversation, Evaluator


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
    clients, servers = addresses_of_end(site, item.client), addresses_of_end(site, item.server)
    if not clients or not servers:
        missing = item.server if clients else item.client
        text = f"expectation {item.id}: {missing} has no address"
        return ExpectationResult(item.id, item.expect, False, 0, text), codes.EXPECTATION_UNKNOWN.at(text, item.location)
    checked = 0
    for client_family, client in clients:
        for server_family, server in servers:
            if client_family != server_family or client == server:
                continue
            checked += 1
            port = item.client_port if item.client_port is not None else 49152
            conversation = Conversation(client_family, client, server, item.protocol, item.port, port)
            verdict = evaluator.verdict(conversation)
            if verdict.permitted == (item.expect == "permit"):
                continue
            deciding = verdict.deciding()
            says = "permitted" if verdict.permitted else "denied"
            by = f" by {deciding.label} of {deciding.list_name} at {deciding.point}" if deciding else "; no point sees it"
            text = f"expectation {item.id}: {conversation.forward().describe()} is {says}{by}"
            return ExpectationResult(item.id, item.expect, False, checked, text), codes.EXPECTATION_FAILED.at(text, item.location)
    return ExpectationResult(item.id, item.expect, True, checked), None
