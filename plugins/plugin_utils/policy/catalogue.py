# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services and network sets for what an import needs: those of the site where they mean exactly this, new ones otherwise."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import ACL_NAME, IDENTIFIER, safe_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Service, ServiceMatch, Site

PROTOCOL_NAMES = {1: "icmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 58: "icmpv6"}
ICMP_PROTOCOLS = (1, 58)
ALL_PORTS = IntervalSet.of((1, 65535))
PORTS_OF_A_SERVICE = 64


@dataclass(frozen=True)
class Traffic:
    """One protocol with its ports, or ICMP message, as a service says it. None stands for any value."""

    protocol: int
    server_ports: IntervalSet | None = None
    client_ports: IntervalSet | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None


def usable_ports(ports: IntervalSet | None) -> IntervalSet | None:
    """Return ports without 0, which nothing can use; None where they are all ports."""
    if ports is None:
        return None
    made = ports.intersect(ALL_PORTS)
    return None if made == ALL_PORTS else made


def traffic_of(service: Service) -> frozenset[Traffic]:
    """Return what a service means: ``symmetric`` resolved to ports of both ends."""
    return frozenset(_traffic(service, match) for match in service.matches)


def _traffic(service: Service, match: ServiceMatch) -> Traffic:
    server = usable_ports(IntervalSet.of(*match.ports)) if match.ports else None
    client = usable_ports(IntervalSet.of(*match.client_ports)) if match.client_ports else None
    if service.symmetric and client is None:
        client = server
    return Traffic(match.protocol, server, client, match.icmp_type, match.icmp_code)


@dataclass
class Catalogue:
    """Names of services and network sets; ``services`` and ``networks`` are the new ones, as the files would have them."""

    site: Site
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    networks: dict[str, dict[str, Any]] = field(default_factory=dict)
    _by_traffic: dict[frozenset[Traffic], str] = field(default_factory=dict)
    _by_prefixes: dict[frozenset[str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, service in sorted(self.site.services.items(), reverse=True):
            if service.ethertypes:
                continue  # says more than what an access list or MUD file can mean
            self._by_traffic[traffic_of(service)] = name
        for name, network in sorted(self.site.networks.items(), reverse=True):
            self._by_prefixes[collapsed(network.prefixes)] = name

    def service(self, traffic: Iterable[Traffic], description: str = "") -> str:
        """Return the service that means exactly this traffic; a new one gets a name after its protocol and ports."""
        wanted = frozenset(traffic)
        if wanted not in self._by_traffic:
            ordered = sorted(wanted, key=_order)
            name = self._free("-".join(_traffic_name(item) for item in ordered[:3]), "-", 63, self.services)
            matches = [match for item in ordered for match in _match_values(item)]
            self.services[name] = {"description": description, "match": matches} if description else {"match": matches}
            self._by_traffic[wanted] = name
        return self._by_traffic[wanted]

    def network(self, prefixes: Iterable[str], stem: str, description: str = "") -> str:
        """Return the network set of exactly these addresses; a new one gets a name that begins with ``stem``."""
        wanted = collapsed(prefixes)
        if wanted not in self._by_prefixes:
            name = self._new_network(stem)
            self.networks[name] = {**_text(description), "prefixes": sorted(wanted, key=_prefix_order)}
            self._by_prefixes[wanted] = name
        return self._by_prefixes[wanted]

    def host_name(self, host: str, addresses: Iterable[str], resolved: str, description: str = "") -> str:
        """Return a new network set for a host name with the addresses it had on a day."""
        known = next((n for n, v in self.networks.items() if any(h["name"] == host for h in v.get("names", ()))), "")
        if known:
            return known
        name = self._new_network(host)
        entry = {"name": host, "addresses": sorted(collapsed(addresses), key=_prefix_order), "resolved": resolved}
        self.networks[name] = {**_text(description), "names": [entry]}
        return name

    def _new_network(self, stem: str) -> str:
        return self._free(stem, "_", 31, self.networks)

    def _free(self, stem: str, filler: str, limit: int, new: Mapping[str, Any]) -> str:
        """Return a legal name that nothing of the site has."""
        pattern = IDENTIFIER if filler == "_" else ACL_NAME
        made = re.sub(r"[^A-Za-z0-9]+", filler, stem).strip(filler) or "x"
        made = made if made[0].isalpha() else f"n{filler}{made}"
        if len(made) > limit:
            made = f"{made[: limit - 9]}{filler}{hashlib.sha256(stem.encode('utf-8')).hexdigest()[:8]}"
        site = self.site
        taken = {*site.services, *site.networks, *site.segments, *site.zones, *new}
        number, name = 1, made
        while name in taken:
            number += 1
            name = f"{made[: limit - 5]}{filler}{number}"
        return safe_name(name, pattern)


def _text(description: str) -> dict[str, Any]:
    return {"description": description} if description else {}


def collapsed(prefixes: Iterable[str]) -> frozenset[str]:
    """Return prefixes in their shortest form, both families."""
    networks = [ipaddress.ip_network(text, strict=False) for text in prefixes]
    made: set[str] = set()
    for version in (4, 6):
        own = [network for network in networks if network.version == version]
        made |= {str(network) for network in ipaddress.collapse_addresses(own)}  # type: ignore[type-var]
    return frozenset(made)


def _prefix_order(text: str) -> tuple[int, int, int]:
    network = ipaddress.ip_network(text)
    return network.version, int(network.network_address), network.prefixlen


def _order(item: Traffic) -> tuple[Any, ...]:
    pairs = tuple(() if ports is None else ports.pairs for ports in (item.server_ports, item.client_ports))
    return item.protocol, pairs, -1 if item.icmp_type is None else item.icmp_type, item.icmp_code or 0


def _traffic_name(item: Traffic) -> str:
    words = [PROTOCOL_NAMES.get(item.protocol, f"protocol-{item.protocol}")]
    if item.protocol in ICMP_PROTOCOLS:
        words += ["any"] if item.icmp_type is None else [str(item.icmp_type)]
        words += [] if item.icmp_code is None else [str(item.icmp_code)]
    elif item.server_ports is not None:
        words += _port_words(item.server_ports)
    elif item.protocol in (6, 17):
        words.append("any")
    if item.client_ports is not None:
        words += ["from", *_port_words(item.client_ports)]
    return "-".join(words)


def _port_words(ports: IntervalSet) -> list[str]:
    return [str(low) if low == high else f"{low}-to-{high}" for low, high in ports.pairs[:4]]


def _match_values(item: Traffic) -> list[dict[str, Any]]:
    """Return the traffic as a service's file has it; more than 64 ranges become several matches."""
    base: dict[str, Any] = {"protocol": PROTOCOL_NAMES.get(item.protocol, item.protocol)}
    if item.icmp_type is not None:
        base["icmp_type"] = item.icmp_type
        if item.icmp_code is not None:
            base["icmp_code"] = item.icmp_code
    if item.client_ports is not None:
        base["client_ports"] = _port_values(item.client_ports)
    if item.server_ports is None:
        return [base]
    values = _port_values(item.server_ports)
    parts = [values[i : i + PORTS_OF_A_SERVICE] for i in range(0, len(values), PORTS_OF_A_SERVICE)]
    return [{"protocol": base["protocol"], "ports": part, **_without(base, "protocol")} for part in parts]


def _without(value: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: item for name, item in value.items() if name != key}


def _port_values(ports: IntervalSet) -> list[int | str]:
    return [low if low == high else f"{low}-{high}" for low, high in ports.pairs]
