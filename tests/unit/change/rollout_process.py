# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout in a process of its own, to be killed: targets whose objects are files, three rings, one command a run.

rollout_process.py FOLDER plan | next | rollback
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # started as a program: this checkout and its collection come first
    _ROOT = Path(__file__).resolve().parents[3]
    sys.path[:0] = [str(_ROOT), str(_ROOT / "collections")]

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import apply_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal, known_entries
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.lock import StateLock
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation, OperationResult
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import read_plan, write_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rings import DONE, Part, progress_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import rollback_plan
from tests.unit.change.fake import FakeTarget
from tests.unit.change.test_change import COMMIT, plan_for, want

HOSTS, OBJECTS, RINGS = 6, 4, 3


class FileTarget(FakeTarget):
    """A target that outlives its process: one file for each object, replaced as a whole; each write takes a moment."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        files = sorted(self.folder.glob("*.json"))
        super().__init__(name, {f"attachment/{path.stem}": json.loads(path.read_text()) for path in files})

    def execute(self, operation: Operation) -> OperationResult:
        time.sleep(0.002)
        result = super().execute(operation)
        self._keep(operation.name)
        return result

    def undo(self, operation: Operation, result: Mapping[str, Any]) -> OperationResult:
        time.sleep(0.002)
        made = super().undo(operation, result)
        self._keep(operation.name)
        return made

    def _keep(self, name: str) -> None:
        path = self.folder / f"{name}.json"
        body = self.objects.get(f"attachment/{name}")
        if body is None:
            path.unlink(missing_ok=True)
            return
        new = path.with_suffix(".new")
        new.write_text(json.dumps(body))
        os.replace(new, path)


def targets_in(folder: Path) -> dict[str, FileTarget]:
    return {f"sw{number}": FileTarget(folder / "targets", f"sw{number}") for number in range(HOSTS)}


def desired(value: int) -> list[Any]:
    return [want(f"sw{number}", **{f"o{item}": value for item in range(OBJECTS)}) for number in range(HOSTS)]


def parts_in(folder: Path) -> list[Part]:
    """Three rings of two switches each."""
    plan = read_plan(folder / "plan.json")
    steps = [(target, step.id) for target, step in plan.steps()]
    names = [[f"sw{ring * 2}", f"sw{ring * 2 + 1}"] for ring in range(RINGS)]
    return [Part(f"ring{number}", tuple(key for key in steps if key[0] in hosts)) for number, hosts in enumerate(names)]


def main(folder: Path, command: str) -> int:
    targets = targets_in(folder)
    journal = Journal(folder / "state" / "journal.jsonl")
    if command == "plan":
        write_plan(folder / "plan.json", plan_for(dict(targets), desired(2)))
        return 0
    plan = read_plan(folder / "plan.json")
    with StateLock(folder / "state" / "lock", command, take_over=command == "rollback"):
        if command == "rollback":
            outcome = rollback_plan(plan.plan_id, dict(targets), journal)
            return 0 if outcome.ok else 1
        progress = progress_of(parts_in(folder), known_entries(journal.path), plan.plan_id)
        ring = next((item.part for item in progress if item.state != DONE), None)
        if ring is None:
            return 3
        outcome = apply_plan(plan, dict(targets), desired(2), journal, policy_commit=COMMIT, ring=ring)
        return 0 if outcome.ok else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
