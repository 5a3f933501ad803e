# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the switch does with a packet, judged from the running state by rules written for the lab alone.

A probe is a dict: "packet" (as for tests.lab.evaluate) and one place: "interface" with "direction", or "management": true. On a
port the port's list decides first, then the router's list of the interface that the packet enters (routed ports and
mgmt0 themselves, else the VLAN's interface where "routed" is not false). An attached list without entries or definition follows
DeviceSpec.undefined_list; while an update that is not atomic is under way, the default result decides.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from tests.lab.iosxe.verdicts import Decision
from tests.lab.nxos.entry import Address, Entry
from tests.lab.nxos.lists import AccessList, Line

if TYPE_CHECKING:
    from tests.lab.nxos.device import Device

Packet = dict[str, Any]
PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "igmp": 2, "icmpv6": 58}
NO_LIST = Decision(True, None, None, None, "no list")
# Implicit rules in front of the implicit deny of an IPv6 list: neighbour and router discovery.
DISCOVERY = frozenset((133, 134, 135, 136))


def decide(device: Device, probe: dict[str, Any], *, count: int = 0) -> Decision:
    """Return the verdict at the probe's place; count: add this number to the counters of the deciding entry."""
    packet = probe["packet"]
    if probe.get("management"):
        return _management(device, packet)
    return _interface(
        device, probe["interface"], probe.get("direction", "in"), packet, count, probe.get("routed", True)
    )


def _interface(device: Device, name: str, direction: str, packet: Packet, count: int, routed: bool) -> Decision:
    interface = device.config.interfaces[name]
    family = ipaddress.ip_address(packet["source"]).version
    port, router = (
        ("ip port access-group", "ip access-group")
        if family == 4
        else ("ipv6 port traffic-filter", "ipv6 traffic-filter")
    )
    chain = []
    if interface.routed:
        chain.append((interface, router))
    else:
        chain.append((interface, port))
        vlan = device.config.interfaces.get(f"Vlan{interface.value('switchport access vlan') or 1}")
        if vlan is not None and routed:
            chain.append((vlan, router))
    decision = NO_LIST
    for place, command in chain:
        used = place.access_list(command, direction)
        if used is None:
            continue
        decision = named(device, used, packet, count)
        if decision.permit is not True:
            return decision
    return decision


def named(device: Device, name: str, packet: Packet, count: int = 0) -> Decision:
    """Return what one attached list says."""
    if device.updating:
        return Decision(device.config.default_permit, name, None, None, "update that is not atomic")
    listing = device.config.lists.get(name)
    if listing is None or not listing.entries:
        return Decision(device.spec.undefined_list == "permit", name, None, None, "list is empty or missing")
    try:
        found = first_match(device, listing, packet)
    except ValueError as error:
        return Decision(None, name, None, None, f"not understood: {error}")
    if isinstance(found, bool):
        return Decision(found, name, None, None, "implicit end")
    found.matches += count
    assert found.entry is not None
    return Decision(found.entry.permit, name, found.sequence, found.text, "entry")


def first_match(device: Device, listing: AccessList, packet: Packet) -> Line | bool:
    """Return the line that decides, or what the end of the list says; ValueError where it cannot be judged."""
    fragment = (packet.get("fragment_offset") or 0) > 0
    if fragment and {"fragments permit-all", "fragments deny-all"} & listing.options:
        explicit = next(
            (
                line
                for line in listing.entries
                if line.entry and line.entry.fragments and _hit(device, line.entry, packet)
            ),
            None,
        )
        return explicit if explicit is not None else "fragments permit-all" in listing.options
    for line in listing.entries:
        assert line.entry is not None
        if _hit(device, line.entry, packet):
            if line.entry.unjudged:
                raise ValueError(f"{line.text}: a condition that is not judged")
            return line
    return listing.family == 6 and _number(packet, 6) == 58 and packet.get("icmp_type") in DISCOVERY


def _number(packet: Packet, family: int) -> int:
    value = packet["protocol"]
    if isinstance(value, int):
        return value
    return 58 if value == "icmp" and family == 6 else PROTOCOLS[value]


def _within(device: Device, wanted: Address | str | None, address: str) -> bool:
    if wanted is None:
        return True
    value = ipaddress.ip_address(address)
    if isinstance(wanted, str):
        members = device.config.addresses(wanted)
        if members is None:
            raise ValueError(f"there is no group {wanted}")
        return any(value in _network(member) for member in members)
    return int(value) & wanted[1] == wanted[0]


def _network(member: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    words = member.split()
    if words[0] == "host":
        return ipaddress.ip_network(words[1])
    if len(words) == 2:
        raise ValueError(f"member {member} is not judged")
    return ipaddress.ip_network(words[0], strict=False)


def _hit(device: Device, entry: Entry, packet: Packet) -> bool:
    if entry.protocol is not None and entry.protocol != _number(packet, entry.family):
        return False
    if not _within(device, entry.source, packet["source"]) or not _within(
        device, entry.destination, packet["destination"]
    ):
        return False
    if (packet.get("fragment_offset") or 0) > 0:
        return entry.fragments or not entry.layer4 or entry.permit
    if entry.fragments:
        return False
    for ports, key in ((entry.source_ports, "source_port"), (entry.destination_ports, "destination_port")):
        if ports is not None and not any(low <= packet[key] <= high for low, high in ports):
            return False
    if entry.flags is not None and not entry.flags & {str(flag) for flag in packet["tcp_flags"]}:
        return False
    if entry.icmp is not None:
        kind, code = entry.icmp
        if packet["icmp_type"] != kind or (code is not None and packet["icmp_code"] != code):
            return False
    return True


def _management(device: Device, packet: Packet) -> Decision:
    name = device.spec.management_interface
    decision = NO_LIST
    if name is not None and name in device.config.interfaces:
        decision = _interface(device, name, "in", packet, 0, True)
        if decision.permit is False:
            return decision
    family = ipaddress.ip_address(packet["source"]).version
    line = device.config.vty.get("access-class in" if family == 4 else "ipv6 access-class in")
    return named(device, line.split()[-2], packet) if line else decision


def management_packet(device: Device) -> Packet | None:
    """Return the first packet of a management session, None when nothing is known of the controller."""
    if device.spec.controller is None:
        return None
    name = device.spec.management_interface
    own = device.config.interfaces[name].value("ip address") if name in device.config.interfaces else None
    return {
        "protocol": "tcp", "source": device.spec.controller, "destination": own.split("/")[0] if own else device.spec.address,
        "source_port": 50000, "destination_port": 22, "tcp_flags": ["syn"],
    }  # fmt: skip
