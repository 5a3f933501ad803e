# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What GitHub and AWX answer about reviews, as the reviews of a record (approval_files.py) that its exporter signs. Pure.

GitHub: ``GET /repos/OWNER/REPO/pulls/NUMBER/reviews``, in chronological order, each with the commit that was looked at.
AWX: ``{"workflow_approval": GET /api/v2/workflow_approvals/ID/, "job": GET /api/v2/jobs/ID/}``, the job
being that of the plan in the same workflow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes

_PLAN = "microseg_plan_id"
# What GitHub calls a review that says neither yes nor no; it takes nothing back.
_ONLY_WORDS = frozenset(("COMMENTED", "PENDING"))


@dataclass(frozen=True)
class Review:
    """One review: of the commit of a pull request, or of a plan."""

    account: str
    state: str
    commit: str = ""
    plan_id: str = ""


def reviews_in(export: Any) -> list[Review]:
    """Return the reviews of an export, in order; FindingError SW4185 where it is none that is known."""
    try:
        if isinstance(export, list):
            return [_of_github(item) for item in export if item["state"] not in _ONLY_WORDS]
        if isinstance(export, Mapping) and "workflow_approval" in export:
            return [_of_awx(export["workflow_approval"], export["job"])]
    except (KeyError, TypeError, AttributeError) as error:
        raise FindingError(codes.BAD_EXPORT.at(f"it lacks or garbles {error}")) from error
    raise FindingError(codes.BAD_EXPORT.at("neither reviews of a pull request on GitHub nor an approval of AWX"))


def _of_github(item: Mapping[str, Any]) -> Review:
    commit = str(item["commit_id"] or "")
    account = str(item["user"]["login"])
    if not commit:
        raise FindingError(codes.BAD_EXPORT.at(f"the commit that {account[:80]} looked at is gone"))
    return Review(account, str(item["state"]).lower(), commit=commit)


def _of_awx(approval: Mapping[str, Any], job: Mapping[str, Any]) -> Review:
    workflows = [item["summary_fields"]["source_workflow_job"]["id"] for item in (approval, job)]
    if workflows[0] != workflows[1]:
        raise FindingError(codes.BAD_EXPORT.at("the job of the plan is of another workflow than the approval"))
    who = approval["summary_fields"].get("approved_or_denied_by")
    if not who:
        raise FindingError(codes.BAD_EXPORT.at("nobody has answered the approval yet"))
    state = "approved" if approval["status"] == "successful" else "denied"
    return Review(str(who["username"]), state, plan_id=str(job["artifacts"][_PLAN]))
