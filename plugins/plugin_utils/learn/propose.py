# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From evidence to proposed segments and rules. Pure: everything it needs is handed in, and equal inputs give equal proposals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.bands import evidence_bands
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.coverage import is_permitted, standing_spans
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import (
    CandidateKey,
    Evidence,
    Gathered,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.expected import (
    EXPECTED_DAYS,
    QUESTIONS,
    Expected,
    expected_of,
    kind_of,
    rhythm,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.generalise import Step, over_budget, steps_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.named import (
    is_reviewed,
    ports_to_name,
    services_by_port,
    services_for,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.review import (
    Decisions,
    ReviewItem,
    left_out,
    of_candidate,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.score import (
    DRAFT,
    FULL_DAYS,
    PROPOSE,
    Context,
    Score,
    bounded,
    few_of,
    most_of,
    score,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.shifts import shifts_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.support import Support, class_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.decisions import REFUSE, Decision
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Segment, Service, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.naming import rule_id

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# Too little evidence is no question to anybody where a standing rule permits it.
THIN = frozenset({"few-days", "few-flows", "draft", "score", "one-device", "no-service"})
PERMITTED = "permitted"
# A rule that ends needs less than one that stands (learning.propose_score): rare traffic has few days by nature.
BOUNDED_SCORE = 60


@dataclass(frozen=True)
class Telemetry:
    """What the exporters' records allow to claim (flows/quality.py): the lowest ceiling (0 to 1), its reasons, and whether an opener
    without an answer in the records had none."""

    ceiling: float = 1.0
    silence: bool = True
    band: str = ""
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Known:
    """What a proposal needs beside the site and the evidence.

    ``sizes``: devices of each segment. ``addresses``: addresses of each network set. ``names``: device ids to names for people.
    ``kinds_of``: kinds of devices in each segment. ``today`` (YYYY-MM-DD) is the day on which decisions must hold. ``named_before``:
    ports (protocol, port) for which an earlier run proposed a service. ``misplaced``: how many devices of each segment are no evidence for
    it, since they do what another segment does (``misplaced.py``).
    """

    sizes: Mapping[str, int]
    addresses: Mapping[str, int] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    kinds_of: Mapping[str, frozenset[str]] = field(default_factory=dict)
    telemetry: Telemetry = Telemetry()
    decisions: tuple[Decision, ...] = ()
    today: str = ""
    named_before: frozenset[tuple[int, int]] = frozenset()
    misplaced: Mapping[str, int] = field(default_factory=dict)

    @property
    def placed(self) -> dict[str, int]:
        """Return how many devices of each segment its evidence can come from."""
        return {name: max(0, size - self.misplaced.get(name, 0)) for name, size in self.sizes.items()}


@dataclass(frozen=True)
class ProposedRule:
    """A rule that the evidence carries, or that a named person approved (``decision``). ``evidence`` is that of its busiest port."""

    id: str
    client: str
    to: str
    service: str
    score: Score
    evidence: Evidence
    segment_devices: int
    steps: tuple[Step, ...] = ()
    support: str = ""
    family: str = ""
    rhythm: str = ""
    shared: bool = False
    telemetry: Telemetry = Telemetry()
    shifts: tuple[str, ...] = ()
    decision: Decision | None = None
    ports: tuple[int, ...] = ()
    pairs: int = 0
    # Rare traffic is permitted for a time: what kind it is, and until when (YYYY-MM-DD).
    bounded: str = ""
    until: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for results and reports."""
        seen = self.evidence
        made: dict[str, Any] = {
            "id": self.id,
            "client": self.client,
            "to": self.to,
            "services": [self.service],
            "score": self.score.total,
            "points": {name: round(value, 1) for name, value in self.score.points},
            "class": self.family,
            "support": self.support,
            "shared": self.shared,
            "devices": seen.client_devices,
            "segment_devices": self.segment_devices,
            "servers": seen.server_devices,
            "pairs": self.pairs or seen.pairs,
            "ports": list(self.ports),
            "days": len(seen.days),
            "weekdays": [WEEKDAYS[day] for day in seen.weekdays],
            "shifts": list(self.shifts),
            "rhythm": self.rhythm,
            "flows": seen.flows,
            "answered": seen.answered,
            "bytes": seen.bytes,
            "first_us": seen.first_us,
            "last_us": seen.last_us,
            "direction_confidence": round(min(seen.confidence, self.telemetry.ceiling), 3),
            "telemetry": {"ceiling": self.telemetry.ceiling, "reasons": list(self.telemetry.reasons)},
            "steps": [step.as_dict() for step in self.steps],
            "bands": evidence_bands(seen, self.segment_devices, self.telemetry.band),
        }
        if self.until:
            made["ends"] = {"kind": self.bounded, "until": self.until, "question": QUESTIONS[self.bounded]}
        if self.decision is not None:
            made["approved"] = {
                "by": self.decision.by, "reason": self.decision.reason, "date": self.decision.date, "until": self.decision.until,
            }  # fmt: skip
        return made


@dataclass(frozen=True)
class Proposal:
    """Segments to add, rules with evidence, what waits for a person, what is expected to come again, and findings."""

    segments: tuple[Segment, ...]
    new_segments: tuple[str, ...]
    rules: tuple[ProposedRule, ...]
    review: tuple[ReviewItem, ...]
    bootstrap: int
    findings: tuple[Finding, ...]
    unknown_services: tuple[tuple[int, int], ...] = ()
    related: tuple[tuple[str, str, str, int], ...] = ()
    expected: tuple[Expected, ...] = ()
    refused: tuple[ReviewItem, ...] = ()
    judged: Mapping[CandidateKey, str] = field(default_factory=dict)
    new_services: Mapping[str, Service] = field(default_factory=dict)


def propose(site: Site, segments: Sequence[Segment], gathered: Gathered, known: Known) -> Proposal:
    """Return rules for what the evidence carries, and the review list for the rest. Settings come from the site's ``learning``."""
    services = services_by_port(site.services, ((key.protocol, key.server_port) for key in gathered.candidates))
    named = _new_services(site, segments, gathered, known, services)
    added = {service.name: service for service in named.values()}
    site = replace(site, services={**site.services, **added})
    judge = _Judge(site, segments, gathered, known, {**services, **{port: each.name for port, each in named.items()}})
    for key in sorted(gathered.candidates, key=lambda each: (each.client, each.to, each.protocol, each.server_port)):
        judge.take(key, gathered.candidates[key])
    rules = judge.rules()
    judge.settle(rules)
    review, refused = judge.review, judge.refused
    review += left_out(gathered, known.names)
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
    )


def _new_services(
    site: Site, segments: Sequence[Segment], gathered: Gathered, known: Known, services: Mapping[tuple[int, int], str]
) -> dict[tuple[int, int], Service]:
    """Return services for unnamed ports that some rule needs. What a rule needs is judged without the points of a known service."""
    decisions = Decisions(known.decisions, site.services, known.today)
    about = ((key, decisions.about(key)) for key in gathered.candidates)
    approved = frozenset(key for key, each in about if each is not None and each.decision != REFUSE)
    keys = ports_to_name(gathered, services, known.placed, known.named_before, approved)
    made = services_for(site, ((key.protocol, key.server_port) for key in keys))
    with_them = replace(site, services={**site.services, **{each.name: each for each in made.values()}})
    judge = _Judge(
        with_them, segments, gathered, known, {**services, **{port: each.name for port, each in made.items()}}
    )
    for key in keys:
        judge.take(key, gathered.candidates[key])
    needed = {rule.service for rule in judge.rules()}
    return {port: service for port, service in made.items() if service.name in needed}


class _Judge:
    """Takes candidates one by one, in order, and sorts them into rules, review, expected and refused."""

    def __init__(
        self,
        site: Site,
        segments: Sequence[Segment],
        gathered: Gathered,
        known: Known,
        services: Mapping[tuple[int, int], str],
    ) -> None:
        self.site, self.gathered, self.known, self.services = site, gathered, known, services
        self.settings = site.learning
        self.sizes = known.placed
        self.last_day = gathered.first_day + timedelta(days=max(0, gathered.days - 1))
        self.zones = {segment.name: segment.zone for segment in segments}
        self.owners = {segment.name: segment.owner for segment in segments}
        self.conduits = {(conduit.client, conduit.server) for conduit in site.conduits}
        self.support = Support(site, gathered, known.kinds_of, services)
        self.decisions = Decisions(known.decisions, site.services, known.today)
        self.standing = standing_spans(site, known.today)
        self.minimum_days = int(self.settings.get("minimum_days", 3))
        self.keep_days = int(self.settings.get("expected_days", EXPECTED_DAYS))
        self.regular: dict[tuple[str, int, int], list[CandidateKey]] = {}
        for key, evidence in gathered.candidates.items():
            if len(evidence.days) >= max(self.minimum_days, 0.5 * gathered.days):
                self.regular.setdefault((key.client, key.protocol, key.server_port), []).append(key)
        # Segments that open something to a segment day by day.
        self.joined = {(key.client, key.to) for keys in self.regular.values() for key in keys}
        self.users: dict[tuple[str, int, int], list[str]] = {}
        for key in sorted(gathered.candidates, key=lambda each: each.client):
            self.users.setdefault((key.to, key.protocol, key.server_port), []).append(key.client)
        self.carried: dict[tuple[str, str, str], list[tuple[Evidence, Score, str, Decision | None]]] = {}
        self.review: list[ReviewItem] = []
        self.refused: list[ReviewItem] = []
        self.expected: list[Expected] = []
        self.unknown: set[tuple[int, int]] = set()
        # What became of each candidate, in one word: "rule", "permitted" by a standing one, or the kind of its review item.
        self.judged: dict[CandidateKey, str] = {}
        # Candidates of rules, with the kind of rare traffic that they are, empty where days are enough.
        self.ending: dict[CandidateKey, str] = {}

    def take(self, key: CandidateKey, evidence: Evidence) -> None:
        """Judge one candidate."""
        service = self.services.get((key.protocol, key.server_port), "")
        support = self.support.of(key)
        context = self._context(key, service, support)
        made = score(evidence, context)
        ends = self._bounded(evidence, context, made)
        kind, reason = self._why_not(made, evidence, service, bool(ends))
        decision = self.decisions.about(key)
        if decision is not None and decision.decision == REFUSE:
            text = f"refused by {decision.by} on {decision.date}: {decision.reason}"
            self.refused.append(of_candidate(evidence, "refused", text, made.total, 0, support))
            self.judged[key] = "refused"
            return
        if decision is not None and service:
            kind = reason = ""
        if not reason:
            self.judged[key] = "rule"
            self.ending[key] = ends
            self.carried.setdefault((key.client, key.to, service), []).append((evidence, made, support, decision))
            return
        if kind in THIN and is_permitted(self.standing, key):
            self.judged[key] = PERMITTED
            return
        if not service:
            self.unknown.add((key.protocol, key.server_port))
        if (
            kind == "few-days"
            and service
            and evidence.confidence >= float(self.settings.get("minimum_confidence", 0.8))
        ):
            self._expect(key, evidence, service)
        self._wait(evidence, kind, reason, made.total, 0, support)

    def rules(self) -> tuple[ProposedRule, ...]:
        """Return one rule for each client, server and service that is carried and within the budget."""
        made: dict[str, ProposedRule] = {}
        for (client, to, service), parts in sorted(self.carried.items()):
            evidences = [evidence for evidence, _score, _support, _decision in parts]
            network = to not in self.zones
            size = self.known.addresses.get(to, 1) if network else self.known.sizes.get(to, 1)
            clients = self.known.sizes.get(client, 1)
            steps = steps_of(evidences, self.site.services[service], clients, size, to, network)
            decisions = [decision for *_rest, decision in parts if decision is not None]
            decision, over = None, over_budget(steps, self.settings)
            # What evidence carries by itself does not end with what a person approved beside it, as long as the budget has room for both.
            if decisions and (over or len(decisions) == len(parts)):
                decision = max(decisions, key=lambda each: (not each.until, each.until))
                # Who approved a port has not approved all that happens to be in a service with it.
                by_port = any(not each.service for each in decisions)
                over = over_budget(steps, self.settings, ports_only=True) if by_port else ""
            if over:
                for evidence, score_of, support, _decision in parts:
                    self._wait(evidence, "budget", over, score_of.total, sum(step.admits for step in steps), support)
                continue
            evidence, best, support, _decision = max(parts, key=lambda part: part[0].flows)
            ends = [self.ending.get(each.key, "") for each in evidences]
            last = max(each.days[-1] for each in evidences)
            until = "" if decision or not all(ends) else (last + timedelta(days=self.keep_days)).isoformat()
            name = rule_id(client, to, service)
            made[name] = ProposedRule(
                name, client, to, service, best, evidence, clients, steps, support,
                class_of(support, any(each.threat for each in evidences)),
                rhythm(evidence.days, self.gathered.days),
                self.support.shared(evidence.key), self.known.telemetry, shifts_of(evidence, self.site.time_zone), decision,
                tuple(sorted(each.key.server_port for each in evidences)), sum(each.pairs for each in evidences),
                ends[0] if until else "", until,
            )  # fmt: skip
        return tuple(made[name] for name in sorted(made))

    def settle(self, rules: Iterable[ProposedRule]) -> None:
        """Ask nobody about single ports of a service that another of its ports carries: the rule permits them."""
        carried = {(rule.client, rule.to, rule.service) for rule in rules}
        done = set()
        for key, kind in self.judged.items():
            service = self.services.get((key.protocol, key.server_port), "")
            if kind in THIN and (key.client, key.to, service) in carried:
                self.judged[key] = PERMITTED
                done.add((key.client, key.to, key.protocol, key.server_port))
        self.review = [each for each in self.review if (each.client, each.server, each.protocol, each.port) not in done]
        self.expected = [each for each in self.expected if each.key not in done]

    def _context(self, key: CandidateKey, service: str, support: str) -> Context:
        joined = (
            key.to not in self.zones
            or self.zones[key.client] == self.zones[key.to]
            or (self.zones[key.client], self.zones[key.to]) in self.conduits
        )
        serving = self.gathered.servers.get((key.protocol, key.server_port), {})
        elsewhere = sum(clients for name, (_servers, clients) in serving.items() if name != key.to)
        servers = serving.get(key.to, (0, 0))[0]
        size = self.sizes.get(key.to, 0) if key.to in self.zones else 0
        used = self.regular.get((key.client, key.protocol, key.server_port), ())
        return Context(
            self.sizes.get(key.client, 0),
            self.gathered.days,
            is_reviewed(self.site.services.get(service)),
            joined,
            self.minimum_days,
            support,
            self.known.telemetry.ceiling,
            self.known.telemetry.silence,
            size,
            elsewhere,
            self._like(key),
            servers,
            any(each != key for each in used),
            (self.last_day - self.gathered.candidates[key].days[-1]).days,
            key.to in self.known.addresses or (key.client, key.to) in self.joined,
        )

    def _bounded(self, evidence: Evidence, context: Context, made: Score) -> str:
        """Return the kind of rare traffic that needs a rule with an end, empty where its days carry a rule without one, or none."""
        enough = len(evidence.days) >= self.minimum_days and made.total >= int(
            self.settings.get("propose_score", PROPOSE)
        )
        few = len(evidence.days) < max(self.minimum_days, FULL_DAYS)
        return bounded(evidence, context) if few and not enough and not evidence.remembered else ""

    def _like(self, key: CandidateKey) -> str:
        """Return a segment most of whose devices do, as clients or as servers, what few of the candidate's segment do; or empty text."""
        seen, sizes = self.gathered.candidates[key], self.sizes
        serving = self.gathered.servers.get((key.protocol, key.server_port), {})
        # Whoever of a segment has its habits is at home there, and may open to its own: so do many whose calls are rare.
        home = key.client == key.to and key.client in self.gathered.settled
        if few_of(seen.client_devices, sizes.get(key.client, 0)) and not home:
            for name in self.users.get((key.to, key.protocol, key.server_port), ()):
                other = self.gathered.candidates[CandidateKey(name, key.to, key.protocol, key.server_port)]
                if name != key.client and most_of(other.client_devices, sizes.get(name, 0)):
                    return name
        if few_of(max(seen.server_devices, serving.get(key.to, (0, 0))[0]), sizes.get(key.to, 0)):
            for name, (servers, _clients) in sorted(serving.items()):
                if name != key.to and most_of(servers, sizes.get(name, 0)):
                    return name
        return ""

    def _why_not(self, made: Score, evidence: Evidence, service: str, ends: bool) -> tuple[str, str]:
        settings = self.settings
        if made.stop:
            return made.kind, made.stop
        if not service:
            gone = (evidence.key.protocol, evidence.key.server_port) in self.known.named_before
            return "no-service", "its service was taken away" if gone else "no service of the site covers the port"
        if evidence.flows < int(settings.get("minimum_flows", 1)):
            return "few-flows", f"only {evidence.flows} flows"
        if evidence.confidence < float(settings.get("minimum_confidence", 0.8)):
            return "direction", f"direction confidence {evidence.confidence:.2f}"
        if made.total < int(settings.get("draft_score", DRAFT)):
            return "score", f"score {made.total}"
        wanted = int(settings.get("propose_score", PROPOSE))
        if made.total < (min(wanted, BOUNDED_SCORE) if ends else wanted):
            alone = any(name == "one device of many" for name, _points in made.points)
            why = "one device alone does this" if alone else "the evidence is thin"
            if any(name == "few devices of many" for name, _points in made.points):
                why = f"few devices open a way into others ({evidence.client_devices} of the segment)"
            return "one-device" if alone else "draft", f"score {made.total}: {why}; a named person must approve"
        return "", ""

    def _expect(self, key: CandidateKey, evidence: Evidence, service: str) -> None:
        others = [other for other in self.regular.get((key.client, key.protocol, key.server_port), ()) if other != key]
        kind = kind_of(evidence, self.gathered.days, self.sizes.get(key.client, 0), others)
        self.expected.append(expected_of(evidence, kind, service, self.owners.get(key.client, ""), self.keep_days))

    def _wait(self, evidence: Evidence, kind: str, reason: str, total: int, admits: int, support: str) -> None:
        self.judged[evidence.key] = kind
        self.review.append(of_candidate(evidence, kind, reason, total, admits, support))


def _window_findings(settings: Mapping[str, Any], covered: int) -> list[Finding]:
    if not covered:
        return [codes.NO_HISTORY.at("the store has no recorded connection")]
    wanted = int(settings.get("minimum_days", 3))
    if covered < wanted:
        return [codes.SHORT_WINDOW.at(f"the recordings cover {covered} days of the {wanted} that site.yml asks for")]
    return []
