# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked on a switch before anything is written: does it stay manageable, and does its hardware hold old and new together?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import only_list
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.hardware import (
    HardwareRegion,
    tcam_utilization,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.budget import cost_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace, permitted
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import ACK, SYN, Packet, make_packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_change import Change
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import IosState
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_diff import list_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_management import (
    management_client,
    management_interfaces,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_session import IosSession

TCAM = (
    "show platform hardware fed switch active fwd-asic resource tcam utilization",
    "show platform hardware fed active fwd-asic resource tcam utilization",
)
TCP, UDP = 6, 17
SSH, CLIENT_PORT = 22, 50000


@dataclass(frozen=True)
class Exposure:
    """How the controller reaches a switch: both addresses, the interfaces by which its packets may arrive, whether that was
    learnt from the switch's tables, and the servers the switch needs."""

    client: str
    device: str
    interfaces: tuple[str, ...]
    known: bool
    servers: tuple[tuple[str, str, int], ...] = ()

    def as_text(self) -> str:
        """Return it for a snapshot."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def of_text(cls, text: str) -> Exposure:
        """Return what ``as_text`` wrote."""
        values = json.loads(text)
        servers = tuple((str(a), str(b), int(c)) for a, b, c in values["servers"])
        return cls(values["client"], values["device"], tuple(values["interfaces"]), bool(values["known"]), servers)

    def may_cut(self, places: Sequence[tuple[str, str]]) -> bool:
        """Return whether a list on one of the places could be on the controller's way: certain, or not known not to be."""
        return not self.known or any(place[0] in self.interfaces for place in places)


def exposure_of(session: IosSession, state: IosState) -> Exposure:
    """Return the exposure of a switch, from its own tables."""
    client = management_client(session)
    interfaces, known = management_interfaces(session, state, client)
    return Exposure(client, session.device(), tuple(sorted(interfaces)), known, state.servers)


def cut_findings(name: str, content: str, places: Sequence[tuple[str, str]], exposure: Exposure) -> list[Finding]:
    """Return an error for each place on the controller's way where a list would drop what manages the switch.

    Inbound: the controller's first packet to port 22, answers of RADIUS and TACACS servers, change of authorization. Outbound: the
    answer to the controller.
    """
    found = []
    for interface, direction in places:
        if interface not in exposure.interfaces:
            continue
        for what, packet in _needed(exposure, direction):
            if packet not in _passing(content):
                text = f"{name}: {interface} {direction}: {what}: {packet.describe()} would be dropped, or might be"
                found.append(codes.MANAGEMENT_CUT.at(text))
    return found


@lru_cache(maxsize=128)
def _passing(content: str) -> Any:
    return permitted(PacketSpace(), only_list("ios", content).first_match())


def _needed(exposure: Exposure, direction: str) -> list[tuple[str, Packet]]:
    client, device = exposure.client, exposure.device
    if ":" in client or ":" in device or not client or not device:
        return []
    if direction == "out":
        return [("the controller", make_packet(TCP, device, client, CLIENT_PORT, SSH, flags=SYN | ACK))]
    made = [("the controller", make_packet(TCP, client, device, SSH, CLIENT_PORT, flags=SYN))]
    for kind, address, port in exposure.servers:
        if kind == "radius":
            made.append(("RADIUS", make_packet(UDP, address, device, CLIENT_PORT, port)))
        elif kind == "tacacs":
            made.append(("TACACS+", make_packet(TCP, address, device, CLIENT_PORT, port, flags=SYN | ACK)))
        else:
            made.append(("change of authorization", make_packet(UDP, address, device, port, CLIENT_PORT)))
    return made


def room_findings(name: str, session: IosSession, change: Change, state: IosState) -> list[Finding]:
    """Return an error where the hardware has no room for new lists beside the old ones, as measured on the switch now.

    A list takes its entries once a direction, on however many ports it stands; what is attached nowhere takes none. Every member
    and ASIC needs room, since ports of each may be named. Source: facts/devices.md section 4.
    """
    contents = {build.name: build.content for build in change.builds}
    new = {(swap.new, swap.place[1]) for swap in change.swaps if swap.new}
    already = {(live, place[1]) for place, live in state.groups.items()}
    need: dict[str, int] = {"in": 0, "out": 0}
    for live, direction in sorted(new - already):
        need[direction] += entries_of(contents.get(live) or list_text(live, state.lists.get(live, ())))
    if not any(need.values()):
        return []
    regions = _regions(session)
    if not regions:
        return [codes.ROOM_UNKNOWN.at(f"{name}: the new lists take {sum(need.values())} entries")]
    found = []
    for region in regions:
        wanted = sum(count for way, count in need.items() if region.direction in (way, "both"))
        if region.family != "other" and wanted > region.limit - region.used:
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


@lru_cache(maxsize=256)
def entries_of(content: str) -> int:
    """Return the hardware entries of a list, ranges of ports in aligned blocks: the most that it can take."""
    try:
        return max(1, cost_of("ios", only_list("ios", content).aces).hardware_entries)
    except (FindingError, ValueError):
        return len(content.splitlines())
