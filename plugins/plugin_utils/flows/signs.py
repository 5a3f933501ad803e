# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stored connection keeps so that it can be stitched again: ``signs`` (bits), ``lag_us`` and ``step_us``.

Bits of ``signs``, the first of each pair for the client (or end a), the second for the server (or end b): TCP flags OR-ed (0 to 5 and 6 to
11), a SYN without ACK (12, 13), a SYN with ACK (14, 15), the exporter said that this end opened (16, 17) or answered (18, 19), frames to
all (20, 21), a handshake begins with its first record (22, 23), it spoke at all (24, 25), it spoke first at equal times (26, 27). Then: an
exporter's records stand behind it (28), it is the part of a conversation that began on an earlier day (29), and were the client the server,
the conversation would count as answered (30).
``lag_us`` is the start of the server's first record minus that of the client's, 0 where one of them did not speak.
"""

from __future__ import annotations

from typing import Any

FLAG_BITS = 6
FLAGS = (1 << FLAG_BITS) - 1
PAIRS = {
    "pure": 12,
    "syn_ack": 14,
    "opened": 16,
    "answers": 18,
    "broadcasts": 20,
    "opens": 22,
    "spoke": 24,
    "first": 26,
}
EXPORTED, CONTINUES, TURNED_ANSWERED = 28, 29, 30


def packed(client: str, server: str) -> str:
    """Return the SQL expression of ``signs`` over columns named after the two ends, as ``stitching`` makes them."""
    terms = []
    for place, (end, other) in enumerate(((client, server), (server, client))):
        terms.append(f"(({end}_flags & {FLAGS})::INTEGER << {place * FLAG_BITS})")
        given = {
            "opened": f"{end}_opened > 0",
            "answers": f"{end}_answers > 0",
            "spoke": f"{end}_start IS NOT NULL",
            "first": f"{end}_start = {other}_start AND {end}_place < {other}_place",
        }
        for name, bit in PAIRS.items():
            terms.append(f"CASE WHEN {given.get(name, f'{end}_{name}')} THEN {1 << (bit + place)} ELSE 0 END")
    terms.append(f"CASE WHEN origin = 1 THEN {1 << EXPORTED} ELSE 0 END")
    return "(" + " | ".join(terms) + ")::INTEGER"


def lag(client: str, server: str) -> str:
    """Return the SQL expression of ``lag_us``."""
    return f"coalesce({server}_start - {client}_start, 0)"


def swapped(column: str = "signs") -> str:
    """Return the SQL expression of ``signs`` with the two ends' places changed, without the last bit."""
    low = sum(1 << bit for bit in PAIRS.values())
    flags = f"(({column} & {FLAGS}) << {FLAG_BITS}) | (({column} >> {FLAG_BITS}) & {FLAGS})"
    return f"({flags} | (({column} & {low}) << 1) | (({column} >> 1) & {low}) | ({column} & {3 << EXPORTED}))::INTEGER"


def turned(values: Any) -> Any:
    """Return an array of ``signs`` (int32) with the two ends' places changed, without the last bit; as ``swapped``."""
    low = sum(1 << bit for bit in PAIRS.values())
    flags = ((values & FLAGS) << FLAG_BITS) | ((values >> FLAG_BITS) & FLAGS)
    return flags | ((values & low) << 1) | ((values >> 1) & low) | (values & (3 << EXPORTED))


def has(bit: int, column: str = "signs") -> str:
    """Return the SQL condition that a bit is set."""
    return f"(({column} >> {bit}) & 1) = 1"
