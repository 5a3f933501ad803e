# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of addresses over time, from the DNS answers that were seen: cloud peers are learnt by name, not by address.

Observations lie in the store (docs/formats/names.md); here they become intervals: an answer holds from when it was seen to its time to
live, and an hour more, since programs go on with a connection and some resolvers keep what they have.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_of_micros
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address, kept, store

HOLD_US = 3_600_000_000
MOST_ROWS = 10_000
DAY_US = 86_400_000_000
# No answer is believed for longer (sources/dns.py), so none from further back can still hold.
REACH_US = 7 * DAY_US + HOLD_US


def intervals(data_dir: str | Path, since: store.Moment | None = None, until: store.Moment | None = None) -> Any:
    """Return an Arrow table: address_hi, address_lo, name, client_hi, client_lo, from_us, to_us, ttl, source.

    One row for each unbroken time in which an answer to the client held; ``client`` is who asked, ``ttl`` the longest
    seen, ``source`` what saw it (``pcap``, ``zeek``, ``eve``). Ordered by all columns. Intervals that touch the window are in it.
    """
    first, last = store.micros_of(since), store.micros_of(until)
    seen = kept.read(data_dir, "names", None if first is None else first - REACH_US, last)
    with store.connect() as connection:
        connection.register("seen", seen)
        return connection.sql(
            f"""
            WITH each AS (
                SELECT address_hi, address_lo, name, client_hi, client_lo, via, ttl, time_us AS from_us,
                    time_us + ttl * 1000000 + {HOLD_US} AS to_us FROM seen
            ), marked AS (
                SELECT *, CASE WHEN from_us <= max(to_us) OVER (PARTITION BY address_hi, address_lo, name, client_hi, client_lo
                    ORDER BY from_us, to_us ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) THEN 0 ELSE 1 END AS begins FROM each
            ), numbered AS (
                SELECT *, sum(begins) OVER (PARTITION BY address_hi, address_lo, name, client_hi, client_lo
                    ORDER BY from_us, to_us ROWS UNBOUNDED PRECEDING) AS spell FROM marked
            )
            SELECT address_hi, address_lo, name, client_hi, client_lo, min(from_us) AS from_us, max(to_us) AS to_us, max(ttl) AS ttl,
                min(via) AS source
            FROM numbered GROUP BY address_hi, address_lo, name, client_hi, client_lo, spell
            HAVING max(to_us) > {first if first is not None else -(1 << 62)} ORDER BY ALL
            """
        ).to_arrow_table()


def name_rows(
    data_dir: str | Path,
    since: str = "",
    until: str = "",
    client: str = "",
    server: str = "",
    *,
    limit: int = MOST_ROWS,
) -> list[dict[str, Any]]:
    """Return intervals as plain values, in order: ``server`` is the named address or its network, ``client`` who asked."""
    conditions = ["true"]
    if client:
        conditions.append(address.range_sql(client, "client"))
    if server:
        conditions.append(address.range_sql(server, "address"))
    with store.connect() as connection:
        connection.register("found", intervals(data_dir, since or None, until or None))
        rows = (
            connection.sql(
                f"SELECT * FROM found WHERE {' AND '.join(conditions)} ORDER BY ALL LIMIT {max(0, int(limit))}"
            )
            .to_arrow_table()
            .to_pylist()
        )
    return [
        {
            "address": address.text_of(row["address_hi"], row["address_lo"]),
            "name": row["name"],
            "client": address.text_of(row["client_hi"], row["client_lo"]) if row["client_hi"] is not None else "",
            "from": iso_of_micros(row["from_us"]),
            "to": iso_of_micros(row["to_us"]),
            "ttl": row["ttl"],
            "source": row["source"],
        }
        for row in rows
    ]
