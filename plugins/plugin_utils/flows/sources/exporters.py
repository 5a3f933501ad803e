# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is counted of one exporter while its datagrams are read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Exporter:
    """What was seen of one exporter. ``lost`` is in the unit its sequence counts: records for v5 and IPFIX, datagrams for v9."""

    datagrams: int = 0
    records: int = 0
    option_records: int = 0
    no_addresses: int = 0
    undecoded_sets: int = 0
    damaged: int = 0
    lost: int = 0
    restarts: int = 0
    impossible_times: int = 0
    sampling: int = 1
    gaps: int = 0
    gap_us: int = 0
    skew_us: int = 0
    first_us: int = 0
    last_us: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return plain values without zeros."""
        return {name: value for name, value in vars(self).items() if value}
