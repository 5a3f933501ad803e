# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Captures of traffic to one-way records.

Packets of a batch are sorted by 5-tuple and time and summed up to a handshake, a long silence or midnight UTC. Two handshakes of
one 5-tuple differ in the initial sequence number (RFC 9293 section 3.4), so a repeated SYN begins nothing new.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import codes, grouping, kept
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.address import V4_HI, V4_LO
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.records import (
    ACK,
    DAY_US,
    FROM_PACKETS,
    SYN,
    Quality,
    record_table,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.capture import MAGICS, SECTION, Capture
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.dns import names_in
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.frames import Decoder, Packets, joined
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.kind import Kind, Opening

np = guarded("numpy")

# Bits of what a packet says, above its flags.
PURE_SYN, SYN_ACK, TO_ALL = 16, 17, 18
SILENCE_US = 300_000_000
# Frames whose fields are worked out together: what is made of so many stays in the processor's caches. Records are made of more.
FRAMES_AT_ONCE = 1 << 15
PACKETS_AT_ONCE = 1 << 18
# Some blocks of pcapng are read one by one.
MOST_PARTS = 64
# What records are not made of: where a packet stands in its batch.
PLACES = ("payload_at", "end", "first_part")
REASONS = {
    "link_type": (codes.CAPTURE_LINK, "{n} frames of a link type that is not read here"),
    "cut": (codes.PACKETS_CUT, "{n} packets are cut before their ports or lengths"),
    "damaged": (codes.CAPTURE_DAMAGED, "{n} frames say IP and hold none"),
    "fragment": (codes.FRAGMENTS_LOST, "{n} fragments came without their first part"),
}


@dataclass
class PacketCapture:
    """Source over one pcap or pcapng file. ``exporter`` names the tap; ``source`` is the input's hash prefix."""

    path: Path
    exporter: str
    source: str = ""
    findings: list[Finding] = field(default_factory=list)
    quality: Quality = field(default_factory=lambda: Quality("pcap"))
    names: list[Any] = field(default_factory=list)

    def tables(self) -> Iterator[Any]:
        """Yield tables of one-way records; raises FindingError where the file is no capture."""
        capture, decoder = Capture(self.path, self.findings), Decoder()
        waiting: list[Packets] = []
        count = 0
        for frames in capture.frames(FRAMES_AT_ONCE):
            packets = decoder.packets(frames)
            if not len(packets.time_us):
                continue
            named = names_in(frames, packets, self.exporter)
            if named:
                self.names.append(kept.table_of("names", named))
            waiting.append(packets)
            count += len(packets.time_us)
            if count > PACKETS_AT_ONCE - FRAMES_AT_ONCE or len(waiting) >= MOST_PARTS:
                yield self._table(waiting)
                waiting, count = [], 0
        if waiting:
            yield self._table(waiting)
        self.quality.damaged_at = capture.damaged_at
        self.quality.tunnels = {name: count for name, count in sorted(decoder.tunnels.items()) if count}
        self._look_at_interfaces(capture)
        if self.quality.packets:
            span = {"first_us": self.quality.first_us, "last_us": self.quality.last_us}
            self.quality.exporters = {
                self.exporter: {"packets": self.quality.packets, "records": self.quality.records, **span}
            }
        self.quality.left_out = {name: count for name, count in sorted(decoder.left_out.items()) if count}
        self.findings.extend(left_out_findings(decoder.left_out, str(self.path)))

    def _table(self, parts: list[Packets]) -> Any:
        packets = parts[0] if len(parts) == 1 else joined(parts, PLACES)
        self.quality.packets += len(packets.time_us)
        self.quality.covers(int(packets.time_us.min()), int(packets.time_us.max()))
        table = record_table(*one_way(packets, exporter=self.exporter, source=self.source))
        self.quality.records += table.num_rows
        return table

    def _look_at_interfaces(self, capture: Capture) -> None:
        for number, each in enumerate(capture.interfaces):
            if len(capture.interfaces) == 1 and not each.dropped:
                break
            name = f"{number} {each.name}".strip()
            counters = {"link_type": each.link, "packets": each.frames, "dropped": each.dropped}
            self.quality.interfaces[name] = {key: value for key, value in counters.items() if value}
            if each.dropped:
                text = f"interface {name} dropped {each.dropped} packets"
                self.findings.append(codes.CAPTURE_DROPPED.at(text, Location(str(self.path))))
        if self.quality.tunnels:
            text = ", ".join(f"{count} {name}" for name, count in self.quality.tunnels.items())
            self.findings.append(
                codes.CAPTURE_TUNNELS.at(f"packets that carry others: {text}", Location(str(self.path)))
            )


def left_out_findings(left_out: Counter[str], file: str) -> list[Finding]:
    """Return a finding for each reason why frames were left out; other protocols than IP are no fault."""
    made = []
    for reason, (code, text) in REASONS.items():
        if left_out[reason]:
            made.append(code.at(text.format(n=left_out[reason]), Location(file)))
    return made


def one_way(packets: Packets, **constants: str) -> tuple[int, dict[str, Any]]:
    """Return (count, columns) of one-way records of a batch of packets."""
    keys = (*_addresses(packets), _ports(packets))
    varying = [key for key in keys if len(key) > 1 and (key != key[0]).any()]
    order, first_of_key = _by_key_and_time(packets, varying)
    time = packets.time_us.take(order)
    begins = first_of_key.copy()
    begins[1:] |= (time[1:] - time[:-1]) > SILENCE_US
    if int(packets.time_us.min()) // DAY_US != int(packets.time_us.max()) // DAY_US:
        day = time // DAY_US
        begins[1:] |= day[1:] != day[:-1]
    flags = packets.flags.take(order)
    opens = _handshakes(flags, packets.sequence.take(order), first_of_key)
    begins |= opens
    starts = np.flatnonzero(begins)
    counts = np.diff(np.append(starts, len(order)))
    # What any packet of a record says, as bits that are put together in one pass.
    told = flags.astype(np.int32)
    shaken = told & (SYN | ACK)
    told |= (shaken == SYN).astype(np.int32) << PURE_SYN
    told |= (shaken == SYN | ACK).astype(np.int32) << SYN_ACK
    if packets.broadcast.any():
        told |= packets.broadcast.take(order).astype(np.int32) << TO_ALL
    told = np.bitwise_or.reduceat(told, starts)
    chosen = order[starts]
    columns: dict[str, Any] = {
        "start_us": time[starts],
        "end_us": time[starts + counts - 1],
        "packets": counts,
        "bytes": np.add.reduceat(packets.length.take(order), starts),
        "flags": told & ((1 << PURE_SYN) - 1),
        "pure_syn": told & 1 << PURE_SYN != 0,
        "syn_ack": told & 1 << SYN_ACK != 0,
        "broadcast": told & 1 << TO_ALL != 0,
        "opens": opens[starts],
        "place": packets.place[chosen],
        "origin": FROM_PACKETS,
        **constants,
    }
    for name in ("source_hi", "source_lo", "target_hi", "target_lo", "protocol", "source_port", "target_port"):
        columns[name] = getattr(packets, name)[chosen]
    return len(starts), columns


def _addresses(packets: Packets) -> tuple[Any, ...]:
    """Return columns that are alike where both addresses of packets are: one of both where all are IPv4."""
    his = (packets.source_hi, packets.target_hi)
    source, target = packets.source_lo - V4_LO, packets.target_lo - V4_LO
    if all((hi == V4_HI).all() for hi in his) and not ((source | target) >> 32).any():
        return ((source << 32) | target,)
    return (*his, packets.source_lo, packets.target_lo)


def _ports(packets: Packets) -> Any:
    return (packets.protocol << 32) | (packets.source_port << 16) | packets.target_port


def _by_key_and_time(packets: Packets, keys: list[Any]) -> tuple[Any, Any]:
    """Return (an order in which equal keys stand together, by time and place within each; where in it each key begins, a mask)."""
    count = len(packets.time_us)
    time, place = packets.time_us, packets.place
    sorted_already = bool((time[1:] >= time[:-1]).all() and (place[1:] >= place[:-1]).all())
    earliest = None if sorted_already else np.lexsort((place, time))
    begins = np.zeros(count, dtype=bool)
    begins[0] = True
    if not keys:
        return np.arange(count) if earliest is None else earliest, begins
    order, starts = grouping.groups([(key if earliest is None else key.take(earliest)).view(np.uint64) for key in keys])
    begins[starts] = True
    return order if earliest is None else earliest.take(order), begins


def _handshakes(flags: Any, sequence: Any, first_of_key: Any) -> Any:
    """Return where a packet with SYN has another initial sequence number than the SYN before it of the same direction."""
    made = np.zeros(len(flags), dtype=bool)
    syns = np.flatnonzero(flags & SYN)
    if len(syns):
        key_number = np.cumsum(first_of_key)[syns]
        numbers = sequence[syns]
        fresh = np.ones(len(syns), dtype=bool)
        fresh[1:] = (key_number[1:] != key_number[:-1]) | (numbers[1:] != numbers[:-1])
        made[syns[fresh]] = True
    return made


def looks_like_capture(_path: Path, head: bytes) -> bool:
    """Return whether a file begins as a pcap or pcapng file does."""
    return head[:4] in MAGICS or head[:4] == SECTION.to_bytes(4, "little")


def _open(path: Path, source: str, opening: Opening) -> PacketCapture:
    return PacketCapture(path, opening.exporter or f"pcap-{source[:8]}", source)


KIND = Kind(
    "pcap",
    "packets in pcap and pcapng files",
    looks_like_capture,
    _open,
    suffixes=(".pcap", ".pcapng", ".cap", ".dmp"),
    options=(),
)
