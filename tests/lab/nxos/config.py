# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of one emulated NX-OS switch as structured state, and its text as a running configuration."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.lab.nxos.interfaces import sort_key
from tests.lab.nxos.lists import AccessList

# Region of the hardware table, by command and direction.
REGIONS = {
    ("ip port access-group", "in"): "ing-ifacl",
    ("ipv6 port traffic-filter", "in"): "ing-ifacl",
    ("ip access-group", "in"): "ing-racl",
    ("ipv6 traffic-filter", "in"): "ing-racl",
    ("ip access-group", "out"): "egr-racl",
    ("ipv6 traffic-filter", "out"): "egr-racl",
}
ATTACH = ("ip port access-group", "ip access-group", "ipv6 port traffic-filter", "ipv6 traffic-filter")
_FIRST = ("description", "switchport", "switchport mode", "switchport access vlan", "vrf member", "ip address")
_LAST = ("shutdown",)
KEPT_FIRST = ("version", "switchname", "vdc", "install", "nv", "cfs", "username", "ip domain", "radius-server", "tacacs-server", "aaa",
              "snmp-server", "rmon", "ntp", "ip route", "vlan", "spanning-tree", "system", "vrf context", "object-group")  # fmt: skip


@dataclass
class Interface:
    """One interface: key of a setting -> the line that the configuration shows."""

    name: str
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def routed(self) -> bool:
        return (
            self.name.startswith(("Vlan", "mgmt", "loopback")) or "." in self.name or "no switchport" in self.settings
        )

    def value(self, key: str) -> str | None:
        line = self.settings.get(key)
        return None if line is None else line[len(key) :].strip()

    def access_list(self, command: str, direction: str) -> str | None:
        """Return the list that a command has attached in a direction."""
        line = self.settings.get(f"{command} {direction}")
        return None if line is None else line.split()[-2]

    def config_lines(self) -> list[str]:
        def rank(key: str) -> int:
            return _FIRST.index(key) if key in _FIRST else 99 if key in _LAST else 50

        return [f"interface {self.name}", *(f"  {self.settings[key]}" for key in sorted(self.settings, key=rank))]


@dataclass
class Block:
    """A kept header with its lines (a VRF, a job, a group of addresses)."""

    header: str
    lines: list[str] = field(default_factory=list)


@dataclass
class Config:
    """Everything that the configuration says."""

    hostname: str
    features: set[str] = field(default_factory=set)
    lists: dict[str, AccessList] = field(default_factory=dict)
    interfaces: dict[str, Interface] = field(default_factory=dict)
    vty: dict[str, str] = field(default_factory=dict)
    blocks: dict[str, Block] = field(default_factory=dict)
    kept: dict[str, None] = field(default_factory=dict)
    jobs: dict[str, Block] = field(default_factory=dict)
    schedules: dict[str, Block] = field(default_factory=dict)
    atomic: bool = True
    default_permit: bool = False

    def copy(self) -> Config:
        def blocks(found: dict[str, Block]) -> dict[str, Block]:
            return {key: Block(each.header, list(each.lines)) for key, each in found.items()}

        return Config(
            self.hostname, set(self.features), {name: each.copy() for name, each in self.lists.items()},
            {name: Interface(name, dict(each.settings)) for name, each in self.interfaces.items()}, dict(self.vty),
            blocks(self.blocks), dict(self.kept), blocks(self.jobs), blocks(self.schedules), self.atomic, self.default_permit,
        )  # fmt: skip

    def attached(self, name: str) -> bool:
        """True when an interface or the terminal lines use the list."""
        for interface in self.interfaces.values():
            for key, line in interface.settings.items():
                if key.startswith(ATTACH) and line.split()[-2] == name:
                    return True
        return any(line.split()[-2] == name for line in self.vty.values())

    def addresses(self, group: str) -> list[str] | None:
        """Return the members of a group of addresses, None where there is no such group."""
        found = self.blocks.get(f"object-group ip address {group}") or self.blocks.get(
            f"object-group ipv6 address {group}"
        )
        return None if found is None else [line.split(None, 1)[1] for line in found.lines]

    def body(self) -> str:
        """Return the configuration without its header."""
        lines = [line for line in self.kept if line.startswith("version")] + [f"hostname {self.hostname}"]
        lines += [f"feature {name}" for name in sorted(self.features)]
        lines += [line for line in self.kept if not line.startswith("version")]
        for block in self.blocks.values():
            lines += ["", block.header, *(f"  {line}" for line in block.lines)]
        if not self.atomic:
            lines.append("no hardware access-list update atomic")
        if self.default_permit:
            lines.append("hardware access-list update default-result permit")
        for _name, each in sorted(self.lists.items()):
            lines += ["", *each.config_lines()]
        for name in sorted(self.interfaces, key=sort_key):
            lines += ["", *self.interfaces[name].config_lines()]
        lines += ["", "line console", "line vty", *(f"  {line}" for line in self.vty.values())]
        for job in self.jobs.values():
            lines += ["", job.header, *job.lines, "", "end-job", ""]
        for schedule in self.schedules.values():
            lines += ["", schedule.header, *(f"  {line}" for line in schedule.lines)]
        return "\n".join(lines) + "\n"
