# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""show lldp neighbors detail and show version."""

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

NOT_ADVERTISED = re.compile(r"\A(.+?):? ?- not (?:advertised|supported)\Z")
KEYS = (
    "Local Intf", "Local Intf service instance", "Chassis id", "Port id", "Port Description", "System Name", "Time remaining",
    "System Capabilities", "Enabled Capabilities", "Media Attachment Unit type", "Vlan ID", "Peer Source MAC", "Auto Negotiation",
    "Peer MAC", "Link Aggregation",
)  # fmt: skip
MED_KEYS = (
    "H/W revision", "F/W revision", "S/W revision", "Serial number", "Manufacturer", "Model", "Asset id", "Asset ID", "Capabilities",
    "Device type", "Location", "Inventory information", "Network Policies", "Power requirements",
)  # fmt: skip
MEDIUM = re.compile(
    r"\A(?:\d+[A-Za-z][\w-]*(?:\([A-Z]+\))?|(?:Symm|Asym|Other|Pause|b-)[\w,/ -]*(?:\([A-Z]+\))?"
    r"|Other/unknown|\d+(?:Gbase|base|GBASE)\S*)\Z"
)
MED_TEXT = re.compile(
    r"\A(?:MED Information:|MED Codes:|\((?:NP|PS|IN|LI|PD)\)|Network Policy\(|PD device,|PSE device,"
    r"|Power (?:via MDI|via-MDI|Pair|Class|Device Type|Source|Priority|Requested|Allocated|value|pair|class)"
    r"|PoE\+? Power|\d+W|Location|Coordinate|ELIN|Civic|OID:|[\d.]+\.\Z)"
)
ENDS_OF_DESCRIPTION = ("Time remaining:",)


@dataclass(frozen=True)
class Neighbor:
    """An LLDP neighbour. ``mac`` is its MAC from chassis, port or peer source, empty where none is one; ``addresses`` management's."""

    interface: str
    chassis: str
    port: str
    mac: str
    system_name: str
    description: str
    capabilities: tuple[str, ...]
    addresses: tuple[str, ...]
    manufacturer: str = ""
    model: str = ""
    device_type: str = ""


@dataclass(frozen=True)
class Version:
    """What ``show version`` says of the switch itself; empty where it does not say."""

    hostname: str
    software: str
    model: str
    serial: str
    uptime: str
    image: str


def lldp_neighbors_detail(text: str) -> Parsed[Neighbor]:
    """Return the neighbours of ``show lldp neighbors detail``. A count that differs from what was read is a finding."""
    remarks = Remarks("show lldp neighbors detail")
    blocks: list[list[Line]] = []
    for line in lines_of(text, remarks.command):
        content = line.stripped
        counted = re.match(r"\ATotal entries displayed:\s*(\d+)\Z", content)
        if counted:
            if int(counted[1]) != len(blocks):
                remarks.note(
                    codes.OUTPUT_CUT, f"{counted[1]} neighbours are announced and {len(blocks)} were read", line.number
                )
        elif content.startswith("Local Intf:") or (content.startswith("Chassis id:") and not _open(blocks)):
            blocks.append([line])
        elif blocks:
            blocks[-1].append(line)
        elif not content.startswith(("Capability codes", "(R) Router", "(W) WLAN")):
            remarks.unknown(line)
    return Parsed(tuple(_neighbor(block, remarks) for block in blocks), tuple(remarks.findings))


def _open(blocks: list[list[Line]]) -> bool:
    """Return whether the last block has no chassis yet, so that a chassis line belongs to it."""
    return bool(blocks) and not any(line.stripped.startswith("Chassis id:") for line in blocks[-1])


def _neighbor(block: list[Line], remarks: Remarks) -> Neighbor:
    values: dict[str, str] = {}
    med: dict[str, str] = {}
    addresses: list[str] = []
    description: list[str] = []
    mode = ""
    for line in block:
        content = line.stripped
        key, colon, value = content.partition(":")
        key, value = key.strip(), value.strip()
        if mode == "description" and not content.startswith(ENDS_OF_DESCRIPTION):
            description.append(content)
            continue
        bare = NOT_ADVERTISED.match(content)
        if key == "System Description":
            mode = "description"
            if value:
                description.append(value)
        elif key == "Management Addresses" and colon:
            mode = "addresses"
        elif key == "Physical media capabilities" and colon:
            mode = "media"
        elif content == "MED Information:":
            mode = "med"
        elif key in KEYS and colon:
            mode = ""
            values[key] = "" if value.endswith("not advertised") else value
        elif bare or content.startswith("Auto Negotiation"):
            mode = mode if mode == "med" else ""
        elif mode == "addresses" and key in ("IP", "IPV6", "IPv6", "Other", "OID", "MAC") and colon:
            _address(key, value, addresses, line, remarks)
        elif mode == "media" and MEDIUM.match(content):
            continue
        elif key in MED_KEYS and colon and mode == "med":
            med[key] = "" if value == "-" else value
        elif MED_TEXT.match(content):
            continue
        else:
            remarks.unknown(line)
    return Neighbor(
        long_interface(values.get("Local Intf", "")),
        values.get("Chassis id", ""),
        values.get("Port id", ""),
        _mac_of(values),
        values.get("System Name", ""),
        "\n".join(description),
        tuple(each.strip() for each in values.get("System Capabilities", "").split(",") if each.strip()),
        tuple(dict.fromkeys(addresses)),
        med.get("Manufacturer", ""),
        med.get("Model", ""),
        med.get("Device type", ""),
    )


def _address(key: str, value: str, addresses: list[str], line: Line, remarks: Remarks) -> None:
    if key in ("Other", "OID", "MAC"):
        return
    try:
        parsed = ipaddress.ip_address(value)
    except ValueError:
        remarks.note(codes.VALUE_INVALID, f"{value[:60]!r} is no address", line.number)
        return
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    addresses.append(str(mapped or parsed))


def _mac_of(values: dict[str, str]) -> str:
    for key in ("Chassis id", "Peer Source MAC", "Peer MAC", "Port id"):
        found = values.get(key, "").split(":P", maxsplit=1)[0]
        if re.fullmatch(r"[0-9A-Fa-f]{12}", found):
            found = ":".join(found[i : i + 2] for i in range(0, 12, 2))
        if MAC.match(found):
            return mac_text(found)
    return ""


def version(text: str) -> Parsed[Version]:
    """Return what ``show version`` says; exactly one entry, or none and a finding where it is not that command's output.

    Its many other lines differ by platform and carry nothing used here, so they are not judged.
    """
    remarks = Remarks("show version")
    lines = lines_of(text, remarks.command)
    body = "\n".join(line.text for line in lines)

    def first(*patterns: str) -> str:
        for pattern in patterns:
            found = re.search(pattern, body, re.MULTILINE)
            if found:
                return found[1].strip()
        return ""

    software = first(
        r"^Cisco IOS[ -]XE Software, Version (\S+)",
        r"^Cisco IOS.*?, Version ([^,\s]+)",
        r"^IOS \(tm\).*?, Version ([^,\s]+)",
    )
    made = Version(
        first(r"^(\S+) uptime is "),
        software,
        first(r"^Model [Nn]umber\s*:\s*(\S+)", r"^[Cc]isco (\S+) \(.*processor"),
        first(r"^System [Ss]erial [Nn]umber\s*:\s*(\S+)", r"^Processor board ID (\S+)"),
        first(r"^\S+ uptime is (.+)$"),
        first(r'^System image file is "([^"]+)"'),
    )
    if not software or not made.hostname:
        remarks.note(codes.OUTPUT_EMPTY, "no version or no host name in the output")
        return Parsed((), tuple(remarks.findings))
    return Parsed((made,), ())


def is_interface(name: str) -> bool:
    """Return whether a text is the name of an interface."""
    return bool(INTERFACE.match(name))
