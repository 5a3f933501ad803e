# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults, sessions and pushes of the emulated ISE, seen through the real ciscoisesdk."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.lab.ise.client import ControlClient
from tests.lab.ise.example import HOST, PUMP_MAC, sdk_member
from tests.lab.ise.server import IseServer

pytest_plugins = ["tests.lab.ise.fixtures"]

requests = pytest.importorskip("requests")
exceptions = pytest.importorskip("ciscoisesdk.exceptions")


def tag_names(control: ControlClient) -> set[str]:
    return {each["name"] for each in control.call("GET", "/objects/sgt")}


# -- faults


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_status_faults_hit_the_nth_request_only(sdk35: Any, ise_control: ControlClient, status: int) -> None:
    ise_control.schedule({"match": "GET ^/ers/config/sgt", "nth": 2, "fault": f"status:{status}"})
    sdk35.sgt.get_sgt()
    with pytest.raises(exceptions.ApiError) as failed:
        sdk35.sgt.get_sgt()
    assert failed.value.status_code == status
    sdk35.sgt.get_sgt()
    counters = ise_control.counters()
    assert counters["statuses"] == {"200": 2, str(status): 1}
    assert counters["faults"] == 1


@pytest.mark.parametrize(
    ("after", "error"),
    [(3, None), (None, None), ("0.5", ValueError), ("date", ValueError)],
)
def test_rate_limit_answers(sdk35: Any, ise_control: ControlClient, after: Any, error: Any) -> None:
    ise_control.schedule({"match": "GET sgt", "fault": "429", "retry_after": after})
    with pytest.raises(error or exceptions.RateLimitError) as limited:
        sdk35.sgt.get_sgt()
    if error is None:
        assert limited.value.retry_after == (after or 15)  # the SDK's own default is 15 s
    else:  # the SDK cannot read a fraction or a date: facts/ise.md section 2.4
        assert "invalid literal" in str(limited.value)


def test_drop_before_leaves_no_object(sdk35: Any, ise_control: ControlClient) -> None:
    ise_control.schedule({"match": "POST sgt", "times": 2, "fault": "drop_before"})
    with pytest.raises(exceptions.ciscoisesdkException):
        sdk35.sgt.create_sgt(name="Lost", value=900)
    assert "Lost" not in tag_names(ise_control)
    assert ise_control.counters()["statuses"] == {"dropped": 2}  # the SDK sent the POST twice


def test_drop_after_commit_was_carried_out_and_the_sdk_sends_again(sdk35: Any, ise_control: ControlClient) -> None:
    ise_control.schedule({"match": "POST sgt", "fault": "drop_after_commit"})
    with pytest.raises(exceptions.ApiError) as failed:
        sdk35.sgt.create_sgt(name="Made", value=900)
    assert failed.value.status_code == 400  # "already exists": the first POST had worked
    assert "Made" in tag_names(ise_control)
    assert ise_control.counters()["requests"]["POST ers/sgt"] == 2


@pytest.mark.one_python
@pytest.mark.parametrize("kind", ["hang", "hang_after_commit"])
def test_hang(make_sdk: Any, ise_control: ControlClient, kind: str) -> None:
    ise_control.schedule({"match": "POST sgt", "times": 2, "fault": kind, "seconds": 60})
    # Whoever waits for the answer gets one, and no exception.
    with pytest.raises(exceptions.ciscoisesdkException):
        make_sdk("3.5.0", single_request_timeout=1).sgt.create_sgt(name="Slow", value=900)
    assert ("Slow" in tag_names(ise_control)) is (kind == "hang_after_commit")


def test_cut_json(sdk35: Any, ise_control: ControlClient) -> None:
    ise_control.schedule({"match": "GET sgt", "fault": "cut_json"})
    with pytest.raises(json.JSONDecodeError):
        sdk35.sgt.get_sgt()


def test_html_with_200(sdk35: Any, ise_control: ControlClient) -> None:
    ise_control.schedule({"match": "GET sgt", "fault": "html200"})
    answer = sdk35.sgt.get_sgt()
    assert isinstance(answer.response, str)
    assert "<html" in answer.response


def test_redirect_turns_a_post_into_a_get_with_200(sdk35: Any, ise_control: ControlClient) -> None:
    ise_control.schedule({"match": "POST sgt", "fault": "redirect"})
    answer = sdk35.sgt.create_sgt(name="Never", value=900)
    assert answer.status_code == 200
    assert "Never" not in tag_names(ise_control)


def test_rate_cap_and_latency(ise: IseServer, ise_control: ControlClient) -> None:
    ise_control.settings(rate_limit=5, rate_limit_status=503, latency=0.05)
    with requests.Session() as session:
        session.trust_env = False
        session.auth, session.headers["Accept"] = (ise.username, ise.password), "application/json"
        began = time.monotonic()
        statuses = [
            session.get(f"{ise.base_url}/ers/config/sgt", verify=ise.ca_file, timeout=5).status_code for _ in range(8)
        ]
    assert time.monotonic() - began > 5 * 0.05
    assert statuses == [200] * 5 + [503] * 3
    assert ise_control.counters()["rate_limited"] == 3


# -- MnT


def test_sessions_through_mnt(sdk33: Any, sdk35: Any, ise_control: ControlClient) -> None:
    assert sdk35.misc.get_active_session_count().response["sessionCount"]["count"] == "1"
    for listed in (sdk33.misc.get_active_list(), sdk35.misc.get_active_session_list()):
        row = listed.response["activeList"]["activeSession"]
        assert (row["calling_station_id"], row["framed_ip_address"]) == (PUMP_MAC, "100.64.10.11")
    for found in (
        sdk33.misc.get_sessions_by_mac(mac=PUMP_MAC),
        sdk35.misc.get_full_s_d_mac_info(mac=PUMP_MAC.lower()),
    ):
        detail = found.response["sessionParameters"]
        assert detail["endpoint_policy"] == "Lab-Infusion-Pump"
        assert detail["cts_security_group"] == "Pumps"
        assert detail["network_device_name"] == "acc1"
        assert "ACS:CiscoSecure-Defined-ACL=#ACSACL#-IP-Pump_Access-" in detail["response"]
    with pytest.raises(exceptions.ApiError) as none:
        sdk35.misc.get_full_s_d_mac_info(mac="02:00:00:00:00:00")
    assert none.value.status_code == 500


def test_reauthentication_brings_the_new_revision(sdk33: Any, sdk35: Any, ise_control: ControlClient) -> None:
    old = ise_control.sessions()[PUMP_MAC]
    mark = ise_control.changes()["last"]
    dacl = ise_control.object("downloadableacl", "Pump_Access")
    sdk_member(sdk_member(sdk35, "downloadable_acl"), "update_downloadable_acl_by_id")(
        id=dacl["id"], name="Pump_Access", dacl="permit udp any any eq 53\ndeny ip any any", dacl_type="IPV4"
    )
    assert ise_control.sessions()[PUMP_MAC] == old
    done = sdk35.misc.get_co_a_reauth_status(node="ise-lab", mac=PUMP_MAC, type="1").response
    assert done["remoteCoA"]["results"] == "true"
    new = ise_control.sessions()[PUMP_MAC]
    assert new["dacl"] == ["permit udp any any eq 53", "deny ip any any"]
    assert ise_control.dacl(new["dacl_name"].replace("#ACSACL#-", "xACSACLx-")) == new["dacl"]
    assert ise_control.dacl(old["dacl_name"]) == ["permit ip any any"]
    kinds = [each["kind"] for each in ise_control.changes(mark)["changes"]]
    assert kinds == ["object", "session"]
    ise_control.settings(coa_failures=[PUMP_MAC])
    failed = sdk33.misc.session_reauthentication_by_mac(psn_name="ise-lab", endpoint_mac=PUMP_MAC, reauth_type="1")
    assert failed.response["remoteCoA"]["results"] == "false"
    unknown = sdk35.misc.get_co_a_reauth_status(node="ise-lab", mac="02:00:00:00:00:00", type="1").response
    assert unknown["remoteCoA"]["results"] == "false"


def test_assigned_profile_applies_at_reauthentication(sdk35: Any, ise_control: ControlClient) -> None:
    ise_control.change_session(PUMP_MAC, authorization_profile="DenyAccess")
    assert ise_control.sessions()[PUMP_MAC]["authorized"] is True
    ise_control.call("POST", f"/sessions/{PUMP_MAC}/reauthenticate")
    assert ise_control.sessions()[PUMP_MAC]["authorized"] is False
    assert sdk35.misc.get_full_s_d_mac_info(mac=PUMP_MAC).response["sessionParameters"]["passed"] == "false"


# -- push


def test_push_and_report_over_the_wire(sdk35: Any, ise_control: ControlClient) -> None:
    def rows() -> dict[str, Any]:
        return {each["name"]: each for each in sdk35.trustsecdevicesreport.get_c_t_s_devices_report().response.response}

    before = rows()
    ise_control.edit("egressmatrixcell", "Pumps-Pump_Servers", matrixCellStatus="ENABLED")  # somebody in the GUI
    assert rows() == before
    answer = sdk35.trustsec_c_o_a_push.push_c_o_a(coa_type="ALL").response
    assert answer.status == "INITIATED"
    assert rows()["acc1"]["pushId"] == answer.propagationId
    assert sdk35.trustsec_c_o_a_push.push_c_o_a(coa_type="ALL").response.status == "BUSY"
    time.sleep(0.4)
    after = rows()["acc1"]
    assert (after["state"], after["status"]) == ("TRUSTSEC_POLICY_DOWNLOAD", "UPDATE_SUCCESS")
    assert after["policyVersionId"] != before["acc1"]["policyVersionId"]
    assert after["statusUpdatedTime"] > before["acc1"]["statusUpdatedTime"]
    one = sdk35.trustsecdevicesreport.get_c_t_s_devices_report_by_n_d(name="acc1").response.response
    assert one[0]["pushId"] == answer.propagationId
    assert ise_control.matrix("acc1") == ise_control.matrix()
    with pytest.raises(exceptions.ApiError) as unknown:
        sdk35.trustsecdevicesreport.get_c_t_s_devices_report_by_n_d(name="nobody")
    assert unknown.value.status_code == 404


def test_settings_that_a_preflight_reads(ise: IseServer, ise_control: ControlClient, sdk35: Any) -> None:
    assert sdk35.trustsec_settings.get_trustsec_general_settings().response.response.allowMultipleSGACLs is False
    ise_control.settings(multiple_matrices=True)
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(
            f"{ise.base_url}/api/v1/trustsec/matrix-workflow-settings",
            auth=(ise.username, ise.password), verify=ise.ca_file, timeout=5,
        )  # fmt: skip
    assert answer.json()["response"]["matrixMode"] == "MULTIPLE_MATRICES"


# -- start and stop


def test_start_and_stop_in_a_running_loop(tmp_path: Path) -> None:
    async def scenario() -> None:
        server = IseServer(HOST, 9400, tmp_path, {})
        await server.start()
        client = ControlClient(server.control_url)
        assert (await asyncio.to_thread(client.call, "GET", "/health"))["base_url"] == server.base_url
        second = IseServer(HOST, 9400, tmp_path, {})
        with pytest.raises(OSError, match="in use"):
            await second.start()
        await second.stop()
        await server.stop()
        await server.start()
        assert (await asyncio.to_thread(client.counters))["total"] == 0
        await server.stop()

    asyncio.run(scenario())


def test_command_line(root: Path, tmp_path: Path) -> None:
    seed = tmp_path / "seed.json"
    seed.write_text(json.dumps({"sgts": [{"name": "Only", "value": 500}]}), encoding="utf-8")
    command = [sys.executable, "-m", "tests.lab.ise", "--listen", f"{HOST}:9410", "--seed", str(seed)]
    process = subprocess.Popen(
        [*command, "--certificates", str(tmp_path / "tls")], cwd=root, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        about = json.loads(process.stdout.readline())
        assert about["base_url"] == f"https://{HOST}:9410"
        assert "Only" in tag_names(ControlClient(about["control_url"]))
    finally:
        process.terminate()
        assert process.wait(timeout=10) == 0
        assert process.stdout is not None
        process.stdout.close()


def test_loopback_only(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="loopback"):
        IseServer("0.0.0.0", 9060, tmp_path, {})
