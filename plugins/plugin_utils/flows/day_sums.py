# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A day's conversations summed to rollup rows with arrays: the short way of ``operations/daily.py``, ``summed``.

The key of a row becomes one integer whose order is that of the key: places of both addresses among the day's, and of protocol, port and
class among those that occur. Rows are parted by their clients into pieces that fit the caches; there they are sorted by the key, and each
column is summed over the stretches of equal keys (measured: README.md).
"""

from __future__ import annotations

from collections.abc import Iterator
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


def summed(views: Views, day: Any) -> Any:
    """Return the rollup of a day as an Arrow table in the order of its key, or None where the keys do not fit 63 bits."""
    rows = views.rows
    hi, lo, ends = _addresses(rows)
    services, service = _ordered(*_numbered(rows.columns["service"]))
    if len(lo) ** 2 * len(services) >= 1 << 63:
        return None
    width = np.int64(len(lo) * len(services))
    keys: list[Any] = []
    parts: list[dict[str, Any]] = []
    surely = _surely(rows)
    for at in _pieces(views, ends[0], len(lo)):
        client, server = (place[codes.take(at)] for place, codes in ends)
        key = client * width
        key += server * len(services)
        key += service[0][service[1].take(at)]
        low = int(key.min())
        order = grouping.sorted_order((key - low).view(np.uint64), (int(key.max()) - low).bit_length())
        key = key.take(order)
        fresh = np.ones(len(key), dtype=bool)
        np.not_equal(key[1:], key[:-1], out=fresh[1:])
        starts = np.flatnonzero(fresh)
        keys.append(key.take(starts))
        parts.append(_sums(rows, at.take(order), starts, surely))
    key = np.concatenate(keys)
    made = {name: np.concatenate([each[name] for each in parts]) for name in parts[0]}
    both = key // len(services)
    client = both // len(lo)
    server, values = both - client * len(lo), services[key - both * len(services)]
    made |= {"client_hi": hi[client], "client_lo": lo[client], "server_hi": hi[server], "server_lo": lo[server]}
    made |= service_columns(values)
    texts = pa.array(sorted(CLASSES), type=pa.string()).take(pa.array(made.pop("class")))
    arrays = {name: made[name].astype(KINDS.get(ROLLUP[name], ROLLUP[name]), copy=False) for name in made}
    arrays |= {"class": texts, "day": pa.repeat(pa.scalar(day, type=pa.date32()), len(key))}
    return pa.table({name: arrays[name] for name in ROLLUP})


def _pieces(views: Views, clients: tuple[Any, Any], count: int) -> Iterator[Any]:
    """Yield the places of rows that count, in pieces of about ``PART`` that have all rows of their clients, in the order of these."""
    place, codes = clients
    sizes = np.empty(count, dtype=np.int64)
    sizes[place] = np.bincount(codes, minlength=count)
    bounds = list(bounds_of(sizes, PART))
    numbers = np.empty(count, dtype=np.uint16 if len(bounds) <= 1 << 16 else np.int64)
    for number, (first, last) in enumerate(bounds):
        numbers[first:last] = number
    piece = numbers[place][codes]
    if views.kept.all():
        order = np.argsort(piece, kind="stable")
        rows_of = np.bincount(piece, minlength=len(bounds))
    else:
        counted = np.flatnonzero(views.kept)
        piece = piece.take(counted)
        order = counted.take(np.argsort(piece, kind="stable"))
        rows_of = np.bincount(piece, minlength=len(bounds))
    ends = np.cumsum(rows_of)
    for begin, end in zip((ends - rows_of).tolist(), ends.tolist(), strict=True):
        if end > begin:
            yield order[begin:end]


def _surely(rows: DayRows) -> bool:
    """Return whether how sure each direction is follows from its method, as orientation has it: then the least method is the surest."""
    table, columns = np.array(CONFIDENCE, dtype=np.float32), rows.columns
    for part in rows.parts():
        method = columns["method"][part]
        if method.min() < 0 or method.max() >= len(table) or (table[method] != columns["confidence"][part]).any():
            return False
    return True


def _sums(rows: DayRows, at: Any, starts: Any, surely: bool) -> dict[str, Any]:
    """Return the columns of groups of rows, whose places ``at`` has, group after group; ``starts`` says where each begins there."""
    columns, first, last = rows.columns, rows.first, rows.last
    one = np.int32(1)
    start, end = columns["start_us"].take(at), columns["end_us"].take(at)
    packets, octets = columns["packets"].take(at), columns["bytes"].take(at)
    begins = start >= first
    if not begins.all():
        packets *= begins
        octets *= begins
        np.maximum(start, first, out=start)
    np.minimum(end, last - 1, out=end)
    begun, ended = (((each - first) // HOUR_US).astype(np.int32) for each in (start, end))
    hours = np.left_shift(one, ended + one) - np.left_shift(one, begun)
    method, port = columns["method"].take(at), columns["client_port"].take(at)
    weak = method == WEAK_METHOD
    flows = np.diff(starts, append=len(at))
    least = np.minimum.reduceat(method, starts)
    return {
        "flows": flows,
        "answered_flows": np.add.reduceat(columns["answered"].take(at), starts, dtype=np.int64),
        "weak_flows": np.add.reduceat(weak, starts, dtype=np.int64) if weak.any() else np.zeros_like(flows),
        "packets": np.add.reduceat(packets, starts),
        "bytes": np.add.reduceat(octets, starts),
        "hours": np.bitwise_or.reduceat(hours, starts),
        "first_us": np.minimum.reduceat(start, starts),
        "last_us": np.maximum.reduceat(end, starts),
        "minimum_client_port": np.minimum.reduceat(port, starts),
        "maximum_client_port": np.maximum.reduceat(port, starts),
        "method": least,
        "confidence": np.array(CONFIDENCE, dtype=np.float32)[least]
        if surely
        else np.maximum.reduceat(columns["confidence"].take(at), starts),
    }


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
