# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reviews of GitHub, GitLab and AWX from their export to the network: through `approve` and `apply`, and what no record makes of them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.conftest import LabTargets
from tests.integration.test_cheats import Desk, prepared
from tests.integration.test_pipelines_change import PIPELINES
from tests.integration.test_refusals import codes_in
from tests.lab.forge import TOKEN, forge_server
from tests.lab.places import CHECKOUT
from tests.lab.playbooks import Run, Site, ansible_environment
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


def job_of(forge: str) -> str:
    """Return the script of the pipeline's job."""
    file = PIPELINES / f"{forge}-change.yml"
    made = yaml.safe_load(file.read_text(encoding="utf-8"))
    if forge == "gitlab":
        (line,) = made["policy-reviews"]["script"]
        return str(line)
    (line,) = [step["run"] for step in made["jobs"]["reviews"]["steps"] if "run" in step]
    return str(line)


@pytest.mark.full
@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_the_pipelines_job_exports_and_signs_and_apply_takes_it(
    kind: str, targets: LabTargets, at: Callable[[str], Site], tmp_path: Path
) -> None:
    if not shutil.which("ssh-keygen"):
        pytest.skip("ssh-keygen is needed (Debian package openssh-client)")
    site = at("verified")
    desk = prepared(site, targets, tmp_path)
    signers = desk.signers
    key = signers.key("exporter")
    # The change comes as a branch that the forge merges; the request before it is open still.
    before, tip = signers.git("rev-parse", "HEAD^"), signers.git("rev-parse", "HEAD")
    signers.git("branch", "wider")
    signers.git("reset", "-q", "--hard", before)
    merge = signers.merge("wider", "forge")
    shutil.rmtree(site.state / "approvals")
    desk.replan()
    settings = tmp_path / "settings.yml"
    content = {
        "microseg_data_dir": str(site.data),
        "microseg_state": str(site.state),
        "microseg_sign_key": str(key),
        "microseg_review_people": PEOPLE,
    }
    settings.write_text(json.dumps(content), encoding="utf-8")
    known = Known(before, tip, "")
    counter = targets.writes()

    with forge_server(kind, tmp_path / "tls") as server:

        def job(**more: str) -> tuple[int, str]:
            """Run the job's script as a runner does, in a clone of its own."""
            temp = tmp_path / f"job-{len(list(tmp_path.glob('job-*')))}"
            temp.mkdir()
            workspace = temp / "work"
            subprocess.run(["git", "clone", "-q", str(site.policy), str(workspace / "policies")], check=True)
            environment = ansible_environment(
                site.places,
                {
                    **server.environment,
                    "SEGWRIGHT_EXPORTER": mail("exporter"), "SEGWRIGHT_SETTINGS": str(settings), "GITHUB_WORKSPACE": str(workspace),
                    "CI_PROJECT_DIR": str(workspace), "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "collections"), **more,
                },
            )  # fmt: skip
            done = subprocess.run(
                ["sh", "-ec", job_of(kind)],
                cwd=temp,
                env=environment,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            said = done.stdout + done.stderr
            written = [path.read_text(encoding="utf-8") for path in site.state.rglob("*") if path.is_file()]
            assert TOKEN not in said and not any(TOKEN in text for text in written)
            return done.returncode, " ".join(said.split())

        def records() -> list[Path]:
            return sorted((site.state / "approvals").glob("*"))

        def refused_apply(*codes: str) -> None:
            run = site.run("apply")
            assert run.code != 0 and set(codes) <= codes_in(run), run.tail()
            assert sum(counter.counts().values()) == 0

        # No exporter: the job does nothing. No answer that counts: it fails with its code, and writes nothing.
        code, said = job(SEGWRIGHT_EXPORTER="")
        assert code == 0 and "PLAY" not in said, said[-2000:]
        for status, more in ((401, {}), (403, {}), (404, {}), (429, {"Retry-After": "900"})):
            server.fault = lambda _path, _times, made=(status, more, {"message": "no"}): made  # type: ignore[misc]
            code, said = job(ANSIBLE_VERBOSITY="4" if status == 401 else "0")
            assert code != 0 and "SW4187" in said and str(status) in said and not records(), said[-3000:]
        server.fault = lambda _path, _times: None
        # Approved in a request that this commit does not merge, so for nothing here; then nobody has approved yet.
        wanted = export(kind, known, tip)
        server.put(merge, 16, wanted, merge=before)
        code, said = job()
        assert code == 0 and f"commit {merge[:12]} came with no request" in said and not records(), said[-3000:]
        refused_apply("SW4070")
        # Approved as it was before the last push; and then as it is: on the third page, after others said something.
        server.answers.clear()
        server.put(merge, 17, export(kind, known, before))
        code, said = job()
        assert code == 0 and "1 of 1 people approved" in said, said[-3000:]
        refused_apply("SW4070", "SW4076")
        (record, signature) = records()
        old = signature.read_bytes()
        server.answers.clear()
        server.put(merge, 17, wanted)
        code, said = job()
        assert code == 0 and records() == [record, signature] and signature.read_bytes() != old, said[-3000:]
        # Nothing new: nothing is written. Taken back at the forge: the record says so, and nothing is approved.
        moment = record.stat().st_mtime_ns
        code, said = job()
        assert code == 0 and "changed=0" in said and record.stat().st_mtime_ns == moment, said[-3000:]
        server.answers.clear()
        server.put(merge, 17, export(kind, known, tip, taken_back=True))
        assert job()[0] == 0
        refused_apply("SW4070")
        server.answers.clear()
        server.put(merge, 17, wanted)
        assert job()[0] == 0
    # A record that somebody edits afterwards approves nothing; as it was signed it is taken.
    text = record.read_text(encoding="utf-8")
    record.write_text(text.replace("approved", "approved ").replace(mail("ben"), mail("anna")), encoding="utf-8")
    refused_apply("SW4070", "SW4072")
    record.write_text(text, encoding="utf-8")
    run = site.run("apply")
    assert run.code == 0 and sum(counter.counts().values()) > 0, run.tail()
    assert [item["approver"] for item in site.result("apply")["approvals"]] == [mail("ben")]
    # It was spent: what came since is nothing, and the forge is not asked about what was applied.
    with forge_server(kind, tmp_path / "tls-2") as server:
        code, said = job()
        assert code == 0 and "nothing came since" in said and not server.asked, said[-3000:]


def export(kind: str, known: Known, commit: str, taken_back: bool = False) -> Any:
    """Return what a forge keeps of an approval by ben of a commit, amid what others said, on several pages."""
    if kind == "github":
        words = [item for name in ("eve-e", "mallory-m", "ben-b") for item in github(name, commit, "COMMENTED")]
        mine = github("ben-b", commit) + (github("ben-b", commit, "DISMISSED") if taken_back else [])
        return words + github("mallory-m", commit) + mine
    made = gitlab(known, "ben-b", "09:30" if commit == known.before else "10:30", taken_back)
    made["notes"] = [note("eve-e", f"word {at}", f"2026-11-23T11:0{at}:00.000Z") for at in range(5, -1, -1)] + made[
        "notes"
    ]
    return made
