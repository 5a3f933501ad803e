# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ISE's device report says of a push, what a push has to carry, and what never leaves the controller."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal, read_entries
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import coa_types, push_operation
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import ise_confirm, ise_guard
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_guard import MatrixGuard, matrix_wide
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_push import push_matrix

ENGINE = Path(ise_guard.__file__).parents[1]
OLD = "2026-01-01T00:00:00.000Z"


def row(
    name: str, status: str, push: str = "7", state: str = "COA_SENT", at: str = "2026-01-02T00:00:00.000Z"
) -> dict[str, str]:
    return {"name": name, "pushId": push, "state": state, "status": status, "statusUpdatedTime": at}


@pytest.mark.parametrize(
    ("reported", "outcome"),
    [
        (row("acc1", "UPDATE_SUCCESS", state="TRUSTSEC_POLICY_DOWNLOAD"), "confirmed"),
        (row("acc1", "UPDATE_SUCCESS", push="9"), "confirmed"),
        (row("acc1", "UPDATE_SUCCESS", push="6"), "not_reported"),
        (row("acc1", "COA_NACK", state="COA_ERROR"), "refused"),
        (row("acc1", "COA_TIMED_OUT", state="COA_ERROR"), "no_answer"),
        (row("acc1", "UPDATE_ERROR", state="TRUSTSEC_POLICY_DOWNLOAD"), "failed"),
        (row("acc1", "SOMETHING_NEW", state="COA_ERROR"), "failed"),
        (row("acc1", "COA_ACK"), "waiting"),
        (row("acc1", "SOMETHING_NEW"), "waiting"),
    ],
)
def test_each_row_is_one_outcome_with_what_to_do_next(reported: Mapping[str, Any], outcome: str) -> None:
    found = ise_confirm.device_pushes([reported], "7", {})
    assert [item.outcome for item in found] == [outcome]
    assert ise_confirm.settled(found) == (outcome in ise_confirm.FINAL)
    assert all(item.as_dict()["next"] for item in ise_confirm.timed_out(found))


def test_a_push_of_one_matrix_waits_for_its_devices_only() -> None:
    """Devices of other matrices never report it; one that reports it without being listed counts, and may fail it."""
    rows = [
        row("mine", "UPDATE_SUCCESS"), row("other", "UPDATE_SUCCESS", push="6"), row("below", "COA_NACK", state="COA_ERROR"),
    ]  # fmt: skip
    reported = ise_confirm.device_pushes(rows, "7", {})
    found = ise_confirm.of_matrix(reported, ise_confirm.Concerned(frozenset({"mine", "unknown"})))
    assert [(item.device, item.outcome) for item in found] == [("below", "refused"), ("mine", "confirmed")]
    rest = ise_confirm.of_matrix(reported, ise_confirm.Concerned(others=frozenset({"below", "other"})))
    assert [(item.device, item.outcome) for item in rest] == [("mine", "confirmed")]
    assert ise_confirm.of_matrix(reported, ise_confirm.Concerned()) == reported
    assert ise_confirm.settled(found) and "below" in str(ise_confirm.push_findings("ise1", found))
    late = ise_confirm.of_matrix(
        ise_confirm.device_pushes(rows[:2], "7", {}), ise_confirm.Concerned(frozenset({"mine", "other"}))
    )
    assert [item.outcome for item in late] == ["confirmed", "not_reported"] and not ise_confirm.settled(late)
    now, mine = ise_confirm.confirmed_now(rows), ise_confirm.Concerned(frozenset({"mine"}))
    known = ise_confirm.of_matrix(now, mine, reported=False)
    assert [item.device for item in known] == ["mine"]
    assert len(ise_confirm.of_matrix(now, ise_confirm.Concerned())) == 3


def test_without_an_id_only_what_is_newer_than_before_counts() -> None:
    before = ise_confirm.baseline_of([row("acc1", "UPDATE_SUCCESS", at=OLD), row("acc2", "UPDATE_SUCCESS", at=OLD)])
    rows = [row("acc1", "UPDATE_SUCCESS", at=OLD), row("acc2", "UPDATE_SUCCESS")]
    found = ise_confirm.device_pushes(rows, "", before)
    assert [(item.device, item.outcome) for item in found] == [("acc1", "not_reported"), ("acc2", "confirmed")]


def test_findings_name_each_device_and_sum_up() -> None:
    rows = [
        row("acc1", "UPDATE_SUCCESS"),
        row("acc2", "COA_NACK"),
        row("acc3", "COA_ACK"),
        row("acc4", "COA_TIMED_OUT"),
    ]
    devices = ise_confirm.timed_out(ise_confirm.device_pushes(rows, "7", {}))
    found = ise_confirm.push_findings("ise1", devices)
    assert [finding.code for finding in found] == ["SW4350", "SW4353", "SW4351", "SW4244"]
    assert "partially confirmed: 1 of 4 devices" in found[-1].message
    assert "dynamic-author" in found[0].hint
    assert "UDP 1700" in found[2].hint
    assert ise_confirm.push_findings("ise1", devices[:1]) == []
    assert "1 confirmed" in ise_confirm.progress_line("ise1", devices, 12.0)


class _NobodyReports:
    """An ISE that starts pushes and whose device report stays empty."""

    writes = 0

    def open_api(self, verb: str, path: str, body: Any = None) -> dict[str, Any]:
        return {"response": {"status": "INITIATED", "propagationId": "7"} if verb == "PUT" else []}


def test_a_push_that_no_device_reports_is_not_shown_as_confirmed() -> None:
    client: Any = _NobodyReports()
    made = push_matrix(client, "ise1", push_operation("ise1", 1, coa=("POLICY",)), 5.0, lambda _seconds: None)
    assert [(finding.code, finding.severity) for finding in made.findings] == [("SW4358", "warning")]


def step(kind: str, action: str, before: Any = None, after: Any = None) -> Operation:
    return Operation("i", "ise1", kind, "n", action, before, after)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([step("sgacl", "create")], ()),
        ([step("sgt", "create"), step("sgacl", "create"), step("egress_matrix_cell", "create")], ("POLICY",)),
        ([step("sgacl", "update")], ("SGACL",)),
        ([step("egress_matrix_cell", "delete"), step("sgacl", "update")], ("SGACL", "POLICY")),
        ([step("sgt", "update", {"value": 3}, {"value": 3})], ()),
        ([step("sgt", "update", {"value": 3}, {"value": 4})], ("POLICY",)),
        ([step("downloadable_acl", "update"), step("authorization_profile", "update")], ()),
        ([push_operation("ise1")], ()),
    ],
)
def test_a_push_carries_only_what_changed(steps: list[Operation], expected: tuple[str, ...]) -> None:
    assert coa_types(steps) == expected


BASE = "https://ise/ers/config/egressmatrixcell"
WIDE = [
    ("PUT", f"{BASE}/clearallmatrixcells", None),
    ("PUT", f"{BASE}/status/ENABLE", None),
    ("PUT", f"{BASE}//status/MONITOR/", None),
    ("PUT", "https://ise/ers/config/%65gressmatrixcell/clearAllMatrixCells", None),
    ("PUT", f"{BASE}/bulk/submit", b"{}"),
    ("DELETE", f"{BASE}/{ise_guard.ANY_ANY_CELL}", None),
    ("PUT", f"{BASE}/{ise_guard.ANY_ANY_CELL.upper()}", b"{}"),
    (
        "POST",
        BASE,
        b'{"EgressMatrixCell": {"sourceSgtId": "%(any)s", "destinationSgtId": "%(any)s"}}'.replace(b"%(any)s", ise_guard.ANY_SGT.encode()),
    ),
    ("PUT", "https://ise/api/v1/trustsec/matrix/defaultPolicy", b"{}"),
    ("PUT", "https://ise/api/v1/trustsec/matrix/x", b'{"matrix": [{"monitorAll": true}]}'),
    ("PUT", "https://ise/api/v1/trustsec/coa/push", b'{"coaType": "ALL"}'),
    ("PUT", "https://ise/api/v1/trustsec/coa/push", b"{}"),
]  # fmt: skip
SINGLE = [
    ("GET", f"{BASE}/clearallmatrixcells", None),
    ("GET", f"{BASE}/{ise_guard.ANY_ANY_CELL}", None),
    ("PUT", f"{BASE}/0c1a", b'{"EgressMatrixCell": {"sourceSgtId": "a", "destinationSgtId": "b"}}'),
    (
        "POST",
        BASE,
        b'{"EgressMatrixCell": {"sourceSgtId": "%s", "destinationSgtId": "b"}}' % ise_guard.ANY_SGT.encode(),
    ),
    ("DELETE", f"{BASE}/0c1a", None),
    ("PUT", "https://ise/api/v1/trustsec/coa/push", b'{"coaType": "POLICY"}'),
    ("PUT", "https://ise/ers/config/sgt/status", b"{}"),
]


@pytest.mark.parametrize(("method", "url", "body"), WIDE)
def test_what_acts_on_the_whole_matrix_is_refused(method: str, url: str, body: bytes | None) -> None:
    with pytest.raises(FindingError) as error:
        MatrixGuard().check(method, url, body)
    assert [finding.code for finding in error.value.findings] == ["SW4362"]


@pytest.mark.parametrize(("method", "url", "body"), SINGLE)
def test_single_objects_and_reads_pass(method: str, url: str, body: bytes | None) -> None:
    MatrixGuard().check(method, url, body)
    assert matrix_wide(method, url, body) == ""


def test_an_emergency_needs_a_name_and_a_reason_and_is_journalled(tmp_path: Path) -> None:
    guard, journal = MatrixGuard(), Journal(tmp_path / "journal.jsonl")
    for posture, reason in (
        ("", "ward 3 is without telemetry"),
        ("relax_all", ""),
        ("relax_all", "because"),
        ("a b", "ward 3 is down"),
    ):
        with pytest.raises(FindingError) as error, guard.emergency(posture, reason, journal):
            raise AssertionError("not reached")
        assert error.value.findings[0].code == "SW4363"
    assert not journal.path.exists()
    with guard.emergency("relax_all", "ward 3 is without telemetry", journal):
        guard.check("PUT", f"{BASE}/status/MONITOR")
    with pytest.raises(FindingError):
        guard.check("PUT", f"{BASE}/status/MONITOR")
    entries = read_entries(journal.path)
    assert [entry["event"] for entry in entries] == ["emergency_started", "emergency_request", "emergency_ended"]
    assert entries[1]["reason"] == "ward 3 is without telemetry"


@pytest.mark.one_python
def test_no_code_of_the_engine_names_a_verb_on_the_whole_matrix() -> None:
    """Beside the guard: neither the SDK's methods nor the paths, in names or in texts that are sent."""
    words = (
        "clearallmatrix",
        "clear_all_matrix",
        "setallcells",
        "set_all_cells",
        "monitorall",
        "monitor_all",
        "defaultpolicy",
        "clonecell",
    )
    found = []
    for path in sorted(ENGINE.rglob("*.py")):
        # devices/ cannot reach a target (test_house.py); it reads what switches print, and those have monitors of their own.
        if path.name == "ise_guard.py" or path.relative_to(ENGINE).parts[0] == "devices":
            continue
        source = path.read_text(encoding="utf-8")
        if not any(word in source.lower() for word in words):
            continue
        tree = ast.parse(source)
        docs = {id(each.value) for each in ast.walk(tree) if isinstance(each, ast.Expr)}
        for node in ast.walk(tree):
            text = ""
            if isinstance(node, ast.Attribute):
                text = node.attr
            elif isinstance(node, ast.Name):
                text = node.id
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
                text = node.value
            if any(word in text.lower() for word in words):
                found.append(f"{path.relative_to(ENGINE)}:{node.lineno}: {text[:60]}")
    assert found == []
