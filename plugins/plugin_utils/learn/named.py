# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services by port, and new ones, under the port's name, for ports that services.yml does not name and strong evidence needs."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.orientation import EPHEMERAL
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.coverage import ICMP, spans_of_match
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import CandidateKey, Evidence, Gathered
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.score import ADMINISTRATION, is_spread
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.catalogue import Catalogue, Traffic
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.decisions import REFUSE, Decision
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Service, ServiceMatch, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ranges import is_wide

# What the description of such a service says until a person has written what it is; until then it speaks for nothing.
UNREVIEWED = "Seen in recorded traffic, not named yet: say what it is"
WITH_PORTS = (6, 17)
# More unnamed ports than these between the same two ends are a dynamic range or a scan, and no service of one port.
MOST_PORTS = 3
# One device alone, or few of a segment, do not name a service for the site.
LEAST_DEVICES, LEAST_SHARE = 2, 0.25
Port = tuple[int, int]


def services_by_port(
    services: Mapping[str, Service], conversations: Iterable[tuple[int, int]]
) -> dict[tuple[int, int], str]:
    """Return the narrowest service that covers each (protocol, server port); ties go to the first by name.

    The port of ICMP is type and code, as flows have it. Services that are wide by the gate's own rule serve guardrails and never learning.
    """
    wanted: dict[int, set[int]] = {}
    for protocol, port in conversations:
        wanted.setdefault(protocol, set()).add(port)
    ordered = {protocol: sorted(ports) for protocol, ports in wanted.items()}
    found: dict[tuple[int, int], tuple[int, str]] = {}
    for name, service in sorted(services.items()):
        if is_wide(service) or service.ethertypes:  # nor is more permitted than was seen
            continue
        width = sum(map(_width, service.matches))
        for match in service.matches:
            for port in _covered(match, ordered.get(match.protocol, ())):
                key = match.protocol, port
                if key not in found or width < found[key][0]:
                    found[key] = (width, name)
    return {key: name for key, (_width, name) in found.items()}


def _width(match: ServiceMatch) -> int:
    """Return how much a match takes in, for the narrowest: ports, or of ICMP a code, a type, or all."""
    if match.protocol in ICMP:
        return 512 if match.icmp_type is None else 2 if match.icmp_code is None else 1
    return sum(high - low + 1 for low, high in match.ports) or 1


def _covered(match: ServiceMatch, ports: Sequence[int]) -> Iterator[int]:
    """Yield those of ``ports``, which are in order, that a match covers."""
    for low, high in spans_of_match(match):
        yield from ports[bisect_left(ports, low) : bisect_right(ports, high)]


def service_of(
    key: CandidateKey, decision: Decision | None, services: Mapping[str, Service], by_port: Mapping[Port, str]
) -> str:
    """Return the service of the rule that would permit a candidate: what an approval names, else the narrowest; empty for none."""
    if decision is not None and decision.decision != REFUSE and decision.service in services:
        if not is_wide(services[decision.service]):
            return decision.service
    return by_port.get((key.protocol, key.server_port), "")


def is_reviewed(service: Service | None) -> bool:
    """Return whether a service was named by a person."""
    return service is not None and service.description != UNREVIEWED


def ports_to_name(
    gathered: Gathered,
    services: Mapping[Port, str],
    sizes: Mapping[str, int],
    named_before: frozenset[Port],
    approved: frozenset[CandidateKey],
) -> list[CandidateKey]:
    """Return candidates whose port may get a service, in order; ``services`` are those of ports that have one.

    What a person approved always may. Else never: dynamic ports, ports that both ends open (a call-back, or a direction in doubt), many
    ports between the same ends (a scan, or ports agreed on at run time), ways into a device, and ports whose service was named by an
    earlier run (``named_before``) and taken away by a person.
    """
    unnamed = [
        key for key in gathered.candidates
        if key.protocol in WITH_PORTS and (key.protocol, key.server_port) not in services
    ]  # fmt: skip
    ports: dict[tuple[str, str, int], int] = {}
    for key in unnamed:
        ends = key.client, key.to, key.protocol
        ports[ends] = ports.get(ends, 0) + 1
    found = []
    for key in unnamed:
        port = key.protocol, key.server_port
        back = CandidateKey(key.to, key.client, *port)
        if key in approved or (
            key.server_port < EPHEMERAL
            and port not in ADMINISTRATION
            and port not in named_before
            and ports[key.client, key.to, key.protocol] <= MOST_PORTS
            and (back == key or back not in gathered.candidates)
            and _by_many(gathered.candidates[key], sizes.get(key.client, 0))
        ):
            found.append(key)
    return sorted(found, key=lambda each: (each.protocol, each.server_port, each.client, each.to))


def _by_many(evidence: Evidence, size: int) -> bool:
    devices = evidence.client_devices
    many = devices >= LEAST_DEVICES and (devices >= LEAST_SHARE * size or is_spread(evidence))
    return many and not (evidence.same_port or evidence.threat)


def services_for(site: Site, ports: Iterable[Port]) -> dict[Port, Service]:
    """Return a service for each port, under a name that nothing of the site has: ``tcp-4070``, and ``tcp-4070-2`` where that is taken."""
    catalogue = Catalogue(site)
    made = {}
    for protocol, port in sorted(set(ports)):
        name = catalogue.service([Traffic(protocol, IntervalSet.of((port, port)))], UNREVIEWED)
        made[protocol, port] = Service(name, (ServiceMatch(protocol, ((port, port),)),), description=UNREVIEWED)
    return made


def written(service: Service, names: Mapping[int, str]) -> dict[str, Any]:
    """Return a proposed service as services.yml has it; ``names`` are those of protocols."""
    return {
        "description": service.description,
        "match": [{"protocol": names[m.protocol], "ports": [low for low, _high in m.ports]} for m in service.matches],
    }
