# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every list says about millions of conversations at once; the answers are those of ``verdict.Evaluator``, column by column.

Each list that sees a row is found by the addresses of its ends, and all lists of one kind judge in one walk. Rows whose lists cannot be
found that way (an address that is in two segments, a kind of list that is not known here) are asked of the evaluator one by one.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import ICMP_ANSWERS
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.sides import (
    Sides,
    Way,
    gateway_addresses,
    sides_of,
    ways_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.classify import Classifiers
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Entry, FirstMatchList
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import Columns
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.points import (
    enforces,
    filtered_members,
    first_match,
    judges_icmp_answers,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.verdict import Evaluator, routes

np = guarded("numpy")

NONE = -1
NOT_STOPPED = 1 << 40
ACCESS = ("dacl", "port_acl")
KNOWN_KINDS = ("firewall", "router_acl", "sgacl", *ACCESS)
HALF = 1 << 63


@dataclass
class BulkVerdicts:
    """Columns of verdicts. ``stopped_by``: the first list that stops a row, by its place in the lists, or -1; ``way`` 0 where it stops the
    opener, 1 where it stops the reply.
    """

    permitted: Any
    covered: Any
    stopped_by: Any
    way: Any


class BulkEvaluator:
    """The lists of a compiled site, made ready for columns of conversations."""

    def __init__(self, site: Site, lists: Sequence[PointList]) -> None:
        self.site, self.lists = site, lists
        self.evaluator = Evaluator(site, lists)
        self.segments = sorted(site.members)
        self._classifiers = Classifiers([_united(first_match(item)) for item in lists])
        self._enforced = np.array([enforces(item) for item in lists], dtype=bool)
        self._number = {name: number for number, name in enumerate(self.segments)}
        self._index_members()
        self._slow_kinds = any(item.kind not in KNOWN_KINDS for item in lists)

    def _index_members(self) -> None:
        """Index addresses: IPv4 in sorted arrays, each with its segment and its list at every access point."""
        held: dict[tuple[int, int], set[int]] = {}
        for (family, address), names in self.evaluator.held().items():
            held[family, address] = {self._number[name] for name in names}
        four = sorted(address for family, address in held if family == 4)
        six = sorted(address for family, address in held if family == 6)
        self._four = np.array(four, dtype=np.int64)
        self._six = {address: len(four) + number for number, address in enumerate(six)}
        keys = [*((4, address) for address in four), *((6, address) for address in six)]
        place = {key: number for number, key in enumerate(keys)}
        # The last place stands for addresses that no device has.
        self._segment = np.array([*(min(held[key]) for key in keys), NONE], dtype=np.int32)
        self._shared = np.array([*(len(held[key]) > 1 for key in keys), False], dtype=bool)
        ports: dict[tuple[str, str], int] = {}
        named = (self.evaluator._ports.get(key) for key in keys)
        numbers = (NONE if name is None else ports.setdefault(name, len(ports)) for name in named)
        self._port = np.array([*numbers, NONE], dtype=np.int32)
        self._access: list[Any] = []
        for point in sorted({item.point for item in self.lists if item.kind in ACCESS}):
            layer = np.full(len(keys) + 1, NONE, dtype=np.int32)
            for number, item in enumerate(self.lists):
                for key in self._addresses(item) if item.point == point and item.kind in ACCESS else ():
                    at = place[key]
                    self._shared[at] |= layer[at] != NONE
                    layer[at] = number
            self._access.append(layer)
        self._cells: list[Any] = []
        for point in sorted({item.point for item in self.lists if item.kind == "sgacl"}):
            matrix = np.full((len(self.segments) + 1, len(self.segments) + 1), NONE, dtype=np.int32)
            beyond = np.zeros(len(keys) + 1, dtype=bool)  # receivers where the point's cells are not enforced
            for number, item in enumerate(self.lists):
                known = {item.segment, item.peer} <= self._number.keys()
                if item.point == point and item.kind == "sgacl" and item.family == 4 and known:
                    matrix[self._number[item.segment], self._number[item.peer]] = number
                    unseen = self.evaluator._beyond.get(number)
                    for low, high in unseen.pairs if unseen is not None else ():
                        for address in range(low, high + 1):
                            beyond[place[4, address]] = True
            self._cells.append((matrix, beyond))

    def _addresses(self, item: PointList) -> Iterator[tuple[int, int]]:
        for member in filtered_members(self.site, item, surely=True):
            for text in member.addresses:
                address = ipaddress.ip_address(text)
                if address.version == item.family:
                    yield address.version, int(address)

    @cached_property
    def _firewalls(self) -> list[tuple[int, dict[int, _Sided]]]:
        made = []
        for number, item in enumerate(self.lists):
            if item.kind == "firewall":
                point = self.site.points[item.point]
                made.append((number, {family: _Sided(sides_of(self.site, point, family)) for family in (4, 6)}))
        return made

    @cached_property
    def _routed(self) -> list[tuple[int, Routed]]:
        return [
            (
                number,
                Routed(
                    item,
                    *gateway_addresses(self.site, item),
                    ways_of(self.site, self.site.points[item.point], item.family),
                ),
            )
            for number, item in enumerate(self.lists)
            if item.kind == "router_acl"
        ]

    def places(self, columns: Columns, end: str) -> Any:
        """Return, for the rows, the place of the address at one end among those of the membership; the last for all others."""
        found = np.full(len(columns), len(self._segment) - 1, dtype=np.int64)
        four = columns.is_four
        if len(self._four):
            low = columns.address(end)[four]
            at = np.minimum(np.searchsorted(self._four, low), len(self._four) - 1)
            found[four] = np.where(self._four[at] == low, at, len(self._segment) - 1)
        for row in np.flatnonzero(~four) if self._six else ():
            found[row] = self._six.get(columns.whole(end, int(row)), len(self._segment) - 1)
        return found

    def segment_of(self, places: Any) -> Any:
        """Return the numbers of the segments (``segments``) of places, -1 for none; the first of several."""
        return self._segment[places]

    def shared(self, places: Any) -> Any:
        """Return which places are in several segments."""
        return self._shared[places]

    def verdicts(self, columns: Columns) -> BulkVerdicts:
        """Return what all lists say about each row."""
        rows = len(columns)
        best = np.full(rows, NOT_STOPPED, dtype=np.int64)
        covered = np.zeros(rows, dtype=bool)
        clients, servers = self.places(columns, "client"), self.places(columns, "server")
        slow = self._shared[clients] | self._shared[servers]
        if any(item.kind == "sgacl" and item.family == 6 for item in self.lists):
            slow |= ~columns.is_four  # few, and the arrays of cells hold IPv4
        if self._slow_kinds:
            slow = np.ones(rows, dtype=bool)
        packets = [self._classifiers.prepared(packet) for packet in _packets(columns)]
        answered = columns.has_reply
        for number, sided in self._firewalls:
            seen = np.zeros(rows, dtype=bool)
            for family, mask in ((4, columns.is_four), (6, ~columns.is_four)):
                if mask.any():
                    seen[mask] = sided[family].crosses(columns, mask)
            self._judge(np.where(seen, number, NONE), packets[0], 0, best, covered)
            if judges_icmp_answers(self.lists[number]):
                pings = seen & answered & np.isin(columns.protocol, tuple(ICMP_ANSWERS))
                self._judge(np.where(pings, number, NONE), packets[1], 1, best, covered)
        apart = (self._port[clients] != self._port[servers]) | (self._port[clients] == NONE)
        for layer in self._access:
            self._judge(np.where(apart, layer[clients], NONE), packets[0], 0, best, covered)
            self._judge(np.where(answered & apart, layer[servers], NONE), packets[1], 1, best, covered)
        for number, routed in self._routed:
            for way, (source, target) in enumerate((("client", "server"), ("server", "client"))):
                seen = routed.sees(columns, source, target) & (answered | (way == 0))
                self._judge(np.where(seen, number, NONE), packets[way], way, best, covered)
        one, two, four = self.segment_of(clients), self.segment_of(servers), columns.is_four
        for matrix, beyond in self._cells:
            forward = np.where(beyond[servers], NONE, matrix[one, two])
            back = np.where(beyond[clients], NONE, matrix[two, one])
            self._judge(np.where(four, forward, NONE), packets[0], 0, best, covered)
            self._judge(np.where(four & answered, back, NONE), packets[1], 1, best, covered)
        for row in np.flatnonzero(slow):
            self._one(columns, int(row), best, covered)
        stopped = best != NOT_STOPPED
        return BulkVerdicts(~stopped, covered, np.where(stopped, best >> 1, NONE), np.where(stopped, best & 1, 0))

    def _judge(self, which: Any, packets: dict[str, Any], way: int, best: Any, covered: Any) -> None:
        """Let the list that each row names judge the packet, and keep the first stop in the order of the lists."""
        at = np.flatnonzero(which >= 0)
        if not len(at):
            return
        covered[at] = True
        chosen = which[at]
        at, chosen = at[self._enforced[chosen]], chosen[self._enforced[chosen]]
        found = self._classifiers.classify(chosen, {name: values[at] for name, values in packets.items()})
        order = chosen.astype(np.int64) * 2 + way
        wins = ~found.permits & (order < best[at])
        best[at[wins]] = order[wins]

    def _one(self, columns: Columns, row: int, best: Any, covered: Any) -> None:
        """Ask the evaluator about one row."""
        verdict = self.evaluator.verdict(columns.conversation(row))
        covered[row] = verdict.covered
        best[row] = NOT_STOPPED
        for item in verdict.points:
            if item.stops:
                number = next(
                    n for n, each in enumerate(self.lists) if (each.point, each.name) == (item.point, item.list_name)
                )
                best[row] = number * 2 + (item.direction == "reply")
                return

    def line(self, columns: Columns, row: int) -> str:
        """Return the label of the line that stops a row, as the evaluator gives it; empty where none does."""
        deciding = self.evaluator.verdict(columns.conversation(row)).deciding()
        return deciding.label if deciding else ""


def _united(source: FirstMatchList) -> FirstMatchList:
    """Return the list with neighbours of one action united: who only asks for permit or deny needs far smaller diagrams."""
    made: list[Entry] = []
    for entry in source.entries:
        if made and made[-1].permit is entry.permit and not entry.condition and not made[-1].condition:
            made[-1] = Entry(entry.permit, (*made[-1].boxes, *entry.boxes))
        else:
            made.append(Entry(entry.permit, entry.boxes, condition=entry.condition))
    return FirstMatchList(tuple(made), source.default_permit, source.name)


class _Sided:
    """The sides of a firewall as arrays; IPv6 rows are looked at one by one."""

    def __init__(self, sides: Sides) -> None:
        self._sides = sides
        self._starts = np.array([min(start, HALF - 1) for start in sides._starts], dtype=np.int64)
        self._ends = np.array([min(end, HALF - 1) for end, _number in sides._ends], dtype=np.int64)
        self._numbers = np.array([number for _end, number in sides._ends], dtype=np.int64)
        self._none = _Ranges(sides.own.union(sides.local))
        self._groups = _Ranges(sides.groups)
        self._inside = None if sides.inside is None else _Ranges(sides.inside)
        self._said = _said(sides.ways)

    def crosses(self, columns: Columns, mask: Any) -> Any:
        """Return, for the rows of a mask (one family), whether the firewall forwards packets from client to server."""
        if not columns.is_four[mask].all():
            rows = np.flatnonzero(mask)
            ends = ((columns.whole("client", int(row)), columns.whole("server", int(row))) for row in rows)
            return np.fromiter((self._sides.crosses(*pair) for pair in ends), dtype=bool, count=len(rows))
        client, server = columns.address("client")[mask], columns.address("server")[mask]
        first, second = self._side(client), self._side(server)
        found = first != second
        if self._inside is not None:
            found |= self._inside.hold(client) != self._inside.hold(server)
        found = _by_ways(self._said, client, server, found)
        return found & ~self._none.hold(client) & ~self._none.hold(server) & ~self._groups.hold(server)

    def _side(self, address: Any) -> Any:
        if not len(self._starts):
            return np.full(len(address), NONE, dtype=np.int64)
        place = np.searchsorted(self._starts, address, side="right") - 1
        held = (place >= 0) & (address <= self._ends[np.maximum(place, 0)])
        return np.where(held, self._numbers[np.maximum(place, 0)], NONE)


Said = list[tuple["_Ranges | None", "_Ranges | None", bool]]


def _said(ways: Sequence[Way]) -> Said:
    """Return ways with their ends as arrays."""
    return [
        (None if w.client is None else _Ranges(w.client), None if w.server is None else _Ranges(w.server), w.crosses)
        for w in ways
    ]


def _by_ways(said: Said, client: Any, server: Any, found: Any) -> Any:
    """Return for each row what the first way that fits says, else what was found without them."""
    for one, two, crosses in reversed(said):
        here = np.ones(len(client), dtype=bool) if one is None else one.hold(client)
        found = np.where(here if two is None else here & two.hold(server), crosses, found)
    return found


class Routed:
    """What one list of a gateway sees: packets between its subnet and everything else, in its direction."""

    def __init__(self, item: PointList, subnet: IntervalSet, own: IntervalSet, ways: Sequence[Way] = ()) -> None:
        self._item, self._subnet, self._own, self._ways = item, subnet, own, ways
        self._said = _said(ways)
        self._inside, self._gateway = _Ranges(subnet), _Ranges(own)

    def sees(self, columns: Columns, source: str, target: str) -> Any:
        """Return which packets from one end to the other (``client``, ``server``) are routed by way of the list."""
        four = columns.is_four
        if self._item.family == 6:
            found = np.zeros(len(columns), dtype=bool)
            for row in np.flatnonzero(~four):
                ends = columns.whole(source, int(row)), columns.whole(target, int(row))
                named = columns.whole("client", int(row)), columns.whole("server", int(row))
                found[row] = routes(self._item.direction, self._subnet, self._own, *ends) and next(
                    (way.crosses for way in self._ways if way.fits(*named)), True
                )
            return found
        if self._said:
            four = four & _by_ways(self._said, columns.address("client"), columns.address("server"), four)
        one, two = columns.address(source), columns.address(target)
        if self._item.direction == "in":
            return four & self._inside.hold(one) & ~self._inside.hold(two)
        return four & self._inside.hold(two) & ~self._inside.hold(one) & ~self._gateway.hold(one)


class _Ranges:
    """A set of IPv4 addresses as arrays."""

    def __init__(self, values: IntervalSet) -> None:
        pairs = [(low, high) for low, high in values.pairs if high < HALF]
        self._lows = np.array([low for low, _high in pairs], dtype=np.int64)
        self._highs = np.array([high for _low, high in pairs], dtype=np.int64)

    def hold(self, address: Any) -> Any:
        if not len(self._lows):
            return np.zeros(len(address), dtype=bool)
        place = np.searchsorted(self._lows, address, side="right") - 1
        return (place >= 0) & (address <= self._highs[np.maximum(place, 0)])


def _packets(columns: Columns) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the columns of the openers and of their replies, as ``Classifier.classify`` takes them."""
    protocol = columns.protocol.astype(np.int64)
    number = protocol + np.where(columns.is_four, 0, 256)
    tcp, ported = protocol == 6, np.isin(protocol, (6, 17, 33, 132, 136))
    icmp = np.isin(protocol, tuple(ICMP_ANSWERS))
    server_port = columns.server_port.astype(np.int64)
    detail = np.where(tcp, 2, np.where(icmp, server_port, 0))
    back = np.where(tcp, 18, 0)
    for kind, pairs in ICMP_ANSWERS.items():
        for request, answer in pairs.items():
            back = np.where((protocol == kind) & (server_port >> 8 == request), answer << 8, back)
    sport, cport = np.where(ported, server_port, 0), np.where(ported, columns.client_port.astype(np.int64), 0)
    ends = {name: columns.stored(name) for name in ("client", "server")}
    return (
        _column(number, detail, ends["client"], ends["server"], cport, sport),
        _column(number, back, ends["server"], ends["client"], sport, cport),
    )


def _column(
    number: Any, detail: Any, source: Any, destination: Any, source_port: Any, destination_port: Any
) -> dict[str, Any]:
    return {
        "protocol": number, "detail": detail, "source_hi": source[0], "source_lo": source[1], "destination_hi": destination[0],
        "destination_lo": destination[1], "source_port": source_port, "destination_port": destination_port,
    }  # fmt: skip
