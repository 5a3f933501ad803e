# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roll back: bring back what a plan changed, from the journal. Never blocked by windows, approval or stale plans."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import write_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import (
    Finding,
    FindingError,
    errors_of,
    sorted_findings,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal, known_entries
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.lock import StateLock
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.preflight import find_nodes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import last_plan, rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.results import result
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import paths_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.enforced import (
    After,
    after_sentence,
    sessions_back,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.fleet import connected
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.pulled import shouted


def run_rollback(values: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was undone; the journal says what each target held before."""
    paths = paths_of(values)
    check_mode = bool(values["check_mode"])
    journal = Journal(paths.journal)
    after = After()
    faults: list[Finding] = []
    with (
        StateLock(paths.state / "lock", "rollback", take_over=True) as lock,
        connected(values, variables, None, faults) as targets,
    ):
        find_nodes(targets)
        plan_id = str(values.get("plan_id") or "")
        ring = str(values.get("ring") or "")
        only = _of_ring(journal, plan_id, ring) if ring else None
        outcome = rollback_plan(plan_id, targets, journal, check_mode=check_mode, only=only, purpose="rollback")
        if not check_mode:
            undone = [step.operation for step in outcome.completed if step.changed]
            after = sessions_back(values, variables, paths, targets, undone, journal, outcome.plan_id)
    content = outcome.as_dict()
    content["undone"] = content.pop("completed")
    made = result(
        "rollback",
        [
            *shouted(paths, None),
            *outcome.findings,
            *lock.findings,
            *after.findings,
            *(replace(each, severity="warning") for each in faults),
        ],
        "",
        check_mode=check_mode,
        **content,
        **after.as_dict(),
    )
    verb = "would be" if check_mode else "were"
    made["summary"] = f"plan {outcome.plan_id[:12]}: {len(made['undone'])} operations {verb} undone"
    if made["remaining"]:
        made["summary"] += f", {len(made['remaining'])} could not be"
    if made.get("enforced"):
        made["summary"] += after_sentence(made)
    if not check_mode:
        write_json(paths.output / "rollback.json", made)
    answer: dict[str, Any] = {
        "changed": outcome.changed or after.changed,
        "plan_id": outcome.plan_id,
        "undone": made["undone"],
        "summary": made["summary"],
        **after.as_dict(),
    }
    if errors := errors_of([*outcome.findings, *after.findings]):
        first = sorted_findings(errors)[0]
        answer |= {"failed": True, "msg": f"{first} [{first.hint}]", "errors": made["errors"]}
    return answer


def _of_ring(journal: Journal, plan_id: str, ring: str) -> Callable[[Operation], bool]:
    """Return whether a step was carried out with a ring of the plan (empty id: the last one), as the journal says."""
    entries = known_entries(journal.path)
    chosen = plan_id or last_plan(entries)
    begun = [
        entry
        for entry in entries
        if entry["event"] == "plan_started"
        and chosen
        and str(entry["plan_id"]).startswith(chosen)
        and entry.get("ring")
    ]
    if not any(entry["ring"] == ring for entry in begun):
        known = ", ".join(dict.fromkeys(str(entry["ring"]) for entry in begun)) or "none"
        raise FindingError(codes.NO_RING.at(f"{ring!r} was not carried out; carried out were: {known}"))
    steps = {str(number) for entry in begun if entry["ring"] == ring for number in entry["steps"]}
    return lambda operation: operation.id in steps
