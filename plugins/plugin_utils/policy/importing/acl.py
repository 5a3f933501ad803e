# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An access list for packets from a segment's devices, as candidate rules.

First match decides, so an entry means what earlier entries leave of it: that is computed as exact packet sets, and a denial before
a permit is never dropped and never guessed about. What answers, what the compiler writes by itself, and what no rule can say are told
apart, each by its line.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code, Finding, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace, ParsedAcl
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import (
    PacketSet,
    PacketSpace,
    verdicts,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import (
    ALL,
    ESTABLISHED,
    IPV4_ADDRESSES,
    IPV4_PROTOCOLS,
    IPV6,
    IPV6_PROTOCOLS,
    PORTS,
    Box,
    FirstMatchList,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.catalogue import (
    Catalogue,
    Traffic,
    traffic_of,
    usable_ports,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.importing import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.importing.names import Names
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.naming import rule_id

WHOLE = IntervalSet.single(0)
TCP, UDP = 6, 17
ICMP = {4: 1, 6: 58}
REQUESTS = {1: {0: 8, 14: 13, 16: 15, 18: 17}, 58: {129: 128}}  # answer type to request type
FLAGS = IntervalSet.of((0, 63))
PIECE_LIMIT = 64
REASON_LIMIT = 400


@dataclass(frozen=True)
class Scope:
    """Whose packets the list judges: those from a segment's devices, and with ``peer`` only those to another segment (a cell).

    ``stateful``: the list judges openers, so that no entry of it is for answers.
    """

    segment: str
    peer: str = ""
    family: int = 4
    file: str = ""
    stateful: bool = False


@dataclass
class Candidates:
    """What a list gives: rules by client segment, new names, and for each entry what became of it."""

    rules: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    networks: dict[str, dict[str, Any]] = field(default_factory=dict)
    entries: list[dict[str, Any]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True)
class _Wanted:
    """Traffic that an entry permits to some addresses (None: any), seen from the opener; ``entry`` is its place in the result."""

    destination: IntervalSet | None
    ace: Ace
    entry: int


@dataclass(frozen=True)
class _Piece:
    """A part of an entry: one protocol (None: every one) with plain fields; None stands for any value."""

    protocol: int | None
    source: IntervalSet | None
    destination: IntervalSet | None
    source_ports: IntervalSet | None
    destination_ports: IntervalSet | None
    detail: IntervalSet | None


def candidates(
    site: Site, source: ParsedAcl, scope: Scope, baseline: FirstMatchList, catalogue: Catalogue | None = None
) -> Candidates:
    """Return what the list becomes. ``baseline`` is the list that the compiler writes for the segment without any rule.

    ``catalogue``: names that imports of the same site before this one made; new ones are added, and the result has all of them.
    """
    return _Import(site, source, scope, baseline, catalogue or Catalogue(site)).result()


class _Import:
    def __init__(
        self, site: Site, source: ParsedAcl, scope: Scope, baseline: FirstMatchList, catalogue: Catalogue
    ) -> None:
        self.site, self.source, self.scope = site, source, scope
        self.space = PacketSpace()
        self.made = Candidates()
        self.catalogue = catalogue
        self.names = Names.of(site, self.catalogue, scope.family)
        # A service below IP says what no entry of an access list can mean.
        usable = [(name, item) for name, item in sorted(site.services.items()) if not item.ethertypes]
        known = [(name, frozenset(_split(traffic_of(service)))) for name, service in usable]
        self.known = sorted(known, key=lambda item: (-len(item[1]), item[0]))
        protocols, addresses = (
            (IPV4_PROTOCOLS, IPV4_ADDRESSES) if scope.family == 4 else (IPV6_PROTOCOLS, ALL["source"])
        )
        self.addresses = addresses
        self.family_box = Box(protocol=protocols, fragment=WHOLE)
        self.own = self.names.segments.get(scope.segment, IntervalSet())
        self.baseline = verdicts(self.space, baseline).permitted
        # (whether it is for answers, traffic or None for every protocol): lines with one host each are one rule to their segment.
        self.wanted: dict[tuple[bool, Traffic | None], list[_Wanted]] = {}
        # (client, server): the smallest parts of traffic, with the entries that permit each.
        self.units: dict[tuple[str, str], dict[Traffic, list[_Wanted]]] = {}

    def result(self) -> Candidates:
        for item in self.source.opaque:
            text = f"line {item.line}: {ascii(item.text)[:120]}: {item.reason}"
            self._say(codes.NOT_UNDERSTOOD, text, item.line)
            self._entry(item.line, item.text, "not understood", [])
        # What earlier entries have decided, and the part of it that they denied.
        decided, denied = self.space.from_boxes(()), self.space.from_boxes(())
        for ace in self.source.aces:
            if ace.inactive:
                self._entry(ace.line, ace.raw, "inactive", [])
                continue
            packets = self._packets(ace)
            left = packets - decided
            decided = decided | packets
            if ace.conditions:
                self._say(codes.CONDITION, f"line {ace.line}: {', '.join(ace.conditions)[:200]}", ace.line)
                self._entry(ace.line, ace.raw, "condition", [])
                if not ace.permit:
                    denied = denied | left
                continue
            if not ace.permit:
                denied = denied | left
                self._entry(ace.line, ace.raw, "deny", [])
                continue
            self._permit(ace, packets, left, denied)
        for (answers, traffic), items in self.wanted.items():
            if answers:
                self._answer_rules(traffic, items)
            else:
                self._forward_rules(traffic, items)
        for (client, to), units in sorted(self.units.items()):
            self._services(client, to, units)
        for entry in self.made.entries:
            entry["rules"] = sorted(set(entry["rules"]))
        self.made.services, self.made.networks = self.catalogue.services, self.catalogue.networks
        for rules in self.made.rules.values():
            rules.sort(key=lambda rule: str(rule["id"]))
        return self.made

    def _packets(self, ace: Ace) -> PacketSet:
        boxes = ace.to_boxes(self.source.fragments_like_ios)
        return self.space.from_boxes(box.intersect(self.family_box) for box in boxes)

    def _say(self, code: Code, text: str, line: int) -> None:
        finding = code.at(text, Location(self.scope.file, line))
        if finding not in self.made.findings:
            self.made.findings.append(finding)

    def _entry(self, line: int, text: str, outcome: str, rules: list[str]) -> None:
        doubtful = any(item.line < line for item in self.source.opaque)
        self.made.entries.append(
            {"line": line, "text": text, "outcome": outcome, "rules": rules, "after_unread_line": doubtful}
        )

    def _permit(self, ace: Ace, packets: PacketSet, left: PacketSet, denied: PacketSet) -> None:
        if not left:
            self._say(codes.NOTHING_LEFT, f"line {ace.line}: {ace.raw}", ace.line)
            self._entry(ace.line, ace.raw, "decides nothing", [])
            return
        if left.is_subset_of(self.baseline):
            self._entry(ace.line, ace.raw, "written by the compiler itself", [])
            return
        if ace.protocol is None and ace.destination is None and ace.source is None and not self.scope.peer:
            self._say(codes.PERMIT_ALL, f"line {ace.line}: {ace.raw}", ace.line)
            self._entry(ace.line, ace.raw, "not imported", [])
            return
        # Only denials narrow what is meant; what earlier permits pass already may be said again.
        cut = packets & denied
        pieces = [_piece_of_ace(ace)] if not cut else self._pieces(packets - denied)
        if cut:
            self._say(codes.CUT, f"line {ace.line}: {ace.raw}", ace.line)
        if len(pieces) > PIECE_LIMIT:
            self._say(codes.TOO_MANY_PIECES, f"line {ace.line}: {ace.raw}", ace.line)
            self._entry(ace.line, ace.raw, "not imported", [])
            return
        place = len(self.made.entries)
        outcomes = {self._piece(piece, ace, place) for piece in pieces}
        order = ("rule", "answer", "blanket answer", "not imported", "other devices")
        self._entry(ace.line, ace.raw, next(name for name in order if name in outcomes), [])

    def _pieces(self, packets: PacketSet) -> list[_Piece]:
        return [piece for box in packets.boxes(PIECE_LIMIT + 1) for piece in _pieces_of_box(box, self.scope.family)]

    def _piece(self, piece: _Piece, ace: Ace, place: int) -> str:
        """Note what a piece permits; return what becomes of it."""
        where = f"line {ace.line}: {ace.raw}"
        if piece.source is not None and not self.scope.peer:
            if not piece.source.overlaps(self.own):
                self._say(codes.OTHER_SOURCE, where, ace.line)
                return "other devices"
            if not piece.source.covers(self.own):
                self._say(codes.PARTLY_SOURCE, where, ace.line)
                return "not imported"
        if piece.protocol is None and piece.destination is None and not self.scope.peer:
            self._say(codes.PERMIT_ALL, where, ace.line)
            return "not imported"
        asked = self._answer(piece)
        if asked is None and piece.protocol == TCP and piece.detail not in (None, FLAGS):
            self._say(codes.FLAGS, where, ace.line)
            return "not imported"
        blanket = piece.destination is None and not self.scope.peer
        if asked is not None and (blanket or (asked.protocol == TCP and asked.server_ports is None)):
            self._say(codes.BLANKET_ANSWER, where, ace.line)
            return "blanket answer"
        traffic = self._traffic(piece, where, ace) if asked is None else asked
        self.wanted.setdefault((asked is not None, traffic), []).append(_Wanted(piece.destination, ace, place))
        return "rule" if asked is None else "answer"

    def _answer(self, piece: _Piece) -> Traffic | None:
        """Return the request's traffic where the piece is for answers (facts/devices.md section 6), else None."""
        if self.scope.stateful or piece.protocol is None:
            return None
        if piece.protocol == TCP and piece.detail == ESTABLISHED:
            return Traffic(TCP, usable_ports(piece.source_ports), usable_ports(piece.destination_ports))
        if piece.protocol == UDP and piece.source_ports is not None and piece.destination_ports is None:
            return Traffic(UDP, usable_ports(piece.source_ports))
        if piece.protocol in REQUESTS and piece.detail is not None and piece.detail.pairs:
            kinds = {low >> 8 for low, _high in piece.detail.pairs} | {high >> 8 for _low, high in piece.detail.pairs}
            if len(kinds) == 1 and (kind := kinds.pop()) in REQUESTS[piece.protocol]:
                return Traffic(piece.protocol, icmp_type=REQUESTS[piece.protocol][kind])
        return None

    def _answer_rules(self, traffic: Traffic | None, items: list[_Wanted]) -> None:
        """An answer belongs to the rule of whoever opens; there is one to propose only where that is a segment."""
        if self.scope.peer:
            for item in items:
                self._rule(self.scope.peer, self.scope.segment, traffic, item)
            return
        clients, rest = self.names.within(_union(items, self.addresses))
        for item in items:
            if item.destination is not None and item.destination.overlaps(rest):
                self._say(codes.ANSWER_TO_UNKNOWN, f"line {item.ace.line}: {item.ace.raw}", item.ace.line)
            for client in clients:
                if item.destination is None or item.destination.overlaps(self.names.segments[client]):
                    self._rule(client, self.scope.segment, traffic, item)

    def _forward_rules(self, traffic: Traffic | None, items: list[_Wanted]) -> None:
        if self.scope.peer:
            for item in items:
                self._rule(self.scope.segment, self.scope.peer, traffic, item)
            return
        for name in self.names.names(_union(items, self.addresses), self.source.name):
            own = self.names.segments.get(name)
            for item in items:
                if own is None or item.destination is None or item.destination.overlaps(own):
                    self._rule(self.scope.segment, name, traffic, item)

    def _traffic(self, piece: _Piece, where: str, ace: Ace) -> Traffic | None:
        """Return the traffic of a piece; None for every protocol."""
        if piece.protocol is None:
            self._say(codes.ANY_SERVICE, where, ace.line)
            return None
        kind = code = None
        if piece.protocol in ICMP.values() and piece.detail is not None:
            low, high = piece.detail.pairs[0]
            kind, code = low >> 8, (low & 255 if low == high else None)
        return Traffic(
            piece.protocol, usable_ports(piece.destination_ports), usable_ports(piece.source_ports), kind, code
        )

    def _rule(self, client: str, to: str, traffic: Traffic | None, item: _Wanted) -> None:
        """Note that a client may open traffic to a server."""
        units = self.units.setdefault((client, to), {})
        everything = [Traffic(number) for number in (ICMP[self.scope.family], TCP, UDP)]
        for unit in everything if traffic is None else _units(traffic):
            units.setdefault(unit, []).append(item)

    def _services(self, client: str, to: str, units: dict[Traffic, list[_Wanted]]) -> None:
        """Make a rule for each service of the site that the traffic holds whole, the largest first, and for what is left."""
        left = dict(units)
        for service, parts in self.known:
            if parts <= set(left):
                self._add_rule(
                    client, to, service, [item for part in sorted(parts, key=repr) for item in left.pop(part)]
                )
        rest: dict[tuple[int, ...], list[Traffic]] = {}
        for unit, items in left.items():
            rest.setdefault(tuple(sorted({item.entry for item in items})), []).append(unit)
        for parts_of_entries in rest.values():
            for group in _joined(parts_of_entries):
                name = self.catalogue.service(group)
                self._add_rule(client, to, name, [item for unit in _split(group) for item in left.get(unit, ())])

    def _add_rule(self, client: str, to: str, service: str, items: list[_Wanted]) -> None:
        name = rule_id(client, to, service)
        first = min(items, key=lambda item: item.entry).ace
        reason = f"Line {first.line} of {self.source.name or 'the list'}: {' '.join(first.raw.split())}"
        if not reason.isprintable():
            reason = ascii(reason)
        self.made.rules.setdefault(client, []).append(
            {"id": name, "to": to, "services": [service], "reason": reason[:REASON_LIMIT], "origin": "manual"}
        )
        for item in items:
            self.made.entries[item.entry]["rules"].append(name)


def _units(traffic: Traffic) -> list[Traffic]:
    """Return traffic as parts of one port range each."""
    if traffic.server_ports is None:
        return [traffic]
    return [replace(traffic, server_ports=IntervalSet.of(pair)) for pair in traffic.server_ports.pairs]


def _split(group: Iterable[Traffic]) -> list[Traffic]:
    return [unit for traffic in group for unit in _units(traffic)]


def _joined(units: Iterable[Traffic]) -> list[list[Traffic]]:
    """Return parts that differ in their server's ports only as one traffic; each is a service."""
    groups: dict[Traffic, list[Traffic]] = {}
    for unit in units:
        groups.setdefault(replace(unit, server_ports=None), []).append(unit)
    made = []
    for base, parts in groups.items():
        ports = [pair for part in parts if part.server_ports is not None for pair in part.server_ports.pairs]
        whole = any(part.server_ports is None for part in parts)
        made.append([base if whole else replace(base, server_ports=IntervalSet.of(*ports))])
    return made


def _union(items: Iterable[_Wanted], everything: IntervalSet) -> IntervalSet:
    """Return the addresses of all items together."""
    pairs = [pair for item in items for pair in (everything if item.destination is None else item.destination).pairs]
    return IntervalSet.of(*pairs)


def _piece_of_ace(ace: Ace) -> _Piece:
    return _Piece(
        ace.protocol, ace.source, ace.destination, ace.source_ports, ace.destination_ports,
        None if ace.detail is None else ace.detail,
    )  # fmt: skip


def _pieces_of_box(box: Box, family: int) -> Iterable[_Piece]:
    """Yield the parts of a box by protocol; fields that take in everything become None."""
    offset, addresses = (IPV6, ALL["source"]) if family == 6 else (0, IPV4_ADDRESSES)
    protocols = IPV6_PROTOCOLS if family == 6 else IPV4_PROTOCOLS

    def some(values: IntervalSet, everything: IntervalSet) -> IntervalSet | None:
        return None if values.covers(everything) else values.intersect(everything)

    source, destination = some(box.source, addresses), some(box.destination, addresses)
    if box.protocol.covers(protocols):
        yield _Piece(None, source, destination, None, None, None)
        return
    for low, high in box.protocol.pairs:
        for number in range(low, high + 1):
            protocol = number - offset
            ported = protocol in (TCP, UDP, 33, 132, 136)
            detail = some(box.detail, FLAGS if protocol == TCP else ALL["detail"])
            yield _Piece(
                protocol,
                source,
                destination,
                some(box.source_port, PORTS) if ported else None,
                some(box.destination_port, PORTS) if ported else None,
                detail if protocol == TCP or protocol in ICMP.values() else None,
            )
