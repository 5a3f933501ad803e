"""The search for removable entries by set algebra, one entry after the other: slow, and what the fast one is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.anomalies import REMOVABLE, Anomaly
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.compare import compare
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import (
    Decisions,
    PacketSpace,
    permitted,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Box, Entry, FirstMatchList


class _Hulls:
    """The smallest ranges of addresses that hold each entry: a cheap first look before boxes are compared."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._rows = [(index, *_hull(entry.boxes)) for index, entry in enumerate(entries) if _alive(entry.boxes)]
        self._hull = {row[0]: row[1:] for row in self._rows}

    def near(self, index: int) -> list[int]:
        """Return the other entries whose ranges overlap those of the entry, rising."""
        low, high, left, right = self._hull.get(index, (0, 0, 0, 0))
        return [i for i, a, b, c, d in self._rows if a <= high and b >= low and c <= right and d >= left and i != index]


def _alive(boxes: Sequence[Box]) -> bool:
    return any(not box.is_empty for box in boxes)


def _hull(boxes: Sequence[Box]) -> tuple[int, int, int, int]:
    full = [box for box in boxes if not box.is_empty]
    return (
        min(box.destination.hull[0] for box in full), max(box.destination.hull[1] for box in full),
        min(box.source.hull[0] for box in full), max(box.source.hull[1] for box in full),
    )  # fmt: skip


def removable_entries(source: FirstMatchList, skip: Iterable[int], space: PacketSpace) -> list[Anomaly]:
    """Return the entries whose removal changes nothing, found from the bottom up, so that all may be removed together.

    ``skip`` are indices taken as removed already (the dead ones).
    """
    removed = set(skip)
    hulls = _Hulls(source.entries)
    result = []
    for index in range(len(source.entries) - 1, -1, -1):
        if index in removed:
            continue
        entry = source.entries[index]
        near = [other for other in hulls.near(index) if other not in removed]
        near = [other for other in near if _touch(source.entries[other].boxes, entry.boxes)]
        later = [other for other in near if other > index]
        # Cheap refusal: nothing below decides the same way, so the entry must matter.
        if source.default_permit != entry.permit and not any(source.entries[i].permit == entry.permit for i in later):
            continue
        if entry.condition or any(source.entries[other].condition for other in near):
            anomaly = _conditional_removable(source, index, near, space)
            if anomaly:
                result.append(anomaly)
                removed.add(index)
            continue
        earlier = [source.entries[other] for other in near if other < index]
        own = space.from_boxes(entry.boxes) - space.from_boxes(box for item in earlier for box in item.boxes)
        below = FirstMatchList(tuple(source.entries[other] for other in later), source.default_permit)
        passed = permitted(space, below)
        if own and (own.is_subset_of(passed) if entry.permit else not own & passed):
            takers = Decisions(space, below).within(own)
            covering = tuple(later[place] if place < len(later) else len(source.entries) for place in takers.indices)
            if index == len(source.entries) - 1 and covering == (len(source.entries),):
                continue  # the default written out: good practice, not a fault
            result.append(Anomaly(REMOVABLE, index, entry, covering, own.witness()))
            removed.add(index)
    return result


def _conditional_removable(
    source: FirstMatchList, index: int, near: Sequence[int], space: PacketSpace
) -> Anomaly | None:
    """Return the anomaly where conditions are about and the list means the same without the entry, whatever they say."""
    entry = source.entries[index]
    if index == len(source.entries) - 1 and not entry.condition and entry.permit == source.default_permit:
        return None  # the default written out: good practice, not a fault
    places = sorted([*near, index])
    whole = FirstMatchList(tuple(source.entries[other] for other in places), source.default_permit)
    rest = FirstMatchList(tuple(source.entries[other] for other in near), source.default_permit)
    if not compare(whole, rest, space).equal:
        return None
    own = Decisions(space, whole).packets_of(places.index(index))
    takers = Decisions(space, rest).within(own).indices
    covering = tuple(near[place] if place < len(near) else len(source.entries) for place in takers)
    later = tuple(other for other in covering if other > index)
    return Anomaly(REMOVABLE, index, entry, later, own.witness())


def _touch(first: Sequence[Box], second: Sequence[Box]) -> bool:
    return any(mine.overlaps(yours) for mine in first for yours in second)
