# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports, VLANs and the MAC table."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from tests.lab.iosxe.authorization import dotted
from tests.lab.iosxe.config_model import Interface
from tests.lab.iosxe.grammar import SyntaxFault
from tests.lab.iosxe.interfaces import is_logical, short_name, sort_key
from tests.lab.iosxe.show import register, text

if TYPE_CHECKING:
    from tests.lab.iosxe.cli import Cli
    from tests.lab.iosxe.device import Device


def _vlan(device: Device, interface: str, fallback: int) -> int:
    """Return the VLAN in which a host on a port is now: the session's, else the port's."""
    for session in device.endpoint_sessions():
        if session.interface == interface and session.vlan:
            return session.vlan
    port = device.config.interfaces.get(interface)
    return port.vlan if port is not None and port.value("switchport mode") == "access" else fallback


def _connected(device: Device, port: Interface) -> bool:
    spec = {each.name: each for each in device.spec.interfaces}.get(port.name)
    return port.up and spec is not None and spec.up


def _mac_table(
    device: Device, interface: str | None = None, vlan: int | None = None, mac: str | None = None, dynamic: bool = False
) -> str:
    lines = [
        "          Mac Address Table",
        "-------------------------------------------",
        "",
        "Vlan    Mac Address       Type        Ports",
        "----    -----------       --------    -----",
    ]
    count = 0
    if not dynamic and interface is None and vlan is None and mac is None:
        for address in ("0100.0ccc.cccc", "0100.0ccc.cccd", "0180.c200.0000", "0180.c200.0003"):
            lines.append(f" All    {address}    STATIC      CPU")
            count += 1
    known = {session.mac for session in device.endpoint_sessions()}
    ports = device.config.interfaces
    for host in sorted(device.spec.hosts, key=lambda each: (each.vlan, each.mac)):
        port = ports.get(host.interface)
        if port is None or not _connected(device, port):
            continue
        address, number = dotted(host.mac), _vlan(device, host.interface, host.vlan)
        if interface in (None, host.interface) and vlan in (None, number) and mac in (None, address):
            kind = "STATIC" if address in known else "DYNAMIC"
            if dynamic and kind == "STATIC":
                continue
            lines.append(f"{number:>4}    {address}    {kind:<8}    {short_name(host.interface)}")
            count += 1
    lines.append(f"Total Mac Addresses for this criterion: {count}")
    return text(lines)


@register("mac address-table")
def mac_table(cli: Cli) -> str:
    return _mac_table(cli.device)


@register("mac address-table dynamic")
def mac_table_dynamic(cli: Cli) -> str:
    return _mac_table(cli.device, dynamic=True)


@register("mac address-table interface <if>", "mac address-table dynamic interface <if>")
def mac_table_interface(cli: Cli, name: str) -> str:
    return _mac_table(cli.device, interface=name)


@register("mac address-table vlan <int:1-4094>", "mac address-table dynamic vlan <int:1-4094>")
def mac_table_vlan(cli: Cli, vlan: int) -> str:
    return _mac_table(cli.device, vlan=vlan)


@register("mac address-table address <word>", "mac address-table dynamic address <word>")
def mac_table_address(cli: Cli, mac: str) -> str:
    return _mac_table(cli.device, mac=dotted(mac))


@register("interfaces status", "interfaces <if> status")
def interfaces_status(cli: Cli, wanted: str | None = None) -> str:
    device = cli.device
    lines = ["", "Port         Name               Status       Vlan       Duplex  Speed Type"]
    for name in sorted(device.config.interfaces, key=sort_key):
        if is_logical(name) or wanted not in (None, name):
            continue
        port = device.config.interfaces[name]
        up = _connected(device, port)
        status = "connected" if up else "notconnect" if port.up else "disabled"
        vlan = "trunk" if port.value("switchport mode") == "trunk" else str(_vlan(device, name, port.vlan))
        duplex, speed = ("a-full", "a-1000") if up else ("auto", "auto")
        description = (port.value("description") or "")[:18]
        lines.append(
            f"{short_name(name):<12} {description:<18} {status:<12} {vlan:<10} {duplex:>6} {speed:>6} 10/100/1000BaseTX"
        )
    return text(lines)


@register("interfaces description")
def interfaces_description(cli: Cli) -> str:
    device = cli.device
    lines = ["Interface                      Status         Protocol Description"]
    for name in sorted(device.config.interfaces, key=sort_key):
        port = device.config.interfaces[name]
        up = port.up if is_logical(name) else _connected(device, port)
        status = "up" if up else "down" if port.up else "admin down"
        lines.append(
            f"{short_name(name):<30} {status:<14} {'up' if up else 'down':<8} {port.value('description') or ''}"
        )
    return text(lines)


@register("vlan brief", "vlan")
def vlan_brief(cli: Cli) -> str:
    device = cli.device
    names = device.config.vlan_names()
    ports: dict[int, list[str]] = {}
    for name in sorted(device.config.interfaces, key=sort_key):
        port = device.config.interfaces[name]
        if not is_logical(name) and port.value("switchport mode") != "trunk":
            number = _vlan(device, name, port.vlan)
            names.setdefault(number, f"VLAN{number:04d}")
            ports.setdefault(number, []).append(short_name(name))
    lines = [
        "",
        "VLAN Name                             Status    Ports",
        "---- -------------------------------- --------- -------------------------------",
    ]
    for number in sorted(names):
        mine = ports.get(number, [])
        rows = [", ".join(mine[i : i + 4]) for i in range(0, len(mine), 4)] or [""]
        lines.append(f"{number:<4} {names[number][:32]:<32} active    {rows[0]}".rstrip())
        lines += [f"{'':48}{row}" for row in rows[1:]]
    for number, name in (
        (1002, "fddi-default"),
        (1003, "token-ring-default"),
        (1004, "fddinet-default"),
        (1005, "trnet-default"),
    ):
        lines.append(f"{number:<4} {name:<32} act/unsup")
    return text(lines)


def _ip_interface(device: Device, name: str) -> list[str]:
    interface = device.config.interfaces[name]
    up = interface.up if is_logical(name) else _connected(device, interface)
    state = "up" if up else ("down" if interface.up else "administratively down")
    lines = [f"{name} is {state}, line protocol is {'up' if up else 'down'}"]

    def lists() -> list[str]:
        found = []
        for word, direction in (("Outgoing", "out"), ("Inbound", "in")):
            used = interface.access_group(direction)
            if word == "Outgoing":
                found.append("  Outgoing Common access list is not set ")
            else:
                found.append("  Inbound Common access list is not set ")
            found.append(f"  {word} access list is {used if used else 'not set'}{'' if used else ' '}".rstrip())
        return found

    address = interface.value("ip address")
    if address is None:
        if is_logical(name):
            return [*lines, "  Internet protocol processing disabled"]
        return [*lines, *(line.rstrip() for line in lists())]
    ip, mask = address.split()
    length = ipaddress.IPv4Network(f"0.0.0.0/{mask}").prefixlen
    lines += [
        f"  Internet address is {ip}/{length}",
        "  Broadcast address is 255.255.255.255",
        "  Address determined by setup command",
        "  MTU is 1500 bytes",
        "  Helper address is not set",
        "  Directed broadcast forwarding is disabled",
    ]
    lines += [line.rstrip() for line in lists()]
    return [
        *lines,
        "  Proxy ARP is enabled",
        "  Local Proxy ARP is disabled",
        "  Security level is default",
        "  Split horizon is enabled",
        "  ICMP redirects are always sent",
        "  ICMP unreachables are always sent",
        "  ICMP mask replies are never sent",
        "  IP fast switching is enabled",
        "  IP CEF switching is enabled",
    ]


@register("ip interface", "ip interface <if>")
def ip_interface(cli: Cli, wanted: str | None = None) -> str:
    interfaces = cli.device.config.interfaces
    if wanted is not None and wanted not in interfaces:
        raise SyntaxFault("invalid", len("show ip interface "))
    names = [wanted] if wanted else sorted(interfaces, key=sort_key)
    return text([line for name in names for line in _ip_interface(cli.device, name)])
