# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Capture files: pcap and pcapng containers to batches of frames.

A file that is cut or damaged yields what stands before the damage and a finding with the byte offset. Formats:
draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng. Nothing of a frame is looked at here. Only lengths are followed one by one; all else of
the headers is read a batch at a time.
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
BATCH_OCTETS = 1 << 26
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
ENHANCED, SIMPLE, OLD_PACKET, INTERFACE, STATISTICS = 6, 3, 2, 1, 5
MOST_INTERFACES = 4096
PADDING = 128
# Packets looked at one by one before a stretch of one size is sought.
STEPS = 32
# From how many places at most, and at least, the lengths of packets are followed at once; octets between them, and in which a header is
# sought; how far its time may lie after the first one's.
MOST_WALKERS, LEAST_WALKERS = 256, 8
OCTETS_EACH, SOUGHT = 1 << 14, 1 << 11
AHEAD_SECONDS = 30 * 86_400
BYTE_ORDER = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}


@dataclass(frozen=True)
class Frames:
    """Some frames of one link type: positions in ``data`` (all octets of the file) and times in microseconds since 1970 UTC.

    ``data`` has at least ``PADDING`` octets behind the last frame, so that a header may be read past a frame's end.
    """

    data: Any
    link: int
    offset: Any
    captured: Any
    length: Any
    time_us: Any
    place: Any


@dataclass
class Interface:
    """An interface of a capture: link type, ticks a second, seconds to add, snapshot length; frames seen and those it dropped."""

    link: int
    units: int = 1_000_000
    shift: int = 0
    snap: int = 0
    name: str = ""
    frames: int = 0
    dropped: int = 0


@dataclass
class Capture:
    """An open capture file; iterate ``frames()`` once. Everything else is complete after that."""

    path: Path
    findings: list[Finding] = field(default_factory=list)
    frame_count: int = 0
    damaged_at: int = -1
    interfaces: list[Interface] = field(default_factory=list)

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
            yield from self._classic(view, *MAGICS[magic], batch)
        elif magic == struct.pack("<I", SECTION):
            yield from self._blocks(view, batch)
        else:
            raise FindingError(codes.INPUT_KIND.at("neither pcap nor pcapng", Location(str(self.path))))

    def _damage(self, code: Any, offset: int, text: str) -> None:
        if self.damaged_at < 0:
            self.damaged_at = offset
            self.findings.append(code.at(f"{text} (byte {offset})", Location(str(self.path))))

    def _numbered(self, count: int) -> Any:
        self.frame_count += count
        return np.arange(self.frame_count - count, self.frame_count, dtype=np.int64)

    # -- pcap -------------------------------------------------------------------------------------------------------

    def _classic(self, view: mmap.mmap, order: str, unit: int, batch: int) -> Iterator[Frames]:
        size = len(view)
        if size < 24:
            self._damage(codes.CAPTURE_CUT, size, "the file header is cut")
            return
        link = struct.unpack_from(order + "I", view, 20)[0] & 0x0FFFFFFF
        own = Interface(link)
        self.interfaces.append(own)
        offset, last, walk = 24, size - 16, _Walk(view, order, unit)
        while not walk.ended:
            places, offset = walk.on(offset, batch)
            for begin in range(0, len(places), batch):
                part = places[begin : begin + batch]
                first, behind = int(part[0]), int(places[begin + batch]) if begin + batch < len(places) else offset
                data = _octets(view, first, behind)
                at = part - first
                heads = window(
                    data, at, [("seconds", "u4"), ("fraction", "u4"), ("captured", "u4"), ("length", "u4")], order
                )
                captured, length = heads["captured"].astype(np.int64), heads["length"].astype(np.int64)
                bad = (
                    (captured > LARGEST_FRAME)
                    | (heads["fraction"] >= unit)
                    | ((length > 0) & (captured > length + 4096))
                )
                good = int(np.argmax(bad)) if bad.any() else len(part)
                time = heads["seconds"].astype(np.int64) * 1_000_000 + heads["fraction"] // (unit // 1_000_000)
                own.frames += good
                if good:
                    yield Frames(
                        data, link, at[:good] + 16, captured[:good], length[:good], time[:good], self._numbered(good)
                    )
                if good < len(part):
                    self._damage(codes.CAPTURE_DAMAGED, int(part[good]), "a packet header is impossible")
                    return
        if offset > last:
            if offset != size:
                self._damage(codes.CAPTURE_CUT, offset, "the last packet header is cut")
            return
        _seconds, fraction, captured, length = struct.unpack_from(order + "IIII", view, offset)
        impossible = (
            captured > LARGEST_FRAME or fraction >= unit or (captured > length > 0 and captured > length + 4096)
        )
        if impossible:
            self._damage(codes.CAPTURE_DAMAGED, offset, "a packet header is impossible")
        else:
            self._damage(codes.CAPTURE_CUT, offset, "the last packet is cut")

    # -- pcapng -----------------------------------------------------------------------------------------------------

    def _blocks(self, view: mmap.mmap, batch: int) -> Iterator[Frames]:
        size, offset, order = len(view), 0, "<"
        head = struct.Struct("<II").unpack_from
        interfaces: list[Interface] = []
        places: list[int] = []
        while offset + 12 <= size:
            kind, length = head(view, offset)
            if kind == ENHANCED and 32 <= length <= LARGEST_BLOCK and not length & 3 and offset + length <= size:
                places.append(offset)
                offset += length
                if len(places) >= batch or offset - places[0] > BATCH_OCTETS:
                    yield from self._enhanced(view, places, offset, order, interfaces)
                    places = []
                continue
            if places:
                yield from self._enhanced(view, places, offset, order, interfaces)
                places = []
            if self.damaged_at >= 0:
                return
            if kind == SECTION:
                found = BYTE_ORDER.get(view[offset + 8 : offset + 12])
                if found is None:
                    self._damage(codes.CAPTURE_DAMAGED, offset, "a section has no byte order")
                    return
                order, interfaces = found, []
                head = struct.Struct(order + "II").unpack_from
                length = head(view, offset)[1]
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
                yield from self._other_block(view, order, kind, offset, length, interfaces)
            except (struct.error, ValueError, IndexError) as error:
                self._damage(codes.CAPTURE_DAMAGED, offset, f"a block cannot be read ({error})")
                return
            offset += length
        if places:
            yield from self._enhanced(view, places, offset, order, interfaces)
        if offset != size:
            self._damage(codes.CAPTURE_CUT, offset, "the last block header is cut")

    def _enhanced(
        self, view: mmap.mmap, places: list[int], end: int, order: str, interfaces: list[Interface]
    ) -> Iterator[Frames]:
        """Yield the frames of enhanced packet blocks up to the first that is impossible."""
        first = places[0]
        data = _octets(view, first, end)
        at = np.array(places, dtype=np.int64) - first
        names = ("kind", "size", "interface", "high", "low", "captured", "length")
        heads = window(data, at, [(name, "u4") for name in names], order)
        size, captured = heads["size"].astype(np.int64), heads["captured"].astype(np.int64)
        trailer = window(data, at + size - 4, [("size", "u4")], order)["size"]
        number = heads["interface"].astype(np.int64)
        bad = (trailer != heads["size"]) | (captured + 32 > size) | (number >= len(interfaces))
        ticks = (heads["high"].astype(np.uint64) << np.uint64(32)) | heads["low"].astype(np.uint64)
        time = np.zeros(len(at), dtype=np.int64)
        used = [int(each) for each in np.unique(number) if each < len(interfaces)]
        for each in used:
            mine = number == each
            time[mine] = _micros(ticks[mine], interfaces[each])
        bad |= (time < 0) | (time >= LATEST_SECOND * 1_000_000)
        good = int(np.argmax(bad)) if bad.any() else len(places)
        place = self._numbered(good)
        length = heads["length"].astype(np.int64)
        for link in sorted({interfaces[each].link for each in used}):
            mine = np.isin(number[:good], [each for each in used if interfaces[each].link == link])
            rows = np.flatnonzero(mine)
            if len(rows):
                yield Frames(data, link, at[rows] + 28, captured[rows], length[rows], time[rows], place[rows])
        for each in used:
            interfaces[each].frames += int((number[:good] == each).sum())
        if good < len(places):
            self._damage(codes.CAPTURE_DAMAGED, places[good], "a packet block is impossible")

    def _other_block(
        self, view: mmap.mmap, order: str, kind: int, offset: int, length: int, interfaces: list[Interface]
    ) -> Iterator[Frames]:
        body, end = offset + 8, offset + length - 4
        if kind == INTERFACE:
            if len(self.interfaces) >= MOST_INTERFACES:
                raise ValueError("too many interfaces")
            link, _reserved, snap = struct.unpack_from(order + "HHI", view, body)
            interfaces.append(_interface(view, order, body + 8, end, Interface(link, snap=snap)))
            self.interfaces.append(interfaces[-1])
            return
        if kind == STATISTICS:
            number = struct.unpack_from(order + "I", view, body)[0]
            for code, value, size in _options(view, order, body + 12, end):
                if code == 5 and size == 8 and number < len(interfaces):
                    interfaces[number].dropped = min(struct.unpack_from(order + "Q", view, value)[0], 1 << 62)
            return
        if kind == OLD_PACKET:
            number, _drops, high, low, captured, wire = struct.unpack_from(order + "HHIIII", view, body)
            start = body + 20
        elif kind == SIMPLE:
            number, high, low = 0, 0, 0
            wire = struct.unpack_from(order + "I", view, body)[0]
            start = body + 4
            captured = min(wire, end - start, interfaces[0].snap or wire)
        else:
            return
        if start + captured > end:
            raise ValueError("the packet is longer than its block")
        own = interfaces[number]
        micros = int(_micros(np.array([(high << 32) | low], dtype=np.uint64), own)[0])
        if not 0 <= micros < LATEST_SECOND * 1_000_000:
            raise ValueError("the time is impossible")
        own.frames += 1
        at, kept, length, time = np.array([[0], [captured], [wire], [micros]], dtype=np.int64)
        yield Frames(_octets(view, start, start + captured), own.link, at, kept, length, time, self._numbered(1))


class _Walk:
    """The way along the packet headers of a pcap file, each of which says where the next one is. ``ended`` once no whole packet is left."""

    def __init__(self, view: mmap.mmap, order: str, unit: int) -> None:
        self.view, self.order, self.unit = view, order, unit
        self.ended = False
        self._steps = STEPS

    def on(self, offset: int, batch: int) -> tuple[Any, int]:
        """Return (positions of headers from ``offset`` on, about ``batch`` or more of them; the position behind their last packet)."""
        view, size = self.view, len(self.view)
        captured_at = struct.Struct(self.order + "I").unpack_from
        parts: list[Any] = []
        places: list[int] = []
        append, most, together = places.append, offset + BATCH_OCTETS, True
        while not self.ended and len(places) < batch and offset <= most:
            wanted = min(self._steps, batch - len(places))
            try:
                while wanted > 0 and offset <= most:
                    # The shortest way from header to header; where the file ends is looked at afterwards.
                    for _number in range(min(wanted, STEPS)):
                        append(offset)
                        offset += 16 + captured_at(view, offset + 8)[0]
                    wanted -= STEPS
            except struct.error:
                offset, self.ended = places.pop(), True
            while places and (offset > size or places[-1] > size - 16):
                offset, self.ended = places.pop(), True
            if self.ended or len(places) < 2:
                continue
            # An exporter's datagrams are of one size for long stretches, which are found at once; others' packets hardly ever are.
            step = offset - places[-1]
            found = 0
            if places[-1] - places[-2] == step:
                most_alike = min(batch - len(places), (min(most, size) - offset) // step)
                found = _alike(view, self.order, offset, step, most_alike)
                places += range(offset, offset + found * step, step)
                offset += found * step
            self._steps = STEPS if found >= STEPS else min(4 * self._steps, batch)
            if together and self._steps > 4 * STEPS:
                begun, reach = offset, min(most, size)
                more, offset = _side_by_side(view, self.order, self.unit, begun, reach)
                # Where looks deceive, one by one is the shorter way.
                together = 2 * (offset - begun) > reach - begun
                if len(more):
                    if offset > size:
                        offset, more, self.ended = int(more[-1]), more[:-1], True
                    parts += [np.array(places, dtype=np.int64), more]
                    places.clear()
        return np.concatenate([*parts, np.array(places, dtype=np.int64)]), offset


def _side_by_side(view: mmap.mmap, order: str, unit: int, offset: int, stop: int) -> tuple[Any, int]:
    """Return (positions of packet headers from ``offset`` on, the position behind the last packet), found by following lengths from several
    places at once, which costs a third of following them one by one.

    What looks like a header further on counts only where the way from the first header leads to it, so that nothing rests on looks.
    """
    span = stop - offset
    count = min(MOST_WALKERS, span // OCTETS_EACH)
    if count < LEAST_WALKERS:
        return np.empty(0, dtype=np.int64), offset
    seconds, fraction, captured, length = (
        np.ndarray((span - 15,), dtype=order + "u4", buffer=view, offset=offset + at, strides=(1,))
        for at in (0, 4, 8, 12)
    )
    low = max(0, int(seconds[0]) - 3600)
    starts = [0]
    for begin in range(span // count, span - SOUGHT - 15, span // count):
        # Earlier times wrap round and are far ahead.
        near = (seconds[begin : begin + SOUGHT] - np.uint32(low)) < AHEAD_SECONDS
        for place in np.flatnonzero(near).tolist():
            at = begin + place
            most = min(LARGEST_FRAME, int(length[at]), span - 16 - at - 16)
            if fraction[at] >= unit or captured[at] > most:
                continue
            if 0 <= int(seconds[at + 16 + int(captured[at])]) - low < AHEAD_SECONDS:
                starts.append(at)
                break
    if len(starts) < LEAST_WALKERS:
        return np.empty(0, dtype=np.int64), offset
    begun = np.array(starts, dtype=np.int64)
    limits = np.append(begun[1:], span - 15)
    walked = _walked(captured, begun, limits)
    inside = walked < limits[:, None]
    counts = np.count_nonzero(inside, axis=1)
    # Where each walker leaves its stretch, or stands at last.
    last = walked[np.arange(len(walked)), np.minimum(counts, walked.shape[1] - 1)]
    inside[:, -1] = False
    ends = np.cumsum(np.minimum(counts, walked.shape[1] - 1)).tolist()
    whole, made, done = walked[inside], [], 0
    for number, (here, limit) in enumerate(zip(last.tolist(), limits.tolist(), strict=True)):
        # What is left of the longest stretches, one by one.
        left = []
        while here < limit:
            left.append(here)
            here += 16 + int(captured[here])
        made += [whole[done : ends[number]], np.array(left, dtype=np.int64)]
        done = ends[number]
        if number + 1 < len(starts) and here != starts[number + 1]:
            break
    return np.concatenate(made) + offset, here + offset


def _walked(captured: Any, begun: Any, limits: Any) -> Any:
    """Return, walker by walker, the positions on the way from its first one, until most have reached their limits; of those that have, more
    than there are to be seen."""
    ends, header = np.full(len(begun), len(captured) - 1), np.full(len(begun), 16)
    place, octets = np.empty_like(begun), np.empty_like(begun)
    parts, at = [begun[None]], begun
    while 8 * np.count_nonzero(at < limits) > len(at):
        rows = np.empty((STEPS, len(begun)), dtype=np.int64)
        # All of one size and in memory that is there: with so few walkers it is the calls that cost.
        for row in rows:
            np.minimum(at, ends, out=place)
            octets[:] = captured[place]
            np.add(at, octets, out=row)
            np.add(row, header, out=row)
            at = row
        parts.append(rows)
    return np.concatenate(parts).T


def window(data: Any, at: Any, fields: list[tuple[str, str]], order: str = ">") -> Any:
    """Return a structured array of what stands at positions of ``data``, one element for each; none may end behind it."""
    kind = np.dtype([(name, each if each[0] == "V" else order + each) for name, each in fields])
    cells = np.ndarray((len(data) - kind.itemsize + 1,), dtype=f"V{kind.itemsize}", buffer=data, strides=(1,))
    return cells[at].view(kind)


def _alike(view: mmap.mmap, order: str, offset: int, step: int, most: int) -> int:
    """Return how many packets from ``offset`` on take ``step`` octets each with their headers, at most so many, all of them whole."""
    if most <= 0:
        return 0
    captured = np.ndarray((most,), dtype=np.dtype(order + "u4"), buffer=view, offset=offset + 8, strides=(step,))
    other = captured != step - 16
    return int(np.argmax(other)) if other.any() else most


def _octets(view: mmap.mmap, first: int, last: int) -> Any:
    # A copy of what a batch covers: arrays over the map itself would keep it from closing.
    made = np.empty(last - first + PADDING, dtype=np.uint8)
    made[: last - first] = np.frombuffer(view, dtype=np.uint8, count=last - first, offset=first)
    made[last - first :] = 0
    made.flags.writeable = False
    return made


def _micros(ticks: Any, interface: Interface) -> Any:
    """Return microseconds of an interface's ticks; -1 where they lie beyond any date."""
    units, shift = interface.units, interface.shift
    if units == 1_000_000 or (units > 1_000_000 and units % 1_000_000 == 0):
        whole = np.minimum(ticks // np.uint64(units // 1_000_000), np.uint64(1 << 62)).astype(np.int64)
        return whole + shift * 1_000_000
    made = (min(int(each) * 1_000_000 // units, 1 << 62) + shift * 1_000_000 for each in ticks)
    return np.array([each if 0 <= each < 1 << 62 else -1 for each in made], dtype=np.int64)


def _options(view: mmap.mmap, order: str, offset: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield (code, position, length) of a block's options."""
    while offset + 4 <= end:
        code, length = struct.unpack_from(order + "HH", view, offset)
        value = offset + 4
        if code == 0 or value + length > end:
            break
        yield code, value, length
        offset = value + length + (-length) % 4


def _interface(view: mmap.mmap, order: str, offset: int, end: int, made: Interface) -> Interface:
    for code, value, length in _options(view, order, offset, end):
        if code == 2:
            text = view[value : value + min(length, 64)].decode("utf-8", "replace")
            made.name = "".join(each for each in text if each.isprintable())
        if code == 9 and length >= 1:
            exponent = view[value]
            if exponent & 0x7F > 63 or (not exponent & 0x80 and exponent > 19):
                raise ValueError("the time resolution is impossible")
            made.units = 2 ** (exponent & 0x7F) if exponent & 0x80 else 10**exponent
        if code == 14 and length == 8:
            made.shift = struct.unpack_from(order + "q", view, value)[0]
            if abs(made.shift) > LATEST_SECOND:
                raise ValueError("the time offset is impossible")
    return made
