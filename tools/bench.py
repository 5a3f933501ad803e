"""Run the measurements in tests/bench and keep what they say.

Each `tests/bench/NAME.py` has `def run(full: bool) -> dict`, which returns plain numbers and names (seconds, counts, ratios), among
them `targets`: figures beside what they should be. A missed target is said; a wrong answer is an AssertionError and the exit code.
The result goes to `tests/output/bench/NAME.json`, with the machine and the versions it was seen on.

    bench.py [NAME ...]
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("ansible-core", "numpy", "duckdb", "pyarrow", "netmiko", "ciscoisesdk")


def machine() -> dict[str, Any]:
    """Return what a reader must know to judge a number: processor, cores, memory, versions, commit."""
    cpu = ""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        models = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        cpu = models[0] if models else ""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "absent"
    return {
        "processor": cpu or platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "python": platform.python_version(),
        "system": platform.system(),
        "versions": versions,
        "commit": commit,
    }


def main(names: list[str]) -> int:
    sys.path[:0] = [str(ROOT), str(ROOT / "collections")]
    folder = ROOT / "tests" / "bench"
    known = sorted(path.stem for path in folder.glob("*.py") if path.stem not in ("__init__", "conftest"))
    unknown = sorted(set(names) - set(known))
    if unknown:
        print(
            f"no such measurement: {', '.join(unknown)}; there are: {', '.join(known) or 'none yet'}", file=sys.stderr
        )
        return 2
    output = ROOT / "tests" / "output" / "bench"
    output.mkdir(parents=True, exist_ok=True)
    full = os.environ.get("SEGWRIGHT_FULL") == "1"
    failed = 0
    for name in names or known:
        run = getattr(importlib.import_module(f"tests.bench.{name}"), "run", None)
        if run is None:
            continue
        print(f"bench {name} ... ", end="", flush=True)
        started = time.perf_counter()
        record: dict[str, Any] = {"bench": name, "full": full, "machine": machine()}
        try:
            record["result"] = run(full)
            record["ok"] = True
        except AssertionError as error:
            record["ok"], record["wrong"] = False, str(error)
            failed += 1
        record["seconds"] = round(time.perf_counter() - started, 3)
        (output / f"{name}.json").write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        print(f"{'ok' if record['ok'] else 'WRONG: ' + record['wrong']} {record['seconds']} s")
        result = record.get("result", {})
        print(json.dumps(result, indent=2, sort_keys=True))
        for row in result.get("targets", ()):
            limit = f"at most {row['at_most']}" if "at_most" in row else f"at least {row['at_least']}"
            print(f"  {'met   ' if row['met'] else 'MISSED'} {row['figure']}: {row['measured']}, target {limit}")
    if not known:
        print("no measurements in tests/bench yet")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
