# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Captures of export datagrams (NetFlow v5, v9, IPFIX over UDP) to one-way records."""

from __future__ import annotations

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
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.capture import Capture, Frames
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.frames import UDP, Packets
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.frames import Decoder as FrameDecoder
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.kind import Kind, Opening
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.netflow import Decoder
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.pcap import looks_like_capture
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.templates import Templates

np = guarded("numpy")

LOOKED_AT = 200
FLUSH_RECORDS = 1 << 18


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
        for exporter, payload in datagrams(capture, left_out):
            decoder.feed(payload, exporter)
            self.quality.packets += 1
            if decoder.pending >= FLUSH_RECORDS:
                yield from self._counted(decoder)
        decoder.finish()
        yield from self._counted(decoder)
        self.quality.damaged_at = capture.damaged_at
        self.quality.left_out = {name: count for name, count in sorted(left_out.items()) if count}
        self.quality.exporters = {name: each.as_dict() for name, each in sorted(decoder.exporters.items())}
        self.findings.extend(export_findings(decoder, str(self.path)))

    def _counted(self, decoder: Decoder) -> Iterator[Any]:
        for table in decoder.tables():
            self.quality.records += table.num_rows
            self.quality.covers(
                int(table.column("start_us").to_numpy().min()), int(table.column("end_us").to_numpy().max())
            )
            yield table


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
            (each.sampling > 1, codes.EXPORT_SAMPLED, f"exporter {name} samples one packet in {each.sampling}"),
        ):
            if count:
                made.append(code.at(text, Location(place)))
    return made


def datagrams(capture: Capture, left_out: Counter[str]) -> Iterator[tuple[str, bytes]]:
    """Yield (source address, payload) of the UDP datagrams of a capture; other packets count as ``not_udp``, cut ones as ``cut``."""
    frame_decoder = FrameDecoder(left_out)
    for frames in capture.frames():
        packets = frame_decoder.packets(frames)
        yield from payloads(frames, packets, left_out)


def payloads(frames: Frames, packets: Packets, left_out: Counter[str]) -> Iterator[tuple[str, bytes]]:
    """Yield (source address, payload) of a batch's UDP packets."""
    known: dict[tuple[int, int], str] = {}
    raw = frames.data.tobytes()
    udp = (packets.protocol == UDP) & packets.first_part
    left_out["not_udp"] += int((~udp).sum())
    for i in np.flatnonzero(udp):
        start, end = int(packets.payload_at[i]), int(packets.end[i])
        length = struct.unpack_from(">H", raw, start + 4)[0] if start + 8 <= end else 0
        if length < 8 or start + length > end:
            left_out["cut"] += 1
        pair = (int(packets.source_hi[i]), int(packets.source_lo[i]))
        name = known.get(pair)
        if name is None:
            name = known[pair] = address.text_of(*pair)
        yield name, raw[start + 8 : min(end, start + length) if length >= 8 else end]


def looks_like_export(payload: bytes) -> bool:
    """Return whether a payload begins as a NetFlow v5, v9 or IPFIX datagram does, judged by fields that must agree with its length."""
    if len(payload) < 20:
        return False
    version, count = struct.unpack_from(">HH", payload)
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
    "export datagrams (NetFlow v5, v9, IPFIX) in pcap and pcapng files",
    lambda path, head: looks_like_capture(path, head) and holds_exports(path),
    _open,
)
