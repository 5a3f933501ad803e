# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IPv4 packets as bytes, made and taken apart for the prober (RFC 791, 792, 768, 9293)."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

ICMP, TCP, UDP, GRE = 1, 6, 17, 47
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
_ICMP_ERRORS = frozenset({3, 5, 11, 12})


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _with_pseudo_header(source: str, target: str, protocol: int, segment: bytes) -> int:
    pseudo = socket.inet_aton(source) + socket.inet_aton(target) + struct.pack("!BBH", 0, protocol, len(segment))
    return checksum(pseudo + segment)


def tcp(source: str, target: str, ports: tuple[int, int], flags: int, payload: bytes = b"") -> bytes:
    def header(check: int) -> bytes:
        return struct.pack("!HHIIBBHHH", *ports, 0x1000, 0x2000 if flags & ACK else 0, 5 << 4, flags, 65535, check, 0)

    return header(_with_pseudo_header(source, target, TCP, header(0) + payload)) + payload


def udp(source: str, target: str, ports: tuple[int, int], payload: bytes) -> bytes:
    length = 8 + len(payload)
    check = _with_pseudo_header(source, target, UDP, struct.pack("!4H", *ports, length, 0) + payload) or 0xFFFF
    return struct.pack("!4H", *ports, length, check) + payload


def echo_request(identifier: int, sequence: int, payload: bytes) -> bytes:
    check = checksum(struct.pack("!BBHHH", 8, 0, 0, identifier, sequence) + payload)
    return struct.pack("!BBHHH", 8, 0, check, identifier, sequence) + payload


def ip(
    source: str, target: str, protocol: int, body: bytes, identifier: int = 0, offset: int = 0, more: bool = False
) -> bytes:
    """An IPv4 packet or fragment; ``offset`` in bytes, a multiple of 8. The kernel fills in the checksum."""
    fragment = (offset // 8) | (0x2000 if more else 0)
    addresses = socket.inet_aton(source) + socket.inet_aton(target)
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), identifier, fragment, 64, protocol, 0) + addresses + body


@dataclass(frozen=True)
class Seen:
    """One received packet: addresses, protocol and what tells conversations apart.

    ``pair`` is (source port, destination port), or (identifier, sequence) of an ICMP echo, or (0, 0).
    ``quoted`` is, for an ICMP error, the packet it complains about.
    """

    source: str
    target: str
    protocol: int
    pair: tuple[int, int]
    identifier: int
    offset: int
    more: bool
    size: int
    flags: int = 0
    icmp_type: int = -1
    quoted: Seen | None = None


def parse(packet: bytes) -> Seen | None:
    """Take an IPv4 packet apart; None when it is not one or is cut off."""
    if len(packet) < 20 or packet[0] >> 4 != 4:
        return None
    header = (packet[0] & 15) * 4
    total, identifier, fragment = struct.unpack_from("!HHH", packet, 2)
    protocol = packet[9]
    source, target = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
    offset, more = (fragment & 0x1FFF) * 8, bool(fragment & 0x2000)
    body = packet[header:]
    pair, flags, icmp_type, quoted = (0, 0), 0, -1, None
    if offset == 0:
        if protocol in (TCP, UDP) and len(body) >= 4:
            pair = struct.unpack_from("!HH", body)
            flags = body[13] if protocol == TCP and len(body) >= 14 else 0
        elif protocol == ICMP and len(body) >= 8:
            icmp_type = body[0]
            if icmp_type in (0, 8):
                pair = struct.unpack_from("!HH", body, 4)
            elif icmp_type in _ICMP_ERRORS:
                quoted = parse(body[8:])
    return Seen(source, target, protocol, pair, identifier, offset, more, total - header, flags, icmp_type, quoted)
