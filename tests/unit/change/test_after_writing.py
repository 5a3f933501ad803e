# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What sessions carry, re-authentication in batches, counters over time, and the gate between stages. No connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import carriers as c
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import counting, promotion, reauth
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.held_cells import ApprovedCell, held_cells
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import (
    Journal,
    read_entries,
    verify_journal,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_enforced import SwitchCell

TEXT = "permit tcp any host 10.0.0.1 eq 443\ndeny ip any any"
MAC = "02:1a:10:00:00:11"
SAVED = 0x65BE44EC  # 2024-02-03 13:51:08 UTC
WANTED = c.Wanted("ise1", "SW_pumps", 4, TEXT, "pumps", "life_support", SAVED - 5.0)
REVISION = c.Revision(4, "SW_pumps", SAVED)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("#ACSACL#-IP-SW_pumps-65be44ec", REVISION),
        ("xACSACLx-IP-SW_pumps-65be44ec", REVISION),
        ("xACSACLx-IPV6-a-b-65BE44EC", c.Revision(6, "a-b", SAVED)),
        ("xACSACLx-IP-SW_pumps", None),
        ("implicit_deny:", None),
        ("MY-ACL", None),
    ],
)
def test_a_name_on_a_switch_tells_list_and_time(name: str, expected: c.Revision | None) -> None:
    assert c.revision_of(name) == expected
    if expected and expected.family == 4:
        assert expected.shown == "xACSACLx-IP-SW_pumps-65be44ec"


def view(text: str | None, revision: c.Revision = REVISION, authorized: bool = True) -> c.SwitchView:
    session = c.SwitchSession("acc1", "GigabitEthernet1/0/1", MAC, ("10.0.0.9",), (revision,), authorized)
    return c.SwitchView("acc1", {MAC: session}, {} if text is None else {revision.shown: text})


OLDER = replace(REVISION, saved=SAVED - 3600)
ISE = c.IseSession(MAC, "10.0.0.9", "acc1", node="psn1", revisions=(REVISION,))


@pytest.mark.parametrize(
    ("session", "shown", "state"),
    [
        (None, None, "absent"),
        (replace(ISE, revisions=(), unread=True), None, "unread"),
        (ISE, None, "current"),
        (replace(ISE, revisions=(OLDER,)), None, "old"),
        (replace(ISE, revisions=()), None, "missing"),
        (replace(ISE, authorized=False), None, "unauthorized"),
        (None, view("permit tcp any host 10.0.0.1 eq www\ndeny ip any any"), "differs"),
        (ISE, view("permit tcp any host 10.0.0.1 eq 443\ndeny ip any any"), "approved"),
        # Other words, same meaning: an old name with the approved meaning needs no re-authentication.
        (ISE, view("permit tcp any 10.0.0.1 0.0.0.0 eq 443\ndeny ip any any", OLDER), "approved"),
        (ISE, view("permit ip any any", OLDER), "old"),
        (ISE, view(None), "unread"),
        (ISE, view("permit frob any any"), "differs"),
        (ISE, view(TEXT, authorized=False), "unauthorized"),
        (ISE, view(TEXT, c.Revision(4, "Other", SAVED)), "missing"),
    ],
)
def test_the_switch_decides_by_meaning_and_ise_by_time(
    session: c.IseSession | None, shown: c.SwitchView | None, state: str
) -> None:
    found = c.judge(WANTED, MAC, session, shown, "pump1")
    assert found.state == state
    assert found.as_dict(SAVED + 7200.0)["age_seconds"] in (None, 7200, 10800)
    findings = c.carrier_findings([found], SAVED + 7200.0)
    assert {finding.code for finding in findings} == {
        "absent": set(), "approved": set(), "current": {"SW4098"}, "missing": {"SW4095"}, "unread": {"SW4097"},
        "old": {"SW4093"}, "differs": {"SW4094"}, "unauthorized": {"SW4096"},
    }[state] | ({"SW4098"} if shown is None and session else set())  # fmt: skip


def test_the_last_change_is_the_journals_or_what_a_session_shows() -> None:
    step = {"id": "x", "kind": "downloadable_acl", "name": "SW_pumps"}
    entries = [
        {"event": "operation_started", "target": "ise1", "operation": step, "time": "2026-01-01T00:00:00Z"},
        {"event": "operation_done", "target": "ise1", "operation_id": "x", "changed": True},
        {"event": "undo_started", "target": "ise1", "operation": step, "time": "2026-01-02T00:00:00Z"},
        {"event": "undo_done", "target": "ise1", "operation_id": "x", "changed": True},
        {"event": "operation_started", "target": "ise1", "operation": step, "time": "2026-01-03T00:00:00Z"},
        {"event": "operation_done", "target": "ise1", "operation_id": "x", "changed": False},
    ]
    assert c.last_changes(entries)["ise1", "SW_pumps"][1] == "2026-01-02T00:00:00Z"
    assert c.newest([WANTED], [ISE])[0].changed == SAVED


# -- re-authentication


class Floor:
    """Sessions of a ward: asking gives the new list, but to the devices named."""

    def __init__(self, count: int = 7) -> None:
        self.now = {
            f"m{number}": c.Carrier(
                WANTED,
                f"m{number}",
                c.OLD,
                "",
                OLDER,
                f"10.0.0.{number}",
                "acc1",
                "Gi1",
                "psn1",
                "switch",
                f"pump{number}",
            )
            for number in range(count)
        }
        self.asked: list[str] = []
        self.slept: list[float] = []
        self.faults: dict[str, str] = {}

    def ask(self, item: c.Carrier) -> bool:
        self.asked.append(item.mac)
        fault = self.faults.get(item.mac, "")
        if fault == "refused":
            return False
        if fault == "dies":
            raise KeyboardInterrupt
        changes = {
            "gone": {"state": c.ABSENT}, "unauthorized": {"state": c.UNAUTHORIZED}, "moved": {"state": c.APPROVED, "address": "10.9.9.9"},
            "old": {"state": c.OLD}, "bare": {"state": c.MISSING},
        }.get(fault, {"state": c.APPROVED, "revision": REVISION})  # fmt: skip
        self.now[item.mac] = replace(self.now[item.mac], **changes)
        return True

    def look(self, batch: Sequence[c.Carrier]) -> Mapping[str, c.Carrier]:
        return {item.mac: self.now[item.mac] for item in batch}

    def run(self, journal: Journal, **more: object) -> reauth.Reauthentication:
        stale = [item for item in self.now.values() if item.state == c.OLD]
        entries = read_entries(journal.path) if journal.path.exists() else []
        return reauth.reauthenticate(
            stale, self.ask, self.look, journal, reauth.Pace(3, 30.0, 2.0), begun=reauth.unfinished(entries),
            known=tuple(self.now.values()), sleep=self.slept.append, **more,  # type: ignore[arg-type]
        )  # fmt: skip


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.jsonl")


def test_batches_with_pauses_until_all_carry_the_list(journal: Journal) -> None:
    floor = Floor()
    made = floor.run(journal)
    assert made.ok and made.batches == 3 and len(made.done) == 7 and made.left == ()
    assert floor.slept == [30.0, 30.0]
    assert [entry["event"] for entry in read_entries(journal.path)] == ["reauth_batch_started", "reauth_batch_done"] * 3
    assert floor.run(journal).batches == 0
    assert verify_journal(journal.path) == []


@pytest.mark.parametrize(
    ("fault", "code"),
    [("gone", "SW4100"), ("unauthorized", "SW4101"), ("moved", "SW4102"), ("old", "SW4103"), ("refused", "SW4099")],
)
def test_the_first_batch_that_is_not_well_is_the_last(journal: Journal, fault: str, code: str) -> None:
    floor = Floor()
    floor.faults["m4"] = fault
    made = floor.run(journal)
    assert not made.ok
    assert [finding.code for finding in made.findings] == [code, "SW4104"]
    assert "pump4" in made.findings[0].message
    assert floor.asked == ["m0", "m1", "m2", "m3", "m4", "m5"]
    assert (set(made.done), made.left) == ({"m0", "m1", "m2", "m3", "m5"}, ("m6",))
    assert read_entries(journal.path)[-1]["event"] == "reauth_stopped"


def test_held_devices_are_not_touched_and_the_most_critical_go_last(journal: Journal) -> None:
    floor = Floor(5)
    low = replace(WANTED, criticality="low", segment="cameras")
    floor.now["m3"] = replace(floor.now["m3"], wanted=low)
    floor.now["m4"] = replace(floor.now["m4"], wanted=replace(WANTED, criticality="high"))
    made = floor.run(journal, held=reauth.Held.of(["M1", "Pump2"]))
    assert floor.asked == ["m3", "m4", "m0"]
    assert {mac for mac, _why in made.held} == {"m1", "m2"}
    assert [finding.code for finding in made.findings] == ["SW4105"]
    assert floor.run(journal, held=reauth.Held.of([], ["life_support"])).batches == 0
    assert floor.run(journal, held=reauth.Held.of(["pumps"])).batches == 0


def test_a_controller_that_died_is_followed_by_a_look(journal: Journal) -> None:
    floor = Floor()
    floor.faults["m1"] = "dies"
    with pytest.raises(KeyboardInterrupt):
        floor.run(journal)
    assert set(reauth.unfinished(read_entries(journal.path))) == {"m0", "m1", "m2"}
    floor.faults = {}
    # Nobody was hurt: those without the list are done again, the one that has it is not asked twice.
    made = floor.run(Journal(journal.path))
    assert made.ok and floor.asked.count("m0") == 1 and len(floor.asked) == 8
    # And where somebody was, nothing more is touched.
    other = Floor()
    other.faults["m1"] = "dies"
    second = Journal(journal.path.with_name("second.jsonl"))
    with pytest.raises(KeyboardInterrupt):
        other.run(second)
    other.now["m0"] = replace(other.now["m0"], state=c.ABSENT)
    made = other.run(second)
    assert [finding.code for finding in made.findings] == ["SW4100", "SW4104"]
    assert made.batches == 0 and other.asked == ["m0", "m1"]


@pytest.mark.parametrize("fault", ["gone", "unauthorized", "bare"])
def test_the_next_run_touches_nobody_while_a_device_of_the_last_batch_is_not_well(journal: Journal, fault: str) -> None:
    floor = Floor()
    floor.faults["m1"] = fault
    assert not floor.run(journal).ok
    asked = list(floor.asked)
    for _again in range(2):  # refusing once must not open the way
        again = floor.run(journal)
        assert not again.ok and again.batches == 0 and floor.asked == asked
    assert set(reauth.unfinished(read_entries(journal.path))) == {"m1"}
    # Whoever names the device as held answers for it, and it is looked at again as soon as it is not held any more.
    assert floor.run(journal, held=reauth.Held.of(["m1", "m5", "m6"])).ok and floor.asked == [*asked, "m3", "m4"]
    assert not floor.run(journal).ok and floor.asked == [*asked, "m3", "m4"]
    # Mended, at another address.
    floor.now["m1"] = replace(floor.now["m1"], state=c.APPROVED, address="10.9.9.9")
    assert floor.run(journal).ok and floor.asked == [*asked, "m3", "m4", "m5", "m6"]
    assert reauth.unfinished(read_entries(journal.path)) == {}


# -- cells on switches


def test_cells_on_switches_are_compared_by_meaning() -> None:
    approved = {(10, 20): ApprovedCell("ise1", "SW_a-SW_b", (10, 20), "permit tcp dst eq 443\ndeny ip", False)}
    for text, monitored, configured, unread, fault in (
        ("permit tcp dst eq 443\ndeny tcp\ndeny ip", False, False, "", ""),
        ("permit ip", False, False, "", "would pass no longer"),
        ("permit tcp dst eq 443\ndeny ip", True, False, "", "only monitored"),
        ("permit tcp dst eq 443\ndeny ip", False, True, "", "typed on the switch"),
        ("", False, False, "SW_a_b-01", "could not be read"),
    ):
        rows, findings = held_cells(approved, {"acc1": [SwitchCell(10, 20, text, monitored, configured, (), unread)]})
        assert rows[0]["equal"] is (not fault)
        assert [finding.code for finding in findings] == (["SW4106"] if fault else [])
        assert fault in str(rows[0]["difference"])
    assert [finding.code for finding in held_cells(approved, {"acc1": []})[1]] == ["SW4107"]
    assert held_cells(approved, {}) == ([], [])


# -- counters and the gate

START = datetime(2026, 11, 1, tzinfo=UTC)
NOW = START + timedelta(days=20)
PERMIT, DENY = "SW_a_b-01: permit tcp dst eq 443", "SW_a_b-01: deny ip"


def reading(hours: float, permitted: int, deny: int, monitored: int | None = None, **more: object) -> counting.Reading:
    total = permitted + deny if monitored is None else monitored
    count = counting.CellCount("acc1", 130, 220, 0, 0, total, True, ((PERMIT, permitted), (DENY, deny)))
    return counting.Reading(START + timedelta(hours=hours), replace(count, **more))  # type: ignore[arg-type]


def daily(days: int, *values: tuple[int, int]) -> list[counting.Reading]:
    return [reading(24.0 * day, *(values[day] if day < len(values) else values[-1])) for day in range(days)]


def test_readings_are_kept_by_day_and_read_back(tmp_path: Path) -> None:
    first, second = reading(0, 1, 2), reading(24, 3, 4)
    for item in (first, second):
        assert counting.append_readings(tmp_path, [item.count], item.at) == 1
    assert counting.read_readings(tmp_path, date(2026, 11, 1)) == [first, second]
    assert counting.read_readings(tmp_path, date(2026, 11, 2)) == [second]
    assert counting.read_readings(tmp_path / "absent", date(2026, 1, 1)) == []
    file = tmp_path / "day=2026-11-02.jsonl"
    file.write_text(file.read_text() + '{"kind": "cell_cou')  # a run that died while it wrote
    assert counting.read_readings(tmp_path, date(2026, 11, 2)) == [second]
    file.write_text(file.read_text().replace('"schema_version":"1.0"', '"schema_version":"2.0"'))
    with pytest.raises(FindingError):
        counting.read_readings(tmp_path, date(2026, 11, 2))


def test_differences_know_resets_and_new_generations() -> None:
    plain = counting.delta(reading(0, 10, 1), reading(1, 25, 3))
    assert (plain.would_deny, plain.unaccounted, plain.monitored, plain.reset) == (2, 0, 17, False)
    after_reload = counting.delta(reading(0, 1000, 5), reading(1, 4, 1))
    assert (after_reload.would_deny, after_reload.monitored, after_reload.reset) == (1, 5, True)
    entries = ((PERMIT.replace("-01", "-02"), 12), (DENY.replace("-01", "-02"), 1))
    renamed = counting.delta(reading(0, 10, 1), reading(1, 12, 1, entries=entries))
    assert renamed.would_deny == 0 and renamed.monitored == 2
    hardware = counting.delta(reading(0, 0, 0, 0), reading(1, 0, 0, 50))
    assert (hardware.would_deny, hardware.unaccounted) == (0, 50)
    assert counting.delta(reading(0, 0, 0, 0), reading(1, 0, 0, 50), column_denies=True).would_deny == 50
    built_in = counting.delta(reading(0, 0, 0, 0, entries=()), reading(1, 0, 0, 9, entries=()))
    assert built_in.would_deny == 9


CELL = promotion.Cell("imaging", "archive", (130, 220))
SETTINGS = promotion.GateSettings(clean_days=14)


@pytest.mark.parametrize(
    ("readings", "ok", "says"),
    [
        ([], False, "no switch has counted"),
        (daily(1, (0, 0)), False, "one reading only"),
        (daily(21, (0, 0), (5, 0), (9, 0)), True, "20.0 of 14 days"),
        (daily(21, *((number, 0 if number < 3 else 1) for number in range(21))), True, "clean since 2026-11-04"),
        (
            daily(21, *((number, 0 if number < 9 else 4) for number in range(21))),
            False,
            "4 packets would have been denied",
        ),
        (daily(10, (0, 0)), False, "of 14 days"),  # ended eleven days ago
        ([*daily(3, (0, 0)), *(reading(24.0 * day, 0, 0) for day in range(8, 21))], False, "hours lie between"),
        ([*daily(20, (0, 0)), reading(480, 0, 0, 7)], False, "7 packets that no entry counted"),
        ([*daily(20, (0, 0)), reading(480, 0, 0, denied=3)], False, "3 packets were denied although"),
        (
            [*daily(20, (0, 0)), reading(480, 0, 0, entries=((PERMIT, 0),))],
            False,
            "one reading only",
        ),  # another list now
        ([*daily(20, (0, 0)), reading(480, 0, 0, monitor=False)], False, "one reading only"),
    ],
)
def test_counters_say_since_when_a_cell_is_clean(readings: list[counting.Reading], ok: bool, says: str) -> None:
    history = counting.cell_history(readings, CELL.pair)
    check = promotion.counter_check(CELL, history, SETTINGS, NOW, "no rule of imaging permits tcp/104")
    if len(readings) == 10:
        check = promotion.counter_check(CELL, history, SETTINGS, START + timedelta(days=9), "")
    assert check.ok is ok, check
    assert says in check.text
    assert ("no rule of imaging" in check.text) is ("packets" in says and not ok)


def test_of_several_switches_the_last_one_counts() -> None:
    other = [replace(item, count=replace(item.count, switch="acc2")) for item in daily(21, (0, 0))]
    dirty = daily(21, *((number, 0 if number < 19 else 4) for number in range(21)))
    history = counting.cell_history(sorted([*other, *dirty], key=lambda item: item.at), CELL.pair)
    assert history.switches == ("acc1", "acc2") and history.clean_since == START + timedelta(days=19)


def good_evidence() -> promotion.Evidence:
    history = counting.cell_history(daily(21, (0, 0), (9, 0)), CELL.pair)
    replay = promotion.ReplayView(120, 20, (), 4, 4)
    return promotion.Evidence((CELL,), {CELL.pair: history}, replay, None, {CELL.pair: ""})


def test_the_gate_gives_every_reason_and_never_skips() -> None:
    good = good_evidence()
    kinds = ("sgacl", "firewall")
    made = promotion.gate("imaging", "monitor", "enforce", kinds, good, SETTINGS, NOW)
    assert made.ok, made
    assert {check.reach for check in made.checks} == {"proved", "counted", "seen"}
    assert any("counted by switches" in text for text in made.behind)
    assert not promotion.gate("imaging", "observe", "enforce", kinds, good, SETTINGS, NOW).ok
    assert promotion.gate("imaging", "observe", "monitor", kinds, promotion.Evidence(), SETTINGS, NOW).ok
    for worse, check in (
        (replace(good, histories={}), "counters of imaging to archive"),
        (replace(good, replay=promotion.ReplayView(120, 20, ("ct1 to pacs1 tcp/104",), 4, 4)), "replay"),
        (replace(good, replay=promotion.ReplayView(120, 20, (), 4, 3)), "completeness"),
        (replace(good, replay=None), "replay"),
        (replace(good, held={CELL.pair: "it is enforced"}), "cell imaging to archive on switches"),
        (replace(good, held={}), "cell imaging to archive on switches"),
        (replace(good, held=None), "cells on switches"),
        (replace(good, carriers=(c.Carrier(WANTED, MAC, c.OLD),)), "sessions"),
        (replace(good, carriers=()), "sessions"),
    ):
        refused = promotion.gate("imaging", "monitor", "enforce", kinds, worse, SETTINGS, NOW)
        assert [item.check for item in refused.checks if not item.ok] == [check]


@pytest.mark.parametrize(("before", "after"), [("enforce", "monitor"), ("enforce", "observe"), ("monitor", "observe")])
def test_going_back_is_free(before: str, after: str) -> None:
    assert promotion.gate("imaging", before, after, ("sgacl",), promotion.Evidence(), SETTINGS, NOW).ok


def test_the_next_stage() -> None:
    assert [promotion.next_stage(stage) for stage in promotion.STAGES] == ["monitor", "enforce", "enforce"]
