# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What proposing reads: evidence from the store, what is known of devices, addresses and telemetry."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes as device_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import addresses_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.address import columns_of_int
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.gate import NETWORKS
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.quality import (
    ceiling_of,
    noted_by_exporter,
    observed,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.holding import like_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.proposed import Telemetry
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.members import facts_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import NEVER_DROPPED, Segment, Site

pa = guarded("pyarrow")

# Of an exporter with less than this share of the flows, nothing rests on what it cannot see.
SMALL_SHARE = 0.01
# So many of the last recorded days say which exporters tell of which zone.
TOLD_DAYS = 7
# What a device is, of the facts that sources may disagree about (devices/register.py).
IDENTITY = ("endpoint_profile", "device_type", "oui_vendor")
_CONFLICT = re.compile(r"\A(?P<fact>[a-z_]+) of (?P<device>[0-9a-f]{2}(?::[0-9a-f]{2}){5}) is ")


def named_ranges(site: Site) -> Any:
    """Return the site's network sets as disjoint ranges for ``FlowGate.bind``: each address is the narrowest set's that holds it."""
    rows: list[tuple[int, int, int, int, str]] = []
    for family in (4, 6):
        sets = [(name, addresses_of(network.prefixes, family)) for name, network in site.networks.items()]
        ordered = sorted(((each.size, name, each) for name, each in sets if each), key=lambda item: item[:2])
        edges = sorted(
            {edge for _size, _name, each in ordered for low, high in each.to_ranges() for edge in (low, high + 1)}
        )
        ranges = [(each.to_ranges(), name) for _size, name, each in ordered]
        owner: dict[int, str] = {}
        for spans, name in reversed(ranges):  # the narrowest last: it overwrites
            for low, high in spans:
                for place in range(_at(edges, low), _at(edges, high + 1)):
                    owner[place] = name
        for place, name in sorted(owner.items()):
            first, last = columns_of_int(family, edges[place]), columns_of_int(family, edges[place + 1] - 1)
            rows.append((*first, *last, name))
    columns = {name: [row[place] for row in rows] for place, name in enumerate(NETWORKS)}
    types = [pa.string() if name == "segment" else pa.int64() for name in NETWORKS]
    return pa.table(columns, schema=pa.schema(list(zip(NETWORKS, types, strict=True))))


def _at(edges: Sequence[int], value: int) -> int:
    from bisect import bisect_left

    return bisect_left(edges, value)


def address_counts(site: Site) -> dict[str, int]:
    """Return how many addresses each network set has."""
    return {
        name: sum(addresses_of(network.prefixes, family).size for family in (4, 6))
        for name, network in site.networks.items()
    }


def telemetry_of(data_dir: Path) -> Telemetry:
    """Return what the exporters' records allow to claim: the lowest ceiling of those that count (flows/quality.py)."""
    seen = observed(store.observers(data_dir).to_pylist())
    noted = noted_by_exporter(store.read_inputs(data_dir))
    total = sum(own.get("flows", 0) for own in seen.values())
    made = [
        ceiling_of(name, noted.get(name, {}), seen.get(name, {}))
        for name in sorted({*noted, *seen})
        if not total or seen.get(name, {}).get("flows", 0) >= SMALL_SHARE * total
    ]
    if not made:
        return Telemetry()
    lowest = min(each.ceiling for each in made)
    reasons = tuple(f"{each.exporter or 'captures'}: {reason}" for each in made for reason in each.reasons)
    sampled = any("looked at" in reason for reason in reasons)
    band = "sampled" if sampled else "" if all(each.silence for each in made) else "partial"
    return Telemetry(lowest, all(each.silence for each in made), band, reasons)


def sampled_segments(
    data_dir: Path, site: Site, segments: Sequence[Segment], lock: Mapping[str, Any]
) -> frozenset[str]:
    """Return the segments of whose conversations sampled recordings tell: what they open, or what zones open that may open to theirs.

    The rollup does not keep exporters, so the connections of the last recorded days are asked which exporters tell what each zone's
    devices open. An exporter counts for a zone from SMALL_SHARE of what it opens on, each of its flows as many as it samples. One
    that told nothing in these days counts everywhere, since nobody knows where it stands.
    """
    noted = noted_by_exporter(store.read_inputs(data_dir))
    factors = {name: int(own.get("sampling", 1) or 1) for name, own in noted.items()}
    sampling = {name for name, factor in factors.items() if factor > 1}
    seen = observed(store.observers(data_dir).to_pylist())
    total = sum(own.get("flows", 0) for own in seen.values())
    # As in telemetry_of: what has next to no flows rests on no exporter.
    sampling = {name for name in sampling if not total or seen.get(name, {}).get("flows", 0) >= SMALL_SHARE * total}
    if not sampling:
        return frozenset()
    zone_of = {segment.name: segment.zone for segment in segments}
    told = _flows_by_zone(data_dir, zone_of, lock)
    everywhere = sampling - {exporter for _zone, exporter in told}
    if everywhere:
        return frozenset(zone_of)
    shares: dict[str, float] = {}
    dim = set()
    for (zone, exporter), flows in told.items():
        shares[zone] = shares.get(zone, 0.0) + flows * factors.get(exporter, 1)
    for (zone, exporter), flows in told.items():
        if exporter in sampling and flows * factors[exporter] >= SMALL_SHARE * shares[zone]:
            dim.add(zone)
    dim_too = dim | {conduit.server for conduit in site.conduits if conduit.client in dim}
    return frozenset(name for name, zone in zone_of.items() if zone in dim_too)


def vital_openers(site: Site, segments: Sequence[Segment]) -> dict[str, tuple[str, ...]]:
    """Return for each segment those others, not holding ones, on which lives or processes depend and that zones let open to it."""
    conduits = {(conduit.client, conduit.server) for conduit in site.conduits}
    vital = [each for each in segments if each.criticality in NEVER_DROPPED and not like_of(each)]
    return {
        each.name: tuple(
            other.name
            for other in vital
            if other.name != each.name and (other.zone == each.zone or (other.zone, each.zone) in conduits)
        )
        for each in segments
    }


def _flows_by_zone(data_dir: Path, zone_of: Mapping[str, str], lock: Mapping[str, Any]) -> dict[tuple[str, str], int]:
    """Return how many connections of the last recorded days each exporter tells of those that each zone's devices opened."""
    days = store.rollup_days(data_dir)
    rows = [
        (*columns_of_int(*_int_of(address)), zone_of[name])
        for name, entry in sorted(lock["segments"].items())
        for device in entry["devices"]
        for address in device["addresses"]
        if name in zone_of
    ]
    if not days or not rows:
        return {}
    names = ["start_us", "exporter", "client_hi", "client_lo"]
    with store.window_connections(data_dir, max(days) - timedelta(days=TOLD_DAYS - 1), None, names) as connection:
        columns = {name: [row[place] for row in rows] for place, name in enumerate(("hi", "lo", "zone"))}
        connection.register("holders", pa.table(columns))
        found = connection.execute(
            "SELECT h.zone, c.exporter, sum(c.flows)::BIGINT FROM (SELECT exporter, client_hi, client_lo, count(*) AS flows FROM given"
            " GROUP BY ALL) AS c JOIN holders h ON h.hi = c.client_hi AND h.lo = c.client_lo GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    return {(zone, exporter or ""): flows for zone, exporter, flows in found}


def _int_of(address: str) -> tuple[int, int]:
    value = ipaddress.ip_address(address)
    return value.version, int(value)


def contradicted(register: Mapping[str, Any]) -> dict[str, str]:
    """Return the devices about whose kind sure sources disagree, with what they say: their traffic is no evidence until that is settled."""
    found = {}
    for each in register.get("conflicts", ()):
        told = _CONFLICT.match(str(each.get("message", "")))
        if each.get("code") == device_codes.FACT_CONFLICT.number and told and told["fact"] in IDENTITY:
            found[told["device"]] = str(each["message"])
    return found


def name_of(device: Mapping[str, Any]) -> str:
    """Return a device's name for people."""
    values = facts_of(device).get("hostname") or [device["id"]]
    return str(values[0])


def declared_scanners(site: Site) -> tuple[str, ...]:
    """Return the prefixes of scanners and pollers that the site knows."""
    declared = site.networks.get(site.learning.get("declared_scanners", ""))
    return declared.prefixes if declared else ()


def source_hashes(data_dir: Path) -> dict[str, str]:
    """Return the inputs of the store, by their SHA-256, with their names."""
    inputs = store.read_inputs(data_dir)["inputs"]
    return {str(each["sha256"]): str(each.get("name", "")) for _name, each in sorted(inputs.items())}
