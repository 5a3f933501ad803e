# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take back one ring whose devices do not do as before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.lock import StateLock
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.outcome import Outcome
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import Plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.preflight import find_nodes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.results import result
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.apply_result import rollout_view
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.fleet import connected
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.moved_sessions import sessions_back
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.reports import write_report
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.rollout import Decision


def undo_ring(
    values: Mapping[str, Any],
    variables: Mapping[str, Any],
    paths: Paths,
    state: Decision,
    plan: Plan | None = None,
) -> dict[str, Any]:
    """Take back a ring whose devices do not do as before. The way back asks for no window and no approval."""
    steps = set(state.undo.back) if state.undo else set()
    plan_id = state.undo_plan or (plan.plan_id if plan else "")
    journal = Journal(paths.journal, way_back=True)
    with StateLock(paths.state / "lock", f"undo of a ring of {plan_id[:12]}", take_over=True) as lock:
        # The ring's own steps on a host that cannot be connected are told by the rollback itself.
        with connected(values, variables, sorted({target for target, _step in steps}), []) as targets:
            find_nodes(targets)
            try:
                outcome = rollback_plan(
                    plan_id,
                    targets,
                    journal,
                    only=lambda operation: (operation.target, operation.id) in steps,
                    purpose=f"undo of a ring of {plan_id[:12]}",
                )
            except FindingError as error:
                if any(finding.code != codes.NOT_IN_JOURNAL.number for finding in error.findings):
                    raise
                # Taken back already, or of pushes only: that its devices do not do as before is said first.
                outcome = Outcome(plan_id, (), (), tuple(each.with_severity("warning") for each in error.findings))
            undone_now = [step.operation for step in outcome.completed if step.changed]
            after = sessions_back(values, variables, paths, targets, undone_now, journal, plan_id)
    content = outcome.as_dict()
    undone = content["completed"]
    findings = [*state.findings, *outcome.findings, *lock.findings, *journal.by_copy, *after.findings]
    made = result(
        "apply", findings, plan.policy_commit if plan else "", check_mode=False, undone=undone, **rollout_view(state), **content,
        **after.as_dict(),
    )  # fmt: skip
    made["completed"] = []
    made["summary"] = (
        f"{len(undone)} operations of ring {state.undo.id if state.undo else ''} were undone; the rollout stops"
    )
    write_report(paths.output / "apply.json", made)
    first = state.findings[0]
    return {
        "failed": True,
        "changed": outcome.changed,
        "msg": f"{first} [{first.hint}]",
        "errors": made["errors"],
        "undone": undone,
        "plan_id": plan_id,
        "summary": made["summary"],
    }
