# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Canonical forms of endpoint groups, assignments, authorization rules, IP-SGT mappings and ANC policies. Pure.

The other kinds are in ise_objects.py. Fields: Cisco's descriptions of ERS and of the policy interface (facts/ise.md section 1.6).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import HOST_NAME, IDENTIFIER
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.authorization import GROUP_PREFIX
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_kinds import named_as_ours, owned

MAC = re.compile(r"\A(?:[0-9A-F]{2}:){5}[0-9A-F]{2}\Z")
# Names that people gave: shown and compared, sent only inside JSON.
FREE_NAME = re.compile(r"""\A[^\x00-\x1f\x7f"\\]{1,128}\Z""")
DEPLOY_TYPES = ("ALL", "ND", "NDG")
RULE_STATES = ("enabled", "disabled", "monitor")
# Both spellings occur in Cisco's documents. They cut power and link of whatever hangs on the port.
PORT_ACTIONS = frozenset(("PORT_BOUNCE", "PORTBOUNCE", "SHUT_DOWN", "SHUTDOWN"))
ANC_ACTIONS = frozenset(("QUARANTINE", "RE_AUTHENTICATE", "REAUTHENTICATE")) | PORT_ACTIONS
CONDITION_TYPES = ("ConditionAttributes", "ConditionAndBlock", "ConditionOrBlock", "ConditionReference")
_CONDITION_FIELDS = ("dictionaryName", "attributeName", "operator", "attributeValue", "dictionaryValue", "name")


@dataclass(frozen=True)
class References:
    """Names by id of what the objects refer to, and the ids of endpoint groups that are ours."""

    sgts: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    owned_groups: frozenset[str] = frozenset()


def condition_groups(condition: Mapping[str, Any] | None) -> list[str]:
    """Return the endpoint groups that a condition asks for, anywhere in it and not negated."""
    if not condition or condition.get("isNegate"):
        return []
    value = str(condition.get("attributeValue", ""))
    found = [value[len(GROUP_PREFIX) :]] if is_group_condition(condition) else []
    for child in condition.get("children") or ():
        found += condition_groups(child)
    return found


def is_group_condition(condition: Mapping[str, Any]) -> bool:
    """Return whether a condition is just that an endpoint is in a group."""
    return (
        condition.get("conditionType") == "ConditionAttributes"
        and not condition.get("isNegate")
        and condition.get("dictionaryName") == "IdentityGroup"
        and condition.get("attributeName") == "Name"
        and condition.get("operator") == "equals"
        and str(condition.get("attributeValue", "")).startswith(GROUP_PREFIX)
    )


def canonical_condition(condition: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a condition without what the server adds (ids, links, nulls); an empty one for no condition. Order of children is kept."""
    if not condition:
        return {}
    made: dict[str, Any] = {
        "conditionType": str(condition.get("conditionType", "")),
        "isNegate": truth(condition.get("isNegate")),
    }
    for key in _CONDITION_FIELDS:
        if condition.get(key) not in (None, ""):
            made[key] = str(condition[key])
    if condition.get("children"):
        made["children"] = [canonical_condition(child) for child in condition["children"]]
    if made["conditionType"] == "ConditionReference" and condition.get("id") and "name" not in made:
        made["id"] = str(condition["id"])
    return made


def truth(value: Any) -> bool:
    """Return a truth value that may come as text."""
    return value is True or str(value).lower() == "true"


def canonical_more(kind: str, wire: Mapping[str, Any], refs: References, scope: str = "") -> dict[str, Any] | None:
    """Return an object's canonical body with ``owned`` and ``internal``; None for an endpoint that nobody assigned.

    ``scope`` is the policy set of a rule. The rank of a rule is internal: it moves when others come and go.
    """
    if kind == "authorization_rule":
        return _rule(wire, scope)
    name, description = str(wire.get("name", "")), str(wire.get("description") or "")
    body: dict[str, Any] = {"internal": {"id": str(wire["id"])}}
    if kind == "endpoint":
        if not truth(wire.get("staticGroupAssignment")):
            return None
        group = str(wire.get("groupId") or "")
        ours = owned(description) or group in refs.owned_groups
        return {**body, "group": refs.groups.get(group, group), "description": description, "owned": ours}
    if kind == "endpoint_group":
        parent = str(wire.get("parentId") or "")
        return {
            **body,
            "parent": refs.groups.get(parent, parent),
            "description": description,
            "owned": owned(description),
        }
    body |= {"description": "", "owned": named_as_ours(name)}
    if kind == "anc_policy":
        return {**body, "actions": sorted(str(action) for action in wire.get("actions") or ())}
    sgt = str(wire.get("sgt") or "")
    return {
        **body,
        "host": canonical_host(str(wire.get("hostIp") or wire.get("hostName") or "")),
        "sgt": refs.sgts.get(sgt, sgt.split(" (", maxsplit=1)[0]),
        "deploy_type": str(wire.get("deployType") or "ALL"),
        "deploy_to": str(wire.get("deployTo") or ""),
    }


def _rule(wire: Mapping[str, Any], policy_set: str) -> dict[str, Any]:
    rule = wire["rule"]
    return {
        "policy_set": policy_set,
        "state": str(rule.get("state") or "enabled"),
        "condition": canonical_condition(rule.get("condition")),
        "profiles": [str(name) for name in wire.get("profile") or ()],
        "security_group": str(wire.get("securityGroup") or ""),
        "description": "",
        "owned": named_as_ours(str(rule.get("name", ""))),
        "internal": {
            "id": str(rule.get("id", "")),
            "rank": int(rule.get("rank") or 0),
            "below": list(wire.get("_below", ())),
        },
    }


def canonical_host(host: str) -> str:
    """Return an address or prefix in its shortest form, a host's prefix as the address; a host name in lower case."""
    try:
        network = ipaddress.ip_network(host, strict=False)
    except ValueError:
        return host.lower()
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def more_fields(
    kind: str, name: str, body: Mapping[str, Any], sgts: Mapping[str, str], groups: Mapping[str, str]
) -> dict[str, Any]:
    """Return the fields to send for a canonical body; the mappings give ids by name. FindingError SW4227 where one is missing."""
    if kind == "endpoint_group":
        parent = {"parentId": _known(groups, body["parent"], kind, name)} if body.get("parent") else {}
        return {"name": name, "description": str(body.get("description", "")), "systemDefined": False, **parent}
    if kind == "endpoint":
        return {"mac": name, "groupId": _known(groups, body["group"], kind, name), "staticGroupAssignment": True}
    if kind == "anc_policy":
        return {"name": name, "actions": list(body["actions"])}
    if kind == "ip_sgt_mapping":
        host = str(body["host"])
        where = "hostIp" if is_address(host) else "hostName"
        to = {"deployTo": body["deploy_to"]} if body.get("deploy_to") else {}
        fields = {"name": name, where: host, "sgt": _known(sgts, body["sgt"], kind, name)}
        return {**fields, "deployType": body["deploy_type"], **to}
    return {
        "rule": {
            "name": rule_name(name),
            "default": False,
            "state": body["state"],
            "condition": dict(body["condition"]),
        },
        "profile": list(body["profiles"]),
        "securityGroup": body["security_group"] or None,
    }


def is_address(host: str) -> bool:
    """Return whether a text is an address or prefix rather than a name."""
    try:
        ipaddress.ip_network(host, strict=False)
    except ValueError:
        return False
    return True


def rule_name(name: str) -> str:
    """Return a rule's own name without the policy set (``RULE@SET``)."""
    return name.split("@", maxsplit=1)[0]


def _known(ids: Mapping[str, str], name: str, kind: str, owner: str) -> str:
    found = ids.get(name)
    if found is None:
        raise FindingError(codes.MISSING_REFERENCE.at(f"{kind} {owner}: {name}"))
    return found


def more_faults(item: DesiredObject) -> list[str]:
    """Return why a desired object must not be sent."""
    body, faults = item.body, []
    if item.kind == "endpoint":
        faults += [] if MAC.match(item.name) else [f"{item.name[:40]!r} is not a MAC address like AA:BB:CC:00:11:22"]
        faults += free_names([body["group"]], "group")
    elif item.kind == "endpoint_group":
        faults += _identifier(item.name) + (free_names([body["parent"]], "parent") if body.get("parent") else [])
    elif item.kind == "anc_policy":
        faults += _identifier(item.name) + _anc_faults(body)
    elif item.kind == "ip_sgt_mapping":
        faults += _identifier(item.name) + _mapping_faults(body)
    else:
        faults += _rule_faults(item)
    if item.kind in ("anc_policy", "ip_sgt_mapping", "authorization_rule") and not named_as_ours(item.name):
        faults.append("it has no description for our mark, so its name must begin with SW_")
    return faults


def _identifier(name: str) -> list[str]:
    return [] if IDENTIFIER.match(name) else [f"name {name[:80]!r} has characters or a length that are not allowed"]


def free_names(names: Iterable[Any], what: str) -> list[str]:
    """Return a fault for each text that cannot be a name which people gave."""
    return [f"{what} {name!r:.80} is not a name" for name in names if not FREE_NAME.match(str(name))]


def _anc_faults(body: Mapping[str, Any]) -> list[str]:
    actions = list(body["actions"])
    faults = [f"action {action!r:.40} is not known" for action in actions if action not in ANC_ACTIONS]
    if not actions:
        faults.append("no action is given")
    ports = sorted(set(actions) & PORT_ACTIONS)
    if ports and not body.get("allow_port_actions"):
        faults.append(f"{', '.join(ports)} cuts off everything on the port; allow_port_actions was not given")
    return faults


def _mapping_faults(body: Mapping[str, Any]) -> list[str]:
    host = str(body["host"])
    faults = [] if is_address(host) or HOST_NAME.match(host) else [f"host {host[:80]!r} is neither address nor name"]
    if body["deploy_type"] not in DEPLOY_TYPES:
        faults.append(f"deploy_type {body['deploy_type']!r} is not one of {', '.join(DEPLOY_TYPES)}")
    elif (body["deploy_type"] == "ALL") == bool(body.get("deploy_to")):
        faults.append("deploy_to is for deploy_type ND or NDG, and needed there")
    return faults


def _rule_faults(item: DesiredObject) -> list[str]:
    body = item.body
    faults = _identifier(rule_name(item.name)) + free_names([body["policy_set"]], "policy_set")
    if item.name != f"{rule_name(item.name)}@{body['policy_set']}":
        faults.append("the name is not RULE@POLICY_SET")
    if body["state"] not in RULE_STATES:
        faults.append(f"state {body['state']!r} is not one of {', '.join(RULE_STATES)}")
    if not body["profiles"] and not body["security_group"]:
        faults.append("it gives neither profile nor security group")
    faults += free_names(
        [*body["profiles"], *([body["security_group"]] if body["security_group"] else [])], "reference"
    )
    return faults + condition_faults(body["condition"])


def condition_faults(condition: Any, depth: int = 0) -> list[str]:
    """Return what is wrong with a condition. A rule of ours always has one: without it the rule would catch everybody."""
    if not isinstance(condition, Mapping) or condition.get("conditionType") not in CONDITION_TYPES:
        return [f"condition is not of type {', '.join(CONDITION_TYPES)}"]
    if depth > 8:
        return ["condition is nested more than 8 deep"]
    if condition["conditionType"] in ("ConditionAndBlock", "ConditionOrBlock"):
        children = condition.get("children") or ()
        if not children:
            return ["a block of conditions is empty"]
        return [fault for child in children for fault in condition_faults(child, depth + 1)]
    needed = ("dictionaryName", "attributeName", "operator", "attributeValue")
    if condition["conditionType"] == "ConditionAttributes":
        return [f"condition has no {key}" for key in needed if not condition.get(key)]
    return [] if condition.get("id") or condition.get("name") else ["condition refers to nothing"]
