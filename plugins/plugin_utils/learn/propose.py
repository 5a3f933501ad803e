# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From evidence to proposed segments and rules. Pure: everything it needs is handed in, and equal inputs give equal proposals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.bands import evidence_bands
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import (
    BoundRow,
    Evidence,
    Gathered,
    gather,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.score import (
    DRAFT,
    PROPOSE,
    Context,
    Score,
    score,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Segment, Service, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.naming import rule_id
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ranges import is_wide
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.replay import PROTOCOL_NAMES


@dataclass(frozen=True)
class ProposedRule:
    """A rule that the evidence carries."""

    id: str
    client: str
    to: str
    service: str
    score: Score
    evidence: Evidence
    segment_devices: int

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for results and reports."""
        return {
            "id": self.id,
            "client": self.client,
            "to": self.to,
            "services": [self.service],
            "score": self.score.total,
            "points": {name: round(value, 1) for name, value in self.score.points},
            "devices": len(self.evidence.client_devices),
            "segment_devices": self.segment_devices,
            "servers": len(self.evidence.server_devices),
            "pairs": len(self.evidence.pairs),
            "days": len(self.evidence.days),
            "flows": self.evidence.flows,
            "answered": self.evidence.answered,
            "first_us": self.evidence.first_us,
            "last_us": self.evidence.last_us,
            "direction_confidence": round(self.evidence.confidence, 3),
            "bands": evidence_bands(self.evidence, self.segment_devices),
        }


@dataclass(frozen=True)
class ReviewItem:
    """Traffic that no rule is proposed for, with the reason, for a person to decide."""

    client: str
    server: str
    protocol: int
    port: int
    flows: int
    days: int
    reason: str
    score: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for results and reports."""
        return {
            "client": self.client,
            "server": self.server,
            "protocol": PROTOCOL_NAMES.get(self.protocol, str(self.protocol)),
            "port": self.port,
            "flows": self.flows,
            "days": self.days,
            "reason": self.reason,
            "score": self.score,
        }


@dataclass(frozen=True)
class Proposal:
    """Segments to add, rules with evidence, what waits for a person, and findings."""

    segments: tuple[Segment, ...]
    new_segments: tuple[str, ...]
    rules: tuple[ProposedRule, ...]
    review: tuple[ReviewItem, ...]
    bootstrap: int
    findings: tuple[Finding, ...]
    unknown_services: tuple[tuple[int, int], ...] = ()
    related: tuple[tuple[str, str, str, int], ...] = ()


def services_by_port(
    services: Mapping[str, Service], conversations: Iterable[tuple[int, int]]
) -> dict[tuple[int, int], str]:
    """Return the narrowest service that covers each (protocol, server port); ties go to the first by name.

    Services that are wide by the gate's own rule serve guardrails and never learning.
    """
    wanted = set(conversations)
    found: dict[tuple[int, int], tuple[int, str]] = {}
    for name, service in sorted(services.items()):
        if is_wide(service) or service.ethertypes:  # nor is more permitted than was seen
            continue
        width = sum(high - low + 1 for match in service.matches for low, high in match.ports)
        for match in service.matches:
            for key in wanted:
                if key[0] == match.protocol and any(low <= key[1] <= high for low, high in match.ports):
                    if key not in found or width < found[key][0]:
                        found[key] = (width, name)
    return {key: name for key, (_width, name) in found.items()}


def propose(
    site: Site,
    segments: Sequence[Segment],
    segment_of: Mapping[str, str],
    network_of: Mapping[str, str],
    names: Mapping[str, str],
    rows: Sequence[BoundRow],
) -> Proposal:
    """Return rules for what the rows carry, and the review list for the rest.

    ``segment_of`` maps device ids to segments, ``network_of`` addresses without a device to network sets, ``names`` device ids to
    names for people. Settings come from the site's ``learning``.
    """
    gathered = gather(rows, segment_of, network_of)
    sizes: dict[str, int] = {}
    for segment in segment_of.values():
        sizes[segment] = sizes.get(segment, 0) + 1
    zones = {segment.name: segment.zone for segment in segments}
    conduits = {(conduit.client, conduit.server) for conduit in site.conduits}
    covered = len({row.day for row in rows})
    services = services_by_port(site.services, ((key.protocol, key.server_port) for key in gathered.candidates))
    settings = site.learning
    rules: list[ProposedRule] = []
    review: list[ReviewItem] = []
    unknown: list[tuple[int, int]] = []
    for key, evidence in sorted(
        gathered.candidates.items(),
        key=lambda item: (item[0].client, item[0].to, item[0].protocol, item[0].server_port),
    ):
        service = services.get((key.protocol, key.server_port), "")
        joined = (
            key.to not in zones or zones[key.client] == zones[key.to] or (zones[key.client], zones[key.to]) in conduits
        )
        context = Context(
            sizes.get(key.client, 0), covered, bool(service), joined, int(settings.get("minimum_days", 3))
        )
        made = score(evidence, context)
        reason = _why_not(made, evidence, service, settings)
        if reason:
            if not service:
                unknown.append((key.protocol, key.server_port))
            review.append(
                ReviewItem(
                    key.client,
                    key.to,
                    key.protocol,
                    key.server_port,
                    evidence.flows,
                    len(evidence.days),
                    reason,
                    made.total,
                )
            )
            continue
        rules.append(
            ProposedRule(
                rule_id(key.client, key.to, service),
                key.client,
                key.to,
                service,
                made,
                evidence,
                sizes.get(key.client, 0),
            )
        )
    review += _excluded(gathered, names)
    findings = _window_findings(settings, covered)
    new = tuple(segment.name for segment in segments if segment.name not in site.segments)
    return Proposal(
        tuple(segments),
        new,
        _merged(rules),
        tuple(review),
        gathered.bootstrap,
        tuple(findings),
        tuple(sorted(set(unknown))),
        tuple((*key, flows) for key, flows in sorted(gathered.related.items())),
    )


def _why_not(made: Score, evidence: Evidence, service: str, settings: Mapping[str, Any]) -> str:
    if made.stop:
        return made.stop
    if not service:
        return "no service of the site covers the port"
    if evidence.flows < int(settings.get("minimum_flows", 1)):
        return f"only {evidence.flows} flows"
    if evidence.confidence < float(settings.get("minimum_confidence", 0.8)):
        return f"direction confidence {evidence.confidence:.2f}"
    if made.total < int(settings.get("draft_score", DRAFT)):
        return f"score {made.total}"
    if made.total < int(settings.get("propose_score", PROPOSE)):
        return f"score {made.total}: a named person must approve"
    return ""


def _merged(rules: Sequence[ProposedRule]) -> tuple[ProposedRule, ...]:
    """Return one rule per id: a service of several ports is one rule, with the evidence of its busiest port."""
    best: dict[str, ProposedRule] = {}
    for rule in rules:
        known = best.get(rule.id)
        if known is None or rule.evidence.flows > known.evidence.flows:
            best[rule.id] = rule
    return tuple(best[name] for name in sorted(best))


def _excluded(gathered: Gathered, names: Mapping[str, str]) -> list[ReviewItem]:
    """Return what was left out, one item per client, server, port and reason."""
    counts: dict[tuple[str, str, int, int, str], tuple[int, set[Any]]] = {}
    for item in gathered.excluded:
        row = item.row
        client = names.get(row.client_device, row.client_device) or row.client_address
        server = names.get(row.server_device, row.server_device) or row.server_address
        key = (client, server, row.protocol, row.server_port, item.reason)
        flows, days = counts.get(key, (0, set()))
        days.add(row.day)
        counts[key] = (flows + row.flows, days)
    return [ReviewItem(*key[:4], flows, len(days), key[4]) for key, (flows, days) in sorted(counts.items())]


def _window_findings(settings: Mapping[str, Any], covered: int) -> list[Finding]:
    if not covered:
        return [codes.NO_HISTORY.at("the store has no recorded connection")]
    wanted = int(settings.get("minimum_days", 3))
    if covered < wanted:
        return [codes.SHORT_WINDOW.at(f"the recordings cover {covered} days of the {wanted} that site.yml asks for")]
    return []
