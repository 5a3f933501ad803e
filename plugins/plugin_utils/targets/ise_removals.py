# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What leaves an ISE, or is given back to whom it belonged: which steps, in which order, and what forbids them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import text_diff
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation, Snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import HAND_BACK
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.phases import CLEAN
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import PRUNE, operation_id
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_kinds import (
    ALL_KINDS,
    CELL_KINDS,
    WORDS,
    given_back_text,
    taken_over,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_requests import requests_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_shown import body_text, sgt_users

# A saved description gives a downloadable ACL a new name on every switch.
RENAMED_BY_WRITING = frozenset(("downloadable_acl",))


@dataclass(frozen=True)
class Rights:
    """What a run may do to objects that are not ours. ``adopt``: all, none, or those named as ``kind/name``.

    ``delete``: those, as ``kind/name``, that may be deleted although they were there before us.
    """

    adopt: bool | Collection[str] = False
    cascade: frozenset[str] = frozenset()
    delete: frozenset[str] = frozenset()

    def adopts(self, key: str) -> bool:
        """Return whether an object may be taken over."""
        return self.adopt if isinstance(self.adopt, bool) else key in self.adopt

    def names(self, key: str) -> bool:
        """Return whether an object is to be taken over by name, and so to be marked even where nothing else changes."""
        return not isinstance(self.adopt, bool) and key in self.adopt


def leftovers(target: str, desired: Sequence[DesiredObject], live: Snapshot, rights: Rights) -> list[Operation]:
    """Return deletions of what carries our mark and is not desired, users before what they use.

    What was there before us is given back as it stands, and what it uses with it.
    """
    wanted = {f"{item.kind}/{item.name}" for item in desired}
    extra = [key for key, body in live.objects.items() if body.get("owned") and key not in wanted]
    back = _given_back([key for key in extra if was_taken_over(key, live) and key not in rights.delete], extra, live)
    going = {worded(key) for key in extra if key not in back}
    steps = []
    for key in in_removal_order(extra):
        if key in back:
            steps.append(_hand_back(target, key, live, back[key]))
            continue
        kind, name = key.split("/", 1)
        details: dict[str, Any] = {PRUNE: True}
        others = sgt_users(name, live) - going - _let_go(name, desired) if kind == "sgt" else set()
        if others:
            details["cascade"] = sorted(others)
            if others - {f"cell {cell}" for cell in rights.cascade}:
                details["blocked"] = (
                    "an SGT is removed only where the policy removes its users or the inventory names its cells"
                )
        steps.append(removal(target, key, live, "is not in the policy", details))
    return steps


def _given_back(keys: Sequence[str], extra: Sequence[str], live: Snapshot) -> dict[str, str]:
    """Return what is given back, with the reason: these objects, and of ``extra`` what they use, since they stay as they are."""
    found = dict.fromkeys(keys, "was there before it was taken over")
    left, ours = list(keys), frozenset(extra)
    while left:
        user = left.pop()
        for key in _used_by(user, live.objects[user]):
            if key in ours and key not in found:
                found[key] = f"is used by {worded(user)}"
                left.append(key)
    return found


def _used_by(key: str, body: Mapping[str, Any]) -> list[str]:
    kind = key.split("/", 1)[0]
    if kind in CELL_KINDS:
        return [
            *(f"sgacl/{name}" for name in body["sgacls"]),
            *(f"sgt/{body[end]}" for end in ("source", "destination")),
        ]
    if kind == "authorization_profile":
        return [f"downloadable_acl/{body[field]}" for field in ("dacl_name", "ipv6_dacl_name") if body.get(field)]
    return [f"endpoint_group/{body['parent']}"] if kind == "endpoint_group" and body.get("parent") else []


def _hand_back(target: str, key: str, live: Snapshot, why: str) -> Operation:
    """Return the step that takes our mark from an object and leaves the rest of it as it stands."""
    kind, name = key.split("/", 1)
    before = {field: value for field, value in live.objects[key].items() if field != "internal"}
    after = {**before, "description": given_back_text(str(before.get("description") or "")), "owned": False}
    summary = f"give back {WORDS[kind]} {name}, which {why}: it loses our mark and stays as it is"
    if kind in CELL_KINDS and before.get("status") == "ENABLED":
        summary += ", enforced"
    if kind in RENAMED_BY_WRITING:
        summary += "; switches see it under a new name"
    requests = requests_of(kind, name, "update", before, after, live)
    details = {PRUNE: True, HAND_BACK: True, "difference": f"is not in the policy and {why}", "requests": requests}
    return Operation(
        operation_id(target, kind, name, HAND_BACK, after), target, kind, name, "update", before, after,
        summary, text_diff(body_text(before), body_text(after), key), "none", CLEAN, details,
    )  # fmt: skip


def _let_go(sgt: str, desired: Sequence[DesiredObject]) -> set[str]:
    """Return the rules and mappings that by the policy do not use an SGT any longer; their steps come before removals."""
    uses = {"authorization_rule": "security_group", "ip_sgt_mapping": "sgt"}
    return {
        f"{WORDS[item.kind]} {item.name}" for item in desired if item.kind in uses and item.body[uses[item.kind]] != sgt
    }


def removal(target: str, key: str, live: Snapshot, why: str, details: Mapping[str, Any]) -> Operation:
    """Return the step that removes an object, or gives an endpoint back to profiling."""
    kind, name = key.split("/", 1)
    before = {field: value for field, value in live.objects[key].items() if field != "internal"}
    verb = "release" if kind == "endpoint" else "delete"
    summary = f"{verb} {WORDS[kind]} {name}, which {why}"
    if details.get("cascade"):
        summary += f"; it takes with it or breaks {', '.join(details['cascade'][:10])}"
    shown = {**details, "difference": why, "requests": requests_of(kind, name, "delete", before, None, live)}
    return Operation(
        operation_id(target, kind, name, "delete", None), target, kind, name, "delete", before, None,
        summary, text_diff(body_text(before), "", key), "both", CLEAN, shown,
    )  # fmt: skip


def cascades(target: str, keys: Sequence[str], live: Snapshot, rights: Rights) -> list[Finding]:
    """Return why SGTs among objects to be removed must not go: users that would go with them and that nobody named."""
    allowed = {worded(key) for key in keys} | {f"cell {name}" for name in rights.cascade}
    found = []
    for key in keys:
        kind, name = key.split("/", 1)
        users = sorted(sgt_users(name, live) - allowed) if kind == "sgt" else []
        if users:
            found.append(
                codes.SGT_CASCADE.at(f"{target}: deleting SGT {name} takes with it or breaks {', '.join(users)}")
            )
    return found


def was_taken_over(key: str, live: Snapshot) -> bool:
    """Return whether an object carries our mark and was there before us."""
    return taken_over(str(live.objects[key].get("description") or ""))


def worded(key: str) -> str:
    """Return ``kind/name`` as people say it."""
    kind, name = key.split("/", 1)
    return f"{WORDS[kind]} {name}"


def in_removal_order(keys: Sequence[str]) -> list[str]:
    """Return objects with those that use others before what they use."""
    return sorted(keys, key=lambda key: (-ALL_KINDS.index(key.split("/", 1)[0]), key))
