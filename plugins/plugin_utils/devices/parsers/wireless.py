# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Catalyst 9800: clients of a wireless controller, one client with its policies, and the tags of access points.

The tables are judged line by line. The page about one client has some 150 lines that differ by release and carry nothing used here; only
its session manager, which has lists and tags, is judged line by line.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Parsed
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.lines import (
    MAC,
    Remarks,
    lines_of,
    mac_text,
)

_COUNT = re.compile(r"\ANumber of (?P<excluded>Excluded )?Clients: (?P<count>\d+)\Z")
_HEAD = re.compile(r"\AMAC Address +AP Name +Type +ID +State")
_ROW = re.compile(
    r"\A(?P<mac>\S+) +(?P<ap>\S(?:.*?\S)?) +(?P<type>WLAN|RLAN|GLAN) +(?P<id>\d+) +(?P<state>\S(?:[ \w/-]*?\S)?) {2,}"
    r"(?P<protocol>\S+)(?: +(?P<method>\S+))?(?: +(?P<role>Local|Foreign|Anchor|Export Anchor|Export Foreign|Unknown))?\Z"
)
_TAG_COUNT = re.compile(r"\ANumber of APs: (\d+)\Z")
_TAG_HEAD = re.compile(r"\AAP Name +AP Mac +Site Tag Name")
_TAG_ROW = re.compile(
    r"\A(?P<name>\S+) +(?P<mac>\S+) +(?P<site>\S+) +(?P<policy>\S+) +(?P<rf>\S+) +(?P<wrong>Yes|No) +(?P<source>\S.*)\Z"
)
# The lines of a client's page that are used, by the text before the first colon.
_KEYS = {
    "Client MAC Address": "mac",
    "Client IPv4 Address": "ipv4",
    "Client IPv6 Addresses": "ipv6",
    "Client Username": "username",
    "AP Name": "access_point",
    "Client State": "state",
    "Policy Profile": "policy_profile",
    "Wireless LAN Network Name (SSID)": "ssid",
    "Move Count": "moves",
    "Mobility Role": "role",
    "Mobility Roam Type": "roam_type",
    "Policy Manager State": "policy_state",
    "FlexConnect Data Switching": "data_switching",
    "Device Type": "device_type",
    "Device Name": "device_name",
    "Authorized": "authorized",
    "Common Session ID": "session_id",
    "Method": "method",
}
_SECTIONS = {"Local Policies": "local", "Server Policies": "server", "Resultant Policies": "resultant"}
_POLICY_KEYS = (
    "ACS ACL", "Output SGT", "Input SGT", "SGT", "SGT Value", "VLAN", "VLAN Name", "VLAN Group", "Absolute-Timer", "Idle-timeout",
    "Inactivity timeout", "URL Redirect", "URL Redirect ACL", "Filter-ID", "Service Template", "Session-Timeout", "QOS Level",
    "Input QOS Policy", "Output QOS Policy", "Tunnel-Group", "Vlan Group", "IPv4 ACL", "IPv6 ACL", "UPN", "VNID", "L2VNID",
    "SGT Name", "Preauth ACL", "User Name", "Termination-Action", "EAP Timeout", "Ipsk Tag", "AAA Override",
)  # fmt: skip


@dataclass(frozen=True)
class ClientRow:
    """A client as the summary lists it; ``excluded`` clients are kept out by the controller."""

    mac: str
    access_point: str
    wlan: int
    state: str
    method: str
    role: str
    excluded: bool = False

    @property
    def running(self) -> bool:
        """Return whether its traffic passes the controller's policy."""
        return self.state == "Run" and not self.excluded


@dataclass(frozen=True)
class ClientDetail:
    """One client. ``values`` by the names that this module gives; ``policies`` (section, key, value) in order."""

    mac: str
    addresses: tuple[str, ...]
    values: dict[str, str]
    policies: tuple[tuple[str, str, str], ...] = ()

    def value(self, name: str) -> str:
        """Return a value, empty where there is none."""
        found = self.values.get(name, "")
        return "" if found in ("N/A", "None", "NA", "Unknown", "Not Applicable") else found

    def policy(self, *keys: str) -> tuple[str, ...]:
        """Return the values of some policy keys over all sections, each once, in order."""
        return tuple(dict.fromkeys(value for _section, key, value in self.policies if key in keys))

    @property
    def authorized(self) -> bool:
        """Return whether the session is authorized and its client runs."""
        return self.values.get("authorized") == "TRUE" and self.values.get("policy_state") == "Run"

    @property
    def acs_acls(self) -> tuple[str, ...]:
        """Return the names of the downloadable ACLs in force."""
        return self.policy("ACS ACL")

    @property
    def sgt(self) -> int | None:
        """Return the security group tag, None where there is none or the lines disagree. ``2724-02`` is hexadecimal with a generation."""
        found = set()
        for value in self.policy("Output SGT", "SGT", "SGT Value"):
            number, dash, _generation = value.partition("-")
            try:
                found.add(int(number, 16 if dash else 10))
            except ValueError:
                return None
        return found.pop() if len(found) == 1 else None

    @property
    def vlan(self) -> int | None:
        """Return the VLAN of the resultant policy, None where it is not a number."""
        for section, key, value in self.policies:
            if section == "resultant" and key == "VLAN" and value.isdigit():
                return int(value)
        return None

    @property
    def central(self) -> bool:
        """Return whether its traffic is switched at the controller: a downloadable ACL filters nothing where the access point switches."""
        return self.value("data_switching") in ("", "Central")


@dataclass(frozen=True)
class AccessPoint:
    """An access point and its tags: ``site_tag`` is where it is, ``policy_tag`` which networks it serves."""

    name: str
    mac: str
    site_tag: str
    policy_tag: str
    rf_tag: str


def client_summary(text: str) -> Parsed[ClientRow]:
    """Return the clients of ``show wireless client summary``; a count that differs from the rows is a finding (SW1324)."""
    remarks = Remarks("show wireless client summary")
    made: list[ClientRow] = []
    excluded, announced, counted = False, 0, False
    for line in lines_of(text, remarks.command):
        content = line.stripped
        count = _COUNT.match(content)
        row = _ROW.match(content)
        if count:
            excluded = bool(count["excluded"])
            announced, counted = announced + int(count["count"]), True
        elif row and MAC.match(row["mac"]):
            made.append(
                ClientRow(
                    mac_text(row["mac"]),
                    row["ap"],
                    int(row["id"]),
                    row["state"],
                    row["method"] or "",
                    row["role"] or "",
                    excluded,
                )
            )
        elif not _HEAD.match(content):
            remarks.unknown(line)
    if not counted:
        remarks.note(codes.OUTPUT_EMPTY, "no number of clients in the output")
    elif announced != len(made):
        remarks.note(codes.OUTPUT_CUT, f"{announced} clients are announced and {len(made)} were read")
    return Parsed(tuple(made), tuple(remarks.findings))


def client_detail(text: str) -> Parsed[ClientDetail]:
    """Return the client of ``show wireless client mac-address MAC detail``: one, or none and a finding."""
    remarks = Remarks("show wireless client detail")
    values: dict[str, str] = {}
    policies: list[tuple[str, str, str]] = []
    section, inside = "", False
    for line in lines_of(text, remarks.command):
        key, colon, value = (part.strip() for part in line.stripped.partition(":"))
        indented = line.text.startswith((" ", "\t"))
        if not indented:
            inside, section = key == "Session Manager", ""
        if colon and inside and key in _SECTIONS and not value:
            section = _SECTIONS[key]
        elif section and colon and key in _POLICY_KEYS:
            policies.append((section, key, value))
        elif section:
            remarks.unknown(line)
        elif colon and key in _KEYS:
            values.setdefault(_KEYS[key], value)
    mac = values.get("mac", "")
    if not MAC.match(mac):
        remarks.note(codes.OUTPUT_EMPTY, "no client in the output")
        return Parsed((), tuple(remarks.findings))
    made = ClientDetail(mac_text(mac), _addresses(values, remarks), values, tuple(policies))
    return Parsed((made,), tuple(remarks.findings))


def _addresses(values: dict[str, str], remarks: Remarks) -> tuple[str, ...]:
    found = []
    for name in ("ipv4", "ipv6"):
        for each in values.get(name, "").replace(",", " ").split():
            if each in ("N/A", "None", "NA", "Unknown"):
                continue
            try:
                found.append(str(ipaddress.ip_address(each)))
            except ValueError:
                remarks.note(codes.VALUE_INVALID, f"{each[:60]!r} is no address")
    return tuple(dict.fromkeys(found))


def ap_tags(text: str) -> Parsed[AccessPoint]:
    """Return the access points of ``show ap tag summary``, each once; fewer than announced is a finding."""
    remarks = Remarks("show ap tag summary")
    made: dict[str, AccessPoint] = {}
    announced = -1
    for line in lines_of(text, remarks.command):
        content = line.stripped
        count, row = _TAG_COUNT.match(content), _TAG_ROW.match(content)
        if count:
            announced = int(count[1])
        elif row and MAC.match(row["mac"]):
            made[row["name"]] = AccessPoint(row["name"], mac_text(row["mac"]), row["site"], row["policy"], row["rf"])
        elif not _TAG_HEAD.match(content):
            remarks.unknown(line)
    if announced < 0:
        remarks.note(codes.OUTPUT_EMPTY, "no number of access points in the output")
    elif announced > len(made):
        remarks.note(codes.OUTPUT_CUT, f"{announced} access points are announced and {len(made)} were read")
    return Parsed(tuple(made.values()), tuple(remarks.findings))
