# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What show output says about devices: rows of the parsers to observations.

``switch`` is the inventory name of the switch asked; ``time`` is when it answered, in microseconds since 1970 UTC. A port that many
MACs are seen on, or a port channel, is taken for a way to other switches, so its place counts little.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import (
    AddressClaim,
    Observation,
    normal_mac,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.neighbors import Neighbor
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.ports import PortDescription
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.sessions import (
    SessionDetails,
    SessionRow,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.tables import (
    ArpEntry,
    MacEntry,
    SnoopingEntry,
    TrackingEntry,
)

UPLINK_MACS = 4
# A description that is one word is taken for a name; a sentence or a room is not.
NAME = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,62}\Z")
ACCESS_PREFIXES = (
    "FastEthernet",
    "GigabitEthernet",
    "TwoGigabitEthernet",
    "FiveGigabitEthernet",
    "TenGigabitEthernet",
    "TwentyFiveGig",
    "Ethernet",
)
SECOND_US = 1_000_000
# Letters of "show lldp neighbors" (IEEE 802.1AB section 8.5.8).
CAPABILITIES = {
    "B": "bridge",
    "C": "docsis_cable_device",
    "O": "other",
    "P": "repeater",
    "R": "router",
    "S": "station",
    "T": "telephone",
    "W": "wlan_access_point",
}


def of_mac_table(entries: Iterable[MacEntry], switch: str, time: int) -> list[Observation]:
    """Return where the MAC address table sees devices; the switch's own and group addresses are left out."""
    rows = [each for each in entries if len(each.ports) == 1 and each.kind not in ("system", "self") and _one(each.mac)]
    crowd = Counter(each.ports[0] for each in rows)
    made = []
    for each in rows:
        port = each.ports[0]
        if not port.startswith((*ACCESS_PREFIXES, "Port-channel")):
            continue
        access = crowd[port] <= UPLINK_MACS and not port.startswith("Port-channel")
        facts = {"switch": switch, "interface": port, "vlan": _vlan(each.vlan)}
        made.append(Observation(each.mac, _given(facts), (), f"{switch}:mac-table", time, 0.7 if access else 0.2))
    return made


def of_arp(entries: Iterable[ArpEntry], switch: str, time: int) -> list[Observation]:
    """Return which devices hold which addresses by the ARP table; the switch's own addresses are left out."""
    made = []
    for each in entries:
        if each.age_minutes is None or not _one(each.mac):
            continue
        claim = AddressClaim(each.address, time - each.age_minutes * 60 * SECOND_US, time)
        made.append(Observation(each.mac, {}, (claim,), f"{switch}:arp", time, 0.8))
    return made


def of_device_tracking(entries: Iterable[TrackingEntry], switch: str, time: int) -> list[Observation]:
    """Return addresses and places by device tracking; the switch's own, and what does not answer, are left out."""
    made = []
    for each in entries:
        if each.origin == "L" or each.state in ("INCOMPLETE", "TENTATIVE", "CREATING") or not _one(each.mac):
            continue
        sure = 0.9 if each.origin in ("DH4", "DH6", "S") else 0.85
        if each.state in ("DOWN", "STALE"):
            sure = 0.6
        claim = AddressClaim(each.address, time - each.age_seconds * SECOND_US, time)
        facts: dict[str, Any] = {}
        if each.interface.startswith(ACCESS_PREFIXES):
            facts = {"switch": switch, "interface": each.interface, "vlan": _vlan(each.vlan)}
        made.append(Observation(each.mac, _given(facts), (claim,), f"{switch}:device-tracking", time, sure))
    return made


def of_dhcp_snooping(entries: Iterable[SnoopingEntry], switch: str, time: int) -> list[Observation]:
    """Return addresses and places by DHCP snooping."""
    made = []
    for each in entries:
        if _one(each.mac):
            facts = {"switch": switch, "interface": each.interface, "vlan": _vlan(each.vlan)}
            made.append(Observation(each.mac, _given(facts), (each.address,), f"{switch}:dhcp-snooping", time, 0.9))
    return made


def of_sessions(entries: Iterable[SessionRow], switch: str, time: int) -> list[Observation]:
    """Return places by the list of authentication sessions."""
    made = []
    for each in entries:
        if each.mac and _one(each.mac):
            facts = {"switch": switch, "interface": each.interface}
            made.append(Observation(each.mac, facts, (), f"{switch}:session", time, 0.9 if each.authorized else 0.8))
    return made


def of_session_details(entries: Iterable[SessionDetails], switch: str, time: int) -> list[Observation]:
    """Return places, addresses, tags and what the switch takes a device for, by session details."""
    made = []
    for each in entries:
        if not each.mac or not _one(each.mac):
            continue
        facts: dict[str, Any] = {"switch": switch, "interface": each.interface, "vlan": _vlan(each.vlan)}
        if each.authorized and each.sgt:
            facts["sgt"] = each.sgt
        made.append(
            Observation(
                each.mac, _given(facts), each.addresses, f"{switch}:session", time, 0.95 if each.authorized else 0.8
            )
        )
        kind = each.values.get("Device-type", "")
        if kind not in ("", "Un-Classified Device", "Unknown", "N/A"):
            # The switch's own classifier is a guess beside ISE's profiler.
            made.append(Observation(each.mac, {"endpoint_profile": kind}, (), f"{switch}:classifier", time, 0.4))
    return made


def of_lldp(entries: Iterable[Neighbor], switch: str, time: int) -> list[Observation]:
    """Return names and places of LLDP neighbours that have a MAC."""
    made = []
    for each in entries:
        if not each.mac or not _one(each.mac):
            continue
        facts = {
            "switch": switch if each.interface else "",
            "interface": each.interface,
            "hostname": each.system_name,
            "lldp_description": " ".join(each.description.split())[:255],
            "lldp_capabilities": tuple(sorted(CAPABILITIES[c] for c in each.capabilities if c in CAPABILITIES)) or None,
        }
        made.append(Observation(each.mac, _given(facts), each.addresses, f"{switch}:lldp", time, 0.8))
    return made


def of_descriptions(
    entries: Iterable[PortDescription], macs: Mapping[str, Collection[str]], switch: str, time: int
) -> list[Observation]:
    """Return names by port descriptions, for ports with exactly one device; ``macs`` has the devices of each port.

    A description outlives the device it was written for, so it counts little beside any other source.
    """
    made = []
    for each in entries:
        behind = macs.get(each.interface, ())
        if len(behind) == 1 and NAME.match(each.description):
            facts = {"hostname": each.description}
            made.append(Observation(next(iter(behind)), facts, (), f"{switch}:description", time, 0.3))
    return made


def _one(mac: str) -> bool:
    try:
        normal_mac(mac)
    except ValueError:
        return False
    return True


def _vlan(number: int | None) -> int | None:
    return number if number is not None and 1 <= number <= 4094 else None


def _given(facts: dict[str, Any]) -> dict[str, Any]:
    return dict(_items(facts))


def _items(facts: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in facts.items() if value not in (None, ""))
