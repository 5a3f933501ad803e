# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries that can never match, are cancelled, or change nothing; each with a certificate that a person can check.

Pairwise checks miss entries covered by several others together; here an entry is dead exactly when no packet reaches it
(facts/policy.md sections 5 b2 and 6 items 10, 11 and 15).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets import nodes as nd
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.dead import dead_indices
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import (
    Decisions,
    Local,
    PacketSpace,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.layout import layout_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Entry, FirstMatchList, Packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.removable import RemovableSearch
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.sampling import Rows
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.text import packet_text

DEAD, UNION_SHADOWED, CONTRADICTING, REMOVABLE = "dead", "union_shadowed", "contradicting", "removable"
_CODES = {
    DEAD: codes.DEAD,
    UNION_SHADOWED: codes.UNION_SHADOWED,
    CONTRADICTING: codes.CONTRADICTING,
    REMOVABLE: codes.REMOVABLE,
}
LOCAL_SHARE = 0.25  # of dead to live entries, below which certificates come from small diagrams


@dataclass(frozen=True)
class Anomaly:
    """One entry with a fault.

    ``kind``: ``dead`` (one earlier entry covers it), ``union_shadowed`` (several together do), ``contradicting`` (dead, and some
    of its packets are decided the opposite way), ``removable`` (it matches, but without it every packet is decided the same).
    ``index`` counts entries from 0; ``covering`` are the entries that decide its packets instead (``len(entries)``: the
    default); ``witness`` is one packet of the entry: decided the opposite way (contradicting), by a covering entry (dead), or
    matched by the entry itself (removable). None for an entry without packets.
    """

    kind: str
    index: int
    entry: Entry
    covering: tuple[int, ...]
    witness: Packet | None

    def finding(self, source: FirstMatchList) -> Finding:
        """Return the anomaly as a finding that names the covering entries and the witness."""
        others = ", ".join(entry_name(source, index) for index in self.covering[:6])
        others += f" and {len(self.covering) - 6} more" if len(self.covering) > 6 else ""
        text = {
            DEAD: f"is covered by {others}",
            UNION_SHADOWED: f"is covered by {others} together",
            CONTRADICTING: f"is cancelled by {others}, which decide otherwise",
            REMOVABLE: f"changes nothing: {others} would decide the same",
        }[self.kind]
        shown = f" (for example {packet_text(self.witness)})" if self.witness else ""
        return _CODES[self.kind].at(
            f"{entry_name(source, self.index)} {text if others else 'matches no packet'}{shown}"
        )


def entry_name(source: FirstMatchList, index: int) -> str:
    """Return how a finding calls an entry: its number and label, or ``the default``."""
    if index >= len(source.entries):
        return "the default"
    entry = source.entries[index]
    return f"entry {entry.number or index + 1} ({entry.label})" if entry.label else f"entry {entry.number or index + 1}"


def find_anomalies(
    source: FirstMatchList, *, removable: bool = True, space: PacketSpace | None = None
) -> list[Anomaly]:
    """Return all anomalies of a list in the order of its entries. Exact for all packets.

    ``removable`` False leaves the dearer search for removable entries out.
    """
    rows = Rows(source)
    found = dead_entries(source, space or PacketSpace(), rows)
    if removable:
        dead = {item.index for item in found}
        found += [
            Anomaly(REMOVABLE, item.index, source.entries[item.index], item.covering, item.witness)
            for item in RemovableSearch(source, dead, rows).find()
        ]
    return sorted(found, key=lambda item: item.index)


def dead_entries(source: FirstMatchList, space: PacketSpace, rows: Rows | None = None) -> list[Anomaly]:
    """Return the written entries that decide no packet: dead, union_shadowed or contradicting. ``rows``: those of the list, if made."""
    dead = [index for index in dead_indices(source, rows, space) if index < source.written]
    if not dead:
        return []
    gone = set(dead)
    live = replace(
        source,
        entries=tuple(
            replace(entry, boxes=()) if index in gone and not entry.condition else entry
            for index, entry in enumerate(source.entries)
        ),
    )
    local = rows is not None and len(dead) < LOCAL_SHARE * (len(source.entries) - len(dead))
    takers: _Takers | _LocalTakers = (
        _LocalTakers(source, rows, gone) if rows and local else _Takers(Decisions(space, live), rows)
    )
    result = []
    for index in dead:
        entry = source.entries[index]
        instead = takers.of(index, entry)
        covers = tuple(other for other in instead.indices if _may_cover(source, other, index))
        opposite = tuple(other for other in covers if source.entries[other].permit != entry.permit)
        if opposite:
            kind, blamed = CONTRADICTING, opposite
        else:
            single = _single_cover(source, index, covers, rows, space)
            kind, blamed = (DEAD if len(single) <= 1 else UNION_SHADOWED), single
        shown = opposite or covers
        witness = instead.witness(shown[0]) if shown else None
        result.append(Anomaly(kind, index, entry, blamed, witness))
    return result


class _Takers:
    """Who decides the packets of dead entries, by the diagram of the whole list."""

    def __init__(self, decided: Decisions, rows: Rows | None) -> None:
        self._decided = decided
        self._rows = rows

    def of(self, index: int, entry: Entry) -> Local:
        if self._rows is not None:
            return self._decided.within_boxes(self._rows.boxes[self._rows.begin[index] : self._rows.begin[index + 1]])
        return self._decided.within(self._decided.space.from_boxes(entry.boxes))


class _LocalTakers:
    """The same by small diagrams of what meets an entry: better where few entries of a long list are dead."""

    def __init__(self, source: FirstMatchList, rows: Rows, gone: set[int]) -> None:
        self._source = source
        self._rows = rows
        self._layout = layout_of(rows.boxes).quick(rows.boxes)
        self._live = rows.rows_of(index for index in range(len(rows.begin) - 1) if index not in gone)

    def of(self, index: int, entry: Entry) -> Local:
        rows, nodes = self._rows, nd.Nodes(self._layout)
        roots = []
        for row in range(rows.begin[index], rows.begin[index + 1]):
            met = rows.overlapping(row, self._live[: rows.begin[index]]).tolist()
            if self._source.is_conditional:
                met = [other for other in met if _may_cover(self._source, int(rows.entry[other]), index)]
            parts = [
                nodes.from_box(rows.boxes[other].intersect(rows.boxes[row]), nd.FIRST_ENTRY - int(rows.entry[other]))
                for other in met
            ]
            roots.append(nodes.balanced(parts))
        root = nodes.balanced(roots)
        ends = [node for node in nodes.reachable(root) if node <= nd.FIRST_ENTRY]
        return Local(nodes, root, tuple(sorted(nd.FIRST_ENTRY - end for end in ends)))


def _may_cover(source: FirstMatchList, other: int, index: int) -> bool:
    """Return whether an entry can make a later one dead: it always matches, or under the same condition."""
    return other < index and source.entries[other].condition in ("", source.entries[index].condition)


def _single_cover(
    source: FirstMatchList, index: int, instead: tuple[int, ...], rows: Rows | None, space: PacketSpace
) -> tuple[int, ...]:
    """Return the first earlier entry that covers all the packets alone, else the entries that decide them together."""
    if len(instead) <= 1:
        return instead
    if rows is not None:
        before = rows.rows_of(instead)
        shared: set[int] | None = None
        for row in range(rows.begin[index], rows.begin[index + 1]):
            covers = {int(rows.entry[other]) for other in rows.covering(row, rows.overlapping(row, before))}
            shared = covers if shared is None else shared & covers
        if shared:
            return (min(shared),)
    packets = space.from_boxes(source.entries[index].boxes)
    for other in instead:
        if packets.is_subset_of(space.from_boxes(source.entries[other].boxes)):
            return (other,)
    return instead
