# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence in bands: a rule's short summary changes only when a band changes, so that daily learning makes no noise in git."""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import Evidence

DAY_BANDS = ((30, "30 or more"), (14, "14 to 29"), (7, "7 to 13"), (3, "3 to 6"), (0, "1 to 2"))
CONFIDENCE_BANDS = ((0.9, "high"), (0.8, "medium"), (0.0, "low"))


def band(value: float, bands: tuple[tuple[float, str], ...]) -> str:
    """Return the name of the first band whose lower limit the value reaches."""
    return next(name for limit, name in bands if value >= limit)


def evidence_bands(evidence: Evidence, segment_devices: int, telemetry: str = "") -> dict[str, str]:
    """Return the summary that a rule carries; ``telemetry`` is given where not every packet was seen."""
    share = evidence.client_devices / max(1, segment_devices)
    devices = "all" if share >= 1 else "most" if share >= 0.5 else "some" if evidence.client_devices > 1 else "one"
    return {
        "devices": devices,
        "days": band(len(evidence.days), DAY_BANDS),
        "direction": band(evidence.confidence, CONFIDENCE_BANDS),
        **({"telemetry": telemetry} if telemetry else {}),
    }
