"""Small worlds for brute force: random boxes on few cut points, and the packets that tell all of them apart."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Mapping

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.masks import MaskedSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import (
    ALL,
    Box,
    Entry,
    FirstMatchList,
    Packet,
)

# Every set below is a union of these pieces, so one value of each piece stands for all its values.
PIECES: dict[str, list[tuple[int, int]]] = {
    "protocol": [
        (0, 0),
        (1, 1),
        (2, 5),
        (6, 6),
        (7, 16),
        (17, 17),
        (18, 255),
        (256, 261),
        (262, 262),
        (263, 313),
        (314, 314),
        (315, 511),
    ],
    "detail": [(0, 0), (1, 15), (16, 63), (64, 2047), (2048, 2048), (2049, 65535)],
    "fragment": [(0, 0), (1, 1)],
    "destination": [(0, 9), (10, 10), (11, 99), (100, (1 << 32) - 1), (1 << 32, (1 << 128) - 1)],
    "source": [(0, 9), (10, 10), (11, (1 << 32) - 1), (1 << 32, (1 << 128) - 1)],
    "destination_port": [(0, 0), (1, 79), (80, 80), (81, 65535)],
    "source_port": [(0, 0), (1, 1023), (1024, 65535)],
}
# (18, 255) holds DCCP, SCTP and UDP-Lite, which have ports, beside protocols that do not: name one of each.
PROTOCOLS = [0, 1, 3, 6, 9, 17, 47, 132, 256, 262, 270, 273, 314, 400]


def possible(packet: Packet) -> bool:
    """Say by the words of the model's documentation, not by its code, whether a packet can exist."""
    number, ipv6 = packet.protocol % 256, packet.protocol > 255
    if not ipv6 and max(packet.destination, packet.source) >= 1 << 32:
        return False
    has_ports = number in (6, 17, 33, 132, 136) and packet.fragment == 0
    if not has_ports and (packet.destination_port or packet.source_port):
        return False
    top = 0
    if packet.fragment == 0 and number == 6:
        top = 63
    if packet.fragment == 0 and packet.protocol in (1, 256 + 58):
        top = 65535
    return packet.detail <= top


def all_packets() -> list[Packet]:
    """Return one possible packet of every combination of pieces."""
    values = [PROTOCOLS, *([low for low, _high in PIECES[name]] for name in list(PIECES)[1:])]
    return [
        packet for packet in (Packet(*combination) for combination in itertools.product(*values)) if possible(packet)
    ]


PACKETS = all_packets()


def random_set(choice: random.Random, name: str, whole: float = 0.5) -> IntervalSet:
    """Return everything, or a union of pieces."""
    if choice.random() < whole:
        return ALL[name]
    if name == "protocol":
        return IntervalSet.of(*choice.sample(PROTOCOLS, choice.randint(1, 4)))
    pieces = PIECES[name]
    return IntervalSet.of(*choice.sample(pieces, choice.randint(1, len(pieces) - 1)))


def random_box(choice: random.Random, whole: float = 0.5) -> Box:
    """Return a box of random sets."""
    return Box(**{name: random_set(choice, name, whole) for name in PIECES})


def random_list(choice: random.Random, length: int, whole: float = 0.5) -> FirstMatchList:
    """Return a random list; entries have one to three boxes."""
    entries = [
        Entry(
            choice.random() < 0.5,
            tuple(random_box(choice, whole) for _ in range(choice.choice((1, 1, 1, 2, 3)))),
            f"e{place}",
            place,
        )
        for place in range(1, length + 1)
    ]
    return FirstMatchList(tuple(entries), choice.random() < 0.3)


def in_box(packet: Packet, box: Box) -> bool:
    """Compare values with interval ends, field by field, and with masks bit by bit."""
    return all(_held(value, values) for value, values in zip(packet.values(), box.sets(), strict=True))


def _held(value: int, values: IntervalSet) -> bool:
    if isinstance(values, MaskedSet):
        return (value ^ values.value) & values.care == 0 and any(low <= value <= high for low, high in values.within)
    return any(low <= value <= high for low, high in values.pairs)


def first_match(source: FirstMatchList, packet: Packet) -> int:
    """Walk the list from the top; ``len(entries)`` for the default."""
    for index, entry in enumerate(source.entries):
        if any(in_box(packet, box) for box in entry.boxes):
            return index
    return len(source.entries)


def passes(source: FirstMatchList, packet: Packet) -> bool:
    """Return what the list says, by the walk."""
    index = first_match(source, packet)
    return source.entries[index].permit if index < len(source.entries) else source.default_permit


# --- the same walk for all packets of the small world at once: each end of an interval is compared once for each value, not each packet


def _values() -> list[dict[int, int]]:
    """Return, for each field, which packets have each of its values (bit n: packet n)."""
    found: list[dict[int, int]] = [{} for _ in PACKETS[0].values()]
    for number, packet in enumerate(PACKETS):
        for held, value in zip(found, packet.values(), strict=True):
            held[value] = held.get(value, 0) | 1 << number
    return found


VALUES = _values()


def bits_in(boxes: Iterable[Box]) -> int:
    """Return the packets that are in one of the boxes (bit n: packet n), compared as ``in_box`` does."""
    found = 0
    for box in boxes:
        inside = -1
        for values, held in zip(box.sets(), VALUES, strict=True):
            inside &= sum(bits for value, bits in held.items() if _held(value, values))
        found |= inside
    return found


def numbers(bits: int) -> list[int]:
    """Return which bits are set."""
    return [number for number, digit in enumerate(reversed(f"{bits:b}")) if digit == "1"]


def first_matches(source: FirstMatchList, way: Mapping[str, bool] | None = None) -> list[int]:
    """Return ``first_match`` for each of PACKETS; ``way``: what the conditions of entries are."""
    result, left = [len(source.entries)] * len(PACKETS), (1 << len(PACKETS)) - 1
    for index, entry in enumerate(source.entries):
        if way is None or not entry.condition or way[entry.condition]:
            here = bits_in(entry.boxes) & left
            left ^= here
            for number in numbers(here):
                result[number] = index
    return result


def verdicts_of(source: FirstMatchList, way: Mapping[str, bool] | None = None) -> list[bool]:
    """Return ``passes`` for each of PACKETS."""
    actions = [*(entry.permit for entry in source.entries), source.default_permit]
    return [actions[index] for index in first_matches(source, way)]
