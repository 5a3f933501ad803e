# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workflows: named uses that must go on working, proved for every packet of their rules and checked against what was recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import addresses_of_name, matches_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import NEVER_DROPPED, Rule, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.endtoend import EndToEnd, Needed, prove_rules
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.intent import fits
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.replay import (
    CutConversation,
    Replay,
    conversation_of,
)


@dataclass(frozen=True)
class WorkflowResult:
    """Outcome of one rule of a workflow: ``proved``, ``cut``, ``missing`` (no such rule) or ``empty`` (an end has no address)."""

    workflow: str
    rule: str
    outcome: str
    point: str = ""
    witness: str = ""


def workflow_results(site: Site, found: EndToEnd) -> list[WorkflowResult]:
    """Return the outcome of every rule of every workflow, from what was proved of all rules."""
    proved, empty = set(found.proved), set(found.empty)
    results = []
    for workflow in site.workflows:
        for name in workflow.rules:
            cut = found.cut_of(name)
            if cut is not None:
                results.append(WorkflowResult(workflow.id, name, "cut", cut.point, cut.witness))
            else:
                outcome = "proved" if name in proved else "empty" if name in empty else "missing"
                results.append(WorkflowResult(workflow.id, name, outcome))
    return results


def prove_workflows(site: Site, lists: Sequence[PointList]) -> tuple[list[WorkflowResult], list[Finding]]:
    """Return, for each rule of each workflow, whether all its openers (client ports from 1024) and replies pass every list.

    A rule that is gone, has no addresses or is stopped somewhere is an error: a workflow can never be dropped silently.
    """
    wanted = {name for workflow in site.workflows for name in workflow.rules}
    rules = tuple(rule for rule in site.rules() if rule.id in wanted)
    results = workflow_results(site, prove_rules(site, lists, Needed(site, rules)))
    workflows = {workflow.id: workflow for workflow in site.workflows}
    findings = []
    for item in results:
        if item.outcome != "proved":
            workflow = workflows[item.workflow]
            why = {"missing": "does not exist", "empty": "has no addresses on one side"}.get(item.outcome)
            why = why or f"is stopped at {item.point}: {item.witness}"
            code = codes.CRITICAL_CUT if workflow.criticality in NEVER_DROPPED else codes.WORKFLOW_CUT
            text = f"workflow {workflow.id} ({workflow.owner}): rule {item.rule} {why}"
            findings.append(code.at(text, workflow.location))
    return results, findings


def workflow_findings(site: Site, replayed: Replay) -> list[Finding]:
    """Return an error for each recorded conversation of a workflow's rules that would be cut: same ends and same service."""
    rules = {rule.id: rule for rule in site.rules()}
    findings = []
    for workflow in site.workflows:
        for name in workflow.rules:
            for item in replayed.cut:
                if name in rules and not item.conversation.suspect and _stands_for(site, rules[name], item):
                    text = f"workflow {workflow.id} ({workflow.owner}): {item.client} to {item.server} would be cut at {item.point}"
                    findings.append(
                        codes.WORKFLOW_CUT.at(f"{text} although rule {name} stands for it", workflow.location)
                    )
    return findings


def _stands_for(site: Site, rule: Rule, item: CutConversation) -> bool:
    seen = item.conversation
    server = addresses_of_name(site, rule.to, seen.family)
    if rule.client in site.segments:
        asks = item.client_segment == rule.client
    else:
        asks = bool((clients := addresses_of_name(site, rule.client, seen.family)) and clients.contains(seen.client))
    if not asks or not (server is None or server.contains(seen.server)):
        return False
    packet = conversation_of(seen).forward()
    return any(fits(match, packet) for _name, match in matches_of(site, rule.services, seen.family))
