# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the state of an emulated ISE from a plain dict (or a JSON file).

Keys, all optional::

    settings               see tests.lab.ise.store.SETTINGS
    network_devices        [{name, ip, description, groups, trustsec: true}]
    sgts                   [{name, value, description}]; a shipped tag with the same value is renamed
    sgacls                 [{name, lines | content, ip_version, description}]
    cells                  [{source, destination, status, sgacls: [names], default_rule}], ends by SGT name or value;
                           source and destination ANY: the default cell
    dacls                  [{name, lines | content, type, description}]
    authorization_profiles [{name, dacl, access_type, description}]
    endpoint_groups        [name]
    endpoints              [{mac, profile, group, custom_attributes, description}]; makes profiles and groups as needed
    sessions               [{mac, ip, nas_ip, nas_port, authorization_profile, sgt, endpoint_profile, username,
                           started}]
    mappings               [{ip, sgt}]
    mapping_groups         [{name, sgt, description}]
    anc_policies           [{name, actions}]
    rules                  [{name, condition, profile: [names], sgt}] of the policy set Default, in rank order
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.lab.ise.policy import add_rule
from tests.lab.ise.pushes import add_device
from tests.lab.ise.resources import DEFAULT_CELL, DEFAULT_SET
from tests.lab.ise.rules import create, update
from tests.lab.ise.sessions import add_session
from tests.lab.ise.store import Object, Store

KEYS = (
    "settings", "network_devices", "sgts", "sgacls", "cells", "dacls", "authorization_profiles", "endpoint_groups",
    "endpoints", "sessions", "mappings", "mapping_groups", "anc_policies", "rules",
)  # fmt: skip


def build_store(seed: dict[str, Any], clock: Callable[[], float] | None = None) -> Store:
    """Returns the filled store. Raises ValueError for an unknown key, Refused for what ISE would refuse."""
    unknown = set(seed) - set(KEYS)
    if unknown:
        raise ValueError(f"unknown seed keys {sorted(unknown)}")
    store = Store() if clock is None else Store(clock)
    store.change_settings(seed.get("settings", {}))
    modes = {name: store.settings[name] for name in ("multiple_matrices", "approval_workflow")}
    store.settings.update(dict.fromkeys(modes, False))  # a seed is history: the modes bind what comes after it
    for each in seed.get("sgts", []):
        _sgt(store, each)
    for each in seed.get("sgacls", []):
        create(store, "sgacl", {
            "name": each["name"], "description": each.get("description", ""), "aclcontent": _text(each),
            "ipVersion": each.get("ip_version", "IPV4"),
        })  # fmt: skip
    for each in seed.get("cells", []):
        _cell(store, each)
    for each in seed.get("dacls", []):
        create(store, "downloadableacl", {
            "name": each["name"], "description": each.get("description", ""), "dacl": _text(each),
            "daclType": each.get("type", "IPV4"),
        })  # fmt: skip
    for each in seed.get("authorization_profiles", []):
        body = {"name": each["name"], "description": each.get("description", "")}
        body["accessType"] = each.get("access_type", "ACCESS_ACCEPT")
        if each.get("dacl"):
            body["daclName"] = each["dacl"]
        create(store, "authorizationprofile", body)
    for name in seed.get("endpoint_groups", []):
        _named(store, "endpointgroup", name)
    for each in seed.get("endpoints", []):
        _endpoint(store, each)
    for each in seed.get("mappings", []):
        sgt = store.sgt_by(each["sgt"])
        create(store, "sgmapping", {
            "name": each["ip"], "hostIp": each["ip"], "sgt": sgt["name"], "deployType": "ALL",
        })  # fmt: skip
    for each in seed.get("mapping_groups", []):
        create(store, "sgmappinggroup", {
            "name": each["name"], "sgt": store.sgt_by(each["sgt"])["name"], "deployType": "ALL",
            "description": each.get("description", ""),
        })  # fmt: skip
    for each in seed.get("anc_policies", []):
        create(store, "ancpolicy", {"name": each["name"], "actions": each["actions"]})
    for number, each in enumerate(seed.get("rules", [])):
        _rule(store, each, number)
    for each in seed.get("network_devices", []):
        _network_device(store, each)
    for each in seed.get("sessions", []):
        add_session(store, each)
    store.settings.update(modes)
    return store


def _text(each: dict[str, Any]) -> str:
    return str(each["content"]) if "content" in each else "\n".join(each["lines"])


def _sgt(store: Store, each: dict[str, Any]) -> None:
    shipped = next(iter(store.having("sgt", "value", each["value"])), None)
    body = {"name": each["name"], "value": each["value"], "description": each.get("description", "")}
    if shipped is None:
        create(store, "sgt", body)
    elif shipped["name"] != each["name"]:
        update(store, "sgt", shipped["id"], {**body, "id": shipped["id"]})


def _cell(store: Store, each: dict[str, Any]) -> None:
    source, destination = (store.sgt_by(each[key]) for key in ("source", "destination"))
    body = {
        "sourceSgtId": source["id"],
        "destinationSgtId": destination["id"],
        "matrixCellStatus": each.get("status", "ENABLED"),
        "defaultRule": each.get("default_rule", "NONE"),
        "sgacls": [store.find("sgacl", name)["id"] for name in each.get("sgacls", [])],
        "description": each.get("description", ""),
    }
    if source["name"] == destination["name"] == "ANY":
        update(store, "egressmatrixcell", DEFAULT_CELL, {**body, "id": DEFAULT_CELL})
    else:
        create(store, "egressmatrixcell", body)


def _named(store: Store, path: str, name: str) -> Object:
    found = store.by_name(path, name)
    if found is None:
        found = {"id": store.new_id(), "name": name, "description": ""}
        store.put(path, found)
    return found


def _endpoint(store: Store, each: dict[str, Any]) -> None:
    body: dict[str, Any] = {"mac": each["mac"], "description": each.get("description", "")}
    if each.get("profile"):
        body.update(profileId=_named(store, "profilerprofile", each["profile"])["id"], staticProfileAssignment=False)
    if each.get("group"):
        body.update(groupId=_named(store, "endpointgroup", each["group"])["id"], staticGroupAssignment=True)
    if each.get("custom_attributes"):
        body["customAttributes"] = {"customAttributes": dict(each["custom_attributes"])}
    create(store, "endpoint", body)


def _rule(store: Store, each: dict[str, Any], rank: int) -> None:
    body = {
        "rule": {"name": each["name"], "condition": each["condition"], "rank": rank},
        "profile": each.get("profile", []),
        "securityGroup": each.get("sgt"),
    }
    add_rule(store, DEFAULT_SET, body)


def _network_device(store: Store, each: dict[str, Any]) -> None:
    groups = each.get("groups", ["Location#All Locations", "Device Type#All Device Types"])
    store.put("networkdevice", {
        "id": store.new_id(),
        "name": each["name"],
        "description": each.get("description", ""),
        "profileName": "Cisco",
        "NetworkDeviceIPList": [{"ipaddress": each["ip"], "mask": 32}],
        "NetworkDeviceGroupList": groups,
    })  # fmt: skip
    for group in groups:
        _named(store, "networkdevicegroup", group)
    if each.get("trustsec", True):
        add_device(store, each["name"], each["ip"])
