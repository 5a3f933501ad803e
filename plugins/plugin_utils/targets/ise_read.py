# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in an ISE: the snapshot of a plan, and single objects right before and after a write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_now
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import objects_sha256
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_client import IseClient, NotFound
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_kinds import owned
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_objects import (
    FIXED_SGTS,
    KINDS,
    canonical_body,
)

READERS = 8


class IseReader:
    """Reads of one target. Not for use from several threads at once."""

    platform = "ise"

    def __init__(self, name: str, client: IseClient) -> None:
        self.name, self.client = name, client
        # Names by id of what cells refer to, as last read; unknown ids and names are looked up anew.
        self.names: dict[str, dict[str, str]] = {}

    def read(
        self, desired: Sequence[DesiredObject], kinds: Sequence[str], *, with_owned: bool, everything: bool = False
    ) -> Snapshot:
        """Return the desired objects that exist, what carries our mark (``with_owned``), or everything of the kinds."""
        needed = list(kinds)
        if "egress_matrix_cell" in needed:
            needed = [kind for kind in KINDS if kind in needed or kind in ("sgt", "sgacl")]
        # The first request goes alone: where the login fails, exactly one was tried.
        lists = {needed[0]: self.client.list_items(needed[0])} if needed else {}
        names = {(item.kind, item.name) for item in desired}
        with ThreadPoolExecutor(max_workers=READERS) as pool:
            for kind, items in zip(needed[1:], pool.map(self.client.list_items, needed[1:]), strict=True):
                lists[kind] = items
            chosen = [
                (kind, item["id"])
                for kind in kinds
                for item in lists[kind]
                if everything or (kind, item["name"]) in names or (with_owned and owned(item["description"]))
            ]
            chosen += self._holders_of_values(desired, lists)
            bodies = list(pool.map(lambda pair: self.get(*pair), chosen))
        sgts = {item["id"]: item["name"] for item in lists.get("sgt", ())}
        sgacls = {item["id"]: item["name"] for item in lists.get("sgacl", ())}
        if "egress_matrix_cell" in needed:
            self.names = {"sgt": sgts, "sgacl": sgacls}
        objects = {}
        for (kind, _identifier), wire in zip(chosen, bodies, strict=True):
            if wire is not None:
                body = canonical_body(kind, wire, sgts, sgacls)
                name = f"{body['source']}-{body['destination']}" if kind == "egress_matrix_cell" else str(wire["name"])
                objects[f"{kind}/{name}"] = body
        raw = {"cells": "\n".join(sorted(item["name"] for item in lists.get("egress_matrix_cell", ())))}
        return Snapshot(self.name, self.platform, objects, objects_sha256(objects), raw, iso_now())

    def _holders_of_values(
        self, desired: Sequence[DesiredObject], lists: Mapping[str, Sequence[Mapping[str, Any]]]
    ) -> list[tuple[str, str]]:
        """Return SGTs of other names that hold a value which a desired SGT needs."""
        present = {item["name"] for item in lists.get("sgt", ())}
        found = []
        for item in desired:
            if item.kind == "sgt" and item.name not in present and "value" in item.body:
                found += [
                    ("sgt", holder["id"])
                    for holder in self.client.list_items("sgt", f"value.EQ.{int(item.body['value'])}")
                ]
        return found

    def get(self, kind: str, identifier: str) -> dict[str, Any] | None:
        """Return the wire form of an object, or None where it is gone."""
        try:
            return self.client.get(kind, identifier)
        except NotFound:
            return None

    def named(self, kind: str, fresh: bool = False) -> dict[str, str]:
        """Return names by id of a kind that cells refer to."""
        if fresh or kind not in self.names:
            self.names[kind] = {item["id"]: item["name"] for item in self.client.list_items(kind)}
        return self.names[kind]

    def find(self, kind: str, name: str) -> dict[str, Any] | None:
        """Return the wire form of an object by name, freshly read, or None."""
        for item in self.client.list_items(kind, self._filter(kind, name)):
            if item["name"] == name:
                return self.get(kind, item["id"])
        return None

    def _filter(self, kind: str, name: str) -> str:
        if kind == "authorization_profile":
            return ""
        return f"sgtSrcName.EQ.{name.split('-', maxsplit=1)[0]}" if kind == "egress_matrix_cell" else f"name.EQ.{name}"

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
