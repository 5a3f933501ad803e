# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A day's connections, each conversation once: the short way of ``operations/daily.py``.

Rows that nothing else can be a view of count as they stand: no other exporter has a 5-tuple of the same hash, and no other input the same
start with it. The rest is compared: nearly always two views, one of each of two exporters, which arrays settle; the few others are left to
the query.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import grouping
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.day_rows import DayRows, services
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.queries import SLACK_US
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import OBSERVERS

np = guarded("numpy")
pa = guarded("pyarrow")

SWAPPED = (("client_hi", "server_hi"), ("client_lo", "server_lo"), ("client_port", "server_port"))
# What a settled row brings, and what it is called among the columns.
SETTLED = ("start_us", "end_us", "client_hi", "client_lo", "server_hi", "server_lo", "protocol", "client_port", "server_port", "answered",
           "method", "confidence", "packets", "bytes")  # fmt: skip
Settle = Callable[[Any], tuple[Any, list[tuple[Any, ...]]]]


class Views:
    """The conversations of a day's rows. ``kept`` says which rows count; rows that do may have been given what another view knew better.

    ``settle`` answers for what arrays do not settle: it takes an Arrow table of
    connections and returns those columns of ``daily.COUNTED`` in which each conversation is once, and pairs of views.
    ``overlapping`` says that an exporter may have told the same start in two inputs.
    """

    def __init__(self, rows: DayRows, settle: Settle, overlapping: bool) -> None:
        self.rows, self.settle = rows, settle
        self.pairs: Counter[str] = Counter()
        self.later: Counter[str] = Counter()
        self.kept = np.ones(len(rows), dtype=bool)
        doubt = self._doubtful(overlapping)
        if len(doubt):
            self._compare(doubt)

    def observers(self, day: Any) -> Any:
        """Return the table of what each exporter saw."""
        made = []
        for code, name in sorted(enumerate(self.rows.names["exporter"]), key=lambda pair: pair[1]):
            flows, longer, sided = self.rows.observed[:, code].tolist()
            if flows:
                made.append({
                    "day": day, "exporter": name, "flows": flows, "long_flows": longer, "one_sided_flows": sided,
                    "pairs": self.pairs[name], "later_us": self.later[name],
                })  # fmt: skip
        return pa.Table.from_pylist(made).select(list(OBSERVERS))

    def _doubtful(self, overlapping: bool) -> Any:
        """Return the places of rows of which there may be another view."""
        flows = self.rows.observed[0]
        several = np.count_nonzero(flows) > 1
        if not several and not overlapping:
            return np.empty(0, dtype=np.int64)
        hashes, doubt = self.rows.hashes(), np.zeros(len(self.rows), dtype=bool)
        if several:
            exporter, main = self.rows.columns["exporter"], int(np.argmax(flows))
            bits = max(10, min(27, (16 * int(flows.sum() - flows[main])).bit_length()))
            shift = np.uint64(64 - bits)
            marks = np.zeros(1 << bits, dtype=bool)
            for part in self.rows.parts():
                marks[(hashes[part][exporter[part] != main] >> shift).view(np.int64)] = True
            for part in self.rows.parts():
                doubt[part] = marks[(hashes[part] >> shift).view(np.int64)]
        if overlapping:
            doubt |= self._told_twice(hashes)
        return np.flatnonzero(doubt)

    def _told_twice(self, hashes: Any) -> Any:
        """Return which rows may stand with the very same start in another input."""
        source = self.rows.columns["source"]
        bits = max(10, min(27, (4 * len(hashes)).bit_length()))
        starts = grouping.hashed((hashes, self.rows.columns["start_us"].view(np.uint64)))
        place = (starts >> np.uint64(64 - bits)).view(np.int64)
        # Of each place one row's input stands; a row of another one finds it strange.
        held = np.empty(1 << bits, dtype=np.int32)
        held[place] = source
        strange = np.zeros(1 << bits, dtype=bool)
        strange[place[held[place] != source]] = True
        return strange[place]

    def _compare(self, at: Any) -> None:
        """Settle rows that may be views of the same conversations."""
        columns = self.rows.columns
        exporter = self.rows.rank_of("exporter")[columns["exporter"][at]]
        names = sorted(self.rows.names["exporter"])
        start, end = columns["start_us"][at], columns["end_us"][at]
        ends = grouping.ends_of(
            *(
                tuple(columns[f"{end_of}_{part}"][at] for part in ("hi", "lo", "port"))
                for end_of in ("client", "server")
            )
        )
        forward = ends.source <= ends.target
        low, high = np.minimum(ends.source, ends.target), np.maximum(ends.source, ends.target)
        protocol = columns["protocol"][at].astype(np.uint64) & np.uint64(0xFFFF)
        order, starts = grouping.groups((low, (high << np.uint64(16)) | protocol))
        sizes = np.diff(starts, append=len(order))
        more = np.repeat(sizes > 2, sizes)
        order, starts = _parted(order, np.repeat(np.arange(len(starts)), sizes), more, starts, start, end)
        sizes = np.diff(starts, append=len(order))
        two = starts[sizes == 2]
        first, second = order[two], order[two + 1]
        apart = exporter[first] == exporter[second]
        others = np.concatenate((np.repeat(sizes > 2, sizes).nonzero()[0], two[apart], two[apart] + 1))
        first, second = first[~apart], second[~apart]
        met = (start[first] <= end[second] + SLACK_US) & (start[second] <= end[first] + SLACK_US)
        first, second = first[met], second[met]
        self._count_pairs(exporter, names, start, first, second)
        self._of_two(at, forward, exporter, first, second)
        if len(others):
            self._asked(at[np.sort(order[others])])

    def _count_pairs(self, exporter: Any, names: list[str], start: Any, first: Any, second: Any) -> None:
        for one, other in ((first, second), (second, first)):
            found = np.bincount(exporter[one], minlength=len(names))
            for code in np.flatnonzero(found).tolist():
                own = exporter[one] == code
                self.pairs[names[code]] += int(found[code])
                self.later[names[code]] += int((start[one[own]] - start[other[own]]).sum())

    def _of_two(self, at: Any, forward: Any, exporter: Any, first: Any, second: Any) -> None:
        """Keep the larger of two views by different exporters, and what the other knows better."""
        columns = self.rows.columns
        packets = columns["packets"][at]
        wins = (packets[first] > packets[second]) | (
            (packets[first] == packets[second]) & (exporter[first] > exporter[second])
        )
        held, other = np.where(wins, first, second), np.where(wins, second, first)
        differs = forward[other] != forward[held]
        held, other = at[held], at[other]
        self.kept[other] = False
        columns["answered"][held] |= columns["answered"][other]
        surer = columns["method"][other] < columns["method"][held]
        turned = held[surer & differs]
        for client, server in SWAPPED:
            if not self.rows.constant(client):
                columns[client][turned], columns[server][turned] = columns[server][turned], columns[client][turned]
        for name in ("method", "confidence", "class"):
            if not self.rows.constant(name):
                columns[name][held[surer]] = columns[name][other[surer]]
        columns["service"][held[surer]] = services(self.rows, held[surer])

    def _asked(self, at: Any) -> None:
        """Let the query settle rows; its answer stands in the place of the first of them."""
        columns = self.rows.columns
        found, pairs = self.settle(self.rows.table(at))
        for name, count, later in pairs:
            self.pairs[name] += count
            self.later[name] += later
        self.kept[at] = False
        at = at[: found.num_rows]
        self.kept[at] = True
        for name in SETTLED:
            if not self.rows.constant(name):
                columns[name][at] = found.column(name).to_numpy()
        if not self.rows.constant("class"):
            codes = {text: code for code, text in enumerate(self.rows.names["class"])}
            columns["class"][at] = [codes[text] for text in found.column("class").to_pylist()]
        columns["service"][at] = services(self.rows, at)


def _parted(order: Any, group: Any, more: Any, starts: Any, start: Any, end: Any) -> tuple[Any, Any]:
    """Return (order of rows, positions in it at which a group begins), groups of ``more`` rows parted where no view of one part can be
    one of another: it began over five minutes after all before it had ended, and with no row in the same microsecond."""
    places = np.flatnonzero(more)
    group = group[places]
    rows = order[places]
    rows = rows[np.lexsort((start[rows], group))]
    order = order.copy()
    order[places] = rows
    if not len(rows):
        return order, starts
    begun, ended = start[rows], end[rows]
    fresh = np.ones(len(rows), dtype=bool)
    fresh[1:] = group[1:] != group[:-1]
    # The latest end so far within a group: groups are numbered in order, so one number has both.
    low, span = int(min(begun.min(), ended.min())), int(max(begun.max(), ended.max()))
    number = np.cumsum(fresh) - 1
    if (span - low + 1) * int(number[-1] + 1) >= 1 << 62:
        return order, starts
    width = span - low + 1
    latest = np.maximum.accumulate(ended - low + number * width) - number * width + low
    fresh[1:] |= (begun[1:] > latest[:-1] + SLACK_US) & (begun[1:] > begun[:-1])
    begins = np.zeros(len(order), dtype=bool)
    begins[starts] = True
    begins[places] = fresh
    return order, np.flatnonzero(begins)
