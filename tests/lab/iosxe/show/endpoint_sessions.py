# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""show access-session and show authentication sessions."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from tests.lab.iosxe.authorization import EndpointSession, dotted
from tests.lab.iosxe.interfaces import short_name
from tests.lab.iosxe.show import register, text

if TYPE_CHECKING:
    from tests.lab.iosxe.cli import Cli

KEY = (
    "",
    "Key to Session Events Blocked Status Flags:",
    "",
    "  A - Applying Policy (multi-line status for details)",
    "  D - Awaiting Deletion",
    "  F - Final Removal in progress",
    "  I - Awaiting IIF ID allocation",
    "  P - Pushed Session",
    "  R - Removing User Profile (multi-line status for details)",
    "  U - Applying User Profile (multi-line status for details)",
    "  X - Unknown Blocker",
)


def _wired(cli: Cli) -> list[EndpointSession]:
    """Return the sessions on ports: clients of a wireless controller are shown by its own commands."""
    wireless = {dotted(mac) for mac in cli.device.spec.extra.get("wireless", {}).get("clients", ())}
    return [each for each in cli.device.endpoint_sessions() if each.mac not in wireless]


def _table(sessions: list[EndpointSession]) -> str:
    if not sessions:
        return "No sessions currently exist\n"
    lines = ["Interface                MAC Address    Method  Domain  Status Fg  Session ID", "-" * 92]
    for each in sessions:
        status = "Auth" if each.authorized else "Unauth"
        lines.append(
            f"{short_name(each.interface):<25}{each.mac:<15}{each.method:<8}{each.domain:<8}{status:<11}{each.session_id}"
        )
    return text([*lines, "", f"Session count = {len(sessions)}", *KEY])


def _details(each: EndpointSession) -> list[str]:
    seed = zlib.crc32(each.mac.encode())
    values = (
        ("Interface", each.interface),
        ("IIF-ID", f"0x{seed:08X}"),
        ("MAC Address", each.mac),
        ("IPv6 Address", each.ipv6 or "Unknown"),
        ("IPv4 Address", each.ip or "Unknown"),
        ("User-Name", each.user_name),
        ("Status", "Authorized" if each.authorized else "Unauthorized"),
        ("Domain", each.domain),
        ("Oper host mode", "multi-auth"),
        ("Oper control dir", "both"),
        ("Session timeout", "N/A"),
        ("Common Session ID", each.session_id),
        ("Acct Session ID", f"0x{seed % 0xFFFF:08x}"),
        ("Handle", f"0x{seed ^ 0x1F:08x}"),
        ("Current Policy", "POLICY_ACCESS"),
    )
    lines = [f"{name:>21}:  {value}" for name, value in values]
    lines += ["", "", "Server Policies:"]
    if each.dacl:
        lines.append(f"              ACS ACL: {each.dacl}")
    if each.sgt is not None:
        lines.append(f"            SGT Value: {each.sgt}")
    lines += ["", "", "Method status list:", "       Method           State"]
    state = "Authc Success" if each.authorized else "Authc Failed"
    if each.method == "mab":
        lines += ["        dot1x           Stopped", f"          mab           {state}"]
    else:
        lines.append(f"        dot1x           {state}")
    return [*lines, ""]


def _all_details(sessions: list[EndpointSession]) -> str:
    if not sessions:
        return "No sessions match supplied criteria.\n"
    lines: list[str] = []
    for number, each in enumerate(sessions):
        lines += (["-" * 40] if number else []) + _details(each)
    return text(lines)


@register("access-session", "authentication sessions")
def access_session(cli: Cli) -> str:
    return _table(_wired(cli))


@register("access-session details", "authentication sessions details")
def access_session_details(cli: Cli) -> str:
    return _all_details(_wired(cli))


@register("access-session interface <if>", "authentication sessions interface <if>")
def access_session_interface(cli: Cli, name: str) -> str:
    return _table([each for each in _wired(cli) if each.interface == name])


@register("access-session interface <if> details", "authentication sessions interface <if> details")
def access_session_interface_details(cli: Cli, name: str) -> str:
    return _all_details([each for each in _wired(cli) if each.interface == name])


@register("access-session mac <word>", "authentication sessions mac <word>")
def access_session_mac(cli: Cli, mac: str) -> str:
    return _table([each for each in _wired(cli) if each.mac == dotted(mac)])


@register("access-session mac <word> details", "authentication sessions mac <word> details")
def access_session_mac_details(cli: Cli, mac: str) -> str:
    return _all_details([each for each in _wired(cli) if each.mac == dotted(mac)])
