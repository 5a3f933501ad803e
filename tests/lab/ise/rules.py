# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""State rules of the emulated ISE: what a create, an update and a delete do, and what they refuse.

Sources: facts/ise.md section 1.3 (errors), 1.6 (shapes), 3 (DACL), 4 (SGACL and matrix), 7 items 7-9.
"""

from __future__ import annotations

import copy
import re
from typing import Any

from tests.lab.evaluate import list_family, parse_acl
from tests.lab.ise.cells import check_cell
from tests.lab.ise.resources import RESOURCES, UNKNOWN_GROUP
from tests.lab.ise.store import Object, Refused, Store
from tests.lab.ise.versions import has, missing_fields

CRUD = "CRUD operation exception"
MAPPINGS = ("sgmapping", "sgmappinggroup")
ANC_ACTIONS = (  # as the ERS description spells them, and as pxGrid does: both taken, read back as written (assumed)
    "QUARANTINE", "SHUTDOWN", "PORTBOUNCE", "REAUTHENTICATE", "SHUT_DOWN", "PORT_BOUNCE", "RE_AUTHENTICATE",
)  # fmt: skip
IMMUTABLE = {"generationId", "isReadOnly", "readOnly", "link", "id", "validateAclContent"}


def create(store: Store, path: str, body: dict[str, Any]) -> Object:
    """Add an object; returns it as stored. Raises Refused."""
    _refuse_by_mode(store, path, creating=True)
    _check_fields(store, path, body)
    item: Object = {"id": store.new_id(), "name": "", "description": ""}
    item.update({key: copy.deepcopy(value) for key, value in body.items() if key not in IMMUTABLE})
    _normalise(store, path, item, body)
    _check(store, path, item, None)
    if path in ("sgt", "sgacl"):
        item["generationId"] = "0"
    if path == "sgt":
        item.setdefault("isReadOnly", False)
        item.setdefault("propogateToApic", False)
        item.setdefault("defaultSGACLs", [])
    if path == "sgacl":
        item.setdefault("readOnly", False)
    if path == "downloadableacl":
        item["_modified"] = int(store.clock())
    if path == "authorizationprofile":
        item.setdefault("accessType", "ACCESS_ACCEPT")
        item.setdefault("authzProfileType", "SWITCH")
        item.setdefault("profileName", "Cisco")
    if path == "endpoint":
        item.setdefault("groupId", UNKNOWN_GROUP)
        item.setdefault("staticGroupAssignment", False)
        item.setdefault("staticProfileAssignment", False)
    if path == "endpointgroup":
        item.setdefault("systemDefined", False)
    store.put(path, item)
    return item


def update(
    store: Store, path: str, identifier: str, body: dict[str, Any], *, partial: bool = False
) -> list[dict[str, Any]]:
    """Change an object; returns the updated fields as ERS lists them (empty: nothing changed). Raises Refused."""
    old = store.get(path, identifier)
    if old.get("_builtin"):
        raise Refused(400, f"{old['name']} is a system defined object and cannot be edited", CRUD)
    _refuse_by_mode(store, path)
    if not partial and body.get("id") is None:
        raise Refused(400, "Validation Error - Mandatory fields missing: [Id,]")
    if body.get("id") is not None and body["id"] != identifier:
        raise Refused(400, "Validation Error - the id of the body differs from the id of the URL")
    _check_fields(store, path, {**old, **body} if partial else body, only=set(body))
    item = copy.deepcopy(old)
    item.update({key: copy.deepcopy(value) for key, value in body.items() if key not in IMMUTABLE})
    _normalise(store, path, item, body)
    _check(store, path, item, old)
    updated = [
        {"field": key, "oldValue": _text(old.get(key)), "newValue": _text(item.get(key))}
        for key in sorted(set(old) | set(item))
        if not key.startswith("_") and old.get(key) != item.get(key)
    ]
    if not updated:
        return []
    if path in ("sgt", "sgacl"):
        item["generationId"] = str(int(old["generationId"]) + 1)
    if path == "downloadableacl":
        item["_modified"] = int(store.clock())
        if item["_modified"] <= old["_modified"] and not store.settings["suffix_may_repeat"]:
            item["_modified"] = old["_modified"] + 1
    if path == "egressmatrixcell":
        _release(store, set(old["sgacls"]) - set(item["sgacls"]))
    store.put(path, item)
    return updated


def delete(store: Store, path: str, identifier: str, *, cascade: bool = True) -> list[Object]:
    """Remove an object; returns everything that went, with an SGT its cells too (facts/ise.md section 0 item 3).

    cascade False is the GUI: it refuses to delete a tag that cells use. Raises Refused.
    """
    item = store.get(path, identifier)
    if item.get("_builtin"):
        raise Refused(400, f"{item['name']} is a system defined object and cannot be deleted", CRUD)
    _refuse_by_mode(store, path)
    gone: list[Object] = []
    if path == "egressmatrixcell" and item["name"] == "ANY-ANY":
        raise Refused(400, "The default cell cannot be deleted", CRUD)
    if path == "downloadableacl":
        users = [
            each["name"]
            for each in store.objects["authorizationprofile"].values()
            if item["name"] in (each.get("daclName"), each.get("ipv6DaclName"))
        ]
        if users:  # the exact body of a real ISE is not known
            raise Refused(400, f"{item['name']} is referenced by authorization profile {users[0]}", CRUD)
    user = _user_of(store, path, item)
    if user:
        raise Refused(400, f"{item['name']} is referenced by {user}", CRUD)
    if path == "sgacl":
        used = any(identifier in cell["sgacls"] for cell in store.objects["egressmatrixcell"].values())
        if used or store.releases.get(identifier, 0.0) > store.clock():
            raise Refused(500, None, CRUD)  # in use: an error without title (S4 #108)
    if path == "sgt":
        cells = [
            cell
            for cell in store.objects["egressmatrixcell"].values()
            if identifier in (cell["sourceSgtId"], cell["destinationSgtId"])
        ]
        if cells and not cascade:
            raise Refused(409, f"{item['name']} is used by {len(cells)} egress policy cells", CRUD)
        for cell in cells:
            _release(store, set(cell["sgacls"]))
            gone.append(store.drop("egressmatrixcell", cell["id"]))
    if path == "egressmatrixcell":
        _release(store, set(item["sgacls"]))
    return [store.drop(path, identifier), *gone]


def _user_of(store: Store, path: str, item: Object) -> str:
    """What uses an object that may not go while it is used; empty: nothing. The texts are guesses."""
    rules = store.objects["authorizationrule"].values()
    if path == "authorizationprofile":
        stands_for_a_rule = any(each["authorization_profile"] == item["name"] for each in store.sessions.values())
        if stands_for_a_rule or any(item["name"] in rule["profile"] for rule in rules):
            return "an authorization rule"
    if path == "sgt":
        if any(rule["securityGroup"] == item["name"] for rule in rules):
            return "an authorization rule"
        if any(_tag_of(store, each) == item["id"] for kind in MAPPINGS for each in store.objects[kind].values()):
            return "an IP to SGT mapping"
    if path == "endpointgroup":
        if any(each.get("groupId") == item["id"] for each in store.objects["endpoint"].values()):
            return "an endpoint"
        if any(each.get("parentId") == item["id"] for each in store.objects["endpointgroup"].values()):
            return "an endpoint identity group"
    if path == "sgmappinggroup":
        if any(item["name"] == each.get("mappingGroup") for each in store.objects["sgmapping"].values()):
            return "an IP to SGT mapping"
    if path == "ancpolicy":
        if any(each["policyName"] == item["name"] for each in store.objects["ancendpoint"].values()):
            return "an endpoint"
    return ""


def _tag_of(store: Store, mapping: Object) -> str | None:
    """The id of the SGT that a mapping or mapping group names by name or id."""
    given = mapping.get("sgt")
    if not given:
        return None
    name = str(given).split(" (")[0]
    for each in store.objects["sgt"].values():
        if each["id"] == given or each["name"] == name:
            return str(each["id"])
    return None


def mapping_sgt(store: Store, mapping: Object) -> str:
    """The SGT of a mapping as a GET shows it, by the setting ``mapping_sgt_form``."""
    form, identifier = store.settings["mapping_sgt_form"], _tag_of(store, mapping)
    if form == "as_written" or identifier is None:
        return str(mapping["sgt"])
    tag = store.objects["sgt"][identifier]
    return identifier if form == "id" else f"{tag['name']} ({tag['value']}/{tag['value']:04X})"


def _release(store: Store, sgacls: set[str]) -> None:
    lag = store.settings["reference_release_lag"]
    if lag:
        store.releases.update(dict.fromkeys(sgacls, store.clock() + lag))


def _refuse_by_mode(store: Store, path: str, creating: bool = False) -> None:
    refuses = store.settings["multiple_matrices"] and not has(store.settings, "multiple_matrices_ers")
    if refuses and path == "sgt" and creating:
        raise Refused(403, "Security group creation is not supported in multiple matrices mode")
    if store.settings["approval_workflow"] and path == "egressmatrixcell":
        raise Refused(403, "Egress policy changes need approval while the workflow process is enabled")


def _check_fields(store: Store, path: str, body: dict[str, Any], only: set[str] | None = None) -> None:
    resource = RESOURCES[path]
    allowed = set(resource.fields) - missing_fields(store.settings)
    unknown = sorted((only if only is not None else set(body)) - allowed)
    if unknown:
        raise Refused(400, f"Validation Error - Illegal attributes: [{', '.join(unknown)}]")
    missing = [name for name in resource.required if body.get(name) in (None, "")]
    if missing:
        raise Refused(400, f"Validation Error - Mandatory fields missing: [{','.join(missing)},]")


def _normalise(store: Store, path: str, item: Object, body: dict[str, Any]) -> None:
    if path == "downloadableacl":
        item.setdefault("daclType", "IPV4")
        if "dacl" in body and isinstance(item["dacl"], str):
            item["dacl"] = _white_space(item["dacl"], store.settings["dacl_whitespace"])
    if path == "endpoint":
        mac = re.sub(r"[.:-]", "", str(item["mac"])).upper()
        if not re.fullmatch(r"[0-9A-F]{12}", mac):
            raise Refused(400, f"Invalid MAC address {item['mac']}")
        item["mac"] = item["name"] = ":".join(mac[i : i + 2] for i in range(0, 12, 2))
    if path == "sgt" and item.get("value") == -1:
        used = {each["value"] for each in store.objects["sgt"].values()}
        item["value"] = next(value for value in range(16, 65520) if value not in used)
    if path == "sgacl" and body.get("validateAclContent") is True:
        _check_acl(item)


def _white_space(text: str, policy: str) -> str:
    if policy == "verbatim":
        return text
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if policy == "lf":
        return text
    return "\n".join(line.strip() for line in text.split("\n") if line.strip())


def _check(store: Store, path: str, item: Object, old: Object | None) -> None:
    for key in ("name", "description"):
        if not isinstance(item.get(key, ""), str):
            raise Refused(400, f"{key} must be a string")
    checker = _CHECKS.get(path)
    if checker is not None:
        checker(store, item)
    if path == "egressmatrixcell":
        check_cell(store, item, old)
        return
    if any(each["id"] != item["id"] for each in store.having(path, "name", item["name"].casefold())):
        raise Refused(400, f"{item['name']} already exists", CRUD)


def _name(item: Object, pattern: str, length: int) -> None:
    if len(item["name"]) > length or not re.fullmatch(pattern, item["name"]):
        raise Refused(400, f"Invalid name {item['name']!r}")


def _one_of(item: Object, key: str, values: tuple[str, ...]) -> None:
    if item.get(key) not in values:
        raise Refused(400, f"{key} must be one of {', '.join(values)}")


def _check_dacl(store: Store, item: Object) -> None:
    _name(item, r"[A-Za-z0-9_.-]+", 64)
    _one_of(item, "daclType", ("IPV4", "IPV6", "IP_AGNOSTIC"))
    if not isinstance(item["dacl"], str) or not item["dacl"].strip():
        raise Refused(400, "Validation Error - Mandatory fields missing: [dacl,]")


def _check_sgacl(store: Store, item: Object) -> None:
    _name(item, r"[A-Za-z][A-Za-z0-9_]*", 32)
    _one_of(item, "ipVersion", ("IPV4", "IPV6", "IP_AGNOSTIC"))
    if item.get("sgAclType") is not None:
        _one_of(item, "sgAclType", ("TRUSTSEC", "TRAFFIC_STEERING"))
    if not isinstance(item["aclcontent"], str):
        raise Refused(400, "aclcontent must be a string")
    if store.settings["validate_acl_content"]:
        _check_acl(item)


def _check_acl(item: Object) -> None:
    lines = tuple(item["aclcontent"].splitlines())
    try:
        parse_acl(lines, "sgacl", 6 if item["ipVersion"] == "IPV6" else list_family(lines) or 4)
    except ValueError as error:
        raise Refused(400, f"Invalid ACL content: {error}") from None


def _check_sgt(store: Store, item: Object) -> None:
    _name(item, r"[A-Za-z0-9_]+", 32)
    if len(item.get("description") or "") > 256:
        raise Refused(400, "description is longer than 256 characters")
    value = item["value"]
    if not isinstance(value, int) or isinstance(value, bool) or not 2 <= value <= 65519:
        raise Refused(400, f"Tag value {value!r} is out of range")
    for each in store.having("sgt", "value", value):
        if each["id"] != item["id"]:
            raise Refused(400, f"Security group with tag value {value} already exists", CRUD)


def _check_profile(store: Store, item: Object) -> None:
    _name(item, r"[A-Za-z0-9_.\- ]+", 128)
    if item.get("accessType") is not None:
        _one_of(item, "accessType", ("ACCESS_ACCEPT", "ACCESS_REJECT"))
    for key in ("daclName", "ipv6DaclName"):
        if item.get(key) and store.by_name("downloadableacl", item[key]) is None:
            raise Refused(400, f"{key}: downloadable ACL {item[key]} does not exist", CRUD)


def _check_endpoint(store: Store, item: Object) -> None:
    for key, path in (("groupId", "endpointgroup"), ("profileId", "profilerprofile")):
        if item.get(key) and item[key] not in store.objects[path]:
            raise Refused(400, f"{key} {item[key]} does not exist", CRUD)


def _check_mapping(store: Store, item: Object) -> None:
    _one_of(item, "deployType", ("ALL", "ND", "NDG"))
    if not (item.get("hostIp") or item.get("hostName")) or not (item.get("sgt") or item.get("mappingGroup")):
        raise Refused(400, "Validation Error - Mandatory fields missing: [hostIp,sgt,]")
    if item.get("mappingGroup"):
        if item.get("sgt"):
            raise Refused(400, "Either sgt or mappingGroup can be given", CRUD)
        if store.by_name("sgmappinggroup", item["mappingGroup"]) is None:
            raise Refused(400, f"Mapping group {item['mappingGroup']} does not exist", CRUD)
    _check_tag(store, item)
    for each in store.objects["sgmapping"].values():
        if each["id"] != item["id"] and item.get("hostIp") and each.get("hostIp") == item["hostIp"]:
            raise Refused(400, f"A mapping for {item['hostIp']} already exists", CRUD)


def _check_mapping_group(store: Store, item: Object) -> None:
    _one_of(item, "deployType", ("ALL", "ND", "NDG"))
    if not item.get("sgt"):
        raise Refused(400, "Validation Error - Mandatory fields missing: [sgt,]")
    _check_tag(store, item)


def _check_tag(store: Store, item: Object) -> None:
    if item.get("sgt") and _tag_of(store, item) is None:
        raise Refused(400, f"Security group {item['sgt']} does not exist", CRUD)
    if item["deployType"] != "ALL" and not item.get("deployTo"):
        raise Refused(400, "Validation Error - Mandatory fields missing: [deployTo,]")


def _check_group(store: Store, item: Object) -> None:
    _name(item, r"[A-Za-z0-9_.\- ]+", 100)
    if item.get("systemDefined"):
        raise Refused(400, "A system defined group cannot be created", CRUD)
    if item.get("parentId") and item["parentId"] not in store.objects["endpointgroup"]:
        raise Refused(400, f"parentId {item['parentId']} does not exist", CRUD)


def _check_anc_policy(store: Store, item: Object) -> None:
    _name(item, r"[A-Za-z0-9_\-]+", 100)
    actions = item.get("actions")
    if not isinstance(actions, list) or not actions or set(actions) - set(ANC_ACTIONS):
        raise Refused(400, f"actions must be of {', '.join(ANC_ACTIONS)}")


_CHECKS = {
    "downloadableacl": _check_dacl,
    "sgacl": _check_sgacl,
    "sgt": _check_sgt,
    "authorizationprofile": _check_profile,
    "endpoint": _check_endpoint,
    "sgmapping": _check_mapping,
    "sgmappinggroup": _check_mapping_group,
    "endpointgroup": _check_group,
    "ancpolicy": _check_anc_policy,
}


def _text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else str(value)
