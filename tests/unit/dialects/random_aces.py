"""Random entries with every kind of field, and packets near their edges."""

from __future__ import annotations

import random

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet, from_wildcard
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import ESTABLISHED, Packet

BASE = {4: 10 << 24, 6: 0xFD00 << 112}
WIDTH = {4: 32, 6: 128}
OTHERS = (2, 47, 50, 89, 99)
PORTS = (0, 1, 22, 53, 80, 161, 443, 502, 1023, 1024, 5000, 5010, 32768, 49152, 65534, 65535)
MESSAGES = {4: (0, 3, 5, 8, 11, 12, 13), 6: (1, 2, 3, 4, 128, 129, 135)}


def addresses(choice: random.Random, family: int) -> IntervalSet | None:
    """Any, a host, a prefix, a range, a mask with holes, or several of them, all inside one private block."""
    kind = choice.choice(("any", "any", "host", "host", "prefix", "prefix", "range", "holes", "several"))
    if kind == "any":
        return None
    if kind == "several":
        parts = [addresses(choice, family) for _ in range(choice.randint(2, 4))]
        found = IntervalSet.of(*(pair for part in parts if part for pair in part.pairs))
        return found or None
    value = BASE[family] | choice.getrandbits(10)
    if kind == "host":
        return IntervalSet.of(value)
    if kind == "range":
        return IntervalSet.of((value, value + choice.choice((1, 2, 5, 100, 700))))
    if kind == "holes":
        return from_wildcard(value, choice.choice((0x101, 0x204, 0x00300, 0x155, 0x2F0)))
    bits = choice.choice((1, 2, 4, 6, 8, 9))
    low = value >> bits << bits
    return IntervalSet.of((low, low + (1 << bits) - 1))


def ports(choice: random.Random) -> IntervalSet | None:
    """Any, one port, a range, a list, or all but one port."""
    kind = choice.choice(("any", "any", "one", "one", "range", "list", "not"))
    one = choice.choice(PORTS)
    if kind == "any":
        return None
    if kind == "one":
        return IntervalSet.of(one)
    if kind == "not":
        return IntervalSet.of((0, 65535)).subtract(IntervalSet.of(one))
    if kind == "list":
        return IntervalSet.of(*choice.sample(PORTS, choice.randint(2, 4)))
    other = choice.choice(PORTS)
    return IntervalSet.of((min(one, other), max(one, other)))


def entry(choice: random.Random, fragments: bool = False, family: int = -1) -> Ace:
    """One random entry; ``fragments``: entries for later fragments alone may come."""
    family = family if family >= 0 else choice.choice((4, 4, 4, 6, 6))
    icmp = 1 if family == 4 else 58
    protocol = choice.choice((None, 6, 6, 6, 17, 17, 17, icmp, icmp, 132, choice.choice(OTHERS)))
    source, destination = addresses(choice, family), addresses(choice, family)
    permit = choice.random() < 0.5
    if fragments and choice.random() < 0.15:
        return Ace(permit, protocol, family, source, destination, fragments=True)
    detail = sports = dports = None
    if protocol in (6, 17, 132):
        sports, dports = ports(choice) if choice.random() < 0.3 else None, ports(choice)
    if protocol == 6 and choice.random() < 0.4:
        detail = choice.choice((ESTABLISHED, IntervalSet.of(2), IntervalSet.of(*choice.sample(range(64), 5))))
    if protocol == icmp and choice.random() < 0.7:
        kinds = choice.sample(MESSAGES[family], choice.randint(1, 3))
        detail = IntervalSet.of(*(
            kind << 8 | choice.randint(0, 3) if choice.random() < 0.4 else (kind << 8, kind << 8 | 255) for kind in kinds
        ))  # fmt: skip
    return Ace(permit, protocol, family, source, destination, sports, dports, detail)


def policy(choice: random.Random, fragments: bool = False) -> list[Ace]:
    """A list of 3 to 14 entries, sometimes closed by one that permits or denies everything."""
    found = [entry(choice, fragments) for _ in range(choice.randint(3, 14))]
    if choice.random() < 0.4:
        found.append(Ace(choice.random() < 0.6, None, 0))
    return found


def near(choice: random.Random, aces: list[Ace], family: int = 0) -> Packet:
    """A packet at or beside an edge of some entry in each field."""
    ace = choice.choice([each for each in aces if each.family and family in (0, each.family)] or [Ace(True)])
    family = ace.family

    def edge(values: IntervalSet | None, usual: int, top: int) -> int:
        if values is None or choice.random() < 0.1:
            return usual
        low, high = choice.choice(values.pairs)
        return max(0, min(top, choice.choice((low, low, high, high, low - 1, high + 1, (low + high) // 2))))

    icmp = 1 if family == 4 else 58
    protocol = ace.protocol if ace.protocol is not None and choice.random() < 0.85 else choice.choice((6, 17, icmp, 47))
    low, high = BASE[family], BASE[family] | (1 << 24) - 1
    source, destination = (
        min(high, max(low + 1, edge(values, low | choice.getrandbits(10), high)))
        for values in (ace.source, ace.destination)
    )
    fragment = int(choice.random() < (0.5 if ace.fragments else 0.1))
    detail = sport = dport = 0
    if not fragment and protocol in (6, 17, 132):
        sport = edge(ace.source_ports, choice.choice((1024, 50000)), 65535)
        dport = edge(ace.destination_ports, choice.choice(PORTS), 65535)
    if not fragment and protocol == 6:
        detail = choice.choice((2, 2, 16, 24, 18, 4, 17, choice.getrandbits(6)))
    if not fragment and protocol == icmp:
        detail = edge(ace.detail, choice.choice(MESSAGES[family]) << 8, 65535)
    return Packet(protocol + (256 if family == 6 else 0), detail, fragment, destination, source, dport, sport)
