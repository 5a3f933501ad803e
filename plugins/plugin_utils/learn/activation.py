# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After activation: what is new, what is not expected, which rules are not used or too wide, and what owners have to look at again.

Rules are those that stand; what was seen is the window's. A rule that nothing used in the window may still be for a yearly job: it is
listed with when it was last seen, and never taken away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_of_micros
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.coverage import (
    Sizes,
    Spans,
    holds_on,
    is_permitted,
    permitted_spans,
    spans_of_match,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import (
    DAY_US,
    EPOCH,
    CandidateKey,
    Evidence,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.generalise import service_ports
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Rule, Service, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ranges import is_wide

NEW_DAYS = 7
WIDE_PORTS = 8
WIDE_SERVERS = 4
EXPIRING_DAYS = 30
# Kinds of candidates (propose.py) that are new and nothing worse: they wait for days or for a person.
HARMLESS = frozenset(
    {"rule", "few-days", "few-flows", "draft", "score", "no-service", "budget", "one-device", "refused-port"}
)


@dataclass
class Use:
    """What used a rule in the window."""

    ports: set[tuple[int, int]] = field(default_factory=set)
    servers: int = 0
    clients: int = 0
    flows: int = 0
    last_us: int = 0


def after_activation(
    site: Site,
    candidates: Mapping[CandidateKey, Evidence],
    judged: Mapping[CandidateKey, str],
    sizes: Sizes,
    earlier: Mapping[str, Mapping[str, Any]],
    last_day: date,
) -> dict[str, Any]:
    """Return the report. ``earlier`` has what evidence files say of rules, by id; ``last_day`` is the window's last."""
    rules = [rule for segment in site.segments.values() for rule in segment.allow]
    by_ends: dict[tuple[str, str], list[Evidence]] = {}
    for key, evidence in candidates.items():
        by_ends.setdefault((key.client, key.to), []).append(evidence)
    uses = {rule.id: _use(rule, site, by_ends.get((rule.client, rule.to), ())) for rule in rules}
    stages = {name: item.stage for name, item in site.assignments.items()}
    standing = (rule for rule in rules if holds_on(rule, last_day.isoformat()))
    spans = permitted_spans(((rule.client, rule.to, rule.services) for rule in standing), site.services)
    return {
        "stages": {
            name: stages.get(name, str(site.defaults.get("stage", "observe"))) for name in sorted(site.segments)
        },
        **_news(candidates, judged, spans, last_day),
        "unused": [_told(rule, site, earlier) for rule in rules if not uses[rule.id].flows],
        "too_wide": [each for rule in rules if (each := _wide(rule, uses[rule.id], site, sizes))],
        "recertify": _recertify(rules, uses, site, earlier, last_day),
    }


def _use(rule: Rule, site: Site, candidates: Iterable[Evidence]) -> Use:
    use = Use()
    spans = permitted_spans([(rule.client, rule.to, rule.services)], site.services)
    for seen in candidates:
        if is_permitted(spans, seen.key):
            use.ports.add((seen.key.protocol, seen.key.server_port))
            use.servers, use.clients = max(use.servers, seen.server_devices), max(use.clients, seen.client_devices)
            use.flows += seen.flows
            use.last_us = max(use.last_us, seen.last_us)
    return use


def _news(
    candidates: Mapping[CandidateKey, Evidence], judged: Mapping[CandidateKey, str], spans: Spans, last_day: date
) -> dict[str, Any]:
    """Tell what the standing rules do not permit: new (nothing speaks against it) and unexpected (a hard stop does)."""
    fresh = ((last_day - EPOCH).days - NEW_DAYS + 1) * DAY_US
    new: list[dict[str, Any]] = []
    unexpected: list[dict[str, Any]] = []
    for key in sorted(candidates, key=lambda each: (each.client, each.to, each.protocol, each.server_port)):
        if is_permitted(spans, key):
            continue
        seen, kind = candidates[key], judged.get(key, "")
        row = {
            "client": key.client, "to": key.to, "protocol": key.protocol, "port": key.server_port, "kind": kind, "flows": seen.flows,
            "devices": seen.client_devices, "first_seen": iso_of_micros(seen.first_us), "last_seen": iso_of_micros(seen.last_us),
            "since": "this week" if seen.first_us >= fresh else "earlier",
        }  # fmt: skip
        (new if kind in HARMLESS else unexpected).append(row)
    return {"new": new, "unexpected": unexpected}


def _told(rule: Rule, site: Site, earlier: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    segment = site.segments[rule.client]
    workflows = [each.id for each in site.workflows if rule.id in each.rules]
    return {
        "rule": rule.id, "owner": rule.owner or segment.owner, "origin": rule.origin, "criticality": segment.criticality,
        "last_seen": str(earlier.get(rule.id, {}).get("last_seen", "")), "workflows": workflows, "expires": rule.expires,
    }  # fmt: skip


def _wide(rule: Rule, use: Use, site: Site, sizes: Sizes) -> dict[str, Any] | None:
    """Return where a rule that is used permits much more than that, and what would be enough."""
    if not use.flows:
        return None
    total = sum(service_ports(site.services[name]) for name in rule.services if name in site.services)
    servers = sizes.servers(rule.to)
    reasons, suggestions = [], []
    if total - len(use.ports) >= WIDE_PORTS:
        reasons.append(f"{len(use.ports)} of {total} ports are used")
        narrow = narrowest(site, use.ports, total)
        suggestions.append(
            f"services: [{narrow}]"
            if narrow
            else f"a service of ports {', '.join(str(port) for _p, port in sorted(use.ports)[:8])}"
        )
    unused = [name for name in rule.services if not _covers(site, name, use.ports)]
    if unused and len(rule.services) > 1:
        reasons.append(f"{', '.join(unused)} not used")
        suggestions.append(f"services without {', '.join(unused)}")
    if servers >= WIDE_SERVERS and use.servers * 4 <= servers:
        reasons.append(f"{use.servers} of {servers} servers are used")
        suggestions.append("a segment or network set of those servers")
    if not reasons:
        return None
    clients = sizes.devices.get(rule.client, 0)
    return {
        "rule": rule.id, "why": reasons, "suggested": suggestions, "clients": use.clients, "servers": use.servers, "ports": len(use.ports),
        "permitted": total * clients * servers, "last_seen": iso_of_micros(use.last_us), "flows": use.flows,
    }  # fmt: skip


def narrowest(site: Site, ports: Iterable[tuple[int, int]], below: int) -> str:
    """Return the site's narrowest service with all of the ports and fewer than ``below``, empty for none."""
    wanted = set(ports)
    found = [
        (service_ports(service), name)
        for name, service in site.services.items()
        if not is_wide(service) and not service.ethertypes and service_ports(service) < below and _has(service, wanted)
    ]
    return min(found)[1] if found else ""


def _has(service: Service, ports: Iterable[tuple[int, int]]) -> bool:
    return all(
        any(
            match.protocol == protocol and any(low <= port <= high for low, high in spans_of_match(match))
            for match in service.matches
        )
        for protocol, port in ports
    )


def _covers(site: Site, name: str, ports: Iterable[tuple[int, int]]) -> bool:
    return name in site.services and any(_has(site.services[name], [each]) for each in ports)


def _recertify(
    rules: Iterable[Rule], uses: Mapping[str, Use], site: Site, earlier: Mapping[str, Mapping[str, Any]], last_day: date
) -> dict[str, list[dict[str, Any]]]:
    """Return, by owner, rules to look at again: not used in the window, without evidence, or about to expire; the oldest first."""
    soon = (last_day + timedelta(days=EXPIRING_DAYS)).isoformat()
    made: dict[str, list[dict[str, Any]]] = {}
    for rule in rules:
        why = []
        if not uses[rule.id].flows:
            why.append("not used in the window")
        if rule.origin == "learned" and rule.id not in earlier:
            why.append("no evidence is kept")
        if rule.expires and rule.expires <= soon:
            why.append(f"expires {rule.expires}")
        if why:
            told = _told(rule, site, earlier)
            made.setdefault(told["owner"], []).append({**told, "why": why})
    return {owner: sorted(made[owner], key=lambda each: (each["last_seen"], each["rule"])) for owner in sorted(made)}
