# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A day's conversations summed to rollup rows with arrays: the short way of ``operations/daily.py``, ``summed``.

The key of a row becomes one integer whose order is that of the key: places of both addresses among the day's, and of protocol, port and
class among those that occur. Rows are parted by their clients into pieces that fit the caches; there they are sorted by the key, and each
column is summed over the stretches of equal keys (measured: README.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import grouping
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.day_rows import (
    KINDS,
    PART,
    DayRows,
    service_columns,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.held import bounds_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.queries import HOUR_US, WEAK_METHOD
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.orientation import CONFIDENCE
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import CLASSES, ROLLUP
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.views import Views

np = guarded("numpy")
pa = guarded("pyarrow")

# Bits of a packed row: 24 hours, one bit for each method, the port; packets, and above them whether it was answered.
METHOD_SHIFT = 24
PORT_SHIFT = METHOD_SHIFT + len(CONFIDENCE)
ANSWERED_SHIFT = 40


def summed(views: Views, day: Any) -> Any:
    """Return the rollup of a day as an Arrow table in the order of its key, or None where keys or values do not fit their bits."""
    rows = views.rows
    hi, lo, ends = _addresses(rows)
    services, service = _ordered(*_numbered(rows.columns["service"]))
    if len(lo) ** 2 * len(services) >= 1 << 63:
        return None
    packed = _packed(rows, (*ends, service), len(lo), len(services))
    if packed is None:
        return None
    made = [packed.sums(at) for at in _pieces(views, ends[0], len(lo))]
    columns = {name: np.concatenate([each[name] for each in made]) for name in made[0]}
    key = columns.pop("key")
    both = key // len(services)
    client = both // len(lo)
    server, values = both - client * len(lo), services[key - both * len(services)]
    columns |= {"client_hi": hi[client], "client_lo": lo[client], "server_hi": hi[server], "server_lo": lo[server]}
    columns |= service_columns(values)
    classes, texts = columns.pop("class"), pa.array(sorted(CLASSES), type=pa.string())
    if (classes == classes[0]).all():
        none = pa.array(np.zeros(len(classes), dtype=np.int32))
        texts = pa.DictionaryArray.from_arrays(none, texts.slice(int(classes[0]), 1))
    else:
        texts = texts.take(pa.array(classes))
    arrays = {name: columns[name].astype(KINDS.get(ROLLUP[name], ROLLUP[name]), copy=False) for name in columns}
    arrays |= {"class": texts, "day": pa.repeat(pa.scalar(day, type=pa.date32()), len(key))}
    return pa.table({name: arrays[name] for name in ROLLUP})


def _pieces(views: Views, clients: tuple[Any, Any], count: int) -> Iterator[Any]:
    """Yield the places of rows that count, in pieces of about ``PART`` that have all rows of their clients, in the order of these."""
    place, codes = clients
    sizes = np.empty(count, dtype=np.int64)
    sizes[place] = np.bincount(codes, minlength=count)
    bounds = list(bounds_of(sizes, PART))
    numbers = np.empty(count, dtype=np.uint8 if len(bounds) < 255 else np.uint16)
    for number, (first, last) in enumerate(bounds):
        numbers[first:last] = number
    piece = numbers[place].take(codes)
    # Behind the others: rows that do not count.
    piece[~views.kept] = len(bounds)
    order = np.argsort(piece, kind="stable")
    rows_of = np.bincount(piece, minlength=len(bounds) + 1)[:-1]
    ends = np.cumsum(rows_of)
    for begin, end in zip((ends - rows_of).tolist(), ends.tolist(), strict=True):
        if end > begin:
            yield order[begin:end]


@dataclass(frozen=True)
class _Packed:
    """What is summed of each row, put together so that few arrays have to be brought into the order of the keys.

    ``word`` has bits of the hours and of the method, and the client's port; ``counts`` packets and whether it was answered. ``in_order``
    says that rows stand by their start; ``surely`` that how sure a direction is follows from its method, as orientation has it.
    """

    rows: DayRows
    key: Any
    word: Any
    counts: Any
    in_order: bool
    surely: bool

    def sums(self, at: Any) -> dict[str, Any]:
        """Return the key and the columns of the groups of rows with one key, in its order; ``at`` has the rows' places in the day."""
        rows, key = self.rows, self.key.take(at)
        low = int(key.min())
        order = grouping.sorted_order((key - low).view(np.uint64), (int(key.max()) - low).bit_length())
        key, at = key.take(order), at.take(order)
        fresh = np.ones(len(key), dtype=bool)
        np.not_equal(key[1:], key[:-1], out=fresh[1:])
        starts = np.flatnonzero(fresh)
        word = self.word.take(at)
        bits = np.bitwise_or.reduceat(word & ((1 << PORT_SHIFT) - 1), starts)
        counts = np.add.reduceat(self.counts.take(at), starts)
        # Of rows with one key that stand by their start the first one began first.
        start = rows.columns["start_us"]
        first = start.take(at[starts]) if self.in_order else np.minimum.reduceat(start.take(at), starts)
        last = np.maximum.reduceat(rows.columns["end_us"].take(at), starts)
        port = word >> PORT_SHIFT
        method = _least_bits()[bits >> METHOD_SHIFT]
        weak = (word >> (METHOD_SHIFT + WEAK_METHOD)) & 1
        return {
            "key": key.take(starts),
            "flows": np.diff(starts, append=len(at)),
            "answered_flows": counts >> ANSWERED_SHIFT,
            "weak_flows": np.add.reduceat(weak, starts) if weak.any() else np.zeros(len(starts), dtype=np.int64),
            "packets": counts & ((1 << ANSWERED_SHIFT) - 1),
            "bytes": np.add.reduceat(rows.columns["bytes"].take(at), starts),
            "hours": bits & ((1 << METHOD_SHIFT) - 1),
            "first_us": np.maximum(first, rows.first),
            "last_us": np.minimum(last, rows.last - 1),
            "minimum_client_port": np.minimum.reduceat(port, starts),
            "maximum_client_port": np.maximum.reduceat(port, starts),
            "method": method,
            "confidence": np.array(CONFIDENCE, dtype=np.float32)[method]
            if self.surely
            else np.maximum.reduceat(rows.columns["confidence"].take(at), starts),
        }


def _packed(rows: DayRows, numbered: Sequence[tuple[Any, Any]], addresses: int, services: int) -> _Packed | None:
    """Return the day's rows for ``_Packed.sums``, or None where a port, a method or the packets do not fit.

    ``numbered`` has the places of numbers, and each row's number, for clients, servers and services.
    """
    columns, memory = rows.columns, rows.memory
    key, word, counts = (memory.array(name, len(rows), np.int64) for name in ("key", "word", "counts"))
    table = np.array(CONFIDENCE, dtype=np.float32)
    one = np.int32(1)
    in_order = surely = True
    before, packets_in_all = rows.first - (1 << 62), 0.0
    for part in rows.parts():
        client, server, service = (place.take(codes[part]) for place, codes in numbered)
        client *= addresses
        client += server
        client *= services
        np.add(client, service, out=key[part])
        start, end, packets = columns["start_us"][part], columns["end_us"][part], columns["packets"][part]
        port, method = columns["client_port"][part], columns["method"][part]
        if port.min() < 0 or port.max() >> 16 or method.min() < 0 or method.max() >= len(table) or packets.min() < 0:
            return None
        surely = surely and bool((table[method] == columns["confidence"][part]).all())
        in_order = in_order and int(start[0]) >= before and bool((start[1:] >= start[:-1]).all())
        before = int(start[-1])
        begun = ((np.maximum(start, rows.first) - rows.first) // HOUR_US).astype(np.int32)
        ended = ((np.minimum(end, rows.last - 1) - rows.first) // HOUR_US).astype(np.int32)
        hours = np.left_shift(one, ended + one) - np.left_shift(one, begun)
        own = np.left_shift(1 << METHOD_SHIFT, method, dtype=np.int64)
        own |= hours
        np.bitwise_or(own, port.astype(np.int64) << PORT_SHIFT, out=word[part])
        begins = start >= rows.first
        if not begins.all():
            # What began before counts on the day on which it did.
            packets = packets * begins
            columns["bytes"][part] *= begins
        packets_in_all += float(packets.sum(dtype=np.float64))
        np.add(packets, columns["answered"][part].astype(np.int64) << ANSWERED_SHIFT, out=counts[part])
    if packets_in_all >= 1 << ANSWERED_SHIFT:
        return None
    return _Packed(rows, key, word, counts, in_order, surely)


@cache
def _least_bits() -> Any:
    """Return the number of the lowest bit set, by value."""
    return np.array([0, *((each & -each).bit_length() - 1 for each in range(1, 1 << len(CONFIDENCE)))], dtype=np.int16)


def _addresses(rows: DayRows) -> tuple[Any, Any, list[tuple[Any, Any]]]:
    """Return (hi and lo of the day's addresses in their order, for clients and for servers: places in them by number, and each row's
    number)."""
    columns = rows.columns
    lows, codes = _numbered(columns["client_lo"], columns["server_lo"])
    if rows.constant("client_hi"):
        his, los = np.full(len(lows), columns["client_hi"][0]), lows
    else:
        highs, upper = _numbered(columns["client_hi"], columns["server_hi"])
        both = ((one.astype(np.int64) << 32) | other for one, other in zip(upper, codes, strict=True))
        pairs, codes = _numbered(*both)
        his, los = highs[pairs >> 32], lows[pairs & 0xFFFFFFFF]
    order = np.lexsort((los, his))
    return his[order], los[order], [(_places(order), each) for each in codes]


def _numbered(*arrays: Any) -> tuple[Any, list[Any]]:
    """Return (distinct values, for each array their numbers)."""
    found = pa.chunked_array([pa.array(each) for each in arrays]).dictionary_encode().unify_dictionaries()
    return found.chunk(0).dictionary.to_numpy(), [chunk.indices.to_numpy() for chunk in found.chunks]


def _ordered(values: Any, codes: list[Any]) -> tuple[Any, tuple[Any, Any]]:
    """Return (values in order, (places in them by number, each row's number))."""
    order = np.argsort(values)
    return values[order], (_places(order), codes[0])


def _places(order: Any) -> Any:
    made = np.empty(len(order), dtype=np.int64)
    made[order] = np.arange(len(order))
    return made
