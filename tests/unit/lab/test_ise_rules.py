# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""State rules of the emulated ISE, without any network: what a write changes, refuses and takes along."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.lab.evaluate import evaluate_matrix
from tests.lab.ise.cells import read_form
from tests.lab.ise.example import PUMP_MAC, SEED
from tests.lab.ise.pushes import device_matrix, download, held, push, report
from tests.lab.ise.resources import DEFAULT_CELL, DENY_IP, PERMIT_IP, SGT_ANY
from tests.lab.ise.rules import create, delete, update
from tests.lab.ise.seed import build_store
from tests.lab.ise.sessions import change_session, effective_sessions, reauthenticate
from tests.lab.ise.store import Refused, Store, canonical_json


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Store:
    return build_store(SEED, clock)


def cell_of(store: Store) -> dict[str, Any]:
    found = store.by_name("egressmatrixcell", "Pumps-Pump_Servers")
    assert found is not None
    return found


def named(store: Store, path: str, name: str) -> str:
    return str(store.find(path, name)["id"])


def refusal(call: Any, *arguments: Any, **more: Any) -> Refused:
    with pytest.raises(Refused) as refused:
        call(*arguments, **more)
    return refused.value


def new_cell(store: Store, **fields: Any) -> dict[str, Any]:
    return {
        "sourceSgtId": named(store, "sgt", "Pump_Servers"),
        "destinationSgtId": named(store, "sgt", "Pumps"),
        "matrixCellStatus": "ENABLED",
        "defaultRule": "NONE",
        "sgacls": [],
        **fields,
    }


# -- cells


@pytest.mark.parametrize(
    ("rule", "tail", "shown_rule", "shown"),
    [
        ("PERMIT_IP", [], "PERMIT_IP", [PERMIT_IP]),  # recorded: POST with a rule reads back as a built-in SGACL
        ("NONE", [DENY_IP], "DENY_IP", [DENY_IP]),  # recorded: a trailing built-in reads back as the rule
        ("DENY_IP", [DENY_IP], "DENY_IP", [DENY_IP]),
        ("NONE", [], "NONE", []),
    ],
)
def test_default_rule_and_trailing_built_in_are_one_thing(
    store: Store, rule: str, tail: list[str], shown_rule: str, shown: list[str]
) -> None:
    mqtt = named(store, "sgacl", "Mqtt")
    for sgacls in ([], [mqtt]):
        cell = create(store, "egressmatrixcell", new_cell(store, defaultRule=rule, sgacls=sgacls + tail))
        read = read_form(store, cell)
        assert (read["defaultRule"], read["sgacls"]) == (shown_rule, sgacls + shown)
        assert read["name"] == "Pump_Servers-Pumps"
        store.settings["cell_read_form"] = "sgacl_only"
        assert read_form(store, cell)["defaultRule"] == "NONE"
        store.settings["cell_read_form"] = "rule_only"
        assert read_form(store, cell)["sgacls"] == sgacls
        store.settings["cell_read_form"] = "both"
        # what was read can be written back and changes nothing
        body = {key: value for key, value in read.items() if key not in ("name", "link")}
        assert update(store, "egressmatrixcell", cell["id"], body) == []
        delete(store, "egressmatrixcell", cell["id"])


def test_cell_refusals(store: Store) -> None:
    mqtt = named(store, "sgacl", "Mqtt")
    taken = {"sourceSgtId": named(store, "sgt", "Pumps"), "destinationSgtId": named(store, "sgt", "Pump_Servers")}
    again = refusal(create, store, "egressmatrixcell", new_cell(store, **taken))
    assert again.status == 400
    assert "Cell Already Exsits" in str(again.title)
    for bad in (
        {"sourceSgtId": "100"},
        {"matrixCellStatus": "ENABLE"},
        {"defaultRule": "PERMIT"},
        {"sgacls": ["Mqtt"]},
        {"sgacls": [mqtt, mqtt]},
        {"defaultRule": "PERMIT_IP", "sgacls": [DENY_IP]},
        {"destinationSgtId": SGT_ANY},
        {"matrixId": "00000000-0000-1000-8000-000000000000"},
        {"colour": "red"},
    ):
        assert refusal(create, store, "egressmatrixcell", new_cell(store, **bad)).status == 400, bad
    assert "sourceSgtId" in str(refusal(create, store, "egressmatrixcell", {"defaultRule": "NONE"}).title)
    missing = refusal(update, store, "egressmatrixcell", cell_of(store)["id"], new_cell(store))
    assert missing.title == "Validation Error - Mandatory fields missing: [Id,]"
    assert refusal(delete, store, "egressmatrixcell", DEFAULT_CELL).status == 400


def test_several_sgacls_need_the_setting_and_keep_their_order(store: Store) -> None:
    lists = [
        create(store, "sgacl", {"name": name, "aclcontent": "permit tcp dst eq 1", "ipVersion": "IPV4"})["id"]
        for name in ("B_list", "A_list")
    ]
    assert refusal(create, store, "egressmatrixcell", new_cell(store, sgacls=lists)).status == 400
    store.settings["allow_multiple_sgacls"] = True
    cell = create(store, "egressmatrixcell", new_cell(store, sgacls=[*lists, DENY_IP]))
    assert read_form(store, cell)["sgacls"] == [*lists, DENY_IP]
    fields = update(store, "egressmatrixcell", cell["id"], {"id": cell["id"], "sgacls": lists[::-1]}, partial=True)
    assert [each["field"] for each in fields] == ["sgacls"]


def test_modes_refuse_writes(store: Store) -> None:
    store.settings.update(multiple_matrices=True, version="3.4")
    assert refusal(create, store, "sgt", {"name": "X", "value": 300}).status == 403
    store.settings["approval_workflow"] = True
    assert refusal(create, store, "egressmatrixcell", new_cell(store)).status == 403


# -- SGT and SGACL


def test_deleting_a_tag_takes_its_cells_along(store: Store) -> None:
    create(store, "egressmatrixcell", new_cell(store, defaultRule="DENY_IP"))
    before = len(store.objects["egressmatrixcell"])
    pumps = named(store, "sgt", "Pumps")
    assert refusal(delete, store, "sgt", pumps, cascade=False).status == 409  # the GUI refuses
    assert len(store.objects["egressmatrixcell"]) == before
    gone = [each["name"] for each in delete(store, "sgt", pumps)]
    assert sorted(gone) == ["Pump_Servers-Pumps", "Pumps", "Pumps-Pump_Servers"]
    assert len(store.objects["egressmatrixcell"]) == before - 2


@pytest.mark.parametrize(
    "body",
    [
        {"name": "Pumps", "value": 300},
        {"name": "pumps", "value": 300},
        {"name": "X", "value": 100},
        {"name": "X", "value": 1},
        {"name": "X", "value": 65520},
        {"name": "X", "value": "300"},
        {"name": "X Y", "value": 300},
        {"name": "X" * 33, "value": 300},
        {"name": "X", "value": 300, "description": "d" * 257},
        {"name": "X"},
        {"value": 300},
    ],
)
def test_tag_refusals(store: Store, body: dict[str, Any]) -> None:
    assert refusal(create, store, "sgt", body).status == 400


def test_tag_value_minus_one_picks_a_free_one(store: Store) -> None:
    assert create(store, "sgt", {"name": "X", "value": -1})["value"] == 16


def test_generation_id_is_a_string_that_counts_changes(store: Store) -> None:
    mqtt = store.find("sgacl", "Mqtt")
    assert mqtt["generationId"] == "0"
    body = {"id": mqtt["id"], "name": "Mqtt", "ipVersion": "IPV4", "aclcontent": mqtt["aclcontent"]}
    assert update(store, "sgacl", mqtt["id"], body) == []
    assert store.find("sgacl", "Mqtt")["generationId"] == "0"
    update(store, "sgacl", mqtt["id"], {**body, "aclcontent": "deny ip", "generationId": "77"})
    assert store.find("sgacl", "Mqtt")["generationId"] == "1"


def test_sgacl_in_use_cannot_go(store: Store, clock: Clock) -> None:
    mqtt = named(store, "sgacl", "Mqtt")
    error = refusal(delete, store, "sgacl", mqtt)
    assert (error.status, error.title) == (500, None)
    store.settings["reference_release_lag"] = 10.0
    delete(store, "egressmatrixcell", cell_of(store)["id"])
    assert refusal(delete, store, "sgacl", mqtt).status == 500
    clock.now += 11
    assert [each["name"] for each in delete(store, "sgacl", mqtt)] == ["Mqtt"]


@pytest.mark.parametrize(
    "fields",
    [{"name": "1st"}, {"name": "a-b"}, {"name": "a" * 33}, {"ipVersion": "IPv4"}, {"name": "MQTT"},
     {"validateAclContent": True, "aclcontent": "permit tcp dst eq 1 2"}],
)  # fmt: skip
def test_sgacl_refusals(store: Store, fields: dict[str, Any]) -> None:
    body = {"name": "New_list", "ipVersion": "IPV4", "aclcontent": "permit tcp dst eq 1", **fields}
    assert refusal(create, store, "sgacl", body).status == 400


def test_bad_sgacl_text_is_taken_unless_validation_is_asked_for(store: Store) -> None:
    body = {"name": "Bad", "ipVersion": "IPV4", "aclcontent": "allow everything"}
    assert create(store, "sgacl", body)["aclcontent"] == "allow everything"
    store.settings["validate_acl_content"] = True
    assert refusal(create, store, "sgacl", {**body, "name": "Bad2"}).status == 400


# -- DACL and authorization profile


def test_dacl_suffix_is_the_time_of_the_last_change(store: Store, clock: Clock) -> None:
    dacl = store.find("downloadableacl", "Pump_Access")

    def revision() -> str:
        reauthenticate(store, PUMP_MAC)
        return str(effective_sessions(store)[PUMP_MAC]["dacl_name"])

    assert revision() == "#ACSACL#-IP-Pump_Access-6553f100"
    body = {"id": dacl["id"], "name": "Pump_Access", "dacl": "permit ip any any"}
    clock.now += 5
    assert update(store, "downloadableacl", dacl["id"], body) == []
    assert revision() == "#ACSACL#-IP-Pump_Access-6553f100"
    update(store, "downloadableacl", dacl["id"], {**body, "dacl": "deny ip any any"})
    assert revision() == "#ACSACL#-IP-Pump_Access-6553f105"
    update(store, "downloadableacl", dacl["id"], body)  # the old text gets a new name
    assert revision() == "#ACSACL#-IP-Pump_Access-6553f106"
    assert store.revisions["#ACSACL#-IP-Pump_Access-6553f105"]["dacl"] == "deny ip any any"
    store.settings["suffix_may_repeat"] = True
    clock.now = 1_700_000_006.0
    update(store, "downloadableacl", dacl["id"], {**body, "dacl": "deny ip any any"})
    assert revision() == "#ACSACL#-IP-Pump_Access-6553f106"


def test_built_in_dacl_has_its_recorded_suffix(store: Store) -> None:
    assert "#ACSACL#-IP-PERMIT_ALL_IPV4_TRAFFIC-57f6b0d3" in store.revisions
    assert refusal(delete, store, "downloadableacl", named(store, "downloadableacl", "DENY_ALL_IPV4_TRAFFIC"))
    assert refusal(
        update, store, "downloadableacl", named(store, "downloadableacl", "DENY_ALL_IPV4_TRAFFIC"), {"id": "x"}
    )


@pytest.mark.parametrize(
    ("policy", "read"),
    [
        ("verbatim", " permit ip any any\r\n\r\ndeny ip any any \n"),
        ("lf", " permit ip any any\n\ndeny ip any any \n"),
        ("trimmed", "permit ip any any\ndeny ip any any"),
    ],
)
def test_dacl_white_space_policies(store: Store, policy: str, read: str) -> None:
    store.settings["dacl_whitespace"] = policy
    body = {"name": "W", "dacl": " permit ip any any\r\n\r\ndeny ip any any \n"}
    assert create(store, "downloadableacl", body)["dacl"] == read


def test_dacl_refusals(store: Store) -> None:
    wrong = ({"name": "a b"}, {"name": "a" * 65}, {"daclType": "ipv4"}, {"dacl": " "}, {"dacl": ["deny ip any any"]})
    for bad in wrong:
        body = {"name": "New", "dacl": "deny ip any any", **bad}
        assert refusal(create, store, "downloadableacl", body).status == 400, bad
    assert refusal(delete, store, "downloadableacl", named(store, "downloadableacl", "Pump_Access")).status == 400
    profile = {"name": "P", "daclName": "nothing"}
    assert refusal(create, store, "authorizationprofile", profile).status == 400
    assert refusal(delete, store, "authorizationprofile", named(store, "authorizationprofile", "Pump_Profile"))


# -- sessions and pushes


def test_session_keeps_the_old_revision_until_reauthentication(store: Store, clock: Clock) -> None:
    old = effective_sessions(store)[PUMP_MAC]
    dacl = store.find("downloadableacl", "Pump_Access")
    clock.now += 60
    update(store, "downloadableacl", dacl["id"], {"id": dacl["id"], "dacl": "deny ip any any"}, partial=True)
    create(store, "authorizationprofile", {"name": "Other", "daclName": "DENY_ALL_IPV4_TRAFFIC"})
    assert effective_sessions(store)[PUMP_MAC] == old
    new = reauthenticate(store, PUMP_MAC)
    assert new["dacl"] == ["deny ip any any"]
    assert new["dacl_name"] != old["dacl_name"]
    change_session(store, PUMP_MAC, {"authorization_profile": "Other", "sgt": 200})
    assert effective_sessions(store)[PUMP_MAC]["sgt"] == 100
    reauthenticate(store, PUMP_MAC)
    assert effective_sessions(store)[PUMP_MAC]["sgt"] == 200
    assert effective_sessions(store)[PUMP_MAC]["dacl_name"] == "#ACSACL#-IP-DENY_ALL_IPV4_TRAFFIC-57f6b0d3"


def test_renaming_a_dacl_breaks_the_profile_that_names_it(store: Store) -> None:
    dacl = store.find("downloadableacl", "Pump_Access")
    update(store, "downloadableacl", dacl["id"], {"id": dacl["id"], "name": "Renamed"}, partial=True)
    assert effective_sessions(store)[PUMP_MAC]["authorized"] is True
    assert reauthenticate(store, PUMP_MAC)["authorized"] is False


def test_device_report_moves_after_a_push_only(store: Store, clock: Clock) -> None:
    packet = {
        "protocol": "tcp", "source": "100.64.10.11", "destination": "100.64.40.13", "source_port": 40000,
        "destination_port": 22, "tcp_flags": {"syn"},
    }  # fmt: skip
    before = report(store, "acc1")[0]
    assert (before["state"], before["status"], before["pushId"]) == ("TRUSTSEC_POLICY_DOWNLOAD", "UPDATE_SUCCESS", "1")
    cell = cell_of(store)
    clock.now += 60
    body = {"id": cell["id"], "matrixCellStatus": "ENABLED"}
    update(store, "egressmatrixcell", cell["id"], body, partial=True)
    clock.now += 60
    assert report(store, "acc1")[0] == before
    assert evaluate_matrix(device_matrix(store, "acc1"), 100, 200, packet).permit is True  # still MONITOR there
    store.settings["push_outcomes"] = {"acc2": "nack"}
    store.settings["push_delay"] = 4.0
    assert push(store, "ALL") == {
        "status": "INITIATED", "propagationId": "2", "message": "COA trigger request initiated successfully",
    }  # fmt: skip
    assert push(store, "ALL")["status"] == "BUSY"
    seen = []
    for _step in range(6):
        row = report(store, "acc1")[0]
        seen.append((row["state"], row["status"], row["pushId"], row["policyVersionId"] == before["policyVersionId"]))
        clock.now += 1
    assert seen == [
        ("COA_SENT", "COA_SENT", "2", True),
        ("COA_SENT", "COA_ACK", "2", True),
        ("SGACL_DOWNLOAD", "UPDATE", "2", True),
        ("TRUSTSEC_POLICY_DOWNLOAD", "UPDATE", "2", True),
        ("TRUSTSEC_POLICY_DOWNLOAD", "UPDATE_SUCCESS", "2", False),
        ("TRUSTSEC_POLICY_DOWNLOAD", "UPDATE_SUCCESS", "2", False),
    ]
    verdict = evaluate_matrix(device_matrix(store, "acc1"), 100, 200, packet)
    assert (verdict.permit, verdict.sgacl, verdict.line) == (False, "Mqtt-00", "deny ip")
    failed = report(store, "acc2")[0]
    assert (failed["status"], failed["policyVersionId"]) == ("COA_NACK", before["policyVersionId"])
    assert evaluate_matrix(device_matrix(store, "acc2"), 100, 200, packet).permit is True


def test_a_followed_device_has_finished_when_it_holds_the_matrix(store: Store, clock: Clock) -> None:
    before = download(store, "acc1")
    cell = cell_of(store)
    update(store, "egressmatrixcell", cell["id"], {"id": cell["id"], "matrixCellStatus": "ENABLED"}, partial=True)
    store.settings["push_delay"] = 4.0
    push(store, "ALL")
    assert download(store, "acc1") == before
    clock.now += 2
    fetched = download(store, "acc1")
    assert (fetched["push"], fetched["matrix"] == before["matrix"]) == ("2", False)
    clock.now += 3
    assert report(store, "acc1")[0]["status"] == "UPDATE"
    assert report(store, "acc2")[0]["status"] == "UPDATE_SUCCESS"  # nobody follows it
    held(store, "acc1", "1")
    assert report(store, "acc1")[0]["status"] == "UPDATE"
    held(store, "acc1", "2")
    assert report(store, "acc1")[0]["status"] == "UPDATE_SUCCESS"
    push(store, "ALL")
    clock.now += 25
    assert report(store, "acc1")[0]["status"] == "UPDATE_TIMED_OUT"


def test_changed_ip_version_does_not_reach_a_device(store: Store, clock: Clock) -> None:
    mqtt = store.find("sgacl", "Mqtt")
    update(store, "sgacl", mqtt["id"], {"id": mqtt["id"], "ipVersion": "IP_AGNOSTIC"}, partial=True)
    push(store, "ALL")
    clock.now += 5
    assert device_matrix(store, "acc1")["cells"][0]["sgacls"][0]["ip_version"] == "IPV4"


def test_push_answers(store: Store) -> None:
    assert refusal(push, store, "EVERYTHING").status == 400
    store.settings["no_request_when_unchanged"] = True
    assert push(store, "ALL")["status"] == "NO_REQUEST_AVAILABLE"
    store.devices.clear()
    assert push(store, "ALL")["status"] == "NO_CTS_DEVICE_AVAILABLE"


# -- state


def test_dump_and_restore_are_exact(store: Store, clock: Clock) -> None:
    state = store.dump()
    text = canonical_json(state)
    delete(store, "sgt", named(store, "sgt", "Pumps"))
    push(store, "ALL")
    clock.now += 9
    report(store)
    assert canonical_json(store.dump()) != text
    store.restore(copy.deepcopy(state))
    assert canonical_json(store.dump()) == text
    assert store.changes_since(0)["changes"][-1]["kind"] == "restored"


def test_unknown_seed_and_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown seed keys"):
        build_store({"sgt": []})
    with pytest.raises(ValueError, match="unknown settings"):
        build_store({"settings": {"speed": 1}})
