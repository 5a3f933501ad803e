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
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address, store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.gate import FlowGate


def intervals(
    data_dir: str | Path, since: store.Moment | None = None, until: store.Moment | None = None, engine: str = ""
) -> Any:
    """Return an Arrow table: address_hi, address_lo, name, client_hi, client_lo, from_us, to_us, ttl, source.

    One row for each unbroken time in which an answer to the client held; ``client`` is who asked, ``ttl`` the longest
    seen, ``source`` what saw it (``pcap``, ``zeek``, ``eve``). Ordered by all columns. Intervals that touch the window are in it.
    """
    with FlowGate(data_dir, since, until, engine) as gate:
        return gate.name_intervals()


def name_rows(
    data_dir: str | Path,
    since: str = "",
    until: str = "",
    client: str = "",
    server: str = "",
    *,
    limit: int = 0,
    engine: str | None = "",
) -> list[dict[str, Any]]:
    """Return intervals as plain values, in order, at most ``limit`` (0 for all): ``server`` is the named address or its network, ``client``
    who asked."""
    first, last = store.window_of(since, until)
    conditions = ["true"]
    if client:
        conditions.append(address.range_sql(client, "client"))
    if server:
        conditions.append(address.range_sql(server, "address"))
    with FlowGate(data_dir, first, last, engine or "") as gate:
        rows = gate.name_intervals(" AND ".join(conditions), int(limit)).to_pylist()
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
