# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Orientation: which end of a conversation is the client, how that was decided and how sure it is.

The rules stand in facts/flows.md section 5; the first that speaks decides, and its number is kept as ``method``:

0 the exporter says so; 1 a handshake packet, an ICMP request, or a group or broadcast address as target; 2 SYN from both ends and
start times that differ by more than the clock's step; 3 the end was proved a server before; 4 the operator says so; 5 the end has
many peer sockets; 6 a port of the list; 7 exactly one port at or above 32768; 8 same port at both ends, or no ports; 9 a guess: the end
that spoke first more often, where the times differ by more than the clock's step, else the one with the higher port.

Conversations oriented by 5 or weaker keep a direction that the store already has, unless the new method is stronger.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.address import range_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.degrees import count_degrees
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ports import Hint, known_ports

CONFIDENCE = (1.0, 1.0, 0.98, 0.97, 0.96, 0.95, 0.9, 0.8, 0.8, 0.5)
DIRECT = 2
LISTENER_DAYS = 90
MINIMUM_DEGREE = 3
EPHEMERAL = 32768
FTP_DATA = 20
# RFC 5771, RFC 919, RFC 4291 section 2.7 as ranges of the address columns.
GROUPS_V4 = range_of("224.0.0.0/4")
GROUPS_V6 = range_of("ff00::/8")
BROADCAST = range_of("255.255.255.255/32")


def prepare_evidence(connection: Any, hints: Sequence[Hint] = ()) -> None:
    """Create the tables that orientation reads besides ``wholes``: the port list and hints, and what the store knows, still empty.

    The caller fills ``past_servers`` (hi, lo, port, protocol, clients, last_us) and ``past_directions`` (client, server, protocol,
    server_port, method) from the rollup.
    """
    connection.execute("CREATE TABLE known_ports (protocol SMALLINT, port INTEGER, known_rank INTEGER)")
    rows = ", ".join(f"({each.protocol}, {each.port}, {each.rank})" for each in known_ports())
    connection.execute(f"INSERT INTO known_ports VALUES {rows}")
    connection.execute(
        "CREATE TABLE hints (protocol SMALLINT, first INTEGER, last INTEGER,"
        " first_hi BIGINT, first_lo BIGINT, last_hi BIGINT, last_lo BIGINT)"
    )
    for hint in hints:
        (first_hi, first_lo), (last_hi, last_lo) = range_of(hint.network)
        values = [hint.protocol, hint.first, hint.last, first_hi, first_lo, last_hi, last_lo]
        connection.execute("INSERT INTO hints VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    connection.execute(
        "CREATE TABLE past_servers (hi BIGINT, lo BIGINT, port INTEGER, protocol SMALLINT, proved BOOLEAN, clients BIGINT, last_us BIGINT)"
    )
    connection.execute(
        "CREATE TABLE past_directions (client_hi BIGINT, client_lo BIGINT, server_hi BIGINT, server_lo BIGINT, protocol SMALLINT,"
        " server_port INTEGER, method SMALLINT)"
    )


def orient(connection: Any) -> None:
    """Make the table ``oriented`` (number, a_is_client, method, confidence, class) from ``wholes`` and the evidence tables."""
    _direct(connection)
    count_degrees(connection)
    _evidence(connection)
    _decide(connection)
    for table in ("direct", "endpoints", "peer_sides"):
        connection.execute(f"DROP TABLE {table}")


def _group(side: str) -> str:
    (v4_hi, v4_first), (_hi, v4_last) = GROUPS_V4
    (v6_first, _lo), (v6_last, _low) = GROUPS_V6
    return (
        f"(({side}_hi = {v4_hi} AND {side}_lo BETWEEN {v4_first} AND {v4_last})"
        f" OR {side}_hi BETWEEN {v6_first} AND {v6_last})"
    )


def _everyone(side: str, other: str) -> str:
    """Return the condition that a side is a broadcast address: all ones, told by the frame, or .255 that never speaks."""
    hi, lo = BROADCAST[0]
    lonely = f"{side}_hi = {hi} AND (({side}_lo & 255) = 255) AND {side}_packets = 0 AND protocol = 17"
    return f"(({side}_hi = {hi} AND {side}_lo = {lo}) OR {other}_broadcasts OR ({lonely}))"


def _direct(connection: Any) -> None:
    """Table ``direct``: class, and client side and method by rules 0 to 2 where one of them speaks."""
    # What the later rules ask for; every column more is written and read again.
    ends = [f"{end}_{part}" for end in "ab" for part in ("hi", "lo", "port", "start", "place")]
    kept = ", ".join(("number", "protocol", "class", "step_us", *ends))
    connection.execute(
        f"""
        CREATE TABLE direct AS
        WITH classed AS (
            SELECT *,
                CASE WHEN {_group("a")} OR {_group("b")} THEN 'multicast'
                     WHEN {_everyone("a", "b")} OR {_everyone("b", "a")} THEN 'broadcast'
                     WHEN protocol NOT IN (1, 6, 58) AND a_port = b_port THEN 'peer' ELSE 'unicast' END AS class,
                NOT ({_group("a")} OR {_everyone("a", "b")}) AS a_sends
            FROM wholes
        )
        SELECT {kept},
            CASE WHEN class IN ('multicast', 'broadcast') THEN 1
                 WHEN (a_opened + b_answers > 0) <> (b_opened + a_answers > 0) THEN 0
                 WHEN protocol IN (1, 58) AND a_port <> b_port THEN 1
                 WHEN a_pure <> b_pure THEN 1
                 WHEN a_syn_ack <> b_syn_ack THEN 1
                 WHEN protocol = 6 AND a_flags & 2 = 2 AND b_flags & 2 = 2 AND abs(a_start - b_start) > step_us THEN 2
            END AS method,
            CASE WHEN class IN ('multicast', 'broadcast') THEN a_sends
                 WHEN (a_opened + b_answers > 0) <> (b_opened + a_answers > 0) THEN a_opened + b_answers > 0
                 WHEN protocol IN (1, 58) AND a_port <> b_port THEN a_port = 0
                 WHEN a_pure <> b_pure THEN a_pure
                 WHEN a_syn_ack <> b_syn_ack THEN b_syn_ack
                 WHEN protocol = 6 AND a_flags & 2 = 2 AND b_flags & 2 = 2 THEN a_start < b_start
            END AS a_is_client
        FROM classed
        """
    )


def _evidence(connection: Any) -> None:
    """Table ``endpoints``: per address, protocol and port whether it is proved a server, and how many peer sockets it has.

    Ports at both ends alike say nothing about degree: a master that polls many peers from the service's own port has the most.
    """
    connection.execute(
        f"""
        CREATE TABLE endpoints AS
        WITH directed AS (SELECT * FROM direct WHERE method <= {DIRECT} AND class = 'unicast' AND protocol NOT IN (1, 58)),
        last AS (SELECT coalesce(max(end_us), 0) AS moment FROM wholes),
        proved AS (
            SELECT CASE WHEN a_is_client THEN b_hi ELSE a_hi END AS hi, CASE WHEN a_is_client THEN b_lo ELSE a_lo END AS lo,
                CASE WHEN a_is_client THEN b_port ELSE a_port END AS port, protocol FROM directed
            UNION
            SELECT hi, lo, port, protocol FROM past_servers, last WHERE proved AND last_us > moment - {LISTENER_DAYS} * 86400000000::BIGINT
        ), contradicted AS (
            SELECT DISTINCT CASE WHEN a_is_client THEN a_hi ELSE b_hi END AS hi, CASE WHEN a_is_client THEN a_lo ELSE b_lo END AS lo,
                CASE WHEN a_is_client THEN a_port ELSE b_port END AS port, protocol FROM directed
        ), degrees AS (
            SELECT hi, lo, port, protocol, sum(peers)::BIGINT AS degree FROM (
                SELECT hi, lo, port, protocol, peers FROM counted_degrees
                UNION ALL
                SELECT hi, lo, port, protocol, clients FROM past_servers
            ) GROUP BY ALL
        )
        SELECT hi, lo, port, protocol, max(proved) AS proved, max(degree) AS degree FROM (
            SELECT hi, lo, port, protocol, true AS proved, 0 AS degree FROM proved ANTI JOIN contradicted USING (hi, lo, port, protocol)
            UNION ALL
            SELECT hi, lo, port, protocol, false, degree FROM degrees
        ) GROUP BY ALL
        """
    )
    # Peers have no direction of their own; one is chosen for the pair, by who spoke first most often, so that it does not flip. For a
    # guess the same is asked of the two sockets: in whole captures who is seen first is hardly ever wrong (facts/flows.md section 5),
    # and where packets are missing it is as much chance as the ports are.
    connection.execute(
        f"""
        CREATE TABLE peer_sides AS
        SELECT a_hi, a_lo, b_hi, b_lo, a_port, b_port, protocol,
            sum(CASE WHEN b_start IS NULL OR (a_start, a_place) < (b_start, b_place) THEN 1
                     WHEN a_start IS NULL OR (b_start, b_place) < (a_start, a_place) THEN -1 ELSE 0 END) >= 0 AS a_first,
            sum(CASE WHEN b_start - a_start > step_us THEN 1 WHEN a_start - b_start > step_us THEN -1
                     ELSE 0 END) AS earlier
        FROM direct WHERE method IS NULL AND (a_port >= {EPHEMERAL}) = (b_port >= {EPHEMERAL}) GROUP BY ALL
        """
    )


def _decide(connection: Any) -> None:
    # Active FTP: the server dials from this port (RFC 959 section 3.2), to many clients, so its degree would mislead.
    ftp = (
        f"protocol = 6 AND (a_port = {FTP_DATA}) <> (b_port = {FTP_DATA})"
        f" AND greatest(a_port, b_port) >= 1024 AND coalesce(a_rank, 99) = coalesce(b_rank, 99)"
    )
    confidence = (
        "CASE method " + " ".join(f"WHEN {number} THEN {value}" for number, value in enumerate(CONFIDENCE)) + " END"
    )
    # Without hints, which is usual, asking for them would be half of what this costs.
    given = connection.execute("SELECT count(*) FROM hints").fetchall()[0][0]
    hinted = {
        end: f"""EXISTS (SELECT 1 FROM hints h WHERE h.protocol = d.protocol AND d.{end}_port BETWEEN h.first AND h.last
                    AND d.{end}_hi BETWEEN h.first_hi AND h.last_hi
                    AND (h.first_hi < h.last_hi OR d.{end}_lo BETWEEN h.first_lo AND h.last_lo))"""
        if given
        else "false"
        for end in "ab"
    }
    connection.execute(
        f"""
        CREATE TABLE oriented AS
        WITH known AS (
            SELECT d.*, coalesce(ea.proved, false) AS a_proved, coalesce(eb.proved, false) AS b_proved,
                coalesce(ea.degree, 0) AS a_degree, coalesce(eb.degree, 0) AS b_degree,
                CASE WHEN ka.known_rank = 0 AND d.a_port >= {EPHEMERAL} AND kb.known_rank IS NOT NULL AND d.b_port < 1024 THEN kb.known_rank
                    ELSE ka.known_rank END AS a_rank,
                CASE WHEN kb.known_rank = 0 AND d.b_port >= {EPHEMERAL} AND ka.known_rank IS NOT NULL AND d.a_port < 1024 THEN ka.known_rank
                    ELSE kb.known_rank END AS b_rank,
                {hinted["a"]} AS a_hint, {hinted["b"]} AS b_hint,
                p.a_first, coalesce(p.earlier, 0) AS earlier
            FROM direct d
            LEFT JOIN endpoints ea ON (ea.hi, ea.lo, ea.port, ea.protocol) = (d.a_hi, d.a_lo, d.a_port, d.protocol)
            LEFT JOIN endpoints eb ON (eb.hi, eb.lo, eb.port, eb.protocol) = (d.b_hi, d.b_lo, d.b_port, d.protocol)
            LEFT JOIN known_ports ka ON ka.protocol = d.protocol AND ka.port = d.a_port
            LEFT JOIN known_ports kb ON kb.protocol = d.protocol AND kb.port = d.b_port
            LEFT JOIN peer_sides p ON (p.a_hi, p.a_lo, p.b_hi, p.b_lo, p.a_port, p.b_port, p.protocol)
                = (d.a_hi, d.a_lo, d.b_hi, d.b_lo, d.a_port, d.b_port, d.protocol)
        ), ruled AS (
            SELECT number, class, protocol, a_hi, a_lo, a_port, b_hi, b_lo, b_port,
                CASE WHEN method IS NOT NULL THEN method
                     WHEN a_proved <> b_proved THEN 3
                     WHEN a_hint <> b_hint THEN 4
                     WHEN a_port = b_port THEN 8
                     WHEN {ftp} THEN 6
                     WHEN (a_degree >= {MINIMUM_DEGREE} AND a_degree >= 2 * b_degree)
                        OR (b_degree >= {MINIMUM_DEGREE} AND b_degree >= 2 * a_degree) THEN 5
                     WHEN coalesce(a_rank, 99) <> coalesce(b_rank, 99) THEN 6
                     WHEN (a_port >= {EPHEMERAL}) <> (b_port >= {EPHEMERAL}) THEN 7
                     ELSE 9 END AS method,
                CASE WHEN method IS NOT NULL THEN a_is_client
                     WHEN a_proved <> b_proved THEN b_proved
                     WHEN a_hint <> b_hint THEN b_hint
                     WHEN a_port = b_port THEN a_first
                     WHEN {ftp} THEN a_port = {FTP_DATA}
                     WHEN a_degree >= {MINIMUM_DEGREE} AND a_degree >= 2 * b_degree THEN false
                     WHEN b_degree >= {MINIMUM_DEGREE} AND b_degree >= 2 * a_degree THEN true
                     WHEN coalesce(a_rank, 99) <> coalesce(b_rank, 99) THEN coalesce(b_rank, 99) < coalesce(a_rank, 99)
                     WHEN (a_port >= {EPHEMERAL}) <> (b_port >= {EPHEMERAL}) THEN a_port >= {EPHEMERAL}
                     WHEN earlier <> 0 THEN earlier > 0
                     ELSE b_port < a_port END AS a_is_client
            FROM known
        ), remembered AS (
            SELECT r.*, same.method AS same_method, other.method AS other_method
            FROM ruled r
            LEFT JOIN past_directions same ON r.method >= 5 AND
                (same.client_hi, same.client_lo, same.server_hi, same.server_lo, same.protocol, same.server_port) =
                (CASE WHEN a_is_client THEN a_hi ELSE b_hi END, CASE WHEN a_is_client THEN a_lo ELSE b_lo END,
                 CASE WHEN a_is_client THEN b_hi ELSE a_hi END, CASE WHEN a_is_client THEN b_lo ELSE a_lo END,
                 r.protocol, CASE WHEN a_is_client THEN b_port ELSE a_port END)
            LEFT JOIN past_directions other ON r.method >= 5 AND
                (other.client_hi, other.client_lo, other.server_hi, other.server_lo, other.protocol, other.server_port) =
                (CASE WHEN a_is_client THEN b_hi ELSE a_hi END, CASE WHEN a_is_client THEN b_lo ELSE a_lo END,
                 CASE WHEN a_is_client THEN a_hi ELSE b_hi END, CASE WHEN a_is_client THEN a_lo ELSE b_lo END,
                 r.protocol, CASE WHEN a_is_client THEN a_port ELSE b_port END)
        ), settled AS (
            SELECT number, class,
                CASE WHEN flips THEN NOT a_is_client ELSE a_is_client END AS a_is_client,
                CASE WHEN flips THEN other_method ELSE method END AS method
            FROM (SELECT *, coalesce(other_method <= method AND coalesce(same_method, 99) >= other_method, false) AS flips FROM remembered)
        )
        SELECT number, a_is_client, method, ({confidence})::FLOAT AS confidence, class FROM settled
        """
    )
