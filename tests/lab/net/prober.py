# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends probes between any two namespaces of the lab and says which arrived and which were answered.

One process, one poll loop. A packet socket in each destination's namespace sees what reaches that host's interface,
before anything on the host could drop it; so ``delivered`` speaks of the network alone. Only the firewall's own namespace
is different: there a packet socket sees packets before the input chain, so ask for ``answered`` when ``fw1`` is the server.
"""

from __future__ import annotations

import contextlib
import json
import random
import select
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..description import Hospital, load_hospital
from ..places import Places
from ..processes import LabError, NamespaceThread
from . import sockets, wire
from .namespaces import Namespaces
from .topology import CONTROLLER, FIREWALL

KINDS = ("open", "syn", "ack", "udp_from_service", "fragment", "fragment_tail", "icmp", "proto")
PROTOCOLS = {"icmp": wire.ICMP, "tcp": wire.TCP, "udp": wire.UDP, "gre": wire.GRE, "sctp": 132, "esp": 50}
_OUTGOING = 4
# Client ports of probes lie below the kernel's ephemeral range, so that they never meet a program's own.
_PORTS = (20000, 32000)


@dataclass(frozen=True)
class Probe:
    """One question to the network: may ``client`` send this to ``server``?

    kind: ``open`` (TCP connect, UDP datagram), ``syn`` (half-open), ``ack`` (forged ACK of no connection),
    ``udp_from_service`` (datagram out of a service port), ``fragment`` (UDP in two fragments), ``fragment_tail`` (only
    the second one), ``icmp`` (echo), ``proto`` (an IP protocol without ports). ``client_port`` None: a fresh one.
    ``permitted``: what the asker expects, None when either is fine.
    """

    client: str
    server: str
    protocol: str
    server_port: int = 0
    client_port: int | None = None
    kind: str = "open"
    purpose: str = ""
    permitted: bool | None = None

    def text(self) -> str:
        source = self.client + (f":{self.client_port}" if self.client_port else "")
        target = self.server + (f":{self.server_port}" if self.server_port else "")
        return f"{source} -> {target} {self.protocol} {self.kind}" + (f" ({self.purpose})" if self.purpose else "")


@dataclass(frozen=True)
class Result:
    """``delivered``: all of it reached the server's interface. ``partly``: some of it did. ``answered``: the server's
    answer reached the client. ``rejected``: somebody else on the way refused it (ICMP error)."""

    probe: Probe
    delivered: bool
    answered: bool
    rejected: bool
    partly: bool
    client_port: int

    @property
    def as_expected(self) -> bool:
        return self.probe.permitted is None or self.probe.permitted == self.delivered


@dataclass
class _Running:
    probe: Probe
    number: int
    source: str
    target: str
    protocol: int
    pair: tuple[int, int]
    identifier: int
    size: int = 0
    pieces: dict[int, int] = field(default_factory=dict)
    answered: bool = False
    rejected: bool = False

    @property
    def delivered(self) -> bool:
        return bool(self.pieces) and sum(self.pieces.values()) >= self.size

    def conversation(self) -> tuple[int, frozenset[tuple[str, int]]]:
        """What a stateful firewall takes for one connection, whichever side speaks."""
        ends = self.pair if self.protocol in (wire.TCP, wire.UDP) else (self.pair[0], self.pair[0])
        return self.protocol, frozenset({(self.source, ends[0]), (self.target, ends[1])})


class Prober:
    """Holds one raw and one packet socket per namespace; use as a context manager."""

    def __init__(self, namespaces: Namespaces, hospital: Hospital | None = None) -> None:
        self.namespaces = namespaces
        self.hospital = hospital or load_hospital()
        self._raw: dict[str, socket.socket] = {}
        self._taps: dict[str, socket.socket] = {}
        self._next = random.randrange(*_PORTS)
        self._maker = NamespaceThread(namespaces.descriptor(CONTROLLER))

    @classmethod
    def attach(cls, places: Places | None = None) -> Prober:
        """A prober for the lab that is running as instance ``places``; raises LabError when it is not."""
        places = places or Places.of()
        try:
            state = json.loads(places.state.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise LabError(f"lab {places.lab_id} is not running (no {places.state.name})") from None
        if not state.get("namespaces"):
            raise LabError(f"lab {places.lab_id} runs without network namespaces")
        return cls(Namespaces.attach(state))

    def __enter__(self) -> Prober:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for sock in (*self._raw.values(), *self._taps.values()):
            sock.close()
        self._maker.close()

    def place(self, name: str) -> tuple[str, str]:
        """(namespace, address) of a host, of ``fw1`` or of ``controller``."""
        if name == "fw1":
            return FIREWALL, self.hospital.firewall
        if name == "controller":
            return CONTROLLER, self.hospital.controller
        try:
            return name, self.hospital.hosts[name].address
        except KeyError:
            raise LabError(f"unknown host {name!r}") from None

    def probe(self, probes: Sequence[Probe], timeout: float = 0.5, flush: bool = True) -> list[Result]:
        """Send every probe and wait ``timeout`` seconds; results in the order given.

        Probes that a stateful firewall would take for one connection go into separate rounds. ``flush`` empties the
        firewall's connection table before each round, so that an answer never rides on an earlier probe.
        """
        waiting = [self._running(number, each) for number, each in enumerate(probes)]
        self._open(waiting)
        results: dict[int, Result] = {}
        while waiting:
            taken: set[object] = set()
            round_: list[_Running] = []
            later: list[_Running] = []
            for each in waiting:
                key = each.conversation()
                (later if key in taken else round_).append(each)
                taken.add(key)
            if flush:
                sockets.flush_connections(self.namespaces, self._maker)
            self._round(round_, timeout)
            for each in round_:
                results[each.number] = Result(
                    each.probe, each.delivered, each.answered, each.rejected, bool(each.pieces), each.pair[0]
                )
            waiting = later
        return [results[number] for number in range(len(probes))]

    def _running(self, number: int, each: Probe) -> _Running:
        if each.kind not in KINDS:
            raise LabError(f"unknown kind of probe {each.kind!r}")
        protocol = int(each.protocol) if each.protocol.isdigit() else PROTOCOLS.get(each.protocol, -1)
        if protocol < 0:
            raise LabError(f"unknown protocol {each.protocol!r}")
        if each.client == each.server:
            raise LabError(f"probe from {each.client} to itself")
        self._next = self._next + 1 if self._next + 1 < _PORTS[1] else _PORTS[0]
        pair = (each.client_port or self._next, each.server_port)
        if each.kind == "icmp":
            pair = (self._next, 1)
        elif protocol not in (wire.TCP, wire.UDP):
            pair = (0, 0)
        source, target = self.place(each.client)[1], self.place(each.server)[1]
        return _Running(each, number, source, target, protocol, pair, identifier=self._next)

    def _open(self, running: Iterable[_Running]) -> None:
        names = {self.place(name)[0] for each in running for name in (each.probe.client, each.probe.server)}
        for name in sorted(names - set(self._raw)):
            descriptor = self.namespaces.descriptor(name)
            self._raw[name], self._taps[name] = self._maker.run(lambda fd=descriptor: sockets.raw_and_tap(fd))  # type: ignore[misc]

    def _listeners(self, running: Iterable[_Running]) -> dict[int, socket.socket]:
        """TCP listeners and UDP echoes where no program listens; the UDP ones are returned for the loop to serve."""
        wanted = {
            (self.place(each.probe.server)[0], each.target, each.protocol, each.pair[1])
            for each in running
            if each.protocol in (wire.TCP, wire.UDP)
            and each.probe.kind != "fragment_tail"
            and each.probe.server != "fw1"
        }
        found: dict[int, socket.socket] = {}
        for name, address, protocol, port in sorted(wanted):
            kind = socket.SOCK_STREAM if protocol == wire.TCP else socket.SOCK_DGRAM
            descriptor = self.namespaces.descriptor(name)
            with contextlib.suppress(OSError):  # in use: one of the hospital's programs listens there
                sock = self._maker.run(lambda fd=descriptor, k=kind, at=(address, port): sockets.listen(fd, k, at))  # type: ignore[misc]
                found[sock.fileno()] = sock
        return found

    def _round(self, running: list[_Running], timeout: float) -> None:
        index = _Index(running, self)
        listeners = self._listeners(running)
        connections: list[socket.socket] = []
        poll = select.poll()
        for tap in self._taps.values():
            sockets.drain(tap)
            poll.register(tap.fileno(), select.POLLIN)
        for number, sock in listeners.items():
            if sock.type == socket.SOCK_DGRAM:
                poll.register(number, select.POLLIN)
        taps = {tap.fileno(): (name, tap) for name, tap in self._taps.items()}
        try:
            for count, each in enumerate(running):
                connections += self._send(each)
                if count % 64 == 63:
                    self._serve(poll, taps, listeners, index, 0)
            deadline = time.monotonic() + timeout
            while (left := deadline - time.monotonic()) > 0:
                self._serve(poll, taps, listeners, index, left)
        finally:
            for sock in (*connections, *listeners.values()):
                sock.close()

    def _serve(
        self,
        poll: select.poll,
        taps: dict[int, tuple[str, socket.socket]],
        listeners: dict[int, socket.socket],
        index: _Index,
        wait: float,
    ) -> None:
        for number, _ in poll.poll(wait * 1000):
            if number in taps:
                name, tap = taps[number]
                with contextlib.suppress(BlockingIOError):
                    while True:
                        data, origin = tap.recvfrom(2048)
                        if origin[2] != _OUTGOING:
                            index.note(name, data)
            else:
                with contextlib.suppress(OSError):
                    data, origin = listeners[number].recvfrom(2048)
                    listeners[number].sendto(data, origin)

    def _send(self, each: _Running) -> list[socket.socket]:
        probe, name = each.probe, self.place(each.probe.client)[0]
        source, target = each.source, each.target
        payload = b"segwright-probe-" + each.identifier.to_bytes(2, "big")
        packets: list[bytes] = []
        if probe.kind == "open" and each.protocol == wire.TCP:
            descriptor = self.namespaces.descriptor(name)
            with contextlib.suppress(OSError):  # the client port is in use there: a raw SYN asks the same
                return [
                    self._maker.run(lambda: sockets.connect(descriptor, (source, each.pair[0]), (target, each.pair[1])))
                ]
        if probe.kind == "icmp" or each.protocol == wire.ICMP:
            packets.append(wire.ip(source, target, wire.ICMP, wire.echo_request(*each.pair, payload), each.identifier))
        elif probe.kind in ("fragment", "fragment_tail"):
            whole = wire.udp(source, target, each.pair, payload.ljust(64, b"."))
            tail = wire.ip(source, target, wire.UDP, whole[32:], each.identifier, 32)
            head = wire.ip(source, target, wire.UDP, whole[:32], each.identifier, 0, True)
            packets += [head, tail] if probe.kind == "fragment" else [tail]
        elif each.protocol == wire.TCP:
            flags = wire.ACK if probe.kind == "ack" else wire.SYN
            packets.append(
                wire.ip(source, target, wire.TCP, wire.tcp(source, target, each.pair, flags), each.identifier)
            )
        elif each.protocol == wire.UDP:
            packets.append(
                wire.ip(source, target, wire.UDP, wire.udp(source, target, each.pair, payload), each.identifier)
            )
        else:
            packets.append(wire.ip(source, target, each.protocol, payload.ljust(32, b"."), each.identifier))
        each.size = sum(len(packet) - 20 for packet in packets)
        for packet in packets:
            with contextlib.suppress(OSError):
                self._raw[name].sendto(packet, (target, 0))
        return []


class _Index:
    """Finds the probe a received packet belongs to."""

    def __init__(self, running: Iterable[_Running], prober: Prober) -> None:
        self._forward: dict[tuple[object, ...], _Running] = {}
        self._fragments: dict[tuple[object, ...], _Running] = {}
        self._backward: dict[tuple[object, ...], _Running] = {}
        self._quoted: dict[tuple[object, ...], _Running] = {}
        for each in running:
            client, server = prober.place(each.probe.client)[0], prober.place(each.probe.server)[0]
            path = (each.source, each.target, each.protocol)
            if each.probe.kind.startswith("fragment"):
                self._fragments[(server, *path, each.identifier)] = each
            else:
                self._forward[(server, *path, each.pair)] = each
            answer = each.pair if each.protocol == wire.ICMP else each.pair[::-1]
            self._backward[(client, each.target, each.source, each.protocol, answer)] = each
            self._quoted[(client, *path, each.pair)] = each

    def note(self, name: str, data: bytes) -> None:
        seen = wire.parse(data)
        if seen is None:
            return
        path = (name, seen.source, seen.target, seen.protocol)
        each = self._fragments.get((*path, seen.identifier))
        if each is not None and seen.offset == 0 and seen.pair != each.pair:
            each = None  # an echo of another probe, to which the kernel gave the same identification
        if each is None and seen.offset == 0 and seen.icmp_type in (-1, 8):
            each = self._forward.get((*path, seen.pair))
        if each is not None:
            each.pieces[seen.offset] = max(seen.size, 1)
            return
        if seen.quoted is not None:
            quoted = seen.quoted
            each = self._quoted.get((name, quoted.source, quoted.target, quoted.protocol, quoted.pair))
            if each is not None:
                if seen.source == each.target:
                    each.answered = True
                else:
                    each.rejected = True
        elif seen.icmp_type != 8:
            each = self._backward.get((*path, seen.pair))
            if each is not None:
                each.answered = True


def probe(probes: Sequence[Probe], places: Places | None = None, timeout: float = 0.5) -> list[Result]:
    """Probe the running lab (instance by SEGWRIGHT_LAB_ID or ``places``); results in the order given."""
    with Prober.attach(places) as prober:
        return prober.probe(probes, timeout)
