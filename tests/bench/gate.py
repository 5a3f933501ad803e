# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole gate as the step runs it, files to reports: from nothing, unchanged, and with one segment changed.

2,000 segments with 50 rules each (a tenth of it in a quick run), a DACL for each, a firewall between 20 zones, ninety segments in a matrix;
guardrails, workflows, expectations, and a posture, so that lists are proved in more than one situation. CPU seconds of this process.
Compile and proof without a cache have a bench of their own (``compile``), replay as well (``proof``). A matrix of all 2,000 segments would
have 4,000,000 cells, which no switch holds (8,192 on one ASIC), so that the matrix has the size of a switch.
"""

from __future__ import annotations

import multiprocessing
import resource
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import validate
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.validate import run_validate
from tests.bench import at_most
from tests.bench.policy_data import write_large_site

TODAY = "2026-11-23"
MATRIX = 90
NAMED = 10  # guardrails, workflows and expectations, each


def write_gate_site(directory: Path, segments: int) -> int:
    """Write the site; return the number of its rules."""
    rules = write_large_site(directory, segments, devices=16, first=16)
    lines = [
        "points:",
        "  ise-dacl: {kind: dacl, platform: ise, host: ise1}",
        "  ise-matrix: {kind: sgacl, platform: ise, host: ise1, tags: inline}",
        "  fw1: {kind: firewall, platform: nftables, host: fw1, table: segwright}",
        "segments:",
    ]
    for number in range(segments):
        matrix = ", ise-matrix" if number < MATRIX else ""
        lines += [f"  segment_{number}:", "    stage: enforce", f"    points: [fw1, ise-dacl{matrix}]"]
    lines += ["budgets:", "  dacl: {aces: 600, bytes: 60000}"]
    (directory / "enforcement.yml").write_text("\n".join(lines) + "\n")
    named = [_first_rule(directory, number) for number in range(0, segments, segments // NAMED)]
    zones = -(-segments // 100)
    guardrails, workflows, expectations = ["guardrails:"], ["workflows:"], ["expectations:"]
    for number, (rule, client, to, service) in enumerate(named):
        guardrails += [
            f"  - {{id: always-{number}, must: always, client: {client}, server: {to}, services: [{service}], reason: it is needed}}",
            f"  - {{id: never-{number}, must: never, client: {client}, server: 'zone:zone_{number % zones}', services: [telnet],",
            "     reason: nobody may}",
        ]
        workflows += [
            f"  - {{id: work-{number}, name: Work {number}, owner: network-security, criticality: life_support, rules: [{rule}]}}"
        ]
        expectations += [
            f"  - {{id: expect-{number}, client: {client}, server: {to}, protocol: tcp, port: 23, expect: deny, reason: clear text}}"
        ]
    services = (directory / "services.yml").read_text()
    (directory / "services.yml").write_text(
        services + "  telnet:\n    match:\n      - protocol: tcp\n        ports: [23]\n"
    )
    (directory / "guardrails.yml").write_text("\n".join(guardrails) + "\n")
    (directory / "workflows.yml").write_text("\n".join(workflows) + "\n")
    (directory / "expectations").mkdir()
    (directory / "expectations" / "all.yml").write_text("\n".join(expectations) + "\n")
    isolated = segments // 2 + 1
    (directory / "postures.yml").write_text(
        f"postures:\n  apart:\n    kind: isolate\n    segment: segment_{isolated}\n    owner: network-security\n    reason: an emergency\n"
    )
    return rules


def _first_rule(directory: Path, number: int) -> tuple[str, str, str, str]:
    """Return id, client, server and service of a segment's first rule."""
    text = (directory / f"zone_{number // 100}" / f"segment_{number}.yml").read_text().split("allow:\n")[1].split("\n")
    values = [line.split(": ", 1)[1].strip("[]") for line in text[:3]]
    return values[0], f"segment_{number}", values[1], values[2]


def change_one(directory: Path, segments: int) -> None:
    """Let one rule of one segment have another service."""
    number = segments // 2 + 3
    path = directory / f"zone_{number // 100}" / f"segment_{number}.yml"
    lines = path.read_text().split("\n")
    place = next(n for n, line in enumerate(lines) if line.startswith("    services:"))
    lines[place] = "    services: [service-150]"
    path.write_text("\n".join(lines))


def gate(folder: Path, **more: Any) -> tuple[float, dict[str, Any]]:
    """Return the CPU seconds of one run and its result."""
    begun = time.process_time()
    values = {"policy_dir": str(folder / "policies"), "data_dir": str(folder / "data"), "today": TODAY, "replay": False}
    result = run_validate({**values, **more})
    return round(time.process_time() - begun, 2), result


def measured(folder: Path, base: str = "") -> dict[str, Any]:
    """Return what one run in a process of its own takes, as ``validate`` is run: CPU seconds of all and of loading, wall, MiB."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        made = pool.apply(_measured, (folder, base))
    if made["failed"]:
        raise AssertionError(made["failed"])
    return made


def _measured(folder: Path, base: str) -> dict[str, Any]:
    loading: list[float] = []
    real = validate.load_checked

    def timed(*values: Any, **more: Any) -> Any:
        begun = time.process_time()
        found = real(*values, **more)
        loading.append(time.process_time() - begun)
        return found

    validate.load_checked = timed
    begun = time.perf_counter()
    seconds, result = gate(folder, base=base)
    return {
        "cpu": seconds,
        "load_cpu": round(loading[0], 2),
        "compile_and_prove_cpu": round(seconds - loading[0], 2),
        "wall": round(time.perf_counter() - begun, 2),
        "memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "failed": result["msg"] if result.get("failed") else "",
        "counts": result["counts"],
        "impact": result["impact"].get("sentence"),
    }


def run(full: bool) -> dict[str, Any]:
    """Run the gate four times, each in a process of its own; quick: 200 segments and 10,000 rules, full: 2,000 and 100,000."""
    segments = 2000 if full else 200
    with tempfile.TemporaryDirectory(prefix="segwright-gate-") as name:
        base = Path(name)
        rules = write_gate_site(base / "policies", segments)
        git = ["git", "-C", name, "-c", "user.name=bench", "-c", "user.email=bench@example.com"]
        for words in (["init", "-q"], ["add", "policies"], ["commit", "-qm", "site"]):
            subprocess.run([*git, *words], check=True, capture_output=True)
        runs = {"from_nothing": measured(base), "nothing_changed": measured(base)}
        change_one(base / "policies", segments)
        runs["one_segment_changed"] = measured(base)
        runs["with_base"] = measured(base, "HEAD")
        size = len((base / "data" / "out" / "validate.md").read_text())
        cache = sum(path.stat().st_size for path in (base / "data" / "cache").rglob("*") if path.is_file())
    counts, impact = runs["from_nothing"]["counts"], runs["with_base"]["impact"]
    memory = max(each["memory_mib"] for each in runs.values())
    first, changed = runs["from_nothing"], runs["one_segment_changed"]
    shown = ("cpu", "load_cpu", "compile_and_prove_cpu", "wall", "memory_mib")
    return {
        "segments": segments, "rules": rules, "counts": counts, "impact": impact,
        "runs": {name: {key: each[key] for key in shown} for name, each in runs.items()},
        "report_characters": size, "cache_mib": round(cache / 2**20, 1), "memory_mib": memory,
        "targets": [
            at_most("compile and prove from nothing, CPU s (for 100,000 rules)", first["compile_and_prove_cpu"], 60),
            at_most("one changed segment, compile and prove, CPU s", changed["compile_and_prove_cpu"], 3),
            at_most("one changed segment, files to reports, CPU s", changed["cpu"], 3),
            at_most("load what was read before, CPU s", changed["load_cpu"], 10),
            at_most("memory, MiB", memory, 2048),
            at_most("validate.md, characters", size, 65_536),
        ],
    }  # fmt: skip
