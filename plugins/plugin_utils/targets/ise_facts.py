# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts from ISE: endpoints by ERS, sessions by MnT, names of profiles, groups, tags and network devices.

Reads only, and boundedly many (facts/ise.md sections 1.2 and 1.6): beyond ``most_details`` objects the lists alone are used.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import quote

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded, require
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import HOST_NAME, IDENTIFIER
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import (
    AddressClaim,
    Observation,
    normal_mac,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.lines import INTERFACE, long_interface
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.facts import Clock, HostFacts, at_host, micros
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_client import NotFound

element_tree = guarded("defusedxml.ElementTree")

ENDPOINT, DESCRIPTION, SESSION, SESSION_PROFILE = (
    "ise:endpoint",
    "ise:endpoint-description",
    "ise:session",
    "ise:session-profile",
)
READERS = 8
MOST_DETAILS = 20_000
LISTINGS = 3
LARGEST_XML = 64 << 20
SECOND_US = 1_000_000
# Custom attributes that hold a device's name, as asset systems and integrations call them.
NAME_ATTRIBUTES = ("hostname", "devicename", "assetname", "dnsname", "computername")
TAG = re.compile(r"cts:security-group-tag=([0-9A-Fa-f]{1,4})(?:-[0-9A-Fa-f]{1,4})?")


class Client(Protocol):
    """What is needed of IseClient."""

    def list_items(self, kind: str, name_filter: str = "") -> list[dict[str, Any]]:
        """Return id, name and description of all objects of a kind."""

    def get(self, kind: str, identifier: str) -> dict[str, Any]:
        """Return an object's body."""

    def monitoring(self, path: str) -> bytes:
        """Return the XML of a path below /admin/API/mnt/."""


def read_ise_facts(
    client: Client,
    name: str,
    *,
    switches: Mapping[str, str] | None = None,
    most_details: int = MOST_DETAILS,
    clock: Clock = time.time,
) -> HostFacts:
    """Return what ISE knows about endpoints and their sessions.

    ``switches`` maps addresses of switches to their inventory names, which win over ISE's names of network devices. Raises
    FindingError where ISE cannot be reached, refuses the login, or gives neither endpoints nor sessions; where only one of
    the two fails, that is a finding (SW4300, SW4301).
    """
    require(element_tree)
    findings: list[Finding] = []
    observations: list[Observation] = []
    counts: dict[str, int] = {}
    failed: list[FindingError] = []
    with ThreadPoolExecutor(max_workers=READERS) as pool:
        parts: dict[str, Callable[[], tuple[list[Observation], int]]] = {
            "endpoints": lambda: _endpoints(client, pool, most_details, findings, micros(clock)),
            "sessions": lambda: _sessions(client, pool, switches or {}, most_details, findings, clock),
        }
        for part, read in parts.items():
            try:
                found, counts[part] = read()
                observations += found
            except FindingError as error:
                if any(finding.code in _FATAL for finding in error.findings):
                    raise
                failed.append(error)
                reasons = "; ".join(finding.message for finding in error.findings)
                findings.append(codes.FACTS_FAILED.at(f"{name}: {part}: {reasons}"))
    if len(failed) == 2:
        raise FindingError(*(finding for error in failed for finding in error.findings))
    return HostFacts(
        name,
        "ise",
        tuple(observations),
        tuple(at_host(name, finding) for finding in findings),
        counts,
        transport="https",
    )


_FATAL = {each.number for each in (codes.LOGIN_REFUSED, codes.UNREACHABLE, codes.CERTIFICATE)}


# -- endpoints


def _endpoints(
    client: Client, pool: ThreadPoolExecutor, most: int, findings: list[Finding], at: int
) -> tuple[list[Observation], int]:
    # The first request goes alone: where the login fails, exactly one was tried.
    profiles = {item["id"]: item["name"] for item in client.list_items("profiler_profile")}
    groups = {item["id"]: item["name"] for item in client.list_items("endpoint_group")}
    items = _listed(client, "endpoint")
    known = [item for item in items if _mac(item["name"])]
    if len(known) < len(items):
        text = f"{len(items) - len(known)} endpoints have no MAC address of one device as their name"
        findings.append(codes.FACTS_FAILED.at(text))
    if len(known) > most:
        text = f"{len(known)} endpoints are more than {most}: read by profile and group, without custom attributes"
        findings.append(codes.FACTS_FAILED.at(text))
        return _endpoints_by_lists(client, profiles, groups, known, at), len(known)

    problems: list[str] = []

    def body(item: Mapping[str, Any]) -> dict[str, Any] | None:
        try:
            return client.get("endpoint", item["id"])
        except NotFound:
            return None
        except FindingError as error:
            if any(finding.code in _FATAL for finding in error.findings):
                raise
            problems.append(f"{item['name']}: {error.findings[0].message}")
            return {}

    observations: list[Observation] = []
    for item, wire in zip(known, pool.map(body, known), strict=True):
        if wire is not None:
            observations += endpoint_observations({**item, **wire}, profiles, groups, at)
    if problems:
        findings.append(codes.FACTS_FAILED.at(f"{len(problems)} endpoints without details, first {problems[0]}"))
    return observations, len(known)


def _listed(client: Client, kind: str) -> list[dict[str, Any]]:
    """Return a list that may change while its pages are read: endpoints come and go, so a list that does not add up is read again."""
    for _attempt in range(LISTINGS - 1):
        try:
            return client.list_items(kind)
        except FindingError as error:
            if any(finding.code != codes.BAD_ANSWER.number for finding in error.findings):
                raise
    return client.list_items(kind)


def _endpoints_by_lists(
    client: Client, profiles: Mapping[str, str], groups: Mapping[str, str], known: Iterable[Mapping[str, Any]], at: int
) -> list[Observation]:
    """Return endpoints with profile and group by one filtered list for each of these: far fewer requests than endpoints."""
    facts: dict[str, dict[str, Any]] = {str(item["name"]): {} for item in known}
    for fact, key, names in (("endpoint_profile", "profileId", profiles), ("endpoint_group", "groupId", groups)):
        for identifier, text in names.items():
            for item in client.list_items("endpoint", f"{key}.EQ.{identifier}"):
                if item["name"] in facts:
                    facts[item["name"]][fact] = text
    return [Observation(mac, own, (), ENDPOINT, at, 0.9) for mac, own in facts.items()]


def endpoint_observations(
    wire: Mapping[str, Any], profiles: Mapping[str, str], groups: Mapping[str, str], at: int
) -> list[Observation]:
    """Return what an endpoint's body says; nothing where it has no MAC. ``profiles`` and ``groups`` map ids to names."""
    mac = _mac(str(wire.get("mac") or wire.get("name") or ""))
    if not mac:
        return []
    facts: dict[str, Any] = {
        "endpoint_profile": profiles.get(str(wire.get("profileId") or ""), ""),
        "endpoint_group": groups.get(str(wire.get("groupId") or ""), ""),
        "hostname": _name_attribute(wire.get("customAttributes")),
    }
    facts = {name: value for name, value in facts.items() if value}
    made = [Observation(mac, facts, (), ENDPOINT, at, 0.9)]
    description = str(wire.get("description") or "").strip()
    if len(description) <= 63 and HOST_NAME.match(description):
        # A description of one word is a name that somebody wrote once: it counts little beside any other source.
        made.append(Observation(mac, {"hostname": description}, (), DESCRIPTION, at, 0.3))
    return made


def _name_attribute(value: Any) -> str:
    inner = value.get("customAttributes") if isinstance(value, Mapping) else None
    if not isinstance(inner, Mapping):
        return ""
    attributes = {re.sub(r"[^a-z]", "", str(key).lower()): str(text or "").strip() for key, text in inner.items()}
    for key in NAME_ATTRIBUTES:
        if HOST_NAME.match(attributes.get(key, "")):
            return attributes[key]
    return ""


# -- sessions


def _sessions(
    client: Client,
    pool: ThreadPoolExecutor,
    switches: Mapping[str, str],
    most: int,
    findings: list[Finding],
    clock: Clock,
) -> tuple[list[Observation], int]:
    rows = active_sessions(client.monitoring("Session/ActiveList"))
    known = [row for row in rows if _mac(row.get("calling_station_id", ""))]
    if len(known) > most:
        text = f"{len(known)} sessions are more than {most}: the others are read without details"
        findings.append(codes.FACTS_FAILED.at(text))
    problems: list[str] = []

    def detail(row: Mapping[str, str]) -> tuple[dict[str, str], int]:
        mac = _mac(row["calling_station_id"]).upper()
        try:
            found = _fields(_parsed(client.monitoring(f"Session/MACAddress/{quote(mac)}")))
        except NotFound:
            found = {}
        except FindingError as error:
            # A session that ended meanwhile is answered by an error (facts/ise.md section 1.6).
            if any(finding.code in _FATAL for finding in error.findings):
                raise
            problems.append(f"{mac}: {error.findings[0].message}")
            found = {}
        return found, micros(clock)

    details = list(pool.map(detail, known[:most]))
    if problems:
        findings.append(codes.FACTS_FAILED.at(f"{len(problems)} sessions without details, first {problems[0]}"))
    names = dict(switches)
    tags: dict[str, int] = {}
    observations: list[Observation] = []
    for number, row in enumerate(known):
        found, at = details[number] if number < len(details) else ({}, micros(clock))
        merged = {**row, **{key: text for key, text in found.items() if text}}
        _learn_names(client, merged, names, tags)
        observations += session_observations(merged, names, tags, at)
    return observations, len(known)


def _learn_names(client: Client, session: Mapping[str, str], names: dict[str, str], tags: dict[str, int]) -> None:
    """Look up the network device of an address and the value of a tag that the session names only; each once."""
    address, device = session.get("nas_ip_address", ""), session.get("network_device_name", "")
    if address and address not in names:
        names[address] = device or _device_name(client, address)
    tag = session.get("cts_security_group", "")
    if tag and tag not in tags and not TAG.search(session.get("response", "")):
        tags[tag] = _tag_value(client, tag)


def _device_name(client: Client, address: str) -> str:
    if not re.fullmatch(r"[0-9A-Fa-f.:]{2,45}", address):
        return ""
    try:
        found = client.list_items("network_device", f"ipaddress.EQ.{address}")
    except FindingError:
        return ""
    return str(found[0]["name"]) if len(found) == 1 else ""


def _tag_value(client: Client, name: str) -> int:
    if not IDENTIFIER.match(name):
        return -1
    try:
        for item in client.list_items("sgt", f"name.EQ.{name}"):
            if item["name"] == name:
                return int(client.get("sgt", item["id"]).get("value", -1))
    except (FindingError, NotFound, TypeError, ValueError):
        pass
    return -1


def session_observations(
    session: Mapping[str, str], switches: Mapping[str, str], tags: Mapping[str, int], at: int
) -> list[Observation]:
    """Return what one session says, from the fields of MnT's list and details.

    ``switches`` maps addresses of network devices to names, ``tags`` names of security groups to values, ``at`` is the moment
    of the answer in microseconds since 1970 UTC. The address was held since the session's start.
    """
    mac = _mac(session.get("calling_station_id", ""))
    if not mac:
        return []
    facts: dict[str, Any] = {
        "switch": switches.get(session.get("nas_ip_address", ""), "") or session.get("network_device_name", ""),
        "authorization_profile": session.get("selected_azn_profiles", ""),
    }
    port = session.get("nas_port_id", "").strip()
    if INTERFACE.match(port):
        facts["interface"] = long_interface(port)
    tag = TAG.search(session.get("response", ""))
    value = int(tag[1], 16) if tag else tags.get(session.get("cts_security_group", ""), -1)
    if value > 0:
        facts["sgt"] = value
    since = session_start(session, at)
    addresses = []
    for key in ("framed_ip_address", "framed_ipv6_address"):
        for text in session.get(key, "").replace(",", " ").split():
            addresses.append(AddressClaim(text, since, at))
    facts = {name: each for name, each in facts.items() if each not in ("", None)}
    passed = session.get("passed", "true").lower() != "false"
    made = [Observation(mac, facts, tuple(addresses), SESSION, at, 0.9 if passed else 0.6)]
    profile = session.get("endpoint_policy", "")
    if profile:
        # The profile when the session was authorized: outdated where the profiler has learnt more since, not contradicting.
        made.append(Observation(mac, {"endpoint_profile": profile}, (), SESSION_PROFILE, at, 0.45))
    return made


def session_start(session: Mapping[str, str], at: int) -> int:
    """Return when a session began: ``at`` less its accounting time, else its authentication, else ``at``."""
    seconds = session.get("acct_session_time", "").strip()
    if seconds.isdigit() and len(seconds) < 10:
        return max(0, at - int(seconds) * SECOND_US)
    text = session.get("auth_acs_timestamp", "").strip().replace("Z", "+00:00")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return at
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(at, max(0, int(moment.timestamp() * SECOND_US)))


# -- XML


def active_sessions(content: bytes) -> list[dict[str, str]]:
    """Return the fields of each session of MnT's active list; FindingError SW4301 for anything else."""
    root = _parsed(content)
    if root.tag != "activeList":
        raise FindingError(codes.XML_REFUSED.at(f"the list of sessions is a document {str(root.tag)[:40]!r}"))
    return [_fields(each) for each in root if each.tag == "activeSession"]


def session_fields(content: bytes) -> dict[str, str]:
    """Return the fields of one session's details as MnT answers them; FindingError SW4301 for anything else."""
    return _fields(_parsed(content))


def _parsed(content: bytes) -> Any:
    """Return the root of an XML answer; entities, document types and oversize are refused."""
    if len(content) > LARGEST_XML:
        raise FindingError(codes.XML_REFUSED.at(f"an answer of {len(content)} bytes"))
    try:
        return element_tree.fromstring(content, forbid_dtd=True)
    except (ValueError, SyntaxError) as error:
        # defusedxml's refusals are ValueErrors, the parser's own errors are SyntaxErrors.
        raise FindingError(codes.XML_REFUSED.at(f"{type(error).__name__}: {str(error)[:120]}")) from None


def _fields(element: Any) -> dict[str, str]:
    """Return the texts of an element's children; an answer other than a session has none of the names that are looked for."""
    return {str(each.tag): (each.text or "").strip() for each in element if len(each) == 0}


def _mac(text: str) -> str:
    try:
        return normal_mac(text)
    except ValueError:
        return ""
