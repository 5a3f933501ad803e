# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of what was legitimately seen a policy permits, and how much more than that: before a proposal and after it.

A conversation is one client device, one server (device or address), protocol and port. Seen ones are counted per candidate; permitted ones
are the product of the sizes of both ends and the ports, each counted once however many rules permit it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import CandidateKey, Evidence
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Rule, Segment, Service, Site

# What a conversation of a segment weighs where criticality counts.
CRITICALITY = {"life_support": 16, "process_critical": 16, "high": 4, "medium": 2, "low": 1}
# Candidates that are not known to be legitimate: they count for neither side.
DOUBTFUL = frozenset(
    {"direction", "unanswered", "conduit", "rogue-server", "misplaced", "refused", "scan", "threat", "held-device"}
)
ICMP = (1, 58)
Spans = dict[tuple[str, str, int], list[tuple[int, int]]]


@dataclass(frozen=True)
class Sizes:
    """How many devices segments have and how many addresses network sets."""

    devices: Mapping[str, int]
    addresses: Mapping[str, int]

    def servers(self, name: str) -> int:
        """Return how many servers an end can be."""
        return self.devices[name] if name in self.devices else self.addresses.get(name, 1)


def permitted_spans(rules: Iterable[tuple[str, str, Iterable[str]]], services: Mapping[str, Service]) -> Spans:
    """Return the ports that rules (client, to, services) permit, as disjoint spans by client, server and protocol."""
    made: Spans = {}
    for client, to, names in rules:
        for name in names:
            for match in services[name].matches if name in services else ():
                made.setdefault((client, to, match.protocol), []).extend(spans_of_match(match))
    return {key: _joined(spans) for key, spans in made.items()}


def holds_on(rule: Rule, day: str) -> bool:
    """Return whether a rule is not past its end on a day (YYYY-MM-DD; empty for any); its last day counts."""
    return not rule.expires or day <= rule.expires


def stands(rule: Rule, today: str) -> bool:
    """Return whether a rule holds on a day (YYYY-MM-DD; empty for any) for its segment: it is not past its end and waits for no posture."""
    waits = rule.devices or (rule.conditions is not None and rule.conditions.posture)
    return holds_on(rule, today) and not waits


def standing_spans(site: Site, today: str, postures: bool = False) -> Spans:
    """Return what the site's own rules permit on a day (YYYY-MM-DD; empty for any): those past their end permit nothing, and those that
    wait for a posture only where ``postures`` asks for them."""
    wanted = holds_on if postures else stands
    standing = (rule for rule in site.rules() if wanted(rule, today))
    return permitted_spans(((rule.client, rule.to, rule.services) for rule in standing), site.services)


def spans_of_match(match: Any) -> list[tuple[int, int]]:
    """Return the ports of a service's match as flows have them: an ICMP type and code are one number (sources/icmp.py)."""
    if match.protocol in ICMP and match.icmp_type is not None:
        code = match.icmp_code
        return [(match.icmp_type * 256 + (code or 0), match.icmp_type * 256 + (255 if code is None else code))]
    return list(match.ports) or [(0, 65535)]


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    made: list[tuple[int, int]] = []
    for low, high in sorted(spans):
        if made and low <= made[-1][1] + 1:
            made[-1] = (made[-1][0], max(made[-1][1], high))
        else:
            made.append((low, high))
    return made


def is_permitted(spans: Spans, key: CandidateKey) -> bool:
    """Return whether a candidate is permitted."""
    return any(low <= key.server_port <= high for low, high in spans.get((key.client, key.to, key.protocol), ()))


def coverage(
    candidates: Mapping[CandidateKey, Evidence],
    judged: Mapping[CandidateKey, str],
    spans: Spans,
    segments: Mapping[str, Segment],
    sizes: Sizes,
) -> dict[str, Any]:
    """Return the shares of legitimate conversations that are permitted (0 to 1, None where there are none) and what is permitted beyond.

    ``by_conversations`` counts each pair and port once, ``by_flows`` how often it happened, ``by_devices`` client devices per candidate,
    ``by_criticality`` conversations weighed by the client's segment. Over-permission is permitted by seen conversations between segments;
    what network sets add stands apart, since their size says little.
    """
    weights = {name: [0.0, 0.0] for name in ("by_conversations", "by_flows", "by_devices", "by_criticality")}
    seen_inside = seen_outside = 0
    worst: dict[str, list[int]] = {}
    for key, evidence in candidates.items():
        if judged.get(key) in DOUBTFUL:
            continue
        held = is_permitted(spans, key)
        segment = segments.get(key.client)
        factor = CRITICALITY.get(segment.criticality, 1) if segment else 1
        for name, weight in zip(
            weights, (evidence.pairs, evidence.flows, evidence.client_devices, evidence.pairs * factor), strict=True
        ):
            weights[name][0] += weight if held else 0
            weights[name][1] += weight
        own = worst.setdefault(key.client, [0, 0])
        own[0] += evidence.pairs if held else 0
        own[1] += evidence.pairs
        if held and key.to in sizes.devices:
            seen_inside += evidence.pairs
        elif held:
            seen_outside += evidence.pairs
    inside = outside = 0
    for (client, to, _protocol), own_spans in spans.items():
        count = sum(high - low + 1 for low, high in own_spans) * sizes.devices.get(client, 0) * sizes.servers(to)
        if to in sizes.devices:
            inside += count
        else:
            outside += count
    made: dict[str, Any] = {name: round(held / total, 6) if total else None for name, (held, total) in weights.items()}
    made["segments"] = {name: round(held / total, 6) for name, (held, total) in sorted(worst.items())}
    made["permitted"] = {
        "conversations": inside,
        "seen": seen_inside,
        "to_networks": outside,
        "seen_to_networks": seen_outside,
    }
    made["over_permission"] = round(inside / seen_inside, 3) if seen_inside else None
    return made
