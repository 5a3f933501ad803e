# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What learning asks of recorded traffic, in the common dialect of ``engine.py``: bound rows are summed to pairs of devices, and
those to candidates for rules.

``marks`` (client_hi, client_lo, server_hi, server_lo, protocol, server_port, mark) says what is no evidence, and why (noise.py,
related.py).
``pairs`` is what ``pairs`` returns: one row for each client device, server device (an address where nobody held it), protocol, port, class
and mark. Days are bits of the columns ``days_0`` and on, 62 days each, counted from the window's first, so that a union of days is an OR.
"""

from __future__ import annotations

from collections.abc import Collection

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.engine import quoted
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.queries import Question
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.orientation import EPHEMERAL
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.related import BOOTSTRAP, ICMP_ERRORS, NEIGHBOURS

DAYS_A_COLUMN = 62
MOST_COLUMNS = 7  # 434 days: learning looks back 400 at most (site.yml)
GROUPS = "('multicast', 'broadcast')"
KEY = "client_segment, server_segment, protocol, server_port"
LIVE = f"client_device <> '' AND client_segment <> '' AND server_segment <> '' AND class NOT IN {GROUPS} AND mark = '' AND binding = ''"
# So many stray conversations of segments that must not be cut stand by themselves.
MOST_LONE = 2000
# A client that opens this many ends on one port, or ports of one end, almost all of them once or for nothing, looks around slowly.
SLOW_ENDS, SLOW_PORTS = 15, 15
# What every list passes before any rule is no business of learning (related.py).
BOOTSTRAP_SQL = " OR ".join(
    [f"(b.protocol = {protocol} AND b.server_port = {port})" for protocol, port in sorted(BOOTSTRAP)]
    + [
        f"(b.protocol = {protocol} AND b.server_port // 256 IN {kinds})"
        for protocol, kinds in sorted(ICMP_ERRORS.items())
    ]
    + [f"(b.protocol = 58 AND b.server_port // 256 IN {tuple(NEIGHBOURS)})"]
)
ADDRESSES = ("client_hi", "client_lo", "server_hi", "server_lo")
MARKS = {**dict.fromkeys(ADDRESSES, "int64"), "protocol": "int16", "server_port": "int32", "mark": "string"}
KINDS = {"device": "string", "kind": "string"}
APPROVED = {
    "client_segment": "string", "server_segment": "string", "protocol": "int16", "first_port": "int32", "last_port": "int32",
}  # fmt: skip
PAIR = (
    "client_segment", "client_device", "client_hi", "client_lo", "server_segment", "server_device", "server_hi", "server_lo", "protocol",
    "server_port", "class", "mark", "binding",
)  # fmt: skip
TYPES = {
    "client_segment": "string", "client_device": "string", "client_hi": "int64", "client_lo": "int64", "server_segment": "string",
    "server_device": "string", "server_hi": "int64", "server_lo": "int64", "protocol": "int16", "server_port": "int32",
    "class": "string", "mark": "string", "binding": "string", "rollup_rows": "int64", "hours": "int32", "flows": "int64",
    "answered_flows": "int64", "bytes": "int64", "weak_flows": "int64", "first_us": "int64", "last_us": "int64",
    "minimum_client_port": "int32", "maximum_client_port": "int32", "method": "int16", "confidence": "float",
}  # fmt: skip
_SUMMED = (
    "bit_or(hours) AS hours, sum(flows)::BIGINT AS flows,"
    " sum(answered_flows)::BIGINT AS answered_flows, sum(bytes)::BIGINT AS bytes, sum(weak_flows)::BIGINT AS weak_flows,"
    " min(first_us) AS first_us, max(last_us) AS last_us, min(minimum_client_port) AS minimum_client_port,"
    " max(maximum_client_port) AS maximum_client_port, min(method) AS method, max(confidence) AS confidence"
)
SUMMED = f"sum(rollup_rows)::BIGINT AS rollup_rows, {_SUMMED}"
# The same of rows of the rollup itself.
SUMMED_ROWS = f"count(*) AS rollup_rows, {_SUMMED}"
SUMS = (
    "rollup_rows", "hours", "flows", "answered_flows", "bytes", "weak_flows", "first_us", "last_us", "minimum_client_port",
    "maximum_client_port", "method", "confidence",
)  # fmt: skip


def day_columns(days: int) -> tuple[str, ...]:
    """Return the names of the columns that hold so many days as bits."""
    return tuple(f"days_{number}" for number in range(max(1, min(MOST_COLUMNS, -(-days // DAYS_A_COLUMN)))))


def day_bits(first_us: int, columns: tuple[str, ...]) -> str:
    """Return the columns of days for a query that groups rows, from the row's ``first_us``; ``first_us`` begins the window's first day."""
    return ", ".join(f"bit_or({bit}) AS {name}" for name, bit in _bits_of(first_us, columns, "first_us").items())


def _bits_of(first_us: int, columns: tuple[str, ...], moment: str) -> dict[str, str]:
    made = {}
    for number, name in enumerate(columns):
        offset = f"(({moment} - {int(first_us)}) // 86400000000 - {number * DAYS_A_COLUMN})"
        inside = f"{offset} >= 0 AND {offset} < {DAYS_A_COLUMN}"
        made[name] = f"CASE WHEN {inside} THEN 1::BIGINT << ({offset})::INTEGER ELSE 0::BIGINT END"
    return made


def pairs(first_us: int, days: int, marked: bool) -> str:
    """Return the query of ``pairs``; ``first_us`` is the begin of the window's first day. Without ``marked`` nothing is in ``marks``.

    Made of ``bound_whole``, whose rows are sums over days (whole.py), and ``bound_crossing``, whose rows are of one day.
    """
    columns = day_columns(days)
    marks = "coalesce(m.mark, '')" if marked else "''"
    end = "CASE WHEN b.{0}_device = '' THEN b.{0}_{1} ELSE 0 END AS {0}_{1}"
    picked = [
        "b.client_segment", "b.client_device", end.format("client", "hi"), end.format("client", "lo"), "b.server_segment",
        "b.server_device", end.format("server", "hi"), end.format("server", "lo"), "b.protocol", "b.server_port", "b.class",
        f"CASE WHEN {BOOTSTRAP_SQL} THEN 'bootstrap' ELSE {marks} END AS mark",
        "CASE WHEN b.client_binding = 'ambiguous' OR b.server_binding = 'ambiguous' THEN 'ambiguous' ELSE '' END AS binding",
    ]  # fmt: skip
    sums = [f"b.{name}" for name in SUMS if name != "rollup_rows"]
    bits = [f"{bit} AS {name}" for name, bit in _bits_of(first_us, columns, "b.first_us").items()]
    of_days = ", ".join([*picked, "b.rollup_rows", *sums, *(f"b.{name}" for name in columns)])
    of_one = ", ".join([*picked, "1::BIGINT AS rollup_rows", *sums, *bits])
    same = " AND ".join(
        f"m.{name} = b.{name}"
        for name in ("client_hi", "client_lo", "server_hi", "server_lo", "protocol", "server_port")
    )
    join = f" LEFT JOIN marks m ON {same}" if marked else ""
    return f"""
        SELECT {", ".join(PAIR)}, {", ".join(f"bit_or({name}) AS {name}" for name in columns)}, {SUMMED}
        FROM (
            SELECT {of_days} FROM bound_whole b{join}
            UNION ALL
            SELECT {of_one} FROM bound_crossing b{join}
        ) AS told GROUP BY {", ".join(PAIR)}"""


def pair_columns(days: int) -> dict[str, str]:
    """Return the columns of ``pairs``."""
    return (
        {name: TYPES[name] for name in PAIR} | dict.fromkeys(day_columns(days), "int64") | {n: TYPES[n] for n in SUMS}
    )


def _once(columns: tuple[str, ...]) -> str:
    """Return the condition that a pair was seen on one day only."""
    if len(columns) == 1:
        return f"({columns[0]} & ({columns[0]} - 1)) = 0"
    held = " + ".join(f"CASE WHEN {name} = 0 THEN 0 ELSE 1 END" for name in columns)
    return f"({held} = 1 AND " + " AND ".join(f"({name} & ({name} - 1)) = 0" for name in columns) + ")"


def slow(days: int, declared: str = "false") -> str:
    """Return the query of who looks around slowly: client device, protocol and port (0: ports of one end), from ``pairs``.

    Nine of ten of what such a client opened on the port, or on the end, it opened on one day only, and no more than twice or without an
    answer. Silence alone proves nothing: where an exporter sees one direction only, a master that polls gets no answer on any day.
    ``declared`` is a condition on ``pairs`` for scanners and pollers that the site knows.
    """
    fleeting = f"({_once(day_columns(days))} AND (answered_flows = 0 OR flows <= 2))"
    ours = f"SELECT *, CASE WHEN {fleeting} THEN 1 ELSE 0 END AS fleeting FROM pairs WHERE client_device <> '' AND class NOT IN {GROUPS}"
    ours += f" AND NOT ({declared}) AND mark = ''"
    return f"""
        WITH ours AS ({ours})
        SELECT client_device, protocol, server_port, '' AS server_device, 0::BIGINT AS server_hi, 0::BIGINT AS server_lo,
            count(*) AS ends
        FROM ours GROUP BY client_device, protocol, server_port HAVING count(*) >= {SLOW_ENDS} AND 10 * sum(fleeting) >= 9 * count(*)
        UNION ALL
        SELECT client_device, -1::SMALLINT AS protocol, -1 AS server_port, server_device, server_hi, server_lo, count(*) AS ends
        FROM ours GROUP BY client_device, server_device, server_hi, server_lo
        HAVING count(*) >= {SLOW_PORTS} AND 10 * sum(fleeting) >= 9 * count(*)"""


def habits(days: int, placed: bool = False) -> Question:
    """What each device opens (peer: the server's segment) and serves (peer: the client's), protocol and port; dynamic ports count as one.

    What was neither answered nor seen twice is no habit, nor is what is marked or looks around. Who opened anything at all to a device,
    an alarm that nothing answers on one day, is told as well (``reached``, protocol and port 0): it is no habit, and would be cut.
    With ``placed`` (device, segment) a device of that relation counts as that segment's where it is the other end.
    """
    joins, client, server = "", "p.client_segment", "p.server_segment"
    if placed:
        joins = " LEFT JOIN placed_devices y ON y.device = p.client_device LEFT JOIN placed_devices z ON z.device = p.server_device"
        client, server = "coalesce(y.segment, p.client_segment)", "coalesce(z.segment, p.server_segment)"
    port = f"CASE WHEN p.server_port >= {EPHEMERAL} THEN {EPHEMERAL} ELSE p.server_port END"
    live = " AND ".join(f"p.{part}" for part in LIVE.split(" AND "))
    live += " AND NOT EXISTS (SELECT 1 FROM slow w WHERE w.client_device = p.client_device AND w.protocol = p.protocol"
    live += " AND w.server_port = p.server_port)"
    kept = f"{live} AND (p.answered_flows > 0 OR NOT {_once(day_columns(days))})"
    query = f"""
        SELECT DISTINCT p.client_segment AS segment, p.client_device AS device, 'opens' AS role, {server} AS peer, p.protocol,
            {port} AS server_port FROM pairs p{joins} WHERE {kept}
        UNION ALL
        SELECT DISTINCT p.server_segment AS segment, p.server_device AS device, 'serves' AS role, {client} AS peer, p.protocol,
            {port} AS server_port FROM pairs p{joins} WHERE {kept} AND p.server_device <> ''
        UNION ALL
        SELECT DISTINCT p.server_segment AS segment, p.server_device AS device, 'reached' AS role, p.client_segment AS peer,
            0::SMALLINT AS protocol, 0 AS server_port FROM pairs p WHERE {live} AND p.server_device <> ''"""
    columns = dict.fromkeys(("segment", "device", "role", "peer"), "string") | {
        "protocol": "int16",
        "server_port": "int32",
    }
    return Question(query, columns, "segment, device, role, peer, protocol, server_port")


def judged(days: int, held: bool = False) -> str:
    """Return the query of ``pairs`` with the mark ``slow-scan`` on what ``slow`` names, and without a mark what a person has approved.

    ``approved``: client_segment, server_segment, protocol, first_port, last_port. With ``held`` (device, segment) what a device of that
    relation opens or serves is that segment's, and so is what a person has approved for the one that it comes from: it is there no more.
    """
    place = {}
    if held:
        place = {
            f"{end}_segment": f"coalesce({alias}.segment, p.{end}_segment)"
            for end, alias in (("client", "y"), ("server", "z"))
        }
    joins = (
        " LEFT JOIN held_devices y ON y.device = p.client_device LEFT JOIN held_devices z ON z.device = p.server_device"
        if held
        else ""
    )
    names = ", ".join(
        f"{place[name]} AS {name}" if name in place else f"p.{name}" for name in pair_columns(days) if name != "mark"
    )
    candidate = ("client_segment", "server_segment", "protocol", "server_port")
    same = " AND ".join(f"h.{name} = p.{name}" for name in candidate)
    return f"""
        WITH held AS (
            SELECT DISTINCT {", ".join(f"q.{name}" for name in candidate)}, 1 AS approved
            FROM pairs q JOIN approved a ON a.client_segment = q.client_segment AND a.server_segment = q.server_segment
                AND a.protocol = q.protocol AND a.first_port <= q.server_port AND a.last_port >= q.server_port
        )
        SELECT {names}, p.mark AS told, CASE
            WHEN p.mark <> 'bootstrap' AND h.approved IS NOT NULL THEN ''
            WHEN p.mark <> '' THEN p.mark
            WHEN w.ends IS NOT NULL OR d.ends IS NOT NULL THEN 'slow-scan' ELSE '' END AS mark
        FROM pairs p{joins}
            LEFT JOIN held h ON {same}
            LEFT JOIN slow w ON w.client_device = p.client_device AND w.protocol = p.protocol AND w.server_port = p.server_port
            LEFT JOIN slow d ON d.protocol = -1 AND d.client_device = p.client_device AND d.server_device = p.server_device
                AND d.server_hi = p.server_hi AND d.server_lo = p.server_lo"""


def candidates(days: int) -> Question:
    """Sum ``judged`` to what a rule could be made of: both ends known, unmarked, one row for each segment pair, protocol and port.

    What was never answered, on one day, by one pair of devices, is left to ``strays``.
    """
    columns = day_columns(days)
    bits = ", ".join(f"bit_or({name}) AS {name}" for name in columns)
    server = "CASE WHEN server_device <> '' THEN server_device END"
    query = f"""
        SELECT {KEY}, count(*) AS pairs, count(DISTINCT client_device) AS client_devices, count(DISTINCT {server}) AS server_devices,
            count(DISTINCT CASE WHEN server_device = '' THEN server_lo END) AS server_addresses,
            max(CASE WHEN told = 'threat' THEN 1 ELSE 0 END) AS threats, min(client_device) AS client_device,
            min({server}) AS server_device, {bits}, {SUMMED}
        FROM judged WHERE {LIVE} GROUP BY {KEY}
        HAVING NOT ({stray_condition(columns)})"""
    counted = dict.fromkeys(("pairs", "client_devices", "server_devices", "server_addresses", "threats"), "int64")
    made = {name: TYPES[name] for name in KEY.split(", ")} | counted
    made |= {"client_device": "string", "server_device": "string"} | dict.fromkeys(columns, "int64")
    return Question(query, made | {name: TYPES[name] for name in SUMS}, KEY)


def stray_condition(columns: tuple[str, ...]) -> str:
    """Return the condition on a group of pairs that it is a stray: one pair, one day, never answered, not more than twice."""
    bits = " + ".join(f"CASE WHEN bit_or({name}) = 0 THEN 0 ELSE 1 END" for name in columns)
    alone = " AND ".join(f"(bit_or({name}) & (bit_or({name}) - 1)) = 0" for name in columns)
    return f"count(*) = 1 AND sum(answered_flows) = 0 AND sum(flows) <= 2 AND {bits} = 1 AND {alone}"


def strays(days: int, alone: Collection[str] = ()) -> Question:
    """Count what ``candidates`` leaves out, by segments and protocol, with one port as an example.

    What begins or ends in a segment of ``alone`` stands by itself, port by port (``lone`` is the port, -1 for the rest), up to
    MOST_LONE of them: a person has to answer for each.
    """
    columns = day_columns(days)
    names = ", ".join(quoted(name) for name in sorted(alone))
    own = f"client_segment IN ({names}) OR server_segment IN ({names})" if names else "1 = 0"
    query = f"""
        SELECT client_segment, server_segment, protocol, lone, count(*) AS conversations, sum(flows)::BIGINT AS flows,
            min(server_port) AS server_port, min(first_us) AS first_us, max(last_us) AS last_us
        FROM (SELECT *, CASE WHEN own = 1 AND place <= {MOST_LONE} THEN server_port ELSE -1 END AS lone
            FROM (SELECT *, row_number() OVER (ORDER BY own DESC, {KEY}) AS place
                FROM (SELECT {KEY}, CASE WHEN {own} THEN 1 ELSE 0 END AS own, sum(flows) AS flows, min(first_us) AS first_us,
                        max(last_us) AS last_us FROM judged WHERE {LIVE} GROUP BY {KEY}
                    HAVING {stray_condition(columns)}) AS once) AS placed) AS told
        GROUP BY client_segment, server_segment, protocol, lone"""
    made = {name: TYPES[name] for name in ("client_segment", "server_segment", "protocol")}
    made |= {
        "lone": "int32",
        "conversations": "int64",
        "flows": "int64",
        "server_port": "int32",
        "first_us": "int64",
        "last_us": "int64",
    }
    return Question(query, made, "client_segment, server_segment, protocol, lone")


def excluded(days: int) -> Question:
    """Pairs that no rule may be made of, the busiest of each mark first: marked, an end unknown or in no segment, or claimed by several.

    ``place`` is the row's place among those of its mark, from 1 on.
    """
    names = pair_columns(days)
    picked = ", ".join(f'"{name}"' for name in names)
    query = f"""
        SELECT {picked}, row_number() OVER (PARTITION BY mark, binding ORDER BY flows DESC, {", ".join(PAIR)}) AS place
        FROM judged WHERE mark <> 'bootstrap' AND NOT ({LIVE})"""
    return Question(query, {**names, "place": "int64"}, f"place, {', '.join(PAIR)}")


def excluded_counts() -> Question:
    """Count the same by what stands in the way, bootstrap traffic too."""
    flags = {
        "unknown_client": "client_device = ''", "unplaced_client": "client_segment = ''", "unknown_server": "server_device = ''",
        "unplaced_server": "server_segment = ''",
    }  # fmt: skip
    key = ", ".join(("mark", "binding", "class", *flags))
    picked = ", ".join(f"CASE WHEN {text} THEN 1 ELSE 0 END AS {name}" for name, text in flags.items())
    query = f"""
        SELECT {key}, count(*) AS pairs, sum(flows)::BIGINT AS flows, sum(rollup_rows)::BIGINT AS rollup_rows FROM (
            SELECT mark, binding, class, flows, rollup_rows, {picked} FROM judged WHERE NOT ({LIVE})) AS told GROUP BY {key}"""
    columns = dict.fromkeys(("mark", "binding", "class"), "string") | dict.fromkeys(flags, "int32")
    return Question(query, columns | dict.fromkeys(("pairs", "flows", "rollup_rows"), "int64"), key)


def related_sums() -> Question:
    """Flows of related conversations by control protocol and both segments."""
    key = "mark, client_segment, server_segment"
    query = f"""
        SELECT {key}, sum(flows)::BIGINT AS flows FROM judged WHERE starts_with(mark, 'related:') AND client_device <> ''
            AND client_segment <> '' AND server_segment <> '' AND class NOT IN {GROUPS} GROUP BY {key}"""
    return Question(query, dict.fromkeys(key.split(", "), "string") | {"flows": "int64"}, key)


def by_kind() -> Question:
    """In how many client segments devices of a kind (``kinds``: device, kind) open a protocol and port, and how many of them do.

    The support that peers of the same type give each other.
    """
    query = f"""
        SELECT k.kind, j.protocol, j.server_port, j.client_segment, count(DISTINCT j.client_device) AS devices
        FROM judged j JOIN kinds k ON k.device = j.client_device
        WHERE j.client_segment <> '' AND j.server_segment <> '' AND j.class NOT IN {GROUPS} AND j.mark = '' AND j.binding = ''
            AND j.answered_flows > 0
        GROUP BY k.kind, j.protocol, j.server_port, j.client_segment"""
    columns = {
        "kind": "string",
        "protocol": "int16",
        "server_port": "int32",
        "client_segment": "string",
        "devices": "int64",
    }
    return Question(query, columns, "kind, protocol, server_port, client_segment")


def servers_of() -> Question:
    """Which segments serve a protocol and port, on how many of their devices, and to how many devices."""
    query = f"""
        SELECT server_segment, protocol, server_port, count(DISTINCT server_device) AS servers, count(DISTINCT client_device) AS clients
        FROM judged WHERE {LIVE} AND server_device <> '' AND answered_flows > 0 GROUP BY server_segment, protocol, server_port"""
    columns = {
        "server_segment": "string",
        "protocol": "int16",
        "server_port": "int32",
        "servers": "int64",
        "clients": "int64",
    }
    return Question(query, columns, "protocol, server_port, server_segment")


def conversations_counted() -> Question:
    """One row: distinct conversations between devices (addresses where nobody is known), bootstrap traffic among them."""
    query = "SELECT count(*) AS conversations, coalesce(sum(flows), 0)::BIGINT AS flows FROM judged"
    return Question(query, dict.fromkeys(("conversations", "flows"), "int64"))


def incidences(days: int) -> Question:
    """Pairs that a rule could be made of, each with the days it was seen on: what completeness is estimated from."""
    columns = day_columns(days)
    names = ("client_segment", "client_device", "server_segment", "protocol", "server_port")
    picked = ", ".join((*names, *columns))
    order = f"{picked}, server_device, server_hi, server_lo, class"
    return Question(
        f"SELECT {order} FROM judged WHERE {LIVE}",
        {name: TYPES.get(name, "int64") for name in order.split(", ")},
        "client_segment, client_device, server_segment, protocol, server_port, server_device, server_hi, server_lo, class",
    )


def questions(days: int, most_excluded: int, alone: Collection[str] = ()) -> dict[str, Question]:
    """Return every question of learning over ``judged``, by the name of its answer; ``alone``: see ``strays``."""
    one_by_one = excluded(days)
    return {
        "candidates": candidates(days),
        "strays": strays(days, alone),
        "excluded": Question(
            f"SELECT * FROM ({one_by_one.query}) AS ranked WHERE place <= {int(most_excluded)}",
            one_by_one.columns,
            one_by_one.order,
        ),
        "excluded_counts": excluded_counts(),
        "related": related_sums(),
        "by_kind": by_kind(),
        "servers": servers_of(),
        "conversations": conversations_counted(),
        "incidences": incidences(days),
    }
