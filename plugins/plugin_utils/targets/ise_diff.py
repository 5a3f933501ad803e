# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From live ISE objects to the steps that bring them to what the policy says. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.progress import Progress
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import (
    SAME,
    Meaning,
    body_difference,
    text_diff,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation, Snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import (
    COA_TYPES,
    changed_lists,
    coa_types,
    needs_push,
    push_operation,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.phases import phase_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import PRUNE, operation_id
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_access import difference, seen
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_kinds import (
    ALL_KINDS,
    CELL_KINDS,
    KIND_TABLE,
    WORDS,
    taken_over,
    taken_over_text,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_objects import (
    body_findings,
    canonical_content,
    canonical_desired,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_removals import (
    RENAMED_BY_WRITING,
    Rights,
    cascades,
    in_removal_order,
    leftovers,
    removal,
    was_taken_over,
    worded,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_requests import push_requests, requests_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_sgacls import with_stand_ins
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_shown import (
    assignment_notes,
    body_text,
    rule_notes,
)

_FAMILIES = {"IPV4": (4,), "IPV6": (6,), "IP_AGNOSTIC": (4, 6)}


def ise_operations(
    target: str,
    desired: Sequence[DesiredObject],
    live: Snapshot,
    *,
    adopt: bool | Collection[str] = False,
    cascade: Collection[str] = (),
    delete: Collection[str] = (),
    pause: float = 1.0,
    old_push: bool = False,
) -> tuple[Operation, ...]:
    """Return the steps in order of dependence (ise_kinds.py); then what cleans up, in reverse. For the rights see ``Rights``.

    After each phase that touches the matrix stands a push. Raises FindingError for objects in the way that are not ours (unless
    adopted), values that are taken, texts that are not understood, and changes that ISE does not carry out safely. Each step lists the
    requests that it sends in ``details["requests"]``; ``old_push`` says that this ISE pushes in the old way (before 3.4 patch 2).
    """
    rights = Rights(adopt, frozenset(cascade), frozenset(delete))
    wanted, stand_ins = with_stand_ins(desired, live.objects, rights.adopts)
    findings: list[Finding] = []
    steps: list[Operation] = []
    lists = {item.name: item.body for item in wanted if item.kind == "sgacl"}
    progress = Progress(f"{target}: comparing", len(wanted), "objects")
    for item in sorted(wanted, key=lambda item: (ALL_KINDS.index(item.kind), item.name)):
        progress.step()
        faults = body_findings(item)
        if faults:
            findings += faults
            continue
        body = canonical_desired(item)
        if item.kind in CELL_KINDS and _end_unreached(body, lists, live):
            body = _with_present_end(body, live.objects.get(f"{item.kind}/{item.name}"))
        faults, step = _step(target, replace(item, body=body), live, rights)
        findings += faults
        if step is not None:
            steps.append(step)
    findings += _value_conflicts(target, wanted, live)
    findings += _several_sgacls(target, wanted, live)
    findings += _rules_without_place(target, wanted, live)
    if findings:
        raise FindingError(*findings)
    steps = assignment_notes(steps, pause)
    steps = [rule_notes(step, wanted, live) for step in steps]
    steps = [_stood_in(step, stand_ins) for step in steps]
    steps += leftovers(target, wanted, live, rights)
    return tuple(_with_pushes(target, steps, old_push))


def removal_operations(
    target: str,
    keys: Sequence[str],
    live: Snapshot,
    *,
    cascade: Collection[str] = (),
    delete: Collection[str] = (),
    old_push: bool = False,
) -> tuple[Operation, ...]:
    """Return the steps that remove the objects named as ``kind/name``, users before what they use; absent ones need none.

    FindingError for objects that were there before us, taken over or not, unless ``delete`` names them, and for SGTs that others use.
    """
    rights = Rights(False, frozenset(cascade), frozenset(delete))
    present = [key for key in keys if key in live.objects]
    findings = []
    for key in present:
        ours, taken = live.objects[key].get("owned"), was_taken_over(key, live)
        if key not in rights.delete and (taken or not ours):
            why = "was there before it was taken over" if taken else "does not carry our mark"
            hint = "give adopt in its own entry to delete it all the same"
            findings.append(codes.NOT_OURS.at(f"{target}: {worded(key)} {why}", hint=hint))
    findings += cascades(target, present, live, rights)
    if findings:
        raise FindingError(*findings)
    steps = [removal(target, key, live, "is to be absent", {}) for key in in_removal_order(present)]
    return tuple(_with_pushes(target, steps, old_push))


def _step(target: str, item: DesiredObject, live: Snapshot, rights: Rights) -> tuple[list[Finding], Operation | None]:
    kind, name, body, key = item.kind, item.name, item.body, f"{item.kind}/{item.name}"
    what = f"{WORDS[kind]} {name}"
    present = live.objects.get(key)
    if present is None:
        return [], _operation(target, item, live, None, f"create {what}", _creation_effect(kind, body), "is missing")
    moved = difference(kind, present, body)
    ours = bool(present.get("owned"))
    item = _with_own_text(item, present)
    body = item.body
    marks = not ours and rights.names(key) and KIND_TABLE[kind].marked and kind not in RENAMED_BY_WRITING
    if moved.equal and not marks:
        return [], None
    if not ours and not rights.adopts(key):
        return [codes.NOT_OURS.at(f"{target}: {what} exists without our mark and differs: {moved.text}")], None
    theirs = not ours or was_taken_over(key, live)
    if kind == "sgt" and theirs and present.get("value") != body["value"]:
        # Switches, mappings and other matrices know somebody else's group by its value.
        text = f"{target}: {what} has the value {present.get('value')}, not {body['value']}; a group that is taken over keeps its own"
        return [codes.NOT_OURS.at(text, hint="give the group's own value as sgt")], None
    if kind == "sgacl" and present.get("ip_version") != body["ip_version"]:
        return [
            codes.IP_VERSION_FIXED.at(f"{target}: {what}: {present.get('ip_version')} to {body['ip_version']}")
        ], None
    view = seen(present, body) or {}
    before = {**{name: view.get(name) for name in body}, "description": present.get("description", ""), "owned": ours}
    text = moved.text or "takes our mark"
    summary = f"{'change' if ours else 'adopt and change' if not moved.equal else 'adopt'} {what}: {text}"
    effect = _effect(kind, before, body, moved)
    return [], _operation(target, item, live, before, summary, effect, text, moved, {"adopt": True} if marks else {})


def _with_own_text(item: DesiredObject, present: Mapping[str, Any]) -> DesiredObject:
    """Return an object that was there before us with its own text behind our mark, so that it can be given back.

    An endpoint keeps its text: assigning it does not write one.
    """
    text = str(present.get("description") or "")
    if not KIND_TABLE[item.kind].marked or item.kind == "endpoint" or (present.get("owned") and not taken_over(text)):
        return item
    return replace(item, body={**item.body, "description": text if taken_over(text) else taken_over_text(text)})


def _end_unreached(body: Mapping[str, Any], wanted: Mapping[str, Mapping[str, Any]], live: Snapshot) -> bool:
    """Return whether the SGACLs of a cell end in lines for every packet of both versions, so that what closes the cell decides nothing."""
    decided: set[int] = set()
    for name in body["sgacls"]:
        sgacl = wanted.get(name) or live.objects.get(f"sgacl/{name}") or {}
        lines = canonical_content(str(sgacl.get("content", ""))).lower().split("\n")
        last = next((line for line in reversed(lines) if not line.startswith("remark")), "")
        if last in ("permit ip", "deny ip", "permit ip log", "deny ip log"):
            decided.update(_FAMILIES.get(str(sgacl.get("ip_version")), ()))
    return decided == {4, 6}


def _with_present_end(body: Mapping[str, Any], present: Mapping[str, Any] | None) -> dict[str, Any]:
    if present is None or present.get("sgacls") != body["sgacls"]:
        return dict(body)
    return {**body, "default_rule": present["default_rule"]}


def _creation_effect(kind: str, body: Mapping[str, Any]) -> str:
    """A cell, a rule and an assignment are in force at once; the rest is used by nobody yet."""
    if kind in CELL_KINDS:
        return "narrows" if body["status"] == "ENABLED" else "none"
    if kind == "authorization_rule":
        return "none" if body["state"] == "disabled" else "narrows"
    return {"endpoint": "narrows", "ip_sgt_mapping": "both"}.get(kind, "none")


def _effect(kind: str, before: Mapping[str, Any], after: Mapping[str, Any], moved: Meaning) -> str:
    if moved.equal or kind in ("endpoint_group", "anc_policy"):
        return "none"
    if kind == "endpoint":
        return "narrows"  # after every rule that it may be meant for
    if kind not in CELL_KINDS:
        return moved.effect
    others = body_difference(kind, {**before, "status": ""}, {**after, "status": ""})
    status = _status_effect(str(before["status"]), str(after["status"]))
    if others.equal:
        return status
    return "both" if after["status"] == "ENABLED" or before["status"] == "ENABLED" else "none"


def _status_effect(before: str, after: str) -> str:
    """MONITOR and DISABLED both forward."""
    if before == after or "ENABLED" not in (before, after):
        return "none"
    return "narrows" if after == "ENABLED" else "widens"


def _operation(
    target: str,
    item: DesiredObject,
    live: Snapshot,
    before: Mapping[str, Any] | None,
    summary: str,
    effect: str,
    text: str,
    meaning: Meaning = SAME,
    more: Mapping[str, Any] | None = None,
) -> Operation:
    kind, name, after = item.kind, item.name, item.body
    action = "create" if before is None else "update"
    details: dict[str, Any] = {"difference": text, **(more or {})}
    if meaning.lost or meaning.gained:
        details["witness"] = meaning.lost or meaning.gained
    details["requests"] = requests_of(kind, name, action, before, after, live)
    return Operation(
        operation_id(target, kind, name, action, after), target, kind, name, action, before, after,
        summary, text_diff(body_text(before), body_text(after), f"{kind}/{name}"), effect, phase_of(effect), details,
    )  # fmt: skip


def _value_conflicts(target: str, desired: Sequence[DesiredObject], live: Snapshot) -> list[Finding]:
    holders = {body["value"]: key.split("/", 1)[1] for key, body in live.objects.items() if key.startswith("sgt/")}
    return [
        codes.SGT_VALUE_TAKEN.at(
            f"{target}: value {item.body['value']} of {item.name} belongs to {holders[item.body['value']]}"
        )
        for item in desired
        if item.kind == "sgt" and holders.get(item.body["value"], item.name) != item.name
    ]


def _several_sgacls(target: str, desired: Sequence[DesiredObject], live: Snapshot) -> list[Finding]:
    """More than one SGACL in a cell needs a switch in ISE's general settings (facts/ise.md section 1.6)."""
    if live.raw.get("allow_multiple_sgacls") != "no":
        return []
    return [
        codes.SEVERAL_SGACLS.at(f"{target}: cell {item.name} has {', '.join(item.body['sgacls'])}")
        for item in desired
        if item.kind in CELL_KINDS and len(item.body["sgacls"]) > 1
    ]


def _rules_without_place(target: str, desired: Sequence[DesiredObject], live: Snapshot) -> list[Finding]:
    """A rule needs its policy set, and the rule before which it is to stand: half of a plan must not be written before that is found."""
    rules = [item for item in desired if item.kind == "authorization_rule"]
    known = {item.name for item in rules}
    findings = []
    for item in rules:
        policy_set, before = str(item.body["policy_set"]), str(item.body.get("before") or "")
        listed = live.raw.get(f"rules/{policy_set}")
        if listed is None and any(key.startswith("rules/") for key in live.raw):
            findings.append(codes.MISSING_REFERENCE.at(f"{target}: rule {item.name}: no policy set {policy_set!r}"))
        elif (
            listed is not None and before and before not in listed.split("\n") and f"{before}@{policy_set}" not in known
        ):
            text = f"{target}: rule {item.name}: no rule {before!r} to stand before"
            findings.append(codes.MISSING_REFERENCE.at(text))
    return findings


def _stood_in(step: Operation, names: Mapping[str, str]) -> Operation:
    if step.kind != "sgacl" or step.name not in names.values():
        return step
    old = next(name for name, new in names.items() if new == step.name)
    return replace(step, summary=f"{step.summary} in place of {old}, whose IP version cannot be changed")


def _with_pushes(target: str, steps: Sequence[Operation], old_push: bool) -> list[Operation]:
    """Return the steps with a push after the last one of each phase that touches the matrix; preparing steps wait for a later one.

    What only a plan with ``prune`` carries out has its own push where nothing else is pushed in its phase: without it the others
    must not wait for it.
    """
    real = [step for step in steps if needs_push(step)]
    kept = [step for step in real if not step.details.get(PRUNE)]
    phases = {step.phase for step in kept if step.phase} or {0 for _step in kept[:1]}
    made = list(steps)
    for phase in sorted(phases | {step.phase for step in real if step.details.get(PRUNE)}):
        # What a phase before prepared goes along: it is in force nowhere until now.
        carried = [step for step in real if step.phase == phase or (step.phase == 0 and phase in phases)]
        push = push_operation(target, phase, coa=coa_types(carried), lists=changed_lists(carried))
        requests = push_requests(push.details.get("coa") or COA_TYPES, old_push)
        prunes = {} if phase in phases else {PRUNE: True}
        made.append(replace(push, details={**push.details, **prunes, "requests": requests}))
    return sorted(made, key=lambda step: step.phase)
