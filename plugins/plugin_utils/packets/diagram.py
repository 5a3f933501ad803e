# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exact packet sets and decisions of first-match lists, on an interval decision diagram (facts/policy.md section 6).

Every set holds possible packets only (``model.possible_boxes``), so two sets with the same packets are the same number.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, TypeVar

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets import nodes as nd
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.building import (
    action_diagram,
    entry_diagram,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.enumeration import boxes_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.layout import Layout
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import (
    FIELDS,
    Box,
    FirstMatchList,
    Packet,
    possible_boxes,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.placing import refined
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.witness import ordinary_values

T = TypeVar("T")
TAGS = (FIELDS.index("destination_group"), FIELDS.index("source_group"))


class PacketSpace:
    """Where the sets of one job live. Take a fresh one for each job: nothing is ever forgotten in it.

    A mask with very many holes or a long list, once it turns up, cuts the address levels of the whole space (``layout``): sets made
    before go on to mean the same, they are moved when they are next used. ``possible``: the packets there are, where addresses are not
    written as themselves (``classify.Classifiers``).
    """

    def __init__(self, possible: Sequence[Box] | None = None) -> None:
        if possible is None:
            nodes, self._possible = _begun()
            self.nodes = nodes.copy()
        else:
            self.nodes = nd.Nodes()
            self._possible = _possible_in(self.nodes, possible)
        self._moves: list[tuple[nd.Nodes, Callable[[int], int]]] = []
        self._kept: dict[Hashable, Any] = {}

    def once(self, key: Hashable, made: Callable[[], T]) -> T:
        """Return what ``made`` returns, made once for a key in this space: for what costs much and depends on the key alone."""
        found: T | None = self._kept.get(key)
        if found is None:
            found = self._kept[key] = made()
        return found

    def make_room(self, boxes: Iterable[Box]) -> None:
        """Cut the address levels where masks of the boxes need it. Roots read from sets before are not good afterwards."""
        self._refine(self.nodes.layout.refined(boxes))

    def _refine(self, layout: Layout) -> None:
        if layout is not self.nodes.layout:
            old, (self.nodes, move) = self.nodes, refined(self.nodes, layout)
            self._possible = move(self._possible)
            self._moves.append((old, move))

    def make_room_for(self, *sources: FirstMatchList) -> None:
        """Do the same for the boxes of lists; long ones also get the cuts that make them fast."""
        boxes = [box for source in sources for entry in source.entries for box in entry.boxes]
        self._refine(self.nodes.layout.refined(boxes).quick(boxes))

    def moved(self, nodes: nd.Nodes, root: int) -> int:
        """Return the root in the present table of a diagram in one that the space has had."""
        for place, (old, move) in enumerate(self._moves, 1):
            if old is nodes:
                root = move(root)
                nodes = self._moves[place][0] if place < len(self._moves) else self.nodes
        return root

    def _set(self, root: int) -> PacketSet:
        return PacketSet(self, root)

    @property
    def empty(self) -> PacketSet:
        """The set without packets."""
        return self._set(nd.NOTHING)

    @property
    def everything(self) -> PacketSet:
        """The set of all possible packets."""
        return self._set(self._possible)

    def from_box(self, box: Box) -> PacketSet:
        """Return the possible packets of a box."""
        self.make_room((box,))
        return self._set(self.clipped(self.nodes.from_box(box)))

    def from_boxes(self, boxes: Iterable[Box]) -> PacketSet:
        """Return the possible packets of the union of boxes."""
        chosen = tuple(boxes)
        self.make_room(chosen)
        return self._set(self.clipped(self.nodes.balanced([self.nodes.from_box(box) for box in chosen])))

    def from_packet(self, packet: Packet) -> PacketSet:
        """Return the set of one packet."""
        return self.from_box(Box(*(IntervalSet.single(value) for value in packet.values())))

    def union(self, sets: Iterable[PacketSet]) -> PacketSet:
        """Return the union of many sets of this space, faster than one by one."""
        chosen = list(sets)
        return self._set(self.nodes.balanced([self.root_of(item) for item in chosen]))

    def clipped(self, root: int) -> int:
        """Return the diagram restricted to possible packets."""
        return self.nodes.both(self._possible, root)

    def root_of(self, packets: PacketSet) -> int:
        """Return the node of a set; ValueError when it belongs to another space."""
        if packets.space is not self:
            raise ValueError("packet sets of two spaces cannot be combined")
        return packets.root

    def __repr__(self) -> str:
        return f"PacketSpace({len(self.nodes.level)} nodes)"


@cache
def _begun() -> tuple[nd.Nodes, int]:
    """Return the table with which a space begins, and the node of all possible packets: hundreds of spaces begin in a run."""
    nodes = nd.Nodes()
    return nodes, _possible_in(nodes, possible_boxes())


def _possible_in(nodes: nd.Nodes, boxes: Iterable[Box]) -> int:
    return nodes.balanced([nodes.from_box(box) for box in boxes])


class PacketSet:
    """A set of packets. ``|``, ``&``, ``-``, ``^``, ``~``, ``==``, ``bool`` and ``in`` are exact."""

    __slots__ = ("_nodes", "_root", "space")

    def __init__(self, space: PacketSpace, root: int) -> None:
        self.space = space
        self._nodes = space.nodes
        self._root = root

    @property
    def root(self) -> int:
        """The node of the set in the present table of its space."""
        if self._nodes is not self.space.nodes:
            self._root = self.space.moved(self._nodes, self._root)
            self._nodes = self.space.nodes
        return self._root

    def __or__(self, other: PacketSet) -> PacketSet:
        return PacketSet(self.space, self.space.nodes.first(self.root, self.space.root_of(other)))

    def __and__(self, other: PacketSet) -> PacketSet:
        return PacketSet(self.space, self.space.nodes.both(self.root, self.space.root_of(other)))

    def __sub__(self, other: PacketSet) -> PacketSet:
        return PacketSet(self.space, self.space.nodes.without(self.root, self.space.root_of(other)))

    def __xor__(self, other: PacketSet) -> PacketSet:
        return (self - other) | (other - self)

    def __invert__(self) -> PacketSet:
        return self.space.everything - self

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PacketSet):
            return NotImplemented
        return self.root == self.space.root_of(other)

    def __hash__(self) -> int:
        return hash(id(self.space))  # the root may change

    @property
    def key(self) -> tuple[int, int]:
        """What tells this set from every other of its space, for ``PacketSpace.once``: good until an address level is cut."""
        root = self.root
        return id(self._nodes), root  # a table that was left is kept, so no other has its identity

    def __bool__(self) -> bool:
        return self.root != nd.NOTHING

    def __contains__(self, packet: object) -> bool:
        return isinstance(packet, Packet) and leaf(self.space.nodes, self.root, packet) == nd.MEMBER

    def __repr__(self) -> str:
        return f"PacketSet({self.root})"

    def is_subset_of(self, other: PacketSet) -> bool:
        """Return whether every packet of this set is in the other."""
        return not self - other

    def overlaps(self, other: PacketSet) -> bool:
        """Return whether the sets share a packet."""
        return bool(self & other)

    def boxes(self, limit: int | None = None) -> list[Box]:
        """Return disjoint boxes whose possible packets are exactly this set; at most ``limit`` of them (then a part of it).

        A box may hold impossible packets (UDP with flags), so that "all of IPv4" is one box; ``from_boxes`` gives the set back.
        """
        nodes = self.space.nodes
        return boxes_of(nodes, self.root, self.space.everything.root, limit)

    def witness(self) -> Packet | None:
        """Return one packet of the set, always the same for the same set, made of ordinary values where it can; None if empty."""
        if not self:
            return None
        return Packet(*ordinary_values(self.space.nodes, self.root))

    def count(self) -> int:
        """Return how many packets the set has; packets that differ only in their tags count once."""
        nodes = self.space.nodes
        levels = nodes.layout.levels
        root = self._without_tags()
        memory: dict[int, int] = {}

        def below(node: int, level: int) -> int:
            """Count in the fields from ``level`` on."""
            if node == nd.NOTHING:
                return 0
            here = nodes.level[node] if node >= 0 else len(levels)
            skipped = 1
            for index in range(level, here):
                if levels[index].field not in TAGS:
                    skipped *= levels[index].maximum + 1
            if node < 0:
                return skipped
            total = memory.get(node)
            if total is None:
                total = sum((high - low + 1) * below(child, here + 1) for low, high, child in nodes.ranges(node))
                memory[node] = total
            return total * skipped

        return below(root, 0)

    def _without_tags(self) -> int:
        nodes = self.space.nodes
        tagged = any(node >= 0 and nodes.field[nodes.level[node]] in TAGS for node in nodes.reachable(self.root))
        return self._projected({place for place in range(len(FIELDS)) if place not in TAGS}) if tagged else self.root

    def project(self, fields: Iterable[str]) -> PacketSet:
        """Return all possible packets that agree with some packet of this set in the fields named."""
        kept = {FIELDS.index(name) for name in fields}
        return PacketSet(self.space, self.space.clipped(self._projected(kept)))

    def _projected(self, kept: set[int]) -> int:
        nodes = self.space.nodes
        memory: dict[int, int] = {}

        def walk(node: int) -> int:
            if node < 0:
                return node
            found = memory.get(node)
            if found is None:
                children = [walk(child) for child in nodes.children[node]]
                level = nodes.level[node]
                plain = nodes.field[level] in kept
                found = nodes.node(level, nodes.bounds[node], children) if plain else nodes.balanced(children)
                memory[node] = found
            return found

        return walk(self.root)

    def values(self, field: str) -> IntervalSet:
        """Return every value that the field takes in some packet of the set; SW1104 where these are too many ranges."""
        nodes = self.space.nodes
        levels = nodes.layout.of_field[FIELDS.index(field)]
        projected = self.project([field])
        found = IntervalSet()
        if len(levels) > 1:
            for box in projected.boxes():
                found = found.union(getattr(box, field))
            return found
        # Possible packets link the fields, so the values are collected where the field is tested in the whole diagram.
        for node in nodes.reachable(projected.root):
            if node >= 0 and nodes.level[node] == levels[0]:
                pairs = [(low, high) for low, high, child in nodes.ranges(node) if child != nd.NOTHING]
                found = found.union(IntervalSet.of(*pairs))
        return found if found else (IntervalSet.everything(field) if projected else found)


class Decisions:
    """Which entry of a list decides each packet. Index ``len(entries)`` stands for the list's default.

    Where an entry with a condition may decide, a packet has several: those of the conditions in order, then the one that decides
    where none of them holds.
    """

    def __init__(self, space: PacketSpace, source: FirstMatchList) -> None:
        self.space = space
        self.source = source
        space.make_room_for(source)
        self._diagram = PacketSet(space, space.clipped(entry_diagram(space.nodes, source)))

    @property
    def root(self) -> int:
        """The diagram, in the present table of its space."""
        return self._diagram.root

    def entry_of(self, packet: Packet) -> int:
        """Return the index of the deciding entry; ValueError where a condition decides, and for a packet that cannot exist."""
        found = self.entries_of(packet)
        if len(found) > 1:
            raise ValueError(f"conditions decide which of the entries {', '.join(map(str, found))} matches")
        return found[0]

    def entries_of(self, packet: Packet) -> tuple[int, ...]:
        """Return the indices of the entries that may decide the packet, in order; ValueError for one that cannot exist."""
        found = leaf(self.space.nodes, self.root, packet)
        if found == nd.NOTHING:
            raise ValueError(f"no such packet can exist: {packet}")
        return self._indices(found)

    def _indices(self, terminal: int) -> tuple[int, ...]:
        return tuple(nd.FIRST_ENTRY - end for end in self.space.nodes.outcomes(terminal))

    def permits(self, packet: Packet) -> bool | None:
        """Return whether the list permits the packet; None where that depends on a condition."""
        verdicts = {self.permit_of(index) for index in self.entries_of(packet)}
        return verdicts.pop() if len(verdicts) == 1 else None

    def permit_of(self, index: int) -> bool:
        """Return the action of an entry, or of the default."""
        return self.source.entries[index].permit if index < len(self.source.entries) else self.source.default_permit

    @cached_property
    def reached(self) -> frozenset[int]:
        """The indices that decide at least one packet, for conditional entries: that may."""
        found = self.space.nodes.reachable(self.root)
        return frozenset(index for node in found if node <= nd.FIRST_ENTRY for index in self._indices(node))

    def packets_of(self, index: int) -> PacketSet:
        """Return the packets that the entry decides, where conditions stand: may decide."""
        wanted = nd.FIRST_ENTRY - index
        nodes = self.space.nodes
        return PacketSet(self.space, nodes.members(nd.MEMBER, self.root, lambda end: wanted in nodes.outcomes(end)))

    def within(self, packets: PacketSet) -> Local:
        """Return which entries decide, or with conditions may decide, the packets of a set."""
        nodes = self.space.nodes
        local = nodes.both(self.space.root_of(packets), self.root)
        ends = [node for node in nodes.reachable(local) if node <= nd.FIRST_ENTRY]
        return Local(nodes, local, tuple(sorted({index for end in ends for index in self._indices(end)})))

    def within_boxes(self, boxes: Iterable[Box]) -> Local:
        """Return the same for the packets of boxes that hold possible packets only, without building their diagram."""
        chosen = tuple(boxes)
        self.space.make_room(chosen)
        nodes = self.space.nodes
        regions = tuple(nodes.from_box(box) for box in chosen)
        ends = {end for region in regions for end in nodes.ends_within(self.root, region)}
        found = {index for end in ends if end <= nd.FIRST_ENTRY for index in self._indices(end)}
        return Local(nodes, self.root, tuple(sorted(found)), regions)


@dataclass(frozen=True)
class Local:
    """The entries that decide some packets: ``indices`` rising, and a witness of each on demand.

    ``regions``: the packets are those of the diagram inside these sets; none: all that it decides.
    """

    nodes: nd.Nodes
    root: int
    indices: tuple[int, ...]
    regions: tuple[int, ...] = ()

    def witness(self, index: int) -> Packet:
        """Return one of the packets that the entry decides; ``index`` is one of ``indices``."""
        wanted = nd.FIRST_ENTRY - index

        def is_wanted(end: int) -> bool:
            return wanted in self.nodes.outcomes(end)

        for region in self.regions:
            if any(is_wanted(end) for end in self.nodes.ends_within(self.root, region)):
                return Packet(*ordinary_values(self.nodes, self.root, is_wanted, region))
        return Packet(*ordinary_values(self.nodes, self.root, is_wanted))


def leaf(nodes: nd.Nodes, root: int, packet: Packet) -> int:
    """Return the terminal that the packet leads to."""
    digits = nodes.layout.digits(packet.values())
    node = root
    while node >= 0:
        bounds = nodes.bounds[node]
        index = bisect_left(bounds, digits[nodes.level[node]])
        if index == len(bounds):
            return nd.NOTHING
        node = nodes.children[node][index]
    return node


@dataclass(frozen=True)
class Verdicts:
    """What a list surely permits, and what depends on conditions that are not modelled; everything else it surely denies.

    ``diagram`` is that of both, with chains as terminals; without conditions the permitted packets.
    """

    permitted: PacketSet
    uncertain: PacketSet
    diagram: PacketSet

    @property
    def maybe_permitted(self) -> PacketSet:
        """The packets that are not surely denied."""
        return self.permitted | self.uncertain


def verdicts(space: PacketSpace, source: FirstMatchList) -> Verdicts:
    """Return what the list permits, surely or under conditions."""
    space.make_room_for(source)
    return verdicts_as_is(space, source)


def verdicts_as_is(space: PacketSpace, source: FirstMatchList) -> Verdicts:
    """Return the same in the present layout of the space, which must have room for the list: for parts of long lists."""
    nodes = space.nodes
    whole, everything = action_diagram(nodes, source), space.everything.root
    passed = PacketSet(space, nodes.members(everything, whole, lambda end: end == nd.MEMBER))
    if not source.is_conditional:
        return Verdicts(passed, space.empty, passed)
    # Both outcomes occur in every chain that is left at the end of a list: others were simplified away.
    open_ = nodes.members(everything, whole, lambda end: end <= nd.FIRST_CHAIN)
    return Verdicts(passed, PacketSet(space, open_), PacketSet(space, space.clipped(whole)))


def permitted(space: PacketSpace, source: FirstMatchList) -> PacketSet:
    """Return the packets that the list surely permits. Not the same as not denied: see ``verdicts`` where lists have conditions."""
    return verdicts(space, source).permitted


def decisions(space: PacketSpace, source: FirstMatchList) -> Decisions:
    """Return which entry of the list decides each packet."""
    return Decisions(space, source)
