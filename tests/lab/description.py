# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab hospital as data: what ``hospital.yml`` says, checked and typed.

The namespaces, the emulated ISE's endpoints and sessions, the emulated switches' tables, the recording and the probes
are all made from this one description.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

DESCRIPTION = Path(__file__).with_name("hospital.yml")
PROTOCOL_NUMBERS = {"icmp": 1, "tcp": 6, "udp": 17}


@dataclass(frozen=True)
class Subnet:
    name: str
    vlan: int
    prefix: ipaddress.IPv4Network
    gateway: str


@dataclass(frozen=True)
class Host:
    """A device of the lab. ``segment`` is ground truth; ``profile`` is what ISE says about it."""

    name: str
    subnet: str
    address: str
    mac: str
    segment: str
    profile: str
    switch: str
    interface: str


@dataclass(frozen=True)
class Conversation:
    """One legitimate use: each client opens to each server on ``port``."""

    id: str
    clients: tuple[str, ...]
    servers: tuple[str, ...]
    protocol: str
    port: int
    service: str
    via: str
    client_port: int | None = None

    def pairs(self) -> Iterator[tuple[str, str]]:
        for client in self.clients:
            for server in self.servers:
                if client != server:
                    yield client, server


@dataclass(frozen=True)
class Switch:
    """An access switch. ``neighbours``: local port -> (neighbour's name, its port)."""

    name: str
    number: int
    management: str
    location: str
    neighbours: dict[str, tuple[str, str]]


@dataclass(frozen=True)
class Scan:
    source: str
    subnets: tuple[str, ...]
    ports: tuple[int, ...]


@dataclass(frozen=True)
class Hospital:
    name: str
    management: ipaddress.IPv4Network
    controller: str
    firewall: str
    subnets: dict[str, Subnet]
    switches: dict[str, Switch]
    hosts: dict[str, Host]
    conversations: tuple[Conversation, ...]
    scan: Scan

    def host_at(self, address: str) -> str | None:
        return next((host.name for host in self.hosts.values() if host.address == address), None)

    def in_subnet(self, subnet: str) -> list[Host]:
        return [host for host in self.hosts.values() if host.subnet == subnet]

    def segments(self) -> dict[str, list[Host]]:
        """Ground truth: the hosts of each true group, in the order of the description."""
        groups: dict[str, list[Host]] = {}
        for host in self.hosts.values():
            groups.setdefault(host.segment, []).append(host)
        return groups

    def on_switch(self, switch: str) -> list[Host]:
        return [host for host in self.hosts.values() if host.switch == switch]

    def conversation(self, identifier: str) -> Conversation:
        return next(each for each in self.conversations if each.id == identifier)


def load_hospital(path: Path = DESCRIPTION) -> Hospital:
    """Read and check the description; raises ValueError naming what is wrong."""
    return _load(path)


@lru_cache(maxsize=4)
def _load(path: Path) -> Hospital:
    raw: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    management = raw["management"]
    subnets = {
        name: Subnet(name, int(each["vlan"]), ipaddress.IPv4Network(each["prefix"]), str(each["gateway"]))
        for name, each in raw["subnets"].items()
    }
    switches = {
        name: Switch(
            name,
            int(each["number"]),
            str(each["management"]),
            str(each["location"]),
            {port: (other["name"], other["port"]) for port, other in each["neighbours"].items()},
        )
        for name, each in raw["switches"].items()
    }
    hosts = {name: Host(name=name, **each) for name, each in raw["hosts"].items()}
    conversations = tuple(
        Conversation(**{**each, "clients": tuple(each["clients"]), "servers": tuple(each["servers"])})
        for each in raw["conversations"]
    )
    scan = Scan(raw["scan"]["source"], tuple(raw["scan"]["subnets"]), tuple(raw["scan"]["ports"]))
    hospital = Hospital(
        name=raw["name"],
        management=ipaddress.IPv4Network(management["subnet"]),
        controller=management["controller"],
        firewall=management["firewall"],
        subnets=subnets,
        switches=switches,
        hosts=hosts,
        conversations=conversations,
        scan=scan,
    )
    _check(hospital)
    return hospital


def _check(hospital: Hospital) -> None:
    addresses = [host.address for host in hospital.hosts.values()]
    macs = [host.mac for host in hospital.hosts.values()]
    if len(set(addresses)) != len(addresses) or len(set(macs)) != len(macs):
        raise ValueError("hospital.yml: an address or a MAC is given twice")
    shared = ipaddress.IPv4Network("100.64.0.0/10")
    for host in hospital.hosts.values():
        address = ipaddress.IPv4Address(host.address)
        if address not in hospital.subnets[host.subnet].prefix or address not in shared:
            raise ValueError(f"hospital.yml: {host.name} is not inside subnet {host.subnet} of {shared}")
        if host.switch not in hospital.switches:
            raise ValueError(f"hospital.yml: {host.name} hangs on unknown switch {host.switch}")
    for each in hospital.conversations:
        for name in (*each.clients, *each.servers):
            if name not in hospital.hosts:
                raise ValueError(f"hospital.yml: conversation {each.id} names unknown host {name}")
        if each.protocol not in PROTOCOL_NUMBERS:
            raise ValueError(f"hospital.yml: conversation {each.id}: unknown protocol {each.protocol}")
