# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Binding: rollup rows to devices by time, with an equality and range join over address intervals.

An address without an interval is unknown; one that was two devices' within the row's time is looked up connection by connection, since a
static map of addresses to devices reported 20 % of flows unmatched where 9 % were (facts/flows.md section 4). Nothing of it is stored: a
lease that becomes known late counts from the next question on. The join stands in ``operations/queries.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations import queries
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.engine import DuckEngine
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.gate import FlowGate

pa = guarded("pyarrow")

BOUND = ("client_device", "server_device", "client_binding", "server_binding")


def bind(rollup: Any, intervals: Any) -> Any:
    """Return the rollup table with ``client_device`` and ``server_device`` (empty where unknown or ambiguous) and ``client_binding``,
    ``server_binding``: ``bound``, ``assumed`` (before it was first or after it was last seen, nobody else claimed the address),
    ``unknown`` or ``ambiguous``. Rows keep their order. Groups and broadcast addresses are never devices.

    ``rollup`` needs the address columns, ``class``, ``first_us`` and ``last_us``; ``intervals`` is what ``read_intervals`` returns.
    """
    columns = ", ".join(f'"{name}"' for name in (*rollup.column_names, *BOUND))
    with DuckEngine() as engine:
        engine.table("daily", rollup.append_column("row_number", pa.array(range(rollup.num_rows), type=pa.int64())))
        engine.table("intervals", intervals)
        engine.define("members", "SELECT '' AS device, '' AS segment WHERE false")
        engine.define("places", "SELECT 0::BIGINT AS hi, 0::BIGINT AS lo, '' AS segment WHERE false")
        engine.define("holders", queries.HOLDERS, keep=True)
        for end in ("client", "server"):
            engine.define(f"across_{end}", queries.across(end, "daily"), keep=True)
        return engine.connection.sql(
            f"SELECT {columns} FROM ({queries.bound('daily')}) AS bound ORDER BY row_number"
        ).to_arrow_table()


def bound_rollup(
    data_dir: str | Path, since: store.Moment | None = None, until: store.Moment | None = None, engine: str = ""
) -> Any:
    """Return the store's rollup bound to the devices of its register; see ``bind``.

    A row whose address changed hands within the row's time is replaced by rows made of its connections, each bound by its own time. Of
    several exporters' views of such a row the one with most packets is used.
    """
    with FlowGate(data_dir, since, until, engine) as gate:
        return gate.bound_rows().drop_columns(["client_segment", "server_segment"])
