# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is where: ARP, device tracking, DHCP snooping."""

from __future__ import annotations

import ipaddress
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.lab.iosxe.authorization import dotted
from tests.lab.iosxe.interfaces import short_name, sort_key
from tests.lab.iosxe.show import register, text

if TYPE_CHECKING:
    from tests.lab.iosxe.cli import Cli
    from tests.lab.iosxe.device import Device

CODES = (
    "Codes: L - Local, S - Static, ND - Neighbor Discovery, ARP - Address Resolution Protocol, DH4 - IPv4 DHCP, "
    "DH6 - IPv6 DHCP, PKT - Other Packet, API - API created",
    "Preflevel flags (prlvl):",
    "0001:MAC and LLA match     0002:Orig trunk            0004:Orig access           ",
    "0008:Orig trusted trunk    0010:Orig trusted access   0020:DHCP assigned         ",
    "0040:Cga authenticated     0080:Cert authenticated    0100:Statically assigned   ",
)


@dataclass(frozen=True)
class Binding:
    """One entry of the device-tracking table."""

    code: str
    address: str
    mac: str
    interface: str
    vlan: int
    level: str
    age: str
    left: str


def _svis(device: Device) -> list[tuple[str, str, int]]:
    """Return (interface, address, prefix length) of the SVIs that have an address."""
    found = []
    for name in sorted(device.config.interfaces, key=sort_key):
        value = device.config.interfaces[name].value("ip address")
        if name.startswith("Vlan") and value:
            address, mask = value.split()
            found.append((name, address, ipaddress.IPv4Network(f"0.0.0.0/{mask}").prefixlen))
    return found


def bindings(device: Device) -> list[Binding]:
    """Return the device-tracking table: own addresses, then the hosts whose ports are up."""
    found = []
    for name, address, _length in _svis(device):
        mac = dotted(device.base_mac)
        found.append(Binding("L", address, mac, name, int(name[4:]), "0100", "10194mn", ""))
    for host in sorted(device.spec.hosts, key=lambda each: (each.vlan, ipaddress.ip_address(each.ip).packed)):
        port = device.config.interfaces.get(host.interface)
        spec = next((each for each in device.spec.interfaces if each.name == host.interface), None)
        if port is None or not port.up or spec is None or not spec.up:
            continue
        age = zlib.crc32(host.mac.encode()) % 200
        code, level = ("DH4", "0024") if host.dhcp else ("ARP", "0005")
        left = f"{240 - age} s try 0" + ("(557967 s)" if host.dhcp else "")
        found.append(Binding(code, host.ip, dotted(host.mac), host.interface, host.vlan, level, f"{age}s", left))
        if host.ipv6:
            address = str(ipaddress.IPv6Address(host.ipv6)).upper()
            found.append(
                Binding(
                    "ND",
                    address,
                    dotted(host.mac),
                    host.interface,
                    host.vlan,
                    "0005",
                    f"{age}s",
                    f"{240 - age} s try 0",
                )
            )
    return found


def _rows(entries: list[Binding]) -> list[str]:
    lines = [
        "    Network Layer Address                    Link Layer Address     Interface  vlan       prlvl      "
        "age        state      Time left       "
    ]
    for each in entries:
        lines.append(
            f"{each.code:<4}{each.address:<41}{each.mac:<23}{short_name(each.interface):<11}{each.vlan:<11}{each.level:<11}"
            f"{each.age:<11}REACHABLE  {each.left:<17}"
        )
    return lines


def _database(entries: list[Binding]) -> str:
    dynamic = sum(1 for each in entries if each.code != "L")
    head = f"Binding Table has {len(entries)} entries, {dynamic} dynamic (limit 200000)"
    return text([head, *CODES, "", "", *_rows(entries)])


@register("device-tracking database")
def device_tracking(cli: Cli) -> str:
    return _database(bindings(cli.device))


@register("device-tracking database interface <if>")
def device_tracking_interface(cli: Cli, name: str) -> str:
    return _database([each for each in bindings(cli.device) if each.interface == name])


@register("device-tracking database mac <word>")
def device_tracking_mac(cli: Cli, mac: str) -> str:
    mine = [each for each in bindings(cli.device) if each.mac == dotted(mac)]
    rows = _rows(mine)
    if mine:
        rows.insert(1, f"macDB has {len(mine)} entries for mac {dotted(mac)},vlan {mine[0].vlan}, {len(mine)} dynamic ")
    return text([*CODES, "", "", *rows])


@register("device-tracking database details")
def device_tracking_details(cli: Cli) -> str:
    entries = bindings(cli.device)
    local = sum(1 for each in entries if each.code == "L")
    lines = [
        " Binding table configuration:",
        " ----------------------------",
        " max/box  : no limit",
        " max/vlan : no limit",
        " max/port : no limit",
        " max/mac  : no limit",
        "",
        " Binding table current counters:",
        " ------------------------------",
        f" dynamic  : {len(entries) - local}",
        f" local    : {local}",
        f" total    : {len(entries)}",
        "",
        " Binding table counters by state:",
        " ----------------------------------",
        f" REACHABLE  : {len(entries)}",
        f"   total    : {len(entries)}",
        "",
        *CODES,
        "",
        "",
        "    Network Layer Address                    Link Layer Address     Interface  mode       vlan(prim)   "
        "prlvl      age        state      Time left        Filter     In Crimson   Client ID          Policy (feature)",
    ]
    for each in entries:
        mode = "svi" if each.code == "L" else "access"
        client = "0000.0000.0000" if each.code != "DH4" else each.mac
        policy = "" if each.code == "L" else "     ACCESS (Device-tracking)"
        lines.append(
            f"{each.code:<4}{each.address:<41}{each.mac + '(R)':<23}{short_name(each.interface):<11}{mode:<11}"
            f"{each.vlan:<4}({each.vlan:>4})   {each.level:<11}{each.age:<11}REACHABLE  {each.left + ' ':<17}"
            f"no         yes          {client}{policy}"
        )
    return text(lines)


@register("ip arp", "arp", "ip arp <word>")
def ip_arp(cli: Cli, wanted: str = "") -> str:
    device = cli.device
    lines = ["Protocol  Address          Age (min)  Hardware Addr   Type   Interface"]
    svis = _svis(device)
    for name, address, _length in svis:
        lines.append(f"Internet  {address:<16} {'-':>8}   {dotted(device.base_mac)}  ARPA   {name}")
    for host in sorted(device.spec.hosts, key=lambda each: ipaddress.ip_address(each.ip).packed):
        for name, address, length in svis:
            if ipaddress.ip_address(host.ip) in ipaddress.ip_network(f"{address}/{length}", strict=False):
                age = zlib.crc32(host.mac.encode()) % 200
                lines.append(f"Internet  {host.ip:<16} {age:>8}   {dotted(host.mac)}  ARPA   {name}")
                break
    rows = [line for line in lines[1:] if not wanted or line.split()[1] == wanted]
    return text([lines[0], *rows]) if rows or not wanted else ""


@register("ipv6 neighbors", "ipv6 neighbors <word>")
def ipv6_neighbors(cli: Cli, wanted: str = "") -> str:
    device = cli.device
    lines = ["IPv6 Address                              Age Link-layer Addr State Interface"]
    for host in device.spec.hosts:
        for name in sorted(device.config.interfaces, key=sort_key):
            prefix = device.config.interfaces[name].address6
            if not host.ipv6 or not prefix or not name.startswith("Vlan"):
                continue
            address = ipaddress.IPv6Address(host.ipv6)
            if address in ipaddress.IPv6Network(prefix, strict=False) and (
                not wanted or address == ipaddress.IPv6Address(wanted)
            ):
                row = f"{str(address).upper():<43}{zlib.crc32(host.mac.encode()) % 100:>2} {dotted(host.mac)}"
                lines.append(f"{row}  REACH {short_name(name)}")
                break
    return text(lines) if len(lines) > 1 or not wanted else ""


@register("ip dhcp snooping binding")
def dhcp_snooping(cli: Cli) -> str:
    lines = [
        "MacAddress          IpAddress        Lease(sec)  Type           VLAN  Interface",
        "------------------  ---------------  ----------  -------------  ----  --------------------",
    ]
    count = 0
    for host in cli.device.spec.hosts:
        if not host.dhcp:
            continue
        digits = dotted(host.mac).replace(".", "").upper()
        mac = ":".join(digits[i : i + 2] for i in range(0, 12, 2))
        lease = 80000 + zlib.crc32(host.mac.encode()) % 6000
        lines.append(f"{mac:<20}{host.ip:<17}{lease:<12}{'dhcp-snooping':<13}  {host.vlan:^4}  {host.interface}")
        count += 1
    lines.append(f"Total number of bindings: {count}")
    return text(lines)
