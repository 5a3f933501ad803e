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

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for a result."""
        return {**step_view(self.operation), "changed": self.changed, "writes": self.writes}


@dataclass(frozen=True)
class Outcome:
    """What a run did. ``completed`` in order of execution; ``remaining`` was not begun or failed; ``live`` holds hash by target."""

    plan_id: str
    completed: tuple[Step, ...]
    remaining: tuple[Operation, ...]
    findings: tuple[Finding, ...]
    journal: tuple[int, str] = (0, "")
    live: Mapping[str, str] = field(default_factory=dict, hash=False)

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
            "journal": {"number": self.journal[0], "sha256": self.journal[1]},
        }

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
