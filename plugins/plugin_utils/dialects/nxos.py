# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cisco NX-OS access lists, IPv4 and IPv6 (facts/devices.md section 1.6)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from itertools import product
from math import prod

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import safe_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import codes, names
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_values import NotUnderstood
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_write import (
    LINE_LIMIT,
    blocks,
    cannot,
    message_words,
    port_words,
    safe_conditions,
    too_many,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.ios import catches_all, remark_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace, ParsedAcl
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.nxos_ace import Groups, parse_ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.nxos_text import IMPLICIT_IPV6, read_lists
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import ESTABLISHED, ICMP, ICMPV6, TCP

WILDCARD_FROM = 17  # prefixes; from here on a discontiguous wildcard mask is written where one says the same
_FLAGS = IntervalSet.of((0, 63))
_MESSAGES = IntervalSet.of((0, 65535))
_MESSAGE_WORDS = {family: tuple(names.message_words(family == 6).items()) for family in (4, 6)}
_FLAG_FORMS: tuple[tuple[str, IntervalSet], ...] = (
    ("established", ESTABLISHED),
    *((word, IntervalSet.of(*(flags for flags in range(64) if flags & bit))) for word, bit in names.TCP_FLAGS.items()),
)


def parse(text: str) -> list[ParsedAcl]:
    """Return every list in the text of an NX-OS device, of whatever kind; kinds not modelled are opaque."""
    return read_lists(text)


def render(
    name: str,
    aces: Sequence[Ace],
    *,
    family: int | None = None,
    end: str = "deny",
    numbers: bool = True,
    start: int = 10,
    step: int = 10,
    remarks: bool = False,
    statistics: bool = False,
) -> str:
    """Return the configuration of a list: header, options, then entries numbered from ``start``.

    ``family``: 4 or 6; None takes it from the entries, which must agree. ``remarks`` writes a remark with the label (else the kept remarks)
    where it changes; a remark has a number of its own. ``statistics`` writes ``statistics per-entry``. Raises FindingError SW1204,
    and ValueError for an unsafe name.
    """
    safe_name(name)
    chosen = family_of(aces, family)
    result = [f"{'ipv6' if chosen == 6 else 'ip'} access-list {name}"]
    result += ["  statistics per-entry"] if statistics else []
    number = start
    said: tuple[str, ...] = ()
    body: list[str] = []
    for line, ace in lines(aces, family=chosen, end=end):
        if line.startswith("fragments "):
            result.append(f"  {line}")
            continue
        if remarks:
            texts = (ace.label,) if ace.label else ace.remarks
            if texts and texts != said:
                body += [f"remark {remark_text(text)}" for text in texts]
                said = texts
        body.append(line)
    for line in body:
        result.append(f"  {number} {line}" if numbers else f"  {line}")
        number += step
    return "\n".join(result) + "\n"


def family_of(aces: Sequence[Ace], family: int | None = None) -> int:
    """Return the one family of the entries; FindingError SW1204 where they differ, since a list of NX-OS has one."""
    found = {ace.family for ace in aces} or {family or 4}
    if found - {family or min(found)} or not found <= {4, 6}:
        reason = "a list of this platform holds one address family"
        raise FindingError(codes.NOT_EXPRESSIBLE.at(f"entries of the families {sorted(found)}: {reason}"))
    return found.pop()


def lines(aces: Sequence[Ace], *, family: int | None = None, end: str = "deny") -> list[tuple[str, Ace]]:
    """Return each line without its number, with the entry that it comes from.

    ``end``: ``deny`` writes the implicit end out unless the list already ends so (IPv6: discovery first, as the platform's own end
    does), ``permit`` ends in permit, ``""`` adds nothing. Raises FindingError SW1204.
    """
    if end not in ("deny", "permit", ""):
        raise ValueError(f"unknown end {end!r}")
    chosen = family_of(aces, family)
    closed = list(aces)
    if end and not (aces and catches_all(aces[-1]) and not aces[-1].conditions):
        closed += IMPLICIT_IPV6 if chosen == 6 and end == "deny" else ()
        closed.append(Ace(end == "permit", family=chosen, label="end of list"))
    return [(line, ace) for ace in closed for line in ace_lines(ace)]


def ace_lines(ace: Ace) -> list[str]:
    """Return the lines that together mean the entry, one port operand each; FindingError SW1204, SW1207 above 20,000 lines."""
    if ace.fragments and ace.conditions in (("fragments permit-all",), ("fragments deny-all",)):
        return [ace.conditions[0]]
    if ace.source_group is not None or ace.destination_group is not None:
        raise cannot(ace, "lists of this platform see no security group tags")
    if ace.inactive:
        raise cannot(ace, "lists of this platform have no inactive entries")
    if ace.fragments and ace.layer4:
        raise cannot(ace, "later fragments have no ports or flags")
    placed = {text.rpartition(" ")[0]: text for text in ace.conditions if text.startswith(("source ", "destination "))}
    rest = "".join(f" {text.removeprefix('igmp ')}" for text in _in_order(ace) if text not in placed.values())
    columns = [[f"{'permit' if ace.permit else 'deny'} {_protocol(ace)}"]]
    for side in ("source", "destination"):
        addresses, ports = (
            (ace.source, ace.source_ports) if side == "source" else (ace.destination, ace.destination_ports)
        )
        columns.append(_addresses(ace, addresses, placed.pop(f"{side} addrgroup", "")))
        columns.append(_ports(ace, ports, placed.pop(f"{side} portgroup", "")))
    columns.append([" fragments"] if ace.fragments else _details(ace))
    if placed:
        raise cannot(ace, f"this platform has no condition {', '.join(placed.values())}")
    count = prod(map(len, columns))
    if count > LINE_LIMIT:
        raise too_many(ace, count)
    result = ["".join(part) + rest + (" log" if ace.log else "") for part in product(*columns)]
    if ace.conditions:
        _read_back(ace, result)
    return result


def _read_back(ace: Ace, written: list[str]) -> None:
    """Raise FindingError SW1204 unless lines with conditions read back to just these: texts may come from anywhere."""
    safe_conditions(ace)
    for line in written:
        try:
            again = parse_ace(line.split(), ace.family, Groups())
        except NotUnderstood as problem:
            raise cannot(ace, f"its conditions cannot be said: {problem}") from problem
        if again.conditions != ace.conditions or again.log != ace.log or again.fragments != ace.fragments:
            raise cannot(ace, f"conditions {', '.join(ace.conditions)} are not those of this platform")


def _in_order(ace: Ace) -> list[str]:
    """Return the conditions in the order of the command: what belongs to the protocol first."""
    return sorted(ace.conditions, key=lambda text: (not text.startswith("igmp "), text))


def _protocol(ace: Ace) -> str:
    if ace.protocol is None:
        return "ipv6" if ace.family == 6 else "ip"
    known = (
        {6: "tcp", 17: "udp", 132: "sctp", 58: "icmp"}
        if ace.family == 6
        else {6: "tcp", 17: "udp", 1: "icmp", 2: "igmp"}
    )
    if ace.protocol in (33, 132, 136) and ace.protocol not in known and (ace.source_ports or ace.destination_ports):
        raise cannot(ace, "this platform has no ports for the protocol")
    return known.get(ace.protocol, str(ace.protocol))


def _group(ace: Ace, text: str, known: IntervalSet | None) -> list[str]:
    if known is not None:
        raise cannot(ace, f"{text} stands beside values")
    return [" " + text.partition(" ")[2]]


def _addresses(ace: Ace, values: IntervalSet | None, group: str) -> list[str]:
    width = 128 if ace.family == 6 else 32
    if group:
        return _group(ace, group, values)
    if values is None or (not values.masked and values.pairs[:1] == ((0, (1 << width) - 1),)):
        return [" any"]
    if values.masked and values.hull[1] >> width == 0:
        tested = values.wildcard()
        if tested is None:
            raise cannot(ace, "its addresses fall into more than 4,096 ranges that no mask says")
        address = ipaddress.IPv6Address if width == 128 else ipaddress.IPv4Address
        return [f" {address(tested[0])} {address(tested[1])}"]
    found = blocks(ace, values, width)
    if width == 32 and len(found) >= WILDCARD_FROM:
        masked = values.wildcard()
        if masked is not None:
            return [f" {ipaddress.IPv4Address(masked[0])} {ipaddress.IPv4Address(masked[1])}"]
    return [f" {address}/{length}" for address, length in found]


def _ports(ace: Ace, values: IntervalSet | None, group: str) -> list[str]:
    return _group(ace, group, values) if group else port_words(ace, values)


def _details(ace: Ace) -> list[str]:
    if ace.detail is None:
        return [""]
    icmp = ICMPV6 if ace.family == 6 else ICMP
    if ace.protocol not in (TCP, icmp):
        raise cannot(ace, "its protocol has neither flags nor messages")
    everything = _FLAGS if ace.protocol == TCP else _MESSAGES
    values = ace.detail.intersect(everything)
    if not values:
        raise cannot(ace, "it matches no packet")
    if values == everything:
        if ace.permit or ace.source_ports is not None or ace.destination_ports is not None:
            return [""]
        raise cannot(ace, "all flags or messages but no later fragments")
    if ace.protocol == icmp:
        return [" " + words for words in message_words(values, _MESSAGE_WORDS[ace.family])]
    inside = [(word, form) for word, form in _FLAG_FORMS if values.covers(form)]
    chosen: list[str] = []
    left = values
    for word, form in inside:
        if form.overlaps(left):
            chosen.append(word)
            left = left.subtract(form)
    if left:
        raise cannot(ace, "this platform tests single flags that are set, or established, and nothing else")
    return [" " + word for word in chosen]
