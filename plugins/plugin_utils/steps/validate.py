# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pull-request gate: documents, rules, compile, proofs, expectations, replay. Offline; writes only its reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import write_atomic, write_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import (
    Finding,
    FindingError,
    errors_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.garbage import collector_paused
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import ListCache
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Compiled
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.noise import limits_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import load_checked
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.effective import effective_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.outline import count_of_rules
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.windows import coming_change
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.edits import smallest_edits
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.equivalence import prove_rendering
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.expectations import check_expectations
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.guardrails import prove_guardrails
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import Columns
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.hygiene import UNUSED_DAYS, untidy
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.meaning import change_of_meaning
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.replay import replay, replay_findings
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.rollout import State, order_of_rollout
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.situations import prove_situations
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.ways import known_ways
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.workflows import (
    workflow_findings,
    workflow_results,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.gate import gate_markdown
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.results import result
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import (
    commit_name,
    moment_of,
    paths_of,
    today_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.capacity import capacity_rows, figures_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.commits import state_at
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.history import recorded_columns
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths


@dataclass(frozen=True)
class Gate:
    """What the gate found. ``site`` and ``compiled`` are None where the documents do not allow them."""

    site: Site | None
    compiled: Compiled | None
    findings: tuple[Finding, ...]
    content: dict[str, Any]


def run_gate(
    paths: Paths, today: date, with_replay: bool, engine: str = "", base: str = "", unused_days: int = UNUSED_DAYS
) -> Gate:
    """Check the policy directory and, where its documents are sound, compile and prove it.

    ``base`` names a commit with which the change is compared, by meaning.
    """
    loaded = load_checked(paths.policy, today, paths.rules, paths.policy_cache)
    site, findings = loaded.site, loaded.findings
    if site is None or errors_of(findings):
        return Gate(site, None, tuple(findings), {})
    cache = ListCache(paths.list_cache)
    ground = loaded.digests.ground if loaded.digests is not None else ""
    figures = figures_of(paths, site)
    compiled = compile_site(site, cache=cache, measured=figures.measured)
    found: list[Finding] = [*findings, *compiled.findings, *figures.findings]
    equivalence, more = prove_rendering(compiled.lists)
    found += more
    now = effective_site(site)
    guardrails, more = prove_guardrails(now, compiled.lists, cache)
    found += more
    expectations, unmet = check_expectations(now, compiled.lists, cache, ground)
    situations, present, more = prove_situations(site, compiled.lists, today, cache, (expectations, unmet))
    found += more
    ways, more = known_ways(now, cache, ground)
    found += more
    found += unmet
    content: dict[str, Any] = {
        "counts": _counts(site, compiled),
        "capacity": capacity_rows(compiled.capacity),
        "equivalence": [dict(vars(item)) for item in equivalence],
        "guardrails": [_without_packet(asdict(item)) for item in guardrails],
        "workflows": [asdict(item) for item in workflow_results(now, present)],
        "end_to_end": {
            "proved": len(present.proved),
            "empty": list(present.empty),
            "cuts": [item.as_dict() for item in present.cuts],
            "ways": ways.as_dict(),
        },
        "situations": [item.as_dict() for item in situations],
        "expectations": [asdict(item) for item in expectations],
    }
    history = replayed = None
    if with_replay:
        history = recorded_columns(paths.data, now, engine=engine, limits=limits_of(site.learning))
        replayed = replay(now, compiled.lists, [] if history is None else history, present.proved)
        found += replay_findings(replayed)
        found += workflow_findings(now, replayed)
        content["replay"] = replayed.as_dict()
        content["edits"] = [item.as_dict() for item in smallest_edits(now, replayed.groups, replayed.cut)]
    messy = untidy(site, today, replayed, unused_days, cache)
    content["hygiene"] = [item.as_dict() for item in messy]
    found += [finding for item in messy if (finding := item.finding()) is not None]
    if base:
        made, more = _impact(paths, base, today, State(now, compiled.lists), history, cache)
        found += more
        content |= made
    cache.save()
    return Gate(site, compiled, tuple(found), content)


def _impact(
    paths: Paths, base: str, today: date, after: State, history: Columns | None, cache: ListCache
) -> tuple[dict[str, Any], list[Finding]]:
    """Return what a change means against a commit, and how it can be rolled out; a commit with unsound documents is a finding."""
    try:
        commit, before = state_at(paths.policy, base, today, paths.policy_cache, cache)
    except FindingError as error:
        return {}, list(error.findings)
    meaning = change_of_meaning(before, after, history)
    rollout, findings = order_of_rollout(before, after)
    return {"impact": {"base": commit, **meaning.as_dict()}, "rollout": rollout.as_dict()}, findings


def run_validate(values: dict[str, Any]) -> dict[str, Any]:
    """Run the gate, write validate.json and validate.md, and return the result with a one-line ``summary``."""
    paths = paths_of(values)
    with collector_paused():
        gate = run_gate(
            paths,
            today_of(values),
            bool(values.get("replay", True)),
            values.get("engine") or "",
            str(values.get("base") or ""),
            int(values.get("unused_days") or UNUSED_DAYS),
        )
    coming = coming_change(gate.site, moment_of(values)) if gate.site is not None and gate.content else None
    in_time = {"next_change": coming.as_dict()} if coming else {}
    made = result("validate", gate.findings, commit_name(paths.policy), **gate.content, **in_time)
    made["summary"] = _summary(made)
    write_json(paths.output / "validate.json", made)
    write_atomic(paths.output / "validate.md", gate_markdown(made))
    answer: dict[str, Any] = {
        "changed": False,
        "summary": made["summary"],
        "counts": made.get("counts", {}),
        "impact": made.get("impact", {}),
        "next_change": made.get("next_change", {}),
        "report": str(paths.output / "validate.md"),
    }
    if not made["ok"]:
        answer |= {"failed": True, "msg": failed_summary(made["errors"]), "errors": made["errors"]}
    return answer


def _counts(site: Site, compiled: Compiled) -> dict[str, int]:
    return {
        "zones": len(site.zones),
        "segments": len(site.segments),
        "devices": sum(len(members) for members in site.members.values()),
        "rules": count_of_rules(site),
        "lists": len(compiled.lists),
        "objects on targets": sum(len(target.objects) for target in compiled.targets),
    }


def _without_packet(values: dict[str, Any]) -> dict[str, Any]:
    """Return a guardrail's result for people: its witness is text already."""
    return {key: value for key, value in values.items() if key != "packet"}


def _summary(made: dict[str, Any]) -> str:
    if "counts" not in made:
        return f"{len(made['errors'])} errors in the documents; nothing was compiled"
    equal = sum(1 for item in made["equivalence"] if item["equal"])
    proved = sum(1 for item in made["guardrails"] if item["outcome"] == "proved")
    met = sum(1 for item in made["expectations"] if item["met"])
    kept = sum(1 for item in made["workflows"] if item["outcome"] == "proved")
    parts = [
        f"{made['counts']['rules']} rules in {made['counts']['segments']} segments",
        f"{equal} of {len(made['equivalence'])} rendered lists proved equal",
        f"{proved} of {len(made['guardrails'])} guardrails proved",
        f"{kept} of {len(made['workflows'])} workflow rules proved",
        f"{met} of {len(made['expectations'])} expectations met",
    ]
    if "replay" in made:
        data = made["replay"]
        legitimate = data["cut_by_doubt"].get("none", 0)
        parts.append(
            f"replay of {data['recorded']} recorded conversations: {data['permitted']} pass ({data['classes']['proved']} proved),"
            f" {legitimate} legitimate and {data['cut_total'] - legitimate} doubtful ones would be cut, {data['not_covered']} not covered"
        )
    if "impact" in made:
        parts.append(f"against {made['impact']['base'][:12]}: {made['impact']['sentence']}")
    return f"{len(made['errors'])} errors; " + "; ".join(parts)


def failed_summary(errors: Sequence[dict[str, Any]]) -> str:
    """Return the first errors as text for a failing task."""
    shown = [
        f"{e['code']} {e['file']}:{e['line']} {e['message']}" if e["file"] else f"{e['code']} {e['message']}"
        for e in errors[:5]
    ]
    more = f" ... and {len(errors) - 5} more" if len(errors) > 5 else ""
    return "; ".join(shown) + more
