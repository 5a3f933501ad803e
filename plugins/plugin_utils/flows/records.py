# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One-way records: what every source yields, before the two directions of a conversation are put together.

A record sums packets of one 5-tuple in one direction. ``pure_syn`` and ``syn_ack`` say that a packet with SYN alone, or with SYN and
ACK, was seen; ``flags`` is the OR of all. ``said`` is 1 where the exporter says that the record's source opened the conversation, 2
where its target did. ``opens`` is 1 where a handshake begins with this record. ``step_us`` is the step of the clock behind the
times. ``origin`` is 0 for packets, 1 for an exporter's records, which carry active and inactive timeouts. ``event`` is the firewall
event of information element 233 (IANA's registry): 1 created, 2 deleted, 3 denied, 4 alert, 5 update, 0 where none was told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any, Protocol

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import RECORDS, arrow_schema

np = guarded("numpy")
pa = guarded("pyarrow")

FROM_PACKETS, FROM_EXPORTER = 0, 1
DENIED = 3
SYN, ACK, RST = 2, 16, 4
DAY_US = 86_400_000_000
# What one record may count: 9 petabytes, with the rate of sampling, take a link of 400 Gbit/s two days. Sums over a thousand of the
# largest still fit into 64 bits.
MOST_PACKETS, MOST_OCTETS = 1 << 44, 1 << 53
# What stands in the field of a table's column that has one value.
ONE_VALUE = {b"one_value": b"1"}
DEFAULTS: dict[str, Any] = {
    "flags": 0,
    "pure_syn": False,
    "syn_ack": False,
    "said": 0,
    "broadcast": False,
    "opens": 0,
    "place": 0,
    "step_us": 1,
    "sampling": 1,
    "origin": FROM_PACKETS,
    "event": 0,
}


@dataclass
class Quality:
    """What limits the claims that may rest on one input (facts/flows.md section 0, point 10).

    ``left_out`` counts what gave no record, by reason; ``damaged_at`` is the first damaged octet or -1. ``exporters`` has counters of
    each exporter: ``datagrams``, ``records``, ``sampling`` (one packet in so many), ``lost`` (by sequence numbers), ``gaps`` and
    ``gap_us`` (how often and how long), ``undecoded_sets`` (templates that never came), ``skew_us`` (its clock against the
    collector's), ``first_us``, ``last_us``. ``interfaces`` has the same for a capture's interfaces, or ``exporter#index`` for those
    of an exporter: ``records``, ``packets``, ``sampling``, ``dropped``, ``lost``. ``tunnels`` counts packets that carry others, by
    kind. ``gaps`` are the times, from and to in microseconds, in which an exporter lost something (the first thousand of each):
    absence proves nothing there.
    """

    kind: str = ""
    packets: int = 0
    records: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    damaged_at: int = -1
    first_us: int = 0
    last_us: int = 0
    exporters: dict[str, dict[str, int]] = field(default_factory=dict)
    tunnels: dict[str, int] = field(default_factory=dict)
    interfaces: dict[str, dict[str, int]] = field(default_factory=dict)
    gaps: dict[str, list[list[int]]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for inputs.json and results."""
        return {name: value for name, value in vars(self).items() if value not in ({}, "")}

    def covers(self, first_us: int, last_us: int) -> None:
        """Widen the time covered."""
        self.first_us = min(self.first_us or first_us, first_us)
        self.last_us = max(self.last_us, last_us)


class Source(Protocol):
    """An input being read: yields Arrow tables of one-way records; findings and quality are whole when they have ended."""

    findings: list[Finding]
    quality: Quality

    def tables(self) -> Iterator[Any]:
        """Yield tables with the columns of ``schema.RECORDS``."""


@lru_cache(maxsize=32)
def _repeated(value: Any, kind: Any, count: int) -> Any:
    return pa.repeat(pa.scalar(value, type=kind), count)


def at_one_moment(table: Any, longest_us: int, latest_us: int) -> tuple[Any, int]:
    """Return records, those that last longer than any session at one moment, and how many these are.

    The clock was set while they lasted: of start and end the end counts, unless it lies behind ``latest_us``.
    """
    start, end = (table.column(name).to_numpy() for name in ("start_us", "end_us"))
    if not len(start) or int(end.max()) - int(start.min()) <= longest_us:
        return table, 0
    # Halves, since differences of the outermost times have no room.
    long = (end >> 1) - (start >> 1) > longest_us >> 1
    if not long.any():
        return table, 0
    moment = np.where(end <= latest_us, end, start)
    for name, values in (("start_us", start), ("end_us", end)):
        column = pa.array(np.where(long, moment, values))
        table = table.set_column(table.schema.get_field_index(name), name, column)
    return table, int(long.sum())


@lru_cache(maxsize=32)
def _one_text(value: str, count: int) -> Any:
    one = pa.array([value], type=pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, dtype=np.int32)), one)


def impossible(table: Any) -> Any:
    """Return which records count what no link can carry (a mask), or None where none does."""
    packets, octets, sampling = (table.column(name).to_numpy() for name in ("packets", "bytes", "sampling"))
    rate = max(1, int(sampling.max())) if len(sampling) else 1
    # As unsigned numbers those below zero are too large as well.
    packets, octets = packets.view(np.uint64), octets.view(np.uint64)
    if not len(packets) or (int(packets.max()) <= MOST_PACKETS and int(octets.max()) * rate <= MOST_OCTETS):
        return None
    made = (packets > MOST_PACKETS) | (octets > MOST_OCTETS // np.maximum(sampling, 1).astype(np.uint64))
    return made if made.any() else None


def record_table(count: int, columns: dict[str, Any]) -> Any:
    """Return an Arrow table of records from arrays or single values; DEFAULTS stand for what is not given.

    A text that stands for all rows becomes a dictionary of one, and the field of another value says so (``ONE_VALUE``): nobody need
    compare row by row.
    """
    arrays, fields = [], []
    for column in _schema():
        fields.append(column)
        value = columns.get(column.name, DEFAULTS.get(column.name, ""))
        if isinstance(value, np.ndarray):
            kind = RECORDS[column.name]
            arrays.append(pa.array(value if kind == "string" else value.astype(kind, copy=False), type=column.type))
        elif isinstance(value, pa.Array | pa.ChunkedArray):
            arrays.append(value.cast(column.type))
        elif isinstance(value, list):
            arrays.append(pa.array(value, type=column.type))
        elif RECORDS[column.name] == "string":
            arrays.append(_one_text(value, count))
            fields[-1] = column.with_type(arrays[-1].type)
        else:
            arrays.append(_repeated(value, column.type, count))
            fields[-1] = _one_field(column.name)
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


@cache
def _schema() -> Any:
    return arrow_schema(RECORDS)


@cache
def _one_field(name: str) -> Any:
    return _schema().field(name).with_metadata(ONE_VALUE)
