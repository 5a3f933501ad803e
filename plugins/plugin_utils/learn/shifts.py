# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which shifts of a day something was seen in, in the site's own time."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime

from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import Evidence

# Hours in which the shifts of most hospitals and plants begin.
SHIFTS = (("early", range(6, 14)), ("late", range(14, 22)), ("night", (22, 23, 0, 1, 2, 3, 4, 5)))


def shifts_of(evidence: Evidence, time_zone: str) -> tuple[str, ...]:
    """Return the shifts (early from 6, late from 14, night from 22 o'clock) in which the candidate was seen.

    Hours are told by the zone's offset when it was last seen: around a change of daylight saving one hour may count for its neighbour.
    """
    moment = datetime.fromtimestamp(evidence.last_us / 1_000_000, UTC)
    try:
        offset = moment.astimezone(zoneinfo.ZoneInfo(time_zone)).utcoffset()
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        offset = None
    shift = round(offset.total_seconds() / 3600) if offset is not None else 0
    hours = {(hour + shift) % 24 for hour in range(24) if evidence.hours >> hour & 1}
    return tuple(name for name, own in SHIFTS if hours & set(own))
