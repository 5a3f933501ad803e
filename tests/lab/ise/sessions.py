# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions: what a port enforces, and what re-authentication changes.

A session keeps the revision of its DACL, its authorization profile and its SGT until it is re-authenticated
(facts/ise.md section 0 item 6). ``authorization_profile`` and ``sgt`` of a session stand for what the authorization
rules would give it now; ``applied`` is what the port has.
"""

from __future__ import annotations

import re
from typing import Any

from tests.lab.ise.store import Refused, Store, dacl_revision_name

FIELDS = (
    "mac", "ip", "nas_ip", "nas_port", "authorization_profile", "sgt", "endpoint_profile", "username", "started",
)  # fmt: skip


def normal_mac(text: str) -> str:
    digits = re.sub(r"[^0-9A-Fa-f]", "", text).upper()
    if len(digits) != 12:
        raise Refused(400, f"invalid MAC address {text!r}")
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))


def add_session(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    """Start a session (authentication: it gets the current revisions). given: FIELDS, only mac and ip are needed."""
    unknown = set(given) - set(FIELDS)
    if unknown:
        raise Refused(400, f"unknown session fields {sorted(unknown)}")
    mac = normal_mac(given["mac"])
    session = {
        "nas_ip": "",
        "nas_port": "",
        "authorization_profile": "PermitAccess",
        "sgt": None,
        "endpoint_profile": "Unknown",
        "username": mac.replace(":", "-"),
        "started": int(store.clock()),
        **given,
        "mac": mac,
    }
    store.sessions[mac] = session
    reauthenticate(store, mac)
    return session


def change_session(store: Store, mac: str, new: dict[str, Any]) -> dict[str, Any]:
    """Change what the rules would give (or the address); the port keeps what it has until re-authentication."""
    session = session_of(store, mac)
    unknown = set(new) - set(FIELDS) | {"mac"} & set(new)
    if unknown:
        raise Refused(400, f"unknown session fields {sorted(unknown)}")
    if new.get("authorization_profile") is not None:
        store.find("authorizationprofile", new["authorization_profile"])
    if new.get("sgt") is not None:
        store.sgt_by(new["sgt"])
    session.update(new)
    store.log("session", mac=session["mac"], why="changed")
    return session


def session_of(store: Store, mac: str) -> dict[str, Any]:
    normal = normal_mac(mac)
    if normal not in store.sessions:
        raise Refused(404, f"no session for {normal}")
    return store.sessions[normal]


def reauthenticate(store: Store, mac: str) -> dict[str, Any]:
    """Let the session adopt the current profile, DACL revision and SGT; returns what is applied now.

    A profile that is gone, rejects, or names a DACL that is gone leaves the session unauthorized (the switch could not
    download the list): no traffic of the endpoint passes.
    """
    session = session_of(store, mac)
    profile = store.by_name("authorizationprofile", session["authorization_profile"])
    applied: dict[str, Any] = {
        "authorized": profile is not None and profile.get("accessType") != "ACCESS_REJECT",
        "authorization_profile": session["authorization_profile"],
        "dacl_name": None,
        "dacl": None,
        "sgt": None,
        "at": store.clock(),
    }
    if session.get("sgt") is not None:
        sgt = store.sgt_by(session["sgt"])
        applied["sgt"], applied["sgt_name"] = sgt["value"], sgt["name"]
    if profile is not None and profile.get("daclName"):
        dacl = store.by_name("downloadableacl", profile["daclName"])
        if dacl is None:
            applied["authorized"] = False
        else:
            applied["dacl_name"] = dacl_revision_name(dacl)
            applied["dacl"] = dacl["dacl"].splitlines()
    session["applied"] = applied
    store.log("session", mac=session["mac"], why="authenticated")
    return applied


def end_session(store: Store, mac: str) -> None:
    session = session_of(store, mac)
    del store.sessions[session["mac"]]
    store.log("session", mac=session["mac"], why="ended")


def effective_sessions(store: Store) -> dict[str, dict[str, Any]]:
    """What each port enforces now, for an emulated switch: {mac: {ip, nas_ip, nas_port, dacl_name, dacl, sgt, ...}}."""
    return {
        mac: {
            **{key: session[key] for key in ("ip", "nas_ip", "nas_port", "username", "endpoint_profile")},
            **session["applied"],
        }
        for mac, session in sorted(store.sessions.items())
    }
