# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show commands."""

from __future__ import annotations

import time
import zlib
from typing import TYPE_CHECKING

from tests.lab.asa.config import Refused
from tests.lab.asa.entries import Entry
from tests.lab.asa.modes import both, privileged
from tests.lab.iosxe.grammar import CliError

if TYPE_CHECKING:
    from tests.lab.asa.cli import AsaCli
    from tests.lab.asa.config import AsaConfig


@both("show version")
def version(cli: AsaCli) -> str:
    spec = cli.device.spec
    return (
        f"\nCisco Adaptive Security Appliance Software Version {spec.version} \nSSP Operating System Version 2.10(1.179)\n"
        f"Device Manager Version 7.16(1)\n\nCompiled on Wed 20-Jan-21 13:20 GMT by builders\n"
        f'System image file is "disk0:/asa9-16-4-lfbff-k8.SPA"\nConfig file at boot was "startup-config"\n\n'
        f"{cli.device.config.hostname} up {cli.device.uptime() // 86400} days\n\n"
        f"Hardware:   {spec.model}, 8192 MB RAM, CPU Atom C2000 series 2416 MHz, 1 CPU (8 cores)\n"
    )


@both("show curpriv")
def curpriv(cli: AsaCli) -> str:
    modes = "P_PRIV" if cli.privilege == 15 else "P_UNPR"
    return f"Username : {cli.user}\nCurrent privilege level : {cli.privilege}\nCurrent Mode/s : {modes}\n"


@privileged("show running-config")
def running(cli: AsaCli) -> str:
    return cli.device.running_text()


@privileged("show startup-config")
def startup(cli: AsaCli) -> str:
    return f"{cli.device.head()}!\n{cli.device.startup}: end\n"


@privileged("show running-config access-list", "show running-config access-list <word>")
def running_lists(cli: AsaCli, name: str = "") -> str:
    config = cli.device.config
    if name and name not in config.lists:
        raise Refused(f"ERROR: access-list <{name}> does not exist")
    names = [name] if name else list(config.lists)
    return "".join(f"{line}\n" for each in names for line in config.list_lines(each))


@privileged("show running-config access-group")
def running_groups(cli: AsaCli) -> str:
    return "".join(f"{line}\n" for line in cli.device.config.attachment_lines())


@privileged("show running-config object")
def running_objects(cli: AsaCli) -> str:
    return "".join(f"{line}\n" for line in cli.device.config.object_lines())


@privileged("show running-config object-group")
def running_object_groups(cli: AsaCli) -> str:
    return "".join(f"{line}\n" for line in cli.device.config.group_lines())


def _shown(config: AsaConfig, name: str) -> list[str]:
    head: list[str] = []
    elements = 0
    for number, line in enumerate(config.lists[name], 1):
        if not isinstance(line, Entry):
            if line.startswith("remark"):
                head.append(f"access-list {name} line {number} {line}")
            else:
                elements += 1
                head.append(f"access-list {name} line {number} {line} (hitcnt=0) 0x{zlib.crc32(line.encode()):08x}")
            continue
        try:
            plain = list(config.objects.expanded(line))
        except KeyError:  # an FQDN, which is not resolved here
            plain = []
        off = " (inactive)" if line.inactive else ""
        text = f"access-list {name} line {number} extended {line.words(shown=True)} (hitcnt={line.hits}){off} {line.hash()} "
        head.append(text)
        elements += config.size(line)
        if len(plain) > 1 or (plain and plain[0].words() != line.words()):
            head += [
                f"  access-list {name} line {number} extended {each.words(shown=True)} (hitcnt={line.hits}){off} {each.hash()} "
                for each in plain
            ]
    return [f"access-list {name}; {elements} elements; name hash: 0x{zlib.crc32(name.encode()):08x}", *head]


@privileged("show access-list", "show access-list <word>")
def access_list(cli: AsaCli, name: str = "") -> str:
    config = cli.device.config
    if name and name not in config.lists:
        raise Refused(f"ERROR: access-list <{name}> does not exist")
    lines = [] if name else [
        "access-list cached ACL log flows: total 0, denied 0 (deny-flow-max 4096)", "            alert-interval 300",
    ]  # fmt: skip
    for each in [name] if name else list(config.lists):
        lines += _shown(config, each)
    return "\n".join(lines) + "\n"


@privileged("show configuration session", "show configuration session <word>")
def sessions(cli: AsaCli, name: str = "") -> str:
    if not cli.device.spec.sessions:
        raise CliError("                 ^\nERROR: % Invalid input detected at '^' marker.")
    found = cli.device.config_sessions
    if name and name not in found:
        raise Refused(f"ERROR: Session {name} does not exist")
    lines = []
    for each in [found[name]] if name else found.values():
        lines += [
            f"config-session {each.name} ({'committed' if each.before is not None else 'un-committed'})",
            *each.lines,
        ]
    return "".join(f"{line}\n" for line in lines)


@both("show mode")
def mode(cli: AsaCli) -> str:
    return f"Security context mode: {cli.device.spec.mode} \n"


@privileged("show failover")
def failover(cli: AsaCli) -> str:
    state = cli.device.spec.failover
    if state == "off":
        return (
            "Failover Off \nFailover unit Secondary\nFailover LAN Interface: not Configured\n"
            "Reconnect timeout 0:00:00\nUnit Poll frequency 1 seconds, holdtime 15 seconds\n"
        )
    this, other = {
        "active": ("Active", "Standby Ready"), "standby": ("Standby Ready", "Active"), "failed": ("Active", "Failed"),
    }[state]  # fmt: skip
    return (
        "Failover On \nFailover unit Primary\nFailover LAN Interface: FOLINK GigabitEthernet0/7 (up)\n"
        "Unit Poll frequency 1 seconds, holdtime 15 seconds\nVersion: Ours 9.16(4), Mate 9.16(4)\n"
        "Last Failover at: 08:01:02 UTC Nov 1 2026\n"
        f"\tThis host: Primary - {this} \n\t\tActive time: 4711 (sec)\n"
        f"\tOther host: Secondary - {other} \n\t\tActive time: 0 (sec)\n"
    )


@privileged("show memory")
def memory(cli: AsaCli) -> str:
    free, total = cli.device.spec.free_memory, 8_589_934_592
    used = total - free
    return (
        f"Free memory:        {free} bytes ({free * 100 // total}%)\n"
        f"Used memory:        {used} bytes ({used * 100 // total}%)\n"
        f"-------------     ------------------\nTotal memory:       {total} bytes (100%)\n"
    )


@privileged("show nameif")
def nameif(cli: AsaCli) -> str:
    lines = ["Interface                Name                     Security"]
    for name, each in cli.device.config.nameifs().items():
        lines.append(f"{each.hardware:<24} {name:<24} {each.value('security-level'):>3}")
    return "\n".join(lines) + "\n"


@privileged("show interface ip brief")
def interfaces(cli: AsaCli) -> str:
    lines = ["Interface                  IP-Address      OK? Method Status                Protocol"]
    for each in cli.device.config.interfaces.values():
        address = (each.value("ip address") or "unassigned").split()[0]
        lines.append(f"{each.hardware:<26} {address:<15} YES CONFIG up                    up  ")
    return "\n".join(lines) + "\n"


@privileged("show arp")
def arp(cli: AsaCli) -> str:
    lines = []
    seen = set()
    for conn in cli.device.connections:
        for interface, address in ((conn.client_interface, conn.client), (conn.server_interface, conn.server)):
            if (interface, address) not in seen:
                seen.add((interface, address))
                mac = f"{zlib.crc32(address.encode()):08x}"
                lines.append(f"\t{interface} {address} 02{mac[:2]}.{mac[2:6]}.{mac[4:8]} 12")
    return "".join(f"{line}\n" for line in lines)


@privileged("show conn")
def conn_table(cli: AsaCli) -> str:
    nameifs = cli.device.config.nameifs()
    table = cli.device.connections
    lines = [f"{len(table)} in use, {len(table) + 3} most used", ""]
    for conn in table:
        client = (conn.client_interface, conn.client, conn.client_port)
        server = (conn.server_interface, conn.server, conn.server_port)
        levels = [int(nameifs[end[0]].value("security-level")) if end[0] in nameifs else 0 for end in (client, server)]
        outside_opened = levels[0] < levels[1]
        first, second = (client, server) if outside_opened else (server, client)
        flags = ("UIOB" if outside_opened else "UIO") if conn.protocol == "tcp" else "-"
        lines.append(
            f"{conn.protocol.upper()} {first[0]}  {first[1]}:{first[2]} {second[0]}  {second[1]}:{second[2]}, idle 0:00:07, "
            f"bytes 4711, flags {flags}"
        )
    return "\n".join(lines) + "\n"


@privileged("show conn count")
def conn_count(cli: AsaCli) -> str:
    return f"{len(cli.device.connections)} in use, {len(cli.device.connections) + 3} most used\n"


@privileged("show ssh sessions")
def ssh_sessions(cli: AsaCli) -> str:
    lines = ["SID Client IP       Version Mode Encryption Hmac     State            Username"]
    for number, session in enumerate(cli.device.sessions):
        if session.cli is not None:
            lines.append(
                f"{number}   {session.cli.peer:<15} 2.0     IN   aes256-ctr sha2-256 SessionStarted   {session.cli.user}"
            )
    return "\n".join(lines) + "\n"


@privileged("show event manager")
def event_manager(cli: AsaCli) -> str:
    lines = []
    for name, applet in cli.device.config.applets.items():
        lines.append(
            f"event manager applet {name}, hits {cli.device.applet_runs.count(name)}, last {time.strftime('%Y/%m/%d %H:%M:%S')}"
        )
        for line in applet.lines:
            if applet.seconds is not None and line.startswith("event timer countdown"):
                left = max(0.0, cli.device.countdown_ends.get(name, 0.0) - cli.device.clock()) / cli.device.spec.second
                line = f"event countdown {applet.seconds} secs, left {round(left)} secs, hits {cli.device.applet_runs.count(name)}"
            lines.append(f"  {line}")
    return "".join(f"{line}\n" for line in lines)
