# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ERS: applying and clearing an ANC policy, and what it does to the session of the endpoint.

The clients send two forms: ``OperationAdditionalData`` with name and value pairs (older), and since 3.5 an
``ErsAncEndpoint``. Both end in 204.
"""

from __future__ import annotations

import json
from typing import Any

from tests.lab.ise.messages import Request, Response
from tests.lab.ise.resources import Resource
from tests.lab.ise.sessions import end_session, normal_mac, reauthenticate
from tests.lab.ise.store import Refused, Store
from tests.lab.ise.versions import has

CRUD = "CRUD operation exception"


def route(store: Store, request: Request, resource: Resource, rest: list[str]) -> Response | None:
    """None: not a request of this module. Raises Refused."""
    if resource.path != "ancendpoint" or request.method != "PUT" or rest not in (["apply"], ["clear"]):
        return None
    given = _given(store, request.body)
    mac = normal_mac(str(given.get("macAddress", "")))
    held = [each for each in store.objects["ancendpoint"].values() if each["macAddress"] == mac]
    if rest == ["apply"]:
        policy = store.by_name("ancpolicy", str(given.get("policyName", "")))
        if policy is None:
            raise Refused(400, f"ANC policy {given.get('policyName')} does not exist", CRUD)
        if held:
            raise Refused(400, f"{mac} has the ANC policy {held[0]['policyName']} already", CRUD)
        store.put("ancendpoint", {"id": store.new_id(), "name": mac, "macAddress": mac, "policyName": policy["name"]})
        if mac in store.sessions:
            # a shut port carries no session; the other actions make the switch ask again
            (end_session if {"SHUTDOWN", "SHUT_DOWN"} & set(policy["actions"]) else reauthenticate)(store, mac)
    else:
        if not held:
            raise Refused(400, f"{mac} has no ANC policy", CRUD)
        store.drop("ancendpoint", held[0]["id"])
        if mac in store.sessions:
            reauthenticate(store, mac)
    return Response(204)


def _given(store: Store, raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
        if set(body) == {"OperationAdditionalData"}:
            return {each["name"]: each["value"] for each in body["OperationAdditionalData"]["additionalData"]}
        if set(body) == {"ErsAncEndpoint"} and has(store.settings, "anc_plain_body"):
            return dict(body["ErsAncEndpoint"])
    except (ValueError, TypeError, KeyError):
        pass
    raise Refused(400, "The request body must name macAddress and policyName", "Conversion exception")
