# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Edges between segments on DuckDB: the short way of ``queries.EDGES`` for rows both of whose ends are settled.

An IPv4 address is settled where one interval covers the whole window, or none names it: then who held it needs no comparison of times.
Most are. One that changed hands is looked up among its intervals by the row's time, and settles the row where one interval has all of it
or none any. Rows are counted by one integer; those within whose time an address changed hands are held for the joins. Which edges no rule
permits is one search among integers as well (``unmatched``).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.address import V4_HI, V4_LO
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.footers import Footer, constants
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import ROLLUP, arrow_schema

np = guarded("numpy")
pa = guarded("pyarrow")
parquet = guarded("pyarrow.parquet")

# Codes of addresses that are no kind: nobody's, left to the joins, and (this and below) one of those looked up by time.
UNLISTED, MOVING, TIMED = -1, -2, -3
PAGE = 1 << 16
# The key of rows that are left to the joins.
NOBODY = -1
# Registers with addresses in more blocks of 65,536 than this take the joins: a block is 256 KiB of codes.
MOST_PAGES = 1024
# Rows that may be held for the joins, about 150 octets each.
MOST_REST = 6_000_000
ADDED = ("flows", "weak_flows", "bytes")
COUNTED = (*ADDED, "last_us")
LARGEST_SUM = float(1 << 62)
ENDS = ("client_hi", "client_lo", "server_hi", "server_lo")
NEEDED = ("day", *ENDS, "protocol", "server_port", "class", "first_us", *COUNTED)
GROUPS = ("multicast", "broadcast")
KEY = "client_segment, server_segment, protocol, server_port, client_binding, server_binding"


class Settled:
    """Who held the settled addresses from ``first`` to ``last`` (microseconds); ``kinds`` has (segment, binding) by code.

    Tables as ``FlowGate.bind`` names them. ``pages`` is None where the addresses lie in too many blocks.
    """

    def __init__(self, intervals: Any, members: Any, networks: Any, first: int, last: int) -> None:
        self.kinds: list[tuple[str, str]] = []
        self._codes: dict[tuple[str, str], int] = {}
        self._networks(networks)
        values = {name: intervals.column(name).to_numpy() for name in ("address_hi", "address_lo", "from_us", "to_us")}
        self.listed = values["address_hi"] == V4_HI
        number = (values["address_lo"] - V4_LO)[self.listed]
        blocks = np.unique(number >> 16)
        self.pages: Any = None
        if len(blocks) > MOST_PAGES or ((number < 0) | (number >> 32 != 0)).any():
            return
        # What is added to an address of a block to have its place in ``pages``; the first page is for blocks that hold none.
        self.shift = -np.arange(PAGE, dtype=np.int64) * PAGE
        self.shift[blocks] += np.arange(1, len(blocks) + 1) * PAGE
        self.pages = np.full((len(blocks) + 1) * PAGE, UNLISTED, dtype=np.int32)
        places = self._places(number)
        since, until = values["from_us"][self.listed], values["to_us"][self.listed]
        held = self._held(intervals, members)
        known, which, counts = np.unique(places, return_inverse=True, return_counts=True)
        whole = (since <= first) & (until > last) & (counts[which] == 1)
        self.pages[places[whole]] = held[whole]
        self._by_time(known, which[~whole], since[~whole], until[~whole], held[~whole])

    def _by_time(self, places: Any, which: Any, since: Any, until: Any, held: Any) -> None:
        """Keep the intervals of addresses that one of them does not settle; ``which`` says whose they are, by its place in ``places``."""
        order = np.lexsort((until, since, which))
        which, since, until, held = which[order], since[order], until[order], held[order]
        moving = np.unique(which)
        self.pages[places[moving]] = TIMED - np.arange(len(moving))
        # Intervals of one address do not overlap; where they do, the joins say so.
        clash = (which[1:] == which[:-1]) & (since[1:] < until[:-1])
        self.pages[places[np.unique(which[1:][clash])]] = MOVING
        self.moments = np.unique(np.concatenate((since, until)))
        self.since, self.until, self.holder = since, until, held
        self.owner = np.searchsorted(moving, which)
        self.spells = self._spells(self.owner, since)

    def _spells(self, owner: Any, moment: Any) -> Any:
        """Return an integer whose order is that of the address and, within it, of the moments that intervals begin and end at."""
        return owner * np.int64(len(self.moments) + 1) + np.searchsorted(self.moments, moment, side="right")

    def _timed(self, owner: Any, first: Any, last: Any) -> Any:
        """Return who held addresses that changed hands from ``first`` to ``last``, which is MOVING where several may have."""
        place = np.searchsorted(self.spells, self._spells(owner, first), side="right")
        before, after = np.maximum(place - 1, 0), np.minimum(place, len(self.spells) - 1)
        begun = (place > 0) & (self.owner[before] == owner) & (self.until[before] > first)
        next_began = (place < len(self.spells)) & (self.owner[after] == owner) & (self.since[after] <= last)
        made = np.where(next_began, MOVING, UNLISTED)
        return np.where(begun, np.where(self.until[before] > last, self.holder[before], MOVING), made)

    def _held(self, intervals: Any, members: Any) -> Any:
        """Return the code of each listed interval's device; the joins have those without a name and those in several segments."""
        rows = list(zip(*(members.column(name).to_pylist() for name in ("device", "segment")), strict=True))
        often = Counter(device for device, _segment in rows)
        segments = dict(rows)
        listed = pa.array(self.listed)
        columns = {name: intervals.column(name).filter(listed).combine_chunks() for name in ("device", "source")}
        texts, codes = {}, {}
        for name, column in columns.items():
            column = column.chunk(0) if isinstance(column, pa.ChunkedArray) and column.num_chunks else column
            if not len(column):
                return np.empty(0, dtype=np.int32)
            found = column.dictionary_encode()
            texts[name], codes[name] = found.dictionary.to_pylist(), found.indices.to_numpy()
        pairs: dict[str, tuple[int, ...]] = {}
        made = np.full((2, len(texts["device"])), MOVING, dtype=np.int32)
        for number, device in enumerate(texts["device"]):
            if device and often[device] < 2:
                name = segments.get(device) or ""
                if name not in pairs:
                    pairs[name] = tuple(self._code(name, binding) for binding in ("bound", "assumed"))
                made[:, number] = pairs[name]
        assumed = np.array([text.startswith("assumed") for text in texts["source"]], dtype=np.int64)
        return made[assumed[codes["source"]], codes["device"]]

    def _networks(self, networks: Any) -> None:
        """Make the codes of addresses that nobody held: by the boundaries of the named networks, the first name of several."""
        named = [row for row in networks.to_pylist() if row["first_hi"] <= V4_HI <= row["last_hi"]]
        spans = [
            (row["first_lo"], row["last_lo"], row["segment"])
            if row["first_hi"] == row["last_hi"]
            else (V4_LO, V4_LO + (1 << 32) - 1, row["segment"])
            for row in named
        ]
        bounds = sorted({V4_LO, *(low for low, _high, _name in spans), *(high + 1 for _low, high, _name in spans)})
        names = [min((name for low, high, name in spans if low <= bound <= high), default="") for bound in bounds]
        self.bounds = np.array(bounds, dtype=np.int64)
        self.between = np.array([self._code(name, "unknown") for name in names], dtype=np.int32)

    def _code(self, segment: str, binding: str) -> int:
        kind = (segment, binding)
        if kind not in self._codes:
            self._codes[kind] = len(self.kinds)
            self.kinds.append(kind)
        return self._codes[kind]

    def _places(self, number: Any) -> Any:
        made = self.shift.take(number >> 16)
        made += number
        return made

    def codes(self, hi: Any, lo: Any, first: Any, last: Any) -> Any:
        """Return the code of each address from ``first`` to ``last`` (microseconds), or a negative number where it is not settled.

        ``hi`` is None where all addresses are IPv4.
        """
        number = lo - V4_LO
        strange = None
        if hi is not None or (len(number) and (number.min() < 0 or number.max() >> 32)):
            strange = number >> 32 != 0 if hi is None else (hi != V4_HI) | (number >> 32 != 0)
            number = np.where(strange, 0, number)
        made = self.pages.take(self._places(number))
        unsettled = np.flatnonzero(made < 0)
        timed = unsettled[made.take(unsettled) <= TIMED]
        if len(timed):
            made[timed] = self._timed(TIMED - made[timed], first[timed], last[timed])
        free = unsettled[made.take(unsettled) == UNLISTED]
        made[free] = self.between[np.searchsorted(self.bounds, number[free] + V4_LO, side="right") - 1]
        if strange is not None:
            made[strange] = MOVING
        return made


class Told:
    """The rows of rollup files: sums of those whose ends are settled, and the others.

    ``left`` is how many others there are; up to ``MOST_REST`` are held. ``summable`` says whether no sum has left 64 bits.
    """

    def __init__(self, footers: Sequence[Footer], settled: Settled) -> None:
        self.footers, self.settled = footers, settled
        self.rest: list[Any] = []
        self.left = 0
        self.kinds = len(settled.kinds)
        self._schema = arrow_schema(ROLLUP)
        # Where footers bound the sums, they are not worked out to see whether they fit.
        self._bounded = all(sum(_most(each, name) for each in footers) < LARGEST_SUM for name in ADDED)
        self._total = 0.0
        fixed = constants(footers, ("client_hi", "server_hi", "class"))
        # Columns that say nothing here are not read: all is IPv4, no row is of a group.
        self.four = all(fixed.get(f"{end}_hi") == V4_HI for end in ("client", "server"))
        self.single = fixed.get("class", GROUPS[0]) not in GROUPS
        self.fixed = {name: value for name, value in fixed.items() if (self.single if name == "class" else self.four)}

    @property
    def summable(self) -> bool:
        """Return whether no sum has left 64 bits."""
        return self._total < LARGEST_SUM

    def sums(self) -> dict[str, Any]:
        """Return the columns ``COUNTED`` of settled rows summed by ``key``, as arrays."""
        parts = []
        for footer in self.footers:
            # A file is one day's, and most days have no guess.
            fixed = {**self.fixed, **constants([footer], ("day", "weak_flows"))}
            with parquet.ParquetFile(footer.path, read_dictionary=["class"]) as opened:
                parts += [self._group(opened, group, fixed) for group in range(opened.num_row_groups)]
        names = ("key", *COUNTED)
        made = _summed(
            {name: np.concatenate([np.empty(0, np.int64), *(part[name] for part in parts)]) for name in names}
        )
        told = made["key"] != NOBODY
        return {name: values[told] for name, values in made.items()}

    def others(self) -> Any:
        """Return the rows left, as the rollup has them, but for what edges do not ask for, which is 0."""
        schema = arrow_schema(ROLLUP)
        wanted = arrow_schema({name: ROLLUP[name] for name in NEEDED})
        rows = pa.concat_tables([wanted.empty_table(), *(each.cast(wanted) for each in self.rest)])
        zeros = {
            each.name: pa.repeat(pa.scalar(0, type=each.type), rows.num_rows)
            for each in schema
            if each.name not in NEEDED
        }
        return pa.table({name: zeros[name] if name in zeros else rows.column(name) for name in ROLLUP}, schema=schema)

    def _group(self, opened: Any, group: int, fixed: Mapping[str, Any]) -> dict[str, Any]:
        table = opened.read_row_group(group, columns=[name for name in NEEDED if name not in fixed], use_threads=False)
        numbers = [name for name in table.column_names if name not in ("day", "class")]
        values = {name: table.column(name).to_numpy() for name in numbers}
        if "weak_flows" in fixed:
            values["weak_flows"] = np.broadcast_to(np.int64(fixed["weak_flows"]), table.num_rows)
        several = None if self.single else _of_groups(table.column("class"))
        key, told = np.empty(table.num_rows, dtype=np.int64), np.empty(table.num_rows, dtype=bool)
        for begin in range(0, table.num_rows, PAGE):
            part = slice(begin, min(begin + PAGE, table.num_rows))
            key[part], told[part] = self._keys({name: column[part] for name, column in values.items()})
        if several is not None:
            told &= ~several
        if not self._bounded:
            self._total += max(float(np.abs(values[name]).sum(dtype=np.float64)) for name in ADDED)
        columns = {"key": key, **{name: values[name] for name in COUNTED}}
        if not told.all():
            self.left += int((~told).sum())
            if self.left <= MOST_REST:
                rest = table.filter(pa.array(~told))
                for name, value in fixed.items():
                    one = pa.scalar(value, type=self._schema.field(name).type)
                    rest = rest.append_column(name, pa.repeat(one, rest.num_rows))
                self.rest.append(rest.select(list(NEEDED)))
            key[~told] = NOBODY
        return _summed(columns)

    def _keys(self, values: dict[str, Any]) -> tuple[Any, Any]:
        """Return (keys, which rows are settled)."""
        client, server = (
            self.settled.codes(
                None if self.four else values[f"{end}_hi"], values[f"{end}_lo"], values["first_us"], values["last_us"]
            ).astype(np.int64)
            for end in ("client", "server")
        )
        protocol, port = values["protocol"].astype(np.int64), values["server_port"].astype(np.int64)
        told = (client >= 0) & (server >= 0) & (protocol >= 0) & (protocol < 256) & (port >= 0) & (port < PAGE)
        return (((client * self.kinds + server) << 8 | protocol) << 16) | port, told


def _most(footer: Footer, name: str) -> float:
    """Return what a column of a file adds up to at most, by its footer."""
    low, high = footer.ranges.get(name, (-math.inf, math.inf))
    return float(max(abs(low), abs(high))) * footer.rows


def _of_groups(column: Any) -> Any:
    """Return which rows' class is one of a group of receivers."""
    texts = column.unify_dictionaries().combine_chunks()
    texts = texts.chunk(0) if isinstance(texts, pa.ChunkedArray) else texts
    several = [number for number, name in enumerate(texts.dictionary.to_pylist()) if name in GROUPS]
    return np.isin(texts.indices.to_numpy(), several)


def _summed(columns: dict[str, Any]) -> dict[str, Any]:
    """Return columns with each key once, ``last_us`` the greatest and the others added up."""
    found = pa.array(columns["key"]).dictionary_encode()
    keys, number = found.dictionary.to_numpy(), found.indices.to_numpy()
    made = {"key": keys}
    for name in COUNTED:
        held = np.full(len(keys), np.iinfo(np.int64).min if name == "last_us" else 0, dtype=np.int64)
        values = columns[name]
        # Most days have no guess, and nothing to add up.
        if values.strides != (0,) or values[:1].any():
            (np.maximum if name == "last_us" else np.add).at(held, number, values)
        made[name] = held
    return made


def added(sums: dict[str, Any], kinds: Sequence[tuple[str, str]], others: Any) -> Any:
    """Return the sums and a table of other edges as one table of edges, each once and nearly in the order of ``KEY``, or None where a
    protocol, a port or a sum of the others does not fit."""
    columns = {name: others.column(name).to_pylist() for name in KEY.split(", ")}
    more = {name: others.column(name).to_numpy() for name in COUNTED}
    ends = [
        list(zip(columns[f"{end}_segment"], columns[f"{end}_binding"], strict=True)) for end in ("client", "server")
    ]
    ports = zip(columns["protocol"], columns["server_port"], strict=True)
    if not all(0 <= protocol < 256 and 0 <= port < PAGE for protocol, port in ports) or any(
        len(values) and np.abs(values.astype(np.float64)).max() >= LARGEST_SUM for values in more.values()
    ):
        return None
    # Kinds in the order of their names, so that keys are.
    every = sorted({*kinds, *ends[0], *ends[1]})
    code = {kind: number for number, kind in enumerate(every)}
    place = np.array([code[kind] for kind in kinds], dtype=np.int64)
    both = sums["key"] >> 24
    client, server = place[both // max(1, len(kinds))], place[both % max(1, len(kinds))]
    told = (client * len(every) + server) << 24 | (sums["key"] & ((1 << 24) - 1))
    own = [
        (code[one] * len(every) + code[other]) << 24 | protocol << 16 | port
        for one, other, protocol, port in zip(*ends, columns["protocol"], columns["server_port"], strict=True)
    ]
    key = np.concatenate((told, np.array(own, dtype=np.int64)))
    order = np.argsort(key, kind="stable")
    key = key[order]
    starts = np.flatnonzero(np.concatenate((np.ones(min(1, len(key)), dtype=bool), key[1:] != key[:-1])))
    made = {"key": key[starts]}
    for name in COUNTED:
        values = np.concatenate((sums[name], more[name]))[order]
        made[name] = (np.maximum if name == "last_us" else np.add).reduceat(values, starts) if len(key) else values
    return named(made, every).select([*columns, *COUNTED])


def named(sums: dict[str, Any], kinds: Sequence[tuple[str, str]]) -> Any:
    """Return the sums as edges: keys taken apart, segments and bindings by name."""
    key = sums["key"]
    both = key >> 24
    ends = {"client": both // max(1, len(kinds)), "server": both % max(1, len(kinds))}
    made: dict[str, Any] = {}
    for end, codes in ends.items():
        for place, what in enumerate(("segment", "binding")):
            names = pa.array([kind[place] for kind in kinds], type=pa.string())
            made[f"{end}_{what}"] = pa.DictionaryArray.from_arrays(pa.array(codes), names)
    made["protocol"] = pa.array(((key >> 16) & 255).astype(np.int16))
    made["server_port"] = pa.array((key & (PAGE - 1)).astype(np.int32))
    return pa.table({**made, **{name: sums[name] for name in COUNTED}})


def unmatched(edges: Any, rules: Any) -> Any:
    """Return the edges that no rule permits, as ``queries.unmatched`` does and in its order; ``edges`` as ``added`` returns them.

    An edge is one integer whose order is that of its segments, protocol and port, and a rule all integers from one to another.
    """
    code, (client, server) = _ranked(edges, "segment")
    protocol, port = (edges.column(name).to_numpy().astype(np.int64) for name in ("protocol", "server_port"))
    key = (client * len(code) + server) << 24 | protocol << 16 | port
    low, high = _spans(rules, code)
    place = np.searchsorted(low, key, side="right")
    kept = np.flatnonzero(np.concatenate(([-1], np.maximum.accumulate(high)))[place] < key)
    client, server = _ranked(edges, "binding")[1]
    order = np.lexsort((server[kept], client[kept], key[kept]))
    return edges.take(pa.array(kept[order]))


def _spans(rules: Any, code: Mapping[str, int]) -> tuple[Any, Any]:
    """Return the first and the last integer of each rule between segments of edges, in the order of the first."""
    ends = [
        np.array([code.get(name, -1) for name in rules.column(f"{end}_segment").to_pylist()], dtype=np.int64)
        for end in ("client", "server")
    ]
    protocol, first, last = (
        rules.column(name).fill_null(-1).to_numpy().astype(np.int64) for name in ("protocol", "first_port", "last_port")
    )
    first, last = np.maximum(first, 0), np.minimum(last, PAGE - 1)
    known = (ends[0] >= 0) & (ends[1] >= 0) & (protocol >= 0) & (protocol < 256) & (first <= last)
    service = (ends[0] * len(code) + ends[1]) << 24 | protocol << 16
    low, high = (service | first)[known], (service | last)[known]
    order = np.argsort(low)
    return low[order], high[order]


def _ranked(edges: Any, what: str) -> tuple[dict[str, int], list[Any]]:
    """Return (places of the names of both ends in their order, by name; each edge's places)."""
    columns = [edges.column(f"{end}_{what}").chunks for end in ("client", "server")]
    texts = sorted({text for chunks in columns for chunk in chunks for text in chunk.dictionary.to_pylist()})
    code = {text: number for number, text in enumerate(texts)}
    made = []
    for chunks in columns:
        places = [np.array([code[text] for text in chunk.dictionary.to_pylist()], dtype=np.int64) for chunk in chunks]
        parts = [own.take(chunk.indices.to_numpy()) for own, chunk in zip(places, chunks, strict=True)]
        made.append(np.concatenate([np.empty(0, dtype=np.int64), *parts]))
    return code, made
