# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From live ISE objects to the steps that bring them to what the policy says. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import (
    SAME,
    Meaning,
    body_difference,
    text_diff,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation, Snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import (
    coa_types,
    needs_push,
    push_operation,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.phases import CLEAN, phase_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import PRUNE, operation_id
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_objects import (
    KINDS,
    body_findings,
    canonical_content,
)

WORDS = {
    "sgt": "SGT",
    "sgacl": "SGACL",
    "downloadable_acl": "downloadable ACL",
    "authorization_profile": "authorization profile",
    "egress_matrix_cell": "cell",
}


def ise_operations(
    target: str, desired: Sequence[DesiredObject], live: Snapshot, *, adopt: bool
) -> tuple[Operation, ...]:
    """Return the steps in order of dependence: SGT, SGACL, downloadable ACL, profile, cell; then what cleans up, in reverse.

    After each phase that touches the matrix stands a push. Raises FindingError for objects in the way that are not ours (unless
    ``adopt``), values that are taken, texts that are not understood, and changes that ISE does not carry out safely.
    """
    findings: list[Finding] = []
    steps: list[Operation] = []
    for item in sorted(desired, key=lambda item: (KINDS.index(item.kind), item.name)):
        faults = body_findings(item)
        if faults:
            findings += faults
            continue
        body = canonical_desired(item)
        present = live.objects.get(f"{item.kind}/{item.name}")
        faults, step = _step(target, item.kind, item.name, body, present, adopt)
        findings += faults
        if step is not None:
            steps.append(step)
    findings += _value_conflicts(target, desired, live)
    if findings:
        raise FindingError(*findings)
    steps += _leftovers(target, desired, live)
    return tuple(_with_pushes(target, steps))


def canonical_desired(item: DesiredObject) -> dict[str, Any]:
    """Return a desired body with its text in canonical form."""
    body = dict(item.body)
    if "content" in body:
        body["content"] = canonical_content(str(body["content"]))
    return body


def _step(
    target: str, kind: str, name: str, body: Mapping[str, Any], present: Mapping[str, Any] | None, adopt: bool
) -> tuple[list[Finding], Operation | None]:
    what = f"{WORDS[kind]} {name}"
    if present is None:
        effect = "narrows" if kind == "egress_matrix_cell" and body["status"] == "ENABLED" else "none"
        return [], _operation(target, kind, name, "create", None, body, f"create {what}", effect, "is missing")
    difference = body_difference(kind, {key: present.get(key) for key in body}, body)
    if difference.equal:
        return [], None
    if not present.get("owned") and not adopt:
        return [codes.NOT_OURS.at(f"{target}: {what} exists without our mark and differs: {difference.text}")], None
    if kind == "sgacl" and present.get("ip_version") != body["ip_version"]:
        return [
            codes.IP_VERSION_FIXED.at(f"{target}: {what}: {present.get('ip_version')} to {body['ip_version']}")
        ], None
    before = {key: present.get(key) for key in (*body, "owned")}
    effect = _effect(kind, before, body, difference)
    adopts = not present.get("owned")
    summary = f"{'adopt and change' if adopts else 'change'} {what}: {difference.text}"
    return [], _operation(target, kind, name, "update", before, body, summary, effect, difference.text, difference)


def _effect(kind: str, before: Mapping[str, Any], after: Mapping[str, Any], difference: Meaning) -> str:
    if kind != "egress_matrix_cell":
        return difference.effect
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
    kind: str,
    name: str,
    action: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    summary: str,
    effect: str,
    difference: str,
    meaning: Meaning = SAME,
) -> Operation:
    details: dict[str, Any] = {"difference": difference}
    if meaning.lost or meaning.gained:
        details["witness"] = meaning.lost or meaning.gained
    return Operation(
        operation_id(target, kind, name, action, after), target, kind, name, action, before, after,
        summary, text_diff(_shown(before), _shown(after), f"{kind}/{name}"), effect, phase_of(effect), details,
    )  # fmt: skip


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


def _leftovers(target: str, desired: Sequence[DesiredObject], live: Snapshot) -> list[Operation]:
    """Return deletions of what carries our mark and is not desired, users before what they use."""
    wanted = {f"{item.kind}/{item.name}" for item in desired}
    extra = [key for key, body in live.objects.items() if body.get("owned") and key not in wanted]
    steps = []
    for key in sorted(extra, key=lambda key: (-KINDS.index(key.split("/", 1)[0]), key)):
        kind, name = key.split("/", 1)
        before = {field: value for field, value in live.objects[key].items() if field != "internal"}
        summary = f"delete {WORDS[kind]} {name}, which the policy no longer has"
        steps.append(
            Operation(
                operation_id(target, kind, name, "delete", None),
                target,
                kind,
                name,
                "delete",
                before,
                None,
                summary,
                text_diff(_shown(before), "", key),
                "both",
                CLEAN,
                {PRUNE: True, "difference": "is not in the policy"},
            )
        )
    return steps


def _with_pushes(target: str, steps: Sequence[Operation]) -> list[Operation]:
    """Return the steps with a push after the last one of each phase that touches the matrix; preparing steps wait for a later one."""
    real = [step for step in steps if needs_push(step)]
    if not real:
        return list(steps)
    phases = {step.phase for step in real if step.phase} or {0}
    made = list(steps)
    for phase in sorted(phases):
        cleaning = phase == CLEAN
        # What a phase before prepared goes along: it is in force nowhere until now.
        push = push_operation(target, phase, coa=coa_types(step for step in real if step.phase in (0, phase)))
        made.append(_pruned(push) if cleaning else push)
    return sorted(made, key=lambda step: step.phase)


def _pruned(push: Operation) -> Operation:
    return Operation(
        push.id, push.target, push.kind, push.name, push.action, push.before, push.after, push.summary, push.diff, push.effect,
        push.phase, {**push.details, PRUNE: True},
    )  # fmt: skip
