# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents that fit their schema to model values.

A value that the schema lets through but that has no meaning (a prefix with host bits, an address that is none) becomes a
finding; then there is no site.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import Document
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.build_access import expand, make_rule
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.kept_segments import (
    KeptSegment,
    own_rules,
    segment_of,
    with_rules_to_come,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.members import lock_members
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    Assignment,
    CellStage,
    Conduit,
    EnforcementPoint,
    ExitCriteria,
    Expectation,
    Guardrail,
    Member,
    NetworkSet,
    Place,
    ResolvedName,
    Ring,
    Segment,
    Service,
    ServiceMatch,
    SwitchHardware,
    Template,
    Workflow,
    Zone,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ranges import is_plain_address
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.schema import shown

PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "gre": 47, "esp": 50, "icmpv6": 58}
POINT_FIELDS = ("kind", "platform", "host", "description")


@dataclass(frozen=True)
class ClassificationRule:
    """Which segment is proposed for devices that fulfil ``when`` (a query over facts, as written)."""

    name: str
    when: Mapping[str, Any] = field(hash=False)
    zone: str
    sgt: int | None
    owner: str
    criticality: str
    description: str = ""
    location: Location = Location()


def protocol_number(value: str | int) -> int:
    """Return the IP protocol number of a name or number that fits the schema."""
    return PROTOCOLS[value] if isinstance(value, str) else value


def ethertype_number(value: str | int) -> int:
    """Return the ethertype of a number, or of text like ``0x88b8``, that fits the schema."""
    return int(value, 16) if isinstance(value, str) else value


def port_range(value: int | str) -> tuple[int, int]:
    """Return the inclusive range of a port or of text like ``8000-8010``; the rules judge its bounds."""
    if isinstance(value, int):
        return value, value
    low, high = value.split("-")
    return int(low), int(high)


def prefix_findings(prefixes: Iterable[str], what: str, place: Location, strict: bool = True) -> list[Finding]:
    """Return a finding for each text that is no prefix (or, where not strict, has host bits)."""
    found = []
    for text in prefixes:
        try:
            if "%" in text:
                raise ValueError("an address with a scope is not accepted")
            ipaddress.ip_network(text, strict=strict)
        except ValueError as error:
            found.append(codes.BAD_PREFIX.at(f"{what}: {shown(text)} is not valid: {_short(error)}", place))
    return found


def _short(error: Exception) -> str:
    return ascii(str(error))[1:-1][:100]


class Builder:
    """Collects findings while documents become model values."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def _prefixes(self, values: Sequence[str], what: str, document: Document, *keys: str | int) -> tuple[str, ...]:
        for index, text in enumerate(values):
            self.findings.extend(prefix_findings([text], what, document.location(*keys, index)))
        return tuple(values)

    def zones(self, document: Document) -> dict[str, Zone]:
        """Return the zones of site.yml by name."""
        made = {}
        for name, item in sorted(document.value["zones"].items()):
            keys = ("zones", name)
            subnets = self._prefixes(item["subnets"], f"zone {name}", document, *keys, "subnets")
            place = document.location(*keys)
            made[name] = Zone(name, subnets, item["security_level"], item["owner"], item.get("description", ""), place)
        return made

    def conduits(self, document: Document) -> tuple[Conduit, ...]:
        """Return the conduits of site.yml in file order."""
        return tuple(
            Conduit(
                c["id"],
                c["client"],
                c["server"],
                c["owner"],
                c.get("description", ""),
                document.location("conduits", n),
                c.get("security_level_target", 0),
            )
            for n, c in enumerate(document.value.get("conduits", ()))
        )

    def services(self, document: Document) -> dict[str, Service]:
        """Return the services by name."""
        made = {}
        for name, item in sorted(document.value["services"].items()):
            matches = tuple(
                ServiceMatch(
                    protocol_number(match["protocol"]),
                    tuple(port_range(port) for port in match.get("ports", ())),
                    tuple(port_range(port) for port in match.get("client_ports", ())),
                    match.get("icmp_type"),
                    match.get("icmp_code"),
                )
                for match in item["match"]
                if "protocol" in match
            )
            place = document.location("services", name)
            frames = tuple(dict.fromkeys(ethertype_number(m["ethertype"]) for m in item["match"] if "ethertype" in m))
            made[name] = Service(
                name, matches, item.get("symmetric", False), item.get("description", ""), place, frames
            )
        return made

    def networks(self, document: Document) -> dict[str, NetworkSet]:
        """Return the network sets by name; ranges and the addresses of resolved host names count as prefixes, exactly."""
        made = {}
        for name, item in sorted(document.value["networks"].items()):
            keys = ("networks", name)
            what = f"network set {name}"
            prefixes = self._prefixes(item.get("prefixes", ()), what, document, *keys, "prefixes")
            for number, text in enumerate(item.get("ranges", ())):
                prefixes += self._range(text, what, document.location(*keys, "ranges", number))
            names = []
            for number, host in enumerate(item.get("names", ())):
                place = (*keys, "names", number)
                addresses = self._prefixes(host["addresses"], what, document, *place, "addresses")
                if not is_date(host["resolved"]):
                    text = f"network set {name}: {host['resolved']} is no day"
                    self.findings.append(codes.BAD_DATE.at(text, document.location(*place, "resolved")))
                prefixes += addresses
                names.append(ResolvedName(host["name"], addresses, host["resolved"], document.location(*place)))
            made[name] = NetworkSet(
                name,
                tuple(dict.fromkeys(prefixes)),
                item.get("description", ""),
                document.location(*keys),
                tuple(item.get("ranges", ())),
                tuple(names),
                item.get("owner", ""),
                tuple(
                    make_rule(rule, name, document.location(*keys, "allow", number))
                    for number, rule in enumerate(item.get("allow", ()))
                ),
            )
        return made

    def _range(self, text: str, what: str, place: Location) -> tuple[str, ...]:
        """Return the prefixes that hold exactly the addresses of FIRST-LAST."""
        first, _dash, last = text.partition("-")
        try:
            low, high = ipaddress.ip_address(first), ipaddress.ip_address(last)
            return tuple(str(network) for network in ipaddress.summarize_address_range(low, high))
        except (ValueError, TypeError) as error:
            self.findings.append(codes.BAD_PREFIX.at(f"{what}: {shown(text)} is not valid: {_short(error)}", place))
            return ()

    def guardrails(self, document: Document) -> tuple[Guardrail, ...]:
        """Return the guardrails in file order."""
        return tuple(
            Guardrail(
                item["id"],
                item["must"],
                item["client"],
                item["server"],
                tuple(item["services"]),
                item["reason"],
                item.get("owner", ""),
                document.location("guardrails", number),
            )
            for number, item in enumerate(document.value["guardrails"])
        )

    def workflows(self, document: Document) -> tuple[Workflow, ...]:
        """Return the workflows in file order."""
        return tuple(
            Workflow(
                w["id"], w["name"], w["owner"], w["criticality"], tuple(w["rules"]), document.location("workflows", n)
            )
            for n, w in enumerate(document.value["workflows"])
        )

    def expectations(self, document: Document) -> tuple[Expectation, ...]:
        """Return the expectations of one file in file order."""
        return tuple(self._expectation(document, n, item) for n, item in enumerate(document.value["expectations"]))

    def _expectation(self, document: Document, number: int, item: Mapping[str, Any]) -> Expectation:
        protocol = protocol_number(item["protocol"])
        place = document.location("expectations", number)
        port = item.get("port", 0)
        is_icmp = protocol in (PROTOCOLS["icmp"], PROTOCOLS["icmpv6"])
        if is_icmp:
            port = item.get("icmp_type", 8 if protocol == PROTOCOLS["icmp"] else 128) * 256 + item.get("icmp_code", 0)
        if (is_icmp and ("port" in item or "client_port" in item)) or (
            not is_icmp and ("icmp_type" in item or "icmp_code" in item)
        ):
            self.findings.append(codes.SERVICE_FIELDS.at(f"expectation {item['id']} mixes ports and ICMP", place))
        if protocol in (PROTOCOLS["tcp"], PROTOCOLS["udp"]) and "port" not in item:
            self.findings.append(codes.MISSING_KEY.at(f"expectation {item['id']} lacks port", place))
        return Expectation(
            item["id"],
            item["client"],
            item["server"],
            protocol,
            port,
            item["expect"],
            item.get("reason", ""),
            item.get("client_port"),
            place,
        )

    def points(self, document: Document) -> dict[str, EnforcementPoint]:
        """Return the enforcement points by name; ``options`` holds the fields that belong to their kind."""
        made = {}
        for name, item in sorted(document.value["points"].items()):
            keys = ("points", name)
            for option in ("subnets", "addresses"):
                self._prefixes(item.get(option, ()), f"point {name}", document, *keys, option)
            for number, gateway in enumerate(item.get("gateways", ())):
                self._prefixes(gateway["subnets"], f"point {name}", document, *keys, "gateways", number, "subnets")
            options = {key: value for key, value in item.items() if key not in POINT_FIELDS}
            made[name] = EnforcementPoint(
                name, item["kind"], item["platform"], item["host"], options, document.location(*keys)
            )
        return made

    def switches(self, document: Document) -> dict[str, SwitchHardware]:
        """Return the switches whose hardware enforcement.yml names."""
        return {
            host: SwitchHardware(
                host,
                item["hardware"],
                item.get("in_use", 0),
                item.get("sessions", 0),
                document.location("switches", host),
            )
            for host, item in sorted(document.value.get("switches", {}).items())
        }

    def paths(self, document: Document) -> Mapping[str, Any]:
        """Return what enforcement.yml says about ways, as written."""
        found: Mapping[str, Any] = document.value.get("paths", {})
        for number, network in enumerate(found.get("wireless", ())):
            keys = ("paths", "wireless", number, "subnets")
            self._prefixes(network["subnets"], f"wireless network {number + 1}", document, *keys)
        return found

    def assignments(self, document: Document) -> dict[str, Assignment]:
        """Return stage and points of each segment that enforcement.yml names."""
        return {
            name: Assignment(name, item["stage"], tuple(item["points"]), document.location("segments", name))
            for name, item in sorted(document.value["segments"].items())
        }

    def cells(self, document: Document) -> tuple[CellStage, ...]:
        """Return the cells with a stage of their own, in file order."""
        return tuple(
            CellStage(
                item["source"],
                item["destination"],
                item["stage"],
                item.get("reason", ""),
                document.location("cells", number),
            )
            for number, item in enumerate(document.value.get("cells", ()))
        )

    def rings(self, document: Document) -> tuple[Ring, ...]:
        """Return the rings in file order."""
        return tuple(
            Ring(
                r["id"],
                tuple(r.get("segments", ())),
                tuple(r.get("targets", ())),
                r.get("hold_minutes", 0),
                r.get("description", ""),
                document.location("rings", n),
                tuple(r.get("devices", ())),
                _ports(r),
                tuple(r.get("places", ())),
                r.get("shared_lists", False),
                _exit(r.get("exit", {})),
            )
            for n, r in enumerate(document.value.get("rings", ()))
        )

    def places(self, document: Document) -> dict[str, Place]:
        """Return the places by id."""
        return {
            name: Place(
                name,
                tuple(item.get("switches", ())),
                _ports(item),
                tuple(item.get("places", ())),
                item.get("description", ""),
                document.location("places", name),
                tuple(item.get("sites", ())),
                tuple(item.get("access_point_groups", ())),
            )
            for name, item in sorted(document.value.get("places", {}).items())
        }

    def segment(self, document: Document, templates: Mapping[str, Template]) -> Segment:
        """Return the segment of one file with its rules: its own, then those of the templates that it uses."""
        if isinstance(document, KeptSegment):
            return with_rules_to_come(document)
        name, allow = document.value["segment"], own_rules(document)
        for number, use in enumerate(document.value.get("use", ())):
            rules, found = expand(templates, use, name, document.location("use", number))
            allow.extend(rules)
            self.findings.extend(found)
        return segment_of(document, tuple(allow))

    def classification(self, document: Document) -> tuple[ClassificationRule, ...]:
        """Return the classification rules in file order."""
        return tuple(
            ClassificationRule(
                item["name"],
                item["when"],
                item["zone"],
                item.get("sgt"),
                item["owner"],
                item["criticality"],
                item.get("description", ""),
                document.location("rules", number),
            )
            for number, item in enumerate(document.value.get("rules", ()))
        )

    def members(self, value: Mapping[str, Any], place: Location) -> dict[str, tuple[Member, ...]]:
        """Return the committed membership by segment; devices in the lock's order."""
        for name, segment in sorted(value["segments"].items()):
            for item in segment["devices"]:
                self._addresses(name, item, place)
        return lock_members(value)

    def _addresses(self, segment: str, item: Mapping[str, Any], place: Location) -> None:
        for text in item["addresses"]:
            if is_plain_address(text):
                continue
            try:
                if "%" in text:
                    raise ValueError("an address with a scope is not accepted")
                ipaddress.ip_address(text)
            except ValueError as error:
                message = f"segment {segment}, device {item['device']}: {shown(text)} is not valid: {_short(error)}"
                self.findings.append(codes.BAD_ADDRESS.at(message, place))


def is_date(text: str) -> bool:
    """Return whether the text is a day of the calendar, YYYY-MM-DD."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return len(text) == 10


def _exit(value: Mapping[str, Any]) -> ExitCriteria:
    usual = ExitCriteria()
    return ExitCriteria(
        value.get("unseen") == "go_on",
        value.get("refused_packets", usual.refused),
        value.get("one_false_alarm_in", usual.one_alarm_in),
    )


def _ports(value: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the ports that ``ports`` of a ring or a place names, as (switch, interface)."""
    return tuple((switch, name) for switch, names in sorted(value.get("ports", {}).items()) for name in names)
