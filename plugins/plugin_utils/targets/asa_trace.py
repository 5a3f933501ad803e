# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ASA's own word on a list: a bounded number of conversations asked of ``packet-tracer``, held against what the list says.

``packet-tracer`` takes a simulated packet through the running configuration and names the entry that decides (ASA command reference,
"packet-tracer"). It counts as a hit of that entry.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import only_list
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace, verdicts
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import ICMP, TCP, UDP, make_packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_config import GLOBAL, AsaState, Place

TRACES = 4  # of each verdict
CLIENT_PORT, CLOSED_PORT = 50001, 65533
_WORDS = {TCP: "tcp", UDP: "udp", ICMP: "icmp"}


@dataclass(frozen=True)
class Trace:
    """One conversation: the nameif by which its first packet comes, and whether the list passes it. Ports 0 to 65535."""

    interface: str
    protocol: int
    client: str
    server: str
    client_port: int
    server_port: int
    permit: bool

    def command(self) -> str:
        """Return the command line; every part is a number, an address or a nameif that the device printed."""
        word = _WORDS[self.protocol]
        if self.protocol == ICMP:
            return f"packet-tracer input {self.interface} {word} {self.client} 8 0 {self.server}"
        return f"packet-tracer input {self.interface} {word} {self.client} {self.client_port} {self.server} {self.server_port}"


def chosen_traces(content: str, state: AsaState, places: Sequence[Place], limit: int = TRACES) -> list[Trace]:
    """Return up to ``limit`` permitted and as many denied conversations that the places see and the list surely decides.

    Both ends lie behind known interfaces, and no interface list stands before the global one on their way.
    """
    listing = only_list("asa", content)
    verdict = verdicts(PacketSpace(), listing.first_match())
    found: dict[bool, list[Trace]] = {True: [], False: []}
    seen: set[tuple[int, str, str, int]] = set()
    for protocol, client, server, port, server_port in _conversations(listing.aces, state, places):
        key = (protocol, client, server, server_port)
        interface = state.behind(client)
        if key in seen or not _seen_by(state, places, client, server):
            continue
        seen.add(key)
        packet = make_packet(protocol, client, server, server_port, port, icmp=(8, 0))
        permit = packet in verdict.permitted
        if (permit or packet not in verdict.maybe_permitted) and len(found[permit]) < limit:
            found[permit].append(Trace(interface, protocol, client, server, port, server_port, permit))
        if all(len(each) >= limit for each in found.values()):
            break
    return [*found[True], *found[False]]


def _seen_by(state: AsaState, places: Sequence[Place], client: str, server: str) -> bool:
    first, second = state.behind(client), state.behind(server)
    own = {each.address.partition("/")[0] for each in state.named.values()}
    if not first or not second or first == second or own & {client, server}:
        return False
    if GLOBAL in places:
        return (first, "in") not in state.groups and (second, "out") not in state.groups
    others = {(first, "in"), (second, "out")} - set(places)
    return bool({(first, "in"), (second, "out")} & set(places)) and not others & set(state.groups)


def _conversations(
    aces: Sequence[Ace], state: AsaState, places: Sequence[Place]
) -> Iterator[tuple[int, str, str, int, int]]:
    """Yield (protocol, client, server, client port, server port) that entries speak of, then each with a port that none does."""
    again: list[tuple[int, str, str, int, int]] = []
    for ace in aces:
        protocol = TCP if ace.protocol is None else ace.protocol
        if ace.family == 6 or ace.inactive or ace.conditions or protocol not in _WORDS:
            continue
        if protocol == ICMP and ace.detail is not None and not ace.detail.overlaps(IntervalSet.of((8 << 8, 8 << 8))):
            continue
        for client, server in _pairs(ace, state):
            ports = (_one(ace.source_ports, CLIENT_PORT), _one(ace.destination_ports, CLOSED_PORT))
            ports = (0, 0) if protocol == ICMP else ports
            yield protocol, client, server, *ports
            again.append((TCP, client, server, CLIENT_PORT, CLOSED_PORT))
    yield from again


def _pairs(ace: Ace, state: AsaState) -> Iterator[tuple[str, str]]:
    """Yield a pair of addresses of an entry; an open end is taken from each subnet in turn."""
    clients = [_address(ace.source)] if ace.source is not None else _hosts(state)
    servers = [_address(ace.destination)] if ace.destination is not None else _hosts(state)
    for client in clients:
        for server in servers:
            if state.behind(client) != state.behind(server):
                yield client, server


def _hosts(state: AsaState) -> list[str]:
    networks = [each.network for each in state.named.values()]
    return [
        str(network.network_address + 2) for network in networks if network is not None and network.num_addresses > 3
    ]


def _address(values: IntervalSet) -> str:
    low, high = values.pairs[0]
    return (
        str(ipaddress.IPv4Address(low + 5 if high - low > 5 else low))
        if low < 1 << 32
        else str(ipaddress.IPv6Address(low))
    )


def _one(values: IntervalSet | None, otherwise: int) -> int:
    if values is None or values.overlaps(IntervalSet.of((otherwise, otherwise))):
        return otherwise
    return int(values.pairs[0][0])


def trace_findings(target: str, trace: Trace, live: str, output: str) -> list[Finding]:
    """Return what an answer says against the list ``live``: an error where it decides otherwise, a warning where it is silent."""
    action = re.search(r"(?m)^Action: (\S+)", output)
    shown = f"{target}: {trace.command()}"
    if action is None:
        return [codes.ASA_NO_TRACE.at(f"{shown}: no answer")]
    verdict = ""
    for phase in re.split(r"(?m)^Phase: \d+\s*$", output)[1:]:
        if re.search(r"(?m)^Type: ACCESS-LIST", phase) and f"access-group {live} " in phase:
            result = re.search(r"(?m)^Result: (\S+)", phase)
            verdict = result[1] if result else ""
    if verdict and (verdict == "ALLOW") != trace.permit:
        return [codes.ASA_TRACE.at(f"{shown}: {verdict} by {live}, which {'permits' if trace.permit else 'denies'} it")]
    if not verdict and (action[1] == "allow") != trace.permit:
        reason = re.search(r"(?m)^Drop-reason: (.*)$", output)
        text = f"{action[1]} without a word of {live} ({reason[1][:80] if reason else 'no reason given'})"
        make = codes.ASA_TRACE if action[1] == "allow" else codes.ASA_NO_TRACE
        return [make.at(f"{shown}: {text}")]
    return []
