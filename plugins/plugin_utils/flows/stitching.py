# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stitching: the two directions of one 5-tuple become one conversation with ends a and b, whose roles are not yet known.

Records of one exporter are merged while the silence between them is shorter than the exporter's active timeout, its inactive timeout
and a minute, or, for packets, than a fixed silence; a new handshake begins a new conversation (facts/flows.md section 5, stitching): a SYN,
or a SYN with ACK that answers none. Which it is shows in the record and in the handshake packet before it, so that stitching pieces of what
was stitched before (``continuation.py``) gives what stitching all records at once gives.
A conversation that runs over midnight UTC has one part for each day, so that a session of months is seen on every day of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import signs
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.records import FROM_EXPORTER
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import RECORDS

SQL_TYPES = {
    "int64": "BIGINT",
    "int32": "INTEGER",
    "int16": "SMALLINT",
    "int8": "TINYINT",
    "bool": "BOOLEAN",
    "float": "FLOAT",
    "string": "VARCHAR",
    "date32": "DATE",
}
KEY = "exporter, protocol, a_hi, a_lo, a_port, b_hi, b_lo, b_port"


@dataclass(frozen=True)
class Silences:
    """Longest silence within one conversation, in seconds."""

    packets_tcp: int = 3600
    packets_other: int = 300
    exporter_active: int = 1800
    exporter_inactive: int = 15

    @property
    def exporter(self) -> int:
        """Return the silence for an exporter's records."""
        return self.exporter_active + self.exporter_inactive + 60

    @property
    def longest(self) -> int:
        """Return the longest of them."""
        return max(self.packets_tcp, self.packets_other, self.exporter)

    def limit(self, origin: str = "origin") -> str:
        """Return the SQL expression of a record's silence in microseconds."""
        return (
            f"CASE WHEN {origin} = {FROM_EXPORTER} THEN {self.exporter} WHEN protocol = 6 THEN {self.packets_tcp}"
            f" ELSE {self.packets_other} END * 1000000::BIGINT"
        )


def create_records(connection: Any) -> None:
    """Create the empty table ``records`` in a DuckDB connection."""
    columns = ", ".join(f'"{name}" {SQL_TYPES[kind]}' for name, kind in RECORDS.items())
    connection.execute(f"CREATE TABLE records ({columns})")


def stitch(connection: Any, silences: Silences | None = None) -> None:
    """Make the tables ``wholes`` (one row per conversation) and ``parts`` (per conversation and day) from ``records``.

    Both have ``number`` for the conversation. End a is the lower one of (address, port).
    """
    limit = (silences or Silences()).limit()
    # A total order, so that ties give the same numbers on every run.
    order = "start_us, place, end_us, forward DESC, packets, bytes, said, source"
    part = f"(PARTITION BY key_number ORDER BY {order} ROWS"
    spell = f"(PARTITION BY key_number, spell ORDER BY {order} ROWS"
    connection.execute(
        f"""
        CREATE TABLE ended AS
        WITH canonical AS (
            SELECT *, (source_hi, source_lo, source_port) <= (target_hi, target_lo, target_port) AS forward FROM records
        )
        SELECT * EXCLUDE (source_hi, source_lo, source_port, target_hi, target_lo, target_port), {limit} AS silence,
            CASE WHEN forward THEN source_hi ELSE target_hi END AS a_hi,
            CASE WHEN forward THEN source_lo ELSE target_lo END AS a_lo,
            CASE WHEN forward THEN source_port ELSE target_port END AS a_port,
            CASE WHEN forward THEN target_hi ELSE source_hi END AS b_hi,
            CASE WHEN forward THEN target_lo ELSE source_lo END AS b_lo,
            CASE WHEN forward THEN target_port ELSE source_port END AS b_port
        FROM canonical
        """
    )
    shortcuts = _Shortcuts.of(connection)
    whole = _both_sides(
        "coalesce(sum(packets) FILTER ({side}), 0)::BIGINT AS {end}_packets",
        "coalesce(sum(bytes) FILTER ({side}), 0)::BIGINT AS {end}_bytes",
        "min(start_us) FILTER ({side}) AS {end}_start",
        f"{shortcuts.place} FILTER ({{side}}) AS {{end}}_place",
        "coalesce(bit_or(flags) FILTER ({side}), 0) AS {end}_flags",
        "coalesce(bool_or(pure_syn) FILTER ({side}), false) AS {end}_pure",
        "coalesce(bool_or(syn_ack) FILTER ({side}), false) AS {end}_syn_ack",
        "count(*) FILTER ({side} AND said = 1) AS {end}_opened",
        "count(*) FILTER ({side} AND said = 2) AS {end}_answers",
        "coalesce(bool_or(broadcast) FILTER ({side}), false) AS {end}_broadcasts",
        f"{shortcuts.opens} AS {{end}}_opens",
    )
    summed = (
        f"min(start_us) AS start_us, max(end_us) AS end_us, max(step_us) AS step_us, max(origin) AS origin, {whole}"
    )
    # Most 5-tuples hold one conversation: no silence fits into their time, and at most one handshake begins them. They need no sorting,
    # and most of them lie within one day: then this one grouping says all of them.
    connection.execute(
        f"""
        CREATE TABLE keyed AS
        SELECT row_number() OVER () AS number, * FROM (
            SELECT {KEY}, max(end_us) - min(start_us) <= min(silence) AND {shortcuts.one_handshake} AS single,
                {_day("min(start_us)")} AS first_day, {_day("max(start_us)")} AS last_day, max(sampling) AS sampling,
                {shortcuts.source} AS source, {summed}
            FROM ended GROUP BY {KEY}
        )
        """
    )
    connection.execute(
        f"""
        CREATE TABLE sided AS
        WITH long AS (
            SELECT * FROM keyed WHERE NOT single OR first_day != last_day
        ), numbered AS (
            SELECT ended.*, number AS key_number, single FROM ended JOIN long USING ({KEY})
        ), silent AS (
            SELECT *, CASE WHEN start_us - max(end_us) OVER {part} BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) > silence
                THEN 1 ELSE 0 END AS after_silence
            FROM numbered WHERE NOT single
        ), spoken AS (
            SELECT *, sum(after_silence) OVER {part} UNBOUNDED PRECEDING) AS spell FROM silent
        ), met AS (
            SELECT *, last_value(CASE WHEN opens = 1 THEN CASE WHEN NOT pure_syn THEN 0 WHEN forward THEN 1 ELSE 2 END END IGNORE NULLS)
                OVER {spell} BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS asked FROM spoken
        ), shaken AS (
            SELECT *, sum(CASE WHEN opens = 1 AND NOT (syn_ack AND coalesce(asked, 0) = CASE WHEN forward THEN 2 ELSE 1 END)
                THEN 1 ELSE 0 END) OVER {spell} UNBOUNDED PRECEDING) AS shake FROM met
        ), both_kinds AS (
            SELECT * EXCLUDE (after_silence, spell, asked, shake),
                (SELECT count(*) FROM keyed) + dense_rank() OVER (ORDER BY key_number, spell, shake) AS number
            FROM shaken
            UNION ALL
            SELECT *, key_number AS number FROM numbered WHERE single
        )
        SELECT *, {_day("start_us")} AS day_number FROM both_kinds
        """
    )
    known = "first_day, last_day, single, sampling, source, a_opens, b_opens"
    connection.execute(
        f"""
        CREATE TABLE wholes AS
        SELECT * EXCLUDE ({known}) FROM keyed WHERE single
        UNION ALL BY NAME
        SELECT again.* EXCLUDE (key_number, a_opens, b_opens), {", ".join(f"keyed.{name}" for name in KEY.split(", "))} FROM (
            SELECT number, min(key_number) AS key_number, {summed} FROM sided WHERE NOT single GROUP BY number
        ) again JOIN keyed ON keyed.number = key_number
        """
    )
    parts = ", ".join(f"{end}_{name}" for end in "ab" for name in ("packets", "bytes"))
    marks = f"{signs.packed('a', 'b')} AS signs, {signs.lag('a', 'b')} AS lag_us, step_us"
    connection.execute(
        f"""
        CREATE TABLE parts AS
        SELECT number, first_day AS day_number, start_us, end_us, sampling, source, {parts}, {marks} FROM keyed
        WHERE single AND first_day = last_day
        UNION ALL BY NAME
        SELECT number, day_number, start_us, end_us, sampling, source, {parts},
            CASE WHEN day_number > min(day_number) OVER (PARTITION BY number) THEN {1 << signs.CONTINUES} ELSE 0 END | {marks} FROM (
            SELECT number, day_number, max(sampling) AS sampling, {shortcuts.source} AS source, {summed}
            FROM sided GROUP BY number, day_number)
        """
    )
    for table in ("sided", "ended", "keyed", "records"):
        connection.execute(f"DROP TABLE {table}")


@dataclass(frozen=True)
class _Shortcuts:
    """Expressions that say the same in less time where the records allow: exports have no places and no handshakes, one input one hash."""

    place: str
    source: str
    opens: str
    one_handshake: str

    @classmethod
    def of(cls, connection: Any) -> _Shortcuts:
        """Return what the records allow."""
        least, most, opens, first, last = connection.execute(
            "SELECT min(place), max(place), max(opens), min(source), max(source) FROM ended"
        ).fetchone()
        return cls(
            "min(place)" if least == most else "arg_min(place, (start_us, place))",
            "min(source)" if first == last else "arg_min(source, (start_us, source))",
            "false" if not opens else "coalesce(bool_or(opens = 1) FILTER ({side}), false)",
            "true"
            if not opens
            else "coalesce(sum(opens) FILTER (forward), 0) <= 1 AND coalesce(sum(opens) FILTER (NOT forward), 0) <= 1"
            " AND (sum(opens) = 0 OR arg_min(opens, (start_us, place)) = 1)"
            " AND (sum(opens) <= 1 OR (arg_min(pure_syn, (start_us, place))"
            " AND arg_max(syn_ack, (start_us, place)) FILTER (opens = 1)))",
        )


def _day(moment: str) -> str:
    """Return an SQL expression: the days since 1970-01-01 of microseconds."""
    return f"CAST(floor({moment} / 86400000000.0) AS BIGINT)"


def _both_sides(*expressions: str) -> str:
    made = []
    for end, side in (("a", "forward"), ("b", "NOT forward")):
        for expression in expressions:
            made.append(expression.format(end=end, side=side))
    return ",\n            ".join(made)
