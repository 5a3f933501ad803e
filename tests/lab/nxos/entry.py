# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One entry of an access list as the emulated NX-OS keeps it: a strict reader of its own, the text shown, and what it costs.

Nothing of the collection is used here: the product's reader must not judge itself.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache

from tests.lab.ace_names import ICMP4, ICMP6, TCP_PORTS, UDP_PORTS
from tests.lab.iosxe.grammar import INCOMPLETE, INVALID, SyntaxFault, tokens

PROTOCOLS = {"ahp": 51, "eigrp": 88, "esp": 50, "gre": 47, "icmp": 1, "igmp": 2, "nos": 94, "ospf": 89, "pcp": 108,
             "pim": 103, "tcp": 6, "udp": 17}  # fmt: skip
PROTOCOLS6 = {
    **{name: number for name, number in PROTOCOLS.items() if name not in ("igmp", "nos")},
    "icmp": 58,
    "sctp": 132,
}
FLAGS = ("fin", "syn", "rst", "psh", "ack", "urg")
# Words with one operand that are kept without being judged; a packet that comes so far gets no verdict.
UNJUDGED = ("dscp", "precedence", "ttl", "time-range", "packet-length")

Ranges = tuple[tuple[int, int], ...]
Address = tuple[int, int]  # value, bits that count


@dataclass(frozen=True)
class Entry:
    """text: as shown, without the number. source and destination: None for any, or a group's name."""

    text: str
    permit: bool
    family: int
    protocol: int | None
    source: Address | str | None
    destination: Address | str | None
    source_ports: Ranges | None = None
    destination_ports: Ranges | None = None
    flags: frozenset[str] | None = None
    icmp: tuple[int, int | None] | None = None
    fragments: bool = False
    unjudged: bool = False

    @property
    def layer4(self) -> bool:
        return any(item is not None for item in (self.source_ports, self.destination_ports, self.flags, self.icmp))

    def cost(self, direction: str) -> int:
        """TCAM entries: ranges take a register on the way in and aligned blocks on the way out; IPv6 is double wide."""
        count = 1
        for ports in (self.source_ports, self.destination_ports):
            if ports is not None:
                count *= sum(_blocks(low, high) for low, high in ports) if direction == "out" else len(ports)
        return count * (2 if self.family == 6 else 1)


def _blocks(low: int, high: int) -> int:
    count = 0
    while low <= high:
        size = low & -low or 65536
        while low + size - 1 > high:
            size >>= 1
        low += size
        count += 1
    return count


@lru_cache(maxsize=65536)
def read_entry(text: str, family: int) -> Entry:
    """Return the entry of a line from permit or deny on; raises SyntaxFault where the device's parser stops."""
    return _Reader(text, family).entry()


class _Reader:
    def __init__(self, text: str, family: int) -> None:
        self.words, self.at, self.family, self.end = tokens(text), 0, family, len(text)

    def peek(self) -> str:
        return self.words[self.at][0].lower() if self.at < len(self.words) else ""

    def take(self) -> str:
        if self.at >= len(self.words):
            raise SyntaxFault(INCOMPLETE, self.end)
        self.at += 1
        return self.words[self.at - 1][0]

    def wrong(self) -> SyntaxFault:
        return SyntaxFault(INVALID, self.words[min(self.at, len(self.words)) - 1][1])

    def entry(self) -> Entry:
        action = self.take().lower()
        if action not in ("permit", "deny"):
            raise self.wrong()
        protocol, word = self.protocol()
        source, shown_source = self.address()
        source_ports, shown_source_ports = self.ports(protocol)
        destination, shown_destination = self.address()
        destination_ports, shown_destination_ports = self.ports(protocol)
        shown = [action, word, shown_source, shown_source_ports, shown_destination, shown_destination_ports]
        flags: set[str] = set()
        icmp: tuple[int, int | None] | None = None
        fragments = unjudged = False
        while self.at < len(self.words):
            option = self.take().lower()
            shown.append(option)
            if option == "log":
                continue
            if option == "fragments" and not flags and icmp is None:
                fragments = True
            elif option == "established" and protocol == 6:
                flags |= {"ack", "rst"}
            elif option in FLAGS and protocol == 6:
                flags.add(option)
            elif option in UNJUDGED:
                shown.append(self.take())
                if option == "packet-length":
                    shown.append(self.take())
                unjudged = True
            elif protocol == (58 if self.family == 6 else 1) and icmp is None:
                icmp = self.icmp(option, shown)
            else:
                raise self.wrong()
        if fragments and (source_ports or destination_ports or flags or icmp):
            raise self.wrong()
        text = " ".join(part for part in shown if part)
        return Entry(
            text, action == "permit", self.family, protocol, source, destination, source_ports, destination_ports,
            frozenset(flags) if flags else None, icmp, fragments, unjudged,
        )  # fmt: skip

    def protocol(self) -> tuple[int | None, str]:
        word = self.take().lower()
        if word == ("ipv6" if self.family == 6 else "ip"):
            return None, word
        names = PROTOCOLS6 if self.family == 6 else PROTOCOLS
        if word in names:
            return names[word], word
        if not word.isdigit() or int(word) > 255:
            raise self.wrong()
        found = next((name for name, number in names.items() if number == int(word)), word)
        return int(word), found

    def address(self) -> tuple[Address | str | None, str]:
        word = self.take()
        width = 128 if self.family == 6 else 32
        every = (1 << width) - 1
        if word.lower() == "any":
            return None, "any"
        if word.lower() == "addrgroup":
            name = self.take()
            return name, f"addrgroup {name}"
        try:
            if word.lower() == "host":
                single = self.ip(self.take())
                return (int(single), every), f"{single}/{width}"
            if "/" in word:
                value, _slash, length = word.partition("/")
                base, bits = self.ip(value), int(length)
                if not 0 <= bits <= width:
                    raise ValueError(word)
                care = every ^ (every >> bits)
                return (int(base) & care, care), f"{base}/{bits}"
            base, wild = self.ip(word), self.ip(self.take())
        except ValueError:
            raise self.wrong() from None
        if int(wild) == 0:
            return (int(base), every), f"{base}/{width}"
        care = every ^ int(wild)
        return (int(base) & care, care), f"{base} {wild}"

    def ip(self, word: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
        return ipaddress.IPv6Address(word) if self.family == 6 else ipaddress.IPv4Address(word)

    def ports(self, protocol: int | None) -> tuple[Ranges | None, str]:
        operator = self.peek()
        if operator not in ("eq", "neq", "gt", "lt", "range"):
            return None, ""
        self.take()
        names = {6: TCP_PORTS, 17: UDP_PORTS, 132: {}}.get(protocol if protocol is not None else -1)
        if names is None:
            raise self.wrong()
        first, shown = self.port(names)
        if operator == "range":
            last, second = self.port(names)
            if last < first:
                raise self.wrong()
            return ((first, last),), f"range {shown} {second}"
        ranges: Ranges
        if operator == "eq":
            ranges = ((first, first),)
        elif operator == "gt":
            ranges = ((first + 1, 65535),)
        elif operator == "lt":
            ranges = ((0, first - 1),)
        else:
            ranges = tuple((low, high) for low, high in ((0, first - 1), (first + 1, 65535)) if low <= high)
        return ranges, f"{operator} {shown}"

    def port(self, names: dict[str, int]) -> tuple[int, str]:
        word = self.take().lower()
        if word in names:
            return names[word], word
        if not re.fullmatch(r"\d{1,5}", word) or int(word) > 65535:
            raise self.wrong()
        known = next((name for name, number in names.items() if number == int(word)), word)
        return int(word), known

    def icmp(self, word: str, shown: list[str]) -> tuple[int, int | None]:
        names = ICMP6 if self.family == 6 else ICMP4
        if word in names:
            return names[word]
        if not word.isdigit() or int(word) > 255:
            raise self.wrong()
        if not (self.peek().isdigit() and int(self.peek()) < 256):
            return int(word), None
        code = int(self.take())
        shown.append(str(code))
        return int(word), code
