# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says what every enforcement point ought to do with a probe, from conversations alone.

This is the lab's own reading of the policy documents (plain YAML, rules spread over hosts) and of the table in
facts/devices.md section 6. It imports nothing of the collection: compiler, packet engine and dialects are judged by it.

Known limits of stateless points are part of the expectation, not exceptions to it: a forged ACK or a UDP datagram out of
a service port passes where the reply line is, and later fragments pass where a permit for their protocol and peer is.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .description import Hospital, load_hospital
from .net.prober import Probe
from .net.probes import Permitted, is_permitted

ACCESS_KINDS = ("dacl", "port_acl")
DHCP_SERVER, DHCP_CLIENT = 67, 68


@dataclass(frozen=True)
class PolicyReading:
    """What the lab reads from a policy directory.

    permitted: conversations by host, DHCP to the site's lease servers included. segment_of: hosts by segment, as the
    lock gives their address. points: (point, kind) by segment, where it is enforced. strangers: lab hosts whose address
    is in no segment.
    """

    permitted: tuple[Permitted, ...]
    segment_of: dict[str, str]
    points: dict[str, tuple[tuple[str, str], ...]]
    addresses: dict[str, str]
    subnet_of: dict[str, str]
    strangers: tuple[str, ...] = ()


def read_policy(directory: Path, hospital: Hospital | None = None) -> PolicyReading:
    """Read segments, services, networks, membership and enforcement with nothing but a YAML reader.

    Devices of the lock are matched to the lab's hosts by address, since that is what lists know; names are not trusted.
    Raises ValueError on what the lab cannot judge (port ranges in rules).
    """
    hospital = hospital or load_hospital()
    lock = json.loads((directory / "members.lock.json").read_text(encoding="utf-8"))
    services = _yaml(directory / "services.yml")["services"]
    site = _yaml(directory / "site.yml")
    networks = _yaml(directory / "networks.yml").get("networks", {}) if (directory / "networks.yml").exists() else {}
    enforcement = _yaml(directory / "enforcement.yml")
    segment_of = {
        host: segment
        for segment, value in lock["segments"].items()
        for device in value["devices"]
        for address in device["addresses"]
        if (host := hospital.host_at(address))
    }

    def hosts(name: str) -> list[str]:
        if name == "any":
            return list(hospital.hosts)
        if name in lock["segments"]:
            return [host for host in hospital.hosts if segment_of.get(host) == name]
        prefixes = site["zones"][name[5:]]["subnets"] if name.startswith("zone:") else networks[name]["prefixes"]
        blocks = [ipaddress.ip_network(prefix) for prefix in prefixes]
        return [
            host.name
            for host in hospital.hosts.values()
            if any(ipaddress.ip_address(host.address) in b for b in blocks)
        ]

    permitted = []
    for path in sorted(directory.glob("*/*.yml")):
        if path.parent.name == "expectations":
            continue
        segment = _yaml(path)
        for rule in segment.get("allow") or []:
            for protocol, port, client_port in _flows(services, rule["services"]):
                for client in hosts(segment["segment"]):
                    for server in hosts(rule["to"]):
                        if client != server:
                            permitted.append(Permitted(client, server, protocol, port, client_port))
    leases = site.get("defaults", {}).get("bootstrap", {}).get("dhcp_servers")
    for server in hosts(leases) if leases else []:
        permitted += [
            Permitted(client, server, "udp", DHCP_SERVER, DHCP_CLIENT) for client in segment_of if client != server
        ]
    kinds = {name: point["kind"] for name, point in enforcement["points"].items()}
    points = {
        name: tuple((point, kinds[point]) for point in value["points"])
        for name, value in enforcement["segments"].items()
        if value["stage"] == "enforce"
    }
    return PolicyReading(
        tuple(dict.fromkeys(permitted)),
        segment_of,
        points,
        {name: host.address for name, host in hospital.hosts.items()},
        {name: host.subnet for name, host in hospital.hosts.items()},
        tuple(name for name in hospital.hosts if name not in segment_of),
    )


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _flows(services: dict[str, Any], names: Iterable[str]) -> Iterator[tuple[str, int, int | None]]:
    for name in names:
        service = services[name]
        for match in service["match"]:
            for port in match.get("ports", []):
                if not isinstance(port, int):
                    raise ValueError(f"service {name}: the lab judges single ports only, not {port}")
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
    protocol: Any = int(probe.protocol) if probe.protocol.isdigit() else probe.protocol
    base: dict[str, Any] = {
        "source": addresses[probe.client],
        "destination": addresses[probe.server],
        "protocol": protocol,
    }
    tail = {**base, "fragment_offset": 185}
    if probe.protocol in ("tcp", "udp"):
        base |= {"source_port": port, "destination_port": probe.server_port}
    if probe.protocol == "tcp":
        base["tcp_flags"] = {"ack": {"ack"}, "reply": {"syn", "ack"}}.get(probe.kind, {"syn"})
    if probe.protocol == "icmp":
        base |= {"icmp_type": 8, "icmp_code": 0}
    chosen = {"fragment_tail": [tail], "fragment": [base, tail]}.get(probe.kind, [base])
    return [PacketOfProbe(probe.client, probe.server, fields) for fields in chosen]


def replies_of(reading: PolicyReading, client_port: int = 40000) -> list[Probe]:
    """Return the first answer of every permitted conversation, which stateless points must pass too."""
    return [
        Probe(
            each.server, each.client, each.protocol, each.client_port or client_port, each.port, "reply", "reply", True
        )
        for each in reading.permitted
        if (each.protocol, each.port) != ("udp", DHCP_SERVER)
    ]


def forward_matches(reading: PolicyReading, packet: PacketOfProbe) -> bool:
    """Whether a permitted conversation from source to destination covers the packet (later fragments: its peers alone)."""
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
    """Whether the packet looks like an answer of a permitted conversation that the destination opened to the source.

    A later fragment looks like one on addresses alone: a permit entry passes it whatever its ports and flags say.
    """
    fields = packet.fields
    for each in reading.permitted:
        if (each.server, each.client, each.protocol) != (packet.source, packet.destination, fields["protocol"]):
            continue
        if fields.get("fragment_offset"):
            return True
        if each.port != fields["source_port"] or each.client_port not in (None, fields["destination_port"]):
            continue
        if each.protocol == "udp" or fields["tcp_flags"] & {"ack", "rst"}:
            return True
    return False


def bootstrap_matches(packet: PacketOfProbe) -> bool:
    """Whether an access port must pass the packet whatever the rules say: DHCP to servers and ICMP errors."""
    fields = packet.fields
    if fields.get("fragment_offset"):
        # A permit entry with ports passes later fragments on addresses alone; the DHCP entry is for any peer.
        return bool(fields["protocol"] == "udp")
    if fields["protocol"] == "udp":
        return (fields["source_port"], fields["destination_port"]) == (DHCP_CLIENT, DHCP_SERVER)
    return fields["protocol"] == "icmp" and fields["icmp_type"] in (3, 11)


def expected_on_access_port(reading: PolicyReading, packet: PacketOfProbe) -> bool:
    """What a DACL or port ACL on the source's port must do."""
    return bootstrap_matches(packet) or forward_matches(reading, packet) or reply_matches(reading, packet)


def expected_in_cell(reading: PolicyReading, packet: PacketOfProbe) -> bool:
    """What the cell from the source's group to the destination's must do. Cells know groups, not hosts."""
    source, destination = reading.segment_of[packet.source], reading.segment_of[packet.destination]
    for one in (host for host, segment in reading.segment_of.items() if segment == source):
        for other in (host for host, segment in reading.segment_of.items() if segment == destination):
            twin = PacketOfProbe(one, other, packet.fields)
            if forward_matches(reading, twin) or reply_matches(reading, twin):
                return True
    return False


def seen_by_firewall(reading: PolicyReading, probe: Probe) -> bool:
    """Whether the firewall is on the way: hosts of one subnet reach each other over their switch alone."""
    return reading.subnet_of[probe.client] != reading.subnet_of[probe.server]


def expected_on_firewall(reading: PolicyReading, probe: Probe) -> bool | None:
    """What the stateful firewall must do with a probe that opens something; None where either is safe.

    It may pick a permitted connection up in the middle, and reassembles or refuses fragments of a permitted one.
    """
    enforced = any(
        kind == "firewall"
        for host in (probe.client, probe.server)
        for _, kind in reading.points.get(reading.segment_of.get(host, ""), ())
    )
    if not enforced:
        return None
    verdict = is_permitted(probe, reading.permitted)
    return None if verdict and probe.kind in ("ack", "fragment") else verdict


def points_on_the_way(reading: PolicyReading, packet: PacketOfProbe) -> list[tuple[str, str]]:
    """Return (point, kind) of the stateless points that see the packet: its sender's port and the cell of both groups."""
    source_points = set(reading.points.get(reading.segment_of.get(packet.source, ""), ()))
    destination_points = set(reading.points.get(reading.segment_of.get(packet.destination, ""), ()))
    found = sorted(item for item in source_points if item[1] in ACCESS_KINDS)
    return found + sorted(item for item in source_points & destination_points if item[1] == "sgacl")
