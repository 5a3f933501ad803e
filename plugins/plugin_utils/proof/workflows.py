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
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Rule, Site, Workflow
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.conversations import (
    UNPRIVILEGED,
    conversation_boxes,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.intent import fits
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.points import ListSets, every_list_sets
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


def prove_workflows(site: Site, lists: Sequence[PointList]) -> tuple[list[WorkflowResult], list[Finding]]:
    """Return, for each rule of each workflow, whether all its openers (client ports from 1024) and replies pass every list.

    A rule that is gone, has no addresses or is stopped somewhere is an error: a workflow can never be dropped silently.
    """
    space = PacketSpace()
    sets = every_list_sets(space, site, lists) if site.workflows else []
    rules = {rule.id: rule for rule in site.rules()}
    results: list[WorkflowResult] = []
    findings: list[Finding] = []
    for workflow in site.workflows:
        for name in workflow.rules:
            result = _prove(space, site, sets, workflow, rules.get(name), name)
            results.append(result)
            if result.outcome != "proved":
                why = {"missing": "does not exist", "empty": "has no addresses on one side"}.get(result.outcome)
                why = why or f"is stopped at {result.point}: {result.witness}"
                text = f"workflow {workflow.id} ({workflow.owner}): rule {name} {why}"
                findings.append(codes.WORKFLOW_CUT.at(text, workflow.location))
    return results, findings


def _prove(
    space: PacketSpace, site: Site, sets: Sequence[ListSets], workflow: Workflow, rule: Rule | None, name: str
) -> WorkflowResult:
    if rule is None:
        return WorkflowResult(workflow.id, name, "missing")
    boxes = conversation_boxes(site, rule.client, rule.to, rule.services, UNPRIVILEGED)
    forward, reply = space.from_boxes(boxes.forward), space.from_boxes(boxes.reply)
    if not forward:
        return WorkflowResult(workflow.id, name, "empty")
    for item in sets:
        for packets in (forward,) if item.listing.stateful else (forward, reply):
            packet = ((packets & item.may_see) - item.passes).witness()
            if packet is not None:
                return WorkflowResult(workflow.id, name, "cut", item.listing.point, packet.describe())
    return WorkflowResult(workflow.id, name, "proved")


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
    if item.client_segment != rule.client or not (server is None or server.contains(seen.server)):
        return False
    packet = conversation_of(seen).forward()
    return any(fits(match, packet) for _name, match in matches_of(site, rule.services, seen.family))
