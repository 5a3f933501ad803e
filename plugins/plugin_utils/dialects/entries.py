# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries as JSON-like dicts, the form that acl_parse returns and the filters take."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import ESTABLISHED, FLAG_NAMES, TCP
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.text import (
    PROTOCOL_NUMBERS,
    addresses_text,
    flag_names,
    icmp_text,
    protocol_name,
)

KEYS = frozenset({
    "permit", "action", "family", "protocol", "source", "destination", "source_ports", "destination_ports", "established",
    "tcp_flags", "icmp", "fragments", "log", "remarks", "sequence", "line", "text", "label",
    "conditions", "source_groups", "destination_groups", "inactive", "object_groups", "matches", "estimate_matches",
})  # fmt: skip
_ANY = ("any", "all", "")


def ace_dict(ace: Ace) -> dict[str, Any]:
    """Return an entry as a dict; a key that restricts nothing is absent."""
    ipv6 = ace.family == 6
    result: dict[str, Any] = {
        "permit": ace.permit,
        "family": ace.family,
        "protocol": "ip" if ace.protocol is None else protocol_name(ace.protocol),
        "source": ["any"] if ace.source is None else addresses_text(ace.source, ipv6),
        "destination": ["any"] if ace.destination is None else addresses_text(ace.destination, ipv6),
    }
    for name in ("source_ports", "destination_ports"):
        values: IntervalSet | None = getattr(ace, name)
        if values is not None:
            result[name] = [str(low) if low == high else f"{low}-{high}" for low, high in values.pairs]
    if ace.detail is not None and ace.protocol == TCP:
        if ace.established:
            result["established"] = True
        else:
            numbers = [flags for low, high in ace.detail.pairs for flags in range(low, high + 1)]
            result["tcp_flags"] = ["+".join(flag_names(flags)) or "none" for flags in numbers]
    elif ace.detail is not None:
        result["icmp"] = icmp_text(ace.detail)
    for name in ("source_group", "destination_group"):
        values = getattr(ace, name)
        if values is not None:
            result[name + "s"] = [str(low) if low == high else f"{low}-{high}" for low, high in values.pairs]
    if ace.conditions:
        result["conditions"] = list(ace.conditions)
    for name in ("fragments", "log", "inactive"):
        if getattr(ace, name):
            result[name] = True
    if ace.remarks:
        result["remarks"] = list(ace.remarks)
    if ace.object_groups:
        result["object_groups"] = dict(ace.object_groups)
    for name, count in (("matches", ace.matches), ("estimate_matches", ace.estimate_matches)):
        if count is not None:
            result[name] = count
    for name, value in (
        ("sequence", ace.sequence),
        ("line", ace.line or None),
        ("text", ace.raw),
        ("label", ace.label),
    ):
        if value:
            result[name] = value
    return result


def ace_from_dict(value: Any, family: int | None = None) -> Ace:
    """Return the entry of a dict as ``ace_dict`` writes it, or as a person does: ``action: permit`` for ``permit: true``.

    Addresses and ports may be one value or a list; the family is taken from the addresses, then from ``family`` of the dict, then
    from the argument (default 4). Raises FindingError SW1211 for unknown keys and values, and for families that differ.
    """
    try:
        return _ace(value, family)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FindingError(codes.BAD_ENTRY.at(f"entry {str(value)[:200]}: {error}")) from error


def _ace(value: Mapping[str, Any], family: int | None) -> Ace:
    unknown = set(value) - KEYS
    if unknown:
        raise ValueError(f"unknown keys {', '.join(sorted(map(str, unknown)))}")
    action = value.get("action")
    if action is not None and (action not in ("permit", "deny") or "permit" in value):
        raise ValueError("action is permit or deny, and stands alone")
    permit = action == "permit" if action is not None else value["permit"]
    if not isinstance(permit, bool):
        raise ValueError("permit is not true or false")
    source, first = _addresses(value.get("source"))
    destination, second = _addresses(value.get("destination"))
    families = {found for found in (first, second, int(value.get("family") or 0)) if found}
    if len(families) > 1:
        raise ValueError("address families differ")
    chosen = families.pop() if families else (0 if value.get("family") == 0 else family if family is not None else 4)
    if chosen not in (0, 4, 6):
        raise ValueError("family is 4, 6 or 0")
    protocol = _protocol(value.get("protocol", "ip"), chosen)
    return Ace(
        permit=permit, protocol=protocol, family=chosen, source=source, destination=destination,
        source_ports=_ports(value.get("source_ports")), destination_ports=_ports(value.get("destination_ports")),
        detail=_detail(value, protocol, chosen), fragments=_truth(value, "fragments"), log=_truth(value, "log"),
        remarks=_texts(value.get("remarks")), label=str(value.get("label") or ""),
        source_group=_ports(value.get("source_groups")), destination_group=_ports(value.get("destination_groups")),
        conditions=tuple(sorted(set(_texts(value.get("conditions"))))), inactive=_truth(value, "inactive"),
        object_groups=tuple((str(side), str(name)) for side, name in (value.get("object_groups") or {}).items()),
    )  # fmt: skip


def _truth(value: Mapping[str, Any], name: str) -> bool:
    """Return true or false; a text such as "no" is neither, and is refused, since it would count as the other one."""
    found = value.get(name)
    if found is not None and not isinstance(found, bool):
        raise ValueError(f"{name} is not true or false")
    return found is True


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(str(item) for item in ((value,) if isinstance(value, str) else value or ()))


def _listed(value: Any) -> list[str] | None:
    if value is None:
        return None
    items = [str(item).strip() for item in (value if isinstance(value, (list, tuple)) else [value])]
    if any(item.lower() in _ANY for item in items):
        if len(items) > 1:
            raise ValueError("any stands alone")
        return None
    if not items:
        raise ValueError("an empty list matches nothing")
    return items


def _addresses(value: Any) -> tuple[IntervalSet | None, int]:
    items = _listed(value)
    if items is None:
        return None, 0
    pairs, families = [], set()
    for item in items:
        low, dash, high = item.partition("-")
        if dash:
            first, last = ipaddress.ip_address(low.strip()), ipaddress.ip_address(high.strip())
            families |= {first.version, last.version}
            pairs.append((int(first), int(last)))
        else:
            network = ipaddress.ip_network(item, strict=True)
            families.add(network.version)
            pairs.append((int(network.network_address), int(network.broadcast_address)))
    if len(families) != 1:
        raise ValueError("address families differ")
    return IntervalSet.of(*pairs), families.pop()


def _protocol(value: Any, family: int) -> int | None:
    word = str(value).lower()
    if word in ("ip", "ipv4", "ipv6", "any"):
        return None
    if word == "icmp" and family == 6:
        word = "icmpv6"
    number = PROTOCOL_NUMBERS.get(word)
    if number is None:
        number = int(word)
    if not 0 <= number <= 255:
        raise ValueError(f"protocol {value!r} is out of range")
    return number


def _ports(value: Any) -> IntervalSet | None:
    items = _listed(value)
    if items is None:
        return None
    pairs = []
    for item in items:
        match = re.match(r"(\d{1,5})(?:\s*-\s*(\d{1,5}))?\Z", item)
        if not match or int(match[2] or match[1]) > 65535:
            raise ValueError(f"port {item!r} is not understood")
        pairs.append((int(match[1]), int(match[2] or match[1])))
    return IntervalSet.of(*pairs)


def _detail(value: Mapping[str, Any], protocol: int | None, family: int) -> IntervalSet | None:
    given = [name for name in ("tcp_flags", "icmp") if value.get(name)] + ["established"] * _truth(value, "established")
    if not given:
        return None
    if len(given) > 1 or (protocol != TCP) == (given[0] != "icmp"):
        raise ValueError(f"{' and '.join(given)} cannot stand with this protocol")
    if given[0] == "established":
        return ESTABLISHED
    items = _listed(value[given[0]]) or []
    if given[0] == "tcp_flags":
        bits = {name: bit for bit, name in FLAG_NAMES.items()}
        return IntervalSet.of(
            *(0 if item == "none" else sum(bits[word] for word in set(item.split("+"))) for item in items)
        )
    if protocol != (58 if family == 6 else 1):
        raise ValueError("icmp stands with the protocol icmp only")
    return IntervalSet.of(*(_messages(item) for item in items))


def _messages(item: str) -> tuple[int, int]:
    match = re.match(r"(\d{1,3})(?:-(\d{1,3}))?(?:/(\d{1,3})(?:-(\d{1,3}))?)?\Z", item)
    if not match or any(int(number) > 255 for number in match.groups() if number) or (match[2] and match[3]):
        raise ValueError(f"icmp message {item!r} is not understood")
    kind = int(match[1])
    if match[3] is None:
        return kind << 8, int(match[2] or kind) << 8 | 255
    return kind << 8 | int(match[3]), kind << 8 | int(match[4] or match[3])
