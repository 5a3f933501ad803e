# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows summed before they are bound say what rows bound one by one say, whoever held an address when."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.intervals import FIRST, LAST
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations import learning
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.gate import FlowGate
from tests.bench import flow_data
from tests.unit.flows import operations

DAY = 86_400_000_000


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[flow_data.Site, Path]:
    folder = tmp_path_factory.mktemp("store")
    shape = flow_data.Shape(
        records=6_000, days=6, devices=60, groups=5, edges=300, outside=20, rules_per_group=12, lease_share=0.3, monthly=5
    )  # fmt: skip
    return operations.made(folder, shape), folder


def restless(site: flow_data.Site, seed: int) -> Any:
    """Return intervals that no register makes so often: gaps, changes within a day, assumed ends, claims of several, overlaps."""
    rng = random.Random(seed)
    base = store.day_number(flow_data.FIRST_DAY) * DAY
    rows = []
    for row in site.intervals().to_pylist():
        how = rng.random()
        if how < 0.3:
            rows.append(row)
        elif how < 0.4:
            rows.append({**row, "device": "", "source": "contested"})
        elif how > 0.45:
            cuts = sorted(base + rng.randrange(-DAY, 7 * DAY) for _cut in range(rng.randrange(1, 5)))
            bounds = [FIRST, *cuts, LAST] if rng.random() < 0.7 else cuts
            for begin, end in zip(bounds, bounds[1:], strict=False):
                if rng.random() < 0.8:
                    device = (
                        flow_data.name_of(rng.randrange(site.shape.devices)) if rng.random() < 0.5 else row["device"]
                    )
                    source = rng.choice(("dhcp", "assumed:dhcp"))
                    rows.append({**row, "from_us": begin, "to_us": end, "device": device, "source": source})
                    if rng.random() < 0.1:
                        rows.append({**row, "from_us": begin, "to_us": end - 1000, "device": "02:00:00:00:00:01"})
    return pa.Table.from_pylist(rows, schema=site.intervals().schema)


def pairs_of(rows: list[dict[str, Any]], marks: dict[Any, str], first: int) -> dict[Any, list[Any]]:
    """Sum bound rows to pairs of devices, one by one."""
    made: dict[Any, list[Any]] = {}
    for row in rows:
        ends = []
        for end in ("client", "server"):
            device = row[f"{end}_device"]
            ends += [
                row[f"{end}_segment"],
                device,
                0 if device else row[f"{end}_hi"],
                0 if device else row[f"{end}_lo"],
            ]
        mark = marks.get(tuple(row[name] for name in list(learning.MARKS)[:-1]), "")
        if (row["protocol"], row["server_port"]) in learning.BOOTSTRAP:
            mark = "bootstrap"
        binding = "ambiguous" if "ambiguous" in (row["client_binding"], row["server_binding"]) else ""
        key = (*ends, row["protocol"], row["server_port"], row["class"], mark, binding)
        own = made.setdefault(key, [0, 0, 0, 0, 0, 0, 0, 1 << 62, -(1 << 62), 1 << 30, -1, 99, 0.0])
        own[0] |= 1 << (row["first_us"] - first) // DAY
        own[1] += 1
        own[2] |= row["hours"]
        for place, name in enumerate(("flows", "answered_flows", "bytes", "weak_flows"), 3):
            own[place] += row[name]
        own[7], own[8] = min(own[7], row["first_us"]), max(own[8], row["last_us"])
        own[9], own[10] = min(own[9], row["minimum_client_port"]), max(own[10], row["maximum_client_port"])
        own[11], own[12] = min(own[11], row["method"]), max(own[12], row["confidence"])
    return made


@pytest.mark.one_python
@pytest.mark.parametrize("seed", range(2))
def test_the_short_way_finds_the_same_pairs(
    built: tuple[flow_data.Site, Path], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, folder = built
    intervals = restless(site, seed)
    told = operations.learning_of(site)
    marks = {tuple(row.values())[:-1]: row["mark"] for row in told["marks"].to_pylist()}
    with FlowGate(folder) as gate:
        gate.bind(intervals, site.members(), site.networks())
        monkeypatch.setattr(gate.engine, "forget", lambda name: None)
        answer = gate.learning(**told)
        columns = learning.pair_columns(answer["days"])
        found = gate.engine.rows("SELECT * FROM pairs", columns).to_pylist()
        crossing = gate.engine.rows("SELECT count(*) AS n FROM crossing_days", {"n": "int64"}).to_pylist()[0]["n"]
    with FlowGate(folder) as gate:
        gate.bind(intervals, site.members(), site.networks())
        expected = pairs_of(gate.bound_rows().to_pylist(), marks, answer["first_us"])
    got = {tuple(row[name] for name in learning.PAIR): row for row in found}
    assert len(got) == len(found)
    assert set(got) == set(expected)
    by_name = dict(zip(("days_0", *learning.SUMS), range(13), strict=True))
    for key, row in got.items():
        assert [row[name] for name in by_name] == pytest.approx(expected[key]), key
    kinds = defaultdict(int)
    for key in got:
        kinds["ambiguous" if key[-1] else "device" if key[1] else "address"] += 1
    assert crossing > 50 and all(kinds[name] > 20 for name in ("ambiguous", "device", "address"))
