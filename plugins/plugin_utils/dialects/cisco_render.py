# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries as Cisco lines. An entry with several prefixes, ports or messages becomes the product of them; numbers, not names."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from math import prod

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import codes, names
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet, prefixes
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import ESTABLISHED, PORTS, TCP, UDP

LINE_LIMIT = 20_000
WILDCARD_FROM = 17  # prefixes; from here on a discontiguous wildcard mask is written where one says the same
_FLAGS = IntervalSet.of((0, 63))
_MESSAGES = IntervalSet.of((0, 65535))


def ace_lines(ace: Ace, *, addresses: bool = True, port_lists: bool = False, log: bool = True) -> list[str]:
    """Return the lines that together mean the entry, in a fixed order.

    ``addresses`` False writes the SGACL form. ``port_lists`` allows up to ten ports after ``eq`` (named IOS lists; not DACL,
    SGACL or Catalyst 4500). Raises FindingError SW1204 for what the syntax cannot say, SW1207 above 20,000 lines.
    """
    if not ace.plain:
        raise _cannot(ace, "the syntax has neither its conditions nor its groups")
    if addresses and ace.family not in (4, 6):
        raise _cannot(ace, "it has no address family")
    if not addresses and not (ace.source is None and ace.destination is None):
        raise _cannot(ace, "a security group list has no addresses")
    head = f"{'permit' if ace.permit else 'deny'} {_protocol(ace)}"
    tails = [" fragments"] if ace.fragments else _details(ace)
    if ace.fragments and ace.layer4:
        raise _cannot(ace, "later fragments have no ports or flags")
    sides = [_ports(ace, ace.source_ports, port_lists), _ports(ace, ace.destination_ports, port_lists)]
    if addresses:
        sources, destinations = _addresses(ace, ace.source), _addresses(ace, ace.destination)
        columns = [[head], sources, sides[0], destinations, sides[1], tails]
    else:
        words = [
            [f" {side}{port}" if port else "" for port in ports]
            for side, ports in zip(("src", "dst"), sides, strict=True)
        ]
        columns = [[head], *words, tails]
    count = prod(map(len, columns))
    if count > LINE_LIMIT:
        raise FindingError(codes.TOO_LARGE.at(f"one entry needs {count} lines ({ace.label or ace.raw or head})"))
    end = " log" if ace.log and log else ""
    return ["".join(part) + end for part in product(*columns)]


def _cannot(ace: Ace, reason: str) -> FindingError:
    return FindingError(codes.NOT_EXPRESSIBLE.at(f"entry {ace.label or ace.raw or 'without label'}: {reason}"))


def _protocol(ace: Ace) -> str:
    if ace.protocol is None:
        return "ipv6" if ace.family == 6 else "ip"
    known = {6: "tcp", 17: "udp", 1: "icmp", 2: "igmp", 47: "gre", 50: "esp", 51: "ahp"}
    if ace.family == 6:
        known = {6: "tcp", 17: "udp", 58: "icmp", 50: "esp", 51: "ahp"}
    return known.get(ace.protocol, str(ace.protocol))


def _addresses(ace: Ace, values: IntervalSet | None) -> list[str]:
    width = 128 if ace.family == 6 else 32
    if values is None or (values.pairs and values.pairs[0] == (0, (1 << width) - 1)):
        return [" any"]
    if not values or values.pairs[-1][1] >> width:
        raise _cannot(ace, "its addresses are empty or of the other family")
    blocks = list(prefixes(values.pairs, width))
    if width == 32 and len(blocks) >= WILDCARD_FROM:
        masked = values.wildcard()
        if masked is not None:
            return [f" {ipaddress.IPv4Address(masked[0])} {ipaddress.IPv4Address(masked[1])}"]
    return [" " + _block(value, length, width) for value, length in blocks]


def _block(value: int, length: int, width: int) -> str:
    if width == 128:
        address = str(ipaddress.IPv6Address(value))
        return f"host {address}" if length == 128 else f"{address}/{length}"
    address = str(ipaddress.IPv4Address(value))
    return f"host {address}" if length == 32 else f"{address} {ipaddress.IPv4Address((1 << (32 - length)) - 1)}"


def _ports(ace: Ace, values: IntervalSet | None, lists: bool) -> list[str]:
    if values is None:
        return [""]
    if ace.protocol not in (TCP, UDP, 132):
        raise _cannot(ace, "its protocol has no ports")
    if not values or values.pairs[-1][1] > 65535:
        raise _cannot(ace, "its ports are empty or out of range")
    missing = PORTS.subtract(values)
    if missing.size == 1 and len(values.pairs) == 2:
        return [f" neq {missing.pairs[0][0]}"]
    singles = [low for low, high in values.pairs if low == high]
    result: list[tuple[int, str]] = []
    if lists and len(singles) > 1:
        groups = [singles[i : i + 10] for i in range(0, len(singles), 10)]
        result += [(group[0], " eq " + " ".join(map(str, group))) for group in groups]
    else:
        result += [(port, f" eq {port}") for port in singles]
    for low, high in values.pairs:
        if low == high:
            continue
        if low == 0 and high < 65535:
            result.append((low, f" lt {high + 1}"))
        elif high == 65535 and low > 0:
            result.append((low, f" gt {low - 1}"))
        else:
            result.append((low, f" range {low} {high}"))
    return [text for _low, text in sorted(result)]


def _details(ace: Ace) -> list[str]:
    if ace.detail is None:
        return [""]
    whole = _FLAGS if ace.protocol == TCP else _MESSAGES
    if ace.protocol != TCP and ace.protocol != (58 if ace.family == 6 else 1):
        raise _cannot(ace, "its protocol has neither flags nor messages")
    values = ace.detail.intersect(whole)
    if not values:
        raise _cannot(ace, "it matches no packet")
    if values == whole:
        if ace.permit or ace.source_ports is not None or ace.destination_ports is not None:
            return [""]
        raise _cannot(ace, "all flags or messages but no later fragments")
    if ace.protocol == TCP:
        return [" " + words for words in _flag_words(values)]
    return [" " + words for words in _message_words(values, ace.family == 6)]


@lru_cache(maxsize=1)
def _flag_forms() -> dict[IntervalSet, str]:
    """Return every flag set that one IOS form says, with the shortest form."""
    forms: dict[IntervalSet, str] = {}
    for choice in product(("", "+", "-"), repeat=len(names.TCP_FLAGS)):
        tests = [(bit, sign) for sign, bit in zip(choice, names.TCP_FLAGS.values(), strict=True) if sign]
        if not tests:
            continue
        words = " ".join(sign + word for sign, word in zip(choice, names.TCP_FLAGS, strict=True) if sign)
        for form, check in (("match-all", all), ("match-any", any)):
            hits = [flags for flags in range(64) if check(bool(flags & bit) == (sign == "+") for bit, sign in tests)]
            values = IntervalSet.of(*hits)
            text = f"{form} {words}"
            if values not in forms or len(text) < len(forms[values]):
                forms[values] = text
    for word, bit in names.TCP_FLAGS.items():
        forms[IntervalSet.of(*(flags for flags in range(64) if flags & bit))] = word
    forms[ESTABLISHED] = "established"
    return forms


def _flag_words(values: IntervalSet) -> list[str]:
    forms = _flag_forms()
    if values in forms:
        return [forms[values]]
    result: list[str] = []
    left = values
    for form in sorted(forms, key=lambda item: (-item.size, item.pairs)):
        if form.overlaps(left) and values.covers(form):
            result.append(forms[form])
            left = left.subtract(form)
    return result


def _message_words(values: IntervalSet, ipv6: bool) -> Iterator[str]:
    spoken = names.message_words(ipv6)
    for kind in range(256):
        here = values.intersect(IntervalSet.of((kind << 8, kind << 8 | 255)))
        if here.size == 256:
            yield spoken.get((kind, None), str(kind))
        else:
            for low, high in here.pairs:
                for detail in range(low, high + 1):
                    yield spoken.get((kind, detail & 255), f"{kind} {detail & 255}")
