# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documents that people of a site have written before anything was learnt: zones, conduits, classification, services, networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.truth.blueprints import SERVICES, UNNAMED
from tests.truth.sites import SiteTruth

PROTOCOLS = {6: "tcp", 17: "udp"}


def write_documents(site: SiteTruth, policy: Path) -> None:
    """Write the policy directory of a site without any segment."""
    policy.mkdir(parents=True, exist_ok=True)
    zone_of = {each.name: each.zone for each in site.types}
    zones = sorted(set(zone_of.values()))
    pairs = sorted(
        {(zone_of[talk.client], zone_of[talk.server]) for talk in site.talks if talk.server in zone_of}
        - {(zone, zone) for zone in zones}
    )
    documents: dict[str, Any] = {
        "site.yml": {
            "name": site.name,
            "time_zone": "UTC",
            "zones": {
                zone: {"owner": f"owner-of-{zone}", "security_level": 2, "subnets": _subnets(site, zone)}
                for zone in zones
            },
            "conduits": [
                {"id": f"{client}-to-{server}", "client": client, "server": server, "owner": "network"}
                for client, server in pairs
            ],
            "learning": {"window_days": 30, "minimum_days": 3, "declared_scanners": "declared_scanners"},
        },
        "classification.yml": {
            "rules": [
                {
                    "name": each.name,
                    "when": {"fact": "endpoint_profile", "equals": each.name},
                    "zone": each.zone,
                    "sgt": 100 + 10 * number,
                    "owner": f"owner-of-{each.zone}",
                    "criticality": each.criticality,
                    "description": f"Devices of type {each.name}",
                }
                for number, each in enumerate(site.types)
            ]
        },
        "services.yml": {
            "services": {
                name: {"match": [{"protocol": PROTOCOLS[protocol], "ports": [low if low == high else f"{low}-{high}"]}]}
                | ({"symmetric": True} if name == "bacnet" else {})
                for name, (protocol, low, high) in sorted(SERVICES.items())
                if name not in UNNAMED
            }
        },
        "networks.yml": {"networks": _networks(site)},
    }
    for name, document in documents.items():
        (policy / name).write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def _subnets(site: SiteTruth, zone: str) -> list[str]:
    return [f"10.{site.seed % 200 + 1}.{number}.0/24" for number, each in enumerate(site.types) if each.zone == zone]


def _networks(site: SiteTruth) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in site.outside:
        if name != "net:":
            made[name[4:]] = {"prefixes": [f"{value >> 24}.{value >> 16 & 255}.{value >> 8 & 255}.0/24"]}
    pollers = site.address[site.of_type("nms"), 0]
    made["declared_scanners"] = {
        "prefixes": [f"{each >> 24}.{each >> 16 & 255}.{each >> 8 & 255}.{each & 255}/32" for each in pollers]
    }
    return made
