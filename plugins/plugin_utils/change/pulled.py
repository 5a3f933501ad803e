# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which postures are pulled, as the journal has it: an isolation never lapses because somebody plans something else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import iter_entries


def pulled_postures(journal: str | Path) -> tuple[str, ...]:
    """Return the names of the postures that the last plan which was begun pulled, and no rollback took back; sorted."""
    path = Path(journal)
    return pulled_in(iter_entries(path)) if path.exists() else ()


def pulled_in(entries: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the pulled postures of a journal's entries. A rollback that was begun counts: what it left undone is drift, and is seen.

    A rollback takes back what its plan pulled or released, also where later plans were made that changed neither.
    """
    changes: list[tuple[str, frozenset[str], frozenset[str]]] = []
    for entry in entries:
        plan = str(entry.get("plan_id", ""))
        if entry["event"] == "plan_started":
            before, wanted = _after(changes), frozenset(str(name) for name in entry.get("postures") or ())
            changes.append((plan, wanted - before, before - wanted))
        elif entry["event"] == "rollback_started" and not entry.get("partial"):
            changes = [change for change in changes if change[0] != plan]
    return tuple(sorted(_after(changes)))


def _after(changes: Iterable[tuple[str, frozenset[str], frozenset[str]]]) -> frozenset[str]:
    found: frozenset[str] = frozenset()
    for _plan, pulled, released in changes:
        found = found - released | pulled
    return found
