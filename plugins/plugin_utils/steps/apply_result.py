# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What apply answers and writes to apply.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import (
    Finding,
    errors_of,
    sorted_findings,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.outcome import Outcome
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import Plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rings import Part
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.results import result
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.permission import Permission
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.plan import plan_diff
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.reauthentication import After, after_sentence
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.reports import write_report
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.rollout import Decision


def answer_without(values: Mapping[str, Any], paths: Paths, plan: Plan, state: Decision, commit: str) -> dict[str, Any]:
    """Say why no ring is carried out now: it is watched, nothing shows how it does, or all are done."""
    empty = Outcome(plan.plan_id, (), (), ())
    made = result(
        "apply", state.findings, commit, check_mode=bool(values["check_mode"]), approvals=[], **rollout_view(state),
        **empty.as_dict(),
    )  # fmt: skip
    said = "; ".join(finding.message for finding in state.findings) or "every ring is done"
    made["summary"] = f"plan {plan.plan_id[:12]}: nothing to do now; {said}"
    if not values["check_mode"]:
        write_report(paths.output / "apply.json", made)
    answer = {
        "changed": state.undo is not None,
        "plan_id": plan.plan_id,
        "completed": [],
        "remaining": [],
        "writes": 0,
        "summary": made["summary"],
    }
    if not made["ok"]:
        first = state.findings[0]
        answer |= {"failed": True, "msg": f"{first} [{first.hint}]", "errors": made["errors"]}
    return answer


def answer_waiting(values: Mapping[str, Any], paths: Paths, why: Sequence[Finding]) -> dict[str, Any]:
    """Say what a schedule's run waits for. Nothing was written, and nothing is wrong."""
    empty = Outcome(str(values.get("plan_id") or ""), (), (), ())
    told = [finding.with_severity("info") for finding in why]
    made = result("apply", told, "", check_mode=bool(values["check_mode"]), approvals=[], **empty.as_dict())
    made["summary"] = f"nothing to do now; {'; '.join(str(finding) for finding in told)}"
    if not values["check_mode"]:
        write_report(paths.output / "apply.json", made)
    return {
        "changed": False,
        "plan_id": empty.plan_id,
        "completed": [],
        "remaining": [],
        "writes": 0,
        "summary": made["summary"],
    }


def rollout_view(state: Decision) -> dict[str, Any]:
    return {"health": state.health.as_dict()} if state.health is not None else {}


def answer_of(
    values: Mapping[str, Any],
    paths: Paths,
    plan: Plan,
    outcome: Outcome,
    more: list[Finding],
    commit: str,
    allowed: Permission,
    ring: Part | None,
    after: After,
) -> dict[str, Any]:
    made = result(
        "apply",
        [*outcome.findings, *more],
        commit,
        check_mode=bool(values["check_mode"]),
        approvals=[approval.as_dict() for approval in allowed.approvals],
        **({"ring": ring.id} if ring else {}),
        **outcome.as_dict(),
        **after.as_dict(),
    )
    made["summary"] = _summary(made)
    if not values["check_mode"]:
        write_report(paths.output / "apply.json", made)
    answer: dict[str, Any] = {
        "changed": bool(outcome.remaining) if values["check_mode"] else outcome.changed or after.changed,
        "plan_id": plan.plan_id,
        "completed": made["completed"],
        "remaining": made["remaining"],
        "writes": outcome.writes,
        "pushed": made["pushed"],
        **after.as_dict(),
        "summary": made["summary"],
    }
    if values["diff_mode"]:
        answer["diff"] = plan_diff(plan)
    if errors := errors_of([*outcome.findings, *after.findings]):
        first = sorted_findings(errors)[0]
        back = (
            f"; {len(outcome.completed)} operations were carried out, the rollback playbook undoes them"
            if outcome.completed
            else ""
        )
        answer |= {"failed": True, "msg": f"{first} [{first.hint}]{back}", "errors": made["errors"]}
    return answer


def _summary(made: Mapping[str, Any]) -> str:
    if made["check_mode"]:
        return f"plan {made['plan_id'][:12]}: {len(made['remaining'])} operations would be carried out, nothing was written"
    text = f"plan {made['plan_id'][:12]}: {len(made['completed'])} operations were carried out with {made['writes']} writes"
    if made["pushed"]:
        confirmed = sum(1 for device in made["pushed"] if device["outcome"] == "confirmed")
        text += f"; {confirmed} of {len(made['pushed'])} devices confirmed the push"
    if made.get("enforced"):
        text += after_sentence(made)
    if made["remaining"]:
        text += f"; {len(made['remaining'])} not carried out"
    return text if made["ok"] else text + f"; stopped: {made['errors'][0]['code']} {made['errors'][0]['message']}"
