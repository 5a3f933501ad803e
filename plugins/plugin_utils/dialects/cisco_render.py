# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries as Cisco lines. An entry with several prefixes, ports or messages becomes the product of them; numbers, not names."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache, reduce
from itertools import product
from math import prod
from operator import and_, or_

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import codes, names
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_options import LAST, read_options
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_values import NotUnderstood
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet, prefixes
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import ESTABLISHED, PORTS, TCP, UDP

LINE_LIMIT = 20_000
WILDCARD_FROM = 17  # prefixes; from here on a discontiguous wildcard mask is written where one says the same
_SIDES = ("service", "source", "destination")
_GROUP_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,63}\Z")
_NOT_PORTS = re.compile(r"neq [0-9]{1,5}(?: [0-9]{1,5}){1,9}\Z")
_FLAGS = IntervalSet.of((0, 63))
_MESSAGES = IntervalSet.of((0, 65535))


def ace_lines(
    ace: Ace,
    *,
    addresses: bool = True,
    port_lists: bool = False,
    log: bool = True,
    groups: bool = False,
    conditions: bool = True,
) -> list[str]:
    """Return the lines that together mean the entry, in a fixed order.

    ``addresses`` False writes the SGACL form. ``port_lists`` allows up to ten ports after ``eq`` (named IOS lists; not DACL,
    SGACL or Catalyst 4500). ``groups`` writes object groups by name, else their content. ``conditions`` False refuses what
    names an object of the device (object groups, time ranges). Raises FindingError SW1204 for what the syntax cannot say,
    SW1207 above 20,000 lines.
    """
    if ace.source_group is not None or ace.destination_group is not None:
        raise _cannot(ace, "the syntax has no security group tags")
    if ace.inactive:
        raise _cannot(ace, "the syntax has no inactive entries")
    if addresses and ace.family not in (4, 6):
        raise _cannot(ace, "it has no address family")
    if not addresses and not (ace.source is None and ace.destination is None):
        raise _cannot(ace, "a security group list has no addresses")
    said = references(ace, groups)
    if said and not (conditions and addresses):
        raise _cannot(ace, f"{', '.join(said.values())}: groups and lists of ports cannot stand in this kind of list")
    before, after, flags = _condition_words(ace, conditions)
    action = "permit" if ace.permit else "deny"
    head = f"{action} {said['service']}" if "service" in said else f"{action} {_protocol(ace)}"
    if ace.fragments and ace.layer4:
        raise _cannot(ace, "later fragments have no ports or flags")
    tails = [" fragments"] if ace.fragments else [flags] if flags else _details(ace)
    if "service" in said:
        tails = [""]
    sides = [_side_ports(ace, said, side, port_lists) for side in ("source", "destination")]
    if addresses:
        sources, destinations = (
            [f" {said[side]}"] if side in said else _addresses(ace, values)
            for side, values in (("source", ace.source), ("destination", ace.destination))
        )
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
    end = before + (" log" if ace.log and log else "") + after
    return ["".join(part) + end for part in product(*columns)]


def references(ace: Ace, groups: bool) -> dict[str, str]:
    """Return the words that stand for ``service``, ``source``, ``destination`` and their ``... ports``, where a group does.

    Groups without definition are always named (they are conditions of the entry); resolved ones only with ``groups``.
    """
    found: dict[str, str] = {}
    for text in ace.conditions:
        side, _blank, rest = text.partition(" ")
        word, _blank, name = rest.partition(" ")
        if side in _SIDES and _NOT_PORTS.match(rest):
            if getattr(ace, f"{side}_ports", None) != PORTS:
                raise _cannot(ace, f"{rest!r} stands beside other ports, which the line could not say")
            found[f"{side} ports"] = rest
        elif side in _SIDES and word in ("object-group", "addrgroup", "portgroup"):
            if not _GROUP_NAME.match(name):
                raise _cannot(ace, f"group name {name!r} is not safe to write")
            place = f"{side} ports" if word == "portgroup" else side
            if not _is_open(ace, place):
                raise _cannot(ace, f"{rest!r} stands beside values, which the line could not say")
            found[place] = rest
    if groups:
        for side, name in ace.object_groups:
            if not _GROUP_NAME.match(name):
                raise _cannot(ace, f"group name {name!r} is not safe to write")
            found.setdefault(side, f"object-group {name}")
    return found


def _is_open(ace: Ace, place: str) -> bool:
    """Return whether an entry says nothing itself where words of a condition are to stand."""
    if place == "service":
        return ace.protocol is None and not ace.layer4
    return getattr(ace, place.replace(" ", "_")) is None


def _condition_words(ace: Ace, objects: bool) -> tuple[str, str, str]:
    """Return the words of the conditions before and after ``log``, and flag words; SW1204 for what IOS does not say."""
    before = after = flags = ""
    for text in ace.conditions:
        side, _blank, rest = text.partition(" ")
        if side in _SIDES and (
            rest.split(" ")[0] in ("object-group", "addrgroup", "portgroup") or _NOT_PORTS.match(rest)
        ):
            continue
        words = text.split()[1:] if side == "igmp" else text.split()
        try:
            low = [*(word.lower() for word in words), "", "", "", ""]
            known = read_options(low, words, 0, ace.protocol, ace.family, None)
        except NotUnderstood as error:
            raise _cannot(ace, f"condition {text!r}: {error}") from error
        if known.conditions != (text,) or known.log or known.fragments:
            raise _cannot(ace, f"condition {text!r} is not one of this platform")
        if known.detail is not None:
            if known.detail != ace.detail:
                raise _cannot(ace, f"condition {text!r} and the flags of the entry differ")
            flags = f" {text}"
        elif text.startswith(LAST):
            if not objects:
                raise _cannot(ace, f"{text!r} names an object of one device")
            after += f" {text}"
        else:
            before += " " + " ".join(words)
    return before, after, flags


def _side_ports(ace: Ace, said: dict[str, str], side: str, lists: bool) -> list[str]:
    ports = ace.source_ports if side == "source" else ace.destination_ports
    if "service" in said:
        return [""]
    if f"{side} ports" in said:
        return [f" {said[f'{side} ports']}"]
    return _ports(ace, ports, lists)


def service_words(ace: Ace) -> list[str]:
    """Return the members of an object group of services that mean an entry's protocol, ports and messages."""
    sides = [_ports(ace, ace.source_ports, False), _ports(ace, ace.destination_ports, False)]
    sources = [f" source{port}" if port else "" for port in sides[0]]
    return ["".join(part) for part in product([_protocol(ace)], sources, sides[1], _details(ace))]


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
    if values is None or (values and values.hull == (0, (1 << width) - 1) and values.size == 1 << width):
        return [" any"]
    if not values or values.hull[1] >> width:
        raise _cannot(ace, "its addresses are empty or of the other family")
    if values.masked:
        tested = values.wildcard()
        if tested is None or width == 128:
            raise _cannot(ace, "its addresses fall into more than 4,096 ranges that no mask of this platform says")
        return [f" {ipaddress.IPv4Address(tested[0])} {ipaddress.IPv4Address(tested[1])}"]
    return [*_address_words(values.pairs, width)]


@lru_cache(maxsize=4096)  # the same addresses stand in every rule of a segment
def _address_words(pairs: tuple[tuple[int, int], ...], width: int) -> list[str]:
    blocks = list(prefixes(pairs, width))
    if width == 32 and len(blocks) >= WILDCARD_FROM:
        masked = IntervalSet(pairs).wildcard()
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
    return [*_port_words(values.pairs, lists)]


@lru_cache(maxsize=4096)
def _port_words(pairs: tuple[tuple[int, int], ...], lists: bool) -> list[str]:
    values = IntervalSet(pairs)
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
def _flag_forms() -> dict[int, str]:
    """Return every flag set that one IOS form says, with the shortest form. A set is a number with bit N set where flags N are in it."""
    every = (1 << 64) - 1
    with_flag = {bit: sum(1 << flags for flags in range(64) if flags & bit) for bit in names.TCP_FLAGS.values()}
    forms: dict[int, str] = {}
    for choice in product(("", "+", "-"), repeat=len(names.TCP_FLAGS)):
        tests = [(bit, sign) for sign, bit in zip(choice, names.TCP_FLAGS.values(), strict=True) if sign]
        if not tests:
            continue
        words = " ".join(sign + word for sign, word in zip(choice, names.TCP_FLAGS, strict=True) if sign)
        each = [with_flag[bit] if sign == "+" else every ^ with_flag[bit] for bit, sign in tests]
        for form, values in (("match-all", reduce(and_, each)), ("match-any", reduce(or_, each))):
            text = f"{form} {words}"
            if values not in forms or len(text) < len(forms[values]):
                forms[values] = text
    for word, bit in names.TCP_FLAGS.items():
        forms[with_flag[bit]] = word
    forms[_flag_bits(ESTABLISHED)] = "established"
    return forms


def _flag_bits(values: IntervalSet) -> int:
    """Return a set of TCP flags (0 to 63) as a number with a bit for each."""
    return sum(((1 << (high - low + 1)) - 1) << low for low, high in values.pairs)


@lru_cache(maxsize=1)
def _flag_sets() -> list[tuple[IntervalSet, str]]:
    """Return the forms with their sets, the largest first."""
    found = [(IntervalSet.of(*(n for n in range(64) if bits >> n & 1)), text) for bits, text in _flag_forms().items()]
    return sorted(found, key=lambda item: (-item[0].size, item[0].pairs))


def _flag_words(values: IntervalSet) -> list[str]:
    alone = _flag_forms().get(_flag_bits(values))
    if alone is not None:
        return [alone]
    result: list[str] = []
    left = values
    for form, text in _flag_sets():
        if form.overlaps(left) and values.covers(form):
            result.append(text)
            left = left.subtract(form)
    return result


@lru_cache(maxsize=4096)
def _message_words(values: IntervalSet, ipv6: bool) -> tuple[str, ...]:
    spoken = names.message_words(ipv6)
    result = []
    for low, high in values.pairs:
        for kind in range(low >> 8, (high >> 8) + 1):
            first, last = max(low, kind << 8), min(high, kind << 8 | 255)
            if last - first == 255:
                result.append(spoken.get((kind, None), str(kind)))
            else:
                result += [spoken.get((kind, code & 255), f"{kind} {code & 255}") for code in range(first, last + 1)]
    return tuple(result)
