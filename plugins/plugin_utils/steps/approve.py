# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Approve: write down one person's approval of one plan, to be signed. Reviews of forges and AWX: review_record.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.approval_files import (
    approval_path,
    approval_text,
    is_written,
    write_approval,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import read_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.signatures import (
    APPROVAL_NAMESPACE,
    PRINCIPAL,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.state_ref import keep_state
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import paths_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.review_record import run_review_record


def run_approve(values: dict[str, Any]) -> dict[str, Any]:
    """Return where the approval lies and the command that signs it. Writes nothing in check mode."""
    if values.get("review") or values.get("forge"):
        return run_review_record(values)
    paths = paths_of(values)
    plan = read_plan(Path(values["plan"]).expanduser() if values.get("plan") else paths.plan)
    approver, comment = str(values["approver"]), str(values.get("comment") or "")
    if not PRINCIPAL.match(approver):
        raise FindingError(codes.BAD_ARGUMENT.at("approver: a name as it stands in the allowed-signers file is needed"))
    folder = Path(str(values.get("approvals_dir") or paths.state / "approvals")).expanduser()
    path = approval_path(folder, plan.plan_id, approver)
    about = (plan.plan_id, plan.policy_commit, approver, comment)
    changed = not is_written(path, *about)
    answer: dict[str, Any] = {"changed": changed, "plan_id": plan.plan_id, "policy_commit": plan.policy_commit}
    if changed and not values["check_mode"]:
        write_approval(folder, *about)
    if not values["check_mode"] and folder == paths.state / "approvals":
        keep_state(
            paths.state, f"approval of plan {plan.plan_id[:12]}"
        )  # run again after signing, so that the signature is there too
    answer["path"] = str(path)
    answer["command"] = f"ssh-keygen -Y sign -n {APPROVAL_NAMESPACE} -f <private key of {approver}> {path}"
    answer["summary"] = (
        f"{approver} approves plan {plan.plan_id[:12]} once this is signed: {len(plan.operations())} operations of"
        f" commit {plan.policy_commit[:12]}"
    )
    if values["diff_mode"] and changed:
        after = approval_text(*about)
        answer["diff"] = {"before": "", "after": after, "after_header": str(path)}
    return answer
