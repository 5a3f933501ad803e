# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Propose at size: 20,000 devices in 60 segments over 30 days, from files to files, with leases that move and half a percent of noise.

CPU seconds with children, since the machine may be shared; each run in a process of its own, so that its peak memory is its own. Quick:
0.3 M and 1 M rows of rollup; full: 6.2 M and 18.6 M. The rollup is written as such. Connections are kept for its last day only: what is
noise is looked for in them, and told apart. A second run finds what the first one kept of the day's noise. The same seed gives the same
bytes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import storage
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Observation
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.register import merge
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.address import V4_HI, V4_LO
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import ROLLUP, arrow_schema
from tests.bench import at_most, flow_data

ROOT = Path(__file__).resolve().parents[2]
# Of made-up records, so many make a row of rollup at full size.
RECORDS_A_ROW = 5.4
BLOCK = 100


def run(full: bool) -> dict[str, Any]:
    """Return CPU seconds and peak memory at two sizes, and how they grow."""
    sizes = (6_200_000, 18_600_000) if full else (300_000, 1_000_000)
    made: dict[str, Any] = {}
    for rows in sizes:
        made[f"{rows}_rows"] = measure(rows)
    small, large = (made[f"{rows}_rows"] for rows in sizes)
    times = large["rollup_rows"] / small["rollup_rows"]
    made["growth"] = round(large["cpu_seconds"] / small["cpu_seconds"] / times, 2)
    made["targets"] = [at_most("peak_mib", large["peak_mib"], 2048)]
    if full:
        made["targets"].append(at_most("wall_seconds", large["wall_seconds"], 60))
    return made


def measure(rows: int) -> dict[str, Any]:
    """Return the figures at one size."""
    output = ROOT / "tests" / "output"
    output.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="propose-", dir=output))
    try:
        made = _apart("generate", rows, folder)
        first = _apart("propose", rows, folder)
        again = _apart("propose", rows, folder)
        return {**made, **first, "again": {name: again[name] for name in ("cpu_seconds", "wall_seconds", "peak_mib")}}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _apart(part: str, rows: int, folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.propose", part, str(rows), str(folder)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'collections'}"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{part}: {done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def generate(rows: int, folder: Path) -> dict[str, Any]:
    """Write documents, register and rollup; return how many rows there are."""
    site = flow_data.Site(flow_data.Shape(records=int(rows * RECORDS_A_ROW)))
    _documents(site, folder / "policies")
    moment = store.day_number(flow_data.FIRST_DAY) * flow_data.DAY_US
    observations = [
        Observation(flow_data.name_of(n), {"endpoint_profile": f"kind-{site.group[n]:03d}"}, (), "ise", moment, 0.9)
        for n in range(site.shape.devices)
    ]  # fmt: skip
    data = folder / "data"
    storage.write(merge(observations), data)
    # Leases that move come from the generator; the file keeps its own schema.
    path = data / "register" / "addresses.parquet"
    schema = pq.read_schema(path)
    held = site.intervals()
    pq.write_table(
        pa.table({name: held.column(name) for name in schema.names if name in held.column_names}, schema=schema), path
    )
    total = sum(_rollup_day(site, day, data) for day in range(site.shape.days))
    connections = _connections(site, site.shape.days - 1, data)
    return {
        "rollup_rows": total,
        "connections": connections,
        "devices": site.shape.devices,
        "segments": site.shape.groups,
    }


def _documents(site: flow_data.Site, policy: Path) -> None:
    policy.mkdir(parents=True)
    names = [f"segment{number:03d}" for number in range(site.shape.groups)]
    rules = "".join(
        f"  - name: {name}\n    when:\n      fact: endpoint_profile\n      equals: kind-{number:03d}\n    zone: plant\n"
        f"    owner: owner-{number % 7}\n"
        f"    criticality: {('life_support', 'high', 'medium', 'low')[number % 4]}\n"
        for number, name in enumerate(names)
    )
    documents = {
        "site.yml": "name: large\ntime_zone: UTC\nzones:\n  plant:\n    subnets: [10.0.0.0/8]\n    security_level: 2\n    owner: plant\n",
        "classification.yml": f"rules:\n{rules}",
        "networks.yml": "networks:\n  outside:\n    prefixes: [198.18.0.0/15]\n",
        "services.yml": "services:\n" + "".join(_services()),
    }
    for name, text in documents.items():
        (policy / name).write_text(text, encoding="utf-8")


def _services() -> list[str]:
    """Return the well-known ports each by itself, and blocks of a hundred for the rest."""
    known = [
        f"  port{port}:\n    match:\n      - {{protocol: {p}, ports: [{port}]}}\n"
        for port in flow_data.PORTS
        for p in ("tcp",)
    ]
    known = [
        text.replace("tcp", "udp") if any(f"port{n}:" in text for n in (161, 123, 53, 5060, 47808)) else text
        for text in known
    ]
    blocks = [
        f"  block{low}:\n    match:\n      - {{protocol: tcp, ports: [{low}-{low + BLOCK - 1}]}}\n"
        for low in range(1024, 30_100, BLOCK)
    ]
    return [*known, *blocks]


def _rollup_day(site: flow_data.Site, day: int, data: Path) -> int:
    """Write one day's rollup: the edges that its records fall on, each once, and strays."""
    shape = site.shape
    rng = np.random.default_rng((shape.seed, day, 7))
    count = int(shape.records / shape.days * (1 - shape.twice))
    edge = np.minimum(np.searchsorted(site.cumulative, np.sort(rng.random(count))), shape.edges - 1)
    if day == shape.days // 2:
        edge[: site.monthly.size] = site.monthly
    edges, often = np.unique(edge, return_counts=True)
    strays = int(count * shape.noise)
    client = np.concatenate((site.edge_client[edges], rng.integers(0, shape.devices, strays)))
    server = np.concatenate((site.edge_server[edges], rng.integers(0, shape.devices, strays)))
    total, none = len(client), np.zeros(strays, dtype=np.int64)
    outside = np.concatenate((site.edge_outside[edges], none))
    flows = np.concatenate((often, np.ones(strays, dtype=np.int64)))
    stray = np.arange(total) >= len(edges)
    first = (flow_data.DAY_US * rng.beta(1.6, 1.4, total)).astype(np.int64) + day * flow_data.DAY_US
    length = (flows > 1) * (rng.random(total) * 0.6 * flow_data.DAY_US).astype(np.int64) + 1000
    last = np.minimum(first + length, (day + 1) * flow_data.DAY_US - 1)
    here = site.address_of(client, first)
    there = np.where(server >= 0, site.address_of(np.maximum(server, 0), first), flow_data.OUTSIDE + outside)
    method = rng.choice((1, 1, 1, 5, 6), total)
    base = store.day_number(flow_data.FIRST_DAY) * flow_data.DAY_US
    columns: dict[str, Any] = {
        "client_hi": np.full(total, V4_HI), "client_lo": here + V4_LO, "server_hi": np.full(total, V4_HI), "server_lo": there + V4_LO,
        "protocol": np.concatenate((site.edge_protocol[edges], none + 6)),
        "server_port": np.concatenate((site.edge_port[edges], rng.integers(1, 65_536, strays))), "flows": flows,
        "answered_flows": np.where(stray, 0, flows), "packets": flows * 10, "bytes": flows * 5_000, "first_us": first + base,
        "last_us": last + base, "hours": 1 << ((first % flow_data.DAY_US) // 3_600_000_000), "minimum_client_port": np.full(total, 33_000),
        "maximum_client_port": np.full(total, 60_000), "method": method,
        "confidence": np.array([1.0, 1.0, 0.98, 0.97, 0.96, 0.95, 0.9], dtype=np.float32)[method],
        "weak_flows": np.zeros(total, dtype=np.int64),
    }  # fmt: skip
    order = np.lexsort((columns["server_port"], columns["server_lo"], columns["client_lo"]))
    moment = flow_data.FIRST_DAY + timedelta(days=day)
    fixed = {"day": moment, "class": "unicast"}
    arrays = [
        pa.repeat(pa.scalar(fixed[each.name], type=each.type), total)
        if each.name in fixed
        else pa.array(columns[each.name][order]).cast(each.type)
        for each in arrow_schema(ROLLUP)
    ]  # fmt: skip
    table = pa.Table.from_arrays(arrays, schema=arrow_schema(ROLLUP))
    return store.write_table(table, store.day_folder(data, "rollup", moment) / "rollup.parquet", "rollup")


def _connections(site: flow_data.Site, day: int, data: Path) -> int:
    """Write one day's connections, which its rollup was not made of: only what is noise is looked for in them."""
    moment = flow_data.FIRST_DAY + timedelta(days=day)
    source = flow_data.source_of(day)
    path = store.day_folder(data, "connections", moment) / f"{source}.parquet"
    rows = store.write_table(site.connections(day), path, "connections")
    document = store.read_inputs(data)
    document["inputs"][source] = {
        "sha256": source.ljust(64, "0"), "name": "made", "bytes": 0, "kind": "made", "imported_at": "", "records": rows,
        "connections": rows, "quality": {},
    }  # fmt: skip
    store.write_inputs(data, document)
    return rows


def propose(_rows: int, folder: Path) -> dict[str, Any]:
    """Run the step and return CPU seconds, wall seconds, peak memory and what came out."""
    from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.propose import run_propose

    begun, before = time.monotonic(), os.times()
    answer = run_propose({
        "policy_dir": str(folder / "policies"), "data_dir": str(folder / "data"), "check_mode": False, "diff_mode": False,
    })  # fmt: skip
    after = os.times()
    made = json.loads((folder / "data" / "out" / "propose.json").read_text(encoding="utf-8"))
    peak = next(
        line for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines() if line.startswith("VmHWM")
    )
    return {
        "cpu_seconds": round(sum(after[:4]) - sum(before[:4]), 1),
        "wall_seconds": round(time.monotonic() - begun, 1),
        "peak_mib": int(peak.split()[1]) // 1024,
        "rules": answer["learnt"]["rules"],
        "waiting": answer["learnt"]["conversations left to people"],
        "conversations": answer["learnt"]["conversations"],
        "coverage_after": made["coverage"]["after"]["by_conversations"],
    }


PARTS = {"generate": generate, "propose": propose}

if __name__ == "__main__":
    print(json.dumps(PARTS[sys.argv[1]](int(sys.argv[2]), Path(sys.argv[3]))))
