# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Permissions of a MUD file to rules of a site, once somebody has said who its peers are here.

A MUD file speaks of roles and names. Who plays a role on this site is a decision of people, never guessed (facts/policy.md section 3:
binding names to addresses is where every tool cheats): a peer without a binding is a finding, and its rules are not made.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code, Finding, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.catalogue import (
    Catalogue,
    Traffic,
    collapsed,
    usable_ports,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.aces import shown
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.model import (
    DEVICE,
    ICMP,
    ICMPV6,
    TCP,
    UDP,
    WELL_KNOWN_CONTROLLERS,
    MudFile,
    Peer,
    Permission,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.naming import rule_id

ANY_PEER = "any"
Bindings = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Resolution:
    """Addresses that a host name had on a day (YYYY-MM-DD)."""

    addresses: tuple[str, ...]
    day: str


@dataclass(frozen=True)
class BoundPermission:
    """A permission whose peers are known here: names of segments and network sets."""

    permission: Permission
    names: tuple[str, ...]


@dataclass
class BoundRules:
    """What an import proposes: rules by client segment as the files have them, and the new names they need.

    ``permissions`` are those whose peers are known, whether or not a rule can say them.
    """

    rules: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    networks: dict[str, dict[str, Any]] = field(default_factory=dict)
    bound: dict[str, list[str]] = field(default_factory=dict)
    unbound: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    permissions: list[BoundPermission] = field(default_factory=list)

    def add(self, client: str, rule: dict[str, Any]) -> None:
        """Add a rule unless one of its id is there, which then permits the same."""
        rules = self.rules.setdefault(client, [])
        if all(rule["id"] != other["id"] for other in rules):
            rules.append(rule)


def bind(
    site: Site,
    segment: str,
    mud: MudFile,
    permissions: Iterable[Permission],
    bindings: Bindings,
    resolutions: Mapping[str, Resolution] | None = None,
) -> BoundRules:
    """Return the rules that permissions become for the devices of a segment.

    ``bindings`` maps a peer as the findings name it (``my-controller``, ``controller URI``, ``local-networks``, ``manufacturer HOST``,
    ``same-manufacturer``, ``model URL``, ``dns HOST``, ``any``) to segments and network sets of the site. Without a binding, prefixes
    become network sets, host names are looked for in the site's network sets and in ``resolutions``, the well-known controllers
    for names and time are the site's infrastructure, and ``same-manufacturer`` is the segment itself.
    """
    return _Binder(site, segment, mud, bindings, resolutions or {}).result(permissions)


class _Binder:
    def __init__(
        self, site: Site, segment: str, mud: MudFile, bindings: Bindings, resolutions: Mapping[str, Resolution]
    ) -> None:
        self.site, self.segment, self.mud = site, segment, mud
        self.bindings = {_key(key): tuple(names) for key, names in bindings.items()}
        self.resolutions = {host.lower(): item for host, item in resolutions.items()}
        self.catalogue = Catalogue(site)
        self.made = BoundRules()
        self.used: set[str] = set()

    def result(self, permissions: Iterable[Permission]) -> BoundRules:
        self._check_bindings()
        for permission in permissions:
            names = self._peers(permission)
            if not names:
                continue
            self.made.permissions.append(BoundPermission(permission, names))
            service = self._service(permission)
            for name in names:
                self._rule(permission, name, service)
        for key in sorted(set(self.bindings) - self.used):
            self._say(codes.BINDING_UNUSED, f"no peer of the file is {shown(key)}", Location(self.mud.file))
        self.made.services, self.made.networks = self.catalogue.services, self.catalogue.networks
        for rules in self.made.rules.values():
            rules.sort(key=lambda rule: str(rule["id"]))
        return self.made

    def _say(self, code: Code, text: str, place: Location) -> None:
        finding = code.at(text, place)
        if finding not in self.made.findings:
            self.made.findings.append(finding)

    def _check_bindings(self) -> None:
        for key, names in self.bindings.items():
            for name in names:
                if name not in self.site.segments and name not in self.site.networks:
                    text = f"binding of {shown(key)}: {shown(name)} is no segment or network set"
                    self._say(codes.BINDING_UNKNOWN, text, Location(self.mud.file))

    def _peers(self, permission: Permission) -> tuple[str, ...]:
        """Return the site's names of a permission's peers; empty where that cannot be said, with a finding."""
        peers = permission.peers
        groups = [peer for peer in peers if peer.kind == "address" and is_group(peer.value)]
        if groups and {peer.kind for peer in peers} <= {"address", "local_networks"} and len(groups) == 1:
            # A group or broadcast address is no member of a local network: the condition says only how far it goes.
            self.used.add("local-networks")
            return (self._network(groups[0]),)
        if len(peers) > 1:
            text = f"entry {shown(permission.entry)}: peers that are at once {' and '.join(map(str, peers))}"
            self._say(codes.NOT_EXPRESSED, text, permission.location)
            return ()
        peer = peers[0] if peers else Peer(ANY_PEER)
        found = self._names(peer)
        known = tuple(name for name in found if name in self.site.segments or self._is_network(name))
        if not found:
            self.made.unbound[str(peer)] = self.made.unbound.get(str(peer), 0) + 1
            text = f"entry {shown(permission.entry)}: who is {peer} on this site?"
            self._say(codes.NOT_BOUND, text, permission.location)
        else:
            self.made.bound[str(peer)] = list(found)
        return known

    def _is_network(self, name: str) -> bool:
        return name in self.site.networks or name in self.catalogue.networks

    def _names(self, peer: Peer) -> tuple[str, ...]:
        key = str(peer)
        if key in self.bindings:
            self.used.add(key)
            return self.bindings[key]
        if peer.kind == "address":
            return (self._network(peer),)
        if peer.kind == "dns":
            return self._host(peer.value)
        if peer.kind == "same_manufacturer":
            return (self.segment,)
        if peer.kind == "controller" and peer.value in WELL_KNOWN_CONTROLLERS:
            name = self.site.defaults.get("infrastructure", {}).get(WELL_KNOWN_CONTROLLERS[peer.value], "")
            return (name,) if name else ()
        return ()

    def _network(self, peer: Peer) -> str:
        return self.catalogue.network([peer.value], f"net_{peer.value}", f"Named by {self._source()}")

    def _host(self, host: str) -> tuple[str, ...]:
        for name, network in sorted(self.site.networks.items()):
            if {item.name.rstrip(".").lower() for item in network.names} == {host}:
                return (name,)
        known = self.resolutions.get(host)
        if known is None:
            return ()
        wanted = collapsed(known.addresses)
        for name, network in sorted(self.site.networks.items()):
            if not network.names and collapsed(network.prefixes) == wanted:
                return (name,)
        return (self.catalogue.host_name(host, known.addresses, known.day, f"Named by {self._source()}"),)

    def _source(self) -> str:
        return self.mud.url or "a MUD file"

    def _service(self, permission: Permission) -> str:
        if permission.protocol is None:
            text = f"entry {shown(permission.entry)}: every protocol"
            self._say(codes.ANY_PROTOCOL, text, permission.location)
            icmp = ICMP if permission.family == 4 else ICMPV6
            return self.catalogue.service(Traffic(number) for number in (icmp, TCP, UDP))
        kind, code = permission.icmp or (None, None)
        traffic = Traffic(
            permission.protocol,
            usable_ports(permission.server_ports),
            usable_ports(permission.client_ports),
            kind,
            code,
        )
        return self.catalogue.service([traffic])

    def _rule(self, permission: Permission, name: str, service: str) -> None:
        client, to = (self.segment, name) if permission.opener == DEVICE else (name, self.segment)
        if client not in self.site.segments:
            text = f"entry {shown(permission.entry)}: {name} would open {service} on {self.segment}"
            self._say(codes.NO_CLIENT_SEGMENT, text, permission.location)
            return
        reason = f"Declared by the maker: {self.mud.systeminfo or self.mud.model_name or 'device'} ({self._source()})"
        self.made.add(
            client,
            {"id": rule_id(client, to, service), "to": to, "services": [service], "reason": reason, "origin": "mud"},
        )


def _key(text: str) -> str:
    """Return a binding's key in the form in which peers are named."""
    kind, _blank, value = text.strip().partition(" ")
    kind = kind.replace("_", "-")
    return f"{kind} {value.strip().lower() if kind in ('manufacturer', 'dns') else value.strip()}".rstrip()


def is_group(prefix: str) -> bool:
    """Return whether a prefix is of multicast groups, or the limited broadcast."""
    network = ipaddress.ip_network(prefix)
    return network.is_multicast or (network.version == 4 and prefix == "255.255.255.255/32")
