# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Equality of two lists entry by entry: sufficient, linear, and exact where it says yes.

A compiled entry is written as several lines, one for each combination of prefixes, ports and messages. Where neighbouring lines of one
action are exactly those combinations, they match together what the entry matches; where that holds for every entry in order, both
lists decide every packet alike. Where it does not, nothing is said: the packet engine compares the lists.
"""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace, ParsedAcl
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import (
    IPV4_ADDRESSES,
    IPV6_ADDRESSES,
    PORTS,
)

_FIELDS = ("source", "destination", "source_ports", "destination_ports", "detail")
_PORTS = (PORTS.pairs,)
_WHOLE = {
    "source": (IPV4_ADDRESSES.pairs, IPV6_ADDRESSES.pairs),
    "destination": (IPV4_ADDRESSES.pairs, IPV6_ADDRESSES.pairs),
    "source_ports": _PORTS,
    "destination_ports": _PORTS,
    "detail": (),
}


def same_entries(listing: PointList, parsed: ParsedAcl) -> bool:
    """Return True only where a list that was read back has, in order, the lines of each compiled entry and nothing else.

    Both lists decide every packet themselves, so that how they end without a match does not count.
    """
    if parsed.opaque or parsed.fragments_like_ios is listing.stateful or not _decides_all(listing):
        return False
    place = 0
    lines = parsed.aces
    for ace in listing.aces:
        found = _lines_of(ace, lines, place)
        if not found:
            return False
        place += found
    return place == len(lines)


def _decides_all(listing: PointList) -> bool:
    """Return whether the list ends in entries that match every packet of its families."""
    left = {4, 6} if listing.family == 0 else {listing.family}
    for ace in reversed(listing.aces):
        if not left or ace.protocol is not None or ace.source is not None or ace.destination is not None or ace.layer4:
            break
        left -= {4, 6} if ace.family == 0 else {ace.family}
    return not left


def _lines_of(ace: Ace, lines: Sequence[Ace], place: int) -> int:
    """Return how many lines from ``place`` on are together the entry, 0 where they are not."""
    if place >= len(lines) or not _alike(ace, lines[place]):
        return 0
    first = lines[place]
    if (
        _same("source", ace.source, first.source)
        and _same("destination", ace.destination, first.destination)
        and _same("source_ports", ace.source_ports, first.source_ports)
        and _same("destination_ports", ace.destination_ports, first.destination_ports)
        and _same("detail", ace.detail, first.detail)
    ):
        return 1
    # The lines of one entry are the product of the pieces of its fields; the last piece of each field ends it.
    wanted = [_pairs(name, getattr(ace, name)) for name in _FIELDS]
    pieces: list[dict[tuple[tuple[int, int], ...] | None, None]] = [{} for _name in _FIELDS]
    rows = set()
    covered = [0] * len(_FIELDS)
    sizes = [None if pairs is None else sum(high - low + 1 for low, high in pairs) for pairs in wanted]
    for number in range(place, len(lines)):
        line = lines[number]
        if not _alike(ace, line):
            return 0
        row = tuple(_pairs(name, getattr(line, name)) for name in _FIELDS)
        if row in rows:
            return 0
        rows.add(row)
        for at, piece in enumerate(row):
            if piece not in pieces[at]:
                pieces[at][piece] = None
                covered[at] += 0 if piece is None else sum(high - low + 1 for low, high in piece)
        count = 1
        for found in pieces:
            count *= len(found)
        if count == len(rows) and all(
            (size is None and piece == {None: None}) or covered_here == size
            for size, piece, covered_here in zip(sizes, pieces, covered, strict=True)
        ):
            return number - place + 1 if all(map(_union_is, wanted, pieces)) else 0
    return 0


def _alike(ace: Ace, line: Ace) -> bool:
    """Return whether action, family, protocol and everything but the five fields agree, and nothing conditional is there."""
    return (
        ace.permit is line.permit
        and ace.family == line.family
        and ace.protocol == line.protocol
        and ace.fragments is line.fragments
        and line.plain
        and ace.plain
        and ace.layer4 is line.layer4
    )


def _pairs(name: str, values: IntervalSet | None) -> tuple[tuple[int, int], ...] | None:
    if values is None or values.pairs in _WHOLE[name]:
        return None
    return values.pairs


def _same(name: str, one: IntervalSet | None, two: IntervalSet | None) -> bool:
    if one is two or (one is not None and two is not None and one.pairs == two.pairs):
        return True
    return _pairs(name, one) == _pairs(name, two)


def _union_is(
    wanted: tuple[tuple[int, int], ...] | None, pieces: dict[tuple[tuple[int, int], ...] | None, None]
) -> bool:
    """Return whether disjoint pieces are together the values wanted."""
    if wanted is None:
        return list(pieces) == [None]
    if None in pieces:
        return False
    return IntervalSet.of(*(pair for piece in pieces if piece for pair in piece)).pairs == wanted
