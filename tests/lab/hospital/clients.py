# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices' side of every legitimate conversation, and the infected camera's scan.

The generator writes down each conversation when it opens it, with the client port its own socket has. That record is
the ground truth a recording is judged by; nothing in it is derived from captured packets.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..description import Conversation, Hospital
from ..net.namespaces import Namespaces
from ..processes import spawn
from . import infrastructure
from .servers import Servers, find_daemon


@dataclass
class GroundTruth:
    """Every conversation opened, in order of time."""

    hospital: Hospital
    entries: list[dict[str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(
        self, at: float, client: str, server: str, protocol: str, ports: tuple[int | None, int], **more: Any
    ) -> None:
        hosts = self.hospital.hosts
        entry = {
            "time": round(at, 6),
            "client": client,
            "client_address": hosts[client].address if client in hosts else None,
            "server": server,
            "server_address": hosts[server].address if server in hosts else server,
            "protocol": protocol,
            "client_port": ports[0],
            "server_port": ports[1],
            **more,
        }
        with self._lock:
            self.entries.append(entry)

    def fail(self, text: str) -> None:
        with self._lock:
            self.failures.append(text)

    def sorted(self) -> list[dict[str, Any]]:
        return sorted(self.entries, key=lambda each: (each["time"], each["client"], each["server_port"]))


class Player:
    """Runs sessions of all clients at once, one thread per client inside that client's namespace."""

    def __init__(self, hospital: Hospital, namespaces: Namespaces, servers: Servers, seed: int = 2026) -> None:
        self.hospital = hospital
        self.namespaces = namespaces
        self.servers = servers
        self.truth = GroundTruth(hospital)
        self.seed = seed
        self._stopping = threading.Event()

    def routine(self, sessions: int, seconds: float) -> None:
        """``sessions`` of each legitimate conversation per client-server pair, spread over about ``seconds``."""
        clients = sorted({name for each in self.hospital.conversations for name in each.clients})
        threads = [
            threading.Thread(target=self._client, args=(name, sessions, seconds), daemon=True) for name in clients
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(seconds * 3 + 60)
            if thread.is_alive():
                self.truth.fail(f"a client did not end within {seconds * 3 + 60:.0f} s")

    def stop(self) -> None:
        """Ask the clients to end after the session they are in."""
        self._stopping.set()

    def _client(self, name: str, sessions: int, seconds: float) -> None:
        from ..processes import enter_network

        enter_network(self.namespaces.descriptor(name))
        chance = random.Random(f"{self.seed}/{name}")
        agenda: list[tuple[float, Conversation, str]] = []
        for each in self.hospital.conversations:
            if name not in each.clients:
                continue
            # One DHCP exchange per day is what a device does; everything else comes again and again.
            count = 1 if each.via == "dhcp" else sessions
            for server in each.servers:
                for number in range(count):
                    share = 0.0 if each.via == "dhcp" else (number + chance.random()) / count
                    agenda.append((share * seconds, each, server))
        agenda.sort(key=lambda item: (item[0], item[1].id, item[2]))
        began = time.monotonic()
        for due, each, server in agenda:
            if self._stopping.wait(max(0.0, began + due - time.monotonic())):
                return
            try:
                self._speak(each, name, server, chance)
            except (OSError, ValueError) as error:
                self.truth.fail(f"{each.id}: {name} to {server}: {error}")

    def _speak(self, each: Conversation, client: str, server: str, chance: random.Random) -> None:
        place = (self.hospital.hosts[server].address, each.port)
        opened = time.time()
        port: int | None = each.client_port
        more: dict[str, Any] = {}
        if each.via == "dns":
            port = infrastructure.ask_name(
                place, f"{chance.choice(sorted(self.hospital.hosts))}.{infrastructure.DOMAIN}"
            )
        elif each.via == "ntp":
            port = infrastructure.ask_time(place)
        elif each.via == "dhcp":
            self._lease(client)
            more["relayed_by"] = "fw1"
        elif each.via == "mqtt":
            port = _publish(place, client, chance)
        elif each.via == "mllp":
            port = _send_results(place, client, chance)
        elif each.via == "dicom":
            from . import dicom

            if each.id == "storage-commitment":
                port = dicom.report_commitment(place)
            else:
                port = dicom.store(place, client.upper(), chance.randint(1, 3))
        elif each.via == "modbus":
            from . import building

            port = building.read_modbus(place, chance.randint(3, 6), _pause(chance, 0.2))
        elif each.via == "bacnet":
            from . import building

            building.read_bacnet(self.servers.bacnet[client], place[0], chance.randint(2, 4), _pause(chance, 0.2))
        elif each.via == "https":
            from .web import Certificates, upload

            context = Certificates.trust(self.servers.directory / "hospital-ca.pem")
            sizes = [0, 1500] if each.service == "vendor-support" else [chance.randint(4000, 24000) for _ in range(2)]
            port = upload(place, context, sizes)
        more |= {"service": each.service, "conversation": each.id, "legitimate": True}
        self.truth.add(opened, client, server, each.protocol, (port, each.port), **more)

    def _lease(self, client: str) -> None:
        """A full exchange through the relay, a renewal straight to the server, then the client goes."""
        arguments = infrastructure.lease_client(self.servers.directory, client)
        program = find_daemon(arguments[0])
        assert program is not None
        path = self.servers.directory / f"udhcpc-{client}.log"
        # udhcpc listens below IP, yet the hosts have their addresses already: without a socket on port 68 the kernel
        # would answer each reply with "port unreachable", which no real device does.
        holder = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("0.0.0.0", 68))
        with path.open("wb") as handle:
            child = spawn([program, *arguments[1:]], namespace=self.namespaces.descriptor(client), log=handle)
        try:
            _wait_for(path, b"lease of", child, 8)
            time.sleep(0.5)
            holder.close()
            child.send_signal(signal.SIGUSR1)
            _wait_for(path, b"lease of", child, 5, times=2)
        finally:
            holder.close()
            child.terminate()
            child.wait(3)

    def scan(self, patience: float = 0.25) -> None:
        """The camera's connect scan over hosts and ports of the description, each attempt once, bounded."""
        thread = threading.Thread(target=self._scan, args=(patience,), daemon=True)
        thread.start()
        thread.join(60)

    def _scan(self, patience: float) -> None:
        from ..processes import enter_network

        scan = self.hospital.scan
        enter_network(self.namespaces.descriptor(scan.source))
        targets = [
            host for host in self.hospital.hosts.values() if host.subnet in scan.subnets and host.name != scan.source
        ]
        for host in targets:
            waiting: dict[int, socket.socket] = {}
            for port in scan.ports:
                sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
                opened = time.time()
                result = sock.connect_ex((host.address, port))
                if result in (0, errno.EINPROGRESS):
                    local = sock.getsockname()[1]
                    self.truth.add(
                        opened,
                        scan.source,
                        host.name,
                        "tcp",
                        (local, port),
                        service="scan",
                        conversation="scan",
                        legitimate=False,
                    )
                    waiting[sock.fileno()] = sock
                else:
                    sock.close()
            _drain(waiting, patience)
            time.sleep(0.05)


def _drain(waiting: dict[int, socket.socket], patience: float) -> None:
    poll = select.poll()
    for number in waiting:
        poll.register(number, select.POLLOUT)
    deadline = time.monotonic() + patience
    pending = set(waiting)
    while pending and (left := deadline - time.monotonic()) > 0:
        for number, _ in poll.poll(left * 1000):
            poll.unregister(number)
            pending.discard(number)
    for sock in waiting.values():
        sock.close()


def _pause(chance: random.Random, longest: float) -> Callable[[], None]:
    return lambda: time.sleep(chance.random() * longest)


def _wait_for(path: Path, text: bytes, child: subprocess.Popen[bytes], patience: float, times: int = 1) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if path.read_bytes().count(text) >= times:
            return
        if child.poll() is not None:
            break
        time.sleep(0.05)
    raise ValueError(f"no lease: {path.read_bytes()[-200:].decode(errors='replace')}")


def _send_results(server: tuple[str, int], client: str, chance: random.Random) -> int:
    from .mllp import result_message, send

    with socket.create_connection(server, timeout=5) as connection:
        port: int = connection.getsockname()[1]
        for number in range(chance.randint(1, 4)):
            values = {
                "8867-4^Heart rate^LN": str(chance.randint(55, 110)),
                "59408-5^SpO2^LN": str(chance.randint(92, 100)),
            }
            send(connection, result_message(client.upper(), f"{client}-{os.getpid()}-{number}", values))
            time.sleep(chance.random() * 0.3)
    return port


def _publish(server: tuple[str, int], client: str, chance: random.Random) -> int:
    """One MQTT session of the real client library: telemetry with QoS 1, a few messages."""
    import paho.mqtt.client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion

    device = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"{client}-{chance.randint(1, 99999)}")
    connected = threading.Event()
    device.on_connect = lambda *arguments: connected.set()
    device.connect(*server, keepalive=30)
    sock = device.socket()
    port: int = sock.getsockname()[1]  # type: ignore[union-attr]
    device.loop_start()
    try:
        if not connected.wait(5):
            raise ValueError("MQTT broker did not accept")
        for _ in range(chance.randint(3, 6)):
            rate = round(chance.uniform(1.0, 20.0), 1)
            receipt = device.publish(f"pumps/{client}/rate", f'{{"ml_per_h": {rate}, "state": "infusing"}}', qos=1)
            receipt.wait_for_publish(5)
            time.sleep(chance.random() * 0.5)
    finally:
        with contextlib.suppress(OSError):
            device.disconnect()
        device.loop_stop()
    return port
