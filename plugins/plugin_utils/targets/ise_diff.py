# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From live ISE objects to the steps that bring them to what the policy says. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
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
    HAND_BACK,
    changed_lists,
    coa_types,
    needs_push,
    push_operation,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.phases import CLEAN, phase_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import PRUNE, operation_id
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_access import difference, seen
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_kinds import (
    ALL_KINDS,
    CELL_KINDS,
    KIND_TABLE,
    WORDS,
    given_back_text,
    taken_over,
    taken_over_text,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_objects import (
    body_findings,
    canonical_content,
    canonical_desired,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_requests import (
    push_requests,
    step_requests,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_sgacls import with_stand_ins
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_shown import (
    assignment_notes,
    rule_notes,
    sgt_users,
)

# A saved description would give a downloadable ACL a new name on every switch, so adopting one by name alone writes nothing.
_FAMILIES = {"IPV4": (4,), "IPV6": (6,), "IP_AGNOSTIC": (4, 6)}
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
    steps += _leftovers(target, wanted, live, rights)
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
        ours, taken = live.objects[key].get("owned"), _taken_over(key, live)
        if key not in rights.delete and (taken or not ours):
            why = "was there before it was taken over" if taken else "does not carry our mark"
            hint = "give adopt in its own entry to delete it all the same"
            findings.append(codes.NOT_OURS.at(f"{target}: {_worded(key)} {why}", hint=hint))
    findings += _cascades(target, present, live, rights)
    if findings:
        raise FindingError(*findings)
    steps = [_removal(target, key, live, "is to be absent", {}) for key in _in_removal_order(present)]
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
    theirs = not ours or _taken_over(key, live)
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


def _taken_over(key: str, live: Snapshot) -> bool:
    return taken_over(str(live.objects[key].get("description") or ""))


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
    details["requests"] = _requests(kind, name, action, before, after, live)
    return Operation(
        operation_id(target, kind, name, action, after), target, kind, name, action, before, after,
        summary, text_diff(_shown(before), _shown(after), f"{kind}/{name}"), effect, phase_of(effect), details,
    )  # fmt: skip


def _requests(
    kind: str, name: str, action: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, live: Snapshot
) -> list[dict[str, Any]]:
    present = live.objects.get(f"{kind}/{name}") or {}
    identifier = str((present.get("internal") or {}).get("id", ""))
    if kind == "endpoint":
        identifier = identifier or live.raw.get(f"endpoint/{name}", "")
    policy_set = live.raw.get(f"policy_set/{name.split('@', maxsplit=1)[-1]}", "")
    return step_requests(kind, name, action, before, after, identifier=identifier, policy_set_id=policy_set)


def _shown(body: Mapping[str, Any] | None) -> str:
    if body is None:
        return ""
    lines = [f"{key}: {value}" for key, value in sorted(body.items()) if key not in ("content", "owned", "internal")]
    return "\n".join([*lines, str(body.get("content", ""))]).strip()


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


def _leftovers(target: str, desired: Sequence[DesiredObject], live: Snapshot, rights: Rights) -> list[Operation]:
    """Return deletions of what carries our mark and is not desired, users before what they use.

    What was there before us is given back as it stands, and what it uses with it.
    """
    wanted = {f"{item.kind}/{item.name}" for item in desired}
    extra = [key for key, body in live.objects.items() if body.get("owned") and key not in wanted]
    back = _given_back([key for key in extra if _taken_over(key, live) and key not in rights.delete], extra, live)
    going = {_worded(key) for key in extra if key not in back}
    steps = []
    for key in _in_removal_order(extra):
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
        steps.append(_removal(target, key, live, "is not in the policy", details))
    return steps


def _given_back(keys: Sequence[str], extra: Sequence[str], live: Snapshot) -> dict[str, str]:
    """Return what is given back, with the reason: these objects, and of ``extra`` what they use, since they stay as they are."""
    found = dict.fromkeys(keys, "was there before it was taken over")
    left, ours = list(keys), frozenset(extra)
    while left:
        user = left.pop()
        for key in _used_by(user, live.objects[user]):
            if key in ours and key not in found:
                found[key] = f"is used by {_worded(user)}"
                left.append(key)
    return found


def _used_by(key: str, body: Mapping[str, Any]) -> list[str]:
    kind = key.split("/", 1)[0]
    if kind in CELL_KINDS:
        return [*(f"sgacl/{name}" for name in body["sgacls"]), *(f"sgt/{body[end]}" for end in ("source", "destination"))]
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
    requests = _requests(kind, name, "update", before, after, live)
    details = {PRUNE: True, HAND_BACK: True, "difference": f"is not in the policy and {why}", "requests": requests}
    return Operation(
        operation_id(target, kind, name, HAND_BACK, after), target, kind, name, "update", before, after,
        summary, text_diff(_shown(before), _shown(after), key), "none", CLEAN, details,
    )  # fmt: skip


def _let_go(sgt: str, desired: Sequence[DesiredObject]) -> set[str]:
    """Return the rules and mappings that by the policy do not use an SGT any longer; their steps come before removals."""
    uses = {"authorization_rule": "security_group", "ip_sgt_mapping": "sgt"}
    return {
        f"{WORDS[item.kind]} {item.name}" for item in desired if item.kind in uses and item.body[uses[item.kind]] != sgt
    }


def _worded(key: str) -> str:
    kind, name = key.split("/", 1)
    return f"{WORDS[kind]} {name}"


def _in_removal_order(keys: Sequence[str]) -> list[str]:
    return sorted(keys, key=lambda key: (-ALL_KINDS.index(key.split("/", 1)[0]), key))


def _removal(target: str, key: str, live: Snapshot, why: str, details: Mapping[str, Any]) -> Operation:
    kind, name = key.split("/", 1)
    before = {field: value for field, value in live.objects[key].items() if field != "internal"}
    verb = "release" if kind == "endpoint" else "delete"
    summary = f"{verb} {WORDS[kind]} {name}, which {why}"
    if details.get("cascade"):
        summary += f"; it takes with it or breaks {', '.join(details['cascade'][:10])}"
    shown = {**details, "difference": why, "requests": _requests(kind, name, "delete", before, None, live)}
    return Operation(
        operation_id(target, kind, name, "delete", None), target, kind, name, "delete", before, None,
        summary, text_diff(_shown(before), "", key), "both", CLEAN, shown,
    )  # fmt: skip


def _cascades(target: str, keys: Sequence[str], live: Snapshot, rights: Rights) -> list[Finding]:
    allowed = {_worded(key) for key in keys} | {f"cell {name}" for name in rights.cascade}
    found = []
    for key in keys:
        kind, name = key.split("/", 1)
        users = sorted(sgt_users(name, live) - allowed) if kind == "sgt" else []
        if users:
            found.append(
                codes.SGT_CASCADE.at(f"{target}: deleting SGT {name} takes with it or breaks {', '.join(users)}")
            )
    return found


def _with_pushes(target: str, steps: Sequence[Operation], old_push: bool) -> list[Operation]:
    """Return the steps with a push after the last one of each phase that touches the matrix; preparing steps wait for a later one."""
    real = [step for step in steps if needs_push(step)]
    if not real:
        return list(steps)
    phases = {step.phase for step in real if step.phase} or {0}
    made = list(steps)
    for phase in sorted(phases):
        # What a phase before prepared goes along: it is in force nowhere until now.
        carried = [step for step in real if step.phase in (0, phase)]
        push = push_operation(target, phase, coa=coa_types(carried), lists=changed_lists(carried))
        requests = push_requests(push.details.get("coa") or COA_TYPES, old_push)
        prunes = {PRUNE: True} if all(step.details.get(PRUNE) for step in real if step.phase == phase) else {}
        made.append(replace(push, details={**push.details, **prunes, "requests": requests}))
    return sorted(made, key=lambda step: step.phase)
