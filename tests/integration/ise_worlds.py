# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random states of an ISE: what a policy may want, and an emulated ISE that holds something else.

The emulator is filled through its own state rules, not through the adapter that the tests are about.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from random import Random
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from tests.lab.ise.client import ControlClient
from tests.lab.ise.policy import add_rule
from tests.lab.ise.resources import DEFAULT_SET
from tests.lab.ise.rules import create
from tests.lab.ise.seed import build_store
from tests.lab.ise.store import Store

MARK = "segwright:test "
MOVING = ("id", "generationId", "link", "_modified", "_deployed")
FOREIGN: dict[str, Any] = {
    "sgts": [{"name": "Corp", "value": 900}],
    "sgacls": [{"name": "Corp_Web", "lines": ["permit tcp dst eq 443", "deny ip"], "description": "desktop team"}],
    "dacls": [{"name": "Corp-Printers", "lines": ["permit ip any any"], "description": "desktop team"}],
    "cells": [{"source": "Corp", "destination": "Employees", "sgacls": ["Corp_Web"], "status": "ENABLED"}],
    "endpoint_groups": ["Printers"],
    "endpoints": [
        {"mac": "02:00:00:00:99:01", "group": "Printers", "profile": "HP-Device"},
        {"mac": "02:00:00:00:00:01", "profile": "Infusion-Pump"},
    ],
    "rules": [
        {
            "name": "Printers",
            "profile": ["PermitAccess"],
            "condition": {
                "conditionType": "ConditionAttributes", "isNegate": False, "dictionaryName": "IdentityGroup",
                "attributeName": "Name", "operator": "equals", "attributeValue": "Endpoint Identity Groups:Printers",
            },
        }
    ],
}  # fmt: skip
SGACL_TEXTS = (
    "permit tcp dst eq 443\ndeny ip",
    "permit udp dst range 2000 2010\npermit tcp src eq 22 established\ndeny ip",
    "deny icmp\npermit ip",
    "permit ip",
)
DACL_TEXTS = {
    "IPV4": (
        "permit tcp any host 10.1.1.1 eq 443\ndeny ip any any",
        "permit udp any any eq 53\npermit ip any 10.2.0.0 0.0.255.255\ndeny ip any any",
        "permit ip any any",
    ),
    "IPV6": ("permit tcp any host 2001:db8::1 eq 443\ndeny ipv6 any any", "permit ipv6 any any"),
}
MACS = tuple(f"02:00:00:00:00:{number:02X}" for number in range(5))


def world(rng: Random, *, matrix: str = "") -> list[DesiredObject]:
    """Return a random state in which everything that is referred to exists; ``matrix`` has cells as well."""
    made: list[DesiredObject] = []

    def add(kind: str, name: str, **body: Any) -> str:
        made.append(DesiredObject(kind, name, {**body, "description": body.get("description", f"{MARK}{name}")}))
        return name

    def some(names: list[str], most: int) -> list[str]:
        return rng.sample(names, rng.randint(0, min(most, len(names))))

    sgts = [add("sgt", f"SW_S{n}", value=1000 + 10 * n + rng.randint(0, 1)) for n in range(4) if rng.random() < 0.75]
    sgacls = [
        add("sgacl", f"SW_L{n}", ip_version=rng.choice(("IPV4", "IPV4", "IPV6")), content=rng.choice(SGACL_TEXTS))
        for n in range(4)
        if rng.random() < 0.75
    ]
    families = {f"SW_D{n}": "IPV6" if n == 2 else "IPV4" for n in range(3) if rng.random() < 0.8}
    for name, family in families.items():
        add("downloadable_acl", name, dacl_type=family, content=rng.choice(DACL_TEXTS[family]))
    first = [name for name, family in families.items() if family == "IPV4"]
    second = [name for name, family in families.items() if family == "IPV6"]
    profiles = []
    for n in range(3):
        if first and rng.random() < 0.7:
            more = {"ipv6_dacl_name": second[0]} if second and rng.random() < 0.5 else {}
            profiles.append(add("authorization_profile", f"SW_P{n}", dacl_name=rng.choice(first), **more))
    groups = [add("endpoint_group", f"SW_G{n}", parent="") for n in range(2) if rng.random() < 0.8]
    for n in range(2):
        if rng.random() < 0.5:
            actions = rng.choice((["QUARANTINE"], ["RE_AUTHENTICATE"], ["QUARANTINE", "RE_AUTHENTICATE"]))
            add("anc_policy", f"SW_A{n}", actions=list(actions), description="")
    for n in range(2):
        if sgts and rng.random() < 0.6:
            host = rng.choice((f"10.9.{n}.1", f"10.9.{n}.0/24"))
            add(
                "ip_sgt_mapping", f"SW_M{n}", host=host, sgt=rng.choice(sgts), deploy_type="ALL", deploy_to="",
                description="",
            )  # fmt: skip
    for source in sgts:
        for destination in sgts:
            if rng.random() < 0.4:
                add(
                    "egress_matrix_cell", f"{source}-{destination}", source=source, destination=destination,
                    status=rng.choice(("ENABLED", "MONITOR", "DISABLED")), sgacls=some(sgacls, 2),
                    default_rule=rng.choice(("NONE", "DENY_IP", "PERMIT_IP")),
                )  # fmt: skip
            if matrix and rng.random() < 0.25:
                add(
                    "matrix_cell", f"{source}-{destination}@{matrix}", matrix=matrix, source=source,
                    destination=destination, status=rng.choice(("ENABLED", "MONITOR")), sgacls=some(sgacls, 2),
                    default_rule=rng.choice(("NONE", "DENY_IP")),
                )  # fmt: skip
    for n in range(3):
        if profiles and groups and rng.random() < 0.7:
            group = rng.choice(groups)
            add(
                "authorization_rule", f"SW_R{n}@Default", policy_set="Default",
                state=rng.choice(("enabled", "enabled", "disabled")), condition=_condition(rng, group),
                profiles=[rng.choice(profiles)], security_group=rng.choice([*sgts, ""]), description="",
                **({"before": "Printers"} if rng.random() < 0.4 else {}),
            )  # fmt: skip
    for mac in MACS:
        if groups and rng.random() < 0.5:
            add("endpoint", mac, group=rng.choice(groups))
    return made


def _condition(rng: Random, group: str) -> dict[str, Any]:
    in_group = {
        "conditionType": "ConditionAttributes", "isNegate": False, "dictionaryName": "IdentityGroup",
        "attributeName": "Name", "operator": "equals", "attributeValue": f"Endpoint Identity Groups:{group}",
    }  # fmt: skip
    wired = {
        "conditionType": "ConditionAttributes", "isNegate": rng.random() < 0.3, "dictionaryName": "Radius",
        "attributeName": "NAS-Port-Type", "operator": "equals", "attributeValue": "Ethernet",
    }  # fmt: skip
    if rng.random() < 0.5:
        return in_group
    return {"conditionType": "ConditionAndBlock", "isNegate": False, "children": [in_group, wired]}


def untidy(rng: Random, text: str) -> str:
    """Return the same list written by somebody else."""
    lines = text.split("\n")
    lines = [line.replace(" ", rng.choice((" ", "  "))) if rng.random() < 0.4 else line for line in lines]
    lines = [line.replace("eq 53", "eq domain") if rng.random() < 0.3 else line for line in lines]
    return rng.choice(("\n", "\n", "\r\n")).join(lines) + rng.choice(("", "\n"))


def state_of(
    objects: list[DesiredObject], rng: Random, settings: dict[str, Any], *, matrix: str = ""
) -> dict[str, Any]:
    """Return an emulated ISE that holds the objects, foreign ones beside them, and what a fresh ISE has; ``matrix``: a further matrix."""
    store = build_store({**copy.deepcopy(FOREIGN), "settings": {**settings, "allow_multiple_sgacls": True}})
    if matrix:
        store.settings["multiple_matrices"] = True
        store.put("matrix", {
            "id": store.new_id(), "name": matrix, "description": "", "matrixPolicyType": "TRUSTSEC_POLICY", "nadList": [],
            "ndgList": [], "type": "MULTIPLE", "_modified": 0,
        })  # fmt: skip
    for item in objects:
        _fill(store, item, rng)
    return store.dump()


def _fill(store: Store, item: DesiredObject, rng: Random) -> None:
    body, text = item.body, {"name": item.name, "description": item.body["description"]}
    if item.kind == "sgt":
        create(store, "sgt", {**text, "value": body["value"]})
    elif item.kind == "sgacl":
        create(store, "sgacl", {**text, "ipVersion": body["ip_version"], "aclcontent": untidy(rng, body["content"])})
    elif item.kind == "downloadable_acl":
        create(store, "downloadableacl", {**text, "daclType": body["dacl_type"], "dacl": untidy(rng, body["content"])})
    elif item.kind == "authorization_profile":
        more = {"ipv6DaclName": body["ipv6_dacl_name"]} if body.get("ipv6_dacl_name") else {}
        create(store, "authorizationprofile", {**text, "daclName": body["dacl_name"], "vlan": None, **more})
    elif item.kind == "endpoint_group":
        create(store, "endpointgroup", {**text, "systemDefined": False})
    elif item.kind == "anc_policy":
        create(store, "ancpolicy", {"name": item.name, "actions": list(body["actions"])})
    elif item.kind == "ip_sgt_mapping":
        sgt = store.sgt_by(body["sgt"])["id"]
        create(store, "sgmapping", {"name": item.name, "hostIp": body["host"], "sgt": sgt, "deployType": "ALL"})
    elif item.kind in ("egress_matrix_cell", "matrix_cell"):
        more = {"matrixId": store.find("matrix", body["matrix"])["id"]} if "matrix" in body else {}
        ends = [store.sgt_by(body[end])["id"] for end in ("source", "destination")]
        create(store, "egressmatrixcell", {
            "sourceSgtId": ends[0], "destinationSgtId": ends[1], "matrixCellStatus": body["status"],
            "sgacls": [store.find("sgacl", name)["id"] for name in body["sgacls"]], "defaultRule": body["default_rule"],
            "description": body["description"], **more,
        })  # fmt: skip
    elif item.kind == "authorization_rule":
        rule = {"name": item.name.split("@")[0], "condition": body["condition"], "state": body["state"]}
        given = {"profile": body["profiles"], "securityGroup": body["security_group"] or None}
        add_rule(store, DEFAULT_SET, {"rule": {**rule, "rank": rng.randint(0, 1)}, **given})
    else:
        known = store.by_name("endpoint", item.name)
        group = store.find("endpointgroup", body["group"])["id"]
        if known is not None:
            store.put("endpoint", {**known, "groupId": group, "staticGroupAssignment": True})
        else:
            description = rng.choice((body["description"], "found by the profiler"))
            create(store, "endpoint", {
                "mac": item.name, "description": description, "groupId": group, "staticGroupAssignment": True,
            })  # fmt: skip


def of_others(
    objects: list[DesiredObject], wanted: list[DesiredObject], rng: Random
) -> tuple[list[DesiredObject], list[str]]:
    """Return the objects with some as taken over before and some as others', and the names of these, as ``kind/name``.

    Others' are such as the wanted state needs; an SGT of somebody else keeps its value, so it is one with the wanted value.
    """
    bodies = {(item.kind, item.name): item.body for item in wanted}
    made, names = [], []
    for item in objects:
        body = bodies.get((item.kind, item.name))
        chosen = rng.random()
        if item.body["description"].startswith(MARK) and item.kind != "endpoint" and chosen < 0.3:
            if item.kind != "sgt" or body is None or body["value"] == item.body["value"]:
                foreign = chosen < 0.1 and body is not None and item.kind != "endpoint_group"
                text = rng.choice(("", "desktop team"))
                names += [f"{item.kind}/{item.name}"] if foreign else []
                item = replace(
                    item, body={**item.body, "description": text if foreign else f"segwright:adopted: {text}".strip()}
                )
        made.append(item)
    return made, names


def drifted(objects: list[DesiredObject], rng: Random) -> list[DesiredObject]:
    """Return the objects with some fields as they are and others that somebody changed, none of ours marked as foreign."""
    made = []
    for item in objects:
        if item.kind == "sgacl" and rng.random() < 0.3:
            item = replace(item, body={**item.body, "content": rng.choice(SGACL_TEXTS)})
        made.append(item)
    return made


def configuration(control: ControlClient) -> dict[str, Any]:
    """Return all objects by name without what ISE numbers itself and empty fields, references as names."""
    objects = control.state()["objects"]
    names = {identifier: item.get("name", "") for items in objects.values() for identifier, item in items.items()}

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: plain(item) for k, item in value.items() if k not in MOVING and item not in (None, "")}
        if isinstance(value, list):
            return [plain(item) for item in value]
        return names.get(value, value) if isinstance(value, str) else value

    return {
        f"{kind}/{item.get('name', identifier)}{'@' + names[item['matrixId']] if 'matrixId' in item else ''}": plain(
            item
        )
        for kind, items in objects.items()
        for identifier, item in items.items()
    }
