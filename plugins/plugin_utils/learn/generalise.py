# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what was seen to what a rule permits: each step with the traffic that it admits beyond what was seen, and its budget.

A conversation is one client device, one server device or address, protocol and server port. Four boxes without a common conversation make
up all that a rule permits and nobody has had: other pairs of the devices seen, other servers, other clients, other ports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import Evidence
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Service

MOST_ADDRESSES = 256
MOST_PORTS = 256


@dataclass(frozen=True)
class Step:
    """One step of generalisation: what is widened, from how many to how many, and how many unseen conversations it admits."""

    name: str
    seen: int
    permitted: int
    admits: int
    box: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for results."""
        return {
            "step": self.name,
            "seen": self.seen,
            "permitted": self.permitted,
            "admits": self.admits,
            "box": self.box,
        }


def steps_of(
    seen: Sequence[Evidence], service: Service, clients: int, servers: int, to: str, network: bool
) -> tuple[Step, ...]:
    """Return the steps from the evidence of one service's ports to a rule for all ``clients`` and ``servers`` (sizes of both ends).

    ``network`` says that the server's end is a named set of ``servers`` addresses. Steps that admit nothing are left out.
    """
    ports = service_ports(service)
    client_side = sum((clients - each.client_devices) * servers for each in seen)
    server_side = sum(each.client_devices * (servers - each.server_devices) for each in seen)
    pairs = sum(each.client_devices * each.server_devices - each.pairs for each in seen)
    numbers = sorted(each.key.server_port for each in seen)
    shown = ", ".join(str(number) for number in numbers[:8]) + (", ..." if len(numbers) > 8 else "")
    most_clients, most_servers = max(e.client_devices for e in seen), max(e.server_devices for e in seen)
    end = f"the addresses of {to}" if network else f"the devices of {to}"
    made = [
        Step("pairs", sum(e.pairs for e in seen), sum(e.client_devices * e.server_devices for e in seen), pairs,
             f"pairs that did not meet of the clients and servers seen, ports {shown}"),
        Step("address to network" if network else "server to segment", most_servers, servers, server_side,
             f"clients seen to {end} that were not seen, ports {shown}"),
        Step("device to segment", most_clients, clients, client_side,
             f"clients of {seen[0].key.client} that were not seen to all of {end}, ports {shown}"),
        Step("port to service", len(seen), ports, (ports - len(seen)) * clients * servers,
             f"all clients to all of {end}, ports of {service.name} other than {shown}"),
    ]  # fmt: skip
    return tuple(step for step in made if step.admits)


def service_ports(service: Service) -> int:
    """Return how many (protocol, port) a service has; a match without ports counts as one."""
    return sum(sum(high - low + 1 for low, high in match.ports) or 1 for match in service.matches)


def over_budget(steps: Sequence[Step], settings: Mapping[str, Any], ports_only: bool = False) -> str:
    """Return which step permits more than the site's budget, and how much; empty where none does.

    With ``ports_only`` the network set is not judged: a person has named it.
    """
    budget = settings.get("budget") or {}
    addresses, ports = int(budget.get("addresses", MOST_ADDRESSES)), int(budget.get("ports", MOST_PORTS))
    for step in steps:
        if step.name == "address to network" and step.permitted > addresses and not ports_only:
            return f"the network set has {step.permitted} addresses, {step.seen} were seen; the budget is {addresses}"
        if step.name == "port to service" and step.permitted - step.seen > ports:
            return f"the service has {step.permitted} ports, {step.seen} were seen; the budget is {ports} more"
    return ""
