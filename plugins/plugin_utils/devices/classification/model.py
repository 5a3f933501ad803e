# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What classification hands round: types, rules, evidence, and what a device is taken for.

The scheme is that of facts/risk.md section 1.4: of one class of evidence the strongest rule counts, different classes add up as
1 - (1-a)(1-b)..., so that three weak hints of one kind are no proof and three of different kinds are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, Location

UNKNOWN = "unknown"
# The most a single rule of a class may count, in percent.
CEILINGS: Mapping[str, int] = {
    "record": 90,  # a person or an asset system wrote down what the device is
    "profile": 50,  # the NAC's profiler
    "mud": 50,  # the device's own claim about its manufacturer's description
    "neighbour": 45,  # LLDP, CDP
    "dhcp": 30,  # vendor class or request list
    "vendor": 30,  # OUI or manufacturer: 30 of one that makes one kind of device, less of others
    "served": 25,  # ports on which it answers
    "hostname": 15,
    "used": 10,  # ports that it opens
}
# Evidence that states an identity in words; the other classes are what the device was seen to be or do.
STATED = ("record", "profile")
CONFIDENCE, MARGIN = 0.5, 0.15
ENFORCE = 0.8
# A word below this confidence counts half.
SURE = 0.5
# From here on evidence beside what is stated contradicts it: one rule that knows one kind of device only, or several that agree.
CONTRADICTION = 0.3


@dataclass(frozen=True)
class DeviceType:
    """An entry of the taxonomy. ``looks_like`` names types whose evidence this one may carry too: a scanner that runs on Windows."""

    name: str
    family: str
    criticality: str
    level: float
    description: str
    looks_like: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """Evidence for one type: a query over facts, its class and its weight in percent; ``source`` says where the knowledge is from."""

    id: str
    type: str
    evidence: str
    weight: int
    when: Mapping[str, Any] = field(hash=False)
    note: str = ""
    source: str = ""
    location: Location = Location()


@dataclass(frozen=True)
class Decision:
    """What a person decided about one device; it wins over everything that is observed."""

    device: str
    type: str
    owner: str
    reason: str
    location: Location = Location()


@dataclass(frozen=True)
class RuleBase:
    """Types by name, rules, and persons' decisions by device."""

    types: Mapping[str, DeviceType]
    rules: tuple[Rule, ...]
    decisions: Mapping[str, Decision] = field(default_factory=dict)


@dataclass(frozen=True, order=True)
class Evidence:
    """One rule that fits a device: ``weight`` in percent as it counted, ``facts`` what it fits by, with sources."""

    type: str
    evidence: str
    rule: str
    weight: int
    facts: str
    note: str = ""

    def line(self) -> str:
        """Return the evidence as one line for people."""
        note = f" ({self.note})" if self.note else ""
        return f"{self.type} +{self.weight} {self.evidence}: {self.facts}{note} [{self.rule}]"


@dataclass(frozen=True)
class Candidate:
    """A type with the confidence that its evidence adds up to, 0 to 1."""

    type: str
    confidence: float


@dataclass(frozen=True)
class Classification:
    """What one device is taken for, and why.

    ``type`` is ``unknown`` below the threshold, without margin, and where facts contradict each other; ``candidates`` has the strongest
    types, strongest first. ``disputed`` says why the device is to be admitted nowhere until a person has looked; empty where nothing is.
    ``use`` is ``enforce``, ``monitor`` or ``review``: what the confidence is enough for.
    """

    device: str
    type: str
    confidence: float
    margin: float
    candidates: tuple[Candidate, ...]
    evidence: tuple[Evidence, ...]
    findings: tuple[Finding, ...] = ()
    disputed: str = ""
    by: str = "evidence"
    notes: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Return whether there is a type."""
        return self.type != UNKNOWN

    @property
    def use(self) -> str:
        """Return what the confidence is enough for."""
        if not self.known or self.disputed:
            return "review"
        return "enforce" if self.confidence >= ENFORCE else "monitor"

    @property
    def runner_up(self) -> Candidate | None:
        """Return the second strongest type."""
        return self.candidates[1] if len(self.candidates) > 1 else None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, as docs/formats/register.md has them."""
        second = self.runner_up
        return {
            "device": self.device,
            "type": self.type,
            "confidence": self.confidence,
            "margin": self.margin,
            "use": self.use,
            "by": self.by,
            "runner_up": {"type": second.type, "confidence": second.confidence} if second else None,
            "candidates": [{"type": each.type, "confidence": each.confidence} for each in self.candidates],
            "evidence": [each.line() for each in self.evidence],
            "disputed": self.disputed,
            "notes": list(self.notes),
        }
