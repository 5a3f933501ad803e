# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recorded conversations, as replay and impact read them: one value per client, server, protocol and server port."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

MAPPED_PREFIX = 0xFFFF << 32
SIGN = 1 << 63
WEAK_METHOD = 9
USUAL_CLIENT_PORT = 49152
SCAN, UNANSWERED = "scan", "unanswered"
# A TCP opener or a request without an answer did nothing. A UDP datagram may do all its work alone (syslog, traps, alarms, video).
ANSWER_EXPECTED = (1, 6, 58)


@dataclass(frozen=True)
class SeenConversation:
    """What the daily rollup says about one conversation over a window.

    ``suspect`` is empty, or ``scan`` where the client was scanning when it opened this, or ``unanswered`` where no server ever
    answered a protocol in which one must. ``weak`` says that the direction is a guess. ``related`` names the control protocol of a
    conversation on a port that such a session agreed on, ``bootstrap`` what every list passes before any rule. Times are microseconds
    since 1970 in UTC.
    """

    family: int
    client: int
    server: int
    protocol: int
    server_port: int
    client_port: int
    flows: int
    answered: int
    days: int
    first_us: int
    last_us: int
    kind: str = "unicast"
    weak: bool = False
    suspect: str = ""
    related: str = ""
    bootstrap: str = ""


def address_of(high: int, low: int) -> tuple[int, int]:
    """Return (family, address) of the two signed order-preserving columns of docs/formats/connections.md."""
    value = ((high + SIGN) << 64) | (low + SIGN)
    if value >> 32 == 0xFFFF:
        return 4, value & 0xFFFFFFFF
    return 6, value


def seen_conversations(rows: Iterable[Mapping[str, Any]]) -> list[SeenConversation]:
    """Return conversations from aggregated rollup rows, ordered by client, server, protocol and port.

    A row has the address columns, ``protocol``, ``server_port``, ``class``, ``flows``, ``answered_flows``, ``days``, ``first_us``,
    ``last_us``, ``minimum_client_port``, ``method``, and optionally ``scan`` (bool), ``related`` and ``bootstrap`` (texts).
    """
    made = []
    for row in rows:
        family, client = address_of(row["client_hi"], row["client_lo"])
        _family, server = address_of(row["server_hi"], row["server_lo"])
        answered = int(row["answered_flows"])
        protocol = int(row["protocol"])
        silent = not answered and row["class"] in ("unicast", "peer") and protocol in ANSWER_EXPECTED
        suspect = SCAN if row.get("scan") else UNANSWERED if silent else ""
        low_port = int(row["minimum_client_port"] or 0)
        made.append(
            SeenConversation(
                family,
                client,
                server,
                protocol,
                int(row["server_port"]),
                low_port if low_port else USUAL_CLIENT_PORT,
                int(row["flows"]),
                answered,
                int(row["days"]),
                int(row["first_us"]),
                int(row["last_us"]),
                str(row["class"]),
                int(row["method"]) >= WEAK_METHOD,
                suspect,
                str(row.get("related") or ""),
                str(row.get("bootstrap") or ""),
            )
        )
    return sorted(made, key=lambda c: (c.family, c.client, c.server, c.protocol, c.server_port))
