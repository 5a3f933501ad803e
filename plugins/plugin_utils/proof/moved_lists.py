# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of a rollout in which devices move: versions, what each sees with its ends as before or as planned, what goes together."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import pieces_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import addresses_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSet, PacketSpace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Box
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.changes import Key
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.conversations import (
    UNPRIVILEGED,
    ConversationBoxes,
    conversation_boxes,
    rule_boxes,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.lines import touching
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.moving import (
    CARRIERS,
    NEVER,
    NEW,
    OLD,
    SESSION,
    START,
    Move,
    Rolled,
    Version,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.openers import answered_boxes
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.points import (
    FAMILY_PROTOCOLS,
    enforces,
    judges_icmp_answers,
    passed_sets,
    visible,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.versions import same_list


@dataclass
class MovedLists:
    """The lists of one rollout. What is asked for often is kept."""

    rolled: Rolled
    space: PacketSpace = field(default_factory=PacketSpace)
    _views: dict[tuple[int, int, int, bool], PacketSet] = field(default_factory=dict)
    _passes: dict[tuple[int, bool], PacketSet] = field(default_factory=dict)
    _absent: dict[tuple[int, tuple[tuple[str, int], ...], bool], PacketSet] = field(default_factory=dict)
    _away: dict[tuple[str, int, int, int, bool], PacketSet] = field(default_factory=dict)
    _working: dict[tuple[int, int, int], PacketSet] = field(default_factory=dict)

    @cached_property
    def versions(self) -> dict[Key, tuple[Version, ...]]:
        """Every list with its versions; one that is not in force at an end has none there."""
        old = {(item.point, item.name): item for item in self.rolled.old_lists}
        new = {(item.point, item.name): item for item in self.rolled.new_lists}
        made: dict[Key, tuple[Version, ...]] = {}
        for key in sorted(old.keys() | new.keys()):
            one, two = old.get(key), new.get(key)
            if one and two and same_list(one, two):
                made[key] = (Version(two, START, NEVER, None),)
                continue
            begins, ends = self.times_of(key)
            found = [Version(one, START, ends, OLD)] if one else []
            made[key] = (*found, *([Version(two, begins, NEVER, NEW)] if two else []))
        return made

    def times_of(self, key: Key) -> tuple[int, int]:
        """Return when a list begins to be new and when it is new everywhere; where no step says so it may be either at any time."""
        return self.rolled.times.get(key, (START, NEVER))

    def _site(self, listing: PointList, state: int) -> Site:
        return self.rolled.after if state == NEW else self.rolled.before.get(listing.kind, self.rolled.after)

    def _boxes(self, listing: PointList, sender: int, receiver: int, surely: bool) -> list[Box]:
        return visible(self._site(listing, sender), listing, surely, self._site(listing, receiver))

    def view(self, listing: PointList, sender: int, receiver: int, surely: bool) -> PacketSet:
        """Return the packets that a list sees where senders and receivers are as before or as planned."""
        key = (id(listing), sender, receiver if listing.kind == "sgacl" else sender, surely)
        if key not in self._views:
            self._views[key] = self.space.from_boxes(self._boxes(listing, sender, receiver, surely))
        return self._views[key]

    def passes(self, listing: PointList, surely: bool) -> PacketSet:
        """Return what a list surely passes, or may pass."""
        key = (id(listing), surely)
        if key not in self._passes:
            if enforces(listing):
                text = listing if pieces_of(listing) is None else touching(listing, self._asked_of(listing))
                found = passed_sets(self.space, text)
                self._passes[id(listing), True], self._passes[id(listing), False] = found
            else:
                self._passes[key] = self.space.everything
        return self._passes[key]

    def _asked_of(self, listing: PointList) -> list[Box]:
        return [*self.asked, *answered_boxes(self.asked)] if judges_icmp_answers(listing) else self.asked

    @cached_property
    def _here(self) -> dict[int, IntervalSet]:
        """The addresses of devices that move, by family."""
        texts = [text for move in self.rolled.moves for text in move.addresses]
        return {family: addresses_of(texts, family) for family in FAMILY_PROTOCOLS}

    @cached_property
    def _moving_boxes(self) -> list[Box]:
        """The packets from and to devices that move."""
        found = []
        for family, protocols in FAMILY_PROTOCOLS.items():
            if here := self._here[family]:
                found += [Box(protocol=protocols, source=here), Box(protocol=protocols, destination=here)]
        return found

    @cached_property
    def asked(self) -> list[Box]:
        """Every opener that the proof asks about."""
        site = self.rolled.after
        boxes = [box for rule in site.rules() for box in self._near(rule_boxes(site, rule, UNPRIVILEGED))]
        for item in site.guardrails:
            boxes += self._near(conversation_boxes(site, item.client, item.server, item.services))
        return list(dict.fromkeys(boxes))

    def _near(self, conversations: ConversationBoxes) -> list[Box]:
        """Return those openers' boxes that may have a moving device at an end."""
        return [box for box in conversations.forward if any(box.overlaps(other) for other in self._moving_boxes)]

    def _alone(self, boxes: Sequence[Box]) -> PacketSet:
        """What moving devices would say to themselves in these boxes: its two ends are in one state, and no list sees it."""
        both = [box.source.intersect(box.destination) for box in boxes]
        found = []
        for family, protocols in FAMILY_PROTOCOLS.items():
            # On a large site all that move are too many to take out of each rule's packets.
            if any(values and values.overlaps(self._here[family]) for values in both):
                for here in self._each[family]:
                    if any(values.overlaps(here) for values in both):
                        found.append(Box(protocol=protocols, source=here, destination=here))
        return self.space.from_boxes(found)

    @cached_property
    def _each(self) -> dict[int, list[IntervalSet]]:
        """The addresses of each device that moves, by family."""
        return {
            family: [here for move in self.rolled.moves if (here := addresses_of(move.addresses, family))]
            for family in FAMILY_PROTOCOLS
        }

    def openers(self, conversations: ConversationBoxes) -> PacketSet:
        """Return the openers that have a moving device at an end, and another one at the other."""
        near = self._near(conversations)
        boxes = []
        for box in near:
            for family, protocols in FAMILY_PROTOCOLS.items():
                own, here = box.protocol.intersect(protocols), self._here[family]
                if own and here:
                    boxes.append(box.replace(protocol=own, source=box.source.intersect(here)))
                    boxes.append(box.replace(protocol=own, destination=box.destination.intersect(here)))
        found = self.space.from_boxes([box for box in boxes if not box.is_empty])
        return found - self._alone(near)

    # -- what goes together in time

    def holds(self, move: Move, state: int, kind: str = "") -> tuple[int, int]:
        """Return when a device may be in a state; on the way back a session may be as planned until the end, since nothing takes it back.

        Its downloadable list (``kind`` dacl) it took when it moved, in a text of that time or later.
        """
        first, last = move.holds(state)
        late = self.rolled.back and move.carrier == SESSION and state == NEW and kind != "dacl"
        return (START, last) if late else (first, last)

    def of(self, moves: Sequence[Move], *, receiver: bool) -> PacketSet:
        """Return the packets to (``receiver``) or from some of the devices that move."""
        found = []
        for family, protocols in FAMILY_PROTOCOLS.items():
            here = addresses_of((text for move in moves for text in move.addresses), family)
            if here:
                found.append(
                    Box(protocol=protocols, destination=here) if receiver else Box(protocol=protocols, source=here)
                )
        return self.space.from_boxes(found)

    def untimely(self, kind: str, state: int, since: int, until: int, *, receiver: bool) -> PacketSet:
        """Return the packets of devices that are not in a state while a version of a list (from ``since`` to ``until``) is in force."""
        carrier = CARRIERS[kind]
        key = (kind, state, since, until, receiver)
        if key not in self._away:
            away = []
            for move in self.rolled.moves:
                if move.carrier == carrier:
                    first, last = self.holds(move, state, kind)
                    if kind == "dacl" and state == OLD:
                        last = min(
                            last, move.begins
                        )  # a session takes another text only when it authenticates, and then moves
                    if first > until or last < since:
                        away.append(move)
            self._away[key] = self.of(away, receiver=receiver)
        return self._away[key]

    def away(self, at: int, states: Mapping[str, int], *, receiver: bool) -> PacketSet:
        """Return the packets of devices that cannot be in these states, by carrier, at a moment."""
        key = (at, tuple(sorted(states.items())), receiver)
        if key not in self._absent:
            gone = []
            for move in self.rolled.moves:
                first, last = self.holds(move, states[move.carrier])
                if not first <= at <= last:
                    gone.append(move)
            self._absent[key] = self.of(gone, receiver=receiver)
        return self._absent[key]

    @cached_property
    def not_before(self) -> dict[tuple[int, int], PacketSet]:
        """For a cell and unequal states of its ends: the packets between devices of which one has surely moved when the other begins to."""
        found: dict[tuple[int, int], PacketSet] = {}
        movers = [move for move in self.rolled.moves if move.carrier == SESSION and not self.rolled.back]
        for states in ((NEW, OLD), (OLD, NEW)):
            boxes = []
            for last in sorted({move.ends for move in movers if move.ends != NEVER}):
                early = [move for move in movers if move.ends == last]
                late = [move for move in movers if move.begins > last]
                senders, receivers = (late, early) if states[0] == NEW else (early, late)
                for family, protocols in FAMILY_PROTOCOLS.items():
                    one, two = (
                        addresses_of((text for move in part for text in move.addresses), family)
                        for part in (senders, receivers)
                    )
                    if one and two:
                        boxes.append(Box(protocol=protocols, source=one, destination=two))
            found[states] = self.space.from_boxes(boxes)
        return found

    # -- which lists, and when

    def relevant(self, openers: Sequence[Box]) -> Iterator[tuple[Key, tuple[Version, ...]]]:
        """Yield the lists that may see one of the openers or its answer, whatever the state of its ends."""
        near = [*openers, *(box.replace(source=box.destination, destination=box.source) for box in openers)]
        pairs = [(box.source, box.destination) for box in near]
        keys, near_to = self._by_source
        for number in sorted({number for source, _two in pairs for number in near_to.at(source)}):
            key = keys[number]
            versions = self.versions[key]
            if any(one.overlaps(s) and two.overlaps(d) for one, two in self._ends[key] for s, d in pairs):
                yield key, versions

    @cached_property
    def _by_source(self) -> tuple[list[Key], _Places]:
        """The lists, and their places by what they may see of sources: asked for every rule, on sites with thousands of both."""
        keys = list(self.versions)
        return keys, _Places([[source for source, _two in self._ends[key]] for key in keys])

    @cached_property
    def _ends(self) -> dict[Key, list[tuple[IntervalSet, IntervalSet]]]:
        """Sources and destinations of what each list may see in any state."""
        found = {}
        for key, versions in self.versions.items():
            boxes = [
                box
                for version in versions
                for sender, receiver in product((OLD, NEW), repeat=2)
                for box in self._boxes(version.listing, sender, receiver, surely=False)
            ]
            found[key] = list(dict.fromkeys((box.source, box.destination) for box in boxes))
        return found

    @cached_property
    def moments(self) -> list[int]:
        """Return one moment for each stretch of the rollout in which the same versions and states are possible."""
        ends = {version.until + 1 for found in self.versions.values() for version in found if version.until != NEVER}
        ends |= {version.since for found in self.versions.values() for version in found}
        ends |= {move.begins for move in self.rolled.moves}
        ends |= {move.ends + 1 for move in self.rolled.moves if move.ends != NEVER}
        return sorted(ends | {START})

    def apart(self, key: Key) -> bool:
        """Return whether ports or sessions of a list may have different versions for longer than a swap."""
        begins, ends = self.times_of(key)
        return begins < ends

    def may_lack(self, key: Key, version: Version, at: int) -> bool:
        """Return whether a list that is in force before or after alone may be absent at a moment."""
        begins, ends = self.times_of(key)
        return version.number is not None and (at <= ends if version.number == NEW else at >= begins)


class _Places:
    """Which numbers have a set of values that may overlap another: by the stretches between the ends of all intervals."""

    WIDE = 64  # stretches; an interval over more of them is always named

    def __init__(self, sets: Sequence[Sequence[IntervalSet]]) -> None:
        pairs = [(number, low, high) for number, own in enumerate(sets) for values in own for low, high in values.pairs]
        self._cuts = sorted({low for _n, low, _high in pairs} | {high + 1 for _n, _low, high in pairs})
        self._at: list[set[int]] = [set() for _cut in self._cuts]
        self._always: set[int] = set()
        for number, low, high in pairs:
            first, last = bisect_left(self._cuts, low), bisect_left(self._cuts, high + 1)
            if last - first > self.WIDE:
                self._always.add(number)
            else:
                for place in range(first, last):
                    self._at[place].add(number)

    def at(self, values: IntervalSet) -> set[int]:
        """Return the numbers that have a value among these, and perhaps others."""
        found = set(self._always)
        for low, high in values.pairs:
            first, last = max(bisect_right(self._cuts, low) - 1, 0), bisect_left(self._cuts, high + 1)
            found.update(*self._at[first:last])
        return found
