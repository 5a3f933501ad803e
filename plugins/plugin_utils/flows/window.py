# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A window of days as one row for each conversation: what learning, replay and reports count over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import store


def history(
    data_dir: str | Path, since: store.Moment | None = None, until: store.Moment | None = None
) -> list[dict[str, Any]]:
    """Return the rollup of a window summed over its days, as mappings, ordered by client, server, protocol, port and class.

    Beside the rollup's columns without ``day`` each has ``days``: how many days it was seen on.
    """
    return over_days(store.rollup(data_dir, since, until)).to_pylist()


def over_days(rollup: Any) -> Any:
    """Return an Arrow table of a rollup table summed over its days; see ``history``."""
    with store.connect() as connection:
        connection.register("daily", rollup)
        return connection.sql(
            """
            SELECT client_hi, client_lo, server_hi, server_lo, protocol, server_port, class, count(DISTINCT day) AS days,
                sum(flows)::BIGINT AS flows, sum(answered_flows)::BIGINT AS answered_flows, sum(packets)::BIGINT AS packets,
                sum(bytes)::BIGINT AS bytes, min(first_us) AS first_us, max(last_us) AS last_us, bit_or(hours) AS hours,
                min(minimum_client_port) AS minimum_client_port, max(maximum_client_port) AS maximum_client_port, min(method) AS method,
                max(confidence) AS confidence, sum(weak_flows)::BIGINT AS weak_flows
            FROM daily GROUP BY client_hi, client_lo, server_hi, server_lo, protocol, server_port, class ORDER BY ALL
            """
        ).to_arrow_table()
