# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Approvals outside git: files that approvers signed, and review records that a forge's or AWX's exporter signed.

Both lie in ``approvals/`` of the state directory, each ``NAME.json`` with its detached signature ``NAME.json.sig``
(docs/change/approval.md). A file that is not rightly signed approves nothing and is a finding.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_now
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import (
    canonical_json,
    sha256_of,
    write_atomic,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.approval import Approval, ApprovalPolicy
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.signatures import (
    APPROVAL_NAMESPACE,
    REVIEW_NAMESPACE,
    TrustedKeys,
    verified_file,
    verified_with_key,
)

APPROVAL, REVIEW = "approval", "review_record"
LIMIT_BYTES = 1024 * 1024
LIMIT_FILES = 1000
_ID = re.compile(r"\A[0-9a-f]{64}\Z")
_CONTENT = re.compile(r"\A[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")


def approval_text(plan_id: str, policy_commit: str, approver: str, comment: str = "") -> str:
    """Return the text of an approval of one plan, for its approver to sign."""
    value = {
        "kind": APPROVAL,
        "schema_version": "1.0",
        "plan_id": plan_id,
        "policy_commit": policy_commit,
        "approver": approver,
        "comment": comment,
        "at": iso_now(),
    }
    return canonical_json(value) + "\n"


def approval_path(directory: str | Path, plan_id: str, approver: str) -> Path:
    """Return where the approval of a plan by a person lies; no two people share a file, however alike their names are."""
    name = re.sub(r"[^a-z0-9]+", "-", approver.lower()).strip("-") or "approver"
    return Path(directory) / f"{plan_id[:12]}-{name}-{sha256_of(approver.lower())[:6]}.json"


def is_written(path: Path, plan_id: str, policy_commit: str, approver: str, comment: str = "") -> bool:
    """Return whether this approval stands there already, whenever it was written: writing it anew would void its signature."""
    wanted = {"kind": APPROVAL, "plan_id": plan_id, "policy_commit": policy_commit, "approver": approver}
    wanted["comment"] = comment
    try:
        if path.is_symlink() or path.stat().st_size > LIMIT_BYTES:
            return False
        value = _parsed(path.read_bytes(), Location(str(path)))
    except (OSError, FindingError):
        return False
    return all(value.get(name) == text for name, text in wanted.items())


def write_approval(directory: str | Path, plan_id: str, policy_commit: str, approver: str, comment: str = "") -> Path:
    """Write an approval to be signed, and return where: ``ssh-keygen -Y sign -n segwright-approval -f KEY FILE`` does the rest."""
    path = approval_path(directory, plan_id, approver)
    write_atomic(path, approval_text(plan_id, policy_commit, approver, comment), mode=0o600)
    return path


def review_text(exporter: str, reviews: Sequence[Mapping[str, str]]) -> str:
    """Return the text of a review record, for its exporter to sign: of each review ``reviewer``, ``state``, ``content`` or ``plan_id``."""
    value = {"kind": REVIEW, "schema_version": "1.0", "exporter": exporter, "reviews": [dict(item) for item in reviews]}
    return canonical_json(value) + "\n"


def read_approvals(
    directory: str | Path, keys: TrustedKeys, policy: ApprovalPolicy
) -> tuple[list[Approval], list[Finding]]:
    """Return the approvals of a directory whose signatures fit, and a finding for each file that approves nothing."""
    approvals: list[Approval] = []
    findings: list[Finding] = []
    folder = Path(directory)
    paths = sorted(folder.glob("*.json")) if folder.is_dir() else []
    if len(paths) > LIMIT_FILES:
        return [], [codes.BAD_APPROVAL.at(f"more than {LIMIT_FILES} files", Location(str(folder)))]
    for path in paths:
        try:
            approvals += list(_read(path, keys, policy))
        except FindingError as error:
            findings += [finding.with_severity("warning") for finding in error.findings]
    return approvals, findings


def _read(path: Path, keys: TrustedKeys, policy: ApprovalPolicy) -> Iterator[Approval]:
    place = Location(str(path))
    if path.is_symlink() or not path.is_file() or path.stat().st_size > LIMIT_BYTES:
        raise FindingError(codes.BAD_APPROVAL.at("is no regular file of at most 1 MiB", place))
    try:
        claimed = _parsed(path.read_bytes(), place)
    except OSError as error:
        raise FindingError(codes.BAD_APPROVAL.at(error.strerror or "cannot be read", place)) from error
    if claimed.get("kind") == REVIEW:
        yield from _reviews(path, claimed, keys, policy)
        return
    signer = _word(claimed, "approver", place)
    content, key = verified_with_key(path, signer, APPROVAL_NAMESPACE, keys)
    value = _parsed(content, place)
    if value != claimed or value.get("kind") != APPROVAL:
        raise FindingError(codes.BAD_APPROVAL.at("is no approval, or changed while it was read", place))
    plan_id = _word(value, "plan_id", place)
    if not _ID.match(plan_id):
        raise FindingError(codes.BAD_APPROVAL.at("plan_id is no plan's id of 64 hexadecimal digits", place))
    yield Approval(signer.lower(), str(path), plan_id=plan_id, key=key)


def _reviews(path: Path, claimed: Mapping[str, Any], keys: TrustedKeys, policy: ApprovalPolicy) -> Iterator[Approval]:
    """Yield the approvals of a review record, for approvers who own no key of their own: its exporter answers for it."""
    place = Location(str(path))
    exporter = _word(claimed, "exporter", place)
    if exporter.lower() not in policy.exporters:
        raise FindingError(codes.BAD_SIGNATURE.at(f"approvers.yml does not name {exporter} as an exporter", place))
    value = _parsed(verified_file(path, exporter, REVIEW_NAMESPACE, keys), place)
    reviews = value.get("reviews")
    if value != claimed or not isinstance(reviews, list):
        raise FindingError(codes.BAD_APPROVAL.at("has no list of reviews, or changed while it was read", place))
    latest: dict[str, Mapping[str, Any]] = {}
    for review in reviews:
        if not isinstance(review, dict):
            raise FindingError(codes.BAD_APPROVAL.at("a review is no mapping", place))
        latest[_word(review, "reviewer", place).lower()] = review  # a later review of a person replaces the earlier one
    for reviewer, review in sorted(latest.items()):
        if review.get("state") != "approved":
            continue
        plan_id, content = str(review.get("plan_id") or ""), str(review.get("content") or "")
        if not (_ID.match(plan_id) if plan_id else _CONTENT.match(content)):
            raise FindingError(
                codes.BAD_APPROVAL.at(f"the review of {reviewer} names no plan_id and no content", place)
            )
        yield Approval(reviewer, str(path), plan_id=plan_id, content="" if plan_id else content)


def _parsed(data: bytes, place: Location) -> dict[str, Any]:
    try:
        value = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise FindingError(codes.BAD_APPROVAL.at("is no JSON", place)) from error
    if not isinstance(value, dict) or str(value.get("schema_version", "")).split(".", 1)[0] != "1":
        raise FindingError(codes.BAD_APPROVAL.at("schema_version is not 1", place))
    return value


def _word(value: Mapping[str, Any], name: str, place: Location) -> str:
    text = value.get(name)
    if not isinstance(text, str) or not text:
        raise FindingError(codes.BAD_APPROVAL.at(f"{name} is missing", place))
    return text
