# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Noise: conversations that must never count as evidence for a rule, each with the reason (facts/flows.md section 7).

``scan``: opened while its client scanned (five minutes; or more than 100 servers in a day that it had not met before), and not answered
or without data. ``probe``: never more than one packet, and none back. ``backscatter``: the opener never sent anything, its few answers are
to packets that somebody forged, as an exporter that sees both directions shows. ``threat``: an end stands on a threat list. Declared
scanners are never called scanning. Nothing here permits or denies.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address, store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.threats import Threat

pa = guarded("pyarrow")

# The one place of the thresholds' defaults (facts/flows.md section 7); a site sets its own under learning.noise in site.yml.
SCAN_BIN_US = 300_000_000
SCAN_SERVERS, SCAN_PORTS, SCAN_PAIRS = 25, 15, 40
NEW_SERVERS_A_DAY = 100
NO_DATA_BYTES_PER_PACKET = 78
BACKSCATTER_PACKETS = 3
# Beyond this share of its conversations an exporter sees one direction only, and no silence is backscatter.
ONE_SIDED_SHARE = 0.5
REASONS = ("threat", "scan", "backscatter", "probe")
KEY = "client_hi, client_lo, server_hi, server_lo, protocol, server_port"
FRUITLESS = f"(NOT answered OR (protocol = 6 AND total > 0 AND octets <= {NO_DATA_BYTES_PER_PACKET} * total))"  # A small datagram is data.
Pair = tuple[tuple[int, int], tuple[int, int], int, int]


@dataclass(frozen=True)
class NoiseLimits:
    """From where on something is noise. A scan: in ``scan_minutes`` so many servers on one port, ports of one server, or conversations in
    all, more than half of them fruitless; or more than ``new_servers_a_day``. Backscatter: at most so many packets."""

    scan_minutes: int = SCAN_BIN_US // 60_000_000
    scan_servers: int = SCAN_SERVERS
    scan_ports: int = SCAN_PORTS
    scan_conversations: int = SCAN_PAIRS
    new_servers_a_day: int = NEW_SERVERS_A_DAY
    backscatter_packets: int = BACKSCATTER_PACKETS

    @property
    def bin_us(self) -> int:
        """Return the time a scan is looked for in, in microseconds."""
        return self.scan_minutes * 60_000_000


def limits_of(learning: Mapping[str, Any]) -> NoiseLimits:
    """Return the limits of the site's ``learning`` settings; what is not set has its default."""
    return NoiseLimits(**{name: int(value) for name, value in (learning.get("noise") or {}).items()})


@dataclass(frozen=True)
class Scan:
    """One client's scan in one five-minute bin: distinct (server, protocol, port), servers, and those without any data."""

    client: tuple[int, int]
    start_us: int
    pairs: int
    servers: int
    unanswered: int


@dataclass(frozen=True)
class Noise:
    """Scans, and the reason for each flagged (client, server, protocol, server port); addresses are (family, value)."""

    scans: tuple[Scan, ...] = ()
    reasons: dict[Pair, str] = field(default_factory=dict)

    @property
    def conversations(self) -> frozenset[Pair]:
        """Return the flagged conversations."""
        return frozenset(self.reasons)

    def of(self, reason: str) -> frozenset[Pair]:
        """Return the conversations flagged for one reason."""
        return frozenset(each for each, why in self.reasons.items() if why == reason)


def noise_in(
    data_dir: str | Path,
    since: store.Moment | None = None,
    until: store.Moment | None = None,
    *,
    declared: Iterable[str] = (),
    threats: Iterable[Threat] = (),
    limits: NoiseLimits | None = None,
) -> Noise:
    """Return what is noise among the store's unicast conversations of a window.

    ``declared`` are addresses and networks of scanners and pollers that the site knows; ``threats`` come from ``threats.known_threats``.
    """
    names = [
        "start_us",
        "client_hi",
        "client_lo",
        "server_hi",
        "server_lo",
        "protocol",
        "server_port",
        "answered",
        "exporter",
    ]
    counters = ["packets_out", "bytes_out", "packets_in", "bytes_in", "class"]
    from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import noise_days

    limits, first, last = limits or NoiseLimits(), store.micros_of(since), store.micros_of(until)
    if noise_days.serves(first, last, limits):
        return noise_days.noise_of_days(data_dir, first, last, declared, threats, limits)
    with store.window_connections(data_dir, since, until, [*names, *counters]) as connection:
        return _noise(connection, declared, threats, limits)


def find_noise(
    connections: Any,
    *,
    declared: Iterable[str] = (),
    threats: Iterable[Threat] = (),
    limits: NoiseLimits | None = None,
) -> Noise:
    """As ``noise_in`` for a table of connections."""
    with store.connect() as connection:
        connection.register("given", connections)
        return _noise(connection, declared, threats, limits or NoiseLimits())


def _noise(connection: Any, declared: Iterable[str], threats: Iterable[Threat], limits: NoiseLimits) -> Noise:
    """Return the noise of the relation ``given``."""
    known = " OR ".join(address.range_sql(each, "client") for each in declared) or "false"
    connection.execute(
        f"""
        CREATE TABLE seen AS
        SELECT *, packets_out + packets_in AS total, bytes_out + bytes_in AS octets, ({known}) AS declared,
            start_us // {limits.bin_us} AS bin, start_us // 86400000000 AS day
        FROM given WHERE class IN ('unicast', 'peer')
        """
    )
    scans = _scans(connection, limits)
    _scanned(connection, limits)
    reasons: dict[Pair, str] = {}
    # The gravest reason stands.
    for reason, query in (
        ("probe", _probes()),
        ("backscatter", _backscatter(limits)),
        ("scan", f"SELECT {KEY} FROM scanned"),
    ):
        for row in connection.execute(query).fetchall():
            reasons[pair_of(row)] = reason
    mark_threats(connection, threats, reasons)
    return Noise(scans, reasons)


def _scans(connection: Any, limits: NoiseLimits) -> tuple[Scan, ...]:
    """Make ``scanning`` (client, bin) and return the scans, ordered by client and time."""
    find_scanning(connection, limits)
    rows = connection.execute(
        "SELECT client_hi, client_lo, bin, pairs, servers, fruitless FROM scanning ORDER BY client_hi, client_lo, bin"
    ).fetchall()
    return tuple(Scan(address.int_of(row[0], row[1]), row[2] * limits.bin_us, row[3], row[4], row[5]) for row in rows)


def find_scanning(connection: Any, limits: NoiseLimits) -> None:
    """Make the table ``scanning`` of the relation ``seen``: who scanned in which bin."""
    connection.execute(
        f"""
        CREATE TABLE scanning AS
        WITH pairs AS (
            SELECT client_hi, client_lo, bin, server_hi, server_lo, protocol, server_port, bool_or({FRUITLESS}) AS fruitless
            FROM seen WHERE NOT declared GROUP BY ALL
        ), by_port AS (
            SELECT client_hi, client_lo, bin, max(servers) AS wide FROM (
                SELECT client_hi, client_lo, bin, protocol, server_port, count(*) AS servers FROM pairs GROUP BY ALL) GROUP BY ALL
        ), by_server AS (
            SELECT client_hi, client_lo, bin, max(ports) AS deep, count(*) AS servers FROM (
                SELECT client_hi, client_lo, bin, server_hi, server_lo, count(*) AS ports FROM pairs GROUP BY ALL) GROUP BY ALL
        ), totals AS (
            SELECT client_hi, client_lo, bin, count(*) AS pairs, count(*) FILTER (fruitless) AS fruitless FROM pairs GROUP BY ALL
        )
        SELECT * FROM totals JOIN by_port USING (client_hi, client_lo, bin) JOIN by_server USING (client_hi, client_lo, bin)
        WHERE (wide >= {limits.scan_servers} OR deep >= {limits.scan_ports} OR pairs >= {limits.scan_conversations})
            AND 2 * fruitless > pairs
        """
    )


def _scanned(connection: Any, limits: NoiseLimits) -> None:
    """Make ``scanned``: conversations that only ever occurred, fruitless, within a scan."""
    connection.execute(
        f"""
        CREATE TABLE scanned AS
        WITH met AS (
            SELECT client_hi, client_lo, server_hi, server_lo, min(day) AS first_day FROM seen GROUP BY ALL
        ), busy_days AS (
            SELECT client_hi, client_lo, first_day AS day FROM met GROUP BY ALL HAVING count(*) > {limits.new_servers_a_day}
        ), marked AS (
            SELECT {", ".join(f"s.{name}" for name in KEY.split(", "))},
                {FRUITLESS} AND NOT s.declared AND (g.bin IS NOT NULL OR (d.day IS NOT NULL AND m.first_day = s.day)) AS inside
            FROM seen s
            LEFT JOIN scanning g ON (g.client_hi, g.client_lo, g.bin) = (s.client_hi, s.client_lo, s.bin)
            LEFT JOIN busy_days d ON (d.client_hi, d.client_lo, d.day) = (s.client_hi, s.client_lo, s.day)
            LEFT JOIN met m ON (m.client_hi, m.client_lo, m.server_hi, m.server_lo) = (s.client_hi, s.client_lo, s.server_hi, s.server_lo)
        )
        SELECT {KEY} FROM marked GROUP BY ALL HAVING bool_and(inside)
        """
    )


def _probes() -> str:
    return (
        f"SELECT {KEY} FROM seen WHERE NOT declared GROUP BY ALL HAVING NOT bool_or(answered) AND sum(packets_in) = 0"
        " AND max(packets_out) <= 1 AND (protocol <> 17 OR sum(packets_out) <= 1)"
    )


def _backscatter(limits: NoiseLimits) -> str:
    return f"""
        WITH exporters AS (
            SELECT exporter FROM seen WHERE protocol = 6 GROUP BY exporter
            HAVING count(*) FILTER (packets_out = 0 OR packets_in = 0) <= {ONE_SIDED_SHARE} * count(*)
        )
        SELECT {KEY} FROM seen WHERE protocol = 6 GROUP BY ALL
        HAVING sum(packets_out) = 0 AND max(packets_in) <= {limits.backscatter_packets}
            AND bool_and(exporter IN (SELECT exporter FROM exporters))
    """


def mark_threats(connection: Any, threats: Iterable[Threat], reasons: dict[Pair, str]) -> None:
    """Add to ``reasons`` the conversations of the relation ``seen`` with an end on a threat list at that time."""
    rows = []
    for each in threats:
        (first_hi, first_lo), (last_hi, last_lo) = address.range_of(each.network)
        rows.append((first_hi, first_lo, last_hi, last_lo, each.from_us, each.to_us))
    if not rows:
        return
    names = ("first_hi", "first_lo", "last_hi", "last_lo", "from_us", "to_us")
    columns = {name: pa.array([row[i] for row in rows], pa.int64()) for i, name in enumerate(names)}
    connection.register("listed", pa.table(columns))
    first, last = _whole("first_hi", "first_lo"), _whole("last_hi", "last_lo")
    for end in ("client", "server"):
        # Distinct addresses first: they are few, and one number each makes it a range join.
        query = f"""
            WITH hosts AS (
                SELECT {end}_hi, {end}_lo, {_whole(f"{end}_hi", f"{end}_lo")} AS host FROM seen GROUP BY ALL
            ), ranges AS (
                SELECT {first} AS first, {last} AS last, from_us, to_us FROM listed
            ), hit AS (
                SELECT {end}_hi, {end}_lo, from_us, to_us FROM hosts JOIN ranges ON host >= first AND host <= last
            )
            SELECT DISTINCT {KEY} FROM seen JOIN hit USING ({end}_hi, {end}_lo) WHERE start_us >= from_us AND start_us < to_us
        """
        for row in connection.execute(query).fetchall():
            reasons[pair_of(row)] = "threat"


def _whole(hi: str, lo: str) -> str:
    unsigned = [f"({each}::HUGEINT + 9223372036854775808::HUGEINT)::UHUGEINT" for each in (hi, lo)]
    return f"({unsigned[0]} * 18446744073709551616::UHUGEINT + {unsigned[1]})"


def pair_of(row: tuple[Any, ...]) -> Pair:
    """Return the conversation of a row of ``KEY``."""
    return address.int_of(row[0], row[1]), address.int_of(row[2], row[3]), row[4], row[5]


def declared_networks(prefixes: Iterable[str]) -> tuple[str, ...]:
    """Return prefixes as ``declared`` takes them; raises ValueError for one that is none."""
    return tuple(str(ipaddress.ip_network(each, strict=False)) for each in prefixes)
