# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From an ASA's live lists and attachments to the steps that bring them to what the policy says. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import (
    body_difference,
    difference,
    understood,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation, Snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_config import (
    AsaState,
    asa_text,
    attach_line,
    checked_place,
    place_name,
    typed_lines,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import base_name, checked_name, ours
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.list_steps import (
    Rules,
    leftover_keys,
    made_step,
    pruned,
    ways_back_of_others,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.list_versions import (
    former_name,
    half_typed,
    stood_before,
)

FINISH = "finish"  # a step that changes no meaning
LIST, ATTACHMENT, REVERT = "asa_access_list", "asa_attachment", "asa_way_back"
_ENTRY = re.compile(r"(?m)^access-list \S+ (.*?)\s*$")


def place_of(body: Mapping[str, Any]) -> tuple[str, str]:
    """Return the place of an attachment's body; without an interface it is the global one."""
    return checked_place(str(body.get("interface") or ""), str(body.get("direction") or ""))


def live_objects(
    state: AsaState, desired: Sequence[DesiredObject], *, saved: bool = True, others: Collection[str] = ()
) -> dict[str, dict[str, Any]]:
    """Return our lists, where they are attached, and what stands at the places that the policy names.

    ``saved``: whether the startup configuration has our lines as they run; ``others``: names of ways back that a run which may live
    has armed.
    """
    objects: dict[str, dict[str, Any]] = {}
    named = {place_of(item.body) for item in desired if item.kind == ATTACHMENT}
    wanted = {item.name for item in desired if item.kind == LIST}
    bases = {base_name(name) for name in state.lists if ours(name)} | {name for name in wanted if name in state.lists}
    for base in sorted(bases):
        versions = state.versions(base)
        current = versions[0]
        objects[f"{LIST}/{base}"] = {
            "content": asa_text(base, state.lists[current], state),
            "owned": ours(current),
            "internal": {
                "live": current,
                "versions": versions,
                "attached": [list(place) for place in state.attached(current)],
                "unfinished": _unfinished(state, versions, saved),
                "elsewhere": sorted(set(versions) & state.elsewhere),
            },
        }
    for way in state.ways_back:
        if way.name in others:
            objects[f"{REVERT}/{way.name}"] = {"owned": False, "held": way.described()}
    for place, live in sorted(state.groups.items()):
        if ours(live) or place in named:
            objects[f"{ATTACHMENT}/{place_name(place)}"] = {
                **attachment_body(place, base_name(live) if ours(live) else live),
                "owned": ours(live),
                "internal": {"live": live, "override": place in state.overrides},
            }
    return objects


def _unfinished(state: AsaState, versions: Sequence[str], saved: bool) -> list[str]:
    """Return what an interrupted run left undone, as texts."""
    found = [f"{name} is left, attached nowhere" for name in versions[1:] if ours(name) and not state.attached(name)]
    if any(not way.claim for way in state.ways_back):
        found.append("a way back is armed that would put the old list back")
    if not saved:
        found.append("it is not saved: a reload would bring the old list back")
    return found


def attachment_body(place: tuple[str, str], name: str) -> dict[str, Any]:
    """Return the body of an attachment."""
    return (
        {"access_list": name} if not place[0] else {"interface": place[0], "direction": place[1], "access_list": name}
    )


def asa_operations(
    target: str, desired: Sequence[DesiredObject], live: Snapshot, *, adopt: bool
) -> tuple[Operation, ...]:
    """Return steps: new lists (in force nowhere), changed lists (built beside, swapped), attachments; detaching and removal last.

    Raises FindingError for lists and attachments that are not ours (unless ``adopt``) and for texts that are not understood.
    """
    findings = ways_back_of_others(target, REVERT, live)
    steps: list[Operation] = []
    wanted: set[str] = set()
    known = [item for item in desired if item.kind in (LIST, ATTACHMENT)]
    for item in sorted(known, key=lambda item: (item.kind != LIST, item.name)):
        try:
            name, body = _desired(item)
            key = f"{item.kind}/{name}"
            wanted.add(key)
            make = RULES.list_step if item.kind == LIST else RULES.attachment_step
            found, step = make(target, item.kind, name, body, live.objects.get(key), adopt)
            findings += found
            steps += [step] if step is not None else []
        except FindingError as error:
            findings += error.findings
    if findings:
        raise FindingError(*findings)
    steps += _leftovers(target, wanted, live)
    return tuple(sorted(steps, key=lambda step: step.phase))


def _finishing(step: Operation) -> Operation:
    """Return a step marked as one that changes no meaning."""
    return replace(step, details={**step.details, FINISH: True}, diff="")


def _desired(item: DesiredObject) -> tuple[str, dict[str, Any]]:
    if item.kind == LIST:
        return checked_name(item.name), {"content": str(item.body["content"])}
    place = place_of(item.body)
    return place_name(place), attachment_body(place, checked_name(str(item.body["access_list"])))


def _unusable(_kind: str, content: str) -> str:
    """Return why a text cannot be a list; FindingError for a line that is never typed."""
    reason = understood("asa", content)
    if not reason:
        typed_lines(content)
    return reason


def _unfinished_step(name: str, present: Mapping[str, Any]) -> tuple[str, str] | None:
    text = "; ".join(present["internal"]["unfinished"])
    return (f"finish what an interrupted run left of list {name}: {text}", text) if text else None


def _refused(target: str, name: str, present: Mapping[str, Any]) -> list[Finding]:
    text = f"{target}: {name} has {present['access_list']} per-user-override"
    return [codes.ASA_OVERRIDE.at(text)] if present["internal"].get("override") else []


def _shown(body: Mapping[str, Any] | None) -> str:
    if body is None:
        return ""
    return str(body["content"]) if "content" in body else attach_line(str(body["access_list"]), place_of(body))


def _leftovers(target: str, wanted: set[str], live: Snapshot) -> list[Operation]:
    return [pruned(target, key, live, ATTACHMENT, _shown) for key in leftover_keys(wanted, live, ATTACHMENT)]


_made = partial(made_step, attachment=ATTACHMENT, shown=_shown)


def as_planned(live: str, planned: str) -> bool:
    """Return whether the list at a place is the planned one, or another version of it that an earlier step of the plan put there."""
    return live == planned or bool(live and ours(live) and ours(planned) and base_name(live) == base_name(planned))


def same_meaning(state: AsaState, version: str, content: str) -> bool:
    """Return whether a live list means what a text says."""
    lines = state.lists[version]
    try:
        return difference("asa", asa_text("live", lines, state), content).equal
    except (FindingError, ValueError):
        return tuple(f"access-list x {line}" for line in lines) == tuple(
            f"access-list x {line.split(' ', 2)[-1]}"
            for line in content.splitlines()
            if line.startswith("access-list ")
        )


def before_step(step: Operation, versions: Sequence[str], state: AsaState) -> list[str]:
    """Return those versions of a step's list that are as the plan found it."""

    def means(live: str, content: str) -> bool:
        return asa_text(step.name, state.lists[live], state) == content or same_meaning(state, live, content)

    return stood_before(step, versions, means)


def found_out(step: Operation, versions: Sequence[str], state: AsaState) -> dict[str, tuple[str, ...]]:
    """Return what stood before a step whose run did not tell: what of it is there still, else what the plan read of it."""
    if there := before_step(step, versions, state):
        return {live: state.lists[live] for live in there}
    name = former_name(step.name, versions[0] if versions else "", {*state.groups.values(), *state.elsewhere})
    return {name: typed_lines(str((step.before or {})["content"]))}


def entries_of(content: str) -> tuple[str, ...]:
    """Return what stands behind the name in each line of a list's text; objects are left out."""
    return tuple(_ENTRY.findall(content))


def left_half_typed(live: str, texts: Sequence[Sequence[str]], state: AsaState) -> bool:
    """Return whether a version of ours, in force nowhere, is what a run that ended in the middle of typing left of one of the texts."""
    if state.attached(live) or not ours(live):
        return False

    def alike(_entries: Sequence[str], wanted: Sequence[str]) -> bool:
        return same_meaning(state, live, asa_text("live", list(wanted), state))

    def rules(lines: Sequence[str]) -> list[str]:
        return [line for line in lines if not line.startswith("remark ")]

    return any(half_typed(rules(state.lists[live]), rules(text), alike) for text in texts)


RULES = Rules(
    unusable=_unusable,
    understood=lambda _kind, content: understood("asa", content),
    compare=lambda kind, before, after: body_difference(kind, {"content": before}, {"content": after}),
    made=_made,
    where=lambda _kind, name, _body: name,
    unfinished=_unfinished_step,
    refused=_refused,
    finishing=_finishing,
)
