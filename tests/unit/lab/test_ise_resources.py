# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulated ISE over plain requests: policy sets and rules, matrices, groups, mappings, ANC, nodes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.ise.client import ControlClient, ControlError
from tests.lab.ise.example import HOST, PUMP_MAC
from tests.lab.ise.resources import DEFAULT_CELL, DEFAULT_SET, PERMIT_IP, PRODUCTION_MATRIX
from tests.lab.ise.server import IseServer

pytest_plugins = ["tests.lab.ise.fixtures"]

requests = pytest.importorskip("requests")

RULES = f"/api/v1/policy/network-access/policy-set/{DEFAULT_SET}/authorization"
IN_GROUP = {
    "conditionType": "ConditionAttributes", "dictionaryName": "IdentityGroup", "attributeName": "Name",
    "operator": "equals", "attributeValue": "Endpoint Identity Groups:Medical",
}  # fmt: skip


class Wire:
    """JSON requests without the SDK."""

    def __init__(self, ise: IseServer, url: str | None = None) -> None:
        self.ise, self.url = ise, url or ise.base_url
        self.session = requests.Session()
        self.session.trust_env = False

    def __call__(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answer = self.session.request(
            method, self.url + path, json=body, auth=(self.ise.username, self.ise.password), verify=self.ise.ca_file,
            timeout=5, headers={"Accept": "application/json"},
        )  # fmt: skip
        assert answer.status_code == status, answer.text
        if answer.status_code == 201 and not answer.content:
            return answer.headers["Location"].rsplit("/", 1)[1]
        return answer.json() if answer.content else None


@pytest.fixture
def wire(ise: IseServer) -> Iterator[Wire]:
    made = Wire(ise)
    yield made
    made.session.close()


# -- authorization rules


def names(wire: Wire) -> list[str]:
    found = wire("GET", RULES)["response"]
    assert [each["rule"]["rank"] for each in found] == list(range(len(found)))
    return [each["rule"]["name"] for each in found]


def rule(name: str, rank: int | None = None, **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"name": name, "condition": IN_GROUP, "state": "enabled", **more}
    if rank is not None:
        body["rank"] = rank
    return {"rule": body, "profile": ["Pump_Profile"], "securityGroup": "Pumps"}


def test_rules_keep_dense_ranks_and_the_default_last(wire: Wire) -> None:
    wire("POST", RULES, rule("A", 0), 201)
    wire("POST", RULES, rule("B", 99), 201)
    made = wire("POST", RULES, rule("C", 1), 201)["response"]
    assert names(wire) == ["A", "C", "B", "Default"]
    assert made["rule"]["condition"] == {**IN_GROUP, "isNegate": False, "link": None, "dictionaryValue": None}
    wire("POST", RULES, rule("Top"), 201)
    assert names(wire)[0] == "Top"
    moved = wire("PUT", f"{RULES}/{made['rule']['id']}", rule("C", 0))["response"]
    assert moved["rule"]["rank"] == 0 and names(wire) == ["C", "Top", "A", "B", "Default"]
    assert wire("DELETE", f"{RULES}/{made['rule']['id']}") == {"id": made["rule"]["id"]}
    assert names(wire) == ["Top", "A", "B", "Default"]
    wire("GET", f"{RULES}/{made['rule']['id']}", status=404)


@pytest.mark.parametrize(
    "change",
    [
        {"rule": {"name": "X"}}, {"profile": ["Nothing"]}, {"securityGroup": "Nothing"},
        {"profile": [], "securityGroup": None}, {"unknown": 1}, {"rule": {"name": "a/b", "condition": IN_GROUP}},
        {"rule": {"name": "X", "condition": {**IN_GROUP, "operator": "is"}}},
        {"rule": {"name": "X", "condition": {**IN_GROUP, "name": "no name here"}}},
        {"rule": {"name": "X", "condition": {"conditionType": "ConditionAndBlock", "children": [IN_GROUP]}}},
        {"rule": {"name": "X", "condition": {"conditionType": "ConditionReference", "id": "none"}}},
        {"rule": {"name": "X", "condition": IN_GROUP, "state": "on"}},
        {"rule": {"name": "X", "condition": IN_GROUP, "rank": -1}},
    ],
)  # fmt: skip
def test_rule_refusals(wire: Wire, change: dict[str, Any]) -> None:
    assert wire("POST", RULES, {**rule("X"), **change}, 400)["code"] == 400
    assert names(wire) == ["Default"]


def test_default_rule_and_used_objects_are_fixed(wire: Wire, ise_control: ControlClient) -> None:
    default = wire("GET", RULES)["response"][0]
    wire("PUT", f"{RULES}/{default['rule']['id']}", {"rule": default["rule"], "profile": ["PermitAccess"]}, 400)
    wire("DELETE", f"{RULES}/{default['rule']['id']}", status=400)
    wire("POST", RULES, rule("A"), 201)
    wire("POST", RULES, rule("A"), 400)
    profile = ise_control.object("authorizationprofile", "Pump_Profile")
    wire("DELETE", f"/ers/config/authorizationprofile/{profile['id']}", status=400)
    wire("DELETE", f"/ers/config/sgt/{ise_control.object('sgt', 'Pumps')['id']}", status=400)
    assert names(wire) == ["A", "Default"]


def test_policy_sets_and_library_conditions(wire: Wire) -> None:
    sets = "/api/v1/policy/network-access/policy-set"
    library = wire("GET", "/api/v1/policy/network-access/condition")["response"]
    wired = next(each for each in library if each["name"] == "Wired_MAB")
    body = {
        "name": "Medical", "serviceName": "Default Network Access",
        "condition": {"conditionType": "ConditionReference", "id": wired["id"]},
    }  # fmt: skip
    made = wire("POST", sets, body, 201)["response"]
    assert made["condition"]["name"] == "Wired_MAB" and made["rank"] == 0
    assert [each["name"] for each in wire("GET", sets)["response"]] == ["Medical", "Default"]
    own = wire("GET", f"{sets}/{made['id']}/authorization")["response"]
    assert [(each["rule"]["name"], each["profile"]) for each in own] == [("Default", ["DenyAccess"])]
    wire("DELETE", f"{sets}/{DEFAULT_SET}", status=400)
    assert wire("DELETE", f"{sets}/{made['id']}") == {"id": made["id"]}
    names_of = [each["name"] for each in wire("GET", "/api/v1/policy/network-access/authorization-profiles")]
    assert "Pump_Profile" in names_of


# -- matrices


def test_matrices_hold_cells_of_their_own(wire: Wire, ise_control: ControlClient) -> None:
    matrices = "/api/v1/trustsec/matrix"
    wire("POST", matrices, {"name": "Pilot"}, 400)
    wire("PUT", "/api/v1/trustsec/matrix-workflow-settings", {"matrixMode": "MULTIPLE_MATRICES"})
    made = wire("POST", matrices, {"name": "Pilot", "copyPolicyFrom": PRODUCTION_MATRIX}, 201)["response"]
    pilot = made["matrixUuId"]
    assert made["noOfPolicies"] == 1
    assert wire("POST", matrices, {"name": "Pilot"}, 409)["code"] == 409
    cells = wire("GET", f"{matrices}/{pilot}/cells?page=1&size=100")["response"]
    assert len(cells) == 2 and all("status" not in each for each in cells)
    pumps, servers = (ise_control.object("sgt", name)["id"] for name in ("Pumps", "Pump_Servers"))
    body = {
        "sourceSgtId": servers, "destinationSgtId": pumps, "matrixCellStatus": "ENABLED", "defaultRule": "DENY_IP",
        "sgacls": [], "matrixId": pilot,
    }  # fmt: skip
    identifier = wire("POST", "/ers/config/egressmatrixcell", {"EgressMatrixCell": body}, 201)
    wire("POST", "/ers/config/egressmatrixcell", {"EgressMatrixCell": body}, 400)
    assert wire("GET", f"/ers/config/egressmatrixcell/{identifier}")["EgressMatrixCell"]["matrixId"] == pilot
    listed = wire("GET", f"/ers/config/egressmatrixcell?filter=matrixId.EQ.{pilot}")["SearchResult"]
    assert listed["total"] == 3
    assert wire("GET", "/ers/config/egressmatrixcell")["SearchResult"]["total"] == 2
    detail = wire("GET", f"{matrices}/{pilot}/cells/{identifier}")["response"]
    assert detail["matrixCellStatus"] == "ENABLED"
    view = wire("GET", f"{matrices}/matrixPoliciesView?startRow=0&startColumn=0&matrixId={pilot}")["response"]
    assert {(each["sourceSgtName"], each["status"], each["sgAclNameList"]) for each in view} == {
        ("Pumps", "MONITOR", "Mqtt"), ("Pump_Servers", "ENABLED", "Deny IP"),
    }  # fmt: skip
    default = wire("GET", f"{matrices}/defaultPolicy?matrixId={pilot}")["response"]
    assert [each["sgAclNameList"] for each in default] == ["Permit IP"]
    assert wire("GET", f"{matrices}/{PRODUCTION_MATRIX}/cells")["response"][0]["matrixCellUuid"] in (
        DEFAULT_CELL, ise_control.object("egressmatrixcell", "Pumps-Pump_Servers")["id"],
    )  # fmt: skip


def test_devices_get_the_matrix_they_are_assigned_to(wire: Wire, ise_control: ControlClient) -> None:
    matrices = "/api/v1/trustsec/matrix"
    ise_control.settings(multiple_matrices=True, push_delay=0)
    pilot = wire("POST", matrices, {"name": "Pilot"}, 201)["response"]["matrixUuId"]
    device = ise_control.object("networkdevice", "acc1")["id"]
    wire("PUT", f"{matrices}/{pilot}/network-devices", {"nadList": [device]})
    wire("PUT", f"{matrices}/{pilot}/network-device-groups", {"ndgList": []}, 400)
    assert ise_control.matrix("acc1")["cells"] == [] and len(ise_control.matrix("acc2")["cells"]) == 1
    answer = wire("PUT", "/api/v1/trustsec/coa/push", {"coaType": "ALL", "matrixId": pilot})
    report = {each["name"]: each for each in wire("GET", "/api/v1/trustsec/policy/device-report")["response"]}
    assert report["acc1"]["pushId"] == answer["propagationId"] != report["acc2"]["pushId"]
    wire("DELETE", f"{matrices}/{pilot}", status=400)
    wire("PUT", f"{matrices}/{pilot}/network-devices", {"nadList": []})
    wire("DELETE", f"{matrices}/{pilot}")
    wire("GET", f"{matrices}/{pilot}", status=404)


def test_pushes_by_script(wire: Wire, ise_control: ControlClient) -> None:
    ise_control.settings(push_answers=["BUSY", "FAILED", "DONE"], push_delay=0)
    push = "/api/v1/trustsec/coa/push"
    assert [wire("PUT", push, {})["status"] for _ in range(4)] == ["BUSY", "FAILED", "DONE", "INITIATED"]
    wire("PUT", push, {"coaType": "ENV"})
    row = wire("GET", "/api/v1/trustsec/policy/device-report/network-device/acc1")["response"][0]
    assert (row["state"], row["status"]) == ("ENVDATA_DOWNLOAD", "ENV_REQUEST_SUCCESS")
    wire("PUT", push, {"matrixId": "00000000-0000-0000-0000-000000000000"}, 404)


def test_general_settings_allow_several_sgacls(wire: Wire) -> None:
    path = "/api/v1/trustsec/general-settings"
    assert wire("PUT", path, {"allowMultipleSGACLs": True})["response"]["allowMultipleSGACLs"] is True
    wire("PUT", path, {"allowMultipleSGACLs": "yes"}, 400)
    assert wire("GET", path)["response"]["allowMultipleSGACLs"] is True


# -- ERS resources


def test_endpoint_groups_and_static_assignment(wire: Wire, ise_control: ControlClient) -> None:
    groups, endpoints = "/ers/config/endpointgroup", "/ers/config/endpoint"
    lab = wire("POST", groups, {"EndPointGroup": {"name": "Lab", "description": "of the lab"}}, 201)
    found = wire("GET", f"{groups}/name/Lab")["EndPointGroup"]
    assert found["id"] == lab and found["systemDefined"] is False
    unknown = wire("GET", f"{groups}/name/Unknown")["EndPointGroup"]
    wire("DELETE", f"{groups}/{unknown['id']}", status=400)
    listed = wire("GET", f"{endpoints}?filter=mac.EQ.{PUMP_MAC}")["SearchResult"]["resources"]
    assert [each["name"] for each in listed] == [PUMP_MAC]
    body = {"id": listed[0]["id"], "mac": PUMP_MAC, "groupId": lab, "staticGroupAssignment": True}
    changed = wire("PUT", f"{endpoints}/{listed[0]['id']}", {"ERSEndPoint": body})["UpdatedFieldsList"]
    assert [each["field"] for each in changed["updatedField"]] == ["groupId"]
    wire("DELETE", f"{groups}/{lab}", status=400)
    made = wire("POST", endpoints, {"ERSEndPoint": {"mac": "02-1a-10-00-00-99"}}, 201)
    fresh = wire("GET", f"{endpoints}/{made}")["ERSEndPoint"]
    assert (fresh["groupId"], fresh["staticGroupAssignment"]) == (unknown["id"], False)
    assert fresh["name"] == "02:1A:10:00:00:99"


def test_mappings_groups_and_deployment(wire: Wire, ise_control: ControlClient) -> None:
    group = {"name": "Servers", "sgt": "Pump_Servers", "deployType": "ALL"}
    made = wire("POST", "/ers/config/sgmappinggroup", {"SGMappingGroup": group}, 201)
    mapping = {"name": "100.64.20.1", "hostIp": "100.64.20.1", "mappingGroup": "Servers", "deployType": "ALL"}
    wire("POST", "/ers/config/sgmapping", {"SGMapping": {**mapping, "sgt": "Pumps"}}, 400)
    identifier = wire("POST", "/ers/config/sgmapping", {"SGMapping": mapping}, 201)
    wire("DELETE", f"/ers/config/sgmappinggroup/{made}", status=400)
    wire("DELETE", f"/ers/config/sgt/{ise_control.object('sgt', 'Pump_Servers')['id']}", status=400)
    ise_control.settings(deploy_delay=60)
    wire("PUT", f"/ers/config/sgmapping/{identifier}/deploy", status=204)
    status = wire("GET", "/ers/config/sgmapping/deploy/status")["OperationResult"]["resultValue"][0]["value"]
    assert "in progress" in status
    found = wire("GET", "/ers/config/sgmapping?filter=groupName.EQ.Servers")["SearchResult"]["total"]
    assert found == 1


def test_anc_policies_applied_and_cleared(wire: Wire, ise_control: ControlClient) -> None:
    wire("POST", "/ers/config/ancpolicy", {"ErsAncPolicy": {"name": "Cut", "actions": ["WAVE"]}}, 400)
    wire("POST", "/ers/config/ancpolicy", {"ErsAncPolicy": {"name": "Cut", "actions": ["SHUTDOWN"]}}, 201)
    pairs = [{"name": "macAddress", "value": PUMP_MAC}, {"name": "policyName", "value": "Cut"}]
    old = {"OperationAdditionalData": {"additionalData": pairs}}
    wire("PUT", "/ers/config/ancendpoint/apply", old, 204)
    wire("PUT", "/ers/config/ancendpoint/apply", old, 400)
    held = wire("GET", "/ers/config/ancendpoint?filter=macAddress.EQ." + PUMP_MAC)["SearchResult"]["resources"][0]
    assert wire("GET", f"/ers/config/ancendpoint/{held['id']}")["ErsAncEndpoint"]["policyName"] == "Cut"
    assert PUMP_MAC not in ise_control.sessions()
    new = {"ErsAncEndpoint": {"macAddress": PUMP_MAC}}
    wire("PUT", "/ers/config/ancendpoint/clear", new, 204)
    ise_control.settings(version="3.3")
    wire("PUT", "/ers/config/ancendpoint/apply", {"ErsAncEndpoint": {"macAddress": PUMP_MAC, "policyName": "Cut"}}, 400)


# -- versions and nodes


def test_versions_know_what_they_know(wire: Wire, ise_control: ControlClient) -> None:
    sgacl = {"name": "New", "ipVersion": "IPV4", "aclcontent": "permit ip"}
    for version, field, value in (
        ("3.5.0", "validateAclContent", True), ("3.4p2", "sgAclType", "TRUSTSEC"), ("3.1", "sgAclType", "TRUSTSEC"),
    ):  # fmt: skip
        ise_control.settings(version=version)
        wire("POST", "/ers/config/sgacl", {"Sgacl": {**sgacl, field: value}}, 400)
    ise_control.settings(version="3.4")
    cell = ise_control.object("egressmatrixcell", "Pumps-Pump_Servers")["id"]
    assert "matrixId" not in wire("GET", f"/ers/config/egressmatrixcell/{cell}")["EgressMatrixCell"]
    wire("GET", f"/ers/config/egressmatrixcell?filter=matrixId.EQ.{PRODUCTION_MATRIX}", status=400)
    permit = ise_control.object("sgacl", "Permit IP")
    assert permit["id"] == PERMIT_IP
    with pytest.raises(ControlError, match="version is one of"):
        ise_control.settings(version="9.9")


def test_failover_moves_the_writes_to_the_peer(
    wire: Wire, ise: IseServer, ise_control: ControlClient, tmp_path: Path
) -> None:
    with IseServer(HOST, 9420, tmp_path, peer_of=ise) as peer:
        other = Wire(peer)
        body = {"Sgt": {"name": "After", "value": 901}}
        other("POST", "/ers/config/sgt", body, 400)
        nodes = wire("GET", "/api/v1/deployment/node")["response"]
        assert [each["roles"] for each in nodes] == [["PrimaryAdmin"], ["SecondaryAdmin"]]
        ise_control.settings(primary=False)
        wire("POST", "/ers/config/sgt", body, 400)
        other("POST", "/ers/config/sgt", body, 201)
        listed = other("GET", "/ers/config/node")["SearchResult"]["resources"]
        primary = [
            each["name"] for each in listed if other("GET", f"/ers/config/node/{each['id']}")["Node"]["primaryPapNode"]
        ]
        assert primary == ["ise-2"]
        other.session.close()
