# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Equality of two first-match lists, and the exact packets in which they differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import (
    PacketSet,
    PacketSpace,
    permitted,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Box, Entry, FirstMatchList

# Below this many entries, or above this share or number of changed ones, both lists are built whole.
LOCAL_FROM = 64
LOCAL_SHARE = 0.2
LOCAL_LIMIT = 100


@dataclass(frozen=True)
class Comparison:
    """How two lists differ: the packets that only one of them permits. Exact for all packets."""

    only_in_first: PacketSet
    only_in_second: PacketSet

    @property
    def equal(self) -> bool:
        """Whether both lists permit the same packets."""
        return not self.only_in_first and not self.only_in_second

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
    if first.default_permit == second.default_permit and max(len(first.entries), len(second.entries)) >= LOCAL_FROM:
        changed = _changed_entries(first.entries, second.entries)
        if len(changed) <= min(LOCAL_LIMIT, LOCAL_SHARE * max(len(first.entries), len(second.entries))):
            return _compare_inside([box for entry in changed for box in entry.boxes], first, second, space)
    return _difference(permitted(space, first), permitted(space, second))


def _difference(before: PacketSet, after: PacketSet) -> Comparison:
    return Comparison(before - after, after - before)


def _changed_entries(first: Sequence[Entry], second: Sequence[Entry]) -> list[Entry]:
    """Return the entries outside one common subsequence of the two lists (labels and numbers do not count)."""
    known: dict[tuple[bool, tuple[Box, ...]], int] = {}
    ids = [[known.setdefault((entry.permit, entry.boxes), len(known)) for entry in part] for part in (first, second)]
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
    only_first, only_second = [], []
    for box in dict.fromkeys(suspects):
        region = space.from_box(box)
        found = _difference(
            permitted(space, clipped_list(first, box)) & region, permitted(space, clipped_list(second, box)) & region
        )
        only_first.append(found.only_in_first)
        only_second.append(found.only_in_second)
    return Comparison(space.union(only_first), space.union(only_second))


def clipped_list(source: FirstMatchList, region: Box) -> FirstMatchList:
    """Return a list that decides like ``source`` inside the region: entries that miss it, or come after a full cover, are left out."""
    entries: list[Entry] = []
    for entry in source.entries:
        boxes = tuple(box.intersect(region) for box in entry.boxes if box.overlaps(region))
        if boxes:
            entries.append(Entry(entry.permit, boxes, entry.label, entry.number))
            if any(box.covers(region) for box in entry.boxes):
                break
    return FirstMatchList(tuple(entries), source.default_permit, source.name)
