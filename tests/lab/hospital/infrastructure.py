# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names, time and leases as the devices ask for them, and the daemons that answer: dnsmasq, chrony, mosquitto."""

from __future__ import annotations

import secrets
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

from ..description import Hospital

DOMAIN = "st-elsewhere.lab"


def dnsmasq_server(hospital: Hospital, host: str, directory: Path) -> list[str]:
    """DNS for every host of the lab, and DHCP that gives each relayed client its fixed address."""
    address = hospital.hosts[host].address
    options = ["no-daemon", "conf-file=/dev/null", "no-resolv", "no-hosts", "no-ping", "user=root", "group=root"]
    options += [
        "bind-interfaces",
        f"listen-address={address}",
        "dhcp-authoritative",
        f"pid-file={directory}/dnsmasq.pid",
    ]
    options += [f"dhcp-leasefile={directory}/leases", "cache-size=0", f"domain={DOMAIN}"]
    for each in hospital.hosts.values():
        options.append(f"host-record={each.name}.{DOMAIN},{each.address}")
    leased = [hospital.hosts[name] for name in hospital.conversation("leases").clients]
    for name in {each.subnet: None for each in leased}:
        subnet = hospital.subnets[name]
        options.append(f"dhcp-range=set:{name},{subnet.prefix.network_address},static,{subnet.prefix.netmask},1h")
        options += [
            f"dhcp-option=tag:{name},option:router,{subnet.gateway}",
            f"dhcp-option=option:dns-server,{address}",
        ]
    options += [f"dhcp-host={each.mac},{each.address},{each.name}" for each in leased]
    return ["dnsmasq", *(f"--{option}" for option in dict.fromkeys(options))]


def dnsmasq_relay(hospital: Hospital, server: str, directory: Path) -> list[str]:
    """The router's DHCP relay for every subnet with leases."""
    options = [
        "no-daemon",
        "conf-file=/dev/null",
        "port=0",
        "user=root",
        "group=root",
        f"pid-file={directory}/relay.pid",
    ]
    target = hospital.hosts[server].address
    names = {hospital.hosts[each].subnet: None for each in hospital.conversation("leases").clients}
    options += [f"dhcp-relay={hospital.subnets[name].gateway},{target}" for name in names]
    return ["dnsmasq", *(f"--{option}" for option in options)]


def chrony_server(address: str, directory: Path) -> list[str]:
    """A time server that never touches the machine's clock (-x) and serves the local time."""
    config = directory / "chrony.conf"
    config.write_text(
        f"bindaddress {address}\nport 123\nlocal stratum 8\nallow 100.64.0.0/10\ncmdport 0\n"
        f"bindcmdaddress {directory}/chronyd.sock\npidfile {directory}/chronyd.pid\nuser root\n",
        encoding="ascii",
    )
    return ["chronyd", "-x", "-d", "-u", "root", "-f", str(config)]


def mosquitto_broker(address: str, port: int, directory: Path) -> list[str]:
    config = directory / "mosquitto.conf"
    config.write_text(
        f"listener {port} {address}\nallow_anonymous true\npersistence false\nuser root\nlog_dest stderr\n",
        encoding="ascii",
    )
    return ["mosquitto", "-c", str(config)]


def ask_name(server: tuple[str, int], name: str) -> int:
    """One DNS query (RFC 1035, type A); returns the client port. Raises ValueError on a wrong or missing answer."""
    identifier = secrets.randbits(16)
    labels = b"".join(bytes([len(part)]) + part.encode("ascii") for part in name.split("."))
    query = struct.pack("!6H", identifier, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", 1, 1)
    return _exchange(server, query, lambda data: struct.unpack("!H", data[:2])[0] == identifier and data[3] & 15 == 0)


def ask_time(server: tuple[str, int]) -> int:
    """One NTP client request (RFC 5905, version 4, mode 3); returns the client port. Raises ValueError."""
    seconds = time.time() + 2208988800
    request = struct.pack("!B39x2I", 0x23, int(seconds), int((seconds % 1) * 2**32))
    return _exchange(server, request, lambda data: len(data) >= 48 and data[0] & 7 == 4)


def _exchange(server: tuple[str, int], request: bytes, good: Callable[[bytes], bool]) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(3)
        sock.connect(server)
        port: int = sock.getsockname()[1]
        sock.send(request)
        try:
            answer = sock.recv(2048)
        except OSError as error:
            raise ValueError(f"no answer from {server[0]} port {server[1]}") from error
    if not good(answer):
        raise ValueError(f"wrong answer from {server[0]} port {server[1]}")
    return port


def lease_client(directory: Path, host: str) -> list[str]:
    """busybox's DHCP client: one full exchange, the address is not touched (the script does nothing), then release none."""
    script = directory / "udhcpc-nothing.sh"
    if not script.exists():
        script.write_text("#!/bin/sh\nexit 0\n", encoding="ascii")
        script.chmod(0o755)
    return ["udhcpc", "-f", "-i", "eth0", "-s", str(script), "-t", "4", "-T", "2", "-n", "-x", f"hostname:{host}"]
