# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rollout does next, from logs as a site has them: it waits, goes on, or takes a ring back."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes as codes_module
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import journal as journal_module
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import Plan, TargetPlan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rings import (
    DONE,
    FAILED,
    SOAKING,
    UNDONE,
    WAITING,
    Part,
    Progress,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.naming import owned_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import ingest
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.loader import load_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import ExitCriteria, Ring, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import apply as apply_module
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import ring_back, ring_turn
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.reauthentication import After
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.rollout import Decision, decide, watched_devices

CHANGED = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
ONE, TWO = Part("one", (("ise1", "a"),), 60), Part("two", (("ise1", "b"),))
PUMPS, SERVER, OTHER = ("100.64.10.11", "100.64.10.12"), "100.64.40.13", "100.64.30.31"
FIELDS = [
    "ts",
    "uid",
    "id.orig_h",
    "id.orig_p",
    "id.resp_h",
    "id.resp_p",
    "proto",
    "service",
    "duration",
    "orig_bytes",
    "resp_bytes",
    "conn_state",
    "missed_bytes",
    "history",
    "orig_pkts",
    "orig_ip_bytes",
    "resp_pkts",
    "resp_ip_bytes",
]


@pytest.fixture(scope="module")
def site(root: Path) -> Site:
    found = load_site(root / "policies").site
    assert found is not None
    return replace(found, rings=(Ring("one", ("infusion_pumps",), (), 60), Ring("two", ("cameras",))))


def line(when: datetime, client: str, answered: bool, number: int) -> str:
    state, history, back = ("SF", "ShADadFf", ("4", "400")) if answered else ("S0", "S", ("0", "0"))
    ends = (client, str(40000 + number % 20000), SERVER, "8883", "tcp", "-")
    counts = ("1.0", "200", "300" if answered else "0", state, "0", history, "5", "400", *back)
    return "\t".join((f"{when.timestamp():.6f}", f"C{number}", *ends, *counts)) + "\n"


def flows(
    folder: Path,
    until: dict[str, datetime],
    unanswered_from: datetime | None = None,
    last: datetime = CHANGED,
    more: str = "",
) -> None:
    """Write a log of each pump opening a connection every ten minutes until its time, and a camera that goes on to the end."""
    lines, number = [], 0
    moment = CHANGED - timedelta(days=15)
    while moment <= last:
        for client in (*PUMPS, OTHER):
            number += 1
            when = moment + timedelta(seconds=number % 50)
            if when <= until.get(client, last):
                good = unanswered_from is None or client != PUMPS[0] or when < unanswered_from
                lines.append(line(when, client, good, number))
        moment += timedelta(minutes=10)
    log = folder / "conn.log"
    log.write_text("#separator \\x09\n#fields\t" + "\t".join(FIELDS) + "\n" + "".join(lines) + more, encoding="utf-8")
    result = ingest.ingest([log], folder / "data")
    # A record that ends in the future is named.
    assert {each.code for each in result.findings} <= {"SW1428"} and result.inputs[0]["kind"] == "zeek_conn"


def progress(minutes: int = 60) -> tuple[Progress, ...]:
    until = CHANGED + timedelta(minutes=minutes)
    return Progress(ONE, SOAKING, CHANGED, CHANGED, until), Progress(TWO, WAITING)


def at(folder: Path, site: Site, now: datetime, blind: bool = False) -> Decision:
    return decide(progress(), site, folder / "data", now, blind=blind)


def codes(decision: Decision) -> list[str]:
    return [finding.code for finding in decision.findings]


def test_a_ring_whose_devices_talk_as_before_is_watched_and_then_followed(tmp_path: Path, site: Site) -> None:
    flows(tmp_path, {}, last=CHANGED + timedelta(hours=2))
    early = at(tmp_path, site, CHANGED + timedelta(minutes=30))
    assert (early.part, early.undo, codes(early)) == (None, None, ["SW4131"])
    later = at(tmp_path, site, CHANGED + timedelta(minutes=61))
    assert (later.part, later.undo, codes(later)) == (TWO, None, [])
    assert later.health is not None and later.health.as_dict()["heard"] == 2 and later.health.devices == 3


def test_a_silent_device_takes_the_ring_back_and_is_named(tmp_path: Path, site: Site) -> None:
    flows(tmp_path, {PUMPS[0]: CHANGED}, last=CHANGED + timedelta(hours=3))
    found = at(tmp_path, site, CHANGED + timedelta(hours=3))
    assert (found.part, found.undo, codes(found)) == (None, ONE, ["SW4132"])
    assert "; pump1: silent for 171 minutes, at most 10 before" in found.findings[0].message
    assert (
        "ring one: pump1 (100.64.10.11 to 100.64.40.13 mqtt-tls): silent for 171 minutes" in found.findings[0].message
    )
    assert "pump2" not in found.findings[0].message


def test_opens_without_an_answer_take_it_back_while_it_is_still_watched(tmp_path: Path, site: Site) -> None:
    flows(tmp_path, {}, unanswered_from=CHANGED, last=CHANGED + timedelta(minutes=55))
    found = at(tmp_path, site, CHANGED + timedelta(minutes=55))
    assert (found.part, found.undo, codes(found)) == (None, ONE, ["SW4132"])
    assert ": 6 of 6 opens got no answer since" in found.findings[0].message


def denials(folder: Path, *moments: datetime) -> None:
    """Write the log of a firewall that refused one pump at these moments."""
    entry = f"Deny tcp src in:{PUMPS[1]}/50001 dst out:{SERVER}/8883"
    lines = [
        f'<166>{moment:%Y-%m-%dT%H:%M:%SZ} fw9 : %ASA-4-106023: {entry} by access-group "seg-in" [0x0, 0x0]\n'
        for moment in moments
    ]
    log = folder / "syslog"
    log.write_text("".join(lines), encoding="utf-8")
    assert not ingest.ingest([log], folder / "data").findings


def test_denials_of_what_history_knows_take_it_back(tmp_path: Path, site: Site) -> None:
    flows(tmp_path, {}, last=CHANGED + timedelta(minutes=20))
    denials(tmp_path, *(CHANGED + timedelta(minutes=minute) for minute in (2, 5, 8)))
    found = at(tmp_path, site, CHANGED + timedelta(minutes=20))
    assert (found.undo, codes(found)) == (ONE, ["SW4132"])
    assert ": 3 packets refused since, seen on " in found.findings[0].message


@pytest.mark.one_python
def test_what_was_refused_as_often_before_is_not_the_changes_doing(tmp_path: Path, site: Site) -> None:
    flows(tmp_path, {}, last=CHANGED + timedelta(hours=2))
    always = [CHANGED + timedelta(minutes=10 * number) for number in range(-400, 12)]
    denials(tmp_path, *always)
    found = at(tmp_path, site, CHANGED + timedelta(hours=2))
    assert (found.part, found.undo, codes(found)) == (TWO, None, [])
    # Ten times as often is.
    more = [CHANGED + timedelta(minutes=2, seconds=60 * number + 7) for number in range(110)]
    denials(tmp_path, *more)
    assert at(tmp_path, site, CHANGED + timedelta(hours=2)).undo == ONE


def test_a_ring_that_stopped_half_way_is_judged_too(tmp_path: Path, site: Site) -> None:
    flows(tmp_path, {PUMPS[0]: CHANGED}, last=CHANGED + timedelta(hours=3))
    now = CHANGED + timedelta(hours=3)
    half = (Progress(ONE, FAILED, CHANGED, touched=True), Progress(TWO, WAITING))
    found = decide(half, site, tmp_path / "data", now)
    assert (found.part, found.undo, codes(found)) == (None, ONE, ["SW4132"])
    nothing_written = (replace(half[0], touched=False), half[1])
    assert decide(nothing_written, site, tmp_path / "data", now).part == ONE


def test_a_device_taken_away_weeks_after_the_last_ring_takes_nothing_back(tmp_path: Path, site: Site) -> None:
    flows(tmp_path, {PUMPS[0]: CHANGED + timedelta(minutes=20)}, last=CHANGED + timedelta(hours=5))
    done = (Progress(ONE, SOAKING, CHANGED, CHANGED, CHANGED + timedelta(hours=1)),)
    assert decide(done, site, tmp_path / "data", CHANGED + timedelta(hours=5)).undo == ONE
    assert decide(done, site, tmp_path / "data", CHANGED + timedelta(days=15)) == Decision()


@pytest.mark.one_python
def test_a_plan_made_anew_does_not_end_the_watch(tmp_path: Path, site: Site) -> None:
    flows(tmp_path, {PUMPS[0]: CHANGED}, last=CHANGED + timedelta(hours=3))
    own, earlier = (Progress(TWO, WAITING),), progress()[0]

    def at_minute(minutes: int, **more: object) -> Decision:
        now = CHANGED + timedelta(minutes=minutes)
        return decide(own, site, tmp_path / "data", now, earlier=replace(earlier, **more))  # type: ignore[arg-type]

    assert (at_minute(5).part, codes(at_minute(5))) == (None, ["SW4131"])
    assert (at_minute(180).part, at_minute(180).undo) == (None, ONE)
    assert (at_minute(180, state=UNDONE).part, codes(at_minute(180, state=UNDONE))) == (None, ["SW4130"])


@pytest.mark.one_python
def test_a_record_that_ends_in_the_future_makes_nobody_silent(tmp_path: Path, site: Site) -> None:
    late = line(CHANGED + timedelta(hours=1), OTHER, True, 999_999).replace("\t1.0\t", f"\t{30 * 86400.0}\t")
    flows(tmp_path, {}, last=CHANGED + timedelta(hours=2), more=late)
    found = at(tmp_path, site, CHANGED + timedelta(hours=2))
    assert (found.part, found.undo, codes(found)) == (TWO, None, [])


def retired(decision: Decision) -> list[str]:
    assert decision.health is not None
    return [sign.talk.name for sign in decision.health.retired]


def test_a_device_that_was_taken_away_before_is_named_and_holds_nothing(tmp_path: Path, site: Site) -> None:
    flows(tmp_path, {PUMPS[0]: CHANGED - timedelta(days=3)}, last=CHANGED + timedelta(hours=2))
    found = at(tmp_path, site, CHANGED + timedelta(hours=2))
    assert (found.part, found.undo, codes(found)) == (TWO, None, ["SW4176"])
    assert sorted(retired(found)) == ["pump1", "pump1 (100.64.10.11 to 100.64.40.13 mqtt-tls)"]
    text = "pump1: last seen 3 days before the change, at most 10 minutes apart before"
    assert text in found.findings[0].message and "pump2" not in found.findings[0].message


def test_one_that_ended_an_hour_before_is_waited_for(tmp_path: Path, site: Site) -> None:
    """Nobody knows whether it was taken away, or is switched off while somebody works on it and will find itself cut off."""
    flows(tmp_path, {PUMPS[0]: CHANGED - timedelta(hours=1)}, last=CHANGED + timedelta(hours=2))
    found = at(tmp_path, site, CHANGED + timedelta(hours=2))
    assert (found.part, found.undo, codes(found), retired(found)) == (None, None, ["SW4133"], [])


def test_what_a_long_ring_cut_with_its_first_step_is_no_retired_device(tmp_path: Path, site: Site) -> None:
    cut = CHANGED - timedelta(days=2)  # the ring took two days, until its sessions were all well
    flows(tmp_path, {PUMPS[0]: cut}, last=CHANGED + timedelta(hours=2))
    ring = replace(progress()[0], began=cut, first=cut)
    found = decide((ring, progress()[1]), site, tmp_path / "data", CHANGED + timedelta(hours=2))
    assert (found.undo, codes(found)) == (ONE, ["SW4132"])


def test_a_pause_of_the_telemetry_is_nobodys_silence(tmp_path: Path, site: Site) -> None:
    """The exporter showed nothing for three days: neither had a device ended before, nor is one silent since."""
    begin, end = CHANGED - timedelta(days=3), CHANGED + timedelta(minutes=100)
    everybody = dict.fromkeys((*PUMPS, OTHER), begin)
    again = "".join(
        line(end + timedelta(minutes=n), client, True, 900_000 + n) for n, client in ((1, PUMPS[1]), (9, OTHER))
    )
    flows(tmp_path, everybody, more=again)
    found = at(tmp_path, site, CHANGED + timedelta(hours=2))
    assert (found.part, found.undo, codes(found), retired(found)) == (None, None, ["SW4133"], [])
    assert "pump1" in found.findings[0].message and "pump2" not in found.findings[0].message


def test_what_a_server_that_is_gone_served_is_not_waited_for(tmp_path: Path, site: Site) -> None:
    """A pump asked it in working hours only, whose pauses say nothing; others did every ten minutes, until it was switched off."""
    gone, lines = "100.64.40.77", []
    moment, number = CHANGED - timedelta(days=15), 500_000
    while moment < CHANGED - timedelta(hours=30):
        number += 1
        lines.append(line(moment, OTHER, True, number).replace(SERVER, gone))
        if moment.hour in (8, 9) and moment.day % 3 == 0:
            lines.append(line(moment, PUMPS[0], True, number + 100_000).replace(SERVER, gone))
        moment += timedelta(minutes=10)
    flows(tmp_path, {}, last=CHANGED + timedelta(hours=20), more="".join(lines))
    found = at(tmp_path, site, CHANGED + timedelta(hours=20))
    assert (found.part, codes(found)) == (TWO, ["SW4176"])
    assert retired(found) == [f"pump1 (100.64.10.11 to {gone} mqtt-tls)"]
    assert "its peer is gone as well" in found.findings[0].message


def test_without_telemetry_a_rollout_waits_unless_it_is_told_not_to(tmp_path: Path, site: Site) -> None:
    assert codes(at(tmp_path, site, CHANGED + timedelta(hours=2))) == ["SW4133"]
    flows(tmp_path, {}, last=CHANGED - timedelta(minutes=5))  # the exporter ended before the change
    waiting = at(tmp_path, site, CHANGED + timedelta(hours=2))
    assert (waiting.part, waiting.undo, codes(waiting)) == (None, None, ["SW4133"])
    going = at(tmp_path, site, CHANGED + timedelta(hours=2), blind=True)
    assert (going.part, codes(going)) == (TWO, ["SW4133"])


def test_a_ring_has_exit_criteria_of_its_own(tmp_path: Path, site: Site) -> None:
    def ring(**exit: Any) -> Site:
        return replace(site, rings=(replace(site.rings[0], exit=ExitCriteria(**exit)), *site.rings[1:]))

    flows(tmp_path, {}, last=CHANGED - timedelta(minutes=5))
    later = CHANGED + timedelta(hours=2)
    assert at(tmp_path, site, later).part is None
    going = at(tmp_path, ring(unseen_goes_on=True), later)
    assert (going.part, codes(going)) == (TWO, ["SW4133"])


def test_a_schedule_that_comes_outside_the_window_fails_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [codes_module.OUTSIDE_WINDOW.at("closed until Tuesday")]

    def refuses(values: object, variables: object) -> dict[str, Any]:
        raise FindingError(*found)

    monkeypatch.setattr(apply_module, "_carried_out", refuses)
    monkeypatch.setattr(apply_module, "_continued", refuses)
    values = {"check_mode": False, "data_dir": str(tmp_path), "policy_dir": str(tmp_path)}
    for more in ({"ring": "continue"}, {"ring": "next", "wait": True}, {"wait": True}):
        made = apply_module.run_apply({**values, **more}, {})
        assert not made["changed"] and not made.get("failed") and "SW4090" in made["summary"], more
    with pytest.raises(FindingError):
        apply_module.run_apply({**values, "ring": "next"}, {})
    found.append(codes_module.NOT_APPROVED.at("nobody of clinical-engineering"))
    assert "SW4070" in apply_module.run_apply({**values, "wait": True}, {})["summary"]
    with pytest.raises(FindingError):
        apply_module.run_apply({**values, "ring": "continue"}, {})
    found.append(codes_module.UNSIGNED_COMMIT.at("commit 1"))
    with pytest.raises(FindingError):
        apply_module.run_apply({**values, "wait": True}, {})


def test_which_devices_a_ring_is_judged_by(site: Site) -> None:
    def devices(ring: str) -> set[str]:
        return {address for _device, address in watched_devices(site, Part(ring, ()))}

    site = replace(site, rings=(*site.rings, Ring("acc1", (), ("acc1",)), Ring("fw", (), ("fw1",))))
    assert devices("one") == {"100.64.10.11", "100.64.10.12", "100.64.10.13"}
    assert "100.64.10.21" in devices("acc1") and "100.64.40.13" not in devices("acc1")
    assert {"100.64.10.21", "100.64.40.13"} <= devices("fw")
    assert "100.64.10.11" not in devices("rest") and "100.64.40.13" in devices("rest")
    done = (Progress(ONE, DONE, CHANGED, CHANGED, CHANGED),)
    assert decide(done, site, Path("nowhere"), CHANGED).part is None


def test_apply_asks_the_journal_of_plans_before(tmp_path: Path, site: Site) -> None:
    """A plan made while a ring is watched takes the place of plan.json: the rollout waits, and tries nothing again that went back."""
    paths = Paths.of(str(tmp_path / "policies"), str(tmp_path / "data"))
    operation = Operation(
        "a", "ise1", "downloadable_acl", owned_name("infusion_pumps"), "update", None, {}, effect="both"
    )
    plan = Plan("b" * 64, "c" * 40, "", "", "", False, (TargetPlan("ise1", "ise", "", {}, (operation,)),))
    sound = SimpleNamespace(site=site, compiled=SimpleNamespace(lists=()))

    def turn(commit: str = "c" * 40) -> Decision:
        return ring_turn.turn_of({"ring": "next"}, paths, replace(plan, policy_commit=commit), sound)  # type: ignore[arg-type]

    assert turn().part is not None
    journal = Journal(paths.journal)
    journal.append("plan_started", plan_id="a" * 64, policy_commit="c" * 40, ring="one", steps=["a"])
    journal.append("operation_started", plan_id="a" * 64, target="ise1", operation={"id": "a"})
    journal.append("operation_done", plan_id="a" * 64, target="ise1", operation_id="a")
    journal.append("ring_done", plan_id="a" * 64)
    assert (turn().part, codes(turn())) == (None, ["SW4131"])
    journal.append("undo_done", plan_id="a" * 64, target="ise1", operation_id="a")
    assert (turn().part, codes(turn())) == (None, ["SW4130"])
    corrected = turn("d" * 40)
    assert corrected.part is not None and not corrected.findings


@pytest.mark.one_python
@pytest.mark.parametrize("cut", [True, False])
def test_the_way_back_needs_no_plan_that_holds(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch, cut: bool
) -> None:
    """Documents that are edited, expired or not those of the plan stop what goes forward; a ring that cut devices off goes back."""
    flows(tmp_path, {PUMPS[0]: CHANGED} if cut else {}, last=CHANGED + timedelta(hours=3))
    paths = Paths.of(str(tmp_path / "policies"), str(tmp_path / "data"))
    monkeypatch.setattr(journal_module, "iso_now", lambda: f"{CHANGED:%Y-%m-%dT%H:%M:%SZ}")
    journal = Journal(paths.journal)
    journal.append("plan_started", plan_id="a" * 64, policy_commit="c" * 40, ring="one", steps=["a"])
    journal.append("operation_started", plan_id="a" * 64, target="ise1", operation={"id": "a"})
    journal.append("operation_done", plan_id="a" * 64, target="ise1", operation_id="a")
    journal.append("ring_done", plan_id="a" * 64)
    undone: list[Decision] = []
    monkeypatch.setattr(apply_module, "paths_of", lambda values: paths)
    monkeypatch.setattr(ring_turn, "today_of", lambda values: CHANGED.date())
    monkeypatch.setattr(ring_turn, "utc_now", lambda: CHANGED + timedelta(hours=3))
    monkeypatch.setattr(ring_turn, "load_checked", lambda *given: SimpleNamespace(site=site))
    monkeypatch.setattr(apply_module, "undo_ring", lambda v, w, p, state: undone.append(state) or {"failed": True})
    values = {"ring": "next", "check_mode": False}  # and no plan at all
    if cut:
        assert apply_module.run_apply(values, {}) == {"failed": True}
        assert [(state.undo_plan, state.undo) for state in undone] == [("a" * 64, Part("one", (("ise1", "a"),), 60))]
    for more in ({"check_mode": True}, {"ring": ""}) if cut else ({},):
        with pytest.raises(FindingError):
            apply_module.run_apply({**values, **more}, {})
    assert len(undone) == cut


def test_a_ring_of_which_nothing_is_left_to_undo_still_says_whom_it_misses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = Paths.of(str(tmp_path / "policies"), str(tmp_path / "data"))
    state = Decision(
        None, ONE, None, (codes_module.RING_UNHEALTHY.at("ring one: pump1 is silent"),), undo_plan="a" * 64
    )
    monkeypatch.setattr(ring_back, "connected", lambda *given: contextlib.nullcontext({}))
    monkeypatch.setattr(ring_back, "sessions_back", lambda *given: After())
    made = ring_back.undo_ring({"check_mode": False}, {}, paths, state)
    assert made["failed"] and made["msg"].startswith("SW4132") and "pump1" in made["msg"] and made["undone"] == []


def test_a_ring_that_the_policy_names_no_longer_is_judged_by_nobody(site: Site) -> None:
    assert watched_devices(site, Part("gone", ())) == [] and watched_devices(site, Part("rest", ())) != []


@pytest.mark.parametrize("cut", [True, False])
def test_the_way_back_of_a_rollout_needs_no_commit_that_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: bool
) -> None:
    def gone(*given: object) -> object:
        raise FindingError(codes_module.GIT_FAILED.at("the commit is gone"))

    monkeypatch.setattr(apply_module, "rollout_under_way", lambda entries: ("a" * 64, "c" * 40))
    monkeypatch.setattr(apply_module, "commit_of", lambda policy: ("d" * 40, False))
    monkeypatch.setattr(apply_module, "checked_out", gone)
    monkeypatch.setattr(apply_module, "ring_to_undo", lambda values, paths: Decision() if cut else None)
    monkeypatch.setattr(
        apply_module, "undo_ring", lambda values, variables, paths, state: {"failed": True, "undone": 1}
    )
    values = {"ring": "continue", "check_mode": False, "data_dir": str(tmp_path), "policy_dir": str(tmp_path)}
    if cut:
        assert apply_module.run_apply(values, {}) == {"failed": True, "undone": 1}
    for more in ({"check_mode": True},) if cut else ({},):
        with pytest.raises(FindingError, match="the commit is gone"):
            apply_module.run_apply({**values, **more}, {})
