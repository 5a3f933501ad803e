# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what the proof of a plan costs on a large site: with a change of one rule, and with that and devices that move to other segments.

The site is that of the measurement of compiling: each segment has a downloadable list, the first 90 cells between tags as well, and
rules lead to servers and network sets only. Devices move between pairs of other segments, in four rings, as after a reclassification.
Every size runs in a process of its own, so that the memory is its own.
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import Plan, TargetPlan
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    Member,
    Ring,
    Rule,
    Segment,
    Site,
    Workflow,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import plan as steps_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_diff import ise_operations
from tests.bench.compile import SERVERS, bench_site

ROOT = Path(__file__).resolve().parents[2]
BOUND = {"authorization": {"endpoints": "assigned"}, "tags": "inline"}
DEFAULT = {"source": "ANY", "destination": "ANY", "status": "ENABLED", "sgacls": [], "default_rule": "PERMIT_IP"}
RULES = 50  # of each segment
# (segments, devices that move)
QUICK = ((100, 20),)
FULL = (*((500, count) for count in (50, 200, 800)), *((2000, count) for count in (200, 800)))


def servers_of(segments: int) -> int:
    """Return how many of the first segments are servers."""
    return max(2, min(SERVERS, segments // 10))


def moved(site: Site, count: int) -> Site:
    """Return the site with ``count`` devices in the segment after theirs, spread over all segments, and rings that name them."""
    names = sorted(site.members, key=lambda name: int(name.rpartition("_")[2]))[servers_of(len(site.members)) :]
    members: dict[str, list[Member]] = {name: list(found) for name, found in site.members.items()}
    chance, went = random.Random(1), []
    for number in range(count):
        here = names[(number * 2) % len(names)]
        there = names[(number * 2 + 1) % len(names)]
        if members[here]:
            device = members[here].pop(chance.randrange(len(members[here])))
            members[there].append(device)
            went.append(device.device)
    share = max(1, len(went) // 4)
    rings = tuple(
        Ring(f"ring{n}", devices=tuple(went[n * share : (n + 1) * share if n < 3 else None])) for n in range(4)
    )
    return replace(site, members={name: tuple(found) for name, found in members.items()}, rings=rings)


def measured(segments: int, count: int) -> dict[str, Any]:
    """Return CPU seconds of the proof and the peak of memory, of a plan without and with moves."""
    site = bench_site(segments, RULES * segments)
    opened = {*sorted(site.segments)[: servers_of(segments)], *site.networks}
    site = replace(site, segments={n: replace(s, allow=_only(s, opened)) for n, s in site.segments.items()})
    points = {
        name: replace(point, options={**point.options, **BOUND})
        for name, point in site.points.items()
        if point.host == "ise1"
    }
    assignments = {
        name: replace(item, points=tuple(each for each in item.points if each in points))
        for name, item in site.assignments.items()
    }
    first = next(iter(site.segments.values()))
    workflow = Workflow("w", "w", "ward", "high", tuple(rule.id for rule in first.allow[:5]))
    site = replace(site, points=points, assignments=assignments, workflows=(workflow,))
    more = replace(first, allow=(*first.allow, _another(first.allow[0])))
    changed = replace(site, segments={**site.segments, first.name: more})
    began = time.process_time()
    old = compile_site(site)
    devices = sum(len(found) for found in site.members.values())
    made: dict[str, Any] = {"segments": segments, "devices": devices}
    made["compile_cpu_s"] = round(time.process_time() - began, 2)
    objects = {f"{item.kind}/{item.name}": {**item.body, "owned": True} for t in old.targets for item in t.objects}
    spent: list[float] = []
    proof = steps_plan.moves_of

    def timed(*given: Any) -> Any:
        start = time.process_time()
        result = proof(*given)
        spent.append(time.process_time() - start)
        return result

    steps_plan.moves_of = timed  # type: ignore[assignment]
    live = Snapshot("ise1", "ise", objects, raw={"policy_set/Default": "1"})
    seen = replace(live, objects={**objects, "egress_matrix_cell/ANY-ANY": DEFAULT})
    for name, after in (("without", changed), ("with", moved(changed, count))):
        new = compile_site(after)
        (target,) = new.targets
        steps = ise_operations("ise1", target.objects, live)
        plan = Plan("p", "c", "", "", "", False, (TargetPlan("ise1", "ise", "", objects, steps),))
        spent.clear()
        began = time.process_time()
        effect, findings = steps_plan.meaning_of(after, new, {"ise1": seen}, plan)
        made[f"{name}_moves_cpu_s"] = round(time.process_time() - began, 2)
        made[f"{name}_moves_of_it_moves_cpu_s"] = round(sum(spent), 2)
        made[f"{name}_moves_steps"] = len(steps)
        made[f"{name}_moves_findings"] = len(findings)
        made[f"{name}_moves_peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        made["moving"] = effect.get("moves", {}).get("devices", 0)
    assert made["moving"] == min(count, made["moving"]) > 0
    return made


def _only(segment: Segment, opened: Collection[str]) -> tuple[Rule, ...]:
    return tuple(rule for rule in segment.allow if rule.to in opened)


def _another(rule: Rule) -> Rule:
    return replace(rule, id=f"{rule.id}-more", services=("tcp_7",))


def run(full: bool) -> dict[str, Any]:
    """Return the measurements."""
    rows = []
    for size in FULL if full else QUICK:
        words = [sys.executable, "-m", "tests.bench.moves", json.dumps(size)]
        places = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "collections")))}
        done = subprocess.run(words, cwd=ROOT, env=places, capture_output=True, text=True, timeout=3600, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    return {"rows": rows, "targets": []}


if __name__ == "__main__":
    print(json.dumps(measured(*json.loads(sys.argv[1]))))
