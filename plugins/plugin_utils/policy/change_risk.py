# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change of policy documents risks, by the documents before and after it: how many have to approve may depend on it. Pure.

Read from what stands in the documents, not from what they compile to: where in doubt a change counts as opening something.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.owners import LOCK

GUARDS, OPENS, ENFORCES, CLOSES, MEMBERS = "guards", "opens", "enforces", "closes", "members"
CLASSES = (GUARDS, OPENS, ENFORCES, CLOSES, MEMBERS)
# What a rule says besides what passes.
_WORDS = frozenset(("id", "reason", "evidence", "origin", "description", "owner"))
# Of a segment: words as well; who is in it; what brings rules of a pack. Its other keys say how it is guarded.
_SEGMENT_WORDS = frozenset(("description", "sgt_name"))
_WHO = frozenset(("members", "sgt"))
_USES = "use"
_BY_NAME = {
    "services.yml": {OPENS, CLOSES},
    "networks.yml": {OPENS, CLOSES},
    "exceptions.yml": {OPENS},
    "enforcement.yml": {ENFORCES},
    "classification.yml": {MEMBERS},
    LOCK: {MEMBERS},
}


def risk_classes(documents: Mapping[str, tuple[Any, Any]]) -> frozenset[str]:
    """Return the classes of a change. ``documents``: by path below the policy directory what it holds before and after, None where absent.

    ``opens``: something more may pass; ``closes``: something may pass no longer; ``enforces``: points, stages or rings change; ``members``:
    who is in a segment; ``guards``: what the policy is held against, or who decides, or when. Comments and reasons are of no class.
    """
    found: set[str] = set()
    for path, (before, after) in documents.items():
        if before == after or path.startswith("evidence/"):
            continue
        if path in _BY_NAME:
            found |= _BY_NAME[path]
        elif any(isinstance(each, Mapping) and "segment" in each for each in (before, after)):
            found |= _of_segment(before or {}, after or {})
        else:
            found.add(GUARDS)
    return frozenset(found)


def _of_segment(before: Any, after: Any) -> set[str]:
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return {GUARDS, OPENS}
    old, new = _rules(before), _rules(after)
    found = {OPENS} if new - old else set()
    found |= {CLOSES} if old - new else set()
    keys = {key for key in {*before, *after} if before.get(key) != after.get(key)} - {"allow", *_SEGMENT_WORDS}
    found |= {OPENS, CLOSES} if _USES in keys else set()
    return found | ({MEMBERS} if keys & _WHO else set()) | ({GUARDS} if keys - _WHO - {_USES} else set())


def _rules(document: Mapping[str, Any]) -> set[str]:
    rules = document.get("allow")
    plain = [
        {key: value for key, value in rule.items() if key not in _WORDS} if isinstance(rule, Mapping) else rule
        for rule in (rules if isinstance(rules, list) else [])
    ]
    return {json.dumps(rule, sort_keys=True, default=str) for rule in plain}
