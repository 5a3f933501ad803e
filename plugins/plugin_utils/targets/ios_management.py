# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does a list cut the way by which the device is managed? (facts/devices.md section 5.3)"""

from __future__ import annotations

import ipaddress
import re

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import only_list
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace, permitted
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import ACK, SYN, make_packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import IosState, full_interface
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_session import IosSession

TCP, SSH = 6, 22
CLIENT_PORT = 50000


def management_interfaces(session: IosSession, state: IosState, client: str) -> set[str]:
    """Return the interfaces by which packets of the management client may arrive.

    By ARP and MAC table where the client is in a connected subnet; otherwise every interface with an address.
    """
    found: set[str] = set()
    try:
        arp = session.show(f"show ip arp {ipaddress.ip_address(client)}")
        row = re.search(r"(?m)^Internet\s+\S+\s+\S+\s+([0-9a-f.]{14})\s+ARPA\s+(\S+)", arp)
        if row:
            found.add(full_interface(row[2]))
            table = session.show(f"show mac address-table address {row[1]}")
            found |= {
                full_interface(port) for port in re.findall(r"(?mi)^\s*\S+\s+[0-9a-f.]{14}\s+\S+\s+(\S+)\s*$", table)
            }
    except (FindingError, ValueError):
        found = set()
    return found or set(state.routed)


def management_client(session: IosSession) -> str:
    """Return the address by which the device knows us: its own word counts more than ours, there may be translation between us."""
    row = re.search(r"(?m)^\*.*?(\d+\.\d+\.\d+\.\d+)\s*$", session.show("show users"))
    return row[1] if row else session.peer()


def exposed_interfaces(session: IosSession, state: IosState) -> set[str]:
    """Return the interfaces by which this session may reach the device."""
    return management_interfaces(session, state, management_client(session))


def management_findings(
    content: str, places: list[tuple[str, str]], session: IosSession, exposed: set[str]
) -> list[Finding]:
    """Return an error for each exposed place where this list would cut the controller's own session to the device.

    Inbound: the first packet to port 22. Outbound: the answer to it.
    """
    if not any(interface in exposed for interface, _direction in places):
        return []
    client, device = management_client(session), session.device()
    if not client or not device or {ipaddress.ip_address(each).version for each in (client, device)} != {4}:
        return []
    found = []
    passing = permitted(PacketSpace(), only_list("ios", content).first_match())
    for interface, direction in places:
        if interface not in exposed:
            continue
        packet = make_packet(TCP, client, device, SSH, CLIENT_PORT, flags=SYN)
        if direction == "out":
            packet = make_packet(TCP, device, client, CLIENT_PORT, SSH, flags=SYN | ACK)
        if packet not in passing:
            found.append(
                codes.MANAGEMENT_CUT.at(
                    f"{session.spec.name}: {interface} {direction}: {packet.describe()} would be dropped, or might be"
                )
            )
    return found
