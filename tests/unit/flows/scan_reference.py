# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plain reference for flows/noise.py: which clients were scanning, and which of their conversations belong to the scan.

Thresholds of facts/flows.md section 7: per client and five minutes, at least 25 servers on one port, or 15 ports on one server, with
more than half unanswered; here also at least 40 different (server, port) pairs, which catches a scan that is both narrow
and wide. A conversation of such a bin belongs to the scan when it was not answered or carried no data: an infected camera
still uploads its video.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

TCP = 6
BIN_US = 5 * 60 * 1_000_000
SERVERS_ON_ONE_PORT = 25
PORTS_ON_ONE_SERVER = 15
PAIRS = 40
NO_DATA_BYTES_PER_PACKET = 78


@dataclass(frozen=True)
class Opened:
    """One recorded connection as the scan detector needs it. ``client`` and ``server`` are any hashable addresses."""

    start_us: int
    client: tuple[int, int]
    server: tuple[int, int]
    protocol: int
    server_port: int
    answered: bool
    packets: int
    bytes: int

    @property
    def empty(self) -> bool:
        """Return whether a TCP connection carried no data beyond headers; a small datagram is data."""
        return self.protocol == TCP and self.packets > 0 and self.bytes / self.packets <= NO_DATA_BYTES_PER_PACKET


@dataclass(frozen=True)
class Scan:
    """One client's scan in one five-minute bin."""

    client: tuple[int, int]
    start_us: int
    pairs: int
    servers: int
    unanswered: int


@dataclass(frozen=True)
class ScanReport:
    """Scans, and the conversations (client, server, protocol, server port) that only ever occurred as part of one."""

    scans: tuple[Scan, ...]
    conversations: frozenset[tuple[tuple[int, int], tuple[int, int], int, int]]


def find_scans(opened: Iterable[Opened], declared: frozenset[tuple[int, int]] = frozenset()) -> ScanReport:
    """Return the scans among unicast connections. ``declared`` are scanners and pollers that the site knows."""
    bins: dict[tuple[tuple[int, int], int], list[Opened]] = defaultdict(list)
    for item in opened:
        if item.client not in declared:
            bins[item.client, item.start_us // BIN_US].append(item)
    scans: list[Scan] = []
    inside: set[tuple[tuple[int, int], tuple[int, int], int, int]] = set()
    outside: set[tuple[tuple[int, int], tuple[int, int], int, int]] = set()
    for (client, number), items in sorted(bins.items()):
        scan = _judge(client, number, items)
        if scan is not None:
            scans.append(scan)
        for item in items:
            key = (item.client, item.server, item.protocol, item.server_port)
            if scan is not None and (not item.answered or item.empty):
                inside.add(key)
            else:
                outside.add(key)
    return ScanReport(tuple(scans), frozenset(inside - outside))


def _judge(client: tuple[int, int], number: int, items: list[Opened]) -> Scan | None:
    pairs = {(item.server, item.protocol, item.server_port) for item in items}
    fruitless = {(i.server, i.protocol, i.server_port) for i in items if not i.answered or i.empty}
    by_port: dict[tuple[int, int], set[tuple[int, int]]] = defaultdict(set)
    by_server: dict[tuple[int, int], set[tuple[int, int]]] = defaultdict(set)
    for server, protocol, port in pairs:
        by_port[protocol, port].add(server)
        by_server[server].add((protocol, port))
    wide = max((len(servers) for servers in by_port.values()), default=0)
    deep = max((len(ports) for ports in by_server.values()), default=0)
    enough = wide >= SERVERS_ON_ONE_PORT or deep >= PORTS_ON_ONE_SERVER or len(pairs) >= PAIRS
    if not enough or len(fruitless) * 2 <= len(pairs):
        return None
    return Scan(client, number * BIN_US, len(pairs), len(by_server), len(fruitless))
