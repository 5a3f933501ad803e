# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What binds a segment's devices to its lists and tag in ISE: group, rule, assignments, mappings, ANC policies.

Only for points that ask for it (``authorization``, ``mappings``, ``anc_policies`` in enforcement.yml).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject, PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.naming import (
    group_name,
    owned_name,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import EnforcementPoint, Site

GROUP_PREFIX = "Endpoint Identity Groups:"
# What ISE ships for access without a list: the SGT does the rest.
PERMIT_PROFILE = "PermitAccess"
DEFAULT_POLICY_SET = "Default"
_MAC = re.compile(r"\A(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\Z")


def group_condition(group: str) -> dict[str, Any]:
    """Return the condition, in the fields of ISE's policy interface, that an endpoint is in a group."""
    return {
        "conditionType": "ConditionAttributes",
        "isNegate": False,
        "dictionaryName": "IdentityGroup",
        "attributeName": "Name",
        "operator": "equals",
        "attributeValue": f"{GROUP_PREFIX}{group}",
    }


def authorization_objects(
    site: Site, lists: Sequence[PointList], mark: str
) -> tuple[list[tuple[str, DesiredObject]], list[Finding]]:
    """Return (host, object) for each point that binds its segments, and a finding for devices that cannot be bound.

    ``mark`` begins every description. One segment has one rule in a policy set: it hands out the profile of the segment's downloadable
    ACL and the SGT of its matrix, as far as the same ISE has them.
    """
    made: list[tuple[str, DesiredObject]] = []
    findings: list[Finding] = []
    for point in _points(site):
        segments = sorted(
            name for name, item in site.assignments.items() if point.id in item.points and item.stage != "observe"
        )
        for segment in segments:
            if "authorization" in point.options:
                objects, found = _bound(site, lists, point, segment, mark)
                made += [(point.host, item) for item in objects]
                findings += found
            if point.options.get("mappings"):
                made += [(point.host, item) for item in _mappings(site, segment)]
        if segments and point.options.get("anc_policies"):
            made += [(point.host, item) for item in _anc_policies(site)]
    return made, list(dict.fromkeys(findings))


def _points(site: Site) -> Iterator[EnforcementPoint]:
    for _name, point in sorted(site.points.items()):
        if point.platform == "ise":
            yield point


def _bound(
    site: Site, lists: Sequence[PointList], point: EnforcementPoint, segment: str, mark: str
) -> tuple[list[DesiredObject], list[Finding]]:
    options = point.options["authorization"]
    policy_set, group = str(options.get("policy_set", DEFAULT_POLICY_SET)), owned_name(segment)
    description = f"{mark} segment {segment}"
    here = [listing for listing in lists if listing.host == point.host and listing.platform == "ise"]
    profiles = sorted(
        {item.name for item in here if item.kind == "dacl" and item.segment == segment and item.family == 4}
    )
    tagged = any(item.kind == "sgacl" and segment in (item.segment, item.peer) for item in here)
    rule: dict[str, Any] = {
        "policy_set": policy_set,
        "state": "enabled",
        "condition": group_condition(group),
        "profiles": profiles or [PERMIT_PROFILE],
        "security_group": group_name(site, segment) if tagged else "",
        "description": "",
    }
    if options.get("before"):
        rule["before"] = str(options["before"])
    made = [
        DesiredObject("endpoint_group", group, {"parent": "", "description": description}),
        DesiredObject("authorization_rule", f"{group}@{policy_set}", rule),
    ]
    if options.get("endpoints", "assigned") != "assigned":
        return made, []
    unknown = []
    for member in site.members.get(segment, ()):
        if _MAC.match(member.device):
            made.append(DesiredObject("endpoint", member.device.upper(), {"group": group, "description": description}))
        else:
            unknown.append(member.name or member.device)
    if not unknown:
        return made, []
    text = f"segment {segment}: {len(unknown)} without a MAC address as their id: {', '.join(sorted(unknown)[:5])}"
    return made, [codes.NO_MAC.at(text, point.location)]


def _mappings(site: Site, segment: str) -> list[DesiredObject]:
    """Return a static mapping for each address of a segment's devices, for switches that learn tags from ISE and not from a login."""
    made = []
    for address in sorted({address for member in site.members.get(segment, ()) for address in member.addresses}):
        network = ipaddress.ip_network(address, strict=False)
        host = str(network.network_address if network.num_addresses == 1 else network)
        body = {
            "host": host,
            "sgt": group_name(site, segment),
            "deploy_type": "ALL",
            "deploy_to": "",
            "description": "",
        }
        made.append(DesiredObject("ip_sgt_mapping", owned_name(re.sub(r"[.:/]+", "_", host).strip("_")), body))
    return made


def _anc_policies(site: Site) -> list[DesiredObject]:
    """Return a policy for each posture that isolates: ISE authenticates again under it, and no port is bounced or shut."""
    return [
        DesiredObject("anc_policy", owned_name(name), {"actions": ["QUARANTINE"], "description": ""})
        for name, posture in sorted(site.postures.items())
        if posture.kind == "isolate"
    ]
