# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 at random moments of a rollout in rings: going on ends as approved, going back as before; nothing is forgotten."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import (
    known_entries,
    read_entries,
    verify_journal,
)
from tests.unit.change.rollout_process import HOSTS, OBJECTS, RINGS, main, targets_in

PROGRAM = Path(__file__).with_name("rollout_process.py")
ALL_DONE = 3


def started(folder: Path, command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), str(folder), command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def kill_after(child: subprocess.Popen[bytes], journal: Path, dice: random.Random) -> None:
    """Kill a run some entries of the journal, and a moment, after it began; or let it end."""
    size = journal.stat().st_size if journal.exists() else 0
    until, moment = size + dice.randrange(1, 9_000), dice.uniform(0, 0.004)
    while child.poll() is None and (not journal.exists() or journal.stat().st_size < until):
        time.sleep(0.0005)
    time.sleep(moment)
    child.kill()


def values(folder: Path) -> set[int | None]:
    found: set[int | None] = set()
    for target in targets_in(folder).values():
        found |= {target.objects.get(f"attachment/o{item}", {}).get("value") for item in range(OBJECTS)}
    return found


def prepared(folder: Path) -> None:
    for number in range(HOSTS):
        place = folder / "targets" / f"sw{number}"
        place.mkdir(parents=True)
        for item in range(OBJECTS):
            (place / f"o{item}.json").write_text(json.dumps({"value": 1}))
    assert main(folder, "plan") == 0


@pytest.mark.one_python
def test_killed_at_any_moment(tmp_path: Path, full: bool) -> None:
    dice = random.Random(20261126)
    kills, met = 0, {"resumed": 0, "rolled back": 0}
    wanted = 100 if full else 3
    attempt = 0
    while kills < wanted:
        attempt += 1
        assert attempt < 8 * wanted, "hardly any kill met a running rollout"
        folder = tmp_path / f"{attempt:03}"
        prepared(folder)
        # Kill in a random ring, then perhaps in what follows, too.
        for _ring in range(dice.randrange(RINGS)):
            assert started(folder, "next").wait() == 0
        child = started(folder, "next")
        journal = folder / "state" / "journal.jsonl"
        kill_after(child, journal, dice)
        entries = known_entries(journal)
        if child.wait() != -9 or not entries or entries[-1]["event"] in ("ring_done", "plan_done"):
            continue  # too late, or too early for this one: nothing was begun
        kills += 1
        back = dice.random() < 0.4
        again = started(folder, "rollback" if back else "next")
        if dice.random() < 0.3:  # and the one that goes on or back is killed as well
            kill_after(again, journal, dice)
        again.wait()
        if back:
            assert started(folder, "rollback").wait() in (0, 1)  # 1: there is nothing to undo any more
            assert started(folder, "rollback").wait() in (0, 1)
            met["rolled back"] += 1
            assert values(folder) == {1}
        else:
            while (code := started(folder, "next").wait()) != ALL_DONE:
                assert code == 0
            assert values(folder) == {2}
            met["resumed"] += 1
        assert [finding for finding in verify_journal(journal) if finding.severity == "error"] == []
        # Every object that is not as before was announced in the journal before it was touched.
        announced = {
            (entry["target"], entry["operation"]["name"])
            for entry in read_entries(journal)
            if entry["event"] == "operation_started"
        }
        touched = {
            (name, f"o{item}")
            for name, target in targets_in(folder).items()
            for item in range(OBJECTS)
            if target.objects.get(f"attachment/o{item}", {}).get("value") != 1
        }
        assert touched <= announced
    print(f"{kills} kills: {met}")
