# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SW26xx: guardrails, workflows and expectations."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.codes import UNSAFE_NAME
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import ACL_NAME, name_finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import ANY, Expectation, Guardrail, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.outline import outlines_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ranges import (
    ends_overlap,
    is_end,
    services_overlap,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ruling import Context, rule


@rule(UNSAFE_NAME)
def names_of_statements(site: Site, _context: Context) -> Iterator[Finding]:
    """Ids of guardrails, workflows, expectations and rings are legal names."""
    groups = (
        ("guardrail", site.guardrails),
        ("workflow", site.workflows),
        ("expectation", site.expectations),
        ("ring", site.rings),
    )
    for what, items in groups:
        for item in items:
            finding = name_finding(item.id, ACL_NAME, what, item.location)
            if finding:
                yield finding


@rule(codes.DUPLICATE_ID)
def ids_stand_once(site: Site, _context: Context) -> Iterator[Finding]:
    """Ids of guardrails, of workflows and of expectations stand once each."""
    for what, items in (
        ("guardrail", site.guardrails),
        ("workflow", site.workflows),
        ("expectation", site.expectations),
    ):
        seen: set[str] = set()
        for item in items:
            if item.id in seen:
                yield codes.DUPLICATE_ID.at(f"{what} {item.id} stands twice", item.location)
            seen.add(item.id)


@rule(codes.GUARDRAIL_UNKNOWN)
def guardrails_name_what_exists(site: Site, _context: Context) -> Iterator[Finding]:
    """A guardrail names segments, zones, network sets and services that exist."""
    for item in site.guardrails:
        for end in (item.client, item.server):
            if not is_end(site, end):
                text = f"guardrail {item.id}: {end} is no segment, network set or zone:NAME"
                yield codes.GUARDRAIL_UNKNOWN.at(text, item.location)
        for name in item.services:
            if name != ANY and name not in site.services:
                text = f"guardrail {item.id}: service {name} is not defined"
                yield codes.GUARDRAIL_UNKNOWN.at(text, item.location)


@rule(codes.CONTRADICTION)
def guardrails_agree(site: Site, _context: Context) -> Iterator[Finding]:
    """Nothing must always and never be possible: no always shares clients, servers and services with a never."""
    never = [item for item in site.guardrails if item.must == "never"]
    for item in site.guardrails:
        if item.must != "always":
            continue
        for other in never:
            if _same_packets(site, item, other):
                text = f"guardrail {other.id} forbids what {item.id} demands"
                yield codes.CONTRADICTION.at(text, other.location)


def _same_packets(site: Site, first: Guardrail, second: Guardrail) -> bool:
    return (
        services_overlap(site, first.services, second.services)
        and ends_overlap(site, first.client, second.client)
        and ends_overlap(site, first.server, second.server)
    )


@rule(codes.WORKFLOW_RULE)
def workflows_name_rules(site: Site, _context: Context) -> Iterator[Finding]:
    """Every rule of a workflow exists."""
    known = {name for outline in outlines_of(site) for name in outline.ids}
    for workflow in site.workflows:
        for name in workflow.rules:
            if name not in known:
                text = (
                    f"workflow {workflow.id} ({workflow.name}; {workflow.owner}, {workflow.criticality}) needs rule {name},"
                    " and there is no such rule"
                )
                yield codes.WORKFLOW_RULE.at(text, workflow.location)


@rule(codes.EXPECTATION_END)
def expectations_name_ends(site: Site, _context: Context) -> Iterator[Finding]:
    """An expectation's ends are addresses, devices of the lock or segments."""
    ends = {end for item in site.expectations for end in (item.client, item.server) if end not in site.segments}
    unknown = {end for end in ends if end.lower() not in site.segments and not _is_address(end)}
    if unknown:
        devices = {name for found in site.members.values() for m in found for name in (m.device, m.name.lower())}
        unknown = {end for end in unknown if end not in devices and end.lower() not in devices}
    for item in site.expectations:
        for end in (item.client, item.server):
            if end in unknown:
                text = f"expectation {item.id}: {end} is no address, no device of the lock and no segment"
                yield codes.EXPECTATION_END.at(text, item.location)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


@rule(codes.EXPECTATION_CLASH)
def expectations_agree(site: Site, _context: Context) -> Iterator[Finding]:
    """No conversation is expected to be permitted and denied."""
    seen: dict[tuple[object, ...], Expectation] = {}
    for item in site.expectations:
        key = (item.client.lower(), item.server.lower(), item.protocol, item.port, item.client_port)
        first = seen.setdefault(key, item)
        if first.expect != item.expect:
            text = f"expectation {item.id} says {item.expect} where {first.id} says {first.expect}"
            yield codes.EXPECTATION_CLASH.at(text, item.location)
