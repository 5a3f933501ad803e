# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ERS: bulk requests. One at a time in the whole deployment; each item is a transaction of its own.

The limits, the answers and the fields of the status: Cisco's page on bulk requests (facts/ise.md section 1.4). How the
items stand in a JSON body is not published: ``resourcesList`` and ``idList`` are assumed after the XML form.
"""

from __future__ import annotations

import json
import time
from typing import Any

from tests.lab.ise.messages import Request, Response, html, ok
from tests.lab.ise.resources import Resource
from tests.lab.ise.rules import create, delete, update
from tests.lab.ise.store import Refused, Store
from tests.lab.ise.versions import has

RESOURCES = ("sgacl", "sgt", "egressmatrixcell", "sgmapping", "sgmappinggroup", "ancpolicy", "endpoint")
MOST_BODIES, MOST_IDS = 500, 5000
KEPT_SECONDS = 2 * 3600
CONVERSION = "Conversion exception"


def route(store: Store, request: Request, resource: Resource, rest: list[str]) -> Response | None:
    """None: not a request of this module. Raises Refused."""
    if resource.path not in RESOURCES or len(rest) != 2 or rest[0] != "bulk" or not has(store.settings, "bulk"):
        return None
    if request.method == "GET":
        return _status(store, rest[1])
    if request.method != "PUT" or rest[1] != "submit":
        return None
    now = store.clock()
    if any(each["until"] > now for each in store.bulks.values()):
        return html(503, "HTTP Status 503 - Service Unavailable", "A bulk request is being processed")
    operation, items = _body(request)
    if operation not in ("create", "update", "delete"):
        raise Refused(400, f"operationType {operation} is not supported", "Unsupported operation exception")
    most = MOST_IDS if operation == "delete" else MOST_BODIES
    if not items or len(items) > most:
        raise Refused(400, f"A bulk request of {operation} holds 1 to {most} resources", CONVERSION)
    identifier = str(int(now * 1000) + len(store.bulks))
    store.bulks[identifier] = {
        "operation": operation, "started": now, "until": now + float(store.settings["bulk_delay"]),
        "rows": [_one(store, resource, operation, item) for item in items],
    }  # fmt: skip
    location = f"{request.origin}/ers/config/{resource.path}/bulk/{identifier}"
    return Response(202, b"", "application/json", (("Location", location),))


def _body(request: Request) -> tuple[str, list[Any]]:
    try:
        body = json.loads(request.body)
        ((name, given),) = body.items()
        if not name.endswith("BulkRequest"):
            raise ValueError
        operation = str(given["operationType"]).lower()
        items = given["idList"]["id"] if operation == "delete" else given["resourcesList"]
        return operation, list(items)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Refused(400, "The request body must hold one bulk request", CONVERSION) from None


def _one(store: Store, resource: Resource, operation: str, item: Any) -> dict[str, Any]:
    row = {"id": "", "name": "", "description": "", "resourceExecutionStatus": "SUCCESS", "status": "OK"}
    try:
        if operation == "delete":
            row.update(id=str(item), name=store.get(resource.path, str(item))["name"])
            delete(store, resource.path, str(item))
            return row
        body = item[resource.wrapper] if set(item) == {resource.wrapper} else item
        row["name"] = str(body.get("name", ""))
        if operation == "create":
            row["id"] = create(store, resource.path, body)["id"]
        else:
            row["id"] = str(body.get("id", ""))
            update(store, resource.path, row["id"], body)
    except Refused as refused:
        row.update(resourceExecutionStatus="FAIL", status=refused.title or refused.code)
    return row


def _status(store: Store, identifier: str) -> Response:
    bulk = store.bulks.get(identifier)
    now = store.clock()
    if bulk is None or now > bulk["started"] + KEPT_SECONDS:
        raise Refused(404, f"Bulk request {identifier} does not exist", "Resource not found exception")
    done = now >= bulk["until"]
    rows = bulk["rows"]
    good = sum(row["resourceExecutionStatus"] == "SUCCESS" for row in rows)
    return ok(
        {
            "BulkStatus": {
                "bulkId": identifier,
                "executionStatus": "COMPLETED" if done else "IN_PROGRESS",
                "operationType": bulk["operation"],
                "startTime": time.strftime("%a %b %d %H:%M:%S UTC %Y", time.gmtime(bulk["started"])),
                "resourcesCount": len(rows),
                "successCount": good if done else 0,
                "failCount": len(rows) - good if done else 0,
                "resourcesStatus": rows if done else [],
            }
        }
    )
