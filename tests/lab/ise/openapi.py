# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenAPI: the TrustSec push, the device report, and the settings that a preflight reads (facts/ise.md section 1.7)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from tests.lab.ise.messages import Request, Response, not_found, ok, openapi_error
from tests.lab.ise.pushes import push, report
from tests.lab.ise.resources import PRODUCTION_MATRIX
from tests.lab.ise.store import Refused, Store

PREFIX = "/api/v1/trustsec/"


def handle(store: Store, request: Request) -> Response:
    """ISE before 3.4 patch 2 has none of these paths: 404."""
    path, method = request.path[len(PREFIX) :], request.method
    if store.settings["version"] == "3.3":
        return not_found(request.path)
    if not request.accepts("application/json", "*/*"):
        return openapi_error(406, "Not Acceptable")
    try:
        if path == "coa/push" and method == "PUT":
            body = _body(request)
            if set(body) - {"coaType", "matrixId"}:
                return openapi_error(400, "Unknown property")
            if body.get("matrixId") not in (None, PRODUCTION_MATRIX):
                return openapi_error(404, "Matrix not found")
            return ok({**push(store, body.get("coaType")), "version": "1.0.0"})
        if path == "policy/device-report" and method == "GET":
            return ok({"response": report(store), "version": "1.0.0"})
        if path.startswith("policy/device-report/network-device/") and method == "GET":
            return ok({"response": report(store, unquote(path.rsplit("/", 1)[1])), "version": "1.0.0"})
        if path == "general-settings" and method == "GET":
            return ok({"response": _general(store), "version": "1.0.0"})
        if path == "matrix-workflow-settings" and method == "GET":
            return ok({"response": _workflow(store), "version": "1.0.0"})
    except Refused as refused:
        return openapi_error(refused.status, refused.title or "Internal error")
    return not_found(request.path)


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
        "verifyTrustsecDeployment": False,
        "allowMultipleSGACLs": store.settings["allow_multiple_sgacls"],
        "sgtNumberingType": "UserDefined",
    }


def _workflow(store: Store) -> dict[str, Any]:
    return {
        "matrixMode": "MULTIPLE_MATRICES" if store.settings["multiple_matrices"] else "SINGLE_MATRIX",
        "useDefcons": False,
        "approvalWorkflow": {"enable": store.settings["approval_workflow"], "editors": [], "approvers": []},
    }
