# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Candidates one by one, sorted into rules, review, expected and refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.coverage import (
    is_permitted,
    permitted_spans,
    spans_of_match,
    standing_spans,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import (
    CandidateKey,
    Evidence,
    Gathered,
    Strays,
    joined,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.expected import (
    EXPECTED_DAYS,
    Expected,
    expected_of,
    kind_of,
    rhythm,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.generalise import over_budget, steps_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.misplaced import LEAST_DEVICES
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.named import (
    is_reviewed,
    service_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.one_way import bounded_by, unheard
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.proposed import Known, ProposedRule, Telemetry
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.review import (
    Decisions,
    ReviewItem,
    of_candidate,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.score import (
    DRAFT,
    FULL_DAYS,
    MANY_DEVICES,
    PROPOSE,
    SELDOM,
    VENDOR,
    WEIGHTS,
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
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import NEVER_DROPPED, Segment, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.naming import rule_id
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.replay import PROTOCOL_NAMES

# Too little evidence is no question to anybody where a standing rule permits it.
THIN = frozenset({"few-days", "few-flows", "draft", "score", "one-device", "no-service"})
PERMITTED = "permitted"
# Of a service one port is needed and another refused.
REFUSED_PORT = "refused-port"
# A rule that ends needs less than one that stands (learning.propose_score): rare traffic has few days by nature.
BOUNDED_SCORE = 60


class Judge:
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
        self.sizes = known.sizes
        self.last_day = gathered.first_day + timedelta(days=max(0, gathered.days - 1))
        self.zones = {segment.name: segment.zone for segment in segments}
        self.owners = {segment.name: segment.owner for segment in segments}
        self.vital = frozenset(segment.name for segment in segments if segment.criticality in NEVER_DROPPED)
        self.conduits = {(conduit.client, conduit.server) for conduit in site.conduits}
        self.support = Support(site, gathered, known.kinds_of, services)
        self.decisions = Decisions(known.decisions, site.services, known.today)
        self.standing = standing_spans(site, known.today)
        self.ruled = {(rule.client, rule.to, service) for rule in site.rules() for service in rule.services}
        self.minimum_days = int(self.settings.get("minimum_days", 3))
        self.keep_days = int(self.settings.get("expected_days", EXPECTED_DAYS))
        self.regular: dict[tuple[str, int, int], list[CandidateKey]] = {}
        for key, evidence in gathered.candidates.items():
            if len(evidence.days) >= max(self.minimum_days, 0.5 * gathered.days):
                self.regular.setdefault((key.client, key.protocol, key.server_port), []).append(key)
        # Segments that open something to a segment day by day.
        self.joined = {(key.client, key.to) for keys in self.regular.values() for key in keys}
        self.unheard = unheard(gathered.candidates)
        self.users: dict[tuple[str, int, int], list[str]] = {}
        for key in sorted(gathered.candidates, key=lambda each: each.client):
            self.users.setdefault((key.to, key.protocol, key.server_port), []).append(key.client)
        # By the ends and the service what was seen on several of its ports, as one.
        parts: dict[tuple[str, str, str], list[Evidence]] = {}
        for key, evidence in gathered.candidates.items():
            if service := services.get((key.protocol, key.server_port)):
                parts.setdefault((key.client, key.to, service), []).append(evidence)
        self.together = {ends: joined(own, own[0]) for ends, own in parts.items() if len(own) > 1}
        # Who opens each network set.
        self.openers: dict[str, set[CandidateKey]] = {}
        for key in gathered.candidates:
            if key.to not in self.zones:
                self.openers.setdefault(key.to, set()).add(key)
        self.carried: dict[tuple[str, str, str], list[tuple[Evidence, Score, str, Decision | None]]] = {}
        self.review: list[ReviewItem] = []
        self.refused: list[ReviewItem] = []
        self.expected: list[Expected] = []
        self.unknown: set[tuple[int, int]] = set()
        # What became of each candidate, in one word: "rule", "permitted" by a standing one, or the kind of its review item.
        self.judged: dict[CandidateKey, str] = {}
        # Candidates of rules, with the kind of rare traffic that they are, empty where days are enough.
        self.ending: dict[CandidateKey, str] = {}
        # What has a service and too little evidence, by the rule that would permit it.
        self.thin: dict[tuple[str, str, str], list[tuple[Evidence, str]]] = {}

    def take(self, key: CandidateKey, evidence: Evidence) -> None:
        """Judge one candidate."""
        decision = self.decisions.about(key)
        service = self.service_of(key, decision)
        support = self.support.of(key)
        context = self._context(key, service, support)
        made = score(evidence, context)
        ends = self._bounded(evidence, context, made)
        kind, reason = self._why_not(made, evidence, service, bool(ends))
        if decision is not None and decision.decision == REFUSE:
            self.refuse(evidence, decision, made.total, support)
            return
        if decision is not None and service:
            kind = reason = ""
        if not reason:
            self.carry(evidence, service, made, ends, support, decision)
            return
        if kind in THIN and is_permitted(self.standing, key):
            self.judged[key] = PERMITTED
            # A rule that several ports made together is made by them again, or its evidence would say that nothing of it was seen.
            if (key.client, key.to, service) in self.ruled:
                self.thin.setdefault((key.client, key.to, service), []).append((evidence, support))
            return
        if not service:
            self.unknown.add((key.protocol, key.server_port))
        elif kind in THIN:
            self.thin.setdefault((key.client, key.to, service), []).append((evidence, support))
        if (
            kind == "few-days"
            and service
            and evidence.confidence >= float(self.settings.get("minimum_confidence", 0.8))
        ):
            self._expect(key, evidence, service)
        self.wait(evidence, kind, reason, made.total, 0, support)

    def take_ranges(self) -> None:
        """Judge a service of several ports as one where none of its ports carries it: servers that draw a port anew each day."""
        for (client, to, service), parts in sorted(self.thin.items()):
            if len(parts) < 2 or (client, to, service) in self.carried:
                continue
            busiest, support = max(parts, key=lambda part: (part[0].flows, -part[0].key.server_port))
            together = joined([evidence for evidence, _support in parts], busiest)
            made = score(together, self._context(busiest.key, service, support))
            if self._why_not(made, together, service, False)[1]:
                continue
            for evidence, own in parts:
                self.judged[evidence.key] = "rule"
                # The rule shows the evidence of its busiest port: here that of all days on which any was used.
                shown = (
                    replace(evidence, days=together.days, client_devices=together.client_devices)
                    if evidence is busiest
                    else evidence
                )
                self.carried.setdefault((client, to, service), []).append((shown, made, own, None))
            done = {(client, to, evidence.key.protocol, evidence.key.server_port) for evidence, _support in parts}
            self.review = [e for e in self.review if (e.client, e.server, e.protocol, e.port) not in done]
            self.expected = [e for e in self.expected if e.key not in done]

    def service_of(self, key: CandidateKey, decision: Decision | None) -> str:
        """Return the service of the rule that would permit a candidate, empty for none."""
        return service_of(key, decision, self.site.services, self.services)

    def reaches(self, key: CandidateKey) -> bool:
        """Return whether zones let a rule be written: a holding segment stands in the zone of the one its devices are like, whose conduits
        are not those of their profile's."""
        if key.to not in self.zones:
            return True
        zones = (self.zones[key.client], self.zones[key.to])
        return zones[0] == zones[1] or zones in self.conduits

    def permitted(self, key: CandidateKey) -> bool:
        """Return whether a rule, standing or carried by now, or a person's word lets it pass, whoever was seen to need it."""
        decision = self.decisions.about(key)
        approved = decision is not None and decision.decision != REFUSE
        return self.judged.get(key) in ("rule", PERMITTED) or is_permitted(self.standing, key) or approved

    def refuse(self, evidence: Evidence, decision: Decision, total: int, support: str) -> None:
        """Put a candidate among those that a person has refused."""
        text = f"refused by {decision.by} on {decision.date}: {decision.reason}"
        self.refused.append(of_candidate(evidence, "refused", text, total, 0, support))
        self.judged[evidence.key] = "refused"

    def carry(
        self, evidence: Evidence, service: str, made: Score, ends: str, support: str, decision: Decision | None
    ) -> None:
        """Let a candidate be part of the rule that its service makes; ``ends`` is the kind of a rule that ends, empty for none."""
        key = evidence.key
        self.judged[key] = "rule"
        self.ending[key] = ends
        self.carried.setdefault((key.client, key.to, service), []).append((evidence, made, support, decision))

    def rules(self) -> tuple[ProposedRule, ...]:
        """Return one rule for each client, server and service that is carried and within the budget; what was carried is then done."""
        made: dict[str, ProposedRule] = {}
        carried, self.carried = self.carried, {}
        for (client, to, service), parts in sorted(carried.items()):
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
            kind, over = ("budget", over) if over else (REFUSED_PORT, self._refused_port(client, to, service))
            if over:
                for evidence, score_of, support, _decision in parts:
                    self.wait(evidence, kind, over, score_of.total, sum(step.admits for step in steps), support)
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
                self.support.shared(evidence.key), self._telemetry(evidence), shifts_of(evidence, self.site.time_zone), decision,
                tuple(sorted(each.key.server_port for each in evidences)), sum(each.pairs for each in evidences),
                ends[0] if until else "", until,
            )  # fmt: skip
        return tuple(made[name] for name in sorted(made))

    def _refused_port(self, client: str, to: str, service: str) -> str:
        """Return why a service may not be permitted as a whole where a person has refused a part of it, empty where nobody has."""
        for match in self.site.services[service].matches:
            for low, high in spans_of_match(match):
                refusal = self.decisions.refused(client, to, match.protocol, low, high)
                if refusal is not None:
                    what = refusal.service or f"{PROTOCOL_NAMES.get(refusal.protocol, refusal.protocol)}/{refusal.port}"
                    return (
                        f"service {service} permits what {refusal.by} refused on {refusal.date} ({what}): give what may pass a service of"
                        " its own"
                    )
        return ""

    def not_passed(self, strays: Iterable[Strays], rules: Iterable[ProposedRule]) -> tuple[Strays, ...]:
        """Return the strays that no rule, standing or proposed, permits; a rule permits only one that stands by itself."""
        proposed = permitted_spans([(rule.client, rule.to, (rule.service,)) for rule in rules], self.site.services)
        return tuple(
            each
            for each in strays
            if not each.lone or not (is_permitted(self.standing, each.key) or is_permitted(proposed, each.key))
        )

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
        serving = self.gathered.servers.get((key.protocol, key.server_port), {})
        elsewhere = sum(clients for name, (_servers, clients) in serving.items() if name != key.to)
        servers = serving.get(key.to, (0, 0))[0]
        size = self.sizes.get(key.to, 0) if key.to in self.zones else 0
        used = self.regular.get((key.client, key.protocol, key.server_port), ())
        telemetry = self._telemetry(self.gathered.candidates[key])
        return Context(
            self.sizes.get(key.client, 0),
            self.gathered.days,
            is_reviewed(self.site.services.get(service)),
            self.reaches(key),
            self.minimum_days,
            support,
            telemetry.ceiling,
            telemetry.silence,
            size,
            elsewhere,
            self._like(key),
            servers,
            any(each != key for each in used),
            (self.last_day - self.gathered.candidates[key].days[-1]).days,
            key.to in self.known.addresses or (key.client, key.to) in self.joined,
            self._sole_user(key),
            self._own_service(key),
            self._sole_service(key),
            key.client in self.vital,
            key.client == key.to,
            self._turned(key),
        )

    def _telemetry(self, evidence: Evidence) -> Telemetry:
        """Return what the telemetry allows to claim of a candidate."""
        return bounded_by(self.known.telemetry, evidence, self.unheard)

    def _turned(self, key: CandidateKey) -> bool:
        """Return whether a candidate is what the server's end opens to the client's, seen from a port that happens to be a service's."""
        port = self.gathered.candidates[key].one_client_port
        back = self.gathered.candidates.get(CandidateKey(key.to, key.client, key.protocol, port))
        return (
            port not in (0, key.server_port) and back is not None and back.flows > self.gathered.candidates[key].flows
        )

    def _sole_service(self, key: CandidateKey) -> bool:
        """Return whether no other segment opens the port there."""
        port = key.protocol, key.server_port
        return self._alone(key, (CandidateKey(name, key.to, *port) for name in self.users.get((key.to, *port), ())))

    def _own_service(self, key: CandidateKey) -> bool:
        """Return whether none but that end serves the port."""
        return not set(self.gathered.servers.get((key.protocol, key.server_port), {})) - {key.to}

    def _alone(self, key: CandidateKey, openers: Iterable[CandidateKey]) -> bool:
        """Return whether no other segment is among the openers, but one device alone of many beside several: it may be one of theirs."""
        several = self.gathered.candidates[key].client_devices > 1
        others = [each for each in openers if each.client != key.client]
        return not others or (
            several
            and all(
                self.gathered.candidates[each].client_devices == 1 and self.sizes.get(each.client, 0) >= MANY_DEVICES
                for each in others
            )
        )

    def _sole_user(self, key: CandidateKey) -> bool:
        """Return whether a network set is opened by one segment alone, and none of its devices looks as if it were another's."""
        alone = key.to in self.known.addresses and self._alone(key, self.openers.get(key.to, ()))
        return alone and (key.client in self.gathered.settled or self.sizes.get(key.client, 0) < LEAST_DEVICES)

    def _bounded(self, evidence: Evidence, context: Context, made: Score) -> str:
        """Return the kind of rare traffic that needs a rule with an end, empty where its days carry a rule without one, or none."""
        enough = len(evidence.days) >= self.minimum_days and made.total >= int(
            self.settings.get("propose_score", PROPOSE)
        )
        if enough or evidence.remembered:
            return ""
        kind = bounded(evidence, context)
        few = len(evidence.days) < max(self.minimum_days, FULL_DAYS)
        return kind if few or kind in (SELDOM, VENDOR) else ""

    def _like(self, key: CandidateKey) -> str:
        """Return a segment most of whose devices do, as clients or as servers, what few of the candidate's segment do; or empty text."""
        seen, sizes = self._of_service(key), self.sizes
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

    def _of_service(self, key: CandidateKey) -> Evidence:
        """Return the evidence of all ports of the candidate's service between its ends: a server that draws its port anew has few
        clients on each."""
        service = self.services.get((key.protocol, key.server_port), "")
        return self.together.get((key.client, key.to, service)) or self.gathered.candidates[key]

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
        if ends:
            wanted = min(wanted, BOUNDED_SCORE)
        # Points that the telemetry cannot give are not asked for: of what ends, and of what most of many devices do day by day.
        blind = not self._telemetry(evidence).silence and not evidence.answered
        if blind and (ends or self._by_most_daily(evidence)):
            wanted -= WEIGHTS["answered"]
        if made.total < wanted:
            alone = any(name == "one device of many" for name, _points in made.points)
            why = "one device alone does this" if alone else "the evidence is thin"
            if any(name == "few devices of many" for name, _points in made.points):
                why = f"few devices open a way into others ({evidence.client_devices} of the segment)"
            return "one-device" if alone else "draft", f"score {made.total}: {why}; a named person must approve"
        return "", ""

    def _by_most_daily(self, evidence: Evidence) -> bool:
        many = evidence.client_devices >= MANY_DEVICES
        most = many and most_of(evidence.client_devices, self.sizes.get(evidence.key.client, 0))
        return most and len(evidence.days) >= 0.8 * self.gathered.days

    def _expect(self, key: CandidateKey, evidence: Evidence, service: str) -> None:
        others = [other for other in self.regular.get((key.client, key.protocol, key.server_port), ()) if other != key]
        kind = kind_of(evidence, self.gathered.days, self.sizes.get(key.client, 0), others)
        self.expected.append(expected_of(evidence, kind, service, self.owners.get(key.client, ""), self.keep_days))

    def wait(self, evidence: Evidence, kind: str, reason: str, total: int, admits: int, support: str) -> None:
        """Put a candidate into the queue."""
        self.judged[evidence.key] = kind
        self.review.append(of_candidate(evidence, kind, reason, total, admits, support))
