# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ground-truth benchmark: sites are recorded, learnt by the real step of propose, and the policy is judged by what came after.

Twice: as propose writes it while nobody has answered anything, every segment enforced against its advice; and once people have
answered what was asked (``tests/truth/answers.py``) and propose has run again. Beside each, what enforcing the offered segments alone cuts.

Learning sees the first 30 days; the next 30 are the test. Seeds of evaluation only (``tests/truth/sites.py``); the quick version takes
one seed. ``python -m tests.truth.document`` writes docs/propose-benchmark.md.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import read_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.propose import run_propose
from tests.bench import at_most
from tests.truth.answers import answer as answered_by_people
from tests.truth.baselines import baselines, traces_of
from tests.truth.documents import write_documents
from tests.truth.judge import (
    Traces,
    WrittenPolicy,
    alone,
    enforced,
    enforced_figures_of,
    figures_of,
    judge,
    size_of_true_segments,
)
from tests.truth.records import observers_of, store_site
from tests.truth.sites import EVALUATION, KINDS, LEGITIMATE, SiteTruth, make_site

LEARN_DAYS, DAYS = 30, 60
OF_THE_FLOOR = (
    "cut_flows", "segments_above_one_percent", "life_safety_cut", "life_safety_cut_by_wrong_profiles", "hostile_admitted_outside",
)  # fmt: skip
OF_A_SITE = (
    "cut_flows_right_profiles", "cut_conversations_right_profiles", "cut_uses", "cut_uses_unasked", "cut_by_cadence",
    "segments_above_one_percent",
    "segments_above_one_percent_traced", "life_safety_cut_traced", "causes",
    "life_safety_cut", "life_safety_cut_by_wrong_profiles", "hostile_admitted_outside_by_kind", "over_permission", "rules", "cut_flows",
)  # fmt: skip


def run(full: bool) -> dict[str, Any]:
    """Return the figures of the proposal and of three other ways on the same recordings, in all and by site."""
    return measured(EVALUATION if full else EVALUATION[:1])


def measured(seeds: Iterable[int], kinds: Iterable[str] = KINDS, scale: float = 1.0) -> dict[str, Any]:
    """Return the figures over sites of some kinds and seeds."""
    return together([told_of(make_site(kind, seed, DAYS, scale)) for seed in seeds for kind in kinds])


def told_of(site: SiteTruth) -> dict[str, Any]:
    """Return what is measured of one site, as plain values for ``together``."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        started = time.process_time()
        answer = learn(site, folder)
        spent = time.process_time() - started
        traces = traces_of(site, folder / "data", LEARN_DAYS)
        own = judged(site, folder, answer, traces)
        exact = baselines_size(own)
        written = WrittenPolicy.read(site, folder / "policies")
        written.questions(answer)
        before = judge(site, written, 0, LEARN_DAYS) | {"over_permission": own[0]["over_permission"]}
        people = answered_by_people(site, folder, answer, LEARN_DAYS)
        started = time.process_time()
        again = proposed(site, folder)
        spent += time.process_time() - started
        later = WrittenPolicy.read(site, folder / "policies")
        later.name = "proposal, answered"
        later.questions(again)
    floor = judge(site, traces, LEARN_DAYS, DAYS, traces)
    row = judge(site, later, LEARN_DAYS, DAYS, traces)
    own.insert(1, row | {"over_permission": round(row["permitted_tuples"] / exact, 3)})
    offers = {
        when: enforced(site, policy, offered_in(told), LEARN_DAYS, DAYS)
        for when, policy, told in (("first", written, answer), ("answered", later, again))
    }
    waits = {
        when: {
            name: answered["enforcement"][name]["wait_for"]
            for name in concerned(judged_row)
            if name in answered["enforcement"]
        }
        for when, judged_row, answered in (("first", own[0], answer), ("answered", own[1], again))
    }
    held_back = {
        when: [
            [name, told_cut, answered["enforcement"][name]["wait_for"]]
            for name, told_cut in alone(site, policy, LEARN_DAYS, DAYS).items()
            if name in answered["enforcement"]
        ]
        for when, policy, answered in (("first", written, answer), ("answered", later, again))
    }
    told = {
        "held_back": held_back,
        "devices": len(site.devices),
        "observers": observers_of(site),
        "untrue_rules": [" > ".join(each) for each in written.untrue()],
        "people": people,
        "permitted_for_each_used": round(own[0]["permitted_tuples"] / used_tuples(site), 3),
        "over_permission_of_true_segments": round(size_of_true_segments(site, LEARN_DAYS) / exact, 3),
        "widest": widest(written, site),
        "answered": {name: own[1][name] for name in OF_A_SITE} | {"untrue_rules": len(later.untrue())},
        "offered": offers,
        "waits": waits,
        "summary": answer["summary"],
        "floor": {name: floor[name] for name in OF_THE_FLOOR},
        **{name: own[0][name] for name in OF_A_SITE},
    }
    return {
        "name": site.name, "site": told, "rows": own, "before": before, "placing": placed(site, answer), "cpu_seconds": spent,
    }  # fmt: skip


def concerned(row: Mapping[str, Any]) -> list[str]:
    """Return the segments of which more than one per cent is cut, and those at both ends of life-safety uses of which something is."""
    uses = [
        each.rpartition(" ")[0].split(" > ")
        for each in (*row["life_safety_cut"], *row["life_safety_cut_by_wrong_profiles"])
    ]
    return sorted({*row["segments_above_one_percent"], *(end for ends in uses for end in ends)})


def baselines_size(rows: list[dict[str, Any]]) -> int:
    """Return how many tuples the exact policy among the rows permits."""
    return int(next(row["permitted_tuples"] for row in rows if row["policy"] == "exact"))


def together(told: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures over sites, of ``told_of`` each."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for each in told:
        for row in each["rows"]:
            rows.setdefault(row["policy"], []).append(row)
    sites = {each["name"]: each["site"] for each in told}
    made: dict[str, Any] = {"policies": {name: figures_of(each) for name, each in rows.items()}}
    made["proposal_on_days_learnt"] = figures_of([each["before"] for each in told])
    made["enforced_as_offered"] = {
        when: enforced_figures_of([each["offered"][when] for each in sites.values()]) for when in ("first", "answered")
    }
    made["placing"] = {name: sum(each["placing"][name] for each in told) for name in told[0]["placing"]}
    used = [each["permitted_for_each_used"] for each in sites.values()]
    made["permitted_for_each_used"] = round(sum(used) / len(used), 3)
    floor = [each["over_permission_of_true_segments"] for each in sites.values()]
    made["over_permission_of_true_segments"] = round(sum(floor) / len(floor), 3)
    made["floor"] = {
        name: sum(len(each["floor"][name]) for each in sites.values())
        for name in ("segments_above_one_percent", "life_safety_cut", "life_safety_cut_by_wrong_profiles")
    } | {"cut_flows": round(float(np.mean([each["floor"]["cut_flows"] for each in sites.values()])), 5)}
    made["sites"] = sites
    made["untrue_rules"] = sum(len(each["untrue_rules"]) for each in sites.values())
    made["learning_cpu_seconds"] = round(sum(each["cpu_seconds"] for each in told), 1)
    own, later = made["policies"]["proposal"], made["policies"]["proposal, answered"]
    offered = made["enforced_as_offered"]["answered"]
    made["targets"] = [
        at_most("cut_flows_right_profiles", own["cut_flows_right_profiles"], 0.001),
        at_most("cut_flows", own["cut_flows"], 0.001),
        at_most("segments_above_one_percent", own["segments_above_one_percent"], 0),
        at_most("life_safety_cut", own["life_safety_cut"], 0),
        at_most("segments_above_one_percent_traced", own["segments_above_one_percent_traced"], 0),
        at_most("life_safety_cut_traced", own["life_safety_cut_traced"], 0),
        at_most("hostile_admitted_outside", own["hostile_admitted_outside"], 0),
        at_most("over_permission", own["over_permission"], 2),
        at_most("untrue_rules", made["untrue_rules"], 0),
        at_most("answered_cut_flows", later["cut_flows"], 0.001),
        at_most("answered_segments_above_one_percent", later["segments_above_one_percent"], 0),
        at_most("answered_life_safety_cut", later["life_safety_cut"], 0),
        at_most("answered_segments_above_one_percent_traced", later["segments_above_one_percent_traced"], 0),
        at_most("answered_life_safety_cut_traced", later["life_safety_cut_traced"], 0),
        at_most("answered_untrue_rules", sum(each["answered"]["untrue_rules"] for each in sites.values()), 0),
        at_most("answered_hostile_admitted_outside", later["hostile_admitted_outside"], 0),
        at_most("offered_unanswered_cut_flows", made["enforced_as_offered"]["first"]["cut_flows"], 0.001),
        at_most("offered_unanswered_life_safety_cut", made["enforced_as_offered"]["first"]["life_safety_cut"], 0),
        at_most("offered_cut_flows", offered["cut_flows"], 0.001),
        at_most("offered_segments_above_one_percent", offered["segments_above_one_percent"], 0),
        at_most("offered_life_safety_cut", offered["life_safety_cut"], 0),
    ]
    return made


def learn(site: SiteTruth, folder: Path, days: int = LEARN_DAYS) -> dict[str, Any]:
    """Record a site's days into a store and run propose on it as a user does; return propose's result."""
    store_site(site, folder / "data", days)
    write_documents(site, folder / "policies")
    return proposed(site, folder, days)


def proposed(site: SiteTruth, folder: Path, days: int = LEARN_DAYS) -> dict[str, Any]:
    """Run propose as a user does on what is there; return its result."""
    values = {
        "policy_dir": str(folder / "policies"),
        "data_dir": str(folder / "data"),
        "check_mode": False,
        "diff_mode": False,
        "window_days": days,
        "today": site.day(days).isoformat(),
    }
    with contextlib.redirect_stderr(sys.stderr):
        run_propose(values)
    return dict(read_json(folder / "data" / "out" / "propose.json"))


def offered_in(answer: dict[str, Any]) -> list[str]:
    """Return the segments whose enforcement propose offers."""
    return [name for name, each in answer["enforcement"].items() if each["offered"]]


def offered_later(site: SiteTruth, days: int, rounds: int = 3) -> dict[str, Any]:
    """Return what enforcing what is offered does to the 30 days after so many learnt ones, once people have answered round by round: an
    answer may raise a question, as a corrected profile shows what a device's own segment lacks."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        told = learn(site, folder, days)
        for _round in range(rounds):
            people = answered_by_people(site, folder, told, days)
            if not any(
                people[each]
                for each in ("approved", "refused", "network sets", "accounts of segments", "profiles corrected")
            ):
                break
            told = proposed(site, folder, days)
        written = WrittenPolicy.read(site, folder / "policies", days)
        made = enforced(site, written, offered_in(told), days, days + 30)
        # Lists of holding segments are never enforced, and none of them is a segment of the site.
        own = [name for name in told["enforcement"] if any(each.name == name for each in site.types)]
        waits = Counter(text for each in told["enforcement"].values() for text in each["wait_for"])
    return made | {"segments": len(own), "waits": waits}


def placed(site: SiteTruth, answer: dict[str, Any]) -> dict[str, int]:
    """Return how many devices had a wrong profile, how many of them were named, and how many were named that had none."""
    wrong = {each.mac for each in site.devices if each.profile != each.kind and each.first_day < LEARN_DAYS}
    named = {each["device"] for each in answer["misplaced"]}
    return {"wrong": len(wrong), "named": len(wrong & named), "named in vain": len(named - wrong)}


def used_tuples(site: SiteTruth) -> int:
    """Return how many tuples legitimate traffic used on all days of the site, recorded or not."""
    true = site.picked(site.events["label"] == LEGITIMATE)
    return int(np.unique(np.stack([true[name] for name in ("client", "server", "protocol", "port")]), axis=1).shape[1])


def widest(written: WrittenPolicy, site: SiteTruth, count: int = 4) -> list[list[Any]]:
    """Return the rules with the most permitted tuples that no legitimate traffic used on any day: (client, to, permitted, used)."""
    true = site.picked(site.events["label"] == LEGITIMATE)
    used = np.unique(np.stack([true[name] for name in ("client", "server", "protocol", "port")]), axis=1)
    counts: Counter[tuple[str, str]] = Counter()
    for column in used.T:
        client, server, protocol, port = (int(each) for each in column)
        for pair, matches in written.matching(client, server):
            counts[pair] += any(of == protocol and low <= port <= high for of, low, high in matches)
    rows = [[client, to, size, counts[client, to]] for (client, to), size in written.sizes().items()]
    return sorted(rows, key=lambda row: row[3] - row[2])[:count]


def judged(site: SiteTruth, folder: Path, answer: dict[str, Any], traces: Traces | None = None) -> list[dict[str, Any]]:
    """Return what the proposal and the other ways do to the days after those learnt, the proposal first."""
    written = WrittenPolicy.read(site, folder / "policies")
    written.questions(answer)
    others = baselines(site, folder / "data", written)
    exact = others[0].size()
    made = []
    for policy in (written, *others):
        row = judge(site, policy, LEARN_DAYS, site.days, traces)
        row["over_permission"] = round(row["permitted_tuples"] / exact, 3)
        made.append(row)
    return made
