# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recorded conversations in kinds that all rules treat alike, so that each kind is looked up once however often it was seen."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import ICMP_ANSWERS
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.bulk import NONE, BulkEvaluator
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import SCAN, SUSPECTS, Columns
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.intent import Intent, Line
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.verdict import PORT_PROTOCOLS, SYN, TCP

np = guarded("numpy")

MOST = 1 << 62  # numbers of combinations that a column holds


@dataclass
class Edges:
    """Rows that all rules treat alike, and the rules that stand for each kind. ``code`` is the kind of each row."""

    code: Any
    rules: list[tuple[str, ...]]
    first: Any

    @classmethod
    def of(cls, bulk: BulkEvaluator, columns: Columns) -> Edges:
        """Return the kinds of the rows: one of each is looked up, the rest are like it."""
        intent = Intent(bulk.evaluator)
        places = bulk.places(columns, "client")
        client = bulk.segment_of(places).astype(np.int64)
        narrow = np.array([name in intent.narrow for name in bulk.segments] + [False])
        alone = bulk.shared(places) | narrow[client]
        client = np.where(alone, len(bulk.segments) + places, client)
        four = columns.is_four
        server = np.where(
            four,
            np.searchsorted(np.array(intent.bounds(4), dtype=np.int64), columns.address("server"), side="right"),
            -1,
        )
        six = intent.bounds(6)
        for row in np.flatnonzero(~four):
            server[row] = -1 - bisect_right(six, columns.whole("server", int(row)))
        ports = np.searchsorted(
            np.array(intent.client_port_bounds(), dtype=np.int64), columns.client_port, side="right"
        )
        near = np.searchsorted(
            np.array(intent.client_bounds(4), dtype=np.int64), columns.address("client"), side="right"
        )
        near = np.where(four, near, 0)
        outside = intent.client_bounds(6)
        for row in np.flatnonzero(~four) if outside else ():
            near[row] = -1 - bisect_right(outside, columns.whole("client", int(row)))
        code, first = codes_of(client, server, columns.protocol, columns.server_port, ports, four, near)
        plain = four[first] & ~alone[first]
        rules = _Looked.of(bulk, intent, columns, first, client[first], plain).rules
        for number in np.flatnonzero(~plain):
            rules[number] = tuple(intent.rules_for(columns.conversation(int(first[number]))))
        return cls(code, rules, first)

    def having(self, rules: Collection[str]) -> Any:
        """Return which rows some of the rules stand for."""
        return np.array([any(rule in rules for rule in found) for found in self.rules], dtype=bool)[self.code]

    def used(self, columns: Columns) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
        """Return, for each rule that something recorded needs: conversations, last time, flows; scans and bootstrap left out."""
        # What the bootstrap lines are for is no use of a rule.
        rows = np.flatnonzero((columns.suspect != SUSPECTS.index(SCAN)) & (columns.bootstrap == ""))
        code = self.code[rows]
        counts = np.bincount(code, minlength=len(self.rules))
        flows = np.bincount(code, weights=columns.flows[rows], minlength=len(self.rules))
        last = np.zeros(len(self.rules), dtype=np.int64)
        np.maximum.at(last, code, columns.last_us[rows])
        used: Counter[str] = Counter()
        seen: dict[str, int] = {}
        volume: Counter[str] = Counter()
        for number, rules in enumerate(self.rules):
            for rule in rules if counts[number] else ():
                used[rule] += int(counts[number])
                volume[rule] += int(flows[number])
                seen[rule] = max(seen.get(rule, 0), int(last[number]))
        return dict(used), seen, dict(volume)

    def services(self, columns: Columns) -> dict[str, dict[tuple[int, int], int]]:
        """Return, for each rule that something recorded needs, how often each (protocol, server port) was seen, scans too."""
        counts = np.bincount(self.code, minlength=len(self.rules))
        found: dict[str, dict[tuple[int, int], int]] = {}
        for number, rules in enumerate(self.rules):
            row = self.first[number]
            for rule in rules:
                key = int(columns.protocol[row]), int(columns.server_port[row])
                own = found.setdefault(rule, {})
                own[key] = own.get(key, 0) + int(counts[number])
        return found


@dataclass
class _Looked:
    """Rules looked up for many kinds of IPv4 rows at once, line by line; the answers are those of ``Intent.rules_for``."""

    rules: list[tuple[str, ...]]

    @classmethod
    def of(cls, bulk: BulkEvaluator, intent: Intent, columns: Columns, rows: Any, segments: Any, plain: Any) -> _Looked:
        """Return the rules of some rows; only those marked ``plain`` are looked at: IPv4, from addresses of one segment or of none.

        ``segments`` are numbers of ``bulk.segments``, below 0 for none.
        """
        made: list[list[str]] = [[] for _row in rows]
        protocol = columns.protocol[rows].astype(np.int64)
        port = columns.server_port[rows].astype(np.int64)
        ported = np.isin(protocol, PORT_PROTOCOLS)
        detail = np.where(protocol == TCP, SYN, np.where(np.isin(protocol, tuple(ICMP_ANSWERS)), port, 0))
        client, server = columns.address("client")[rows], columns.address("server")[rows]
        source_port = np.where(ported, columns.client_port[rows].astype(np.int64), 0)
        server_port = np.where(ported, port, 0)

        def note(at: Any, lines: Iterable[tuple[IntervalSet | None, Line]]) -> None:
            """Add the rules of lines to those of the rows at some places that they permit."""
            for clients, (rule, _devices, servers, match) in lines:
                hit = at[protocol[at] == match.protocol]
                for values, allowed in (
                    (server_port, match.server_ports), (server, servers), (source_port, match.client_ports),
                    (detail, match.detail), (client, clients),
                ):  # fmt: skip
                    if allowed is not None and len(hit):
                        hit = hit[_held(allowed, values[hit])]
                for number in hit:
                    found = made[number]
                    if not found or found[-1] != rule:  # lines of one rule stand together
                        found.append(rule)

        order = np.flatnonzero(plain & (segments >= 0))
        order = order[np.argsort(segments[order], kind="stable")]
        numbers, begins = np.unique(segments[order], return_index=True)
        for number, at in zip(numbers, np.split(order, begins[1:]), strict=False):
            note(at, ((None, line) for line in intent.lines_of(bulk.segments[int(number)], 4)))
        note(np.flatnonzero(plain), intent.lines_outside(4))
        return cls([tuple(found) for found in made])


def _held(allowed: IntervalSet, values: Any) -> Any:
    """Return which values are in a set."""
    if len(allowed.pairs) == 1:
        low, high = allowed.pairs[0]
        return (values >= low) & (values <= high)
    place = np.searchsorted(np.array([low for low, _high in allowed.pairs], dtype=np.int64), values, side="right") - 1
    highs = np.array([*(high for _low, high in allowed.pairs), NONE], dtype=np.int64)
    return (place >= 0) & (values <= highs[place])


def codes_of(*keys: Any) -> tuple[Any, Any]:
    """Return one number for each different combination of values in the columns, and the first row of each."""
    code = np.zeros(len(keys[0]), dtype=np.int64)
    if not len(code):
        return code, code
    size = 1
    for key in keys:
        values = np.asarray(key, dtype=np.int64)
        low = int(values.min())
        width = int(values.max()) - low + 1
        if size * width > MOST:
            unique, code = np.unique(code, return_inverse=True)
            size = len(unique)
        code = code * width + (values - low)
        size *= width
    _unique, first, code = np.unique(code, return_index=True, return_inverse=True)
    return code, first
