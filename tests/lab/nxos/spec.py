# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an emulated NX-OS switch is made from: plain data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

BASE = """version 9.3(8) Bios:version 05.45
feature interface-vlan
feature lldp
vlan 1
vrf context management
  ip route 0.0.0.0/0 192.0.2.1
"""


@dataclass(frozen=True)
class DeviceSpec:
    """One switch.

    address, port: where its SSH server listens (loopback; port 0 takes a free one). initial_config: lines added to the base.
    regions: entries of each region of the hardware table. undefined_list: what an attached list without entries, or one that
    does not exist, does (documented: permit; deny for tests that nobody depends on it). routes: prefix -> interface, for
    show ip route. arp: address -> (MAC, interface, port learnt on or ""). controller: address from which management sessions
    are taken to come; management_interface: where they arrive. minute_seconds: length of a minute of the scheduler.
    """

    hostname: str
    address: str
    port: int = 22
    model: str = "N9K-C93180YC-EX"
    version: str = "9.3(8)"
    interfaces: tuple[str, ...] = tuple(f"Ethernet1/{number}" for number in range(1, 9)) + ("mgmt0",)
    initial_config: str = ""
    base: bool = True
    regions: Mapping[str, int] = field(
        default_factory=lambda: {"ing-ifacl": 512, "ing-racl": 1536, "egr-racl": 1792}, hash=False
    )
    undefined_list: str = "permit"
    routes: Mapping[str, str] = field(default_factory=dict, hash=False)
    arp: Mapping[str, tuple[str, str, str]] = field(default_factory=dict, hash=False)
    session_manager: bool = True
    line_limit: int = 511
    input_buffer: int | None = None
    vty_lines: int = 16
    controller: str | None = None
    management_interface: str | None = None
    minute_seconds: float = 60.0
    host_key_path: str | None = None
    old_ssh: bool = False  # an SSH server of old images: RSA key, SHA-1 and CBC only

    def config_text(self) -> str:
        """Return the configuration that the switch starts with."""
        return f"hostname {self.hostname}\n" + (BASE if self.base else "") + self.initial_config


def device_from_dict(data: dict[str, Any]) -> DeviceSpec:
    """Return a spec from data; raises TypeError on keys that do not exist."""
    known = {each.name for each in fields(DeviceSpec)}
    if data.keys() - known:
        raise TypeError(f"unknown keys {sorted(data.keys() - known)}")
    values = dict(data)
    if "interfaces" in values:
        values["interfaces"] = tuple(values["interfaces"])
    return DeviceSpec(**values)


def load_specs(path: str | Path) -> list[DeviceSpec]:
    """Read {"devices": [...]} from a JSON file."""
    return [device_from_dict(each) for each in json.loads(Path(path).read_text(encoding="utf-8"))["devices"]]
