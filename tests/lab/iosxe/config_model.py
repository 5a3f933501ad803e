# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of one emulated switch as structured state, and its text as a running configuration."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.lab.iosxe.access_list import AccessList
from tests.lab.iosxe.ace_text import EXTENDED, IPV6, ROLE_BASED, ROLE_BASED6, STANDARD
from tests.lab.iosxe.interfaces import sort_key

# Order of the settings of an interface; anything else keeps the order in which it was typed, between the two.
_FIRST = ("description", "switchport access vlan", "switchport mode", "switchport voice vlan", "switchport",
          "ip address", "ip helper-address", "ip access-group in", "ip access-group out", "ipv6 traffic-filter in",
          "ipv6 traffic-filter out")  # fmt: skip
_LAST = ("shutdown",)

# Order of the lines that the emulator only keeps. Lists, interfaces, cts and lines come at their own places.
BEFORE = ("version", "service", "platform", "vrf", "logging", "enable", "username", "aaa", "clock", "switch",
          "ip routing",
          "ip domain", "ip name-server", "ip dhcp", "ip device", "ip arp", "lldp", "cdp", "vtp", "authentication",
          "access-session", "dot1x", "mab", "device-tracking", "radius-server", "object-group", "spanning-tree",
          "errdisable", "license", "diagnostic", "memory", "crypto", "class-map", "policy-map", "template", "vlan",
          "sdm", "mac", "storm-control", "system", "hw-module", "configuration")  # fmt: skip
AFTER = ("ip default-gateway", "ip route", "ip http", "ip forward-protocol", "ip ssh", "ip scp", "ip tacacs",
         "ip radius", "ip sla", "snmp-server", "tacacs", "radius", "banner", "ntp", "netconf-yang", "restconf",
         "event")  # fmt: skip


VTY_LINES = 16


@dataclass(slots=True)
class Interface:
    """One interface: key of a setting -> the line that the configuration shows."""

    name: str
    settings: dict[str, str] = field(default_factory=dict)

    def value(self, key: str) -> str | None:
        """Return what follows the key in its line, None when it is not set."""
        line = self.settings.get(key)
        return None if line is None else line[len(key) :].strip()

    @property
    def vlan(self) -> int:
        return int(self.value("switchport access vlan") or 1)

    @property
    def up(self) -> bool:
        return "shutdown" not in self.settings

    def access_group(self, direction: str, family: int = 4) -> str | None:
        """Return the name of the list that filters in a direction ("in" or "out")."""
        key = f"ip access-group {direction}" if family == 4 else f"ipv6 traffic-filter {direction}"
        line = self.settings.get(key)
        return None if line is None else line.split()[2]

    @property
    def address6(self) -> str | None:
        """Return the first IPv6 address with its length, None where there is none."""
        found = (key.split() for key in self.settings if key.startswith("ipv6 address "))
        return next((words[2] for words in found if "/" in words[2]), None)

    def config_lines(self) -> list[str]:
        def rank(key: str) -> int:
            return _FIRST.index(key) if key in _FIRST else 99 if key in _LAST else 50

        return [f"interface {self.name}", *(f" {self.settings[key]}" for key in sorted(self.settings, key=rank))]


@dataclass
class Cts:
    """TrustSec settings. permissions and monitored: (source, destination, family) with -1 for unknown."""

    enforcement: bool = False
    vlans: set[int] = field(default_factory=set)
    own_tag: int | None = None
    sgt_map: dict[str, int] = field(default_factory=dict)
    vlan_map: dict[int, int] = field(default_factory=dict)
    permissions: dict[tuple[int, int, int], list[str]] = field(default_factory=dict)
    defaults: dict[int, list[str]] = field(default_factory=dict)
    monitor_all: bool = False
    monitored: set[tuple[int, int, int]] = field(default_factory=set)
    monitored_defaults: set[int] = field(default_factory=set)
    other: dict[str, None] = field(default_factory=dict)

    def config_lines(self) -> list[str]:
        found = [f"cts sgt {self.own_tag}"] if self.own_tag is not None else []
        found += list(self.other)
        if self.enforcement:
            found.append("cts role-based enforcement")
        if self.vlans:
            found.append(f"cts role-based enforcement vlan-list {ranges(self.vlans)}")
        found += [f"cts role-based sgt-map {address} sgt {tag}" for address, tag in sorted(self.sgt_map.items())]
        found += [f"cts role-based sgt-map vlan-list {vlan} sgt {tag}" for vlan, tag in sorted(self.vlan_map.items())]
        if self.monitor_all:
            found.append("cts role-based monitor all")
        for family in sorted(self.monitored_defaults):
            found.append(f"cts role-based monitor permissions default ipv{family}")
        for key in sorted(self.monitored):
            found.append(f"cts role-based monitor permissions {cell_words(key)}")
        for family, names in sorted(self.defaults.items()):
            found.append(f"cts role-based permissions default ipv{family} {' '.join(names)}")
        for key, names in sorted(self.permissions.items()):
            found.append(f"cts role-based permissions {cell_words(key)} {' '.join(names)}")
        return found


def cell_words(key: tuple[int, int, int]) -> str:
    """Return "from S to D ipvF" of one cell."""
    source, destination = ("unknown" if tag < 0 else str(tag) for tag in key[:2])
    return f"from {source} to {destination} ipv{key[2]}"


def ranges(numbers: set[int]) -> str:
    """Return numbers as IOS prints VLAN lists: 10-12,20."""
    parts: list[str] = []
    for number in sorted(numbers):
        if parts and number - 1 == int(parts[-1].split("-")[-1]):
            parts[-1] = f"{parts[-1].split('-')[0]}-{number}"
        else:
            parts.append(str(number))
    return ",".join(parts)


@dataclass
class Config:
    """The running configuration. blocks: kept lines and their sub-lines, by header; vty: settings of each line."""

    hostname: str = "Switch"
    blocks: dict[str, list[str]] = field(default_factory=dict)
    interfaces: dict[str, Interface] = field(default_factory=dict)
    lists: dict[str, AccessList] = field(default_factory=dict)
    lists6: dict[str, AccessList] = field(default_factory=dict)
    cts: Cts = field(default_factory=Cts)
    archive: dict[str, str] | None = None
    console: dict[str, str] = field(default_factory=dict)
    vty: list[dict[str, str]] = field(default_factory=lambda: [{} for _ in range(VTY_LINES)])

    @property
    def archive_path(self) -> str | None:
        line = (self.archive or {}).get("path")
        return line.split(None, 1)[1] if line else None

    def groups(self) -> set[str]:
        """Return the names of the object groups that exist."""
        return {header.split()[-1] for header in self.blocks if header.startswith("object-group ")}

    def vlan_names(self) -> dict[int, str]:
        """Return the VLANs of the database with their names."""
        found = {1: "default"}
        for header, block in self.blocks.items():
            words = header.split()
            if words[0] == "vlan" and words[1].isdigit():
                name = next((line.split(None, 1)[1] for line in block if line.startswith("name ")), None)
                found[int(words[1])] = name or f"VLAN{int(words[1]):04d}"
        return found

    def list_of(self, kind: str) -> dict[str, AccessList]:
        """Return the name space in which lists of a kind live."""
        return self.lists6 if kind in (IPV6, ROLE_BASED6) else self.lists

    def access_classes(self) -> set[str | None]:
        """Return the names of the lists that guard the terminal lines; None stands for a line without one."""
        return {line["access-class in"].split()[1] if "access-class in" in line else None for line in self.vty}

    def line_blocks(self) -> list[str]:
        """Return the line blocks as printed: equal neighbours together, always a break between 4 and 5."""
        out = ["line con 0", *(f" {line}" for line in self.console.values())]
        start = 0
        for number in range(1, VTY_LINES + 1):
            if number == VTY_LINES or number == 5 or self.vty[number] != self.vty[start]:
                out.append(f"line vty {start} {number - 1}" if start != number - 1 else f"line vty {start}")
                out += [f" {line}" for line in self.vty[start].values()]
                start = number
        return out

    def body(self) -> str:
        """Return the configuration text from the first line after the header to end, with a final newline."""
        out: list[str] = ["!"]

        def block(lines: list[str]) -> None:
            if lines:
                out.extend((*lines, "!"))

        def kept(prefixes: tuple[str, ...]) -> None:
            def rank(header: str) -> int:
                return next(
                    (i for i, p in enumerate(prefixes) if header == p or header.startswith((p + " ", p + "-"))), -1
                )

            chosen = [header for header in self.blocks if rank(header) >= 0]
            chosen.sort(key=rank)
            previous = ""
            for header in chosen:
                word = header.split()[0]
                if self.blocks[header] or (previous and word != previous):
                    if out[-1] != "!":
                        out.append("!")
                out.append(header)
                out.extend(f" {line}" for line in self.blocks[header])
                if self.blocks[header]:
                    out.append("!")
                previous = word
            if out[-1] != "!":
                out.append("!")

        first = [header for header in self.blocks if header.split()[0] in ("version", "service")]
        block(first)
        block([f"hostname {self.hostname}"])
        kept(tuple(prefix for prefix in BEFORE if prefix not in ("version", "service")))
        block(self.cts.config_lines())
        if self.archive is not None:
            block(["archive", *(f" {line}" for line in self.archive.values())])
        for name in sorted(self.interfaces, key=sort_key):
            block(self.interfaces[name].config_lines())
        kept(AFTER[:9])
        for kind in (STANDARD, EXTENDED, ROLE_BASED):
            for name in sorted(n for n, each in self.lists.items() if each.kind == kind):
                block(self.lists[name].config_lines())
        for kind in (IPV6, ROLE_BASED6):
            for name in sorted(n for n, each in self.lists6.items() if each.kind == kind):
                block(self.lists6[name].config_lines())
        kept(AFTER[9:])
        # On a switch the line blocks come before ntp; order among kept lines carries no meaning here.
        block(self.line_blocks())
        out.append("end")
        return "\n".join(out) + "\n"


def allowed_block(header: str) -> bool:
    """True when the emulator keeps a global line of this kind without understanding it."""
    return any(header == prefix or header.startswith((prefix + " ", prefix + "-")) for prefix in (*BEFORE, *AFTER))
