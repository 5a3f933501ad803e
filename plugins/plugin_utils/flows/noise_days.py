# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Noise of a window of whole days, from what is kept of each day: a day's connections are read once, however often somebody asks.

What ``noise.py`` asks of a conversation in a window follows from what it was on each of its days: answered, fruitless in all of it, in a
scan with all of it, how many packets. That is kept beside the day's rollup (docs/formats/rollup.md, noise) with a seal over the day's
connection files and the limits of a scan; where the seal does not fit, the day is read again. It outlives the connections, so that a
scan stays noise as long as its rollup is learnt from. Declared scanners, threats and the other limits count when the question is asked.

Bins of a scan that do not fit into a day, and windows that begin within one, are left to ``noise.py``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address, noise, store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import NOISE

pa = guarded("pyarrow")
parquet = guarded("pyarrow.parquet")

KIND = "noise"
DAY_US = 86_400_000_000
KEY = noise.KEY
ENDS = ("client_hi", "client_lo")
MOST_IN = (1 << 31) - 1
# What the file says of its day, beside its rows.
SEAL, SCANS, EXPORTERS = "seal", "scans", "exporters"
READ = (
    "start_us",
    *KEY.split(", "),
    "answered",
    "exporter",
    "packets_out",
    "bytes_out",
    "packets_in",
    "bytes_in",
    "class",
)
# A row of such can be noise; the others say that their conversation is none.
PROBE = "NOT answered AND most_in = 0 AND most_out <= 1"
FORGED = "protocol = 6 AND most_out = 0"


@dataclass(frozen=True)
class _Day:
    """A day's file: its rows' path, scans as (client_hi, client_lo, bin, pairs, servers, fruitless), and by exporter the TCP connections
    that it saw, and those in one direction only."""

    path: Path
    scans: Sequence[Sequence[int]]
    exporters: Mapping[str, Sequence[int]]


def serves(first_us: int | None, last_us: int | None, limits: noise.NoiseLimits) -> bool:
    """Return whether a window is one of whole days and its scans lie within days."""
    return DAY_US % limits.bin_us == 0 and all(each is None or each % DAY_US == 0 for each in (first_us, last_us))


def noise_of_days(
    data_dir: str | Path,
    first_us: int | None,
    last_us: int | None,
    declared: Iterable[str],
    threats: Iterable[Any],
    limits: noise.NoiseLimits,
) -> noise.Noise:
    """Return what is noise in a window that ``serves``. Raises FindingError as ``noise.noise_in``."""
    listed = list(threats)
    days = _days(data_dir, first_us, last_us, limits)
    known = " OR ".join(address.range_sql(each, "client") for each in declared) or "false"
    reasons: dict[noise.Pair, str] = {}
    scans: tuple[noise.Scan, ...] = ()
    if days:
        with store.connect(store.spill_folder(data_dir)) as connection:
            scans = _scans(connection, days, known, limits)
            _marks(connection, days, known, limits, reasons)
    if listed:
        names = ["start_us", *KEY.split(", "), "class"]
        with store.window_connections(data_dir, first_us, last_us, names) as connection:
            connection.execute("CREATE VIEW seen AS SELECT * FROM given WHERE class IN ('unicast', 'peer')")
            noise.mark_threats(connection, listed, reasons)
    return noise.Noise(scans, reasons)


def forget_stale(data_dir: str | Path, days: Iterable[date]) -> None:
    """Remove what is kept of days and does not fit their connections: to be called before these go."""
    files = store.connection_files(data_dir)
    for day in days:
        path = _path(data_dir, day)
        seal = _told(path).get(SEAL, "")
        if seal.split(" ")[0] != _seal_of_files(files.get(day, ())):
            path.unlink(missing_ok=True)


def _path(data_dir: str | Path, day: date) -> Path:
    return store.day_folder(data_dir, "rollup", day) / "noise.parquet"


def _days(data_dir: str | Path, first: int | None, last: int | None, limits: noise.NoiseLimits) -> list[_Day]:
    """Return the window's days; those of which nothing that fits is kept are read."""
    files = store.window_day_files(data_dir, first, last)
    wanted = f"{limits.scan_minutes} {limits.scan_servers} {limits.scan_ports} {limits.scan_conversations}"
    made = []
    expired = {day for day in store.expired_days(data_dir) if store.touches(day, first, last)}
    with ExitStack() as opened:
        database = cache(lambda: opened.enter_context(store.connect(store.spill_folder(data_dir))))
        for day in sorted({*files, *expired}):
            group, path = files.get(day, []), _path(data_dir, day)
            kept = _told(path).get(SEAL, "")
            if day in expired and kept:
                # What is left of such a day is not all of it: nothing can be read again, and what was made with other limits says nothing.
                if kept.partition(" ")[2] == wanted:
                    made.append(_day(path))
                continue
            seal = f"{_seal_of_files(group)} {wanted}"
            if group and kept != seal:
                _read_day(database(), group, path, seal, limits)
            if group:
                made.append(_day(path))
    return made


def _seal_of_files(group: Sequence[Path]) -> str:
    # Named by the hash of its input and its version, but reorientation writes it anew under its name.
    stats = [(path.name, path.stat()) for path in sorted(group)]
    text = "\n".join(f"{name} {own.st_size} {own.st_mtime_ns}" for name, own in stats)
    return hashlib.sha256(text.encode()).hexdigest()


def _told(path: Path) -> dict[str, str]:
    """Return what a file says of itself; nothing where there is none that this version reads."""
    try:
        store.check_file(path, KIND)
        metadata = parquet.read_schema(path).metadata or {}
        return {name: metadata[name.encode()].decode() for name in (SEAL, SCANS, EXPORTERS)}
    except (FindingError, OSError, KeyError, UnicodeDecodeError):
        return {}


def _day(path: Path) -> _Day:
    told = _told(path)
    return _Day(path, json.loads(told[SCANS]), json.loads(told[EXPORTERS]))


def _read_day(connection: Any, group: Sequence[Path], path: Path, seal: str, limits: noise.NoiseLimits) -> None:
    for each in group:
        store.check_file(each, "connections")
    connection.execute(
        f"""
        CREATE TABLE seen AS
        SELECT {KEY}, answered, exporter, packets_out, packets_in, packets_out + packets_in AS total, bytes_out + bytes_in AS octets,
            false AS declared, start_us // {limits.bin_us} AS bin
        FROM {store.parquet_rows(group)} WHERE class IN ('unicast', 'peer')
        """
    )
    noise.find_scanning(connection, limits)
    scans = connection.execute(
        "SELECT client_hi, client_lo, bin, pairs, servers, fruitless FROM scanning ORDER BY client_hi, client_lo, bin"
    ).fetchall()
    exporters = connection.execute(
        "SELECT exporter, count(*), count(*) FILTER (packets_out = 0 OR packets_in = 0) FROM seen WHERE protocol = 6"
        " GROUP BY exporter ORDER BY exporter"
    ).fetchall()
    rows = connection.sql(_rows_query(store.day_of(path.parent))).to_arrow_table()
    for table in ("seen", "scanning"):  # the next day has its own
        connection.execute(f"DROP TABLE {table}")
    told = {
        SEAL: seal,
        SCANS: json.dumps(scans),
        EXPORTERS: json.dumps({name: [total, lone] for name, total, lone in exporters}),
    }
    store.write_tables([rows], path, KIND, told)


def _rows_query(day: date) -> str:
    """Return the query of ``NOISE`` from ``seen`` and ``scanning``: a row for each conversation of the day.

    One more for each exporter that saw TCP without a packet of the opener.
    """
    keys = ", ".join(f"s.{name}" for name in KEY.split(", "))
    return f"""
        SELECT DATE '{day.isoformat()}' AS day, * FROM (
            SELECT {keys}, CASE WHEN s.protocol = 6 AND s.packets_out = 0 THEN s.exporter ELSE '' END AS exporter,
                bool_or(s.answered) AS answered, bool_and({noise.FRUITLESS}) AS fruitless,
                bool_and({noise.FRUITLESS} AND g.bin IS NOT NULL) AS scanned, least(max(s.packets_out), 2)::SMALLINT AS most_out,
                least(sum(s.packets_out), 2)::SMALLINT AS sum_out, least(max(s.packets_in), {MOST_IN})::INTEGER AS most_in
            FROM seen s LEFT JOIN scanning g ON (g.client_hi, g.client_lo, g.bin) = (s.client_hi, s.client_lo, s.bin)
            GROUP BY ALL
        ) AS told ORDER BY {KEY}, exporter"""


def _scans(connection: Any, days: Sequence[_Day], known: str, limits: noise.NoiseLimits) -> tuple[noise.Scan, ...]:
    """Return the scans of clients that are not declared (``known``), ordered by client and time."""
    rows = sorted(tuple(row) for day in days for row in day.scans)
    told = {row[:2] for row in rows}
    if told and known != "false":
        columns = {
            name: pa.array(values, pa.int64())
            for name, values in zip(ENDS, zip(*sorted(told), strict=True), strict=True)
        }
        connection.register("scanners", pa.table(columns))
        told = set(connection.execute(f"SELECT client_hi, client_lo FROM scanners WHERE NOT ({known})").fetchall())
    return tuple(
        noise.Scan(address.int_of(row[0], row[1]), row[2] * limits.bin_us, row[3], row[4], row[5])
        for row in rows
        if row[:2] in told
    )


def _marks(
    connection: Any, days: Sequence[_Day], known: str, limits: noise.NoiseLimits, reasons: dict[noise.Pair, str]
) -> None:
    """Add the reason of each conversation that is noise on all of its days; the gravest stands."""
    connection.execute(
        f"CREATE VIEW told AS SELECT {', '.join(NOISE)} FROM {store.parquet_rows([day.path for day in days])}"
    )
    # Most conversations are none on some day: they need no sums.
    connection.execute(
        f"""
        CREATE TABLE suspect AS
        WITH maybe AS (SELECT DISTINCT {KEY} FROM told WHERE fruitless OR ({PROBE}) OR ({FORGED}))
        SELECT * FROM told SEMI JOIN maybe USING ({KEY})
        """
    )
    totals: dict[str, list[int]] = {}
    for day in days:
        for name, (count, lone) in day.exporters.items():
            own = totals.setdefault(name, [0, 0])
            own[0], own[1] = own[0] + count, own[1] + lone
    both = [name for name, (count, lone) in totals.items() if lone <= noise.ONE_SIDED_SHARE * count]
    connection.execute("CREATE TABLE both_ways (exporter VARCHAR)")
    if both:
        connection.executemany("INSERT INTO both_ways VALUES (?)", [[name] for name in sorted(both)])
    probes = f"""
        SELECT {KEY} FROM suspect WHERE NOT ({known}) GROUP BY ALL HAVING NOT bool_or(answered) AND max(most_in) = 0
            AND max(most_out) <= 1 AND (protocol <> 17 OR sum(sum_out) <= 1)"""
    backscatter = f"""
        SELECT {KEY} FROM suspect WHERE protocol = 6 GROUP BY ALL
        HAVING max(most_out) = 0 AND max(most_in) <= {limits.backscatter_packets}
            AND bool_and(exporter IN (SELECT exporter FROM both_ways))"""
    for reason, query in (("probe", probes), ("backscatter", backscatter), ("scan", _scanned(known, limits))):
        for row in connection.execute(query).fetchall():
            reasons[noise.pair_of(row)] = reason


def _scanned(known: str, limits: noise.NoiseLimits) -> str:
    """Return the query of conversations that only ever occurred, fruitless, within a scan or on a day with too many new servers.

    Only a client with so many conversations on a day can have met so many servers on it.
    """
    most = limits.new_servers_a_day
    return f"""
        WITH active AS (
            SELECT DISTINCT client_hi, client_lo FROM (
                SELECT client_hi, client_lo FROM told GROUP BY client_hi, client_lo, day HAVING count(*) > {most})
        ), met AS (
            SELECT client_hi, client_lo, server_hi, server_lo, min(day) AS first_day FROM told SEMI JOIN active USING (client_hi, client_lo)
            GROUP BY ALL
        ), busy AS (
            SELECT client_hi, client_lo, first_day AS day FROM met GROUP BY ALL HAVING count(*) > {most}
        ), fresh AS (
            SELECT client_hi, client_lo, server_hi, server_lo, m.first_day AS day
            FROM met m SEMI JOIN busy b ON (b.client_hi, b.client_lo, b.day) = (m.client_hi, m.client_lo, m.first_day)
        )
        SELECT {", ".join(f"s.{name}" for name in KEY.split(", "))} FROM suspect s LEFT JOIN fresh f
            ON (f.client_hi, f.client_lo, f.server_hi, f.server_lo, f.day)
                = (s.client_hi, s.client_lo, s.server_hi, s.server_lo, s.day)
        WHERE NOT ({known.replace("client_", "s.client_")})
        GROUP BY ALL HAVING bool_and(s.scanned OR (s.fruitless AND f.day IS NOT NULL))"""
