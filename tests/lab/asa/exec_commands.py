# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that are not show commands."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from tests.lab.asa.config import Refused, reset_hits
from tests.lab.asa.entries import ICMP6_TYPES, ICMP_TYPES, PORTS, PROTOCOLS
from tests.lab.asa.modes import both, privileged
from tests.lab.asa.verdicts import tracer_text
from tests.lab.iosxe.grammar import CliError

if TYPE_CHECKING:
    from tests.lab.asa.cli import AsaCli


@both("enable")
async def enable(cli: AsaCli) -> str:
    if cli.privilege >= 15:
        return ""
    for _attempt in range(3):
        answer = await cli.ask("Password: ", False)
        if answer is None:
            return ""
        if answer == cli.device.enable_secret and cli.device.faults.strike("wrong_enable") is None:
            cli.privilege, cli.mode = 15, "exec"
            return ""
        cli.device.counters.authentication_failures += 1
    return "Invalid password\nAccess denied.\n"


@both("login")
async def login(cli: AsaCli) -> str:
    cli.device.counters.authentication_failures += 1  # every use of it by a client is one too many
    await cli.ask("Username: ", True)
    await cli.ask("Password: ", False)
    return "Login failed\n"


@privileged("disable")
def disable(cli: AsaCli) -> str:
    cli.privilege, cli.mode = 1, "user"
    return ""


@both("exit", "logout", "quit")
def leave(cli: AsaCli) -> str:
    cli.closed = True
    return "\nLogoff\n\n"


@privileged("terminal pager <int:0-2147483647>", "terminal pager lines <int:0-2147483647>")
def pager(cli: AsaCli, lines: int) -> str:
    cli.length = lines
    return ""


@both("terminal monitor", "terminal no monitor")
def monitor(cli: AsaCli) -> str:
    return ""


@privileged("configure terminal")
def configure_terminal(cli: AsaCli) -> str:
    from tests.lab.asa.cli import STANDBY

    cli.mode, cli.config_session, cli.target = "config", None, None
    return STANDBY if cli.device.spec.failover == "standby" else ""


@privileged("configure session <word>")
def configure_session(cli: AsaCli, name: str) -> str:
    device = cli.device
    if not device.spec.sessions:
        raise CliError("                      ^\nERROR: % Invalid input detected at '^' marker.")
    if len(name) > 32:
        raise Refused("ERROR: The session name is limited to 32 characters")
    cli.config_session = device.open_config_session(name)
    cli.mode, cli.target = "config", None
    return ""


@privileged("clear configuration session", "clear configuration session <word>")
def clear_session(cli: AsaCli, name: str = "") -> str:
    sessions = cli.device.config_sessions
    if name and name not in sessions:
        raise Refused(f"ERROR: Session {name} does not exist")
    for each in [name] if name else list(sessions):
        sessions.pop(each, None)
    return ""


@privileged("write", "write memory", "copy running-config startup-config")
def write(cli: AsaCli) -> str:
    device = cli.device
    if device.faults.strike("drop_before_write") is not None:
        cli.saving = True
        return ""
    refusal = device.faults.error_for("write memory")
    if refusal is not None:
        return f"Building configuration...\n{refusal}\nError executing command\n[FAILED]\n"
    size = len(device.config.body())
    device.save(cli.user)
    checksum = device.checksum_line().partition(":")[2]
    words = " ".join(checksum[at : at + 8] for at in range(0, 32, 8))
    return f"Building configuration...\nCryptochecksum: {words} \n\n{size} bytes copied in 0.560 secs\n[OK]\n"


@privileged("reload noconfirm")
def reload_now(cli: AsaCli) -> str:
    cli.device.reload()
    return ""


@privileged("clear access-list <word> counters")
def clear_counters(cli: AsaCli, name: str) -> str:
    if name not in cli.device.config.lists:
        raise Refused(f"ERROR: access-list <{name}> does not exist")
    reset_hits(cli.device.config, name)
    return ""


@privileged("clear conn <rest>")
def clear_conn(cli: AsaCli, text: str) -> str:
    words = text.split()
    ends: list[list[str]] = []
    protocol, at = "", 0
    while at < len(words):
        if at + 1 >= len(words):
            raise CliError("ERROR: % Incomplete command")
        if words[at] == "protocol":
            protocol = words[at + 1]
        elif words[at] == "address":
            ends.append([str(ipaddress.ip_address(words[at + 1])), ""])
        elif words[at] == "port" and ends:
            ends[-1][1] = words[at + 1]
        elif text != "all":
            raise CliError("ERROR: % Invalid input detected at '^' marker.")
        at += 2
    kept, gone = [], 0
    for conn in cli.device.connections:
        sides = [[conn.client, str(conn.client_port)], [conn.server, str(conn.server_port)]]
        wanted = [[side for side in sides if side[0] == end[0] and end[1] in ("", side[1])] for end in ends]
        if (not protocol or conn.protocol == protocol) and ends and all(wanted):
            gone += 1
            cli.device.cleared.append(
                f"{conn.protocol} {conn.client}:{conn.client_port} {conn.server}:{conn.server_port}"
            )
        else:
            kept.append(conn)
    cli.device.connections = kept
    return f"{gone} connection(s) deleted.\n"


@privileged("packet-tracer input <word> <rest>")
def packet_tracer(cli: AsaCli, interface: str, text: str) -> str:
    device, words = cli.device, [word for word in text.split() if word not in ("detailed", "xml")]
    if interface not in device.config.nameifs():
        raise Refused(f"ERROR: % Interface name {interface} not found")
    device.traces += 1
    protocol = words[0]
    try:
        packet: dict[str, object] = {"protocol": protocol, "source": str(ipaddress.ip_address(words[1]))}
        version = ipaddress.ip_address(words[1]).version
        if protocol in ("tcp", "udp", "sctp"):
            known = PORTS.get(PROTOCOLS[protocol], {})
            packet["source_port"] = known.get(words[2]) or int(words[2])
            packet["destination"] = str(ipaddress.ip_address(words[3]))
            packet["destination_port"] = known.get(words[4]) or int(words[4])
        elif protocol == "icmp":
            names = ICMP_TYPES if version == 4 else ICMP6_TYPES
            packet["icmp_type"] = names[words[2]] if words[2] in names else int(words[2])
            packet["icmp_code"] = int(words[3])
            packet["destination"] = str(ipaddress.ip_address(words[4]))
        elif protocol == "rawip":
            packet["protocol"] = int(words[2])
            packet["destination"] = str(ipaddress.ip_address(words[3]))
        else:
            raise ValueError(protocol)
    except (ValueError, IndexError, KeyError):
        raise CliError("ERROR: % Invalid input detected at '^' marker.") from None
    return tracer_text(device, interface, packet)
