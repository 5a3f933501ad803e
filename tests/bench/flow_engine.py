# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The flow store at size: distinct conversations beside nfdump's on the same rows, the rollup, and a policy held against a month of it.

CPU seconds with children, since the machine may be shared. Quick: 1 M and 3 M records; full: 10 M and 100 M. Each part runs in a process
of its own, so that its peak memory is its own. What was made is removed afterwards.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import rollup, store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.footers import read_footer
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.gate import FlowGate
from tests.bench import at_least, at_most, flow_data, nfcapd_write

ROOT = Path(__file__).resolve().parents[2]
EIGHT = "start_us, end_us, client_lo, server_lo, protocol, server_port, packets_out, bytes_out"


def run(full: bool) -> dict[str, Any]:
    """Return CPU seconds, ratios and sizes at two sizes, and how they grow."""
    sizes = (10_000_000, 100_000_000) if full else (1_000_000, 3_000_000)
    made: dict[str, Any] = {}
    for records in sizes:
        made[f"{records // 1_000_000}_million"] = measure(records)
    small, large = (made[f"{records // 1_000_000}_million"] for records in sizes)
    times = sizes[1] / sizes[0]
    made["growth"] = {
        name: round(large[name] / small[name] / times, 2)
        for name in ("distinct_cpu_seconds", "rollup_cpu_seconds", "replay_cpu_seconds", "decode_cpu_seconds")
    }
    made["targets"] = [at_most("distinct_peak_mib", large["distinct_peak_mib"], 1024)]
    if full:
        made["targets"] += [
            at_most("replay_cpu_seconds", large["replay_cpu_seconds"], 5), at_most("rollup_cpu_seconds", large["rollup_cpu_seconds"], 40),
        ]  # fmt: skip
    if "times_nfdump" in large:
        made["targets"].append(at_least("times_nfdump", large["times_nfdump"], 3))
    return made


def measure(records: int, keep: Path | None = None) -> dict[str, Any]:
    """Return the figures at one size; ``keep`` names a folder to work in that is not removed."""
    output = ROOT / "tests" / "output"
    output.mkdir(parents=True, exist_ok=True)
    folder = keep or Path(tempfile.mkdtemp(prefix="flow-engine-", dir=output))
    try:
        made: dict[str, Any] = {"records": records}
        for part in PARTS:
            made.update(_apart(part, records, folder))
        if made.get("nfdump_cpu_seconds"):
            made["times_nfdump"] = round(made["nfdump_cpu_seconds"] / made["distinct_cpu_seconds"], 2)
        made["distinct_over_decode_floor"] = round(made["distinct_cpu_seconds"] / made["decode_cpu_seconds"], 2)
        return made
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def _apart(part: str, records: int, folder: Path) -> dict[str, Any]:
    """Run a part in a fresh process and return what it says, with its CPU seconds and peak memory."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.flow_engine", part, str(records), str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'collections'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{part}: {done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _timed(name: str, work: Callable[[], Any]) -> tuple[dict[str, Any], Any]:
    before, wall = os.times(), time.monotonic()
    result = work()
    after = os.times()
    spent = sum(after[:4]) - sum(before[:4])
    return {f"{name}_cpu_seconds": round(spent, 2), f"{name}_wall_seconds": round(time.monotonic() - wall, 2)}, result


def _peak(name: str) -> dict[str, int]:
    """Return the most memory this process has held; the kernel's own figure for children would be the parent's."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return {f"{name}_peak_mib": int(line.split()[1]) // 1024}


def generate(records: int, folder: Path) -> dict[str, Any]:
    """Write the store, and nfcapd files of the same rows where nfdump is installed."""
    site = flow_data.Site(flow_data.Shape(records))
    also = None
    if shutil.which("nfdump"):
        (folder / "nfcapd").mkdir()

        def also(day: int, table: Any) -> int:
            return nfcapd_write.write(folder / "nfcapd" / f"nfcapd.{20261001 + day}0000", table)

    made, octets = _timed("generate", lambda: flow_data.write_store(site, folder, also))
    made["connections_bytes_per_record"] = round(octets / records, 2)
    return made


def decode(_records: int, folder: Path) -> dict[str, Any]:
    """Read eight columns of all rows and keep nothing: what any answer over them must cost."""
    files = [str(path) for group in store.connection_files(folder).values() for path in group]
    sums = ", ".join(f"max({name})" for name in EIGHT.split(", "))
    with store.connect() as connection:
        return _timed(
            "decode", lambda: connection.execute(f"SELECT {sums} FROM read_parquet($f)", {"f": files}).fetchall()
        )[0]


def distinct(_records: int, folder: Path) -> dict[str, Any]:
    """Distinct client, server, protocol and port with first, last, count and bytes."""
    with FlowGate(folder) as gate:
        made, rows = _timed("distinct", gate.distinct)
    return {**made, **_peak("distinct"), "distinct_conversations": rows.num_rows}


def nfdump(_records: int, folder: Path) -> dict[str, Any]:
    """The same by nfdump, which prints nothing."""
    if not (folder / "nfcapd").is_dir():
        return {}
    command = ["nfdump", "-R", str(folder / "nfcapd"), "-A", "srcip,dstip,proto,dstport", "-q", "-o", "null"]
    return _timed("nfdump", lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))[0]


def daily(records: int, folder: Path) -> dict[str, Any]:
    """Build the rollup of all days, each conversation once."""
    made, days = _timed("rollup", lambda: rollup.refresh(folder))
    paths = store.rollup_files(folder)
    octets = sum(path.stat().st_size for path in paths)
    rows = sum(read_footer(path).rows for path in paths)
    made |= {"rollup_days": len(days), "rollup_rows": rows, "rollup_mib": round(octets / 2**20, 1)}
    return {**made, **_peak("rollup"), "rollup_bytes_per_record": round(octets / records, 2)}


def replay(records: int, folder: Path) -> dict[str, Any]:
    """Hold 10,000 rules against the rollup, each row bound by its own time; then other questions."""
    site = flow_data.Site(flow_data.Shape(records))
    intervals, members, networks, rules = site.intervals(), site.members(), site.networks(), site.rule_table()
    with FlowGate(folder) as gate:

        def work() -> Any:
            gate.bind(intervals, members, networks)
            return gate.unmatched(rules)

        made, rows = _timed("replay", work)
        made |= {"replay_rules": rules.num_rows, "unmatched_edges": rows.num_rows, **_peak("replay")}
        made |= _timed("evidence", gate.evidence)[0]
        made |= _timed("conversations", gate.conversations)[0]
        boundary = flow_data.FIRST_DAY + timedelta(days=site.shape.days - 7)
        made |= _timed("drift", lambda: gate.appeared(boundary))[0]
    return made


PARTS = {
    "generate": generate,
    "decode": decode,
    "distinct": distinct,
    "nfdump": nfdump,
    "daily": daily,
    "replay": replay,
}


if __name__ == "__main__":
    print(json.dumps(PARTS[sys.argv[1]](int(sys.argv[2]), Path(sys.argv[3]))))
