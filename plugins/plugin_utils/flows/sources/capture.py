# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Capture files: pcap and pcapng containers to batches of frames.

A file that is cut or damaged yields what stands before the damage and a finding with the byte offset. Formats:
draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng. Nothing of a frame is looked at here.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import codes

np = guarded("numpy")

BATCH = 1 << 18
LARGEST_FRAME = 1 << 20
LARGEST_BLOCK = 1 << 26
LATEST_SECOND = 253_402_300_800 - 86_400  # 9999-12-31
MAGICS = {
    b"\xd4\xc3\xb2\xa1": ("<", 1_000_000),
    b"\xa1\xb2\xc3\xd4": (">", 1_000_000),
    b"\x4d\x3c\xb2\xa1": ("<", 1_000_000_000),
    b"\xa1\xb2\x3c\x4d": (">", 1_000_000_000),
}
SECTION = 0x0A0D0D0A
BYTE_ORDER = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}


@dataclass(frozen=True)
class Frames:
    """Some frames of one link type: positions in ``data`` (all octets of the file) and times in microseconds since 1970 UTC."""

    data: Any
    link: int
    offset: Any
    captured: Any
    length: Any
    time_us: Any
    place: Any


@dataclass
class Capture:
    """An open capture file; iterate ``frames()`` once. ``findings`` and ``damaged_at`` are complete after that."""

    path: Path
    findings: list[Finding] = field(default_factory=list)
    frame_count: int = 0
    damaged_at: int = -1

    def frames(self, batch: int = BATCH) -> Iterator[Frames]:
        """Yield batches of frames in file order; raises FindingError SW1402 where the file is no capture."""
        try:
            size = os.path.getsize(self.path)
            with open(self.path, "rb") as stream:
                if not size:
                    self._damage(codes.CAPTURE_CUT, 0, "the file is empty")
                    return
                with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as view:
                    yield from self._batches(view, batch)
        except OSError as error:
            raise FindingError(
                codes.INPUT_MISSING.at(error.strerror or "cannot be read", Location(str(self.path)))
            ) from error

    def _batches(self, view: mmap.mmap, batch: int) -> Iterator[Frames]:
        magic = view[:4]
        if magic in MAGICS:
            walk = self._classic(view, *MAGICS[magic])
        elif magic == struct.pack("<I", SECTION):
            walk = self._blocks(view)
        else:
            raise FindingError(codes.INPUT_KIND.at("neither pcap nor pcapng", Location(str(self.path))))
        # A copy per batch of what it covers: arrays over the map itself would keep it from closing.
        links: dict[int, list[tuple[int, int, int, int, int]]] = {}
        held = 0
        for link, *row in walk:
            links.setdefault(link, []).append((*row, self.frame_count))  # type: ignore[arg-type]
            self.frame_count += 1
            held += 1
            if held >= batch:
                yield from _made(view, links)
                links, held = {}, 0
        yield from _made(view, links)

    def _damage(self, code: Any, offset: int, text: str) -> None:
        self.damaged_at = offset
        self.findings.append(code.at(f"{text} (byte {offset})", Location(str(self.path))))

    def _classic(self, view: mmap.mmap, order: str, unit: int) -> Iterator[tuple[int, int, int, int, int]]:
        size = len(view)
        if size < 24:
            self._damage(codes.CAPTURE_CUT, size, "the file header is cut")
            return
        link = struct.unpack_from(order + "I", view, 20)[0] & 0x0FFFFFFF
        header = struct.Struct(order + "IIII").unpack_from
        offset = 24
        divisor = unit // 1_000_000
        while offset + 16 <= size:
            seconds, fraction, captured, length = header(view, offset)
            if captured > LARGEST_FRAME or fraction >= unit or (captured > length > 0 and captured > length + 4096):
                self._damage(codes.CAPTURE_DAMAGED, offset, "a packet header is impossible")
                return
            start = offset + 16
            if start + captured > size:
                self._damage(codes.CAPTURE_CUT, offset, "the last packet is cut")
                return
            yield link, start, captured, length, seconds * 1_000_000 + fraction // divisor
            offset = start + captured
        if offset != size:
            self._damage(codes.CAPTURE_CUT, offset, "the last packet header is cut")

    def _blocks(self, view: mmap.mmap) -> Iterator[tuple[int, int, int, int, int]]:
        size, offset, order = len(view), 0, "<"
        interfaces: list[tuple[int, int, int, int]] = []
        while offset + 12 <= size:
            kind = struct.unpack_from(order + "I", view, offset)[0]
            if kind == SECTION:
                found = BYTE_ORDER.get(view[offset + 8 : offset + 12])
                if found is None:
                    self._damage(codes.CAPTURE_DAMAGED, offset, "a section has no byte order")
                    return
                order, interfaces = found, []
            length = struct.unpack_from(order + "I", view, offset + 4)[0]
            if length < 12 or length % 4 or length > LARGEST_BLOCK:
                self._damage(codes.CAPTURE_DAMAGED, offset, "a block length is impossible")
                return
            if offset + length > size:
                self._damage(codes.CAPTURE_CUT, offset, "the last block is cut")
                return
            if struct.unpack_from(order + "I", view, offset + length - 4)[0] != length:
                self._damage(codes.CAPTURE_DAMAGED, offset, "a block's two lengths differ")
                return
            try:
                row = _block_row(view, order, kind, offset, length, interfaces)
            except (struct.error, ValueError, IndexError) as error:
                self._damage(codes.CAPTURE_DAMAGED, offset, f"a block cannot be read ({error})")
                return
            if row is not None:
                yield row
            offset += length
        if offset != size:
            self._damage(codes.CAPTURE_CUT, offset, "the last block header is cut")


def _block_row(
    view: mmap.mmap, order: str, kind: int, offset: int, length: int, interfaces: list[tuple[int, int, int, int]]
) -> tuple[int, int, int, int, int] | None:
    body, end = offset + 8, offset + length - 4
    if kind == 1:
        link, _reserved, snap = struct.unpack_from(order + "HHI", view, body)
        units, shift = _interface_options(view, order, body + 8, end)
        interfaces.append((link, units, shift, snap))
        return None
    if kind == 6:
        number, high, low, captured, wire = struct.unpack_from(order + "IIIII", view, body)
        start = body + 20
    elif kind == 2:
        number, _drops, high, low, captured, wire = struct.unpack_from(order + "HHIIII", view, body)
        start = body + 20
    elif kind == 3:
        number, high, low = 0, 0, 0
        wire = struct.unpack_from(order + "I", view, body)[0]
        snap = interfaces[0][3]
        start = body + 4
        captured = min(wire, end - start, snap or wire)
    else:
        return None
    if start + captured > end:
        raise ValueError("the packet is longer than its block")
    link, units, shift, _snap = interfaces[number]
    ticks = (high << 32) | low
    micros = ticks * 1_000_000 // units + shift * 1_000_000
    if not 0 <= micros < LATEST_SECOND * 1_000_000:
        raise ValueError("the time is impossible")
    return link, start, captured, wire, micros


def _interface_options(view: mmap.mmap, order: str, offset: int, end: int) -> tuple[int, int]:
    units, shift = 1_000_000, 0
    while offset + 4 <= end:
        code, length = struct.unpack_from(order + "HH", view, offset)
        value = offset + 4
        if code == 0 or value + length > end:
            break
        if code == 9 and length >= 1:
            exponent = view[value]
            units = 2 ** (exponent & 0x7F) if exponent & 0x80 else 10**exponent
            if exponent & 0x7F > 64:
                raise ValueError("the time resolution is impossible")
        if code == 14 and length == 8:
            shift = struct.unpack_from(order + "q", view, value)[0]
        offset = value + length + (-length) % 4
    return units, shift


def _made(view: mmap.mmap, links: dict[int, list[tuple[int, int, int, int, int]]]) -> Iterator[Frames]:
    for link, rows in links.items():
        table = np.array(rows, dtype=np.int64)
        first = int(table[0, 0])
        last = int(table[-1, 0] + table[-1, 1])
        data = np.frombuffer(view[first:last] + bytes(64), dtype=np.uint8)
        yield Frames(data, link, table[:, 0] - first, table[:, 1], table[:, 2], table[:, 3], table[:, 4])
