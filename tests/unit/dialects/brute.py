"""A brute evaluator of rendered lists, for all syntaxes: text to lines, one packet after another down the list.

Shares no code with the collection: Cisco lines are read by the lab's evaluator, other syntaxes are respelled as such lines or read
here word by word. ``packets_around`` gives one packet for every piece that the lines of two texts cut the fields into.
"""

from __future__ import annotations

import ipaddress
import itertools
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.lab import evaluate
from tests.lab.ace_names import ICMP4

Pair = tuple[int, int]
TOP = {4: (1 << 32) - 1, 6: (1 << 128) - 1}
PORTED, ICMP = (6, 17, 33, 132, 136), {4: 1, 6: 58}
FLAG_BITS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32}


@dataclass(frozen=True)
class Line:
    """One entry. Addresses: (value, bits that count); ports: (low, high); None: any. ``family`` 0: both."""

    permit: bool
    family: int
    protocol: int | None = None
    source: tuple[Pair, ...] | None = None
    destination: tuple[Pair, ...] | None = None
    source_ports: tuple[Pair, ...] | None = None
    destination_ports: tuple[Pair, ...] | None = None
    flags: frozenset[int] | None = None
    messages: tuple[tuple[int, int | None], ...] | None = None
    fragments: bool = False

    @property
    def layer4(self) -> bool:
        return any(each is not None for each in (self.source_ports, self.destination_ports, self.flags, self.messages))


@dataclass(frozen=True)
class Rules:
    """The lines of a list, what happens without a match, and whether a permit line passes later fragments on layer 3."""

    lines: tuple[Line, ...]
    default: bool = False
    like_ios: bool = True


@dataclass(frozen=True)
class Seen:
    """One packet."""

    family: int
    protocol: int
    source: int
    destination: int
    source_port: int = 0
    destination_port: int = 0
    flags: int = 0
    message: Pair = (0, 0)
    later: bool = False


def decide(rules: Rules, packet: Seen) -> bool:
    """Return whether the packet passes."""
    for line in rules.lines:
        if matches(line, packet, rules.like_ios):
            return line.permit
    return rules.default


def matches(line: Line, packet: Seen, like_ios: bool) -> bool:
    """Return whether a line takes the packet."""
    if line.family not in (0, packet.family) or (line.protocol is not None and line.protocol != packet.protocol):
        return False
    for wanted, value in ((line.source, packet.source), (line.destination, packet.destination)):
        if wanted is not None and not any(value & care == low for low, care in wanted):
            return False
    if packet.later:
        return line.fragments or not line.layer4 or (like_ios and line.permit)
    if line.fragments:
        return False
    for ports, port in ((line.source_ports, packet.source_port), (line.destination_ports, packet.destination_port)):
        if ports is not None and not any(low <= port <= high for low, high in ports):
            return False
    if line.flags is not None and packet.flags not in line.flags:
        return False
    if line.messages is None:
        return True
    kind, code = packet.message
    return any(kind == wanted and only in (None, code) for wanted, only in line.messages)


def read(platform: str, text: str) -> Rules:
    """Return the rules of a rendered list; ValueError for anything that is not understood."""
    rows = [row.strip() for row in text.splitlines()]
    if platform == "nftables":
        return _nftables(rows)
    if platform == "asa":
        return Rules(tuple(_asa(row.split()) for row in rows if row), like_ios=False)
    family = 6 if platform == "ios_ipv6" else 4
    body = [row for row in rows if re.match(r"(?:sequence \d+ |\d+ )?(?:permit|deny) ", row)]
    if len(body) != sum(1 for row in rows if row and not re.match(r"(?:ip|ipv6) access-list ", row)):
        raise ValueError("a row that is no entry")
    if platform == "nxos":
        body = [re.sub(r"(\d+\.\d+\.\d+\.\d+)/(\d+)", _wildcard, row) for row in body]
    kind = platform if platform in ("dacl", "sgacl") else "ios"
    lines = tuple(_cisco(each, family) for each in evaluate.parse_acl(tuple(body), kind, family))
    if platform == "sgacl":
        return Rules(lines, True)
    if family == 6 and lines:  # neighbour discovery passes before the implicit end
        lines += (Line(True, 6, 58, messages=((135, None), (136, None))),)
    return Rules(lines, not lines)


def _wildcard(found: re.Match[str]) -> str:
    network = ipaddress.IPv4Network(found[0])
    return f"{network.network_address} {network.hostmask}"


def _cisco(ace: Any, family: int) -> Line:
    flags = None
    if ace.flags is not None:
        how, wanted = ace.flags
        test = any if how == "any" else all
        flags = frozenset(v for v in range(64) if test(bool(v & FLAG_BITS[flag]) is on for flag, on in wanted))
    return Line(
        ace.permit, family, ace.protocol, (ace.source,) if ace.source else None, (ace.destination,) if ace.destination else None,
        ace.source_ports, ace.destination_ports, flags, (ace.icmp,) if ace.icmp else None, ace.fragments,
    )  # fmt: skip


# ICMPv6 messages that the ASA writes out (RFC 4443, RFC 4861); others are numbers.
ASA_ICMP6 = {
    "unreachable": 1, "packet-too-big": 2, "time-exceeded": 3, "parameter-problem": 4, "echo": 128, "echo-reply": 129,
    "membership-query": 130, "membership-report": 131, "membership-reduction": 132, "router-solicitation": 133,
    "router-advertisement": 134, "neighbor-solicitation": 135, "neighbor-advertisement": 136, "neighbor-redirect": 137,
}  # fmt: skip


def _asa(words: list[str]) -> Line:
    """Read one line of an ASA list: subnet masks, both families in one list, one port an operator."""
    if words[0] != "access-list" or words[2] != "extended" or words[3] not in ("permit", "deny"):
        raise ValueError(" ".join(words))
    names = {
        "ip": None,
        "tcp": 6,
        "udp": 17,
        "icmp": 1,
        "icmp6": 58,
        "sctp": 132,
        "gre": 47,
        "esp": 50,
        "igmp": 2,
        "ospf": 89,
    }
    protocol = int(words[4]) if words[4].isdigit() else names[words[4]]
    rest = words[5:]
    families: set[int] = {4} if words[4] == "icmp" else {6} if words[4] == "icmp6" else set()
    found: dict[str, Any] = {}
    for side in ("source", "destination"):
        word = rest.pop(0)
        if word in ("any4", "any6"):
            families.add(int(word[-1]))
        elif word != "any":
            text = rest.pop(0) if word == "host" else word if ":" in word else f"{word}/{rest.pop(0)}"
            network = ipaddress.ip_network(text)
            families.add(network.version)
            found[side] = ((int(network.network_address), int(network.netmask)),)
        if rest and rest[0] in ("eq", "neq", "gt", "lt", "range"):
            found[f"{side}_ports"], rest = _asa_ports(rest)
    if rest:
        table = ICMP4 if protocol == 1 else {word: (kind, None) for word, kind in ASA_ICMP6.items()}
        if protocol not in (1, 58) or len(rest) > 2 or (len(rest) == 2 and not rest[0].isdigit()):
            raise ValueError(" ".join(words))
        found["messages"] = (
            table[rest[0]] if rest[0] in table else (int(rest[0]), int(rest[1]) if rest[1:] else None),
        )
    if len(families) > 1:
        raise ValueError("two families in one line")
    return Line(words[3] == "permit", min(families, default=0), protocol, **found)


def _asa_ports(rest: list[str]) -> tuple[tuple[Pair, ...], list[str]]:
    operator, first, *rest = rest
    port = int(first)
    if operator == "range":
        return ((port, int(rest[0])),), rest[1:]
    ranges = {
        "eq": ((port, port),),
        "gt": ((port + 1, 65535),),
        "lt": ((0, port - 1),),
        "neq": ((0, port - 1), (port + 1, 65535)),
    }
    return tuple(pair for pair in ranges[operator] if pair[0] <= pair[1]), rest


def _nftables(rows: list[str]) -> Rules:
    start = next(n for n, row in enumerate(rows) if row.startswith("type filter hook forward"))
    policy = re.fullmatch(r"type filter hook forward priority filter; policy (accept|drop);", rows[start])
    if (
        policy is None
        or rows[start - 1] != "chain sw_forward {"
        or rows[start + 1] != "ct state established,related accept"
    ):
        raise ValueError("not the stateful chain")
    body = rows[start + 2 : rows.index("}", start)]
    lines = tuple(_nft_rule(row) for row in body if row != "ct state invalid drop")
    return Rules(lines, policy[1] == "accept", like_ios=False)


def _nft_rule(row: str) -> Line:
    words = re.findall(r"[^\s{},]+|[{},]", row)
    found: dict[str, Any] = {"family": 0}
    if words[-2:-1] != ["counter"] or words[-1] not in ("accept", "drop"):
        raise ValueError(row)
    at, end = 0, len(words) - 2
    messages: dict[str, list[Pair]] = {}
    while at < end:
        key, what = words[at], words[at + 1]
        at += 2
        if key == "tcp" and what == "flags":
            if "".join(words[at : at + 12]) != "&(fin|syn|rst|psh|ack|urg)":
                raise ValueError(row)
            at = words.index("==", at) + 1
            values, at = _values(words, at)
            found["flags"] = frozenset(int(value) for value in values)
            found["protocol"] = 6
            continue
        mask = ""
        if words[at] == "&":
            mask, at = words[at + 1], at + 3
        values, at = _values(words, at)
        if key in ("ip", "ip6"):
            found["family"] = 4 if key == "ip" else 6
            if what in ("saddr", "daddr"):
                pairs = tuple(pair for value in values for pair in _blocks(value, mask))
                found["source" if what == "saddr" else "destination"] = pairs
            else:
                found["protocol"] = int(values[0])
        elif key == "meta":
            if what == "nfproto":
                found["family"] = int(values[0][-1])
            else:
                found["protocol"] = int(values[0])
        elif key in ("icmp", "icmpv6"):
            found["family"], found["protocol"] = (4, 1) if key == "icmp" else (6, 58)
            messages[what] = [_span(value) for value in values]
        else:
            found["protocol"] = {"tcp": 6, "udp": 17, "sctp": 132}[key]
            found["source_ports" if what == "sport" else "destination_ports"] = tuple(_span(value) for value in values)
    if messages:
        codes = messages.get("code")
        found["messages"] = tuple(
            (kind, code)
            for low, high in messages["type"]
            for kind in range(low, high + 1)
            for code in ([None] if codes is None else [c for a, b in codes for c in range(a, b + 1)])
        )
        if found["messages"] == tuple((kind, None) for kind in range(256)):
            found["messages"] = None
    return Line(words[-1] == "accept", **found)


def _values(words: Sequence[str], at: int) -> tuple[list[str], int]:
    if words[at] != "{":
        return [words[at]], at + 1
    end = words.index("}", at)
    return [word for word in words[at + 1 : end] if word != ","], end + 1


def _span(value: str) -> Pair:
    low, _dash, high = value.partition("-")
    return int(low), int(high or low)


def _blocks(value: str, mask: str) -> list[Pair]:
    """Return (value, bits that count) pairs of an address, prefix, range or masked address."""
    if mask:
        return [(int(ipaddress.ip_address(value)), int(ipaddress.ip_address(mask)))]
    if "-" in value:
        low, high = (ipaddress.ip_address(part) for part in value.split("-"))
        networks: Iterable[Any] = ipaddress.summarize_address_range(low, high)
    else:
        networks = [ipaddress.ip_network(value)]
    return [(int(network.network_address), int(network.netmask)) for network in networks]


@dataclass
class Pieces:
    """Representative packets inside some lines; ``complete`` is False where they are a sample."""

    packets: list[Seen] = field(default_factory=list)
    complete: bool = True


def packets_around(focus: Sequence[Line], rules: Sequence[Rules], choice: random.Random, limit: int = 20_000) -> Pieces:
    """Return a packet for every piece of the fields that the lines cut out, inside the hull of the lines in focus.

    Two lists that agree outside the lines in focus agree everywhere when they agree on these packets.
    """
    lines = [line for each in rules for line in each.lines]
    found = Pieces()
    for family in (4, 6):
        here = [line for line in lines if line.family in (0, family)]
        inside = [line for line in focus if line.family in (0, family)]
        if not inside:
            continue
        protocols = {line.protocol for line in here if line.protocol is not None} | {6, 17, ICMP[family], 99}
        wanted = {line.protocol for line in inside}
        if None not in wanted:
            protocols &= {protocol for protocol in wanted if protocol is not None}
        ends: list[list[int]] = []
        for name in ("source", "destination"):
            values, complete = _addresses(here, inside, name, TOP[family])
            found.complete = found.complete and complete
            ends.append(values)
        for protocol in sorted(protocols):
            found.packets += _of_protocol(family, protocol, here, ends)
    if len(found.packets) > limit:
        found.packets, found.complete = choice.sample(found.packets, limit), False
    return found


def _of_protocol(family: int, protocol: int, here: Sequence[Line], ends: Sequence[list[int]]) -> list[Seen]:
    mine = [line for line in here if line.protocol in (None, protocol)]
    sports, dports = [0], [0]
    if protocol in PORTED:
        sports, dports = (
            [*_cuts([getattr(line, name) for line in mine], 65535)] for name in ("source_ports", "destination_ports")
        )
    flags = [0]
    if protocol == 6:
        sets = [line.flags for line in mine if line.flags is not None]
        classes = {tuple(value in each for each in sets): value for value in range(64)}
        flags = sorted(classes.values()) if sets else [2]
    messages: list[Pair] = [(0, 0)]
    if protocol == ICMP[family]:
        named = {pair for line in mine for pair in line.messages or ()}
        kinds = {kind for kind, _code in named} | {250}
        codes = {code for _kind, code in named if code is not None} | {250}
        messages = sorted(itertools.product(kinds, codes))
    whole = [
        Seen(family, protocol, source, destination, sport, dport, flag, message)
        for source, destination, sport, dport, flag, message in itertools.product(
            *ends, sports, dports, flags, messages
        )
    ]
    return whole + [Seen(family, protocol, s, d, later=True) for s, d in itertools.product(*ends)]


def _cuts(sets: Iterable[tuple[Pair, ...] | None], top: int) -> list[int]:
    """Return the lowest value of every piece that the ranges cut 0 to top into."""
    bounds = {0}
    for pairs in sets:
        for low, high in pairs or ():
            bounds |= {low, high + 1}
    return sorted(bound for bound in bounds if bound <= top)


def _addresses(here: Sequence[Line], inside: Sequence[Line], name: str, top: int) -> tuple[list[int], bool]:
    """Return one address for every piece inside the lines in focus, and whether that is all of them."""
    pairs = [pair for line in here for pair in getattr(line, name) or ()]
    values, complete = {0, top}, True
    for low, care in pairs:
        loose = top ^ care
        if loose & (loose + 1):  # a mask with holes cuts in many places: take some values of every bit
            complete = False
            values |= {low | loose, *(low | 1 << bit for bit in range(12) if loose >> bit & 1)}
        values |= {low, (low | loose) + 1, low - 1, low | loose}
    values = {value for value in values if 0 <= value <= top}
    focus = [getattr(line, name) for line in inside]
    if None not in focus:
        values = {v for v in values if any(v & care == low for group in focus for low, care in group)}
    return sorted(values), complete
