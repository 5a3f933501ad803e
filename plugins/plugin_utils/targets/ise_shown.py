# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan shows beside the change itself: how many endpoints, whom a rule would catch as well, who uses an SGT. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation, Snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_forms import (
    condition_groups,
    is_group_condition,
    rule_name,
)

_NAMED = 10


def assignment_notes(steps: Sequence[Operation], pause: float) -> list[Operation]:
    """Return the steps, assignments numbered: each overrides profiling, and ISE may authenticate the endpoint again by itself."""
    count = sum(1 for step in steps if step.kind == "endpoint")
    made, number = [], 0
    for step in steps:
        if step.kind != "endpoint":
            made.append(step)
            continue
        number += 1
        group = (step.after or {}).get("group", "")
        summary = (
            f"assign endpoint {step.name} to group {group} ({number} of {count}, {pause:g} s apart): "
            "overrides profiling, and ISE may authenticate it again"
        )
        if step.action == "update":
            summary += f"; {step.details['difference']}"
        details = {**step.details, "number": number, "of": count, "pause_seconds": pause}
        made.append(replace(step, summary=summary, details=details))
    return made


def rule_notes(step: Operation, desired: Sequence[DesiredObject], live: Snapshot) -> Operation:
    """Return a step on a rule with its rank and the endpoints that it catches beyond those the policy assigns."""
    if step.kind != "authorization_rule" or step.after is None:
        return step
    policy_set = str(step.after["policy_set"])
    names = [name for name in live.raw.get(f"rules/{policy_set}", "").split("\n") if name]
    own, before = rule_name(step.name), str(step.after.get("before", ""))
    others = [name for name in names if name != own]
    if step.action == "create" or (before and own in names and before in names[: names.index(own)]):
        rank = others.index(before) if before in others else max(len(others) - 1, 0)
        place = f"at rank {rank}" + (f", before {others[rank]!r}" if rank < len(others) else "")
    else:
        rank = names.index(own) if own in names else 0
        place = f"stays at rank {rank}"
    caught, known = caught_endpoints(step, desired, live)
    text = f"{step.summary}; {place}"
    if caught:
        text += f"; it also catches {', '.join(caught[:_NAMED])}" + (
            f" and {len(caught) - _NAMED} more" if len(caught) > _NAMED else ""
        )
    if not known:
        text += "; whom it catches beyond its group cannot be said from here"
    return replace(
        step, summary=text, details={**step.details, "rank": rank, "also_catches": caught, "catches_known": known}
    )


def caught_endpoints(step: Operation, desired: Sequence[DesiredObject], live: Snapshot) -> tuple[list[str], bool]:
    """Return the known endpoints in the groups that a rule asks for and that the policy does not assign to them, and whether these are all.

    They are all only where the condition is a group and nothing else: other attributes are decided when an endpoint logs in.
    """
    condition = (step.after or {}).get("condition") or {}
    groups = condition_groups(condition)
    assigned = {item.name for item in desired if item.kind == "endpoint" and item.body.get("group") in groups}
    caught: set[str] = set()
    for group in groups:
        caught.update(mac for mac in live.raw.get(f"members/{group}", "").split("\n") if mac)
    return sorted(caught - assigned), is_group_condition(condition)


def sgt_users(name: str, live: Snapshot) -> set[str]:
    """Return who uses an SGT as far as the snapshot knows: cells, mappings and rules, each with its word before the name."""
    cells = {
        cell
        for cell in [*live.raw.get("cells", "").split("\n"), *live.raw.get("matrix_cells", "").split("\n")]
        if cell and name in cell.split("@", maxsplit=1)[0].split("-")
    }
    users = {f"cell {cell}" for cell in cells}
    users |= {user for user in live.raw.get(f"users/{name}", "").split("\n") if user}
    return users


def body_text(body: Mapping[str, Any] | None) -> str:
    """Return an object's body as lines for a diff, its content last; empty for an absent object."""
    if body is None:
        return ""
    lines = [f"{key}: {value}" for key, value in sorted(body.items()) if key not in ("content", "owned", "internal")]
    return "\n".join([*lines, str(body.get("content", ""))]).strip()
