# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of the emulated ISE and plain access to it. No HTTP, no waiting; the clock is given."""

from __future__ import annotations

import copy
import json
import time
import uuid
from collections.abc import Callable
from typing import Any

from tests.lab.ise.resources import KINDS
from tests.lab.ise.shipped import built_in_objects
from tests.lab.ise.versions import VERSIONS

Object = dict[str, Any]

SETTINGS: dict[str, Any] = {
    "version": "3.5",  # see versions.py
    "primary": True,  # False: this node is the secondary PAN (reads only) and its peer the primary
    "peer": False,  # the deployment has a second administration node
    "addresses": [],  # of the nodes, as the deployment shows them
    "csrf": False,
    "said_version": "",  # what the node says its version is, where that is not "version"
    "ers_enabled": True,  # False: ERS paths are not there
    "openapi_enabled": True,  # False: paths of the Open API are not there
    "cells_list_form": "sgacl_only",  # sgacl_only | rule_only: whether /cells shows a default rule as a trailing built-in
    "latency": 0.0,  # seconds before each answer
    "rate_limit": 0,  # requests a second, 0 = no cap
    "rate_limit_status": 429,
    "lockout_after": 0,  # failed logins of one user after which even the right password fails, 0 = never
    "multiple_matrices": False,  # multi-matrix mode; before 3.4p2 SGT creation is then refused with 403
    "matrix_list_scope": "production",  # production | all: cells that an ERS list without matrixId filter shows
    "new_rule_rank": "top",  # top | bottom: where a rule created without rank goes
    "approval_workflow": False,  # TrustSec approval workflow on: cell writes are refused with 403
    "allow_multiple_sgacls": False,  # several SGACLs in a cell (general settings)
    "validate_acl_content": False,  # refuse SGACL text with a syntax error although the body does not ask for it
    "dacl_whitespace": "verbatim",  # verbatim | lf | trimmed: what a DACL reads back as
    "cell_read_form": "both",  # both | sgacl_only | rule_only: how a trailing built-in reads back
    "reference_release_lag": 0.0,  # seconds during which a dropped reference still blocks deletion of an SGACL
    "suffix_may_repeat": False,  # two DACL edits in one second share the suffix
    "push_delay": 0.2,  # seconds from the push to UPDATE_SUCCESS
    "push_outcomes": {},  # device name -> nack | timeout | update_error | update_timeout | report_error |
    # environment_failed | silent
    "push_answers": [],  # statuses of the next pushes (BUSY, FAILED, DONE, ...), one each; INITIATED lets it happen
    "old_push": True,  # the push path of ISE before 3.4 patch 2, which names no device
    "no_request_when_unchanged": False,  # a push with nothing to send answers NO_REQUEST_AVAILABLE
    "mapping_sgt_form": "as_written",  # as_written | id | name_value: how the SGT of a mapping reads back
    "bulk_delay": 0.0,  # seconds during which a bulk request counts as running
    "if_match": False,  # a PUT or DELETE with an old ETag in If-Match is refused with 412
    "trailing_slash": "both",  # both | required | refused: collection URLs of ERS that end with a slash
    "client_certificates": "off",  # off | allowed | required: login by a certificate that the lab's CA issued
    "deploy_delay": 0.0,  # seconds for which a deployment of mappings counts as in progress
    "coa_failures": [],  # MACs whose re-authentication CoA fails
}


# What objects are found by: name in any case, value of an SGT, ends of a cell with its matrix.
KEYS: dict[str, Callable[[Object], Any]] = {
    "name": lambda item: str(item["name"]).casefold(),
    "value": lambda item: item.get("value"),
    "ends": lambda item: (item.get("sourceSgtId"), item.get("destinationSgtId"), item.get("matrixId")),
}


class Refused(Exception):
    """A state rule said no. status: HTTP status; title None: an error without title (facts/ise.md section 1.3)."""

    def __init__(self, status: int, title: str | None, code: str = "Application resource validation exception"):
        super().__init__(title or code)
        self.status, self.title, self.code = status, title, code


class Store:
    """Objects by resource and id, sessions by MAC, network devices' TrustSec reports, and a log of changes.

    Every value is plain JSON, so that a whole state can be dumped, compared and restored. Hidden fields of an object
    start with an underscore and never leave through ERS.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.settings: dict[str, Any] = copy.deepcopy(SETTINGS)
        self.objects: dict[str, dict[str, Object]] = {path: {} for path in KINDS}
        self.sessions: dict[str, dict[str, Any]] = {}
        self.devices: dict[str, dict[str, Any]] = {}
        self.revisions: dict[str, dict[str, Any]] = {}  # every DACL revision ever saved, by the name switches use
        self.releases: dict[str, float] = {}  # SGACL id -> time until which a dropped reference still counts
        self.counters = {"change": 0, "configuration": 1, "push": 1}
        self.configuration_time = clock()
        self.deployed_until = 0.0
        self.bulks: dict[str, dict[str, Any]] = {}
        self.changes: list[dict[str, Any]] = []
        self.remembered: dict[Any, Any] = {}  # answers that hold until something changes (see ``remember``)
        self._indexes: dict[tuple[str, str], tuple[dict[str, Object], dict[Any, dict[str, None]], dict[str, Any]]] = {}
        for path, each in built_in_objects():
            self.put(path, copy.deepcopy(each))

    # -- objects

    def new_id(self) -> str:
        return str(uuid.uuid1())

    def put(self, path: str, item: Object) -> None:
        """Store an object as it is, log the change, and keep the DACL revision."""
        self.objects[path][item["id"]] = item
        self._reindex(path, item["id"], item)
        if path == "downloadableacl":
            self.revisions[dacl_revision_name(item)] = {"type": item["daclType"], "dacl": item["dacl"]}
        self.log("object", resource=path, id=item["id"], name=item.get("name"))
        if path in ("sgt", "sgacl", "egressmatrixcell"):
            self.touch_configuration()

    def drop(self, path: str, identifier: str) -> Object:
        item = self.objects[path].pop(identifier)
        self._reindex(path, identifier, None)
        self.log("deleted", resource=path, id=identifier, name=item.get("name"))
        if path in ("sgt", "sgacl", "egressmatrixcell"):
            self.touch_configuration()
        return item

    def touch_configuration(self) -> None:
        self.counters["configuration"] += 1
        self.configuration_time = self.clock()

    def get(self, path: str, identifier: str) -> Object:
        """Raises Refused 404."""
        if identifier not in self.objects[path]:
            raise Refused(404, f"Resource with id {identifier} does not exist", "Resource not found exception")
        return self.objects[path][identifier]

    def having(self, path: str, what: str, value: Any) -> list[Object]:
        """The objects of a resource whose ``what`` (see KEYS) is the value, oldest first; not by a walk through all of them."""
        kept = self._indexes.get((path, what))
        if kept is None or kept[0] is not self.objects[path]:
            kept = self._indexes[path, what] = (self.objects[path], {}, {})
            for identifier, item in self.objects[path].items():
                self._reindex(path, identifier, item)
        return [self.objects[path][identifier] for identifier in kept[1].get(value, ())]

    def _reindex(self, path: str, identifier: str, item: Object | None) -> None:
        for what, key_of in KEYS.items():
            kept = self._indexes.get((path, what))
            if kept is None or kept[0] is not self.objects[path]:
                continue
            _objects, ids, keys = kept
            new = None if item is None else key_of(item)
            if identifier in keys and keys[identifier] != new:
                ids[keys.pop(identifier)].pop(identifier, None)
            if new is not None:
                keys[identifier] = new
                ids.setdefault(new, {})[identifier] = None

    def remember(self, key: Any, make: Callable[[], Any]) -> Any:
        """What ``make`` returns, kept until an object or a setting changes: a client walks through a list page by page."""
        if key not in self.remembered:
            self.remembered[key] = make()
        return self.remembered[key]

    def by_name(self, path: str, name: str) -> Object | None:
        for item in self.having(path, "name", name.casefold()):
            if path == "endpoint" or item["name"] == name:
                return item
        return None

    def find(self, path: str, name_or_id: str) -> Object:
        return self.by_name(path, name_or_id) or self.get(path, name_or_id)

    def sgt_by(self, reference: int | str) -> Object:
        """An SGT by value, name or id; raises Refused 404."""
        named = self.by_name("sgt", reference) if isinstance(reference, str) else None
        by_id = self.objects["sgt"].get(str(reference))
        for item in (*self.having("sgt", "value", reference), *filter(None, (named, by_id))):
            return item
        raise Refused(404, f"no security group {reference!r}", "Resource not found exception")

    # -- change log

    def log(self, kind: str, **what: Any) -> None:
        self.remembered.clear()
        self.counters["change"] += 1
        self.changes.append({"n": self.counters["change"], "kind": kind, "time": self.clock(), **what})
        del self.changes[:-5000]

    def changes_since(self, number: int) -> dict[str, Any]:
        return {
            "last": self.counters["change"],
            "changes": [each for each in self.changes if each["n"] > number],
        }

    # -- whole state

    def dump(self) -> dict[str, Any]:
        """Everything but the change log, as plain data."""
        return copy.deepcopy(
            {
                "settings": self.settings,
                "objects": self.objects,
                "sessions": self.sessions,
                "devices": self.devices,
                "revisions": self.revisions,
                "releases": self.releases,
                "counters": {name: self.counters[name] for name in ("configuration", "push")},
                "configuration_time": self.configuration_time,
            }
        )

    def restore(self, state: dict[str, Any]) -> None:
        """Replace everything by what dump() gave. The change log goes on, so pollers see that something happened."""
        state = copy.deepcopy(state)
        unknown = set(state["objects"]) - set(KINDS)
        if unknown:
            raise ValueError(f"unknown resources {sorted(unknown)}")
        self.settings = {**copy.deepcopy(SETTINGS), **state["settings"]}
        self.objects = {path: state["objects"].get(path, {}) for path in KINDS}
        self.sessions, self.devices = state["sessions"], state["devices"]
        self.revisions, self.releases = state["revisions"], state["releases"]
        self.counters.update(state["counters"])
        self.configuration_time = state["configuration_time"]
        self.bulks = {}
        self.log("restored")

    def change_settings(self, new: dict[str, Any]) -> None:
        unknown = set(new) - set(SETTINGS)
        if unknown:
            raise ValueError(f"unknown settings {sorted(unknown)}")
        if new.get("version", VERSIONS[0]) not in VERSIONS:
            raise ValueError(f"version is one of {', '.join(VERSIONS)}")
        self.settings.update(new)
        self.remembered.clear()

    def is_primary(self, node: int) -> bool:
        """Whether the node (0: the first, 1: its peer) is the primary administration node now."""
        return bool(self.settings["primary"]) is (node == 0)


def canonical_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def dacl_revision_name(dacl: Object) -> str:
    """The name switches ask for: its suffix is the hex Unix time of the last save (facts/ise.md section 3)."""
    family = "IPV6" if dacl.get("daclType") == "IPV6" else "IP"
    return f"#ACSACL#-{family}-{dacl['name']}-{dacl['_modified']:x}"
