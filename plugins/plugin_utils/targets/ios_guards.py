# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked on a switch before anything is written: does it stay manageable, and does its hardware hold old and new together?"""

from __future__ import annotations

import ipaddress
import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.once import once
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import first_match, only_list
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.hardware import (
    HardwareRegion,
    tcam_utilization,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.budget import cost_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace, permitted
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import ACK, SYN, Packet, make_packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_change import Change
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import (
    IosState,
    Place,
    dialect_of,
    family_of,
    shown_place,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_management import (
    management_client,
    management_interfaces,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_session import IosSession

TCAM = (
    "show platform hardware fed switch active fwd-asic resource tcam utilization",
    "show platform hardware fed active fwd-asic resource tcam utilization",
)
TCP, UDP, ICMP6 = 6, 17, 58
SSH, CLIENT_PORT = 22, 50000
# Which lists a region of the hardware holds, by the family that its name says.
REGIONS = {"4": (4,), "other": (6,)}
# Solicitations to the solicited-node group, one of them while an address is tried (RFC 4862), and advertisements (RFC 4861).
NEIGHBOURS = (
    ("fe80::1", "ff02::1:ff00:2", 135),
    ("::", "ff02::1:ff00:1", 135),
    ("fe80::1", "fe80::2", 136),
    ("fe80::1", "ff02::1", 136),
)


@dataclass(frozen=True)
class Exposure:
    """How the controller reaches a switch: both addresses, the interfaces by which its packets may arrive, whether that was
    learnt from the switch's tables, the servers the switch needs, and its interfaces with an address."""

    client: str
    device: str
    interfaces: tuple[str, ...]
    known: bool
    servers: tuple[tuple[str, str, int], ...] = ()
    routed: tuple[str, ...] = ()

    def as_text(self) -> str:
        """Return it for a snapshot."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def of_text(cls, text: str) -> Exposure:
        """Return what ``as_text`` wrote."""
        values = json.loads(text)
        servers = tuple((str(a), str(b), int(c)) for a, b, c in values["servers"])
        interfaces, routed = tuple(values["interfaces"]), tuple(values.get("routed", ()))
        return cls(values["client"], values["device"], interfaces, bool(values["known"]), servers, routed)

    def may_cut(self, places: Sequence[Place]) -> bool:
        """Return whether a list on one of the places could be on the controller's way: certain, or not known not to be."""
        return not self.known or any(place[0] in self.interfaces for place in places)


def exposure_of(session: IosSession, state: IosState) -> Exposure:
    """Return the exposure of a switch, from its own tables."""
    client = management_client(session)
    interfaces, known = management_interfaces(session, state, client)
    routed = tuple(sorted(state.routed))
    return Exposure(client, session.device(), tuple(sorted(interfaces)), known, state.servers, routed)


def cut_findings(name: str, content: str, places: Sequence[Place], exposure: Exposure) -> list[Finding]:
    """Return an error for each place on the controller's way where a list would drop what manages the switch.

    Inbound: the controller's first packet to port 22, answers of RADIUS and TACACS servers, change of authorization. Outbound: the
    answer to the controller.
    """
    found = []
    for place in places:
        if place[0] not in exposure.interfaces:
            continue
        for what, packet in _needed(exposure, place[1], place[2]):
            if packet not in _passing(content):
                text = f"{name}: {shown_place(place)}: {what}: {packet.describe()} would be dropped, or might be"
                found.append(codes.MANAGEMENT_CUT.at(text))
    return found


@once(128)
def _passing(content: str) -> Any:
    return permitted(PacketSpace(), first_match(dialect_of(content), content))


def neighbour_findings(name: str, content: str, place: Place, routed: Collection[str]) -> list[Finding]:
    """Return an error where an IPv6 list on a place would drop neighbour discovery, without which no address is reached.

    The end of an IPv6 list permits solicitations and advertisements by itself; a ``deny ipv6 any any`` before it does not
    (facts/devices.md section 1.2; RFC 4890 section 4.4). A list on the way out of a routed interface never sees them: they are
    not routed, and a switch's own packets pass no list.
    """
    interface, direction, family = place
    if family != 6 or (direction == "out" and (interface in routed or interface.startswith("Vlan"))):
        return []
    for source, destination, kind in NEIGHBOURS:
        packet = make_packet(ICMP6, source, destination, icmp=(kind, 0))
        if packet not in _passing(content):
            text = f"{name}: {shown_place(place)}: {packet.describe()} would be dropped, or might be"
            return [codes.NEIGHBOURS_CUT.at(text)]
    return []


def _needed(exposure: Exposure, direction: str, family: int) -> list[tuple[str, Packet]]:
    """Return the packets that a list of a family must pass; the switch is known by the address of the session alone."""
    client, device = exposure.client, exposure.device
    if not client or not device or _version(device) != family or _version(client) != family:
        return []
    if direction == "out":
        return [("the controller", make_packet(TCP, device, client, CLIENT_PORT, SSH, flags=SYN | ACK))]
    made = [("the controller", make_packet(TCP, client, device, SSH, CLIENT_PORT, flags=SYN))]
    for kind, address, port in exposure.servers:
        if _version(address) != family:
            continue
        if kind == "radius":
            made.append(("RADIUS", make_packet(UDP, address, device, CLIENT_PORT, port)))
        elif kind == "tacacs":
            made.append(("TACACS+", make_packet(TCP, address, device, CLIENT_PORT, port, flags=SYN | ACK)))
        else:
            made.append(("change of authorization", make_packet(UDP, address, device, port, CLIENT_PORT)))
    return made


def _version(address: str) -> int:
    try:
        return ipaddress.ip_address(address).version
    except ValueError:
        return 0


def room_findings(name: str, session: IosSession, change: Change, state: IosState) -> list[Finding]:
    """Return an error where the hardware has no room for new lists beside the old ones, as measured on the switch now.

    A list takes its entries once a direction, on however many ports it stands; what is attached nowhere takes none. Every member
    and ASIC needs room, since ports of each may be named. Source: facts/devices.md section 4.
    """
    contents = {build.name: build.content for build in change.builds}
    new = {(swap.new, swap.place[1]) for swap in change.swaps if swap.new}
    already = {(live, place[1]) for place, live in state.groups.items()}
    need: Counter[tuple[str, int]] = Counter()
    for live, direction in sorted(new - already):
        content = contents.get(live) or state.text(live)
        need[direction, family_of(content)] += entries_of(content)
    if not any(need.values()):
        return []
    regions = _regions(session)
    if not regions:
        return [codes.ROOM_UNKNOWN.at(f"{name}: the new lists take {sum(need.values())} entries")]
    found = []
    for region in regions:
        families = REGIONS.get(region.family, (4, 6))
        wanted = sum(
            count for (way, six), count in need.items() if region.direction in (way, "both") and six in families
        )
        if wanted > region.limit - region.used:
            text = (
                f"{name}: ASIC {region.asic}, {region.name}: {region.limit - region.used} of {region.limit} entries are free,"
                f" and {wanted} are needed beside those of the old lists"
            )
            found.append(codes.NO_ROOM.at(text))
    return found


def _regions(session: IosSession) -> list[HardwareRegion]:
    for command in TCAM:
        try:
            parsed = tcam_utilization(session.show(command))
        except FindingError as error:
            if any(finding.code == codes.SESSION_LOST.number for finding in error.findings):
                raise
            continue
        return [region for region in parsed.entries if region.kind == "security"]
    return []


@once(256)
def entries_of(content: str) -> int:
    """Return the hardware entries of a list, ranges of ports in aligned blocks: the most that it can take. IPv6 counts twice."""
    try:
        return max(1, cost_of(dialect_of(content), only_list(dialect_of(content), content).aces).hardware_entries)
    except (FindingError, ValueError):
        return len(content.splitlines())
