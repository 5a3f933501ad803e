# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stages of cells in the text of enforcement.yml, and what the gate says of one cell."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import read_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.counting import CellHistory
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.promotion import (
    Cell,
    Evidence,
    GateSettings,
    ReplayView,
    gate_cell,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.stages import (
    patch,
    with_cell_stages,
    with_ends_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import CellStage

HEAD = """# The points
points:
  matrix: {kind: sgacl, platform: ise, host: ise1}  # one ISE

segments:
  a:
    stage: monitor  # since May
    points: [matrix]
  b: {stage: enforce, points: [matrix]}
  # c comes later
"""
TAIL = """
# Parts of the rollout
rings:
  - id: first  # stage: monitor
    segments: [a, b]
"""
STAGES = ("observe", "monitor", "enforce")
Pair = tuple[str, str]


def item_text(chance: random.Random, pair: Pair, stage: str, indent: str) -> str:
    """Return an entry as people may write it: order of keys, quotes, comments, one line."""
    quote = chance.choice(("", '"', "'"))
    parts = [f"source: {pair[0]}", f"destination: {pair[1]}", f"stage: {quote}{stage}{quote}"]
    if chance.random() < 0.5:
        parts.append("reason: stage is held")
    chance.shuffle(parts)
    above = f"{indent}# of {pair[0]} and {pair[1]}\n" if chance.random() < 0.5 else ""
    if chance.random() < 0.3:
        return f"{above}{indent}- {{{', '.join(parts)}}}\n"
    lines = [part + chance.choice(("", "  # why")) for part in parts]
    return above + f"{indent}- " + f"\n{indent}  ".join(lines) + "\n"


def cells_text(chance: random.Random, cells: dict[Pair, str]) -> str:
    if not cells:
        return ""
    if chance.random() < 0.2:
        inner = ", ".join(f"{{source: {a}, destination: {b}, stage: {s}}}" for (a, b), s in cells.items())
        return f"cells: [{inner}]\n"
    indent = chance.choice(("", "  "))
    return "cells:\n" + "".join(item_text(chance, pair, stage, indent) for pair, stage in cells.items())


@pytest.mark.one_python
def test_only_the_entries_that_were_meant_change(full: bool) -> None:
    """PyYAML says what the text means afterwards; every line that is of no changed entry is still there, in its order."""
    pairs = list(product("ab", repeat=2))
    for seed in range(2000 if full else 60):
        chance = random.Random(seed)
        standing = {pair: chance.choice(STAGES) for pair in chance.sample(pairs, chance.randint(0, 3))}
        text = HEAD + cells_text(chance, standing) + TAIL
        wanted = {pair: chance.choice(("", *STAGES)) for pair in chance.sample(pairs, chance.randint(1, 3))}
        known = tuple(CellStage(*pair, stage) for pair, stage in standing.items())
        after = with_cell_stages(text, known, wanted)
        then = {pair: stage for pair, stage in {**standing, **wanted}.items() if stage}
        before_value, value = yaml.safe_load(text), yaml.safe_load(after)
        found = {(c["source"], c["destination"]): c["stage"] for c in value.pop("cells", [])}
        assert found == then, (seed, text, after)
        before_cells = before_value.pop("cells", [])
        assert value == before_value
        reasons = {(c["source"], c["destination"]) for c in before_cells if "reason" in c}
        assert after.count("reason: stage is held") == len(reasons & then.keys())
        for part in (HEAD, TAIL):
            assert part in after, (seed, after)
        kept = [pair for pair in standing if wanted.get(pair, "x")]
        assert all(after.count(f"# of {a} and {b}\n") == text.count(f"# of {a} and {b}\n") for a, b in kept), (
            seed,
            after,
        )
        gone = [pair for pair in standing if not wanted.get(pair, "x")]
        assert not any(f"# of {a} and {b}\n" in after for a, b in gone), (seed, after)


def test_a_text_that_cannot_be_changed_is_refused() -> None:
    """Two entries for one cell: only one of them would change what it says."""
    twice = HEAD + "cells:\n" + "  - {source: a, destination: b, stage: monitor}\n" * 2
    cells = (CellStage("a", "b", "monitor", location=Location("enforcement.yml", 13)),) * 2
    assert with_cell_stages(twice, cells, {("a", "b"): "monitor"}) == twice
    changed = with_cell_stages(twice, cells, {("a", "b"): "enforce"})
    assert [item["stage"] for item in yaml.safe_load(changed)["cells"]] == ["enforce", "enforce"]
    with pytest.raises(FindingError):
        with_cell_stages("cells: [\n", cells, {("a", "b"): "enforce"})


NOW = datetime(2026, 11, 23, tzinfo=UTC)
CELL = Cell("a", "b", (100, 101))


def evidence(**changes: Any) -> Evidence:
    since = NOW - timedelta(days=20)
    history = CellHistory(CELL.pair, ("sw1",), 21, since, NOW, (), timedelta(hours=24), 0, 900)
    given: dict[str, Any] = {
        "cells": (CELL,), "histories": {CELL.pair: history}, "held": {CELL.pair: ""},
        "replay": ReplayView(12, 20, (), 4, 4), **changes,
    }  # fmt: skip
    return Evidence(**given)


def test_the_gate_judges_one_cell_by_what_its_point_can_show() -> None:
    good = gate_cell(CELL, "monitor", "enforce", (), evidence(), GateSettings(), NOW)
    assert good.ok, [check for check in good.checks if not check.ok]
    assert good.as_dict()["cell"] == {"source": "a", "destination": "b"} and good.as_dict()["segment"] == ""
    assert good.behind == (
        "sgacl: packets counted by switches for each cell in MONITOR, and replay of recorded traffic",
    )
    for changes, check in (
        ({"histories": {}}, "counters of a to b"),
        ({"held": {CELL.pair: "it is only monitored elsewhere"}}, "cell a to b on switches"),
        ({"held": None}, "cells on switches"),
        ({"replay": ReplayView(12, 20, ("10.0.1.2 to 10.0.2.2 tcp/22",), 4, 4)}, "replay"),
        ({"replay": ReplayView(12, 20, (), 4, 1)}, "completeness"),
    ):
        made = gate_cell(CELL, "monitor", "enforce", (), evidence(**changes), GateSettings(), NOW)
        assert [item.check for item in made.checks if not item.ok] == [check]


def test_a_cell_waits_for_its_segments_skips_no_stage_and_always_goes_back() -> None:
    for before, after in product(STAGES, repeat=2):
        for observed in ((), ("b",)):
            made = gate_cell(CELL, before, after, observed, evidence(), GateSettings(), NOW)
            step = STAGES.index(after) - STAGES.index(before)
            assert made.ok is (step <= 0 or (step == 1 and not observed)), (before, after, observed)


@pytest.mark.parametrize("ending", [lambda text: text, lambda text: text.replace("\n", "\r\n"), str.rstrip])
def test_git_takes_the_patch_however_lines_end(tmp_path: Path, ending: Callable[[str], str]) -> None:
    path = tmp_path / "enforcement.yml"
    path.write_bytes(ending(HEAD).encode())
    before = read_text(path)
    first, second = with_ends_of(path.read_bytes(), before, before.replace("stage: monitor", "stage: enforce"))
    assert first.encode() == path.read_bytes()
    text = patch(first, second, "enforcement.yml")
    subprocess.run(["git", "apply", "-"], input=text.encode(), cwd=tmp_path, check=True)
    assert path.read_bytes() == second.encode() != first.encode()
