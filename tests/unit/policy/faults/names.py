# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of rules, services, networks, zones and statements: what names something, and what is named."""

from __future__ import annotations

from typing import Any

from tests.unit.policy.faults.base import LOCK, Expected, Spoiled, fault
from tests.unit.policy.random_sites import TODAY


def _at(made: Any, *codes: str) -> list[Expected] | None:
    return made and [(code, *made) for code in codes]


@fault
def rule_with_an_unknown_service(site: Spoiled) -> list[Expected] | None:
    return _at(site.rule(services=[site.service(), "absent"]), "SW2303")


@fault
def rule_to_an_unknown_end(site: Spoiled) -> list[Expected] | None:
    return _at(site.rule(to="absent"), "SW2302")


@fault
def rule_id_twice(site: Spoiled) -> list[Expected] | None:
    made = site.rule()
    if made is None:
        return None
    allow = site[made[0]]["allow"]
    allow[-1]["id"] = allow[0]["id"]
    if "conditions" in allow[0] or any(allow[0]["id"] in w["rules"] for w in site["workflows.yml"]["workflows"]):
        allow[-1].update({key: allow[0][key] for key in ("conditions", "expires", "ticket") if key in allow[0]})
    return [("SW2301", *made)]


@fault
def rule_without_services(site: Spoiled) -> list[Expected] | None:
    made = site.rule(services=[])
    del site["services.yml"]["services"]["spoilt-service"]
    return _at(made, "SW2304")


@fault
def rule_that_has_expired(site: Spoiled) -> list[Expected] | None:
    return _at(site.rule(expires=site.chance.choice(["2026-11-22", "2020-01-01"])), "SW2305")


@fault
def rule_that_expires_soon(site: Spoiled) -> list[Expected] | None:
    return _at(site.rule(expires=site.chance.choice(["2026-11-23", "2026-12-07"])), "SW2310")


@fault
def rule_with_a_day_that_does_not_exist(site: Spoiled) -> list[Expected] | None:
    return _at(site.rule(expires="2027-02-30"), "SW2307")


@fault
def exceptional_rule_without_ticket(site: Spoiled) -> list[Expected] | None:
    return _at(site.rule(origin="exception", expires="2027-02-01"), "SW2306")


@fault
def rule_for_any_service(site: Spoiled) -> list[Expected] | None:
    made = site.rule(services=["any"])
    del site["services.yml"]["services"]["spoilt-service"]
    return _at(made, "SW2308")


@fault
def learned_rule_for_every_port(site: Spoiled) -> list[Expected] | None:
    wide = site.service("all-ports", protocol="udp", ports=["1-65535"])
    made = site.rule(services=[wide], origin="learned")
    del site["services.yml"]["services"]["spoilt-service"]
    return _at(made, "SW2308")


@fault
def rule_for_every_port(site: Spoiled) -> list[Expected] | None:
    wide = site.service("all-ports", protocol="tcp")
    made = site.rule(services=[wide])
    del site["services.yml"]["services"]["spoilt-service"]
    return _at(made, "SW2311")


@fault
def permission_twice(site: Spoiled) -> list[Expected] | None:
    made = site.rule()
    if made is None:
        return None
    del site["services.yml"]["services"]["spoilt-service"]
    allow = site[made[0]]["allow"]
    allow[-1]["services"] = list(allow[0]["services"])
    return [("SW2309", *made)] * len(allow[0]["services"])


def _crossing(site: Spoiled) -> list[tuple[str, tuple[Any, ...], str, str]]:
    """Return file, path and zones of every permission between two zones, independently of the rules of the gate."""
    zone_of = {site[name]["segment"]: site[name]["zone"] for name in site.segments()}
    part = site["networks.yml"]["networks"]["part_of_zone"]["prefixes"][0].split(".")[1]
    zone_of["part_of_zone"] = f"zone_{part}"
    found = []
    for name in site.segments():
        client = site[name]["segment"]
        for number, item in enumerate(site[name]["allow"]):
            found.append((name, ("allow", number), client, item["to"]))
        for number, use in enumerate(site[name].get("use", ())):
            found.append((name, ("use", number), client, use["with"]["server"]))
    for number, item in enumerate(site["exceptions.yml"]["exceptions"]):
        found.append(("exceptions.yml", ("exceptions", number), item["client"], item["to"]))
    return [
        (name, path, zone_of[client], zone_of[to])
        for name, path, client, to in found
        if to in zone_of and zone_of[client] != zone_of[to]
    ]


@fault
def conduit_removed(site: Spoiled) -> list[Expected] | None:
    conduits = site["site.yml"]["conduits"]
    if not conduits:
        return None
    gone = conduits.pop(site.chance.randrange(len(conduits)))
    zones = (gone["client"], gone["server"])
    return [("SW2106", name, path) for name, path, *crossed in _crossing(site) if tuple(crossed) == zones]


@fault
def conduit_that_nothing_uses(site: Spoiled) -> list[Expected]:
    site["site.yml"]["zones"]["zone_9"] = {"subnets": ["10.9.0.0/16"], "security_level": 1, "owner": "plant-operations"}
    conduits = site["site.yml"]["conduits"]
    conduits.append({"id": "unused", "client": "zone_9", "server": "zone_0", "owner": "plant-operations"})
    return [("SW2108", "site.yml", ("conduits", len(conduits) - 1))]


@fault
def conduit_twice(site: Spoiled) -> list[Expected] | None:
    conduits = site["site.yml"]["conduits"]
    if not conduits:
        return None
    copy = dict(site.chance.choice(conduits))
    if site.chance.random() < 0.5:
        copy["id"] = "another-id"
    conduits.append(copy)
    return [("SW2104", "site.yml", ("conduits", len(conduits) - 1))]


@fault
def conduit_to_an_unknown_zone(site: Spoiled) -> list[Expected]:
    conduits = site["site.yml"]["conduits"]
    conduits.append({"id": "spoilt", "client": "zone_0", "server": "nowhere", "owner": "plant-operations"})
    place = ("conduits", len(conduits) - 1)
    return [("SW2103", "site.yml", place), ("SW2108", "site.yml", place)]


@fault
def conduit_weaker_than_its_zone(site: Spoiled) -> list[Expected] | None:
    zones = site["site.yml"]["zones"]
    for number, conduit in enumerate(site["site.yml"]["conduits"]):
        level = zones[conduit["server"]]["security_level"]
        if level > 1:
            conduit["security_level_target"] = site.chance.randrange(1, level)
            return [("SW2109", "site.yml", ("conduits", number))]
    return None


@fault
def zones_that_overlap(site: Spoiled) -> list[Expected]:
    subnet = site.chance.choice(["10.0.240.0/24", "2001:db8:0:ff00::/64"])
    site["site.yml"]["zones"]["zz"] = {"subnets": [subnet], "security_level": 1, "owner": "plant-operations"}
    return [("SW2102", "site.yml", ("zones", "zz"))]


@fault
def default_that_does_not_exist(site: Spoiled) -> list[Expected]:
    site["site.yml"]["defaults"]["infrastructure"]["ntp"] = "absent"
    return [("SW2105", "site.yml", ("defaults",))]


@fault
def name_resolved_long_ago(site: Spoiled) -> list[Expected]:
    site["networks.yml"]["networks"]["outside"]["names"][0]["resolved"] = "2026-10-01"
    return [("SW2406", "networks.yml", ("networks", "outside", "names", 0))]


@fault
def name_resolved_tomorrow(site: Spoiled) -> list[Expected]:
    site["networks.yml"]["networks"]["outside"]["names"][0]["resolved"] = "2026-11-24"
    return [("SW2307", "networks.yml", ("networks", "outside", "names", 0))]


@fault
def ports_that_run_backwards(site: Spoiled) -> list[Expected]:
    name = site.chance.choice(sorted(set(site["services.yml"]["services"]) - {"ping", "tunnel"}))
    site["services.yml"]["services"][name]["match"][0]["ports"] = ["3000-2999"]
    return [("SW2401", "services.yml", ("services", name))]


@fault
def ports_of_a_protocol_without_ports(site: Spoiled) -> list[Expected]:
    site["services.yml"]["services"]["telnet"]["match"].append({"protocol": "esp", "ports": [1]})
    return [("SW2402", "services.yml", ("services", "telnet"))]


@fault
def service_that_nothing_uses(site: Spoiled) -> list[Expected]:
    return [("SW2403", "services.yml", ("services", site.service("lonely")))]


@fault
def network_that_nothing_uses(site: Spoiled) -> list[Expected]:
    site["networks.yml"]["networks"]["lonely"] = {"prefixes": ["192.0.2.128/25"]}
    return [("SW2404", "networks.yml", ("networks", "lonely"))]


@fault
def guardrail_twice(site: Spoiled) -> list[Expected]:
    items = site["guardrails.yml"]["guardrails"]
    items.append(dict(site.chance.choice(items)))
    return [("SW2601", "guardrails.yml", ("guardrails", len(items) - 1))]


@fault
def guardrail_about_nothing(site: Spoiled) -> list[Expected]:
    items = site["guardrails.yml"]["guardrails"]
    items[0]["server"] = site.chance.choice(["absent", "zone:absent"])
    return [("SW2602", "guardrails.yml", ("guardrails", 0))]


@fault
def guardrails_that_contradict(site: Spoiled) -> list[Expected] | None:
    items = site["guardrails.yml"]["guardrails"]
    always = [item for item in items if item["must"] == "always"]
    if not always:
        return None
    chosen = site.chance.choice(always)
    items[:] = [items[0], chosen, {**chosen, "id": "never-again", "must": "never"}]
    return [("SW2603", "guardrails.yml", ("guardrails", 2))]


@fault
def workflow_of_a_rule_that_went(site: Spoiled) -> list[Expected]:
    items = site["workflows.yml"]["workflows"]
    items[-1]["rules"].append("removed-rule")
    return [("SW2604", "workflows.yml", ("workflows", len(items) - 1))]


@fault
def expectation_about_nobody(site: Spoiled) -> list[Expected]:
    site["expectations/random.yml"]["expectations"][1]["server"] = "pump-nobody-has"
    return [("SW2605", "expectations/random.yml", ("expectations", 1))]


@fault
def expectations_that_contradict(site: Spoiled) -> list[Expected]:
    items = site["expectations/random.yml"]["expectations"]
    items.append({**items[0], "id": "after-all", "expect": "permit"})
    return [("SW2606", "expectations/random.yml", ("expectations", len(items) - 1))]


assert TODAY.isoformat() == "2026-11-23", "days in this file are about that day"


@fault
def service_with_the_ethertype_of_ip(site: Spoiled) -> list[Expected]:
    value = site.chance.choice(["0x0800", "0x86dd", "0x8100", "0x88A8", "0x05ff", 2048])
    site.service("spoilt-service", ethertype=value)
    site["guardrails.yml"]["guardrails"][0]["services"].append("spoilt-service")
    return [("SW2407", "services.yml", ("services", "spoilt-service"))]


@fault
def service_with_an_ethertype_that_is_none(site: Spoiled) -> list[Expected]:
    value = site.chance.choice(["88b8", "0x88b", "0x88b8f", 1535, 65536])
    site.service("spoilt-service", ethertype=value)
    return [("SW2407", "services.yml", ("services", "spoilt-service", "match", 0, "ethertype"))]


@fault
def service_with_ethertype_and_ports(site: Spoiled) -> list[Expected]:
    more, code = site.chance.choice([
        ({"ports": [80]}, "SW2003"), ({"protocol": "tcp"}, "SW2005"), ({"protocol": "tcp", "ports": [80]}, "SW2005"),
    ])  # fmt: skip
    site.service("spoilt-service", ethertype="0x88b8", **more)
    return [(code, "services.yml", ("services", "spoilt-service", "match", 0))]


@fault
def rule_below_ip_to_addresses(site: Spoiled) -> list[Expected] | None:
    networks = site["networks.yml"]["networks"]
    ends = [(name, item["to"]) for name in site.segments() for item in site[name]["allow"] if item["to"] in networks]
    if not ends:
        return None
    name, to = site.chance.choice(ends)
    site.service("spoilt-service", ethertype="0x88b8")
    reason = "Something is wrong with it"
    made = {"id": "spoilt-rule", "to": to, "services": ["spoilt-service"], "reason": reason, "origin": "manual"}
    site[name]["allow"].append(made)
    return [("SW2408", name, ("allow", len(site[name]["allow"]) - 1))]


def _scanner(site: Spoiled, prefix: str, to: str) -> tuple[str, tuple[str | int, ...]]:
    """Define a network set that opens a service of its own to an end; return its file and path."""
    rule = {
        "id": "spoilt-rule",
        "to": to,
        "services": [site.service()],
        "reason": "It looks around",
        "origin": "manual",
    }
    site["networks.yml"]["networks"]["zz_scanner"] = {"prefixes": [prefix], "owner": "it", "allow": [rule]}
    return "networks.yml", ("networks", "zz_scanner")


@fault
def network_set_that_opens_and_holds_a_device(site: Spoiled) -> list[Expected] | None:
    members = [
        (name, entry["devices"][0]["addresses"][0])
        for name, entry in sorted(site[LOCK]["segments"].items())
        if entry["devices"] and entry["devices"][0]["addresses"]
    ]
    if not members:
        return None
    segment, address = site.chance.choice(members)
    file, path = _scanner(site, address, segment)
    return [("SW2409", file, path)]


@fault
def network_set_that_opens_to_addresses(site: Spoiled) -> list[Expected]:
    to = site.chance.choice(sorted(site["networks.yml"]["networks"]))
    file, path = _scanner(site, "198.18.77.0/24", to)
    return [("SW2410", file, (*path, "allow", 0))]


@fault
def network_set_in_a_zone_without_conduit(site: Spoiled) -> list[Expected] | None:
    zones = site["site.yml"]["zones"]
    conduits = {(item["client"], item["server"]) for item in site["site.yml"].get("conduits", [])}
    for name in site.segments():
        server = site[name]["zone"]
        for zone, item in sorted(zones.items()):
            if zone != server and (zone, server) not in conduits and ":" not in item["subnets"][0]:
                first = item["subnets"][0].split("/")[0]
                address = ".".join([*first.split(".")[:3], "253"])
                file, path = _scanner(site, address, site[name]["segment"])
                return [("SW2106", file, (*path, "allow", 0))]
    return None
