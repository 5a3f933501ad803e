# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Distinct conversations on DuckDB: the short way of ``queries.distinct`` where all addresses are IPv4 and footers bound the sums.

Groups are numbered in the order in which they are met, so that what is met often lies close together, and each sum is an array by that
number; a table of hashes finds the number. DuckDB holds a group's key and sums in one row, which at some million groups is no longer in
the processor's caches for most rows (measured: README.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.address import V4_HI, V4_LO
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.footers import Footer
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.grouping import FACTORS

np = guarded("numpy")
pa = guarded("pyarrow")
parquet = guarded("pyarrow.parquet")

NEEDED = (
    "start_us",
    "end_us",
    "client_lo",
    "server_lo",
    "protocol",
    "server_port",
    "packets_out",
    "packets_in",
    "bytes_out",
    "bytes_in",
)
# Rows worked on at a time, and groups that may be held (about 200 octets each with the answer); DuckDB does more, and spills.
PART = 1 << 16
MOST_GROUPS = 4_000_000
# Slots of the table for each group, at least.
ROOM = 3
LARGEST_SUM = float(1 << 62)
LARGEST_TIME = 1 << 62
# Packets and, above them, how many rows: added up as one number until either might reach its end.
COUNT_SHIFT = 36
MOST_COUNTED = 1 << (62 - COUNT_SHIFT)


def fits(footers: Sequence[Footer]) -> bool:
    """Return whether the footers say that all rows can be counted this way."""
    limits = {
        "client_hi": (V4_HI, V4_HI), "server_hi": (V4_HI, V4_HI), "client_lo": (V4_LO, V4_LO + (1 << 32) - 1),
        "server_lo": (V4_LO, V4_LO + (1 << 32) - 1), "protocol": (0, 255), "server_port": (0, 65_535),
        "start_us": (-LARGEST_TIME, LARGEST_TIME), "end_us": (-LARGEST_TIME, LARGEST_TIME),
        **dict.fromkeys(("packets_out", "packets_in", "bytes_out", "bytes_in"), (0, 1 << 62)),
    }  # fmt: skip
    nothing = (-math.inf, math.inf)
    if not all(
        low <= each.ranges.get(name, nothing)[0] and each.ranges.get(name, nothing)[1] <= high
        for each in footers
        for name, (low, high) in limits.items()
    ):
        return False
    return all(
        sum(float(each.ranges[f"{name}_out"][1] + each.ranges[f"{name}_in"][1]) * each.rows for each in footers)
        < LARGEST_SUM
        for name in ("packets", "bytes")
    )


def distinct(footers: Sequence[Footer], first: int | None, last: int | None) -> dict[str, Any] | None:
    """Return the columns of ``queries.distinct`` in its order for rows that began from ``first`` up to, not including, ``last``, or None
    where there are too many groups. The files must be such that ``fits`` says so."""
    groups = Groups()
    for footer, table in _tables(footers):
        values = {name: table.column(name).to_numpy() for name in NEEDED}
        low, high = footer.ranges["start_us"]
        if (first is not None and low < first) or (last is not None and high >= last):
            start = values["start_us"]
            inside = np.ones(len(start), dtype=bool)
            if first is not None:
                inside &= start >= first
            if last is not None:
                inside &= start < last
            values = {name: column[inside] for name, column in values.items()}
        for begin in range(0, len(values["start_us"]), PART):
            groups.add({name: column[begin : begin + PART] for name, column in values.items()})
            if groups.used > MOST_GROUPS:
                return None
    return groups.columns()


def _tables(footers: Sequence[Footer]) -> Iterator[tuple[Footer, Any]]:
    """Yield each row group's needed columns; the next one is read while one is worked on."""

    def read(path: Path, group: int) -> Any:
        with parquet.ParquetFile(path) as opened:
            return opened.read_row_group(group, columns=list(NEEDED), use_threads=False)

    parts = [
        (each, group) for each in footers for group in range(parquet.read_metadata(each.path).num_row_groups)
    ]  # fmt: skip
    with ThreadPoolExecutor(max_workers=1) as pool:
        ahead = pool.submit(read, parts[0][0].path, parts[0][1]) if parts else None
        for place, (footer, _group) in enumerate(parts):
            table = ahead.result() if ahead else None
            following = parts[place + 1 : place + 2]
            ahead = pool.submit(read, following[0][0].path, following[0][1]) if following else None
            yield footer, table


class Groups:
    """Sums by client and server (``pair``) and protocol and port (``service``); group 0 is nobody's. ``used`` is how many there are."""

    def __init__(self) -> None:
        self.used = 1
        self._bits = 10
        self._slots = np.zeros(1 << self._bits, dtype=np.int32)
        self._held: dict[str, Any] = {}
        self._made(1 << self._bits)
        self._held["pair"][0], self._held["service"][0] = 0, -1
        # The latest begin so far, and what stands in ``both``.
        self._latest = -LARGEST_TIME
        self._rows = self._packets = 0

    def add(self, rows: dict[str, Any]) -> None:
        """Count rows."""
        pair = rows["client_lo"] - V4_LO
        pair <<= 32
        pair += rows["server_lo"]
        pair -= V4_LO
        service = rows["protocol"].astype(np.int32)
        service <<= 16
        service |= rows["server_port"]
        number, fresh = self._numbers(pair, service)
        packets = rows["packets_out"] + rows["packets_in"]
        octets = rows["bytes_out"] + rows["bytes_in"]
        total, held, start = int(packets.sum()), self._held, rows["start_us"]
        if self._rows + len(pair) >= MOST_COUNTED or self._packets + total >= 1 << COUNT_SHIFT:
            self._part()
        if total >= 1 << COUNT_SHIFT:
            np.add.at(held["views"], number, 1)
            np.add.at(held["packets"], number, packets)
        else:
            self._rows += len(pair)
            self._packets += total
            packets += 1 << COUNT_SHIFT
            np.add.at(held["both"], number, packets)
        np.add.at(held["bytes"], number, octets)
        np.maximum.at(held["last_us"], number, rows["end_us"])
        if len(start) and int(start.min()) >= self._latest:
            # Rows come in the order of time: what was there before began before.
            np.minimum.at(held["first_us"], number.take(fresh), start.take(fresh))
        else:
            np.minimum.at(held["first_us"], number, start)
        self._latest = max(self._latest, int(start.max(initial=-LARGEST_TIME)))

    def columns(self) -> dict[str, Any]:
        """Return the groups in the order of their keys."""
        self._part()
        held = {name: values[1 : self.used] for name, values in self._held.items()}
        pair = held["pair"].view(np.uint64)
        order = np.lexsort((held["service"], pair))
        pair, service = pair.take(order), held["service"].take(order)
        high = np.full(len(order), V4_HI, dtype=np.int64)
        return {
            "client_hi": high,
            "client_lo": (pair >> np.uint64(32)).view(np.int64) + V4_LO,
            "server_hi": high,
            "server_lo": (pair & np.uint64(0xFFFFFFFF)).view(np.int64) + V4_LO,
            "protocol": (service >> 16).astype(np.int16),
            "server_port": service & 0xFFFF,
            **{name: held[name].take(order) for name in ("first_us", "last_us", "views", "packets", "bytes")},
        }

    def _part(self) -> None:
        """Take ``both`` apart."""
        held = {name: values[: self.used] for name, values in self._held.items()}
        held["views"] += held["both"] >> COUNT_SHIFT
        held["packets"] += held["both"] & ((1 << COUNT_SHIFT) - 1)
        held["both"][:] = 0
        self._rows = self._packets = 0

    def _made(self, room: int) -> None:
        starts = {"first_us": LARGEST_TIME, "last_us": -LARGEST_TIME}
        for name in ("pair", "service", "both", "views", "packets", "bytes", "first_us", "last_us"):
            values = np.full(room, starts.get(name, 0), dtype=np.int32 if name == "service" else np.int64)
            if name in self._held:
                values[: self.used] = self._held[name][: self.used]
            self._held[name] = values

    def _numbers(self, pair: Any, service: Any) -> tuple[Any, Any]:
        """Return (each row's group, the places of rows whose group is new)."""
        self._grow(len(pair))
        held, slots, mask = self._held, self._slots, (1 << self._bits) - 1
        slot = self._slot(pair, service)
        number = slots.take(slot).astype(np.int64)
        other = held["pair"].take(number) != pair
        other |= held["service"].take(number) != service
        todo, fresh = np.flatnonzero(other), []
        while len(todo):
            empty = number.take(todo) == 0
            fresh.append(todo[empty])
            todo = todo[~empty]
            at = (slot.take(todo) + 1) & mask
            slot[todo] = at
            found = slots.take(at)
            number[todo] = found
            other = held["pair"].take(found) != pair.take(todo)
            other |= held["service"].take(found) != service.take(todo)
            todo = todo[other]
        new = np.concatenate(fresh) if fresh else todo
        if len(new):
            number[new] = self._new(pair.take(new), service.take(new))
        return number, new

    def _new(self, pair: Any, service: Any) -> Any:
        """Make groups of rows that have none; returns each row's."""
        order = np.lexsort((service, pair))
        pair, service = pair.take(order), service.take(order)
        begins = np.ones(len(order), dtype=bool)
        begins[1:] = (pair[1:] != pair[:-1]) | (service[1:] != service[:-1])
        made = np.empty(len(order), dtype=np.int64)
        made[order] = np.cumsum(begins) + (self.used - 1)
        before, self.used = self.used, self.used + int(np.count_nonzero(begins))
        added = slice(before, self.used)
        self._held["pair"][added], self._held["service"][added] = pair[begins], service[begins]
        self._place(added)
        return made

    def _grow(self, more: int) -> None:
        if self.used + more > len(self._held["pair"]):
            self._made(self.used + more + self.used // 2)
        # Of more rows each may be a group, and a slot must be left.
        least = max(self.used * ROOM, self.used + 2 * more)
        if least > 1 << self._bits:
            self._bits = (least - 1).bit_length()
            self._slots = np.zeros(1 << self._bits, dtype=np.int32)
            for begin in range(1, self.used, PART):
                self._place(slice(begin, min(begin + PART, self.used)))

    def _place(self, groups: slice) -> None:
        """Give groups the next free slots from those of their hashes on."""
        slot = self._slot(self._held["pair"][groups], self._held["service"][groups])
        number, mask = np.arange(groups.start, groups.stop, dtype=np.int32), (1 << self._bits) - 1
        while len(number):
            free = np.flatnonzero(self._slots.take(slot) == 0)
            self._slots[slot.take(free)] = number.take(free)
            left = np.flatnonzero(self._slots.take(slot) != number)
            number, slot = number.take(left), (slot.take(left) + 1) & mask

    def _slot(self, pair: Any, service: Any) -> Any:
        """Return the slots of keys by their hashes."""
        made = pair.view(np.uint64) * np.uint64(FACTORS[0])
        made ^= made >> np.uint64(32)
        made += service.astype(np.uint64)
        made *= np.uint64(FACTORS[1])
        made >>= np.uint64(64 - self._bits)
        return made.view(np.int64)
