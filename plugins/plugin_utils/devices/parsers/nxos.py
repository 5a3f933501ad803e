# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NX-OS: show ip arp, show mac address-table.

Layouts: outputs of Nexus 3000 to 9000 in the corpora. Each line is in an entry, is known furniture, or is in a finding.
"""

from __future__ import annotations

import ipaddress
import re

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
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.tables import ArpEntry, MacEntry

ARP_FURNITURE = re.compile(
    r"\AFlags: |\A(?:[*+#~]|CP|PS|RO|D|L|S|IP) - |\AIP ARP Table for |\AIP ARP Table\Z|\ATotal number of entries: \d+\Z"
    r"|\AAddress +Age +MAC Address +Interface(?: +Flags)?(?: +Physical Interface)?\Z"
)
TOTAL = re.compile(r"\ATotal number of entries: (\d+)\Z")
ARP_FLAGS = re.compile(r"\A(?:[*+#~D]|CP|PS|RO|L|S)\Z")
AGE = re.compile(r"\A(?:(\d+)d(\d+)h|(\d+):(\d{2}):(\d{2})|(\d+\.\d+)|-)\Z")
MAC_FURNITURE = re.compile(
    r"\ALegend:|\A\* - primary entry|\Aage - seconds|\A\(T\) - True|\ANote: MAC table|\AUse the 'hardware-age'"
    r"|\AVLAN(?:/BD)? +MAC Address +Type +age +Secure +NTFY +Ports|\A[-+]+\Z|\ATotal MAC Addresses: \d+\Z",
    re.IGNORECASE,
)
# Flag, VLAN, address, type, age, secure, notify, then the ports.
MAC_ROW = re.compile(
    r"\A(?P<flag>[*+GO~C]{0,3})\s*(?P<vlan>\d{1,4}|-)(?:/\S+)?\s+(?P<mac>\S+)\s+(?P<kind>static|dynamic|secure)\s+(?P<age>\d+|NA|-|~+)\s+[TF-]\s+[TF-]\s+"
    r"(?P<ports>\S.*)\Z",
    re.IGNORECASE,
)


def ip_arp(text: str) -> Parsed[ArpEntry]:
    """Return the rows of ``show ip arp``, of one VRF or all, that have a hardware address; incomplete ones are left out.

    Raises FindingError SW1322 where the device refused the command. A total that differs from the rows of a single table is a
    finding.
    """
    remarks = Remarks("show ip arp")
    entries: list[ArpEntry] = []
    rows, totals = 0, []
    for line in lines_of(text, remarks.command):
        content = line.stripped
        if found := TOTAL.match(content):
            totals.append((int(found[1]), line.number))
        if ARP_FURNITURE.match(content):
            continue
        made = _arp_entry(content.split())
        if made is None:
            remarks.unknown(line)
            continue
        rows += 1
        if made.mac:
            entries.append(made)
    if totals and not remarks.findings and rows != sum(count for count, _number in totals):
        remarks.unknown(
            Line(totals[0][1], f"{rows} rows where {sum(count for count, _number in totals)} are announced")
        )
    return Parsed(tuple(entries), tuple(remarks.findings))


def _arp_entry(tokens: list[str]) -> ArpEntry | None:
    if len(tokens) < 4 or not _v4(tokens[0]) or not (age := AGE.match(tokens[1])):
        return None
    if not INTERFACE.match(tokens[3]):
        return None
    rest = tokens[4:]
    if any(not ARP_FLAGS.match(word) and not INTERFACE.match(word) for word in rest):
        return None
    minutes = _minutes(age)
    if tokens[2].upper() == "INCOMPLETE":
        return ArpEntry(tokens[0], minutes, "", "")
    if not MAC.match(tokens[2]):
        return None
    return ArpEntry(tokens[0], minutes, mac_text(tokens[2]), long_interface(tokens[3]))


def _minutes(age: re.Match[str]) -> int | None:
    if age[1]:
        return (int(age[1]) * 24 + int(age[2])) * 60
    if age[3]:
        return int(age[3]) * 60 + int(age[4])
    return 0 if age[6] else None


def mac_address_table(text: str) -> Parsed[MacEntry]:
    """Return the rows of ``show mac address-table``; a row of the switch's own (gateway, supervisor) has the kind ``self``.

    Raises FindingError SW1322 where the device refused the command.
    """
    remarks = Remarks("show mac address-table")
    entries = []
    for line in lines_of(text, remarks.command):
        if MAC_FURNITURE.match(line.stripped):
            continue
        made = _mac_entry(line.stripped)
        if made is None:
            remarks.unknown(line)
        else:
            entries.append(made)
    return Parsed(tuple(entries), tuple(remarks.findings))


def _mac_entry(content: str) -> MacEntry | None:
    found = MAC_ROW.match(content)
    if found is None or not MAC.match(found["mac"]):
        return None
    ports = found["ports"].split()
    own = "G" in found["flag"] or any("(R)" in word for word in ports) or ports[0].lower() in ("drop", "cpu")
    vlan = None if found["vlan"] == "-" else int(found["vlan"])
    if own:
        return MacEntry(vlan, mac_text(found["mac"]), "self", ())
    # Anything behind the first port (a VTEP's address, a port channel's members) is not where the device is.
    names = [word for word in ports if INTERFACE.match(word)]
    if not names and not re.match(r"(?i)nve|vpc|sup-eth", ports[0]):
        return None
    return MacEntry(vlan, mac_text(found["mac"]), found["kind"].lower(), tuple(long_interface(word) for word in names))


def _v4(text: str) -> bool:
    try:
        return bool(ipaddress.IPv4Address(text))
    except ValueError:
        return False
