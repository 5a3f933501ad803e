"""Hand-made captures for tests: Ethernet frames with IPv4 or IPv6 and TCP, UDP or ICMP, byte by byte."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable
from pathlib import Path

SYN, ACK, FIN, RST, PUSH = 2, 16, 1, 4, 8


def ip(
    source: str, target: str, protocol: int, payload: bytes, fragment: int = 0, more: bool = False, ident: int = 1
) -> bytes:
    """Return an IP packet. ``fragment`` is the offset in units of 8 octets."""
    one, other = ipaddress.ip_address(source), ipaddress.ip_address(target)
    if one.version == 6:
        if fragment or more:
            payload = struct.pack(">BBHI", protocol, 0, fragment << 3 | more, ident) + payload
            protocol = 44
        return struct.pack(">IHBB", 6 << 28, len(payload), protocol, 64) + one.packed + other.packed + payload
    flags = fragment | (0x2000 if more else 0)
    return (
        struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), ident, flags, 64, protocol, 0)
        + one.packed
        + other.packed
        + payload
    )


def tcp(
    source: str, source_port: int, target: str, target_port: int, flags: int, sequence: int = 1, data: bytes = b""
) -> bytes:
    return ip(
        source,
        target,
        6,
        struct.pack(">HHIIBBHHH", source_port, target_port, sequence, 0, 0x50, flags, 1024, 0, 0) + data,
    )


def udp(source: str, source_port: int, target: str, target_port: int, data: bytes = b"x") -> bytes:
    return ip(source, target, 17, struct.pack(">HHHH", source_port, target_port, 8 + len(data), 0) + data)


def icmp(source: str, target: str, kind: int, code: int = 0) -> bytes:
    return ip(source, target, 58 if ":" in source else 1, struct.pack(">BBHI", kind, code, 0, 0))


def frame(packet: bytes, broadcast: bool = False, vlans: Iterable[int] = ()) -> bytes:
    kind = 0x86DD if packet[0] >> 4 == 6 else 0x0800
    tags = b"".join(struct.pack(">HH", 0x8100, each) for each in vlans)
    return (
        (b"\xff" * 6 if broadcast else b"\x02\0\0\0\0\x02")
        + b"\x02\0\0\0\0\x01"
        + tags
        + struct.pack(">H", kind)
        + packet
    )


def write(path: Path, frames: Iterable[tuple[float, bytes]]) -> Path:
    """Write a pcap of (seconds, frame)."""
    with path.open("wb") as stream:
        stream.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for moment, each in frames:
            micros = round(moment * 1_000_000)
            stream.write(struct.pack("<IIII", micros // 1_000_000, micros % 1_000_000, len(each), len(each)) + each)
    return path


def session(
    moment: float, client: str, client_port: int, server: str, server_port: int, sequence: int = 1
) -> list[tuple[float, bytes]]:
    """Return the frames of a short TCP session."""
    there = (client, client_port, server, server_port)
    back = (server, server_port, client, client_port)
    return [
        (moment, frame(tcp(*there, SYN, sequence))),
        (moment + 0.001, frame(tcp(*back, SYN | ACK, sequence + 7))),
        (moment + 0.002, frame(tcp(*there, ACK, sequence + 1))),
        (moment + 0.003, frame(tcp(*there, ACK | PUSH, sequence + 1, b"hello"))),
        (moment + 0.004, frame(tcp(*back, ACK | FIN, sequence + 8, b"world"))),
        (moment + 0.005, frame(tcp(*there, ACK | FIN, sequence + 6))),
    ]
