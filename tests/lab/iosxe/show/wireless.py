# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wireless controller's show commands, for switches whose spec has ``extra.wireless``:

    {"access_points": {NAME: {"mac", "site", "policy", "rf"}}, "clients": {MAC: {"access_point", "wlan", "ssid", "profile", "moves", "role",
     "switching", "state"}}}

Sessions, lists and tags are those that the provider gives, as on a port. A controller without this answers as a switch: invalid input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.lab.iosxe.authorization import EndpointSession, dotted
from tests.lab.iosxe.grammar import SyntaxFault
from tests.lab.iosxe.show import register, text

if TYPE_CHECKING:
    from tests.lab.iosxe.cli import Cli


def _wireless(cli: Cli) -> dict[str, Any]:
    found: dict[str, Any] | None = cli.device.spec.extra.get("wireless")
    if found is None:
        raise SyntaxFault("invalid", len("show "))
    return found


def _clients(cli: Cli) -> list[tuple[EndpointSession, dict[str, Any]]]:
    known = {dotted(mac): values for mac, values in _wireless(cli)["clients"].items()}
    return [(each, known[each.mac]) for each in cli.device.endpoint_sessions() if each.mac in known]


@register("wireless client summary")
def client_summary(cli: Cli) -> str:
    clients = _clients(cli)
    lines = [
        f"Number of Clients: {len(clients)}",
        "",
        "MAC Address    AP Name                                        Type ID   State             Protocol Method     Role",
        "-" * 121,
    ]
    for session, values in clients:
        state = values.get("state", "Run" if session.authorized else "Authenticating")
        lines.append(
            f"{session.mac} {values['access_point']:<46} WLAN {values['wlan']:<4} {state:<17} {'11ax(5)':<8} {'MAB':<10} "
            f"{values.get('role', 'Local'):<18}"
        )
    return text([*lines, "", "Number of Excluded Clients: 0"])


@register("wireless client mac-address <word> detail")
def client_detail(cli: Cli, mac: str) -> str:
    found = next(((session, values) for session, values in _clients(cli) if session.mac == mac.lower()), None)
    if found is None:
        return "\n"
    session, values = found
    policies = [f"  \t\tACS ACL          : {session.dacl}"] if session.dacl else []
    policies += [f"  \t\tOutput SGT       : {session.sgt:04x}-01"] if session.sgt is not None else []
    return text(
        [
            f"Client MAC Address : {session.mac}",
            "Client MAC Type : Locally Administered Address",
            "Client DUID: NA",
            f"Client IPv4 Address : {session.ip or 'N/A'}",
            *([f"Client IPv6 Addresses : {session.ipv6}"] if session.ipv6 else []),
            f"Client Username : {session.user_name}",
            f"AP Name: {values['access_point']}",
            "AP slot : 1",
            "Client State : Associated",
            f"Policy Profile : {values.get('profile', values['ssid'])}",
            "Flex Profile : N/A",
            f"Wireless LAN Id: {values['wlan']}",
            f"WLAN Profile Name: {values['ssid']}",
            f"Wireless LAN Network Name (SSID): {values['ssid']}",
            "Connected For : 321 seconds ",
            "Mobility:",
            f"  Move Count                  : {values.get('moves', 0)}",
            f"  Mobility Role               : {values.get('role', 'Local')}",
            f"  Mobility Roam Type          : {'L2' if values.get('moves') else 'None'}",
            f"Policy Manager State: {'Run' if session.authorized else 'Authenticating'}",
            "Last Policy Manager State : IP Learn Complete",
            "Session Manager:",
            "  Point of Attachment : capwap_90000005",
            f"  Authorized         : {'TRUE' if session.authorized else 'FALSE'}",
            f"  Common Session ID: {session.session_id}",
            "  Auth Method Status List",
            "  \tMethod : MAB",
            "  \t\tSM State        : TERMINATE",
            "  \t\tAuthen Status   : Success",
            "  Local Policies:",
            f"  \tService Template : wlan_svc_{values['ssid']} (priority 254)",
            f"  \t\tVLAN             : {session.vlan}",
            "  \t\tAbsolute-Timer   : 86400",
            "  Server Policies:",
            *policies,
            "  Resultant Policies:",
            *policies,
            f"  \t\tVLAN             : {session.vlan}",
            "  \t\tAbsolute-Timer   : 86400",
            "DNS Snooped IPv4 Addresses : None",
            f"FlexConnect Data Switching : {values.get('switching', 'N/A')}",
            "Device Classification Information:",
            "  Device Type      : Un-Classified Device",
        ]
    )


@register("ap tag summary")
def ap_tag_summary(cli: Cli) -> str:
    points = _wireless(cli)["access_points"]
    lines = [
        f"Number of APs: {len(points)}",
        "",
        "AP Name                 AP Mac           Site Tag Name                     Policy Tag Name                   RF Tag Name  "
        "                     Misconfigured    Tag Source    ",
        "-" * 172,
    ]
    for name, each in sorted(points.items()):
        lines.append(
            f"{name:<24}{dotted(each['mac']):<17}{each['site']:<34}{each['policy']:<34}{each.get('rf', 'default-rf-tag'):<34}"
            f"{'No':<17}{'Static':<14}"
        )
    return text(lines)
