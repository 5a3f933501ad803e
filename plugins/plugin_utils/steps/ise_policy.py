# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects of an ISE without a plan: what is given is brought about, removed, shown as it would be sent, or read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.action import failure
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes as change_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal, known_entries
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.lock import StateLock
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation, Snapshot, Target
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.outcome import step_view
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import PUSH, needs_push
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import PRUNE, public_objects
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.authorization import group_condition
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.journalled import JournalledTarget, undeployed
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.objects import (
    carry_out,
    ise_target,
    object_views,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes as target_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise import IseTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_kinds import (
    CELL_KINDS,
    KIND_TABLE,
    OWNERSHIP,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_objects import (
    body_findings,
    canonical_desired,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_requests import request_lines

# Fields of each kind; those without a default must be given.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "sgt": ("value",),
    "sgacl": ("ip_version", "content"),
    "downloadable_acl": ("dacl_type", "content"),
    "authorization_profile": ("dacl_name", "ipv6_dacl_name", "access_type"),
    "endpoint_group": ("parent",),
    "anc_policy": ("actions", "allow_port_actions"),
    "ip_sgt_mapping": ("host", "sgt", "deploy_type", "deploy_to"),
    "egress_matrix_cell": ("source", "destination", "status", "sgacls", "default_rule"),
    "matrix_cell": ("matrix", "source", "destination", "status", "sgacls", "default_rule"),
    "authorization_rule": ("policy_set", "condition", "profiles", "security_group"),
    "endpoint": ("group",),
}
DEFAULTS: Mapping[str, Any] = {
    "ip_version": "IPV4",
    "dacl_type": "IPV4",
    "ipv6_dacl_name": "",
    "access_type": "ACCESS_ACCEPT",
    "parent": "",
    "allow_port_actions": False,
    "deploy_type": "ALL",
    "deploy_to": "",
    "status": "MONITOR",
    "sgacls": [],
    "default_rule": "NONE",
    "policy_set": "Default",
    "profiles": [],
    "security_group": "",
}


def run_ise_policy(values: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Bring the objects to what is given (``present``, ``merged``), remove them (``absent``), or return them as they would be sent
    (``rendered``) or stand now (``gathered``)."""
    state, given = values["state"], values.get("objects") or ()
    wanted = [(str(item["kind"]), ise_name(item)) for item in given]
    desired = [ise_object(item) for item in given] if state in ("present", "merged", "rendered") else []
    if state == "rendered":
        faults = [fault for item in desired for fault in body_findings(item)]
        if faults:
            raise FindingError(*faults)
        return {
            "changed": False,
            "rendered": [{"kind": item.kind, "name": item.name, **canonical_desired(item)} for item in desired],
        }
    adopt = adopted(values, wanted)
    named = [f"{kind}/{name}" for kind, name in wanted] if adopt is True else adopt or []
    target = ise_target(values, variables, adopt, named if state == "absent" else ())
    try:
        if state == "gathered":
            return {"changed": False, "gathered": object_views(public_objects(target.read_objects(wanted)))}
        if state == "absent":
            live = target.snapshot_of(wanted)
            steps: Sequence[Operation] = target.removals([f"{kind}/{name}" for kind, name in wanted], live)
        else:
            live = target.snapshot(desired)
            steps = _wanted_steps(target, desired, live, bool(values.get("prune")))
        return _carry(target, steps, live, desired, values)
    finally:
        target.close()


def adopted(values: Mapping[str, Any], wanted: Sequence[tuple[str, str]]) -> bool | list[str]:
    """Return what may be taken over: everything, or the objects whose entries say so, as ``kind/name``."""
    if values.get("adopt"):
        return True
    named = [item.get("adopt") for item in values.get("objects") or ()]
    return [f"{kind}/{name}" for (kind, name), adopt in zip(wanted, named, strict=True) if adopt]


def ise_name(item: Mapping[str, Any]) -> str:
    """Return the name of the object of an argument's entry; FindingError where it has none."""
    kind, name = str(item["kind"]), str(item.get("name") or "")
    if kind in CELL_KINDS:
        ends = [str(item.get(end) or "") for end in ("source", "destination")]
        name = "-".join(ends) if all(ends) else name.split("@", maxsplit=1)[0]
        if kind == "matrix_cell":
            name = f"{name}@{item['matrix']}" if name and item.get("matrix") else ""
    elif kind == "endpoint":
        name = name.upper().replace("-", ":")
    if not name:
        needed = "source, destination" if kind in CELL_KINDS else "name"
        raise FindingError(codes.BAD_ARGUMENT.at(f"{kind} {name}: {needed} not given"))
    if kind == "authorization_rule":
        return f"{name}@{item.get('policy_set') or DEFAULTS['policy_set']}"
    return name


def ise_object(item: Mapping[str, Any]) -> DesiredObject:
    """Return a desired object of an argument's entry; FindingError where a field of its kind is missing."""
    kind = str(item["kind"])
    body: dict[str, Any] = {}
    missing = []
    for field in FIELDS[kind]:
        value = item.get(field)
        if field == "condition" and value is None and item.get("group"):
            value = group_condition(str(item["group"]))
        if value is None:
            value = DEFAULTS.get(field)
        if value is None:
            missing.append(field)
        body[field] = value
    if kind == "authorization_rule":
        body["state"] = str(item.get("rule_state") or "enabled")
        if item.get("before"):
            body["before"] = str(item["before"])
    try:
        name = ise_name(item)
    except FindingError:
        missing.append("name")
        name = ""
    if missing:
        raise FindingError(codes.BAD_ARGUMENT.at(f"{kind} {name}: {', '.join(missing)} not given"))
    text = str(item.get("description") or "")
    marked = text if text.startswith(OWNERSHIP) else f"{OWNERSHIP} {text}".strip()
    body["description"] = marked if KIND_TABLE[kind].marked else ""
    return DesiredObject(kind, name, body)


def _wanted_steps(
    target: IseTarget, desired: Sequence[DesiredObject], live: Snapshot, prune: bool
) -> Sequence[Operation]:
    """Return the steps; with ``prune`` also those that remove what is ours, of the kinds given, and not given itself."""
    kinds = {item.kind for item in desired}
    steps = [
        step
        for step in target.diff(desired, live)
        if not step.details.get(PRUNE) or (prune and (step.kind in kinds or step.action == PUSH))
    ]
    blocked = [step for step in steps if step.details.get("blocked")]
    if blocked:
        raise FindingError(*(target_codes.SGT_CASCADE.at(f"{target.name}: {step.summary}") for step in blocked))
    pushed = {step.phase for step in steps if needs_push(step)}
    return [step for step in steps if step.action != PUSH or step.phase in pushed or 0 in pushed]


def _carry(
    target: IseTarget,
    planned: Sequence[Operation],
    live: Snapshot,
    desired: Sequence[DesiredObject],
    values: Mapping[str, Any],
) -> dict[str, Any]:
    """Carry out the steps one after the other; stop at the first that fails and say what was done."""
    steps = [step for step in planned if values.get("push", True) or step.action != PUSH]
    written: Target = target
    state: StateLock | None = None
    if values.get("state_dir"):
        paths = Paths.of("policies", ".microseg", "", str(values["state_dir"]))
        steps = [*steps, *undeployed(known_entries(paths.journal), target.name, desired, steps)]
        written = JournalledTarget(target, Journal(paths.journal), steps)
        state = StateLock(paths.state / "lock", "ise_policy")
    requests = [request for step in steps for request in step.details.get("requests", ())]
    touched = {f"{step.kind}/{step.name}" for step in steps}
    before = {key: body for key, body in public_objects(live).items() if key in touched}
    answer: dict[str, Any] = {
        "changed": bool(steps),
        "before": object_views(before),
        "operations": [step_view(step) for step in steps],
        "requests": requests,
    }
    if values["diff_mode"]:
        texts = [step.diff for step in steps if step.diff]
        answer["diff"] = {"prepared": "\n".join([*texts, *request_lines(requests)])}
    if values["check_mode"] or not steps:
        return answer
    reports: list[Mapping[str, Any]] = []
    # Each step reads its object again before it writes, so what happened until the lock was taken is noticed.
    with state or nullcontext(), target.run_lock("ise_policy") as lock:
        done, findings = carry_out(
            written, steps, reports, lambda: [change_codes.LOCK_LOST.at(lock.target)] if lock.lost else []
        )
        if not errors_of(findings) and desired:
            findings += target.confirm(desired)
    findings += lock.findings
    if isinstance(written, JournalledTarget):
        answer["plan_id"] = written.plan_id
    answer |= {
        "changed": bool(done),
        "completed": [step_view(step) for step in done],
        "findings": [finding.as_dict() for finding in findings],
        "pushed": next((report["devices"] for report in reversed(reports) if "devices" in report), []),
    }
    if errors_of(findings):
        return failure(findings, **answer)
    wanted = [(step.kind, step.name) for step in steps if step.action != PUSH]
    return {**answer, "after": object_views(public_objects(target.read_objects(wanted)))}
