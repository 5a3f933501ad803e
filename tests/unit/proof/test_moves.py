"""Devices that move one after the other: the closed form against every state of the two ends, list by list and moment by moment.

The model knows conversations, segments and what the fact sheet says of lists; no packet sets, no intervals, and no lists of ours.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.desired import rendered
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.masks import masked
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Box
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof import points
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.moved_lists import _Places
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.moves import _Moves, proved_back, proved_moves
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.moving import (
    CARRIERS,
    NEVER,
    NEVER_OPEN,
    NEW,
    OLD,
    PORT,
    SESSION,
    Mixed,
    Move,
    Moved,
    Rolled,
    moved_members,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.openers import answers_of, openers_of, tcp_only
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.rollout import State
from tests.lab.evaluate import evaluate_acl
from tests.unit.proof.small_sites import World, as_dict, opens, random_packet, random_world, reply_to
from tests.unit.proof.test_rollout import Key, changed, keys_of, state_of, stops

LAST = 6
# Of these no router takes a packet on, and no firewall sees one (RFC 1122, RFC 3927, RFC 5771).
UNROUTED = ("0.", "127.", "169.254.", "224.0.0.", "255.")
Packet = dict[str, Any]
QUICK = frozenset(("ends move together",))


@dataclass
class Story:
    """Two worlds, when each list changes, and which devices move when."""

    before: World
    after: World
    moves: list[Move]
    times: dict[Key, tuple[int, int]]

    def __post_init__(self) -> None:
        self.old, self.new = with_ports(state_of(self.before)), with_ports(state_of(self.after))
        self.keys = (keys_of(self.old), keys_of(self.new))

    def proved(self, *, back: bool = False, space: PacketSpace | None = None) -> Moved:
        site = self.new.site
        by_session, by_port = (
            replace(site, members=moved_members(site, self.moves, carrier)) for carrier in (SESSION, PORT)
        )
        before = {"dacl": by_session, "sgacl": by_session, "port_acl": by_port}
        rolled = Rolled(before, site, self.old.lists, self.new.lists, self.moves, self.times)
        return proved_back(rolled, space) if back else proved_moves(rolled, space)

    # -- the model

    def changes(self, key: Key) -> bool:
        return key in self.times

    def versions(self, key: Key, moment: int) -> list[int]:
        if key not in self.times:
            return [NEW]
        begins, ends = self.times[key]
        return [OLD] * (moment <= ends) + [NEW] * (moment >= begins)

    def move(self, address: str, carrier: str) -> Move | None:
        return next((m for m in self.moves if address in m.addresses and m.carrier == carrier), None)

    def states(self, address: str, carrier: str, moment: int) -> list[int]:
        move = self.move(address, carrier)
        if move is None:
            return [NEW]
        return [OLD] * (moment <= move.ends) + [NEW] * (moment >= move.begins)

    def stopped(self, key: Key, version: int, packet: Packet, opener: bool, states: tuple[int, int]) -> bool:
        """Whether a version of a list stops a packet whose sender and receiver are in these states."""
        what = self.keys[version].get(key)
        if what is None:
            return False
        if what[0] == "firewall" and any(packet[end].startswith(UNROUTED) for end in ("source", "destination")):
            return False
        carrier = PORT if what[0] == "port_acl" else SESSION
        members = {name: list(found) for name, found in self.after.members.items()}
        for address, state in zip((packet["source"], packet["destination"]), states, strict=True):
            move = self.move(address, carrier)
            if move is not None and state == OLD:
                entry = next(entry for found in members.values() for entry in found if entry[0] == address)
                members[move.will].remove(entry)
                if move.was:
                    members[move.was].append(entry)
        mixed = replace(self.after, members=members)
        rules = self.before if version == OLD else self.after
        if what[0] == "port_acl" and rules.segment_of(packet["source"]) != what[1]:
            # A device that was not in its segment when the list was written: the model knows no list, so its text decides.
            state = self.old if version == OLD else self.new
            text = next(rendered(item) for item in state.lists if (item.point, item.name) == key)
            if not any(entry[:2] == (packet["source"], key[0]) for entry in mixed.members[what[1]]):
                return False
            return not evaluate_acl(text.splitlines()[1:], packet, kind="ios").permit
        return stops(what, key[0], rules, mixed, packet, opener)

    def every(self) -> list[Key]:
        return sorted(self.keys[OLD].keys() | self.keys[NEW].keys())

    def works_at_the(self, end: int, packet: Packet, silent_works: bool = False) -> bool:
        answer = reply_to(packet)
        if silent_works and packet["protocol"] != 6:
            answer = None
        return not any(
            self.stopped(key, end if self.changes(key) else NEW, packet, True, (end, end))
            or (answer and self.stopped(key, end if self.changes(key) else NEW, answer, False, (end, end)))
            for key in self.every()
        )

    def met(self, key: Key, packet: Packet) -> set[tuple[int, int, int]]:
        """Every (version, state of the sender, state of the receiver) that a packet may meet at a list, moment by moment."""
        kind = (self.keys[OLD].get(key) or self.keys[NEW][key])[0]
        found = set()
        for moment in range(-1, LAST + 1):
            if kind == "dacl":
                # A session that authenticates at this moment keeps what it gets.
                move = self.move(packet["source"], SESSION)
                states = [NEW] if move is None else [OLD] * (moment <= move.begins) + [NEW] * (moment >= move.begins)
                found |= {(v, s, s) for v in self.versions(key, moment) for s in states}
            else:
                carrier = PORT if kind == "port_acl" else SESSION
                ends = [self.states(packet[end], carrier, moment) for end in ("source", "destination")]
                found |= set(product(self.versions(key, moment), *ends))
        return found

    # -- the way back: from a moment ``t`` of the rollout it passes each earlier one, ``p``, on its way to the begin

    def states_back(self, address: str, t: int, p: int) -> list[int]:
        """A session that has moved stays so until it authenticates again, perhaps never; one that never moved is as before."""
        move = self.move(address, SESSION)
        if move is None:
            return [NEW]
        return [OLD] * (p < move.begins or t <= move.ends) + [NEW] * (move.begins <= t)

    def versions_back(self, key: Key, t: int, p: int, address: str, state: int) -> set[int]:
        kind = (self.keys[OLD].get(key) or self.keys[NEW][key])[0]
        if kind == "sgacl":  # pushed when all is undone
            return {*self.versions(key, t), *(self.versions(key, -1) if p == -1 else ())}
        move = self.move(address, SESSION)
        if kind != "dacl" or move is None:
            return set(self.versions(key, p))
        # A session has the text of the moment at which it authenticated: before its step in either direction, or after it.
        moments = range(move.begins, t + 1) if state == NEW else range(-1, min(move.begins, t) + 1)
        return {version for moment in moments for version in self.versions(key, moment)}

    def met_back(self, key: Key, packet: Packet) -> set[tuple[int, int, int]]:
        kind = (self.keys[OLD].get(key) or self.keys[NEW][key])[0]
        ends = (packet["source"], packet["destination"])
        found = set()
        for t in range(LAST + 1):
            for p in range(-1, t + 1):
                if kind == "port_acl":
                    there = [self.states(end, PORT, p) for end in ends]
                else:
                    there = [self.states_back(end, t, p) for end in ends]
                for sender, receiver in product(*there):
                    versions = self.versions_back(key, t, p, packet["source"], sender)
                    found |= {(v, sender, sender if kind == "dacl" else receiver) for v in versions}
        return found

    def cut_back(self, packet: Packet) -> set[Key]:
        """The lists that stop a conversation somewhere on the way back."""
        answer = reply_to(packet)
        return {
            key
            for key in self.every()
            for each, opener in ((packet, True), (answer, False))
            if each and any(self.stopped(key, v, each, opener, (s, r)) for v, s, r in self.met_back(key, each))
        }

    def open_back(self, packet: Packet) -> bool:
        """Whether an opener can do its work somewhere on the way back."""
        answer = reply_to(packet) if packet["protocol"] == 6 else None
        ends = (packet["source"], packet["destination"])
        for t, p in ((late, early) for late in range(LAST + 1) for early in range(-1, late + 1)):
            possible = [self.states_back(end, t, p) for end in ends] + [self.states(end, PORT, p) for end in ends]
            for one, two, *ports in product(*possible):
                if all(self.lets_back(key, t, p, packet, answer, (one, two), tuple(ports)) for key in self.every()):
                    return True
        return False

    def lets_back(
        self, key: Key, t: int, p: int, packet: Packet, answer: Packet | None, sessions: tuple[int, int], ports: tuple
    ) -> bool:
        kind = (self.keys[OLD].get(key) or self.keys[NEW][key])[0]
        client, server = ports if kind == "port_acl" else sessions
        mine = self.versions_back(key, t, p, packet["source"], client)
        theirs = self.versions_back(key, t, p, packet["destination"], server)
        there = {v for v in mine if not self.stopped(key, v, packet, True, (client, server))}
        back = {v for v in theirs if not (answer and self.stopped(key, v, answer, False, (server, client)))}
        return bool(there & back) if kind != "dacl" else bool(there and back)

    def cut(self, packet: Packet) -> set[Key]:
        """The lists that stop a conversation in some mix."""
        answer = reply_to(packet)
        return {
            key
            for key in self.every()
            for each, opener in ((packet, True), (answer, False))
            if each and any(self.stopped(key, v, each, opener, (s, r)) for v, s, r in self.met(key, each))
        }

    def open(self, packet: Packet) -> bool:
        """Whether some mix of some moment lets an opener do its work."""
        answer = reply_to(packet) if packet["protocol"] == 6 else None
        ends = (packet["source"], packet["destination"])
        for moment in range(-1, LAST + 2):
            possible = [self.states(end, carrier, moment) for end in ends for carrier in (SESSION, PORT)]
            for one, one_port, two, two_port in product(*possible):
                if all(
                    self.lets(key, moment, packet, answer, (one, two), (one_port, two_port)) for key in self.every()
                ):
                    return True
        return False

    def lets(
        self, key: Key, moment: int, packet: Packet, answer: Packet | None, sessions: tuple[int, int], ports: tuple
    ) -> bool:
        kind = (self.keys[OLD].get(key) or self.keys[NEW][key])[0]
        client, server = ports if kind == "port_acl" else sessions
        versions = self.versions(key, moment)
        there = {v for v in versions if not self.stopped(key, v, packet, True, (client, server))}
        back = {v for v in versions if not (answer and self.stopped(key, v, answer, False, (server, client)))}
        begins, ends = self.times.get(key, (0, 0))
        return bool(there and back) if begins < ends else bool(there & back)


def with_ports(state: State) -> State:
    """Lists on ports are attached to all of them in both states: who is behind which is a matter of the membership."""
    ports = tuple(sorted({m.interface for found in state.site.members.values() for m in found if m.switch == "acc1"}))
    lists = tuple(replace(i, interfaces=ports) if i.kind == "port_acl" else i for i in state.lists)
    return State(state.site, lists)


def random_story(seed: int) -> Story:
    choose = random.Random(seed)
    before = random_world(seed)
    names = sorted(before.members)
    for name in names:
        before.members[name] = [
            (a, s or "acc1", p or f"GigabitEthernet1/0/{50 + n}{name[1:]}")
            for n, (a, s, p) in enumerate(before.members[name])
        ]
    before.stages = {  # cells and lists on ports in most of them, all enforced: mixes are of interest where something is stopped
        name: ("enforce", sorted({*choose.sample(["dacl", "acc1", "matrix", "fw1"], choose.randint(1, 2)), "matrix"}))
        for name in names
    }
    after = changed(before, choose) if seed % 3 else replace(before)
    after.members = {name: list(found) for name, found in before.members.items()}
    moves: dict[str, tuple[str, str]] = {}
    for address, name in choose.sample([(e[0], n) for n in names for e in before.members[n]], choose.randint(1, 3)):
        if len(after.members[name]) == 1:
            continue  # the model has cells of segments with somebody in them only
        other = choose.choice([each for each in names if each != name])
        entry = next(entry for entry in after.members[name] if entry[0] == address)
        after.members[name].remove(entry)
        after.members[other].append(entry)
        moves[address] = (name, other)
    for world in (before, after):
        world.guardrails = [("never", *choose.sample(names, 2), ["web", "all-tcp", "names"]) for _ in range(4)]
        world.guardrails += [("always", *choose.sample(names, 2), ["web"]) for _ in range(2)]
    after.guardrails = before.guardrails
    after.workflows = [[rule[0] for rule in after.rules[::2]]]
    # What a moved device did it may go on doing under its new segment, or else nothing would pass at both ends.
    for number, (name, other) in enumerate(moves.values()):
        after.rules += [(f"m{number}{r[0]}", other, r[2], r[3]) for r in before.rules if r[1] == name][:2]
        after.rules += [(f"o{number}{r[0]}", r[1], other, r[3]) for r in before.rules if r[2] == name][:2]
    made = []
    for address, (was, will) in moves.items():
        device = next(m.device for found in after.site().members.values() for m in found if address in m.addresses)
        begins = choose.randint(0, LAST)
        ends = choose.choice([NEVER, choose.randint(begins, LAST)])
        made.append(Move(device, (address,), SESSION, was, will, begins, ends))
        begins = choose.randint(0, LAST)
        made.append(Move(device, (address,), PORT, was, will, begins, begins))
    story = Story(before, after, made, {})
    both = {**dict.fromkeys(story.keys[OLD], story.old), **dict.fromkeys(story.keys[NEW], story.new)}
    for key in both:
        begins = choose.randint(0, LAST)
        story.times[key] = (begins, choose.choice([begins, begins, choose.randint(begins, LAST)]))
    return story


def packets_of(story: Story, choose: random.Random, services: list[str], count: int) -> list[Packet]:
    """Openers of a service that have a moving device at an end."""
    found: list[Packet] = []
    movers = [move.addresses[0] for move in story.moves]
    for _ in range(count * 30 if movers else 0):
        packet = random_packet(story.after, choose, opener=True)
        packet["source" if choose.random() < 0.5 else "destination"] = choose.choice(movers)
        if packet["source"] != packet["destination"] and any(opens(service, packet) for service in services):
            if packet.get("source_port", 1024) >= 1024 or choose.random() < 0.2:
                found.append(packet)
        if len(found) >= count:
            break
    return found


def wrong(story: Story, choose: random.Random, counted: dict[str, int], back: bool = False) -> list[str]:
    """What the closed form says otherwise than the model; of the way ``back``, which is a bound, only what it does not see."""
    proved = story.proved(back=back)
    said = []
    cut = {(item.rule, item.listing.point, item.listing.name) for item in proved.problems if item.listing}
    for name, client, to, services in story.after.rules:
        for packet in packets_of(story, choose, services, 12):
            mine = story.after.segment_of(packet["source"]) == client and story.after.covers(to, packet["destination"])
            if not mine or not (packet.get("source_port", 1024) >= 1024):
                continue
            if story.works_at_the(OLD, packet) and story.works_at_the(NEW, packet):
                counted["both"] += 1
                stopping = story.cut_back(packet) if back else story.cut(packet)
                counted["cut"] += bool(stopping)
                said += [f"{name} is cut by {key}: {packet}" for key in stopping if (name, *key) not in cut]
    opened = {item.name for item in proved.problems if item.kind == NEVER_OPEN}
    for number, (must, client, server, services) in enumerate(story.after.guardrails):
        for packet in packets_of(story, choose, services, 12) if must == "never" else ():
            if (story.after.segment_of(packet["source"]), story.after.segment_of(packet["destination"])) != (
                client,
                server,
            ):
                continue
            if not story.works_at_the(OLD, packet, True) and not story.works_at_the(NEW, packet, True):
                counted["closed"] += 1
                if story.open_back(packet) if back else story.open(packet):
                    counted["opened"] += 1
                    said += [] if f"g{number}" in opened else [f"g{number} is open: {packet}"]
    for item in proved.problems:
        said += refuted(story, item) if not back else []
        counted[item.kind] = counted.get(item.kind, 0) + 1
    return said


def refuted(story: Story, item: Mixed) -> list[str]:
    """Why a problem is none, by the model: its packet has to work (or to be stopped) at both ends, and not in between."""
    packet = as_dict(item.packet)
    if item.kind == NEVER_OPEN:
        ends = [story.works_at_the(end, packet, True) for end in (OLD, NEW)]
        return [] if not any(ends) and story.open(packet) else [f"{item.name} is not open: {packet} {ends}"]
    ends = [story.works_at_the(end, packet) for end in (OLD, NEW)]
    return (
        [] if all(ends) and story.cut(packet) else [f"{item.kind} {item.name} {item.rule} is not cut: {packet} {ends}"]
    )


@pytest.mark.one_python
def test_every_mix_of_moved_devices_and_new_lists_agrees_with_the_model(full: bool) -> None:
    counted = dict.fromkeys(("both", "cut", "closed", "opened"), 0)
    for seed in range(1000 if full else 3):
        assert wrong(random_story(seed), random.Random(seed), counted) == [], seed
    assert counted["both"] > 10 and counted["cut"] > 5, counted
    assert not full or min(counted["closed"], counted["opened"], counted["workflow"], counted["always"]) > 50, counted


@pytest.mark.one_python
def test_every_mix_on_the_way_back_is_seen(full: bool) -> None:
    counted = dict.fromkeys(("both", "cut", "closed", "opened"), 0)
    for seed in range(500 if full else 2):
        assert wrong(random_story(seed), random.Random(seed), counted, back=True) == [], seed
    assert counted["both"] > 10 and counted["cut"] > 5, counted
    assert not full or min(counted.values()) > 50, counted


def nothing(proof: Any, *_args: Any, **_more: Any) -> Any:
    return proof.space.empty


# What each does wrong, by the name of a part of the proof, and a seed whose story shows it.
MUTANTS: dict[str, tuple[str, Any, int]] = {
    "ends move together": (
        "_mixes_of",
        lambda _p, v: ((OLD, OLD), (NEW, NEW)) if v.listing.kind in CARRIERS else (),
        1,
    ),
    "states have no time": ("untimely", nothing, 1),
    "versions and states never meet": ("_timely", nothing, 1),
    "every state at every moment": ("_possible", lambda _p, openers, *_more: openers, 1),
}


@pytest.mark.one_python
@pytest.mark.parametrize(
    "mutant", [pytest.param(name, marks=() if name in QUICK else pytest.mark.full) for name in sorted(MUTANTS)]
)
def test_a_proof_that_forgets_something_is_found_out(mutant: str, monkeypatch: pytest.MonkeyPatch, full: bool) -> None:
    name, wrongly, seed = MUTANTS[mutant]
    monkeypatch.setattr(_Moves, name, wrongly)
    counted = dict.fromkeys(("both", "cut", "closed", "opened"), 0)
    for number in range(seed, seed + (60 if full else 1)):
        if wrong(random_story(number), random.Random(number), counted):
            print("found", mutant, number)
            return
    pytest.fail(f"nobody noticed in {counted}")


@pytest.mark.one_python
def test_proofs_in_one_space_are_those_by_themselves(full: bool) -> None:
    """What one proof keeps says nothing wrong to the next, also where the address levels of the space are cut in between."""
    space, problems = PacketSpace(), 0
    for seed in range(60) if full else (1,):
        story = random_story(seed)
        alone, table = story.proved(), space.nodes
        assert not full or story.proved(space=space) == alone
        space.from_boxes(
            [Box(source=masked([(0, (1 << 32) - 1)], 0, 0x155 << seed % 20)), Box(destination_port=IntervalSet.of(7))]
        )
        assert seed > 1 or space.nodes is not table
        assert story.proved(space=space) == alone
        assert not full or story.proved(back=True, space=space) == story.proved(back=True)
        problems += len(alone.problems)
    assert problems


def test_a_list_is_read_once_whoever_its_devices_are(monkeypatch: pytest.MonkeyPatch) -> None:
    read, made = list[object](), points.verdicts
    monkeypatch.setattr(points, "verdicts", lambda *given: read.append(given) or made(*given))
    story, space = random_story(1), PacketSpace()
    listing = next(item for item in story.new.lists if item.kind == "dacl" and len(item.aces) > 2)
    names = sorted(name for name, members in story.new.site.members.items() if members)
    nobody = replace(story.new.site, members=dict.fromkeys(names, ()))
    first, second = (points.list_sets(space, site, listing) for site in (story.new.site, nobody))
    again = points.list_sets(space, nobody, replace(listing, aces=(*listing.aces[:1], *listing.aces[1:])))
    assert len(read) == 1
    assert (first.passes, first.may_pass) == (second.passes, second.may_pass) == (again.passes, again.may_pass)
    assert not second.may_see
    alone = PacketSpace()
    assert first.passes.boxes() == points.list_sets(alone, story.new.site, listing).passes.boxes()
    for other in (replace(listing, default_permit=not listing.default_permit), replace(listing, aces=listing.aces[1:])):
        assert points.list_sets(space, nobody, other).passes != first.passes
    assert len(read) == 4
    swapped = [answers_of(packets) for packets in (first.passes, second.passes)]
    assert swapped[0] == swapped[1] and openers_of(first.passes) != swapped[0]
    assert openers_of(first.passes) == openers_of(first.passes)


def test_a_list_is_looked_up_wherever_it_may_see_a_packet() -> None:
    """By single values: nothing that has one among those asked for is left out, however wide it is, and few others are named."""
    choose = random.Random(8)
    sets = [
        [IntervalSet.of(*((low, low + choose.choice((0, 3, 40, 900))) for low in choose.sample(range(1000), 3)))]
        for _ in range(120)
    ]
    places, named, meant = _Places(sets), 0, 0
    for low in range(0, 1100, 7):
        asked = IntervalSet.of((low, low + choose.randint(0, 9)), 5000)
        having = {number for number, own in enumerate(sets) if any(values.overlaps(asked) for values in own)}
        assert having <= places.at(asked)
        named, meant = named + len(places.at(asked)), meant + len(having)
    assert meant <= named < 157 * 120 and _Places([]).at(IntervalSet.of(1)) == set()


def test_what_a_set_holds_of_other_protocols_is_no_answer() -> None:
    """A set may be told in boxes of ICMP and TCP with details that only one of them has: those are no openers, and no answers."""
    space = PacketSpace()
    whole, ports = IntervalSet.of(0), IntervalSet.of((1024, 65535))
    syn_ack = Box(protocol=IntervalSet.of(6), detail=IntervalSet.of(18), fragment=whole,
                  source_port=IntervalSet.of((0, 79), (81, 65535)), destination_port=ports)  # fmt: skip
    icmp = Box(protocol=IntervalSet.of(1), detail=IntervalSet.of((4096, 4351), (4608, 4863)), fragment=whole)
    found = space.from_boxes((syn_ack, icmp))
    assert any(len(box.protocol.pairs) == 2 for box in found.boxes())
    asked = space.from_box(
        syn_ack.replace(detail=IntervalSet.of(2), source_port=ports, destination_port=syn_ack.source_port)
    )
    assert tcp_only(openers_of(found)) == asked
    assert tcp_only(answers_of(asked | space.from_box(icmp))) == space.from_box(syn_ack)
