# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the policy server gave a switch: sessions with their downloaded lists, and cells of the egress matrix."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import Any

from tests.lab.iosxe.ace_text import EXTENDED, ROLE_BASED, ROLE_BASED6, Ace
from tests.lab.iosxe.acl_syntax import parse_ace
from tests.lab.iosxe.grammar import SyntaxFault
from tests.lab.iosxe.interfaces import full_name

DEFAULT_CELL = (-2, -2)
UNKNOWN = -1


def dotted(mac: str) -> str:
    """Return a MAC address as IOS prints it: 0011.2233.4455."""
    digits = re.sub(r"[^0-9a-f]", "", mac.lower())
    return f"{digits[:4]}.{digits[4:8]}.{digits[8:12]}"


@dataclass(frozen=True)
class EndpointSession:
    """One authenticated endpoint on a port. dacl is the name as the switch shows it, aces its entries."""

    mac: str
    ip: str | None
    ipv6: str | None
    interface: str
    vlan: int
    user_name: str
    domain: str
    method: str
    authorized: bool
    dacl: str | None
    aces: tuple[Ace, ...]
    lines: tuple[str, ...]
    sgt: int | None
    sgt_name: str | None
    session_id: str


@dataclass(frozen=True)
class DownloadedCell:
    """One cell from the policy server. sgacls: (name, families, entries by family)."""

    source: int
    destination: int
    sgacls: tuple[tuple[str, tuple[int, ...], tuple[Ace, ...]], ...]
    monitor: bool
    default_rule: str


def session_from_dict(data: dict[str, Any], hosts: dict[str, Any]) -> EndpointSession:
    """Build a session; hosts: the switch's own table by dotted MAC, used for what the data leaves out.

    A downloaded list with a line that the switch does not take fails the authorization (facts/devices.md section 1.4).
    Remarks are left out.
    """
    mac = dotted(data["mac"])
    host = hosts.get(mac)
    name = data.get("dacl")
    aces: tuple[Ace, ...] = ()
    authorized = data.get("status", "Authorized") in ("Authorized", "Authz Success", "Auth")
    if name:
        name = "xACSACLx-" + re.sub(r"^(#ACSACL#|xACSACLx)-", "", name)
        lines = data.get("dacl_lines") or []
        if isinstance(lines, str):
            lines = lines.splitlines()
        try:
            aces = tuple(parse_ace(line, EXTENDED) for line in lines if line.split()[:1] not in ([], ["remark"]))
        except SyntaxFault:
            authorized, name, aces = False, None, ()
    interface = data.get("interface") or (host.interface if host else "")
    seed = zlib.crc32(mac.encode())
    digits = mac.replace(".", "").upper()
    return EndpointSession(
        mac=mac,
        ip=data.get("ip") or (host.ip if host else None),
        ipv6=data.get("ipv6") or (host.ipv6 if host else None),
        interface=full_name(interface) or interface,
        vlan=int(data.get("vlan") or (host.vlan if host else 1)),
        user_name=data.get("user_name") or "-".join(digits[i : i + 2] for i in range(0, 12, 2)),
        domain=data.get("domain") or "DATA",
        method=data.get("method") or "mab",
        authorized=authorized,
        dacl=name if authorized else None,
        aces=aces if authorized else (),
        lines=tuple(ace.text for ace in aces) if authorized else (),
        sgt=int(data["sgt"]) if authorized and data.get("sgt") not in (None, "") else None,
        sgt_name=data.get("sgt_name"),
        session_id=f"{seed:08X}0000{seed % 0xFFFF:04X}{seed ^ 0x5A5A5A5A:08X}",
    )


def tag(value: Any) -> int:
    """Return a group tag as a number: unknown is -1, the default policy -2."""
    word = str(value).lower()
    if word in ("default", "any", "*", "65535", "-2"):
        return DEFAULT_CELL[0]
    return UNKNOWN if word in ("unknown", "0", "-1") else int(word)


def cell_from_dict(data: dict[str, Any]) -> DownloadedCell | None:
    """Build a cell; None for a disabled one. Lists with a line that the switch does not take are left out."""
    if data.get("status", "ENABLED") == "DISABLED":
        return None
    sgacls = []
    for each in data.get("sgacls", ()):
        version = each.get("ip_version", "IPV4")
        lines = each.get("lines") or []
        lines = lines.splitlines() if isinstance(lines, str) else lines
        try:
            kind = ROLE_BASED6 if version == "IPV6" else ROLE_BASED
            aces = tuple(parse_ace(line, kind) for line in lines if line.split()[:1] not in ([], ["remark"]))
        except SyntaxFault:
            continue
        families = {"IPV4": (4,), "IPV6": (6,)}.get(version, (4, 6))
        sgacls.append((each["name"], families, aces))
    return DownloadedCell(
        tag(data["source"]), tag(data["destination"]), tuple(sgacls), data.get("status") == "MONITOR",
        data.get("default_rule", "NONE"),
    )  # fmt: skip


def numbered(aces: tuple[Ace, ...], hits: dict[int, int], first: int = 1, step: int = 1) -> list[tuple[int, Ace, int]]:
    """Return entries with the numbers and counters that a downloaded list shows (1, 2, 3 for DACLs)."""
    return [(first + step * i, ace, hits.get(i, 0)) for i, ace in enumerate(aces)]
