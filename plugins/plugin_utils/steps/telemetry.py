# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When exporters themselves showed nothing: a silence that nobody was there to hear. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

MINUTE = 60.0
# A pause of an exporter this many times its mean one is a gap: of random arrivals one in 500 million is as long.
MANY = 20
SHORTEST = 300.0


@dataclass(frozen=True)
class Gaps:
    """Gaps of exporters, each as (begin, end) in seconds since 1970, in order."""

    of: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)

    def within(self, exporter: str, begin: float, end: float) -> float:
        """Return for how many seconds between two moments an exporter showed nothing."""
        return sum(max(0.0, min(end, last) - max(begin, first)) for first, last in self.of.get(exporter, ()))


def gaps_of(rows: Iterable[Mapping[str, Any]]) -> Gaps:
    """Return the gaps of exporters by the minutes in which they saw anything (``exporter``, ``minute``, in this order)."""
    minutes: dict[str, list[int]] = {}
    for row in rows:
        minutes.setdefault(row["exporter"], []).append(row["minute"])
    return Gaps({exporter: _gaps(found) for exporter, found in minutes.items()})


def _gaps(minutes: list[int]) -> tuple[tuple[float, float], ...]:
    mean = (minutes[-1] - minutes[0]) * MINUTE / max(1, len(minutes) - 1)
    longest = max(SHORTEST, MANY * mean)
    spans = (((first + 1) * MINUTE, second * MINUTE) for first, second in pairwise(minutes))
    return tuple((begin, end) for begin, end in spans if end - begin > longest)
