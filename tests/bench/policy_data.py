# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A large policy directory for measurements: the same numbers give the same files. Nothing of the engine is used."""

from __future__ import annotations

import json
import random
from pathlib import Path

RULES_PER_SEGMENT = 50
DEVICES_PER_SEGMENT = 10
SEGMENTS_PER_ZONE = 100
SERVICES = 200
NETWORKS = 50


def write_large_site(
    directory: Path,
    segments: int = 2000,
    seed: int = 1,
    kind: str = "dacl",
    devices: int = DEVICES_PER_SEGMENT,
    first: int = 10,
) -> int:
    """Write a site of ``segments`` with 50 rules and 10 devices each; return the number of rules.

    ``first``: the last number of the address of each segment's first device.

    A rule leads to another segment (nine of ten) or a network set outside of the zones, by one of 200 services. Every segment
    is enforced at one point of the kind (dacl or sgacl) with platform ise.
    """
    chance = random.Random(f"large site {seed}")
    zones = -(-segments // SEGMENTS_PER_ZONE)
    directory.mkdir(parents=True, exist_ok=True)
    names = [f"segment_{number}" for number in range(segments)]
    zone_of = [f"zone_{number // SEGMENTS_PER_ZONE}" for number in range(segments)]
    site = ["name: large", "time_zone: Europe/Vienna", "zones:"]
    for number in range(zones):
        site += [
            f"  zone_{number}:",
            f"    subnets: [10.{number}.0.0/16]",
            "    security_level: 2",
            "    owner: network-security",
        ]
    site.append("conduits:")
    for client in range(zones):
        for server in range(zones):
            if client != server:
                site += [
                    f"  - id: zone_{client}-to-zone_{server}",
                    f"    client: zone_{client}",
                    f"    server: zone_{server}",
                    "    owner: network-security",
                ]
    _write(directory / "site.yml", site)
    services = ["services:"]
    for number in range(SERVICES):
        services += [f"  service-{number}:", "    match:", "      - protocol: tcp", f"        ports: [{1024 + number}]"]
    _write(directory / "services.yml", services)
    networks = ["networks:"]
    for number in range(NETWORKS):
        networks += [f"  network_{number}:", f"    prefixes: [198.18.{number}.0/24]"]
    _write(directory / "networks.yml", networks)
    enforcement = ["points:", "  point:", f"    kind: {kind}", "    platform: ise", "    host: ise1", "segments:"]
    lock = {}
    rules = 0
    for number, name in enumerate(names):
        enforcement += [f"  {name}:", "    stage: enforce", "    points: [point]"]
        folder = directory / zone_of[number]
        folder.mkdir(exist_ok=True)
        text = _segment(chance, number, names, zone_of[number])
        rules += RULES_PER_SEGMENT
        _write(folder / f"{name}.yml", text)
        lock[name] = {"devices": [_device(number, index, first) for index in range(devices)]}
    _write(directory / "enforcement.yml", enforcement)
    document = {"kind": "members", "schema_version": "1.0", "segments": dict(sorted(lock.items()))}
    (directory / "members.lock.json").write_text(json.dumps(document, indent=2), encoding="utf-8")
    return rules


def _segment(chance: random.Random, number: int, names: list[str], zone: str) -> list[str]:
    name = names[number]
    lines = [
        f"segment: {name}",
        f"zone: {zone}",
        f"sgt: {300 + number}",
        "owner: network-security",
        "criticality: medium",
        "members:",
        "  fact: endpoint_profile",
        f"  equals: Profile-{number}",
        "allow:",
    ]
    for index in range(RULES_PER_SEGMENT):
        to = f"network_{chance.randrange(NETWORKS)}" if index % 10 == 9 else chance.choice(names)
        service = (index * 4 + chance.randrange(4)) % SERVICES
        lines += [
            f"  - id: {name}-to-{to}-{index}",
            f"    to: {to}",
            f"    services: [service-{service}]",
            f"    reason: Devices of kind {number} report to {to}",
            "    origin: learned",
            "    evidence:",
            "      devices: most",
            "      days: 14 to 29",
            "      direction: high",
        ]
    return lines


def _device(number: int, index: int, first: int) -> dict[str, object]:
    zone, place = divmod(number, SEGMENTS_PER_ZONE)
    return {
        "device": f"02:00:{number >> 8:02x}:{number & 255:02x}:00:{index:02x}",
        "name": f"device-{number}-{index}",
        "addresses": [f"10.{zone}.{place * 2}.{first + index}"],
        "switch": f"switch-{number}",
        "interface": f"GigabitEthernet1/0/{index + 1}",
    }


def _write(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
