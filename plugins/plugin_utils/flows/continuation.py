# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversations that an earlier import has a piece of: the end of a file cuts what goes on in the next one.

Stored connections of the same exporter and 5-tuple that lie within the silence of new records are taken out of their files, become one-way
records again (``signs.py`` says what they keep for it) and are stitched with the new ones; what comes of them is written under a new
version of their files, which counts from the same moment as the import (``store.connection_files``). So it does not matter which of two
files came first, nor in how many imports.

Not taken: a piece of which a new record has the very beginning in the same direction, since it is a copy (a capture that had grown when it
was read again; the rollup counts one of them), pieces on days whose connections have expired, and pieces further than ``REACH_DAYS`` from
the import's own days.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import signs, store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.footers import Footer, read_footer
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.held import HeldRecords
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.engine import quoted
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.past import Database
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import (
    CONNECTIONS,
    RECORDS,
    STITCHED,
    arrow_schema,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.stitching import Silences

REACH_DAYS = 2
DAY_US = 86_400_000_000
KEY = ("exporter", "protocol", "a_hi", "a_lo", "a_port", "b_hi", "b_lo", "b_port")
ROW = (*CONNECTIONS, *STITCHED)
ORDER = "start_us, client_hi, client_lo, server_hi, server_lo, protocol, server_port, client_port, exporter, end_us"


@dataclass
class Continued:
    """What an import changes in the files of earlier inputs: ``taken`` rows of each, and new ``versions`` (None: no file any more)."""

    taken: dict[Path, int] = field(default_factory=dict)
    versions: dict[str, dict[str, int | None]] = field(default_factory=dict)
    more: dict[str, int] = field(default_factory=dict)

    def enter(self, document: dict[str, Any]) -> None:
        """Enter the new versions and numbers of connections into the document of ``inputs.json``."""
        for source, versions in self.versions.items():
            document["inputs"][source].setdefault("versions", {}).update(versions)
        for source, count in self.more.items():
            document["inputs"][source]["connections"] += count


def take(database: Database, data_dir: str | Path, silences: Silences, held: HeldRecords) -> Continued:
    """Add stored pieces that touch the held records to them; the table ``taken`` keeps them as they stand in their files."""
    made = Continued()
    if not held.count:
        return made
    first, last = held.span()
    near = _Near(held, data_dir, silences)
    if not near.files(first, last):
        return made
    connection = database()
    spared = ", ".join(f'"{name}"' for name in ROW)
    listed = quoted_list(near.files(first, last))
    connection.execute(
        f"CREATE TABLE taken AS SELECT filename AS path, file_row_number AS place, {spared}, {_ends('client', 'server')}"
        f" FROM read_parquet({listed}, hive_partitioning = false, filename = true, file_row_number = true) LIMIT 0"
    )
    low, high = near.span(near.files(first, last))
    connection.register("records", held.window(low - near.longest, high + near.longest))
    connection.execute(
        f"""
        CREATE TABLE edge AS
        SELECT {", ".join(KEY)}, min(start_us - silence) AS from_us, max(end_us + silence) AS to_us FROM (
            SELECT *, {_ends("source", "target")}, {silences.limit()} AS silence FROM records
        ) GROUP BY ALL
        """
    )
    while True:
        span = connection.execute("SELECT min(from_us), max(to_us) FROM edge").fetchall()[0]
        files = near.files(*span) if span[0] is not None else []
        if not files:
            break
        # What may be a copy of what is stored there.
        connection.register("records", held.window(*near.span(files)))
        if not _reach(connection, files, silences):
            break
    connection.unregister("records")
    connection.execute("DROP TABLE edge")
    _return(connection, held)
    made.taken = {
        Path(path): count
        for path, count in connection.execute("SELECT path, count(*) FROM taken GROUP BY path").fetchall()
    }
    return made


def sources(continued: Continued) -> set[str]:
    """Return the inputs whose files an import changes: rows of theirs go into the table ``made``."""
    return {path.stem.partition(".")[0] for path in continued.taken}


def rewrite(connection: Any, data_dir: str | Path, continued: Continued) -> set[int]:
    """Write new versions of the files that rows were taken from, with what the table ``made`` has for their inputs.

    Returns the days touched (since 1970). The rows of ``made`` that stand in them are removed from it.
    """
    if not continued.taken:
        return set()
    document = store.read_inputs(data_dir)["inputs"]
    columns = ", ".join(f'"{name}"' for name in ROW)
    touched: set[int] = set()
    old = {(path.parent, path.stem.partition(".")[0]): path for path in continued.taken}
    listed = ", ".join(quoted(source) for source in sorted({source for _folder, source in old}))
    for number, source in connection.execute(
        f"SELECT DISTINCT day_number, source FROM made WHERE source IN ({listed}) ORDER BY ALL"
    ).fetchall():
        old.setdefault((store.day_folder(data_dir, "connections", store.date_of(number)), source), Path())
    for (folder, source), path in sorted(old.items()):
        day = store.day_of(folder)
        mine = f"SELECT {columns} FROM made WHERE source = {quoted(source)} AND day_number = {store.day_number(day)}"
        before = f"SELECT {columns} FROM taken WHERE path = {quoted(str(path))}"
        same = connection.execute(
            f"SELECT (SELECT count(*) FROM ({mine})) = (SELECT count(*) FROM ({before}))"
            f" AND NOT EXISTS (SELECT * FROM ({mine}) EXCEPT ALL SELECT * FROM ({before}))"
        ).fetchall()[0][0]
        if same:
            continue
        rest = ""
        if path.name:
            places = f"(SELECT place FROM taken WHERE path = {quoted(str(path))})"
            rest = (
                f" UNION ALL SELECT {columns} FROM read_parquet({quoted(str(path))}, hive_partitioning = false, file_row_number = true)"
                f" WHERE file_row_number NOT IN {places}"
            )
        version = (document[source].get("versions", {}).get(day.isoformat()) or 0) + 1
        new = folder / f"{source}.{version}.parquet"
        rows = connection.sql(f"SELECT * FROM ({mine}{rest}) AS rows ORDER BY {ORDER}").to_arrow_table()
        if rows.num_rows:
            store.write_table(rows, new, "connections")
        continued.versions.setdefault(source, {})[day.isoformat()] = version if rows.num_rows else None
        touched.add(store.day_number(day))
        fresh = connection.execute(f"SELECT count(*) FROM ({mine})").fetchall()[0][0]
        continued.more[source] = continued.more.get(source, 0) + fresh - continued.taken.get(path, 0)
    connection.execute(f"DELETE FROM made WHERE source IN ({listed})")
    return touched


def quoted_list(files: list[Path]) -> str:
    """Return an SQL list of paths."""
    return "[" + ", ".join(quoted(str(each)) for each in files) + "]"


class _Near:
    """The connection files around moments, of exporters that the new records have too."""

    def __init__(self, held: HeldRecords, data_dir: str | Path, silences: Silences) -> None:
        self.data_dir, self.longest = data_dir, silences.longest * 1_000_000
        self.days = store.connection_files(data_dir)
        for day in store.expired_days(data_dir):
            self.days.pop(day, None)
        self.footers: dict[Path, Footer] = {}
        self.exporters = held.exporters()
        self.within: tuple[date, date] | None = None

    def files(self, first: int, last: int) -> list[Path]:
        """Return the files with a row within the longest silence of a time."""
        reach = timedelta(days=REACH_DAYS)
        low, high = (store.date_of(each // DAY_US) for each in (first - self.longest, last + self.longest))
        if self.within is None:
            self.within = max(low, date.min + reach) - reach, min(high, date.max - reach) + reach
        made: list[Path] = []
        for day, group in self.days.items():
            # A row stands on the day on which it began, and may end on the next.
            if self.within[0] <= day <= self.within[1] and day <= high and (low - day).days <= 1:
                made.extend(each for each in group if self._touches(each, first, last))
        return made

    def span(self, files: list[Path]) -> tuple[int, int]:
        """Return the least start and the greatest end of what is stored in files."""
        ranges = [self.footers[each].ranges for each in files]
        return min(each["start_us"][0] for each in ranges), max(each["end_us"][1] for each in ranges)

    def _touches(self, path: Path, first: int, last: int) -> bool:
        if path not in self.footers:
            self.footers[path] = read_footer(path)
        ranges = self.footers[path].ranges
        if not all(name in ranges for name in ("start_us", "end_us", "signs")):
            return False
        if ranges["start_us"][0] > last + self.longest or ranges["end_us"][1] < first - self.longest:
            return False
        only = self.footers[path].only("exporter")
        return only is None or only in self.exporters


def _ends(one: str, other: str) -> str:
    """Return the columns of the two ends in the order that stitching gives them."""
    first = f"({one}_hi, {one}_lo, {one}_port) <= ({other}_hi, {other}_lo, {other}_port)"
    return ", ".join(
        f"CASE WHEN {first} THEN {mine}_{part} ELSE {theirs}_{part} END AS {end}_{part}"
        for end, mine, theirs in (("a", one, other), ("b", other, one))
        for part in ("hi", "lo", "port")
    )


def _reach(connection: Any, files: list[Path], silences: Silences) -> int:
    """Add to ``taken`` what touches ``edge``, which then holds the new ones; returns how many."""
    columns = ", ".join(f'"{name}"' for name in ROW)
    same = " AND ".join(f"s.{name} = e.{name}" for name in KEY)
    copies = " OR ".join(
        f"({signs.has(24 + place, 's.signs')} AND r.start_us = s.start_us + greatest(0, {sign}s.lag_us)"
        f" AND r.source_hi = s.{end}_hi AND r.source_lo = s.{end}_lo AND r.source_port = s.{end}_port)"
        for place, (end, sign) in enumerate((("client", "-"), ("server", "")))
    )
    among = " AND ".join(f"r.{name} = s.{name}" for name in KEY)
    connection.execute(
        f"""
        CREATE TABLE found AS
        WITH stored AS (
            SELECT filename AS path, file_row_number AS place, {columns}, {_ends("client", "server")}
            FROM read_parquet({quoted_list(files)}, hive_partitioning = false, filename = true, file_row_number = true)
        ), touching AS (
            SELECT s.* FROM stored s JOIN edge e ON {same} AND s.start_us <= e.to_us AND s.end_us >= e.from_us
            WHERE s.signs IS NOT NULL AND NOT EXISTS (SELECT 1 FROM taken t WHERE t.path = s.path AND t.place = s.place)
        ), begun AS (
            SELECT start_us, source_hi, source_lo, source_port, exporter, protocol, {_ends("source", "target")} FROM records
            WHERE start_us BETWEEN (SELECT min(start_us) FROM touching) AND (SELECT max(end_us) FROM touching)
        )
        SELECT s.* FROM touching s WHERE NOT EXISTS (SELECT 1 FROM begun r WHERE {among} AND ({copies}))
        """
    )
    count = connection.execute("SELECT count(*) FROM found").fetchall()[0][0]
    connection.execute("INSERT INTO taken SELECT * FROM found")
    limit = silences.limit(f"(signs >> {signs.EXPORTED}) & 1")
    connection.execute(
        f"""
        CREATE OR REPLACE TABLE edge AS
        SELECT {", ".join(KEY)}, min(start_us - silence) AS from_us, max(end_us + silence) AS to_us
        FROM (SELECT *, {limit} AS silence FROM found) GROUP BY ALL
        """
    )
    connection.execute("DROP TABLE found")
    return int(count)


def _return(connection: Any, held: HeldRecords) -> None:
    """Make one-way records of what was taken, one for each end that spoke."""
    for place, (end, other, count, sign) in enumerate(
        (("client", "server", "out", "-"), ("server", "client", "in", ""))
    ):
        bits = {name: signs.has(bit + place) for name, bit in signs.PAIRS.items()}
        later = signs.has(signs.PAIRS["first"] + 1 - place)
        values = {
            "start_us": f"start_us + greatest(0, {sign}lag_us)",
            **{f"source_{part}": f"{end}_{part}" for part in ("hi", "lo", "port")},
            **{f"target_{part}": f"{other}_{part}" for part in ("hi", "lo", "port")},
            "packets": f"packets_{count}",
            "bytes": f"bytes_{count}",
            "flags": f"(signs >> {place * signs.FLAG_BITS}) & {signs.FLAGS}",
            "pure_syn": bits["pure"],
            "syn_ack": bits["syn_ack"],
            "said": f"CASE WHEN {bits['opened']} THEN 1 WHEN {bits['answers']} THEN 2 ELSE 0 END",
            "broadcast": bits["broadcasts"],
            "opens": f"CASE WHEN {bits['opens']} THEN 1 ELSE 0 END",
            "place": f"CASE WHEN {later} THEN 1 ELSE 0 END",
            "origin": f"(signs >> {signs.EXPORTED}) & 1",
            "event": "0",
        }
        picked = ", ".join(f"{values.get(name, name)} AS {name}" for name in RECORDS)
        rows = connection.sql(f"SELECT {picked} FROM taken WHERE {bits['spoke']}").to_arrow_table()
        held.add(rows.cast(arrow_schema(RECORDS)))
