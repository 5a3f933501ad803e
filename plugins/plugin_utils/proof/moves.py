# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices that move to other lists or tags one after the other: every mix of moved and unmoved ones, with every mix of old and new lists.

A conversation has two ends, so a mix of devices is for it one of four: each end as before or as planned. What stops it is still a matter
of one list: a list on an access port looks at the sender alone, a cell at both ends. So no mix of n devices and m lists is enumerated:

- *kept*: what passes before and after passes in every mix exactly if no version of a list stops it with any state of its two ends that
  goes with that version. What goes together is a matter of time: versions of a list and states of a device hold for an interval of the
  rollout each, and intervals that meet two by two meet all at once.
- *never*: what a must-never covers and is stopped at both ends is stopped at each moment, for each state of its two ends that may be
  then, by some list that surely sees it so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import addresses_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSet, PacketSpace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import ANY
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.conversations import (
    UNPRIVILEGED,
    conversation_boxes,
    rule_boxes,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.guardrails import DHCP_REQUESTS
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.moved_lists import MovedLists
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.moving import (
    ALWAYS,
    CARRIERS,
    NEVER_OPEN,
    NEW,
    OLD,
    PORT,
    RULE,
    SESSION,
    START,
    WORKFLOW,
    Mixed,
    Move,
    Moved,
    Rolled,
    Version,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.openers import (
    answers_of,
    icmp_only,
    openers_of,
    tcp_only,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.points import judges_icmp_answers


def proved_moves(rolled: Rolled, space: PacketSpace | None = None) -> Moved:
    """Return what holds in every mix of moved and unmoved devices and of old and new lists, and a problem for each thing that does not.

    ``space``: that of other proofs about the same lists, which are then read once.
    """
    if not rolled.moves:
        return Moved(0, 0, 0)
    proof = _Moves(rolled, space or PacketSpace())
    kept, problems = proof.kept()
    always, more = proof.always()
    never, opened = proof.nevers()
    return Moved(kept, always, never, (*problems, *more, *opened))


def proved_back(rolled: Rolled, space: PacketSpace | None = None) -> Moved:
    """Return the same for the way back, from each point of the rollout to its begin; a bound, in which more may be mixed than is.

    Steps are undone in turn, so lists on ports and in sessions pass the same places in reverse. But sessions that have moved may stay so
    to the end, whoever has gone back, and cells are pushed last: until then they may be as planned.
    """
    if not rolled.moves:
        return Moved(0, 0, 0)
    forward = _Moves(rolled, space or PacketSpace())
    listings = (*rolled.old_lists, *rolled.new_lists)

    def stretched(*kinds: str) -> _Moves:
        keys = {(item.point, item.name) for item in listings if item.kind in kinds} & rolled.times.keys()
        late = {key: (START, rolled.times[key][1]) for key in keys}
        return _Moves(replace(rolled, back=True, times={**rolled.times, **late}), forward.space)

    proof = stretched("sgacl")
    kept, problems = proof.kept()
    always, more = proof.always()
    # A session that stays as it was planned keeps the text that it took.
    never, opened = stretched("sgacl", "dacl").nevers(forward)
    return Moved(kept, always, never, (*problems, *more, *opened))


class _Moves(MovedLists):
    """The proof itself."""

    def _stops(self, openers: PacketSet, listing: PointList, client: int, server: int) -> tuple[PacketSet, PacketSet]:
        """Return the openers that a list may stop, and those whose answers it may stop, with the ends in these states."""
        passes = self.passes(listing, surely=True)
        there = (openers & self.view(listing, client, server, surely=False)) - passes
        if listing.stateful:
            return there, self._unanswered(openers, listing, client, server)
        back = (answers_of(openers) & self.view(listing, server, client, surely=False)) - passes
        return there, openers_of(back) & openers if back else back

    def _unanswered(self, openers: PacketSet, listing: PointList, client: int, server: int) -> PacketSet:
        """Return the openers whose answers a firewall may stop: those of ICMP at an ASA, which cross it where their opener did."""
        if not judges_icmp_answers(listing):
            return self.space.empty
        pings = icmp_only(openers & self.view(listing, client, server, surely=False))
        back = answers_of(pings) - self.passes(listing, surely=True) if pings else pings
        return openers_of(back) & pings if back else back

    def _passing(self, openers: PacketSet, state: int) -> PacketSet:
        """Return the openers that surely work before (OLD) or after (NEW)."""
        if not openers:
            return openers
        key = (*openers.key, state)
        if key not in self._working:
            self._working[key] = self._passing_now(openers, state)
        return self._working[key]

    def _passing_now(self, openers: PacketSet, state: int) -> PacketSet:
        rest = openers
        for _key, versions in self.relevant(openers.boxes()):
            for version in versions:
                if version.number in (None, state):
                    there, back = self._stops(rest, version.listing, state, state)
                    rest = rest - there - back
        return rest

    def _mixes_of(self, version: Version) -> Iterator[tuple[int, int]]:
        """Yield the states of sender and receiver in which a list may see packets; one side where only the sender counts."""
        if version.listing.kind == "sgacl":
            yield from product((OLD, NEW), repeat=2)
        elif version.listing.kind in CARRIERS:
            yield from ((OLD, OLD), (NEW, NEW))

    def _timely(self, packets: PacketSet, version: Version, states: tuple[int, int]) -> PacketSet:
        """Return those packets whose sender and receiver may be in these states while a version is in force."""
        kind = version.listing.kind
        packets = packets - self.untimely(kind, states[0], version.since, version.until, receiver=False)
        if kind != "sgacl":
            return packets
        packets = packets - self.untimely(kind, states[1], version.since, version.until, receiver=True)
        return packets - self.not_before[states] if states in self.not_before else packets

    def _cut(self, openers: PacketSet) -> Iterator[tuple[Version, tuple[int | None, int | None], PacketSet]]:
        """Yield what works before and after and is stopped in between, by the version of a list and the states of client and server.

        ``None``: where that end is does not matter, since the list looks at senders alone.
        """
        answers = None
        for _key, versions in self.relevant(openers.boxes()):
            for version in versions:
                cell = version.listing.kind == "sgacl"
                passes = None
                for states in self._mixes_of(version):
                    if version.number in (None, states[0]) and states[0] == states[1]:
                        continue  # with every list like that: before, or after
                    if passes is None:
                        passes = self.passes(version.listing, surely=True)
                    view = self.view(version.listing, *states, surely=False)
                    found = self._timely((openers & view) - passes, version, states)
                    if found and (found := self._passing(self._passing(found, OLD), NEW)):
                        yield version, (states if cell else (states[0], None)), found
                    if answers is None:
                        answers = answers_of(openers)
                    back = self._timely((answers & view) - passes, version, states)
                    found = openers_of(back) & openers if back else back
                    if found and (found := self._passing(self._passing(found, OLD), NEW)):
                        yield version, ((states[1], states[0]) if cell else (None, states[0])), found

    def kept(self) -> tuple[int, list[Mixed]]:
        """Return how many rules that moving devices use keep all they have in every mix, and a problem for each list that stops one."""
        site = self.rolled.after
        critical = {name: workflow for workflow in site.workflows for name in workflow.rules}
        count, made = 0, list[Mixed]()
        for rule in site.rules():
            openers = self.openers(rule_boxes(site, rule, UNPRIVILEGED))
            if not openers:
                continue
            workflow = critical.get(rule.id)
            kind, name, owner, place = (
                (WORKFLOW, workflow.id, workflow.owner, workflow.location)
                if workflow
                else (RULE, rule.id, rule.owner, rule.location)
            )
            found = self._problems(openers, kind, name, owner, rule.id, place)
            count += not found
            made += found
        return count, made

    def always(self) -> tuple[int, list[Mixed]]:
        """Return how many must-always statements about moving devices hold in every mix where they hold before and after."""
        site = self.rolled.after
        count, made = 0, list[Mixed]()
        for item in site.guardrails:
            if item.must != "always":
                continue
            openers = self.openers(conversation_boxes(site, item.client, item.server, item.services))
            if not openers:
                continue
            found = self._problems(openers, ALWAYS, item.id, item.owner, "", item.location)
            count += not found
            made += found
        return count, made

    def _problems(
        self, openers: PacketSet, kind: str, name: str, owner: str, rule: str, location: Location
    ) -> list[Mixed]:
        made: dict[tuple[int, tuple[int | None, int | None]], Mixed] = {}
        for version, states, found in self._cut(openers):
            packet = found.witness()
            if packet is None or (id(version.listing), states) in made:
                continue
            carrier = CARRIERS[version.listing.kind]
            devices = self._who(found, packet, {carrier: states[0]}, {carrier: states[1]})
            at = max(version.since, *self._since(packet, carrier, states))
            made[id(version.listing), states] = Mixed(
                kind, name, owner, rule, location, packet, at, devices, version.listing, states, version.number
            )
        return list(made.values())

    def _at_end(self, packet: Packet, number: int) -> Iterator[Move]:
        """Yield the moves of the device at an end of an opener: 0 for the client, 1 for the server."""
        value = packet.destination if number else packet.source
        for move in self.rolled.moves:
            if addresses_of(move.addresses, 6 if packet.is_ipv6 else 4).contains(value):
                yield move

    def _since(self, packet: Packet, carrier: str, states: tuple[int | None, int | None]) -> Iterator[int]:
        """Yield the first moments at which the ends of an opener may be in these states."""
        yield START
        for number, state in enumerate(states):
            yield from (
                self.holds(move, state)[0]
                for move in self._at_end(packet, number)
                if state is not None and move.carrier == carrier
            )

    def _who(
        self,
        found: PacketSet,
        packet: Packet,
        client: Mapping[str, int | None],
        server: Mapping[str, int | None],
    ) -> tuple[str, ...]:
        """Return the devices of a problem with where each is then, those of one packet first; ``None``: the state does not matter."""
        shown: dict[str, None] = {}
        values = found.values("source"), found.values("destination")
        ends = (client, server)
        first = [(move, number) for number in (0, 1) for move in self._at_end(packet, number)]
        others = [
            (move, number)
            for move in self.rolled.moves
            for number in (0, 1)
            if any(addresses_of(move.addresses, family).overlaps(values[number]) for family in (4, 6))
        ]
        for move, number in (*first, *others):
            state = ends[number].get(move.carrier)
            if state is not None:
                shown[f"{move.device} in {(move.will if state == NEW else move.was) or 'no segment'}"] = None
        return tuple(shown)

    # -- never

    def _surely(self, openers: PacketSet, listing: PointList, client: int, server: int) -> tuple[PacketSet, PacketSet]:
        """Return what a list surely stops, there and back; a datagram has done its work when it arrives."""
        passes = self.passes(listing, surely=False)
        there = (openers & self.view(listing, client, server, surely=True)) - passes
        if listing.stateful:
            return there, self.space.empty
        back = (answers_of(tcp_only(openers)) & self.view(listing, server, client, surely=True)) - passes
        return there, openers_of(back) & openers if back else back

    def _open_at(self, openers: PacketSet, at: int, client: Mapping[str, int], server: Mapping[str, int]) -> PacketSet:
        """Return what no list surely stops at a moment with the ends in these states, by carrier."""
        rest = openers
        for key, versions in self.relevant(openers.boxes()):
            now = [version for version in versions if version.since <= at <= version.until]
            # A list that is not in force at one end of its change may be absent now.
            if not now or (len(versions) == 1 and self.may_lack(key, versions[0], at)):
                continue
            stopped = []
            for version in now:
                carrier = CARRIERS.get(version.listing.kind, SESSION)
                stopped.append(self._surely(rest, version.listing, client[carrier], server[carrier]))
            if len(stopped) == 1:
                rest = rest - stopped[0][0] - stopped[0][1]
            elif self.apart(key):
                rest = rest - (stopped[0][0] & stopped[1][0]) - (stopped[0][1] & stopped[1][1])
            else:
                rest = rest - ((stopped[0][0] | stopped[0][1]) & (stopped[1][0] | stopped[1][1]))
            if not rest:
                break
        return rest

    def _possible(self, openers: PacketSet, at: int, client: Mapping[str, int], server: Mapping[str, int]) -> PacketSet:
        """Return the openers whose ends may be in these states at a moment."""
        return openers - self.away(at, client, receiver=False) - self.away(at, server, receiver=True)

    def nevers(self, ends_of: _Moves | None = None) -> tuple[int, list[Mixed]]:
        """Return how many must-never statements about moving devices stay closed in every mix, and a problem for each that does not.

        ``ends_of``: what says how it is before and after, where that is not this proof.
        """
        site = self.rolled.after
        carriers = sorted({move.carrier for move in self.rolled.moves})
        ends = [
            {SESSION: NEW, PORT: NEW, **dict(zip(carriers, states, strict=True))}
            for states in product((OLD, NEW), repeat=len(carriers))
        ]
        dhcp = self.space.from_boxes((DHCP_REQUESTS,))
        count, made = 0, list[Mixed]()
        old, new = {SESSION: OLD, PORT: OLD}, {SESSION: NEW, PORT: NEW}
        base = ends_of or self
        last = base.moments[-1] + 1
        for item in site.guardrails:
            if item.must != "never":
                continue
            openers = self.openers(conversation_boxes(site, item.client, item.server, item.services))
            if ANY in item.services:
                openers = openers - dhcp
            if not openers:
                continue
            openers = openers - base._open_at(openers, START, old, old)
            openers = openers - base._open_at(openers, last, new, new) if openers else openers
            found = next(self._opened(openers, ends), None) if openers else None
            if found is None:
                count += 1
                continue
            rest, at, states = found
            packet = rest.witness()
            if packet is not None:
                devices = self._who(rest, packet, *states)
                made.append(Mixed(NEVER_OPEN, item.id, item.owner, "", item.location, packet, at, devices))
        return count, made

    def _opened(
        self, openers: PacketSet, ends: Sequence[Mapping[str, int]]
    ) -> Iterator[tuple[PacketSet, int, tuple[Mapping[str, int], Mapping[str, int]]]]:
        for at in self.moments:
            for client, server in product(ends, repeat=2):
                here = self._possible(openers, at, client, server)
                if here and (rest := self._open_at(here, at, client, server)):
                    yield rest, at, (client, server)
