# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roll back: bring back what a plan changed, from the journal. Never blocked by windows, approval or stale plans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import write_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.lock import StateLock
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.results import result
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import paths_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.fleet import connected


def run_rollback(values: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was undone; the journal says what each target held before."""
    paths = paths_of(values)
    check_mode = bool(values["check_mode"])
    with StateLock(paths.state / "lock", "rollback") as lock, connected(values, variables, None) as targets:
        outcome = rollback_plan(
            str(values.get("plan_id") or ""),
            targets,
            Journal(paths.journal),
            check_mode=check_mode,
            purpose="rollback",
        )
    content = outcome.as_dict()
    content["undone"] = content.pop("completed")
    made = result("rollback", [*outcome.findings, *lock.findings], "", check_mode=check_mode, **content)
    verb = "would be" if check_mode else "were"
    made["summary"] = f"plan {outcome.plan_id[:12]}: {len(made['undone'])} operations {verb} undone"
    if made["remaining"]:
        made["summary"] += f", {len(made['remaining'])} could not be"
    if not check_mode:
        write_json(paths.output / "rollback.json", made)
    answer: dict[str, Any] = {
        "changed": outcome.changed,
        "plan_id": outcome.plan_id,
        "undone": made["undone"],
        "summary": made["summary"],
    }
    if not outcome.ok:
        first = outcome.sorted_findings()[0]
        answer |= {"failed": True, "msg": f"{first} [{first.hint}]", "errors": made["errors"]}
    return answer
