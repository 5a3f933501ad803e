# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""sFlow version 5 datagrams to one-way records: sampled packet headers, and sampled IPv4 and IPv6 fields where there is no header.

Source: sFlow version 5 (sflow.org, July 2004), flow and expanded flow samples; counter samples are counted. Samples carry no time, so a
packet has that of its datagram's arrival, which is at most a second later. ``packets`` and ``bytes`` are what was sampled, ``sampling`` is
the rate. A packet that a device discarded for an administrative reason has ``event`` 3 (denied).
"""

from __future__ import annotations

import ipaddress
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.records import (
    DENIED,
    FROM_EXPORTER,
    record_table,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.capture import PADDING, Frames
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.frames import Decoder as FrameDecoder
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.frames import Packets
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.icmp import canonical_icmp
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.pcap import one_way

np = guarded("numpy")

FLOW, COUNTERS, EXPANDED_FLOW, EXPANDED_COUNTERS = 1, 2, 3, 4
RAW_HEADER, SAMPLED_V4, SAMPLED_V6 = 1, 3, 4
LINKS = {1: 1, 11: 101, 12: 101}  # header protocol -> link type: Ethernet, IPv4, IPv6
# Reasons of a discarded packet that are decisions: ICMP's codes 9, 10 and 13 (RFC 1812 section 5.2.7.1).
ADMINISTRATIVE = (9, 10, 13)
DISCARDED = 1  # format of an output interface
MOST_INTERFACES = 4096
LARGEST_HEADER = 1 << 16


@dataclass
class Interface:
    """A data source of an agent: its samples, the rate of the last, and what it dropped for lack of resources."""

    samples: int = 0
    sampling: int = 1
    dropped: int = 0
    counter: int = -1
    sequence: int = -1
    lost: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return plain values without zeros."""
        made = {"records": self.samples, "sampling": self.sampling, "dropped": self.dropped, "lost": self.lost}
        return {name: value for name, value in made.items() if value}


@dataclass
class _Headers:
    octets: bytearray = field(default_factory=bytearray)
    rows: list[tuple[int, int, int, int, int]] = field(default_factory=list)  # offset, captured, length, time, event


@dataclass
class Sflow:
    """Takes datagrams apart; headers of one exporter, rate and link type are decoded together when ``tables`` is called."""

    counter_samples: Counter[str] = field(default_factory=Counter)
    flow_samples: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    interfaces: dict[tuple[str, int], Interface] = field(default_factory=dict)
    pending: int = 0
    _headers: dict[tuple[str, int, int], _Headers] = field(default_factory=dict)
    _fields: dict[tuple[str, int], list[tuple[int, ...]]] = field(default_factory=dict)

    def feed(self, datagram: bytes, exporter: str, received_us: int) -> tuple[bool, int, int]:
        """Take one datagram; returns (whether it was whole, number of the agent's part, sequence). Never raises for its content."""
        try:
            kind = struct.unpack_from(">I", datagram, 4)[0]
            offset = 8 + {1: 4, 2: 16}[kind]
            part, sequence, _uptime, count = struct.unpack_from(">IIII", datagram, offset)
            offset += 16
        except (struct.error, KeyError):
            return False, 0, -1
        for _number in range(min(count, 1 << 12)):
            if offset + 8 > len(datagram):
                return False, part, sequence
            form, length = struct.unpack_from(">II", datagram, offset)
            offset += 8
            if offset + length > len(datagram):
                # What a cut sample holds is not used: its records may be cut too.
                return False, part, sequence
            try:
                self._sample(datagram, form, offset, offset + length, exporter, received_us)
            except (struct.error, ValueError):
                return False, part, sequence
            offset += length
        return True, part, sequence

    def _sample(self, data: bytes, form: int, at: int, end: int, exporter: str, received_us: int) -> None:
        if form in (COUNTERS, EXPANDED_COUNTERS):
            self.counter_samples[exporter] += 1
            return
        if form == FLOW:
            number, source, rate, _pool, drops, _input, output, count = struct.unpack_from(">IIIIIIII", data, at)
            at += 32
            index, reason_kind, reason = source & 0xFFFFFF, output >> 30, output & 0x3FFFFFFF
        elif form == EXPANDED_FLOW:
            number, _kind, index, rate, _pool, drops, _in1, _in2, reason_kind, reason, count = struct.unpack_from(
                ">IIIIIIIIIII", data, at
            )
            at += 44
        else:
            self.left_out["other_samples"] += 1
            return
        self.flow_samples[exporter] += 1
        rate = min(max(rate, 1), (1 << 31) - 1)
        self._interface(exporter, index, number, rate, drops)
        event = DENIED if reason_kind == DISCARDED and reason in ADMINISTRATIVE else 0
        # A sampled header says all that the sampled fields say, so that one packet counts once.
        spare: tuple[int, ...] | None = None
        for _number in range(min(count, 1 << 10)):
            if at + 8 > end:
                raise ValueError("cut")
            kind, length = struct.unpack_from(">II", data, at)
            at += 8
            if at + length > end:
                raise ValueError("cut")
            if kind == RAW_HEADER and self._header(data, at, at + length, exporter, rate, received_us, event):
                return
            if kind in (SAMPLED_V4, SAMPLED_V6):
                spare = _sampled(data, at, kind, received_us, event)
            at += length
        if spare is None:
            self.left_out["no_addresses"] += 1
            return
        self._fields.setdefault((exporter, rate), []).append(spare)
        self.pending += 1

    def _interface(self, exporter: str, index: int, number: int, rate: int, drops: int) -> None:
        if (exporter, index) not in self.interfaces and len(self.interfaces) >= MOST_INTERFACES:
            return
        own = self.interfaces.setdefault((exporter, index), Interface())
        own.samples += 1
        own.sampling = rate
        if 0 <= own.counter < drops:
            own.dropped += drops - own.counter
        own.counter = drops
        gap = (number - own.sequence) & 0xFFFFFFFF
        if own.sequence >= 0 and 1 < gap < 1 << 20:
            own.lost += gap - 1
        own.sequence = number

    def _header(self, data: bytes, at: int, end: int, exporter: str, rate: int, received_us: int, event: int) -> bool:
        protocol, frame_length, _stripped, captured = struct.unpack_from(">IIII", data, at)
        link = LINKS.get(protocol)
        if link is None:
            self.left_out["link_type"] += 1
            return False
        if at + 16 + captured > end or captured > LARGEST_HEADER:
            raise ValueError("cut")
        own = self._headers.setdefault((exporter, rate, link), _Headers())
        own.rows.append((len(own.octets), captured, min(frame_length, 1 << 20), received_us, event))
        own.octets += data[at + 16 : at + 16 + captured]
        self.pending += 1
        return True

    def tables(self, prefix: str, source: str) -> Iterator[tuple[str, Any]]:
        """Yield (exporter, Arrow table) of the records taken since the last call."""
        headers, self._headers = self._headers, {}
        fields, self._fields = self._fields, {}
        self.pending = 0
        for (exporter, rate, link), own in headers.items():
            decoder = FrameDecoder(self.left_out)
            offset, captured, length, time, event = (
                np.array(each, dtype=np.int64) for each in zip(*own.rows, strict=True)
            )
            octets = np.frombuffer(bytes(own.octets) + bytes(PADDING), dtype=np.uint8)
            order = np.arange(len(offset))
            packets = decoder.packets(Frames(octets, link, offset, captured, length, time, order))
            for value in np.unique(event):
                kept = np.flatnonzero(event[packets.place] == value)
                if len(kept):
                    picked = Packets(*(getattr(packets, name)[kept] for name in Packets.__dataclass_fields__))
                    count, columns = one_way(picked, exporter=prefix + exporter, source=source)
                    columns.update(origin=FROM_EXPORTER, sampling=rate, step_us=1_000_000, event=int(value), place=0)
                    yield exporter, record_table(count, columns)
        for (exporter, rate), rows in fields.items():
            yield exporter, _table(rows, rate, prefix + exporter, source)


def _sampled(data: bytes, at: int, kind: int, received_us: int, event: int) -> tuple[int, ...]:
    length, protocol = struct.unpack_from(">II", data, at)
    octets = 4 if kind == SAMPLED_V4 else 16
    ends: list[int] = []
    for place in (at + 8, at + 8 + octets):
        if place + octets > len(data):
            raise ValueError("cut")
        ends += address.columns_of(str(ipaddress.ip_address(data[place : place + octets])))
    source_port, target_port, flags = struct.unpack_from(">III", data, at + 8 + 2 * octets)
    return received_us, *ends, protocol & 255, source_port & 0xFFFF, target_port & 0xFFFF, length, flags & 255, event


def _table(rows: list[tuple[int, ...]], rate: int, exporter: str, source: str) -> Any:
    names = (
        "start_us", "source_hi", "source_lo", "target_hi", "target_lo", "protocol", "source_port", "target_port", "bytes", "flags", "event",
    )  # fmt: skip
    columns: dict[str, Any] = dict(zip(names, np.array(rows, dtype=np.int64).T, strict=True))
    protocol = columns["protocol"]
    columns["flags"] = np.where(protocol == 6, columns["flags"], 0)
    columns["source_port"], columns["target_port"] = canonical_icmp(
        protocol, columns["source_port"], columns["target_port"]
    )
    flags = columns["flags"]
    return record_table(
        len(rows),
        {
            **columns,
            "end_us": columns["start_us"],
            "packets": 1,
            "pure_syn": (flags & 18) == 2,
            "syn_ack": (flags & 18) == 18,
            "sampling": rate,
            "step_us": 1_000_000,
            "origin": FROM_EXPORTER,
            "exporter": exporter,
            "source": source,
        },
    )
