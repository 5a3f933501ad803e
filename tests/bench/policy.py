# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading a policy directory: 2,000 segments with 100,000 rules (a tenth of it in a quick run).

Peer: PyYAML's own loaders over the same texts in the same run, without limits, lines, schemas or a model.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import load_checked
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.loader import load_site
from tests.bench.policy_data import write_large_site

TODAY = date(2026, 11, 23)
WARM_SECONDS = 10.0


def run(full: bool) -> dict[str, Any]:
    """Return the load row: seconds of CPU (what the target is held against) and of the wall, cold and warm, and the peer's."""
    segments = 2000 if full else 200
    with tempfile.TemporaryDirectory(prefix="segwright-bench-") as name:
        directory, cache = Path(name) / "policies", Path(name) / "cache"
        rules = write_large_site(directory, segments)
        result: dict[str, Any] = {"segments": segments, "rules": rules}
        cold = _timed(result, "load_cold", lambda: load_site(directory))
        filled = _timed(result, "load_cold_filling_the_cache", lambda: load_site(directory, cache))
        warm = _timed(result, "load_warm", lambda: load_site(directory, cache))
        assert cold.site is not None and len(cold.site.rules()) == rules
        assert cold == filled == warm, "what comes from the cache differs from what is read"
        checked = _timed(result, "load_and_all_rules_warm", lambda: load_checked(directory, TODAY, cache=cache))
        assert checked.findings == (), checked.findings[:3]
        _change(directory)
        changed = _timed(result, "load_warm_one_file_changed", lambda: load_checked(directory, TODAY, cache=cache))
        assert [(f.code, f.file, f.line) for f in changed.findings] == [("SW2303", "zone_0/segment_0.yml", 10)]
        texts = [path.read_text() for path in sorted(directory.glob("*/*.yml"))]
        quick = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        _timed(result, "peer_pyyaml_libyaml", lambda: [yaml.load(text, quick) for text in texts])
        some = texts[:50]
        _timed(result, "peer_pyyaml_pure_50_files", lambda: [yaml.load(text, yaml.SafeLoader) for text in some])
    result["peak_memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    measured, limit = result["load_and_all_rules_warm_cpu_seconds"], WARM_SECONDS * segments / 2000
    row = {"figure": "load_and_all_rules_warm_cpu_seconds", "measured": measured, "at_most": limit}
    result["targets"] = [{**row, "met": measured <= limit}]
    return result


def _change(directory: Path) -> None:
    """Let one rule name a service that is not defined."""
    path = directory / "zone_0" / "segment_0.yml"
    lines = path.read_text().split("\n")
    lines[11] = "    services: [absent]"
    path.write_text("\n".join(lines))


def _timed(result: dict[str, Any], name: str, work: Callable[[], Any]) -> Any:
    wall, cpu = time.perf_counter(), time.process_time()
    value = work()
    result[f"{name}_seconds"] = round(time.perf_counter() - wall, 2)
    result[f"{name}_cpu_seconds"] = round(time.process_time() - cpu, 2)
    return value
