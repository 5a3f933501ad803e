# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of the busiest 5-tuples put together before they are stitched, so that one of them takes no more memory than its conversations.

Stitching needs all records of a 5-tuple at once, and an exporter that tells of a session every second, or of a port-less protocol, has
millions of one. Two records of one direction, one day and one input become one where nothing can come between them: no handshake of the
5-tuple begins from the first one's start to the second one's, in any input, and there is no silence between them. What stitching makes
of them is the same: it counts sums, extremes and bits of such records, and cuts only at handshakes, silences and midnight.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import grouping
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.records import DAY_US
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.shelf import Parted, Shelf

np = guarded("numpy")

ENDS = tuple((f"{end}_hi", f"{end}_lo", f"{end}_port") for end in ("source", "target"))
MARKED = tuple(name for end in ENDS for name in end)
# A record's mark has so many bits; its lower ones say into which part it falls.
MARK_BITS, KIND_BITS = 24, 14
# Records of a kind of mark from which on they are put together.
BUSY = 1 << 16
ALIKE = (*(name for end in ENDS for name in end), "protocol", "exporter", "source", "said", "origin")
SUMMED, GREATEST = ("packets", "bytes"), ("end_us", "step_us", "sampling")
BITS = ("flags", "pure_syn", "syn_ack", "broadcast")


def marks(columns: dict[str, Any], count: int) -> Any:
    """Return a hash of each record that its other direction has too."""
    made = np.zeros(count, dtype=np.uint64)
    for hi, lo, port in ENDS:
        mixed = columns[lo].view(np.uint64) ^ columns[hi].view(np.uint64) * np.uint64(grouping.FACTORS[2])
        mixed = mixed * np.uint64(grouping.FACTORS[0]) ^ columns[port].astype(np.uint64)
        mixed *= np.uint64(grouping.FACTORS[1])
        made += mixed ^ (mixed >> np.uint64(31))
    return (made * np.uint64(grouping.FACTORS[0])) >> np.uint64(64 - MARK_BITS)


def thinned(parted: Parted, first: int, last: int, silence_us: int) -> dict[str, Any] | None:
    """As ``parted.rows``, with fewer records of the busiest 5-tuples; ``silence_us`` is the shortest silence that begins a conversation."""
    counts = np.zeros(1 << KIND_BITS, dtype=np.int64)
    for columns, count in parted.stretches(first, last):
        counts += np.bincount(_kinds(columns, count), minlength=len(counts))
    busy = np.flatnonzero(counts > BUSY)
    if not len(busy):
        return parted.rows(first, last)
    handshakes = _handshakes(parted, first, last, busy)
    made = Parted(1, Shelf())
    for columns, count in parted.stretches(first, last):
        kinds = _kinds(columns, count)
        rest = ~np.isin(kinds, busy)
        if rest.any():
            kept = {name: values[rest] if len(values) > 1 else values for name, values in columns.items()}
            made.add(kept, None, int(rest.sum()))
        for kind in np.intersect1d(kinds, busy).tolist():
            fewer = _together(columns, count, np.flatnonzero(kinds == kind), handshakes[kind], silence_us)
            made.add(fewer, None, len(fewer["start_us"]))
    return made.rows(0, 1)


def _kinds(columns: dict[str, Any], count: int) -> Any:
    """Return the upper bits of marks: records of one 5-tuple have the same."""
    return (marks(columns, count) >> np.uint64(MARK_BITS - KIND_BITS)).astype(np.int64)


def _handshakes(parted: Parted, first: int, last: int, busy: Any) -> dict[int, Any]:
    """Return the starts of records that begin with a handshake, in order, by kind of mark."""
    found: dict[int, list[Any]] = {kind: [] for kind in busy.tolist()}
    for columns, count in parted.stretches(first, last):
        opens = np.flatnonzero(_whole(columns["opens"], count))
        if len(opens):
            kinds, starts = _kinds(columns, count)[opens], _whole(columns["start_us"], count)[opens]
            for kind in np.intersect1d(kinds, busy).tolist():
                found[kind].append(starts[kinds == kind])
    return {kind: np.sort(np.concatenate([np.empty(0, dtype=np.int64), *each])) for kind, each in found.items()}


def _together(columns: dict[str, Any], count: int, rows: Any, handshakes: Any, silence_us: int) -> dict[str, Any]:
    """Return the columns of some rows, those put together that nothing can come between."""

    def at(name: str) -> Any:
        return _whole(columns[name], count)[rows]

    order, starts = grouping.groups([at(name).astype(np.int64).view(np.uint64) for name in ALIKE])
    group = np.zeros(len(rows), dtype=np.int64)
    group[starts] = 1
    group = np.cumsum(group)
    rows = rows[order]
    rows = rows[np.lexsort((at("place"), at("start_us"), group))]
    start, end = at("start_us"), at("end_us")
    day = start // DAY_US
    fresh = np.ones(len(rows), dtype=bool)
    fresh[1:] = (group[1:] != group[:-1]) | (day[1:] != day[:-1])
    fresh[1:] |= start[1:] - end[:-1] > silence_us
    # Records that begin with a handshake are among them, so that they stay alone.
    fresh[1:] |= np.searchsorted(handshakes, start[:-1], "left") != np.searchsorted(handshakes, start[1:], "right")
    bounds = np.flatnonzero(fresh)
    made = {}
    for name in columns:
        if name in SUMMED:
            made[name] = np.add.reduceat(at(name), bounds)
        elif name in GREATEST:
            made[name] = np.maximum.reduceat(at(name), bounds)
        elif name in BITS:
            made[name] = np.bitwise_or.reduceat(at(name), bounds)
        else:
            # The first one's start and place, and what all of them have.
            made[name] = at(name)[bounds]
    return made


def _whole(values: Any, count: int) -> Any:
    return values if len(values) == count else np.broadcast_to(values, count)
