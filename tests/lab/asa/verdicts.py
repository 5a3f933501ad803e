# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the firewall does with a packet, and how packet-tracer tells it.

Order (ASA CLI guide, "Access Rules"): the ingress interface's inbound list; where none of its entries matches, the global list; where
there is neither, the security levels; then the egress interface's outbound list. Both lists end in one implicit deny. Traffic to the
firewall itself is judged by none of them. Nothing here is imported from the collection.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from tests.lab.asa.entries import Entry, Packet

if TYPE_CHECKING:
    from tests.lab.asa.device import AsaDevice


@dataclass(frozen=True)
class Decision:
    """permit; the list and entry that decided (None: implicit); where the list is attached."""

    permit: bool | None
    list_name: str | None = None
    line: str | None = None
    reason: str = ""
    where: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def decide(device: AsaDevice, probe: dict[str, Any], *, count: int = 0) -> Decision:
    """Return the verdict of a probe: {"packet": ..., "interface": ingress nameif (default: by its source)}."""
    return trace(device, probe["packet"], str(probe.get("interface", "")), count)[-1]


def trace(device: AsaDevice, packet: Packet, ingress: str = "", count: int = 0) -> list[Decision]:
    """Return the decisions on a packet's way, in order; the last one is what happens."""
    config = device.config
    ingress = ingress or config.egress(packet["source"])
    egress = config.egress(packet["destination"])
    own = {each.value("ip address").split()[0] for each in config.interfaces.values() if each.value("ip address")}
    if packet["destination"] in own:
        return [Decision(True, reason="to the firewall itself")]
    found: list[Decision] = []
    inbound, everywhere = config.groups.get(("in", ingress)), config.groups.get(("global", ""))
    attached = [(inbound, f"in interface {ingress}"), (everywhere, "global")]
    for name, where in attached:
        if name is None:
            continue
        hit = _first(device, name, packet, count)
        if isinstance(hit, str):
            return [Decision(None, name, reason=hit, where=where)]
        if hit is not None:
            found.append(Decision(hit.permit, name, hit.words(), "configured rule", where))
            break
    if not found:
        if inbound or everywhere:
            return [Decision(False, reason="implicit rule")]
        if not _by_level(device, ingress, egress):
            return [Decision(False, reason="security level")]
        found.append(Decision(True, reason="security level"))
    if not found[-1].permit:
        return found
    name = config.groups.get(("out", egress))
    if name is not None:
        hit = _first(device, name, packet, count)
        where = f"out interface {egress}"
        if isinstance(hit, str):
            return [*found, Decision(None, name, reason=hit, where=where)]
        if hit is None:
            return [*found, Decision(False, reason="implicit rule", where=where)]
        found.append(Decision(hit.permit, name, hit.words(), "configured rule", where))
    return found


def _by_level(device: AsaDevice, ingress: str, egress: str) -> bool:
    interfaces = device.config.nameifs()
    if ingress not in interfaces or egress not in interfaces:
        return False
    first, second = (int(interfaces[name].value("security-level") or 0) for name in (ingress, egress))
    if first == second:
        word = "intra" if ingress == egress else "inter"
        return f"same-security-traffic permit {word}-interface" in device.config.kept
    return first > second


def _first(device: AsaDevice, name: str, packet: Packet, count: int) -> Entry | str | None:
    """Return the entry as configured that matches first, None where none does, a text where a name does not exist."""
    try:
        for number, entry, plain in device.config.plain(name):
            if plain.matches(packet):
                if count:
                    device.config.lists[name][number - 1] = replace(entry, hits=entry.hits + count)
                return entry
    except KeyError as error:
        return f"not understood: {error}"
    return None


def tracer_text(device: AsaDevice, ingress: str, packet: Packet) -> str:
    """Return what packet-tracer prints for a packet."""
    config = device.config
    egress = config.egress(packet["destination"])
    lines: list[str] = []
    number = 0

    def phase(kind: str, result: str, settings: list[str], more: list[str], subtype: str = "") -> None:
        nonlocal number
        number += 1
        lines.extend([f"Phase: {number}", f"Type: {kind}", f"Subtype: {subtype}", f"Result: {result}", "Config:"])
        lines.extend([*settings, "Additional Information:", *more, ""])

    decisions = trace(device, packet, ingress)
    if egress:
        phase(
            "INPUT-ROUTE-LOOKUP",
            "ALLOW",
            [],
            [f"Found next-hop using egress ifc  {egress}"],
            "Resolve Egress Interface",
        )
    for decision in decisions:
        if decision.list_name is None:
            if decision.reason != "to the firewall itself":
                phase("ACCESS-LIST", "ALLOW" if decision.permit else "DROP", ["Implicit Rule"], [])
            continue
        said = [f"access-group {decision.list_name} {decision.where}"]
        said.append(f"access-list {decision.list_name} extended {decision.line} ")
        phase("ACCESS-LIST", "ALLOW" if decision.permit else "DROP", said, [], "log")
    allowed = decisions[-1].permit is True and bool(egress)
    if allowed:
        phase("IP-OPTIONS", "ALLOW", [], [])
        phase("FLOW-CREATION", "ALLOW", [], ["New flow created with id 4711, packet dispatched to next module"])
    lines += ["Result:", f"input-interface: {ingress}", "input-status: up", "input-line-status: up"]
    if egress:
        lines += [f"output-interface: {egress}", "output-status: up", "output-line-status: up"]
    lines.append(f"Action: {'allow' if allowed else 'drop'}")
    if not allowed:
        reason = "(acl-drop) Flow is denied by configured rule" if egress else "(no-route) No route to host"
        lines.append(f"Drop-reason: {reason}, Drop-location: frame 0x0000aaaa flow (NA)/NA")
    return "\n" + "\n".join(lines) + "\n\n"
