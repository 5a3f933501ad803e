# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions by ISE's monitoring node: which revision of a downloadable ACL each has, and re-authentication of one of them.

Only Reauth is ever sent, never Disconnect and never a port bounce (design rule 13; facts/ise.md section 1.6).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol
from urllib.parse import quote

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.carriers import (
    IseSession,
    revision_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import normal_mac
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_client import NotFound
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_facts import (
    active_sessions,
    session_fields,
)

READERS = 8
MOST_DETAILS = 5_000
# Run the method that authenticated the session last: a device that has none but MAC authentication is not asked for 802.1X first.
LAST_METHOD = "1"
_DACL = re.compile(r"CiscoSecure-Defined-ACL=(#ACSACL#-(?:IP|IPV6)-[A-Za-z0-9_.-]{1,128}-[0-9A-Fa-f]{8})")
_NODE = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,254}\Z")
_FATAL = {each.number for each in (codes.LOGIN_REFUSED, codes.UNREACHABLE, codes.CERTIFICATE, codes.NOT_AUTHORIZED)}


class Monitor(Protocol):
    """What is needed of IseClient."""

    def monitoring(self, path: str) -> bytes:
        """Return the XML of a path below /admin/API/mnt/."""


def read_sessions(
    client: Monitor, macs: Collection[str], detailed: Collection[str] | None = None, most: int = MOST_DETAILS
) -> tuple[dict[str, IseSession], list[Finding]]:
    """Return the active sessions of these devices by MAC, with the downloadable ACLs of those in ``detailed`` (None: of all).

    One request for the list and one for each device in ``detailed`` that has a session, at most ``most`` of them. FindingError where
    ISE cannot be reached or refuses the login; a session whose details cannot be read is a finding (SW4300).
    """
    rows = {}
    for row in active_sessions(client.monitoring("Session/ActiveList")):
        mac = _mac(row.get("calling_station_id", ""))
        if mac in macs:
            rows[mac] = row
    findings: list[Finding] = []

    def detail(mac: str) -> IseSession | None:
        try:
            found = session_fields(client.monitoring(f"Session/MACAddress/{quote(mac.upper())}"))
        except NotFound:
            return None
        except FindingError as error:
            if any(finding.code in _FATAL for finding in error.findings):
                raise
            # A session that ended meanwhile is answered by an error (facts/ise.md section 1.6).
            findings.append(codes.FACTS_FAILED.at(f"session of {mac}: {error.findings[0].message}"))
            return replace(session_of(rows[mac], mac), unread=True)
        return session_of({**rows[mac], **{key: text for key, text in found.items() if text}}, mac)

    asked = sorted(mac for mac in rows if detailed is None or mac in detailed)
    if len(asked) > most:
        findings.append(
            codes.FACTS_FAILED.at(f"{len(asked)} sessions are more than {most}: the others are not looked at")
        )
    found = {mac: session_of(rows[mac], mac) for mac in rows if mac not in asked}
    found |= {mac: replace(session_of(rows[mac], mac), unread=True) for mac in asked[most:]}
    with ThreadPoolExecutor(max_workers=READERS) as pool:
        found |= {item.mac: item for item in pool.map(detail, asked[:most]) if item is not None}
    return found, findings


def session_of(fields: dict[str, str], mac: str) -> IseSession:
    """Return a session from MnT's fields. Pure."""
    text = " ".join(fields.get(key, "") for key in ("response", "other_attr_string", "cisco_av_pair"))
    revisions = [revision for name in _DACL.findall(text) if (revision := revision_of(name)) is not None]
    address = fields.get("framed_ip_address", "").replace(",", " ").split()
    return IseSession(
        mac,
        address[0] if address else "",
        fields.get("network_device_name", ""),
        fields.get("nas_ip_address", ""),
        fields.get("nas_port_id", ""),
        fields.get("acs_server", "") or fields.get("server", ""),
        fields.get("selected_azn_profiles", ""),
        tuple(dict.fromkeys(revisions)),
        fields.get("passed", "true").lower() != "false",
    )


def request_reauthentication(client: Monitor, node: str, mac: str) -> bool:
    """Ask ISE to re-authenticate one session and return whether it says that the switch took it.

    ``node`` is the policy node that holds the session. FindingError where node or MAC are none, or ISE gives no answer.
    """
    normal = _mac(mac)
    if not normal or not _NODE.match(node):
        raise FindingError(codes.BAD_ANSWER.at(f"session of {mac[:40]!r}: node {node[:60]!r} cannot be asked"))
    path = f"CoA/Reauth/{quote(node)}/{quote(normal.upper())}/{LAST_METHOD}"
    try:
        found = session_fields(client.monitoring(path))
    except NotFound:
        return False
    return found.get("results", "").lower() == "true"


def _mac(text: str) -> str:
    try:
        return normal_mac(text)
    except ValueError:
        return ""
