# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Daily rows summed before they are bound to devices, in the common dialect of ``engine.py``: the short way of learning.

Who held an address decides nothing between two moments at which a hold of it begins or ends. So time is cut at those moments, address by
address, into ``spells``; what lies within one spell at both ends has the same two holders whatever the day, and is summed over the window
by its addresses, which are numbers, before anybody asks for devices and segments, which are texts. A row that reaches over the end of a
spell keeps its day and is bound by itself, as ``queries.bound`` and ``queries.split`` do with every row. The answer is the same, bit by
bit; of 18.6 million rows of 30 days one in 14 is left to be bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.engine import quoted
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.learning import (
    SUMMED_ROWS,
    SUMS,
    day_bits,
    day_columns,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.queries import CONVERSATION, KEY
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import ROLLUP


def spells(first_us: int, last_us: int) -> str:
    """Return the query of the spells of addresses that somebody began or ceased to hold from ``first_us`` to ``last_us``.

    They lie end to end over that time, holds or not; ``number`` counts an address' from 1. An address without any is never cut.
    """
    first, last = int(first_us), int(last_us)
    cuts = " UNION ".join(
        f"SELECT address_hi AS hi, address_lo AS lo, {name} AS from_us FROM intervals WHERE {name} > {first} AND {name} <= {last}"
        for name in ("from_us", "to_us")
    )
    return f"""
        WITH cuts AS ({cuts}), begins AS (
            SELECT hi, lo, from_us FROM cuts UNION SELECT hi, lo, {first}::BIGINT AS from_us FROM cuts
        )
        SELECT hi, lo, from_us, coalesce(lead(from_us) OVER (PARTITION BY hi, lo ORDER BY from_us), {last + 1}::BIGINT) AS to_us,
            row_number() OVER (PARTITION BY hi, lo ORDER BY from_us) AS number
        FROM begins"""


def summed(first_us: int, days: int, fixed: Mapping[str, Any]) -> str:
    """Return the query of ``daily`` summed by conversation and spells; rows that reach over the end of one have their day as ``crossing``.

    ``first_us`` is the begin of the window's first day. ``fixed`` has the columns of the key that have one value, which is not grouped by.
    """
    given = {
        name: f"{quoted(value)} AS class" if name == "class" else f"CAST({int(value)} AS BIGINT) AS {name}"
        for name, value in fixed.items()
    }
    grouped = ", ".join(
        ['"class"' if name == "class" else name for name in CONVERSATION if name not in given]
        + ["client_spell", "server_spell", "crossing"]
    )
    picked = ", ".join(given.get(name, f'"{name}"') for name in CONVERSATION)
    numbers = ", ".join(f"r.{name}" for name in SUMS if name != "rollup_rows")
    joins = "".join(
        f"""
            LEFT JOIN spells {end[0]} ON {end[0]}.hi = r.{end}_hi AND {end[0]}.lo = r.{end}_lo
                AND {end[0]}.from_us <= r.first_us AND {end[0]}.to_us > r.first_us"""
        for end in ("client", "server")
    )
    keys = ", ".join(f'r."{name}"' for name in CONVERSATION)
    return f"""
        SELECT {picked}, client_spell, server_spell, crossing, {day_bits(first_us, day_columns(days))}, {SUMMED_ROWS}
        FROM (
            SELECT {keys}, {numbers}, coalesce(c.number, 0) AS client_spell, coalesce(s.number, 0) AS server_spell,
                CASE WHEN coalesce(c.to_us, r.last_us + 1) <= r.last_us OR coalesce(s.to_us, r.last_us + 1) <= r.last_us
                    THEN r.day END AS crossing
            FROM daily r{joins}
        ) AS cut GROUP BY {grouped}"""


def settled(days: int) -> str:
    """Return the query of what of ``summed_days`` has the same holders all the time."""
    return f"SELECT {KEY}, {', '.join((*day_columns(days), *SUMS))} FROM summed_days WHERE crossing IS NULL"


def crossing() -> str:
    """Return the query of the other rows of ``summed_days``, as the rollup has them but for packets, which learning does not ask for."""
    picked = ", ".join(
        {"day": "crossing AS day", "packets": "0::BIGINT AS packets"}.get(name, f'"{name}"') for name in ROLLUP
    )
    return f"SELECT {picked} FROM summed_days WHERE crossing IS NOT NULL"
