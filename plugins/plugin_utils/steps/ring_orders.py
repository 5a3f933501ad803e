# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which order of rings would make a refused move of devices safe: who has to go before whom, by what is cut or open in between. Pure.

What is found this way is a candidate; whoever asks proves it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import addresses_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Ring
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.moving import NEW, OLD, SESSION, Mixed, Move

SHOWN = 3


@dataclass(frozen=True)
class Group:
    """Devices that move from one segment to another by their sessions."""

    was: str
    will: str
    devices: tuple[str, ...]
    addresses: tuple[str, ...]

    def has(self, value: int, family: int) -> bool:
        """Return whether one of them has an address."""
        return addresses_of(self.addresses, family).contains(value)

    def shown(self, names: Mapping[str, str]) -> str:
        """Return what people call it."""
        text = ", ".join(names.get(device, device) for device in self.devices[:SHOWN])
        more = f" and {len(self.devices) - SHOWN} more" if self.devices[SHOWN:] else ""
        return f"{text}{more} ({self.was or 'no segment'} to {self.will})"


def groups_of(moves: Iterable[Move]) -> list[Group]:
    """Return the devices that move by their sessions, by where from and where to."""
    found: dict[tuple[str, str], list[Move]] = {}
    for move in moves:
        if move.carrier == SESSION:
            found.setdefault((move.was, move.will), []).append(move)
    return [
        Group(*key, tuple(move.device for move in here), tuple(address for move in here for address in move.addresses))
        for key, here in sorted(found.items())
    ]


def candidate_order(moves: Iterable[Move], problems: Sequence[Mixed]) -> list[Group]:
    """Return groups in an order in which no problem of two ends in unequal states can come up; empty where there is none.

    A client that may not be new while its server is old goes after it, and the other way round.
    """
    groups = groups_of(moves)
    before: dict[int, set[int]] = {number: set() for number in range(len(groups))}  # who goes before each
    for item in problems:
        if item.states not in ((NEW, OLD), (OLD, NEW)):
            continue
        clients, servers = (_at(groups, item.packet, end) for end in (0, 1))
        late, early = (clients, servers) if item.states == (NEW, OLD) else (servers, clients)
        for number in late:
            before[number] |= early
    order: list[int] = []
    while len(order) < len(groups):
        free = next((n for n in before if n not in order and before[n] <= set(order)), None)
        if free is None:
            return []
        order.append(free)
    return [groups[number] for number in order] if groups[1:] else []


def _at(groups: Sequence[Group], packet: Packet, end: int) -> set[int]:
    value, family = (packet.destination if end else packet.source), 6 if packet.is_ipv6 else 4
    return {number for number, group in enumerate(groups) if group.has(value, family)}


def as_rings(order: Sequence[Group]) -> tuple[Ring, ...]:
    """Return a ring for each group."""
    return tuple(Ring(f"move-{number}", devices=group.devices) for number, group in enumerate(order, 1))


def order_text(order: Sequence[Group], names: Mapping[str, str]) -> str:
    """Return the order as a remedy."""
    shown = "; then ".join(group.shown(names) for group in order)
    return f"safe with rings in this order, each with microseg_reauthenticate=true: {shown}"
