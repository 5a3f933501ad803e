# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hospital's links: one bridge per subnet in ``sw``, the router ``fw`` between them, the controller on its own link."""

from __future__ import annotations

import array
import contextlib
import fcntl
import socket
import struct

from ..description import Hospital, Subnet
from ..processes import in_namespace
from .namespaces import Namespaces, write_sysctl

CONTROLLER = "ctl"
FIREWALL = "fw"
SWITCHES = "sw"

_SIOCETHTOOL = 0x8946
# Transmit checksum, scatter-gather segmentation (TSO, GSO): off, so that what is captured is what a wire would carry.
_ETHTOOL_SETTINGS = (0x00000017, 0x0000001F, 0x00000024)


def namespace_names(hospital: Hospital) -> list[str]:
    return [CONTROLLER, FIREWALL, SWITCHES, *hospital.hosts]


def bridge_name(subnet: str) -> str:
    return f"br-{subnet}"


def access_port(host: str) -> str:
    """Name, inside ``sw``, of the bridge port a host hangs on."""
    return f"p-{host}"


def gateway_mac(subnet: Subnet) -> str:
    """MAC of fw1 in a subnet, in the pattern of the hosts' own."""
    return f"02:1a:{subnet.vlan:02d}:00:00:01"


def build(namespaces: Namespaces, hospital: Hospital) -> None:
    """Make every link and address. IPv4 only; forwarding only in ``fw``. Raises LabError naming the failed command."""
    pid = {name: holder.pid for name, holder in namespaces.holders.items()}
    for name in namespaces.names():
        in_namespace(namespaces.descriptor(name), lambda name=name: _settings(name))  # type: ignore[misc]
    switch = ["link set lo up", f"link add mgmt type veth peer name mgmt netns {pid[FIREWALL]}"]
    switch += ["link set mgmt up", "link add br-mgmt type bridge forward_delay 0", "link set mgmt master br-mgmt"]
    switch += [f"link add p-ctl type veth peer name eth0 netns {pid[CONTROLLER]}", "link set p-ctl master br-mgmt up"]
    for each in hospital.switches.values():
        switch.append(f"address add {each.management}/{hospital.management.prefixlen} dev br-mgmt")
    switch.append("link set br-mgmt up")
    for subnet in hospital.subnets.values():
        bridge = bridge_name(subnet.name)
        switch.append(f"link add {bridge} type bridge forward_delay 0 mcast_snooping 0")
        switch.append(f"link set {bridge} up")
        switch.append(
            f"link add u-{subnet.name} type veth peer name {subnet.name} address {gateway_mac(subnet)} netns {pid[FIREWALL]}"
        )
        switch.append(f"link set u-{subnet.name} master {bridge} up")
    for host in hospital.hosts.values():
        port = access_port(host.name)
        switch.append(f"link add {port} type veth peer name eth0 address {host.mac} netns {pid[host.name]}")
        switch.append(f"link set {port} master {bridge_name(host.subnet)} up")
    _batch(namespaces, SWITCHES, switch)
    firewall = ["link set lo up", f"address add {hospital.firewall}/{hospital.management.prefixlen} dev mgmt"]
    firewall.append("link set mgmt up")
    for subnet in hospital.subnets.values():
        firewall.append(f"address add {subnet.gateway}/{subnet.prefix.prefixlen} dev {subnet.name}")
        firewall.append(f"link set {subnet.name} up")
    _batch(namespaces, FIREWALL, firewall)
    controller = [f"address add {hospital.controller}/{hospital.management.prefixlen} dev eth0", "link set eth0 up"]
    controller.append(f"route add 100.64.0.0/10 via {hospital.firewall}")
    _batch(namespaces, CONTROLLER, ["link set lo up", *controller])
    for host in hospital.hosts.values():
        subnet = hospital.subnets[host.subnet]
        lines = ["link set lo up", f"address add {host.address}/{subnet.prefix.prefixlen} brd + dev eth0"]
        _batch(namespaces, host.name, [*lines, "link set eth0 up", f"route add default via {subnet.gateway}"])
    for name in namespaces.names():
        in_namespace(namespaces.descriptor(name), _plain_frames)


def _batch(namespaces: Namespaces, name: str, lines: list[str]) -> None:
    namespaces.run(name, ["ip", "-batch", "-"], stdin="\n".join(lines) + "\n")


def _settings(name: str) -> None:
    for each in ("ipv6/conf/all/disable_ipv6", "ipv6/conf/default/disable_ipv6"):
        with contextlib.suppress(OSError):
            write_sysctl(each, "1")
    # A scan and a burst of probes must not meet a rate limit of the kernel.
    write_sysctl("ipv4/icmp_ratelimit", "0")
    write_sysctl("ipv4/ip_forward", "1" if name == FIREWALL else "0")


def _plain_frames() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _, name in socket.if_nameindex():
            for command in _ETHTOOL_SETTINGS:
                data = array.array("B", struct.pack("II", command, 0))
                address, _ = data.buffer_info()
                request = struct.pack("16sP", name.encode(), address) + bytes(16)
                with contextlib.suppress(OSError):
                    fcntl.ioctl(sock.fileno(), _SIOCETHTOOL, request)
