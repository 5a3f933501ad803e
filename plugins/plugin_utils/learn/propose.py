# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From evidence to proposed segments and rules. Pure: everything it needs is handed in, and equal inputs give equal proposals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.accounts import open_sets, with_declared
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.doubts import Doubts
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import (
    CandidateKey,
    Evidence,
    Gathered,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.judging import Judge
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.named import (
    ports_to_name,
    services_by_port,
    services_for,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.proposed import (
    Known,
    Proposal,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.review import (
    Decisions,
    left_out,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.decisions import REFUSE
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Segment, Service, Site


def propose(site: Site, segments: Sequence[Segment], gathered: Gathered, known: Known) -> Proposal:
    """Return rules for what the evidence carries, and the review list for the rest. Settings come from the site's ``learning``."""
    decisions = Decisions(known.decisions, site.services, known.today)
    seen = _with_answered_strays(site, gathered, known)
    whole = with_declared(site, segments, seen, decisions, known.today)
    gathered, held = apart(whole)
    services = services_by_port(site.services, ((key.protocol, key.server_port) for key in whole.candidates))
    named = _new_services(site, segments, gathered, known, services)
    added = {service.name: service for service in named.values()}
    site = replace(site, services={**site.services, **added})
    judge = Judge(site, segments, gathered, known, {**services, **{port: each.name for port, each in named.items()}})
    for key in _ordered(gathered.candidates):
        judge.take(key, gathered.candidates[key])
    judge.take_ranges()
    rules = judge.rules()
    judge.settle(rules)
    if held:
        doubts = Doubts(judge, whole)
        for key in _ordered(held):
            doubts.take(key, held[key])
        doubts.take_peers(rules)
        rules = tuple(sorted((*rules, *judge.rules()), key=lambda each: each.id))
    review, refused = judge.review, judge.refused
    strays = judge.not_passed(gathered.strays, rules)
    review += left_out(replace(gathered, strays=strays), known.names)
    sets = open_sets(site, seen, decisions.accounts, known.today)
    review += [each.item for each in sets]
    findings = _window_findings(site.learning, gathered.days)
    new = tuple(segment.name for segment in segments if segment.name not in site.segments)
    return Proposal(
        tuple(segments),
        new,
        rules,
        tuple(review),
        gathered.bootstrap,
        tuple(findings),
        tuple(sorted(judge.unknown)),
        tuple((*key, flows) for key, flows in sorted(gathered.related.items())),
        tuple(judge.expected),
        tuple(refused),
        judge.judged,
        added,
        strays,
        sets,
    )


def _with_answered_strays(site: Site, gathered: Gathered, known: Known) -> Gathered:
    """Return the evidence with those strays as candidates that a person has decided about."""
    decisions = Decisions(known.decisions, site.services, known.today)
    answered = {each.key: each.evidence for each in gathered.strays if each.lone and decisions.about(each.key)}
    strays = tuple(each for each in gathered.strays if each.key not in answered)
    return replace(gathered, candidates={**gathered.candidates, **answered}, strays=strays) if answered else gathered


def _ordered(keys: Iterable[CandidateKey]) -> list[CandidateKey]:
    return sorted(keys, key=lambda each: (each.client, each.to, each.protocol, each.server_port))


def apart(gathered: Gathered) -> tuple[Gathered, dict[CandidateKey, Evidence]]:
    """Return the evidence without that of holding segments, which speaks for nobody else, and that of holding segments."""
    holding = gathered.holding
    held = {key: each for key, each in gathered.candidates.items() if key.client in holding or key.to in holding}
    if not holding:
        return gathered, held

    def without(counts: Mapping[Any, Mapping[str, Any]]) -> dict[Any, dict[str, Any]]:
        return {
            about: {name: each for name, each in own.items() if name not in holding} for about, own in counts.items()
        }

    rest = {key: each for key, each in gathered.candidates.items() if key not in held}
    kinds, servers = without(gathered.kinds), without(gathered.servers)
    return replace(gathered, candidates=rest, kinds=kinds, servers=servers), held


def _new_services(
    site: Site, segments: Sequence[Segment], gathered: Gathered, known: Known, services: Mapping[tuple[int, int], str]
) -> dict[tuple[int, int], Service]:
    """Return services for unnamed ports that some rule needs. What a rule needs is judged without the points of a known service."""
    decisions = Decisions(known.decisions, site.services, known.today)
    about = ((key, decisions.about(key)) for key in gathered.candidates)
    approved = frozenset(key for key, each in about if each is not None and each.decision != REFUSE)
    keys = ports_to_name(gathered, services, known.sizes, known.named_before, approved)
    made = services_for(site, ((key.protocol, key.server_port) for key in keys))
    with_them = replace(site, services={**site.services, **{each.name: each for each in made.values()}})
    judge = Judge(
        with_them, segments, gathered, known, {**services, **{port: each.name for port, each in made.items()}}
    )
    for key in keys:
        judge.take(key, gathered.candidates[key])
    needed = {rule.service for rule in judge.rules()}
    return {port: service for port, service in made.items() if service.name in needed}


def _window_findings(settings: Mapping[str, Any], covered: int) -> list[Finding]:
    if not covered:
        return [codes.NO_HISTORY.at("the store has no recorded connection")]
    wanted = int(settings.get("minimum_days", 3))
    if covered < wanted:
        return [codes.SHORT_WINDOW.at(f"the recordings cover {covered} days of the {wanted} that site.yml asks for")]
    return []
