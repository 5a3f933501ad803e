# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts from a Catalyst 9800 wireless controller: clients with network, access point, applied list and tag, roaming; tags of access points.

Read in the session that reads an IOS-XE switch, where ``show version`` names a controller. The list of clients is one command; lists and
tags of a client are one command each, so they are read for at most ``MOST_CLIENTS`` of them, and a finding says where that ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes as device_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Observation, normal_mac
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers import wireless
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.sessions import SessionDetails
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes

MODEL = "C9800"
MOST_CLIENTS = 2_000
SUMMARY, TAGS = "show wireless client summary", "show ap tag summary"
DETAIL = "show wireless client mac-address {} detail"
Ask = Callable[[str], str]


@dataclass(frozen=True)
class WirelessReading:
    """What a controller said: its clients by summary and in detail, access points, and what was not understood or not read."""

    clients: tuple[wireless.ClientRow, ...]
    details: tuple[wireless.ClientDetail, ...]
    access_points: tuple[wireless.AccessPoint, ...]
    findings: tuple[Finding, ...]
    whole: bool


def is_controller(model: str) -> bool:
    """Return whether a model is a wireless controller of this kind."""
    return model.upper().startswith(MODEL)


def dotted(mac: str) -> str:
    """Return a MAC as IOS commands take it: 0011.2233.4455."""
    digits = mac.replace(":", "")
    return f"{digits[:4]}.{digits[4:8]}.{digits[8:]}"


def read_wireless(name: str, ask: Ask, most: int = MOST_CLIENTS) -> WirelessReading:
    """Return the clients of a controller. A command that fails costs its own facts and is a finding; FindingError never."""
    findings: list[Finding] = []

    def parsed(command: str, parse: Callable[[str], Any]) -> tuple[Any, ...]:
        try:
            made = parse(ask(command))
        except FindingError as error:
            reasons = "; ".join(finding.message for finding in error.findings)
            findings.append(codes.COMMAND_FAILED.at(f"{name}: {command}: {reasons}"))
            return ()
        findings.extend(made.findings)
        return tuple(made.entries)

    clients = parsed(SUMMARY, wireless.client_summary)
    points = parsed(TAGS, wireless.ap_tags)
    chosen = [each for each in clients if not each.excluded]
    if len(chosen) > most:
        text = f"{name}: lists and tags of {most} of {len(chosen)} wireless clients are read"
        findings.append(codes.FACTS_FAILED.at(text))
    details: list[wireless.ClientDetail] = []
    for each in chosen[:most]:
        lost = len(findings)
        found = parsed(DETAIL.format(dotted(each.mac)), wireless.client_detail)
        # A client that left between the two commands is no fault.
        if not found and all(item.code == device_codes.OUTPUT_EMPTY.number for item in findings[lost:]):
            del findings[lost:]
        details += found
    return WirelessReading(clients, tuple(details), points, tuple(findings), not findings)


def observations_of(reading: WirelessReading, name: str, time: int) -> list[Observation]:
    """Return what a controller says about devices.

    ``switch`` is the controller where it applies the policy of a client: for one that is anchored elsewhere (role Foreign) it is not. There
    is no port; ``access_point``, ``access_point_group`` (the policy tag) and ``site`` (the site tag) stand in its place.
    """
    points = {each.name: each for each in reading.access_points}
    made = []
    for each in reading.details:
        point = points.get(each.value("access_point"))
        here = "Foreign" not in each.value("role")
        facts: dict[str, Any] = {
            "switch": name if here and each.central else "",
            "vlan": each.vlan,
            "ssid": each.value("ssid"),
            "access_point": each.value("access_point"),
            "access_point_group": point.policy_tag if point else "",
            "site": point.site_tag if point else "",
            "sgt": each.sgt if each.authorized and each.sgt else None,
        }
        if not _single(each.mac):
            continue
        given = {key: value for key, value in facts.items() if value not in (None, "")}
        sure = 0.95 if each.authorized else 0.8
        made.append(Observation(each.mac, given, each.addresses, f"{name}:session", time, sure))
        kind = each.value("device_type")
        if kind and kind != "Un-Classified Device":
            made.append(Observation(each.mac, {"endpoint_profile": kind}, (), f"{name}:classifier", time, 0.4))
        if each.value("device_name"):
            made.append(
                Observation(each.mac, {"hostname": each.value("device_name")}, (), f"{name}:classifier", time, 0.4)
            )
    return made


def session_details_of(details: Iterable[wireless.ClientDetail]) -> list[SessionDetails]:
    """Return clients as the sessions that verification knows from switches; the access point stands where a port would."""
    made = []
    for each in details:
        policies = [("server", "ACS ACL", name) for name in each.acs_acls]
        policies += [("server", "SGT Value", str(each.sgt))] if each.sgt is not None else []
        status = "Authorized" if each.authorized else "Unauthorized"
        values = {"Status": status, "Common Session ID": each.value("session_id")}
        made.append(SessionDetails(each.value("access_point"), each.mac, each.addresses, values, tuple(policies)))
    return made


def section_of(reading: WirelessReading) -> dict[str, Any]:
    """Return the ``wireless`` section of switch facts."""
    return {
        "clients": [_client(each) for each in reading.details],
        "counts": {
            "clients": len(reading.clients),
            "read": len(reading.details),
            "excluded": sum(each.excluded for each in reading.clients),
            "by_ssid": dict(sorted(Counter(each.value("ssid") for each in reading.details).items())),
        },
        "access_points": [asdict(each) for each in reading.access_points],
    }


def sessions_of(details: Iterable[wireless.ClientDetail]) -> list[dict[str, Any]]:
    """Return the clients as sessions of switch facts: the access point stands where a switch has a port."""
    return [
        {
            "interface": each.value("access_point"),
            "mac": each.mac,
            "authorized": each.authorized,
            "method": each.value("method"),
            "domain": "DATA",
            "access_lists": list(each.acs_acls),
            "sgt": each.sgt,
            "vlan": each.vlan,
        }
        for each in details
    ]


def _client(each: wireless.ClientDetail) -> Mapping[str, Any]:
    moves = each.value("moves")
    return {
        "mac": each.mac,
        "addresses": list(each.addresses),
        "ssid": each.value("ssid"),
        "access_point": each.value("access_point"),
        "policy_profile": each.value("policy_profile"),
        "authorized": each.authorized,
        "access_lists": list(each.acs_acls),
        "sgt": each.sgt,
        "vlan": each.vlan,
        "role": each.value("role"),
        "moves": int(moves) if moves.isdigit() else 0,
        "roam_type": each.value("roam_type"),
        "central": each.central,
    }


def wireless_findings(name: str, details: Sequence[wireless.ClientDetail]) -> list[Finding]:
    """Return a finding where access points switch traffic themselves although a downloadable ACL is assigned: it filters nothing there."""
    found = sorted({each.value("policy_profile") for each in details if each.acs_acls and not each.central})
    return [device_codes.NOT_CENTRAL.at(f"{name}: policy profile {', '.join(found)[:200]}")] if found else []


def _single(mac: str) -> bool:
    try:
        normal_mac(mac)
    except ValueError:
        return False
    return True
