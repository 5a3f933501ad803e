# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One-way records to conversations, as arrays: what ``stitching.py`` says, worked out.

Most 5-tuples hold one conversation: no silence fits into their time, and at most one handshake begins them. They need no sorting by time.
The others are sorted by a total order of their records and cut where a silence or a handshake begins the next.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import grouping, signs
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.records import DAY_US
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.shelf import Rows

np = guarded("numpy")

NEVER = (1 << 63) - 1
FIN, SYN, RST, PSH = 1, 2, 4, 8
# Bits of one record's signs that stand beside its flags, before the end's place is added.
BITS = {"pure_syn": "pure", "syn_ack": "syn_ack", "broadcast": "broadcasts", "opens": "opens"}
SUMMED = ("a_packets", "a_bytes", "b_packets", "b_bytes")


@dataclass
class Conversations:
    """Conversations (``wholes``) and their parts by day, as arrays of equal length by name; texts are codes of ``names``.

    ``whole_of`` gives the row of ``wholes`` of each part; parts of one conversation stand together, in the order of wholes. Wholes have
    ``exporter``, ``protocol``, the columns of ends a and b, ``start_us``, ``end_us``, ``step_us``, ``origin``, ``signs`` and for each end
    ``packets``, ``bytes``, ``replies``, ``start`` and ``place`` (``NEVER`` where it did not speak). Parts have ``day_number``,
    ``start_us``, ``end_us``, ``sampling``, ``source``, ``signs``, ``lag_us``, ``step_us`` and the ends' packets and bytes.
    """

    wholes: dict[str, Any]
    parts: dict[str, Any]
    whole_of: Any
    names: dict[str, list[str]] = field(default_factory=dict)
    # Whether no two conversations have the same exporter, ends and protocol.
    alone: bool = False


def conversations(columns: dict[str, Any], silences: Any) -> Conversations:
    """Return the conversations of records given as columns (``held.pieces``); ``silences`` is a ``stitching.Silences``."""
    held = _Held(columns)
    order, starts = grouping.groups(held.keys())
    return _Rows(held, silences, order, starts).conversations()


class _Held:
    """The records' columns, and what each record says by itself."""

    def __init__(self, columns: dict[str, Any]) -> None:
        self.columns = columns if isinstance(columns, Rows) else Rows(columns)
        self.count: int = self.columns.pop("count")
        self.names: dict[str, list[str]] = self.columns.pop("names")
        ends = [tuple(self.whole(f"{side}_{part}") for part in ("hi", "lo", "port")) for side in ("source", "target")]
        self.ends = grouping.ends_of(ends[0], ends[1])
        self.forward = self.ends.source <= self.ends.target
        self.low = np.minimum(self.ends.source, self.ends.target)
        self.high = np.maximum(self.ends.source, self.ends.target)
        self.columns["signs"] = self._signs()

    def column(self, name: str) -> Any:
        """Return a column, or one value that stands for it."""
        return self.columns[name]

    def whole(self, name: str) -> Any:
        """Return a column at full length."""
        values = self.columns[name]
        return values if len(values) == self.count else grouping.spread(values, self.count)

    def only(self, name: str) -> bool:
        """Return whether a column has one value."""
        return not self.columns.side_by_side(name) and len(self.columns[name]) == 1 != self.count

    def at(self, name: str, rows: Any) -> Any:
        """Return a column's values at rows."""
        values = self.columns[name]
        return values.take(rows) if len(values) == self.count else grouping.spread(values, len(rows))

    def keys(self) -> list[Any]:
        """Return what makes records those of one 5-tuple and exporter, as arrays of uint64."""
        exporter = self.column("exporter").astype(np.uint64)
        protocol = self.column("protocol").astype(np.uint64) & np.uint64(0xFFFF)
        sixteen = np.uint64(16)
        made = [(self.low << sixteen) | (exporter & np.uint64(0xFFFF)), (self.high << sixteen) | protocol]
        if len(self.names["exporter"]) > 1 << 16:
            made.append(self.whole("exporter").astype(np.uint64))
        return made

    def _signs(self) -> Any:
        """Return each record's signs (signs.py), its own end's bits set."""
        one_value = all(len(self.columns[name]) == 1 for name in (*BITS, "flags", "said", "origin"))
        columns = {
            name: self.columns[name] if one_value else self.whole(name) for name in (*BITS, "flags", "said", "origin")
        }
        bits = np.full(len(columns["flags"]), 1 << signs.PAIRS["spoke"], dtype=np.int32)
        for name, pair in BITS.items():
            if columns[name].any():
                bits |= columns[name].astype(bool).astype(np.int32) << signs.PAIRS[pair]
        for value, pair in ((1, "opened"), (2, "answers")):
            bits |= (columns["said"] == value).astype(np.int32) << signs.PAIRS[pair]
        flags = columns["flags"].astype(np.int32) & signs.FLAGS
        exported = (columns["origin"] == 1).astype(np.int32) << signs.EXPORTED
        return np.where(self.forward, bits | flags, (bits << 1) | (flags << signs.FLAG_BITS)) | exported


class _Rows:
    """Records in the order of their groups, and what is counted over stretches of them."""

    def __init__(self, held: _Held, silences: Any, order: Any, starts: Any) -> None:
        self.held, self.silences, self.order = held, silences, order
        self.stretches = grouping.Stretches(starts, order)
        # What stands side by side in the rows of stretches, by name of rows.
        self._taken: tuple[grouping.Stretches, dict[str, grouping.Threes]] = (self.stretches, {})
        self.begins, self.ends = (self._of(name, self.stretches) for name in ("start_us", "end_us"))

    def _of(self, name: str, stretches: grouping.Stretches) -> grouping.Threes:
        """Return a column's values in stretches."""
        columns = self.held.columns
        if not columns.side_by_side(name):
            return stretches.of(self.held.whole(name))
        field = columns.fields[name]
        if self._taken[0] is not stretches:
            self._taken = (stretches, {})
        if field.rows not in self._taken[1]:
            self._taken[1][field.rows] = stretches.each(lambda places: columns.picked(field.rows, places))
        return _each(lambda rows: np.ascontiguousarray(field.of(rows)), self._taken[1][field.rows])

    def conversations(self) -> Conversations:
        """Return what the records tell."""
        held, stretches = self.held, self.stretches
        starts, sizes = stretches.bounds, stretches.sizes
        first, last = stretches.least(self.begins), stretches.greatest(self.ends)
        lasting = last - first
        if len(first) and int(lasting.max()) <= self.silences.shortest * 1_000_000:
            single = np.ones(len(first), dtype=bool)
        else:
            single = lasting <= self._shortest_silence()
        if held.columns["opens"].any():
            single &= self._one_handshake(first)
        # Neither cut nor within two days: one conversation, one part.
        one_day = len(first) and int(first.min()) // DAY_US == int(last.max()) // DAY_US
        plain = single if one_day else single & (first // DAY_US == last // DAY_US)
        if plain.all():
            return self._made(stretches, np.arange(len(starts)), True)
        chosen = np.flatnonzero(plain)
        simple, bounds = _stretches(self.order, starts[chosen], sizes[chosen])
        rest = np.flatnonzero(~plain)
        rows, _bounds = _stretches(self.order, starts[rest], sizes[rest])
        group = np.repeat(np.arange(len(rest)), sizes[rest])
        rows, number, day = self._cut(rows, group, ~single[rest][group])
        fresh = np.ones(len(rows), dtype=bool)
        fresh[1:] = (number[1:] != number[:-1]) | (day[1:] != day[:-1])
        more = np.flatnonzero(fresh)
        _numbers, whole = np.unique(number[more], return_inverse=True)
        return self._made(
            grouping.Stretches(np.concatenate((bounds, more + len(simple))), np.concatenate((simple, rows))),
            np.concatenate((np.arange(len(bounds)), whole + len(bounds))),
        )

    def _silence(self, rows: Any) -> Any:
        """Return the silence of records, microseconds."""
        limits, held = self.silences, self.held
        packets = np.where(held.at("protocol", rows) == 6, limits.packets_tcp, limits.packets_other)
        return np.where(held.at("origin", rows) == 1, limits.exporter, packets).astype(np.int64) * 1_000_000

    def _shortest_silence(self) -> Any:
        if self.held.only("origin"):
            return self._silence(self.stretches.first)
        return np.minimum.reduceat(self._silence(self.order), self.stretches.bounds)

    def _one_handshake(self, first: Any) -> Any:
        """Return whether at most one handshake begins a group: a first SYN, and at most the SYN with ACK that answers it."""
        held, stretches = self.held, self.stretches
        opens, forward, pure, answer = (
            stretches.of(values)
            for values in (
                held.whole("opens").astype(bool),
                held.forward,
                held.whole("pure_syn"),
                held.whole("syn_ack"),
            )
        )
        counts = [
            stretches.sums(_each(lambda one, way, side=side: (one & (way == side)).astype(np.int64), opens, forward))
            for side in (True, False)
        ]
        earliest = _each(np.equal, self.begins, stretches.spread(first))
        if not held.only("place"):
            place = _each(lambda met, at: np.where(met, at, NEVER), earliest, stretches.of(held.whole("place")))
            earliest = _each(
                lambda met, at, least: met & (at == least), earliest, place, stretches.spread(stretches.least(place))
            )
        # Where two records are the first, the total order has to say which.
        alone = stretches.sums(_each(lambda met: met.astype(np.int64), earliest)) == 1
        begun = stretches.bits(_each(np.logical_and, earliest, opens))
        asked = stretches.bits(_each(np.logical_and, earliest, pure))
        answered = stretches.bits(_each(lambda met, one, is_answer: ~met & one & is_answer, earliest, opens, answer))
        total = counts[0] + counts[1]
        return (
            (counts[0] <= 1)
            & (counts[1] <= 1)
            & ((total == 0) | (alone & begun))
            & ((total <= 1) | (alone & asked & answered))
        )

    def _cut(self, rows: Any, group: Any, several: Any) -> tuple[Any, Any, Any]:
        """Return (rows by group and time, number of the conversation of each, its day); ``several`` are those of groups to be cut."""
        held = self.held
        rows = rows[self._by_time(rows, group)]
        begins, ends = held.at("start_us", rows), held.at("end_us", rows)
        opens = held.at("opens", rows).astype(bool) & several
        count = len(rows)
        fresh = np.ones(count, dtype=bool)
        fresh[1:] = group[1:] != group[:-1]
        # The latest end so far within the group: ends as ranks, lifted group by group, so that one pass runs over all.
        values, rank = np.unique(ends, return_inverse=True)
        lifted = np.maximum.accumulate(group * len(values) + rank)
        before = np.empty(count, dtype=np.int64)
        before[1:] = values[lifted[:-1] - group[:-1] * len(values)]
        before[fresh] = begins[fresh]
        spell = fresh | (several & (begins - before > self._silence(rows)))
        # The handshake packet before it in its spell: 1 a SYN of end a, 2 of end b, 0 none or another.
        place = np.arange(count)
        spoken = np.maximum.accumulate(np.where(opens, place, -1))
        latest = np.concatenate(([-1], spoken[:-1]))
        began = np.maximum.accumulate(np.where(spell, place, 0))
        forward = held.forward[rows]
        asking = np.where(held.at("pure_syn", rows), np.where(forward, 1, 2), 0)
        asked = np.where(latest >= began, asking[latest], 0)
        answers = held.at("syn_ack", rows) & (asked == np.where(forward, 2, 1))
        # The first record of a spell begins a conversation whether it is a handshake or not.
        number = np.cumsum(spell | (opens & ~answers))
        return rows, number, begins // DAY_US

    def _by_time(self, rows: Any, group: Any) -> Any:
        """Return the total order of rows within their groups: ties are told apart by all that a record says."""
        held = self.held
        begins = held.at("start_us", rows)
        order = np.lexsort((begins, group))
        begins, grouped = begins[order], group[order]
        tied = np.zeros(len(order), dtype=bool)
        tied[1:] = (begins[1:] == begins[:-1]) & (grouped[1:] == grouped[:-1])
        tied[:-1] |= tied[1:]
        if tied.any():
            some = order[tied]
            there = rows[some]
            columns = [held.at(name, there) for name in ("source", "said", "bytes", "packets")]
            columns += [~held.forward[there], held.at("end_us", there), held.at("place", there)]
            order[tied] = some[np.lexsort((*columns, begins[tied], grouped[tied]))]
        return order

    def _made(self, stretches: grouping.Stretches, whole_of: Any, alone: bool = False) -> Conversations:
        """Return the conversations of rows in the order of their parts, which are ``stretches`` of them."""
        held, leads = self.held, stretches.first
        counted = self._counted(stretches)
        parts = {name: counted[name] for name in ("start_us", "end_us", "step_us", *SUMMED)}
        parts["day_number"] = _days(parts["start_us"])
        parts["sampling"] = self._most("sampling", stretches)
        parts["source"] = self._first_source(stretches, counted["start_us"])
        fresh = np.ones(len(leads), dtype=bool)
        if not alone:
            fresh[1:] = whole_of[1:] != whole_of[:-1]
        whole = alone or bool(fresh.all())
        parts["signs"] = _with_first(counted)
        if not whole:
            parts["signs"] = parts["signs"] | np.where(fresh, 0, 1 << signs.CONTINUES).astype(np.int32)
        spoke = (counted["a_start"] != NEVER) & (counted["b_start"] != NEVER)
        parts["lag_us"] = np.where(spoke, counted["b_start"] - counted["a_start"], 0)
        wholes = counted
        if not whole:
            wholes = self._wholes(stretches, fresh, counted)
            leads = leads[fresh]
        for end, codes in (("a", held.low), ("b", held.high)):
            own = codes.take(leads)
            hi, lo, port = held.ends.columns(own)
            wholes.update({f"{end}_hi": hi, f"{end}_lo": lo, f"{end}_port": port})
            if held.ends.hi is None and held.ends.pairs is None:
                wholes[f"{end}_end"] = own
        wholes["protocol"] = held.at("protocol", leads)
        for place, end in enumerate("ab"):
            wholes[f"{end}_replies"] = _replies(wholes, end, place)
        wholes["exporter"] = held.at("exporter", leads)
        return Conversations(wholes, parts, whole_of, held.names, alone)

    def _wholes(self, stretches: grouping.Stretches, fresh: Any, counted: dict[str, Any]) -> dict[str, Any]:
        """Return what is counted of conversations, of which some have several parts: those are counted again."""
        bounds, rows, first = stretches.bounds, stretches.rows, np.flatnonzero(fresh)
        several = np.diff(first, append=len(bounds)) > 1
        sizes = np.diff(bounds[first], append=len(rows))
        again, begins = _stretches(rows, bounds[first][several], sizes[several])
        made = {name: values[first] for name, values in counted.items()}
        for name, values in self._counted(grouping.Stretches(begins, again)).items():
            made[name][several] = values
        return made

    def _counted(self, stretches: grouping.Stretches) -> dict[str, Any]:
        """Return sums and extremes over stretches of rows."""
        held = self.held
        forward = stretches.of(held.forward)
        begins, ends = (
            (self.begins, self.ends)
            if stretches is self.stretches
            else (self._of(name, stretches) for name in ("start_us", "end_us"))
        )
        made = {
            "end_us": stretches.greatest(ends),
            "step_us": self._most("step_us", stretches),
            "origin": self._most("origin", stretches),
            "signs": stretches.bits(stretches.of(held.columns["signs"])),
        }
        # All bits where an end a sent the record, so that what others sent is left out of a sum at the least cost.
        masks = _each(lambda way: np.negative(way.astype(np.int64)), forward)
        for name in ("packets", "bytes"):
            values = self._of(name, stretches)
            made[f"a_{name}"] = stretches.sums(_each(np.bitwise_and, values, masks))
            made[f"b_{name}"] = stretches.sums(values) - made[f"a_{name}"]
        places = None if held.only("place") else self._of("place", stretches)
        for end, sides in (("a", forward), ("b", _each(np.logical_not, forward))):
            starts = _each(lambda side, begun: np.where(side, begun, NEVER), sides, begins)
            made[f"{end}_start"] = least = stretches.least(starts)
            if places is None:
                made[f"{end}_place"] = np.where(least == NEVER, NEVER, held.columns["place"][0])
            else:
                at_first = _each(
                    lambda side, begun, first, at: np.where(side & (begun == first), at, NEVER),
                    sides, starts, stretches.spread(least), places,
                )  # fmt: skip
                made[f"{end}_place"] = stretches.least(at_first)
        made["start_us"] = np.minimum(made["a_start"], made["b_start"])
        return made

    def _most(self, name: str, stretches: grouping.Stretches) -> Any:
        if self.held.only(name):
            return grouping.spread(self.held.columns[name], len(stretches.bounds))
        return stretches.greatest(self._of(name, stretches))

    def _first_source(self, stretches: grouping.Stretches, first: Any) -> Any:
        """Return the input of the first record, the lower one of several that begin together."""
        held = self.held
        if held.only("source"):
            return grouping.spread(held.columns["source"], len(stretches.bounds))
        begins, sources = (self._of(name, stretches) for name in ("start_us", "source"))
        largest = np.iinfo(np.int32).max
        earliest = _each(
            lambda begun, least, own: np.where(begun == least, own, largest), begins, stretches.spread(first), sources
        )
        return stretches.least(earliest)


def _each(function: Any, *threes: grouping.Threes) -> grouping.Threes:
    """Return a function of values that come in threes (``grouping.Stretches``)."""
    first, second, rest = zip(*threes, strict=True)
    return function(*first), function(*second), function(*rest)


def _days(moments: Any) -> Any:
    """Return the day of each moment; one value stands for all where they have no other."""
    if len(moments):
        first = int(moments.min()) // DAY_US
        if first == int(moments.max()) // DAY_US:
            return grouping.spread(np.array([first]), len(moments))
    return moments // DAY_US


def _replies(wholes: dict[str, Any], end: str, place: int) -> Any:
    """Return whether what an end sent is an answer, if it is the server: anything but a refusal, which is a bare RST (facts/flows.md
    section 7, replied share)."""
    packets = wholes[f"{end}_packets"]
    made = packets + wholes[f"{end}_bytes"] > 0
    reset = np.flatnonzero(wholes["signs"] & (RST << place * signs.FLAG_BITS))
    if len(reset):
        flags = wholes["signs"][reset] >> (place * signs.FLAG_BITS)
        made[reset] &= (wholes["protocol"][reset] != 6) | (flags & (FIN | SYN | PSH) != 0) | (packets[reset] > 3)
    return made


def _with_first(counted: dict[str, Any]) -> Any:
    """Return signs with the bits of who spoke first at equal times."""
    made = counted["signs"]
    tied = (counted["a_start"] == counted["b_start"]) & (counted["a_place"] != counted["b_place"])
    if not tied.any():
        return made
    earlier = np.where(counted["a_place"] < counted["b_place"], 1, 2).astype(np.int32) << signs.PAIRS["first"]
    return np.where(tied, made | earlier, made)


def _stretches(order: Any, starts: Any, sizes: Any) -> tuple[Any, Any]:
    """Return (rows of stretches one after another, where each begins there)."""
    places, bounds = grouping.stretched(starts, sizes)
    return order.take(places), bounds
