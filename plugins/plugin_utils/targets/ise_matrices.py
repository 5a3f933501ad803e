# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cells of matrices beside the production matrix, where ISE has several (3.4 patch 2 and later; facts/ise.md section 1.7).

They are objects of a kind of their own, ``matrix_cell``, named SOURCE-DESTINATION@MATRIX. Matrices themselves are not written.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_client import IseClient, NotFound
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_kinds import owned
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_objects import (
    FIXED_SGTS,
    canonical_body,
    wire_fields,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_read import IseReader

MATRICES_PATH = "/api/v1/trustsec/matrix"
# The cells of these are the production's own, or ISE's business.
_NOT_OTHERS = frozenset(("PRODUCTION", "STAGING", "DEFAULT"))
_CELL = "egress_matrix_cell"


def matrix_ids(client: IseClient, *, others: bool = False) -> dict[str, str]:
    """Return ids of matrices by name, only those beside the production matrix where ``others``; none on an ISE without this interface."""
    rows = _rows(client)
    return {name: _id(row) for name, row in rows.items() if not others or str(row.get("type", "")) not in _NOT_OTHERS}


def matrix_devices(client: IseClient, matrix: str) -> tuple[str, frozenset[str]]:
    """Return a matrix' id and the names of the network devices that it applies to, by themselves or by a group of theirs.

    The id is empty where there is no such matrix. Groups cost one request for each network device of ISE. A device of a group below an
    assigned one is not counted: nothing tells whether ISE assigns it too.
    """
    row = _rows(client).get(matrix)
    if row is None:
        return "", frozenset()
    assigned, groups = ({str(each) for each in row.get(key) or ()} for key in ("nadList", "ndgList"))
    devices = client.list_items("network_device") if assigned or groups else []
    names = {item["name"] for item in devices if assigned & {item["id"], item["name"]}}
    if groups:
        named = {
            item["name"] for item in client.list_items("network_device_group") if groups & {item["id"], item["name"]}
        }
        names |= {item["name"] for item in devices if named & _groups(client, item["id"])}
    return _id(row), frozenset(names)


def devices_of_others(client: IseClient, lists: Collection[str]) -> frozenset[str]:
    """Return the names of the network devices of matrices beside the production matrix in which no cell names one of ``lists``.

    One request where no other matrix has a device; for what groups cost see ``matrix_devices``.
    """
    found: frozenset[str] = frozenset()
    ids: set[str] | None = None
    for name, row in sorted(_rows(client).items()):
        if str(row.get("type", "")) in _NOT_OTHERS or not (row.get("nadList") or row.get("ndgList")):
            continue
        if lists and ids is None:
            ids = {item["id"] for item in client.list_items("sgacl") if item["name"] in lists}
        if not (ids and _names_one(client, _id(row), ids)):
            found |= matrix_devices(client, name)[1]
    return found


def _names_one(client: IseClient, matrix: str, lists: Collection[str]) -> bool:
    """Return whether a cell of a matrix names one of the lists, by id; true where the cells cannot be listed."""
    page = 1
    while True:
        try:
            answer = client.open_api("GET", f"{MATRICES_PATH}/{matrix}/cells?page={page}&size=100")
        except NotFound:
            return True
        rows = [row for row in answer.get("response") or () if isinstance(row, dict)]
        if any(str(each) in lists for row in rows for each in row.get("sgacls") or ()):
            return True
        if len(rows) < 100:
            return False
        page += 1


def _groups(client: IseClient, device: str) -> set[str]:
    try:
        return {str(each) for each in client.get("network_device", device).get("NetworkDeviceGroupList") or ()}
    except NotFound:  # removed since the list was read
        return set()


def _rows(client: IseClient) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    page = 1
    while True:
        try:
            answer = client.open_api("GET", f"{MATRICES_PATH}?page={page}&size=100")
        except NotFound:
            return {}
        rows = [row for row in answer.get("response") or () if isinstance(row, dict)]
        found.update((str(row.get("name", "")), row) for row in rows)
        if len(rows) < 100:
            return found
        page += 1


def _id(row: Mapping[str, Any]) -> str:
    return str(row.get("matrixUuId") or row.get("id") or "")


def has_matrices(client: IseClient) -> bool:
    """Return whether this version of ISE can have several matrices."""
    return client.version.pushes_with_report


class MatrixCells:
    """Reads and writes of cells in named matrices. Not for use from several threads at once."""

    def __init__(self, client: IseClient, reader: IseReader) -> None:
        self.client, self._reader = client, reader
        self._ids: dict[str, str] = {}

    def matrix_id(self, name: str) -> str:
        """Return the id of the matrix of ``SOURCE-DESTINATION@MATRIX``; FindingError SW4227 where there is none."""
        matrix = name.split("@", maxsplit=1)[1]
        if matrix not in self._ids:
            self._ids = matrix_ids(self.client)
        if matrix not in self._ids:
            raise FindingError(codes.MISSING_REFERENCE.at(f"cell {name}: no matrix {matrix!r}"))
        return self._ids[matrix]

    def find(self, name: str) -> dict[str, Any] | None:
        """Return the wire form of a cell, freshly read, or None."""
        cell = name.split("@", maxsplit=1)[0]
        for item in self.client.list_items(_CELL, f"matrixId.EQ.{self.matrix_id(name)}"):
            if item["name"] == cell:
                return self._reader.get(_CELL, item["id"])
        return None

    def canonical(self, name: str, wire: Mapping[str, Any]) -> dict[str, Any]:
        """Return the canonical body of a cell, with its matrix."""
        ends = {str(wire.get(field)) for field in ("sourceSgtId", "destinationSgtId")} - set(FIXED_SGTS)
        lists = {str(identifier) for identifier in wire.get("sgacls") or ()}
        sgts = self._reader.named("sgt", fresh=not ends <= set(self._reader.named("sgt")))
        sgacls = self._reader.named("sgacl", fresh=not lists <= set(self._reader.named("sgacl")))
        return {**canonical_body(_CELL, wire, sgts, sgacls), "matrix": name.split("@", maxsplit=1)[1]}

    def fields(self, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields to send."""
        ends = {str(body[end]) for end in ("source", "destination")} - set(FIXED_SGTS.values())
        sgts = self._reader.named("sgt", fresh=not ends <= set(self._reader.named("sgt").values()))
        lists = set(body["sgacls"])
        sgacls = self._reader.named("sgacl", fresh=not lists <= set(self._reader.named("sgacl").values()))
        by_name = [{value: key for key, value in names.items()} for names in (sgts, sgacls)]
        return {**wire_fields(_CELL, name, body, by_name[0], by_name[1]), "matrixId": self.matrix_id(name)}

    def read(
        self, wanted: set[tuple[str, str]], with_owned: bool, everything: bool, objects: dict[str, Any]
    ) -> Sequence[str]:
        """Add the cells that are desired, ours, or all; return the names of all."""
        names = []
        self._ids = matrix_ids(self.client)
        for matrix, identifier in sorted(matrix_ids(self.client, others=True).items()):
            for item in self.client.list_items(_CELL, f"matrixId.EQ.{identifier}"):
                name = f"{item['name']}@{matrix}"
                names.append(name)
                if everything or ("matrix_cell", name) in wanted or (with_owned and owned(item["description"])):
                    wire = self._reader.get(_CELL, item["id"])
                    if wire is not None:
                        objects[f"matrix_cell/{name}"] = self.canonical(name, wire)
        return names
