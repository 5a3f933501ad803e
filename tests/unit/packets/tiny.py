"""Tiny worlds for very many random lists: each field has few values, so that every packet and every condition is tried."""

from __future__ import annotations

import itertools
import random

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Box, Entry, FirstMatchList, Packet

SIX = 1 << 100
TOPS = {"destination": (1 << 128) - 1, "source": (1 << 128) - 1, "destination_port": 65535, "source_port": 65535,
        "destination_group": 65535, "source_group": 65535}  # fmt: skip
CONDITIONS = ("dscp ef", "time-range WORK")
WAYS = [dict(zip(CONDITIONS, held, strict=True)) for held in itertools.product((False, True), repeat=2)]
# Pieces of each field: (low, high), and one value that stands for the piece.
PIECES: dict[str, list[tuple[int, int]]] = {
    "protocol": [(6, 6), (17, 17), (1, 1), (47, 47), (262, 262), (314, 314)],
    "detail": [(0, 0), (1, 15), (16, 63), (64, 65535)],
    "fragment": [(0, 0), (1, 1)],
    "destination": [(0, 9), (10, (1 << 32) - 1), (1 << 32, SIX - 1), (SIX, TOPS["destination"])],
    "source": [(0, 4), (5, (1 << 32) - 1), (1 << 32, TOPS["source"])],
    "destination_port": [(0, 0), (1, 79), (80, 65535)],
    "source_port": [(0, 0), (1, 65535)],
    "destination_group": [(0, 7), (8, 65535)],
    "source_group": [(0, 0), (1, 65535)],
}
_RARE = {"detail": 0.75, "source_port": 0.8, "destination_group": 0.8, "source_group": 0.8, "fragment": 0.7}


def world() -> list[Packet]:
    """Return one packet for each combination of pieces that can exist; by the words of the model, not by its code."""
    found = []
    for values in itertools.product(*([low for low, _high in pieces] for pieces in PIECES.values())):
        packet = Packet(*values)
        number = packet.protocol % 256
        ported = number in (6, 17) and not packet.fragment
        top = 0 if packet.fragment else {6: 63, 1: 65535, 314: 65535}.get(packet.protocol, 63 if number == 6 else 0)
        if packet.detail > top or (not ported and (packet.destination_port or packet.source_port)):
            continue
        if packet.protocol < 256 and max(packet.destination, packet.source) >= 1 << 32:
            continue
        found.append(packet)
    return found


WORLD = world()


def tiny_box(choice: random.Random) -> Box:
    """Return a box of random pieces; most fields are left whole, but for the protocol: the world has no others."""
    sets = {"protocol": IntervalSet.of(*PIECES["protocol"])}
    for name, pieces in PIECES.items():
        if choice.random() >= _RARE.get(name, 0.4):
            sets[name] = IntervalSet.of(*choice.sample(pieces, choice.randint(1, len(pieces) - 1)))
    return Box(**sets)


def tiny_list(choice: random.Random, length: int, conditions: bool = False) -> FirstMatchList:
    """Return a random list; some entries have two boxes or, where asked for, a condition."""
    entries = [
        Entry(
            choice.random() < 0.5,
            tuple(tiny_box(choice) for _ in range(choice.choice((1, 1, 1, 2)))),
            condition=choice.choice(CONDITIONS) if conditions and choice.random() < 0.4 else "",
        )
        for _ in range(length)
    ]
    return FirstMatchList(tuple(entries), choice.random() < 0.3)


def masks_of(source: FirstMatchList) -> list[int]:
    """Return, for each entry, the packets of the world that its boxes hold (bit n: packet n), by plain comparison."""
    masks = []
    for entry in source.entries:
        mask = 0
        for box in entry.boxes:
            held = -1
            for place, values in enumerate(box.sets()):
                held &= sum(
                    bits
                    for value, bits in VALUES[place].items()
                    if any(low <= value <= high for low, high in values.pairs)
                )
            mask |= held
        masks.append(mask)
    return masks


def _values() -> list[dict[int, int]]:
    """Return, for each field, which packets of the world have each of its values (bit n: packet n)."""
    found: list[dict[int, int]] = [{} for _ in PIECES]
    for number, packet in enumerate(WORLD):
        for place, value in enumerate(packet.values()):
            found[place][value] = found[place].get(value, 0) | 1 << number
    return found


VALUES = _values()
ALL_BITS = (1 << len(WORLD)) - 1


def deciders(
    source: FirstMatchList, masks: list[int], way: dict[str, bool], skip: frozenset[int] = frozenset()
) -> list[int]:
    """Return the packets that each entry decides, the default's last; ``skip``: entries taken away."""
    left = ALL_BITS
    result = []
    for index, (entry, mask) in enumerate(zip(source.entries, masks, strict=True)):
        counts = index not in skip and (not entry.condition or way[entry.condition])
        here = mask & left if counts else 0
        left &= ~here
        result.append(here)
    return [*result, left]


def passed(source: FirstMatchList, masks: list[int], way: dict[str, bool], skip: frozenset[int] = frozenset()) -> int:
    """Return the packets that the list permits, by a walk from the top."""
    found = deciders(source, masks, way, skip)
    actions = [*(entry.permit for entry in source.entries), source.default_permit]
    return sum(bits for bits, permit in zip(found, actions, strict=True) if permit)
