"""Who may have a change applied: real git, ssh-keygen and gpg, and many ways to cheat."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.approval import (
    ApprovalPolicy,
    Judgement,
    judge_approvals,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.approval_files import (
    read_approvals,
    write_approval,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.merged import merged_changes, protected_findings
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.signatures import (
    APPROVAL_NAMESPACE,
    REVIEW_NAMESPACE,
    TrustedKeys,
    signed_commits,
)

from .signers import ENVIRONMENT, Signers, mail, run

if not shutil.which("ssh-keygen") or not shutil.which("git"):
    pytest.skip("git and ssh-keygen are needed (Debian packages git, openssh-client)", allow_module_level=True)

PLAN = "a" * 64
PUMPS, GATEWAYS = "clinical/pumps.yml", "servers/gateways.yml"
POLICY = ApprovalPolicy(
    {
        "clinical-engineering": (mail("anna"), mail("ben")),
        "server-operations": (mail("carl"), mail("dora")),
        "network-security": (mail("nina"), mail("otto")),
    },
    {"life_support": 2},
    (mail("forge"),),
    (mail("exporter"),),
)


def teams(paths: tuple[str, ...], _before: str, _after: str) -> tuple[frozenset[str], str]:
    """Stand in for the policy room: pumps are life support, gateways are low, everything else is the site's."""
    owners = {
        {"clinical": "clinical-engineering", "servers": "server-operations"}.get(path.split("/")[0], "network-security")
        for path in paths
    }
    return frozenset(owners), "life_support" if any(path.startswith("clinical") for path in paths) else "low"


@pytest.fixture
def signers(tmp_path: Path) -> Signers:
    made = Signers(tmp_path)
    for person in ("anna", "ben", "carl", "dora", "nina", "otto", "forge", "exporter"):
        made.key(person)
    made.start({PUMPS: "segment: pumps\n", GATEWAYS: "segment: gateways\n", "site.yml": "name: s\n"})
    return made


def judged(signers: Signers, base: str, head: str = "", gpg: str = "") -> Judgement:
    keys = TrustedKeys(str(signers.allowed), gpg)
    where = head or signers.git("rev-parse", "HEAD")
    merged = merged_changes(signers.policies, base, where, keys, POLICY, teams)
    files, findings = read_approvals(signers.folder / "approvals", keys, POLICY)
    found = judge_approvals(POLICY, merged.steps, [*merged.approvals, *files], PLAN, merged.content)
    return Judgement(found.approvals, (*merged.findings, *findings, *found.findings))


def codes_of(found: Judgement) -> list[str]:
    return sorted({finding.code for finding in errors_of(found.findings)})


def warned(found: Judgement) -> list[str]:
    return sorted({finding.code for finding in found.findings})


def base_of(signers: Signers) -> str:
    return signers.git("rev-parse", "main")


def test_nothing_changed_needs_nothing(signers: Signers) -> None:
    base = base_of(signers)
    assert judged(signers, base).findings == ()
    (signers.checkout / "README").write_text("beside the policy\n")
    signers.git("add", "--all")
    signers.git("commit", "-q", "-m", "readme", person="carl")
    assert judged(signers, base).findings == ()


def test_a_signed_merge_by_another_owner_approves(signers: Signers) -> None:
    base = base_of(signers)
    signers.branch("work")
    signers.commit({GATEWAYS: "segment: gateways\nsgt: 7\n"}, "carl")
    signers.merge("work", "dora", "dora")
    found = judged(signers, base)
    assert found.findings == ()
    assert [item.approver for item in found.approvals] == [mail("dora")]


def test_life_support_needs_two_people(signers: Signers) -> None:
    base = base_of(signers)
    signers.branch("work")
    signers.commit({PUMPS: "segment: pumps\nsgt: 7\n"}, "nina")
    signers.approve("anna")
    signers.merge("work", "otto")
    found = judged(signers, base)
    assert codes_of(found) == ["SW4070"]
    assert "1 of 2" in found.findings[0].message
    signers.git("reset", "-q", "--hard", base)
    signers.git("checkout", "-q", "work")
    signers.approve("ben")
    signers.merge("work", "otto")
    found = judged(signers, base)
    assert found.findings == ()
    assert {item.approver for item in found.approvals} == {mail("anna"), mail("ben")}


def test_a_merge_without_any_approval(signers: Signers) -> None:
    base = base_of(signers)
    signers.branch("work")
    signers.commit({GATEWAYS: "x: 1\n"}, "carl")
    signers.merge("work", "dora")
    found = judged(signers, base)
    assert codes_of(found) == ["SW4070"]
    assert mail("dora") in found.findings[0].message and mail("carl") not in found.findings[0].message


def test_an_unsigned_commit_on_the_branch(signers: Signers) -> None:
    base = base_of(signers)
    signers.branch("work")
    signers.commit({GATEWAYS: "x: 1\n"}, "carl", sign=False)
    signers.merge("work", "dora", "dora")
    assert codes_of(judged(signers, base)) == ["SW4073"]


def test_unsigned_commits_beside_the_policy_do_not_matter(signers: Signers) -> None:
    base = base_of(signers)
    (signers.checkout / "README").write_text("beside the policy\n")
    signers.git("add", "--all")
    signers.git("commit", "-q", "-m", "readme", person="carl", sign=False)
    assert judged(signers, base).findings == ()


def test_an_unsigned_approval_counts_for_nothing(signers: Signers) -> None:
    base = base_of(signers)
    signers.commit({GATEWAYS: "x: 1\n"}, "carl")
    message = f"Approve\n\nApproved-by: Dora <{mail('dora')}>"
    signers.git("commit", "-q", "--allow-empty", "-m", message, person="dora", sign=False)
    assert codes_of(judged(signers, base)) == ["SW4070"]


def test_a_key_that_nobody_trusts(signers: Signers) -> None:
    base = base_of(signers)
    signers.key("mallory", trusted=False)
    signers.branch("work")
    signers.commit({GATEWAYS: "x: 1\n"}, "mallory")
    signers.merge("work", "dora", "dora")
    found = judged(signers, base)
    assert codes_of(found) == ["SW4073"]


def test_somebody_elses_name_on_ones_own_key(signers: Signers) -> None:
    """carl writes under dora's name and then approves as carl: the signature says who wrote it."""
    base = base_of(signers)
    signers.branch("work")
    signers.commit({GATEWAYS: "x: 1\n"}, "carl", author="dora")
    signers.merge("work", "carl", "carl")
    found = judged(signers, base)
    assert codes_of(found) == ["SW4070"]
    assert "SW4075" in warned(found)


def test_self_approval(signers: Signers) -> None:
    base = base_of(signers)
    signers.branch("work")
    signers.commit({GATEWAYS: "x: 1\n"}, "carl")
    signers.approve("carl")
    signers.merge("work", "dora")
    found = judged(signers, base)
    assert codes_of(found) == ["SW4070"] and "SW4075" in warned(found)


def test_a_trailer_that_names_another_is_no_approval(signers: Signers) -> None:
    base = base_of(signers)
    signers.branch("work")
    signers.commit({GATEWAYS: "x: 1\n"}, "nina")
    signers.approve("nina", "dora")
    signers.merge("work", "nina", "dora")
    assert codes_of(judged(signers, base)) == ["SW4070"]


def test_an_approver_of_another_team(signers: Signers) -> None:
    base = base_of(signers)
    signers.branch("work")
    signers.commit({GATEWAYS: "x: 1\n"}, "carl")
    signers.merge("work", "nina", "nina")
    found = judged(signers, base)
    assert codes_of(found) == ["SW4070"] and "server-operations" in found.findings[0].message


def test_changed_after_the_approval(signers: Signers) -> None:
    base = base_of(signers)
    signers.branch("work")
    signers.commit({GATEWAYS: "x: 1\n"}, "carl")
    signers.approve("dora")
    signers.commit({GATEWAYS: "x: 2\n"}, "carl")
    signers.merge("work", "nina")
    found = judged(signers, base)
    assert codes_of(found) == ["SW4070"] and "SW4076" in warned(found)


def test_edited_inside_the_merge(signers: Signers) -> None:
    """The branch was approved, and who merges it slips something in."""
    base = base_of(signers)
    signers.branch("work")
    signers.commit({GATEWAYS: "x: 1\n"}, "carl")
    signers.approve("dora")
    signers.git("checkout", "-q", "main")
    signers.git("merge", "-q", "--no-ff", "--no-commit", "work", person="nina")
    (signers.policies / GATEWAYS).write_text("x: evil\n")
    signers.git("add", "--all")
    signers.git("commit", "-q", "-m", "Merge work", person="nina")
    found = judged(signers, base)
    assert codes_of(found) == ["SW4070"]


def test_a_push_without_a_branch_is_approved_afterwards(signers: Signers) -> None:
    base = base_of(signers)
    signers.commit({GATEWAYS: "x: 1\n"}, "carl")
    assert codes_of(judged(signers, base)) == ["SW4070"]
    signers.approve("dora")
    assert judged(signers, base).findings == ()


def test_every_merge_since_the_last_approved_commit_counts(signers: Signers) -> None:
    base = base_of(signers)
    signers.branch("one")
    signers.commit({GATEWAYS: "x: 1\n"}, "carl")
    signers.merge("one", "nina")  # nobody of server-operations looked at it
    signers.branch("two")
    signers.commit({"site.yml": "name: t\n"}, "otto")
    signers.merge("two", "nina", "nina")
    found = judged(signers, base)
    assert codes_of(found) == ["SW4070"] and "server-operations" in found.findings[-1].message


def test_the_forges_key_signs_plain_merges_only(signers: Signers) -> None:
    base = base_of(signers)
    signers.branch("work")
    signers.commit({GATEWAYS: "x: 1\n"}, "carl")
    signers.approve("dora")
    signers.merge("work", "forge")
    assert judged(signers, base).findings == ()


def test_the_forges_key_on_an_edited_merge(signers: Signers) -> None:
    base = base_of(signers)
    signers.branch("work")
    signers.commit({GATEWAYS: "x: 1\n"}, "carl")
    signers.approve("dora")
    signers.git("checkout", "-q", "main")
    signers.git("merge", "-q", "--no-ff", "--no-commit", "work", person="forge")
    (signers.policies / GATEWAYS).write_text("x: evil\n")
    signers.git("add", "--all")
    signers.git("commit", "-q", "-m", "Merge work", person="forge")
    assert codes_of(judged(signers, base)) == ["SW4070", "SW4077"]


def test_the_forges_key_on_a_squashed_commit(signers: Signers) -> None:
    base = base_of(signers)
    signers.commit({GATEWAYS: "x: 1\n"}, "forge", author="carl")
    assert "SW4073" in codes_of(judged(signers, base))


def test_the_forge_approves_nothing(signers: Signers) -> None:
    base = base_of(signers)
    signers.branch("work")
    signers.commit({GATEWAYS: "x: 1\n"}, "carl")
    signers.merge("work", "forge", "forge")
    assert codes_of(judged(signers, base)) == ["SW4070"]


def approval(signers: Signers, person: str, plan: str = PLAN, signer: str = "") -> Path:
    path = write_approval(signers.folder / "approvals", plan, "c" * 40, mail(person), "looks right")
    Path(f"{path}.sig").unlink(missing_ok=True)  # ssh-keygen would ask
    signers.sign_file(path, signer or person, APPROVAL_NAMESPACE)
    return path


def test_signed_approval_files(signers: Signers) -> None:
    base = base_of(signers)
    signers.commit({PUMPS: "x: 1\n"}, "nina")
    approval(signers, "anna")
    assert codes_of(judged(signers, base)) == ["SW4070"]
    approval(signers, "ben")
    assert judged(signers, base).findings == ()


def test_no_two_people_share_a_file(tmp_path: Path) -> None:
    names = ("a.b@x.example", "a-b@x.example", "A.B@x.example")
    paths = [write_approval(tmp_path, PLAN, "c" * 40, name) for name in names]
    assert paths[0] != paths[1] and paths[0] == paths[2]  # names are compared in lower case


def test_an_approval_of_another_plan_counts_for_nothing(signers: Signers) -> None:
    base = base_of(signers)
    signers.commit({GATEWAYS: "x: 1\n"}, "carl")
    approval(signers, "dora", "b" * 64)
    found = judged(signers, base)
    assert codes_of(found) == ["SW4070"] and "SW4076" in warned(found)


def test_an_approval_signed_by_another(signers: Signers) -> None:
    base = base_of(signers)
    signers.commit({GATEWAYS: "x: 1\n"}, "carl")
    approval(signers, "dora", signer="carl")
    found = judged(signers, base)
    assert codes_of(found) == ["SW4070"] and "SW4072" in warned(found)


def test_an_edited_approval(signers: Signers) -> None:
    base = base_of(signers)
    signers.commit({GATEWAYS: "x: 1\n"}, "carl")
    path = approval(signers, "dora", "b" * 64)
    path.write_text(path.read_text().replace("b" * 64, PLAN))
    found = judged(signers, base)
    assert codes_of(found) == ["SW4070"] and "SW4072" in warned(found)


def test_a_signature_for_another_purpose(signers: Signers) -> None:
    base = base_of(signers)
    signers.commit({GATEWAYS: "x: 1\n"}, "carl")
    path = write_approval(signers.folder / "approvals", PLAN, "c" * 40, mail("dora"))
    signers.sign_file(path, "dora", "git")
    assert "SW4072" in warned(judged(signers, base))


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"kind": "approval"}', '{"kind":"approval","schema_version":"2.0"}', "\udcff", "[" * 5000]
)
def test_garbage_among_the_approvals_is_a_finding(signers: Signers, text: str) -> None:
    base = base_of(signers)
    signers.commit({GATEWAYS: "x: 1\n"}, "carl")
    folder = signers.folder / "approvals"
    folder.mkdir()
    (folder / "x.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    found = judged(signers, base)
    assert codes_of(found) == ["SW4070"] and "SW4080" in warned(found)


def record(signers: Signers, reviews: list[dict[str, str]], exporter: str = "exporter", signer: str = "") -> Path:
    value = {"kind": "review_record", "schema_version": "1.0", "exporter": mail(exporter), "reviews": reviews}
    path = signers.folder / "approvals" / "review.json"
    return signers.signed_json(path, value, signer or exporter, REVIEW_NAMESPACE)


def test_a_review_record_speaks_for_people_without_keys(signers: Signers) -> None:
    base = base_of(signers)
    signers.branch("work")
    head = signers.commit({GATEWAYS: "x: 1\n"}, "carl")
    content = signers.git("rev-parse", f"{head}:policies")
    signers.merge("work", "forge")
    record(signers, [{"reviewer": mail("dora"), "state": "approved", "content": content}])
    assert judged(signers, base).findings == ()


@pytest.mark.parametrize("case", ["dismissed", "other content", "wrong exporter", "forged exporter"])
def test_review_records_that_do_not_count(signers: Signers, case: str) -> None:
    base = base_of(signers)
    head = signers.commit({GATEWAYS: "x: 1\n"}, "carl")
    content = signers.git("rev-parse", f"{head}:policies")
    review = {"reviewer": mail("dora"), "state": "approved", "content": content}
    if case == "dismissed":
        record(signers, [review, {**review, "state": "dismissed"}])
    elif case == "other content":
        record(signers, [{**review, "content": "f" * 40}])
    elif case == "wrong exporter":
        record(signers, [review], "carl")
    else:
        record(signers, [review], "exporter", "carl")
    assert codes_of(judged(signers, base)) == ["SW4070"]


def test_a_replaced_object_is_not_what_was_signed(signers: Signers) -> None:
    base = base_of(signers)
    signers.branch("work")
    good = signers.commit({GATEWAYS: "x: 1\n"}, "carl")
    signers.merge("work", "dora", "dora")
    head = signers.git("rev-parse", "HEAD")
    unsigned = signers.git("commit-tree", f"{good}^{{tree}}", "-p", base, "-m", "x")
    signers.git("replace", good, unsigned)
    assert judged(signers, base, head).findings == ()  # judged as it was made, whatever stands in for it
    signers.git("replace", "-d", good)
    signers.git("replace", unsigned, good)
    assert judged(signers, base, unsigned).findings != ()


def test_an_expired_and_a_revoked_key(signers: Signers) -> None:
    base = base_of(signers)
    signers.branch("work")
    signers.commit({GATEWAYS: "x: 1\n"}, "carl")
    signers.merge("work", "dora", "dora")
    text = signers.allowed.read_text()
    signers.allowed.write_text(
        "\n".join(
            line.replace(" ssh-ed25519", ' valid-before="20200101" ssh-ed25519') if line.startswith("carl@") else line
            for line in text.splitlines()
        )
        + "\n"
    )
    assert codes_of(judged(signers, base)) == ["SW4073"]
    signers.allowed.write_text(text.replace("carl@hospital.example ", 'carl@hospital.example valid-before="" '))
    assert codes_of(judged(signers, base)) == ["SW4073"]  # ssh-keygen takes no such entry


def test_a_commit_dated_back_does_not_bring_an_expired_key_to_life(signers: Signers) -> None:
    base = base_of(signers)
    text = signers.allowed.read_text()
    signers.allowed.write_text(text.replace("carl@hospital.example ", 'carl@hospital.example valid-before="20200101" '))
    signers.branch("work")
    (signers.policies / GATEWAYS).write_text("segment: gateways\nsgt: 7\n")
    signers.git("add", "--all")
    dates = {"GIT_COMMITTER_DATE": "2019-06-01T12:00:00Z", "GIT_AUTHOR_DATE": "2019-06-01T12:00:00Z"}
    environment = {**ENVIRONMENT, **dates}
    words = [f"user.signingKey={signers.key('carl')}", "gpg.format=ssh", "user.name=carl", f"user.email={mail('carl')}"]
    options = [word for each in words for word in ("-c", each)]
    command = ["git", *options, "commit", "-q", "-S", "-m", "late"]
    subprocess.run(command, cwd=signers.checkout, env=environment, check=True)
    signers.merge("work", "dora", "dora")
    assert codes_of(judged(signers, base)) == ["SW4073"]


def as_entry(signers: Signers, person: str, names: str, options: str = "") -> None:
    """Make a person's key stand in the allowed-signers file for these names."""
    own = [line for line in signers.allowed.read_text().splitlines() if not line.startswith(f"{mail(person)} ")]
    key = " ".join(signers.key(person).with_suffix(".pub").read_text().split()[:2])
    entry = " ".join(filter(None, (names, options, key)))
    signers.allowed.write_text("\n".join((*own, entry)) + "\n")


def test_a_pattern_of_names_lets_a_key_speak_for_nobody(signers: Signers) -> None:
    base = base_of(signers)
    signers.commit({GATEWAYS: "x: 1\n"}, "carl")
    as_entry(signers, "carl", "*@hospital.example")
    approval(signers, "dora", signer="carl")
    found = judged(signers, base)
    assert codes_of(found) == ["SW4070", "SW4073"] and "SW4072" in warned(found)


def test_the_key_that_a_change_was_written_with_approves_it_under_no_name(signers: Signers) -> None:
    base = base_of(signers)
    signers.commit({GATEWAYS: "x: 1\n"}, "carl")
    as_entry(signers, "carl", f"{mail('carl')},{mail('dora')}", 'namespaces="git,segwright-approval"')
    approval(signers, "dora", signer="carl")
    found = judged(signers, base)
    assert codes_of(found) == ["SW4070"] and "SW4075" in warned(found)
    approval(signers, "dora")
    assert judged(signers, base).findings == ()


def test_a_name_that_only_looks_like_one_is_nobodys(signers: Signers) -> None:
    base = base_of(signers)
    as_entry(signers, "carl", "mar\N{KELVIN SIGN}@hospital.example")
    assert "mar\N{KELVIN SIGN}".lower() == "mark"
    signers.commit({GATEWAYS: "x: 1\n"}, "carl")
    assert "SW4073" in codes_of(judged(signers, base))


def test_two_names_of_one_key_are_one_person(signers: Signers) -> None:
    base = base_of(signers)
    signers.commit({PUMPS: "x: 1\n"}, "nina")
    as_entry(signers, "anna", f"{mail('anna')},{mail('ben')}")
    approval(signers, "anna")
    approval(signers, "ben", signer="anna")
    assert codes_of(judged(signers, base)) == ["SW4070"]
    approval(signers, "ben")
    assert judged(signers, base).findings == ()


def test_without_a_file_of_keys_nothing_is_judged(signers: Signers) -> None:
    with pytest.raises(FindingError, match="SW4071"):
        signed_commits(signers.policies, ["HEAD"], TrustedKeys(str(signers.folder / "absent")))


def test_a_gpg_signature_counts_with_its_key_in_the_file(signers: Signers) -> None:
    if not shutil.which("gpg"):
        pytest.skip("gpg is needed (Debian package gnupg)")
    home = signers.folder / "g"
    home.mkdir(mode=0o700)
    name = f"Gina <{mail('dora')}>"
    gpg = ["gpg", "--batch", "--quiet", "--homedir", str(home)]
    try:
        run([*gpg, "--passphrase", "", "--quick-generate-key", name, "ed25519", "sign", "never"], home)
        exported = signers.folder / "keys.asc"
        exported.write_text(run([*gpg, "--armor", "--export"], home) + "\n")
        base = base_of(signers)
        signers.branch("work")
        signers.commit({GATEWAYS: "x: 1\n"}, "carl")
        signers.git("checkout", "-q", "main")
        message = f"Merge\n\nApproved-by: Dora <{mail('dora')}>"
        options = ["-c", f"user.email={mail('dora')}", "-c", "user.name=Gina", "-c", "gpg.format=openpgp"]
        words = ["merge", "-q", "--no-ff", f"-S{mail('dora')}", "-m", message, "work"]
        run(["git", *options, *words], signers.checkout, GNUPGHOME=str(home))
        assert judged(signers, base, gpg=str(exported)).findings == ()
        assert "SW4073" in codes_of(judged(signers, base))
    finally:
        run(["gpgconf", "--homedir", str(home), "--kill", "all"], signers.folder)


def test_only_what_is_on_the_protected_branch(signers: Signers) -> None:
    base = base_of(signers)
    signers.branch("work")
    head = signers.commit({GATEWAYS: "x: 1\n"}, "carl")
    assert protected_findings(signers.policies, base, "main") == []
    for branch in ("main", "origin/main", "", "--output=x"):
        (finding,) = protected_findings(signers.policies, head, branch)
        assert finding.code == "SW4074"


def test_the_trusted_keys_come_from_outside(signers: Signers) -> None:
    """A change that brings its own allowed-signers file is judged by the controller's."""
    base = base_of(signers)
    signers.key("mallory", trusted=False)
    public = signers.key("mallory").with_suffix(".pub").read_text()
    signers.branch("work")
    signers.commit({"allowed_signers": f"{mail('dora')} {public}"}, "mallory")
    signers.git("config", "gpg.ssh.allowedSignersFile", str(signers.policies / "allowed_signers"))
    signers.merge("work", "dora", "dora")
    assert "SW4073" in codes_of(judged(signers, base))


def test_a_name_with_the_separator_is_no_signature(signers: Signers) -> None:
    base = base_of(signers)
    tree = signers.git("rev-parse", "HEAD^{tree}")
    people = "author a <x\x1ey@z> 1790000000 +0000\ncommitter a <x\x1ey@z> 1790000000 +0000\n"
    text = f"tree {tree}\nparent {base}\n{people}\nword\n"
    commit = run(["git", "hash-object", "-t", "commit", "-w", "--stdin", "--literally"], signers.checkout, text)
    (found,) = signed_commits(signers.policies, [commit, f"^{base}"], TrustedKeys(str(signers.allowed)))
    assert found.commit == commit and found.fault and not found.signer


def test_grafts_hide_nothing(signers: Signers) -> None:
    """Parents that .git/info/grafts names instead of the signed ones would leave commits out."""
    base = base_of(signers)
    signers.commit({GATEWAYS: "x: 1\n"}, "carl", sign=False)
    head = signers.commit({GATEWAYS: "segment: gateways\n"}, "carl")
    grafts = signers.checkout / ".git" / "info" / "grafts"
    grafts.parent.mkdir(exist_ok=True)
    grafts.write_text(f"{head} {base}\n")
    assert "SW4073" in codes_of(judged(signers, base, head))
