# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measurements. A wrong answer is an AssertionError; a figure beside its target is a row of ``targets`` in the result."""

from __future__ import annotations

from typing import Any


def at_most(name: str, measured: float, limit: float) -> dict[str, Any]:
    """Return the row of a figure that should not exceed its target."""
    return {"figure": name, "measured": measured, "at_most": limit, "met": measured <= limit}


def at_least(name: str, measured: float, limit: float) -> dict[str, Any]:
    """Return the row of a figure that should reach its target."""
    return {"figure": name, "measured": measured, "at_least": limit, "met": measured >= limit}
