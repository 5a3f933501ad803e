# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""show running-config and what belongs to keeping a configuration."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.lab.iosxe.grammar import SyntaxFault
from tests.lab.iosxe.show import register, text

if TYPE_CHECKING:
    from tests.lab.iosxe.cli import Cli

NVRAM_BYTES = 2097152


@register("running-config", privileged=True)
def running_config(cli: Cli) -> str:
    return cli.device.running_text()


@register("running-config interface <if>", privileged=True)
def running_config_interface(cli: Cli, name: str) -> str:
    interface = cli.device.config.interfaces.get(name)
    if interface is None:
        raise SyntaxFault("invalid", len("show running-config interface "))
    body = text([*interface.config_lines(), "end"])
    return f"Building configuration...\n\nCurrent configuration : {len(body)} bytes\n!\n{body}\n"


@register("startup-config", privileged=True)
def startup_config(cli: Cli) -> str:
    body = cli.device.startup
    head = ""
    if cli.device.last_save is not None:
        head = (
            f"! NVRAM config last updated at {cli.device.stamp(cli.device.last_save[0])} by {cli.device.last_save[1]}\n"
        )
    return f"Using {len(body)} out of {NVRAM_BYTES} bytes\n!\n{head}{body}"


@register("archive")
def archive(cli: Cli) -> str:
    device = cli.device
    path = device.config.archive_path
    if path is None:
        return " Archive feature not enabled\n"
    maximum = int((device.config.archive or {}).get("maximum", "maximum 10").split()[1])
    files = device.archives[-maximum:]
    lines = [
        f"The maximum archive configurations allowed is {maximum}.",
        f"There are currently {len(files)} archive configurations saved.",
        f"The next archive file will be named {path}-<timestamp>-{len(device.archives)}",
        " Archive #  Name",
    ]
    for number in range(1, maximum + 1):
        name = files[number - 1] if number <= len(files) else ""
        recent = " <- Most Recent" if number == len(files) else ""
        lines.append(f"   {number:<9d}{name}{recent}")
    return text(lines)


@register("archive config rollback timer")
def rollback_timer(cli: Cli) -> str:
    timer = cli.device.revert
    if timer is None:
        return "% No Rollback Confirmed Change pending\n"
    begun = timer.deadline - timer.minutes * cli.device.spec.minute_seconds
    return text(
        [
            f"Time configured(or reconfigured): {cli.device.stamp(begun)}",
            "Timer type: absolute timer",
            f"Timer value: {timer.minutes:g} min",
            f"User: {timer.user}",
        ]
    )


@register("event manager policy registered")
def policies(cli: Cli) -> str:
    device = cli.device
    if not device.spec.event_manager:
        raise SyntaxFault("invalid", len("show "))
    lines = ["No.  Class     Type    Event Type          Trap  Time Registered           Name"]
    for number, (name, begun) in enumerate(device.applet_times.items(), 1):
        moment = time.strftime("%a %b %e %H:%M:%S %Y", time.gmtime(begun))
        lines.append(f"{number:<4} applet    user    timer countdown     Off   {moment:<25} {name}")
        lines.append(f" time {device.applets[name][0]}.000")
    return text(lines)


@register("configuration lock")
def configuration_lock(cli: Cli) -> str:
    owner = cli.device.lock_owner
    held = owner is not None and not owner.closed
    values = (
        ("Owner PID", f"3{owner.tty}" if held else "-1"),
        ("User", owner.user if held else "unknown"),
        ("TTY", str(owner.tty) if held else "-1"),
        ("Type", "EXCLUSIVE" if held else "NO LOCK"),
        ("State", "LOCKED" if held else "FREE"),
        ("Class", "EXPOSED" if held else "unknown"),
        ("Count", "1" if held else "0"),
        ("Pending Requests", "0"),
        ("User debug info", "configure terminal" if held else ""),
    )
    lines = ["Parser Configure Lock", "---------------------"]
    return text(lines + [f"{name:<20}: {value}".rstrip() for name, value in values])


@register("reload")
def reload(cli: Cli) -> str:
    timer = cli.device.reload_timer
    if timer is None:
        return "No reload is scheduled.\n"
    left = max(0, int((timer.deadline - cli.device.clock()) / cli.device.spec.minute_seconds))
    return f"Reload scheduled for {cli.device.stamp(timer.deadline)} (in {left} minutes) by {timer.user} on vty0\n"
