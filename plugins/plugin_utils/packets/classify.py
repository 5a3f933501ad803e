# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions for millions of packets at once, on numpy columns (facts/policy.md sections 5 b3 and 6 item 12).

The diagram is flattened: for each level the sorted keys ``node << 32 | rank of the upper bound``; one binary search a level
moves every packet on. Cost grows with the depth (seven), hardly with the number of entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets import nodes as nd
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.address_classes import (
    AddressClasses,
    ranks_in_halves,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import Decisions, PacketSpace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import FIELD_MAXIMUM
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.layout import Level
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import (
    FIELDS,
    IPV6,
    Box,
    Entry,
    FirstMatchList,
    possible_boxes,
)

np = guarded("numpy")

CHUNK = 1_000_000
_HALF = (1 << 64) - 1
_WIDE = ("destination", "source")
_HIGHEST_IPV4 = (1 << 32) - 1


@dataclass(frozen=True)
class _Level:
    """What one level tests, bounds that occur there (``high``, ``low``: their 64-bit halves), keys and targets of its nodes."""

    tested: Level
    high: Any
    low: Any
    keys: Any
    targets: Any


class Classified(NamedTuple):
    """Columns of verdicts. A row is surely permitted (``permits``), uncertain, or surely denied (neither).

    ``entries`` (int32): the index of the deciding entry; ``len(entries)`` of the list: its default; -1: no possible packet; below -1:
    a condition decides which of several entries matches, see ``Classifier.deciding``.
    """

    entries: Any
    permits: Any
    uncertain: Any


class Classifier:
    """A list made ready to classify columns of packets. Build once, use for any number of columns."""

    def __init__(self, source: FirstMatchList, space: PacketSpace | None = None) -> None:
        decided = Decisions(space or PacketSpace(), source)
        self.entries = len(source.entries)
        self._permits = np.array([entry.permit for entry in source.entries] + [source.default_permit], dtype=bool)
        (self._root,), self._levels = _flattened((decided,))
        self._chains = {}
        for terminal in decided.space.nodes.reachable(decided.root):
            if terminal <= nd.FIRST_CHAIN:
                ends = decided.space.nodes.outcomes(terminal)
                self._chains[terminal - nd.FIRST_CHAIN - 2] = tuple(nd.FIRST_ENTRY - end for end in ends)

    def deciding(self, entry: int) -> tuple[int, ...]:
        """Return the indices of the entries that may decide a row, in order, from its value in ``entries`` (() for -1)."""
        if entry < -1:
            return self._chains[entry]
        return (entry,) if entry >= 0 else ()

    def classify(self, columns: dict[str, Any]) -> Classified:
        """Return the verdict on every row.

        ``columns``: integer arrays of one length. ``protocol`` is 0 to 511 (256 added for IPv6, see ``protocol_column``);
        ``detail``, ``fragment``, ports and groups default to 0 where absent. Addresses are either
        ``source``, ``destination`` (IPv4 only, unsigned) or ``source_hi``, ``source_lo``, ``destination_hi``,
        ``destination_lo`` in the form of the flow store (signed halves, IPv4 mapped; docs/architecture.md). FindingError
        SW1103 when a column is missing, of another length, or holds a value that its field cannot have.
        """
        rows = _checked(columns)
        indices = np.empty(rows, dtype=np.int32)
        for start in range(0, rows, CHUNK):
            part = {name: values[start : start + CHUNK] for name, values in columns.items()}
            indices[start : start + CHUNK] = self._chunk(part)
        permits = self._permits[np.maximum(indices, 0)] & (indices >= 0)
        uncertain = np.zeros(rows, dtype=bool)
        for value, chosen in self._chains.items():
            actions = {bool(self._permits[index]) for index in chosen}
            if len(actions) > 1:
                uncertain |= indices == value
            elif True in actions:
                permits |= indices == value
        return Classified(indices, permits, uncertain)

    def _chunk(self, columns: dict[str, Any]) -> Any:
        return _walked(self._levels, np.full(len(columns["protocol"]), self._root, dtype=np.int64), columns)


class Classifiers:
    """Many lists made ready together: each row is judged by the list that it names, all rows in one walk.

    The diagrams lie in one table, so the cost is that of one list, however many there are; they are made of classes of addresses
    (``AddressClasses``) in place of addresses, so they hardly grow with the members of segments. FindingError SW1103 for lists with
    conditions: a row of those has no single deciding entry.
    """

    def __init__(self, sources: Sequence[FirstMatchList]) -> None:
        if any(source.is_conditional for source in sources):
            raise FindingError(codes.BAD_COLUMNS.at("a list has conditions that no column holds"))
        self._classes = _classes_of([box for source in sources for entry in source.entries for box in entry.boxes])
        space = PacketSpace(self._classed(possible_boxes()))
        classed = [self._classed_list(source) for source in sources]
        space.make_room_for(*classed)
        decided = [Decisions(space, source) for source in classed]
        roots, self._levels = _flattened(decided)
        self._roots = np.array(roots, dtype=np.int64)
        lengths = [len(source.entries) + 1 for source in sources]
        self._offsets = (
            np.concatenate([[0], np.cumsum(lengths)])[:-1].astype(np.int64) if sources else np.zeros(0, np.int64)
        )
        permits: list[bool] = []
        for source in sources:
            permits += [*(entry.permit for entry in source.entries), source.default_permit]
        self._permits = np.array(permits, dtype=bool)

    def _classed(self, boxes: Sequence[Box]) -> tuple[Box, ...]:
        """Return boxes with classes in place of their addresses."""
        if self._classes is None:
            return tuple(boxes)
        destinations, sources = self._classes
        return tuple(
            Box(
                box.protocol, box.detail, box.fragment, destinations.of(box.destination), sources.of(box.source),
                box.destination_port, box.source_port, box.destination_group, box.source_group,
            )
            for box in boxes
        )  # fmt: skip

    def _classed_list(self, source: FirstMatchList) -> FirstMatchList:
        entries = tuple(Entry(entry.permit, self._classed(entry.boxes)) for entry in source.entries)
        return FirstMatchList(entries, source.default_permit, source.name)

    def prepared(self, columns: dict[str, Any]) -> dict[str, Any]:
        """Return columns (as for ``Classifier.classify``) in the form that ``classify`` takes, rows in their order: any part of them
        can be judged then without looking at addresses again."""
        _checked(columns)
        if self._classes is None:
            return columns
        made = {
            name: values for name, values in columns.items() if name.partition("_")[0] not in _WIDE or name in FIELDS
        }
        for field, classes in zip(_WIDE, self._classes, strict=True):
            made[field] = classes.column(*_halves(field, columns))
        return made

    def classify(self, which: Any, columns: dict[str, Any]) -> Classified:
        """Return the verdict of list ``which[i]`` on row i; ``columns`` are those that ``prepared`` returned, or the same rows of
        each. No row is uncertain."""
        rows = len(which)
        indices = np.empty(rows, dtype=np.int32)
        for start in range(0, rows, CHUNK):
            part = {name: values[start : start + CHUNK] for name, values in columns.items()}
            indices[start : start + CHUNK] = _walked(self._levels, self._roots[which[start : start + CHUNK]], part)
        permits = np.zeros(rows, dtype=bool)
        known = indices >= 0
        permits[known] = self._permits[self._offsets[which[known]] + indices[known]]
        return Classified(indices, permits, np.zeros(rows, dtype=bool))


def _classes_of(boxes: Sequence[Box]) -> tuple[AddressClasses, AddressClasses] | None:
    """Return the classes of destinations and of sources under the boxes and what is possible; None where one has a mask."""
    if any(box.destination.masked or box.source.masked for box in boxes):
        return None
    known = [*boxes, *possible_boxes()]
    return AddressClasses(box.destination for box in known), AddressClasses(box.source for box in known)


def _walked(levels: list[_Level | None], state: Any, columns: dict[str, Any]) -> Any:
    """Move every row from its state (>= 0: a node of some level, < 0: a terminal) to its end; returns entry indices."""
    for table in levels:
        if table is None:
            continue
        here = (state >= table.keys[0] >> 32) & (state <= table.keys[-1] >> 32)
        at = np.flatnonzero(here)
        if not len(at):
            continue
        ranks = _ranks(table, columns, at)
        found = np.searchsorted(table.keys, state[at] << 32 | ranks)
        state[at] = table.targets[found]
    return _indices(state)


def classify(source: FirstMatchList, columns: dict[str, Any]) -> Classified:
    """Return the verdict on every row of the columns: see ``Classifier.classify``."""
    return Classifier(source).classify(columns)


def protocol_column(protocol: Any, high: Any, low: Any) -> Any:
    """Return the protocol column 0 to 511 from IP protocol numbers and the halves of one address of each row (flow store form)."""
    mapped = (high == np.int64(-(1 << 63))) & ((_unsigned(low) >> np.uint64(32)) == np.uint64(0xFFFF))
    return np.asarray(protocol, dtype=np.int64) + np.where(mapped, 0, IPV6)


def _flattened(decided: Sequence[Decisions]) -> tuple[list[int], list[_Level | None]]:
    """Number the nodes of lists in one space level by level and return their roots with the tables; nodes of one level have
    consecutive numbers."""
    if not decided:
        return [], []
    nodes = decided[0].space.nodes
    by_level: list[list[int]] = [[] for _level in nodes.layout.levels]
    for node in sorted({node for each in decided for node in nodes.reachable(each.root)}):
        if node >= 0:
            by_level[nodes.level[node]].append(node)
    numbers: dict[int, int] = {}
    for group in by_level:
        for node in group:
            numbers[node] = len(numbers)
    levels: list[_Level | None] = []
    for tested, group in zip(nodes.layout.levels, by_level, strict=True):
        if not group:
            levels.append(None)
            continue
        bounds = sorted({bound for node in group for bound in nodes.bounds[node]})
        rank = {bound: place for place, bound in enumerate(bounds)}
        keys, targets = [], []
        for node in group:
            for bound, child in zip(nodes.bounds[node], nodes.children[node], strict=True):
                keys.append(numbers[node] << 32 | rank[bound])
                targets.append(numbers[child] if child >= 0 else child)
        levels.append(_Level(
            tested,
            np.array([bound >> 64 for bound in bounds], dtype=np.uint64), np.array([bound & _HALF for bound in bounds], dtype=np.uint64),
            np.array(keys, dtype=np.int64), np.array(targets, dtype=np.int64),
        ))  # fmt: skip
    return [numbers[each.root] if each.root >= 0 else each.root for each in decided], levels


def _indices(state: Any) -> Any:
    """Return entry indices of terminals; -1 for a row that is no possible packet, below that a number for each chain."""
    indices = np.where(state <= nd.FIRST_ENTRY, nd.FIRST_ENTRY - state, -1)
    return np.where(state <= nd.FIRST_CHAIN, state - (nd.FIRST_CHAIN + 2), indices).astype(np.int32)


def _ranks(table: _Level, columns: dict[str, Any], at: Any) -> Any:
    """Return, for the rows, the rank of the first bound that is not below what the level tests."""
    field = FIELDS[table.tested.field]
    if field in _WIDE and f"{field}_hi" in columns:
        halves = _halves(field, {name: columns[name][at] for name in ("protocol", f"{field}_hi", f"{field}_lo")})
        return ranks_in_halves(table.high, table.low, *_piece(table.tested, *halves))
    values = columns.get(field)
    if values is None:
        return np.zeros(len(at), dtype=np.int64)
    values = values[at].astype(np.uint64)
    if table.tested.maximum != FIELD_MAXIMUM[field]:
        _high, values = _piece(table.tested, np.zeros_like(values), values)
    # Values of a plain column lie below 2^64, so only bounds without a high half can be at or above them in order.
    narrow = table.low[: int(np.searchsorted(table.high, np.uint64(1)))]
    return np.searchsorted(narrow, values)


def _piece(tested: Level, high: Any, low: Any) -> tuple[Any, Any]:
    """Return the halves of what a level tests of values in halves."""
    if tested.shift >= 64:
        high, low = np.zeros_like(high), high >> np.uint64(tested.shift - 64)
    elif tested.shift:
        low = low >> np.uint64(tested.shift) | high << np.uint64(64 - tested.shift)
        high = high >> np.uint64(tested.shift)
    return high & np.uint64(tested.maximum >> 64), low & np.uint64(tested.maximum & _HALF)


def _halves(field: str, columns: dict[str, Any]) -> tuple[Any, Any]:
    """Return the unsigned halves of the addresses of a field, IPv4 as below 2^32."""
    if f"{field}_hi" not in columns:
        values = columns[field].astype(np.uint64)
        return np.zeros_like(values), values
    high, low = _unsigned(columns[f"{field}_hi"]), _unsigned(columns[f"{field}_lo"])
    four = columns["protocol"] < IPV6
    return np.where(four, np.uint64(0), high), np.where(four, low & np.uint64(0xFFFFFFFF), low)


def _unsigned(half: Any) -> Any:
    """Return the unsigned half of a stored one (2^63 was subtracted, docs/architecture.md)."""
    return np.asarray(half, dtype=np.int64).view(np.uint64) ^ np.uint64(1 << 63)


def _checked(columns: dict[str, Any]) -> int:
    for name in _WIDE:
        if name not in columns and not {f"{name}_hi", f"{name}_lo"} <= columns.keys():
            raise FindingError(codes.BAD_COLUMNS.at(f"column {name} is missing"))
    if "protocol" not in columns:
        raise FindingError(codes.BAD_COLUMNS.at("column protocol is missing"))
    lengths = {len(values) for values in columns.values()}
    if len(lengths) != 1:
        raise FindingError(codes.BAD_COLUMNS.at("columns differ in length"))
    rows = lengths.pop()
    for name in [name for name in FIELDS if name in columns and rows]:
        most = _HIGHEST_IPV4 if name in _WIDE else FIELD_MAXIMUM[name]
        if int(columns[name].min()) < 0 or int(columns[name].max()) > most:
            raise FindingError(codes.BAD_COLUMNS.at(f"column {name} has values that are not from 0 to {most}"))
    return rows
