# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cisco ASA access lists (facts/devices.md section 1.7).

The firewall is stateful: entries decide the first packet of a connection, and later fragments are reassembled before a list sees them
(ASA CLI configuration guide, ``fragment``: virtual reassembly). So a list has no ``established`` and no ``fragments``, and its meaning
is compared without later fragments.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product
from math import prod

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import safe_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import asa_names
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.asa_ace import parse_extended
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.asa_objects import Objects
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.asa_text import read_lists
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
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import ICMP, ICMPV6, TCP

WILDCARD_FROM = 17  # prefixes; from here on addresses that are a discontiguous mask are refused: this platform has none
_SPOKEN, _SPOKEN_IPV6 = tuple(asa_names.SPOKEN.items()), tuple(asa_names.SPOKEN_IPV6.items())
_FQDN = re.compile(r"fqdn [a-z0-9][a-z0-9_.-]{0,50}\Z")
_MESSAGES = IntervalSet.of((0, 65535))
_FLAGS = IntervalSet.of((0, 63))


def parse(text: str) -> list[ParsedAcl]:
    """Return every list in the text of an ASA or FTD device, of whatever kind; kinds not modelled are opaque."""
    return read_lists(text)


def render(name: str, aces: Sequence[Ace], *, end: str = "deny", remarks: bool = False) -> str:
    """Return the configuration of a list: objects for its FQDNs, then one line for each entry.

    ``remarks`` writes a remark with the label (else the kept remarks) where it changes. Raises FindingError SW1204, and ValueError for an
    unsafe name.
    """
    safe_name(name)
    body: list[str] = []
    objects: dict[str, str] = {}
    said: tuple[str, ...] = ()
    for line, ace in lines(aces, end=end):
        if remarks:
            texts = (ace.label,) if ace.label else ace.remarks
            if texts and texts != said:
                body += [f"access-list {name} remark {remark_text(text)}" for text in texts]
                said = texts
        objects |= _fqdn_objects(ace)
        body.append(f"access-list {name} extended {line}")
    made = [text for key in sorted(objects) for text in (f"object network {key}", f" fqdn {objects[key]}")]
    return "\n".join([*made, *body]) + "\n"


def lines(aces: Sequence[Ace], *, end: str = "deny") -> list[tuple[str, Ace]]:
    """Return each line from ``permit`` or ``deny`` on, with the entry that it comes from.

    ``end``: ``deny`` writes the implicit end out unless the list already ends so, ``permit`` ends in permit, ``""`` adds nothing.
    Raises FindingError SW1204.
    """
    if end not in ("deny", "permit", ""):
        raise ValueError(f"unknown end {end!r}")
    closed = list(aces)
    last = aces[-1] if aces else None
    if end and not (last and catches_all(last) and last.plain and last.family == 0):
        closed.append(Ace(end == "permit", family=0, label="end of list"))
    return [(line, ace) for ace in closed for line in ace_lines(ace)]


def ace_lines(ace: Ace) -> list[str]:
    """Return the lines that together mean the entry, one port operand each; FindingError SW1204, SW1207 above 20,000 lines."""
    if ace.fragments:
        raise cannot(ace, "a stateful firewall reassembles fragments and has no entries for them")
    if "inspection" in ace.conditions or any(" ifc " in text for text in ace.conditions):
        raise cannot(ace, "lists of FTD are written by its manager")
    conditions = _Conditions(ace)
    columns = [["permit" if ace.permit else "deny"], conditions.protocol()]
    for side in ("source", "destination"):
        addresses, ports = (
            (ace.source, ace.source_ports) if side == "source" else (ace.destination, ace.destination_ports)
        )
        group = ace.source_group if side == "source" else ace.destination_group
        columns.append(conditions.user() if side == "source" else [""])
        columns.append(conditions.tags(side, group))
        columns.append(conditions.addresses(side, addresses))
        columns.append(conditions.ports(side, ports))
    columns.append(conditions.messages(ace))
    tail = conditions.tail()
    count = prod(map(len, columns))
    if count > LINE_LIMIT:
        raise too_many(ace, count)
    result = ["".join(part) + (" log" if ace.log else "") + tail for part in product(*columns)]
    if ace.conditions:
        _read_back(ace, result)
    return result


def _read_back(ace: Ace, written: list[str]) -> None:
    """Raise FindingError SW1204 unless lines with conditions read back to just these: texts may come from anywhere."""
    safe_conditions(ace)
    wanted = set()
    for text in ace.conditions:
        side, _blank, name = text.partition(" ")
        if name.startswith("fqdn ") and not _FQDN.match(name):
            raise cannot(ace, f"condition {text!r} is not safe to write")
        wanted.add(f"{side} object {_fqdn_name(name, ace)}" if name.startswith("fqdn ") else text)
    for line in written:
        try:
            again = parse_extended(line.split(), Objects())
        except NotUnderstood as problem:
            raise cannot(ace, f"its conditions cannot be said: {problem}") from problem
        if [(item.log, item.inactive, set(item.conditions)) for item in again] != [(ace.log, ace.inactive, wanted)]:
            raise cannot(ace, f"conditions {', '.join(ace.conditions)} are not those of this platform")


class _Conditions:
    """The conditions of an entry, each written at its place; one that is left over cannot be said."""

    def __init__(self, ace: Ace) -> None:
        self._ace = ace
        self._left = set(ace.conditions)

    def _take(self, *starts: str) -> str:
        """Return the condition that begins so without its first word, "" where there is none."""
        for start in starts:
            for text in sorted(self._left):
                if text.startswith(start):
                    self._left.discard(text)
                    return text.partition(" ")[2]
        return ""

    def protocol(self) -> list[str]:
        """Return the protocol, or the service object of which nothing is known."""
        ace = self._ace
        service = self._take("service ")
        if service:
            if ace.protocol is not None or ace.layer4:
                raise cannot(ace, f"{service} stands beside a protocol")
            return [f" {service}"]
        if ace.protocol is None:
            return [" ip"]
        if ace.protocol in (ICMP, ICMPV6) and ace.family != (4 if ace.protocol == ICMP else 6):
            raise cannot(ace, "its protocol is of the other address family on this platform")
        return [" " + {6: "tcp", 17: "udp", 1: "icmp", 58: "icmp6", 132: "sctp"}.get(ace.protocol, str(ace.protocol))]

    def user(self) -> list[str]:
        """Return the user of the source."""
        found = self._take("source user ", "source user-group ", "source object-group-user ")
        return [f" {found}" if found else ""]

    def tags(self, side: str, group: IntervalSet | None) -> list[str]:
        """Return the security groups of a side, one a line."""
        named = self._take(f"{side} security-group name ", f"{side} object-group-security ")
        if named and group is not None:
            raise cannot(self._ace, f"{named} stands beside a tag")
        if named:
            return [f" {named}"]
        if group is None:
            return [""]
        if not 0 < group.size <= LINE_LIMIT:
            raise cannot(self._ace, "its security groups are empty or too many")
        return [f" security-group tag {tag}" for low, high in group.pairs for tag in range(low, high + 1)]

    def addresses(self, side: str, values: IntervalSet | None) -> list[str]:
        """Return the addresses of a side, or the object that stands for them."""
        ace = self._ace
        open_text = self._take(*(f"{side} {word} " for word in ("object", "object-group", "interface", "host", "fqdn")))
        if open_text:
            if values is not None:
                raise cannot(ace, f"{open_text} stands beside addresses")
            return [f" object {_fqdn_name(open_text, ace)}" if open_text.startswith("fqdn ") else f" {open_text}"]
        named = self._take_alias(side)
        if named:
            return [f" {named}"]
        everything = {0: " any", 4: " any4", 6: " any6"}[ace.family]
        width = 128 if ace.family == 6 else 32
        if values is None or (ace.family and not values.masked and values.pairs[:1] == ((0, (1 << width) - 1),)):
            return [everything]
        if ace.family == 0:
            raise cannot(ace, "addresses without an address family")
        found = blocks(ace, values, width)
        if len(found) >= WILDCARD_FROM and values.wildcard() is not None:
            raise cannot(ace, "a discontiguous mask: this platform has subnet masks only")
        return [" " + _block(address, length, width) for address, length in found]

    def _take_alias(self, side: str) -> str:
        """Return ``NAME MASK`` of a name that the text did not define."""
        for text in sorted(self._left):
            words = text.split()
            if len(words) == 3 and words[0] == side and words[2].count(".") == 3:
                self._left.discard(text)
                return f"{words[1]} {words[2]}"
        return ""

    def ports(self, side: str, values: IntervalSet | None) -> list[str]:
        """Return the ports of a side, or the group that stands for them."""
        group = self._take(f"{side} ports object-group ")
        if group:
            if values is not None:
                raise cannot(self._ace, f"{group} stands beside ports")
            return [" " + group.removeprefix("ports ")]
        return port_words(self._ace, values)

    def messages(self, ace: Ace) -> list[str]:
        """Return the ICMP messages, or the group that stands for them."""
        group = self._take("messages object-group ")
        if group:
            return [f" {group}"]
        if ace.detail is None:
            return [""]
        everything = _FLAGS if ace.protocol == TCP else _MESSAGES
        if ace.detail.covers(everything):
            return [""]
        if ace.protocol == TCP:
            raise cannot(ace, "a stateful firewall tests no TCP flags")
        if ace.protocol not in (ICMP, ICMPV6) or not ace.detail.intersect(everything):
            raise cannot(ace, "its protocol has no messages, or it matches none")
        spoken = _SPOKEN if ace.protocol == ICMP else _SPOKEN_IPV6
        return [" " + words for words in message_words(ace.detail, spoken)]

    def tail(self) -> str:
        """Return time range and ``inactive``; FindingError SW1204 for a condition that has no place."""
        when = " ".join(text for text in sorted(self._left) if text.startswith("time-range "))
        self._left = {text for text in self._left if not text.startswith("time-range ")}
        if self._left or when.count("time-range ") > 1:
            raise cannot(self._ace, f"this platform has no condition {', '.join(sorted(self._left)) or when}")
        return (f" {when}" if when else "") + (" inactive" if self._ace.inactive else "")


def _block(address: str, length: int, width: int) -> str:
    if length == width:
        return f"host {address}"
    if width == 128:
        return f"{address}/{length}"
    mask = (0xFFFFFFFF << (32 - length)) & 0xFFFFFFFF
    return f"{address} {'.'.join(str(mask >> shift & 255) for shift in (24, 16, 8, 0))}"


def _fqdn_name(text: str, ace: Ace) -> str:
    """Return the name of the object that holds an FQDN of the entry's family."""
    return f"fqdn{ace.family or ''}-{text.removeprefix('fqdn ')}"


def _fqdn_objects(ace: Ace) -> dict[str, str]:
    """Return {object name: what follows ``fqdn``} for the FQDNs of an entry."""
    found = [
        text.partition(" ")[2] for text in ace.conditions if text.startswith(("source fqdn ", "destination fqdn "))
    ]
    version = f"v{ace.family} " if ace.family else ""
    return {_fqdn_name(text, ace): version + text.removeprefix("fqdn ") for text in found}
