# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exec commands of the emulated NX-OS."""

from __future__ import annotations

import ipaddress
import time
import zlib
from typing import TYPE_CHECKING

from tests.lab.iosxe.grammar import CliError, Grammar, SyntaxFault
from tests.lab.nxos import tcam
from tests.lab.nxos.config import ATTACH
from tests.lab.nxos.interfaces import short_name, sort_key

if TYPE_CHECKING:
    from tests.lab.nxos.cli import Cli

EXEC = Grammar()
command = EXEC.command


@command("terminal length <int:0-511>")
def terminal_length(cli: Cli, value: str) -> None:
    cli.length = int(value)


@command("terminal width <int:24-511>")
def terminal_width(cli: Cli, value: str) -> None:
    cli.width = int(value)


@command("terminal session-timeout <int:0-525600>", "terminal monitor", "enable")
def nothing(cli: Cli, *_values: str) -> None:
    """Taken without effect."""


@command("exit", "logout")
def leave(cli: Cli) -> None:
    cli.closed = True


@command("configure terminal", "configure")
def configure(cli: Cli) -> str:
    return cli.enter()


@command("configure session <word>")
def configure_session(cli: Cli, name: str) -> str:
    if not cli.device.spec.session_manager:
        raise SyntaxFault("invalid", 10)
    return cli.enter_session(name)


@command("show configuration session")
def sessions(cli: Cli) -> str:
    if not cli.device.spec.session_manager:
        raise SyntaxFault("invalid", 5)
    found = cli.device.config_sessions
    if not found:
        return "There are no active configuration sessions\n"
    lines = ["Name                    Session Owner           Creation Time", "-" * 68]
    lines += [f"{each.name:<24}{each.owner:<24}{cli.device.stamp(each.created)}" for each in found.values()]
    return "\n".join([*lines, f"Number of active configuration sessions = {len(found)}"]) + "\n"


@command("show configuration session <word>")
def session(cli: Cli, name: str) -> str:
    if name == "summary":
        return sessions(cli)
    found = cli.device.config_sessions.get(name)
    if found is None:
        raise CliError("ERROR: Session does not exist")
    lines = [f"{number:04d}  {line.strip()}" for number, line in enumerate(found.lines, 1)]
    return (
        "\n".join(
            [
                f"config session name {name}",
                *lines,
                f"Number of active configuration sessions = {len(cli.device.config_sessions)}",
            ]
        )
        + "\n"
    )


@command("show running-config")
def running(cli: Cli) -> str:
    return cli.device.running_text()


@command("show running-config aclmgr")
def running_acl(cli: Cli) -> str:
    lines = []
    for _name, each in sorted(cli.device.config.lists.items()):
        lines += ["", *each.config_lines()]
    for name in sorted(cli.device.config.interfaces, key=sort_key):
        settings = [line for key, line in cli.device.config.interfaces[name].settings.items() if key.startswith(ATTACH)]
        if settings:
            lines += ["", f"interface {name}", *(f"  {line}" for line in settings)]
    return "\n!Command: show running-config aclmgr\n\nversion 9.3(8)" + "\n".join(lines) + "\n"


@command("show running-config interface <word>")
def running_interface(cli: Cli, name: str) -> str:
    from tests.lab.nxos.interfaces import full_name

    found = cli.device.config.interfaces.get(full_name(name) or "")
    if found is None:
        raise SyntaxFault("invalid", 30)
    return "\n!Command: show running-config interface\n\n" + "\n".join(found.config_lines()) + "\n"


@command("show startup-config")
def startup(cli: Cli) -> str:
    return "\n!Command: show startup-config\n" + cli.device.startup


@command("show access-lists", "show ip access-lists", "show ipv6 access-lists")
def access_lists(cli: Cli) -> str:
    lines = []
    for _name, each in sorted(cli.device.config.lists.items()):
        lines += ["", *each.show_lines()]
    return "\n".join(lines) + "\n"


@command("show access-lists <word>", "show ip access-lists <word>", "show ipv6 access-lists <word>")
def access_list(cli: Cli, name: str) -> str:
    if name == "summary":
        return summary(cli)
    found = cli.device.config.lists.get(name)
    return "" if found is None else "\n" + "\n".join(found.show_lines()) + "\n"


def summary(cli: Cli) -> str:
    """show access-lists summary."""
    words = {"ip port access-group": "Port ACL", "ipv6 port traffic-filter": "Port ACL"}
    lines = []
    for _name, each in sorted(cli.device.config.lists.items()):
        used = [
            f"                {interface.name} - {'ingress' if direction == 'in' else 'egress'} ({words.get(attach, 'Router ACL')})"
            for interface in cli.device.config.interfaces.values()
            for attach in ATTACH
            for direction in ("in", "out")
            if interface.access_list(attach, direction) == each.name
        ]
        lines += [f"IPV{each.family} ACL {each.name}", f"        Total ACEs Configured: {len(each.entries)}"]
        lines += ["        Configured on interfaces:", *used, "        Active on interfaces:", *used]
    return "\n".join(lines) + "\n"


@command("clear ip access-list counters", "clear ip access-list counters <word>")
def clear_counters(cli: Cli, name: str = "") -> None:
    for _name, each in sorted(cli.device.config.lists.items()):
        if name in ("", each.name):
            for line in each.lines:
                line.matches = 0


@command("show hardware access-list resource utilization")
def utilization(cli: Cli) -> str:
    used = tcam.used(cli.device.config)
    lines = ["INSTANCE 0x0", "-------------", "", "              ACL Hardware Resource Utilization (Mod 1)"]
    lines += [
        "              --------------------------------------------",
        "                                        Used    Free    Percent",
    ]
    lines += ["                                                        Utilization", "-" * 71]
    for region, size in cli.device.regions.items():
        share = 100 * used[region] / size if size else 0.0
        lines.append(f"{tcam.ROWS[region]:<40}{used[region]:<8}{size - used[region]:<8}{share:.2f}")
    return "\n".join(lines) + "\n"


@command("show hardware access-list tcam region")
def regions(cli: Cli) -> str:
    lines = [f"{name:>60} size = {size:5}" for name, size in cli.device.regions.items()]
    return "\n".join(lines) + "\n"


@command("show users")
def users(cli: Cli) -> str:
    lines = ["NAME     LINE         TIME         IDLE          PID COMMENT"]
    for each in cli.device.sessions:
        if each.cli is not None:
            own = " *" if each.cli is cli else ""
            lines.append(
                f"{each.cli.user:<9}pts/{each.cli.tty:<9}Nov 26 08:00   .         {20000 + each.cli.tty} ({each.cli.peer}) session=ssh{own}"
            )
    return "\n".join(lines) + "\n"


@command("show clock")
def clock(cli: Cli) -> str:
    return cli.device.stamp() + "\nTime source is NTP\n"


@command("show version")
def version(cli: Cli) -> str:
    spec = cli.device.spec
    return (
        f"Cisco Nexus Operating System (NX-OS) Software\n\nSoftware\n  BIOS: version 05.45\n NXOS: version {spec.version}\n\n"
        f"Hardware\n  cisco Nexus9000 {spec.model} Chassis\n\n  Device name: {cli.device.config.hostname}\n"
    )


@command("show ip arp", "show ip arp vrf <word>", "show ip arp <ip>", "show ip arp <ip> vrf <word>")
def arp(cli: Cli, *values: str) -> str:
    wanted = next((value for value in values if value[:1].isdigit()), "")
    rows = [
        (address, mac, interface)
        for address, (mac, interface, _port) in cli.device.spec.arp.items()
        if wanted in ("", address)
    ]
    lines = [
        "",
        "Flags: * - Adjacencies learnt on non-active FHRP router",
        "",
        "IP ARP Table",
        f"Total number of entries: {len(rows)}",
    ]
    lines.append("Address         Age       MAC Address     Interface       Flags")
    lines += [f"{address:<16}00:01:02  {mac}  {interface}" for address, mac, interface in rows]
    return "\n".join(lines) + "\n"


@command("show mac address-table", "show mac address-table address <word>")
def mac_table(cli: Cli, wanted: str = "") -> str:
    lines = ["Legend:", "        * - primary entry, G - Gateway MAC, (R) - Routed MAC, O - Overlay MAC"]
    lines += [
        "   VLAN     MAC Address      Type      age     Secure NTFY Ports",
        "---------+-----------------+--------+---------+------+----+------------------",
    ]
    for mac, interface, port in cli.device.spec.arp.values():
        if port and wanted in ("", mac):
            vlan = interface.removeprefix("Vlan")
            lines.append(f"* {vlan:>4}     {mac}   dynamic  0         F      F    {short_name(port)}")
    return "\n".join(lines) + "\n"


@command("show ip route <ip>", "show ip route <ip> vrf <word>")
def route(cli: Cli, address: str, vrf: str = "default") -> str:
    best = None
    for prefix, interface in cli.device.spec.routes.items():
        network = ipaddress.ip_network(prefix)
        if ipaddress.ip_address(address) in network and (best is None or network.prefixlen > best[0].prefixlen):
            best = (network, interface)
    head = f"IP Route Table for VRF \"{vrf}\"\n'*' denotes best ucast next-hop\n\n"
    if best is None:
        return head + "Route not found\n"
    return head + f"{best[0]}, ubest/mbest: 1/0\n    *via 192.0.2.1, {short_name(best[1])}, [1/0], 10w3d, static\n"


@command("show scheduler schedule", "show scheduler schedule name <word>")
def schedules(cli: Cli, name: str = "") -> str:
    config, ran = cli.device.config, {job: moment for moment, job in cli.device.jobs_run}
    if "scheduler" not in config.features:
        raise SyntaxFault("invalid", len("show "))
    rows = []
    for each, block in config.schedules.items():
        if name not in ("", each):
            continue
        jobs = [line.split()[2] for line in block.lines if line.startswith("job name ")]
        moments = [ran[job] for job in jobs if job in ran]
        last = time.strftime("%a %b %e %H:%M:%S %Y", time.gmtime(max(moments))) if moments else "Yet to be executed"
        start = next(
            (line.partition("time start ")[2] for line in block.lines if line.startswith("time start ")), "-NA-"
        )
        rows += [
            f"Schedule Name       : {each}",
            "-" * 27,
            "User Name           : admin",
            f"Schedule Type       : Runs once at {start}",
        ]
        rows += [f"Last Execution Time : {last}", "-" * 47, "     Job Name            Last Execution Status", "-" * 47]
        rows += [f"{job:>20}            {'Success (0)' if job in ran else '-NA-'}" for job in jobs] + ["=" * 78]
    return "\n".join(rows) + "\n"


@command("show inventory")
def inventory(cli: Cli) -> str:
    spec = cli.device.spec
    serial = f"FDO{zlib.crc32(spec.hostname.encode()) % 10**8:08d}"
    return (
        f'NAME: "Chassis",  DESCR: "Nexus9000 {spec.model.removeprefix("N9K-")} chassis"\n'
        f"PID: {spec.model:<20}, VID: V02 , SN: {serial}\n"
    )


@command("show feature")
def feature(cli: Cli) -> str:
    lines = ["Feature Name          Instance  State", "--------------------  --------  --------"]
    names = ("interface-vlan", "lldp", "scheduler")
    lines += [
        f"{name:<22}1         {'enabled' if name in cli.device.config.features else 'disabled'}" for name in names
    ]
    return "\n".join(lines) + "\n"


@command("show logging logfile")
def logging(cli: Cli) -> str:
    return "".join(f"{line}\n" for line in cli.device.log or ())


@command("checkpoint <word>")
def checkpoint(cli: Cli, name: str) -> str:
    cli.device.checkpoints[name] = cli.device.config.body()
    return "Done\n"


@command("no checkpoint <word>")
def no_checkpoint(cli: Cli, name: str) -> None:
    cli.device.checkpoints.pop(name, None)


@command("rollback running-config checkpoint <word>", "rollback running-config checkpoint <word> atomic")
def rollback(cli: Cli, name: str) -> str:
    text = cli.device.checkpoints.get(name)
    if text is None:
        raise CliError("ERROR: Checkpoint does not exist")
    cli.device.replace_config(text)
    cli.device.traced("(rollback)", cli.user)
    return "Collecting Running-Config\nGenerating Rollback patch\nRollback completed successfully.\n"


@command("copy running-config startup-config")
def save(cli: Cli) -> str:
    device = cli.device
    if device.faults.strike("drop_before_write") is not None:
        cli.saving = True
        return ""
    refusal = device.faults.error_for("copy running-config startup-config")
    if refusal is not None:
        return f"{refusal}\n"
    device.save(cli.user)
    return f"[{'#' * 40}] 100%\nCopy complete, now saving to disk (please wait)...\nCopy complete.\n"


@command("reload")
async def reload(cli: Cli) -> str:
    answer = await cli.ask("This command will reboot the system. (y/n)?  [n] ", True)
    if answer is not None and answer.strip().lower() in ("y", "yes"):
        cli.device.reload()
    return ""
