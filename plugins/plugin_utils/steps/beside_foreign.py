# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a ring leads to beside a target that somebody changed since the plan: the plan's proofs are of what stood there then. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation, Snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.rollout import State, order_of_rollout
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.live import (
    lists_in_force,
    opaque_in_force,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.plan_phases import phases_of_steps
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.posture_mixes import with_steps
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.rollback_proof import not_held
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.site import SoundSite

SHOWN = 5


def beside_foreign(
    sound: SoundSite, live: Mapping[str, Snapshot], steps: Sequence[Operation], void: Collection[str]
) -> list[Finding]:
    """Return what is not safe when steps are carried out from the live state as it was read; ``void``: the targets that somebody changed.

    Errors (SW4189): a mix of old and new lists beside the foreign ones that cuts a workflow or opens a must-never, and what guardrails and
    workflows ask that holds now and in the policy, and would not hold when the steps are done. What the foreign change broke by itself
    is no fault of the steps. A warning names foreign lists with lines that nobody here can read: of these nothing is proved.
    """
    lists = [item for item in sound.compiled.lists if item.host in live]
    now = State(sound.in_force, tuple(lists_in_force(lists, live)))
    then = State(sound.in_force, tuple(lists_in_force(lists, with_steps(live, steps))))
    _rollout, problems = order_of_rollout(now, then, phases_of_steps([(step, step.phase) for step in steps], lists))
    found = [_told(item) for item in problems]
    broken = sorted(not_held(then) - not_held(now) - not_held(State(sound.in_force, tuple(lists))))
    found += [
        codes.UNSAFE_BESIDE.at(f"beside what was changed on {', '.join(sorted(void))} {name} would hold no longer")
        for name in broken
    ]
    if unread := _unread(lists, live, void):
        text = f"of {', '.join(unread[:SHOWN])} nothing is proved: lines that cannot be read"
        found.append(codes.UNSAFE_BESIDE.at(text).with_severity("warning"))
    return found


def _told(problem: Finding) -> Finding:
    return codes.UNSAFE_BESIDE.at(f"{problem.code} {problem.message}").with_severity(problem.severity)


def _unread(lists: Sequence[PointList], live: Mapping[str, Snapshot], void: Collection[str]) -> list[str]:
    """Return the lists in force on targets that somebody changed of which some lines are not modelled."""
    return sorted(
        f"{item.host}: {item.name}"
        for item in lists
        if item.host in void and opaque_in_force(item, live[item.host].objects)
    )
