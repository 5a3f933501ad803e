# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of a segment as permissions of a MUD file, for the maker of its devices or for another site."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.catalogue import (
    Traffic,
    collapsed,
    traffic_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.effective import effective_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import NORMAL, Rule, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.binding import Bindings, is_group
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.model import (
    DEVICE,
    ICMP,
    ICMPV6,
    PEER,
    Peer,
    Permission,
    authority_of,
    meanings,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.pairing import ANSWERS, permissions_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.reader import read_mud
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.writer import MudHead, mud_text

ICMP_FAMILY = {ICMP: 4, ICMPV6: 6}
WELL_KNOWN_PORTS = {"dns": 53, "ntp": 123}
ORIGINS = ("learned", "manual", "mud", "template")


@dataclass
class Exported:
    """Permissions with the rules they come from, and the roles in which the file names the site's segments and network sets."""

    permissions: list[Permission] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    bindings: dict[str, list[str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def export_segment(
    site: Site, segment: str, url: str, bindings: Bindings, origins: Iterable[str] = ORIGINS
) -> Exported:
    """Return what the segment's devices may open and what may be opened to them, in normal operation.

    ``bindings`` are those of an import, read the other way round. A segment without one becomes a controller class below the
    authority of ``url``; ``Exported.bindings`` has them all, so that an import with it gives the same rules.
    """
    return _Exporter(site, segment, url, bindings).result(tuple(origins))


class _Exporter:
    def __init__(self, site: Site, segment: str, url: str, bindings: Bindings) -> None:
        self.site, self.segment = effective_site(site, NORMAL), segment
        self.head = MudHead(url, "", "")
        self.authority = authority_of(url)
        self.roles = {name: _peer(key) for key, names in bindings.items() for name in names}
        self.given = {str(_peer(key)): list(names) for key, names in bindings.items()}
        self.made = Exported()

    def result(self, origins: Sequence[str]) -> Exported:
        for rule in self.site.rules():
            own = rule.client == self.segment
            if not own and rule.to != self.segment:
                continue
            if rule.origin not in origins or rule.expires or rule.conditions or rule.devices:
                text = f"rule {rule.id}: it is an exception, or holds only for a time, a posture or some devices"
                self.made.findings.append(codes.EXPORT_NOT_EXPRESSED.at(text, rule.location))
                continue
            below = [name for name in rule.services if self.site.services[name].ethertypes]
            if below:
                text = f"rule {rule.id}: what {', '.join(below)} is below IP is not exported"
                self.made.findings.append(codes.EXPORT_NOT_EXPRESSED.at(text, rule.location))
            self.made.rules.append(rule.id)
            self._rule(rule, DEVICE if own else PEER, rule.to if own else rule.client)
        return self.made

    def _rule(self, rule: Rule, opener: str, other: str) -> None:
        for name in rule.services:
            for item in sorted(traffic_of(self.site.services[name]), key=repr):
                for peer, family in self._peers(other, item):
                    if ICMP_FAMILY.get(item.protocol, family) != family:
                        continue
                    self._add(rule, _permission(peer, family, opener, item, rule))

    def _add(self, rule: Rule, made: Permission) -> None:
        if made.meaning() in {item.meaning() for item in self.made.permissions}:
            return
        again, _findings = permissions_of(read_mud(mud_text(self.head, [made]), ""))
        if not meanings([made]) <= meanings(again):
            text = f"rule {rule.id}: read again, its entry would not permit the same"
            self.made.findings.append(codes.EXPORT_NOT_EXPRESSED.at(text, rule.location))
            return
        if len(again) > 1:
            self.made.findings.append(codes.OPENER_LOST.at(f"rule {rule.id}", rule.location))
        self.made.permissions.append(made)

    def _peers(self, name: str, item: Traffic) -> list[tuple[Peer, int]]:
        """Return the roles of a name with the families in which there are addresses."""
        role = self.roles.get(name) or self._role(name, item)
        if role is not None:
            self.made.bindings[str(role)] = self.given.get(str(role), [name])
            return [(role, family) for family in self._families(name)]
        network = self.site.networks[name]
        found: list[tuple[Peer, int]] = []
        named: set[str] = set()
        for host in network.names:
            families = {ipaddress.ip_network(text, strict=False).version for text in host.addresses}
            found += [(Peer("dns", host.name.rstrip(".").lower()), family) for family in sorted(families or {4})]
            named |= collapsed(host.addresses)
        prefixes = collapsed(network.prefixes) - named
        return found + [(Peer("address", text), ipaddress.ip_network(text).version) for text in sorted(prefixes)]

    def _role(self, name: str, item: Traffic) -> Peer | None:
        if name == self.segment:
            return Peer("same_manufacturer")
        infrastructure: Mapping[str, str] = self.site.defaults.get("infrastructure", {})
        for kind, port in WELL_KNOWN_PORTS.items():
            if infrastructure.get(kind) == name and item.server_ports and item.server_ports.pairs == ((port, port),):
                return Peer("controller", f"urn:ietf:params:mud:{kind}")
        if name in self.site.segments:
            return Peer("controller", f"https://{self.authority or 'site.invalid'}/controllers/{name}")
        return None

    def _families(self, name: str) -> list[int]:
        site = self.site
        own, other = self._family_set(self.segment), self._family_set(name)
        if name in site.networks:
            other = {ipaddress.ip_network(text, strict=False).version for text in site.networks[name].prefixes}
        return sorted(own & other) or sorted(other)

    def _family_set(self, name: str) -> set[int]:
        """Return the families of a segment's devices, or of its zone where the lock has none."""
        segment = self.site.segments.get(name)
        if segment is None:
            return set()
        texts = [address for member in self.site.members.get(name, ()) for address in member.addresses]
        texts = texts or list(self.site.zones[segment.zone].subnets)
        return {ipaddress.ip_network(text, strict=False).version for text in texts}


def _peer(key: str) -> Peer:
    kind, _blank, value = key.strip().partition(" ")
    return Peer(kind.replace("-", "_"), value.strip())


def _permission(peer: Peer, family: int, opener: str, item: Traffic, rule: Rule) -> Permission:
    silent = peer.kind == "address" and is_group(peer.value) and item.protocol != 6
    if item.protocol in ANSWERS and item.icmp_type is not None:
        silent = silent or item.icmp_type not in ANSWERS[item.protocol]
    return Permission(
        peers=() if peer.kind == "any" else (peer,),
        family=family,
        opener=opener,
        protocol=item.protocol,
        server_ports=item.server_ports,
        client_ports=item.client_ports,
        icmp=None if item.icmp_type is None else (item.icmp_type, item.icmp_code),
        answered=not silent,
        entry=rule.id,
        location=rule.location,
    )
