# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Push the changed matrix and wait until each device reports that it took it over (facts/ise.md section 1.7)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.progress import SHOW
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import (
    Operation,
    OperationResult,
    ReportedError,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import COA_TYPES, LISTS
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_client import IseClient, NotFound
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_confirm import (
    Concerned,
    DevicePush,
    baseline_of,
    confirmed_now,
    device_pushes,
    of_matrix,
    progress_line,
    push_findings,
    settled,
    timed_out,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_matrices import (
    devices_of_others,
    has_matrices,
    matrix_devices,
)

PUSH_PATH = "/api/v1/trustsec/coa/push"
REPORT_PATH = "/api/v1/trustsec/policy/device-report"
# Without OpenAPI (before 3.4 patch 2): undocumented, used by Cisco's own Terraform provider; it names no device and tells no outcome.
OLD_PUSH_PATH = "/ers/config/op/trustsec/egresspushmatrix"
# The report is read often at first and then at leisure.
POLL_FIRST, POLL_LONGEST = 0.1, 2.0
SAY_EVERY = 5.0
Rows = list[Mapping[str, Any]]
Sleep = Callable[[float], None]


def push_matrix(client: IseClient, target: str, operation: Operation, seconds: float, sleep: Sleep) -> OperationResult:
    """Push what the operation's ``details['coa']`` names, one kind after the other, each confirmed for at most ``seconds``.

    Raises ReportedError where a device refuses, fails or does not finish: what is not confirmed there must not be built upon.
    The result and the error carry the outcome of each device. An ISE without this interface gives a warning.
    """
    writes = client.writes
    findings: list[Finding] = []
    known: dict[str, DevicePush] = {}
    answers: list[str] = []
    pushed = False
    for kind in operation.details.get("coa") or COA_TYPES:
        try:
            answer, devices, found = _push(client, target, str(kind), operation.details.get(LISTS), seconds, sleep)
        except NotFound:
            return _old_push(client, target, operation, writes)
        answers.append(f"{kind}: {answer}")
        findings += found
        pushed = pushed or answer in ("INITIATED", "DONE")
        known.update((item.device, item) for item in devices)
        faults = push_findings(target, devices)
        if faults:
            raise ReportedError(_report(answers, list(known.values())), *faults)
    report = _report(answers, list(known.values()))
    return OperationResult(operation.id, pushed, client.writes - writes, tuple(dict.fromkeys(findings)), report=report)


def _report(answers: Sequence[str], devices: Sequence[DevicePush]) -> dict[str, Any]:
    return {"push": list(answers), "devices": [item.as_dict() for item in devices]}


def _push(
    client: IseClient, target: str, kind: str, lists: Collection[str] | None, seconds: float, sleep: Sleep
) -> tuple[str, list[DevicePush], list[Finding]]:
    """Push one kind and return ISE's answer, the devices, and remarks; NotFound where this ISE has no such interface."""
    body, concerned = _push_body(client, kind, lists)
    before = baseline_of(_rows(client) or [])
    status, push = _start(client, target, kind, body, seconds, sleep)
    if status == "NO_CTS_DEVICE_AVAILABLE":
        return status, [], [codes.NO_TRUSTSEC_DEVICE.at(target)]
    if status == "NO_REQUEST_AVAILABLE":
        # Nothing is left to send, which does not mean that every device took what was sent before.
        known = of_matrix(confirmed_now(_rows(client) or []), concerned, reported=False)
        return status, known, [codes.NOTHING_TO_PUSH.at(f"{target}: {kind}")]
    waited, pause, said = 0.0, POLL_FIRST, 0.0
    while True:
        rows = _rows(client)
        if rows is None:
            return status, [], [codes.CONFIRM_BY_SWITCH.at(f"{target}: this ISE has no device report")]
        devices = of_matrix(device_pushes(rows, push, before), concerned)
        if waited >= seconds or (devices and settled(devices)):
            # No device that reports is no device that confirmed.
            empty = [] if devices else [codes.CONFIRM_BY_SWITCH.at(f"{target}: the device report names no device")]
            return status, timed_out(devices), empty
        show = SHOW.get()
        if show is not None and waited - said >= SAY_EVERY:
            said = waited
            show(progress_line(target, devices, waited))
        sleep(pause)
        waited += pause
        pause = min(POLL_LONGEST, pause * 1.5)


def _push_body(client: IseClient, kind: str, lists: Collection[str] | None) -> tuple[dict[str, str], Concerned]:
    """Return the body of a push and the devices that it is for; ``POLICY@NAME`` pushes the cells of a named matrix.

    Cells of the production matrix are nothing to devices of other matrices, and changed ``lists`` only where a cell of theirs
    names one (None: everybody is concerned). A body without a matrix may be sent to those devices too; one of them that is
    down must not fail the push.
    """
    coa, _at, matrix = kind.partition("@")
    if not matrix:
        known = lists is not None and has_matrices(client)
        others = devices_of_others(client, lists or () if coa == "SGACL" else ()) if known else frozenset()
        return {"coaType": coa}, Concerned(others=others)
    identifier, names = matrix_devices(client, matrix)
    if not identifier:
        raise FindingError(codes.MISSING_REFERENCE.at(f"push of matrix {matrix!r}: there is none"))
    return {"coaType": coa, "matrixId": identifier}, Concerned(names)


def _start(
    client: IseClient, target: str, kind: str, body: Mapping[str, str], seconds: float, sleep: Sleep
) -> tuple[str, str]:
    """Start a push, waiting while another one runs; return the answer and its id. ReportedError where it is refused."""
    waited, pause, said = 0.0, POLL_FIRST, 0.0
    while True:
        answer = client.open_api("PUT", PUSH_PATH, body)
        inner = answer.get("response")
        content: Mapping[str, Any] = inner if isinstance(inner, dict) else answer
        status = str(content.get("status", ""))
        if status in ("NO_REQUEST_AVAILABLE", "NO_CTS_DEVICE_AVAILABLE", "INITIATED", "DONE"):
            return status, str(content.get("propagationId") or "")
        if status != "BUSY":
            reason = str(content.get("message") or "")[:160]
            text = f"{target}: the {kind} push was answered with {status or 'nothing'!r} {reason}".strip()
            raise ReportedError(_report([f"{kind}: {status}"], []), codes.PUSH_NOT_STARTED.at(text))
        if waited >= seconds:
            text = f"{target}: another push is still running after {seconds:.0f} s"
            raise ReportedError(_report([f"{kind}: BUSY"], []), codes.PUSH_BUSY.at(text))
        show = SHOW.get()
        if show is not None and waited - said >= SAY_EVERY:
            said = waited
            show(f"{target}: another push is running, waiting since {waited:.0f} s")
        sleep(pause)
        waited += pause
        pause = min(POLL_LONGEST, pause * 1.5)


def _old_push(client: IseClient, target: str, operation: Operation, writes: int) -> OperationResult:
    """Push as ISE before 3.4 patch 2 does; it never says which device took it over."""
    try:
        client.open_api("PUT", OLD_PUSH_PATH, {})
    except NotFound:
        return OperationResult(operation.id, False, 0, (codes.PUSH_UNAVAILABLE.at(target),))
    text = f"{target}: this ISE pushes without a report by device"
    report = {"push": ["egresspushmatrix: sent"], "devices": []}
    return OperationResult(
        operation.id, True, client.writes - writes, (codes.CONFIRM_BY_SWITCH.at(text),), report=report
    )


def _rows(client: IseClient) -> Rows | None:
    """Return the rows of the device report, or None where this ISE has none."""
    try:
        answer = client.open_api("GET", REPORT_PATH)
    except NotFound:
        return None
    return [row for row in answer.get("response") or () if isinstance(row, dict)]
