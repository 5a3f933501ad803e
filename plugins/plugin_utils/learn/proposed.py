# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a proposal is made of, what it needs to know beside site and evidence, and what it says of each rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.accounts import OpenSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.bands import evidence_bands
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import (
    CandidateKey,
    Evidence,
    Strays,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.expected import (
    QUESTIONS,
    Expected,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.generalise import Step
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.review import (
    ReviewItem,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.score import (
    Score,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.decisions import Decision
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Segment, Service

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


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
    ports (protocol, port) for which an earlier run proposed a service. Devices that wait in a holding segment (``holding.py``) count there.
    """

    sizes: Mapping[str, int]
    addresses: Mapping[str, int] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    kinds_of: Mapping[str, frozenset[str]] = field(default_factory=dict)
    telemetry: Telemetry = Telemetry()
    decisions: tuple[Decision, ...] = ()
    today: str = ""
    named_before: frozenset[tuple[int, int]] = frozenset()


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
        # What a person has told and nothing shows was seen on no day.
        days = len(seen.days) if seen.flows else 0
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
            "days": days,
            "weekdays": [WEEKDAYS[day] for day in seen.weekdays if days],
            "shifts": list(self.shifts),
            "rhythm": self.rhythm if days else "",
            "flows": seen.flows,
            "answered": seen.answered,
            "bytes": seen.bytes,
            "first_us": seen.first_us,
            "last_us": seen.last_us,
            "direction_confidence": round(min(seen.confidence, self.telemetry.ceiling), 3),
            "telemetry": {"ceiling": self.telemetry.ceiling, "reasons": list(self.telemetry.reasons)},
            "steps": [step.as_dict() for step in self.steps],
            "bands": evidence_bands(seen, self.segment_devices, self.telemetry.band) if seen.flows else {},
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
    # What was tried once without an answer, no rule permits and nobody has decided about.
    strays: tuple[Strays, ...] = ()
    # Network sets of which nobody has given account.
    sets: tuple[OpenSet, ...] = ()
