# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenAPI: the TrustSec push, the device report, and the settings that a preflight reads (facts/ise.md section 1.7)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from tests.lab.ise import matrices
from tests.lab.ise.messages import Request, Response, not_found, ok, openapi_error
from tests.lab.ise.pushes import push, report
from tests.lab.ise.store import Refused, Store
from tests.lab.ise.versions import has

PREFIX = "/api/v1/trustsec/"


def handle(store: Store, request: Request) -> Response:
    """ISE before 3.4 patch 2 has none of these paths: 404."""
    path, method = request.path[len(PREFIX) :], request.method
    if not has(store.settings, "trustsec_openapi"):
        return not_found(request.path)
    if not request.accepts("application/json", "*/*"):
        return openapi_error(406, "Not Acceptable")
    if method != "GET" and not store.is_primary(request.node):
        return openapi_error(400, "This node is not the primary administration node")
    try:
        answer = _route(store, request, path, method)
    except Refused as refused:
        return openapi_error(refused.status, refused.title or "Internal error")
    return answer or not_found(request.path)


def _route(store: Store, request: Request, path: str, method: str) -> Response | None:
    if path == "coa/push" and method == "PUT":
        body = _body(request)
        if set(body) - {"coaType", "matrixId"}:
            raise Refused(400, "Unknown property")
        return ok({**push(store, body.get("coaType"), body.get("matrixId")), "version": "1.0.0"})
    if path == "policy/device-report" and method == "GET":
        return ok({"response": report(store), "version": "1.0.0"})
    if path.startswith("policy/device-report/network-device/") and method == "GET":
        return ok({"response": report(store, unquote(path.rsplit("/", 1)[1])), "version": "1.0.0"})
    if path == "general-settings":
        if method == "GET":
            return ok({"response": _general(store), "version": "1.0.0"})
        return _set_general(store, _body(request)) if method == "PUT" else None
    if path == "matrix-workflow-settings":
        if method == "GET":
            return ok({"response": _workflow(store), "version": "1.0.0"})
        return _set_workflow(store, _body(request)) if method == "PUT" else None
    parts = [unquote(part) for part in path.split("/")]
    if parts[0] == "matrix":
        return matrices.handle(store, request, parts[1:], lambda: _body(request))
    return None


def _body(request: Request) -> dict[str, Any]:
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if request.body and kind != "application/json":
        raise Refused(415, "Unsupported Media Type")
    try:
        value = json.loads(request.body or b"{}")
    except ValueError:
        raise Refused(400, "Malformed JSON request") from None
    if not isinstance(value, dict):
        raise Refused(400, "Malformed JSON request")
    return value


def _general(store: Store) -> dict[str, Any]:
    return {
        "allowMultipleSGACLs": store.settings["allow_multiple_sgacls"],
        "httpsServerConfig": {"enableHttps": False, "enableAuditLog": False},
    }


def _set_general(store: Store, body: dict[str, Any]) -> Response:
    if set(body) - {"allowMultipleSGACLs", "httpsServerConfig"}:
        raise Refused(400, "Unknown property")
    if not isinstance(body.get("allowMultipleSGACLs", False), bool):
        raise Refused(400, "allowMultipleSGACLs must be a boolean")
    store.settings["allow_multiple_sgacls"] = body.get("allowMultipleSGACLs", store.settings["allow_multiple_sgacls"])
    return ok({"response": _general(store), "version": "1.0.0"})


def _workflow(store: Store) -> dict[str, Any]:
    return {
        "matrixMode": "MULTIPLE_MATRICES" if store.settings["multiple_matrices"] else "SINGLE_MATRIX",
        "useDefcons": False,
        "approvalWorkflow": {
            "enableApprovalWorkflow": store.settings["approval_workflow"],
            "editors": [],
            "approvers": [],
            "emails": "",
        },
    }


def _set_workflow(store: Store, body: dict[str, Any]) -> Response:
    mode = body.get("matrixMode", _workflow(store)["matrixMode"])
    if set(body) - {"matrixMode", "useDefcons", "approvalWorkflow"} or mode not in (
        "MULTIPLE_MATRICES", "SINGLE_MATRIX",
    ):  # fmt: skip
        raise Refused(400, "Unknown property or matrixMode")
    approval = body.get("approvalWorkflow", {}).get("enableApprovalWorkflow", store.settings["approval_workflow"])
    if mode == "MULTIPLE_MATRICES" and approval:
        raise Refused(400, "The approval workflow is for the production and staging matrices only")
    store.settings.update(multiple_matrices=mode == "MULTIPLE_MATRICES", approval_workflow=approval)
    return ok({"success": {"message": "Settings updated successfully"}, "version": "1.0.0"})
