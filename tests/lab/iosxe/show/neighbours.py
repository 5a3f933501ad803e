# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""show lldp neighbors and show cdp neighbors, with and without detail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.lab.iosxe.authorization import dotted
from tests.lab.iosxe.interfaces import short_name
from tests.lab.iosxe.show import register, text
from tests.lab.iosxe.spec import NeighbourSpec

if TYPE_CHECKING:
    from tests.lab.iosxe.cli import Cli


def _speaking(cli: Cli, protocol: str) -> list[NeighbourSpec]:
    return [each for each in cli.device.spec.neighbours if each.protocol in ("both", protocol)]


@register("lldp neighbors detail")
def lldp_detail(cli: Cli) -> str:
    lines = []
    found = _speaking(cli, "lldp")
    for each in found:
        lines += [
            "-" * 48,
            f"Local Intf: {short_name(each.interface)}",
            f"Chassis id: {dotted(each.mac)}",
            f"Port id: {short_name(each.port)}",
            f"Port Description: {each.port}",
            f"System Name: {each.system_name}",
            "",
            "System Description: ",
            *each.description.splitlines(),
            "",
            "Time remaining: 101 seconds",
            f"System Capabilities: {each.capabilities}",
            f"Enabled Capabilities: {each.capabilities}",
            "Management Addresses:",
            f"    IP: {each.address}",
            "Auto Negotiation - supported, enabled",
            "Physical media capabilities:",
            "    1000baseT(FD)",
            "    100base-TX(FD)",
            "Media Attachment Unit type: 30",
            "Vlan ID: - not advertised",
        ]
        if each.model or each.manufacturer or each.serial:
            lines += [
                "",
                "MED Information:",
                "",
                "    MED Codes:",
                "          (NP) Network Policy, (LI) Location Identification",
                "          (PS) Power Source Entity, (PD) Power Device",
                "          (IN) Inventory",
                "",
            ]
            for name, value in (
                ("Serial number", each.serial),
                ("Manufacturer", each.manufacturer),
                ("Model", each.model),
            ):
                if value:
                    lines.append(f"    {name}: {value}")
            lines += [
                "    Capabilities: NP, PD, IN",
                "    Device type: Endpoint Class I",
                "    Location - not advertised",
            ]
        lines.append("")
    return text([*lines, "", f"Total entries displayed: {len(found)}"])


@register("lldp neighbors")
def lldp(cli: Cli) -> str:
    found = _speaking(cli, "lldp")
    lines = [
        "Capability codes:",
        "    (R) Router, (B) Bridge, (T) Telephone, (C) DOCSIS Cable Device",
        "    (W) WLAN Access Point, (P) Repeater, (S) Station, (O) Other",
        "",
        "Device ID           Local Intf     Hold-time  Capability      Port ID",
    ]
    for each in found:
        lines.append(
            f"{each.system_name[:20]:<20}{short_name(each.interface):<15}{120:<11}{each.capabilities:<16}{short_name(each.port)}"
        )
    return text([*lines, "", f"Total entries displayed: {len(found)}", ""])


CDP_CAPABILITIES = {"B": "Switch", "R": "Router", "T": "Phone", "S": "Host", "W": "Trans-Bridge"}


@register("cdp neighbors detail")
def cdp_detail(cli: Cli) -> str:
    lines = []
    found = _speaking(cli, "cdp")
    for each in found:
        words = " ".join(CDP_CAPABILITIES.get(letter.strip(), "Host") for letter in each.capabilities.split(","))
        lines += [
            "-" * 25,
            f"Device ID: {each.system_name}",
            "Entry address(es): ",
            f"  IP address: {each.address}",
            f"Platform: {each.platform},  Capabilities: {words} ",
            f"Interface: {each.interface},  Port ID (outgoing port): {each.port}",
            "Holdtime : 126 sec",
            "",
            "Version :",
            *each.description.splitlines(),
            "",
            "advertisement version: 2",
            "VTP Management Domain: ''",
            "Native VLAN: 1",
            "Duplex: full",
            "Management address(es): ",
            f"  IP address: {each.address}",
            "",
        ]
    return text([*lines, "", f"Total cdp entries displayed : {len(found)}"])
