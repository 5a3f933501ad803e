# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An evidence pack tells what was done, and every change of it is found."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import apply_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.approval_files import write_approval
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.evidence import read_pack, write_pack
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import write_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.signatures import (
    APPROVAL_NAMESPACE,
    REVIEW_NAMESPACE,
    TrustedKeys,
)
from tests.unit.change.fake import FakeTarget
from tests.unit.change.signers import Signers, mail
from tests.unit.change.test_change import COMMIT, plan_for, want

if not shutil.which("ssh-keygen"):
    pytest.skip("ssh-keygen is needed (Debian package openssh-client)", allow_module_level=True)


@pytest.fixture
def signers(tmp_path: Path) -> Signers:
    made = Signers(tmp_path)
    made.key("anna")
    made.key("mallory", trusted=False)
    return made


@pytest.fixture
def state(signers: Signers) -> Path:
    """One plan that anna approved, applied to a target and rolled back."""
    folder = signers.folder / "state"
    target = FakeTarget("a", {})
    desired = [want("a", x=1)]
    plan = plan_for({"a": target}, desired)
    write_plan(folder / "plans" / f"{plan.plan_id}.json", plan)
    path = write_approval(folder / "approvals", plan.plan_id, COMMIT, mail("anna"))
    signers.sign_file(path, "anna", APPROVAL_NAMESPACE)
    approvals = [{"approver": mail("anna"), "source": str(path), "plan_id": plan.plan_id}]
    journal = Journal(folder / "journal.jsonl")
    apply_plan(plan, {"a": target}, desired, journal, policy_commit=COMMIT, approvals=approvals)
    rollback_plan(plan.plan_id, {"a": target}, journal)
    return folder


def changed(pack: Path, name: str, change: Callable[[bytes], bytes | None]) -> Path:
    """A copy of a pack with one file changed (None: left out), and a manifest that fits it."""
    from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import sha256_of

    made = pack.with_name("changed.zip")
    with zipfile.ZipFile(pack) as old:
        files = {item.filename: old.read(item) for item in old.infolist()}
    content = change(files[name])
    if content is None:
        del files[name]
    else:
        files[name] = content
    manifest = json.loads(files["manifest.json"])
    manifest["files"] = {key: sha256_of(value) for key, value in files.items() if key != "manifest.json"}
    files["manifest.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(made, "w") as new:
        for key, value in files.items():
            new.writestr(key, value)
    return made


def test_who_agreed_what_was_sent_and_read_back(state: Path, signers: Signers) -> None:
    pack = state.parent / "pack.zip"
    digest = write_pack(state, pack)
    assert write_pack(state, state.parent / "again.zip") == digest
    found = read_pack(pack, TrustedKeys(str(signers.allowed), ""))
    assert found.findings == () and found.signed == (mail("anna"),)
    applied, back = found.runs
    assert (applied["what"], applied["outcome"], back["what"], back["outcome"]) == ("apply", "done", "rollback", "done")
    assert [item["approver"] for item in applied["approvals"]] == [mail("anna")]
    (sent,) = applied["sent"]
    assert sent["target"] == "a" and sent["done"] and sent["writes"] == 1
    assert [item["target"] for item in applied["confirmed"]] == ["a"]
    assert [item["action"] for item in back["sent"]] == [f"undo of {sent['action']}"]
    assert read_pack(pack, TrustedKeys("", "")).findings[0].code == "SW4152"


@pytest.mark.parametrize(
    "key", [("journal.jsonl", "SW4030"), ("summary.json", "SW4150"), ("plans", "SW4012"), ("approvals", "SW4151")]
)
def test_a_change_of_anything_is_found_though_the_sums_fit(state: Path, signers: Signers, key: tuple[str, str]) -> None:
    pack = state.parent / "pack.zip"
    write_pack(state, pack)
    with zipfile.ZipFile(pack) as archive:
        name = next(item for item in archive.namelist() if item.startswith(key[0]) and not item.endswith(".sig"))
    made = changed(
        pack,
        name,
        lambda content: content.replace(b'"a"', b'"b"', 1) if b'"a"' in content else content.replace(b"1", b"2", 1),
    )
    found = read_pack(made, TrustedKeys(str(signers.allowed), ""))
    assert key[1] in {finding.code for finding in found.findings if finding.severity == "error"}


def test_what_is_left_out_cut_short_or_signed_by_another_is_found(state: Path, signers: Signers) -> None:
    keys = TrustedKeys(str(signers.allowed), "")
    pack = state.parent / "pack.zip"
    write_pack(state, pack)
    with zipfile.ZipFile(pack) as archive:
        names = archive.namelist()
    signature = next(name for name in names if name.endswith(".sig"))
    plan = next(name for name in names if name.startswith("plans/"))

    def codes(made: Path) -> set[str]:
        return {finding.code for finding in read_pack(made, keys).findings}

    assert "SW4151" in codes(changed(pack, signature, lambda _content: None))
    assert codes(changed(pack, plan, lambda _content: None)) == {"SW4153"}
    assert "SW4032" in codes(changed(pack, "journal.jsonl", lambda content: b"".join(content.splitlines(True)[:-1])))
    (approval,) = (state / "approvals").glob("*.json")
    Path(f"{approval}.sig").unlink()
    signers.sign_file(approval, "mallory", APPROVAL_NAMESPACE)
    write_pack(state, pack)
    assert "SW4151" in codes(pack)


@pytest.mark.parametrize("name", ["../x", "/etc/x", "plans/../../x", "a/b/c", ".hidden", "plans/.x"])
def test_a_pack_that_writes_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "pack.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", "{}")
        archive.writestr(name, "x")
    with pytest.raises(FindingError) as refused:
        read_pack(path, TrustedKeys("", ""))
    assert [finding.code for finding in refused.value.findings] == ["SW4150"]


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04" + b"\x00" * 40])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "pack.zip"
    path.write_bytes(content)
    with pytest.raises(FindingError):
        read_pack(path, TrustedKeys("", ""))


def test_a_broken_journal_makes_no_pack(state: Path) -> None:
    journal = state / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b"plan_started", b"plan_stArted", 1))
    with pytest.raises(FindingError) as refused:
        write_pack(state, state.parent / "pack.zip")
    assert {finding.code for finding in refused.value.findings} == {"SW4030"}
    assert not (state.parent / "pack.zip").exists()


@pytest.mark.parametrize("content", [b"no JSON", b"\xff", b"[" * 100_000, b"[1]"])
def test_a_summary_that_is_none_is_a_finding(state: Path, content: bytes) -> None:
    pack = state.parent / "pack.zip"
    write_pack(state, pack)
    found = read_pack(changed(pack, "summary.json", lambda _old: content), TrustedKeys("", ""))
    assert "SW4150" in {finding.code for finding in found.findings}


def test_an_entry_that_no_run_writes_is_a_finding(state: Path) -> None:
    pack = state.parent / "pack.zip"
    write_pack(state, pack)
    Journal(state / "journal.jsonl").append("operation_started", plan_id="p")
    (state / "journal.jsonl.head").unlink()
    made = changed(pack, "journal.jsonl", lambda _old: (state / "journal.jsonl").read_bytes())
    made = changed(made.rename(pack), "journal.jsonl.head", lambda _old: None)
    assert "SW4150" in {finding.code for finding in read_pack(made, TrustedKeys("", "")).findings}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_two_readers_would_read_differently_is_refused(state: Path) -> None:
    pack = state.parent / "pack.zip"
    write_pack(state, pack)
    with zipfile.ZipFile(pack, "a") as archive:
        archive.writestr("summary.json", archive.read("summary.json"))
    with pytest.raises(FindingError, match="SW4150"):
        read_pack(pack, TrustedKeys("", ""))


def test_a_signature_of_another_plan_bears_nothing_out(state: Path, signers: Signers) -> None:
    """The file is anna's and holds, but it is not what the journal says she approved."""
    (path,) = (state / "approvals").glob("*.json")
    Path(f"{path}.sig").unlink()
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, "plan_id": "f" * 64}), encoding="utf-8")
    signers.sign_file(path, "anna", APPROVAL_NAMESPACE)
    pack = state.parent / "pack.zip"
    write_pack(state, pack)
    found = read_pack(pack, TrustedKeys(str(signers.allowed), ""))
    assert "SW4151" in {finding.code for finding in found.findings}


def test_who_exports_a_record_did_not_make_others_sign(state: Path, signers: Signers) -> None:
    signers.key("eve")
    (path,) = (state / "approvals").glob("*.json")
    plan = json.loads(path.read_text(encoding="utf-8"))["plan_id"]
    Path(f"{path}.sig").unlink()
    reviews = [{"reviewer": mail("anna"), "state": "approved", "plan_id": plan}]
    record = {"kind": "review_record", "schema_version": "1.0", "exporter": mail("eve"), "reviews": reviews}
    signers.signed_json(path, record, "eve", REVIEW_NAMESPACE)
    pack = state.parent / "pack.zip"
    write_pack(state, pack)
    assert read_pack(pack, TrustedKeys(str(signers.allowed), "")).signed == (f"{mail('eve')}, for others",)
