# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""show access-session and show authentication sessions, as lists and with details."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

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

DOMAINS = ("DATA", "VOICE", "UNKNOWN", "N/A")
STATUSES = (
    "Auth",
    "Unauth",
    "Authz Success",
    "Authz Failed",
    "Running",
    "Idle",
    "No Methods",
    "N/A",
    "Authorized",
    "Unauthorized",
)
SESSION_ID = re.compile(r"\A[0-9A-F]{16,40}\Z")
FLAGS = re.compile(r"\A[ADFIPRUX]{1,8}\Z")
COUNT = re.compile(r"\A\*?Session count = (\d+)\*?\Z")
LIST_FURNITURE = re.compile(
    r"\AInterface +(?:MAC Address|Identifier) +Method|\AID\Z|\AKey to |\A[A-Z]{1,2}:? - |\ARunnable methods list:"
    r"|\AHandle +Priority +Name|\A\d+ +\d+ +\w+\Z"
    r"|\ANo sessions (?:currently exist|match)|\ASession id=[0-9A-F]+\Z",
    re.IGNORECASE,
)
# Keys of a session's own lines; what stands in the sections below is kept by section, whatever its key.
KEYS = (
    "IIF-ID", "MAC Address", "IPv6 Address", "IPv4 Address", "IP Address", "User-Name", "Device-type", "Device-name", "VM ID",
    "Status", "Domain", "Oper host mode", "Oper control dir", "Session timeout", "Timeout action", "Restart timeout",
    "Unauth timeout", "Periodic Acct timeout", "Session Uptime", "Common Session ID", "Acct Session ID", "Acct Session Id", "Handle",
    "Current Policy", "Authorized By", "Vlan Policy", "Idle timeout", "AAA UID", "VLAN ID", "Critical Auth", "Security Policy",
    "Security Status", "Acct update timeout",
)  # fmt: skip
SECTIONS = {"Local Policies": "local", "Server Policies": "server", "Resultant Policies": "resultant"}
METHOD_LISTS = ("Method status list", "Runnable methods list")
METHODS = ("dot1x", "mab", "webauth", "dot1xSup")
POLICY_KEYS = (
    "ACS ACL", "SGT Value", "SGT", "Vlan Group", "VLAN", "Vlan", "URL Redirect", "URL Redirect ACL", "Filter-ID", "Session-Timeout",
    "Template", "Service Template", "Interface Template", "Security Policy", "Security Status", "Idle timeout", "Idle-Timeout",
    "Inactivity timeout", "Per-User ACL", "Input QOS Policy", "Output QOS Policy", "VLAN ID", "Server Policies", "Linksec", "Policy",
    "Termination-Action", "EAPoL Secure", "UPN", "Device ID", "Absolute-Timer", "Local Policy", "IPv6 ACL", "In ACL", "Method-List",
    "Method Lists", "Auth Method List", "VN Value", "Tunnel-Group", "Voice Vlan", "Critical Auth",
)  # fmt: skip


@dataclass(frozen=True)
class SessionRow:
    """A row of the session list; ``mac`` is empty where the switch knows none yet."""

    interface: str
    mac: str
    method: str
    domain: str
    status: str
    session_id: str

    @property
    def authorized(self) -> bool:
        """Return whether the session is authorized."""
        return self.status in ("Auth", "Authz Success", "Authorized")


@dataclass(frozen=True)
class SessionDetails:
    """One session with its details. ``values`` has the session's own lines by key; ``policies`` (section, key, value) in order."""

    interface: str
    mac: str
    addresses: tuple[str, ...]
    values: Mapping[str, str] = field(default_factory=dict)
    policies: tuple[tuple[str, str, str], ...] = ()
    methods: Mapping[str, str] = field(default_factory=dict)

    @property
    def authorized(self) -> bool:
        """Return whether the session is authorized."""
        return self.values.get("Status", "") in ("Authorized", "Authz Success", "Auth")

    @property
    def session_id(self) -> str:
        """Return the common session id."""
        return self.values.get("Common Session ID", "")

    def policy(self, key: str) -> tuple[str, ...]:
        """Return the values of a policy key over all sections, each once, in order."""
        return tuple(
            dict.fromkeys(value for _section, name, value in self.policies if name.casefold() == key.casefold())
        )

    @property
    def acs_acls(self) -> tuple[str, ...]:
        """Return the names of the downloadable ACLs in force."""
        return self.policy("ACS ACL")

    @property
    def sgt(self) -> int | None:
        """Return the security group tag, or None where there is none or the lines disagree."""
        found = set()
        for key in ("SGT Value", "SGT"):
            for value in self.policy(key):
                number = value.split("-", maxsplit=1)[0].strip()
                # ``SGT: 0004-0`` is hexadecimal with a generation, ``SGT Value: 4`` is decimal.
                try:
                    found.add(int(number, 16 if "-" in value and key == "SGT" else 10))
                except ValueError:
                    return None
        return found.pop() if len(found) == 1 else None

    @property
    def vlan(self) -> int | None:
        """Return the VLAN the session was given, or None."""
        found = set()
        for key in ("Vlan Group", "VLAN", "Vlan", "VLAN ID", "Vlan Policy"):
            for value in (*self.policy(key), self.values.get(key, "")):
                number = re.fullmatch(r"(?:Vlan:?\s*)?(\d{1,4})", value, re.IGNORECASE)
                if number:
                    found.add(int(number[1]))
        return found.pop() if len(found) == 1 else None


def sessions(text: str) -> Parsed[SessionRow]:
    """Return the rows of ``show access-session`` or ``show authentication sessions``. A count that differs from the rows is a finding."""
    remarks = Remarks("show access-session")
    entries: list[SessionRow] = []
    for line in lines_of(text, remarks.command):
        content = line.stripped
        counted = COUNT.match(content)
        if counted:
            if int(counted[1]) != len(entries):
                remarks.note(
                    codes.OUTPUT_CUT, f"{counted[1]} sessions are announced and {len(entries)} were read", line.number
                )
            continue
        if LIST_FURNITURE.match(content):
            continue
        made = _row(content.split())
        if made is None:
            remarks.unknown(line)
        else:
            entries.append(made)
    return Parsed(tuple(entries), tuple(remarks.findings))


def _row(tokens: list[str]) -> SessionRow | None:
    if (
        len(tokens) < 6
        or not INTERFACE.match(tokens[0])
        or tokens[3] not in DOMAINS
        or not SESSION_ID.match(tokens[-1])
    ):
        return None
    middle = tokens[4:-1]
    if len(middle) > 1 and FLAGS.match(middle[-1]) and " ".join(middle) not in STATUSES:
        middle = middle[:-1]
    status = " ".join(middle)
    identifier = tokens[1]
    if status not in STATUSES or not (MAC.match(identifier) or identifier in ("(unknown)", "Unknown", "unknown")):
        return None
    return SessionRow(
        long_interface(tokens[0]),
        mac_text(identifier) if MAC.match(identifier) else "",
        tokens[2],
        tokens[3],
        status,
        tokens[-1],
    )


def session_details(text: str) -> Parsed[SessionDetails]:
    """Return the sessions of the same commands with ``details``, and of ``show authentication sessions interface X``."""
    remarks = Remarks("show access-session details")
    blocks: list[list[Line]] = []
    for line in lines_of(text, remarks.command):
        if re.match(r"\*?Interface:", line.stripped):
            blocks.append([line])
        elif blocks:
            blocks[-1].append(line)
        elif not LIST_FURNITURE.match(line.stripped) and not COUNT.match(line.stripped):
            remarks.unknown(line)
    entries = [made for made in (_session(block, remarks) for block in blocks) if made is not None]
    return Parsed(tuple(entries), tuple(remarks.findings))


def _session(block: list[Line], remarks: Remarks) -> SessionDetails | None:
    interface = block[0].stripped.strip("*").partition(":")[2].strip().strip("*")
    if not INTERFACE.match(interface):
        remarks.note(
            codes.VALUE_INVALID, f"{interface[:60]!r} is no interface; its session is left out", block[0].number
        )
        return None
    values: dict[str, str] = {}
    policies: list[tuple[str, str, str]] = []
    methods: dict[str, str] = {}
    section = ""
    for line in block[1:]:
        content = line.stripped.strip("*").rstrip()
        key, colon, value = content.partition(":")
        key, value = key.strip(), value.strip().rstrip("*").rstrip()
        if colon and key in SECTIONS and not value:
            section = SECTIONS[key]
        elif colon and key in METHOD_LISTS and value in ("", "empty"):
            section = "methods"
        elif section == "methods" and (
            content.split() == ["Method", "State"] or content.split() == ["Handle", "Priority", "Name"]
        ):
            continue
        elif section == "methods" and content.split()[0] in METHODS:
            methods[content.split()[0]] = " ".join(content.split()[1:])
        elif section == "methods" and re.fullmatch(r"\d+ +\d+ +\w+", content):
            continue
        elif colon and section in SECTIONS.values() and (key in POLICY_KEYS or key in KEYS):
            policies.append((section, key, value))
        elif colon and not section and key in KEYS:
            values.setdefault(key, value)
        elif LIST_FURNITURE.match(content) or COUNT.match(content):
            continue
        else:
            remarks.unknown(line)
    return _made(interface, values, policies, methods, block[0], remarks)


def _made(
    interface: str,
    values: dict[str, str],
    policies: list[tuple[str, str, str]],
    methods: dict[str, str],
    first: Line,
    remarks: Remarks,
) -> SessionDetails | None:
    mac = values.get("MAC Address", "Unknown")
    if mac not in ("Unknown", "N/A") and not MAC.match(mac):
        remarks.note(codes.VALUE_INVALID, f"{mac[:60]!r} is no MAC address; its session is left out", first.number)
        return None
    addresses = []
    for key in ("IPv4 Address", "IP Address", "IPv6 Address"):
        for each in values.get(key, "").replace(",", " ").split():
            if each in ("Unknown", "N/A"):
                continue
            try:
                addresses.append(str(ipaddress.ip_address(each)))
            except ValueError:
                remarks.note(codes.VALUE_INVALID, f"{each[:60]!r} is no address", first.number)
    return SessionDetails(
        long_interface(interface),
        mac_text(mac) if MAC.match(mac) else "",
        tuple(dict.fromkeys(addresses)),
        values,
        tuple(policies),
        methods,
    )
