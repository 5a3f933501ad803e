# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network sets that hardly any traffic touched, and what people approved that no recording shows.

Who names a recovery site in networks.yml means something to open it. A window without a fail-over does not show who (facts/flows.md section
7: rare classes are to be accepted "by declared intent"), and enforcement would cut it on the day it is needed. So people are asked about
each such set once, and give account of it in decisions.yml: approvals of what opens it, and that these are all.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.coverage import (
    standing_spans,
    stands,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import (
    DAY_US,
    EPOCH,
    CandidateKey,
    Evidence,
    Gathered,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.holding import like_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.named import service_of, services_by_port
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.review import Decisions, ReviewItem
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.decisions import Decision
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.merging import LEARNED
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import CRITICALITIES, Segment, Site

KIND = "network-set"
ANYBODY = "anybody"
# Whoever opens a set on this share of the days shows what it is for.
OFTEN = 0.5
# From this criticality on a segment waits for the account of every set: in a fail-over it may be the one that opens it.
LOWEST_THAT_WAITS = "high"
PORTS = (6, 17)


@dataclass(frozen=True)
class OpenSet:
    """A network set of which no account was given: who was seen to open it at all, and on how many days at most."""

    network: str
    clients: tuple[str, ...] = ()
    days: int = 0

    @property
    def item(self) -> ReviewItem:
        """Return it as what waits for a person."""
        seen = f"{', '.join(self.clients)} alone, on {self.days} days at most" if self.clients else "nobody"
        text = (
            f"networks.yml names it, and in the recordings {seen} opened it: who opens it in a fail-over, a recovery, a test, or else"
            " seldom? Approve that in decisions.yml, and write the set under accounts there"
        )
        return ReviewItem(ANYBODY, self.network, 0, 0, 0, self.days, text, 0, KIND)


def open_sets(site: Site, gathered: Gathered, accounts: Collection[str], today: str = "") -> tuple[OpenSet, ...]:
    """Return the network sets that people are to give account of, by name.

    Not those that something opens often, that a person has written a rule to which holds on ``today``, that are there for another
    reason (guardrails, scanners, infrastructure, management), or whose addresses are the site's own zones'.
    """
    often: set[str] = set()
    seldom: dict[str, tuple[set[str], int]] = {}
    for key, evidence in gathered.candidates.items():
        if key.to not in site.networks or key.client in gathered.holding:
            continue
        if len(evidence.days) >= max(2, OFTEN * gathered.days):
            often.add(key.to)
        clients, days = seldom.get(key.to, (set(), 0))
        seldom[key.to] = clients | {key.client}, max(days, len(evidence.days))
    left = set(site.networks) - often - set(accounts) - _other_uses(site, today) - _own(site)
    return tuple(
        OpenSet(name, tuple(sorted(seldom[name][0])), seldom[name][1]) if name in seldom else OpenSet(name)
        for name in sorted(left)
    )


def _other_uses(site: Site, today: str) -> set[str]:
    used = {end for item in site.guardrails for end in (item.client, item.server)}
    used |= {
        str(flow.get(end, ""))
        for point in site.points.values()
        for flow in point.options.get("management", ())
        for end in ("client", "server")
    }
    used |= {site.defaults.get("bootstrap", {}).get("dhcp_servers", ""), site.learning.get("declared_scanners", "")}
    used |= set(site.defaults.get("infrastructure", {}).values())
    return used | {rule.to for rule in site.rules() if rule.origin != LEARNED and stands(rule, today)}


def _own(site: Site) -> set[str]:
    """Return the sets with addresses of the site's zones: their ends are devices, and rules name their segments."""
    zones = [ipaddress.ip_network(each, strict=False) for zone in site.zones.values() for each in zone.subnets]
    return {
        name
        for name, network in site.networks.items()
        for net in (ipaddress.ip_network(each, strict=False) for each in network.prefixes)
        if any(net.version == zone.version and net.overlaps(zone) for zone in zones)
    }


def waiting_for(sets: Iterable[OpenSet], segment: str, criticality: str) -> list[str]:
    """Return the sets whose account a segment waits for: those that it was seen to open, and all where much hangs on it."""
    critical = CRITICALITIES.index(criticality) <= CRITICALITIES.index(LOWEST_THAT_WAITS)
    return [each.network for each in sets if critical or segment in each.clients]


def with_declared(
    site: Site, segments: Sequence[Segment], gathered: Gathered, decisions: Decisions, today: str
) -> Gathered:
    """Return the evidence with what people approved and nothing recorded shows, as candidates without evidence of their own.

    Not for holding segments, nor where a standing rule permits it, or anything that the decision is about was seen: that is judged as
    seen. What devices in doubt alone were seen to do is theirs (``doubts.py``), and no right of the segment that was named.
    """
    asked = decisions.approved(standing_spans(site, today)) if decisions.approved() else []
    if not asked:
        return gathered
    names = {each.name for each in segments if not like_of(each)}
    ends = names | set(site.networks)
    about = (decisions.about(each) for key in gathered.candidates for each in _meant(key, gathered.holding))
    used = {id(each) for each in about if each is not None}
    named = services_by_port(site.services, ((key.protocol, key.server_port) for key, _decision in asked))
    added: dict[CandidateKey, Evidence] = {}
    for key, decision in asked:
        if id(decision) in used or key.client not in names or key.to not in ends:
            continue
        # A port that nothing names is named by the run; of a service that takes in all ports nobody knows which are meant.
        if not service_of(key, decision, site.services, named) and (decision.service or key.protocol not in PORTS):
            continue
        added[key] = declared(key, decision)
    return replace(gathered, candidates={**gathered.candidates, **added}) if added else gathered


def _meant(key: CandidateKey, holding: Mapping[str, tuple[str, ...]]) -> Iterator[CandidateKey]:
    """Yield the candidate, and what it is where devices in doubt belong where they may."""
    for client in holding.get(key.client, (key.client,)):
        for to in holding.get(key.to, (key.to,)):
            yield CandidateKey(client, to, key.protocol, key.server_port)


def declared(key: CandidateKey, decision: Decision) -> Evidence:
    """Return evidence for what a person has told: no device, no flow, the day of the decision."""
    day = date.fromisoformat(decision.date)
    at = (day - EPOCH).days * DAY_US
    return Evidence(key, (day,), 0, 0, 0, 0, first_us=at, last_us=at, best_method=1, confidence=1.0, remembered=True)
