# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Approve: write down one person's approval of one plan, or what a forge or AWX says of reviews, to be signed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import read_text, sha256_of, write_atomic
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.json_io import SIZE_LIMIT_BYTES, parse_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes as change_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.approval_files import (
    approval_path,
    approval_text,
    is_written,
    review_text,
    write_approval,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.merged import content_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import read_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.review_exports import (
    APPROVED,
    Review,
    reviews_in,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.signatures import (
    APPROVAL_NAMESPACE,
    REVIEW_NAMESPACE,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.state_ref import keep_state
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import paths_of

_APPROVER = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9._+@-]{0,254}\Z")


def run_approve(values: dict[str, Any]) -> dict[str, Any]:
    """Return where the approval lies and the command that signs it. Writes nothing in check mode."""
    if values.get("review"):
        return _review_record(values)
    paths = paths_of(values)
    plan = read_plan(Path(values["plan"]).expanduser() if values.get("plan") else paths.plan)
    approver, comment = str(values["approver"]), str(values.get("comment") or "")
    if not _APPROVER.match(approver):
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


def _reviews_of(export: Any, source: Path) -> list[Review]:
    """Return the reviews of an export; what is wrong with it names the file."""
    try:
        return reviews_in(export)
    except FindingError as error:
        raise FindingError(*(replace(finding, file=str(source)) for finding in error.findings)) from error


def _review_record(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return where the record of reviews lies that an export holds, for its exporter (``approver``) to sign."""
    paths = paths_of(values)
    exporter = str(values["approver"])
    if not _APPROVER.match(exporter):
        raise FindingError(codes.BAD_ARGUMENT.at("approver: the exporter's name in the allowed-signers file is needed"))
    source = Path(str(values["review"])).expanduser()
    export = parse_json(read_text(source, SIZE_LIMIT_BYTES), str(source)).value
    people = {str(name): str(person) for name, person in (values.get("people") or {}).items()}
    rows: list[dict[str, str]] = []
    unknown, gone = [], []
    for review in _reviews_of(export, source):
        person = people.get(review.account)
        if person is None:
            unknown.append(review.account)
            continue
        row = {"reviewer": person, "state": review.state}
        if review.plan_id:
            row["plan_id"] = review.plan_id
        elif content := content_of(paths.policy, review.commit):
            row["content"] = content
        elif review.state == APPROVED:
            row["state"] = "commit_gone"  # it approves nothing, and takes the place of what the same person said before
            gone.append(review.commit)
        rows.append(row)
    if not rows:
        text = f"no review is by anybody in people; accounts: {', '.join(dict.fromkeys(unknown)) or 'none'}"
        raise FindingError(change_codes.BAD_EXPORT.at(text[:400], Location(str(source))))
    latest = {row["reviewer"].lower(): row["state"] for row in rows}
    count = list(latest.values()).count(APPROVED)
    if gone and not count:
        text = f"commit {gone[-1][:12]} is not in the checkout, or has no policy directory"
        raise FindingError(change_codes.BAD_EXPORT.at(text, Location(str(source)), "fetch the branch of the request"))
    text = review_text(exporter, rows)
    folder = Path(str(values.get("approvals_dir") or paths.state / "approvals")).expanduser()
    path = folder / f"review-{sha256_of(text)[:12]}.json"
    changed = not path.exists()
    if changed and not values["check_mode"]:
        write_atomic(path, text, mode=0o600)
    if not values["check_mode"] and folder == paths.state / "approvals":
        keep_state(paths.state, "a record of reviews")
    left = f"; left out, of nobody in people: {', '.join(dict.fromkeys(unknown))[:400]}" if unknown else ""
    if others := [f"{person} ({state})" for person, state in latest.items() if state != APPROVED]:
        left += f"; not approved: {', '.join(others)[:400]}"
    answer: dict[str, Any] = {
        "changed": changed,
        "plan_id": next((row["plan_id"] for row in rows if "plan_id" in row), ""),
        "path": str(path),
        "command": f"ssh-keygen -Y sign -n {REVIEW_NAMESPACE} -f <private key of {exporter}> {path}",
        "summary": f"{count} of {len(latest)} people approved, which counts once {exporter} has signed it{left}",
    }
    if values["diff_mode"] and changed:
        answer["diff"] = {"before": "", "after": text, "after_header": str(path)}
    return answer
