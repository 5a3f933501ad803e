# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ERS: deploying IP to SGT mappings to network devices, and the state of the last deployment."""

from __future__ import annotations

from tests.lab.ise.messages import Request, Response, ok
from tests.lab.ise.resources import Resource
from tests.lab.ise.store import Store


def route(store: Store, request: Request, resource: Resource, rest: list[str]) -> Response | None:
    """None: not a request of this module. Raises Refused."""
    if resource.path not in ("sgmapping", "sgmappinggroup"):
        return None
    if rest == ["deploy", "status"] and request.method == "GET":
        waiting = store.clock() < store.deployed_until
        text = "Deployment is in progress" if waiting else "There is no deployment in progress"
        return ok({"OperationResult": {"resultValue": [{"name": "status", "value": text}]}})
    if request.method != "PUT":
        return None
    if rest == ["deployall"]:
        wanted = list(store.objects[resource.path].values())
    elif len(rest) == 2 and rest[1] == "deploy":
        wanted = [store.get(resource.path, rest[0])]
    else:
        return None
    for each in wanted:
        store.log("deployed", resource=resource.path, id=each["id"], name=each["name"])
        each["_deployed"] = store.clock()
    store.deployed_until = store.clock() + float(store.settings["deploy_delay"])
    return Response(204)
