# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects of one target without a plan: what stands there, and a few objects brought to a wanted state.

For those who want one list or one cell kept right and nothing else; the loop goes by plan and journal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.action import failure
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import unexpected
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import understood
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation, ReportedError, Target
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.outcome import step_view
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import PUSH
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import PRUNE, public_objects
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.connections import target_specs
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import asa_config, ios_diff, nxos_diff
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_diff import attachment_body
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.fleet_device import DeviceTarget, LinesKnown
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import checked_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise import IseTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_kinds import ALL_KINDS
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_preflight import preflight
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_snapshot import write_snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.registry import make_target
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec


def run_ise_info(values: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the objects of an ISE in canonical form, by kind, and what its preflight says; write the snapshot file where asked."""
    kinds = [kind for kind in ALL_KINDS if kind in (values.get("kinds") or ALL_KINDS)]
    spec, target = _spec(values, variables), ise_target(values, variables)
    try:
        checked = preflight(target.client, spec.name)
        if errors_of(checked.findings) and not values.get("preflight_only"):
            raise FindingError(*errors_of(checked.findings))
        said = {
            "ise": dict(checked.facts),
            "findings": [finding.as_dict() for finding in checked.findings],
            "ready": not errors_of(checked.findings),
        }
        if values.get("preflight_only"):
            return {"changed": False, **said, "requests": target.client.requests}
        snapshot = target.gathered(kinds)
        requests = target.client.requests
    finally:
        target.close()
    file = str(values.get("snapshot_file") or "")
    if file and not values["check_mode"]:
        write_snapshot(Path(file).expanduser(), snapshot, checked.facts, spec.secrets)
    patterns = [str(pattern) for pattern in values.get("names") or ()]
    objects: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
    for key, body in public_objects(snapshot).items():
        kind, name = key.split("/", 1)
        if values.get("owned_only") and not body["owned"]:
            continue
        if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns):
            objects[kind].append({"name": name, **body})
    counts = {kind: len(items) for kind, items in objects.items()}
    return {
        "changed": bool(file),
        **said,
        "objects": objects,
        "counts": counts,
        "sha256": snapshot.sha256,
        "requests": requests,
    }


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
            return {"changed": False, "gathered": object_views(public_objects(target.snapshot(desired)))}
        return _merge(target, desired, values)
    finally:
        target.close()


def device_objects(platform: str, values: Mapping[str, Any]) -> tuple[DesiredObject, ...]:
    """Return the objects for one list and its interfaces; FindingError for names and lines that cannot be written."""
    name, content = str(values["name"]), str(values.get("content") or "")
    if platform == "nftables":
        return (DesiredObject("ruleset", name, {"table": name, "content": content}),) if content else ()
    if platform == "nxos":
        return nxos_diff.given_objects(values)
    if platform == "asa":
        return _asa_objects(name, content, values)
    return ios_diff.given_objects(values)


def _asa_objects(name: str, content: str, values: Mapping[str, Any]) -> tuple[DesiredObject, ...]:
    """Return the objects for one list of an ASA: entries with or without ``access-list NAME extended``, nameifs or ``global``."""
    made: list[DesiredObject] = []
    if content:
        lines = [" ".join(line.split()) for line in content.splitlines() if line.strip()]
        bare = [line for line in lines if not line.startswith("access-list ")]
        headed = [
            f"access-list {checked_name(name)} {'' if line.startswith('remark ') else 'extended '}{line}"
            for line in bare
        ]
        text = "\n".join(headed if bare else lines) + "\n"
        reason = understood("asa", text)
        if reason or (bare and bare != lines):
            raise FindingError(codes.BAD_ARGUMENT.at(f"list {name}: {reason or 'lines with and without header'}"))
        asa_config.typed_lines(text)
        made.append(DesiredObject("asa_access_list", name, {"content": text}))
    for given in values.get("interfaces") or ():
        wanted = ("", "global") if str(given) == "global" else (str(given), str(values.get("direction") or "in"))
        place = asa_config.checked_place(*wanted)
        made.append(
            DesiredObject("asa_attachment", asa_config.place_name(place), attachment_body(place, checked_name(name)))
        )
    return tuple(made)


def _spec(values: Mapping[str, Any], variables: Mapping[str, Any]) -> TargetSpec:
    name = str(values.get("target") or variables.get("inventory_hostname") or "")
    hostvars = variables.get("hostvars") or {}
    if name not in hostvars:
        raise FindingError(codes.NO_TARGET.at(f"the inventory has no host {name!r}"))
    return TargetSpec.of({**target_specs(hostvars, [name])[0], "adopt": bool(values.get("adopt"))})


def ise_target(
    values: Mapping[str, Any],
    variables: Mapping[str, Any],
    adopt: bool | Sequence[str] = False,
    delete: Sequence[str] = (),
) -> IseTarget:
    """Return the ISE of a task, connected when it is first used; FindingError where it is none. ``adopt``, ``delete``: see IseTarget."""
    spec = _spec(values, variables)
    names = tuple(adopt) if not isinstance(adopt, bool) else ()
    spec = replace(
        spec,
        adopt=adopt is True,
        adopt_names=(*spec.adopt_names, *names),
        cascade=(*spec.cascade, *(values.get("cascade") or ())),
        delete=(*spec.delete, *delete),
    )
    target = make_target(spec)
    if not isinstance(target, IseTarget):
        raise FindingError(codes.BAD_ARGUMENT.at(f"{spec.name} is not an ISE but {spec.platform}"))
    return target


def _merge(target: Target, desired: Sequence[DesiredObject], values: Mapping[str, Any]) -> dict[str, Any]:
    """Carry out the steps for the wanted objects one after the other; stop at the first that fails and say what was done."""
    live = target.snapshot(desired)
    steps = [step for step in target.diff(desired, live) if not step.details.get(PRUNE) and step.action != PUSH]
    answer: dict[str, Any] = {
        "changed": bool(steps),
        "before": object_views(
            {key: body for key, body in public_objects(live).items() if key in {f"{s.kind}/{s.name}" for s in steps}}
        ),
        "operations": [step_view(step) for step in steps],
    }
    if values["diff_mode"]:
        answer["diff"] = {"prepared": "\n".join(step.diff for step in steps if step.diff)}
    said: tuple[Finding, ...] = ()
    if isinstance(target, LinesKnown):
        commands, said = target.prepare_change(steps) if steps else ((), ())
        answer["commands"] = list(commands)
    if values["check_mode"] or not steps:
        return answer
    if isinstance(target, DeviceTarget):
        done, findings = _as_one(target, steps)
    else:
        done, findings = carry_out(target, steps, [])
    findings = [*said, *(each for each in findings if each not in said)]
    if not errors_of(findings):
        findings += target.confirm(desired)
    answer |= {
        "changed": bool(done),
        "completed": [step_view(step) for step in done],
        "findings": [finding.as_dict() for finding in findings],
    }
    if errors_of(findings):
        return failure(findings, **answer)
    return {
        **answer,
        "after": object_views(
            {
                k: v
                for k, v in public_objects(target.snapshot(desired)).items()
                if k in {f"{s.kind}/{s.name}" for s in steps}
            }
        ),
    }


def _as_one(target: DeviceTarget, steps: Sequence[Operation]) -> tuple[list[Operation], list[Finding]]:
    """Carry out all steps of a device as one change in one session; return what was changed and the findings."""
    try:
        results = target.carry_out(steps)
    except Exception as error:
        found = list(error.findings) if isinstance(error, FindingError) else [unexpected(steps[0], error)]
        return [], found
    findings = [finding for result in results for finding in result.findings]
    return [step for step, result in zip(steps, results, strict=True) if result.changed], findings


def carry_out(
    target: Target,
    steps: Sequence[Operation],
    reports: list[Mapping[str, Any]],
    lost: Callable[[], list[Finding]] = list,
) -> tuple[list[Operation], list[Finding]]:
    """Carry out steps until one fails; return what was changed and the findings, and add the report of each to ``reports``.

    ``lost`` is asked before each step and ends the run with the findings it returns.
    """
    done: list[Operation] = []
    findings: list[Finding] = []
    for step in steps:
        if gone := lost():
            return done, [*findings, *gone]
        try:
            result = target.execute(step)
        except Exception as error:
            # What was done until here is told whatever came: an object that is gone meanwhile is no FindingError.
            reports.append(error.report if isinstance(error, ReportedError) else {})
            return done, [
                *findings,
                *(error.findings if isinstance(error, FindingError) else [unexpected(step, error)]),
            ]
        reports.append(result.report)
        findings += result.findings
        if result.changed:
            done.append(step)
    return done, findings


def object_views(objects: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return objects by ``kind/name`` as a list of plain values."""
    return [
        {"kind": key.split("/", 1)[0], "name": key.split("/", 1)[1], **body} for key, body in sorted(objects.items())
    ]
