# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random access lists of the kind that device segments have, and rewritings that keep the meaning."""

from __future__ import annotations

import random
from dataclasses import replace

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet, from_wildcard
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.masks import wildcard_set
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import (
    ALL,
    ESTABLISHED,
    IPV4_ADDRESSES,
    IPV4_PROTOCOLS,
    Box,
    Entry,
)

WHOLE = IntervalSet.of(0)


def random_entries(choice: random.Random, length: int) -> list[Entry]:
    """Return entries: 55 percent host sources, 5 percent any source, 8 percent any destination, 20 percent denies, final deny."""
    hosts = [(10 << 24) + choice.randrange(1 << 16) for _ in range(max(8, length // 4))]
    result = [_entry(choice, hosts, place) for place in range(1, length)]
    return [*result, Entry(False, (Box(protocol=IPV4_PROTOCOLS),), "end", length)]


def _entry(choice: random.Random, hosts: list[int], place: int) -> Entry:
    protocol = choice.choices([6, 17, 1, None], [70, 20, 5, 5])[0]
    box = Box(
        protocol=IPV4_PROTOCOLS if protocol is None else IntervalSet.of(protocol),
        source=_addresses(choice, hosts, 0.05, 0.55),
        destination=_addresses(choice, hosts, 0.08, 0.4),
    )
    if protocol in (6, 17):
        port = choice.choice([443, 80, 22, 53, 104, 502, 11112, choice.randrange(1024, 65000)])
        box = box.replace(
            destination_port=IntervalSet.of((port, port + choice.choice([0, 0, 0, 10, 500]))), fragment=WHOLE
        )
        if protocol == 6 and choice.random() < 0.1:
            box = box.replace(detail=ESTABLISHED)
    return Entry(choice.random() >= 0.2, (box,), f"rule-{place}", place)


def _addresses(choice: random.Random, hosts: list[int], any_share: float, host_share: float) -> IntervalSet:
    draw = choice.random()
    if draw < any_share:
        return IPV4_ADDRESSES
    address = choice.choice(hosts)
    if draw < any_share + host_share:
        return IntervalSet.of(address)
    size = 1 << choice.choice([3, 4, 6, 8])
    low = address // size * size
    return IntervalSet.of((low, low + size - 1))


def rewritten(choice: random.Random, entries: list[Entry]) -> list[Entry]:
    """Return another list with the same meaning, about 17 percent longer: ranges cut in two, entries repeated further down."""
    result: list[Entry] = []
    later: list[tuple[int, Entry]] = []
    for place, entry in enumerate(entries):
        box = entry.boxes[0]
        draw = choice.random()
        low, high = box.source.hull if box.source.masked else box.source.pairs[0]
        if draw < 0.12 and high > low:
            middle = (low + high) // 2
            half = IntervalSet.of((low, middle)).intersect(box.source)
            parts = [half, box.source.subtract(IntervalSet.of((low, middle)))]
            result += [Entry(entry.permit, (box.replace(source=part),), entry.label) for part in parts]
        else:
            result.append(entry)
        if draw > 0.9:
            later.append((place, entry))
    for place, entry in later:  # a repetition below the original can never match
        result.insert(
            choice.randrange(min(place + len(result) - len(entries) + 1, len(result)), len(result) + 1), entry
        )
    return result


def firewall_entries(choice: random.Random, length: int) -> list[Entry]:
    """Return the hard set: 25 percent any source, 20 percent any destination, many ranges that overlap and are no prefixes."""
    result = []
    for place in range(1, length):
        protocol = choice.choices([6, 17, 1, None], [60, 25, 5, 10])[0]
        box = Box(
            protocol=IPV4_PROTOCOLS if protocol is None else IntervalSet.of(protocol),
            source=_overlapping(choice, 0.25),
            destination=_overlapping(choice, 0.2),
        )
        if protocol in (6, 17):
            box = box.replace(destination_port=_overlapping_ports(choice), fragment=WHOLE)
            if choice.random() < 0.1:
                box = box.replace(source_port=IntervalSet.of((1024, 65535)))
            if protocol == 6 and choice.random() < 0.1:
                box = box.replace(detail=ESTABLISHED)
        result.append(Entry(choice.random() >= 0.3, (box,), f"rule-{place}", place))
    return [*result, Entry(False, (Box(protocol=IPV4_PROTOCOLS),), "end", length)]


def _overlapping(choice: random.Random, any_share: float) -> IntervalSet:
    draw = choice.random()
    if draw < any_share:
        return IPV4_ADDRESSES
    address = (10 << 24) + choice.randrange(1 << 16)
    if draw < any_share + 0.2:
        return IntervalSet.of(address)
    if draw < any_share + 0.45:
        size = 1 << choice.choice([4, 6, 8, 10, 12])
        low = address // size * size
        return IntervalSet.of((low, low + size - 1))
    return IntervalSet.of((address, address + choice.randrange(1, 1 << choice.choice([6, 8, 10, 12]))))


def _overlapping_ports(choice: random.Random) -> IntervalSet:
    draw = choice.random()
    if draw < 0.5:
        return IntervalSet.of(choice.choice([443, 80, 22, 53, 104, 502, 11112, choice.randrange(1024, 65000)]))
    low = choice.choice([0, 1, 1024, choice.randrange(1024, 60000)])
    return IntervalSet.of((low, min(65535, low + choice.choice([100, 1000, 1023, 20000, 64511]))))


def wildcard_entries(choice: random.Random, length: int) -> list[Entry]:
    """Return a set of which two thirds of the addresses have discontiguous wildcard masks of 4 to 64 pieces."""
    result = []
    for place in range(1, length):
        protocol = choice.choices([6, 17, None], [70, 20, 10])[0]
        box = Box(
            protocol=IPV4_PROTOCOLS if protocol is None else IntervalSet.of(protocol),
            source=_wildcard(choice),
            destination=_wildcard(choice),
        )
        if protocol is not None:
            box = box.replace(destination_port=IntervalSet.of(choice.choice([443, 80, 22, 53, 502])), fragment=WHOLE)
        result.append(Entry(choice.random() >= 0.2, (box,), f"rule-{place}", place))
    return [*result, Entry(False, (Box(protocol=IPV4_PROTOCOLS),), "end", length)]


def _wildcard(choice: random.Random) -> IntervalSet:
    address = (10 << 24) + choice.randrange(1 << 16)
    if choice.random() < 0.33:
        return IntervalSet.of(address)
    loose = sum(1 << bit for bit in choice.sample(range(8, 16), choice.randint(2, 6)))
    found = from_wildcard(address & ~15 | choice.choice([0, 0, 5]), loose | choice.choice([0, 15, 255]))
    if found is None:
        raise ValueError("at most 64 pieces were meant")
    return found


def masked_entries(choice: random.Random, length: int) -> list[Entry]:
    """Return ``random_entries`` of which a tenth has an end by a mask of 65,536 pieces and more."""
    result = []
    for entry in random_entries(choice, length):
        if entry.label != "end" and choice.random() < 0.1:
            loose = choice.choice((0x00FFFF00, 0x00FFFF80, 0x01FFFF00, 0x00FFFE01))
            ends = wildcard_set((10 << 24) + choice.randrange(1 << 16), loose)
            side = choice.choice(("source", "destination"))
            result.append(replace(entry, boxes=tuple(box.replace(**{side: ends}) for box in entry.boxes)))
        else:
            result.append(entry)
    return result


def tagged_entries(choice: random.Random, length: int) -> list[Entry]:
    """Return the overlapping set with a tag at nearly every end, and seven of ten ends any address, the others few hosts."""

    def end() -> IntervalSet:
        return IPV4_ADDRESSES if choice.random() < 0.7 else IntervalSet.of((10 << 24) + choice.randrange(1 << 12))

    def tag() -> IntervalSet:
        return ALL["source_group"] if choice.random() < 0.05 else IntervalSet.of(choice.randrange(2, 400))

    return [
        replace(entry, boxes=tuple(
            box.replace(source=end(), destination=end(), source_group=tag(), destination_group=tag()) for box in entry.boxes
        ))
        if entry.label != "end" else entry
        for entry in firewall_entries(choice, length)
    ]  # fmt: skip


def intent_terms(choice: random.Random, length: int, named: int = 0) -> list[Ace]:
    """Return terms with one to five prefixes on each side and up to two ports: about six lines each once rendered.

    ``named``: how many groups the terms share, as rules of a policy do, and then no term is from any to any; 0: each term has its own
    prefixes, and one in 400 is from any to any.
    """
    groups = [_group(choice) for _ in range(named)]
    result = []
    for place in range(1, length + 1):
        protocol = choice.choices([6, 17, 1, None], [70, 20, 4, 6])[0]
        ports = None
        if protocol in (6, 17):
            few = choice.sample([443, 80, 22, 53, 104, 502, 2575, 11112, 47808], choice.choice([1, 1, 1, 1, 2]))
            ports = IntervalSet.of(*few)
        ends = [None if choice.random() < 0.05 else choice.choice(groups) if groups else _group(choice) for _ in "sd"]
        if groups and ends == [None, None]:
            ends[0] = groups[0]
        result.append(Ace(choice.random() >= 0.1, protocol, 4, *ends, None, ports, label=f"term-{place}"))
    return result


def _group(choice: random.Random) -> IntervalSet:
    blocks = []
    for _ in range(choice.choices([1, 2, 3, 4, 5], [37, 26, 17, 11, 9])[0]):
        size = 1 << choice.choice([0, 0, 0, 4, 6, 8])
        low = ((10 << 24) + choice.randrange(1 << 18)) // size * size
        blocks.append((low, low + size - 1))
    return IntervalSet.of(*blocks)
