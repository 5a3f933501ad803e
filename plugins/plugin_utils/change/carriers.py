# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sessions carry which revision of a downloadable ACL, and whether that is the approved list. Pure.

A change of a downloadable ACL reaches a session only when it authenticates again. The name that a switch shows ends in the hex Unix
time of the list's last save (facts/ise.md section 3), so it tells how old a session's list is, but not what it says: where the
switch itself can be asked, the text decides, by meaning.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_of_micros
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import content_difference

APPROVED, CURRENT, OLD, DIFFERS, MISSING, UNAUTHORIZED, ABSENT, UNREAD = (
    "approved", "current", "old", "differs", "missing", "unauthorized", "absent", "unread",
)  # fmt: skip
# The clocks of controller and ISE may differ by so much before a list that was just saved is taken for an old one.
CLOCK_SECONDS = 2.0
_REVISION = re.compile(r"\A(?:#ACSACL#-|xACSACLx-)?(IP|IPV6)-(.{1,128})-([0-9A-Fa-f]{8})\Z")


@dataclass(frozen=True)
class Revision:
    """One save of a downloadable ACL: ``saved`` in seconds since 1970 UTC, by ISE's clock. ``shown`` is the name on the switch."""

    family: int
    name: str
    saved: int

    @property
    def shown(self) -> str:
        """Return the name that switches show."""
        return f"xACSACLx-{'IPV6' if self.family == 6 else 'IP'}-{self.name}-{self.saved:08x}"


def revision_of(text: str) -> Revision | None:
    """Return the revision that a name on a switch or in ISE's answer stands for, None where it is none."""
    found = _REVISION.match(text.strip())
    return Revision(6 if found[1] == "IPV6" else 4, found[2], int(found[3], 16)) if found else None


@dataclass(frozen=True)
class IseSession:
    """A session as ISE's monitoring node knows it. ``node`` takes the re-authentication; ``mac`` in lower case with colons.

    ``unread``: ISE did not say what it carries, or whether there is one.
    """

    mac: str
    address: str = ""
    switch: str = ""
    switch_address: str = ""
    interface: str = ""
    node: str = ""
    profile: str = ""
    revisions: tuple[Revision, ...] = ()
    authorized: bool = True
    unread: bool = False


@dataclass(frozen=True)
class SwitchSession:
    """A session as its switch shows it."""

    switch: str
    interface: str
    mac: str
    addresses: tuple[str, ...] = ()
    revisions: tuple[Revision, ...] = ()
    authorized: bool = True
    sgt: int | None = None


@dataclass(frozen=True)
class SwitchView:
    """What one switch shows: sessions by MAC, and the texts of downloaded lists by shown name."""

    switch: str
    sessions: Mapping[str, SwitchSession] = field(hash=False)
    texts: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Wanted:
    """One list that sessions of a segment shall carry. ``changed``: seconds since 1970 of its last change, 0 where unknown."""

    target: str
    name: str
    family: int
    content: str
    segment: str
    criticality: str = ""
    changed: float = 0.0


@dataclass(frozen=True)
class Carrier:
    """What one device's session carries. ``state``: approved, current, old, differs, missing, unauthorized, absent, unread.

    ``approved`` is proved on the switch; ``current`` is only the newest revision by its name, as ISE tells it.
    """

    wanted: Wanted
    mac: str
    state: str
    reason: str = ""
    revision: Revision | None = None
    address: str = ""
    switch: str = ""
    interface: str = ""
    node: str = ""
    shown_by: str = ""
    device: str = ""

    def as_dict(self, now: float) -> dict[str, Any]:
        """Return plain values for a result; ages in seconds at ``now``, in seconds since 1970."""
        saved = self.revision.saved if self.revision else 0
        return {
            "target": self.wanted.target,
            "list": self.wanted.name,
            "segment": self.wanted.segment,
            "criticality": self.wanted.criticality,
            "device": self.device or self.mac,
            "mac": self.mac,
            "address": self.address,
            "switch": self.switch,
            "interface": self.interface,
            "state": self.state,
            "reason": self.reason,
            "revision": self.revision.shown if self.revision else "",
            "saved": iso_of_micros(saved * 1_000_000) if saved else "",
            "age_seconds": max(0, int(now - saved)) if saved else None,
            "shown_by": self.shown_by,
        }


def last_changes(entries: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], tuple[float, str]]:
    """Return when each downloadable ACL was last written, by (target, name), from the journal: RFC 3339 text with its order kept.

    The value is (seconds since 1970 UTC, text). A step counts from its begin: what it left is at least so new.
    """
    begun: dict[tuple[str, str], Mapping[str, Any]] = {}
    found: dict[tuple[str, str], tuple[float, str]] = {}
    for entry in entries:
        event, target = entry["event"], str(entry.get("target", ""))
        if event in ("operation_started", "undo_started"):
            begun[target, str(entry["operation"]["id"])] = entry
        elif event in ("operation_done", "undo_done") and entry.get("changed"):
            first = begun.get((target, str(entry["operation_id"])))
            if first is not None and first["operation"]["kind"] == "downloadable_acl":
                text = str(first["time"])
                moment = datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
                found[target, str(first["operation"]["name"])] = (moment, text)
    return found


def judge(wanted: Wanted, mac: str, session: IseSession | None, view: SwitchView | None, device: str = "") -> Carrier:
    """Return what a device's session carries, by its switch where that was read, else by ISE's word alone."""
    shown = view.sessions.get(mac) if view is not None else None
    known: dict[str, Any] = {
        "address": (shown.addresses[0] if shown and shown.addresses else "") or (session.address if session else ""),
        "switch": shown.switch if shown else (session.switch or session.switch_address if session else ""),
        "interface": shown.interface if shown else (session.interface if session else ""),
        "node": session.node if session else "",
        "device": device,
        "shown_by": "switch" if shown else ("ise" if session else ""),
    }
    if shown is None and session is None:
        return Carrier(wanted, mac, ABSENT, "has no session", **known)
    if shown is None and session is not None and session.unread:
        return Carrier(wanted, mac, UNREAD, "ISE did not tell its session", **known)
    if not (shown.authorized if shown else session is not None and session.authorized):
        return Carrier(wanted, mac, UNAUTHORIZED, "is not authorized", **known)
    revisions = shown.revisions if shown else (session.revisions if session else ())
    mine = [item for item in revisions if (item.name, item.family) == (wanted.name, wanted.family)]
    if not mine:
        others = ", ".join(item.shown for item in revisions) or "no downloadable ACL"
        return Carrier(wanted, mac, MISSING, f"carries {others}", **known)
    revision = max(mine, key=lambda item: item.saved)
    stale = bool(wanted.changed) and revision.saved + CLOCK_SECONDS < wanted.changed
    if shown is None or view is None:
        reason = "by the time in its name, older than the last change" if stale else "by the time in its name"
        return Carrier(wanted, mac, OLD if stale else CURRENT, reason, revision, **known)
    text = view.texts.get(revision.shown)
    if text is None:
        return Carrier(wanted, mac, UNREAD, "its switch did not show the list", revision, **known)
    found = content_difference("downloadable_acl", text, wanted.content)
    if found.equal:
        return Carrier(wanted, mac, APPROVED, "", revision, **known)
    return Carrier(wanted, mac, OLD if stale else DIFFERS, found.text, revision, **known)


def as_last_seen(before: Iterable[Carrier], after: Sequence[Carrier], read: Collection[str]) -> list[Carrier]:
    """Return the carriers of a later look, and for each that differed and was not looked at again what it carried before.

    ``read`` are the switches that the later look read: what ISE says where one is missing does not show the list's text.
    """
    differed = {(item.mac, item.wanted.target, item.wanted.name): item for item in before if item.state == DIFFERS}
    made = []
    for item in after:
        old = differed.get((item.mac, item.wanted.target, item.wanted.name))
        blind = old is not None and item.shown_by != "switch" and old.switch not in read
        made.append(old if old is not None and (blind or item.state == UNREAD) else item)
    return made


def newest(wanted: Sequence[Wanted], sessions: Iterable[IseSession | SwitchSession]) -> list[Wanted]:
    """Return the lists with ``changed`` no older than the newest revision that any session carries: ISE may be changed by others."""
    latest: dict[tuple[str, int], int] = {}
    for session in sessions:
        for item in session.revisions:
            key = (item.name, item.family)
            latest[key] = max(item.saved, latest.get(key, 0))
    return [
        Wanted(
            item.target, item.name, item.family, item.content, item.segment, item.criticality,
            max(item.changed, float(latest.get((item.name, item.family), 0))),
        )
        for item in wanted
    ]  # fmt: skip


def carrier_findings(carriers: Sequence[Carrier], now: float) -> list[Finding]:
    """Return one finding for each list and state that is not as approved, naming the first devices."""
    groups: dict[tuple[str, str, str], list[Carrier]] = {}
    for item in carriers:
        groups.setdefault((item.state, item.wanted.target, item.wanted.name), []).append(item)
    findings = []
    for (state, target, name), members in sorted(groups.items()):
        code = _CODES.get(state)
        if code is None:
            continue
        shown = ", ".join(_named(item, now) for item in members[:5])
        more = f" and {len(members) - 5} more" if len(members) > 5 else ""
        reason = f": {members[0].reason}" if state in (DIFFERS, UNREAD) else ""
        findings.append(code.at(f"{target}: {name}: {len(members)} sessions ({shown}{more}){reason}"))
    blind = [item for item in carriers if item.shown_by == "ise"]
    if blind:
        places = sorted({item.switch for item in blind if item.switch})
        text = f"{len(blind)} sessions on {', '.join(places[:10]) or 'unknown switches'}"
        findings.append(codes.HELD_BY_ISE_ONLY.at(text))
    return findings


_CODES = {
    OLD: codes.SESSIONS_OLD,
    DIFFERS: codes.SESSION_DIFFERS,
    MISSING: codes.SESSIONS_WITHOUT,
    UNAUTHORIZED: codes.SESSION_UNAUTHORIZED,
    UNREAD: codes.SESSION_UNREAD,
}


def _named(item: Carrier, now: float) -> str:
    age = f", list of {_age(now - item.revision.saved)} ago" if item.revision else ""
    place = f" at {item.switch} {item.interface}".rstrip() if item.switch else ""
    return f"{item.device or item.mac}{place}{age}"


def _age(seconds: float) -> str:
    for size, word in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {word}"
    return f"{max(0, int(seconds))} seconds"
