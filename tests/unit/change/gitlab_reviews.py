# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A merged request as GitLab's REST API answers it; the fields are those of lib/api/entities in GitLab."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

NUMBER, IID, PROJECT = 901, 17, 3


def user(account: str) -> dict[str, Any]:
    return {
        "id": sum(account.encode()),
        "username": account,
        "name": account.title(),
        "state": "active",
        "locked": False,
        "avatar_url": None,
        "web_url": f"https://gitlab.example/{account}",
    }


def note(account: str, body: str, moment: str, system: bool = True) -> dict[str, Any]:
    return {
        "id": 5000,
        "type": None,
        "body": body,
        "author": user(account),
        "created_at": moment,
        "updated_at": moment,
        "system": system,
        "noteable_id": NUMBER,
        "noteable_type": "MergeRequest",
        "project_id": PROJECT,
        "resolvable": False,
        "confidential": False,
        "internal": False,
        "noteable_iid": IID,
        "commands_changes": {},
    }


def of_gitlab(
    versions: Sequence[tuple[str, str]],
    approvals: Sequence[tuple[str, str]],
    notes: Sequence[dict[str, Any]] = (),
    author: str = "nina-n",
) -> dict[str, Any]:
    """Return an export: ``versions`` (head, time) and ``notes`` oldest first, as they happened; ``approvals`` (account, time)."""
    pushed = [
        {
            "id": 110 + number,
            "head_commit_sha": head,
            "base_commit_sha": "c" * 40,
            "start_commit_sha": "c" * 40,
            "created_at": moment,
            "merge_request_id": NUMBER,
            "state": "collected",
            "real_size": "1",
            "patch_id_sha": "d" * 40,
        }
        for number, (head, moment) in enumerate(versions)
    ]
    head = versions[-1][0]
    request = {
        "id": NUMBER,
        "iid": IID,
        "project_id": PROJECT,
        "title": "Wider",
        "state": "merged",
        "created_at": versions[0][1],
        "merged_at": "2026-11-23T12:00:00.000Z",
        "author": user(author),
        "sha": head,
        "merge_commit_sha": "e" * 40,
        "squash_commit_sha": None,
        "diff_refs": {"base_sha": "c" * 40, "head_sha": head, "start_sha": "c" * 40},
    }
    given = {
        "id": NUMBER,
        "iid": IID,
        "project_id": PROJECT,
        "state": "merged",
        "approvals_required": 1,
        "approvals_left": 0,
        "approved": True,
        "approved_by": [{"user": user(account), "approved_at": moment} for account, moment in approvals],
    }
    return {"merge_request": request, "approvals": given, "versions": pushed[::-1], "notes": list(notes)[::-1]}
