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
    """Return the pulled postures of a journal's entries. A rollback that was begun counts: what it left undone is drift, and is seen."""
    begun: list[tuple[str, tuple[str, ...]]] = []
    for entry in entries:
        plan = str(entry.get("plan_id", ""))
        if entry["event"] == "plan_started":
            begun.append((plan, tuple(sorted(str(name) for name in entry.get("postures") or ()))))
        elif entry["event"] == "rollback_started" and not entry.get("partial"):
            begun = [item for item in begun if item[0] != plan]
    return begun[-1][1] if begun else ()
