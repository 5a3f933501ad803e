# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Push the changed matrix and wait until the devices report that they took it over (facts/ise.md section 1.7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation, OperationResult
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_client import IseClient, NotFound

PUSH_PATH = "/api/v1/trustsec/coa/push"
REPORT_PATH = "/api/v1/trustsec/policy/device-report"
# The report is read often at first and then at leisure.
POLL_FIRST, POLL_LONGEST = 0.1, 2.0
DONE = ("UPDATE_SUCCESS", "REPORT_VALIDATION_SUCCESS")
FAILED = (
    "COA_NACK",
    "COA_TIMED_OUT",
    "UPDATE_ERROR",
    "UPDATE_TIMED_OUT",
    "ENV_REQUEST_FAILED",
    "REPORT_VALIDATION_ERROR",
)


def push_matrix(
    client: IseClient, target: str, operation: Operation, seconds: float, sleep: Callable[[float], None]
) -> OperationResult:
    """Push, then poll the device report for at most ``seconds``.

    An ISE without this interface (before 3.4 patch 2) gives a warning. FindingError SW4244 where a device refuses, fails or
    does not finish: what is not confirmed there must not be built upon.
    """
    writes = client.writes
    try:
        answer = _start(client, target, seconds, sleep)
    except NotFound:
        return OperationResult(operation.id, False, 0, (codes.PUSH_UNAVAILABLE.at(target),))
    if answer is None:
        return OperationResult(operation.id, False, client.writes - writes, (codes.NOTHING_TO_PUSH.at(target),))
    findings = _wait(client, target, answer, seconds, sleep)
    if findings:
        raise FindingError(*findings)
    return OperationResult(operation.id, True, client.writes - writes)


def _start(client: IseClient, target: str, seconds: float, sleep: Callable[[float], None]) -> str | None:
    """Start a push and return its id; None where there is nothing or nobody to push to."""
    waited, pause = 0.0, POLL_FIRST
    while True:
        answer = client.open_api("PUT", PUSH_PATH, {"coaType": "ALL"})
        inner = answer.get("response")
        content: Mapping[str, Any] = inner if isinstance(inner, dict) else answer
        status = str(content.get("status", ""))
        if status in ("NO_REQUEST_AVAILABLE", "NO_CTS_DEVICE_AVAILABLE"):
            return None
        if status in ("INITIATED", "DONE"):
            return str(content.get("propagationId", ""))
        if status != "BUSY":
            raise FindingError(codes.PUSH_FAILED.at(f"{target}: the push was answered with {status or 'nothing'!r}"))
        if waited >= seconds:
            raise FindingError(codes.PUSH_FAILED.at(f"{target}: another push is still running after {seconds:.0f} s"))
        sleep(pause)
        waited += pause
        pause = min(POLL_LONGEST, pause * 1.5)


def _wait(client: IseClient, target: str, push: str, seconds: float, sleep: Callable[[float], None]) -> list[Finding]:
    waited, pause = 0.0, POLL_FIRST
    while True:
        try:
            answer = client.open_api("GET", REPORT_PATH)
        except NotFound:
            return []
        rows = [row for row in answer.get("response") or () if isinstance(row, dict)]
        # A row of an older push says nothing about this one.
        mine = [row for row in rows if not push or str(row.get("pushId")) == push]
        failed = [row for row in mine if row.get("status") in FAILED or row.get("state") == "COA_ERROR"]
        waiting = [row for row in rows if row not in failed and (row not in mine or row.get("status") not in DONE)]
        if failed or (waiting and waited >= seconds):
            late = [] if failed and waited < seconds else waiting
            return [
                codes.PUSH_FAILED.at(f"{target}: device {row.get('name')}: {row.get('state')} {row.get('status')}")
                for row in [*failed, *late]
            ]
        if not waiting:
            return []
        sleep(pause)
        waited += pause
        pause = min(POLL_LONGEST, pause * 1.5)
