# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The writing requests that a step sends, as a plan and check mode list them. Pure.

An id that does not exist yet stands as ``{id of NAME}``. Fields are named, their values are in the diff; credentials are in neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_kinds import KIND_TABLE, owned

PUSH_PATH = "/api/v1/trustsec/coa/push"
OLD_PUSH_PATH = "/ers/config/op/trustsec/egresspushmatrix"


def step_requests(
    kind: str,
    name: str,
    action: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    *,
    identifier: str = "",
    policy_set_id: str = "",
) -> list[dict[str, Any]]:
    """Return the writing requests of a step in order: method, path, object, and the fields that differ."""
    path = KIND_TABLE[kind].path
    if kind == "authorization_rule":
        path = f"{path}/{policy_set_id or '{id of ' + name.split('@', maxsplit=1)[-1] + '}'}/authorization"
    item = f"{path}/{identifier or '{id of ' + name + '}'}"
    shown = f"{kind} {name}"
    fields = changed_fields(kind, before, after)
    if action == "delete":
        # An endpoint that ISE learned by itself is given back, not deleted.
        if kind == "endpoint" and not owned(str((before or {}).get("description", ""))):
            return [_request("PUT", item, shown, ["groupId", "staticGroupAssignment"])]
        return [_request("DELETE", item, shown, [])]
    if kind == "endpoint" and before is None:
        fields = ["groupId", "staticGroupAssignment"] if identifier else ["mac", *fields, "staticGroupAssignment"]
    create = before is None and not (kind == "endpoint" and identifier)
    made = [_request("POST", path, shown, fields) if create else _request("PUT", item, shown, fields)]
    if kind == "ip_sgt_mapping":
        made.append(_request("PUT", f"{item}/deploy", shown, []))
    return made


def push_requests(kinds: Sequence[str], old: bool = False) -> list[dict[str, Any]]:
    """Return the requests of a push, one for each kind; one that finds ISE busy with another push is sent again.

    ``old``: an ISE before 3.4 patch 2 answers the first one with 404 and is then pushed in the old way.
    """
    if old:
        asked = _request("PUT", PUSH_PATH, f"matrix ({kinds[0]})", ["coaType"])
        return [asked, _request("PUT", OLD_PUSH_PATH, "matrix", [])]
    return [_request("PUT", PUSH_PATH, f"matrix ({kind})", ["coaType"]) for kind in kinds]


def changed_fields(kind: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[str]:
    """Return the interface's names of the fields that a step changes."""
    if after is None:
        return []
    names = dict(KIND_TABLE[kind].fields)
    if KIND_TABLE[kind].marked:
        names["description"] = "description"
    return [
        names[key] for key in sorted(after) if key in names and (before is None or before.get(key) != after.get(key))
    ]


def _request(method: str, path: str, shown: str, fields: list[str]) -> dict[str, Any]:
    return {"method": method, "path": path, "object": shown, "fields": fields}


def request_lines(requests: list[dict[str, Any]]) -> list[str]:
    """Return the requests as lines of text."""
    return [
        f"{item['method']} {item['path']} ({item['object']}{': ' + ', '.join(item['fields']) if item['fields'] else ''})"
        for item in requests
    ]


def requests_of(
    kind: str, name: str, action: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, live: Snapshot
) -> list[dict[str, Any]]:
    """Return the writing requests of a step with the ids that a snapshot knows; see ``step_requests``."""
    present = live.objects.get(f"{kind}/{name}") or {}
    identifier = str((present.get("internal") or {}).get("id", ""))
    if kind == "endpoint":
        identifier = identifier or live.raw.get(f"endpoint/{name}", "")
    policy_set = live.raw.get(f"policy_set/{name.split('@', maxsplit=1)[-1]}", "")
    return step_requests(kind, name, action, before, after, identifier=identifier, policy_set_id=policy_set)
