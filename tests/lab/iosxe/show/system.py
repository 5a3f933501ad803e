# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""show version, inventory, clock, users, privilege, logging."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.lab.iosxe.show import register, text

if TYPE_CHECKING:
    from tests.lab.iosxe.cli import Cli
    from tests.lab.iosxe.device import Device


SOFTWARE = "Cisco IOS Software [Cupertino], Catalyst L3 Switch Software (CAT9K_IOSXE)"


def _uptime(device: Device) -> str:
    minutes = int((device.clock() - device.boot_time) // 60)
    parts = []
    for name, size in (("week", 10080), ("day", 1440), ("hour", 60), ("minute", 1)):
        count, minutes = divmod(minutes, size)
        if count or name == "minute":
            parts.append(f"{count} {name}{'s' if count != 1 else ''}")
    return ", ".join(parts)


def _short_version(version: str) -> str:
    """17.09.04a -> 17.9.4a"""
    return ".".join(part.lstrip("0") or "0" for part in version.split("."))


@register("version")
def version(cli: Cli) -> str:
    device = cli.device
    full, short = device.spec.version, _short_version(device.spec.version)
    uptime = _uptime(device)
    boot = time.strftime("%H:%M:%S UTC %a %b %-d %Y", time.gmtime(device.boot_time))
    return text(
        [
            f"Cisco IOS XE Software, Version {full}",
            f"{SOFTWARE}, Version {short}, RELEASE SOFTWARE (fc3)",
            "Technical Support: http://www.cisco.com/techsupport",
            "Emulated for tests: this is not Cisco software",
            "",
            "ROM: IOS-XE ROMMON",
            "BOOTLDR: System Bootstrap, Version 17.12.1r, RELEASE SOFTWARE (P)",
            f"{device.config.hostname} uptime is {uptime}",
            f"Uptime for this control processor is {uptime}",
            "System returned to ROM by Reload Command",
            f"System restarted at {boot}",
            'System image file is "flash:packages.conf"',
            f"Last reload reason: {device.reload_reason}",
            "",
            "Technology Package License Information:",
            "",
            f"cisco {device.spec.model} (X86) processor with 1331521K/6147K bytes of memory.",
            f"Processor board ID {device.serial}",
            "1 Virtual Ethernet interface",
            f"{sum(1 for each in device.spec.interfaces if each.name.startswith('Gig'))} Gigabit Ethernet interfaces",
            "2048K bytes of non-volatile configuration memory.",
            "8388608K bytes of physical memory.",
            "11264000K bytes of Flash at flash:.",
            "",
            f"Base Ethernet MAC Address          : {device.base_mac}",
            f"Model Number                       : {device.spec.model}",
            f"System Serial Number               : {device.serial}",
            "",
            "",
            "Switch Ports Model              SW Version        SW Image              Mode   ",
            "------ ----- -----              ----------        ----------            ----   ",
            f"*    1 {len(device.spec.interfaces):<5} {device.spec.model:<18} {full:<17} CAT9K_IOSXE           INSTALL",
            "",
            "",
            "Configuration register is 0x102",
            "",
        ]
    )


@register("inventory")
def inventory(cli: Cli) -> str:
    device = cli.device
    family = device.spec.model.split("-")[0].lower()
    return text(
        [
            f'NAME: "{family}xx Stack", DESCR: "{family}xx Stack"',
            f"PID: {device.spec.model:<18}, VID: V02  , SN: {device.serial}",
            "",
            f'NAME: "Switch 1", DESCR: "{device.spec.model}"',
            f"PID: {device.spec.model:<18}, VID: V02  , SN: {device.serial}",
            "",
        ]
    )


@register("clock")
def clock(cli: Cli) -> str:
    now = cli.device.clock()
    words = time.gmtime(now)
    return (
        f"{time.strftime('%H:%M:%S', words)}.{int(now * 1000) % 1000:03d} UTC {time.strftime('%a %b %-d %Y', words)}\n"
    )


@register("users")
def users(cli: Cli) -> str:
    lines = ["    Line       User       Host(s)              Idle       Location"]
    for each in sorted(
        (session.cli for session in cli.device.sessions if session.cli is not None), key=lambda one: one.tty
    ):
        mark = "*" if each is cli else " "
        lines.append(f"{mark}{each.tty:>3} vty {each.tty - 2:<5}{each.user:<11}{'idle':<21}00:00:00 {each.peer}")
    return text([*lines, "", "  Interface    User               Mode         Idle     Peer Address", ""])


@register("privilege")
def privilege(cli: Cli) -> str:
    return f"Current privilege level is {cli.privilege}\n"


@register("logging")
def logging(cli: Cli) -> str:
    log = list(cli.device.log or ())
    return text(
        [
            "Syslog logging: enabled (0 messages dropped, 0 messages rate-limited, 0 flushes, 0 overruns, "
            "xml disabled, filtering disabled)",
            "",
            "No Active Message Discriminator.",
            "",
            "",
            "    Console logging: disabled",
            "    Monitor logging: level debugging, 0 messages logged, xml disabled,",
            "                     filtering disabled",
            f"    Buffer logging:  level debugging, {len(log)} messages logged, xml disabled,",
            "                     filtering disabled",
            "    Exception Logging: size (4096 bytes)",
            "    Count and timestamp logging messages: disabled",
            "    File logging: disabled",
            "    Persistent logging: disabled",
            "",
            "No active filter modules.",
            "",
            "    Trap logging: level informational, 0 message lines logged",
            "",
            "Log Buffer (102400 bytes):",
            "",
            *log,
        ]
    )
