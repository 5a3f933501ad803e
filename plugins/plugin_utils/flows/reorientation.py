# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Orienting the store again with all that it knows by now: what was a guess may be proved by a later import.

Only conversations of method 3 and weaker are looked at. What the operator said stands until something stronger is known. All others are
oriented as if the whole store had come in one import, so that the order of imports leaves no trace (facts/flows.md section 5: rebuild
nightly); of days whose connections have expired the rollup still speaks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import signs, store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.conversations import NEVER
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ingest import past_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.orientation import Orientation
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.past import DIRECT
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ports import hints_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.rollup import refresh_locked, spans
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import CONNECTIONS, STITCHED

pa = guarded("pyarrow")

HINTED = 4
ROWS_AT_ONCE = 1 << 20
SWAPPED = {
    "client_hi": "server_hi",
    "client_lo": "server_lo",
    "client_port": "server_port",
    "packets_out": "packets_in",
    "bytes_out": "bytes_in",
}


def rebuild(data_dir: str | Path, hints: Sequence[Mapping[str, Any]] | None = None) -> tuple[int, list[date]]:
    """Orient the whole store again; returns (connections that changed, days whose rollup was rebuilt)."""
    operator_hints = hints_of(hints or ())
    with store.writing(data_dir):
        files = store.connection_files(data_dir)
        if not files:
            return 0, []
        with store.connect(store.flows_dir(data_dir) / ".tmp") as connection:
            given = [each for group in files.values() for each in group]
            for each in given:
                store.check_file(each, "connections", more=STITCHED)
            _load(connection, given)
            _orient(
                connection,
                Orientation(operator_hints, past_of(lambda: connection, data_dir, store.expired_days(data_dir))),
            )
            changes = _changes(connection)
            if not changes:
                return 0, refresh_locked(data_dir)
            days = _days(connection)
            document = store.read_inputs(data_dir)
            document["stale_days"] = sorted({*document.get("stale_days", []), *(day.isoformat() for day in days)})
            store.write_inputs(data_dir, document)
            for path in sorted(changes):
                _rewrite(connection, Path(path))
        return sum(changes.values()), refresh_locked(data_dir)


def _load(connection: Any, files: Sequence[Path]) -> None:
    """Make ``stored`` and, of its unicast and peer rows, ``wholes``; a direction that is proved stands as the exporter's word."""
    connection.execute(
        """
        CREATE TABLE stored AS
        SELECT *, row_number() OVER () AS number, (client_hi, client_lo, client_port) <= (server_hi, server_lo, server_port) AS forward
        FROM read_parquet($files, hive_partitioning = false, filename = true)
        """,
        {"files": [str(each) for each in files]},
    )
    ends = ", ".join(
        f"CASE WHEN forward {turn} THEN client_{part} ELSE server_{part} END AS {end}_{part}"
        for end, turn in (("a", ""), ("b", "IS FALSE"))
        for part in ("hi", "lo", "port")
    )
    # A peer's direction goes by who spoke first in whole conversations: later days of one say nothing.
    spoke = {
        end: f"CASE WHEN signs IS NULL THEN start_us + {place} WHEN {signs.has(signs.CONTINUES)} THEN start_us"
        f" WHEN {signs.has(signs.PAIRS['spoke'] + place)} THEN start_us + greatest(0, {sign}lag_us) END"
        for place, (end, sign) in enumerate((("client", "-"), ("server", "")))
    }
    later = {
        end: f"CASE WHEN {signs.has(signs.PAIRS['first'] + 1 - place)} AND NOT {signs.has(signs.CONTINUES)} THEN 1 ELSE 0 END"
        for place, end in enumerate(("client", "server"))
    }
    times = ", ".join(
        f"coalesce(CASE WHEN forward THEN {each[mine]} ELSE {each[theirs]} END, {NEVER}) AS {end}_{name}"
        for end, mine, theirs in (("a", "client", "server"), ("b", "server", "client"))
        for name, each in (("start", spoke), ("place", later))
    )
    told = [1 << (signs.PAIRS["opened"] + place) for place in (0, 1)]
    count = connection.execute("SELECT count(*) FROM stored").fetchall()[0][0]
    # All of one pair of ends are in one part.
    part = f"hash(a_hi, a_lo, a_port, b_hi, b_lo, b_port) % {count // ROWS_AT_ONCE + 1}"
    connection.execute(
        f"""
        CREATE TABLE wholes AS
        SELECT *, ({part})::INTEGER AS part FROM (
            SELECT number, protocol, {ends}, end_us, coalesce(step_us, 1) AS step_us, 1 AS a_packets, 1 AS b_packets, {times},
                CASE WHEN method > {DIRECT} THEN 0 WHEN forward THEN {told[0]} ELSE {told[1]} END AS signs
            FROM stored WHERE class IN ('unicast', 'peer')
        ) ORDER BY part
        """
    )


def _orient(connection: Any, orientation: Orientation) -> None:
    """Make the table ``oriented`` (number, a_is_client, method, confidence) of ``wholes``."""
    connection.execute("CREATE TABLE oriented (number BIGINT, a_is_client BOOLEAN, method TINYINT, confidence FLOAT)")
    numbers = []
    for part in range(connection.execute("SELECT coalesce(max(part), -1) FROM wholes").fetchall()[0][0] + 1):
        rows = connection.sql(f"SELECT * EXCLUDE (part) FROM wholes WHERE part = {part}").to_arrow_table()
        batch = {name: column.to_numpy() for name, column in zip(rows.column_names, rows.columns, strict=True)}
        numbers.append(batch.pop("number"))
        orientation.add(batch)
    for number, told in zip(numbers, orientation.directions(), strict=True):
        made = {"number": number, "a_is_client": told.a_is_client, "method": told.method, "confidence": told.confidence}
        connection.register("made", pa.table(made))
        connection.execute("INSERT INTO oriented SELECT * FROM made")
        connection.unregister("made")


def _changes(connection: Any) -> dict[str, int]:
    """Make ``changed`` and return how many rows of each file are in it."""
    connection.execute(
        f"""
        CREATE TABLE changed AS
        SELECT number, filename, o.a_is_client <> forward AS turns, o.method AS new_method, o.confidence AS new_confidence
        FROM stored JOIN oriented o USING (number) WHERE stored.method > {DIRECT} AND (stored.method <> {HINTED} OR o.method < {HINTED})
            AND (o.method <> stored.method OR o.a_is_client <> forward)
        """
    )
    return dict(
        connection.execute("SELECT filename, count(*) FROM changed GROUP BY filename ORDER BY filename").fetchall()
    )


def _days(connection: Any) -> list[date]:
    """Return the days that changed rows lie in; a coarse exporter's may have begun on an earlier day and run into the next."""
    rows = connection.execute(
        f"SELECT DISTINCT {spans('start_us', 'end_us')} FROM changed JOIN stored USING (number)"
    ).fetchall()
    return sorted({store.date_of(row[0]) for row in rows})


def _rewrite(connection: Any, path: Path) -> None:
    other = {**SWAPPED, **{value: key for key, value in SWAPPED.items()}}
    picked = []
    for name in (*CONNECTIONS, *STITCHED):
        if name in other:
            picked.append(f"CASE WHEN turns THEN {other[name]} ELSE {name} END AS {name}")
        elif name in ("method", "confidence"):
            picked.append(f"coalesce(new_{name}, {name}) AS {name}")
        elif name == "answered":
            picked.append(f"CASE WHEN turns THEN {signs.has(signs.TURNED_ANSWERED)} ELSE answered END AS answered")
        elif name == "signs":
            bit = 1 << signs.TURNED_ANSWERED
            turned = f"{signs.swapped()} | CASE WHEN answered THEN {bit} ELSE 0 END"
            picked.append(f"CASE WHEN turns THEN {turned} ELSE signs END AS signs")
        elif name == "lag_us":
            picked.append("CASE WHEN turns THEN -lag_us ELSE lag_us END AS lag_us")
        else:
            picked.append(f'"{name}"')
    quoted = str(path).replace("'", "''")
    query = (
        f"SELECT {', '.join(picked)} FROM stored LEFT JOIN changed USING (number) WHERE stored.filename = '{quoted}'"
        " ORDER BY start_us, client_hi, client_lo, server_hi, server_lo, protocol, server_port, client_port, exporter, end_us"
    )
    store.write_parquet(connection, query, path, "connections")
