# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Binding: rollup rows to devices by time, with an equality and range join over address intervals.

An address without an interval is unknown; one that was two devices' within the row's time is looked up connection by connection, since a
static map of addresses to devices reported 20 % of flows unmatched where 9 % were (facts/flows.md section 4).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.intervals import read_intervals
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import ROLLUP, arrow_schema

pa = guarded("pyarrow")

BOUND = ("client_device", "server_device", "client_binding", "server_binding")
KEY = ("client_hi", "client_lo", "server_hi", "server_lo", "protocol", "server_port", "class")


def bind(rollup: Any, intervals: Any) -> Any:
    """Return the rollup table with ``client_device`` and ``server_device`` (empty where unknown or ambiguous) and ``client_binding``,
    ``server_binding``: ``bound``, ``assumed`` (before it was first or after it was last seen, nobody else claimed the address),
    ``unknown`` or ``ambiguous``. Rows keep their order. Groups and broadcast addresses are never devices.

    ``rollup`` needs the address columns, ``class``, ``first_us`` and ``last_us``; ``intervals`` is what ``read_intervals`` returns.
    """
    with store.connect() as connection:
        connection.register(
            "rows_in", rollup.append_column("row_number", pa.array(range(rollup.num_rows), type=pa.int64()))
        )
        connection.register("intervals", intervals)
        for end in ("client", "server"):
            connection.execute(
                f"""
                CREATE TABLE {end}_found AS
                SELECT r.row_number, count(DISTINCT i.device) AS devices, min(i.device) AS device, min(i.confidence) AS sure,
                    bool_and(starts_with(i.source, 'assumed')) AS assumed
                FROM rows_in r JOIN intervals i ON i.address_hi = r.{end}_hi AND i.address_lo = r.{end}_lo
                    AND i.from_us <= r.last_us AND i.to_us > r.first_us
                GROUP BY r.row_number
                """
            )
        columns = ", ".join(f'r."{name}"' for name in rollup.column_names)
        states = []
        for end, found in (("client", "c"), ("server", "s")):
            group = "r.class IN ('multicast', 'broadcast')" if end == "server" else "false"
            states.append(
                f"CASE WHEN {found}.devices = 1 AND NOT {group} THEN {found}.device ELSE '' END AS {end}_device"
            )
            states.append(
                f"CASE WHEN {found}.devices IS NULL OR {group} THEN 'unknown'"
                f" WHEN {found}.devices > 1 OR {found}.device = '' THEN 'ambiguous'"
                f" WHEN {found}.assumed THEN 'assumed' ELSE 'bound' END AS {end}_binding"
            )
        picked = f"{states[0]}, {states[2]}, {states[1]}, {states[3]}"
        return connection.sql(
            f"SELECT {columns}, {picked} FROM rows_in r LEFT JOIN client_found c USING (row_number)"
            " LEFT JOIN server_found s USING (row_number)"
            " ORDER BY r.row_number"
        ).to_arrow_table()


def bound_rollup(data_dir: str | Path, since: store.Moment | None = None, until: store.Moment | None = None) -> Any:
    """Return the store's rollup bound to the devices of its register; see ``bind``.

    A row whose address changed hands within the row's time is replaced by rows made of its connections, each bound by its own time. Of
    several exporters' views of such a row the one with most packets is used.
    """
    intervals = read_intervals(data_dir)
    table = bind(store.rollup(data_dir, since, until), intervals)
    binding = [table.column(name).to_pylist() for name in ("client_binding", "server_binding")]
    doubtful = [i for i, pair in enumerate(zip(*binding, strict=True)) if "ambiguous" in pair]
    if not doubtful:
        return table
    rows = table.take(pa.array(doubtful))
    days = sorted(set(rows.column("day").to_pylist()))
    files = [str(path) for group in store.connection_files(data_dir, days).values() for path in group]
    with store.connect() as connection:
        connection.register("doubtful", rows.select(["day", *KEY]))
        keys = " AND ".join(f'c."{name}" = d."{name}"' for name in KEY)
        names = ", ".join(f'c."{name}"' for name in KEY)
        split = connection.sql(
            f"""
            WITH chosen AS (
                SELECT d.day, {names}, c.start_us AS first_us, c.end_us AS last_us, c.* EXCLUDE ({", ".join(f'"{name}"' for name in KEY)}),
                    sum(packets_out + packets_in) OVER (PARTITION BY d.day, {names}, c.exporter) AS total
                FROM read_parquet($files, hive_partitioning = false) c JOIN doubtful d ON {keys}
                    AND c.start_us // 86400000000 = d.day - DATE '1970-01-01'
            )
            SELECT * FROM chosen QUALIFY exporter = first_value(exporter) OVER (PARTITION BY day, {", ".join(f'"{name}"' for name in KEY)}
                ORDER BY total DESC, exporter ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
            """,
            params={"files": files},
        ).to_arrow_table()
    single = bind(split, intervals)
    with store.connect() as connection:
        connection.register("single", single)
        keys = ", ".join(f'"{name}"' for name in KEY)
        remade = connection.sql(
            f"""
            SELECT day, client_hi, client_lo, server_hi, server_lo, protocol, server_port, class, count(*) AS flows,
                count(*) FILTER (WHERE answered) AS answered_flows, sum(packets_out + packets_in)::BIGINT AS packets,
                sum((bytes_out + bytes_in) * sampling)::BIGINT AS bytes, min(first_us) AS first_us, max(last_us) AS last_us,
                bit_or(1 << ((first_us % 86400000000) // 3600000000)::INTEGER)::INTEGER AS hours,
                min(client_port) AS minimum_client_port, max(client_port) AS maximum_client_port, min(method) AS method,
                max(confidence) AS confidence, count(*) FILTER (WHERE method = 9) AS weak_flows,
                client_device, server_device, client_binding, server_binding
            FROM single GROUP BY day, {keys}, client_device, server_device, client_binding, server_binding ORDER BY ALL
            """
        ).to_arrow_table()
    fields = list(arrow_schema(ROLLUP)) + [pa.field(name, pa.string()) for name in BOUND]
    schema = pa.schema(fields)
    certain = table.filter(pa.array([i not in set(doubtful) for i in range(table.num_rows)]))
    return pa.concat_tables([certain.cast(schema), remade.select(schema.names).cast(schema)])
