# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boxes and packets as JSON-like dicts and as one line of text.

The dict of a box: ``family`` (4, 6 or 0 for both), ``protocol`` (name, number as text, or ``ip``), ``source``, ``destination``
(lists of prefixes, ``["any"]``; an address and wildcard mask where that falls into very many ranges),
``source_ports``, ``destination_ports`` (lists such as ``["443", "5000-5010"]``; absent: any),
``established`` (true) or ``tcp_flags`` (list of flag sets), ``icmp`` (list of ``"type"`` or ``"type/code"``), ``fragments``
(``"only"`` or ``"none"``; absent: both), ``source_groups``, ``destination_groups`` (security group tags as texts or ranges; absent: any).
"""

from __future__ import annotations

import ipaddress
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.masks import MaskedSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import (
    ALL,
    ESTABLISHED,
    FLAG_NAMES,
    ICMP,
    ICMPV6,
    IPV4_ADDRESSES,
    IPV4_PROTOCOLS,
    IPV6,
    IPV6_PROTOCOLS,
    PORT_PROTOCOLS,
    TCP,
    Box,
    Packet,
    make_packet,
)

PROTOCOL_NAMES = {1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 51: "ah", 58: "icmpv6", 89: "ospf",
                  103: "pim", 112: "vrrp", 132: "sctp"}  # fmt: skip
PROTOCOL_NUMBERS = {name: number for number, name in PROTOCOL_NAMES.items()}
LIST_LIMIT = 64
_FLAGS = IntervalSet.of((0, 63))
_ZERO = IntervalSet.single(0)


def protocol_name(number: int) -> str:
    """Return the name of an IP protocol number, or the number as text."""
    return PROTOCOL_NAMES.get(number, str(number))


def packet_dict(packet: Packet) -> dict[str, Any]:
    """Return a packet as a JSON-like dict (the form of a witness)."""
    result: dict[str, Any] = {
        "family": 6 if packet.is_ipv6 else 4,
        "protocol": protocol_name(packet.ip_protocol),
        "source": _address(packet.source, packet.is_ipv6),
        "destination": _address(packet.destination, packet.is_ipv6),
    }
    if packet.fragment:
        result["fragment"] = True
    elif packet.ip_protocol in PORT_PROTOCOLS:
        result["source_port"] = packet.source_port
        result["destination_port"] = packet.destination_port
        if packet.ip_protocol == TCP:
            result["tcp_flags"] = flag_names(packet.detail)
    elif packet.protocol in (ICMP, IPV6 + ICMPV6):
        result["icmp_type"], result["icmp_code"] = packet.detail >> 8, packet.detail & 255
    for name in ("source_group", "destination_group"):
        if getattr(packet, name):
            result[name] = getattr(packet, name)
    return result


def packet_text(packet: Packet) -> str:
    """Return a packet as one line, for example ``tcp 10.0.0.2:49152 > 10.0.0.1:443 syn``."""
    shown = packet_dict(packet)
    left, right = shown["source"], shown["destination"]
    if "source_port" in shown:
        form = "[{}]:{}" if packet.is_ipv6 else "{}:{}"
        left, right = form.format(left, shown["source_port"]), form.format(right, shown["destination_port"])
    tail = ""
    if "tcp_flags" in shown:
        tail = " " + ("+".join(shown["tcp_flags"]) or "no-flags")
    elif "icmp_type" in shown:
        tail = f" type {shown['icmp_type']} code {shown['icmp_code']}"
    elif packet.fragment:
        tail = " later fragment"
    if packet.source_group or packet.destination_group:
        tail += f" groups {packet.source_group} > {packet.destination_group}"
    return f"{shown['protocol']} {left} > {right}{tail}"


def packet_from_dict(value: dict[str, Any]) -> Packet:
    """Return the packet of a dict as ``packet_dict`` writes it; ``tcp_flags`` defaults to an opening SYN.

    ``protocol`` is a name or a number. Raises FindingError SW1101 for anything that is not such a dict.
    """
    try:
        named = value["protocol"]
        number = PROTOCOL_NUMBERS.get(str(named).lower())
        number = int(named) if number is None else number
        flags = sum(bit for bit, name in FLAG_NAMES.items() if name in value.get("tcp_flags", ["syn"]))
        return make_packet(
            number, value["source"], value["destination"], int(value.get("destination_port", 0)),
            int(value.get("source_port", 49152)), flags=flags,
            icmp=(int(value.get("icmp_type", 8)), int(value.get("icmp_code", 0))), fragment=bool(value.get("fragment", False)),
            destination_group=int(value.get("destination_group", 0)), source_group=int(value.get("source_group", 0)),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FindingError(codes.BAD_PACKET.at(f"not a packet: {error}")) from error


def flag_names(flags: int) -> list[str]:
    """Return the names of the TCP flags set, in the order of their bits."""
    return [name for bit, name in FLAG_NAMES.items() if flags & bit]


def box_dicts(box: Box) -> list[dict[str, Any]]:
    """Return a box as JSON-like dicts: one for each family and kind of protocol that has to be told apart."""
    result = []
    for base, protocols in ((0, IPV4_PROTOCOLS), (IPV6, IPV6_PROTOCOLS)):
        here = box.protocol.intersect(protocols)
        if here and (base or (box.source.overlaps(IPV4_ADDRESSES) and box.destination.overlaps(IPV4_ADDRESSES))):
            result += _family_dicts(box, here, base)
    if len(result) == 2 and {**result[0], "family": 0} == {**result[1], "family": 0} and "any" in result[0]["source"]:
        return [{**result[0], "family": 0}]
    return result


def _family_dicts(box: Box, protocols: IntervalSet, base: int) -> list[dict[str, Any]]:
    whole = IntervalSet.of((base, base + 255))
    plain = box.detail.covers(_ZERO) and box.source_port.covers(_ZERO) and box.destination_port.covers(_ZERO)
    free = box.detail == ALL["detail"] and box.source_port == ALL["source_port"]
    free = free and box.destination_port == ALL["destination_port"]
    if protocols == whole and free:
        return [_one(box, "ip", None, base)]
    result = []
    left = protocols
    if not free:
        for number in (*PORT_PROTOCOLS, ICMPV6 if base else ICMP):
            if protocols.contains(base + number):
                result.append(_one(box, protocol_name(number), number, base))
                left = left.subtract(IntervalSet.single(base + number))
        if not plain:
            return [item for item in result if item]
    if left.size > 16:
        ranges = ",".join(_range(low - base, high - base) for low, high in left.pairs)
        return [item for item in result if item] + [_one(box, ranges, None, base)]
    for low, high in left.pairs:
        for number in range(low - base, high - base + 1):
            kind = number if free else None
            result.append(_one(box, protocol_name(number), kind, base))
    return [item for item in result if item]


def _one(box: Box, protocol: str, number: int | None, base: int) -> dict[str, Any]:
    """Return the dict for one protocol; {} when no possible packet of it is in the box."""
    if number is not None and number not in PORT_PROTOCOLS:
        if not (box.source_port.contains(0) and box.destination_port.contains(0)):
            return {}
    shown: dict[str, Any] = {
        "family": 6 if base else 4,
        "protocol": protocol,
        "source": addresses_text(box.source, bool(base)),
        "destination": addresses_text(box.destination, bool(base)),
    }
    later_only = False
    if number in PORT_PROTOCOLS:
        for name in ("source_port", "destination_port"):
            values = getattr(box, name)
            if values != ALL[name]:
                shown[name + "s"] = [_range(low, high) for low, high in values.pairs]
    if number == TCP and not box.detail.covers(_FLAGS):
        flags = box.detail.intersect(_FLAGS)
        if flags == ESTABLISHED:
            shown["established"] = True
        else:
            sets = [value for low, high in flags.pairs for value in range(low, high + 1)]
            shown["tcp_flags"] = ["+".join(flag_names(value)) or "none" for value in sets]
        later_only = not flags
    elif number is not None and number == (ICMPV6 if base else ICMP) and box.detail != ALL["detail"]:
        shown["icmp"] = icmp_text(box.detail)
    elif number is not None and number != TCP and not box.detail.contains(0):
        return {}
    if later_only:
        return {}
    if box.fragment == IntervalSet.single(1):
        shown["fragments"] = "only"
    elif box.fragment == IntervalSet.single(0):
        shown["fragments"] = "none"
    for name in ("source_group", "destination_group"):
        values = getattr(box, name)
        if values != ALL[name]:
            shown[name + "s"] = [_range(low, high) for low, high in values.pairs]
    return shown


def icmp_text(detail: IntervalSet) -> list[str]:
    """Return ICMP messages as ``"type"`` where all codes are in the set, else ``"type/code"`` or ``"type/low-high"``."""
    result = []
    for low, high in detail.pairs:
        while low <= high:
            kind = low >> 8
            end = min(high, (kind << 8) + 255)
            if end - low == 255:
                last = kind
                while (last + 2) * 256 - 1 <= high:
                    last += 1
                result.append(_range(kind, last))
                low = (last + 1) * 256
            else:
                result.append(f"{kind}/{_range(low & 255, end & 255)}")
                low = end + 1
    return result


def addresses_text(values: IntervalSet, ipv6: bool) -> list[str]:
    """Return addresses as prefixes, ``["any"]`` for all; above 64 prefixes as low-high ranges; as address and mask above 4,096.

    A mask that counts in some ranges only is told for each: ``10.0.0.5 0.255.255.0 within 10.0.0.5-10.3.3.5``.
    """
    width = 128 if ipv6 else 32
    inside = values.intersect(IntervalSet(((0, (1 << width) - 1),)))
    if isinstance(inside, MaskedSet):
        whole = inside.wildcard()
        loose = ~inside.care & ((1 << width) - 1) if whole is None else whole[1]
        mask = f"{_address(inside.value if whole is None else whole[0], ipv6)} {_address(loose, ipv6)}"
        if whole is not None:
            return [mask]
        return [f"{mask} within {_address(low, ipv6)}-{_address(high, ipv6)}" for low, high in inside.within]
    if inside.size == 1 << width:
        return ["any"]
    listed = inside.to_prefixes(width) if len(inside.pairs) <= LIST_LIMIT else []
    if listed and len(listed) <= LIST_LIMIT:
        return listed
    return [f"{_address(low, ipv6)}-{_address(high, ipv6)}" for low, high in inside.pairs]


def box_text(box: Box) -> str:
    """Return a box as short text, for example ``tcp any -> 10.0.0.1/32 ports 443``; several kinds joined by ``; ``."""
    return "; ".join(_line(item) for item in box_dicts(box))


def _line(item: dict[str, Any]) -> str:
    protocol = {4: "ipv4", 6: "ipv6", 0: "ip"}[item["family"]] if item["protocol"] == "ip" else item["protocol"]
    if item["family"] and item["source"] == item["destination"] == ["any"] and not protocol.startswith(("ip", "icmp")):
        protocol = f"ipv{item['family']} {protocol}"  # no address says of which family the packets are
    words = [protocol, _some(item["source"])]
    if "source_ports" in item:
        words.append("port " + _some(item["source_ports"]))
    words += ["->", _some(item["destination"])]
    if "destination_ports" in item:
        words.append("port " + _some(item["destination_ports"]))
    if item.get("established"):
        words.append("established")
    if "tcp_flags" in item:
        words.append("flags " + _some(item["tcp_flags"]))
    if "icmp" in item:
        words.append("type " + _some(item["icmp"]))
    if "fragments" in item:
        words.append({"only": "later fragments only", "none": "without later fragments"}[item["fragments"]])
    for name, word in (("source_groups", "from group"), ("destination_groups", "to group")):
        if name in item:
            words.append(f"{word} {_some(item[name])}")
    return " ".join(words)


def _some(values: list[str]) -> str:
    return ",".join(values[:6]) + (f",... ({len(values)} in all)" if len(values) > 6 else "")


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}-{high}"


def _address(value: int, ipv6: bool) -> str:
    return str(ipaddress.IPv6Address(value) if ipv6 else ipaddress.IPv4Address(value))
