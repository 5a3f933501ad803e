# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Related conversations: opened on ports that a control session between the same two hosts agreed on shortly before.

FTP data (active: the server dials back from port 20, RFC 959; passive: the client dials a dynamic port), services behind SunRPC's
port mapper and DCE-RPC's end point mapper (OPC classic among them), RTP behind SIP, TFTP's transfer ports (RFC 1350 section 4), DICOM
C-MOVE (the archive dials back), and answers to SSDP searches. Their ports are dynamic: a rule for one port would miss the next. So they
are marked with the control protocol; DHCP and other bootstrap traffic is told apart by ``bootstrap``.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address, store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ports import known_ports

pa = guarded("pyarrow")

# How long after the control session a related one may begin; while the session lasts it may at any time.
AFTER_US = 300_000_000
FIRST_DYNAMIC = 1024
KEY = "client_hi, client_lo, server_hi, server_lo, protocol, server_port"
# When, and how the ends of a related conversation (d) lie to those of its control session (s). One join for each: with OR between them
# every conversation would be compared with every session of its time.
DURING = "d.start_us >= s.start_us AND d.start_us <= s.until_us AND (s.transport = 0 OR d.protocol = s.transport)"
ENDS = (
    "s.on AND d.client_hi = s.client_hi AND d.client_lo = s.client_lo AND d.server_hi = s.server_hi AND d.server_lo = s.server_lo"
    " AND (NOT s.kept_port OR d.client_port = s.client_port)",
    "s.back AND d.client_hi = s.server_hi AND d.client_lo = s.server_lo AND d.server_hi = s.client_hi AND d.server_lo = s.client_lo"
    " AND (NOT s.kept_port OR d.server_port = s.client_port)",
    "s.class = 'multicast' AND d.server_hi = s.client_hi AND d.server_lo = s.client_lo AND d.server_port = s.client_port",
)
Pair = tuple[tuple[int, int], tuple[int, int], int, int]


@dataclass(frozen=True)
class Control:
    """A protocol whose sessions lead to others: transport and port of the control session, transport of the related ones (0: both), whether
    the control session's server may open them (back) and its client (on), whether the client keeps its port in them."""

    name: str
    protocol: int
    port: int
    transport: int
    back: bool
    on: bool
    kept_port: bool = False


CONTROLS = (
    Control("ftp", 6, 21, 6, True, True),
    Control("sunrpc", 6, 111, 0, False, True),
    Control("sunrpc", 17, 111, 0, False, True),
    Control("dce-rpc", 6, 135, 6, True, True),
    Control("sip", 17, 5060, 17, True, True),
    Control("sip", 6, 5060, 17, True, True),
    # Either end may be taken for the client: both ports are chosen at random.
    Control("tftp", 17, 69, 17, True, True, True),
    Control("dicom", 6, 104, 6, True, False),
    Control("dicom", 6, 11112, 6, True, False),
    Control("ssdp", 17, 1900, 17, True, False),
)
# What every compiled list passes before any rule (enforce/lines.py), and nothing more: PXE, TFTP boot and the like need rules.
BOOTSTRAP = {(17, 67): "dhcp", (17, 68): "dhcp", (17, 546): "dhcpv6", (17, 547): "dhcpv6"}
NEIGHBOURS = range(133, 138)
# Errors belong to other conversations (RFC 792, RFC 4443).
ICMP_ERRORS = {1: (3, 4, 5, 11, 12), 58: (1, 2, 3, 4)}


def related_in(
    data_dir: str | Path, since: store.Moment | None = None, until: store.Moment | None = None
) -> dict[Pair, str]:
    """Return the control protocol of each (client, server, protocol, server port) of a window all of whose connections are related.

    Of a day whose connections are past their retention a row of the rollup stands for its connections, from the first to the last.
    """
    ends = ["client_hi", "client_lo", "server_hi", "server_lo", "protocol", "client_port", "server_port"]
    columns = ["start_us", "end_us", *ends, "class"]
    first, last = store.micros_of(since), store.micros_of(until)
    gone = {each for each in store.expired_days(data_dir) if store.touches(each, first, last)}
    with store.window_connections(data_dir, first, last, columns) as connection:
        files = [each for each in store.rollup_files(data_dir, first, last) if store.day_of(each.parent) in gone]
        if not files:
            return _related(connection)
        for path in files:
            store.check_file(path, "rollup")
        port = "CASE WHEN minimum_client_port = maximum_client_port THEN minimum_client_port ELSE -1 END AS client_port"
        kept = ", ".join(["first_us AS start_us", "last_us AS end_us", *ends, "class"]).replace("client_port", port)
        connection.execute(
            f"CREATE VIEW both_kinds AS SELECT * FROM given UNION ALL BY NAME SELECT {kept} FROM {store.parquet_rows(files)}"
        )
        return _related(connection, "both_kinds")


def find_related(connections: Any) -> dict[Pair, str]:
    """As ``related_in`` for a table of connections."""
    with store.connect() as connection:
        connection.register("given", connections)
        return _related(connection)


def _related(connection: Any, relation: str = "given") -> dict[Pair, str]:
    """Return the related conversations of a relation."""
    controls = pa.Table.from_pylist([vars(each) for each in CONTROLS])
    connection.register("controls", controls)
    # A port of the list is a service of its own, whatever else the two hosts talk about.
    listed = [{"protocol": each.protocol, "port": each.port} for each in known_ports()]
    connection.register("listed", pa.Table.from_pylist(listed))
    rows = connection.execute(
        f"""
        WITH sessions AS MATERIALIZED (
            SELECT s.client_hi, s.client_lo, s.server_hi, s.server_lo, s.start_us, s.end_us + {AFTER_US} AS until_us, c.name,
                c.transport, c.back, c.on, c.kept_port, s.client_port, s.class
            FROM {relation} s JOIN controls c ON s.protocol = c.protocol AND s.server_port = c.port
            WHERE s.class IN ('unicast', 'peer', 'multicast')
        ), pairs AS (
            SELECT client_hi, client_lo, server_hi, server_lo FROM sessions WHERE class <> 'multicast'
            UNION
            SELECT server_hi, server_lo, client_hi, client_lo FROM sessions WHERE class <> 'multicast'
        ), sockets AS (
            SELECT DISTINCT client_hi, client_lo, client_port FROM sessions WHERE class = 'multicast'
        ), dynamic AS MATERIALIZED (
            SELECT *, row_number() OVER () AS number FROM {relation} AS given
            WHERE protocol IN (6, 17) AND server_port >= {FIRST_DYNAMIC} AND class IN ('unicast', 'peer')
                AND NOT EXISTS (SELECT 1 FROM listed l WHERE l.protocol = given.protocol AND l.port = given.server_port)
                AND (EXISTS (SELECT 1 FROM pairs p WHERE (p.client_hi, p.client_lo, p.server_hi, p.server_lo)
                        = (given.client_hi, given.client_lo, given.server_hi, given.server_lo))
                    OR EXISTS (SELECT 1 FROM sockets p WHERE (p.client_hi, p.client_lo, p.client_port)
                        = (given.server_hi, given.server_lo, given.server_port)))
        ), found AS (
            SELECT number, min(name) AS name FROM (
                {" UNION ALL ".join(f"SELECT d.number, s.name FROM dynamic d JOIN sessions s ON {ends} AND {DURING}" for ends in ENDS)}
            ) AS met GROUP BY number
        )
        SELECT {KEY}, min(name) FROM dynamic LEFT JOIN found USING (number) GROUP BY ALL HAVING count(*) = count(name)
        """
    ).fetchall()
    return {(address.int_of(row[0], row[1]), address.int_of(row[2], row[3]), row[4], row[5]): row[6] for row in rows}


def related_rows(
    data_dir: str | Path, since: str = "", until: str = "", client: str = "", server: str = "", *, limit: int = 0
) -> list[dict[str, Any]]:
    """Return related conversations as plain values, in order, at most ``limit`` (0 for all); ``client`` and ``server`` are addresses or
    networks."""
    found = related_in(data_dir, *store.window_of(since, until))
    wanted = [ipaddress.ip_network(each, strict=False) if each else None for each in (client, server)]
    made = []
    for pair, control in sorted(found.items()):
        ends = [address.address_of(*address.columns_of_int(*each)) for each in pair[:2]]
        if all(network is None or end in network for network, end in zip(wanted, ends, strict=True)):
            made.append(
                {
                    "client": str(ends[0]),
                    "server": str(ends[1]),
                    "protocol": pair[2],
                    "server_port": pair[3],
                    "control": control,
                }
            )
    return made[:limit] if limit else made


def bootstrap(protocol: int, server_port: int) -> str:
    """Return the name of what every list passes before any rule (DHCP, neighbour discovery, ICMP errors), or empty text."""
    if protocol == 58 and server_port // 256 in NEIGHBOURS:
        return "neighbour-discovery"
    if server_port // 256 in ICMP_ERRORS.get(protocol, ()):
        return "icmp-error"
    return BOOTSTRAP.get((protocol, server_port), "")
