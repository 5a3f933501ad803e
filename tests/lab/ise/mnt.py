# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MnT: sessions and per-session change of authorization, XML (facts/ise.md section 1.6)."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import unquote
from xml.sax.saxutils import escape

from tests.lab.ise.messages import Request, Response, not_found
from tests.lab.ise.sessions import end_session, normal_mac, reauthenticate
from tests.lab.ise.store import Refused, Store

PREFIX = "/admin/API/mnt/"
SERVER = "ise-lab"


def handle(store: Store, request: Request) -> Response:
    parts = [unquote(part) for part in request.path[len(PREFIX) :].split("/")]
    if request.method != "GET":
        return not_found(request.path)
    if parts[0] == "Session":
        return _session(store, parts[1:]) or not_found(request.path)
    if parts[0] == "CoA":
        return _coa(store, parts[1:]) or not_found(request.path)
    if parts == ["Version"]:
        return _xml(
            '<product name="Cisco Identity Services Engine"><version>'
            f"{store.settings['version']}.0</version><type_of_node>1</type_of_node></product>"
        )
    return not_found(request.path)


def _session(store: Store, parts: list[str]) -> Response | None:
    sessions = [each for _mac, each in sorted(store.sessions.items())]
    if parts == ["ActiveCount"]:
        return _xml(f"<sessionCount><count>{len(sessions)}</count></sessionCount>")
    if parts == ["ActiveList"]:
        rows = "".join(_element("activeSession", _row(each)) for each in sessions)
        return _xml(f'<activeList noOfActiveSession="{len(sessions)}">{rows}</activeList>')
    if len(parts) != 2:
        return None
    kind, value = parts
    if kind == "MACAddress":
        try:
            value = normal_mac(value)
        except Refused:
            value = ""
    key = {"MACAddress": "mac", "EndPointIPAddress": "ip", "UserName": "username", "IPAddress": "nas_ip"}.get(kind)
    if key is None:
        return None
    found = [each for each in sessions if each[key] == value]
    if not found:  # no session: an error, not an empty document
        return _xml(
            "<mnt-rest-result><http-code>500</http-code><cpm-code>34110</cpm-code>"
            "<description>Resource not found.</description></mnt-rest-result>",
            500,
        )
    return _xml(_element("sessionParameters", _detail(store, found[0])))


def _coa(store: Store, parts: list[str]) -> Response | None:
    if len(parts) not in (4, 6) or parts[0] not in ("Reauth", "Disconnect"):
        return None
    kind, _node, mac, option = parts[:4]
    done = False
    try:
        normal = normal_mac(mac)
        failing = {normal_mac(each) for each in store.settings["coa_failures"]}
        if option in ("0", "1", "2") and normal in store.sessions and normal not in failing:
            (reauthenticate if kind == "Reauth" else end_session)(store, normal)
            done = True
    except Refused:
        done = False
    return _xml(f'<remoteCoA requestType="{kind.lower()}"><results>{str(done).lower()}</results></remoteCoA>')


def _row(session: dict[str, Any]) -> dict[str, str]:
    return {
        "user_name": session["username"],
        "calling_station_id": session["mac"],
        "nas_ip_address": session["nas_ip"],
        "acct_session_id": f"{_number(session):08X}",
        "audit_session_id": _audit(session),
        "server": SERVER,
        "framed_ip_address": session.get("ip") or "",
        "framed_ipv6_address": "",
    }


def _detail(store: Store, session: dict[str, Any]) -> dict[str, str]:
    applied = session["applied"]
    pairs = [f"User-Name={session['username']}", f"Class=CACS:{_audit(session)}:{SERVER}/1/1"]
    if applied["dacl_name"]:
        pairs.append(f"cisco-av-pair=ACS:CiscoSecure-Defined-ACL={applied['dacl_name']}")
    if applied["sgt"] is not None:
        pairs.append(f"cisco-av-pair=cts:security-group-tag={applied['sgt']:04x}-00")
    device = next(
        (
            each["name"]
            for each in store.objects["networkdevice"].values()
            if any(address["ipaddress"] == session["nas_ip"] for address in each.get("NetworkDeviceIPList", []))
        ),
        "",
    )
    return {
        "passed": str(applied["authorized"]).lower(),
        "failed": str(not applied["authorized"]).lower(),
        "user_name": session["username"],
        "nas_ip_address": session["nas_ip"],
        "calling_station_id": session["mac"],
        "nas_port_id": session["nas_port"],
        "nas_port_type": "Ethernet",
        "network_device_name": device,
        "acs_server": SERVER,
        "authentication_method": "mab",
        "authentication_protocol": "Lookup",
        "framed_ip_address": session.get("ip") or "",
        "audit_session_id": _audit(session),
        "auth_acs_timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(applied["at"])),
        "acct_session_time": str(max(0, int(store.clock() - session["started"]))),
        "endpoint_policy": session["endpoint_profile"],
        "selected_azn_profiles": applied["authorization_profile"],
        "cts_security_group": applied.get("sgt_name") or "",
        "response": "{" + "; ".join(pairs) + "; }",
        "other_attr_string": "",
    }


def _number(session: dict[str, Any]) -> int:
    return int(session["mac"].replace(":", ""), 16) & 0xFFFFFFFF


def _audit(session: dict[str, Any]) -> str:
    return f"{_number(session):08X}{int(session['started']) & 0xFFFFFFFF:08X}{_number(session):08X}"


def _element(name: str, fields: dict[str, str]) -> str:
    body = "".join(f"<{key}>{escape(value)}</{key}>" if value else f"<{key}/>" for key, value in fields.items())
    return f"<{name}>{body}</{name}>"


def _xml(text: str, status: int = 200) -> Response:
    body = f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>{text}'
    return Response(status, body.encode(), "application/xml;charset=utf-8")
