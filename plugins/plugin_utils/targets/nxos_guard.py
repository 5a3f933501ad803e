# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of a Nexus switch before a list comes into force: does it fit, may it stand there, does it cut management?

Sources: facts/devices.md sections 1.6, 4.3 and 5.3; Nexus 9000 security configuration guide (atomic updates, router lists on layer 2
ports are idle).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import only_list
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.budget import hardware_blocks
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.host_names import addresses_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.management import (
    SSH,
    Conversation,
    ManagementPath,
    controller,
    local_services,
    named_server,
    relaying,
    server,
    version,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_config import (
    NxosState,
    Place,
    Server,
    full_interface,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_session import NxosSession

_REGIONS = {
    ("ip port access-group", "in"): "Ingress PACL",
    ("ipv6 port traffic-filter", "in"): "Ingress PACL",
    ("ip access-group", "in"): "Ingress RACL",
    ("ipv6 traffic-filter", "in"): "Ingress RACL",
    ("ip access-group", "out"): "Egress RACL",
    ("ipv6 traffic-filter", "out"): "Egress RACL",
}
_ROW = re.compile(r"(?m)^\s*(\S.*?)\s{2,}(\d+)\s+(\d+)\s+\d+(?:\.\d+)?\s*$")
_MAC = r"[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}"


def needed_entries(content: str, direction: str) -> int:
    """Return the hardware entries of a list with its implicit end: ranges take a register inbound and blocks outbound."""
    listing = only_list("nxos", content)
    family = 6 if listing.kind == "nxos_ipv6" else 4
    return sum(hardware_blocks(ace, 2, direction == "in") for ace in listing.aces) + (2 if family == 6 else 1)


def free_entries(session: NxosSession) -> dict[str, int]:
    """Return the free entries by row of the device's own table; empty where it has none that is understood."""
    try:
        shown = session.show("show hardware access-list resource utilization")
    except FindingError as error:
        if any(finding.code == codes.SESSION_LOST.number for finding in error.findings):
            raise
        return {}
    free: dict[str, int] = {}
    for name, _used, left in _ROW.findall(shown):
        free[name] = min(free.get(name, int(left)), int(left))  # the fullest instance decides
    return free


def capacity_findings(session: NxosSession, content: str, places: Iterable[Place]) -> list[Finding]:
    """Return an error for each region that has no room for the list beside what is there, as an atomic update needs it.

    A region that the device does not show is left to its own ``verify``.
    """
    regions = {(_REGIONS[command, direction], direction) for _interface, direction, command in places}
    if not regions:
        return []
    free = free_entries(session)
    found = []
    for region, direction in sorted(regions):
        needed = needed_entries(content, direction)
        if region in free and needed > free[region]:
            text = f"{session.spec.name}: {region}: {needed} entries beside those in use, {free[region]} are free"
            found.append(codes.NXOS_NO_ROOM.at(text))
    return found


def update_findings(state: NxosState, target: str) -> list[Finding]:
    """Return what is to be said where updates of the hardware are not atomic: an error where packets would be dropped meanwhile."""
    if state.atomic:
        return []
    return [(codes.NXOS_OPEN_UPDATE if state.default_permit else codes.NXOS_NOT_ATOMIC).at(target)]


def place_findings(state: NxosState, places: Iterable[Place], target: str) -> list[Finding]:
    """Return an error for each place that is not there, or where the command does not filter."""
    found = []
    for interface, _direction, command in places:
        if interface not in state.interfaces:
            found.append(codes.MISSING_REFERENCE.at(f"{target}: there is no interface {interface}"))
            continue
        wanted = 2 if " port " in command else 3
        layer = state.layers.get(interface)
        if layer is not None and layer != wanted:
            text = f"{target}: {interface} is a layer {layer} interface, on which {command} does not filter"
            found.append(codes.NXOS_IDLE_PLACE.at(text))
    return found


def management_path(session: NxosSession, state: NxosState) -> ManagementPath:
    """Return by which interfaces this session, and the answers of authentication servers, reach the device.

    Answers come to the address of the source interface where one is configured, else to that of the interface they arrive by. A server
    whose way the tables do not tell is taken to come as the controller does; NTP and DHCP servers are looked for in connected subnets.
    """
    client = next(
        (row[1] for row in re.finditer(r"(?m)\(([^()\s]+)\).*\*\s*$", session.show("show users")) if version(row[1])),
        "",
    )
    client = client or (session.peer() if version(session.peer()) else "")
    device, services = session.device(), state.services
    found, known = _arrives_by(session, client)
    known = known and found <= set(state.interfaces)
    exposed = tuple(sorted(found or {*state.routed, *(services.six if version(client) != 4 else ())}))
    made = [controller(client, device, exposed, known, services.ssh[0] if services.ssh else SSH)]
    for each in state.servers:
        made += _with_server(session, state, each, exposed, device)
    made += local_services(services, exposed, known, device)
    return ManagementPath(tuple(made), relaying(services), tuple(sorted(services.trusted)), tuple(sorted(state.routed)))


def _with_server(
    session: NxosSession, state: NxosState, each: Server, exposed: tuple[str, ...], device: str
) -> list[Conversation]:
    """Return the conversations with one server, by each of its addresses where the configuration calls it by a name."""
    services, made = state.services, list[Conversation]()
    asked_as = "tacacs" if each.kind == "tacacs" else "radius"
    addresses: tuple[str, ...] = (each.address,) if version(each.address) else ()
    addresses = addresses or addresses_of(each.address, services.domain, services.hosts)
    addresses = addresses or addresses_of(each.address, services.domain, (), _asked(session, "show hosts"))
    if not addresses:
        sources = [*services.sources_of(asked_as), *services.sources_of(asked_as, 6)]
        return [
            talk
            for port in each.ports
            for talk in named_server(each.kind, each.address, port, sources, bool(services.six))
        ]
    for address in addresses:
        family = version(address)
        ways, sure = _arrives_by(session, address)
        by, source = tuple(sorted(ways)) or exposed, services.sources_of(asked_as, family)
        own_of = {name: state.routed.get(name, "") if family == 4 else services.address(name, 6) for name in by}
        usual = device if version(device) == family else next((own for own in own_of.values() if own), "")
        for port in each.ports:
            for interface in by:
                made += [
                    server(each.kind, address, port, own, (interface,), bool(ways) and sure)
                    for own in source or (own_of[interface] or usual,)
                ]
    return made


def management_findings(content: str, places: Sequence[Place], name: str, path: ManagementPath) -> list[Finding]:
    """Return an error for each place where this list would cut the controller's session, the answers of RADIUS or TACACS+, or DHCP.

    A warning for other services, and for servers whose way in the switch does not tell.
    """
    found: list[Finding] = []
    for place in places:
        family = 6 if place[2].startswith("ipv6") else 4
        where = f"{name}: {place[0]} {place[1]}"
        found += path.judged("nxos", where, content, place, family)
    return found + (path.unknown_ways(name) if places else [])


def _arrives_by(session: NxosSession, address: str, hops: int = 1) -> tuple[frozenset[str], bool]:
    """Return the interfaces by which packets of an address may arrive, and whether the tables tell the port of each VLAN as well.

    By ARP (or neighbour discovery) and MAC table where the address, or each next hop of its routes, is in a connected subnet.
    """
    family = version(address)
    if not family:
        return frozenset(), False
    found: set[str] = set()
    sure: list[bool] = []
    try:
        shown = _asked(session, f"show ipv6 neighbor {address}" if family == 6 else f"show ip arp {address}")
        between = r"\s+\S+\s+\S+" if family == 6 else ""  # preference and source
        row = re.search(rf"(?mi)^{re.escape(address)}\s+\S+\s+({_MAC}){between}\s+(\S+)", shown)
        if row:
            found.add(full_interface(row[2]))
            table = _asked(session, f"show mac address-table address {row[1]}")
            ports = re.findall(rf"(?m)^[*+GO(R)~ ]*\s*\S+\s+{_MAC}\s+.*\s(\S+)\s*$", table)
            behind = {full_interface(port) for port in ports if re.match(r"(?i)(eth|po)", port)}
            found |= behind
            sure.append(bool(behind) or not row[2].lower().startswith("vlan"))
        else:
            for vrf in ("", " vrf management") if hops else ():
                ways = re.findall(
                    r"(?m)\*via (\S+?),? ?([A-Z][A-Za-z-]*[0-9/.]+|mgmt0)",
                    _asked(session, f"show {'ipv6' if family == 6 else 'ip'} route {address}{vrf}"),
                )
                for hop, by in ways:
                    interface = full_interface(by)
                    found.add(interface)
                    if interface.startswith("Vlan"):  # a list on the port behind it sees these packets first
                        ports_of_hop, told = _arrives_by(session, hop, hops - 1)
                        found |= ports_of_hop
                        sure.append(told)
                    else:
                        sure.append(True)
    except (ValueError, FindingError) as error:
        if isinstance(error, FindingError) and all(each.code != codes.BAD_BODY.number for each in error.findings):
            raise
        return frozenset(found), False
    return frozenset(found), bool(sure) and all(sure)


def _asked(session: NxosSession, text: str) -> str:
    """Return a show command's output, empty where the device does not know it."""
    try:
        return session.show(text)
    except FindingError as error:
        if any(finding.code == codes.SESSION_LOST.number for finding in error.findings):
            raise
        return ""
