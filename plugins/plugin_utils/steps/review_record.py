# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Approve, for approvers who own no key: write down what a forge or AWX says of reviews, and sign it where the exporter's key is named."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import read_text, sha256_of, write_atomic
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.git import run_git
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.json_io import SIZE_LIMIT_BYTES, parse_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes as change_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.approval_files import review_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.commit import commit_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.forge import Forge
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import known_entries
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.merged import content_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.review_exports import (
    APPROVED,
    Review,
    reviews_in,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.signatures import (
    PRINCIPAL,
    REVIEW_NAMESPACE,
    signature_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.state_ref import keep_state
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import paths_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.permission import applied_commit

MOST_COMMITS = 100


@dataclass(frozen=True)
class Rows:
    """The reviews of a record, the accounts that were left out, and the commits of approvals that are not in the checkout."""

    rows: tuple[dict[str, str], ...]
    unknown: tuple[str, ...]
    gone: tuple[str, ...]

    @property
    def latest(self) -> dict[str, str]:
        """Return what each person said last."""
        return {row["reviewer"].lower(): row["state"] for row in self.rows}

    @property
    def summary(self) -> str:
        """Return who approved, who did not and who is nobody that counts, without what they said."""
        latest = self.latest
        text = f"{list(latest.values()).count(APPROVED)} of {len(latest)} people approved"
        if self.unknown:
            text += f"; left out, of nobody in people: {', '.join(dict.fromkeys(self.unknown))[:400]}"
        if others := [f"{person} ({state})" for person, state in latest.items() if state != APPROVED]:
            text += f"; not approved: {', '.join(others)[:400]}"
        return text


def run_review_record(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return where the records lie: of an export (``review``) or of a ``forge``; signed where ``sign_key`` is given."""
    exporter = str(values["approver"])
    if not PRINCIPAL.match(exporter):
        raise FindingError(codes.BAD_ARGUMENT.at("approver: the exporter's name in the allowed-signers file is needed"))
    if values.get("review") and values.get("forge"):
        raise FindingError(codes.BAD_ARGUMENT.at("review and forge: one of them"))
    paths = paths_of(values)
    folder = Path(str(values.get("approvals_dir") or paths.state / "approvals")).expanduser()
    answer = _of_file(values, paths, folder) if values.get("review") else _of_forge(values, paths, folder)
    if not values["check_mode"] and folder == paths.state / "approvals":
        keep_state(paths.state, "a record of reviews")
    return answer


def _of_file(values: Mapping[str, Any], paths: Paths, folder: Path) -> dict[str, Any]:
    source = Path(str(values["review"])).expanduser()
    export = parse_json(read_text(source, SIZE_LIMIT_BYTES), str(source)).value
    made = _rows(export, str(source), paths.policy, values.get("people"))
    if not made.rows:
        text = f"no review is by anybody in people; accounts: {', '.join(dict.fromkeys(made.unknown)) or 'none'}"
        raise FindingError(change_codes.BAD_EXPORT.at(text[:400], Location(str(source))))
    if made.gone and APPROVED not in made.latest.values():
        text = f"commit {made.gone[-1][:12]} is not in the checkout, or has no policy directory"
        raise FindingError(change_codes.BAD_EXPORT.at(text, Location(str(source)), "fetch the branch of the request"))
    text = review_text(str(values["approver"]), made.rows)
    path = folder / f"review-{sha256_of(text)[:12]}.json"
    written = _write(path, text, values)
    people, _semicolon, left = made.summary.partition("; ")
    until = "" if values.get("sign_key") else f", which counts once {values['approver']} has signed it"
    answer = _answer([path] if written else [], [path], values)
    answer["plan_id"] = next((row["plan_id"] for row in made.rows if "plan_id" in row), "")
    answer["summary"] = people + until + (f"; {left}" if left else "")
    if values["diff_mode"] and written:
        answer["diff"] = {"before": "", "after": text, "after_header": str(path)}
    return answer


def _of_forge(values: Mapping[str, Any], paths: Paths, folder: Path) -> dict[str, Any]:
    """Return the records of every request that came since the commit applied last, which is what apply will ask about.

    A request keeps its record's name, so that what was taken back at the forge does not stay approved here.
    """
    forge = Forge.of(str(values["forge"]), os.environ)
    changed, known, said, diffs = [], [], [], []
    commits = _commits_since_applied(paths)
    for commit in commits:
        requests = forge.requests_of(commit)
        if not requests:
            said.append(f"commit {commit[:12]} came with no request")
        for request in requests:
            made = _rows(request.export, request.name, paths.policy, values.get("people"))
            path = folder / f"review-{sha256_of([forge.api, request.name])[:12]}.json"
            said.append(f"{request.name}: {made.summary}")
            if made.gone:
                said[-1] += f"; commit {made.gone[-1][:12]} is not in the checkout"
            before = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
            if not made.rows and not before:
                continue
            text = review_text(str(values["approver"]), made.rows)
            known.append(path)
            if _write(path, text, values):
                changed.append(path)
                diffs.append({"before": before, "after": text, "after_header": str(path)})
    answer = _answer(changed, known, values)
    answer["summary"] = "; ".join(said) or "nothing came since the commit that was applied last"
    if len(commits) == MOST_COMMITS:
        answer["summary"] += f"; only the newest {MOST_COMMITS} commits were asked about"
    if values["diff_mode"] and diffs:
        answer["diff"] = diffs
    return answer


def _answer(changed: Sequence[Path], known: Sequence[Path], values: Mapping[str, Any]) -> dict[str, Any]:
    path = str(known[0]) if known else ""
    command = f"ssh-keygen -Y sign -n {REVIEW_NAMESPACE} -f <private key of {values['approver']}> {path}"
    done = values.get("sign_key") or not path
    return {
        "changed": bool(changed),
        "plan_id": "",
        "path": path,
        "paths": [str(item) for item in known],
        "command": "" if done else command,
    }


def _commits_since_applied(paths: Paths) -> list[str]:
    """Return the commits on the branch that changed the policy directory, newest first; only the newest where none was applied."""
    head, _dirty = commit_of(paths.policy)
    place = Location(str(paths.policy))
    if not head:
        raise FindingError(change_codes.NO_COMMIT.at("the policy directory is in no git checkout", place))
    base = applied_commit(known_entries(paths.journal), head)
    since = [f"--max-count={MOST_COMMITS}", head, f"^{base}"] if base else ["--max-count=1", head]
    done = run_git(paths.policy, ["rev-list", "--first-parent", *since, "--", "."], change_codes.GIT_FAILED)
    if done.returncode != 0:
        raise FindingError(change_codes.GIT_FAILED.at(done.stderr.strip()[:300], place))
    return done.stdout.split()


def _rows(export: Any, source: str, policy: Path, people: Mapping[Any, Any] | None) -> Rows:
    """Return the rows of a record; what is wrong with the export names its source."""
    try:
        reviews: list[Review] = reviews_in(export)
    except FindingError as error:
        raise FindingError(*(replace(finding, file=source) for finding in error.findings)) from error
    names = {str(account): str(person) for account, person in (people or {}).items()}
    rows: list[dict[str, str]] = []
    unknown, gone = [], []
    for review in reviews:
        person = names.get(review.account)
        if person is None:
            unknown.append(review.account)
            continue
        row = {"reviewer": person, "state": review.state}
        if review.plan_id:
            row["plan_id"] = review.plan_id
        elif content := content_of(policy, review.commit):
            row["content"] = content
        elif review.state == APPROVED:
            row["state"] = "commit_gone"  # it approves nothing, and takes the place of what the same person said before
            gone.append(review.commit)
        rows.append(row)
    return Rows(tuple(rows), tuple(unknown), tuple(gone))


def _write(path: Path, text: str, values: Mapping[str, Any]) -> bool:
    """Write a record and, with ``sign_key``, its signature; return whether anything was not there yet."""
    signature = path.with_name(f"{path.name}.sig")
    same = path.is_file() and not path.is_symlink() and path.read_bytes() == text.encode()
    key = str(values.get("sign_key") or "")
    if same and (not key or signature.is_file()):
        return False
    if values["check_mode"]:
        return True
    made = signature_of(text.encode("utf-8"), key, REVIEW_NAMESPACE) if key else b""
    if not same:
        # A run that ends in between leaves a record that approves nothing.
        signature.unlink(missing_ok=True)
        write_atomic(path, text, mode=0o600)
    if key:
        write_atomic(signature, made.decode("ascii"), mode=0o600)
    return True
