# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenAPI: the nodes of the deployment and which of them is the primary administration node."""

from __future__ import annotations

import uuid
from typing import Any

from tests.lab.ise.messages import Request, Response, not_found, ok
from tests.lab.ise.store import Store

PREFIX = "/api/v1/deployment/"
NAMES = ("ise-1", "ise-2")


def handle(store: Store, request: Request) -> Response:
    if request.method == "GET" and request.path == f"{PREFIX}node":
        return ok({"response": nodes(store), "version": "1.0.0"})
    for node in nodes(store):
        if request.method == "GET" and request.path == f"{PREFIX}node/{node['hostname']}":
            return ok({"response": node, "version": "1.0.0"})
    return not_found(request.path)


def nodes(store: Store) -> list[dict[str, Any]]:
    """One node, or two when the deployment has a peer."""
    found = []
    for number, name in enumerate(NAMES[: 1 + bool(store.settings["peer"])]):
        address = store.settings["addresses"][number] if number < len(store.settings["addresses"]) else ""
        roles = ["PrimaryAdmin" if store.is_primary(number) else "SecondaryAdmin"]
        if not store.settings["peer"] and store.settings["primary"]:
            roles = ["Standalone"]
        found.append(
            {
                "hostname": name,
                "fqdn": f"{name}.lab.invalid",
                "ipAddress": address,
                "roles": roles,
                "services": ["Session", "Profiler"],
                "nodeStatus": "Connected",
            }
        )
    return found


def ers_nodes(store: Store) -> dict[str, dict[str, Any]]:
    """The same as ERS shows it, by id."""
    found = {}
    for number, node in enumerate(nodes(store)):
        identifier = str(uuid.uuid5(uuid.NAMESPACE_DNS, node["hostname"]))
        found[identifier] = {
            "id": identifier,
            "name": node["hostname"],
            "description": "",
            "inDeployment": node["roles"] != ["Standalone"],
            "papNode": True,
            "primaryPapNode": store.is_primary(number),
            "pxGridNode": False,
            "ipAddresses": [node["ipAddress"]] if node["ipAddress"] else [],
        }
    return found
