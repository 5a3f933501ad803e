# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reviews of GitHub, GitLab and AWX from their export to the network: through `approve` and `apply`, and what no record makes of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import LabTargets
from tests.integration.test_cheats import Desk, prepared
from tests.integration.test_refusals import codes_in
from tests.lab.playbooks import Run, Site
from tests.unit.change.gitlab_reviews import note, of_gitlab
from tests.unit.change.signers import mail

PEOPLE = {"ben-b": mail("ben"), "otto-o": mail("otto")}


@dataclass(frozen=True)
class Known:
    """What an export may name: the commit that was applied before, the one to be applied, its plan."""

    before: str
    head: str
    plan_id: str


def github(account: str, commit: str, state: str = "APPROVED") -> list[dict[str, Any]]:
    """Fields of a review as api.github.com answers them."""
    user = {"login": account, "id": 7, "type": "User", "site_admin": False}
    more = {"id": 80, "node_id": "PRR_x", "body": "", "author_association": "MEMBER"}
    return [{**more, "user": user, "state": state, "commit_id": commit, "submitted_at": "2026-11-23T10:30:00Z"}]


def gitlab(known: Known, account: str, at: str = "10:30", taken_back: bool = False) -> dict[str, Any]:
    """Pushed at 9:00 and at 10:00."""
    pushed = [(known.before, "2026-11-23T09:00:00.000Z"), (known.head, "2026-11-23T10:00:00.000Z")]
    notes = [note(account, "approved this merge request", f"2026-11-23T{at}:01.000Z")]
    notes += [note(account, "unapproved this merge request", f"2026-11-23T{at}:30.000Z")] if taken_back else []
    return of_gitlab(pushed, [(account, f"2026-11-23T{at}:00.000Z")], notes)


def awx(account: str, plan_id: str) -> dict[str, Any]:
    place = {"source_workflow_job": {"id": 40, "name": "microseg", "status": "running"}}
    return {
        "workflow_approval": {
            "id": 41, "type": "workflow_approval", "status": "successful", "timed_out": False,
            "summary_fields": {**place, "approved_or_denied_by": {"id": 5, "username": account}},
        },
        "job": {"id": 39, "type": "job", "summary_fields": place, "artifacts": {"microseg_plan_id": plan_id}},
    }  # fmt: skip


Export = Callable[[Known], Any]
# What is exported, and the codes that say why it approves nothing; none where the change is to be carried out.
CASES: dict[str, tuple[Export, frozenset[str]]] = {
    "github: another commit": (lambda known: github("ben-b", known.before), frozenset(("SW4070", "SW4076"))),
    "github: the author": (lambda known: github("otto-o", known.head), frozenset(("SW4070", "SW4075"))),
    "github: dismissed": (lambda known: github("ben-b", known.head, "DISMISSED"), frozenset(("SW4070",))),
    "github: accepted": (lambda known: github("ben-b", known.head), frozenset()),
    "gitlab: before the last push": (lambda known: gitlab(known, "ben-b", "09:30"), frozenset(("SW4070", "SW4076"))),
    "gitlab: the author": (lambda known: gitlab(known, "otto-o"), frozenset(("SW4070", "SW4075"))),
    "gitlab: taken back": (lambda known: gitlab(known, "ben-b", taken_back=True), frozenset(("SW4070",))),
    "gitlab: accepted": (lambda known: gitlab(known, "ben-b"), frozenset()),
    "awx: another plan": (lambda known: awx("ben-b", "f" * 64), frozenset(("SW4070", "SW4076"))),
    "awx: the author": (lambda known: awx("otto-o", known.plan_id), frozenset(("SW4070", "SW4075"))),
    "awx: accepted": (lambda known: awx("ben-b", known.plan_id), frozenset()),
}


def recorded(desk: Desk, export: str) -> Run:
    """Run `approve` with an export."""
    path = desk.site.directory / "reviews.json"
    path.write_text(export, encoding="utf-8")
    given = {"microseg_review": str(path), "microseg_review_people": PEOPLE}
    return desk.site.run("approve", microseg_approver=mail("exporter"), **given)


@pytest.mark.full
def test_what_forges_and_awx_export_is_carried_out_or_refused(
    targets: LabTargets, at: Callable[[str], Site], tmp_path: Path
) -> None:
    if not shutil.which("ssh-keygen"):
        pytest.skip("ssh-keygen is needed (Debian package openssh-client)")
    site = at("verified")
    desk = prepared(site, targets, tmp_path)
    desk.signers.key("exporter")
    shutil.rmtree(site.state / "approvals")
    known = Known(
        desk.signers.git("rev-parse", "HEAD^"), desk.signers.git("rev-parse", "HEAD"), site.result("plan")["plan_id"]
    )
    moment = targets.remember()

    # A file that was cut, and one of which a part is missing: no record, and the file is named.
    whole = json.dumps(gitlab(known, "ben-b"))
    cut = {**gitlab(known, "ben-b"), "notes": None}
    for text, code in ((whole[:-40], "SW0006"), (json.dumps(cut), "SW4185")):
        run = recorded(desk, text)
        assert run.code != 0 and code in codes_in(run), run.tail()
        assert "reviews.json" in run.output and not list(site.state.glob("approvals/*"))

    failed = []
    for number, (name, (export, wanted)) in enumerate(CASES.items()):
        mine = desk.copied(tmp_path / f"{number:02}")
        copy, signers = mine.site, mine.signers
        run = recorded(mine, json.dumps(export(known)))
        assert run.code == 0, f"{name}\n{run.tail()}"
        signers.sign_file(mine.approval, "exporter", "segwright-review")
        counter = targets.writes()
        run = copy.run("apply")
        said, written = codes_in(run), sum(counter.counts().values())
        print(f"{name}: exit {run.code}, {sorted(said)}, writes {written}")
        if wanted and not (run.code != 0 and wanted <= said and written == 0):
            failed.append(f"{name}: exit {run.code}, codes {sorted(said)}, writes {written}\n{run.tail(12)}")
        elif not wanted:
            made = copy.result("apply") if run.code == 0 else {}
            if written == 0 or [item["approver"] for item in made.get("approvals", ())] != [mail("ben")]:
                failed.append(f"{name}: exit {run.code}, writes {written}\n{run.tail(12)}")
            targets.restore(moment)
    assert not failed, "\n".join(failed)
