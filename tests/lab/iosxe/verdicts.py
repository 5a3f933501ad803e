# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the switch does with a packet, told over the side channel only. The lab's evaluator decides; this file finds the
list that decides at a place.

A probe is a dict: "packet" (see tests.lab.evaluate) and one place:

- "interface" and "direction" ("in" or "out"): for "in" on a port the endpoint's downloaded list, else the port's own
  list, else the list of the VLAN's interface for packets that leave the subnet;
- "source_sgt" and "destination_sgt": the cell of the egress matrix;
- "management": true: the list on the management interface, then the access class of the terminal lines.

Source of the order: facts/devices.md sections 1.3 to 1.5. A list that did not fit into TCAM drops everything.
"""

from __future__ import annotations

import ipaddress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tests.lab.evaluate import evaluate_acl
from tests.lab.iosxe.access_list import AccessList
from tests.lab.iosxe.ace_text import IPV6, STANDARD
from tests.lab.iosxe.authorization import DEFAULT_CELL
from tests.lab.iosxe.cells import Cell, cells

if TYPE_CHECKING:
    from tests.lab.iosxe.device import Device

Packet = dict[str, Any]


@dataclass(frozen=True)
class Decision:
    """permit: None when the evaluator does not understand the list. line is the deciding entry's text, None for the
    implicit end; reason says which rule spoke."""

    permit: bool | None
    list_name: str | None
    sequence: int | None
    line: str | None
    reason: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


PERMIT_NO_LIST = Decision(True, None, None, None, "no list")


def decide(device: Device, probe: dict[str, Any], *, count: int = 0) -> Decision:
    """Return the verdict at the probe's place; count: add this number to the counters of the deciding entry."""
    packet = probe["packet"]
    if probe.get("management"):
        return _management(device, packet, count)
    if "source_sgt" in probe:
        return _cell(device, int(probe["source_sgt"]), int(probe["destination_sgt"]), packet, count)
    return _interface(device, probe["interface"], probe.get("direction", "in"), packet, count)


def _family(packet: Packet) -> int:
    return ipaddress.ip_address(str(packet["source"])).version


def _interface(device: Device, name: str, direction: str, packet: Packet, count: int) -> Decision:
    family = _family(packet)
    interface = device.config.interfaces[name]
    if direction == "in":
        for session in device.endpoint_sessions():
            if session.interface != name or packet["source"] not in (session.ip, session.ipv6, "0.0.0.0"):
                continue
            if not session.authorized:
                return Decision(False, None, None, None, "session is not authorized")
            if session.dacl and family == 4:
                known = session.ip if packet["source"] != "0.0.0.0" else None
                return _downloaded(device, session.dacl, session.lines, packet, known, count)
    used = interface.access_group(direction, family)
    if used is not None:
        return _named(device, used, direction, family, packet, count, f"access-group {direction} on {name}")
    svi = device.config.interfaces.get(f"Vlan{interface.vlan}")
    used = svi.access_group(direction, family) if svi is not None and not name.startswith("Vlan") else None
    address = None if svi is None else svi.value("ip address") if family == 4 else svi.address6
    if svi is not None and used is not None and _routed(address, packet, direction):
        return _named(device, used, direction, family, packet, count, f"access-group {direction} on {svi.name}")
    return PERMIT_NO_LIST


def _routed(address: str | None, packet: Packet, direction: str) -> bool:
    if address is None:
        return True
    network = ipaddress.ip_network(address.replace(" ", "/"), strict=False)
    other = ipaddress.ip_address(str(packet["destination" if direction == "in" else "source"]))
    return other not in network


def _downloaded(
    device: Device, name: str, lines: tuple[str, ...], packet: Packet, endpoint: str | None, count: int
) -> Decision:
    try:
        verdict = evaluate_acl(lines, packet, endpoint=endpoint, kind="dacl")
    except ValueError as error:
        return Decision(None, name, None, None, f"not understood: {error}")
    if count and verdict.line_number is not None:
        hits = device.dacl_hits.setdefault(name, {})
        hits[verdict.line_number - 1] = hits.get(verdict.line_number - 1, 0) + count
    return Decision(verdict.permit, name, verdict.line_number, verdict.line, "downloaded list")


def _named(device: Device, name: str, way: str, family: int, packet: Packet, count: int, reason: str) -> Decision:
    if (name, way, family) in device.unloaded:
        return Decision(False, name, None, None, f"{reason}: not in hardware, everything is dropped")
    found = (device.config.lists if family == 4 else device.config.lists6).get(name)
    return _listed(found, name, packet, count, reason)


def _listed(found: AccessList | None, name: str, packet: Packet, count: int, reason: str) -> Decision:
    if found is None or not found.entries:
        return Decision(True, name, None, None, f"{reason}: list is empty or missing")
    try:
        if found.kind == STANDARD:
            lines = tuple(_as_extended(line) for line in found.lines)
            verdict = evaluate_acl(lines, packet, kind="ios", family=4)
        else:
            verdict = evaluate_acl(found.lines, packet, kind="ios", family=6 if found.kind == IPV6 else 4)
    except ValueError as error:
        return Decision(None, name, None, None, f"{reason}: not understood: {error}")
    if verdict.line_number is None:
        return Decision(verdict.permit, name, None, None, f"{reason}: implicit end")
    entry = found.entries[verdict.line_number - 1]
    entry.matches += count
    return Decision(verdict.permit, name, entry.sequence, entry.ace.text, reason)


def _as_extended(line: str) -> str:
    """A standard entry as an extended one with any destination."""
    action, *rest = [word for word in line.split() if word != "log"]
    if len(rest) == 1 and rest[0] != "any":
        rest.insert(0, "host")
    return f"{action} ip {' '.join(rest)} any"


def _cell(device: Device, source: int, destination: int, packet: Packet, count: int) -> Decision:
    if not device.config.cts.enforcement and not device.config.cts.vlans:
        return Decision(True, None, None, None, "enforcement is off")
    family = _family(packet)
    known = {(cell.source, cell.destination): cell for cell in cells(device) if cell.family == family}
    pair = (source or -1, destination or -1)
    cell = known.get(pair) or known.get(DEFAULT_CELL)
    if cell is None:
        return Decision(True, None, None, None, "no cell")
    return _in_cell(device, cell, packet, count)


def _in_cell(device: Device, cell: Cell, packet: Packet, count: int) -> Decision:
    name = line = None
    permit, number = True, None
    try:
        for name_of_list, aces in cell.lists:
            verdict = evaluate_acl([ace.text for ace in aces], packet, kind="sgacl", family=cell.family)
            if verdict.line is not None:
                permit, name, line, number = verdict.permit, name_of_list, verdict.line, verdict.line_number
                break
    except ValueError as error:
        return Decision(None, None, None, None, f"cell not understood: {error}")
    if count:
        hits = device.cell_hits.setdefault((cell.source, cell.destination, cell.family), [0, 0, 0])
        hits[1 if permit else 0] += 0 if cell.monitored else count
        hits[2] += count if cell.monitored else 0
        if name is not None and number is not None:
            _count_line(device, cell, name, number - 1, count)
    reason = f"cell {cell.source} to {cell.destination}" + (" monitored" if cell.monitored else "")
    return Decision(True if cell.monitored else permit, name, number, line, reason)


def _count_line(device: Device, cell: Cell, name: str, index: int, count: int) -> None:
    space = device.config.lists if cell.family == 4 else device.config.lists6
    if cell.configured and name in space:
        space[name].entries[index].matches += count
    else:
        hits = device.sgacl_hits.setdefault(name, {})
        hits[index] = hits.get(index, 0) + count


def _management(device: Device, packet: Packet, count: int) -> Decision:
    name = device.spec.management_interface
    decision = PERMIT_NO_LIST
    if name is not None and name in device.config.interfaces:
        used = device.config.interfaces[name].access_group("in", _family(packet))
        if used is not None:
            decision = _named(device, used, "in", _family(packet), packet, count, f"access-group in on {name}")
            if decision.permit is False:
                return decision
    classes = device.config.access_classes()
    if None in classes or _family(packet) == 6:
        return decision  # a terminal line without an access class takes the session
    for used in sorted(each for each in classes if each is not None):
        found = device.config.lists.get(used)
        decision = _listed(found, used, packet, count, "access-class")
        if decision.permit is not False:
            return decision
    return decision


def management_packet(device: Device) -> Packet | None:
    """Return the first packet of a management session, None when nothing is known of the controller."""
    if device.spec.controller is None:
        return None
    own = device.spec.address
    name = device.spec.management_interface
    if name is not None and name in device.config.interfaces:
        interface = device.config.interfaces[name]
        value = interface.address6 if ":" in device.spec.controller else interface.value("ip address")
        own = value.replace("/", " ").split()[0] if value else own
    return {
        "protocol": "tcp",
        "source": device.spec.controller,
        "destination": own,
        "source_port": 50000,
        "destination_port": 22,
        "tcp_flags": ["syn"],
    }


def verdict_string(device: Device, probes: list[dict[str, Any]]) -> str:
    """Return one letter a probe: P permitted, D dropped, ? not understood."""
    letters = {True: "P", False: "D", None: "?"}
    return "".join(letters[device.decide(probe).permit] for probe in probes)


def trace_line(device: Device, line: str, user: str) -> None:
    """Record what every installed probe gets now, after a configuration line."""
    device.trace.append(
        {"time": device.clock(), "line": line, "user": user, "verdicts": verdict_string(device, device.probes)}
    )
