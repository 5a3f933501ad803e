# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes probes from the permitted conversations: each one itself, and everything that is nearly it but must not pass.

``permitted`` of a probe is decided here by a plain walk over the permitted conversations, written for the lab and
independent of the product.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..description import Hospital, load_hospital
from .prober import Probe


@dataclass(frozen=True)
class Permitted:
    """One permitted conversation between two hosts; ``client_port`` None: any."""

    client: str
    server: str
    protocol: str
    port: int
    client_port: int | None = None


def from_description(hospital: Hospital | None = None) -> list[Permitted]:
    """The legitimate conversations of ``hospital.yml``, host by host."""
    hospital = hospital or load_hospital()
    return [
        Permitted(client, server, each.protocol, each.port, each.client_port)
        for each in hospital.conversations
        for client, server in each.pairs()
    ]


def crosses_firewall(hospital: Hospital, probe: Probe) -> bool:
    """Whether fw1 is on the way: hosts of one subnet reach each other over their switch alone."""
    names = [hospital.hosts[name].subnet if name in hospital.hosts else name for name in (probe.client, probe.server)]
    return names[0] != names[1]


def make_probes(permitted: Iterable[Permitted], hospital: Hospital | None = None) -> list[Probe]:
    """Probes for every permitted conversation; each question is asked once. ``purpose`` says what it is for."""
    hospital = hospital or load_hospital()
    allowed = list(permitted)
    found: dict[tuple[object, ...], Probe] = {}
    # What is permitted comes first, so that it keeps its purpose where it is also somebody's reverse or neighbour.
    for each in allowed:
        probe = Probe(each.client, each.server, each.protocol, each.port, each.client_port, "open", "permitted", True)
        found[_question(probe)] = probe
    for each in allowed:
        for probe in _around(each, allowed, hospital):
            found.setdefault(_question(probe), probe)
    return list(found.values())


def _question(probe: Probe) -> tuple[object, ...]:
    return probe.client, probe.server, probe.protocol, probe.server_port, probe.client_port, probe.kind


def is_permitted(probe: Probe, allowed: Iterable[Permitted]) -> bool:
    """Whether a probe opens a permitted conversation."""
    if probe.kind in ("icmp", "proto", "fragment_tail"):
        return False
    return any(
        (probe.client, probe.server, probe.protocol, probe.server_port)
        == (each.client, each.server, each.protocol, each.port)
        and each.client_port in (None, probe.client_port)
        for each in allowed
    )


def _around(each: Permitted, allowed: list[Permitted], hospital: Hospital) -> Iterator[Probe]:
    client, server, protocol, port = each.client, each.server, each.protocol, each.port

    def make(
        purpose: str,
        source: str,
        target: str,
        via: str,
        to: int,
        kind: str = "open",
        out: int | None = each.client_port,
    ) -> Probe:
        probe = Probe(source, target, via, to, out, kind, purpose)
        verdict: bool | None = is_permitted(probe, allowed)
        if verdict and kind in ("ack", "fragment"):
            verdict = None  # a firewall may pick a connection up in the middle, or refuse all fragments: both are safe
        return Probe(source, target, via, to, out, kind, purpose, verdict)

    other = "udp" if protocol == "tcp" else "tcp"
    yield make("reverse-open", server, client, protocol, port)
    for neighbour in (port - 1, port + 1):
        yield make("neighbour-port", client, server, protocol, neighbour)
    yield make("other-protocol", client, server, other, port)
    yield make("other-protocol", client, server, "icmp", 0, "icmp", None)
    yield make("other-protocol", client, server, "gre", 0, "proto", None)
    for host in _first(hospital, server, allowed, each, as_server=True):
        yield make("neighbour-host", client, host, protocol, port)
    for host in _first(hospital, client, allowed, each, as_server=False):
        yield make("sibling-segment", host, server, protocol, port)
    # What a stateless reply line would let through: packets out of the service port that answer nothing.
    if protocol == "udp":
        yield make("udp-from-service", server, client, "udp", 40001, "udp_from_service", port)
        yield make("fragment", client, server, "udp", port, "fragment")
        yield make("fragment-tail", client, server, "udp", port, "fragment_tail")
        yield make("fragment", client, server, "udp", port + 1, "fragment")
    else:
        yield make("forged-ack", server, client, "tcp", 40001, "ack", port)
        yield make("forged-ack", client, server, "tcp", port + 1, "ack")
        yield make("half-open", client, server, "tcp", port + 1, "syn")


def _first(hospital: Hospital, name: str, allowed: list[Permitted], each: Permitted, as_server: bool) -> Iterator[str]:
    """The first host of the same subnet and another segment that may not do this; and one of the same segment."""
    host = hospital.hosts[name]
    other, same = None, None
    for candidate in hospital.in_subnet(host.subnet):
        if candidate.name in (each.client, each.server):
            continue
        client, server = (each.client, candidate.name) if as_server else (candidate.name, each.server)
        probe = Probe(client, server, each.protocol, each.port, each.client_port)
        if client == server or is_permitted(probe, allowed):
            continue
        if candidate.segment == host.segment:
            same = same or candidate.name
        else:
            other = other or candidate.name
    yield from (found for found in (other, same) if found)
