# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""show cts: environment data, cells, counters, bindings."""

from __future__ import annotations

import ipaddress
from collections import Counter
from typing import TYPE_CHECKING

from tests.lab.iosxe.authorization import DEFAULT_CELL, UNKNOWN
from tests.lab.iosxe.cells import Cell, cells
from tests.lab.iosxe.grammar import SyntaxFault
from tests.lab.iosxe.show import register, text

if TYPE_CHECKING:
    from tests.lab.iosxe.cli import Cli
    from tests.lab.iosxe.device import Device


def _group(device: Device, tag: int) -> str:
    if tag == UNKNOWN:
        return "Unknown"
    name = device.group_name(tag)
    return f"{tag}:{name}" if name else str(tag)


def _shown(device: Device, cell: Cell) -> list[str]:
    marks = (" (configured)" if cell.configured else "") + (" (monitored)" if cell.monitored else "")
    if (cell.source, cell.destination) == DEFAULT_CELL:
        head = f"IPv{cell.family} Role-based permissions default{marks}:"
    else:
        source, destination = _group(device, cell.source), _group(device, cell.destination)
        head = f"IPv{cell.family} Role-based permissions from group {source} to group {destination}{marks}:"
    return [head, *(f"        {name}" for name in cell.names)]


def _permissions(device: Device, family: int | None, pair: tuple[int, int] | None = None) -> str:
    lines: list[str] = []
    for cell in cells(device):
        if family in (None, cell.family) and pair in (None, (cell.source, cell.destination)):
            lines += _shown(device, cell)
    dynamic = "FALSE"
    configured = "TRUE" if device.config.cts.monitor_all else "FALSE"
    lines.append(f"RBACL Monitor All for Dynamic Policies : {dynamic}")
    lines.append(f"RBACL Monitor All for Configured Policies : {configured}")
    return text(lines)


def _tag(word: str) -> int:
    if word.lower() == "unknown":
        return UNKNOWN
    if not word.isdigit():
        raise SyntaxFault("invalid", len("show cts role-based permissions from "))
    return int(word) or UNKNOWN


@register("cts role-based permissions", "cts role-based permissions <choice:ipv4|ipv6>")
def permissions(cli: Cli, family: str | None = None) -> str:
    return _permissions(cli.device, int(family[-1]) if family else None)


@register("cts role-based permissions default", "cts role-based permissions default <choice:ipv4|ipv6>")
def permissions_default(cli: Cli, family: str | None = None) -> str:
    return _permissions(cli.device, int(family[-1]) if family else None, DEFAULT_CELL)


@register(
    "cts role-based permissions from <word> to <word>",
    "cts role-based permissions from <word> to <word> <choice:ipv4|ipv6>",
)
def permissions_pair(cli: Cli, source: str, destination: str, family: str | None = None) -> str:
    return _permissions(cli.device, int(family[-1]) if family else None, (_tag(source), _tag(destination)))


@register("cts role-based counters", "cts role-based counters ipv4")
def counters(cli: Cli) -> str:
    device = cli.device
    lines = [
        "Role-based IPv4 counters",
        "From    To      SW-Denied  HW-Denied  SW-Permitt HW-Permitt SW-Monitor HW-Monitor",
    ]
    rows = {(cell.source, cell.destination) for cell in cells(device) if cell.family == 4}
    rows |= {(source, destination) for source, destination, family in device.cell_hits if family == 4}
    for source, destination in sorted(rows | {DEFAULT_CELL}):
        denied, permitted, monitored = device.cell_hits.get((source, destination, 4), [0, 0, 0])
        words = ["*", "*"] if (source, destination) == DEFAULT_CELL else [str(max(0, source)), str(max(0, destination))]
        numbers = (0, denied, 0, permitted, 0, monitored)
        lines.append(f"{words[0]:<8}{words[1]:<8}" + "".join(f"{number:<11}" for number in numbers))
    return text(lines)


@register("cts role-based sgt-map all", "cts role-based sgt-map all details")
def sgt_map(cli: Cli) -> str:
    bindings = sorted(cli.device.sgt_bindings(), key=lambda each: ipaddress.ip_network(each[0]).network_address.packed)
    lines: list[str] = []
    for family, width, rule in ((4, 24, 44), (6, 44, 64)):
        mine = [each for each in bindings if ipaddress.ip_network(each[0]).version == family]
        if family == 6 and not mine:
            continue
        lines += [
            f"Active IPv{family}-SGT Bindings Information",
            "",
            f"{'IP Address':<{width}}SGT     Source",
            "=" * rule,
        ]
        lines += [f"{address:<{width}}{tag:<8}{source}" for address, tag, source in mine]
        lines += ["", "IP-SGT Active Bindings Summary", "=" * 44]
        for source, count in sorted(Counter(source for _a, _t, source in mine).items()):
            lines.append(f"Total number of {source:<8} bindings = {count}")
        lines += [f"Total number of active   bindings = {len(mine)}", ""]
    return text(lines)


@register("cts environment-data")
def environment_data(cli: Cli) -> str:
    device = cli.device
    names = device.provider.sgts()
    own = device.config.cts.own_tag
    lines = [
        "CTS Environment Data",
        "====================",
        "Current state = COMPLETE" if names else "Current state = WAITING_RESPONSE",
        "Last status = Successful" if names else "Last status = Failed",
        "Service Info Table:",
        "Local Device SGT:",
        f"  SGT tag = {own or 0}-00:{names.get(own, 'Unknown') if own else 'Unknown'}",
        "Server List Info:",
        "Security Group Name Table:",
    ]
    if names:
        lines.append("    0-00:Unknown")
    lines += [f"    {tag}-00:{name}" for tag, name in sorted(names.items()) if tag]
    lines += [
        "Environment Data Lifetime = 86400 secs",
        f"Last update time = {device.stamp(device.boot_time)}",
        "Env-data expires in   0:23:59:00 (dd:hr:mm:sec)",
        "Env-data refreshes in 0:23:59:00 (dd:hr:mm:sec)",
        "Cache data applied           = NONE",
        "State Machine is running",
    ]
    return text(lines)


@register("cts rbacl", "cts rbacl <name>")
def rbacl(cli: Cli, wanted: str | None = None) -> str:
    found: dict[str, tuple[str, list[str], int]] = {}
    for cell in cells(cli.device):
        for name, aces in cell.lists:
            lines, count = found.get(name, ("", [], 0))[1:]
            found[name] = ("IPV4" if cell.family == 4 else "IPV6", lines or [ace.text for ace in aces], count + 1)
    out = ["CTS RBACL Policy", "================", "RBACL IP Version Supported: IPv4 & IPv6"]
    for name, (version, lines, count) in found.items():
        if wanted in (None, name):
            out += [
                f"  name   = {name}",
                f"  IP protocol version = {version}",
                f"  refcnt = {count}",
                "  flag   = 0x41000000",
                "  stale  = FALSE",
                "  RBACL ACEs:",
                *(f"    {line}" for line in lines),
            ]
    return text(out)
