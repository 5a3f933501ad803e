# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of steps over all targets: what is in force nowhere, then permits, then everything that tightens.

A list that both gains and loses packets stands between: each target goes from one list that passes all flows that stay to
another that does, so no mix of old and new cuts a flow that both policies pass (design rule 10). Within a phase the
steps of one target keep their order; a target gives what depends on a step the same phase or a later one.
"""

from __future__ import annotations

PREPARE, WIDEN, REPLACE, NARROW, CLEAN = 0, 1, 2, 3, 4
_PHASES = {"none": PREPARE, "widens": WIDEN, "both": REPLACE, "narrows": NARROW}


def phase_of(effect: str) -> int:
    """Return the phase of a step with this effect (widens, narrows, both, none); KeyError for any other word."""
    return _PHASES[effect]
