# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ISE objects between their wire form and the canonical bodies of enforce/model.py. Pure.

Canonical form of a cell (facts/ise.md section 4): a built-in Permit IP or Deny IP at the end of the SGACLs and the field
``defaultRule`` are one thing; names instead of ids; order kept; server-set names and generations left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import IDENTIFIER, name_finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import understood
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_forms import (
    canonical_condition,
    canonical_host,
    free_names,
    more_faults,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_kinds import (
    CELL_KINDS,
    CORE_KINDS,
    DESCRIPTION_LIMIT,
    KIND_TABLE,
    MORE_KINDS,
    OWNERSHIP,
    owned,
)

KINDS = CORE_KINDS
BUILT_IN_TAILS = {"Permit IP": "PERMIT_IP", "Deny IP": "DENY_IP"}
# Not in the list of SGTs, but cells use them (facts/ise.md section 1.6).
FIXED_SGTS = {"92bb1950-8c01-11e6-996c-525400b48521": "ANY", "92adf9f0-8c01-11e6-996c-525400b48521": "Unknown"}
STATUSES = ("DISABLED", "ENABLED", "MONITOR")
RULES = ("NONE", "DENY_IP", "PERMIT_IP")
ACCEPT = "ACCESS_ACCEPT"
ACCESS_TYPES = (ACCEPT, "ACCESS_REJECT")
DACL_TYPES = ("IPV4", "IPV6", "IP_AGNOSTIC")
SGT_LOWEST, SGT_HIGHEST = 2, 65519
# Set by the server; a PUT that names them is refused or ignored.
SERVER_FIELDS = frozenset(("link", "generationId", "isReadOnly", "readOnly"))


def canonical_content(text: str) -> str:
    """Return list text with LF, trimmed lines and no empty ones: what ISE keeps of white space is not known (facts/ise.md section 3)."""
    lines = (" ".join(line.split()) for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    return "\n".join(line for line in lines if line)


def canonical_body(
    kind: str, wire: Mapping[str, Any], sgts: Mapping[str, str], sgacls: Mapping[str, str]
) -> dict[str, Any]:
    """Return an object's canonical body with ``owned`` and ``internal``; the mappings give names by id."""
    description = str(wire.get("description") or "")
    body: dict[str, Any] = {
        "description": description,
        "owned": owned(description),
        "internal": {"id": str(wire["id"])},
    }
    if kind == "sgt":
        body["value"] = int(wire["value"])
    elif kind == "sgacl":
        body["ip_version"] = str(wire.get("ipVersion") or "IPV4")
        body["content"] = canonical_content(str(wire.get("aclcontent") or ""))
    elif kind == "downloadable_acl":
        body["dacl_type"] = str(wire.get("daclType") or "IPV4")
        body["content"] = canonical_content(str(wire.get("dacl") or ""))
    elif kind == "authorization_profile":
        body["access_type"] = str(wire.get("accessType") or ACCEPT)
        body["dacl_name"] = str(wire.get("daclName") or "")
        body["ipv6_dacl_name"] = str(wire.get("ipv6DaclName") or "")
    else:
        body.update(_canonical_cell(wire, sgts, sgacls))
    return body


def _canonical_cell(wire: Mapping[str, Any], sgts: Mapping[str, str], sgacls: Mapping[str, str]) -> dict[str, Any]:
    def sgt(field: str) -> str:
        identifier = str(wire.get(field))
        return sgts.get(identifier) or FIXED_SGTS.get(identifier) or identifier

    names = [sgacls.get(str(identifier), str(identifier)) for identifier in wire.get("sgacls") or ()]
    rule = str(wire.get("defaultRule") or "NONE")
    if names and names[-1] in BUILT_IN_TAILS:
        rule = BUILT_IN_TAILS[names.pop()]
    return {
        "source": sgt("sourceSgtId"),
        "destination": sgt("destinationSgtId"),
        "status": str(wire.get("matrixCellStatus") or ""),
        "sgacls": names,
        "default_rule": rule,
    }


def wire_fields(
    kind: str, name: str, body: Mapping[str, Any], sgts: Mapping[str, str], sgacls: Mapping[str, str]
) -> dict[str, Any]:
    """Return the fields to send for a canonical body; the mappings give ids by name.

    FindingError SW4227 where a cell names an SGT or SGACL that does not exist.
    """
    fields: dict[str, Any] = {"description": str(body.get("description", ""))}
    if kind == "sgt":
        return {**fields, "name": name, "value": body["value"]}
    if kind == "sgacl":
        return {**fields, "name": name, "ipVersion": body["ip_version"], "aclcontent": body["content"]}
    if kind == "downloadable_acl":
        return {**fields, "name": name, "daclType": body["dacl_type"], "dacl": body["content"]}
    if kind == "authorization_profile":
        named = {"ipv6DaclName": body["ipv6_dacl_name"]} if body.get("ipv6_dacl_name") else {}
        access = str(body.get("access_type") or ACCEPT)
        return {**fields, "name": name, "accessType": access, "daclName": body["dacl_name"], **named}
    fixed = {value: key for key, value in FIXED_SGTS.items()}
    ids = [sgts.get(body[end]) or fixed.get(body[end]) for end in ("source", "destination")]
    lists = [sgacls.get(each) for each in body["sgacls"]]
    absent = [
        name
        for name, found in zip([body["source"], body["destination"], *body["sgacls"]], [*ids, *lists], strict=True)
        if not found
    ]
    if absent:
        raise FindingError(codes.MISSING_REFERENCE.at(f"cell {name}: {', '.join(absent)}"))
    return {
        **fields,
        "sourceSgtId": ids[0],
        "destinationSgtId": ids[1],
        "matrixCellStatus": body["status"],
        "defaultRule": body["default_rule"],
        "sgacls": lists,
    }


def merged_wire(wire: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the whole body of a PUT: what the object has now, with our fields over it."""
    kept = {key: value for key, value in wire.items() if key not in SERVER_FIELDS}
    if "daclName" in fields and kept.get("ipv6DaclName"):
        # An IPv6 list that the policy no longer wants. Left out it might stay: what ISE does with absent fields is not known.
        kept["ipv6DaclName"] = ""
    return {**kept, **fields}


def canonical_desired(item: DesiredObject) -> dict[str, Any]:
    """Return a desired body in canonical form: texts, defaults, and without what only says that something is allowed."""
    body = {key: value for key, value in item.body.items() if key not in ("content", "allow_port_actions")}
    if "content" in item.body:
        body["content"] = canonical_content(str(item.body["content"]))
    if item.kind == "authorization_profile":
        body = {"access_type": ACCEPT, "ipv6_dacl_name": "", **body}
    elif item.kind == "anc_policy":
        body["actions"] = sorted(str(action) for action in body["actions"])
    elif item.kind == "ip_sgt_mapping":
        body["host"] = canonical_host(str(body["host"]))
    elif item.kind == "authorization_rule":
        body["condition"] = canonical_condition(body["condition"])
    return body


def body_findings(item: DesiredObject) -> list[Any]:
    """Return why a desired object must not be sent: names, values and texts that ISE does not check itself (facts/ise.md section 2.3)."""
    found: list[str] = []
    body = item.body
    if item.kind in CORE_KINDS and item.kind != "egress_matrix_cell":
        named = name_finding(item.name, IDENTIFIER, f"{item.kind} name")
        if named is not None:
            return [named]
    if len(str(body.get("description", ""))) > DESCRIPTION_LIMIT:
        found.append(f"description is longer than {DESCRIPTION_LIMIT} characters")
    if KIND_TABLE[item.kind].marked and not owned(str(body.get("description", ""))):
        found.append(f"description does not begin with {OWNERSHIP!r}")
    if item.kind in MORE_KINDS and item.kind not in CELL_KINDS:
        found += more_faults(item)
    if item.kind == "authorization_profile" and body.get("access_type", ACCEPT) not in ACCESS_TYPES:
        found.append(f"access_type {body['access_type']!r} is not one of {', '.join(ACCESS_TYPES)}")
    if item.kind == "sgt" and not (isinstance(body["value"], int) and SGT_LOWEST <= body["value"] <= SGT_HIGHEST):
        found.append(f"value {body['value']!r} is not from {SGT_LOWEST} to {SGT_HIGHEST}")
    if item.kind in ("sgacl", "downloadable_acl"):
        field = "ip_version" if item.kind == "sgacl" else "dacl_type"
        if body[field] not in DACL_TYPES:
            found.append(f"{field} {body[field]!r} is not one of {', '.join(DACL_TYPES)}")
        reason = understood("sgacl" if item.kind == "sgacl" else "dacl", str(body["content"]))
        if reason:
            found.append(f"content is not understood: {reason}")
    if item.kind in CELL_KINDS:
        found += _cell_faults(item)
    return [codes.BAD_BODY.at(f"{item.kind} {item.name}: {text}") for text in found]


def _cell_faults(item: DesiredObject) -> list[str]:
    body = item.body
    faults = [
        f"{field} {body[field]!r}"
        for field, words in (("status", STATUSES), ("default_rule", RULES))
        if body[field] not in words
    ]
    if any(name in BUILT_IN_TAILS for name in body["sgacls"]):
        faults.append("a built-in stands in sgacls; say default_rule")
    if "ANY" in (body["source"], body["destination"]):
        faults.append("the ANY cells hit the whole deployment and are never written")
    matrix = f"@{body['matrix']}" if item.kind == "matrix_cell" else ""
    if item.name != f"{body['source']}-{body['destination']}{matrix}":
        faults.append("the name is not SOURCE-DESTINATION, with @MATRIX beside the production matrix")
    if item.kind == "matrix_cell":
        faults += free_names([body["matrix"]], "matrix")
    return faults
