# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What apply and rollback report: steps carried out, steps left, writes, findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import (
    Finding,
    errors_of,
    sorted_findings,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation

# (number of the step, number of all steps, target, step, state: started, done, skipped, failed or undone)
Progress = Callable[[int, int, str, Operation, str], None]


@dataclass(frozen=True)
class Step:
    """One step that was carried out: whether it wrote, and how many requests or lines."""

    operation: Operation
    changed: bool
    writes: int
    findings: tuple[Finding, ...] = ()
    report: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for a result."""
        more = {"report": dict(self.report)} if self.report else {}
        return {**step_view(self.operation), "changed": self.changed, "writes": self.writes, **more}


@dataclass(frozen=True)
class Outcome:
    """What a run did. ``completed`` in order of execution; ``remaining`` was not begun or failed; ``live`` holds hash by target."""

    plan_id: str
    completed: tuple[Step, ...]
    remaining: tuple[Operation, ...]
    findings: tuple[Finding, ...]
    journal: tuple[int, str] = (0, "")
    live: Mapping[str, str] = field(default_factory=dict, hash=False)
    failed_reports: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)

    @property
    def ok(self) -> bool:
        """Return whether nothing failed."""
        return not errors_of(self.findings)

    @property
    def writes(self) -> int:
        """Return the number of write requests and configuration lines sent."""
        return sum(step.writes for step in self.completed)

    @property
    def changed(self) -> bool:
        """Return whether any target was changed."""
        return any(step.changed for step in self.completed)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for a result."""
        return {
            "plan_id": self.plan_id,
            "changed": self.changed,
            "completed": [step.as_dict() for step in self.completed],
            "remaining": [step_view(operation) for operation in self.remaining],
            "writes": self.writes,
            "pushed": self.pushed(),
            "journal": {"number": self.journal[0], "sha256": self.journal[1]},
        }

    def pushed(self) -> list[dict[str, Any]]:
        """Return the devices of the last push on each target and how far it got there, with what to do next."""
        last = {step.operation.target: step.report for step in self.completed if "devices" in step.report}
        last |= {name: report for name, report in self.failed_reports.items() if "devices" in report}
        return [{"target": name, **item} for name, report in sorted(last.items()) for item in report["devices"]]

    def sorted_findings(self) -> list[Finding]:
        """Return findings, errors first."""
        return sorted_findings(self.findings)


def step_view(operation: Operation) -> dict[str, Any]:
    """Return what people see of a step."""
    return {
        "id": operation.id,
        "target": operation.target,
        "kind": operation.kind,
        "name": operation.name,
        "action": operation.action,
        "effect": operation.effect,
        "summary": operation.summary,
    }
