# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices in doubt that serve beside those that they are like: a rogue server that imitates, told from a server with a wrong profile.

Both serve what the segment serves that they are like (``misplaced.py``), so its rules do not tell them apart. But a server with a wrong
profile stands in a row with the others: it has about as many clients as they have, or clients of its own where each has one server. Who
takes over some clients finds them served already. Compared on the days on which the device served at all, so that one that came late is
held against what the others did then. Pure; equal inputs give equal answers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.learning import (
    DAYS_A_COLUMN,
    day_columns,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import CandidateKey

pa = guarded("pyarrow")
pc = guarded("pyarrow.compute")

# Where the others have at least so many clients each (median), a server with at most a quarter of that stands beside them.
LEAST_CLIENTS, QUARTER = 8, 4
# On so many days a client has to have both, where each client has one server.
LEAST_DAYS = 3

# By client, the days as bits.
Clients = dict[str, int]


@dataclass(frozen=True)
class Beside:
    """A device that serves clients that are served already: how many, and how many each of the others has (median), 0 where each client
    has one server and these have two."""

    device: str
    clients: int
    usual: float = 0.0

    def text(self, like: str, name: str) -> str:
        """Return the reason as a sentence for people; ``name`` is the device's."""
        found = f"{name} serves {self.clients} clients that {like} serve on the same days, "
        found += f"where each of those serves {self.usual:g}" if self.usual else "where each client has one server"
        return f"{found}: look at the server first"


class Served:
    """Who serves whom on which days, of holding segments and of those that their devices are like."""

    def __init__(self, pairs: Any, holding: Mapping[str, tuple[str, ...]], days: int) -> None:
        """Take the table of the operation ``incidences`` (None where there is none), and how many days the window has."""
        self._columns = day_columns(days)
        self._by_port: dict[tuple[int, int], dict[str, dict[str, Clients]]] = {}
        self._openers: dict[tuple[int, int], dict[str, set[str]]] = {}
        self._pairs: Any = None
        if pairs is not None and holding:
            names = sorted({name for held, models in holding.items() for name in (held, models[0])})
            ends = pc.is_in(pairs.column("server_segment"), value_set=pa.array(names))
            self._pairs = pairs.filter(pc.and_(ends, pc.not_equal(pairs.column("server_device"), "")))

    def beside(self, key: CandidateKey, like: str) -> Beside | None:
        """Return the first device of ``key.to``, by name, that serves clients of ``key.client`` beside the devices of ``like``, or None."""
        if self._pairs is None:
            return None
        port = (key.protocol, key.server_port)
        if port not in self._by_port:
            self._read(port)
        servers = self._by_port[port]
        for device, clients in sorted(servers.get(key.to, {}).items()):
            if key.client in self._openers[port][device]:
                found = beside(device, clients, servers.get(like, {}))
                if found is not None:
                    return found
        return None

    def _read(self, port: tuple[int, int]) -> None:
        pairs = self._pairs
        same = pc.and_(pc.equal(pairs.column("protocol"), port[0]), pc.equal(pairs.column("server_port"), port[1]))
        names = ("server_segment", "server_device", "client_segment", "client_device", *self._columns)
        servers: dict[str, dict[str, Clients]] = defaultdict(lambda: defaultdict(dict))
        openers: dict[str, set[str]] = defaultdict(set)
        for row in pairs.filter(same).select(names).to_pylist():
            days = sum(int(row[name]) << (place * DAYS_A_COLUMN) for place, name in enumerate(self._columns))
            own = servers[row["server_segment"]][row["server_device"]]
            own[row["client_device"]] = own.get(row["client_device"], 0) | days
            openers[row["server_device"]].add(row["client_segment"])
        self._by_port[port], self._openers[port] = servers, openers


def beside(device: str, clients: Clients, others: Mapping[str, Clients]) -> Beside | None:
    """Return whether a device with these clients serves beside others: all its clients are served already, and it has far fewer than
    each of the others, or its clients alone have two servers."""
    active = 0
    for days in clients.values():
        active |= days
    # By client, the others that served it while the device served anybody.
    servers: dict[str, list[int]] = defaultdict(list)
    counts = []
    for own in others.values():
        then = {client: days for client, days in own.items() if days & active}
        for client, days in then.items():
            servers[client].append(days)
        counts += [len(then)] if then else []
    if not counts or any(client not in servers for client in clients):
        return None
    usual = median(counts)
    if usual >= LEAST_CLIENTS and len(clients) * QUARTER <= usual:
        return Beside(device, len(clients), usual)
    alone = median(len(each) for each in servers.values()) == 1
    if alone and all(_doubled(days, servers[client]) for client, days in clients.items()):
        return Beside(device, len(clients))
    return None


def _doubled(days: int, servers: list[int]) -> bool:
    """Return whether a client has one other server, on at least half of the days on which it has this one, and on a few."""
    both = (days & servers[0]).bit_count()
    return len(servers) == 1 and both >= LEAST_DAYS and 2 * both >= days.bit_count()
