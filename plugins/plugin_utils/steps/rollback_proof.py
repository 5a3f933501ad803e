# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rehearsed rollback would result in: is it what the commit means, is every mix on the way there safe, what would be cut.

Nothing here stands in the way back: what cannot be proved, and what does not hold, is a warning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.git import committed_copy
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation, Snapshot, Target
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import snapshot_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rehearsal import Rehearsal, order_back
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.undo_chain import WayBack, means
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Compiled
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.noise import limits_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import load_checked
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.effective import effective_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.guardrails import prove_guardrails
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.impact import impact
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.rollout import State, order_of_rollout
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.workflows import prove_workflows
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import moment_of, today_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.history import recorded_history
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.live import lists_in_force
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.plan_phases import phases_of_steps
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.site import present_situation, sound_site

SHOWN = 10
HELD = ("proved", "empty")


@dataclass(frozen=True)
class Proved:
    """What is proved of a rollback, as plain values, and what is worth a warning."""

    content: Mapping[str, Any] = field(default_factory=dict, hash=False)
    findings: tuple[Finding, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for results."""
        return dict(self.content)


@dataclass(frozen=True)
class _Side:
    """Documents and what they compile to with the postures that are pulled."""

    site: Site
    compiled: Compiled


def proved(
    operations: Sequence[Operation],
    rehearsal: Rehearsal,
    way: WayBack | None,
    values: Mapping[str, Any],
    paths: Paths,
    targets: Mapping[str, Target],
    postures: Sequence[str] = (),
) -> Proved:
    """Return what is proved of the state that results and of every mix on the way there, for the documents at hand; never raises."""
    try:
        now = _present(values, paths, postures)
    except (FindingError, OSError) as error:
        return Proved({}, (codes.BACK_UNPROVED.at(f"the policy documents do not load: {_first(error)}"),))
    then, missing = now, list[Finding]()
    if way is not None:
        try:
            then = _at_commit(way.commit, values, paths, postures)
        except (FindingError, OSError) as error:
            missing.append(codes.BACK_UNPROVED.at(f"commit {way.commit[:12]} cannot be compiled here: {_first(error)}"))
    content: dict[str, Any] = {}
    if way is not None and not missing:
        differs = _differs(then.compiled, rehearsal)
        content["equals_commit"] = not differs
        content["differs"] = differs[:SHOWN]
        if differs and rehearsal.reachable:
            text = f"not as commit {way.commit[:12]} compiles today: {', '.join(differs[:SHOWN])}"
            missing.append(codes.BACK_UNSAFE.at(text))
    live, unread = _everything(rehearsal, targets, now.compiled)
    missing += unread
    lists = list({(item.host, item.name): item for item in (*then.compiled.lists, *now.compiled.lists)}.values())
    before = State(now.site, tuple(lists_in_force(lists, live)))
    after = State(then.site, tuple(lists_in_force(lists, {**live, **rehearsal.result})))
    phases = phases_of_steps([(step, order_back(step)) for step in operations], lists)
    rollout, found = order_of_rollout(before, after, phases)
    made = impact(then.site, before.lists, after.lists, recorded_history(
        paths.data, engine=str(values.get("engine") or ""), limits=limits_of(now.site.learning)
    ))  # fmt: skip
    broken = sorted(not_held(after) - not_held(before))
    content |= {
        "rollout": rollout.as_dict(),
        "effect": made.as_dict(),
        "sentence": made.sentence(),
        "no_longer_holds": broken,
        "reach": f"lists of the documents on {', '.join(sorted(live)) or 'no target'}; live state as it was read",
    }
    warnings = [codes.BACK_UNSAFE.at(f"{item.code} {item.message}") for item in found]
    if broken:
        warnings.append(codes.BACK_UNSAFE.at(f"would hold no longer: {', '.join(broken[:SHOWN])}"))
    return Proved(content, (*missing, *warnings))


def _present(values: Mapping[str, Any], paths: Paths, postures: Sequence[str]) -> _Side:
    sound = sound_site(paths, today_of(values), moment_of(values), postures=postures)
    return _Side(sound.in_force, sound.compiled)


def _at_commit(commit: str, values: Mapping[str, Any], paths: Paths, postures: Sequence[str]) -> _Side:
    with committed_copy(paths.policy, commit, codes.GIT_FAILED) as folder:
        loaded = load_checked(folder, today_of(values))
    errors = errors_of(loaded.findings)
    if loaded.site is None or errors:
        raise FindingError(*errors)
    situation = present_situation(loaded.site, moment_of(values), postures)
    return _Side(effective_site(loaded.site, situation), compile_site(loaded.site, situation))


def _differs(compiled: Compiled, rehearsal: Rehearsal) -> list[str]:
    """Return the objects of the commit that would not stand on the targets that are brought back."""
    found = []
    for target in compiled.targets:
        snapshot = rehearsal.result.get(target.host)
        if snapshot is None:
            continue
        found += [
            f"{target.host}: {item.kind} {item.name}"
            for item in target.objects
            if not means(item.kind, snapshot.objects.get(f"{item.kind}/{item.name}"), item.body)
        ]
    return found


def _everything(
    rehearsal: Rehearsal, targets: Mapping[str, Target], compiled: Compiled
) -> tuple[dict[str, Snapshot], list[Finding]]:
    """Return what was read, and what the other targets of the play hold: a conversation passes lists on several of them."""
    live = dict(rehearsal.live)
    notes: list[Finding] = []
    for name in sorted({item.host for item in compiled.targets} - set(live)):
        if name not in targets:
            notes.append(
                codes.BACK_UNPROVED.at(f"{name} is not among the targets of this run; its lists are not counted")
            )
            continue
        try:
            live |= snapshot_all({name: targets[name]}, compiled.targets)
        except FindingError as error:
            notes.append(codes.BACK_UNPROVED.at(f"{name} cannot be read: {_first(error)}"))
    return live, notes


def not_held(state: State) -> set[str]:
    """Return the guardrails and workflows that lists in force do not hold."""
    results, _found = prove_guardrails(state.site, state.lists)
    broken = {f"guardrail {item.id}" for item in results if item.outcome not in HELD}
    workflows, _more = prove_workflows(state.site, state.lists)
    return broken | {f"workflow {item.workflow} ({item.rule})" for item in workflows if item.outcome not in HELD}


def _first(error: Exception) -> str:
    findings: Iterable[Finding] = error.findings if isinstance(error, FindingError) else ()
    return next((str(item) for item in findings), str(error) or type(error).__name__)
