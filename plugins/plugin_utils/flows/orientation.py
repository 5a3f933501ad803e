# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Orientation: which end of a conversation is the client, how that was decided and how sure it is.

The rules stand in facts/flows.md section 5; the first that speaks decides, and its number is kept as ``method``:

0 the exporter says so; 1 a handshake packet, an ICMP request, or a group or broadcast address as target; 2 SYN from both ends and
start times that differ by more than the clock's step; 3 the end was proved a server before; 4 the operator says so; 5 the end has
many peer sockets; 6 a port of the list; 7 exactly one port at or above 32768; 8 same port at both ends, or no ports; 9 a guess: the end
that spoke first more often, where the times differ by more than the clock's step, else the one with the higher port.

Conversations oriented by 5 or weaker keep a direction that the store already has, unless the new method is stronger.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import direct, grouping
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.address import range_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.degrees import (
    Evidence,
    Marks,
    distinct,
    numbered,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.direct import NEVER, UNDECIDED, UNICAST
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.keys import PROTOCOL_BITS, EndKeys, Lookup
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.past import DIRECT, Past
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ports import Hint, known_ports
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.shelf import Shelf

np = guarded("numpy")

CONFIDENCE = (1.0, 1.0, 0.98, 0.97, 0.96, 0.95, 0.9, 0.8, 0.8, 0.5)
LISTENER_DAYS = 90
MINIMUM_DEGREE = 3
EPHEMERAL = 32768
FTP_DATA = 20
# Below it no client dials; from 512 up systems of old give ports to clients that have privileges (rresvport).
RESERVED = 512
UNRANKED = 99
DAY_US = 86_400_000_000
# Rows whose past directions are asked for at once (about 40 octets each).
ASKED_AT_ONCE = 4_000_000
# Ends that are numbered together, about.
NUMBERED_AT_ONCE = 1 << 20
# What the later passes read of each conversation.
END = ("hi", "lo", "port")


@dataclass
class Directions:
    """Of each conversation of a batch: whether end a is the client, the number of the rule (int8), and the code of its class."""

    a_is_client: Any
    method: Any
    kind: Any

    @property
    def confidence(self) -> Any:
        """Return how sure each direction is (float32)."""
        return np.array(CONFIDENCE, dtype=np.float32).take(self.method)


class Orientation:
    """Orients conversations that are given in batches; all that share two ends and protocol have to be in one batch.

    A first pass (``add``) takes each batch; ``directions`` gives the answers in the same order, once all are in. ``expected`` says about
    how many there will be. What later passes need stands in ``shelf``.
    """

    def __init__(
        self, hints: Sequence[Hint] = (), past: Past | None = None, shelf: Shelf | None = None, expected: int = 1 << 20
    ) -> None:
        self.hints, self.past = list(hints), past or Past()
        self.shelf = Shelf() if shelf is None else shelf
        self.keys = EndKeys()
        self.marks = Marks(2 * expected)
        self.made: list[Directions] = []
        self.moment = 0
        self.undecided = False
        # Whether the degree of an end can matter to anyone.
        self.asked = False
        # By batch what ``_met_often`` says of it: of each end the ``places`` of rows and the ``number`` of each in the ``distinct`` keys of
        # its group; by batch the number of its group; and of each group these keys.
        self.often = Shelf(self.shelf.folder, self.shelf.limit // 2)
        self.group_of: list[int] = []
        self.groups = Shelf(self.shelf.folder, self.shelf.limit // 4)
        self._told: tuple[int, tuple[Any, Any]] = (-1, (None, None))

    def add(self, wholes: Mapping[str, Any], alone: bool = False) -> None:
        """Take a batch of conversations: arrays as ``Conversations.wholes`` has them. ``alone`` says that no two of them have the same ends
        and protocol."""
        told = Directions(*direct.decided(wholes))
        self.made.append(told)
        if len(told.method):
            self.moment = max(self.moment, int(wholes["end_us"].max()))
        open_rows = told.method == UNDECIDED
        a, b = (self._keys(wholes, end) for end in "ab")
        ported = (wholes["protocol"] != 1) & (wholes["protocol"] != 58)
        sockets = (told.kind == UNICAST) & ported & (wholes["a_port"] != wholes["b_port"])
        if open_rows.any():
            self.undecided = True
            self.asked |= bool((open_rows & sockets).any())
        sockets = self._each_once(a, b, sockets, alone)
        a_mark, b_mark = self.marks.of(a), self.marks.of(b)
        of_sockets = np.flatnonzero(sockets)
        self.marks.count(np.concatenate((_picked(a_mark, of_sockets), _picked(b_mark, of_sockets))))
        proved = (told.method >= 0) & (told.method <= DIRECT) & (told.kind == UNICAST) & ported
        kept = {"a_key": a, "b_key": b, "a_mark": a_mark, "b_mark": b_mark, "sockets": sockets, "proved": proved}
        rows = np.flatnonzero(open_rows)
        if len(rows):
            kept |= {f"{end}_{name}": _picked(wholes[f"{end}_{name}"], rows) for end in "ab" for name in END}
            kept |= {"open": rows, "protocol": _picked(wholes["protocol"], rows)}
            kept |= dict(zip(("a_first", "earlier"), _spoke_first(wholes, a, b, rows), strict=True))
            others = rows[~sockets[rows]]
            if len(others):
                self.marks.only(np.concatenate((a_mark[others], b_mark[others])))
        self.shelf.append(kept)

    def directions(self) -> Iterator[Directions]:
        """Yield the directions of the batches, in order."""
        if self.undecided:
            evidence = self._evidence()
            for number, told in enumerate(self.made):
                self._decide(number, told, evidence)
            self.often.clear()
            self.groups.clear()
            if self.past.files:
                self._remember()
        yield from self.made

    def _keys(self, wholes: Mapping[str, Any], end: str, give: bool = True) -> Any:
        ready, protocol = wholes.get(f"{end}_end"), grouping.narrow(wholes["protocol"])
        if ready is not None and not (protocol >> PROTOCOL_BITS).any():
            # Ends of IPv4 as stitching has them, which are their own numbers.
            return (ready << np.uint64(PROTOCOL_BITS)) | protocol.astype(np.uint64)
        columns = [wholes[f"{end}_{name}"] for name in END]
        numbers = self.keys.addresses(columns[0], columns[1], give)
        return self.keys.ends(numbers, [*columns, wholes["protocol"]], give)

    @staticmethod
    def _each_once(a: Any, b: Any, sockets: Any, alone: bool) -> Any:
        """Return which rows are sockets, one of each pair: several exporters, and conversations one after another, have the same."""
        rows = np.flatnonzero(sockets)
        if alone or not len(rows):
            return sockets
        order, starts = grouping.groups((a[rows], b[rows]))
        made = np.zeros(len(sockets), dtype=bool)
        made[rows[order[starts]]] = True
        return made

    def _evidence(self) -> Evidence:
        made = Evidence()
        for number, told in enumerate(self.made):
            kept = self.shelf[number]
            rows = kept["proved"]
            if rows.any():
                made.prove(np.where(told.a_is_client[rows], kept["b_key"][rows], kept["a_key"][rows]))
                self.marks.always(np.where(told.a_is_client[rows], kept["b_mark"][rows], kept["a_mark"][rows]))
        for batch in self.past.servers():
            keys = self._keys({f"a_{name}": batch[name] for name in END} | {"protocol": batch["protocol"]}, "a", False)
            marks = self.marks.of(keys)
            met = np.flatnonzero(self.marks.once(marks))
            self.marks.always(marks[met])
            made.count(keys[met], batch["clients"][met])
            lasting = batch["proved"][met] & (batch["last_us"][met] > self.moment - LISTENER_DAYS * DAY_US)
            made.prove(keys[met][lasting])
        known = made.proved()
        contradicted = np.zeros(len(known.keys[0]), dtype=bool)
        for number, told in enumerate(self.made):
            kept = self.shelf[number]
            rows = kept["proved"]
            if len(contradicted) and rows.any():
                clients = np.where(told.a_is_client[rows], kept["a_key"][rows], kept["b_key"][rows])
                found = known.find([clients])
                contradicted[found[found >= 0]] = True
        if self.asked:
            self._met_often(made)
        made.contradict(contradicted)
        made.settle()
        return made

    def _met_often(self, evidence: Evidence) -> None:
        """Number the ends that were perhaps met more than once, and count them: of several batches together, which share most of them."""
        waiting: list[dict[str, Any]] = []
        keys: list[Any] = []
        counted: list[Any] = []
        for last in range(len(self.made)):
            kept, places = self.shelf[last], {}
            for end in "ab":
                places[f"{end}_places"] = own = np.flatnonzero(self.marks.twice(kept[f"{end}_mark"])).astype(np.int32)
                keys.append(_picked(kept[f"{end}_key"], own))
                counted.append(_picked(kept["sockets"], own))
            waiting.append(places)
            if last + 1 < len(self.made) and sum(len(each) for each in keys) < NUMBERED_AT_ONCE:
                continue
            distinct, number = numbered(np.concatenate(keys))
            sockets = np.flatnonzero(np.concatenate(counted))
            evidence.count(distinct, np.bincount(_picked(number, sockets), minlength=len(distinct)))
            parts = iter(np.split(number, np.cumsum([len(each) for each in keys])[:-1]))
            for each in waiting:
                self.often.append({**each, "a_number": next(parts), "b_number": next(parts)})
                self.group_of.append(len(self.groups))
            self.groups.append({"distinct": distinct})
            waiting, keys, counted = [], [], []

    def _decide(self, number: int, told: Directions, evidence: Evidence) -> None:
        rows = np.flatnonzero(told.method == UNDECIDED)
        if not len(rows):
            return
        kept = self.shelf[number]
        a_port, b_port, protocol = kept["a_port"], kept["b_port"], kept["protocol"]
        (a_degree, a_proved), (b_degree, b_proved) = (self._evident(number, end, kept, rows, evidence) for end in "ab")
        a_rank, b_rank = _ranks(protocol, a_port, b_port)
        a_hint, b_hint = (self._hinted(kept, end) for end in "ab")
        a_high, b_high = a_port >= EPHEMERAL, b_port >= EPHEMERAL
        a_many = (a_degree >= MINIMUM_DEGREE) & (a_degree >= 2 * b_degree)
        b_many = (b_degree >= MINIMUM_DEGREE) & (b_degree >= 2 * a_degree)
        ranked = a_rank != b_rank
        # Active FTP: the server dials from this port (RFC 959 section 3.2), to many clients, so its degree would mislead.
        ftp = (protocol == 6) & ((a_port == FTP_DATA) != (b_port == FTP_DATA)) & ~ranked
        ftp &= np.maximum(a_port, b_port) >= 1024
        earlier = kept["earlier"]
        rules = (
            (9, earlier != 0, earlier > 0),
            (7, a_high != b_high, a_high),
            (6, ranked, b_rank < a_rank),
            (5, a_many | b_many, ~a_many),
            (6, ftp, a_port == FTP_DATA),
            (8, a_port == b_port, kept["a_first"]),
            (4, a_hint != b_hint, b_hint),
            (3, a_proved != b_proved, b_proved),
        )
        method = np.full(len(rows), 9, dtype=np.int8)
        client = b_port < a_port
        # The last one that speaks stands, so the strongest comes last.
        for number, speaks, a_is_client in rules:
            if speaks.any():
                np.copyto(method, np.int8(number), where=speaks)
                np.copyto(client, a_is_client, where=speaks)
        told.method[rows] = method
        told.a_is_client[rows] = client

    def _evident(
        self, number: int, end: str, kept: Mapping[str, Any], rows: Any, evidence: Evidence
    ) -> tuple[Any, Any]:
        """Return (degree, whether a proved server) of the ends of rows."""
        keys = kept[f"{end}_key"]
        if not len(self.often):
            own = _picked(keys, rows)
            return evidence.of(own, np.flatnonzero(self.marks.twice(_picked(kept[f"{end}_mark"], rows))))
        group = self.group_of[number]
        if self._told[0] != group:
            self._told = (group, evidence.of(self.groups[group]["distinct"]))
        often = self.often[number]
        places, own = often[f"{end}_places"].astype(np.intp), often[f"{end}_number"]
        degree, proved = np.zeros(len(keys), dtype=np.int64), np.zeros(len(keys), dtype=bool)
        for made, each in zip((degree, proved), self._told[1], strict=True):
            made[places] = each.take(own)
        return _picked(degree, rows), _picked(proved, rows)

    def _hinted(self, kept: Mapping[str, Any], end: str) -> Any:
        made = np.zeros(len(kept["protocol"]), dtype=bool)
        for hint in self.hints:
            (first_hi, first_lo), (last_hi, last_lo) = range_of(hint.network)
            hi, lo, port = (kept[f"{end}_{name}"] for name in END)
            met = (kept["protocol"] == hint.protocol) & (port >= hint.first) & (port <= hint.last)
            met &= (hi >= first_hi) & (hi <= last_hi)
            if first_hi >= last_hi:
                met &= (lo >= first_lo) & (lo <= last_lo)
            made |= met
        return made

    def _remember(self) -> None:
        """Keep the directions that the store has for those decided by rule 5 or weaker."""
        waiting: list[tuple[int, Any, list[Any], list[Any]]] = []
        count = 0
        for number, told in enumerate(self.made):
            rows = np.flatnonzero(told.method >= 5)
            if len(rows):
                same, other = self._pairs(self.shelf[number], told, rows)
                waiting.append((number, rows, same, other))
                count += len(rows)
            if count >= ASKED_AT_ONCE:
                self._turn(waiting)
                waiting, count = [], 0
        if waiting:
            self._turn(waiting)

    def _pairs(self, kept: Mapping[str, Any], told: Directions, rows: Any) -> tuple[list[Any], list[Any]]:
        """Return (client, server) of rows as two keys, and the same with the ends changed."""
        ends = [kept[f"{end}_key"][rows] for end in "ab"]
        # Rows decided by rule 5 or weaker are among those that were open, in the same order.
        places = np.searchsorted(kept["open"], rows)
        columns = [[kept[f"{end}_{name}"][places] for name in END[:2]] for end in "ab"]
        numbers = [self.keys.addresses(hi, lo) for hi, lo in columns]
        forward = told.a_is_client[rows]
        a_to_b, b_to_a = (numbers[0], ends[1]), (numbers[1], ends[0])
        return (
            [np.where(forward, one, other) for one, other in zip(a_to_b, b_to_a, strict=True)],
            [np.where(forward, other, one) for one, other in zip(a_to_b, b_to_a, strict=True)],
        )

    def _turn(self, waiting: Sequence[tuple[int, Any, list[Any], list[Any]]]) -> None:
        asked = [np.concatenate([pair[place] for each in waiting for pair in each[2:]]) for place in (0, 1)]
        known = Lookup(distinct(asked))
        methods = np.full(len(known.keys[0]), UNRANKED, dtype=np.int16)
        for batch in self.past.directions():
            server = {f"a_{name}": batch[f"server_{name}"] for name in END} | {"protocol": batch["protocol"]}
            keys = [self.keys.addresses(batch["client_hi"], batch["client_lo"], False), self._keys(server, "a", False)]
            rows = known.find(keys)
            met = rows >= 0
            np.minimum.at(methods, rows[met], batch["method"][met].astype(np.int16))
        if (methods == UNRANKED).all():
            return
        for number, rows, same, other in waiting:
            told = self.made[number]
            one, turned = (methods[known.find(each)] for each in (same, other))
            flips = (turned <= told.method[rows]) & (one >= turned)
            told.a_is_client[rows] ^= flips
            # What proved it then was another conversation, or a part of this one: its end was proved a server before.
            told.method[rows] = np.where(flips, np.maximum(turned, DIRECT + 1), told.method[rows])


def _picked(values: Any, rows: Any) -> Any:
    """Return values at rows (distinct, in order): the very array where they are all of them."""
    return values if len(rows) == len(values) else values[rows]


def _spoke_first(wholes: Mapping[str, Any], a: Any, b: Any, rows: Any) -> tuple[Any, Any]:
    """Return, for open rows, whether end a of their pair spoke first most often, and which of its ends began earlier (above 0: a).

    Peers have no direction of their own; one is chosen for the pair, by who spoke first most often, so that it does not flip. For a guess
    the same is asked of the two sockets: in whole captures who is seen first is hardly ever wrong (facts/flows.md section 5), and where
    packets are missing it is as much chance as the ports are.
    """
    a_first, earlier = np.zeros(len(rows), dtype=bool), np.zeros(len(rows), dtype=np.int64)
    alike = (wholes["a_port"][rows] >= EPHEMERAL) == (wholes["b_port"][rows] >= EPHEMERAL)
    places = np.flatnonzero(alike)
    if not len(places):
        return a_first, earlier
    some = rows[places]
    names = ("a_start", "a_place", "b_start", "b_place", "step_us")
    a_start, a_place, b_start, b_place, step = (wholes[name][some] for name in names)
    before = (b_start == NEVER) | (a_start < b_start) | ((a_start == b_start) & (a_place < b_place))
    after = (a_start == NEVER) | (b_start < a_start) | ((b_start == a_start) & (b_place < a_place))
    first = np.where(before, 1, np.where(after, -1, 0))
    both = (a_start != NEVER) & (b_start != NEVER)
    lag = np.where(both, b_start - a_start, 0)
    sooner = (lag > step).astype(np.int64) - (lag < -step)
    order, starts = grouping.groups((a[some], b[some]))
    sizes = np.diff(starts, append=len(order))
    a_first[places[order]] = np.repeat(np.add.reduceat(first[order], starts) >= 0, sizes)
    earlier[places[order]] = np.repeat(np.add.reduceat(sooner[order], starts), sizes)
    return a_first, earlier


def _ranks(protocol: Any, a_port: Any, b_port: Any) -> tuple[Any, Any]:
    """Return the ranks of both ports in the list, 99 where one is not in it."""
    table, rows = _known()
    protocol = grouping.narrow(protocol)
    row = rows[np.where((protocol >= 0) & (protocol < len(rows)), protocol, 0)] * table.shape[1]
    # As unsigned numbers those below zero are too large as well.
    a, b = (table.ravel().take(np.minimum(port.view(np.uint32), 1 << 16) + row) for port in (a_port, b_port))
    # A port of an OT service inside the ephemeral range against a well-known one of the list is a client's.
    a_lent = (a == 0) & (a_port >= EPHEMERAL) & (b != UNRANKED) & (b_port < 1024)
    b_lent = (b == 0) & (b_port >= EPHEMERAL) & (a != UNRANKED) & (a_port < 1024)
    # So is one of an OT or IoT service among the ports that older systems dial from (1024 and up) against one that no client has.
    a_dials = (a <= 1) & (a_port >= 1024) & (a_port < EPHEMERAL) & (b != UNRANKED) & (b_port < RESERVED)
    b_dials = (b <= 1) & (b_port >= 1024) & (b_port < EPHEMERAL) & (a != UNRANKED) & (a_port < RESERVED)
    return (
        np.where(a_dials, UNRANKED, np.where(a_lent, b, a)),
        np.where(b_dials, UNRANKED, np.where(b_lent, a, b)),
    )


@cache
def _known() -> tuple[Any, Any]:
    """Return (ranks by row and port, the row of each protocol; row 0 and port 65536 have none)."""
    listed = known_ports()
    protocols = sorted({each.protocol for each in listed})
    rows = np.zeros(256, dtype=np.int64)
    rows[protocols] = np.arange(1, len(protocols) + 1)
    table = np.full((len(protocols) + 1, (1 << 16) + 1), UNRANKED, dtype=np.int8)
    table[rows[[each.protocol for each in listed]], [each.port for each in listed]] = [each.rank for each in listed]
    return table, rows
