# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Explain one conversation: what every list on its way says, by which rule, file and line."""

from __future__ import annotations

from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.build import PROTOCOLS
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.expectations import addresses_of_end
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import address_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.verdict import Conversation, Evaluator
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import paths_of, today_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.site import sound_site


def run_explain(values: dict[str, Any]) -> dict[str, Any]:
    """Return the verdicts for the first address of each end."""
    sound = sound_site(paths_of(values), today_of(values))
    protocol, port, client_port = _flow(sound.site, values)
    client, server = _end(sound.site, values["client"]), _end(sound.site, values["server"])
    if client[0] != server[0]:
        raise FindingError(codes.END_UNKNOWN.at("client and server have addresses of different families"))
    conversation = Conversation(client[0], client[1], server[1], protocol, port, client_port)
    verdict = Evaluator(sound.site, sound.compiled.lists).verdict(conversation)
    deciding = verdict.deciding()
    says = "permitted" if verdict.permitted else "denied"
    by = (
        f" by {deciding.label} of list {deciding.list_name} at {deciding.point}"
        if deciding
        else ": no enforcement point sees it"
    )
    if deciding and deciding.origin.location.file:
        by += f" ({deciding.origin.location})"
    return {
        "changed": False,
        "permitted": verdict.permitted,
        "covered": verdict.covered,
        "client_address": address_text(*client),
        "server_address": address_text(*server),
        "points": [item.as_dict() for item in verdict.points],
        "summary": f"{conversation.forward().describe()} is {says}{by}",
    }


def _end(site: Site, name: str) -> tuple[int, int]:
    found = addresses_of_end(site, name)
    if not found:
        raise FindingError(codes.END_UNKNOWN.at(f"{name[:80]!r} has no address in the membership"))
    return found[0]


def _flow(site: Site, values: dict[str, Any]) -> tuple[int, int, int]:
    client_port = int(values.get("client_port") or 49152)
    name = values.get("service")
    if name:
        if name not in site.services:
            raise FindingError(codes.BAD_ARGUMENT.at(f"service: the site has no service {str(name)[:80]!r}"))
        service = site.services[name]
        match = service.matches[0]
        port = match.ports[0][0] if match.ports else (match.icmp_type or 0) * 256 + (match.icmp_code or 0)
        return match.protocol, port, port if service.symmetric else client_port
    text = str(values.get("protocol") or "")
    protocol = PROTOCOLS.get(text, int(text) if text.isdigit() and int(text) < 256 else -1)
    if protocol < 0:
        raise FindingError(
            codes.BAD_ARGUMENT.at("give a service, or a protocol (tcp, udp, icmp or a number) and a port")
        )
    return protocol, int(values.get("port") or 0), client_port
