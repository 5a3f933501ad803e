# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ise_policy for every kind of object: what check mode lists is what is sent, ownership, removal, the cascade of an SGT."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import (
    Journal,
    read_entries,
    verify_journal,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import last_plan, rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.ise_policy import run_ise_policy
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.objects import ise_target
from tests.integration.ise_worlds import FOREIGN, configuration
from tests.lab.ise.client import ControlClient
from tests.lab.ise.server import IseServer

HOST = "127.10.97.10"
MAC = "02:00:00:00:00:01"
WARD = "Location#All Locations#Ward"
OBJECTS: list[dict[str, Any]] = [
    {"kind": "sgt", "name": "SW_S0", "value": 1000},
    {"kind": "sgacl", "name": "SW_L0", "content": "permit tcp dst eq 443\ndeny ip"},
    {"kind": "downloadable_acl", "name": "SW_D0", "content": "permit ip any any"},
    {"kind": "downloadable_acl", "name": "SW_D6", "dacl_type": "IPV6", "content": "permit ipv6 any any"},
    {"kind": "authorization_profile", "name": "SW_P0", "dacl_name": "SW_D0", "ipv6_dacl_name": "SW_D6"},
    {"kind": "endpoint_group", "name": "SW_G0"},
    {"kind": "anc_policy", "name": "SW_A0", "actions": ["QUARANTINE"]},
    {"kind": "ip_sgt_mapping", "name": "SW_M0", "host": "10.9.0.1", "sgt": "SW_S0"},
    {"kind": "egress_matrix_cell", "source": "SW_S0", "destination": "SW_S0", "sgacls": ["SW_L0"]},
    {
        "kind": "authorization_rule", "name": "SW_R0", "group": "SW_G0", "profiles": ["SW_P0"], "security_group": "SW_S0",
        "before": "Printers",
    },
    {"kind": "endpoint", "name": MAC, "group": "SW_G0"},
]  # fmt: skip
Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[IseServer, dict[str, Any]]]:
    devices = [{"name": "acc1", "ip": "127.10.97.31", "groups": [WARD]}, {"name": "acc2", "ip": "127.10.97.32"}]
    seed = {**copy.deepcopy(FOREIGN), "settings": {"push_delay": 0.0}, "network_devices": devices}
    with IseServer(HOST, 9060, tmp_path_factory.mktemp("ise"), seed) as server:
        yield server, ControlClient(server.control_url).state()


@pytest.fixture
def control(_server: tuple[IseServer, dict[str, Any]]) -> ControlClient:
    server, state = _server
    made = ControlClient(server.control_url)
    made.restore({**copy.deepcopy(state), "devices": {}})  # nobody to push to, unless a test is about that
    made.reset_counters()
    return made


@pytest.fixture
def run(_server: tuple[IseServer, dict[str, Any]]) -> Run:
    server = _server[0]
    host = {
        "microseg_platform": "ise", "microseg_ise_url": server.base_url, "microseg_ca_file": str(server.ca_file),
        "microseg_ise_version": "3.5.0", "ansible_user": server.username, "ansible_password": server.password,
        "microseg_ise_assignment_pause": 0.001, "microseg_ise_rate": 500,
    }  # fmt: skip
    variables = {"inventory_hostname": "ise1", "hostvars": {"ise1": host}}

    def call(objects: list[dict[str, Any]], state: str = "present", **more: Any) -> dict[str, Any]:
        if state == "variables":
            return variables
        values = {"state": state, "objects": objects, "check_mode": False, "diff_mode": True, **more}
        return run_ise_policy(values, variables)

    return call


def sent(control: ControlClient) -> list[tuple[str, str]]:
    """Return the writes of a run, between taking the lock that stands in ISE and giving it back."""
    found = [(item["method"], item["path"].rstrip("/")) for item in control.requests() if item["method"] != "GET"]
    if not found:
        return found
    (taken, where), (returned, lock) = found[0], found[-1]
    assert (taken, where, returned) == ("POST", "/ers/config/downloadableacl", "DELETE")
    assert re.fullmatch(f"{where}/[0-9a-f-]{{36}}", lock)
    return found[1:-1]


def listed(result: dict[str, Any]) -> list[tuple[str, str]]:
    return [(item["method"], item["path"]) for item in result["requests"]]


def matches(wanted: list[tuple[str, str]], received: list[tuple[str, str]]) -> bool:
    def pattern(path: str) -> str:
        return "[0-9a-f-]{36}".join(re.escape(part) for part in re.split(r"\{id of [^}]*\}", path))

    return len(wanted) == len(received) and all(
        method == other and re.fullmatch(pattern(path), place) is not None
        for (method, path), (other, place) in zip(wanted, received, strict=True)
    )


def test_check_mode_lists_what_a_run_sends(control: ControlClient, run: Run) -> None:
    """All kinds are made, a second run writes nothing, one changed field is one request, and absent brings back the start."""
    start = configuration(control)
    checked = run(OBJECTS, check_mode=True)
    assert checked["changed"] and sent(control) == []
    assert len([item for item in checked["operations"] if item["action"] != "push"]) == len(OBJECTS)
    assert "POST /ers/config/sgt (sgt SW_S0: description, value)" in checked["diff"]["prepared"]
    assert any(
        "it also catches" not in item["summary"] and "before 'Printers'" in item["summary"]
        for item in checked["operations"]
    )
    done = run(OBJECTS)
    assert not done.get("failed"), done
    assert matches(listed(checked), sent(control)) and listed(done) == listed(checked)
    assert len(done["after"]) == len(OBJECTS)
    control.reset_counters()
    again = run(OBJECTS)
    assert not again["changed"] and again["requests"] == [] and sent(control) == []
    fewer = [dict(item) for item in OBJECTS]
    fewer[4]["ipv6_dacl_name"] = ""
    changed = run(fewer)
    assert changed["requests"][0]["fields"] == ["ipv6DaclName"] and len(sent(control)) == 1
    assert not control.object("authorizationprofile", "SW_P0").get("ipv6DaclName")
    control.reset_counters()
    gone = run(OBJECTS, "absent", check_mode=True)
    assert sent(control) == []
    assert not run(OBJECTS, "absent").get("failed")
    assert matches(listed(gone), sent(control))
    assert configuration(control) == start  # the endpoint is given back to profiling, in the group Unknown
    assert not run(OBJECTS, "absent")["changed"]


def test_a_controller_that_works_on_this_ise_keeps_others_off(control: ControlClient, run: Run) -> None:
    text = "segwright-lock run=0123456789ab holder=ann@elsewhere place=abcdefabcdef pid=1 since=x until=2999-01-01T00:00:00+00:00 for x"
    body = {"name": "SEGWRIGHT_LOCK", "description": text, "dacl": "permit ip any any", "daclType": "IPV4"}
    control.call("POST", "/objects/downloadableacl", body)
    assert run(OBJECTS[:1], check_mode=True)["changed"]
    with pytest.raises(FindingError, match="ann on elsewhere"):
        run(OBJECTS[:1])
    assert [item for item in control.requests() if item["method"] != "GET"] == []


def test_what_was_done_is_told_when_an_object_vanishes_between_reading_and_writing(
    control: ControlClient, run: Run
) -> None:
    objects = [OBJECTS[0], {"kind": "downloadable_acl", "name": "SW_D0", "content": "permit ip any any"}]
    run(objects)
    control.reset_counters()
    control.schedule({"match": "PUT ^/ers/config/downloadableacl/", "nth": 1, "fault": "status:404"})
    moved = [{**OBJECTS[0], "value": 1001}, {**objects[1], "content": "deny ip any any"}]
    made = run(moved)
    assert made["failed"] and [item["name"] for item in made["completed"]] == ["SW_S0"]
    assert (
        "downloadable_acl SW_D0" in made["msg"] and "downloadableacl" in sent(control)[-1][1]
    )  # and the lock was given back


def test_prune_removes_what_is_ours_and_of_the_kinds_given(control: ControlClient, run: Run) -> None:
    run(OBJECTS)
    other = [{"kind": "anc_policy", "name": "SW_A1", "actions": ["RE_AUTHENTICATE"]}]
    assert [item["name"] for item in run(other, check_mode=True)["operations"]] == ["SW_A1"]
    done = run(other, prune=True)
    assert [(item["action"], item["name"]) for item in done["operations"]] == [("create", "SW_A1"), ("delete", "SW_A0")]
    assert "sgt/SW_S0" in configuration(control)


def test_what_is_not_ours_is_left_alone_unless_named(control: ControlClient, run: Run) -> None:
    mine = {"kind": "sgacl", "name": "Corp_Web", "content": "permit ip"}
    for objects, state in (([mine], "present"), ([mine], "absent")):
        with pytest.raises(FindingError) as error:
            run(objects, state)
        assert error.value.findings[0].code == "SW4220"
    with pytest.raises(FindingError):
        run([{"kind": "endpoint", "name": "02:00:00:00:99:01", "group": "Profiled"}])
    assert sent(control) == []
    done = run([{**mine, "adopt": True}])
    assert done["operations"][0]["summary"].startswith("adopt and change")
    assert control.object("sgacl", "Corp_Web")["description"].startswith("segwright:")
    same = {"kind": "sgacl", "name": "Corp_Web", "content": "permit ip", "adopt": True}
    assert not run([same])["changed"]


def test_what_was_taken_over_is_given_back_or_deleted_by_name(control: ControlClient, run: Run) -> None:
    control.call("POST", "/objects/sgt", {"name": "Theirs", "value": 777, "description": "desktop team"})
    theirs = {"kind": "sgt", "name": "Theirs", "value": 777}
    run([{**theirs, "adopt": True}])
    assert control.object("sgt", "Theirs")["description"] == "segwright:adopted: desktop team"
    assert not run([theirs])["changed"]
    control.reset_counters()
    with pytest.raises(FindingError) as error:
        run([theirs], "absent")
    assert error.value.findings[0].code == "SW4220" and "was there before" in str(error.value)
    assert sent(control) == []
    planned = run(OBJECTS[:1], prune=True, check_mode=True)
    control.reset_counters()
    done = run(OBJECTS[:1], prune=True)
    assert [(item["action"], item["name"]) for item in done["operations"]] == [
        ("create", "SW_S0"), ("push", "trustsec"), ("update", "Theirs"),
    ]  # fmt: skip
    assert "give back SGT Theirs" in done["operations"][-1]["summary"]
    assert matches(listed(planned), sent(control)) and planned["requests"][-1]["fields"] == ["description"]
    assert control.object("sgt", "Theirs")["description"] == "desktop team"
    run([{**theirs, "adopt": True}], "absent")
    assert "sgt/Theirs" not in configuration(control)


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"kind": "anc_policy", "name": "SW_A2", "actions": ["PORT_BOUNCE"]}, "allow_port_actions was not given"),
        ({"kind": "anc_policy", "name": "Quarantine", "actions": ["QUARANTINE"]}, "must begin with SW_"),
        ({"kind": "endpoint", "name": "pump-17", "group": "SW_G0"}, "not a MAC address"),
        ({"kind": "authorization_rule", "name": "SW_R1", "condition": {}, "profiles": ["PermitAccess"]}, "condition"),
        ({"kind": "authorization_rule", "name": "SW_R1", "group": "SW_G0"}, "neither profile nor security group"),
        ({"kind": "ip_sgt_mapping", "name": "SW_M1", "host": "a b", "sgt": "SW_S0"}, "neither address nor name"),
        ({"kind": "ip_sgt_mapping", "name": "SW_M1", "host": "10.1.1.1", "sgt": "S", "deploy_type": "ND"}, "deploy_to"),
    ],
)
def test_what_must_not_be_sent(control: ControlClient, run: Run, item: dict[str, Any], reason: str) -> None:
    with pytest.raises(FindingError) as error:
        run([item])
    assert reason in str(error.value) and sent(control) == []


def test_port_actions_can_be_allowed_by_name(control: ControlClient, run: Run) -> None:
    run([{"kind": "anc_policy", "name": "SW_A2", "actions": ["SHUT_DOWN"], "allow_port_actions": True}])
    assert control.object("ancpolicy", "SW_A2")["actions"] == ["SHUT_DOWN"]


def test_an_sgt_takes_no_cell_of_others_with_it(control: ControlClient, run: Run) -> None:
    """ISE would delete the cell silently; the plan names it, and only naming it allows it."""
    run(OBJECTS[:1])
    ids = {item["name"]: key for key, item in control.state()["objects"]["sgt"].items()}
    state = control.state()
    cell = next(
        iter(item for item in state["objects"]["egressmatrixcell"].values() if item["name"] == "Corp-Employees")
    )
    state["objects"]["egressmatrixcell"]["92c1a999-8c01-11e6-996c-525400b48521"] = {
        **cell, "id": "92c1a999-8c01-11e6-996c-525400b48521", "name": "Corp-SW_S0", "destinationSgtId": ids["SW_S0"],
    }  # fmt: skip
    control.restore(state)
    control.reset_counters()
    with pytest.raises(FindingError) as error:
        run(OBJECTS[:1], "absent")
    assert error.value.findings[0].code == "SW4321" and "Corp-SW_S0" in str(error.value)
    with pytest.raises(FindingError):
        run([{"kind": "sgt", "name": "SW_S9", "value": 1009}], prune=True)
    assert sent(control) == []
    run(OBJECTS[:1], "absent", cascade=["Corp-SW_S0"])
    assert "egressmatrixcell/Corp-SW_S0@Production" not in configuration(control)


def test_a_rule_names_whom_else_it_catches_and_the_default_rule_stays(control: ControlClient, run: Run) -> None:
    rule = {"kind": "authorization_rule", "name": "SW_R1", "group": "Printers", "profiles": ["PermitAccess"]}
    before = [item for item in configuration(control).values() if item.get("default") is True]
    summary = run([rule], check_mode=True)["operations"][0]["summary"]
    assert "it also catches 02:00:00:00:99:01" in summary and "before 'Default'" in summary
    run([rule])
    after = [item for item in configuration(control).values() if item.get("default") is True]
    assert [{k: v for k, v in item.items() if k != "rank"} for item in after] == [
        {k: v for k, v in item.items() if k != "rank"} for item in before
    ]
    with pytest.raises(FindingError):
        run([{**rule, "name": "Default"}])


def test_what_is_journalled_is_taken_back_and_made_up_for(control: ControlClient, run: Run, tmp_path: Path) -> None:
    """With a state directory: rollback knows the run, and a mapping that was saved and not deployed is deployed by the next one."""
    before = configuration(control)
    made = run(OBJECTS[:4], state_dir=str(tmp_path))
    journal = Journal(tmp_path / "journal.jsonl")
    assert verify_journal(journal.path) == []
    assert last_plan(read_entries(journal.path)) == ""  # it is no plan: the next one's commit is compared with another
    target = ise_target({}, run([], state="variables"))
    try:
        back = rollback_plan(made["plan_id"], {"ise1": target}, journal)
    finally:
        target.close()
    assert back.ok, back.findings
    assert configuration(control) == before
    mapping = [OBJECTS[0], OBJECTS[7]]
    control.schedule({"match": "PUT ^/ers/config/sgmapping/.*/deploy", "times": 0, "fault": "status:500"})
    assert run(mapping, state_dir=str(tmp_path))["failed"]
    control.clear_faults()
    control.reset_counters()
    run(mapping)  # nobody who does not know the journal can tell
    assert not any("deploy" in path for _method, path in sent(control))
    run(mapping, state_dir=str(tmp_path))
    assert any("deploy" in path for _method, path in sent(control))
    assert not run(mapping, state_dir=str(tmp_path))["changed"]


def test_several_lists_in_a_cell_need_the_setting_and_keep_their_order(control: ControlClient, run: Run) -> None:
    """Refused by name while planning where ISE takes one SGACL only; else written, compared and turned round in the order given."""
    lists = [{"kind": "sgacl", "name": f"SW_L{n}", "content": f"permit tcp dst eq {n + 1}"} for n in range(2)]
    cell = {
        "kind": "egress_matrix_cell", "source": "SW_S0", "destination": "SW_S0", "sgacls": ["SW_L1", "SW_L0"],
        "default_rule": "DENY_IP",
    }  # fmt: skip
    control.settings(allow_multiple_sgacls=False)
    with pytest.raises(FindingError, match="SW_L1, SW_L0") as refused:
        run([OBJECTS[0], *lists, cell])
    assert [finding.code for finding in refused.value.findings] == ["SW4320"]
    assert sent(control) == []
    control.settings(allow_multiple_sgacls=True)
    run([OBJECTS[0], *lists, cell])
    state = control.state()["objects"]
    names = {identifier: item["name"] for identifier, item in state["sgacl"].items()}
    held = next(item for item in state["egressmatrixcell"].values() if item["name"] == "SW_S0-SW_S0")
    assert [names[each] for each in held["sgacls"]] == ["SW_L1", "SW_L0"]
    assert not run([OBJECTS[0], *lists, cell])["changed"]
    control.reset_counters()
    # Two lists that permit mean the same in either order, but a cell names its lists, so the order is written.
    assert run([OBJECTS[0], *lists, {**cell, "sgacls": ["SW_L0", "SW_L1"]}])["changed"]
    assert [method for method, _path in sent(control)][:1] == ["PUT"]


@pytest.fixture
def switched(_server: tuple[IseServer, dict[str, Any]], control: ControlClient) -> ControlClient:
    """With network devices, and several matrices allowed."""
    control.restore(copy.deepcopy(_server[1]))
    control.settings(multiple_matrices=True)
    return control


@pytest.mark.parametrize("assigned", ["network-devices", "network-device-groups"])
def test_cells_of_a_named_matrix_are_pushed_to_its_devices_only(
    switched: ControlClient, run: Run, tmp_path: Path, assigned: str
) -> None:
    """One push, of that matrix: its device fetches the cell and confirms it; a device of production is sent nothing; nor is it on
    the way back."""
    control = switched
    client = ise_target({}, run([], state="variables")).client
    path = "/api/v1/trustsec/matrix"
    client.open_api("POST", path, {"name": "Pilot"})
    pilot = next(item["matrixUuId"] for item in client.open_api("GET", path)["response"] if item["name"] == "Pilot")
    objects = control.state()["objects"]
    devices = {item["name"]: key for key, item in objects["networkdevice"].items()}
    groups = {item["name"]: key for key, item in objects["networkdevicegroup"].items()}
    chosen = {"nadList": [devices["acc1"]]} if assigned == "network-devices" else {"ndgList": [groups[WARD]]}
    client.open_api("PUT", f"{path}/{pilot}/{assigned}", chosen)
    client.close()
    start, before = configuration(control), {name: control.matrix(name) for name in devices}
    assert (set(devices), before["acc1"]["cells"]) == ({"acc1", "acc2"}, [])
    cell = {
        "kind": "matrix_cell", "matrix": "Pilot", "source": "SW_S0", "destination": "SW_S0", "sgacls": ["SW_L0"],
        "status": "ENABLED",
    }  # fmt: skip

    def pushes(since: int) -> list[tuple[str, str]]:
        return [(c["coa_type"], c["matrix_id"]) for c in control.changes(since)["changes"] if c["kind"] == "push"]

    since = int(control.changes(10**9)["last"])
    made = run([*OBJECTS[:2], cell], state_dir=str(tmp_path))
    assert not made.get("failed"), made
    assert pushes(since) == [("POLICY", pilot)]
    assert [(each["device"], each["outcome"]) for each in made["pushed"]] == [("acc1", "confirmed")]
    (held,) = control.matrix("acc1")["cells"]
    assert (held["source_name"], held["destination_name"]) == ("SW_S0", "SW_S0")
    assert control.matrix("acc2") == before["acc2"]
    assert not run([*OBJECTS[:2], cell], state_dir=str(tmp_path))["changed"]

    # What production changes is nothing to that device, unless a cell of its matrix names a list that changes.
    control.settings(push_outcomes={"acc1": "nack"})
    other = {"kind": "sgacl", "name": "SW_L9", "content": "permit tcp dst eq 22\ndeny ip"}
    own_cell = {"kind": "egress_matrix_cell", "source": "SW_S0", "destination": "SW_S0", "sgacls": ["SW_L9"]}
    for objects in ([other, own_cell], [{**other, "content": "deny ip"}]):
        made_there = run(objects)
        assert not made_there.get("failed"), made_there
        assert [(each["device"], each["outcome"]) for each in made_there["pushed"]] == [("acc2", "confirmed")]
    shared = run([{**OBJECTS[1], "content": "deny ip"}])
    assert {each["device"]: each["outcome"] for each in shared["pushed"]} == {"acc1": "refused", "acc2": "confirmed"}
    assert shared["failed"]
    control.settings(push_outcomes={})
    for objects, state in (([OBJECTS[1]], "present"), ([own_cell], "absent"), ([other], "absent")):
        assert not run(objects, state).get("failed")

    # A push that the device refuses is an error, and is owed to the same matrix.
    control.settings(push_outcomes={"acc1": "nack"})
    refused = run([*OBJECTS[:2], {**cell, "default_rule": "DENY_IP"}], state_dir=str(tmp_path / "refused"))
    assert "SW4244" in {item["code"] for item in refused["findings"]}
    control.settings(push_outcomes={})
    assert not run([*OBJECTS[:2], cell], state_dir=str(tmp_path / "back")).get("failed")

    since = int(control.changes(10**9)["last"])
    target = ise_target({}, run([], state="variables"))
    try:
        back = rollback_plan(made["plan_id"], {"ise1": target}, Journal(tmp_path / "journal.jsonl"))
    finally:
        target.close()
    assert back.ok, back.findings
    assert ("POLICY", pilot) in pushes(since) and {matrix for _coa, matrix in pushes(since)} == {pilot}
    assert control.matrix("acc1")["cells"] == []
    assert control.matrix("acc2") == before["acc2"]
    assert configuration(control) == start
