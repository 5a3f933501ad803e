# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One router between two ends, each in its own namespace: frames of any addresses go in at one end, what comes out is seen at the other.

Nothing here knows the collection: frames are bytes, the rules are text for ``nft``. Every frame carries a mark in its
payload, eight bytes repeated, so that a fragment shows which frame it belongs to.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import struct
import time
from collections.abc import Iterable

from ..processes import LabError, NamespaceThread, in_namespace
from . import wire
from .namespaces import Namespaces, write_sysctl
from .sockets import drain, flush_connections
from .topology import FIREWALL

CLIENT, SERVER = "cl", "sv"
ICMPV6 = 58
_MARK = re.compile(rb"SWmk(....)", re.DOTALL)
_ETHERNET = {4: 0x0800, 6: 0x86DD}
_OUTGOING = 4
_ROUTER_MACS = {CLIENT: "02:00:00:00:01:01", SERVER: "02:00:00:00:01:02"}
# Nobody owns it: a frame that the router has forwarded ends at the tap, and no host answers it.
_FAR_MAC = "02:00:00:00:00:99"


def marked(number: int, size: int = 32) -> bytes:
    """A payload of ``size`` bytes (a multiple of 8) that names frame ``number``."""
    return (b"SWmk" + struct.pack("!I", number)) * (size // 8)


def address(value: int, family: int) -> bytes:
    return value.to_bytes(4 if family == 4 else 16, "big")


def layer4(
    family: int,
    protocol: int,
    ends: tuple[int, int],
    ports: tuple[int, int],
    flags: int,
    message: tuple[int, int],
    body: bytes,
) -> bytes:
    """The layer-4 header with its checksum and the body. ``flags``: the low six TCP flag bits; ``message``: ICMP type, code."""
    pseudo = address(ends[0], family) + address(ends[1], family)
    if protocol == wire.TCP:
        head = struct.pack("!HHIIBBHHH", *ports, 0x1000, 0x1001 if flags & wire.ACK else 0, 5 << 4, flags, 65535, 0, 0)
        at = 16
    elif protocol in (wire.UDP, 136):
        head, at = struct.pack("!4H", *ports, 8 + len(body), 0), 6
    elif protocol in (33, 132):  # DCCP, SCTP: ports first; their own checksums are not looked at without tracking
        return struct.pack("!2H", *ports) + bytes(8) + body
    elif protocol in (wire.ICMP, ICMPV6):
        head, at = struct.pack("!BBHHH", *message, 0, *ports), 2
        if family == 4:
            pseudo = b""
    elif protocol == wire.GRE:
        return struct.pack("!HH", 0, 0x0800) + body
    else:
        return body
    segment = head + body
    if pseudo:
        pseudo += struct.pack("!IHBB", len(segment), 0, 0, protocol)
    check = wire.checksum(pseudo + segment) or (0xFFFF if protocol in (wire.UDP, 136) else 0)
    return segment[:at] + struct.pack("!H", check) + segment[at + 2 :]


def packets(
    family: int, protocol: int, ends: tuple[int, int], body: bytes, identifier: int, pieces: str = "whole"
) -> list[bytes]:
    """The IP packets of one datagram. ``pieces``: ``whole``; ``first`` or ``later`` (that fragment alone); ``both``."""
    cut = len(body) // 2 // 8 * 8
    parts = {"whole": [(body, 0, False)], "first": [(body[:cut], 0, True)], "later": [(body[cut:], cut, False)]}
    parts["both"] = parts["first"] + parts["later"]
    return [_ip(family, protocol, ends, part, identifier, offset, more) for part, offset, more in parts[pieces]]


def _ip(
    family: int, protocol: int, ends: tuple[int, int], body: bytes, identifier: int, offset: int, more: bool
) -> bytes:
    source, target = (address(end, family) for end in ends)
    fragment = offset // 8 | (0x2000 if more else 0)
    if family == 4:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), identifier & 0xFFFF, fragment, 64, protocol, 0)
        check = wire.checksum(head + source + target)
        return head[:10] + struct.pack("!H", check) + source + target + body
    if offset or more:  # RFC 8200 section 4.5: the fragment header, offset in the upper 13 bits
        body = struct.pack("!BBHI", protocol, 0, offset | int(more), identifier) + body
        protocol = 44
    return struct.pack("!IHBB", 6 << 28, len(body), protocol, 64) + source + target + body


class ForwardingPath:
    """client - router - server. A context manager; raises LabError where the kernel does not permit it."""

    def __init__(self) -> None:
        self.namespaces = Namespaces()
        self._taps: dict[str, socket.socket] = {}
        self._maker: NamespaceThread | None = None

    def __enter__(self) -> ForwardingPath:
        self.namespaces.create([CLIENT, FIREWALL, SERVER])
        try:
            self._connect()
        except OSError as error:
            self.__exit__()
            raise LabError(f"cannot set the router up: {error}") from error
        except LabError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_details: object) -> None:
        for tap in self._taps.values():
            tap.close()
        if self._maker is not None:
            self._maker.close()
        self.namespaces.close()

    def _connect(self) -> None:
        run = self.namespaces.run
        router = self.namespaces.holders[FIREWALL].pid
        for name, mac in _ROUTER_MACS.items():
            port = f"to-{name}"
            run(name, ["ip", "link", "add", "up0", "type", "veth", "peer", "name", port, "netns", str(router)])
            run(name, ["ip", "link", "set", "up0", "up", "arp", "off"])
            run(FIREWALL, ["ip", "link", "set", port, "address", mac])
        in_namespace(self.namespaces.descriptor(FIREWALL), _forward)
        for place, name in enumerate(_ROUTER_MACS, 1):
            port = f"to-{name}"
            run(FIREWALL, ["ip", "link", "set", port, "up"])
            run(FIREWALL, ["ip", "addr", "add", f"100.64.{place}.1/24", "dev", port])
            run(FIREWALL, ["ip", "addr", "add", f"fd64:{place}::1/64", "dev", port, "nodad"])
            for next_hop in (f"100.64.{place}.2", f"fd64:{place}::2"):
                run(FIREWALL, ["ip", "neigh", "replace", next_hop, "lladdr", _FAR_MAC, "dev", port, "nud", "permanent"])
        # What the client sends leaves at the server's side and the other way round, whatever its addresses.
        for place, name, other in ((1, CLIENT, SERVER), (2, SERVER, CLIENT)):
            hop = 3 - place
            for family, via in (("-4", f"100.64.{hop}.2"), ("-6", f"fd64:{hop}::2")):
                run(FIREWALL, ["ip", family, "rule", "add", "iif", f"to-{name}", "lookup", str(100 + place)])
                table = ["table", str(100 + place)]
                run(FIREWALL, ["ip", family, "route", "add", "default", "via", via, "dev", f"to-{other}", *table])
        self._maker = NamespaceThread(self.namespaces.descriptor(FIREWALL))
        for name in _ROUTER_MACS:
            self._taps[name] = in_namespace(self.namespaces.descriptor(name), _tap)

    def load(self, ruleset: str) -> str:
        """Replace all rules of the router, forget its connections; returns the table as the kernel lists it, in JSON."""
        run = self.namespaces.run
        run(FIREWALL, ["nft", "-f", "-"], stdin="flush ruleset\n" + ruleset)
        flush_connections(self.namespaces, self._maker)
        return run(FIREWALL, ["nft", "-j", "list", "ruleset"])

    def pass_through(
        self, sent: Iterable[tuple[int, list[bytes]]], wanted: set[int], *, sender: str = CLIENT, patience: float = 1.0
    ) -> set[int]:
        """Send the packets of each numbered frame; returns the numbers that came out at the other end.

        ``wanted`` are the numbers that are expected: waiting ends when they are there and nothing more comes, or after
        ``patience`` seconds.
        """
        receiver = SERVER if sender == CLIENT else CLIENT
        head = bytes.fromhex(_ROUTER_MACS[sender].replace(":", "")) + bytes.fromhex(_FAR_MAC.replace(":", ""))
        tap, seen = self._taps[receiver], set[int]()
        for each in self._taps.values():
            drain(each)
        for count, (_number, parts) in enumerate(sent):
            for packet in parts:
                self._taps[sender].send(head + struct.pack("!H", _ETHERNET[packet[0] >> 4]) + packet)
            if count % 64 == 63:
                _collect(tap, seen)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            ready, _, _ = select.select([tap], [], [], 0.02)
            if ready:
                _collect(tap, seen)
            elif wanted <= seen:
                break
        return seen


def _collect(tap: socket.socket, seen: set[int]) -> None:
    with contextlib.suppress(BlockingIOError):
        while True:
            data, origin = tap.recvfrom(4096)
            found = _MARK.search(data)
            if found and origin[2] != _OUTGOING:
                seen.add(int.from_bytes(found[1], "big"))


def _forward() -> None:
    for path, value in (
        ("ipv4/ip_forward", "1"),
        ("ipv4/conf/all/rp_filter", "0"),
        ("ipv4/conf/default/rp_filter", "0"),
        ("ipv4/conf/all/send_redirects", "0"),
        ("ipv6/conf/all/forwarding", "1"),
        ("ipv6/conf/default/accept_dad", "0"),
    ):
        write_sysctl(path, value)


def _tap() -> socket.socket:
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))  # ETH_P_ALL
    tap.bind(("up0", 3))
    tap.setblocking(False)
    with contextlib.suppress(OSError):
        tap.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
    return tap
