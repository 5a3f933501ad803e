# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The switch's own strict parser of access-list entries: what it takes, what it refuses and where the caret goes.

Rules: facts/devices.md sections 1.1 (IPv4), 1.2 (IPv6), 1.5 (role-based). Host bits under a wildcard are cleared, port
and protocol numbers become names when printed, a wildcard of zeros becomes host, one of ones becomes any.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable

from tests.lab.ace_names import ICMP4, ICMP6, TCP_PORTS, UDP_PORTS
from tests.lab.iosxe.ace_text import (
    EXTENDED,
    IPV6,
    PROTOCOL_WORDS,
    PROTOCOL_WORDS6,
    ROLE_BASED,
    ROLE_BASED6,
    STANDARD,
    Ace,
    Address,
    Group,
    Net,
    Ports,
)
from tests.lab.iosxe.grammar import AMBIGUOUS, INCOMPLETE, INVALID, SyntaxFault, pick, tokens

OPERATORS = ("eq", "gt", "lt", "neq", "range")
FLAGS = ("ack", "fin", "psh", "rst", "syn", "urg")
TAIL = ("dscp", "fragments", "log", "log-input", "option", "precedence", "time-range", "tos", "ttl")
TAIL_ROLE_BASED = ("fragments", "log")
DSCP = ("default", "ef", *(f"cs{n}" for n in range(1, 8)), *(f"af{c}{d}" for c in range(1, 5) for d in range(1, 4)))
MAX_PORTS = 10
# Options print in this order, whatever the order in which they were typed.
PRINT_ORDER = {
    word: rank
    for rank, word in enumerate(
        ("dscp", "precedence", "tos", "option", "ttl", "fragments", "log", "log-input", "time-range")
    )
}
PRECEDENCE = ("routine", "priority", "immediate", "flash", "flash-override", "critical", "internet", "network")
TOS = {"max-reliability": 2, "max-throughput": 4, "min-delay": 8, "min-monetary-cost": 1, "normal": 0}


class _Cursor:
    def __init__(self, text: str, offset: int) -> None:
        self.text = text
        self.words = [(word, position + offset) for word, position in tokens(text)]
        self.end = len(text.rstrip()) + offset
        self.at = 0

    def more(self) -> bool:
        return self.at < len(self.words)

    def peek(self) -> str:
        return self.words[self.at][0] if self.more() else ""

    def take(self) -> str:
        if not self.more():
            raise SyntaxFault(INCOMPLETE, self.end)
        self.at += 1
        return self.words[self.at - 1][0]

    def bad(self) -> SyntaxFault:
        """A fault at the word taken last."""
        return SyntaxFault(INVALID, self.words[max(0, self.at - 1)][1])

    def keyword(self, choices: Iterable[str]) -> str:
        """Take a word that must be or abbreviate one of the choices."""
        word = self.take()
        found = self.chosen(word, choices)
        if found is None:
            raise self.bad()
        return found

    def chosen(self, word: str, choices: Iterable[str]) -> str | None:
        try:
            return pick(word, choices)
        except ValueError:
            raise SyntaxFault(AMBIGUOUS, self.words[max(0, self.at - 1)][1]) from None


def parse_ace(text: str, kind: str, *, offset: int = 0, groups: Collection[str] = ()) -> Ace:
    """Return the entry that a line without its number says.

    kind: extended, standard, ipv6, role-based or ipv6-role-based. offset: where the text starts in the typed line, for
    the caret. groups: names of object groups that exist. Raises SyntaxFault.
    """
    cursor = _Cursor(text, offset)
    permit = cursor.keyword(("permit", "deny")) == "permit"
    if kind == STANDARD:
        return _standard(cursor, permit)
    six, roles = kind in (IPV6, ROLE_BASED6), kind in (ROLE_BASED, ROLE_BASED6)
    service = None
    protocol = _protocol(cursor, six, groups if kind == EXTENDED else ())
    if isinstance(protocol, str):
        service, protocol = protocol, None
    source: Address = None
    destination: Address = None
    source_ports: Ports = None
    destination_ports: Ports = None
    if roles:
        if cursor.more() and cursor.chosen(cursor.peek(), ("src",)):
            cursor.take()
            source_ports = _ports(cursor, protocol, single=True, required=True)
        if cursor.more() and cursor.chosen(cursor.peek(), ("dst",)):
            cursor.take()
            destination_ports = _ports(cursor, protocol, single=True, required=True)
    else:
        source = _address(cursor, six, groups)
        source_ports = _ports(cursor, protocol)
        destination = _address(cursor, six, groups)
        destination_ports = _ports(cursor, protocol)
    icmp = _icmp(cursor, six) if protocol == (58 if six else 1) else None
    layer4 = source_ports is not None or destination_ports is not None or icmp is not None
    words = _options(cursor, protocol, TAIL_ROLE_BASED if roles else TAIL, layer4)
    return Ace(
        kind=kind, permit=permit, protocol=protocol, service=service, source=source, source_ports=source_ports,
        destination=destination, destination_ports=destination_ports, icmp=icmp, words=words,
    )  # fmt: skip


def _standard(cursor: _Cursor, permit: bool) -> Ace:
    word = cursor.peek()
    if word.lower() in ("any", "host"):
        source = _address(cursor, False, ())
    else:
        value = _quad(cursor)
        wildcard = _quad(cursor) if cursor.more() and cursor.peek()[:1].isdigit() else 0
        source = None if wildcard == 0xFFFFFFFF else Net(value & ~wildcard & 0xFFFFFFFF, wildcard)
    words = (cursor.keyword(("log",)),) if cursor.more() else ()
    if cursor.more():
        cursor.take()
        raise cursor.bad()
    return Ace(kind=STANDARD, permit=permit, source=source, words=words)


def _protocol(cursor: _Cursor, six: bool, groups: Collection[str]) -> int | str | None:
    table = PROTOCOL_WORDS6 if six else PROTOCOL_WORDS
    names = {name: number for number, name in table.items()}
    every = "ipv6" if six else "ip"
    word = cursor.take()
    if word.isdigit():
        if int(word) > 255:
            raise cursor.bad()
        return int(word) or None
    found = cursor.chosen(word, (every, *names, *(("object-group",) if groups else ())))
    if found is None:
        raise cursor.bad()
    if found == "object-group":
        return _group(cursor, groups)
    return None if found == every else names[found]


def _group(cursor: _Cursor, groups: Collection[str]) -> str:
    name = cursor.take()
    if name not in groups:
        raise cursor.bad()
    return name


def _quad(cursor: _Cursor) -> int:
    try:
        return int(ipaddress.IPv4Address(cursor.take()))
    except ValueError:
        raise cursor.bad() from None


def _address(cursor: _Cursor, six: bool, groups: Collection[str]) -> Address:
    word = cursor.take()
    if not word[0].isdigit() and ":" not in word:
        found = cursor.chosen(word, ("any", "host", *(("object-group",) if groups else ())))
        if found is None:
            raise cursor.bad()
        if found == "any":
            return None
        if found == "object-group":
            return Group(_group(cursor, groups))
        if not six:
            return Net(_quad(cursor), 0)
        try:
            return Net(int(ipaddress.IPv6Address(cursor.take())), 128)
        except ValueError:
            raise cursor.bad() from None
    try:
        if six:
            address, slash, length = word.partition("/")
            if not slash or not length.isdigit() or int(length) > 128:
                raise ValueError(word)
            network = ipaddress.IPv6Network((address, int(length)), strict=False)
            return None if int(length) == 0 else Net(int(network.network_address), int(length))
        value = int(ipaddress.IPv4Address(word))
    except ValueError:
        raise cursor.bad() from None
    wildcard = _quad(cursor)
    return None if wildcard == 0xFFFFFFFF else Net(value & ~wildcard & 0xFFFFFFFF, wildcard)


def _ports(cursor: _Cursor, protocol: int | None, *, single: bool = False, required: bool = False) -> Ports:
    word = cursor.peek().lower()
    if word not in OPERATORS:
        if required:
            cursor.take()
            raise cursor.bad()
        return None
    cursor.take()
    if protocol not in (6, 17, 132):
        raise cursor.bad()
    names = {6: TCP_PORTS, 17: UDP_PORTS}.get(protocol, {})
    first = _port(cursor, names)
    if (word == "gt" and first == 65535) or (word == "lt" and first == 0):
        raise cursor.bad()
    if word == "range":
        last = _port(cursor, names)
        if last < first:
            raise cursor.bad()
        return ("eq", (first,)) if first == last else ("range", (first, last))
    found = [first]
    while word in ("eq", "neq") and not single and (cursor.peek().isdigit() or cursor.peek().lower() in names):
        if len(found) == MAX_PORTS:
            cursor.take()
            raise cursor.bad()
        value = _port(cursor, names)
        if value not in found:
            found.append(value)
    return (word, tuple(found))


def _port(cursor: _Cursor, names: dict[str, int]) -> int:
    word = cursor.take()
    if word.isdigit():
        if int(word) > 65535:
            raise cursor.bad()
        return int(word)
    found = cursor.chosen(word, names)
    if found is None:
        raise cursor.bad()
    return names[found]


def _icmp(cursor: _Cursor, six: bool) -> tuple[int, int | None] | None:
    names = ICMP6 if six else ICMP4
    word = cursor.peek()
    if word.isdigit():
        cursor.take()
        if int(word) > 255:
            raise cursor.bad()
        code = None
        if cursor.peek().isdigit():
            code = int(cursor.take())
            if code > 255:
                raise cursor.bad()
        return int(word), code
    if word.lower() in names:
        return names[cursor.take().lower()]
    return None


def _options(cursor: _Cursor, protocol: int | None, tail: tuple[str, ...], layer4: bool) -> tuple[str, ...]:
    flags: list[str] = []
    found: dict[str, str] = {}
    tcp = ("established", *FLAGS, "match-all", "match-any") if protocol == 6 else ()
    while cursor.more():
        word = cursor.keyword((*tcp, *tail))
        if word in ("match-all", "match-any"):
            if flags:
                raise cursor.bad()
            flags.append(word)
            while cursor.peek()[:1] in ("+", "-") and cursor.peek()[1:].lower() in FLAGS:
                flags.append(cursor.take().lower())
            if len(flags) == 1:
                cursor.take()
                raise cursor.bad()
        elif word in tcp:
            if word in flags or flags[:1] in (["match-all"], ["match-any"]):
                raise cursor.bad()
            flags.append(word)
        elif word in found:
            raise cursor.bad()
        elif word in ("fragments", "log", "log-input"):
            if word == "fragments" and (layer4 or flags):
                raise cursor.bad()
            found[word] = word
        else:
            found[word] = f"{word} {_value(cursor, word)}"
    if flags and flags[0] not in ("match-all", "match-any"):
        flags.sort(key=lambda flag: ("established", *FLAGS).index(flag))
    return (*flags, *(found[word] for word in sorted(found, key=lambda word: PRINT_ORDER[word])))


def _value(cursor: _Cursor, option: str) -> str:
    word = cursor.take()
    if option == "time-range":
        return word
    if option == "dscp":
        if word.isdigit() and int(word) < 64:
            return word
        found = cursor.chosen(word, DSCP)
        if found is None:
            raise cursor.bad()
        return found
    if option == "ttl":
        limit = _byte(cursor) if word.lower() in OPERATORS else None
        if limit is None:
            raise cursor.bad()
        return f"{word.lower()} {limit}"
    names = {"precedence": PRECEDENCE, "tos": tuple(TOS)}.get(option, ())
    if not word.isdigit():
        found = cursor.chosen(word, names)
        if found is None:
            raise cursor.bad()
        return found
    if int(word) > {"precedence": 7, "tos": 15}.get(option, 255):
        raise cursor.bad()
    if option == "precedence":
        return PRECEDENCE[int(word)]
    return next((name for name, value in TOS.items() if option == "tos" and value == int(word)), word)


def _byte(cursor: _Cursor) -> int:
    word = cursor.take()
    if not word.isdigit() or int(word) > 255:
        raise cursor.bad()
    return int(word)


__all__ = ["EXTENDED", "IPV6", "ROLE_BASED", "ROLE_BASED6", "STANDARD", "Ace", "parse_ace"]
