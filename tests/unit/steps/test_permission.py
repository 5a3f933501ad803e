"""May a plan be applied now: a small site in a signed repository, its journal, its calendar."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.approval_files import write_approval
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import push_operation
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import (
    Plan,
    TargetPlan,
    with_effect,
    write_plan,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.signatures import (
    APPROVAL_NAMESPACE,
    REVIEW_NAMESPACE,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.naming import owned_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.change_risk import risk_classes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import load_checked
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.owners import codeowners
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.approve import run_approve
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.bound import (
    member_findings,
    newest_commit,
    reassigned,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.codeowners import run_codeowners
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.journal_verify import run_journal_verify
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.permission import (
    Permission,
    applied_commit,
    permission,
    zones_of_plan,
)
from tests.unit.change.gitlab_reviews import of_gitlab
from tests.unit.change.signers import APPROVERS, Signers, mail

if not shutil.which("ssh-keygen") or not shutil.which("git"):
    pytest.skip("git and ssh-keygen are needed (Debian packages git, openssh-client)", allow_module_level=True)

BASE = Path(__file__).resolve().parents[2] / "cases" / "policy" / "base"
TODAY = date(2026, 11, 23)


@pytest.fixture
def signers(tmp_path: Path) -> Signers:
    made = Signers(tmp_path)
    for person in ("anna", "ben", "carl", "dora", "nina", "otto", "forge"):
        made.key(person)
    shutil.copytree(BASE, made.checkout / "policies")
    (made.policies / "expected.json").unlink()
    made.allowed.touch()
    made.git("init", "-q", "-b", "main")
    made.commit({"approvers.yml": APPROVERS}, "otto", "start")
    return made


def plan_of(signers: Signers, *steps: Operation, target: str = "fw1") -> Plan:
    commit = signers.git("rev-parse", "HEAD")
    return Plan("a" * 64, commit, "", "", "", False, (TargetPlan(target, "nftables", "", {}, steps),))


def paths_of(signers: Signers) -> Paths:
    return Paths.of(str(signers.policies), str(signers.folder / "data"))


def asked(signers: Signers, plan: Plan | None = None, **values: Any) -> Permission:
    loaded = load_checked(signers.policies, TODAY)
    assert loaded.site is not None, loaded.findings
    given = {"allowed_signers": str(signers.allowed), "protected_branch": "main", **values}
    lists = compile_site(loaded.site).lists
    return permission(paths_of(signers), plan or plan_of(signers), loaded.site, lists, given, TODAY)


def refused(signers: Signers, plan: Plan | None = None, **values: Any) -> list[str]:
    with pytest.raises(FindingError) as error:
        asked(signers, plan, **values)
    return sorted({finding.code for finding in error.value.findings})


def applied(signers: Signers, approvals: list[dict[str, str]] | None = None) -> None:
    journal = Journal(paths_of(signers).journal)
    commit = signers.git("rev-parse", "HEAD")
    journal.append("plan_started", plan_id="f" * 64, policy_commit=commit, steps=[], approvals=approvals or [])
    journal.append("plan_done", plan_id="f" * 64, findings=[])


def approve(signers: Signers, *people: str) -> None:
    for person in people:
        path = write_approval(paths_of(signers).state / "approvals", "a" * 64, "", mail(person))
        signers.sign_file(path, person, APPROVAL_NAMESPACE)


def test_the_first_plan_needs_every_owner(signers: Signers) -> None:
    assert refused(signers) == ["SW4070"]
    approve(signers, "anna", "carl")
    assert refused(signers) == ["SW4070"]
    approve(signers, "nina")
    allowed = asked(signers)
    assert {item.approver for item in allowed.approvals} == {mail("anna"), mail("carl"), mail("nina")}
    assert [finding.code for finding in allowed.findings] == ["SW4081"]


def test_after_the_first_only_what_changed_counts(signers: Signers) -> None:
    applied(signers)
    assert asked(signers).approvals == ()
    text = (signers.policies / "servers" / "gateways.yml").read_text()
    signers.branch("work")
    signers.commit({"servers/gateways.yml": text + "# a word\n"}, "nina")
    signers.merge("work", "dora", "dora")
    allowed = asked(signers)
    assert [item.approver for item in allowed.approvals] == [mail("dora")] and allowed.findings == ()


def test_what_a_change_does_may_ask_for_more_people(signers: Signers) -> None:
    risks = APPROVERS + "risk:\n  opens: 2\n  guards: 2\n"
    signers.commit({"approvers.yml": risks}, "otto")
    applied(signers)
    gateways = (signers.policies / "servers" / "gateways.yml").read_text()
    pumps = (signers.policies / "clinical" / "pumps.yml").read_text()
    wider = pumps.replace("    reason: ", "    reason: Still, ", 1)
    assert wider != pumps
    signers.branch("words")  # another reason opens nothing
    signers.commit({"clinical/pumps.yml": wider}, "nina")
    signers.merge("words", "anna", "anna")
    start = Signers.git(signers, "rev-parse", "HEAD")
    assert "SW4070" in refused(signers)  # life support asks for two by itself
    signers.approve("ben")
    assert {item.approver for item in asked(signers).approvals} == {mail("anna"), mail("ben")}
    applied(signers)
    signers.branch("names")
    signers.commit({"servers/gateways.yml": gateways.replace("criticality: high", "criticality: medium")}, "nina")
    signers.merge("names", "dora", "dora")
    with pytest.raises(FindingError, match="as guards asks for"):
        asked(signers)
    signers.approve("carl")
    assert {item.approver for item in asked(signers).approvals} == {mail("dora"), mail("carl")}
    assert start != signers.git("rev-parse", "HEAD")


RULE = {"id": "a-to-b", "to": "b", "services": ["https"], "reason": "needed", "origin": "manual"}
SEGMENT = {"segment": "a", "zone": "z", "owner": "o", "criticality": "low", "allow": [RULE]}


@pytest.mark.parametrize(
    ("path", "after", "classes"),
    [
        ("z/a.yml", SEGMENT, set()),
        ("z/a.yml", {**SEGMENT, "description": "cameras"}, set()),
        ("z/a.yml", {**SEGMENT, "allow": [{**RULE, "id": "other", "reason": "still", "evidence": "strong"}]}, set()),
        ("z/a.yml", {**SEGMENT, "allow": [RULE, {**RULE, "to": "c"}]}, {"opens"}),
        ("z/a.yml", {**SEGMENT, "allow": [{**RULE, "expires": "2027-01-01"}]}, {"opens", "closes"}),
        ("z/a.yml", {**SEGMENT, "allow": []}, {"closes"}),
        ("z/a.yml", {**SEGMENT, "members": {"profile": "camera"}}, {"members"}),
        ("z/a.yml", {**SEGMENT, "criticality": "high"}, {"guards"}),
        ("z/a.yml", {**SEGMENT, "use": ["pump"]}, {"opens", "closes"}),
        ("z/a.yml", None, {"closes", "guards"}),
        ("z/a.yml", "not: [yaml", {"opens", "guards"}),
        ("services.yml", {}, {"opens", "closes"}),
        ("exceptions.yml", {}, {"opens"}),
        ("enforcement.yml", {}, {"enforces"}),
        ("members.lock.json", "{}", {"members"}),
        ("evidence/a.json", "{}", set()),
        ("guardrails.yml", {}, {"guards"}),
        ("expectations/all.yml", {}, {"guards"}),
        ("approvers.yml", {}, {"guards"}),
    ],
)
def test_the_class_of_a_change(path: str, after: Any, classes: set[str]) -> None:
    before = SEGMENT if path == "z/a.yml" else None
    assert risk_classes({path: (before, after)}) == classes


def test_devices_in_other_segments_void_what_touches_these(signers: Signers) -> None:
    """A rollout goes on from its own commit; what was merged since may have its devices elsewhere."""
    loaded = load_checked(signers.policies, TODAY)
    assert loaded.site is not None
    compiled = compile_site(loaded.site)
    text = (signers.policies / "members.lock.json").read_text()
    planned = signers.git("rev-parse", "HEAD")
    assert newest_commit(signers.policies, planned, "main", "") == ""
    segments = json.loads(text)["segments"]
    first = segments["pumps"]["devices"][0]
    lock = json.loads(text)
    lock["segments"]["pumps"]["devices"].remove(first)
    lock["segments"]["gateways"]["devices"].append(first)
    signers.commit({"members.lock.json": json.dumps(lock)}, "otto")
    later = signers.git("rev-parse", "HEAD")
    assert newest_commit(signers.policies, planned, "origin/main", later) == later
    assert newest_commit(signers.policies, planned, "main", "") == later
    assert newest_commit(signers.policies, later, "main", planned) == ""  # a checkout that is behind says nothing
    moved = reassigned(signers.policies, planned, later)
    assert moved == {first["device"].lower(): ("pumps", "gateways")}
    assert reassigned(signers.policies, planned, planned) == {}

    def found(*steps: Operation) -> list[str]:
        part = plan_of(signers, *steps)
        return [
            f"{item.code} {item.message}"
            for item in member_findings(part, "one", loaded.site, compiled.lists, moved, later)  # type: ignore[arg-type]
        ]

    step = Operation("a", "fw1", "sgt", owned_name("pumps"), "create", None, {"value": 5})
    (said,) = found(step)
    assert said.startswith("SW4183 ring one, fw1: ") and " from pumps to gateways (commit " in said
    assert found(push_operation("fw1")) == []
    others = [name for name in loaded.site.segments if name not in ("pumps", "gateways")]
    for name in others:
        assert found(Operation("a", "fw1", "sgt", owned_name(name), "create", None, {"value": 5})) == []
    assert len(found(Operation("a", "fw1", "nft_table", "unknown", "create", None, {"text": ""}))) == 1


def test_a_change_does_not_name_its_own_approvers(signers: Signers) -> None:
    applied(signers)
    signers.key("mallory")
    more = APPROVERS.replace("otto@hospital.example", "otto@hospital.example, mallory@hospital.example")
    signers.branch("work")
    signers.commit({"approvers.yml": more}, "carl")
    signers.merge("work", "mallory", "mallory")
    assert refused(signers) == ["SW4070"]


def test_a_change_cannot_take_the_approvers_away(signers: Signers) -> None:
    applied(signers)
    signers.commit({"approvers.yml": None}, "carl")
    assert refused(signers) == ["SW4070"]


def test_owners_before_the_change_count_too(signers: Signers) -> None:
    """Who takes a segment over in the change cannot approve that alone."""
    applied(signers)
    text = (signers.policies / "servers" / "gateways.yml").read_text()
    signers.branch("work")
    signers.commit({"servers/gateways.yml": text.replace("server-operations", "network-security")}, "otto")
    signers.merge("work", "nina", "nina")
    assert refused(signers) == ["SW4070"]
    approve(signers, "dora")
    assert {item.approver for item in asked(signers).approvals} == {mail("nina"), mail("dora")}


def test_a_moved_member_asks_the_owners_of_its_segment(signers: Signers) -> None:
    applied(signers)
    lock = (signers.policies / "members.lock.json").read_text()
    moved = lock.replace("10.2.0.", "10.2.0.2") if "10.2.0." in lock else lock
    assert moved != lock
    signers.commit({"members.lock.json": moved}, "otto")
    with pytest.raises(FindingError) as error:
        asked(signers)
    assert "server-operations" in str(error.value)


def test_not_merged(signers: Signers) -> None:
    applied(signers)
    signers.branch("work")
    text = (signers.policies / "servers" / "gateways.yml").read_text()
    signers.commit({"servers/gateways.yml": text + "# a word\n"}, "nina")
    approve(signers, "dora")
    assert refused(signers) == ["SW4074"]
    assert refused(signers, protected_branch="origin/main") == ["SW4074"]


def test_uncommitted_documents_are_not_approved(signers: Signers) -> None:
    plan = plan_of(signers)
    dirty = Plan("a" * 64, "dirty:" + "0" * 64, "", "", "", False, plan.targets)
    assert "SW4070" in refused(signers, dirty)


def test_without_approvers_there_is_a_remark(signers: Signers) -> None:
    signers.commit({"approvers.yml": None}, "otto")
    assert [finding.code for finding in asked(signers).findings] == ["SW4078"]


def step(name: str, kind: str = "ruleset") -> Operation:
    return Operation("1" * 16, "fw1", kind, name, "update", None, None)


def calendar(zones: str, *, is_open: bool) -> str:
    start, end = ("00:00", "24:00") if is_open else ("00:00", "00:01")
    days = "mon, tue, wed, thu, fri, sat, sun" if is_open else "mon"
    return (
        f'windows:\n  - {{id: w, zones: [{zones}], days: [{days}], start: "{start}", end: "{end}"}}\n'
        '  - {id: other, zones: [servers, clinical], days: [mon], start: "00:00", end: "00:01", until: "2020-01-01"}\n'
    )


def test_outside_the_window_of_a_touched_zone(signers: Signers) -> None:
    signers.commit({"approvers.yml": None, "calendar.yml": calendar("servers", is_open=True)}, "otto")
    plan = plan_of(signers, step("anything"))
    with pytest.raises(FindingError) as error:
        asked(signers, plan)
    (finding,) = error.value.findings
    assert finding.code == "SW4090" and "clinical" in finding.message and "servers" not in finding.message
    signers.commit({"calendar.yml": calendar("all", is_open=True)}, "otto")
    assert asked(signers, plan_of(signers, step("anything"))).zones == ("clinical", "servers")


def test_zones_of_a_plan_are_those_of_the_lists_it_changes(signers: Signers) -> None:
    loaded = load_checked(signers.policies, TODAY)
    assert loaded.site is not None
    lists = compile_site(loaded.site).lists
    assert lists
    for listing in lists:
        plan = plan_of(signers, step(listing.name), target=listing.host)
        zones = zones_of_plan(plan, loaded.site, lists)
        if listing.segment:
            assert loaded.site.segments[listing.segment].zone in zones
        else:
            assert zones
    assert zones_of_plan(plan_of(signers, step("x"), target="unknown"), loaded.site, lists) == ("clinical", "servers")
    assert zones_of_plan(plan_of(signers), loaded.site, lists) == ()
    # A ring that changes a tag or a cell of one zone asks for that zone's window alone, also for its push.
    segment = next(name for name, item in loaded.site.segments.items() if item.zone == "servers")
    tag = replace(step(owned_name(segment), "sgt"), after={"value": 7})
    pushed = plan_of(signers, tag, push_operation("ise1"), target="ise1")
    assert zones_of_plan(pushed, loaded.site, lists) == ("servers",)
    assert zones_of_plan(plan_of(signers, push_operation("ise1"), target="ise1"), loaded.site, lists) == (
        "clinical",
        "servers",
    )


def test_a_day_that_has_passed_does_not_bring_back_what_has_expired(signers: Signers) -> None:
    applied(signers)
    assert refused(signers, today=TODAY.isoformat()) == ["SW4092"]
    assert asked(signers).approvals == ()


def test_a_clock_behind_the_journal(signers: Signers, monkeypatch: pytest.MonkeyPatch) -> None:
    applied(signers)
    from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import permission as module

    monkeypatch.setattr(module, "utc_now", lambda: datetime.now(UTC) - timedelta(hours=1))
    assert refused(signers) == ["SW4092"]


def test_the_applied_commit_is_that_of_the_last_finished_plan() -> None:
    def entry(event: str, plan: str, commit: str = "") -> dict[str, str]:
        return {"event": event, "plan_id": plan, "policy_commit": commit}

    entries = [entry("plan_started", "1", "c1"), entry("plan_done", "1"), entry("plan_started", "2", "c2")]
    assert applied_commit(entries) == "c1"
    assert applied_commit([*entries, entry("plan_failed", "2")]) == "c1"
    assert applied_commit([*entries, entry("plan_done", "2")]) == "c2"
    dirty = [*entries, entry("plan_started", "3", "dirty:0"), entry("plan_done", "3")]
    assert applied_commit(dirty) == "c1"
    assert applied_commit([]) == ""


def test_codeowners_names_the_same_people(signers: Signers) -> None:
    site = load_checked(signers.policies, TODAY).site
    assert site is not None
    text = codeowners(site, "policies")
    rows = dict(line.split(" ", 1) for line in text.splitlines() if line.startswith("/"))
    assert rows["/policies/"] == f"{mail('nina')} {mail('otto')}"
    assert rows["/policies/clinical/pumps.yml"] == f"{mail('anna')} {mail('ben')}"
    values = {"policy_dir": str(signers.policies), "path": str(signers.checkout / "CODEOWNERS"), "diff_mode": True}
    made = run_codeowners({**values, "check_mode": True})
    assert made["changed"] and not (signers.checkout / "CODEOWNERS").exists()
    made = run_codeowners({**values, "check_mode": False})
    assert made["changed"] and (signers.checkout / "CODEOWNERS").read_text() == text == made["content"]
    assert not run_codeowners({**values, "check_mode": False})["changed"]


def test_codeowners_prefixes(signers: Signers) -> None:
    site = load_checked(signers.policies, TODAY).site
    assert site is not None
    for prefix, first in (("", "* "), (".", "* "), ("./a/b/", "/a/b/ "), (".site", "/.site/ "), ("/x", "/x/ ")):
        assert codeowners(site, prefix).splitlines()[1].startswith(first), prefix
    for bad in ("my policies", "a\n* @mallory", "*", "a/../b", "#", "\\ "):
        with pytest.raises(ValueError, match="owners"):
            codeowners(site, bad)


def test_journal_verify_finds_what_was_done_to_it(signers: Signers) -> None:
    applied(signers)
    path = paths_of(signers).journal
    good = run_journal_verify({"journal": str(path)})
    assert good["ok"] and good["entries"] == 2
    assert run_journal_verify({"journal": str(path), "number": 2, "sha256": good["sha256"]})["ok"]
    assert run_journal_verify({"journal": str(path), "number": 2, "sha256": "0" * 64})["failed"]
    assert run_journal_verify({"journal": str(path), "number": 3})["failed"]
    text = path.read_text()
    lines = text.splitlines(keepends=True)
    for bad in (text.replace("f" * 64, "e" * 64, 1), "".join(reversed(lines)), lines[0], lines[1], ""):
        path.write_text(bad)
        assert run_journal_verify({"journal": str(path)})["failed"], bad
    path.unlink()
    assert run_journal_verify({"journal": str(path)})["failed"]


def test_an_older_commit_is_a_change_too(signers: Signers) -> None:
    start = signers.git("rev-parse", "HEAD")
    text = (signers.policies / "servers" / "gateways.yml").read_text()
    signers.commit({"servers/gateways.yml": text + "# a word\n"}, "nina")
    applied(signers)
    signers.git("checkout", "-q", start)
    assert refused(signers) == ["SW4070"]
    approve(signers, "carl")
    assert [item.approver for item in asked(signers).approvals] == [mail("carl")]


def test_a_merge_that_drops_what_was_applied_is_a_change(signers: Signers) -> None:
    """Its first parent is an older commit with the same content: no first parent differs from what comes after it."""
    start = signers.git("rev-parse", "HEAD")
    text = (signers.policies / "servers" / "gateways.yml").read_text()
    signers.commit({"servers/gateways.yml": text + "# a word\n"}, "nina")
    applied(signers)
    signers.git("checkout", "-q", start)
    signers.git("merge", "-q", "--no-ff", "-s", "ours", "-m", "Merge main", "main", person="carl")
    signers.git("branch", "-f", "main", "HEAD")
    assert refused(signers) == ["SW4070"]
    approve(signers, "carl")
    assert refused(signers) == ["SW4070"]  # carl wrote the merge
    with pytest.raises(FindingError, match=f"what does not count: SW4075 {mail('carl')} wrote commit"):
        asked(signers)
    approve(signers, "dora")
    assert [item.approver for item in asked(signers).approvals] == [mail("dora")]


def test_a_commit_that_can_no_longer_be_read_keeps_its_approvers(signers: Signers) -> None:
    signers.commit({"services.yml": "no: [policy\n"}, "otto")
    applied(signers)
    signers.key("mallory")
    text = signers.git("show", "HEAD~1:policies/services.yml") + "\n"
    more = APPROVERS.replace("otto@hospital.example", "otto@hospital.example, mallory@hospital.example")
    signers.branch("work")
    signers.commit({"services.yml": text, "approvers.yml": more}, "carl")
    signers.merge("work", "mallory", "mallory")
    assert refused(signers) == ["SW4070"]
    signers.commit({"approvers.yml": None}, "carl")
    assert refused(signers) == ["SW4070"]


def test_a_tag_is_no_protected_branch(signers: Signers) -> None:
    applied(signers)
    signers.git("update-ref", "refs/remotes/origin/main", "HEAD")
    text = (signers.policies / "servers" / "gateways.yml").read_text()
    signers.branch("work")
    signers.commit({"servers/gateways.yml": text + "# a word\n"}, "nina")
    signers.git("tag", "origin/main")
    approve(signers, "dora")
    for name in ("origin/main", "refs/remotes/origin/main", "HEAD", "-h"):
        assert refused(signers, protected_branch=name) == ["SW4074"], name
    assert asked(signers, protected_branch="refs/heads/work").approvals


def test_documents_that_git_status_does_not_show(signers: Signers) -> None:
    (signers.checkout / ".gitignore").write_text("policies/servers/hidden.yml\n")
    signers.commit({}, "otto")
    applied(signers)
    gateways = signers.policies / "servers" / "gateways.yml"
    hidden = gateways.with_name("hidden.yml")
    text = gateways.read_text()
    hidden.write_text(text.replace("segment: gateways", "segment: hidden"))
    assert not signers.git("status", "--porcelain", "--untracked-files=all")
    with pytest.raises(FindingError) as error:
        asked(signers)
    assert "SW4001" in {f.code for f in error.value.findings} or "SW4002" in {f.code for f in error.value.findings}
    hidden.unlink()
    signers.git("update-index", "--assume-unchanged", "policies/servers/gateways.yml")
    gateways.write_text(text + "# a word\n")
    assert not signers.git("status", "--porcelain")
    with pytest.raises(FindingError) as error:
        asked(signers)
    assert "servers/gateways.yml" in str(error.value)
    gateways.write_text(text)
    assert asked(signers).approvals == ()


def test_a_review_record_approves_no_second_time(signers: Signers) -> None:
    """What was approved, applied and taken back does not come again with the old record."""
    start = (signers.policies / "servers" / "gateways.yml").read_text()
    applied(signers)
    signers.key("exporter")
    signers.commit({"servers/gateways.yml": start + "# a word\n"}, "nina")
    content = signers.git("rev-parse", "HEAD:policies")
    record = {
        "kind": "review_record",
        "schema_version": "1.0",
        "exporter": mail("exporter"),
        "reviews": [{"reviewer": mail("dora"), "state": "approved", "content": content}],
    }
    folder = paths_of(signers).state / "approvals"
    signers.signed_json(folder / "1.json", record, "exporter", REVIEW_NAMESPACE)
    used = asked(signers).approvals
    assert [item.approver for item in used] == [mail("dora")]
    applied(signers, [item.as_dict() for item in used])
    signers.commit({"servers/gateways.yml": start}, "nina")
    applied(signers)
    signers.commit({"servers/gateways.yml": start + "# a word\n"}, "nina")
    assert signers.git("rev-parse", "HEAD:policies") == content
    assert refused(signers) == ["SW4070"]
    approve(signers, "carl")
    assert [item.approver for item in asked(signers).approvals] == [mail("carl")]


def test_reviews_as_github_gitlab_and_awx_answer_them_become_a_record(signers: Signers, tmp_path: Path) -> None:
    text = (signers.policies / "servers" / "gateways.yml").read_text()
    applied(signers)
    signers.key("exporter")
    first = signers.commit({"servers/gateways.yml": text + "# a word\n"}, "nina")
    last = signers.commit({"servers/gateways.yml": text + "# two words\n"}, "nina")
    export = tmp_path / "reviews.json"
    values: dict[str, Any] = {"policy_dir": str(signers.policies), "data_dir": str(signers.folder / "data")}
    values |= {"approver": mail("exporter"), "diff_mode": False, "check_mode": False, "review": str(export)}
    values |= {"people": {"dora-d": mail("dora"), "carl-c": mail("carl")}}

    def recorded(value: Any) -> list[str]:
        export.write_text(json.dumps(value))
        path = Path(run_approve(values)["path"])
        path.with_name(path.name + ".sig").unlink(missing_ok=True)
        signers.sign_file(path, "exporter", REVIEW_NAMESPACE)
        try:
            return [item.approver for item in asked(signers).approvals]
        except FindingError as error:
            return sorted({finding.code for finding in error.findings})
        finally:
            shutil.rmtree(path.parent)

    def github(login: str, state: str, commit: str | None) -> dict[str, Any]:
        return {
            "user": {"login": login},
            "state": state,
            "commit_id": commit,
            "body": "",
            "submitted_at": "2026-11-23T10:00:00Z",
        }

    assert recorded([github("dora-d", "APPROVED", first)]) == ["SW4070"]  # of what was changed afterwards
    assert recorded([github("dora-d", "APPROVED", first), github("dora-d", "APPROVED", last)]) == [mail("dora")]
    assert recorded([github("dora-d", "APPROVED", last), github("dora-d", "COMMENTED", last)]) == [mail("dora")]
    assert recorded([github("dora-d", "APPROVED", last), github("dora-d", "CHANGES_REQUESTED", last)]) == ["SW4070"]
    assert recorded([github("dora-d", "DISMISSED", last), github("mallory", "APPROVED", last)]) == ["SW4070"]

    def awx(plan_id: str, status: str = "successful", workflow: int = 7) -> dict[str, Any]:
        place = {"source_workflow_job": {"id": workflow}}
        approval = {
            "id": 9,
            "status": status,
            "summary_fields": {**place, "approved_or_denied_by": {"username": "carl-c"}},
        }
        job = {
            "id": 8,
            "summary_fields": {"source_workflow_job": {"id": 7}},
            "artifacts": {"microseg_plan_id": plan_id},
        }
        return {"workflow_approval": approval, "job": job}

    def gitlab(login: str, moment: str) -> dict[str, Any]:
        pushed = [(first, "2026-11-23T09:00:00Z"), (last, "2026-11-23T10:00:00Z")]
        return of_gitlab(pushed, [(login, f"2026-11-23T{moment}Z")])

    assert recorded(gitlab("dora-d", "09:30:00")) == ["SW4070"]  # of what was pushed over afterwards
    assert recorded(gitlab("dora-d", "10:30:00")) == [mail("dora")]

    # What is of a commit that nobody has any more approves nothing, takes the place of what was said before, and keeps nobody else out.
    gone = github("dora-d", "APPROVED", "e" * 40)
    assert recorded([github("dora-d", "APPROVED", last), gone, github("carl-c", "APPROVED", last)]) == [mail("carl")]

    assert recorded(awx("a" * 64)) == [mail("carl")]
    assert recorded(awx("b" * 64)) == ["SW4070"]
    assert recorded(awx("a" * 64, "failed")) == ["SW4070"]
    for wrong in (
        awx("a" * 64, workflow=6),
        [github("dora-d", "APPROVED", None)],
        [github("dora-d", "APPROVED", "e" * 40)],
        [github("mallory", "APPROVED", last)],
        [{"user": {}, "state": "APPROVED"}],
        {"approved_by": []},
    ):
        with pytest.raises(FindingError, match=f"SW4185 error: {export}: "):
            recorded(wrong)


def test_an_approval_of_one_plan_is_none_of_the_next(signers: Signers) -> None:
    text = (signers.policies / "servers" / "gateways.yml").read_text()
    applied(signers)
    signers.commit({"servers/gateways.yml": text + "# a word\n"}, "nina")
    approve(signers, "dora")
    applied(signers, [item.as_dict() for item in asked(signers).approvals])
    assert asked(signers).approvals  # the same plan again
    other = Plan("b" * 64, signers.git("rev-parse", "HEAD"), "", "", "", False, ())
    assert refused(signers, other) == ["SW4070"]


def test_a_second_run_leaves_the_approval_and_its_signature(signers: Signers) -> None:
    paths = paths_of(signers)
    write_plan(paths.plan, with_effect(plan_of(signers), {}))
    values: dict[str, Any] = {"policy_dir": str(signers.policies), "data_dir": str(signers.folder / "data")}
    values |= {"approver": mail("anna"), "diff_mode": True}
    tried = run_approve({**values, "check_mode": True})
    path = Path(tried["path"])
    assert tried["changed"] and tried["diff"] and not path.exists()
    made = run_approve({**values, "check_mode": False})
    assert made["changed"] and made["path"] == str(path) and path.stat().st_mode & 0o777 == 0o600
    before = path.read_bytes()
    again = run_approve({**values, "check_mode": False})
    assert not again["changed"] and "diff" not in again and path.read_bytes() == before
    assert run_approve({**values, "check_mode": False, "comment": "looked at"})["changed"]


POSTURES = "postures:\n  alone:\n    kind: isolate\n    segment: pumps\n    owner: clinical-engineering\n    reason: They are attacked\n"


def test_a_posture_of_an_ordinary_plan_is_approved_by_the_owners_of_what_it_is_about(signers: Signers) -> None:
    """No document is changed by it, so that no commit asks for anybody."""
    signers.commit({"postures.yml": POSTURES}, "otto")
    applied(signers)
    assert asked(signers).approvals == ()
    plan = with_effect(plan_of(signers), {"postures": ["alone"]})

    def approved_by(*people: str) -> None:
        shutil.rmtree(paths_of(signers).state / "approvals", ignore_errors=True)
        for person in people:
            path = write_approval(paths_of(signers).state / "approvals", plan.plan_id, "", mail(person))
            signers.sign_file(path, person, APPROVAL_NAMESPACE)

    assert refused(signers, plan) == ["SW4070"]
    approved_by("nina", "otto")
    assert refused(signers, plan) == ["SW4070"]
    approved_by("anna", "nina")
    assert {item.approver for item in asked(signers, plan).approvals} == {mail("anna"), mail("nina")}
    Journal(paths_of(signers).journal).append("plan_started", plan_id="e" * 64, postures=["alone"], steps=[])
    approved_by()
    assert asked(signers, plan).approvals == ()  # it is pulled already, and kept


def test_a_plan_from_before_a_posture_was_pulled_does_not_end_it(signers: Signers) -> None:
    signers.commit({"postures.yml": POSTURES}, "otto")
    applied(signers)
    plan = plan_of(signers)
    assert asked(signers, plan).findings == ()
    Journal(paths_of(signers).journal).append("plan_started", plan_id="e" * 64, postures=["alone"], steps=[])
    assert refused(signers, plan) == ["SW4148"]
    assert refused(signers, with_effect(plan, {"releases": ["alone"]})) == ["SW4169"]
    short = {"reason": "because", "person": mail("nina")}
    assert refused(signers, with_effect(plan, {"releases": ["alone"], "release": short})) == ["SW4169"]
    why = {"reason": "The cameras have new firmware", "person": mail("nina")}
    assert asked(signers, with_effect(plan, {"releases": ["alone"], "release": why})).findings == ()
