# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulated ISE as the real ciscoisesdk sees it: objects, lists, errors, login, TLS."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.lab.ise.certificates import server_certificate
from tests.lab.ise.client import ControlClient, ControlError
from tests.lab.ise.example import PUMP_MAC, sdk_member
from tests.lab.ise.resources import DENY_IP, PERMIT_IP, SGT_ANY
from tests.lab.ise.server import IseServer

pytest_plugins = ["tests.lab.ise.fixtures"]

requests = pytest.importorskip("requests")
exceptions = pytest.importorskip("ciscoisesdk.exceptions")

FAMILIES = {  # version -> resource -> (family, list, by id, create, update, delete)
    "3.3_patch_1": {
        "downloadableacl": ("downloadable_acl", "get_downloadable_acl", "get_downloadable_acl_by_id",
                            "create_downloadable_acl", "update_downloadable_acl_by_id",
                            "delete_downloadable_acl_by_id"),
        "sgacl": ("security_groups_acls", "get_security_groups_acl", "get_security_groups_acl_by_id",
                  "create_security_groups_acl", "update_security_groups_acl_by_id",
                  "delete_security_groups_acl_by_id"),
        "sgt": ("security_groups", "get_security_groups", "get_security_group_by_id", "create_security_group",
                "update_security_group_by_id", "delete_security_group_by_id"),
        "egressmatrixcell": ("egress_matrix_cell", "get_egress_matrix_cell", "get_egress_matrix_cell_by_id",
                             "create_egress_matrix_cell", "update_egress_matrix_cell_by_id",
                             "delete_egress_matrix_cell_by_id"),
        "authorizationprofile": ("authorization_profile", "get_authorization_profiles",
                                 "get_authorization_profile_by_id", "create_authorization_profile",
                                 "update_authorization_profile_by_id", "delete_authorization_profile_by_id"),
        "endpoint": ("endpoint", "get_endpoints", "get_endpoint_by_id", "create_endpoint", "update_endpoint_by_id",
                     "delete_endpoint_by_id"),
        "sgmapping": ("ip_to_sgt_mapping", "get_ip_to_sgt_mapping", "get_ip_to_sgt_mapping_by_id",
                      "create_ip_to_sgt_mapping", "update_ip_to_sgt_mapping_by_id",
                      "delete_ip_to_sgt_mapping_by_id"),
    },
    "3.5.0": {
        "downloadableacl": ("downloadable_acl", "get_downloadable_acl", "get_downloadable_acl_by_id",
                            "create_downloadable_acl", "update_downloadable_acl_by_id",
                            "delete_downloadable_acl_by_id"),
        "sgacl": ("sgacl", "get_sgacl", "get_sgacl_by_id", "create_sgacl", "update_sgacl_by_id", "delete_sgacl_by_id"),
        "sgt": ("sgt", "get_sgt", "get_sgt_by_id", "create_sgt", "update_sgt_by_id", "delete_sgt_by_id"),
        "egressmatrixcell": ("egress_matrix_cell", "get_egress_matrix_cell", "get_egress_matrix_cell_by_id",
                             "create_egress_matrix_cell", "update_egress_matrix_cell_by_id",
                             "delete_egress_matrix_cell_by_id"),
        "authorizationprofile": ("authorization_profile", "get_authorizationprofile",
                                 "get_authorization_profile_by_id", "create_authorization_profile",
                                 "update_authorization_profile_by_id", "delete_authorization_profile_by_id"),
        "endpoint": ("endpoint", "get_endpoint", "get_endpoint_by_id", "create_endpoint", "update_endpoint_by_id",
                     "delete_endpoint_by_id"),
        "sgmapping": ("sgmapping", "get_sgmapping", "get_sgmapping_by_id", "create_sgmapping",
                      "update_sgmapping_by_id", "delete_sgmapping_by_id"),
    },
}  # fmt: skip


class Calls:
    """The five calls of one resource in one method family."""

    def __init__(self, api: Any, version: str, resource: str) -> None:
        family, *names = FAMILIES[version][resource]
        methods = [sdk_member(sdk_member(api, family), name) for name in names]
        self.list, self.get, self.create, self.update, self.delete = methods


@pytest.fixture(params=["3.3_patch_1", "3.5.0"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def api(version: str, request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue("sdk33" if version.startswith("3.3") else "sdk35")


def identifier(response: Any) -> str:
    assert response.status_code == 201
    assert response.text == ""
    return str(response.headers.Location).rsplit("/", 1)[1]


def raw(ise: IseServer, method: str, path: str, **more: Any) -> Any:
    headers = {"Accept": "application/json", **more.pop("headers", {})}
    auth = more.pop("auth", (ise.username, ise.password))
    with requests.Session() as session:
        session.trust_env = False
        return session.request(
            method, ise.base_url + path, headers=headers, auth=auth, verify=ise.ca_file, timeout=5, **more
        )


def bodies(ise_control: ControlClient) -> dict[str, tuple[dict[str, Any], dict[str, Any], str]]:
    """resource -> (fields of a create, changed fields, wrapper)."""
    pumps, servers = (ise_control.object("sgt", name)["id"] for name in ("Pumps", "Pump_Servers"))
    mqtt = ise_control.object("sgacl", "Mqtt")["id"]
    return {
        "downloadableacl": (
            {"name": "New_Acl", "description": "d", "dacl": "permit tcp any host 10.0.0.1 eq 443\ndeny ip any any",
             "dacl_type": "IPV4"},
            {"dacl": "deny ip any any"},
            "DownloadableAcl",
        ),
        "sgacl": (
            {"name": "New_Sgacl", "description": "d", "aclcontent": "permit udp dst eq 53\ndeny ip",
             "ip_version": "IPV4"},
            {"aclcontent": "deny ip"},
            "Sgacl",
        ),
        "sgt": ({"name": "New_Tag", "description": "d", "value": 3001}, {"description": "other"}, "Sgt"),
        "egressmatrixcell": (
            {"description": "d", "source_sgt_id": servers, "destination_sgt_id": pumps, "matrix_cell_status": "MONITOR",
             "default_rule": "NONE", "sgacls": [mqtt]},
            {"matrix_cell_status": "ENABLED"},
            "EgressMatrixCell",
        ),
        "authorizationprofile": (
            {"name": "New_Profile", "description": "d", "access_type": "ACCESS_ACCEPT", "dacl_name": "Pump_Access"},
            {"dacl_name": "DENY_ALL_IPV4_TRAFFIC"},
            "AuthorizationProfile",
        ),
        "endpoint": (
            {"name": "02:1A:10:00:00:99", "description": "d", "mac": "02:1A:10:00:00:99",
             "group_id": ise_control.object("endpointgroup", "Medical")["id"], "static_group_assignment": True,
             "static_profile_assignment": False},
            {"description": "other"},
            "ERSEndPoint",
        ),
        "sgmapping": (
            {"name": "10.1.1.1", "host_ip": "10.1.1.1", "sgt": "Pumps", "deploy_type": "ALL"},
            {"sgt": "Pump_Servers"},
            "SGMapping",
        ),
    }  # fmt: skip


@pytest.mark.one_python
@pytest.mark.parametrize("resource", sorted(FAMILIES["3.5.0"]))
def test_create_read_update_delete(
    api: Any, version: str, resource: str, ise_control: ControlClient, ise: IseServer
) -> None:
    calls = Calls(api, version, resource)
    new, change, wrapper = bodies(ise_control)[resource]
    before = calls.list().response.SearchResult.total
    created = identifier(calls.create(**new))
    assert uuid.UUID(created).version == 1
    assert calls.list().response.SearchResult.total == before + 1
    shown = calls.get(created)
    item = shown.response[wrapper]
    assert item["id"] == created
    assert item["link"]["href"] == f"{ise.base_url}/ers/config/{resource}/{created}"
    for camel, snake in (
        ("description", "description"),
        ("dacl", "dacl"),
        ("aclcontent", "aclcontent"),
        ("matrixCellStatus", "matrix_cell_status"),
        ("sgacls", "sgacls"),
        ("value", "value"),
    ):
        if snake in new:
            assert item[camel] == new[snake]
    assert calls.get(created).headers["ETag"] == shown.headers["ETag"]
    assert len(shown.headers["ETag"].strip('"')) == 32
    again = calls.update(id=created, **new)
    assert again.response.UpdatedFieldsList.updatedField == []
    changed = calls.update(id=created, **{**new, **change}).response.UpdatedFieldsList.updatedField
    assert len(changed) == 1
    assert changed[0]["newValue"] == str(next(iter(change.values())))
    assert calls.delete(created).status_code == 204
    with pytest.raises(exceptions.ApiError) as gone:
        calls.get(created)
    assert gone.value.status_code == 404
    counters = ise_control.counters()
    assert (counters["writes"], counters["writes_done"]) == (4, 4)


def test_reading_only_resources(api: Any, version: str, ise_control: ControlClient) -> None:
    old = version.startswith("3.3")
    by_name = api.endpoint.get_endpoint_by_name if old else api.endpoint.get_endpoint_name_by_name
    item = by_name(PUMP_MAC).response.ERSEndPoint
    assert item["mac"] == PUMP_MAC
    assert item["customAttributes"] == {"customAttributes": {"owner": "icu"}}
    profile_by_id = sdk_member(sdk_member(api, "profiler_profile"), "get_profiler_profile_by_id")
    assert profile_by_id(item["profileId"]).response.ProfilerProfile["name"] == "Lab-Infusion-Pump"
    devices = sdk_member(api, "network_device")
    device_by_name = devices.get_network_device_by_name if old else devices.get_networkdevice_name_by_name
    device = device_by_name("acc1").response.NetworkDevice
    assert device["NetworkDeviceIPList"] == [{"ipaddress": "127.10.77.101", "mask": 32}]


def test_profile_by_name(sdk33: Any, sdk35: Any, ise: IseServer) -> None:
    for found in (
        sdk33.authorization_profile.get_authorization_profile_by_name("Pump_Profile"),
        sdk_member(sdk35, "authorization_profile").get_authorizationprofile_name_by_name("Pump_Profile"),
    ):
        assert found.response.AuthorizationProfile.daclName == "Pump_Access"


def test_lists_are_paged_sorted_and_without_bodies(sdk35: Any, ise: IseServer) -> None:
    first = sdk35.sgt.get_sgt(size=5, page=1, filter="name.NEQ.Guests").response.SearchResult
    assert first.total == 17  # 15 shipped + 2 seeded + Unknown - Guests; ANY is hidden
    names = [each["name"] for each in first.resources]
    assert names == sorted(names, key=str.casefold)
    assert set(first.resources[0]) == {"id", "name", "description", "link"}
    href = first.nextPage.href
    assert href.startswith(f"{ise.base_url}/ers/config/sgt?")
    assert "size=5" in href
    assert "filter=name.NEQ.Guests" in href
    assert "page=2" in href
    assert "previousPage" not in first
    last = sdk35.sgt.get_sgt(size=5, page=4, filter="name.NEQ.Guests").response.SearchResult
    assert len(last.resources) == 2
    assert "nextPage" not in last
    assert "page=3" in last.previousPage.href
    assert sdk35.sgt.get_sgt_by_id(SGT_ANY).response.Sgt.value == 65535
    assert "ANY" not in [each["name"] for page in sdk35.sgt.get_sgt_generator(size=7)
                         for each in page.response.SearchResult.resources]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("filter=value.EQ.100", ["Pumps"]),
        ("filter=value.GT.99", ["Pump_Servers", "Pumps", "Quarantined_Systems"]),
        ("filter=name.STARTSW.Pump&filter=value.LT.150", ["Pumps"]),
        ("filter=name.STARTSW.Pump&filter=value.EQ.4&filtertype=or", ["Employees", "Pump_Servers", "Pumps"]),
        ("filter=name.CONTAINS.ump_S", ["Pump_Servers"]),
        ("filter=name.ENDSW.umps", ["Pumps"]),
        ("filter=name.EQ.nothing", []),
        ("filter=value.GT.99&sortdsc=name", ["Quarantined_Systems", "Pumps", "Pump_Servers"]),
    ],
)
def test_filters(ise: IseServer, query: str, names: list[str]) -> None:
    found = raw(ise, "GET", f"/ers/config/sgt?size=100&{query}").json()["SearchResult"]
    assert [each["name"] for each in found["resources"]] == names
    assert found["total"] == len(names)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("filter=matrixStatus.EQ.MONITOR", ["Pumps-Pump_Servers"]),
        ("filter=sgtSrcValue.EQ.100&filter=sgtDstName.EQ.Pump_Servers", ["Pumps-Pump_Servers"]),
        ("filter=matrixStatus.EQ.ENABLED", ["ANY-ANY"]),
    ],
)
def test_cell_filters(ise: IseServer, query: str, names: list[str]) -> None:
    found = raw(ise, "GET", f"/ers/config/egressmatrixcell?{query}").json()["SearchResult"]
    assert [each["name"] for each in found["resources"]] == names


@pytest.mark.parametrize(
    "query",
    ["size=101", "size=0", "page=0", "page=x", "filter=name", "filter=name.LIKE.x", "filter=generationId.EQ.1",
     "colour=red", "sortasc=value.x", "filtertype=xor"],
)  # fmt: skip
def test_bad_queries(ise: IseServer, query: str) -> None:
    answer = raw(ise, "GET", f"/ers/config/sgt?{query}")
    assert answer.status_code == 400
    error = answer.json()["ERSResponse"]
    assert error["operation"] == "GET-get-sgt"
    assert error["messages"][0]["type"] == "ERROR"
    assert error["link"]["href"] == answer.url


def test_page_past_the_end(ise: IseServer) -> None:
    answer = raw(ise, "GET", "/ers/config/sgt?page=9")
    assert answer.status_code == 400
    message = answer.json()["ERSResponse"]["messages"][0]
    assert message["title"] == "The page 9 does not exist. Please refine your query."
    assert message["code"] == "Page not exists exception"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/ers/config/nothing"), ("GET", "/ers/config"), ("GET", "/"), ("GET", "/api/v1/trustsec/matrices"),
     ("GET", "/ers/config/sgt/name/Pumps"), ("POST", "/api/v1/trustsec/coa/push"), ("GET", "/admin/API/mnt/Nothing"),
     ("PUT", "/ers/config/sgt/bulk/submit"), ("GET", "/ers/config/sgt/x/y"), ("GET", "/ers/config//sgt")],
)  # fmt: skip
def test_unknown_paths_are_404_pages(ise: IseServer, method: str, path: str) -> None:
    answer = raw(ise, method, path)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("text/html")


def test_media_types(ise: IseServer) -> None:
    assert raw(ise, "GET", "/ers/config/sgt", headers={"Accept": "text/plain"}).status_code == 415
    assert raw(ise, "GET", "/ers/config/sgt", headers={"ERS-Media-Type": "nonsense"}).status_code == 415
    body = '{"Sgt": {"name": "X", "value": 900}}'
    assert raw(ise, "POST", "/ers/config/sgt", data=body, headers={"Content-Type": "text/xml"}).status_code == 415
    assert raw(ise, "POST", "/ers/config/sgt", data=body).status_code == 415
    right = {"Content-Type": "application/json;charset=utf-8"}
    assert raw(ise, "POST", "/ers/config/sgt", data="{not json", headers=right).status_code == 400
    assert raw(ise, "POST", "/ers/config/sgt", data='{"Sgacl": {}}', headers=right).status_code == 400
    assert raw(ise, "POST", "/ers/config/networkdevice", data='{"NetworkDevice": {}}', headers=right).status_code == 400
    answer = raw(ise, "POST", "/ers/config/sgt/", data=body, headers=right)
    assert answer.status_code == 201
    assert answer.content == b""
    assert answer.headers["Content-Length"] == "0"
    shown = raw(ise, "GET", answer.headers["Location"].removeprefix(ise.base_url))
    assert shown.headers["Transfer-Encoding"] == "chunked"
    assert '"name" : "X"' in shown.text


@pytest.mark.one_python
def test_wrong_password_is_an_html_401_sent_twice_by_the_sdk(make_sdk: Any, ise_control: ControlClient) -> None:
    api = make_sdk("3.5.0", password="wrong")
    with pytest.raises(exceptions.ApiError) as refused:
        api.sgt.get_sgt()
    assert refused.value.status_code == 401
    assert refused.value.response.headers["Content-Type"].startswith("text/html")
    assert ise_control.counters()["failed_logins"] == 2


@pytest.mark.one_python
def test_lockout(make_sdk: Any, sdk35: Any, ise_control: ControlClient) -> None:
    ise_control.settings(lockout_after=2)
    with pytest.raises(exceptions.ApiError):
        make_sdk("3.5.0", password="wrong").sgt.get_sgt()
    with pytest.raises(exceptions.ApiError) as refused:
        sdk35.sgt.get_sgt()
    assert refused.value.status_code == 401


@pytest.mark.one_python
def test_operator_reads_only(make_sdk: Any, ise: IseServer, ise_control: ControlClient) -> None:
    api = make_sdk("3.5.0", username=ise.operator_username, password=ise.operator_password)
    assert api.sgt.get_sgt().response.SearchResult.total == 18
    with pytest.raises(exceptions.ApiError) as refused:
        api.sgt.create_sgt(name="X", value=900)
    assert refused.value.status_code == 403
    assert ise_control.counters()["writes_done"] == 0


@pytest.mark.one_python
def test_tls_is_verified(make_sdk: Any, ise: IseServer, tmp_path: Path) -> None:
    stranger = server_certificate(tmp_path, ise.host).ca_file
    with pytest.raises(exceptions.ciscoisesdkException, match="CERTIFICATE_VERIFY_FAILED"):
        make_sdk("3.5.0", verify=str(stranger)).sgt.get_sgt()


@pytest.mark.one_python
def test_csrf_mode(make_sdk: Any, ise_control: ControlClient) -> None:
    ise_control.settings(csrf=True)
    with pytest.raises(exceptions.ApiError) as refused:
        make_sdk("3.5.0").sgt.create_sgt(name="X", value=900)
    assert refused.value.status_code == 403
    assert "nonce" in refused.value.response.text
    api = make_sdk("3.3_patch_1", uses_csrf_token=True)
    assert identifier(api.security_groups.create_security_group(name="X", value=900))


def test_secondary_node_and_old_version(sdk35: Any, ise_control: ControlClient) -> None:
    ise_control.settings(primary=False)
    assert sdk35.sgt.get_sgt().response.SearchResult.total == 18
    with pytest.raises(exceptions.ApiError) as refused:
        sdk35.sgt.create_sgt(name="X", value=900)
    assert refused.value.status_code == 400
    ise_control.settings(primary=True, version="3.3")
    with pytest.raises(exceptions.ApiError) as missing:
        sdk35.trustsec_c_o_a_push.push_c_o_a(coa_type="ALL")
    assert missing.value.status_code == 404


def test_built_in_objects(sdk35: Any, ise: IseServer) -> None:
    names = {each["id"]: each["name"] for each in sdk35.sgacl.get_sgacl(size=100).response.SearchResult.resources}
    assert names[PERMIT_IP] == "Permit IP"
    assert names[DENY_IP] == "Deny IP"
    with pytest.raises(exceptions.ApiError) as refused:
        sdk35.sgacl.delete_sgacl_by_id(PERMIT_IP)
    assert refused.value.status_code == 400


def test_control_channel_refuses_nonsense(ise_control: ControlClient) -> None:
    for method, path, body in (
        ("GET", "/nothing", None),
        ("PUT", "/settings", {"colour": "red"}),
        ("POST", "/faults", {"match": "GET x", "fault": "explode"}),
        ("GET", "/objects/sgt/nobody", None),
    ):
        with pytest.raises(ControlError):
            ise_control.call(method, path, body)
