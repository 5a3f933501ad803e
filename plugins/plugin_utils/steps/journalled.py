# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps without a plan, written into the journal all the same: what was begun is known, a push that is owed, and the way back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_now
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import sha256_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import unexpected
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import (
    Operation,
    OperationResult,
    Snapshot,
    Target,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import deployments_in
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import operation_from
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject


class JournalledTarget:
    """A target whose steps stand in the journal before and after they are carried out, under an id that ``rollback`` takes.

    The events are those of a plan, but for its beginning and end: such a run brings no commit into the network and says nothing about
    postures.
    """

    def __init__(self, target: Target, journal: Journal, steps: Sequence[Operation]) -> None:
        self.target, self.journal = target, journal
        self.name, self.platform = target.name, target.platform
        self.plan_id = sha256_of({"steps": [step.id for step in steps], "at": iso_now(), "target": target.name})

    def execute(self, operation: Operation) -> OperationResult:
        """Carry out one step between two entries of the journal."""
        about = {"plan_id": self.plan_id, "target": self.name}
        self.journal.append("operation_started", **about, operation=asdict(operation))
        try:
            result = self.target.execute(operation)
        except Exception as error:
            found = error.findings if isinstance(error, FindingError) else (unexpected(operation, error),)
            self.journal.append(
                "operation_failed", **about, operation_id=operation.id, findings=[each.as_dict() for each in found]
            )
            raise
        self.journal.append(
            "operation_done",
            **about,
            operation_id=operation.id,
            changed=result.changed,
            writes=result.writes,
            undo=dict(result.undo),
            **({"report": dict(result.report)} if result.report else {}),
        )
        return result

    def snapshot(self, desired: Sequence[DesiredObject]) -> Snapshot:
        """See the target."""
        return self.target.snapshot(desired)

    def diff(self, desired: Sequence[DesiredObject], live: Snapshot) -> tuple[Operation, ...]:
        """See the target."""
        return self.target.diff(desired, live)

    def undo(self, operation: Operation, result: Mapping[str, Any]) -> OperationResult:
        """See the target."""
        return self.target.undo(operation, result)

    def confirm(self, desired: Sequence[DesiredObject]) -> tuple[Finding, ...]:
        """See the target."""
        return self.target.confirm(desired)

    def close(self) -> None:
        """See the target."""
        self.target.close()


def undeployed(
    entries: Iterable[Mapping[str, Any]], target: str, desired: Sequence[DesiredObject], steps: Sequence[Operation]
) -> list[Operation]:
    """Return the steps for wanted objects that an earlier run began and did not end: saved perhaps, and not deployed to devices."""
    known = list(entries)
    begun = deployments_in(known)
    wanted = {(item.kind, item.name) for item in desired} - {(step.kind, step.name) for step in steps}
    found: dict[tuple[str, str], Operation] = {}
    for entry in known:
        if entry["event"] == "operation_started" and entry.get("target") == target:
            step = operation_from(entry["operation"])
            if (target, step.id) in begun and (step.kind, step.name) in wanted and step.after is not None:
                found[step.kind, step.name] = step
    return [found[key] for key in sorted(found)]
