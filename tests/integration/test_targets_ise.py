# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ISE as a target, against the emulated ISE and the real SDK: plan, apply, verify, back, and every fault on the way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.progress import SHOW
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import apply_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import (
    Journal,
    known_entries,
    verify_journal,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.outcome import Outcome
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import push_operation, pushes_pending
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import Plan, build_plan, snapshot_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.verify import verify_targets
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject, DesiredTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise import IseTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_client import IseClient
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.registry import connect
from tests.lab.ise.client import ControlClient
from tests.lab.ise.server import IseServer

HOST = "127.10.81.10"
COMMIT = "c" * 40
MARK = "segwright:test "
SEED: dict[str, Any] = {
    "settings": {"push_delay": 0.1},
    "network_devices": [{"name": "acc1", "ip": "127.10.81.31"}, {"name": "acc2", "ip": "127.10.81.32"}],
    "sgacls": [{"name": "Corp_Web", "lines": ["permit tcp dst eq 443", "deny ip"], "description": "desktop team"}],
    "dacls": [{"name": "Corp-Printers", "lines": ["permit ip any any"], "description": "desktop team"}],
    "sgts": [{"name": "Corp", "value": 900}],
}
MOVING = ("id", "generationId", "link", "_modified")


def wanted(*, port: int = 443, status: str = "ENABLED", more: tuple[DesiredObject, ...] = ()) -> list[DesiredTarget]:
    """Return what ISE must hold for pumps that talk to a server on one port."""
    objects = (
        DesiredObject("sgt", "SW_pumps", {"value": 1100, "description": f"{MARK}pumps"}),
        DesiredObject("sgt", "SW_servers", {"value": 1200, "description": f"{MARK}servers"}),
        DesiredObject(
            "sgacl", "SW_pumps_servers",
            {"ip_version": "IPV4", "content": f"permit tcp dst eq {port}\ndeny ip", "description": f"{MARK}cell"},
        ),
        DesiredObject(
            "sgacl", "SW_servers_pumps",
            {"ip_version": "IPV4", "content": f"permit tcp src eq {port} established\ndeny ip", "description": f"{MARK}cell"},
        ),
        DesiredObject(
            "downloadable_acl", "SW_pumps",
            {"dacl_type": "IPV4", "content": f"permit tcp any host 100.64.40.10 eq {port}\ndeny ip any any", "description": f"{MARK}pumps"},
        ),
        DesiredObject("authorization_profile", "SW_pumps", {"dacl_name": "SW_pumps", "description": f"{MARK}pumps"}),
        cell("SW_pumps", "SW_servers", status, ["SW_pumps_servers"]),
        cell("SW_servers", "SW_pumps", status, ["SW_servers_pumps"]),
        cell("SW_pumps", "SW_pumps", status, [], "DENY_IP"),
        *more,
    )  # fmt: skip
    return [DesiredTarget("ise1", "ise", objects)]


def cell(source: str, destination: str, status: str, sgacls: list[str], rule: str = "NONE") -> DesiredObject:
    body = {
        "source": source, "destination": destination, "status": status, "sgacls": sgacls, "default_rule": rule,
        "description": f"{MARK}cell {source} to {destination}",
    }  # fmt: skip
    return DesiredObject("egress_matrix_cell", f"{source}-{destination}", body)


@pytest.fixture(scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[IseServer, dict[str, Any]]]:
    server = IseServer(HOST, 9060, tmp_path_factory.mktemp("ise"), SEED)
    with server:
        yield server, ControlClient(server.control_url).state()


@pytest.fixture
def ise(_server: tuple[IseServer, dict[str, Any]]) -> IseServer:
    server, state = _server
    ControlClient(server.control_url).fresh(state)
    return server


@pytest.fixture
def control(ise: IseServer) -> ControlClient:
    return ControlClient(ise.control_url)


@pytest.fixture
def client(ise: IseServer) -> Iterator[IseClient]:
    made = IseClient(ise.base_url, ise.username, ise.password, ca_file=ise.ca_file, timeout=3.0)
    yield made
    made.close()


@pytest.fixture
def target(client: IseClient) -> IseTarget:
    return IseTarget("ise1", client, push_seconds=5.0)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.jsonl")


def plan_for(target: IseTarget, desired: list[DesiredTarget], **more: Any) -> Plan:
    targets = {"ise1": target}
    return build_plan(targets, desired, snapshot_all(targets, desired), policy_commit=COMMIT, **more)


def apply(target: IseTarget, desired: list[DesiredTarget], journal: Journal, **more: Any) -> tuple[Plan, Outcome]:
    plan = plan_for(target, desired, **more)
    return plan, apply_plan(plan, {"ise1": target}, desired, journal, policy_commit=COMMIT)


def configuration(control: ControlClient) -> dict[str, Any]:
    """Return all objects by name without what ISE numbers itself, references as names."""
    objects = control.state()["objects"]
    names = {identifier: item["name"] for items in objects.values() for identifier, item in items.items()}

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items() if key not in MOVING}
        if isinstance(value, list):
            return [plain(item) for item in value]
        return names.get(value, value) if isinstance(value, str) else value

    return {f"{kind}/{item['name']}": plain(item) for kind, items in objects.items() for item in items.values()}


def codes_of(findings: Any) -> set[str]:
    return {finding.code for finding in findings}


@pytest.mark.parametrize(
    ("version", "form"),
    [("3.3_patch_1", "both"), ("3.5.0", "sgacl_only"), pytest.param("3.5.0", "rule_only", marks=pytest.mark.full),
     pytest.param("3.3_patch_1", "rule_only", marks=pytest.mark.full)],
)  # fmt: skip
def test_plan_apply_verify_change_and_back(
    ise: IseServer, control: ControlClient, journal: Journal, version: str, form: str
) -> None:
    control.settings(cell_read_form=form, dacl_whitespace="trimmed" if form == "both" else "verbatim")
    before = configuration(control)
    made = connect([{
        "name": "ise1", "platform": "ise", "host": HOST, "port": 9060, "username": ise.username, "password": ise.password,
        "ca_file": ise.ca_file, "version": version,
    }])  # fmt: skip
    target: Any = made["ise1"]
    desired = wanted(status="MONITOR")
    plan, outcome = apply(target, desired, journal)
    assert [(step.kind, step.action) for step in plan.operations()] == [
        ("sgt", "create"), ("sgt", "create"), ("sgacl", "create"), ("sgacl", "create"), ("downloadable_acl", "create"),
        ("authorization_profile", "create"), *[("egress_matrix_cell", "create")] * 3, ("matrix", "push"),
    ]  # fmt: skip
    assert outcome.ok, outcome.findings
    assert verify_targets(made, desired).ok
    counts = control.counters()
    assert counts["pushes"] == 1
    assert apply_plan(plan, made, desired, journal, policy_commit=COMMIT).writes == 0
    assert not plan_for(target, desired).operations()
    assert control.counters()["writes"] == counts["writes"]
    # A change that opens one port and closes another; the matrix goes from MONITOR to ENABLED.
    changed = wanted(port=8443)
    second, outcome = apply(target, changed, journal)
    assert outcome.ok, outcome.findings
    effects = {(step.kind, step.name): step.effect for step in second.operations()}
    assert effects["downloadable_acl", "SW_pumps"] == "both"
    assert effects["egress_matrix_cell", "SW_pumps-SW_pumps"] == "narrows"
    assert "SW4246" in codes_of(outcome.findings)
    witness = next(step for step in second.operations() if step.kind == "downloadable_acl").details["witness"]
    assert "100.64.40.10:443" in witness
    assert verify_targets(made, changed).ok
    assert not verify_targets(made, desired).ok
    held = control.matrix("acc1")
    assert all(each["status"] == "ENABLED" for each in held["cells"] if each["source_name"].startswith("SW_"))
    # Both changes back: ISE holds what it held before, and so do the devices.
    assert rollback_plan(second.plan_id, made, journal).ok
    assert verify_targets(made, desired).ok
    assert rollback_plan(plan.plan_id, made, journal).ok
    assert configuration(control) == before
    assert control.matrix("acc1")["cells"] == []
    assert verify_journal(journal.path) == []
    target.close()


def test_nothing_of_others_is_touched(target: IseTarget, control: ControlClient, journal: Journal) -> None:
    before = {key: value for key, value in configuration(control).items() if not key.split("/")[1].startswith("SW_")}
    assert apply(target, wanted(), journal)[1].ok
    assert {
        key: value for key, value in configuration(control).items() if not key.split("/")[1].startswith("SW_")
    } == before


def test_an_object_of_others_in_the_way_is_refused_or_adopted(
    target: IseTarget, control: ControlClient, journal: Journal
) -> None:
    control.call(
        "POST",
        "/objects/downloadableacl",
        {"name": "SW_pumps", "dacl": "permit ip any any", "daclType": "IPV4", "description": "mine"},
    )
    control.call(
        "POST", "/objects/sgt", {"name": "SW_pumps", "value": 1100, "description": "equal, so nothing is to be done"}
    )
    control.call("POST", "/objects/sgt", {"name": "Theirs", "value": 1200})
    with pytest.raises(FindingError) as error:
        plan_for(target, wanted())
    assert codes_of(error.value.findings) == {"SW4220", "SW4240"}
    assert "SW_servers belongs to Theirs" in str(error.value)
    control.call("DELETE", "/objects/sgt/Theirs")
    target.adopt = True
    before = configuration(control)
    plan, outcome = apply(target, wanted(), journal)
    assert outcome.ok, outcome.findings
    assert ("sgt", "SW_pumps") not in {(step.kind, step.name) for step in plan.operations()}
    assert control.object("downloadableacl", "SW_pumps")["description"] == "segwright:adopted: mine"
    assert rollback_plan("", {"ise1": target}, journal).ok
    assert configuration(control) == before


def test_drift_is_found_by_meaning_and_named(target: IseTarget, control: ControlClient, journal: Journal) -> None:
    desired = wanted()
    assert apply(target, desired, journal)[1].ok
    control.edit(
        "downloadableacl", "SW_pumps", dacl="permit   tcp any  host 100.64.40.10 eq 443 \r\nremark x\ndeny ip any any"
    )
    control.edit("sgacl", "SW_pumps_servers", aclcontent="permit tcp dst eq 443\ndeny tcp\ndeny ip")
    assert verify_targets({"ise1": target}, desired).ok  # other words, same meaning
    control.edit(
        "downloadableacl",
        "SW_pumps",
        dacl="permit tcp any host 100.64.40.10 eq 443\npermit tcp any any eq 22\ndeny ip any any",
    )
    control.edit("egressmatrixcell", "SW_pumps-SW_pumps", matrixCellStatus="MONITOR")
    found = verify_targets({"ise1": target}, desired)
    assert {(item["kind"], item["name"]) for item in found.drift} == {
        ("downloadable_acl", "SW_pumps"), ("egress_matrix_cell", "SW_pumps-SW_pumps"),
    }  # fmt: skip
    row = next(item for item in found.drift if item["kind"] == "downloadable_acl")
    assert ":22" in row["witness"]
    assert "permit tcp any any eq 22" in row["difference"]


def test_a_plan_is_refused_when_ise_moved(target: IseTarget, control: ControlClient, journal: Journal) -> None:
    assert apply(target, wanted(), journal)[1].ok
    desired = wanted(port=8443)
    plan = plan_for(target, desired)
    control.edit("downloadableacl", "SW_pumps", dacl="deny ip any any")
    writes = control.counters()["writes"]
    with pytest.raises(FindingError) as error:
        apply_plan(plan, {"ise1": target}, desired, journal, policy_commit=COMMIT)
    assert codes_of(error.value.findings) == {"SW4015"}
    assert "ise1: downloadable_acl SW_pumps" in str(error.value)
    assert "100.64.40.10:443" in str(error.value)
    assert control.counters()["writes"] == writes


def test_a_change_between_check_and_write_is_not_overwritten(
    target: IseTarget, control: ControlClient, journal: Journal
) -> None:
    assert apply(target, wanted(), journal)[1].ok
    plan = plan_for(target, wanted(port=8443))
    control.edit("downloadableacl", "SW_pumps", dacl="deny ip any any")
    step = next(step for step in plan.operations() if step.kind == "downloadable_acl")
    with pytest.raises(FindingError) as error:
        target.execute(step)
    assert codes_of(error.value.findings) == {"SW4222"}
    assert control.object("downloadableacl", "SW_pumps")["dacl"] == "deny ip any any"


def test_what_is_created_side_by_side_is_read_back_before_anything_refers_to_it(
    target: IseTarget, control: ControlClient, journal: Journal
) -> None:
    lists = [
        DesiredObject(
            "downloadable_acl", f"SW_many_{number}",
            {"dacl_type": "IPV4", "content": f"permit tcp any any eq {number + 1}\ndeny ip any any", "description": f"{MARK}many"},
        )
        for number in range(12)
    ]  # fmt: skip
    body = {"dacl_name": "SW_many_3", "description": f"{MARK}many"}
    desired = [DesiredTarget("ise1", "ise", (*lists, DesiredObject("authorization_profile", "SW_many", body)))]
    plan = plan_for(target, desired)

    def altered(_number: int, _all: int, _target: str, step: Any, state: str) -> None:
        """Let ISE hold another text than was sent, as soon as the list is there."""
        if (step.name, state) == ("SW_many_3", "done"):
            control.edit("downloadableacl", step.name, dacl="deny ip any any")

    outcome = apply_plan(plan, {"ise1": target}, desired, journal, policy_commit=COMMIT, progress=altered)
    told = [finding for finding in outcome.findings if finding.code == "SW4223"]
    assert [finding.message.partition(":")[0] for finding in told] == ["ise1"], outcome.findings
    assert "SW_many_3" in told[0].message
    assert not outcome.ok
    assert [step.kind for step in outcome.remaining] == ["authorization_profile"]
    assert "authorizationprofile/SW_many" not in configuration(control)
    failed = [entry for entry in known_entries(journal.path) if entry["event"] == "operation_failed"]
    assert [each["operation_id"] for each in failed] == [
        step.id for step in plan.operations() if step.name == "SW_many_3"
    ]
    assert not verify_journal(journal.path)


FAULTS = ["status:500", "status:503", "429", "drop_before", "drop_after_commit", "cut_json", "html200", "redirect"]


def creation_faults() -> list[Any]:
    """Return every fault at every kind of create; a full run takes them all, others a sample."""
    always = {("sgacl", fault) for fault in FAULTS[2:5]} | {
        ("downloadableacl", "status:500"),
        ("egressmatrixcell", "drop_after_commit"),
    }
    pairs = [(kind, fault) for kind in ("sgacl", "downloadableacl", "egressmatrixcell") for fault in FAULTS]
    return [
        pytest.param(f"POST ^/ers/config/{kind}", fault, marks=() if (kind, fault) in always else pytest.mark.full)
        for kind, fault in pairs
    ]


@pytest.mark.parametrize(("match", "fault"), creation_faults())
def test_a_fault_while_creating_leaves_no_doubt_and_can_be_resumed(
    target: IseTarget, control: ControlClient, journal: Journal, fault: str, match: str
) -> None:
    before, desired = configuration(control), wanted()
    plan = plan_for(target, desired)
    control.schedule({"match": match, "nth": 2 if "downloadable" not in match else 1, "fault": fault})
    outcome = apply_plan(plan, {"ise1": target}, desired, journal, policy_commit=COMMIT)
    control.clear_faults()
    settled = fault in ("429", "drop_after_commit", "cut_json")  # repeated, or found to be done by reading
    assert outcome.ok == settled, outcome.findings
    posts = [each for each in control.call("GET", "/requests") if each["method"] == "POST" and each["status"] == 201]
    assert len({each["path"] for each in posts}) <= 5
    assert len(posts) + (fault in ("drop_after_commit",)) == len(configuration(control)) - len(
        before
    )  # nothing was created twice
    if not settled:
        stopped = next(finding for finding in outcome.findings if finding.code == "SW4017")
        assert f"{len(outcome.completed)} steps were carried out" in stopped.message
        assert all(step.operation.name in stopped.message for step in outcome.completed)
        again = apply_plan(plan, {"ise1": target}, desired, journal, policy_commit=COMMIT)
        assert again.ok, again.findings
    assert verify_targets({"ise1": target}, desired).ok
    assert rollback_plan("", {"ise1": target}, journal).ok
    assert configuration(control) == before


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_while_changing_leaves_the_old_or_the_new_object(
    target: IseTarget, control: ControlClient, journal: Journal, fault: str
) -> None:
    assert apply(target, wanted(), journal)[1].ok
    before, desired = configuration(control), wanted(port=8443)
    plan = plan_for(target, desired)
    control.schedule({"match": "PUT ^/ers/config/downloadableacl", "fault": fault})
    outcome = apply_plan(plan, {"ise1": target}, desired, journal, policy_commit=COMMIT)
    control.clear_faults()
    text = control.object("downloadableacl", "SW_pumps")["dacl"]
    assert text.splitlines()[0] in (
        "permit tcp any host 100.64.40.10 eq 443",
        "permit tcp any host 100.64.40.10 eq 8443",
    )
    assert outcome.ok == (fault not in ("status:500", "html200", "redirect"))
    assert rollback_plan(plan.plan_id, {"ise1": target}, journal).ok
    assert configuration(control) == before


def test_an_interrupted_push_is_made_up_for(target: IseTarget, control: ControlClient, journal: Journal) -> None:
    desired = wanted()
    plan = plan_for(target, desired)
    control.settings(push_outcomes={"acc2": "nack"})
    outcome = apply_plan(plan, {"ise1": target}, desired, journal, policy_commit=COMMIT)
    assert not outcome.ok
    assert "SW4244" in codes_of(outcome.findings)
    assert "device acc2" in str(outcome.findings)
    pushed = {each["device"]: each for each in outcome.as_dict()["pushed"]}
    assert {name: each["outcome"] for name, each in pushed.items()} == {"acc1": "confirmed", "acc2": "refused"}
    assert "dynamic-author" in pushed["acc2"]["next"]
    assert pushes_pending(journal.path) == {"ise1"}
    control.settings(push_outcomes={})
    # All objects are there: the same plan, and a new one, still owe the push.
    assert [step.action for step in plan_for(target, desired, pending={"ise1"}).operations()] == ["push"]
    again = apply_plan(plan, {"ise1": target}, desired, journal, policy_commit=COMMIT)
    assert again.ok
    assert [step.operation.action for step in again.completed] == ["push"]
    assert pushes_pending(journal.path) == frozenset()
    assert {each["source_name"] for each in control.matrix("acc2")["cells"]} == {"SW_pumps", "SW_servers"}


def test_an_ise_without_push_warns(target: IseTarget, control: ControlClient, journal: Journal) -> None:
    control.settings(version="3.3", old_push=False)
    outcome = apply(target, wanted(), journal)[1]
    assert outcome.ok
    assert "SW4243" in codes_of(outcome.findings)


def test_each_device_of_a_push_is_told(target: IseTarget, control: ControlClient, journal: Journal) -> None:
    target.push_seconds = 0.6
    shown: list[str] = []
    token = SHOW.set(shown.append)
    try:
        for outcomes, expected in (
            ({"acc1": "timeout", "acc2": "update_error"}, {"acc1": "no_answer", "acc2": "failed"}),
            ({"acc1": "silent"}, {"acc1": "timed_out", "acc2": "confirmed"}),
        ):
            control.settings(push_outcomes=outcomes)
            outcome = apply(target, wanted(), journal, pending=pushes_pending(journal.path))[1]
            assert not outcome.ok
            assert {each["device"]: each["outcome"] for each in outcome.as_dict()["pushed"]} == expected
    finally:
        SHOW.reset(token)
    # ISE has nothing more to send: what the devices reported last still counts.
    control.settings(push_outcomes={}, no_request_when_unchanged=True, push_delay=0.0)
    outcome = apply(target, wanted(), journal, pending={"ise1"})[1]
    assert outcome.ok, outcome.findings
    again = target.execute(push_operation("ise1"))
    assert codes_of(again.findings) == {"SW4245"}
    assert {each["outcome"] for each in again.report["devices"]} == {"confirmed"}
    # Somebody else's push is waited for, and not for ever.
    control.settings(no_request_when_unchanged=False, push_delay=30.0)
    target.client.open_api("PUT", "/api/v1/trustsec/coa/push", {"coaType": "POLICY"})
    with pytest.raises(FindingError) as error:
        target.execute(push_operation("ise1"))
    assert codes_of(error.value.findings) == {"SW4356"}


def test_a_push_without_devices_or_reports_says_so(target: IseTarget, control: ControlClient, journal: Journal) -> None:
    state = control.state()
    control.restore({**state, "devices": {}})
    outcome = apply(target, wanted(), journal)[1]
    assert outcome.ok
    assert "SW4355" in codes_of(outcome.findings)
    control.restore(state)
    control.settings(version="3.3")
    control.reset_counters()
    outcome = apply(target, wanted(port=8443), journal)[1]
    assert outcome.ok
    assert "SW4358" in codes_of(outcome.findings)
    assert ("PUT", "/ers/config/op/trustsec/egresspushmatrix") in {
        (each["method"], each["path"]) for each in control.call("GET", "/requests")
    }


def test_the_whole_matrix_is_reached_only_in_an_emergency(
    target: IseTarget, control: ControlClient, journal: Journal
) -> None:
    assert apply(target, wanted(), journal)[1].ok
    control.reset_counters()
    path = "/ers/config/egressmatrixcell/status/MONITOR"
    with pytest.raises(FindingError) as error:
        target.client.open_api("PUT", path)
    assert codes_of(error.value.findings) == {"SW4362"}
    cells = getattr(target.client._api, "egress_matrix_cell")  # noqa: B009 - the SDK's own way is guarded too
    with pytest.raises(FindingError):
        cells.clear_all_matrix_cells()
    assert control.counters()["writes"] == 0
    with target.client.guard.emergency("relax_all", "ward 3 is without telemetry", journal):
        target.client.open_api("PUT", path)
    own = [cell for cell in configuration(control).values() if "matrixCellStatus" in cell and cell["name"] != "ANY-ANY"]
    assert {cell["matrixCellStatus"] for cell in own} == {"MONITOR"}
    assert verify_journal(journal.path) == []


def test_one_failed_login_ends_the_run(ise: IseServer, control: ControlClient) -> None:
    wrong = IseTarget("ise1", IseClient(ise.base_url, ise.username, "not-the-password", ca_file=ise.ca_file))
    desired = wanted()
    for _attempt in range(2):
        with pytest.raises(FindingError) as error:
            wrong.snapshot(desired[0].objects)
        assert codes_of(error.value.findings) == {"SW4203"}
        assert "not-the-password" not in str(error.value)
    assert control.counters()["failed_logins"] == 1
    assert control.counters()["total"] == 1


def test_an_operator_may_plan_but_not_write(ise: IseServer, control: ControlClient, journal: Journal) -> None:
    reader = IseTarget(
        "ise1", IseClient(ise.base_url, ise.operator_username, ise.operator_password, ca_file=ise.ca_file)
    )
    outcome = apply(reader, wanted(), journal)[1]
    assert codes_of(outcome.findings) == {"SW4204", "SW4017"}
    assert control.counters()["writes"] == 1


def test_an_unverified_certificate_ends_before_any_login(
    ise: IseServer, control: ControlClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = IseTarget("ise1", IseClient(ise.base_url, ise.username, ise.password, timeout=3.0))
    with pytest.raises(FindingError) as error:
        reader.snapshot(())
    assert codes_of(error.value.findings) == {"SW4206"}
    assert control.counters()["total"] == 0
    # What the environment says about authorities does not count, in either direction.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", ise.ca_file)
    other = IseTarget("ise1", IseClient(ise.base_url, ise.username, ise.password, timeout=3.0))
    with pytest.raises(FindingError):
        other.snapshot(())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent.pem")
    assert (
        IseTarget("ise1", IseClient(ise.base_url, ise.username, ise.password, ca_file=ise.ca_file)).snapshot(()).objects
        == {}
    )


@pytest.mark.parametrize(
    "url", ["", "http://127.0.0.1", "127.0.0.1", "https://user:secret@127.0.0.1", "https://127.0.0.1/path"]
)
def test_a_base_url_is_required_and_must_be_https(url: str) -> None:
    with pytest.raises(FindingError) as error:
        IseClient(url, "user", "password")
    assert codes_of(error.value.findings) == {"SW4200"}
    assert "secret" not in str(error.value)


def test_modes_that_forbid_writing_the_matrix_are_named(
    target: IseTarget, control: ControlClient, journal: Journal
) -> None:
    control.settings(multiple_matrices=True, version="3.4")  # before 3.4 patch 2 it refuses security groups
    assert "SW4242" in codes_of(apply(target, wanted(), journal)[1].findings)
    control.settings(multiple_matrices=False, primary=False, version="3.5")
    assert "SW4247" in codes_of(apply(target, wanted(), journal)[1].findings)


def test_prune_removes_leftovers_and_never_cascades(
    target: IseTarget, control: ControlClient, journal: Journal
) -> None:
    assert apply(target, wanted(), journal)[1].ok
    full, smaller = configuration(control), [DesiredTarget("ise1", "ise", ())]
    assert plan_for(target, smaller).operations() == []
    assert codes_of(verify_targets({"ise1": target}, smaller).findings) == {"SW4051"}
    control.settings(reference_release_lag=3.0)
    plan, outcome = apply(target, smaller, journal, prune=True)
    assert outcome.ok, outcome.findings
    assert [step.kind for step in plan.operations()][:3] == ["egress_matrix_cell"] * 3
    assert not [key for key in configuration(control) if key.split("/")[1].startswith("SW_")]
    control.settings(reference_release_lag=0.0)
    assert rollback_plan(plan.plan_id, {"ise1": target}, journal).ok
    assert configuration(control) == full
    early = plan_for(target, smaller, prune=True)
    # Somebody's own cell on our SGT: the SGT stays.
    ids = {name: control.object("sgt", name)["id"] for name in ("Corp", "SW_pumps")}
    control.call("POST", "/objects/egressmatrixcell", {
        "sourceSgtId": ids["Corp"], "destinationSgtId": ids["SW_pumps"], "matrixCellStatus": "ENABLED",
        "defaultRule": "DENY_IP", "sgacls": [],
    })  # fmt: skip
    with pytest.raises(FindingError) as error:
        plan_for(target, smaller, prune=True)
    assert codes_of(error.value.findings) == {"SW4020"} and "Corp-SW_pumps" in str(error.value)
    # Nor where the cell came after the plan was made.
    outcome = apply_plan(early, {"ise1": target}, smaller, journal, policy_commit=COMMIT)
    assert "SW4225" in codes_of(outcome.findings)
    assert control.object("sgt", "SW_pumps")["value"] == 1100
    assert "egressmatrixcell/Corp-SW_pumps" in configuration(control)


def test_what_was_taken_over_is_given_back_and_never_pruned(
    target: IseTarget, control: ControlClient, journal: Journal
) -> None:
    """It keeps its content, and with it what it uses; only by name is it deleted."""
    own = {
        "sgt/SW_pumps": "their pumps", "sgt/SW_servers": "", "downloadableacl/SW_pumps": "their list " + "x" * 240,
        "egressmatrixcell/SW_pumps-SW_servers": "their cell", "sgacl/SW_pumps_servers": "test cell",
    }  # fmt: skip
    for name, value in (("SW_pumps", 1100), ("SW_servers", 1200)):
        control.call("POST", "/objects/sgt", {"name": name, "value": value, "description": own[f"sgt/{name}"]})
    text = own["downloadableacl/SW_pumps"]
    control.call("POST", "/objects/downloadableacl", {
        "name": "SW_pumps", "dacl": "permit ip any any", "daclType": "IPV4", "description": text,
    })  # fmt: skip
    ends = [control.object("sgt", name)["id"] for name in ("SW_pumps", "SW_servers")]
    control.call("POST", "/objects/egressmatrixcell", {
        "sourceSgtId": ends[0], "destinationSgtId": ends[1], "matrixCellStatus": "MONITOR", "defaultRule": "PERMIT_IP",
        "sgacls": [], "description": "their cell",
    })  # fmt: skip
    cell_key = "egress_matrix_cell/SW_pumps-SW_servers"
    theirs = ("sgt/SW_pumps", "sgt/SW_servers", "downloadable_acl/SW_pumps", cell_key)
    target.adopt = frozenset(theirs)
    assert apply(target, wanted(), journal)[1].ok
    assert control.object("sgt", "SW_pumps")["description"] == "segwright:adopted: their pumps"
    assert apply(target, wanted(port=8443, status="ENABLED"), journal)[1].ok  # a later change keeps whose it is
    before, nothing = configuration(control), [DesiredTarget("ise1", "ise", ())]
    assert before["egressmatrixcell/SW_pumps-SW_servers"]["description"] == "segwright:adopted: their cell"
    plan, outcome = apply(target, nothing, journal, prune=True)
    assert outcome.ok, outcome.findings
    given = {f"{step.kind}/{step.name}": step for step in plan.operations() if step.details.get("hand_back")}
    assert set(given) == {*theirs, "sgacl/SW_pumps_servers"}
    assert "enforced" in given[cell_key].summary and {step.effect for step in given.values()} == {"none"}
    after = configuration(control)
    assert {key for key in after if key.split("/")[1].startswith("SW_")} == set(own)
    for key, description in own.items():
        kept = description[: 256 - len("segwright:adopted: ")]
        assert after[key] == {**before[key], "description": kept}, key
    assert plan_for(target, nothing, prune=True).operations() == []
    assert rollback_plan(plan.plan_id, {"ise1": target}, journal).ok
    assert configuration(control) == before
    target.delete = frozenset(theirs)
    assert apply(target, nothing, journal, prune=True)[1].ok
    assert not [key for key in configuration(control) if key.split("/")[1].startswith("SW_")]


def test_texts_that_are_not_understood_are_never_sent_or_replaced(
    target: IseTarget, control: ControlClient, journal: Journal
) -> None:
    bad = DesiredObject(
        "downloadable_acl", "SW_x", {"dacl_type": "IPV4", "content": "permit frobnicate any any", "description": MARK}
    )
    with pytest.raises(FindingError) as error:
        plan_for(target, wanted(more=(bad,)))
    assert codes_of(error.value.findings) == {"SW4226"}


def test_lists_of_many_pages_are_read_whole_and_fast(
    target: IseTarget, control: ControlClient, client: IseClient
) -> None:
    for number in range(250):
        control.call("POST", "/objects/downloadableacl", {
            "name": f"SW_many_{number}", "dacl": "permit ip any any", "daclType": "IPV4", "description": f"{MARK}{number}",
        })  # fmt: skip
    control.settings(latency=0.03)
    start, sent = time.monotonic(), client.requests
    snapshot = target.snapshot(())
    seconds, sent = time.monotonic() - start, client.requests - sent
    control.settings(latency=0.0)
    assert sum(key.startswith("downloadable_acl/SW_many_") for key in snapshot.objects) == 250
    assert sent <= 250 + 14
    assert control.counters()["max_in_flight"] > 1  # one at a time would be 30 a second
    print(f"{sent} requests in {seconds:.2f} s")
