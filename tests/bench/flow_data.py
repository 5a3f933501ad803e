# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A made-up site for measurements, seeded: 20,000 devices in 60 groups over 30 days, as a flow store, a register and rules.

It holds what makes real data hard: leases that change every week, devices behind shared addresses, jobs that run once a month, half a
percent of random noise, and a second exporter that sees a part of the traffic again. The same seed gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.intervals import FIRST, LAST
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.address import V4_HI, V4_LO
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import CONNECTIONS, arrow_schema

FIRST_DAY = date(2026, 10, 1)
DAY_US = 86_400_000_000
TEN = 0x0A000000
OUTSIDE = 0xC6120000  # 198.18.0.0/15, RFC 2544
EXPORTERS = ("192.0.2.1", "192.0.2.2")
PORTS = (443, 502, 104, 102, 44818, 8883, 1883, 161, 123, 53, 22, 554, 5060, 9100, 2575, 11112, 20000, 47808, 389, 445)


@dataclass(frozen=True)
class Shape:
    """How large the site is."""

    records: int
    days: int = 30
    devices: int = 20_000
    groups: int = 60
    edges: int = 781_000
    outside: int = 4_000
    rules_per_group: int = 167
    lease_share: float = 0.1
    shared_share: float = 0.01
    noise: float = 0.005
    twice: float = 0.08
    monthly: int = 40
    seed: int = 4


class Site:
    """The devices, who may talk to whom, and who holds which address when."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        rng = np.random.default_rng(shape.seed)
        n = shape.devices
        weights = 1 / np.arange(1, shape.groups + 1)
        self.group = np.sort(rng.choice(shape.groups, n, p=weights / weights.sum()).astype(np.int32))
        self.group[: shape.groups] = np.arange(shape.groups)
        self.leased = np.flatnonzero(rng.random(n) < shape.lease_share)
        self.shared = np.flatnonzero((rng.random(n) < shape.shared_share) & ~np.isin(np.arange(n), self.leased))
        # The name server has an address of its own.
        self.leased, self.shared = self.leased[self.leased > 0], self.shared[self.shared > 0]
        self.weeks = shape.days // 7 + 1
        # Each week the leases are dealt anew; the change falls into the day, not on midnight.
        self.deals = [rng.permutation(self.leased) for _week in range(self.weeks)]
        self.change_us = [0] + [
            (week * 7) * DAY_US + 12 * 3_600_000_000 + week * 777_000_000 for week in range(1, self.weeks)
        ]
        self.rules = self._rules(rng)
        self._edges(rng)

    def _rules(self, rng: Any) -> dict[str, Any]:
        """Return group rules: client group, server group (``groups`` stands for outside), protocol, first and last port."""
        shape = self.shape
        total = shape.groups * shape.rules_per_group
        client = np.repeat(np.arange(shape.groups), shape.rules_per_group)
        server = rng.integers(0, shape.groups + 1, total)
        port = np.where(rng.random(total) < 0.5, rng.choice(PORTS, total), rng.integers(1024, 30_000, total))
        width = np.where(rng.random(total) < 0.05, 50, 0)
        # Everybody asks one name server, whoever has the address today.
        common = np.arange(shape.groups) * shape.rules_per_group
        server[common], port[common], width[common] = 0, 53, 0
        return {
            "client_segment": client,
            "server_segment": server,
            "protocol": np.where(np.isin(port, (161, 123, 53, 5060, 47808)), 17, 6),
            "first_port": port,
            "last_port": port + width,
        }

    def _edges(self, rng: Any) -> None:
        shape = self.shape
        client = rng.integers(0, shape.devices, shape.edges)
        rule = self.group[client] * shape.rules_per_group + rng.integers(0, shape.rules_per_group, shape.edges)
        to = self.rules["server_segment"][rule]
        first = np.searchsorted(self.group, np.arange(shape.groups + 1))
        size = np.append(np.diff(first), 1)
        inside = to < shape.groups
        # A group has few servers: the first fifth of its devices.
        pick = (rng.random(shape.edges) * np.maximum(size[np.minimum(to, shape.groups - 1)] // 5, 1)).astype(np.int64)
        self.edge_client = client.copy()
        self.edge_server = np.where(inside, first[np.minimum(to, shape.groups - 1)] + pick, -1)
        self.edge_outside = rng.integers(0, shape.outside, shape.edges)
        self.edge_protocol = self.rules["protocol"][rule]
        span = self.rules["last_port"][rule] - self.rules["first_port"][rule]
        self.edge_port = self.rules["first_port"][rule] + (rng.random(shape.edges) * (span + 1)).astype(np.int64)
        common = min(shape.devices, shape.edges // 4)
        self.edge_client[:common] = np.arange(common)
        self.edge_server[:common], self.edge_protocol[:common], self.edge_port[:common] = 0, 17, 53
        weight = 1 / (1 + rng.permutation(shape.edges)) ** 0.8
        weight[:common] *= 3
        self.cumulative = np.cumsum(weight) / weight.sum()
        self.monthly = rng.integers(0, shape.edges, shape.monthly)

    def address_of(self, device: Any, moment: Any) -> Any:
        """Return IPv4 addresses of devices at moments (microseconds since the first day)."""
        address = TEN + device.astype(np.int64)
        slot = np.full(self.shape.devices, -1, dtype=np.int64)
        for week, deal in enumerate(self.deals):
            slot[deal] = np.arange(deal.size)
            held = moment >= self.change_us[week]
            leased = (slot[device] >= 0) & held
            address = np.where(leased, TEN + 0x00F00000 + slot[device], address)
        behind = np.isin(device, self.shared)
        return np.where(behind, TEN + 0x00FF0000 + device % 4, address)

    def connections(self, day: int) -> Any:
        """Return the connections of a day as an Arrow table in the order of their start."""
        shape = self.shape
        rng = np.random.default_rng((shape.seed, day))
        total = shape.records // shape.days
        again = int(total * shape.twice)
        count = total - again
        edge = np.searchsorted(self.cumulative, rng.random(count))
        np.minimum(edge, shape.edges - 1, out=edge)
        if day == shape.days // 2:
            edge[: self.monthly.size] = self.monthly
        start = np.sort((DAY_US * rng.beta(1.6, 1.4, count)).astype(np.int64)) + day * DAY_US
        duration = np.minimum(rng.exponential(4_000_000, count), 3e9).astype(np.int64)
        client, server = self.edge_client[edge], self.edge_server[edge]
        port, protocol = self.edge_port[edge], self.edge_protocol[edge]
        noise = rng.random(count) < shape.noise
        strays = int(noise.sum())
        client, server, port = client.copy(), server.copy(), port.copy()
        client[noise] = rng.integers(0, shape.devices, strays)
        server[noise] = rng.integers(0, shape.devices, strays)
        port[noise] = rng.integers(1, 65_536, strays)
        client_address = self.address_of(client, start)
        server_address = np.where(
            server >= 0, self.address_of(np.maximum(server, 0), start), OUTSIDE + self.edge_outside[edge]
        )
        packets = 1 + rng.geometric(0.1, count)
        replies = np.where(noise, 0, packets)
        columns: dict[str, Any] = {
            "start_us": start,
            "end_us": start + duration,
            "client_lo": client_address + V4_LO,
            "server_lo": server_address + V4_LO,
            "protocol": protocol,
            "client_port": rng.integers(32_768, 61_000, count),
            "server_port": port,
            "packets_out": packets,
            "bytes_out": packets * rng.integers(60, 700, count),
            "packets_in": replies,
            "bytes_in": replies * rng.integers(60, 1400, count),
            "method": np.where(noise, 1, rng.choice((1, 1, 1, 5, 6), count)),
            "exporter": np.zeros(count, dtype=np.int8),
        }
        # The second exporter sees some of it again, a little later and with a packet less.
        twice = np.sort(rng.choice(count, again, replace=False))
        late = rng.integers(1000, 4_000_000, again)
        second = {name: values[twice] for name, values in columns.items()}
        second["start_us"] = second["start_us"] + late
        second["end_us"] = second["end_us"] + late
        second["packets_out"] = second["packets_out"] - 1
        second["exporter"] = np.ones(again, dtype=np.int8)
        whole = {name: np.concatenate((values, second[name])) for name, values in columns.items()}
        order = np.argsort(whole["start_us"], kind="stable")
        return self._table({name: values[order] for name, values in whole.items()}, day)

    def _table(self, columns: dict[str, Any], day: int) -> Any:
        count = columns["start_us"].size
        first_us = store.day_number(FIRST_DAY) * DAY_US
        fixed: dict[str, Any] = {
            "client_hi": V4_HI,
            "server_hi": V4_HI,
            "class": "unicast",
            "sampling": 1,
            "source": source_of(day),
        }
        confidence = np.array([1.0, 1.0, 0.98, 0.97, 0.96, 0.95, 0.9], dtype=np.float32)
        arrays = []
        for column in arrow_schema(CONNECTIONS):
            name = column.name
            if name in fixed:
                arrays.append(pa.repeat(pa.scalar(fixed[name], type=column.type), count))
            elif name == "exporter":
                arrays.append(
                    pa.DictionaryArray.from_arrays(pa.array(columns[name]), pa.array(EXPORTERS)).cast(column.type)
                )
            elif name == "answered":
                arrays.append(pa.array(columns["packets_in"] > 0))
            elif name == "confidence":
                arrays.append(pa.array(confidence[columns["method"]]))
            elif name in ("start_us", "end_us"):
                arrays.append(pa.array(columns[name] + first_us))
            elif name in columns:
                arrays.append(pa.array(columns[name]).cast(column.type))
            else:
                arrays.append(pa.nulls(count, column.type))
        return pa.Table.from_arrays(arrays, schema=arrow_schema(CONNECTIONS))

    def intervals(self) -> Any:
        """Return the register's address intervals, as ``devices.intervals.read_intervals`` does; shared addresses have none."""
        first_us = store.day_number(FIRST_DAY) * DAY_US
        rows: list[tuple[int, int, int, int]] = []
        moving = set(self.leased.tolist()) | set(self.shared.tolist())
        rows += [(TEN + each, FIRST, LAST, each) for each in range(self.shape.devices) if each not in moving]
        for week, deal in enumerate(self.deals):
            since = FIRST if week == 0 else first_us + self.change_us[week]
            until = LAST if week + 1 == self.weeks else first_us + self.change_us[week + 1]
            rows += [(TEN + 0x00F00000 + slot, since, until, int(each)) for slot, each in enumerate(deal)]
        return pa.table(
            {
                "address_hi": pa.array([V4_HI] * len(rows), pa.int64()),
                "address_lo": pa.array([row[0] + V4_LO for row in rows], pa.int64()),
                "from_us": pa.array([row[1] for row in rows], pa.int64()),
                "to_us": pa.array([row[2] for row in rows], pa.int64()),
                "device": pa.array([name_of(row[3]) for row in rows]),
                "source": pa.array(["dhcp"] * len(rows)),
                "confidence": pa.array([0.9] * len(rows), pa.float32()),
            }
        )

    def members(self) -> Any:
        """Return which segment each device belongs to (``device``, ``segment``)."""
        return pa.table(
            {
                "device": [name_of(each) for each in range(self.shape.devices)],
                "segment": [segment_of(each) for each in self.group],
            }
        )

    def networks(self) -> Any:
        """Return named address ranges that no device holds (``first_hi`` ... ``last_lo``, ``segment``)."""
        return pa.table(
            {
                "first_hi": pa.array([V4_HI], pa.int64()),
                "first_lo": pa.array([OUTSIDE + V4_LO], pa.int64()),
                "last_hi": pa.array([V4_HI], pa.int64()),
                "last_lo": pa.array([OUTSIDE + 0x1FFFF + V4_LO], pa.int64()),
                "segment": [segment_of(self.shape.groups)],
            }
        )

    def rule_table(self) -> Any:
        """Return the rules with their number and the names of the segments."""
        values = self.rules
        return pa.table(
            {
                "rule": pa.array(np.arange(values["protocol"].size), pa.int64()),
                "client_segment": [segment_of(each) for each in values["client_segment"]],
                "server_segment": [segment_of(each) for each in values["server_segment"]],
                "protocol": pa.array(values["protocol"]).cast(pa.int16()),
                "first_port": pa.array(values["first_port"]).cast(pa.int32()),
                "last_port": pa.array(values["last_port"]).cast(pa.int32()),
            }
        )


def name_of(device: int) -> str:
    """Return the device id: a locally administered MAC address."""
    return f"02:00:00:{device >> 16 & 255:02x}:{device >> 8 & 255:02x}:{device & 255:02x}"


def segment_of(group: int) -> str:
    """Return a segment's name."""
    return f"segment-{group:03d}"


def source_of(day: int) -> str:
    """Return the made-up input hash of a day."""
    return f"{day + 1:016x}"


def write_store(site: Site, data_dir: Path, also: Callable[[int, Any], Any] | None = None) -> int:
    """Write the site's connections as a flow store without rollup; returns the number of bytes of the connection files.

    ``also`` is given each day's number and table.
    """
    octets = 0
    document = store.read_inputs(data_dir)
    for day in range(site.shape.days):
        moment = FIRST_DAY + timedelta(days=day)
        path = store.day_folder(data_dir, "connections", moment) / f"{source_of(day)}.parquet"
        table = site.connections(day)
        if also is not None:
            also(day, table)
        rows = store.write_table(table, path, "connections")
        octets += path.stat().st_size
        document["inputs"][source_of(day)] = {
            "sha256": source_of(day).ljust(64, "0"), "name": f"made-{day}", "bytes": 0, "kind": "made", "imported_at": "", "records": rows,
            "connections": rows, "quality": {},
        }  # fmt: skip
        document["stale_days"].append(moment.isoformat())
    store.write_inputs(data_dir, document)
    return octets
