# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operations ask, in the common dialect of ``engine.py``: text in, text out; nothing here reads a file.

Relations by name: ``connections`` and ``daily`` are the store's; ``intervals`` the register's; ``members`` (device, segment) and
``networks`` (first_hi, first_lo, last_hi, last_lo, segment) the policy's; ``rules`` (rule, client_segment, server_segment, protocol,
first_port, last_port); ``names`` (address_hi, address_lo, name, from_us, to_us). ``bound`` is what
``bound`` returns, ``edges`` what ``EDGES`` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.noise import (
    SCAN_BIN_US,
    SCAN_PAIRS,
    SCAN_PORTS,
    SCAN_SERVERS,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import CONNECTIONS, ROLLUP

DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
SLACK_US = 300_000_000
WEAK_METHOD = 9
CONVERSATION = ("client_hi", "client_lo", "server_hi", "server_lo", "protocol", "server_port", "class")
KEY = ", ".join(f'"{name}"' for name in CONVERSATION)
KEY_TYPES = {name: ROLLUP[name] for name in CONVERSATION}
SUMS = {"days": "int64", **{name: kind for name, kind in ROLLUP.items() if name not in ("day", *CONVERSATION)}}
BINDING = {
    "client_device": "string",
    "server_device": "string",
    "client_binding": "string",
    "server_binding": "string",
}


@dataclass(frozen=True)
class Question:
    """A query and the columns of its answer; ``order`` makes the answer stable."""

    query: str
    columns: dict[str, str]
    order: str = ""

    def text(self, limit: int = 0) -> str:
        """Return the query in its order, cut to ``limit`` rows where that is not 0."""
        order = f" ORDER BY {self.order}" if self.order else ""
        return f"SELECT * FROM ({self.query}) AS answer{order}" + (f" LIMIT {int(limit)}" if limit else "")


def conversations() -> Question:
    """Sum ``daily`` over its days: one row for each conversation."""
    query = f"""
        SELECT {KEY}, count(DISTINCT day) AS days, sum(flows) AS flows, sum(answered_flows) AS answered_flows, sum(packets) AS packets,
            sum(bytes) AS bytes, min(first_us) AS first_us, max(last_us) AS last_us, bit_or(hours) AS hours,
            min(minimum_client_port) AS minimum_client_port, max(maximum_client_port) AS maximum_client_port, min(method) AS method,
            max(confidence) AS confidence, sum(weak_flows) AS weak_flows
        FROM daily GROUP BY {KEY}"""
    return Question(query, {**KEY_TYPES, **SUMS}, KEY)


REPLAYED = {
    **KEY_TYPES,
    **dict.fromkeys(("days", "flows", "answered_flows", "first_us", "last_us"), "int64"),
    "minimum_client_port": "int32",
    "method": "int16",
}
_REPLAY_SUMS = """count(*) AS days, sum(flows)::BIGINT AS flows, sum(answered_flows)::BIGINT AS answered_flows, min(first_us) AS first_us,
    max(last_us) AS last_us, min(minimum_client_port) AS minimum_client_port, min(method) AS method"""


def replayed(rows: str, devices: bool = False, constant: Mapping[str, int] | None = None) -> Question:
    """Sum rows of ``daily`` or ``bound`` to what a replay needs of each conversation, in no order.

    ``days`` counts rows, one for each day on which a conversation was seen; with ``devices`` each holder of an address counts alone.
    ``constant`` as for ``distinct``.
    """
    fixed = _fixed(constant)
    key = [*CONVERSATION, *(BINDING if devices else ())]
    columns = {**REPLAYED, **(BINDING if devices else {})}
    picked = ", ".join(f'"{name}"' for name in columns)
    grouped = ", ".join(f'"{name}"' for name in key if name not in fixed)
    made = ", ".join(fixed.get(name, f'"{name}"') for name in key)
    inner = f"SELECT {made}, {_REPLAY_SUMS} FROM {rows} GROUP BY {grouped}"
    return Question(f"SELECT {picked} FROM ({inner}) AS summed", columns)


def _fixed(constant: Mapping[str, int] | None) -> dict[str, str]:
    """Return expressions for the upper halves of addresses that are known to be one value."""
    return {
        name: f"CAST({int(value)} AS BIGINT) AS {name}"
        for name, value in (constant or {}).items()
        if name in ("client_hi", "server_hi")
    }


MOVED = """EXISTS (SELECT 1 FROM moved m WHERE m.hi = d.client_hi AND m.lo = d.client_lo)
    OR EXISTS (SELECT 1 FROM moved m WHERE m.hi = d.server_hi AND m.lo = d.server_lo)"""


def distinct(constant: Mapping[str, int] | None = None) -> Question:
    """Distinct client, server, protocol and port of ``connections``, every exporter's view counted: what ``nfdump -A`` gives.

    ``constant`` names columns of one value, which then need no grouping: where all is IPv4, the upper halves of the addresses.
    """
    key = ("client_hi", "client_lo", "server_hi", "server_lo", "protocol", "server_port")
    fixed = _fixed(constant)
    grouped = ", ".join(name for name in key if name not in fixed)
    query = f"""
        SELECT {", ".join(fixed.get(name, name) for name in key)}, min(start_us) AS first_us, max(end_us) AS last_us, count(*) AS views,
            sum(packets_out + packets_in) AS packets, sum(bytes_out + bytes_in) AS bytes
        FROM connections GROUP BY {grouped}"""
    columns = {name: CONNECTIONS[name] for name in key}
    return Question(
        query, columns | dict.fromkeys(("first_us", "last_us", "views", "packets", "bytes"), "int64"), ", ".join(key)
    )


# Who held an address when, with the segment of the device; the intervals of one address do not overlap.
HOLDERS = """
    SELECT i.address_hi AS hi, i.address_lo AS lo, i.from_us AS from_us, i.to_us AS to_us, i.device AS device,
        CASE WHEN starts_with(i.source, 'assumed') THEN 1 ELSE 0 END AS assumed, coalesce(m.segment, '') AS segment
    FROM intervals i LEFT JOIN members m ON m.device = i.device"""


def places(rows: str) -> str:
    """Return the query of the addresses of ``rows`` that lie in a named network; of several names the first."""
    return f"""
        SELECT a.hi, a.lo, min(n.segment) AS segment
        FROM (SELECT client_hi AS hi, client_lo AS lo FROM {rows} UNION SELECT server_hi, server_lo FROM {rows}) AS a
        JOIN networks n ON a.hi BETWEEN n.first_hi AND n.last_hi
            AND (n.first_hi < n.last_hi OR a.lo BETWEEN n.first_lo AND n.last_lo)
        GROUP BY a.hi, a.lo"""


def across(end: str, rows: str) -> str:
    """Return who held the address at one end of those ``rows`` whose time reaches over the end of an interval."""
    return f"""
        SELECT r.{end}_hi AS hi, r.{end}_lo AS lo, r.first_us, r.last_us, min(h.device) AS device, max(h.device) AS other,
            min(h.assumed) AS assumed, min(h.segment) AS segment
        FROM {rows} r JOIN holders h ON h.hi = r.{end}_hi AND h.lo = r.{end}_lo AND h.from_us <= r.last_us AND h.to_us > r.first_us
            AND (h.from_us > r.first_us OR h.to_us <= r.last_us)
        WHERE h.from_us > {-(1 << 62)} OR h.to_us < {1 << 62}
        GROUP BY r.{end}_hi, r.{end}_lo, r.first_us, r.last_us"""


def bound(rows: str = "daily", suffix: str = "", named: str = "places") -> str:
    """Return the query of ``rows`` and who held both ends then; needs ``holders``, ``places`` (under the name ``named``) and, with the
    suffix, ``across_client`` and ``across_server`` of the rows.

    ``client_binding`` and ``server_binding``: ``bound``, ``assumed`` (before it was first or after it was last seen, nobody else claimed
    the address), ``unknown`` or ``ambiguous``. Nobody is guessed: the device is empty unless it is the only one. Groups are no devices.
    ``client_segment`` and ``server_segment`` are the device's, else the named network's, else empty. ``rows`` needs the address columns,
    ``class``, ``first_us`` and ``last_us``.
    """
    picked, joins = [], []
    for end in ("client", "server"):
        one, many, place = f"{end[0]}1", f"{end[0]}2", f"{end[0]}3"
        device = f"coalesce({one}.device, CASE WHEN {many}.device = {many}.other THEN {many}.device END, '')"
        group = "r.class IN ('multicast', 'broadcast')" if end == "server" else "false"
        held = f"({device} <> '' AND NOT {group})"
        picked += [
            f"CASE WHEN {group} THEN '' ELSE {device} END AS {end}_device",
            f"CASE WHEN {group} OR ({one}.device IS NULL AND {many}.device IS NULL) THEN 'unknown' WHEN {device} = '' THEN 'ambiguous'"
            f" WHEN coalesce({one}.assumed, {many}.assumed) = 1 THEN 'assumed' ELSE 'bound' END AS {end}_binding",
            f"CASE WHEN {held} THEN coalesce({one}.segment, {many}.segment) ELSE coalesce({place}.segment, '') END AS {end}_segment",
        ]
        joins.append(f"""
            LEFT JOIN holders {one} ON {one}.hi = r.{end}_hi AND {one}.lo = r.{end}_lo
                AND {one}.from_us <= r.first_us AND {one}.to_us > r.last_us
            LEFT JOIN across_{end}{suffix} {many} ON {many}.hi = r.{end}_hi AND {many}.lo = r.{end}_lo
                AND {many}.first_us = r.first_us AND {many}.last_us = r.last_us
            LEFT JOIN {named} {place} ON {place}.hi = r.{end}_hi AND {place}.lo = r.{end}_lo""")
    return f"SELECT r.*, {', '.join(picked)} FROM {rows} r{''.join(joins)}"


_R_KEY = ", ".join(f'r."{name}"' for name in CONVERSATION)
_D_KEY = ", ".join(f'd."{name}"' for name in CONVERSATION)
_SAME_KEY = " AND ".join(f'c."{name}" = d."{name}"' for name in CONVERSATION)


def doubtful(rows: str = "daily", suffix: str = "") -> str:
    """Return the query of ``rows`` within whose time an address changed hands; needs ``across_client`` and ``across_server`` of them.

    One that two devices claim at once stays ambiguous however it is split.
    """
    return " UNION ".join(
        f"""
        SELECT r.day, {_R_KEY}, r.first_us - r.first_us % {DAY_US} AS day_us
        FROM {rows} r JOIN across_{end}{suffix} x
            ON x.hi = r.{end}_hi AND x.lo = r.{end}_lo AND x.first_us = r.first_us AND x.last_us = r.last_us
        WHERE x.device <> x.other"""
        for end in ("client", "server")
    )


def seen(suffix: str = "") -> str:
    """Return the query of the connections behind ``doubtful`` rows, each with its own time.

    Which pairs of addresses are concerned is asked first, by two columns: the others are then not read for most rows.
    """
    near = f"EXISTS (SELECT 1 FROM doubtful{suffix} p WHERE p.client_lo = h.client_lo AND p.server_lo = h.server_lo)"
    return f"""
        SELECT d.day, {_D_KEY}, c.exporter, c.start_us AS first_us, c.end_us AS last_us, c.answered,
            c.packets_out + c.packets_in AS packets, (c.bytes_out + c.bytes_in) * c.sampling AS bytes, c.client_port, c.method,
            c.confidence
        FROM (SELECT * FROM handed_over{suffix} h WHERE {near}) c
            JOIN doubtful{suffix} d ON {_SAME_KEY} AND c.start_us - c.start_us % {DAY_US} = d.day_us"""


def pieces(suffix: str = "") -> str:
    """Return the query of those of ``seen`` that count: of several exporters the one with most packets speaks."""
    return f"""
        WITH totals AS (
            SELECT day, {KEY}, exporter, sum(packets) AS total FROM seen{suffix} GROUP BY day, {KEY}, exporter
        ), ranked AS (
            SELECT *, row_number() OVER (PARTITION BY day, {KEY} ORDER BY total DESC, exporter) AS place FROM totals
        )
        SELECT c.* FROM seen{suffix} c JOIN ranked d ON {_SAME_KEY} AND c.day = d.day AND c.exporter = d.exporter WHERE d.place = 1"""


WHO = "client_device, server_device, client_binding, server_binding, client_segment, server_segment"


def split(suffix: str = "") -> str:
    """Return the query of ``bound_days`` with the doubtful rows replaced by rows made of ``bound_pieces``, where there are any."""
    numbers = [name for name in ROLLUP if name not in ("day", *CONVERSATION)]
    made = {
        "flows": "count(*)",
        "answered_flows": "count(*) FILTER (WHERE answered)",
        "packets": "sum(packets)::BIGINT",
        "bytes": "sum(bytes)::BIGINT",
        "first_us": "min(first_us)",
        "last_us": "max(last_us)",
        "hours": f"bit_or((1 << ((first_us % {DAY_US}) // {HOUR_US})::INTEGER)::INTEGER)",
        "minimum_client_port": "min(client_port)",
        "maximum_client_port": "max(client_port)",
        "method": "min(method)",
        "confidence": "max(confidence)",
        "weak_flows": f"count(*) FILTER (WHERE method = {WEAK_METHOD})",
    }
    summed = ", ".join(f"{made[name]} AS {name}" for name in numbers)
    same = " AND ".join(f'p."{name}" = b."{name}"' for name in ("day", *CONVERSATION))
    return f"""
        SELECT day, {KEY}, {", ".join(numbers)}, {WHO} FROM bound_days{suffix} b
        WHERE NOT EXISTS (SELECT 1 FROM pieces_of{suffix} p WHERE {same})
        UNION ALL
        SELECT day, {KEY}, {summed}, {WHO} FROM bound_pieces{suffix} GROUP BY day, {KEY}, {WHO}"""


def search(conditions: str, rows: str, order: str) -> Question:
    """Return rows of ``daily`` or ``bound`` that meet a condition."""
    columns = dict(ROLLUP) | (dict.fromkeys(WHO.split(", "), "string") if rows != "daily" else {})
    picked = ", ".join(f'"{name}"' for name in columns)
    return Question(f"SELECT {picked} FROM {rows} WHERE {conditions}", columns, order)


def evidence() -> Question:
    """Sum ``bound`` over segment edges: what was seen for each pair of segments, protocol and port (facts/flows.md section 7)."""
    key = "client_segment, server_segment, protocol, server_port, class"
    query = f"""
        SELECT {key}, count(DISTINCT client_device) AS client_devices,
            count(DISTINCT CASE WHEN server_device <> '' THEN server_device END) AS server_devices,
            count(DISTINCT day) AS days, bit_or(hours) AS hours, sum(flows) AS flows, sum(answered_flows) AS answered_flows,
            sum(bytes) AS bytes, sum(weak_flows) AS weak_flows, min(first_us) AS first_us, max(last_us) AS last_us,
            min(method) AS method, max(confidence) AS confidence
        FROM bound WHERE client_device <> '' GROUP BY {key}"""
    names = ("client_devices", "server_devices", "days")
    columns = {"client_segment": "string", "server_segment": "string", "protocol": "int16", "server_port": "int32"}
    columns |= {"class": "string", **dict.fromkeys(names, "int64")}
    for name in (
        "hours",
        "flows",
        "answered_flows",
        "bytes",
        "weak_flows",
        "first_us",
        "last_us",
        "method",
        "confidence",
    ):
        columns[name] = SUMS[name]
    return Question(query, columns, key)


def _permitted(row: str) -> str:
    return (
        f"u.client_segment = {row}.client_segment AND u.server_segment = {row}.server_segment AND u.protocol = {row}.protocol"
        f" AND {row}.server_port BETWEEN u.first_port AND u.last_port"
    )


EDGES = """
    SELECT client_segment, server_segment, protocol, server_port, client_binding, server_binding, sum(flows) AS flows,
        sum(weak_flows) AS weak_flows, sum(bytes) AS bytes, max(last_us) AS last_us
    FROM bound GROUP BY client_segment, server_segment, protocol, server_port, client_binding, server_binding"""


def unmatched() -> Question:
    """Edges between segments that no rule of ``rules`` permits, with the binding behind them: recorded traffic a policy has no word for.

    Replay proper walks the compiled lists (``proof/replay.py``); this is the cut through years of it that says where to look.
    """
    key = "client_segment, server_segment, protocol, server_port, client_binding, server_binding"
    query = f"SELECT * FROM edges e WHERE NOT EXISTS (SELECT 1 FROM rules u WHERE {_permitted('e')})"
    columns = {
        "client_segment": "string",
        "server_segment": "string",
        "protocol": "int16",
        "server_port": "int32",
        "client_binding": "string",
        "server_binding": "string",
        **dict.fromkeys(("flows", "weak_flows", "bytes", "last_us"), "int64"),
    }
    return Question(query, columns, key)


def unused() -> Question:
    """Rules that nothing recorded needs."""
    query = f"SELECT u.rule AS rule FROM rules u WHERE NOT EXISTS (SELECT 1 FROM edges e WHERE {_permitted('e')})"
    return Question(query, {"rule": "int64"}, "rule")


def appeared(boundary: int) -> Question:
    """Conversations of ``daily`` that were first seen on or after the day number ``boundary`` (days since 1970): drift of behaviour."""
    moment = int(boundary) * DAY_US
    query = f"""
        SELECT {KEY}, count(DISTINCT day) AS days, sum(flows) AS flows, min(first_us) AS first_us, max(last_us) AS last_us
        FROM daily n WHERE n.first_us >= {moment} AND NOT EXISTS (
            SELECT 1 FROM daily o WHERE o.first_us < {moment} AND o.client_hi = n.client_hi AND o.client_lo = n.client_lo
                AND o.server_hi = n.server_hi AND o.server_lo = n.server_lo AND o.protocol = n.protocol
                AND o.server_port = n.server_port AND o.class = n.class)
        GROUP BY {KEY}"""
    return Question(query, {**KEY_TYPES, **dict.fromkeys(("days", "flows", "first_us", "last_us"), "int64")}, KEY)


def scans() -> Question:
    """Clients that scanned, by five minutes: 25 servers on a port, 15 ports on a server or 40 pairs, most of them for nothing."""
    client = "client_hi, client_lo"
    query = f"""
        WITH pairs AS (
            SELECT {client}, start_us - start_us % {SCAN_BIN_US} AS since_us, server_hi, server_lo, protocol, server_port,
                min(CASE WHEN NOT answered OR (protocol = 6 AND packets_out + packets_in > 0
                    AND bytes_out + bytes_in <= 78 * (packets_out + packets_in)) THEN 0 ELSE 1 END) AS fruitful
            FROM connections WHERE class IN ('unicast', 'peer')
            GROUP BY {client}, start_us - start_us % {SCAN_BIN_US}, server_hi, server_lo, protocol, server_port
        ), totals AS (
            SELECT {client}, since_us, count(*) AS pairs, sum(1 - fruitful) AS fruitless FROM pairs GROUP BY {client}, since_us
            HAVING count(*) >= {min(SCAN_SERVERS, SCAN_PORTS, SCAN_PAIRS)} AND 2 * sum(1 - fruitful) > count(*)
        ), wide AS (
            SELECT {client}, since_us, max(servers) AS servers_on_a_port FROM (
                SELECT p.client_hi, p.client_lo, p.since_us, count(*) AS servers
                FROM pairs p JOIN totals t ON t.client_hi = p.client_hi AND t.client_lo = p.client_lo AND t.since_us = p.since_us
                GROUP BY p.client_hi, p.client_lo, p.since_us, p.protocol, p.server_port
            ) AS by_port GROUP BY {client}, since_us
        ), deep AS (
            SELECT {client}, since_us, max(ports) AS ports_on_a_server FROM (
                SELECT p.client_hi, p.client_lo, p.since_us, count(*) AS ports
                FROM pairs p JOIN totals t ON t.client_hi = p.client_hi AND t.client_lo = p.client_lo AND t.since_us = p.since_us
                GROUP BY p.client_hi, p.client_lo, p.since_us, p.server_hi, p.server_lo
            ) AS by_server GROUP BY {client}, since_us
        )
        SELECT t.client_hi, t.client_lo, t.since_us, t.pairs, t.fruitless, w.servers_on_a_port, d.ports_on_a_server
        FROM totals t
            JOIN wide w ON w.client_hi = t.client_hi AND w.client_lo = t.client_lo AND w.since_us = t.since_us
            JOIN deep d ON d.client_hi = t.client_hi AND d.client_lo = t.client_lo AND d.since_us = t.since_us
        WHERE w.servers_on_a_port >= {SCAN_SERVERS} OR d.ports_on_a_server >= {SCAN_PORTS} OR t.pairs >= {SCAN_PAIRS}"""
    names = ("client_hi", "client_lo", "since_us", "pairs", "fruitless", "servers_on_a_port", "ports_on_a_server")
    return Question(query, dict.fromkeys(names, "int64"), "client_hi, client_lo, since_us")


def degrees() -> Question:
    """How many clients each server address, protocol and port of ``daily`` has, and on how many days: who is a server."""
    key = "server_hi, server_lo, protocol, server_port"
    query = f"""
        SELECT {key}, count(*) AS clients, max(days) AS days, sum(flows) AS flows, min(method) AS method FROM (
            SELECT {key}, client_hi, client_lo, count(DISTINCT day) AS days, sum(flows) AS flows, min(method) AS method FROM daily
            WHERE class IN ('unicast', 'peer') GROUP BY {key}, client_hi, client_lo
        ) AS pairs GROUP BY {key}"""
    columns = {name: ROLLUP[name] for name in key.split(", ")}
    return Question(query, {**columns, "clients": "int64", "days": "int64", "flows": "int64", "method": "int16"}, key)


def services() -> Question:
    """Ports that ends of ``bound`` serve and use: answered conversations that are not in ``noise``, by device, or by address where none.

    ``side`` is ``served`` or ``used``, ``peers`` the number of other ends, ``confidence`` that of the best orientation.
    """
    key = "side, device, hi, lo, protocol, server_port"
    sides = " UNION ALL ".join(
        f"""SELECT '{side}' AS side, {own}_device AS device, CASE WHEN {own}_device = '' THEN {own}_hi ELSE 0 END AS hi,
            CASE WHEN {own}_device = '' THEN {own}_lo ELSE 0 END AS lo, protocol, server_port, {peer}_hi AS peer_hi, {peer}_lo AS peer_lo,
            flows, confidence, last_us FROM heard"""
        for side, own, peer in (("served", "server", "client"), ("used", "client", "server"))
    )
    query = f"""
        WITH heard AS (
            SELECT b.* FROM bound b WHERE b.class IN ('unicast', 'peer') AND b.answered_flows > 0 AND b.protocol IN (6, 17)
                AND b.server_port > 0 AND b.method <> 9 AND NOT EXISTS (SELECT 1 FROM noise n WHERE n.client_hi = b.client_hi
                AND n.client_lo = b.client_lo AND n.server_hi = b.server_hi AND n.server_lo = b.server_lo
                AND n.protocol = b.protocol AND n.server_port = b.server_port)
        ), pairs AS (
            SELECT {key}, peer_hi, peer_lo, sum(flows) AS flows, max(confidence) AS confidence, max(last_us) AS last_us
            FROM ({sides}) AS sides GROUP BY {key}, peer_hi, peer_lo
        )
        SELECT {key}, count(*) AS peers, sum(flows) AS flows, max(confidence) AS confidence, max(last_us) AS last_us
        FROM pairs GROUP BY {key}"""
    columns = {
        "side": "string",
        "device": "string",
        "hi": "int64",
        "lo": "int64",
        "protocol": "int16",
        "server_port": "int32",
    }
    more = {"peers": "int64", "flows": "int64", "confidence": "float32", "last_us": "int64"}
    return Question(query, {**columns, **more}, key)


def named() -> Question:
    """Rows of ``daily`` by the name their server's address had then (``names``), per client, protocol and port."""
    key = "client_hi, client_lo, name, protocol, server_port"
    query = """
        SELECT d.client_hi, d.client_lo, n.name AS name, d.protocol, d.server_port, count(DISTINCT d.day) AS days, sum(d.flows) AS flows,
            min(d.first_us) AS first_us, max(d.last_us) AS last_us
        FROM daily d JOIN names n ON n.address_hi = d.server_hi AND n.address_lo = d.server_lo
            AND n.from_us <= d.last_us AND n.to_us > d.first_us
        GROUP BY d.client_hi, d.client_lo, n.name, d.protocol, d.server_port"""
    columns = {
        "client_hi": "int64",
        "client_lo": "int64",
        "name": "string",
        "protocol": "int16",
        "server_port": "int32",
    }
    return Question(query, columns | dict.fromkeys(("days", "flows", "first_us", "last_us"), "int64"), key)


def bindings() -> Question:
    """Flows of ``bound`` by day and by what is known of both ends: how much of a day no device answers for."""
    key = "day, client_binding, server_binding"
    query = f"SELECT {key}, count(*) AS rollup_rows, sum(flows) AS flows, sum(bytes) AS bytes FROM bound GROUP BY {key}"
    columns = {"day": "date32", "client_binding": "string", "server_binding": "string"}
    return Question(query, columns | dict.fromkeys(("rollup_rows", "flows", "bytes"), "int64"), key)


COUNTS = {
    "rollup_rows": "count(*)",
    "flows": "coalesce(sum(flows), 0)::BIGINT",
    "answered_flows": "coalesce(sum(answered_flows), 0)::BIGINT",
    "weak_flows": "coalesce(sum(weak_flows), 0)::BIGINT",
    "packets": "coalesce(sum(packets), 0)::BIGINT",
    "bytes": "coalesce(sum(bytes), 0)::BIGINT",
    "first_us": "min(first_us)",
    "last_us": "max(last_us)",
}


def totals() -> Question:
    """One row of sums over ``daily``."""
    picked = ", ".join(f"{text} AS {name}" for name, text in COUNTS.items())
    return Question(f"SELECT {picked} FROM daily", dict.fromkeys(COUNTS, "int64"))


def reach() -> Question:
    """One row: when the first of ``daily`` began and the last ended."""
    columns = dict.fromkeys(("first_us", "last_us"), "int64")
    return Question("SELECT min(first_us) AS first_us, max(last_us) AS last_us FROM daily", columns)


def flows_by(column: str) -> Question:
    """Flows and rows of ``daily`` by one of its columns."""
    if column not in ROLLUP:
        raise ValueError(f"the rollup has no column {column!r}")
    query = f'SELECT "{column}", sum(flows)::BIGINT AS flows, count(*) AS rollup_rows FROM daily GROUP BY "{column}"'
    return Question(query, {column: ROLLUP[column], "flows": "int64", "rollup_rows": "int64"}, f'"{column}"')


def busiest() -> Question:
    """Conversations of ``daily`` by bytes, the most first."""
    asked = conversations()
    return Question(asked.query, asked.columns, f"bytes DESC, {KEY}")
