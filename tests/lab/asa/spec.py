# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an emulated ASA is made from: plain data, the same in Python and in a JSON file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

BASE = """names
same-security-traffic permit inter-interface
pager lines 24
asp rule-engine transactional-commit access-group
ssh stricthostkeycheck
ssh 0.0.0.0 0.0.0.0 inside
console timeout 0
username netops password ***** pbkdf2 privilege 15
"""


@dataclass(frozen=True)
class NameifSpec:
    """A routed interface: hardware name, nameif, address with mask, security level."""

    hardware: str
    nameif: str
    address: str
    mask: str = "255.255.255.0"
    level: int = 50


@dataclass(frozen=True)
class ConnSpec:
    """One connection in the table: who opened it by which interface, and whom."""

    protocol: str
    client_interface: str
    client: str
    client_port: int
    server_interface: str
    server: str
    server_port: int


@dataclass(frozen=True)
class AsaSpec:
    """One firewall.

    address, port: where its SSH server listens (loopback; port 0 takes a free one). mode: single or multiple; context: the
    one that a login lands in, empty for the system execution space. failover: off, active, standby, or "failed" (active, its
    mate is not there). max_elements: entries, expanded, of all lists together. sessions: whether "configure session" exists
    (since 9.3). vty_lines: SSH sessions at once. second: length of a second of the timers.
    """

    hostname: str
    address: str
    port: int = 22
    model: str = "ASA5516"
    version: str = "9.16(4)"
    interfaces: tuple[NameifSpec, ...] = ()
    connections: tuple[ConnSpec, ...] = ()
    initial_config: str = ""
    base: bool = True
    mode: str = "single"
    context: str = ""
    failover: str = "off"
    max_elements: int = 100_000
    free_memory: int = 3_000_000_000
    sessions: bool = True
    vty_lines: int = 5
    line_limit: int = 510
    input_buffer: int | None = None
    controller: str | None = None
    second: float = 1.0
    host_key_path: str | None = None
    old_ssh: bool = False  # an SSH server of old images: RSA key, SHA-1 and CBC only

    def config_text(self) -> str:
        """Return the configuration that the firewall starts with, as lines."""
        lines = [f"hostname {self.hostname}"]
        for each in self.interfaces:
            lines += [
                f"interface {each.hardware}",
                f" nameif {each.nameif}",
                f" security-level {each.level}",
                f" ip address {each.address} {each.mask}",
            ]
        lines += BASE.splitlines() if self.base else []
        return "\n".join(lines) + "\n" + self.initial_config


def spec_from_dict(data: dict[str, Any]) -> AsaSpec:
    """Return a spec from data; raises TypeError on keys that do not exist."""
    values = dict(data)
    for key, kind in (("interfaces", NameifSpec), ("connections", ConnSpec)):
        values[key] = tuple(item if isinstance(item, kind) else kind(**item) for item in values.get(key, ()))
    return AsaSpec(**values)
