# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps on access lists and on what attaches them, alike for every device that is changed by build, swap and removal. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import Meaning, text_diff
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation, Snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.phases import CLEAN, NARROW, phase_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import PRUNE, operation_id
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes

Shown = Callable[[Mapping[str, Any] | None], str]
Body = Mapping[str, Any]


@dataclass(frozen=True)
class Rules:
    """What differs between platforms in the steps of lists and places; kinds are those of the platform.

    ``unusable``: (kind, text) -> why a desired text cannot be written, empty where it can; ``understood``: the same of a live one;
    ``compare``: (kind, live text, desired text) -> what replacing means; ``made``: makes a step, as ``made_step``; ``where``: (kind,
    name, body) -> a place in words; ``unfinished``: (name, live body) -> summary and text of what an interrupted run left undone
    beside a list that is as it should be, or None; ``refused``: (target, name, live body) -> why a place may not be changed at all;
    ``finishing``: marks a step that only ends what an interrupted run began.
    """

    unusable: Callable[[str, str], str]
    understood: Callable[[str, str], str]
    compare: Callable[[str, str, str], Meaning]
    made: Callable[..., Operation]
    where: Callable[[str, str, Body], str]
    unfinished: Callable[[str, Body], tuple[str, str] | None]
    refused: Callable[[str, str, Body], list[Finding]] = lambda _target, _name, _present: []
    finishing: Callable[[Operation], Operation] = lambda step: step

    def list_step(
        self, target: str, kind: str, name: str, body: Body, present: Body | None, adopt: bool
    ) -> tuple[list[Finding], Operation | None]:
        """Return the step that brings a list to its desired text, or why there can be none; neither where it means the same."""
        wanted = str(body["content"])
        if reason := self.unusable(kind, wanted):
            return [codes.BAD_BODY.at(f"{target}: list {name}: {reason}")], None
        if present is None:
            return [], self.made(target, kind, name, "create", None, body, f"build list {name}", "none", "is missing")
        if not present["owned"] and not adopt:
            return [codes.NOT_OURS.at(f"{target}: list {name} was not built by us")], None
        before = {"content": present["content"]}
        if reason := self.understood(kind, str(before["content"])):
            return [codes.NOT_UNDERSTOOD.at(f"{target}: list {name}: {reason}")], None
        found = self.compare(kind, str(before["content"]), wanted)
        if found.equal:
            left = self.unfinished(name, present)
            if left is None:
                return [], None
            return [], self.finishing(self.made(target, kind, name, "update", before, body, left[0], "none", left[1]))
        if others := in_use_elsewhere(target, name, present):
            return others, None
        effect = found.effect if present["internal"]["attached"] else "none"
        summary, witness = f"replace list {name}: {found.text}", found.lost or found.gained
        return [], self.made(target, kind, name, "update", before, body, summary, effect, found.text, witness)

    def attachment_step(
        self, target: str, kind: str, name: str, body: Body, present: Body | None, adopt: bool
    ) -> tuple[list[Finding], Operation | None]:
        """Return the step that attaches a list to a place, or why there can be none; neither where it is attached."""
        where, wanted = self.where(kind, name, body), body["access_list"]
        if present is None:
            summary = f"attach {wanted} to {where}"
            return [], self.made(target, kind, name, "attach", None, body, summary, "narrows", "is missing")
        before = {key: present[key] for key in body}
        if before == dict(body):
            return [], None
        if not present["owned"] and not adopt:
            return [codes.UNOWNED_ATTACHMENT.at(f"{target}: {where} has {present['access_list']}")], None
        if refused := self.refused(target, name, present):
            return refused, None
        text = f"access_list: {present['access_list']} -> {wanted}"
        before["live"] = present["internal"]["live"]
        summary = f"change the list of {where}: {text}"
        return [], self.made(target, kind, name, "attach", before, body, summary, "both", text)


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
