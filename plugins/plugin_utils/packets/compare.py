# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Equality of two first-match lists, and the exact packets in which they differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import (
    PacketSet,
    PacketSpace,
    Verdicts,
    verdicts,
    verdicts_as_is,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Box, Entry, FirstMatchList

# Below this many entries, or above this share or number of changed ones, both lists are built whole.
LOCAL_FROM = 64
LOCAL_SHARE = 0.2
LOCAL_LIMIT = 100


@dataclass(frozen=True)
class Comparison:
    """How two lists differ. Exact for all packets.

    ``only_in_first``, ``only_in_second``: packets that one list surely permits and the other surely denies. ``not_modelled``: packets
    whose verdict depends on a condition in one list and is not the same, or depends otherwise, in the other.
    """

    only_in_first: PacketSet
    only_in_second: PacketSet
    not_modelled: PacketSet

    @property
    def equal(self) -> bool:
        """Whether both lists permit the same packets, whatever the conditions say."""
        return not self.only_in_first and not self.only_in_second and not self.not_modelled

    @property
    def newly_permitted(self) -> PacketSet:
        """Where the first list is the state before and the second the state after: what the change opens."""
        return self.only_in_second

    @property
    def newly_denied(self) -> PacketSet:
        """Where the first list is the state before and the second the state after: what the change cuts off."""
        return self.only_in_first


def compare(first: FirstMatchList, second: FirstMatchList, space: PacketSpace | None = None) -> Comparison:
    """Return the exact difference of two lists.

    Long lists that share most entries in the same order are compared only inside the entries that differ: a packet that
    matches none of those is decided by the same common entry in both (facts/policy.md section 6 items 7 and 8).
    """
    space = space or PacketSpace()
    space.make_room(box for source in (first, second) for entry in source.entries for box in entry.boxes)
    if first.default_permit == second.default_permit and max(len(first.entries), len(second.entries)) >= LOCAL_FROM:
        changed = _changed_entries(first.entries, second.entries)
        if len(changed) <= min(LOCAL_LIMIT, LOCAL_SHARE * max(len(first.entries), len(second.entries))):
            return _compare_inside([box for entry in changed for box in entry.boxes], first, second, space)
    space.make_room_for(first, second)
    return _difference(verdicts(space, first), verdicts(space, second))


def _difference(before: Verdicts, after: Verdicts) -> Comparison:
    a, b = before.permitted, after.permitted
    open_ = before.uncertain | after.uncertain
    if not open_:
        return Comparison(a - b, b - a, open_)
    space = open_.space
    unlike = PacketSet(space, space.nodes.differing(before.diagram.root, after.diagram.root))
    return Comparison(a - b - after.uncertain, b - a - before.uncertain, open_ & unlike)


def _changed_entries(first: Sequence[Entry], second: Sequence[Entry]) -> list[Entry]:
    """Return the entries outside one common subsequence of the two lists (labels and numbers do not count)."""
    known: dict[Any, int] = {}
    seen: dict[int, int] = {}  # the same object needs no second look; both lists keep theirs alive
    ids: list[list[int]] = []
    for part in (first, second):
        numbers = []
        for entry in part:
            number = seen.get(id(entry))
            if number is None:
                key = (entry.permit, entry.condition, tuple([tuple([s.key for s in b.sets()]) for b in entry.boxes]))
                number = seen[id(entry)] = known.setdefault(key, len(known))
            numbers.append(number)
        ids.append(numbers)
    start = 0
    while start < min(len(ids[0]), len(ids[1])) and ids[0][start] == ids[1][start]:
        start += 1
    end = 0
    while end < min(len(ids[0]), len(ids[1])) - start and ids[0][-1 - end] == ids[1][-1 - end]:
        end += 1
    middle = [ids[0][start : len(ids[0]) - end], ids[1][start : len(ids[1]) - end]]
    changed: list[Entry] = []
    for tag, i, j, k, m in SequenceMatcher(None, middle[0], middle[1], autojunk=False).get_opcodes():
        if tag != "equal":
            changed += first[start + i : start + j]
            changed += second[start + k : start + m]
    return changed


def _compare_inside(
    suspects: Iterable[Box], first: FirstMatchList, second: FirstMatchList, space: PacketSpace
) -> Comparison:
    parts: list[Comparison] = []
    near = _Near(first), _Near(second)
    for box in dict.fromkeys(suspects):
        region = space.from_box(box)
        lists = [clipped_list(item.around(box), box) for item in near]
        found = _difference(verdicts_as_is(space, lists[0]), verdicts_as_is(space, lists[1]))
        parts.append(
            Comparison(found.only_in_first & region, found.only_in_second & region, found.not_modelled & region)
        )
    return Comparison(
        space.union(part.only_in_first for part in parts),
        space.union(part.only_in_second for part in parts),
        space.union(part.not_modelled for part in parts),
    )


class _Near:
    """A list with the ranges of addresses that hold each entry: a cheap first look before boxes are compared."""

    def __init__(self, source: FirstMatchList) -> None:
        self._source = source
        self._hulls = [_hull(entry.boxes) for entry in source.entries]

    def around(self, box: Box) -> FirstMatchList:
        """Return the list without the entries whose addresses miss those of the box."""
        if box.is_empty:
            return replace(self._source, entries=())
        low, high, left, right = _hull((box,))
        entries = self._source.entries
        near = [
            entries[i]
            for i, (a, b, c, d) in enumerate(self._hulls)
            if a <= high and b >= low and c <= right and d >= left
        ]
        return replace(self._source, entries=tuple(near))


def _hull(boxes: Sequence[Box]) -> tuple[int, int, int, int]:
    if len(boxes) == 1:
        one, two = boxes[0].destination, boxes[0].source
        return (*one.hull, *two.hull) if one and two else _NOWHERE
    hulls = [_hull((box,)) for box in boxes]
    if not hulls:
        return _NOWHERE
    return (
        min(hull[0] for hull in hulls), max(hull[1] for hull in hulls), min(hull[2] for hull in hulls),
        max(hull[3] for hull in hulls),
    )  # fmt: skip


_NOWHERE = (1 << 129, -1, 1 << 129, -1)


def clipped_list(source: FirstMatchList, region: Box) -> FirstMatchList:
    """Return a list that decides like ``source`` inside the region: entries that miss it, or come after a full cover, are left out."""
    entries: list[Entry] = []
    for entry in source.entries:
        boxes = tuple(box.intersect(region) for box in entry.boxes if box.overlaps(region))
        if boxes:
            entries.append(replace(entry, boxes=boxes))
            if not entry.condition and any(box.covers(region) for box in entry.boxes):
                break
    return FirstMatchList(tuple(entries), source.default_permit, source.name)
