# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pulling a posture really passes through and leads to where drift is left alone: the plan's own proofs are of all its steps. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation, Snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import Plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof import codes as proof_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.rollout import State, order_of_rollout
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.live import lists_in_force
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.plan_phases import phases_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.rollback_proof import not_held
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.site import SoundSite

# What a plan's own proof of its mixes says.
MIXES = frozenset(
    code.number
    for code in (
        proof_codes.MIX_CUTS,
        proof_codes.MIX_CUTS_WORKFLOW,
        proof_codes.MIX_OPENS,
        proof_codes.MIX_INTERRUPTS,
    )
)
# A must-never that is open for a moment does not keep anybody from isolating; a workflow that is cut can hurt somebody.
CUTS = frozenset({proof_codes.MIX_CUTS_WORKFLOW.number, proof_codes.MIX_INTERRUPTS.number})


def with_steps(live: Mapping[str, Snapshot], steps: Iterable[Operation]) -> dict[str, Snapshot]:
    """Return what targets hold once steps are carried out."""
    objects: dict[str, dict[str, Any]] = {name: dict(snapshot.objects) for name, snapshot in live.items()}
    for step in steps:
        held, key = objects.get(step.target), f"{step.kind}/{step.name}"
        if held is None:
            continue
        if step.after is not None:
            held[key] = {**(held.get(key) or {}), **step.after}
        elif step.before is not None:
            held.pop(key, None)
    return {name: replace(snapshot, objects=objects[name]) for name, snapshot in live.items()}


def mixes_of_part(part: Plan, before: SoundSite, after: SoundSite) -> list[Finding]:
    """Return what does not hold when only these steps of a plan are carried out, from the live state that it was made from.

    Every mix of old and new lists on the way, as for a plan; and what guardrails and workflows ask that holds now and in the posture as it
    was proved, and would not hold beside the drift.
    """
    live = {item.name: Snapshot(item.name, item.platform, item.live) for item in part.targets}
    lists = [item for item in after.compiled.lists if item.host in live]
    now = State(before.in_force, tuple(lists_in_force(lists, live)))
    then = State(after.in_force, tuple(lists_in_force(lists, with_steps(live, part.operations()))))
    _rollout, found = order_of_rollout(State(after.in_force, now.lists), then, phases_of(part, lists))
    proved = State(after.in_force, tuple(lists))
    for name in sorted(not_held(then) - not_held(now) - not_held(proved)):
        cuts = name.startswith("workflow")
        text = f"beside the drift that is left alone {name} would hold no longer"
        code = proof_codes.MIX_CUTS_WORKFLOW if cuts else codes.BACK_UNSAFE
        found.append(code.at(text, hint="correct the drift first: plan and apply the policy in force"))
    return found


def refusing(findings: Sequence[Finding]) -> list[Finding]:
    """Return those for which a posture is not pulled: a workflow would be cut that the posture does not mean to cut."""
    return [finding for finding in findings if finding.code in CUTS and finding.severity == "error"]
