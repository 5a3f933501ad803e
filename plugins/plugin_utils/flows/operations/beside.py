# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of denials and DNS answers, in the common dialect: relations ``denied`` and ``resolved`` with the columns of ``kept.py``.

A log that has grown since it was imported, or that two hosts keep, is two inputs: a message stands for as often as the one that has it
most says. Messages that are alike in all that is kept, in one file, are several.
"""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import kept
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.queries import Question

KEY = (
    "source_hi", "source_lo", "target_hi", "target_lo", "protocol", "target_port", "platform", "point", "list", "entry", "source_sgt",
    "target_sgt",
)  # fmt: skip
COUNTS = {"packets": "int64", "messages": "int64", "first_us": "int64", "last_us": "int64"}
INTERVALS = {
    "address_hi": "int64", "address_lo": "int64", "name": "string", "client_hi": "int64", "client_lo": "int64", "from_us": "int64",
    "to_us": "int64", "ttl": "int64", "source": "string",
}  # fmt: skip
HOLD_US = 3_600_000_000


def _quoted(names: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _once() -> str:
    same = _quoted(tuple(name for name in kept.DENIES if name not in ("input", "packets")))
    return (
        f"SELECT {same}, max(times) AS times, max(said) AS packets FROM (SELECT {same}, input, count(*) AS times,"
        f" sum(packets)::BIGINT AS said FROM denied GROUP BY {same}, input) AS counted GROUP BY {same}"
    )


def denials(conditions: str = "true", *, unanswered: bool = False) -> Question:
    """Sum denials for each source, target, service and entry, those with most packets first.

    With ``unanswered`` TCP opens of ``daily`` that got no answer stand among them, as platform ``flow``.
    """
    both = f"SELECT {_quoted(KEY)}, packets, times, time_us AS first_us, time_us AS last_us FROM ({_once()}) AS once"
    if unanswered:
        both += (
            " UNION ALL SELECT client_hi, client_lo, server_hi, server_lo, protocol, server_port, 'flow', '', '', '', -1, -1,"
            " flows - answered_flows, flows - answered_flows, first_us, last_us"
            " FROM daily WHERE class = 'unicast' AND protocol = 6 AND answered_flows < flows"
        )
    query = (
        f"SELECT {_quoted(KEY)}, sum(packets)::BIGINT AS packets, sum(times)::BIGINT AS messages, min(first_us) AS first_us,"
        f" max(last_us) AS last_us FROM ({both}) AS together WHERE {conditions} GROUP BY {_quoted(KEY)}"
    )
    order = ", ".join(f'"{name}" NULLS LAST' for name in KEY)
    return Question(query, {**{name: kept.DENIES[name] for name in KEY}, **COUNTS}, f"packets DESC, {order}")


def denial_totals() -> Question:
    """Count messages and packets of each point and list."""
    key = ("platform", "point", "list")
    query = (
        f"SELECT {_quoted(key)}, sum(times)::BIGINT AS messages, sum(packets)::BIGINT AS packets FROM ({_once()}) AS once"
        f" GROUP BY {_quoted(key)}"
    )
    return Question(query, {**dict.fromkeys(key, "string"), "messages": "int64", "packets": "int64"}, _quoted(key))


def name_intervals(first_us: int | None = None, conditions: str = "true") -> Question:
    """Return unbroken times in which an answer to a client held; those over before ``first_us`` are left out."""
    same = "address_hi, address_lo, name, client_hi, client_lo"
    over = f"OVER (PARTITION BY {same} ORDER BY from_us, to_us ROWS"
    query = f"""
        WITH each_answer AS (
            SELECT {same}, via, ttl, time_us AS from_us, time_us + ttl * 1000000 + {HOLD_US} AS to_us FROM resolved
        ), marked AS (
            SELECT *, CASE WHEN from_us <= max(to_us) {over} BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) THEN 0 ELSE 1 END AS begins
            FROM each_answer
        ), numbered AS (
            SELECT *, sum(begins) {over} BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS spell FROM marked
        ), held AS (
            SELECT {same}, min(from_us) AS from_us, max(to_us) AS to_us, max(ttl) AS ttl, min(via) AS source
            FROM numbered GROUP BY {same}, spell
        )
        SELECT * FROM held WHERE to_us > {first_us if first_us is not None else -(1 << 62)} AND {conditions}"""
    return Question(query, INTERVALS, ", ".join(f'"{name}" NULLS LAST' for name in INTERVALS))
