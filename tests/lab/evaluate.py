# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An independent packet evaluator for access lists and the egress matrix.

The emulated ISE and switches decide with this file whether a packet passes. It shares no code and no algorithm with the
collection: one packet, integers and masks, a walk from the first line to the last. Its parser is strict: an unknown
token raises ValueError, so a list that a device might read differently never gets a verdict.

A packet is a plain dict (missing keys count as None)::

    {"protocol": "tcp" | 6, "source": "10.0.0.1", "destination": "10.0.0.2", "source_port": 40000,
     "destination_port": 443, "tcp_flags": {"syn"}, "icmp_type": None, "icmp_code": None, "fragment_offset": 0}

Rules implemented, with their source: first match and implicit deny, empty list permits (facts/devices.md section 0
item 6 and 1.1); non-contiguous wildcards (1.1); ``established`` = ACK or RST (1.1); IPv6 implicit neighbour discovery
(1.2); the endpoint's address in place of ``any`` in a DACL (1.4, facts/ise.md section 3); a packet that no ACE of an
SGACL matches is permitted (facts/ise.md section 4); fragments (facts/devices.md section 6.2).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tests.lab.ace_names import ICMP4, ICMP6, PROTOCOLS, TCP_PORTS, UDP_PORTS

FLAGS = ("ack", "fin", "psh", "rst", "syn", "urg")
KINDS = ("dacl", "ios", "sgacl")


@dataclass(frozen=True)
class Verdict:
    """permit; 1-based position in the lines given and the line's text, None for the implicit end."""

    permit: bool
    line_number: int | None
    line: str | None


@dataclass(frozen=True)
class MatrixVerdict:
    """permit: what happens; enforced: what the cell says (differs only when monitored); cell None: the default cell."""

    permit: bool
    enforced: bool
    monitored: bool
    cell: tuple[int, int] | None
    sgacl: str | None
    line_number: int | None
    line: str | None


@dataclass(frozen=True)
class _Ace:
    permit: bool
    number: int
    text: str
    protocol: int | None  # None: every protocol of the family
    source: tuple[int, int] | None  # value, care mask; None: any
    destination: tuple[int, int] | None
    source_ports: tuple[tuple[int, int], ...] | None
    destination_ports: tuple[tuple[int, int], ...] | None
    flags: tuple[str, tuple[tuple[str, bool], ...]] | None  # ("any"|"all", ((flag, set?), ...))
    icmp: tuple[int, int | None] | None
    fragments: bool

    @property
    def layer4(self) -> bool:
        return any((self.source_ports, self.destination_ports, self.flags, self.icmp))


def evaluate_acl(
    lines: list[str] | tuple[str, ...] | None,
    packet: dict[str, Any],
    *,
    endpoint: str | None = None,
    kind: str = "ios",
    family: int | None = None,
) -> Verdict:
    """Return what the list says about one packet.

    lines: the entries, one a string, without the header line (``ip access-list ...``); None means no such list.
    endpoint: for kind "dacl", the address that the switch puts in place of the source ``any``; None means that the
    switch does not know it yet and ``any`` stays (so use None for a DHCP discover from 0.0.0.0).
    kind: "dacl" (no sequence numbers, source must be any, one port, implicit deny), "ios" (named extended list,
    optional sequence numbers, port lists; an empty or missing list permits), "sgacl" (no addresses; no match permits).
    family: 4 or 6; by default read from the entries, else from the packet.
    Raises ValueError: unknown token, missing packet field that the decision needs, packet of the other family.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}")
    text = tuple(lines or ())
    source = _address(str(packet["source"]))
    if source.version != _address(str(packet["destination"])).version:
        raise ValueError("source and destination differ in family")
    version = family or list_family(text) or source.version
    aces = parse_acl(text, kind, version)
    if not aces and kind != "dacl":
        return Verdict(True, None, None)
    if version != source.version:
        raise ValueError(f"an IPv{version} list does not see an IPv{source.version} packet")
    own: tuple[int, int] | None = None
    if kind == "dacl" and endpoint is not None:
        address = _address(endpoint)
        if address.version != version:
            raise ValueError("the endpoint's address is of the other family")
        own = (int(address), _ones(version))
    for ace in aces:
        if _matches(ace, packet, own, version):
            return Verdict(ace.permit, ace.number, ace.text)
    if kind == "sgacl":
        return Verdict(True, None, None)
    neighbour_discovery = version == 6 and _protocol(packet, 6) == 58 and packet.get("icmp_type") in (135, 136)
    return Verdict(neighbour_discovery, None, None)


def evaluate_matrix(
    matrix: dict[str, Any], source_sgt: int, destination_sgt: int, packet: dict[str, Any]
) -> MatrixVerdict:
    """Return what an egress matrix does with one packet.

    matrix: ``{"cells": [CELL, ...], "default": CELL or None, "monitor_all": bool}`` with CELL =
    ``{"source": int, "destination": int, "status": "ENABLED" | "MONITOR" | "DISABLED", "default_rule": "NONE" |
    "PERMIT_IP" | "DENY_IP", "sgacls": [SGACL, ...]}`` and SGACL =
    ``{"name": str, "ip_version": "IPV4" | "IPV6" | "IP_AGNOSTIC", "lines": [str, ...]}``.
    A disabled or missing cell, or one with nothing for the packet's family, falls to the default cell; without one
    the packet is permitted. The SGACLs of a cell are read as one list, in order. Raises ValueError as above.
    """
    family = _address(str(packet["source"])).version
    found = [c for c in matrix["cells"] if (c["source"], c["destination"]) == (source_sgt, destination_sgt)]
    if len(found) > 1:
        raise ValueError("two cells for one pair of tags")
    for cell, name in ((found[0] if found else None, (source_sgt, destination_sgt)), (matrix.get("default"), None)):
        if cell is None or cell["status"] == "DISABLED":
            continue
        lists = [s for s in cell["sgacls"] if s["ip_version"] in ("IP_AGNOSTIC", f"IPV{family}")]
        if not lists and cell["default_rule"] == "NONE":
            continue
        permit = cell["default_rule"] != "DENY_IP"
        deciding: tuple[str | None, int | None, str | None] = (None, None, None)
        for sgacl in lists:
            verdict = evaluate_acl(sgacl["lines"], packet, kind="sgacl", family=family)
            if verdict.line is not None:
                permit, deciding = verdict.permit, (sgacl["name"], verdict.line_number, verdict.line)
                break
        monitored = bool(matrix.get("monitor_all")) or cell["status"] == "MONITOR"
        return MatrixVerdict(permit or monitored, permit, monitored, name, *deciding)
    return MatrixVerdict(True, True, False, None, None, None, None)


@lru_cache(maxsize=4096)
def list_family(lines: tuple[str, ...]) -> int | None:
    """6 if an entry speaks IPv6, 4 if one speaks IPv4, None if none tells (``permit tcp any any``)."""
    found: set[int] = set()
    for line in lines:
        words = line.split()
        if "remark" in words[:3]:
            continue
        if "ipv6" in words or any(":" in word for word in words):
            found.add(6)
        elif "ip" in words or any(re.fullmatch(r"\d+\.\d+\.\d+\.\d+", word) for word in words):
            found.add(4)
    if len(found) == 2:
        raise ValueError("the list mixes IPv4 and IPv6 entries")
    return found.pop() if found else None


@lru_cache(maxsize=4096)
def parse_acl(lines: tuple[str, ...], kind: str, family: int) -> tuple[_Ace, ...]:
    """Return the entries of a list; raises ValueError with the line number on anything not understood."""
    aces = []
    for number, line in enumerate(lines, 1):
        try:
            ace = _Parser(line, kind, family).entry(number)
        except (ValueError, IndexError) as error:
            raise ValueError(f"line {number} {line!r}: {error or 'ends too early'}") from None
        if ace is not None:
            aces.append(ace)
    return tuple(aces)


class _Parser:
    def __init__(self, line: str, kind: str, family: int) -> None:
        self.text, self.kind, self.family = line.strip(), kind, family
        self.words = line.split()
        self.at = 0

    def peek(self) -> str:
        return self.words[self.at] if self.at < len(self.words) else ""

    def take(self) -> str:
        if self.at >= len(self.words):
            raise ValueError("ends too early")
        self.at += 1
        return self.words[self.at - 1]

    def entry(self, number: int) -> _Ace | None:
        if not self.words:
            return None
        if self.kind == "ios":
            if self.peek() == "sequence":
                self.take()
            if self.peek().isdigit():
                self.take()
        action = self.take()
        if action == "remark":
            return None
        if action not in ("permit", "deny"):
            raise ValueError(f"unknown action {action!r}")
        protocol = self.protocol()
        source = destination = source_ports = destination_ports = None
        if self.kind == "sgacl":
            source_ports = self.ports_after("src", protocol)
            destination_ports = self.ports_after("dst", protocol)
        else:
            source = self.address()
            if self.kind == "dacl" and source is not None:
                raise ValueError("the source of a DACL entry must be any")
            source_ports = self.ports(protocol)
            destination = self.address()
            destination_ports = self.ports(protocol)
        flags, icmp, fragments = self.options(protocol)
        ace = _Ace(action == "permit", number, self.text, protocol, source, destination, source_ports,
                   destination_ports, flags, icmp, fragments)  # fmt: skip
        if fragments and ace.layer4:
            raise ValueError("fragments together with layer 4 criteria")
        return ace

    def protocol(self) -> int | None:
        word = self.take()
        if word == ("ip" if self.family == 4 else "ipv6") or (word == "ip" and self.kind == "sgacl"):
            return None
        if word.isdigit() and int(word) < 256:
            return int(word)
        if word == "icmp" and self.family == 6:
            return 58
        return _named(PROTOCOLS, word, "protocol")

    def address(self) -> tuple[int, int] | None:
        word = self.take()
        ones = _ones(self.family)
        if word == "any":
            return None
        if word == "host":
            return int(self.ip(self.take())), ones
        if self.family == 6:
            network = ipaddress.IPv6Network(word, strict=True)
            if "/" not in word:
                raise ValueError(f"address without prefix length {word!r}")
            return int(network.network_address), int(network.netmask)
        value, care = int(self.ip(word)), ones ^ int(self.ip(self.take()))
        return value & care, care

    def ip(self, word: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
        return ipaddress.IPv4Address(word) if self.family == 4 else ipaddress.IPv6Address(word)

    def ports_after(self, word: str, protocol: int | None) -> tuple[tuple[int, int], ...] | None:
        if self.peek() != word:
            return None
        self.take()
        if (found := self.ports(protocol)) is None:
            raise ValueError(f"port operator expected after {word}")
        return found

    def ports(self, protocol: int | None) -> tuple[tuple[int, int], ...] | None:
        operator = self.peek()
        if operator not in ("eq", "neq", "gt", "lt", "range"):
            return None
        if protocol not in (6, 17, 132):
            raise ValueError("port operator without tcp, udp or sctp")
        self.take()
        first = self.port(protocol)
        if operator == "range":
            last = self.port(protocol)
            if last < first:
                raise ValueError("range runs backwards")
            return ((first, last),)
        if operator == "gt":
            return ((first + 1, 65535),)
        if operator == "lt":
            return ((0, first - 1),)
        values = {first}
        while self.kind == "ios" and self.at < len(self.words) and self.is_port(self.peek(), protocol):
            values.add(self.port(protocol))
        if len(values) > 10:
            raise ValueError("more than 10 ports in one entry")
        if operator == "eq":
            return tuple((value, value) for value in sorted(values))
        gaps, low = [], 0
        for value in sorted(values):
            gaps.append((low, value - 1))
            low = value + 1
        return (*gaps, (low, 65535))

    def is_port(self, word: str, protocol: int) -> bool:
        return word.isdigit() or word in (TCP_PORTS if protocol == 6 else UDP_PORTS if protocol == 17 else {})

    def port(self, protocol: int) -> int:
        word = self.take()
        if not self.is_port(word, protocol):
            raise ValueError(f"unknown port {word!r}")
        value = int(word) if word.isdigit() else (TCP_PORTS if protocol == 6 else UDP_PORTS)[word]
        if value > 65535:
            raise ValueError(f"port {value} out of range")
        return value

    def options(self, protocol: int | None) -> tuple[Any, Any, bool]:
        flags: tuple[str, tuple[tuple[str, bool], ...]] | None = None
        plain: list[tuple[str, bool]] = []
        icmp: tuple[int, int | None] | None = None
        fragments = False
        while self.at < len(self.words):
            word = self.take()
            if word in ("log", "log-input"):
                continue
            if word == "fragments":
                fragments = True
            elif protocol == 6 and word == "established":
                plain += [("ack", True), ("rst", True)]
            elif protocol == 6 and word in FLAGS:
                plain.append((word, True))
            elif protocol == 6 and word in ("match-any", "match-all") and flags is None:
                wanted = []
                while self.peek()[:1] in ("+", "-") and self.peek()[1:] in FLAGS:
                    flag = self.take()
                    wanted.append((flag[1:], flag[0] == "+"))
                if not wanted:
                    raise ValueError(f"{word} without flags")
                flags = (word[6:], tuple(wanted))
            elif protocol == (1 if self.family == 4 else 58) and icmp is None:
                icmp = self.icmp(word)
            else:
                raise ValueError(f"unknown token {word!r}")
        if plain and flags:
            raise ValueError("match-any/match-all together with other flags")
        return (("any", tuple(plain)) if plain else flags), icmp, fragments

    def icmp(self, word: str) -> tuple[int, int | None]:
        names = ICMP4 if self.family == 4 else ICMP6
        if word in names:
            return names[word]
        code = int(self.take()) if self.peek().isdigit() else None
        if not word.isdigit() or int(word) > 255 or (code or 0) > 255:
            raise ValueError(f"unknown ICMP type or code {word!r}")
        return int(word), code


@lru_cache(maxsize=65536)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(text)


def _ones(family: int) -> int:
    return (1 << (32 if family == 4 else 128)) - 1


def _protocol(packet: dict[str, Any], family: int) -> int:
    value = packet["protocol"]
    if isinstance(value, int):
        return value
    if value == "icmp" and family == 6:
        return 58
    if str(value).isdigit():
        return int(value)
    return _named(PROTOCOLS, str(value), "packet protocol")


def _named(names: dict[str, int], word: str, what: str) -> int:
    if word not in names:
        raise ValueError(f"unknown {what} {word!r}")
    return names[word]


def _field(packet: dict[str, Any], name: str) -> Any:
    if packet.get(name) is None:
        raise ValueError(f"the decision needs {name}, which the packet lacks")
    return packet[name]


def _matches(ace: _Ace, packet: dict[str, Any], own: tuple[int, int] | None, family: int) -> bool:
    if ace.protocol is not None and ace.protocol != _protocol(packet, family):
        return False
    for wanted, key in ((ace.source if own is None else own, "source"), (ace.destination, "destination")):
        if wanted is not None and int(_address(str(packet[key]))) & wanted[1] != wanted[0]:
            return False
    if (packet.get("fragment_offset") or 0) > 0:  # no layer 4 header: permit on layer 3, deny with layer 4 never
        return ace.fragments or not ace.layer4 or ace.permit
    if ace.fragments:
        return False
    for ports, key in ((ace.source_ports, "source_port"), (ace.destination_ports, "destination_port")):
        if ports is not None and not any(low <= int(_field(packet, key)) <= high for low, high in ports):
            return False
    if ace.flags is not None:
        present = {str(flag).lower() for flag in _field(packet, "tcp_flags")}
        hits = [(flag in present) is wanted for flag, wanted in ace.flags[1]]
        if not (any(hits) if ace.flags[0] == "any" else all(hits)):
            return False
    if ace.icmp is not None:
        if int(_field(packet, "icmp_type")) != ace.icmp[0]:
            return False
        if ace.icmp[1] is not None and int(_field(packet, "icmp_code")) != ace.icmp[1]:
            return False
    return True
