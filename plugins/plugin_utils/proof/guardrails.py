# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guardrails: must-always and must-never statements, proved for all packets they cover."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce import codes as codes_of_lists
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import (
    ListCache,
    Pieces,
    key_of,
    list_key,
    pieces_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_lists
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.index import SiteIndex, kept_index
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.layer_two import (
    frames_of,
    share_subnet,
    text_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.sides import TOP
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSet, PacketSpace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Box, Packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.cells import raised
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import ANY, Guardrail, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.conversations import (
    SYN_ACK,
    SYN_ONLY,
    TCP_PACKETS,
    UNPRIVILEGED,
    WHOLE,
    ConversationBoxes,
    conversation_boxes,
    tcp_mirrored,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.lines import (
    FirstPermits,
    line_may_touch,
    permits_nothing_of,
    reduced,
    touching,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.points import (
    FAMILY_PROTOCOLS,
    ListSets,
    enforces,
    judged_answers,
    list_sets,
    visible,
)

DHCP_NOTE = "apart from DHCP requests (udp 68 to 67), which every access port passes"
DHCP_REQUESTS = Box(
    protocol=IntervalSet.single(17),
    fragment=IntervalSet.single(0),
    source_port=IntervalSet.single(68),
    destination_port=IntervalSet.single(67),
)
IPV6_NOTE = "apart from DHCPv6 requests, neighbour discovery and errors of IPv6, which every access port passes"
# Neighbour discovery is dropped beyond the link (RFC 4861 section 7.1), listener reports are for routers (RFC 3810); type 4 is an error.
IPV6_BOOTSTRAP = (
    Box(
        protocol=IntervalSet.single(256 + 17),
        fragment=IntervalSet.single(0),
        source_port=IntervalSet.single(546),
        destination_port=IntervalSet.single(547),
    ),
    Box(
        protocol=IntervalSet.single(256 + 58),
        fragment=IntervalSet.single(0),
        detail=IntervalSet.of(*((kind * 256, kind * 256 + 255) for kind in (4, 131, 132, 133, 135, 136, 143))),
    ),
)


@dataclass(frozen=True)
class GuardrailResult:
    """Outcome of one guardrail: ``proved``, ``violated``, ``not enforced`` or ``empty``, with a witness packet's text.

    ``point`` is where a must-always is stopped. ``note`` limits what was proved.
    """

    id: str
    must: str
    outcome: str
    point: str = ""
    witness: str = ""
    note: str = ""
    packet: Packet | None = field(default=None, compare=False, repr=False)


@dataclass
class _Seen:
    """The lists of a site as sets of one space, each made when some packets need it."""

    space: PacketSpace
    site: Site
    lists: Sequence[PointList]
    cache: ListCache | None
    _sets: dict[tuple[int, str], ListSets] = field(default_factory=dict)

    _views: dict[tuple[int, bool], list[Box]] = field(default_factory=dict)
    _holders: dict[tuple[Box, ...], tuple[str, ...]] = field(default_factory=dict)

    def _view(self, number: int, surely: bool) -> list[Box]:
        """Return what a list surely sees, or what it may see."""
        found = self._views.get((number, surely))
        if found is None:
            found = self._views[number, surely] = visible(self.site, self.lists[number], surely=surely)
        return found

    @cached_property
    def _index(self) -> SiteIndex:
        return kept_index(self.site)

    @cached_property
    def _by_sender(self) -> tuple[list[int], dict[str, list[int]]]:
        """Places of lists: of those on routes, and of those of each segment."""
        routed: list[int] = []
        of_segment: dict[str, list[int]] = defaultdict(list)
        for number, item in enumerate(self.lists):
            if item.kind in ("firewall", "router_acl"):
                routed.append(number)
            else:
                of_segment[item.segment].append(number)
        return routed, of_segment

    def _segments(self, boxes: Sequence[Box]) -> tuple[str, ...]:
        """Return the segments of the devices that may have sent packets of some boxes."""
        asked = tuple(boxes)
        found = self._holders.get(asked)
        if found is None:
            found = self._holders[asked] = self._among((box.protocol, box.source) for box in boxes)
        return found

    def _among(self, ends: Iterable[tuple[IntervalSet, IntervalSet]]) -> tuple[str, ...]:
        """Return the segments with devices among some addresses, each with the protocols for which it is asked; sorted."""
        found: set[str] = set()
        for protocols, addresses in ends:
            for family, top in TOP.items():
                if protocols.overlaps(FAMILY_PROTOCOLS[family]):
                    found |= set(self._index.segments_among(addresses.intersect(top), family))
        return tuple(sorted(found))

    def near(self, boxes: Sequence[Box], *, surely: bool) -> Iterator[tuple[int, PointList]]:
        """Yield place and list of those that see, or may see, some packet of the boxes."""
        routed, of_segment = self._by_sender
        numbers, lists = list(routed), self.lists
        receivers = {"", *self._among((box.protocol, box.destination) for box in boxes)}
        for segment in self._segments(boxes):  # a list on a port, or a cell, sees what its segment's devices send
            numbers += [number for number in of_segment.get(segment, ()) if lists[number].peer in receivers]
        for number in sorted(numbers):
            if any(view.overlaps(box) for view in self._view(number, surely) for box in boxes):
                yield number, self.lists[number]

    def sets(self, number: int, boxes: Sequence[Box]) -> ListSets:
        """Return the sets of a list, right for packets of the boxes: lines that cannot match one are left out."""
        question = _question(boxes)
        found = self._sets.get((number, question))
        if found is None:
            listing = self.lists[number]
            if enforces(listing):
                listing = touching(self._around(listing, boxes, question), boxes)
            found = self._sets[number, question] = list_sets(self.space, self.site, listing)
        return found

    def _around(self, listing: PointList, boxes: Sequence[Box], question: str) -> PointList:
        """Return a firewall's list without the rules of clients that are none of the boxes', or that permit none of their packets."""
        pieces = pieces_of(listing)
        if pieces is None:
            return listing
        names = pieces.concerned(self._segments(boxes))
        return pieces.around(name for name in names if not self._untouched(pieces, name, boxes, question))

    def _untouched(self, pieces: Pieces, segment: str, boxes: Sequence[Box], question: str) -> bool:
        """Return whether no rule of a client segment permits a packet of the boxes at a firewall."""
        key = pieces.key(segment)
        return not key or self._kept(
            "untouched", key, question, lambda: not any(line_may_touch(ace, boxes) for ace in pieces.lines(segment))
        )

    def views(self) -> list[list[Box]]:
        """Return what each list surely sees."""
        return [self._view(number, True) for number in range(len(self.lists))]

    def surely_seen(self, number: int) -> list[Box]:
        """Return what a list surely sees."""
        return self._view(number, True)

    def closed(self, number: int, boxes: Sequence[Box], question: str) -> bool:
        """Return whether a list surely stops every packet of the boxes, by its lines alone."""
        listing = self.lists[number]
        if not enforces(listing):
            return False
        pieces = pieces_of(listing)
        if pieces is None:
            return self._kept("closed", list_key(listing), question, lambda: permits_nothing_of(listing, boxes))
        names = pieces.concerned(self._segments(boxes))
        if not self._kept("closed", pieces.frame_key, question, lambda: permits_nothing_of(pieces.frame, boxes)):
            return False
        return all(self._untouched(pieces, name, boxes, question) for name in names)

    def passes(self, number: int, box: Box, boxes: Sequence[Box]) -> bool:
        """Return whether one line of a list surely passes a box, one of those that are asked about together."""
        listing = self.lists[number]
        pieces = pieces_of(listing)
        key = list_key(listing)
        names: tuple[str, ...] = ()
        if pieces is not None:
            names = pieces.concerned(self._segments(boxes))
            key = key_of([pieces.key(name) for name in names], pieces.frame_key)
        question = _question([box])
        return self._kept("passes", key, question, lambda: FirstPermits.of(reduced(listing, names)).pass_surely(box))

    def _kept(self, what: str, key: str, question: str, prove: Callable[[], bool]) -> bool:
        if self.cache is None or not key:
            return prove()
        fact = key_of(what, key, question)
        if self.cache.holds(fact):
            return True
        found = prove()
        if found:
            self.cache.keep(fact)
        return found


def _turned(boxes: Iterable[Box]) -> list[Box]:
    """Return boxes that hold every TCP answer to openers of some boxes."""
    return [
        Box(protocol=box.protocol.intersect(TCP_PACKETS), source=box.destination, destination=box.source, fragment=WHOLE,
            source_port=box.destination_port, destination_port=box.source_port)
        for box in boxes
    ]  # fmt: skip


def _question(boxes: Sequence[Box]) -> str:
    return key_of([[values.pairs for values in box.sets()] for box in boxes])


@dataclass
class _Proof:
    """The lists of one site, now and at stage enforce."""

    site: Site
    lists: Sequence[PointList]
    cache: ListCache | None = None
    space: PacketSpace = field(default_factory=PacketSpace)

    @cached_property
    def now(self) -> _Seen:
        """The lists given."""
        return _Seen(self.space, self.site, self.lists, self.cache)

    @cached_property
    def at_enforce(self) -> _Seen | None:
        """The lists with every assigned segment and cell at stage enforce; None where all are there already."""
        site = raised(self.site, self.site.assignments, cells=True)
        if site is None:
            return None
        return _Seen(self.space, site, compile_lists(site, self.cache), self.cache)

    @cached_property
    def unassigned(self) -> dict[str, PacketSet]:
        """Packets from and to the members of each segment that no point is assigned to."""
        names = [n for n in self.site.segments if n not in self.site.assignments or not self.site.assignments[n].points]
        return {name: self._openers(name, ANY, (ANY,)) | self._openers(ANY, name, (ANY,)) for name in names}

    def _openers(self, client: str, server: str, services: Sequence[str]) -> PacketSet:
        return self.space.from_boxes(conversation_boxes(self.site, client, server, services).forward)

    def reaching(self, boxes: Sequence[Box], seen: _Seen) -> PacketSet:
        """Return the openers that nothing stops: neither themselves nor, for TCP, the SYN-ACK on its way back.

        A UDP datagram and an ICMP message do their work without an answer, so only TCP counts as stopped by its reply. Lists without a
        permit for any of the openers come first: what they see is away without a look at their packets.
        """
        rest = self.space.from_boxes(boxes)
        question = _question(boxes)
        open_lists = []
        for number, _listing in seen.near(boxes, surely=True):
            if seen.closed(number, boxes, question):
                rest = rest - self.space.from_boxes(seen.surely_seen(number))
                if not rest:
                    return rest
            else:
                open_lists.append(number)
        for number in open_lists:
            item = seen.sets(number, boxes)
            rest = rest - ((rest & item.sees) - item.may_pass)
            if not rest:
                return rest
        answers = tcp_mirrored(self.space, rest, SYN_ACK)
        if not answers:
            return rest
        back = [box for box in _turned(boxes) if not box.is_empty]
        stopped = []
        for number, listing in seen.near(back, surely=True):
            if not listing.stateful:
                item = seen.sets(number, back)
                stopped.append((answers & item.sees) - item.may_pass)
        return rest - tcp_mirrored(self.space, self.space.union(stopped), SYN_ONLY)

    def permitting_rule(self, openers: PacketSet) -> tuple[str, PacketSet]:
        """Return the first rule that permits some of the openers and those it permits; ("", empty) where none does."""
        wanted = openers.boxes()
        for rule in self.site.rules():
            boxes = conversation_boxes(self.site, rule.client, rule.to, rule.services).forward
            near = [box for box in boxes if any(box.overlaps(other) for other in wanted)]
            found = openers & self.space.from_boxes(near)
            if found:
                return rule.id, found
        return "", self.space.empty


def prove_guardrails(
    site: Site, lists: Sequence[PointList], cache: ListCache | None = None
) -> tuple[list[GuardrailResult], list[Finding]]:
    """Return the outcome of every guardrail for all packets it covers, and its findings.

    ``cache``: that with which the lists were made; lists that are known to permit none of a guardrail's openers are not made again.
    """
    proof = _Proof(site, lists, cache)
    results: list[GuardrailResult] = []
    findings: list[Finding] = []
    for guardrail in site.guardrails:
        prove = _below_ip if frames_of(site, guardrail.services) else _always if guardrail.must == "always" else _never
        result, finding = prove(proof, guardrail)
        results.append(result)
        if finding is not None:
            findings.append(finding)
    return results, findings


def _below_ip(proof: _Proof, guardrail: Guardrail) -> tuple[GuardrailResult, Finding | None]:
    """No list stops frames without IP: a must-always holds for them, a must-never only where the ends share no subnet."""
    site, frames = proof.site, frames_of(proof.site, guardrail.services)
    rest = tuple(name for name in guardrail.services if name == ANY or site.services[name].matches)
    if guardrail.must == "always":
        note = f"{text_of(frames)} passes every list"
    elif share_subnet(site, guardrail.client, guardrail.server):
        text = f"guardrail {guardrail.id}: no enforcement point sees {text_of(frames)}, and the ends share a subnet{_why(guardrail)}"
        hint = codes_of_lists.LAYER_TWO.remedy
        result = GuardrailResult(guardrail.id, guardrail.must, "violated", witness=text_of(frames))
        return result, codes.NEVER_VIOLATED.at(text, guardrail.location, hint)
    else:
        note = f"{text_of(frames)} does not leave a subnet, and the ends share none"
    if not rest:
        return GuardrailResult(guardrail.id, guardrail.must, "proved", note=note), None
    prove = _always if guardrail.must == "always" else _never
    result, finding = prove(proof, replace(guardrail, services=rest))
    return replace(result, note="; ".join(part for part in (result.note, note) if part)), finding


def _always(proof: _Proof, guardrail: Guardrail) -> tuple[GuardrailResult, Finding | None]:
    """Every opener from a usual client port (1024 and above) and its reply must pass every list that may see it.

    Where it does now, but would not with every assigned segment at stage enforce, a warning says so.
    """
    boxes = conversation_boxes(proof.site, guardrail.client, guardrail.server, guardrail.services, UNPRIVILEGED)
    forward, reply = proof.space.from_boxes(boxes.forward), proof.space.from_boxes(boxes.reply)
    if not forward:
        return _empty(guardrail)
    found = _first_stop(proof.now, boxes, forward, reply)
    if found:
        place, direction, packet = found
        text = f"guardrail {guardrail.id}: list {place.name} at {place.point} stops ({direction}) {packet.describe()}{_why(guardrail)}"
        return _result(guardrail, "violated", packet, place.point), codes.ALWAYS_VIOLATED.at(text, guardrail.location)
    later = None if proof.at_enforce is None else _first_stop(proof.at_enforce, boxes, forward, reply)
    if later is None:
        return GuardrailResult(guardrail.id, "always", "proved"), None
    place, direction, packet = later
    note = f"only until stage enforce: list {place.name} at {place.point} will stop ({direction}) {packet.describe()}"
    finding = codes.ALWAYS_ENDS.at(f"guardrail {guardrail.id} holds {note}", guardrail.location)
    return GuardrailResult(guardrail.id, "always", "proved", note=note), finding


def _first_stop(
    seen: _Seen, boxes: ConversationBoxes, forward: PacketSet, reply: PacketSet
) -> tuple[PointList, str, Packet] | None:
    """Return the first list that may stop an opener or a reply, which of the two, and one such packet."""
    ways = [("forward", boxes.forward, forward), ("reply", boxes.reply, reply)]
    near = [dict(seen.near(own, surely=False)) for _direction, own, _packets in ways]
    for number in sorted({*near[0], *near[1]}):
        for (direction, own, packets), places in zip(ways, near, strict=True):
            listing = places.get(number)
            if listing is None or not enforces(listing):
                continue
            judged = judged_answers(listing, own) if direction == "reply" else own
            if all(seen.passes(number, box, judged) for box in judged):
                continue
            item = seen.sets(number, judged)
            asked = packets if len(judged) == len(own) else packets.space.from_boxes(judged)
            packet = ((asked & item.may_see) - item.passes).witness()
            if packet is not None:
                return listing, direction, packet
    return None


def _never(proof: _Proof, guardrail: Guardrail) -> tuple[GuardrailResult, Finding | None]:
    """Every opener must be stopped by some list that enforces: on its way there, or its reply on the way back."""
    openers = conversation_boxes(proof.site, guardrail.client, guardrail.server, guardrail.services).forward
    if not proof.space.from_boxes(openers):
        return _empty(guardrail)
    rest = proof.reaching(openers, proof.now)
    note = ""
    if ANY in guardrail.services and rest:
        for boxes, text in (([DHCP_REQUESTS], DHCP_NOTE), (IPV6_BOOTSTRAP, IPV6_NOTE)):
            without = rest - proof.space.from_boxes(boxes)
            if without != rest:
                note = f"{note}; {text}" if note else text
            rest = without
    if not rest:
        return GuardrailResult(guardrail.id, "never", "proved", note=note), None
    return _not_kept(proof, guardrail, rest)


def _not_kept(proof: _Proof, guardrail: Guardrail, rest: PacketSet) -> tuple[GuardrailResult, Finding]:
    """Say why some openers pass: a rule permits them, a stage has not come yet, or no point sees them."""
    rule, found = proof.permitting_rule(rest)
    if rule:
        return _violated(proof, guardrail, found, f"rule {rule} permits")
    later = rest if proof.at_enforce is None else proof.reaching(tuple(rest.boxes()), proof.at_enforce)
    if not later:
        return _pending(guardrail, rest, "stops at stage enforce, and not yet,", codes.NEVER_UNENFORCED.remedy)
    missing = [name for name, packets in proof.unassigned.items() if later & packets]
    if not later - proof.space.union(proof.unassigned.values()):
        hint = f"assign {', '.join(missing[:5])} to an enforcement point"
        return _pending(guardrail, later, f"segments without a point ({', '.join(missing[:5])}) leave open", hint)
    return _violated(proof, guardrail, later - proof.space.union(proof.unassigned.values()), "no enforcing list stops")


def _pending(guardrail: Guardrail, rest: PacketSet, why: str, hint: str) -> tuple[GuardrailResult, Finding]:
    packet = rest.witness()
    if packet is None:
        raise ValueError("a violation has a witness packet")
    text = f"guardrail {guardrail.id}: {why} {packet.describe()}"
    return _result(guardrail, "not enforced", packet), codes.NEVER_UNENFORCED.at(text, guardrail.location, hint)


def _violated(proof: _Proof, guardrail: Guardrail, rest: PacketSet, why: str) -> tuple[GuardrailResult, Finding]:
    packet = rest.witness()
    if packet is None:
        raise ValueError("a violation has a witness packet")
    places = dict.fromkeys(
        number for number, view in enumerate(proof.now.views()) if any(_in(packet, box) for box in view)
    )
    text = f"guardrail {guardrail.id}: {why} {packet.describe()}"
    if not places:
        blind = sorted({item.point for item in proof.lists if item.kind == "firewall"})
        text += "; no point sees it" + (f" (its ends lie on one side of {', '.join(blind)})" if blind else "")
    return _result(guardrail, "violated", packet), codes.NEVER_VIOLATED.at(text + _why(guardrail), guardrail.location)


def _in(packet: Packet, box: Box) -> bool:
    return all(values.contains(value) for values, value in zip(box.sets(), packet.values(), strict=True))


def _why(guardrail: Guardrail) -> str:
    """Return what a guardrail is for, in the words of its owner: the part of the message that needs no knowledge of packets."""
    whose = f", {guardrail.owner}" if guardrail.owner else ""
    return f". It stands because: {guardrail.reason} ({guardrail.client} to {guardrail.server}{whose})"


def _result(guardrail: Guardrail, outcome: str, packet: Packet, point: str = "") -> GuardrailResult:
    return GuardrailResult(guardrail.id, guardrail.must, outcome, point, packet.describe(), packet=packet)


def _empty(guardrail: Guardrail) -> tuple[GuardrailResult, Finding]:
    result = GuardrailResult(guardrail.id, guardrail.must, "empty")
    return result, codes.GUARDRAIL_EMPTY.at(f"guardrail {guardrail.id} covers no packet", guardrail.location)
