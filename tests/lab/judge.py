# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says what every enforcement point ought to do with a probe, from conversations alone.

This is the lab's own reading of the policy documents (plain YAML, rules spread over hosts) and of the table in
facts/devices.md section 6. It imports nothing of the collection: compiler, packet engine and dialects are judged by it.

Known limits of stateless points are part of the expectation, not exceptions to it: a forged ACK or a UDP datagram out of a
service port passes where the reply line is, and later fragments pass where a permit for their protocol and peer is.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .net.probes import Permitted
from .net.prober import Probe

ACCESS_KINDS = ("dacl", "port_acl")


@dataclass(frozen=True)
class PolicyReading:
    """What the lab reads from a policy directory: permitted conversations by host, hosts by segment, points by segment."""

    permitted: tuple[Permitted, ...]
    segment_of: dict[str, str]
    points: dict[str, tuple[tuple[str, str], ...]]
    addresses: dict[str, str]


def read_policy(directory: Path) -> PolicyReading:
    """Read segments, services, membership and enforcement with nothing but a YAML reader."""
    lock = json.loads((directory / "members.lock.json").read_text())
    services = yaml.safe_load((directory / "services.yml").read_text())["services"]
    enforcement = yaml.safe_load((directory / "enforcement.yml").read_text())
    segments = [yaml.safe_load(path.read_text()) for path in sorted(directory.glob("*/*.yml")) if path.parent.name != "expectations"]
    hosts = {name: [d["name"] for d in value["devices"]] for name, value in lock["segments"].items()}
    segment_of = {host: segment for segment, names in hosts.items() for host in names}
    addresses = {d["name"]: d["addresses"][0] for value in lock["segments"].values() for d in value["devices"] if d["addresses"]}
    permitted = []
    for segment in segments:
        for rule in segment.get("allow", []):
            for protocol, port, client_port in _flows(services, rule["services"]):
                for client in hosts.get(segment["segment"], []):
                    for server in hosts.get(rule["to"], []):
                        if client != server:
                            permitted.append(Permitted(client, server, protocol, port, client_port))
    kinds = {name: point["kind"] for name, point in enforcement["points"].items()}
    points = {
        name: tuple((point, kinds[point]) for point in value["points"])
        for name, value in enforcement["segments"].items()
        if value["stage"] == "enforce"
    }
    return PolicyReading(tuple(dict.fromkeys(permitted)), segment_of, points, addresses)


def _flows(services: dict[str, Any], names: Iterable[str]) -> Iterable[tuple[str, int, int | None]]:
    for name in names:
        service = services[name]
        for match in service["match"]:
            for port in match.get("ports", []):
                if isinstance(port, int):  # the lab's rules name single ports; ranges serve guardrails only
                    yield match["protocol"], port, port if service.get("symmetric") else None


@dataclass(frozen=True)
class PacketOfProbe:
    """One packet that a probe puts on the wire, as the independent evaluator wants it."""

    source: str
    destination: str
    fields: dict[str, Any]


def packets_of(probe: Probe, addresses: dict[str, str], client_port: int = 40000) -> list[PacketOfProbe]:
    """Return the packets of a probe from client to server."""
    port = probe.client_port or client_port
    base: dict[str, Any] = {"source": addresses[probe.client], "destination": addresses[probe.server], "protocol": probe.protocol}
    if probe.protocol in ("tcp", "udp"):
        base |= {"source_port": port, "destination_port": probe.server_port}
    if probe.protocol == "tcp":
        base["tcp_flags"] = {"ack"} if probe.kind == "ack" else {"syn"}
    if probe.protocol == "icmp":
        base |= {"icmp_type": 8, "icmp_code": 0}
    tail = {k: v for k, v in base.items() if k not in ("source_port", "destination_port", "tcp_flags")} | {"fragment_offset": 185}
    if probe.kind == "fragment_tail":
        chosen = [tail]
    elif probe.kind == "fragment":
        chosen = [base, tail]
    else:
        chosen = [base]
    return [PacketOfProbe(probe.client, probe.server, fields) for fields in chosen]


def forward_matches(reading: PolicyReading, packet: PacketOfProbe) -> bool:
    """Return whether a permitted conversation from source to destination covers the packet (later fragments: its peers alone)."""
    fields = packet.fields
    for each in reading.permitted:
        if (each.client, each.server, each.protocol) != (packet.source, packet.destination, fields["protocol"]):
            continue
        if fields.get("fragment_offset"):
            return True
        if each.port == fields["destination_port"] and each.client_port in (None, fields["source_port"]):
            return True
    return False


def reply_matches(reading: PolicyReading, packet: PacketOfProbe) -> bool:
    """Return whether the packet looks like a reply of a permitted conversation that the destination opened to the source."""
    fields = packet.fields
    for each in reading.permitted:
        if (each.server, each.client, each.protocol) != (packet.source, packet.destination, fields["protocol"]):
            continue
        if fields.get("fragment_offset"):
            # `established` needs TCP flags that a later fragment does not carry.
            if each.protocol != "tcp":
                return True
            continue
        if each.port != fields["source_port"] or each.client_port not in (None, fields["destination_port"]):
            continue
        if each.protocol == "udp" or fields["tcp_flags"] & {"ack", "rst"}:
            return True
    return False


def bootstrap_matches(packet: PacketOfProbe) -> bool:
    """Return whether an access port must pass the packet whatever the rules say: DHCP to servers and ICMP errors."""
    fields = packet.fields
    if fields.get("fragment_offset"):
        # A permit entry with ports passes later fragments on addresses alone; the DHCP entry is for any peer.
        return fields["protocol"] == "udp"
    if fields["protocol"] == "udp":
        return (fields["source_port"], fields["destination_port"]) == (68, 67)
    return fields["protocol"] == "icmp" and fields["icmp_type"] in (3, 11)


def expected_on_access_port(reading: PolicyReading, packet: PacketOfProbe) -> bool:
    """Return what a DACL or port ACL on the source's port must do."""
    return bootstrap_matches(packet) or forward_matches(reading, packet) or reply_matches(reading, packet)


def expected_in_cell(reading: PolicyReading, packet: PacketOfProbe) -> bool:
    """Return what the cell from the source's group to the destination's must do. Cells know groups, not hosts."""
    source, destination = reading.segment_of[packet.source], reading.segment_of[packet.destination]
    for one in (host for host, segment in reading.segment_of.items() if segment == source):
        for other in (host for host, segment in reading.segment_of.items() if segment == destination):
            twin = PacketOfProbe(one, other, packet.fields)
            if forward_matches(reading, twin) or reply_matches(reading, twin):
                return True
    return False


def points_on_the_way(reading: PolicyReading, packet: PacketOfProbe) -> list[tuple[str, str]]:
    """Return (point, kind) of the stateless points that see the packet."""
    found = [item for item in reading.points.get(reading.segment_of.get(packet.source, ""), ()) if item[1] in ACCESS_KINDS]
    source_points = set(reading.points.get(reading.segment_of.get(packet.source, ""), ()))
    destination_points = set(reading.points.get(reading.segment_of.get(packet.destination, ""), ()))
    found += sorted(item for item in source_points & destination_points if item[1] == "sgacl")
    return found


def same_subnet(one: str, other: str) -> bool:
    """Return whether two lab addresses share their /24."""
    return ipaddress.ip_network(f"{one}/24", strict=False) == ipaddress.ip_network(f"{other}/24", strict=False)
