# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A 0 to 100 score for a candidate, by published weights, with hard stops first (facts/flows.md section 7)."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import Evidence

PROPOSE, DRAFT = 70, 40
ONE_DEVICE_CAP = 60
TCP = 6


@dataclass(frozen=True)
class Context:
    """What a score needs beside the evidence: size of the client segment, days covered, known service, conduit, wanted days."""

    segment_devices: int
    covered_days: int
    known_service: bool
    conduit: bool
    minimum_days: int = 3


@dataclass(frozen=True)
class Score:
    """Points by name, their sum, and the hard stop that forbids a rule (empty where there is none)."""

    points: tuple[tuple[str, float], ...]
    stop: str = ""

    @property
    def total(self) -> int:
        """Return the sum, rounded, from 0 to 100."""
        return round(min(100.0, sum(value for _name, value in self.points)))


def hard_stop(evidence: Evidence, context: Context) -> str:
    """Return why no rule may be made of the evidence, or empty text."""
    if evidence.best_method >= 9:
        return "the direction is a guess (lower port)"
    if evidence.key.protocol == TCP and evidence.answered < evidence.flows * 0.1:
        return "hardly ever answered"
    if not context.conduit:
        return "no conduit joins the two zones"
    if len(evidence.days) < context.minimum_days:
        return f"seen on {len(evidence.days)} of at least {context.minimum_days} days"
    return ""


def score(evidence: Evidence, context: Context) -> Score:
    """Return the score of a candidate."""
    days = len(evidence.days)
    share = len(evidence.client_devices) / max(1, context.segment_devices)
    points = [
        ("days", 25 * min(1.0, max(days / 5, days / max(1, context.covered_days) / 0.3))),
        ("weeks", min(10.0, 5.0 * evidence.weeks)),
        ("devices", _device_points(len(evidence.client_devices), share)),
        ("answered", 10.0 if evidence.answered else 0.0),
        ("direction", 10 * evidence.confidence),
        ("known service", 10.0 if context.known_service else 0.0),
        ("regular", 5.0 if days >= 0.8 * context.covered_days else 0.0),
    ]
    made = Score(tuple(points), hard_stop(evidence, context))
    if len(evidence.client_devices) == 1 and context.segment_devices >= 4 and made.total > ONE_DEVICE_CAP:
        points.append(("one device of many", float(ONE_DEVICE_CAP - made.total)))
        made = Score(tuple(points), made.stop)
    return made


def _device_points(count: int, share: float) -> float:
    if share >= 0.25:
        return 20.0
    return 4.0 if count <= 1 else 10.0 + 10.0 * min(1.0, share / 0.25) * 0.5
