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


def management_interfaces(session: IosSession, state: IosState, client: str) -> tuple[set[str], bool]:
    """Return the interfaces by which packets of the management client may arrive, and whether the switch's tables say so.

    By ARP and MAC table where the client, or the next hop towards it, is in a connected subnet; otherwise every interface with
    an address, not known.
    """
    try:
        found = _by_tables(session, str(ipaddress.ip_address(client)))
    except ValueError:
        found = set()
    return (found, True) if found else (set(state.routed), False)


def _by_tables(session: IosSession, address: str, hops: int = 1) -> set[str]:
    arp = _shown(session, f"show ip arp {address}")
    row = re.search(r"(?m)^Internet\s+\S+\s+\S+\s+([0-9a-f.]{14})\s+ARPA\s+(\S+)", arp)
    if row is None:
        # Not in a connected subnet: the next hop is.
        route = _shown(session, f"show ip route {address}") if hops else ""
        hop = re.search(r"(?m)^\s+\*?\s*(\d+\.\d+\.\d+\.\d+)(?:,|\s|$)", route)
        return _by_tables(session, hop[1], hops - 1) if hop and hop[1] != address else set()
    found = {full_interface(row[2])}
    table = _shown(session, f"show mac address-table address {row[1]}")
    ports = re.findall(r"(?mi)^\s*\S+\s+[0-9a-f.]{14}\s+\S+\s+(\S+)\s*$", table)
    return found | {full_interface(port) for port in ports if port.lower() not in ("cpu", "router", "switch")}


def _shown(session: IosSession, command: str) -> str:
    """Return a show command's output, nothing where the switch does not know it."""
    try:
        return session.show(command)
    except FindingError as error:
        if any(finding.code == codes.SESSION_LOST.number for finding in error.findings):
            raise
        return ""


def management_client(session: IosSession) -> str:
    """Return the address by which the device knows us: its own word counts more than ours, there may be translation between us."""
    row = re.search(r"(?m)^\*.*?(\d+\.\d+\.\d+\.\d+)\s*$", _shown(session, "show users"))
    return row[1] if row else session.peer()
