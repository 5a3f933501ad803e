# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""End to end: what every rule permits passes every list on its way, both directions, for all packets.

Proved list by list: an opener or answer that a single line holds before anything is denied passes (``lines``). What is left of all rules
whose packets the list may see is united, and what of that union it may stop has to be empty. Only where it is not are the rules looked
at one by one, to name those that are cut, with a packet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import (
    ListCache,
    key_of,
    key_of_texts,
    list_key,
    pieces_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.index import Places, kept_index
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.keys import Keys, keys_of_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.layer_two import only_frames
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import (
    addresses_of_name,
    holders_of_addresses,
    matches_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.sides import gateway_addresses
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace, verdicts
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Box, Packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import ANY, Rule, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.outline import Outline
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ranges import span_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.conversations import (
    UNPRIVILEGED,
    ConversationBoxes,
    rule_boxes,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.lines import FirstPermits
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.needed import EveryRule, Names, SomeRules
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.points import (
    enforces,
    first_match,
    judged_answers,
    may_see,
    visible,
)

ACCESS = ("dacl", "port_acl")
BITS = ((4, 4), (6, 2))
ALL_BITS = 6
NO_SERVICES: tuple[str, ...] = ()
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


@dataclass(frozen=True)
class Needed:
    """Rules whose conversations have to pass, with the site that says what their names mean.

    That is another site than the one whose lists are proved where a posture moves a device into a segment of its own: the workflow's
    conversations stay what they are in normal operation.
    """

    site: Site
    rules: tuple[Rule, ...]


@dataclass
class Proved:
    """What earlier proofs found, so that a list that is the same in another situation is not proved again."""

    lists: dict[tuple[str, str], tuple[Any, ...]] = field(default_factory=dict)
    results: dict[tuple[str, str], tuple[Cut, ...]] = field(default_factory=dict)


def prove_rules(
    site: Site,
    lists: Sequence[PointList],
    needed: Needed | None = None,
    known: Proved | None = None,
    cache: ListCache | None = None,
) -> EndToEnd:
    """Return for each rule that is needed (default: all of the site) whether its conversations pass every list that may see them.

    Openers come from client ports 1024 and above where the service does not pin them. A list is counted wherever it *may* see the
    packets, which is more than the lists on the way: what is proved holds whatever path the network takes. ``known`` carries results
    from one situation to the next, ``cache`` what was proved of lists with just this content from one run to the next.
    """
    needs = _Needs(site, needed)
    keys = keys_of_site(site, cache) if cache is not None else None
    of_rules = keys_of_site(needed.site, cache) if cache is not None and needed is not None else None
    work = _Work(site, needs, keys, cache, of_rules)
    cuts: list[Cut] = []
    for listing in lists:
        if not enforces(listing):
            continue
        asked = needs.at(listing)
        if not asked:
            continue
        if pieces_of(listing) is not None:
            cuts += work.by_client(listing)
            continue
        if keys is not None and list_key(listing):
            cuts += work.kept(listing, list_key(listing), asked)
            continue
        forward, reply = needs.chosen(asked)
        if known is None:
            cuts += work.cuts(listing, forward, reply)
            continue
        key, state = (listing.point, listing.name), needs.state(listing, forward, reply)
        if known.lists.get(key) != state:
            known.lists[key], known.results[key] = state, work.cuts(listing, forward, reply)
        cuts += known.results[key]
    cut = {item.rule for item in cuts}
    empty = [rule.id for rule in needs.empty_rules() if not needs.below(rule)]
    nothing = {*cut, *empty}
    proved = tuple(n for n in needs.ids() if n not in nothing) if nothing else tuple(needs.ids())
    return EndToEnd(proved, tuple(empty), tuple(cuts))


@dataclass
class _Work:
    """The proofs of the lists of one site. ``of_rules``: the keys of the site whose rules are needed, where it is another."""

    site: Site
    needs: _Needs
    keys: Keys | None
    cache: ListCache | None
    of_rules: Keys | None = None
    _space: PacketSpace = field(default_factory=PacketSpace)
    _lists: int = 0

    def kept(self, listing: PointList, key: str, asked: _Asked) -> tuple[Cut, ...]:
        """Return the cuts at a list; none without a look where the cache knows that nothing of this content is cut."""
        if self.keys is None or self.cache is None:
            return self.cuts(listing, *self.needs.chosen(asked))
        if self.of_rules is None:
            parts = [self._rules_key(self.keys, *part) for part in (asked.forward, asked.reply)]
            rules = ["forward", *parts[0], "reply", *parts[1]]
        else:
            chosen = self.needs.chosen(asked)
            if not any(chosen):
                return ()
            rules = ["needed", *(self.of_rules.rules(part) for part in chosen)]
        fact = key_of_texts("end to end", key, self._view(listing), *rules)
        if self.cache.holds(fact):
            return ()
        found = self.cuts(listing, *self.needs.chosen(asked))
        if not found:
            self.cache.keep(fact)
        return found

    @staticmethod
    def _rules_key(keys: Keys, clients: Names, tos: Names) -> list[str]:
        """Return what tells apart all rules from some clients, to some names, or from clients to names."""
        if clients is None:
            return [keys.leading(name) for name in tos or ()]
        if tos is None:
            return [keys.asked(name) for name in clients]
        return [keys.between(client, name) for client in clients for name in tos]

    def _view(self, listing: PointList) -> str:
        """Return what tells apart all that lists may see: for those that follow devices, their addresses (``points.visible``)."""
        if self.keys is not None and listing.kind in ("dacl", "sgacl"):
            peer = listing.peer and self.keys.name(listing.peer)
            return f"{listing.kind} {listing.family} {self.keys.name(listing.segment)} {peer}"
        return key_of([[values.pairs for values in box.sets()] for box in visible(self.site, listing, surely=False)])

    def by_client(self, listing: PointList) -> list[Cut]:
        """Return the cuts at a firewall that is known by its parts: the rules of each client segment need its part alone.

        Where the part does not pass them all by itself (rules without an assigned end have no lines), the list with all that stands
        around the rules decides.
        """
        pieces = pieces_of(listing)
        if pieces is None:
            return list(self.cuts(listing, *self.needs.chosen(_Asked((None, None), (None, None)))))
        seen = visible(self.site, listing, surely=False)
        view = key_of([[values.pairs for values in box.sets()] for box in seen])
        cuts: list[Cut] = []
        for client in self.needs.rules.clients:
            segments = sorted({*self.needs.segments(client), *pieces.answers.get(client, ())})
            fact = ""
            if self.keys is not None and self.cache is not None:
                own = [f"{name} {pieces.key(name)}" for name in pieces.concerned(segments)]
                if self.of_rules is None:
                    mine = self.keys.asked(client)
                else:
                    mine = "needed " + self.of_rules.rules(self.needs.rules.of((client,)))
                fact = key_of_texts("end to end", view, pieces.frame_key, mine, *own)
                if self.cache.holds(fact):
                    continue
            rules = self.needs.rules.of((client,))
            found = self.cuts(pieces.around(segments), rules, rules if client in pieces.answers else (), seen)
            cuts += found
            if fact and self.cache is not None and not found:
                self.cache.keep(fact)
        return cuts

    def cuts(
        self, listing: PointList, forward: Sequence[Rule], reply: Sequence[Rule], seen: Sequence[Box] | None = None
    ) -> tuple[Cut, ...]:
        """Return where a list may stop packets of rules: by single lines where these decide, else by packet sets."""
        first = FirstPermits.of(listing)
        left: list[Box] = []
        for rules, tail in ((forward, ""), (reply, "~reply")):
            for rule in rules:
                boxes = self.needs.boxes(rule)
                for box in judged_answers(listing, boxes.reply) if tail else boxes.forward:
                    if not first.pass_surely(box, rule.id + tail):
                        left.append(box)
        if left and seen is not None:
            left = [box for box in left if any(box.overlaps(other) for other in seen)]
        if not left:
            return ()
        self._lists += 1
        if self._lists % SPACE_LISTS == 0:
            self._space = PacketSpace()
        return tuple(_cuts_at(self._space, self.site, listing, self.needs, (forward, reply), left))


def _cuts_at(
    space: PacketSpace,
    site: Site,
    listing: PointList,
    needs: _Needs,
    parts: tuple[Sequence[Rule], Sequence[Rule]],
    left: Sequence[Box],
) -> Iterable[Cut]:
    """Yield the rules whose packets among ``left`` a list may see and stop."""
    passes = verdicts(space, first_match(listing)).permitted
    stopped = space.from_boxes(left) - passes
    if not stopped or not (stopped := stopped & may_see(space, site, listing)):
        return
    for direction, rules in zip(("forward", "reply"), parts, strict=True):
        for rule in rules:
            own = needs.boxes(rule)
            asked = own.forward if direction == "forward" else judged_answers(listing, own.reply)
            packet = (space.from_boxes(asked) & stopped).witness()
            if packet is not None:
                yield Cut(rule.id, listing.point, listing.name, direction, packet)


@dataclass(frozen=True)
class _Asked:
    """The rules whose openers, and those whose answers, a list may see: by clients and by the names that they lead to."""

    forward: tuple[Names, Names]
    reply: tuple[Names, Names] = ((), ())


class _Needs:
    """The rules that are needed, found by the segments that hold their clients and servers where the lists are."""

    def __init__(self, site: Site, needed: Needed | None) -> None:
        self.site, self.whole = site, needed is None
        self._places = kept_index(site)
        self.needed_site = needed.site if needed is not None else site
        self.rules: SomeRules | EveryRule = SomeRules(needed.rules) if needed is not None else EveryRule(self._places)
        self._boxes: dict[str, ConversationBoxes] = {}
        self._names: dict[str, frozenset[str]] = {}
        self._served: dict[tuple[str, ...], int] = {}
        self._below: dict[tuple[str, ...], bool] = {}
        self._sides: dict[str, int] = {}
        self._everywhere: set[tuple[str, ...]] = set()  # services that exist in every family
        self._closed: dict[int, set[str]] = {}  # families to the ends without addresses in any of them
        self._leading: dict[str, Set[str]] = {}
        self._behind: dict[tuple[int, IntervalSet], tuple[Sequence[str], Sequence[str]]] = {}
        self._holders = holders_of_addresses(site)
        self._from = self._placed(self.rules.clients)
        self._to = self._placed(self.rules.ends)

    def _placed(self, names: Iterable[str]) -> Mapping[str, list[str]]:
        """Return the names by the segments that hold their addresses."""
        found: dict[str, list[str]] = defaultdict(list)
        for name in names:
            for segment in self.segments(name):
                found[segment].append(name)
        return {segment: sorted(each) for segment, each in found.items()}

    def segments(self, name: str) -> frozenset[str]:
        """Return the segments with devices among the addresses of a name."""
        found = self._names.get(name)
        if found is None:
            own = self.needed_site
            if name in own.segments:
                members = own.members.get(name, ())
                if own.members is self.site.members and not self._holders.several:
                    found = frozenset((name,) if any(member.addresses for member in members) else ())
                else:
                    places = (span_of(text)[:2] for member in members for text in member.addresses)
                    found = frozenset().union(*map(self._holders.at, places))
            else:
                sets = {family: addresses_of_name(own, name, family) for family in (4, 6)}
                if any(target is None for target in sets.values()):
                    found = frozenset(self.site.segments)
                else:
                    near = {s for f, target in sets.items() if target for s in self._places.segments_among(target, f)}
                    found = frozenset(near & self.site.segments.keys())
            self._names[name] = found
        return found

    def below(self, rule: Rule) -> bool:
        """Return whether all of a rule is below IP: no list filters frames."""
        found = self._below.get(rule.services)
        if found is None:
            found = self._below[rule.services] = only_frames(self.needed_site, rule.services)
        return found

    def empty_rules(self) -> Iterator[Rule]:
        """Yield the rules without an opener: one side has no addresses in a family that the services have."""
        for rule in self.rules.perhaps(self._open_ends):
            if rule.devices:
                if not self.boxes(rule).forward:
                    yield rule
            elif not self._side(rule.client) & self._side(rule.to) & self._in(rule.services):
                yield rule

    def _open_ends(self, client: str, outline: Outline) -> set[str]:
        """Return the names to which rules of a client lead that may be without an opener, as far as outlines say."""
        common = self._side(client)
        plain = self._all_everywhere and NO_SERVICES not in outline.services
        for services in () if plain else outline.services - self._everywhere:
            families = self._in(services)
            common &= families
            if families == ALL_BITS:
                self._everywhere.add(services)
        closed = self._closed.get(common)
        if closed is None:
            closed = self._closed[common] = {name for name in self.rules.ends if not common & self._side(name)}
        found = closed & outline.ends.keys() if closed else set()
        return found | {to for to, end in outline.ends.items() if end.devices} if outline.limited else found

    @cached_property
    def _all_everywhere(self) -> bool:
        """Whether every service of the site exists in every family, and so the services of a rule that names one."""
        return all(self._in((name,)) == ALL_BITS for name in self.needed_site.services)

    def _in(self, services: tuple[str, ...]) -> int:
        found = self._served.get(services)
        return self._served_in(services) if found is None else found

    def _side(self, name: str) -> int:
        found = self._sides.get(name)
        return self._families(name) if found is None else found

    def _served_in(self, services: tuple[str, ...]) -> int:
        """Return the families in which services exist, as bits: 4 and 2 (for 6)."""
        found = self._served[services] = sum(
            bit for family, bit in BITS if any(True for _match in matches_of(self.needed_site, services, family))
        )
        return found

    def _families(self, name: str) -> int:
        """Return the families in which a name has addresses, as bits."""
        sets = ((addresses_of_name(self.needed_site, name, family), bit) for family, bit in BITS)
        found = self._sides[name] = sum(bit for own, bit in sets if own is None or own)
        return found

    def boxes(self, rule: Rule) -> ConversationBoxes:
        """Return the openers and answers of a rule."""
        found = self._boxes.get(rule.id)
        if found is None:
            found = self._boxes[rule.id] = rule_boxes(self.needed_site, rule, UNPRIVILEGED)
        return found

    def at(self, listing: PointList) -> _Asked | None:
        """Return which rules' openers, and which rules' answers, a list may see; None where no rule's."""
        if listing.kind in ACCESS:
            clients, ends = self._from.get(listing.segment, ()), self._to.get(listing.segment, ())
            return _Asked((clients, None), (None, ends)) if clients or ends else None
        if listing.kind == "sgacl":
            forward, reply = self._between(listing.segment, listing.peer), self._between(listing.peer, listing.segment)
            return _Asked(forward or ((), ()), reply or ((), ())) if forward or reply else None
        if listing.kind == "router_acl":
            return self._at_gateway(listing)
        return _Asked((None, None), (None, None) if listing.platform == "asa" else ((), ()))

    def _between(self, client: str, server: str) -> tuple[Names, Names] | None:
        """Return the clients and the names behind two segments where a rule leads from one to the other, else None."""
        if server not in self._led_to(client):
            return None
        return self._from[client], self._to[server]

    def _led_to(self, client: str) -> Set[str]:
        """Return the segments behind the names to which rules from a segment's devices lead."""
        found = self._leading.get(client)
        if found is None:
            tos = {to for name in self._from.get(client, ()) for to in self.rules.tos(name)}
            found = self._leading[client] = frozenset().union(*map(self.segments, tos))
        return found

    def _at_gateway(self, listing: PointList) -> _Asked | None:
        """Return the rules with an end behind an interface: it sees what their clients there send or receive, and their servers."""
        subnet = gateway_addresses(self.site, listing)[0]
        key = listing.family, subnet
        found = self._behind.get(key)
        if found is None:
            held = self._held[listing.family].among(subnet) if subnet else set()
            ends = [
                sorted(n for n in names if n == ANY or n in held) for names in (self.rules.clients, self.rules.ends)
            ]
            found = self._behind[key] = (ends[0], ends[1])
        opening, serving = (found[0], None), (None, found[1])
        if not found[0] and not found[1]:
            return None
        return _Asked(opening, serving) if listing.direction == "in" else _Asked(serving, opening)

    @cached_property
    def _held(self) -> Mapping[int, Places]:
        """The names of clients and servers by the addresses that they hold, by family."""
        names = {*self.rules.clients, *self.rules.ends} - {ANY}
        own = {family: [(addresses_of_name(self.needed_site, n, family), n) for n in names] for family in (4, 6)}
        return {
            f: Places((*pair, n) for held, n in each if held is not None for pair in held.pairs)
            for f, each in own.items()
        }

    def chosen(self, asked: _Asked) -> tuple[Sequence[Rule], Sequence[Rule]]:
        """Return the rules that are asked about: those whose openers, and those whose answers, a list may see."""
        return self.rules.of(*asked.forward), self.rules.of(*asked.reply)

    def ids(self) -> Iterable[str]:
        """Return the ids of the rules, in their order."""
        return self.rules.ids()

    def state(self, listing: PointList, forward: Sequence[Rule], reply: Sequence[Rule]) -> tuple[Any, ...]:
        """Return what the proof of one list depends on, within one set of zones and services."""
        return (
            listing.kind, listing.stage, listing.default_permit, listing.interfaces, listing.aces,
            self.site.members.get(listing.segment), self.site.members.get(listing.peer),
            [(rule.id, rule.client, rule.to, rule.services, rule.devices) for rule in (*forward, *reply)], len(forward),
            self.needed_site.members if self.needed_site.members != self.site.members else None, self.needed_site.networks,
            self.site.members if listing.stateful and self.site.paths.get("routes") else None,
        )  # fmt: skip
