# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TrustSec push and the device report: nothing reaches a device before a push, and then only with delay.

Shapes, states and statuses: facts/ise.md section 1.7. The report of a device is derived from the time since the push,
so no timer runs; the moment it is first read as finished the device's matrix is the one of the push. A device that is
followed (an emulated switch fetches what it enforces from here) has finished only when it says that it holds the matrix.
"""

from __future__ import annotations

import copy
import time
from typing import Any

from tests.lab.ise.cells import download_matrix
from tests.lab.ise.resources import PRODUCTION_MATRIX
from tests.lab.ise.store import Refused, Store

COA_TYPES = ("ALL", "ENV", "POLICY", "SGACL", "SGT", "STEERING_CONTRACT", "STEERING_POLICY")
STEPS = (  # share of the delay, state, status
    (0.0, "COA_SENT", "COA_SENT"),
    (0.25, "COA_SENT", "COA_ACK"),
    (0.5, "SGACL_DOWNLOAD", "UPDATE"),
    (0.75, "TRUSTSEC_POLICY_DOWNLOAD", "UPDATE"),
    (1.0, "TRUSTSEC_POLICY_DOWNLOAD", "UPDATE_SUCCESS"),
)
OUTCOMES = {
    "nack": ("COA_ERROR", "COA_NACK"),
    "timeout": ("COA_ERROR", "COA_TIMED_OUT"),
    "update_error": ("TRUSTSEC_POLICY_DOWNLOAD", "UPDATE_ERROR"),
    "silent": ("COA_SENT", "COA_SENT"),
    "update_timeout": ("TRUSTSEC_POLICY_DOWNLOAD", "UPDATE_TIMED_OUT"),
    "report_error": ("DEVICE_REPORT", "REPORT_VALIDATION_ERROR"),
    "environment_failed": ("ENVDATA_DOWNLOAD", "ENV_REQUEST_FAILED"),
}
ENVIRONMENT = ("ENV", "SGT")  # types that carry environment data only: no policy reaches the device
DOWNLOAD = 0.5  # share of the delay at which a device that is followed can fetch the matrix
NOT_FETCHED = 20.0  # seconds after which the update of a device that is followed and fetches nothing has timed out
ENVIRONMENT_DONE = ("ENVDATA_DOWNLOAD", "ENV_REQUEST_SUCCESS")


def add_device(store: Store, name: str, address: str) -> None:
    """A network device that speaks TrustSec; it holds the matrix as it is now, by an older push."""
    now = store.clock()
    store.devices[name] = {
        "name": name,
        "address": address,
        "push": str(store.counters["push"]),
        "version": _version(store),
        "updated": store.configuration_time,
        "at": now - 3600,
        "state": "TRUSTSEC_POLICY_DOWNLOAD",
        "status": "UPDATE_SUCCESS",
        "matrix": download_matrix(store),
        "pending": None,
        "followed": False,
    }


def push(store: Store, coa_type: str | None, matrix_id: str | None = None) -> dict[str, str]:
    """Start a push; returns status, propagationId, message. Raises Refused for an unknown type or matrix.

    matrix_id: only to the devices of that matrix, else to all, each with the matrix it is assigned to.
    """
    if coa_type is not None and coa_type not in COA_TYPES:
        raise Refused(400, f"coaType {coa_type} is not known")
    if matrix_id is not None and matrix_id not in store.objects["matrix"]:
        raise Refused(404, "Matrix not found")
    scripted = store.settings["push_answers"]
    if scripted:
        status = scripted[0]
        store.settings["push_answers"] = scripted[1:]
        if status != "INITIATED":
            return _answer(status, str(store.counters["push"]) if status == "BUSY" else "", f"COA request {status}")
    return start_push(store, coa_type, matrix_id)


def start_push(store: Store, coa_type: str | None, matrix_id: str | None = None) -> dict[str, str]:
    """As push(), without scripted answers."""
    advance(store)
    concerned = [
        device for name, device in store.devices.items() if matrix_id is None or matrix_of(store, name) == matrix_id
    ]
    if not concerned:
        return _answer("NO_CTS_DEVICE_AVAILABLE", "", "No Trustsec device available")
    if any(_busy(store, device) for device in concerned):
        return _answer("BUSY", str(store.counters["push"]), "Another COA trigger request is in progress")
    version = _version(store)
    if store.settings["no_request_when_unchanged"] and all(d["version"] == version for d in concerned):
        return _answer("NO_REQUEST_AVAILABLE", "", "No COA request available")
    store.counters["push"] += 1
    identifier = str(store.counters["push"])
    for device in concerned:
        environment = coa_type in ENVIRONMENT
        device["pending"] = {
            "push": identifier,
            "started": store.clock(),
            "delay": float(store.settings["push_delay"]),
            "outcome": store.settings["push_outcomes"].get(device["name"]),
            "version": device["version"] if environment else version,
            "updated": device["updated"] if environment else store.configuration_time,
            "environment": environment,
            "matrix": (
                device["matrix"]
                if environment
                else download_matrix(store, device["matrix"], matrix_of(store, device["name"]))
            ),
        }
    store.log("push", propagation_id=identifier, coa_type=coa_type, matrix_id=matrix_id)
    return _answer("INITIATED", identifier, "COA trigger request initiated successfully")


def matrix_of(store: Store, name: str) -> str:
    """The id of the matrix that a network device is assigned to, by itself or by one of its groups."""
    device = store.by_name("networkdevice", name)
    if device is not None:
        groups = set(device["NetworkDeviceGroupList"])
        for matrix in store.objects["matrix"].values():
            names = {store.objects["networkdevicegroup"][each]["name"] for each in matrix["ndgList"]}
            if device["id"] in matrix["nadList"] or names & groups:
                return str(matrix["id"])
    return PRODUCTION_MATRIX


def advance(store: Store) -> None:
    """Let every device that has had its time finish."""
    for device in store.devices.values():
        pending = device["pending"]
        if pending is None or _share(store, pending) < 1.0:
            continue
        outcome = pending["outcome"]
        if device["followed"] and outcome is None and not pending["environment"] and not pending.get("held"):
            if store.clock() - pending["started"] - pending["delay"] < NOT_FETCHED:
                continue
            outcome = "update_timeout"  # it acknowledged, and fetched nothing
        device["pending"] = None
        device["push"], device["at"] = pending["push"], pending["started"] + pending["delay"]
        if outcome is None:
            device["version"], device["updated"] = pending["version"], pending["updated"]
            device["matrix"] = pending["matrix"]
            device["state"], device["status"] = ENVIRONMENT_DONE if pending["environment"] else STEPS[-1][1:]
        else:
            device["state"], device["status"] = OUTCOMES[outcome]
        store.log("device", name=device["name"], status=device["status"])


def report(store: Store, name: str | None = None) -> list[dict[str, str]]:
    """The device report, of one device or of all. Raises Refused 404."""
    advance(store)
    if name is not None and name not in store.devices:
        raise Refused(404, f"Network device {name} not found")
    return [_row(store, device) for key, device in sorted(store.devices.items()) if name in (None, key)]


def device_matrix(store: Store, name: str) -> dict[str, Any]:
    """What the device enforces, for ``evaluate_matrix``. Raises Refused 404."""
    advance(store)
    if name not in store.devices:
        raise Refused(404, f"Network device {name} not found")
    matrix: dict[str, Any] = copy.deepcopy(store.devices[name]["matrix"])
    return matrix


def download(store: Store, name: str) -> dict[str, Any]:
    """What the device fetches: ``push`` and ``matrix``; from now on it is followed. Raises Refused 404."""
    advance(store)
    if name not in store.devices:
        raise Refused(404, f"Network device {name} not found")
    device = store.devices[name]
    device["followed"] = True
    pending = device["pending"]
    ready = pending is not None and pending["outcome"] is None and _share(store, pending) >= DOWNLOAD
    return copy.deepcopy(
        {"push": (pending if ready else device)["push"], "matrix": (pending if ready else device)["matrix"]}
    )


def held(store: Store, name: str, push_id: str) -> dict[str, Any]:
    """The device says that it holds the matrix of a push. Raises Refused 404."""
    if name not in store.devices:
        raise Refused(404, f"Network device {name} not found")
    pending = store.devices[name]["pending"]
    if pending is not None and pending["push"] == push_id:
        pending["held"] = True
    advance(store)
    return {"name": name, "push": push_id}


def _row(store: Store, device: dict[str, Any]) -> dict[str, str]:
    push_id, state, status, at = device["push"], device["state"], device["status"], device["at"]
    pending = device["pending"]
    if pending is not None:
        share = _share(store, pending)
        push_id = pending["push"]
        for begin, step_state, step_status in STEPS[:-1]:
            if share < begin or (pending["outcome"] in ("nack", "timeout", "silent") and begin > 0):
                break
            state, status, at = step_state, step_status, pending["started"] + begin * pending["delay"]
    return {
        "name": device["name"],
        "ipAddress": device["address"],
        "policyVersionId": device["version"],
        "policyUpdatedTime": _stamp(device["updated"]),
        "pushId": push_id,
        "pullId": str(int(push_id) * 10 + 1),
        "state": state,
        "status": status,
        "statusUpdatedTime": _stamp(at),
    }


def _busy(store: Store, device: dict[str, Any]) -> bool:
    return device["pending"] is not None  # advance() was called


def _share(store: Store, pending: dict[str, Any]) -> float:
    if not pending["delay"]:
        return 1.0
    return float((store.clock() - pending["started"]) / pending["delay"])


def _version(store: Store) -> str:
    milliseconds = int(store.configuration_time * 1000)
    return f"{store.counters['configuration']:x}-{len(store.objects['sgacl']):x}-{milliseconds:x}"


def _answer(status: str, identifier: str, message: str) -> dict[str, str]:
    return {"status": status, "propagationId": identifier, "message": message}


def _stamp(moment: float) -> str:
    whole = int(moment)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{int((moment - whole) * 1000):03d}Z"
