# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A UDP listener for export datagrams, bounded by time or number, that takes only what allowed sources send.

What comes is written as a capture of raw IP packets (link type 101) and read from there, so that a listener and a capture of the same
datagrams give the same records, and the input has a content hash like any other. A file of ``SEGMENT_OCTETS`` is handed over to be imported
while the next is written. Where imports do not keep up and the spool is full, datagrams are discarded and counted until there is room.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import codes

RECEIVE_BUFFER = 32 << 20
LARGEST_DATAGRAM = 65_535
LONGEST_SECONDS = 86_400
POLL_SECONDS = 0.25
RAW_IP = 101
MOST_REFUSED = 1000
MOST_PEERS = 65_536
RECORD = struct.Struct("<IIII")
HEADER = struct.Struct("<IHHiIII")
SEGMENT_OCTETS = 256 << 20
# SO_MEMINFO of Linux: nine numbers, the last of them what was dropped.
MEMORY_INFORMATION = 55
# SO_RCVBUFFORCE of Linux; only the root user may pass the system's limit with it.
FORCE = 33

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Bounds:
    """When to stop: after so many seconds (0 for none, at most a day) or datagrams (0 for none), whichever comes first.

    ``octets`` is what the spool may hold; ``segment`` the size of a file that is handed over (0: ``SEGMENT_OCTETS``).
    """

    seconds: float = 0
    datagrams: int = 0
    octets: int = 8 << 30
    segment: int = 0

    def check(self) -> None:
        """Raise FindingError SW1444 where nothing bounds the listening."""
        if self.seconds <= 0 and self.datagrams <= 0:
            raise FindingError(codes.LISTEN_LIMIT.at("give a number of seconds, of datagrams or both"))
        if self.datagrams < 0:
            raise FindingError(codes.LISTEN_LIMIT.at(f"{self.datagrams} datagrams"))
        if self.seconds > LONGEST_SECONDS:
            raise FindingError(codes.LISTEN_LIMIT.at(f"at most {LONGEST_SECONDS} seconds"))


@dataclass
class Received:
    """What a listener took and refused: ``lost`` by the system since its buffer was full, ``discarded`` here since the spool was.

    ``files`` are those of the spool that were not handed over.
    """

    datagrams: int = 0
    octets: int = 0
    lost: int = 0
    discarded: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)


class HandOver(Protocol):
    """Takes finished files of the spool and says how many octets of them still wait there."""

    def take(self, path: Path, octets: int) -> None:
        """Take a file; returns at once."""

    def waiting(self) -> int:
        """Return how many octets are not imported yet."""


def networks_of(values: Sequence[str]) -> list[Network]:
    """Return the allowed sources; raises ValueError for text that is no address or network, and for none at all."""
    if not values:
        raise ValueError("no source is allowed, so nothing could be received")
    return [ipaddress.ip_network(each, strict=False) for each in values]


def open_socket(address: str, port: int) -> socket.socket:
    """Return a bound UDP socket with a large receive buffer; raises FindingError SW1442."""
    try:
        parsed = ipaddress.ip_address(address)
        made = socket.socket(socket.AF_INET6 if parsed.version == 6 else socket.AF_INET, socket.SOCK_DGRAM)
    except (ValueError, OSError) as error:
        raise FindingError(codes.LISTEN_BIND.at(f"{address} port {port}: {error}")) from error
    try:
        try:
            made.setsockopt(socket.SOL_SOCKET, FORCE, RECEIVE_BUFFER)
        except OSError:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        made.bind((address, port))
    except (OSError, OverflowError) as error:
        made.close()
        raise FindingError(codes.LISTEN_BIND.at(f"{address} port {port}: {error}")) from error
    return made


def listen(
    sock: socket.socket,
    path: Path,
    allowed: Sequence[Network],
    bounds: Bounds,
    clock: Callable[[], float] = time.time,
    hand_over: HandOver | None = None,
) -> Received:
    """Write the datagrams that allowed sources send to capture files until a bound is reached; returns what came.

    A file is whole at any moment but for its last packet. Without ``hand_over`` there is one, and listening ends when the spool is full.
    The caller closes the socket.
    """
    bounds.check()
    made = Received()
    own = sock.getsockname()
    peers: dict[tuple[str, int], _Peer] = {}
    end = time.monotonic() + bounds.seconds if bounds.seconds > 0 else float("inf")
    # One system call for each datagram: Python's own timeouts ask first whether there is one.
    sock.settimeout(None)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", 0, int(POLL_SECONDS * 1_000_000)))
    drops = _dropped(sock)
    buffer = bytearray(LARGEST_DATAGRAM)
    view = memoryview(buffer)
    receive, pack = sock.recvfrom_into, RECORD.pack
    spool = _Spool(path, bounds, hand_over)
    with spool:
        write, room = spool.write, spool.room()
        while not 0 < bounds.datagrams <= made.datagrams and (hand_over or room > 0):
            try:
                size, address = receive(buffer)
            except (BlockingIOError, InterruptedError):
                spool.flush()
                if time.monotonic() >= end:
                    break
                continue
            if time.monotonic() >= end:
                break
            peer = peers.get(address)
            if peer is None:
                peer = _peer(address, own, allowed)
                if len(peers) < MOST_PEERS:
                    peers[address] = peer
            if not peer.allowed:
                if len(made.refused) < MOST_REFUSED or peer.name in made.refused:
                    made.refused[peer.name] += 1
                else:
                    made.refused["others"] += 1
                continue
            if room <= 0:
                room, write = spool.turned(), spool.write
                if room <= 0:
                    made.discarded += 1
                    continue
            seconds, fraction = divmod(int(clock() * 1_000_000), 1_000_000)
            packet = peer.overhead + size
            write(pack(seconds, fraction, packet, packet))
            write(peer.header(size))
            write(view[:size])
            made.datagrams += 1
            room -= packet + 16
            made.octets += size
            peer.datagrams += 1
            if peer.datagrams == 1 and address not in peers:
                made.sources[peer.name] += 1
    for peer in peers.values():
        if peer.datagrams:
            made.sources[peer.name] += peer.datagrams
    made.lost = max(0, _dropped(sock) - drops)
    for source, count in sorted(made.refused.items())[:20]:
        made.findings.append(codes.LISTEN_REFUSED.at(f"{count} datagrams from {source} were refused"))
    if made.lost:
        made.findings.append(
            codes.LISTEN_LOST.at(f"the system dropped {made.lost} datagrams since its buffer was full")
        )
    made.files = [spool.path]
    if made.discarded:
        text = f"{made.discarded} datagrams were discarded since {bounds.octets} octets waited to be imported"
        made.findings.append(codes.LISTEN_FULL.at(text))
    elif not hand_over and room <= 0:
        made.findings.append(codes.LISTEN_FULL.at(f"listening ended after {bounds.octets} octets"))
    if not made.datagrams:
        made.findings.append(codes.LISTEN_NOTHING.at("no datagram came from an allowed source"))
    return made


class _Spool:
    """The file being written, and the next when it is full and may be handed over."""

    def __init__(self, path: Path, bounds: Bounds, hand_over: HandOver | None) -> None:
        self.path, self.bounds, self.hand_over = path, bounds, hand_over
        self._first, self._number = path, 0
        self._open()

    def __enter__(self) -> _Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def flush(self) -> None:
        """Write what is buffered."""
        self._stream.flush()

    def room(self) -> int:
        """Return how many octets the file may take before the next call of ``turned``."""
        if self.hand_over is None:
            return self.bounds.octets
        return min(self.bounds.segment or SEGMENT_OCTETS, self.bounds.octets - self.hand_over.waiting())

    def turned(self) -> int:
        """Hand the file over and begin the next; returns its room, 0 where the spool is full. ``write`` is another function then."""
        if self.hand_over is None or self.room() <= 0:
            return 0
        if self._stream.tell() > HEADER.size:
            self._stream.close()
            self.hand_over.take(self.path, self.path.stat().st_size)
            self._number += 1
            self.path = self._first.with_name(f"{self._first.stem}-{self._number}{self._first.suffix}")
            self._open()
        return max(0, self.room())

    def _open(self) -> None:
        self._stream = open(self.path, "wb", buffering=1 << 20)  # noqa: SIM115 (closed by turned and __exit__)
        self._stream.write(HEADER.pack(0xA1B2C3D4, 2, 4, 0, 0, LARGEST_DATAGRAM + 48, RAW_IP))
        self.write = self._stream.write


@dataclass
class _Peer:
    """A sender: whether it is allowed, and what stands before its datagrams in the capture."""

    name: str
    allowed: bool
    overhead: int = 28
    before: bytes = b""
    after: bytes = b""
    datagrams: int = 0

    def header(self, size: int) -> bytes:
        """Return the IP and UDP headers of a datagram."""
        length = min(8 + size, 65_535)
        whole = min(length + 20, 65_535) if self.overhead == 28 else length
        return self.before + whole.to_bytes(2, "big") + self.after + length.to_bytes(2, "big") + b"\0\0"


def _peer(address: tuple[Any, ...], own: tuple[Any, ...], allowed: Sequence[Network]) -> _Peer:
    name = str(address[0]).split("%", maxsplit=1)[0]
    source = ipaddress.ip_address(name)
    if source.version == 6 and source.ipv4_mapped is not None:
        # A socket of both families names an IPv4 exporter so; its own address is what users allow and see.
        source = source.ipv4_mapped
        name = str(source)
    if not any(source in network for network in allowed):
        return _Peer(name, allowed=False)
    packet = raw_packet(name, address[1], str(own[0]), own[1], b"")
    split = 2 if source.version == 4 else 4
    return _Peer(name, True, len(packet), packet[:split], packet[split + 2 : -4])


def _dropped(sock: socket.socket) -> int:
    """Return how many datagrams the system has dropped at a socket, 0 where it does not tell (Linux before 4.12)."""
    try:
        values = sock.getsockopt(socket.SOL_SOCKET, MEMORY_INFORMATION, 36)
    except OSError:
        return 0
    return int(struct.unpack("@9I", values)[8]) if len(values) >= 36 else 0


def raw_packet(source: str, source_port: int, target: str, target_port: int, payload: bytes) -> bytes:
    """Return an IP packet with a UDP datagram, without checksums, as a capture holds it."""
    one, other = ipaddress.ip_address(source), ipaddress.ip_address(target)
    if one.version != other.version:
        other = ipaddress.ip_address("0.0.0.0" if one.version == 4 else "::")  # noqa: S104 (nothing is bound)
    length = min(8 + len(payload), 65_535)
    datagram = struct.pack(">HHHH", source_port, target_port, length, 0) + payload
    if one.version == 4:
        total = min(20 + len(datagram), 65_535)
        return struct.pack(">BBHHHBBH4s4s", 0x45, 0, total, 0, 0, 64, 17, 0, one.packed, other.packed) + datagram
    return struct.pack(">IHBB16s16s", 6 << 28, min(len(datagram), 65_535), 17, 64, one.packed, other.packed) + datagram
