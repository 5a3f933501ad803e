# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of nfcapd 1.7: header, blocks, their compression, and the records of a block laid side by side by layout.

File layout 2 with blocks of type 3 (nffileV2.h and nfxV3.h of nfdump 1.7.1): all numbers have the byte order of the machine that wrote,
which the magic number shows; only little-endian files are read. What stands before damage is kept and the damage is located.
"""

from __future__ import annotations

import bisect
import bz2
import mmap
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import codes

np = guarded("numpy")
pa = guarded("pyarrow")

MAGIC = b"\x0c\xa5"
# magic, layout, version of nfdump, time, compression, encryption, appendix blocks, creator, appendix offset, block size, blocks
FILE_HEADER = struct.Struct("<HHIQBBHIQII")
BLOCK_HEADER = struct.Struct("<IIHH")  # records, octets, type, flags
RECORD_HEADER = struct.Struct("<HH")  # type, octets with this header
NONE, LZO, BZ2, LZ4, ZSTD = range(5)
UNCOMPRESSED, UNENCRYPTED = 1, 2
RECORD_BLOCK = 3
FLOW, EXPORTER, STATISTICS, OLD_SAMPLER, SAMPLER = 11, 7, 8, 9, 15
FLOW_HEADER = 12
# nfdump writes blocks of up to 5 MiB; a damaged header must not ask for more than some of them.
BLOCK_SIZES = (5 << 20, 16 << 20, 64 << 20)
# A block of LZ4 ends with at least so many octets as they are (lz4_Block_format.md, end of block conditions).
LZ4_TAIL = 5
MARK = bytes.fromhex("a55ac33c96")
MARK_BEHIND = 64
# Rows looked at together: so many stay in the processor's caches while each of their fields is.
ROWS_AT_ONCE = 1 << 13
# Records of one type and length next to each other from which on their elements are looked at together.
LONG_RUN = 64


@dataclass(frozen=True)
class Layout:
    """Flow records of one layout: ``rows`` has shape (n, octets), ``elements`` maps an extension to (start, length) of its content."""

    rows: Any
    elements: dict[int, tuple[int, int]]


@dataclass
class Block:
    """What a block holds: flow records by layout, and all others as (type, content)."""

    layouts: list[Layout] = field(default_factory=list)
    others: list[tuple[int, bytes]] = field(default_factory=list)
    damaged: int = 0
    octets: int = 0


@dataclass
class NfFile:
    """An open file; iterate ``blocks()`` once. ``findings`` and ``damaged_at`` are complete after that."""

    path: Path
    findings: list[Finding] = field(default_factory=list)
    damaged_at: int = -1

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks of records; raises FindingError SW1401, SW1402 where the file cannot be read at all."""
        location = Location(str(self.path))
        try:
            with open(self.path, "rb") as stream:
                head = stream.read(FILE_HEADER.size)
                if len(head) < FILE_HEADER.size:
                    self._damage(codes.CAPTURE_CUT, len(head), "the file header is cut")
                    return
                (
                    _magic,
                    _layout,
                    _version,
                    _time,
                    compression,
                    encryption,
                    _appendix,
                    _creator,
                    appendix_at,
                    _size,
                    count,
                ) = FILE_HEADER.unpack(head)
                if encryption:
                    raise FindingError(codes.INPUT_KIND.at("the file is encrypted", location))
                with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as view:
                    yield from self._walk(view, compression, appendix_at, count)
        except OSError as error:
            raise FindingError(codes.INPUT_MISSING.at(error.strerror or "cannot be read", location)) from error

    def _walk(self, view: mmap.mmap, compression: int, appendix_at: int, count: int) -> Iterator[Block]:
        offset, size, seen = FILE_HEADER.size, len(view), 0
        last = (0, 1)
        end = appendix_at if FILE_HEADER.size <= appendix_at <= size else size
        while offset < end:
            if offset + BLOCK_HEADER.size > end:
                return self._damage(codes.CAPTURE_CUT, offset, "a block header is cut")
            records, octets, kind, flags = BLOCK_HEADER.unpack_from(view, offset)
            start = offset + BLOCK_HEADER.size
            if start + octets > end:
                return self._damage(codes.CAPTURE_CUT, offset, "the last block is cut")
            if kind == RECORD_BLOCK:
                codec = NONE if flags & UNCOMPRESSED else compression
                # LZ4 is decompressed where it stands; others want octets.
                packed = (
                    np.frombuffer(view, dtype=np.uint8, count=octets, offset=start).data
                    if codec == LZ4
                    else view[start : start + octets]
                )
                guess = last[0] * records // last[1]
                marked = _marked(guess, packed) if codec == LZ4 else 0
                try:
                    data = decompressed(packed, codec)
                except (ValueError, OSError, EOFError, pa.ArrowException) as error:
                    return self._damage(codes.CAPTURE_DAMAGED, offset, f"a block cannot be decompressed ({error})")
                block = block_of(data, records)
                if codec == LZ4 and not (
                    (block.octets == guess and _written(data, guess, packed, marked)) or _reaches(packed, block.octets)
                ):
                    # What stands behind its end is left from before, and may look like records.
                    block = block_of(data[: _octets(packed, block.octets)], records)
                last = (block.octets, max(1, records))
                if block.damaged:
                    self._damage(codes.CAPTURE_DAMAGED, offset, f"{block.damaged} records of a block cannot be read")
                yield block
            seen += 1
            offset = start + octets
        if seen < count:
            self._damage(codes.CAPTURE_CUT, offset, f"{count - seen} blocks are missing")
        return None

    def _damage(self, code: Any, offset: int, text: str) -> None:
        if self.damaged_at < 0:
            self.damaged_at = offset
            self.findings.append(code.at(f"{text} (byte {offset})", Location(str(self.path))))


def decompressed(data: bytes, compression: int) -> Any:
    """Return the octets of a block; behind its last record there may be others. Raises ValueError and what the codecs raise."""
    if compression == NONE:
        return data
    if compression == BZ2:
        return bz2.BZ2Decompressor().decompress(data, max_length=BLOCK_SIZES[-1])
    if compression == ZSTD:
        with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
            return stream.read(BLOCK_SIZES[-1])
    if compression != LZ4:
        raise ValueError(f"compression {compression} is not read here")
    for size in BLOCK_SIZES:
        try:
            return pa.decompress(data, decompressed_size=size, codec="lz4_raw", memory_pool=_pool())
        except (OSError, pa.ArrowException):
            if size == BLOCK_SIZES[-1]:
                raise
    return b""


@cache
def _pool() -> Any:
    """Return a pool that gives the memory of a block just freed to the next one of its size, where there is such a pool."""
    for name in ("mimalloc", "jemalloc"):
        if name in pa.supported_memory_backends():
            return getattr(pa, f"{name}_memory_pool")()
    return pa.default_memory_pool()


def _marked(octets: int, packed: bytes) -> int:
    """Return the address of memory that has marks where a block of that many octets ends and behind it, and that is free again; 0 where
    marks would tell nothing."""
    if not LZ4_TAIL <= octets <= BLOCK_SIZES[0] - MARK_BEHIND - LZ4_TAIL or packed[-LZ4_TAIL:] == MARK:
        return 0
    held = pa.allocate_buffer(BLOCK_SIZES[0], memory_pool=_pool())
    view = memoryview(held).cast("B")
    view[octets - LZ4_TAIL : octets] = view[octets + MARK_BEHIND : octets + MARK_BEHIND + LZ4_TAIL] = MARK
    return int(held.address)


def _written(data: Any, octets: int, packed: bytes, marked: int) -> bool:
    """Return whether the marks show that a block of LZ4 has as many octets: it was written over the marked memory, whose mark at its end
    has given way to its last octets and whose mark behind it is still there. False says nothing."""
    if not marked or data.address != marked:
        return False
    view = memoryview(data).cast("B")
    behind = octets + MARK_BEHIND
    return bool(view[behind : behind + LZ4_TAIL] == MARK and view[octets - LZ4_TAIL : octets] == packed[-LZ4_TAIL:])


def _reaches(data: bytes, octets: int) -> bool:
    """Return whether a block of LZ4 holds that many octets: pyarrow does not tell where its output ends and what is left from before.

    It costs a second decompression, so ``_written`` is asked before.
    """
    try:
        pa.decompress(data, decompressed_size=max(0, octets - 1), codec="lz4_raw")
    except (OSError, pa.ArrowException):
        return True
    return octets == 0


def _octets(data: bytes, most: int) -> int:
    """Return how many octets a block of LZ4 holds, fewer than ``most``."""
    return bisect.bisect_left(range(most), True, key=lambda octets: not _reaches(data, octets + 1))


def block_of(data: Any, count: int) -> Block:
    """Return what stands in a block's octets: ``count`` records, each with its type and length before it."""
    octets = np.frombuffer(data, dtype=np.uint8)
    made = Block()
    starts: dict[tuple[int, int], list[Any]] = {}
    offset, left, size = 0, count, len(octets)
    while left and offset + 4 <= size:
        kind, length = RECORD_HEADER.unpack_from(octets, offset)
        if length < 4 or offset + length > size:
            break
        if kind != FLOW:
            if length <= 1 << 12:
                made.others.append((kind, octets[offset : offset + length].tobytes()))
            offset, left = offset + length, left - 1
            continue
        run, alike = _run(octets, offset, length, left)
        starts.setdefault((length, int(octets[offset + 4]) if length >= FLOW_HEADER else 0), []).append(
            (offset, run, alike)
        )
        offset, left = offset + run * length, left - run
    made.damaged, made.octets = left, offset
    for (length, _number), runs in starts.items():
        if length < FLOW_HEADER:
            made.damaged += sum(run for _offset, run, _alike in runs)
            continue
        parts = [octets[start : start + run * length].reshape(run, length) for start, run, _alike in runs]
        elements = _elements(parts[0][0])[0] if len(parts) == 1 and runs[0][2] else None
        if elements is not None:
            made.layouts.append(Layout(parts[0], elements))
            continue
        _split(parts[0] if len(parts) == 1 else np.concatenate(parts), made)
    return made


def _run(octets: Any, offset: int, length: int, left: int) -> tuple[int, bool]:
    """Return how many records from ``offset`` on have its type and length, at least 1, and whether all of them surely have its elements:
    of long runs these are looked at while the records are in the caches."""
    most, found, looked = min(left, (len(octets) - offset) // length), 1, 0
    head = octets[offset : offset + 4].view("<u4")[0]
    eight = octets[offset : offset + 8].view("<u8")[0] if length >= FLOW_HEADER else None
    places: list[int] = []
    step, alike = 8, length >= FLOW_HEADER
    # Looked at in growing stretches, so that files whose records vary cost no more than those where all are alike.
    while found < most:
        stretch = min(step, most - found)
        start = offset + found * length
        rows = octets[start : start + stretch * length].reshape(stretch, length)
        # Type, length, number of elements and what stands behind it at once, which most often are all the same.
        numbered = eight is not None and bool((_word(rows, 0, 8) == eight).all())
        if not numbered:
            same = _word(rows, 0) == head
            if not same.all():
                return found + int(np.argmin(same)), False
            alike = alike and bool((_word(rows, 4, 2) == octets[offset + 4 : offset + 6].view("<u2")[0]).all())
        found += stretch
        step = min(step * 8, ROWS_AT_ONCE)
        if alike and found > LONG_RUN:
            if not looked:
                places = _elements(octets[offset : offset + length])[1]
            rows = octets[offset : offset + found * length].reshape(found, length)
            alike = _all_alike(rows[looked:], rows[0], places)
            looked = found
    return found, alike and looked == found


def _all_alike(rows: Any, first: Any, places: Sequence[int]) -> bool:
    """Return whether all rows have, at ``places``, the headers of elements of one."""
    own = first.reshape(1, -1)
    return all(bool((_word(rows, at) == _word(own, at)).all()) for at in places)


def _word(rows: Any, at: int, octets: int = 4) -> Any:
    """Return octets of each row as one number; comparing those costs a tenth of comparing octets."""
    return rows[:, at : at + octets].view(f"<u{octets}")[:, 0]


def _alike(rows: Any, places: Sequence[int]) -> Any:
    """Return which rows have the first one's number of elements and, at ``places``, headers of elements."""
    made = np.empty(len(rows), dtype=bool)
    elements, heads = _word(rows[:1], 4, 2)[0], [_word(rows[:1], at)[0] for at in places]
    for first in range(0, len(rows), ROWS_AT_ONCE):
        part, same = rows[first : first + ROWS_AT_ONCE], made[first : first + ROWS_AT_ONCE]
        np.equal(_word(part, 4, 2), elements, out=same)
        for at, head in zip(places, heads, strict=True):
            same &= _word(part, at) == head
    return made


def _split(rows: Any, made: Block) -> None:
    """Add records of one length and number of elements, layout by layout."""
    while len(rows):
        elements, places = _elements(rows[0])
        if elements is None:
            # A chain that does not end with the record: those with the same chain go with it.
            bad = _alike(rows, places)
            made.damaged += int(bad.sum())
            rows = rows[~bad]
            continue
        alike = _alike(rows, places)
        if alike.all():
            made.layouts.append(Layout(rows, elements))
            return
        made.layouts.append(Layout(rows[alike], elements))
        rows = rows[~alike]


def _elements(row: Any) -> tuple[dict[int, tuple[int, int]] | None, list[int]]:
    """Return (elements of a record or None where their lengths do not fit, where their headers stand)."""
    found: dict[int, tuple[int, int]] = {}
    places: list[int] = []
    offset = FLOW_HEADER
    for _number in range(int(row[4]) | int(row[5]) << 8):
        if offset + 4 > len(row):
            return None, places
        places.append(offset)
        kind, length = int(row[offset]) | int(row[offset + 1]) << 8, int(row[offset + 2]) | int(row[offset + 3]) << 8
        if length < 4 or offset + length > len(row):
            return None, places
        found.setdefault(kind, (offset + 4, length - 4))
        offset += length
    return found, places
