# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an emulated switch is made from: plain data, the same in Python and in a JSON file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

BASE = """version 17.9
service timestamps debug datetime msec
service timestamps log datetime msec
service password-encryption
aaa new-model
aaa authentication dot1x default group radius
aaa authorization network default group radius
device-tracking upgrade-cli force
dot1x system-auth-control
lldp run
ip ssh version 2
ip forward-protocol nd
ntp server 100.64.40.2
line con 0
 stopbits 1
line vty 0 4
 transport input ssh
line vty 5 15
 transport input ssh
"""


@dataclass(frozen=True)
class InterfaceSpec:
    """A physical port: full name, description, access VLAN, is a link up, trunk instead of access."""

    name: str
    description: str = ""
    vlan: int = 1
    up: bool = True
    trunk: bool = False


@dataclass(frozen=True)
class HostSpec:
    """A device behind a port, as the switch's tables know it. dhcp: it has a snooping binding."""

    mac: str
    ip: str
    interface: str
    vlan: int
    dhcp: bool = True
    ipv6: str | None = None


@dataclass(frozen=True)
class NeighbourSpec:
    """A neighbour on a port. protocol: lldp, cdp or both."""

    interface: str
    system_name: str
    port: str
    address: str
    platform: str = "cisco C9300-24U"
    mac: str = "02:00:00:00:00:01"
    capabilities: str = "B,R"
    description: str = "Cisco IOS Software [Cupertino], Catalyst L3 Switch Software (CAT9K_IOSXE), Version 17.9.4a"
    protocol: str = "both"
    manufacturer: str | None = None
    model: str | None = None
    serial: str | None = None


@dataclass(frozen=True)
class DeviceSpec:
    """One switch.

    address, port: where its SSH server listens (loopback; port 0 takes a free one, see Device.port).
    initial_config: configuration lines added to the base; base:
    False leaves the base out. archive: configure "archive / path flash:archive" (needed by the revert timer).
    acl_capacity, acl_used: TCAM entries for security lists and how many an idle switch uses. max_list_entries: refuse
    entries beyond this number in one list. line_limit: characters that the input line takes. input_buffer: characters
    kept while a command runs, the rest is lost (None: all kept). controller: address from which management sessions are
    taken to come, when lists that see them are evaluated; management_interface: the SVI by which they arrive.
    cts_download: "local" takes the cells of locally known destination groups, "all" every cell.
    minute_seconds: length of a minute of the revert and reload timers and of applets. latency: seconds that what a client sends in a
    session is on its way there and back; lines that are sent together arrive together. event_manager: whether it has applets. old_ssh:
    an SSH server of old images: RSA key, SHA-1 and CBC only. members: of the stack; acl_used_elsewhere: entries that members other than
    the first use beside the lists (None: as many as the first).
    """

    hostname: str
    address: str
    port: int = 22
    model: str = "C9300-48U"
    version: str = "17.09.04a"
    interfaces: tuple[InterfaceSpec, ...] = ()
    hosts: tuple[HostSpec, ...] = ()
    neighbours: tuple[NeighbourSpec, ...] = ()
    initial_config: str = ""
    base: bool = True
    archive: bool = True
    enforcement: bool = True
    acl_capacity: int = 5120
    acl_used: int = 129
    max_list_entries: int | None = None
    line_limit: int = 254
    input_buffer: int | None = None
    vty_lines: int = 16
    controller: str | None = None
    management_interface: str | None = None
    cts_download: str = "local"
    minute_seconds: float = 60.0
    latency: float = 0.0
    event_manager: bool = True
    old_ssh: bool = False
    members: int = 1
    acl_used_elsewhere: int | None = None
    host_key_path: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def config_text(self) -> str:
        """Return the configuration that the switch starts with, as lines."""
        lines = [f"hostname {self.hostname}"]
        if self.base:
            lines += BASE.splitlines()
        vlans = sorted({each.vlan for each in self.interfaces} | {each.vlan for each in self.hosts} - {1})
        for vlan in vlans:
            if vlan != 1:
                lines += [f"vlan {vlan}", f" name VLAN{vlan:04d}"]
        if self.archive:
            lines += ["archive", " path flash:archive", " maximum 10"]
        if self.enforcement:
            lines.append("cts role-based enforcement")
            if vlans:
                lines.append(f"cts role-based enforcement vlan-list {','.join(str(v) for v in vlans if v != 1) or 1}")
        for each in self.interfaces:
            lines.append(f"interface {each.name}")
            if each.description:
                lines.append(f" description {each.description}")
            if each.trunk:
                lines.append(" switchport mode trunk")
            else:
                if each.vlan != 1:
                    lines.append(f" switchport access vlan {each.vlan}")
                lines.append(" switchport mode access")
        return "\n".join(lines) + "\n" + self.initial_config

    def to_dict(self) -> dict[str, Any]:
        """Return the spec as data for JSON."""
        data: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self)}
        for key in ("interfaces", "hosts", "neighbours"):
            data[key] = [{f.name: getattr(item, f.name) for f in fields(item)} for item in data[key]]
        return data


def device_from_dict(data: dict[str, Any]) -> DeviceSpec:
    """Return a spec from data; raises TypeError on keys that do not exist."""
    values = dict(data)
    for key, kind in (("interfaces", InterfaceSpec), ("hosts", HostSpec), ("neighbours", NeighbourSpec)):
        values[key] = tuple(item if isinstance(item, kind) else kind(**item) for item in values.get(key, ()))
    return DeviceSpec(**values)


def load_specs(path: str | Path) -> list[DeviceSpec]:
    """Read {"devices": [...]} from a JSON file."""
    return [device_from_dict(each) for each in json.loads(Path(path).read_text(encoding="utf-8"))["devices"]]
