# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody changes in ISE by hand is drift exactly where it changes the meaning. Over HTTPS with the real SDK."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import PUSH
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.authorization import group_condition
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise import IseTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_client import IseClient
from tests.integration.ise_worlds import state_of
from tests.lab.ise.client import ControlClient
from tests.lab.ise.resources import DEFAULT_SET
from tests.lab.ise.server import IseServer

HOST = "127.10.83.10"
MARK = "segwright:test "
SGACL = "permit tcp dst eq 443\npermit udp dst eq 53\ndeny ip"
DACL = "permit tcp any host 10.1.1.1 eq 443\npermit udp any any eq 53\ndeny ip any any"
MAC, OTHER_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"


class Plain(Random):
    """Chance that writes everything as it is and rules at the top."""

    def random(self) -> float:
        return 0.99

    def randint(self, a: int, _b: int) -> int:
        return a

    def choice(self, seq: Any) -> Any:
        return seq[0]


def _objects() -> list[DesiredObject]:
    def made(kind: str, name: str, **body: Any) -> DesiredObject:
        return DesiredObject(kind, name, {"description": f"{MARK}{name}", **body})

    def rule(name: str, **body: Any) -> DesiredObject:
        condition = {
            "conditionType": "ConditionAndBlock", "isNegate": False,
            "children": [group_condition("SW_G0"), {**group_condition(""), "dictionaryName": "Radius",
                         "attributeName": "NAS-Port-Type", "attributeValue": "Ethernet"}],
        }  # fmt: skip
        return made(
            "authorization_rule", f"{name}@Default", policy_set="Default", state="enabled", condition=condition,
            profiles=["SW_P0"], security_group="SW_S0", before="Printers", **{"description": "", **body},
        )  # fmt: skip

    def cell(source: str, destination: str, sgacls: list[str], rule: str) -> DesiredObject:
        return made(
            "egress_matrix_cell", f"{source}-{destination}", source=source, destination=destination, status="ENABLED",
            sgacls=sgacls, default_rule=rule,
        )  # fmt: skip

    return [
        made("sgt", "SW_S0", value=1000),
        made("sgt", "SW_S1", value=1001),
        made("sgacl", "SW_L0", ip_version="IPV4", content=SGACL),
        made("sgacl", "SW_L1", ip_version="IPV4", content="permit icmp"),
        made("sgacl", "SW_L2", ip_version="IPV4", content="deny icmp"),
        made("sgacl", "SW_L3", ip_version="IP_AGNOSTIC", content="permit tcp dst eq 443\ndeny ip"),
        made("downloadable_acl", "SW_D0", dacl_type="IPV4", content=DACL),
        made("downloadable_acl", "SW_D1", dacl_type="IPV4", content="deny ip any any"),
        made("downloadable_acl", "SW_D2", dacl_type="IPV6", content="permit ipv6 any any"),
        made("authorization_profile", "SW_P0", dacl_name="SW_D0"),
        made("authorization_profile", "SW_P1", dacl_name="SW_D1"),
        made("endpoint_group", "SW_G0", parent=""),
        made("endpoint_group", "SW_G1", parent=""),
        made("anc_policy", "SW_A0", actions=["QUARANTINE", "RE_AUTHENTICATE"], description=""),
        made("ip_sgt_mapping", "SW_M0", host="10.9.0.1", sgt="SW_S0", deploy_type="ALL", deploy_to="", description=""),
        cell("SW_S0", "SW_S1", ["SW_L0"], "NONE"),
        cell("SW_S1", "SW_S0", ["SW_L1", "SW_L2"], "DENY_IP"),
        cell("SW_S0", "SW_S0", [], "DENY_IP"),
        cell("SW_S1", "SW_S1", ["SW_L3"], "NONE"),
        rule("SW_R0"),
        made("endpoint", MAC, group="SW_G0"),
        made("endpoint", OTHER_MAC, group="SW_G0"),
    ]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IseServer]:
    with IseServer(HOST, 9060, tmp_path_factory.mktemp("ise"), {"settings": {"push_delay": 0.0}}) as made:
        yield made


def _sgacl(content: str) -> dict[str, Any]:
    return {"sgacl/SW_L0": {"aclcontent": content}}


def _dacl(content: str) -> dict[str, Any]:
    return {"downloadableacl/SW_D0": {"dacl": content}}


# What is edited by hand, as resource/name and fields; whether that changes the meaning.
EDITS: dict[str, tuple[dict[str, Any], bool]] = {
    "sgacl: blanks": (_sgacl(SGACL.replace(" ", "  ") + "\n\n"), False),
    "sgacl: line ends": (_sgacl(SGACL.replace("\n", "\r\n")), False),
    "sgacl: case": (_sgacl(SGACL.upper()), False),
    "sgacl: remark": (_sgacl("remark the pumps\n" + SGACL), False),
    "sgacl: port name": (_sgacl(SGACL.replace("53", "domain")), False),
    "sgacl: range of one port": (_sgacl(SGACL.replace("eq 443", "range 443 443")), False),
    "sgacl: order that does not matter": (_sgacl("permit udp dst eq 53\npermit tcp dst eq 443\ndeny ip"), False),
    "sgacl: line twice": (_sgacl("permit tcp dst eq 443\n" + SGACL), False),
    "sgacl: order that matters": (_sgacl("deny ip\npermit tcp dst eq 443\npermit udp dst eq 53"), True),
    "sgacl: other port": (_sgacl(SGACL.replace("443", "80")), True),
    "sgacl: line gone": (_sgacl("permit tcp dst eq 443\ndeny ip"), True),
    "sgacl: end gone": (_sgacl("permit tcp dst eq 443\npermit udp dst eq 53\npermit ip"), True),
    "sgacl: not understood": (_sgacl("allow everything"), True),
    "sgacl: text about it": ({"sgacl/SW_L0": {"description": f"{MARK}looked at"}}, False),
    "dacl: wildcard for host": (_dacl(DACL.replace("host 10.1.1.1", "10.1.1.1 0.0.0.0")), False),
    "dacl: port names": (_dacl(DACL.replace("eq 53", "eq domain")), False),
    "dacl: indented": (_dacl("  " + DACL.replace("\n", "\n  ")), False),
    "dacl: deny first": (_dacl("deny ip any any\n" + DACL), True),
    "dacl: wider": (_dacl(DACL.replace("host 10.1.1.1", "any")), True),
    "dacl: empty but for the deny": (_dacl("deny ip any any"), True),
    "cell: watched only": ({"egressmatrixcell/SW_S0-SW_S1": {"matrixCellStatus": "MONITOR"}}, True),
    "cell: off": ({"egressmatrixcell/SW_S0-SW_S1": {"matrixCellStatus": "DISABLED"}}, True),
    "cell: list gone": ({"egressmatrixcell/SW_S0-SW_S1": {"sgacls": []}}, True),
    "cell: other order": ({"egressmatrixcell/SW_S1-SW_S0": {"sgacls": ["SW_L2", "SW_L1"]}}, True),
    "cell: other end": ({"egressmatrixcell/SW_S0-SW_S0": {"defaultRule": "PERMIT_IP"}}, True),
    "cell: its end written as a list": (
        {"egressmatrixcell/SW_S0-SW_S0": {"defaultRule": "NONE", "sgacls": ["Deny IP"]}}, False,
    ),
    "cell: end after a list that decides all": ({"egressmatrixcell/SW_S1-SW_S1": {"defaultRule": "PERMIT_IP"}}, False),
    "cell: end after a list that decides IPv4": ({"egressmatrixcell/SW_S0-SW_S1": {"defaultRule": "PERMIT_IP"}}, True),
    "cell: text about it": ({"egressmatrixcell/SW_S0-SW_S1": {"description": f"{MARK}looked at"}}, False),
    "cell: deleted": ({"egressmatrixcell/SW_S0-SW_S1": None}, True),
    "sgt: value": ({"sgt/SW_S1": {"value": 1999}}, True),
    "sgt: renamed": ({"sgt/SW_S1": {"name": "SW_other"}}, True),
    "profile: other list": ({"authorizationprofile/SW_P0": {"daclName": "SW_D1"}}, True),
    "profile: refuses": ({"authorizationprofile/SW_P0": {"accessType": "ACCESS_REJECT"}}, True),
    "profile: an IPv6 list as well": ({"authorizationprofile/SW_P0": {"ipv6DaclName": "SW_D2"}}, True),
    "profile: deleted": ({"authorizationprofile/SW_P1": None}, True),
    "rule: off": ({"rule/SW_R0": {"state": "disabled"}}, True),
    "rule: other profile": ({"rule/SW_R0": {"profile": ["SW_P1"]}}, True),
    "rule: other tag": ({"rule/SW_R0": {"securityGroup": "SW_S1"}}, True),
    "rule: no tag": ({"rule/SW_R0": {"securityGroup": None}}, True),
    "rule: condition turned round": ({"rule/SW_R0": {"negate": True}}, True),
    "rule: below its anchor": ({"rule/SW_R0": {"last": True}}, True),
    "rule: another one above it": ({"rule/new": {}}, False),
    "rule: deleted": ({"rule/SW_R0": None}, True),
    "endpoint: other group": ({f"endpoint/{MAC}": {"groupId": "SW_G1"}}, True),
    "endpoint: given back": ({f"endpoint/{MAC}": {"staticGroupAssignment": False}}, True),
    "endpoint: text about it": ({f"endpoint/{MAC}": {"description": "room 12"}}, False),
    "endpoint: deleted": ({f"endpoint/{MAC}": None}, True),
    "anc: other order": ({"ancpolicy/SW_A0": {"actions": ["RE_AUTHENTICATE", "QUARANTINE"]}}, False),
    "anc: bounces the port": ({"ancpolicy/SW_A0": {"actions": ["PORT_BOUNCE"]}}, True),
    "mapping: other writing": ({"sgmapping/SW_M0": {"hostIp": "10.9.0.1/32"}}, False),
    "mapping: other tag": ({"sgmapping/SW_M0": {"sgt": "SW_S1"}}, True),
    "mapping: other address": ({"sgmapping/SW_M0": {"hostIp": "10.9.0.2"}}, True),
    "somebody's own objects": ({"sgacl/Corp_Web": {"aclcontent": "permit ip"}}, False),
}  # fmt: skip


def _edit(state: dict[str, Any], key: str, fields: dict[str, Any] | None) -> None:
    """Change the state of the emulated ISE as a person would in its GUI; names stand for ids."""
    resource, name = key.split("/", 1)
    objects = state["objects"]
    if resource == "rule":
        _edit_rule(objects, name, fields)
        return
    ids = {
        item["name"]: identifier for items in objects.values() for identifier, item in items.items() if "name" in item
    }
    identifier = next(each for each, item in objects[resource].items() if item["name"] == name)
    if fields is None:
        del objects[resource][identifier]
        return
    named = dict(fields)
    if "sgacls" in named:
        named["sgacls"] = [ids[each] for each in named["sgacls"]]
    if "groupId" in named:
        named["groupId"] = ids[named["groupId"]]
    if named.get("sgacls") == [ids["Deny IP"]]:
        named["sgacls"], named["defaultRule"] = [], "DENY_IP"  # what ISE keeps of it
    objects[resource][identifier].update(named)


def _edit_rule(objects: dict[str, Any], name: str, fields: dict[str, Any] | None) -> None:
    rules = sorted(
        (rule for rule in objects["authorizationrule"].values() if rule["_policy"] == DEFAULT_SET),
        key=lambda rule: (rule["default"], rule["rank"]),
    )
    if name == "new":
        other = copy.deepcopy(next(rule for rule in rules if rule["name"] == "Printers"))
        rules.insert(0, {**other, "id": "00000000-0000-11e6-996c-525400b48521", "name": "Visitors"})
        objects["authorizationrule"][rules[0]["id"]] = rules[0]
    else:
        rule = next(rule for rule in rules if rule["name"] == name)
        rules.remove(rule)
        if fields is None:
            del objects["authorizationrule"][rule["id"]]
        elif "last" in fields:
            rules.insert(len(rules) - 1, rule)
        elif "negate" in fields:
            rule["condition"]["children"][0]["isNegate"] = True
        else:
            rule.update(fields)
        if fields is not None and "last" not in fields:
            rules.insert(rule["rank"], rule)
    for rank, rule in enumerate(rules):
        rule["rank"] = rank


def reported(target: IseTarget, wanted: list[DesiredObject]) -> list[str]:
    """Return what a plan would do or refuses to do."""
    try:
        steps = target.diff(wanted, target.snapshot(wanted))
    except FindingError as error:
        return [finding.message for finding in error.findings]
    return [step.summary for step in steps if step.action != PUSH and not step.details.get("prune")]


def test_drift_is_what_changes_the_meaning(server: IseServer) -> None:
    """Fifty edits by hand, each in a fresh ISE; reading them writes nothing."""
    control = ControlClient(server.control_url)
    wanted = _objects()
    clean = state_of(wanted, Plain(), {"push_delay": 0.0})
    client = IseClient(
        server.base_url,
        server.username,
        server.password,
        ca_file=server.ca_file,
        version="3.5.0",
        timeout=5.0,
        rate=1000.0,
    )
    wrong = []
    try:
        for text, (edits, changes) in {"nothing": ({}, False), **EDITS}.items():
            state = copy.deepcopy(clean)
            for key, fields in edits.items():
                _edit(state, key, fields)
            control.restore(state)
            said = reported(IseTarget("ise1", client), wanted)
            if bool(said) != changes:
                wrong.append((text, said))
        assert wrong == []
        assert client.writes == 0
        assert len(EDITS) >= 50
    finally:
        client.close()
