# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A UDP listener for export datagrams, bounded by time or number, that takes only what allowed sources send.

What comes is written as a capture of raw IP packets (link type 101) and read from there, so that a listener and a capture of the same
datagrams give the same records, and the input has a content hash like any other.
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

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import codes

RECEIVE_BUFFER = 32 << 20
LARGEST_DATAGRAM = 65_535
LONGEST_SECONDS = 86_400
POLL_SECONDS = 0.25
RAW_IP = 101
MOST_REFUSED = 1000
# SO_RCVBUFFORCE of Linux; only the root user may pass the system's limit with it.
FORCE = 33

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Bounds:
    """When to stop: after so many seconds (0 for none, at most a day) or so many datagrams (0 for none), whichever comes first."""

    seconds: float = 0
    datagrams: int = 0

    def check(self) -> None:
        """Raise FindingError SW1444 where nothing bounds the listening."""
        if self.seconds <= 0 and self.datagrams <= 0:
            raise FindingError(codes.LISTEN_LIMIT.at("give a number of seconds, of datagrams or both"))
        if self.seconds > LONGEST_SECONDS:
            raise FindingError(codes.LISTEN_LIMIT.at(f"at most {LONGEST_SECONDS} seconds"))


@dataclass
class Received:
    """What a listener took and refused."""

    datagrams: int = 0
    octets: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)


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
    sock: socket.socket, path: Path, allowed: Sequence[Network], bounds: Bounds, clock: Callable[[], float] = time.time
) -> Received:
    """Write the datagrams that allowed sources send to a capture file until a bound is reached; returns what came.

    The file is whole at any moment but for its last packet. The caller closes the socket.
    """
    bounds.check()
    made = Received()
    own = sock.getsockname()
    known: dict[str, bool] = {}
    end = time.monotonic() + bounds.seconds if bounds.seconds > 0 else float("inf")
    sock.settimeout(POLL_SECONDS)
    with open(path, "wb", buffering=1 << 20) as stream:
        stream.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, LARGEST_DATAGRAM + 48, RAW_IP))
        while time.monotonic() < end and not 0 < bounds.datagrams <= made.datagrams:
            try:
                payload, peer = sock.recvfrom(LARGEST_DATAGRAM)
            except TimeoutError:
                stream.flush()
                continue
            source = peer[0].split("%", maxsplit=1)[0]
            good = known.get(source)
            if good is None:
                address = ipaddress.ip_address(source)
                good = any(address in network for network in allowed)
                if len(known) < MOST_REFUSED:
                    known[source] = good
            if not good:
                if len(made.refused) < MOST_REFUSED or source in made.refused:
                    made.refused[source] += 1
                continue
            packet = raw_packet(source, peer[1], own[0], own[1], payload)
            seconds, fraction = divmod(int(clock() * 1_000_000), 1_000_000)
            stream.write(struct.pack("<IIII", seconds, fraction, len(packet), len(packet)))
            stream.write(packet)
            made.datagrams += 1
            made.octets += len(payload)
            made.sources[source] += 1
    for source, count in sorted(made.refused.items())[:20]:
        made.findings.append(codes.LISTEN_REFUSED.at(f"{count} datagrams from {source} were refused"))
    if not made.datagrams:
        made.findings.append(codes.LISTEN_NOTHING.at("no datagram came from an allowed source"))
    return made


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
