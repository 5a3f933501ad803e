# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ground-truth benchmark: sites are recorded, learnt by the real step of propose, and the policy is judged by what came after.

Learning sees the first 30 days; the next 30 are the test. Seeds of evaluation only (``tests/truth/sites.py``); the quick version takes
one seed. ``python -m tests.truth.document`` writes docs/propose-benchmark.md.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import read_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.propose import run_propose
from tests.bench import at_most
from tests.truth.baselines import baselines
from tests.truth.documents import write_documents
from tests.truth.judge import WrittenPolicy, figures_of, judge
from tests.truth.records import observers_of, store_site
from tests.truth.sites import EVALUATION, KINDS, SiteTruth, make_site

LEARN_DAYS, DAYS = 30, 60
OF_A_SITE = (
    "cut_flows_right_profiles", "cut_conversations_right_profiles", "cut_uses", "cut_uses_unasked", "cut_by_cadence",
    "segments_above_one_percent",
    "life_safety_cut", "hostile_admitted_outside_by_kind", "over_permission", "rules",
)  # fmt: skip


def run(full: bool) -> dict[str, Any]:
    """Return the figures of the proposal and of three other ways on the same recordings, in all and by site."""
    return measured(EVALUATION if full else EVALUATION[:1])


def measured(seeds: Iterable[int], kinds: Iterable[str] = KINDS, scale: float = 1.0) -> dict[str, Any]:
    """Return the figures over sites of some kinds and seeds."""
    rows: dict[str, list[dict[str, Any]]] = {}
    before: list[dict[str, Any]] = []
    sites = {}
    spent = 0.0
    for seed in seeds:
        for kind in kinds:
            site = make_site(kind, seed, DAYS, scale)
            with tempfile.TemporaryDirectory() as folder:
                started = time.process_time()
                answer = learn(site, Path(folder))
                spent += time.process_time() - started
                own = judged(site, Path(folder), answer)
                written = WrittenPolicy.read(site, Path(folder) / "policies")
                written.questions(answer)
                before.append(judge(site, written, 0, LEARN_DAYS) | {"over_permission": own[0]["over_permission"]})
            for row in own:
                rows.setdefault(row["policy"], []).append(row)
            sites[site.name] = {
                "devices": len(site.devices),
                "observers": observers_of(site),
                "untrue_rules": [" > ".join(each) for each in written.untrue()],
                "summary": answer["summary"],
                **{name: own[0][name] for name in OF_A_SITE},
            }
    made: dict[str, Any] = {"policies": {name: figures_of(each) for name, each in rows.items()}}
    made["proposal_on_days_learnt"] = figures_of(before)
    made["sites"] = sites
    made["untrue_rules"] = sum(len(each["untrue_rules"]) for each in sites.values())
    made["learning_cpu_seconds"] = round(spent, 1)
    own = made["policies"]["proposal"]
    made["targets"] = [
        at_most("cut_flows_right_profiles", own["cut_flows_right_profiles"], 0.001),
        at_most("cut_flows", own["cut_flows"], 0.001),
        at_most("segments_above_one_percent", own["segments_above_one_percent"], 0),
        at_most("life_safety_cut", own["life_safety_cut"], 0),
        at_most("hostile_admitted_outside", own["hostile_admitted_outside"], 0),
        at_most("over_permission", own["over_permission"], 2),
        at_most("untrue_rules", made["untrue_rules"], 0),
    ]
    return made


def learn(site: SiteTruth, folder: Path, days: int = LEARN_DAYS) -> dict[str, Any]:
    """Record a site's days into a store and run propose on it as a user does; return propose's result."""
    store_site(site, folder / "data", days)
    write_documents(site, folder / "policies")
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


def judged(site: SiteTruth, folder: Path, answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what the proposal and the other ways do to the days after those learnt, the proposal first."""
    written = WrittenPolicy.read(site, folder / "policies")
    written.questions(answer)
    others = baselines(site, folder / "data", written)
    exact = others[0].size()
    made = []
    for policy in (written, *others):
        row = judge(site, policy, LEARN_DAYS, site.days)
        row["over_permission"] = round(row["permitted_tuples"] / exact, 3)
        made.append(row)
    return made
