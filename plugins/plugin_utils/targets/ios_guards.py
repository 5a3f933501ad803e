# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked on a switch before anything is written: does it stay manageable, and does its hardware hold old and new together?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.once import once
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import only_list
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.hardware import (
    HardwareRegion,
    tcam_utilization,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.budget import cost_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import make_packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.host_names import addresses_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_change import Change
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import (
    IosState,
    Place,
    dialect_of,
    family_of,
    shown_place,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_management import (
    Tables,
    asked,
    management_client,
    management_interfaces,
    server_interfaces,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_session import IosSession
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.management import (
    SSH,
    WORDS,
    Conversation,
    ManagementPath,
    controller,
    local_services,
    named_server,
    passing,
    relaying,
    server,
    version,
)

TCAM = (
    "show platform hardware fed switch active fwd-asic resource tcam utilization",
    "show platform hardware fed active fwd-asic resource tcam utilization",
)
ICMP6 = 58
# Which lists a region of the hardware holds, by the family that its name says.
REGIONS = {"4": (4,), "other": (6,)}
# Solicitations to the solicited-node group, one of them while an address is tried (RFC 4862), and advertisements (RFC 4861).
NEIGHBOURS = (
    ("fe80::1", "ff02::1:ff00:2", 135),
    ("::", "ff02::1:ff00:1", 135),
    ("fe80::1", "fe80::2", 136),
    ("fe80::1", "ff02::1", 136),
)
TCAM_MEMBER = "show platform hardware fed switch {} fwd-asic resource tcam utilization"
# Rows of "show switch": member number, role, MAC address, priority, version, state.
_MEMBER = re.compile(r"(?m)^\*?\s*(\d)\s+(?:Active|Standby|Member|Master|Slave)\s+[0-9a-fA-F.:]+\s.*\bReady\s*$")
_PORT = re.compile(r"\A[A-Za-z]+(\d)/\d+/\d+\Z")
HOSTS = "show hosts"
SERVERS = frozenset(words for kind, words in WORDS.items() if kind not in ("ntp", "relay"))


def management_path(session: IosSession, state: IosState) -> ManagementPath:
    """Return how a switch is managed, from its own tables and configuration.

    The answers of a server come to the address of the source interface where one is configured, else to that of the interface they
    arrive by. Where the tables do not tell their way, it is taken to be the controller's. NTP servers and DHCP servers behind a relay
    are looked for in connected subnets alone.
    """
    tables = Tables(session)
    client, device = management_client(tables), session.device()
    found, known = management_interfaces(tables, state, client)
    interfaces, services = tuple(sorted(found)), state.services
    made: list[Conversation] = []
    for kind, who, port in state.servers:
        made += _with_server(tables, state, (kind, who, port), (client, device), (interfaces, known))
    made += local_services(services, interfaces, known, device)
    trusted, routed = tuple(sorted(services.trusted)), tuple(sorted(state.routed))
    # What we connected to may be translated on the way; the switch listens on 22 besides.
    port = session.spec.service_port if session.spec.service_port in services.ssh else SSH
    talk = controller(client, device, interfaces, known, port)
    return ManagementPath((talk, *made), relaying(services), trusted, routed)


def _with_server(
    tables: Tables,
    state: IosState,
    named: tuple[str, str, int],
    ends: tuple[str, str],
    by_default: tuple[tuple[str, ...], bool],
) -> list[Conversation]:
    """Return the conversations with one server, by each of its addresses where the configuration calls it by a name."""
    (kind, who, port), (client, device), services = named, ends, state.services
    asked_as = "tacacs" if kind == "tacacs" else "radius"
    addresses = (who,) if version(who) else addresses_of(who, services.domain, services.hosts)
    if not addresses:
        addresses = addresses_of(who, services.domain, (), tables.show(HOSTS))
    if not addresses:
        sources = [*services.sources_of(asked_as), *services.sources_of(asked_as, 6)]
        return named_server(kind, who, port, sources, bool(services.six))
    made: list[Conversation] = []
    for address in addresses:
        by, sure = by_default
        if address != client:
            ways, sure = server_interfaces(tables, state, address)
            by = tuple(sorted(ways)) or by_default[0]
        family = version(address)
        own_sources = services.sources_of(asked_as, family)
        arriving = next((own for name in by if (own := services.address(name, family))), "")
        usual = device if version(device) == family else ""
        for near in dict.fromkeys(own or usual for own in own_sources or (arriving,)):
            made.append(server(kind, address, port, near, by, sure))
    return made


def cut_findings(name: str, content: str, places: Sequence[Place], path: ManagementPath) -> list[Finding]:
    """Return what a list at places would cut, or might: an error for each packet of management, a warning for other services.

    Inbound: the controller's first packet to port 22, answers of RADIUS and TACACS+ servers, change of authorization, DHCP. Outbound:
    the answer to the controller.
    """
    platform = dialect_of(content)
    return [
        finding
        for place in places
        for finding in path.judged(platform, f"{name}: {shown_place(place)}", content, place, place[2])
    ]


def way_findings(name: str, path: ManagementPath) -> list[Finding]:
    """Return a warning that names the servers whose way in the switch does not tell."""
    return path.unknown_ways(name, SERVERS)


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
        if packet not in passing(dialect_of(content), content):
            text = f"{name}: {shown_place(place)}: {packet.describe()} would be dropped, or might be"
            return [codes.NEIGHBOURS_CUT.at(text)]
    return []


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
    regions, silent = _regions(session, state)
    if not regions:
        return [codes.ROOM_UNKNOWN.at(f"{name}: the new lists take {sum(need.values())} entries")]
    found = [codes.ROOM_UNKNOWN.at(f"{name}: member {member} of the stack") for member in silent]
    for member, region in regions:
        families = REGIONS.get(region.family, (4, 6))
        wanted = sum(
            count for (way, six), count in need.items() if region.direction in (way, "both") and six in families
        )
        if wanted > region.limit - region.used:
            where = f"{name}: member {member}, ASIC {region.asic}" if member else f"{name}: ASIC {region.asic}"
            text = (
                f"{where}, {region.name}: {region.limit - region.used} of {region.limit} entries are free,"
                f" and {wanted} are needed beside those of the old lists"
            )
            found.append(codes.NO_ROOM.at(text))
    return found


def _regions(session: IosSession, state: IosState) -> tuple[list[tuple[int, HardwareRegion]], list[int]]:
    """Return (stack member, 0 where the switch is none) and region of every member, and the members that do not tell.

    Which members there may be is read from the names of ports; ``show switch`` says which are there, and costs a single switch nothing.
    """
    named = {int(each[1]) for name in state.interfaces if (each := _PORT.match(name))}
    if len(named) > 1:
        here = sorted({int(number) for number in _MEMBER.findall(asked(session, "show switch"))}) or sorted(named)
        found = [(member, region) for member in here for region in _read(session, TCAM_MEMBER.format(member))]
        if found:
            return found, sorted(set(here) - {member for member, _region in found})
    for command in TCAM:
        if read := _read(session, command):
            return [(0, region) for region in read], []
    return [], []


def _read(session: IosSession, command: str) -> list[HardwareRegion]:
    try:
        parsed = tcam_utilization(asked(session, command))
    except FindingError:
        return []
    return [region for region in parsed.entries if region.kind == "security"]


@once(256)
def entries_of(content: str) -> int:
    """Return the hardware entries of a list, ranges of ports in aligned blocks: the most that it can take. IPv6 counts twice."""
    try:
        return max(1, cost_of(dialect_of(content), only_list(dialect_of(content), content).aces).hardware_entries)
    except (FindingError, ValueError):
        return len(content.splitlines())
