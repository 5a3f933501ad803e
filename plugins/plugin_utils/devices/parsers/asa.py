# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show output of Cisco ASA. Own and fail-closed: each line is in an entry, is known furniture, or is in a finding."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Parsed
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.lines import (
    MAC,
    Remarks,
    lines_of,
    mac_text,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.tables import ArpEntry

_NAMEIF_HEAD = re.compile(r"\AInterface\s+Name\s+Security\Z")
_NAMEIF = re.compile(r"\A(\S+)\s+(\S+)\s+(\d{1,3})\Z")
_CONNECTIONS = re.compile(r"\A(\d+) in use, (\d+) most used\Z")
_VERSION = re.compile(r"\ACisco Adaptive Security Appliance Software Version (\S+)")
_HARDWARE = re.compile(r"\AHardware:\s+([^,\s]+)")
_HOST = re.compile(r"\A(This|Other) host:\s*(?:(\S+) )?- (.+)\Z")


@dataclass(frozen=True)
class NamedInterface:
    """A row of ``show nameif``; ``level`` is the security level, 0 to 100."""

    hardware: str
    nameif: str
    level: int


@dataclass(frozen=True)
class AsaSystem:
    """What ``show version`` says; empty where it does not."""

    software: str
    model: str


@dataclass(frozen=True)
class ConnectionCount:
    """Connections in use now, and the most at once since the last start."""

    in_use: int
    most: int


@dataclass(frozen=True)
class FailoverState:
    """A pair's state by ``show failover``: ``role`` (Primary, Secondary) and state of this unit and of its mate; empty where off."""

    on: bool
    role: str = ""
    state: str = ""
    mate: str = ""


def arp(text: str) -> Parsed[ArpEntry]:
    """Return the rows of ``show arp``: nameif, address (``/VLAN`` behind it on some), MAC, age.

    The age is in seconds, ``-`` for static entries and ``alias`` for proxy ARP (ASA command reference, "show arp"). Rows that are
    the firewall's own doing (static, alias) have no age.
    """
    remarks = Remarks("show arp")
    entries = []
    for line in lines_of(text, remarks.command):
        words = line.text.split()
        address = words[1].partition("/")[0] if len(words) == 4 else ""
        if not _address(address) or not MAC.match(words[2]) or not (words[3] in ("-", "alias") or words[3].isdigit()):
            remarks.unknown(line)
            continue
        age = int(words[3]) // 60 if words[3].isdigit() else None
        entries.append(ArpEntry(address, age, mac_text(words[2]), words[0]))
    return Parsed(tuple(entries), tuple(remarks.findings))


def _address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def nameif(text: str) -> Parsed[NamedInterface]:
    """Return the rows of ``show nameif``."""
    remarks = Remarks("show nameif")
    entries = []
    for line in lines_of(text, remarks.command):
        if _NAMEIF_HEAD.match(line.stripped):
            continue
        row = _NAMEIF.match(line.stripped)
        if row is None or int(row[3]) > 100:
            remarks.unknown(line)
        else:
            entries.append(NamedInterface(row[1], row[2], int(row[3])))
    return Parsed(tuple(entries), tuple(remarks.findings))


def conn_count(text: str) -> Parsed[ConnectionCount]:
    """Return the figures of ``show conn count``."""
    remarks = Remarks("show conn count")
    entries = []
    for line in lines_of(text, remarks.command):
        row = _CONNECTIONS.match(line.stripped)
        if row is None:
            remarks.unknown(line)
        else:
            entries.append(ConnectionCount(int(row[1]), int(row[2])))
    return Parsed(tuple(entries), tuple(remarks.findings))


def version(text: str) -> Parsed[AsaSystem]:
    """Return software and model of ``show version``; its other lines are for people."""
    remarks = Remarks("show version")
    software = model = ""
    for line in lines_of(text, remarks.command):
        found, hardware = _VERSION.match(line.stripped), _HARDWARE.match(line.stripped)
        software = found[1] if found else software
        model = hardware[1] if hardware else model
    return Parsed((AsaSystem(software, model),) if software else (), tuple(remarks.findings))


def failover(text: str) -> Parsed[FailoverState]:
    """Return a pair's state; empty where the output does not say whether failover is on. Its other lines are for people."""
    remarks = Remarks("show failover")
    on: bool | None = None
    hosts: dict[str, tuple[str, str]] = {}
    for line in lines_of(text, remarks.command):
        if line.stripped in ("Failover On", "Failover Off"):
            on = line.stripped == "Failover On"
        host = _HOST.match(line.stripped)
        if host:
            hosts[host[1]] = (host[2] or "", host[3].strip())
    if on is None:
        return Parsed((), tuple(remarks.findings))
    role, state = hosts.get("This", ("", ""))
    return Parsed((FailoverState(on, role, state, hosts.get("Other", ("", ""))[1]),), tuple(remarks.findings))
