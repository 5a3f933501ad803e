# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applets of the embedded event manager: countdown timers that type commands. Other events are kept and never strike.

Assumed, not seen on a device: event timer countdown runs once, "no event manager applet" ends it, also from within, actions run in the
order of their labels as text, "action LABEL cli command TEXT" types into a terminal of its own, "authorization bypass" needs no user.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.lab.iosxe.device import Device

HEADER = "event manager applet "
_TIMER = re.compile(r"event timer countdown (?:name \S+ )?time (\d+)")
_ACTION = re.compile(r"action (\S+) (cli command|syslog msg) \"(.*)\"")


def program(device: Device) -> None:
    """Start the timers of applets that are new, and end those of applets that are gone."""
    found = {}
    for header, lines in device.config.blocks.items():
        if header.startswith(HEADER):
            timer = next((_TIMER.match(line.strip()) for line in lines if _TIMER.match(line.strip())), None)
            if timer is not None:
                found[header.split()[3]] = int(timer[1])
    for name in [name for name in device.applets if name not in found]:
        handle = device.applets.pop(name)[1]
        device.applet_times.pop(name, None)
        if handle is not None:
            handle.cancel()
    for name, seconds in found.items():
        known = device.applets.get(name)
        if known is None or known[0] != seconds:
            if known is not None and known[1] is not None:
                known[1].cancel()
            wait = seconds * device.spec.minute_seconds / 60.0
            device.applet_times[name] = device.clock()
            device.applets[name] = (seconds, device.later(wait, lambda name=name: strike(device, name)))  # type: ignore[misc]


def strike(device: Device, name: str) -> None:
    """Run an applet's actions."""
    lines = next((block for header, block in device.config.blocks.items() if header.split()[:4][-1] == name), [])
    actions = sorted(match.groups() for match in map(_ACTION.match, (line.strip() for line in lines)) if match)
    device.syslog(f"%HA_EM-6-LOG: {name}: the timer struck")
    asyncio.get_running_loop().create_task(_run(device, name, actions))


async def _run(device: Device, name: str, actions: list[tuple[str, ...]]) -> None:
    from tests.lab.iosxe.cli import Cli

    cli = Cli(device, f"EEM:{name}", privilege=15, tty=95)
    for _label, kind, text in actions:
        if kind == "syslog msg":
            device.syslog(f"%HA_EM-6-LOG: {text}")
        else:
            await cli.run(text)
    if cli.configuring:
        cli.leave(all_modes=True)
    if device.lock_owner is cli:
        device.lock_owner = None
