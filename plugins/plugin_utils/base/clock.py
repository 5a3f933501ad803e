# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time, in one place, so that pure code takes it as an argument and tests can set it."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


def iso(moment: datetime) -> str:
    """Return RFC 3339 text in UTC with whole seconds, for example 2026-11-23T20:00:00Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_now() -> str:
    """Return the present moment as RFC 3339 text in UTC."""
    return iso(utc_now())


def moment_of_text(text: str) -> datetime:
    """Return the moment of RFC 3339 text as ``iso`` writes it, in UTC; ValueError for other text."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)


def iso_of_micros(micros: int) -> str:
    """Return RFC 3339 text for microseconds since 1970 in UTC."""
    return iso(datetime.fromtimestamp(micros / 1_000_000, UTC))
