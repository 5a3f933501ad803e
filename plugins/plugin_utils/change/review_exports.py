# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What GitHub, GitLab and AWX answer about reviews, as the reviews of a record (approval_files.py) that its exporter signs. Pure.

GitHub: ``GET /repos/OWNER/REPO/pulls/NUMBER/reviews``, in chronological order, each with the commit that was looked at.
GitLab: ``{"merge_request": GET /api/v4/projects/ID/merge_requests/IID, "approvals": GET .../approvals, "versions": GET .../versions,
"notes": GET .../notes}``, as GitLab orders them (newest first). An approval names no commit; it says when it was given (``approved_at``, of
the same clock as the versions of the diff), and so what was the newest then.
AWX: ``{"workflow_approval": GET /api/v2/workflow_approvals/ID/, "job": GET /api/v2/jobs/ID/}``, the job
being that of the plan in the same workflow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes

APPROVED = "approved"
_PLAN = "microseg_plan_id"
_GITLAB = ("merge_request", "approvals", "versions", "notes")
# What GitHub calls a review that says neither yes nor no; it takes nothing back. Of an account that was deleted it names no user.
_ONLY_WORDS = frozenset(("COMMENTED", "PENDING"))
# Notes that GitLab itself writes of whoever takes an approval back, and of approvals that a push took back
# (SystemNotes::MergeRequestsService in GitLab).
_TAKEN_BACK = frozenset(("unapproved this merge request", "requested changes"))
_RESET = "reset approvals from "
_MENTIONED = re.compile(r"@([A-Za-z0-9_.-]+)")
_COMMIT = re.compile(r"\A[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")


@dataclass(frozen=True)
class Review:
    """One review: of the commit of a pull or merge request, or of a plan. It approves where ``state`` is ``approved``."""

    account: str
    state: str
    commit: str = ""
    plan_id: str = ""


def reviews_in(export: Any) -> list[Review]:
    """Return the reviews of an export, in order; FindingError SW4185 where it is none that is known."""
    try:
        if isinstance(export, list):
            return [
                _of_github(item) for item in export if item["state"] not in _ONLY_WORDS and item["user"] is not None
            ]
        if isinstance(export, Mapping) and "workflow_approval" in export:
            return [_of_awx(export["workflow_approval"], export["job"])]
        if isinstance(export, Mapping) and "merge_request" in export:
            return _of_gitlab(*(export[name] for name in _GITLAB))
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise _bad(f"it lacks or garbles {str(error)[:200]}") from error
    raise _bad("neither reviews of a pull request on GitHub, nor a merge request of GitLab, nor an approval of AWX")


def _bad(text: str) -> FindingError:
    return FindingError(codes.BAD_EXPORT.at(text))


def _of_github(item: Mapping[str, Any]) -> Review:
    commit = str(item["commit_id"] or "")
    account = str(item["user"]["login"])
    if not commit:
        raise _bad(f"the commit that {account[:80]} looked at is gone")
    return Review(account, str(item["state"]).lower(), commit=commit)


def _of_gitlab(
    request: Mapping[str, Any],
    approvals: Mapping[str, Any],
    versions: Sequence[Mapping[str, Any]],
    notes: Sequence[Mapping[str, Any]],
) -> list[Review]:
    """Return the approvals that stand, each of the commit that was the newest of the request when it was given."""
    if request["state"] != "merged":
        raise _bad(f"the merge request is {str(request['state'])[:40]}; export it once it is merged")
    _check_parts(request, approvals, versions, notes)
    heads = [(_moment(item["created_at"]), _commit(item["head_commit_sha"])) for item in versions]
    if not heads or heads[0][1] != _commit(request["sha"]):
        raise _bad("the newest of versions is not of the commit that was merged")
    taken_back = _taken_back(notes)
    made = []
    for item in approvals["approved_by"]:
        account = _name(item["user"]["username"])
        if not item.get("approved_at"):
            raise _bad(f"it does not say when {account[:80]} approved, as older versions of GitLab do not")
        given = _moment(item["approved_at"])
        commit = next((commit for begin, commit in heads if begin < given), "")
        if not commit:
            raise _bad(f"versions do not reach back to the approval of {account[:80]}")
        state = APPROVED
        if account.lower() == _name(request["author"]["username"]).lower():
            state = "own_request"  # GitHub asks nobody to review what they themselves ask to be merged
        elif (back := taken_back.get(account.lower())) and back >= given:
            state = "unapproved"
        made.append(Review(account, state, commit=commit))
    return made


def _check_parts(
    request: Mapping[str, Any],
    approvals: Mapping[str, Any],
    versions: Sequence[Mapping[str, Any]],
    notes: Sequence[Mapping[str, Any]],
) -> None:
    """Raise SW4185 where the answers are of several merge requests, or may lack what came last."""
    number = request["id"]
    if not isinstance(number, int) or not isinstance(versions, list) or not isinstance(notes, list):
        raise TypeError("id, versions or notes")
    others = [item["merge_request_id"] for item in versions] + [item["noteable_id"] for item in notes]
    # GitLab without Enterprise features says of approvals only who gave them.
    same = all(approvals.get(name, request[name]) == request[name] for name in ("iid", "project_id"))
    if not same or any(other != number for other in others):
        raise _bad("its parts are of different merge requests")
    for name, order in (
        ("versions", [item["id"] for item in versions]),
        ("notes", [_moment(item["created_at"]) for item in notes]),
    ):
        if order != sorted(order, reverse=True):
            raise _bad(f"{name} are not as GitLab orders them, newest first, so that the last ones may be missing")


def _taken_back(notes: Sequence[Mapping[str, Any]]) -> dict[str, datetime]:
    """Return when GitLab last noted of an account (lower case) that its approval was taken back."""
    made: dict[str, datetime] = {}
    for note in notes:
        written, body, moment = note["system"], note["body"], _moment(note["created_at"])
        if not isinstance(written, bool) or not isinstance(body, str):
            raise TypeError("system or body of a note")
        if not written:
            continue
        accounts = [_name(note["author"]["username"])] if body.strip() in _TAKEN_BACK else []
        if body.startswith(_RESET):
            accounts = _MENTIONED.findall(body)
        for account in accounts:
            made.setdefault(account.lower(), moment)
    return made


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("username")
    return value


def _commit(value: Any) -> str:
    if not isinstance(value, str) or not _COMMIT.match(value):
        raise TypeError("the hash of a commit")
    return value


def _moment(value: Any) -> datetime:
    made = datetime.fromisoformat(value)
    if made.tzinfo is None:
        raise ValueError(f"the time {value[:40]}, which has no zone")
    return made.astimezone(UTC)


def _of_awx(approval: Mapping[str, Any], job: Mapping[str, Any]) -> Review:
    workflows = [item["summary_fields"]["source_workflow_job"]["id"] for item in (approval, job)]
    if workflows[0] != workflows[1]:
        raise _bad("the job of the plan is of another workflow than the approval")
    who = approval["summary_fields"].get("approved_or_denied_by")
    if not who:
        raise _bad("nobody has answered the approval yet")
    state = APPROVED if approval["status"] == "successful" else "denied"
    return Review(str(who["username"]), state, plan_id=str(job["artifacts"][_PLAN]))
