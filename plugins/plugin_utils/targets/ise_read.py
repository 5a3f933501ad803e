# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in an ISE: the snapshot of a plan, and single objects right before and after a write."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_now
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.progress import Progress
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import objects_sha256
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_cells import STATUSES, cell_wires
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_client import IseClient, NotFound
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_kinds import owned
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_lists import Walk, walk_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_matrix import production_matrix
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_objects import (
    FIXED_SGTS,
    KINDS,
    canonical_body,
)

READERS = 8
CELL = "egress_matrix_cell"


class IseReader:
    """Reads of one target. Single objects may be read by several threads at once."""

    platform = "ise"

    def __init__(self, name: str, client: IseClient) -> None:
        self.name, self.client = name, client
        # Names by id of what cells refer to, as last read; unknown ids and names are looked up anew.
        self.names: dict[str, dict[str, str]] = {}
        self._guard = threading.RLock()
        self._matrix: str | None = None
        self._absent: set[tuple[str, str]] = set()

    def read(
        self, desired: Sequence[DesiredObject], kinds: Sequence[str], *, with_owned: bool, everything: bool = False
    ) -> Snapshot:
        """Return the desired objects that exist, what carries our mark (``with_owned``), or everything of the kinds.

        Lists have no contents: one request for each hundred objects, and one for each object whose content is needed. Cells take
        far fewer where this ISE lists them with their lists (ise_cells.py).
        """
        names = {(item.kind, item.name) for item in desired}

        def keep(kind: str, item: Mapping[str, Any]) -> bool:
            return everything or (kind, item["name"]) in names or (with_owned and owned(item["description"]))

        with ThreadPoolExecutor(max_workers=READERS) as pool:
            lists = self._lists(pool, kinds)
            sgts, sgacls = ({item["id"]: item["name"] for item in lists.get(kind, ())} for kind in ("sgt", "sgacl"))
            chosen = [(kind, item["id"]) for kind in kinds if kind != CELL for item in lists[kind] if keep(kind, item)]
            chosen += self._holders_of_values(pool, desired, lists, chosen)
            objects: dict[str, Any] = {}
            progress = Progress(f"{self.name}: reading contents", len(chosen), "objects")
            for (kind, _identifier), wire in zip(chosen, pool.map(lambda pair: self.get(*pair), chosen), strict=True):
                progress.step()
                if wire is not None:
                    objects[f"{kind}/{wire['name']}"] = canonical_body(kind, wire, sgts, sgacls)
            if CELL in kinds:
                with self._guard:
                    self.names = {"sgt": sgts, "sgacl": sgacls}
                cells = cell_wires(self.client, pool, self.matrix(), lists[CELL], sgacls, lambda item: keep(CELL, item))
                for wire in cells:
                    body = canonical_body(CELL, wire, sgts, sgacls)
                    objects[f"{CELL}/{body['source']}-{body['destination']}"] = body
        raw = {"cells": "\n".join(sorted(item["name"] for item in lists.get(CELL, ())))}
        return Snapshot(self.name, self.platform, objects, objects_sha256(objects), raw, iso_now())

    def _lists(self, pool: ThreadPoolExecutor, kinds: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """Return the lists of the kinds, and of those that cells refer to; those of cells by status where that spares contents."""
        needed = [kind for kind in KINDS if kind in kinds or (CELL in kinds and kind in ("sgt", "sgacl"))]
        matrix = self.matrix() if CELL in needed else ""
        walks = [Walk(kind) for kind in needed if kind != CELL]
        if CELL in needed:
            walks += [Walk(CELL, f"matrixStatus.EQ.{s}", s) for s in STATUSES] if matrix else [Walk(CELL)]
        lists: dict[str, list[dict[str, Any]]] = {kind: [] for kind in needed}
        for walk, items in zip(walks, walk_all(self.client, pool, walks, self.name), strict=True):
            lists[walk.kind] += [{**item, "status": walk.note} for item in items] if walk.note else items
        return lists

    def _holders_of_values(
        self,
        pool: ThreadPoolExecutor,
        desired: Sequence[DesiredObject],
        lists: Mapping[str, Sequence[Mapping[str, Any]]],
        chosen: Iterable[tuple[str, str]],
    ) -> list[tuple[str, str]]:
        """Return SGTs of other names that hold a value which a desired SGT needs; all others where asking value by value is dearer."""
        present, known = {item["name"] for item in lists.get("sgt", ())}, set(chosen)
        values = sorted(
            {
                int(item.body["value"])
                for item in desired
                if item.kind == "sgt" and item.name not in present and "value" in item.body
            }
        )
        others = [("sgt", str(item["id"])) for item in lists.get("sgt", ()) if ("sgt", str(item["id"])) not in known]
        if len(values) > len(others):
            return others
        found = pool.map(lambda value: self.client.list_items("sgt", f"value.EQ.{value}"), values)
        return [("sgt", str(holder["id"])) for holders in found for holder in holders]

    def get(self, kind: str, identifier: str) -> dict[str, Any] | None:
        """Return the wire form of an object, or None where it is gone."""
        try:
            return self.client.get(kind, identifier)
        except NotFound:
            return None

    def named(self, kind: str, fresh: bool = False) -> dict[str, str]:
        """Return names by id of a kind that cells refer to."""
        with self._guard:
            if fresh or kind not in self.names:
                self.names[kind] = {item["id"]: item["name"] for item in self.client.list_items(kind)}
            return self.names[kind]

    def find(self, kind: str, name: str) -> dict[str, Any] | None:
        """Return the wire form of an object by name, freshly read, or None."""
        for item in self._candidates(kind, name):
            wire = self.get(kind, item["id"]) if item["name"] == name else None
            if wire is not None and (kind != CELL or str(wire.get("matrixId") or self.matrix()) in ("", self.matrix())):
                return wire
        return None

    def look_for(self, kind: str, names: Sequence[str]) -> None:
        """Note by one walk through the list which of the names no object of a kind has now."""
        present = {item["name"] for item in self.client.list_items(kind)}
        with self._guard:
            self._absent |= {(kind, name) for name in names if name not in present}

    def known_absent(self, kind: str, name: str) -> bool:
        """Return whether a name was looked for and not found; said once, and ISE itself refuses to create what came since."""
        with self._guard:
            if (kind, name) in self._absent:
                self._absent.remove((kind, name))
                return True
            return False

    def matrix(self) -> str:
        """Return the id of the production matrix, empty where this ISE does not say; asked once."""
        with self._guard:
            if self._matrix is None:
                self._matrix = production_matrix(self.client)
            return self._matrix

    def _candidates(self, kind: str, name: str) -> list[dict[str, Any]]:
        if kind == CELL:
            # Names of SGTs have no hyphen (facts/ise.md section 1.6); where somebody's has, the whole row is searched.
            source, _hyphen, destination = name.partition("-")
            if "-" not in destination:
                return self.client.cells_between(source, destination)
            return self.client.list_items(kind, f"sgtSrcName.STARTSW.{source}")
        return self.client.list_items(kind, "" if kind == "authorization_profile" else f"name.EQ.{name}")

    def canonical(self, kind: str, wire: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """Return the canonical body of a wire form, names of what a cell refers to looked up."""
        if wire is None:
            return None
        if kind != "egress_matrix_cell":
            return canonical_body(kind, wire, {}, {})
        ends = {str(wire.get(field)) for field in ("sourceSgtId", "destinationSgtId")} - set(FIXED_SGTS)
        lists = {str(identifier) for identifier in wire.get("sgacls") or ()}
        sgts = self.named("sgt", fresh=not ends <= set(self.named("sgt")))
        sgacls = self.named("sgacl", fresh=not lists <= set(self.named("sgacl")))
        return canonical_body(kind, wire, sgts, sgacls)
