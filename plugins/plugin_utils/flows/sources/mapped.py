# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generic flow tables: CSV, JSON lines or Parquet with a mapping file that says which column is what.

The import's options give its path as ``mapping``. Where the mapping says that the source opened each conversation, that is taken as the
exporter's word (method 0); otherwise the rules decide.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources import columns as convert
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.kind import Kind, Opening
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.log_source import (
    ANSWERED,
    ICMP,
    ICMP6,
    MOST_BYTES,
    MOST_PACKETS,
    OPENED,
    UNSAID,
    LogSource,
    icmp_ports,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.mapping import FlowMapping, load_mapping
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.text import (
    Piece,
    Rows,
    delimited,
    json_lines,
    pieces,
    reader,
)

np = guarded("numpy")
pa = guarded("pyarrow")
compute = guarded("pyarrow.compute")
parquet = guarded("pyarrow.parquet")

SAID = {"source_opened": OPENED, "target_opened": ANSWERED, "unknown": UNSAID}
BATCH = 1 << 17
LARGEST_SAMPLING = 1 << 30


@dataclass
class MappedTable(LogSource):
    """Source over one file that a mapping explains."""

    kind: str = "mapped"
    mapping: FlowMapping = field(default_factory=lambda: FlowMapping("csv", {}))

    def _rows(self) -> Iterator[dict[str, Any]]:
        connection = reader()
        for rows in self._parsed(connection):
            for name, allowed in self.mapping.only.items():
                texts = rows.column(name).fill_null("")
                mask = compute.is_in(texts, value_set=pa.array(allowed, pa.string())).to_numpy(zero_copy_only=False)
                self.leave_out("not_wanted", (~mask).sum())
                rows = rows.keep(mask)
            if len(rows):
                yield self._columns(rows, connection)

    def _parsed(self, connection: Any) -> Iterator[Rows]:
        if self.mapping.format == "parquet":
            yield from self._parquet()
            return
        names = list(self.mapping.fields)
        to_skip = self.mapping.skip_lines
        for piece in pieces(self.path, self.rejects, self.findings):
            if to_skip:
                piece, to_skip = _without(piece, to_skip), 0
            if self.mapping.format == "json_lines":
                yield json_lines(piece, self.mapping.wanted, self.rejects, connection)
                continue
            if self.mapping.header and not (names and piece.first_line > 1 + self.mapping.skip_lines):
                names = self._title(piece.data.partition(b"\n")[0].decode("utf-8", "replace"), piece.first_line)
                piece = _without(piece, 1)
            if piece.data:
                yield delimited(
                    piece,
                    names,
                    self.mapping.delimiter,
                    self.rejects,
                    quote=self.mapping.quoted,
                    unset=self.mapping.unset,
                )

    def _title(self, line: str, number: int) -> list[str]:
        names = [each.strip().strip('"') for each in line.lstrip("\ufeff").split(self.mapping.delimiter)][:1024]
        lacking = [name for name in self.mapping.wanted if name not in names]
        if lacking:
            text = f"the title line lacks {', '.join(repr(name) for name in lacking[:8])}"
            raise FindingError(codes.TEXT_LAYOUT.at(text, Location(str(self.path), number)))
        twice = [name for name in self.mapping.wanted if names.count(name) > 1]
        if twice:
            text = f"the title line has {twice[0]!r} twice, and nothing tells which is meant"
            hint = "name the columns with header: false, skip_lines: 1 and fields in the mapping file"
            raise FindingError(codes.TEXT_LAYOUT.at(text, Location(str(self.path), number), hint=hint))
        return names

    def _parquet(self) -> Iterator[Rows]:
        """Yield the rows of a Parquet file; a "line" is a row from 1."""
        where = Location(str(self.path))
        try:
            with parquet.ParquetFile(self.path) as file:
                lacking = [name for name in self.mapping.wanted if name not in file.schema_arrow.names]
                if lacking:
                    raise FindingError(codes.TEXT_LAYOUT.at(f"it has no column {lacking[0]!r}", where))
                first = 1
                for batch in file.iter_batches(batch_size=BATCH, columns=self.mapping.wanted):
                    table = pa.table({name: _as_text(batch.column(name)) for name in self.mapping.wanted})
                    yield Rows(first + np.arange(table.num_rows), table)
                    first += table.num_rows
        except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
            raise FindingError(codes.TEXT_LAYOUT.at(f"not a Parquet file ({type(error).__name__})", where)) from error

    def _columns(self, rows: Rows, connection: Any) -> dict[str, Any]:
        wanted, constants = self.mapping.columns, self.mapping.constants
        count = len(rows)

        def column(name: str) -> Any:
            return rows.column(wanted[name]) if name in wanted else pa.nulls(count, pa.string())

        def number(name: str, high: int, default: int | None = 0) -> tuple[Any, Any]:
            if name not in wanted:
                return np.full(count, constants.get(name, default), dtype=np.int64), np.zeros(count, dtype=bool)
            return convert.integers(column(name), high, default)

        start, bad_start = self._moment(column("start"), connection)
        if "end" in wanted:
            end, bad_end = self._moment(column("end"), connection)
            absent = ~convert.valid(column("end"))
            end, bad_end = np.where(absent, start, end), bad_end & ~absent
        else:
            lasted, bad_end = convert.micros(column("duration"), self.mapping.duration_unit, default=0)
            end = start + lasted
        if "protocol" in wanted:
            proto = convert.protocols(column("protocol"))
        else:
            proto = np.full(count, constants["protocol"], dtype=np.int64)
        source_hi, source_lo, bad_source = convert.addresses(column("source"))
        target_hi, target_lo, bad_target = convert.addresses(column("target"))
        source_port, bad_sport = number("source_port", 65535)
        target_port, bad_tport = number("target_port", 65535)
        packets, bad_packets = number("packets", MOST_PACKETS, 1)
        octets, bad_octets = number("bytes", MOST_BYTES)
        reply_packets, bad_rp = number("reply_packets", MOST_PACKETS)
        reply_octets, bad_ro = number("reply_bytes", MOST_BYTES)
        sampling, bad_sampling = number("sampling", LARGEST_SAMPLING, 1)
        bad = np.zeros(count, dtype=bool)
        for reason, mask, name in (
            ("the start time is none", bad_start, "start"),
            ("the end or the duration is none", bad_end, "end" if "end" in wanted else "duration"),
            ("it ends before it starts", end < start, "end"),
            ("the protocol is unknown", proto < 0, "protocol"),
            ("the source address is none", bad_source, "source"),
            ("the target address is none", bad_target, "target"),
            ("the source port is none", bad_sport, "source_port"),
            ("the target port is none", bad_tport, "target_port"),
            ("packets is no whole number", bad_packets, "packets"),
            ("bytes is no whole number", bad_octets, "bytes"),
            ("reply_packets is no whole number", bad_rp, "reply_packets"),
            ("reply_bytes is no whole number", bad_ro, "reply_bytes"),
            ("sampling is no whole number above 0", bad_sampling | (sampling < 1), "sampling"),
        ):
            self.rejects.mask(reason, mask & ~bad, rows.lines, column(name))
            bad |= mask
        proto = np.where((proto == ICMP) & (source_hi != np.int64(-(1 << 63))), ICMP6, proto)
        if "icmp_type" in wanted:
            kind, _bad = number("icmp_type", 255)
            code, _bad = number("icmp_code", 255)
            source_port, target_port = icmp_ports(proto, kind, code, source_port, target_port)
        made = {
            "start_us": start, "end_us": end,
            "source_hi": source_hi, "source_lo": source_lo, "target_hi": target_hi, "target_lo": target_lo,
            "protocol": proto, "source_port": source_port, "target_port": target_port,
            "packets": packets, "bytes": octets, "reply_packets": reply_packets, "reply_bytes": reply_octets,
            "flags": convert.each(column("flags"), _flags), "reply_flags": convert.each(column("reply_flags"), _flags),
            "said": np.full(count, SAID[self.mapping.direction], dtype=np.int8),
            "sampling": sampling,
        }  # fmt: skip
        if "exporter" in wanted:
            names = column("exporter").fill_null("").to_numpy(zero_copy_only=False)
            made["exporter"] = names.astype(object)
        good = ~bad
        return made if good.all() else {name: value[good] for name, value in made.items()}

    def _moment(self, column: Any, connection: Any) -> tuple[Any, Any]:
        if self.mapping.pattern:
            made, bad = convert.iso_micros(column, connection, (self.mapping.pattern,))
        elif self.mapping.unit == "iso":
            made, bad = convert.iso_micros(column, connection)
        else:
            made, bad = convert.micros(column, self.mapping.unit)
        return made - self.mapping.offset_us, bad


def _without(piece: Piece, count: int) -> Piece:
    """Return a piece without its first lines."""
    data, left = piece.data, count
    while left and data:
        data, left = data[data.find(b"\n") + 1 :], left - 1
    return Piece(piece.first_line + count - left, data)


def _as_text(column: Any) -> Any:
    """Return an Arrow column as text; times as ISO 8601 in UTC."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us"), safe=False)
    # A damaged file may hold octets that are no UTF-8 as text, which only shows when they are looked at.
    octets = column.cast(pa.string()).cast(pa.binary())
    try:
        return octets.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([each and each.decode("utf-8", "replace") for each in octets.to_pylist()], pa.string())


def _flags(text: str) -> int:
    """Return TCP flags of a number, a hexadecimal one (``0x1b``) or letters (``.AP.SF``)."""
    bare = text.strip()
    try:
        return int(bare, 0) & 0xFF
    except ValueError:
        letters = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32}
        return sum(letters[each] for each in set(bare.upper()) if each in letters) if len(bare) <= 16 else 0


def _opened(path: Path, source: str, opening: Opening) -> MappedTable:
    named = opening.options.get("mapping")
    if not isinstance(named, str) or not named:
        text = "kind mapped needs source_options.mapping, the path of a mapping file"
        raise FindingError(codes.TEXT_LAYOUT.at(text, Location(str(path))))
    mapping = load_mapping(Path(named).expanduser())
    exporter = opening.exporter or str(mapping.constants.get("exporter", ""))
    return MappedTable(path, exporter, source, mapping=mapping)


KIND = Kind(
    "mapped",
    "CSV, JSON lines or Parquet that a mapping file explains; named, never guessed, with source_options.mapping",
    lambda _path, _head: False,
    _opened,
    options=("mapping",),
)
