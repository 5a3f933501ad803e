# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate's proofs at size: end to end, a rollout and its impact, and the replay of a rollup at all points.

CPU seconds of this process. The site has 500 segments of 40 devices, 3,000 rules, 250 DACLs, 900 cells and a firewall; the rollup
30 days of as many distinct conversations as a tenth of its rows: half permitted by a rule, half on 5,000 edges that no rule
permits, some of them on ports of their own. Full: 20 million rows. The peer is the walk that judges one conversation at a time.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import resource
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.gate import FlowGate
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.endtoend import prove_rules
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import Columns, columns_of_table
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.meaning import change_of_meaning
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.replay import replay
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.rollout import State, order_of_rollout
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.verdict import Evaluator
from tests.bench import at_most
from tests.unit.proof.large_site import large_site

DAYS, SEGMENTS, DEVICES, EDGES = 30, 500, 40, 5_000
WALKED = 20_000
ROOT = Path(__file__).resolve().parents[2]


def run(full: bool) -> dict[str, Any]:
    """Return CPU seconds, counts and peak memory."""
    rows = 20_000_000 if full else 1_000_000
    site = large_site(SEGMENTS, DEVICES)
    made: dict[str, Any] = {"segments": SEGMENTS, "rules": len(site.rules()), "rollup_rows": rows}
    spent, compiled = cpu(lambda: compile_site(site))
    made |= {"compile_cpu_seconds": spent, "lists": len(compiled.lists)}
    spent, proved = cpu(lambda: prove_rules(site, compiled.lists))
    if len(proved.proved) != len(site.rules()):
        raise AssertionError("a rule is cut")
    made["end_to_end_cpu_seconds"] = spent
    made |= change(site, State(site, compiled.lists))
    output = ROOT / "tests" / "output"
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="proof-", dir=output) as folder:
        write_rollup(site, Path(folder), rows)
        made |= replayed(site, compiled.lists, Path(folder), proved.proved)
    made["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    made["targets"] = [at_most("replay_cpu_seconds", made["replay_cpu_seconds"], 20 if full else 10)]
    return made


def cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return CPU seconds of this process and the result."""
    before = time.process_time()
    result = work()
    return round(time.process_time() - before, 2), result


def change(site: Site, before: State) -> dict[str, Any]:
    """Take one rule away: the rollout's order and the meaning of the change."""
    name = "segment_001"
    segment = site.segments[name]
    segments = {**site.segments, name: dataclasses.replace(segment, allow=segment.allow[1:])}
    edited = dataclasses.replace(site, segments=segments)
    after = State(edited, compile_site(edited).lists)
    order, (rollout, _findings) = cpu(lambda: order_of_rollout(before, after))
    spent, meaning = cpu(lambda: change_of_meaning(before, after))
    if not rollout.safe or {row.change for row in meaning.rows} != {"lost"}:
        raise AssertionError("a rule less loses and gains nothing")
    return {"rollout_cpu_seconds": order, "impact_cpu_seconds": spent, "impact_rows": len(meaning.rows)}


def replayed(site: Site, lists: Any, data: Path, proved: Any) -> dict[str, Any]:
    """Replay the rollup at all points, and some of it by the walk."""
    read, table = cpu(lambda: FlowGate(data).replayed()[0])
    spent, made = cpu(lambda: columns_of_table(table))
    judged, result = cpu(lambda: replay(site, lists, made, proved))
    walk, _same = cpu(lambda: walked(site, lists, made))
    return {
        "conversations": len(made), "replay_cpu_seconds": round(read + spent + judged, 2), "reading_and_summing_cpu_seconds": read,
        "judging_cpu_seconds": judged, "permitted": result.permitted, "cut": result.cut_total,
        "walk_cpu_seconds_per_100000": round(walk * 100_000 / WALKED, 2),
    }  # fmt: skip


def walked(site: Site, lists: Any, columns: Columns) -> int:
    """Judge some conversations one at a time; returns how many pass."""
    evaluator = Evaluator(site, lists)
    step = max(1, len(columns) // WALKED)
    return sum(
        evaluator.verdict(columns.conversation(row)).permitted
        for row in range(0, step * WALKED, step)
        if row < len(columns)
    )


def write_rollup(site: Site, data: Path, rows: int) -> None:
    """Write the rollup of DAYS days."""
    random = np.random.default_rng(1)
    distinct = rows // 10
    addresses = np.array(
        [[int(ipaddress.ip_address(m.addresses[0])) for m in found] for found in site.members.values()], dtype=np.int64
    )
    number = {name: place for place, name in enumerate(site.members)}
    rules = [rule for rule in site.rules() if rule.to in number]
    matches = [site.services[rule.services[0]].matches[0] for rule in rules]
    edges = np.concatenate([
        np.array([[number[r.client], number[r.to], m.protocol, m.ports[0][0]] for r, m in zip(rules, matches, strict=True)]),
        np.stack([
            random.integers(0, SEGMENTS, EDGES), random.integers(0, SEGMENTS, EDGES), random.choice([6, 17], EDGES),
            random.integers(1, 5000, EDGES),
        ], axis=1),
    ])  # fmt: skip
    half = distinct // 2
    picked = np.concatenate(
        [random.integers(0, len(rules), half), random.integers(len(rules), len(edges), distinct - half)]
    )
    client = addresses[edges[picked, 0], random.integers(0, DEVICES, distinct)]
    server = addresses[edges[picked, 1], random.integers(0, DEVICES, distinct)]
    protocol, port = edges[picked, 2], edges[picked, 3].copy()
    alone = half + random.integers(0, distinct - half, distinct // 40)
    port[alone] = random.integers(1, 60_000, len(alone))
    for day in range(DAYS):
        chosen = np.sort(random.choice(distinct, rows // DAYS, replace=False))
        order = np.lexsort((port[chosen], protocol[chosen], server[chosen], client[chosen]))
        _write_day(
            data,
            date(2026, 10, 1) + timedelta(days=day),
            random,
            *(c[chosen][order] for c in (client, server, protocol, port)),
        )


def _write_day(data: Path, day: date, random: Any, client: Any, server: Any, protocol: Any, port: Any) -> None:
    count, number = len(client), store.day_number(day)
    high = np.full(count, -(1 << 63), dtype=np.int64)
    flows = random.integers(1, 20, count)
    first = number * 86_400_000_000 + random.integers(0, 80_000_000_000, count)
    table = pa.table({
        "day": pa.array(np.full(count, number, np.int32)).cast(pa.date32()), "client_hi": high, "client_lo": _low(client),
        "server_hi": high,
        "server_lo": _low(server), "protocol": protocol.astype(np.int16), "server_port": port.astype(np.int32),
        "class": pa.array(["unicast"] * count), "flows": flows, "answered_flows": flows, "packets": flows * 10, "bytes": flows * 1000,
        "first_us": first, "last_us": first + random.integers(0, 6_000_000_000, count), "hours": np.full(count, 7, np.int32),
        "minimum_client_port": random.integers(32768, 52768, count).astype(np.int32),
        "maximum_client_port": np.full(count, 60000, np.int32),
        "method": np.full(count, 2, np.int16), "confidence": np.full(count, 0.9, np.float32), "weak_flows": np.zeros(count, np.int64),
    })  # fmt: skip
    store.write_table(table, store.day_folder(data, "rollup", day) / "rollup.parquet", "rollup")


def _low(address: Any) -> Any:
    return (address | (0xFFFF << 32)) + np.int64(-(1 << 63))
