# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""By which way is a device managed? (facts/devices.md section 5.3)"""

from __future__ import annotations

import ipaddress
import re

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import IosState, full_interface
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_session import IosSession
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.management import version


class Tables:
    """The switch's tables in one moment: each command is asked once, and no configuration is typed."""

    def __init__(self, session: IosSession) -> None:
        self._session = session
        self._shown: dict[str, str] = {}

    def show(self, command: str) -> str:
        """Return a show command's output, nothing where the switch does not know it."""
        if command not in self._shown:
            self._shown[command] = asked(self._session, command)
        return self._shown[command]

    def peer(self) -> str:
        """Return our address as the session knows it."""
        return self._session.peer()


def management_interfaces(session: Tables | IosSession, state: IosState, client: str) -> tuple[set[str], bool]:
    """Return the interfaces by which packets of the management client may arrive, and whether the switch's tables say so.

    By ARP and MAC table where the client, or each next hop towards it, is in a connected subnet; otherwise every interface with
    an address. Not known is also a VLAN whose port the switch does not tell, and a name that its configuration does not have.
    """
    try:
        found, sure = _by_tables(session, str(ipaddress.ip_address(client)))
        if not found and state.services.gateway and version(client) == 4:
            found, sure = _by_tables(session, state.services.gateway, 0)
    except (ValueError, FindingError) as error:
        if isinstance(error, FindingError) and all(each.code != codes.BAD_BODY.number for each in error.findings):
            raise
        found, sure = set(), False
    if found and sure and found <= set(state.interfaces):
        return found, True
    return found or set(state.routed), False


def server_interfaces(tables: Tables, state: IosState, address: str) -> tuple[set[str], bool]:
    """Return the interfaces by which a server's packets may arrive, and whether the tables tell them down to the port.

    Only for an address in a connected subnet are neighbours asked first; else its way is that of its next hops, or of the gateway.
    """
    try:
        wanted = str(ipaddress.ip_address(address))
        found, sure = _by_tables(tables, wanted, near=bool(state.services.connected(wanted)))
        if not found and state.services.gateway and version(wanted) == 4:
            found, sure = _by_tables(tables, state.services.gateway, 0)
    except (ValueError, FindingError) as error:
        if isinstance(error, FindingError) and all(each.code != codes.BAD_BODY.number for each in error.findings):
            raise
        return set(), False
    return (found, sure) if found <= set(state.interfaces) else (found & set(state.interfaces), False)


def _by_tables(session: Tables | IosSession, address: str, hops: int = 1, near: bool = True) -> tuple[set[str], bool]:
    """Return the interfaces that the tables tell, and whether they tell the port of each VLAN as well."""
    row = _neighbour(session, address) if near else None
    if row is None:
        # Not in a connected subnet: the next hops are, several where the load is shared.
        told = _next_hops(session, address) if hops else []
        ways = [_by_tables(session, hop, hops - 1) for hop in dict.fromkeys(told) if hop != address]
        return set().union(*(way[0] for way in ways)), bool(ways) and all(way[1] for way in ways)
    found = {full_interface(row[2])}
    table = asked(session, f"show mac address-table address {row[1]}")
    ports = re.findall(r"(?mi)^\s*\S+\s+[0-9a-f.]{14}\s+\S+\s+(\S+)\s*$", table)
    behind = {full_interface(port) for port in ports if port.lower() not in ("cpu", "router", "switch")}
    return found | behind, bool(behind) or not row[2].lower().startswith("vl")


def _neighbour(session: Tables | IosSession, address: str) -> re.Match[str] | None:
    """Return hardware address and interface of a neighbour, by ARP or neighbour discovery."""
    if ":" in address:
        told = asked(session, f"show ipv6 neighbors {address}")
        return re.search(r"(?m)^[0-9A-Fa-f:]+\s+(?:\d+|-)\s+([0-9a-f.]{14})\s+[A-Z]+\s+(\S+)", told)
    arp = asked(session, f"show ip arp {address}")
    return re.search(r"(?m)^Internet\s+\S+\s+\S+\s+([0-9a-f.]{14})\s+ARPA\s+(\S+)", arp)


def _next_hops(session: Tables | IosSession, address: str) -> list[str]:
    """Return the next hops of the route to an address; a link-local one is told by neighbour discovery as well."""
    if ":" in address:
        route = asked(session, f"show ipv6 route {address}")
        return re.findall(r"(?m)^\s+\*?\s*([0-9A-Fa-f]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:]*)(?:,|\s|$)", route)
    route = asked(session, f"show ip route {address}")
    return re.findall(r"(?m)^\s+\*?\s*(\d+\.\d+\.\d+\.\d+)(?:,|\s|$)", route)


def asked(session: Tables | IosSession, command: str) -> str:
    """Return a show command's output, nothing where the switch does not know it."""
    try:
        return session.show(command)
    except FindingError as error:
        if any(finding.code == codes.SESSION_LOST.number for finding in error.findings):
            raise
        return ""


def management_client(session: Tables | IosSession) -> str:
    """Return the address by which the device knows us: its own word counts more than ours, there may be translation between us.

    Empty where neither says one.
    """
    for row in re.finditer(r"(?m)^\*.*?(\S+)\s*$", asked(session, "show users")):
        if version(row[1]):
            return str(ipaddress.ip_address(row[1]))
    peer = session.peer()
    return peer if version(peer) else ""
