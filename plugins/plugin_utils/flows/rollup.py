# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Building the daily rollup: which days, from which files, and the short ways through a large day.

What is counted stands in ``operations/daily.py``, for every engine. Here the same answer is got for less: a day that can be held is read
once into arrays, compared and summed there (day_rows.py, views.py, day_sums.py); larger ones are left to DuckDB, which spills. Files that
end before the day are not opened, what their footers prove to be constant is not read, and only conversations that a second observer may
have seen are compared (measured: README.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.progress import Progress
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import day_rows, store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.day_sums import summed
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.footers import Footer, constants, read_footer
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.handed import Handed
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.memory import kept_pages
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.daily import (
    counted,
    observers,
    plain,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.daily import summed as summed_query
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.engine import quoted
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.queries import CONVERSATION as KEY
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.queries import DAY_US
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import ROLLUP
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.views import Settle, Views

pa = guarded("pyarrow")

LONGEST_DAYS = 400
# Alike for the two directions of a 5-tuple; what it lets through is compared in full.
LIKELY_SAME = (
    "xor(client_lo, server_lo) + ((client_port + server_port)::BIGINT << 34) + client_port::BIGINT * server_port"
    " + protocol"
)


def spans(start: str, end: str) -> str:
    """Return an SQL expression: the numbers of the days that rows from ``start`` to ``end`` (microseconds) lie in, one row each."""
    first, last = (f"floor({each} / 86400000000.0)::BIGINT" for each in (start, end))
    return f"unnest(generate_series({first}, least({last}, {first} + {LONGEST_DAYS})))"


def refresh(data_dir: str | Path, days: Iterable[date] = ()) -> list[date]:
    """Rebuild the rollup of the given days and of those that are marked stale; returns the days rebuilt. Takes the write lock."""
    with store.writing(data_dir), kept_pages():
        return refresh_locked(data_dir, days)


def refresh_locked(data_dir: str | Path, days: Iterable[date] = (), handed: Handed | None = None) -> list[date]:
    """As ``refresh``, for a caller that holds the lock; rows that are ``handed`` over are not read from their files."""
    document = store.read_inputs(data_dir)
    expired = store.expired_days(data_dir)
    todo = sorted({*days, *(date.fromisoformat(each) for each in document.get("stale_days", []))} - expired)
    files = store.connection_files(data_dir) if todo else {}
    read: dict[Path, Footer] = {}
    temporary = store.flows_dir(data_dir) / ".tmp"
    ahead = Progress("daily rollup", len(todo), "days")
    memory = day_rows.Held()
    with ExitStack() as opened:
        # Few days need a database, and one that is opened gives back the process's free memory, which the next day would use.
        database = cache(lambda: opened.enter_context(store.connect(temporary)))
        for day in todo:
            path = store.day_folder(data_dir, "rollup", day) / "rollup.parquet"
            # A session of a coarse exporter may have begun on an earlier day and run into this one.
            for other, group in files.items():
                if 0 <= (day - other).days <= LONGEST_DAYS:
                    read.update({each: read_footer(each) for each in group if each not in read})
            near = [
                read[each]
                for other, group in files.items()
                if 0 <= (day - other).days <= LONGEST_DAYS
                for each in group
            ]
            rows = build_day(database, near, day, path, memory, handed) if near else 0
            if not rows:
                path.unlink(missing_ok=True)
                path.with_name("observers.parquet").unlink(missing_ok=True)
            ahead.step()
    if document.get("stale_days"):
        document["stale_days"] = []
        store.write_inputs(data_dir, document)
    return todo


def build_day(
    database: Callable[[], Any],
    footers: Sequence[Footer],
    day: date,
    path: Path,
    memory: day_rows.Held | None = None,
    handed: Handed | None = None,
) -> int:
    """Write the rollup of one day from connection files; returns the number of rows. ``database`` gives DuckDB where it is needed."""
    first = store.day_number(day) * DAY_US
    near = [each for each in footers if each.rows and _within(each, first, first + DAY_US)]
    if not near:
        return 0
    try:
        held = day_rows.read(near, first, first + DAY_US, memory or day_rows.Held(), handed)
        if held is None or not len(held):
            return 0 if held is not None else _by_query(database(), near, day, path)
        views = Views(held, _settled_by(database), _overlap(near, [each.only("exporter") for each in near]))
        table = summed(views, day)
        if table is None:
            return _by_query(database(), near, day, path)
        store.write_table(views.observers(day), path.with_name("observers.parquet"), "observers")
        return store.write_table(table, path, "rollup")
    except (
        store.duckdb.IOException,
        store.duckdb.InvalidInputException,
        OSError,
        UnicodeDecodeError,
        pa.ArrowException,
    ) as error:
        raise store.fault(error, f"connections of {day} cannot be read or summed ({type(error).__name__})") from error


def _by_query(connection: Any, near: Sequence[Footer], day: date, path: Path) -> int:
    """Write the rollup of a day that arrays cannot hold."""
    number = store.day_number(day)
    first = number * DAY_US
    last = first + DAY_US
    listed = ", ".join(quoted(str(each.path)) for each in near)
    rows = f"read_parquet([{listed}], hive_partitioning = false)"
    if any(
        each.ranges.get("start_us", (0, last))[1] >= last or each.ranges.get("start_us", (0, 0))[0] < first
        for each in near
    ):
        rows = f"(SELECT * FROM {rows} WHERE start_us < {last} AND end_us >= {first}) AS near"
    constant = constants(near, ("client_hi", "server_hi", "class"))
    keys = [name for name in KEY if name not in constant]
    fixed = ", ".join(
        f"{quoted(value) if isinstance(value, str) else value} AS {name}" for name, value in constant.items()
    )
    columns = ", ".join(f'"{name}"' for name in ROLLUP if name != "day")
    once, several = _each_once(connection, near, rows)
    made = store.write_parquet(
        connection,
        f"SELECT DATE '{day.isoformat()}' AS day, {columns} FROM ("
        f"{summed_query(f'({once}) AS once', number, key=', '.join(keys), fixed=fixed)}) AS summed ORDER BY {', '.join(keys)}",
        path,
        "rollup",
    )
    beside = path.with_name("observers.parquet")
    store.write_parquet(connection, observers(rows, several, day.isoformat()), beside, "observers")
    return made


def _within(footer: Footer, first: int, last: int) -> bool:
    starts, ends = footer.ranges.get("start_us"), footer.ranges.get("end_us")
    return (starts is None or starts[0] < last) and (ends is None or ends[1] >= first)


def _each_once(connection: Any, near: Sequence[Footer], rows: str) -> tuple[str, str]:
    """Return the query of the day's conversations, each once, by the shortest way that the footers allow, and the rows compared."""
    exporters = [each.only("exporter") for each in near]
    if _overlap(near, exporters):
        return counted(rows), rows
    if len(set(exporters)) == 1 and None not in exporters:
        return plain(rows), ""
    return _by_marks(connection, rows)


def _settled_by(database: Callable[[], Any]) -> Settle:
    """Return what settles a table of connections by the query, and counts pairs of views among them."""

    def settle(table: Any) -> tuple[Any, list[tuple[Any, ...]]]:
        own = database().cursor()
        own.register("given", table)
        own.execute("CREATE OR REPLACE TEMP TABLE doubtful AS SELECT *, row_number() OVER () AS number FROM given")
        found = own.sql(counted("doubtful", "number")).to_arrow_table()
        pairs = own.execute(
            f"SELECT exporter, pairs, later_us FROM ({observers('doubtful', 'doubtful', '1970-01-01')}) AS o"
        )
        return found, pairs.fetchall()

    return settle


def _by_marks(connection: Any, rows: str) -> tuple[str, str]:
    """Return the query of conversations of which several exporters may have seen some, and the rows that were compared."""
    most = connection.execute(
        f"SELECT exporter FROM {rows} GROUP BY exporter ORDER BY count(*) DESC, exporter LIMIT 1"
    ).fetchone()
    if most is None:
        return plain(rows), ""
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE others AS SELECT DISTINCT {LIKELY_SAME} AS mark FROM {rows} WHERE exporter <> {quoted(most[0])}"
    )
    mark = f"{LIKELY_SAME} IN (SELECT mark FROM others)"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE doubtful AS SELECT *, row_number() OVER () AS number FROM {rows} WHERE {mark}"
    )
    alone = plain(f"(SELECT * FROM {rows} WHERE NOT ({mark})) AS alone")
    return f"{alone} UNION ALL SELECT * FROM ({counted('doubtful', 'number')}) AS several", "doubtful"


def _overlap(near: Sequence[Footer], exporters: Sequence[Any]) -> bool:
    """Return whether one exporter may have told the same start in two files: a capture that was copied while it grew."""
    if any("start_us" not in each.ranges for each in near):
        return len(near) > 1
    spans = sorted((*each.ranges["start_us"], str(exporter)) for each, exporter in zip(near, exporters, strict=True))
    latest: dict[str, int] = {}
    several = "None" in (str(each) for each in exporters)
    for low, high, exporter in spans:
        place = "" if several else exporter
        if low <= latest.get(place, low - 1):
            return True
        latest[place] = max(high, latest.get(place, high))
    return False
