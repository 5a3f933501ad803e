# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify: read back and prove that the network equals the commit; name what drifted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import write_atomic, write_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.verify import verify_targets
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.markdown import verify_markdown
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.results import result
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import (
    commit_name,
    moment_of,
    paths_of,
    today_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.enforced import (
    EnforcedState,
    enforced_summary,
    reader_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.fleet import connected, hosts_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.pulled import postures_of, shouted
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.site import sound_site


def run_verify(values: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return what every target holds against the commit; failed where anything drifted or cannot be read."""
    paths = paths_of(values)
    sound = sound_site(paths, today_of(values), moment_of(values), postures=postures_of(values, paths))
    with connected(values, variables, hosts_of(sound.compiled.targets)) as targets:
        reached = [item for item in sound.compiled.targets if item.host in targets]
        verification = verify_targets(targets, reached)
        reader = reader_of(values, variables, sound.in_force, sound.compiled, targets, paths)
        state = reader.read_patiently() if values.get("enforced", True) else EnforcedState()
    skipped = sorted({item.host for item in sound.compiled.targets} - {item.host for item in reached})
    made = result(
        "verify",
        [*shouted(paths, sound.site), *verification.findings, *state.findings, *sound.findings],
        commit_name(paths.policy),
        **verification.as_dict(),
        not_read=skipped,
        postures=list(sound.situation.postures),
        enforced=state.as_dict(),
    )
    equal = sum(1 for target in made["targets"] if target["equal"])
    made["summary"] = (
        f"{equal} of {len(made['targets'])} targets equal the commit, {len(made['drift'])} objects drifted"
    )
    if sound.situation.postures:
        made["summary"] += f"; with posture {' and '.join(sound.situation.postures)} pulled"
    if skipped:
        made["summary"] += f"; not in this run: {', '.join(skipped)}"
    made["summary"] += enforced_summary(state)
    write_json(paths.output / "verify.json", made)
    write_atomic(paths.output / "verify.md", verify_markdown(made))
    answer: dict[str, Any] = {
        "changed": False,
        "drift": made["drift"],
        "targets": made["targets"],
        "enforced": made["enforced"],
        "summary": made["summary"],
    }
    if not made["ok"]:
        shown = "; ".join(
            f"{item['target']} {item['kind']} {item['name']}: {item['difference']}" for item in made["drift"][:5]
        )
        answer |= {"failed": True, "msg": shown or made["errors"][0]["message"], "errors": made["errors"]}
    return answer
