# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""End to end: what every rule permits passes every list on its way, both directions, for all packets.

Proved list by list: for one list the openers and answers of all rules whose packets it may see are united, and what of that union it
may stop has to be empty. Only where it is not are the rules looked at one by one, to name those that are cut, with a packet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import (
    addresses_of_name,
    member_addresses,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Rule, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.conversations import (
    UNPRIVILEGED,
    ConversationBoxes,
    conversation_boxes,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.points import enforces, list_sets

ACCESS = ("dacl", "port_acl")
SPACE_LISTS = 64  # lists proved in one space of packets before a new one is begun: nodes are never freed


@dataclass(frozen=True)
class Cut:
    """A rule that a list may stop: where, in which direction, and one packet that shows it."""

    rule: str
    point: str
    list_name: str
    direction: str
    packet: Packet

    @property
    def witness(self) -> str:
        """The packet as text."""
        return self.packet.describe()

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for results and reports."""
        return {
            "rule": self.rule,
            "point": self.point,
            "list": self.list_name,
            "direction": self.direction,
            "witness": self.witness,
        }


@dataclass(frozen=True)
class EndToEnd:
    """Which rules pass everywhere. ``empty`` rules have no addresses on one side, so that nothing can pass or be stopped."""

    proved: tuple[str, ...]
    empty: tuple[str, ...]
    cuts: tuple[Cut, ...]

    def cut_of(self, rule: str) -> Cut | None:
        """Return the first place where a rule is cut, or None."""
        return next((cut for cut in self.cuts if cut.rule == rule), None)


@dataclass
class Proved:
    """What earlier proofs found, so that a list that is the same in another situation is not proved again."""

    lists: dict[tuple[str, str], tuple[Any, ...]] = field(default_factory=dict)
    results: dict[tuple[str, str], tuple[Cut, ...]] = field(default_factory=dict)


def prove_rules(
    site: Site, lists: Sequence[PointList], rules: Iterable[Rule] | None = None, known: Proved | None = None
) -> EndToEnd:
    """Return for each rule (default: all of the site) whether its conversations pass every list that may see them.

    Openers come from client ports 1024 and above where the service does not pin them. A list is counted wherever it *may* see the
    packets, which is more than the lists on the way: what is proved holds whatever path the network takes. ``known`` carries results
    from one situation to the next.
    """
    needs = _Needs(site, list(site.rules()) if rules is None else list(rules))
    cuts: list[Cut] = []
    space = PacketSpace()
    for number, listing in enumerate(item for item in lists if enforces(item)):
        if number and number % SPACE_LISTS == 0:
            space = PacketSpace()
        forward, reply = needs.at(listing)
        if not forward and not reply:
            continue
        key, state = (listing.point, listing.name), needs.state(listing, forward, reply)
        if known is not None and known.lists.get(key) == state:
            cuts += known.results[key]
            continue
        found = tuple(_cuts_at(space, site, listing, needs, forward, reply))
        cuts += found
        if known is not None:
            known.lists[key], known.results[key] = state, found
    cut = {item.rule for item in cuts}
    empty = [rule.id for rule in needs.rules if not needs.boxes(rule).forward]
    nothing = {*cut, *empty}
    return EndToEnd(tuple(r.id for r in needs.rules if r.id not in nothing), tuple(empty), tuple(cuts))


def _cuts_at(
    space: PacketSpace, site: Site, listing: PointList, needs: _Needs, forward: Sequence[Rule], reply: Sequence[Rule]
) -> Iterable[Cut]:
    item = list_sets(space, site, listing)
    may_stop = item.may_see - item.passes
    if not may_stop:
        return
    boxes = [box for rule in forward for box in needs.boxes(rule).forward]
    boxes += [box for rule in reply for box in needs.boxes(rule).reply]
    if not space.from_boxes(boxes) & may_stop:
        return
    for direction, rules in (("forward", forward), ("reply", reply)):
        for rule in rules:
            own = needs.boxes(rule)
            packet = (space.from_boxes(own.forward if direction == "forward" else own.reply) & may_stop).witness()
            if packet is not None:
                yield Cut(rule.id, listing.point, listing.name, direction, packet)


class _Needs:
    """The rules of a site, found by the segments that hold their clients and servers."""

    def __init__(self, site: Site, rules: list[Rule]) -> None:
        self.site, self.rules = site, rules
        self._boxes: dict[str, ConversationBoxes] = {}
        self._sharing = _segments_by_shared_address(site)
        self._holders: dict[str, frozenset[str]] = {}
        self._from: Mapping[str, list[int]] = self._placed((rule.client for rule in rules))
        self._to: Mapping[str, list[int]] = self._placed((rule.to for rule in rules))

    def _placed(self, names: Iterable[str]) -> dict[str, list[int]]:
        found: dict[str, list[int]] = defaultdict(list)
        for number, name in enumerate(names):
            for segment in self._segments(name):
                found[segment].append(number)
        return found

    def _segments(self, name: str) -> frozenset[str]:
        """Return the segments with devices among the addresses of a name."""
        found = self._holders.get(name)
        if found is None:
            if name in self.site.segments:
                found = frozenset({name, *self._sharing.get(name, ())})
            else:
                sets = {family: addresses_of_name(self.site, name, family) for family in (4, 6)}
                found = frozenset(
                    segment
                    for segment in self.site.segments
                    for family, target in sets.items()
                    if target is None or target.overlaps(member_addresses(self.site, segment, family))
                )
            self._holders[name] = found
        return found

    def boxes(self, rule: Rule) -> ConversationBoxes:
        """Return the openers and answers of a rule."""
        found = self._boxes.get(rule.id)
        if found is None:
            found = conversation_boxes(self.site, rule.client, rule.to, rule.services, UNPRIVILEGED)
            self._boxes[rule.id] = found
        return found

    def at(self, listing: PointList) -> tuple[list[Rule], list[Rule]]:
        """Return the rules whose openers, and those whose answers, a list may see."""
        if listing.kind in ACCESS:
            return self._chosen(self._from.get(listing.segment, ())), self._chosen(self._to.get(listing.segment, ()))
        if listing.kind == "sgacl":
            first, second = listing.segment, listing.peer
            return (
                self._chosen(sorted(set(self._from.get(first, ())) & set(self._to.get(second, ())))),
                self._chosen(sorted(set(self._to.get(first, ())) & set(self._from.get(second, ())))),
            )
        return self.rules, [] if listing.stateful else self.rules

    def _chosen(self, numbers: Iterable[int]) -> list[Rule]:
        return [self.rules[number] for number in numbers]

    def state(self, listing: PointList, forward: Sequence[Rule], reply: Sequence[Rule]) -> tuple[Any, ...]:
        """Return what the proof of one list depends on within one membership and one set of services and networks."""
        return (
            listing.kind, listing.stage, listing.default_permit, listing.interfaces, listing.aces,
            tuple(rule.id for rule in forward), tuple(rule.id for rule in reply),
        )  # fmt: skip


def _segments_by_shared_address(site: Site) -> dict[str, set[str]]:
    """Return, for segments that share an address with others, those others."""
    holders: dict[str, str] = {}
    shared: dict[str, set[str]] = defaultdict(set)
    for segment, members in site.members.items():
        for member in members:
            for address in member.addresses:
                first = holders.setdefault(address, segment)
                if first != segment:
                    shared[first].add(segment)
                    shared[segment].add(first)
    return shared
