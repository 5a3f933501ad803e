# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change means: conversations lost and gained end to end, for all packets, in the names that people use.

Lost is what no list stopped before and some list stops now; gained is the reverse. Only lists that differ in meaning can contribute, so
only those are compared, and what they lose or gain counts only as far as every other list lets it pass. A list is counted where it surely
sees a packet. Nothing is told about packets that no list sees.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_of_micros
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import pieces_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.index import kept_index
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.sides import TOP
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.compare import compare
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSet, PacketSpace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Box
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import ANY, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.bulk import BulkEvaluator
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.conversations import (
    SYN_ACK,
    WHOLE,
    conversation_boxes,
    rule_boxes,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import Columns
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.lines import touching
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.naming import Naming, service_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.openers import (
    answered_boxes,
    answers_of,
    icmp_only,
    openers_of,
    stopped,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.points import (
    ListSets,
    enforces,
    first_match,
    judges_icmp_answers,
    list_sets,
    visible,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.rollout import State
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.versions import differing, same_list

np = guarded("numpy")

BOX_LIMIT = 400
LOST, GAINED = "lost", "gained"


@dataclass(frozen=True)
class MeaningRow:
    """Conversations lost or gained: client, server and service in names, one packet, the lists that changed, and how often it was seen."""

    change: str
    client: str
    server: str
    service: str
    witness: str
    points: tuple[str, ...]
    conversations: int = 0
    flows: int = 0
    last_us: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for results and reports."""
        return {
            "change": self.change,
            "client": self.client,
            "server": self.server,
            "service": self.service,
            "witness": self.witness,
            "points": list(self.points),
            "seen_conversations": self.conversations,
            "seen_flows": self.flows,
            "last_seen": iso_of_micros(self.last_us) if self.last_us else "",
        }


@dataclass(frozen=True)
class Meaning:
    """The change between two states. ``rows`` are bounded, ``left_out`` says how many boxes are not told.

    ``answers``: what is gained or lost only because the answer to a conversation without a handshake (UDP) passes a stateless list.
    ``text_only``: lists whose text changed and whose meaning did not.
    """

    rows: tuple[MeaningRow, ...] = ()
    left_out: int = 0
    answers: int = 0
    lists_changed: int = 0
    text_only: int = 0
    seen_lost: int = 0
    seen_gained: int = 0
    recorded: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether the change has no meaning: no conversation is lost or gained."""
        return not self.rows and not self.answers

    def sentence(self) -> str:
        """Return the change in one sentence."""
        if self.is_empty:
            return "no change in meaning"
        count = Counter(row.change for row in self.rows)
        text = f"{count[LOST]} kinds of conversations lost, {count[GAINED]} gained"
        text += f" and {self.left_out} more not told one by one" if self.left_out else ""
        return f"{text}; of {self.recorded} recorded conversations {self.seen_lost} would be cut and {self.seen_gained} would begin to pass"

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for results and reports."""
        return {
            "empty": self.is_empty,
            "sentence": self.sentence(),
            "rows": [row.as_dict() for row in self.rows],
            "left_out": self.left_out,
            "answer_boxes": self.answers,
            "lists_changed": self.lists_changed,
            "text_only": self.text_only,
            "seen_lost": self.seen_lost,
            "seen_gained": self.seen_gained,
            "recorded": self.recorded,
            "reach": "all openers and first answers that some list surely sees",
        }


def change_of_meaning(before: State, after: State, history: Columns | None = None) -> Meaning:
    """Return what a change from one state to another means. Equal meaning gives an empty result whatever the texts look like."""
    found = _Difference(before, after)
    counted = _Seen.of(before, after, history)
    rows: list[MeaningRow] = []
    left_out = answers = 0
    for change, packets, state in ((LOST, found.lost, before), (GAINED, found.gained, after)):
        if not packets:
            continue
        plain = packets - found.answers_of(state, packets)
        answers += len((packets - plain).boxes(BOX_LIMIT)) if packets != plain else 0
        boxes = plain.boxes(BOX_LIMIT + 1)
        left_out += max(0, len(boxes) - BOX_LIMIT)
        rows += _rows(change, plain, boxes[:BOX_LIMIT], state.site, found, counted)
    return Meaning(
        tuple(rows), left_out, answers, found.changed, found.text_only, counted.total(LOST), counted.total(GAINED), counted.recorded
    )  # fmt: skip


@dataclass
class _Difference:
    """Openers lost and gained, in one space of packets."""

    before: State
    after: State
    space: PacketSpace = field(default_factory=PacketSpace)
    changed: int = 0
    text_only: int = 0
    where: list[tuple[str, str, PacketSet]] = field(default_factory=list)  # change, point, openers

    def __post_init__(self) -> None:
        self._sets: dict[tuple[bool, int], ListSets] = {}
        self._moved: dict[str, bool] = {}
        old = {(item.point, item.name, item.family): item for item in self.before.lists if enforces(item)}
        new = {(item.point, item.name, item.family): item for item in self.after.lists if enforces(item)}
        lost, gained = [], []
        for key in sorted(old.keys() | new.keys()):
            one, two = old.get(key), new.get(key)
            if one and two and same_list(one, two) and self._same_view(one, two):
                continue
            was, will = self._stops(one, two)
            self.changed += bool(was or will)
            self.text_only += not (was or will)
            lost.append(will)
            gained.append(was)
            self.where += [(LOST, key[0], will), (GAINED, key[0], was)]
        self.lost = self._passing(self.space.union(lost), self.before)
        self.gained = self._passing(self.space.union(gained), self.after)

    def _same_view(self, one: PointList, two: PointList) -> bool:
        old, new = self.before.site, self.after.site
        if old is new:
            return True
        if any(self._other_members(name) for name in (one.segment, one.peer) if name):
            return False
        moved = old.paths != new.paths or old.points.get(one.point) != new.points.get(two.point)
        if moved or one.kind in ("firewall", "router_acl"):
            return visible(old, one, surely=True) == visible(new, two, surely=True)
        return True

    def _other_members(self, segment: str) -> bool:
        found = self._moved.get(segment)
        if found is None:
            members = (state.site.members.get(segment) for state in (self.before, self.after))
            found = self._moved[segment] = next(members) != next(members)
        return found

    def _stops(self, one: PointList | None, two: PointList | None) -> tuple[PacketSet, PacketSet]:
        """Return the openers that only the old list stops, and those that only the new one does."""
        if one and two and self._same_view(one, two):
            short = differing(one, two)
            found = compare(first_match(short[0]), first_match(short[1]), self.space)
            sees = self.space.from_boxes(visible(self.after.site, two, surely=True))
            return self._openers(found.only_in_second, sees, one), self._openers(found.only_in_first, sees, two)
        empty = self.space.empty
        was = self._stopped_by(self.before, one) if one else empty
        will = self._stopped_by(self.after, two) if two else empty
        return was - will, will - was

    def _stopped_by(self, state: State, listing: PointList) -> PacketSet:
        item = list_sets(self.space, state.site, listing)
        return self._openers(self.space.everything - item.may_pass, item.sees, listing)

    def _openers(self, packets: PacketSet, sees: PacketSet, listing: PointList) -> PacketSet:
        """Return the openers among packets that a list sees, and those whose answers are among them and seen.

        A firewall sees an answer where it saw the opener, and only those of ICMP at an ASA meet its lines.
        """
        seen = packets & sees
        if listing.stateful:
            forward = seen & self.universe
            if not judges_icmp_answers(listing):
                return forward
            pings = icmp_only(sees & self.universe) if packets else packets
            return forward | (openers_of(answers_of(pings) & packets) & pings) if pings else forward
        if not seen:
            return seen
        return (seen & self.universe) | (openers_of(seen & self.answers) & self.universe)

    @property
    def universe(self) -> PacketSet:
        """Everything that can open a conversation."""
        if not hasattr(self, "_universe"):
            boxes = conversation_boxes(self.after.site, ANY, ANY, (ANY,)).forward
            self._universe = self.space.from_boxes(boxes)
        return self._universe

    @property
    def answers(self) -> PacketSet:
        """Every first answer: TCP with SYN and ACK, whole packets of other protocols."""
        tcp = IntervalSet.of(6, 262)
        boxes = [
            Box(protocol=tcp, detail=SYN_ACK, fragment=WHOLE),
            Box(protocol=IntervalSet.of((0, 511)).subtract(tcp), fragment=WHOLE),
        ]
        return self.space.from_boxes(boxes)

    def answers_of(self, state: State, packets: PacketSet) -> PacketSet:
        """Return the packets without a handshake that answer some rule: stateless lists must pass them, whoever sends them first.

        Right for those among ``packets``.
        """
        tcp = IntervalSet.of(6, 262)
        near = packets.boxes()
        if not any(box.protocol.subtract(tcp) for box in near):
            return self.space.empty
        index = kept_index(state.site)
        clients = {
            name
            for family, top in TOP.items()
            for box in near
            for name in index.segments_among(box.destination.intersect(top), family)
        }
        boxes = (
            box
            for name in sorted(clients & state.site.segments.keys())
            for rule in state.site.segments[name].allow
            for box in rule_boxes(state.site, rule).reply
            if not box.protocol.overlaps(tcp) and any(box.overlaps(each) for each in near)
        )
        return self.space.from_boxes(boxes)

    def _passing(self, openers: PacketSet, state: State) -> PacketSet:
        """Return the openers that no list of a state stops."""
        rest = openers
        for number, listing in enumerate(state.lists):
            if not rest:
                break
            if not enforces(listing):
                continue
            if pieces_of(listing) is not None:
                near = list(rest.boxes())
                near += answered_boxes(near) if judges_icmp_answers(listing) else ()
                rest = rest - stopped(rest, list_sets(self.space, state.site, touching(listing, near)), surely=True)
                continue
            part = _concerned(state.site, listing, rest)
            if not part:
                continue
            key = (state is self.before, number)
            if key not in self._sets:
                self._sets[key] = list_sets(self.space, state.site, listing)
            rest = rest - stopped(part, self._sets[key], surely=True)
        return rest

    def points_of(self, change: str, packets: PacketSet) -> tuple[str, ...]:
        """Return the enforcement points whose change lost or gained some of the packets."""
        return tuple(
            dict.fromkeys(point for what, point, own in self.where if what == change and own.overlaps(packets))
        )


def _concerned(site: Site, listing: PointList, packets: PacketSet) -> PacketSet:
    """Return the openers of which a list may see themselves or their answers, by the addresses of its segment.

    To ask for the answers of all others would cost most of a change that touches many lists.
    """
    if not listing.segment:
        return packets
    if not any(member.addresses for member in site.members.get(listing.segment, ())):
        return packets.space.empty
    sources = dict.fromkeys(box.source for box in visible(site, listing, surely=True))
    sides = [side for source in sources for side in (Box(source=source), Box(destination=source))]
    return packets & packets.space.from_boxes(sides)


@dataclass
class _Seen:
    """Recorded conversations that a change cuts or lets pass, by segments and service."""

    recorded: int = 0
    rows: dict[str, dict[tuple[str, str, int, int], list[int]]] = field(default_factory=dict)

    @classmethod
    def of(cls, before: State, after: State, history: Columns | None) -> _Seen:
        if history is None or not len(history):
            return cls()
        old, new = BulkEvaluator(before.site, before.lists), BulkEvaluator(after.site, after.lists)
        was, will = old.verdicts(history).permitted, new.verdicts(history).permitted
        made = cls(len(history))
        for change, mask, bulk in ((LOST, was & ~will, old), (GAINED, will & ~was, new)):
            rows = np.flatnonzero(mask)
            part = history.taken(rows)
            client, server = (bulk.segment_of(bulk.places(part, end)) for end in ("client", "server"))
            found: dict[tuple[str, str, int, int], list[int]] = {}
            for row in range(len(rows)):
                names = [bulk.segments[n] if n >= 0 else "" for n in (client[row], server[row])]
                entry = found.setdefault(
                    (names[0], names[1], int(part.protocol[row]), int(part.server_port[row])), [0, 0, 0]
                )
                entry[0] += 1
                entry[1] += int(part.flows[row])
                entry[2] = max(entry[2], int(part.last_us[row]))
            made.rows[change] = found
        return made

    def total(self, change: str) -> int:
        return sum(entry[0] for entry in self.rows.get(change, {}).values())

    def within(self, change: str, clients: Sequence[str], servers: Sequence[str], box: Box) -> tuple[int, int, int]:
        """Return conversations, flows and last time of what was seen between segments with the services of a box."""
        count = flows = last = 0
        for (client, server, protocol, port), entry in self.rows.get(change, {}).items():
            if client not in clients or server not in servers:
                continue
            field_of = box.detail if protocol in (1, 58) else box.destination_port
            if not (box.protocol.contains(protocol) or box.protocol.contains(256 + protocol)) or not field_of.contains(
                port
            ):
                continue
            count, flows, last = count + entry[0], flows + entry[1], max(last, entry[2])
        return count, flows, last


def _rows(
    change: str, packets: PacketSet, boxes: Iterable[Box], site: Site, found: _Difference, counted: _Seen
) -> Iterator[MeaningRow]:
    naming = Naming(site)
    merged: dict[tuple[str, str, str], tuple[list[Box], list[str], list[str]]] = {}
    for box in boxes:
        for part in naming.by_family(box):
            client, clients = naming.name(part.source, part)
            server, servers = naming.name(part.destination, part)
            key = (client, server, service_of(site, part))
            entry = merged.setdefault(key, ([], [], []))
            entry[0].append(part)
            entry[1].extend(clients)
            entry[2].extend(servers)
    for (client, server, service), (own, clients, servers) in sorted(merged.items()):
        whole = packets & packets.space.from_boxes(own)
        packet = whole.witness()
        seen = counted.within(change, clients, servers, own[0])
        text = packet.describe() if packet else ""
        yield MeaningRow(change, client, server, service, text, found.points_of(change, whole), *seen)
