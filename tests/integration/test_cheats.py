# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways to cheat or to err between a reviewed change and the network: each is refused with its code, and nothing is written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.lock import StateLock
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import read_plan, with_effect, write_plan
from tests.integration.conftest import LabTargets
from tests.integration.test_change_control import DAYS, TEAMS, SiteSigners, calendar
from tests.integration.test_drift_and_rollback import change_three_by_hand, widen_two_services
from tests.integration.test_refusals import codes_in
from tests.lab.places import CHECKOUT
from tests.lab.playbooks import Site
from tests.unit.change.signers import mail

VIENNA = ZoneInfo("Europe/Vienna")
ALWAYS = "windows:\n  - {id: always, zones: [all], days: [mon, tue, wed, thu, fri, sat, sun], start: '00:00', end: '24:00'}\n"
WHY = {"microseg_reason": "The cameras scan the clinical network", "microseg_person": mail("nina")}
PULL = {"microseg_posture_state": "pulled", "microseg_posture_names": ["isolate_cameras"]}


@dataclass
class Desk:
    """A copy of the site with an approved plan, as the one who cheats finds it."""

    site: Site
    signers: SiteSigners
    targets: LabTargets

    @property
    def approval(self) -> Path:
        (found,) = (self.site.state / "approvals").glob("*.json")
        return found

    def copied(self, work: Path) -> Desk:
        """The same in a folder of its own, with keys of its own; the targets are shared."""
        shutil.copytree(self.site.directory, work / "work", symlinks=True)
        shutil.copytree(self.signers.folder, work / "keys")
        copy = Site(self.site.places, work / "work", work / "logs", variables=dict(self.site.variables))
        signers = SiteSigners(work / "keys", copy)
        copy.variables["microseg_allowed_signers"] = str(signers.allowed)
        return replace(self, site=copy, signers=signers)

    def replan(self) -> None:
        run = self.site.run("plan")
        assert run.code == 0, run.tail()

    def approve(self, *people: str, purpose: str = "segwright-approval") -> None:
        """Approve the present plan as people, by files that they sign."""
        shutil.rmtree(self.site.state / "approvals", ignore_errors=True)
        for person in people:
            run = self.site.run("approve", microseg_approver=mail(person))
            assert run.code == 0, run.tail()
        for path in sorted((self.site.state / "approvals").glob("*.json")):
            person = next(name for name in people if mail(name) in path.read_text(encoding="utf-8"))
            self.signers.sign_file(path, person, purpose)

    def lines(self) -> list[str]:
        return (self.site.state / "journal.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)

    def journal(self, lines: list[str]) -> None:
        (self.site.state / "journal.jsonl").write_text("".join(lines), encoding="utf-8")


@dataclass(frozen=True)
class Cheat:
    """``codes``: one of them has to be named. ``step``, ``flags``, ``variables``, ``clock`` (seconds): how it is tried."""

    codes: frozenset[str]
    do: Callable[[Desk], Any]
    step: str = "apply"
    flags: tuple[str, ...] = ()
    variables: tuple[tuple[str, Any], ...] = ()
    clock: float = 0.0


CHEATS: dict[str, Cheat] = {}


def cheat(codes: str, **more: Any) -> Callable[[Callable[[Desk], Any]], Callable[[Desk], Any]]:
    def keep(function: Callable[[Desk], Any]) -> Callable[[Desk], Any]:
        CHEATS[function.__name__] = Cheat(frozenset(codes.split()), function, **more)
        return function

    return keep


def note(desk: Desk, **more: Any) -> None:
    """A change of a document that changes no list: a comment, committed as told."""
    path = desk.site.policy / "services.yml"
    desk.signers.commit(
        {"services.yml": path.read_text(encoding="utf-8") + "# a word more\n"}, **{"person": "otto", **more}
    )


# -- commits and approvals


@cheat("SW4073")
def an_unsigned_commit(desk: Desk) -> None:
    note(desk, sign=False)
    desk.replan()


@cheat("SW4073")
def a_commit_by_a_key_that_nobody_trusts(desk: Desk) -> None:
    desk.signers.key("mallory", trusted=False)
    note(desk, person="mallory")
    desk.replan()


@cheat("SW4070")
def the_author_approves(desk: Desk) -> None:
    desk.approve("otto")


@cheat("SW4070")
def somebody_of_no_team_approves(desk: Desk) -> None:
    desk.signers.key("mallory")
    desk.approve("mallory")


@cheat("SW4070")
def nobody_approves(desk: Desk) -> None:
    shutil.rmtree(desk.site.state / "approvals")


@cheat("SW4013 SW4074")
def amended_after_the_approval(desk: Desk) -> None:
    desk.signers.git("commit", "-q", "--amend", "--allow-empty", "-m", "amended", person="otto")


@cheat("SW4070")
def amended_and_planned_again(desk: Desk) -> None:
    note(desk)
    desk.signers.git("commit", "-q", "--amend", "-m", "amended", person="otto")
    desk.replan()


@cheat("SW4070 SW4072")
def an_approval_signed_by_another(desk: Desk) -> None:
    signature = Path(f"{desk.approval}.sig")
    signature.unlink()
    desk.signers.sign_file(desk.approval, "otto", "segwright-approval")


@cheat("SW4070 SW4072")
def an_approval_edited_after_signing(desk: Desk) -> None:
    desk.approval.write_text(desk.approval.read_text(encoding="utf-8") + " ", encoding="utf-8")


@cheat("SW4070 SW4072")
def a_signature_made_for_something_else(desk: Desk) -> None:
    desk.approve("ben", purpose="git")


@cheat("SW4070 SW4072 SW4080")
def an_approval_without_a_signature(desk: Desk) -> None:
    Path(f"{desk.approval}.sig").unlink()


@cheat("SW4070 SW4080")
def an_approval_that_is_no_approval(desk: Desk) -> None:
    path = desk.approval
    path.write_text("[1, 2", encoding="utf-8")
    Path(f"{path}.sig").unlink()
    desk.signers.sign_file(path, "ben", "segwright-approval")


@cheat("SW4070")
def an_approval_of_another_plan(desk: Desk) -> None:
    content = json.loads(desk.approval.read_text(encoding="utf-8"))
    desk.approval.write_text(json.dumps({**content, "plan_id": "f" * 64}), encoding="utf-8")
    Path(f"{desk.approval}.sig").unlink()
    desk.signers.sign_file(desk.approval, "ben", "segwright-approval")


@cheat("SW4070 SW4072 SW4080")
def a_review_record_that_the_forge_did_not_sign(desk: Desk) -> None:
    shutil.rmtree(desk.site.state / "approvals")
    content = desk.signers.git("rev-parse", "HEAD^{tree}")
    record = {
        "kind": "review_record", "schema_version": "1.0", "exporter": mail("exporter"),
        "reviews": [{"reviewer": mail("ben"), "state": "approved", "content": content}],
    }  # fmt: skip
    desk.signers.key("mallory")
    desk.signers.signed_json(desk.site.state / "approvals" / "review.json", record, "mallory", "segwright-review")


@cheat("SW4074")
def a_commit_that_was_never_merged(desk: Desk) -> None:
    desk.signers.branch("work")
    note(desk)
    desk.replan()
    desk.approve("ben")


@cheat("SW4074", variables=(("microseg_protected_branch", "release"),))
def a_tag_that_is_called_as_the_branch(desk: Desk) -> None:
    desk.signers.git("tag", "release")


@cheat("SW4070")
def a_change_that_names_its_own_approver(desk: Desk) -> None:
    desk.signers.key("mallory")
    text = (desk.site.policy / "approvers.yml").read_text(encoding="utf-8")
    desk.signers.commit({"approvers.yml": text.replace(mail("ben"), mail("mallory"))}, "otto")
    desk.replan()
    desk.approve("mallory")


@cheat("SW4070")
def a_change_that_asks_for_no_approval(desk: Desk) -> None:
    desk.signers.commit({"approvers.yml": None}, "otto")
    desk.replan()


@cheat("SW4002 SW4071")
def keys_from_inside_the_checkout(desk: Desk) -> None:
    inside = desk.site.policy / ".signers"
    shutil.copy(desk.signers.allowed, inside)
    desk.site.variables["microseg_allowed_signers"] = str(inside)


@cheat("SW4071")
def no_keys_at_all(desk: Desk) -> None:
    desk.site.variables["microseg_allowed_signers"] = str(desk.site.directory / "gone")


@cheat("SW4073 SW4077")
def a_squashed_commit_by_the_forge(desk: Desk) -> None:
    note(desk, person="forge")
    desk.replan()
    desk.approve("ben")


# -- documents


@cheat("SW4002")
def a_document_that_is_not_committed(desk: Desk) -> None:
    path = desk.site.policy / "services.yml"
    path.write_text(path.read_text(encoding="utf-8") + "# a word more\n", encoding="utf-8")


@cheat("SW4002 SW4014")
def a_document_that_git_is_told_not_to_see(desk: Desk) -> None:
    desk.signers.git("update-index", "--assume-unchanged", "services.yml")
    path = desk.site.policy / "services.yml"
    path.write_text(path.read_text(encoding="utf-8") + "# a word more\n", encoding="utf-8")


@cheat("SW4002")
def members_that_are_not_committed(desk: Desk) -> None:
    path = desk.site.policy / "members.lock.json"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")


# -- the plan


@cheat("SW4012")
def an_edited_plan(desk: Desk) -> None:
    path = desk.site.state / "plan.json"
    path.write_text(path.read_text(encoding="utf-8").replace("1123", "1124"), encoding="utf-8")


@cheat("SW4070")
def an_edited_plan_with_a_hash_of_its_own(desk: Desk) -> None:
    path = desk.site.state / "plan.json"
    plan = read_plan(path)
    write_plan(path, with_effect(plan, {**plan.effect, "sentence": "nothing happens"}))


@cheat("SW4012")
def a_step_that_is_not_what_the_commit_asks_for(desk: Desk) -> None:
    """Whoever approved it looked at the commit: nothing else is written, whatever the plan's file says."""
    path = desk.site.state / "plan.json"
    plan = read_plan(path)
    first, *others = (part for part in plan.targets if part.operations)
    step = replace(first.operations[0], phase=first.operations[0].phase + 1)
    forged = replace(first, operations=(step, *first.operations[1:]))
    kept = [part for part in plan.targets if not part.operations]
    write_plan(path, with_effect(replace(plan, targets=(forged, *others, *kept)), plan.effect))
    desk.approve("ben")


@cheat("SW4012 SW4120 SW4121", variables=(("microseg_plan_id", "0" * 64),))
def another_plan_than_the_approved_one(desk: Desk) -> None:
    pass


@cheat("SW4002 SW4013 SW4015 SW4070")
def the_plan_of_last_week(desk: Desk) -> None:
    old = [json.loads(line) for line in desk.lines()]
    (first, *_more) = [entry["plan_id"] for entry in old if entry["event"] == "plan_done"]
    shutil.copy(desk.site.state / "plans" / f"{first}.json", desk.site.state / "plan.json")


@cheat("SW4010", flags=("--limit", "fw1"))
def the_plan_of_another_inventory(desk: Desk) -> None:
    pass


@cheat("SW4015")
def live_state_changed_by_hand(desk: Desk) -> None:
    change_three_by_hand(desk.targets)


# -- the record


@cheat("SW4030")
def an_edited_journal(desk: Desk) -> None:
    lines = desk.lines()
    desk.journal([lines[0].replace('"plan_started"', '"plan_stArted"'), *lines[1:]])


@cheat("SW4032")
def a_journal_without_its_end(desk: Desk) -> None:
    desk.journal(desk.lines()[:-1])


@cheat("SW4030")
def a_journal_in_another_order(desk: Desk) -> None:
    first, second, *rest = desk.lines()
    desk.journal([second, first, *rest])


@cheat("SW4030 SW4032")
def a_journal_with_a_gap(desk: Desk) -> None:
    first, _second, *rest = desk.lines()
    desk.journal([first, *rest])


@cheat("SW4030 SW4032")
def no_journal(desk: Desk) -> None:
    (desk.site.state / "journal.jsonl").unlink()


# -- the time


@cheat("SW4092", clock=-86_400.0)
def a_clock_set_back(desk: Desk) -> None:
    pass


def dated(desk: Desk, text: str) -> None:
    desk.signers.commit({"calendar.yml": text}, "otto", "A calendar")
    desk.replan()
    desk.approve("ben")


@cheat("SW4090")
def no_window_is_open(desk: Desk) -> None:
    dated(desk, calendar(datetime.now(UTC) + timedelta(days=3)))


@cheat("SW4090")
def the_window_of_another_zone(desk: Desk) -> None:
    dated(desk, ALWAYS.replace("[all]", "[vendor]"))


@cheat("SW4090")
def a_freeze(desk: Desk) -> None:
    today = datetime.now(VIENNA).date()
    more = f"freezes:\n  - {{id: f, zones: [all], from: '{today}', until: '{today + timedelta(days=2)}', reason: Ward, owner: radiology}}\n"
    dated(desk, ALWAYS + more)


def until(moment: datetime) -> float:
    return (moment - datetime.now(UTC)).total_seconds()


NIGHTS = f"windows:\n  - {{id: night, zones: [all], days: [{', '.join(DAYS)}], start: '02:10', end: '02:50'}}\n"
SPRING = until(datetime(2027, 3, 28, 1, 20, tzinfo=UTC))  # 03:20: there was no quarter past two
AUTUMN = until(datetime(2027, 10, 31, 1, 20, tzinfo=UTC))  # the second 02:20 of that night


@cheat("SW4090", clock=SPRING)
def an_hour_that_the_night_does_not_have(desk: Desk) -> None:
    dated(desk, NIGHTS)


@cheat("SW4090", clock=AUTUMN)
def the_second_reading_of_an_hour(desk: Desk) -> None:
    dated(desk, NIGHTS)


# -- several at once


@contextmanager
def held(desk: Desk) -> Iterator[None]:
    with StateLock(desk.site.state / "lock", "apply of somebody else"):
        yield


@cheat("SW4040")
def two_controllers(desk: Desk) -> Any:
    return held(desk)


# -- emergencies


@cheat("SW4141", step="posture", variables=tuple(PULL.items()))
def an_emergency_without_a_reason(desk: Desk) -> None:
    pass


@cheat(
    "SW4601", step="posture", variables=tuple({**PULL, **WHY, "microseg_posture_names": ["open_everything"]}.items())
)
def an_emergency_that_nobody_prepared(desk: Desk) -> None:
    pass


@cheat("SW4142", step="posture", variables=tuple({**PULL, **WHY}.items()))
def an_emergency_that_brings_other_changes(desk: Desk) -> None:
    """The two services that were widened are planned, and not applied."""


@cheat("SW4141", step="posture", variables=tuple({**PULL, **WHY, "microseg_emergency_minutes": 100_000}.items()))
def an_emergency_for_ever(desk: Desk) -> None:
    pass


QUICK = (
    "the_author_approves",
    "an_edited_plan",
    "a_clock_set_back",
    "two_controllers",
    "an_emergency_without_a_reason",
)


def test_each_is_refused_and_nothing_is_written(
    targets: LabTargets, at: Callable[[str], Site], tmp_path: Path, full: bool
) -> None:
    if not shutil.which("ssh-keygen"):
        pytest.skip("ssh-keygen is needed (Debian package openssh-client)")
    assert len(CHEATS) >= 40
    site = at("verified")
    desk = prepared(site, targets, tmp_path)
    moment = targets.remember()
    run = site.run("apply", "--check")  # what all of them begin with would be carried out
    assert run.code == 0 and site.run("apply", "--check").code == 0, run.tail()
    failed = []
    for number, name in enumerate(CHEATS if full else QUICK):
        tried = CHEATS[name]
        mine = desk.copied(tmp_path / f"{number:02}")
        copy = mine.site
        during = tried.do(mine)
        counter = targets.writes()
        clock = {"PYTHONPATH": str(CHECKOUT / "tests" / "lab" / "clock"), "SEGWRIGHT_LAB_CLOCK": str(tried.clock)}
        environment = clock if tried.clock else None
        if during is None:
            run = copy.run(tried.step, *tried.flags, environment=environment, **dict(tried.variables))
        else:
            with during:
                run = copy.run(tried.step, *tried.flags, environment=environment, **dict(tried.variables))
        said, written = codes_in(run), counter.counts()
        print(f"{name}: exit {run.code}, {sorted(said & tried.codes)}, writes {sum(written.values())}")
        if run.code == 0 or not said & tried.codes or set(written.values()) != {0}:
            failed.append(
                f"{name}: exit {run.code}, codes {sorted(said)}, wanted {sorted(tried.codes)}, writes {written}\n{run.tail(12)}"
            )
        if name == "live_state_changed_by_hand":
            targets.restore(moment)
    assert not failed, "\n".join(failed)


def prepared(site: Site, targets: LabTargets, tmp_path: Path) -> Desk:
    """A site with people, postures and an open window, all of it applied; and a change that is planned and approved."""
    folder = tmp_path / "keys"
    folder.mkdir()
    signers = SiteSigners(folder, site)
    signers.allowed.touch()
    for person in ("anna", "ben", "otto", "nina", "forge"):
        signers.key(person)
    owners = {f"{team}: [{mail('anna')}, {mail('ben')}, {mail('otto')}]" for team in TEAMS}
    approvers = "teams:\n" + "".join(f"  {owner}\n" for owner in sorted(owners))
    approvers += f"site: network-security\nforges: [{mail('forge')}]\nexporters: [{mail('exporter')}]\n"
    desk = Desk(site, signers, targets)
    widen_two_services(site)
    signers.git("reset", "-q", "--soft", "HEAD^")  # that commit is not signed; what it changed is committed below
    changed = (site.policy / "services.yml").read_text(encoding="utf-8")
    signers.git("checkout", "-q", "HEAD", "--", "services.yml")
    postures = (CHECKOUT / "policies" / "postures.yml").read_text(encoding="utf-8")
    first = {"approvers.yml": approvers, "calendar.yml": ALWAYS, "postures.yml": postures}
    signers.commit(first, "otto", "Who, when, and what in an emergency")
    site.variables |= {"microseg_allowed_signers": str(signers.allowed), "microseg_protected_branch": "main"}
    # It changes no list, and is in force from now on all the same.
    desk.replan()
    desk.approve("ben")
    run = site.run("apply")
    assert run.code == 0, run.tail()
    shutil.rmtree(site.state / "approvals", ignore_errors=True)
    signers.commit({"services.yml": changed}, "otto", "Two services are wider")
    desk.replan()
    desk.approve("ben")
    return desk
