# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SGACLs whose IP version changes: a new list beside the old one, and the cells moved over. Pure.

A changed IP version of an existing SGACL reaches no device by itself (facts/ise.md section 4).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_kinds import CELL_KINDS

NAME_LIMIT = 32
_SUFFIXES = {"IPV4": "_v4", "IPV6": "_v6", "IP_AGNOSTIC": "_any"}


def other_name(name: str, ip_version: str) -> str:
    """Return the name of the list that stands in for ``name`` in another IP version; at most 32 characters, collision-free by hash."""
    suffix = _SUFFIXES.get(ip_version, "_x")
    if len(name) + len(suffix) <= NAME_LIMIT:
        return name + suffix
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: NAME_LIMIT - len(suffix) - 9]}_{digest}{suffix}"


def with_stand_ins(
    desired: Sequence[DesiredObject], objects: Mapping[str, Mapping[str, Any]], adopted: Any
) -> tuple[list[DesiredObject], dict[str, str]]:
    """Return the desired objects with SGACLs renamed where ISE has the name in another IP version, and the new names by old.

    A stand-in that exists already stays, also after the old list is gone or was given back to who had it before us.
    ``adopted(key)``: whether an object that is not ours may be changed.
    """
    names: dict[str, str] = {}
    for item in desired:
        if item.kind != "sgacl":
            continue
        version = str(item.body.get("ip_version"))
        present, stand_in = objects.get(f"sgacl/{item.name}"), other_name(item.name, version)
        if present is not None and present.get("ip_version") == version:
            continue
        other = objects.get(f"sgacl/{stand_in}") or {}
        stands = bool(other.get("owned")) and other.get("ip_version") == version
        if stands or (present is not None and (present.get("owned") or adopted(f"sgacl/{item.name}"))):
            names[item.name] = stand_in
    if not names:
        return list(desired), names
    return [_renamed(item, names) for item in desired], names


def _renamed(item: DesiredObject, names: Mapping[str, str]) -> DesiredObject:
    if item.kind == "sgacl":
        return replace(item, name=names.get(item.name, item.name))
    if item.kind in CELL_KINDS:
        return replace(item, body={**item.body, "sgacls": [names.get(name, name) for name in item.body["sgacls"]]})
    return item
