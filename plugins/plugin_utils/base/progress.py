# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress of work that takes more than a few seconds: one line now and then, with the rate and the time that remains.

Whoever shows lines to people sets ``SHOW``; without that nothing is said.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar

SHOW: ContextVar[Callable[[str], None] | None] = ContextVar("segwright_progress", default=None)
EVERY_SECONDS = 5.0


class Progress:
    """Counts steps of ``total`` and says so at most every ``EVERY_SECONDS`` seconds, and never about work that ends before that."""

    def __init__(self, what: str, total: float, unit: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.what, self.total, self.unit = what, total, unit
        self.done = 0.0
        self._clock = clock
        self._started = self._said = clock()

    def step(self, count: float = 1) -> None:
        """Note that ``count`` more units are done."""
        self.done += count
        now, show = self._clock(), SHOW.get()
        if show is None or now - self._said < EVERY_SECONDS:
            return
        self._said = now
        show(self.line(now))

    def line(self, now: float) -> str:
        """Return the line for the moment ``now`` of the clock: done, total, rate and time left."""
        rate = self.done / max(now - self._started, 1e-9)
        left = max(self.total - self.done, 0) / rate if rate else 0.0
        return (
            f"{self.what}: {self.done:,.0f} of {self.total:,.0f} {self.unit}, {rate:,.1f} a second, {_span(left)} left"
        )


def _span(seconds: float) -> str:
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 7200 else f"{whole / 3600:.1f} h"
