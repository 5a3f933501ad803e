# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small site with known truth through the real import and the real step of propose; and the judge against policies known by hand."""

from __future__ import annotations

import dataclasses
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import storage
from tests.bench.truth import LEARN_DAYS, judged, learn, offered_in, placed, proposed, used_tuples, widest
from tests.truth.answers import answer
from tests.truth.baselines import traces_of
from tests.truth.blueprints import SERVICES
from tests.truth.document import USERS
from tests.truth.judge import (
    LATER,
    LITTLE,
    NEVER,
    SAFE,
    TRACED,
    UNSAFE,
    Enforced,
    WrittenPolicy,
    alone,
    enforced,
    judge,
    size_of_true_segments,
)
from tests.truth.readings import BEGIN, END, WAITS, reasons, short, waiting, with_sentences
from tests.truth.records import ONE_SIDED, observers_of
from tests.truth.sites import (
    DRAWN,
    EVALUATION,
    FRESH,
    KINDS,
    LABELS,
    LEGITIMATE,
    TUNING,
    SiteTruth,
    make_site,
    outside_numbers,
)

# Neither tuned on nor reported from.
SEED = 33


class Everything:
    """Permits all, or nothing."""

    def __init__(self, passed: bool) -> None:
        self.name, self.passed = "everything", passed

    def permits(self, client: int, server: int, protocol: int, port: int) -> bool:
        return self.passed

    def size(self) -> int:
        return 1

    def rules(self) -> int:
        return 1


@pytest.fixture(scope="module")
def site() -> SiteTruth:
    return make_site("hospital", SEED, 60, 0.4)


@pytest.fixture(scope="module")
def learnt(
    site: SiteTruth, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any], list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("truth")
    answer = learn(site, folder)
    return folder, answer, judged(site, folder, answer)


def test_seeds_are_kept_apart() -> None:
    reported = {*EVALUATION, *FRESH, *DRAWN}
    assert not {*TUNING} & reported and SEED not in {*TUNING} | reported


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_makes_one_site_with_all_that_is_promised(kind: str) -> None:
    one, again = (make_site(kind, SEED, 60, 0.5) for _ in range(2))
    assert all((one.events[name] == again.events[name]).all() for name in one.events)
    assert {*one.events["label"].tolist()} == set(range(len(LABELS)))
    assert any(each.profile != each.kind for each in one.devices)
    assert any(each.first_day for each in one.devices)
    # Some address changes hands: that is what churn is.
    holders = [len(set(np.nonzero(one.address == address)[0].tolist())) for address in np.unique(one.address)]
    assert max(holders) > 1
    # Nobody has two devices' address at one time.
    assert all(len(np.unique(one.address[:, day])) == len(one.devices) for day in range(one.days))
    assert {each.cadence for each in one.talks} >= {"daily", "monthend", "firmware", "failover", "rare", "user"}


def test_the_judge_knows_all_from_nothing(site: SiteTruth) -> None:
    everything, nothing = judge(site, Everything(True), 30, 60), judge(site, Everything(False), 30, 60)
    assert everything["cut_flows"] == 0 and everything["life_safety_cut"] == []
    assert everything["hostile_admitted_outside"] + everything["hostile_admitted_inside"] == everything["hostile"] > 0
    assert nothing["cut_flows"] == nothing["cut_conversations"] == 1
    assert len(nothing["life_safety_cut"]) > 3 and nothing["hostile_admitted_outside"] == 0
    true = site.picked((site.events["label"] == LEGITIMATE) & (site.events["day"] >= 30))
    assert nothing["legitimate_flows"] == true["flows"].sum()


@pytest.mark.one_python
def test_the_judge_reads_rules_networks_and_symmetric_services(site: SiteTruth, learnt: tuple[Path, Any, Any]) -> None:
    policy = WrittenPolicy.read(site, learnt[0] / "policies")
    pump, server = (int(site.of_type(name)[0]) for name in ("infusion_pumps", "pump_servers"))
    policy.segment_of = {pump: "infusion_pumps", server: "pump_servers"}
    policy.allowed = {("infusion_pumps", "pump_servers"): {(6, 8443, 8444)}}
    assert policy.permits(pump, server, 6, 8444)
    assert not policy.permits(pump, server, 6, 8445) and not policy.permits(pump, server, 17, 8443)
    assert not policy.permits(server, pump, 6, 8443)
    assert policy.size() == 2
    outside = len(site.devices)
    name = site.outside[0][0].removeprefix("net:")
    policy.allowed["infusion_pumps", name] = {(6, 443, 443)}
    assert policy.permits(pump, outside, 6, 443)
    assert policy.size() == 2 + sum(1 for each, _value in site.outside if each == f"net:{name}")


def test_the_register_learns_of_leases_and_of_wrong_profiles(site: SiteTruth, learnt: tuple[Path, Any, Any]) -> None:
    register = storage.read(learnt[0] / "data")
    there = [each for each in site.devices if each.first_day < LEARN_DAYS]
    assert set(register.devices) == {each.mac for each in there}
    assert all(register.devices[each.mac].value("endpoint_profile") == each.profile for each in there)
    assert max(Counter(each.device for each in register.intervals()).values()) > 3


@pytest.mark.one_python
def test_a_master_whose_answers_nobody_sees_is_no_scanner(tmp_path: Path) -> None:
    site = make_site("substation", 36, 60, 0.5)
    assert observers_of(site)["bay"] == ONE_SIDED
    answer = learn(site, tmp_path)
    policy = WrittenPolicy.read(site, tmp_path / "policies")
    master, relay = (int(site.of_type(name)[0]) for name in ("gateways", "relays"))
    assert policy.segment_of[master] == "gateways" and policy.permits(master, relay, 6, 10102)
    # The slow scan of the same site is still known as one, and its verdict stands per segment.
    assert judge(site, policy, LEARN_DAYS, site.days)["hostile_admitted_outside"] == 0
    shares = [each["seen"] for each in answer["completeness"].values() if each["seen"]]
    assert shares and all(0 <= each["low"] <= each["value"] <= each["high"] <= 1 for each in shares)


def test_no_intruder_is_let_in_and_nothing_is_lost_without_a_question(learnt: tuple[Path, Any, Any]) -> None:
    own = learnt[2][0]
    assert own["policy"] == "proposal"
    assert own["hostile_admitted_outside"] == 0
    assert own["life_safety_cut_unasked"] == []
    assert own["cut_flows_after_answers"] <= 0.001


def test_what_no_recording_shows_is_told_from_what_was_missed(
    site: SiteTruth, learnt: tuple[Path, dict[str, Any], list[dict[str, Any]]]
) -> None:
    traces = traces_of(site, learnt[0] / "data", LEARN_DAYS)
    causes = {(talk.client, talk.server, talk.service): traces.cause(talk) for talk in site.talks}
    before = site.picked((site.events["day"] < LEARN_DAYS) & (site.events["label"] == LEGITIMATE))
    happened = {(t.client, t.server, t.service) for t in (site.talks[number] for number in np.unique(before["talk"]))}
    assert {use for use, cause in causes.items() if cause == NEVER} == {*causes} - happened != set()
    assert causes["infusion_pumps", "pump_servers", "pump"] == TRACED
    # Who permits a use for one trace of it cuts nothing but what left none, and all of that.
    floor = judge(site, traces, LEARN_DAYS, site.days, traces)
    assert floor["segments_above_one_percent_traced"] == {} and floor["life_safety_cut_traced"] == []
    assert TRACED not in floor["causes"].values()
    nothing = judge(site, Everything(False), LEARN_DAYS, site.days, traces)
    assert TRACED in nothing["causes"].values() and len(nothing["life_safety_cut_traced"]) > 3
    untraced = {use for use, cause in nothing["causes"].items() if cause != TRACED}
    assert untraced == set(floor["causes"])


def test_other_ways_cut_more_or_let_intruders_in(learnt: tuple[Path, Any, Any]) -> None:
    own, *others = learnt[2]
    assert [each["policy"] for each in others] == ["exact", "top ports at 1 %", "lower port is the server"]
    exact, top, lower = others
    assert exact["cut_conversations_right_profiles"] > own["cut_conversations_after_answers"]
    assert (
        exact["hostile_admitted_outside"] > 0
        and lower["hostile_admitted_outside"] > top["hostile_admitted_outside"] > 0
    )
    assert lower["over_permission"] > own["over_permission"] * 5
    assert top["cut_conversations_right_profiles"] > own["cut_conversations_after_answers"]


@pytest.mark.one_python
def test_people_who_answer_what_is_asked_end_what_enforcing_cuts(
    site: SiteTruth, learnt: tuple[Path, dict[str, Any], list[dict[str, Any]]], tmp_path: Path
) -> None:
    folder = tmp_path / "site"
    shutil.copytree(learnt[0], folder)
    told, own = learnt[1], learnt[2][0]
    found = placed(site, told)
    assert found["named"] > 0 and found["named in vain"] == 0 and found["named"] >= 0.8 * found["wrong"]
    made = answer(site, folder, told, LEARN_DAYS)
    assert made["profiles corrected"] == found["named"] and made["refused"] > 0 and made["accused wrongly"] == 0
    assert made["accounts of segments"] > 0
    again = proposed(site, folder)
    later = WrittenPolicy.read(site, folder / "policies")
    after = judge(site, later, LEARN_DAYS, site.days)
    # Devices in doubt wait where they are not cut: what is left is of those that came later, or that hardly anybody can tell.
    assert after["cut_flows"] < own["cut_flows"] < 0.01
    assert after["hostile_admitted_outside"] == 0
    assert len(again["misplaced"]) <= found["wrong"] - found["named"]
    assert later.untrue() == []
    what = enforced(site, later, offered_in(again), LEARN_DAYS, site.days)
    assert what["life_safety_cut"] == []


def test_the_page_tells_in_a_word_what_each_segment_waits_for(learnt: tuple[Path, dict[str, Any], Any]) -> None:
    told = [(each["offered"], each["wait_for"]) for each in learnt[1]["enforcement"].values()]
    words = {word for _part, word in WAITS}
    for offered, waits in told:
        assert all(any(part in text for part, _word in WAITS) for text in waits)
        assert (short(waits) == "**offered**") is offered and (offered or any(word in short(waits) for word in words))
    assert "2 questions to owners, queue (1 draft)" in short(
        [
            "2 questions to the owner about rare traffic (evidence/open/expected.json)",
            "a decision about traffic that no rule permits (evidence/open/review.json): 1 draft",
        ]
    )


def test_figures_stand_between_their_marks_in_the_users_page() -> None:
    text = USERS.read_text(encoding="utf-8")
    made = with_sentences(text, "Figures.")
    assert f"{BEGIN}\nFigures.\n{END}" in made
    assert with_sentences(with_sentences(text, "Others."), "Figures.") == made
    # Nothing else of the page changes.
    assert made.partition(BEGIN)[0] == text.partition(BEGIN)[0] and made.partition(END)[2] == text.partition(END)[2]
    with pytest.raises(ValueError, match="no <!--"):
        with_sentences("# A page", "Figures.")


def test_what_is_not_enforced_cuts_nothing(site: SiteTruth, learnt: tuple[Path, Any, Any]) -> None:
    written = WrittenPolicy.read(site, learnt[0] / "policies")
    none = enforced(site, written, (), LEARN_DAYS, site.days)
    assert none["cut_flows"] == none["flows_enforced"] == 0 and none["cut_uses"] == [] and none["hostile_stopped"] == 0
    every = enforced(site, written, {*written.segment_of.values()}, LEARN_DAYS, site.days)
    assert every["flows_enforced"] > 0.95 and every["hostile_stopped"] > 0
    pump = int(site.of_type("infusion_pumps")[0])
    assert Enforced(written, frozenset()).permits(pump, pump, 6, 1)
    own = frozenset({written.segment_of[pump]})
    assert not Enforced(written, own).permits(pump, pump, 6, 1)
    # What others open to an enforced segment is cut as well: its list stops the answers.
    other = int(site.of_type("patient_monitors")[0])
    assert not Enforced(written, own).permits(other, pump, 6, 1)


def test_what_enforcing_one_segment_cuts_is_told_by_whom_it_meets(
    site: SiteTruth, learnt: tuple[Path, Any, Any]
) -> None:
    written = WrittenPolicy.read(site, learnt[0] / "policies")
    told = alone(site, written, LEARN_DAYS, site.days)
    for name, word in [*told.items()][::8]:
        row = enforced(site, written, [name], LEARN_DAYS, site.days)
        assert (row["cut_conversations"] == 0) is (word == SAFE)
        assert word != LATER or (row["cut_conversations_of_others"] == 0 < row["cut_conversations_of_newcomers"])
        above = row["segments_above_one_percent"] or row["life_safety_cut"]
        assert word not in (LITTLE, UNSAFE) or (bool(above) is (word == UNSAFE) and row["cut_conversations_of_others"])
    assert SAFE in told.values()
    # Without rules each segment loses all, but who came later with a wrong profile is nobody's fault.
    written.allowed = {}
    assert {*alone(site, written, LEARN_DAYS, site.days).values()} == {UNSAFE}
    newcomer = next(each for each in site.devices if each.first_day == 0 and each.kind == "cameras")
    site_of_newcomers = dataclasses.replace(
        site,
        devices=[
            dataclasses.replace(each, first_day=LEARN_DAYS, profile="pumps") if each is newcomer else each
            for each in site.devices
        ],
        events=site.picked(site.events["client"] == newcomer.number),
    )
    own = written.segment_of[newcomer.number]
    assert alone(site_of_newcomers, written, LEARN_DAYS, site.days)[own] == LATER


def test_reasons_are_counted_by_what_enforcing_would_have_cut() -> None:
    waits = ["fewer new uses: of what", "2 questions to the owner about rare traffic"]
    held = ["the right segment of its 2 devices (misplaced)"]
    rows = [["a", SAFE, []], ["b", SAFE, waits[:1]], ["c", UNSAFE, waits], ["held_a", UNSAFE, held]]
    lines = reasons({"sites": {"x": {"held_back": {"first": rows, "answered": rows[:1]}}}})
    assert [each for each in lines if each.startswith("| ") and "---" not in each and "nothing" not in each] == [
        "| *all segments* | 2 | 0 | 0 | 1 |  |  |  |  |",
        "| **offered** | 1 | 0 | 0 | 0 | 1 | 0 | 0 | 0 |",
        "| estimate | 1 | 0 | 0 | 1 | 1 | 0 | 0 | 0 |",
        "| questions to owners | 0 | 0 | 0 | 1 | 0 | 0 | 0 | 0 |",
        "| *all segments* | 1 | 0 | 0 | 0 |  |  |  |  |",
        "| **offered** | 1 | 0 | 0 | 0 | 1 | 0 | 0 | 0 |",
    ]
    row = {
        "segments_offered": 3,
        "segments": 9,
        "flows_enforced": 0.25,
        "cut_flows": 0.0,
        "cut_conversations_of_newcomers": 2,
        "cut_conversations_of_others": 0,
        "segments_above_one_percent": {},
        "life_safety_cut": [],
    }
    told = waiting([("plant-1", 30, row | {"waits": Counter(waits)})])
    assert "| plant-1 | 30 | 3 of 9 | 25.0 % | 0.000 % | 2, 0 | none | none |" in told
    assert "Left to wait for in plant-1: estimate (1), questions to owners (1)." in told


def test_the_widest_rules_are_counted_by_what_they_permit_and_what_was_used(
    site: SiteTruth, learnt: tuple[Path, Any, Any]
) -> None:
    written = WrittenPolicy.read(site, learnt[0] / "policies")
    rows = widest(written, site, 1000)
    assert all(0 <= used <= permitted for _client, _to, permitted, used in rows)
    assert sum(permitted for _client, _to, permitted, _used in rows) >= written.size()
    assert 0 < sum(used for *_names, used in rows) <= used_tuples(site)
    # The least that true segments permit, pair by pair.
    early = site.picked((site.events["label"] == LEGITIMATE) & (site.events["day"] < LEARN_DAYS))
    ends = {name: outside_numbers(site, name) for name, _value in site.outside}
    permitted = {
        (client, server, *SERVICES[talk.service])
        for talk in (site.talks[number] for number in np.unique(early["talk"]))
        for client in site.of_type(talk.client).tolist()
        for server in (ends[talk.server] if talk.server in ends else site.of_type(talk.server)).tolist()
        if client != server
    }
    assert size_of_true_segments(site, LEARN_DAYS) == len(permitted)
    assert {tuple(map(int, row)) for row in zip(*(early[n] for n in ("client", "server", "port")), strict=True)} <= {
        (client, server, low) for client, server, _of, low, _high in permitted
    }
