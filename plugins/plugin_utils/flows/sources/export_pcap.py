# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Captures of export datagrams (NetFlow v5, v9, IPFIX, sFlow v5 over UDP) to one-way records."""

from __future__ import annotations

import itertools
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address, codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.records import Quality
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.capture import Capture, Frames, window
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.frames import UDP, Packets
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.frames import Decoder as FrameDecoder
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.kind import Kind, Opening
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.netflow import Decoder
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.pcap import looks_like_capture
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.templates import Templates

np = guarded("numpy")

LOOKED_AT = 200
FLUSH_RECORDS = 1 << 18
FRAMES_AT_ONCE = 1 << 13
# Records may have as few as 8 octets: what is fed between two looks at how many are pending makes a million at most.
OCTETS_AT_ONCE = 8 << 20
SKEW_US = 5_000_000


@dataclass
class ExportCapture:
    """Source over one capture of export datagrams. ``prefix`` stands before each exporter's address where it is given."""

    path: Path
    templates: Templates
    exporter: str = ""
    source: str = ""
    findings: list[Finding] = field(default_factory=list)
    quality: Quality = field(default_factory=lambda: Quality("export_pcap"))

    def tables(self) -> Iterator[Any]:
        """Yield tables of one-way records; raises FindingError where the file is no capture."""
        capture = Capture(self.path, self.findings)
        prefix = f"{self.exporter}/" if self.exporter else ""
        decoder = Decoder(self.templates, self.source, prefix)
        left_out: Counter[str] = Counter()
        frame_decoder = FrameDecoder(left_out)
        for frames in capture.frames(FRAMES_AT_ONCE):
            raw, starts, ends, exporters, times = positions(frames, frame_decoder.packets(frames), left_out)
            self.quality.packets += len(starts)
            for part in stretches(ends - starts):
                decoder.feed_many(raw, frames.data, starts[part], ends[part], exporters[part], times[part])
                if decoder.pending >= FLUSH_RECORDS:
                    yield from self._counted(decoder)
        decoder.finish()
        yield from self._counted(decoder)
        self.quality.damaged_at = capture.damaged_at
        self.quality.left_out = {name: count for name, count in sorted(left_out.items()) if count}
        note_exporters(self.quality, decoder)
        self.findings.extend(export_findings(decoder, str(self.path)))

    def _counted(self, decoder: Decoder) -> Iterator[Any]:
        for table in decoder.tables():
            self.quality.records += table.num_rows
            self.quality.covers(
                int(table.column("start_us").to_numpy().min()), int(table.column("end_us").to_numpy().max())
            )
            yield table


def stretches(octets: Any) -> Iterator[slice]:
    """Yield slices over datagrams of so many octets each, of at most ``OCTETS_AT_ONCE`` and one datagram together."""
    group = np.cumsum(octets) // OCTETS_AT_ONCE
    edges = np.flatnonzero(np.diff(group, prepend=-1, append=-1)) if len(group) else []
    for first, last in itertools.pairwise(edges):
        yield slice(int(first), int(last))


def note_exporters(quality: Quality, decoder: Decoder) -> None:
    """Put into a quality what a decoder saw of exporters, their interfaces and gaps."""
    quality.exporters = {name: each.as_dict() for name, each in sorted(decoder.exporters.items())}
    quality.gaps = {name: [list(each) for each in sorted(spans)] for name, spans in sorted(decoder.gaps.items())}
    interfaces = {
        f"{name}#{index}": {"records": count, **({"sampling": rate} if rate > 1 else {})}
        for (name, index), (count, rate) in sorted(decoder.interfaces.items())
    }
    for (name, index), each in sorted(decoder.sflow.interfaces.items()):
        interfaces[f"{name}#{index}"] = each.as_dict()
    quality.interfaces = interfaces
    for name, count in decoder.sflow.counter_samples.items():
        quality.exporters[name]["counter_samples"] = count
    for name, count in decoder.sflow.left_out.items():
        if count:
            quality.left_out[name] = quality.left_out.get(name, 0) + count
    if decoder.crowded:
        quality.left_out["too_many_exporters"] = decoder.crowded


def export_findings(decoder: Decoder, place: str) -> list[Finding]:
    """Return findings on what limits the claims that may rest on a decoder's records."""
    made = []
    for name, each in sorted(decoder.exporters.items()):
        for count, code, text in (
            (
                each.damaged,
                codes.EXPORT_DAMAGED,
                f"exporter {name}: {each.damaged} of {each.datagrams} datagrams are damaged or of another version",
            ),
            (
                each.undecoded_sets,
                codes.EXPORT_TEMPLATES,
                f"exporter {name}: {each.undecoded_sets} data sets have no template",
            ),
            (each.lost, codes.EXPORT_GAP, f"exporter {name}: its sequence numbers say that {each.lost} were lost"),
            (
                each.impossible_times,
                codes.EXPORT_TIME,
                f"exporter {name}: {each.impossible_times} records with impossible times",
            ),
            (each.no_addresses, codes.EXPORT_FIELDS, f"exporter {name}: {each.no_addresses} records name no two hosts"),
            (
                abs(each.skew_us) > SKEW_US,
                codes.EXPORT_CLOCK,
                f"exporter {name}: its clock differs by {each.skew_us / 1e6:.0f} s from that of the collector",
            ),
            (each.sampling > 1, codes.EXPORT_SAMPLED, f"exporter {name} samples one packet in {each.sampling}"),
        ):
            if count:
                made.append(code.at(text, Location(place)))
    return made


def positions(frames: Frames, packets: Packets, left_out: Counter[str]) -> tuple[memoryview, Any, Any, list[str], Any]:
    """Return (octets, starts and ends in them, source addresses, times) of the payloads of a batch's UDP packets."""
    udp = (packets.protocol == UDP) & packets.first_part
    rows = np.flatnonzero(udp)
    left_out["not_udp"] += len(udp) - len(rows)
    raw = memoryview(frames.data)
    at, end = packets.payload_at[rows], packets.end[rows]
    said = window(frames.data, at + 4, [("octets", "u2")])["octets"].astype(np.int64)
    length = np.where(at + 8 <= end, said, 0)
    cut = (length < 8) | (at + length > end)
    left_out["cut"] += int(cut.sum())
    ends = np.where(length >= 8, np.minimum(end, at + length), end)
    high, low = packets.source_hi[rows], packets.source_lo[rows]
    if len(rows) and (high == high[0]).all() and (low == low[0]).all():
        names = [address.text_of(int(high[0]), int(low[0]))] * len(rows)
        return raw, at + 8, np.maximum(at + 8, ends), names, packets.time_us[rows]
    known: dict[tuple[int, int], str] = {}
    names = []
    for pair in zip(high.tolist(), low.tolist(), strict=True):
        name = known.get(pair)
        if name is None:
            name = known[pair] = address.text_of(*pair)
        names.append(name)
    return raw, at + 8, np.maximum(at + 8, ends), names, packets.time_us[rows]


def datagrams(capture: Capture, left_out: Counter[str]) -> Iterator[tuple[str, bytes]]:
    """Yield (source address, payload) of the UDP datagrams of a capture; other packets count as ``not_udp``, cut ones as ``cut``."""
    frame_decoder = FrameDecoder(left_out)
    for frames in capture.frames():
        packets = frame_decoder.packets(frames)
        yield from payloads(frames, packets, left_out)


def payloads(frames: Frames, packets: Packets, left_out: Counter[str]) -> Iterator[tuple[str, bytes]]:
    """Yield (source address, payload) of a batch's UDP packets."""
    raw, starts, ends, names, _times = positions(frames, packets, left_out)
    for name, start, end in zip(names, starts.tolist(), ends.tolist(), strict=True):
        yield name, bytes(raw[start:end])


def looks_like_export(payload: bytes) -> bool:
    """Return whether a payload begins as a datagram of NetFlow, IPFIX or sFlow does, judged by fields that must agree with its length."""
    if len(payload) < 20:
        return False
    version, count = struct.unpack_from(">HH", payload)
    if version == 0 and count == 5 and len(payload) >= 28:
        # sFlow: version 5 in four octets, kind of the agent's address, its address, part, sequence, uptime, number of samples.
        kind = int.from_bytes(payload[4:8], "big")
        at = 8 + {1: 4, 2: 16}.get(kind, 1 << 16) + 12
        return kind in (1, 2) and 1 <= int.from_bytes(payload[at : at + 4], "big") <= 256
    if version == 5:
        return 1 <= count <= 30 and len(payload) == 24 + 48 * count
    if version == 10:
        return count == len(payload) and _first_set_fits(payload, 16, 2)
    return version == 9 and 1 <= count <= 1000 and _first_set_fits(payload, 20, 0)


def _first_set_fits(payload: bytes, offset: int, first_number: int) -> bool:
    if offset + 4 > len(payload):
        return False
    number, length = struct.unpack_from(">HH", payload, offset)
    return (number >= 256 or number in (first_number, first_number + 1)) and 4 <= length <= len(payload) - offset


def holds_exports(path: Path) -> bool:
    """Return whether the first packets of a capture are export datagrams, nearly all of them."""
    good = other = 0
    left_out: Counter[str] = Counter()
    try:
        decoder = FrameDecoder(left_out)
        for frames in Capture(path, []).frames(batch=LOOKED_AT):
            packets = decoder.packets(frames)
            for _exporter, payload in payloads(frames, packets, left_out):
                if looks_like_export(payload):
                    good += 1
                else:
                    other += 1
            break
    except FindingError:
        return False
    return good > 0 and good >= 9 * (other + left_out["not_udp"])


def _open(path: Path, source: str, opening: Opening) -> ExportCapture:
    return ExportCapture(path, opening.templates, opening.exporter, source)


KIND = Kind(
    "export_pcap",
    "export datagrams (NetFlow v5, v9, IPFIX, sFlow v5) in pcap and pcapng files",
    lambda path, head: looks_like_capture(path, head) and holds_exports(path),
    _open,
    options=(),
)
