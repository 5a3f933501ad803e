# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every situation that a policy has lists for, and what has to pass in each: stages to come, windows, postures.

A posture stands alone in its situation, each pair of them is pulled together in one (at most ``MOST_PAIRS``, those that meet
first), and all of them in one more. ``prove_pulled`` proves exactly the set that somebody is about to pull. Where a workflow is
suspended with its owner's consent it may stop; else whatever it needs in normal operation has to pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from itertools import combinations
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code, Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import ListCache
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_lists
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.cells import raised
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.effective import (
    effective_site,
    find_device,
    permissions,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    NEVER_DROPPED,
    NONE_OPEN,
    NORMAL,
    Posture,
    Rule,
    Site,
    Situation,
    Workflow,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.outline import count_of_rules, rules_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.endtoend import (
    EndToEnd,
    Needed,
    Proved,
    prove_rules,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.expectations import (
    ExpectationResult,
    check_expectations,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.guardrails import prove_guardrails

SHOWN_RULES = 5
MOST_PAIRS = 45  # of postures, each compiled and proved: those of ten postures
MOST_RULES = 500_000  # of all pairs together: with 100,000 rules five pairs, so that the gate of a large site stays within minutes
Expected = tuple[list[ExpectationResult], list[Finding]]
NOW, STAGE, WINDOWS, POSTURE, COMING = "now", "stage", "windows", "posture", "exceptions"


@dataclass(frozen=True)
class Setting:
    """One situation with its site and lists. ``kind``: ``now``, ``stage``, ``windows``, ``exceptions`` or ``posture``."""

    name: str
    kind: str
    site: Site
    lists: tuple[PointList, ...]
    postures: tuple[Posture, ...] = ()


@dataclass(frozen=True)
class SettingResult:
    """What was proved in one situation: rules that pass, rules that were cut, workflow rules that pass, and what is suspended."""

    name: str
    kind: str
    rules: int
    proved: int
    workflow_rules: int
    workflow_rules_proved: int
    suspended: tuple[str, ...]
    expectations: int
    expectations_met: int
    guardrails: int
    guardrails_kept: int

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for results and reports."""
        return {
            "name": self.name,
            "kind": self.kind,
            "rules": self.rules,
            "proved": self.proved,
            "workflow_rules": self.workflow_rules,
            "workflow_rules_proved": self.workflow_rules_proved,
            "suspended": list(self.suspended),
            "expectations": self.expectations,
            "expectations_met": self.expectations_met,
            "guardrails": self.guardrails,
            "guardrails_kept": self.guardrails_kept,
        }


def settings_of(site: Site, lists: tuple[PointList, ...], cache: ListCache | None = None) -> Iterator[Setting]:
    """Yield the situations of a site, the present one (whose lists are given) first.

    Stages: after each ring, in order, with the segments of all rings so far at stage enforce; and with every assigned segment and cell
    there. A cell's lines do not depend on its stage, so what passes there passes while some cells are held back.
    Windows: all closed (the present one has all open). Exceptions: with all that have not begun. Postures: each alone, pairs
    (``pairs_of``), and all together.
    """
    yield Setting("now", NOW, effective_site(site), lists)
    done: set[str] = set()
    for ring in site.rings:
        if ring.targets or ring.limited:
            continue  # some switches or devices before others: which lists that leaves mixed is proved of the plan (rollout.py)
        done |= set(ring.segments)
        made = raised(site, done)
        if made is not None:
            yield _compiled(f"stage enforce through ring {ring.id}", STAGE, effective_site(made), cache)
    made = raised(site, site.assignments, cells=True)
    if made is not None and (not set(site.assignments) <= done or any(cell.stage != "enforce" for cell in site.cells)):
        yield _compiled("stage enforce everywhere", STAGE, effective_site(made), cache)
    own = rules_of(site, lambda outline: outline.conditional)
    conditions = [*(rule.conditions for rule in own), *(item.conditions for item in site.exceptions)]
    if any(item and item.windows for item in conditions):
        yield _compiled("all windows closed", WINDOWS, effective_site(site, Situation(open_windows=NONE_OPEN)), cache)
    coming = _with_coming(site)
    if coming is not None:
        yield _compiled("exceptions that have not begun", COMING, effective_site(coming), cache)
    for posture in site.postures.values():
        pulled = effective_site(site, Situation(postures=(posture.id,)))
        yield replace(_compiled(f"posture {posture.id}", POSTURE, pulled, cache), postures=(posture,))
    for pair in pairs_of(site)[: most_pairs(site)]:
        both = effective_site(site, Situation(postures=tuple(posture.id for posture in pair)))
        yield replace(_compiled(f"postures {pair[0].id} and {pair[1].id}", POSTURE, both, cache), postures=pair)
    if len(site.postures) > 2:
        everything = effective_site(site, Situation(postures=tuple(site.postures)))
        yield replace(_compiled("all postures", POSTURE, everything, cache), postures=tuple(site.postures.values()))


def most_pairs(site: Site) -> int:
    """Return how many pairs of postures are proved: fewer for a large site."""
    return min(MOST_PAIRS, MOST_RULES // max(1, count_of_rules(site))) if site.postures else MOST_PAIRS


def pairs_of(site: Site) -> list[tuple[Posture, Posture]]:
    """Return the pairs of postures, those whose segments are one or have a rule between them first, then by name."""
    if len(site.postures) < 2:
        return []
    between = {frozenset((rule.client, rule.to)) for rule in permissions(site)}
    segments = {}
    for name, posture in site.postures.items():
        found = find_device(site, posture.device) if posture.device else None
        segments[name] = found[0] if found else posture.segment

    def meet(pair: tuple[Posture, Posture]) -> bool:
        one, two = (segments[item.id] for item in pair)
        return one == two or frozenset((one, two)) in between

    pairs = list(combinations(site.postures.values(), 2))
    return sorted(pairs, key=lambda pair: not meet(pair))


def prove_pulled(site: Site, situation: Situation, lists: tuple[PointList, ...], today: date | None) -> list[Finding]:
    """Return the findings of a situation with pulled postures, whose lists are given: workflows, rules and guardrails."""
    postures = tuple(site.postures[name] for name in situation.postures)
    name = f"posture{'s' if len(postures) > 1 else ''} {' and '.join(situation.postures)}"
    setting = Setting(name, POSTURE, effective_site(site, situation), lists, postures)
    return _prove(site, setting, Proved(), today or site.as_of, situation)[2]


def _with_coming(site: Site) -> Site | None:
    """Return the site with every exception that is still to begin in force at once; None where there is none.

    Permissions only add up, so that a must-never that holds here holds on each of their days.
    """
    today = site.as_of.isoformat() if site.as_of else ""
    if not any(today and today < item.valid_from for item in site.exceptions):
        return None
    begun = tuple(replace(e, valid_from=today) if today < e.valid_from else e for e in site.exceptions)
    return replace(site, exceptions=begun)


def _compiled(name: str, kind: str, site: Site, cache: ListCache | None) -> Setting:
    return Setting(name, kind, site, compile_lists(site, cache))


def prove_situations(
    site: Site,
    lists: tuple[PointList, ...],
    today: date | None = None,
    cache: ListCache | None = None,
    expected: Expected | None = None,
) -> tuple[list[SettingResult], EndToEnd, list[Finding]]:
    """Return what was proved in each situation, the end-to-end result of the present one, and every finding.

    ``today`` decides whether the consent to a suspension still holds (default: the day for which the site was loaded). ``cache`` is that of
    the lists: situations share what they have in common, and runs too. ``expected``: what ``check_expectations`` says of the present
    situation, where the caller has asked already.
    """
    known = Proved()
    results: list[SettingResult] = []
    findings: list[Finding] = []
    present: EndToEnd | None = None
    for setting in settings_of(site, lists, cache):
        said = expected if setting.kind == NOW else None
        result, made, found = _prove(site, setting, known, today or site.as_of, cache=cache, expected=said)
        present = present or made
        results.append(result)
        findings += found
    most = most_pairs(site)
    left = len(pairs_of(site)) - most
    if left > 0:
        first = next(iter(site.postures.values()))
        text = f"{left} of {left + most} pairs of postures were not proved together; a plan proves the postures that it pulls"
        findings.append(codes.PAIRS_NOT_PROVED.at(text, first.location))
    if present is None:
        raise ValueError("there is always the present situation")
    return results, present, findings


def _prove(
    site: Site,
    setting: Setting,
    known: Proved,
    today: date | None,
    situation: Situation = NORMAL,
    cache: ListCache | None = None,
    expected: Expected | None = None,
) -> tuple[SettingResult, EndToEnd, list[Finding]]:
    found = prove_rules(setting.site, setting.lists, known=known, cache=cache)
    findings = list(_rule_findings(setting, found))
    suspended, notes = _suspended(site, setting, today)
    wanted, more = _workflow_needs(site, setting, suspended, situation)
    findings += more
    checked = found
    if setting.kind == POSTURE and wanted:
        usual = effective_site(site, replace(situation, postures=()))
        checked = prove_rules(setting.site, setting.lists, Needed(usual, tuple(wanted)), cache=cache)
    findings += _workflow_findings(site, setting, checked, suspended, notes)
    met = wanted_met = kept = 0
    if setting.kind != POSTURE:
        outcome, unmet = expected or check_expectations(setting.site, setting.lists, cache)
        met, wanted_met = sum(item.met for item in outcome), len(outcome)
        if setting.kind != NOW:
            findings += [_later(setting, item) for item in unmet if _is_permit(site, item)]
    guarded, broken = (
        prove_guardrails(setting.site, setting.lists, cache) if setting.kind in (POSTURE, WINDOWS, COMING) else ([], [])
    )
    kept = sum(item.outcome == "proved" for item in guarded)
    findings += [_in_posture(setting, item) for item in broken if item.severity == "error"]
    names, count = {rule.id for rule in wanted}, count_of_rules(setting.site)
    passing = len(names & set(checked.proved))
    result = SettingResult(
        setting.name, setting.kind, count, len(found.proved), len(names), passing, tuple(sorted(suspended)), wanted_met, met,
        len(guarded), kept,
    )  # fmt: skip
    return result, found, findings


def _is_permit(site: Site, finding: Finding) -> bool:
    return any(
        item.expect == "permit" and (item.location.file, item.location.line) == (finding.file, finding.line)
        for item in site.expectations
    )


def _later(setting: Setting, finding: Finding) -> Finding:
    return replace(
        finding, code=codes.LATER_CUT.number, severity="warning", message=f"{setting.name}: {finding.message}",
        hint=codes.LATER_CUT.remedy,
    )  # fmt: skip


def _in_posture(setting: Setting, finding: Finding) -> Finding:
    """Say a guardrail's error of another situation: what a posture does on purpose is a warning, no other situation is."""
    severity = "warning" if setting.kind == POSTURE else "error"
    return replace(finding, severity=severity, message=f"{setting.name}: {finding.message}")


def _rule_findings(setting: Setting, found: EndToEnd) -> Iterator[Finding]:
    """Yield a finding for each rule of the situation that is cut: an error now and in postures, a warning at a stage to come."""
    by_id = {rule.id: rule for rule in setting.site.rules()} if found.cuts else {}
    for rule in dict.fromkeys(cut.rule for cut in found.cuts):
        cut = found.cut_of(rule)
        if cut is None:
            continue
        code: Code = codes.LATER_CUT if setting.kind == STAGE else codes.RULE_CUT
        where = "" if setting.kind == NOW else f"{setting.name}: "
        text = f"{where}rule {rule} is stopped ({cut.direction}) by list {cut.list_name} at {cut.point}: {cut.witness}"
        yield code.at(text, by_id[rule].location)


def _suspended(site: Site, setting: Setting, today: date | None) -> tuple[dict[str, str], dict[str, str]]:
    """Return the workflows that the postures suspend with a consent that counts, and why a consent does not count."""
    owners = {workflow.id: workflow.owner for workflow in site.workflows}
    good: dict[str, str] = {}
    bad: dict[str, str] = {}
    for posture in setting.postures:
        for item in posture.suspends:
            if item.workflow not in owners:
                continue
            if item.consent_owner != owners[item.workflow]:
                bad[item.workflow] = f"the consent is {item.consent_owner or 'nobody'}'s and not its owner's"
            elif not item.expires or (today is not None and item.expires < today.isoformat()):
                bad[item.workflow] = f"the owner's consent ended on {item.expires or 'no stated day'}"
            else:
                good[item.workflow] = posture.id
    return good, bad


def _workflow_needs(
    site: Site, setting: Setting, suspended: dict[str, str], situation: Situation
) -> tuple[list[Rule], list[Finding]]:
    """Return the rules of all workflows that have to pass in the situation, and an error for each that does not exist."""
    usual = replace(situation, postures=())
    needed = {name for workflow in site.workflows for name in workflow.rules}
    normal, every = (
        {
            rule.id: rule
            for rule in rules_of(which, lambda outline: not needed.isdisjoint(outline.ids))
            if rule.id in needed
        }
        for which in (effective_site(site, usual), site)
    )
    wanted: dict[str, Rule] = {}
    findings = []
    for workflow in site.workflows:
        for name in workflow.rules:
            rule = normal.get(name)
            if rule is None:
                if setting.kind == NOW:
                    why = "does not hold today" if name in every else "does not exist"
                    text = f"workflow {workflow.id} ({workflow.owner}): rule {name} {why}"
                    findings.append(_code_of(workflow, codes.WORKFLOW_CUT).at(text, workflow.location))
                continue
            conditions = every[name].conditions if name in every else None
            closed = setting.kind == WINDOWS and conditions is not None and bool(conditions.windows)
            if workflow.id in suspended or closed:
                continue
            wanted[name] = rule
    return list(wanted.values()), findings


def _code_of(workflow: Workflow, usual: Code) -> Code:
    return codes.CRITICAL_CUT if workflow.criticality in NEVER_DROPPED else usual


def _workflow_findings(
    site: Site, setting: Setting, found: EndToEnd, suspended: dict[str, str], notes: dict[str, str]
) -> Iterator[Finding]:
    empty = set(found.empty)
    usual = codes.POSTURE_CUT if setting.kind == POSTURE else codes.WORKFLOW_CUT
    where = "" if setting.kind == NOW else f"{setting.name}: "
    for workflow in site.workflows:
        if workflow.id in suspended:
            continue
        for name in workflow.rules:
            cut = found.cut_of(name)
            why = ""
            if cut is not None:
                why = f"is stopped ({cut.direction}) by list {cut.list_name} at {cut.point}: {cut.witness}"
            elif name in empty:
                why = "has no addresses on one side"
            if why:
                note = f" ({notes[workflow.id]})" if workflow.id in notes else ""
                text = f"{where}workflow {workflow.id} ({workflow.owner}): rule {name} {why}{note}"
                yield _code_of(workflow, usual).at(text, workflow.location)
