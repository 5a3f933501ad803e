# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site's conversations as exporters tell of them, read into the store by the real import: stitched, oriented and rolled up there.

Each zone's traffic is seen by one kind of observer, drawn for the site: a tap that sees every flag; an exporter with flags OR-ed; one
without flags at a millisecond's step; one that samples one packet in 32; one that sees only what clients send; two
routers of which one sees what clients send and the other what servers answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import storage
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import AddressClaim, Observation
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.address import columns_of_v4
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ingest import IngestResult, count_source
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.inputs import Input
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.records import Quality, record_table
from tests.truth.sites import SCAN, SiteTruth

TAP, FLAGS, PLAIN, SAMPLED, ONE_SIDED, ASYMMETRIC = range(6)
OBSERVERS = ("tap", "flags", "no flags", "sampled", "one-sided", "asymmetric")
SAMPLING = 32
DAY_US = 86_400_000_000
SYN, ACK, FIN, PSH = 2, 16, 1, 8
UNSEEN_LEASES = 0.02


class Told:
    """A source of one-way records (``flows.records.Source``)."""

    def __init__(self, tables: list[Any], records: int, exporters: dict[str, dict[str, int]]) -> None:
        self.findings: list[Any] = []
        self.quality = Quality("synthetic", records=records, exporters=exporters)
        self._tables = tables

    def tables(self) -> Iterator[Any]:
        """Yield the tables of records."""
        yield from self._tables


def observers_of(site: SiteTruth) -> dict[str, int]:
    """Return the kind of observer of each zone."""
    rng = np.random.default_rng([site.seed, 5])
    zones = sorted({each.zone for each in site.types})
    return {zone: int(kind) for zone, kind in zip(zones, rng.permutation(len(OBSERVERS))[: len(zones)], strict=True)}


def store_site(site: SiteTruth, data_dir: Path, days: int) -> IngestResult:
    """Write what exporters tell of the first ``days`` days into the store, and who is who into the register."""
    rng = np.random.default_rng([site.seed, 6])
    flows = _flows(site, days, rng)
    observers = observers_of(site)
    zone_of = {each.name: each.zone for each in site.types}
    of_client = np.array([observers[zone_of[each.kind]] for each in site.devices])[flows["client"]]
    digest = hashlib.sha256(f"{site.name} {days}".encode()).hexdigest()
    source = Input(Path(site.name), digest, 0, "synthetic").source
    tables = [
        table
        for kind in sorted(set(observers.values()))
        for table in _told(_picked(flows, of_client == kind), kind, source, rng)
    ]
    records = sum(table.num_rows for table in tables)
    # As decoders note it of an exporter that says so.
    sampled = {OBSERVERS[SAMPLED]: {"sampling": SAMPLING}} if SAMPLED in observers.values() else {}
    made = count_source(data_dir, Input(Path(site.name), digest, records, "synthetic"), Told(tables, records, sampled))
    storage.update(data_dir, _observations(site, days, rng))
    return made


def _picked(flows: dict[str, Any], mask: Any) -> dict[str, Any]:
    return {name: values[mask] for name, values in flows.items()}


def _flows(site: SiteTruth, days: int, rng: Any) -> dict[str, Any]:
    """Return one item for each flow, with addresses of its day, times, ports, packets and bytes."""
    events = site.picked(site.events["day"] < days)
    flows = {name: np.repeat(values, events["flows"]) for name, values in events.items()}
    count = len(flows["day"])
    first = int(datetime(*site.day(0).timetuple()[:3], tzinfo=UTC).timestamp()) * 1_000_000
    at = rng.integers(600_000_000, DAY_US - 1_800_000_000, count)
    # A scan is done within four minutes.
    at = np.where(flows["label"] == SCAN, 36_000_000_000 + rng.integers(0, 240_000_000, count), at)
    flows["start"] = first + flows["day"] * DAY_US + at
    flows["end"] = flows["start"] + rng.integers(5_000, 60_000_000, count)
    outside = np.array([value for _name, value in site.outside], dtype=np.int64)
    inside = flows["server"] < len(site.devices)
    flows["client_address"] = site.address[flows["client"], flows["day"]]
    flows["server_address"] = np.where(
        inside,
        site.address[np.where(inside, flows["server"], 0), flows["day"]],
        outside[np.where(inside, 0, flows["server"] - len(site.devices))],
    )
    # Small devices count their own ports from 1024 on.
    small = flows["client"] % 3 == 0
    flows["client_port"] = np.where(small, rng.integers(1024, 5000, count), rng.integers(49152, 65536, count))
    flows["client_port"] = np.where(flows["port"] == 47808, 47808, flows["client_port"])
    answered = flows["answered"] > 0
    flows["packets_out"] = np.where(answered, rng.integers(4, 14, count), rng.integers(1, 3, count))
    flows["packets_in"] = np.where(answered, rng.integers(3, 14, count), 0)
    return flows


def _told(flows: dict[str, Any], kind: int, source: str, rng: Any) -> Iterator[Any]:
    """Yield the tables of records of one kind of observer, those of clients and those of servers."""
    tcp = flows["protocol"] == 6
    for forward in (True, False):
        packets = flows["packets_out" if forward else "packets_in"]
        shown = packets > 0
        if kind == ONE_SIDED and not forward:
            continue
        if kind == SAMPLED:
            packets = rng.binomial(packets, 1 / SAMPLING)
            shown = packets > 0
        mine = _picked(flows, shown)
        count = int(shown.sum())
        if not count:
            continue
        packets, is_tcp = packets[shown], tcp[shown]
        size = np.where(is_tcp, 60, 90) + rng.integers(0, 500, count) * (mine["answered"] > 0)
        step = 1 if kind == TAP else 1000
        delay = 0 if forward else rng.integers(200, 20_000, count)
        start = (mine["start"] + delay) // step * step
        flags = (
            np.where(is_tcp, SYN | (ACK | PSH | FIN) * (mine["answered"] > 0), 0)
            if kind in (TAP, FLAGS, ONE_SIDED, ASYMMETRIC)
            else 0
        )
        ends = ("client", "server") if forward else ("server", "client")
        ports = {"client": mine["client_port"], "server": mine["port"]}
        columns: dict[str, Any] = {
            "start_us": start,
            "end_us": np.maximum(start, mine["end"] // step * step),
            "protocol": mine["protocol"],
            "source_port": ports[ends[0]],
            "target_port": ports[ends[1]],
            "packets": packets,
            "bytes": packets * size,
            "flags": flags if isinstance(flags, np.ndarray) else np.zeros(count, dtype=np.int64),
            "step_us": np.full(count, step),
            "sampling": np.full(count, SAMPLING if kind == SAMPLED else 1),
            "origin": np.full(count, 0 if kind == TAP else 1),
            "exporter": f"{OBSERVERS[kind]}{'' if forward or kind != ASYMMETRIC else ' 2'}",
            "source": source,
        }
        if kind == TAP:
            columns["pure_syn" if forward else "syn_ack"] = is_tcp
        for side, end in zip(("source", "target"), ends, strict=True):
            columns[f"{side}_hi"], columns[f"{side}_lo"] = columns_of_v4(mine[f"{end}_address"])
        yield record_table(count, columns)


def _observations(site: SiteTruth, days: int, rng: Any) -> list[Observation]:
    """Return what ISE and the access switches say: profiles, a few of them wrong; leases, a few of them not seen; names."""
    first = int(datetime(*site.day(0).timetuple()[:3], tzinfo=UTC).timestamp()) * 1_000_000
    now = first + days * DAY_US
    made = []
    for each in site.devices:
        if each.first_day >= days:
            continue
        made.append(Observation(each.mac, {"endpoint_profile": each.profile}, (), "ise:endpoint", now, 0.9))
        held = site.address[each.number, each.first_day : days]
        changes = [0, *(np.flatnonzero(np.diff(held)) + 1).tolist(), len(held)]
        claims = [
            AddressClaim(
                _text(int(held[begin])),
                first + (each.first_day + begin) * DAY_US,
                first + (each.first_day + end) * DAY_US - 1,
            )
            for begin, end in zip(changes, changes[1:], strict=False)
            if begin == 0 or rng.random() >= UNSEEN_LEASES
        ]
        facts = {"hostname": f"{each.kind.replace('_', '-')}-{each.number}"} if each.number % 4 else {}
        made.append(Observation(each.mac, facts, tuple(claims), "acc1:dhcp-snooping", now, 0.9))
    return made


def _text(value: int) -> str:
    return ".".join(str(value >> shift & 255) for shift in (24, 16, 8, 0))
