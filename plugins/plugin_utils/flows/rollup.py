# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daily rollup: one row per day, client, server, protocol, server port and class, with each conversation counted once.

Several exporters, or several taps, see the same conversation. Of views of one 5-tuple by different exporters that lie within five
minutes of each other the one with most packets counts; the others only add that an answer was seen and a surer direction. Exporters are
never added up (facts/flows.md section 5, stitching). The same holds for one exporter in two inputs where the very first microsecond is
the same: a capture that was copied while it grew. Bytes are multiplied by the sampling rate, counts are not.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import codes, store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import CONNECTIONS

SLACK_US = 300_000_000
WEAK_METHOD = 9
LONGEST_DAYS = 400
TUPLE = "protocol, a_hi, a_lo, a_port, b_hi, b_lo, b_port"


def refresh(data_dir: str | Path, days: Iterable[date] = ()) -> list[date]:
    """Rebuild the rollup of the given days and of those that are marked stale; returns the days rebuilt. Takes the write lock."""
    with store.writing(data_dir):
        return refresh_locked(data_dir, days)


def refresh_locked(data_dir: str | Path, days: Iterable[date] = ()) -> list[date]:
    """As ``refresh``, for a caller that holds the lock."""
    document = store.read_inputs(data_dir)
    todo = sorted({*days, *(date.fromisoformat(each) for each in document.get("stale_days", []))})
    files = store.connection_files(data_dir)
    temporary = store.flows_dir(data_dir) / ".tmp"
    with store.connect(temporary) as connection:
        for day in todo:
            path = store.day_folder(data_dir, "rollup", day) / "rollup.parquet"
            # A session of a coarse exporter may have begun on an earlier day and run into this one.
            near = [each for other, group in files.items() if 0 <= (day - other).days <= LONGEST_DAYS for each in group]
            rows = build_day(connection, near, day, path) if near else 0
            if not rows:
                path.unlink(missing_ok=True)
    if document.get("stale_days"):
        document["stale_days"] = []
        store.write_inputs(data_dir, document)
    return todo


def build_day(connection: Any, files: list[Path], day: date, path: Path) -> int:
    """Write the rollup of one day from connection files; returns the number of rows."""
    first = store.day_number(day) * 86_400_000_000
    last = first + 86_400_000_000
    order = ", ".join(f'"{name}"' for name in CONNECTIONS)
    ends = ", ".join(
        f"CASE WHEN a_is_client {turn} THEN client_{part} ELSE server_{part} END AS {end}_{part}"
        for end, turn in (("a", ""), ("b", "IS FALSE"))
        for part in ("hi", "lo", "port")
    )
    try:
        connection.execute(
            f"""
            CREATE OR REPLACE TABLE seen AS
            WITH picked AS (
                SELECT *, row_number() OVER (ORDER BY {order}) AS view, packets_out + packets_in AS total,
                    (client_hi, client_lo, client_port) <= (server_hi, server_lo, server_port) AS a_is_client
                FROM read_parquet($files, hive_partitioning = false) WHERE start_us < {last} AND end_us >= {first}
            )
            SELECT *, {ends} FROM picked
            """,
            {"files": [str(each) for each in files]},
        )
    except (store.duckdb.IOException, store.duckdb.InvalidInputException) as error:
        raise FindingError(
            codes.STORE_DAMAGED.at(f"connections of {day} cannot be read ({type(error).__name__})")
        ) from error
    _count_once(connection)
    # The view's own direction, or the surer one of the views that it stands for.
    swap = "(best_a_is_client <> a_is_client)"
    query = f"""
        WITH turned AS (
            SELECT start_us, end_us, protocol, sampling, best_method AS method, best_confidence AS confidence, best_class AS class,
                CASE WHEN {swap} THEN server_hi ELSE client_hi END AS client_hi,
                CASE WHEN {swap} THEN server_lo ELSE client_lo END AS client_lo,
                CASE WHEN {swap} THEN client_hi ELSE server_hi END AS server_hi,
                CASE WHEN {swap} THEN client_lo ELSE server_lo END AS server_lo,
                CASE WHEN {swap} THEN server_port ELSE client_port END AS client_port,
                CASE WHEN {swap} THEN client_port ELSE server_port END AS server_port,
                any_answer AS answered, total AS packets, (bytes_out + bytes_in) * sampling AS bytes,
                start_us >= {first} AS begins
            FROM counted
        )
        SELECT DATE '{day.isoformat()}' AS day, client_hi, client_lo, server_hi, server_lo, protocol, server_port, class,
            count(*) AS flows, count(*) FILTER (WHERE answered) AS answered_flows,
            coalesce(sum(packets) FILTER (WHERE begins), 0)::BIGINT AS packets,
            coalesce(sum(bytes) FILTER (WHERE begins), 0)::BIGINT AS bytes,
            min(greatest(start_us, {first})) AS first_us, max(least(end_us, {last - 1})) AS last_us,
            bit_or((1 << (((least(end_us, {last - 1}) - {first}) // 3600000000) + 1)::INTEGER)
                 - (1 << ((greatest(start_us, {first}) - {first}) // 3600000000)::INTEGER))::INTEGER AS hours,
            min(client_port) AS minimum_client_port, max(client_port) AS maximum_client_port,
            min(method) AS method, max(confidence) AS confidence, count(*) FILTER (WHERE method = {WEAK_METHOD}) AS weak_flows
        FROM turned GROUP BY ALL
        ORDER BY client_hi, client_lo, server_hi, server_lo, protocol, server_port, class
        """
    return store.write_parquet(connection, query, path, "rollup")


def _count_once(connection: Any) -> None:
    """Make ``counted``: the views that count, with what the views they stand for add."""
    connection.execute(
        f"""
        CREATE OR REPLACE TABLE repeated AS
        SELECT s.view AS view, t.view AS other, (t.total, t.exporter, t.view) > (s.total, s.exporter, s.view) AS beaten, t.answered,
            t.method, t.confidence, t.class, t.a_is_client
        FROM seen s JOIN seen t USING ({TUPLE})
        WHERE (s.exporter <> t.exporter AND s.start_us <= t.end_us + {SLACK_US} AND t.start_us <= s.end_us + {SLACK_US})
            OR (s.source <> t.source AND s.start_us = t.start_us)
        """
    )
    connection.execute(
        """
        CREATE OR REPLACE TABLE counted AS
        WITH added AS (
            SELECT view, bool_or(beaten) AS beaten, bool_or(answered) AS answered, min(method) AS method,
                arg_min(a_is_client, (method, other)) AS a_is_client, arg_min(confidence, (method, other)) AS confidence,
                arg_min(class, (method, other)) AS class
            FROM repeated GROUP BY view
        )
        SELECT s.*, s.answered OR coalesce(r.answered, false) AS any_answer,
            CASE WHEN r.method < s.method THEN r.method ELSE s.method END AS best_method,
            CASE WHEN r.method < s.method THEN r.confidence ELSE s.confidence END AS best_confidence,
            CASE WHEN r.method < s.method THEN r.class ELSE s.class END AS best_class,
            CASE WHEN r.method < s.method THEN r.a_is_client ELSE s.a_is_client END AS best_a_is_client
        FROM seen s LEFT JOIN added r USING (view) WHERE NOT coalesce(r.beaten, false)
        """
    )
