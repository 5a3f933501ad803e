# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sockets made inside a namespace, and emptying the firewall's connection table. Each call moves its thread there."""

from __future__ import annotations

import contextlib
import socket
import struct

from ..processes import NamespaceThread, enter_network
from .namespaces import Namespaces
from .topology import FIREWALL

_ETH_P_IP = 0x0800


def raw_and_tap(descriptor: int) -> tuple[socket.socket, socket.socket]:
    enter_network(descriptor)
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    raw.setblocking(False)
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP))
    tap.setblocking(False)
    with contextlib.suppress(OSError):
        tap.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
    return raw, tap


def listen(descriptor: int, kind: int, place: tuple[str, int]) -> socket.socket:
    enter_network(descriptor)
    sock = socket.socket(socket.AF_INET, kind)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1 if kind == socket.SOCK_STREAM else 0)
        sock.bind(place)
        if kind == socket.SOCK_STREAM:
            sock.listen(256)
    except OSError:
        sock.close()
        raise
    return sock


def connect(descriptor: int, source: tuple[str, int], target: tuple[str, int]) -> socket.socket:
    enter_network(descriptor)
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.bind(source)
        sock.connect_ex(target)
    except OSError:
        sock.close()
        raise
    return sock


def drain(sock: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        while True:
            sock.recv(64)


def flush_connections(namespaces: Namespaces, maker: NamespaceThread | None = None) -> None:
    """Empty the firewall's connection table (netlink: ctnetlink delete without a tuple). Silent where there is none."""
    helper = maker or NamespaceThread(namespaces.descriptor(FIREWALL))
    try:
        helper.run(lambda: _flush(namespaces.descriptor(FIREWALL)))
    finally:
        if maker is None:
            helper.close()


def _flush(descriptor: int) -> None:
    enter_network(descriptor)
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as sock,
    ):  # NETLINK_NETFILTER
        sock.settimeout(2)
        # nlmsghdr: length, type (subsystem 1 ctnetlink, message 2 delete), flags REQUEST|ACK; nfgenmsg: AF_UNSPEC
        sock.send(struct.pack("=IHHII", 20, (1 << 8) | 2, 0x1 | 0x4, 1, 0) + struct.pack("=BBH", socket.AF_INET, 0, 0))
        sock.recv(256)
