# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Edges between segments on DuckDB: the short way of ``queries.EDGES`` for rows both of whose ends are settled.

An IPv4 address is settled where one interval covers the whole window, or none names it: then who held it needs no comparison of times.
Most are. Their rows are told by a look-up by address and counted by one integer; the others are held for the joins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.address import V4_HI, V4_LO
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.footers import Footer
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import ROLLUP, arrow_schema

np = guarded("numpy")
pa = guarded("pyarrow")
parquet = guarded("pyarrow.parquet")

UNLISTED, MOVING = -1, -2
PAGE = 1 << 16
# Registers with addresses in more blocks of 65,536 than this take the joins: a block is 256 KiB of codes.
MOST_PAGES = 1024
# Rows that may be held for the joins, about 150 octets each.
MOST_REST = 6_000_000
COUNTED = ("flows", "weak_flows", "bytes", "last_us")
ENDS = ("client_hi", "client_lo", "server_hi", "server_lo")
NEEDED = ("day", *ENDS, "protocol", "server_port", "class", "first_us", *COUNTED)
GROUPS = ("multicast", "broadcast")
KEY = "client_segment, server_segment, protocol, server_port, client_binding, server_binding"
STREAM = {"key": "int64", **{name: ROLLUP[name] for name in COUNTED}}


class Settled:
    """Who held the settled addresses from ``first`` to ``last`` (microseconds); ``kinds`` has (segment, binding) by code.

    Tables as ``FlowGate.bind`` names them. ``pages`` is None where the addresses lie in too many blocks.
    """

    def __init__(self, intervals: Any, members: Any, networks: Any, first: int, last: int) -> None:
        self.kinds: list[tuple[str, str]] = []
        self._codes: dict[tuple[str, str], int] = {}
        self._networks(networks)
        values = {name: intervals.column(name).to_numpy() for name in ("address_hi", "address_lo", "from_us", "to_us")}
        self.listed = values["address_hi"] == V4_HI
        number = (values["address_lo"] - V4_LO)[self.listed]
        blocks = np.unique(number >> 16)
        self.pages: Any = None
        if len(blocks) > MOST_PAGES or ((number < 0) | (number >> 32 != 0)).any():
            return
        self.page_of = np.zeros(PAGE, dtype=np.int64)
        self.page_of[blocks] = np.arange(1, len(blocks) + 1)
        self.pages = np.full((len(blocks) + 1) * PAGE, UNLISTED, dtype=np.int32)
        places = self._places(number)
        whole = (values["from_us"][self.listed] <= first) & (values["to_us"][self.listed] > last)
        self.pages[places] = np.where(whole, self._held(intervals, members), MOVING)
        known, counts = np.unique(places, return_counts=True)
        self.pages[known[counts > 1]] = MOVING

    def _held(self, intervals: Any, members: Any) -> Any:
        """Return the code of each listed interval's device; the joins have those without a name and those in several segments."""
        rows = list(zip(*(members.column(name).to_pylist() for name in ("device", "segment")), strict=True))
        often = Counter(device for device, _segment in rows)
        segments = dict(rows)
        made = []
        for device, source, listed in zip(
            intervals.column("device").to_pylist(),
            intervals.column("source").to_pylist(),
            self.listed.tolist(),
            strict=True,
        ):
            if listed:
                binding = "assumed" if source.startswith("assumed") else "bound"
                clear = device and often[device] < 2
                made.append(self._code(segments.get(device) or "", binding) if clear else MOVING)
        return np.array(made, dtype=np.int32)

    def _networks(self, networks: Any) -> None:
        """Make the codes of addresses that nobody held: by the boundaries of the named networks, the first name of several."""
        named = [row for row in networks.to_pylist() if row["first_hi"] <= V4_HI <= row["last_hi"]]
        spans = [
            (row["first_lo"], row["last_lo"], row["segment"])
            if row["first_hi"] == row["last_hi"]
            else (V4_LO, V4_LO + (1 << 32) - 1, row["segment"])
            for row in named
        ]
        bounds = sorted({V4_LO, *(low for low, _high, _name in spans), *(high + 1 for _low, high, _name in spans)})
        names = [min((name for low, high, name in spans if low <= bound <= high), default="") for bound in bounds]
        self.bounds = np.array(bounds, dtype=np.int64)
        self.between = np.array([self._code(name, "unknown") for name in names], dtype=np.int32)

    def _code(self, segment: str, binding: str) -> int:
        kind = (segment, binding)
        if kind not in self._codes:
            self._codes[kind] = len(self.kinds)
            self.kinds.append(kind)
        return self._codes[kind]

    def _places(self, number: Any) -> Any:
        return self.page_of[number >> 16] * PAGE + (number & (PAGE - 1))

    def codes(self, hi: Any, lo: Any) -> Any:
        """Return the code of each address, or a negative number where it is not settled."""
        number = lo - V4_LO
        strange = (hi != V4_HI) | (number >> 32 != 0)
        if strange.any():
            number = np.where(strange, 0, number)
        made = self.pages[self._places(number)]
        free = np.flatnonzero(made == UNLISTED)
        made[free] = self.between[np.searchsorted(self.bounds, number[free] + V4_LO, side="right") - 1]
        if strange.any():
            made[strange] = MOVING
        return made


class Streamed:
    """The rows of rollup files: a stream of those whose ends are settled, and the others once it has ended.

    ``left`` is how many others there are; up to ``MOST_REST`` are held.
    """

    def __init__(self, footers: Sequence[Footer], settled: Settled) -> None:
        self.footers, self.settled = footers, settled
        self.rest: list[Any] = []
        self.left = 0
        self.kinds = len(settled.kinds)

    def reader(self) -> Any:
        """Return the stream of record batches with the columns ``STREAM``."""
        return pa.RecordBatchReader.from_batches(arrow_schema(STREAM), self._batches())

    def others(self) -> Any:
        """Return the rows left, as the rollup has them, but for what edges do not ask for, which is 0."""
        schema = arrow_schema(ROLLUP)
        wanted = arrow_schema({name: ROLLUP[name] for name in NEEDED})
        rows = pa.concat_tables([wanted.empty_table(), *(each.cast(wanted) for each in self.rest)])
        zeros = {
            each.name: pa.repeat(pa.scalar(0, type=each.type), rows.num_rows)
            for each in schema
            if each.name not in NEEDED
        }
        return pa.table({name: zeros[name] if name in zeros else rows.column(name) for name in ROLLUP}, schema=schema)

    def _batches(self) -> Iterator[Any]:
        for footer in self.footers:
            with parquet.ParquetFile(footer.path, read_dictionary=["class"]) as opened:
                for group in range(opened.num_row_groups):
                    yield from self._group(opened, group)

    def _group(self, opened: Any, group: int) -> Iterator[Any]:
        table = opened.read_row_group(group, columns=list(NEEDED), use_threads=False)
        values = {name: table.column(name).to_numpy() for name in (*ENDS, "protocol", "server_port", *COUNTED)}
        client = self.settled.codes(values["client_hi"], values["client_lo"])
        server = self.settled.codes(values["server_hi"], values["server_lo"])
        protocol, port = values["protocol"].astype(np.int64), values["server_port"].astype(np.int64)
        told = (client >= 0) & (server >= 0) & (protocol >= 0) & (protocol < 256) & (port >= 0) & (port < PAGE)
        texts = table.column("class").unify_dictionaries().combine_chunks()
        texts = texts.chunk(0) if isinstance(texts, pa.ChunkedArray) else texts
        several = [number for number, name in enumerate(texts.dictionary.to_pylist()) if name in GROUPS]
        if several:
            told &= ~np.isin(texts.indices.to_numpy(), several)
        if not told.all():
            self.left += int((~told).sum())
            if self.left <= MOST_REST:
                self.rest.append(table.filter(pa.array(~told)))
        key = (((client.astype(np.int64) * self.kinds + server) << 8 | protocol) << 16) | port
        columns = {"key": key, **{name: values[name] for name in COUNTED}}
        if not told.all():
            columns = {name: column[told] for name, column in columns.items()}
        yield from pa.table({name: columns[name] for name in STREAM}, schema=arrow_schema(STREAM)).to_batches()


def grouped(relation: str) -> str:
    """Return the query that sums the stream by its key."""
    return (
        f"SELECT key, sum(flows)::BIGINT AS flows, sum(weak_flows)::BIGINT AS weak_flows, sum(bytes)::BIGINT AS bytes,"
        f" max(last_us) AS last_us FROM {relation} GROUP BY key"
    )


def named(sums: Any, kinds: Sequence[tuple[str, str]]) -> Any:
    """Return the summed stream as edges: keys taken apart, segments and bindings by name."""
    key = sums.column("key").to_numpy()
    both = key >> 24
    ends = {"client": both // max(1, len(kinds)), "server": both % max(1, len(kinds))}
    made: dict[str, Any] = {}
    for end, codes in ends.items():
        for place, what in enumerate(("segment", "binding")):
            names = pa.array([kind[place] for kind in kinds], type=pa.string())
            made[f"{end}_{what}"] = names.take(pa.array(codes))
    made["protocol"] = pa.array(((key >> 16) & 255).astype(np.int16))
    made["server_port"] = pa.array((key & (PAGE - 1)).astype(np.int32))
    return pa.table({**made, **{name: sums.column(name) for name in COUNTED}})
