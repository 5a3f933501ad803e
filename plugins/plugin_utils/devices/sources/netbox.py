# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NetBox: devices and virtual machines with the MACs of their interfaces, role, manufacturer, model, site and addresses.

Read over its REST API, page by page, or from a file with the same objects (an offline export). Only reads. The token is sent to the
server that was named and nowhere else: pages that lead elsewhere and redirects are refused.

Roles are what persons set, so they count as a record. An address in NetBox is a plan, so that any lease counts more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import (
    AddressClaim,
    Observation,
    normal_mac,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.sources.kind import (
    Asked,
    Kind,
    Reading,
    Rejects,
    reading,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.sources.netbox_client import Client

PATHS = {
    "devices": "dcim/devices",
    "interfaces": "dcim/interfaces",
    "ip_addresses": "ipam/ip-addresses",
    "virtual_machines": "virtualization/virtual-machines",
    "vm_interfaces": "virtualization/interfaces",
}
RECORD, PLANNED, NAMED = 0.9, 0.5, 0.8
GONE = ("decommissioning", "offline", "inventory", "planned")
SECOND = 1_000_000


def read(asked: Asked) -> Reading:
    """Return what NetBox says."""
    objects = _from_file(asked) if asked.path is not None else _from_server(asked)
    rejects = Rejects(asked)
    observations: list[Observation] = []
    counts: dict[str, int] = defaultdict(int)
    for owner, holders, interfaces, kind in (
        ("device", objects["devices"], objects["interfaces"], "dcim.interface"),
        ("virtual_machine", objects["virtual_machines"], objects["vm_interfaces"], "virtualization.vminterface"),
    ):
        ports = _by_owner(interfaces, owner)
        addresses = _addresses(objects["ip_addresses"], kind)
        for each in holders:
            counts["devices"] += 1
            if _word(each.get("status"), "value") in GONE:
                counts["not_in_use"] += 1
                continue
            try:
                observations += _of_holder(asked, each, ports.get(_id(each), ()), addresses, counts)
            except (ValueError, TypeError, AttributeError) as error:
                rejects.add(0, f"{owner} {str(each.get('name'))[:60]!r}: {error}")
    return reading(observations, rejects, **counts)


def _of_holder(
    asked: Asked,
    each: Mapping[str, Any],
    ports: Iterable[Mapping[str, Any]],
    addresses: Mapping[int, list[str]],
    counts: dict[str, int],
) -> list[Observation]:
    at = _time(each.get("last_updated"), asked.at)
    kind = each.get("device_type") or {}
    record = {
        "asset_type": _word(each.get("role") or each.get("device_role"), "name"),
        "manufacturer": _word(kind.get("manufacturer"), "name"),
        "model": _word(kind, "model"),
        "site": _word(each.get("site"), "name"),
        "owner": _word(each.get("tenant"), "name"),
        "serial": str(each.get("serial") or ""),
        **_custom(asked, each),
    }
    record = {name: value for name, value in record.items() if value not in (None, "")}
    name = {"hostname": str(each["name"])} if each.get("name") else {}
    made: list[Observation] = []
    for port in ports:
        mac = port.get("mac_address") or _word(port.get("primary_mac_address"), "mac_address")
        if not mac:
            continue
        own = normal_mac(str(mac))
        claims = tuple(AddressClaim(text, at, at) for text in addresses.get(_id(port), ()))
        made.append(Observation(own, record, (), asked.name, at, RECORD))
        if name:
            made.append(Observation(own, name, (), f"{asked.name}:name", at, NAMED))
        if claims:
            made.append(Observation(own, {}, claims, f"{asked.name}:plan", at, PLANNED))
    if made:
        counts["with_mac"] += 1
        return made
    primary = [_word(each.get(key), "address") for key in ("primary_ip4", "primary_ip6")]
    planned = tuple(AddressClaim(text.split("/", maxsplit=1)[0], at, at) for text in primary if text)
    if planned:
        counts["with_address_only"] += 1
        return [Observation("", {**record, **name}, planned, asked.name, at, RECORD)]
    counts["with_neither"] += 1
    return []


def _by_owner(interfaces: Iterable[Mapping[str, Any]], owner: str) -> dict[int, list[Mapping[str, Any]]]:
    made: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for port in interfaces:
        holder = port.get(owner)
        if isinstance(holder, Mapping):
            made[_id(holder)].append(port)
    return made


def _addresses(entries: Iterable[Mapping[str, Any]], kind: str) -> dict[int, list[str]]:
    """Return the addresses by the interface that they are assigned to."""
    made: dict[int, list[str]] = defaultdict(list)
    for each in entries:
        if each.get("assigned_object_type") == kind and _word(each.get("status"), "value") not in (
            "deprecated",
            "reserved",
        ):
            number = each.get("assigned_object_id")
            if isinstance(number, int):
                made[number].append(str(each.get("address") or "").split("/", maxsplit=1)[0])
    return made


def _custom(asked: Asked, each: Mapping[str, Any]) -> dict[str, str]:
    """Return the facts that the site keeps in custom fields of its own; ``fields`` says which."""
    given = each.get("custom_fields") or {}
    wanted = asked.option("fields", {})
    return {fact: str(given[name]) for name, fact in wanted.items() if given.get(name) not in (None, "", [], {})}


def _word(value: Any, key: str) -> str:
    """Return a nested object's text, or the value where it is text itself."""
    if isinstance(value, Mapping):
        value = value.get(key) or value.get("name") or value.get("display") or ""
    return str(value) if value is not None else ""


def _id(value: Mapping[str, Any]) -> int:
    number = value.get("id")
    if not isinstance(number, int):
        raise ValueError("an object without id")
    return number


def _time(text: Any, fallback: int) -> int:
    try:
        return min(int(datetime.fromisoformat(str(text)).timestamp() * SECOND), fallback)
    except ValueError:
        return fallback


def _from_file(asked: Asked) -> dict[str, list[Mapping[str, Any]]]:
    value = asked.json()
    if not isinstance(value, Mapping) or "devices" not in value:
        text = f"{asked.name}: no object with devices, interfaces and ip_addresses"
        raise FindingError(codes.SOURCE_FAILED.at(text, Location(str(asked.path), 1)))
    made = {}
    for name in PATHS:
        found = value.get(name) or []
        found = found.get("results") if isinstance(found, Mapping) else found
        if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
            raise FindingError(
                codes.SOURCE_FAILED.at(f"{asked.name}: {name} is no list of objects", Location(str(asked.path), 1))
            )
        made[name] = found
    return made


def _from_server(asked: Asked) -> dict[str, list[Mapping[str, Any]]]:
    with Client.of(asked) as client:
        filters = dict(asked.option("filters", {}))
        return {
            name: client.all_of(path, filters if name in ("devices", "virtual_machines") else {})
            for name, path in PATHS.items()
        }


KIND = Kind(
    "netbox",
    "NetBox over its REST API, or a file with its objects",
    read,
    {
        "url": "the server, as https://netbox.example.org",
        "token": "API token, from a vault; NETBOX_TOKEN of the environment where not given",
        "token_variable": "name of the environment's variable that has the token",
        "ca_file": "file with the authorities that are trusted; the system's where not given",
        "filters": "mapping of the API's filters for devices, such as site or status",
        "fields": "mapping of custom fields to facts, such as owner_team to owner",
        "page_size": "objects a page, 1 to 1000; 500 where not given",
        "timeout": "seconds to wait for an answer; 30 where not given",
    },
    needs_path=False,
)
