# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How watched devices talk before and since a moment, in the common dialect: relations ``connections`` and ``watched`` (hi, lo, device).

One row for each conversation of a watched device, and one for each device with all of them (``server_port`` -1). Of several exporters the
one that saw most of it before speaks. A pause lies between the end of all that came before and the next start.
"""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.queries import DAY_US, Question

RECENT = 5
WHOLE_DEVICE = -1
MINUTE_US = 60_000_000
CONVERSATION = ("client_hi", "client_lo", "server_hi", "server_lo", "protocol", "server_port")
COLUMNS = {
    "device": "string", "client_hi": "int64", "client_lo": "int64", "server_hi": "int64", "server_lo": "int64", "protocol": "int16",
    "server_port": "int32", "exporter": "string", "seen": "int64", "answered": "int64", "days": "int64", "longest_pause_us": "int64",
    "flows": "int64", "unanswered": "int64", "recent_unanswered": "int64", "first_us": "int64", "last_us": "int64",
    "watched_until_us": "int64",
}  # fmt: skip


def talks(boundary_us: int) -> Question:
    """Sum what watched devices did before and since a moment, in microseconds since 1970."""
    moment, key = int(boundary_us), ", ".join(CONVERSATION)
    kept = f"device, {key}, exporter, start_us, end_us, answered"
    per = f"device, {key}, exporter"
    query = f"""
        WITH ours AS (
            SELECT w.device, {", ".join(f"c.{name}" for name in CONVERSATION)}, c.exporter, c.start_us, c.end_us, c.answered
            FROM connections c JOIN watched w ON w.hi = c.client_hi AND w.lo = c.client_lo WHERE c.class IN ('unicast', 'peer')
            UNION ALL
            SELECT w.device, {", ".join(f"c.{name}" for name in CONVERSATION)}, c.exporter, c.start_us, c.end_us, c.answered
            FROM connections c JOIN watched w ON w.hi = c.server_hi AND w.lo = c.server_lo WHERE c.class IN ('unicast', 'peer')
        ), both_kinds AS (
            SELECT {kept} FROM ours
            UNION ALL
            SELECT device, 0, 0, 0, 0, 0, {WHOLE_DEVICE}, exporter, start_us, end_us, answered FROM ours
        ), counted AS (
            SELECT {per}, count(*) FILTER (WHERE start_us < {moment}) AS before, count(*) AS times FROM both_kinds GROUP BY {per}
        ), ranked AS (
            SELECT {per}, row_number() OVER (PARTITION BY device, {key} ORDER BY before DESC, times DESC, exporter) AS place FROM counted
        ), placed AS (
            SELECT {kept},
                start_us - max(end_us) OVER (PARTITION BY {per} ORDER BY start_us, end_us
                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS pause,
                row_number() OVER (PARTITION BY {per} ORDER BY start_us DESC, end_us DESC) AS back
            FROM both_kinds
        ), reached AS (
            SELECT exporter, max(end_us) AS until FROM connections GROUP BY exporter
        ), summed AS (
            SELECT {per}, count(*) FILTER (WHERE start_us < {moment}) AS seen,
                count(*) FILTER (WHERE start_us < {moment} AND answered) AS answered,
                count(DISTINCT CASE WHEN start_us < {moment} THEN start_us // {DAY_US} END) AS days,
                coalesce(max(CASE WHEN start_us < {moment} AND pause > 0 THEN pause END), 0) AS longest_pause_us,
                count(*) FILTER (WHERE start_us >= {moment}) AS flows,
                count(*) FILTER (WHERE start_us >= {moment} AND NOT answered) AS unanswered,
                count(*) FILTER (WHERE start_us >= {moment} AND NOT answered AND back <= {RECENT}) AS recent_unanswered,
                min(start_us) AS first_us, max(end_us) AS last_us
            FROM placed GROUP BY {per}
        )
        SELECT {", ".join(f"s.{name}" for name in COLUMNS if name != "watched_until_us")}, e.until AS watched_until_us
        FROM summed s JOIN ranked r ON {" AND ".join(f"r.{name} = s.{name}" for name in ("device", *CONVERSATION, "exporter"))}
            JOIN reached e ON e.exporter = s.exporter
        WHERE r.place = 1"""
    return Question(query, COLUMNS, f"device, {key}, exporter")


ACTIVITY = {"exporter": "string", "minute": "int64"}


def activity() -> Question:
    """List the minutes (since 1970) in which exporters named in the relation ``speakers`` (exporter) saw anything begin."""
    query = f"""
        SELECT DISTINCT c.exporter, c.start_us // {MINUTE_US} AS minute
        FROM connections c JOIN speakers s ON s.exporter = c.exporter"""
    return Question(query, ACTIVITY, "exporter, minute")
