# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Membership: queries over the register's facts to the committed lock.

A query is a mapping with exactly one of ``all``, ``any``, ``not`` or ``fact``; a fact has exactly one of ``equals``,
``in``, ``matches``, ``prefix``, ``contains``, ``at_least`` or ``at_most`` (schemas/segment.schema.json); devices/query.py judges them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import read_document, write_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import Document
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import DERIVED_FACTS, FACT_NAMES
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.query import Fitting
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Member, Segment
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.schema import schema_findings

KIND = "members"
SCHEMA_VERSION = "1.0"
KNOWN_FACTS = tuple(sorted({"address", "device", *DERIVED_FACTS, *FACT_NAMES}))
_MAC = re.compile(r"\A[0-9a-f]{2}(?::[0-9a-f]{2}){5}\Z")
_HOST = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,252}\Z")
# Names of site tags and policy tags of a Catalyst 9800 (at most 32 characters there).
_TAG = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9 _.:/-]{0,63}\Z")
_WIRELESS = ("site", "access_point_group")
_INTERFACE = re.compile(r"\A[A-Za-z][A-Za-z-]{0,31}[0-9]{0,4}(?:[/.:][0-9]{1,5}){0,4}\Z")


def facts_of(device: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return a register device's facts as lists of values; ``device`` is its id and ``address`` its addresses.

    A fact with a list as its value (``served_ports``) counts as several values.
    """
    facts: dict[str, list[Any]] = {}
    for name, item in device.get("facts", {}).items():
        value = item.get("value") if isinstance(item, Mapping) else item
        if value is None:
            continue
        facts[name] = list(value) if isinstance(value, (list, tuple)) else [value]
    facts["device"] = [device["id"]]
    facts["address"] = current_addresses(device)
    return facts


def current_addresses(device: Mapping[str, Any], at: str = "") -> list[str]:
    """Return the addresses a register device holds, sorted: those without an end, or at a moment (RFC 3339, UTC).

    Where no interval is open any more and no moment is given, the addresses whose interval ended last.
    """
    entries = [entry for entry in device.get("addresses", ()) if entry.get("address")]
    if at:
        chosen = [e for e in entries if str(e.get("from") or "") <= at and (not e.get("to") or at < str(e["to"]))]
    else:
        chosen = [e for e in entries if not e.get("to")]
        if not chosen and entries:
            last = max(str(entry["to"]) for entry in entries)
            chosen = [entry for entry in entries if str(entry["to"]) == last]
    return sorted({str(entry["address"]) for entry in chosen}, key=_address_key)


def _address_key(text: str) -> tuple[int, int, str]:
    try:
        address = ipaddress.ip_address(text)
        return address.version, int(address), ""
    except ValueError:
        return 9, 0, text


def resolve_members(
    segments: Iterable[Segment],
    register: Mapping[str, Any],
    at: str = "",
    held: Mapping[str, str] | None = None,
) -> tuple[dict[str, Any], list[Finding]]:
    """Return the lock for the segments' queries over a register document, and a finding for each doubt.

    The lock depends on its arguments alone: segments and devices stand in order. A device that fits several segments is in
    none of them, with an error. ``at`` is the moment for which addresses count (default: what is held now). ``held`` maps devices whose
    facts are in dispute to the segment that they stay in, or to empty text for none: no query moves them.
    """
    ordered = sorted(segments, key=lambda segment: segment.name)
    entries: dict[str, list[dict[str, Any]]] = {segment.name: [] for segment in ordered}
    findings: list[Finding] = []
    fits = Fitting([segment.members or {} for segment in ordered])
    for device in sorted(register.get("devices", ()), key=lambda item: str(item.get("id", ""))):
        if not _MAC.match(str(device.get("id", ""))):
            continue
        facts = facts_of(device)
        if held and device["id"] in held:
            if held[device["id"]] in entries:
                entries[held[device["id"]]].append(_entry(device, facts, at))
            continue
        fitting = [ordered[place] for place in fits(facts)]
        if len(fitting) > 1:
            names = ", ".join(segment.name for segment in fitting)
            findings.append(codes.DEVICE_TWICE.at(f"device {device['id']} fits segments {names}", fitting[0].location))
        elif fitting:
            entries[fitting[0].name].append(_entry(device, facts, at))
    lock = {
        "kind": KIND,
        "schema_version": SCHEMA_VERSION,
        "segments": {name: {"devices": devices} for name, devices in entries.items()},
    }
    return lock, findings


def _entry(device: Mapping[str, Any], facts: Mapping[str, Sequence[Any]], at: str) -> dict[str, Any]:
    """Return a device of the lock; names that are not legal are left out, because they could reach a command line.

    Only a wireless client, which has no port, says at which site and in which group of access points it is.
    """
    interface = _first(facts, "interface", _INTERFACE)
    roams = bool(facts.get("access_point")) and not interface
    wireless = {name: _first(facts, name, _TAG) for name in _WIRELESS if roams}
    return {
        "device": device["id"],
        "name": _first(facts, "hostname", _HOST),
        "addresses": current_addresses(device, at),
        "switch": _first(facts, "switch", _HOST),
        "interface": interface,
    } | {name: text for name, text in wireless.items() if text}


def _first(facts: Mapping[str, Sequence[Any]], name: str, pattern: re.Pattern[str]) -> str:
    value = str(facts[name][0]) if facts.get(name) else ""
    return value if pattern.match(value) else ""


def _member(device: Mapping[str, Any]) -> Member:
    """Return a device of a lock; its fields are set at once, since a large site has tens of thousands."""
    made = object.__new__(Member)
    get = device.get
    made.__dict__.update(
        device=device["device"], addresses=tuple(device["addresses"]), name=get("name", ""), switch=get("switch", ""),
        interface=get("interface", ""), site=get("site", ""), access_point_group=get("access_point_group", ""),
    )  # fmt: skip
    return made


def lock_members(lock: Mapping[str, Any]) -> dict[str, tuple[Member, ...]]:
    """Return the model's membership of a lock that fits its schema."""
    return {name: tuple(map(_member, segment["devices"])) for name, segment in sorted(lock["segments"].items())}


def write_lock(path: str | Path, lock: Mapping[str, Any]) -> None:
    """Write members.lock.json: atomic, indented, keys sorted, so that git shows the devices that changed."""
    found = schema_findings("members.lock", Document(str(path), lock, {"": 1}))
    if found:
        raise FindingError(*found)
    write_json(path, lock)


def read_lock(path: str | Path) -> dict[str, Any]:
    """Return the lock of a file; FindingError where it cannot be read or does not fit its schema."""
    lock = read_document(path, KIND, 1)
    found = schema_findings("members.lock", Document(str(path), lock, {"": 1}))
    if found:
        raise FindingError(*found)
    return lock


def lock_difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return one line for each device that joined, left, moved or changed its addresses or port, for reviews."""
    before, after = _by_device(old), _by_device(new)
    lines = []
    for device in sorted(set(before) | set(after)):
        one, two = before.get(device), after.get(device)
        if one == two:
            continue
        if one is None or two is None:
            segment, entry = two or one  # type: ignore[misc]
            word = "joins" if one is None else "leaves"
            lines.append(f"{entry.get('name') or device} ({device}) {word} {segment}")
        elif one[0] != two[0]:
            lines.append(f"{two[1].get('name') or device} ({device}) moves from {one[0]} to {two[0]}")
        else:
            keys = ("name", "addresses", "switch", "interface", *_WIRELESS)
            changed = [key for key in keys if one[1].get(key) != two[1].get(key)]
            lines.append(f"{two[1].get('name') or device} ({device}) in {two[0]} changes {', '.join(changed)}")
    return lines


def _by_device(lock: Mapping[str, Any]) -> dict[str, tuple[str, Mapping[str, Any]]]:
    return {
        entry["device"]: (name, entry)
        for name, segment in sorted(lock.get("segments", {}).items())
        for entry in segment["devices"]
    }
