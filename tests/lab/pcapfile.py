# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Classic pcap files: read, write, merge, cut and move in time. Enough for the lab's own captures, nothing more."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_MICRO = 0xA1B2C3D4
_NANO = 0xA1B23C4D
ETHERNET = 1


@dataclass(frozen=True, order=True)
class Packet:
    """``at`` is nanoseconds since the epoch; ``length`` the length on the wire, at least that of ``data``."""

    at: int
    data: bytes
    length: int


def read(path: Path) -> list[Packet]:
    """All whole packets of a file; a cut-off last record is dropped. Raises ValueError for another format."""
    raw = path.read_bytes()
    if len(raw) < 24:
        raise ValueError(f"{path.name}: not a pcap file")
    for order in ("<", ">"):
        magic = struct.unpack_from(order + "I", raw)[0]
        if magic in (_MICRO, _NANO):
            break
    else:
        raise ValueError(f"{path.name}: not a classic pcap file")
    link = struct.unpack_from(order + "I", raw, 20)[0] & 0xFFFF
    if link != ETHERNET:
        raise ValueError(f"{path.name}: link type {link}, not Ethernet")
    scale = 1000 if magic == _MICRO else 1
    record = struct.Struct(order + "4I")
    packets = []
    offset = 24
    while offset + 16 <= len(raw):
        seconds, fraction, kept, length = record.unpack_from(raw, offset)
        offset += 16
        if offset + kept > len(raw):
            break
        packets.append(Packet(seconds * 10**9 + fraction * scale, raw[offset : offset + kept], length))
        offset += kept
    return packets


def write(path: Path, packets: Iterable[Packet], snaplen: int = 65535) -> int:
    """Write microsecond pcap, cutting packets at ``snaplen``; returns how many were written."""
    count = 0
    with path.open("wb") as handle:
        handle.write(struct.pack("<IHHiIII", _MICRO, 2, 4, 0, 0, snaplen, ETHERNET))
        for packet in packets:
            data = packet.data[:snaplen]
            seconds, rest = divmod(packet.at, 10**9)
            handle.write(struct.pack("<4I", seconds, rest // 1000, len(data), packet.length) + data)
            count += 1
    return count


def merge(captures: Iterable[list[Packet]]) -> list[Packet]:
    """One capture in order of time."""
    return sorted((packet for capture in captures for packet in capture), key=lambda packet: packet.at)


def shift(packets: Iterable[Packet], nanoseconds: int) -> Iterator[Packet]:
    return (Packet(packet.at + nanoseconds, packet.data, packet.length) for packet in packets)


def between(packets: Iterable[Packet], start: int, end: int) -> list[Packet]:
    """Packets with ``start <= at < end`` (nanoseconds)."""
    return [packet for packet in packets if start <= packet.at < end]
