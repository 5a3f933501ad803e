# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three other ways to make a policy of the same recordings, with the true holder of each address and the same membership.

``exact``: every tuple of devices, protocol and port that the store shows. ``top ports``: between a segment and a segment or network the
ports that carry at least one percent of the client segment's flows, as other products do. ``lower port``: the end with the lower port is
the server, every pair of segments and port becomes a rule.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.address import V4_LO
from tests.truth.blueprints import SERVICES
from tests.truth.judge import Traces, WrittenPolicy
from tests.truth.records import DAY_US
from tests.truth.sites import LEGITIMATE, SiteTruth

TOP = 0.01


@dataclass
class TuplePolicy:
    """Permits what stands in a set: tuples of devices."""

    name: str
    tuples: set[tuple[int, int, int, int]] = field(default_factory=set)

    def permits(self, client: int, server: int, protocol: int, port: int) -> bool:
        """Return whether the tuple was seen."""
        return (client, server, protocol, port) in self.tuples

    def size(self) -> int:
        """Return how many tuples there are."""
        return len(self.tuples)

    def rules(self) -> int:
        """Return the same: each is a rule."""
        return len(self.tuples)


@dataclass
class GroupPolicy:
    """Permits protocol and port between a segment and a segment, a network or a single address."""

    name: str
    groups: list[str]
    sizes: Counter[str]
    allowed: set[tuple[str, str, int, int]] = field(default_factory=set)

    def permits(self, client: int, server: int, protocol: int, port: int) -> bool:
        """Return whether the two groups were joined so."""
        return (self.groups[client], self.groups[server], protocol, port) in self.allowed

    def size(self) -> int:
        """Return how many tuples between ends that exist are permitted."""
        return sum(
            self.sizes[client] * (self.sizes[server] - (client == server))
            for client, server, _protocol, _port in self.allowed
        )

    def rules(self) -> int:
        """Return how many triples of groups and port there are."""
        return len(self.allowed)


def recorded(site: SiteTruth, data_dir: Path) -> dict[str, Any]:
    """Return the store's connections with the numbers of the ends that truly held the addresses on the day, -1 for nobody."""
    names = ("start_us", "client_lo", "server_lo", "protocol", "client_port", "server_port", "class")
    table = store.connections(data_dir, columns=list(names))
    rows = {name: table.column(name).to_numpy(zero_copy_only=False) for name in names}
    first = store.micros_of(site.day(0)) or 0
    day = (rows["start_us"] - first) // DAY_US
    made = {name: rows[name].astype(np.int64) for name in ("protocol", "client_port", "server_port")}
    for end in ("client", "server"):
        made[end] = _holders(site, rows[f"{end}_lo"].astype(np.int64) - V4_LO, day)
    known = (made["client"] >= 0) & (made["server"] >= 0)
    return {name: values[known] for name, values in made.items()}


def _holders(site: SiteTruth, address: Any, day: Any) -> Any:
    outside = np.array([value for _name, value in site.outside], dtype=np.int64)
    found = np.full(len(address), -1)
    order = np.argsort(outside)
    place = np.minimum(np.searchsorted(outside[order], address), len(outside) - 1)
    is_outside = outside[order][place] == address
    found[is_outside] = len(site.devices) + order[place[is_outside]]
    for number in range(site.days):
        mine = (day == number) & ~is_outside
        held = site.address[:, number]
        order = np.argsort(held)
        place = np.minimum(np.searchsorted(held[order], address[mine]), len(held) - 1)
        found[mine] = np.where(held[order][place] == address[mine], order[place], -1)
    return found


def traces_of(site: SiteTruth, data_dir: Path, days: int) -> Traces:
    """Return the uses of which the recordings of the first ``days`` days hold anything, either way round, and those that happened."""
    kinds = [each.kind for each in site.devices] + [name for name, _value in site.outside]
    rows = recorded(site, data_dir)
    names = ("client", "server", "protocol", "client_port", "server_port")
    seen: dict[tuple[str, str, int], set[int]] = {}
    for column in np.unique(np.stack([rows[name] for name in names]), axis=1).T:
        client, server, protocol, client_port, server_port = (int(each) for each in column)
        seen.setdefault((kinds[client], kinds[server], protocol), set()).add(server_port)
        seen.setdefault((kinds[server], kinds[client], protocol), set()).add(client_port)
    found = set()
    for talk in site.talks:
        protocol, low, high = SERVICES[talk.service]
        if any(low <= port <= high for port in seen.get((talk.client, talk.server, protocol), ())):
            found.add((talk.client, talk.server, talk.service))
    events = site.picked((site.events["day"] < days) & (site.events["label"] == LEGITIMATE))
    happened = {site.talks[number] for number in np.unique(events["talk"])}
    return Traces(site, kinds, found, {(talk.client, talk.server, talk.service) for talk in happened})


def baselines(site: SiteTruth, data_dir: Path, written: WrittenPolicy) -> list[Any]:
    """Return the three, made of the same recordings."""
    rows = recorded(site, data_dir)
    groups = [written.segment_of.get(each.number, "nobody") for each in site.devices]
    groups += [name.removeprefix("net:") or f"address {value}" for name, value in site.outside]
    sizes = Counter(groups)
    seen = np.unique(
        np.stack([rows[name] for name in ("client", "server", "protocol", "server_port")]), axis=1, return_counts=True
    )
    exact = TuplePolicy("exact", {tuple(int(each) for each in column) for column in seen[0].T})  # type: ignore[misc]
    top = GroupPolicy("top ports at 1 %", groups, sizes)
    flows: Counter[tuple[str, str, int, int]] = Counter()
    total: Counter[str] = Counter()
    for column, count in zip(seen[0].T, seen[1], strict=True):
        client, server, protocol, port = (int(each) for each in column)
        flows[groups[client], groups[server], protocol, port] += int(count)
        total[groups[client]] += int(count)
    top.allowed = {key for key, count in flows.items() if count >= TOP * total[key[0]]}
    turned = rows["client_port"] < rows["server_port"]
    lower = GroupPolicy("lower port is the server", groups, sizes)
    ends = [
        np.where(turned, rows[a], rows[b])
        for a, b in (("server", "client"), ("client", "server"), ("client_port", "server_port"))
    ]
    found = np.unique(np.stack([ends[0], ends[1], rows["protocol"], ends[2]]), axis=1)
    lower.allowed = {(groups[a], groups[b], int(protocol), int(port)) for a, b, protocol, port in found.T}
    return [exact, top, lower]
