# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: the exact change from live state to the compiled policy, bound to both (docs/formats/plan.md)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_now
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import read_document, sha256_of, write_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import (
    PLAN_SCHEMA,
    Operation,
    Snapshot,
    Target,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import PUSH, push_operation
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredTarget

KIND = "plan"
PRUNE = "prune"
# A step that a target names for what it would do and does not carry out; the value says why.
BLOCKED = "blocked"
# How many targets the parts of a plan name: artifacts of a job are meant to stay small.
PARTS = 200
_PART_TEXTS = {
    "commit": "the policy commit",
    "policy": "the compiled policy",
    "members": "the membership of the segments",
    "prune": "whether unneeded objects are deleted",
    "effect": "what recorded traffic says of the change",
    "tools": "the versions of the collection or ansible-core",
}
PLAN_ID = re.compile(r"\A[0-9a-f]{64}\Z")


@dataclass(frozen=True)
class TargetPlan:
    """One target's part: the live state it was computed from (hash and objects without internal ids) and its steps.

    ``address``: host and port by the inventory, empty where it is not bound to one.
    """

    name: str
    platform: str
    live_sha256: str
    live: Mapping[str, Any] = field(hash=False)
    operations: tuple[Operation, ...] = ()
    address: str = ""


@dataclass(frozen=True)
class Plan:
    """A whole plan. ``plan_id`` is the SHA-256 of everything else but ``created``, so equal changes have equal ids.

    ``tools``: the version of each tool that made it, by name.
    """

    plan_id: str
    policy_commit: str
    policy_sha256: str
    members_sha256: str
    created: str
    prune: bool
    targets: tuple[TargetPlan, ...]
    effect: Mapping[str, Any] = field(default_factory=dict, hash=False)
    tools: Mapping[str, str] = field(default_factory=dict, hash=False)

    def operations(self) -> list[Operation]:
        """Return the steps of all targets in the order of execution."""
        return [operation for _target, operation in self.steps()]

    def steps(self) -> list[tuple[str, Operation]]:
        """Return (target, step) in the order of execution: by phase, then target, then the target's own order."""
        placed = [
            (operation.phase, position, number, target.name, operation)
            for position, target in enumerate(self.targets)
            for number, operation in enumerate(target.operations)
        ]
        return [(item[3], item[4]) for item in sorted(placed, key=lambda item: item[:3])]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values in the shape of docs/formats/plan.md, without the head that only the file has."""
        return {
            "plan_id": self.plan_id,
            "policy_commit": self.policy_commit,
            "policy_sha256": self.policy_sha256,
            "members_sha256": self.members_sha256,
            "created": self.created,
            "prune": self.prune,
            "effect": dict(self.effect),
            **({"tools": dict(self.tools)} if self.tools else {}),
            "targets": [
                {
                    "name": target.name,
                    "platform": target.platform,
                    **({"address": target.address} if target.address else {}),
                    "live_sha256": target.live_sha256,
                    "live": {key: dict(value) for key, value in sorted(target.live.items())},
                    "operations": [asdict(operation) for operation in target.operations],
                }
                for target in self.targets
            ],
        }


def public_objects(snapshot: Snapshot) -> dict[str, Any]:
    """Return a snapshot's objects without ``internal`` (ids and generations of the target), as they are hashed."""
    return {
        key: {name: item for name, item in value.items() if name != "internal"}
        for key, value in sorted(snapshot.objects.items())
    }


def objects_sha256(objects: Mapping[str, Any]) -> str:
    """Return the hash over canonical objects; ``internal`` is left out."""
    return sha256_of(
        {key: {name: item for name, item in value.items() if name != "internal"} for key, value in objects.items()}
    )


def desired_sha256(desired: Sequence[DesiredTarget]) -> str:
    """Return the hash of everything that all targets must hold, the ``policy_sha256`` of a plan."""
    return sha256_of(
        {
            f"{target.platform}/{target.host}": {f"{item.kind}/{item.name}": dict(item.body) for item in target.objects}
            for target in desired
        }
    )


def operation_id(target: str, kind: str, name: str, action: str, after: Mapping[str, Any] | None) -> str:
    """Return the id of a step: equal for equal steps whatever the live state was, so that a plan can be resumed."""
    return sha256_of([target, kind, name, action, after])[:16]


def snapshot_all(
    targets: Mapping[str, Target], desired: Sequence[DesiredTarget], workers: int = 8
) -> dict[str, Snapshot]:
    """Return the live state of every target, read side by side; targets that the policy does not name are read too.

    Raises FindingError with one finding per target that cannot be read, after all others were tried.
    """
    wanted = {item.host: item.objects for item in desired}
    names = sorted(targets)
    snapshots: dict[str, Snapshot] = {}
    failures: list[Finding] = []
    with ThreadPoolExecutor(max_workers=max(1, min(workers, len(names) or 1))) as pool:
        # Each in a copy of this context, so that progress is shown from there too.
        futures = {
            name: pool.submit(copy_context().run, targets[name].snapshot, wanted.get(name, ())) for name in names
        }
        for name in names:
            try:
                snapshots[name] = futures[name].result()
            except FindingError as error:
                failures.extend(error.findings)
    if failures:
        raise FindingError(*failures)
    return snapshots


def target_operations(
    target: Target, desired: Sequence[DesiredTarget], snapshot: Snapshot, prune: bool
) -> tuple[Operation, ...]:
    """Return a target's steps from its live state; steps that only clean up are left out unless ``prune``."""
    objects = next((item.objects for item in desired if item.host == target.name), ())
    return tuple(step for step in target.diff(objects, snapshot) if prune or not step.details.get(PRUNE))


def build_plan(
    targets: Mapping[str, Target],
    desired: Sequence[DesiredTarget],
    snapshots: Mapping[str, Snapshot],
    *,
    policy_commit: str,
    members_sha256: str = "",
    effect: Mapping[str, Any] | None = None,
    prune: bool = False,
    created: str = "",
    pending: Collection[str] = (),
    addresses: Mapping[str, str] | None = None,
    tools: Mapping[str, str] | None = None,
) -> Plan:
    """Return the plan that takes every connected target from its snapshot to what the policy says.

    ``effect`` is what the change does to conversations (proof.impact), as plain values; ``created`` RFC 3339, now where
    empty; ``pending`` names targets whose last change still waits for a push (change/pending.py); ``addresses`` by target and
    ``tools`` are bound into the plan. Raises FindingError where a target holds something in the way (objects that are not ours, lines not
    understood).
    """
    parts: list[TargetPlan] = []
    failures: list[Finding] = []
    for name in sorted(targets):
        snapshot = snapshots[name]
        try:
            steps = target_operations(targets[name], desired, snapshot, prune)
        except FindingError as error:
            failures.extend(error.findings)
            continue
        failures += [codes.BLOCKED.at(f"{name}: {step.summary}") for step in steps if step.details.get(BLOCKED)]
        if name in pending and not any(step.action == PUSH for step in steps):
            steps = (*steps, push_operation(name))
        address = (addresses or {}).get(name, "")
        live = public_objects(snapshot)
        parts.append(TargetPlan(name, targets[name].platform, snapshot.sha256, live, steps, address))
    if failures:
        raise FindingError(*failures)
    draft = Plan(
        "",
        policy_commit,
        desired_sha256(desired),
        members_sha256,
        created or iso_now(),
        prune,
        tuple(parts),
        dict(effect or {}),
        dict(tools or {}),
    )
    return _with_id(draft)


def with_effect(plan: Plan, effect: Mapping[str, Any]) -> Plan:
    """Return the plan with another effect, and the id that goes with it."""
    return _with_id(replace(plan, effect=dict(effect)))


def left_out(targets: Mapping[str, Target], desired: Sequence[DesiredTarget]) -> list[Finding]:
    """Return a warning for each target of the policy that this run does not connect to."""
    return [
        codes.NOT_PLANNED.at(f"{item.host} ({item.platform}) is not among the targets of this run")
        for item in desired
        if item.host not in targets
    ]


def _with_id(plan: Plan) -> Plan:
    return replace(plan, plan_id=plan_content_sha256(plan.as_dict()))


def plan_content_sha256(content: Mapping[str, Any]) -> str:
    """Return the id that a plan with this content has."""
    names = ("policy_commit", "policy_sha256", "members_sha256", "prune", "effect", "targets")
    tools = {"tools": content["tools"]} if content.get("tools") else {}  # plans of before schema 1.1 have none
    return sha256_of({**{name: content[name] for name in names}, **tools})


def only_steps(plan: Plan, steps: Collection[tuple[str, str]]) -> Plan:
    """Return the plan with only these steps, (target, id), under the same id: to ask what a part of it touches, never to apply it."""
    wanted = frozenset(steps)
    parts = tuple(
        replace(part, operations=tuple(step for step in part.operations if (part.name, step.id) in wanted))
        for part in plan.targets
    )
    return replace(plan, targets=parts)


def plan_parts(plan: Plan) -> dict[str, Any]:
    """Return short hashes of what a plan id is made of: ``commit``, ``policy``, ``members``, ``prune``, ``effect``, ``tools``, ``targets``.

    Small enough to travel beside the id (about 30 bytes for each of at most PARTS targets with steps), so that whoever
    computes the plan anew can name what moved.
    """
    changed = [part for part in plan.targets if part.operations]
    content = plan.as_dict()
    bodies = {part["name"]: sha256_of(part)[:16] for part in content["targets"]}
    return {
        "commit": plan.policy_commit[:16],
        "policy": plan.policy_sha256[:16],
        "members": plan.members_sha256[:16],
        "prune": plan.prune,
        "effect": sha256_of(dict(plan.effect))[:16],
        "tools": sha256_of(dict(plan.tools))[:16],
        "targets": {part.name: bodies[part.name] for part in changed[:PARTS]},
        "all_targets": sha256_of(bodies)[:16],
    }


def moved_parts(approved: Mapping[str, Any], plan: Plan) -> list[str]:
    """Return in words what differs between the parts of an approved plan (``plan_parts``) and a plan made now."""
    now = plan_parts(plan)
    said = [text for name, text in _PART_TEXTS.items() if name in approved and approved[name] != now[name]]
    before, after = approved.get("targets"), now["targets"]
    if isinstance(before, Mapping):
        names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
        said += [f"target {name}" for name in names[:10]] + ([f"{len(names) - 10} more targets"] if names[10:] else [])
        if not names and approved.get("all_targets") not in (None, now["all_targets"]):
            said.append("live state of a target that needs no step")
    return said


def write_plan(path: str | Path, plan: Plan) -> None:
    """Write plan.json, readable by its owner only: it names addresses and lists."""
    write_json(path, {"kind": KIND, "schema_version": PLAN_SCHEMA, **plan.as_dict()}, mode=0o600)


def read_plan(path: str | Path) -> Plan:
    """Return the plan of a file; FindingError where it is absent, newer than this version, damaged or edited."""
    major = int(PLAN_SCHEMA.split(".", maxsplit=1)[0])
    content = read_document(path, KIND, major)
    location = Location(str(path))
    try:
        plan = _from_dict(content)
        expected = plan_content_sha256(content)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        text = ascii(str(error)[:100])
        raise FindingError(codes.PLAN_ALTERED.at(f"the plan lacks or garbles {text}", location)) from error
    if not PLAN_ID.match(plan.plan_id) or plan.plan_id != expected:
        raise FindingError(
            codes.PLAN_ALTERED.at(
                f"content has the hash {expected[:12]}, the file says {plan.plan_id[:12]!r}", location
            )
        )
    return plan


def operation_from(content: Mapping[str, Any]) -> Operation:
    """Return an operation from plain values; KeyError or TypeError where they are not one."""
    return Operation(
        id=str(content["id"]),
        target=str(content["target"]),
        kind=str(content["kind"]),
        name=str(content["name"]),
        action=str(content["action"]),
        before=content["before"],
        after=content["after"],
        summary=str(content.get("summary", "")),
        diff=str(content.get("diff", "")),
        effect=str(content.get("effect", "both")),
        phase=int(content.get("phase", 0)),
        details=dict(content.get("details", {})),
    )


def _from_dict(content: Mapping[str, Any]) -> Plan:
    return Plan(
        plan_id=str(content["plan_id"]),
        policy_commit=str(content["policy_commit"]),
        policy_sha256=str(content["policy_sha256"]),
        members_sha256=str(content["members_sha256"]),
        created=str(content["created"]),
        prune=bool(content["prune"]),
        targets=tuple(
            TargetPlan(
                str(item["name"]),
                str(item["platform"]),
                str(item["live_sha256"]),
                {str(key): dict(value) for key, value in item["live"].items()},
                tuple(operation_from(step) for step in item["operations"]),
                str(item.get("address", "")),
            )
            for item in content["targets"]
        ),
        effect=dict(content["effect"]),
        tools={str(name): str(version) for name, version in (content.get("tools") or {}).items()},
    )
