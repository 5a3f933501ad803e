# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""show mac address-table, show ip arp, show device-tracking database, show ip dhcp snooping binding."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Parsed
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.lines import (
    INTERFACE,
    MAC,
    Line,
    Remarks,
    lines_of,
    long_interface,
    mac_text,
)

MAC_KINDS = (
    "dynamic",
    "static",
    "system",
    "secure",
    "igmp",
    "self",
    "blackhole",
    "cp_learn",
    "secureconfigured",
    "securedynamic",
    "securesticky",
)
PORT_WORDS = (
    "cpu",
    "router",
    "switch",
    "drop",
    "supervisor",
    "stby-switch",
    "peer-link",
    "vpc",
    "igmp",
    "glean",
    "sup-eth1(r)",
)
COUNT = re.compile(r"\ATotal Mac Addresses(?: for this criterion)?:\s*(\d+)\Z", re.IGNORECASE)
MAC_FURNITURE = re.compile(
    r"mac address table|destination address +address type|vlan +mac address|\AUnicast Entries|\AMulticast Entries"
    r"|\ALegend:|\A[a-z/#~+*() ]{1,4}[a-z]* - "
    r"|\A[A-Z#] - |\A(?:age|n/a) - |\ADisplaying entries|\A[-=+ ]+\Z"
    r"|(?:Addresses|MAC addresses)[A-Za-z() -]*(?:Count)?:\s*\d+\Z|\ANo entries present|static Address Table:\Z",
    re.IGNORECASE,
)
DURATION = re.compile(r"\A(\d+)(s|mn|m|h|hrs|d|days)?\Z")
DURATIONS = {"s": 1, "mn": 60, "m": 60, "h": 3600, "hrs": 3600, "d": 86400, "days": 86400, None: 1}
ORIGINS = ("L", "S", "ND", "ARP", "DH4", "DH6", "PKT", "API")
TRACKING_STATES = (
    "INCOMPLETE",
    "REACHABLE",
    "VERIFY",
    "STALE",
    "DOWN",
    "TENTATIVE",
    "DELAY",
    "PROBE",
    "CREATING",
    "UNKNOWN",
    "SEARCH",
    "NONE",
    "REACHABLE-EXPIRING",
)
TRACKING_FURNITURE = re.compile(
    r"\ABinding Table has|\AvlanDB has|\A\S+ has \d+ entr|\ACodes:|\APreflevel"
    r"|\A[0-9A-F]{4}:|Network Layer Address|\Aportdb has|\Amacdb has",
    re.IGNORECASE,
)
DECLARED = re.compile(r"\A(?:Binding Table|\S+) has (\d+) entr")


@dataclass(frozen=True)
class MacEntry:
    """A row of the MAC address table. ``vlan`` is None for all VLANs or none; ``ports`` are spelled out."""

    vlan: int | None
    mac: str
    kind: str
    ports: tuple[str, ...]


@dataclass(frozen=True)
class ArpEntry:
    """A row of the ARP table. ``age_minutes`` is None for the device's own addresses; ``interface`` may be empty."""

    address: str
    age_minutes: int | None
    mac: str
    interface: str


@dataclass(frozen=True)
class TrackingEntry:
    """A row of the binding table of device tracking. ``origin`` is L, S, ND, ARP, DH4, DH6, PKT or API; ``mac`` is empty for any."""

    origin: str
    address: str
    mac: str
    interface: str
    vlan: int
    preference_level: str
    age_seconds: int
    state: str


@dataclass(frozen=True)
class SnoopingEntry:
    """A row of the DHCP snooping table. ``lease_seconds`` is None for an infinite lease."""

    mac: str
    address: str
    lease_seconds: int | None
    kind: str
    vlan: int
    interface: str


def mac_address_table(text: str) -> Parsed[MacEntry]:
    """Return the rows of ``show mac address-table`` in any of its layouts (Catalyst 2900XL to 9000).

    Raises FindingError SW1322 where the device refused the command. A total that differs from the rows is a finding.
    """
    remarks = Remarks("show mac address-table")
    entries: list[MacEntry] = []
    for line in lines_of(text, remarks.command):
        content = line.stripped
        counted = COUNT.match(content)
        if counted:
            # The oldest layout counts the switch's own addresses too, before the rows.
            if entries and int(counted[1]) != len(entries):
                remarks.note(
                    codes.OUTPUT_CUT, f"{counted[1]} rows are announced and {len(entries)} were read", line.number
                )
            continue
        if MAC_FURNITURE.search(content):
            continue
        tokens = content.replace(",", " ").split()
        position = next((i for i, token in enumerate(tokens) if MAC.match(token)), -1)
        if position >= 0:
            made = _mac_entry(tokens, position)
            if made is None:
                remarks.unknown(line)
            else:
                entries.append(made)
        elif entries and line.text[:1].isspace() and all(_is_port(token) for token in tokens):
            last = entries[-1]
            entries[-1] = MacEntry(last.vlan, last.mac, last.kind, (*last.ports, *_ports(tokens)))
        else:
            remarks.unknown(line)
    return Parsed(tuple(entries), tuple(remarks.findings))


def _mac_entry(tokens: list[str], position: int) -> MacEntry | None:
    before, mac, after = tokens[:position], mac_text(tokens[position]), tokens[position + 1 :]
    if not after or after[0].lower() not in MAC_KINDS:
        return None
    kind, rest = after[0].lower(), after[1:]
    if not before:
        # The oldest layout: address, type, VLAN, port.
        if len(rest) < 2 or not rest[0].isdigit():
            return None
        vlan: int | None = int(rest[0])
        rest = rest[1:]
    else:
        word = before[-1].lower()
        if any(flag not in ("*", "R", "S", "D", "G", "O", "C", "#", "+", "~") for flag in before[:-1]):
            return None
        if not (word.isdigit() or word in ("all", "---", "n/a", "-")):
            return None
        vlan = int(word) if word.isdigit() else None
        if rest and rest[0].lower() in ("yes", "no"):
            rest = rest[1:]
            if rest and (rest[0].isdigit() or rest[0] in ("-", "~~~", "NA", "n/a")):
                rest = rest[1:]
        elif rest and rest[0].lower() in ("ip", "ipx", "assigned", "other"):
            while rest and rest[0].lower() in ("ip", "ipx", "assigned", "other"):
                rest = rest[1:]
        elif len(rest) > 1 and (rest[0].isdigit() or rest[0] == "-"):
            rest = rest[1:]
    if vlan is not None and not 0 <= vlan <= 4095:
        return None
    if not all(_is_port(token) for token in rest):
        return None
    return MacEntry(vlan, mac, kind, _ports(rest))


def _is_port(token: str) -> bool:
    return bool(INTERFACE.match(token)) or token.lower() in PORT_WORDS


def _ports(tokens: list[str]) -> tuple[str, ...]:
    joined = " ".join(tokens).replace("vPC Peer-Link", "vPC-Peer-Link").split()
    return tuple(long_interface(token) for token in joined)


def ip_arp(text: str) -> Parsed[ArpEntry]:
    """Return the rows of ``show ip arp`` or ``show arp`` that have a hardware address; incomplete ones are left out."""
    remarks = Remarks("show ip arp")
    entries = []
    for line in lines_of(text, remarks.command):
        tokens = line.text.split()
        if tokens[0] == "Protocol" and "Address" in tokens:
            continue
        made = _arp_entry(tokens)
        if made is None:
            remarks.unknown(line)
        elif made.mac:
            entries.append(made)
    return Parsed(tuple(entries), tuple(remarks.findings))


def _arp_entry(tokens: list[str]) -> ArpEntry | None:
    if (
        not 4 <= len(tokens) <= 6
        or tokens[0] != "Internet"
        or not _v4(tokens[1])
        or not (tokens[2] == "-" or tokens[2].isdigit())
    ):
        return None
    age = None if tokens[2] == "-" else int(tokens[2])
    if tokens[3] == "Incomplete":
        return ArpEntry(tokens[1], age, "", "")
    if not MAC.match(tokens[3]) or len(tokens) < 5:
        return None
    interface = tokens[5] if len(tokens) == 6 else ""
    return ArpEntry(tokens[1], age, mac_text(tokens[3]), long_interface(interface))


def device_tracking_database(text: str) -> Parsed[TrackingEntry]:
    """Return the rows of ``show device-tracking database`` (SISF); prefixes and rows without a device are left out.

    Fewer rows than the table announces is a finding.
    """
    remarks = Remarks("show device-tracking database")
    entries: list[TrackingEntry] = []
    rows = declared = 0
    for line in lines_of(text, remarks.command):
        announced = DECLARED.match(line.stripped)
        if announced:
            declared += int(announced[1])
        if TRACKING_FURNITURE.search(line.stripped):
            continue
        made = _tracking_entry(line)
        if made is None:
            remarks.unknown(line)
            continue
        rows += 1
        if made.mac and "/" not in made.address:
            entries.append(made)
    if rows < declared:
        remarks.note(codes.OUTPUT_CUT, f"{declared} rows are announced and {rows} were read")
    return Parsed(tuple(entries), tuple(remarks.findings))


def _tracking_entry(line: Line) -> TrackingEntry | None:
    tokens = line.text.split()
    if len(tokens) < 8 or tokens[0] not in ORIGINS:
        return None
    origin, address, mac, interface, vlan, level, age, state = tokens[:8]
    address, slash, length = address.partition("/")
    lasted = DURATION.match(age)
    try:
        plain = str(ipaddress.ip_address(address))
    except ValueError:
        return None
    if mac != "any" and not MAC.match(mac):
        return None
    if (
        not (interface == "any" or INTERFACE.match(interface))
        or not vlan.isdigit()
        or not lasted
        or state not in TRACKING_STATES
    ):
        return None
    if not re.fullmatch(r"[0-9A-Fa-f]{4}", level):
        return None
    seconds = int(lasted[1]) * DURATIONS[lasted[2]]
    name = "" if interface == "any" else long_interface(interface)
    return TrackingEntry(
        origin, plain + slash + length, "" if mac == "any" else mac_text(mac), name, int(vlan), level, seconds, state
    )


def ip_dhcp_snooping_binding(text: str) -> Parsed[SnoopingEntry]:
    """Return the rows of ``show ip dhcp snooping binding``. A total that differs from the rows is a finding."""
    remarks = Remarks("show ip dhcp snooping binding")
    entries: list[SnoopingEntry] = []
    for line in lines_of(text, remarks.command):
        content = line.stripped
        if content.startswith("MacAddress "):
            continue
        total = re.match(r"\ATotal number of bindings:\s*(\d+)\Z", content)
        if total:
            if int(total[1]) != len(entries):
                remarks.note(
                    codes.OUTPUT_CUT, f"{total[1]} rows are announced and {len(entries)} were read", line.number
                )
            continue
        tokens = content.split()
        if (
            len(tokens) != 6
            or not MAC.match(tokens[0])
            or not _v4(tokens[1])
            or not tokens[4].isdigit()
            or not INTERFACE.match(tokens[5])
        ):
            remarks.unknown(line)
            continue
        lease = None if tokens[2].lower() == "infinite" else int(tokens[2]) if tokens[2].isdigit() else -1
        if lease == -1:
            remarks.unknown(line)
            continue
        entries.append(
            SnoopingEntry(mac_text(tokens[0]), tokens[1], lease, tokens[3], int(tokens[4]), long_interface(tokens[5]))
        )
    return Parsed(tuple(entries), tuple(remarks.findings))


def _v4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True
