# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenAPI: egress matrices, their cells and views, and the network devices that each applies to.

Paths and field names: Cisco's description of the TrustSec OpenAPI (facts/ise.md section 1.7). Cells are written
through ERS only.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

from tests.lab.ise.cells import read_form
from tests.lab.ise.messages import Request, Response, jackson, ok
from tests.lab.ise.pushes import start_push
from tests.lab.ise.resources import PRODUCTION_MATRIX, SGT_ANY
from tests.lab.ise.store import Object, Refused, Store

PREFIX = "/api/v1/trustsec/matrix"
DEFCON_LEVELS = (
    "DEFCON1_CRITICAL", "DEFCON2_SEVERE", "DEFCON3_SUBSTANTIAL", "DEFCON4_MODERATE", "DEFCON5_NORMAL",
)  # fmt: skip
POLICY_TYPES = ("TRUSTSEC_POLICY", "TRAFFIC_STEERING_POLICY")
CREATE_FIELDS = {"name", "description", "copyPolicyFrom", "defconLevel", "matrixPolicyType"}


def handle(store: Store, request: Request, rest: list[str], body: Callable[[], dict[str, Any]]) -> Response | None:
    """rest: the path after ``matrix``. None: no such path. Raises Refused."""
    method = request.method
    if not rest:
        if method == "GET":
            return _answer([_listed(store, each) for each in _page(request, _matrices(store))])
        return _create(store, body()) if method == "POST" else None
    if rest == ["defaultPolicy"] and method == "GET":
        matrix = _matrix(store, _query(request).get("matrixId", PRODUCTION_MATRIX))
        return _answer([_viewed(store, cell) for cell in cells_of(store, matrix["id"]) if _is_default(cell)])
    if rest == ["matrixPoliciesView"] and method == "GET":
        return _view(store, request)
    matrix = _matrix(store, rest[0])
    if len(rest) == 1:
        if method == "GET":
            return _answer(_detail(store, matrix))
        if method == "PUT":
            return _update(store, matrix, body())
        return _delete(store, matrix) if method == "DELETE" else None
    if rest[1] == "cells" and method == "GET":
        cells = store.remember(("cells", matrix["id"]), lambda: cells_of(store, matrix["id"]))
        if len(rest) == 2:
            return _answer([_cell(store, each) for each in _page(request, cells)])
        if len(rest) == 3:
            return _answer(_cell_detail(store, _one(cells, rest[2])))
    if len(rest) == 2 and method == "PUT":
        if rest[1] == "network-devices":
            return _assign(store, matrix, body(), "nadList", "networkdevice")
        if rest[1] == "network-device-groups":
            return _assign(store, matrix, body(), "ndgList", "networkdevicegroup")
    return None


def cells_of(store: Store, matrix_id: str) -> list[Object]:
    """The cells of one matrix, its default cell included, by name."""
    found = [
        cell
        for cell in store.objects["egressmatrixcell"].values()
        if cell.get("matrixId", PRODUCTION_MATRIX) == matrix_id
    ]
    return sorted(found, key=lambda cell: str(cell["name"]))


def _create(store: Store, body: dict[str, Any]) -> Response:
    if not store.settings["multiple_matrices"]:
        raise Refused(400, "Matrices can be created in multiple matrices mode only")
    if set(body) - CREATE_FIELDS:
        raise Refused(400, "Unknown property")
    name = body.get("name")
    if not isinstance(name, str) or not name:
        raise Refused(400, "name is mandatory")
    if body.get("matrixPolicyType", POLICY_TYPES[0]) not in POLICY_TYPES:
        raise Refused(400, "matrixPolicyType is not known")
    level = body.get("defconLevel")
    if level is not None and level not in DEFCON_LEVELS:
        raise Refused(400, "defconLevel is not known")
    if store.by_name("matrix", name) is not None:
        raise Refused(409, f"Matrix with name {name} already exists")
    source = _matrix(store, body["copyPolicyFrom"]) if body.get("copyPolicyFrom") else None
    matrix: Object = {
        "id": store.new_id(), "name": name, "description": body.get("description", ""),
        "matrixPolicyType": body.get("matrixPolicyType", POLICY_TYPES[0]),
        "type": "DEFCON" if level else "MULTIPLE", "defconLevel": level, "nadList": [], "ndgList": [],
        "_modified": store.clock(),
    }  # fmt: skip
    store.put("matrix", matrix)
    for cell in cells_of(store, source["id"] if source else PRODUCTION_MATRIX):
        if source is None and not _is_default(cell):
            continue
        new = {**copy.deepcopy(cell), "id": store.new_id(), "matrixId": matrix["id"]}
        if source is None:
            new.update(defaultRule="PERMIT_IP", sgacls=[], matrixCellStatus="ENABLED")
        store.put("egressmatrixcell", new)
    return Response(201, jackson({"response": _detail(store, matrix), "version": "1.0.0"}))


def _update(store: Store, matrix: Object, body: dict[str, Any]) -> Response:
    if set(body) - {"name", "description"} or not body.get("name"):
        raise Refused(400, "name is mandatory, description optional")
    if matrix["type"] != "MULTIPLE" and matrix["name"] != body["name"]:
        raise Refused(400, f"{matrix['name']} cannot be renamed")
    other = store.by_name("matrix", body["name"])
    if other is not None and other["id"] != matrix["id"]:
        raise Refused(409, f"Matrix with name {body['name']} already exists")
    store.put("matrix", {**matrix, **body, "_modified": store.clock()})
    return _success("Matrix updated successfully")


def _delete(store: Store, matrix: Object) -> Response:
    if matrix["id"] == PRODUCTION_MATRIX:
        raise Refused(400, "The production matrix cannot be deleted")
    if matrix["nadList"] or matrix["ndgList"]:
        raise Refused(400, f"{matrix['name']} is assigned to network devices")
    for cell in cells_of(store, matrix["id"]):
        store.drop("egressmatrixcell", cell["id"])
    store.drop("matrix", matrix["id"])
    return _success("Matrix deleted successfully")


def _assign(store: Store, matrix: Object, body: dict[str, Any], key: str, path: str) -> Response:
    wanted = body.get(key)
    if set(body) != {key} or not isinstance(wanted, list):
        raise Refused(400, f"{key} is mandatory")
    other_key = "ndgList" if key == "nadList" else "nadList"
    if matrix[other_key]:
        raise Refused(400, "Either network devices or network device groups can be assigned to a matrix")
    for identifier in wanted:
        store.get(path, identifier)
    for other in store.objects["matrix"].values():
        if other["id"] != matrix["id"] and set(other[key]) & set(wanted):
            store.put("matrix", {**other, key: [each for each in other[key] if each not in wanted]})
    store.put("matrix", {**matrix, key: list(wanted), "_modified": store.clock()})
    start_push(store, "POLICY", matrix["id"])  # assigning sends CoA by itself
    return _success("Network devices assigned to the matrix")


def _view(store: Store, request: Request) -> Response:
    query = _query(request)
    try:
        rows = int(query["startRow"]), int(query.get("endRow", 10**9))
        columns = int(query["startColumn"]), int(query.get("endColumn", 10**9))
    except (KeyError, ValueError):
        raise Refused(400, "startRow and startColumn are mandatory") from None
    matrix = _matrix(store, query.get("matrixId", PRODUCTION_MATRIX))
    tags = sorted(
        (sgt for sgt in store.objects["sgt"].values() if sgt["id"] != SGT_ANY), key=lambda sgt: str(sgt["name"])
    )
    position = {sgt["id"]: number for number, sgt in enumerate(tags)}
    found = [
        _viewed(store, cell)
        for cell in cells_of(store, matrix["id"])
        if not _is_default(cell)
        and rows[0] <= position[cell["sourceSgtId"]] <= rows[1]
        and columns[0] <= position[cell["destinationSgtId"]] <= columns[1]
    ]
    return _answer(found)


# -- what is shown


def _listed(store: Store, matrix: Object) -> dict[str, Any]:
    return {
        "matrixUuId": matrix["id"],
        "name": matrix["name"],
        "description": matrix["description"],
        "lastModified": time.strftime("%d-%b-%Y %H:%M", time.gmtime(matrix["_modified"])),
        "matrixPolicyType": matrix["matrixPolicyType"],
        "nadList": list(matrix["nadList"]),
        "ndgList": list(matrix["ndgList"]),
        "noOfNads": len(matrix["nadList"]),
        "type": matrix["type"],
    }


def _detail(store: Store, matrix: Object) -> dict[str, Any]:
    shown = _listed(store, matrix)
    del shown["type"]
    return {**shown, "noOfPolicies": sum(not _is_default(cell) for cell in cells_of(store, matrix["id"]))}


def _cell(store: Store, cell: Object) -> dict[str, Any]:
    """Without status: that is in the detail of one cell, or in the view."""
    return {
        "matrixCellUuid": cell["id"],
        "sourceSgtUuid": cell["sourceSgtId"],
        "destinationSgtUuid": cell["destinationSgtId"],
        "description": cell.get("description", ""),
        "sgacls": read_form(store, cell, store.settings["cells_list_form"])["sgacls"],
    }


def _cell_detail(store: Store, cell: Object) -> dict[str, Any]:
    return {
        "matrixCellName": cell["name"],
        "matrixCellStatus": cell["matrixCellStatus"],
        "sourceSgtUuid": cell["sourceSgtId"],
        "destinationSgtUuid": cell["destinationSgtId"],
        "sgacls": read_form(store, cell, "sgacl_only")["sgacls"],
    }


def _viewed(store: Store, cell: Object) -> dict[str, Any]:
    source, destination = (store.objects["sgt"][cell[key]] for key in ("sourceSgtId", "destinationSgtId"))
    names = [store.objects["sgacl"][each]["name"] for each in read_form(store, cell, "sgacl_only")["sgacls"]]
    return {
        "sourceSgtId": source["id"],
        "sourceSgtName": source["name"],
        "destinationSgtId": destination["id"],
        "destinationSgtName": destination["name"],
        "description": cell.get("description", ""),
        "status": cell["matrixCellStatus"],
        "sgAclNameList": ", ".join(names),
        "contractType": "",
        "colorPattern": "",
    }


def _is_default(cell: Object) -> bool:
    return bool(cell["sourceSgtId"] == SGT_ANY)


# -- small things


def _matrices(store: Store) -> list[Object]:
    return sorted(store.objects["matrix"].values(), key=lambda each: str(each["name"]))


def _matrix(store: Store, identifier: str) -> Object:
    if identifier not in store.objects["matrix"]:
        raise Refused(404, "Matrix not found")
    return store.objects["matrix"][identifier]


def _one(cells: list[Object], identifier: str) -> Object:
    for cell in cells:
        if cell["id"] == identifier:
            return cell
    raise Refused(404, "Matrix cell not found")


def _query(request: Request) -> dict[str, str]:
    return dict(request.query)


def _page(request: Request, items: list[Object]) -> list[Object]:
    """Without page and size everything; a page past the end is empty (assumed)."""
    query = _query(request)
    if not {"page", "size"} & set(query):
        return items
    page, size = query.get("page", "1"), query.get("size", "20")
    if not page.isdigit() or not size.isdigit() or int(page) < 1 or not 1 <= int(size) <= 100:
        raise Refused(400, "Invalid page or size")
    return items[(int(page) - 1) * int(size) : int(page) * int(size)]


def _answer(value: Any) -> Response:
    return ok({"response": value, "version": "1.0.0"})


def _success(message: str) -> Response:
    return ok({"success": {"message": message}, "version": "1.0.0"})
