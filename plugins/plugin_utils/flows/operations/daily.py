# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daily rollup as a query in the common dialect: each conversation of a day counted once, whoever saw it.

Of views of one 5-tuple by different exporters that lie within five minutes of each other the one with most packets counts; the others
only add that an answer was seen and a surer direction. Exporters are never added up (facts/flows.md section 5, stitching). The same holds
for one exporter in two inputs where the very first microsecond is the same: a capture that was copied while it grew. Bytes are multiplied
by the sampling rate, counts are not.
"""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.queries import (
    DAY_US,
    HOUR_US,
    SLACK_US,
    WEAK_METHOD,
    Question,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import ROLLUP

TUPLE = ("protocol", "a_hi", "a_lo", "a_port", "b_hi", "b_lo", "b_port")
# Which of two views counts: the larger of the first two, then the smaller of the rest; alike in all of it they are the same row.
MORE = ("total", "exporter")
LESS = (
    "start_us", "end_us", "a_is_client", "method", "answered", "packets_out", "bytes_out", "bytes_in", "sampling", "class", "confidence",
    "source",
)  # fmt: skip
RANK = ", ".join([*(f"{name} DESC" for name in MORE), *LESS])
CLASS_CODES = ("unicast", "peer", "multicast", "broadcast")
FORWARD = (
    "(client_hi < server_hi OR (client_hi = server_hi AND (client_lo < server_lo"
    " OR (client_lo = server_lo AND client_port <= server_port))))"
)
# The ends of a view in the order of (hi, lo, port), alike for both directions.
_ENDS = ", ".join(
    f"CASE WHEN a_is_client{turn} THEN client_{part} ELSE server_{part} END AS {end}_{part}"
    for end, turn in (("a", ""), ("b", " IS FALSE"))
    for part in ("hi", "lo", "port")
)
# What the grouping needs of a view; the directions are settled by then.
COUNTED = (
    "start_us", "end_us", "client_hi", "client_lo", "server_hi", "server_lo", "protocol", "client_port", "server_port", "class", "answered",
    "method", "confidence", "packets", "bytes",
)  # fmt: skip


def plain(rows: str) -> str:
    """Return the query of connections nobody else saw, as they are counted."""
    given = {"packets": "packets_out + packets_in AS packets", "bytes": "(bytes_out + bytes_in) * sampling AS bytes"}
    return f"SELECT {', '.join(given.get(name, name) for name in COUNTED)} FROM {rows}"


def _beats(names: tuple[str, ...] = (*MORE, *LESS)) -> str:
    """Return the condition that view t counts rather than view s, column by column."""
    name, rest = names[0], names[1:]
    first = f"t.{name} {'>' if name in MORE else '<'} s.{name}"
    return f"({first} OR (t.{name} = s.{name} AND {_beats(rest)}))" if rest else f"({first})"


def counted(rows: str, number: str = "") -> str:
    """Return the query of connections that may be views of the same conversations, each conversation once.

    ``number`` names a column that tells the rows apart, where they have one; it saves the ranking that stands in for it.
    """
    own = (number,) if number else (*TUPLE, "rank")
    rank = "" if number else f", row_number() OVER (PARTITION BY {', '.join(TUPLE)} ORDER BY {RANK}) AS rank"
    same = " AND ".join(f"s.{name} = t.{name}" for name in TUPLE)
    unlike, beats = (f"s.{number} <> t.{number}", _beats()) if number else ("s.rank <> t.rank", "t.rank < s.rank")
    best = "r.code < s.method * 8"
    turned = f"({best} AND (r.code % 8 < 4) <> s.a_is_client)"
    classes = " ".join(f"WHEN {code} THEN '{name}'" for code, name in enumerate(CLASS_CODES))
    code_of = " ".join(f"WHEN '{name}' THEN {code}" for code, name in enumerate(CLASS_CODES))

    def either(name: str, other: str) -> str:
        return f"CASE WHEN {turned} THEN s.{other} ELSE s.{name} END AS {name}"

    made = {
        "answered": "(s.answered OR coalesce(r.answered, false)) AS answered",
        "packets": "s.total AS packets",
        "bytes": "(s.bytes_out + s.bytes_in) * s.sampling AS bytes",
        "client_hi": either("client_hi", "server_hi"),
        "client_lo": either("client_lo", "server_lo"),
        "client_port": either("client_port", "server_port"),
        "server_hi": either("server_hi", "client_hi"),
        "server_lo": either("server_lo", "client_lo"),
        "server_port": either("server_port", "client_port"),
        "method": f"CASE WHEN {best} THEN (r.code // 8)::SMALLINT ELSE s.method END AS method",
        "class": f"CASE WHEN {best} THEN CASE r.code % 4 {classes} END ELSE s.class END AS class",
        "confidence": f"CASE WHEN {best} THEN r.confidence ELSE s.confidence END AS confidence",
    }
    return f"""
        WITH turned AS (
            SELECT *, packets_out + packets_in AS total, {FORWARD} AS a_is_client FROM {rows}
        ), ended AS (
            SELECT *, {_ENDS} FROM turned
        ), seen AS (
            SELECT *{rank} FROM ended
        ), repeated AS (
            SELECT {", ".join(f"s.{name}" for name in own)}, {beats} AS beaten, t.answered, t.confidence,
                (t.method * 2 + CASE WHEN t.a_is_client THEN 0 ELSE 1 END)::INTEGER * 4 + CASE t.class {code_of} ELSE 0 END AS code
            FROM seen s JOIN seen t ON {same}
            WHERE {unlike} AND ((s.exporter <> t.exporter AND s.start_us <= t.end_us + {SLACK_US} AND t.start_us <= s.end_us + {SLACK_US})
                OR (s.source <> t.source AND s.start_us = t.start_us))
        ), added AS (
            SELECT {", ".join(own)}, max(CASE WHEN beaten THEN 1 ELSE 0 END) AS beaten,
                max(CASE WHEN answered THEN 1 ELSE 0 END) = 1 AS answered, min(code) AS code, arg_min(confidence, code) AS confidence
            FROM repeated GROUP BY {", ".join(own)}
        )
        SELECT {", ".join(made.get(name, f"s.{name}") for name in COUNTED)}
        FROM seen s LEFT JOIN added r ON {" AND ".join(f"s.{name} = r.{name}" for name in own)}
        WHERE coalesce(r.beaten, 0) = 0"""


def observers(rows: str, several: str, day: str) -> str:
    """Return the query of what each exporter saw: conversations, longer TCP ones, those seen from one side, and how late its clock is.

    ``several`` holds the rows that more than one exporter may have seen (empty: none). ``pairs`` are views of one 5-tuple by another
    exporter within five minutes, ``later_us`` by how much this exporter's began later, summed.
    """
    longer = "protocol = 6 AND packets_out + packets_in > 3"
    seen = f"""
        SELECT exporter, count(*) AS flows, sum(CASE WHEN {longer} THEN 1 ELSE 0 END)::BIGINT AS long_flows,
            sum(CASE WHEN {longer} AND (packets_out = 0 OR packets_in = 0) THEN 1 ELSE 0 END)::BIGINT AS one_sided_flows
        FROM {rows} GROUP BY exporter"""
    if not several:
        return f"SELECT DATE '{day}' AS day, *, 0 AS pairs, 0 AS later_us FROM ({seen}) AS seen ORDER BY exporter"
    same = " AND ".join(f"s.{name} = t.{name}" for name in TUPLE)
    return f"""
        WITH views AS (
            SELECT {_ENDS}, protocol, exporter, start_us, end_us FROM (SELECT *, {FORWARD} AS a_is_client FROM {several}) AS turned
        ), paired AS (
            SELECT s.exporter AS exporter, count(*) AS pairs, sum(s.start_us - t.start_us)::BIGINT AS later_us
            FROM views s JOIN views t ON {same}
            WHERE s.exporter <> t.exporter AND s.start_us <= t.end_us + {SLACK_US} AND t.start_us <= s.end_us + {SLACK_US}
            GROUP BY s.exporter
        )
        SELECT DATE '{day}' AS day, seen.*, coalesce(pairs, 0) AS pairs, coalesce(later_us, 0) AS later_us
        FROM ({seen}) AS seen LEFT JOIN paired ON paired.exporter = seen.exporter ORDER BY seen.exporter"""


def summed(rows: str, day: int, *, key: str = "", fixed: str = "") -> str:
    """Return the rollup query of a day (days since 1970) over ``rows`` as ``plain`` and ``counted`` give them.

    ``key`` narrows the columns to group by, where the others are known to have one value, which ``fixed`` then names.
    """
    first = int(day) * DAY_US
    last = first + DAY_US
    keys = key or "client_hi, client_lo, server_hi, server_lo, protocol, server_port, class"
    begins = f"start_us >= {first}"
    end_hour = f"(least(end_us, {last - 1}) - {first}) // {HOUR_US}"
    first_hour = f"(greatest(start_us, {first}) - {first}) // {HOUR_US}"
    return f"""
        SELECT {keys}{", " + fixed if fixed else ""}, count(*) AS flows, count(*) FILTER (WHERE answered) AS answered_flows,
            sum(CASE WHEN {begins} THEN packets ELSE 0 END)::BIGINT AS packets,
            sum(CASE WHEN {begins} THEN bytes ELSE 0 END)::BIGINT AS bytes,
            min(greatest(start_us, {first})) AS first_us, max(least(end_us, {last - 1})) AS last_us,
            bit_or((1 << ({end_hour} + 1)::INTEGER) - (1 << ({first_hour})::INTEGER)) AS hours,
            min(client_port) AS minimum_client_port, max(client_port) AS maximum_client_port, min(method) AS method,
            max(confidence) AS confidence, count(*) FILTER (WHERE method = {WEAK_METHOD}) AS weak_flows
        FROM {rows} GROUP BY {keys}"""


def of_day(day: int, rows: str = "connections") -> Question:
    """Return the rollup of a day (days since 1970) of ``rows``, without the column ``day``, which is the file's name."""
    first = int(day) * DAY_US
    near = f"(SELECT * FROM {rows} WHERE start_us < {first + DAY_US} AND end_us >= {first})"
    columns = {name: kind for name, kind in ROLLUP.items() if name != "day"}
    order = "client_hi, client_lo, server_hi, server_lo, protocol, server_port, class"
    return Question(summed(f"({counted(near + ' AS near')}) AS counted", day), columns, order)
