# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Egress matrix cells: their canonical form, their checks, and the matrix as a device downloads it.

A built-in ``Permit IP`` or ``Deny IP`` at the end of a cell's SGACLs and the field ``defaultRule`` are one thing
(facts/ise.md section 0 item 1). Stored: the list without that tail, plus the rule.
"""

from __future__ import annotations

from typing import Any

from tests.lab.ise.resources import DENY_IP, PERMIT_IP, PRODUCTION_MATRIX, SGT_ANY
from tests.lab.ise.store import Object, Refused, Store
from tests.lab.ise.versions import has

CRUD = "CRUD operation exception"
RULE_OF = {PERMIT_IP: "PERMIT_IP", DENY_IP: "DENY_IP"}
SGACL_OF = {rule: identifier for identifier, rule in RULE_OF.items()}


def check_cell(store: Store, item: Object, old: Object | None) -> None:
    """Bring a cell into its stored form; raises Refused."""
    for key, values in (
        ("matrixCellStatus", ("ENABLED", "DISABLED", "MONITOR")),
        ("defaultRule", ("NONE", "PERMIT_IP", "DENY_IP")),
    ):
        if item.get(key) not in values:
            raise Refused(400, f"{key} must be one of {', '.join(values)}")
    matrix = item["matrixId"] = item.get("matrixId") or PRODUCTION_MATRIX
    if matrix not in store.objects["matrix"]:
        raise Refused(400, "matrixId does not exist", CRUD)
    if old is not None and matrix != old["matrixId"]:
        raise Refused(400, "The matrix of a cell cannot be changed", CRUD)
    ends = []
    for key in ("sourceSgtId", "destinationSgtId"):
        if not isinstance(item[key], str) or item[key] not in store.objects["sgt"]:
            raise Refused(400, f"{key} {item[key]} does not exist", CRUD)
        ends.append(item[key])
    if SGT_ANY in ends and ends != [SGT_ANY, SGT_ANY]:
        raise Refused(400, "ANY is allowed in the default cell only", CRUD)
    if old is not None and ends != [old["sourceSgtId"], old["destinationSgtId"]]:
        raise Refused(400, "The source and the destination of a cell cannot be changed", CRUD)
    sgacls = item.get("sgacls") or []
    if not isinstance(sgacls, list) or any(each not in store.objects["sgacl"] for each in sgacls):
        raise Refused(400, "sgacls holds an id that does not exist", CRUD)
    if len(set(sgacls)) != len(sgacls):
        raise Refused(400, "sgacls names one SGACL twice", CRUD)
    if sgacls and sgacls[-1] in RULE_OF:
        tail = RULE_OF[sgacls[-1]]
        if item["defaultRule"] not in ("NONE", tail):
            raise Refused(400, "defaultRule contradicts the last SGACL", CRUD)
        item["defaultRule"], sgacls = tail, sgacls[:-1]
    if len(sgacls) > 1 and not store.settings["allow_multiple_sgacls"]:
        raise Refused(400, "Multiple SGACLs are not allowed in a cell", CRUD)
    item["sgacls"] = sgacls
    if any(each["id"] != item["id"] for each in store.having("egressmatrixcell", "ends", (*ends, matrix))):
        raise Refused(
            400,
            "Failed to create Egress Matrix Cell: Cell Already Exsits. For more information check the ERS debug logs",
            CRUD,
        )
    item["name"] = "-".join(store.objects["sgt"][end]["name"] for end in ends)


def read_form(store: Store, cell: Object, form: str | None = None) -> Object:
    """The cell as a GET shows it."""
    form = form or store.settings["cell_read_form"]
    rule, sgacls = cell["defaultRule"], list(cell["sgacls"])
    if rule != "NONE" and form != "rule_only":
        sgacls.append(SGACL_OF[rule])
    shown = {**cell, "sgacls": sgacls, "defaultRule": "NONE" if form == "sgacl_only" else rule}
    if not has(store.settings, "matrix_id"):
        del shown["matrixId"]
    return shown


def cell_filter_fields(store: Store, cell: Object) -> dict[str, Any]:
    source, destination = (store.objects["sgt"][cell[key]] for key in ("sourceSgtId", "destinationSgtId"))
    return {
        "sgtSrcName": source["name"],
        "sgtDstName": destination["name"],
        "sgtSrcValue": source["value"],
        "sgtDstValue": destination["value"],
        "matrixStatus": cell["matrixCellStatus"],
        "matrixId": cell["matrixId"],
        "description": cell.get("description", ""),
    }


def download_matrix(
    store: Store, before: dict[str, Any] | None = None, matrix_id: str = PRODUCTION_MATRIX
) -> dict[str, Any]:
    """The whole matrix in the form of ``tests.lab.evaluate.evaluate_matrix``, as a device downloads it after a push.

    before: what the device holds. A changed ipVersion of an SGACL that the device already has is not carried by CoA
    (facts/ise.md section 4): the device keeps the old list until somebody refreshes it by hand.
    """
    held = {
        sgacl["id"]: sgacl
        for cell in [*(before or {}).get("cells", []), *filter(None, [(before or {}).get("default")])]
        for sgacl in cell["sgacls"]
    }
    cells: list[dict[str, Any]] = []
    default = None
    for cell in store.objects["egressmatrixcell"].values():
        if cell["matrixId"] != matrix_id:
            continue
        lists = []
        for identifier in cell["sgacls"]:
            sgacl = store.objects["sgacl"][identifier]
            lists.append(
                {
                    "id": identifier,
                    "name": f"{sgacl['name']}-{int(sgacl['generationId']):02d}",
                    "ip_version": sgacl["ipVersion"],
                    "lines": sgacl["aclcontent"].splitlines(),
                }
            )
            if identifier in held and held[identifier]["ip_version"] != sgacl["ipVersion"]:
                lists[-1] = held[identifier]
        shown = {
            "source": store.objects["sgt"][cell["sourceSgtId"]]["value"],
            "destination": store.objects["sgt"][cell["destinationSgtId"]]["value"],
            "source_name": store.objects["sgt"][cell["sourceSgtId"]]["name"],
            "destination_name": store.objects["sgt"][cell["destinationSgtId"]]["name"],
            "status": cell["matrixCellStatus"],
            "default_rule": cell["defaultRule"],
            "sgacls": lists,
        }
        if cell["sourceSgtId"] == SGT_ANY:
            default = shown
        else:
            cells.append(shown)
    cells.sort(key=lambda each: (each["source"], each["destination"]))
    return {"cells": cells, "default": default, "monitor_all": False}
