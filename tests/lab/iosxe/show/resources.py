# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""show platform ... tcam utilization and show sdm prefer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.lab.iosxe import tcam
from tests.lab.iosxe.cells import cells
from tests.lab.iosxe.show import register, text

if TYPE_CHECKING:
    from tests.lab.iosxe.cli import Cli

# table, subtype, direction, maximum, used, of that IPv4, IPv6, MPLS, other: an idle switch
IDLE = (
    ("Mac Address Table", "EM", "I", 32768, 33, 0, 0, 0, 33),
    ("Mac Address Table", "TCAM", "I", 1024, 21, 0, 0, 0, 21),
    ("IP Route Table", "EM", "I", 24576, 40, 25, 4, 11, 0),
    ("IP Route Table", "TCAM", "I", 8192, 76, 29, 44, 2, 1),
    ("QOS ACL", "TCAM", "IO", 5120, 85, 28, 38, 0, 19),
    ("Security ACL", "TCAM", "IO", 0, 0, 0, 0, 0, 0),
    ("Netflow ACL", "TCAM", "I", 256, 6, 2, 2, 0, 2),
    ("PBR ACL", "TCAM", "I", 1024, 22, 16, 6, 0, 0),
    ("Control Plane", "TCAM", "I", 512, 263, 114, 106, 0, 43),
)


def _row(name: str, subtype: str, way: str, most: int, used: int, four: int, six: int, mpls: int, other: int) -> str:
    percent = f"{100 * used / most:.2f}%"
    return (
        f" {name:<22} {subtype:<12} {way:<2} {most:>9} {used:>8} {percent:>8} {four:>8} {six:>8} {mpls:>8} {other:>8}"
    )


@register(
    "platform hardware fed switch active fwd-asic resource tcam utilization",
    "platform hardware fed switch <int:1-9> fwd-asic resource tcam utilization",
    "platform hardware fed active fwd-asic resource tcam utilization",
    "platform tcam utilization",
)
def tcam_utilization(cli: Cli, member: int = 1) -> str:
    device = cli.device
    if member > device.spec.members:
        return "% Switch " + str(member) + " is not a member of this stack\n"
    used, four, six = tcam.used(device)
    elsewhere = device.spec.acl_used_elsewhere
    if member > 1 and elsewhere is not None:
        used += elsewhere - device.spec.acl_used
    columns = "".join(f" {word:>8}" for word in ("Used", "%Used", "V4", "V6", "MPLS", "Other"))
    head = f" {'Table':<22} {'Subtype':<12} {'Dir':<4} {'Max':>7}{columns}"
    lines = [
        "Codes: EM - Exact_Match, I - Input, O - Output, IO - Input & Output, NA - Not Applicable",
        "",
        "CAM Utilization for ASIC  [0]",
        head,
        " " + "-" * (len(head) - 1),
    ]
    idle = device.spec.acl_used
    for row in IDLE:
        if row[0] == "Security ACL":
            v4, v6 = idle * 26 // 129, idle * 58 // 129
            row = ("Security ACL", "TCAM", "IO", device.spec.acl_capacity, used, v4 + four, v6 + six, 0, idle - v4 - v6)
        lines.append(_row(*row))
    matrix = sum(1 for cell in cells(device))
    lines += [
        " CTS Cell Matrix/VPN",
        _row("Label", "EM", "O", 8192, matrix, 0, 0, 0, matrix),
        " CTS Cell Matrix/VPN",
        _row("Label", "TCAM", "O", 512, 1, 0, 0, 0, 1),
    ]
    return text(lines)


@register("switch")
def switch(cli: Cli) -> str:
    device = cli.device
    lines = [
        f"Switch/Stack Mac Address : {device.base_mac} - Local Mac Address",
        "Mac persistency wait time: Indefinite",
        "                                             H/W   Current",
        "Switch#   Role    Mac Address     Priority Version  State ",
        "-" * 61,
    ]
    for number in range(1, device.spec.members + 1):
        role = "Active" if number == 1 else "Standby" if number == 2 else "Member"
        lines.append(
            f"{'*' if number == 1 else ' '}{number:<8} {role:<8}{device.base_mac}     {16 - number:<5}  V01     Ready"
        )
    return text(lines)


@register("sdm prefer")
def sdm_prefer(cli: Cli) -> str:
    rows = (
        ("Number of VLANs", 4094),
        ("Unicast MAC addresses", 32768),
        ("Overflow Unicast MAC addresses", 1024),
        ("L2 Multicast entries", 8192),
        ("Overflow L2 Multicast entries", 512),
        ("L3 Multicast entries", 8192),
        ("Overflow L3 Multicast entries", 512),
        ("Directly connected routes", 24576),
        ("Indirect routes", 8192),
        ("Security Access Control Entries", cli.device.spec.acl_capacity),
        ("QoS Access Control Entries", 5120),
        ("Policy Based Routing ACEs", 1024),
        ("Tunnels", 512),
        ("Control Plane Entries", 512),
        ("SGT/DGT (or) MPLS VPN entries", 8192),
        ("SGT/DGT (or) MPLS VPN Overflow entries", 512),
        ("Wired clients", 2048),
    )
    lines = ["Showing SDM Template Info", "", "This is the Access template."]
    lines += [f"  {name + ':':<53}{value}" for name, value in rows]
    return text(
        [
            *lines,
            "",
            "These numbers are typical for L2 and IPv4 features.",
            "Some features such as IPv6, use up double the entry size;",
            "so only half as many entries can be created.",
        ]
    )
