# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps on access lists and on what attaches them, alike for every device that is changed by build, swap and removal. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import text_diff
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation, Snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.phases import CLEAN, NARROW, phase_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import PRUNE, operation_id
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes

Shown = Callable[[Mapping[str, Any] | None], str]


def made_step(
    target: str,
    kind: str,
    name: str,
    action: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    summary: str,
    effect: str,
    difference: str,
    witness: str = "",
    *,
    attachment: str,
    shown: Shown,
) -> Operation:
    """Return a step on a list or a place. ``attachment``: the platform's kind of places; ``shown``: a body as its lines."""
    details: dict[str, Any] = {"difference": difference} | ({"witness": witness} if witness else {})
    # An attachment must follow the list it names, whatever phase that has.
    phase = NARROW if kind == attachment else phase_of(effect)
    return Operation(
        operation_id(target, kind, name, action, after), target, kind, name, action, before, after, summary,
        text_diff(shown(before), shown(after), f"{kind}/{name}"), effect, phase, details,
    )  # fmt: skip


def in_use_elsewhere(target: str, name: str, present: Mapping[str, Any]) -> list[Finding]:
    """Return an error where a live list serves something else too (management of the device itself, a terminal line, a VLAN map)."""
    used = present["internal"].get("elsewhere") or ()
    text = f"{target}: {', '.join(used)} is used by something else than an interface"
    return [codes.IN_USE.at(text if name in text else f"{text} (list {name})")] if used else []


def ways_back_of_others(target: str, kind: str, live: Snapshot) -> list[Finding]:
    """Return an error that names the ways back which a run of somebody else has armed and may still call off. ``kind``: theirs."""
    held = [str(body["held"]) for key, body in live.objects.items() if key.startswith(f"{kind}/") and body.get("held")]
    return [codes.ANOTHERS_WAY_BACK.at(f"{target}: {'; '.join(sorted(held))}")] if held else []


def leftover_keys(wanted: Collection[str], live: Snapshot, attachment: str | tuple[str, ...]) -> list[str]:
    """Return the keys of what is ours and not wanted, places first: a list goes after the place that names it."""
    extra = [key for key, body in live.objects.items() if body.get("owned") and key not in wanted]
    return sorted(extra, key=lambda key: (not key.startswith(attachment), key))


def pruned(target: str, key: str, live: Snapshot, attachment: str, shown: Shown) -> Operation:
    """Return the step that removes what the policy no longer has; carried out only where pruning is asked for."""
    kind, name = key.split("/", 1)
    body = {field: value for field, value in live.objects[key].items() if field not in ("internal", "owned")}
    if kind == attachment:
        body["live"] = live.objects[key]["internal"]["live"]
    action = "detach" if kind == attachment else "delete"
    return Operation(
        operation_id(target, kind, name, action, None), target, kind, name, action, body, None,
        f"{action} {name}, which the policy no longer has", text_diff(shown(body), "", key),
        "widens" if kind == attachment else "none", CLEAN, {PRUNE: True, "difference": "is not in the policy"},
    )  # fmt: skip


def not_held(target: str, steps: Iterable[Operation]) -> tuple[Finding, ...]:
    """Return a finding for each step that a device still needs after it was changed."""
    return tuple(
        codes.NOT_HELD.at(f"{target}: {step.kind} {step.name}: {step.details.get('difference')}") for step in steps
    )
