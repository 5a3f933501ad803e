# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random valid policy directories: the same seed gives the same documents, and no rule finds anything in them.

``random_documents`` gives plain values by file, ``write_documents`` writes them with the line of every key, and
``random_site`` loads them. Nothing of the engine is used to make or write them, so that loader, compiler and proofs can be held
against what is known by construction.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

Path_ = tuple[str | int, ...]
Documents = dict[str, Any]
Lines = dict[str, dict[Path_, int]]

TODAY = date(2026, 11, 23)
KINDS = ("firewall", "asa", "dacl", "sgacl", "port_acl", "port_acl_nxos", "router_acl", "router_acl_nxos")
SERVICES: dict[str, dict[str, Any]] = {
    "dicom": {"match": [{"protocol": "tcp", "ports": [104, 11112]}]},
    "hl7": {"match": [{"protocol": "tcp", "ports": ["2575-2580"]}]},
    "mqtt": {"match": [{"protocol": "tcp", "ports": [1883, 8883]}], "description": "Telemetry"},
    "https": {"match": [{"protocol": "tcp", "ports": [443]}]},
    "modbus": {"match": [{"protocol": "tcp", "ports": [502]}]},
    "dns": {"match": [{"protocol": "udp", "ports": [53]}, {"protocol": "tcp", "ports": [53]}]},
    "ntp": {"match": [{"protocol": "udp", "ports": [123]}], "symmetric": True},
    "bacnet": {"match": [{"protocol": "udp", "ports": [47808]}], "symmetric": True},
    "snmp": {"match": [{"protocol": "udp", "ports": ["161-162"]}]},
    "ping": {"match": [{"protocol": "icmp", "icmp_type": 8}, {"protocol": "icmpv6", "icmp_type": 128}]},
    "pinned": {"match": [{"protocol": "udp", "ports": [5000], "client_ports": ["4000-4010"]}]},
    "tunnel": {"match": [{"protocol": "gre"}]},
}
OWNERS = ("clinical-engineering", "plant-operations", "server-operations", "network-security")
WORDS = ("pumps", "monitors", "cameras", "scanners", "servers", "archive", "gateways", "meters", "robots", "printers")


def random_documents(
    seed: int, segments: int = 6, kinds: Collection[str] = KINDS, extras: bool = True, devices: int = 4
) -> Documents:
    """Return the documents of a valid site by file name, members.lock.json among them.

    ``segments``: how many (from 2), each with up to ``devices`` devices of which some have IPv4 and IPv6 addresses;
    ``kinds``: which enforcement points there may be (of KINDS); ``extras``: whether there are exceptions, postures,
    templates, conditions and rules of the site's own.
    """
    made = _Maker(seed, segments, kinds, extras, devices).documents()
    return json.loads(json.dumps(made))  # nothing in it is shared, so that a test may change any part


def random_site(seed: int, directory: Path, **options: Any) -> Any:
    """Return the loaded Site of a random policy directory, written below ``directory``; see ``random_documents``."""
    from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import errors_of
    from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import load_checked

    write_documents(random_documents(seed, **options), directory)
    result = load_checked(directory, TODAY)
    assert result.site is not None and not errors_of(result.findings), "\n".join(map(str, result.findings))
    return result.site


class _Maker:
    def __init__(self, seed: int, segments: int, kinds: Collection[str], extras: bool, devices: int) -> None:
        self.random = random.Random(f"random site {seed}")
        self.count, self.kinds, self.extras, self.devices = max(2, segments), tuple(kinds), extras, max(1, devices)
        self.zones: dict[str, dict[str, Any]] = {}
        self.segments: dict[str, dict[str, Any]] = {}
        self.members: dict[str, list[dict[str, Any]]] = {}
        self.networks: dict[str, dict[str, Any]] = {}
        self.network_zones: dict[str, str] = {}
        self.crossings: set[tuple[str, str]] = set()
        self.permitted: set[tuple[str, str, str]] = set()
        self.workflows: list[dict[str, Any]] = []
        self.critical: set[str] = set()
        self.uses_management = False

    def documents(self) -> Documents:
        self._zones()
        self._networks()
        self._segments()
        self._rules()
        self._workflows()
        made: Documents = {}
        if self.extras:
            made["templates.yml"] = {"templates": self._templates()}
            made["exceptions.yml"] = {"exceptions": self._exceptions()}
        enforcement = self._enforcement()
        if self.extras:
            made["postures.yml"] = {"postures": self._postures(enforcement)}
            made["rules/own.yml"] = {"rules": self._own_rules()}
            made["classification.yml"] = {"rules": [self._classification()]}
        made["enforcement.yml"] = enforcement
        made["workflows.yml"] = {"workflows": self.workflows}
        made["guardrails.yml"] = {"guardrails": self._guardrails()}
        made["expectations/random.yml"] = {"expectations": self._expectations()}
        made["site.yml"] = self._site()
        for name, segment in self.segments.items():
            segment["criticality"] = self._criticality(name)
            made[f"{segment['zone']}/{name}.yml"] = segment
        made["services.yml"] = {"services": self._services()}
        made["networks.yml"] = {"networks": self.networks}
        made["members.lock.json"] = {
            "kind": "members",
            "schema_version": "1.0",
            "segments": {name: {"devices": found} for name, found in sorted(self.members.items())},
        }
        return made

    def _zones(self) -> None:
        for number in range(self.random.randint(2, 4)):
            self.zones[f"zone_{number}"] = {
                "description": f"Zone number {number}",
                "subnets": [f"10.{number}.0.0/16", f"2001:db8:{number:x}::/48"],
                "security_level": self.random.randint(1, 4),
                "owner": self.random.choice(OWNERS),
            }

    def _networks(self) -> None:
        self.networks["controllers"] = {"description": "Where the playbooks run", "prefixes": ["192.0.2.1/32"]}
        self.networks["managed"] = {"owner": OWNERS[3], "prefixes": ["192.0.2.9", "2001:db8:ffff::9"]}
        self.networks["leases"] = {"prefixes": ["192.0.2.67/32"]}
        outside = {
            "description": "Outside of every zone",
            "prefixes": [f"198.51.100.{self.random.randrange(0, 128, 16)}/28", "2001:db8:eeee::/64"],
            "ranges": [f"203.0.113.{self.random.randint(1, 40)}-203.0.113.{self.random.randint(41, 90)}"],
            "names": [
                {
                    "name": "updates.example.com",
                    "addresses": ["198.51.100.200", "2001:db8:eeee:1::1"],
                    "resolved": self._day(-self.random.randint(0, 29)),
                }
            ],
        }
        self.networks["outside"] = outside
        self.network_zones["outside"] = ""
        zone = self.random.choice(list(self.zones))
        number = zone.rpartition("_")[2]
        self.networks["part_of_zone"] = {"prefixes": [f"10.{number}.{self.random.randrange(0, 4)}.0/24"]}
        self.network_zones["part_of_zone"] = zone

    def _segments(self) -> None:
        zones = list(self.zones)
        for number in range(self.count):
            name = f"{WORDS[number % len(WORDS)]}_{number}"
            zone = zones[number] if number < len(zones) else self.random.choice(zones)
            self.segments[name] = {
                "segment": name,
                "zone": zone,
                "description": f"Devices of kind {number}",
                "sgt": 300 + number,
                "owner": self.random.choice(OWNERS),
                "criticality": "medium",
                "members": self._query(number),
                "allow": [],
            }
            self.members[name] = [
                self._device(number, index, zone) for index in range(self.random.randint(1, self.devices))
            ]

    def _query(self, number: int) -> dict[str, Any]:
        fact = {"fact": "endpoint_profile", "equals": f"Kind-{number}"}
        return self.random.choice(
            [
                fact,
                {"any": [fact, {"fact": "hostname", "matches": f"kind{number}-*"}]},
                {"all": [fact, {"not": {"fact": "vlan", "in": [1, 4094]}}, {"fact": "vlan", "at_least": 2}]},
            ]
        )

    def _device(self, number: int, index: int, zone: str) -> dict[str, Any]:
        zone_number = zone.rpartition("_")[2]
        addresses = [f"10.{zone_number}.{number % 250}.{10 + index}"]
        if self.random.random() < 0.5:
            addresses.append(f"2001:db8:{int(zone_number):x}:{number:x}::{index + 1:x}")
        return {
            "device": f"02:00:00:{number >> 8 & 255:02x}:{number & 255:02x}:{index:02x}",
            "name": f"kind{number}-{index}",
            "addresses": addresses,
            "switch": "sw1",
            "interface": f"GigabitEthernet{1 + number // 40}/0/{1 + (number % 40) * self.devices + index}",
        }

    def _zone_of(self, end: str) -> str:
        return self.segments[end]["zone"] if end in self.segments else self.network_zones[end]

    def _permit(self, client: str, to: str, services: list[str]) -> list[str]:
        """Note a permission; return the services that nothing permits yet."""
        fresh = [name for name in services if (client, to, name) not in self.permitted]
        self.permitted |= {(client, to, name) for name in fresh}
        server = self._zone_of(to)
        if fresh and server and server != self.segments[client]["zone"]:
            self.crossings.add((self.segments[client]["zone"], server))
        return fresh

    def _rule(self, client: str, to: str, number: int) -> dict[str, Any] | None:
        services = self._permit(client, to, sorted(self.random.sample(sorted(SERVICES), self.random.randint(1, 3))))
        if not services:
            return None
        made: dict[str, Any] = {
            "id": f"{client}-to-{to}-{number}",
            "to": to,
            "services": services,
            "reason": f"{client} needs {', '.join(services)}",
            "origin": self.random.choice(["learned", "manual", "mud"]),
        }
        if made["origin"] == "learned":
            made["evidence"] = {"devices": "all", "days": "30 or more", "direction": "high"}
        return made

    def _rules(self) -> None:
        names = list(self.segments)
        for client in names:
            others = [name for name in names if name != client] + [client, *self.network_zones]
            for number in range(self.random.randint(1, 4)):
                made = self._rule(client, self.random.choice(others), number)
                if made:
                    self.segments[client]["allow"].append(made)
        for network in self.network_zones:  # each is used, so that nothing is said about it
            made = self._rule(names[0], network, 90)
            if made:
                self.segments[names[0]]["allow"].append(made)
        if self.extras:
            made = self._rule(names[1], names[0], 91)
            if made:
                made["expires"] = self._day(self.random.randint(20, 400))
                made["ticket"] = "CHG-91"
                made["conditions"] = {"windows": self._windows()}
                self.segments[names[1]]["allow"].append(made)

    def _windows(self) -> list[dict[str, Any]]:
        days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
        start, end = self.random.sample(range(24), 2)
        chosen = sorted(self.random.sample(days, self.random.randint(1, 7)), key=days.index)
        return [{"days": chosen, "start": f"{start:02d}:00", "end": f"{end:02d}:30"}]

    def _lasting(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for client, segment in self.segments.items():
            for item in segment["allow"]:
                if "conditions" not in item and "expires" not in item:
                    yield client, item

    def _workflows(self) -> None:
        lasting = list(self._lasting())
        for number, (client, item) in enumerate(self.random.sample(lasting, min(3, len(lasting)))):
            criticality = ("life_support", "process_critical", "medium")[number]
            self.workflows.append(
                {
                    "id": f"workflow-{number}",
                    "name": f"{client} goes on working",
                    "owner": self.random.choice(OWNERS),
                    "criticality": criticality,
                    "rules": [item["id"]],
                }
            )
            self.critical.add(client)

    def _criticality(self, name: str) -> str:
        worst = ["life_support", "process_critical"] if name in self.critical else []
        return self.random.choice([*worst, "high", "medium", "low"])

    def _templates(self) -> dict[str, Any]:
        names = list(self.segments)
        server = self.random.choice(names)
        users = [name for name in names if name != server][:2]
        for user in users:
            services = self._permit(user, server, ["snmp", "tunnel"])
            if services:
                self.segments[user]["use"] = [
                    {"template": "basics", "with": {"server": server, "services": services, "why": "Watched"}}
                ]
        if not any("use" in segment for segment in self.segments.values()):
            return {}
        rule = {
            "id": "{segment}-to-{server}-basics",
            "to": "{server}",
            "services": ["{services}"],
            "reason": "{why} by the same server",
        }
        return {"basics": {"parameters": ["server", "services", "why"], "owner": OWNERS[2], "allow": [rule]}}

    def _exceptions(self) -> list[dict[str, Any]]:
        names = list(self.segments)
        made = []
        for number in range(3):
            client, to = self.random.sample(names, 2)
            self._permit(client, to, ["https"])
            item: dict[str, Any] = {
                "id": f"exception-{number}",
                "kind": self.random.choice(["exception", "vendor_access"]),
                "who": "The people of the ticket",
                "client": client,
                "to": to,
                "services": ["https"],
                "valid_from": self._day(-self.random.randint(0, 30)),
                "expires": self._day(self.random.randint(20, 120)),
                "ticket": f"CHG-{number}",
                "owner": self.random.choice(OWNERS),
                "reason": "Something is being repaired",
            }
            if number:
                end = client if number == 1 else to
                item["devices"] = [self.members[end][0][self.random.choice(["name", "device"])]]
            if self.random.random() < 0.3:
                item["conditions"] = {"windows": self._windows()}
            made.append(item)
        return made

    def _postures(self, enforcement: dict[str, Any]) -> dict[str, Any]:
        names = list(self.segments)
        kept, stopped = [], []
        for workflow in self.workflows:
            if self.random.random() < 0.5:
                kept.append(workflow["id"])
            else:
                stopped.append(
                    {
                        "workflow": workflow["id"],
                        "consent_owner": workflow["owner"],
                        "consent_date": self._day(-self.random.randint(0, 100)),
                        "expires": self._day(self.random.randint(20, 200)),
                    }
                )
        common: dict[str, Any] = {"owner": OWNERS[3], "reason": "For an emergency"}
        lists = {**({"keeps": kept} if kept else {}), **({"suspends": stopped} if stopped else {})}
        client = self.random.choice(names)
        rule = {
            "id": f"{client}-while-outage",
            "to": self.random.choice([name for name in names if name != client]),
            "services": ["modbus"],
            "reason": "Only while the outage lasts",
            "origin": "manual",
            "conditions": {"posture": "outage"},
        }
        if self._permit(client, rule["to"], ["modbus"]):
            self.segments[client]["allow"].append(rule)
        else:
            first = next(item for _client, item in self._lasting() if not self._in_workflow(item))
            first["conditions"] = {"posture": "outage"}
        device = self.members[self.random.choice(names)][0]
        enforced = [name for name, item in enforcement["segments"].items() if item["stage"] == "enforce"]
        made = {
            "alone": {"kind": "isolate", "device": device["name"], **lists, "sgt": 9000, **common},
            "apart": {"kind": "isolate", "segment": self.random.choice(names), **lists, **common},
            "outage": {"kind": "relax", "segment": client, "ask_after_minutes": 60, **common},
        }
        if enforced:
            made["wide_open"] = {"kind": "relax", "segment": enforced[0], "opens": "all", **common}
        return made

    def _in_workflow(self, item: Mapping[str, Any]) -> bool:
        return any(item["id"] in workflow["rules"] for workflow in self.workflows)

    def _own_rules(self) -> list[dict[str, Any]]:
        return [
            {
                "number": "SW9001",
                "severity": "error",
                "about": "segment",
                "must": {"fact": "owner", "in": list(OWNERS)},
                "message": "the owner is unknown",
                "remedy": "name a team that exists",
            },
            {
                "number": "SW9002",
                "severity": "warning",
                "about": "rule",
                "when": {"all": [{"fact": "services", "contains": "telnet"}, {"fact": "origin", "equals": "manual"}]},
                "message": "telnet",
                "remedy": "use something else",
            },
        ]

    def _classification(self) -> dict[str, Any]:
        return {
            "name": "unknown_devices",
            "when": {"fact": "oui_vendor", "contains": "unknown"},
            "zone": "zone_0",
            "owner": OWNERS[3],
            "criticality": "low",
        }

    def _enforcement(self) -> dict[str, Any]:
        management = [{"client": "controllers", "server": "managed", "services": ["ssh"]}]
        gateways = [
            {"interface": f"Vlan{100 + number}", "subnets": list(zone["subnets"])}
            for number, zone in enumerate(self.zones.values())
        ]
        points: dict[str, dict[str, Any]] = {
            "firewall": {"kind": "firewall", "platform": "nftables", "host": "fw1", "table": "segwright"},
            "asa": {"kind": "firewall", "platform": "asa", "host": "asa1", "zones": list(self.zones)},
            "dacl": {"kind": "dacl", "platform": "ise", "host": "ise1"},
            "sgacl": {"kind": "sgacl", "platform": "ise", "host": "ise1", "tags": "inline"},
            "port_acl": {"kind": "port_acl", "platform": "ios", "host": "sw1"},
            "port_acl_nxos": {
                "kind": "port_acl",
                "platform": "nxos",
                "host": "n9k1",
                "interfaces": ["Ethernet1/1", "Ethernet1/2"],
            },
            "router_acl": {"kind": "router_acl", "platform": "ios", "host": "core1", "gateways": gateways},
            "router_acl_nxos": {"kind": "router_acl", "platform": "nxos", "host": "core2", "gateways": gateways},
        }
        chosen = {name: points[name] for name in self.kinds}
        for point in chosen.values():
            if point["kind"] in ("firewall", "router_acl"):
                point["management"] = management
        concerned = {end for client, to, _service in self.permitted for end in (client, to)}
        assigned = {}
        for name in self.segments:
            stages = ["observe", "monitor", "enforce", "enforce"] if name in concerned else ["observe", "monitor"]
            some = sorted(self.random.sample(sorted(chosen), self.random.randint(1, min(3, len(chosen)))))
            assigned[name] = {"stage": self.random.choice(stages), "points": some}
        used = {point for item in assigned.values() for point in item["points"]}
        self.uses_management = any("management" in chosen[name] for name in used)
        half = len(self.segments) // 2
        names = list(self.segments)
        return {
            "points": {name: point for name, point in chosen.items() if name in used},
            "segments": assigned,
            "rings": [
                {"id": "first", "segments": names[:half], "hold_minutes": 60},
                {"id": "second", "description": "All others", "segments": names[half:]},
            ],
        }

    def _guardrails(self) -> list[dict[str, Any]]:
        made: list[dict[str, Any]] = [
            {
                "id": "never-telnet",
                "must": "never",
                "client": "any",
                "server": f"zone:{self.random.choice(list(self.zones))}",
                "services": ["telnet"],
                "reason": "Nobody may",
                "owner": OWNERS[3],
            }
        ]
        by_id = {item["id"]: (client, item) for client, item in self._lasting()}
        for number, workflow in enumerate(self.workflows):
            client, item = by_id[workflow["rules"][0]]
            made.append(
                {
                    "id": f"always-{number}",
                    "must": "always",
                    "client": client,
                    "server": item["to"],
                    "services": list(item["services"]),
                    "reason": "The workflow needs it",
                }
            )
        return made

    def _expectations(self) -> list[dict[str, Any]]:
        first = next(iter(self.members.values()))[0]
        last = list(self.members.values())[-1][0]
        return [
            {
                "id": "no-telnet",
                "client": first["device"],
                "server": last["addresses"][0],
                "protocol": "tcp",
                "port": 23,
                "expect": "deny",
                "reason": "Nobody may",
            },
            {
                "id": "no-strange-ping",
                "client": "192.0.2.250",
                "server": next(iter(self.segments)),
                "protocol": "icmp",
                "icmp_type": 13,
                "expect": "deny",
            },
        ]

    def _site(self) -> dict[str, Any]:
        conduits = [
            {
                "id": f"{client}-to-{server}",
                "client": client,
                "server": server,
                "owner": self.random.choice(OWNERS),
                "security_level_target": self.random.randint(self.zones[server]["security_level"], 4),
            }
            for client, server in sorted(self.crossings)
        ]
        if not self.uses_management:
            del self.networks["controllers"], self.networks["managed"]
        return {
            "name": "random-site",
            "description": "Made from a seed",
            "time_zone": self.random.choice(["Europe/Vienna", "America/New_York", "UTC"]),
            "zones": self.zones,
            "conduits": conduits,
            "defaults": {
                "stage": "observe",
                "bootstrap": {"dhcp_servers": "leases"},
                "infrastructure": {"dns": next(iter(self.segments))},
            },
            "learning": {"minimum_days": self.random.randint(1, 30)},
        }

    def _services(self) -> dict[str, Any]:
        """Return the services that something names, so that nothing is said about the others."""
        used = {service for _client, _to, service in self.permitted} | {"telnet"}
        known = {
            **SERVICES,
            "ssh": {"match": [{"protocol": "tcp", "ports": [22]}]},
            "telnet": {"match": [{"protocol": "tcp", "ports": [23]}], "description": "Clear text"},
        }
        return {name: known[name] for name in sorted(used | ({"ssh"} if self.uses_management else set()))}

    def _day(self, days: int) -> str:
        return (TODAY + timedelta(days=days)).isoformat()


_PLAIN = re.compile(r"\A(?:[A-Za-z][A-Za-z0-9_]*(?:[-./][A-Za-z0-9_]+)*|[0-9]{4}-[0-9]{2}-[0-9]{2})\Z")
_WORDS_OF_YAML = {"yes", "no", "on", "off", "true", "false", "null", "y", "n"}


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.match(value) and value.lower() not in _WORDS_OF_YAML:
        return value
    return json.dumps(value)


def emit(value: Mapping[str, Any], seed: int = 0) -> tuple[str, dict[Path_, int]]:
    """Return a document as YAML text and the line (from 1) of every key and list entry.

    ``seed`` decides about what has no meaning: comments, blank lines, and lists on one line or one entry a line.
    """
    chance = random.Random(f"layout {seed}")
    lines: list[str] = ["# yaml-language-server: $schema=x.schema.json"]
    places: dict[Path_, int] = {}

    def noise(indent: str) -> None:
        if seed and chance.random() < 0.08:
            lines.append(chance.choice(["", f"{indent}# said by somebody", f"{indent}#"]))

    def block(item: Any, path: Path_, indent: str, lead: str) -> None:
        """Write a mapping or list below; ``lead`` stands before its first line."""
        entries: list[tuple[str | int, Any]] = list(item.items() if isinstance(item, Mapping) else enumerate(item))
        for number, (key, child) in enumerate(entries):
            head = lead if number == 0 else indent
            if number or lead == indent:
                noise(indent)
            here = (*path, key)
            word = "-" if isinstance(item, list) else f"{_scalar(key)}:"
            places[here] = len(lines) + 1
            flat = isinstance(child, list) and not any(isinstance(entry, (Mapping, list)) for entry in child)
            if isinstance(child, (Mapping, list)) and not child:
                lines.append(f"{head}{word} {'{}' if isinstance(child, Mapping) else '[]'}")
            elif flat and not (seed and chance.random() < 0.3):
                places.update({(*here, index): len(lines) + 1 for index in range(len(child))})
                lines.append(f"{head}{word} [{', '.join(_scalar(entry) for entry in child)}]")
            elif isinstance(child, (Mapping, list)) and word == "-":
                block(child, here, indent + "  ", f"{head}- ")
            elif isinstance(child, (Mapping, list)):
                lines.append(f"{head}{word}")
                block(child, here, indent + "  ", indent + "  ")
            else:
                lines.append(f"{head}{word} {_scalar(child)}")

    block(value, (), "", "")
    return "\n".join(lines) + "\n", places


def write_documents(documents: Documents, directory: Path, seed: int = 0) -> Lines:
    """Write the documents below a directory; return the line of every key, by file."""
    found: Lines = {}
    for name, value in documents.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".json"):
            text, places = json.dumps(value, indent=2) + "\n", {}
        else:
            text, places = emit(value, seed and seed + len(found))
        path.write_text(text, encoding="utf-8")
        found[name] = places
    return found
