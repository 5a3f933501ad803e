# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Device tracking: where it is at work (``show device-tracking policies``), and what it learnt on images before 16 (``show ip device
tracking all``)."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Parsed
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.lines import (
    INTERFACE,
    MAC,
    Remarks,
    lines_of,
    long_interface,
    mac_text,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.tables import (
    TrackingEntry,
    device_tracking_database,
)

_HEAD = re.compile(r"\ATarget +Type +Policy +Feature +Target range\Z")
_ROW = re.compile(
    r"\A(?P<target>\S+|vlan \d+|evpn \d+) +(?P<type>PORT|VLAN|EVPN|BD|SYSTEM) +(?P<policy>\S+)"
    r" +(?P<feature>\S.*?) +(?P<range>vlan \S.*)\Z"
)
_OLD_HEAD = re.compile(
    r"\A(?:Global )?IP Device Tracking\b|\AIP Address +MAC Address +Vlan +Interface\b|\ATotal number interfaces enabled: \d+\Z"
)
_OLD_ROW = re.compile(
    r"\A(?P<address>\S+) +(?P<mac>\S+) +(?P<vlan>\d+) +(?P<interface>\S+)(?: +\d+)? +(?P<state>ACTIVE|INACTIVE)(?: +(?P<source>\S+))?\Z"
)
_OLD_PORTS = re.compile(r"\A[A-Z][A-Za-z]*\d[\d/.]*(?:, ?[A-Z][A-Za-z]*\d[\d/.]*)*,?\Z")


@dataclass(frozen=True)
class TrackingPolicy:
    """A policy at work: ``target`` as the switch names it (``Twe1/0/42``, ``vlan 39``), type, policy, feature and range of VLANs."""

    target: str
    type: str
    policy: str
    feature: str
    range: str


def tracking_policies(text: str) -> Parsed[TrackingPolicy]:
    """Return the rows; a switch without any gives none."""
    remarks = Remarks("show device-tracking policies")
    made = []
    for line in lines_of(text, remarks.command):
        row = _ROW.match(line.stripped)
        if row:
            made.append(TrackingPolicy(row["target"], row["type"], row["policy"], row["feature"], row["range"].strip()))
        elif not _HEAD.match(line.stripped):
            remarks.unknown(line)
    return Parsed(tuple(made), tuple(remarks.findings))


def ip_device_tracking(text: str) -> Parsed[TrackingEntry]:
    """Return the rows of ``show ip device tracking all``. Their age is not shown: an ACTIVE one answered within the probe interval."""
    remarks = Remarks("show ip device tracking all")
    made: list[TrackingEntry] = []
    ports = False
    for line in lines_of(text, remarks.command):
        content = line.stripped
        row = _OLD_ROW.match(content)
        if content == "Enabled interfaces:":
            ports = True
        elif row and MAC.match(row["mac"]) and INTERFACE.match(row["interface"]) and _is_address(row["address"]):
            state = "REACHABLE" if row["state"] == "ACTIVE" else "STALE"
            interface = long_interface(row["interface"])
            made.append(
                TrackingEntry("ARP", row["address"], mac_text(row["mac"]), interface, int(row["vlan"]), "", 0, state)
            )
        elif not _OLD_HEAD.match(content) and not (ports and _OLD_PORTS.match(content)):
            remarks.unknown(line)
    return Parsed(tuple(made), tuple(remarks.findings))


def device_tracking(text: str) -> Parsed[TrackingEntry]:
    """Return the rows of either table, by what the output says of itself."""
    old = re.search(r"(?m)^\s*(?:Global )?IP Device Tracking\b", text)
    return ip_device_tracking(text) if old else device_tracking_database(text)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
