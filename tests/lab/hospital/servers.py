# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts every server program of the hospital in its host's namespace."""

from __future__ import annotations

import logging
import shutil
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..description import Conversation, Hospital
from ..net.namespaces import Namespaces
from ..net.topology import FIREWALL
from ..processes import LabError, in_namespace, spawn

log = logging.getLogger("lab.hospital")

# Program -> Debian package that brings it (tests/lab/packages.txt).
DAEMONS = {"dnsmasq": "dnsmasq-base", "chronyd": "chrony", "mosquitto": "mosquitto", "udhcpc": "udhcpc"}
LIBRARIES = ("pynetdicom", "pymodbus", "bacpypes3", "paho.mqtt.client", "trustme")


def find_daemon(name: str) -> str | None:
    return shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin:/usr/bin:/usr/local/bin:/bin")


def missing() -> list[str]:
    """What the programs need and this machine lacks, in words for people."""
    import importlib.util

    lacking = [f"{name} (Debian package {package})" for name, package in DAEMONS.items() if find_daemon(name) is None]
    for name in LIBRARIES:
        try:
            found = importlib.util.find_spec(name) is not None
        except ModuleNotFoundError:
            found = False
        if not found:
            lacking.append(f"Python package {name.split('.')[0]}")
    return lacking


@dataclass
class Servers:
    """The running server programs of one lab."""

    hospital: Hospital
    namespaces: Namespaces
    directory: Path
    bacnet: dict[str, Any] = field(default_factory=dict)
    _children: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _stops: list[Callable[[], Any]] = field(default_factory=list)

    def start(self) -> list[str]:
        """Start everything; returns the ids of the conversations that can be spoken. Raises LabError."""
        lacking = missing()
        if lacking:
            raise LabError("hospital programs need " + ", ".join(lacking))
        self.directory.mkdir(parents=True, exist_ok=True)
        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
        logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
        started = []
        running: set[tuple[str, str, int]] = set()
        for each in self.hospital.conversations:
            for server in each.servers:
                if (server, each.protocol, each.port) not in running:
                    running.add((server, each.protocol, each.port))
                    self._start(each, server)
            started.append(each.id)
        leases = self.hospital.conversation("leases")
        self._daemon(
            FIREWALL, "relay", _infrastructure().dnsmasq_relay(self.hospital, leases.servers[0], self.directory)
        )
        self._wait()
        return started

    def _start(self, each: Conversation, server: str) -> None:
        address = self.hospital.hosts[server].address
        place = (address, each.port)
        infrastructure = _infrastructure()
        if each.via == "dns":
            self._daemon(server, "dnsmasq", infrastructure.dnsmasq_server(self.hospital, server, self.directory))
        elif each.via == "ntp":
            self._daemon(server, "chronyd", infrastructure.chrony_server(address, self.directory))
        elif each.via == "mqtt":
            self._daemon(server, "mosquitto", infrastructure.mosquitto_broker(address, each.port, self.directory))
        elif each.via == "mllp":
            from .mllp import Receiver

            self._serve(server, lambda: Receiver(place))
        elif each.via == "https":
            self._serve(server, lambda: _web().serve(place, self._certificates()))
        elif each.via == "dicom":
            from . import dicom

            maker = (
                dicom.serve_modality
                if self.hospital.hosts[server].segment.startswith("imaging")
                else dicom.serve_archive
            )
            entity = in_namespace(self.namespaces.descriptor(server), lambda: maker(place))
            self._stops.append(entity.shutdown)
        elif each.via == "modbus":
            from . import building

            loop = in_namespace(self.namespaces.descriptor(server), lambda: building.serve_modbus(place))
            self._stops.append(loop.stop)
        elif each.via == "bacnet":
            for name in (*each.clients, server):
                self._bacnet(name)

    def _bacnet(self, name: str) -> None:
        from . import building

        if name in self.bacnet:
            return
        host = self.hospital.hosts[name]
        length = self.hospital.subnets[host.subnet].prefix.prefixlen
        instance = 1000 + len(self.bacnet)
        self.bacnet[name] = in_namespace(
            self.namespaces.descriptor(name), lambda: building.start_bacnet(host.address, length, instance)
        )
        self._stops.append(self.bacnet[name].stop)

    def _certificates(self) -> Any:
        if not hasattr(self, "_made"):
            self._made = _web().Certificates.make()
            self._made.save(self.directory / "hospital-ca.pem")
        return self._made

    def _serve(self, host: str, make: Callable[[], socketserver.BaseServer]) -> None:
        server = in_namespace(self.namespaces.descriptor(host), make)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True).start()
        self._stops.append(server.shutdown)
        self._stops.append(server.server_close)

    def _daemon(self, host: str, name: str, arguments: list[str]) -> None:
        program = find_daemon(arguments[0])
        assert program is not None
        with (self.directory / f"{name}.log").open("wb") as handle:
            child = spawn([program, *arguments[1:]], namespace=self.namespaces.descriptor(host), log=handle)
        self._children.append(child)

    def _wait(self, patience: float = 15.0) -> None:
        deadline = time.monotonic() + patience
        waiting = [
            (each.id, server, each.protocol, each.port)
            for each in self.hospital.conversations
            for server in each.servers
        ]
        while waiting and time.monotonic() < deadline:
            waiting = [each for each in waiting if not self._listens(*each[1:])]
            if waiting:
                time.sleep(0.05)
        if waiting:
            names = ", ".join(f"{name} on {server}" for name, server, _, _ in waiting)
            raise LabError(f"not answering: {names}; see {self.directory}")

    def _listens(self, server: str, protocol: str, port: int) -> bool:
        table = in_namespace(self.namespaces.descriptor(server), lambda: _table(protocol))
        # Column 2 is the local address in hexadecimal; a listening TCP socket has state 0A.
        return any(line[1].endswith(f":{port:04X}") and (protocol == "udp" or line[3] == "0A") for line in table)

    def stop(self) -> None:
        for stop in reversed(self._stops):
            try:
                stop()
            except Exception:
                log.debug("a server did not stop cleanly", exc_info=True)
        for child in self._children:
            child.terminate()
        for child in self._children:
            try:
                child.wait(2)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _infrastructure() -> Any:
    from . import infrastructure

    return infrastructure


def _web() -> Any:
    from . import web

    return web


def _table(protocol: str) -> list[list[str]]:
    with open(f"/proc/thread-self/net/{protocol}", encoding="ascii") as handle:
        return [line.split() for line in handle.readlines()[1:]]
