# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read back and compare: does every target hold what the policy says, by meaning?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation, Snapshot, Target
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import PUSH
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import PRUNE, snapshot_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredTarget


@dataclass(frozen=True)
class Verification:
    """Per target: name, platform, number of objects, equal. Per drift: target, kind, name, difference, witness."""

    targets: tuple[dict[str, Any], ...]
    drift: tuple[dict[str, Any], ...]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Return whether every target holds what the policy says."""
        return not errors_of(self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for a result."""
        return {"targets": list(self.targets), "drift": list(self.drift)}


def verify_targets(targets: Mapping[str, Target], desired: Sequence[DesiredTarget], workers: int = 8) -> Verification:
    """Return what each target holds against the policy; a target that cannot be read is an error, the others are still told."""
    snapshots: dict[str, Snapshot] = {}
    findings: list[Finding] = []
    unread: set[str] = set()
    try:
        snapshots = snapshot_all(targets, desired, workers)
    except FindingError:
        for name, target in targets.items():
            try:
                snapshots.update(snapshot_all({name: target}, desired, 1))
            except FindingError as error:
                findings.extend(error.findings)
                unread.add(name)
    rows: list[dict[str, Any]] = []
    drift: list[dict[str, Any]] = []
    wanted = {item.host: item.objects for item in desired}
    for name in sorted(targets):
        row = {"name": name, "platform": targets[name].platform, "objects": len(wanted.get(name, ())), "equal": False}
        rows.append(row)
        if name in unread:
            continue
        try:
            steps = [step for step in targets[name].diff(wanted.get(name, ()), snapshots[name]) if step.action != PUSH]
        except FindingError as error:
            findings.extend(error.findings)
            continue
        real = [step for step in steps if not step.details.get(PRUNE)]
        row["equal"] = not real
        drift.extend(_drift(name, step) for step in real)
        findings.extend(codes.DRIFT.at(f"{name}: {step.kind} {step.name}: {_difference(step)}") for step in real)
        findings.extend(
            codes.LEFTOVER.at(f"{name}: {step.kind} {step.name}") for step in steps if step.details.get(PRUNE)
        )
    return Verification(tuple(rows), tuple(drift), tuple(findings))


def _drift(name: str, step: Operation) -> dict[str, Any]:
    return {
        "target": name,
        "kind": step.kind,
        "name": step.name,
        "action": step.action,
        "difference": _difference(step),
        "witness": str(step.details.get("witness", "")),
    }


def _difference(step: Operation) -> str:
    return str(step.details.get("difference") or step.summary or step.action)
