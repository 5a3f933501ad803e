# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects of one target without a plan: what stands there, and a few objects brought to a wanted state.

For those who want one list or one cell kept right and nothing else; the loop goes by plan and journal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.action import failure
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import understood
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation, ReportedError, Target
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.outcome import step_view
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import PUSH
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import PRUNE, public_objects
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.connections import target_specs
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import (
    checked_name,
    full_interface,
    typed_lines,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise import IseTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_kinds import OWNERSHIP
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_objects import (
    KINDS,
    body_findings,
    canonical_desired,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.registry import make_target
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec

FIELDS: Mapping[str, tuple[str, ...]] = {
    "sgt": ("value",),
    "sgacl": ("ip_version", "content"),
    "downloadable_acl": ("dacl_type", "content"),
    "authorization_profile": ("dacl_name",),
    "egress_matrix_cell": ("source", "destination", "status", "sgacls", "default_rule"),
}
DEFAULTS: Mapping[str, Any] = {
    "ip_version": "IPV4",
    "dacl_type": "IPV4",
    "status": "MONITOR",
    "sgacls": [],
    "default_rule": "NONE",
}


def run_ise_info(values: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the objects of an ISE in canonical form, by kind."""
    kinds = [kind for kind in KINDS if kind in (values.get("kinds") or KINDS)]
    target = _ise(values, variables)
    try:
        snapshot = target.gathered(kinds)
        requests = target.client.requests
    finally:
        target.close()
    objects: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
    for key, body in public_objects(snapshot).items():
        kind, name = key.split("/", 1)
        if body["owned"] or not values.get("owned_only"):
            objects[kind].append({"name": name, **body})
    counts = {kind: len(items) for kind, items in objects.items()}
    return {"changed": False, "objects": objects, "counts": counts, "sha256": snapshot.sha256, "requests": requests}


def run_ise_policy(values: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Bring the objects to what is given (``merged``), or return them as they would be sent (``rendered``) or stand now (``gathered``)."""
    desired = [ise_object(item) for item in values.get("objects") or ()]
    if values["state"] == "rendered":
        faults = [fault for item in desired for fault in body_findings(item)]
        if faults:
            raise FindingError(*faults)
        return {
            "changed": False,
            "rendered": [{"kind": item.kind, "name": item.name, **canonical_desired(item)} for item in desired],
        }
    target = _ise(values, variables)
    try:
        if values["state"] == "gathered":
            return {
                "changed": False,
                "gathered": _view(public_objects(target.read_objects([(item.kind, item.name) for item in desired]))),
            }
        return _merge(target, desired, values, push=bool(values.get("push", True)))
    finally:
        target.close()


def run_device_policy(values: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Bring one list of a switch or firewall to what is given, or return what would be written or stands there."""
    spec = _spec(values, variables)
    if spec.platform == "ise":
        raise FindingError(codes.BAD_ARGUMENT.at(f"{spec.name} is an ISE; use ise_policy"))
    desired = device_objects(spec.platform, values)
    if values["state"] == "rendered":
        return {"changed": False, "rendered": [{"kind": item.kind, "name": item.name, **item.body} for item in desired]}
    target = make_target(spec)
    try:
        if values["state"] == "gathered":
            return {"changed": False, "gathered": _view(public_objects(target.snapshot(desired)))}
        return _merge(target, desired, values, push=False)
    finally:
        target.close()


def ise_object(item: Mapping[str, Any]) -> DesiredObject:
    """Return a desired object of an argument's entry; FindingError where a field of its kind is missing."""
    kind = str(item["kind"])
    body: dict[str, Any] = {}
    missing = []
    for field in FIELDS[kind]:
        value = item.get(field)
        if value is None:
            value = DEFAULTS.get(field)
        if value is None:
            missing.append(field)
        body[field] = value
    name = str(item.get("name") or "")
    if kind == "egress_matrix_cell":
        name = f"{body['source']}-{body['destination']}"
    elif not name:
        missing.append("name")
    if missing:
        raise FindingError(codes.BAD_ARGUMENT.at(f"{kind} {name}: {', '.join(missing)} not given"))
    text = str(item.get("description") or "")
    body["description"] = text if text.startswith(OWNERSHIP) else f"{OWNERSHIP} {text}".strip()
    return DesiredObject(kind, name, body)


def device_objects(platform: str, values: Mapping[str, Any]) -> tuple[DesiredObject, ...]:
    """Return the objects for one list and its interfaces; FindingError for names and lines that cannot be written."""
    name, content = str(values["name"]), str(values.get("content") or "")
    if platform == "nftables":
        return (DesiredObject("ruleset", name, {"table": name, "content": content}),) if content else ()
    made: list[DesiredObject] = []
    if content:
        text = (
            content
            if content.lstrip().startswith("ip access-list")
            else f"ip access-list extended {checked_name(name)}\n{content}"
        )
        reason = understood("ios", text)
        if reason:
            raise FindingError(codes.BAD_ARGUMENT.at(f"list {name}: {reason}"))
        typed_lines(text)
        made.append(DesiredObject("access_list", checked_name(name), {"content": text}))
    direction = str(values.get("direction") or "in")
    for given in values.get("interfaces") or ():
        interface = full_interface(str(given))
        body = {"interface": interface, "direction": direction, "access_list": name}
        made.append(DesiredObject("attachment", f"{interface}-{direction}", body))
    return tuple(made)


def _spec(values: Mapping[str, Any], variables: Mapping[str, Any]) -> TargetSpec:
    name = str(values.get("target") or variables.get("inventory_hostname") or "")
    hostvars = variables.get("hostvars") or {}
    if name not in hostvars:
        raise FindingError(codes.NO_TARGET.at(f"the inventory has no host {name!r}"))
    return TargetSpec.of({**target_specs(hostvars, [name])[0], "adopt": bool(values.get("adopt"))})


def _ise(values: Mapping[str, Any], variables: Mapping[str, Any]) -> IseTarget:
    spec = _spec(values, variables)
    target = make_target(spec)
    if not isinstance(target, IseTarget):
        raise FindingError(codes.BAD_ARGUMENT.at(f"{spec.name} is not an ISE but {spec.platform}"))
    return target


def _merge(
    target: Target, desired: Sequence[DesiredObject], values: Mapping[str, Any], *, push: bool
) -> dict[str, Any]:
    """Carry out the steps for the wanted objects one after the other; stop at the first that fails and say what was done."""
    live = target.snapshot(desired)
    steps = [
        step for step in target.diff(desired, live) if not step.details.get(PRUNE) and (push or step.action != PUSH)
    ]
    answer: dict[str, Any] = {
        "changed": bool(steps),
        "before": _view(
            {key: body for key, body in public_objects(live).items() if key in {f"{s.kind}/{s.name}" for s in steps}}
        ),
        "operations": [step_view(step) for step in steps],
    }
    if values["diff_mode"]:
        answer["diff"] = {"prepared": "\n".join(step.diff for step in steps if step.diff)}
    if values["check_mode"] or not steps:
        return answer
    reports: list[Mapping[str, Any]] = []
    done, findings = _carry_out(target, steps, reports)
    if not errors_of(findings):
        findings += target.confirm(desired)
    answer |= {
        "changed": bool(done),
        "completed": [step_view(step) for step in done],
        "findings": [finding.as_dict() for finding in findings],
        "pushed": next((report["devices"] for report in reversed(reports) if "devices" in report), []),
    }
    if errors_of(findings):
        return failure(findings, **answer)
    return {
        **answer,
        "after": _view(
            {
                k: v
                for k, v in public_objects(target.snapshot(desired)).items()
                if k in {f"{s.kind}/{s.name}" for s in steps}
            }
        ),
    }


def _carry_out(
    target: Target, steps: Sequence[Operation], reports: list[Mapping[str, Any]]
) -> tuple[list[Operation], list[Finding]]:
    done: list[Operation] = []
    findings: list[Finding] = []
    for step in steps:
        try:
            result = target.execute(step)
        except FindingError as error:
            reports.append(error.report if isinstance(error, ReportedError) else {})
            return done, [*findings, *error.findings]
        reports.append(result.report)
        findings += result.findings
        if result.changed:
            done.append(step)
    return done, findings


def _view(objects: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"kind": key.split("/", 1)[0], "name": key.split("/", 1)[1], **body} for key, body in sorted(objects.items())
    ]
