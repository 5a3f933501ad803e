# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recorded conversations that would be cut, in the order people need them: the legitimate ones one by one, the doubtful ones in groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

SHOWN_PORTS = 8


@dataclass(frozen=True)
class DoubtfulCuts:
    """Doubtful conversations of one client, cut at one point for one reason."""

    client: str
    point: str
    doubt: str
    conversations: int
    servers: int
    services: tuple[str, ...]
    flows: int

    def service_text(self) -> str:
        """Return the services, shortened where there are many."""
        more = len(self.services) - SHOWN_PORTS
        return ", ".join(self.services[:SHOWN_PORTS]) + (f" and {more} more" if more > 0 else "")


def split_cuts(rows: Iterable[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], list[DoubtfulCuts]]:
    """Return the rows without a reason for doubt, busiest first, and the others grouped by client, point and reason."""
    legitimate: list[Mapping[str, Any]] = []
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["doubt"]:
            groups.setdefault((row["client"], row["point"], row["doubt"]), []).append(row)
        else:
            legitimate.append(row)
    legitimate.sort(key=lambda row: (-row["flows"], row["client"], row["server"], row["port"]))
    made = []
    for (client, point, doubt), found in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])):
        services = sorted({(row["protocol"], row["port"]) for row in found})
        texts = tuple(f"{protocol}/{port}" for protocol, port in services)
        made.append(
            DoubtfulCuts(
                client,
                point,
                doubt,
                len(found),
                len({row["server"] for row in found}),
                texts,
                sum(row["flows"] for row in found),
            )
        )
    return legitimate, made
