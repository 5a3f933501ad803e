# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counters of entries as a sign of health: which entry refuses a conversation, and what it counted since a ring was changed. Pure.

A counter tells how many packets an entry matched and not whose. So what an entry refused is held against a conversation only where that
very list, as the switch shows it, decides the conversation by that entry. The opener's port is taken as 50000, an answer's as SYN and ACK.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import dacl, sgacl
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Packet, make_packet

EPHEMERAL = 50_000
SYN_ACK = 0x12
TCP = 6


@dataclass(frozen=True)
class CountedList:
    """One list on one switch at one moment: ``name`` as it stands there, entries as (text, packets since it counts)."""

    switch: str
    name: str
    entries: tuple[tuple[str, int], ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for the journal."""
        return {"switch": self.switch, "name": self.name, "entries": [list(entry) for entry in self.entries]}

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> CountedList:
        """Return what ``as_dict`` gave."""
        entries = tuple((str(text), int(count)) for text, count in value["entries"])
        return cls(str(value["switch"]), str(value["name"]), entries)


def grown(before: CountedList | None, now: CountedList) -> tuple[int, ...]:
    """Return what each entry counted between two readings; a list that is new, or whose counters began again, counts from zero."""
    if before is None or [text for text, _n in before.entries] != [text for text, _n in now.entries]:
        return tuple(count for _text, count in now.entries)
    pairs = [(old, new) for (_text, old), (_same, new) in zip(before.entries, now.entries, strict=True)]
    reset = any(new < old for old, new in pairs)
    return tuple(new if reset else new - old for old, new in pairs)


def deciding_entry(kind: str, found: CountedList, packet: Packet) -> int | None:
    """Return the place of the entry that decides a packet; None where none does, or the list is not understood line by line.

    ``kind``: ``sgacl``, else a port or downloadable list.
    """
    text = "\n".join(text for text, _count in found.entries)
    try:
        (parsed,) = sgacl.parse(text, found.name, 4) if kind == "sgacl" else dacl.parse(text, found.name)
        entries = parsed.first_match().entries
    except (FindingError, ValueError):
        return None
    if len(parsed.aces) != len(found.entries) or any(entry.condition for entry in entries):
        return None
    values = packet.values()
    for place, entry in enumerate(entries):
        if any(all(value in held for value, held in zip(values, box.sets(), strict=True)) for box in entry.boxes):
            return place if place < len(found.entries) else None
    return None


def opener(client: str, server: str, protocol: int, port: int) -> Packet | None:
    """Return the first packet of a conversation, None where its addresses or numbers make none."""
    try:
        return make_packet(protocol, client, server, port, EPHEMERAL)
    except ValueError:
        return None


def answer(client: str, server: str, protocol: int, port: int) -> Packet | None:
    """Return the first answer to a TCP conversation, None for every other."""
    try:
        return make_packet(TCP, server, client, EPHEMERAL, port, flags=SYN_ACK) if protocol == TCP else None
    except ValueError:
        return None


def refused(kind: str, before: CountedList | None, now: CountedList, packet: Packet | None) -> tuple[int, str]:
    """Return how many packets the entry that refuses a packet counted since, and its text; (0, "") where no entry refuses it."""
    place = deciding_entry(kind, now, packet) if packet is not None else None
    if place is None or not now.entries[place][0].startswith("deny"):
        return 0, ""
    return grown(before, now)[place], now.entries[place][0]


def idle(before: Iterable[CountedList], now: Sequence[CountedList]) -> tuple[CountedList, ...]:
    """Return the lists of which no entry counted anything since: their hardware does not count, or nothing came."""
    old = {(item.switch, item.name): item for item in before}
    return tuple(item for item in now if not any(grown(old.get((item.switch, item.name)), item)))
